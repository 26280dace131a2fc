// Package jsf signs JSON documents with a signature inside them, in the JSON
// Signature Format (JSF) that CycloneDX has as its field "signature", and
// verifies such signatures.
//
//	signed, err := jsf.Sign(doc, key, jsf.Options{})
//	who, err := jsf.Verify(signed, trusted...)
//
// The signature covers what the document says and not how it is laid out: the
// document is brought into the canonical form of RFC 8785 first, with the whole
// signature object in it except its value.
//
//	{ …, "signature": {"algorithm": "ES256", "publicKey": {…}, "value": "…"} }
//
// # What Verify takes
//
// One signature, over everything. Keys come from the caller: a key that the
// document brings along is a hint that must be the one that verified, and is
// never a reason to trust anything. A signature that leaves out part of the
// document ("excludes"), one that asks for extensions, a list or a chain of
// signatures, and any member that JSF does not define are refused, each with
// a reason of its own. So are documents that two readers could read
// differently: duplicate names, lone surrogates, integers beyond 2^53.
//
// A signature inside a document says who signed the document. To have it count
// in a chain of evidence, sign the statement that [sbom.Statement] makes; both
// can be had of the same document.
//
// [sbom.Statement]: https://pkg.go.dev/github.com/hallmark-build/hallmark/sbom#Statement
package jsf

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha256"
	_ "crypto/sha512"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"

	"github.com/hallmark-build/hallmark/internal/jcs"
	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/sigalg"
	"github.com/hallmark-build/hallmark/internal/strictjson"
	"github.com/hallmark-build/hallmark/provenance"
)

// An Algorithm is a signature algorithm by its name in JSF, which is that of
// JWA (RFC 7518 section 3.1) but for Ed25519.
type Algorithm string

// The algorithms.
const (
	ES256   Algorithm = "ES256" // ECDSA on P-256 with SHA-256
	ES384   Algorithm = "ES384" // ECDSA on P-384 with SHA-384
	ES512   Algorithm = "ES512" // ECDSA on P-521 with SHA-512
	Ed25519 Algorithm = "Ed25519"
	PS256   Algorithm = "PS256" // RSASSA-PSS with SHA-256
	PS384   Algorithm = "PS384"
	PS512   Algorithm = "PS512"
	RS256   Algorithm = "RS256" // RSASSA-PKCS1-v1_5 with SHA-256
	RS384   Algorithm = "RS384"
	RS512   Algorithm = "RS512"
)

// Reasons of a [provenance.FormatError] from this package, beside those of
// strict JSON ("json-duplicate-name" and so on). They are stable.
const (
	ReasonMalformed = "jsf-malformed"   // not a JSON object, or a signature that is not what JSF says
	ReasonUnsigned  = "jsf-unsigned"    // no signature
	ReasonSigned    = "jsf-signed"      // a signature is there already
	ReasonPartial   = "jsf-excludes"    // a signature over part of the document
	ReasonSeveral   = "jsf-several"     // a list or a chain of signatures, or extensions
	ReasonAlgorithm = "jsf-algorithm"   // an algorithm that is not known, or none that fits the key
	ReasonKey       = "jsf-key"         // a key that is not supported, or too weak
	ReasonEmbedded  = "jsf-other-key"   // the key in the document is not the one that verifies it
	ReasonSignature = "jsf-not-trusted" // none of the keys verifies it
)

func fail(reason, format string, args ...any) error {
	return &provenance.FormatError{Reason: reason, Msg: "jsf: " + fmt.Sprintf(format, args...)}
}

// Options say how to sign. The zero value is a good choice.
type Options struct {
	// Algorithm "" is the one for the key: ES256, ES384 or ES512 by its
	// curve, Ed25519, and PS256 for RSA.
	Algorithm Algorithm
	// KeyID is a hint for people and programs that hold many keys.
	KeyID string
	// OmitKey leaves the public key out of the document.
	OmitKey bool
}

