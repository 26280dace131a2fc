package vex

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/strictjson"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/osv"
	"github.com/hallmark-build/hallmark/sbom/purl"
)

// The part of CycloneDX 1.4 to 1.7 that VEX is made of.
type (
	cdxDocument struct {
		Schema          string             `json:"$schema,omitempty"`
		Format          string             `json:"bomFormat"`
		Spec            string             `json:"specVersion"`
		Serial          string             `json:"serialNumber,omitempty"`
		Version         int                `json:"version"`
		Metadata        cdxMetadata        `json:"metadata"`
		Components      []cdxComponent     `json:"components,omitempty"`
		Vulnerabilities []cdxVulnerability `json:"vulnerabilities"`
	}
	cdxMetadata struct {
		Timestamp string        `json:"timestamp,omitempty"`
		Authors   []cdxAuthor   `json:"authors,omitempty"`
		Component *cdxComponent `json:"component,omitempty"`
	}
	cdxAuthor struct {
		Name string `json:"name,omitempty"`
	}
	cdxComponent struct {
		Type       string         `json:"type"`
		Ref        string         `json:"bom-ref,omitempty"`
		Name       string         `json:"name"`
		Version    string         `json:"version,omitempty"`
		PURL       string         `json:"purl,omitempty"`
		Hashes     []cdxHash      `json:"hashes,omitempty"`
		Components []cdxComponent `json:"components,omitempty"`
	}
	cdxHash struct {
		Alg     string `json:"alg"`
		Content string `json:"content"`
	}
	cdxVulnerability struct {
		ID         string         `json:"id"`
		References []cdxReference `json:"references,omitempty"`
		Updated    string         `json:"updated,omitempty"`
		Analysis   *cdxAnalysis   `json:"analysis,omitempty"`
		Affects    []cdxAffect    `json:"affects,omitempty"`
	}
	cdxReference struct {
		ID     string    `json:"id"`
		Source cdxSource `json:"source"`
	}
	cdxSource struct {
		Name string `json:"name,omitempty"`
	}
	cdxAnalysis struct {
		State         string   `json:"state,omitempty"`
		Justification string   `json:"justification,omitempty"`
		Response      []string `json:"response,omitempty"`
		Detail        string   `json:"detail,omitempty"`
		FirstIssued   string   `json:"firstIssued,omitempty"`
		LastUpdated   string   `json:"lastUpdated,omitempty"`
	}
	cdxAffect struct {
		Ref string `json:"ref"`
	}
)

// A Linked returns the bill of materials with a serial number ("urn:uuid:…") and
// version that a document links to, or nil.
type Linked func(serial string, version int) *sbom.Graph

// ReadCycloneDX reads the vulnerabilities of a CycloneDX document in JSON, 1.4 to
// 1.7, that have an analysis. Principals are those whose signatures on it were
// verified. References by BOM-Link are looked up with linked; nil is none.
//
// What a vulnerability affects is taken to be that component in the product
// that the document is about (metadata.component), or, in a document about no
// product, that component wherever it is. The lists of versions beside a
// reference say which versions are vulnerable, not what the analysis is about,
// and are not used.
func ReadCycloneDX(doc []byte, linked Linked, principals ...string) ([]Statement, error) {
	var d cdxDocument
	if err := strictjson.Into(doc, limits.Statement, &d); err != nil {
		return nil, fmt.Errorf("vex: %w", err)
	}
	if d.Format != "CycloneDX" {
		return nil, fmt.Errorf("vex: bomFormat is %.40q, not CycloneDX", d.Format)
	}
	switch d.Spec {
	case "1.4", "1.5", "1.6", "1.7":
	default:
		return nil, fmt.Errorf("vex: CycloneDX %.20q is not read, only 1.4 to 1.7", d.Spec)
	}
	r := cdxReader{d: &d, linked: linked, byRef: map[string]*cdxComponent{}}
	if d.Metadata.Component != nil {
		if err := r.enter(d.Metadata.Component); err != nil {
			return nil, err
		}
	}
	for i := range d.Components {
		if err := r.enter(&d.Components[i]); err != nil {
			return nil, err
		}
	}
	author := ""
	if len(d.Metadata.Authors) > 0 {
		author = d.Metadata.Authors[0].Name
	}
	var list []Statement
	for i := range d.Vulnerabilities {
		v := &d.Vulnerabilities[i]
		if v.Analysis == nil || v.Analysis.State == "" {
			continue // a vulnerability that is listed, with nothing said about it
		}
		s := Statement{
			IDs: []string{v.ID}, Justification: v.Analysis.Justification, Impact: v.Analysis.Detail, Action: strings.Join(v.Analysis.Response, ", "),
			Document: d.Serial, Author: author, Principals: slices.Clone(principals),
		}
		for _, ref := range v.References {
			if ref.ID != "" && !slices.Contains(s.IDs, ref.ID) {
				s.IDs = append(s.IDs, ref.ID)
			}
		}
		switch v.Analysis.State {
		case "resolved", "resolved_with_pedigree":
			s.Status = osv.Fixed
		case "exploitable":
			s.Status = osv.Affected
		case "in_triage":
			s.Status = osv.UnderInvestigation
		case "not_affected", "false_positive":
			s.Status = osv.NotAffected
		default:
			return nil, fmt.Errorf("vex: vulnerabilities[%d].analysis.state %.40q is none", i, v.Analysis.State)
		}
		if j := v.Analysis.Justification; j != "" && !cdxJustifications[j] {
			return nil, fmt.Errorf("vex: vulnerabilities[%d].analysis.justification %.40q is none", i, j)
		}
		for _, t := range []string{v.Analysis.LastUpdated, v.Analysis.FirstIssued, v.Updated, d.Metadata.Timestamp} {
			if t == "" {
				continue
			}
			at, err := time.Parse(time.RFC3339, t)
			if err != nil {
				return nil, fmt.Errorf("vex: vulnerabilities[%d]: %.40q is not a time", i, t)
			}
			s.Time = at.UTC()
			break
		}
		for _, a := range v.Affects {
			s.Products = append(s.Products, r.product(a.Ref))
		}
		if err := s.check(); err != nil {
			return nil, fmt.Errorf("vex: vulnerabilities[%d]: %w", i, err)
		}
		list = append(list, s)
	}
	return list, nil
}

