// Package assembly makes the bill of a product out of the bills of its parts,
// by reference: each part is one component that links to the document that
// says what is in it.
//
//	app, err := assembly.Open(appDoc)
//	lib, err := assembly.Open(libDoc)
//	g, err := assembly.Assemble(creation, product, app, lib)
//	report, err := assembly.Check(g, app, lib) // the links hold
//	whole, err := assembly.Flatten(g, app, lib)  // one bill with everything in it
//
// A link is a BOM-Link (urn:cdx:SERIAL/VERSION#REF, CycloneDX "BOM-Link") or
// the namespace and identifier of an SPDX document, with the digest of the
// document: an identifier alone says which document is meant, not what it says.
package assembly

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/gate"
)

// ReasonLinked is the reason for which the components of a part are noted as
// missing from the product's bill: they are in the bill that is linked.
const ReasonLinked = "in-linked-bill"

// The rules of the report that [Check] makes, all of them at level Error.
const (
	RuleMissing   = "linked-bill-missing"   // a link to a document that was not given
	RuleChanged   = "linked-bill-changed"   // the document has not the digest that the link gives
	RuleNoDigest  = "linked-bill-no-digest" // a link without a digest that could be checked
	RuleAnother   = "linked-bill-another"   // the document is about something else than the component
	RuleUnclaimed = "linked-bill-unclaimed" // a document was given that nothing links to
)

// A Part is a bill that others link to. [Open] makes one.
type Part struct {
	graph  *sbom.Graph
	link   string // to the component that the document is about
	digest provenance.DigestSet
}

// Open reads the document of a part, of any format that package sbom reads. It
// must say what it is called, and what it is about.
func Open(doc []byte) (*Part, error) {
	f, err := sbom.Detect(doc)
	if err != nil {
		return nil, err
	}
	g, err := sbom.Read(doc, f)
	if err != nil {
		return nil, err
	}
	p := &Part{graph: g}
	if root := g.Root(); root != nil {
		p.link = g.Link(root.ID)
	}
	if p.link == "" {
		return nil, &provenance.FormatError{Reason: sbom.ReasonReference,
			Msg: "assembly: the document cannot be linked to: want a serialNumber (CycloneDX) or documentNamespace (SPDX), and a named component that it is about"}
	}
	a, err := provenance.DigestReader(context.Background(), "", bytes.NewReader(doc))
	if err != nil {
		return nil, err
	}
	p.digest = a.Digests
	return p, nil
}

// Graph returns what the document says.
func (p *Part) Graph() *sbom.Graph { return p.graph }

// Link returns the link to the component that the document is about.
func (p *Part) Link() string { return p.link }

