package slsa_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/predicate"
	"github.com/hallmark-build/hallmark/verify"
	"github.com/hallmark-build/hallmark/verify/slsa"
)

// Whatever provenance says, under a certificate it passes only with the
// source, ref and commit of the certificate.
func FuzzVerify(f *testing.F) {
	for _, c := range formatCases() {
		f.Add([]byte(c.predicate), c.predicateType)
	}
	key, err := verify.NewTrust(verify.Key{PEM: publicPEM("ci")})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, p []byte, typ string) {
		st, err := provenance.NewStatement([]provenance.ResourceDescriptor{artifactOf("app").Descriptor()}, typ, json.RawMessage(p))
		if err != nil {
			return
		}
		v, err := verify.Open(envelope(t, st, "ci"), key, now)
		if err != nil {
			return
		}
		// No claims of a certificate, and nobody in the table: never above level 1.
		r, err := slsa.Verify(v, artifactOf("app"), slsa.Builders(), slsa.Expectations{Level: 1, SourceURI: "github.com/octo/app", AllowKnownParameters: true})
		if err != nil {
			if _, ok := err.(*slsa.Error); !ok {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		if r.Level() != 1 || r.Fact(slsa.FactSource) != "https://github.com/octo/app" {
			t.Fatalf("level %d, %v", r.Level(), r.Facts())
		}
		for _, fact := range r.Facts() {
			if fact.Certified || fact.Value == "" {
				t.Fatalf("%+v is certified by nothing", fact)
			}
		}
	})
}

func FuzzVSA(f *testing.F) {
	b, _ := json.Marshal(summary(nil))
	f.Add(b)
	key, err := verify.NewTrust(verify.Key{PEM: publicPEM("verifier")})
	if err != nil {
		f.Fatal(err)
	}
	row := delegated(f, "verifier")
	f.Fuzz(func(t *testing.T, p []byte) {
		st, err := provenance.NewStatement([]provenance.ResourceDescriptor{artifactOf("app").Descriptor()}, predicate.TypeVSA, json.RawMessage(p))
		if err != nil {
			return
		}
		v, err := verify.Open(envelope(t, st, "verifier"), key, now)
		if err != nil {
			return
		}
		r, err := slsa.VerifyVSA(v, digestsOf("app"), []slsa.Delegation{row}, wanted())
		if err != nil {
			return
		}
		if s := r.VSA(); s.VerificationResult != "PASSED" || s.ResourceURI != resource || s.Verifier.ID != verifierID || r.Level(slsa.TrackBuild) < 2 || len(s.Policy.Digest) == 0 {
			t.Fatalf("passed: %+v", s)
		}
	})
}

func FuzzRegistries(f *testing.F) {
	f.Add([]byte(`{"attestations":[{"predicateType":"x","bundle":{"mediaType":"y"}}]}`))
	f.Add([]byte(`{"version":1,"verification_material":{"certificate":"AA==","transparency_entries":[{}]},"envelope":{"statement":"AA==","signature":"AA=="}}`))
	f.Add([]byte(`{"version":1,"attestation_bundles":[{"publisher":{},"attestations":[{"version":1,"envelope":{"statement":"e30=","signature":"AA=="}}]}]}`))
	f.Add([]byte(`{"provenance_summary":{"provenance":[{"envelope":{"payload":"e30","payloadType":"x","signatures":[]}}]}}`))
	f.Add([]byte(`{"keys":[{"keyUsage":"npm:attestations","publicKey":{"rawBytes":"AA==","keyDetails":"PKIX_ECDSA_P256_SHA_256","validFor":{"start":"2022-12-01T00:00:00.000Z"}}}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, read := range []func([]byte) ([][]byte, error){slsa.NPMAttestations, slsa.PyPIBundles, slsa.CloudBuildEnvelopes} {
			list, err := read(bytes.Clone(b))
			if (err == nil) != (len(list) > 0) {
				t.Fatalf("%d attestations, %v", len(list), err)
			}
			for _, a := range list {
				if !json.Valid(a) {
					t.Fatalf("not JSON: %q", a)
				}
				if _, err := verify.Open(a, nil, now); err == nil {
					t.Fatal("trusts nobody, and opened")
				}
			}
		}
		if keys, err := slsa.NPMKeys(b); err == nil && len(keys) == 0 {
			t.Fatal("no keys")
		}
	})
}
