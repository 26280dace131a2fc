package sigstore

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"github.com/hallmark-build/hallmark/internal/strictjson"
)

// The proto3 JSON mapping, in the one form that client-spec section 5 leaves:
// lowerCamelCase names, enumerations by name, 64-bit integers as strings of
// canonical digits, bytes in standard base64 with padding. null is the same as
// an absent field, as the mapping says, except as an element of an array.

// message reads an object. Every name that it does not find among known is
// ignored, unless it is a known one in another spelling: snake_case is the
// other form that protobuf readers take, and a folded case that of
// encoding/json. member is called for values that are not null.
func message(p *strictjson.Parser, known []string, member func(name string) error) error {
	return p.Object(func(name []byte) error {
		for _, k := range known {
			if string(name) == k {
				if p.Kind() == strictjson.Null {
					return p.Null()
				}
				return member(k)
			}
		}
		if strings.IndexByte(string(name), '_') >= 0 {
			plain := strings.ReplaceAll(string(name), "_", "")
			for _, k := range known {
				if strings.EqualFold(plain, k) {
					return p.Failf(strictjson.ReasonCase, "name %q is %q in snake_case", name, k)
				}
			}
		}
		return p.Unknown(name, known...)
	})
}

// array reads an array of at most limit elements.
func array(p *strictjson.Parser, what string, limit int, element func() error) error {
	return p.Array(func(i int) error {
		if i >= limit {
			return p.Failf(ReasonLimit, "more than %d %s", limit, what)
		}
		return element()
	})
}

// base64Bytes reads bytes of at most limit. The result does not alias the
// document.
func base64Bytes(p *strictjson.Parser, limit int) ([]byte, error) {
	s, err := p.StringBytes()
	if err != nil {
		return nil, err
	}
	if len(s) > (limit+2)/3*4 {
		return nil, p.Failf(ReasonLimit, "base64 of more than %d bytes", limit)
	}
	b, ok := decodeBase64(s)
	if !ok {
		return nil, p.Failf(ReasonFormat, "want standard base64 with padding")
	}
	return b, nil
}

var strictBase64 = base64.StdEncoding.Strict()

// decodeBase64 decodes what has exactly one encoding: encoding/base64 in
// strict mode still skips line breaks.
func decodeBase64(s []byte) ([]byte, bool) {
	for _, c := range s {
		if c == '\n' || c == '\r' {
			return nil, false
		}
	}
	b := make([]byte, strictBase64.DecodedLen(len(s)))
	n, err := strictBase64.Decode(b, s)
	if err != nil {
		return nil, false
	}
	return b[:n], true
}

// int64String reads an integer that is written as a string.
func int64String(p *strictjson.Parser) (int64, error) {
	s, err := p.StringBytes()
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(string(s), 10, 64)
	if err != nil || strconv.FormatInt(n, 10) != string(s) {
		return 0, p.Failf(ReasonFormat, "want a 64-bit integer in a string, found %.32q", s)
	}
	return n, nil
}

// timestamp reads a google.protobuf.Timestamp: RFC 3339.
func timestamp(p *strictjson.Parser) (time.Time, error) {
	s, err := p.String()
	if err != nil {
		return time.Time{}, err
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || t.IsZero() {
		return time.Time{}, p.Failf(ReasonFormat, "want an RFC 3339 time, found %.40q", s)
	}
	return t.UTC(), nil
}
