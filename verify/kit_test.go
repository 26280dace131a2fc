package verify_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/internal/dsse"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/verify"
)

// now is the instant of judgement of the tests.
var now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

const (
	typeSLSA = "https://slsa.dev/provenance/v1"
	typeScan = "https://example.com/scan/v1"
	typeTest = "https://in-toto.io/attestation/test-result/v0.1"
)

// key returns the private key of a name: the same in every test.
func key(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("test key of " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func publicPEM(name string) string {
	der, err := x509.MarshalPKIXPublicKey(key(name).Public())
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// principals returns one principal with one key for each name.
func principals(names ...string) map[string]verify.Principals {
	m := map[string]verify.Principals{}
	for _, n := range names {
		m[n] = verify.Principals{Key: publicPEM(n)}
	}
	return m
}

// file is a file with made-up content: "name=content", or "name" for content
// equal to the name.
func file(s string) provenance.ResourceDescriptor {
	name, content, ok := strings.Cut(s, "=")
	if !ok {
		content = name
	}
	sum := sha256.Sum256([]byte(content))
	return provenance.ResourceDescriptor{Name: name, Digest: provenance.DigestSet{provenance.MustDigest("sha256:" + hex.EncodeToString(sum[:]))}}
}

func files(list ...string) []provenance.ResourceDescriptor {
	out := []provenance.ResourceDescriptor{}
	for _, s := range list {
		out = append(out, file(s))
	}
	return out
}

func artifact(s string) provenance.Artifact {
	f := file(s)
	return provenance.Artifact{Name: f.Name, Digests: f.Digest}
}

// built is a statement of SLSA provenance v1.
func built(materials, products []provenance.ResourceDescriptor) *provenance.Statement {
	return builtAt(materials, products, time.Time{})
}

func builtAt(materials, products []provenance.ResourceDescriptor, at time.Time) *provenance.Statement {
	metadata := map[string]any{}
	if !at.IsZero() {
		metadata["startedOn"] = at.Format(time.RFC3339)
		metadata["finishedOn"] = at.Add(time.Second).Format(time.RFC3339)
	}
	return statement(typeSLSA, products, map[string]any{
		"buildDefinition": map[string]any{
			"buildType":            "https://example.com/build/v1",
			"externalParameters":   map[string]any{"target": "all"},
			"resolvedDependencies": materials,
		},
		"runDetails": map[string]any{"builder": map[string]any{"id": "https://example.com/builder"}, "metadata": metadata},
	})
}

func statement(typ string, subjects []provenance.ResourceDescriptor, predicate any) *provenance.Statement {
	st, err := provenance.NewStatement(subjects, typ, predicate)
	if err != nil {
		panic(err)
	}
	return st
}

func scan(result string, subjects ...string) *provenance.Statement {
	return statement(typeScan, files(subjects...), map[string]any{"result": result})
}

// signed is an envelope around the statement with a signature of each name.
func signed(st *provenance.Statement, names ...string) []byte {
	env := &dsse.Envelope{PayloadType: provenance.PayloadType, Payload: st.Payload()}
	for _, n := range names {
		env.Signatures = append(env.Signatures, dsse.Signature{Sig: ed25519.Sign(key(n), dsse.PAE(env.PayloadType, env.Payload))})
	}
	b, err := env.Encode()
	if err != nil {
		panic(err)
	}
	return b
}

// requires is one requirement: SLSA provenance by any of the names.
func requires(names ...string) []verify.Requirement {
	return []verify.Requirement{{Type: typeSLSA, Signers: names}}
}

func policy(final string, stages map[string]*verify.Stage, names ...string) *verify.Policy {
	return &verify.Policy{
		Schema: verify.PolicySchema, Name: "test", NoExpiryUnsafe: true,
		Principals: principals(names...), Stages: stages, Final: final,
	}
}

func newVerifier(t testing.TB, p *verify.Policy) *verify.Verifier {
	t.Helper()
	v, err := verify.New(p, verify.Options{Conditions: equalCompiler{}})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func judge(t testing.TB, p *verify.Policy, a string, evidence ...[]byte) (*verify.Proof, error) {
	t.Helper()
	return newVerifier(t, p).Verify(context.Background(), verify.Request{
		Artifacts: []provenance.Artifact{artifact(a)}, Evidence: verify.NewEvidence(evidence...), At: now,
	})
}

// pass fails the test unless the artifact passes.
func pass(t testing.TB, p *verify.Policy, a string, evidence ...[]byte) *verify.Proof {
	t.Helper()
	proof, err := judge(t, p, a, evidence...)
	if err != nil {
		var r *verify.RefusedError
		if errors.As(err, &r) {
			b, _ := json.MarshalIndent(r.Report, "", "  ")
			t.Logf("%s", b)
		}
		t.Fatalf("want a pass, got: %v", err)
	}
	if !proof.Report().Passed || len(proof.Report().Findings) > 0 {
		t.Fatalf("the report of a pass is %+v", proof.Report())
	}
	return proof
}

// refused fails the test unless the artifact is refused for the reason.
func refused(t testing.TB, want verify.Reason, p *verify.Policy, a string, evidence ...[]byte) *verify.Report {
	t.Helper()
	_, err := judge(t, p, a, evidence...)
	var r *verify.RefusedError
	if !errors.As(err, &r) {
		t.Fatalf("want a refusal (%s), got: %v", want, err)
	}
	if r.Report.Passed {
		t.Fatal("the report of a refusal says passed")
	}
	if r.Reason() != want {
		t.Fatalf("refused for %s, want %s: %v", r.Reason(), want, err)
	}
	return r.Report
}

// policyError fails the test unless New refuses the policy for the reason.
func policyError(t testing.TB, want string, p *verify.Policy) {
	t.Helper()
	_, err := verify.New(p, verify.Options{Conditions: equalCompiler{}})
	var pe *verify.PolicyError
	if !errors.As(err, &pe) {
		t.Fatalf("want a policy error (%s), got: %v", want, err)
	}
	if pe.Reason != want {
		t.Fatalf("policy error %s, want %s: %v", pe.Reason, want, err)
	}
}

// equalCompiler understands "name == value" over the predicate's top level,
// and "true" and "false": enough to test what surrounds conditions.
type equalCompiler struct{}

func (equalCompiler) Compile(src string, _ []string) (verify.Condition, error) {
	if src == "true" || src == "false" {
		return equals{want: src}, nil
	}
	name, want, ok := strings.Cut(src, " == ")
	if !ok {
		return nil, fmt.Errorf("cannot compile %q", src)
	}
	return equals{name, want}, nil
}

type equals struct{ name, want string }

func (e equals) Holds(vars map[string]any) (bool, error) {
	if e.name == "" {
		return e.want == "true", nil
	}
	pred, _ := vars["predicate"].(map[string]any)
	got, ok := pred[e.name]
	if !ok {
		return false, fmt.Errorf("no such field: %s", e.name)
	}
	return fmt.Sprint(got) == e.want, nil
}

// request asks about several artifacts.
func request(artifacts []string, evidence ...[]byte) verify.Request {
	r := verify.Request{Evidence: verify.NewEvidence(evidence...), At: now}
	for _, a := range artifacts {
		r.Artifacts = append(r.Artifacts, artifact(a))
	}
	return r
}

// reasonOf returns the reason of a refusal, "" for a pass and "error" for anything else.
func reasonOf(err error) verify.Reason {
	var r *verify.RefusedError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &r):
		return r.Reason()
	}
	return "error"
}
