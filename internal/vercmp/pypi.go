package vercmp

import (
	"cmp"
	"strings"
)

// pep440 is a version in its parts. pre, post and dev are "" when absent; their
// numbers are then without meaning.
type pep440 struct {
	epoch           string
	release         []string
	pre             string // "a", "b" or "rc"
	preN            string
	hasPost, hasDev bool
	postN, devN     string
	local           []string
}

// PyPI is the order of PEP 440, with all the spellings that it normalises.
var PyPI = order("PyPI", parsePEP440, comparePEP440)

func parsePEP440(s string) (v pep440, ok bool) {
	s = strings.ToLower(strings.TrimSpace(s))
	s = strings.TrimPrefix(s, "v")
	s, local, hasLocal := strings.Cut(s, "+")
	if hasLocal {
		v.local = strings.FieldsFunc(local, func(r rune) bool { return r == '.' || r == '-' || r == '_' })
		if len(v.local) != 1+strings.Count(local, ".")+strings.Count(local, "-")+strings.Count(local, "_") {
			return v, false
		}
		for _, p := range v.local {
			if span(p, func(c byte) bool { return isDigit(c) || isLetter(c) }) < len(p) {
				return v, false
			}
		}
	}
	if epoch, rest, has := strings.Cut(s, "!"); has {
		if !digits(epoch) {
			return v, false
		}
		v.epoch, s = epoch, rest
	}
	for {
		n := span(s, isDigit)
		if n == 0 {
			return v, false
		}
		v.release = append(v.release, s[:n])
		s = s[n:]
		if len(s) < 2 || s[0] != '.' || !isDigit(s[1]) {
			break
		}
		s = s[1:]
	}
	// A suffix is a separator, a word, a separator and a number, of which
	// only the word must be there.
	take := func(words ...string) (word, number string, ok bool) {
		rest := s
		if rest != "" && strings.IndexByte(".-_", rest[0]) >= 0 {
			rest = rest[1:]
		}
		for _, w := range words {
			after, found := strings.CutPrefix(rest, w)
			if !found {
				continue
			}
			digitsAt := after
			if digitsAt != "" && strings.IndexByte(".-_", digitsAt[0]) >= 0 {
				digitsAt = digitsAt[1:]
			}
			if n := span(digitsAt, isDigit); n > 0 {
				s = digitsAt[n:]
				return w, digitsAt[:n], true
			}
			s = after
			return w, "0", true
		}
		return "", "", false
	}
	if w, n, found := take("alpha", "beta", "preview", "pre", "a", "b", "c", "rc"); found {
		v.pre, v.preN = map[string]string{"alpha": "a", "a": "a", "beta": "b", "b": "b", "preview": "rc", "pre": "rc", "c": "rc", "rc": "rc"}[w], n
	}
	if len(s) > 1 && s[0] == '-' && isDigit(s[1]) { // "1.0-1" is "1.0.post1"
		n := span(s[1:], isDigit)
		v.hasPost, v.postN = true, s[1:1+n]
		s = s[1+n:]
	} else if _, n, found := take("post", "rev", "r"); found {
		v.hasPost, v.postN = true, n
	}
	if _, n, found := take("dev"); found {
		v.hasDev, v.devN = true, n
	}
	return v, s == ""
}

func comparePEP440(a, b pep440) int {
	if c := numbers(a.epoch, b.epoch); c != 0 {
		return c
	}
	for i := range max(len(a.release), len(b.release)) {
		if c := numbers(at(a.release, i), at(b.release, i)); c != 0 {
			return c
		}
	}
	// A development release of the final release comes before all
	// pre-releases, which come before the final release.
	phase := func(v pep440) string {
		switch {
		case v.pre != "":
			return v.pre
		case v.hasDev && !v.hasPost:
			return ""
		}
		return "z"
	}
	if c := cmp.Or(strings.Compare(phase(a), phase(b)), numbers(a.preN, b.preN)); c != 0 {
		return c
	}
	if c := flags(a.hasPost, b.hasPost); c != 0 {
		return c
	}
	if c := numbers(a.postN, b.postN); c != 0 {
		return c
	}
	if c := -flags(a.hasDev, b.hasDev); c != 0 {
		return c
	}
	if c := numbers(a.devN, b.devN); c != 0 {
		return c
	}
	for i := range min(len(a.local), len(b.local)) {
		c := part(a.local[i], b.local[i])
		if c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a.local), len(b.local))
}

func flags(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}
