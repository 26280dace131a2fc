package sbom

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"

	"github.com/hallmark-build/hallmark/internal/jsonrules"
	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/strictjson"
)

// ReadComponents reads the components of a document one by one, for documents
// that are larger than memory: it holds one component at a time, of at most
// 16 MiB, whatever the size of the document. It calls yield with each, in the
// order of the document, what a component contains after it; an error of
// yield ends the reading and is returned.
//
// Each component is held to the rules of its format as [Read] holds it. The
// rest of the document is not, nor are identifiers compared: it is skipped, with no more than its strings and
// brackets looked at, so relationships and unknowns are not read, and a
// licence that an SPDX document defines elsewhere is named by its identifier.
// It reads CycloneDX, in JSON and XML, and SPDX 2.3 in JSON; the others say what
// is in a component in many places.
func ReadComponents(r io.Reader, f Format, yield func(*Component) error) error {
	for v, x := range cdxXMLFormats {
		if x == f {
			return streamXML(r, v, yield)
		}
	}
	for v, x := range cdxFormats {
		if x == f {
			return streamJSON(r, "cyclonedx-"+v.String(), "components", func(raw []byte) ([]*Component, error) {
				c := newCDXReader(v, true, nil)
				if err := c.componentJSON(strictjson.NewParser(raw, len(raw)), ""); err != nil {
					return nil, readError(err)
				}
				return c.g.components, nil
			}, yield)
		}
	}
	if f == SPDX {
		return streamJSON(r, "spdx-2.3", "packages", func(raw []byte) ([]*Component, error) {
			s := newSPDXReader()
			if err := s.packageJSON(strictjson.NewParser(raw, len(raw))); err != nil {
				return nil, readError(err)
			}
			return s.g.components, nil
		}, yield)
	}
	return errorf(ReasonFormat, "%s is not read component by component", f)
}

func streamXML(r io.Reader, v cdxVersion, yield func(*Component) error) error {
	c := newCDXReader(v, false, nil)
	c.all = make(map[string]bool)
	// What is not components is read, one member at a time, and dropped.
	give := func(part *cdxReader) error {
		for _, x := range part.g.components {
			if err := yield(x); err != nil {
				return stop{err}
			}
		}
		return nil
	}
	c.streamed = true
	err := c.xml(bufio.NewReader(r), v, func(n *xmlNode, parent string) error {
		part := newCDXReader(v, false, nil)
		part.all = make(map[string]bool)
		if n.name == "component" && len(c.g.components) > 0 { // metadata.component
			if err := give(c); err != nil {
				return err
			}
			c.g.components, c.g.byID = nil, nil
		}
		if err := part.componentNode(n, parent); err != nil {
			return err
		}
		return give(part)
	})
	if err == nil && len(c.g.components) > 0 {
		err = give(c)
	}
	var s stop
	if errors.As(err, &s) {
		return s.err
	}
	return err
}

// stop is an error of the caller's.
type stop struct{ err error }

func (s stop) Error() string { return s.err.Error() }

// streamJSON reads the elements of one list of a document, and for CycloneDX
// metadata.component.
func streamJSON(r io.Reader, format, list string, read func(raw []byte) ([]*Component, error), yield func(*Component) error) error {
	s := &splitter{r: bufio.NewReaderSize(r, 64<<10), line: 1}
	one := func(raw []byte, path string, line int) error {
		if err := jsonrules.CheckElement(raw, limits.SBOMComponentBytes, format, list); err != nil {
			var e *jsonrules.Error
			if !errors.As(err, &e) {
				return errorf(ReasonFormat, "%v", err)
			}
			reason := ReasonFormat
			if e.Reason != jsonrules.ReasonSchema {
				reason = e.Reason
			}
			return errorf(reason, "line %d, %s%.200s: %s", line+e.Line-1, path, e.Path, e.Msg)
		}
		components, err := read(raw)
		if err != nil {
			return err
		}
		for _, c := range components {
			if err := yield(c); err != nil {
				return stop{err}
			}
		}
		return nil
	}
	seen := make(map[string]bool)
	err := s.object(func(name string) error {
		if len(seen) > 1024 {
			return errorf(ReasonLimit, "more than 1024 names")
		}
		if seen[name] {
			return s.errorf("%.40q twice", name)
		}
		seen[name] = true
		switch name {
		case list:
			return s.array(func(raw []byte, i, line int) error { return one(raw, "/"+list+"/"+strconv.Itoa(i), line) })
		case "metadata":
			if _, err := s.next(); err != nil {
				return err
			}
			line := s.line
			raw, err := s.value(true)
			if err != nil {
				return err
			}
			if err := strictjson.Check(raw, limits.SBOMComponentBytes); err != nil {
				return jsonError(err)
			}
			top, err := members(raw)
			if err != nil {
				return s.errorf("metadata: %v", err)
			}
			for _, m := range top {
				if m.name == "component" {
					return one(m.raw, "/metadata/component", line+bytes.Count(raw[:bytes.Index(raw, m.raw)], []byte("\n")))
				}
			}
			return nil
		}
		_, err := s.value(false)
		return err
	})
	var x stop
	if errors.As(err, &x) {
		return x.err
	}
	return err
}