// Sign returns the document, a JSON object without a signature, with one by key
// as its last member. The rest of the bytes stay as they are, so the document
// keeps its layout. The signature is verified before it is returned.
//
// RSA keys must have 2048 bits or more. For ECDSA the key signs a hash and
// returns ASN.1, as [crypto.Signer] says.
func Sign(doc []byte, key crypto.Signer, o Options) ([]byte, error) {
	if key == nil {
		return nil, fail(ReasonKey, "no key")
	}
	pub := key.Public()
	fit, err := algorithms(pub)
	if err != nil {
		return nil, err
	}
	alg := o.Algorithm
	if alg == "" {
		alg = fit[0]
	}
	if !slices.Contains(fit, alg) {
		return nil, fail(ReasonAlgorithm, "want one of %v for this key, found %.40q", fit, string(alg))
	}
	top, err := decode(doc)
	if err != nil {
		return nil, err
	}
	if _, ok := top["signature"]; ok {
		return nil, fail(ReasonSigned, "the document has a signature")
	}
	empty := len(top) == 0
	sig := map[string]any{"algorithm": string(alg)}
	if o.KeyID != "" {
		sig["keyId"] = o.KeyID
	}
	if !o.OmitKey {
		sig["publicKey"] = jwk(pub)
	}
	message, err := signedBytes(top, sig)
	if err != nil {
		return nil, err
	}
	raw, err := alg.sign(key, message)
	if err != nil {
		return nil, err
	}
	if !alg.verify(pub, message, raw) {
		return nil, fail(ReasonSignature, "the signature that the key made does not verify under its public key")
	}
	sig["value"] = base64.RawURLEncoding.EncodeToString(raw)
	object, err := jcs.Append(nil, sig)
	if err != nil {
		return nil, fail(ReasonMalformed, "%v", err)
	}

	body := bytes.TrimRight(doc, " \t\r\n")
	end := doc[len(body):]
	body = body[:len(body)-1] // the closing brace
	inner := bytes.TrimRight(body, " \t\r\n")
	between := string(body[len(inner):]) // the layout before the closing brace
	out := append(make([]byte, 0, len(doc)+len(object)+64), inner...)
	if !empty {
		out = append(out, ',')
	}
	if strings.Contains(between, "\n") {
		out = append(out, between...)
		out = append(out, "  \"signature\": "...)
	} else {
		out = append(out, "\"signature\":"...)
	}
	out = append(append(append(out, object...), between...), '}')
	return append(out, end...), nil
}

// Verify returns the key, one of those given, whose signature over the whole
// document the document carries. err == nil means that it is signed by that
// key. Keys are tried by what they are; names of keys in the document are not
// looked at.
func Verify(doc []byte, trusted ...crypto.PublicKey) (crypto.PublicKey, error) {
	if len(trusted) == 0 {
		return nil, fail(ReasonKey, "no trusted key was given")
	}
	fit := make([][]Algorithm, len(trusted))
	for i, k := range trusted {
		var err error
		if fit[i], err = algorithms(k); err != nil {
			return nil, err
		}
	}
	top, err := decode(doc)
	if err != nil {
		return nil, err
	}
	member, ok := top["signature"]
	if !ok {
		return nil, fail(ReasonUnsigned, "the document has no signature")
	}
	sig, ok := member.(map[string]any)
	if !ok {
		return nil, fail(ReasonMalformed, "signature is not an object")
	}
	raw, err := check(sig)
	if err != nil {
		return nil, err
	}
	alg := Algorithm(sig["algorithm"].(string))
	delete(sig, "value")
	message, err := signedBytes(top, sig)
	if err != nil {
		return nil, err
	}
	for i, k := range trusted {
		if !slices.Contains(fit[i], alg) || !alg.verify(k, message, raw) {
			continue
		}
		if embedded, ok := sig["publicKey"]; ok && !same(embedded, jwk(k)) {
			return nil, fail(ReasonEmbedded, "the public key in the document is not the key that verifies it")
		}
		return k, nil
	}
	return nil, fail(ReasonSignature, "the signature (%s) verifies under none of the %d trusted keys", alg, len(trusted))
}

