package files

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	v1 "berth/berthd/gen/berth/v1"
	"berth/berthd/gen/berth/v1/berthv1connect"
	"berth/berthd/internal/activity"
	"berth/berthd/internal/testservice"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
)

type fixture struct {
	client berthv1connect.FileServiceClient
	ctx    context.Context
	folder string // the workspace
	other  string // another root
	secret string // outside of both
}

func open(t testing.TB) fixture {
	testservice.NoLeak(t)
	top := t.TempDir()
	f := fixture{ctx: testservice.Context(t), folder: top + "/work", other: top + "/other", secret: top + "/secret"}
	for _, folder := range []string{f.folder, f.other} {
		must(t, os.Mkdir(folder, 0o755))
	}
	must(t, os.WriteFile(f.secret, []byte("secret"), 0o644))
	roots, err := OpenRoots(f.folder, f.other)
	must(t, err)
	t.Cleanup(func() { roots.Close() })
	f.serve(t, roots)
	return f
}

func (f *fixture) serve(t testing.TB, roots *Roots) {
	path, handler := berthv1connect.NewFileServiceHandler(&Service{Roots: roots, Activity: &activity.Tracker{}})
	url, http := testservice.Start(t, path, handler)
	f.client = berthv1connect.NewFileServiceClient(http, url)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t testing.TB, err error, code connect.Code) {
	t.Helper()
	if connect.CodeOf(err) != code || err == nil {
		t.Errorf("got %v, want %v", err, code)
	}
}

func (f fixture) read(request *v1.ReadRequest) (*v1.FileInfo, []byte, error) {
	stream, err := f.client.Read(f.ctx, request)
	if err != nil {
		return nil, nil, err
	}
	defer stream.Close()
	var info *v1.FileInfo
	var data []byte
	for stream.Receive() {
		if stream.Msg().GetInfo() != nil {
			info = stream.Msg().GetInfo()
		}
		data = append(data, stream.Msg().GetData()...)
	}
	return info, data, stream.Err()
}

func (f fixture) write(options *v1.WriteOptions, data ...[]byte) (*v1.FileInfo, error) {
	stream, err := f.client.Write(f.ctx)
	if err != nil {
		return nil, err
	}
	// An error of Send says only that the server has answered already.
	err = stream.Send(&v1.WriteRequest{Kind: &v1.WriteRequest_Options{Options: options}})
	for _, part := range data {
		if err == nil {
			err = stream.Send(&v1.WriteRequest{Kind: &v1.WriteRequest_Data{Data: part}})
		}
	}
	if err == nil {
		_ = stream.Send(&v1.WriteRequest{Kind: &v1.WriteRequest_End{End: &v1.WriteEnd{}}})
	}
	response, err := stream.CloseAndReceive()
	return response.GetInfo(), err
}

