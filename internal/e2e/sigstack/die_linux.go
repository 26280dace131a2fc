package sigstack

import "syscall"

// dieWithParent makes the kernel end a child when its parent dies, beside the
// end of standard input, which a server stuck in a system call would not see.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
