package ingest

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hallmark-build/hallmark/provenance"
)

// Inputs are what a file of infrastructure as code builds upon: images,
// providers, modules. With them it enters a chain like any source.
type Inputs struct {
	// Resolved are pinned by digest, in the order of their names and without
	// repetition: they can be materials of a step, or resolvedDependencies.
	Resolved []provenance.ResourceDescriptor
	// Unresolved are not, in the order of the file: what they are may change at
	// any time.
	Unresolved []Unresolved
}

// Unresolved is an input without a digest.
type Unresolved struct {
	Ref   string // "alpine:3.20", as it was written
	Where string // "line 4", "Deployment web: spec.template.spec.containers[0].image"
	Why   string // "a tag can be moved"
}

// Pinned returns the resolved inputs, and refuses those of which any is
// unresolved, with the first of them in the error.
func (in *Inputs) Pinned() ([]provenance.ResourceDescriptor, error) {
	if len(in.Unresolved) > 0 {
		u := in.Unresolved[0]
		return nil, fail(ReasonUnresolved, "%d inputs have no digest; the first is %s (%s): %s", len(in.Unresolved), clip(u.Ref), clip(u.Where), u.Why)
	}
	return in.Resolved, nil
}

// inputs collects them.
type inputs struct {
	names
	resolved   map[string]provenance.ResourceDescriptor // by name, URI and digest
	unresolved []Unresolved                             // in the order of the file
	seen       map[Unresolved]bool
}

func (in *inputs) resolve(r provenance.ResourceDescriptor) error {
	key := r.Name + " " + r.URI + " " + r.Digest.String()
	if _, dup := in.resolved[key]; dup {
		return nil
	}
	if in.resolved == nil {
		in.resolved = map[string]provenance.ResourceDescriptor{}
	}
	in.resolved[key] = r
	return in.names.add(key)
}

func (in *inputs) unresolve(ref, where, why string) error {
	u := Unresolved{ref, where, why}
	if in.seen[u] {
		return nil
	}
	if in.seen == nil {
		in.seen = map[Unresolved]bool{}
	}
	in.seen[u] = true
	in.unresolved = append(in.unresolved, u)
	return in.names.add(ref + where)
}

func (in *inputs) done() *Inputs {
	out := &Inputs{Unresolved: in.unresolved}
	for _, r := range in.resolved {
		out.Resolved = append(out.Resolved, r)
	}
	slices.SortFunc(out.Resolved, func(a, b provenance.ResourceDescriptor) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.URI, b.URI), strings.Compare(a.Digest.String(), b.Digest.String()))
	})
	return out
}

// Why an input is unresolved.
const (
	whyTag      = "a tag can be moved: pin the digest"
	whySyntax   = "not an image reference"
	whyVariable = "the value of a variable is not known"
	whyModule   = "no digest of a module is recorded: take it from git by commit"
	whyProvider = "no hash of the provider is in the lock file"
	whyDownload = "no checksum"
)

// imageRef is the grammar of image references (distribution/reference), bounded.
var imageRef = regexp.MustCompile(`^` +
	`(?:((?:[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*(?::[0-9]{1,5})?|\[[0-9a-fA-F:]+\](?::[0-9]{1,5})?)/)?` +
	`([a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*)*)` +
	`(?::([a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}))?` +
	`(?:@([a-z0-9]+:[0-9a-f]+))?$`)

// image adds an image by its reference, which was found at where.
func (in *inputs) image(ref, where string) error {
	if strings.Contains(ref, "$") {
		return in.unresolve(ref, where, whyVariable)
	}
	m := imageRef.FindStringSubmatch(ref)
	if m == nil || len(ref) > 1024 {
		return in.unresolve(ref, where, whySyntax)
	}
	host, path, tag, digest := m[1], m[2], m[3], m[4]
	// A first element is a host only if it looks like one; Docker's own
	// registry is where it does not.
	if host != "" && !strings.ContainsAny(host, ".:[") && host != "localhost" && strings.ToLower(host) == host {
		host, path = "", host+"/"+path
	}
	if host == "" || host == "index.docker.io" {
		host = "docker.io"
	}
	if host == "docker.io" && !strings.Contains(path, "/") {
		path = "library/" + path
	}
	if digest == "" {
		return in.unresolve(ref, where, whyTag)
	}
	d, err := provenance.ParseDigest(digest)
	if err != nil || d.Algorithm() != provenance.SHA256 && d.Algorithm() != provenance.SHA512 {
		return in.unresolve(ref, where, whySyntax)
	}
	name := path[strings.LastIndexByte(path, '/')+1:]
	uri := "pkg:oci/" + name + "@" + string(d.Algorithm()) + ":" + d.Value() + "?repository_url=" + purlText(host+"/"+path)
	if tag != "" {
		uri += "&tag=" + purlText(tag)
	}
	return in.resolve(provenance.ResourceDescriptor{Name: ref, URI: uri, Digest: provenance.DigestSet{d}})
}

// public returns a URL without the user and the password that may be in it.
func public(url string) string {
	scheme, rest, ok := strings.Cut(url, "://")
	if !ok {
		return url
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	if at := strings.LastIndexByte(rest[:end], '@'); at >= 0 {
		rest = rest[at+1:]
	}
	return scheme + "://" + rest
}

func line(n int) string { return "line " + strconv.Itoa(n) }
