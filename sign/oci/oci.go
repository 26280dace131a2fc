// Package oci stores attestations and SBOMs beside container images: it says
// what a document is to an OCI registry, and attaches documents to an image in
// an image layout, from where every client of a registry copies them along.
//
//	media, err := oci.MediaOf(envelope)                          // for a client that pushes by itself
//	attached, err := oci.Attach(ctx, "layout", image, envelope)  // in a layout on disk
//
// An attached document is an artifact as the OCI image specification v1.1 has
// it (manifest.md, "Guidelines for Artifact Usage"): a manifest with the empty
// configuration, the document as its one layer, and the image as its subject, so
// that a registry lists it among the image's referrers.
//
//	document                     artifactType and media type of the layer
//	Sigstore bundle v0.3         application/vnd.dev.sigstore.bundle.v0.3+json
//	envelope of a statement      application/vnd.in-toto.<predicate>+dsse
//	any other DSSE envelope      application/vnd.dsse.envelope.v1+json
//	CycloneDX, not signed        application/vnd.cyclonedx+json
//	SPDX 2, not signed           application/spdx+json
//
// <predicate> is the file name of the predicate's specification (in-toto
// attestation v1.2, envelope.md), such as "provenance", "vsa" or "spdx"; a
// predicate without one there has the type of any other envelope.
//
// Attaching proves nothing and checks nothing: whoever can write to a registry can
// attach. Who reads decides by signatures, as package verify does.
package oci

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hallmark-build/hallmark/internal/atomicfile"
	"github.com/hallmark-build/hallmark/internal/dsse"
	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/regular"
	"github.com/hallmark-build/hallmark/internal/strictjson"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/predicate"
)

// The reasons of the [provenance.FormatError]s of this package. They are stable.
const (
	ReasonDocument = "oci-document" // not one of the documents that can be attached
	ReasonLayout   = "oci-layout"   // not an image layout, or one without the image
)

// The media types of documents.
const (
	TypeSigstoreBundle = "application/vnd.dev.sigstore.bundle.v0.3+json"
	TypeEnvelope       = "application/vnd.dsse.envelope.v1+json"
	TypeCycloneDX      = "application/vnd.cyclonedx+json"
	TypeSPDX           = "application/spdx+json"
)

// The media types of manifests, and the empty configuration.
const (
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	indexType    = "application/vnd.oci.image.index.v1+json"
	emptyType    = "application/vnd.oci.empty.v1+json"
)

var empty = []byte("{}")

// files are the names of predicates in media types: the files of their
// specifications in in-toto attestation v1.2, spec/predicates; for SPDX 2 the
// name that envelope.md gives for it.
var files = map[string]string{
	predicate.TypeSLSAProvenance: "provenance", predicate.TypeSLSAProvenanceV02: "provenance", predicate.TypeSLSAProvenanceV01: "provenance",
	predicate.TypeLink: "link", predicate.TypeLinkV02: "link", predicate.TypeLinkV1: "link",
	predicate.TypeVSA: "vsa", predicate.TypeVSAV02: "vsa",
	predicate.TypeSVR: "svr", predicate.TypeSVRV01: "svr",
	predicate.TypeTestResult: "test-result",
	predicate.TypeVulns:      "vulns_02", predicate.TypeVulnsV01: "vuln",
	predicate.TypeSCAI:         "scai",
	predicate.TypeRuntimeTrace: "runtime-trace",
	predicate.TypeReference:    "reference",
	predicate.TypeRelease:      "release", predicate.TypeReleaseV01: "release",
	predicate.TypeSPDX: "spdx", predicate.TypeSPDXV23: "spdx", predicate.TypeSPDX3: "spdx3",
	predicate.TypeCycloneDX: "cyclonedx",
}

// A Media says what a document is to a registry.
type Media struct {
	// Type is the media type of the layer and the artifactType of the manifest.
	Type string
	// Annotations are those of the manifest and of its layer, by which clients
	// choose what to download: the predicate type, as cosign and as Docker write it.
	Annotations map[string]string
}

