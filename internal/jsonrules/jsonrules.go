// Package jsonrules checks documents against the rules of their format's JSON
// schema, while it reads them once, strictly, front to back.
//
// The rules are those that the authors of CycloneDX and SPDX publish, reduced
// to what they assert (rules.txt, written by gen.go). Only the keywords that
// these schemas use are known; a rule with any other does not load.
package jsonrules

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"math/bits"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/hallmark-build/hallmark/internal/spdxlicense"
	"github.com/hallmark-build/hallmark/internal/strictjson"
)

//go:embed rules.txt
var text string

// ReasonSchema is the Reason of an [Error] that a rule of the format made.
const ReasonSchema = "schema"

// An Error is what is wrong with a document, and where.
type Error struct {
	Reason string // ReasonSchema, or one of package strictjson's
	Path   string // JSON pointer (RFC 6901) to the value; "" is the document
	Offset int    // in bytes
	Line   int    // from 1
	Msg    string
}

func (e *Error) Error() string {
	path := e.Path
	if path == "" {
		path = "/"
	}
	return fmt.Sprintf("line %d, %.200s: %s", e.Line, path, e.Msg)
}

// Formats returns the names of the formats that have rules.
func Formats() []string {
	var names []string
	for line := range strings.Lines(text) {
		versions, name, _ := strings.Cut(line, "\t")
		if !strings.HasPrefix(line, "#") && strings.HasPrefix(name, "\t") {
			names = append(names, strings.Fields(versions)...)
		}
	}
	slices.Sort(names)
	return names
}

// Check reads the whole document, at most maxBytes of it, and returns the
// first fault as an [*Error].
func Check(doc []byte, maxBytes int, format string) error {
	root, err := load(format)
	if err != nil {
		return err
	}
	return check(doc, maxBytes, root)
}

func check(doc []byte, maxBytes int, root *rule) error {
	c := checker{doc: doc, budget: 1<<20 + 64*len(doc)}
	p := strictjson.NewParser(doc, maxBytes)
	err := c.value(p, 0, root)
	if err == nil {
		err = p.End()
	}
	if err == nil {
		return nil
	}
	e := asError(err, 0)
	e.Line = 1 + strings.Count(string(doc[:min(e.Offset, len(doc))]), "\n")
	return e
}

// CheckElement reads an element of the list that a document has under a name,
// as [Check] reads the document. Lines, offsets and paths count from the
// element.
func CheckElement(element []byte, maxBytes int, format, list string) error {
	root, err := load(format)
	if err != nil {
		return err
	}
	r := root.properties[list]
	if r == nil || r.items == nil {
		return fmt.Errorf("%s has no list of %q", format, list)
	}
	return check(element, maxBytes, r.items)
}

// asError makes any error one of this package; base is where the parser that
// failed began.
func asError(err error, base int) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	var j *strictjson.Error
	if errors.As(err, &j) {
		return &Error{Reason: j.Reason, Offset: base + j.Offset, Msg: j.Msg}
	}
	return &Error{Reason: ReasonSchema, Offset: base, Msg: err.Error()}
}

// A rule is one schema.
type rule struct {
	ref    string // name of a definition
	target *rule

	types    uint8 // bit per strictjson.Kind; 0 is any
	integer  bool  // a number must be whole
	licence  bool  // identifier of the licence list
	enum     map[string]bool
	constant *string // raw JSON
	pattern  *regexp.Regexp
	digest   bool // the pattern is digestPattern
	format   string

	minimum, maximum     float64
	minLength, maxLength int
	minItems, maxItems   int
	unique               bool

	properties map[string]*rule
	names      []string // of properties
	required   []string
	closed     bool // no other properties
	items      *rule

	classes map[string]*rule // an object by its type; "" is any other type
	strings []string         // what may stand for an object; nil where nothing may

	oneOf, anyOf, allOf []*rule
	not, cond, yes, no  *rule
}

// again reports whether the value must be read more than once.
func (r *rule) again() bool {
	return r.oneOf != nil || r.anyOf != nil || r.allOf != nil || r.not != nil || r.cond != nil
}

