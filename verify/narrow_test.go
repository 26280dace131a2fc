package verify

import (
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

func TestNarrow(t *testing.T) {
	edit := func(f func(p *Policy)) *Policy {
		p := mustParse(t, wholePolicy)
		f(p)
		return p
	}
	build := func(p *Policy) *Requirement { return &p.Stages["build"].Requires[0] }
	// Without the requirement that looks at every statement, which forbids much.
	monotonic := func(f func(p *Policy)) func(*Policy) {
		return func(p *Policy) {
			p.Stages["test"].Requires[0].Which, p.Stages["test"].Requires[0].Complete = "", false
			f(p)
		}
	}
	for _, c := range []struct {
		name          string
		parent, child func(p *Policy)
		want          string // part of the error; "" for none
	}{
		{"the same", nil, nil, ""},
		{"another name and version", nil, func(p *Policy) { p.Name, p.Version = "other", 1 }, ""},
		{"earlier expiry", nil, func(p *Policy) { p.Expires = p.Expires.Add(-time.Hour) }, ""},
		{"later expiry", nil, func(p *Policy) { p.Expires = p.Expires.Add(time.Hour) }, "expires: wider"},
		{"no expiry", nil, func(p *Policy) { p.Expires, p.NoExpiryUnsafe = time.Time{}, true }, "noExpiryUnsafe"},
		{"an expiry where there was none", func(p *Policy) { p.Expires, p.NoExpiryUnsafe = time.Time{}, true }, nil, ""},
		{"fewer signers", nil, func(p *Policy) { build(p).Signers = []string{"builder"} }, ""},
		{"more signers", nil, func(p *Policy) { build(p).Signers = append(build(p).Signers, "tester") }, `stages.build.requires[0].signers: wider than the policy it builds on: the signer "tester"`},
		{"higher threshold", nil, func(p *Policy) { build(p).Threshold = 3 }, ""},
		{"lower threshold", nil, func(p *Policy) { build(p).Threshold = 0 }, "threshold: wider than the policy it builds on: want at least 2"},
		{"shorter age", nil, func(p *Policy) { build(p).MaxAge /= 2 }, ""},
		{"longer age", nil, func(p *Policy) { build(p).MaxAge++ }, "maxAge"},
		{"any age", nil, func(p *Policy) { build(p).MaxAge = 0 }, "maxAge"},
		{"another condition", nil, func(p *Policy) { build(p).Where = append(build(p).Where, "true") }, ""},
		{"a condition less", nil, func(p *Policy) { build(p).Where = build(p).Where[1:] }, "where"},
		{"a changed condition", nil, func(p *Policy) { build(p).Where[0] += " || true" }, "where"},
		{"a type less", nil, func(p *Policy) { build(p).Types = nil }, ""},
		{"a type more", nil, func(p *Policy) { build(p).Types = append(build(p).Types, "x") }, "types"},
		{"any builder", nil, func(p *Policy) { build(p).Builders = nil }, "builders"},
		{"newest for any", nil, func(p *Policy) { build(p).Which = "newest" }, ""},
		{"none for any", nil, func(p *Policy) { build(p).Which = "none" }, "which"},
		{"any for newest", nil, func(p *Policy) { p.Stages["test"].Requires[0].Which = "" }, "which"},
		{"not complete", nil, func(p *Policy) { p.Stages["test"].Requires[0].Complete = false }, "complete"},
		{"a requirement more", func(p *Policy) { p.Rules = nil }, func(p *Policy) {
			p.Stages["test"].Requires = append(p.Stages["test"].Requires, Requirement{Type: "x", Signers: []string{"ci"}})
		}, ""},
		{"a requirement more that could bring an organization", nil, func(p *Policy) {
			p.Stages["test"].Requires = append(p.Stages["test"].Requires, Requirement{Type: "x", Signers: []string{"ci"}})
		}, "stages.test.requires[1]: wider"},
		{"a requirement more that could bring the products", nil, func(p *Policy) {
			p.Stages["build"].Requires = append(p.Stages["build"].Requires, Requirement{Type: "x", Signers: []string{"ci"}})
		}, "stages.build.requires[1]: wider"},
		{"something more that must not be", nil, func(p *Policy) {
			p.Stages["build"].Requires = append(p.Stages["build"].Requires, Requirement{Type: "x", Signers: []string{"ci"}, Which: "none", Where: []string{"x"}, Complete: true})
		}, ""},
		{"a requirement less", nil, func(p *Policy) { p.Stages["docs"].Requires = nil }, "stages.docs.requires"},
		{"an input less", nil, func(p *Policy) { delete(p.Inputs, "modules"); p.Stages["docs"].Inputs = nil }, ""},
		{"an input more", nil, func(p *Policy) { p.Inputs["x"] = Input{URI: "**"} }, "inputs.x"},
		{"an input for another stage", nil, func(p *Policy) { p.Stages["docs"].Inputs = append(p.Stages["docs"].Inputs, "source") }, "stages.docs.inputs"},
		{"a wider pattern", nil, func(p *Policy) {
			p.Inputs["source"] = Input{URI: "**", Digests: p.Inputs["source"].Digests, Algorithms: p.Inputs["source"].Algorithms}
		}, "inputs.source.uri"},
		{"another default", nil, func(p *Policy) { x := "evil"; p.Parameters["ORG"] = &x }, "parameters.ORG"},
		{"no default", nil, func(p *Policy) { p.Parameters["ORG"] = nil }, ""},
		{"a default", nil, func(p *Policy) { x := "0"; p.Parameters["COMMIT"] = &x }, "parameters.COMMIT"},
		{"a parameter more", nil, func(p *Policy) { p.Parameters["NEW"] = nil }, ""},
		{"a principal more", nil, func(p *Policy) { p.Principals["eve"] = p.Principals["builder"] }, "principals.eve"},
		{"a principal renamed", nil, func(p *Policy) {
			p.Principals["builder"], p.Principals["tester"] = p.Principals["tester"], p.Principals["builder"]
		}, "principals.builder"},
		{"a key of a frozen principal less", nil, func(p *Policy) {
			x := p.Principals["tester"]
			x.Keys = x.Keys[:1]
			p.Principals["tester"] = x
		}, "want the same keys"},
		{"a key less", monotonic(func(*Policy) {}), monotonic(func(p *Policy) {
			x := p.Principals["tester"]
			x.Keys = x.Keys[:1]
			p.Principals["tester"] = x
		}), ""},
		{"a key valid for longer", monotonic(func(*Policy) {}), monotonic(func(p *Policy) { p.Principals["tester"].Keys[1].ValidUntil = time.Time{} }), "validUntil"},
		{"a key valid for less", monotonic(func(*Policy) {}), monotonic(func(p *Policy) {
			p.Principals["tester"].Keys[1].ValidFrom = p.Principals["tester"].Keys[1].ValidFrom.Add(time.Hour)
		}), ""},
		{"an identity that a pattern could match", monotonic(func(*Policy) {}), monotonic(func(p *Policy) {
			x := p.Principals["ci"]
			x.Identity = nil
			p.Principals["ci"] = x
		}), "one of the patterns could now match it"},
		{"a revocation", monotonic(func(*Policy) {}), monotonic(func(p *Policy) { p.Revoked = append(p.Revoked, Revocation{Builder: "x"}) }), ""},
		{"a revocation that hides", nil, func(p *Policy) { p.Revoked = append(p.Revoked, Revocation{Builder: "x"}) }, "revoked[5]"},
		{"a revocation less", nil, func(p *Policy) { p.Revoked = p.Revoked[1:] }, "revoked[0] there is not here"},
		{"a later revocation", nil, func(p *Policy) { p.Revoked[0].From = p.Revoked[0].From.Add(time.Hour) }, "takes effect later"},
		{"a rule more", nil, func(p *Policy) { p.Rules = append(p.Rules, Rule{Condition: "x"}) }, ""},
		{"a rule less", nil, func(p *Policy) { p.Rules = p.Rules[1:] }, `as strict as "two people"`},
		{"more stages apart", nil, func(p *Policy) { p.Rules[0].Separate = append(p.Rules[0].Separate, "docs") }, ""},
		{"more organizations", nil, func(p *Policy) { p.Rules[1].Organizations = 3 }, ""},
		{"organizations over more", nil, func(p *Policy) { p.Rules[1].Over = append(p.Rules[1].Over, "docs") }, "rules[1]"},
		{"algorithms", nil, func(p *Policy) { p.Algorithms = p.Algorithms[:1] }, "algorithms"},
		{"a stage about others more", nil, func(p *Policy) { p.Stages["scan"] = &Stage{About: []About{{Stage: "build"}}} }, ""},
		{"a stage more", nil, func(p *Policy) { p.Stages["x"] = &Stage{} }, "stages.x"},
		{"a stage less", nil, func(p *Policy) { delete(p.Stages, "test") }, `the stage "test" is missing`},
		{"products without used ones", nil, func(p *Policy) { p.Stages["build"].Complete = false }, ""},
		{"products or used ones", func(p *Policy) { p.Stages["build"].Complete = false }, nil, "stages.build.complete"},
		{"only used ones", func(p *Policy) { p.Stages["build"].Products = nil }, nil, "stages.build.products"},
		{"any products", func(p *Policy) { p.Stages["build"].Products = nil }, func(p *Policy) { p.Stages["build"].Products, p.Stages["build"].Complete = nil, false }, "stages.build.complete"},
		{"complete", func(p *Policy) { p.Stages["build"].Products, p.Stages["build"].Complete = nil, false }, nil, ""},
		{"another final stage", nil, func(p *Policy) { p.Final = "build" }, "final"},
		{"narrower about", nil, func(p *Policy) { p.Stages["test"].About[0].Products = "x" }, "stages.test.about"},
		{"wider about", nil, func(p *Policy) { p.Stages["test"].About[1].Products = "" }, "stages.test.about"},
		{"more about", nil, func(p *Policy) {
			p.Stages["test"].About = append(p.Stages["test"].About, About{Stage: p.Stages["test"].About[1].Stage})
		}, ""},
		{"another source", nil, func(p *Policy) { p.Stages["package"].From[0].Stage = "test" }, "stages.package.from[0]"},
		{"stricter flow", nil, func(p *Policy) {
			p.Stages["package"].From[2].Optional = false
		}, ""},
		{"other names in a flow", nil, func(p *Policy) { p.Stages["package"].From[0].Names = "same" }, "stages.package.from[0]"},
		{"fewer names in a flow", nil, func(p *Policy) { p.Stages["package"].From[0].Materials = "*" }, "stages.package.from[0].materials"},
		{"looser flow", nil, func(p *Policy) { p.Stages["package"].From[0].Optional = true }, "stages.package.from[0].optional"},
		{"sigstore", nil, func(p *Policy) { p.Sigstore = nil }, "signedTimestamps"},
		{"conditions that look at signers", func(p *Policy) { p.Rules[2].Condition = "signers" }, func(p *Policy) {
			p.Rules[2].Condition = "signers"
			delete(p.Principals, "builder")
		}, "principals: wider"},
	} {
		t.Run(c.name, func(t *testing.T) {
			nothing := func(*Policy) {}
			if c.parent == nil {
				c.parent = nothing
			}
			if c.child == nil {
				c.child = nothing
			}
			parent, child := edit(c.parent), edit(c.child)
			before := mustYAML(t, child)
			got, err := parent.Narrow(child)
			if c.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				if !samePolicy(got, child) || got == child || got.Stages["build"] == child.Stages["build"] || mustYAML(t, child) != before {
					t.Error("the result is no copy of the child")
				}
				return
			}
			var pe *PolicyError
			if got != nil || !errors.As(err, &pe) || pe.Reason != PolicyWider || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
	if _, err := (*Policy)(nil).Narrow(nil); err == nil {
		t.Error("nothing narrows nothing")
	}
}

// TestNarrowLooksAtEveryField changes every place of a policy in many ways. For
// every field but those that decide nothing, some change must be refused, so
// that no field is forgotten.
func TestNarrowLooksAtEveryField(t *testing.T) {
	free := []string{"name", "version", "reason", "parameters"} // a new parameter decides nothing by itself
	var root any
	if err := yaml.Unmarshal([]byte(wholePolicy), &root); err != nil {
		t.Fatal(err)
	}
	parent := mustParse(t, wholePolicy)
	refused, seen := map[string]bool{}, map[string]bool{}
	try := func(field string) {
		data, err := json.Marshal(root)
		if err != nil {
			t.Fatal(err)
		}
		child, err := ParsePolicy("child", data)
		if err != nil {
			return
		}
		seen[field] = true
		_, err1 := parent.Narrow(child)
		_, err2 := child.Narrow(parent) // for what is at its widest in the whole policy
		if err1 != nil || err2 != nil {
			refused[field] = true
		}
	}
	values := []any{true, false, 0, 1, 9, "x", "1h", "999d", "2031-01-01T00:00:00Z", "2020-01-01T00:00:00Z", []any{}, []any{"x"}, map[string]any{}, map[string]any{"x": "y"}}
	var walk func(field string, v any, set func(any))
	walk = func(field string, v any, set func(any)) {
		for _, other := range values {
			if !reflect.DeepEqual(v, other) {
				set(other)
				try(field)
			}
		}
		set(v)
		switch x := v.(type) {
		case map[string]any:
			for _, k := range slices.Sorted(maps.Keys(x)) {
				old := x[k]
				delete(x, k)
				try(k)
				x[k] = old
				walk(k, old, func(n any) { x[k] = n })
			}
		case []any:
			for i, old := range x {
				walk(field, old, func(n any) { x[i] = n })
			}
		}
	}
	walk("", root, func(n any) { root = n })
	if len(seen) < 60 {
		t.Errorf("only %d fields were changed", len(seen))
	}
	for field := range seen {
		if refused[field] == slices.Contains(free, field) && field != "name" {
			t.Errorf("changes of %s: refused is %v", field, refused[field])
		}
	}
}
