//go:build linux || darwin || freebsd

package filetree

import (
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/hallmark-build/hallmark/internal/limits"
)

const cacheSupported = true

// A handle is an open directory. The system calls are made directly, since
// os.File costs two more of them and two allocations for every file, and
// os.Root walks again from its top for every name.
type handle int

type file int

const openFlags = unix.O_RDONLY | unix.O_CLOEXEC | unix.O_NOFOLLOW | unix.O_NONBLOCK | unix.O_NOCTTY

// openRoot follows symbolic links, once: the caller named the path.
func openRoot(path string) (handle, error) {
	fd, err := openat(unix.AT_FDCWD, path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_DIRECTORY|unix.O_NONBLOCK)
	return handle(fd), err
}

func (h handle) openDir(name string) (handle, error) {
	fd, err := openat(int(h), name, openFlags|unix.O_DIRECTORY)
	return handle(fd), err
}

func (h handle) open(name string) (file, error) {
	fd, err := openat(int(h), name, openFlags)
	return file(fd), err
}

func openat(dir int, name string, flags int) (fd int, err error) {
	for {
		fd, err = unix.Openat(dir, name, flags, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}

func (h handle) close()              { unix.Close(int(h)) }
func (h handle) stat() (stat, error) { return fstat(int(h)) }

func (f file) close()              { unix.Close(int(f)) }
func (f file) stat() (stat, error) { return fstat(int(f)) }

// read returns 0 bytes and no error at the end of the file.
func (f file) read(buf []byte) (n int, err error) {
	for {
		n, err = unix.Read(int(f), buf)
		if err != unix.EINTR {
			return max(n, 0), err
		}
	}
}

func (h handle) lstat(name string) (stat, error) {
	var st unix.Stat_t
	for {
		err := unix.Fstatat(int(h), name, &st, unix.AT_SYMLINK_NOFOLLOW)
		if err == unix.EINTR {
			continue
		}
		return newStat(&st), err
	}
}

func fstat(fd int) (stat, error) {
	var st unix.Stat_t
	for {
		err := unix.Fstat(fd, &st)
		if err == unix.EINTR {
			continue
		}
		return newStat(&st), err
	}
}

func newStat(st *unix.Stat_t) stat {
	s := stat{
		mode:  fs.FileMode(st.Mode & 0o777),
		size:  st.Size,
		mtime: st.Mtim.Nano(),
		ctime: st.Ctim.Nano(),
		dev:   uint64(st.Dev),
		ino:   uint64(st.Ino),
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
	case unix.S_IFDIR:
		s.mode |= fs.ModeDir
	case unix.S_IFLNK:
		s.mode |= fs.ModeSymlink
	case unix.S_IFIFO:
		s.mode |= fs.ModeNamedPipe
	case unix.S_IFSOCK:
		s.mode |= fs.ModeSocket
	case unix.S_IFBLK:
		s.mode |= fs.ModeDevice
	case unix.S_IFCHR:
		s.mode |= fs.ModeDevice | fs.ModeCharDevice
	default:
		s.mode |= fs.ModeIrregular
	}
	if st.Mode&unix.S_ISUID != 0 {
		s.mode |= fs.ModeSetuid
	}
	if st.Mode&unix.S_ISGID != 0 {
		s.mode |= fs.ModeSetgid
	}
	if st.Mode&unix.S_ISVTX != 0 {
		s.mode |= fs.ModeSticky
	}
	return s
}

func (h handle) readlink(name string, buf []byte) (string, error) {
	if len(buf) > limits.TreePath+1 {
		buf = buf[:limits.TreePath+1] // one more, to see that it is too long
	}
	for {
		n, err := unix.Readlinkat(int(h), name, buf)
		if err == unix.EINTR {
			continue
		}
		return string(buf[:max(n, 0)]), err
	}
}

// list calls yield with every name in the directory, in the system's order.
func (h handle) list(buf []byte, yield func(name string) error) error {
	var names []string
	for {
		n, err := unix.ReadDirent(int(h), buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n <= 0 {
			return err
		}
		_, _, names = unix.ParseDirent(buf[:n], -1, names[:0])
		for _, name := range names {
			if err := yield(name); err != nil {
				return err
			}
		}
	}
}

// private reports whether nobody but this user may change what info describes.
func private(info os.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid() && info.Mode().Perm()&0o022 == 0
}
