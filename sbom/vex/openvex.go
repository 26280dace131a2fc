package vex

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/predicate"
	"github.com/hallmark-build/hallmark/sbom/osv"
	"github.com/hallmark-build/hallmark/sbom/purl"
)

// ReadOpenVEX reads an OpenVEX document (v0.2.0). Principals are those whose
// signatures on it were verified; none for a document that is not signed.
// A statement that has no time has the document's.
func ReadOpenVEX(doc []byte, principals ...string) ([]Statement, error) {
	if len(doc) > limits.Statement {
		return nil, fmt.Errorf("vex: document of %d bytes; at most %d are read", len(doc), limits.Statement)
	}
	v, err := predicate.ParseOpenVEX(doc)
	if err != nil {
		return nil, fmt.Errorf("vex: %w", err)
	}
	var list []Statement
	for i := range v.Statements {
		s := &v.Statements[i]
		out := Statement{
			IDs: []string{s.Vulnerability.Name}, Status: osv.Status(s.Status), Justification: s.Justification, Impact: s.ImpactStatement, Action: s.ActionStatement,
			Document: v.ID, Author: v.Author, Principals: slices.Clone(principals),
		}
		for _, id := range append([]string{s.Vulnerability.ID}, s.Vulnerability.Aliases...) {
			if id != "" && !slices.Contains(out.IDs, id) {
				out.IDs = append(out.IDs, id)
			}
		}
		for _, t := range []predicate.Timestamp{s.LastUpdated, s.Timestamp, v.LastUpdated, v.Timestamp} {
			if !t.IsZero() {
				out.Time = t.UTC()
				break
			}
		}
		for _, p := range s.Products {
			product := productOf(p.VEXComponent)
			for _, sub := range p.Subcomponents {
				product.Parts = append(product.Parts, productOf(sub))
			}
			out.Products = append(out.Products, product)
		}
		if err := out.check(); err != nil {
			return nil, fmt.Errorf("vex: statements[%d]: %w", i, err)
		}
		list = append(list, out)
	}
	return list, nil
}

// productOf reads what names a product. What is not a package URL or a strong
// digest names nothing here; a purl that contradicts the other is no name.
func productOf(c predicate.VEXComponent) Product {
	p := Product{PURL: c.Identifiers["purl"]}
	if strings.HasPrefix(c.ID, "pkg:") {
		switch {
		case p.PURL == "":
			p.PURL = c.ID
		case canonical(p.PURL) != canonical(c.ID):
			return Product{}
		}
	}
	if p.PURL != "" && canonical(p.PURL) == "" {
		return Product{}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Hashes)) {
		if d, err := digestOf(name, c.Hashes[name]); err == nil {
			p.Digests = append(p.Digests, d)
		}
	}
	return p
}

func canonical(s string) string {
	p, err := purl.Parse(s)
	if err != nil {
		return ""
	}
	return p.String()
}

// digestOf reads a digest under the name that IANA or CycloneDX has for its
// algorithm: "sha-256", "SHA-256", "SHA3-256".
func digestOf(name, value string) (provenance.Digest, error) {
	n := strings.ToLower(name)
	if rest, ok := strings.CutPrefix(n, "sha-"); ok {
		n = "sha" + rest
	}
	return provenance.NewDigest(provenance.Algorithm(strings.ReplaceAll(n, "-", "_")), strings.ToLower(value))
}

// A Header says who makes a VEX document and when.
type Header struct {
	ID      string    // of the document, an IRI; required for OpenVEX
	Author  string    // required
	Time    time.Time // required
	Version int       // from 1 on; 0 is 1
	Tool    string
}

func (h *Header) check() error {
	if h.Author == "" || h.Time.IsZero() {
		return errors.New("vex: Header.Author and Header.Time are required")
	}
	return nil
}

// cycloneToOpen translates justifications, as far as they mean the same.
var cycloneToOpen = map[string]string{
	"code_not_present":                "vulnerable_code_not_present",
	"code_not_reachable":              "vulnerable_code_not_in_execute_path",
	"protected_by_mitigating_control": "inline_mitigations_already_exist",
	"protected_by_compiler":           "inline_mitigations_already_exist",
	"protected_at_runtime":            "inline_mitigations_already_exist",
	"requires_configuration":          "vulnerable_code_cannot_be_controlled_by_adversary",
}

var openToCyclone = map[string]string{
	"component_not_present":                             "code_not_present",
	"vulnerable_code_not_present":                       "code_not_present",
	"vulnerable_code_not_in_execute_path":               "code_not_reachable",
	"vulnerable_code_cannot_be_controlled_by_adversary": "requires_environment",
	"inline_mitigations_already_exist":                  "protected_by_mitigating_control",
}

// OpenVEX makes an OpenVEX document of statements. A justification that OpenVEX
// does not have is kept in the impact statement.
func OpenVEX(h Header, statements ...Statement) (*predicate.OpenVEX, error) {
	if err := h.check(); err != nil {
		return nil, err
	}
	v := &predicate.OpenVEX{
		Context: predicate.TypeOpenVEXV020, ID: h.ID, Author: h.Author, Timestamp: predicate.At(h.Time), Version: max(h.Version, 1), Tooling: h.Tool,
	}
	for i := range statements {
		s := &statements[i]
		if err := s.check(); err != nil {
			return nil, fmt.Errorf("vex: statement %d: %w", i, err)
		}
		out := predicate.VEXStatement{
			Vulnerability: predicate.VEXVulnerability{Name: s.IDs[0], Aliases: slices.Clone(s.IDs[1:])}, Timestamp: predicate.At(s.Time),
			Status: string(s.Status), Justification: s.Justification, ImpactStatement: s.Impact, ActionStatement: s.Action,
		}
		if _, known := openToCyclone[s.Justification]; s.Justification != "" && !known {
			out.Justification = cycloneToOpen[s.Justification]
			out.ImpactStatement = strings.TrimSuffix(s.Justification+": "+s.Impact, ": ")
		}
		if s.Status == osv.Affected {
			out.ActionStatement = cmp.Or(s.Action, s.Impact, "No remediation is known yet.")
		}
		for j := range s.Products {
			p := &s.Products[j]
			c, err := openComponent(p)
			if err != nil {
				return nil, fmt.Errorf("vex: statement %d: %w", i, err)
			}
			product := predicate.VEXProduct{VEXComponent: c}
			for k := range p.Parts {
				c, err := openComponent(&p.Parts[k])
				if err != nil {
					return nil, fmt.Errorf("vex: statement %d: %w", i, err)
				}
				product.Subcomponents = append(product.Subcomponents, c)
			}
			out.Products = append(out.Products, product)
		}
		v.Statements = append(v.Statements, out)
	}
	if err := v.Validate(); err != nil {
		return nil, err
	}
	return v, nil
}

func openComponent(p *Product) (predicate.VEXComponent, error) {
	if !p.identified() {
		return predicate.VEXComponent{}, errors.New("a product has neither package URL nor digest")
	}
	c := predicate.VEXComponent{ID: p.PURL}
	for _, d := range p.Digests {
		if !d.Algorithm().Strong() {
			continue
		}
		if c.Hashes == nil {
			c.Hashes = map[string]string{}
		}
		n := strings.ReplaceAll(string(d.Algorithm()), "_", "-")
		if rest, ok := strings.CutPrefix(n, "sha"); ok && !strings.HasPrefix(rest, "3") {
			n = "sha-" + rest
		}
		c.Hashes[n] = d.Value()
	}
	if c.ID == "" && len(c.Hashes) == 0 {
		return c, errors.New("a product has neither package URL nor strong digest")
	}
	return c, nil
}