func decode(doc []byte) (map[string]any, error) {
	v, err := strictjson.Decode(doc, limits.Statement)
	if err != nil {
		if e, ok := errors.AsType[*strictjson.Error](err); ok {
			return nil, &provenance.FormatError{Reason: e.Reason, Msg: "jsf: " + e.Error()}
		}
		return nil, fail(ReasonMalformed, "%v", err)
	}
	top, ok := v.(map[string]any)
	if !ok {
		return nil, fail(ReasonMalformed, "the document is not a JSON object")
	}
	return top, nil
}

// check looks at the members of a signature object and returns its value.
func check(sig map[string]any) ([]byte, error) {
	for _, name := range slices.Sorted(maps.Keys(sig)) {
		switch name {
		case "algorithm", "keyId", "value":
			if s, ok := sig[name].(string); !ok || s == "" {
				return nil, fail(ReasonMalformed, "signature.%s is not a string, or empty", name)
			}
		case "publicKey":
			if _, ok := sig[name].(map[string]any); !ok {
				return nil, fail(ReasonMalformed, "signature.publicKey is not an object")
			}
		case "certificatePath": // not looked at: whom to trust is the caller's to say
			list, ok := sig[name].([]any)
			if !ok || len(list) == 0 || slices.ContainsFunc(list, func(e any) bool { _, ok := e.(string); return !ok }) {
				return nil, fail(ReasonMalformed, "signature.certificatePath is not a list of strings")
			}
		case "excludes":
			return nil, fail(ReasonPartial, "the signature leaves out part of the document (excludes)")
		case "signers", "chain", "extensions":
			return nil, fail(ReasonSeveral, "signature.%s is not supported, want one plain signature", name)
		default:
			return nil, fail(ReasonMalformed, "signature has an unknown member %.40q", name)
		}
	}
	for _, name := range []string{"algorithm", "value"} {
		if sig[name] == nil {
			return nil, fail(ReasonMalformed, "signature has no %s", name)
		}
	}
	if alg := Algorithm(sig["algorithm"].(string)); alg.hash() == 0 && alg != Ed25519 {
		return nil, fail(ReasonAlgorithm, "signature algorithm %.40q is not known", string(alg))
	}
	value := sig["value"].(string)
	raw, err := base64.RawURLEncoding.Strict().DecodeString(value)
	if err != nil || strings.ContainsAny(value, "\r\n") {
		return nil, fail(ReasonMalformed, "signature.value is not base64url without padding")
	}
	return raw, nil
}

// signedBytes is what is signed: the canonical form of the document with the
// signature object, which has no value yet (JSF, "Signature Creation").
func signedBytes(top, sig map[string]any) ([]byte, error) {
	top["signature"] = sig
	b, err := jcs.Append(nil, top)
	if err != nil {
		return nil, fail(ReasonMalformed, "%v", err)
	}
	return b, nil
}

// algorithms returns those that fit a key, the default first.
func algorithms(pub crypto.PublicKey) ([]Algorithm, error) {
	if _, err := sigalg.For(pub, ""); err != nil {
		return nil, fail(ReasonKey, "%v", err)
	}
	switch k := pub.(type) {
	case ed25519.PublicKey:
		return []Algorithm{Ed25519}, nil
	case *rsa.PublicKey:
		return []Algorithm{PS256, PS384, PS512, RS256, RS384, RS512}, nil
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return []Algorithm{ES256}, nil
		case elliptic.P384():
			return []Algorithm{ES384}, nil
		case elliptic.P521():
			return []Algorithm{ES512}, nil
		}
	}
	return nil, fail(ReasonKey, "key type %T is not supported", pub)
}

// hash is the hash of an algorithm; 0 for Ed25519 and for what is none.
func (a Algorithm) hash() crypto.Hash {
	switch a {
	case ES256, PS256, RS256:
		return crypto.SHA256
	case ES384, PS384, RS384:
		return crypto.SHA384
	case ES512, PS512, RS512:
		return crypto.SHA512
	}
	return 0
}

