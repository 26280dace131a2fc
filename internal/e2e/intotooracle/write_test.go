package intotooracle

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/in-toto/in-toto-golang/in_toto"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/layout"
	"github.com/hallmark-build/hallmark/provenance/predicate"
	hallmark "github.com/hallmark-build/hallmark/sign"
	signintoto "github.com/hallmark-build/hallmark/sign/intoto"
	"github.com/hallmark-build/hallmark/verify/intoto"
)

// TestWritten writes layouts and links as Metablocks and as envelopes, under
// keys of every kind, and has in-toto-golang load and verify them whole; and
// the reverse.
func TestWritten(t *testing.T) {
	for _, scheme := range []hallmark.Scheme{hallmark.Ed25519, hallmark.ECDSAP256, hallmark.ECDSAP384, hallmark.ECDSAP521, hallmark.RSAPSS} {
		for _, form := range []string{"metablock", "envelope"} {
			t.Run(string(scheme)+" "+form, func(t *testing.T) {
				write := signintoto.Metablock
				if form == "envelope" {
					write = signintoto.Envelope
				}
				_, ownerSigner, owner := newSigner(t, scheme)
				_, workerSigner, worker := newSigner(t, scheme)
				l := &layout.Layout{
					Expires: "2100-01-02T03:04:05Z",
					Readme:  "<html> \"quoted\" \\ \n \u2028 größer",
					Keys:    map[string]layout.Key{worker.KeyID: worker},
					Steps: []layout.Step{{Name: "build it", Threshold: 1, PubKeys: []string{worker.KeyID}, ExpectedCommand: []string{"make"},
						ExpectedMaterials: []layout.Rule{{Verb: layout.Match, Pattern: "*", Source: "a", With: layout.Products, Destination: "b", From: "build it"}, {Verb: layout.Allow, Pattern: "*.c"}, {Verb: layout.Disallow, Pattern: "*"}},
						ExpectedProducts:  []layout.Rule{{Verb: layout.Create, Pattern: "out & <in>"}, {Verb: layout.Disallow, Pattern: "*"}}}},
				}
				doc, err := l.Encode()
				if err != nil {
					t.Fatal(err)
				}
				layoutFile, err := write(t.Context(), doc, ownerSigner)
				if err != nil {
					t.Fatal(err)
				}
				link, err := json.Marshal(&predicate.ClassicLink{Type: "link", Name: "build it", Command: []string{"make"},
					Materials:   map[string]provenance.DigestSet{"x.c": {provenance.MustDigest("sha256:" + digest(1))}},
					Products:    map[string]provenance.DigestSet{"out & <in>": {provenance.MustDigest("sha256:" + digest(2))}},
					Byproducts:  map[string]any{"return-value": 0, "stdout": "tab\tbell\a\n"},
					Environment: map[string]any{}})
				if err != nil {
					t.Fatal(err)
				}
				linkFile, err := write(t.Context(), link, workerSigner)
				if err != nil {
					t.Fatal(err)
				}
				name, err := signintoto.LinkName("build it", workerSigner.Public(), scheme)
				if err != nil {
					t.Fatal(err)
				}
				dir := t.TempDir()
				for name, data := range map[string][]byte{"root.layout": layoutFile, name: linkFile} {
					if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
						t.Fatal(err)
					}
				}

				loaded, err := in_toto.LoadMetadata(filepath.Join(dir, "root.layout"))
				if err != nil {
					t.Fatal(err)
				}
				theirKey := toTheirs(owner)
				if _, err := in_toto.InTotoVerify(loaded, map[string]in_toto.Key{theirKey.KeyID: theirKey}, dir, "", map[string]string{}, nil, false); err != nil {
					t.Errorf("in-toto-golang: %v", err)
				}
				s, err := intoto.Verify(t.Context(), layoutFile, []layout.Key{owner}, os.DirFS(dir), intoto.Options{At: at, DenyUnmatched: true})
				if err != nil {
					t.Fatal(err)
				}
				if got := slices.Sorted(maps.Keys(s.Products)); !slices.Equal(got, []string{"out & <in>"}) {
					t.Errorf("products %q", got)
				}

				// What in-toto-golang writes out again is still what was signed.
				if err := loaded.Dump(filepath.Join(dir, "again.layout")); err != nil {
					t.Fatal(err)
				}
				again, err := os.ReadFile(filepath.Join(dir, "again.layout"))
				if err != nil {
					t.Fatal(err)
				}
				if _, err := intoto.Verify(t.Context(), again, []layout.Key{owner}, os.DirFS(dir), intoto.Options{At: at}); err != nil {
					t.Errorf("written again by in-toto-golang: %v", err)
				}
			})
		}
	}
}

