package verify

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/regular"
)

// ReadPolicy reads the policy in the file at path, as [ParsePolicy] does. An
// error of reading the file is returned as it is.
func ReadPolicy(path string) (*Policy, error) {
	f, _, err := regular.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limits.Policy+1))
	if err != nil {
		return nil, err
	}
	return ParsePolicy(path, data)
}

// ParsePolicy reads a policy from YAML or JSON; a document whose first
// character is "{" is JSON. name stands for the file in errors, all of which
// are a [*PolicyError] with the line and column.
//
// There is one way to read a policy, so what two programs could understand
// differently is refused: unknown fields, names twice in one mapping, and in
// YAML anchors, aliases, merge keys, tags, directives, several documents, and
// words without quotes that versions of YAML disagree about (yes, on, 1_000,
// 2030-01-01) where a string is wanted. JSON is RFC 8259 and I-JSON.
//
// ParsePolicy checks the form only. What the policy says is checked by [New].
func ParsePolicy(name string, data []byte) (*Policy, error) {
	r := &docReader{file: name, data: data}
	root, err := r.read()
	if err != nil {
		return nil, err
	}
	p := new(Policy)
	d := &docDecoder{file: name, positions: positions{"": r.at(root.line, root.column)}}
	if err := d.schema(root); err != nil {
		return nil, err
	}
	if err := d.value(root, reflect.ValueOf(p).Elem(), ""); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(data)
	p.positions, p.digest = d.positions, "sha256:"+hex.EncodeToString(sum[:])
	return p, nil
}

// errorAt returns the error of the field at path ("stages.build.requires[0].signers"),
// with the position where that field, or else the nearest thing around it, was written.
func (p *Policy) errorAt(path, reason, format string, args ...any) *PolicyError {
	return &PolicyError{Position: p.positions.near(path), Path: path, Reason: reason, Msg: fmt.Sprintf(format, args...)}
}