// MediaOf says what a document is: a Sigstore bundle v0.3, a DSSE envelope, or
// a CycloneDX or SPDX 2 document in JSON. It looks at what the document says of
// itself and verifies no signature. Anything else is a
// [*provenance.FormatError].
func MediaOf(document []byte) (Media, error) {
	var d struct {
		MediaType   string          `json:"mediaType"`
		Envelope    json.RawMessage `json:"dsseEnvelope"`
		Message     json.RawMessage `json:"messageSignature"`
		PayloadType string          `json:"payloadType"`
		BOMFormat   string          `json:"bomFormat"`
		SPDXVersion string          `json:"spdxVersion"`
	}
	if err := strictjson.Into(document, limits.Statement, &d); err != nil {
		return Media{}, fail(ReasonDocument, "not a document that can be attached: %v", err)
	}
	switch {
	case d.MediaType != "" && d.MediaType != TypeSigstoreBundle:
		return Media{}, fail(ReasonDocument, "media type %.100q: want a Sigstore bundle v0.3, an envelope, CycloneDX or SPDX 2", d.MediaType)
	case d.MediaType == TypeSigstoreBundle && d.Envelope != nil:
		of, err := envelope(d.Envelope)
		if err != nil {
			return Media{}, err
		}
		m := Media{Type: TypeSigstoreBundle, Annotations: map[string]string{"dev.sigstore.bundle.content": "dsse-envelope"}}
		if t := of.Annotations[annotationPredicate]; t != "" {
			m.Annotations["dev.sigstore.bundle.predicateType"] = t
		}
		return m, nil
	case d.MediaType == TypeSigstoreBundle && d.Message != nil:
		return Media{Type: TypeSigstoreBundle, Annotations: map[string]string{"dev.sigstore.bundle.content": "message-signature"}}, nil
	case d.PayloadType != "":
		return envelope(document)
	case d.BOMFormat == "CycloneDX":
		return Media{Type: TypeCycloneDX}, nil
	case len(d.SPDXVersion) > 7 && d.SPDXVersion[:7] == "SPDX-2.":
		return Media{Type: TypeSPDX}, nil
	}
	return Media{}, fail(ReasonDocument, "want a Sigstore bundle v0.3, an envelope, CycloneDX or SPDX 2, and found none of them")
}

const annotationPredicate = "in-toto.io/predicate-type"

func envelope(data []byte) (Media, error) {
	env, err := dsse.Parse(data)
	if err != nil {
		return Media{}, fail(ReasonDocument, "malformed envelope: %v", err)
	}
	if env.PayloadType != provenance.PayloadType {
		return Media{Type: TypeEnvelope}, nil
	}
	st, err := provenance.ParseStatement(env.Payload)
	if err != nil {
		return Media{}, fail(ReasonDocument, "malformed statement in an envelope: %v", err)
	}
	m := Media{Type: TypeEnvelope, Annotations: map[string]string{annotationPredicate: st.PredicateType()}}
	if name, ok := files[st.PredicateType()]; ok {
		m.Type = "application/vnd.in-toto." + name + "+dsse"
	}
	return m, nil
}

// A descriptor names a blob (image-spec, descriptor.md).
type descriptor struct {
	MediaType    string            `json:"mediaType"`
	Digest       provenance.Digest `json:"-"`
	Size         int64             `json:"size"`
	Annotations  map[string]string `json:"annotations,omitempty"`
	ArtifactType string            `json:"artifactType,omitempty"`
}

func (d descriptor) MarshalJSON() ([]byte, error) {
	type plain descriptor
	return json.Marshal(struct {
		plain
		Digest string `json:"digest"`
	}{plain(d), d.Digest.String()})
}

