// Package keyfile reads key files, strictly and with bounds: one key, in one
// of the formats below, and nothing else in the file.
//
// Public keys ([ParsePublic]):
//
//	-----BEGIN PUBLIC KEY-----       SubjectPublicKeyInfo (RFC 5280)
//	-----BEGIN RSA PUBLIC KEY-----   PKCS #1 (RFC 8017)
//	-----BEGIN CERTIFICATE-----      the key of an X.509 certificate
//	{"keytype": …, "keyval": …}      securesystemslib, as TUF and in-toto use it
//
// Private keys ([ParsePrivate]):
//
//	-----BEGIN PRIVATE KEY-----                      PKCS #8 (RFC 5208)
//	-----BEGIN RSA PRIVATE KEY-----                  PKCS #1
//	-----BEGIN EC PRIVATE KEY-----                   SEC 1 (RFC 5915)
//	-----BEGIN ENCRYPTED PRIVATE KEY-----            PKCS #8 with PBES2 (RFC 8018)
//	-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----   scrypt and secretbox around PKCS #8
//	-----BEGIN ENCRYPTED COSIGN PRIVATE KEY-----     the same, by its older name
//	{"keytype": …, "keyval": …}                      securesystemslib, with "private"
//
// [MarshalPrivate] writes PKCS #8 and, with a passphrase, the Sigstore format.
//
// No error of this package holds a part of a private key or a passphrase.
package keyfile

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"strconv"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/sigalg"
	"github.com/hallmark-build/hallmark/internal/strictjson"
)

// Error says why a key file was refused.
type Error struct {
	Reason string // one of the Reason constants
	Msg    string
	Err    error // what the passphrase callback returned, or nil
}

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Msg + ": " + e.Err.Error()
	}
	return e.Msg
}

func (e *Error) Unwrap() error { return e.Err }

// Reasons of an [Error].
const (
	ReasonMalformed       = "key-malformed"           // not a key file, or more than one key
	ReasonUnsupported     = "key-unsupported"         // a key, encryption or scheme that is not in the table
	ReasonLimit           = "key-limit"               // too large, or a key derivation that costs too much
	ReasonPassphrase      = "key-passphrase-wrong"    // the passphrase does not open the key
	ReasonNeedsPassphrase = "key-passphrase-required" // the key is encrypted and no passphrase was given
)

func fail(reason, format string, args ...any) error {
	return &Error{Reason: reason, Msg: fmt.Sprintf(format, args...)}
}

const (
	pemSigstore = "ENCRYPTED SIGSTORE PRIVATE KEY"
	pemCosign   = "ENCRYPTED COSIGN PRIVATE KEY"
)

// ParsePublic reads the one public key of data, and the scheme that it
// verifies: the one a securesystemslib file names, else the default of the
// key's type. A certificate is not checked in any way; only its key is taken.
// A file with a private key is refused, so that none is published by mistake.
func ParsePublic(data []byte) (crypto.PublicKey, sigalg.Scheme, error) {
	if err := checkSize(data); err != nil {
		return nil, "", err
	}
	if isJSON(data) {
		k, err := parseSSLib(data)
		if err != nil {
			return nil, "", err
		}
		return k.public, k.scheme, nil
	}
	block, err := onePEM(data)
	if err != nil {
		return nil, "", err
	}
	pub, err := publicBlock(block)
	if err != nil {
		return nil, "", err
	}
	return withScheme(pub, "")
}

func publicBlock(block *pem.Block) (pub crypto.PublicKey, err error) {
	switch block.Type {
	case "PUBLIC KEY":
		pub, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		pub, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		var cert *x509.Certificate
		if cert, err = x509.ParseCertificate(block.Bytes); err == nil {
			pub = cert.PublicKey
		}
	case "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY", pemSigstore, pemCosign:
		return nil, fail(ReasonMalformed, "want a public key, found a private key (%s)", block.Type)
	default:
		return nil, fail(ReasonUnsupported, "want a public key or a certificate, found PEM type %s", quote(block.Type))
	}
	if err != nil {
		return nil, fail(ReasonMalformed, "%s: %v", block.Type, err)
	}
	return pub, nil
}

func withScheme(pub crypto.PublicKey, want sigalg.Scheme) (crypto.PublicKey, sigalg.Scheme, error) {
	s, err := sigalg.For(pub, want)
	if err != nil {
		return nil, "", fail(ReasonUnsupported, "%v", err)
	}
	return pub, s, nil
}