// near returns the position of the field at path, or of the nearest thing around it.
func (m positions) near(path string) Position {
	for {
		pos, ok := m[path]
		if ok || path == "" {
			return pos
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
}

// join returns the path of the field called name of what is at path.
func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// A docDecoder puts the nodes of a document into the Go types, by the names of
// their json tags. A field whose tag has neither omitempty nor omitzero must
// be there.
type docDecoder struct {
	file      string
	positions positions
}

func (d *docDecoder) fail(n *docNode, path, format string, args ...any) error {
	return &PolicyError{
		Position: Position{d.file, n.line, n.column},
		Path:     clipPath(path),
		Reason:   PolicyField,
		Msg:      fmt.Sprintf(format, args...),
	}
}

// schema looks at the schema field before anything else: under another
// version of the format every other complaint would mislead.
func (d *docDecoder) schema(root *docNode) error {
	if root.kind != docMap {
		return d.fail(root, "", "want a mapping of fields, found %s", root.describe())
	}
	for i, key := range root.keys {
		if key.text == "schema" {
			v := root.items[i]
			if v.kind != docString || v.text != PolicySchema {
				return d.fail(v, "schema", "want %q, found %s", PolicySchema, v.describe())
			}
			return nil
		}
	}
	return d.fail(root, "", "schema is missing: a policy starts with\n  schema: %s", PolicySchema)
}

var (
	timeType        = reflect.TypeFor[time.Time]()
	durationType    = reflect.TypeFor[Duration]()
	unmarshalerType = reflect.TypeFor[json.Unmarshaler]()
)

// value decodes n into v.
func (d *docDecoder) value(n *docNode, v reflect.Value, path string) error {
	t := v.Type()
	if t.Kind() == reflect.Pointer {
		if n.kind == docNull && t.Elem().Kind() == reflect.String {
			return nil // a parameter without a default
		}
		v.Set(reflect.New(t.Elem()))
		return d.value(n, v.Elem(), path)
	}
	// A zone is only a way to write an instant.
	if t == timeType {
		when, err := time.Parse(time.RFC3339, n.text)
		if y := when.UTC().Year(); y < 0 || y > 9999 || err != nil || n.kind != docString && n.kind != docUnclear {
			return d.fail(n, path, "want a time such as 2030-01-31T00:00:00Z, found %s", n.describe())
		}
		v.Set(reflect.ValueOf(when.UTC()))
		return nil
	}
	short := n.kind == docString && reflect.PointerTo(t).Implements(unmarshalerType)
	if t == durationType || short {
		data, err := json.Marshal(n.text)
		if err == nil && n.kind == docString {
			err = v.Addr().Interface().(json.Unmarshaler).UnmarshalJSON(data)
		} else if err == nil {
			err = fmt.Errorf(`want a duration such as "36h" or "30d", found %s`, n.describe())
		}
		if err != nil {
			return d.fail(n, path, "%v", err)
		}
		return nil
	}

	switch t.Kind() {
	case reflect.String:
		if n.kind != docString {
			hint := ""
			if n.kind == docBool || n.kind == docNumber || n.kind == docUnclear {
				hint = fmt.Sprintf("; if that is meant, write it in quotes: %q", n.text)
			}
			return d.fail(n, path, "want a string, found %s%s", n.describe(), hint)
		}
		v.SetString(n.text)
	case reflect.Bool:
		if n.kind != docBool {
			return d.fail(n, path, "want true or false, found %s", n.describe())
		}
		v.SetBool(n.text == "true")
	case reflect.Int, reflect.Int64:
		i, err := strconv.ParseInt(n.text, 10, t.Bits())
		if n.kind != docNumber || err != nil {
			return d.fail(n, path, "want a whole number, found %s", n.describe())
		}
		v.SetInt(i)
	case reflect.Slice:
		if n.kind != docList {
			return d.fail(n, path, "want a list, found %s%s", n.describe(), leaveOut(n, "[]"))
		}
		if len(n.items) == 0 {
			return nil
		}
		v.Set(reflect.MakeSlice(t, len(n.items), len(n.items)))
		for i, item := range n.items {
			at := path + "[" + strconv.Itoa(i) + "]"
			d.positions[at] = Position{d.file, item.line, item.column}
			if err := d.value(item, v.Index(i), at); err != nil {
				return err
			}
		}
	case reflect.Map:
		return d.mapping(n, v, path)
	case reflect.Struct:
		return d.fields(n, v, path)
	default:
		panic("verify: a policy cannot have a field of type " + t.String())
	}
	return nil
}

func leaveOut(n *docNode, empty string) string {
	if n.kind != docNull {
		return ""
	}
	return "; leave the field out, or write " + empty
}

// mapping decodes a mapping whose names are the policy's own.
func (d *docDecoder) mapping(n *docNode, v reflect.Value, path string) error {
	if n.kind != docMap {
		return d.fail(n, path, "want a mapping of names, found %s%s", n.describe(), leaveOut(n, "{}"))
	}
	if len(n.keys) == 0 {
		return nil
	}
	t := v.Type()
	v.Set(reflect.MakeMapWithSize(t, len(n.keys)))
	for i, key := range n.keys {
		// Names become part of the path of everything under them.
		if t.Elem().Kind() != reflect.String && len(key.text) > limits.PolicyName {
			return d.fail(key, path, "a name of %d bytes exceeds the limit of %d", len(key.text), limits.PolicyName)
		}
		if key.kind != docString {
			return d.fail(key, path, "want a name, found %s; if that is meant, write it in quotes: %q", key.describe(), key.text)
		}
		e := reflect.New(t.Elem()).Elem()
		if err := d.entry(key, n.items[i], e, join(path, key.text)); err != nil {
			return err
		}
		v.SetMapIndex(reflect.ValueOf(key.text), e)
	}
	return nil
}

// entry decodes the value of a key. A field is where its value is when that is
// on one line, else where its name is.
func (d *docDecoder) entry(key, n *docNode, v reflect.Value, path string) error {
	at := n
	if n.kind == docMap || n.kind == docList || n.kind == docNull {
		at = key
	}
	d.positions[path] = Position{d.file, at.line, at.column}
	if n.kind == docNull {
		n.line, n.column = key.line, key.column // nothing is nowhere
	}
	return d.value(n, v, path)
}

// fields decodes a mapping whose names are those of a Go type.
func (d *docDecoder) fields(n *docNode, v reflect.Value, path string) error {
	if n.kind != docMap {
		return d.fail(n, path, "want a mapping of fields, found %s", n.describe())
	}
	fields := policyFields(v.Type())
	for i, key := range n.keys {
		f := slices.IndexFunc(fields, func(f policyField) bool { return f.name == key.text })
		if f < 0 {
			return d.fail(key, path, "unknown field %s%s", quoteClip(key.text), didYouMean(key.text, fields))
		}
		if err := d.entry(key, n.items[i], v.Field(fields[f].index), join(path, key.text)); err != nil {
			return err
		}
	}
	for _, f := range fields {
		if f.required && !slices.ContainsFunc(n.keys, func(k *docNode) bool { return k.text == f.name }) {
			return d.fail(n, path, "%s is missing", f.name)
		}
	}
	return nil
}

type policyField struct {
	name     string
	index    int
	required bool
}

// policyFields returns the fields of a struct type by the names of their json tags.
func policyFields(t reflect.Type) []policyField {
	var out []policyField
	for i := range t.NumField() {
		tag, ok := t.Field(i).Tag.Lookup("json")
		if !ok {
			continue
		}
		name, opts, _ := strings.Cut(tag, ",")
		out = append(out, policyField{name, i, opts == ""})
	}
	return out
}

func didYouMean(name string, fields []policyField) string {
	best, least := "", 3
	for _, f := range fields {
		if n := editDistance(strings.ToLower(name), strings.ToLower(f.name)); n < least && n < len(f.name) {
			best, least = f.name, n
		}
	}
	if best != "" {
		return fmt.Sprintf("; did you mean %q?", best)
	}
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	slices.Sort(names)
	return "; the fields here are " + strings.Join(names, ", ")
}

// editDistance returns how many letters must be added, dropped or changed to
// make b of a, or something larger than 2 when that is many.
func editDistance(a, b string) int {
	if len(a) > len(b)+2 || len(b) > len(a)+2 {
		return 3
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := last
			if a[i] != b[j] {
				cost++
			}
			last = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}

func clipPath(s string) string {
	if len(s) > 500 {
		return strings.ToValidUTF8(s[:500], "") + "…"
	}
	return s
}

func quoteClip(s string) string {
	if len(s) > 60 {
		s = strings.ToValidUTF8(s[:60], "") + "…"
	}
	return strconv.Quote(s)
}
