// Package glob matches names of artifacts, URIs and certificate subjects
// against patterns. The language is small on purpose, so that what a pattern
// admits can be seen at a glance:
//
//   - any characters but "/", also none
//     **  any characters, also none
//     \c  the character c itself
//
// Every other character stands for itself and the pattern always covers the
// whole name, so "https://example.com/org" never matches
// "https://example.com/org-evil". The characters ? [ ] { } mean something
// elsewhere and therefore must be escaped here; a pattern that has them bare
// is an error when it is compiled, not a pattern that never matches.
//
// Matching takes time proportional to the product of the lengths at worst.
package glob

import (
	"fmt"
	"strings"
)

// A Pattern is a compiled pattern. The zero Pattern matches the empty name only.
type Pattern struct {
	tokens  []token
	literal bool // no wildcard: tokens has at most one literal
}

type token struct {
	literal string // when stars is 0
	stars   int    // 1 or 2
}

// MaxLength is the longest pattern that compiles, in bytes.
const MaxLength = 4096

// Compile compiles a pattern.
func Compile(s string) (*Pattern, error) {
	if len(s) > MaxLength {
		return nil, fmt.Errorf("pattern of %d bytes, want at most %d", len(s), MaxLength)
	}
	p := &Pattern{literal: true}
	var lit strings.Builder
	flush := func() {
		if lit.Len() > 0 {
			p.tokens = append(p.tokens, token{literal: lit.String()})
			lit.Reset()
		}
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '\\':
			i++
			if i == len(s) {
				return nil, fmt.Errorf(`pattern %q ends in a backslash`, s)
			}
			lit.WriteByte(s[i])
		case '*':
			flush()
			p.literal = false
			n := 1
			for i+1 < len(s) && s[i+1] == '*' {
				n++
				i++
			}
			if n > 2 {
				return nil, fmt.Errorf("pattern %q has %d stars in a row, want one or two", s, n)
			}
			p.tokens = append(p.tokens, token{stars: n})
		case '?', '[', ']', '{', '}':
			return nil, fmt.Errorf(`pattern %q: %c has no meaning here, write \%c for the character`, s, c, c)
		default:
			lit.WriteByte(c)
		}
	}
	flush()
	return p, nil
}

// Quote returns a pattern that matches exactly s.
func Quote(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if strings.IndexByte(`\*?[]{}`, s[i]) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// Literal returns the only name that the pattern matches, if there is one.
func (p *Pattern) Literal() (string, bool) {
	if !p.literal {
		return "", false
	}
	if len(p.tokens) == 0 {
		return "", true
	}
	return p.tokens[0].literal, true
}

// Match reports whether the pattern covers the whole of name.
func (p *Pattern) Match(name string) bool {
	if lit, ok := p.Literal(); ok {
		return lit == name
	}
	if len(p.tokens) == 1 && p.tokens[0].stars == 2 {
		return true
	}
	// at[i] is whether the tokens so far can cover name[:i].
	at := make([]bool, len(name)+1)
	next := make([]bool, len(name)+1)
	at[0] = true
	for _, t := range p.tokens {
		clear(next)
		for i, ok := range at {
			if !ok {
				continue
			}
			switch {
			case t.stars == 0:
				if strings.HasPrefix(name[i:], t.literal) {
					next[i+len(t.literal)] = true
				}
			default:
				for j := i; ; j++ {
					if next[j] && j > i {
						break // whoever set it went on from there
					}
					next[j] = true
					if j == len(name) || t.stars == 1 && name[j] == '/' {
						break
					}
				}
			}
		}
		at, next = next, at
	}
	return at[len(name)]
}
