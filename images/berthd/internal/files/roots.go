// Package files serves the files that callers may access in a session.
//
// Every access uses os.Root, which resolves each path inside a root. So neither `..` nor a symlink leads out of the root,
// even if the agent changes folders at the same time.
package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"berth/berthd/internal/openfiles"

	"connectrpc.com/connect"
	"golang.org/x/sys/unix"
)

// Roots are the folders that callers may access.
type Roots struct {
	roots []*root
	// kernel has the device numbers of the kernel's file systems, such as /proc. No file on them is served.
	kernel map[uint64]bool
}

type root struct {
	path string // absolute and clean
	*os.Root
}

// kernelFolders are the mount points of the kernel's file systems.
var kernelFolders = []string{"/proc", "/sys", "/sys/fs/cgroup", "/dev", "/dev/pts", "/dev/mqueue", "/sys/kernel/security"}

// OpenRoots opens the folders. Relative paths start at the first folder.
func OpenRoots(folders ...string) (*Roots, error) {
	rs := &Roots{kernel: map[uint64]bool{}}
	for _, folder := range kernelFolders {
		var stat, above unix.Stat_t
		if unix.Stat(folder, &stat) != nil || unix.Stat(path.Dir(folder), &above) != nil {
			continue
		}
		// A folder on the same device as its parent is no mount point, so it contains no kernel files in this container.
		if stat.Dev != above.Dev {
			rs.kernel[stat.Dev] = true
		}
	}
	for _, folder := range folders {
		if !path.IsAbs(folder) {
			return nil, errors.Join(fmt.Errorf("a root must be an absolute path, but is %q", folder), rs.Close())
		}
		opened, err := os.OpenRoot(folder)
		if err != nil {
			return nil, errors.Join(err, rs.Close())
		}
		rs.roots = append(rs.roots, &root{path.Clean(folder), opened})
	}
	if len(rs.roots) == 0 {
		return nil, errors.New("there must be at least one root")
	}
	return rs, nil
}

// Close closes the folders.
func (rs *Roots) Close() error {
	var errs []error
	for _, r := range rs.roots {
		errs = append(errs, r.Root.Close())
	}
	return errors.Join(errs...)
}

// Paths returns the absolute paths of the folders.
func (rs *Roots) Paths() []string {
	var paths []string
	for _, r := range rs.roots {
		paths = append(paths, r.path)
	}
	return paths
}

// place is a root and a path in it.
type place struct {
	*root
	roots *Roots
	name  string // relative to the root; "." is the root itself
}

// at returns the root that contains a path, and the path in this root.
func (rs *Roots) at(name string) (place, error) {
	if name == "" {
		return place{}, connect.NewError(connect.CodeInvalidArgument, errors.New("path must not be empty"))
	}
	if strings.ContainsRune(name, 0) {
		return place{}, connect.NewError(connect.CodeInvalidArgument, errors.New("path must not contain a NUL byte"))
	}
	if !path.IsAbs(name) {
		name = path.Join(rs.roots[0].path, name)
	}
	name = path.Clean(name)
	var found *root
	relative := ""
	for _, r := range rs.roots {
		rest, inside := under(r.path, name)
		if inside && (found == nil || len(r.path) > len(found.path)) {
			found, relative = r, rest
		}
	}
	if found == nil {
		return place{}, connect.NewError(connect.CodePermissionDenied, fmt.Errorf("%q is outside of the folders that callers may access", name))
	}
	return place{found, rs, relative}, nil
}

// under returns the path relative to the folder ("." for the folder itself), and whether the path is in the folder.
func under(folder, name string) (string, bool) {
	if folder == name {
		return ".", true
	}
	if folder != "/" {
		folder += "/"
	}
	rest, inside := strings.CutPrefix(name, folder)
	return rest, inside
}

// absolute returns the absolute path, which callers use.
func (p place) absolute() string { return path.Join(p.root.path, p.name) }

// child returns the place of an entry in this folder.
func (p place) child(name string) place { return place{p.root, p.roots, path.Join(p.name, name)} }

