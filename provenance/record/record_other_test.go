//go:build !unix

package record

import (
	"os"
	"os/exec"
)

func inNewSession(*exec.Cmd) {}

func ignoreTerm() {}

func alive(pid int) bool {
	p, err := os.FindProcess(pid)
	if err == nil {
		p.Release()
	}
	return err == nil
}
