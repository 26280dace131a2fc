package scan

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// A tree opens what is in one directory and nothing outside, whatever links
// there are or come to be. openat2(2) does it in one system call; os.Root,
// where the kernel has no openat2, walks element by element.
type tree struct {
	fd   int
	root *os.Root
	slow atomic.Bool
	bufs sync.Pool
}

func openTree(dir string) (*tree, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		root.Close()
		return nil, err
	}
	t := &tree{fd: fd, root: root}
	t.bufs.New = func() any { return new([32 << 10]byte) }
	return t, nil
}

func (t *tree) close() {
	unix.Close(t.fd)
	t.root.Close()
}

// openat opens a path without following any link.
func (t *tree) openat(p string, flags uint64) (int, error) {
	if p == "" {
		p = "."
	}
	for {
		fd, err := unix.Openat2(t.fd, p, &unix.OpenHow{
			Flags:   flags | unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NONBLOCK | unix.O_NOCTTY,
			Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
		})
		if err != unix.EINTR && err != unix.EAGAIN {
			return fd, err
		}
	}
}

func (t *tree) open(p string) (*os.File, fs.FileInfo, error) {
	var f *os.File
	fd, err := -1, error(unix.ENOSYS)
	if !t.slow.Load() {
		fd, err = t.openat(p, 0)
	}
	switch {
	case err == nil:
		f = os.NewFile(uintptr(fd), p)
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EPERM):
		// EPERM is what seccomp filters older than the call answer.
		t.slow.Store(true)
		if f, err = t.root.OpenFile(p, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0); err != nil {
			return nil, nil, err
		}
	default:
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

// list calls entry for each name in a directory, in no order.
func (t *tree) list(p string, entry func(name string, typ fs.FileMode) error) error {
	fd, err := -1, error(unix.ENOSYS)
	if !t.slow.Load() {
		fd, err = t.openat(p, unix.O_DIRECTORY)
	}
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) {
		t.slow.Store(true)
		return listRoot(t.root, p, entry)
	}
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	buf := t.bufs.Get().(*[32 << 10]byte)
	defer t.bufs.Put(buf)
	for {
		n, err := unix.Getdents(fd, buf[:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		if n <= 0 {
			return nil
		}
		// struct linux_dirent64: inode 8, offset 8, length 2, type 1, name.
		for b := buf[:n]; len(b) >= 19; {
			size := int(binary.NativeEndian.Uint16(b[16:]))
			if size < 19 || size > len(b) {
				return errors.New("malformed directory entry")
			}
			d := b[:size]
			b = b[size:]
			name := d[19:]
			if i := bytes.IndexByte(name, 0); i >= 0 {
				name = name[:i]
			}
			if s := string(name); s != "." && s != ".." && !strings.Contains(s, "/") {
				var typ fs.FileMode
				switch d[18] {
				case unix.DT_REG:
				case unix.DT_DIR:
					typ = fs.ModeDir
				case unix.DT_LNK:
					typ = fs.ModeSymlink
				case unix.DT_UNKNOWN:
					var st unix.Stat_t
					if err := unix.Fstatat(fd, s, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
						return err
					}
					switch st.Mode & unix.S_IFMT {
					case unix.S_IFREG:
					case unix.S_IFDIR:
						typ = fs.ModeDir
					case unix.S_IFLNK:
						typ = fs.ModeSymlink
					default:
						typ = fs.ModeIrregular
					}
				default:
					typ = fs.ModeIrregular
				}
				if err := entry(s, typ); err != nil {
					return err
				}
			}
		}
	}
}
