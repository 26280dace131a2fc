package predicate

import (
	"encoding/json"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"
)

func goodScan() *Scan {
	s := &Scan{
		Tools: []ScanTool{{Name: "gosec", Version: "2.22.0", Rules: 40}, {Name: "semgrep"}},
		Findings: []ScanFinding{
			{Tool: "gosec", Rule: "G401", Level: LevelError, Score: 7.5, File: "a.go", Line: 3},
			{Tool: "gosec", Rule: "G104", Level: LevelWarning, Suppressed: true},
			{Tool: "semgrep", Rule: "x", Level: LevelNote},
			{Tool: "semgrep", Rule: "y", Level: LevelNone, Fingerprint: "f"},
		},
		Summary: ScanSummary{ToolErrors: 2},
	}
	s.Summarize()
	return s
}

func TestScan(t *testing.T) {
	s := goodScan()
	if want := (ScanSummary{Error: 1, Note: 1, None: 1, Suppressed: 1, ToolErrors: 2}); s.Summary != want {
		t.Errorf("summary %+v, want %+v", s.Summary, want)
	}
	st, err := s.Statement(subjects())
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParseScan(st.Predicate())
	if err != nil || !reflect.DeepEqual(back, s) {
		t.Errorf("got %+v back, %v", back, err)
	}
	if err := Check(st); err != nil {
		t.Error(err)
	}
	// Conditions rely on these even when there is nothing to say.
	empty := &Scan{Tools: []ScanTool{{Name: "t"}}, Findings: []ScanFinding{}}
	data, err := json.Marshal(empty)
	if err != nil || empty.Validate() != nil {
		t.Fatal(err, empty.Validate())
	}
	for _, want := range []string{`"findings":[]`, `"error":0`, `"suppressed":0`, `"toolErrors":0`} {
		if !strings.Contains(string(data), want) {
			t.Errorf("%s lacks %s", data, want)
		}
	}
	for name, spoil := range map[string]func(*Scan){
		"tools is required":    func(s *Scan) { s.Tools = nil },
		"tools[0].name":        func(s *Scan) { s.Tools[0].Name = "" },
		"a second tool":        func(s *Scan) { s.Tools[1].Name = "gosec" },
		"tools[0].rules":       func(s *Scan) { s.Tools[0].Rules = -1 },
		"findings is required": func(s *Scan) { s.Findings = nil },
		"want one of the":      func(s *Scan) { s.Findings[0].Tool = "other" },
		"rule is required":     func(s *Scan) { s.Findings[0].Rule = "" },
		"level: want":          func(s *Scan) { s.Findings[0].Level = "ERROR" },
		"score: want":          func(s *Scan) { s.Findings[0].Score = 11 },
		"found NaN":            func(s *Scan) { s.Findings[0].Score = math.NaN() },
		"found -0":             func(s *Scan) { s.Findings[0].Score = math.Copysign(0, -1) },
		"line: want":           func(s *Scan) { s.Findings[0].Line = -1 },
		"summary is {Error:0":  func(s *Scan) { s.Summary.Error = 0 },
		"come to {Error:0":     func(s *Scan) { s.Findings[0].Suppressed = true },
		"toolErrors":           func(s *Scan) { s.Summary.ToolErrors = -1 },
	} {
		s := goodScan()
		spoil(s)
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("want an error with %q, got %v", name, err)
		}
	}
	for _, in := range []string{`{}`, `[]`, `{"tools":[{"name":"t"}]}`, `{"tools":[{"name":"t"}],"findings":null}`,
		`{"tools":[{"name":"t"}],"findings":[null]}`, `{"tools":[{"name":"t"}],"Findings":[],"findings":[]}`} {
		if _, err := ParseScan([]byte(in)); err == nil {
			t.Errorf("%s was accepted", in)
		}
	}
}

func FuzzScan(f *testing.F) {
	data, err := json.Marshal(goodScan())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := ParseScan(data)
		if err != nil {
			return
		}
		again, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		back, err := ParseScan(again)
		if err != nil {
			t.Fatalf("%s: %v", again, err)
		}
		if once, err := json.Marshal(back); err != nil || string(once) != string(again) {
			t.Fatalf("%s became %s, %v", again, once, err)
		}
	})
}

// TestScanDocument checks that the example of the specification is a scan.
func TestScanDocument(t *testing.T) {
	doc, err := os.ReadFile("../../docs/predicates/scan-v1.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(doc), "## Example\n\n```json\n")
	example, _, ok := strings.Cut(example, "```")
	if !ok {
		t.Fatal("no example")
	}
	if _, err := ParseScan([]byte(example)); err != nil {
		t.Error(err)
	}
}
