// Package diff says how two bills of materials differ, and how what was
// locked, what was fetched and what was shipped do.
//
//	d := diff.Compare(old, new)
//	for _, c := range d.Changes { … } // the loudest first
//
// The loudest difference is [Tampered]: the same version of the same package
// with another digest. A version that was released does not change, so one of
// the two is not what its name says.
//
// [Reconcile] compares three bills of one build: a component that one of
// them has and another lacks, or has with another digest, is a finding with a
// stable reason. [Dependencies] and [Resolved] go between a bill and the
// resolvedDependencies of SLSA provenance, so that both are written from one
// list.
package diff

import (
	"cmp"
	"slices"
	"strings"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/purl"
)

// A Kind is how a component changed.
type Kind string

// The kinds, the loudest first, which is the order of [Diff.Changes].
const (
	Tampered        Kind = "same-version-other-digest"
	DigestLost      Kind = "digest-lost" // the same version, and the new bill has no digest to compare
	Added           Kind = "added"
	Removed         Kind = "removed"
	Downgraded      Kind = "downgraded"
	Upgraded        Kind = "upgraded"
	VersionChanged  Kind = "version-changed"  // to one that is neither later nor earlier for certain
	ContentChanged  Kind = "content-changed"  // another digest of something without a version
	LicenceChanged  Kind = "licence-changed"  // declared or concluded
	SupplierChanged Kind = "supplier-changed" // by name
	ScopeChanged    Kind = "scope-changed"    // such as from shipped to excluded
)

var kinds = []Kind{Tampered, DigestLost, Added, Removed, Downgraded, Upgraded, VersionChanged, ContentChanged, LicenceChanged, SupplierChanged, ScopeChanged}

// A Change is one difference of one component.
type Change struct {
	Kind Kind `json:"kind"`
	// Package names the component without its version: "pkg:npm/left-pad", or
	// its name when it has no package URL.
	Package string `json:"package"`
	// Old and New are the IDs of the component in the two graphs; "" where it
	// is not there.
	Old string `json:"old,omitempty"`
	New string `json:"new,omitempty"`
	// From and To are what changed: versions, digests, licences, names.
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
}

// A Diff is how two graphs differ.
type Diff struct {
	Changes []Change `json:"changes"`
	Same    int      `json:"same"` // components in which nothing changed
	// Old and New say whether the two bills list everything. Of a bill that
	// does not, nothing follows from what it lacks.
	Old string `json:"oldCompleteness"`
	New string `json:"newCompleteness"`
}

// Has reports whether there is a change of one of the kinds.
func (d *Diff) Has(list ...Kind) bool {
	return slices.ContainsFunc(d.Changes, func(c Change) bool { return slices.Contains(list, c.Kind) })
}

// Compare says what changed from one graph to another. Components are the same
// when they have the same package URL, their versions aside, or when neither
// has one, the same type and name; the roots are the same whatever they are
// called. Of a package with several versions, equal versions are compared with
// each other first, and the others by rank. Relationships are not compared.
// Neither graph is changed.
func Compare(old, new *sbom.Graph) *Diff {
	d := &Diff{Changes: []Change{}}
	state, _ := old.Completeness()
	d.Old = state.String()
	state, _ = new.Completeness()
	d.New = state.String()

	groups := make(map[string]*[2][]*sbom.Component)
	for side, g := range []*sbom.Graph{old, new} {
		for _, c := range g.Components() {
			key := "\x00root"
			if c != g.Root() {
				key = packageOf(c)
			}
			if groups[key] == nil {
				groups[key] = &[2][]*sbom.Component{}
			}
			groups[key][side] = append(groups[key][side], c)
		}
	}
	for _, pair := range groups {
		d.group(pair[0], pair[1])
	}
	slices.SortFunc(d.Changes, func(a, b Change) int {
		return cmp.Or(cmp.Compare(slices.Index(kinds, a.Kind), slices.Index(kinds, b.Kind)), cmp.Compare(a.Package, b.Package),
			cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To), cmp.Compare(a.Old, b.Old), cmp.Compare(a.New, b.New))
	})
	return d
}

// packageOf names a component without its version. Qualifiers stay: two
// architectures of one package are two packages.
func packageOf(c *sbom.Component) string {
	if u, err := purl.Parse(c.PURL); err == nil {
		u.Version = ""
		if s := u.String(); s != "" {
			return s
		}
		return strings.SplitN(c.PURL, "@", 2)[0] // of a type that needs a version
	}
	return string(c.Type) + ":" + c.Name
}

