package gate

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/show"
)

// A Renderer writes reports in one format. It fails if w does, and if there is
// no report or one of them is nil; then nothing was written.
type Renderer func(w io.Writer, reports ...*Report) error

// Renderers returns all renderers by the names that users know them by: text,
// json, markdown, sarif. The map is the caller's.
func Renderers() map[string]Renderer {
	return map[string]Renderer{"text": Text, "json": JSON, "markdown": Markdown, "sarif": SARIF}
}

// What a terminal and a summary show of one report. JSON has all.
const (
	textFindings    = 50
	summaryFindings = 200
	sarifFindings   = 5000 // what GitHub shows of one run
	textColumns     = 100
)

func render(w io.Writer, reports []*Report, f func(b *bytes.Buffer, r *Report)) error {
	if err := have(reports); err != nil {
		return err
	}
	var b bytes.Buffer
	for _, r := range reports {
		f(&b, r)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func have(reports []*Report) error {
	if len(reports) == 0 {
		return errors.New("gate: no report to render")
	}
	for _, r := range reports {
		if r == nil {
			return errors.New("gate: want a report, found nil")
		}
	}
	return nil
}

func (r *Report) verdict() string {
	if r.Err() == nil {
		return "OPEN"
	}
	return "CLOSED"
}

// summary counts the findings.
func (r *Report) summary() string {
	notes, warnings := r.Count(Note), r.Count(Warning)
	return fmt.Sprintf("%s, %s, %s; %s checked", show.Count(len(r.Findings)-notes-warnings, "error"),
		show.Count(warnings, "warning"), show.Count(notes, "note"), show.Count(r.Judged, "component"))
}

// Text writes reports for a terminal: the verdict, and the worst findings.
// What is too much is counted.
func Text(w io.Writer, reports ...*Report) error {
	return render(w, reports, func(b *bytes.Buffer, r *Report) {
		fmt.Fprintf(b, "%-6s %s  %s\n", r.verdict(), show.Plain(r.Gate, 60), show.Plain(r.Artifact, 80))
		fmt.Fprintf(b, "       %s\n", r.summary())
		found, more := show.First(r.Findings, textFindings)
		for i := range found {
			f := &found[i]
			head := fmt.Sprintf("  %-7s %s", show.Plain(string(f.Level), 7), show.Plain(f.Rule, 40))
			if f.Reason != "" {
				head += " (" + show.Plain(f.Reason, 40) + ")"
			}
			if f.Label != "" {
				head += "  " + show.Plain(f.Label, 100)
			}
			fmt.Fprintf(b, "%s\n", head)
			for _, l := range show.Wrap(show.Plain(f.Message, limits.ReportMessage), textColumns-10) {
				// GitHub's runner takes a line that begins with "::" for a
				// command to itself, indented or not.
				if strings.HasPrefix(l, "::") {
					l = `\u{3A}` + l[1:]
				}
				fmt.Fprintf(b, "          %s\n", l)
			}
		}
		if more > 0 {
			fmt.Fprintf(b, "  and %d more\n", more)
		}
	})
}

// Markdown writes reports as GitHub Flavored Markdown, as the summary of a CI
// step.
func Markdown(w io.Writer, reports ...*Report) error {
	return render(w, reports, func(b *bytes.Buffer, r *Report) {
		mark := "✅"
		if r.Err() != nil {
			mark = "❌"
		}
		fmt.Fprintf(b, "## %s %s %s\n\n%s: %s\n\n", mark, show.MarkdownText(r.Gate, 60), strings.ToLower(r.verdict()),
			show.MarkdownCode(r.Artifact, 100), r.summary())
		if len(r.Findings) == 0 {
			return
		}
		fmt.Fprint(b, "| level | check | component | what |\n|---|---|---|---|\n")
		found, more := show.First(r.Findings, summaryFindings)
		for i := range found {
			f := &found[i]
			rule := show.MarkdownCode(f.Rule, 40)
			if f.Reason != "" {
				rule += " " + show.MarkdownCode(f.Reason, 40)
			}
			fmt.Fprintf(b, "| %s | %s | %s | %s |\n", show.MarkdownText(string(f.Level), 10), rule,
				show.MarkdownCode(f.Label, 100), show.MarkdownText(f.Message, limits.ReportMessage))
		}
		if more > 0 {
			fmt.Fprintf(b, "\nand %d more findings\n", more)
		}
		b.WriteByte('\n')
	})
}

// JSON writes an object whose "reports" are the reports, complete, indented.
// "open" says of each whether it passes, and "open" of the whole whether all do.
func JSON(w io.Writer, reports ...*Report) error {
	if err := have(reports); err != nil {
		return err
	}
	type entry struct {
		Open bool `json:"open"`
		Report
	}
	out := struct {
		Open    bool    `json:"open"`
		Reports []entry `json:"reports"`
	}{Open: true, Reports: []entry{}}
	for _, r := range reports {
		e := entry{r.Err() == nil, *r}
		if e.Checks == nil {
			e.Checks = []string{}
		}
		if e.Findings == nil {
			e.Findings = []Finding{}
		}
		out.Open = out.Open && e.Open
		out.Reports = append(out.Reports, e)
	}
	var b bytes.Buffer
	if err := show.JSON(&b, out); err != nil {
		return fmt.Errorf("gate: %w", err)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// The part of SARIF 2.1.0 (OASIS, sections 3.13 to 3.52) that is written.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool       sarifTool         `json:"tool"`
		Automation sarifID           `json:"automationDetails"`
		Results    []sarifResult     `json:"results"`
		ColumnKind string            `json:"columnKind"`
		Properties map[string]string `json:"properties"`
	}
	sarifID struct {
		ID string `json:"id"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name  string      `json:"name"`
		Rules []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID    string       `json:"id"`
		Short sarifMessage `json:"shortDescription"`
	}
	sarifMessage struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		RuleID       string            `json:"ruleId"`
		RuleIndex    int               `json:"ruleIndex"`
		Level        string            `json:"level"`
		Message      sarifMessage      `json:"message"`
		Locations    []sarifLocation   `json:"locations"`
		Fingerprints map[string]string `json:"partialFingerprints"`
		Properties   map[string]string `json:"properties,omitempty"`
	}
	sarifLocation struct {
		Physical struct {
			Artifact struct {
				URI string `json:"uri"`
			} `json:"artifactLocation"`
			Region struct {
				StartLine int `json:"startLine"`
			} `json:"region"`
		} `json:"physicalLocation"`
		Logical []sarifLogical `json:"logicalLocations,omitempty"`
	}
	sarifLogical struct {
		Name string `json:"name"`
		Kind string `json:"kind"`
	}
)

// SARIF writes the findings as results of SARIF 2.1.0, one run for each report,
// which code scanning services read. The rule of a result is the check, its
// location the artifact with the component in it. A report that is closed has
// at least one result at level "error".
func SARIF(w io.Writer, reports ...*Report) error {
	if err := have(reports); err != nil {
		return err
	}
	log := sarifLog{Schema: "https://json.schemastore.org/sarif-2.1.0.json", Version: "2.1.0", Runs: []sarifRun{}}
	for _, r := range reports {
		log.Runs = append(log.Runs, r.sarif())
	}
	var b bytes.Buffer
	if err := show.JSON(&b, &log); err != nil {
		return fmt.Errorf("gate: %w", err)
	}
	_, err := w.Write(b.Bytes())
	return err
}

func (r *Report) sarif() sarifRun {
	run := sarifRun{
		Tool:       sarifTool{sarifDriver{"Hallmark", []sarifRule{}}},
		Automation: sarifID{show.Plain(r.Gate, 60)}, Results: []sarifResult{}, ColumnKind: "unicodeCodePoints",
		Properties: map[string]string{"verdict": r.verdict(), "judged": fmt.Sprint(r.Judged)},
	}
	findings := r.Findings
	if r.Err() != nil && len(findings) == r.Count(Warning)+r.Count(Note) {
		findings = append([]Finding{{Rule: ReasonNothing, Level: Error, Message: "the gate judged nothing"}}, findings...)
	}
	index := map[string]int{}
	findings, more := show.First(findings, sarifFindings)
	if more > 0 {
		run.Properties["omitted"] = fmt.Sprint(more)
	}
	for i := range findings {
		f := &findings[i]
		id := show.Plain(f.Rule, 60)
		n, ok := index[id]
		if !ok {
			n = len(run.Tool.Driver.Rules)
			index[id] = n
			run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, sarifRule{id, sarifMessage{show.SARIFText(show.Plain(r.Gate, 60) + ": " + id)}})
		}
		level := f.Level
		if level.rank() < 0 {
			level = Error
		}
		res := sarifResult{
			RuleID: id, RuleIndex: n, Level: string(level), Properties: map[string]string{},
			Message:      sarifMessage{show.SARIFText(show.Plain(f.line(), limits.ReportMessage))},
			Fingerprints: map[string]string{"hallmark/v1": fmt.Sprintf("%x", sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q %q", r.Gate, f.Rule, f.Reason, f.Label, f.Vulnerability)))},
		}
		var loc sarifLocation
		loc.Physical.Artifact.URI = show.RelativeURI(r.Artifact)
		loc.Physical.Region.StartLine = 1 // services want a line; an artifact has none
		if f.Label != "" {
			loc.Logical = []sarifLogical{{show.Plain(f.Label, limits.ReportName), "module"}}
		}
		res.Locations = []sarifLocation{loc}
		for k, v := range map[string]string{"reason": f.Reason, "vulnerability": f.Vulnerability} {
			if v != "" {
				res.Properties[k] = show.Plain(v, limits.ReportName)
			}
		}
		run.Results = append(run.Results, res)
	}
	return run
}
