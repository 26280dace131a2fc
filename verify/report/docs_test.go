package report

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hallmark-build/hallmark/verify"
)

// constants returns the values of the string constants of package verify whose
// names begin with prefix, by name.
func constants(t *testing.T, file, prefix string) map[string]string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", file), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			v := s.(*ast.ValueSpec)
			if !strings.HasPrefix(v.Names[0].Name, prefix) || len(v.Values) != 1 {
				continue
			}
			if lit, ok := v.Values[0].(*ast.BasicLit); ok && lit.Kind == token.STRING {
				s, err := strconv.Unquote(lit.Value)
				if err != nil {
					t.Fatal(err)
				}
				out[v.Names[0].Name] = s
			}
		}
	}
	return out
}

// docs/reasons.md has a section for every reason, with the sentences that the
// renderers show, and no other section.
func TestReasonsAreDocumented(t *testing.T) {
	data, err := os.ReadFile("../../docs/reasons.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{}
	for _, s := range strings.Split(string(data), "\n### ")[1:] {
		head, body, _ := strings.Cut(s, "\n")
		name := strings.Trim(head, "`")
		if _, twice := sections[name]; twice {
			t.Errorf("%s is documented twice", name)
		}
		sections[name] = strings.ReplaceAll(body, "`", "")
	}
	reasons := constants(t, "reason.go", "Reason")
	policy := constants(t, "policy.go", "Policy")
	delete(policy, "PolicySchema")
	for name, v := range policy {
		if !strings.HasPrefix(v, "policy-") {
			delete(policy, name)
		}
	}
	if len(reasons) < 30 || len(policy) < 9 {
		t.Fatalf("found %d reasons and %d policy reasons", len(reasons), len(policy))
	}
	want := slices.Sorted(maps.Values(reasons))
	want = append(want, slices.Collect(maps.Values(policy))...)
	for _, r := range want {
		body, ok := sections[r]
		if !ok {
			t.Errorf("docs/reasons.md says nothing about %s", r)
		}
		delete(sections, r)
		for _, part := range []string{"\n**What it means.** ", "\n**Typical cause.** ", "\n**What mends it.** "} {
			if !strings.Contains(body, part) {
				t.Errorf("docs/reasons.md: %s lacks %q", r, strings.TrimSpace(part))
			}
		}
		if e, ok := explanations[verify.Reason(r)]; ok && (!strings.Contains(body, e.means) || !strings.Contains(body, e.mend)) {
			t.Errorf("docs/reasons.md and reasons.go explain %s differently", r)
		}
	}
	for name := range sections {
		t.Errorf("docs/reasons.md explains %s, which is no reason", name)
	}
	for _, r := range reasons {
		if e := explanations[verify.Reason(r)]; e.means == "" || e.mend == "" {
			t.Errorf("reasons.go lacks %s", r)
		}
	}
	if len(explanations) != len(reasons) {
		t.Errorf("reasons.go explains %d reasons, there are %d", len(explanations), len(reasons))
	}
}

// docs/report.schema.json has the fields of the Go types, and requires those
// that are always written.
func TestSchemaHasAllFields(t *testing.T) {
	data, err := os.ReadFile("../../docs/report.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Defs map[string]struct {
			Properties map[string]any
			Required   []string
		} `json:"$defs"`
	}
	if err := json.Unmarshal(data, &schema); err != nil {
		t.Fatal(err)
	}
	types := []any{verify.Report{}, verify.ReportArtifact{}, verify.ReportPolicy{}, verify.ReportStage{}, verify.ReportStatement{},
		verify.ReportSigner{}, verify.ReportInput{}, verify.ReportEdge{}, verify.Finding{}}
	for _, v := range types {
		typ := reflect.TypeOf(v)
		var fields, required []string
		for i := range typ.NumField() {
			name, omit, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			fields = append(fields, name)
			if omit == "" {
				required = append(required, name)
			}
		}
		def := schema.Defs[typ.Name()]
		slices.Sort(fields)
		slices.Sort(required)
		slices.Sort(def.Required)
		if got := slices.Sorted(maps.Keys(def.Properties)); !slices.Equal(got, fields) {
			t.Errorf("%s: the schema has %v, the type %v", typ.Name(), got, fields)
		}
		if !slices.Equal(def.Required, required) {
			t.Errorf("%s: the schema requires %v, always written are %v", typ.Name(), def.Required, required)
		}
	}
	if len(schema.Defs) != len(types)+2 {
		t.Errorf("the schema has %d definitions", len(schema.Defs))
	}
	states := regexp.MustCompile(`"enum": \[([^]]*)\]`).FindSubmatch(data)
	for _, s := range []string{verify.StageHolds, verify.StageFails, verify.StageNotReached, verify.StageAbsent} {
		if states == nil || !strings.Contains(string(states[1]), strconv.Quote(s)) {
			t.Errorf("the schema lacks the state %s", s)
		}
	}
}