func toTheirs(k layout.Key) in_toto.Key {
	return in_toto.Key{KeyID: k.KeyID, KeyIDHashAlgorithms: k.KeyIDHashAlgorithms, KeyType: k.KeyType, Scheme: k.Scheme, KeyVal: in_toto.KeyVal{Public: k.KeyVal.Public}}
}

// TestCertificates signs a link with the certificate of in-toto-golang's test
// data, and both judge it by the constraints of its demo layout.
func TestCertificates(t *testing.T) {
	demo, err := layout.Parse(signed(t, read(t, "demo.layout")))
	if err != nil {
		t.Fatal(err)
	}
	data, _ := dataDir()
	var theirs in_toto.Key
	if err := theirs.LoadKeyDefaults(filepath.Join(data, "example.com.write-code.key.pem")); err != nil {
		t.Fatal(err)
	}
	theirs.KeyVal.Certificate = string(read(t, "example.com.write-code.cert.pem"))
	mb := in_toto.Metablock{Signed: in_toto.Link{Type: "link", Name: "write-code", Command: []string{}, Materials: map[string]in_toto.HashObj{}, ByProducts: map[string]any{}, Environment: map[string]any{},
		Products: map[string]in_toto.HashObj{"foo.py": {"sha256": digest(7)}}}}
	if err := mb.Sign(theirs); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := mb.Dump(filepath.Join(dir, layout.LinkName("write-code", theirs.KeyID))); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name   string
		change func(c *layout.CertConstraint)
		pass   bool
	}{
		{"as it is", func(*layout.CertConstraint) {}, true},
		{"all wildcards", func(c *layout.CertConstraint) {
			*c = layout.CertConstraint{CommonName: "*", DNSNames: []string{"*"}, Emails: []string{"*"}, Organizations: []string{"*"}, Roots: []string{"*"}, URIs: []string{"*"}}
		}, true},
		{"another URI", func(c *layout.CertConstraint) { c.URIs = []string{"spiffe://example.com/write-code2"} }, false},
		{"one URI more", func(c *layout.CertConstraint) { c.URIs = append(c.URIs, "spiffe://other") }, false},
		{"no URI", func(c *layout.CertConstraint) { c.URIs = nil }, false},
		{"no common name", func(c *layout.CertConstraint) { c.CommonName = "" }, false},
		{"an email", func(c *layout.CertConstraint) { c.Emails = []string{"a@b"} }, false},
		{"no organization", func(c *layout.CertConstraint) { c.Organizations = []string{""} }, false},
	} {
		l := *demo
		l.Inspect = nil
		step := demo.Steps[0]
		step.PubKeys = nil
		step.CertConstraints = slices.Clone(step.CertConstraints)
		tc.change(&step.CertConstraints[0])
		l.Steps = []layout.Step{step}
		owner, doc := sign(t, &l)
		_, err := intoto.Verify(t.Context(), doc, []layout.Key{owner}, os.DirFS(dir), intoto.Options{At: at})
		if (err == nil) != tc.pass {
			t.Errorf("%s: ours: %v", tc.name, err)
		}
		file := filepath.Join(t.TempDir(), "root.layout")
		if err := os.WriteFile(file, doc, 0o644); err != nil {
			t.Fatal(err)
		}
		loaded, err := in_toto.LoadMetadata(file)
		if err != nil {
			t.Fatal(err)
		}
		key := toTheirs(owner)
		_, err = in_toto.InTotoVerify(loaded, map[string]in_toto.Key{key.KeyID: key}, dir, "", map[string]string{}, nil, false)
		if (err == nil) != tc.pass {
			t.Errorf("%s: theirs: %v", tc.name, err)
		}
		// Without the intermediate there is no way to the root.
		l.IntermediateCAs = nil
		owner, doc = sign(t, &l)
		_, err = intoto.Verify(t.Context(), doc, []layout.Key{owner}, os.DirFS(dir), intoto.Options{At: at})
		wantReason(t, err, intoto.ReasonThreshold)
		_, err = intoto.Verify(t.Context(), doc, []layout.Key{owner}, os.DirFS(dir), intoto.Options{At: at, Intermediates: [][]byte{read(t, "example.com.intermediate.cert.pem")}})
		if (err == nil) != tc.pass {
			t.Errorf("%s: with the intermediate given: %v", tc.name, err)
		}
	}
}
