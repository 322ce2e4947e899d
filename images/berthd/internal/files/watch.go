package files

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	v1 "berth/berthd/gen/berth/v1"

	"connectrpc.com/connect"
	"golang.org/x/sys/unix"
)

const (
	// mostWatched is the highest number of folders in one watch.
	mostWatched = 1000
	// watchKeepAlive is how often a watch without changes sends a keep-alive event.
	watchKeepAlive = 15 * time.Second

	watchMask = unix.IN_CREATE | unix.IN_CLOSE_WRITE | unix.IN_DELETE | unix.IN_MOVED_FROM | unix.IN_MOVED_TO | unix.IN_ATTRIB |
		unix.IN_DELETE_SELF | unix.IN_ONLYDIR
)

// Watch implements FileService.
func (s *Service) Watch(ctx context.Context, request *v1.WatchRequest, stream *connect.ServerStream[v1.WatchEvent]) error {
	p, err := s.Roots.at(request.Path)
	if err != nil {
		return err
	}
	w, err := newWatch(request.Recursive)
	if err != nil {
		return err
	}
	defer w.file.Close()
	if err := w.add(p, false); err != nil {
		return err
	}
	events := append([]*v1.WatchEvent{{Kind: v1.WatchEvent_KIND_READY, Path: text(p.absolute())}}, w.events...)
	stop := context.AfterFunc(ctx, func() { w.file.Close() })
	defer stop()
	buffer := make([]byte, 16<<10)
	for {
		for _, event := range events {
			if err := stream.Send(event); err != nil {
				return err
			}
		}
		if len(w.folders) == 0 {
			return nil // the folder itself was removed
		}
		_ = w.file.SetReadDeadline(time.Now().Add(watchKeepAlive))
		n, err := w.file.Read(buffer)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, os.ErrDeadlineExceeded):
			events = []*v1.WatchEvent{{Kind: v1.WatchEvent_KIND_KEEP_ALIVE}}
		case err != nil:
			return problem(err)
		default:
			events = w.take(buffer[:n])
		}
	}
}

// watch is an inotify instance.
type watch struct {
	file      *os.File
	fd        int // the descriptor of `file`
	recursive bool
	folders   map[int32]place
	events    []*v1.WatchEvent
}

func newWatch(recursive bool) (*watch, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, connect.NewError(connect.CodeResourceExhausted, fmt.Errorf("no more watches: %w", err))
	}
	return &watch{os.NewFile(uintptr(fd), "inotify"), fd, recursive, map[int32]place{}, nil}, nil
}

// add watches a folder and, if the watch is recursive, the folders in it. For a new folder, it also reports all entries as created,
// because they may have been created before the watch began.
func (w *watch) add(p place, isNew bool) error {
	folder, err := p.openFolder()
	if err != nil {
		return err
	}
	defer folder.Close()
	// The watch uses the opened folder, so that no program can replace the folder by a symlink before the watch begins.
	number, err := unix.InotifyAddWatch(w.fd, fmt.Sprintf("/proc/self/fd/%d", folder.Fd()), watchMask)
	if err != nil {
		return connect.NewError(connect.CodeResourceExhausted, fmt.Errorf("%q can't be watched: %w", p.absolute(), err))
	}
	w.folders[int32(number)] = p
	if !w.recursive {
		return nil
	}
	names, err := folder.Readdirnames(-1)
	if err != nil {
		return problem(err)
	}
	for _, name := range names {
		child := p.child(name)
		if isNew {
			w.tell(v1.WatchEvent_KIND_CREATED, child)
		}
		if info, err := child.lstat(); err == nil && info.IsDir() {
			w.addInside(child, isNew)
		}
	}
	return nil
}

// addInside watches a subfolder, or reports that the subfolder is not watched.
func (w *watch) addInside(p place, isNew bool) {
	if len(w.folders) >= mostWatched {
		w.tell(v1.WatchEvent_KIND_OVERFLOW, p)
		return
	}
	if err := w.add(p, isNew); err != nil && connect.CodeOf(err) != connect.CodeNotFound {
		w.tell(v1.WatchEvent_KIND_OVERFLOW, p)
	}
}

func (w *watch) tell(kind v1.WatchEvent_Kind, p place) {
	w.events = append(w.events, &v1.WatchEvent{Kind: kind, Path: text(p.absolute())})
}

// take returns the events in the bytes from the kernel.
func (w *watch) take(data []byte) []*v1.WatchEvent {
	w.events = nil
	for len(data) >= unix.SizeofInotifyEvent {
		number := int32(binary.NativeEndian.Uint32(data))
		mask := binary.NativeEndian.Uint32(data[4:])
		length := int(binary.NativeEndian.Uint32(data[12:]))
		name := string(bytes.TrimRight(data[unix.SizeofInotifyEvent:unix.SizeofInotifyEvent+length], "\x00"))
		data = data[unix.SizeofInotifyEvent+length:]
		w.event(number, mask, name)
	}
	return w.events
}

func (w *watch) event(number int32, mask uint32, name string) {
	if mask&unix.IN_Q_OVERFLOW != 0 {
		w.events = append(w.events, &v1.WatchEvent{Kind: v1.WatchEvent_KIND_OVERFLOW})
		return
	}
	folder, watched := w.folders[number]
	if !watched {
		return
	}
	if mask&unix.IN_IGNORED != 0 {
		delete(w.folders, number)
		return
	}
	if name == "" || strings.HasPrefix(name, partPrefix) {
		return // an event of the folder itself, which the watch of its parent reports too; or a file that is being written
	}
	p := folder.child(name)
	switch {
	case mask&(unix.IN_CREATE|unix.IN_MOVED_TO) != 0:
		w.tell(v1.WatchEvent_KIND_CREATED, p)
		if mask&unix.IN_ISDIR != 0 && w.recursive {
			w.addInside(p, true)
		}
	case mask&unix.IN_CLOSE_WRITE != 0:
		w.tell(v1.WatchEvent_KIND_MODIFIED, p)
	case mask&(unix.IN_DELETE|unix.IN_MOVED_FROM) != 0:
		w.tell(v1.WatchEvent_KIND_REMOVED, p)
		if mask&unix.IN_ISDIR != 0 {
			w.forget(p)
		}
	case mask&unix.IN_ATTRIB != 0:
		w.tell(v1.WatchEvent_KIND_ATTRIBUTES, p)
	}
}

// forget stops watching a folder that was moved away, and the folders in it.
func (w *watch) forget(p place) {
	for number, folder := range w.folders {
		if _, inside := under(p.absolute(), folder.absolute()); inside {
			delete(w.folders, number)
			_, _ = unix.InotifyRmWatch(w.fd, uint32(number))
		}
	}
}
