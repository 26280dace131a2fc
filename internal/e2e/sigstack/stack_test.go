package sigstack

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	Main()
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
