package verify

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// YAML returns the policy as a document that [ParsePolicy] reads back to an
// equal policy: fields in the order of the types, names sorted, stages so
// that each follows those that it names. The same policy gives the same bytes.
func (p *Policy) YAML() ([]byte, error) {
	n, err := yamlOf(reflect.ValueOf(p).Elem(), "")
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(n); err != nil {
		return nil, err
	}
	if err := enc.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// String returns the duration as [Policy] documents write it: in days where
// it is a number of days ("30d"), else as Go does ("36h0m0s").
func (d Duration) String() string {
	const day = Duration(24 * time.Hour)
	if d > 0 && d%day == 0 && d/day < 100_000 {
		return strconv.FormatInt(int64(d/day), 10) + "d"
	}
	return time.Duration(d).String()
}

// shorthands are the types that a string alone may stand for, with the field
// that it gives.
var shorthands = map[reflect.Type]string{
	reflect.TypeFor[Key]():   "pem",
	reflect.TypeFor[Flow]():  "stage",
	reflect.TypeFor[About](): "stage",
}

func yamlOf(v reflect.Value, path string) (*yaml.Node, error) {
	scalar := func(tag, s string) (*yaml.Node, error) {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: s}, nil
	}
	switch x := v.Interface().(type) {
	case time.Time:
		if y := x.UTC().Year(); y < 0 || y > 9999 {
			return nil, &PolicyError{Path: path, Reason: PolicyField, Msg: fmt.Sprintf("the year %d cannot be written", y)}
		}
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!timestamp", Value: x.UTC().Format(time.RFC3339Nano)}, nil
	case Duration:
		if x <= 0 {
			return nil, &PolicyError{Path: path, Reason: PolicyField, Msg: "a duration must be positive"}
		}
		return scalar("!!str", x.String())
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			if v.Type().Elem().Kind() != reflect.String {
				return nil, &PolicyError{Path: path, Reason: PolicyEmpty, Msg: "is nil"}
			}
			return scalar("!!null", "null")
		}
		return yamlOf(v.Elem(), path)
	case reflect.String:
		return yamlString(v.String(), path)
	case reflect.Bool:
		return scalar("!!bool", strconv.FormatBool(v.Bool()))
	case reflect.Int, reflect.Int64:
		return scalar("!!int", strconv.FormatInt(v.Int(), 10))
	case reflect.Slice:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		short := true
		for i := range v.Len() {
			item, err := yamlOf(v.Index(i), path+"["+strconv.Itoa(i)+"]")
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, item)
			short = short && item.Kind == yaml.ScalarNode && item.Style == 0 && len(item.Value) < 24 && !strings.Contains(item.Value, ":")
		}
		if short && len(n.Content) <= 4 {
			n.Style = yaml.FlowStyle // [build, test]
		}
		return n, nil
	case reflect.Map:
		return yamlMap(v, path)
	case reflect.Struct:
		return yamlFields(v, path)
	}
	panic("verify: a policy cannot have a field of type " + v.Type().String())
}

func yamlMap(v reflect.Value, path string) (*yaml.Node, error) {
	n := &yaml.Node{Kind: yaml.MappingNode}
	names := make([]string, 0, v.Len())
	for _, k := range v.MapKeys() {
		names = append(names, k.String())
	}
	slices.Sort(names)
	if stages, ok := v.Interface().(map[string]*Stage); ok {
		names = inOrder(names, stages)
	}
	for _, name := range names {
		key, err := yamlString(name, path)
		if err != nil {
			return nil, err
		}
		if key.Style == yaml.LiteralStyle {
			key.Style = yaml.DoubleQuotedStyle
		}
		item, err := yamlOf(v.MapIndex(reflect.ValueOf(name)), join(path, name))
		if err != nil {
			return nil, err
		}
		n.Content = append(n.Content, key, item)
	}
	return n, nil
}

func yamlFields(v reflect.Value, path string) (*yaml.Node, error) {
	n := &yaml.Node{Kind: yaml.MappingNode}
	short, isShort := shorthands[v.Type()]
	for _, f := range policyFields(v.Type()) {
		field := v.Field(f.index)
		empty := field.IsZero() || (field.Kind() == reflect.Slice || field.Kind() == reflect.Map) && field.Len() == 0
		if empty && !f.required {
			continue
		}
		isShort = isShort && f.name == short
		item, err := yamlOf(field, join(path, f.name))
		if err != nil {
			return nil, err
		}
		n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: f.name}, item)
	}
	if isShort && len(n.Content) == 2 {
		return n.Content[1], nil
	}
	return n, nil
}

// yamlString returns a string so that no version of YAML takes it for something else.
func yamlString(s, path string) (*yaml.Node, error) {
	if !utf8.ValidString(s) {
		return nil, &PolicyError{Path: clipPath(path), Reason: PolicyField, Msg: "is not UTF-8"}
	}
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	switch {
	case blockable(s):
		n.Style = yaml.LiteralStyle
	case plainKind(s) != docString || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }):
		n.Style = yaml.DoubleQuotedStyle
	}
	return n, nil
}

// blockable reports whether s is several lines of plain text, which a literal
// block shows as they are.
func blockable(s string) bool {
	body, ended := strings.CutSuffix(s, "\n")
	if !ended || body == "" {
		return false
	}
	for line := range strings.SplitSeq(body, "\n") {
		if line == "" || line[0] == ' ' || line[len(line)-1] == ' ' ||
			strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r > '~' }) {
			return false
		}
	}
	return true
}

// inOrder returns the names, which are sorted, so that each stage follows
// those that it names. Stages of a cycle stay as they are.
func inOrder(names []string, stages map[string]*Stage) []string {
	var out []string
	seen := map[string]bool{}
	var visit func(name string)
	visit = func(name string) {
		s, ok := stages[name]
		if !ok || seen[name] {
			return
		}
		seen[name] = true
		if s != nil {
			for _, f := range s.From {
				visit(f.Stage)
			}
			for _, a := range s.About {
				visit(a.Stage)
			}
			for _, a := range s.After {
				visit(a)
			}
		}
		out = append(out, name)
	}
	for _, name := range names {
		visit(name)
	}
	return out
}
