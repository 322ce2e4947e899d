package channel

import (
	"context"
	"errors"
	"net/http"
	"time"

	"berth/berthd/internal/status"
)

const (
	// lookEvery is how often the reporter looks for use that nobody tells it of.
	lookEvery = 5 * time.Second
	// heartbeat is the longest time between two reports.
	heartbeat = 30 * time.Second
	// usedGap is the shortest time between two reports of use alone. The runtime takes a report as use if it is of the last 15 s.
	usedGap = 10 * time.Second
	// endTimeout is what the report of the command's end may take.
	endTimeout = 2 * time.Second
)

// report is what the runtime is told.
type report struct {
	IdleSeconds float64        `json:"idleSeconds"`
	Command     status.Command `json:"command"`
	ExitCode    *int           `json:"exitCode,omitempty"`
}

// told is what the runtime was told last.
type told struct {
	at      time.Time // zero: nothing yet
	used    time.Time
	command status.Command
}

// due says whether the runtime should be told now.
func due(now time.Time, last told, used time.Time, command status.Command) bool {
	since := now.Sub(last.at)
	// A screen's figure comes with some milliseconds of fuzz.
	usedSince := used.Sub(last.used) > time.Second
	return command != last.command || since >= heartbeat || (usedSince && since >= usedGap)
}

// Report tells the runtime of use and of the command's state, when they change and every 30 s, until the context ends. `look`
// brings the time of the last use up to date. `changed` gets something when the command's state changes.
func (c *Client) Report(ctx context.Context, now *status.Status, look func(context.Context), changed <-chan struct{}) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	var last told
	for {
		look(ctx)
		used, command := now.LastActivity(), now.Command()
		if at := time.Now(); due(at, last, used, command) {
			err := c.Call(ctx, http.MethodPost, "/session/activity", report{max(0, at.Sub(used).Seconds()), command, nil}, nil)
			var refused *Refused
			if errors.As(err, &refused) {
				c.Log.Printf("the activity was refused: %v", err)
			}
			last.at = at
			if err == nil { // else it is told again, and soon
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

// Ended tells how the command ended, in one try; the container's exit says it too.
func (c *Client) Ended(ctx context.Context, code int) {
	ctx, cancel := context.WithTimeout(ctx, endTimeout)
	defer cancel()
	_ = c.Call(ctx, http.MethodPost, "/session/activity", report{0, status.Ended, &code}, nil)
}
