package install

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestTheRunningProgramIsThereWholeAndMayBeRunByAllAndChangedByNobody(t *testing.T) {
	folder := t.TempDir()
	for range 2 { // Kubernetes may run an init container more than once
		if err := Copy(folder); err != nil {
			t.Fatal(err)
		}
	}
	own, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{Program, ProgressLink} {
		content, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil || !bytes.Equal(content, own) {
			t.Errorf("%s has %d bytes, not %d (%v)", name, len(content), len(own), err)
		}
	}
	info, err := os.Stat(filepath.Join(folder, Program))
	if err != nil || info.Mode() != 0o555 {
		t.Errorf("the mode of the copy is %v (%v)", info.Mode(), err)
	}
	entries, err := os.ReadDir(folder)
	if err != nil || len(entries) != 2 {
		t.Errorf("the folder contains %v (%v)", entries, err)
	}
}

func TestAFolderThatIsNotThereIsNamed(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "missing")
	if err := Copy(folder); err == nil || !bytes.Contains([]byte(err.Error()), []byte(folder)) {
		t.Errorf("the error is %v", err)
	}
}
