package purl

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/hallmark-build/hallmark/internal/glob"
)

// A Pattern says which package URLs are meant. The zero Pattern matches none.
type Pattern struct {
	typ, name  *glob.Pattern // name is namespace/name
	version    *glob.Pattern // nil for any
	qualifiers map[string]*glob.Pattern
	subpath    *glob.Pattern // nil for any
}

// ParsePattern reads a pattern, which is a package URL of which parts may be
// left out:
//
//	pkg:npm/left-pad@1.3.0        that version
//	pkg:npm/left-pad              every version of it
//	pkg:npm/@babel/*              every package of a scope; * stops at a slash
//	pkg:golang/golang.org/**@v0.* ** does not
//	pkg:deb/debian/*?arch=amd64   qualifiers that are named must fit, others may be anything
//
// Where the pattern has no "*" and is a package URL, it is brought into
// canonical form first, so it matches however it is written.
func ParsePattern(s string) (Pattern, error) {
	bad := func(format string, args ...any) (Pattern, error) {
		return Pattern{}, fmt.Errorf("purl pattern %.80q: %s", s, fmt.Sprintf(format, args...))
	}
	if len(s) > MaxLength {
		return Pattern{}, fmt.Errorf("purl pattern of more than %d bytes", MaxLength)
	}
	var p Pattern
	compile := func(part string, into **glob.Pattern) error {
		g, err := glob.Compile(quoteOthers(part))
		*into = g
		return err
	}
	if u, err := Parse(s); err == nil && !strings.Contains(s, "*") {
		literal := func(part string) *glob.Pattern {
			g, _ := glob.Compile(glob.Quote(part))
			return g
		}
		p = Pattern{typ: literal(u.Type), name: literal(u.fullName())}
		if u.Version != "" {
			p.version = literal(u.Version)
		}
		if u.Subpath != "" {
			p.subpath = literal(u.Subpath)
		}
		for _, q := range u.Qualifiers {
			p.setQualifier(q.Key, literal(q.Value))
		}
		return p, p.check(s)
	}
	rest, ok := strings.CutPrefix(s, "pkg:")
	if !ok {
		return bad(`want it to begin with "pkg:"`)
	}
	rest, subpath, hasSubpath := strings.Cut(rest, "#")
	rest, qualifiers, hasQualifiers := strings.Cut(rest, "?")
	typ, name, ok := strings.Cut(strings.TrimLeft(rest, "/"), "/")
	if !ok || typ == "" || name == "" {
		return bad("want pkg:TYPE/NAME")
	}
	// The version begins at the last "@" that does not begin an element, as
	// that of a scope does.
	version, hasVersion := "", false
	if i := strings.LastIndexByte(name, '@'); i > 0 && name[i-1] != '/' && !strings.Contains(name[i:], "/") {
		name, version, hasVersion = name[:i], name[i+1:], true
	}
	decode := func(part string) (string, error) { return url.PathUnescape(part) }
	var err error
	if name, err = decode(name); err != nil || slices.Contains(strings.Split(name, "/"), "") {
		return bad("the name is malformed")
	}
	if err := compile(strings.ToLower(typ), &p.typ); err != nil {
		return bad("%v", err)
	}
	if err := compile(name, &p.name); err != nil {
		return bad("%v", err)
	}
	if hasVersion {
		if version, err = decode(version); err != nil || version == "" {
			return bad("the version is malformed")
		}
		if err := compile(version, &p.version); err != nil {
			return bad("%v", err)
		}
	}
	if hasQualifiers {
		for part := range strings.SplitSeq(qualifiers, "&") {
			key, value, ok := strings.Cut(part, "=")
			if value, err = decode(value); err != nil || !ok || key == "" || value == "" {
				return bad("want qualifiers as key=value")
			}
			var g *glob.Pattern
			if err := compile(value, &g); err != nil {
				return bad("%v", err)
			}
			if p.qualifiers[strings.ToLower(key)] != nil {
				return bad("qualifier %.40q twice", key)
			}
			p.setQualifier(strings.ToLower(key), g)
		}
	}
	if hasSubpath {
		if subpath, err = decode(strings.Trim(subpath, "/")); err != nil || subpath == "" {
			return bad("the subpath is malformed")
		}
		if err := compile(subpath, &p.subpath); err != nil {
			return bad("%v", err)
		}
	}
	return p, p.check(s)
}

func (p *Pattern) setQualifier(key string, g *glob.Pattern) {
	if p.qualifiers == nil {
		p.qualifiers = make(map[string]*glob.Pattern)
	}
	p.qualifiers[key] = g
}

// check refuses parts that are longer than a pattern may be: those that Parse
// took were not compiled one by one.
func (p *Pattern) check(s string) error {
	if p.typ == nil || p.name == nil {
		return fmt.Errorf("purl pattern %.80q: longer than a pattern may be", s)
	}
	return nil
}

// quoteOthers escapes what package glob knows beside "*" and a package URL
// may have in it.
func quoteOthers(s string) string {
	return strings.NewReplacer(`\`, `\\`, `?`, `\?`, `[`, `\[`, `]`, `\]`, `{`, `\{`, `}`, `\}`).Replace(s)
}

func (p PURL) fullName() string {
	if p.Namespace == "" {
		return p.Name
	}
	return p.Namespace + "/" + p.Name
}

// Match reports whether the pattern means u, which should be canonical, as
// [Parse] returns it.
func (p Pattern) Match(u PURL) bool {
	if p.typ == nil || !p.typ.Match(u.Type) || !p.name.Match(u.fullName()) ||
		p.version != nil && !p.version.Match(u.Version) || p.subpath != nil && !p.subpath.Match(u.Subpath) {
		return false
	}
	for key, g := range p.qualifiers {
		if !g.Match(u.Qualifier(key)) {
			return false
		}
	}
	return true
}
