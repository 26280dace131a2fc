package purl

import (
	"strings"
	"testing"
)

func TestPattern(t *testing.T) {
	for _, c := range []struct {
		pattern   string
		yes, none string // package URLs, separated by spaces
	}{
		{"pkg:npm/left-pad@1.3.0", "pkg:npm/left-pad@1.3.0 pkg:NPM/left-pad@1.3.0?a=b#x", "pkg:npm/left-pad pkg:npm/left-pad@1.3.1 pkg:npm/left-pad@1.3 pkg:pypi/left-pad@1.3.0"},
		{"pkg:npm/left-pad", "pkg:npm/left-pad pkg:npm/left-pad@1 pkg:npm/left-pad@2?a=b", "pkg:npm/left-pads pkg:npm/%40x/left-pad@1"},
		{"pkg:PyPI/Foo_Bar", "pkg:pypi/foo-bar@1", "pkg:pypi/foo@1"},
		{"pkg:npm/@babel/*", "pkg:npm/%40babel/core@7 pkg:npm/%40babel/cli", "pkg:npm/babel/core pkg:npm/%40babel-evil/core pkg:npm/core"},
		{"pkg:npm/%40babel/*", "pkg:npm/%40babel/core@7", "pkg:npm/core"},
		{"pkg:npm/@babel/core@7.*", "pkg:npm/%40babel/core@7.1.0", "pkg:npm/%40babel/core@8.0 pkg:npm/%40babel/core"},
		{"pkg:golang/golang.org/**@v0.*", "pkg:golang/golang.org/x/mod@v0.41.0", "pkg:golang/golang.org/x/mod@v1.0.0 pkg:golang/google.golang.org/x@v0.1"},
		{"pkg:golang/golang.org/*", "pkg:golang/golang.org/x", "pkg:golang/golang.org/x/mod"},
		{"pkg:*/foo", "pkg:gem/foo@1 pkg:hex/foo", "pkg:gem/foo2"},
		{"pkg:deb/debian/*?arch=amd64", "pkg:deb/debian/curl@1?arch=amd64&distro=x", "pkg:deb/debian/curl@1 pkg:deb/debian/curl@1?arch=arm64"},
		{"pkg:deb/debian/curl?arch=amd64", "pkg:deb/debian/curl@1?arch=amd64&distro=x", "pkg:deb/debian/curl@1"},
		{"pkg:golang/a.b/c#d/*", "pkg:golang/a.b/c@v1#d/e", "pkg:golang/a.b/c@v1 pkg:golang/a.b/c#x/e"},
	} {
		p, err := ParsePattern(c.pattern)
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		for i, list := range []string{c.yes, c.none} {
			for s := range strings.FieldsSeq(list) {
				u, err := Parse(s)
				if err != nil {
					t.Fatal(err)
				}
				if got := p.Match(u); got != (i == 0) {
					t.Errorf("%s of %s: got %v", c.pattern, s, got)
				}
			}
		}
	}
	if (Pattern{}).Match(PURL{}) {
		t.Error("the zero pattern matches")
	}
}

func TestBadPattern(t *testing.T) {
	for _, s := range []string{"", "npm/x", "pkg:", "pkg:npm", "pkg:npm/", "pkg:npm/*@", "pkg:npm/a//*", "pkg:npm/%zz*", "pkg:npm/*?a", "pkg:npm/*?a=", "pkg:npm/*?a=1&A=2", "pkg:npm/*#", "pkg:npm/" + strings.Repeat("a", 9000), "pkg:npm/*" + strings.Repeat("a", 5000), "pkg:npm/" + strings.Repeat("a", 5000)} {
		if _, err := ParsePattern(s); err == nil {
			t.Errorf("%.40q: no error", s)
		}
	}
}

// Every package URL, as a pattern, matches itself.
func FuzzPattern(f *testing.F) {
	for _, s := range []string{"pkg:npm/left-pad@1.3.0", "pkg:npm/@babel/*", "pkg:deb/debian/*?arch=amd64", "pkg:golang/a.b/c@v1#d", "pkg:generic/a%2A@%2A"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePattern(s)
		u, perr := Parse(s)
		if perr == nil && err == nil && !strings.Contains(s, "*") && !p.Match(u) {
			t.Errorf("%q does not match itself", s)
		}
		if err == nil {
			p.Match(PURL{Type: "npm", Name: "a", Version: "1"})
		}
	})
}
