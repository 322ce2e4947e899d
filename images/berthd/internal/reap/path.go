package reap

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// lookPath finds the command's program in the PATH of the command's environment, not in berthd's PATH.
func lookPath(command *exec.Cmd) error {
	name := command.Args[0]
	if strings.Contains(name, "/") {
		return nil
	}
	path := ""
	for _, entry := range command.Env {
		if value, found := strings.CutPrefix(entry, "PATH="); found {
			path = value
		}
	}
	for _, folder := range filepath.SplitList(path) {
		file := filepath.Join(folder, name)
		if !filepath.IsAbs(file) {
			continue
		}
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			command.Path = file
			return nil
		}
	}
	return &exec.Error{Name: name, Err: exec.ErrNotFound}
}
