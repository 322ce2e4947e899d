package files

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	v1 "berth/berthd/gen/berth/v1"

	"connectrpc.com/connect"
)

// TarDown implements FileService. Names in the archive are below the folder; a single file has its own name.
func (s *Service) TarDown(ctx context.Context, request *v1.TarDownRequest, stream *connect.ServerStream[v1.TarDownResponse]) error {
	p, err := s.Roots.at(request.Path)
	if err != nil {
		return err
	}
	info, err := p.stat()
	if err != nil {
		return err
	}
	defer s.Activity.Begin()()
	buffer := bufio.NewWriterSize(sender{stream}, chunkBytes)
	archive := tar.NewWriter(buffer)
	if info.IsDir() {
		err = addFolder(ctx, archive, p, "")
	} else {
		err = addEntry(ctx, archive, p, path.Base(p.absolute()), info)
	}
	if err != nil {
		return problem(err)
	}
	return problem(errors.Join(archive.Close(), buffer.Flush()))
}

type sender struct {
	stream *connect.ServerStream[v1.TarDownResponse]
}

func (s sender) Write(data []byte) (int, error) {
	if err := s.stream.Send(&v1.TarDownResponse{Data: data}); err != nil {
		return 0, err
	}
	return len(data), nil
}

// addFolder adds what is in a folder. What is gone by the time its turn comes is left out, and so are files being written.
func addFolder(ctx context.Context, archive *tar.Writer, p place, below string) error {
	names, err := namesIn(p)
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		if strings.HasPrefix(name, partPrefix) {
			continue
		}
		child := p.child(name)
		info, err := child.lstat()
		if err != nil {
			if connect.CodeOf(err) == connect.CodeNotFound || errors.Is(err, errKernel) {
				continue
			}
			return err
		}
		if err := addEntry(ctx, archive, child, join(below, name), info); err != nil {
			return err
		}
		if info.IsDir() {
			if err := addFolder(ctx, archive, child, join(below, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

func addEntry(ctx context.Context, archive *tar.Writer, p place, name string, info fs.FileInfo) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	header := &tar.Header{Name: name, Mode: int64(modeBits(info.Mode())), ModTime: info.ModTime(), Format: tar.FormatPAX}
	switch {
	case info.IsDir():
		header.Typeflag, header.Name = tar.TypeDir, name+"/"
		return archive.WriteHeader(header)
	case info.Mode()&fs.ModeSymlink != 0:
		target, err := p.Root.Readlink(p.name)
		if err != nil {
			return err
		}
		header.Typeflag, header.Linkname = tar.TypeSymlink, target
		return archive.WriteHeader(header)
	case !info.Mode().IsRegular():
		return nil
	}
	file, info, err := p.openFile()
	if err != nil {
		return err
	}
	defer file.Close()
	header.Typeflag, header.Size = tar.TypeReg, info.Size()
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	// The size is promised: a file that grows is cut, and one that shrinks is an error.
	written, err := io.Copy(archive, io.NewSectionReader(file, 0, header.Size))
	if err == nil && written < header.Size {
		err = connect.NewError(connect.CodeAborted, fmt.Errorf("%q became shorter while it was read", p.absolute()))
	}
	return err
}

// TarUp implements FileService.
func (s *Service) TarUp(_ context.Context, stream *connect.ClientStream[v1.TarUpRequest]) (*v1.TarUpResponse, error) {
	if !stream.Receive() {
		return nil, firstMissing(stream.Err())
	}
	p, err := s.Roots.at(stream.Msg().Path)
	if err != nil {
		return nil, err
	}
	defer s.Activity.Begin()()
	if err := makeFolders(p, 0o755); err != nil {
		return nil, err
	}
	response := &v1.TarUpResponse{}
	archive := tar.NewReader(&receiver{stream: stream, rest: stream.Msg().Data})
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return response, nil
		}
		if err == nil {
			err = unpack(p, header, archive, response)
		} else if stream.Err() == nil {
			err = connect.NewError(connect.CodeInvalidArgument, fmt.Errorf("this is no tar archive: %w", err))
		}
		if err != nil {
			return nil, problem(err)
		}
	}
}

// receiver reads the data of a stream's messages.
type receiver struct {
	stream *connect.ClientStream[v1.TarUpRequest]
	rest   []byte
}

func (r *receiver) Read(into []byte) (int, error) {
	for len(r.rest) == 0 {
		if !r.stream.Receive() {
			if err := r.stream.Err(); err != nil {
				return 0, err
			}
			return 0, io.EOF
		}
		r.rest = r.stream.Msg().Data
	}
	n := copy(into, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// unpack puts one entry of an archive into a folder.
func unpack(folder place, header *tar.Header, content io.Reader, count *v1.TarUpResponse) error {
	name := path.Clean(header.Name)
	if path.IsAbs(name) || name == ".." || strings.HasPrefix(name, "../") || strings.ContainsRune(name, 0) {
		return connect.NewError(connect.CodeInvalidArgument, fmt.Errorf("the archive names %q, which is outside of the folder", header.Name))
	}
	to := folder.child(name)
	mode := fs.FileMode(header.Mode) & 0o777
	if header.Typeflag != tar.TypeDir {
		if err := makeFolders(to.parent(), 0o755); err != nil {
			return err
		}
	}
	switch header.Typeflag {
	case tar.TypeDir:
		if err := makeFolders(to, 0o755); err != nil {
			return err
		}
		if name == "." {
			return nil
		}
		return to.Root.Chmod(to.name, mode|0o700)
	case tar.TypeReg:
		options := writeOptions{mode: mode, size: header.Size}
		if _, err := writeFile(to, options, func(w io.Writer) error { _, err := io.Copy(w, content); return err }); err != nil {
			return err
		}
		count.Files++
		count.Bytes += uint64(header.Size)
		return nil
	case tar.TypeSymlink, tar.TypeLink:
		if old, err := to.Root.Lstat(to.name); err == nil && !old.IsDir() {
			if err := to.Root.Remove(to.name); err != nil {
				return err
			}
		}
		if header.Typeflag == tar.TypeSymlink {
			return to.Root.Symlink(header.Linkname, to.name) // wherever it leads, nobody follows it out of the root
		}
		return to.Root.Link(folder.child(path.Clean("/"+header.Linkname)).name, to.name)
	case tar.TypeXGlobalHeader:
		return nil
	default:
		return connect.NewError(connect.CodeInvalidArgument, fmt.Errorf("the archive's %q is neither file, folder nor link", header.Name))
	}
}