var (
	mu     sync.Mutex
	loaded = make(map[string]*rule)
)

func load(format string) (*rule, error) {
	mu.Lock()
	defer mu.Unlock()
	if r := loaded[format]; r != nil {
		return r, nil
	}
	licence, err := parse(json.RawMessage(`{"type":"string"}`))
	if err != nil {
		return nil, err
	}
	licence.licence = true
	defs := map[string]*rule{"licence": licence}
	for line := range strings.Lines(text) {
		f := strings.SplitN(line, "\t", 3)
		if strings.HasPrefix(line, "#") || !slices.Contains(strings.Fields(f[0]), format) {
			continue
		}
		r, err := parse(json.RawMessage(f[2]))
		if err != nil {
			return nil, fmt.Errorf("rule %q of %s: %w", f[1], format, err)
		}
		defs[f[1]] = r
	}
	root := defs[""]
	if root == nil {
		return nil, fmt.Errorf("no rules for %q", format)
	}
	for _, r := range defs {
		if err := r.resolve(defs); err != nil {
			return nil, err
		}
	}
	loaded[format] = root
	return root, nil
}

func (r *rule) resolve(defs map[string]*rule) error {
	if r == nil {
		return nil
	}
	if r.ref != "" {
		if r.target = defs[r.ref]; r.target == nil {
			return fmt.Errorf("no rule %q", r.ref)
		}
		return nil
	}
	children := append(append(append([]*rule{r.items, r.not, r.cond, r.yes, r.no}, r.oneOf...), r.anyOf...), r.allOf...)
	for _, c := range r.properties {
		children = append(children, c)
	}
	for _, c := range r.classes {
		children = append(children, c)
	}
	for _, c := range children {
		if err := c.resolve(defs); err != nil {
			return err
		}
	}
	return nil
}

var kinds = map[string]strictjson.Kind{
	"null": strictjson.Null, "boolean": strictjson.Bool, "number": strictjson.Number, "integer": strictjson.Number,
	"string": strictjson.String, "array": strictjson.Array, "object": strictjson.Object,
}

// parse makes a rule of a schema. Rules are part of the program, so this need
// not be careful, only complete.
func parse(raw json.RawMessage) (*rule, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return nil, err
	}
	r := &rule{minimum: math.Inf(-1), maximum: math.Inf(1), maxLength: math.MaxInt, maxItems: math.MaxInt}
	for name, v := range members {
		var err error
		switch name {
		case "$ref":
			err = json.Unmarshal(v, &r.ref)
		case "type":
			var list []string
			if v[0] == '[' {
				err = json.Unmarshal(v, &list)
			} else {
				list = []string{""}
				err = json.Unmarshal(v, &list[0])
			}
			for _, t := range list {
				r.types |= 1 << kinds[t]
				r.integer = r.integer || t == "integer"
			}
		case "enum":
			var list []string
			err = json.Unmarshal(v, &list)
			r.enum = make(map[string]bool, len(list))
			for _, s := range list {
				r.enum[s] = true
			}
		case "const":
			s := string(v)
			r.constant = &s
		case "pattern":
			var s string
			if err = json.Unmarshal(v, &s); err == nil {
				r.pattern, err = regexp.Compile(s)
				r.digest = s == digestPattern
			}
		case "format":
			err = json.Unmarshal(v, &r.format)
		case "minimum":
			err = json.Unmarshal(v, &r.minimum)
		case "maximum":
			err = json.Unmarshal(v, &r.maximum)
		case "minLength":
			err = json.Unmarshal(v, &r.minLength)
		case "maxLength":
			err = json.Unmarshal(v, &r.maxLength)
		case "minItems":
			err = json.Unmarshal(v, &r.minItems)
		case "maxItems":
			err = json.Unmarshal(v, &r.maxItems)
		case "uniqueItems":
			err = json.Unmarshal(v, &r.unique)
		case "required":
			err = json.Unmarshal(v, &r.required)
			if len(r.required) > 64 {
				err = errors.New("more than 64 required properties")
			}
		case "additionalProperties":
			r.closed = string(v) == "false"
		case "properties":
			var m map[string]json.RawMessage
			if err = json.Unmarshal(v, &m); err == nil {
				r.properties = make(map[string]*rule, len(m))
				for k, x := range m {
					r.names = append(r.names, k)
					if r.properties[k], err = parse(x); err != nil {
						break
					}
				}
			}
		case "classes":
			var m map[string]string
			err = json.Unmarshal(v, &m)
			r.classes = make(map[string]*rule, len(m))
			for k, name := range m {
				r.classes[k] = &rule{ref: name}
				if k == "" {
					r.classes[k] = nil
				}
			}
		case "strings":
			r.strings = []string{}
			err = json.Unmarshal(v, &r.strings)
		case "items":
			r.items, err = parse(v)
		case "not":
			r.not, err = parse(v)
		case "if":
			r.cond, err = parse(v)
		case "then":
			r.yes, err = parse(v)
		case "else":
			r.no, err = parse(v)
		case "oneOf":
			r.oneOf, err = parseList(v)
		case "anyOf":
			r.anyOf, err = parseList(v)
		case "allOf":
			r.allOf, err = parseList(v)
		default:
			err = errors.New("unknown keyword")
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return r, nil
}

func parseList(raw json.RawMessage) ([]*rule, error) {
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, err
	}
	rules := make([]*rule, len(list))
	for i, x := range list {
		var err error
		if rules[i], err = parse(x); err != nil {
			return nil, err
		}
	}
	return rules, nil
}

