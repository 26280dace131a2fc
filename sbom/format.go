package sbom

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/strictjson"
)

// A Format is a document format and its version.
type Format string

// The formats. CycloneDX and SPDX are the ones to write unless a reader asks
// for another; to [Read], they stand for every version of theirs in JSON.
const (
	CycloneDX Format = "https://cyclonedx.org/bom" // version 1.6, JSON
	SPDX      Format = "https://spdx.dev/Document" // version 2.3, JSON

	CycloneDX14 Format = "https://cyclonedx.org/bom/v1.4"
	CycloneDX15 Format = "https://cyclonedx.org/bom/v1.5"
	CycloneDX16 Format = CycloneDX
	CycloneDX17 Format = "https://cyclonedx.org/bom/v1.7"

	CycloneDXXML14 Format = "application/vnd.cyclonedx+xml;version=1.4"
	CycloneDXXML15 Format = "application/vnd.cyclonedx+xml;version=1.5"
	CycloneDXXML16 Format = "application/vnd.cyclonedx+xml;version=1.6"
	CycloneDXXML17 Format = "application/vnd.cyclonedx+xml;version=1.7"

	SPDX3        Format = "https://spdx.dev/Document/v3" // SPDX 3.0.1, JSON-LD
	SPDXTagValue Format = "text/spdx"                    // SPDX 2.3, tag-value
)

// PredicateType returns the in-toto predicate type of documents of the format,
// which is the same for every version of CycloneDX, or "" where the format is
// not JSON and so no predicate.
func (f Format) PredicateType() string {
	switch e := encodings[f]; {
	case !e.json:
		return ""
	case e.family == CycloneDX:
		return string(CycloneDX)
	}
	return string(f)
}

// String names the format and version for people: "CycloneDX 1.6 JSON".
func (f Format) String() string {
	if e, ok := encodings[f]; ok {
		return e.name
	}
	return string(f)
}

// An encoding is how a format is written and read.
type encoding struct {
	name    string
	family  Format // CycloneDX or SPDX
	kind    string // same for all versions
	detect  string // JSON: the member that says what it is, and the version's value
	version string
	json    bool
	write   func(d *document, w io.Writer, serial string) error
	read    func(doc []byte) (*Graph, error)
}

var encodings = func() map[Format]encoding {
	m := map[Format]encoding{
		SPDX:         {"SPDX 2.3 JSON", SPDX, "spdx-2", "spdxVersion SPDX-2.3", "2.3", true, writeSPDX, readSPDX},
		SPDX3:        {"SPDX 3.0.1 JSON-LD", SPDX, "spdx-3", "@context " + spdx3Context, "3.0.1", true, writeSPDX3, readSPDX3},
		SPDXTagValue: {"SPDX 2.3 tag-value", SPDX, "spdx-2", "", "2.3", false, writeTagValue, readTagValue},
	}
	for v, f := range cdxFormats {
		name := "CycloneDX " + v.String()
		m[f] = encoding{name + " JSON", CycloneDX, "cyclonedx-json", "bomFormat " + v.String(), v.String(), true,
			func(d *document, w io.Writer, serial string) error { return writeCycloneDX(d, w, serial, v) },
			func(doc []byte) (*Graph, error) { return readCycloneDX(doc, v) }}
	}
	for v, f := range cdxXMLFormats {
		m[f] = encoding{"CycloneDX " + v.String() + " XML", CycloneDX, "cyclonedx-xml", "", v.String(), false,
			func(d *document, w io.Writer, serial string) error { return writeCycloneDXML(d, w, serial, v) },
			func(doc []byte) (*Graph, error) { return readCycloneDXML(doc, v) }}
	}
	return m
}()

// Detect says of which format and version a document is, by the members of its
// JSON object, wherever in the document those are, by the name space of its XML
// element, or by its first tag. It does
// not say that the document is valid.
func Detect(doc []byte) (Format, error) {
	if isTagValue(doc) {
		return SPDXTagValue, nil
	}
	if bytes.HasPrefix(bytes.TrimLeft(doc[:min(len(doc), 1024)], " \t\r\n"), []byte("<")) {
		return detectXML(doc)
	}
	return detect(doc, true)
}

var errEnough = errors.New("enough")

