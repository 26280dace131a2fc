//go:build cgo

package hsm

import (
	"context"
	"crypto"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/ThalesGroup/crypto11"
	"github.com/sigstore/sigstore/pkg/signature"
	sigdsse "github.com/sigstore/sigstore/pkg/signature/dsse"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/sign"
)

const module = "/usr/lib/softhsm/libsofthsm2.so"

// token makes a SoftHSM token of its own for the test.
func token(t *testing.T) *crypto11.Context {
	t.Helper()
	if _, err := os.Stat(module); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("no SoftHSM: %v (install softhsm2)", err)
		}
		t.Skipf("no SoftHSM: %v (install softhsm2)", err)
	}
	dir := t.TempDir()
	tokens, conf := filepath.Join(dir, "tokens"), filepath.Join(dir, "softhsm2.conf")
	if err := errors.Join(os.Mkdir(tokens, 0o700),
		os.WriteFile(conf, fmt.Appendf(nil, "directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n", tokens), 0o600)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SOFTHSM2_CONF", conf)
	out, err := exec.Command("softhsm2-util", "--init-token", "--free", "--label", "hallmark", "--pin", "1234", "--so-pin", "5678").CombinedOutput()
	if err != nil {
		t.Fatalf("softhsm2-util: %v\n%s", err, out)
	}
	c, err := crypto11.Configure(&crypto11.Config{Path: module, TokenLabel: "hallmark", Pin: "1234"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func statement(t *testing.T) *provenance.Statement {
	t.Helper()
	a, err := provenance.DigestReader(t.Context(), "app", strings.NewReader("content"))
	if err != nil {
		t.Fatal(err)
	}
	st, err := provenance.NewStatement([]provenance.ResourceDescriptor{a.Descriptor()}, "https://example.com/p/v1", nil)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func TestSoftHSM(t *testing.T) {
	c := token(t)
	st := statement(t)
	p256, err := c.GenerateECDSAKeyPairWithLabel([]byte{1}, []byte("p256"), elliptic.P256())
	if err != nil {
		t.Fatal(err)
	}
	p384, err := c.GenerateECDSAKeyPairWithLabel([]byte{2}, []byte("p384"), elliptic.P384())
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := c.GenerateRSAKeyPairWithLabel([]byte{3}, []byte("rsa"), 2048)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		key    crypto.Signer
		scheme sign.Scheme
		verify func(pub crypto.PublicKey) (signature.Verifier, error)
	}{
		{p256, sign.ECDSAP256, func(p crypto.PublicKey) (signature.Verifier, error) { return signature.LoadVerifier(p, crypto.SHA256) }},
		{p384, sign.ECDSAP384, func(p crypto.PublicKey) (signature.Verifier, error) { return signature.LoadVerifier(p, crypto.SHA384) }},
		{rsaKey, sign.RSAPKCS1, func(p crypto.PublicKey) (signature.Verifier, error) { return signature.LoadVerifier(p, crypto.SHA256) }},
		{rsaKey, sign.RSAPSS, func(p crypto.PublicKey) (signature.Verifier, error) {
			return signature.LoadRSAPSSVerifier(p.(*rsa.PublicKey), crypto.SHA256, nil)
		}},
	}
	for _, tt := range tests {
		t.Run(string(tt.scheme), func(t *testing.T) {
			signer, err := sign.NewSigner(tt.key, tt.scheme)
			if err != nil {
				t.Fatal(err)
			}
			v, err := tt.verify(tt.key.Public())
			if err != nil {
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			for range 8 { // one key, several sessions of the token
				wg.Go(func() {
					env, err := sign.Statement(t.Context(), st, signer)
					if err != nil {
						t.Error(err)
						return
					}
					if err := sigdsse.WrapVerifier(v).VerifySignature(strings.NewReader(string(env)), nil); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		})
	}

	t.Run("key is never written", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "key")
		var e *sign.Error
		if err := sign.WritePrivateKey(path, p256, nil); !errors.As(err, &e) || e.Reason != sign.ReasonKeyUnsupported {
			t.Errorf("err = %v, want reason %s", err, sign.ReasonKeyUnsupported)
		}
	})
	t.Run("token is gone", func(t *testing.T) {
		signer, err := sign.NewSigner(p256, "")
		if err != nil {
			t.Fatal(err)
		}
		if err := p256.Delete(); err != nil {
			t.Fatal(err)
		}
		var e *sign.Error
		if env, err := sign.Statement(context.Background(), st, signer); !errors.As(err, &e) || e.Reason != sign.ReasonSigner || env != nil {
			t.Errorf("err = %v, want reason %s", err, sign.ReasonSigner)
		}
	})
}
