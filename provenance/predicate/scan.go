package predicate

import (
	"math"
	"slices"
	"strconv"

	"github.com/hallmark-build/hallmark/provenance"
)

// TypeScan is the result of a static scan (docs/predicates/scan-v1.md). See [Scan].
const TypeScan = "https://hallmark.build/attestation/scan/v1"

// Levels of a [ScanFinding], worst first: those of SARIF 2.1.0, section 3.27.10.
const (
	LevelError   = "error"
	LevelWarning = "warning"
	LevelNote    = "note"
	LevelNone    = "none"
)

// Scan is what static scanners found in the subjects, source code or a tree of
// it: weaknesses, secrets, violations of rules. Predicate type [TypeScan],
// specified in docs/predicates/scan-v1.md. Known vulnerabilities of
// dependencies have a type of their own, [Vulns].
type Scan struct {
	Tools []ScanTool `json:"tools"` // required
	// Findings is required. An empty list says that the tools found nothing;
	// nil is not taken for it, since that is what is left of a result that was
	// lost.
	Findings []ScanFinding `json:"findings"`
	Summary  ScanSummary   `json:"summary"` // see [Scan.Summarize]
	// Report is the document that the findings were taken from, for whoever
	// wants more than is here.
	Report *provenance.ResourceDescriptor `json:"report,omitempty"`
}

// ScanTool is a scanner that took part.
type ScanTool struct {
	Name    string `json:"name"` // required, and unique among the tools
	Version string `json:"version,omitempty"`
	URI     string `json:"uri,omitempty"`
	Rules   int    `json:"rules,omitempty"` // how many rules it had; 0 if it did not say
}

// ScanFinding is one finding. It has no message and no piece of the source:
// those may hold what must not be published.
type ScanFinding struct {
	Tool  string  `json:"tool"`            // the name of one of the tools; required
	Rule  string  `json:"rule"`            // "G401"; required
	Level string  `json:"level"`           // LevelError, LevelWarning, LevelNote or LevelNone; required
	Score float64 `json:"score,omitempty"` // severity from 0 to 10, as of CVSS; 0 if the tool did not say
	File  string  `json:"file,omitempty"`  // as the tool wrote it
	Line  int     `json:"line,omitempty"`  // from 1; 0 if the tool did not say
	// Suppressed says that somebody decided, in the source or in the scanner's
	// configuration, that the finding does not count.
	Suppressed bool `json:"suppressed"`
	// Fingerprint tells findings apart over time, in whatever form the tool has.
	Fingerprint string `json:"fingerprint,omitempty"`
}

// ScanSummary counts the findings that are not suppressed by their levels, and the
// others. All of it is always written, so that a condition can rely on it.
type ScanSummary struct {
	Error      int `json:"error"`
	Warning    int `json:"warning"`
	Note       int `json:"note"`
	None       int `json:"none"`
	Suppressed int `json:"suppressed"`
	// ToolErrors is how many errors the tools reported about their own work,
	// such as files that they could not parse.
	ToolErrors int `json:"toolErrors"`
}

// Summarize sets the summary from the findings; ToolErrors stays what it is.
func (s *Scan) Summarize() { s.Summary = s.count() }

func (s *Scan) count() ScanSummary {
	n := ScanSummary{ToolErrors: s.Summary.ToolErrors}
	for _, f := range s.Findings {
		switch {
		case f.Suppressed:
			n.Suppressed++
		case f.Level == LevelError:
			n.Error++
		case f.Level == LevelWarning:
			n.Warning++
		case f.Level == LevelNote:
			n.Note++
		default:
			n.None++
		}
	}
	return n
}

// Validate checks the required fields, and that the summary is that of the findings.
func (s *Scan) Validate() error { return wrap("scan", s.validate()) }

func (s *Scan) validate() error {
	if len(s.Tools) == 0 {
		return bad("tools is required")
	}
	tools := make(map[string]bool, len(s.Tools))
	for i, t := range s.Tools {
		at := "tools[" + strconv.Itoa(i) + "]"
		switch {
		case t.Name == "":
			return bad("%s.name is required", at)
		case tools[t.Name]:
			return bad("%s: a second tool %s", at, clip(t.Name))
		case t.Rules < 0:
			return bad("%s.rules: want a count, found %d", at, t.Rules)
		}
		tools[t.Name] = true
	}
	if s.Findings == nil {
		return bad("findings is required, empty if nothing was found")
	}
	for i, f := range s.Findings {
		if err := f.validate(tools); err != nil {
			return wrap("findings["+strconv.Itoa(i)+"]", err)
		}
	}
	if s.Summary.ToolErrors < 0 {
		return bad("summary.toolErrors: want a count, found %d", s.Summary.ToolErrors)
	}
	// A policy looks at the summary, a person at the list: they must not tell
	// two stories.
	if n := s.count(); n != s.Summary {
		return bad("summary is %+v, but the findings come to %+v", s.Summary, n)
	}
	if s.Report != nil {
		return descriptor("report", *s.Report)
	}
	return nil
}

func (f *ScanFinding) validate(tools map[string]bool) error {
	if err := missing("rule", f.Rule); err != nil {
		return err
	}
	switch {
	case !tools[f.Tool]:
		return bad("tool: want one of the tools, found %s", clip(f.Tool))
	case !slices.Contains([]string{LevelError, LevelWarning, LevelNote, LevelNone}, f.Level):
		return bad("level: want error, warning, note or none, found %s", clip(f.Level))
	case !(f.Score >= 0 && f.Score <= 10) || math.Signbit(f.Score):
		return bad("score: want 0 to 10, found %v", f.Score)
	case f.Line < 0:
		return bad("line: want a line from 1, found %d", f.Line)
	}
	return nil
}

// Statement validates the scan and states it about the subjects, what was scanned: often a commit, by gitCommit.
func (s *Scan) Statement(subjects []provenance.ResourceDescriptor) (*provenance.Statement, error) {
	return statement(s, subjects, TypeScan)
}

// ParseScan reads a predicate of type [TypeScan].
func ParseScan(predicate []byte) (*Scan, error) {
	return parse[Scan]("scan", predicate)
}
