// Package strictjson reads JSON the one way that leaves no two readings.
//
// Attestations are signed bytes that several programs read. Wherever two
// readers disagree about what the bytes say, one can be shown something that
// the other never checked. So this reader accepts RFC 8259 documents that are
// also I-JSON (RFC 7493): valid UTF-8, no lone surrogates, no duplicate names
// at any depth (compared after unescaping), no integer beyond 2^53, no number
// that overflows a float64, nothing after the value, no byte order mark. Names
// are matched exactly, never by case folding as encoding/json does.
//
// A document is read once, front to back, with a [Parser]; there is no
// reflection and nothing is decoded twice. Depth, size and number of values
// are bounded before they cost anything.
package strictjson

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/hallmark-build/hallmark/internal/limits"
)

// Error says what is wrong with a document and where.
type Error struct {
	Reason string // stable: "json-syntax", "json-duplicate-name", "json-limit", …
	Offset int    // byte offset into the document
	Msg    string
}

func (e *Error) Error() string { return fmt.Sprintf("%s at byte %d", e.Msg, e.Offset) }

// Reasons of an [Error].
const (
	ReasonSyntax    = "json-syntax"         // not RFC 8259, or not the kind of value that is due
	ReasonDuplicate = "json-duplicate-name" // a name twice in one object
	ReasonCase      = "json-name-case"      // a name that differs from a known one by case folding only
	ReasonEncoding  = "json-encoding"       // invalid UTF-8, lone surrogate, byte order mark
	ReasonNumber    = "json-number"         // a number that readers disagree about
	ReasonLimit     = "json-limit"          // too large, too deep, too many values
)

// Kind is the kind of the next value.
type Kind byte

// The kinds of JSON values; Invalid at the end of the document or on a byte
// that starts no value.
const (
	Invalid Kind = iota
	Null
	Bool
	Number
	String
	Array
	Object
)

func (k Kind) String() string {
	return [...]string{"nothing", "null", "boolean", "number", "string", "array", "object"}[k]
}

// A Parser walks one document. Every method either consumes exactly one value
// or fails; after a failure the parser stays failed.
type Parser struct {
	data   []byte
	pos    int
	depth  int
	values int
	seen   [][]byte // names of the objects that are open, innermost last
	err    error
}

// NewParser returns a parser over data, which must not change while it is in
// use. It fails at once when data is larger than maxBytes; 0 means
// [limits.Statement].
func NewParser(data []byte, maxBytes int) *Parser {
	if maxBytes <= 0 {
		maxBytes = limits.Statement
	}
	p := &Parser{data: data}
	if len(data) > maxBytes {
		p.fail(ReasonLimit, "document of %d bytes exceeds the limit of %d", len(data), maxBytes)
	} else if bytes.HasPrefix(data, []byte("\xef\xbb\xbf")) {
		p.fail(ReasonEncoding, "byte order mark")
	}
	return p
}

func (p *Parser) fail(reason, format string, args ...any) error {
	if p.err == nil {
		p.err = &Error{Reason: reason, Offset: p.pos, Msg: fmt.Sprintf(format, args...)}
	}
	return p.err
}

// Offset returns the offset of the next unread byte.
func (p *Parser) Offset() int { return p.pos }

// A State is where a parser stands, between two values.
type State struct{ pos, depth, values, seen int }

// State returns where the parser stands, for [Parser.Return].
func (p *Parser) State() State { return State{p.pos, p.depth, p.values, len(p.seen)} }

// Return takes the parser to where it stood in the same array or object before,
// to read a value again; that reading it failed is forgotten.
func (p *Parser) Return(s State) {
	p.pos, p.depth, p.values, p.seen, p.err = s.pos, s.depth, s.values, p.seen[:s.seen], nil
}

// Since returns what was read from an offset on, which is part of the document.
func (p *Parser) Since(offset int) []byte { return p.data[offset:p.pos:p.pos] }

func (p *Parser) space() {
	for p.pos < len(p.data) {
		switch p.data[p.pos] {
		case ' ', '\t', '\n', '\r':
			p.pos++
			// Indentation, eight bytes at a time.
			const spaces = 0x2020202020202020
			for p.pos+8 <= len(p.data) && binary.LittleEndian.Uint64(p.data[p.pos:]) == spaces {
				p.pos += 8
			}
		default:
			return
		}
	}
}

// Kind returns the kind of the next value without consuming it.
func (p *Parser) Kind() Kind {
	if p.err != nil {
		return Invalid
	}
	p.space()
	if p.pos >= len(p.data) {
		return Invalid
	}
	switch c := p.data[p.pos]; {
	case c == '{':
		return Object
	case c == '[':
		return Array
	case c == '"':
		return String
	case c == 't' || c == 'f':
		return Bool
	case c == 'n':
		return Null
	case c == '-' || '0' <= c && c <= '9':
		return Number
	}
	return Invalid
}