func (a Algorithm) digest(message []byte) []byte {
	h := a.hash().New()
	h.Write(message)
	return h.Sum(nil)
}

func (a Algorithm) pss() *rsa.PSSOptions {
	return &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: a.hash()} // RFC 7518 section 3.5
}

func (a Algorithm) sign(key crypto.Signer, message []byte) ([]byte, error) {
	switch a[:2] {
	case "Ed":
		return key.Sign(rand.Reader, message, crypto.Hash(0))
	case "PS":
		return key.Sign(rand.Reader, a.digest(message), a.pss())
	case "RS":
		return key.Sign(rand.Reader, a.digest(message), a.hash())
	}
	der, err := key.Sign(rand.Reader, a.digest(message), a.hash())
	if err != nil {
		return nil, err
	}
	// JWA wants r and s as two numbers of fixed length (RFC 7518 section 3.4).
	var rs struct{ R, S *big.Int }
	rest, err := asn1.Unmarshal(der, &rs)
	size := coordinate(key.Public().(*ecdsa.PublicKey))
	if err != nil || len(rest) > 0 || rs.R.Sign() <= 0 || rs.S.Sign() <= 0 || rs.R.BitLen() > 8*size || rs.S.BitLen() > 8*size {
		return nil, fail(ReasonSignature, "the key made no ECDSA signature in ASN.1")
	}
	return slices.Concat(rs.R.FillBytes(make([]byte, size)), rs.S.FillBytes(make([]byte, size))), nil
}

// verify reports whether a signature by the algorithm, which fits the key, is one over the message.
func (a Algorithm) verify(pub crypto.PublicKey, message, sig []byte) bool {
	switch k := pub.(type) {
	case ed25519.PublicKey:
		return ed25519.Verify(k, message, sig)
	case *rsa.PublicKey:
		if strings.HasPrefix(string(a), "PS") {
			return rsa.VerifyPSS(k, a.hash(), a.digest(message), sig, a.pss()) == nil
		}
		return rsa.VerifyPKCS1v15(k, a.hash(), a.digest(message), sig) == nil
	case *ecdsa.PublicKey:
		size := coordinate(k)
		if len(sig) != 2*size {
			return false
		}
		return ecdsa.Verify(k, a.digest(message), new(big.Int).SetBytes(sig[:size]), new(big.Int).SetBytes(sig[size:]))
	}
	return false
}

// coordinate is the length of a coordinate, and of a scalar, in bytes.
func coordinate(k *ecdsa.PublicKey) int { return (k.Curve.Params().BitSize + 7) / 8 }

// jwk writes a public key as a JWK (RFC 7518 section 6, RFC 8037 section 2).
func jwk(pub crypto.PublicKey) map[string]any {
	b64 := base64.RawURLEncoding.EncodeToString
	switch k := pub.(type) {
	case ed25519.PublicKey:
		return map[string]any{"kty": "OKP", "crv": "Ed25519", "x": b64(k)}
	case *rsa.PublicKey:
		return map[string]any{"kty": "RSA", "n": b64(k.N.Bytes()), "e": b64(big.NewInt(int64(k.E)).Bytes())}
	case *ecdsa.PublicKey:
		point, err := k.Bytes()
		if err != nil {
			return nil
		}
		size := coordinate(k)
		return map[string]any{"kty": "EC", "crv": k.Curve.Params().Name, "x": b64(point[1 : 1+size]), "y": b64(point[1+size:])}
	}
	return nil
}

// same compares two keys as JWK: all that the second has, and nothing that
// would make a private or another key of the first.
func same(embedded any, want map[string]any) bool {
	have, ok := embedded.(map[string]any)
	if !ok || len(have) != len(want) {
		return false
	}
	for name, v := range want {
		if s, ok := have[name].(string); !ok || s != v {
			return false
		}
	}
	return true
}
