//go:build !unix || solaris || aix

package atomicfile

import (
	"os"
	"sync"
)

var process sync.Mutex

// tryLock takes the lock if it is free. Directories cannot be locked here, so
// this is one lock for the whole process and none between processes.
func tryLock(dir string) (unlock func(), ok bool, err error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, false, err
	}
	if !process.TryLock() {
		return nil, false, nil
	}
	return process.Unlock, true, nil
}
