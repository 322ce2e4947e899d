// Package reap starts programs and waits for them, and for the orphans that they leave to PID 1.
//
// PID 1 has to wait for children that it never started. os/exec can't be used beside that, because each of the two would
// take the other's exit status. So there is one waiter, and everything in berthd starts its programs here.
package reap

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// ErrEnded says that the program has ended, so that there is nobody to signal.
var ErrEnded = errors.New("the program has ended")

// Reaper waits for all children of this process.
type Reaper struct {
	mu       sync.Mutex
	children map[int]*Child
	ended    chan os.Signal
}

// New returns a Reaper, which waits for nothing before Run. This process becomes the parent of orphans below it.
func New() (*Reaper, error) {
	if os.Getpid() != 1 {
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
			return nil, fmt.Errorf("become the parent of orphans: %w", err)
		}
	}
	r := &Reaper{children: map[int]*Child{}, ended: make(chan os.Signal, 1)}
	signal.Notify(r.ended, syscall.SIGCHLD)
	return r, nil
}

// Run waits for children until the context ends.
func (r *Reaper) Run(ctx context.Context) {
	defer signal.Stop(r.ended)
	for {
		r.reap()
		select {
		case <-ctx.Done():
			return
		case <-r.ended:
		}
	}
}

func (r *Reaper) reap() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		if child := r.children[pid]; child != nil {
			delete(r.children, pid)
			child.status = status
			close(child.done)
		}
	}
}

// Child is a program that Start has started, the leader of a session and process group of its own.
type Child struct {
	Pid    int
	reaper *Reaper
	status syscall.WaitStatus
	done   chan struct{}
}

// Start starts the command in a session of its own. Its program is found by the PATH of its own environment. Its standard streams must be nil or files: nobody copies for others.
func (r *Reaper) Start(command *exec.Cmd) (*Child, error) {
	if command.SysProcAttr == nil {
		command.SysProcAttr = &syscall.SysProcAttr{}
	}
	command.SysProcAttr.Setsid = true
	command.Err = lookPath(command)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := command.Start(); err != nil {
		return nil, err
	}
	child := &Child{Pid: command.Process.Pid, reaper: r, done: make(chan struct{})}
	r.children[child.Pid] = child
	_ = command.Process.Release()
	return child, nil
}

// Done is closed once the program has ended.
func (c *Child) Done() <-chan struct{} { return c.done }

// Signal sends a signal to the program's process group, or returns ErrEnded.
func (c *Child) Signal(number syscall.Signal) error {
	c.reaper.mu.Lock() // as long as the lock is held, the pid is not another program's
	defer c.reaper.mu.Unlock()
	select {
	case <-c.done:
		return ErrEnded
	default:
		return syscall.Kill(-c.Pid, number)
	}
}

// ExitCode is what a shell would give, and the signal that ended the program, or 0. Only after Done.
func (c *Child) ExitCode() (code int, number syscall.Signal) {
	if c.status.Signaled() {
		return 128 + int(c.status.Signal()), c.status.Signal()
	}
	return c.status.ExitStatus(), 0
}

// KillAll ends what is still running. The end of PID 1 would do it too, but berthd need not be PID 1.
func (r *Reaper) KillAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for pid := range r.children {
		_ = syscall.Kill(-pid, syscall.SIGKILL)
	}
}
