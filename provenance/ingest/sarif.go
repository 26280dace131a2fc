package ingest

import (
	"encoding/json"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/predicate"
)

// SARIF reads a report in SARIF 2.1.0, as gosec, semgrep, CodeQL and most other
// static scanners write it. All runs of the report become one scan.
//
// A finding has the level that the result has, else the one that its rule has
// by default or a worse one by an invocation, else "warning" (section 3.27.10). Results that report a
// success or are "absent" compared to a baseline are no findings; those that
// are "open" or wait for a "review" are, and are at least warnings. A result counts as
// suppressed if it has suppressions and all of them were accepted (section
// 3.27.23). The score is the rule's security-severity, if it has one. Messages
// and pieces of source are left out.
//
// Refused: another version, a report without a run, a run without results (the
// tool did not get that far; an empty list is a clean scan) or with results in
// another file, and a run in which an invocation of the tool was not
// successful. Errors that a tool noted about its own work are in
// summary.toolErrors.
//
// A condition for it:
//
//	predicate.tools.exists(t, t.name == "gosec") && predicate.summary.error == 0
//	  && predicate.summary.suppressed == 0 && predicate.summary.toolErrors == 0
func SARIF(r io.Reader) (*predicate.Scan, error) {
	scan, err := sarif(r)
	return scan, wrap("SARIF", err)
}

type (
	sarifRun struct {
		Tool struct {
			Driver     *sarifComponent  `json:"driver"`
			Extensions []sarifComponent `json:"extensions"`
		} `json:"tool"`
		Results     *[]sarifResult `json:"results"`
		Invocations []struct {
			Successful    *bool               `json:"executionSuccessful"`
			Execution     []sarifNotification `json:"toolExecutionNotifications"`
			Configuration []sarifNotification `json:"toolConfigurationNotifications"`
			Overrides     []sarifOverride     `json:"ruleConfigurationOverrides"`
		} `json:"invocations"`
		Artifacts []struct {
			Location sarifFile `json:"location"`
		} `json:"artifacts"`
		External struct {
			Results []json.RawMessage `json:"results"`
		} `json:"externalPropertyFileReferences"`
	}
	sarifComponent struct {
		Name            string      `json:"name"`
		GUID            string      `json:"guid"`
		Version         string      `json:"version"`
		SemanticVersion string      `json:"semanticVersion"`
		InformationURI  string      `json:"informationUri"`
		Rules           []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID            string `json:"id"`
		GUID          string `json:"guid"`
		Configuration struct {
			Level string `json:"level"`
		} `json:"defaultConfiguration"`
		Properties struct {
			SecuritySeverity any `json:"security-severity"`
		} `json:"properties"`
	}
	sarifResult struct {
		RuleID    string `json:"ruleId"`
		RuleIndex *int   `json:"ruleIndex"`
		Rule      struct {
			ID        string `json:"id"`
			GUID      string `json:"guid"`
			Index     *int   `json:"index"`
			Component struct {
				Index *int   `json:"index"`
				GUID  string `json:"guid"`
				Name  string `json:"name"`
			} `json:"toolComponent"`
		} `json:"rule"`
		Kind      string `json:"kind"`
		Level     string `json:"level"`
		Baseline  string `json:"baselineState"`
		Locations []struct {
			Physical struct {
				Artifact sarifFile `json:"artifactLocation"`
				Region   struct {
					StartLine int `json:"startLine"`
				} `json:"region"`
			} `json:"physicalLocation"`
		} `json:"locations"`
		Suppressions []struct {
			Status string `json:"status"`
		} `json:"suppressions"`
	}
	sarifFile struct {
		URI   string `json:"uri"`
		Index *int   `json:"index"`
	}
	sarifOverride struct {
		Descriptor struct {
			ID    string `json:"id"`
			Index *int   `json:"index"`
		} `json:"descriptor"`
		Configuration struct {
			Level string `json:"level"`
		} `json:"configuration"`
	}
	sarifNotification struct {
		Level string `json:"level"`
	}
)

