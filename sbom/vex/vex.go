// Package vex applies statements about which vulnerabilities affect an artifact
// (Vulnerability Exploitability eXchange) to what package sbom/osv found, and
// writes such statements.
//
//	statements, err := vex.FromStatement(verified.Statement(), "security-team")
//	result, err = vex.Apply(result, statements, vex.Options{Trusted: []string{"security-team"}, At: now})
//	err = result.Report(osv.ReportOptions{}).Err()
//
// # Who may say so
//
// A statement that an artifact is not affected opens a gate, so it counts only
// when it comes from a principal that the caller trusts. This package verifies
// no signatures. The caller opens the envelope with package verify and passes,
// beside the statement, names of the principals whose signatures verified; what
// the document says about its author proves nothing and is shown only. A
// document that was read without principals counts for nothing unless
// Options.UnsafeUnsigned is set.
//
// # What a statement is about
//
// A product is told by its package URL or by a strong digest, never by its name.
// A statement about the root component is about the whole artifact, or about the
// parts of it that the statement lists; a statement about another component is
// about that component wherever it is. A package URL without version means all
// versions; qualifiers that are there must fit. A digest that contradicts the
// component's makes no match.
//
// # Which statement counts
//
// Of one principal the latest, by the time in the statement. If the latest two
// disagree, or two principals do, the vulnerability stays open and the report
// says that there is a conflict. A time after Options.At does not count for
// closing anything. "not_affected" must come with a justification or an impact
// statement. Where records say that several CVEs are one vulnerability, each of
// them must be settled by a statement that names it.
package vex

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/predicate"
	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/gate"
	"github.com/hallmark-build/hallmark/sbom/osv"
	"github.com/hallmark-build/hallmark/sbom/purl"
)

// A Statement says how products stand to one vulnerability.
type Statement struct {
	IDs      []string // the vulnerability's identifier, then its aliases
	Products []Product
	Status   osv.Status

	// Justification is one of OpenVEX's ("vulnerable_code_not_present") or of
	// CycloneDX's ("code_not_reachable"). Impact says in words why a product
	// is not affected, Action what to do when it is.
	Justification, Impact, Action string

	Time time.Time // when it was made or last updated

	Document   string   // where it is from: the document's identifier
	Author     string   // who made it, by its own account
	Principals []string // whose signatures verified; empty for a document that is not signed
}

// A Product is what a statement is about, with the parts that are meant; no
// parts means all of it.
type Product struct {
	PURL    string
	Digests provenance.DigestSet
	Parts   []Product // without parts of their own
}

// identified reports whether a product can be told at all.
func (p *Product) identified() bool { return p.PURL != "" || len(p.Digests) > 0 }

// is reports whether a component is the product.
func (p *Product) is(c *sbom.Component) bool {
	same := false
	for _, d := range p.Digests {
		switch e := c.Digests.Get(d.Algorithm()); {
		case e.IsZero() || !d.Algorithm().Strong():
		case e == d:
			same = true
		default:
			return false
		}
	}
	if p.PURL == "" {
		return same
	}
	want, err := purl.Parse(p.PURL)
	if err != nil {
		return false
	}
	have, err := purl.Parse(c.PURL)
	if err != nil {
		// Only the digest can tell, if the product is named by one.
		return same && c.PURL == ""
	}
	if want.Type != have.Type || want.Namespace != have.Namespace || want.Name != have.Name ||
		want.Version != "" && want.Version != have.Version || want.Subpath != "" && want.Subpath != have.Subpath {
		return false
	}
	for _, q := range want.Qualifiers {
		if have.Qualifier(q.Key) != q.Value {
			return false
		}
	}
	return true
}

// about reports whether the statement is about a component of an artifact. A
// product in one version is not what is affected in another version, which the
// bill gives the component beside that of the package URL.
func (s *Statement) about(root, c *sbom.Component, other string) bool {
	is := func(p Product) bool {
		if other != "" {
			if u, err := purl.Parse(p.PURL); err == nil && u.Version != "" {
				return false
			}
		}
		return p.is(c)
	}
	for i := range s.Products {
		p := &s.Products[i]
		if len(p.Parts) == 0 && (is(*p) || c != root && p.is(root)) || p.is(root) && slices.ContainsFunc(p.Parts, is) {
			return true
		}
	}
	return false
}

