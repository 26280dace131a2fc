package intoto

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/hallmark-build/hallmark/provenance/layout"
)

// A glob is a compiled pattern of an artifact rule, which means what Python's
// fnmatch makes of it: "*" and "?" match "/" too, "[!x]" negates and "[^x]"
// does not, a "[" that is never closed stands for itself, and there are no
// escapes.
type glob struct {
	text   string
	tokens []token
	plain  bool // matches text and nothing else
}

type token struct {
	kind   tokenKind
	char   rune
	negate bool
	ranges [][2]rune // of a class, both ends included
}

type tokenKind byte

const (
	tokenChar tokenKind = iota
	tokenAny
	tokenStar
	tokenClass
)

// maxPattern is the longest pattern, in bytes: that of the longest path.
const maxPattern = 4096

// classEnd returns the index of the "]" that closes the class whose "[" is at
// i, or -1. The first character of a class, after "!", is never its end.
func classEnd(s []rune, i int) int {
	j := i + 1
	if j < len(s) && s[j] == '!' {
		j++
	}
	if j < len(s) && s[j] == ']' {
		j++
	}
	if k := slices.Index(s[min(j, len(s)):], ']'); k >= 0 {
		return j + k
	}
	return -1
}

// compileGlob compiles a pattern. One that has a range from a later to an
// earlier character is an error here, since it could only be a mistake; for
// the reference it matches nothing.
func compileGlob(pattern string) (*glob, error) {
	if len(pattern) > maxPattern {
		return nil, fmt.Errorf("a pattern of %d bytes exceeds the limit of %d", len(pattern), maxPattern)
	}
	if !utf8.ValidString(pattern) {
		return nil, fmt.Errorf("pattern %s is not UTF-8", clip(pattern))
	}
	g := &glob{text: pattern, plain: true}
	s := []rune(pattern)
	for i := 0; i < len(s); i++ {
		t := token{char: s[i]}
		switch s[i] {
		case '*':
			t.kind, g.plain = tokenStar, false
			if n := len(g.tokens); n > 0 && g.tokens[n-1].kind == tokenStar {
				continue // "**" is "*"
			}
		case '?':
			t.kind, g.plain = tokenAny, false
		case '[':
			end := classEnd(s, i)
			if end < 0 {
				break
			}
			t.kind, g.plain = tokenClass, false
			class := s[i+1 : end]
			i = end
			if class[0] == '!' {
				t.negate, class = true, class[1:]
			}
			for len(class) > 0 {
				// A range needs a character on either side of its "-".
				if len(class) < 3 || class[1] != '-' {
					t.ranges, class = append(t.ranges, [2]rune{class[0], class[0]}), class[1:]
					continue
				}
				if class[0] > class[2] {
					return nil, fmt.Errorf("pattern %s: the range %s is empty", clip(pattern), clip(string(class[:3])))
				}
				t.ranges, class = append(t.ranges, [2]rune{class[0], class[2]}), class[3:]
			}
		}
		g.tokens = append(g.tokens, t)
	}
	return g, nil
}

func (t *token) takes(c rune) bool {
	switch t.kind {
	case tokenChar:
		return t.char == c
	case tokenAny:
		return true
	}
	in := slices.ContainsFunc(t.ranges, func(r [2]rune) bool { return r[0] <= c && c <= r[1] })
	return in != t.negate
}

// match reports whether the pattern covers the whole of name, and what finding
// out has cost. It gives up, with false, once that is more than most. Going back to the last star is enough: what an earlier one
// could take more, the last can take as well.
func (g *glob) match(name string, most int) (ok bool, cost int) {
	if g.plain {
		return g.text == name, 1
	}
	if len(g.tokens) == 1 && g.tokens[0].kind == tokenStar {
		return true, 1
	}
	s := []rune(name)
	i, star, from := 0, -1, 0 // token i; after a star at star, which takes s[…:from]
	for n := 0; n < len(s); {
		if cost++; cost > most {
			return false, cost
		}
		switch {
		case i < len(g.tokens) && g.tokens[i].kind == tokenStar:
			star, from = i, n
			i++
		case i < len(g.tokens) && g.tokens[i].takes(s[n]):
			i++
			n++
		case star >= 0:
			from++
			i, n = star+1, from
		default:
			return false, cost
		}
	}
	for i < len(g.tokens) && g.tokens[i].kind == tokenStar {
		i++
	}
	return i == len(g.tokens), cost + 1 + len(s)/8
}

// cleanName gives a path its one spelling, as path.Clean does. A URI (ITE-4)
// has one already: it is compared as it is. Cleaning twice changes nothing more.
func cleanName(name string) string {
	if i := strings.Index(name, "://"); i > 0 && !strings.Contains(name[:i], "/") {
		return name
	}
	return path.Clean(name)
}

// cleanPattern is cleanName for patterns. It refuses a pattern in which that
// could take away a part that is not a path but a wildcard.
func cleanPattern(pattern string) (string, error) {
	clean := cleanName(pattern)
	if !strings.ContainsAny(pattern, "*?[") {
		return clean, nil
	}
	if slices.Contains(strings.Split(strings.TrimLeft(pattern, "./"), "/"), "..") {
		return "", fmt.Errorf(`pattern %s has ".." beside wildcards`, clip(pattern))
	}
	s := []rune(pattern)
	for i := 0; i < len(s); i++ {
		if s[i] != '[' {
			continue
		}
		if end := classEnd(s, i); end > 0 {
			if slices.Contains(s[i:end], '/') && clean != pattern {
				return "", fmt.Errorf(`pattern %s has "/" in brackets and is not a clean path`, clip(pattern))
			}
			i = end
		}
	}
	return clean, nil
}

// A pattern is a rule that can be applied: its parts are clean and parameters
// are substituted.
type pattern struct {
	rule layout.Rule
	glob *glob
	// source and destination end in a slash, or are empty.
	source, destination string
}

func compileRule(r layout.Rule) (*pattern, error) {
	p := &pattern{rule: r}
	if r.Verb == layout.Require {
		// Not a pattern: a star is a star.
		p.glob = &glob{text: cleanName(r.Pattern), plain: true}
		return p, nil
	}
	clean, err := cleanPattern(r.Pattern)
	if err != nil {
		return nil, err
	}
	if p.glob, err = compileGlob(clean); err != nil {
		return nil, err
	}
	if p.source, err = cleanPrefix(r.Source); err != nil {
		return nil, err
	}
	p.destination, err = cleanPrefix(r.Destination)
	return p, err
}

func cleanPrefix(dir string) (string, error) {
	if dir == "" {
		return "", nil
	}
	c := cleanName(dir)
	if c == "." {
		return "", fmt.Errorf("%s is where names start: leave IN out", clip(dir))
	}
	return strings.TrimSuffix(c, "/") + "/", nil
}

func compileRules(rules []layout.Rule) ([]*pattern, error) {
	out := make([]*pattern, len(rules))
	for i, r := range rules {
		p, err := compileRule(r)
		if err != nil {
			return nil, fmt.Errorf("rule %s: %w", clip(r.String()), err)
		}
		out[i] = p
	}
	return out, nil
}
