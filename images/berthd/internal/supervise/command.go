package supervise

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"syscall"
	"time"

	"berth/berthd/internal/reap"
)

// The exit codes of a shell for a program that it can't run, and for a program that it can't find.
const (
	exitCannotRun = 126
	exitNotFound  = 127
)

// StartCommand starts the session's command in the folder. The command's output goes to the container's output.
func StartCommand(reaper *reap.Reaper, arguments, env []string, folder string) (*reap.Child, error) {
	command := exec.Command(arguments[0], arguments[1:]...)
	command.Env, command.Dir = env, folder
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	return reaper.Start(command)
}

// CodeOfError returns the exit code that a shell would return for a command that can't be started.
func CodeOfError(err error) int {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.ENOEXEC) {
		return exitCannotRun
	}
	return exitNotFound
}

// End sends SIGTERM to the command's process group, and SIGKILL after the grace time.
func End(command *reap.Child, grace time.Duration) {
	if command.Signal(syscall.SIGTERM) != nil {
		return
	}
	select {
	case <-command.Done():
	case <-time.After(grace):
		_ = command.Signal(syscall.SIGKILL)
		<-command.Done()
	}
}