func (s *Statement) check() error {
	switch s.Status {
	case osv.NotAffected:
		if s.Justification == "" && strings.TrimSpace(s.Impact) == "" {
			return errors.New("not_affected wants a justification or an impact statement")
		}
	case osv.Affected, osv.Fixed, osv.UnderInvestigation:
	default:
		return fmt.Errorf("status %.40q is none", string(s.Status))
	}
	if len(s.IDs) == 0 || s.IDs[0] == "" {
		return errors.New("it names no vulnerability")
	}
	if s.Time.IsZero() {
		return errors.New("it has no time")
	}
	return nil
}

// closes reports whether a status settles a vulnerability.
func closes(s osv.Status) bool { return s == osv.NotAffected || s == osv.Fixed }

// Options says which statements count.
type Options struct {
	// Trusted are the principals whose statements count, by the names that
	// were passed when they were read.
	Trusted []string

	// At is the time to judge by. Required.
	At time.Time

	// UnsafeUnsigned lets documents count that were read without principals.
	// Anybody can write one.
	UnsafeUnsigned bool
}

// unsigned is the principal of documents that nobody signed.
const unsigned = "(unsigned)"

// Apply returns the result with the statements applied: the status of each
// vulnerability, and remarks about statements that did not count. The result
// that was passed is not changed. A vulnerability that no statement is about
// stays affected.
func Apply(r *osv.Result, statements []Statement, o Options) (*osv.Result, error) {
	if r == nil || r.Graph() == nil {
		return nil, errors.New("vex: no result")
	}
	if o.At.IsZero() {
		return nil, errors.New("vex: Options.At is required")
	}
	if len(statements) > maxStatements {
		return nil, fmt.Errorf("vex: %d statements; at most %d are read", len(statements), maxStatements)
	}
	byID := map[string][]int{}
	for i := range statements {
		if err := statements[i].check(); err != nil {
			return nil, fmt.Errorf("vex: statement %d of %.80q: %w", i, statements[i].Document, err)
		}
		for _, id := range statements[i].IDs {
			byID[id] = append(byID[id], i)
		}
	}
	out := *r
	out.Vulnerabilities = slices.Clone(r.Vulnerabilities)
	out.Remarks = slices.Clone(r.Remarks)
	a := &applier{o: o, out: &out, g: r.Graph(), all: statements, used: make([]bool, len(statements))}
	for i := range out.Vulnerabilities {
		v := &out.Vulnerabilities[i]
		var candidates []int
		for _, id := range v.IDs() {
			candidates = append(candidates, byID[id]...)
		}
		slices.Sort(candidates)
		a.vulnerability(v, slices.Compact(candidates))
	}
	a.rest()
	return &out, nil
}

// maxStatements bounds the statements of one call.
const maxStatements = 1 << 20

// Of statements of nobody who is trusted, maxStrangers are looked at for each
// vulnerability, and maxRemarks get a remark.
const (
	maxStrangers = 1000
	maxRemarks   = 4
)

type applier struct {
	o    Options
	out  *osv.Result
	g    *sbom.Graph
	all  []Statement
	used []bool
}

func (a *applier) remark(v *osv.Vulnerability, level gate.Level, reason, msg string) {
	f := gate.Finding{Rule: osv.RuleVEX, Level: level, Reason: reason, Message: msg}
	if v != nil {
		f.Component, f.Vulnerability = v.Component, v.ID
		f.Message = v.ID + ": " + msg
	}
	a.out.Remarks = append(a.out.Remarks, f)
}

