package intotooracle

import (
	"crypto"
	"encoding/json"
	"testing"

	"github.com/hallmark-build/hallmark/provenance/layout"
	hallmark "github.com/hallmark-build/hallmark/sign"
	"github.com/hallmark-build/hallmark/sign/intoto"
)

// signed returns the document in a Metablock, unverified.
func signed(t testing.TB, metablock []byte) []byte {
	t.Helper()
	var mb struct {
		Signed json.RawMessage `json:"signed"`
	}
	if err := json.Unmarshal(metablock, &mb); err != nil {
		t.Fatal(err)
	}
	return mb.Signed
}

func newSigner(t testing.TB, s hallmark.Scheme) (crypto.Signer, hallmark.Signer, layout.Key) {
	t.Helper()
	private, err := hallmark.GenerateKey(s)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := hallmark.NewSigner(private, s)
	if err != nil {
		t.Fatal(err)
	}
	k, err := layout.NewKey(private.Public(), string(s))
	if err != nil {
		t.Fatal(err)
	}
	return private, signer, k
}

// sign signs a layout as a new owner.
func sign(t testing.TB, l *layout.Layout) (layout.Key, []byte) {
	t.Helper()
	_, signer, owner := newSigner(t, hallmark.Ed25519)
	doc, err := l.Encode()
	if err != nil {
		t.Fatal(err)
	}
	out, err := intoto.Metablock(t.Context(), doc, signer)
	if err != nil {
		t.Fatal(err)
	}
	return owner, out
}