// Assemble makes the bill of a product that contains the parts. Each part is a
// component with the fields of the part's root and a reference of kind "bom" to
// the document. What is in the part is not repeated, so the bill does not call
// itself complete, with [ReasonLinked].
func Assemble(cr sbom.Creation, product sbom.Component, parts ...*Part) (*sbom.Graph, error) {
	if len(parts) == 0 {
		return nil, fmt.Errorf("no parts to assemble")
	}
	g := &sbom.Graph{Creation: cr}
	root := g.Add(product)
	seen := make(map[string]bool)
	for _, p := range parts {
		if seen[p.link] {
			return nil, fmt.Errorf("part %s twice", p.link)
		}
		seen[p.link] = true
		r := p.graph.Root()
		c := sbom.Component{
			Type: r.Type, Name: r.Name, Version: r.Version, PURL: r.PURL, CPEs: slices.Clone(r.CPEs), Digests: slices.Clone(r.Digests),
			Declared: r.Declared, Concluded: r.Concluded, Copyright: slices.Clone(r.Copyright), Supplier: r.Supplier, Scope: r.Scope,
			Evidence: slices.Clone(r.Evidence), Dependencies: sbom.Incomplete,
		}
		for _, ref := range r.References {
			if ref.Kind != "bom" {
				c.References = append(c.References, ref)
			}
		}
		c.References = append(c.References, sbom.Reference{Kind: "bom", URL: p.link, Digests: slices.Clone(p.digest)})
		id := g.Add(c)
		g.AddUnknown(sbom.Gap{Component: id, Field: sbom.FieldComponents, Reason: ReasonLinked, Detail: p.link})
		if err := g.Relate(root, sbom.Contains, id); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// Check holds the links of a bill against the documents: every reference of
// kind "bom" that is a link must name one of the parts, by a digest that is the
// document's, on a component that the part is about. It looks at every
// component of g.
func Check(g *sbom.Graph, parts ...*Part) (*gate.Report, error) {
	byLink := make(map[string]*Part, len(parts))
	for _, p := range parts {
		if byLink[p.link] != nil {
			return nil, fmt.Errorf("part %s twice", p.link)
		}
		byLink[p.link] = p
	}
	r := gate.New("assembly", g, RuleMissing, RuleChanged, RuleNoDigest, RuleAnother, RuleUnclaimed)
	used := make(map[*Part]bool)
	for _, c := range g.Components() {
		for _, ref := range c.References {
			if ref.Kind != "bom" {
				continue
			}
			r.Judged++
			find := func(rule, format string, args ...any) {
				r.Add(c, gate.Finding{Rule: rule, Level: gate.Error, Message: fmt.Sprintf(format, args...)})
			}
			p := byLink[ref.URL]
			if p == nil {
				find(RuleMissing, "links to %.200s, which was not given", ref.URL)
				continue
			}
			used[p] = true
			root := p.graph.Root()
			switch {
			case len(ref.Digests) == 0 || !overlap(ref.Digests, p.digest):
				find(RuleNoDigest, "links to %.200s without a SHA-256 or SHA-512 digest", ref.URL)
			case !ref.Digests.Matches(p.digest):
				find(RuleChanged, "links to %.200s by the digest %s, and the document has %s", ref.URL, ref.Digests, p.digest)
			}
			switch {
			case c.PURL != root.PURL || c.Name != root.Name || c.Version != root.Version:
				find(RuleAnother, "links to a document about %s", gate.Label(root))
			case len(c.Digests) > 0 && len(root.Digests) > 0 && !c.Digests.Matches(root.Digests):
				find(RuleAnother, "links to a document about something with the digest %s", root.Digests)
			}
		}
	}
	for _, p := range parts {
		if !used[p] {
			r.Add(nil, gate.Finding{Rule: RuleUnclaimed, Level: gate.Error, Message: fmt.Sprintf("nothing links to the document %.200s", p.link)})
		}
	}
	r.Sort()
	return r, nil
}

func overlap(a, b provenance.DigestSet) bool {
	return slices.ContainsFunc(a, func(d provenance.Digest) bool { return d.Algorithm().Strong() && !b.Get(d.Algorithm()).IsZero() })
}

// Flatten makes one bill of a product and its parts, with everything in it:
// what [Check] has found nothing wrong with. Components of several parts that
// are the same are one, as [sbom.Graph.Merge] says.
func Flatten(g *sbom.Graph, parts ...*Part) (*sbom.Graph, error) {
	r, err := Check(g, parts...)
	if err != nil {
		return nil, err
	}
	if err := r.Err(); err != nil {
		return nil, err
	}
	linked := make(map[string]*Part, len(parts))
	total := len(g.Components())
	for _, p := range parts {
		linked[p.link] = p
		if total += len(p.graph.Components()); total > limits.SBOMComponents {
			return nil, &provenance.FormatError{Reason: sbom.ReasonLimit, Msg: fmt.Sprintf("assembly: more than %d components", limits.SBOMComponents)}
		}
	}
	whole := &sbom.Graph{Creation: g.Creation}
	ids := make(map[string]string)
	for _, c := range g.Components() {
		n := *c
		for _, ref := range c.References {
			if p := linked[ref.URL]; ref.Kind == "bom" && p != nil {
				// What the part says of itself counts, and completeness with it.
				n.Dependencies = p.graph.Root().Dependencies
			}
		}
		n.References = slices.DeleteFunc(slices.Clone(n.References), func(ref sbom.Reference) bool { return ref.Kind == "bom" && linked[ref.URL] != nil })
		n.CPEs, n.Digests, n.Copyright = slices.Clone(c.CPEs), slices.Clone(c.Digests), slices.Clone(c.Copyright)
		n.Properties, n.Evidence = slices.Clone(c.Properties), slices.Clone(c.Evidence)
		ids[c.ID] = whole.Add(n)
	}
	if root := g.Root(); root != nil {
		if err := whole.SetRoot(ids[root.ID]); err != nil {
			return nil, err
		}
	}
	for _, rel := range g.Relationships() {
		if err := whole.Relate(ids[rel.From], rel.Kind, ids[rel.To]); err != nil {
			return nil, err
		}
	}
	for _, gap := range g.Unknowns() {
		if gap.Reason == ReasonLinked && linked[gap.Detail] != nil {
			continue
		}
		if gap.Component != "" {
			gap.Component = ids[gap.Component]
		}
		whole.AddUnknown(gap)
	}
	for _, p := range parts {
		whole.Merge(p.graph)
	}
	return whole, nil
}
