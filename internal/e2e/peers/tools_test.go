package peers

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/predicate"
	"github.com/hallmark-build/hallmark/sign"
	"github.com/hallmark-build/hallmark/verify"
	"github.com/hallmark-build/hallmark/verify/slsa"
)

// tool builds a program of a peer from its module under ../peertools, which has
// the peer's requirements and not ours, and returns a function that runs it.
// The test is skipped where the program has not been built and this is not CI
// (CI=true builds it, and it is used from then on).
func tool(t *testing.T, name, pkg string) func(stdin []byte, args ...string) (string, error) {
	t.Helper()
	dir := filepath.Join("..", "peertools", name)
	version := sha256.New()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(version, "%s %d\n%s", filepath.Base(f), len(data), data)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(cache, "hallmark-e2e", name+"-"+hex.EncodeToString(version.Sum(nil)[:6]), name+".exe")
	if _, err := os.Stat(bin); err != nil {
		if os.Getenv("CI") != "true" {
			t.Skipf("%s is not built; CI=true builds it", name)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, "go", "build", "-o", bin, pkg)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-buildvcs=false")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", name, err, out)
		}
	}
	return func(stdin []byte, args ...string) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, bin, args...)
		var stderr bytes.Buffer
		cmd.Stdin, cmd.Stderr = bytes.NewReader(stdin), &stderr
		out, err := cmd.Output()
		if err != nil {
			err = fmt.Errorf("%w: %s", err, &stderr)
		}
		return string(out), err
	}
}

