package keyfile

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"hash"

	"golang.org/x/crypto/nacl/secretbox"
	"golang.org/x/crypto/scrypt"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/strictjson"
)

// withPassphrase asks for the passphrase, hands it to use and overwrites it.
func withPassphrase(passphrase func() ([]byte, error), use func(pass []byte) (crypto.Signer, error)) (crypto.Signer, error) {
	if passphrase == nil {
		return nil, fail(ReasonNeedsPassphrase, "the private key is encrypted and no passphrase was given")
	}
	pass, err := passphrase()
	defer clear(pass)
	if err != nil {
		return nil, &Error{ReasonNeedsPassphrase, "the passphrase of the private key could not be had", err}
	}
	return use(pass)
}

// errWrong is the one answer to a decryption that fails: damaged and wrongly
// keyed cannot be told apart, and a finer answer would help to guess.
func errWrong() error {
	return fail(ReasonPassphrase, "wrong passphrase, or the encrypted key is damaged")
}

// scryptParams are the parameters of RFC 7914: CPU and memory cost, block
// size, parallelism.
type scryptParams struct {
	N int `json:"N"`
	R int `json:"r"`
	P int `json:"p"`
}

// check bounds the cost before anything is spent. The order matters: no
// product here overflows.
func (s scryptParams) check() error {
	switch {
	case s.N <= 1 || s.N&(s.N-1) != 0 || s.R < 1 || s.P < 1:
		return fail(ReasonMalformed, "scrypt parameters N=%d r=%d p=%d", s.N, s.R, s.P)
	case s.N > limits.ScryptMemory/128/s.R || s.P > limits.ScryptWork/128/s.R/s.N:
		return fail(ReasonLimit, "scrypt parameters N=%d r=%d p=%d cost more than the limit", s.N, s.R, s.P)
	}
	return nil
}

// boxed is the JSON inside the Sigstore PEM types
// (go-securesystemslib/encrypted).
type boxed struct {
	KDF struct {
		Name   string       `json:"name"`
		Params scryptParams `json:"params"`
		Salt   []byte       `json:"salt"`
	} `json:"kdf"`
	Cipher struct {
		Name  string `json:"name"`
		Nonce []byte `json:"nonce"`
	} `json:"cipher"`
	Ciphertext []byte `json:"ciphertext"`
}

const (
	boxKDF    = "scrypt"
	boxCipher = "nacl/secretbox"
)

func openSecretbox(doc []byte, passphrase func() ([]byte, error)) (crypto.Signer, error) {
	var b boxed
	if err := strictjson.Into(doc, limits.KeyDER, &b); err != nil {
		return nil, fail(ReasonMalformed, "encrypted key: %v", err)
	}
	switch {
	case b.KDF.Name != boxKDF:
		return nil, fail(ReasonUnsupported, "encrypted key: key derivation %s, want %q", quote(b.KDF.Name), boxKDF)
	case b.Cipher.Name != boxCipher:
		return nil, fail(ReasonUnsupported, "encrypted key: cipher %s, want %q", quote(b.Cipher.Name), boxCipher)
	case len(b.Cipher.Nonce) != 24:
		return nil, fail(ReasonMalformed, "encrypted key: nonce of %d bytes, want 24", len(b.Cipher.Nonce))
	case len(b.KDF.Salt) < 8:
		return nil, fail(ReasonMalformed, "encrypted key: salt of %d bytes, want at least 8", len(b.KDF.Salt))
	case len(b.Ciphertext) < secretbox.Overhead:
		return nil, fail(ReasonMalformed, "encrypted key: ciphertext of %d bytes", len(b.Ciphertext))
	}
	if err := b.KDF.Params.check(); err != nil {
		return nil, err
	}
	return withPassphrase(passphrase, func(pass []byte) (crypto.Signer, error) {
		key, err := b.key(pass)
		if err != nil {
			return nil, err
		}
		defer clear(key[:])
		der, ok := secretbox.Open(nil, b.Ciphertext, (*[24]byte)(b.Cipher.Nonce), key)
		if !ok {
			return nil, errWrong()
		}
		defer clear(der)
		return parsePKCS8(der)
	})
}

