package channel

import (
	"context"
	"errors"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"berth/berthd/internal/auth"
	"berth/berthd/internal/status"
	"berth/berthd/internal/testservice"
)

func TestAReportIsDueWhenSomethingChangesOrAfterAWhile(t *testing.T) {
	now := time.Now()
	ago := func(seconds float64) time.Time { return now.Add(-time.Duration(seconds * float64(time.Second))) }
	for name, test := range map[string]struct {
		last    accepted
		used    time.Time
		command status.Command
		want    bool
	}{
		"the first report":                 {accepted{}, ago(100), status.Waiting, true},
		"nothing has changed":              {accepted{ago(20), ago(100), status.Running}, ago(100), status.Running, false},
		"the idle time differs a little":   {accepted{ago(20), ago(100), status.Running}, ago(99.5), status.Running, false},
		"after 30 s":                       {accepted{ago(30), ago(100), status.Running}, ago(100), status.Running, true},
		"a user has typed":                 {accepted{ago(11), ago(100), status.None}, ago(2), status.None, true},
		"a user types all the time":        {accepted{ago(9), ago(9), status.None}, ago(0), status.None, false},
		"the command started a moment ago": {accepted{ago(0.1), ago(100), status.Waiting}, ago(100), status.Running, true},
		"no report said that it was used":  {accepted{ago(10), time.Time{}, status.None}, ago(10), status.None, true},
	} {
		if got := due(now, test.last, test.used, test.command); got != test.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

func TestHowLongItWaits(t *testing.T) {
	second := time.Second
	zero := time.Duration(0)
	for name, test := range map[string]struct {
		err               error
		attempt           int
		took              time.Duration
		shortest, longest time.Duration
		next              int
	}{
		"no answer":                     {errors.New("away"), 0, 0, 125 * time.Millisecond, 250 * time.Millisecond, 1},
		"no answer, again":              {errors.New("away"), 3, 0, time.Second, 2 * time.Second, 4},
		"no answer, many times":         {errors.New("away"), 10, 0, 15 * time.Second, 30 * time.Second, 10},
		"an error without Retry-After":  {&Refused{Status: 503}, 1, 0, 250 * time.Millisecond, 500 * time.Millisecond, 2},
		"the runtime sends Retry-After": {&Refused{Status: 409, RetryAfter: &second}, 7, 0, second, second, 0},
		"a long poll reached its limit": {&Refused{Status: 409, RetryAfter: &zero}, 7, 25 * time.Second, 0, 0, 0},
		"the runtime answered at once":  {&Refused{Status: 409, RetryAfter: &zero}, 7, 0, 250 * time.Millisecond, 250 * time.Millisecond, 0},
	} {
		pause, next := pauseAfter(test.err, test.attempt, test.took)
		if pause < test.shortest || pause > test.longest || next != test.next {
			t.Errorf("%s: %v, then attempt %d", name, pause, next)
		}
	}
}

func TestItsClaimIsKnownAtOnceAndItEndsWithItsContext(t *testing.T) {
	testservice.NoLeak(t)
	claimed := make(chan struct{})
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			return // the request that confirms the task
		}
		asked.Add(1)
		select {
		case <-claimed:
			_, _ = w.Write([]byte(`{"command":["true"],"env":{"A":"b"},"secrets":{}}`))
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(server.Close)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	client := NewClient(server.URL, auth.TokenFile(token), log.Default())
	t.Cleanup(client.Close)

	ctx, cancel := context.WithCancel(testservice.Context(t))
	ended := make(chan error)
	go func() { _, err := client.Task(ctx); ended <- err }()
	testservice.Until(t, "the client has asked for the task", func() bool { return asked.Load() == 1 })
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}

	var since time.Time
	go func() {
		testservice.Until(t, "the client has asked for the task again", func() bool { return asked.Load() == 2 })
		since = time.Now()
		close(claimed)
	}()
	task, err := client.Task(testservice.Context(t))
	if err != nil || task.Env["A"] != "b" || asked.Load() != 2 {
		t.Errorf("got %v, %v after %d requests", task, err, asked.Load())
	}
	if took := time.Since(since); took > 5*time.Second { // it takes milliseconds on an idle machine
		t.Errorf("the client got the task after %v", took)
	}
}
