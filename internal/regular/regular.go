// Package regular opens files that somebody else may have put there. A FIFO
// would keep an opening waiting for a writer, and a device can act when it is
// opened; a file can also take another's place between a look at it and its
// opening. So a file is looked at, opened without waiting, and looked at again.
package regular

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// ErrNot is in the error for what is there and is not a regular file.
var ErrNot = errors.New("not a regular file")

// Open opens the regular file at path for reading. It follows symbolic links.
func Open(path string) (*os.File, fs.FileInfo, error) {
	return open(path, os.Stat, os.OpenFile)
}

// OpenIn opens the regular file name in root, as [Open] does, and follows no
// link that leads out of root.
func OpenIn(root *os.Root, name string) (*os.File, fs.FileInfo, error) {
	return open(name, root.Stat, root.OpenFile)
}

// Read returns the content of the regular file at path, of most bytes at most.
func Read(path string, most int64) ([]byte, error) {
	f, _, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return read(f, path, most)
}

// ReadIn is [Read] of a file in root.
func ReadIn(root *os.Root, name string, most int64) ([]byte, error) {
	f, _, err := OpenIn(root, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return read(f, name, most)
}

func read(f *os.File, path string, most int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > most {
		return nil, fmt.Errorf("%s: larger than %d bytes", path, most)
	}
	return data, nil
}

func open(path string, stat func(string) (fs.FileInfo, error), openFile func(string, int, fs.FileMode) (*os.File, error)) (*os.File, fs.FileInfo, error) {
	info, err := stat(path)
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("%s: %w", path, ErrNot)
	}
	f, err := openFile(path, os.O_RDONLY|nonBlock, 0)
	if err != nil {
		return nil, nil, err
	}
	if info, err = f.Stat(); err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: %w", path, ErrNot)
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}
