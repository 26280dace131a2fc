package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/olareg/olareg"
	"github.com/olareg/olareg/config"

	"github.com/hallmark-build/hallmark/internal/e2e/sigstack"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/predicate"
	"github.com/hallmark-build/hallmark/sign/oci"
)

const cosignVersion = "v3.1.3"

// buildCosign builds cosign from its module, once for each machine: it takes
// about four minutes of CPU where nothing of it is in the build cache.
var buildCosign = sync.OnceValues(func() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "hallmark-e2e", "cosign-"+cosignVersion)
	name := "cosign"
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	bin := filepath.Join(dir, name)
	if _, err := os.Stat(bin); err == nil {
		return bin, nil
	}
	if os.Getenv("CI") != "true" {
		return "", nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
	defer cancel()
	// Of its own requirements, not ours: the released cosign.
	cmd := exec.CommandContext(ctx, "go", "install", "github.com/sigstore/cosign/v3/cmd/cosign@"+cosignVersion)
	cmd.Env = append(os.Environ(), "GOBIN="+dir, "GOWORK=off", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return bin, nil
})

// cosign returns a function that runs cosign in dir. The test is skipped where
// cosign has not been built and this is not CI (CI=true builds it, and it is
// used from then on).
func cosign(t *testing.T, dir string) func(args ...string) (string, error) {
	t.Helper()
	bin, err := buildCosign()
	if err != nil {
		t.Fatalf("build cosign: %v", err)
	}
	if bin == "" {
		t.Skip("cosign is not built; CI=true builds it")
	}
	return func(args ...string) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, bin, args...)
		cmd.Dir = dir
		// No network but loopback, and nothing of the user's.
		cmd.Env = []string{"HOME=" + dir, "TUF_ROOT=" + filepath.Join(dir, "tuf"), "PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir(), "HTTPS_PROXY=http://127.0.0.1:9"}
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		err := cmd.Run()
		return out.String(), err
	}
}

