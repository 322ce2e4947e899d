// Package reap starts programs, and reaps them and their orphaned processes.
//
// PID 1 must wait for child processes that it did not start. os/exec can't be used for other programs at the same time, because
// this package and os/exec would take each other's exit statuses. So only this package waits for processes, and all parts of
// berthd start their programs here.
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

// ErrEnded is the error of Signal if the program has ended.
var ErrEnded = errors.New("the program has ended")

// Reaper waits for all child processes of this process.
type Reaper struct {
	mu       sync.Mutex
	children map[int]*Child
	ended    chan os.Signal
}

// New returns a Reaper. It reaps processes only while Run runs. This process becomes the parent of its orphaned descendants.
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

// Run reaps child processes until the context ends.
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

// Child is a program that Start has started. It is the leader of a new session and process group.
type Child struct {
	Pid    int
	reaper *Reaper
	status syscall.WaitStatus
	done   chan struct{}
}

// Start starts the command in a new session. The PATH of the command's environment is used to find the program. The command's
// standard streams must be nil or files, because this package does not copy data to other writers.
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

// Done returns a channel that is closed when the program has ended.
func (c *Child) Done() <-chan struct{} { return c.done }

// Signal sends a signal to the program's process group, or returns ErrEnded.
func (c *Child) Signal(number syscall.Signal) error {
	c.reaper.mu.Lock() // while the lock is held, no other program can get the pid
	defer c.reaper.mu.Unlock()
	select {
	case <-c.done:
		return ErrEnded
	default:
		return syscall.Kill(-c.Pid, number)
	}
}

// ExitCode returns the exit code in a shell's convention, and the signal that ended the program, or 0. Call it only after Done.
func (c *Child) ExitCode() (code int, number syscall.Signal) {
	if c.status.Signaled() {
		return 128 + int(c.status.Signal()), c.status.Signal()
	}
	return c.status.ExitStatus(), 0
}

// KillAll kills all programs that still run. The end of PID 1 would kill them too, but berthd may not be PID 1.
func (r *Reaper) KillAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for pid := range r.children {
		_ = syscall.Kill(-pid, syscall.SIGKILL)
	}
}