func (p *Parser) want(k Kind) error {
	got := p.Kind()
	if p.err != nil {
		return p.err
	}
	if got != k {
		return p.fail(ReasonSyntax, "want %v, found %v", k, got)
	}
	p.values++
	if p.values > limits.JSONValues {
		return p.fail(ReasonLimit, "more than %d values", limits.JSONValues)
	}
	return nil
}

func (p *Parser) enter() error {
	p.depth++
	if p.depth > limits.JSONDepth {
		return p.fail(ReasonLimit, "nested deeper than %d", limits.JSONDepth)
	}
	p.pos++
	return nil
}

// Object consumes an object and calls member for each name in order; member
// must consume the value. The name is valid until member returns.
func (p *Parser) Object(member func(name []byte) error) error {
	if err := p.want(Object); err != nil {
		return err
	}
	if err := p.enter(); err != nil {
		return err
	}
	base := len(p.seen)
	var many map[string]struct{}
	for first := true; ; first = false {
		p.space()
		if p.pos >= len(p.data) {
			return p.fail(ReasonSyntax, "unterminated object")
		}
		if p.data[p.pos] == '}' && first {
			break
		}
		if !first {
			if p.data[p.pos] == '}' {
				break
			}
			if p.data[p.pos] != ',' {
				return p.fail(ReasonSyntax, "want ',' or '}' in object")
			}
			p.pos++
		}
		if k := p.Kind(); k != String {
			return p.fail(ReasonSyntax, "want a name in object, found %v", k)
		}
		name, err := p.str()
		if err != nil {
			return err
		}
		// The names already seen in this object are seen[base:]; beyond a
		// handful a map keeps the check linear.
		if n := len(p.seen) - base; n < 24 {
			for _, s := range p.seen[base:] {
				if bytes.Equal(s, name) {
					return p.fail(ReasonDuplicate, "duplicate name %s", quote(name))
				}
			}
			p.seen = append(p.seen, name)
		} else {
			if many == nil {
				many = make(map[string]struct{}, 64)
				for _, s := range p.seen[base:] {
					many[string(s)] = struct{}{}
				}
			}
			if _, dup := many[string(name)]; dup {
				return p.fail(ReasonDuplicate, "duplicate name %s", quote(name))
			}
			many[string(name)] = struct{}{}
		}
		p.space()
		if p.pos >= len(p.data) || p.data[p.pos] != ':' {
			return p.fail(ReasonSyntax, "want ':' after name %s", quote(name))
		}
		p.pos++
		before := p.values
		if err := member(name); err != nil {
			if p.err == nil {
				p.err = err
			}
			return err
		}
		if p.values == before {
			return p.fail(ReasonSyntax, "value of %s was not read", quote(name))
		}
	}
	p.seen = p.seen[:base]
	p.pos++
	p.depth--
	return nil
}

// Array consumes an array and calls element before each element, which it
// must consume.
func (p *Parser) Array(element func(i int) error) error {
	if err := p.want(Array); err != nil {
		return err
	}
	if err := p.enter(); err != nil {
		return err
	}
	for i := 0; ; i++ {
		p.space()
		if p.pos >= len(p.data) {
			return p.fail(ReasonSyntax, "unterminated array")
		}
		if p.data[p.pos] == ']' && i == 0 {
			break
		}
		if i > 0 {
			if p.data[p.pos] == ']' {
				break
			}
			if p.data[p.pos] != ',' {
				return p.fail(ReasonSyntax, "want ',' or ']' in array")
			}
			p.pos++
		}
		before := p.values
		if err := element(i); err != nil {
			if p.err == nil {
				p.err = err
			}
			return err
		}
		if p.values == before {
			return p.fail(ReasonSyntax, "element %d was not read", i)
		}
	}
	p.pos++
	p.depth--
	return nil
}

// Unknown consumes the value of a name that the caller does not know, which
// the specifications say to ignore. It refuses a name that another reader
// would take for one of known: encoding/json folds case, and its folding takes
// U+212A KELVIN SIGN for k and U+017F LONG S for s.
func (p *Parser) Unknown(name []byte, known ...string) error {
	for _, k := range known {
		if len(name) >= len(k) && strings.EqualFold(string(name), k) {
			return p.fail(ReasonCase, "name %s differs from %q by case only", quote(name), k)
		}
	}
	return p.Skip()
}

// String consumes a string.
func (p *Parser) String() (string, error) {
	if err := p.want(String); err != nil {
		return "", err
	}
	b, err := p.str()
	return string(b), err
}

// StringBytes consumes a string. The result is part of the document when the
// string has no escapes; the caller must not change it.
func (p *Parser) StringBytes() ([]byte, error) {
	if err := p.want(String); err != nil {
		return nil, err
	}
	return p.str()
}