func writeFiles(t *testing.T, dir string, files map[string][]byte) {
	t.Helper()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestCosignVerifies has cosign verify what we sign.
func TestCosignVerifies(t *testing.T) {
	s := stack(t)
	dir := t.TempDir()
	run := cosign(t, dir)
	for version, config := range map[string][]byte{"v2": s.SigningConfig, "v1": s.SigningConfigV1} {
		ss := session(t, services(t, config), s.EmailToken("alice@example.com"))
		st, err := ss.SignStatement(t.Context(), statement(t, "hello"))
		if err != nil {
			t.Fatal(err)
		}
		blob, err := ss.SignArtifact(t.Context(), artifact(t, "hello"))
		if err != nil {
			t.Fatal(err)
		}
		writeFiles(t, dir, map[string][]byte{"root.json": s.TrustedRoot, "st.json": st, "blob.json": blob, "hello": []byte("hello"), "other": []byte("other")})
		verify := func(kind, identity, file string) (string, error) {
			args := []string{"--trusted-root", "root.json", "--use-signed-timestamps",
				"--certificate-identity", identity, "--certificate-oidc-issuer", s.Issuer.URL(sigstack.Email), file}
			if kind == "blob" {
				return run(append([]string{"verify-blob", "--bundle", "blob.json"}, args...)...)
			}
			return run(append([]string{"verify-blob-attestation", "--bundle", "st.json", "--type", "slsaprovenance1"}, args...)...)
		}
		for _, kind := range []string{"blob", "statement"} {
			if out, err := verify(kind, "alice@example.com", "hello"); err != nil {
				t.Errorf("rekor %s, %s: %v\n%s", version, kind, err, out)
			}
			if out, err := verify(kind, "mallory@example.com", "hello"); err == nil {
				t.Errorf("rekor %s, %s: passes for another identity\n%s", version, kind, out)
			}
			if out, err := verify(kind, "alice@example.com", "other"); err == nil {
				t.Errorf("rekor %s, %s: passes for another artifact\n%s", version, kind, out)
			}
		}
	}
}

// TestCosignSigns verifies what cosign signs.
func TestCosignSigns(t *testing.T) {
	s := stack(t)
	dir := t.TempDir()
	run := cosign(t, dir)
	for version, config := range map[string][]byte{"v2": s.SigningConfig, "v1": s.SigningConfigV1} {
		writeFiles(t, dir, map[string][]byte{
			"root.json": s.TrustedRoot, "config.json": config, "hello": []byte("hello"),
			"token": []byte(s.GitHubToken(sigstack.GitHubJob{})), "predicate.json": []byte(`{"buildDefinition":{"buildType":"https://example.com/t","externalParameters":{}},"runDetails":{"builder":{"id":"https://example.com/b"}}}`),
		})
		common := []string{"--yes", "--identity-token", "token", "--signing-config", "config.json", "--trusted-root", "root.json"}
		if out, err := run(append(append([]string{"sign-blob", "--bundle", "blob.json"}, common...), "hello")...); err != nil {
			t.Fatalf("rekor %s: %v\n%s", version, err, out)
		}
		if out, err := run(append(append([]string{"attest-blob", "--bundle", "st.json", "--predicate", "predicate.json", "--type", "slsaprovenance1"}, common...), "hello")...); err != nil {
			t.Fatalf("rekor %s: %v\n%s", version, err, out)
		}
		for _, name := range []string{"blob.json", "st.json"} {
			b, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			r, err := ours(b, s.TrustedRoot, "hello")
			if err != nil {
				t.Errorf("rekor %s, %s: %v\n%s", version, name, err, b)
				continue
			}
			if c := r.Certificate; c.Issuer != s.Issuer.URL(sigstack.GitHub) || c.SAN != githubWorkflow || c.SourceRepositoryURI != "https://github.com/acme/app" {
				t.Errorf("rekor %s, %s: identity %+v", version, name, c)
			}
			if r.IsEnvelope && !strings.Contains(string(r.Payload), "slsa.dev/provenance/v1") {
				t.Errorf("rekor %s: payload %s", version, r.Payload)
			}
			if _, err := ours(b, s.TrustedRoot, "other"); name == "blob.json" && err == nil {
				t.Errorf("rekor %s, %s: passes for another artifact", version, name)
			}
		}
	}
}

// TestCosignVerifiesAttached attaches a bundle to an image in a layout and pushes
// both to a registry, where cosign finds and verifies it.
func TestCosignVerifiesAttached(t *testing.T) {
	s := stack(t)
	dir := t.TempDir()
	run := cosign(t, dir)
	image, err := random.Image(1024, 1)
	if err != nil {
		t.Fatal(err)
	}
	path, err := layout.Write(filepath.Join(dir, "layout"), empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := path.AppendImage(image); err != nil {
		t.Fatal(err)
	}
	hash, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	digest := provenance.MustDigest("sha256:" + hash.Hex)
	p := &predicate.SLSAProvenance{
		BuildDefinition: predicate.BuildDefinition{BuildType: "https://example.com/t", ExternalParameters: map[string]any{"target": "app"}},
		RunDetails:      predicate.RunDetails{Builder: predicate.Builder{ID: "https://example.com/b"}},
	}
	st, err := p.Statement([]provenance.ResourceDescriptor{{Name: "app", Digest: provenance.DigestSet{digest}}})
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := session(t, services(t, s.SigningConfig), s.EmailToken("alice@example.com")).SignStatement(t.Context(), st)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := oci.Attach(t.Context(), filepath.Join(dir, "layout"), digest, bundle); err != nil {
		t.Fatal(err)
	}
	registry := olareg.New(config.Config{Storage: config.ConfigStorage{StoreType: config.StoreMem}})
	defer registry.Close()
	server := httptest.NewServer(registry)
	defer server.Close()
	repo, err := name.NewRepository(strings.TrimPrefix(server.URL, "http://") + "/app")
	if err != nil {
		t.Fatal(err)
	}
	index, err := path.ImageIndex()
	if err != nil {
		t.Fatal(err)
	}
	all, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range all.Manifests {
		img, err := path.Image(d.Digest)
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.Write(repo.Digest(d.Digest.String()), img); err != nil {
			t.Fatal(err)
		}
	}
	writeFiles(t, dir, map[string][]byte{"root.json": s.TrustedRoot})
	for identity, pass := range map[string]bool{"alice@example.com": true, "mallory@example.com": false} {
		out, err := run("verify-attestation", "--trusted-root", "root.json", "--use-signed-timestamps", "--type", "slsaprovenance1",
			"--certificate-identity", identity, "--certificate-oidc-issuer", s.Issuer.URL(sigstack.Email), repo.Digest(hash.String()).String())
		if (err == nil) != pass {
			t.Errorf("%s: %v\n%s", identity, err, out)
		}
	}
}
