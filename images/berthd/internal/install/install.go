// Package install puts berthd into an image that nobody made for it: into a volume that the agent's container mounts.
package install

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

const (
	// Program is the name of berthd in the folder, and ProgressLink the name under which it is `berthd progress`.
	Program      = "berthd"
	ProgressLink = "berth-progress"
)

// Copy copies the running program into the folder, which must be there, and makes the link beside it. Each of the two is there
// whole or not at all, so that a copy that was interrupted can be repeated.
func Copy(folder string) error {
	program, err := os.Open("/proc/self/exe")
	if err != nil {
		return err
	}
	defer program.Close()
	if err := copyAtomic(program, filepath.Join(folder, Program)); err != nil {
		return fmt.Errorf("copy berthd to %s: %w", folder, err)
	}
	err = os.Symlink(Program, filepath.Join(folder, ProgressLink))
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// copyAtomic writes the content to a file beside the target, which then takes the target's place.
func copyAtomic(content io.Reader, target string) (err error) {
	file, err := os.CreateTemp(filepath.Dir(target), ".copy-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(file.Name())
		}
	}()
	_, err = io.Copy(file, content)
	if err == nil {
		err = file.Chmod(0o555)
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), target)
}
