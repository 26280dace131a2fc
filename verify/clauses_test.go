package verify_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/verify"
)

// Each test here pins one clause of docs/chain.md, named by it.

// inventory is a signed list of statements, about some files.
func inventory(at time.Time, list []*provenance.Statement, subjects ...string) *provenance.Statement {
	entries := []any{}
	for _, st := range list {
		entries = append(entries, map[string]any{"digest": st.Digest().String(), "predicateType": st.PredicateType()})
	}
	return statement(verify.InventoryType, files(subjects...), map[string]any{"createdOn": at.Format(time.RFC3339), "statements": entries})
}

// timedPrincipals accept claimed times, for there is no timestamp authority here.
func timedPrincipals(p *verify.Policy) *verify.Policy {
	for name, e := range p.Principals {
		e.AcceptClaimedTimeUnsafe = true
		p.Principals[name] = e
	}
	return p
}

// F3 asks for a flow of every run, not of every statement of it: an
// observation in a flow stage has no materials.
func TestF3_FlowOfTheRun(t *testing.T) {
	p := policy("build", map[string]*verify.Stage{
		"source": {Requires: requires("src")},
		"build": {From: []verify.Flow{{Stage: "source"}}, Requires: []verify.Requirement{
			{Type: typeSLSA, Signers: []string{"bld"}}, {Type: typeTest, Signers: []string{"tst"}}}},
	}, "src", "bld", "tst")
	source, build := signed(built(nil, files("main.go")), "src"), signed(built(files("main.go"), files("app")), "bld")
	test := signed(statement(typeTest, files("app"), map[string]any{"result": "PASSED", "configuration": []any{}}), "tst")
	pass(t, p, "app", source, build, test)
	refused(t, verify.ReasonWrongType, p, "app", source, build)
	// Two builders of whom one alone lists the source.
	p.Stages["build"].Requires = []verify.Requirement{{Type: typeSLSA, Signers: []string{"bld", "tst"}, Threshold: 2}}
	pass(t, p, "app", source, build, signed(built(nil, files("app")), "tst"))
	refused(t, verify.ReasonNoFlow, p, "app", source, signed(built(nil, files("app")), "bld", "tst"))
}

// F5 with many: a run that brings nothing of its own is not part of the choice.
func TestF5_NoIdleRun(t *testing.T) {
	p := policy("build", map[string]*verify.Stage{"build": {Requires: requires("a", "b"), Many: true}}, "a", "b")
	p.Principals["a"] = verify.Principals{Key: publicPEM("a"), Organization: "red"}
	p.Principals["b"] = verify.Principals{Key: publicPEM("b"), Organization: "blue"}
	p.Rules = []verify.Rule{{Organizations: 2, Over: []string{"build"}}}
	one, both := signed(built(nil, files("app")), "a"), signed(built(nil, files("app", "lib")), "b")
	ask := func(artifacts ...string) error {
		_, err := newVerifier(t, p).Verify(t.Context(), request(artifacts, one, both))
		return err
	}
	if err := ask("app", "lib"); reasonOf(err) != verify.ReasonOrganizations {
		t.Errorf("the run of a, which b's makes needless, counts: %v", err)
	}
	two := signed(built(nil, files("lib")), "b")
	if _, err := newVerifier(t, p).Verify(t.Context(), request([]string{"app", "lib"}, one, two)); err != nil {
		t.Errorf("a run of each organization: %v", err)
	}
}

// F6 looks at the products of the stage: with many, of all its runs together.
func TestF6_ProductsOfAllRuns(t *testing.T) {
	p := policy("build", map[string]*verify.Stage{"build": {Requires: requires("bld"), Many: true, Products: []string{"linux/*", "darwin/*"}}}, "bld")
	linux, darwin := signed(built(nil, files("linux/app")), "bld"), signed(built(nil, files("darwin/app")), "bld")
	if _, err := newVerifier(t, p).Verify(t.Context(), request([]string{"linux/app", "darwin/app"}, linux, darwin)); err != nil {
		t.Errorf("two platforms, a run each: %v", err)
	}
	refused(t, verify.ReasonIncomplete, p, "linux/app", linux, darwin)
}

