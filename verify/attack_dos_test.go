package verify_test

import (
	"fmt"
	"testing"

	"github.com/hallmark-build/hallmark/internal/dsse"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/verify"
)

// nightly is a build that was scanned and tested n times.
func nightly(n int, materials ...string) [][]byte {
	ev := [][]byte{signed(built(files(materials...), files("app")), "bld")}
	for i := range n {
		ev = append(ev, signed(statement(typeScan, files("app"), map[string]any{"night": i}), "scn"),
			signed(statement(typeTest, files("app"), map[string]any{"night": i}), "tst"))
	}
	return ev
}

func nightlyPolicy() *verify.Policy {
	return policy("build", map[string]*verify.Stage{
		"build": {Requires: requires("bld")},
		"scan":  {About: []verify.About{{Stage: "build"}}, Requires: []verify.Requirement{{Type: typeScan, Signers: []string{"scn"}}}},
		"test":  {About: []verify.About{{Stage: "build"}}, Requires: []verify.Requirement{{Type: typeTest, Signers: []string{"tst"}}}},
	}, "bld", "scn", "tst")
}

// TestAttackRepeatedStages: what fails whatever is chosen for a stage is not
// tried with everything that could be. A thousand scans and a thousand tests
// of one artifact are not a million searches, nor a reason to give up.
func TestAttackRepeatedStages(t *testing.T) {
	const n = 60
	ask := func(p *verify.Policy, compiler verify.ConditionCompiler, steps int, evidence [][]byte) verify.Reason {
		t.Helper()
		v, err := verify.New(p, verify.Options{Conditions: compiler, SearchSteps: steps})
		if err != nil {
			t.Fatal(err)
		}
		_, err = v.Verify(t.Context(), request([]string{"app"}, evidence...))
		return reasonOf(err)
	}
	p := nightlyPolicy()
	p.Stages["build"].Inputs = []string{"locked"}
	p.Inputs = map[string]verify.Input{"locked": {ListedBy: "scan"}}
	if got := ask(p, nil, 10*n, nightly(n, "lib")); got != verify.ReasonUnaccounted {
		t.Errorf("a material that no scan lists: %q", got)
	}
	p = timedPrincipals(nightlyPolicy())
	p.Stages["scan"].After = []string{"build"}
	if got := ask(p, nil, 10*n, nightly(n)); got != verify.ReasonNoTime {
		t.Errorf("scans without a time: %q", got)
	}
	p = nightlyPolicy()
	p.Principals["tst"] = verify.Principals{Key: publicPEM("tst"), Organization: "red"}
	p.Principals["scn"] = verify.Principals{Key: publicPEM("scn"), Organization: "red"}
	p.Rules = []verify.Rule{{Organizations: 2, Over: []string{"build", "scan"}}}
	if got := ask(p, nil, 10*n, nightly(n)); got != verify.ReasonOrganizations {
		t.Errorf("scans by one organization: %q", got)
	}
	p.Rules = []verify.Rule{{Separate: []string{"build", "scan"}}}
	p.Stages["scan"].Requires[0].Signers = []string{"bld"}
	ev := nightly(n)
	for i := range n {
		ev = append(ev, signed(statement(typeScan, files("app"), map[string]any{"day": i}), "bld"))
	}
	if got := ask(p, nil, 10*n, ev); got != verify.ReasonDuties {
		t.Errorf("scans by the builder: %q", got)
	}
	// A condition is decided again only where something that it names differs.
	for condition, most := range map[string]int{"stages.build.x": 1, "stages.build.x && stages.scan.y": n, "stages.test.x": n, "stages.scan.x && stages.test.x": n * n, `stages["build"].x`: n * n, "build": n * n} {
		c := &deciding{}
		p = nightlyPolicy()
		p.Rules = []verify.Rule{{Condition: condition}}
		if got := ask(p, c, 0, nightly(n)); got != verify.ReasonCondition || c.n != most {
			t.Errorf("%s: %q after %d decisions, want %d", condition, got, c.n, most)
		}
	}
}

// deciding counts how often its condition is decided: it is never true.
type deciding struct{ n int }

func (c *deciding) Compile(string, []string) (verify.Condition, error) { return c, nil }
func (c *deciding) Holds(map[string]any) (bool, error)                 { c.n++; return false, nil }

