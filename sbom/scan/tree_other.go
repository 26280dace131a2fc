//go:build !linux

package scan

import (
	"errors"
	"io/fs"
	"os"
)

// A tree opens what is in one directory and nothing outside, whatever links
// there are or come to be.
type tree struct{ root *os.Root }

func openTree(dir string) (*tree, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	return &tree{root}, nil
}

func (t *tree) close() { t.root.Close() }

func (t *tree) open(p string) (*os.File, fs.FileInfo, error) {
	// A FIFO must not make the open wait.
	if info, err := t.root.Lstat(p); err != nil {
		return nil, nil, err
	} else if !info.Mode().IsRegular() {
		return nil, nil, errors.New("not a regular file any more")
	}
	f, err := t.root.Open(p)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a regular file any more")
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

func (t *tree) readlink(p string) (string, error) { return t.root.Readlink(p) }

func (t *tree) list(p string, entry func(name string, typ fs.FileMode) error) error {
	return listRoot(t.root, p, entry)
}
