package verify

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/internal/limits"
)

// wholePolicy is a policy that has every field at least once.
var wholePolicy = func() string {
	b, err := os.ReadFile("../testdata/policy/whole.yaml")
	if err != nil {
		panic(err)
	}
	return string(b)
}()

func mustParse(t testing.TB, text string) *Policy {
	t.Helper()
	p, err := ParsePolicy("policy.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestParsePolicy(t *testing.T) {
	p := mustParse(t, wholePolicy)
	check := func(what string, got, want any) {
		t.Helper()
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", what, got, want)
		}
	}
	check("version", p.Version, int64(7))
	check("expires", p.Expires, time.Date(2030, 1, 31, 0, 0, 0, 0, time.UTC))
	check("parameter with default", *p.Parameters["ORG"], "acme")
	if def, ok := p.Parameters["COMMIT"]; !ok || def != nil {
		t.Errorf("parameter without default: %v, %v", def, ok)
	}
	check("short key", p.Principals["tester"].Keys[0].PEM, "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAmqkf8w55EoidjfMg3/veTWkV9ub0MdWJhQ0nM8llyXg=\n-----END PUBLIC KEY-----\n")
	check("zone", p.Principals["tester"].Keys[1].ValidUntil, time.Date(2028, 1, 1, 0, 0, 0, 0, time.UTC))
	build := p.Stages["build"].Requires[0]
	check("days", build.MaxAge, Duration(30*24*time.Hour))
	check("hours", p.Inventory.MaxAge, Duration(36*time.Hour))
	check("block", build.Where[1], "has(predicate.runDetails.metadata) &&\npredicate.runDetails.metadata.invocationId != \"\"\n")
	check("short flow", p.Stages["package"].From[0], Flow{Stage: "build"})
	check("map", p.Stages["package"].From[2].Map, map[string]string{"NOTES.md": "notes/NOTES.md"})
	check("short about", p.Stages["test"].About[0], About{Stage: "build"})
	check("log index", *p.Revoked[4].LogIndex, int64(12))
	if !strings.HasPrefix(p.digest, "sha256:") || len(p.digest) != 71 {
		t.Errorf("digest %q", p.digest)
	}
	for path, want := range map[string]string{
		"":                                   "policy.yaml:2:1",
		"name":                               "policy.yaml:3:7",
		"stages.build":                       "policy.yaml:60:3",
		"stages.build.requires[0].threshold": "policy.yaml:65:20",
		"stages.package.from[0]":             "policy.yaml:82:9",
	} {
		if got := p.errorAt(path, PolicyField, "x").Position.String(); got != want {
			t.Errorf("%s is at %s, want %s", path, got, want)
		}
	}
	e := p.errorAt("stages.build.requires[9].where[1].x", PolicyField, "wrong %d", 1)
	if e.Position != p.positions["stages.build.requires"] || e.Error() != "policy: policy.yaml:61:5: stages.build.requires[9].where[1].x: wrong 1" {
		t.Errorf("nearest parent: %v", e)
	}
}

// Every field of the types must be in wholePolicy, so that the tests which use
// it miss none.
func TestWholePolicyIsWhole(t *testing.T) {
	seen := map[string]bool{}
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer:
			if !v.IsNil() {
				walk(v.Elem())
			}
		case reflect.Slice:
			for i := range v.Len() {
				walk(v.Index(i))
			}
		case reflect.Map:
			for _, k := range v.MapKeys() {
				walk(v.MapIndex(k))
			}
		case reflect.Struct:
			for _, f := range policyFields(v.Type()) {
				name := v.Type().Name() + "." + f.name
				seen[name] = seen[name] || !v.Field(f.index).IsZero()
				walk(v.Field(f.index))
			}
		}
	}
	walk(reflect.ValueOf(mustParse(t, wholePolicy)).Elem())
	for name, ok := range seen {
		if !ok && name != "Policy.noExpiryUnsafe" && name != "Sigstore.noLogUnsafe" && name != "Sigstore.noSCTUnsafe" {
			t.Errorf("%s is not set in wholePolicy", name)
		}
	}
}

const head = "schema: https://hallmark.build/policy/v1\nname: x\nprincipals: {}\nfinal: a\n"

