package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hallmark-build/hallmark/internal/regular"
	"github.com/hallmark-build/hallmark/internal/strictjson"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/verify"
	"github.com/hallmark-build/hallmark/verify/slsa"
)

// A descriptor and a manifest of the OCI image specification, as far as they
// are needed.
type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// attestations returns the image that the manifest behind a descriptor of the index
// has attestations of, as cosign attached them before there were referrers: under a
// tag made of the image's digest.
func (d descriptor) attestations() (image string, ok bool) {
	tag := d.Annotations["org.opencontainers.image.ref.name"]
	tag = tag[strings.LastIndexByte(tag, ':')+1:]
	value, ok := strings.CutSuffix(tag, ".att")
	if !ok || !strings.HasPrefix(value, "sha256-") {
		return "", false
	}
	return strings.Replace(value, "-", ":", 1), true
}

type manifest struct {
	Subject   *descriptor  `json:"subject"`
	Manifests []descriptor `json:"manifests"` // of an index
	Layers    []descriptor `json:"layers"`
}

// maxBlob is the largest document of a layout that is read, and maxAttached the
// most bytes that are read of what is attached to an image.
const (
	maxBlob     = 64 << 20
	maxAttached = 256 << 20
)

// blob reads a blob of an OCI layout. What comes back has the digest.
func blob(layout *os.Root, digest string) ([]byte, error) {
	d, err := provenance.ParseDigest(digest)
	if err != nil || d.Algorithm() != provenance.SHA256 && d.Algorithm() != provenance.SHA512 {
		return nil, fmt.Errorf("want a digest by sha256 or sha512, found %q", digest)
	}
	path := filepath.Join("blobs", string(d.Algorithm()), d.Value())
	data, err := regular.ReadIn(layout, path, maxBlob)
	if err != nil {
		return nil, err
	}
	if a, err := provenance.DigestReader(context.Background(), "", bytes.NewReader(data)); err != nil || a.Digests.Get(d.Algorithm()) != d {
		return nil, fmt.Errorf("%s: the content has another digest", path)
	}
	return data, nil
}

// most is how many manifests and attestations of a layout are looked at.
const most = 10_000

// find returns the image of a layout and what is attached to it: the blobs of
// manifests whose subject it is. Nothing attached is trusted.
//
// Everything is read strictly and from within the layout: what is verified
// must be what every other reader of the layout sees.
func find(layout, want string) (image string, attached [][]byte, err error) {
	root, err := os.OpenRoot(layout)
	if err != nil {
		return "", nil, err
	}
	defer root.Close()
	data, err := regular.ReadIn(root, "index.json", maxBlob)
	if err != nil {
		return "", nil, err
	}
	var index manifest
	if err := strictjson.Into(data, maxBlob, &index); err != nil {
		return "", nil, fmt.Errorf("%s: index.json: %w", layout, err)
	}
	var images []string
	referrers := map[string][]descriptor{}
	queue, seen := index.Manifests, map[string]bool{}
	for len(queue) > 0 && len(seen) < most {
		d := queue[0]
		queue = queue[1:]
		if seen[d.Digest] {
			continue
		}
		seen[d.Digest] = true
		data, err := blob(root, d.Digest)
		if err != nil {
			return "", nil, fmt.Errorf("%s: %w", layout, err)
		}
		var m manifest
		if err := strictjson.Into(data, maxBlob, &m); err != nil {
			continue // another kind of document
		}
		if image, ok := d.attestations(); ok {
			referrers[image] = append(referrers[image], m.Layers...)
			continue
		}
		switch {
		case m.Subject != nil:
			referrers[m.Subject.Digest] = append(referrers[m.Subject.Digest], m.Layers...)
			continue
		case slices.ContainsFunc(index.Manifests, func(x descriptor) bool { return x.Digest == d.Digest }):
			images = append(images, d.Digest)
		}
		queue = append(queue, m.Manifests...)
	}
	switch {
	case want != "":
		if !seen[want] {
			return "", nil, fmt.Errorf("%s: no image %s", layout, want)
		}
		image = want
	case len(images) == 1:
		image = images[0]
	default:
		return "", nil, fmt.Errorf("%s: %d images, name one as LAYOUT@sha256:DIGEST", layout, len(images))
	}
	size, taken := 0, map[string]bool{}
	for _, l := range referrers[image] {
		if taken[l.Digest] || !strings.HasPrefix(l.MediaType, "application/vnd.dev.sigstore.bundle") && !strings.Contains(l.MediaType, "dsse") && !strings.Contains(l.MediaType, "in-toto") {
			continue
		}
		taken[l.Digest] = true
		data, err := blob(root, l.Digest)
		if err != nil {
			return "", nil, fmt.Errorf("%s: %w", layout, err)
		}
		if size += len(data); size > maxAttached || len(taken) > most {
			return "", nil, fmt.Errorf("%s: more than %d documents, or %d bytes of them, are attached to %s", layout, most, maxAttached, image)
		}
		if len(l.Annotations) > 0 && strings.Contains(l.MediaType, "dsse") {
			// What cosign kept in annotations makes a bundle of it; if that is too
			// little, verification says so.
			if bundle, err := verify.CosignBundle(data, l.Annotations); err == nil {
				data = bundle
			}
		}
		attached = append(attached, data)
	}
	return image, attached, nil
}

