package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"syscall"

	"berth/berthd/internal/openfiles"

	"connectrpc.com/connect"
)

// startError converts an error of starting a program to an error with a code for callers.
func startError(err error, cwd string) error {
	if info, folder := os.Stat(cwd); folder != nil || !info.IsDir() {
		// The kernel's error for a missing folder is the same as for a missing program.
		refusal := connect.NewError(connect.CodeNotFound, fmt.Errorf("cwd must be a folder in which a program can start, but %q is not", cwd))
		refusal.Meta().Set("berth-field", "cwd")
		return refusal
	}
	if refusal := openfiles.Refusal(err); refusal != nil {
		return refusal
	}
	code := connect.CodeInternal
	switch {
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		code = connect.CodeNotFound
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.ENOEXEC):
		code = connect.CodePermissionDenied
	case errors.Is(err, syscall.E2BIG), errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.ENAMETOOLONG):
		code = connect.CodeInvalidArgument
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.ENOMEM):
		code = connect.CodeResourceExhausted
	}
	return connect.NewError(code, fmt.Errorf("the program can't be started: %w", err))
}
