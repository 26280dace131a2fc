package sign_test

import (
	"context"
	"crypto"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/sign"
)

// Describe an artifact, sign the statement and write it down as evidence.
func ExampleStatement() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	artifact, err := provenance.DigestReader(ctx, "app", strings.NewReader("the program"))
	if err != nil {
		log.Fatal(err)
	}
	statement, err := provenance.NewStatement([]provenance.ResourceDescriptor{artifact.Descriptor()},
		"https://example.com/review/v1", map[string]string{"result": "approved"})
	if err != nil {
		log.Fatal(err)
	}
	key, err := sign.GenerateKey(sign.ECDSAP256)
	if err != nil {
		log.Fatal(err)
	}
	signer, err := sign.NewSigner(key, "")
	if err != nil {
		log.Fatal(err)
	}
	envelope, err := sign.Statement(ctx, statement, signer)
	if err != nil {
		log.Fatal(err)
	}
	path := filepath.Join(dir, "app.intoto.jsonl")
	if err := sign.AppendBundle(ctx, path, envelope); err != nil {
		log.Fatal(err)
	}

	evidence, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.48s… %d line\n", evidence, strings.Count(string(evidence), "\n"))
	// Output: {"payloadType":"application/vnd.in-toto+json","p… 1 line
}

// Make a key pair for a stage of a release, and sign with it later.
func ExampleReadPrivateKey() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	key, err := sign.GenerateKey(sign.Ed25519)
	if err != nil {
		log.Fatal(err)
	}
	path := filepath.Join(dir, "build.key")
	if err := sign.WritePrivateKey(path, key, []byte("correct horse")); err != nil {
		log.Fatal(err)
	}
	if err := sign.WritePublicKey(filepath.Join(dir, "build.pub"), key.Public()); err != nil {
		log.Fatal(err)
	}

	// A program would ask the user, or a secret store.
	passphrase := func() ([]byte, error) { return []byte("correct horse"), nil }
	private, scheme, err := sign.ReadPrivateKey(path, passphrase)
	if err != nil {
		log.Fatal(err)
	}
	signer, err := sign.NewSigner(private, scheme)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(signer.Scheme())
	// Output: ed25519
}

// kms stands for the client of a service that keeps keys and signs with them.
type kms struct{ key sign.Signer }

func (k kms) Public() crypto.PublicKey { return k.key.Public() }
func (k kms) Scheme() sign.Scheme      { return sign.ECDSAP256 }
func (k kms) KeyID() string            { return "projects/p/keys/release/versions/1" }

func (k kms) Sign(ctx context.Context, message []byte) ([]byte, error) {
	return k.key.Sign(ctx, message) // here: hash, send, wait, under ctx
}

// A service that signs over a network implements Signer itself.
func ExampleSigner() {
	key, err := sign.GenerateKey(sign.ECDSAP256)
	if err != nil {
		log.Fatal(err)
	}
	remote, err := sign.NewSigner(key, "")
	if err != nil {
		log.Fatal(err)
	}
	envelope, err := sign.Envelope(context.Background(), "text/plain", []byte("hello"), kms{remote})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.113s…\n", envelope)
	// Output: {"payloadType":"text/plain","payload":"aGVsbG8=","signatures":[{"keyid":"projects/p/keys/release/versions/1","sig…
}
