package verify_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"testing"

	"github.com/hallmark-build/hallmark/internal/dsse"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/verify"
)

// fiveStages is a chain of five stages with 20 statements, signed with ECDSA
// P-256 as most are.
func fiveStages(b *testing.B) (*verify.Policy, [][]byte, []func() bool) {
	keys := map[string]*ecdsa.PrivateKey{}
	ps := map[string]verify.Principals{}
	for i := range 4 {
		for _, s := range []string{"source", "build", "scan", "package", "release"} {
			name := fmt.Sprintf("%s%d", s, i)
			k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			if err != nil {
				b.Fatal(err)
			}
			keys[name] = k
			der, _ := x509.MarshalPKIXPublicKey(k.Public())
			ps[name] = verify.Principals{Key: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))}
		}
	}
	four := func(stage, typ string) []verify.Requirement {
		r := verify.Requirement{Type: typ, Threshold: 4}
		for i := range 4 {
			r.Signers = append(r.Signers, fmt.Sprintf("%s%d", stage, i))
		}
		return []verify.Requirement{r}
	}
	p := &verify.Policy{
		Schema: verify.PolicySchema, Name: "bench", NoExpiryUnsafe: true, Principals: ps, Final: "release",
		Stages: map[string]*verify.Stage{
			"source":  {Requires: four("source", typeSLSA)},
			"build":   {Requires: four("build", typeSLSA), From: []verify.Flow{{Stage: "source"}}},
			"scan":    {Requires: four("scan", typeScan), About: []verify.About{{Stage: "build"}}},
			"package": {Requires: four("package", typeSLSA), From: []verify.Flow{{Stage: "build"}}},
			"release": {Requires: four("release", typeSLSA), From: []verify.Flow{{Stage: "package"}}},
		},
	}
	src := []string{"main.go", "go.mod", "go.sum", "README.md"}
	var evidence [][]byte
	var raw []func() bool
	add := func(name string, st *provenance.Statement) {
		env := &dsse.Envelope{PayloadType: provenance.PayloadType, Payload: st.Payload()}
		pae := dsse.PAE(env.PayloadType, env.Payload)
		sum := sha256.Sum256(pae)
		sig, err := ecdsa.SignASN1(rand.Reader, keys[name], sum[:])
		if err != nil {
			b.Fatal(err)
		}
		id := sha256.Sum256(must(x509.MarshalPKIXPublicKey(keys[name].Public())))
		env.Signatures = []dsse.Signature{{Sig: sig, KeyID: fmt.Sprintf("%x", id)}}
		data, err := env.Encode()
		if err != nil {
			b.Fatal(err)
		}
		evidence = append(evidence, data)
		pub := &keys[name].PublicKey
		raw = append(raw, func() bool {
			sum := sha256.Sum256(pae)
			return ecdsa.VerifyASN1(pub, sum[:], sig)
		})
	}
	for i := range 4 {
		// Each signer's own statement: they differ in their invocation.
		mark := func(st []provenance.ResourceDescriptor) []provenance.ResourceDescriptor {
			return append(st, file(fmt.Sprintf("log%d", i)))
		}
		add(fmt.Sprintf("source%d", i), built(nil, mark(files(src...))))
		add(fmt.Sprintf("build%d", i), built(files(src...), mark(files("app"))))
		add(fmt.Sprintf("scan%d", i), statement(typeScan, files("app"), map[string]any{"result": "PASSED", "n": i}))
		add(fmt.Sprintf("package%d", i), built(files("app"), mark(files("app.tar.gz"))))
		add(fmt.Sprintf("release%d", i), built(files("app.tar.gz"), mark(files("app.tar.gz"))))
	}
	return p, evidence, raw
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// BenchmarkFiveStages judges a chain of five stages and 20 statements from
// evidence that is indexed; BenchmarkFiveStagesSignaturesOnly is the
// cryptography that it needs. The ratio is what the engine adds.
func BenchmarkFiveStages(b *testing.B) {
	p, evidence, _ := fiveStages(b)
	v := newVerifier(b, p)
	ev := verify.NewEvidence(evidence...)
	if len(ev.Notes()) > 0 {
		b.Fatal(ev.Notes())
	}
	req := verify.Request{Artifacts: []provenance.Artifact{artifact("app.tar.gz")}, Evidence: ev, At: now}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(context.Background(), req); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFiveStagesSignaturesOnly(b *testing.B) {
	_, _, raw := fiveStages(b)
	b.ReportAllocs()
	for b.Loop() {
		for _, check := range raw {
			if !check() {
				b.Fatal("bad signature")
			}
		}
	}
}
