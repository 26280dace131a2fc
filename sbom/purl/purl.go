// Package purl reads and writes package URLs (purl), the names by which SBOMs,
// vulnerability databases and registries call the same package the same thing.
//
//	pkg:golang/golang.org/x/mod@v0.41.0
//	pkg:npm/%40babel/core@7.26.0?repository_url=registry.example.org#lib
//	    type namespace name version qualifiers                      subpath
//
// [Parse] is strict, and what [PURL.String] returns is canonical: two package
// URLs name the same package when their canonical forms are equal. The rules
// are those of the purl specification (ECMA-427, "Package-URL"), with the
// rules of each type that the specification lists.
package purl

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxLength is the longest package URL, in bytes, that Parse reads.
const MaxLength = 8192

// A PURL is a package URL in its parts, decoded. Type and Name are required.
type PURL struct {
	Type       string      // "golang", "npm", "deb"; lower case
	Namespace  string      // segments separated by "/"; "" for none
	Name       string      //
	Version    string      // "" for none
	Qualifiers []Qualifier // sorted by key, no key twice
	Subpath    string      // segments separated by "/"; "" for none
}

// A Qualifier is one key=value of a package URL.
type Qualifier struct {
	Key, Value string
}

// Qualifier returns the value of a qualifier, "" when there is none. An empty
// value and no value are the same thing in a package URL.
func (p PURL) Qualifier(key string) string {
	for _, q := range p.Qualifiers {
		if q.Key == key {
			return q.Value
		}
	}
	return ""
}

// Parse reads a package URL and returns it in canonical form.
func Parse(s string) (PURL, error) {
	p, err := parse(s)
	if err != nil {
		return PURL{}, fmt.Errorf("package URL %.120q: %w", s, err)
	}
	return p, nil
}

func parse(s string) (p PURL, err error) {
	if len(s) > MaxLength {
		return p, fmt.Errorf("longer than %d bytes", MaxLength)
	}
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok || !strings.EqualFold(scheme, "pkg") {
		return p, errors.New("the scheme is not pkg")
	}
	// Parsed from the right, as the specification has it, because separators
	// may appear undecoded further left.
	if i := strings.LastIndexByte(rest, '#'); i >= 0 {
		if p.Subpath, err = decodeSegments(rest[i+1:], true); err != nil {
			return p, err
		}
		rest = rest[:i]
	}
	if i := strings.LastIndexByte(rest, '?'); i >= 0 {
		if p.Qualifiers, err = parseQualifiers(rest[i+1:]); err != nil {
			return p, err
		}
		rest = rest[:i]
	}
	rest = strings.Trim(rest, "/") // pkg:// and pkg:/ are the same as pkg:
	typ, rest, ok := strings.Cut(rest, "/")
	if !ok {
		return p, errors.New("want a type and a name separated by /")
	}
	p.Type = typ
	// A leading @ with a segment after it is an npm scope, not a version.
	if i := strings.LastIndexByte(rest, '@'); i > 0 || i == 0 && !strings.Contains(rest, "/") {
		if p.Version, err = decode(rest[i+1:]); err != nil {
			return p, err
		}
		if rest = rest[:i]; strings.HasSuffix(rest, "/") {
			return p, errors.New("no name")
		}
	}
	if i := strings.LastIndexByte(rest, '/'); i >= 0 {
		if p.Namespace, err = decodeSegments(rest[:i], false); err != nil {
			return p, err
		}
		rest = rest[i+1:]
	}
	if p.Name, err = decode(rest); err != nil {
		return p, err
	}
	return p.Canonical()
}

func parseQualifiers(s string) ([]Qualifier, error) {
	if s == "" {
		return nil, nil
	}
	var list []Qualifier
	for part := range strings.SplitSeq(s, "&") {
		key, value, ok := strings.Cut(part, "=")
		if !ok {
			return nil, fmt.Errorf("qualifier %q without =", part)
		}
		value, err := decode(value)
		if err != nil {
			return nil, err
		}
		list = append(list, Qualifier{key, value})
	}
	return list, nil
}

func decodeSegments(s string, subpath bool) (string, error) {
	var segments []string
	for seg := range strings.SplitSeq(s, "/") {
		d, err := decode(seg)
		if err != nil {
			return "", err
		}
		if d == "" || subpath && (d == "." || d == "..") {
			continue
		}
		if strings.Contains(d, "/") {
			return "", errors.New("encoded / within a segment")
		}
		segments = append(segments, d)
	}
	return strings.Join(segments, "/"), nil
}