var cdxJustifications = map[string]bool{
	"code_not_present": true, "code_not_reachable": true, "requires_configuration": true, "requires_dependency": true, "requires_environment": true,
	"protected_by_compiler": true, "protected_at_runtime": true, "protected_at_perimeter": true, "protected_by_mitigating_control": true,
}

type cdxReader struct {
	d      *cdxDocument
	linked Linked
	byRef  map[string]*cdxComponent
}

func (r *cdxReader) enter(c *cdxComponent) error {
	if c.Ref != "" {
		if r.byRef[c.Ref] != nil {
			return fmt.Errorf("vex: bom-ref %.80q twice", c.Ref)
		}
		r.byRef[c.Ref] = c
	}
	for i := range c.Components {
		if err := r.enter(&c.Components[i]); err != nil {
			return err
		}
	}
	return nil
}

// product resolves a reference; what it does not resolve to is a product that
// nothing is.
func (r *cdxReader) product(ref string) Product {
	if rest, ok := strings.CutPrefix(ref, "urn:cdx:"); ok {
		return r.link(rest)
	}
	c := r.byRef[ref]
	if c == nil {
		return Product{}
	}
	return within(r.d.Metadata.Component, c)
}

func within(root, c *cdxComponent) Product {
	if root == nil || root == c {
		return cdxProduct(c)
	}
	p := cdxProduct(root)
	if !p.identified() {
		return Product{}
	}
	p.Parts = []Product{cdxProduct(c)}
	return p
}

// link resolves "serial/version#bom-ref" (CycloneDX, BOM-Link).
func (r *cdxReader) link(s string) Product {
	where, fragment, _ := strings.Cut(s, "#")
	serial, version, _ := strings.Cut(where, "/")
	n, err := strconv.Atoi(version)
	ref, err2 := url.PathUnescape(fragment)
	if err != nil || err2 != nil {
		return Product{}
	}
	if "urn:uuid:"+serial == r.d.Serial && n == r.d.Version {
		return r.product(ref)
	}
	if r.linked == nil {
		return Product{}
	}
	g := r.linked("urn:uuid:"+serial, n)
	if g == nil || g.Root() == nil {
		return Product{}
	}
	root, c := g.Root(), g.Component(ref)
	switch {
	case ref == "" || c == root:
		return Product{PURL: root.PURL, Digests: root.Digests}
	case c == nil || root.PURL == "" && len(root.Digests) == 0:
		return Product{}
	}
	return Product{PURL: root.PURL, Digests: root.Digests, Parts: []Product{{PURL: c.PURL, Digests: c.Digests}}}
}

func cdxProduct(c *cdxComponent) Product {
	p := Product{PURL: c.PURL}
	if p.PURL != "" && canonical(p.PURL) == "" {
		return Product{}
	}
	for _, h := range c.Hashes {
		if d, err := digestOf(h.Alg, h.Content); err == nil {
			p.Digests = append(p.Digests, d)
		}
	}
	return p
}