// F6 with complete: a product is used when it is met by name where names are
// tied, not when another with the same content is.
func TestF6_UsedByName(t *testing.T) {
	p := policy("package", map[string]*verify.Stage{
		"build":   {Requires: requires("bld"), Complete: true},
		"package": {Requires: requires("pkg"), From: []verify.Flow{{Stage: "build", Names: "same"}}},
	}, "bld", "pkg")
	pkg := signed(built(files("app"), files("app.tar")), "pkg")
	pass(t, p, "app.tar", pkg, signed(built(nil, files("app")), "bld"))
	refused(t, verify.ReasonIncomplete, p, "app.tar", pkg, signed(built(nil, files("app", "copy=app")), "bld"))
	// What products names may be there besides what is used.
	p.Stages["build"].Products = []string{"*.log"}
	pass(t, p, "app.tar", pkg, signed(built(nil, files("app", "build.log")), "bld"))
	refused(t, verify.ReasonIncomplete, p, "app.tar", pkg, signed(built(nil, files("app")), "bld"))
}

// A2 wants every used product covered, by whatever name and digests each of
// the statements gives it.
func TestA2_EveryNameOfAUsedProduct(t *testing.T) {
	p := policy("build", map[string]*verify.Stage{
		"build": {Requires: []verify.Requirement{{Type: typeSLSA, Signers: []string{"a", "b"}, Threshold: 2}}},
		"scan":  {Requires: []verify.Requirement{{Type: typeScan, Signers: []string{"scn"}}}, About: []verify.About{{Stage: "build", Products: "bin/*"}}},
	}, "a", "b", "scn")
	// Whichever of the two has the lower digest.
	for _, names := range [][2]string{{"bin/app=x", "app=x"}, {"app=x", "bin/app=x"}} {
		pass(t, p, "app=x", signed(built(nil, files(names[0])), "a"), signed(built(nil, files(names[1])), "b"), signed(scan("PASSED", "x"), "scn"))
	}
	// One of the statements knows more digests, and the scan is of another file by those.
	more := func(sha512 string) provenance.ResourceDescriptor {
		f := file("bin/app=x")
		f.Digest = append(f.Digest, genFile{content: sha512, digests: "sha512"}.descriptor(nil).Digest...)
		return f
	}
	ev := func(scanned provenance.ResourceDescriptor) [][]byte {
		return [][]byte{signed(built(nil, files("bin/app=x")), "a"), signed(built(nil, []provenance.ResourceDescriptor{more("x")}), "b"),
			signed(statement(typeScan, []provenance.ResourceDescriptor{scanned}, map[string]any{"result": "PASSED"}), "scn")}
	}
	pass(t, p, "app=x", ev(more("x"))...)
	if _, err := judge(t, p, "app=x", ev(more("y"))...); err == nil {
		t.Error("passed with a scan that contradicts one of the builders")
	}
}

// A1 is met by a target that another entry of about gives as well.
func TestA1_SharedTarget(t *testing.T) {
	p := policy("package", map[string]*verify.Stage{
		"lib":     {Requires: requires("lib")},
		"build":   {Requires: requires("bld"), From: []verify.Flow{{Stage: "lib"}}},
		"package": {Requires: requires("pkg"), From: []verify.Flow{{Stage: "build"}}},
		"scan": {Requires: []verify.Requirement{{Type: typeScan, Signers: []string{"scn"}}},
			About: []verify.About{{Stage: "lib"}, {Stage: "build", All: true, Products: "lib*"}}},
	}, "lib", "bld", "pkg", "scn")
	pass(t, p, "app.tar", signed(built(nil, files("lib.a")), "lib"), signed(built(files("lib.a"), files("app", "lib.a")), "bld"),
		signed(built(files("app"), files("app.tar")), "pkg"), signed(scan("PASSED", "lib.a"), "scn"))
}

// "base" compares last elements that are not empty.
func TestBaseOfNoName(t *testing.T) {
	p := policy("package", map[string]*verify.Stage{
		"build":   {Requires: requires("bld")},
		"package": {Requires: requires("pkg"), From: []verify.Flow{{Stage: "build", Names: "base"}}},
	}, "bld", "pkg")
	nameless := file("app")
	nameless.Name = ""
	if _, err := judge(t, p, "app.tar", signed(built(nil, []provenance.ResourceDescriptor{nameless}), "bld"),
		signed(built(files("x/.=app"), files("app.tar")), "pkg")); err == nil {
		t.Error(`passed: "x/." and "" are not one name`)
	}
}

