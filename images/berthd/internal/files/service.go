package files

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"syscall"

	v1 "berth/berthd/gen/berth/v1"
	"berth/berthd/gen/berth/v1/berthv1connect"
	"berth/berthd/internal/activity"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Service implements the FileService.
type Service struct {
	Roots    *Roots
	Activity *activity.Tracker
}

var _ berthv1connect.FileServiceHandler = (*Service)(nil)

// Stat implements FileService.
func (s *Service) Stat(_ context.Context, request *v1.StatRequest) (*v1.StatResponse, error) {
	p, err := s.Roots.at(request.Path)
	if err != nil {
		return nil, err
	}
	stat := p.stat
	if request.NoFollow {
		stat = p.lstat
	}
	info, err := stat()
	if err != nil {
		return nil, err
	}
	return &v1.StatResponse{Info: describe(p, info)}, nil
}

// describe returns the description of a file for callers.
func describe(p place, info fs.FileInfo) *v1.FileInfo {
	described := &v1.FileInfo{Path: text(p.absolute()), Mode: modeBits(info.Mode()), ModifiedAt: timestamppb.New(info.ModTime())}
	switch {
	case info.Mode().IsRegular():
		described.Kind, described.Size, described.Etag = v1.FileKind_FILE_KIND_FILE, uint64(info.Size()), etag(info)
	case info.IsDir():
		described.Kind = v1.FileKind_FILE_KIND_FOLDER
	case info.Mode()&fs.ModeSymlink != 0:
		described.Kind = v1.FileKind_FILE_KIND_SYMLINK
		target, _ := p.Root.Readlink(p.name)
		described.Target = text(target)
	default:
		described.Kind = v1.FileKind_FILE_KIND_OTHER
	}
	return described
}

// text returns a name as valid UTF-8, because a message can't hold other bytes. U+FFFD replaces invalid bytes.
func text(name string) string { return strings.ToValidUTF8(name, "\uFFFD") }

// modeBits returns the permission bits in Unix's format.
func modeBits(mode fs.FileMode) uint32 {
	bits := uint32(mode.Perm())
	for flag, bit := range map[fs.FileMode]uint32{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000} {
		if mode&flag != 0 {
			bits |= bit
		}
	}
	return bits
}

// fileMode converts Unix's permission bits to a file mode. It refuses setuid and setgid, because no program of a session may become
// another user.
func fileMode(bits *uint32, otherwise fs.FileMode) (fs.FileMode, error) {
	if bits == nil {
		return otherwise, nil
	}
	if *bits > 0o1777 {
		return 0, connect.NewError(connect.CodeInvalidArgument, errors.New("mode must be at most 01777 (octal): no setuid, no setgid"))
	}
	mode := fs.FileMode(*bits & 0o777)
	if *bits&0o1000 != 0 {
		mode |= fs.ModeSticky
	}
	return mode, nil
}

// etag returns a value that changes when the file is replaced or written.
func etag(info fs.FileInfo) string {
	inode := uint64(0)
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		inode = stat.Ino
	}
	hex := func(number uint64) string { return strconv.FormatUint(number, 16) }
	return `"` + hex(inode) + "-" + hex(uint64(info.Size())) + "-" + hex(uint64(info.ModTime().UnixNano())) + `"`
}

// matches returns an error unless the file exists and has the expected ETag. An empty ETag matches everything.
func matches(p place, info fs.FileInfo, expected string) error {
	if expected == "" || (info != nil && etag(info) == expected) {
		return nil
	}
	refusal := connect.NewError(connect.CodeFailedPrecondition, fmt.Errorf("%q has changed: its ETag is no longer %s", p.absolute(), expected))
	refusal.Meta().Set("berth-reason", "etag") // callers distinguish this error from others with the same code
	return refusal
}

// MakeDir implements FileService.
func (s *Service) MakeDir(_ context.Context, request *v1.MakeDirRequest) (*v1.MakeDirResponse, error) {
	p, err := s.Roots.at(request.Path)
	if err != nil {
		return nil, err
	}
	mode, err := fileMode(request.Mode, 0o755)
	if err != nil {
		return nil, err
	}
	if request.Parents {
		if err := makeFolders(p, mode); err != nil {
			return nil, err
		}
	} else {
		if _, err := p.parent().stat(); err != nil {
			return nil, err
		}
		if err := p.Root.Mkdir(p.name, mode.Perm()); err != nil {
			return nil, problem(err)
		}
	}
	if request.Mode != nil {
		if err := p.Root.Chmod(p.name, mode); err != nil { // Mkdir has removed the bits of the umask
			return nil, problem(err)
		}
	}
	s.Activity.Touch()
	info, err := p.stat()
	if err != nil {
		return nil, err
	}
	return &v1.MakeDirResponse{Info: describe(p, info)}, nil
}

func makeFolders(p place, mode fs.FileMode) error {
	if err := p.Root.MkdirAll(p.name, mode.Perm()); err != nil {
		return problem(err)
	}
	info, err := p.stat()
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return connect.NewError(connect.CodeFailedPrecondition, fmt.Errorf("%q is not a folder", p.absolute()))
	}
	return nil
}

// Move implements FileService.
func (s *Service) Move(_ context.Context, request *v1.MoveRequest) (*v1.MoveResponse, error) {
	from, err := s.Roots.at(request.From)
	if err != nil {
		return nil, err
	}
	to, err := s.Roots.at(request.To)
	if err != nil {
		return nil, err
	}
	if from.root != to.root {
		return nil, connect.NewError(connect.CodeFailedPrecondition, fmt.Errorf("%s and %s are different roots: copy and remove instead", from.root.path, to.root.path))
	}
	for _, p := range []place{from, to} {
		if err := p.refuseRoot(); err != nil {
			return nil, err
		}
	}
	if _, err := from.lstat(); err != nil {
		return nil, err
	}
	if !request.Replace {
		if _, err := to.Root.Lstat(to.name); err == nil {
			return nil, connect.NewError(connect.CodeAlreadyExists, fmt.Errorf("%q already exists", to.absolute()))
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, problem(err)
		}
	}
	if err := from.Root.Rename(from.name, to.name); err != nil {
		return nil, problem(err)
	}
	s.Activity.Touch()
	info, err := to.lstat()
	if err != nil {
		return nil, err
	}
	return &v1.MoveResponse{Info: describe(to, info)}, nil
}

// Remove implements FileService.
func (s *Service) Remove(_ context.Context, request *v1.RemoveRequest) (*v1.RemoveResponse, error) {
	p, err := s.Roots.at(request.Path)
	if err != nil {
		return nil, err
	}
	if err := p.refuseRoot(); err != nil {
		return nil, err
	}
	if _, err := p.lstat(); err != nil {
		return nil, err
	}
	remove := p.Root.Remove
	if request.Recursive {
		remove = p.Root.RemoveAll
	}
	if err := remove(p.name); err != nil {
		return nil, problem(err)
	}
	s.Activity.Touch()
	return &v1.RemoveResponse{}, nil
}
