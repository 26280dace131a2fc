package jsf_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/sbom/jsf"
)

const doc = `{
  "bomFormat": "CycloneDX",
  "specVersion": "1.6",
  "version": 1,
  "metadata": {"component": {"type": "application", "name": "app", "bom-ref": "app"}},
  "components": [{"type": "library", "name": "a", "evidence": {"identity": [{"field": "purl", "confidence": 0.90}]}}]
}
`

var keys = sync.OnceValue(func() map[string]crypto.Signer {
	m := map[string]crypto.Signer{}
	for name, c := range map[string]elliptic.Curve{"p256": elliptic.P256(), "p384": elliptic.P384(), "p521": elliptic.P521()} {
		m[name], _ = ecdsa.GenerateKey(c, rand.Reader)
	}
	_, m["ed25519"], _ = ed25519.GenerateKey(rand.Reader)
	m["rsa"], _ = rsa.GenerateKey(rand.Reader, 2048)
	return m
})

func reason(err error) string {
	var e *provenance.FormatError
	if errors.As(err, &e) {
		return e.Reason
	}
	return fmt.Sprint(err)
}

func TestSignAndVerify(t *testing.T) {
	for name, list := range map[string][]jsf.Algorithm{
		"p256": {"", jsf.ES256}, "p384": {"", jsf.ES384}, "p521": {"", jsf.ES512}, "ed25519": {"", jsf.Ed25519},
		"rsa": {"", jsf.PS256, jsf.PS384, jsf.PS512, jsf.RS256, jsf.RS384, jsf.RS512},
	} {
		key := keys()[name]
		for _, alg := range list {
			for _, in := range []string{doc, `{}`, ` {"a":1} `, "{\n}\n"} {
				signed, err := jsf.Sign([]byte(in), key, jsf.Options{Algorithm: alg, KeyID: "k", OmitKey: alg == ""})
				if err != nil {
					t.Fatalf("%s %s: %v", name, alg, err)
				}
				if !json.Valid(signed) {
					t.Fatalf("%s: not JSON: %s", name, signed)
				}
				got, err := jsf.Verify(signed, keys()["p521"].Public(), key.Public())
				if err != nil {
					t.Errorf("%s %s: %v\n%s", name, alg, err, signed)
				} else if !got.(interface{ Equal(crypto.PublicKey) bool }).Equal(key.Public()) {
					t.Errorf("%s %s: verified by another key", name, alg)
				}
				// The layout is not what is signed.
				var compact bytes.Buffer
				json.Compact(&compact, signed)
				if _, err := jsf.Verify(compact.Bytes(), key.Public()); err != nil {
					t.Errorf("%s %s, compacted: %v", name, alg, err)
				}
			}
		}
		for other := range keys() {
			if other == name {
				continue
			}
			signed, err := jsf.Sign([]byte(doc), key, jsf.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := jsf.Verify(signed, keys()[other].Public()); reason(err) != jsf.ReasonSignature {
				t.Errorf("signed by %s, trusting %s: %v", name, other, err)
			}
		}
	}
}

// What is signed is written down by hand here, so that signer and verifier
// cannot agree on something else.
func TestSignedBytes(t *testing.T) {
	key := keys()["p256"].(*ecdsa.PrivateKey)
	const want = `{"a":[1,2.5,"\n€"],"b":{"x":null,"y":1e+21},"signature":{"algorithm":"ES256","keyId":"me"}}`
	sum := sha256.Sum256([]byte(want))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	value := base64.RawURLEncoding.EncodeToString(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
	made := fmt.Sprintf(`{"signature":{"value":%q,"keyId":"me","algorithm":"ES256"},"b":{"y":1000000000000000000000.0,"x":null}, "a":[1.0,25e-1,"\u000a\u20ac"]}`, value)
	if _, err := jsf.Verify([]byte(made), key.Public()); err != nil {
		t.Error(err)
	}
	signed, err := jsf.Sign([]byte(`{"b":{"y":1e21,"x":null},"a":[1,2.5,"\n€"]}`), key, jsf.Options{KeyID: "me", OmitKey: true})
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`"value":"([^"]+)"`).FindSubmatch(signed)
	raw, err := base64.RawURLEncoding.DecodeString(string(m[1]))
	if err != nil || !ecdsa.Verify(&key.PublicKey, sum[:], new(big.Int).SetBytes(raw[:32]), new(big.Int).SetBytes(raw[32:])) {
		t.Errorf("%s: the signature is not over %s", signed, want)
	}
}

func TestRefused(t *testing.T) {
	key := keys()["ed25519"]
	signed, err := jsf.Sign([]byte(doc), key, jsf.Options{})
	if err != nil {
		t.Fatal(err)
	}
	other, _ := jsf.Sign([]byte(doc), keys()["p256"], jsf.Options{})
	embedded := regexp.MustCompile(`"publicKey":(\{[^}]*\})`)
	swap := func(old, new string) string {
		out := strings.Replace(string(signed), old, new, 1)
		if out == string(signed) {
			t.Fatalf("%q is not in the document", old)
		}
		return out
	}
	value := regexp.MustCompile(`"value":"([^"]+)"`).FindStringSubmatch(string(signed))[1]
	// A signature over a document that names another key than it was made
	// with: valid, and misleading.
	liar := func() string {
		const body = `{"signature":{"algorithm":"Ed25519","publicKey":{"crv":"Ed25519","kty":"OKP","x":"AAAA"}}}`
		sig, _ := key.Sign(rand.Reader, []byte(body), crypto.Hash(0))
		return strings.Replace(body, `"AAAA"}`, fmt.Sprintf(`"AAAA"},"value":%q`, base64.RawURLEncoding.EncodeToString(sig)), 1)
	}()
	for name, c := range map[string]struct{ doc, reason string }{
		"not JSON":              {"<bom/>", "json-syntax"},
		"not an object":         {"[]", jsf.ReasonMalformed},
		"unsigned":              {doc, jsf.ReasonUnsigned},
		"signature null":        {`{"signature":null}`, jsf.ReasonMalformed},
		"signature empty":       {`{"signature":{}}`, jsf.ReasonMalformed},
		"by somebody else":      {string(other), jsf.ReasonSignature},
		"changed":               {swap(`"name": "a"`, `"name": "b"`), jsf.ReasonSignature},
		"added":                 {swap(`"version": 1`, `"version": 1, "x": []`), jsf.ReasonSignature},
		"removed":               {swap(`"version": 1,`, ``), jsf.ReasonSignature},
		"number changed":        {swap(`0.90`, `0.91`), jsf.ReasonSignature},
		"embedded key replaced": {embedded.ReplaceAllString(string(signed), embedded.FindString(string(other))), jsf.ReasonSignature},
		"embedded key removed":  {embedded.ReplaceAllString(string(signed), `"keyId":"x"`), jsf.ReasonSignature},
		"embedded key lies":     {liar, jsf.ReasonEmbedded},
		"duplicate name":        {swap(`"version": 1`, `"version": 1, "version": 1`), "json-duplicate-name"},
		"duplicate signature":   {swap(`"signature":`, `"signature": {}, "signature":`), "json-duplicate-name"},
		"escaped duplicate":     {swap(`"version": 1`, `"version": 1, "\u0076ersion": 2`), "json-duplicate-name"},
		"trailing data":         {string(signed) + "{}", "json-syntax"},
		"excludes":              {swap(`"algorithm"`, `"excludes":["components"],"algorithm"`), jsf.ReasonPartial},
		"excludes, empty":       {swap(`"algorithm"`, `"excludes":[],"algorithm"`), jsf.ReasonPartial},
		"signers":               {`{"signature":{"signers":[]}}`, jsf.ReasonSeveral},
		"chain":                 {`{"signature":{"chain":[]}}`, jsf.ReasonSeveral},
		"extensions":            {swap(`"algorithm"`, `"extensions":["https://example.com/x"],"algorithm"`), jsf.ReasonSeveral},
		"unknown member":        {swap(`"algorithm"`, `"Algorithm":"none","algorithm"`), jsf.ReasonMalformed},
		"algorithm none":        {swap(`"Ed25519","publicKey"`, `"none","publicKey"`), jsf.ReasonAlgorithm},
		"algorithm HS256":       {swap(`"Ed25519","publicKey"`, `"HS256","publicKey"`), jsf.ReasonAlgorithm},
		"algorithm of others":   {swap(`"Ed25519","publicKey"`, `"ES256","publicKey"`), jsf.ReasonSignature},
		"algorithm number":      {swap(`"algorithm":"Ed25519"`, `"algorithm":1`), jsf.ReasonMalformed},
		"value padded":          {swap(value, value+"=="), jsf.ReasonMalformed},
		"value with newline":    {swap(value, value[:10]+`\n`+value[10:]), jsf.ReasonMalformed},
		"value trailing bits":   {swap(value, value[:len(value)-1]+string(value[len(value)-1]+1)), jsf.ReasonMalformed},
		"value short":           {swap(value, "AAAA"), jsf.ReasonSignature},
		"value empty":           {swap(value, ""), jsf.ReasonMalformed},
		"certificates no list":  {swap(`"algorithm"`, `"certificatePath":"x","algorithm"`), jsf.ReasonMalformed},
		"certificates added":    {swap(`"algorithm"`, `"certificatePath":["x"],"algorithm"`), jsf.ReasonSignature},
	} {
		k, err := jsf.Verify([]byte(c.doc), key.Public())
		if reason(err) != c.reason || k != nil {
			t.Errorf("%s: got %v, %v, want %s", name, k, err, c.reason)
		}
	}
	if _, err := jsf.Verify(signed); reason(err) != jsf.ReasonKey {
		t.Errorf("no keys: %v", err)
	}
	small := make(ed25519.PublicKey, 32)
	if _, err := jsf.Verify(signed, key.Public(), small); reason(err) != jsf.ReasonKey {
		t.Errorf("a key of small order: %v", err)
	}
	if _, err := jsf.Verify(signed, nil); reason(err) != jsf.ReasonKey {
		t.Errorf("nil key: %v", err)
	}
}

func TestSignRefuses(t *testing.T) {
	signed, err := jsf.Sign([]byte(doc), keys()["p256"], jsf.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		doc    string
		key    crypto.Signer
		alg    jsf.Algorithm
		reason string
	}{
		"signed":          {string(signed), keys()["p256"], "", jsf.ReasonSigned},
		"no key":          {doc, nil, "", jsf.ReasonKey},
		"wrong algorithm": {doc, keys()["p256"], jsf.ES384, jsf.ReasonAlgorithm},
		"no algorithm":    {doc, keys()["rsa"], "HS256", jsf.ReasonAlgorithm},
		"array":           {"[1]", keys()["rsa"], "", jsf.ReasonMalformed},
		"duplicate":       {`{"a":1,"a":1}`, keys()["rsa"], "", "json-duplicate-name"},
		"big integer":     {`{"a":9007199254740993}`, keys()["rsa"], "", "json-number"},
		"broken key":      {doc, broken{keys()["p256"]}, "", jsf.ReasonSignature},
		"key that lies":   {doc, liar{keys()["ed25519"]}, "", jsf.ReasonSignature},
	} {
		if out, err := jsf.Sign([]byte(c.doc), c.key, jsf.Options{Algorithm: c.alg}); reason(err) != c.reason || out != nil {
			t.Errorf("%s: got %q, %v, want %s", name, out, err, c.reason)
		}
	}
}

type broken struct{ crypto.Signer }

func (broken) Sign(_ io.Reader, _ []byte, _ crypto.SignerOpts) ([]byte, error) {
	return []byte{0x30, 0x00}, nil
}

type liar struct{ crypto.Signer }

func (liar) Sign(_ io.Reader, _ []byte, _ crypto.SignerOpts) ([]byte, error) {
	return make([]byte, 64), nil
}

func FuzzVerify(f *testing.F) {
	key := keys()["ed25519"]
	signed, err := jsf.Sign([]byte(doc), key, jsf.Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(signed)
	f.Add([]byte(`{"signature":{"algorithm":"Ed25519","value":"AAAA"}}`))
	f.Add([]byte(doc))
	var compact bytes.Buffer
	json.Compact(&compact, signed)
	var want any
	json.Unmarshal(signed, &want)
	f.Fuzz(func(t *testing.T, in []byte) {
		if _, err := jsf.Verify(in, key.Public()); err != nil {
			if reason(err) == "" {
				t.Errorf("%q: an error without a reason: %v", in, err)
			}
			return
		}
		// Only what was signed verifies, however it is laid out.
		var got any
		if err := json.Unmarshal(in, &got); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%q verifies", in)
		}
	})
}

func Example() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		fmt.Println(err)
	}
	signed, err := jsf.Sign([]byte(`{"bomFormat": "CycloneDX", "specVersion": "1.6"}`), key, jsf.Options{})
	if err != nil {
		fmt.Println(err)
	}
	_, err = jsf.Verify(signed, key.Public())
	fmt.Println(err)
	_, err = jsf.Verify(bytes.Replace(signed, []byte("1.6"), []byte("1.5"), 1), key.Public())
	fmt.Println(err)
	// Output:
	// <nil>
	// jsf: the signature (ES256) verifies under none of the 1 trusted keys
}
