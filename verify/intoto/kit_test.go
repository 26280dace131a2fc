package intoto

import (
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/hallmark-build/hallmark/internal/sigalg"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/layout"
	"github.com/hallmark-build/hallmark/provenance/predicate"
	"github.com/hallmark-build/hallmark/sign"
	signintoto "github.com/hallmark-build/hallmark/sign/intoto"
)

var now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// A person has a key.
type person struct {
	private crypto.Signer
	signer  sign.Signer
	key     layout.Key
}

func newPerson(t testing.TB, scheme sign.Scheme) *person {
	t.Helper()
	private, err := sign.GenerateKey(scheme)
	if err != nil {
		t.Fatal(err)
	}
	p := &person{private: private}
	if p.signer, err = sign.NewSigner(private, scheme); err != nil {
		t.Fatal(err)
	}
	if p.key, err = layout.NewKey(private.Public(), ""); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *person) digits() string { return p.key.KeyID[:8] }

// A world is a layout with two steps, "write" by alice and "build" by bob, and
// the links to it.
type world struct {
	t                 testing.TB
	owner, alice, bob *person
	layout            *layout.Layout
	links             fstest.MapFS
	options           Options
}

func files(names ...string) map[string]provenance.DigestSet {
	m := map[string]provenance.DigestSet{}
	for _, n := range names {
		name, content, _ := strings.Cut(n, "=")
		m[name] = provenance.DigestSet{sha256Digest([]byte(content))}
	}
	return m
}

func rules(t testing.TB, texts ...string) []layout.Rule {
	t.Helper()
	var out []layout.Rule
	for _, text := range texts {
		r, err := layout.ParseRule(strings.Fields(text))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, owner: newPerson(t, sign.Ed25519), alice: newPerson(t, sign.Ed25519), bob: newPerson(t, sign.ECDSAP256), links: fstest.MapFS{}}
	w.options.At = now
	w.layout = &layout.Layout{
		Expires: layout.At(now.AddDate(1, 0, 0)),
		Keys:    map[string]layout.Key{w.alice.key.KeyID: w.alice.key, w.bob.key.KeyID: w.bob.key},
		Steps: []layout.Step{
			{Name: "write", Threshold: 1, PubKeys: []string{w.alice.key.KeyID}, ExpectedMaterials: rules(t, "DISALLOW *"), ExpectedProducts: rules(t, "CREATE *.go", "DISALLOW *")},
			{Name: "build", Threshold: 1, PubKeys: []string{w.bob.key.KeyID}, ExpectedCommand: []string{"go", "build"},
				ExpectedMaterials: rules(t, "MATCH * WITH PRODUCTS FROM write", "DISALLOW *"), ExpectedProducts: rules(t, "CREATE app", "DISALLOW *")},
		},
	}
	w.link(w.alice, "write", nil, nil, files("main.go=1"))
	w.link(w.bob, "build", []string{"go", "build"}, files("main.go=1"), files("app=2"))
	return w
}

func linkDocument(t testing.TB, step string, command []string, materials, products map[string]provenance.DigestSet) []byte {
	t.Helper()
	if materials == nil {
		materials = files()
	}
	if products == nil {
		products = files()
	}
	data, err := json.Marshal(&predicate.ClassicLink{Type: "link", Name: step, Command: append([]string{}, command...), Materials: materials, Products: products,
		Byproducts: map[string]any{"return-value": 0}, Environment: map[string]any{}})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func signDocument(t testing.TB, document []byte, by ...*person) []byte {
	t.Helper()
	var signers []sign.Signer
	for _, p := range by {
		signers = append(signers, p.signer)
	}
	data, err := signintoto.Metablock(context.Background(), document, signers...)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func (w *world) link(by *person, step string, command []string, materials, products map[string]provenance.DigestSet) {
	w.t.Helper()
	w.put(layout.LinkName(step, by.key.KeyID), signDocument(w.t, linkDocument(w.t, step, command, materials, products), by))
}

func (w *world) put(name string, data []byte) { w.links[name] = &fstest.MapFile{Data: data} }

func (w *world) signedLayout(by ...*person) []byte {
	w.t.Helper()
	if len(by) == 0 {
		by = []*person{w.owner}
	}
	data, err := w.layout.Encode()
	if err != nil {
		w.t.Fatal(err)
	}
	return signDocument(w.t, data, by...)
}

func (w *world) verify() (*Summary, error) {
	w.t.Helper()
	return Verify(context.Background(), w.signedLayout(), []layout.Key{w.owner.key}, w.links, w.options)
}

func (w *world) passes() *Summary {
	w.t.Helper()
	s, err := w.verify()
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func (w *world) refused(want Reason) *RefusedError {
	w.t.Helper()
	_, err := w.verify()
	return refusedFor(w.t, err, want)
}

func refusedFor(t testing.TB, err error, want Reason) *RefusedError {
	t.Helper()
	var e *RefusedError
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want a refusal for %s", err, want)
	}
	if e.Reason != want {
		t.Fatalf("refused for %s (%v), want %s", e.Reason, e.Explain(), want)
	}
	return e
}

func hasNote(notes []Note, part string) bool {
	return slices.ContainsFunc(notes, func(n Note) bool { return strings.Contains(n.String(), part) })
}

// metablock puts a document and signatures together by hand.
func metablock(t testing.TB, document []byte, sigs ...map[string]any) []byte {
	t.Helper()
	data, err := json.Marshal(map[string]any{"signed": json.RawMessage(document), "signatures": append([]map[string]any{}, sigs...)})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// sig is a signature over the document by p, under a key id of choice.
func (p *person) sig(t testing.TB, document []byte, keyID string) map[string]any {
	t.Helper()
	message, err := layout.Canonical(document)
	if err != nil {
		t.Fatal(err)
	}
	scheme, err := sigalg.For(p.private.Public(), "")
	if err != nil {
		t.Fatal(err)
	}
	s, err := sigalg.Sign(p.private, scheme, message)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]any{"keyid": keyID, "sig": hexOf(s)}
}

func hexOf(b []byte) string {
	const digits = "0123456789abcdef"
	var s strings.Builder
	for _, c := range b {
		s.WriteByte(digits[c>>4])
		s.WriteByte(digits[c&15])
	}
	return s.String()
}

func clone(m fstest.MapFS) fstest.MapFS { return maps.Clone(m) }