// Attach attaches documents to an image, or an index of images, in the OCI
// image layout at the path layout, and returns the digests of the manifests
// that it made, in the order of the documents. The image is named by its
// digest (sha256 or sha512), and must be in the layout with that content. The same
// document attached again makes the same manifest, and changes nothing.
//
// Blobs are there as a whole before index.json names them. Several that attach
// at once to one layout, in this process or, except on Windows, in others, wait
// for each other; ctx ends the waiting.
func Attach(ctx context.Context, layout string, image provenance.Digest, documents ...[]byte) ([]provenance.Digest, error) {
	if len(documents) == 0 {
		return nil, fail(ReasonDocument, "nothing to attach")
	}
	media := make([]Media, len(documents))
	for i, d := range documents {
		var err error
		if media[i], err = MediaOf(d); err != nil {
			return nil, fmt.Errorf("documents[%d]: %w", i, err)
		}
	}
	unlock, err := atomicfile.Lock(ctx, layout)
	if err != nil {
		return nil, err
	}
	defer unlock()
	index, err := readIndex(layout)
	if err != nil {
		return nil, err
	}
	subject, err := find(ctx, layout, image)
	if err != nil {
		return nil, err
	}
	config, err := put(layout, emptyType, empty)
	if err != nil {
		return nil, err
	}
	var made []provenance.Digest
	for i, document := range documents {
		layer, err := put(layout, media[i].Type, document)
		if err != nil {
			return nil, err
		}
		layer.Annotations = media[i].Annotations
		manifest, err := json.Marshal(struct {
			SchemaVersion int               `json:"schemaVersion"`
			MediaType     string            `json:"mediaType"`
			ArtifactType  string            `json:"artifactType"`
			Config        descriptor        `json:"config"`
			Layers        []descriptor      `json:"layers"`
			Subject       descriptor        `json:"subject"`
			Annotations   map[string]string `json:"annotations,omitempty"`
		}{2, manifestType, media[i].Type, config, []descriptor{layer}, subject, media[i].Annotations})
		if err != nil {
			return nil, err
		}
		d, err := put(layout, manifestType, manifest)
		if err != nil {
			return nil, err
		}
		d.ArtifactType, d.Annotations = media[i].Type, media[i].Annotations
		made = append(made, d.Digest)
		if err := index.add(d); err != nil {
			return nil, err
		}
	}
	return made, index.write(layout)
}

// index is an index.json. What is in it and not of interest stays.
type index struct {
	fields    map[string]json.RawMessage
	manifests []json.RawMessage
	listed    map[string]bool // by digest
	changed   bool
}

func readIndex(layout string) (*index, error) {
	var marker struct {
		Version string `json:"imageLayoutVersion"`
	}
	data, err := read(layout, "oci-layout")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fail(ReasonLayout, "%s: not an OCI image layout: no file oci-layout", layout)
	}
	if err != nil {
		return nil, err
	}
	if err := strictjson.Into(data, limits.ImageManifest, &marker); err != nil || marker.Version != "1.0.0" {
		return nil, fail(ReasonLayout, "%s: want imageLayoutVersion 1.0.0 in oci-layout, found %.50q", layout, marker.Version)
	}
	if data, err = read(layout, "index.json"); err != nil {
		return nil, err
	}
	bad := func(err error) error { return fail(ReasonLayout, "%s: index.json: %v", layout, err) }
	if err := strictjson.Check(data, limits.ImageManifest); err != nil {
		return nil, bad(err)
	}
	x := &index{listed: map[string]bool{}}
	if err := json.Unmarshal(data, &x.fields); err != nil {
		return nil, bad(err)
	}
	if m, ok := x.fields["manifests"]; ok {
		if err := json.Unmarshal(m, &x.manifests); err != nil {
			return nil, bad(err)
		}
	}
	for _, m := range x.manifests {
		var d struct {
			Digest string `json:"digest"`
		}
		if err := strictjson.Into(m, limits.ImageManifest, &d); err != nil {
			return nil, bad(err)
		}
		x.listed[d.Digest] = true
	}
	return x, nil
}

