// Package vercmp orders versions the way each ecosystem does.
//
// What is not a version of the ecosystem is an error, never a guess: a version
// that sorts wrongly makes a vulnerable package look fixed. Numbers may be of any
// length; versions may not (limits.Version).
package vercmp

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/hallmark-build/hallmark/internal/limits"
)

// An Order compares two versions: negative when a comes before b, 0 when they
// are the same version, positive when a comes after b.
type Order func(a, b string) (int, error)

// For returns the order of an ecosystem, named as in OSV's schema without the
// part after the colon, or nil when there is none.
func For(ecosystem string) Order { return orders[ecosystem] }

var orders = map[string]Order{
	"npm": SemVer, "crates.io": SemVer, "Hex": SemVer, "Pub": SemVer, "Julia": SemVer, "SwiftURL": SemVer, "GitHub Actions": SemVer, "Bitnami": SemVer,
	"Go": Go, "PyPI": PyPI, "Maven": Maven, "NuGet": NuGet, "RubyGems": RubyGems,
	"Debian": Debian, "Ubuntu": Debian,
	"Alpine": Alpine, "Chainguard": Alpine, "Wolfi": Alpine, "MinimOS": Alpine, "Alpaquita": Alpine,
	"Red Hat": RPM, "Rocky Linux": RPM, "AlmaLinux": RPM, "SUSE": RPM, "openSUSE": RPM, "Mageia": RPM, "openEuler": RPM, "Azure Linux": RPM, "Photon OS": RPM,
}

// order makes an Order of a parser and a comparison.
func order[T any](what string, parse func(string) (T, bool), compare func(a, b T) int) Order {
	read := func(s string) (v T, err error) {
		if len(s) > limits.Version {
			return v, fmt.Errorf("version of %d bytes; at most %d are read", len(s), limits.Version)
		}
		v, ok := parse(s)
		if !ok {
			return v, fmt.Errorf("%.80q is not a version of %s", s, what)
		}
		return v, nil
	}
	return func(a, b string) (int, error) {
		x, err := read(a)
		if err != nil {
			return 0, err
		}
		y, err := read(b)
		if err != nil {
			return 0, err
		}
		return compare(x, y), nil
	}
}

// numbers compares two numbers of any length, in digits; "" is 0.
func numbers(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b))
}

func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

func digits(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != ""
}

// span returns the length of the prefix of s whose bytes are all in.
func span(s string, in func(byte) bool) int {
	i := 0
	for i < len(s) && in(s[i]) {
		i++
	}
	return i
}

type semver struct {
	core []string
	pre  []string
}

// SemVer is Semantic Versioning 2.0.0, with what is written around it: a "v" in
// front, and missing parts, which are 0. Build metadata does not count.
var SemVer = order("SemVer", func(s string) (semver, bool) { return parseSemVer(s, 3) }, compareSemVer)

// NuGet is SemVer with up to four numbers, and no difference between letter
// cases.
var NuGet = order("NuGet", func(s string) (semver, bool) { return parseSemVer(strings.ToLower(s), 4) }, compareSemVer)

// Go is SemVer, as Go's modules have it (the order of golang.org/x/mod/semver),
// and the versions of the toolchain and the standard library ("1.22rc1").
var Go = order("Go", func(s string) (semver, bool) {
	if v, ok := parseSemVer(s, 3); ok {
		return v, true
	}
	return parseSemVer(goRelease(strings.TrimPrefix(s, "go")), 3)
}, compareSemVer)

// goRelease writes "1.22rc1" as "1.22-rc.1".
func goRelease(s string) string {
	for _, word := range []string{"rc", "beta"} {
		if core, n, ok := strings.Cut(s, word); ok && digits(n) {
			return core + "-" + word + "." + n
		}
	}
	core, _, _ := strings.Cut(s, " ") // "1.24.1 X:boringcrypto"
	core, _, _ = strings.Cut(core, "-")
	return core
}

func parseSemVer(s string, parts int) (v semver, ok bool) {
	s = strings.TrimPrefix(s, "v")
	s, build, hasBuild := strings.Cut(s, "+")
	if hasBuild && !identifiers(build) {
		return v, false
	}
	core, pre, hasPre := strings.Cut(s, "-")
	v.core = strings.Split(core, ".")
	if len(v.core) > parts {
		return v, false
	}
	for _, n := range v.core {
		if !digits(n) {
			return v, false
		}
	}
	if hasPre {
		if !identifiers(pre) {
			return v, false
		}
		v.pre = strings.Split(pre, ".")
	}
	return v, true
}

// identifiers checks dot-separated identifiers (SemVer, sections 9 and 10).
func identifiers(s string) bool {
	for id := range strings.SplitSeq(s, ".") {
		if id == "" || span(id, func(c byte) bool { return isDigit(c) || isLetter(c) || c == '-' }) < len(id) {
			return false
		}
	}
	return true
}

// at returns element i, or "" past the end.
func at(list []string, i int) string {
	if i < len(list) {
		return list[i]
	}
	return ""
}

func compareSemVer(a, b semver) int {
	for i := range max(len(a.core), len(b.core)) {
		if c := numbers(at(a.core, i), at(b.core, i)); c != 0 {
			return c
		}
	}
	switch {
	case len(a.pre) == 0 && len(b.pre) == 0:
		return 0
	case len(a.pre) == 0:
		return 1
	case len(b.pre) == 0:
		return -1
	}
	for i := range min(len(a.pre), len(b.pre)) { // section 11.4
		x, y := a.pre[i], b.pre[i]
		c := 0
		switch nx, ny := digits(x), digits(y); {
		case nx && ny:
			c = numbers(x, y)
		case nx:
			c = -1
		case ny:
			c = 1
		default:
			c = strings.Compare(x, y)
		}
		if c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a.pre), len(b.pre))
}

// RubyGems is the order of Gem::Version: parts of digits and of letters, where
// letters mark a version before the release.
var RubyGems = order("RubyGems", func(s string) ([]string, bool) {
	s = strings.TrimSpace(s)
	if s == "" || !isDigit(s[0]) {
		return nil, false
	}
	s = strings.ReplaceAll(s, "-", ".pre.")
	var parts []string
	for part := range strings.SplitSeq(s, ".") {
		if part == "" {
			return nil, false
		}
		for part != "" {
			n := span(part, isDigit)
			if n == 0 {
				n = span(part, isLetter)
			}
			if n == 0 {
				return nil, false
			}
			parts = append(parts, part[:n])
			part = part[n:]
		}
	}
	// Zeros before letters and at the end do not count.
	var out []string
	trim := func() {
		for len(out) > 0 && digits(out[len(out)-1]) && numbers(out[len(out)-1], "0") == 0 {
			out = out[:len(out)-1]
		}
	}
	lettersSeen := false
	for _, p := range parts {
		if !digits(p) && !lettersSeen {
			trim()
			lettersSeen = true
		}
		out = append(out, p)
	}
	trim()
	return out, true
}, func(a, b []string) int {
	for i := range max(len(a), len(b)) {
		x, y := "0", "0"
		if i < len(a) {
			x = a[i]
		}
		if i < len(b) {
			y = b[i]
		}
		c := part(x, y)
		if c != 0 {
			return c
		}
	}
	return 0
})

// part compares parts of versions: numbers as such, and above what is none.
func part(x, y string) int {
	switch nx, ny := digits(x), digits(y); {
	case nx && ny:
		return numbers(x, y)
	case nx:
		return 1
	case ny:
		return -1
	}
	return strings.Compare(x, y)
}