// TestAttackExplainLargeTree: what a refusal is explained with is bounded. Of
// a small tree the file that was changed is found, whichever it is; of a large
// one every file compared with every other would take hours.
func TestAttackExplainLargeTree(t *testing.T) {
	p := policy("package", map[string]*verify.Stage{
		"build":   {Requires: requires("bld")},
		"package": {Requires: requires("pkg"), From: []verify.Flow{{Stage: "build"}}, Inputs: []string{"any"}},
	}, "bld", "pkg")
	p.Inputs = map[string]verify.Input{"any": {URI: "**"}}
	tree := func(prefix string, n int) []provenance.ResourceDescriptor {
		var list []provenance.ResourceDescriptor
		for i := range n {
			list = append(list, file(fmt.Sprintf("%s/%d/package.json=%s %d", prefix, i, prefix, i)))
		}
		return list
	}
	ask := func(n int) verify.Reason {
		changed := append(tree("modules", n), file("last/package.json=changed"))
		ev := [][]byte{signed(built(changed, files("app")), "pkg"), signed(built(nil, append(tree("out", n), file("last/package.json"))), "bld")}
		_, err := judge(t, p, "app", ev...)
		return reasonOf(err)
	}
	if got := ask(100); got != verify.ReasonAltered {
		t.Errorf("a small tree: %q", got)
	}
	if got := ask(5000); got != verify.ReasonNoFlow {
		t.Errorf("a large tree: %q", got)
	}
}

// TestAttackJunkSignatures: anybody can publish envelopes about an artifact.
// How many signatures are checked is bounded, alone and in a batch.
func TestAttackJunkSignatures(t *testing.T) {
	if testing.Short() {
		t.Skip("a million signatures are looked at")
	}
	p := policy("build", map[string]*verify.Stage{"build": {Requires: requires("bld")}}, "bld")
	for i := range 600 {
		name := fmt.Sprint("other", i)
		p.Principals[name] = verify.Principals{Key: publicPEM(name)}
	}
	junk := func(n int) [][]byte {
		ev := [][]byte{signed(built(nil, files("app")), "bld")}
		for i := range n {
			env := &dsse.Envelope{PayloadType: provenance.PayloadType, Payload: built(files(fmt.Sprint(i)), files("app")).Payload()}
			for j := range 64 {
				env.Signatures = append(env.Signatures, dsse.Signature{Sig: []byte{byte(j), 1}}) // cheap to check, for the test's sake
			}
			b, err := env.Encode()
			if err != nil {
				t.Fatal(err)
			}
			ev = append(ev, b)
		}
		return ev
	}
	pass(t, p, "app", junk(5)...)
	refused(t, verify.ReasonSearchLimit, p, "app", junk(30)...)
	ev := verify.NewEvidence(junk(30)...)
	requests := []verify.Request{}
	for range 2 {
		r := request([]string{"app"})
		r.Evidence = ev
		requests = append(requests, r)
	}
	for _, err := range newVerifier(t, p).Batch(t.Context(), requests, verify.BatchOptions{Workers: 1}) {
		if reasonOf(err) != verify.ReasonSearchLimit {
			t.Errorf("in a batch: %v", err)
		}
	}
}

// Whatever is skipped, the one statement that helps is found: of a stage that
// lists an input, or that must have come before, or that a rule looks at.
func TestAttackRepeatedStagesHold(t *testing.T) {
	for k := range 6 {
		p := nightlyPolicy()
		p.Stages["build"].Inputs = []string{"locked"}
		p.Inputs = map[string]verify.Input{"locked": {ListedBy: "scan"}}
		ev := nightly(6, "lib")
		pass(t, p, "app", append(ev, signed(statement(typeScan, files("app", "lib"), map[string]any{"night": k}), "scn"))...)

		p = nightlyPolicy()
		p.Stages["build"].After = []string{"note"}
		p.Stages["note"] = &verify.Stage{About: []verify.About{{Stage: "build"}}, Requires: []verify.Requirement{{Type: typeScan, Signers: []string{"scn"}}}}
		listed := statement(typeScan, files("app"), map[string]any{"note": k})
		m := provenance.ResourceDescriptor{Name: "note", Digest: provenance.DigestSet{listed.Digest()}, MediaType: verify.StatementMediaType}
		pass(t, p, "app", append(nightly(6)[1:], signed(built([]provenance.ResourceDescriptor{m}, files("app")), "bld"), signed(listed, "scn"))...)

		p = nightlyPolicy()
		p.Rules = []verify.Rule{{Separate: []string{"build", "scan"}}}
		p.Stages["scan"].Requires[0].Signers = []string{"bld", "tst"}
		ev = [][]byte{signed(built(nil, files("app")), "bld"), signed(statement(typeTest, files("app"), map[string]any{}), "tst")}
		for i := range 6 {
			who := "bld"
			if i == k {
				who = "tst"
			}
			ev = append(ev, signed(statement(typeScan, files("app"), map[string]any{"night": i}), who))
		}
		pass(t, p, "app", ev...)
	}
}
