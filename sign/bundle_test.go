package sign

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestBundle(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "app.intoto.jsonl")
	env, err := Statement(ctx, statement(t), signer(t, Ed25519))
	if err != nil {
		t.Fatal(err)
	}
	line := string(env) + "\n"
	if err := AppendBundle(ctx, path, env); err != nil {
		t.Fatal(err)
	}
	if err := AppendBundle(ctx, path, env, []byte(`{"a":1}`)); err != nil {
		t.Fatal(err)
	}
	if got, want := read(t, path), line+line+`{"a":1}`+"\n"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if err := WriteBundle(path, env); err != nil {
		t.Fatal(err)
	}
	if got := read(t, path); got != line {
		t.Errorf("%s\nwant %s", got, line)
	}

	// What is there stays, even when it is not ours; a line without its end
	// does not swallow the next.
	foreign := "# not JSON\r\n\n{\"half\": "
	if err := errors.Join(os.WriteFile(path, []byte(foreign), 0o600), os.Chmod(path, 0o640)); err != nil {
		t.Fatal(err)
	}
	if err := AppendBundle(ctx, path, env); err != nil {
		t.Fatal(err)
	}
	if got, want := read(t, path), foreign+"\n"+line; got != want {
		t.Errorf("%q\nwant %q", got, want)
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestBundleRefuses(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "b")
	good := []byte(`{"a":1}`)
	if err := WriteBundle(path, good); err != nil {
		t.Fatal(err)
	}
	for name, lines := range map[string][][]byte{
		"nothing":          nil,
		"nil":              {nil},
		"empty":            {{}},
		"two lines":        {[]byte("{\n}")},
		"newline at end":   {[]byte("{}\n")},
		"carriage return":  {[]byte("{}\r")},
		"array":            {[]byte("[]")},
		"text":             {[]byte("x")},
		"two objects":      {[]byte("{}{}")},
		"half":             {[]byte(`{"a":`)},
		"good, then bad":   {good, []byte(`{"a":1,"a":2}`)},
		"byte order mark":  {[]byte("\ufeff{}")},
		"edge31 deep":      {[]byte(strings.Repeat(`{"a":`, 1000))},
		"edge28 not UTF-8": {[]byte("{\"\xff\":1}")},
	} {
		if err := WriteBundle(path, lines...); reason(err) != ReasonBundle {
			t.Errorf("WriteBundle, %s: %v", name, err)
		}
		if err := AppendBundle(ctx, path, lines...); reason(err) != ReasonBundle {
			t.Errorf("AppendBundle, %s: %v", name, err)
		}
	}
	if err := AppendBundle(ctx, dir, good); reason(err) != ReasonBundle {
		t.Errorf("a directory: %v", err)
	}
	if err := AppendBundle(ctx, filepath.Join(dir, "no", "b"), good); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
	done, cancel := context.WithCancel(ctx)
	cancel()
	if err := AppendBundle(done, path, good); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if got := read(t, path); got != `{"a":1}`+"\n" {
		t.Errorf("after refusals: %q", got)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestEdge81_AppendBundleConcurrently(t *testing.T) {
	path := filepath.Join(t.TempDir(), "b")
	const n = 30
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			if err := AppendBundle(ctx, path, fmt.Appendf(nil, `{"n":%d}`, i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got := read(t, path)
	for i := range n {
		if line := fmt.Sprintf("{\"n\":%d}\n", i); strings.Count(got, line) != 1 {
			t.Errorf("%d times %s", strings.Count(got, line), line)
		}
	}
}

// Processes that append are killed at any moment: what was appended before is
// there, every line is whole, and the next one can append.
func TestCrashLeavesOldEvidence(t *testing.T) {
	line := []byte(`{"payload":"` + strings.Repeat("A", 1<<16) + `"}`)
	if path := os.Getenv("SIGN_CRASH"); path != "" {
		for { // until killed
			if err := AppendBundle(ctx, path, line); err != nil {
				fmt.Println(err)
				os.Exit(1)
			}
		}
	}
	exe, err := os.Executable()
	if err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "b")
	first := []byte(`{"first":true}`)
	if err := WriteBundle(path, first); err != nil {
		t.Fatal(err)
	}
	before, interrupted := 1, 0
	for round := range 20 {
		cmd := exec.Command(exe, "-test.run=^TestCrashLeavesOldEvidence$")
		cmd.Env = append(os.Environ(), "SIGN_CRASH="+path)
		var out bytes.Buffer
		cmd.Stdout = &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(20+2*round) * time.Millisecond)
		cmd.Process.Kill()
		cmd.Wait()
		if out.Len() > 0 {
			t.Fatalf("round %d: %s", round, &out)
		}
		lines := strings.Split(strings.TrimSuffix(read(t, path), "\n"), "\n")
		if lines[0] != string(first) || len(lines) < before {
			t.Fatalf("round %d: %d lines, there were %d", round, len(lines), before)
		}
		for i, l := range lines[1:] {
			if l != string(line) {
				t.Fatalf("round %d: line %d is a part of %d bytes", round, i+2, len(l))
			}
		}
		before = len(lines)
		temps, _ := filepath.Glob(filepath.Join(dir, ".b.*.tmp"))
		interrupted += len(temps)
		for _, temp := range temps {
			os.Remove(temp)
		}
	}
	if before == 1 {
		t.Error("no round appended anything; the test proves nothing")
	}
	if err := AppendBundle(ctx, path, first); err != nil {
		t.Errorf("after the crashes: %v", err)
	}
	t.Logf("%d lines; %d of 20 rounds were killed in the middle of a write", before, interrupted)
}
