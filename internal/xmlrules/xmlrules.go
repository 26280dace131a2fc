// Package xmlrules checks elements against the rules of CycloneDX's XML schemas.
//
// The rules are those that the authors of CycloneDX publish, reduced to what
// they assert (rules.txt, written by gen.go). The content of an element is a
// regular expression over the names of the elements inside, which takes time in
// proportion to their number, whatever they are.
package xmlrules

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/hallmark-build/hallmark/internal/jsonrules"
	"github.com/hallmark-build/hallmark/internal/spdxlicense"
)

//go:embed rules.txt
var text string

// A Node is an element.
type Node interface {
	Name() (name string, foreign bool) // foreign is of another name space
	Attrs() iter.Seq2[Attr, string]
	Kids() iter.Seq[Node]
	Text() string
	Line() int
}

// An Attr is the name of an attribute.
type Attr struct {
	Name    string
	Foreign bool
}

// An Error is what is wrong with an element, and where.
type Error struct {
	Line int
	Path string // of names: "component/hashes/hash/@alg"
	Msg  string
}

func (e *Error) Error() string { return fmt.Sprintf("line %d, /%.200s: %s", e.Line, e.Path, e.Msg) }

// Rules are those of one version.
type Rules struct{ types map[string]*rule }

type rule struct {
	Content string
	Kids    map[string]string
	Attrs   map[string]struct {
		Type     string
		Required bool
	}
	AnyAttrs string
	Text     string

	Base                 string
	Union                []string
	Enum                 []string
	Patterns             []string
	MinLength, MaxLength string
	Min, Max             string

	content  *regexp.Regexp
	patterns []*regexp.Regexp
	digest   bool // the pattern is digestPattern
	enum     map[string]bool

	minLength, maxLength int
	min, max             float64
}

// simple reports whether the rule is of a text.
func (r *rule) simple() bool { return r.Base != "" || r.Union != nil }

var (
	mu     sync.Mutex
	loaded = make(map[string]*Rules)
)

// Load returns the rules of a version: "1.6".
func Load(version string) (*Rules, error) {
	mu.Lock()
	defer mu.Unlock()
	if r := loaded[version]; r != nil {
		return r, nil
	}
	rules := &Rules{make(map[string]*rule)}
	for line := range strings.Lines(text) {
		f := strings.SplitN(line, "\t", 3)
		if strings.HasPrefix(line, "#") || !slices.Contains(strings.Fields(f[0]), version) {
			continue
		}
		r := new(rule)
		if err := json.Unmarshal([]byte(f[2]), r); err != nil {
			return nil, fmt.Errorf("rule %q: %w", f[1], err)
		}
		if err := r.compile(); err != nil {
			return nil, fmt.Errorf("rule %q: %w", f[1], err)
		}
		rules.types[f[1]] = r
	}
	if rules.types["/bom"] == nil {
		return nil, fmt.Errorf("no rules for %q", version)
	}
	for name, r := range rules.types {
		for _, t := range r.Kids {
			if rules.types[t] == nil && !builtin(t) {
				return nil, fmt.Errorf("rule %q: no type %q", name, t)
			}
		}
	}
	loaded[version] = rules
	return rules, nil
}

func (r *rule) compile() error {
	var err error
	if r.content, err = regexp.Compile("^(?:" + r.Content + ")$"); err != nil {
		return err
	}
	for _, p := range r.Patterns {
		// There, the whole must match.
		re, err := regexp.Compile(`^(?:` + p + `)$`)
		if err != nil {
			return err
		}
		r.patterns = append(r.patterns, re)
	}
	r.digest = slices.Equal(r.Patterns, []string{digestPattern})
	r.maxLength = math.MaxInt
	if r.MinLength != "" {
		r.minLength, err = strconv.Atoi(r.MinLength)
	}
	if r.MaxLength != "" && err == nil {
		r.maxLength, err = strconv.Atoi(r.MaxLength)
	}
	r.min, r.max = math.Inf(-1), math.Inf(1)
	if r.Min != "" && err == nil {
		r.min, err = strconv.ParseFloat(r.Min, 64)
	}
	if r.Max != "" && err == nil {
		r.max, err = strconv.ParseFloat(r.Max, 64)
	}
	if err != nil {
		return err
	}
	if r.Enum != nil {
		r.enum = make(map[string]bool, len(r.Enum))
		for _, s := range r.Enum {
			r.enum[s] = true
		}
	}
	return nil
}

