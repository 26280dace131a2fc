package sigstack

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	Main()
	if dir := os.Getenv("SIGSTACK_TEST_PARENT"); dir != "" {
		abandon(dir)
	}
	os.Exit(m.Run())
}

// TestStopLeavesNothing also is the smoke test of every server.
func TestStopLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	before := runtime.NumGoroutine()
	t0 := time.Now()
	s, err := Start(context.Background(), dir, Options{RekorV1: true, TSAs: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("up after %v", time.Since(t0))
	var pids []string
	for _, c := range s.children {
		pids = append(pids, filepath.Join("/proc", formatVersion(int64(c.cmd.Process.Pid))))
	}
	t0 = time.Now()
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	t.Logf("stopped after %v", time.Since(t0))
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("files left: %v", left)
	}
	for _, p := range pids {
		if _, err := os.Stat(p); err == nil {
			t.Errorf("process left: %s", p)
		}
	}
	for range 100 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	buf := make([]byte, 1<<16)
	t.Errorf("goroutines: %d before, %d after\n%s", before, runtime.NumGoroutine(), buf[:runtime.Stack(buf, true)])
}

// abandon starts a stack, says who its processes are, and waits to be killed.
func abandon(dir string) {
	s, err := Start(context.Background(), dir, Options{})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for _, c := range s.children {
		fmt.Print(c.cmd.Process.Pid, " ")
	}
	fmt.Println()
	select {}
}

// TestParentKilled kills a process that runs a stack, in the way that leaves
// it no time to clean up.
func TestParentKilled(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "SIGSTACK_TEST_PARENT="+t.TempDir())
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	cmd.Process.Kill()
	cmd.Wait()
	pids := strings.Fields(line)
	if err != nil || len(pids) < 3 {
		t.Fatalf("got %q, %v", line, err)
	}
	alive := func(pid string) bool {
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		// A process that nobody has waited for yet is a Z.
		return err == nil && !strings.Contains(string(stat), ") Z ")
	}
	for _, pid := range pids {
		for i := 0; alive(pid); i++ {
			if i == 500 {
				t.Fatalf("process %s outlived its parent", pid)
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
}

func TestStartCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	dir := t.TempDir()
	if s, err := Start(ctx, dir, Options{}); err == nil || !strings.Contains(err.Error(), "canceled") {
		s.Stop()
		t.Fatalf("got %v, want a cancelled start", err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("files left: %v", left)
	}
}
