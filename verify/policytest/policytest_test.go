package policytest_test

import (
	"archive/tar"
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/internal/dsse"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/predicate"
	"github.com/hallmark-build/hallmark/verify"
	"github.com/hallmark-build/hallmark/verify/policytest"
)

func key(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("test key of " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func write(t *testing.T, dir, name string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, content, signer string) []byte {
	t.Helper()
	sum := sha256.Sum256([]byte(content))
	st, err := provenance.NewStatement([]provenance.ResourceDescriptor{{Name: "app", Digest: provenance.DigestSet{provenance.MustDigest("sha256:" + hex.EncodeToString(sum[:]))}}},
		predicate.TypeLink, map[string]any{"name": "build", "command": []string{}, "environment": map[string]any{"channel": "stable"}})
	if err != nil {
		t.Fatal(err)
	}
	env := &dsse.Envelope{PayloadType: provenance.PayloadType, Payload: st.Payload(),
		Signatures: []dsse.Signature{{Sig: ed25519.Sign(key(signer), dsse.PAE(provenance.PayloadType, st.Payload()))}}}
	b, err := env.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// workspace is a folder with a policy, an artifact and evidence by ann, and by eve for another.
func workspace(t *testing.T, cases string) string {
	dir := t.TempDir()
	der, err := x509.MarshalPKIXPublicKey(key("ann").Public())
	if err != nil {
		t.Fatal(err)
	}
	p := &verify.Policy{
		Schema: verify.PolicySchema, Name: "test", Expires: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC),
		Parameters: map[string]*string{"CHANNEL": nil},
		Principals: map[string]verify.Principals{"ann": {Key: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))}},
		Stages: map[string]*verify.Stage{"build": {Requires: []verify.Requirement{{
			Type: predicate.TypeLink, Signers: []string{"ann"}, Where: []string{"predicate.environment.channel == params.CHANNEL"}}}}},
		Final: "build",
	}
	text, err := p.YAML()
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "policy.yaml", text)
	write(t, dir, "dist/app", []byte("good"))
	write(t, dir, "dist/bad", []byte("bad"))
	write(t, dir, "evidence/app.intoto.json", link(t, "good", "ann"))
	write(t, dir, "eve.json", link(t, "bad", "eve"))
	write(t, dir, "test.yaml", []byte(cases))
	return filepath.Join(dir, "test.yaml")
}

const head = `policy: policy.yaml
parameters: {CHANNEL: stable}
evidence: [evidence]
at: 2026-06-01T12:00:00Z
cases:
`

const good = `
  - name: the release
    artifacts: [dist/app]
    expect: pass
  - name: by its digest
    artifacts: ["sha256:770e607624d689265ca6c44884d0807d9b054d23c473c106c72be9de08b7376c"]
    expect: pass
  - name: unknown
    artifacts: [dist/bad]
    expect: refuse
    reason: no-statement
  - name: a stranger
    artifacts: [dist/bad]
    evidence: [eve.json]
    expect: refuse
    reason: untrusted-signer
    stage: build
  - name: another channel
    artifacts: [dist/app]
    parameters: {CHANNEL: beta}
    expect: refuse
    reason: condition
  - name: later
    artifacts: [dist/app]
    at: 2027-01-01T00:00:00Z
    expect: refuse
    reason: policy-expired
`

func TestRun(t *testing.T) {
	path := workspace(t, head+good)
	results, err := policytest.Run(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if len(results) != 6 {
		t.Fatalf("%d results", len(results))
	}
	for _, r := range results {
		if r.Err != nil || r.Report == nil {
			t.Errorf("%s: %v", r.Name, r.Err)
		}
	}
	policytest.Test(t, path)
}

// A case that gets another verdict than it expects fails.
func TestRunUnexpected(t *testing.T) {
	results, err := policytest.Run(t.Context(), workspace(t, head+`
  - {name: a, artifacts: [dist/app], expect: refuse, reason: no-statement}
  - {name: b, artifacts: [dist/bad], expect: pass}
  - {name: c, artifacts: [dist/bad], expect: refuse, reason: condition}
  - {name: d, artifacts: [dist/bad], evidence: [eve.json], expect: refuse, reason: untrusted-signer, stage: other}
`))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"passed, want a refusal: no-statement", "want a pass", "want the reason condition", "want it in stage other"} {
		if err := results[i].Err; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", results[i].Name, err, want)
		}
	}
}

