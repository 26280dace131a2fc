package slsa_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"net/url"
	"reflect"
	"slices"
	"testing"

	"github.com/hallmark-build/hallmark/internal/sigstore/sigstoretest"
	"github.com/hallmark-build/hallmark/verify"
	"github.com/hallmark-build/hallmark/verify/slsa"
)

// PEP 740: provenance that PyPI hands out becomes a bundle that opens, and is
// GitHub's artifact attestation for the rest.
func TestPyPI(t *testing.T) {
	c := formatCases()[0]
	st := statementOf(t, "app", c.predicateType, parse(t, c.predicate))
	w, trust := world()
	b := w.Sign(sigstoretest.Spec{Content: st.Payload(), Kind: "dsse", Precert: func(x *x509.Certificate) {
		u, _ := url.Parse(c.san)
		x.URIs, x.ExtraExtensions = []*url.URL{u}, nil
		for _, n := range []int{8, oidRunner, oidSource, oidDigest, oidRef, oidConfig, oidRun} {
			v := c.claims[n]
			if n == 8 {
				v = c.issuer
			}
			der, _ := asn1.MarshalWithParams(v, "utf8")
			x.ExtraExtensions = append(x.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, n}, Value: der})
		}
	}}).Doc
	attestation := doc{
		"version": 1,
		"verification_material": doc{
			"certificate":          b.At("verificationMaterial", "certificate", "rawBytes"),
			"transparency_entries": b.At("verificationMaterial", "tlogEntries"),
		},
		"envelope": doc{
			"statement": b.At("dsseEnvelope", "payload"),
			"signature": b.At("dsseEnvelope", "signatures", 0, "sig"),
		},
	}
	for _, object := range []doc{attestation, {"version": 1, "attestation_bundles": []any{doc{"publisher": doc{"kind": "GitHub"}, "attestations": []any{attestation}}}}} {
		data, _ := json.Marshal(object)
		list, err := slsa.PyPIBundles(data)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := slsa.VerifyAny(list, trust, now, artifactOf("app"), slsa.Builders(), c.want); err != nil {
			t.Error(err)
		}
	}
	attestation["version"] = 2
	data, _ := json.Marshal(attestation)
	if _, err := slsa.PyPIBundles(data); err == nil {
		t.Error("an unknown version")
	}
}

// A table is data: written as JSON and read back it is the same.
func TestTableIsData(t *testing.T) {
	data, err := json.Marshal(slsa.Builders())
	if err != nil {
		t.Fatal(err)
	}
	var got []slsa.Builder
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, slsa.Builders()) {
		t.Error("the table changed on the way")
	}
}

// Order, repetition and unrelated evidence change nothing; what is missing is missed.
func TestAnyOrder(t *testing.T) {
	_, trust := world()
	var list [][]byte
	for _, c := range formatCases() {
		list = append(list, bundle(t, statementOf(t, "app", c.predicateType, parse(t, c.predicate)), c.issuer, c.san, c.claims))
	}
	other := formatCases()[0]
	list = append(list, []byte("not an attestation"), nil, []byte("{}"),
		bundle(t, statementOf(t, "other", other.predicateType, parse(t, other.predicate)), other.issuer, other.san, other.claims),
		bundle(t, statementOf(t, "app", "https://example.com/x", doc{}), other.issuer, other.san, other.claims))
	want := slsa.Expectations{SourceURI: "github.com/octo/app", AllowKnownParameters: true}
	var first *slsa.Result
	for range 2 {
		slices.Reverse(list)
		r, err := slsa.VerifyAny(append(list, list[0]), trust, now, artifactOf("app"), slsa.Builders(), want)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = r
		}
		if r.Level() != 3 || r.Statement().Digest() != first.Statement().Digest() || !reflect.DeepEqual(r.Facts(), first.Facts()) {
			t.Errorf("level %d by %s", r.Level(), r.Builder())
		}
	}
	_, err := slsa.VerifyAny(nil, trust, now, artifactOf("app"), slsa.Builders(), want)
	refusedFor(t, err, slsa.ReasonRequest)
	if _, err := slsa.VerifyAny(list, nil, now, artifactOf("app"), slsa.Builders(), want); err == nil {
		t.Error("nobody is trusted, and it passed")
	}
	if _, err := slsa.Verify(nil, artifactOf("app"), slsa.Builders(), want); err == nil {
		t.Error("no statement")
	}
	if _, err := slsa.Verify(new(verify.VerifiedStatement), artifactOf("app"), slsa.Builders(), want); err == nil {
		t.Error("a statement that nobody verified")
	}
}

// Two signers of one statement: the trusted one vouches.
func TestTwoSigners(t *testing.T) {
	c := formatCases()[0]
	st := signed(t, statementOf(t, "app", c.predicateType, parse(t, c.predicate)), "ci", "mallory")
	r, err := slsa.Verify(st, artifactOf("app"), builderOf(t, 3), slsa.Expectations{SourceURI: "github.com/octo/app"})
	if err != nil || r.Level() != 3 || r.Signer().KeyID() != keyID(t, publicPEM("ci")) {
		t.Error(err)
	}
}

// Flip any bit of a signed attestation: it is refused, or it says the same.
func TestFlippedBits(t *testing.T) {
	c := formatCases()[0]
	_, trust := world()
	good := bundle(t, statementOf(t, "app", c.predicateType, parse(t, c.predicate)), c.issuer, c.san, c.claims)
	first, err := slsa.VerifyAny([][]byte{good}, trust, now, artifactOf("app"), slsa.Builders(), c.want)
	if err != nil {
		t.Fatal(err)
	}
	passed := 0
	for i := 0; i < len(good); i += 7 {
		bad := slices.Clone(good)
		bad[i] ^= 1 << (i % 8)
		r, err := slsa.VerifyAny([][]byte{bad}, trust, now, artifactOf("app"), slsa.Builders(), c.want)
		if err != nil {
			continue
		}
		passed++
		if r.Statement().Digest() != first.Statement().Digest() || r.Signer() != first.Signer() || !reflect.DeepEqual(r.Facts(), first.Facts()) {
			t.Fatalf("bit %d of byte %d changes the result", i%8, i)
		}
	}
	t.Logf("%d of %d flips change nothing that is used", passed, len(good)/7)
}

func BenchmarkVerify(b *testing.B) {
	c := formatCases()[0]
	_, trust := world()
	st, err := verify.Open(bundle(b, statementOf(b, "app", c.predicateType, parse(b, c.predicate)), c.issuer, c.san, c.claims), trust, now)
	if err != nil {
		b.Fatal(err)
	}
	builders := slsa.Builders()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := slsa.Verify(st, artifactOf("app"), builders, c.want); err != nil {
			b.Fatal(err)
		}
	}
}