func sarif(r io.Reader) (*predicate.Scan, error) {
	var doc struct {
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	digest, err := readJSON(r, &doc)
	if err != nil {
		return nil, err
	}
	if doc.Version != "2.1.0" {
		return nil, malformed("version: want 2.1.0, found %s", clip(doc.Version))
	}
	if len(doc.Runs) == 0 {
		return nil, fail(ReasonNothingRun, "the report has no run")
	}
	s := newScan("SARIF", digest)
	for i := range doc.Runs {
		if err := s.run(&doc.Runs[i]); err != nil {
			return nil, wrap("runs["+strconv.Itoa(i)+"]", err)
		}
	}
	return s.done()
}

// scan collects findings.
type scan struct {
	names
	predicate.Scan
}

func newScan(report string, digest provenance.Digest) *scan {
	return &scan{Scan: predicate.Scan{
		Findings: []predicate.ScanFinding{},
		Report:   &provenance.ResourceDescriptor{Name: report, Digest: provenance.DigestSet{digest}},
	}}
}

// tool adds a tool, or more rules to one that is there with the same version.
func (s *scan) tool(t predicate.ScanTool) error {
	for i, old := range s.Tools {
		if old.Name == t.Name {
			if old.Version != t.Version {
				return malformed("two versions of %s, %s and %s", clip(t.Name), clip(old.Version), clip(t.Version))
			}
			s.Tools[i].Rules = max(old.Rules, t.Rules)
			return nil
		}
	}
	s.Tools = append(s.Tools, t)
	for _, text := range []string{t.Name, t.Version, t.URI} {
		if err := s.names.add(text); err != nil {
			return err
		}
	}
	return nil
}

func (s *scan) find(f predicate.ScanFinding) error {
	s.Findings = append(s.Findings, f)
	if err := s.names.add(f.Rule); err != nil {
		return err
	}
	return s.names.add(f.File)
}

func (s *scan) done() (*predicate.Scan, error) {
	s.Summarize()
	return &s.Scan, s.Validate()
}

func (s *scan) run(run *sarifRun) error {
	driver := run.Tool.Driver
	if driver == nil || driver.Name == "" {
		return malformed("want tool.driver.name, found none")
	}
	for i, inv := range run.Invocations {
		// Section 3.20.14; it is required.
		if inv.Successful == nil || !*inv.Successful {
			return fail(ReasonIncomplete, "invocations[%d] of %s was not successful", i, clip(driver.Name))
		}
		for _, list := range [][]sarifNotification{inv.Execution, inv.Configuration} {
			for _, n := range list {
				if n.Level == predicate.LevelError {
					s.Summary.ToolErrors++
				}
			}
		}
	}
	if run.Results == nil {
		return fail(ReasonIncomplete, "%s has no results, not even an empty list", clip(driver.Name))
	}
	if len(run.External.Results) > 0 {
		return malformed("results are in another file")
	}
	version := driver.Version
	if version == "" {
		version = driver.SemanticVersion
	}
	rules := len(driver.Rules)
	for _, e := range run.Tool.Extensions {
		rules += len(e.Rules)
	}
	err := s.tool(predicate.ScanTool{Name: driver.Name, Version: version, URI: driver.InformationURI, Rules: rules})
	if err != nil {
		return err
	}
	index := indexRules(run)
	for i := range *run.Results {
		if err := s.result(run, index, &(*run.Results)[i]); err != nil {
			return wrap("results["+strconv.Itoa(i)+"]", err)
		}
	}
	return nil
}

// sarifRules finds the rules of the driver by their ids (a result need not have
// an index), and the worst level that an invocation gave to a rule instead of its own
// (section 3.20.5): which invocation a result is of, tools mostly do not say.
type sarifRules struct {
	byID   map[string]*sarifRule
	raised map[string]string     // by id
	level  map[*sarifRule]string // by rule
}

func indexRules(run *sarifRun) *sarifRules {
	rules := run.Tool.Driver.Rules
	x := &sarifRules{make(map[string]*sarifRule, len(rules)), map[string]string{}, map[*sarifRule]string{}}
	for i := range rules {
		if _, dup := x.byID[rules[i].ID]; !dup {
			x.byID[rules[i].ID] = &rules[i]
		}
	}
	for _, inv := range run.Invocations {
		for _, o := range inv.Overrides {
			if id := o.Descriptor.ID; id != "" {
				x.raised[id] = worse(x.raised[id], o.Configuration.Level)
			}
			if i := o.Descriptor.Index; i != nil && 0 <= *i && *i < len(rules) {
				x.level[&rules[*i]] = worse(x.level[&rules[*i]], o.Configuration.Level)
			}
		}
	}
	return x
}

func worse(a, b string) string {
	order := []string{predicate.LevelNone, predicate.LevelNote, predicate.LevelWarning, predicate.LevelError}
	if slices.Index(order, b) > slices.Index(order, a) {
		return b
	}
	return a
}

// ids yields an id and those that it is a part of (section 3.27.5).
func ids(id string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for n := 0; id != "" && n < limits.ToolNesting && yield(id); n++ {
			id = id[:max(0, strings.LastIndexByte(id, '/'))]
		}
	}
}

