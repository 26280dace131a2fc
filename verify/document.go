package verify

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/strictjson"
)

// docKind is the kind of a node of a document.
type docKind byte

const (
	docNull docKind = iota
	docBool
	docNumber
	docString
	docUnclear // a word of YAML without quotes that versions of YAML disagree about
	docList
	docMap
)

// A docNode is a value of a YAML or JSON document, with where it starts.
type docNode struct {
	kind         docKind
	text         string // of a scalar
	line, column int
	keys         []*docNode // of a map
	items        []*docNode // of a list, or the values of a map
}

// describe says what the node is, for an error message.
func (n *docNode) describe() string {
	switch n.kind {
	case docNull:
		return "nothing"
	case docString:
		return "the string " + quoteClip(n.text)
	case docList:
		return "a list"
	case docMap:
		return "a mapping"
	}
	if len(n.text) > 60 {
		return strings.ToValidUTF8(n.text[:60], "") + "…"
	}
	return n.text
}

// A docReader turns the bytes of a document into nodes.
type docReader struct {
	file  string
	data  []byte
	nodes int

	offset, line, column int // a place in data; lines and columns count from 0
}

func (r *docReader) at(line, column int) Position { return Position{r.file, line, column} }

func (r *docReader) fail(line, column int, format string, args ...any) error {
	return &PolicyError{Position: r.at(line, column), Reason: PolicySyntax, Msg: fmt.Sprintf(format, args...)}
}

func (r *docReader) count(line, column int) error {
	if r.nodes++; r.nodes > limits.PolicyNodes {
		return r.fail(line, column, "more than %d values", limits.PolicyNodes)
	}
	return nil
}

func (r *docReader) read() (*docNode, error) {
	if len(r.data) > limits.Policy {
		return nil, r.fail(0, 0, "more than %d bytes", limits.Policy)
	}
	if err := r.characters(); err != nil {
		return nil, err
	}
	if bytes.HasPrefix(bytes.TrimLeft(r.data, " \t\r\n"), []byte("{")) {
		return r.json()
	}
	return r.yaml()
}

// characters refuses text that readers disagree about before any of them sees
// it: bytes that are not UTF-8, byte order marks, control characters, and the
// line breaks of YAML 1.1 that are none in YAML 1.2.
func (r *docReader) characters() error {
	line, column := 1, 1
	for i := 0; i < len(r.data); {
		c, size := utf8.DecodeRune(r.data[i:])
		switch {
		case c == utf8.RuneError && size == 1:
			return r.fail(line, column, "byte %#02x is not UTF-8", r.data[i])
		case c == '\ufeff':
			return r.fail(line, column, "byte order mark: save the file as UTF-8 without one")
		case c == '\r' && i+1 < len(r.data) && r.data[i+1] == '\n':
		case c < ' ' && c != '\n' && c != '\t', 0x7f <= c && c <= 0x9f, c == '\u2028', c == '\u2029':
			return r.fail(line, column, "character %U does not belong in a policy; write it as an escape in a double-quoted string", c)
		}
		i += size
		if c == '\n' {
			line, column = line+1, 1
		} else {
			column++
		}
	}
	return nil
}

// seek moves to the first place of which the predicate is true. Nodes come in
// the order of the document, so all moves together are one walk over it.
func (r *docReader) seek(found func() bool) (line, column int) {
	for r.offset < len(r.data) && !found() {
		_, size := utf8.DecodeRune(r.data[r.offset:])
		if r.data[r.offset] == '\n' {
			r.line, r.column = r.line+1, 0
		} else {
			r.column++
		}
		r.offset += size
	}
	return r.line + 1, r.column + 1
}

func (r *docReader) seekOffset(offset int) (line, column int) {
	return r.seek(func() bool { return r.offset >= offset })
}