// CycloneDX writes a CycloneDX 1.6 document of statements about one product: a VEX
// that stands beside the bill. All statements must be about the same product,
// since a document is about one.
func CycloneDX(h Header, statements ...Statement) ([]byte, error) {
	if err := h.check(); err != nil {
		return nil, err
	}
	d := cdxDocument{
		Schema: "http://cyclonedx.org/schema/bom-1.6.schema.json", Format: "CycloneDX", Spec: "1.6", Version: max(h.Version, 1), Vulnerabilities: []cdxVulnerability{},
		Metadata: cdxMetadata{Timestamp: h.Time.UTC().Format(time.RFC3339), Authors: []cdxAuthor{{h.Author}}},
	}
	if strings.HasPrefix(h.ID, "urn:uuid:") {
		d.Serial = h.ID
	}
	refs := map[string]bool{}
	component := func(p *Product, typ string) (cdxComponent, error) {
		c, err := cdxComponentOf(p)
		c.Type = typ
		return c, err
	}
	for i := range statements {
		s := &statements[i]
		if err := s.check(); err != nil {
			return nil, fmt.Errorf("vex: statement %d: %w", i, err)
		}
		at := s.Time.UTC().Format(time.RFC3339)
		v := cdxVulnerability{ID: s.IDs[0], Analysis: &cdxAnalysis{Detail: cmp.Or(s.Impact, s.Action), LastUpdated: at}}
		for _, id := range s.IDs[1:] {
			v.References = append(v.References, cdxReference{id, cdxSource{"alias"}})
		}
		v.Analysis.State = map[osv.Status]string{osv.NotAffected: "not_affected", osv.Affected: "exploitable", osv.Fixed: "resolved", osv.UnderInvestigation: "in_triage"}[s.Status]
		if j := s.Justification; j != "" {
			if v.Analysis.Justification = j; !cdxJustifications[j] {
				v.Analysis.Justification = openToCyclone[j]
				v.Analysis.Detail = strings.TrimSuffix(j+": "+v.Analysis.Detail, ": ")
			}
		}
		for j := range s.Products {
			p := &s.Products[j]
			root, err := component(p, "application")
			if err != nil {
				return nil, fmt.Errorf("vex: statement %d: %w", i, err)
			}
			switch {
			case d.Metadata.Component == nil:
				d.Metadata.Component = &root
			case d.Metadata.Component.Ref != root.Ref:
				return nil, fmt.Errorf("vex: statement %d is about %.200q, and others about %.200q: a document is about one product", i, root.Ref, d.Metadata.Component.Ref)
			}
			if len(p.Parts) == 0 {
				v.Affects = append(v.Affects, cdxAffect{root.Ref})
			}
			for k := range p.Parts {
				c, err := component(&p.Parts[k], "library")
				if err != nil {
					return nil, fmt.Errorf("vex: statement %d: %w", i, err)
				}
				if c.Ref != root.Ref && !refs[c.Ref] {
					refs[c.Ref] = true
					d.Components = append(d.Components, c)
				}
				v.Affects = append(v.Affects, cdxAffect{c.Ref})
			}
		}
		d.Vulnerabilities = append(d.Vulnerabilities, v)
	}
	out, err := json.MarshalIndent(&d, "", "  ")
	if err != nil {
		return nil, err
	}
	return append(out, '\n'), nil
}

// cdxNames are CycloneDX's names of algorithms.
var cdxNames = map[provenance.Algorithm]string{
	provenance.SHA256: "SHA-256", provenance.SHA384: "SHA-384", provenance.SHA512: "SHA-512",
	"sha3_256": "SHA3-256", "sha3_384": "SHA3-384", "sha3_512": "SHA3-512",
}

func cdxComponentOf(p *Product) (cdxComponent, error) {
	c := cdxComponent{Ref: p.PURL, Name: p.PURL, PURL: p.PURL}
	if u, err := purl.Parse(p.PURL); err == nil {
		c.Name, c.Version = u.Name, u.Version
		if u.Namespace != "" {
			c.Name = u.Namespace + "/" + u.Name
		}
	}
	for _, d := range p.Digests {
		if n, ok := cdxNames[d.Algorithm()]; ok {
			c.Hashes = append(c.Hashes, cdxHash{n, d.Value()})
			if p.PURL == "" && c.Ref == "" {
				c.Ref, c.Name = d.String(), d.String()
			}
		}
	}
	if c.Ref == "" {
		return c, fmt.Errorf("a product has neither package URL nor strong digest")
	}
	return c, nil
}