// F2: a statement listed to show order is accounted for, although another stage
// could have made a file with its digest.
func TestF2_StatementThatIsAlsoAProduct(t *testing.T) {
	p := policy("release", map[string]*verify.Stage{
		"docs":    {Requires: requires("doc"), Optional: true, From: []verify.Flow{{Stage: "notes"}}},
		"notes":   {Requires: requires("nts")},
		"build":   {Requires: requires("bld")},
		"scan":    {Requires: []verify.Requirement{{Type: typeScan, Signers: []string{"scn"}}}, About: []verify.About{{Stage: "build"}}},
		"release": {Requires: requires("rel"), From: []verify.Flow{{Stage: "build"}, {Stage: "docs", Optional: true}}, After: []string{"scan"}},
	}, "doc", "nts", "bld", "scn", "rel")
	scanned := scan("PASSED", "app")
	listed := provenance.ResourceDescriptor{Name: "scan.json", Digest: provenance.DigestSet{scanned.Digest()}, MediaType: verify.StatementMediaType}
	// The docs stage could have made it, but its own source is missing.
	ev := [][]byte{signed(built(nil, files("app")), "bld"), signed(scanned, "scn"),
		signed(built(append(files("app"), listed), files("app.tar")), "rel"),
		signed(built(files("notes.md"), []provenance.ResourceDescriptor{listed}), "doc")}
	p.Stages["notes"].Optional = true
	pass(t, p, "app.tar", ev...)
	listed.MediaType = ""
	ev[2] = signed(built(append(files("app"), listed), files("app.tar")), "rel")
	if _, err := judge(t, p, "app.tar", ev...); err == nil {
		t.Error("passed with a material that does not say that it is a statement")
	}
}

// Section 4.3, complete: an inventory lists statements about any of its
// subjects, and of two inventories both must be satisfied.
func TestInventories(t *testing.T) {
	p := timedPrincipals(policy("build", map[string]*verify.Stage{
		"build": {Requires: requires("bld")},
		"scan": {About: []verify.About{{Stage: "build"}}, Many: true, Requires: []verify.Requirement{
			{Type: typeScan, Signers: []string{"scn"}, Which: "all", Complete: true, Where: []string{"result == PASSED"}}}},
	}, "bld", "scn", "inv"))
	p.Inventory = &verify.Inventory{Signers: []string{"inv"}, MaxAge: verify.Duration(24 * time.Hour)}
	build := signed(built(nil, files("app", "lib")), "bld")
	app, lib, bad := scan("PASSED", "app"), scan("PASSED", "lib"), scan("FAILED", "app")
	at := now.Add(-time.Hour)
	full := signed(inventory(at, []*provenance.Statement{app, lib}, "app", "lib"), "inv")
	ask := func(evidence ...[]byte) error {
		_, err := newVerifier(t, p).Verify(t.Context(), request([]string{"app", "lib"}, evidence...))
		return err
	}
	want := func(reason verify.Reason, evidence ...[]byte) {
		t.Helper()
		if err := ask(evidence...); reasonOf(err) != reason {
			t.Errorf("got %v, want %q", err, reason)
		}
	}
	sApp, sLib := signed(app, "scn"), signed(lib, "scn")
	want("", build, sApp, sLib, full)
	want(verify.ReasonNoInventory, build, sApp, sLib)
	want(verify.ReasonNoInventory, build, sApp, sLib, signed(inventory(at, []*provenance.Statement{app}, "app"), "inv"))
	want(verify.ReasonWithheld, build, sApp, sLib, full, signed(inventory(at.Add(-time.Hour), []*provenance.Statement{app, bad}, "app"), "inv"))
	want(verify.ReasonWithheld, build, sApp, sLib, signed(inventory(at, []*provenance.Statement{app, lib, bad}, "app", "lib"), "inv"))
	want(verify.ReasonCondition, build, sApp, sLib, full, signed(bad, "scn"))
	want(verify.ReasonTooOld, build, sApp, sLib, signed(inventory(at.Add(-48*time.Hour), []*provenance.Statement{app, lib}, "app", "lib"), "inv"))
	want(verify.ReasonWrongSigner, build, sApp, sLib, signed(inventory(at, []*provenance.Statement{app, lib}, "app", "lib"), "scn"))
	// A statement that is about none of the subjects cannot be looked up, and
	// counts as missing whatever else is at hand.
	want(verify.ReasonWithheld, build, sApp, sLib, signed(scan("PASSED", "other"), "scn"),
		signed(inventory(at, []*provenance.Statement{app, lib, scan("PASSED", "other")}, "app", "lib"), "inv"))
}

