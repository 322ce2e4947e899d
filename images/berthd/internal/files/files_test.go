package files

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
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
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

type fixture struct {
	client berthv1connect.FileServiceClient
	url    string
	http   *http.Client
	ctx    context.Context
	folder string // the workspace, which is a root
	other  string // another root
	secret string // a file outside both roots
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
	service, mux := &Service{Roots: roots, Activity: &activity.Tracker{}}, http.NewServeMux()
	mux.Handle(berthv1connect.NewFileServiceHandler(service))
	mux.Handle("/", service.Bytes())
	f.url, f.http = testservice.Start(t, "/", mux)
	f.client = berthv1connect.NewFileServiceClient(f.http, f.url)
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

func wantRefusedRoot(t *testing.T, err error) {
	t.Helper()
	wantCode(t, err, connect.CodeInvalidArgument)
	if err != nil && !strings.Contains(err.Error(), "is a top folder of the file service and can't be moved, replaced or removed") {
		t.Errorf("got %v", err)
	}
}

// refusal returns the error that a response of Bytes reports; nil for a successful response.
func refusal(response *http.Response) error {
	switch {
	case response.StatusCode < 400:
		return nil
	case response.StatusCode == http.StatusPreconditionFailed:
		return connect.NewError(connect.CodeFailedPrecondition, errors.New(response.Status))
	case response.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		return connect.NewError(connect.CodeOutOfRange, errors.New(response.Status))
	}
	var problem struct {
		Code    connect.Code
		Message string
	}
	if err := json.NewDecoder(response.Body).Decode(&problem); err != nil {
		return fmt.Errorf("%s: %w", response.Status, err)
	}
	return connect.NewError(problem.Code, errors.New(problem.Message))
}

// ask sends a request to Bytes. `where` is the resource (files or archives) and a path. `more` is further query parameters.
func (f fixture) ask(method string, where [2]string, more url.Values, headers map[string]string, body io.Reader) (*http.Response, []byte, error) {
	query := url.Values{"path": {where[1]}}
	maps.Copy(query, more)
	request, err := http.NewRequestWithContext(f.ctx, method, f.url+"/"+where[0]+"?"+query.Encode(), body)
	if err != nil {
		return nil, nil, err
	}
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	if sized, ok := body.(sizedBody); ok {
		request.ContentLength = sized.size
	}
	response, err := f.http.Do(request)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	if err := refusal(response); err != nil {
		return nil, nil, err
	}
	data, err := io.ReadAll(response.Body)
	return response, data, err
}

// read returns the file's ETag and bytes. `headers` has pairs of names and values.
func (f fixture) read(path string, headers ...string) (string, []byte, error) {
	wanted := map[string]string{}
	for pair := range slices.Chunk(headers, 2) {
		wanted[pair[0]] = pair[1]
	}
	response, data, err := f.ask("GET", [2]string{"files", path}, nil, wanted, nil)
	if err != nil {
		return "", nil, err
	}
	return response.Header.Get("Etag"), data, nil
}

type upload struct {
	path, mode    string
	parents       bool
	ifMatch       string
	mustNotExist  bool
	sizeIsUnknown bool
}

// sizedBody is a body whose length the request announces.
type sizedBody struct {
	io.Reader
	size int64
}

func (f fixture) write(u upload, data string) (*v1.FileInfo, error) {
	query, headers := url.Values{}, map[string]string{}
	if u.mode != "" {
		query.Set("mode", u.mode)
	}
	if u.parents {
		query.Set("parents", "true")
	}
	if u.ifMatch != "" {
		headers["If-Match"] = u.ifMatch
	}
	if u.mustNotExist {
		headers["If-None-Match"] = "*"
	}
	var body io.Reader = io.MultiReader(strings.NewReader(data))
	if !u.sizeIsUnknown {
		body = sizedBody{body, int64(len(data))}
	}
	info := &v1.FileInfo{}
	_, answer, err := f.ask("PUT", [2]string{"files", u.path}, query, headers, body)
	if err != nil {
		return nil, err
	}
	return info, protojson.Unmarshal(answer, info)
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
	const path = "sub/a\nb"
	big := strings.Repeat("0123456789abcdef", 40_000)
	info, err := f.write(upload{path: path, parents: true, mode: "750"}, big)
	must(t, err)
	if info.Path != f.folder+"/"+path || info.Size != uint64(len(big)) || info.Mode != 0o750 || info.Kind != v1.FileKind_FILE_KIND_FILE {
		t.Errorf("got %v", info)
	}
	tag, data, err := f.read(f.folder + "/" + path)
	must(t, err)
	if string(data) != big || tag != info.Etag {
		t.Errorf("%d bytes, %s", len(data), tag)
	}
	_, data, err = f.read(path, "Range", "bytes=14-17", "If-Match", info.Etag)
	must(t, err)
	if string(data) != "ef01" {
		t.Errorf("got %q", data)
	}
	_, _, err = f.read(path, "Range", fmt.Sprintf("bytes=%d-", len(big)))
	wantCode(t, err, connect.CodeOutOfRange)

	again, err := f.write(upload{path: path, ifMatch: info.Etag, sizeIsUnknown: true}, "new")
	must(t, err)
	if again.Etag == info.Etag || again.Mode != 0o750 {
		t.Errorf("got %v", again)
	}
	_, err = f.write(upload{path: path, ifMatch: info.Etag}, "newer")
	wantCode(t, err, connect.CodeFailedPrecondition)
	_, _, err = f.read(path, "If-Match", info.Etag)
	wantCode(t, err, connect.CodeFailedPrecondition)
	_, err = f.write(upload{path: path, mustNotExist: true}, "")
	wantCode(t, err, connect.CodeAlreadyExists)
	for _, mode := range []string{"9", "4755", "-1", "x"} {
		_, err = f.write(upload{path: path, mode: mode}, "")
		wantCode(t, err, connect.CodeInvalidArgument)
	}
	if got, _ := os.ReadFile(f.folder + "/" + path); string(got) != "new" {
		t.Errorf("the file is %q", got)
	}
	if names := f.names(t, f.folder+"/sub"); len(names) != 1 {
		t.Errorf("leftover files: %q", names)
	}
	empty, err := f.write(upload{path: "empty"}, "")
	must(t, err)
	if _, data, err = f.read("empty"); err != nil || len(data) != 0 || empty.Mode != 0o644 {
		t.Errorf("got %q, %v, %v", data, err, empty)
	}
}

func TestAnUploadThatBreaksLeavesTheOldFile(t *testing.T) {
	f := open(t)
	_, err := f.write(upload{path: "file"}, "old")
	must(t, err)
	for _, begun := range []string{
		"Content-Length: 10\r\n\r\nhalf", "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", "Transfer-Encoding: chunked\r\n\r\nA\r\nhalf",
	} {
		connection, err := net.Dial("tcp", strings.TrimPrefix(f.url, "http://"))
		must(t, err)
		_, err = io.WriteString(connection, "PUT /files?path=file HTTP/1.1\r\nHost: berthd\r\n"+begun)
		must(t, err)
		testservice.Until(t, "the upload has begun", func() bool { return len(f.names(t, f.folder)) == 2 })
		connection.Close()
		testservice.Until(t, "nothing of it is left", func() bool { return len(f.names(t, f.folder)) == 1 })
	}
	if got, _ := os.ReadFile(f.folder + "/file"); string(got) != "old" {
		t.Errorf("the file is %q", got)
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
		_, _, err := f.read(path)
		wantCode(t, err, connect.CodePermissionDenied)
		_, err = f.client.Stat(f.ctx, &v1.StatRequest{Path: path})
		wantCode(t, err, connect.CodePermissionDenied)
	}
	for _, path := range []string{"../new", "above/new", "/tmp-of-nobody"} {
		_, err := f.write(upload{path: path}, "x")
		wantCode(t, err, connect.CodePermissionDenied)
		_, err = f.client.MakeDir(f.ctx, &v1.MakeDirRequest{Path: path, Parents: true})
		wantCode(t, err, connect.CodePermissionDenied)
		_, err = f.client.Move(f.ctx, &v1.MoveRequest{From: "inside", To: path})
		wantCode(t, err, connect.CodePermissionDenied)
	}
	_, err := f.client.Remove(f.ctx, &v1.RemoveRequest{Path: "above/secret"})
	wantCode(t, err, connect.CodePermissionDenied)
	_, _, err = f.read("fifo")
	wantCode(t, err, connect.CodeFailedPrecondition)
	_, err = f.write(upload{path: "fifo"}, "x")
	wantCode(t, err, connect.CodeFailedPrecondition)
	for _, path := range []string{"", "a\x00b"} {
		_, err = f.client.Stat(f.ctx, &v1.StatRequest{Path: path})
		wantCode(t, err, connect.CodeInvalidArgument)
	}
	for _, path := range []string{".", f.other} {
		_, err = f.client.Remove(f.ctx, &v1.RemoveRequest{Path: path, Recursive: true})
		wantRefusedRoot(t, err)
	}
	for from, to := range map[string]string{".": "moved", "fine": "."} {
		_, err = f.client.Move(f.ctx, &v1.MoveRequest{From: from, To: to, Replace: true})
		wantRefusedRoot(t, err)
	}

	if _, data, err := f.read("fine"); err != nil || string(data) != "inside" {
		t.Errorf("got %q, %v", data, err)
	}
	link, err := f.client.Stat(f.ctx, &v1.StatRequest{Path: "absolute", NoFollow: true})
	must(t, err)
	if link.Info.Kind != v1.FileKind_FILE_KIND_SYMLINK || link.Info.Target != f.secret {
		t.Errorf("got %v", link)
	}
	// A symlink at the place of an upload is replaced, not followed.
	_, err = f.write(upload{path: "absolute"}, "mine")
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

	_, err = f.write(upload{path: "a/file"}, "x")
	must(t, err)
	_, err = f.write(upload{path: "other"}, "y")
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
		t.Errorf("remaining files: %q", names)
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
	const size = 16 << 20 // more than the buffers of a connection hold
	must(t, os.WriteFile(f.folder+"/log", bytes.Repeat([]byte("x"), size), 0o644))
	response, err := f.http.Get(f.url + "/files?path=log")
	must(t, err)
	defer response.Body.Close()
	file, err := os.OpenFile(f.folder+"/log", os.O_APPEND|os.O_WRONLY, 0)
	must(t, err)
	_, err = file.Write(bytes.Repeat([]byte("y"), 1<<20))
	must(t, err)
	file.Close()
	data, err := io.ReadAll(response.Body)
	if must(t, err); !bytes.Equal(data, bytes.Repeat([]byte("x"), size)) {
		t.Errorf("%d bytes", len(data))
	}
}

func TestAFileThatShrinksIsCutOff(t *testing.T) {
	f := open(t)
	must(t, os.WriteFile(f.folder+"/log", make([]byte, 16<<20), 0o644))
	response, err := f.http.Get(f.url + "/files?path=log")
	must(t, err)
	defer response.Body.Close()
	must(t, os.Truncate(f.folder+"/log", 1))
	if data, err := io.ReadAll(response.Body); err == nil {
		t.Errorf("%d bytes, and no error", len(data))
	}
}