// Reasons of remarks. They are stable.
const (
	ReasonConflict  = "conflict"               // statements that count contradict each other: an error
	ReasonUntrusted = "untrusted"              // a statement of nobody who is trusted: a warning
	ReasonFuture    = "from-the-future"        // a statement with a time that has not come: a warning
	ReasonUnnamed   = "product-not-identified" // a statement about a product without package URL and digest: a note
	ReasonPartial   = "other-identifiers"      // records tie several CVEs together, and statements are about some of them: a note
	ReasonUnused    = "unused"                 // statements about what was not found: a note
)

// vulnerability applies statements to one vulnerability. Records can tie several
// CVEs together; then each of them must be settled by statements that name it.
func (a *applier) vulnerability(v *osv.Vulnerability, candidates []int) {
	isCVE := func(id string) bool { return strings.HasPrefix(id, "CVE-") }
	cves := slices.DeleteFunc(v.IDs(), func(id string) bool { return !isCVE(id) })
	if len(cves) < 2 {
		if status, why := a.settle(v, candidates); status != "" {
			v.Status, v.Why = status, why
		}
		return
	}
	var status osv.Status
	var why, unsettled string
	for _, cve := range cves {
		var of []int
		for _, i := range candidates {
			s := &a.all[i]
			if slices.Contains(s.IDs, cve) || !closes(s.Status) && !slices.ContainsFunc(s.IDs, isCVE) {
				of = append(of, i)
			}
		}
		switch st, w := a.settle(v, of); {
		case st == "":
			unsettled = cve
		case status == "" || closes(status) && !closes(st):
			status, why = st, w
		}
	}
	switch {
	case status == "":
	case unsettled == "" || !closes(status):
		v.Status, v.Why = status, why
	default:
		a.remark(v, gate.Note, ReasonPartial, fmt.Sprintf("statements settle some of %s, and none is about %s", strings.Join(cves[:min(len(cves), 4)], ", "), unsettled))
	}
}

// settle says what statements make of a vulnerability, and why; "" is nothing.
func (a *applier) settle(v *osv.Vulnerability, candidates []int) (osv.Status, string) {
	root, c := a.g.Root(), a.g.Component(v.Component)
	latest := map[string][]*Statement{} // of each principal, those of the latest time
	var principals []string
	strangers, remarks := 0, 0
	for _, i := range candidates {
		s := &a.all[i]
		who := a.trusted(s)
		if len(who) == 0 {
			// Anybody can write these, and as many as they like.
			if strangers++; strangers > maxStrangers || remarks == maxRemarks {
				a.used[i] = true
				continue
			}
		}
		if !s.about(root, c, v.OtherVersion) {
			continue
		}
		a.used[i] = true
		if len(who) == 0 {
			remarks++
			a.remark(v, gate.Warning, ReasonUntrusted, fmt.Sprintf("%s says %s, signed by nobody who is trusted for it", source(s), s.Status))
			continue
		}
		if s.Time.After(a.o.At) && closes(s.Status) {
			a.remark(v, gate.Warning, ReasonFuture, fmt.Sprintf("%s says %s as of %s, which is yet to come", source(s), s.Status, s.Time.UTC().Format(time.RFC3339)))
			continue
		}
		for _, p := range who {
			switch old := latest[p]; {
			case old == nil:
				principals = append(principals, p)
				latest[p] = []*Statement{s}
			case s.Time.After(old[0].Time):
				latest[p] = []*Statement{s}
			case s.Time.Equal(old[0].Time):
				latest[p] = append(old, s)
			}
		}
	}
	if len(principals) == 0 {
		return "", ""
	}
	slices.Sort(principals)
	var say []*Statement
	for _, p := range principals {
		say = append(say, latest[p]...)
	}
	// What leaves it open comes first.
	slices.SortStableFunc(say, func(x, y *Statement) int {
		rank := func(s *Statement) int {
			return slices.Index([]osv.Status{osv.Affected, osv.UnderInvestigation, osv.Fixed, osv.NotAffected}, s.Status)
		}
		return cmp.Or(cmp.Compare(rank(x), rank(y)), y.Time.Compare(x.Time), cmp.Compare(x.Document, y.Document), cmp.Compare(why(x), why(y)))
	})
	first, last := say[0], say[len(say)-1]
	if closes(first.Status) != closes(last.Status) {
		a.remark(v, gate.Error, ReasonConflict, fmt.Sprintf("%s says %s, and %s says %s", source(first), first.Status, source(last), last.Status))
	}
	return first.Status, why(first)
}

