package vercmp

import (
	"cmp"
	"strings"
)

// evr is epoch, version and release (Debian's revision).
type evr struct{ epoch, version, release string }

// Debian is the order of dpkg (deb-version(7)).
var Debian = order("Debian", func(s string) (v evr, ok bool) {
	if epoch, rest, has := strings.Cut(s, ":"); has {
		if !digits(epoch) {
			return v, false
		}
		v.epoch, s = epoch, rest
	}
	if i := strings.LastIndexByte(s, '-'); i >= 0 {
		v.version, v.release = s[:i], s[i+1:]
	} else {
		v.version = s
	}
	// The manual wants a digit first, and dpkg only warns when there is none.
	in := func(s, more string) bool {
		return span(s, func(c byte) bool { return isDigit(c) || isLetter(c) || strings.IndexByte(more, c) >= 0 }) == len(s)
	}
	return v, v.version != "" && in(v.version, ".+-~:") && in(v.release, ".+~")
}, func(a, b evr) int {
	return cmp.Or(numbers(a.epoch, b.epoch), debianPart(a.version, b.version), debianPart(a.release, b.release))
})

// debianPart compares by turns what is no digit and what is.
func debianPart(a, b string) int {
	weight := func(s string) int {
		switch {
		case s == "" || isDigit(s[0]):
			return 0
		case s[0] == '~':
			return -1
		case isLetter(s[0]):
			return int(s[0])
		}
		return int(s[0]) + 256
	}
	for a != "" || b != "" {
		for a != "" && !isDigit(a[0]) || b != "" && !isDigit(b[0]) {
			if c := cmp.Compare(weight(a), weight(b)); c != 0 {
				return c
			}
			a, b = a[min(1, len(a)):], b[min(1, len(b)):]
		}
		n, m := span(a, isDigit), span(b, isDigit)
		if c := numbers(a[:n], b[:m]); c != 0 {
			return c
		}
		a, b = a[n:], b[m:]
	}
	return 0
}

// RPM is the order of rpm (rpmvercmp), over epoch, version and release. rpm
// itself ignores a release that one of the two lacks; here it comes before all
// others, so that a package whose release is not known is not taken for fixed.
var RPM = order("RPM", func(s string) (v evr, ok bool) {
	if epoch, rest, has := strings.Cut(s, ":"); has {
		if !digits(epoch) {
			return v, false
		}
		v.epoch, s = epoch, rest
	}
	v.version, v.release, _ = strings.Cut(s, "-")
	return v, v.version != "" && span(s, func(c byte) bool { return c > ' ' && c < 0x7f && c != '/' }) == len(s) && !strings.Contains(v.release, "-")
}, func(a, b evr) int {
	return cmp.Or(numbers(a.epoch, b.epoch), rpmPart(a.version, b.version), rpmPart(a.release, b.release))
})

func rpmPart(a, b string) int {
	alnum := func(c byte) bool { return isDigit(c) || isLetter(c) }
	skip := func(s string) string {
		return s[span(s, func(c byte) bool { return !alnum(c) && c != '~' && c != '^' }):]
	}
	first := func(s string) byte {
		if s == "" {
			return 0
		}
		return s[0]
	}
	for {
		a, b = skip(a), skip(b)
		x, y := first(a), first(b)
		switch {
		case x == '~' || y == '~': // before everything, the end included
			if x != y {
				return map[bool]int{true: -1, false: 1}[x == '~']
			}
			a, b = a[1:], b[1:]
			continue
		case x == '^' || y == '^': // after the end, before all else
			switch {
			case x == y:
				a, b = a[1:], b[1:]
				continue
			case a == "":
				return -1
			case b == "":
				return 1
			case x == '^':
				return -1
			}
			return 1
		case a == "" || b == "":
			return cmp.Compare(min(len(a), 1), min(len(b), 1))
		}
		in := isLetter
		if isDigit(x) {
			in = isDigit
		}
		n, m := span(a, in), span(b, in)
		if m == 0 { // of different kinds: numbers are newer
			if isDigit(x) {
				return 1
			}
			return -1
		}
		c := 0
		if isDigit(x) {
			c = numbers(a[:n], b[:m])
		} else {
			c = strings.Compare(a[:n], b[:m])
		}
		if c != 0 {
			return c
		}
		a, b = a[n:], b[m:]
	}
}

// apk is a version of Alpine in its parts.
type apk struct {
	numbers  []string
	letter   byte
	suffixes []apkSuffix
	revision string
}

type apkSuffix struct {
	rank   int // negative before the release, positive after it
	number string
}

var apkSuffixes = map[string]int{"alpha": -4, "beta": -3, "pre": -2, "rc": -1, "cvs": 1, "svn": 2, "git": 3, "hg": 4, "p": 5}

// Alpine is the order of apk (apk-tools, src/version.c).
var Alpine = order("Alpine", func(s string) (v apk, ok bool) {
	for {
		n := span(s, isDigit)
		if n == 0 {
			return v, false
		}
		v.numbers = append(v.numbers, s[:n])
		s = s[n:]
		if s == "" || s[0] != '.' {
			break
		}
		s = s[1:]
	}
	if s != "" && 'a' <= s[0] && s[0] <= 'z' {
		v.letter, s = s[0], s[1:]
	}
	for strings.HasPrefix(s, "_") {
		n := span(s[1:], isLetter)
		rank, known := apkSuffixes[s[1:1+n]]
		if !known {
			return v, false
		}
		s = s[1+n:]
		m := span(s, isDigit)
		v.suffixes = append(v.suffixes, apkSuffix{rank, s[:m]})
		s = s[m:]
	}
	if rest, has := strings.CutPrefix(s, "~"); has { // a commit, which has no order
		s = rest[span(rest, func(c byte) bool { return isDigit(c) || 'a' <= c && c <= 'f' }):]
	}
	if rest, has := strings.CutPrefix(s, "-r"); has {
		n := span(rest, isDigit)
		if n == 0 {
			return v, false
		}
		v.revision, s = rest[:n], rest[n:]
	}
	return v, s == ""
}, func(a, b apk) int {
	for i := range max(len(a.numbers), len(b.numbers)) {
		switch {
		case i >= len(a.numbers):
			return -1
		case i >= len(b.numbers):
			return 1
		}
		x, y := a.numbers[i], b.numbers[i]
		c := 0
		if i > 0 && (x[0] == '0' || y[0] == '0') {
			c = strings.Compare(x, y) // as decimals
		} else {
			c = numbers(x, y)
		}
		if c != 0 {
			return c
		}
	}
	if c := cmp.Compare(a.letter, b.letter); c != 0 {
		return c
	}
	for i := range max(len(a.suffixes), len(b.suffixes)) {
		var x, y apkSuffix
		if i < len(a.suffixes) {
			x = a.suffixes[i]
		}
		if i < len(b.suffixes) {
			y = b.suffixes[i]
		}
		if c := cmp.Or(cmp.Compare(x.rank, y.rank), numbers(x.number, y.number)); c != 0 {
			return c
		}
	}
	return numbers(a.revision, b.revision)
})