func (r *docReader) json() (*docNode, error) {
	p := strictjson.NewParser(r.data, limits.Policy)
	n, err := r.jsonValue(p)
	if err == nil {
		err = p.End()
	}
	var je *strictjson.Error
	if errors.As(err, &je) {
		line, column := r.seekOffset(max(je.Offset, 0))
		return nil, r.fail(line, column, "not strict JSON: %s", je.Msg)
	}
	return n, err
}

func (r *docReader) jsonValue(p *strictjson.Parser) (*docNode, error) {
	k := p.Kind()
	n := new(docNode)
	n.line, n.column = r.seekOffset(p.Offset())
	if err := r.count(n.line, n.column); err != nil {
		return nil, err
	}
	switch k {
	case strictjson.Null:
		return n, p.Null()
	case strictjson.Bool:
		b, err := p.Bool()
		n.kind, n.text = docBool, strconv.FormatBool(b)
		return n, err
	case strictjson.Number:
		s, err := p.Number()
		n.kind, n.text = docNumber, s.String()
		return n, err
	case strictjson.String:
		s, err := p.String()
		n.kind, n.text = docString, s
		return n, err
	case strictjson.Array:
		n.kind = docList
		err := p.Array(func(int) error {
			item, err := r.jsonValue(p)
			n.items = append(n.items, item)
			return err
		})
		return n, err
	case strictjson.Object:
		n.kind = docMap
		end := p.Offset() + 1 // of what comes before the next name
		err := p.Object(func(name []byte) error {
			key := &docNode{kind: docString, text: string(name)}
			key.line, key.column = r.seekOffset(end + bytes.IndexByte(r.data[end:], '"'))
			item, err := r.jsonValue(p)
			n.keys, n.items = append(n.keys, key), append(n.items, item)
			end = p.Offset()
			return err
		})
		return n, err
	}
	return nil, p.Skip()
}

