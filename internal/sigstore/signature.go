package sigstore

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"strconv"
)

// protoHashes are the names of common.v1.HashAlgorithm that are accepted.
var protoHashes = map[string]crypto.Hash{
	"SHA2_256": crypto.SHA256,
	"SHA2_384": crypto.SHA384,
	"SHA2_512": crypto.SHA512,
}

// rekorHashes are the same in the bodies of Rekor v1.
var rekorHashes = map[string]crypto.Hash{
	"sha256": crypto.SHA256,
	"sha384": crypto.SHA384,
	"sha512": crypto.SHA512,
}

// sum hashes message; the result of an unusable hash matches nothing.
func sum(h crypto.Hash, message []byte) []byte {
	switch h {
	case crypto.SHA256:
		s := sha256.Sum256(message)
		return s[:]
	case crypto.SHA384:
		s := sha512.Sum384(message)
		return s[:]
	case crypto.SHA512:
		s := sha512.Sum512(message)
		return s[:]
	}
	if !h.Available() {
		return nil
	}
	w := h.New()
	w.Write(message)
	return w.Sum(nil)
}

// verifyDigest checks a service's signature over message: ECDSA in ASN.1 and
// RSA PKCS #1 v1.5 over its hash, pure Ed25519.
func verifyDigest(key crypto.PublicKey, h crypto.Hash, message, sig []byte) bool {
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		return h != 0 && ecdsa.VerifyASN1(k, sum(h, message), sig)
	case *rsa.PublicKey:
		return h != 0 && rsa.VerifyPKCS1v15(k, h, sum(h, message), sig) == nil
	case ed25519.PublicKey:
		return ed25519.Verify(k, message, sig)
	}
	return false
}

// keyHash returns the hash that the algorithm registry pairs with a key, and
// the name of the pair in common.v1.PublicKeyDetails. Ed25519 is prehashed by
// SHA-512 where there is no message but a digest (Ed25519ph).
func keyHash(key crypto.PublicKey) (crypto.Hash, string) {
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return crypto.SHA256, "PKIX_ECDSA_P256_SHA_256"
		case elliptic.P384():
			return crypto.SHA384, "PKIX_ECDSA_P384_SHA_384"
		case elliptic.P521():
			return crypto.SHA512, "PKIX_ECDSA_P521_SHA_512"
		}
	case *rsa.PublicKey:
		return crypto.SHA256, "PKIX_RSA_PKCS1V15_" + strconv.Itoa(k.N.BitLen()) + "_SHA256"
	case ed25519.PublicKey:
		return crypto.SHA512, "PKIX_ED25519_PH"
	}
	return 0, ""
}

// legacyHash returns the hash that old clients used with a key: they signed
// with P-384 and P-521 over SHA-256 (PKIX_ECDSA_P384_SHA_256, deprecated), and
// every bundle version up to v0.3 may carry such a signature.
func legacyHash(key crypto.PublicKey) crypto.Hash {
	if k, ok := key.(*ecdsa.PublicKey); ok && k.Curve != elliptic.P256() {
		return crypto.SHA256
	}
	return 0
}

// verifyPrehashed checks the signer's signature over a digest.
func verifyPrehashed(key crypto.PublicKey, h crypto.Hash, digest, sig []byte) bool {
	if len(digest) != h.Size() {
		return false
	}
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(k, digest, sig)
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(k, h, digest, sig) == nil
	case ed25519.PublicKey:
		return h == crypto.SHA512 && ed25519.VerifyWithOptions(k, digest, sig, &ed25519.Options{Hash: crypto.SHA512}) == nil
	}
	return false
}

// paeHeader is the DSSE pre-authentication encoding up to the payload.
func paeHeader(payloadType string, payload []byte) []byte {
	b := make([]byte, 0, 64+len(payloadType))
	b = append(b, "DSSEv1 "...)
	b = strconv.AppendInt(b, int64(len(payloadType)), 10)
	b = append(b, ' ')
	b = append(b, payloadType...)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(len(payload)), 10)
	return append(b, ' ')
}

// A subject is what the signature is over: the pre-authentication encoding of
// the envelope, or the artifact. Digests are computed once each.
type subject struct {
	envelope *Bundle // or nil
	artifact *Artifact
	digests  [3][]byte // SHA-256, SHA-384, SHA-512
}

func hashIndex(h crypto.Hash) int {
	switch h {
	case crypto.SHA256:
		return 0
	case crypto.SHA384:
		return 1
	case crypto.SHA512:
		return 2
	}
	return -1
}

// digest returns the digest of what is signed, or nil if only a digest by
// another hash is known of it.
func (s *subject) digest(h crypto.Hash) []byte {
	i := hashIndex(h)
	if i < 0 {
		return nil
	}
	if s.digests[i] == nil {
		switch {
		case s.envelope != nil:
			var w hash.Hash
			switch h {
			case crypto.SHA256:
				w = sha256.New()
			case crypto.SHA384:
				w = sha512.New384()
			default:
				w = sha512.New()
			}
			w.Write(paeHeader(s.envelope.payloadType, s.envelope.payload))
			w.Write(s.envelope.payload)
			s.digests[i] = w.Sum(nil)
		case s.artifact.Bytes != nil:
			s.digests[i] = sum(h, s.artifact.Bytes)
		default:
			if d := s.artifact.Digests[h]; len(d) == h.Size() {
				s.digests[i] = d
			}
		}
	}
	return s.digests[i]
}

// verifySignature checks the signature of the bundle (client-spec 4.5) and
// returns the hash that it is over: 0 for Ed25519 over an envelope, which
// takes the message.
func (b *Bundle) verifySignature(key crypto.PublicKey, s *subject) (crypto.Hash, error) {
	if k, ok := key.(ed25519.PublicKey); ok && s.envelope != nil {
		message := append(paeHeader(b.payloadType, b.payload), b.payload...)
		if !ed25519.Verify(k, message, b.signature) {
			return 0, errSignature
		}
		return 0, nil
	}
	h, _ := keyHash(key)
	for _, h := range [...]crypto.Hash{h, legacyHash(key)} {
		if d := s.digest(h); d != nil && verifyPrehashed(key, h, d, b.signature) {
			return h, nil
		}
	}
	if s.digest(h) == nil {
		return 0, failf(ReasonArtifact, specSig, "want the artifact's %v digest, or the artifact", h)
	}
	return 0, errSignature
}

var errSignature = failf(ReasonSignature, specSig, "signature does not verify")