func (f fixture) names(t testing.TB, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	must(t, err)
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func TestWritesAndReadsWithRangesAndETags(t *testing.T) {
	f := open(t)
	big := bytes.Repeat([]byte("0123456789abcdef"), 40_000)
	info, err := f.write(&v1.WriteOptions{Path: "sub/a\nb", MakeParents: true, Mode: proto.Uint32(0o750), Size: proto.Uint64(uint64(len(big)))},
		big[:100], big[100:])
	must(t, err)
	if info.Path != f.folder+"/sub/a\nb" || info.Size != uint64(len(big)) || info.Mode != 0o750 || info.Kind != v1.FileKind_FILE_KIND_FILE {
		t.Errorf("got %v", info)
	}
	got, data, err := f.read(&v1.ReadRequest{Path: f.folder + "/sub/a\nb"})
	must(t, err)
	if !bytes.Equal(data, big) || got.Etag != info.Etag {
		t.Errorf("%d bytes, %v", len(data), got)
	}
	_, data, err = f.read(&v1.ReadRequest{Path: "sub/a\nb", Offset: 14, Length: proto.Uint64(4), IfMatch: info.Etag})
	must(t, err)
	if string(data) != "ef01" {
		t.Errorf("got %q", data)
	}
	_, _, err = f.read(&v1.ReadRequest{Path: "sub/a\nb", Offset: uint64(len(big)) + 1})
	wantCode(t, err, connect.CodeOutOfRange)

	again, err := f.write(&v1.WriteOptions{Path: "sub/a\nb", IfMatch: info.Etag}, []byte("new"))
	must(t, err)
	if again.Etag == info.Etag || again.Mode != 0o750 {
		t.Errorf("got %v", again)
	}
	_, err = f.write(&v1.WriteOptions{Path: "sub/a\nb", IfMatch: info.Etag}, []byte("newer"))
	wantCode(t, err, connect.CodeFailedPrecondition)
	_, _, err = f.read(&v1.ReadRequest{Path: "sub/a\nb", IfMatch: info.Etag})
	wantCode(t, err, connect.CodeFailedPrecondition)
	_, err = f.write(&v1.WriteOptions{Path: "sub/a\nb", MustNotExist: true})
	wantCode(t, err, connect.CodeAlreadyExists)
	if got, _ := os.ReadFile(f.folder + "/sub/a\nb"); string(got) != "new" {
		t.Errorf("the file is %q", got)
	}
	if names := f.names(t, f.folder+"/sub"); len(names) != 1 {
		t.Errorf("left over: %q", names)
	}
	empty, err := f.write(&v1.WriteOptions{Path: "empty"})
	must(t, err)
	if _, data, err = f.read(&v1.ReadRequest{Path: "empty"}); err != nil || len(data) != 0 || empty.Mode != 0o644 {
		t.Errorf("got %q, %v, %v", data, err, empty)
	}
}

func TestAnUploadThatBreaksLeavesTheOldFile(t *testing.T) {
	f := open(t)
	_, err := f.write(&v1.WriteOptions{Path: "file"}, []byte("old"))
	must(t, err)

	ctx, cancel := context.WithCancel(f.ctx)
	stream, err := f.client.Write(ctx)
	must(t, err)
	must(t, stream.Send(&v1.WriteRequest{Kind: &v1.WriteRequest_Options{Options: &v1.WriteOptions{Path: "file"}}}))
	must(t, stream.Send(&v1.WriteRequest{Kind: &v1.WriteRequest_Data{Data: []byte("half")}}))
	testservice.Until(t, "the upload has begun", func() bool { return len(f.names(t, f.folder)) == 2 })
	cancel()
	testservice.Until(t, "nothing of it is left", func() bool { return len(f.names(t, f.folder)) == 1 })

	_, err = f.write(&v1.WriteOptions{Path: "file", Size: proto.Uint64(10)}, []byte("short"))
	wantCode(t, err, connect.CodeInvalidArgument)
	// Some clients end their stream in good order when they break off.
	stream, err = f.client.Write(f.ctx)
	must(t, err)
	must(t, stream.Send(&v1.WriteRequest{Kind: &v1.WriteRequest_Options{Options: &v1.WriteOptions{Path: "file"}}}))
	must(t, stream.Send(&v1.WriteRequest{Kind: &v1.WriteRequest_Data{Data: []byte("half")}}))
	_, err = stream.CloseAndReceive()
	wantCode(t, err, connect.CodeInvalidArgument)
	if got, _ := os.ReadFile(f.folder + "/file"); string(got) != "old" {
		t.Errorf("the file is %q", got)
	}
	if names := f.names(t, f.folder); len(names) != 1 {
		t.Errorf("left over: %q", names)
	}
}

func TestOnlyWhatTheSessionMaySee(t *testing.T) {
	f := open(t)
	must(t, os.Symlink(f.secret, f.folder+"/absolute"))
	must(t, os.Symlink("../secret", f.folder+"/relative"))
	must(t, os.Symlink("/proc", f.folder+"/proc"))
	must(t, os.Symlink("..", f.folder+"/above"))
	must(t, os.WriteFile(f.folder+"/inside", []byte("inside"), 0o644))
	must(t, os.Symlink("inside", f.folder+"/fine"))
	must(t, syscall.Mkfifo(f.folder+"/fifo", 0o644))

	for _, path := range []string{
		"../secret", f.secret, f.folder + "/../secret", "absolute", "relative", "above/secret", "proc/1/environ", "/proc/self/environ",
		f.folder + "x", "/",
	} {
		_, _, err := f.read(&v1.ReadRequest{Path: path})
		wantCode(t, err, connect.CodePermissionDenied)
		_, err = f.client.Stat(f.ctx, &v1.StatRequest{Path: path})
		wantCode(t, err, connect.CodePermissionDenied)
	}
	for _, path := range []string{"../new", "above/new", "/tmp-of-nobody"} {
		_, err := f.write(&v1.WriteOptions{Path: path}, []byte("x"))
		wantCode(t, err, connect.CodePermissionDenied)
		_, err = f.client.MakeDir(f.ctx, &v1.MakeDirRequest{Path: path, Parents: true})
		wantCode(t, err, connect.CodePermissionDenied)
		_, err = f.client.Move(f.ctx, &v1.MoveRequest{From: "inside", To: path})
		wantCode(t, err, connect.CodePermissionDenied)
	}
	_, err := f.client.Remove(f.ctx, &v1.RemoveRequest{Path: "above/secret"})
	wantCode(t, err, connect.CodePermissionDenied)
	_, _, err = f.read(&v1.ReadRequest{Path: "fifo"})
	wantCode(t, err, connect.CodeFailedPrecondition)
	_, err = f.write(&v1.WriteOptions{Path: "fifo"}, []byte("x"))
	wantCode(t, err, connect.CodeFailedPrecondition)
	for _, path := range []string{"", "a\x00b"} {
		_, err = f.client.Stat(f.ctx, &v1.StatRequest{Path: path})
		wantCode(t, err, connect.CodeInvalidArgument)
	}
	for _, path := range []string{".", f.other} {
		_, err = f.client.Remove(f.ctx, &v1.RemoveRequest{Path: path, Recursive: true})
		wantCode(t, err, connect.CodeInvalidArgument)
	}

	if _, data, err := f.read(&v1.ReadRequest{Path: "fine"}); err != nil || string(data) != "inside" {
		t.Errorf("got %q, %v", data, err)
	}
	link, err := f.client.Stat(f.ctx, &v1.StatRequest{Path: "absolute", NoFollow: true})
	must(t, err)
	if link.Info.Kind != v1.FileKind_FILE_KIND_SYMLINK || link.Info.Target != f.secret {
		t.Errorf("got %v", link)
	}
	// A symlink at the place of an upload is replaced, not followed.
	_, err = f.write(&v1.WriteOptions{Path: "absolute"}, []byte("mine"))
	must(t, err)
	if got, _ := os.ReadFile(f.secret); string(got) != "secret" {
		t.Errorf("the file outside is %q", got)
	}
}

func TestWithTheWholeFileSystemAsRootTheKernelsFilesAreNotServed(t *testing.T) {
	roots, err := OpenRoots("/")
	must(t, err)
	defer roots.Close()
	for _, path := range []string{"/proc/self/environ", "/proc", "/sys/kernel", "/proc/self/root/etc/passwd", "/dev/null"} {
		p, err := roots.at(path)
		must(t, err)
		if file, _, err := p.openFile(); err == nil {
			file.Close()
			t.Errorf("%s was opened", path)
		}
		if folder, err := p.openFolder(); err == nil {
			folder.Close()
			t.Errorf("%s was listed", path)
		}
	}
	p, err := roots.at("/etc/passwd")
	must(t, err)
	file, _, err := p.openFile()
	must(t, err)
	file.Close()
}

func TestMakesMovesAndRemoves(t *testing.T) {
	f := open(t)
	made, err := f.client.MakeDir(f.ctx, &v1.MakeDirRequest{Path: "a/b", Parents: true, Mode: proto.Uint32(0o1777)})
	must(t, err)
	if made.Info.Kind != v1.FileKind_FILE_KIND_FOLDER || made.Info.Mode != 0o1777 {
		t.Errorf("got %v", made)
	}
	_, err = f.client.MakeDir(f.ctx, &v1.MakeDirRequest{Path: "a"})
	wantCode(t, err, connect.CodeAlreadyExists)
	_, err = f.client.MakeDir(f.ctx, &v1.MakeDirRequest{Path: "c/d"})
	wantCode(t, err, connect.CodeNotFound)
	_, err = f.client.MakeDir(f.ctx, &v1.MakeDirRequest{Path: "e", Mode: proto.Uint32(0o4755)})
	wantCode(t, err, connect.CodeInvalidArgument)

	_, err = f.write(&v1.WriteOptions{Path: "a/file"}, []byte("x"))
	must(t, err)
	_, err = f.write(&v1.WriteOptions{Path: "other"}, []byte("y"))
	must(t, err)
	_, err = f.client.Move(f.ctx, &v1.MoveRequest{From: "a/file", To: "other"})
	wantCode(t, err, connect.CodeAlreadyExists)
	moved, err := f.client.Move(f.ctx, &v1.MoveRequest{From: "a/file", To: "other", Replace: true})
	must(t, err)
	if moved.Info.Path != f.folder+"/other" || moved.Info.Size != 1 {
		t.Errorf("got %v", moved)
	}
	_, err = f.client.Move(f.ctx, &v1.MoveRequest{From: "other", To: f.other + "/x"})
	wantCode(t, err, connect.CodeFailedPrecondition)

	_, err = f.client.Remove(f.ctx, &v1.RemoveRequest{Path: "a"})
	wantCode(t, err, connect.CodeAlreadyExists)
	_, err = f.client.Remove(f.ctx, &v1.RemoveRequest{Path: "a", Recursive: true})
	must(t, err)
	_, err = f.client.Remove(f.ctx, &v1.RemoveRequest{Path: "a", Recursive: true})
	wantCode(t, err, connect.CodeNotFound)
	if names := f.names(t, f.folder); !slices.Equal(names, []string{"other"}) {
		t.Errorf("left: %q", names)
	}
}

func TestListsByDepthAndPages(t *testing.T) {
	f := open(t)
	for _, folder := range []string{"a/b/c", "d"} {
		must(t, os.MkdirAll(f.folder+"/"+folder, 0o755))
	}
	for _, file := range []string{"a/1", "a/b/2", "a/b/c/3", "a.txt", "d/4", "z"} {
		must(t, os.WriteFile(f.folder+"/"+file, nil, 0o644))
	}
	for depth, want := range map[uint32]string{
		0: "a a.txt d z",
		2: "a a/1 a/b a.txt d d/4 z",
		9: "a a/1 a/b a/b/2 a/b/c a/b/c/3 a.txt d d/4 z",
	} {
		for _, size := range []uint32{0, 1, 2, 3} {
			if got := strings.Join(f.list(t, ".", depth, size), " "); got != want {
				t.Errorf("depth %d, pages of %d: %s, not %s", depth, size, got, want)
			}
		}
	}
	_, err := f.client.List(f.ctx, &v1.ListFilesRequest{Path: "z"})
	wantCode(t, err, connect.CodeFailedPrecondition)
	_, err = f.client.List(f.ctx, &v1.ListFilesRequest{Path: "none"})
	wantCode(t, err, connect.CodeNotFound)
}

func (f fixture) list(t testing.TB, path string, depth, size uint32) (paths []string) {
	t.Helper()
	request := &v1.ListFilesRequest{Path: path, Depth: depth, PageSize: size}
	for {
		page, err := f.client.List(f.ctx, request)
		must(t, err)
		for _, entry := range page.Entries {
			paths = append(paths, strings.TrimPrefix(entry.Path, f.folder+"/"))
		}
		if request.PageToken = page.NextPageToken; request.PageToken == "" {
			return paths
		}
	}
}

func TestListsNamesThatAreNotUTF8(t *testing.T) {
	f := open(t)
	for _, name := range []string{"a", "b\xff", "c\xfe\xffd", "e\nf"} {
		must(t, os.WriteFile(f.folder+"/"+name, nil, 0o644))
	}
	must(t, os.Symlink("to\xff", f.folder+"/z"))
	if got, want := strings.Join(f.list(t, ".", 1, 1), "|"), "a|b\uFFFD|c\uFFFDd|e\nf|z"; got != want {
		t.Errorf("%q, not %q", got, want)
	}
	_, err := f.client.List(f.ctx, &v1.ListFilesRequest{Path: ".", PageToken: "no base64!"})
	wantCode(t, err, connect.CodeInvalidArgument)
}

func TestListsALargeFolder(t *testing.T) {
	f := open(t)
	const count = 100_000
	must(t, os.Mkdir(f.folder+"/large", 0o755))
	for i := range count {
		must(t, syscall.Mknod(fmt.Sprintf("%s/large/%06d", f.folder, i), syscall.S_IFREG|0o644, 0))
	}
	token := base64.RawURLEncoding.EncodeToString([]byte("098999"))
	page, err := f.client.List(f.ctx, &v1.ListFilesRequest{Path: "large", PageToken: token})
	must(t, err)
	if len(page.Entries) != 1000 || filepath.Base(page.Entries[0].Path) != "099000" || page.NextPageToken != "" {
		t.Errorf("%d entries, from %s, then %q", len(page.Entries), page.Entries[0].Path, page.NextPageToken)
	}
}

func TestAFileThatGrowsIsReadToTheEndThatItHad(t *testing.T) {
	f := open(t)
	must(t, os.WriteFile(f.folder+"/log", bytes.Repeat([]byte("x"), 3*chunkBytes), 0o644))
	stream, err := f.client.Read(f.ctx, &v1.ReadRequest{Path: "log"})
	must(t, err)
	defer stream.Close()
	total := 0
	for stream.Receive() {
		if stream.Msg().GetInfo() != nil {
			file, err := os.OpenFile(f.folder+"/log", os.O_APPEND|os.O_WRONLY, 0)
			must(t, err)
			_, err = file.Write(bytes.Repeat([]byte("y"), 1<<20))
			must(t, err)
			file.Close()
		}
		total += len(stream.Msg().GetData())
	}
	if must(t, stream.Err()); total != 3*chunkBytes {
		t.Errorf("%d bytes", total)
	}
}
