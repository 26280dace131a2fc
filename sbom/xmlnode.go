package sbom

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/xmlrules"
)

// A xmlNode is an element, without the comments and instructions in it.
type xmlNode struct {
	space string // "" is CycloneDX's
	name  string
	attrs []xmlAttr
	text  string // where it has no elements inside
	kids  []*xmlNode
	line  int
}

type xmlAttr struct{ space, name, value string }

func (n *xmlNode) attr(name string) string {
	for _, a := range n.attrs {
		if a.space == "" && a.name == name {
			return a.value
		}
	}
	return ""
}

// kid returns the first element inside with that name, or nil.
func (n *xmlNode) kid(name string) *xmlNode {
	if n == nil {
		return nil
	}
	for _, k := range n.kids {
		if k.space == "" && k.name == name {
			return k
		}
	}
	return nil
}

// all returns the elements inside with that name.
func (n *xmlNode) all(name string) []*xmlNode {
	var list []*xmlNode
	if n != nil {
		for _, k := range n.kids {
			if k.space == "" && k.name == name {
				list = append(list, k)
			}
		}
	}
	return list
}

// value returns the text of the first element inside with that name.
func (n *xmlNode) value(name string) string {
	if k := n.kid(name); k != nil {
		return k.text
	}
	return ""
}

func element(name, text string, kids ...*xmlNode) *xmlNode {
	return &xmlNode{name: name, text: text, kids: slices.DeleteFunc(kids, func(k *xmlNode) bool { return k == nil })}
}

// optional is an element with a text, or nothing where there is none.
func optional(name, text string) *xmlNode {
	if text == "" {
		return nil
	}
	return element(name, text)
}

func (n *xmlNode) with(name, value string) *xmlNode {
	if value != "" {
		n.attrs = append(n.attrs, xmlAttr{"", name, value})
	}
	return n
}

// write writes the element on lines of its own. Elements of no other name space
// are in bom, and around is the name space that holds where the element stands.
func (n *xmlNode) write(b *bytes.Buffer, indent, bom, around string) {
	space := n.space
	if space == "" {
		space = bom
	}
	b.WriteString(indent + "<" + n.name)
	if space != around {
		b.WriteString(` xmlns="`)
		xmlEscape(b, space)
		b.WriteString(`"`)
	}
	spaces := 0
	for _, a := range n.attrs {
		b.WriteString(" ")
		switch {
		case a.space == "":
		case a.space == "xml":
			b.WriteString("xml:")
		default:
			spaces++
			p := "ns" + strconv.Itoa(spaces)
			b.WriteString("xmlns:" + p + `="`)
			xmlEscape(b, a.space)
			b.WriteString(`" ` + p + ":")
		}
		b.WriteString(a.name + `="`)
		xmlEscape(b, a.value)
		b.WriteString(`"`)
	}
	switch {
	case len(n.kids) > 0:
		b.WriteString(">\n")
		for _, k := range n.kids {
			k.write(b, indent+"  ", bom, space)
		}
		b.WriteString(indent + "</" + n.name + ">\n")
	case n.text != "":
		b.WriteString(">")
		xmlEscape(b, n.text)
		b.WriteString("</" + n.name + ">\n")
	default:
		b.WriteString("/>\n")
	}
}

// equal reports whether two elements, either of which may be nil, say the same
// in the same order.
func (n *xmlNode) equal(o *xmlNode) bool {
	if n == nil || o == nil {
		return n == o
	}
	return n.space == o.space && n.name == o.name && slices.Equal(n.attrs, o.attrs) &&
		slices.EqualFunc(n.kids, o.kids, (*xmlNode).equal) && (len(n.kids) > 0 || n.text == o.text)
}

// xmlEscape writes text. Line ends are written by number, because a reader of
// the schema may make spaces of them otherwise.
func xmlEscape(b *bytes.Buffer, s string) { _ = xml.EscapeText(b, []byte(s)) } // a Buffer does not fail

// xmlChar reports whether XML can hold the character (XML 1.0, section 2.2).
func xmlChar(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' || r >= 0x20 && r <= 0xd7ff || r >= 0xe000 && r <= 0xfffd || r >= 0x10000 && r <= 0x10ffff
}

// A xmlReader reads a document element by element.
type xmlReader struct {
	d     *xml.Decoder
	space string // CycloneDX's
	nodes int
	depth int
}

func newXMLReader(r io.Reader) *xmlReader { return &xmlReader{d: xml.NewDecoder(r)} }

// line returns the line of the token that was read last.
func (r *xmlReader) line() int {
	line, _ := r.d.InputPos()
	return line
}

func (r *xmlReader) errorf(format string, args ...any) error {
	return errorf(ReasonFormat, "line %d: "+format, append([]any{r.line()}, args...)...)
}