func (b *boxed) key(pass []byte) (*[32]byte, error) {
	p := b.KDF.Params
	key, err := scrypt.Key(pass, b.KDF.Salt, p.N, p.R, p.P, 32)
	if err != nil {
		return nil, fail(ReasonMalformed, "encrypted key: %v", err)
	}
	return (*[32]byte)(key), nil
}

func sealSecretbox(der, pass []byte) ([]byte, error) {
	var b boxed
	b.KDF.Name, b.Cipher.Name = boxKDF, boxCipher
	// The parameters that Sigstore's own tools write and accept.
	b.KDF.Params = scryptParams{N: 1 << 16, R: 8, P: 1}
	b.KDF.Salt, b.Cipher.Nonce = make([]byte, 32), make([]byte, 24)
	rand.Read(b.KDF.Salt) // never fails
	rand.Read(b.Cipher.Nonce)
	key, err := b.key(pass)
	if err != nil {
		return nil, err
	}
	defer clear(key[:])
	b.Ciphertext = secretbox.Seal(nil, der, (*[24]byte)(b.Cipher.Nonce), key)
	return json.Marshal(b)
}

// EncryptedPrivateKeyInfo (RFC 5958) and the parameters of PBES2 (RFC 8018
// appendix A.4), PBKDF2 (A.2) and scrypt (RFC 7914 section 7.1).
type (
	encryptedInfo struct {
		Algorithm pkix.AlgorithmIdentifier
		Data      []byte
	}
	pbes2Params struct {
		KDF    pkix.AlgorithmIdentifier
		Cipher pkix.AlgorithmIdentifier
	}
	pbkdf2Params struct {
		Salt       []byte
		Iterations int
		KeyLength  int                      `asn1:"optional"`
		PRF        pkix.AlgorithmIdentifier `asn1:"optional"`
	}
	pbeScryptParams struct {
		Salt      []byte
		N, R, P   int
		KeyLength int `asn1:"optional"`
	}
)

var (
	oidPBES2  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 13}
	oidPBKDF2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 5, 12}
	oidScrypt = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11591, 4, 11}
)

// The ciphers and pseudo-random functions that are read, by OID. Triple DES,
// RC2 and the schemes of PKCS #12 are not.
var (
	aesKeyLength = map[string]int{
		"2.16.840.1.101.3.4.1.2":  16, // aes128-CBC-PAD
		"2.16.840.1.101.3.4.1.22": 24,
		"2.16.840.1.101.3.4.1.42": 32,
	}
	prfHash = map[string]func() hash.Hash{
		"1.2.840.113549.2.7":  sha1.New, // hmacWithSHA1, the default of the ASN.1
		"1.2.840.113549.2.8":  sha256.New224,
		"1.2.840.113549.2.9":  sha256.New,
		"1.2.840.113549.2.10": sha512.New384,
		"1.2.840.113549.2.11": sha512.New,
	}
)