func (x *index) add(d descriptor) error {
	if x.listed[d.Digest.String()] {
		return nil
	}
	if len(x.manifests) >= limits.ImageManifests {
		return fail(ReasonLayout, "more than %d manifests in index.json", limits.ImageManifests)
	}
	m, err := json.Marshal(d)
	if err != nil {
		return err
	}
	x.manifests, x.changed = append(x.manifests, m), true
	x.listed[d.Digest.String()] = true
	return nil
}

func (x *index) write(layout string) error {
	if !x.changed {
		return nil
	}
	var err error
	if x.fields["manifests"], err = json.Marshal(x.manifests); err != nil {
		return err
	}
	data, err := json.Marshal(x.fields)
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(filepath.Join(layout, "index.json"), data, 0o644)
}

// find describes the image, which must be there and be one.
func find(ctx context.Context, layout string, image provenance.Digest) (descriptor, error) {
	if a := image.Algorithm(); a != provenance.SHA256 && a != provenance.SHA512 {
		return descriptor{}, fail(ReasonLayout, "image %q: want its digest by sha256 or sha512", image)
	}
	data, err := read(layout, blobPath("", image))
	if errors.Is(err, fs.ErrNotExist) {
		return descriptor{}, fail(ReasonLayout, "%s: no image %s", layout, image)
	}
	if err != nil {
		return descriptor{}, err
	}
	a, err := provenance.DigestReader(ctx, "", bytes.NewReader(data))
	if err != nil {
		return descriptor{}, err
	}
	if a.Digests.Get(image.Algorithm()) != image {
		return descriptor{}, fail(ReasonLayout, "%s: the content of image %s has another digest", layout, image)
	}
	var m struct {
		MediaType string            `json:"mediaType"`
		Config    json.RawMessage   `json:"config"`
		Manifests []json.RawMessage `json:"manifests"`
	}
	if err := strictjson.Into(data, limits.ImageManifest, &m); err != nil {
		return descriptor{}, fail(ReasonLayout, "%s: %s is no image: %v", layout, image, err)
	}
	d := descriptor{MediaType: m.MediaType, Digest: image, Size: int64(len(data))}
	if d.MediaType == "" { // image-spec v1.0 left it out
		d.MediaType = manifestType
		if m.Manifests != nil {
			d.MediaType = indexType
		}
	}
	if (m.Manifests == nil) == (m.Config == nil) {
		return descriptor{}, fail(ReasonLayout, "%s: %s is neither an image nor an index of images", layout, image)
	}
	return d, nil
}

// put writes a blob, unless it is there.
func put(layout, mediaType string, data []byte) (descriptor, error) {
	sum := sha256.Sum256(data)
	digest, err := provenance.NewDigest(provenance.SHA256, hex.EncodeToString(sum[:]))
	if err != nil {
		return descriptor{}, err
	}
	d := descriptor{MediaType: mediaType, Digest: digest, Size: int64(len(data))}
	path := blobPath(layout, digest)
	if old, err := regular.Read(path, int64(len(data))); err == nil && bytes.Equal(old, data) {
		return d, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return descriptor{}, err
	}
	return d, atomicfile.WriteFile(path, data, 0o644)
}

func blobPath(layout string, d provenance.Digest) string {
	return filepath.Join(layout, "blobs", string(d.Algorithm()), d.Value())
}

// read reads a small file of a layout, and follows no link out of it.
func read(layout, name string) ([]byte, error) {
	root, err := os.OpenRoot(layout)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	data, err := regular.ReadIn(root, name, limits.ImageManifest)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fail(ReasonLayout, "%s: %v", layout, err)
	}
	return data, err
}

func fail(reason, format string, args ...any) error {
	return &provenance.FormatError{Reason: reason, Msg: fmt.Sprintf(format, args...)}
}
