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

// What a shell gives for a program that it can't run, or can't find.
const (
	exitCannotRun = 126
	exitNotFound  = 127
)

// StartCommand starts the session's command in the folder. Its output is the container's.
func StartCommand(reaper *reap.Reaper, arguments, env []string, folder string) (*reap.Child, error) {
	command := exec.Command(arguments[0], arguments[1:]...)
	command.Env, command.Dir = env, folder
	command.Stdout, command.Stderr = os.Stdout, os.Stderr
	return reaper.Start(command)
}

// CodeOfError is the exit code that a shell would give for a command that can't be started.
func CodeOfError(err error) int {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.ENOEXEC) {
		return exitCannotRun
	}
	return exitNotFound
}

// End gives the command, and all that it started in its group, a time to end, and then ends it.
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
