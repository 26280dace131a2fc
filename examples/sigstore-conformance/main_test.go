package main

import (
	"bytes"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/hallmark-build/hallmark/internal/sigstore/sigstoretest"
)

// A key that is asked for is the only signer that will do: not everybody whom
// the authorities of the trusted root have certified.
func TestVerifyBundle(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	w := sigstoretest.New("conformance.test")
	mine, others := sigstoretest.ECKey(elliptic.P256()), sigstoretest.ECKey(elliptic.P256())
	der, err := x509.MarshalPKIXPublicKey(mine.Public())
	if err != nil {
		t.Fatal(err)
	}
	root := file("trusted_root.json", w.RootDoc().JSON())
	artifact, changed := file("artifact", sigstoretest.Artifact), file("changed", append(bytes.Clone(sigstoretest.Artifact), '.'))
	key := []string{"--key", file("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))}
	identity := []string{"--certificate-identity", sigstoretest.SAN, "--certificate-oidc-issuer", sigstoretest.Issuer}
	for name, c := range map[string]struct {
		spec     sigstoretest.Spec
		signer   []string
		artifact string
		want     int
	}{
		"certificate":                         {sigstoretest.Spec{}, identity, artifact, 0},
		"certificate over the artifact":       {sigstoretest.Spec{Message: true}, identity, artifact, 0},
		"another artifact":                    {sigstoretest.Spec{Message: true}, identity, changed, 1},
		"another subject":                     {sigstoretest.Spec{}, identity, changed, 1},
		"another identity":                    {sigstoretest.Spec{}, []string{"--certificate-identity", sigstoretest.SAN + "x", "--certificate-oidc-issuer", sigstoretest.Issuer}, artifact, 1},
		"another issuer":                      {sigstoretest.Spec{}, []string{"--certificate-identity", sigstoretest.SAN, "--certificate-oidc-issuer", sigstoretest.Issuer + "/"}, artifact, 1},
		"key":                                 {sigstoretest.Spec{Key: mine, Managed: "k"}, key, artifact, 0},
		"key over the artifact":               {sigstoretest.Spec{Key: mine, Managed: "k", Message: true}, key, artifact, 0},
		"another key":                         {sigstoretest.Spec{Key: others, Managed: "k"}, key, artifact, 1},
		"key, want an identity":               {sigstoretest.Spec{Key: mine, Managed: "k"}, identity, artifact, 1},
		"anybody's certificate, want the key": {sigstoretest.Spec{}, key, artifact, 1},
		"anybody's certificate over the artifact, want the key": {sigstoretest.Spec{Message: true}, key, artifact, 1},
		"the key in a certificate, want the key":                {sigstoretest.Spec{Key: mine}, key, artifact, 1},
		"key and identity":                                      {sigstoretest.Spec{}, slices.Concat(identity, key), artifact, 2},
		"key and half an identity":                              {sigstoretest.Spec{}, slices.Concat(key, identity[:2]), artifact, 2},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"verify-bundle", "--bundle", file("bundle.json", w.Sign(c.spec).Doc.JSON()), "--trusted-root", root}, c.signer...)
			if got := run(append(args, c.artifact)); got != c.want {
				t.Errorf("exits with %d, want %d", got, c.want)
			}
		})
	}
}
