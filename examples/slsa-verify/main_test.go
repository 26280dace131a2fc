package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/provenance"
)

const data = "../../../shared/data/"

var at = time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)

func invoke(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = (&program{t.Context(), &o, &e, at}).run(args)
	return code, o.String(), e.String()
}

func expect(t *testing.T, want int, text string, args ...string) {
	t.Helper()
	code, out, errs := invoke(t, args...)
	if code != want || !strings.Contains(out+errs, text) {
		t.Errorf("%s\nexits with %d, want %d and %q:\n%s%s", strings.Join(args, " "), code, want, text, out, errs)
	}
}

func TestReal(t *testing.T) {
	if _, err := os.Stat(data + "slsa-real"); err != nil {
		t.Skip("the shared data is not there")
	}
	const passed = "PASSED: SLSA verification passed"
	root := []string{"--trusted-root", data + "trust/trusted_root.public-good.2026-08.json"}
	for _, c := range []struct {
		base  []string
		wrong [][]string
	}{{
		base: []string{"verify-artifact", data + "slsa-real/maven/binary-linux-amd64-push-v14.2", "--provenance-path", data + "slsa-real/maven/binary-linux-amd64-push-v14.2.build.slsa",
			"--source-uri", "github.com/slsa-framework/example-package"},
		wrong: [][]string{{"--source-tag", "v14"}, {"--source-versioned-tag", "v15"}, {"--source-branch", "dev"}, {"--build-workflow-input", "a=b"},
			{"--builder-id", "https://github.com/slsa-framework/slsa-github-generator/.github/workflows/builder_go_slsa3.yml"}, {"--source-uri", "github.com/octo/app"}},
	}, {
		base: []string{"verify-artifact", "--provenance-path", data + "slsa-real/container-based/binary-linux-amd64-push-v14.2.intoto.build.slsa",
			"--source-uri", "github.com/slsa-framework/example-package", data + "slsa-real/container-based/binary-linux-amd64-push-v14.2", "--source-tag=v14.2", "--source-branch=main", "--source-versioned-tag=v14"},
		wrong: [][]string{{"--source-tag", "v14.3"}, {"--source-uri", "github.com/slsa-framework/example"}},
	}, {
		base: []string{"verify-github-attestation", data + "slsa-real/bcr/MODULE.bazel", "--attestation-path", data + "slsa-real/bcr/MODULE.bazel.intoto.jsonl",
			"--source-uri", "github.com/aspect-build/rules_lint", "--builder-id", "https://github.com/bazel-contrib/publish-to-bcr/.github/workflows/publish.yaml"},
		wrong: [][]string{{"--builder-id", "https://github.com/bazel-contrib/publish-to-bcr/.github/workflows/publish.yaml@refs/tags/v0.0.2"}, {"--source-tag", "v1"},
			{"--attestation-path", data + "slsa-real/bcr/MODULE-wrong-signer.bazel.intoto.jsonl"}, {"--attestation-path", data + "slsa-real/bcr/rules_lint-v1.3.1.tar.gz.intoto.jsonl"}},
	}, {
		base: []string{"verify-npm-package", data + "slsa-real/npm/supreme-googles-cli-v02-tag.tgz", "--attestations-path", data + "slsa-real/npm/supreme-googles-cli-v02-tag.tgz.json",
			"--npm-keys", data + "trust/npm-keys.json", "--package-name", "@trishankatdatadog/supreme-goggles", "--package-version", "1.0.5",
			"--source-uri", "github.com/trishankatdatadog/supreme-goggles", "--builder-id", "https://github.com/actions/runner/github-hosted"},
		wrong: [][]string{{"--package-name", "supreme-goggles"}, {"--package-version", "1.0.6"}, {"--source-tag", "v1.0.4"},
			{"--attestations-path", data + "slsa-real/npm/provenance-npm-test-cli-v1-prega.tgz.json"}},
	}} {
		expect(t, 0, passed, append(c.base, root...)...)
		for _, w := range c.wrong {
			expect(t, 1, "FAILED: SLSA verification failed", append(append(c.base, root...), w...)...)
		}
		expect(t, 2, "--trusted-root is required", c.base...)
	}
	// Of several artifacts, one that is refused refuses all.
	expect(t, 1, "FAILED", append([]string{"verify-artifact", data + "slsa-real/maven/binary-linux-amd64-push-v14.2", data + "slsa-real/npm/supreme-googles-cli-v02-tag.tgz",
		"--provenance-path", data + "slsa-real/maven/binary-linux-amd64-push-v14.2.build.slsa", "--source-uri", "github.com/slsa-framework/example-package"}, root...)...)
	// The provenance that was verified is what is printed.
	_, out, _ := invoke(t, append([]string{"verify-github-attestation", data + "slsa-real/bcr/MODULE.bazel", "--attestation-path", data + "slsa-real/bcr/MODULE.bazel.intoto.jsonl",
		"--source-uri", "github.com/aspect-build/rules_lint", "--builder-id", "https://github.com/bazel-contrib/publish-to-bcr/.github/workflows/publish.yaml", "--print-provenance"}, root...)...)
	if st, err := provenance.ParseStatement([]byte(strings.TrimSpace(out))); err != nil || len(st.Subjects()) != 1 {
		t.Errorf("printed %q: %v", out, err)
	}

	vsa := []string{"verify-vsa", "--attestation-path", data + "slsa-real/vsa/gke-gce-pre.bcid-vsa.jsonl", "--verifier-id", "https://bcid.corp.google.com/verifier/bcid_package_enforcer/v0.1",
		"--resource-uri", "gce_image://gke-node-images:gke-12615-gke1418000-cos-101-17162-463-29-c-cgpv1-pre", "--subject-digest", "gce_image_id:8970095005306000053",
		"--verified-level", "BCID_L1", "--verified-level", "SLSA_BUILD_LEVEL_2", "--public-key-path", data + "slsa-real/vsa/vsa_signing_public_key.pem",
		"--public-key-id", "keystore://76574:prod:vsa_signing_public_key", "--public-key-signing-hash-algo", "SHA256"}
	expect(t, 0, passed, vsa...)
	for _, w := range [][]string{{"--verified-level", "SLSA_BUILD_LEVEL_3"}, {"--verified-level", "SLSA_SOURCE_LEVEL_1"}, {"--subject-digest", "gce_image_id:1"},
		{"--resource-uri", "gce_image://x"}, {"--verifier-id", "https://bcid.corp.google.com/"}} {
		expect(t, 1, "FAILED", append(vsa, w...)...)
	}
	expect(t, 2, "", append(vsa, "--public-key-signing-hash-algo", "SHA512")...)

	// An image layout with an attestation attached: the module file plays the image.
	layout := t.TempDir()
	image, _ := os.ReadFile(data + "slsa-real/bcr/MODULE.bazel")
	bundle, _ := os.ReadFile(data + "slsa-real/bcr/MODULE.bazel.intoto.jsonl")
	digest := put(t, layout, image)
	attached := put(t, layout, bundle)
	referrer := put(t, layout, marshal(manifest{Subject: &descriptor{Digest: digest}, Layers: []descriptor{{MediaType: "application/vnd.dev.sigstore.bundle.v0.3+json", Digest: attached}}}))
	write(t, filepath.Join(layout, "index.json"), marshal(manifest{Manifests: []descriptor{{Digest: digest}, {Digest: referrer}}}))
	args := append([]string{"verify-image", layout + "@" + digest, "--source-uri", "github.com/aspect-build/rules_lint"}, root...)
	expect(t, 0, passed, args...)
	expect(t, 1, "FAILED", append(args, "--source-tag", "v1")...)
	write(t, filepath.Join(layout, "blobs", "sha256", strings.TrimPrefix(attached, "sha256:")), append(bundle, ' '))
	expect(t, 2, "another digest", args...)
}