type checker struct {
	doc []byte

	// Alternatives read a value several times, and alternatives in
	// alternatives multiply. The formats need a handful; what a document can
	// make of it is bounded by bytes read.
	budget int
}

// value consumes the next value of p, which begins at base in the document.
func (c *checker) value(p *strictjson.Parser, base int, r *rule) error {
	for r.target != nil {
		r = r.target
	}
	if r.classes != nil {
		return c.class(p, base, r)
	}
	if !r.again() {
		return c.plain(p, base, r)
	}
	p.Kind() // skips white space
	at, start := base+p.Offset(), p.State()
	raw, err := p.Raw()
	if err != nil {
		return asError(err, base)
	}
	end := p.State()
	sub := func(r *rule) error {
		if c.budget -= len(raw); c.budget < 0 {
			return &Error{Reason: strictjson.ReasonLimit, Offset: at, Msg: "alternatives nested too often"}
		}
		p.Return(start)
		err := c.value(p, base, r)
		p.Return(end)
		return err
	}
	p.Return(start)
	if err := c.plain(p, base, r); err != nil {
		return err
	}
	limit := func(err error) bool {
		var e *Error
		return errors.As(err, &e) && e.Reason == strictjson.ReasonLimit
	}
	for i, list := range [][]*rule{r.oneOf, r.anyOf} {
		if list == nil {
			continue
		}
		anyOf := i == 1
		matches := 0
		var best *Error
		for _, alt := range list {
			err := sub(alt)
			if err == nil {
				matches++
				if anyOf {
					break // the rest cannot change it
				}
				continue
			}
			if limit(err) {
				return err
			}
			if e := asError(err, base); best == nil || e.Offset > best.Offset {
				best = e
			}
		}
		if matches == 0 {
			return best
		}
		if matches > 1 {
			return &Error{Reason: ReasonSchema, Offset: at, Msg: "want one of several forms, found what fits more than one"}
		}
	}
	for _, part := range r.allOf {
		if err := sub(part); err != nil {
			return err
		}
	}
	if r.not != nil {
		if err := sub(r.not); err == nil {
			return &Error{Reason: ReasonSchema, Offset: at, Msg: r.not.forbidden()}
		} else if limit(err) {
			return err
		}
	}
	if r.cond != nil {
		err := sub(r.cond)
		if limit(err) {
			return err
		}
		next := r.yes
		if err != nil {
			next = r.no
		}
		if next != nil {
			return sub(next)
		}
	}
	return nil
}

