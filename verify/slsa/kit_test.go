package slsa_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/internal/dsse"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/verify"
	"github.com/hallmark-build/hallmark/verify/slsa"
)

var now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

// refusedFor fails the test unless err is a refusal for the reason.
func refusedFor(t testing.TB, err error, want slsa.Reason) {
	t.Helper()
	e, ok := errors.AsType[*slsa.Error](err)
	if !ok {
		t.Fatalf("want a refusal (%s), got: %v", want, err)
	}
	if e.Reason != want {
		t.Fatalf("refused for %s, want %s: %v", e.Reason, want, err)
	}
}

func keyID(t testing.TB, pemKey string) string {
	t.Helper()
	id, err := slsa.KeyID(verify.Key{PEM: pemKey})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func digestsOf(content string) provenance.DigestSet {
	sum := sha256.Sum256([]byte(content))
	return provenance.DigestSet{provenance.MustDigest("sha256:" + hex.EncodeToString(sum[:]))}
}

func artifactOf(content string) provenance.Artifact {
	return provenance.Artifact{Name: content, Digests: digestsOf(content)}
}

// key is the private key of a name.
func key(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("slsa test " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func publicPEM(name string) string {
	der, err := x509.MarshalPKIXPublicKey(key(name).Public())
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func statementOf(t testing.TB, content, predicateType string, predicate any) *provenance.Statement {
	t.Helper()
	st, err := provenance.NewStatement([]provenance.ResourceDescriptor{{Name: content, Digest: digestsOf(content)}}, predicateType, predicate)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func envelope(t testing.TB, st *provenance.Statement, names ...string) []byte {
	t.Helper()
	env := &dsse.Envelope{PayloadType: provenance.PayloadType, Payload: st.Payload()}
	for _, n := range names {
		env.Signatures = append(env.Signatures, dsse.Signature{Sig: ed25519.Sign(key(n), dsse.PAE(env.PayloadType, env.Payload))})
	}
	b, err := env.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// signed is the statement, verified, signed with the keys of the names.
func signed(t testing.TB, st *provenance.Statement, names ...string) *verify.VerifiedStatement {
	t.Helper()
	var keys []verify.Key
	for _, n := range names {
		keys = append(keys, verify.Key{PEM: publicPEM(n)})
	}
	trust, err := verify.NewTrust(keys...)
	if err != nil {
		t.Fatal(err)
	}
	v, err := verify.Open(envelope(t, st, names...), trust, now)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// doc is a JSON object that a test can bend.
type doc = map[string]any

func parse(t testing.TB, text string) doc {
	t.Helper()
	var d doc
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		t.Fatal(err)
	}
	return d
}
