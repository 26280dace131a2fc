package intoto

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/strictjson"
	"github.com/hallmark-build/hallmark/provenance/layout"
)

// An attestationLayout is an ITE-10 layout, whose steps want attestations
// with predicates rather than links, with the attribute rules of ITE-11.
type attestationLayout struct {
	Expires       string                    `json:"expires"`
	Readme        string                    `json:"readme"`
	Functionaries map[string]functionaryKey `json:"functionaries"`
	Steps         []attestationStep         `json:"steps"`
	Subjects      []json.RawMessage         `json:"subjects"`
	Inspections   []json.RawMessage         `json:"inspections"`
}

type functionaryKey struct {
	KeyType             string   `json:"keyType"`
	Scheme              string   `json:"scheme"`
	KeyIDHashAlgorithms []string `json:"keyIDHashAlgorithms"`
	KeyVal              struct {
		Public string `json:"public"`
	} `json:"keyVal"`
	KeyID string `json:"keyID"`
}

func (k functionaryKey) key(id string) layout.Key {
	return layout.Key{KeyID: id, KeyType: k.KeyType, Scheme: k.Scheme, KeyIDHashAlgorithms: k.KeyIDHashAlgorithms,
		KeyVal: layout.KeyVal{Public: k.KeyVal.Public}}
}

type attestationStep struct {
	Name               string              `json:"name"`
	Command            string              `json:"command"`
	ExpectedMaterials  []ruleText          `json:"expectedMaterials"`
	ExpectedProducts   []ruleText          `json:"expectedProducts"`
	ExpectedPredicates []expectedPredicate `json:"expectedPredicates"`
}

type expectedPredicate struct {
	PredicateType      string          `json:"predicateType"`
	ExpectedAttributes []attributeRule `json:"expectedAttributes"`
	Functionaries      []string        `json:"functionaries"`
	Threshold          int             `json:"threshold"` // 0 is 1 (ITE-10)
}

type attributeRule struct {
	Rule           string `json:"rule"`
	AllowIfNoClaim bool   `json:"allowIfNoClaim"`
	Warn           bool   `json:"warn"`
	Debug          string `json:"debug"`
}

// A ruleText is an artifact rule, as one string or as the list of its words.
type ruleText struct{ layout.Rule }

func (r *ruleText) UnmarshalJSON(data []byte) (err error) {
	if data[0] == '[' {
		return r.Rule.UnmarshalJSON(data)
	}
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return errors.New("an artifact rule is a string or a list of strings")
	}
	words, err := splitRule(text)
	if err == nil {
		r.Rule, err = layout.ParseRule(words)
	}
	return err
}

// splitRule takes a rule apart. Words are separated by white space; a word
// with white space in it stands in double quotes. Where one pattern follows
// the verb, it may also stand there as it is.
func splitRule(text string) ([]string, error) {
	verb, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
	rest = strings.TrimSpace(rest)
	if !strings.EqualFold(verb, string(layout.Match)) && !strings.HasPrefix(rest, `"`) {
		return []string{verb, rest}, nil
	}
	words := []string{verb}
	for rest != "" {
		if rest[0] == '"' {
			word, after, ok := strings.Cut(rest[1:], `"`)
			if !ok || after != "" && !strings.HasPrefix(after, " ") {
				return nil, fmt.Errorf("rule %s: a word in quotes that does not end", clip(text))
			}
			words, rest = append(words, word), strings.TrimSpace(after)
			continue
		}
		word, after, _ := strings.Cut(rest, " ")
		words, rest = append(words, word), strings.TrimSpace(after)
	}
	return words, nil
}

// parseAttestationLayout reads an ITE-10 layout. Nothing in it is passed over:
// a field that is not known is an error.
func parseAttestationLayout(data []byte) (*attestationLayout, error) {
	if len(data) > limits.Layout {
		return nil, fmt.Errorf("a layout of %d bytes exceeds the limit of %d", len(data), limits.Layout)
	}
	doc, err := yamlToJSON(data)
	if err != nil {
		return nil, err
	}
	l := new(attestationLayout)
	if err := strictjson.Into(doc, 0, l); err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(doc))
	dec.DisallowUnknownFields()
	if err := dec.Decode(new(attestationLayout)); err != nil {
		return nil, err
	}
	return l, nil
}

