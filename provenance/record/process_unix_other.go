//go:build unix && !linux

package record

import (
	"os/exec"
	"syscall"
)

func processAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// awaitExit waits for the child and reaps it.
func awaitExit(cmd *exec.Cmd) (reaped bool) {
	cmd.Wait()
	return true
}
