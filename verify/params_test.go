package verify

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/hallmark-build/hallmark/internal/glob"
	"github.com/hallmark-build/hallmark/internal/limits"
)

const parameterPolicy = head + `
parameters: {ORG: acme, TAG: null, EMPTY: ""}
inputs:
  src: {uri: "git+https://github.com/${ORG}/*@${TAG}", digests: ["gitCommit:${TAG}"]}
  escaped: {uri: '\${ORG}$${ORG}$${\*${ORG}$'}
stages:
  a:
    products: ["${ORG}-*"]
    contains: {members: "${ORG}/**"}
    from: [{stage: b, materials: "${TAG}"}]
    about: [{stage: b, products: "${TAG}"}]
    requires:
      - signers: []
        builders: ["https://${ORG}"]
        where: ["predicate.x == '${ORG}'"]
rules:
  - condition: "params.ORG == '${TAG}'"
`

func TestSubstitute(t *testing.T) {
	p := mustParse(t, strings.Replace(parameterPolicy, "principals: {}", `principals:
  p:
    identity: {issuer: "https://${ORG}", subject: "${TAG}"}
    identities: [{issuer: i, subject: "${ORG}@x"}]
  q:
    patterns: [{issuer: "https://${TAG}", subject: "https://${TAG}/*"}]
`, 1))
	before := mustYAML(t, p)
	q, err := p.substitute(map[string]string{"TAG": "*"})
	if err != nil {
		t.Fatal(err)
	}
	a := q.Stages["a"]
	for what, c := range map[string][2]string{
		"uri":            {q.Inputs["src"].URI, `git+https://github.com/acme/*@\*`},
		"digest":         {q.Inputs["src"].Digests[0], "gitCommit:*"},
		"escaped":        {q.Inputs["escaped"].URI, `\$` + "{ORG}" + `$\{ORG}$\{\*acme$`},
		"products":       {a.Products[0], "acme-*"},
		"members":        {a.Contains.Members, "acme/**"},
		"materials":      {a.From[0].Materials, `\*`},
		"about":          {a.About[0].Products, `\*`},
		"builder":        {a.Requires[0].Builders[0], "https://acme"},
		"where":          {a.Requires[0].Where[0], "predicate.x == '${ORG}'"},
		"condition":      {q.Rules[0].Condition, "params.ORG == '${TAG}'"},
		"issuer":         {q.Principals["p"].Identity.Issuer, "https://acme"},
		"subject":        {q.Principals["p"].Identity.Subject, "*"},
		"identities":     {q.Principals["p"].Identities[0].Subject, "acme@x"},
		"pattern issuer": {q.Principals["q"].Patterns[0].Issuer, "https://*"},
		"pattern":        {q.Principals["q"].Patterns[0].Subject, `https://\*/*`},
		"value":          {*q.Parameters["TAG"], "*"},
		"default":        {*q.Parameters["ORG"], "acme"},
	} {
		if c[0] != c[1] {
			t.Errorf("%s: got %q, want %q", what, c[0], c[1])
		}
	}
	if mustYAML(t, p) != before {
		t.Error("the policy itself was changed")
	}
	if reflect.ValueOf(q.Stages["a"]).Pointer() == reflect.ValueOf(p.Stages["a"]).Pointer() || q.digest != p.digest {
		t.Error("the copy shares a stage, or has another digest")
	}
}