func TestParsePolicyRefuses(t *testing.T) {
	many := func(s string, n int) string { return strings.Repeat(s, n) }
	json := `{"schema":"https://hallmark.build/policy/v1","name":"x","principals":{},"stages":{},"final":"a"`
	for _, c := range []struct {
		name, text   string
		reason, want string // position and message
	}{
		{"empty", "", PolicySyntax, "1:1: the policy is empty"},
		{"comment only", "# nothing\n", PolicySyntax, "the policy is empty"},
		{"null", "null\n", PolicyField, "1:1: want a mapping of fields, found nothing"},
		{"list", "- a\n", PolicyField, "want a mapping of fields, found a list"},
		{"no schema", "name: x\n", PolicyField, "schema is missing"},
		{"other schema", "name: x\nschema: https://hallmark.build/policy/v2\n", PolicyField, `2:9: schema: want "https://hallmark.build/policy/v1", found the string`},
		{"no stages", head, PolicyField, "1:1: stages is missing"},
		{"unknown field", head + "stages:\n  build:\n    require: []\n", PolicyField, `7:5: stages.build: unknown field "require"; did you mean "requires"?`},
		{"unknown by case", head + "Stages: {}\n", PolicyField, `5:1: unknown field "Stages"; did you mean "stages"?`},
		{"unknown far", head + "rumpelstiltskin: {}\n", PolicyField, `the fields here are algorithms, expires, final,`},
		{"kelvin", head + "stages: {}\n\u212aey: 1\n", PolicyField, "unknown field"},
		{"duplicate", head + "name: y\nstages: {}\n", PolicySyntax, `5:1: the name "name" is here twice`},
		{"duplicate quoted", head + "stages:\n  a: {}\n  \"\\x61\": {}\n", PolicySyntax, `7:3: the name "a" is here twice`},
		{"anchor", head + "stages: &s {}\n", PolicySyntax, "5:9: anchors (&name) are not allowed"},
		{"alias", head + "stages: *s\n", PolicySyntax, "not YAML"},
		{"anchor and alias", "schema: &s https://hallmark.build/policy/v1\nname: *s\n", PolicySyntax, "1:9: anchors"},
		{"merge", head + "stages:\n  a:\n    <<: {many: true}\n", PolicySyntax, "7:5: merge keys (<<) are not allowed"},
		{"tag", head + "stages: !x {}\n", PolicySyntax, "5:9: tags (!name) are not allowed"},
		{"standard tag", "name: !!str x\n", PolicySyntax, "1:7: tags"},
		{"bare tag", "version: ! 12\n", PolicySyntax, "1:10: tags"},
		{"tagged key", "!!str name: x\n", PolicySyntax, "1:1: tags"},
		{"binary", "name: !!binary aGk=\n", PolicySyntax, "tags"},
		{"directive", "%YAML 1.1\n---\n" + head, PolicySyntax, "1:1: directives"},
		{"two documents", head + "stages: {}\n---\n" + head, PolicySyntax, "a second YAML document"},
		{"empty second document", head + "stages: {}\n---\n", PolicySyntax, "a second YAML document"},
		{"bad second document", head + "stages: {}\n---\n]\n", PolicySyntax, "not YAML"},
		{"number key", head + "stages:\n  1: {}\n", PolicySyntax, `6:3: want a name before ':', found 1; if that is meant, write it in quotes: "1"`},
		{"bool key", head + "stages:\n  on: {}\n", PolicySyntax, `write it in quotes: "on"`},
		{"null key", head + "stages:\n  ~: {}\n", PolicySyntax, "want a name"},
		{"list key", head + "stages:\n  [a]: {}\n", PolicySyntax, "want a name before ':', found a list"},
		{"bom", "\ufeff" + head, PolicySyntax, "1:1: byte order mark"},
		{"utf-8", "name: \xff\n", PolicySyntax, "1:7: byte 0xff is not UTF-8"},
		{"utf-16", "n\x00a\x00", PolicySyntax, "1:2: character U+0000"},
		{"carriage return", "name: a\rb\n", PolicySyntax, "1:8: character U+000D"},
		{"next line", "name: a\u0085b\n", PolicySyntax, "1:8: character U+0085"},
		{"line separator", "name: a\u2028b\n", PolicySyntax, "1:8: character U+2028"},
		{"tab", "name:\n\t- x\n", PolicySyntax, "not YAML"},
		{"unterminated", "name: 'x\n", PolicySyntax, "not YAML"},
		{"bool name", strings.Replace(head, "name: x", "name: yes", 1) + "stages: {}\n", PolicyField, `2:7: name: want a string, found yes; if that is meant, write it in quotes: "yes"`},
		{"date name", strings.Replace(head, "name: x", "name: 2030-01-01", 1) + "stages: {}\n", PolicyField, `write it in quotes: "2030-01-01"`},
		{"float name", strings.Replace(head, "name: x", "name: 1.10", 1) + "stages: {}\n", PolicyField, `write it in quotes: "1.10"`},
		{"sexagesimal name", strings.Replace(head, "name: x", "name: 12:30", 1) + "stages: {}\n", PolicyField, `write it in quotes: "12:30"`},
		{"octal name", strings.Replace(head, "name: x", "name: 010", 1) + "stages: {}\n", PolicyField, `write it in quotes: "010"`},
		{"null name", strings.Replace(head, "name: x", "name:", 1) + "stages: {}\n", PolicyField, `2:1: name: want a string, found nothing`},
		{"yes bool", head + "stages: {a: {many: yes}}\n", PolicyField, "5:20: stages.a.many: want true or false, found yes"},
		{"True bool", head + "stages: {a: {many: True}}\n", PolicyField, "want true or false, found True"},
		{"string bool", head + "stages: {a: {many: \"true\"}}\n", PolicyField, `want true or false, found the string "true"`},
		{"hex int", head + "stages: {a: {requires: [{signers: [], threshold: 0x2}]}}\n", PolicyField, "stages.a.requires[0].threshold: want a whole number, found 0x2"},
		{"octal int", head + "version: 07\nstages: {}\n", PolicyField, "want a whole number, found 07"},
		{"float int", head + "version: 1.0\nstages: {}\n", PolicyField, "want a whole number, found 1.0"},
		{"string int", head + "version: \"1\"\nstages: {}\n", PolicyField, `want a whole number, found the string "1"`},
		{"huge int", head + "version: 9223372036854775808\nstages: {}\n", PolicyField, "want a whole number"},
		{"null list", head + "stages: {}\nrules:\n", PolicyField, "6:1: rules: want a list, found nothing; leave the field out, or write []"},
		{"string for list", head + "stages: {a: {inputs: src}}\n", PolicyField, `stages.a.inputs: want a list, found the string "src"`},
		{"null stage", head + "stages:\n  a:\n", PolicyField, "6:3: stages.a: want a mapping of fields, found nothing"},
		{"null in list", head + "stages: {a: {inputs: [null]}}\n", PolicyField, "stages.a.inputs[0]: want a string, found nothing"},
		{"duration number", head + "stages: {a: {requires: [{signers: [], maxAge: 30}]}}\n", PolicyField, `want a duration such as "36h" or "30d", found 30`},
		{"duration negative", head + "stages: {a: {requires: [{signers: [], maxAge: -1h}]}}\n", PolicyField, `want a positive duration`},
		{"duration words", head + "stages: {a: {requires: [{signers: [], maxAge: a month}]}}\n", PolicyField, `found "a month"`},
		{"date only", head + "expires: 2030-01-01\nstages: {}\n", PolicyField, "5:10: expires: want a time such as 2030-01-31T00:00:00Z, found 2030-01-01"},
		{"time with space", head + "expires: 2030-01-01 00:00:00\nstages: {}\n", PolicyField, "want a time such as"},
		{"time number", head + "expires: 0\nstages: {}\n", PolicyField, "want a time such as"},
		{"missing signers", head + "stages: {a: {requires: [{type: t}]}}\n", PolicyField, "5:25: stages.a.requires[0]: signers is missing"},
		{"missing stage of flow", head + "stages: {a: {from: [{names: same}]}}\n", PolicyField, "stages.a.from[0]: stage is missing"},
		{"list for flow", head + "stages: {a: {from: [[a]]}}\n", PolicyField, "stages.a.from[0]: want a mapping of fields, found a list"},
		{"long name", head + "stages: {" + many("a", limits.PolicyName+1) + ": {}}\n", PolicyField, "exceeds the limit"},
		{"deep flow", head + "stages: " + many("[", 100) + many("]", 100) + "\n", PolicySyntax, "nested deeper than 32"},
		{"deeper flow", many("[", 1<<20), PolicySyntax, ""},
		{"deep maps", many("{a: ", 9000) + many("}", 9000), PolicySyntax, ""},
		{"deep block", many("- ", 5000), PolicySyntax, "nested deeper than 32"},
		{"wide", "stages: [" + many("a,", limits.PolicyNodes+1) + "a]\n", PolicySyntax, "more than 200000 values"},
		{"wider", "stages: [" + many("a,", 1<<20) + "a]\n", PolicySyntax, "more than 200000 values"},
		{"large", head + "# " + many("x", limits.Policy), PolicySyntax, "more than 4194304 bytes"},
		{"json duplicate", json + `,"name":"y"}`, PolicySyntax, `1:103: not strict JSON: duplicate name "name"`},
		{"json unknown", json + ",\n \"rulez\" : []}", PolicyField, `2:2: unknown field "rulez"; did you mean "rules"?`},
		{"json trailing", json + "} x", PolicySyntax, "not strict JSON: data after the value"},
		{"json comment", json + "} # x", PolicySyntax, "not strict JSON"},
		{"json null", json + `,"rules":null}`, PolicyField, `want a list, found nothing`},
		{"json kind", json + `,"version":"1"}`, PolicyField, `want a whole number, found the string "1"`},
		{"json exponent", json + `,"version":1e2}`, PolicyField, `want a whole number, found 1e2`},
		{"json yaml", "{schema: x}", PolicySyntax, "not strict JSON"},
		{"json wide", `{"a":[` + many("0,", limits.PolicyNodes) + "0]}", PolicySyntax, "more than 200000 values"},
		{"json deep", `{"a":` + many("[", 1<<20), PolicySyntax, "nested deeper"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParsePolicy("p", []byte(c.text))
			var pe *PolicyError
			if !errors.As(err, &pe) {
				t.Fatalf("got %v, want a *PolicyError", err)
			}
			if pe.Reason != c.reason || !strings.Contains(strings.TrimPrefix(err.Error(), "policy: p:"), c.want) {
				t.Errorf("got %s: %v\nwant %s: %s", pe.Reason, err, c.reason, c.want)
			}
			if len(err.Error()) > 1000 {
				t.Errorf("message of %d bytes", len(err.Error()))
			}
		})
	}
}