// ParsePrivate reads the one private key of data, and the scheme that it signs
// with, chosen as by [ParsePublic]. When the key is encrypted it calls
// passphrase, once and only after the cost of the key derivation was found
// to be within limits, and overwrites what that returned. A nil passphrase
// means that there is none.
func ParsePrivate(data []byte, passphrase func() ([]byte, error)) (crypto.Signer, sigalg.Scheme, error) {
	if err := checkSize(data); err != nil {
		return nil, "", err
	}
	if isJSON(data) {
		k, err := parseSSLib(data)
		if err != nil {
			return nil, "", err
		}
		if k.private == nil {
			return nil, "", fail(ReasonMalformed, "want a private key, found a public key")
		}
		return k.private, k.scheme, nil
	}
	block, err := onePEM(data)
	if err != nil {
		return nil, "", err
	}
	key, err := privateBlock(block, passphrase)
	if err != nil {
		return nil, "", err
	}
	s, err := sigalg.For(key.Public(), "")
	if err != nil {
		return nil, "", fail(ReasonUnsupported, "%v", err)
	}
	return key, s, nil
}

func privateBlock(block *pem.Block, passphrase func() ([]byte, error)) (crypto.Signer, error) {
	defer clear(block.Bytes)
	switch block.Type {
	case "PRIVATE KEY":
		return parsePKCS8(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
		if err != nil {
			return nil, fail(ReasonMalformed, "malformed PKCS #1 private key")
		}
		return key, nil
	case "EC PRIVATE KEY":
		key, err := x509.ParseECPrivateKey(block.Bytes)
		if err != nil {
			return nil, fail(ReasonMalformed, "malformed SEC 1 private key, or an unsupported curve")
		}
		return key, nil
	case "ENCRYPTED PRIVATE KEY":
		return openPBES2(block.Bytes, passphrase)
	case pemSigstore, pemCosign:
		return openSecretbox(block.Bytes, passphrase)
	case "PUBLIC KEY", "RSA PUBLIC KEY", "CERTIFICATE":
		return nil, fail(ReasonMalformed, "want a private key, found %s", block.Type)
	}
	return nil, fail(ReasonUnsupported, "want a private key, found PEM type %s", quote(block.Type))
}

// parsePKCS8 reads a PrivateKeyInfo. What encoding/asn1 says about it is left
// out of the error: it is about secret bytes.
func parsePKCS8(der []byte) (crypto.Signer, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fail(ReasonMalformed, "malformed PKCS #8 private key, or an unsupported kind of key")
	}
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		return k, nil
	case ed25519.PrivateKey:
		return k, nil
	case *rsa.PrivateKey:
		return k, nil
	}
	return nil, fail(ReasonUnsupported, "a key of type %T does not sign", key)
}

// MarshalPublic writes a public key as PEM, type PUBLIC KEY.
func MarshalPublic(pub crypto.PublicKey) ([]byte, error) {
	if _, _, err := withScheme(pub, ""); err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return nil, fail(ReasonUnsupported, "%v", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

// MarshalPrivate writes a private key as PEM: in plain PKCS #8 when passphrase
// is nil, else in the Sigstore format. An empty passphrase that is not nil is
// refused: it is what an unset variable looks like.
func MarshalPrivate(key crypto.Signer, passphrase []byte) ([]byte, error) {
	switch key.(type) {
	case *ecdsa.PrivateKey, ed25519.PrivateKey, *rsa.PrivateKey:
	default:
		return nil, fail(ReasonUnsupported, "a key of type %T cannot be written", key)
	}
	if passphrase != nil && len(passphrase) == 0 {
		return nil, fail(ReasonNeedsPassphrase, "the passphrase is empty; nil means no encryption")
	}
	if _, _, err := withScheme(key.Public(), ""); err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fail(ReasonUnsupported, "the private key cannot be encoded")
	}
	defer clear(der)
	if passphrase == nil {
		return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
	}
	box, err := sealSecretbox(der, passphrase)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemSigstore, Bytes: box}), nil
}

func checkSize(data []byte) error {
	if len(data) > limits.KeyFile {
		return fail(ReasonLimit, "key file of %d bytes exceeds the limit of %d", len(data), limits.KeyFile)
	}
	return nil
}

const space = " \t\r\n"

func isJSON(data []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(data, space), []byte("{"))
}

