package sign

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"runtime"

	"github.com/hallmark-build/hallmark/internal/atomicfile"
	"github.com/hallmark-build/hallmark/internal/keyfile"
	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/regular"
)

// rsaBits is the size of the RSA keys that GenerateKey makes: 128 bits of
// security (NIST SP 800-57 part 1, table 2).
const rsaBits = 3072

// GenerateKey makes a private key, with randomness from the operating system.
// The empty scheme means ECDSAP256, which every verifier in the field reads.
// RSA keys have 3072 bits. The result is an *ecdsa.PrivateKey, an
// ed25519.PrivateKey or an *rsa.PrivateKey.
func GenerateKey(scheme Scheme) (crypto.Signer, error) {
	switch scheme {
	case ECDSAP256, "":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case ECDSAP384:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case ECDSAP521:
		return ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case Ed25519:
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	case RSAPSS, RSAPKCS1:
		return rsa.GenerateKey(rand.Reader, rsaBits)
	}
	return nil, fail(ReasonKeyUnsupported, "unknown scheme %.40q", string(scheme))
}

// ParsePrivateKey reads the one private key that data holds, and the scheme
// that goes with it, for [NewSigner]. It reads PEM: PKCS #8, plain or
// encrypted with PBES2 (AES-CBC; PBKDF2 or scrypt), PKCS #1, SEC 1 and the
// encrypted keys of Sigstore and cosign; and securesystemslib's JSON. Anything
// else in data than white space, a second key, a key of an unsupported kind or
// size, and an encryption that is made to cost too much are refused.
//
// If the key is encrypted, passphrase is called once, and what it returned is
// overwritten. nil means that there is no passphrase. A passphrase that does
// not fit is an [*Error] with [ReasonPassphrase].
func ParsePrivateKey(data []byte, passphrase func() ([]byte, error)) (crypto.Signer, Scheme, error) {
	key, scheme, err := keyfile.ParsePrivate(data, passphrase)
	if err != nil {
		return nil, "", keyError(err)
	}
	return key, Scheme(scheme), nil
}

// ReadPrivateKey reads a private key from a file as [ParsePrivateKey] does.
// The file must be a regular one, and, except on Windows, one that only its
// owner may write: who can replace the key can sign as somebody else. That others may
// read it is not refused, since secrets mounted into containers are often so;
// use a passphrase there.
func ReadPrivateKey(path string, passphrase func() ([]byte, error)) (crypto.Signer, Scheme, error) {
	f, info, err := regular.Open(path)
	if errors.Is(err, regular.ErrNot) {
		return nil, "", fail(ReasonKey, "%v", err)
	}
	if err != nil {
		return nil, "", err
	}
	defer f.Close()
	if mode := info.Mode(); runtime.GOOS != "windows" && mode.Perm()&0o022 != 0 {
		return nil, "", fail(ReasonKeyPermissions, "%s: others may write this private key (mode %04o); chmod go-w it", path, mode.Perm())
	}
	data, err := io.ReadAll(io.LimitReader(f, limits.KeyFile+1))
	defer clear(data)
	if err != nil {
		return nil, "", err
	}
	key, scheme, err := ParsePrivateKey(data, passphrase)
	if err != nil {
		return nil, "", inFile(path, err)
	}
	return key, scheme, nil
}

func inFile(path string, err error) error {
	if e, ok := err.(*Error); ok {
		return &Error{e.Reason, path + ": " + e.Msg, e.Err}
	}
	return fmt.Errorf("%s: %w", path, err)
}

// WritePrivateKey writes a private key of one of the types that [GenerateKey]
// makes to a new file that only its owner may read (mode 0600). It never
// replaces a file: if there is one at path it fails with fs.ErrExist.
//
// With a passphrase the file is an encrypted key as Sigstore's tools read and
// write it; with nil it is PKCS #8 without encryption. An empty passphrase
// that is not nil is refused: it is what an unset variable looks like.
// The passphrase is not changed.
func WritePrivateKey(path string, key crypto.Signer, passphrase []byte) error {
	data, err := keyfile.MarshalPrivate(key, passphrase)
	if err != nil {
		return keyError(err)
	}
	defer clear(data)
	return atomicfile.WriteNew(path, data, 0o600)
}

// WritePublicKey writes a public key as PEM (type PUBLIC KEY) to a new file.
// It never replaces a file: if there is one at path it fails with fs.ErrExist.
func WritePublicKey(path string, pub crypto.PublicKey) error {
	data, err := keyfile.MarshalPublic(pub)
	if err != nil {
		return keyError(err)
	}
	return atomicfile.WriteNew(path, data, 0o644)
}
