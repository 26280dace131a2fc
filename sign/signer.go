package sign

import (
	"context"
	"crypto"

	"github.com/hallmark-build/hallmark/internal/sigalg"
)

// A Scheme names a kind of key and how it signs, in the names of
// securesystemslib. Where a function takes a Scheme, the empty one means the
// default of the key.
type Scheme string

// The schemes. ECDSA signatures are ASN.1 DER over the hash that fits the
// curve. RSA keys have 2048 to 8192 bits; RSAPSS is their default.
const (
	ECDSAP256 = Scheme(sigalg.ECDSAP256) // with SHA-256; the default of GenerateKey
	ECDSAP384 = Scheme(sigalg.ECDSAP384) // with SHA-384
	ECDSAP521 = Scheme(sigalg.ECDSAP521) // with SHA-512
	Ed25519   = Scheme(sigalg.Ed25519)   // pure, RFC 8032
	RSAPSS    = Scheme(sigalg.RSAPSS)    // with SHA-256 and a salt of 32 bytes
	RSAPKCS1  = Scheme(sigalg.RSAPKCS1)  // PKCS #1 v1.5 with SHA-256
)

// A Signer signs with one key. An implementation must be safe for concurrent
// use. [NewSigner] makes one from any [crypto.Signer]; a service that signs
// over a network implements the interface, to be able to stop.
type Signer interface {
	// Sign returns the signature over message (not over its hash) under the
	// signer's scheme. It must not keep message, and must return soon after ctx
	// is done.
	Sign(ctx context.Context, message []byte) ([]byte, error)

	// Public returns the public key that verifies what Sign returns. It must
	// not change.
	Public() crypto.PublicKey

	// Scheme returns how the key signs; it must fit the key.
	Scheme() Scheme

	// KeyID returns the hint that is written beside signatures to help
	// verifiers choose a key; it decides nothing here. Empty writes none. To
	// write a hint of your own, embed a Signer and override this method.
	KeyID() string
}

// NewSigner returns a Signer that signs with key, which must be safe for
// concurrent use as those of the standard library are. It fails when the kind
// or the size of the key is not supported or the scheme does not fit it.
//
// The signer's key id is empty. Every verifier takes that, whereas those built
// on go-securesystemslib, cosign among them, pass over a signature whose hint
// is not their own name for the key.
//
// A crypto.Signer has no context: a signature that has begun is waited for.
func NewSigner(key crypto.Signer, scheme Scheme) (Signer, error) {
	if key == nil {
		return nil, fail(ReasonKey, "no key")
	}
	pub := key.Public()
	s, err := sigalg.For(pub, sigalg.Scheme(scheme))
	if err != nil {
		return nil, fail(ReasonKeyUnsupported, "%v", err)
	}
	return &keySigner{key, pub, s}, nil
}

type keySigner struct {
	key    crypto.Signer
	public crypto.PublicKey
	scheme sigalg.Scheme
}

func (k *keySigner) Public() crypto.PublicKey { return k.public }
func (k *keySigner) Scheme() Scheme           { return Scheme(k.scheme) }
func (k *keySigner) KeyID() string            { return "" }

func (k *keySigner) Sign(ctx context.Context, message []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	return sigalg.Sign(k.key, k.scheme, message)
}
