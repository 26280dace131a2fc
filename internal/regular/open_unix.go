//go:build unix

package regular

import "syscall"

// nonBlock keeps the opening of a FIFO from waiting for a writer.
const nonBlock = syscall.O_NONBLOCK
