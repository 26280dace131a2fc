package sbom

import (
	"cmp"
	"slices"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/sbom/purl"
)

// Merge adds what other knows to g. A component of other is the same as one of
// g when they have the same package URL, or else when their digests match. Of
// a field that both have, g's value stays unless other's has the better
// [Source]. Two components with the same package URL and digests that
// contradict each other stay two, and each is noted as a gap with the reason
// "digest-conflict": one of them is not what its name says.
//
// Components of other are compared with those that g had before, not with one
// another. Root and creation stay g's; an empty g takes other's. other is not changed.
//
// What [Read] kept of other's document beside its graph does not come along.
func (g *Graph) Merge(other *Graph) {
	empty := len(g.components) == 0
	if empty {
		g.Creation, g.Build = other.Creation, other.Build
	}
	byPURL := make(map[string][]*Component)
	byDigest := make(map[provenance.Digest][]*Component)
	for _, c := range g.components {
		if c.PURL != "" {
			p := canonicalPURL(c.PURL)
			byPURL[p] = append(byPURL[p], c)
		}
		for _, d := range c.Digests {
			if d.Algorithm().Strong() {
				byDigest[d] = append(byDigest[d], c)
			}
		}
	}
	ids := make(map[string]string, len(other.components))
	for _, oc := range other.components {
		var same *Component
		var conflicts []*Component
		if oc.PURL != "" {
			for _, c := range byPURL[canonicalPURL(oc.PURL)] {
				if contradict(c.Digests, oc.Digests) {
					conflicts = append(conflicts, c)
				} else if same == nil {
					same = c
				}
			}
		}
		if same == nil && len(conflicts) == 0 {
			same = matchDigest(byDigest, oc)
		}
		if same != nil {
			ids[oc.ID] = same.ID
			same.absorb(oc)
			continue
		}
		c := oc.clone()
		id := g.Add(c)
		ids[oc.ID] = id
		if empty && oc.ID == other.root {
			g.root = id
		}
		for _, c := range append(conflicts, g.byID[id]) {
			if len(conflicts) > 0 {
				g.AddUnknown(Gap{Component: c.ID, Field: FieldDigests, Reason: "digest-conflict",
					Detail: "another component has the package URL " + oc.PURL + " and other digests"})
			}
		}
	}
	for _, r := range other.relations {
		g.relations = append(g.relations, Relationship{ids[r.From], r.Kind, ids[r.To]})
	}
	g.relations = slices.DeleteFunc(g.relations, func(r Relationship) bool { return r.From == r.To })
	for _, gap := range other.gaps {
		if gap.Component != "" {
			gap.Component = ids[gap.Component]
			if g.answers(gap) {
				continue
			}
		}
		g.gaps = append(g.gaps, gap)
	}
	g.gaps = slices.DeleteFunc(g.gaps, g.answers)
}

// answers reports whether the graph knows by now what the gap says is unknown.
func (g *Graph) answers(gap Gap) bool {
	c := g.byID[gap.Component]
	if c == nil || gap.Reason == "digest-conflict" {
		return false
	}
	switch gap.Field {
	case FieldVersion:
		return c.Version != ""
	case FieldDigests:
		return slices.ContainsFunc(c.Digests, func(d provenance.Digest) bool { return d.Algorithm().Strong() && d.Algorithm() != provenance.DirHash }) &&
			gap.Reason != "digest-mismatch"
	case FieldDeclared:
		return !c.Declared.IsZero()
	case FieldConcluded:
		return !c.Concluded.IsZero()
	case FieldCopyright:
		return len(c.Copyright) > 0
	case FieldSupplier:
		return !c.Supplier.IsZero()
	}
	return false
}

func matchDigest(byDigest map[provenance.Digest][]*Component, oc *Component) *Component {
	for _, d := range oc.Digests {
		for _, c := range byDigest[d] {
			// Two packages can be made of the same bytes; they are one only
			// when nothing says that they are two.
			if c.Digests.Matches(oc.Digests) && (c.PURL == "" || oc.PURL == "" || canonicalPURL(c.PURL) == canonicalPURL(oc.PURL)) {
				return c
			}
		}
	}
	return nil
}

// contradict reports whether two sets give different values under one
// algorithm, so that they cannot be of the same bytes.
func contradict(a, b provenance.DigestSet) bool {
	for _, d := range a {
		if e := b.Get(d.Algorithm()); !e.IsZero() && e != d {
			return true
		}
	}
	return false
}

func canonicalPURL(s string) string {
	p, err := purl.Parse(s)
	if err != nil {
		return s
	}
	return p.String()
}

// otherPURL notes a package URL that a document gives a component, if it is not
// the one that the component is known by.
func (g *Graph) otherPURL(c *Component, url string) {
	if canonicalPURL(url) != canonicalPURL(c.PURL) {
		g.gaps = append(g.gaps, Gap{Component: c.ID, Field: FieldIdentity, Reason: ReasonPackageURLs, Detail: oneLine(url)})
	}
}

func (c *Component) clone() Component {
	d := *c
	d.ID = ""
	d.CPEs = slices.Clone(c.CPEs)
	d.Digests = slices.Clone(c.Digests)
	d.Copyright = slices.Clone(c.Copyright)
	d.References = slices.Clone(c.References)
	d.Properties = slices.Clone(c.Properties)
	d.Evidence = slices.Clone(c.Evidence)
	return d
}

// absorb takes over what o knows better about the same component.
func (c *Component) absorb(o *Component) {
	// better reports whether to take o's value of a field, and keeps its
	// evidence when so.
	better := func(f Field, have, offered bool) bool {
		if !offered || have && o.evidence(f).Source.rank() <= c.evidence(f).Source.rank() {
			return false
		}
		c.Evidence = slices.DeleteFunc(c.Evidence, func(e Evidence) bool { return e.Field == f })
		if e := o.evidence(f); e.Field != "" {
			c.Evidence = append(c.Evidence, e)
		}
		return true
	}
	if better(FieldVersion, c.Version != "", o.Version != "") {
		c.Version = o.Version
	}
	if c.PURL == "" {
		c.PURL = o.PURL
	}
	if c.Name == "" {
		c.Name = o.Name
	}
	if len(o.Digests) > 0 {
		had := len(c.Digests) > 0
		for _, d := range o.Digests {
			if c.Digests.Get(d.Algorithm()).IsZero() {
				c.Digests = append(c.Digests, d)
			}
		}
		better(FieldDigests, had, true)
	}
	if better(FieldDeclared, !c.Declared.IsZero(), !o.Declared.IsZero()) {
		c.Declared = o.Declared
	}
	if better(FieldConcluded, !c.Concluded.IsZero(), !o.Concluded.IsZero()) {
		c.Concluded = o.Concluded
	}
	if better(FieldCopyright, len(c.Copyright) > 0, len(o.Copyright) > 0) {
		c.Copyright = slices.Clone(o.Copyright)
	}
	if better(FieldSupplier, !c.Supplier.IsZero(), !o.Supplier.IsZero()) {
		c.Supplier = o.Supplier
	}
	// What one of the two ships is shipped.
	if c.Scope == Excluded || c.Scope == "" && o.Scope != Excluded {
		c.Scope = o.Scope
	}
	c.Dependencies = cmp.Or(c.Dependencies, o.Dependencies)
	c.CPEs = append(c.CPEs, o.CPEs...)
	c.References = append(c.References, o.References...)
	c.Properties = append(c.Properties, o.Properties...)
	for _, e := range o.Evidence {
		if c.evidence(e.Field).Field == "" {
			c.Evidence = append(c.Evidence, e)
		}
	}
}
