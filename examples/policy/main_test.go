package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hallmark-build/hallmark/examples/internal/cli"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/predicate"
	"github.com/hallmark-build/hallmark/sign"
	"github.com/hallmark-build/hallmark/verify"
)

// command runs the program and returns its exit code and what it printed.
func command(t *testing.T, args ...string) (int, string) {
	t.Helper()
	out, err := os.CreateTemp(t.TempDir(), "out")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	code := run(args, out)
	data, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	return code, string(data)
}

// goodRun writes an artifact, its evidence and the signer's key.
func goodRun(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	key, err := sign.GenerateKey(sign.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := sign.NewSigner(key, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := sign.WritePublicKey(filepath.Join(dir, "builder.pub"), key.Public()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"app", "other"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	app, err := provenance.DigestFile(context.Background(), filepath.Join(dir, "app"))
	if err != nil {
		t.Fatal(err)
	}
	st, err := (&predicate.Link{Name: "build"}).Statement([]provenance.ResourceDescriptor{app.Descriptor()})
	if err != nil {
		t.Fatal(err)
	}
	env, err := sign.Statement(context.Background(), st, signer)
	if err != nil {
		t.Fatal(err)
	}
	if err := sign.WriteBundle(filepath.Join(dir, "app.intoto.jsonl"), env); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestLearnLintExplainTest(t *testing.T) {
	dir := goodRun(t)
	in := func(name string) string { return filepath.Join(dir, name) }
	code, text := command(t, "learn", "-evidence", in("app.intoto.jsonl"), "-key", "builder="+in("builder.pub"), in("app"))
	if code != cli.OK {
		t.Fatalf("learn: exit code %d\n%s", code, text)
	}
	if err := os.WriteFile(in("policy.yaml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if code, text := command(t, "explain", in("policy.yaml")); code != cli.OK || !strings.Contains(text, "by builder") {
		t.Errorf("explain: exit code %d\n%s", code, text)
	}
	code, text = command(t, "lint", "-json", in("policy.yaml"))
	var found []verify.LintFinding
	if err := json.Unmarshal([]byte(text), &found); err != nil || code == cli.Cannot {
		t.Errorf("lint: exit code %d, %v\n%s", code, err, text)
	}
	cases := "policy: policy.yaml\nevidence: [app.intoto.jsonl]\nat: " + "2026-11-24T00:00:00Z" + `
cases:
  - name: as built
    artifacts: [app]
    expect: pass
  - name: another file
    artifacts: [other]
    expect: refuse
    reason: REASON
  - name: no package
    packages: [app]
    expect: refuse
    reason: contents-format
`
	for reason, want := range map[string]int{"no-statement": cli.OK, "wrong-signer": cli.Refused} {
		if err := os.WriteFile(in("cases.yaml"), []byte(strings.Replace(cases, "REASON", reason, 1)), 0o644); err != nil {
			t.Fatal(err)
		}
		if code, text := command(t, "test", in("cases.yaml")); code != want {
			t.Errorf("test for %s: exit code %d, want %d\n%s", reason, code, want, text)
		}
	}
}

func TestEveryFieldIsExplained(t *testing.T) {
	code, text := command(t, "explain", "../../testdata/policy/whole.yaml")
	if code != cli.OK {
		t.Fatalf("exit code %d\n%s", code, text)
	}
	if strings.Contains(text, "%!") {
		t.Errorf("a verb is wrong:\n%s", text)
	}
}

func TestCannot(t *testing.T) {
	for _, args := range [][]string{{}, {"nonsense"}, {"lint"}, {"lint", "nowhere.yaml"}, {"explain", "a", "b"}, {"test", "nowhere.yaml"}, {"learn", "-key", "x", "app"}, {"learn", "-evidence", "nowhere", "app"}} {
		if code, _ := command(t, args...); code != cli.Cannot {
			t.Errorf("%q: exit code %d, want %d", args, code, cli.Cannot)
		}
	}
}
