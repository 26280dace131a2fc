// Package license judges the licences of a bill of materials by a policy.
//
//	p, err := license.New(license.Policy{
//		Allow: []string{"MIT", "BSD-3-Clause", "Apache-2.0", "GPL-2.0-or-later WITH Classpath-exception-2.0"},
//		Exceptions: []license.Exception{{
//			PURL: "pkg:golang/example.com/ours", Licenses: []string{"LicenseRef-Ours"}, Why: "we wrote it",
//		}},
//	})
//	report, err := p.Check(g)
//	err = report.Err()
//
// # How an expression is judged
//
// The expression of a component is its concluded licence, or, where nobody
// concluded one, the declared one. It is an SPDX licence expression (SPDX 2.3,
// Annex D), and judged as what it is:
//
//   - "A OR B" is fine when one of them is, "A AND B" when both are.
//   - "GPL-2.0-or-later", "Apache-1.1+" leave the choice of a later version;
//     they are fine when some version that one may choose is. Which versions
//     there are, the SPDX licence list says.
//   - "A WITH E" gives more than A does. It is fine where A is allowed, and where
//     "A WITH E" itself is.
//   - References (LicenseRef-…, DocumentRef-…:LicenseRef-…) are compared whole.
//   - NOASSERTION, NONE, nothing at all, a name that is no expression, and an
//     expression that cannot be read are not fine: nobody knows what they are.
//
// An entry of a policy is one licence, with or without an exception. An entry
// with "-or-later" or "+" means that version and all later ones. What is denied
// is denied although it is allowed too, unless the entry that allows it is the
// more precise one ("A WITH E" over "A").
package license

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hallmark-build/hallmark/internal/spdxlicense"
	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/gate"
	"github.com/hallmark-build/hallmark/sbom/purl"
)

// A Policy says which licences may be in an artifact. The zero Policy allows
// nothing, and is refused.
type Policy struct {
	Allow []string `json:"allow"`
	Deny  []string `json:"deny,omitempty"`

	// Exceptions let single packages have other licences.
	Exceptions []Exception `json:"exceptions,omitempty"`

	// UnsafeAllowUnlisted allows what is in neither list.
	UnsafeAllowUnlisted bool `json:"unsafeAllowUnlisted,omitempty"`

	// UnsafeAllowUnknown allows components whose licence is not known.
	UnsafeAllowUnknown bool `json:"unsafeAllowUnknown,omitempty"`
}

// An Exception lets the packages that PURL means ([purl.ParsePattern]) have the
// licences that it lists, beside those that all may have. "*" is any licence, and
// none. Names are never matched: who names a package is its author.
type Exception struct {
	PURL     string   `json:"purl"`
	Licenses []string `json:"licenses"`
	Why      string   `json:"why"` // required; the report repeats it
}

// The rules of a report.
const (
	RuleDenied     = "licence-denied"      // an error: all ways to use it lead through a licence that is denied
	RuleNotAllowed = "licence-not-allowed" // an error: a licence that is on no list
	RuleUnknown    = "licence-unknown"     // an error: nobody knows the licence; a note about the name of an operating system
	RuleException  = "licence-exception"   // a note: an exception that was used, or that nothing uses
	RuleDiffers    = "licence-differs"     // a warning: the concluded licence is fine and the declared one is not
)

// A Checker is a policy, checked.
type Checker struct {
	allow, deny []atom
	exceptions  []exception
	unlisted    bool
	unknown     bool
}

type exception struct {
	Exception
	pattern purl.Pattern
	any     bool
	allow   []atom
}

