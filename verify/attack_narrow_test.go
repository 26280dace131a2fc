package verify_test

import (
	"errors"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/verify"
)

// TestAttackNarrow: a project's policy that Narrow accepts must not pass what
// the organization's policy refuses. Each case is a change that seems to ask
// for more, and evidence that only the changed policy would pass.
func TestAttackNarrow(t *testing.T) {
	observed := func(typ, signer string, what ...string) []byte {
		return signed(statement(typ, files(what...), map[string]any{"result": "PASSED"}), signer)
	}
	scans := func(signers ...string) *verify.Stage {
		return &verify.Stage{About: []verify.About{{Stage: "build"}}, Requires: []verify.Requirement{{Type: typeScan, Signers: signers}}}
	}
	for _, c := range []struct {
		name     string
		policy   func() *verify.Policy
		change   func(p *verify.Policy)
		evidence [][]byte
	}{
		{
			// The statement that looks into the material is no longer needed.
			name: "flow takes fewer names",
			policy: func() *verify.Policy {
				p := policy("package", map[string]*verify.Stage{
					"build":   {Requires: requires("bld")},
					"package": {Requires: requires("pkg"), From: []verify.Flow{{Stage: "build"}}, Inputs: []string{"vendored"}},
					"scan":    scans("scn"),
				}, "bld", "pkg", "scn")
				p.Inputs = map[string]verify.Input{"vendored": {URI: "helper"}}
				return p
			},
			change: func(p *verify.Policy) { p.Stages["package"].From[0].Materials = "app" },
			evidence: [][]byte{signed(built(nil, files("app", "helper")), "bld"),
				signed(built(files("app", "helper"), files("app.tar")), "pkg"), observed(typeScan, "scn", "app")},
		},
		{
			name: "names are tied",
			policy: func() *verify.Policy {
				p := policy("package", map[string]*verify.Stage{
					"build":   {Requires: requires("bld")},
					"package": {Requires: requires("pkg"), From: []verify.Flow{{Stage: "build"}}, Inputs: []string{"vendored"}},
					"scan":    scans("scn"),
				}, "bld", "pkg", "scn")
				p.Inputs = map[string]verify.Input{"vendored": {URI: "vendor/**"}}
				return p
			},
			change: func(p *verify.Policy) { p.Stages["package"].From[0].Names = "same" },
			evidence: [][]byte{signed(built(nil, files("app", "helper")), "bld"),
				signed(built(files("app", "vendor/helper=helper"), files("app.tar")), "pkg"), observed(typeScan, "scn", "app")},
		},
		{
			// The flow is that of another statement than the one that p knows.
			name: "requirement that brings the flow",
			policy: func() *verify.Policy {
				return policy("build", map[string]*verify.Stage{
					"source": {Requires: requires("src")},
					"build":  {Requires: requires("bld"), From: []verify.Flow{{Stage: "source"}}},
				}, "src", "bld")
			},
			change: func(p *verify.Policy) {
				p.Stages["build"].Requires = append(p.Stages["build"].Requires, requires("src")...)
			},
			evidence: [][]byte{signed(built(nil, files("main.go")), "src"), signed(built(nil, files("app")), "bld"),
				signed(built(files("main.go"), files("app")), "src")},
		},
		{
			name: "requirement that brings the product",
			policy: func() *verify.Policy {
				p := policy("build", map[string]*verify.Stage{
					"build": {Requires: requires("bld"), Products: []string{"app", "app.sbom"}},
					"scan":  scans("scn"),
				}, "bld", "scn")
				return p
			},
			change: func(p *verify.Policy) {
				p.Stages["build"].Requires = append(p.Stages["build"].Requires, verify.Requirement{Type: typeTest, Signers: []string{"scn"}})
			},
			evidence: [][]byte{signed(built(nil, files("app")), "bld"), observed(typeScan, "scn", "app"), observed(typeTest, "scn", "app", "app.sbom")},
		},
		{
			name: "requirement that lists the input",
			policy: func() *verify.Policy {
				p := policy("build", map[string]*verify.Stage{
					"build": {Requires: requires("bld"), Inputs: []string{"locked"}},
					"lock":  scans("scn"),
					"test":  {About: []verify.About{{Stage: "build"}}, Requires: []verify.Requirement{{Type: typeTest, Signers: []string{"tst"}}}},
				}, "bld", "scn", "tst")
				p.Inputs = map[string]verify.Input{"locked": {ListedBy: "lock"}}
				return p
			},
			change: func(p *verify.Policy) {
				p.Stages["lock"].Requires = append(p.Stages["lock"].Requires, verify.Requirement{Type: typeTest, Signers: []string{"tst"}})
			},
			evidence: [][]byte{signed(built(files("evil"), files("app")), "bld"), observed(typeScan, "scn", "app"), observed(typeTest, "tst", "app", "evil")},
		},
		{
			name: "requirement of another organization",
			policy: func() *verify.Policy {
				p := policy("build", map[string]*verify.Stage{
					"build": {Requires: requires("a", "b")},
					"scan":  scans("a", "b"),
					"test":  {About: []verify.About{{Stage: "build"}}, Requires: []verify.Requirement{{Type: typeTest, Signers: []string{"tst"}}}},
				}, "a", "b", "tst")
				for name, org := range map[string]string{"a": "red", "b": "blue", "tst": "green"} {
					p.Principals[name] = verify.Principals{Key: publicPEM(name), Organization: org}
				}
				p.Rules = []verify.Rule{{Organizations: 2, Over: []string{"build", "scan"}}}
				return p
			},
			change: func(p *verify.Policy) {
				p.Stages["scan"].Requires = append(p.Stages["scan"].Requires, verify.Requirement{Type: typeTest, Signers: []string{"tst"}})
			},
			evidence: [][]byte{signed(built(nil, files("app")), "a"), observed(typeScan, "a", "app"), observed(typeTest, "tst", "app")},
		},
		{
			// Something that the pattern covers must be there.
			name: "about all in place of some",
			policy: func() *verify.Policy {
				p := policy("build", map[string]*verify.Stage{"build": {Requires: requires("bld")}, "scan": scans("scn")}, "bld", "scn")
				p.Stages["scan"].About[0].Products = "*.exe"
				return p
			},
			change:   func(p *verify.Policy) { p.Stages["scan"].About[0].Products = "" },
			evidence: [][]byte{signed(built(nil, files("app")), "bld"), observed(typeScan, "scn", "app")},
		},
		{
			name: "requirement that brings the name",
			policy: func() *verify.Policy {
				p := policy("build", map[string]*verify.Stage{"build": {Requires: requires("bld")}, "scan": scans("scn")}, "bld", "scn")
				p.Stages["scan"].About[0].Products = "*.exe"
				return p
			},
			change: func(p *verify.Policy) {
				p.Stages["build"].Requires = append(p.Stages["build"].Requires, verify.Requirement{Type: typeTest, Signers: []string{"scn"}})
			},
			evidence: [][]byte{signed(built(nil, files("app")), "bld"), observed(typeScan, "scn", "app"), observed(typeTest, "scn", "app.exe=app")},
		},
		{
			// A statement may be listed as a material by who comes after it.
			name: "a stage more to come after",
			policy: func() *verify.Policy {
				return policy("build", map[string]*verify.Stage{"build": {Requires: requires("bld")}, "scan": scans("scn")}, "bld", "scn")
			},
			change: func(p *verify.Policy) {
				p.Stages["scan"].About = []verify.About{{Stage: "build"}}
				p.Stages["note"] = scans("scn")
				p.Stages["build"].After = []string{"note"}
			},
			evidence: func() [][]byte {
				note := scan("PASSED", "app")
				m := provenance.ResourceDescriptor{Name: "note", Digest: provenance.DigestSet{note.Digest()}, MediaType: verify.StatementMediaType}
				return [][]byte{signed(built([]provenance.ResourceDescriptor{m}, files("app")), "bld"), signed(note, "scn")}
			}(),
		},
		{
			// The newest of all is no longer seen.
			name: "builders of the newest",
			policy: func() *verify.Policy {
				p := timedPrincipals(policy("build", map[string]*verify.Stage{
					"build": {Requires: []verify.Requirement{{Type: typeSLSA, Signers: []string{"bld"}, Which: "all", MaxAge: verify.Duration(time.Hour),
						Where: []string{"ok == yes"}}}},
				}, "bld"))
				return p
			},
			change: func(p *verify.Policy) {
				p.Stages["build"].Requires[0].Builders = []string{"https://example.com/builder"}
			},
			evidence: [][]byte{signed(bySomeBuilder("https://example.com/builder", "yes"), "bld"),
				signed(bySomeBuilder("https://example.com/other", "no"), "bld")},
		},
		{
			// Of two inventories the one that misses a statement is believed.
			name:     "fewer signers of inventories",
			policy:   inventoried,
			change:   func(p *verify.Policy) { p.Inventory.Signers = p.Inventory.Signers[:1] },
			evidence: withheld(),
		},
		{
			name:   "key of who signs inventories",
			policy: inventoried,
			change: func(p *verify.Policy) {
				e := p.Principals["inv2"]
				e.Keys[0].ValidUntil = now.Add(-time.Hour)
				p.Principals["inv2"] = e
			},
			evidence: withheld(),
		},
		{
			name:     "younger inventories",
			policy:   inventoried,
			change:   func(p *verify.Policy) { p.Inventory.MaxAge = verify.Duration(3 * time.Hour) },
			evidence: withheld(),
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			wide, narrow := c.policy(), c.policy()
			c.change(narrow)
			if _, err := newVerifierOf(wide); err != nil {
				t.Fatal(err)
			}
			if _, err := judge(t, wide, artifactOf(wide), c.evidence...); err == nil {
				t.Fatal("passes the organization's policy: the case shows nothing")
			}
			if _, err := judge(t, narrow, artifactOf(narrow), c.evidence...); err != nil {
				t.Fatalf("the case shows nothing: %v", err)
			}
			_, err := wide.Narrow(narrow)
			var pe *verify.PolicyError
			if !errors.As(err, &pe) || pe.Reason != verify.PolicyWider {
				t.Errorf("Narrow accepts it: %v", err)
			}
		})
	}
}

