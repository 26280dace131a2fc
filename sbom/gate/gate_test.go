package gate_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/predicate"
	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/gate"
)

func report(findings ...gate.Finding) *gate.Report {
	g := &sbom.Graph{}
	g.Add(sbom.Component{Type: sbom.Application, Name: "app", Version: "1"})
	r := gate.New("test", g, "first", "second")
	r.Judged = 1
	for _, f := range findings {
		r.Add(g.Root(), f)
	}
	r.Sort()
	return r
}

func TestErr(t *testing.T) {
	tests := []struct {
		name   string
		r      *gate.Report
		reason string
	}{
		{"clean", report(), ""},
		{"warnings and notes", report(gate.Finding{Rule: "first", Level: gate.Warning}, gate.Finding{Rule: "second", Level: gate.Note}), ""},
		{"error", report(gate.Finding{Rule: "first", Level: gate.Error}), gate.ReasonFindings},
		{"edge56 a level that is none", report(gate.Finding{Rule: "first", Level: "skipped"}), gate.ReasonFindings},
		{"edge55 zero report", &gate.Report{}, gate.ReasonNothing},
		{"edge55 no component", &gate.Report{Checks: []string{"a"}}, gate.ReasonNothing},
		{"edge55 no check", &gate.Report{Judged: 1}, gate.ReasonNothing},
		{"nil", nil, gate.ReasonNothing},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.r.Err()
			var closed *gate.ClosedError
			if tt.reason == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if !errors.As(err, &closed) || closed.Reason != tt.reason || err.Error() == "" {
				t.Errorf("want reason %s, found %v", tt.reason, err)
			}
		})
	}
}

func config(t *testing.T) []provenance.ResourceDescriptor {
	d, err := provenance.NewDigest("sha256", strings.Repeat("a", 64))
	if err != nil {
		t.Fatal(err)
	}
	return []provenance.ResourceDescriptor{{Name: "policy.json", Digest: provenance.DigestSet{d}}}
}

func TestTestResult(t *testing.T) {
	other := report()
	other.Gate = "other"
	nothing := &gate.Report{Gate: "empty"}
	tests := []struct {
		name    string
		reports []*gate.Report
		want    string
		text    string
	}{
		{"passed", []*gate.Report{report(), other}, predicate.Passed, "[test/first test/second other/first other/second] [] []"},
		{"warned", []*gate.Report{report(gate.Finding{Rule: "second", Level: gate.Warning})}, predicate.Warned, "[test/first] [test/second] []"},
		{"failed", []*gate.Report{report(gate.Finding{Rule: "second", Level: gate.Warning}, gate.Finding{Rule: "second", Level: gate.Error}), other},
			predicate.Failed, "[test/first other/first other/second] [] [test/second]"},
		{"unlisted rule", []*gate.Report{report(gate.Finding{Rule: "third", Level: gate.Error})}, predicate.Failed, "[test/first test/second] [] [test/third]"},
		{"nothing judged", []*gate.Report{nothing}, predicate.Failed, "[] [] [empty/nothing-judged]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := gate.TestResult(config(t), tt.reports...)
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(p.PassedTests, p.WarnedTests, p.FailedTests); p.Result != tt.want || got != tt.text {
				t.Errorf("want %s %s, found %s %s", tt.want, tt.text, p.Result, got)
			}
		})
	}
	for name, reports := range map[string][]*gate.Report{"none": nil, "nil": {nil}, "twice": {report(), report()}} {
		if _, err := gate.TestResult(config(t), reports...); err == nil {
			t.Errorf("%s: want an error", name)
		}
	}
	if _, err := gate.TestResult(nil, report()); err == nil {
		t.Error("want an error without a configuration")
	}
}

// What strangers wrote is text wherever it lands.
func TestRenderHostileNames(t *testing.T) {
	evil := "x\x1b[31m|<script>alert(1)</script>\n::error::y\u202e[a](http://b){0} `c` @team"
	g := &sbom.Graph{}
	g.Add(sbom.Component{Name: evil, Version: "1"})
	r := gate.New(evil, g, evil)
	r.Judged = 1
	r.Add(g.Root(), gate.Finding{Rule: evil, Level: gate.Level(evil), Reason: evil, Vulnerability: evil, Message: evil})
	for name, render := range gate.Renderers() {
		var b bytes.Buffer
		if err := render(&b, r); err != nil {
			t.Fatal(err)
		}
		out := b.String()
		for _, bad := range []string{"\x1b", "\u202e", "\n::", "\n  ::"} {
			if strings.Contains(out, bad) {
				t.Errorf("%s: has %q", name, bad)
			}
		}
		switch name {
		case "markdown":
			for _, bad := range []string{"<script", "](http", "@team"} {
				if strings.Contains(out, bad) {
					t.Errorf("%s: has %q", name, bad)
				}
			}
		case "json", "sarif":
			if !json.Valid(b.Bytes()) {
				t.Errorf("%s: not JSON", name)
			}
		}
	}
}

func TestRenderNothing(t *testing.T) {
	for name, render := range gate.Renderers() {
		var b bytes.Buffer
		if render(&b) == nil || render(&b, nil) == nil || b.Len() > 0 {
			t.Errorf("%s rendered nothing", name)
		}
	}
}

// A closed gate shows an error in SARIF, also when nothing was judged.
func TestSARIF(t *testing.T) {
	var b bytes.Buffer
	if err := gate.SARIF(&b, &gate.Report{Gate: "empty"}, report(gate.Finding{Rule: "first", Level: gate.Note, Message: "m"})); err != nil {
		t.Fatal(err)
	}
	var log struct {
		Version string
		Runs    []struct {
			Results []struct{ RuleID, Level string }
		}
	}
	if err := json.Unmarshal(b.Bytes(), &log); err != nil {
		t.Fatal(err)
	}
	if log.Version != "2.1.0" || len(log.Runs) != 2 || len(log.Runs[0].Results) != 1 || log.Runs[0].Results[0].Level != "error" ||
		log.Runs[1].Results[0].Level != "note" {
		t.Errorf("%s", b.String())
	}
}

func Example() {
	g := &sbom.Graph{}
	g.Add(sbom.Component{Type: sbom.Application, Name: "app", Version: "1.0.0"})
	r := gate.New("house-rules", g, "name")
	r.Judged = len(g.Components())
	for _, c := range g.Components() {
		if !strings.HasPrefix(c.Name, "acme-") {
			r.Add(c, gate.Finding{Rule: "name", Level: gate.Error, Message: "names start with acme-"})
		}
	}
	r.Sort()
	gate.Text(os.Stdout, r)
	fmt.Println(r.Err())
	// Output:
	// CLOSED house-rules  app@1.0.0
	//        1 error, 0 warnings, 0 notes; 1 component checked
	//   error   name  app@1.0.0
	//           names start with acme-
	// gate house-rules closed: 1 error, the first: app@1.0.0: names start with acme-
}
