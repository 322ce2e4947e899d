package channel

import (
	"context"
	"errors"
	"net/http"
	"time"

	"berth/berthd/internal/status"
)

const (
	// useCheckInterval is how often the reporter checks whether the session was used.
	useCheckInterval = 5 * time.Second
	// heartbeat is the longest time between two reports.
	heartbeat = 30 * time.Second
	// usedGap is the shortest time between two reports if only the time of the last use has changed. The runtime counts a
	// report as use if the last use was within 15 s.
	usedGap = 10 * time.Second
	// endTimeout is the time limit for the report that the command has ended.
	endTimeout = 2 * time.Second
)

// report is the content of a report to the runtime.
type report struct {
	IdleSeconds float64        `json:"idleSeconds"`
	Command     status.Command `json:"command"`
	ExitCode    *int           `json:"exitCode,omitempty"`
}

// accepted stores the content and the time of the last report that the runtime has accepted.
type accepted struct {
	at      time.Time // zero: no report yet
	used    time.Time
	command status.Command
}

// due returns whether a new report should be sent now.
func due(now time.Time, last accepted, used time.Time, command status.Command) bool {
	since := now.Sub(last.at)
	// The screen's idle time is inaccurate by some milliseconds, so smaller differences don't count.
	usedSince := used.Sub(last.used) > time.Second
	return command != last.command || since >= heartbeat || (usedSince && since >= usedGap)
}

// Report reports the time of the last use and the command's state to the runtime, when they change and every 30 s, until the
// context ends. `noteUse` updates the time of the last use. `changed` receives a value when the command's state changes.
func (c *Client) Report(ctx context.Context, now *status.Status, noteUse func(context.Context), changed <-chan struct{}) {
	ticker := time.NewTicker(useCheckInterval)
	defer ticker.Stop()
	var last accepted
	for {
		noteUse(ctx)
		used, command := now.LastActivity(), now.Command()
		if at := time.Now(); due(at, last, used, command) {
			err := c.Call(ctx, http.MethodPost, "/session/activity", report{max(0, at.Sub(used).Seconds()), command, nil}, nil)
			var refused *Refused
			if errors.As(err, &refused) {
				c.Log.Printf("the activity was refused: %v", err)
			}
			last.at = at
			if err == nil { // after an error, the change is reported again soon
				last.used, last.command = used, command
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		case <-ticker.C:
		}
	}
}

// Ended reports how the command ended, in one attempt, because the container's exit code shows the same.
func (c *Client) Ended(ctx context.Context, code int) {
	ctx, cancel := context.WithTimeout(ctx, endTimeout)
	defer cancel()
	_ = c.Call(ctx, http.MethodPost, "/session/activity", report{0, status.Ended, &code}, nil)
}
