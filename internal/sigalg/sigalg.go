// Package sigalg is the table of signature schemes that this module makes and
// accepts. A public key has exactly one scheme: what a verifier accepts is
// never chosen by the signed document.
package sigalg

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	_ "crypto/sha512" // for crypto.SHA384 and crypto.SHA512
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
)

// A Scheme names how a key signs, in the names of securesystemslib.
type Scheme string

// The schemes. ECDSA signatures are ASN.1 DER, as everywhere in Sigstore and
// in-toto, over the hash that fits the curve.
const (
	ECDSAP256  Scheme = "ecdsa-sha2-nistp256"
	ECDSAP384  Scheme = "ecdsa-sha2-nistp384"
	ECDSAP521  Scheme = "ecdsa-sha2-nistp521"
	Ed25519    Scheme = "ed25519"
	RSAPSS     Scheme = "rsassa-pss-sha256"
	RSAPKCS1   Scheme = "rsa-pkcs1v15-sha256"
	MinRSABits        = 2048
	maxRSABits        = 8192 // beyond it one verification costs milliseconds
)

// ErrSignature says that a signature does not verify.
var ErrSignature = errors.New("signature does not verify")

// For returns the scheme of a key: want when it fits the key, or, when want is
// empty, the default of the key's type (RSA-PSS for RSA). It refuses RSA keys
// below 2048 bits and curves that are not in the table.
func For(pub crypto.PublicKey, want Scheme) (Scheme, error) {
	var is Scheme
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			is = ECDSAP256
		case elliptic.P384():
			is = ECDSAP384
		case elliptic.P521():
			is = ECDSAP521
		default:
			return "", fmt.Errorf("unsupported elliptic curve")
		}
		if _, err := k.ECDH(); err != nil {
			return "", fmt.Errorf("invalid ECDSA public key: %w", err)
		}
	case ed25519.PublicKey:
		if len(k) != ed25519.PublicKeySize {
			return "", fmt.Errorf("Ed25519 public key of %d bytes", len(k))
		}
		is = Ed25519
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n < MinRSABits || n > maxRSABits {
			return "", fmt.Errorf("RSA key of %d bits, want %d to %d", n, MinRSABits, maxRSABits)
		}
		is = RSAPSS
		if want == RSAPKCS1 {
			is = RSAPKCS1
		}
	default:
		return "", fmt.Errorf("unsupported key type %T", pub)
	}
	if want != "" && want != is {
		return "", fmt.Errorf("scheme %q does not fit a key for %q", want, is)
	}
	return is, nil
}

// Hash returns the hash that a scheme applies first; 0 for Ed25519, which
// takes the message.
func (s Scheme) Hash() crypto.Hash {
	switch s {
	case ECDSAP384:
		return crypto.SHA384
	case ECDSAP521:
		return crypto.SHA512
	case Ed25519:
		return 0
	}
	return crypto.SHA256
}

func (s Scheme) digest(message []byte) []byte {
	if s.Hash() == crypto.SHA256 {
		sum := sha256.Sum256(message)
		return sum[:]
	}
	h := s.Hash().New()
	h.Write(message)
	return h.Sum(nil)
}

// Sign signs message with key under the scheme.
func Sign(key crypto.Signer, s Scheme, message []byte) ([]byte, error) {
	return SignRand(rand.Reader, key, s, message)
}

// SignRand is Sign with a source of randomness.
func SignRand(random io.Reader, key crypto.Signer, s Scheme, message []byte) ([]byte, error) {
	switch s {
	case Ed25519:
		return key.Sign(random, message, crypto.Hash(0))
	case RSAPSS:
		return key.Sign(random, s.digest(message), &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256})
	}
	return key.Sign(random, s.digest(message), s.Hash())
}

// Verify checks a signature over message. The key must be one that [For] accepted with this
// scheme.
func Verify(pub crypto.PublicKey, s Scheme, message, sig []byte) error {
	ok := false
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		ok = ecdsa.VerifyASN1(k, s.digest(message), sig)
	case ed25519.PublicKey:
		ok = ed25519.Verify(k, message, sig)
	case *rsa.PublicKey:
		if s == RSAPKCS1 {
			ok = rsa.VerifyPKCS1v15(k, crypto.SHA256, s.digest(message), sig) == nil
		} else {
			// in-toto and securesystemslib sign with a salt as long as the
			// hash, older ones with the longest: take what the signature says.
			ok = rsa.VerifyPSS(k, crypto.SHA256, s.digest(message), sig, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthAuto}) == nil
		}
	}
	if !ok {
		return ErrSignature
	}
	return nil
}

// KeyID returns the lower-case hex SHA-256 of the key's SubjectPublicKeyInfo
// in DER: one name for one key, whatever file it came in.
func KeyID(pub crypto.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(der)
	return hex.EncodeToString(sum[:]), nil
}
