// Package gate has what all gates over a bill of materials have in common: what
// a gate found, whether it passes, how that is shown, and how it is attested.
//
// The gates are packages of their own: sbom/quality (are the fields there that
// a guideline asks for), sbom/license (do the licences fit), sbom/osv (is a
// component known to be vulnerable) with sbom/vex (is the artifact affected).
// Each returns a [Report].
//
//	report, err := quality.Check(g, quality.NTIA2021, quality.Options{})
//	if err != nil { … }            // nothing was judged
//	if err := report.Err(); err != nil { … } // the gate is closed
//	err = gate.Markdown(os.Stdout, report)
//
// A report passes when something was checked and nothing was found at level
// [Error]. What a gate could not judge is a finding too, by default one at
// level Error; so not being able to tell is never the same as being fine.
//
// [Report.TestResult] states the outcome as an in-toto test-result, which the
// policy of a chain can require of an artifact.
package gate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/show"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/predicate"
	"github.com/hallmark-build/hallmark/sbom"
)

// A Level says what a finding means for the gate.
type Level string

// Levels, worst first.
const (
	Error   Level = "error"   // the gate is closed
	Warning Level = "warning" // the gate is open; somebody should look
	Note    Level = "note"    // for the record
)

func (l Level) rank() int { return slices.Index([]Level{Error, Warning, Note}, l) }

// A Finding is one thing that a gate found.
type Finding struct {
	// Rule is the check that it comes from, one of Report.Checks: "supplier",
	// "licence-denied", "known-vulnerability".
	Rule string `json:"rule"`

	Level Level `json:"level"`

	// Reason says more about why, and is as stable as Rule: "absent",
	// "not-in-module-cache".
	Reason string `json:"reason,omitempty"`

	// Component is the ID of a component in the graph; "" when the finding is
	// about the document as a whole. Label is what people know it by.
	Component string `json:"component,omitempty"`
	Label     string `json:"label,omitempty"`

	// Vulnerability is the identifier of the vulnerability that it is about.
	Vulnerability string `json:"vulnerability,omitempty"`

	// Message says it in a sentence, lower case, without a full stop.
	Message string `json:"message"`
}

// A Report is what one gate has to say about one graph.
type Report struct {
	// Gate names the gate, with the profile if it has several:
	// "quality/ntia-2021", "licence", "vulnerabilities".
	Gate string `json:"gate"`

	// Artifact is what people know the root component by.
	Artifact string `json:"artifact"`

	// Judged is how many components were looked at.
	Judged int `json:"judged"`

	// Checks are the rules that were checked, each once, in the gate's order.
	Checks []string `json:"checks"`

	// Findings are sorted: by level, rule, component, vulnerability, message.
	Findings []Finding `json:"findings"`
}

// New returns a report without findings about a graph.
func New(name string, g *sbom.Graph, checks ...string) *Report {
	r := &Report{Gate: name, Checks: checks, Findings: []Finding{}}
	if root := g.Root(); root != nil {
		r.Artifact = Label(root)
	}
	return r
}

// Add adds a finding about a component; nil is the document as a whole.
func (r *Report) Add(c *sbom.Component, f Finding) {
	if c != nil {
		f.Component, f.Label = c.ID, Label(c)
	}
	r.Findings = append(r.Findings, f)
}

// Sort puts the findings in order, each once.
func (r *Report) Sort() {
	slices.SortFunc(r.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Level.rank(), b.Level.rank()),
			cmp.Compare(slices.Index(r.Checks, a.Rule), slices.Index(r.Checks, b.Rule)),
			cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Label, b.Label), cmp.Compare(a.Component, b.Component),
			cmp.Compare(a.Vulnerability, b.Vulnerability), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Message, b.Message))
	})
	r.Findings = slices.Compact(r.Findings)
}

// Label is what people know a component by: its package URL, or else its name
// and version.
func Label(c *sbom.Component) string {
	switch {
	case c.PURL != "":
		return c.PURL
	case c.Version != "":
		return c.Name + "@" + c.Version
	}
	return c.Name
}