var plain = func() (t [256]bool) {
	for i := 0x20; i < 0x80; i++ {
		t[i] = i != '"' && i != '\\'
	}
	return
}()

// plainWord reports whether all eight bytes are plain: none is below 0x20,
// above 0x7f, a quotation mark or a backslash. (x-ones)&^x has the high bit of
// a byte set if a byte of x is zero; w-0x20·ones likewise if one is below 0x20.
func plainWord(w uint64) bool {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	quote, slash := w^('"'*ones), w^('\\'*ones)
	return (w|(w-0x20*ones)&^w|(quote-ones)&^quote|(slash-ones)&^slash)&high == 0
}

// str reads a string whose opening quote is the next byte.
func (p *Parser) str() ([]byte, error) {
	start := p.pos + 1
	i := start
	data := p.data
	high := false
	for i < len(data) {
		// Eight bytes at a time while all of them are plain.
		for i+8 <= len(data) && plainWord(binary.LittleEndian.Uint64(data[i:])) {
			i += 8
		}
		if i == len(data) {
			break
		}
		c := data[i]
		if plain[c] {
			i++
			continue
		}
		if c == '"' {
			s := data[start:i:i]
			if high && !utf8.Valid(s) {
				return nil, p.fail(ReasonEncoding, "string is not valid UTF-8")
			}
			p.pos = i + 1
			return s, nil
		}
		if c >= 0x80 {
			high = true
			i++
			continue
		}
		if c == '\\' {
			return p.escaped(start, i)
		}
		p.pos = i
		return nil, p.fail(ReasonSyntax, "control character in string")
	}
	p.pos = i
	return nil, p.fail(ReasonSyntax, "unterminated string")
}

// escaped finishes a string that has an escape at i.
func (p *Parser) escaped(start, i int) ([]byte, error) {
	data := p.data
	out := append(make([]byte, 0, i-start+32), data[start:i]...)
	for i < len(data) {
		c := data[i]
		switch {
		case c == '"':
			if !utf8.Valid(out) {
				return nil, p.fail(ReasonEncoding, "string is not valid UTF-8")
			}
			p.pos = i + 1
			return out, nil
		case c < 0x20:
			p.pos = i
			return nil, p.fail(ReasonSyntax, "control character in string")
		case c != '\\':
			out = append(out, c)
			i++
			continue
		}
		p.pos = i
		if i+1 >= len(data) {
			return nil, p.fail(ReasonSyntax, "unterminated string")
		}
		switch e := data[i+1]; e {
		case '"', '\\', '/':
			out = append(out, e)
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r, ok := hex4(data, i+2)
			if !ok {
				return nil, p.fail(ReasonSyntax, `bad \u escape`)
			}
			if utf16.IsSurrogate(r) {
				lo, ok := rune(0), false
				if i+7 < len(data) && data[i+6] == '\\' && data[i+7] == 'u' {
					lo, ok = hex4(data, i+8)
				}
				r = utf16.DecodeRune(r, lo)
				if !ok || r == utf8.RuneError {
					return nil, p.fail(ReasonEncoding, "lone surrogate in string")
				}
				i += 6
			}
			out = utf8.AppendRune(out, r)
			i += 4
		default:
			return nil, p.fail(ReasonSyntax, `bad escape \%c`, e)
		}
		i += 2
	}
	p.pos = i
	return nil, p.fail(ReasonSyntax, "unterminated string")
}

