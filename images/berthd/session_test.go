package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	v1 "berth/berthd/gen/berth/v1"
	"berth/berthd/gen/berth/v1/berthv1connect"
	"berth/berthd/internal/testservice"

	"connectrpc.com/connect"
	"golang.org/x/sys/unix"
)

func (w *world) read(name string) string {
	text, _ := os.ReadFile(w.folder + "/" + name)
	return string(text)
}

func TestTheCommandRunsInTheWorkspaceWithItsEnvironmentAndSecrets(t *testing.T) {
	task := command("sh", "-c", `echo "$PLAIN $HIDDEN" >out; pwd >>out; exit 7`)
	task["env"], task["secrets"] = map[string]string{"PLAIN": "plain"}, map[string]string{"HIDDEN": "hunter2"}
	w := open(t, task)
	r := w.run(nil, "session")
	r.wantExit(7)
	if got, want := w.read("work/out"), "plain hunter2\n"+w.folder+"/work\n"; got != want {
		t.Errorf("got %q, not %q", got, want)
	}
	var ends []map[string]any
	for _, one := range w.seen("POST /session/activity") {
		if one.body["command"] == "ended" && one.body["exitCode"] != nil {
			ends = append(ends, one.body)
		}
	}
	if want := []map[string]any{{"idleSeconds": 0.0, "command": "ended", "exitCode": 7.0}}; !reflect.DeepEqual(ends, want) {
		t.Errorf("reports to the runtime: %v", ends)
	}
	for _, one := range w.calls {
		if one.authorization != "Bearer "+token {
			t.Errorf("%s had the authorization %q", one.what, one.authorization)
		}
	}
	if len(w.seen("GET /session/task")) != 1 || strings.Contains(r.output.String(), "hunter2") {
		t.Errorf("the output is %s", r.output)
	}
}

func TestNothingOfTheTaskStartsBeforeTheRuntimeKnowsThatItWasTaken(t *testing.T) {
	w := open(t, command("sh", "-c", "touch ran"))
	refusals, early := 2, false
	w.answer = func(response http.ResponseWriter, what string) bool {
		if what != "POST /session/task/taken" || refusals == 0 {
			return false
		}
		refusals--
		_, err := os.Stat(w.folder + "/work/ran")
		early = early || err == nil
		response.WriteHeader(http.StatusServiceUnavailable)
		return true
	}
	w.run(nil, "session").wantExit(0)
	if tasks, taken := w.seen("GET /session/task"), w.seen("POST /session/task/taken"); early || len(tasks) != 1 || len(taken) != 3 {
		t.Errorf("started early: %v, asked for the task %d times, confirmed it %d times", early, len(tasks), len(taken))
	}
}

func TestARuntimeOfAVersionBeforeIsNotToldThatTheTaskWasTaken(t *testing.T) {
	w := open(t, command("touch", "ran"))
	w.answer = func(response http.ResponseWriter, what string) bool {
		if what != "POST /session/task/taken" {
			return false
		}
		response.WriteHeader(http.StatusNotFound)
		return true
	}
	w.run(nil, "session").wantExit(0)
}

func TestACommandThatCannotBeStartedEndsWithTheCodeOfAShell(t *testing.T) {
	for _, test := range []struct {
		task map[string]any
		code int
	}{
		{command("/nothing/here"), 127}, {command("no-such-program"), 127}, {command("../token"), 126}, {command("sh", "-c", "kill -9 $$"), 137},
	} {
		open(t, test.task).run(nil, "session").wantExit(test.code)
	}
}

func TestOnSIGTERMTheCommandMayEndInItsOwnWay(t *testing.T) {
	w := open(t, command("sh", "-c", `trap "echo bye >out; exit 3" TERM; touch started; while :; do sleep 0.1; done`))
	r := w.run(nil, "session")
	testservice.Until(t, "the command has started", func() bool { _, err := os.Stat(w.folder + "/work/started"); return err == nil })
	r.terminate()
	r.wantExit(143)
	if got := w.read("work/out"); got != "bye\n" {
		t.Errorf("got %q", got)
	}
}

