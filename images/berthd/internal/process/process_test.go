package process

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	v1 "berth/berthd/gen/berth/v1"
	"berth/berthd/gen/berth/v1/berthv1connect"
	"berth/berthd/internal/activity"
	"berth/berthd/internal/reap"
	"berth/berthd/internal/testservice"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/durationpb"
)

// All tests share one reaper, because a reaper receives every child process of this test process.
var reaper = sync.OnceValue(func() *reap.Reaper {
	r, err := reap.New()
	if err != nil {
		panic(err)
	}
	go r.Run(context.Background())
	return r
})

type fixture struct {
	service   *Service
	client    berthv1connect.ProcessServiceClient
	workspace string
	ctx       context.Context
}

func open(t *testing.T) fixture {
	reaper()
	testservice.NoLeak(t)
	workspace := t.TempDir()
	service := &Service{
		Reaper: reaper(), Workspace: workspace, Activity: &activity.Tracker{},
		Environment: func() []string { return []string{"PATH=" + os.Getenv("PATH"), "PLAIN=plain"} },
	}
	path, handler := berthv1connect.NewProcessServiceHandler(service)
	url, http := testservice.Start(t, path, handler)
	ctx := testservice.Context(t)
	t.Cleanup(func() { // this clean-up must run before the context ends
		service.mu.Lock()
		defer service.mu.Unlock()
		for _, p := range service.programs {
			_ = p.child.Signal(syscall.SIGKILL)
		}
	})
	return fixture{service, berthv1connect.NewProcessServiceClient(http, url), workspace, ctx}
}

// result contains what a stream of events reported about a program.
type result struct {
	id      uint64
	output  map[v1.OutputStream]string
	order   string
	dropped uint64
	ended   *v1.ProcessEnded
}

func (f fixture) run(t *testing.T, request *v1.StartRequest) result {
	t.Helper()
	stream, err := f.client.Start(f.ctx, request)
	if err != nil {
		t.Fatal(err)
	}
	return collect(t, stream)
}

func collect(t *testing.T, stream *connect.ServerStreamForClient[v1.ProcessEvent]) result {
	t.Helper()
	defer stream.Close()
	found := result{output: map[v1.OutputStream]string{}}
	for stream.Receive() {
		switch kind := stream.Msg().Kind.(type) {
		case *v1.ProcessEvent_Started:
			found.id = kind.Started.Id
		case *v1.ProcessEvent_Data:
			found.output[kind.Data.Stream] += string(kind.Data.Data)
			found.order += string(kind.Data.Data)
			found.dropped += kind.Data.Dropped
		case *v1.ProcessEvent_Ended:
			found.ended = kind.Ended
			found.dropped += kind.Ended.Dropped
		}
	}
	if err := stream.Err(); err != nil {
		t.Fatal(err)
	}
	if found.ended == nil {
		t.Fatal("the stream ended before it reported the end of the program")
	}
	return found
}

func shell(script string) *v1.StartRequest {
	return &v1.StartRequest{Command: []string{"sh", "-c", script}}
}

const (
	stdout   = v1.OutputStream_OUTPUT_STREAM_STDOUT
	stderr   = v1.OutputStream_OUTPUT_STREAM_STDERR
	terminal = v1.OutputStream_OUTPUT_STREAM_PTY
)

