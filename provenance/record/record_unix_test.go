//go:build unix

package record

import (
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

func inNewSession(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

func ignoreTerm() { signal.Ignore(syscall.SIGTERM) }

func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }

func TestEdge50_SpecialFiles(t *testing.T) {
	step := childStep(t, "product")
	if err := syscall.Mkfifo(filepath.Join(step.Dir, "fifo"), 0o644); err != nil {
		t.Skip(err)
	}
	step.Products = append(step.Products, "fifo")
	start := time.Now()
	mustFail(t, t.Context(), step, ReasonProduct)
	if time.Since(start) > 5*time.Second {
		t.Error("it blocked")
	}
}