// The report says which name is whose.
func TestReportEdgeOfAbout(t *testing.T) {
	p := policy("build", map[string]*verify.Stage{
		"build": {Requires: requires("bld")},
		"scan":  {Requires: []verify.Requirement{{Type: typeScan, Signers: []string{"scn"}}}, About: []verify.About{{Stage: "build"}}},
	}, "bld", "scn")
	r := pass(t, p, "app=x", signed(built(nil, files("app=x")), "bld"), signed(scan("PASSED", "./app=x"), "scn")).Report()
	if !slices.ContainsFunc(r.Edges, func(e verify.ReportEdge) bool {
		return e.About && e.From == "build" && e.To == "scan" && e.Product == "app" && e.Name == "./app"
	}) {
		t.Errorf("edges: %+v", r.Edges)
	}
}

// The report names the input that admitted a material, not one that could have.
func TestReportInputThatLists(t *testing.T) {
	p := policy("build", map[string]*verify.Stage{
		"build": {Requires: requires("bld"), Inputs: []string{"locked", "pinned"}},
		"scan":  {Requires: []verify.Requirement{{Type: typeScan, Signers: []string{"scn"}}}, About: []verify.About{{Stage: "build"}}},
	}, "bld", "scn")
	p.Inputs = map[string]verify.Input{"locked": {ListedBy: "scan"}, "pinned": {Digests: []string{file("lib").Digest.String()}}}
	r := pass(t, p, "app", signed(built(files("lib"), files("app")), "bld"), signed(scan("PASSED", "app"), "scn")).Report()
	if in := r.Stages[0].Inputs; len(in) != 1 || in[0].Input != "pinned" {
		t.Errorf("inputs: %+v", in)
	}
}

// A material that the pattern of a flow does not take is not used by it,
// whoever made it.
func TestUsedIsTaken(t *testing.T) {
	p := policy("c", map[string]*verify.Stage{
		"a": {Requires: requires("a"), Complete: true},
		"b": {Requires: requires("b")},
		"c": {Requires: requires("c"), From: []verify.Flow{{Stage: "a", Materials: "x*"}, {Stage: "b"}}},
	}, "a", "b", "c")
	b, c := signed(built(nil, files("y")), "b"), signed(built(files("x", "y"), files("out")), "c")
	pass(t, p, "out", signed(built(nil, files("x")), "a"), b, c)
	refused(t, verify.ReasonIncomplete, p, "out", signed(built(nil, files("x", "y")), "a"), b, c)
}

// F5: the statements of all requirements of a stage meet the same wants, also
// those that another stage could meet.
func TestF5_RequirementsAgree(t *testing.T) {
	p := policy("c", map[string]*verify.Stage{
		"a": {Requires: []verify.Requirement{{Type: typeSLSA, Signers: []string{"a"}}, {Type: typeScan, Signers: []string{"a"}}}},
		"b": {Requires: requires("b")},
		"c": {Requires: requires("c"), From: []verify.Flow{{Stage: "a"}, {Stage: "b"}}},
	}, "a", "b", "c")
	build, b, c := signed(built(nil, files("x")), "a"), signed(built(nil, files("y")), "b"), signed(built(files("x", "y"), files("out")), "c")
	pass(t, p, "out", build, signed(scan("PASSED", "x"), "a"), b, c)
	if _, err := judge(t, p, "out", build, signed(scan("PASSED", "x", "y"), "a"), b, c); err == nil {
		t.Error("passed with a scan of more than the stage made")
	}
}

// Section 4.3, none: what cannot be decided is not shown to be absent.
func TestNone(t *testing.T) {
	p := timedPrincipals(policy("build", map[string]*verify.Stage{
		"build": {Requires: requires("bld")},
		"scan": {About: []verify.About{{Stage: "build"}}, Requires: []verify.Requirement{
			{Type: typeScan, Signers: []string{"scn"}, Which: "none", Complete: true, Where: []string{"result == FAILED"}}}},
	}, "bld", "scn", "inv"))
	p.Inventory = &verify.Inventory{Signers: []string{"inv"}, MaxAge: verify.Duration(24 * time.Hour)}
	build := signed(built(nil, files("app")), "bld")
	unclear := statement(typeScan, files("app"), map[string]any{"verdict": "FAILED"})
	ask := func(list ...*provenance.Statement) verify.Reason {
		ev := [][]byte{build, signed(inventory(now.Add(-time.Hour), list, "app"), "inv")}
		for _, st := range list {
			ev = append(ev, signed(st, "scn"))
		}
		_, err := judge(t, p, "app", ev...)
		return reasonOf(err)
	}
	if got := ask(); got != "" {
		t.Errorf("no scan: %q", got)
	}
	if got := ask(scan("PASSED", "app")); got != "" {
		t.Errorf("a scan that passed: %q", got)
	}
	if got := ask(scan("PASSED", "app"), scan("FAILED", "app")); got != verify.ReasonForbidden {
		t.Errorf("a scan that failed: %q", got)
	}
	if got := ask(unclear); got != verify.ReasonConditionError {
		t.Errorf("a scan that does not say: %q", got)
	}
	if _, err := judge(t, p, "app", build); reasonOf(err) != verify.ReasonNoInventory {
		t.Errorf("no inventory: %v", err)
	}
}

