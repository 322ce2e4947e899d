package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	v1 "berth/berthd/gen/berth/v1"
	"berth/berthd/gen/berth/v1/berthv1connect"
	"berth/berthd/internal/testservice"

	"connectrpc.com/connect"
	"github.com/coder/websocket"
)

// The limits of size and memory that berthd promises.
const (
	mostProgramBytes = 15_000_000
	mostProxyBytes   = 10 << 20
	mostViewerBytes  = 512 << 10
	mostSessionBytes = 15 << 20
	// mostMoreBytes is how much more memory a session's berthd may keep after 200 programs than before them. It knows how the last
	// 100 of these programs ended, and their output.
	mostMoreBytes = 2 << 20
)

func TestTheProgramIsSmall(t *testing.T) {
	info, err := os.Stat(berthd)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the binary has %d bytes", info.Size())
	if info.Size() > mostProgramBytes {
		t.Error("the binary is too large")
	}
}

// The test connects 50 viewers. Each viewer gets 4 MiB and sends 1 MiB.
func TestTheProxyIsSmall(t *testing.T) {
	const viewers, down, up = 50, 4 << 20, 1 << 20
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.CopyN(io.Discard, c, up)
				for sent := 0; sent < down; sent += 64 << 10 {
					_, _ = c.Write(make([]byte, 64<<10))
				}
			}()
		}
	}()
	w := open(t, nil)
	w.write("tokens", fmt.Sprintf("%s: %s\n", token, listener.Addr()), 0o600)
	r := w.run([]string{"BERTH_VNC_TOKENS=" + w.folder + "/tokens"}, "vnc-proxy")
	port := r.says(`listens at .*:(\d+)`)[1]
	ctx := testservice.Context(t)
	empty := residentBytes(t, r.Process.Pid)
	for range viewers {
		viewer, _, err := websocket.Dial(ctx, "ws://127.0.0.1:"+port+"/websockify?token="+token, nil)
		w.must(err)
		defer viewer.CloseNow()
		viewer.SetReadLimit(-1)
		desktop := websocket.NetConn(ctx, viewer, websocket.MessageBinary)
		_, err = desktop.Write(make([]byte, up))
		w.must(err)
		_, err = io.CopyN(io.Discard, desktop, down)
		w.must(err)
	}
	full := residentBytes(t, r.Process.Pid)
	if count := children(t, r.Process.Pid); count != 0 {
		t.Errorf("the proxy has %d processes for its viewers", count)
	}
	each := (full - empty) / viewers
	t.Logf("resident memory: %d kB without a viewer, %d kB with %d viewers, %d kB for each viewer", empty>>10, full>>10, viewers, each>>10)
	if empty > mostProxyBytes || each > mostViewerBytes {
		t.Error("the VNC proxy uses too much memory")
	}
	r.terminate()
	r.wantExit(0)
}

// children counts the processes that a process has started and that are still there.
func children(t *testing.T, pid int) (count int) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		stat, _ := os.ReadFile(file) // the process may have ended
		_, rest, _ := strings.Cut(string(stat), ") ")
		if fields := strings.Fields(rest); len(fields) > 1 && fields[1] == strconv.Itoa(pid) {
			count++
		}
	}
	return count
}

func streamBearer() connect.ClientOption { return connect.WithInterceptors(authorize{}) }

type authorize struct{}

func (authorize) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, request connect.AnyRequest) (connect.AnyResponse, error) {
		request.Header().Set("Authorization", "Bearer "+token)
		return next(ctx, request)
	}
}

func (authorize) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, spec connect.Spec) connect.StreamingClientConn {
		connection := next(ctx, spec)
		connection.RequestHeader().Set("Authorization", "Bearer "+token)
		return connection
	}
}

func (authorize) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}