func TestAWarmPodWaitsForItsOwner(t *testing.T) {
	w := open(t, command("touch", "ran"))
	early, asked := 3, time.Time{}
	w.answer = func(response http.ResponseWriter, what string) bool {
		if what != "GET /session/task" || early == 0 {
			asked = time.Now()
			return false
		}
		early--
		if early == 1 { // the runtime's long poll ended before the session had an owner
			time.Sleep(1100 * time.Millisecond)
			response.Header().Set("Retry-After", "0")
		} else {
			response.Header().Set("Retry-After", "1")
		}
		response.WriteHeader(http.StatusConflict)
		fmt.Fprint(response, `{"detail":"The session has not been claimed yet."}`)
		return true
	}
	r := w.run(nil, "session")
	r.wantExit(0)
	if tasks := w.seen("GET /session/task"); len(tasks) != 4 || tasks[0].prefer != "wait=25" {
		t.Errorf("requests %v until %v", tasks, asked)
	}
	if said := r.output.String(); strings.Count(said, "has not been claimed yet") != 1 {
		t.Errorf("the output is %s", said)
	}
}

func TestARuntimeThatIsAwayIsAskedAgain(t *testing.T) {
	w := open(t, command("touch", "done"))
	asked := 0
	w.answer = func(response http.ResponseWriter, what string) bool {
		if what != "GET /session/task" {
			return false
		}
		if asked++; asked > 2 {
			return false
		}
		response.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprint(response, `{"detail":"The database can't be reached"}`)
		return true
	}
	r := w.run(nil, "session")
	r.wantExit(0)
	r.says("503 The database can't be reached; trying again")

	away := open(t, nil)
	r = away.run([]string{"BERTH_URL=http://127.0.0.1:1"}, "session")
	r.says("trying again")
	r.terminate()
	r.wantExit(143)
}

func TestWithoutACommandItStaysAndSaysHowItIs(t *testing.T) {
	w := open(t, map[string]any{"command": nil, "env": map[string]string{}, "secrets": map[string]string{}})
	r := w.run(nil, "session")
	metrics, _ := r.ports()
	testservice.Until(t, "berthd has reported that there is no command", func() bool {
		reports := w.seen("POST /session/activity")
		return len(reports) > 0 && reports[len(reports)-1].body["command"] == "none"
	})
	if ready := w.seen("POST /session/ready"); len(ready) != 1 || ready[0].body["desktop"] != false {
		t.Errorf("reports to the runtime: %v", ready)
	}
	for path, want := range map[string]string{
		"/metrics": "session_command{state=\"none\"} 1\n", "/metrics?": "\nsession_memory_bytes ",
		"/ready": "ready\n", "/": "this port serves only /metrics and /ready\n",
	} {
		response, err := http.Get(metrics + path)
		w.must(err)
		text, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if !strings.Contains(string(text), want) || strings.Contains(string(text), token[:36]) {
			t.Errorf("%s: %d %s", path, response.StatusCode, text)
		}
	}
	r.terminate()
	r.wantExit(143)
}

// becomesReady runs `berthd ready` until it ends with 0. One run gives up after 3 seconds, which a busy machine may need.
func (w *world) becomesReady(env []string, ports ...string) {
	w.t.Helper()
	testservice.Until(w.t, "`berthd ready` ends with 0", func() bool {
		return <-w.run(env, append([]string{"ready"}, ports...)...).exit == 0
	})
}

func TestReadySucceedsOnceTheSessionAndTheNamedPortsAreThere(t *testing.T) {
	w := open(t, nil)
	w.env = append(w.env, "BERTH_URL=")
	metrics, services := w.run(nil, "session").ports()
	portOf := func(url string) string { return url[strings.LastIndex(url, ":")+1:] }
	asked := []string{"BERTH_METRICS_PORT=" + portOf(metrics)}
	w.becomesReady(asked)
	w.becomesReady(asked, portOf(services))
	closed := w.run(asked, "ready", "1")
	closed.wantExit(1)
	closed.says("nothing listens at port 1 yet")
	w.run([]string{"BERTH_METRICS_PORT=1"}, "ready").wantExit(1)
	w.run(asked, "ready", "x").wantExit(2)
}

