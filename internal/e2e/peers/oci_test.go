package peers

import (
	"io"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/olareg/olareg"
	"github.com/olareg/olareg/config"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/predicate"
	"github.com/hallmark-build/hallmark/sign"
	"github.com/hallmark-build/hallmark/sign/oci"
)

// TestReferrers attaches documents to an image in a layout that
// go-containerregistry made; it finds the layout valid and pushes it, and
// olareg lists what is attached among the image's referrers, by type.
func TestReferrers(t *testing.T) {
	dir := t.TempDir()
	image, err := random.Image(1024, 2)
	if err != nil {
		t.Fatal(err)
	}
	path, err := layout.Write(dir, empty.Index)
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
	subject := provenance.MustDigest("sha256:" + hash.Hex)
	_, signer := newSigner(t, sign.ECDSAP256)
	st, err := (&predicate.Link{Name: "build"}).Statement([]provenance.ResourceDescriptor{{Digest: provenance.DigestSet{subject}}})
	if err != nil {
		t.Fatal(err)
	}
	envelope, err := sign.Statement(t.Context(), st, signer)
	if err != nil {
		t.Fatal(err)
	}
	documents := [][]byte{
		envelope,
		[]byte(`{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{},"dsseEnvelope":` + string(envelope) + `}`),
		[]byte(`{"bomFormat":"CycloneDX","specVersion":"1.6"}`),
		[]byte(`{"spdxVersion":"SPDX-2.3"}`),
	}
	types := []string{"application/vnd.in-toto.link+dsse", oci.TypeSigstoreBundle, oci.TypeCycloneDX, oci.TypeSPDX}
	if _, err := oci.Attach(t.Context(), dir, subject, documents...); err != nil {
		t.Fatal(err)
	}

	if path, err = layout.FromPath(dir); err != nil {
		t.Fatal(err)
	}
	index, err := path.ImageIndex()
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index, validate.Fast); err != nil {
		t.Errorf("go-containerregistry finds the layout invalid: %v", err)
	}
	// The registry in go-containerregistry's tests takes the type of a referrer from
	// its configuration; olareg takes it from artifactType, as the specification says.
	reg := olareg.New(config.Config{Storage: config.ConfigStorage{StoreType: config.StoreMem}})
	defer reg.Close()
	server := httptest.NewServer(reg)
	defer server.Close()
	repo, err := name.NewRepository(strings.TrimPrefix(server.URL, "http://") + "/app")
	if err != nil {
		t.Fatal(err)
	}
	manifests, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range manifests.Manifests {
		img, err := path.Image(d.Digest)
		if err != nil {
			t.Fatal(err)
		}
		if err := remote.Write(repo.Digest(d.Digest.String()), img); err != nil {
			t.Fatal(err)
		}
	}
	referrers, err := remote.Referrers(repo.Digest(hash.String()))
	if err != nil {
		t.Fatal(err)
	}
	list, err := referrers.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range list.Manifests {
		got = append(got, d.ArtifactType)
		img, err := remote.Image(repo.Digest(d.Digest.String()))
		if err != nil {
			t.Fatal(err)
		}
		layers, err := img.Layers()
		if err != nil || len(layers) != 1 {
			t.Fatal(layers, err)
		}
		r, err := layers[0].Compressed()
		if err != nil {
			t.Fatal(err)
		}
		document, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if i := slices.Index(types, d.ArtifactType); i < 0 || string(document) != string(documents[i]) {
			t.Errorf("%s: %s", d.ArtifactType, document)
		}
	}
	slices.Sort(got)
	if want := slices.Sorted(slices.Values(types)); !slices.Equal(got, want) {
		t.Errorf("referrers %q, want %q", got, want)
	}
}
