package predicate

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/provenance"
)

// TestProvenanceMapping checks the migration of slsa.dev/spec/v1.2/provenance, from both older versions.
func TestProvenanceMapping(t *testing.T) {
	p, err := ParseProvenance(stateRaw(t, TypeSLSAProvenanceV02, goodPredicate(t, TypeSLSAProvenanceV02)))
	if err != nil {
		t.Fatal(err)
	}
	at := At(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	source := provenance.ResourceDescriptor{URI: "git+https://example.com/a", Digest: provenance.DigestSet{provenance.MustDigest("sha1:" + commit)}}
	want := &Provenance{
		SLSAProvenance: SLSAProvenance{
			BuildDefinition: BuildDefinition{
				BuildType:          "https://example.com/t",
				ExternalParameters: map[string]any{"p": "1", "entryPoint": "ci.yml", "source": "git+https://example.com/a"},
				InternalParameters: map[string]any{"e": "2"},
				ResolvedDependencies: []provenance.ResourceDescriptor{source,
					{URI: "pkg:x/y", Digest: provenance.DigestSet{provenance.MustDigest("sha256:" + sha256B)}}},
			},
			RunDetails: RunDetails{Builder: Builder{ID: "https://example.com/b"},
				Metadata: BuildMetadata{InvocationID: "1", StartedOn: at, FinishedOn: at}},
		},
		Type:         TypeSLSAProvenanceV02,
		Complete:     Completeness{Parameters: true, Materials: true},
		Reproducible: true,
		BuildConfig:  map[string]any{"steps": 1.0},
	}
	if !reflect.DeepEqual(p, want) {
		t.Errorf("got  %+v\nwant %+v", p, want)
	}

	for _, typ := range []string{TypeSLSAProvenanceV01, TypeInTotoProvenanceV01} {
		p, err = ParseProvenance(stateRaw(t, typ, goodPredicate(t, TypeSLSAProvenanceV01)))
		if err != nil {
			t.Fatal(err)
		}
		want.Type = typ
		want.Reproducible = false
		want.BuildConfig = nil
		want.BuildDefinition.ExternalParameters = map[string]any{"a": "1", "entryPoint": "make", "source": "git+https://example.com/a"}
		want.BuildDefinition.ResolvedDependencies = want.BuildDefinition.ResolvedDependencies[:1:1]
		want.RunDetails.Metadata.FinishedOn = Timestamp{}
		if !reflect.DeepEqual(p, want) {
			t.Errorf("got  %+v\nwant %+v", p, want)
		}
	}

	// A source that is no material becomes one.
	p, err = ParseProvenance(stateRaw(t, TypeSLSAProvenanceV02, `{"builder":{"id":"b"},"buildType":"t","invocation":{"configSource":{"uri":"git+https://example.com/a","digest":{"sha1":"`+commit+`"}}}}`))
	if err != nil || !reflect.DeepEqual(p.BuildDefinition.ResolvedDependencies, []provenance.ResourceDescriptor{source}) {
		t.Errorf("got %+v, %v", p, err)
	}
	// Google Cloud Build writes a string for an index, even one that there is no material at.
	for _, i := range []string{`"0"`, `"1"`, `"-1"`, `null`} {
		doc := strings.Replace(goodPredicate(t, TypeSLSAProvenanceV01), `"definedInMaterial":0`, `"definedInMaterial":`+i, 1)
		doc = strings.Replace(doc, `"environment":{"e":"2"}`, `"environment":[]`, 1)
		p, err := ParseProvenance(stateRaw(t, TypeSLSAProvenanceV01, doc))
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := p.BuildDefinition.ExternalParameters["source"]; ok || len(p.BuildDefinition.ResolvedDependencies) != 1 || p.BuildDefinition.InternalParameters != nil {
			t.Errorf("definedInMaterial %s: got %+v", i, p)
		}
	}
	if _, err := ParseProvenance(stateRaw(t, TypeLink, goodPredicate(t, TypeLink))); err == nil {
		t.Error("a link was read as provenance")
	}
}

// TestProvenanceV02Written checks that what is written as v0.2 is read back as the v1 that it came from.
func TestProvenanceV02Written(t *testing.T) {
	p := slsaProvenance()
	p.BuildDefinition.InternalParameters = map[string]any{"runner": "x"}
	st, err := p.V02().Statement(subjects())
	if err != nil {
		t.Fatal(err)
	}
	back, err := ParseProvenance(st)
	if err != nil {
		t.Fatal(err)
	}
	if st.PredicateType() != TypeSLSAProvenanceV02 || !reflect.DeepEqual(&back.SLSAProvenance, p) {
		t.Errorf("got %+v back, want %+v", back.SLSAProvenance, p)
	}
	if back.Complete != (Completeness{}) {
		t.Errorf("claims to be complete: %+v", back.Complete)
	}
}

// TestExternalParameters is for specs' trap that an unknown external parameter may change what a build does.
func TestExternalParameters(t *testing.T) {
	p := slsaProvenance()
	p.BuildDefinition.ExternalParameters = map[string]any{"target": 1, "z": 2, "a": 3}
	p.BuildDefinition.InternalParameters = map[string]any{"target": 1}
	if got := p.UnknownExternalParameters("target"); !reflect.DeepEqual(got, []string{"a", "z"}) {
		t.Errorf("unknown: %v", got)
	}
	if got := p.UnknownExternalParameters("target", "a", "z"); got != nil {
		t.Errorf("unknown: %v", got)
	}
	if got := p.DoubleParameters(); !reflect.DeepEqual(got, []string{"target"}) {
		t.Errorf("double: %v", got)
	}
	if err := p.Validate(); err != nil { // only to be warned about
		t.Error(err)
	}
}

func TestGitHubBuild(t *testing.T) {
	workflow := GitHubWorkflow{"refs/heads/main", "https://github.com/octocat/hello-world", ".github/workflow/release.yml"}
	for _, build := range []struct {
		typ string
		GitHubBuild
	}{
		{BuildTypeGitHubWorkflow, GitHubBuild{Workflow: workflow, GitHub: GitHubContext{EventName: "schedule", RunnerEnvironment: "github-hosted"}}},
		{BuildTypeSLSAGitHubWorkflow, GitHubBuild{Workflow: workflow, Inputs: map[string]any{"a": "1"}, Vars: map[string]any{"b": "2"}, GitHub: GitHubContext{EventName: "push"}}},
		{BuildTypeSLSAGitHubWorkflow, GitHubBuild{Workflow: workflow, Release: map[string]any{"a": "1"}}},
	} {
		p := slsaProvenance()
		var err error
		p.BuildDefinition.BuildType = build.typ
		p.BuildDefinition.ExternalParameters, p.BuildDefinition.InternalParameters, err = build.Parameters(build.typ)
		if err != nil {
			t.Fatal(err)
		}
		got, err := GitHubBuildOf(p)
		if err != nil || !reflect.DeepEqual(*got, build.GitHubBuild) {
			t.Errorf("got %+v, %v, want %+v", got, err, build.GitHubBuild)
		}
		for name, spoil := range map[string]func(){
			"unknown external parameter": func() { p.BuildDefinition.ExternalParameters["env"] = "x" },
			"by case only": func() {
				p.BuildDefinition.ExternalParameters["workflow"] = map[string]any{"ref": "refs/heads/main", "Ref": "refs/heads/evil", "repository": "r", "path": "p"}
			},
			"workflow.path is required": func() {
				p.BuildDefinition.ExternalParameters["workflow"] = map[string]any{"ref": "refs/heads/main", "repository": "r"}
			},
			"full ref": func() {
				p.BuildDefinition.ExternalParameters["workflow"] = map[string]any{"ref": "main", "repository": "r", "path": "p"}
			},
			"found build type": func() { p.BuildDefinition.BuildType += "/" },
		} {
			old := p.BuildDefinition
			p.BuildDefinition.ExternalParameters, _, _ = build.Parameters(build.typ)
			spoil()
			_, err := GitHubBuildOf(p)
			wantError(t, err, name)
			p.BuildDefinition = old
		}
	}
	both := GitHubBuild{Workflow: workflow, Inputs: map[string]any{"a": 1}, Release: map[string]any{"a": 1}}
	_, _, err := both.Parameters(BuildTypeSLSAGitHubWorkflow)
	wantError(t, err, "at most one")
	both.Release = nil
	_, _, err = both.Parameters(BuildTypeGitHubWorkflow)
	wantError(t, err, "no inputs")
	_, _, err = (&GitHubBuild{Workflow: workflow, GitHub: GitHubContext{EventName: "pull_request"}}).Parameters(BuildTypeSLSAGitHubWorkflow)
	wantError(t, err, "event")
}

// TestRoundTrip parses what is good, states it, and parses it again.
func TestRoundTrip(t *testing.T) {
	type stater interface {
		Statement([]provenance.ResourceDescriptor) (*provenance.Statement, error)
	}
	for _, c := range []struct {
		from, to string
		parse    func([]byte) (stater, error) // of to
		upgrade  func([]byte) (stater, error) // of from, when it is older
	}{
		{TypeSLSAProvenance, "", func(b []byte) (stater, error) { return ParseSLSAProvenance(b) }, nil},
		{TypeSLSAProvenanceV02, "", func(b []byte) (stater, error) { return ParseSLSAProvenanceV02(b) }, nil},
		{TypeLink, "", func(b []byte) (stater, error) { return ParseLink(b) }, nil},
		{TypeLinkV02, TypeLink, func(b []byte) (stater, error) { return ParseLink(b) }, func(b []byte) (stater, error) { return ParseLinkV02(b) }},
		{TypeVSA, "", func(b []byte) (stater, error) { return ParseVSA(b) }, nil},
		{TypeVSAV02, TypeVSA, func(b []byte) (stater, error) { return ParseVSA(b) }, func(b []byte) (stater, error) { return ParseVSAV02(b) }},
		{TypeSVR, "", func(b []byte) (stater, error) { return ParseSVR(b) }, nil},
		{TypeTestResult, "", func(b []byte) (stater, error) { return ParseTestResult(b) }, nil},
		{TypeVulns, "", func(b []byte) (stater, error) { return ParseVulns(b) }, nil},
		{TypeVulnsV01, TypeVulns, func(b []byte) (stater, error) { return ParseVulns(b) }, func(b []byte) (stater, error) { return ParseVulnsV01(b) }},
		{TypeOpenVEX, TypeOpenVEXV020, func(b []byte) (stater, error) { return ParseOpenVEX(b) }, nil},
		{TypeSCAI, "", func(b []byte) (stater, error) { return ParseSCAI(b) }, nil},
		{TypeRuntimeTrace, "", func(b []byte) (stater, error) { return ParseRuntimeTrace(b) }, nil},
		{TypeReference, "", func(b []byte) (stater, error) { return ParseReference(b) }, nil},
		{TypeRelease, "", func(b []byte) (stater, error) { return ParseRelease(b) }, nil},
		{TypeReleaseV01, TypeRelease, func(b []byte) (stater, error) { return ParseRelease(b) }, func(b []byte) (stater, error) { return ParseReleaseV01(b) }},
		{TypeNPMPublish, "", func(b []byte) (stater, error) { return ParseNPMPublish(b) }, nil},
		{TypeSourceProvenance, "", func(b []byte) (stater, error) { return ParseSourceProvenance(b) }, nil},
		{TypeTagProvenance, "", func(b []byte) (stater, error) { return ParseTagProvenance(b) }, nil},
	} {
		if c.to == "" {
			c.to = c.from
		}
		if c.upgrade == nil {
			c.upgrade = c.parse
		}
		first, err := c.upgrade([]byte(goodPredicate(t, c.from)))
		if err != nil {
			t.Fatal(err)
		}
		st, err := first.Statement(subjects())
		if err != nil {
			t.Fatal(err)
		}
		if st.PredicateType() != c.to {
			t.Errorf("%s was stated as %s", c.from, st.PredicateType())
		}
		second, err := c.parse(st.Predicate())
		if err != nil {
			t.Fatalf("%s: %v", c.from, err)
		}
		st2, err := second.Statement(subjects())
		if err != nil || !bytes.Equal(st.Payload(), st2.Payload()) {
			t.Errorf("%s: %v\n%s\n%s", c.from, err, st.Payload(), st2.Payload())
		}
	}
	v, err := ParseCosignVuln([]byte(goodPredicate(t, TypeCosignVuln)))
	if err != nil {
		t.Fatal(err)
	}
	if st, err := v.Statement(subjects()); err != nil || Check(st) != nil {
		t.Errorf("cosign vuln: %v", err)
	}
	n := &NPMPublish{Name: "n"}
	if _, err := n.Statement(subjects()); err == nil {
		t.Error("an npm publish without a version was stated")
	}
}

func vsa() *VSA {
	return &VSA{Verifier: Verifier{ID: "https://example.com/v"}, ResourceURI: "pkg:x/y@1",
		Policy: provenance.ResourceDescriptor{URI: "https://example.com/p"}, VerificationResult: Passed,
		VerifiedLevels: []string{"SLSA_BUILD_LEVEL_2", "SLSA_SOURCE_LEVEL_UNEVALUATED", BuildReproduced, "ORG_SOURCE_SCANNED"}}
}

func TestVSAMeets(t *testing.T) {
	v := vsa()
	for want, meets := range map[string]bool{
		"SLSA_BUILD_LEVEL_0": true, "SLSA_BUILD_LEVEL_1": true, "SLSA_BUILD_LEVEL_2": true, "SLSA_BUILD_LEVEL_3": false,
		"SLSA_SOURCE_LEVEL_0": false, "SLSA_SOURCE_LEVEL_1": false, "SLSA_SOURCE_LEVEL_UNEVALUATED": false,
		"SLSA_BUILD_LEVEL_UNEVALUATED": false, "SLSA_DEPENDENCY_LEVEL_0": false,
		BuildReproduced: true, SourceTwoPartyReviewed: false, "ORG_SOURCE_SCANNED": true, "ORG_SOURCE": false,
		"": false, "FAILED": false, "PASSED": false, "SLSA_BUILD_LEVEL_02": false,
	} {
		if v.Meets(want) != meets {
			t.Errorf("Meets(%q) is %v", want, !meets)
		}
	}
	if n, ok := v.Level("BUILD"); n != 2 || !ok {
		t.Errorf("level is %d, %v", n, ok)
	}
	if _, ok := v.Level("SOURCE"); ok {
		t.Error("an unevaluated level is a level")
	}
	// A failed verification meets nothing, whatever levels it lists.
	v.VerificationResult = Failed
	for _, want := range []string{"SLSA_BUILD_LEVEL_0", "SLSA_BUILD_LEVEL_2", "ORG_SOURCE_SCANNED", "FAILED"} {
		if v.Meets(want) {
			t.Errorf("a failed VSA meets %s", want)
		}
	}
	if _, ok := v.Level("BUILD"); ok {
		t.Error("a failed VSA has a level")
	}
	v.VerifiedLevels = []string{Failed}
	if err := v.Validate(); err != nil {
		t.Error(err)
	}
	if (&VSA{}).Meets("SLSA_BUILD_LEVEL_0") {
		t.Error("the zero VSA meets a level")
	}
}

func TestParseLevel(t *testing.T) {
	for s, want := range map[string]Level{
		"SLSA_BUILD_LEVEL_3": {"BUILD", 3, false}, "SLSA_SOURCE_LEVEL_0": {"SOURCE", 0, false},
		"SLSA_BUILD_ENV_LEVEL_12": {"BUILD_ENV", 12, false}, "SLSA_BUILD_LEVEL_UNEVALUATED": {"BUILD", 0, true},
	} {
		got, ok, err := ParseLevel(s)
		if got != want || !ok || err != nil || got.String() != s {
			t.Errorf("%s: got %+v (%s), %v, %v", s, got, got, ok, err)
		}
	}
	for _, s := range []string{"", "FAILED", "SLSA_LEVEL_3", BuildReproduced, SourceTwoPartyReviewed, "ORG_LEVEL_3", "slsa_BUILD_LEVEL_3", "BCID_L1"} {
		if got, ok, err := ParseLevel(s); ok || err != nil {
			t.Errorf("%s: got %+v, %v, %v", s, got, ok, err)
		}
	}
}

// TestVSADependencyLevels: the one field in which empty and unset differ.
func TestVSADependencyLevels(t *testing.T) {
	v := vsa()
	for _, c := range []struct {
		levels map[string]int
		json   string
	}{{nil, ""}, {map[string]int{}, `"dependencyLevels":{}`}, {map[string]int{"SLSA_BUILD_LEVEL_1": 2}, `"dependencyLevels":{"SLSA_BUILD_LEVEL_1":2}`}} {
		v.DependencyLevels = c.levels
		st, err := v.Statement(subjects())
		if err != nil {
			t.Fatal(err)
		}
		if has := strings.Contains(string(st.Predicate()), "dependencyLevels"); has != (c.json != "") || !strings.Contains(string(st.Predicate()), c.json) {
			t.Errorf("wrote %s", st.Predicate())
		}
		back, err := ParseVSA(st.Predicate())
		if err != nil || !reflect.DeepEqual(back, v) {
			t.Errorf("got %+v back, %v, want %+v", back, err, v)
		}
	}
	doc := strings.Replace(goodPredicate(t, TypeVSA), `{"SLSA_BUILD_LEVEL_2":3}`, `null`, 1)
	if back, err := ParseVSA([]byte(doc)); err != nil || back.DependencyLevels != nil {
		t.Errorf("null was read as %v, %v", back, err)
	}
}

func TestSourceRefs(t *testing.T) {
	for _, c := range []struct{ annotations, want string }{
		{`{}`, `null`},
		{`{"sourceRefs":null}`, `null`},
		{`{"sourceRefs":["refs/heads/main"]}`, `["refs/heads/main"]`},
		{`{"source_refs":["refs/heads/main","refs/tags/v1"]}`, `["refs/heads/main","refs/tags/v1"]`},
		{`{"source_refs":["refs/heads/main"],"sourceRefs":["refs/heads/main"]}`, `["refs/heads/main"]`},
		{`{"source_refs":["refs/heads/main"],"sourceRefs":["refs/heads/evil"]}`, ``},
		{`{"source_refs":[],"sourceRefs":["refs/heads/evil"]}`, ``},
		{`{"sourceRefs":"refs/heads/main"}`, ``},
		{`{"sourceRefs":[1]}`, ``}, {`{"sourceRefs":[null]}`, ``}, {`{"sourceRefs":[""]}`, ``},
	} {
		var r provenance.ResourceDescriptor
		if err := json.Unmarshal([]byte(`{"uri":"u","annotations":`+c.annotations+`}`), &r); err != nil {
			t.Fatal(err)
		}
		refs, err := SourceRefs(r)
		if c.want == "" {
			wantError(t, err, "")
			continue
		}
		if b, _ := json.Marshal(refs); err != nil || string(b) != c.want {
			t.Errorf("%s: got %s, %v", c.annotations, b, err)
		}
	}
}

// TestEdge22_TwoAttestorsOfOneType: both are seen, whichever comes last.
func TestEdge22_TwoAttestorsOfOneType(t *testing.T) {
	attestation := func(typ, a string) string {
		return `{"type":"https://witness.dev/attestations/` + typ + `/v0.1","attestation":` + a + `}`
	}
	bad := []string{attestation("material", `{"f":{"sha256":"`+sha256B+`"}}`), attestation("command-run", `{"cmd":["curl"],"exitcode":1}`),
		attestation("product", `{"p":{"digest":{"sha256":"`+sha256B+`"}}}`), attestation("git", `{"commithash":"b"}`), attestation("environment", `{"os":"b"}`)}
	benign := []string{attestation("material", `{"f":{"sha256":"`+sha256A+`"}}`), attestation("command-run", `{"cmd":["true"],"exitcode":0}`),
		attestation("product", `{"p":{"digest":{"sha256":"`+sha256A+`"}}}`), attestation("git", `{"commithash":"a"}`), attestation("environment", `{"os":"a"}`)}
	for _, all := range [][]string{append(bad, benign...), append(benign, bad...)} {
		st := stateRaw(t, TypeWitnessCollection, `{"name":"n","attestations":[`+strings.Join(all, ",")+`]}`)
		c, err := ParseWitnessCollection(st.Predicate())
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Attestations) != 10 || len(c.Materials) != 2 || len(c.Products) != 2 || len(c.Commands) != 2 || len(c.Git) != 2 || len(c.Environments) != 2 {
			t.Errorf("got %+v", c)
		}
		if c.Commands[0].ExitCode+c.Commands[1].ExitCode != 1 {
			t.Errorf("exit codes are %+v", c.Commands)
		}
		flow, err := FlowOf(st)
		if err != nil || len(flow.Materials) != 2 || reflect.DeepEqual(flow.Materials[0], flow.Materials[1]) {
			t.Errorf("flow is %+v, %v", flow, err)
		}
	}
	c, err := ParseWitnessCollection([]byte(goodPredicate(t, TypeWitnessCollection)))
	if err != nil {
		t.Fatal(err)
	}
	if d := c.Materials[0].Digest.Get(provenance.DirHash).Value(); c.Materials[0].Name != "dir" || d != strings.Repeat("0", 64) {
		t.Errorf("directory's digest is %q", d)
	}
	if c, err := ParseWitnessCollection([]byte(`{"name":"n","attestations":[` + attestation("product", "null") + `]}`)); err != nil || len(c.Products) != 0 {
		t.Errorf("no products: %+v, %v", c, err)
	}
}

