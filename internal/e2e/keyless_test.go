package e2e

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	sigsig "github.com/sigstore/sigstore/pkg/signature"

	"github.com/hallmark-build/hallmark/internal/e2e/sigstack"
	"github.com/hallmark-build/hallmark/internal/sigalg"
	ourverify "github.com/hallmark-build/hallmark/internal/sigstore"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/sign"
	"github.com/hallmark-build/hallmark/sign/sigstore"
)

const (
	slsaProvenance = "https://slsa.dev/provenance/v1"
	githubWorkflow = "https://github.com/acme/app/.github/workflows/release.yml@refs/heads/main"
)

// theStack starts one stack for the whole test binary: its log takes a second
// for each batch of entries, whoever sends them.
var theStack = sync.OnceValues(func() (*sigstack.Stack, error) {
	started.Store(true)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return sigstack.Start(ctx, os.TempDir(), sigstack.Options{RekorV1: true, TSAs: 2})
})

var started atomic.Bool

func stackStarted() bool { return started.Load() }

func stack(t testing.TB) *sigstack.Stack {
	t.Helper()
	s, err := theStack()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// services reads a signing configuration of the stack.
func services(t testing.TB, config []byte) sigstore.Services {
	t.Helper()
	c, err := sigstore.ParseSigningConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	s, err := c.Select(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func session(t testing.TB, s sigstore.Services, token string) *sigstore.Session {
	t.Helper()
	session, err := sigstore.NewSession(t.Context(), s, sigstore.StaticToken(token))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(session.Close)
	return session
}

func artifact(t testing.TB, content string) provenance.Artifact {
	t.Helper()
	a, err := provenance.DigestReader(t.Context(), "app", strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func statement(t testing.TB, content string) *provenance.Statement {
	t.Helper()
	st, err := provenance.NewStatement([]provenance.ResourceDescriptor{artifact(t, content).Descriptor()}, slsaProvenance, map[string]any{"buildDefinition": map[string]any{}})
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// peer verifies a bundle with sigstore-go: everything that it can ask for.
func peer(t testing.TB, bundleJSON []byte, material root.TrustedMaterial, content string, options []verify.PolicyOption, v ...verify.VerifierOption) error {
	t.Helper()
	var b bundle.Bundle
	if err := b.UnmarshalJSON(bundleJSON); err != nil {
		t.Fatalf("sigstore-go cannot read the bundle: %v\n%s", err, bundleJSON)
	}
	verifier, err := verify.NewVerifier(material, v...)
	if err != nil {
		t.Fatal(err)
	}
	_, err = verifier.Verify(&b, verify.NewPolicy(verify.WithArtifact(strings.NewReader(content)), options...))
	return err
}

func identity(t testing.TB, issuer, san string) []verify.PolicyOption {
	t.Helper()
	id, err := verify.NewShortCertificateIdentity(issuer, "", san, "")
	if err != nil {
		t.Fatal(err)
	}
	return []verify.PolicyOption{verify.WithCertificateIdentity(id)}
}

// ours verifies a bundle with this library, over content if it has no envelope.
func ours(bundleJSON, trustedRoot []byte, content string) (*ourverify.Result, error) {
	trusted, err := ourverify.ParseTrustedRoot(trustedRoot)
	if err != nil {
		return nil, err
	}
	verifier, err := ourverify.NewVerifier(trusted, ourverify.Config{})
	if err != nil {
		return nil, err
	}
	b, err := ourverify.ParseBundle(bundleJSON)
	if err != nil {
		return nil, err
	}
	var options ourverify.Options
	if _, _, isEnvelope := b.UnverifiedPayload(); !isEnvelope {
		options.Artifact = &ourverify.Artifact{Bytes: []byte(content)}
	}
	return verifier.Verify(b, options)
}

// keyless is what sigstore-go is to find in a bundle of a session.
func keyless(stamps int) []verify.VerifierOption {
	return []verify.VerifierOption{
		verify.WithTransparencyLog(1), verify.WithSignedCertificateTimestamps(1), verify.WithSignedTimestamps(stamps),
	}
}

func trustedRoot(t testing.TB, s *sigstack.Stack) *root.TrustedRoot {
	t.Helper()
	tr, err := root.NewTrustedRootFromJSON(s.TrustedRoot)
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// TestKeyless signs an artifact and a statement with every log and every kind
// of identity, and has sigstore-go verify the bundles.
func TestKeyless(t *testing.T) {
	s := stack(t)
	trusted := trustedRoot(t, s)
	for _, tc := range []struct {
		name, token string
		issuer, san string
		v1          bool
	}{
		{"email", s.EmailToken("alice@example.com"), s.Issuer.URL(sigstack.Email), "alice@example.com", false},
		{"github", s.GitHubToken(sigstack.GitHubJob{}), s.Issuer.URL(sigstack.GitHub), githubWorkflow, false},
		{"gitlab", s.GitLabToken("acme/app"), s.Issuer.URL(sigstack.GitLab), "https://gitlab.com/acme/app//.gitlab-ci.yml@refs/heads/main", false},
		{"buildkite", s.BuildkiteToken("acme", "app"), s.Issuer.URL(sigstack.Buildkite), "https://buildkite.com/acme/app", false},
		{"rekor v1", s.EmailToken("alice@example.com"), s.Issuer.URL(sigstack.Email), "alice@example.com", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			config := s.SigningConfig
			if tc.v1 {
				config = s.SigningConfigV1
			}
			ss := session(t, services(t, config), tc.token)
			st, err := ss.SignStatement(t.Context(), statement(t, "hello"))
			if err != nil {
				t.Fatal(err)
			}
			blob, err := ss.SignArtifact(t.Context(), artifact(t, "hello"))
			if err != nil {
				t.Fatal(err)
			}
			for kind, b := range map[string][]byte{"statement": st, "artifact": blob} {
				if err := peer(t, b, trusted, "hello", identity(t, tc.issuer, tc.san), keyless(2)...); err != nil {
					t.Errorf("%s: %v\n%s", kind, err, b)
				}
				if err := peer(t, b, trusted, "hello", identity(t, tc.issuer, "mallory@example.com"), keyless(2)...); err == nil {
					t.Errorf("%s: passes for another identity", kind)
				}
				if err := peer(t, b, trusted, "hellO", identity(t, tc.issuer, tc.san), keyless(2)...); err == nil {
					t.Errorf("%s: passes for another artifact", kind)
				}
				if r, err := ours(b, s.TrustedRoot, "hello"); err != nil {
					t.Errorf("%s: this library: %v", kind, err)
				} else if r.Certificate.Issuer != tc.issuer || r.Certificate.SAN != tc.san {
					t.Errorf("%s: this library: identity %+v", kind, r.Certificate)
				}
				if bytes.ContainsAny(b, "\r\n") {
					t.Errorf("%s: bundle of several lines", kind)
				}
			}
		})
	}
}

// TestManagedKey signs with keys of every kind, logged and stamped.
func TestManagedKey(t *testing.T) {
	s := stack(t)
	trusted := trustedRoot(t, s)
	ec := func(c elliptic.Curve) *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(c, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, _ := ed25519.GenerateKey(rand.Reader)
	v2, v1 := services(t, s.SigningConfig), services(t, s.SigningConfigV1)
	for name, key := range map[string]sign.Signer{
		"p256": newSigner(t, ec(elliptic.P256())), "p384": newSigner(t, ec(elliptic.P384())), "p521": newSigner(t, ec(elliptic.P521())),
		"rsa": newSigner(t, rsaKey), "ed25519": newSigner(t, edKey),
	} {
		for version, sv := range map[int]sigstore.Services{1: v1, 2: v2} {
			t.Run(fmt.Sprintf("%s v%d", name, version), func(t *testing.T) {
				t.Parallel()
				ss, err := sigstore.NewKeySession(sv, key)
				if name == "ed25519" && version == 2 {
					wantReason(t, err, sigstore.ReasonKey)
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				defer ss.Close()
				hint, err := sigalg.KeyID(key.Public())
				if err != nil {
					t.Fatal(err)
				}
				verifier, err := sigsig.LoadDefaultVerifier(key.Public())
				if err != nil {
					t.Fatal(err)
				}
				material := root.TrustedMaterialCollection{trusted, root.NewTrustedPublicKeyMaterialFromMapping(map[string]*root.ExpiringKey{
					hint: root.NewExpiringKey(verifier, time.Time{}, time.Time{}),
				})}
				check := func(b []byte) {
					t.Helper()
					options := []verify.VerifierOption{verify.WithTransparencyLog(1), verify.WithSignedTimestamps(2)}
					if err := peer(t, b, material, "hello", []verify.PolicyOption{verify.WithKey()}, options...); err != nil {
						t.Errorf("%v\n%s", err, b)
					}
					if err := peer(t, b, material, "hellO", []verify.PolicyOption{verify.WithKey()}, options...); err == nil {
						t.Error("passes for another artifact")
					}
				}
				b, err := ss.SignArtifact(t.Context(), artifact(t, "hello"))
				switch {
				case name == "ed25519": // signs messages, not digests
					wantReason(t, err, sigstore.ReasonKey)
				case name == "p384": // wants a SHA-384, which artifacts do not have
					wantReason(t, err, sigstore.ReasonInput)
				case err != nil:
					t.Error(err)
				default:
					check(b)
				}
				b, err = ss.SignStatement(t.Context(), statement(t, "hello"))
				if version == 1 && (name == "p384" || name == "p521") {
					wantReason(t, err, sigstore.ReasonKey)
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				check(b)
			})
		}
	}
	// The same signature twice: a deterministic key on a log that hands out
	// what it has.
	t.Run("logged before", func(t *testing.T) {
		ss, err := sigstore.NewKeySession(v1, newSigner(t, edKey))
		if err != nil {
			t.Fatal(err)
		}
		defer ss.Close()
		for range 2 {
			if _, err := ss.SignStatement(t.Context(), statement(t, "again")); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func wantReason(t testing.TB, err error, reason string) {
	t.Helper()
	var e *sigstore.Error
	if !errors.As(err, &e) || e.Reason != reason {
		t.Errorf("got error %v, want reason %s", err, reason)
	}
}

func newSigner(t testing.TB, key crypto.Signer) sign.Signer {
	t.Helper()
	s, err := sigstore.NewSigner(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestTwentyStatements holds the promise that many statements of a run share
// certificate and key and cost about what one does.
func TestTwentyStatements(t *testing.T) {
	s := stack(t)
	ss := session(t, services(t, s.SigningConfig), s.EmailToken("alice@example.com"))
	var sts []*provenance.Statement
	for i := range 20 {
		sts = append(sts, statement(t, fmt.Sprint("artifact ", i)))
	}
	bundles, err := ss.SignStatements(t.Context(), sts...)
	if err != nil {
		t.Fatal(err)
	}
	trusted := trustedRoot(t, s)
	for i, b := range bundles {
		if err := peer(t, b, trusted, fmt.Sprint("artifact ", i), identity(t, s.Issuer.URL(sigstack.Email), "alice@example.com"), keyless(2)...); err != nil {
			t.Errorf("bundle %d: %v", i, err)
		}
	}
}

// BenchmarkSign compares one statement with twenty, to be at most 1.5 times
// as long.
func BenchmarkSign(b *testing.B) {
	s := stack(b)
	ss := session(b, services(b, s.SigningConfig), s.EmailToken("alice@example.com"))
	for _, n := range []int{1, 20} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			k := 0
			for b.Loop() {
				var sts []*provenance.Statement
				for range n {
					k++
					sts = append(sts, statement(b, fmt.Sprint(k)))
				}
				if _, err := ss.SignStatements(b.Context(), sts...); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestTokenSources gets a token by every way that the stack can play, and a
// certificate for it.
func TestTokenSources(t *testing.T) {
	s := stack(t)
	login := sigstore.Login{Issuer: s.Issuer.URL(sigstack.Email)}
	get := func(u string) error {
		resp, err := http.Get(u)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != 200 {
			return errors.New(resp.Status)
		}
		return nil
	}
	env := map[string]string{
		"ACTIONS_ID_TOKEN_REQUEST_URL":   s.Issuer.URL(sigstack.GitHub) + "/request?api-version=2.0",
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN": sigstack.ActionsToken,
		"SIGSTORE_ID_TOKEN":              s.GitLabToken("acme/app"),
	}
	getenv := func(k string) string { return env[k] }
	for name, source := range map[string]sigstore.TokenSource{
		"github":  sigstore.GitHubActions(getenv, nil),
		"gitlab":  sigstore.TokenVariable(getenv, "SIGSTORE_ID_TOKEN"),
		"command": sigstore.TokenCommand("printf", "%s", s.BuildkiteToken("acme", "app")),
		"browser": login.Browser(get),
		"device":  login.Device(func(u, _ string) error { return get(u) }),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ss, err := sigstore.NewSession(t.Context(), services(t, s.SigningConfig), source)
			if err != nil {
				t.Fatal(err)
			}
			ss.Close()
		})
	}
	// What the issuer gives to people, for the shapes that have many claims.
	for _, kind := range []sigstack.IssuerKind{sigstack.Email, sigstack.GitHub, sigstack.GitLab, sigstack.Buildkite} {
		t.Run("mint "+string(kind), func(t *testing.T) {
			t.Parallel()
			source := sigstore.TokenFunc(func(context.Context) (string, error) {
				resp, err := http.Get(s.Issuer.URL(kind) + "/mint?repository=acme/lib&workflow=w.yml&ref=refs/tags/v1")
				if err != nil {
					return "", err
				}
				defer resp.Body.Close()
				b, err := io.ReadAll(resp.Body)
				return string(b), err
			})
			ss, err := sigstore.NewSession(t.Context(), services(t, s.SigningConfig), source)
			if err != nil {
				t.Fatal(err)
			}
			ss.Close()
			if u := ss.Certificate().URIs; kind == sigstack.GitHub && u[0].String() != "https://github.com/acme/lib/w.yml@refs/tags/v1" {
				t.Errorf("subject %v", u)
			}
		})
	}
	t.Run("another token is refused by fulcio", func(t *testing.T) {
		for name, token := range map[string]string{
			"audience": s.Issuer.Token(sigstack.Email, map[string]any{"sub": "a", "email": "a@b.c", "email_verified": true, "aud": "other"}),
			"expired":  s.Issuer.Token(sigstack.Email, map[string]any{"sub": "a", "email": "a@b.c", "email_verified": true, "exp": time.Now().Unix() - 60}),
			"claims":   s.Issuer.Token(sigstack.GitHub, map[string]any{"sub": "repo:acme/app"}),
		} {
			_, err := sigstore.NewSession(t.Context(), services(t, s.SigningConfig), sigstore.StaticToken(token))
			var e *sigstore.Error
			if !errors.As(err, &e) || e.Reason != sigstore.ReasonStatus || strings.Contains(err.Error(), token) {
				t.Errorf("%s: got %v, want a refusal with a status", name, err)
			}
		}
	})
}