// Kid returns the type of an element inside
// an element of a type, or "". The document is of type "/bom".
func (r *Rules) Kid(in, name string) string {
	if t := r.types[in]; t != nil {
		return t.Kids[name]
	}
	return ""
}

// Order checks the names of the elements inside an element of a type; "*" is
// one of another name space.
func (r *Rules) Order(in string, names []string) error {
	t := r.types[in]
	if t == nil {
		return fmt.Errorf("no type %q", in)
	}
	var b []byte
	for _, name := range names {
		b = append(append(b, name...), ';')
	}
	if t.content.Match(b) {
		return nil
	}
	for i, name := range names {
		if name != "*" && t.Kids[name] == "" {
			return fmt.Errorf("the format has no element %.40q here", name)
		}
		if slices.Contains(names[:i], name) && !strings.Contains(t.Content, name+";)*") && !strings.Contains(t.Content, name+";))*") {
			return fmt.Errorf("element %.40q is repeated, or not where it belongs", name)
		}
	}
	return errors.New("elements are missing, or not in the order that the format has")
}

// Check checks an element of a type, and all in it.
func (r *Rules) Check(n Node, typ string) error {
	if err := r.check(n, typ); err != nil {
		return err
	}
	return nil
}

// inside puts the name of the element around before the path of a fault.
func inside(name string, e *Error) *Error {
	e.Path = name + "/" + e.Path
	return e
}

func (r *Rules) check(n Node, typ string) *Error {
	path, _ := n.Name()
	bad := func(path, format string, args ...any) *Error {
		return &Error{n.Line(), path, fmt.Sprintf(format, args...)}
	}
	t := r.types[typ]
	if typ == "xs:anyType" {
		return nil
	}
	if t == nil || t.simple() {
		for range n.Kids() {
			return bad(path, "want a text, found an element")
		}
		for a := range n.Attrs() {
			if !a.Foreign {
				return bad(path+"/@"+a.Name, "the format has no such attribute")
			}
		}
		if err := r.text(n.Text(), typ); err != nil {
			return bad(path, "%v", err)
		}
		return nil
	}
	if err := r.attrs(n, t, path); err != nil {
		return err
	}
	if t.Text != "" {
		for range n.Kids() {
			return bad(path, "want a text, found an element")
		}
		if err := r.text(n.Text(), t.Text); err != nil {
			return bad(path, "%v", err)
		}
		return nil
	}
	if strings.TrimSpace(n.Text()) != "" {
		return bad(path, "want elements, found text")
	}
	var names []string
	for k := range n.Kids() {
		name, foreign := k.Name()
		if foreign {
			name = "*"
		}
		names = append(names, name)
	}
	if err := r.Order(typ, names); err != nil {
		return bad(path, "%v", err)
	}
	i := 0
	for k := range n.Kids() {
		if names[i] != "*" {
			if err := r.check(k, t.Kids[names[i]]); err != nil {
				return inside(path, err)
			}
		}
		i++
	}
	return nil
}

// Attrs checks the attributes of an element of a type.
func (r *Rules) Attrs(n Node, typ string) error {
	name, _ := n.Name()
	if err := r.attrs(n, r.types[typ], name); err != nil {
		return err
	}
	return nil
}

func (r *Rules) attrs(n Node, t *rule, path string) *Error {
	seen := 0
	for a, value := range n.Attrs() {
		rule, ok := t.Attrs[a.Name]
		switch {
		case a.Foreign:
			if t.AnyAttrs == "" {
				return &Error{n.Line(), path + "/@" + a.Name, "no attribute of another name space may stand here"}
			}
			continue
		case !ok && t.AnyAttrs == "any":
			continue
		case !ok:
			return &Error{n.Line(), path + "/@" + a.Name, "the format has no such attribute"}
		}
		if rule.Required {
			seen++
		}
		if err := r.text(value, rule.Type); err != nil {
			return &Error{n.Line(), path + "/@" + a.Name, err.Error()}
		}
	}
	required := 0
	for _, rule := range t.Attrs {
		if rule.Required {
			required++
		}
	}
	if seen < required {
		for _, name := range slices.Sorted(func(yield func(string) bool) {
			for name, rule := range t.Attrs {
				if rule.Required && !yield(name) {
					return
				}
			}
		}) {
			found := false
			for a := range n.Attrs() {
				found = found || a.Name == name && !a.Foreign
			}
			if !found {
				return &Error{n.Line(), path, "want attribute " + name + ", which is missing"}
			}
		}
	}
	return nil
}