func decode(s string) (string, error) {
	if strings.IndexByte(s, '%') < 0 {
		if !utf8.ValidString(s) {
			return "", errors.New("not valid UTF-8")
		}
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) {
			return "", errors.New("truncated percent-encoding")
		}
		hi, lo := unhex(s[i+1]), unhex(s[i+2])
		if hi < 0 || lo < 0 {
			return "", fmt.Errorf("bad percent-encoding %q", s[i:i+3])
		}
		b.WriteByte(byte(hi<<4 | lo))
		i += 2
	}
	if !utf8.ValidString(b.String()) {
		return "", errors.New("not valid UTF-8")
	}
	return b.String(), nil
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// Canonical returns p with the rules of its type applied: letter case,
// qualifiers sorted and empty ones left out, what the type requires checked.
func (p PURL) Canonical() (PURL, error) {
	p.Type = strings.ToLower(p.Type)
	if err := checkType(p.Type); err != nil {
		return PURL{}, err
	}
	if p.Name == "" {
		return PURL{}, errors.New("no name")
	}
	for _, s := range []string{p.Namespace, p.Name, p.Version, p.Subpath} {
		if !utf8.ValidString(s) {
			return PURL{}, errors.New("not valid UTF-8")
		}
	}
	p.Namespace = strings.Trim(p.Namespace, "/")
	p.Subpath = strings.Trim(p.Subpath, "/")
	qs := make([]Qualifier, 0, len(p.Qualifiers))
	for _, q := range p.Qualifiers {
		if err := checkKey(q.Key); err != nil {
			return PURL{}, err
		}
		if q.Value == "" {
			continue
		}
		qs = append(qs, Qualifier{strings.ToLower(q.Key), q.Value})
	}
	slices.SortFunc(qs, func(a, b Qualifier) int { return cmp.Compare(a.Key, b.Key) })
	for i := range qs {
		if i > 0 && qs[i].Key == qs[i-1].Key {
			return PURL{}, fmt.Errorf("qualifier %q twice", qs[i].Key)
		}
	}
	p.Qualifiers = qs
	if len(qs) == 0 {
		p.Qualifiers = nil
	}
	if err := applyType(&p); err != nil {
		return PURL{}, fmt.Errorf("type %s: %w", p.Type, err)
	}
	return p, nil
}

// String returns the canonical text of p; "" when p is not a package URL at all.
func (p PURL) String() string {
	p, err := p.Canonical()
	if err != nil {
		return ""
	}
	var b strings.Builder
	b.WriteString("pkg:")
	b.WriteString(p.Type)
	if p.Namespace != "" {
		for seg := range strings.SplitSeq(p.Namespace, "/") {
			if seg != "" {
				b.WriteByte('/')
				encode(&b, seg, false)
			}
		}
	}
	b.WriteByte('/')
	encode(&b, p.Name, p.Type == "git")
	if p.Version != "" {
		b.WriteByte('@')
		encode(&b, p.Version, false)
	}
	for i, q := range p.Qualifiers {
		if i == 0 {
			b.WriteByte('?')
		} else {
			b.WriteByte('&')
		}
		b.WriteString(q.Key)
		b.WriteByte('=')
		encode(&b, q.Value, false)
	}
	sep := byte('#')
	if p.Subpath != "" {
		for seg := range strings.SplitSeq(p.Subpath, "/") {
			if seg == "" || seg == "." || seg == ".." {
				continue
			}
			b.WriteByte(sep)
			encode(&b, seg, false)
			sep = '/'
		}
	}
	return b.String()
}

// encode writes s with everything percent-encoded but the unreserved
// characters of RFC 3986 and the colon.
func encode(b *strings.Builder, s string, slash bool) {
	const hex = "0123456789ABCDEF"
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9',
			c == '-', c == '.', c == '_', c == '~', c == ':', slash && c == '/':
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
}

func checkType(s string) error {
	if s == "" {
		return errors.New("no type")
	}
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c && c <= 'z'
		if i == 0 && !letter || !letter && !('0' <= c && c <= '9') && c != '.' && c != '-' {
			return fmt.Errorf("bad type %q", s)
		}
	}
	return nil
}

func checkKey(s string) error {
	if s == "" {
		return errors.New("qualifier without a key")
	}
	for i := range len(s) {
		c := s[i]
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if i == 0 && !letter || !letter && !('0' <= c && c <= '9') && c != '.' && c != '-' && c != '_' {
			return fmt.Errorf("bad qualifier key %q", s)
		}
	}
	return nil
}
