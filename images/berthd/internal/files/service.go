package files

import (
	"context"
	"errors"
	"fmt"
	"io"
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

// chunkBytes is how much of a file one message holds.
const chunkBytes = 128 << 10

// Service is the FileService.
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

// describe says what callers are told of a file.
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

// text is a name as messages can hold it: what is not UTF-8 in it is told as U+FFFD, so that the rest of a list can be sent.
func text(name string) string { return strings.ToValidUTF8(name, "\uFFFD") }

// modeBits are the permission bits as Unix has them.
func modeBits(mode fs.FileMode) uint32 {
	bits := uint32(mode.Perm())
	for flag, bit := range map[fs.FileMode]uint32{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000} {
		if mode&flag != 0 {
			bits |= bit
		}
	}
	return bits
}

// fileMode is the opposite of modeBits. Setuid and setgid are never set: no program of a session becomes another user.
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

// etag changes when the file is replaced or written.
func etag(info fs.FileInfo) string {
	inode := uint64(0)
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		inode = stat.Ino
	}
	hex := func(number uint64) string { return strconv.FormatUint(number, 16) }
	return `"` + hex(inode) + "-" + hex(uint64(info.Size())) + "-" + hex(uint64(info.ModTime().UnixNano())) + `"`
}

// matches fails unless there is a file with the ETag that the caller expects; an empty ETag expects nothing.
func matches(p place, info fs.FileInfo, expected string) error {
	if expected == "" || (info != nil && etag(info) == expected) {
		return nil
	}
	refusal := connect.NewError(connect.CodeFailedPrecondition, fmt.Errorf("%q is not the file with the ETag %s any more", p.absolute(), expected))
	refusal.Meta().Set("berth-reason", "etag") // told apart from other things that are in the way
	return refusal
}

// Read implements FileService.
func (s *Service) Read(ctx context.Context, request *v1.ReadRequest, stream *connect.ServerStream[v1.ReadResponse]) error {
	p, err := s.Roots.at(request.Path)
	if err != nil {
		return err
	}
	file, info, err := p.openFile()
	if err != nil {
		return err
	}
	defer file.Close()
	if err := matches(p, info, request.IfMatch); err != nil {
		return err
	}
	size := uint64(info.Size())
	if request.Offset > size {
		return connect.NewError(connect.CodeOutOfRange, fmt.Errorf("the file has %d bytes, so offset can't be %d", size, request.Offset))
	}
	length := size - request.Offset
	if request.Length != nil {
		length = min(length, *request.Length)
	}
	defer s.Activity.Begin()()
	if err := stream.Send(&v1.ReadResponse{Kind: &v1.ReadResponse_Info{Info: describe(p, info)}}); err != nil {
		return err
	}
	section := io.NewSectionReader(file, int64(request.Offset), int64(length))
	sent, err := sendChunks(ctx, section, func(data []byte) error {
		return stream.Send(&v1.ReadResponse{Kind: &v1.ReadResponse_Data{Data: data}})
	})
	if err == nil && sent < length {
		err = connect.NewError(connect.CodeAborted, fmt.Errorf("%q became shorter while it was read", p.absolute()))
	}
	return problem(err)
}

// sendChunks sends what the reader gives until its end.
func sendChunks(ctx context.Context, from io.Reader, send func([]byte) error) (sent uint64, err error) {
	buffer := make([]byte, chunkBytes)
	for {
		if err := ctx.Err(); err != nil {
			return sent, err
		}
		n, err := io.ReadFull(from, buffer)
		if n > 0 {
			if err := send(buffer[:n]); err != nil {
				return sent, err
			}
			sent += uint64(n)
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return sent, nil
		}
		if err != nil {
			return sent, err
		}
	}
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
		if err := p.Root.Chmod(p.name, mode); err != nil { // the umask has had its say
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
		return connect.NewError(connect.CodeFailedPrecondition, fmt.Errorf("%q is no folder", p.absolute()))
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
	if from.name == "." || to.name == "." {
		return nil, connect.NewError(connect.CodeInvalidArgument, errors.New("a root can't be moved or replaced"))
	}
	if _, err := from.lstat(); err != nil {
		return nil, err
	}
	if !request.Replace {
		if _, err := to.Root.Lstat(to.name); err == nil {
			return nil, connect.NewError(connect.CodeAlreadyExists, fmt.Errorf("there is something at %q already", to.absolute()))
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
	if p.name == "." {
		return nil, connect.NewError(connect.CodeInvalidArgument, errors.New("a root can't be removed"))
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
