//go:build unix && !solaris && !aix

package atomicfile

import (
	"errors"
	"os"
	"syscall"
)

// tryLock takes the lock of a directory if it is free. The lock is on the
// directory, because a file that is replaced takes its lock with it; it ends
// with the process that holds it, so that a crash leaves none behind.
func tryLock(dir string) (unlock func(), ok bool, err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, false, err
	}
	for {
		err = syscall.Flock(int(d.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err != syscall.EINTR {
			break
		}
	}
	switch {
	case err == nil:
		return func() { d.Close() }, true, nil
	case errors.Is(err, syscall.EWOULDBLOCK):
		d.Close()
		return nil, false, nil
	}
	d.Close()
	return nil, false, &os.PathError{Op: "lock", Path: dir, Err: err}
}
