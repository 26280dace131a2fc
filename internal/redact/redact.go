// Package redact takes secrets out of what is about to be signed and
// published: command lines, captured output, environment values, URLs and
// file names.
//
// A [Set] knows two kinds of secrets. Known values come from the caller and from
// the environment: every variable whose name looks secret ([SecretName]), the
// allow-listed ones and the others alike, and passwords in the userinfo of
// URLs. They are found as they are and as base64 (standard and URL alphabet,
// at each of the three alignments, across line breaks), hex, percent-encoding,
// JSON, HTML and shell quoting. Shapes are found without being known: tokens of
// well-known issuers, JSON Web Tokens, private key blocks, userinfo and secret
// query parameters of URLs, HTTP authorization values.
//
// What this does not do: a value of fewer than [MinValue] bytes is not searched
// for, because replacing every "1" or "true" would leave garbage and tell the
// value by its absence; a value that was encrypted, compressed, encoded twice
// or reversed is not recognised. Redaction is the net under a step that leaks,
// not a reason to let it.
package redact

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"html"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Marker stands where a secret was.
const Marker = "[redacted]"

const (
	// MinValue is the length of the shortest value that is searched for, in bytes.
	MinValue = 6

	// maxPattern bounds one comparison: a longer value is cut into pieces, each
	// searched for by itself, so that a text that repeats the beginning of a
	// secret a million times costs no more than 256 bytes at each place.
	maxPattern = 256

	// minLine is the length of the shortest line of a secret of several lines
	// that is also searched for alone: a key is often printed indented.
	minLine = 16

	// maxEdge bounds how much is dropped at each side of a gap; see [Set.Cut].
	maxEdge = 4096
)

type pattern struct {
	text   string
	base64 bool // the neighbours of a match hold bits of the secret too
}

// A Set removes secrets. It is immutable and safe for concurrent use. The zero
// Set knows no values and finds shapes.
type Set struct {
	patterns []pattern
	filter   [1024]uint64         // Bloom filter of the patterns' first four bytes
	byPrefix map[uint32][]pattern // exact
}

// New returns a Set that knows the given values, and those of the variables of
// environ ("NAME=value") that are secret by name or hold a URL with a password.
func New(values, environ []string) *Set {
	s := &Set{byPrefix: make(map[uint32][]pattern)}
	seen := make(map[string]bool)
	for _, v := range values {
		s.add(seen, v)
	}
	for _, kv := range environ {
		name, v, _ := strings.Cut(kv, "=")
		if SecretName(name) && !pathVariable(name, v) {
			s.add(seen, v)
		}
		for _, p := range passwords(v) {
			s.add(seen, p)
		}
	}
	return s
}

// add registers every form of v. It is only called while the Set is built.
func (s *Set) add(seen map[string]bool, v string) {
	v = strings.TrimSpace(v)
	if len(v) < MinValue {
		return
	}
	s.addPattern(seen, v, false)
	for line := range strings.Lines(v) {
		if line = strings.TrimSpace(line); len(line) >= minLine && line != v {
			s.addPattern(seen, line, false)
		}
	}
	for _, f := range escapings(v) {
		s.addPattern(seen, f, false)
	}
	h := hex.EncodeToString([]byte(v))
	s.addPattern(seen, h, false)
	s.addPattern(seen, strings.ToUpper(h), false)
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for _, f := range alignments(enc, v) {
			s.addPattern(seen, f, true)
		}
	}
}

func escapings(v string) []string {
	query := url.QueryEscape(v)
	forms := []string{
		query,
		lowerHex(query),
		strings.ReplaceAll(query, "+", "%20"),
		lowerHex(strings.ReplaceAll(query, "+", "%20")),
		url.PathEscape(v),
		html.EscapeString(v),
		strings.ReplaceAll(v, `'`, `'\''`),
		strings.Trim(strconv.Quote(v), `"`),
		strings.Trim(strconv.QuoteToASCII(v), `"`),
	}
	// encodeURIComponent of JavaScript leaves these as they are.
	js := strings.NewReplacer("+", "%20", "%21", "!", "%27", "'", "%28", "(", "%29", ")", "%2A", "*").Replace(query)
	forms = append(forms, js)
	for _, escapeHTML := range []bool{false, true} {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(escapeHTML)
		if e.Encode(v) == nil {
			q := strings.TrimSuffix(b.String(), "\n")
			forms = append(forms, q[1:len(q)-1], strings.ReplaceAll(q[1:len(q)-1], "/", `\/`))
		}
	}
	return forms
}

// lowerHex writes the %2F of s as %2f.
func lowerHex(s string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:i+3], bytes.ToLower(b[i+1:i+3]))
			i += 2
		}
	}
	return string(b)
}

// alignments returns, for each place that v can have in a group of three
// bytes, those base64 characters that depend on v alone.
func alignments(enc *base64.Encoding, v string) []string {
	var out []string
	for lead := range 3 {
		whole := enc.EncodeToString([]byte(strings.Repeat("\x00", lead) + v))
		first := []int{0, 2, 3}[lead]
		last := (lead + len(v)) * 8 / 6 // whole sextets
		out = append(out, whole[first:last])
	}
	return out
}