// A splitter finds the values of a JSON object in a stream. It looks at strings
// and brackets; what it hands out is parsed by others.
type splitter struct {
	r    *bufio.Reader
	line int
	buf  bytes.Buffer
}

func (s *splitter) errorf(format string, args ...any) error {
	return errorf(ReasonFormat, "line %d: "+format, append([]any{s.line}, args...)...)
}

// next returns the next byte that is not space, without consuming it.
func (s *splitter) next() (byte, error) {
	for {
		b, err := s.r.ReadByte()
		if err == io.EOF {
			return 0, s.errorf("the document ends too early")
		}
		if err != nil {
			return 0, err
		}
		switch b {
		case '\n':
			s.line++
		case ' ', '\t', '\r':
		default:
			return b, s.r.UnreadByte()
		}
	}
}

func (s *splitter) want(b byte) error {
	got, err := s.next()
	if err != nil {
		return err
	}
	if got != b {
		return s.errorf("want %q, found %q", b, got)
	}
	_, err = s.r.ReadByte()
	return err
}

// more reads what is between two elements, and reports whether there is
// another before end.
func (s *splitter) more(first bool, end byte) (bool, error) {
	b, err := s.next()
	if err != nil {
		return false, err
	}
	if b == end {
		_, err = s.r.ReadByte()
		return false, err
	}
	if first {
		return true, nil
	}
	return true, s.want(',')
}

// object reads the document.
func (s *splitter) object(member func(name string) error) error {
	if err := s.want('{'); err != nil {
		return err
	}
	for first := true; ; first = false {
		more, err := s.more(first, '}')
		if err != nil {
			return err
		}
		if !more {
			return s.end()
		}
		raw, err := s.value(true)
		if err != nil {
			return err
		}
		p := strictjson.NewParser(raw, len(raw))
		name, err := p.String()
		if err != nil {
			return s.errorf("want a name")
		}
		if err := s.want(':'); err != nil {
			return err
		}
		if err := member(name); err != nil {
			return err
		}
	}
}

// end fails when something but space follows.
func (s *splitter) end() error {
	for {
		b, err := s.r.ReadByte()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		switch b {
		case '\n':
			s.line++
		case ' ', '\t', '\r':
		default:
			return s.errorf("%q follows the document", b)
		}
	}
}

func (s *splitter) array(element func(raw []byte, i, line int) error) error {
	if err := s.want('['); err != nil {
		return err
	}
	for i := 0; ; i++ {
		more, err := s.more(i == 0, ']')
		if err != nil || !more {
			return err
		}
		if _, err := s.next(); err != nil {
			return err
		}
		line := s.line
		raw, err := s.value(true)
		if err != nil {
			return err
		}
		if err := element(raw, i, line); err != nil {
			return err
		}
	}
}

// value reads a value, and returns it until the next call if it is kept.
func (s *splitter) value(keep bool) ([]byte, error) {
	if _, err := s.next(); err != nil {
		return nil, err
	}
	s.buf.Reset()
	var open []byte // brackets
	text, escaped := false, false
	for n := 0; ; n++ {
		b, err := s.r.ReadByte()
		if err == io.EOF {
			return nil, s.errorf("the document ends too early")
		}
		if err != nil {
			return nil, err
		}
		if b == '\n' {
			s.line++
		}
		if !text && len(open) == 0 && n > 0 && (b == ',' || b == '}' || b == ']' || b == ':' || b == ' ' || b == '\n' || b == '\r' || b == '\t') {
			if b == '\n' {
				s.line--
			}
			return s.buf.Bytes(), s.r.UnreadByte()
		}
		if keep {
			if s.buf.Len() == limits.SBOMComponentBytes {
				return nil, errorf(ReasonLimit, "line %d: more than %d bytes in one place", s.line, limits.SBOMComponentBytes)
			}
			s.buf.WriteByte(b)
		}
		done := false
		switch {
		case escaped:
			escaped = false
		case text && b == '\\':
			escaped = true
		case b == '"':
			text = !text
			done = !text && len(open) == 0
		case text:
		case b == '{' || b == '[':
			if len(open) == limits.JSONDepth {
				return nil, errorf(ReasonLimit, "line %d: nested deeper than %d", s.line, limits.JSONDepth)
			}
			open = append(open, b+2) // what closes it
		case b == '}' || b == ']':
			if len(open) == 0 || open[len(open)-1] != b {
				return nil, s.errorf("unexpected %q", b)
			}
			open = open[:len(open)-1]
			done = len(open) == 0
		}
		if done {
			return s.buf.Bytes(), nil
		}
	}
}