// token returns the next token that is not a comment. There is no document
// type, so there are no entities to expand.
func (r *xmlReader) token() (xml.Token, error) {
	for {
		t, err := r.d.Token()
		if err == io.EOF {
			return nil, r.errorf("the document ends too early")
		}
		if err != nil {
			var s *xml.SyntaxError
			if errors.As(err, &s) {
				return nil, errorf(ReasonFormat, "line %d: not XML: %s", s.Line, s.Msg)
			}
			return nil, r.errorf("%v", err)
		}
		switch t := t.(type) {
		case xml.Comment, xml.ProcInst:
			continue
		case xml.Directive:
			return nil, r.errorf("a document type is not allowed")
		case xml.StartElement:
			for i, a := range t.Attr {
				for _, b := range t.Attr[:i] {
					if a.Name == b.Name {
						return nil, r.errorf("attribute %.40q twice", a.Name.Local)
					}
				}
			}
		}
		return t, nil
	}
}

// next returns the next element inside the one that was begun, or nil at its
// end.
func (r *xmlReader) next() (*xml.StartElement, error) {
	for {
		t, err := r.token()
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			return &t, nil
		case xml.EndElement:
			return nil, nil
		case xml.CharData:
			if len(bytes.TrimSpace(t)) > 0 {
				return nil, r.errorf("text %.40q between elements", bytes.TrimSpace(t))
			}
		}
	}
}

// open makes the node of an element that was begun, without what is in it.
func (r *xmlReader) open(s *xml.StartElement) (*xmlNode, error) {
	n := &xmlNode{space: s.Name.Space, name: s.Name.Local, line: r.line()}
	if n.space == r.space {
		n.space = ""
	} else if n.space == "" || strings.Contains(n.space, " ") {
		return nil, r.errorf("element %.40q is in no name space", n.name)
	}
	for _, a := range s.Attr {
		space := a.Name.Space
		if space == "xmlns" || space == "" && a.Name.Local == "xmlns" {
			continue
		}
		if space == "http://www.w3.org/XML/1998/namespace" {
			space = "xml"
		}
		n.attrs = append(n.attrs, xmlAttr{space, a.Name.Local, a.Value})
	}
	return n, nil
}

// node reads an element that was begun, to its end.
func (r *xmlReader) node(s *xml.StartElement) (*xmlNode, error) {
	n, err := r.open(s)
	if err != nil {
		return nil, err
	}
	if r.nodes++; r.nodes > limits.SBOMElements {
		return nil, errorf(ReasonLimit, "more than %d elements in one place", limits.SBOMElements)
	}
	if r.depth++; r.depth > limits.JSONDepth {
		return nil, errorf(ReasonLimit, "nested deeper than %d", limits.JSONDepth)
	}
	defer func() { r.depth-- }()
	var text strings.Builder
	for {
		t, err := r.token()
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case xml.CharData:
			text.Write(t)
		case xml.StartElement:
			k, err := r.node(&t)
			if err != nil {
				return nil, err
			}
			n.kids = append(n.kids, k)
		case xml.EndElement:
			n.text = text.String()
			if len(n.kids) > 0 {
				if strings.TrimSpace(n.text) != "" {
					return nil, r.errorf("text between the elements of %.40q", n.name)
				}
				n.text = ""
			}
			return n, nil
		}
	}
}

// end fails when something but space and comments follows.
func (r *xmlReader) end() error {
	for {
		t, err := r.d.Token()
		if err == io.EOF {
			return nil
		}
		text, ok := t.(xml.CharData)
		_, comment := t.(xml.Comment)
		if err != nil || !comment && (!ok || len(bytes.TrimSpace(text)) > 0) {
			return r.errorf("something follows the document")
		}
	}
}

// A ruled node shows a node to package xmlrules.
type ruled struct{ *xmlNode }

func (n ruled) Name() (string, bool) { return n.name, n.space != "" }
func (n ruled) Text() string         { return n.text }
func (n ruled) Line() int            { return n.line }

func (n ruled) Attrs() iter.Seq2[xmlrules.Attr, string] {
	return func(yield func(xmlrules.Attr, string) bool) {
		for _, a := range n.attrs {
			if !yield(xmlrules.Attr{Name: a.name, Foreign: a.space != ""}, a.value) {
				return
			}
		}
	}
}

func (n ruled) Kids() iter.Seq[xmlrules.Node] {
	return func(yield func(xmlrules.Node) bool) {
		for _, k := range n.kids {
			if !yield(ruled{k}) {
				return
			}
		}
	}
}

// ruleError makes an error of package xmlrules one of this package.
func ruleError(err error) error {
	if err == nil {
		return nil
	}
	return errorf(ReasonFormat, "%v", err)
}
