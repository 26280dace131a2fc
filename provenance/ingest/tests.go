package ingest

import (
	"cmp"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/predicate"
)

// outcome is how a test ended; a test that is in a report more than once has
// the greatest.
type outcome byte

const (
	passed outcome = iota
	skipped
	warned
	failed
)

// tests collects the outcomes of one report.
type tests struct {
	names
	byName map[string]outcome
	failed bool // whatever the tests say: the build failed, the run was aborted
}

func (t *tests) add(name string, o outcome) error {
	if t.byName == nil {
		t.byName = make(map[string]outcome)
	}
	if old, ok := t.byName[name]; ok {
		t.byName[name] = max(old, o)
		return nil
	}
	t.byName[name] = o
	return t.names.add(name)
}

// result makes the predicate. The report is its configuration, by digest;
// what the predicate has no field for is in the annotations.
func (t *tests) result(tool string, report provenance.Digest, annotations map[string]any) (*predicate.TestResult, error) {
	if annotations == nil {
		annotations = map[string]any{}
	}
	r := &predicate.TestResult{Result: predicate.Passed, Configuration: []provenance.ResourceDescriptor{{
		Name: tool, Digest: provenance.DigestSet{report}, Annotations: annotations,
	}}}
	skips := []any{}
	for _, name := range slices.Sorted(maps.Keys(t.byName)) {
		switch t.byName[name] {
		case passed:
			r.PassedTests = append(r.PassedTests, name)
		case warned:
			r.WarnedTests = append(r.WarnedTests, name)
		case failed:
			r.FailedTests = append(r.FailedTests, name)
		case skipped:
			skips = append(skips, name)
		}
	}
	annotations["skippedTests"] = skips
	switch {
	case t.failed || len(r.FailedTests) > 0:
		r.Result = predicate.Failed
	case len(r.WarnedTests) > 0:
		r.Result = predicate.Warned
	case len(r.PassedTests) == 0:
		// Not a pass: nothing was found out.
		return nil, fail(ReasonNothingRun, "no test ran (%d were skipped)", len(skips))
	}
	return r, r.Validate()
}

// GoTest reads what go test -json prints, of any number of packages.
//
// Tests are named by package and test, "example.com/app/store.TestOpen/empty". A
// package that failed without a failed test (it does not compile, it panicked
// in init, TestMain gave up) is itself in the list of failed tests. Benchmarks
// are not tests and are left out. The names of skipped tests are in the
// annotation skippedTests of the configuration, which is the report.
//
// Refused: a line that is no event (keep standard error apart), a package or a
// test that never ended, a package that passed although one of its tests
// failed, and a report in which no test ran. What is missing as a whole cannot
// be noticed: the format has no end, so a condition names what must have run.
//
// A condition for it:
//
//	predicate.result == "PASSED" && "example.com/app/store.TestOpen" in predicate.passedTests
func GoTest(r io.Reader) (*predicate.TestResult, error) {
	result, err := goTest(r)
	return result, wrap("go test", err)
}

// goPackage is what is known of one package of go test. An outcome that is
// absent is a test that has not ended.
type goPackage struct {
	action  string // "pass", "fail" or "skip"; "" until it ended
	running map[string]bool
	failed  bool // one of its tests
}

func goTest(r io.Reader) (*predicate.TestResult, error) {
	var t tests
	packages := map[string]*goPackage{}
	brokenBuilds := map[string]bool{} // value: a package says that it failed by it
	in := newLines(r)
	for {
		line, err := in.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		if len(line) == 0 {
			continue
		}
		var e struct{ Action, Package, Test, ImportPath, FailedBuild string }
		if err := decode(line, &e); err != nil {
			return nil, malformed("line %d is not an event of go test -json: %v", in.n, err)
		}
		switch e.Action {
		case "":
			return nil, malformed("line %d is not an event of go test -json: no Action", in.n)
		case "build-fail":
			if _, ok := brokenBuilds[e.ImportPath]; !ok {
				brokenBuilds[e.ImportPath] = false
			}
			if err := t.names.add(e.ImportPath); err != nil {
				return nil, err
			}
			continue
		case "build-output":
			continue
		}
		if e.Package == "" {
			continue // of a kind that is not known here, about no package
		}
		p := packages[e.Package]
		if p == nil {
			p = &goPackage{running: map[string]bool{}}
			packages[e.Package] = p
			if err := t.names.add(e.Package); err != nil {
				return nil, err
			}
		}
		if p.action != "" {
			return nil, malformed("line %d: package %s goes on after its end", in.n, clip(e.Package))
		}
		if e.Test == "" {
			switch e.Action {
			case "pass", "fail", "skip":
				if err := p.end(&t, e.Package, e.Action, e.FailedBuild != ""); err != nil {
					return nil, err
				}
				if e.FailedBuild != "" {
					brokenBuilds[e.FailedBuild] = true
				}
			}
			continue
		}
		// Benchmarks are begun and, unless they fail, never ended.
		benchmark := strings.HasPrefix(e.Test, "Benchmark")
		name := e.Package + "." + e.Test
		switch e.Action {
		case "run":
			if benchmark {
				continue
			}
			p.running[e.Test] = true
			if _, known := t.byName[name]; known {
				continue // -count
			}
			if err := t.names.add(name); err != nil {
				return nil, err
			}
		case "pass", "skip", "fail", "bench":
			delete(p.running, e.Test)
			o := map[string]outcome{"pass": passed, "skip": skipped, "fail": failed}[e.Action]
			if benchmark && o != failed {
				continue
			}
			p.failed = p.failed || o == failed
			if err := t.add(name, o); err != nil {
				return nil, err
			}
		}
	}
	for _, path := range slices.Sorted(maps.Keys(packages)) {
		if packages[path].action == "" {
			return nil, fail(ReasonIncomplete, "package %s has no end", clip(path))
		}
	}
	for path, told := range brokenBuilds {
		if !told {
			path, _, _ = strings.Cut(path, " ") // "example.com/m [example.com/m.test]"
			if err := t.add(path, failed); err != nil {
				return nil, err
			}
		}
	}
	return t.result("go test -json", in.digest(), nil)
}

