package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/examples/internal/cli"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/predicate"
	"github.com/hallmark-build/hallmark/sign"
	"github.com/hallmark-build/hallmark/verify"
	"github.com/hallmark-build/hallmark/verify/cel"
)

// TestMixed judges the whole chain, and the chain without each piece of evidence.
func TestMixed(t *testing.T) {
	var out bytes.Buffer
	if code := run(nil, &out); code != cli.OK {
		t.Fatalf("exit %d\n%s", code, &out)
	}
	for _, want := range []string{"PASS", "app.tar.gz", "JUnit"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, &out)
		}
	}
	for _, s := range stages {
		stage := s.name
		if !strings.Contains(out.String(), "✓ "+stage) {
			t.Errorf("the report lacks %q:\n%s", stage, &out)
		}
		var text bytes.Buffer
		if code := run([]string{"-without", stage}, &text); code != cli.Refused || !strings.Contains(text.String(), "left out") {
			t.Errorf("without %s: exit %d\n%s", stage, code, &text)
		}
	}
	for _, s := range stages {
		stage := s.name
		out.Reset()
		if code := run([]string{"-json", "-without", stage}, &out); code != cli.Refused {
			t.Errorf("without %s: exit %d\n%s", stage, code, &out)
		}
		var rep struct {
			Passed   bool
			Findings []struct{ Stage string }
		}
		if err := json.Unmarshal(out.Bytes(), &rep); err != nil || rep.Passed || len(rep.Findings) == 0 {
			t.Errorf("without %s: %v, %s", stage, err, &out)
		}
	}
	if code := run([]string{"-h"}, &out); code != cli.OK {
		t.Errorf("-h: exit %d", code)
	}
	for _, args := range [][]string{{"-without", "x"}, {"-x"}, {"x"}, {"-o", "main.go"}} {
		if code := run(args, &out); code != cli.Cannot {
			t.Errorf("%q: exit %d", args, code)
		}
	}
}