func openPBES2(der []byte, passphrase func() ([]byte, error)) (crypto.Signer, error) {
	var info encryptedInfo
	var params pbes2Params
	if !unmarshal(der, &info) {
		return nil, fail(ReasonMalformed, "malformed EncryptedPrivateKeyInfo")
	}
	if !info.Algorithm.Algorithm.Equal(oidPBES2) {
		return nil, fail(ReasonUnsupported, "private key encrypted by algorithm %v, want PBES2", info.Algorithm.Algorithm)
	}
	if !unmarshal(info.Algorithm.Parameters.FullBytes, &params) {
		return nil, fail(ReasonMalformed, "malformed PBES2 parameters")
	}
	n, ok := aesKeyLength[params.Cipher.Algorithm.String()]
	if !ok {
		return nil, fail(ReasonUnsupported, "private key encrypted by cipher %v, want AES-CBC", params.Cipher.Algorithm)
	}
	var iv []byte
	if !unmarshal(params.Cipher.Parameters.FullBytes, &iv) || len(iv) != aes.BlockSize {
		return nil, fail(ReasonMalformed, "malformed AES parameters")
	}
	if len(info.Data) == 0 || len(info.Data)%aes.BlockSize != 0 {
		return nil, fail(ReasonMalformed, "encrypted private key of %d bytes, want a multiple of %d", len(info.Data), aes.BlockSize)
	}
	derive, err := keyDerivation(params.KDF, n)
	if err != nil {
		return nil, err
	}
	return withPassphrase(passphrase, func(pass []byte) (crypto.Signer, error) {
		key, err := derive(pass)
		if err != nil {
			return nil, fail(ReasonMalformed, "key derivation: %v", err)
		}
		defer clear(key)
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, fail(ReasonMalformed, "%v", err)
		}
		plain := make([]byte, len(info.Data))
		defer clear(plain)
		cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, info.Data)
		k, err := parsePKCS8(unpad(plain))
		if err != nil {
			// CBC authenticates nothing: with a wrong passphrase the padding
			// or the key inside is garbage, or, rarely, both look right until
			// the key is parsed.
			return nil, errWrong()
		}
		return k, nil
	})
}

// keyDerivation checks the parameters of a key derivation function for a key
// of n bytes, and the cost that they ask for.
func keyDerivation(kdf pkix.AlgorithmIdentifier, n int) (derive func(pass []byte) ([]byte, error), err error) {
	switch params := kdf.Parameters.FullBytes; {
	case kdf.Algorithm.Equal(oidPBKDF2):
		var p pbkdf2Params
		if !unmarshal(params, &p) || p.Iterations < 1 || len(p.Salt) == 0 || p.KeyLength != 0 && p.KeyLength != n {
			return nil, fail(ReasonMalformed, "malformed PBKDF2 parameters")
		}
		if p.Iterations > limits.PBKDF2Iterations {
			return nil, fail(ReasonLimit, "%d iterations of PBKDF2 exceed the limit of %d", p.Iterations, limits.PBKDF2Iterations)
		}
		h := sha1.New
		if p.PRF.Algorithm != nil {
			var ok bool
			if h, ok = prfHash[p.PRF.Algorithm.String()]; !ok {
				return nil, fail(ReasonUnsupported, "PBKDF2 with algorithm %v, want HMAC with SHA-1 or SHA-2", p.PRF.Algorithm)
			}
		}
		return func(pass []byte) ([]byte, error) { return pbkdf2.Key(h, string(pass), p.Salt, p.Iterations, n) }, nil
	case kdf.Algorithm.Equal(oidScrypt):
		var p pbeScryptParams
		if !unmarshal(params, &p) || len(p.Salt) == 0 || p.KeyLength != 0 && p.KeyLength != n {
			return nil, fail(ReasonMalformed, "malformed scrypt parameters")
		}
		if err := (scryptParams{p.N, p.R, p.P}).check(); err != nil {
			return nil, err
		}
		return func(pass []byte) ([]byte, error) { return scrypt.Key(pass, p.Salt, p.N, p.R, p.P, n) }, nil
	}
	return nil, fail(ReasonUnsupported, "key derivation by algorithm %v, want PBKDF2 or scrypt", kdf.Algorithm)
}

// unmarshal reads DER that is one value of v's type and nothing after it.
func unmarshal(der []byte, v any) bool {
	rest, err := asn1.Unmarshal(der, v)
	return err == nil && len(rest) == 0
}

// unpad removes the padding of RFC 8018 section 6.1.1; nil when it is wrong.
func unpad(b []byte) []byte {
	n := b[len(b)-1]
	if n == 0 || int(n) > aes.BlockSize {
		return nil
	}
	for _, c := range b[len(b)-int(n):] {
		if subtle.ConstantTimeByteEq(c, n) == 0 {
			return nil
		}
	}
	return b[:len(b)-int(n)]
}
