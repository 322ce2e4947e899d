// Package activity remembers when the session was last used by programs and transfers of the API.
package activity

import (
	"sync/atomic"
	"time"
)

// Tracker is safe for use by several goroutines. The zero value has never seen any use.
type Tracker struct {
	running atomic.Int64
	last    atomic.Int64
}

// Touch says that the session is being used now.
func (t *Tracker) Touch() { t.last.Store(time.Now().UnixNano()) }

// Begin says that something runs, which is use all the time until the returned function is called.
func (t *Tracker) Begin() (end func()) {
	t.running.Add(1)
	return func() {
		t.Touch()
		t.running.Add(-1)
	}
}

// Last is when the session was last used: now, while something runs; the zero time, if it never was.
func (t *Tracker) Last() time.Time {
	if t.running.Load() > 0 {
		return time.Now()
	}
	if last := t.last.Load(); last != 0 {
		return time.Unix(0, last)
	}
	return time.Time{}
}