// class consumes an object, or a string that stands for one.
func (c *checker) class(p *strictjson.Parser, base int, r *rule) error {
	k := p.Kind()
	at, start := base+p.Offset(), p.State()
	bad := func(format string, args ...any) error {
		return &Error{Reason: ReasonSchema, Offset: at, Msg: fmt.Sprintf(format, args...)}
	}
	switch {
	case k == strictjson.String && r.strings != nil:
		s, err := p.StringBytes()
		if err != nil {
			return asError(err, base)
		}
		if i := bytes.IndexByte(s, ':'); (i <= 0 || i == len(s)-1) && !slices.Contains(r.strings, string(s)) {
			return bad("want an object or the identifier of one, found %.60q", s)
		}
		return nil
	case k == strictjson.Invalid:
		return asError(p.Skip(), base)
	case k != strictjson.Object:
		return bad("want an object, found %v", k)
	}
	var name string
	if err := p.Object(func(member []byte) (err error) {
		if string(member) == "type" && p.Kind() == strictjson.String {
			name, err = p.String()
			return err
		}
		return p.Skip()
	}); err != nil {
		return asError(err, base)
	}
	if c.budget -= base + p.Offset() - at; c.budget < 0 {
		return &Error{Reason: strictjson.ReasonLimit, Offset: at, Msg: "objects nested too often"}
	}
	class, ok := r.classes[name]
	if !ok {
		_, open := r.classes[""]
		if !open || !strings.Contains(name, ":") {
			if name == "" {
				return bad("want type, which is missing")
			}
			return bad("no object of type %.60q may stand here", name)
		}
	}
	if class == nil || name == "" {
		return nil // an extension, whose rules are others'
	}
	p.Return(start)
	return c.value(p, base, class)
}

func (r *rule) forbidden() string {
	if len(r.required) > 0 {
		return "want not all of " + strings.Join(r.required, ", ")
	}
	return "want anything else"
}

// plain consumes a value and checks what takes one reading.
func (c *checker) plain(p *strictjson.Parser, base int, r *rule) error {
	k := p.Kind()
	at := base + p.Offset()
	bad := func(format string, args ...any) error {
		return &Error{Reason: ReasonSchema, Offset: at, Msg: fmt.Sprintf(format, args...)}
	}
	if r.types != 0 && k != strictjson.Invalid && r.types&(1<<k) == 0 {
		return bad("want %s, found %v", r.typeNames(), k)
	}
	if r.constant != nil {
		raw, err := p.Raw()
		if err != nil {
			return asError(err, base)
		}
		if string(raw) != *r.constant {
			return bad("want %s, found %.40s", *r.constant, raw)
		}
		return nil
	}
	switch k {
	case strictjson.String:
		s, err := p.StringBytes()
		if err != nil {
			return asError(err, base)
		}
		if msg := r.str(s); msg != "" {
			return bad("%s", msg)
		}
	case strictjson.Number:
		n, err := p.Number()
		if err != nil {
			return asError(err, base)
		}
		x, err := n.Float64()
		if err != nil {
			return bad("number %.40s", n)
		}
		if r.integer && r.types == 1<<strictjson.Number && x != math.Trunc(x) {
			return bad("want a whole number, found %.40s", n)
		}
		if x < r.minimum || x > r.maximum {
			return bad("want a number from %v to %v, found %.40s", r.minimum, r.maximum, n)
		}
	case strictjson.Array:
		n := 0
		var seen distinct
		err := p.Array(func(i int) error {
			n++
			p.Kind() // skips white space
			s := span{i: i, from: base + p.Offset(), start: p.State()}
			var err error
			if r.items == nil {
				err = p.Skip()
			} else {
				err = c.value(p, base, r.items)
			}
			if err == nil && r.unique {
				s.to = base + p.Offset()
				err = c.another(p, &seen, s)
			}
			if err != nil {
				e := asError(err, base)
				e.Path = "/" + strconv.Itoa(i) + e.Path
				return e
			}
			return nil
		})
		if err != nil {
			return asError(err, base)
		}
		if n < r.minItems || n > r.maxItems {
			return bad("want at least %d and at most %d elements, found %d", r.minItems, r.maxItems, n)
		}
	case strictjson.Object:
		var seen uint64
		err := p.Object(func(name []byte) error {
			if i := slices.Index(r.required, string(name)); i >= 0 {
				seen |= 1 << i
			}
			prop := r.properties[string(name)]
			if prop == nil {
				at := base + p.Offset()
				if err := p.Unknown(name, r.names...); err != nil || !r.closed {
					return err
				}
				return &Error{Reason: ReasonSchema, Offset: at, Path: "/" + pointer(string(name)), Msg: "the format has no such field"}
			}
			if err := c.value(p, base, prop); err != nil {
				e := asError(err, base)
				e.Path = "/" + pointer(string(name)) + e.Path
				return e
			}
			return nil
		})
		if err != nil {
			return asError(err, base)
		}
		for i, name := range r.required {
			if seen&(1<<i) == 0 {
				return bad("want %s, which is missing", name)
			}
		}
	default:
		if err := p.Skip(); err != nil {
			return asError(err, base)
		}
	}
	if r.enum != nil && k != strictjson.String {
		return bad("want a string, found %v", k)
	}
	return nil
}

