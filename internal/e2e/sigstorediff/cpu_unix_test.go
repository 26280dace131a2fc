//go:build unix

package sigstorediff

import (
	"syscall"
	"time"
)

// processorTime is what the process has used, which a busy machine does not
// distort as it does the time on the wall.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
