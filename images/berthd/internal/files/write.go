package files

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	v1 "berth/berthd/gen/berth/v1"

	"connectrpc.com/connect"
	"golang.org/x/sys/unix"
)

// partPrefix begins the names of files that are being written.
const partPrefix = ".berth-part-"

// writeOptions say how a file is written.
type writeOptions struct {
	mode         fs.FileMode
	keepMode     bool // the mode of a file that is replaced is kept
	ifMatch      string
	mustNotExist bool
	size         int64 // -1: unknown
}

// Write implements FileService.
func (s *Service) Write(_ context.Context, stream *connect.ClientStream[v1.WriteRequest]) (*v1.WriteResponse, error) {
	if !stream.Receive() {
		return nil, firstMissing(stream.Err())
	}
	wanted := stream.Msg().GetOptions()
	if wanted == nil {
		return nil, connect.NewError(connect.CodeInvalidArgument, errors.New("the first message must have the options"))
	}
	p, err := s.Roots.at(wanted.Path)
	if err != nil {
		return nil, err
	}
	options := writeOptions{keepMode: wanted.Mode == nil, ifMatch: wanted.IfMatch, mustNotExist: wanted.MustNotExist, size: -1}
	if options.mode, err = fileMode(wanted.Mode, 0o644); err != nil {
		return nil, err
	}
	if wanted.Size != nil {
		options.size = int64(min(*wanted.Size, 1<<62))
	}
	if wanted.MakeParents {
		if err := makeFolders(p.parent(), 0o755); err != nil {
			return nil, err
		}
	}
	defer s.Activity.Begin()()
	info, err := writeFile(p, options, func(to io.Writer) error {
		for stream.Receive() {
			if stream.Msg().GetEnd() != nil {
				return nil
			}
			if _, err := to.Write(stream.Msg().GetData()); err != nil {
				return err
			}
		}
		if err := stream.Err(); err != nil {
			return err
		}
		return connect.NewError(connect.CodeInvalidArgument, errors.New("the stream ended before its last message"))
	})
	if err != nil {
		return nil, problem(err)
	}
	return &v1.WriteResponse{Info: describe(p, info)}, nil
}

func firstMissing(err error) error {
	if err != nil {
		return err
	}
	return connect.NewError(connect.CodeInvalidArgument, errors.New("the stream has no message"))
}

// writeFile writes a file beside its place and puts it there once it is complete and on the disk. After any error nothing of
// it is left, and what was there before is as it was. A symlink at the place is replaced, not followed.
func writeFile(p place, options writeOptions, fill func(io.Writer) error) (info fs.FileInfo, err error) {
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
	count := &counter{to: file}
	if err := fill(count); err != nil {
		return nil, err
	}
	if options.size >= 0 && count.bytes != options.size {
		return nil, connect.NewError(connect.CodeInvalidArgument, fmt.Errorf("%d bytes were announced, but %d came", options.size, count.bytes))
	}
	if err := errors.Join(file.Chmod(mode), file.Sync(), file.Close()); err != nil {
		return nil, err
	}
	if _, err := replaceable(p, options); err != nil { // it may have changed while the bytes came
		return nil, err
	}
	if err := p.Root.Rename(part.name, p.name); err != nil {
		return nil, err
	}
	syncFolder(p.parent())
	return p.lstat()
}

// replaceable says what is at the place now, nil for nothing, or why it must not be replaced.
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
		return nil, connect.NewError(connect.CodeAlreadyExists, fmt.Errorf("there is something at %q already", p.absolute()))
	}
	if !old.Mode().IsRegular() && old.Mode()&fs.ModeSymlink == 0 {
		return nil, connect.NewError(connect.CodeFailedPrecondition, fmt.Errorf("%q is no regular file, so it is not replaced", p.absolute()))
	}
	return old, matches(p, old, options.ifMatch)
}

// reserve takes the disk space of a file whose size is known, where the file system can do that.
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

// syncFolder makes sure that a rename outlives a crash. A file system that can't is no reason to fail: the file is there.
func syncFolder(p place) {
	if folder, err := p.openFolder(); err == nil {
		_ = folder.Sync()
		folder.Close()
	}
}

type counter struct {
	to    io.Writer
	bytes int64
}

func (c *counter) Write(data []byte) (int, error) {
	n, err := c.to.Write(data)
	c.bytes += int64(n)
	return n, err
}