// Count returns how many findings are of a level.
func (r *Report) Count(l Level) int {
	n := 0
	for i := range r.Findings {
		if r.Findings[i].Level == l {
			n++
		}
	}
	return n
}

// Err returns nil when the gate is open, and else a *[ClosedError]. A gate that
// checked nothing is closed.
func (r *Report) Err() error {
	if r == nil || len(r.Checks) == 0 || r.Judged == 0 {
		return &ClosedError{Report: r, Reason: ReasonNothing}
	}
	for i := range r.Findings {
		// A level that is none of the three counts as the worst.
		if l := r.Findings[i].Level; l != Warning && l != Note {
			return &ClosedError{Report: r, Reason: ReasonFindings}
		}
	}
	return nil
}

// Reasons of a [ClosedError]. They are stable.
const (
	ReasonNothing  = "nothing-judged" // no check was made, or no component was there to be judged
	ReasonFindings = "findings"       // there are findings at level Error
)

// A ClosedError says that a gate is closed.
type ClosedError struct {
	Report *Report
	Reason string
}

func (e *ClosedError) Error() string {
	if e.Report == nil || e.Reason == ReasonNothing {
		return "gate closed: nothing was judged"
	}
	n := e.Report.Count(Warning) + e.Report.Count(Note)
	text := fmt.Sprintf("gate %s closed: %s", show.Plain(e.Report.Gate, limits.ReportName), show.Count(len(e.Report.Findings)-n, "error"))
	for i := range e.Report.Findings {
		if f := &e.Report.Findings[i]; f.Level != Warning && f.Level != Note {
			return text + ", the first: " + show.Plain(f.line(), limits.ReportMessage)
		}
	}
	return text
}

func (f *Finding) line() string {
	if f.Label != "" {
		return f.Label + ": " + f.Message
	}
	return f.Message
}

// TestResult makes the in-toto test-result predicate of the reports: each check
// of each gate is a test, named "gate/check". A test with findings at level
// Error has failed, one with warnings only has warned. Configuration is what
// the run was configured by, and required: the policies, the vulnerability
// database, the document that was judged, with their digests.
//
// A gate that judged nothing fails.
func TestResult(configuration []provenance.ResourceDescriptor, reports ...*Report) (*predicate.TestResult, error) {
	t := &predicate.TestResult{Result: predicate.Passed, Configuration: configuration}
	seen := map[string]bool{}
	for _, r := range reports {
		if r == nil || seen[r.Gate] {
			return nil, fmt.Errorf("gate: want reports of different gates, found none or one twice")
		}
		seen[r.Gate] = true
		worst := map[string]Level{}
		for i := range r.Findings {
			f := &r.Findings[i]
			level := f.Level
			if level.rank() < 0 {
				level = Error
			}
			if w, ok := worst[f.Rule]; !ok || level.rank() < w.rank() {
				worst[f.Rule] = level
			}
		}
		checks := slices.Clone(r.Checks)
		var others []string
		for rule := range worst {
			if !slices.Contains(checks, rule) {
				others = append(others, rule)
			}
		}
		slices.Sort(others)
		for _, check := range append(checks, others...) {
			name := r.Gate + "/" + check
			switch worst[check] {
			case Error:
				t.FailedTests = append(t.FailedTests, name)
			case Warning:
				t.WarnedTests = append(t.WarnedTests, name)
			default:
				t.PassedTests = append(t.PassedTests, name)
			}
		}
		if err := r.Err(); err != nil && len(t.FailedTests) == 0 {
			t.FailedTests = append(t.FailedTests, strings.TrimSuffix(r.Gate, "/")+"/"+ReasonNothing)
		}
	}
	switch {
	case len(reports) == 0:
		return nil, fmt.Errorf("gate: no report")
	case len(t.FailedTests) > 0:
		t.Result = predicate.Failed
	case len(t.WarnedTests) > 0:
		t.Result = predicate.Warned
	}
	if err := t.Validate(); err != nil {
		return nil, err
	}
	return t, nil
}
