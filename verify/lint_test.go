package verify

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// manualPolicy is the first policy of docs/policy.md.
func manualPolicy(t *testing.T) *Policy {
	t.Helper()
	manual, err := os.ReadFile("../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(manual), "```yaml\n")
	doc, _, _ := strings.Cut(rest, "```")
	return mustParse(t, doc)
}

func codes(found []LintFinding) (out []string) {
	for _, f := range found {
		out = append(out, f.Severity+" "+f.Code+" "+f.Path)
	}
	return out
}

// What the linter says of the policy that everybody starts from: nothing that
// is not so on purpose.
func TestLintManual(t *testing.T) {
	p := manualPolicy(t)
	got := codes(p.Lint())
	want := []string{
		"info key-without-end principals.builder.key",
		"info key-without-end principals.tester.key",
		"warning claimed-time principals.tester.acceptClaimedTimeUnsafe",
		"warning input-by-name inputs.modules",
		"info any-builder stages.package.requires[0]",
		"info never-refuses rules[0].separate",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, f := range p.Lint() {
		if f.Position.Line == 0 || f.Message == "" || !strings.HasPrefix(f.String(), "policy.yaml:") {
			t.Errorf("%+v", f)
		}
	}
}

func TestLint(t *testing.T) {
	builder := func(p *Policy) *Requirement { return &p.Stages["build"].Requires[0] }
	revoke := func(p *Policy, names ...string) {
		for _, n := range names {
			tk, err := parseKey(keysOf(p.Principals[n])[0])
			if err != nil {
				t.Fatal(err)
			}
			p.Revoked = append(p.Revoked, Revocation{Key: tk.id})
		}
	}
	pattern := func(subject string) func(*Policy) {
		return func(p *Policy) {
			p.Principals["anyone"] = Principals{Patterns: []Identity{{Issuer: "https://i", Subject: subject}}}
			builder(p).Signers = append(builder(p).Signers, "anyone")
		}
	}
	uri := func(s string) func(*Policy) {
		return func(p *Policy) {
			p.Inputs["modules"] = Input{URI: s, Digests: []string{"sha256:" + strings.Repeat("0", 64)}}
		}
	}
	for _, c := range []struct {
		name string
		edit func(p *Policy)
		want string // "!" before: must not be found
	}{
		{"no expiry", func(p *Policy) { p.NoExpiryUnsafe = true }, "warning no-expiry noExpiryUnsafe"},
		{"no log", func(p *Policy) { p.Sigstore = &Sigstore{NoLogUnsafe: true} }, "warning no-transparency sigstore"},
		{"unused principal", func(p *Policy) { p.Principals["x"] = p.Principals["tester"] }, "warning unused-principal principals.x"},
		{"principal of an inventory", func(p *Policy) {
			p.Principals["x"] = p.Principals["tester"]
			p.Inventory = &Inventory{Signers: []string{"x"}}
		}, "!warning unused-principal principals.x"},
		{"unused input", func(p *Policy) { p.Stages["build"].Inputs = []string{"source"} }, "warning unused-input inputs.modules"},
		{"unused parameter", func(p *Policy) { p.Parameters["X"] = nil }, "warning unused-parameter parameters.X"},
		{"parameter of a condition", func(p *Policy) { builder(p).Where = nil }, "warning unused-parameter parameters.CHANNEL"},
		{"parameter of an input", func(p *Policy) {}, "!warning unused-parameter parameters.COMMIT"},
		{"unused inventory", func(p *Policy) { p.Inventory = &Inventory{Signers: []string{"builder"}} }, "warning unused-inventory inventory"},
		{"all hosts", pattern("https://**"), "warning broad-pattern principals.anyone.patterns[0].subject"},
		{"open host", pattern("https://github.com*"), "warning broad-pattern principals.anyone.patterns[0].subject"},
		{"whole host", pattern("https://github.com/**"), "warning broad-pattern principals.anyone.patterns[0].subject"},
		{"edge13 open organization", pattern("https://github.com/acme*"), "warning broad-pattern principals.anyone.patterns[0].subject"},
		{"organization", pattern("https://github.com/acme/**"), "!warning broad-pattern principals.anyone.patterns[0].subject"},
		{"parameter as organization", pattern("https://github.com/${COMMIT}/*"), "!warning broad-pattern principals.anyone.patterns[0].subject"},
		{"any mail", pattern("*@*"), "warning broad-pattern principals.anyone.patterns[0].subject"},
		{"mail of a domain", pattern("*@example.com"), "!warning broad-pattern principals.anyone.patterns[0].subject"},
		{"no wildcard", pattern("ann@example.com"), "warning broad-pattern principals.anyone.patterns[0].subject"},
		{"any input", uri("**"), "warning broad-pattern inputs.modules.uri"},
		{"any host", uri("https://**"), "warning broad-pattern inputs.modules.uri"},
		{"open host of an input", uri("https://example.com*/x"), "warning broad-pattern inputs.modules.uri"},
		{"host of an input", uri("https://example.com/**"), "!warning broad-pattern inputs.modules.uri"},
		{"package type", uri("pkg:golang/**"), "!warning broad-pattern inputs.modules.uri"},
		{"input without digest", func(p *Policy) { p.Inputs["modules"] = Input{URI: "x", AllowWithoutDigestUnsafe: true} }, "warning input-without-digest inputs.modules.allowWithoutDigestUnsafe"},
		{"names", func(p *Policy) { p.Stages["package"].From[0].Names = "" }, "info names-not-tied stages.package.from[0]"},
		{"optional", func(p *Policy) { p.Stages["build"].Optional = true }, "info optional-stage stages.build.optional"},
		{"duplicate stage", func(p *Policy) { s := *p.Stages["test"]; p.Stages["test2"] = &s }, "warning duplicate-stage stages.test2"},
		{"duplicate requirement", func(p *Policy) { p.Stages["build"].Requires = append(p.Stages["build"].Requires, *builder(p)) }, "warning duplicate-requirement stages.build.requires[1]"},
		{"revoked signer", func(p *Policy) { revoke(p, "builder") }, "warning unsatisfiable stages.build.requires[0].signers"},
		{"one of two signers revoked", func(p *Policy) {
			builder(p).Signers = []string{"builder", "tester"}
			revoke(p, "builder")
		}, "!warning unsatisfiable stages.build.requires[0].signers"},
		{"true", func(p *Policy) { builder(p).Where = []string{" true\n"} }, "warning never-refuses stages.build.requires[0].where[0]"},
		{"false", func(p *Policy) { p.Rules = []Rule{{Condition: "false"}} }, "warning unsatisfiable rules[0].condition"},
		{"not equal", func(p *Policy) { builder(p).Where = []string{"predicate.x != 'FAILED'"} }, "info not-equal stages.build.requires[0].where[0]"},
		{"signers", func(p *Policy) { builder(p).Where = []string{"signers.size() == 1"} }, "info looks-at-signers stages.build.requires[0].where[0]"},
		{"newest", func(p *Policy) { builder(p).Which = "newest" }, "info completeness stages.build.requires[0].which"},
		{"separate with one", func(p *Policy) { p.Stages["review"].Requires[0].Signers = []string{"builder"} }, "warning unsatisfiable rules[0].separate"},
		{"separate with common", func(p *Policy) { builder(p).Signers = append(builder(p).Signers, "reviewer") }, "!info never-refuses rules[0].separate"},
		{"organizations", func(p *Policy) { p.Stages["review"].Requires[0].Signers = []string{"tester"} }, "warning unsatisfiable rules[1].organizations"},
		{"duplicate rule", func(p *Policy) { p.Rules = append(p.Rules, p.Rules[0]) }, "warning duplicate-rule rules[2]"},
		{"one for all", func(p *Policy) {
			p.Rules = nil
			for _, s := range p.Stages {
				s.Requires[0].Signers = []string{"builder"}
			}
		}, "info one-for-all principals.builder"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := manualPolicy(t)
			c.edit(p)
			got := codes(p.Lint())
			want, not := strings.CutPrefix(c.want, "!")
			if slices.Contains(got, want) == not {
				t.Errorf("found is %v: %s\nin\n%s", !not, want, strings.Join(got, "\n"))
			}
			if again := codes(p.Lint()); !slices.Equal(got, again) {
				t.Error("findings come in another order")
			}
		})
	}
	(&Policy{Stages: map[string]*Stage{"a": nil}}).Lint() // must not panic
}
