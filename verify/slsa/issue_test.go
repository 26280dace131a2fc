package slsa_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/predicate"
	"github.com/hallmark-build/hallmark/verify"
	"github.com/hallmark-build/hallmark/verify/slsa"
)

// chainOf judges "app" under a policy of one stage: SLSA provenance by a GitHub
// workflow.
func chainOf(t testing.TB, subject string) (*verify.Proof, *verify.VerifiedStatement, error) {
	t.Helper()
	c := formatCases()[0]
	p := parse(t, c.predicate)
	d := p["buildDefinition"].(map[string]any)
	d["resolvedDependencies"] = nil
	st := statementOf(t, subject, predicate.TypeSLSAProvenance, p)
	policy := &verify.Policy{
		Schema: verify.PolicySchema, Name: "test", NoExpiryUnsafe: true, Final: "build",
		Principals: map[string]verify.Principals{"ci": {Key: publicPEM("ci")}},
		Stages: map[string]*verify.Stage{"build": {
			Requires: []verify.Requirement{{Type: predicate.TypeSLSAProvenance, Signers: []string{"ci"}}},
		}},
	}
	v, err := verify.New(policy, verify.Options{})
	if err != nil {
		t.Fatal(err)
	}
	proof, err := v.Verify(context.Background(), verify.Request{
		Artifacts: []provenance.Artifact{artifactOf("app")}, Evidence: verify.NewEvidence(envelope(t, st, "ci")), At: now,
	})
	return proof, signed(t, st, "ci"), err
}

func issueOf() slsa.Summary {
	return slsa.Summary{
		VerifierID: "https://example.com/hallmark", ResourceURI: resource, At: now,
		Policy: provenance.ResourceDescriptor{URI: "https://example.com/policy.yaml", Digest: provenance.DigestSet{provenance.MustDigest("sha256:" + strings.Repeat("a", 64))}},
	}
}

func builderOf(t testing.TB, level int) []slsa.Builder {
	return []slsa.Builder{{Name: "ci", Key: keyID(t, publicPEM("ci")), IDs: []string{"https://github.com/octo/app/**"}, Formats: []slsa.Format{slsa.FormatGitHubWorkflow}, Level: level}}
}

func TestIssue(t *testing.T) {
	proof, st, err := chainOf(t, "app")
	if err != nil {
		t.Fatal(err)
	}
	result, err := slsa.Verify(st, artifactOf("app"), builderOf(t, 3), slsa.Expectations{SourceURI: "github.com/octo/app"})
	if err != nil {
		t.Fatal(err)
	}
	s := issueOf()
	for _, c := range []struct {
		build  []*slsa.Result
		levels []string
	}{
		{nil, []string{"SLSA_BUILD_LEVEL_UNEVALUATED"}},
		{[]*slsa.Result{result}, []string{"SLSA_BUILD_LEVEL_3"}},
	} {
		s.Build = c.build
		issued, err := slsa.PassedVSA(proof, s)
		if err != nil {
			t.Fatal(err)
		}
		vsa, err := predicate.ParseVSA(issued.Predicate())
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(vsa.VerifiedLevels, c.levels) || vsa.VerificationResult != predicate.Passed || vsa.ResourceURI != resource {
			t.Errorf("%+v", vsa)
		}
		if len(vsa.InputAttestations) != 1 || vsa.InputAttestations[0].Digest.Get(provenance.SHA256) != st.Digest() {
			t.Errorf("input attestations %v, want %v", vsa.InputAttestations, st.Digest())
		}
		if sub := issued.Subjects(); len(sub) != 1 || !sub[0].Digest.Matches(digestsOf("app")) {
			t.Errorf("subjects %v", sub)
		}
		if vsa.DependencyLevels != nil {
			t.Error("dependency levels are claimed")
		}
	}
	// What was issued is consumed by the same package.
	issued, _ := slsa.PassedVSA(proof, s)
	row := slsa.Delegation{VerifierID: s.VerifierID, Key: keyID(t, publicPEM("us")), Track: slsa.TrackBuild, MaxLevel: 3, Resources: []string{"pkg:oci/**"}}
	if r, err := slsa.VerifyVSA(signed(t, issued, "us"), digestsOf("app"), []slsa.Delegation{row}, wanted()); err != nil || r.Level(slsa.TrackBuild) != 3 {
		t.Error(err)
	}
	svr, err := slsa.SVR(proof, s)
	if err != nil {
		t.Fatal(err)
	}
	got, err := predicate.ParseSVR(svr.Predicate())
	if err != nil || !slices.Equal(got.Properties, []string{slsa.SVRChain, "SLSA_BUILD_LEVEL_3"}) || len(got.Verifier.Policies) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
	for name, change := range map[string]func(*slsa.Summary){
		"verifier": func(s *slsa.Summary) { s.VerifierID = "" }, "resource": func(s *slsa.Summary) { s.ResourceURI = "" },
		"policy": func(s *slsa.Summary) { s.Policy.URI = "" }, "policy digest": func(s *slsa.Summary) { s.Policy.Digest = nil },
		"time": func(s *slsa.Summary) { s.At = time.Time{} },
	} {
		s := issueOf()
		change(&s)
		if _, err := slsa.PassedVSA(proof, s); err == nil {
			t.Errorf("a summary without %s", name)
		}
	}
}