// New checks a policy. A list that allows nothing, an entry that is not one
// licence, and an exception that does not say why are errors.
func New(p Policy) (*Checker, error) {
	c := &Checker{unlisted: p.UnsafeAllowUnlisted, unknown: p.UnsafeAllowUnknown}
	var err error
	if c.allow, err = atoms("allow", p.Allow); err != nil {
		return nil, err
	}
	if c.deny, err = atoms("deny", p.Deny); err != nil {
		return nil, err
	}
	if len(c.allow) == 0 && !c.unlisted {
		return nil, errors.New("licence policy: it allows nothing")
	}
	if len(c.allow) == 0 && len(c.deny) == 0 {
		return nil, errors.New("licence policy: it refuses nothing")
	}
	for i, e := range p.Exceptions {
		what := fmt.Sprintf("exceptions[%d]", i)
		x := exception{Exception: e}
		if x.pattern, err = purl.ParsePattern(e.PURL); err != nil {
			return nil, fmt.Errorf("licence policy: %s.purl: %w", what, err)
		}
		if strings.TrimSpace(e.Why) == "" {
			return nil, fmt.Errorf("licence policy: %s does not say why", what)
		}
		if len(e.Licenses) == 0 {
			return nil, fmt.Errorf("licence policy: %s lists no licence", what)
		}
		list := slices.DeleteFunc(slices.Clone(e.Licenses), func(s string) bool { return s == "*" })
		x.any = len(list) < len(e.Licenses)
		if x.allow, err = atoms(what, list); err != nil {
			return nil, err
		}
		c.exceptions = append(c.exceptions, x)
	}
	return c, nil
}

func atoms(what string, list []string) ([]atom, error) {
	var out []atom
	for _, s := range list {
		e, err := spdxlicense.Parse(s)
		if err != nil {
			return nil, fmt.Errorf("licence policy: %s: %w", what, err)
		}
		if e.Op != "" {
			return nil, fmt.Errorf("licence policy: %s: want one licence, found the expression %.80q", what, s)
		}
		out = append(out, atomOf(e))
	}
	return out, nil
}

// Check judges all components of the graph that are shipped (their scope is
// not excluded). An error means that nothing was judged.
func (p *Checker) Check(g *sbom.Graph) (*gate.Report, error) {
	if g == nil || g.Root() == nil {
		return nil, errors.New("licence policy: the bill has no components")
	}
	r := gate.New("licence", g, RuleDenied, RuleNotAllowed, RuleUnknown, RuleException, RuleDiffers)
	used := make([]bool, len(p.exceptions))
	for _, c := range g.Components() {
		if c.Scope == sbom.Excluded && c != g.Root() {
			continue
		}
		r.Judged++
		p.component(r, g, c, used)
	}
	for _, gap := range g.Unknowns() {
		if gap.Reason == sbom.ReasonNotRead && gap.Field == sbom.FieldComponents {
			level := gate.Error
			if p.unknown {
				level = gate.Warning
			}
			r.Add(nil, gate.Finding{Rule: RuleUnknown, Level: level, Reason: gap.Reason, Message: fmt.Sprintf("the bill has a package that is not read: %.200s", gap.Detail)})
		}
	}
	for i, x := range p.exceptions {
		if !used[i] {
			r.Add(nil, gate.Finding{Rule: RuleException, Level: gate.Note, Reason: "unused", Message: "nothing needs the exception for " + x.PURL})
		}
	}
	r.Sort()
	return r, nil
}

func (p *Checker) component(r *gate.Report, g *sbom.Graph, c *sbom.Component, used []bool) {
	lic := c.Concluded
	if !said(lic) {
		lic = c.Declared
	}
	f := p.judge(lic, nil)
	if f == nil {
		if said(c.Declared) && said(c.Concluded) {
			if d := p.judge(c.Declared, nil); d != nil {
				r.Add(c, gate.Finding{Rule: RuleDiffers, Level: gate.Warning, Reason: d.Rule,
					Message: fmt.Sprintf("the concluded licence %s is fine, the declared one is not: %s", text(c.Concluded), d.Message)})
			}
		}
		return
	}
	url, err := purl.Parse(c.PURL)
	for i := range p.exceptions {
		x := &p.exceptions[i]
		if err != nil || !x.pattern.Match(url) {
			continue
		}
		if x.any || p.judge(lic, x.allow) == nil {
			used[i] = true
			r.Add(c, gate.Finding{Rule: RuleException, Level: gate.Note, Reason: f.Rule, Message: fmt.Sprintf("%s, by the exception for %s: %s", text(lic), x.PURL, x.Why)})
			return
		}
	}
	f.Level = gate.Error
	switch {
	case f.Rule != RuleUnknown:
	case c.Type == sbom.OperatingSystem && c.PURL == "" && !said(lic) && len(c.Digests) == 0 && c != g.Root():
		// No package and no file: the name of what the packages are for,
		// which have licences of their own.
		f.Level = gate.Note
	case p.unknown:
		f.Level = gate.Warning
	}
	r.Add(c, *f)
}