func mustYAML(t *testing.T, p *Policy) string {
	t.Helper()
	b, err := p.YAML()
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestEdge66_Parameters(t *testing.T) {
	def := func(s string) *string { return &s }
	uri := func(s string) *Policy {
		return &Policy{
			Parameters: map[string]*string{"A": def("a"), "B": def("b"), "NONE": nil, "EMPTY": def("")},
			Inputs:     map[string]Input{"i": {URI: s}},
		}
	}
	given := map[string]string{"NONE": "n"}
	for _, c := range []struct {
		name   string
		policy *Policy
		values map[string]string
		want   string // the uri, or the error after "!"
	}{
		{"none", uri("x"), given, "x"},
		{"two", uri("${A}${B}"), given, "ab"},
		{"given wins", uri("${A}"), map[string]string{"NONE": "n", "A": "z"}, "z"},
		{"self reference", uri("${A}"), map[string]string{"NONE": "n", "A": "${A}"}, `$\{A\}`},
		{"mutual reference", uri("${A}"), map[string]string{"NONE": "n", "A": "${B}", "B": "${A}"}, `$\{B\}`},
		{"star", uri("${A}/*"), map[string]string{"NONE": "n", "A": "**"}, `\*\*/*`},
		{"star after star", uri("*${A}"), map[string]string{"NONE": "n", "A": "*"}, `*\*`},
		{"backslash", uri("${A}"), map[string]string{"NONE": "n", "A": `\*`}, `\\\*`},
		{"backslash before", uri(`\\${A}`), map[string]string{"NONE": "n", "A": `*`}, `\\\*`},
		{"backslash splits", uri(`\${A}`), map[string]string{"NONE": "n", "A": `*`}, `\${A}`},
		{"class", uri("${A}"), map[string]string{"NONE": "n", "A": "[a]?"}, `\[a\]\?`},
		{"spaces and words", uri("${A}"), map[string]string{"NONE": "n", "A": "x IN y"}, "x IN y"},
		{"literal", uri("$${A}"), given, `$\{A}`},
		{"dollar", uri("$A$"), given, "$A$"},
		{"empty value", uri("${EMPTY}"), given, "!the value of EMPTY is empty"},
		{"undeclared", uri("${C}"), given, `!inputs.i.uri: "C" is not a parameter`},
		{"unclosed", uri("${A"), given, `!want "${NAME}"`},
		{"empty name", uri("${}"), given, `!want "${NAME}"`},
		{"nested", uri("${${A}}"), given, `!want "${NAME}"`},
		{"space", uri("${ A}"), given, `!want "${NAME}"`},
		{"unset", uri("x"), nil, "!parameters.NONE: no value is given"},
		{"unknown", uri("x"), map[string]string{"NONE": "n", "C": "c"}, `!"C", which is not a parameter`},
		{"control", uri("x"), map[string]string{"NONE": "a\nb"}, "!control characters"},
		{"utf-8", uri("x"), map[string]string{"NONE": "\xff"}, "!not UTF-8"},
		{"long", uri("x"), map[string]string{"NONE": strings.Repeat("x", limits.ParameterValue+1)}, "!exceeds the limit"},
		{"bad name", &Policy{Parameters: map[string]*string{"A B": def("x")}}, nil, "!letters, digits"},
		{"in a type", &Policy{Stages: map[string]*Stage{"a": {Requires: []Requirement{{Type: "${A}"}}}}}, nil, "!stages.a.requires[0].type: parameters are not substituted here"},
		{"in a name", &Policy{Stages: map[string]*Stage{"${A}": {}}}, nil, "!parameters are not substituted here"},
		{"in a reference", &Policy{Final: "${A}"}, nil, "!final: parameters are not substituted here"},
		{"in a revocation", &Policy{Revoked: []Revocation{{Identity: &Identity{Issuer: "i", Subject: "${A}"}}}}, nil, "!parameters are not substituted here"},
		{"in a subject type", &Policy{Principals: map[string]Principals{"p": {Identity: &Identity{SubjectType: "${A}"}}}}, nil, "!parameters are not substituted here"},
	} {
		t.Run(c.name, func(t *testing.T) {
			q, err := c.policy.substitute(c.values)
			if want, bad := strings.CutPrefix(c.want, "!"); bad {
				var pe *PolicyError
				if !errors.As(err, &pe) || pe.Reason != PolicyParameter || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %s", err, want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := q.Inputs["i"].URI; got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// Whatever the value, a pattern with a parameter matches that value there and nothing else.
func FuzzSubstitute(f *testing.F) {
	for _, s := range []string{"a", "*", `\`, `\*`, "${A}", "[", "a/b"} {
		f.Add(s, "x"+s)
	}
	f.Fuzz(func(t *testing.T, value, other string) {
		p := &Policy{Parameters: map[string]*string{"A": &value}, Inputs: map[string]Input{"i": {URI: "<${A}>"}}}
		q, err := p.substitute(nil)
		if err != nil {
			return
		}
		g, err := glob.Compile(q.Inputs["i"].URI)
		if err != nil {
			if len(value) < 1000 {
				t.Fatalf("%q: %v", value, err)
			}
			return
		}
		if !g.Match("<"+value+">") || value != other && g.Match("<"+other+">") {
			t.Fatalf("%q made the pattern %q", value, q.Inputs["i"].URI)
		}
	})
}
