//go:build linux || darwin || freebsd

package filetree

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestEdge50_SpecialFiles(t *testing.T) {
	for name, create := range map[string]func(path string) error{
		"fifo": func(path string) error { return unix.Mkfifo(path, 0o600) },
		"socket": func(path string) error {
			l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
			if err == nil {
				t.Cleanup(func() { l.Close() })
			}
			return err
		},
		"device": func(path string) error { return unix.Mknod(path, unix.S_IFCHR|0o600, 1<<8|3) },
	} {
		t.Run(name, func(t *testing.T) {
			root, err := os.MkdirTemp("", "ft") // a socket's path must be short
			if err != nil {
				t.Fatal(err)
			}
			defer os.RemoveAll(root)
			if err := create(filepath.Join(root, "x")); err != nil {
				t.Skip(err)
			}
			_, err = Scan(t.Context(), root, Options{})
			if e := wantReason(t, err, ReasonSpecial); e.Path != "x" || !strings.Contains(e.Msg, name) {
				t.Errorf("got %v", e)
			}
			mustScan(t, root, Options{Exclude: func(p string) bool { return p == "x" }})
		})
	}
}

func TestEdge50_Unreadable(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("nothing is unreadable for root")
	}
	root := writeTree(t, map[string]string{"a": "x", "d/b": "x"})
	for _, name := range []string{"a", "d"} {
		path := filepath.Join(root, name)
		if err := os.Chmod(path, 0); err != nil {
			t.Fatal(err)
		}
		_, err := Scan(t.Context(), root, Options{})
		if e := wantReason(t, err, ReasonRead); e.Path != name {
			t.Errorf("got %v", e)
		}
		os.Chmod(path, 0o755)
	}
}

// The steps of a scan are taken by hand here, with the attack between them.
func TestEdge49_Swaps(t *testing.T) {
	outside := writeTree(t, map[string]string{"secret": "s3cret", "d/secret": "s3cret"})
	for name, test := range map[string]struct {
		attack func(root string) error
		reason string
	}{
		"file for a link out": {func(root string) error {
			os.Remove(filepath.Join(root, "f"))
			return os.Symlink(filepath.Join(outside, "secret"), filepath.Join(root, "f"))
		}, ReasonChanged},
		"file for a fifo": {func(root string) error {
			os.Remove(filepath.Join(root, "f"))
			return unix.Mkfifo(filepath.Join(root, "f"), 0o600)
		}, ReasonChanged},
		"file for a hard link": {func(root string) error {
			os.Remove(filepath.Join(root, "f"))
			return os.Link(filepath.Join(outside, "secret"), filepath.Join(root, "f"))
		}, ReasonChanged},
		"file gone":    {func(root string) error { return os.Remove(filepath.Join(root, "f")) }, ReasonChanged},
		"file grown":   {func(root string) error { return os.WriteFile(filepath.Join(root, "f"), []byte("longer"), 0o644) }, ReasonChanged},
		"file chmod":   {func(root string) error { return os.Chmod(filepath.Join(root, "f"), 0o755) }, ReasonChanged},
		"no change":    {func(root string) error { return nil }, ""},
		"same content": {func(root string) error { return os.WriteFile(filepath.Join(root, "f"), []byte("f"), 0o644) }, ReasonChanged},
	} {
		t.Run(name, func(t *testing.T) {
			root := writeTree(t, map[string]string{"f": "f"})
			w, d := stepper(t, root)
			st, err := d.lstat("f")
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Millisecond) // the clock of the file system ticks
			if err := test.attack(root); err != nil {
				t.Fatal(err)
			}
			err = w.file(d, "f", &st)
			if test.reason == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantReason(t, err, test.reason)
		})
	}

	t.Run("directory for a link out", func(t *testing.T) {
		root := writeTree(t, map[string]string{"d/f": "f"})
		w, d := stepper(t, root)
		st, err := d.lstat("d")
		if err != nil {
			t.Fatal(err)
		}
		os.Rename(filepath.Join(root, "d"), filepath.Join(root, "e"))
		os.Symlink(filepath.Join(outside, "d"), filepath.Join(root, "d"))
		wantReason(t, w.list(task{dir: d, list: "d", want: st}), ReasonChanged)
	})
	t.Run("directory for another", func(t *testing.T) {
		root := writeTree(t, map[string]string{"d/f": "f"})
		w, d := stepper(t, root)
		st, err := d.lstat("d")
		if err != nil {
			t.Fatal(err)
		}
		os.Rename(filepath.Join(root, "d"), filepath.Join(root, "e"))
		os.Mkdir(filepath.Join(root, "d"), 0o755)
		wantReason(t, w.list(task{dir: d, list: "d", want: st}), ReasonChanged)
	})
	// The open directory stays the one that was listed, wherever it goes.
	t.Run("directory moved during the scan", func(t *testing.T) {
		root := writeTree(t, map[string]string{"d/secret": "inside"})
		var done bool
		_, err := Scan(t.Context(), root, Options{Workers: 1, Exclude: func(p string) bool {
			if p == "d/secret" && !done {
				done = true
				time.Sleep(10 * time.Millisecond)
				os.Rename(filepath.Join(root, "d"), filepath.Join(root, "e"))
				os.Symlink(filepath.Join(outside, "d"), filepath.Join(root, "d"))
			}
			return false
		}})
		wantReason(t, err, ReasonChanged)
	})
}

func stepper(t *testing.T, root string) (*worker, *directory) {
	t.Helper()
	s, err := newScan(root, Options{})
	if err != nil {
		t.Fatal(err)
	}
	d := s.stack[0].dir
	t.Cleanup(d.close)
	w := &worker{scan: s, buf: make([]byte, bufferSize)}
	return w, d
}

func TestEdge50_ChangedDuringScan(t *testing.T) {
	for name, change := range map[string]func(dir string) error{
		"file added":   func(dir string) error { return os.WriteFile(filepath.Join(dir, "new"), nil, 0o644) },
		"file removed": func(dir string) error { return os.Remove(filepath.Join(dir, "b")) },
		"renamed":      func(dir string) error { return os.Rename(filepath.Join(dir, "b"), filepath.Join(dir, "c")) },
	} {
		t.Run(name, func(t *testing.T) {
			root := writeTree(t, map[string]string{"d/a": "a", "d/b": "b"})
			time.Sleep(10 * time.Millisecond)
			done := false
			_, err := Scan(t.Context(), root, Options{Workers: 1, Exclude: func(p string) bool {
				if strings.HasPrefix(p, "d/") && !done {
					done = true
					if err := change(filepath.Join(root, "d")); err != nil {
						t.Error(err)
					}
				}
				return false
			}})
			wantReason(t, err, ReasonChanged)
		})
	}
}

// A file that the kernel makes up as it is read has no size beforehand.
func TestFileWithoutSize(t *testing.T) {
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip(err)
	}
	s, err := newScan("/proc/self", Options{})
	if err != nil {
		t.Fatal(err)
	}
	d := s.stack[0].dir
	defer d.close()
	st, err := d.lstat("status")
	if err != nil {
		t.Fatal(err)
	}
	w := &worker{scan: s, buf: make([]byte, bufferSize)}
	wantReason(t, w.file(d, "status", &st), ReasonChanged)
}
