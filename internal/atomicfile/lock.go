package atomicfile

import (
	"context"
	"fmt"
	"time"

	"github.com/hallmark-build/hallmark/internal/limits"
)

// Lock takes the lock of a directory, which those who read a file in it and
// then replace it hold for that long: without it, of two who do so at once one
// loses what he wrote. It waits until ctx is done or [limits.FileLock] has
// passed. On Windows the lock holds within one process only.
func Lock(ctx context.Context, dir string) (unlock func(), err error) {
	deadline := time.NewTimer(limits.FileLock)
	defer deadline.Stop()
	for wait := time.Millisecond; ; wait = min(2*wait, 10*time.Millisecond) {
		unlock, ok, err := tryLock(dir)
		if ok || err != nil {
			return unlock, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for the lock of %s: %w", dir, context.Cause(ctx))
		case <-deadline.C:
			return nil, fmt.Errorf("the lock of %s is still held after %v", dir, limits.FileLock)
		case <-time.After(wait):
		}
	}
}
