// Package osv matches the components of a bill of materials against a database
// of known vulnerabilities in the OSV format, offline.
//
//	db, err := osv.Open(ctx, "osv/all.zip", osv.OpenOptions{})
//	defer db.Close()
//	result, err := db.Match(ctx, g, osv.Options{})
//	report := result.Report(osv.ReportOptions{At: now, MaxAge: 7 * 24 * time.Hour})
//	err = report.Err()
//
// # The database
//
// A database is a zip file with one record in each file, or a folder of such
// zip files and records. The package never reaches a network; to make or to
// refresh one, fetch the zip of all ecosystems or of those that are needed:
//
//	curl -o osv/Go.zip  https://osv-vulnerabilities.storage.googleapis.com/Go/all.zip
//	curl -o osv/npm.zip https://osv-vulnerabilities.storage.googleapis.com/npm/all.zip
//	curl -o osv/all.zip https://osv-vulnerabilities.storage.googleapis.com/all.zip
//
// The names of the ecosystems are in .../ecosystems.txt beside them. Write to a
// new file and rename it; an open Database must not change. [ReportOptions].MaxAge
// refuses a database that nobody refreshes.
//
// # What is judged
//
// Ranges of versions are evaluated as OSV's schema says, in the order of the
// ecosystem: SemVer for npm, crates.io and the like, Go's, PEP 440 for PyPI,
// Maven's, NuGet's, RubyGems', dpkg's for Debian and Ubuntu, apk's for Alpine and
// its kin, rpm's. Versions that a record lists are compared as they are and as
// versions. Commits are told from ranges of commits where the record names them,
// or by [History]. Records that were withdrawn are passed over; those that are
// aliases of each other are one [Vulnerability].
//
// What cannot be told is never taken for "not affected": it is in
// [Result].Unjudged, and closes the gate. So does a database that has no record
// of an ecosystem, which would otherwise find nothing and pass.
package osv

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hallmark-build/hallmark/provenance/predicate"
	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/gate"
	"github.com/hallmark-build/hallmark/sbom/purl"
)

// Reasons why something was not judged, and of an [Error]. They are stable.
const (
	ReasonFormat      = "not-a-database"   // neither a zip file nor a folder with records
	ReasonLimit       = "limit"            // more than is read
	ReasonRecord      = "record-malformed" // a record that cannot be read, or makes no sense
	ReasonNoEcosystem = "no-ecosystem"     // a component without a package URL of an ecosystem of OSV
	ReasonNotCovered  = "not-in-database"  // the database has no record of the ecosystem
	ReasonNames       = "several-names"    // a component with several package URLs, or a package that is not read as a component
	ReasonNoVersion   = "no-version"       // a component without a version
	ReasonNoOrder     = "version-order"    // a version that is none of the ecosystem, or an ecosystem whose order is not known
	ReasonCommits     = "commit-history"   // a range of commits, and no history to ask
)

// Severity is a severity as a record states it: Type is "CVSS_V3", "CVSS_V4",
// "Ubuntu" and so on, or "rating" for a word such as "HIGH".
type Severity struct {
	Type  string `json:"type"`
	Score string `json:"score"`
}

// A Status says how an artifact stands to a vulnerability of a component of it,
// as in VEX.
type Status string

// Statuses. Affected is what a match says; the others come from package sbom/vex.
const (
	Affected           Status = "affected"
	NotAffected        Status = "not_affected"
	Fixed              Status = "fixed"
	UnderInvestigation Status = "under_investigation"
)

// A Vulnerability is one that a component is known to have.
type Vulnerability struct {
	Component string `json:"component"` // ID in the graph

	// ID is a CVE if there is one, else that of a record. Aliases are all
	// other identifiers, sorted; Records those of the records that matched.
	ID      string   `json:"id"`
	Aliases []string `json:"aliases,omitempty"`
	Records []string `json:"records"`

	Summary  string     `json:"summary,omitempty"`
	Severity []Severity `json:"severity"`
	Fixed    []string   `json:"fixed,omitempty"` // versions that records say mend it, and that are later
	Modified time.Time  `json:"modified"`        // when the newest of the records was changed

	// OtherVersion is the component's version where it is affected in that,
	// and the package URL has another one: the bill contradicts itself.
	OtherVersion string `json:"otherVersion,omitempty"`

	// Status is Affected unless a VEX statement that counts says otherwise;
	// Why is what it says, and who says it.
	Status Status `json:"status"`
	Why    string `json:"why,omitempty"`
}

// IDs returns the identifier and its aliases.
func (v *Vulnerability) IDs() []string { return append([]string{v.ID}, v.Aliases...) }