// trusted returns whose word a statement is, of those that count.
func (a *applier) trusted(s *Statement) []string {
	if len(s.Principals) == 0 {
		if a.o.UnsafeUnsigned {
			return []string{unsigned}
		}
		return nil
	}
	var who []string
	for _, p := range s.Principals {
		if slices.Contains(a.o.Trusted, p) && !slices.Contains(who, p) {
			who = append(who, p)
		}
	}
	return who
}

func source(s *Statement) string {
	who := "nobody"
	if len(s.Principals) > 0 {
		who = strings.Join(s.Principals, ", ")
	}
	return fmt.Sprintf("%.200s, signed by %.200s,", cmp.Or(s.Document, "a document"), who)
}

func why(s *Statement) string {
	var parts []string
	for _, p := range []string{s.Justification, s.Impact, s.Action} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(append(parts, "as of "+s.Time.UTC().Format(time.RFC3339)+" by "+strings.TrimSuffix(source(s), ",")), "; ")
}

// rest remarks on statements that nothing came of.
func (a *applier) rest() {
	unused := 0
	for i := range a.all {
		if a.used[i] {
			continue
		}
		unused++
		s := &a.all[i]
		if slices.ContainsFunc(s.Products, func(p Product) bool {
			return !p.identified() || slices.ContainsFunc(p.Parts, func(p Product) bool { return !p.identified() })
		}) || len(s.Products) == 0 {
			a.remark(nil, gate.Note, ReasonUnnamed, fmt.Sprintf("%s says %s of %s, of a product that has neither package URL nor digest", source(s), s.Status, s.IDs[0]))
		}
	}
	if unused > 0 {
		a.remark(nil, gate.Note, ReasonUnused, fmt.Sprintf("%d of %d statements are about nothing that was found", unused, len(a.all)))
	}
}

// Draft makes the beginning of a statement about a vulnerability that was found:
// about this artifact and the component in it, under investigation. Whoever
// looked into it sets the status and says why.
func Draft(r *osv.Result, v osv.Vulnerability, at time.Time) Statement {
	root, c := r.Graph().Root(), r.Graph().Component(v.Component)
	p := Product{PURL: root.PURL, Digests: root.Digests}
	if c != root {
		p.Parts = []Product{{PURL: c.PURL, Digests: c.Digests}}
	}
	return Statement{IDs: v.IDs(), Products: []Product{p}, Status: osv.UnderInvestigation, Time: at}
}

// FromStatement reads VEX out of an in-toto statement: an OpenVEX document, or a
// CycloneDX document with vulnerabilities. Principals are the names, of the
// caller's choosing, of those whose signatures on the statement verified.
//
// A document that names no products is about the subjects of the statement.
func FromStatement(st *provenance.Statement, principals ...string) ([]Statement, error) {
	var list []Statement
	var err error
	switch t := st.PredicateType(); {
	case t == predicate.TypeOpenVEX || t == predicate.TypeOpenVEXV020:
		list, err = ReadOpenVEX(st.Predicate(), principals...)
	case t == string(sbom.CycloneDX) || strings.HasPrefix(t, string(sbom.CycloneDX)+"/v"):
		list, err = ReadCycloneDX(st.Predicate(), nil, principals...)
	default:
		return nil, fmt.Errorf("vex: predicate type %.200q is neither OpenVEX nor CycloneDX", t)
	}
	if err != nil {
		return nil, err
	}
	for i := range list {
		if len(list[i].Products) == 0 {
			for _, s := range st.Subjects() {
				list[i].Products = append(list[i].Products, Product{Digests: s.Digest})
			}
		}
	}
	return list, nil
}