func (r *rule) typeNames() string {
	var names []string
	for k := strictjson.Null; k <= strictjson.Object; k++ {
		if r.types&(1<<k) != 0 {
			names = append(names, k.String())
		}
	}
	return strings.Join(names, " or ")
}

var pointerEscaper = strings.NewReplacer("~", "~0", "/", "~1")

func pointer(name string) string {
	if len(name) > 100 {
		name = name[:100]
	}
	return pointerEscaper.Replace(name)
}

func (r *rule) str(s []byte) string {
	if r.enum != nil && !r.enum[string(s)] {
		if len(r.enum) > 12 {
			return fmt.Sprintf("%.40q is none of the %d values that the format has", s, len(r.enum))
		}
		var list []string
		for v := range r.enum {
			list = append(list, v)
		}
		slices.Sort(list)
		return fmt.Sprintf("want one of %s, found %.40q", strings.Join(list, ", "), s)
	}
	if r.licence && !licence(string(s)) {
		return fmt.Sprintf("%.40q is not an identifier of the SPDX licence list", s)
	}
	if r.minLength > 0 || r.maxLength < math.MaxInt {
		if n := utf8.RuneCount(s); n < r.minLength || n > r.maxLength {
			return fmt.Sprintf("want at least %d characters, found %d", r.minLength, n)
		}
	}
	if r.pattern != nil && !(r.digest && IsDigest(s)) && !r.pattern.Match(s) {
		return fmt.Sprintf("%.60q is not of the form %.80s", s, r.pattern)
	}
	ok := true
	switch r.format {
	case "date-time":
		_, err := time.Parse(time.RFC3339, strings.ToUpper(string(s)))
		ok = err == nil && !strings.Contains(string(s), ",")
	case "date":
		_, err := time.Parse(time.DateOnly, string(s))
		ok = err == nil
	case "idn-email":
		ok = IsEmail(string(s))
	case "iri-reference", "uri":
		ok = iri(string(s), r.format == "uri")
	}
	if !ok {
		return fmt.Sprintf("%.60q is not %s", s, map[string]string{"date-time": "a time (RFC 3339)", "date": "a date (RFC 3339)",
			"idn-email": "an e-mail address", "iri-reference": "an IRI or a relative reference (RFC 3987)", "uri": "a URI (RFC 3986)"}[r.format])
	}
	return ""
}

// digestPattern is the one pattern that most of a document is held to; IsDigest
// is what it says.
const digestPattern = "^([a-fA-F0-9]{32}|[a-fA-F0-9]{40}|[a-fA-F0-9]{64}|[a-fA-F0-9]{96}|[a-fA-F0-9]{128})$"

// IsDigest reports whether s is the hexadecimal form, in either case, of a digest
// of a length that the formats know.
func IsDigest[S string | []byte](s S) bool {
	switch len(s) {
	case 32, 40, 64, 96, 128:
	default:
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F') {
			return false
		}
	}
	return true
}

