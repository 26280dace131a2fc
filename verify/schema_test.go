package verify

import (
	"bytes"
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hallmark-build/hallmark/internal/limits"
)

var update = flag.Bool("update", false, "rewrite docs/policy.schema.json from the Go types")

// The JSON Schema is made of the Go types and their comments, so that it has
// every field, and of what is said here about values.
var schemaConstraints = map[string]map[string]any{
	"Policy.schema":         {"const": PolicySchema},
	"Identity.subjectType":  {"enum": []string{"", "uri", "email", "other"}},
	"Flow.names":            {"enum": []string{"", "same", "base"}},
	"Requirement.which":     {"enum": []string{"", "any", "newest", "all", "none"}},
	"Requirement.threshold": {"minimum": 0},
	"Rule.organizations":    {"minimum": 0},
	"Revocation.key":        {"pattern": "^((sha256:)?[0-9a-f]{64})?$"},
	"Policy.parameters":     {"propertyNames": map[string]any{"pattern": "^[A-Za-z0-9_-]+$", "maxLength": limits.PolicyName}},
}

func TestPolicySchema(t *testing.T) {
	const file = "../docs/policy.schema.json"
	want := policyJSONSchema(t)
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what the Go types say; run go test ./verify -run TestPolicySchema -update", file)
	}
}

func policyJSONSchema(t *testing.T) []byte {
	comments := fieldComments(t)
	defs := map[string]any{}
	var schemaOf func(typ reflect.Type) map[string]any
	fields := func(typ reflect.Type) map[string]any {
		properties, required := map[string]any{}, []string{}
		for _, f := range policyFields(typ) {
			name := typ.Name() + "." + f.name
			s := schemaOf(typ.Field(f.index).Type)
			if text := comments[typ.Name()+"."+typ.Field(f.index).Name]; text != "" {
				s["description"] = text
			} else {
				t.Errorf("%s has no comment", name)
			}
			maps.Copy(s, schemaConstraints[name])
			properties[f.name] = s
			if f.required {
				required = append(required, f.name)
			}
		}
		s := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
		if len(required) > 0 {
			s["required"] = required
		}
		return s
	}
	schemaOf = func(typ reflect.Type) map[string]any {
		switch typ {
		case timeType:
			return map[string]any{"type": "string", "format": "date-time",
				"pattern": `^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?(Z|[+-][0-9]{2}:[0-9]{2})$`}
		case durationType:
			return map[string]any{"type": "string", "pattern": `^([1-9][0-9]{0,4}d|\+?(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$`}
		}
		switch typ.Kind() {
		case reflect.Pointer:
			s := schemaOf(typ.Elem())
			if typ.Elem().Kind() == reflect.String {
				s["type"] = []string{"string", "null"}
			}
			return s
		case reflect.String:
			return map[string]any{"type": "string"}
		case reflect.Bool:
			return map[string]any{"type": "boolean"}
		case reflect.Int, reflect.Int64:
			return map[string]any{"type": "integer"}
		case reflect.Slice:
			return map[string]any{"type": "array", "items": schemaOf(typ.Elem())}
		case reflect.Map:
			s := map[string]any{"type": "object", "additionalProperties": schemaOf(typ.Elem())}
			if typ.Elem().Kind() != reflect.String {
				s["propertyNames"] = map[string]any{"maxLength": limits.PolicyName}
			}
			return s
		}
		if defs[typ.Name()] == nil {
			defs[typ.Name()] = true // against recursion
			s := fields(typ)
			if _, ok := shorthands[typ]; ok {
				s = map[string]any{"oneOf": []any{map[string]any{"type": "string"}, s}}
			}
			s["description"] = comments[typ.Name()]
			defs[typ.Name()] = s
		}
		return map[string]any{"$ref": "#/$defs/" + typ.Name()}
	}
	schema := fields(reflect.TypeFor[Policy]())
	schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	schema["$id"] = PolicySchema + "/schema.json"
	schema["title"] = "Hallmark policy, version 1"
	schema["description"] = comments["Policy"]
	schema["$defs"] = defs
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(schema); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

var docLink = regexp.MustCompile(`\[([A-Za-z.]+)\]`)

// fieldComments returns the comments of the types and fields of a policy, by
// "Type" and "Type.Field".
func fieldComments(t *testing.T) map[string]string {
	var decls []ast.Decl
	for _, name := range []string{"policy.go", "sigstore.go"} {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		decls = append(decls, file.Decls...)
	}
	text := func(groups ...*ast.CommentGroup) string {
		for _, g := range groups {
			if g != nil {
				s := strings.Join(strings.Fields(g.Text()), " ")
				return docLink.ReplaceAllString(s, "$1")
			}
		}
		return ""
	}
	out := map[string]string{}
	for _, d := range decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.TYPE {
			continue
		}
		for _, spec := range g.Specs {
			ts := spec.(*ast.TypeSpec)
			out[ts.Name.Name] = text(ts.Doc, g.Doc)
			st, ok := ts.Type.(*ast.StructType)
			if !ok {
				continue
			}
			last := ""
			for _, f := range st.Fields.List {
				for _, n := range f.Names {
					// Two fields may share the comment of the first.
					s := text(f.Doc, f.Comment)
					if s == "" {
						s = last
					}
					last = s
					out[ts.Name.Name+"."+n.Name] = s
				}
			}
		}
	}
	return out
}

// Every field is explained in the manual, and the policies in it are read.
func TestPolicyManual(t *testing.T) {
	manual, err := os.ReadFile("../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	fields := map[string]bool{}
	var walk func(typ reflect.Type)
	walk = func(typ reflect.Type) {
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice || typ.Kind() == reflect.Map {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct || typ == timeType {
			return
		}
		for _, f := range policyFields(typ) {
			if !fields[typ.Name()+"."+f.name] {
				fields[typ.Name()+"."+f.name] = true
				walk(typ.Field(f.index).Type)
			}
		}
	}
	walk(reflect.TypeFor[Policy]())
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		_, field, _ := strings.Cut(name, ".")
		if !bytes.Contains(manual, []byte("`"+field+"`")) {
			t.Errorf("docs/policy.md does not explain `%s` of %s", field, name)
		}
	}
	n := 0
	for rest := string(manual); ; n++ {
		var block string
		var ok bool
		if _, rest, ok = strings.Cut(rest, "```yaml\n"); !ok {
			break
		}
		block, rest, _ = strings.Cut(rest, "```")
		if !strings.HasPrefix(strings.TrimLeft(block, "# "), "schema:") && !strings.Contains(block, "\nschema:") {
			continue // a piece of a policy
		}
		if _, err := ParsePolicy("docs/policy.md", []byte(block)); err != nil {
			t.Errorf("policy %d: %v", n, err)
		}
	}
	if n == 0 {
		t.Error("docs/policy.md has no policy")
	}
}
