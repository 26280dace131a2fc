// Package reportschema checks that reports, as they are written, follow the
// published JSON Schema of reports, and that the schema refuses what is none.
package reportschema

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/hallmark-build/hallmark/verify"
	"github.com/hallmark-build/hallmark/verify/report"
)

func compile(t *testing.T) *jsonschema.Schema {
	t.Helper()
	data, err := os.ReadFile("../../../docs/report.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("report.schema.json", parse(t, data)); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("report.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func parse(t *testing.T, data []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// The golden reports of package report begin with their JSON.
func golden(t *testing.T) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob("../../../verify/report/testdata/*.txtar")
	if err != nil || len(files) < 5 {
		t.Fatalf("found %d reports (%v)", len(files), err)
	}
	out := map[string][]byte{}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		s, ok := strings.CutPrefix(string(data), "-- json --\n")
		if !ok {
			t.Fatalf("%s does not begin with JSON", f)
		}
		s, _, _ = strings.Cut(s, "\n-- ")
		out[filepath.Base(f)] = []byte(s)
	}
	return out
}

func TestReportsFollowTheSchema(t *testing.T) {
	schema := compile(t)
	for name, data := range golden(t) {
		if name == "hostile.txtar" {
			continue // its states are no states
		}
		if err := schema.Validate(parse(t, data)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	var b bytes.Buffer
	if err := report.JSON(&b, &verify.Report{Schema: verify.ReportSchema, Artifacts: []verify.ReportArtifact{{Name: "x"}}}, report.Options{}); err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(parse(t, b.Bytes())); err != nil {
		t.Errorf("a report with nothing in it: %v", err)
	}
}

func TestTheSchemaRefuses(t *testing.T) {
	schema := compile(t)
	for name, change := range map[string]func(m map[string]any){
		"no verdict":        func(m map[string]any) { delete(m, "passed") },
		"verdict as text":   func(m map[string]any) { m["passed"] = "true" },
		"pass and findings": func(m map[string]any) { m["passed"] = true },
		"another schema":    func(m map[string]any) { m["schema"] = "https://hallmark.build/report/v2" },
		"no instant":        func(m map[string]any) { m["at"] = "yesterday" },
		"null stages":       func(m map[string]any) { m["stages"] = nil },
		"unknown state":     func(m map[string]any) { m["stages"].([]any)[0].(map[string]any)["state"] = "fine" },
		"digest as text":    func(m map[string]any) { m["artifacts"].([]any)[0].(map[string]any)["digest"] = "sha256:00" },
		"finding unnamed":   func(m map[string]any) { delete(m["findings"].([]any)[0].(map[string]any), "reason") },
	} {
		var m map[string]any
		if err := json.Unmarshal(golden(t)["altered.txtar"], &m); err != nil {
			t.Fatal(err)
		}
		change(m)
		data, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(parse(t, data)); !isInvalid(err) {
			t.Errorf("%s: got %v, want a validation error", name, err)
		}
	}
}

func isInvalid(err error) bool {
	_, ok := errors.AsType[*jsonschema.ValidationError](err)
	return ok
}