func (r *docReader) yaml() (root *docNode, err error) {
	// Every node but one needs one of these characters, so this bounds what
	// the parser allocates before it does.
	marks := 0
	for _, c := range r.data {
		switch c {
		case '\n', ',', ':', '-', '?', '[', '{':
			marks++
		}
	}
	if marks > 2*limits.PolicyNodes {
		return nil, r.fail(0, 0, "more than %d values", limits.PolicyNodes)
	}
	line := 0
	for text := range bytes.Lines(r.data) {
		line++
		text = bytes.TrimSpace(text)
		if bytes.HasPrefix(text, []byte("%")) {
			return nil, r.fail(line, 1, "directives are not allowed in a policy")
		}
		if len(text) > 0 && text[0] != '#' {
			break
		}
	}
	// The parser is not ours: should it panic, the policy is refused.
	defer func() {
		if x := recover(); x != nil {
			root, err = nil, r.fail(0, 0, "not YAML that can be read: %v", x)
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(r.data))
	var doc, next yaml.Node
	switch err := dec.Decode(&doc); {
	case err == io.EOF:
		return nil, r.fail(1, 1, "the policy is empty")
	case err != nil:
		return nil, r.yamlError(err)
	}
	switch err := dec.Decode(&next); {
	case err == nil:
		return nil, r.fail(next.Line, 1, "a second YAML document: want one policy in a file")
	case err != io.EOF:
		return nil, r.yamlError(err)
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return nil, r.fail(1, 1, "the policy is empty")
	}
	return r.yamlNode(doc.Content[0], 0)
}

var yamlErrorLine = regexp.MustCompile(`^yaml: line (\d+): (?s:(.*))$`)

func (r *docReader) yamlError(err error) error {
	if m := yamlErrorLine.FindStringSubmatch(err.Error()); m != nil {
		if line, err := strconv.Atoi(m[1]); err == nil {
			return r.fail(line, 1, "not YAML: %s", m[2])
		}
	}
	return r.fail(0, 0, "not YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
}

// yamlNode converts a node, refusing what JSON has no equal for.
func (r *docReader) yamlNode(y *yaml.Node, depth int) (*docNode, error) {
	if err := r.count(y.Line, y.Column); err != nil {
		return nil, err
	}
	switch {
	case depth > limits.PolicyDepth:
		return nil, r.fail(y.Line, y.Column, "nested deeper than %d", limits.PolicyDepth)
	case y.Kind == yaml.AliasNode:
		return nil, r.fail(y.Line, y.Column, "aliases (*name) are not allowed in a policy; write the value out")
	case y.Anchor != "":
		return nil, r.fail(y.Line, y.Column, "anchors (&name) are not allowed in a policy")
	case y.Style&yaml.TaggedStyle != 0 || r.startsWith(y, '!'):
		return nil, r.fail(y.Line, y.Column, "tags (!name) are not allowed in a policy")
	}
	n := &docNode{line: y.Line, column: y.Column}
	switch y.Kind {
	case yaml.ScalarNode:
		n.kind, n.text = docString, y.Value
		if y.Style == 0 {
			n.kind = plainKind(y.Value)
		}
		return n, nil
	case yaml.SequenceNode:
		n.kind = docList
		for _, c := range y.Content {
			item, err := r.yamlNode(c, depth+1)
			if err != nil {
				return nil, err
			}
			n.items = append(n.items, item)
		}
		return n, nil
	case yaml.MappingNode:
		n.kind = docMap
		seen := make(map[string]bool, len(y.Content)/2)
		for i := 0; i+1 < len(y.Content); i += 2 {
			key, err := r.yamlNode(y.Content[i], depth+1)
			if err != nil {
				return nil, err
			}
			switch {
			case key.kind == docUnclear && key.text == "<<":
				return nil, r.fail(key.line, key.column, "merge keys (<<) are not allowed in a policy; write the fields out")
			case key.kind == docMap || key.kind == docList:
				return nil, r.fail(key.line, key.column, "want a name before ':', found %s", key.describe())
			case key.kind != docString:
				return nil, r.fail(key.line, key.column, "want a name before ':', found %s; if that is meant, write it in quotes: %q", key.describe(), key.text)
			case seen[key.text]:
				return nil, r.fail(key.line, key.column, "the name %s is here twice", quoteClip(key.text))
			}
			seen[key.text] = true
			item, err := r.yamlNode(y.Content[i+1], depth+1)
			if err != nil {
				return nil, err
			}
			n.keys, n.items = append(n.keys, key), append(n.items, item)
		}
		return n, nil
	}
	return nil, r.fail(y.Line, y.Column, "not YAML that can be read")
}

// startsWith reports whether the source of y starts with c: the parser says
// nothing of a "!" that stands alone.
func (r *docReader) startsWith(y *yaml.Node, c byte) bool {
	r.seek(func() bool { return r.line+1 > y.Line || r.line+1 == y.Line && r.column+1 >= y.Column })
	return r.offset < len(r.data) && r.data[r.offset] == c
}

var (
	plainInteger = regexp.MustCompile(`^(0|-?[1-9][0-9]*)$`)
	// What some version of YAML takes for something other than a string:
	// YAML 1.1's and 1.2's null, bool, int, float, timestamp, merge and value
	// (yaml.org/type), in any case of letters.
	plainUnclear = regexp.MustCompile(`(?i)^(` +
		`~|null|y|n|yes|no|on|off|true|false|<<|=|` +
		`[-+]?0b[01_]+|[-+]?0o?[0-7_]+|[-+]?0x[0-9a-f_]+|` +
		`[-+]?[0-9][0-9_]*(:[0-5]?[0-9])*(\.[0-9_]*)?(e[-+]?[0-9]+)?|` +
		`[-+]?\.[0-9_]+(e[-+]?[0-9]+)?|[-+]?\.inf|\.nan|` +
		`[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([t \t].*)?` +
		`)$`)
)

// plainKind says what a YAML scalar without quotes is.
func plainKind(s string) docKind {
	switch {
	case s == "" || s == "~" || s == "null":
		return docNull
	case s == "true" || s == "false":
		return docBool
	case plainInteger.MatchString(s):
		return docNumber
	case plainUnclear.MatchString(s):
		return docUnclear
	}
	return docString
}
