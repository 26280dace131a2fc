package record

import (
	"os/exec"
	"syscall"
	"unsafe"
)

func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// awaitExit waits until the child has ended and leaves it unreaped.
func awaitExit(cmd *exec.Cmd) (reaped bool) {
	const pidType, wExited, wNoWait = 1, 4, 0x01000000 // P_PID, WEXITED, WNOWAIT of waitid(2)
	var info [128]byte                                 // siginfo_t
	for {
		_, _, e := syscall.Syscall6(syscall.SYS_WAITID, pidType, uintptr(cmd.Process.Pid),
			uintptr(unsafe.Pointer(&info)), wExited|wNoWait, 0, 0)
		switch e {
		case syscall.EINTR:
			continue
		case 0:
			return false
		}
		cmd.Wait()
		return true
	}
}