// tarOf packs the pairs of name and content.
func tarOf(t *testing.T, pairs ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(pairs); i += 2 {
		if err := w.WriteHeader(&tar.Header{Name: pairs[i], Mode: 0o644, Size: int64(len(pairs[i+1]))}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, pairs[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Packages of a case are looked into.
func TestRunPackages(t *testing.T) {
	path := workspace(t, head+`
  - {name: packed, packages: [good.tar], expect: pass}
  - {name: packed and named, artifacts: [good.tar], packages: [good.tar], expect: pass}
  - {name: not looked into, artifacts: [good.tar], expect: refuse, reason: contents, stage: package}
  - {name: another one looked into, artifacts: [good.tar], packages: [more.tar], expect: refuse, reason: contents, stage: package}
  - {name: a stowaway, packages: [more.tar], expect: refuse, reason: unaccounted-material, stage: package}
  - {name: two of one name, packages: [twice.tar], expect: refuse, reason: contents-duplicate}
  - {name: no package, packages: [policy.yaml], expect: refuse, reason: contents-format}
`)
	dir := filepath.Dir(path)
	policy, err := verify.ReadPolicy(filepath.Join(dir, "policy.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	policy.Stages["package"] = &verify.Stage{Contains: &verify.Contains{Members: "**"}, From: []verify.Flow{{Stage: "build", Names: "base"}}}
	policy.Final = "package"
	text, err := policy.YAML()
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "policy.yaml", text)
	write(t, dir, "good.tar", tarOf(t, "bin/app", "good"))
	write(t, dir, "more.tar", tarOf(t, "bin/app", "good", "bin/other", "bad"))
	write(t, dir, "twice.tar", tarOf(t, "bin/app", "good", "bin/app", "bad"))
	policytest.Test(t, path)

	// What a package that cannot be read is expected to be is compared too.
	write(t, dir, "test.yaml", []byte(head+`
  - {name: a, packages: [twice.tar], expect: pass}
  - {name: b, packages: [twice.tar], expect: refuse, reason: contents-name}
  - {name: c, packages: [twice.tar], expect: refuse, reason: contents-duplicate, stage: package}
`))
	results, err := policytest.Run(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"want a pass", "want the reason contents-name", "want it in stage package"} {
		if r := results[i]; r.Err == nil || !strings.Contains(r.Err.Error(), want) || r.Report != nil {
			t.Errorf("%s: got %v, want %s", r.Name, r.Err, want)
		}
	}
	write(t, dir, "test.yaml", []byte(head+`
  - {name: a, packages: [nowhere.tar], expect: refuse, reason: contents-format}
`))
	if _, err := policytest.Run(t.Context(), path); err == nil || !strings.Contains(err.Error(), "nowhere.tar") {
		t.Errorf("a package that is not there: %v", err)
	}
}

func TestRunRefuses(t *testing.T) {
	for _, c := range []struct{ name, cases, want string }{
		{"empty", "", "want the path of a policy"},
		{"no cases", strings.TrimSuffix(head, "cases:\n"), "at least one case"},
		{"unknown field", head + "  - {nam: a}\n", "nam"},
		{"no name", head + "  - {artifacts: [dist/app], expect: pass}\n", "want a name of its own"},
		{"name twice", head + good + good, "want a name of its own"},
		{"no artifacts", head + "  - {name: a, expect: pass}\n", "want artifacts or packages"},
		{"no time", strings.Replace(head, "at: 2026-06-01T12:00:00Z\n", "", 1) + "  - {name: a, artifacts: [dist/app], expect: pass}\n", "instant"},
		{"no verdict", head + "  - {name: a, artifacts: [dist/app]}\n", "want expect"},
		{"no reason", head + "  - {name: a, artifacts: [dist/app], expect: refuse}\n", "want the reason"},
		{"reason of a pass", head + "  - {name: a, artifacts: [dist/app], expect: pass, reason: x}\n", "belong to a refusal"},
		{"nothing refused", head + "  - {name: a, artifacts: [dist/app], expect: pass}\n", "no case is refused"},
		{"no policy", strings.Replace(head, "policy.yaml", "none.yaml", 1) + good, "none.yaml"},
		{"no artifact", head + good + "  - {name: x, artifacts: [none], expect: pass}\n", "none"},
		{"no evidence", head + good + "  - {name: x, artifacts: [dist/app], evidence: [none], expect: pass}\n", "none"},
		{"unknown parameter", head + good + "  - {name: x, artifacts: [dist/app], parameters: {X: y}, expect: pass}\n", "not a parameter"},
	} {
		t.Run(c.name, func(t *testing.T) {
			results, err := policytest.Run(t.Context(), workspace(t, c.cases))
			if err == nil || results != nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}