// detect reads the whole document, or no more than it takes.
func detect(doc []byte, whole bool) (Format, error) {
	p := strictjson.NewParser(doc, limits.SBOM)
	var found []string
	var version string
	text := func(key string) error {
		if p.Kind() != strictjson.String {
			return p.Skip()
		}
		s, err := p.String()
		if key == "@context" || key == "spdxVersion" || key == "specVersion" {
			version = s
		}
		if !whole && err == nil && (key == "@context" || key == "spdxVersion" || version != "" && len(found) > 0) {
			return errEnough
		}
		return err
	}
	err := p.Object(func(name []byte) error {
		key := string(name)
		switch key {
		case "bomFormat", "spdxVersion", "@context":
			found = append(found, key)
		case "specVersion":
		default:
			return p.Skip()
		}
		return text(key)
	})
	if err == nil {
		err = p.End()
	}
	if err != nil && err != errEnough {
		return "", lineError(doc, err)
	}
	if len(found) != 1 {
		return "", errorf(ReasonFormat, "want one of bomFormat (CycloneDX), spdxVersion and @context (SPDX), found %d", len(found))
	}
	family := "CycloneDX"
	if found[0] != "bomFormat" {
		family = "SPDX"
	}
	for f, e := range encodings {
		if e.json && e.detect == found[0]+" "+version {
			return f, nil
		}
	}
	return "", errorf(ReasonVersion, "%s %.60q is not read", family, version)
}

// lineError adds the line to an error of a parser.
func lineError(doc []byte, err error) error {
	var e *strictjson.Error
	if errors.As(err, &e) {
		return errorf(e.Reason, "line %d: %s", 1+bytes.Count(doc[:min(e.Offset, len(doc))], []byte("\n")), e.Msg)
	}
	return errorf(ReasonFormat, "%v", err)
}

// A jsonWriter writes one indented object, member by member, as json.Encoder
// would write the whole.
type jsonWriter struct {
	w      io.Writer
	buf    bytes.Buffer
	enc    *json.Encoder // into buf
	indent []byte        // buf, indented
	empty  bool
	err    error
}

func newJSONWriter(w io.Writer) *jsonWriter {
	j := &jsonWriter{w: w, empty: true}
	j.enc = json.NewEncoder(&j.buf)
	j.enc.SetEscapeHTML(false)
	j.raw("{")
	return j
}

func (j *jsonWriter) raw(s string) {
	if j.err == nil {
		_, j.err = io.WriteString(j.w, s)
	}
}

func (j *jsonWriter) value(prefix string, v any) {
	if j.err != nil {
		return
	}
	j.buf.Reset()
	if err := j.enc.Encode(v); err != nil {
		j.err = errorf(ReasonFormat, "%v", err)
		return
	}
	j.indent = appendIndented(j.indent[:0], bytes.TrimSuffix(j.buf.Bytes(), []byte("\n")), prefix)
	_, j.err = j.w.Write(j.indent)
}

// appendIndented does what json.Indent does, for what json.Encoder wrote: JSON
// that is valid and has no space in it, which need not be checked again.
func appendIndented(b, compact []byte, prefix string) []byte {
	depth := 0
	line := func() {
		b = append(append(b, '\n'), prefix...)
		for range depth {
			b = append(b, "  "...)
		}
	}
	for i := 0; i < len(compact); i++ {
		switch c := compact[i]; c {
		case '"':
			end := i + 1
			for compact[end] != '"' {
				if compact[end] == '\\' {
					end++
				}
				end++
			}
			b = append(b, compact[i:end+1]...)
			i = end
		case '{', '[':
			b = append(b, c)
			if next := compact[i+1]; next == '}' || next == ']' {
				b = append(b, next)
				i++
				continue
			}
			depth++
			line()
		case '}', ']':
			depth--
			line()
			b = append(b, c)
		case ',':
			b = append(b, c)
			line()
		case ':':
			b = append(b, ": "...)
		default:
			b = append(b, c)
		}
	}
	return b
}

func (j *jsonWriter) name(name string) {
	if !j.empty {
		j.raw(",")
	}
	j.empty = false
	j.raw(fmt.Sprintf("\n  %q: ", name))
}

// member writes a member of the object.
func (j *jsonWriter) member(name string, v any) {
	j.name(name)
	j.value("  ", v)
}

// list writes a member whose elements come one by one.
func (j *jsonWriter) list(name string, elements func(yield func(v any))) {
	j.name(name)
	first := true
	j.raw("[")
	elements(func(v any) {
		if !first {
			j.raw(",")
		}
		first = false
		j.raw("\n    ")
		j.value("    ", v)
	})
	if !first {
		j.raw("\n  ")
	}
	j.raw("]")
}

func (j *jsonWriter) fail(err error) {
	if j.err == nil {
		j.err = err
	}
}

func (j *jsonWriter) close() error {
	j.raw("\n}\n")
	return j.err
}

func (f Format) family() string {
	if f == SPDX {
		return "SPDX in JSON"
	}
	return "CycloneDX in JSON"
}
