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
)

// A Scheme names how a key signs, in the names of securesystemslib.
type Scheme string

// The schemes. ECDSA signatures are ASN.1 DER, as everywhere in Sigstore and
// in-toto, over the hash that fits the curve.
const (
	ECDSAP256 Scheme = "ecdsa-sha2-nistp256"
	ECDSAP384 Scheme = "ecdsa-sha2-nistp384"
	ECDSAP521 Scheme = "ecdsa-sha2-nistp521"
	Ed25519   Scheme = "ed25519"
	RSAPSS    Scheme = "rsassa-pss-sha256"
	RSAPKCS1  Scheme = "rsa-pkcs1v15-sha256"
)

// The sizes of RSA keys. Below, a signature can be forged (NIST SP 800-131A);
// above, one verification costs milliseconds.
const (
	MinRSABits = 2048
	maxRSABits = 8192
)

// ErrSignature says that a signature does not verify.
var ErrSignature = errors.New("signature does not verify")

// For returns the scheme of a key: want when it fits the key, or, when want is
// empty, the default of the key's type (RSA-PSS for RSA). It refuses RSA keys
// below 2048 bits, curves that are not in the table, and points that are no keys.
func For(pub crypto.PublicKey, want Scheme) (Scheme, error) {
	var is Scheme
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		if k == nil || k.Curve == nil {
			return "", errors.New("no key")
		}
		switch k.Curve {
		case elliptic.P256():
			is = ECDSAP256
		case elliptic.P384():
			is = ECDSAP384
		case elliptic.P521():
			is = ECDSAP521
		default:
			return "", fmt.Errorf("elliptic curve %s is not supported, want P-256, P-384 or P-521", k.Curve.Params().Name)
		}
		if _, err := k.ECDH(); err != nil {
			return "", fmt.Errorf("invalid ECDSA public key: %w", err)
		}
	case ed25519.PublicKey:
		if len(k) != ed25519.PublicKeySize {
			return "", fmt.Errorf("Ed25519 public key of %d bytes", len(k))
		}
		if smallOrder(k) {
			return "", errors.New("invalid Ed25519 public key: a point of small order")
		}
		is = Ed25519
	case *rsa.PublicKey:
		if k == nil || k.N == nil {
			return "", errors.New("no key")
		}
		if n := k.N.BitLen(); n < MinRSABits || n > maxRSABits {
			return "", fmt.Errorf("RSA key of %d bits, want %d to %d", n, MinRSABits, maxRSABits)
		}
		// FIPS 186-5 section 5.4 (e) wants an odd exponent above 2^16; keys
		// with 3 are still about, and safe with these two paddings.
		if k.E < 3 || k.E&1 == 0 || k.E > 1<<31-1 || k.N.Bit(0) == 0 {
			return "", fmt.Errorf("invalid RSA public key")
		}
		is = RSAPSS
		if want == RSAPKCS1 {
			is = RSAPKCS1
		}
	case nil:
		return "", errors.New("no key")
	default:
		return "", fmt.Errorf("key type %T is not supported, want ECDSA, Ed25519 or RSA", pub)
	}
	if want != "" && want != is {
		return "", fmt.Errorf("scheme %q does not fit a key for %q", want, is)
	}
	return is, nil
}

// smallOrder reports whether a key is one of the points whose order divides 8,
// in any of their encodings. RFC 8032 does not forbid them, and under such a key
// anybody can sign.
func smallOrder(key ed25519.PublicKey) bool {
	y := [32]byte(key)
	y[31] &= 0x7f // the sign of x
	switch hex.EncodeToString(y[:]) {
	case "0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f":
		return true
	}
	return false
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

// Sign signs message with key under the scheme, which must be one that [For]
// gave for the key. Randomness comes from crypto/rand, by way of the key.
func Sign(key crypto.Signer, s Scheme, message []byte) ([]byte, error) {
	switch s {
	case Ed25519:
		return key.Sign(rand.Reader, message, crypto.Hash(0))
	case RSAPSS:
		return key.Sign(rand.Reader, s.digest(message), &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256})
	case ECDSAP256, ECDSAP384, ECDSAP521, RSAPKCS1:
		return key.Sign(rand.Reader, s.digest(message), s.Hash())
	}
	return nil, fmt.Errorf("unknown signature scheme %q", s)
}

// Verify checks a signature over message. The key must be one that [For] accepted with this
// scheme; with another scheme nothing verifies.
//
// An ECDSA signature (r, s) has a twin (r, -s) that anybody can compute and
// that verifies too. So a signature's bytes do not name the act of signing:
// signers are counted by key.
func Verify(pub crypto.PublicKey, s Scheme, message, sig []byte) error {
	ok := false
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		switch {
		case s == ECDSAP256 && k.Curve == elliptic.P256(),
			s == ECDSAP384 && k.Curve == elliptic.P384(),
			s == ECDSAP521 && k.Curve == elliptic.P521():
			ok = ecdsa.VerifyASN1(k, s.digest(message), sig)
		}
	case ed25519.PublicKey:
		ok = s == Ed25519 && len(k) == ed25519.PublicKeySize && ed25519.Verify(k, message, sig)
	case *rsa.PublicKey:
		switch s {
		case RSAPKCS1:
			ok = rsa.VerifyPKCS1v15(k, crypto.SHA256, s.digest(message), sig) == nil
		case RSAPSS:
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
