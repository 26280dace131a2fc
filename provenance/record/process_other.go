//go:build !unix

package record

import (
	"os"
	"os/exec"
	"syscall"
)

func processAttributes() *syscall.SysProcAttr { return nil }

// There are no process groups here: only the child itself is ended.
func terminateGroup(p *os.Process) { p.Kill() }

func killGroup(p *os.Process) { p.Kill() }

func awaitExit(cmd *exec.Cmd) (reaped bool) {
	cmd.Wait()
	return true
}

func status(s *os.ProcessState) (code int, signal string) { return s.ExitCode(), "" }