func (p place) parent() place { return place{p.root, p.roots, path.Dir(p.name)} }

// refuseRoot returns an error if the place is a root itself.
func (p place) refuseRoot() error {
	if p.name != "." {
		return nil
	}
	const text = "%s is a top folder of the file service and can't be moved, replaced or removed"
	return connect.NewError(connect.CodeInvalidArgument, fmt.Errorf(text, p.root.path))
}

var errKernel = errors.New("files of the kernel's file systems can't be accessed")

// allowed returns an error if the file is on one of the kernel's file systems.
func (p place) allowed(info fs.FileInfo) error {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && p.roots.kernel[stat.Dev] {
		return connect.NewError(connect.CodePermissionDenied, fmt.Errorf("%q: %w", p.absolute(), errKernel))
	}
	return nil
}

func (p place) stat() (fs.FileInfo, error)  { return p.checked(p.Root.Stat(p.name)) }
func (p place) lstat() (fs.FileInfo, error) { return p.checked(p.Root.Lstat(p.name)) }

func (p place) checked(info fs.FileInfo, err error) (fs.FileInfo, error) {
	if err != nil {
		return nil, problem(err)
	}
	return info, p.allowed(info)
}

// openFolder opens a folder to read its entries.
func (p place) openFolder() (*os.File, error) {
	file, err := p.Root.OpenFile(p.name, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, problem(err)
	}
	info, err := file.Stat()
	if err == nil {
		err = p.allowed(info)
	}
	if err != nil {
		file.Close()
		return nil, problem(err)
	}
	return file, nil
}

// openFile opens a regular file for reading, and refuses other kinds of files before it opens them. If a FIFO replaces the
// file between the check and the opening, the opening does not wait, and the FIFO is refused.
func (p place) openFile() (*os.File, fs.FileInfo, error) {
	info, err := p.stat()
	if err != nil {
		return nil, nil, err
	}
	if err := mustBeFile(p, info); err != nil {
		return nil, nil, err
	}
	file, err := p.Root.OpenFile(p.name, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, problem(err)
	}
	info, err = file.Stat()
	if err == nil {
		err = errors.Join(p.allowed(info), mustBeFile(p, info))
	}
	if err != nil {
		file.Close()
		return nil, nil, problem(err)
	}
	return file, info, nil
}

func mustBeFile(p place, info fs.FileInfo) error {
	if info.Mode().IsRegular() {
		return nil
	}
	return connect.NewError(connect.CodeFailedPrecondition, fmt.Errorf("%q is not a regular file", p.absolute()))
}

// problem converts an error of the file system to an error with a code for callers.
func problem(err error) error {
	if err == nil {
		return nil
	}
	var known *connect.Error
	if errors.As(err, &known) {
		return known
	}
	if refusal := openfiles.Refusal(err); refusal != nil {
		return refusal
	}
	code := connect.CodeInternal
	switch {
	case errors.Is(err, fs.ErrNotExist):
		code = connect.CodeNotFound
	case errors.Is(err, fs.ErrExist), errors.Is(err, syscall.ENOTEMPTY):
		code = connect.CodeAlreadyExists
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		code = connect.CodeResourceExhausted
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		code = connect.CodePermissionDenied
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EISDIR), errors.Is(err, syscall.ELOOP), errors.Is(err, syscall.EXDEV),
		errors.Is(err, syscall.EBUSY), errors.Is(err, syscall.ENXIO), errors.Is(err, syscall.ETXTBSY):
		code = connect.CodeFailedPrecondition
	case errors.Is(err, syscall.ENAMETOOLONG), errors.Is(err, syscall.EINVAL), errors.Is(err, fs.ErrInvalid), errors.Is(err, syscall.EFBIG):
		code = connect.CodeInvalidArgument
	case escapes(err):
		code = connect.CodePermissionDenied
	}
	return connect.NewError(code, err)
}

// escapes returns whether os.Root refused a path that leads out of the root. The package os does not export this error.
func escapes(err error) bool {
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	return err.Error() == "path escapes from parent"
}
