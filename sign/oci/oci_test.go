package oci_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/predicate"
	"github.com/hallmark-build/hallmark/sign"
	"github.com/hallmark-build/hallmark/sign/oci"
	"github.com/hallmark-build/hallmark/sign/sigstore"
	"github.com/hallmark-build/hallmark/verify"
)

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, data, 0o644)); err != nil {
		t.Fatal(err)
	}
}

func digestOf(data []byte) provenance.Digest {
	sum := sha256.Sum256(data)
	return provenance.MustDigest("sha256:" + hex.EncodeToString(sum[:]))
}

func addBlob(t testing.TB, layout string, data []byte) provenance.Digest {
	t.Helper()
	d := digestOf(data)
	write(t, filepath.Join(layout, "blobs", "sha256", d.Value()), data)
	return d
}

// newLayout makes an image layout with one image, and something in index.json
// that nobody here knows.
func newLayout(t testing.TB) (layout string, image provenance.Digest) {
	t.Helper()
	layout = t.TempDir()
	write(t, filepath.Join(layout, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`))
	config := addBlob(t, layout, []byte(`{"architecture":"amd64","os":"linux"}`))
	m := fmt.Sprintf(`{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":%q,"size":37},"layers":[]}`, config)
	image = addBlob(t, layout, []byte(m))
	write(t, filepath.Join(layout, "index.json"), fmt.Appendf(nil,
		`{"schemaVersion":2,"annotations":{"kept":"yes"},"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":%q,"size":%d,"annotations":{"org.opencontainers.image.ref.name":"v1"}}]}`, image, len(m)))
	return layout, image
}

func signer(t testing.TB) sign.Signer {
	t.Helper()
	key, err := sign.GenerateKey(sign.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	s, err := sign.NewSigner(key, "")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func envelope(t testing.TB, predicateType string, subject provenance.Digest) []byte {
	t.Helper()
	st, err := provenance.NewStatement([]provenance.ResourceDescriptor{{Digest: provenance.DigestSet{subject}}}, predicateType, map[string]any{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := sign.Statement(t.Context(), st, signer(t))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestMediaOf(t *testing.T) {
	subject := digestOf([]byte("app"))
	policy, err := sign.Envelope(t.Context(), verify.PolicyPayloadType, []byte("name: x"), signer(t))
	if err != nil {
		t.Fatal(err)
	}
	const bundle = `{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{},`
	for _, c := range []struct {
		document, want, predicate string
	}{
		{string(envelope(t, predicate.TypeSLSAProvenance, subject)), "application/vnd.in-toto.provenance+dsse", predicate.TypeSLSAProvenance},
		{string(envelope(t, predicate.TypeSLSAProvenanceV02, subject)), "application/vnd.in-toto.provenance+dsse", predicate.TypeSLSAProvenanceV02},
		{string(envelope(t, predicate.TypeVSA, subject)), "application/vnd.in-toto.vsa+dsse", predicate.TypeVSA},
		{string(envelope(t, predicate.TypeSPDXV23, subject)), "application/vnd.in-toto.spdx+dsse", predicate.TypeSPDXV23},
		{string(envelope(t, "https://slsa.dev/provenance/v1.0", subject)), oci.TypeEnvelope, "https://slsa.dev/provenance/v1.0"},
		{string(envelope(t, predicate.TypeScan, subject)), oci.TypeEnvelope, predicate.TypeScan},
		{string(policy), oci.TypeEnvelope, ""},
		{bundle + `"dsseEnvelope":` + string(envelope(t, predicate.TypeLink, subject)) + `}`, oci.TypeSigstoreBundle, predicate.TypeLink},
		{bundle + `"messageSignature":{}}`, oci.TypeSigstoreBundle, ""},
		{`{"bomFormat":"CycloneDX","specVersion":"1.6"}`, oci.TypeCycloneDX, ""},
		{`{"spdxVersion":"SPDX-2.3"}`, oci.TypeSPDX, ""},
	} {
		m, err := oci.MediaOf([]byte(c.document))
		if err != nil || m.Type != c.want {
			t.Errorf("%s: %v, %v, want %s", c.document, m, err, c.want)
		}
		if got := m.Annotations["in-toto.io/predicate-type"] + m.Annotations["dev.sigstore.bundle.predicateType"]; got != c.predicate {
			t.Errorf("%s: predicate type %q, want %q", c.document, got, c.predicate)
		}
	}
	if oci.TypeSigstoreBundle != sigstore.MediaType {
		t.Error("not the type of bundles that are written here")
	}
	for _, document := range []string{
		``, `[]`, `{}`, `null`, `{"mediaType":"application/vnd.dev.sigstore.bundle+json;version=0.2","dsseEnvelope":{}}`, bundle + `"dsseEnvelope":{}}`, bundle[:len(bundle)-1] + `}`,
		`{"payloadType":"application/vnd.in-toto+json","payload":"e30=","signatures":[{"sig":"AA=="}]}`,
		`{"payloadType":"application/vnd.in-toto+json"}`, `{"bomFormat":"CycloneDX","bomFormat":"x"}`, `{"bomFormat":"cyclonedx"}`, `{"spdxVersion":"SPDX-3.0"}`, `{"spdxVersion":"SPDX-2.3"} {}`,
	} {
		m, err := oci.MediaOf([]byte(document))
		if fe, ok := errors.AsType[*provenance.FormatError](err); !ok || fe.Reason != oci.ReasonDocument {
			t.Errorf("%s: %v, %v", document, m, err)
		}
	}
}

type manifest struct {
	MediaType, ArtifactType string
	Config, Subject         struct {
		MediaType, Digest string
		Size              int64
	}
	Layers []struct {
		MediaType, Digest string
		Size              int64
	}
	Manifests []struct {
		MediaType, Digest, ArtifactType string
		Annotations                     map[string]string
		Size                            int64
	}
	Annotations map[string]string
}

func readManifest(t *testing.T, path string) (m manifest, data []byte) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	return m, data
}

func TestAttach(t *testing.T) {
	layout, image := newLayout(t)
	documents := [][]byte{envelope(t, predicate.TypeVSA, image), []byte(`{"bomFormat":"CycloneDX"}`)}
	made, err := oci.Attach(t.Context(), layout, image, documents...)
	if err != nil || len(made) != 2 {
		t.Fatal(made, err)
	}
	index, before := readManifest(t, filepath.Join(layout, "index.json"))
	if len(index.Manifests) != 3 || index.Annotations["kept"] != "yes" || index.Manifests[0].Annotations["org.opencontainers.image.ref.name"] != "v1" {
		t.Fatalf("index %+v", index)
	}
	for i, want := range []string{"application/vnd.in-toto.vsa+dsse", oci.TypeCycloneDX} {
		d := index.Manifests[i+1]
		if d.ArtifactType != want || d.Digest != made[i].String() {
			t.Errorf("descriptor %+v", d)
		}
		m, data := readManifest(t, filepath.Join(layout, "blobs", "sha256", made[i].Value()))
		if digestOf(data) != made[i] || d.Size != int64(len(data)) || m.ArtifactType != want || m.Subject.Digest != image.String() ||
			m.Config.MediaType != "application/vnd.oci.empty.v1+json" || m.Config.Size != 2 || len(m.Layers) != 1 || m.Layers[0].MediaType != want {
			t.Errorf("manifest %s", data)
		}
		if blob, err := os.ReadFile(filepath.Join(layout, "blobs", "sha256", strings.TrimPrefix(m.Layers[0].Digest, "sha256:"))); err != nil || string(blob) != string(documents[i]) {
			t.Errorf("document %d: %v", i, err)
		}
	}
	// Once more changes nothing, and a blob that was spoiled is written again.
	if err := os.WriteFile(filepath.Join(layout, "blobs", "sha256", made[0].Value()), []byte("spoiled"), 0o644); err != nil {
		t.Fatal(err)
	}
	again, err := oci.Attach(t.Context(), layout, image, documents...)
	if err != nil || again[0] != made[0] || again[1] != made[1] {
		t.Error(again, err)
	}
	if _, after := readManifest(t, filepath.Join(layout, "index.json")); string(after) != string(before) {
		t.Errorf("index.json changed:\n%s", after)
	}
	if _, data := readManifest(t, filepath.Join(layout, "blobs", "sha256", made[0].Value())); digestOf(data) != made[0] {
		t.Error("the spoiled blob is still there")
	}
	// The layout is still one package: the image. What is attached is not in it.
	contents, err := verify.ReadContents(t.Context(), layout)
	if err != nil {
		t.Fatal(err)
	}
	if a, ok := contents.Image(); !ok || a.Digests.Get(provenance.SHA256) != image || len(contents.Members()) != 1 {
		t.Errorf("image %v, members %v", a, contents.Members())
	}
}

func TestAttachAtOnce(t *testing.T) {
	layout, image := newLayout(t)
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			if _, err := oci.Attach(context.Background(), layout, image, fmt.Appendf(nil, `{"bomFormat":"CycloneDX","version":%d}`, i)); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if index, _ := readManifest(t, filepath.Join(layout, "index.json")); len(index.Manifests) != 9 {
		t.Errorf("%d manifests", len(index.Manifests))
	}
}

func TestAttachRefuses(t *testing.T) {
	bom := []byte(`{"bomFormat":"CycloneDX"}`)
	for name, c := range map[string]struct {
		change    func(layout string, image *provenance.Digest)
		documents [][]byte
		reason    string
	}{
		"nothing":          {nil, nil, oci.ReasonDocument},
		"no document":      {nil, [][]byte{bom, []byte("{}")}, oci.ReasonDocument},
		"another image":    {func(_ string, d *provenance.Digest) { *d = digestOf(nil) }, [][]byte{bom}, oci.ReasonLayout},
		"an image by sha1": {func(_ string, d *provenance.Digest) { *d = provenance.MustDigest("sha1:" + strings.Repeat("a", 40)) }, [][]byte{bom}, oci.ReasonLayout},
		"the zero image":   {func(_ string, d *provenance.Digest) { *d = provenance.Digest{} }, [][]byte{bom}, oci.ReasonLayout},
		"a spoiled image": {func(l string, d *provenance.Digest) {
			write(t, filepath.Join(l, "blobs/sha256", d.Value()), []byte("{}"))
		}, [][]byte{bom}, oci.ReasonLayout},
		"a blob, no image":   {func(l string, d *provenance.Digest) { *d = addBlob(t, l, []byte(`{}`)) }, [][]byte{bom}, oci.ReasonLayout},
		"an image and index": {func(l string, d *provenance.Digest) { *d = addBlob(t, l, []byte(`{"config":{},"manifests":[]}`)) }, [][]byte{bom}, oci.ReasonLayout},
		"no marker":          {func(l string, _ *provenance.Digest) { os.Remove(filepath.Join(l, "oci-layout")) }, [][]byte{bom}, oci.ReasonLayout},
		"another version": {func(l string, _ *provenance.Digest) {
			write(t, filepath.Join(l, "oci-layout"), []byte(`{"imageLayoutVersion":"2.0.0"}`))
		}, [][]byte{bom}, oci.ReasonLayout},
		"a bad index": {func(l string, _ *provenance.Digest) {
			write(t, filepath.Join(l, "index.json"), []byte(`{"manifests":[],"manifests":[]}`))
		}, [][]byte{bom}, oci.ReasonLayout},
		"an index of others": {func(l string, _ *provenance.Digest) {
			write(t, filepath.Join(l, "index.json"), []byte(`{"manifests":{}}`))
		}, [][]byte{bom}, oci.ReasonLayout},
		"a full index": {func(l string, _ *provenance.Digest) {
			write(t, filepath.Join(l, "index.json"), []byte(`{"manifests":[`+strings.Repeat(`{},`, 1023)+`{}]}`))
		}, [][]byte{bom}, oci.ReasonLayout},
	} {
		t.Run(name, func(t *testing.T) {
			layout, image := newLayout(t)
			if c.change != nil {
				c.change(layout, &image)
			}
			before, err := os.ReadFile(filepath.Join(layout, "index.json"))
			if err != nil {
				t.Fatal(err)
			}
			made, err := oci.Attach(t.Context(), layout, image, c.documents...)
			if fe, ok := errors.AsType[*provenance.FormatError](err); !ok || fe.Reason != c.reason || made != nil {
				t.Errorf("%v, %v", made, err)
			}
			if after, _ := os.ReadFile(filepath.Join(layout, "index.json")); string(after) != string(before) {
				t.Errorf("index.json changed:\n%s", after)
			}
		})
	}
	if _, err := oci.Attach(t.Context(), filepath.Join(t.TempDir(), "nowhere"), digestOf(nil), bom); err == nil {
		t.Error("attached in no layout")
	}
}

func FuzzMediaOf(f *testing.F) {
	f.Add([]byte(`{"bomFormat":"CycloneDX"}`))
	f.Add([]byte(`{"spdxVersion":"SPDX-2.3"}`))
	f.Add([]byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","messageSignature":{}}`))
	f.Add(envelope(f, predicate.TypeVSA, digestOf(nil)))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := oci.MediaOf(data)
		if (m.Type == "") != (err != nil) {
			t.Fatal(m, err)
		}
	})
}

func ExampleMediaOf() {
	key, err := sign.GenerateKey("")
	if err != nil {
		log.Fatal(err)
	}
	signer, err := sign.NewSigner(key, "")
	if err != nil {
		log.Fatal(err)
	}
	image := provenance.ResourceDescriptor{Digest: provenance.DigestSet{provenance.MustDigest("sha256:b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c")}}
	st, err := (&predicate.Link{Name: "build"}).Statement([]provenance.ResourceDescriptor{image})
	if err != nil {
		log.Fatal(err)
	}
	document, err := sign.Statement(context.Background(), st, signer)
	if err != nil {
		log.Fatal(err)
	}

	media, err := oci.MediaOf(document)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(media.Type)
	for k, v := range media.Annotations {
		fmt.Println(k, v)
	}
	// Output:
	// application/vnd.in-toto.link+dsse
	// in-toto.io/predicate-type https://in-toto.io/attestation/link/v0.3
}
