package files

import (
	"context"
	"os"
	"strings"
	"testing"

	v1 "berth/berthd/gen/berth/v1"

	"connectrpc.com/connect"
)

func TestWatchesFoldersOldAndNew(t *testing.T) {
	f := open(t)
	must(t, os.MkdirAll(f.folder+"/old/deep", 0o755))
	ctx, cancel := context.WithCancel(f.ctx)
	defer cancel()
	stream, err := f.client.Watch(ctx, &v1.WatchRequest{Path: ".", Recursive: true})
	must(t, err)
	defer stream.Close()
	var seen []string
	until := func(last string) {
		t.Helper()
		for stream.Receive() {
			event := stream.Msg()
			kind := strings.TrimPrefix(event.Kind.String(), "KIND_")
			seen = append(seen, kind+" "+strings.TrimPrefix(event.Path, f.folder))
			if seen[len(seen)-1] == last {
				return
			}
		}
		t.Fatalf("%v before %q, but %q", stream.Err(), last, seen)
	}
	until("READY ")
	must(t, os.WriteFile(f.folder+"/old/deep/file", []byte("x"), 0o644))
	until("MODIFIED /old/deep/file")
	must(t, os.MkdirAll(f.folder+"/new/a/b", 0o755))
	must(t, os.WriteFile(f.folder+"/new/a/b/early", []byte("x"), 0o644))
	until("CREATED /new/a/b/early")
	must(t, os.Chmod(f.folder+"/new/a/b/early", 0o600))
	until("ATTRIBUTES /new/a/b/early")
	must(t, os.Rename(f.folder+"/new", f.folder+"/moved"))
	until("REMOVED /new")
	must(t, os.WriteFile(f.folder+"/moved/a/b/late", nil, 0o644))
	until("CREATED /moved/a/b/late")
	_, err = f.write(upload{path: "uploaded"}, "x")
	must(t, err)
	until("CREATED /uploaded")
	must(t, os.Remove(f.folder+"/uploaded"))
	until("REMOVED /uploaded")
	if all := strings.Join(seen, "\n"); strings.Contains(all, partPrefix) {
		t.Errorf("the watch reports temporary files of uploads: %s", all)
	}
	cancel()
	for stream.Receive() {
	}
	wantCode(t, stream.Err(), connect.CodeCanceled)
}

func TestAWatchEndsWithItsFolder(t *testing.T) {
	f := open(t)
	must(t, os.Mkdir(f.folder+"/sub", 0o755))
	stream, err := f.client.Watch(f.ctx, &v1.WatchRequest{Path: "sub"})
	must(t, err)
	defer stream.Close()
	if !stream.Receive() {
		t.Fatal(stream.Err())
	}
	must(t, os.Remove(f.folder+"/sub"))
	for stream.Receive() {
	}
	must(t, stream.Err())

	stream, err = f.client.Watch(f.ctx, &v1.WatchRequest{Path: "../secret"})
	must(t, err)
	defer stream.Close()
	stream.Receive()
	wantCode(t, stream.Err(), connect.CodePermissionDenied)
}