func builtin(t string) bool {
	return strings.HasPrefix(t, "xs:") || t == "spdx:licenseId"
}

// digestPattern is the one pattern that most of a document is held to;
// [jsonrules.IsDigest] is what it says.
const digestPattern = "([a-fA-F0-9]{32})|([a-fA-F0-9]{40})|([a-fA-F0-9]{64})|([a-fA-F0-9]{96})|([a-fA-F0-9]{128})"

var (
	integer = regexp.MustCompile(`^[+-]?[0-9]{1,30}$`)
	decimal = regexp.MustCompile(`^[+-]?(?:[0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})$`)
)

// text checks a text of a type.
func (r *Rules) text(s, typ string) error {
	if t := r.types[typ]; t != nil {
		return r.restricted(s, t)
	}
	trimmed := strings.TrimSpace(s)
	ok := true
	switch typ {
	case "xs:string", "xs:normalizedString", "xs:token", "xs:anyType", "":
	case "xs:anyURI":
		ok = jsonrules.IsIRI(trimmed)
	case "xs:boolean":
		ok = slices.Contains([]string{"true", "false", "1", "0"}, trimmed)
	case "xs:integer":
		ok = integer.MatchString(trimmed)
	case "xs:nonNegativeInteger":
		ok = integer.MatchString(trimmed) && (trimmed[0] != '-' || strings.Trim(trimmed, "-0") == "")
	case "xs:positiveInteger":
		ok = integer.MatchString(trimmed) && trimmed[0] != '-' && strings.Trim(trimmed, "+0") != ""
	case "xs:decimal":
		ok = decimal.MatchString(trimmed)
	case "xs:dateTime":
		_, err := time.Parse(time.RFC3339, trimmed)
		_, err2 := time.Parse("2006-01-02T15:04:05", trimmed) // the zone may be unsaid
		ok = err == nil || err2 == nil
	case "xs:date":
		_, err := time.Parse(time.DateOnly, trimmed)
		ok = err == nil
	case "spdx:licenseId":
		if spdxlicense.ID(s) != s && spdxlicense.Exception(s) != s {
			return fmt.Errorf("%.40q is not an identifier of the SPDX licence list", s)
		}
	default:
		return fmt.Errorf("no type %q", typ)
	}
	if !ok {
		return fmt.Errorf("want %s, found %.40q", strings.TrimPrefix(typ, "xs:"), trimmed)
	}
	return nil
}

func (r *Rules) restricted(s string, t *rule) error {
	if t.Union != nil {
		var first error
		for _, u := range t.Union {
			err := r.text(s, u)
			if err == nil {
				return nil
			}
			if first == nil {
				first = err
			}
		}
		return first
	}
	if t.Text != "" { // a complex type of a text
		return r.text(s, t.Text)
	}
	if t.Base != "xs:string" && t.Base != "xs:normalizedString" {
		s = strings.TrimSpace(s)
	}
	if err := r.text(s, t.Base); err != nil {
		return err
	}
	if t.enum != nil && !t.enum[s] {
		if len(t.Enum) > 12 {
			return fmt.Errorf("%.40q is none of the %d values that the format has", s, len(t.Enum))
		}
		return fmt.Errorf("want one of %s, found %.40q", strings.Join(t.Enum, ", "), s)
	}
	if len(t.patterns) > 0 && !(t.digest && jsonrules.IsDigest(s)) && !slices.ContainsFunc(t.patterns, func(p *regexp.Regexp) bool { return p.MatchString(s) }) {
		return fmt.Errorf("%.60q is not of the form %.80s", s, t.Patterns[0])
	}
	if n := utf8.RuneCountInString(s); n < t.minLength {
		return fmt.Errorf("want at least %d characters, found %d", t.minLength, n)
	} else if n > t.maxLength {
		return fmt.Errorf("want at most %d characters, found %d", t.maxLength, n)
	}
	if t.Min != "" || t.Max != "" {
		x, err := strconv.ParseFloat(s, 64)
		if t.Min != "" && (err != nil || x < t.min) {
			return fmt.Errorf("want at least %s, found %.40q", t.Min, s)
		}
		if t.Max != "" && (err != nil || x > t.max) {
			return fmt.Errorf("want at most %s, found %.40q", t.Max, s)
		}
	}
	return nil
}
