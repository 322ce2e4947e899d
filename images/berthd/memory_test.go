package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"testing"
	"time"

	v1 "berth/berthd/gen/berth/v1"
	"berth/berthd/gen/berth/v1/berthv1connect"
	"berth/berthd/internal/testservice"

	"connectrpc.com/connect"
	"github.com/coder/websocket"
)

// The figures that berthd promises.
const (
	mostProgramBytes = 15_000_000
	mostProxyBytes   = 10 << 20
	mostViewerBytes  = 512 << 10
	mostSessionBytes = 15 << 20
)

func TestTheProgramIsSmall(t *testing.T) {
	info, err := os.Stat(berthd)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("berthd has %d bytes", info.Size())
	if info.Size() > mostProgramBytes {
		t.Error("that is too much")
	}
}

// Fifty viewers, each of whom gets 4 MiB and sends 1 MiB.
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
	each := (full - empty) / viewers
	t.Logf("resident: %d kB without a viewer, %d kB with %d, %d kB each", empty>>10, full>>10, viewers, each>>10)
	if empty > mostProxyBytes || each > mostViewerBytes {
		t.Error("that is too much")
	}
	r.terminate()
	r.wantExit(0)
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

// What a session's berthd costs at rest, after 1,000 small commands, with 200 programs of which 50 are watched, and after them.
func TestTheSessionIsSmall(t *testing.T) {
	w := open(t, map[string]any{"command": nil})
	r := w.run(nil, "session")
	_, url := r.ports()
	testservice.Until(t, "it is at work", func() bool { return len(w.seen("POST /session/activity")) > 0 })
	ctx := testservice.Context(t)
	processes := berthv1connect.NewProcessServiceClient(testservice.Client(t), url, streamBearer())
	memory := map[string]int{"at rest": residentBytes(t, r.Process.Pid)}
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
	memory["after 1,000 commands"] = residentBytes(t, r.Process.Pid)
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
	memory["with 200 programs, 50 watched"] = residentBytes(t, r.Process.Pid)
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
	memory["after them"] = residentBytes(t, r.Process.Pid)
	t.Logf("descriptors: %d before the 200 programs, %d with them", before, during)
	for what, bytes := range memory {
		t.Logf("resident: %d kB %s", bytes>>10, what)
	}
	if memory["at rest"] > mostSessionBytes {
		t.Error("that is too much at rest")
	}
	if memory["after them"] > 2*mostSessionBytes {
		t.Error("the memory has not come back")
	}
}

// A file of 256 MiB goes up and down, and berthd never holds more than a little of it.
func TestLargeFilesTakeLittleMemory(t *testing.T) {
	const size, most = 256 << 20, 64 << 20
	w := open(t, nil)
	w.env = append(w.env, "BERTH_URL=")
	r := w.run(nil, "session")
	_, url := r.ports()
	ctx := testservice.Context(t)
	files := berthv1connect.NewFileServiceClient(testservice.Client(t), url, streamBearer())
	before, highest := residentBytes(t, r.Process.Pid), 0
	look := func() { highest = max(highest, residentBytes(t, r.Process.Pid)) }

	chunk := make([]byte, 256<<10)
	begun := time.Now()
	up, err := files.Write(ctx)
	w.must(err)
	w.must(up.Send(&v1.WriteRequest{Kind: &v1.WriteRequest_Options{Options: &v1.WriteOptions{Path: "large"}}}))
	for sent := 0; sent < size; sent += len(chunk) {
		w.must(up.Send(&v1.WriteRequest{Kind: &v1.WriteRequest_Data{Data: chunk}}))
		if sent%(16<<20) == 0 {
			look()
		}
	}
	w.must(up.Send(&v1.WriteRequest{Kind: &v1.WriteRequest_End{End: &v1.WriteEnd{}}}))
	_, err = up.CloseAndReceive()
	w.must(err)
	t.Logf("up: %.0f MiB/s", size>>20/time.Since(begun).Seconds())
	begun = time.Now()
	down, err := files.Read(ctx, &v1.ReadRequest{Path: "large"})
	w.must(err)
	got, looked := 0, 0
	for down.Receive() {
		got += len(down.Msg().GetData())
		if got-looked >= 16<<20 {
			looked = got
			look()
		}
	}
	w.must(down.Err())
	t.Logf("down: %.0f MiB/s", size>>20/time.Since(begun).Seconds())
	t.Logf("resident: %d kB before, at most %d kB", before>>10, highest>>10)
	if got != size || highest > before+most {
		t.Errorf("%d bytes came back", got)
	}
}
