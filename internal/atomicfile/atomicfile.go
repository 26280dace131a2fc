// Package atomicfile writes files that are there as a whole or not at all.
//
// Data goes to a temporary file beside the target, is synced to the disk, and
// takes the target's name by rename; then the directory is synced. A reader
// sees the old file or the new one and never a part, and so does whoever looks
// after a crash. A failure removes the temporary file. A process that is killed
// cannot: what it leaves is named ".NAME.RANDOM.tmp", which no reader of
// evidence looks at.
package atomicfile

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
)

// A Writer collects the new content of a file. Exactly one of [Writer.Commit]
// and [Writer.Abort] takes effect, the first that is called, so that a
// deferred Abort is the clean-up of every path that does not commit.
type Writer struct {
	f      *os.File
	target string
	err    error // the first failure of Write: what is incomplete is not committed
	done   bool
}

// New starts to write the file at path with the permissions perm (before the
// umask). The directory must exist. Nothing is at path before [Writer.Commit].
func New(path string, perm fs.FileMode) (*Writer, error) {
	dir, base := filepath.Split(path)
	if base == "" || base == "." || base == ".." {
		return nil, &fs.PathError{Op: "write", Path: path, Err: errors.New("not a file name")}
	}
	// A rename replaces the name whatever it is, but for a directory. Find out
	// before work is spent, and do not turn a device or a pipe into a file.
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() && info.Mode()&fs.ModeSymlink == 0 {
		return nil, &fs.PathError{Op: "write", Path: path, Err: fmt.Errorf("is not a regular file (%v)", info.Mode().Type())}
	}
	// Names are at most 255 bytes on the file systems at hand.
	temp := filepath.Join(dir, "."+base[:min(len(base), 200)]+"."+rand.Text()+".tmp")
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return nil, err
	}
	return &Writer{f: f, target: path}, nil
}

// Write appends to the new content.
func (w *Writer) Write(p []byte) (int, error) {
	n, err := w.f.Write(p)
	if err != nil && w.err == nil {
		w.err = err
	}
	return n, err
}

// Commit puts the new content in place of the old. A symbolic link at the path
// is replaced, not followed.
func (w *Writer) Commit() error { return w.commit(os.Rename) }

// CommitNew is Commit for a file that must not exist yet: it fails with
// fs.ErrExist, and changes nothing, when something is at the path.
func (w *Writer) CommitNew() error { return w.commit(linkNew) }

func (w *Writer) commit(place func(temp, target string) error) error {
	if w.done {
		return fs.ErrClosed
	}
	defer w.Abort()
	if w.err != nil {
		return w.err
	}
	if err := w.f.Sync(); err != nil {
		return err
	}
	if err := w.f.Close(); err != nil {
		return err
	}
	if err := place(w.f.Name(), w.target); err != nil {
		return err
	}
	w.done = true
	return SyncDir(filepath.Dir(w.target))
}

// linkNew gives temp the name target unless that is taken. A hard link is the
// one portable operation that checks and sets at once.
func linkNew(temp, target string) error {
	err := os.Link(temp, target)
	if err == nil {
		return os.Remove(temp)
	}
	if errors.Is(err, fs.ErrExist) {
		return &fs.PathError{Op: "create", Path: target, Err: fs.ErrExist}
	}
	// No hard links here (FAT, some network and container file systems): take
	// the name first, then fill it by rename.
	f, cerr := os.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if cerr != nil {
		return cerr
	}
	f.Close()
	if err := os.Rename(temp, target); err != nil {
		os.Remove(target)
		return err
	}
	return nil
}

// Abort removes what was written. It does nothing after a successful commit.
func (w *Writer) Abort() {
	if w.done {
		return
	}
	w.done = true
	w.f.Close()
	os.Remove(w.f.Name())
}

// SyncDir makes the names in a directory durable. It does nothing on Windows,
// which has no such operation, nor on file systems that refuse it.
func SyncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}

// WriteFile replaces the file at path, or makes it, with data.
func WriteFile(path string, data []byte, perm fs.FileMode) error {
	return write(path, data, perm, (*Writer).Commit)
}

// WriteNew makes the file at path with data; it fails with fs.ErrExist when
// something is there.
func WriteNew(path string, data []byte, perm fs.FileMode) error {
	return write(path, data, perm, (*Writer).CommitNew)
}

func write(path string, data []byte, perm fs.FileMode, commit func(*Writer) error) error {
	w, err := New(path, perm)
	if err != nil {
		return err
	}
	defer w.Abort()
	if _, err := io.Copy(w, bytes.NewReader(data)); err != nil {
		return err
	}
	return commit(w)
}