// group compares the components of one package.
func (d *Diff) group(old, new []*sbom.Component) {
	order := func(a, b *sbom.Component) int {
		n, _ := compareVersions(a.Version, b.Version)
		return cmp.Or(n, cmp.Compare(a.Version, b.Version), cmp.Compare(a.Digests.String(), b.Digests.String()), cmp.Compare(a.ID, b.ID))
	}
	slices.SortFunc(old, order)
	slices.SortFunc(new, order)
	// Of several with one version, those that are the same bytes first; then
	// those of the same version; then what is left, by rank.
	type content struct {
		version string
		digest  provenance.Digest
	}
	old, new = d.pair(old, new, func(c *sbom.Component) (keys []any) {
		for _, g := range c.Digests {
			if g.Algorithm().Strong() {
				keys = append(keys, content{c.Version, g})
			}
		}
		return keys
	})
	old, new = d.pair(old, new, func(c *sbom.Component) []any { return []any{c.Version} })
	old, new = d.pair(old, new, func(*sbom.Component) []any { return []any{nil} })
	for _, o := range old {
		d.add(Removed, o, nil, o.Version, "")
	}
	for _, n := range new {
		d.add(Added, nil, n, "", n.Version)
	}
}

// pair compares each old component with the first new one that has a key in
// common with it and is not taken, and returns the rest.
func (d *Diff) pair(old, new []*sbom.Component, keys func(*sbom.Component) []any) (restOld, restNew []*sbom.Component) {
	byKey := make(map[any][]int)
	for i, n := range new {
		for _, k := range keys(n) {
			byKey[k] = append(byKey[k], i)
		}
	}
	taken := make([]bool, len(new))
	for _, o := range old {
		found := false
		for _, k := range keys(o) {
			list := byKey[k]
			for len(list) > 0 && taken[list[0]] {
				list = list[1:]
			}
			byKey[k] = list
			if len(list) > 0 {
				taken[list[0]], found = true, true
				d.compare(o, new[list[0]])
				break
			}
		}
		if !found {
			restOld = append(restOld, o)
		}
	}
	for i, n := range new {
		if !taken[i] {
			restNew = append(restNew, n)
		}
	}
	return restOld, restNew
}

// compare notes what changed in one component.
func (d *Diff) compare(o, n *sbom.Component) {
	before := len(d.Changes)
	switch {
	case o.Version != n.Version:
		kind := VersionChanged
		typ := ""
		if u, err := purl.Parse(n.PURL); err == nil {
			typ = u.Type
		}
		if c, ok := compare(typ, o.Version, n.Version); ok && c < 0 {
			kind = Upgraded
		} else if ok && c > 0 {
			kind = Downgraded
		}
		d.add(kind, o, n, o.Version, n.Version)
	case contradict(o.Digests, n.Digests):
		kind := Tampered
		if !released(o) {
			kind = ContentChanged
		}
		d.add(kind, o, n, differing(o.Digests, n.Digests), differing(n.Digests, o.Digests))
	case released(o) && len(o.Digests) > 0 && !o.Digests.Matches(n.Digests) && !overlaps(o.Digests, n.Digests):
		d.add(DigestLost, o, n, o.Digests.String(), n.Digests.String())
	}
	if o.Declared != n.Declared || o.Concluded != n.Concluded {
		if from, to := licences(o), licences(n); from != to {
			d.add(LicenceChanged, o, n, from, to)
		}
	}
	if o.Supplier.Name != n.Supplier.Name {
		d.add(SupplierChanged, o, n, o.Supplier.Name, n.Supplier.Name)
	}
	if scope(o) != scope(n) {
		d.add(ScopeChanged, o, n, scope(o), scope(n))
	}
	if len(d.Changes) == before {
		d.Same++
	}
}

func (d *Diff) add(kind Kind, o, n *sbom.Component, from, to string) {
	c := Change{Kind: kind, From: from, To: to}
	if o != nil {
		c.Old, c.Package = o.ID, packageOf(o)
	}
	if n != nil {
		c.New, c.Package = n.ID, packageOf(n)
	}
	d.Changes = append(d.Changes, c)
}

// released reports whether a version is the name of one state: not when there
// is none, and not what Go calls a module of the source tree.
func released(c *sbom.Component) bool { return c.Version != "" && c.Version != "(devel)" }

func scope(c *sbom.Component) string { return string(cmp.Or(c.Scope, sbom.Required)) }

func licences(c *sbom.Component) string {
	text := func(l sbom.License) string { return cmp.Or(l.Expression, l.Name, "unknown") }
	if c.Concluded == c.Declared || c.Concluded.IsZero() {
		return text(c.Declared)
	}
	if c.Declared.IsZero() {
		return text(c.Concluded) + " (concluded)"
	}
	return text(c.Declared) + ", concluded " + text(c.Concluded)
}

// contradict reports whether two sets give different values under one
// algorithm, a weak one too: what differs under any was not the same bytes.
func contradict(a, b provenance.DigestSet) bool { return differing(a, b) != "" }

// differing lists the digests of a that b has another value for.
func differing(a, b provenance.DigestSet) string {
	var list []string
	for _, d := range a {
		if e := b.Get(d.Algorithm()); !e.IsZero() && e != d {
			list = append(list, d.String())
		}
	}
	return strings.Join(list, " ")
}

// overlaps reports whether the sets have an algorithm in common, so that they
// were compared.
func overlaps(a, b provenance.DigestSet) bool {
	return slices.ContainsFunc(a, func(d provenance.Digest) bool { return !b.Get(d.Algorithm()).IsZero() })
}
