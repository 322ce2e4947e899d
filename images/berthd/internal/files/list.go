package files

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	v1 "berth/berthd/gen/berth/v1"

	"connectrpc.com/connect"
)

const (
	mostEntries = 1000
	mostDepth   = 100
)

// List implements FileService. The page token is the path of the page's last entry, relative to the folder. So an entry that
// exists during the whole listing is listed exactly once, even if folders change between two pages. The token is encoded in
// base64, because a file name may contain invalid UTF-8.
func (s *Service) List(ctx context.Context, request *v1.ListFilesRequest) (*v1.ListFilesResponse, error) {
	p, err := s.Roots.at(request.Path)
	if err != nil {
		return nil, err
	}
	if request.Depth > mostDepth {
		return nil, connect.NewError(connect.CodeInvalidArgument, errors.New("depth must be at most 100"))
	}
	if request.PageSize > mostEntries {
		return nil, connect.NewError(connect.CodeInvalidArgument, errors.New("page_size must be at most 1000"))
	}
	l := lister{ctx: ctx, size: int(request.PageSize)}
	if l.size == 0 {
		l.size = mostEntries
	}
	var after []string
	if request.PageToken != "" {
		path, err := base64.RawURLEncoding.DecodeString(request.PageToken)
		if err != nil {
			return nil, connect.NewError(connect.CodeInvalidArgument, errors.New("page_token must be a next_page_token"))
		}
		after = strings.Split(string(path), "/")
	}
	if err := l.walk(p, "", max(1, int(request.Depth)), after, true); err != nil {
		return nil, problem(err)
	}
	return &l.response, nil
}

// lister collects one page.
type lister struct {
	ctx      context.Context
	size     int
	last     string
	response v1.ListFilesResponse
}

// walk adds the entries of a folder that come after the path `after`. If a subfolder can't be read, or is removed after it was
// added, the list has the subfolder without its entries.
func (l *lister) walk(p place, below string, depth int, after []string, top bool) error {
	names, err := namesIn(p)
	if err != nil {
		if top {
			return err
		}
		return nil
	}
	slices.Sort(names)
	first := 0
	if len(after) > 0 {
		first, _ = slices.BinarySearch(names, after[0])
	}
	for _, name := range names[first:] {
		if err := l.ctx.Err(); err != nil {
			return err
		}
		child, path := p.child(name), join(below, name)
		info, err := child.lstat()
		if err != nil {
			continue
		}
		var rest []string
		if len(after) > 0 && name == after[0] {
			rest = after[1:] // an earlier page contains the folder itself
		} else if !l.add(child, path, info) {
			return nil
		}
		if info.IsDir() && depth > 1 {
			if err := l.walk(child, path, depth-1, rest, false); err != nil || l.response.NextPageToken != "" {
				return err
			}
		}
	}
	return nil
}

// add adds an entry and returns true, or returns false if the page is full.
func (l *lister) add(p place, path string, info fs.FileInfo) bool {
	if len(l.response.Entries) == l.size {
		l.response.NextPageToken = base64.RawURLEncoding.EncodeToString([]byte(l.last))
		return false
	}
	l.response.Entries = append(l.response.Entries, describe(p, info))
	l.last = path
	return true
}

func join(below, name string) string {
	if below == "" {
		return name
	}
	return below + "/" + name
}

// namesIn returns the names of the entries in a folder, in any order.
func namesIn(p place) ([]string, error) {
	folder, err := p.openFolder()
	if err != nil {
		return nil, err
	}
	defer folder.Close()
	names, err := folder.Readdirnames(-1)
	if errors.Is(err, io.EOF) || errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	return names, err
}