func TestRunsWithItsFolderEnvironmentAndInput(t *testing.T) {
	f := open(t)
	if err := os.Mkdir(filepath.Join(f.workspace, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	request := shell(`echo "$PLAIN $MORE"; pwd; cat; echo oh >&2; exit 7`)
	request.Cwd, request.Env, request.Stdin = "sub", map[string]string{"MORE": "more"}, []byte("typed\n")
	got := f.run(t, request)
	if want := "plain more\n" + f.workspace + "/sub\ntyped\n"; got.output[stdout] != want {
		t.Errorf("stdout is %q, not %q", got.output[stdout], want)
	}
	if got.output[stderr] != "oh\n" || got.ended.ExitCode != 7 || got.ended.Signal != 0 || got.ended.TimedOut {
		t.Errorf("got %q and %v", got.output[stderr], got.ended)
	}
}

func TestAllOutputBeforeTheEndIsThereAndADaemonDoesNotHoldTheEnd(t *testing.T) {
	f := open(t)
	begun := time.Now()
	got := f.run(t, shell(`sleep 300 & echo $!; head -c 60000 /dev/zero`))
	if len(got.output[stdout]) < 60000 || time.Since(begun) > time.Minute {
		t.Errorf("%d bytes after %v", len(got.output[stdout]), time.Since(begun))
	}
	pid, _, _ := strings.Cut(got.output[stdout], "\n")
	f.run(t, &v1.StartRequest{Command: []string{"kill", pid}})
}

func TestSaysWhyAProgramCannotBeStarted(t *testing.T) {
	f := open(t)
	plain := filepath.Join(f.workspace, "plain")
	if err := os.WriteFile(plain, []byte("no program"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		request *v1.StartRequest
		code    connect.Code
	}{
		"nothing":          {&v1.StartRequest{}, connect.CodeInvalidArgument},
		"unknown name":     {&v1.StartRequest{Command: []string{"no-such-program"}}, connect.CodeNotFound},
		"unknown path":     {&v1.StartRequest{Command: []string{"/no/such"}}, connect.CodeNotFound},
		"not executable":   {&v1.StartRequest{Command: []string{plain}}, connect.CodePermissionDenied},
		"unknown folder":   {&v1.StartRequest{Command: []string{"true"}, Cwd: "none"}, connect.CodeNotFound},
		"NUL in argument":  {&v1.StartRequest{Command: []string{"echo", "a\x00b"}}, connect.CodeInvalidArgument},
		"wrong variable":   {&v1.StartRequest{Command: []string{"true"}, Env: map[string]string{"A=B": ""}}, connect.CodeInvalidArgument},
		"negative timeout": {&v1.StartRequest{Command: []string{"true"}, Timeout: durationpb.New(-1)}, connect.CodeInvalidArgument},
		"no terminal":      {&v1.StartRequest{Command: []string{"true"}, Pty: &v1.PtySize{}}, connect.CodeInvalidArgument},
	} {
		t.Run(name, func(t *testing.T) {
			stream, err := f.client.Start(f.ctx, test.request)
			if err != nil {
				t.Fatal(err)
			}
			defer stream.Close()
			if stream.Receive() {
				t.Fatalf("got %v", stream.Msg())
			}
			if code := connect.CodeOf(stream.Err()); code != test.code {
				t.Errorf("got %v, want %v", stream.Err(), test.code)
			}
		})
	}
	if _, err := f.client.SendInput(f.ctx, &v1.SendInputRequest{Id: 99}); connect.CodeOf(err) != connect.CodeNotFound {
		t.Error(err)
	}
}

func TestTimesOutTheWholeGroup(t *testing.T) {
	f := open(t)
	request := shell(`sleep 300 & trap 'echo bye; exit 3' TERM; wait`)
	request.Timeout = durationpb.New(500 * time.Millisecond)
	got := f.run(t, request)
	if !got.ended.TimedOut || got.ended.ExitCode != 3 || got.output[stdout] != "bye\n" {
		t.Errorf("got %v, %q", got.ended, got.output)
	}
}

func TestASignalEndsItAsAShellWouldSay(t *testing.T) {
	f := open(t)
	id, stream := f.start(t, shell("sleep 300"))
	if _, err := f.client.Signal(f.ctx, &v1.SignalRequest{Id: id, Signal: 9}); err != nil {
		t.Fatal(err)
	}
	if got := collect(t, stream); got.ended.ExitCode != 137 || got.ended.Signal != 9 {
		t.Errorf("got %v", got.ended)
	}
	if _, err := f.client.Signal(f.ctx, &v1.SignalRequest{Id: id, Signal: 9}); connect.CodeOf(err) != connect.CodeFailedPrecondition {
		t.Error(err)
	}
}

// start starts a program and returns when the program has started.
func (f fixture) start(t *testing.T, request *v1.StartRequest) (uint64, *connect.ServerStreamForClient[v1.ProcessEvent]) {
	t.Helper()
	stream, err := f.client.Start(f.ctx, request)
	if err != nil {
		t.Fatal(err)
	}
	if !stream.Receive() {
		t.Fatal(stream.Err())
	}
	return stream.Msg().GetStarted().GetId(), stream
}

func TestStdinStaysOpenUntilItIsClosed(t *testing.T) {
	f := open(t)
	request := &v1.StartRequest{Command: []string{"cat"}, Stdin: []byte("one "), KeepStdin: true}
	id, stream := f.start(t, request)
	if _, err := f.client.SendInput(f.ctx, &v1.SendInputRequest{Id: id, Data: []byte("two")}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.client.CloseStdin(f.ctx, &v1.CloseStdinRequest{Id: id}); err != nil {
		t.Fatal(err)
	}
	if got := collect(t, stream); got.output[stdout] != "one two" {
		t.Errorf("got %q", got.output)
	}
	if _, err := f.client.SendInput(f.ctx, &v1.SendInputRequest{Id: id}); connect.CodeOf(err) != connect.CodeFailedPrecondition {
		t.Error(err)
	}
}

func TestInputThatNobodyReadsEndsWithItsCaller(t *testing.T) {
	f := open(t)
	id, _ := f.start(t, &v1.StartRequest{Command: []string{"sleep", "300"}, KeepStdin: true})
	ctx, cancel := context.WithTimeout(f.ctx, 300*time.Millisecond)
	defer cancel()
	_, err := f.client.SendInput(ctx, &v1.SendInputRequest{Id: id, Data: make([]byte, 1<<20)})
	if connect.CodeOf(err) != connect.CodeDeadlineExceeded {
		t.Error(err)
	}
}

func TestATerminalHasASizeEchoesAndEnds(t *testing.T) {
	f := open(t)
	request := shell(`stty size; read line; stty size; tty >/dev/null && echo "got $line"`)
	request.Pty = &v1.PtySize{Columns: 91, Rows: 17}
	id, stream := f.start(t, request)
	testservice.Until(t, "the program has printed the first size", func() bool { return f.written(t, id) >= len("17 91\r\n") })
	if _, err := f.client.Resize(f.ctx, &v1.ResizeRequest{Id: id, Size: &v1.PtySize{Columns: 120, Rows: 40}}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.client.SendInput(f.ctx, &v1.SendInputRequest{Id: id, Data: []byte("hello\n")}); err != nil {
		t.Fatal(err)
	}
	got := collect(t, stream)
	if want := "17 91\r\nhello\r\n40 120\r\ngot hello\r\n"; got.output[terminal] != want {
		t.Errorf("got %q, not %q", got.output[terminal], want)
	}
}

func (f fixture) written(t *testing.T, id uint64) int {
	t.Helper()
	return int(f.find(t, id).OutputBytes)
}

func (f fixture) find(t *testing.T, id uint64) *v1.Process {
	t.Helper()
	list, err := f.client.List(f.ctx, &v1.ListProcessesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, process := range list.Processes {
		if process.Id == id {
			return process
		}
	}
	t.Fatalf("program %d is not in the list", id)
	return nil
}

func TestAProgramRunsOnWithoutItsStreamAndIsAttachedToAgain(t *testing.T) {
	f := open(t)
	ctx, cancel := context.WithCancel(f.ctx)
	request := shell(`echo first; while [ ! -e go ]; do sleep 0.05; done; echo second`)
	request.Tag = "work"
	stream, err := f.client.Start(ctx, request)
	if err != nil || !stream.Receive() {
		t.Fatal(err)
	}
	id := stream.Msg().GetStarted().Id
	cancel()
	stream.Close()

	testservice.Until(t, "the program has written", func() bool { return f.written(t, id) == len("first\n") })
	if found := f.find(t, id); found.Tag != "work" || found.Ended != nil || found.Command[0] != "sh" {
		t.Errorf("got %v", found)
	}
	if err := os.WriteFile(filepath.Join(f.workspace, "go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	again, err := f.client.Attach(f.ctx, &v1.AttachRequest{Id: id, Offset: uint64(len("fir"))})
	if err != nil {
		t.Fatal(err)
	}
	if got := collect(t, again); got.id != id || got.output[stdout] != "st\nsecond\n" || got.ended.ExitCode != 0 {
		t.Errorf("got %v", got)
	}
	late, err := f.client.Attach(f.ctx, &v1.AttachRequest{Id: id})
	if err != nil {
		t.Fatal(err)
	}
	if got := collect(t, late); got.output[stdout] != "first\nsecond\n" {
		t.Errorf("after the end: %q", got.output)
	}
}

func TestWhatWasDroppedIsSaid(t *testing.T) {
	f := open(t)
	id, stream := f.start(t, shell("head -c 5000000 /dev/zero; echo end"))
	defer stream.Close()
	testservice.Until(t, "the program has ended", func() bool { return f.find(t, id).Ended != nil })
	for _, offset := range []uint64{0, 1} {
		late, err := f.client.Attach(f.ctx, &v1.AttachRequest{Id: id, Offset: offset})
		if err != nil {
			t.Fatal(err)
		}
		got := collect(t, late)
		if total := offset + got.dropped + uint64(len(got.order)); total != 5000004 || got.dropped == 0 {
			t.Errorf("from %d on, %d bytes were dropped and %d were delivered", offset, got.dropped, len(got.order))
		}
		if len(got.order) > keptBytes || len(got.order) < keptBytes-2*chunkBytes || !strings.HasSuffix(got.order, "end\n") {
			t.Errorf("%d bytes were kept", len(got.order))
		}
	}
}

func TestAProgramWaitsForAReaderWhoWantsAll(t *testing.T) {
	f := open(t)
	request := shell("head -c 20000000 /dev/zero; echo end")
	request.WaitForReader = true
	_, stream := f.start(t, request)
	time.Sleep(300 * time.Millisecond) // simulates a slow reader
	if got := collect(t, stream); got.dropped != 0 || len(got.order) != 20000004 {
		t.Errorf("%d bytes were dropped and %d were delivered", got.dropped, len(got.order))
	}
}

func TestOutputAboveTheLimitIsCountedAndThrownAway(t *testing.T) {
	f := open(t)
	request := shell("head -c 100000 /dev/zero")
	request.OutputLimit = 1000
	got := f.run(t, request)
	if len(got.order) != 1000 || got.ended.OutputBytes != 100000 || got.ended.DiscardedBytes != 99000 || got.dropped != 0 {
		t.Errorf("%d bytes and %v", len(got.order), got.ended)
	}
}

func TestARunningProgramIsActivity(t *testing.T) {
	f := open(t)
	if last := f.service.Activity.Last(); !last.IsZero() {
		t.Errorf("the last use was at %v", last)
	}
	id, stream := f.start(t, shell("sleep 300"))
	if since := time.Since(f.service.Activity.Last()); since > time.Second {
		t.Errorf("the last use was %v ago", since)
	}
	if _, err := f.client.Signal(f.ctx, &v1.SignalRequest{Id: id, Signal: 15}); err != nil {
		t.Fatal(err)
	}
	collect(t, stream)
	testservice.Until(t, "the last use is in the past, because no program runs", func() bool {
		return time.Since(f.service.Activity.Last()) >= 20*time.Millisecond
	})
}

func TestWriteLargeInputToAProgramThatDoesNotRead(t *testing.T) {
	f := open(t)
	got := f.run(t, &v1.StartRequest{Command: []string{"true"}, Stdin: bytes.Repeat([]byte("x"), 1<<20)})
	if got.ended.ExitCode != 0 {
		t.Errorf("got %v", got.ended)
	}
}