func (p *program) image(args []string) error {
	f := p.buildFlags("verify-image", "LAYOUT[@sha256:DIGEST]", "provenance-path")
	f.Lookup("provenance-path").Usage = "file with the attestations, or what gcloud prints; default: what is attached to the image in the layout"
	f.Lookup("trusted-root").Usage = "trusted_root.json of the Sigstore instance (required, unless a key is given)"
	var keyFiles list
	f.Var(&keyFiles, "cloud-build-key", "a public key of Google Cloud Build, PEM; may be repeated")
	rest, err := f.parse(args, "source-uri")
	if err != nil {
		return err
	}
	if len(rest) != 1 || f.trustedRoot == "" && len(keyFiles) == 0 {
		f.Usage()
		return errUsage
	}
	layout, digest, named := strings.Cut(rest[0], "@")
	if named && digest == "" {
		return fmt.Errorf("%s: no digest after the @", layout)
	}
	image, evidence, err := find(layout, digest)
	if err != nil {
		return err
	}
	if f.provenance != "" {
		if evidence, err = provenanceOfImage(f.provenance); err != nil {
			return err
		}
	}
	d, err := provenance.ParseDigest(image)
	if err != nil {
		return err
	}
	a := provenance.Artifact{Name: image, Digests: provenance.DigestSet{d}}
	r, err := p.judgeImage(f, a, evidence, keyFiles)
	if _, isRefusal := errors.AsType[*slsa.Error](err); err != nil && !isRefusal {
		if _, isRejection := errors.AsType[*verify.RejectedError](err); !isRejection {
			return err
		}
	}
	if err := p.report(f, "image", layout+"@"+image, r, err); err != nil {
		return err
	}
	return p.passed()
}

// provenanceOfImage reads attestations, or the envelopes in what gcloud prints.
func provenanceOfImage(path string) ([][]byte, error) {
	data, err := readLimited(path)
	if err != nil {
		return nil, err
	}
	if envelopes, err := slsa.CloudBuildEnvelopes(data); err == nil {
		return envelopes, nil
	}
	return attestations(path)
}

// judgeImage tries the public builders, and Google Cloud Build with each key
// in both of its ways to sign.
func (p *program) judgeImage(f *flags, a provenance.Artifact, evidence [][]byte, keyFiles []string) (*slsa.Result, error) {
	if len(evidence) == 0 {
		return nil, &slsa.Error{Reason: slsa.ReasonPredicate, Msg: "no attestation is attached to the image"}
	}
	var nearest error
	if f.trustedRoot != "" {
		trust, err := f.trust()
		if err != nil {
			return nil, err
		}
		r, err := slsa.VerifyAny(evidence, trust, p.now, a, append(slsa.GitHubAttestations(), f.generatorBuilders()...), f.want)
		if err == nil {
			return r, nil
		}
		nearest = err
	}
	for _, file := range keyFiles {
		key, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		ids, err := keyIDs([]verify.Key{{PEM: string(key)}})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		for _, scheme := range []string{"", verify.SchemeRawPayloadUnsafe} {
			trust, err := verify.NewTrust(verify.Key{PEM: string(key), Scheme: scheme})
			if err != nil {
				return nil, fmt.Errorf("%s: %w", file, err)
			}
			r, err := slsa.VerifyAny(evidence, trust, p.now, a, slsa.CloudBuild(ids[0]), f.want)
			if err == nil {
				return r, nil
			}
			if _, isRefusal := errors.AsType[*slsa.Error](err); nearest == nil || isRefusal {
				nearest = err
			}
		}
	}
	return nil, nearest
}