// ruleOf returns the rule that a result is of, or nil (section 3.27.7 and 3.52).
func ruleOf(run *sarifRun, index *sarifRules, res *sarifResult) (*sarifRule, error) {
	component := run.Tool.Driver
	if c := res.Rule.Component; c.Index != nil && *c.Index != -1 {
		if *c.Index < 0 || *c.Index >= len(run.Tool.Extensions) {
			return nil, malformed("there is no tool.extensions[%d]", *c.Index)
		}
		component = &run.Tool.Extensions[*c.Index]
	} else if c.GUID != "" && c.GUID != component.GUID {
		component = nil
		for i := range run.Tool.Extensions {
			if run.Tool.Extensions[i].GUID == c.GUID {
				component = &run.Tool.Extensions[i]
			}
		}
	}
	i := res.Rule.Index
	if i == nil || *i == -1 {
		i = res.RuleIndex
	}
	if i == nil || *i == -1 || component == nil {
		if component == run.Tool.Driver {
			for id := range ids(ruleID(res)) {
				if rule := index.byID[id]; rule != nil {
					return rule, nil
				}
			}
		}
		return nil, nil
	}
	if *i < 0 || *i >= len(component.Rules) {
		return nil, malformed("%s has no rules[%d]", clip(component.Name), *i)
	}
	return &component.Rules[*i], nil
}

func ruleID(res *sarifResult) string {
	if res.RuleID != "" {
		return res.RuleID
	}
	return res.Rule.ID
}

func (s *scan) result(run *sarifRun, index *sarifRules, res *sarifResult) error {
	rule, err := ruleOf(run, index, res)
	if err != nil {
		return err
	}
	f := predicate.ScanFinding{Tool: run.Tool.Driver.Name, Rule: ruleID(res), Level: res.Level}
	if f.Rule == "" && rule != nil {
		f.Rule = rule.ID
	}
	if f.Rule == "" {
		return malformed("want a rule, found none")
	}
	if f.Level == "" && rule != nil {
		f.Level = rule.Configuration.Level
	}
	if f.Level == "" {
		f.Level = predicate.LevelWarning
	}
	if res.Level == "" {
		f.Level = worse(f.Level, index.level[rule])
		for id := range ids(f.Rule) {
			f.Level = worse(f.Level, index.raised[id])
		}
	}
	switch f.Level {
	case predicate.LevelError, predicate.LevelWarning, predicate.LevelNote, predicate.LevelNone:
	default:
		return malformed("level: want error, warning, note or none, found %s", clip(f.Level))
	}
	switch res.Kind {
	case "", "fail":
	case "open", "review":
		if f.Level != predicate.LevelError {
			f.Level = predicate.LevelWarning
		}
	case "pass", "notApplicable", "informational":
		return nil
	default:
		return malformed("kind: want one of section 3.27.9, found %s", clip(res.Kind))
	}
	switch res.Baseline {
	case "", "new", "unchanged", "updated":
	case "absent": // it was there before
		return nil
	default:
		return malformed("baselineState: want one of section 3.27.24, found %s", clip(res.Baseline))
	}
	if rule != nil {
		if f.Score, err = securitySeverity(rule.Properties.SecuritySeverity); err != nil {
			return err
		}
	}
	f.Suppressed = len(res.Suppressions) > 0
	for _, sup := range res.Suppressions {
		if sup.Status != "" && sup.Status != "accepted" {
			f.Suppressed = false
		}
	}
	if len(res.Locations) > 0 {
		at := res.Locations[0].Physical
		f.File, f.Line = at.Artifact.URI, at.Region.StartLine
		if i := at.Artifact.Index; f.File == "" && i != nil && *i != -1 {
			if *i < 0 || *i >= len(run.Artifacts) {
				return malformed("there is no artifacts[%d]", *i)
			}
			f.File = run.Artifacts[*i].Location.URI
		}
		if f.Line < 0 {
			return malformed("startLine: want a line from 1, found %d", f.Line)
		}
	}
	return s.find(f)
}

// securitySeverity reads a property that GitHub introduced: a number from 0 to 10, mostly in a string.
func securitySeverity(v any) (float64, error) {
	var text string
	switch v := v.(type) {
	case nil:
		return 0, nil
	case string:
		text = v
	case float64:
		text = strconv.FormatFloat(v, 'g', -1, 64)
	default:
		return 0, malformed("security-severity: want a number")
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || !(f >= 0 && f <= 10) {
		return 0, malformed("security-severity: want 0 to 10, found %s", clip(text))
	}
	return f + 0, nil // -0 becomes 0
}