// Allows reports whether the policy allows a licence expression, exceptions
// aside; if it does not, the error says why.
func (p *Checker) Allows(expression string) error {
	if f := p.judge(sbom.License{Expression: expression}, nil); f != nil {
		return errors.New(f.Message)
	}
	return nil
}

func said(l sbom.License) bool {
	s := strings.ToUpper(strings.TrimSpace(l.Expression + l.Name))
	return s != "" && s != "NOASSERTION"
}

func text(l sbom.License) string { return cmp.Or(l.Expression, l.Name, "nothing") }

// judge returns nil when a licence is fine, also by more entries.
func (p *Checker) judge(l sbom.License, more []atom) *gate.Finding {
	unknown := func(reason, msg string) *gate.Finding {
		return &gate.Finding{Rule: RuleUnknown, Reason: reason, Message: msg}
	}
	s := strings.TrimSpace(l.Expression)
	switch {
	case s == "" && l.Name == "":
		return unknown("absent", "no licence is stated")
	case s == "":
		return unknown("not-spdx", fmt.Sprintf("licence %.200q is not an SPDX expression", l.Name))
	case strings.EqualFold(s, "NOASSERTION"):
		return unknown("noassertion", "the bill does not say which licence it has (NOASSERTION)")
	case strings.EqualFold(s, "NONE"):
		return unknown("none", "it has no licence (NONE)")
	}
	e, err := spdxlicense.Parse(s)
	if err != nil {
		return unknown("not-spdx", err.Error())
	}
	var bad []string
	denied := false
	if p.fine(e, more, &bad, &denied) {
		return nil
	}
	slices.Sort(bad)
	bad = slices.Compact(bad)
	f := &gate.Finding{Rule: RuleNotAllowed, Reason: "not-allowed", Message: fmt.Sprintf("%.500s: %s is not allowed", s, strings.Join(bad, ", "))}
	if denied {
		f.Rule, f.Reason = RuleDenied, "denied"
		f.Message = fmt.Sprintf("%.500s: %s is not allowed, or denied", s, strings.Join(bad, ", "))
	}
	return f
}

func (p *Checker) fine(e *spdxlicense.Expr, more []atom, bad *[]string, denied *bool) bool {
	switch e.Op {
	case "OR":
		var worse []string
		worst := false
		for _, a := range e.Args {
			if p.fine(a, more, &worse, &worst) {
				return true
			}
		}
		*bad = append(*bad, worse...)
		*denied = *denied || worst
		return false
	case "AND":
		ok := true
		for _, a := range e.Args {
			ok = p.fine(a, more, bad, denied) && ok
		}
		return ok
	}
	a := atomOf(e)
	anyDenied := false
	for _, v := range a.choices() {
		d := p.verdict(v, a.exception, more)
		if d == allowed {
			return true
		}
		anyDenied = anyDenied || d == refused
	}
	*bad = append(*bad, e.String())
	*denied = *denied || anyDenied
	return false
}

type verdict int

const (
	unlisted verdict = iota
	allowed
	refused
)

// verdict judges one licence in one version.
func (p *Checker) verdict(base, exc string, more []atom) verdict {
	has := func(list []atom, exc string) bool {
		return slices.ContainsFunc(list, func(a atom) bool { return a.exception == exc && a.means(base) })
	}
	if has(more, exc) || exc != "" && has(more, "") {
		return allowed // an exception is more precise than all
	}
	if exc != "" {
		switch {
		case has(p.deny, exc):
			return refused
		case has(p.allow, exc):
			return allowed
		}
	}
	switch {
	case has(p.deny, ""):
		return refused
	case has(p.allow, ""), p.unlisted:
		return allowed
	}
	return unlisted
}