func TestReadyWaitsForTheSession(t *testing.T) {
	w := open(t, nil)
	asked := 0
	notYet := http.HandlerFunc(func(answer http.ResponseWriter, _ *http.Request) {
		if asked++; asked < 3 {
			answer.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	server := httptest.NewServer(notYet)
	defer server.Close()
	w.becomesReady([]string{"BERTH_METRICS_PORT=" + server.URL[strings.LastIndex(server.URL, ":")+1:]})
	if asked != 3 {
		t.Errorf("the session was asked %d times", asked)
	}
}

func TestReadyFailsWhileTheDesktopIsNotThere(t *testing.T) {
	w := open(t, nil)
	w.write("bin/openbox", "#!/bin/sh\nexec sleep 1000\n", 0o755) // a window manager that never reports that it runs
	session := w.run([]string{"BERTH_DESKTOP=yes"}, "session")
	metrics, _ := session.ports()
	ready := w.run([]string{"BERTH_METRICS_PORT=" + metrics[strings.LastIndex(metrics, ":")+1:]}, "ready")
	ready.wantExit(1)
	ready.says("the session is not ready yet")
	session.terminate()
	session.wantExit(143)
}

func bearer(token string) connect.ClientOption {
	return connect.WithInterceptors(connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, request connect.AnyRequest) (connect.AnyResponse, error) {
			request.Header().Set("Authorization", "Bearer "+token)
			return next(ctx, request)
		}
	}))
}

func TestServesWhoHasTheTokenOverHTTP1And2(t *testing.T) {
	w := open(t, nil)
	w.env = append(w.env, "BERTH_URL=")
	r := w.run(nil, "session")
	_, url := r.ports()
	w.write("work/file", "hello", 0o644)
	for name, client := range map[string]*http.Client{"HTTP/1.1": http.DefaultClient, "HTTP/2": testservice.Client(t)} {
		t.Run(name, func(t *testing.T) {
			ctx := testservice.Context(t)
			for _, options := range [][]connect.ClientOption{{bearer(token)}, {bearer(token), connect.WithProtoJSON()}} {
				files := berthv1connect.NewFileServiceClient(client, url, options...)
				if got, err := files.Stat(ctx, &v1.StatRequest{Path: "file"}); err != nil || got.Info.Size != 5 {
					t.Errorf("got %v, %v", got, err)
				}
			}
			for _, wrong := range []string{"", token + "x", "x"} {
				files := berthv1connect.NewFileServiceClient(client, url, bearer(wrong))
				if _, err := files.Stat(ctx, &v1.StatRequest{Path: "file"}); connect.CodeOf(err) != connect.CodeUnauthenticated {
					t.Errorf("with the token %q: %v", wrong, err)
				}
				processes := berthv1connect.NewProcessServiceClient(client, url)
				stream, err := processes.Start(ctx, &v1.StartRequest{Command: []string{"touch", "wrong"}})
				w.must(err)
				if stream.Receive() || connect.CodeOf(stream.Err()) != connect.CodeUnauthenticated {
					t.Errorf("a stream with a wrong token: %v", stream.Err())
				}
				stream.Close()
			}
		})
	}
	if _, err := os.Stat(w.folder + "/work/wrong"); err == nil {
		t.Error("a program ran without a token")
	}
}