// What cosign attached before referrers hangs on a tag, and its certificate and
// log entry on annotations of the layer.
func TestImageAttachedByTag(t *testing.T) {
	layout := t.TempDir()
	image, other := put(t, layout, []byte(`{"layers":[]}`)), put(t, layout, []byte(`{"layers":[{}]}`))
	envelope := put(t, layout, []byte(`{"payloadType":"application/vnd.in-toto+json","payload":"e30=","signatures":[{"sig":"MA=="}]}`))
	attached := func(annotations map[string]string) {
		att := put(t, layout, marshal(manifest{Layers: []descriptor{{MediaType: "application/vnd.dsse.envelope.v1+json", Digest: envelope, Annotations: annotations}}}))
		write(t, filepath.Join(layout, "index.json"), marshal(manifest{Manifests: []descriptor{{Digest: image},
			{Digest: att, Annotations: map[string]string{"org.opencontainers.image.ref.name": "example.com/app:" + strings.Replace(image, ":", "-", 1) + ".att"}}}}))
	}
	attached(map[string]string{"dev.sigstore.cosign/bundle": `{"SignedEntryTimestamp":"MA==","Payload":{"body":"eyJhcGlWZXJzaW9uIjoiMC4wLjEiLCJraW5kIjoiZHNzZSJ9","integratedTime":1,"logIndex":1,"logID":"00"}}`})
	got, evidence, err := find(layout, "")
	if err != nil || got != image || len(evidence) != 1 || !bytes.Contains(evidence[0], []byte("verificationMaterial")) {
		t.Errorf("%s, %v, %s", got, err, evidence)
	}
	attached(map[string]string{"predicateType": "x"}) // too little: the envelope as it is
	if _, evidence, err = find(layout, ""); err != nil || len(evidence) != 1 || bytes.Contains(evidence[0], []byte("verificationMaterial")) {
		t.Errorf("%v, %s", err, evidence)
	}
	write(t, filepath.Join(layout, "index.json"), marshal(manifest{Manifests: []descriptor{{Digest: other}}}))
	if _, evidence, err = find(layout, ""); err != nil || len(evidence) != 0 {
		t.Errorf("%v, %s", err, evidence)
	}
}