// end judges a package by its final action.
func (p *goPackage) end(t *tests, path, action string, broken bool) error {
	p.action = action
	unfinished := slices.Sorted(maps.Keys(p.running))
	p.running = nil
	if action != "fail" {
		if len(unfinished) > 0 {
			return fail(ReasonIncomplete, "test %s has no end, but its package did not fail", clip(path+"."+unfinished[0]))
		}
		if p.failed || broken {
			return malformed("package %s did not fail, but its build or one of its tests did", clip(path))
		}
		return nil
	}
	// A test that was running when its package failed: a panic, a timeout.
	for _, name := range unfinished {
		if err := t.add(path+"."+name, failed); err != nil {
			return err
		}
	}
	if !p.failed && len(unfinished) == 0 {
		return t.add(path, failed)
	}
	return nil
}

// ZAP reads the traditional JSON report of the dynamic scanner ZAP
// (-t traditional-json, -J of its packaged scans).
//
// An alert is a test, named by its rule, its title and the site: of high or
// medium risk it failed, of low risk it warns, and one that is informational is left
// out. An alert that somebody marked as a false positive warns. A site without
// any is a test that passed, named by the site. The annotation version of the configuration
// is ZAP's version.
//
// Refused: a report about no site, and a risk that is not one of ZAP's.
//
// A condition for it:
//
//	predicate.result != "FAILED" && "https://staging.example.com" in predicate.passedTests
func ZAP(r io.Reader) (*predicate.TestResult, error) {
	result, err := zap(r)
	return result, wrap("ZAP", err)
}

func zap(r io.Reader) (*predicate.TestResult, error) {
	var doc struct {
		Program string `json:"@programName"`
		Version string `json:"@version"`
		Site    []struct {
			Name   string `json:"@name"`
			Alerts []struct {
				PluginID   string      `json:"pluginid"`
				AlertRef   string      `json:"alertRef"`
				Alert      string      `json:"alert"`
				Name       string      `json:"name"`
				RiskCode   json.Number `json:"riskcode"`
				Confidence json.Number `json:"confidence"`
			} `json:"alerts"`
		} `json:"site"`
	}
	digest, err := readJSON(r, &doc)
	if err != nil {
		return nil, err
	}
	if doc.Program != "" && doc.Program != "ZAP" && doc.Program != "OWASP ZAP" {
		return nil, malformed("a report of %s", clip(doc.Program))
	}
	if len(doc.Site) == 0 {
		return nil, fail(ReasonNothingRun, "no site was scanned")
	}
	var t tests
	for i, site := range doc.Site {
		if site.Name == "" || site.Alerts == nil {
			return nil, malformed("site[%d]: want a name and a list of alerts", i)
		}
		clean := true
		for j, a := range site.Alerts {
			id, title := cmp.Or(a.AlertRef, a.PluginID), cmp.Or(a.Name, a.Alert)
			if id == "" {
				return nil, malformed("site[%d].alerts[%d]: want a pluginid", i, j)
			}
			o := failed
			switch a.RiskCode {
			case "3", "2":
			case "1":
				o = warned
			case "0":
				continue
			default:
				return nil, malformed("site[%d].alerts[%d].riskcode: want 0 to 3, found %s", i, j, clip(a.RiskCode.String()))
			}
			if a.Confidence == "0" {
				o = warned
			}
			clean = false
			if err := t.add(id+" "+title+" ("+site.Name+")", o); err != nil {
				return nil, err
			}
		}
		if clean {
			if err := t.add(site.Name, passed); err != nil {
				return nil, err
			}
		}
	}
	return t.result("ZAP", digest, annotate("version", doc.Version))
}

// annotate makes annotations of pairs of names and texts, less those that are empty.
func annotate(pairs ...string) map[string]any {
	m := make(map[string]any, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			m[pairs[i]] = pairs[i+1]
		}
	}
	return m
}
