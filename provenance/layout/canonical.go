package layout

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/hallmark-build/hallmark/internal/strictjson"
	"github.com/hallmark-build/hallmark/provenance"
)

// Reasons of the [provenance.FormatError] of this package.
const (
	ReasonJSON   = "layout-json"   // not strict JSON, or not of the right kind
	ReasonLayout = "layout-field"  // a field of a layout is wrong
	ReasonKey    = "layout-key"    // a key is malformed or not supported
	ReasonRule   = "artifact-rule" // an artifact rule is malformed
)

// Canonical returns the canonical form (OLPC canonical JSON, as securesystemslib
// writes it) of a JSON document: what a signature in a Metablock is over.
// Names are sorted by code point, there is no white space, strings escape the
// quote and the backslash only, and numbers are integers: a document with any
// other number has no canonical form and is refused.
//
// The form covers every field of the document, also those that nobody reads.
func Canonical(document []byte) ([]byte, error) {
	v, err := strictjson.Decode(document, 0)
	if err != nil {
		return nil, &provenance.FormatError{Reason: ReasonJSON, Msg: err.Error()}
	}
	return canonical(make([]byte, 0, len(document)), v)
}

func canonical(b []byte, v any) (_ []byte, err error) {
	switch v := v.(type) {
	case nil:
		return append(b, "null"...), nil
	case bool:
		return strconv.AppendBool(b, v), nil
	case string:
		return canonicalString(b, v), nil
	case json.Number:
		// "-0" is an integer that readers write as 0.
		if strings.ContainsAny(v.String(), ".eE") || v == "-0" {
			return nil, &provenance.FormatError{Reason: ReasonJSON, Msg: "canonical JSON has integers only, found " + clip(v.String())}
		}
		return append(b, v...), nil
	case []any:
		b = append(b, '[')
		for i, e := range v {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = canonical(b, e); err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	case map[string]any:
		names := make([]string, 0, len(v))
		for name := range v {
			names = append(names, name)
		}
		slices.Sort(names) // by bytes, which for UTF-8 is by code point
		b = append(b, '{')
		for i, name := range names {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(canonicalString(b, name), ':')
			if b, err = canonical(b, v[name]); err != nil {
				return nil, err
			}
		}
		return append(b, '}'), nil
	}
	return nil, &provenance.FormatError{Reason: ReasonJSON, Msg: "not a JSON value"}
}

func canonicalString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		if c := s[i]; c == '"' || c == '\\' {
			b = append(b, '\\', c)
		} else {
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// clip makes hostile text fit an error message.
func clip(s string) string {
	const most = 80
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return strconv.QuoteToGraphic(s)
}
