// Package jcs writes JSON in the one form that the JSON Canonicalization Scheme
// (RFC 8785) gives it, so that a signature can cover what a document says and
// not how it is laid out.
//
// The input is read by package strictjson, which refuses what RFC 8785 leaves
// open or readers disagree about: duplicate names, lone surrogates, numbers
// beyond what a float64 holds.
package jcs

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/hallmark-build/hallmark/internal/strictjson"
)

// Transform returns the canonical form of a document of at most maxBytes; 0
// means limits.Statement. The error is a [strictjson.Error].
func Transform(doc []byte, maxBytes int) ([]byte, error) {
	v, err := strictjson.Decode(doc, maxBytes)
	if err != nil {
		return nil, err
	}
	return Append(make([]byte, 0, len(doc)), v)
}

// Append appends the canonical form of a value as [strictjson.Decode] returns
// it: nil, bool, json.Number, string, []any or map[string]any; and float64.
func Append(dst []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(dst, "null"...), nil
	case bool:
		return strconv.AppendBool(dst, v), nil
	case json.Number:
		f, err := strconv.ParseFloat(string(v), 64)
		if err != nil {
			return nil, fmt.Errorf("number %.40q is no IEEE 754 double", string(v))
		}
		return appendNumber(dst, f)
	case float64:
		return appendNumber(dst, v)
	case string:
		return appendString(dst, v)
	case []any:
		dst = append(dst, '[')
		for i, e := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			var err error
			if dst, err = Append(dst, e); err != nil {
				return nil, err
			}
		}
		return append(dst, ']'), nil
	case map[string]any:
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		slices.SortFunc(names, compareUTF16)
		dst = append(dst, '{')
		for i, name := range names {
			if i > 0 {
				dst = append(dst, ',')
			}
			var err error
			if dst, err = appendString(dst, name); err != nil {
				return nil, err
			}
			if dst, err = Append(append(dst, ':'), v[name]); err != nil {
				return nil, err
			}
		}
		return append(dst, '}'), nil
	}
	return nil, fmt.Errorf("a value of type %T has no canonical form", v)
}

// appendNumber writes a number as ECMAScript does (RFC 8785 section 3.2.2.3;
// ECMA-262, Number::toString): the fewest digits that read back as the same
// double, without an exponent from 1e-6 up to 1e21.
func appendNumber(dst []byte, f float64) ([]byte, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, fmt.Errorf("%v has no form in JSON", f)
	}
	if f == 0 {
		return append(dst, '0'), nil // also for -0
	}
	if a := math.Abs(f); a >= 1e-6 && a < 1e21 {
		return strconv.AppendFloat(dst, f, 'f', -1, 64), nil
	}
	dst = strconv.AppendFloat(dst, f, 'e', -1, 64)
	if n := len(dst); dst[n-2] == '0' && (dst[n-3] == '-' || dst[n-3] == '+') { // Go writes two digits of exponent at least
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst, nil
}

// appendString writes a string with the escapes of RFC 8785 section 3.2.2.2,
// and no others.
func appendString(dst []byte, s string) ([]byte, error) {
	if !utf8.ValidString(s) {
		return nil, fmt.Errorf("a string is not valid UTF-8")
	}
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i := range len(s) {
		switch c := s[i]; c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, '\\', 'b')
		case '\t':
			dst = append(dst, '\\', 't')
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\f':
			dst = append(dst, '\\', 'f')
		case '\r':
			dst = append(dst, '\\', 'r')
		default:
			if c < 0x20 {
				dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			} else {
				dst = append(dst, c)
			}
		}
	}
	return append(dst, '"'), nil
}

// compareUTF16 orders names by their UTF-16 code units (RFC 8785 section
// 3.2.3). That differs from the order of bytes only where one name has a
// character beyond U+FFFF, whose surrogates sort before U+E000.
func compareUTF16(a, b string) int {
	for a != "" && b != "" {
		ra, na := utf8.DecodeRuneInString(a)
		rb, nb := utf8.DecodeRuneInString(b)
		if ra != rb {
			return unit(ra) - unit(rb)
		}
		a, b = a[na:], b[nb:]
	}
	return len(a) - len(b)
}

// unit ranks a rune as its first UTF-16 code unit does, and among those with
// the same first unit by the rune: what surrogates stand for comes after U+D7FF
// and before U+E000.
func unit(r rune) int {
	switch {
	case r > 0xffff:
		return int(r - 0x10000 + 0xd800)
	case r >= 0xe000:
		return int(r) + 0x110000
	}
	return int(r)
}
