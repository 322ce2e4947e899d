// Package activity records when the session was last used through the API or a port. Uses are: a program, until the program ends;
// output that is read, and input; a file or folder that is read or changed; and bytes to or from a port.
package activity

import (
	"sync/atomic"
	"time"
)

// Tracker records when the session was last used. Several goroutines may use a Tracker. Its zero value means that the
// session was never used.
type Tracker struct {
	running atomic.Int64
	last    atomic.Int64
}

// Touch records that the session is used now.
func (t *Tracker) Touch() { t.last.Store(time.Now().UnixNano()) }

// Begin records that the session is used from now on, until the returned function is called.
func (t *Tracker) Begin() (end func()) {
	t.running.Add(1)
	return func() {
		t.Touch()
		t.running.Add(-1)
	}
}

// Last returns when the session was last used: now, if a use has begun and not ended; the zero time, if there was no use.
func (t *Tracker) Last() time.Time {
	if t.running.Load() > 0 {
		return time.Now()
	}
	if last := t.last.Load(); last != 0 {
		return time.Unix(0, last)
	}
	return time.Time{}
}
