package session

import (
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// programEnvironment is the container's environment, so that programs find two things in any image:
//
//   - berth-progress: berthd's own folder is in PATH, after the image's folders.
//   - a home: HOME is the workspace, unless it names another folder than / that `canUse` says this user can use. A user whom
//     the image does not know has / otherwise, and nobody can write there.
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

// canUse says whether this user can look for files in the folder.
func canUse(folder string) bool { return unix.Access(folder, unix.R_OK|unix.X_OK) == nil }

// valueOf is the variable's value in the environment, or "".
func valueOf(environment []string, name string) string {
	for _, entry := range environment {
		if value, found := strings.CutPrefix(entry, name+"="); found {
			return value
		}
	}
	return ""
}