func licence(id string) bool { return spdxlicense.ID(id) == id || spdxlicense.Exception(id) == id }

// IsEmail reports whether s passes for an e-mail address.
func IsEmail(s string) bool {
	at := strings.LastIndexByte(s, '@')
	return at > 0 && at < len(s)-1
}

// IsIRI reports whether s passes for an IRI or a relative reference.
func IsIRI(s string) bool { return iri(s, false) }

var notIRI = func() (t [256]bool) {
	for c := range byte(' ' + 1) {
		t[c] = true
	}
	for _, c := range []byte("<>\"{}|\\^`\x7f") {
		t[c] = true
	}
	return
}()

// iri is the grammar of RFC 3987 as far as url.Parse checks it, less the
// characters that RFC 3986 keeps out of a URI.
func iri(s string, absolute bool) bool {
	for i := range len(s) {
		if notIRI[s[i]] {
			return false
		}
	}
	u, err := url.Parse(s)
	return err == nil && (!absolute || u.IsAbs())
}

// A span is one element of an array and where it is in the document.
type span struct {
	i, from, to int
	start       strictjson.State
}

// distinct has the elements of an array that were seen.
type distinct struct {
	first  span // not yet in byHash, because most lists have no second element
	byHash map[uint64][]span
}

// another notes an element among those seen and fails when it is equal to one
// of them, whatever the order of names in objects.
func (c *checker) another(p *strictjson.Parser, d *distinct, s span) error {
	if s.i == 0 {
		d.first = s
		return nil
	}
	if s.i == 1 {
		d.byHash = make(map[uint64][]span)
		if err := c.note(p, d.byHash, d.first); err != nil {
			return err
		}
	}
	return c.note(p, d.byHash, s)
}

func (c *checker) note(p *strictjson.Parser, seen map[uint64][]span, s span) error {
	raw := c.doc[s.from:s.to]
	if c.budget -= len(raw); c.budget < 0 {
		return &Error{Reason: strictjson.ReasonLimit, Offset: s.from, Msg: "lists nested too often"}
	}
	end := p.State()
	p.Return(s.start)
	h, err := hash(p)
	if err != nil {
		return err // not of what was read before
	}
	p.Return(end)
	for _, o := range seen[h] {
		if c.budget -= len(raw); c.budget < 0 {
			return &Error{Reason: strictjson.ReasonLimit, Offset: s.from, Msg: "lists nested too often"}
		}
		if bytes.Equal(canonical(raw), canonical(c.doc[o.from:o.to])) {
			return &Error{Reason: ReasonSchema, Offset: s.from, Msg: fmt.Sprintf("the same as element %d", o.i)}
		}
	}
	seen[h] = append(seen[h], s)
	return nil
}

// canonical is for comparison; raw was read before.
func canonical(raw []byte) []byte {
	v, err := strictjson.Decode(raw, len(raw))
	if err != nil {
		return raw
	}
	b, err := json.Marshal(v)
	if err != nil {
		return raw
	}
	return b
}

var seed = maphash.MakeSeed()

// hash of a value, the same for equal values.
func hash(p *strictjson.Parser) (uint64, error) {
	mix := func(h, x uint64) uint64 { return bits.RotateLeft64(h^x, 29) * 0x9e3779b97f4a7c15 }
	switch k := p.Kind(); k {
	case strictjson.String:
		s, err := p.StringBytes()
		return maphash.Bytes(seed, s), err
	case strictjson.Number:
		n, err := p.Number()
		return maphash.String(seed, string(n)) + 1, err
	case strictjson.Bool:
		b, err := p.Bool()
		if b {
			return 3, err
		}
		return 5, err
	case strictjson.Array:
		h := uint64(7)
		err := p.Array(func(int) error {
			x, err := hash(p)
			h = mix(h, x)
			return err
		})
		return h, err
	case strictjson.Object:
		h := uint64(11)
		err := p.Object(func(name []byte) error {
			n := maphash.Bytes(seed, name)
			x, err := hash(p)
			h += mix(n, x) // in any order
			return err
		})
		return h, err
	}
	return 13, p.Skip()
}
