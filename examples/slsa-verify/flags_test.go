package main

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/hallmark-build/hallmark/internal/sigstore/sigstoretest"
	"github.com/hallmark-build/hallmark/provenance"
)

// A flag that is given and empty, as an unset variable of a script leaves it,
// asks for something that nothing is: it is not as if it were not given.
func TestEdge12_EmptyFlags(t *testing.T) {
	content := []byte(`{"schemaVersion":2}`) // a manifest, too
	w := sigstoretest.New("flags.test")
	dir := t.TempDir()
	artifact, root, bundle := filepath.Join(dir, "app"), filepath.Join(dir, "root.json"), filepath.Join(dir, "app.intoto.jsonl")
	write(t, artifact, content)
	write(t, root, w.RootDoc().JSON())
	a, err := provenance.DigestReader(t.Context(), "app", bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	digest := `{"sha256":"` + a.Digests.Get(provenance.SHA256).Value() + `"}`
	attested := []byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"app","digest":` + digest + `}],
		"predicateType":"https://slsa.dev/provenance/v1","predicate":{"buildDefinition":{
		"buildType":"https://actions.github.io/buildtypes/workflow/v1",
		"externalParameters":{"workflow":{"ref":"refs/heads/main","repository":"https://github.com/octo/app","path":".github/workflows/release.yml"}}},
		"runDetails":{"builder":{"id":"` + sigstoretest.SAN + `"}}}}`)
	write(t, bundle, w.Sign(sigstoretest.Spec{Content: attested, At: at.AddDate(0, 0, -1)}).Doc.JSON())
	base := []string{"verify-github-attestation", artifact, "--attestation-path", bundle, "--trusted-root", root,
		"--source-uri", "github.com/octo/app", "--builder-id", "https://github.com/octo/app/.github/workflows/release.yml"}
	expect(t, 0, "PASSED", base...)
	expect(t, 0, "PASSED", append(base, "--source-branch", "main")...)
	expect(t, 1, "FAILED", append(base, "--source-branch", "dev")...)
	for _, name := range []string{"source-branch", "source-tag", "source-versioned-tag", "builder-id", "source-uri", "trusted-root", "attestation-path", "build-workflow-input"} {
		expect(t, 2, "--"+name, append(base, "--"+name+"=")...)
	}
	expect(t, 2, "twice", append(base, "--build-workflow-input", "a=1", "--build-workflow-input", "a=2")...)
	expect(t, 2, "", append(base, "--source-uri", "git+")...)

	// Of an image, an empty digest is none that was left out.
	layout := t.TempDir()
	image := put(t, layout, content)
	attached := put(t, layout, w.Sign(sigstoretest.Spec{Content: attested, At: at.AddDate(0, 0, -1)}).Doc.JSON())
	referrer := put(t, layout, marshal(manifest{Subject: &descriptor{Digest: image}, Layers: []descriptor{{MediaType: "application/vnd.dev.sigstore.bundle.v0.3+json", Digest: attached}}}))
	write(t, filepath.Join(layout, "index.json"), marshal(manifest{Manifests: []descriptor{{Digest: image}, {Digest: referrer}}}))
	args := []string{"--source-uri", "github.com/octo/app", "--trusted-root", root}
	expect(t, 0, "PASSED", append([]string{"verify-image", layout + "@" + image}, args...)...)
	expect(t, 2, "no digest", append([]string{"verify-image", layout + "@"}, args...)...)
}
