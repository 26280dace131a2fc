// Package policyschema checks that the published JSON Schema of policies and
// the reader of policies agree: an editor that follows the one must not accept
// what the other refuses.
package policyschema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/hallmark-build/hallmark/verify"
	"github.com/hallmark-build/hallmark/verify/cel"
)

func compileSchema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	data, err := os.ReadFile("../../../docs/policy.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("policy.schema.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("policy.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// readJSON reads a document as JSON values.
func readJSON(t testing.TB, data []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// wholePolicy is the policy that has every field, as JSON.
func wholePolicy(t testing.TB) []byte {
	t.Helper()
	data, err := os.ReadFile("../../../testdata/policy/whole.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := yaml.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// accepted reports whether a policy can be read, and whether it can be used.
func accepted(data []byte) (parses, compiles error) {
	p, err := verify.ParsePolicy("p", data)
	if err != nil {
		return err, err
	}
	_, err = verify.New(p, verify.Options{Conditions: cel.Compiler{}, Parameters: map[string]string{"COMMIT": strings.Repeat("0", 40)}})
	return nil, err
}

// TestSchemaAgrees changes the whole policy in every single place, in many
// ways. What the schema accepts, the reader reads; what the schema refuses, the
// reader or New refuses.
func TestSchemaAgrees(t *testing.T) {
	schema := compileSchema(t)
	whole := wholePolicy(t)
	if err := schema.Validate(readJSON(t, whole)); err != nil {
		t.Fatalf("the schema refuses the whole policy: %v", err)
	}
	if _, err := accepted(whole); err != nil {
		t.Fatalf("New refuses the whole policy: %v", err)
	}
	checked, refused := 0, 0
	check := func(path string, root any) {
		data, err := json.Marshal(root)
		if err != nil {
			t.Fatal(err)
		}
		bySchema := schema.Validate(readJSON(t, data))
		parses, compiles := accepted(data)
		checked++
		if bySchema != nil {
			refused++
		}
		switch {
		case bySchema == nil && parses != nil:
			t.Errorf("%s: the schema accepts what the reader refuses: %v", path, parses)
		case bySchema != nil && compiles == nil:
			t.Errorf("%s: the schema refuses what New accepts: %v", path, bySchema)
		}
	}
	// Every place is visited by walking a private copy, changing it, and
	// putting it back.
	var root any = readJSON(t, whole)
	values := []any{nil, true, json.Number("1"), json.Number("1.5"), json.Number("-1"), "x", "", "12h", "1.5h", "h", "0d", "30d",
		"2030-01-31T00:00:00Z", "2030-01-31", "2030-01-31 00:00:00Z", []any{}, []any{"x"}, map[string]any{}, map[string]any{"x": "y"}}
	var walk func(path string, v any, set func(any))
	walk = func(path string, v any, set func(any)) {
		for i, other := range values {
			set(other)
			check(fmt.Sprintf("%s = %v (%d)", path, other, i), root)
		}
		set(v)
		switch x := v.(type) {
		case map[string]any:
			x["unknown"] = "x"
			check(path+".unknown", root)
			delete(x, "unknown")
			for _, k := range slices.Sorted(maps.Keys(x)) {
				old := x[k]
				delete(x, k)
				check(path+" without "+k, root)
				upper := strings.ToUpper(k[:1]) + k[1:]
				if _, ok := x[upper]; !ok && upper != k {
					x[upper] = old
					check(path+" with "+upper, root)
					delete(x, upper)
				}
				x[k] = old
				walk(path+"."+k, old, func(n any) { x[k] = n })
			}
		case []any:
			for i, old := range x {
				walk(fmt.Sprintf("%s[%d]", path, i), old, func(n any) { x[i] = n })
			}
		}
	}
	walk("", root, func(n any) { root = n })
	t.Logf("%d policies, of which the schema refuses %d", checked, refused)
	if checked < 2000 || refused < 1000 {
		t.Errorf("only %d policies were checked, of which %d were refused", checked, refused)
	}
}
