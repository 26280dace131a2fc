package diff

import (
	"cmp"
	"strings"

	"github.com/hallmark-build/hallmark/internal/vercmp"
)

// orders are those of ecosystems whose package URLs have the type.
var orders = map[string]vercmp.Order{
	"npm": vercmp.SemVer, "cargo": vercmp.SemVer, "golang": vercmp.Go, "pypi": vercmp.PyPI, "maven": vercmp.Maven, "nuget": vercmp.NuGet,
	"gem": vercmp.RubyGems, "deb": vercmp.Debian, "apk": vercmp.Alpine, "rpm": vercmp.RPM,
}

// compare orders two versions of a package as its ecosystem does, if that is
// known and has them for versions, and else as compareVersions does.
func compare(typ, a, b string) (int, bool) {
	if order := orders[typ]; order != nil {
		if n, err := order(a, b); err == nil {
			return n, n != 0
		}
	}
	return compareVersions(a, b)
}

// compareVersions orders two versions as nearly all ecosystems do, and reports
// whether their order is beyond doubt: numbers are compared as numbers, after
// an epoch ("1:"); what follows "-" or "~", or begins with a letter, is a
// pre-release and comes first; build metadata ("+") does not count. It is for
// telling an upgrade from a downgrade, not for matching ranges.
func compareVersions(a, b string) (int, bool) {
	if a == b {
		return 0, true
	}
	ea, a := epoch(a)
	eb, b := epoch(b)
	if n := compareNumbers(ea, eb); n != 0 {
		return n, true
	}
	a, _, _ = strings.Cut(strings.TrimPrefix(a, "v"), "+")
	b, _, _ = strings.Cut(strings.TrimPrefix(b, "v"), "+")
	if a == "" || b == "" || !digit(a[0]) || !digit(b[0]) {
		return cmp.Compare(a, b), false
	}
	for a != "" || b != "" {
		pa, restA := part(a)
		pb, restB := part(b)
		if n := compareParts(pa, pb); n != 0 {
			return n, true
		}
		a, b = restA, restB
	}
	return 0, false // they differ in what does not count
}

func epoch(v string) (string, string) {
	if e, rest, ok := strings.Cut(v, ":"); ok && e != "" && strings.Trim(e, "0123456789") == "" {
		return e, rest
	}
	return "0", v
}

func digit(c byte) bool { return '0' <= c && c <= '9' }

// part takes the first number, word or mark of a version; dots only separate.
func part(v string) (string, string) {
	v = strings.TrimLeft(v, "._")
	if v == "" {
		return "", ""
	}
	i := 1
	letter := func(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
	for i < len(v) && (digit(v[0]) && digit(v[i]) || letter(v[0]) && letter(v[i])) {
		i++
	}
	return v[:i], v[i:]
}

// rank orders the kinds of parts: a pre-release before the end of the version,
// and a number after it.
func rank(p string) int {
	switch {
	case p == "":
		return 2
	case p[0] == '~':
		return 0
	case digit(p[0]):
		return 3
	}
	return 1
}

func compareParts(a, b string) int {
	if n := cmp.Compare(rank(a), rank(b)); n != 0 {
		// 1.0 and 1.0.0 are the same.
		if rank(a)+rank(b) == 5 && strings.Trim(a+b, "0") == "" {
			return 0
		}
		return n
	}
	if rank(a) == 3 {
		return compareNumbers(a, b)
	}
	return cmp.Compare(a, b)
}

func compareNumbers(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}