// Only what verification made becomes PASSED, and only levels that the proof shows.
func TestEdge56_NothingElsePasses(t *testing.T) {
	proof, _, err := chainOf(t, "app")
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string]*verify.Proof{"nil": nil, "zero": new(verify.Proof)} {
		_, err := slsa.PassedVSA(p, issueOf())
		refusedFor(t, err, slsa.ReasonProof)
		if _, err = slsa.SVR(p, issueOf()); err == nil {
			t.Errorf("%s: an SVR", name)
		}
	}
	// A result about the same artifact by a statement that the proof does not use.
	foreign := signed(t, statementOf(t, "app", predicate.TypeSLSAProvenance, parse(t, formatCases()[0].predicate)), "ci")
	r, err := slsa.Verify(foreign, artifactOf("app"), builderOf(t, 3), slsa.Expectations{SourceURI: "github.com/octo/app"})
	if err != nil {
		t.Fatal(err)
	}
	s := issueOf()
	s.Build = []*slsa.Result{r}
	_, err = slsa.PassedVSA(proof, s)
	refusedFor(t, err, slsa.ReasonProof)
	s.Build = []*slsa.Result{nil}
	_, err = slsa.PassedVSA(proof, s)
	refusedFor(t, err, slsa.ReasonProof)
	s.Build = []*slsa.Result{new(slsa.Result)}
	_, err = slsa.PassedVSA(proof, s)
	refusedFor(t, err, slsa.ReasonProof)
	s.Build, s.Source = nil, []*slsa.SummaryResult{new(slsa.SummaryResult)}
	_, err = slsa.PassedVSA(proof, s)
	refusedFor(t, err, slsa.ReasonProof)

	// A refusal becomes FAILED, and nothing else.
	_, _, err = chainOf(t, "something else")
	refused, ok := errors.AsType[*verify.RefusedError](err)
	if !ok {
		t.Fatal(err)
	}
	issued, err := slsa.FailedVSA(refused, issueOf())
	if err != nil {
		t.Fatal(err)
	}
	vsa, err := predicate.ParseVSA(issued.Predicate())
	if err != nil || vsa.VerificationResult != predicate.Failed || !slices.Equal(vsa.VerifiedLevels, []string{"FAILED"}) {
		t.Errorf("%+v, %v", vsa, err)
	}
	s = issueOf()
	s.Build = []*slsa.Result{r}
	_, err = slsa.FailedVSA(refused, s)
	refusedFor(t, err, slsa.ReasonRequest)
	_, err = slsa.FailedVSA(nil, issueOf())
	refusedFor(t, err, slsa.ReasonProof)
	_, err = slsa.FailedVSA(&verify.RefusedError{Report: &verify.Report{Passed: true}}, issueOf())
	refusedFor(t, err, slsa.ReasonProof)
	// The policy is the one that was judged by.
	proof.Report().Policy.Digest = "sha256:" + strings.Repeat("b", 64)
	_, err = slsa.PassedVSA(proof, issueOf())
	refusedFor(t, err, slsa.ReasonProof)
}

// The level of the source is that of a source VSA in the proof.
func TestIssueSourceLevel(t *testing.T) {
	d := parse(t, formatCases()[0].predicate)
	d["buildDefinition"].(map[string]any)["resolvedDependencies"] = nil
	build := statementOf(t, "app", predicate.TypeSLSAProvenance, d)
	vsa := statementOf(t, "app", predicate.TypeVSA, summary(func(d doc) { d["verifiedLevels"] = []any{"SLSA_SOURCE_LEVEL_4"} }))
	v, err := verify.New(&verify.Policy{
		Schema: verify.PolicySchema, Name: "test", NoExpiryUnsafe: true, Final: "build",
		Principals: map[string]verify.Principals{"ci": {Key: publicPEM("ci")}, "scs": {Key: publicPEM("scs")}},
		Stages: map[string]*verify.Stage{"build": {Requires: []verify.Requirement{
			{Type: predicate.TypeSLSAProvenance, Signers: []string{"ci"}}, {Type: predicate.TypeVSA, Signers: []string{"scs"}},
		}}},
	}, verify.Options{})
	if err != nil {
		t.Fatal(err)
	}
	proof, err := v.Verify(t.Context(), verify.Request{
		Artifacts: []provenance.Artifact{artifactOf("app")}, Evidence: verify.NewEvidence(envelope(t, build, "ci"), envelope(t, vsa, "scs")), At: now,
	})
	if err != nil {
		t.Fatal(err)
	}
	row := delegated(t, "scs")
	row.Track = slsa.TrackSource
	want := wanted()
	want.Levels = []string{"SLSA_SOURCE_LEVEL_1"}
	r, err := slsa.VerifyVSA(signed(t, vsa, "scs"), digestsOf("app"), []slsa.Delegation{row}, want)
	if err != nil {
		t.Fatal(err)
	}
	s := issueOf()
	s.Source = []*slsa.SummaryResult{r}
	issued, err := slsa.PassedVSA(proof, s)
	if err != nil {
		t.Fatal(err)
	}
	got, err := predicate.ParseVSA(issued.Predicate())
	// The verifier was delegated up to level 3 and no further.
	if err != nil || !slices.Equal(got.VerifiedLevels, []string{"SLSA_BUILD_LEVEL_UNEVALUATED", "SLSA_SOURCE_LEVEL_3"}) || len(got.InputAttestations) != 2 {
		t.Errorf("%+v, %v", got, err)
	}
}
