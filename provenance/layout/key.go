package layout

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/hallmark-build/hallmark/internal/keyfile"
	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/sigalg"
	"github.com/hallmark-build/hallmark/internal/strictjson"
	"github.com/hallmark-build/hallmark/provenance"
)

// A Key is a public key, or a certificate authority, as layouts have them (the
// key object of securesystemslib). Its id is a label: what decides is the key
// material.
type Key struct {
	KeyID               string   `json:"keyid"`
	KeyIDHashAlgorithms []string `json:"keyid_hash_algorithms,omitempty"`
	KeyType             string   `json:"keytype"` // "rsa", "ed25519" or "ecdsa"
	KeyVal              KeyVal   `json:"keyval"`
	Scheme              string   `json:"scheme"` // such as "rsassa-pss-sha256"
}

// A KeyVal is the value of a [Key]: PEM for RSA and ECDSA, hex for Ed25519.
type KeyVal struct {
	Public string `json:"public"`
	// Certificate is an X.509 certificate in PEM. A certificate authority of a
	// layout has it, and may have an empty Public.
	Certificate string `json:"certificate,omitempty"`
}

func keyError(format string, args ...any) error {
	return &provenance.FormatError{Reason: ReasonKey, Msg: fmt.Sprintf(format, args...)}
}

// NewKey returns the key object of a public key, with the key id that
// in-toto's implementations compute. The empty scheme means the default of the
// kind of key, RSA-PSS for RSA.
func NewKey(public crypto.PublicKey, scheme string) (Key, error) {
	s, err := sigalg.For(public, sigalg.Scheme(scheme))
	if err != nil {
		return Key{}, keyError("%v", err)
	}
	k := Key{KeyIDHashAlgorithms: []string{"sha256", "sha512"}, Scheme: string(s)}
	switch p := public.(type) {
	case ed25519.PublicKey:
		k.KeyType, k.KeyVal.Public = "ed25519", hex.EncodeToString(p)
	case *rsa.PublicKey:
		k.KeyType = "rsa"
	case *ecdsa.PublicKey:
		k.KeyType = "ecdsa"
	}
	if k.KeyVal.Public == "" {
		data, err := keyfile.MarshalPublic(public)
		if err != nil {
			return Key{}, keyError("%v", err)
		}
		k.KeyVal.Public = string(bytes.TrimSpace(data)) // without the last line break, as securesystemslib has it
	}
	return k, k.setID()
}

// setID computes the id: the SHA-256 of the canonical form of the key object
// without id and certificate.
func (k *Key) setID() error {
	data, err := json.Marshal(map[string]any{
		"keyid_hash_algorithms": k.KeyIDHashAlgorithms,
		"keytype":               k.KeyType,
		"keyval":                map[string]string{"public": k.KeyVal.Public},
		"scheme":                k.Scheme,
	})
	if err == nil {
		data, err = Canonical(data)
	}
	if err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	k.KeyID = hex.EncodeToString(sum[:])
	return nil
}

// ParseKey reads a public key: PEM (a key or a certificate, whose key is taken)
// or the JSON of securesystemslib. A key object without an id gets the one
// that [NewKey] computes.
func ParseKey(data []byte) (Key, error) {
	if len(data) > limits.KeyFile {
		return Key{}, keyError("key of %d bytes exceeds the limit of %d", len(data), limits.KeyFile)
	}
	if bytes.HasPrefix(bytes.TrimLeft(data, " \t\r\n"), []byte("{")) {
		var k Key
		if err := strictjson.Into(data, limits.KeyFile, &k); err != nil {
			return Key{}, keyError("%v", err)
		}
		pub, scheme, err := k.Public()
		if err != nil {
			return Key{}, err
		}
		if k.KeyID == "" {
			return NewKey(pub, scheme)
		}
		return k, checkKeyID(k.KeyID)
	}
	pub, scheme, err := keyfile.ParsePublic(data)
	if err != nil {
		return Key{}, keyError("%v", err)
	}
	return NewKey(pub, string(scheme))
}

// UnmarshalJSON reads a key object. Unknown fields are ignored: what they say
// cannot make the key another one. A private key is refused.
func (k *Key) UnmarshalJSON(data []byte) error {
	type plain Key
	var v struct {
		plain
		KeyVal struct {
			KeyVal
			Private string `json:"private"`
		} `json:"keyval"`
		Method string `json:"method"`
	}
	if err := strictjson.Into(data, limits.KeyFile, &v); err != nil {
		return err
	}
	*k = Key(v.plain)
	k.KeyVal = v.KeyVal.KeyVal
	if v.Method != "" { // OpenPGP keys of securesystemslib have one
		k.KeyType = "openpgp"
	}
	if v.KeyVal.Private != "" {
		return keyError("a private key, where a public key is wanted")
	}
	return nil
}

// Public returns the public key and the name of its signature scheme, or why
// it cannot be used: a key type, size or scheme that is not supported. OpenPGP
// keys are not.
func (k Key) Public() (crypto.PublicKey, string, error) {
	if k.KeyType == "openpgp" {
		return nil, "", keyError("OpenPGP keys are not supported")
	}
	data, err := json.Marshal(map[string]any{
		"keytype": k.KeyType, "scheme": k.Scheme, "keyval": map[string]string{"public": k.KeyVal.Public},
	})
	if err != nil {
		return nil, "", keyError("%v", err)
	}
	pub, scheme, err := keyfile.ParsePublic(data)
	if err != nil {
		return nil, "", keyError("%v", err)
	}
	return pub, string(scheme), nil
}

// checkKeyID wants hex, and enough of it for the name of a file.
func checkKeyID(id string) error {
	if len(id) < 8 || len(id) > 256 || strings.Trim(id, "0123456789abcdefABCDEF") != "" {
		return keyError("want a key id of 8 to 256 hexadecimal digits, found %s", clip(id))
	}
	return nil
}
