//go:build !(linux || darwin || freebsd)

package filetree

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// There is neither an inode nor a change time to key a cache by.
const cacheSupported = false

// A handle is an open directory.
type handle struct{ root *os.Root }

type file struct{ f *os.File }

// openRoot follows symbolic links, once: the caller named the path.
func openRoot(path string) (handle, error) {
	r, err := os.OpenRoot(path)
	return handle{r}, err
}

func (h handle) openDir(name string) (handle, error) {
	r, err := h.root.OpenRoot(name)
	return handle{r}, err
}

// open may follow a symbolic link that was put there since lstat, though never
// out of the tree; the caller then sees another file than it has listed.
func (h handle) open(name string) (file, error) {
	f, err := h.root.Open(name)
	return file{f}, err
}

func (h handle) close()              { h.root.Close() }
func (h handle) stat() (stat, error) { return newStat(h.root.Stat(".")) }

func (f file) close()              { f.f.Close() }
func (f file) stat() (stat, error) { return newStat(f.f.Stat()) }

// read returns 0 bytes and no error at the end of the file.
func (f file) read(buf []byte) (int, error) {
	n, err := f.f.Read(buf)
	if err == io.EOF {
		err = nil
	}
	return n, err
}

func (h handle) lstat(name string) (stat, error) { return newStat(h.root.Lstat(name)) }

func newStat(info fs.FileInfo, err error) (stat, error) {
	if err != nil {
		return stat{}, err
	}
	return stat{mode: info.Mode(), size: info.Size(), mtime: info.ModTime().UnixNano(), info: info}, nil
}

func (h handle) readlink(name string, _ []byte) (string, error) {
	s, err := h.root.Readlink(name)
	return filepath.ToSlash(s), err
}

// list calls yield with every name in the directory, in the system's order.
func (h handle) list(_ []byte, yield func(name string) error) error {
	d, err := h.root.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	for {
		names, err := d.Readdirnames(1024)
		for _, name := range names {
			if err := yield(name); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// private reports whether nobody but this user may change what info describes.
func private(fs.FileInfo) bool { return false }
