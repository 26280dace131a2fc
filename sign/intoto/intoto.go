// Package intoto signs the documents of in-toto's classic format: layouts
// (package provenance/layout) and links ([predicate.ClassicLink]).
//
//	document, err := l.Encode()                       // a layout
//	signed, err := intoto.Metablock(ctx, document, owner)
//
//	document, err := json.Marshal(link)               // a link
//	signed, err := intoto.Metablock(ctx, document, functionary)
//	name, err := intoto.LinkName("build", functionary.Public(), "")
//
// [Metablock] is what every implementation reads; [Envelope] writes a DSSE
// envelope (ITE-5), which newer ones read too. Either names the signers by the
// key ids of in-toto, since other implementations look signatures up by them.
package intoto

import (
	"context"
	"crypto"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"github.com/hallmark-build/hallmark/internal/dsse"
	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/sigalg"
	"github.com/hallmark-build/hallmark/provenance/layout"
	"github.com/hallmark-build/hallmark/provenance/predicate"
	"github.com/hallmark-build/hallmark/sign"
)

func fail(reason, format string, args ...any) error {
	return &sign.Error{Reason: reason, Msg: fmt.Sprintf(format, args...)}
}

// Metablock signs a document, the JSON of a layout or a classic link, with
// every signer, and returns a Metablock. What is signed is the canonical form
// of the document, see [layout.Canonical].
//
// All signers sign or there is no Metablock. It fails, with a [*sign.Error],
// when the document is no valid layout or link, when there is no signer, when
// two signers have the same key, and when a signature does not verify with its
// signer's key.
func Metablock(ctx context.Context, document []byte, signers ...sign.Signer) ([]byte, error) {
	canonical, err := check(document)
	if err != nil {
		return nil, err
	}
	sigs, err := signAll(ctx, canonical, signers)
	if err != nil {
		return nil, err
	}
	type signature struct {
		KeyID string `json:"keyid"`
		Sig   string `json:"sig"`
	}
	list := make([]signature, len(sigs))
	for i, s := range sigs {
		list[i] = signature{s.KeyID, hex.EncodeToString(s.Sig)}
	}
	// The canonical form is no JSON where a string has a line break, so the
	// document is written as it came.
	return json.MarshalIndent(struct {
		Signed     json.RawMessage `json:"signed"`
		Signatures []signature     `json:"signatures"`
	}{document, list}, "", "  ")
}

// Envelope signs a document as [Metablock] does, and returns a DSSE envelope
// on one line, whose payload is the document to the byte.
func Envelope(ctx context.Context, document []byte, signers ...sign.Signer) ([]byte, error) {
	if _, err := check(document); err != nil {
		return nil, err
	}
	sigs, err := signAll(ctx, dsse.PAE(layout.PayloadType, document), signers)
	if err != nil {
		return nil, err
	}
	e := &dsse.Envelope{PayloadType: layout.PayloadType, Payload: document, Signatures: sigs}
	out, err := e.Encode()
	if err != nil {
		return nil, fail(sign.ReasonEnvelope, "%v", err)
	}
	return out, nil
}

// LinkName returns the name of the file in which verifiers look for the link of
// a step by the holder of a public key.
func LinkName(step string, public crypto.PublicKey, scheme sign.Scheme) (string, error) {
	k, err := layout.NewKey(public, string(scheme))
	if err != nil {
		return "", fail(sign.ReasonKeyUnsupported, "%v", err)
	}
	return layout.LinkName(step, k.KeyID), nil
}

// check wants a document that a verifier would read, and returns its canonical form.
func check(document []byte) ([]byte, error) {
	if len(document) > limits.Statement/2 {
		return nil, fail(sign.ReasonPayload, "a document of %d bytes exceeds the limit of %d", len(document), limits.Statement/2)
	}
	canonical, err := layout.Canonical(document)
	if err != nil {
		return nil, fail(sign.ReasonPayload, "%v", err)
	}
	var typed struct {
		Type string `json:"_type"`
	}
	if err := json.Unmarshal(document, &typed); err != nil {
		return nil, fail(sign.ReasonPayload, "%v", err)
	}
	switch typed.Type {
	case layout.Type:
		_, err = layout.Parse(document)
	case predicate.ClassicLinkType:
		_, err = predicate.ParseClassicLink(document)
	default:
		err = fmt.Errorf("want _type %q or %q, found %.40q", layout.Type, predicate.ClassicLinkType, typed.Type)
	}
	if err != nil {
		return nil, fail(sign.ReasonPayload, "%v", err)
	}
	return canonical, nil
}

// signAll returns a signature by each signer, verified before it is returned.
func signAll(ctx context.Context, message []byte, signers []sign.Signer) ([]dsse.Signature, error) {
	switch n := len(signers); {
	case n == 0:
		return nil, fail(sign.ReasonNoSigner, "no signer")
	case n > limits.Signatures:
		return nil, fail(sign.ReasonEnvelope, "%d signatures exceed the limit of %d", n, limits.Signatures)
	}
	ids := make([]string, len(signers))
	seen := map[string]int{}
	for i, s := range signers {
		if s == nil {
			return nil, fail(sign.ReasonNoSigner, "signer %d is nil", i+1)
		}
		k, err := layout.NewKey(s.Public(), string(s.Scheme()))
		if err != nil {
			return nil, fail(sign.ReasonKeyUnsupported, "signer %d: %v", i+1, err)
		}
		material, err := sigalg.KeyID(s.Public())
		if err != nil {
			return nil, fail(sign.ReasonKeyUnsupported, "signer %d: %v", i+1, err)
		}
		if j, dup := seen[material]; dup {
			return nil, fail(sign.ReasonDuplicateSigner, "signers %d and %d have the same key", j+1, i+1)
		}
		seen[material], ids[i] = i, k.KeyID
	}
	out := make([]dsse.Signature, len(signers))
	for i, s := range signers {
		if ctx.Err() != nil {
			return nil, &sign.Error{Reason: sign.ReasonSigner, Msg: fmt.Sprintf("signer %d: not asked", i+1), Err: context.Cause(ctx)}
		}
		sig, err := s.Sign(ctx, message)
		if err != nil {
			return nil, &sign.Error{Reason: sign.ReasonSigner, Msg: fmt.Sprintf("signer %d: signing failed", i+1), Err: err}
		}
		scheme, err := sigalg.For(s.Public(), sigalg.Scheme(s.Scheme()))
		if err == nil {
			err = sigalg.Verify(s.Public(), scheme, message, sig)
		}
		if err != nil {
			return nil, &sign.Error{Reason: sign.ReasonSignature, Msg: fmt.Sprintf("signer %d: the signature is not one of its public key", i+1), Err: err}
		}
		out[i] = dsse.Signature{KeyID: ids[i], Sig: sig}
	}
	return out, nil
}
