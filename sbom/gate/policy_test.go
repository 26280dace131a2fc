package gate_test

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/predicate"
	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/gate"
	"github.com/hallmark-build/hallmark/sbom/license"
	"github.com/hallmark-build/hallmark/sbom/osv"
	"github.com/hallmark-build/hallmark/sbom/quality"
	"github.com/hallmark-build/hallmark/sbom/vex"
	"github.com/hallmark-build/hallmark/sign"
	"github.com/hallmark-build/hallmark/verify"
	"github.com/hallmark-build/hallmark/verify/cel"
)

// person signs.
type person struct {
	sign.Signer
	pem string
}

func newPerson(t *testing.T) person {
	t.Helper()
	key, err := sign.GenerateKey(sign.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := sign.NewSigner(key, "")
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return person{signer, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))}
}

func (p person) signed(t *testing.T, st *provenance.Statement, err error) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	env, err := sign.Statement(context.Background(), st, p)
	if err != nil {
		t.Fatal(err)
	}
	return env
}

// The policy of docs/sbom-gates.md requires the gates: from the graph through
// attestations to the verdict.
func TestPolicyRequiresGates(t *testing.T) {
	ctx := context.Background()
	now := time.Date(2026, 2, 10, 0, 0, 0, 0, time.UTC)
	dir := t.TempDir()
	doc, err := os.ReadFile("../../docs/sbom-gates.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(doc), "```yaml\n")
	text, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("no policy in docs/sbom-gates.md")
	}
	builder, gatekeeper, security := newPerson(t), newPerson(t), newPerson(t)

	artifact, err := provenance.DigestReader(ctx, "app", strings.NewReader("the program"))
	if err != nil {
		t.Fatal(err)
	}
	subject := []provenance.ResourceDescriptor{artifact.Descriptor()}
	licences, err := provenance.DigestReader(ctx, "licences.json", strings.NewReader(`{"allow":["MIT"]}`))
	if err != nil {
		t.Fatal(err)
	}
	text = strings.Replace(text, "cf83e1357eefb8bd", licences.Digests.Get(provenance.SHA256).Value()[:16], 1)
	record := `{"id":"GHSA-1","modified":"2026-02-01T00:00:00Z","aliases":["CVE-1"],"affected":[{"package":{"ecosystem":"npm","name":"a"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.0.1"}]}]}]}`
	if err := os.WriteFile(filepath.Join(dir, "GHSA-1.json"), []byte(record), 0o644); err != nil {
		t.Fatal(err)
	}
	db, err := osv.Open(ctx, dir, osv.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()

	type setup struct {
		version, licence string
		vex              *person // who says that CVE-1 does not matter
		without          string  // an attestation that is not there
		other            bool    // attestations about another artifact
	}
	run := func(t *testing.T, s setup) error {
		g := &sbom.Graph{Creation: sbom.Creation{Created: now, Authors: []sbom.Party{{Name: "Ann"}}}}
		party := sbom.Party{Name: "Ann"}
		mit := sbom.License{Expression: s.licence}
		root := g.Add(sbom.Component{Type: sbom.Application, Name: "app", Version: "1", Digests: artifact.Digests, Supplier: party, Declared: mit})
		if err := g.Relate(root, sbom.DependsOn, g.Add(sbom.Component{Name: "a", Version: s.version, PURL: "pkg:npm/a@" + s.version, Supplier: party, Declared: mit})); err != nil {
			t.Fatal(err)
		}
		q, err := quality.Check(g, quality.NTIA2021, quality.Options{})
		if err != nil {
			t.Fatal(err)
		}
		policy, err := license.New(license.Policy{Allow: []string{"MIT"}})
		if err != nil {
			t.Fatal(err)
		}
		l, err := policy.Check(g)
		if err != nil {
			t.Fatal(err)
		}
		result, err := db.Match(ctx, g, osv.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if s.vex != nil {
			st := vex.Draft(result, result.Vulnerabilities[0], now)
			st.Status, st.Justification = osv.NotAffected, "vulnerable_code_not_present"
			o, err := vex.OpenVEX(vex.Header{ID: "https://example.com/vex", Author: "Security", Time: now}, st)
			if err != nil {
				t.Fatal(err)
			}
			stated, err := o.Statement(subject)
			env := s.vex.signed(t, stated, err)
			// The gatekeeper trusts the security team's key.
			trust, err := verify.NewTrust(verify.Key{PEM: security.pem}, verify.Key{PEM: builder.pem})
			if err != nil {
				t.Fatal(err)
			}
			opened, err := verify.Open(env, trust, now)
			if err != nil {
				t.Fatal(err)
			}
			var principals []string
			for _, sig := range opened.Signatures() {
				principals = append(principals, sig.Principal.String())
			}
			statements, err := vex.FromStatement(opened.Statement(), principals...)
			if err != nil {
				t.Fatal(err)
			}
			own, err := verify.NewTrust(verify.Key{PEM: security.pem})
			if err != nil {
				t.Fatal(err)
			}
			trusted := []string{}
			if _, err := verify.Open(env, own, now); err == nil {
				trusted = principals
			}
			if result, err = vex.Apply(result, statements, vex.Options{Trusted: trusted, At: now}); err != nil {
				t.Fatal(err)
			}
		}
		about := subject
		if s.other {
			b, err := provenance.DigestReader(ctx, "app", strings.NewReader("another program"))
			if err != nil {
				t.Fatal(err)
			}
			about = []provenance.ResourceDescriptor{b.Descriptor()}
		}
		outcome, err := gate.TestResult([]provenance.ResourceDescriptor{licences.Descriptor(), db.Descriptor()}, q, l, result.Report(osv.ReportOptions{At: now, MaxAge: 30 * 24 * time.Hour}))
		if err != nil {
			t.Fatal(err)
		}
		vulns, err := result.Vulns(osv.Scan{URI: "https://hallmark.build/osv", Version: "1", Started: now, Finished: now})
		if err != nil {
			t.Fatal(err)
		}
		link, err := (&predicate.Link{Name: "build"}).Statement(subject)
		envelopes := [][]byte{builder.signed(t, link, err)}
		if s.without != "test-result" {
			st, err := outcome.Statement(about)
			envelopes = append(envelopes, gatekeeper.signed(t, st, err))
		}
		if s.without != "vulns" {
			st, err := vulns.Statement(about)
			envelopes = append(envelopes, gatekeeper.signed(t, st, err))
		}
		bundle := filepath.Join(t.TempDir(), "app.intoto.jsonl")
		if err := sign.WriteBundle(bundle, envelopes...); err != nil {
			t.Fatal(err)
		}
		evidence, err := verify.ReadEvidence(ctx, bundle)
		if err != nil {
			t.Fatal(err)
		}
		chain, err := verify.ParsePolicy("docs/sbom-gates.md", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		chain.Principals = map[string]verify.Principals{"builder": {Key: builder.pem}, "gatekeeper": {Key: gatekeeper.pem}}
		verifier, err := verify.New(chain, verify.Options{Conditions: cel.Compiler{}})
		if err != nil {
			t.Fatal(err)
		}
		_, err = verifier.Verify(ctx, verify.Request{Artifacts: []provenance.Artifact{artifact}, Evidence: evidence, At: now})
		return err
	}
	tests := []struct {
		name  string
		s     setup
		stage string // at which it is refused; "" passes
	}{
		{"all is well", setup{version: "1.0.1", licence: "MIT"}, ""},
		{"vulnerable", setup{version: "1.0.0", licence: "MIT"}, "gates"},
		{"vulnerable, not affected by the word of security", setup{version: "1.0.0", licence: "MIT", vex: &security}, ""},
		{"vulnerable, not affected by the word of somebody", setup{version: "1.0.0", licence: "MIT", vex: &builder}, "gates"},
		{"licence", setup{version: "1.0.1", licence: "ISC"}, "gates"},
		{"no licence", setup{version: "1.0.1"}, "gates"},
		{"no outcome", setup{version: "1.0.1", licence: "MIT", without: "test-result"}, "gates"},
		{"no scan", setup{version: "1.0.1", licence: "MIT", without: "vulns"}, "scan"},
		{"edge59 about another artifact", setup{version: "1.0.1", licence: "MIT", other: true}, "gates"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := run(t, tt.s)
			if tt.stage == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			refused, ok := errors.AsType[*verify.RefusedError](err)
			if !ok {
				t.Fatalf("want a refusal, found %v", err)
			}
			var stages []string
			for _, f := range refused.Report.Findings {
				stages = append(stages, f.Stage)
			}
			if !strings.Contains(strings.Join(stages, " "), tt.stage) {
				t.Errorf("want it refused at %s, found %v: %v", tt.stage, stages, err)
			}
		})
	}
}