func hex4(data []byte, i int) (rune, bool) {
	if i+4 > len(data) {
		return 0, false
	}
	var r rune
	for _, c := range data[i : i+4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// Number consumes a number and returns its text.
func (p *Parser) Number() (json.Number, error) {
	b, err := p.number()
	return json.Number(b), err
}

// Int consumes a number that must be an integer.
func (p *Parser) Int() (int64, error) {
	b, err := p.number()
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil {
		return 0, p.fail(ReasonNumber, "want an integer, found %s", b)
	}
	return n, nil
}

// maxSafeInteger is 2^53: beyond it readers that use float64 see another
// number (RFC 7493 section 2.2).
const maxSafeInteger = 1 << 53

func (p *Parser) number() ([]byte, error) {
	if err := p.want(Number); err != nil {
		return nil, err
	}
	data, i := p.data, p.pos
	digits := func() bool {
		from := i
		for i < len(data) && '0' <= data[i] && data[i] <= '9' {
			i++
		}
		return i > from
	}
	if data[i] == '-' {
		i++
	}
	integer := true
	if i < len(data) && data[i] == '0' {
		i++
	} else if !digits() {
		return nil, p.fail(ReasonSyntax, "bad number")
	}
	if i < len(data) && data[i] == '.' {
		i++
		integer = false
		if !digits() {
			return nil, p.fail(ReasonSyntax, "bad number")
		}
	}
	if i < len(data) && (data[i] == 'e' || data[i] == 'E') {
		i++
		integer = false
		if i < len(data) && (data[i] == '+' || data[i] == '-') {
			i++
		}
		if !digits() {
			return nil, p.fail(ReasonSyntax, "bad number")
		}
	}
	b := data[p.pos:i:i]
	if integer && len(b) < 16 {
		p.pos = i
		return b, nil
	}
	if integer {
		n, err := strconv.ParseInt(string(b[:min(len(b), 24)]), 10, 64)
		if err != nil || len(b) > 24 || n > maxSafeInteger || n < -maxSafeInteger {
			return nil, p.fail(ReasonNumber, "integer beyond 2^53")
		}
	} else {
		if len(b) > 400 {
			return nil, p.fail(ReasonNumber, "number of %d digits", len(b))
		}
		f, err := strconv.ParseFloat(string(b), 64)
		if err != nil || math.IsInf(f, 0) {
			return nil, p.fail(ReasonNumber, "number overflows a float64")
		}
	}
	p.pos = i
	return b, nil
}

// Bool consumes a boolean.
func (p *Parser) Bool() (bool, error) {
	if err := p.want(Bool); err != nil {
		return false, err
	}
	if p.data[p.pos] == 't' {
		return true, p.literal("true")
	}
	return false, p.literal("false")
}

// Null consumes a null.
func (p *Parser) Null() error {
	if err := p.want(Null); err != nil {
		return err
	}
	return p.literal("null")
}

func (p *Parser) literal(s string) error {
	if !bytes.HasPrefix(p.data[p.pos:], []byte(s)) {
		return p.fail(ReasonSyntax, "bad literal")
	}
	p.pos += len(s)
	return nil
}

// Skip consumes any value, checking it in full.
func (p *Parser) Skip() error {
	switch k := p.Kind(); k {
	case Null:
		return p.Null()
	case Bool:
		_, err := p.Bool()
		return err
	case Number:
		_, err := p.number()
		return err
	case String:
		_, err := p.StringBytes()
		return err
	case Array:
		return p.Array(p.skipElement)
	case Object:
		return p.Object(p.skipMember)
	}
	return p.noValue()
}

func (p *Parser) noValue() error {
	if p.err != nil {
		return p.err
	}
	if p.pos >= len(p.data) {
		return p.fail(ReasonSyntax, "unexpected end")
	}
	return p.fail(ReasonSyntax, "unexpected byte %q", p.data[p.pos])
}

func (p *Parser) skipElement(int) error   { return p.Skip() }
func (p *Parser) skipMember([]byte) error { return p.Skip() }

// Raw consumes any value and returns its exact bytes, which are part of the
// document.
func (p *Parser) Raw() ([]byte, error) {
	p.space()
	start := p.pos
	if err := p.Skip(); err != nil {
		return nil, err
	}
	return p.data[start:p.pos:p.pos], nil
}

// Any consumes any value into nil, bool, json.Number, string, []any or
// map[string]any.
func (p *Parser) Any() (any, error) {
	switch p.Kind() {
	case Null:
		return nil, p.Null()
	case Bool:
		return p.Bool()
	case Number:
		return p.Number()
	case String:
		return p.String()
	case Array:
		a := []any{}
		err := p.Array(func(int) error {
			v, err := p.Any()
			a = append(a, v)
			return err
		})
		return a, err
	case Object:
		m := map[string]any{}
		err := p.Object(func(name []byte) error {
			key := string(name)
			v, err := p.Any()
			m[key] = v
			return err
		})
		return m, err
	}
	return nil, p.noValue()
}

// Failf makes the parser fail with a reason and a position of the caller's:
// for values that are JSON but not what the format wants.
func (p *Parser) Failf(reason, format string, args ...any) error {
	return p.fail(reason, format, args...)
}

// End fails unless the whole document was read.
func (p *Parser) End() error {
	if p.err != nil {
		return p.err
	}
	p.space()
	if p.pos < len(p.data) {
		return p.fail(ReasonSyntax, "data after the value")
	}
	return nil
}

// Check reads the whole document and returns what is wrong with it.
func Check(data []byte, maxBytes int) error {
	p := NewParser(data, maxBytes)
	if err := p.Skip(); err != nil {
		return err
	}
	return p.End()
}

// Decode reads the whole document as [Parser.Any] does.
func Decode(data []byte, maxBytes int) (any, error) {
	p := NewParser(data, maxBytes)
	v, err := p.Any()
	if err == nil {
		err = p.End()
	}
	if err != nil {
		return nil, err
	}
	return v, nil
}

func quote(b []byte) string {
	if len(b) > 64 {
		b = append(b[:64:64], "…"...)
	}
	return strconv.Quote(string(b))
}
