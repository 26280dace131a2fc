package sign

import (
	"context"
	"encoding/base64"
	"strings"
	"unicode/utf8"

	"github.com/hallmark-build/hallmark/internal/dsse"
	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/sigalg"
	"github.com/hallmark-build/hallmark/provenance"
)

// Statement signs the exact bytes of a statement with every signer and returns
// a DSSE envelope on one line, without a newline at the end. It is
// [Envelope] with the payload type of statements.
func Statement(ctx context.Context, st *provenance.Statement, signers ...Signer) ([]byte, error) {
	if st == nil {
		return nil, fail(ReasonPayload, "no statement")
	}
	return envelope(ctx, &dsse.Envelope{PayloadType: provenance.PayloadType, Payload: st.Payload()}, signers)
}

// Envelope signs payload, a document of type payloadType (a media type, for
// instance of a policy), with every signer, and returns a DSSE envelope on one
// line, without a newline at the end. A payload whose type is that of in-toto
// statements must be one.
//
// All signers sign or there is no envelope. It fails, with an [*Error], when
// there is no signer, when two signers have the same key (verifiers count
// keys, so the second signature would say nothing), when a signer fails, and
// when a signature does not verify with its signer's public key (a faulty
// device, or a key pair that is none).
func Envelope(ctx context.Context, payloadType string, payload []byte, signers ...Signer) ([]byte, error) {
	if err := checkPayload(payloadType, payload); err != nil {
		return nil, err
	}
	return envelope(ctx, &dsse.Envelope{PayloadType: payloadType, Payload: payload}, signers)
}

// Countersign adds the signatures of signers to an envelope, whose payload
// must be of type payloadType: the caller says what kind of document he means
// to sign. The signatures that are there are kept as they are, and are not
// verified; the payload is the same to the byte. It fails as [Envelope] does,
// and when one of the signers has signed the envelope already.
func Countersign(ctx context.Context, payloadType string, env []byte, signers ...Signer) ([]byte, error) {
	e, err := dsse.Parse(env)
	if err != nil {
		return nil, &Error{ReasonEnvelope, "malformed envelope", err}
	}
	if e.PayloadType != payloadType {
		return nil, fail(ReasonPayload, "payload of type %.80q, want %.80q", e.PayloadType, payloadType)
	}
	if err := checkPayload(e.PayloadType, e.Payload); err != nil {
		return nil, err
	}
	return envelope(ctx, e, signers)
}

// isStatement reports whether payloads of a type are in-toto statements
// (in-toto attestation spec v1, envelope.md: the general type, or one that
// names the predicate).
func isStatement(payloadType string) bool {
	return payloadType == provenance.PayloadType ||
		strings.HasPrefix(payloadType, "application/vnd.in-toto.") && strings.HasSuffix(payloadType, "+json")
}

func checkPayload(payloadType string, payload []byte) error {
	if payloadType == "" || len(payloadType) > 1024 || !utf8.ValidString(payloadType) {
		return fail(ReasonPayload, "want a media type as payload type, found %d bytes", len(payloadType))
	}
	if isStatement(payloadType) {
		if _, err := provenance.ParseStatement(payload); err != nil {
			return &Error{ReasonPayload, "payload is not a statement", err}
		}
	}
	return nil
}

// envelope adds the signatures of signers to e and encodes it.
func envelope(ctx context.Context, e *dsse.Envelope, signers []Signer) ([]byte, error) {
	if len(signers) == 0 {
		return nil, fail(ReasonNoSigner, "no signer")
	}
	if n := len(e.Signatures) + len(signers); n > limits.Signatures {
		return nil, fail(ReasonEnvelope, "%d signatures exceed the limit of %d", n, limits.Signatures)
	}
	// What no verifier would read is not signed.
	if base64.StdEncoding.EncodedLen(len(e.Payload)) > limits.Statement {
		return nil, fail(ReasonPayload, "payload of %d bytes makes an envelope beyond the limit of %d", len(e.Payload), limits.Statement)
	}
	pae := dsse.PAE(e.PayloadType, e.Payload)
	if err := distinct(e, pae, signers); err != nil {
		return nil, err
	}
	for i, s := range signers {
		sig, err := signOne(ctx, s, pae)
		if err != nil {
			err.Msg = "signer " + name(i, s) + ": " + err.Msg
			return nil, err
		}
		e.Signatures = append(e.Signatures, dsse.Signature{KeyID: s.KeyID(), Sig: sig})
	}
	out, err := e.Encode()
	if err != nil {
		return nil, fail(ReasonEnvelope, "%v", err)
	}
	if len(out) > limits.Statement {
		return nil, fail(ReasonPayload, "envelope of %d bytes exceeds the limit of %d", len(out), limits.Statement)
	}
	return out, nil
}

// distinct checks, before any key is used, that every signer can sign and
// that each key signs once.
func distinct(e *dsse.Envelope, pae []byte, signers []Signer) error {
	seen := make(map[string]int, len(signers))
	for i, s := range signers {
		if s == nil {
			return fail(ReasonNoSigner, "signer %d is nil", i+1)
		}
		pub := s.Public()
		scheme, err := sigalg.For(pub, sigalg.Scheme(s.Scheme()))
		if err != nil {
			return fail(ReasonKeyUnsupported, "signer %d: %v", i+1, err)
		}
		id, err := sigalg.KeyID(pub)
		if err != nil {
			return fail(ReasonKeyUnsupported, "signer %d: %v", i+1, err)
		}
		if j, dup := seen[id]; dup {
			return fail(ReasonDuplicateSigner, "signers %d and %d have the same key %.12s", j+1, i+1, id)
		}
		seen[id] = i
		for _, old := range e.Signatures {
			if sigalg.Verify(pub, scheme, pae, old.Sig) == nil {
				return fail(ReasonDuplicateSigner, "the key %.12s of signer %d has signed this envelope already", id, i+1)
			}
		}
	}
	return nil
}

// signOne returns a signature over message that was verified.
func signOne(ctx context.Context, s Signer, message []byte) ([]byte, *Error) {
	if ctx.Err() != nil {
		return nil, &Error{ReasonSigner, "not asked", context.Cause(ctx)}
	}
	sig, err := s.Sign(ctx, message)
	if err != nil {
		return nil, &Error{ReasonSigner, "signing failed", err}
	}
	pub := s.Public()
	scheme, err := sigalg.For(pub, sigalg.Scheme(s.Scheme()))
	if err == nil {
		err = sigalg.Verify(pub, scheme, message, sig)
	}
	if err != nil {
		return nil, &Error{ReasonSignature, "the signature is not one of its public key", err}
	}
	return sig, nil
}

func name(i int, s Signer) string {
	id, err := sigalg.KeyID(s.Public())
	if err != nil {
		return ordinal(i)
	}
	return ordinal(i) + " (key " + id[:12] + ")"
}
