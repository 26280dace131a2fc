package atomicfile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var s []string
	for _, e := range entries {
		s = append(s, e.Name())
	}
	return strings.Join(s, " ")
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	for _, data := range []string{"one", "", "three and more"} {
		if err := WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := content(t, path); got != data {
			t.Errorf("%q, want %q", got, data)
		}
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if got := names(t, dir); got != "f" {
		t.Errorf("left behind: %s", got)
	}
	long := filepath.Join(dir, strings.Repeat("n", 255))
	if err := WriteFile(long, nil, 0o600); err != nil {
		t.Errorf("a name of 255 bytes: %v", err)
	}
}

func TestWriteNew(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := WriteNew(path, []byte("first"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := WriteNew(path, []byte("second"), 0o600); !errors.Is(err, fs.ErrExist) {
		t.Errorf("err = %v, want fs.ErrExist", err)
	}
	if got := content(t, path); got != "first" {
		t.Errorf("replaced by %q", got)
	}
	dangling := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(dir, "elsewhere"), dangling); err == nil {
		if err := WriteNew(dangling, nil, 0o600); !errors.Is(err, fs.ErrExist) {
			t.Errorf("a dangling link: %v, want fs.ErrExist", err)
		}
	}
	os.Remove(dangling)
	if got := names(t, dir); got != "f" {
		t.Errorf("left behind: %s", got)
	}
}

func TestAbort(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := New(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(w, "new")
	if got := content(t, path); got != "old" {
		t.Errorf("%q before Commit", got)
	}
	w.Abort()
	w.Abort()
	if err := w.Commit(); err == nil {
		t.Error("Commit after Abort")
	}
	if got := content(t, path); got != "old" {
		t.Errorf("%q after Abort", got)
	}

	w, err = New(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(w, "new")
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	w.Abort()
	if got := content(t, path); got != "new" {
		t.Errorf("%q after Commit", got)
	}

	// A write that failed is not committed.
	w, err = New(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	w.f.Close()
	if _, err := w.Write([]byte("x")); err == nil {
		t.Fatal("write to a closed file")
	}
	if err := w.Commit(); err == nil {
		t.Error("committed an incomplete file")
	}
	if got := content(t, path); got != "new" {
		t.Errorf("%q after a failure", got)
	}
	if got := names(t, dir); got != "f" {
		t.Errorf("left behind: %s", got)
	}
}

func TestRefuses(t *testing.T) {
	dir := t.TempDir()
	sub := filepath.Join(dir, "sub")
	if err := os.Mkdir(sub, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{sub, dir + "/", filepath.Join(dir, "none", "f"), "", ".", ".."} {
		if err := WriteFile(path, []byte("x"), 0o600); err == nil {
			t.Errorf("wrote %q", path)
		}
	}
	if got := names(t, dir); got != "sub" {
		t.Errorf("left behind: %s", got)
	}
}

func TestSymlinkIsReplaced(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
	if err := os.WriteFile(target, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, link); err != nil {
		t.Skip(err)
	}
	if err := WriteFile(link, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	if content(t, target) != "old" || content(t, link) != "new" {
		t.Error("the link was followed")
	}
}

func TestLock(t *testing.T) {
	dir := t.TempDir()
	unlock, err := Lock(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if _, err := Lock(ctx, dir); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a lock that is held: %v", err)
	}
	unlock()
	unlock, err = Lock(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	unlock()
	if _, err := Lock(context.Background(), filepath.Join(dir, "none")); err == nil {
		t.Error("locked a directory that does not exist")
	}

	// Mutual exclusion: read, pause, write.
	var n atomic.Int32 // the detector of races does not know of file locks
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			unlock, err := Lock(context.Background(), dir)
			if err != nil {
				t.Error(err)
				return
			}
			defer unlock()
			m := n.Load()
			time.Sleep(100 * time.Microsecond)
			n.Store(m + 1)
		})
	}
	wg.Wait()
	if n.Load() != 20 {
		t.Errorf("%d of 20", n.Load())
	}
}

// A process that is killed at any moment leaves the old file or the new one.
func TestCrash(t *testing.T) {
	const size = 1 << 20
	if path := os.Getenv("ATOMICFILE_CRASH"); path != "" {
		for i := byte('a'); ; i++ { // until killed
			if i > 'z' {
				i = 'a'
			}
			if err := WriteFile(path, bytes.Repeat([]byte{i}, size), 0o600); err != nil {
				fmt.Println(err)
				os.Exit(1)
			}
		}
	}
	exe, err := os.Executable()
	if err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := WriteFile(path, bytes.Repeat([]byte{'0'}, size), 0o600); err != nil {
		t.Fatal(err)
	}
	temps := 0
	for i := range 25 {
		cmd := exec.Command(exe, "-test.run=^TestCrash$")
		cmd.Env = append(os.Environ(), "ATOMICFILE_CRASH="+path)
		var out bytes.Buffer
		cmd.Stdout = &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(15+i*2) * time.Millisecond)
		cmd.Process.Kill()
		cmd.Wait()
		got := content(t, path)
		if len(got) != size || strings.Count(got, got[:1]) != size {
			t.Fatalf("round %d: a part of a file, %d bytes", i, len(got))
		}
		if out.Len() > 0 {
			t.Fatalf("round %d: %s", i, &out)
		}
		left, _ := filepath.Glob(filepath.Join(dir, ".f.*.tmp"))
		temps += len(left)
		for _, l := range left {
			os.Remove(l)
		}
		if got := names(t, dir); got != "f" {
			t.Fatalf("round %d: left behind %s", i, got)
		}
	}
	if content(t, path)[0] == '0' {
		t.Error("no round wrote anything; the test proves nothing")
	}
	t.Logf("%d of 25 rounds were killed in the middle of a write", temps)
}
