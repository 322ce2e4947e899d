package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"berth/berthd/internal/screen"
	"berth/berthd/internal/testservice"
)

const token = "6f1e0f5e-3c0e-4c58-9a37-0f6f2f1c9a11.proof"

// berthd is the path of the program, which is built in the same way as for the image.
var berthd string

// TestMain runs the tests. If this test program was started under the name Xvnc, it acts as an X server instead.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "Xvnc" {
		serveX(os.Args[1])
		return
	}
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	folder, err := os.MkdirTemp("", "berthd-")
	if err == nil {
		err = os.Chmod(folder, 0o755) // other users must be able to run berthd
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	berthd = folder + "/berthd"
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", berthd, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "%v\n%s", err, output)
		return 1
	}
	return m.Run()
}

// serveX acts as an X server with one screen and a screen saver, which reports that the user was idle for 4 s. SIGTERM ends
// it.
func serveX(display string) {
	listener, err := net.Listen("unix", screen.SocketOf(display))
	if err != nil {
		panic(err)
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			panic(err)
		}
		go func() {
			defer connection.Close()
			request := make([]byte, 12)
			if _, err := io.ReadFull(connection, request); err != nil {
				return
			}
			// The reply contains the vendor "ab" (padded to 4 bytes), one pixel format, and the root window 0x123 of the
			// first screen.
			setup := make([]byte, 8+32+4+8+40)
			setup[0] = 1
			binary.LittleEndian.PutUint16(setup[6:], uint16(len(setup)-8)/4)
			binary.LittleEndian.PutUint16(setup[24:], 2)
			setup[29] = 1
			binary.LittleEndian.PutUint32(setup[52:], 0x123)
			_, _ = connection.Write(setup)
			for {
				head := make([]byte, 4)
				if _, err := io.ReadFull(connection, head); err != nil {
					return
				}
				rest := make([]byte, 4*int(binary.LittleEndian.Uint16(head[2:]))-4)
				_, _ = io.ReadFull(connection, rest)
				reply := make([]byte, 64) // an unrequested event, followed by the reply
				reply[0], reply[32] = 2, 1
				if head[0] == 98 {
					reply[40], reply[41] = 1, 144
				} else {
					binary.LittleEndian.PutUint32(reply[48:], 4000)
				}
				_, _ = connection.Write(reply)
			}
		}()
	}
}

// call is a request that the fake runtime received.
type call struct {
	what, authorization, prefer string
	body                        map[string]any
}

// world is the environment of a berthd under test: a fake runtime and a folder.
type world struct {
	t      *testing.T
	folder string
	// program is the path of the berthd that the test runs.
	program string
	env     []string
	task    map[string]any
	// answer may answer a request in place of the fake runtime. If it has done so, it returns true.
	answer     func(w http.ResponseWriter, what string) bool
	credential *syscall.Credential // nil means the user of the tests

	mu    sync.Mutex
	calls []call
}

func open(t *testing.T, task map[string]any) *world {
	w := &world{t: t, folder: t.TempDir(), program: berthd, task: task}
	runtime := httptest.NewServer(http.HandlerFunc(w.serve))
	t.Cleanup(runtime.Close)
	w.write("token", token+"\n", 0o600)
	for name, script := range map[string]string{
		"openbox": `sh -c "$2"; echo $$ >> "$FOLDER/openbox-pids"; exec sleep 1000`, "berth-terminal": "exec sleep 1000", "hsetroot": "exit 0",
	} {
		w.write("bin/"+name, "#!/bin/sh\n"+script+"\n", 0o755)
	}
	self, err := os.Executable()
	w.must(err)
	w.must(os.Symlink(self, w.folder+"/bin/Xvnc"))
	w.env = []string{
		"PATH=" + w.folder + "/bin:" + os.Getenv("PATH"), "FOLDER=" + w.folder, "BERTH_URL=" + runtime.URL, "BERTH_TOKEN_FILE=" + w.folder + "/token",
		"BERTH_METRICS_PORT=0", "BERTH_SERVICE_PORT=0", "BERTH_DESKTOP=no", "XDG_RUNTIME_DIR=" + w.folder + "/runtime",
		fmt.Sprintf("BERTH_DISPLAY=:%d", 1000+os.Getpid()%1_000_000), "http_proxy=http://127.0.0.1:1", "BERTH_VNC_PROXY_PORT=0",
		"SCREEN_WIDTH=1280", "SCREEN_HEIGHT=800", "SCREEN_DEPTH=24", "SCREEN_DPI=96",
	}
	w.must(os.MkdirAll(w.folder+"/work", 0o755))
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) write(name, text string, mode os.FileMode) {
	w.t.Helper()
	name = filepath.Join(w.folder, name)
	w.must(os.MkdirAll(filepath.Dir(name), 0o755))
	w.must(os.WriteFile(name, []byte(text), mode))
}

