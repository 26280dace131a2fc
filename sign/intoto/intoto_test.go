package intoto

import (
	"context"
	"crypto"
	"errors"
	"strings"
	"testing"

	"github.com/hallmark-build/hallmark/sign"
)

const link = `{"_type":"link","name":"build","command":[],"materials":{},"products":{},"byproducts":{},"environment":{}}`

func newSigner(t *testing.T) sign.Signer {
	t.Helper()
	private, err := sign.GenerateKey(sign.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	s, err := sign.NewSigner(private, "")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// faulty signs with one key and shows another.
type faulty struct {
	sign.Signer
	public crypto.PublicKey
}

func (f faulty) Public() crypto.PublicKey { return f.public }

func TestRefusals(t *testing.T) {
	a, b := newSigner(t), newSigner(t)
	done, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tc := range []struct {
		name, document string
		ctx            context.Context
		signers        []sign.Signer
		reason         string
	}{
		{"no signer", link, t.Context(), nil, sign.ReasonNoSigner},
		{"nil signer", link, t.Context(), []sign.Signer{nil}, sign.ReasonNoSigner},
		{"one twice", link, t.Context(), []sign.Signer{a, a}, sign.ReasonDuplicateSigner},
		{"another key", link, t.Context(), []sign.Signer{faulty{a, b.Public()}}, sign.ReasonSignature},
		{"cancelled", link, done, []sign.Signer{a}, sign.ReasonSigner},
		{"a float", strings.Replace(link, `"byproducts":{}`, `"byproducts":{"x":1.5}`, 1), t.Context(), []sign.Signer{a}, sign.ReasonPayload},
		{"no type", `{}`, t.Context(), []sign.Signer{a}, sign.ReasonPayload},
		{"a statement", `{"_type":"https://in-toto.io/Statement/v1"}`, t.Context(), []sign.Signer{a}, sign.ReasonPayload},
		{"an empty layout", `{"_type":"layout"}`, t.Context(), []sign.Signer{a}, sign.ReasonPayload},
		{"a link without a name", strings.Replace(link, "build", "", 1), t.Context(), []sign.Signer{a}, sign.ReasonPayload},
		{"not JSON", `x`, t.Context(), []sign.Signer{a}, sign.ReasonPayload},
	} {
		for form, f := range map[string]func(context.Context, []byte, ...sign.Signer) ([]byte, error){"metablock": Metablock, "envelope": Envelope} {
			out, err := f(tc.ctx, []byte(tc.document), tc.signers...)
			var e *sign.Error
			if out != nil || !errors.As(err, &e) || e.Reason != tc.reason {
				t.Errorf("%s, %s: %v, want %s", tc.name, form, err, tc.reason)
			}
		}
	}
	for _, f := range []func(context.Context, []byte, ...sign.Signer) ([]byte, error){Metablock, Envelope} {
		if _, err := f(t.Context(), []byte(link), a, b); err != nil {
			t.Error(err)
		}
	}
}
