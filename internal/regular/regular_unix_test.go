//go:build unix

package regular

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// A FIFO that takes the place of a file between the look at it and its opening
// must not keep anybody waiting for a writer.
func TestAttack_FIFOInTheGap(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	swap := func(name string) (fs.FileInfo, error) {
		info, err := os.Stat(name)
		if err := os.Remove(name); err != nil {
			t.Error(err)
		}
		if err := syscall.Mkfifo(name, 0o600); err != nil {
			t.Error(err)
		}
		return info, err
	}
	done := make(chan error, 1)
	go func() {
		_, _, err := open(path, swap, os.OpenFile)
		done <- err
	}()
	select {
	case err := <-done:
		if !errors.Is(err, ErrNot) {
			t.Errorf("got %v, want %v", err, ErrNot)
		}
	case <-time.After(30 * time.Second):
		t.Error("waits for a writer")
		if f, err := os.OpenFile(path, os.O_RDWR, 0); err == nil { // let it go
			f.Close()
		}
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	file, fifo, link := filepath.Join(dir, "file"), filepath.Join(dir, "fifo"), filepath.Join(dir, "link")
	if err := os.WriteFile(file, []byte("four"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(os.DevNull, link); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for _, name := range []string{fifo, link, dir} {
		if _, err := Read(name, 10); !errors.Is(err, ErrNot) {
			t.Errorf("%s: got %v", name, err)
		}
		if rel, err := filepath.Rel(dir, name); err != nil {
			t.Error(err)
		} else if _, err := ReadIn(root, rel, 10); err == nil {
			t.Errorf("%s in the root: no error", rel)
		}
	}
	if b, err := ReadIn(root, "file", 4); err != nil || string(b) != "four" {
		t.Errorf("got %q, %v", b, err)
	}
	if _, err := Read(file, 3); err == nil {
		t.Error("four bytes of three at most")
	}
	if _, err := ReadIn(root, "../x", 3); err == nil {
		t.Error("out of the root")
	}
	if _, err := Read(filepath.Join(dir, "none"), 3); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