// A refusal for a statement that does not count says why it does not.
func TestReasonOfTheStageBefore(t *testing.T) {
	ev := releaseEvidence()
	ev[1] = signed(built(files("main.go", "go.mod"), files("app")), "src")
	f := refused(t, verify.ReasonUnaccounted, releasePolicy(), "app.tar.gz", ev...).Findings[0]
	if f.WantStage != "build" || f.GotStage != "package" || !strings.Contains(f.Message, "signed by src, the stage takes bld") {
		t.Errorf("finding %+v", f)
	}
	p := releasePolicy()
	p.Stages["build"].Requires[0].Builders = []string{"https://example.com/another"}
	f = refused(t, verify.ReasonCondition, p, "app.tar.gz", releaseEvidence()...).Findings[0]
	if f.WantStage != "build" || f.GotStage != "package" || f.File != "app" {
		t.Errorf("finding %+v", f)
	}
}

// Nobody signs for a package that is looked into, and nothing says when it was
// made: a policy that asks for either would be asking nothing.
func TestPackageHasNoTimeAndNoSigner(t *testing.T) {
	p := packagePolicy()
	p.Stages["package"].After = []string{"build"}
	policyError(t, verify.PolicyField, p)
	p = packagePolicy()
	p.Stages["scan"] = &verify.Stage{Requires: []verify.Requirement{{Type: typeScan, Signers: []string{"src"}}}, About: []verify.About{{Stage: "package"}}, After: []string{"package"}}
	policyError(t, verify.PolicyField, p)
	p = packagePolicy()
	p.Rules = []verify.Rule{{Separate: []string{"build", "package"}}}
	policyError(t, verify.PolicyField, p)
}

// F3 is about what was chosen: that something could have come from a stage, by
// a statement that cannot be chosen, is not enough.
func TestF3_FlowOfTheChoice(t *testing.T) {
	p := policy("release", map[string]*verify.Stage{
		"other":   {Requires: requires("oth")},
		"build":   {Requires: requires("bld")},
		"pack":    {Requires: requires("pkg"), From: []verify.Flow{{Stage: "build"}}},
		"docs":    {Requires: requires("doc"), From: []verify.Flow{{Stage: "build"}, {Stage: "other", Optional: true}}},
		"release": {Requires: requires("rel"), From: []verify.Flow{{Stage: "pack"}, {Stage: "docs"}}},
	}, "oth", "bld", "pkg", "doc", "rel")
	ev := [][]byte{signed(built(nil, files("notes")), "oth"), signed(built(nil, files("app")), "bld"), signed(built(nil, files("notes", "x")), "bld"),
		signed(built(files("app"), files("app.tar")), "pkg"), signed(built(files("notes"), files("docs.tar")), "doc"),
		signed(built(files("app.tar", "docs.tar"), files("release")), "rel")}
	refused(t, verify.ReasonNoFlow, p, "release", ev...)
	pass(t, p, "release", append(ev, signed(built(nil, files("app", "notes")), "bld"))...)
}

// Section 4: a person who says the same twice is one vote, also where others
// could have been counted and disagree.
func TestRunCountsAPersonOnce(t *testing.T) {
	p := policy("build", map[string]*verify.Stage{"build": {Requires: []verify.Requirement{
		{Type: typeSLSA, Signers: []string{"ann", "bob"}, Threshold: 2, AgreeOnMaterials: true}}, Inputs: []string{"any"}}}, "ann", "bob")
	p.Inputs = map[string]verify.Input{"any": {URI: "**"}}
	ann, again := signed(built(files("lib"), files("app")), "ann"), signed(built(files("lib"), files("app", "log")), "ann")
	refused(t, verify.ReasonDisagreement, p, "app", ann, again, signed(built(files("evil"), files("app")), "bob"))
	pass(t, p, "app", ann, again, signed(built(files("lib"), files("app", "log2")), "bob"))
}
