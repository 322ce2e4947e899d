// Package install copies berthd to a volume that the agent's container mounts, for images that do not contain berthd.
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
	// Program is berthd's file name in the folder. ProgressLink is the name of a link that runs
	// `berthd progress`.
	Program      = "berthd"
	ProgressLink = "berth-progress"
)

// Copy copies the running program into an existing folder, and makes the link ProgressLink in the same folder. Both steps are
// atomic, so that an interrupted copy can be repeated.
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

// copyAtomic writes the content to a temporary file next to the target and renames it to the target.
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