// Open reports whether the vulnerability stands: the artifact is affected, or
// it is not yet known whether it is.
func (v *Vulnerability) Open() bool { return v.Status != NotAffected && v.Status != Fixed }

// An Unjudged is something that could not be told.
type Unjudged struct {
	Component string `json:"component,omitempty"` // ID in the graph; "" for the database as a whole
	Reason    string `json:"reason"`
	Record    string `json:"record,omitempty"` // the record's ID or place
	Detail    string `json:"detail"`
}

// A Result is what a match found. It is made by [Database.Match].
type Result struct {
	Judged          int             `json:"judged"` // components that were looked up
	Vulnerabilities []Vulnerability `json:"vulnerabilities"`
	Unjudged        []Unjudged      `json:"unjudged"`
	Database        Info            `json:"database"`

	// Remarks are findings of packages that worked on the result, such as
	// VEX statements that contradict each other. Report takes them over.
	Remarks []gate.Finding `json:"remarks,omitempty"`

	g *sbom.Graph
}

// Graph returns the graph that was matched.
func (r *Result) Graph() *sbom.Graph { return r.g }

func (r *Result) sort() {
	slices.SortFunc(r.Vulnerabilities, func(a, b Vulnerability) int {
		return cmp.Or(cmp.Compare(a.Component, b.Component), compareIDs(a.ID, b.ID))
	})
	slices.SortFunc(r.Unjudged, func(a, b Unjudged) int {
		return cmp.Or(cmp.Compare(a.Component, b.Component), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Record, b.Record), cmp.Compare(a.Detail, b.Detail))
	})
	r.Unjudged = slices.Compact(r.Unjudged)
}

// compareIDs puts CVEs first.
func compareIDs(a, b string) int {
	rank := func(s string) int {
		if strings.HasPrefix(s, "CVE-") {
			return 0
		}
		return 1
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b))
}

// ReportOptions says what closes the gate. The zero value is the strict choice,
// but that it takes a database of any age.
type ReportOptions struct {
	// At is the time to judge by, and MaxAge how old the newest record of the
	// database may then be. 0 is any age. A record that is from more than
	// MaxAge after At says nothing about the age, and is refused as well.
	At     time.Time
	MaxAge time.Duration

	// UnsafeUnjudged turns what could not be judged from an error into a
	// warning.
	UnsafeUnjudged bool
}

// The rules of a report.
const (
	RuleVulnerability = "known-vulnerability" // a component that is affected: an error; a warning if it is not shipped
	RuleUnjudged      = "not-judged"          // what could not be told: an error; a note about what is no package, or not shipped
	RuleDatabase      = "database-age"        // a database older than MaxAge, or of an age that cannot be told: an error
	RuleVEX           = "vex"                 // what VEX statements settled (notes), and what is wrong with them
)

// Report makes the findings of a gate out of a result.
func (r *Result) Report(o ReportOptions) *gate.Report {
	rep := gate.New("vulnerabilities", r.g, RuleVulnerability, RuleUnjudged, RuleDatabase, RuleVEX)
	rep.Judged = r.Judged
	for i := range r.Vulnerabilities {
		v := &r.Vulnerabilities[i]
		c := r.g.Component(v.Component)
		f := gate.Finding{Rule: RuleVulnerability, Level: gate.Error, Reason: string(v.Status), Vulnerability: v.ID, Message: v.text()}
		switch {
		case !v.Open():
			f.Rule, f.Level = RuleVEX, gate.Note
		case c.Scope == sbom.Excluded && c != r.g.Root():
			f.Level = gate.Warning
			f.Message += "; the component is used and not shipped"
		}
		rep.Add(c, f)
	}
	worst := gate.Error
	if o.UnsafeUnjudged {
		worst = gate.Warning
	}
	for _, u := range r.Unjudged {
		f := gate.Finding{Rule: RuleUnjudged, Level: worst, Reason: u.Reason, Vulnerability: u.Record, Message: u.Detail}
		c := r.g.Component(u.Component)
		if c != nil && !mustJudge(r.g, c, u) {
			f.Level = gate.Note
		}
		if u.Record != "" {
			f.Message = "not judged by " + u.Record + ": " + f.Message
		} else {
			f.Message = "not judged: " + f.Message
		}
		rep.Add(c, f)
	}
	if age := o.At.Sub(r.Database.Newest); o.MaxAge > 0 && age < -o.MaxAge {
		rep.Add(nil, gate.Finding{Rule: RuleDatabase, Level: gate.Error, Reason: "from-the-future", Message: fmt.Sprintf("the newest record of the database is of %s, which is after the time to judge by, %s: how old the database is cannot be told",
			r.Database.Newest.Format(time.RFC3339), o.At.UTC().Format(time.RFC3339))})
	} else if o.MaxAge > 0 && age > o.MaxAge {
		rep.Add(nil, gate.Finding{Rule: RuleDatabase, Level: gate.Error, Reason: "too-old", Message: fmt.Sprintf("the newest record of the database is of %s, %s before %s; at most %s is allowed",
			r.Database.Newest.Format(time.RFC3339), age.Round(time.Minute), o.At.UTC().Format(time.RFC3339), o.MaxAge)})
	}
	for _, f := range r.Remarks {
		rep.Add(r.g.Component(f.Component), f)
	}
	rep.Sort()
	return rep
}