func (l *attestationLayout) expires() (time.Time, error) {
	t, err := time.Parse(time.RFC3339, l.Expires)
	if err != nil {
		return time.Time{}, fmt.Errorf("expires: want RFC 3339, such as 2030-01-31T12:00:00Z, found %s", clip(l.Expires))
	}
	return t, nil
}

// yamlToJSON converts one YAML document to JSON, refusing what makes YAML mean
// more than it shows: aliases, anchors, tags, merge keys, and names twice.
func yamlToJSON(data []byte) (out []byte, err error) {
	if !utf8.Valid(data) {
		return nil, errors.New("not UTF-8")
	}
	// The parser allocates for every node before it can be stopped.
	marks := 0
	for _, c := range data {
		if strings.IndexByte("\n,:-?[{", c) >= 0 {
			marks++
		}
	}
	if marks > 2*limits.PolicyNodes {
		return nil, fmt.Errorf("more than %d values", limits.PolicyNodes)
	}
	defer func() {
		if x := recover(); x != nil { // the parser is not ours
			out, err = nil, fmt.Errorf("not YAML that can be read: %v", x)
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	if err := dec.Decode(&doc); err != nil {
		return nil, fmt.Errorf("not YAML: %w", err)
	}
	if err := dec.Decode(&more); err != io.EOF {
		return nil, errors.New("want one YAML document")
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return nil, errors.New("the document is empty")
	}
	return appendNode(nil, doc.Content[0], 0)
}

func appendNode(b []byte, n *yaml.Node, depth int) (_ []byte, err error) {
	fail := func(format string, args ...any) ([]byte, error) {
		return nil, fmt.Errorf("line %d: %s", n.Line, fmt.Sprintf(format, args...))
	}
	switch {
	case depth > limits.PolicyDepth:
		return fail("nested deeper than %d", limits.PolicyDepth)
	case n.Kind == yaml.AliasNode || n.Anchor != "" || n.Style&yaml.TaggedStyle != 0:
		return fail("aliases, anchors and tags are not allowed in a layout")
	}
	switch n.Kind {
	case yaml.ScalarNode:
		switch n.Tag {
		case "!!null":
			return append(b, "null"...), nil
		case "!!bool":
			if n.Value != "true" && n.Value != "false" {
				return fail("want true or false, found %s", clip(n.Value))
			}
			return append(b, n.Value...), nil
		case "!!int":
			i, err := strconv.ParseInt(n.Value, 10, 32)
			if err != nil || strconv.FormatInt(i, 10) != n.Value {
				return fail("want an integer, found %s; if text is meant, write it in quotes", clip(n.Value))
			}
			return append(b, n.Value...), nil
		case "!!str", "!!timestamp":
			s, err := json.Marshal(n.Value)
			return append(b, s...), err
		}
		return fail("%s is not text; if that is meant, write it in quotes", clip(n.Value))
	case yaml.SequenceNode:
		b = append(b, '[')
		for i, c := range n.Content {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendNode(b, c, depth+1); err != nil {
				return nil, err
			}
		}
		return append(b, ']'), nil
	case yaml.MappingNode:
		seen := make(map[string]bool, len(n.Content)/2)
		b = append(b, '{')
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			switch {
			case key.Kind != yaml.ScalarNode || key.Anchor != "" || key.Style&yaml.TaggedStyle != 0 || key.Tag == "!!merge":
				return fail("a name that is not plain text")
			case seen[key.Value]:
				return fail("the name %s is here twice", clip(key.Value))
			}
			seen[key.Value] = true
			name, err := json.Marshal(key.Value)
			if err != nil {
				return nil, err
			}
			if i > 0 {
				b = append(b, ',')
			}
			b = append(append(b, name...), ':')
			if b, err = appendNode(b, n.Content[i+1], depth+1); err != nil {
				return nil, err
			}
		}
		return append(b, '}'), nil
	}
	return fail("not YAML that can be read")
}
