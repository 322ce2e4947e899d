// Package status serves the session's metrics for Prometheus at :6081/metrics and its readiness for the startup probe at
// :6081/ready. The metrics have no session id as a label, because Prometheus knows the pod.
package status

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Command is the state of the session's command.
type Command string

// Waiting is the state before the session has a task. None is the state if the task has no command.
const (
	Waiting Command = "waiting"
	None    Command = "none"
	Running Command = "running"
	Ended   Command = "ended"
)

var commands = []Command{Waiting, None, Running, Ended}

// Status is the state of a session. Several goroutines may use it.
type Status struct {
	mu      sync.Mutex
	since   time.Time
	command Command
	used    time.Time
	changed chan struct{}
}

// New returns the status of a session that starts now.
func New() *Status {
	now := time.Now()
	return &Status{since: now, command: Waiting, used: now, changed: make(chan struct{}, 1)}
}

// Command returns the state of the session's command.
func (s *Status) Command() Command {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.command
}

// SetCommand changes the state of the session's command.
func (s *Status) SetCommand(command Command) {
	s.mu.Lock()
	s.command = command
	s.mu.Unlock()
	select {
	case s.changed <- struct{}{}:
	default: // the channel already holds a value, so the reader will read this state too
	}
}

// Changed returns a channel that receives a value when the command's state has changed. It supports one reader.
func (s *Status) Changed() <-chan struct{} { return s.changed }

// LastActivity returns when the session was last used.
func (s *Status) LastActivity() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used
}

// Used records that the session was used at a time.
func (s *Status) Used(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at.After(s.used) {
		s.used = at
	}
}

func (s *Status) metrics() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var text strings.Builder
	figure := func(name, help string) { fmt.Fprintf(&text, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name) }
	figure("session_up", "1 while berthd runs.")
	text.WriteString("session_up 1\n")
	figure("session_uptime_seconds", "Seconds since berthd started.")
	fmt.Fprintf(&text, "session_uptime_seconds %.3f\n", time.Since(s.since).Seconds())
	figure("session_last_activity_timestamp_seconds", "Unix time of the session's last use.")
	fmt.Fprintf(&text, "session_last_activity_timestamp_seconds %.3f\n", float64(s.used.UnixMilli())/1000)
	figure("session_command", "1 for the current state of the agent's command; the state none means that the session has no command.")
	for _, command := range commands {
		value := 0
		if command == s.command {
			value = 1
		}
		fmt.Fprintf(&text, "session_command{state=%q} %d\n", command, value)
	}
	return text.String()
}

// Handler returns a handler for /metrics and /ready. /metrics adds the text of `more`. /ready answers 200 if `ready` returns
// true, and else 503.
func (s *Status) Handler(ready func() bool, more func(context.Context) string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		fmt.Fprint(w, s.metrics(), more(r.Context()))
	})
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) {
		if !ready() {
			http.Error(w, "the desktop is not ready yet", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "this port serves only /metrics and /ready", http.StatusNotFound)
	})
	return mux
}