func (s *Set) addPattern(seen map[string]bool, text string, b64 bool) {
	for len(text) > maxPattern {
		s.addPattern(seen, text[:maxPattern], b64)
		if rest := text[maxPattern:]; len(rest) < maxPattern {
			text = text[len(text)-maxPattern:] // the last piece overlaps rather than being short
		} else {
			text = rest
		}
	}
	if len(text) < MinValue || seen[text] || strings.Contains(Marker, text) {
		return
	}
	seen[text] = true
	p := pattern{text, b64}
	key := binary.LittleEndian.Uint32([]byte(text))
	h := key * 0x9E3779B1 >> 16
	s.filter[h>>6] |= 1 << (h & 63)
	s.byPrefix[key] = append(s.byPrefix[key], p)
	s.patterns = append(s.patterns, p)
}

// A span is a half-open range of bytes to be replaced.
type span struct{ from, to int }

// String returns text without the secrets that s finds in it.
func (s *Set) String(text string) string {
	if spans := s.find([]byte(text), nil); len(spans) > 0 {
		return string(replace([]byte(text), spans))
	}
	return text
}

// Bytes is [Set.String] for bytes. It returns text itself, unchanged, when there is nothing
// to remove, and otherwise a new slice.
func (s *Set) Bytes(text []byte) []byte {
	return replace(text, s.find(text, nil))
}

// Cut redacts the two ends of a longer text whose middle is gone. A secret may
// have been cut in two, so that neither end holds enough of it to be
// recognised: what could be a part of one at the gap is removed too, and so is
// the incomplete word at each side of the gap (4 KiB at most). found reports
// whether there was a secret, or perhaps a part of one, besides those words.
func (s *Set) Cut(head, tail []byte) (h, t []byte, found bool) {
	var edge []span
	var drop int
	if i := bytes.LastIndexAny(head, " \t\r\n"); i >= 0 && len(head)-i <= maxEdge {
		drop = i + 1
	} else {
		drop = max(0, len(head)-maxEdge)
	}
	edge = append(edge, span{drop, len(head)})
	for _, p := range s.patterns {
		for n := min(len(p.text)-1, len(head)); n >= 3; n-- {
			if head[len(head)-n] == p.text[0] && string(head[len(head)-n:]) == p.text[:n] {
				edge = append(edge, span{len(head) - n, len(head)})
				break
			}
		}
	}
	found = len(edge) > 1 || len(s.find(head, nil)) > 0
	h = replace(head, s.find(head, edge))

	drop = min(len(tail), maxEdge)
	if i := bytes.IndexAny(tail, " \t\r\n"); 0 <= i && i < maxEdge {
		drop = i
	}
	edge = []span{{0, drop}}
	for _, p := range s.patterns {
		for n := min(len(p.text)-1, len(tail)); n >= 3; n-- {
			if tail[0] == p.text[len(p.text)-n] && string(tail[:n]) == p.text[len(p.text)-n:] {
				edge = append(edge, span{0, n})
				break
			}
		}
	}
	// The block's first line may be gone.
	if end := pemEnd.FindIndex(tail); end != nil {
		if begin := bytes.Index(tail, []byte("-----BEGIN")); begin < 0 || begin > end[0] {
			edge = append(edge, span{0, end[1]})
		}
	}
	found = found || len(edge) > 1 || len(s.find(tail, nil)) > 0
	return h, replace(tail, s.find(tail, edge)), found
}

// find returns the spans of text to replace, sorted and merged, those in also included.
func (s *Set) find(text []byte, also []span) []span {
	spans := also
	if len(s.patterns) > 0 {
		spans = s.known(text, nil, spans)
		if bytes.IndexByte(text, '\n') >= 0 {
			// base64 and hex are wrapped into lines; look again without the line ends.
			flat := make([]byte, 0, len(text))
			at := make([]int, 0, len(text))
			for i, c := range text {
				if c != '\n' && c != '\r' {
					flat = append(flat, c)
					at = append(at, i)
				}
			}
			spans = s.known(flat, at, spans)
		}
	}
	spans = shapes(text, spans)
	if len(spans) < 2 {
		return spans
	}
	slices.SortFunc(spans, func(a, b span) int { return a.from - b.from })
	merged := spans[:1]
	for _, sp := range spans[1:] {
		if last := &merged[len(merged)-1]; sp.from <= last.to {
			last.to = max(last.to, sp.to)
		} else {
			merged = append(merged, sp)
		}
	}
	return merged
}

// known appends the spans of known values in text. at, if not nil, says where
// the bytes of text come from.
func (s *Set) known(text []byte, at []int, spans []span) []span {
	for i := 0; i+MinValue <= len(text); i++ {
		key := binary.LittleEndian.Uint32(text[i:])
		h := key * 0x9E3779B1 >> 16
		if s.filter[h>>6]&(1<<(h&63)) == 0 {
			continue
		}
		for _, p := range s.byPrefix[key] {
			if len(text)-i < len(p.text) || string(text[i:i+len(p.text)]) != p.text {
				continue
			}
			from, to := i, i+len(p.text)
			if p.base64 {
				if from > 0 && isBase64(text[from-1]) {
					from--
				}
				for n := 0; n < 3 && to < len(text) && (isBase64(text[to]) || text[to] == '='); n++ {
					to++
				}
			}
			if at != nil {
				from, to = at[from], at[to-1]+1
			}
			spans = append(spans, span{from, to})
		}
	}
	return spans
}

func isBase64(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '+' || c == '/' || c == '-' || c == '_'
}

func replace(text []byte, spans []span) []byte {
	out := text
	done := -1
	for _, sp := range spans {
		if sp.from >= sp.to {
			continue
		}
		if done < 0 {
			out, done = make([]byte, 0, len(text)), 0
		}
		out = append(append(out, text[done:sp.from]...), Marker...)
		done = sp.to
	}
	if done < 0 {
		return text
	}
	return append(out, text[done:]...)
}
