package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/record"
	"github.com/hallmark-build/hallmark/sign"
	"github.com/hallmark-build/hallmark/verify"
)

// module writes a small Go program with a test into a new folder.
func module(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"go.mod":         "module example.com/hello\n\ngo 1.26\n",
		"main.go":        "package main\n\nfunc greeting() string { return \"hello\" }\n\nfunc main() { println(greeting()) }\n",
		"main_test.go":   "package main\n\nimport \"testing\"\n\nfunc TestGreeting(t *testing.T) {\n\tif greeting() != \"hello\" {\n\t\tt.Fatal(greeting())\n\t}\n}\n",
		"LICENSE":        "none\n",
		"docs/README.md": "# hello\n",
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func release(t *testing.T, args ...string) (*releaser, *verify.Report) {
	t.Helper()
	cfg, err := parse(append([]string{"-json"}, args...))
	if err != nil {
		t.Fatal(err)
	}
	r := &releaser{config: cfg}
	rep, err := r.release(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return r, rep
}

func TestReleaseIsTheSameFromTwoFolders(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	var first map[string][]byte
	for range 2 {
		dir, out := module(t), t.TempDir()
		if first != nil { // an earlier release is no source
			release(t, "-C", dir, "-o", filepath.Join(dir, "dist"), "-name", "hello", ".")
		}
		r, rep := release(t, "-C", dir, "-o", out, "-name", "hello", ".")
		if !rep.Passed {
			t.Fatalf("refused: %+v", rep.Findings)
		}
		got := map[string][]byte{}
		for _, f := range r.released() {
			data, err := os.ReadFile(filepath.Join(out, f))
			if err != nil {
				t.Fatal(err)
			}
			got[f] = data
			if bytes.Contains(data, []byte(dir)) || bytes.Contains(data, []byte(out)) {
				t.Errorf("%s names a folder of this machine", f)
			}
		}
		for _, f := range []string{"policy.yaml", "hello.intoto.jsonl", "hello.report.json", "hello.report.html"} {
			if _, err := os.Stat(filepath.Join(out, f)); err != nil {
				t.Error(err)
			}
		}
		if _, err := os.Stat(r.work); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the snapshot was left behind: %v", err)
		}
		if first == nil {
			first = got
			continue
		}
		for f, data := range got {
			if !bytes.Equal(data, first[f]) {
				t.Errorf("%s differs", f)
			}
		}
	}
}

func TestAttacksAreRefused(t *testing.T) {
	dir := module(t)
	for attack, want := range map[string]verify.Finding{
		"build-output": {Reason: verify.ReasonAltered, File: "hello", WantStage: "build", GotStage: "release"},
		"material":     {Reason: verify.ReasonAltered, File: "go.mod", WantStage: "source", GotStage: "build"},
		"evidence":     {Reason: verify.ReasonUntrusted, File: "hello", GotStage: "release"},
		"sbom":         {Reason: verify.ReasonAltered, File: "hello.cdx.json", WantStage: "release"},
		"order":        {Reason: verify.ReasonNoTime},
	} {
		t.Run(attack, func(t *testing.T) {
			_, rep := release(t, "-C", dir, "-o", t.TempDir(), "-name", "hello", "-tamper", attack, ".")
			if rep.Passed || len(rep.Findings) == 0 {
				t.Fatal("passed")
			}
			f := rep.Findings[0]
			if f.Reason != want.Reason || f.File != want.File || f.WantStage != want.WantStage || f.GotStage != want.GotStage {
				t.Errorf("finding %+v, want %+v", f, want)
			}
			if want.WantStage != "" && (!strings.HasPrefix(f.Want, "sha256:") || !strings.HasPrefix(f.Got, "sha256:") || f.Want == f.Got) {
				t.Errorf("digests %q and %q", f.Want, f.Got)
			}
		})
	}
}

// A command other than go, in a git repository, with keys of one's own.
func TestReleaseOfACommand(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	dir, keys, out := module(t), t.TempDir(), t.TempDir()
	for _, args := range [][]string{{"init", "-q"}, {"add", "."}, {"-c", "user.name=n", "-c", "user.email=e@example.com", "commit", "-qm", "m"}} {
		cmd := exec.Command("git", args...)
		cmd.Dir = dir
		if b, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git: %v\n%s", err, b)
		}
	}
	for i, stage := range stages {
		key, err := sign.GenerateKey([]sign.Scheme{sign.Ed25519, sign.ECDSAP384, sign.RSAPKCS1}[i%3])
		if err != nil {
			t.Fatal(err)
		}
		if err := sign.WritePrivateKey(filepath.Join(keys, stage+".key"), key, nil); err != nil {
			t.Fatal(err)
		}
	}
	_, rep := release(t, "-C", dir, "-o", out, "-keys", keys, "-product", "hello.txt", "--", "cp", "docs/README.md", "hello.txt")
	if !rep.Passed {
		t.Fatalf("refused: %+v", rep.Findings)
	}
	if got, err := os.ReadFile(filepath.Join(out, "hello.txt")); err != nil || string(got) != "# hello\n" {
		t.Errorf("product %q, %v", got, err)
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{
		{"-tamper", "everything"}, {"a", "b"}, {"-product", "x"}, {"--", "make"}, {"-product", "x", "pkg", "--", "make"},
		{"-name", "../x"}, {"-keyless", "d", "-keys", "d"},
	} {
		if _, err := parse(args); err == nil {
			t.Errorf("%q was accepted", args)
		}
	}
}

func TestVersionOfACommit(t *testing.T) {
	commit, err := provenance.NewDigest(provenance.GitCommit, strings.Repeat("ab", 20))
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.FixedZone("", 3600))
	for want, git := range map[string]record.GitState{
		"v0.0.0-20260304040607-abababababab": {Commit: commit, CommitTime: at, Tags: []string{"latest", "v1", "1.2.3"}},
		"v1.10.0":                            {Commit: commit, CommitTime: at, Tags: []string{"v1.10.0", "v1.2.0", "v1.10.0-rc.1"}},
		"":                                   {Commit: commit, CommitTime: at, Tags: []string{"v1.10.0"}, DirtyCount: 1},
	} {
		if got := versionOf(&git); got != want {
			t.Errorf("%v: %q, want %q", git.Tags, got, want)
		}
	}
}
