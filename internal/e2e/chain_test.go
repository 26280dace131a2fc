package e2e

import (
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/internal/e2e/sigstack"
	"github.com/hallmark-build/hallmark/verify"
)

// TestOpen takes a bundle of the real stack all the way into a verified
// statement, with the root and the services that TUF gave.
func TestOpen(t *testing.T) {
	s := stack(t)
	nobody, err := verify.NewTrust()
	if err != nil {
		t.Fatal(err)
	}
	trust, err := nobody.WithSigstore(s.TrustedRoot, verify.Sigstore{})
	if err != nil {
		t.Fatal(err)
	}
	st := statement(t, "hello")
	for version, config := range map[string][]byte{"v2": s.SigningConfig, "v1": s.SigningConfigV1} {
		b, err := session(t, services(t, config), s.GitHubToken(sigstack.GitHubJob{})).SignStatement(t.Context(), st)
		if err != nil {
			t.Fatal(err)
		}
		opened, err := verify.Open(b, trust, time.Now())
		if err != nil {
			t.Fatalf("rekor %s: %v", version, err)
		}
		if opened.Statement().Digest() != st.Digest() {
			t.Errorf("rekor %s: another statement", version)
		}
		if id := opened.Signatures()[0].Principal.Identity(); id.Issuer != s.Issuer.URL(sigstack.GitHub) || id.Subject != githubWorkflow {
			t.Errorf("rekor %s: signed by %+v", version, id)
		}
		if _, err := verify.Open(b, nobody, time.Now()); err == nil {
			t.Errorf("rekor %s: passes though nobody is trusted", version)
		}
	}
}