func newVerifierOf(p *verify.Policy) (*verify.Verifier, error) {
	return verify.New(p, verify.Options{Conditions: equalCompiler{}})
}

func artifactOf(p *verify.Policy) string {
	if p.Final == "package" {
		return "app.tar"
	}
	return "app"
}

func bySomeBuilder(id, ok string) *provenance.Statement {
	return statement(typeSLSA, files("app"), map[string]any{
		"buildDefinition": map[string]any{"buildType": "https://example.com/build/v1", "externalParameters": map[string]any{}},
		"runDetails": map[string]any{"builder": map[string]any{"id": id},
			"metadata": map[string]any{"startedOn": now.Add(-2 * time.Minute).Format(time.RFC3339), "finishedOn": now.Add(-time.Minute).Format(time.RFC3339)}},
		"ok": ok,
	})
}

func inventoried() *verify.Policy {
	p := timedPrincipals(policy("build", map[string]*verify.Stage{
		"build": {Requires: requires("bld")},
		"scan": {About: []verify.About{{Stage: "build"}}, Requires: []verify.Requirement{
			{Type: typeScan, Signers: []string{"scn"}, Which: "all", Complete: true, Where: []string{"result == PASSED"}}}},
	}, "bld", "scn", "inv", "inv2"))
	e := p.Principals["inv2"]
	e.Key, e.Keys = "", []verify.Key{{PEM: publicPEM("inv2")}}
	p.Principals["inv2"] = e
	p.Inventory = &verify.Inventory{Signers: []string{"inv", "inv2"}, MaxAge: verify.Duration(24 * time.Hour)}
	return p
}

// withheld is evidence about which inv2's older inventory knows more.
func withheld() [][]byte {
	good, bad := scan("PASSED", "app"), scan("FAILED", "app")
	return [][]byte{signed(built(nil, files("app")), "bld"), signed(good, "scn"),
		signed(inventory(now.Add(-time.Hour), []*provenance.Statement{good}, "app"), "inv"),
		signed(inventory(now.Add(-6*time.Hour), []*provenance.Statement{good, bad}, "app"), "inv2")}
}