// mustJudge reports whether a component that could not be judged closes the
// gate. What a bill is about, what is no package, and what is not shipped need
// not be in a database; but nothing that a record could not be judged for is
// excused.
func mustJudge(g *sbom.Graph, c *sbom.Component, u Unjudged) bool {
	switch {
	case c.Scope == sbom.Excluded && c != g.Root():
		return false
	case u.Record != "", u.Reason != ReasonNoEcosystem:
		return true
	case c.PURL != "" && !readable(c.PURL):
		return true // it claims to be a package
	case c == g.Root():
		return false
	}
	return c.Type != sbom.OperatingSystem && c.Type != sbom.File && c.Type != sbom.Data
}

func readable(url string) bool {
	_, err := purl.Parse(url)
	return err == nil
}

func (v *Vulnerability) text() string {
	s := v.ID
	if len(v.Aliases) > 0 {
		s += " (" + strings.Join(v.Aliases[:min(len(v.Aliases), 4)], ", ") + ")"
	}
	if v.Summary != "" {
		s += ": " + v.Summary
	}
	for _, sev := range v.Severity {
		if sev.Type == "rating" {
			s += "; " + strings.ToLower(sev.Score)
			break
		}
	}
	switch {
	case v.Why != "":
		s += "; " + string(v.Status) + ": " + v.Why
	case len(v.Fixed) > 0:
		s += "; fixed in " + strings.Join(v.Fixed[:min(len(v.Fixed), 4)], ", ")
	}
	return s
}

// Scan says who scanned and when, for [Result.Vulns].
type Scan struct {
	URI, Version      string // of the scanner
	Started, Finished time.Time

	// UnsafeUnjudged states a result although not all could be judged.
	UnsafeUnjudged bool
}

// Vulns makes the in-toto vulns predicate (v0.2) of what stands: the
// vulnerabilities that VEX statements settled are left out, so the statements
// should be attested beside it. Of the same vulnerability in several components
// it lists each, with the component in an annotation.
//
// The predicate has no way to say that something was not judged. So a result
// that [Result.Report] finds something unjudged in at level Error is refused.
func (r *Result) Vulns(s Scan) (*predicate.Vulns, error) {
	if r.Judged == 0 {
		return nil, errors.New("osv: nothing was judged")
	}
	if !s.UnsafeUnjudged {
		for _, f := range r.Report(ReportOptions{}).Findings {
			if f.Level == gate.Error && f.Rule != RuleVulnerability {
				return nil, fmt.Errorf("osv: a statement that lists vulnerabilities cannot say that something was not judged: %s", f.Message)
			}
		}
	}
	p := &predicate.Vulns{
		Scanner: predicate.VulnScanner{
			URI: s.URI, Version: s.Version, Result: []predicate.VulnResult{},
			DB: predicate.VulnDB{URI: "https://osv.dev", Version: r.Database.Digest, LastUpdate: predicate.At(r.Database.Newest)},
		},
		Metadata: predicate.VulnMetadata{ScanStartedOn: predicate.At(s.Started), ScanFinishedOn: predicate.At(s.Finished)},
	}
	for i := range r.Vulnerabilities {
		v := &r.Vulnerabilities[i]
		if !v.Open() {
			continue
		}
		c := r.g.Component(v.Component)
		out := predicate.VulnResult{ID: v.ID, Annotations: []map[string]any{{"component": gate.Label(c), "status": string(v.Status), "aliases": v.Aliases}}}
		for _, sev := range v.Severity {
			out.Severity = append(out.Severity, predicate.VulnSeverity{Method: sev.Type, Score: sev.Score})
		}
		if len(out.Severity) == 0 {
			out.Severity = []predicate.VulnSeverity{{Method: "rating", Score: "UNKNOWN"}}
		}
		p.Scanner.Result = append(p.Scanner.Result, out)
	}
	if err := p.Validate(); err != nil {
		return nil, err
	}
	return p, nil
}