// The test takes file descriptors from berthd, and gives them back.
func TestAFileThatCannotBeOpenedForNowIsNoFullDisk(t *testing.T) {
	w := open(t, nil)
	w.env = append(w.env, "BERTH_URL=")
	r := w.run(nil, "session")
	_, url := r.ports()
	client := testservice.Client(t) // all requests use one connection, because berthd could not accept another
	put := func() (status int, reason, text string) {
		request, err := http.NewRequestWithContext(testservice.Context(t), "PUT", url+"/files?path=folder/file&parents=true", strings.NewReader("x"))
		w.must(err)
		request.Header.Set("Authorization", "Bearer "+token)
		response, err := client.Do(request)
		w.must(err)
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		w.must(err)
		return response.StatusCode, response.Header.Get("berth-reason"), string(body)
	}
	if status, _, text := put(); status != http.StatusOK {
		t.Fatal(text)
	}
	var limit unix.Rlimit
	w.must(unix.Prlimit(r.Process.Pid, unix.RLIMIT_NOFILE, nil, &limit))
	free := uint64(0)
	for exists := true; exists; free++ {
		_, err := os.Lstat(fmt.Sprintf("/proc/%d/fd/%d", r.Process.Pid, free))
		exists = err == nil
	}
	// Without a further descriptor, berthd can't read its token. With one, it can't open the folder and the file.
	for _, most := range []uint64{0, free} {
		w.must(unix.Prlimit(r.Process.Pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: most, Max: limit.Max}, nil))
		status, reason, text := put()
		if status == http.StatusOK || reason != "open-files" || !strings.Contains(text, "no further file can be opened at the moment: ") {
			t.Errorf("with %d descriptors: %d, %q and %s", most, status, reason, text)
		}
	}
	w.must(unix.Prlimit(r.Process.Pid, unix.RLIMIT_NOFILE, &limit, nil))
	if status, _, text := put(); status != http.StatusOK {
		t.Error(text)
	}
}

func TestOrphansAreReaped(t *testing.T) {
	w := open(t, command("sh", "-c", `for i in $(seq 100); do (sleep 0.01 & echo $! >>pids); done; touch done; exec sleep 1000`))
	w.run(nil, "session")
	testservice.Until(t, "all programs have started", func() bool { _, err := os.Stat(w.folder + "/work/done"); return err == nil })
	pids := strings.Fields(w.read("work/pids"))
	testservice.Until(t, "all orphans are reaped", func() bool {
		for _, pid := range pids {
			number, _ := strconv.Atoi(pid)
			if syscall.Kill(number, 0) == nil {
				return false
			}
		}
		return len(pids) == 100
	})
}

// A session's programs run as the same user as berthd, but must not be able to read berthd's environment and memory.
func TestItsMemoryIsHidden(t *testing.T) {
	const user = 10001
	if os.Getuid() != 0 {
		t.Skip("only root can start a program of another user")
	}
	w := open(t, nil)
	w.must(os.Chmod(w.folder+"/token", 0o644))
	w.must(os.Chmod(filepath.Dir(w.folder), 0o755))
	w.credential = &syscall.Credential{Uid: user, Gid: user}
	w.env = append(w.env, "BERTH_URL=")
	r := w.run(nil, "session")
	r.ports()
	for _, file := range []string{"environ", "mem", "maps"} {
		read := exec.Command("cat", fmt.Sprintf("/proc/%d/%s", r.Process.Pid, file))
		read.SysProcAttr = &syscall.SysProcAttr{Credential: w.credential}
		if output, err := read.CombinedOutput(); err == nil || !strings.Contains(string(output), "Permission denied") {
			t.Errorf("%s: %v, %q", file, err, output)
		}
	}
}

func TestTheDesktopComesUpAndItsPartsAreStartedAgain(t *testing.T) {
	w := open(t, map[string]any{"command": nil})
	r := w.run([]string{"BERTH_DESKTOP=auto"}, "session")
	testservice.Until(t, "berthd has reported activity", func() bool { return len(w.seen("POST /session/activity")) > 0 })
	if ready := w.seen("POST /session/ready"); len(ready) != 1 || ready[0].body["desktop"] != true {
		t.Errorf("reports to the runtime: %v", ready)
	}
	reports := w.seen("POST /session/activity")
	if idle := reports[len(reports)-1].body["idleSeconds"].(float64); idle > 6 {
		t.Errorf("the reported idle time is %v s", idle)
	}
	pids := func() []string { return strings.Fields(w.read("openbox-pids")) }
	testservice.Until(t, "the window manager runs", func() bool { return len(pids()) == 1 })
	pid, err := strconv.Atoi(pids()[0])
	w.must(err)
	w.must(syscall.Kill(pid, syscall.SIGKILL))
	testservice.Until(t, "the restarted window manager runs", func() bool { return len(pids()) == 2 })
	r.terminate()
	r.wantExit(143)
}

