package license

import (
	"slices"
	"strings"
	"sync"

	"github.com/hallmark-build/hallmark/internal/spdxlicense"
)

// An atom is one licence, in one version or in that and all later ones.
type atom struct {
	base      string // without "-only", "-or-later" and "+": "GPL-2.0"
	later     bool
	exception string
}

func atomOf(e *spdxlicense.Expr) atom {
	a := atom{base: e.License, exception: e.Exception}
	if strings.Contains(a.base, "LicenseRef-") {
		return a // a name that somebody gave, whatever it ends in
	}
	if old, ok := renamed[a.base]; ok && a.exception == "" {
		return old
	}
	for _, suffix := range []string{"-or-later", "+"} {
		if b, ok := strings.CutSuffix(a.base, suffix); ok {
			a.base, a.later = b, true
			return a
		}
	}
	a.base = strings.TrimSuffix(a.base, "-only")
	return a
}

// renamed are identifiers that the licence list deprecates for a licence with an
// exception.
var renamed = map[string]atom{
	"eCos-2.0":                         {"GPL-2.0", true, "eCos-exception-2.0"},
	"GPL-2.0-with-autoconf-exception":  {"GPL-2.0", false, "Autoconf-exception-2.0"},
	"GPL-2.0-with-bison-exception":     {"GPL-2.0", false, "Bison-exception-2.2"},
	"GPL-2.0-with-classpath-exception": {"GPL-2.0", false, "Classpath-exception-2.0"},
	"GPL-2.0-with-font-exception":      {"GPL-2.0", false, "Font-exception-2.0"},
	"GPL-2.0-with-GCC-exception":       {"GPL-2.0", false, "GCC-exception-2.0"},
	"GPL-3.0-with-autoconf-exception":  {"GPL-3.0", false, "Autoconf-exception-3.0"},
	"GPL-3.0-with-GCC-exception":       {"GPL-3.0", false, "GCC-exception-3.1"},
	"wxWindows":                        {"LGPL-2.0", true, "WxWindows-exception-3.1"},
}

// choices are the licences that an atom lets one choose from.
func (a atom) choices() []string {
	if a.later {
		if f, ok := versions()[a.base]; ok {
			return f
		}
	}
	return []string{a.base}
}

// means reports whether an entry of a policy is about a licence.
func (a atom) means(base string) bool {
	return a.base == base || a.later && slices.Contains(a.choices(), base)
}

// families are the licences whose versions follow each other, as written before
// and after the version. Others ("BSD-2-Clause") have numbers that are none.
var families = [][2]string{
	{"AFL-", ""}, {"AGPL-", ""}, {"Apache-", ""}, {"APSL-", ""}, {"Artistic-", ""}, {"CC-BY-", ""}, {"CC-BY-NC-", ""}, {"CC-BY-NC-ND-", ""},
	{"CC-BY-NC-SA-", ""}, {"CC-BY-ND-", ""}, {"CC-BY-SA-", ""}, {"CDDL-", ""}, {"CECILL-", ""}, {"ECL-", ""}, {"EFL-", ""}, {"EPL-", ""}, {"EUPL-", ""},
	{"GFDL-", ""}, {"GFDL-", "-invariants"}, {"GFDL-", "-no-invariants"}, {"GPL-", ""}, {"LGPL-", ""}, {"LPL-", ""}, {"LPPL-", ""}, {"MPL-", ""}, {"NPL-", ""},
	{"OFL-", ""}, {"OLDAP-", ""}, {"OSL-", ""}, {"PHP-", ""}, {"RPL-", ""}, {"SPL-", ""}, {"UPL-", ""}, {"ZPL-", ""},
}

// versions lists, for each licence of a family, that version and all later ones,
// ascending.
var versions = sync.OnceValue(func() map[string][]string {
	type member struct {
		id      string
		version []string
	}
	byFamily := map[[2]string][]member{}
	for _, id := range spdxlicense.IDs() {
		base := atomOf(&spdxlicense.Expr{License: id}).base
		for _, f := range families {
			v, ok := strings.CutPrefix(base, f[0])
			if ok {
				v, ok = strings.CutSuffix(v, f[1])
			}
			if ok && isVersion(v) && !slices.ContainsFunc(byFamily[f], func(m member) bool { return m.id == base }) {
				byFamily[f] = append(byFamily[f], member{base, strings.Split(v, ".")})
			}
		}
	}
	out := map[string][]string{}
	for _, members := range byFamily {
		slices.SortFunc(members, func(a, b member) int { return slices.CompareFunc(a.version, b.version, compareNumbers) })
		for i, m := range members {
			for _, l := range members[i:] {
				out[m.id] = append(out[m.id], l.id)
			}
		}
	}
	return out
})

// isVersion reports whether s is numbers with dots, and a letter at the end
// perhaps (LPPL-1.3c).
func isVersion(s string) bool {
	for part := range strings.SplitSeq(s, ".") {
		digits := strings.TrimRight(part, "abc")
		if digits == "" || len(part) > len(digits)+1 || strings.Trim(digits, "0123456789") != "" {
			return false
		}
	}
	return true
}

func compareNumbers(a, b string) int {
	if n := len(strings.TrimRight(a, "abc")) - len(strings.TrimRight(b, "abc")); n != 0 {
		return n
	}
	return strings.Compare(a, b)
}
