package glob

import (
	"regexp"
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	for _, c := range []struct {
		pattern, name string
		want          bool
	}{
		{"", "", true},
		{"", "a", false},
		{"a", "a", true},
		{"a", "A", false},
		{"*", "", true},
		{"*", "a/b", false},
		{"**", "a/b\n", true},
		{"a*c", "abbc", true},
		{"a*c", "ab/c", false},
		{"a**c", "ab/c", true},
		{"*a*a*", "bab", false},
		{"*a*a*", "baba", true},
		{"https://github.com/org/*", "https://github.com/org-evil/x", false},
		{"https://github.com/org/*", "https://github.com/org/x/y", false},
		{"https://github.com/org/**", "https://github.com/org/x/y", true},
		{"example.com", "example.com.evil.org", false},
		{"example.com", "exampleXcom", false},
		{"a*", "a\nb", true},
		{`a\*`, "a*", true},
		{`a\*`, "ab", false},
		{`a\[b\]`, "a[b]", true},
		{"dir/**", "dir2/x", false},
	} {
		p, err := Compile(c.pattern)
		if err != nil {
			t.Errorf("Compile(%q): %v", c.pattern, err)
			continue
		}
		if got := p.Match(c.name); got != c.want {
			t.Errorf("%q matches %q: %v, want %v", c.pattern, c.name, got, c.want)
		}
	}
}

// An invalid pattern is an error when it is compiled, not one that never
// matches.
func TestEdge47_InvalidPattern(t *testing.T) {
	for _, s := range []string{"[!a]", "[^a]", "a]", "a?", "{a,b}", `a\`, "a***", strings.Repeat("a", MaxLength+1)} {
		if _, err := Compile(s); err == nil {
			t.Errorf("Compile(%.20q) succeeded", s)
		}
	}
}

func FuzzMatch(f *testing.F) {
	f.Add("a*b**c", "axb/y/c")
	f.Add(`\*`, "*")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if len(pattern) > 100 || len(name) > 200 {
			return
		}
		p, err := Compile(pattern)
		if err != nil {
			return
		}
		var re strings.Builder
		re.WriteString(`(?s)\A`)
		for _, tok := range p.tokens {
			switch tok.stars {
			case 0:
				re.WriteString(regexp.QuoteMeta(tok.literal))
			case 1:
				re.WriteString(`[^/]*`)
			case 2:
				re.WriteString(`.*`)
			}
		}
		re.WriteString(`\z`)
		r, err := regexp.Compile(re.String())
		if err != nil || strings.ToValidUTF8(name, "") != name || strings.ToValidUTF8(pattern, "") != pattern {
			return
		}
		if got, want := p.Match(name), r.MatchString(name); got != want {
			t.Fatalf("%q matches %q: %v, regexp says %v", pattern, name, got, want)
		}
		if q, err := Compile(Quote(name)); err == nil && !q.Match(name) {
			t.Fatalf("Quote(%q) does not match it", name)
		}
	})
}
