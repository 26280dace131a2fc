package vercmp

import (
	"cmp"
	"slices"
	"strings"
)

// A mavenToken is a number or a word with the separator before it.
type mavenToken struct {
	prefix byte // '.' or '-'; 0 for the first
	text   string
	number bool
}

// Maven is Maven's order (POM Reference, Version Order Specification).
var Maven = order("Maven", parseMaven, compareMaven)

func parseMaven(s string) ([]mavenToken, bool) {
	if s == "" {
		return nil, false
	}
	s = strings.ToLower(s)
	var tokens []mavenToken
	prefix := byte(0)
	for {
		n := span(s, isDigit)
		number := n > 0
		if !number {
			n = span(s, func(c byte) bool { return !isDigit(c) && c != '.' && c != '-' && c != '_' })
		}
		text := s[:n]
		s = s[n:]
		if n == 0 {
			text, number = "0", true // an empty token
		}
		if c := s != "" && isDigit(s[0]); !number && c {
			// "a1" is "alpha-1"
			if long, ok := map[string]string{"a": "alpha", "b": "beta", "m": "milestone"}[text]; ok {
				text = long
			}
		}
		tokens = append(tokens, mavenToken{prefix, text, number})
		if s == "" {
			break
		}
		switch s[0] {
		case '.':
			prefix = '.'
			s = s[1:]
		case '-', '_':
			prefix = '-'
			s = s[1:]
		default: // from digits to letters or back
			prefix = '-'
		}
	}
	// Null values are trimmed at the end, before each hyphen, and (as Maven has
	// done since 3.9, MNG-7644) before each word, without which the order
	// would not be one.
	for i := len(tokens) - 1; i > 0; {
		if !tokens[i].null() {
			i--
			continue
		}
		if i == len(tokens)-1 || tokens[i+1].prefix == '-' || !tokens[i+1].number {
			tokens = slices.Delete(tokens, i, i+1)
			i = min(i, len(tokens)) - 1
			continue
		}
		i--
	}
	return tokens, true
}

func (t mavenToken) null() bool {
	if t.number {
		return numbers(t.text, "0") == 0
	}
	return t.text == "" || t.text == "final" || t.text == "ga" || t.text == "release"
}

var mavenWords = map[string]int{"alpha": 1, "beta": 2, "milestone": 3, "rc": 4, "cr": 4, "snapshot": 5, "": 6, "final": 6, "ga": 6, "release": 6, "sp": 7}

func compareMaven(a, b []mavenToken) int {
	for i := range max(len(a), len(b)) {
		var x, y mavenToken
		switch {
		case i >= len(a):
			y = b[i]
			x = mavenToken{prefix: y.prefix, number: y.number}
		case i >= len(b):
			x = a[i]
			y = mavenToken{prefix: x.prefix, number: x.number}
		default:
			x, y = a[i], b[i]
		}
		if c := x.compare(y); c != 0 {
			return c
		}
	}
	return 0
}

func (t mavenToken) compare(u mavenToken) int {
	rank := func(t mavenToken) int { // words, then "-number", then ".number"
		switch {
		case !t.number:
			return 0
		case t.prefix == '-':
			return 1
		}
		return 2
	}
	if c := cmp.Compare(rank(t), rank(u)); c != 0 {
		return c
	}
	if t.number {
		return numbers(t.text, u.text)
	}
	word := func(s string) int {
		if n, ok := mavenWords[s]; ok {
			return n
		}
		return 8
	}
	if c := cmp.Compare(word(t.text), word(u.text)); c != 0 {
		return c
	}
	if word(t.text) < 8 {
		return 0
	}
	return strings.Compare(t.text, u.text)
}
