package files

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"slices"
	"strings"

	v1 "berth/berthd/gen/berth/v1"

	"connectrpc.com/connect"
)

// sendArchive sends a folder or file. Names in the archive are relative to the folder. If the path is a file, the archive contains
// only this file under its own name.
func (s *Service) sendArchive(w http.ResponseWriter, r *http.Request, p place) error {
	info, err := p.stat()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/x-tar")
	sent := &counter{to: w}
	buffer := bufio.NewWriterSize(sent, chunkBytes)
	archive := tar.NewWriter(buffer)
	if info.IsDir() {
		err = addFolder(r.Context(), archive, p, "")
	} else {
		err = addEntry(r.Context(), archive, p, path.Base(p.absolute()), info)
	}
	if err == nil {
		err = errors.Join(archive.Close(), buffer.Flush())
	}
	if err != nil && sent.bytes > 0 {
		panic(http.ErrAbortHandler) // the reader sees that the archive is cut off
	}
	return err
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

// addFolder adds the entries of a folder. It leaves out entries that were removed meanwhile and files that are being written.
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
	// The header contains the size. So if the file grows, the additional bytes are left out; if the file shrinks, the download is cut off.
	written, err := io.Copy(archive, io.NewSectionReader(file, 0, header.Size))
	if err == nil && written < header.Size {
		err = connect.NewError(connect.CodeAborted, fmt.Errorf("%q became shorter while it was read", p.absolute()))
	}
	return err
}

// takeArchive unpacks an archive into a folder, which is made if it is missing.
func (s *Service) takeArchive(w http.ResponseWriter, r *http.Request, p place) error {
	if err := makeFolders(p, 0o755); err != nil {
		return err
	}
	unpacked := &v1.Unpacked{}
	archive := tar.NewReader(r.Body)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return answer(w, unpacked)
		}
		if err != nil {
			return connect.NewError(connect.CodeInvalidArgument, fmt.Errorf("this is no tar archive: %w", err))
		}
		if err := unpack(p, header, archive, unpacked); err != nil {
			return err
		}
	}
}

// unpack puts one entry of an archive into a folder.
func unpack(folder place, header *tar.Header, content io.Reader, count *v1.Unpacked) error {
	name := path.Clean(header.Name)
	if path.IsAbs(name) || name == ".." || strings.HasPrefix(name, "../") || strings.ContainsRune(name, 0) {
		return connect.NewError(connect.CodeInvalidArgument, fmt.Errorf("the archive contains the name %q, which is outside of the folder", header.Name))
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
		if _, err := writeFile(to, options, content); err != nil {
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
			return to.Root.Symlink(header.Linkname, to.name) // a link may lead out of the root, because no call follows it there
		}
		return to.Root.Link(folder.child(path.Clean("/"+header.Linkname)).name, to.name)
	case tar.TypeXGlobalHeader:
		return nil
	default:
		return connect.NewError(connect.CodeInvalidArgument, fmt.Errorf("%q in the archive is neither a file, a folder nor a link", header.Name))
	}
}
