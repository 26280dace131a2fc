package predicate

import (
	"strings"

	"github.com/hallmark-build/hallmark/provenance"
)

// Release says that the subjects, and no other artifacts, make up one release
// of a package, predicate type [TypeRelease] (in-toto attestation,
// spec/predicates/release.md, version 0.2). A subject's name is its file name.
type Release struct {
	// PURL is a package URL with a version. Required.
	PURL string `json:"purl"`
	// PackageID stays the same for all releases of the package, and through renames of it.
	PackageID string `json:"packageId,omitempty"`
}

// Validate checks that there is a package URL with a version (release.md, Parsing Rules).
func (r *Release) Validate() error { return wrap("release", purlWithVersion(r.PURL)) }

func purlWithVersion(purl string) error {
	if purl == "" {
		return bad("purl is required")
	}
	rest, ok := strings.CutPrefix(purl, "pkg:")
	if !ok {
		return bad("purl: want pkg:type/name@version, found %s", clip(purl))
	}
	// package-url/purl-spec, "How to parse": subpath and qualifiers come off
	// from the right, then the version.
	rest, _, _ = strings.Cut(rest, "#")
	rest, _, _ = strings.Cut(rest, "?")
	i := strings.LastIndexByte(rest, '@')
	if i < 0 || i == len(rest)-1 || strings.Contains(rest[i:], "/") {
		return bad("purl: want a version, found %s", clip(purl))
	}
	typ, name, ok := strings.Cut(strings.TrimLeft(rest[:i], "/"), "/")
	if !ok || typ == "" || strings.Trim(name, "/") == "" {
		return bad("purl: want pkg:type/name@version, found %s", clip(purl))
	}
	return nil
}

// Statement validates the release and states it about the subjects.
func (r *Release) Statement(subjects []provenance.ResourceDescriptor) (*provenance.Statement, error) {
	return statement(r, subjects, TypeRelease)
}

// ParseRelease reads a predicate of type [TypeRelease].
func ParseRelease(predicate []byte) (*Release, error) {
	return parse[Release]("release", predicate)
}

// ParseReleaseV01 reads a predicate of type [TypeReleaseV01], in which
// packageId was called releaseId. The examples of the specification use the
// new name under the old type, so it is read too; both with two values are refused.
func ParseReleaseV01(predicate []byte) (*Release, error) {
	var old struct {
		Release
		ReleaseID string `json:"releaseId"`
	}
	if err := decode(predicate, &old); err != nil {
		return nil, wrap("release v0.1", err)
	}
	r := old.Release
	switch {
	case r.PackageID == "":
		r.PackageID = old.ReleaseID
	case old.ReleaseID != "" && old.ReleaseID != r.PackageID:
		return nil, bad("release v0.1: releaseId and packageId differ")
	}
	if err := purlWithVersion(r.PURL); err != nil {
		return nil, wrap("release v0.1", err)
	}
	return &r, nil
}

// NPMPublish is what the npm registry states when a package is published,
// predicate type [TypeNPMPublish]. All fields are required. It comes in statements of v0.1 and
// of v1; the subject is the package URL with the SHA-512 of the tarball.
type NPMPublish struct {
	Name     string `json:"name"`
	Version  string `json:"version"`
	Registry string `json:"registry"` // "https://registry.npmjs.org"
}

// Validate checks that all fields are there.
func (n *NPMPublish) Validate() error {
	return wrap("npm publish", missing("name", n.Name, "version", n.Version, "registry", n.Registry))
}

// Statement validates the predicate and states it about the subjects.
func (n *NPMPublish) Statement(subjects []provenance.ResourceDescriptor) (*provenance.Statement, error) {
	return statement(n, subjects, TypeNPMPublish)
}

// ParseNPMPublish reads a predicate of type [TypeNPMPublish].
func ParseNPMPublish(predicate []byte) (*NPMPublish, error) {
	return parse[NPMPublish]("npm publish", predicate)
}
