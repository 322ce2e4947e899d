package files

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"syscall"
	"testing"

	v1 "berth/berthd/gen/berth/v1"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/encoding/protojson"
)

func (f fixture) tarDown(path string) ([]byte, error) {
	_, data, err := f.ask("GET", [2]string{"archives", path}, nil, nil, nil)
	return data, err
}

func (f fixture) tarUp(path string, data []byte) (*v1.Unpacked, error) {
	_, answer, err := f.ask("PUT", [2]string{"archives", path}, nil, nil, bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	unpacked := &v1.Unpacked{}
	return unpacked, protojson.Unmarshal(answer, unpacked)
}

// archiveOf returns an archive with these entries. The content of each file is the file's name.
func archiveOf(t testing.TB, headers ...*tar.Header) []byte {
	t.Helper()
	var packed bytes.Buffer
	archive := tar.NewWriter(&packed)
	for _, header := range headers {
		if header.Typeflag == tar.TypeReg {
			header.Size = int64(len(header.Name))
		}
		must(t, archive.WriteHeader(header))
		if header.Typeflag == tar.TypeReg {
			_, err := archive.Write([]byte(header.Name))
			must(t, err)
		}
	}
	must(t, archive.Close())
	return packed.Bytes()
}

func TestATarGoesDownAndUpAgain(t *testing.T) {
	f := open(t)
	must(t, os.MkdirAll(f.folder+"/from/sub", 0o750))
	must(t, os.WriteFile(f.folder+"/from/sub/big", bytes.Repeat([]byte("berth"), 100_000), 0o640))
	must(t, os.WriteFile(f.folder+"/from/run\nme", nil, 0o755))
	must(t, os.Symlink("sub/big", f.folder+"/from/link"))
	must(t, syscall.Mkfifo(f.folder+"/from/fifo", 0o644))
	data, err := f.tarDown("from")
	must(t, err)
	response, err := f.tarUp(f.other+"/to/there", data)
	must(t, err)
	if response.Files != 2 || response.Bytes != 500_000 {
		t.Errorf("got %v", response)
	}
	there := f.other + "/to/there"
	big, err := os.ReadFile(there + "/link")
	must(t, err)
	info, err := os.Stat(there + "/sub/big")
	must(t, err)
	if len(big) != 500_000 || info.Mode() != 0o640 {
		t.Errorf("%d bytes, %v", len(big), info.Mode())
	}
	if names := f.names(t, there); !slices.Equal(names, []string{"link", "run\nme", "sub"}) {
		t.Errorf("got %q", names)
	}

	single, err := f.tarDown("from/sub/big")
	must(t, err)
	header, err := tar.NewReader(bytes.NewReader(single)).Next()
	must(t, err)
	if header.Name != "big" || header.Size != 500_000 {
		t.Errorf("got %v", header)
	}
}

func TestATarWritesNothingOutside(t *testing.T) {
	f := open(t)
	file := func(name string) *tar.Header { return &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644} }
	link := func(kind byte, name, target string) *tar.Header {
		return &tar.Header{Typeflag: kind, Name: name, Linkname: target, Mode: 0o777}
	}
	for name, test := range map[string]struct {
		headers []*tar.Header
		code    connect.Code
	}{
		"above":           {[]*tar.Header{file("../../secret")}, connect.CodeInvalidArgument},
		"absolute":        {[]*tar.Header{file(f.secret)}, connect.CodeInvalidArgument},
		"through a link":  {[]*tar.Header{link(tar.TypeSymlink, "out", "../.."), file("out/secret")}, connect.CodePermissionDenied},
		"absolute link":   {[]*tar.Header{link(tar.TypeSymlink, "out2", f.secret[:len(f.secret)-7]), file("out2/secret")}, connect.CodePermissionDenied},
		"hard link":       {[]*tar.Header{link(tar.TypeLink, "hard", "../../secret"), file("hard")}, connect.CodeNotFound},
		"device":          {[]*tar.Header{{Typeflag: tar.TypeChar, Name: "null", Devmajor: 1, Devminor: 3}}, connect.CodeInvalidArgument},
		"over the folder": {[]*tar.Header{file("a/b"), file("a")}, connect.CodeFailedPrecondition},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := f.tarUp("in", archiveOf(t, test.headers...))
			wantCode(t, err, test.code)
		})
	}
	_, err := f.tarUp("in", []byte("this is no tar archive, and it is not short of bytes either"))
	wantCode(t, err, connect.CodeInvalidArgument)
	if got, _ := os.ReadFile(f.secret); string(got) != "secret" {
		t.Errorf("the file outside is %q", got)
	}
}

// FuzzTakeArchive uploads arbitrary bytes as an archive. The server must either unpack them or refuse them as invalid, and must
// never write outside the folder.
func FuzzTakeArchive(f *testing.F) {
	f.Add(archiveOf(f, &tar.Header{Typeflag: tar.TypeReg, Name: "file", Mode: 0o644}))
	f.Add(archiveOf(f, &tar.Header{Typeflag: tar.TypeSymlink, Name: "out", Linkname: ".."},
		&tar.Header{Typeflag: tar.TypeReg, Name: "out/x", Mode: 0o644}))
	f.Fuzz(func(t *testing.T, data []byte) {
		top := t.TempDir()
		must(t, os.Mkdir(top+"/in", 0o755))
		roots, err := OpenRoots(top + "/in")
		must(t, err)
		defer roots.Close()
		to, err := roots.at("to")
		must(t, err)
		must(t, makeFolders(to, 0o755))
		archive := tar.NewReader(bytes.NewReader(data))
		for range 100 {
			header, err := archive.Next()
			if err != nil || header.Size > 1<<20 { // the server reserves the declared size on the disk
				break
			}
			if err := unpack(to, header, archive, &v1.Unpacked{}); err != nil {
				if connect.CodeOf(problem(err)) == connect.CodeInternal && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("%q: %v", header.Name, err)
				}
				break
			}
		}
		if entries, _ := os.ReadDir(top); len(entries) != 1 {
			t.Errorf("outside the root are %v", entries)
		}
	})
}