func marshal(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func put(t *testing.T, layout string, data []byte) string {
	t.Helper()
	sum := sha256.Sum256(data)
	write(t, filepath.Join(layout, "blobs", "sha256", hex.EncodeToString(sum[:])), data)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func TestCloudBuildImage(t *testing.T) {
	layout := t.TempDir()
	digest := put(t, layout, []byte(`{"layers":[]}`))
	write(t, filepath.Join(layout, "index.json"), marshal(manifest{Manifests: []descriptor{{Digest: digest}}}))
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, _ := x509.MarshalPKIXPublicKey(&key.PublicKey)
	keyFile := filepath.Join(layout, "key.pem")
	write(t, keyFile, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	payload := fmt.Appendf(nil, `{"_type":"https://in-toto.io/Statement/v0.1","subject":[{"name":"i","digest":{"sha256":%q}}],"predicateType":"https://slsa.dev/provenance/v0.1",
		"predicate":{"builder":{"id":"https://cloudbuild.googleapis.com/GoogleHostedWorker@v0.3"},"recipe":{"type":"https://cloudbuild.googleapis.com/CloudBuildYaml@v0.1",
		"arguments":{"@type":"x","substitutions":{"TAG_NAME":"v1.0.0"}}},"materials":[{"uri":"https://github.com/octo/app","digest":{"sha1":"0123456789abcdef0123456789abcdef01234567"}}]}}`,
		strings.TrimPrefix(digest, "sha256:"))
	sum := sha256.Sum256(payload)
	sig, err := ecdsa.SignASN1(rand.Reader, key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(layout, "provenance.json")
	write(t, file, marshal(map[string]any{"provenance_summary": map[string]any{"provenance": []any{map[string]any{
		"envelope": map[string]any{"payload": payload, "payloadType": provenance.PayloadType, "signatures": []any{map[string]any{"sig": sig}}}}}}}))
	args := []string{"verify-image", layout, "--provenance-path", file, "--cloud-build-key", keyFile, "--source-uri", "github.com/octo/app", "--source-tag", "v1.0.0"}
	expect(t, 0, "PASSED: SLSA verification passed", args...)
	expect(t, 1, "FAILED", append(args, "--source-tag", "v1.0.1")...)
	expect(t, 2, "no image", append([]string{"verify-image", layout + "@sha256:" + strings.Repeat("0", 64)}, args[2:]...)...)
	expect(t, 1, "no attestation is attached", "verify-image", layout, "--cloud-build-key", keyFile, "--source-uri", "github.com/octo/app")
}

func TestUsage(t *testing.T) {
	expect(t, 2, "usage: slsa-verify")
	expect(t, 2, "usage: slsa-verify", "verify")
	expect(t, 0, "slsa-verify", "version")
	expect(t, 0, "usage: slsa-verify", "-h")
	expect(t, 0, "usage: slsa-verify verify-artifact", "verify-artifact", "-h")
	expect(t, 2, "--provenance-path is required", "verify-artifact", "x")
	expect(t, 2, "not defined", "verify-vsa", "--no-such-flag")
	expect(t, 2, "want KEY=VALUE", "verify-artifact", "x", "--provenance-path", "x", "--source-uri", "x", "--trusted-root", "x", "--build-workflow-input", "x")
	expect(t, 2, "no such file", "verify-artifact", "x", "--provenance-path", "x", "--source-uri", "x", "--trusted-root", "no-such-file")
}