func (w *world) serve(response http.ResponseWriter, request *http.Request) {
	one := call{request.Method + " " + request.URL.Path, request.Header.Get("Authorization"), request.Header.Get("Prefer"), nil}
	_ = json.NewDecoder(request.Body).Decode(&one.body)
	w.mu.Lock()
	w.calls = append(w.calls, one)
	answer := w.answer
	w.mu.Unlock()
	if answer != nil && answer(response, one.what) {
		return
	}
	if one.what != "GET /session/task" {
		response.WriteHeader(http.StatusNoContent)
		return
	}
	_ = json.NewEncoder(response).Encode(w.task)
}

func (w *world) seen(what string) (seen []call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, one := range w.calls {
		if one.what == what {
			seen = append(seen, one)
		}
	}
	return seen
}

func command(arguments ...string) map[string]any { return map[string]any{"command": arguments} }

// running is a berthd process under test.
type running struct {
	*exec.Cmd
	t      *testing.T
	output *output
	exit   chan int
}

type output struct {
	mu   sync.Mutex
	text strings.Builder
}

func (o *output) Write(data []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(data)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func (w *world) run(env []string, arguments ...string) *running {
	w.t.Helper()
	r := &running{exec.Command(w.program, arguments...), w.t, &output{}, make(chan int, 1)}
	r.Env = append(append([]string{}, w.env...), env...)
	r.Dir = w.folder + "/work"
	r.SysProcAttr = &syscall.SysProcAttr{Credential: w.credential}
	r.Stdout, r.Stderr = r.output, r.output
	r.WaitDelay = 2 * time.Second // programs that berthd started may keep its output open
	w.must(r.Start())
	go func() {
		_ = r.Wait()
		r.exit <- r.ProcessState.ExitCode()
	}()
	w.t.Cleanup(func() { _ = r.Process.Kill() })
	return r
}

func (r *running) says(pattern string) []string {
	r.t.Helper()
	expression := regexp.MustCompile(pattern)
	testservice.Until(r.t, "the output of berthd matches "+pattern+" in:\n"+r.output.String(), func() bool { return expression.MatchString(r.output.String()) })
	return expression.FindStringSubmatch(r.output.String())
}

// ports returns the URLs of berthd's metrics and services.
func (r *running) ports() (metrics, services string) {
	found := r.says(`metrics are at port (\d+), services at port (\d+)`)
	return "http://127.0.0.1:" + found[1], "http://127.0.0.1:" + found[2]
}

func (r *running) wantExit(want int) {
	r.t.Helper()
	if got := <-r.exit; got != want {
		r.t.Errorf("berthd ended with %d, not %d:\n%s", got, want, r.output)
	}
}

// residentBytes returns the resident memory of a process.
func residentBytes(t *testing.T, pid int) int {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	kilobytes, err := strconv.Atoi(regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindStringSubmatch(string(text))[1])
	if err != nil {
		t.Fatal(err)
	}
	return kilobytes << 10
}

func (r *running) terminate() { _ = r.Process.Signal(syscall.SIGTERM) }