// keyPair writes a key and its public key to dir.
func keyPair(t *testing.T, dir string, scheme sign.Scheme) (s sign.Signer, private, public string, key verify.Key) {
	t.Helper()
	k, s := newSigner(t, scheme)
	private, public = filepath.Join(dir, "key.pem"), filepath.Join(dir, "key.pub")
	if err := sign.WritePrivateKey(private, k, nil); err != nil {
		t.Fatal(err)
	}
	if err := sign.WritePublicKey(public, k.Public()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(public)
	if err != nil {
		t.Fatal(err)
	}
	return s, private, public, verify.Key{PEM: string(text)}
}

func trustIn(t *testing.T, k verify.Key) (*verify.Trust, string) {
	t.Helper()
	trust, err := verify.NewTrust(k)
	if err != nil {
		t.Fatal(err)
	}
	id, err := slsa.KeyID(k)
	if err != nil {
		t.Fatal(err)
	}
	return trust, id
}

// TestSLSAVerifierAcceptsVSA: slsa-verifier v2.7.1 accepts summaries that are
// issued here of a verdict, and refuses what they do not say.
func TestSLSAVerifierAcceptsVSA(t *testing.T) {
	verifier := tool(t, "slsa-verifier", "github.com/slsa-framework/slsa-verifier/v2/cli/slsa-verifier")
	dir := t.TempDir()
	signer, _, public, key := keyPair(t, dir, sign.ECDSAP256)
	trust, id := trustIn(t, key)
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

	a, err := provenance.DigestReader(t.Context(), "app", strings.NewReader("app"))
	if err != nil {
		t.Fatal(err)
	}
	built, err := (&predicate.SLSAProvenance{
		BuildDefinition: predicate.BuildDefinition{BuildType: "https://example.com/t", ExternalParameters: map[string]any{"source": "git+https://example.com/octo/app"}},
		RunDetails:      predicate.RunDetails{Builder: predicate.Builder{ID: "https://example.com/b"}},
	}).Statement([]provenance.ResourceDescriptor{a.Descriptor()})
	if err != nil {
		t.Fatal(err)
	}
	envelope, err := sign.Statement(t.Context(), built, signer)
	if err != nil {
		t.Fatal(err)
	}
	policy := &verify.Policy{Schema: verify.PolicySchema, Name: "p", NoExpiryUnsafe: true, Final: "build",
		Principals: map[string]verify.Principals{"ci": {Key: key.PEM}},
		Stages:     map[string]*verify.Stage{"build": {Requires: []verify.Requirement{{Type: predicate.TypeSLSAProvenance, Signers: []string{"ci"}}}}}}
	v, err := verify.New(policy, verify.Options{})
	if err != nil {
		t.Fatal(err)
	}
	proof, err := v.Verify(t.Context(), verify.Request{Artifacts: []provenance.Artifact{a}, Evidence: verify.NewEvidence(envelope), At: now})
	if err != nil {
		t.Fatal(err)
	}
	st, err := verify.Open(envelope, trust, now)
	if err != nil {
		t.Fatal(err)
	}
	rows := []slsa.Builder{{Name: "ci", Key: id, IDs: []string{"https://example.com/b"}, Formats: []slsa.Format{slsa.FormatOther}, Level: 3}}
	result, err := slsa.Verify(st, a, rows, slsa.Expectations{SourceURI: "example.com/octo/app"})
	if err != nil {
		t.Fatal(err)
	}
	summary := slsa.Summary{VerifierID: "https://example.com/v", ResourceURI: "pkg:generic/app@1", At: now,
		Policy: provenance.ResourceDescriptor{URI: "https://example.com/policy", Digest: provenance.DigestSet{provenance.MustDigest("sha256:" + strings.Repeat("a", 64))}}}
	unevaluated := filepath.Join(dir, "unevaluated.json")
	leveled := filepath.Join(dir, "leveled.json")
	failed := filepath.Join(dir, "failed.json")
	issue := func(path string, issued *provenance.Statement, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		b, err := sign.Statement(t.Context(), issued, signer)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	issued, err := slsa.PassedVSA(proof, summary)
	issue(unevaluated, issued, err)
	_, err = v.Verify(t.Context(), verify.Request{Artifacts: []provenance.Artifact{a}, Evidence: verify.NewEvidence(), At: now})
	refused, ok := err.(*verify.RefusedError)
	if !ok {
		t.Fatal(err)
	}
	issued, err = slsa.FailedVSA(refused, summary)
	issue(failed, issued, err)
	summary.Build = []*slsa.Result{result}
	issued, err = slsa.PassedVSA(proof, summary)
	issue(leveled, issued, err)

	digest := a.Digests.Get(provenance.SHA256).String()
	for _, c := range []struct {
		name, file, digest, verifier, resource, level string
		pass                                          bool
	}{
		{"as issued", leveled, digest, "https://example.com/v", "pkg:generic/app@1", "SLSA_BUILD_LEVEL_3", true},
		{"a lower level", leveled, digest, "https://example.com/v", "pkg:generic/app@1", "SLSA_BUILD_LEVEL_2", true},
		{"a higher level", leveled, digest, "https://example.com/v", "pkg:generic/app@1", "SLSA_BUILD_LEVEL_4", false},
		{"another track", leveled, digest, "https://example.com/v", "pkg:generic/app@1", "SLSA_SOURCE_LEVEL_1", false},
		{"another digest", leveled, "sha256:" + strings.Repeat("a", 64), "https://example.com/v", "pkg:generic/app@1", "SLSA_BUILD_LEVEL_3", false},
		{"another verifier", leveled, digest, "https://example.com/w", "pkg:generic/app@1", "SLSA_BUILD_LEVEL_3", false},
		{"another resource", leveled, digest, "https://example.com/v", "pkg:generic/app@2", "SLSA_BUILD_LEVEL_3", false},
		{"failed", failed, digest, "https://example.com/v", "pkg:generic/app@1", "SLSA_BUILD_LEVEL_1", false},
		// It reads no SLSA_BUILD_LEVEL_UNEVALUATED, which SLSA v1.2 has.
		{"unevaluated", unevaluated, digest, "https://example.com/v", "pkg:generic/app@1", "SLSA_BUILD_LEVEL_1", false},
	} {
		_, err := verifier(nil, "verify-vsa", "--attestation-path", c.file, "--subject-digest", c.digest, "--verifier-id", c.verifier,
			"--resource-uri", c.resource, "--verified-level", c.level, "--public-key-path", public, "--public-key-id", id)
		if (err == nil) != c.pass {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// taskRun is what Tekton has of a run of Task "build" that git-cloned and made
// an image.
const taskRun = `{
	"metadata": {"name": "build-run", "uid": "9f0f2b5e-7c8f-4a0e-8d05-8cf0f2f7d6a1", "labels": {"tekton.dev/pipelineTask": "build"}},
	"spec": {"params": [{"name": "CHAINS-GIT_COMMIT", "value": "c27d339ee6075c1f744c5d4b200f7901aad2c369"}, {"name": "CHAINS-GIT_URL", "value": "https://github.com/octo/app"}],
		"taskRef": {"name": "build", "kind": "Task"}, "serviceAccountName": "default"},
	"status": {"startTime": "2026-05-29T09:50:00Z", "completionTime": "2026-05-29T09:50:15Z", "podName": "pod",
		"conditions": [{"type": "Succeeded", "status": "True", "reason": "Succeeded"}],
		"steps": [{"name": "push", "container": "step-push", "imageID": "docker-pullable://registry.example.com/builder@sha256:d4b63d3e24d6eef04a6dc0795cf8a73470688803d97c52cffa3c8d4efd3397b6"}],
		"results": [{"name": "IMAGE_DIGEST", "value": "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}, {"name": "IMAGE_URL", "value": "registry.example.com/app"}],
		"taskSpec": {"params": [{"name": "CHAINS-GIT_COMMIT", "type": "string"}, {"name": "CHAINS-GIT_URL", "type": "string"}],
			"steps": [{"name": "push"}], "results": [{"name": "IMAGE_DIGEST"}, {"name": "IMAGE_URL"}]},
		"provenance": {"refSource": {"uri": "git+https://github.com/octo/tasks", "digest": {"sha1": "d4a6e92b7c1f744c5d4b200f7901aad2c369c27d"}, "entryPoint": "build.yaml"}}}}`

// TestTektonChains: what the formatters of Tekton Chains v0.24.0 write, in
// Chains' own envelope, is verified here at Build L2.
func TestTektonChains(t *testing.T) {
	chains := tool(t, "chains", ".")
	_, private, _, key := keyPair(t, t.TempDir(), sign.ECDSAP256)
	trust, id := trustIn(t, key)
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	app := provenance.Artifact{Name: "app", Digests: provenance.DigestSet{provenance.MustDigest(appDigest)}}
	for format, predicateType := range map[string]string{"slsa/v1": predicate.TypeSLSAProvenanceV02, "slsa/v2alpha4": predicate.TypeSLSAProvenance} {
		out, err := chains([]byte(taskRun), format, private, "https://tekton.dev/chains/v2")
		if err != nil {
			t.Fatalf("%s: %v", format, err)
		}
		st, err := verify.Open([]byte(out), trust, now)
		if err != nil {
			t.Fatalf("%s: %v\n%s", format, err, out)
		}
		if st.Statement().PredicateType() != predicateType {
			t.Errorf("%s: %s", format, st.Statement().PredicateType())
		}
		want := slsa.Expectations{SourceURI: "github.com/octo/app", Commit: "c27d339ee6075c1f744c5d4b200f7901aad2c369", AllowKnownParameters: true}
		r, err := slsa.Verify(st, app, slsa.TektonChains(id, ""), want)
		if err != nil {
			t.Errorf("%s: %v\n%s", format, err, st.Statement().Payload())
			continue
		}
		if r.Level() != 2 || r.Format() != slsa.FormatTekton {
			t.Errorf("%s: level %d, format %s", format, r.Level(), r.Format())
		}
		flow, err := predicate.FlowOf(st.Statement())
		if err != nil || len(flow.Materials) < 2 {
			t.Errorf("%s: %v, %v", format, flow, err)
		}
		for name, change := range map[string]func(*slsa.Expectations){
			"source": func(w *slsa.Expectations) { w.SourceURI = "github.com/octo/tasks" },
			"commit": func(w *slsa.Expectations) { w.Commit = "d4a6e92b7c1f744c5d4b200f7901aad2c369c27d" },
			"level":  func(w *slsa.Expectations) { w.Level = 3 },
		} {
			w := want
			change(&w)
			if _, err := slsa.Verify(st, app, slsa.TektonChains(id, ""), w); err == nil {
				t.Errorf("%s: another %s passed", format, name)
			}
		}
		if _, err := slsa.Verify(st, app, slsa.TektonChains(id, "https://tekton.example.com/chains"), want); err == nil {
			t.Errorf("%s: another builder.id passed", format)
		}
	}
}

// TestWitness: what go-witness v0.8.6 records of a command is read here with
// its materials and products, and what is signed here go-witness verifies.
func TestWitness(t *testing.T) {
	witness := tool(t, "witness", ".")
	for _, scheme := range []sign.Scheme{sign.ECDSAP256, sign.Ed25519} {
		t.Run(string(scheme), func(t *testing.T) {
			signer, private, public, key := keyPair(t, t.TempDir(), scheme)
			trust, _ := trustIn(t, key)
			dir := t.TempDir()
			for _, args := range [][]string{{"init", "-q"}, {"add", "."}, {"-c", "user.name=n", "-c", "user.email=e@example.com", "commit", "-q", "-m", "m"}} {
				if args[0] == "add" {
					if err := os.WriteFile(filepath.Join(dir, "main.c"), []byte("int main;"), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				if out, err := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir}, args...)...).CombinedOutput(); err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
			}
			out, err := witness(nil, "run", private, dir, "sh", "-c", "echo built > app")
			if err != nil {
				t.Fatal(err)
			}
			st, err := verify.Open([]byte(out), trust, time.Now())
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			w, err := predicate.ParseWitnessCollection(st.Statement().Predicate())
			if err != nil {
				t.Fatalf("%v\n%s", err, st.Statement().Predicate())
			}
			built, err := provenance.DigestFile(t.Context(), filepath.Join(dir, "app"))
			if err != nil {
				t.Fatal(err)
			}
			isApp := func(r provenance.ResourceDescriptor) bool { return r.Name == "app" && r.Digest.Matches(built.Digests) }
			if w.Name != "build" || len(w.Commands) != 1 || len(w.Git) != 1 || len(w.Environments) != 1 ||
				!slices.ContainsFunc(w.Products, isApp) || !slices.ContainsFunc(w.Materials, func(r provenance.ResourceDescriptor) bool { return r.Name == "main.c" }) {
				t.Errorf("%+v", w)
			}
			flow, err := predicate.FlowOf(st.Statement())
			if err != nil || len(flow.Materials) == 0 {
				t.Errorf("%v, %v", flow, err)
			}
			if !slices.ContainsFunc(st.Statement().Subjects(), func(r provenance.ResourceDescriptor) bool { return r.Digest.Matches(built.Digests) }) {
				t.Errorf("the product is no subject: %v", st.Statement().Subjects())
			}

			ours, err := (&predicate.Link{Name: "build"}).Statement([]provenance.ResourceDescriptor{built.Descriptor()})
			if err != nil {
				t.Fatal(err)
			}
			envelope, err := sign.Statement(t.Context(), ours, signer)
			if err != nil {
				t.Fatal(err)
			}
			out, err = witness(envelope, "verify", public)
			if err != nil {
				t.Fatal(err)
			}
			var said struct {
				Type     string
				Subjects []string
			}
			if err := json.Unmarshal([]byte(out), &said); err != nil || said.Type != predicate.TypeLink || !slices.Equal(said.Subjects, []string{"app"}) {
				t.Errorf("%s, %v", out, err)
			}
			var e map[string]any
			if err := json.Unmarshal(envelope, &e); err != nil {
				t.Fatal(err)
			}
			payload, err := base64.StdEncoding.DecodeString(e["payload"].(string))
			if err != nil {
				t.Fatal(err)
			}
			e["payload"] = base64.StdEncoding.EncodeToString(bytes.Replace(payload, []byte(`"app"`), []byte(`"abb"`), 1))
			changed, err := json.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := witness(changed, "verify", public); err == nil {
				t.Error("go-witness verified a changed statement")
			}
		})
	}
}
