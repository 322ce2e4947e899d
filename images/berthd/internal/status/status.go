// Package status is what Prometheus and the kubelet are told about this session, at :6081/metrics and :6081/ready. No id is a
// label: Prometheus knows the pod.
package status

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Command is the state of the session's command.
type Command string

// Waiting is before the session has a task; None is for a task without a command.
const (
	Waiting Command = "waiting"
	None    Command = "none"
	Running Command = "running"
	Ended   Command = "ended"
)

var commands = []Command{Waiting, None, Running, Ended}

// Status is safe for use by several goroutines.
type Status struct {
	mu      sync.Mutex
	since   time.Time
	command Command
	used    time.Time
	changed chan struct{}
}

// New returns the status of a session that begins now.
func New() *Status {
	now := time.Now()
	return &Status{since: now, command: Waiting, used: now, changed: make(chan struct{}, 1)}
}

// Command is the state of the session's command.
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
	default: // the reader will see this state too
	}
}

// Changed gets something when the command's state has changed. For one reader.
func (s *Status) Changed() <-chan struct{} { return s.changed }

// LastActivity is when the session was last used.
func (s *Status) LastActivity() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.used
}

// Used says that the session was used at a time.
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
	figure("session_uptime_seconds", "For how long it has been running.")
	fmt.Fprintf(&text, "session_uptime_seconds %.3f\n", time.Since(s.since).Seconds())
	figure("session_last_activity_timestamp_seconds", "When somebody or something last used the session.")
	fmt.Fprintf(&text, "session_last_activity_timestamp_seconds %.3f\n", float64(s.used.UnixMilli())/1000)
	figure("session_command", "1 for the state of the agent's command; none: the session has no command.")
	for _, command := range commands {
		value := 0
		if command == s.command {
			value = 1
		}
		fmt.Fprintf(&text, "session_command{state=%q} %d\n", command, value)
	}
	return text.String()
}

// Handler serves /metrics, and /ready with 200 or 503 as `ready` says.
func (s *Status) Handler(ready func() bool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		fmt.Fprint(w, s.metrics())
	})
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) {
		if !ready() {
			http.Error(w, "the desktop is not there yet", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "only /metrics and /ready are here", http.StatusNotFound)
	})
	return mux
}