// TestWritten: what is left in a folder is all that a consumer needs.
func TestWritten(t *testing.T) {
	dir := t.TempDir()
	if code := run([]string{"-o", dir}, &bytes.Buffer{}); code != cli.OK {
		t.Fatalf("exit %d", code)
	}
	policy, err := verify.ReadPolicy(filepath.Join(dir, "policy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := verify.New(policy, verify.Options{Conditions: cel.Compiler{}})
	if err != nil {
		t.Fatal(err)
	}
	evidence, err := verify.ReadEvidence(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	a, err := provenance.DigestFile(t.Context(), filepath.Join(dir, "app.tar.gz"))
	if err != nil {
		t.Fatal(err)
	}
	request := verify.Request{Artifacts: []provenance.Artifact{a}, Evidence: evidence, At: time.Now()}
	if _, err := verifier.Verify(t.Context(), request); err != nil {
		t.Error(err)
	}
	// Another archive has no history.
	other := filepath.Join(dir, "other.tar.gz")
	if err := os.WriteFile(other, []byte("other"), 0o644); err != nil {
		t.Fatal(err)
	}
	if request.Artifacts[0], err = provenance.DigestFile(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	if _, err := verifier.Verify(t.Context(), request); err == nil {
		t.Error("another archive passed")
	}
}

// TestSpoiled puts evidence in the place of the good, signed by whoever should
// sign it: the policy is what refuses it.
func TestSpoiled(t *testing.T) {
	source := []provenance.ResourceDescriptor{{URI: "git+https://github.com/octocat/app", Digest: provenance.DigestSet{commit}}}
	for name, spoil := range map[string]struct {
		stage, signer string
		edit          func(p map[string]any) []provenance.ResourceDescriptor // nil: the subjects stay
	}{
		"": {"test", "tester", func(map[string]any) []provenance.ResourceDescriptor { return nil }}, // the control
		"a failed test": {"test", "tester", func(p map[string]any) []provenance.ResourceDescriptor {
			p["result"], p["failedTests"] = predicate.Failed, []string{"com.example.StoreTest.closes"}
			return nil
		}},
		"a test that did not run": {"test", "tester", func(p map[string]any) []provenance.ResourceDescriptor {
			p["passedTests"] = []string{"com.example.StoreTest.closes"}
			return nil
		}},
		"tests of something else": {"test", "tester", func(map[string]any) []provenance.ResourceDescriptor {
			return []provenance.ResourceDescriptor{{Digest: provenance.DigestSet{provenance.MustDigest("gitCommit:0000000000000000000000000000000000000000")}}}
		}},
		"a source level too low": {"source", "source-verifier", func(p map[string]any) []provenance.ResourceDescriptor {
			p["verifiedLevels"] = []string{"SLSA_SOURCE_LEVEL_2"}
			return nil
		}},
		"another branch": {"build", "github", func(p map[string]any) []provenance.ResourceDescriptor {
			p["buildDefinition"].(map[string]any)["externalParameters"].(map[string]any)["workflow"].(map[string]any)["ref"] = "refs/heads/evil"
			return nil
		}},
		"a self-hosted runner": {"build", "github", func(p map[string]any) []provenance.ResourceDescriptor {
			p["buildDefinition"].(map[string]any)["internalParameters"].(map[string]any)["github"].(map[string]any)["runner_environment"] = "self-hosted"
			return nil
		}},
		"another workflow": {"build", "github", func(p map[string]any) []provenance.ResourceDescriptor {
			p["runDetails"].(map[string]any)["builder"].(map[string]any)["id"] = "https://github.com/octocat/app/.github/workflows/evil.yml@refs/heads/main"
			return nil
		}},
		"another commit": {"build", "github", func(p map[string]any) []provenance.ResourceDescriptor {
			p["buildDefinition"].(map[string]any)["resolvedDependencies"] = []any{map[string]any{"uri": "git+https://github.com/octocat/app", "digest": map[string]any{"gitCommit": "0000000000000000000000000000000000000000"}}}
			return nil
		}},
		"a command that failed": {"package", "packager", func(p map[string]any) []provenance.ResourceDescriptor {
			p["byproducts"].(map[string]any)["return-value"] = 1
			return nil
		}},
		"a grave vulnerability": {"scan", "scanner", func(p map[string]any) []provenance.ResourceDescriptor {
			vulnerability(p)["Severity"] = "CRITICAL"
			return nil
		}},
		"a finding in what the bill of materials lacks": {"scan", "scanner", func(p map[string]any) []provenance.ResourceDescriptor {
			vulnerability(p)["PkgIdentifier"].(map[string]any)["PURL"] = "pkg:golang/example.com/hidden@v1.0.0"
			return nil
		}},
		"a scan of something else":                  {"scan", "scanner", func(map[string]any) []provenance.ResourceDescriptor { return source }},
		"a tester who signs with the builder's key": {"test", "github", func(map[string]any) []provenance.ResourceDescriptor { return nil }},
	} {
		c, signers, err := makeChain(t.Context(), time.Now())
		if err != nil {
			t.Fatal(err)
		}
		old, err := statementOf(c.evidence[spoil.stage])
		if err != nil {
			t.Fatal(err)
		}
		var p map[string]any
		if err := json.Unmarshal(old.Predicate(), &p); err != nil {
			t.Fatal(err)
		}
		subjects := spoil.edit(p)
		if subjects == nil {
			subjects = old.Subjects()
		}
		st, err := provenance.NewStatement(subjects, old.PredicateType(), p)
		if err != nil {
			t.Fatal(err)
		}
		if c.evidence[spoil.stage], err = sign.Statement(t.Context(), st, signers[spoil.signer]); err != nil {
			t.Fatal(err)
		}
		rep, err := c.judge(t.Context())
		if err != nil || rep.Passed != (name == "") {
			t.Errorf("%q: passed: %v, %v", name, rep.Passed, err)
		}
	}
}

func vulnerability(p map[string]any) map[string]any {
	result := p["scanner"].(map[string]any)["result"].(map[string]any)["Results"].([]any)[0].(map[string]any)
	return result["Vulnerabilities"].([]any)[0].(map[string]any)
}

// statementOf takes the statement out of an envelope that was just made.
func statementOf(envelope []byte) (*provenance.Statement, error) {
	var e struct{ Payload []byte }
	if err := json.Unmarshal(envelope, &e); err != nil {
		return nil, err
	}
	return provenance.ParseStatement(e.Payload)
}
