//go:build unix

package verify_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/hallmark-build/hallmark/verify"
)

func TestReadEvidenceMeetsLinksAndPipes(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	write(t, at("deep/a.jsonl"), releaseEvidence()...)
	for name, target := range map[string]string{"zero.jsonl": "/dev/zero", "loop": dir, "again.jsonl": at("deep/a.jsonl"), "gone.link": "nowhere"} {
		if err := os.Symlink(target, at(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(at("fifo.jsonl"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, paths := range [][]string{{dir}, {dir, dir + "/"}} {
		ev := read(t, paths...)
		if ev.Len() != 4 || len(ev.Notes()) != 4 {
			t.Errorf("%d attestations, notes:\n%s", ev.Len(), notes(ev))
		}
	}
	// What the caller names may be a link, to what is regular.
	os.Symlink(dir, dir+"-link")
	for _, path := range []string{dir + "-link", at("again.jsonl")} {
		if ev := read(t, path); ev.Len() != 4 {
			t.Errorf("%s: %d attestations", path, ev.Len())
		}
	}
	for _, bad := range []string{at("fifo.jsonl"), at("zero.jsonl")} {
		if _, err := verify.ReadEvidence(context.Background(), bad); err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