// onePEM returns the only PEM block of data. pem.Decode skips what it cannot
// read, before and between blocks; so two readers could find two keys in one
// file. Here a file is one block from its first byte to its last, white space
// apart.
func onePEM(data []byte) (*pem.Block, error) {
	begin := []byte("-----BEGIN ")
	data = bytes.Trim(data, space)
	switch n := bytes.Count(data, begin); {
	case n == 0:
		return nil, fail(ReasonMalformed, "neither PEM nor a securesystemslib key")
	case n > 1:
		return nil, fail(ReasonMalformed, "want one PEM block, found %d", n)
	case !bytes.HasPrefix(data, begin):
		return nil, fail(ReasonMalformed, "text before the PEM block")
	}
	block, rest := pem.Decode(append(data[:len(data):len(data)], '\n'))
	switch {
	case block == nil:
		return nil, fail(ReasonMalformed, "malformed PEM block")
	case len(bytes.Trim(rest, space)) > 0:
		return nil, fail(ReasonMalformed, "text after the PEM block")
	case len(block.Headers) > 0:
		// RFC 1421 headers: the encryption of old OpenSSL, which derives the
		// key with one round of MD5 and authenticates nothing.
		return nil, fail(ReasonUnsupported, "PEM headers (the legacy OpenSSL encryption?) are not supported; convert with: openssl pkcs8 -topk8")
	case len(block.Bytes) > limits.KeyDER:
		return nil, fail(ReasonLimit, "key of %d bytes exceeds the limit of %d", len(block.Bytes), limits.KeyDER)
	}
	return block, nil
}

// ssLibKey is a key in the JSON format of securesystemslib
// (https://github.com/secure-systems-lab/securesystemslib, and TUF 1.0
// section 4.2).
type ssLibKey struct {
	public  crypto.PublicKey
	private crypto.Signer // nil in a public key
	scheme  sigalg.Scheme
}

func parseSSLib(data []byte) (*ssLibKey, error) {
	var doc struct {
		KeyType string `json:"keytype"`
		Scheme  string `json:"scheme"`
		KeyVal  struct {
			Public      string `json:"public"`
			Private     string `json:"private"`
			Certificate string `json:"certificate"`
		} `json:"keyval"`
	}
	if err := strictjson.Into(data, limits.KeyFile, &doc); err != nil {
		return nil, fail(ReasonMalformed, "securesystemslib key: %v", err)
	}
	k := new(ssLibKey)
	var err error
	switch doc.KeyType {
	case "ed25519":
		err = k.fromHex(doc.KeyVal.Public, doc.KeyVal.Private)
	case "rsa", "ecdsa", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521":
		err = k.fromPEM(doc.KeyVal.Public, doc.KeyVal.Private)
	default:
		err = fail(ReasonUnsupported, "securesystemslib keytype %s", quote(doc.KeyType))
	}
	if err != nil {
		return nil, err
	}
	_, isRSA := k.public.(*rsa.PublicKey)
	_, isEd := k.public.(ed25519.PublicKey)
	if isRSA != (doc.KeyType == "rsa") || isEd != (doc.KeyType == "ed25519") {
		return nil, fail(ReasonMalformed, "keytype %s does not fit a key of type %T", quote(doc.KeyType), k.public)
	}
	if doc.Scheme == "" {
		return nil, fail(ReasonMalformed, "securesystemslib key has no scheme")
	}
	_, k.scheme, err = withScheme(k.public, sigalg.Scheme(doc.Scheme))
	if err != nil {
		return nil, err
	}
	if k.private != nil && !equal(k.private.Public(), k.public) {
		return nil, fail(ReasonMalformed, "the private and the public key do not belong together")
	}
	return k, nil
}

// fromHex reads an Ed25519 key: 32 bytes public and a private seed of 32, to
// which some writers append the public key.
func (k *ssLibKey) fromHex(public, private string) error {
	pub, err := hex.DecodeString(public)
	if err != nil || len(pub) != ed25519.PublicKeySize {
		return fail(ReasonMalformed, "want an Ed25519 public key of 64 hexadecimal digits, found %d bytes", len(public))
	}
	k.public = ed25519.PublicKey(pub)
	if private == "" {
		return nil
	}
	seed, err := hex.DecodeString(private)
	defer clear(seed)
	if err != nil || len(seed) != ed25519.SeedSize && len(seed) != ed25519.PrivateKeySize {
		return fail(ReasonMalformed, "malformed Ed25519 private key")
	}
	key := ed25519.NewKeyFromSeed(seed[:ed25519.SeedSize])
	if len(seed) == ed25519.PrivateKeySize && !bytes.Equal(key, seed) {
		return fail(ReasonMalformed, "the private and the public key do not belong together")
	}
	k.private = key
	return nil
}

func (k *ssLibKey) fromPEM(public, private string) error {
	block, err := onePEM([]byte(public))
	if err != nil {
		return err
	}
	if k.public, err = publicBlock(block); err != nil || private == "" {
		return err
	}
	if block, err = onePEM([]byte(private)); err != nil {
		return err
	}
	k.private, err = privateBlock(block, nil)
	return err
}

func equal(a, b crypto.PublicKey) bool {
	c, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && c.Equal(b)
}

// quote shows a short name from the file, which may hold anything.
func quote(s string) string {
	if len(s) > 40 {
		s = s[:40] + "…"
	}
	return strconv.Quote(s)
}