func descriptors(t *testing.T, pid int) int {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// The test measures the memory of a session's berthd: at rest, after 1,000 small commands, while 200 programs run and 50 of
// them are watched, and after these programs have ended. When programs have ended, berthd gives memory back after some seconds.
func TestTheSessionIsSmall(t *testing.T) {
	w := open(t, map[string]any{"command": nil})
	r := w.run(nil, "session")
	_, url := r.ports()
	testservice.Until(t, "berthd has reported activity", func() bool { return len(w.seen("POST /session/activity")) > 0 })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute) // 1,200 programs take long on a busy machine
	defer cancel()
	processes := berthv1connect.NewProcessServiceClient(testservice.Client(t), url, streamBearer())
	memory := map[string]int{}
	measure := func(when string) { memory[when] = residentBytes(t, r.Process.Pid) }
	settle := func(when string, most int) {
		testservice.Until(t, fmt.Sprintf("at most %d kB are resident %s", most>>10, when), func() bool {
			measure(when)
			return memory[when] <= most
		})
	}
	measure("at rest")
	run := func(arguments ...string) *connect.ServerStreamForClient[v1.ProcessEvent] {
		stream, err := processes.Start(ctx, &v1.StartRequest{Command: arguments})
		w.must(err)
		return stream
	}
	for range 1000 {
		stream := run("true")
		for stream.Receive() {
		}
		w.must(stream.Err())
		stream.Close()
	}
	settle("after 1,000 commands", mostSessionBytes)
	before := descriptors(t, r.Process.Pid)

	var watched []*connect.ServerStreamForClient[v1.ProcessEvent]
	var ids []uint64
	for i := range 200 {
		stream := run("sh", "-c", "head -c 1000 /dev/zero; exec sleep 1000")
		if !stream.Receive() {
			t.Fatal(stream.Err())
		}
		ids = append(ids, stream.Msg().GetStarted().Id)
		if i < 50 {
			watched = append(watched, stream)
		} else {
			stream.Close()
		}
	}
	measure("with 200 programs, 50 watched")
	if count := children(t, r.Process.Pid); count != 200 {
		t.Errorf("berthd has %d processes for 200 programs", count)
	}
	during := descriptors(t, r.Process.Pid)
	for _, id := range ids {
		_, err := processes.Signal(ctx, &v1.SignalRequest{Id: id, Signal: 9})
		w.must(err)
	}
	for _, stream := range watched {
		for stream.Receive() {
		}
		w.must(stream.Err())
		stream.Close()
	}
	testservice.Until(t, "the descriptors are closed", func() bool { return descriptors(t, r.Process.Pid) <= before })
	measure("right after them")
	settle("after them", min(mostSessionBytes, memory["after 1,000 commands"]+mostMoreBytes))
	t.Logf("descriptors: %d before the 200 programs, %d while they run", before, during)
	for what, bytes := range memory {
		t.Logf("resident memory: %d kB %s", bytes>>10, what)
	}
	if memory["at rest"] > mostSessionBytes {
		t.Error("berthd uses too much memory at rest")
	}
}

// The test uploads and downloads a file of 256 MiB. Berthd must never keep more than a small part of the file in memory.
func TestLargeFilesTakeLittleMemory(t *testing.T) {
	const size, most = 256 << 20, 64 << 20
	w := open(t, nil)
	w.env = append(w.env, "BERTH_URL=")
	r := w.run(nil, "session")
	_, url := r.ports()
	before, highest := residentBytes(t, r.Process.Pid), 0
	call := func(method string, body io.Reader, length int64) *http.Response {
		request, err := http.NewRequestWithContext(testservice.Context(t), method, url+"/files?path=large", body)
		w.must(err)
		request.ContentLength = length
		request.Header.Set("Authorization", "Bearer "+token)
		response, err := http.DefaultClient.Do(request)
		w.must(err)
		if response.StatusCode != http.StatusOK {
			t.Fatal(response.Status)
		}
		return response
	}
	// looking measures berthd's memory after every 16 MiB that have been read.
	moved := 0
	looking := func(from io.Reader) io.Reader {
		return readerFunc(func(into []byte) (int, error) {
			n, err := from.Read(into)
			if moved += n; moved%(16<<20) < n {
				highest = max(highest, residentBytes(t, r.Process.Pid))
			}
			return n, err
		})
	}
	begun := time.Now()
	call("PUT", looking(io.LimitReader(zeroes{}, size)), size).Body.Close()
	t.Logf("up: %.0f MiB/s", size>>20/time.Since(begun).Seconds())
	begun = time.Now()
	response := call("GET", nil, 0)
	defer response.Body.Close()
	got, err := io.Copy(io.Discard, looking(response.Body))
	w.must(err)
	t.Logf("down: %.0f MiB/s", size>>20/time.Since(begun).Seconds())
	t.Logf("resident: %d kB before, at most %d kB", before>>10, highest>>10)
	if got != size || highest > before+most {
		t.Errorf("the download has %d bytes", got)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(into []byte) (int, error) { return f(into) }

type zeroes struct{}

func (zeroes) Read(into []byte) (int, error) {
	clear(into)
	return len(into), nil
}