func TestParsePolicyJSON(t *testing.T) {
	yaml := mustParse(t, head+"stages:\n  \"a\\\"b😀/\": {many: true, from: [x]}\n")
	json := mustParse(t, ` {"schema":"https:\/\/hallmark.build/policy/v1", "name":"x","principals":{},
	"final":"a","stages":{ "a\"b\ud83d\ude00/" : {"many":true,"from":["x"]}}}`)
	if got := json.positions[`stages.a"b😀/`]; got != (Position{"policy.yaml", 2, 25}) {
		t.Errorf("the stage is at %v", got)
	}
	if !samePolicy(yaml, json) {
		t.Errorf("YAML gives %+v\nJSON gives %+v", yaml, json)
	}
}

func TestParsePolicyCRLF(t *testing.T) {
	p := mustParse(t, strings.ReplaceAll(wholePolicy, "\n", "\r\n"))
	q := mustParse(t, wholePolicy)
	if !samePolicy(p, q) {
		t.Error("the ends of lines change the policy")
	}
}

func TestReadPolicy(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "p.yaml")
	if err := os.WriteFile(path, []byte(wholePolicy), 0o600); err != nil {
		t.Fatal(err)
	}
	if p, err := ReadPolicy(path); err != nil || p.Name != "everything" {
		t.Errorf("got %v, %v", p, err)
	}
	if _, err := ReadPolicy(filepath.Join(dir, "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := ReadPolicy(dir); err == nil {
		t.Error("a directory was read")
	}
	if err := os.WriteFile(path, make([]byte, limits.Policy+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadPolicy(path); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("a large file: %v", err)
	}
}

// samePolicy compares what two policies say, not where they say it.
func samePolicy(a, b *Policy) bool {
	p, q := *a, *b
	p.positions, p.digest, q.positions, q.digest = nil, "", nil, ""
	return reflect.DeepEqual(p, q)
}

func FuzzParsePolicy(f *testing.F) {
	f.Add([]byte(wholePolicy))
	f.Add([]byte(head + "stages: {}\n"))
	f.Add([]byte(`{"schema":"https://hallmark.build/policy/v1","name":"x","principals":{},"stages":{"a":{"from":["x"]}},"final":"a"}`))
	f.Add([]byte("a: &x [*x]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParsePolicy("f", data)
		if err != nil {
			var pe *PolicyError
			if !errors.As(err, &pe) || pe.Reason == "" || pe.Msg == "" {
				t.Fatalf("%T %v", err, err)
			}
			return
		}
		text, err := p.YAML()
		if err != nil {
			t.Fatal(err)
		}
		q, err := ParsePolicy("f", text)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if !samePolicy(p, q) {
			t.Fatalf("the policy changed when it was written:\n%s", text)
		}
		p.Lint()
		var pe *PolicyError
		if _, err := p.Narrow(p); errors.As(err, &pe) && pe.Reason == PolicyWider {
			t.Fatalf("a policy is wider than itself: %v", err)
		}
		for path := range p.positions {
			if e := p.errorAt(path, PolicyField, "x"); e.Position.Line < 1 || e.Position.Column < 1 {
				t.Fatalf("%s is at %v", path, e.Position)
			}
		}
	})
}

func BenchmarkParsePolicy(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParsePolicy("p", []byte(wholePolicy)); err != nil {
			b.Fatal(err)
		}
	}
}
