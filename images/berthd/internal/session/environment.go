package session

import (
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// programEnvironment returns the container's environment with two corrections for images that do not know Berth:
//
//   - PATH also contains berthd's folder, after the image's folders, so that programs find berth-progress.
//   - HOME is the workspace, unless HOME is already a folder other than / that the session's Linux user can read (`canUse`).
//     Without this correction, a user that the image does not know would have the home /, which is not writable.
func programEnvironment(container []string, workspace, ownFolder string, canUse func(folder string) bool) []string {
	home, path := valueOf(container, "HOME"), valueOf(container, "PATH")
	if home == "" || home == "/" || !canUse(home) {
		home = workspace
	}
	folders := filepath.SplitList(path)
	if !slices.Contains(folders, ownFolder) {
		folders = append(folders, ownFolder)
	}
	rest := slices.DeleteFunc(slices.Clone(container), func(entry string) bool {
		return strings.HasPrefix(entry, "HOME=") || strings.HasPrefix(entry, "PATH=")
	})
	return append(rest, "HOME="+home, "PATH="+strings.Join(folders, string(filepath.ListSeparator)))
}

// canUse returns whether the Linux user of this process can list the folder and enter it.
func canUse(folder string) bool { return unix.Access(folder, unix.R_OK|unix.X_OK) == nil }

// valueOf returns the variable's value in the environment, or "".
func valueOf(environment []string, name string) string {
	for _, entry := range environment {
		if value, found := strings.CutPrefix(entry, name+"="); found {
			return value
		}
	}
	return ""
}
