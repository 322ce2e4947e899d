package files

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	v1 "berth/berthd/gen/berth/v1"
	"berth/berthd/internal/activity"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
)

// FuzzPaths reads, writes, lists, moves and removes files at any path, in a folder with symlinks that point outside. The
// server must never report an internal error, and must never read or change a file outside the folder.
func FuzzPaths(f *testing.F) {
	for _, path := range []string{
		"a", "../secret", "/", ".", "", "link", "up/secret", "up/up/secret", "loop", "deep/../../secret", "a/", "a\nb", "a\x00", "fifo",
		"self/../secret", "/proc/self/environ", "deep/link", "\xff\xfe", strings.Repeat("x", 300), strings.Repeat("x/", 3000), "deep/.", "..",
	} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		top := t.TempDir()
		inside := top + "/in"
		must(t, os.MkdirAll(inside+"/deep", 0o755))
		must(t, os.WriteFile(top+"/secret", []byte("secret"), 0o600))
		for name, target := range map[string]string{"link": "../secret", "up": "..", "loop": "loop", "self": ".", "deep/link": top + "/secret"} {
			must(t, os.Symlink(target, inside+"/"+name))
		}
		must(t, syscall.Mkfifo(inside+"/fifo", 0o644))
		roots, err := OpenRoots(inside)
		must(t, err)
		defer roots.Close()
		s := &Service{Roots: roots, Activity: &activity.Tracker{}}
		ctx := context.Background()

		fine := func(what string, err error) {
			if err != nil && connect.CodeOf(problem(err)) == connect.CodeInternal {
				t.Errorf("%s %q: %v", what, path, err)
			}
		}
		p, err := roots.at(path)
		if err != nil {
			fine("at", err)
			return
		}
		if file, _, err := p.openFile(); err == nil {
			data, _ := io.ReadAll(file)
			file.Close()
			if string(data) == "secret" {
				t.Errorf("%q resolves to a file outside the root", path)
			}
		} else {
			fine("open", err)
		}
		_, err = s.List(ctx, &v1.ListFilesRequest{Path: path, Depth: 3, PageToken: path})
		fine("list", err)
		_, err = s.Stat(ctx, &v1.StatRequest{Path: path})
		fine("stat", err)
		_, err = writeFile(p, writeOptions{mode: 0o644, size: -1}, strings.NewReader("x"))
		fine("write", err)
		_, err = s.Move(ctx, &v1.MoveRequest{From: path, To: "deep/" + path, Replace: true})
		fine("move", err)
		_, err = s.MakeDir(ctx, &v1.MakeDirRequest{Path: path, Parents: true, Mode: proto.Uint32(0o700)})
		fine("make", err)
		_, err = s.Remove(ctx, &v1.RemoveRequest{Path: path, Recursive: true})
		fine("remove", err)

		entries, err := os.ReadDir(top)
		must(t, err)
		secret, _ := os.ReadFile(top + "/secret")
		if len(entries) != 2 || string(secret) != "secret" {
			t.Errorf("%q changed a file outside the root: %v, %q", path, entries, secret)
		}
	})
}

// The test needs a disk of 1 MiB, so it runs itself again in a mount namespace in which it may mount such a disk.
func TestAFullDiskIsToldAndNothingIsHalfWritten(t *testing.T) {
	const inside = "BERTHD_TEST_FULL_DISK"
	if os.Getenv(inside) == "" {
		command := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		command.Env = append(os.Environ(), inside+"="+t.TempDir())
		command.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		}
		output, err := command.CombinedOutput()
		if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) {
			t.Skip("this machine does not allow user namespaces")
		}
		if err != nil {
			t.Fatalf("%v\n%s", err, output)
		}
		return
	}
	disk := os.Getenv(inside)
	must(t, syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=1m"))
	f := open(t)
	roots, err := OpenRoots(disk)
	must(t, err)
	defer roots.Close()
	f.serve(t, roots)
	must(t, os.WriteFile(disk+"/file", []byte("old"), 0o644))
	large := strings.Repeat("x", 1_500_000)
	// If the server knows the size of the upload, it refuses the upload at once. Otherwise it refuses when the disk is full.
	for _, sizeIsUnknown := range []bool{false, true} {
		_, err = f.write(upload{path: "file", sizeIsUnknown: sizeIsUnknown}, large)
		wantCode(t, err, connect.CodeResourceExhausted)
	}
	if got, _ := os.ReadFile(disk + "/file"); string(got) != "old" {
		t.Errorf("the file is %d bytes", len(got))
	}
	if names := f.names(t, disk); len(names) != 1 {
		t.Errorf("leftover files: %q", names)
	}
}
