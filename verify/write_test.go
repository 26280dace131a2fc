package verify

import (
	"strings"
	"testing"
	"time"
)

func TestPolicyYAML(t *testing.T) {
	p := mustParse(t, wholePolicy)
	text, err := p.YAML()
	if err != nil {
		t.Fatal(err)
	}
	q, err := ParsePolicy("written", text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if !samePolicy(p, q) {
		t.Errorf("the policy changed when it was written:\n%s", text)
	}
	again, err := q.YAML()
	if err != nil || string(again) != string(text) {
		t.Errorf("written twice, it differs: %v\n%s", err, again)
	}
	for _, want := range []string{
		"    key: |\n      -----BEGIN PUBLIC KEY-----\n      MCow",
		"expires: 2030-01-31T00:00:00Z\n",
		"        maxAge: 30d\n",
		"  maxAge: 36h0m0s\n",
		"    inputs: [source, settings]\n",
		"      - predicate.buildDefinition.buildType == \"https://example.com/go@v1\"\n",
		"    after: [build]\n",
		"  COMMIT: null\n",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("want %q in\n%s", want, text)
		}
	}
	// A stage comes after those that it names.
	last := -1
	for _, stage := range []string{"\n  build:", "\n  docs:", "\n  notes:", "\n  package:", "\n  test:"} {
		at := strings.Index(string(text), stage)
		if at <= last {
			t.Errorf("%q is at %d, after %d", stage, at, last)
		}
		last = at
	}
}

// Strings that YAML could take for something else stay strings.
func TestPolicyYAMLStrings(t *testing.T) {
	for _, s := range []string{
		"", " ", "a", "yes", "On", "null", "~", "true", "12", "1_000", "0x1f", "1.5", "12:30:45", "2030-01-01", ".inf", "=", "<<",
		"a: b", "a #b", "- a", "[a", "{a", "*a", "&a", "!a", "|", ">", "%a", "@a", "`a", "'a'", "\"a\"", "a\nb", "a\nb\n", "a\n\nb\n",
		" a\nb\n", "a \nb\n", "\n", "\n\n", "a\n ", "a\tb", "a\rb", "a\x00b", "\u0085", "\u2028", "\ufeff", "é", "😀", "a\\b", "${x}",
		strings.Repeat("long words ", 11), "---", "--- a", "...", "? a", "key:", ":", "a,b", "#", "a\n---\nb\n", "a\n%b\n", "\U0010ffff", "\ufffe",
	} {
		def := s
		p := &Policy{Schema: PolicySchema, Name: s, Final: s,
			Parameters: map[string]*string{"p": &def},
			Stages: map[string]*Stage{s: {
				Inputs: []string{s, s}, After: []string{s},
				From: []Flow{{Stage: s}, {Stage: "x", Map: map[string]string{s: s}}},
			}},
		}
		text, err := p.YAML()
		if err != nil {
			t.Errorf("%q: %v", s, err)
			continue
		}
		q, err := ParsePolicy("x", text)
		if err != nil {
			t.Errorf("%q: %v\n%s", s, err, text)
		} else if !samePolicy(p, q) {
			t.Errorf("%q became\n%s", s, text)
		}
	}
}

func TestPolicyYAMLRefuses(t *testing.T) {
	for _, p := range []*Policy{
		{Name: "\xff"},
		{Stages: map[string]*Stage{"a": nil}},
		{Expires: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
		{Inventory: &Inventory{}},
		{Stages: map[string]*Stage{"\xff": {}}},
	} {
		if text, err := p.YAML(); err == nil {
			t.Errorf("%+v became\n%s", p, text)
		}
	}
}
