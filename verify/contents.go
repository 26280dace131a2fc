package verify

import (
	"context"
	"encoding/hex"
	"errors"
	"path/filepath"
	"slices"

	"github.com/hallmark-build/hallmark/internal/archive"
	"github.com/hallmark-build/hallmark/provenance"
)

// Contents is a package and the files in it, as [ReadContents] found them. A
// policy traces through it with contains: what is in the package must then
// come from somewhere, as if the package were built from it by somebody who
// is trusted entirely. Only ReadContents makes one.
type Contents struct {
	products []provenance.ResourceDescriptor // the package, under every digest that it goes by
	members  []provenance.ResourceDescriptor
}

// A ContentsError says why a package was not looked into.
type ContentsError struct {
	// Reason is stable, and one of
	//
	//	contents-format     of no format that is known, or malformed
	//	contents-limit      more than is unpacked: perhaps a bomb
	//	contents-name       a name that is unpacked elsewhere, or differently here and there
	//	contents-duplicate  two entries of one name, as it is or after case folding or normalisation
	//	contents-link       a hard link, or something below a symbolic link
	//	contents-special    a device, FIFO or the like
	//	contents-digest     a blob of an image has not the digest by which it is named
	//	contents-changed    the package changed while it was read
	Reason string
	Member string // the entry's name as somebody wrote it; "" for the package as a whole
	Err    error  // says what was wanted and what was found
}

func (e *ContentsError) Error() string { return "contents: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *ContentsError) Unwrap() error { return e.Err }

// ReadContents looks into the package at path and digests it and every file in
// it: a tar, also with gzip; a zip, and so a jar or a wheel; or an OCI image
// layout, as a directory or as a tar. What it is, the content says. It writes
// nothing, and refuses with a [*ContentsError] whatever programs disagree
// about when they unpack it: see the list of reasons.
//
// The digests belong together, whoever writes to the file meanwhile: a tar is
// unpacked from the stream that is hashed; a zip is read twice, and every block
// of the second reading must be as it was in the first; the blobs of an image
// must have the digests that name them. The caller must go on to use what has
// the digest of [Contents.Artifact].
//
// At most 64 GiB and a million entries are unpacked, and 200 times the size of
// the package (beyond the first 64 MiB). What is packed in a package is one
// file of it, layers of an image aside. zstd is not supported.
func ReadContents(ctx context.Context, path string) (*Contents, error) {
	pkg, err := archive.Read(ctx, path)
	if err != nil {
		if e, ok := errors.AsType[*archive.Error](err); ok {
			return nil, &ContentsError{e.Reason, e.Name, err}
		}
		return nil, err
	}
	c := new(Contents)
	name := filepath.Base(path)
	if pkg.Sum != nil {
		c.products = append(c.products, provenance.ResourceDescriptor{Name: name, Digest: digests(pkg.Sum)})
	}
	if pkg.Image != "" {
		d, err := provenance.ParseDigest(pkg.Image)
		if err != nil {
			return nil, err
		}
		c.products = append(c.products, provenance.ResourceDescriptor{Name: name, Digest: provenance.DigestSet{d}})
	}
	c.members = make([]provenance.ResourceDescriptor, len(pkg.Files))
	for i := range pkg.Files {
		f := &pkg.Files[i]
		c.members[i] = provenance.ResourceDescriptor{Name: f.Name, Digest: digests(&f.Sum)}
		if f.Link != nil {
			// As in provenance.Tree.Descriptors.
			c.members[i].Annotations = map[string]any{"link": *f.Link}
		}
	}
	return c, nil
}

func digests(s *archive.Sum) provenance.DigestSet {
	set := make(provenance.DigestSet, 0, 2)
	for _, d := range []struct {
		algorithm provenance.Algorithm
		sum       []byte
	}{{provenance.SHA256, s.SHA256[:]}, {provenance.SHA512, s.SHA512[:]}} {
		if d, err := provenance.NewDigest(d.algorithm, hex.EncodeToString(d.sum)); err == nil {
			set = append(set, d)
		}
	}
	return set
}

// Artifact returns the package with its SHA-256 and SHA-512, named by the base
// name of its path. For an image layout that is a directory, it is the one
// image or image index that index.json names, by the digest there; what is
// attached to an image (a manifest with a subject) is none, and not in it.
func (c *Contents) Artifact() provenance.Artifact {
	return provenance.Artifact{Name: c.products[0].Name, Digests: slices.Clone(c.products[0].Digest)}
}

// Image returns the one image or image index of an image layout, by its
// digest in index.json, and false for other packages and for layouts of
// several images.
func (c *Contents) Image() (provenance.Artifact, bool) {
	last := c.products[len(c.products)-1]
	if len(last.Digest) != 1 {
		return provenance.Artifact{}, false
	}
	return provenance.Artifact{Name: last.Name, Digests: slices.Clone(last.Digest)}, true
}

// Members returns the regular files and symbolic links in the package, ordered
// by name: slash-separated, relative, and as in the package, a leading "./"
// aside. A link has the digests of its target's text and an annotation "link"
// with that text.
//
// Those of an image are the files of every layer, also where a later layer
// hides them, and "blobs/…" for configurations and what is not a layer.
func (c *Contents) Members() []provenance.ResourceDescriptor { return slices.Clone(c.members) }
