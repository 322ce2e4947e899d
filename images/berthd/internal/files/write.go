package files

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"syscall"

	"connectrpc.com/connect"
	"golang.org/x/sys/unix"
)

// chunkBytes is the number of bytes that are copied at a time.
const chunkBytes = 256 << 10

var buffers = sync.Pool{New: func() any { return new([chunkBytes]byte) }}

// partPrefix is the prefix in the names of files that are being written.
const partPrefix = ".berth-part-"

// writeOptions are the options for writing a file.
type writeOptions struct {
	mode         fs.FileMode
	keepMode     bool // keep the mode of the file that is replaced
	ifMatch      string
	mustNotExist bool
	size         int64 // -1: unknown
}

// writeFile writes a temporary file in the same folder and renames it to its final name when it is complete and on the disk. After
// an error, the temporary file is removed and the old file is unchanged. A symlink at the final name is replaced, not followed.
func writeFile(p place, options writeOptions, content io.Reader) (info fs.FileInfo, err error) {
	old, err := replaceable(p, options)
	if err != nil {
		return nil, err
	}
	mode := options.mode
	if old != nil && options.keepMode && old.Mode().IsRegular() {
		mode = old.Mode() & (fs.ModePerm | fs.ModeSticky)
	}
	part := p.parent().child(partPrefix + rand.Text())
	file, err := p.Root.OpenFile(part.name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() {
		file.Close()
		if err != nil {
			_ = p.Root.Remove(part.name)
		}
	}()
	if err := reserve(file, options.size); err != nil {
		return nil, err
	}
	buffer := buffers.Get().(*[chunkBytes]byte)
	defer buffers.Put(buffer)
	if _, err := io.CopyBuffer(writer{file}, content, buffer[:]); err != nil {
		return nil, err
	}
	if err := errors.Join(file.Chmod(mode), file.Sync(), file.Close()); err != nil {
		return nil, err
	}
	if _, err := replaceable(p, options); err != nil { // the old file may have changed while the bytes arrived
		return nil, err
	}
	if err := p.Root.Rename(part.name, p.name); err != nil {
		return nil, err
	}
	syncFolder(p.parent())
	return p.lstat()
}

// replaceable returns the existing file (nil if there is none), or an error if the file must not be replaced.
func replaceable(p place, options writeOptions) (fs.FileInfo, error) {
	if p.name == "." {
		return nil, connect.NewError(connect.CodeFailedPrecondition, fmt.Errorf("%q is a folder", p.absolute()))
	}
	if _, err := p.parent().stat(); err != nil {
		return nil, err
	}
	old, err := p.Root.Lstat(p.name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, matches(p, nil, options.ifMatch)
	}
	if err != nil {
		return nil, err
	}
	if options.mustNotExist {
		return nil, connect.NewError(connect.CodeAlreadyExists, fmt.Errorf("%q already exists", p.absolute()))
	}
	if !old.Mode().IsRegular() && old.Mode()&fs.ModeSymlink == 0 {
		return nil, connect.NewError(connect.CodeFailedPrecondition, fmt.Errorf("%q is not a regular file, so it can't be replaced", p.absolute()))
	}
	return old, matches(p, old, options.ifMatch)
}

// reserve reserves disk space for a file of known size, if the file system supports it.
func reserve(file *os.File, size int64) error {
	if size <= 0 {
		return nil
	}
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	outer := raw.Control(func(fd uintptr) {
		for {
			err = unix.Fallocate(int(fd), unix.FALLOC_FL_KEEP_SIZE, 0, size)
			if err != unix.EINTR {
				return
			}
		}
	})
	if errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.ENOSYS) {
		err = nil
	}
	return errors.Join(outer, err)
}

// syncFolder writes the folder to the disk, so that a rename survives a crash. Errors are ignored, because not every file system
// supports this and the file already exists.
func syncFolder(p place) {
	if folder, err := p.openFolder(); err == nil {
		_ = folder.Sync()
		folder.Close()
	}
}

// writer hides the ReadFrom of os.File, because that method copies in smaller chunks than chunkBytes.
type writer struct{ io.Writer }