func TestAnXServerThatDiesEndsTheContainerWithAnErrorThatSaysSo(t *testing.T) {
	w := open(t, command("sh", "-c", `trap "" TERM; echo $$ >pid; kill -9 $(pgrep -x Xvnc -P $PPID); exec sleep 1000`))
	r := w.run([]string{"BERTH_DESKTOP=yes"}, "session")
	r.wantExit(1)
	r.says("the X server ended with code 137")
	// When PID 1 of a container ends, the kernel ends all processes. Berthd does the same here, where it is not PID 1.
	pid, err := strconv.Atoi(strings.TrimSpace(w.read("work/pid")))
	w.must(err)
	testservice.Until(t, "the command has ended", func() bool { return syscall.Kill(pid, 0) != nil })
}

func TestSaysWhatIsWrongWithItsEnvironment(t *testing.T) {
	w := open(t, nil)
	r := w.run([]string{"BERTH_DESKTOP=yes", "SCREEN_DPI=9", "SCREEN_DEPTH=8", "BERTH_SERVICE_PORT=x"}, "session")
	r.wantExit(1)
	for _, fault := range []string{
		"SCREEN_DPI must be a whole number from 48 to 480, but is '9'", "SCREEN_DEPTH must be 16 or 24, but is '8'", "BERTH_SERVICE_PORT must be a port",
	} {
		r.says(fault)
	}
	w.run(nil, "nonsense").wantExit(2)
}

func TestACopyServesAnImageThatHasNothingOfBerths(t *testing.T) {
	w := open(t, command("sh", "-c", `echo "$HOME" >out; berth-progress "Half way"`))
	w.must(os.Mkdir(w.folder+"/copied", 0o777))
	w.run(nil, "copy", w.folder+"/copied").wantExit(0)
	w.program = w.folder + "/copied/berthd"
	w.run([]string{"HOME=/", "BERTH_WORKSPACE=" + w.folder + "/work"}, "session").wantExit(0)
	if reports := w.seen("POST /session/progress"); len(reports) != 1 || reports[0].body["message"] != "Half way" {
		t.Errorf("reports to the runtime: %v", reports)
	}
	if got, want := w.read("work/out"), w.folder+"/work\n"; got != want {
		t.Errorf("the command's HOME is %q, not %q", got, want)
	}
	missing := w.run(nil, "copy", w.folder+"/missing")
	missing.wantExit(1)
	missing.says("/missing")
}

func TestProgressIsReportedAndABusyRuntimeIsAskedAgain(t *testing.T) {
	w := open(t, nil)
	busy := 1
	w.answer = func(response http.ResponseWriter, what string) bool {
		reports := w.seen(what)
		if reports[len(reports)-1].body["message"] == "wrong" {
			response.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(response, `{"detail":"percent must be at most 100."}`)
			return true
		}
		if busy--; busy < 0 {
			return false
		}
		response.Header().Set("Retry-After", "1")
		response.WriteHeader(http.StatusTooManyRequests)
		return true
	}
	w.run(nil, "progress", "Reading", "40").wantExit(0)
	if reports := w.seen("POST /session/progress"); len(reports) != 2 || !reflect.DeepEqual(reports[1].body, map[string]any{"message": "Reading", "percent": 40.0}) {
		t.Errorf("reports to the runtime: %v", reports)
	}
	wrong := w.run(nil, "progress", "wrong", "400")
	wrong.wantExit(1)
	wrong.says("400 percent must be at most 100.")
	usage := w.run(nil, "progress")
	usage.wantExit(1)
	usage.says("usage")
}