func TestClassicLink(t *testing.T) {
	l, err := ParseLink([]byte(goodPredicate(t, TypeLink)))
	if err != nil {
		t.Fatal(err)
	}
	c, err := l.Classic(subjects())
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"_type":"link","name":"build","command":["go","build"],"materials":{"main.go":{"sha256":"` + sha256B + `"}},` +
		`"products":{"app":{"sha256":"` + sha256A + `"}},"byproducts":{"return-value":0,"stdout":""},"environment":{"variables":["A=1"]}}`
	if string(b) != want {
		t.Errorf("got  %s\nwant %s", b, want)
	}
	c, err = ParseClassicLink(b)
	if err != nil {
		t.Fatal(err)
	}
	back, products, err := c.Link()
	if err != nil || !reflect.DeepEqual(back, l) || !reflect.DeepEqual(products, subjects()) {
		t.Errorf("got %+v and %+v back, %v", back, products, err)
	}
	// What is empty is there all the same: readers of classic links ask for it.
	c, err = (&Link{Name: "n"}).Classic(nil)
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := json.Marshal(c); string(b) != `{"_type":"link","name":"n","command":[],"materials":{},"products":{},"byproducts":{},"environment":{}}` {
		t.Errorf("got %s", b)
	}
	for doc, want := range map[string]string{
		`{"_type":"layout","name":"n"}`: "_type", `{"name":"n"}`: "_type", `{"_type":"Link","name":"n"}`: "_type", `{"_type":"link"}`: "name",
		`{"_type":"link","name":"n","products":{"a":{}}}`: "digest", `{"_type":"link","name":"n","products":{"a":null}}`: "digest",
		`{"_type":"link","name":"n","products":[]}`: "products", `{"_type":"link","name":"n","command":[null]}`: "null",
	} {
		_, err := ParseClassicLink([]byte(doc))
		wantError(t, err, want)
	}
	for _, subjects := range [][]provenance.ResourceDescriptor{
		{subject("a", "sha256:"+sha256A), subject("a", "sha256:"+sha256B)}, {subject("", "sha256:"+sha256A)}, {{Name: "a"}},
	} {
		if c, err := l.Classic(subjects); err == nil {
			t.Errorf("%+v became %+v", subjects, c)
		}
	}
}

// TestLinkSubjects: the names of a link's products must be unique (link.md, Fields).
func TestLinkSubjects(t *testing.T) {
	twice := []provenance.ResourceDescriptor{subject("a", "sha256:"+sha256A), subject("a", "sha256:"+sha256B)}
	if _, err := (&Link{Name: "n"}).Statement(twice); err == nil {
		t.Error("stated about two subjects of one name")
	}
	for typ, p := range map[string]string{TypeLink: `{"name":"n"}`, TypeLinkV02: `{"name":"n"}`} {
		st, err := provenance.NewStatement(twice, typ, json.RawMessage(p))
		if err != nil {
			t.Fatal(err)
		}
		wantError(t, Check(st), "a second")
		_, err = FlowOf(st)
		wantError(t, err, "a second")
	}
	st, err := (&Link{Name: "n"}).Statement(subjects())
	if err != nil || string(st.Predicate()) != `{"name":"n","command":[]}` {
		t.Errorf("got %s, %v", st.Predicate(), err)
	}
	for _, p := range []string{`{"name":"n","command":"make all"}`, `{"name":"n","command":["make all"],"_type":"link","products":{}}`} {
		l, err := ParseLinkV02([]byte(p))
		if err != nil || !reflect.DeepEqual(l.Command, []string{"make all"}) {
			t.Errorf("%s: got %+v, %v", p, l, err)
		}
	}
}

// TestStatementVersions is the trap of statements and predicates of different ages.
func TestStatementVersions(t *testing.T) {
	for _, c := range []struct{ statement, typ string }{
		{provenance.StatementV01, TypeSLSAProvenance}, {provenance.StatementV1, TypeSLSAProvenanceV02},
		{provenance.StatementV1, TypeNPMPublish}, {provenance.StatementV01, TypeVSA},
	} {
		b := bytes.Replace(stateRaw(t, c.typ, goodPredicate(t, c.typ)).Payload(), []byte(provenance.StatementV1), []byte(c.statement), 1)
		st, err := provenance.ParseStatement(b)
		if err != nil {
			t.Fatal(err)
		}
		if err := Check(st); err != nil || st.Type() != c.statement {
			t.Errorf("%s in %s: %v", c.typ, st.Type(), err)
		}
		if _, err := FlowOf(st); err != nil {
			t.Error(err)
		}
	}
}

func TestClaimedTimes(t *testing.T) {
	at := func(s string) time.Time {
		v, err := time.Parse(time.RFC3339, s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, c := range []struct{ typ, start, end string }{
		{TypeSLSAProvenance, "2026-01-02T03:04:05Z", "2026-01-02T03:04:06.5Z"},
		{TypeVSA, "2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"},
		{TypeVSAV02, "2026-01-02T03:04:05Z", "2026-01-02T03:04:05Z"},
		{TypeCosignVuln, "2026-01-01T18:04:05Z", "2026-01-01T18:04:05.1Z"},
		{TypeOpenVEX, "2026-01-02T09:04:05Z", "2026-01-02T09:04:05Z"},
		{TypeWitnessCollection, "2026-01-02T01:04:05Z", "2026-01-02T01:04:09Z"},
		{TypeRuntimeTrace, "2026-01-02T03:04:05Z", "2026-01-02T03:04:06Z"},
	} {
		start, end, err := ClaimedTimes(stateRaw(t, c.typ, goodPredicate(t, c.typ)))
		if err != nil || !start.Equal(at(c.start)) || !end.Equal(at(c.end)) {
			t.Errorf("%s: got %v, %v, %v", c.typ, start, end, err)
		}
	}
	for typ, doc := range map[string]string{
		TypeSPDXV23:                      `{"spdxVersion":"SPDX-2.3","creationInfo":{"creators":[],"created":"2026-01-02T03:04:05Z"}}`,
		"https://cyclonedx.org/bom/v1.6": `{"bomFormat":"CycloneDX","metadata":{"timestamp":"2026-01-02T04:04:05+01:00"}}`,
	} {
		start, end, err := ClaimedTimes(stateRaw(t, typ, doc))
		if err != nil || !start.Equal(at("2026-01-02T03:04:05Z")) || !end.Equal(start) {
			t.Errorf("%s: got %v, %v, %v", typ, start, end, err)
		}
	}
	for predicate, want := range map[string]string{
		`{"runDetails":{"metadata":{"startedOn":7}}}`:                                                               "want string",
		`{"runDetails":{"metadata":[]}}`:                                                                            "want object",
		`{"runDetails":{"metadata":{"startedOn":"2026-01-02T03:04:05+01:00"}}}`:                                     "UTC",
		`{"runDetails":{"metadata":{"startedOn":"2026-01-02T03:04:05Z","finishedOn":"2025-01-02T03:04:05Z"}}}`:      "before",
		`{"runDetails":{"metadata":{"startedOn":"yesterday"}}}`:                                                     "RFC 3339",
		`{"runDetails.metadata.startedOn":"2026-01-02T03:04:05Z","runDetails":{"metadata.startedOn":"2020-01-02"}}`: "",
		`{"runDetails":{"metadata":null}}`:                                                                          "",
		`{"runDetails":{"metadata":{"startedOn":null,"finishedOn":""}}}`:                                            "",
	} {
		start, end, err := ClaimedTimes(stateRaw(t, TypeSLSAProvenance, predicate))
		if want != "" {
			wantError(t, err, want)
		} else if err != nil || !start.IsZero() || !end.IsZero() {
			t.Errorf("%s: got %v, %v, %v", predicate, start, end, err)
		}
	}
}

// payloads returns the payloads of all DSSE envelopes in a file of JSON or JSON Lines.
func payloads(t *testing.T, data []byte) (list [][]byte) {
	t.Helper()
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			if p, ok := v["payload"].(string); ok && v["payloadType"] != nil {
				b, err := base64.StdEncoding.DecodeString(p)
				if err != nil {
					t.Fatal(err)
				}
				list = append(list, b)
			}
			for _, e := range v {
				walk(e)
			}
		case []any:
			for _, e := range v {
				walk(e)
			}
		}
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	for dec.More() {
		var v any
		if err := dec.Decode(&v); err != nil {
			t.Fatal(err)
		}
		walk(v)
	}
	return list
}

// TestRealProvenance reads what real builders wrote.
func TestRealProvenance(t *testing.T) {
	const dir = "../../../shared/data/slsa-real"
	if _, err := os.Stat(dir); err != nil {
		t.Skip("no shared data")
	}
	types := make(map[string]int)
	for _, pattern := range []string{"bcr/*.jsonl", "container-based/*.slsa", "maven/*.slsa", "npm/*.json", "vsa/*.jsonl"} {
		files, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %v", pattern, files, err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, payload := range payloads(t, data) {
				st, err := provenance.ParseStatement(payload)
				if err != nil {
					t.Errorf("%s: %v", file, err)
					continue
				}
				types[st.PredicateType()]++
				if err := Check(st); err != nil {
					t.Errorf("%s: %v", file, err)
				}
				flow, err := FlowOf(st)
				if err != nil {
					t.Errorf("%s: %v", file, err)
				}
				if _, _, err := ClaimedTimes(st); err != nil {
					t.Errorf("%s: %v", file, err)
				}
				if !flow.Transformation {
					continue
				}
				p, err := ParseProvenance(st)
				if err != nil {
					t.Fatalf("%s: %v", file, err)
				}
				if !reflect.DeepEqual(flow.Materials, p.BuildDefinition.ResolvedDependencies) || len(flow.Materials) == 0 {
					t.Errorf("%s: materials are %+v, dependencies %+v", file, flow.Materials, p.BuildDefinition.ResolvedDependencies)
				}
				build, err := GitHubBuildOf(&p.SLSAProvenance)
				if strings.Contains(file, "bcr") && (err != nil || build.Workflow.Path != ".github/workflows/release.yml") {
					t.Errorf("%s: %+v, %v", file, build, err)
				}
			}
		}
	}
	for _, typ := range []string{TypeSLSAProvenance, TypeSLSAProvenanceV02, TypeNPMPublish, TypeVSA} {
		if types[typ] == 0 {
			t.Errorf("no %s among %v", typ, types)
		}
	}
}

func TestRealBuildTypes(t *testing.T) {
	for file, event := range map[string]string{"actions-workflow-v1.json": "workflow_dispatch", "github-actions-workflow-v1.json": "workflow_dispatch"} {
		st, err := provenance.ParseStatement(readShared(t, "buildtypes/"+file))
		if err != nil {
			t.Fatal(err)
		}
		p, err := ParseProvenance(st)
		if err != nil {
			t.Fatal(err)
		}
		build, err := GitHubBuildOf(&p.SLSAProvenance)
		if err != nil || build.Workflow.Repository != "https://github.com/octocat/hello-world" || build.GitHub.EventName != event {
			t.Errorf("%s: %+v, %v", file, build, err)
		}
	}
}
