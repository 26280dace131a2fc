package slsa_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/predicate"
	"github.com/hallmark-build/hallmark/verify"
	"github.com/hallmark-build/hallmark/verify/slsa"
)

const realData = "../../../shared/data"

func readReal(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(realData, path))
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("the shared data is not there")
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var realNow = time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)

func realTrust(t testing.TB) (trust *verify.Trust, registry []string) {
	t.Helper()
	keys, err := slsa.NPMKeys(readReal(t, "trust/npm-keys.json"))
	if err != nil {
		t.Fatal(err)
	}
	trust, err = verify.NewTrust(keys...)
	if err != nil {
		t.Fatal(err)
	}
	trust, err = trust.WithSigstore(readReal(t, "trust/trusted_root.public-good.2026-08.json"), verify.Sigstore{})
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range keys {
		registry = append(registry, keyID(t, k.PEM))
	}
	return trust, registry
}

func realArtifact(t testing.TB, path string) provenance.Artifact {
	t.Helper()
	a, err := provenance.DigestReader(t.Context(), filepath.Base(path), bytes.NewReader(readReal(t, path)))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// wants is one real artifact, what it is, and expectations that are wrong about it.
type realCase struct {
	name, artifact, attestations string
	want                         slsa.Expectations
	level                        int
	builder                      string
	certified                    []string
	pkg                          slsa.NPMPackage
}

func realCases() []realCase {
	all := []string{slsa.FactSource, slsa.FactRef, slsa.FactCommit, slsa.FactWorkflow, slsa.FactRun, slsa.FactRunner, slsa.FactTrigger}
	return []realCase{{
		name: "bazel module", artifact: "slsa-real/bcr/MODULE.bazel", attestations: "slsa-real/bcr/MODULE.bazel.intoto.jsonl",
		want: slsa.Expectations{
			SourceURI: "github.com/aspect-build/rules_lint", Branch: "publish-to-bcr", Ref: "refs/heads/publish-to-bcr",
			Commit:    "8f70009fde0c94ade6ce2a054b94718c819126ec",
			BuilderID: "https://github.com/bazel-contrib/publish-to-bcr/.github/workflows/publish.yaml",
			BuildType: predicate.BuildTypeGitHubWorkflow, Workflow: ".github/workflows/release.yml", Trigger: "workflow_dispatch",
		}, level: 2, certified: all,
	}, {
		name: "bazel archive", artifact: "slsa-real/bcr/rules_lint-v1.3.1.tar.gz", attestations: "slsa-real/bcr/rules_lint-v1.3.1.tar.gz.intoto.jsonl",
		want: slsa.Expectations{
			SourceURI: "git+https://github.com/aspect-build/rules_lint.git", Branch: "publish-to-bcr",
			BuilderID: "https://github.com/bazel-contrib/.github/.github/workflows/release_ruleset.yaml@refs/tags/v7.1.0",
		}, level: 2, certified: all,
	}, {
		name: "container-based", artifact: "slsa-real/container-based/binary-linux-amd64-push-v14.2",
		attestations: "slsa-real/container-based/binary-linux-amd64-push-v14.2.intoto.build.slsa",
		want: slsa.Expectations{
			Level: 3, SourceURI: "github.com/slsa-framework/example-package", Tag: "v14.2", VersionedTag: "v14", Branch: "main",
			BuilderID:            "https://github.com/slsa-framework/slsa-github-generator/.github/workflows/builder_container-based_slsa3.yml",
			AllowKnownParameters: true,
			ExternalParameters: map[string]any{"buildConfig": map[string]any{
				"ArtifactPath": "gha_container-based-binary-linux-amd64-v14.2", "Command": []string{"touch", "gha_container-based-binary-linux-amd64-v14.2"}}},
		}, level: 3, builder: "slsa-github-generator container-based", certified: all,
	}, {
		name: "maven", artifact: "slsa-real/maven/binary-linux-amd64-push-v14.2", attestations: "slsa-real/maven/binary-linux-amd64-push-v14.2.build.slsa",
		want: slsa.Expectations{
			Level: 3, SourceURI: "github.com/slsa-framework/example-package", Tag: "v14.2", VersionedTag: "v14.2", Branch: "main",
			BuilderID: "https://github.com/slsa-framework/slsa-github-generator/.github/workflows/builder_maven_slsa3.yml@refs/tags/v1.10.0",
			ExternalParameters: map[string]any{"inputs": map[string]any{
				"directory": "./e2e/maven/workflow_dispatch", "jdk-version": 17, "rekor-log-public": false}},
		}, level: 3, builder: "slsa-github-generator (delegated)", certified: all,
	}, {
		name: "npm v1", artifact: "slsa-real/npm/provenance-npm-test-cli-v1-prega.tgz", attestations: "slsa-real/npm/provenance-npm-test-cli-v1-prega.tgz.json",
		want: slsa.Expectations{
			SourceURI: "https://github.com/sigstore/sigstore-js", Branch: "main", BuilderID: "https://github.com/actions/runner/github-hosted",
			Workflow: ".github/workflows/release.yml",
		}, level: 2, builder: "npm on GitHub Actions", certified: all, pkg: slsa.NPMPackage{Name: "sigstore", Version: "2.3.1"},
	}, {
		name: "npm v0.2", artifact: "slsa-real/npm/supreme-googles-cli-v02-tag.tgz", attestations: "slsa-real/npm/supreme-googles-cli-v02-tag.tgz.json",
		want: slsa.Expectations{
			SourceURI: "https://github.com/trishankatdatadog/supreme-goggles", Tag: "v1.0.5", VersionedTag: "v1.0",
			BuilderID: "https://github.com/actions/runner", Trigger: "release",
		}, level: 2, builder: "npm on GitHub Actions", certified: all, pkg: slsa.NPMPackage{Name: "@trishankatdatadog/supreme-goggles", Version: "1.0.5"},
	}}
}

func (c *realCase) verify(t testing.TB, artifact provenance.Artifact, want slsa.Expectations) (*slsa.Result, error) {
	t.Helper()
	trust, registry := realTrust(t)
	b := readReal(t, c.attestations)
	if c.pkg.Name == "" {
		return slsa.VerifyAny([][]byte{b}, trust, realNow, artifact, slsa.Builders(), want)
	}
	list, err := slsa.NPMAttestations(b)
	if err != nil {
		t.Fatal(err)
	}
	pkg := c.pkg
	pkg.RegistryKeys = registry
	return slsa.VerifyNPM(list, trust, realNow, artifact, pkg, slsa.Builders(), want)
}

func TestRealProvenance(t *testing.T) {
	for _, c := range realCases() {
		t.Run(c.name, func(t *testing.T) {
			r, err := c.verify(t, realArtifact(t, c.artifact), c.want)
			if err != nil {
				t.Fatal(err)
			}
			if r.Level() != c.level || c.builder != "" && r.Builder() != c.builder {
				t.Errorf("level %d by %q, want %d by %q", r.Level(), r.Builder(), c.level, c.builder)
			}
			certified := map[string]bool{}
			for _, f := range r.Facts() {
				certified[f.Name] = f.Certified
			}
			for _, name := range c.certified {
				if !certified[name] {
					t.Errorf("%s is not certified: %v", name, r.Facts())
				}
			}
			t.Logf("level %d, %s, %s, unchecked %v", r.Level(), r.Builder(), r.Format(), r.Unchecked())
		})
	}
}

// Every wrong expectation on real provenance is refused, with its reason.
func TestRealWrongExpectations(t *testing.T) {
	wrong := map[string]struct {
		change func(*slsa.Expectations)
		reason slsa.Reason
	}{
		"source":         {func(e *slsa.Expectations) { e.SourceURI += "-evil" }, slsa.ReasonSource},
		"source prefix":  {func(e *slsa.Expectations) { e.SourceURI = e.SourceURI[:len(e.SourceURI)-1] }, slsa.ReasonSource},
		"source case":    {func(e *slsa.Expectations) { e.SourceURI = "https://github.com/Sigstore/sigstore-js" }, slsa.ReasonSource},
		"no source":      {func(e *slsa.Expectations) { e.SourceURI = "" }, slsa.ReasonRequest},
		"branch":         {func(e *slsa.Expectations) { e.Branch = "master" }, slsa.ReasonRef},
		"ref":            {func(e *slsa.Expectations) { e.Ref = "refs/heads/other" }, slsa.ReasonRef},
		"tag":            {func(e *slsa.Expectations) { e.Tag = "v9.9.9" }, slsa.ReasonRef},
		"tag prefix":     {func(e *slsa.Expectations) { e.Tag = "v1" }, slsa.ReasonRef},
		"version":        {func(e *slsa.Expectations) { e.VersionedTag = "v2" }, slsa.ReasonRef},
		"no version":     {func(e *slsa.Expectations) { e.VersionedTag = "14" }, slsa.ReasonRequest},
		"commit":         {func(e *slsa.Expectations) { e.Commit = "0123456789abcdef0123456789abcdef01234567" }, slsa.ReasonRef},
		"builder":        {func(e *slsa.Expectations) { e.BuilderID = "https://github.com/actions/runne" }, slsa.ReasonBuilder},
		"builder at ref": {func(e *slsa.Expectations) { e.BuilderID += "@refs/tags/v0.0.9" }, slsa.ReasonBuilder},
		"build type":     {func(e *slsa.Expectations) { e.BuildType = "https://example.com/build" }, slsa.ReasonBuildType},
		"workflow":       {func(e *slsa.Expectations) { e.Workflow = ".github/workflows/other.yml" }, slsa.ReasonWorkflow},
		"trigger":        {func(e *slsa.Expectations) { e.Trigger = "pull_request" }, slsa.ReasonWorkflow},
		"input":          {func(e *slsa.Expectations) { e.WorkflowInputs = map[string]string{"release": "true"} }, slsa.ReasonParameters},
		"parameter":      {func(e *slsa.Expectations) { e.ExternalParameters = map[string]any{"x": 1} }, slsa.ReasonParameters},
	}
	for _, c := range realCases() {
		artifact := realArtifact(t, c.artifact)
		for name, w := range wrong {
			t.Run(c.name+"/"+name, func(t *testing.T) {
				want := c.want
				w.change(&want)
				_, err := c.verify(t, artifact, want)
				refusedFor(t, err, w.reason)
			})
		}
		t.Run(c.name+"/level", func(t *testing.T) {
			if c.level == 3 {
				return
			}
			want := c.want
			want.Level = 3
			_, err := c.verify(t, artifact, want)
			refusedFor(t, err, slsa.ReasonLevel)
		})
		t.Run(c.name+"/artifact", func(t *testing.T) {
			other := artifact
			other.Digests = digestsOf("another artifact")
			_, err := c.verify(t, other, c.want)
			refusedFor(t, err, slsa.ReasonSubject)
		})
		t.Run(c.name+"/nobody trusted", func(t *testing.T) {
			trust, _ := realTrust(t)
			list := [][]byte{readReal(t, c.attestations)}
			if c.pkg.Name != "" {
				list, _ = slsa.NPMAttestations(list[0])
			}
			_, err := slsa.VerifyAny(list, trust, realNow, artifact, nil, c.want)
			refusedFor(t, err, slsa.ReasonLevel)
			_, err = slsa.VerifyNPM(list, trust, realNow, artifact, c.pkg, slsa.Builders(), c.want)
			if err == nil {
				t.Error("a publish attestation passed without keys of a registry")
			}
		})
	}
	// What is allowed without being named is refused by default.
	for _, c := range realCases()[2:4] {
		want := c.want
		want.AllowKnownParameters, want.ExternalParameters = false, nil
		_, err := c.verify(t, realArtifact(t, c.artifact), want)
		refusedFor(t, err, slsa.ReasonParameters)
	}
}

// A workflow of somebody else signed provenance that claims to be by the
// builder: real, and well signed.
func TestEdge78_RealWrongSigner(t *testing.T) {
	trust, _ := realTrust(t)
	artifact := realArtifact(t, "slsa-real/bcr/MODULE-wrong-signer.bazel")
	for _, level := range []int{0, 1, 2, 3} {
		_, err := slsa.VerifyAny([][]byte{readReal(t, "slsa-real/bcr/MODULE-wrong-signer.bazel.intoto.jsonl")}, trust, realNow, artifact,
			slsa.Builders(), slsa.Expectations{Level: level, SourceURI: "github.com/aspect-build/rules_lint"})
		refusedFor(t, err, slsa.ReasonContradicts)
	}
}

func TestRealNPMNames(t *testing.T) {
	c := realCases()[4]
	for _, pkg := range []slsa.NPMPackage{{Name: "sigstor", Version: "2.3.1"}, {Name: "sigstore", Version: "2.3.0"}, {Name: "sigstore", Version: "2.3"},
		{Name: "@x/sigstore"}, {Name: "sigstore@2"}} {
		c.pkg = pkg
		_, err := c.verify(t, realArtifact(t, c.artifact), c.want)
		refusedFor(t, err, slsa.ReasonName)
	}
	c.pkg = slsa.NPMPackage{Name: "sigstore"}
	if _, err := c.verify(t, realArtifact(t, c.artifact), c.want); err != nil {
		t.Error(err)
	}
}

func TestRealVSA(t *testing.T) {
	pub := string(readReal(t, "slsa-real/vsa/vsa_signing_public_key.pem"))
	trust, err := verify.NewTrust(verify.Key{PEM: pub, Scheme: verify.SchemeP1363})
	if err != nil {
		t.Fatal(err)
	}
	st, err := verify.Open(bytes.TrimSpace(readReal(t, "slsa-real/vsa/gke-gce-pre.bcid-vsa.jsonl")), trust, realNow)
	if err != nil {
		t.Fatal(err)
	}
	image := provenance.DigestSet{provenance.MustDigest("gce_image_id:8970095005306000053")}
	rows := []slsa.Delegation{{
		VerifierID: "https://bcid.corp.google.com/verifier/bcid_package_enforcer/v0.1", Key: keyID(t, pub),
		Track: slsa.TrackBuild, MaxLevel: 3, Properties: []string{"BCID_*"}, Resources: []string{"gce_image://gke-node-images:*"},
	}}
	want := slsa.SummaryExpectations{
		ResourceURI: "gce_image://gke-node-images:gke-12615-gke1418000-cos-101-17162-463-29-c-cgpv1-pre",
		Levels:      []string{"SLSA_BUILD_LEVEL_2", "BCID_L1"}, At: realNow, AnyAgeUnsafe: true, PolicyWithoutDigestUnsafe: true,
		Identifiers: []provenance.Algorithm{"gce_image_id"},
	}
	r, err := slsa.VerifyVSA(st, image, rows, want)
	if err != nil {
		t.Fatal(err)
	}
	if r.Level(slsa.TrackBuild) != 2 || len(r.Notes()) != 1 {
		t.Errorf("build level %d, notes %v", r.Level(slsa.TrackBuild), r.Notes())
	}
	for name, w := range map[string]struct {
		change func(*slsa.SummaryExpectations, *slsa.Delegation, *provenance.DigestSet)
		reason slsa.Reason
	}{
		"no policy digest": {func(e *slsa.SummaryExpectations, _ *slsa.Delegation, _ *provenance.DigestSet) {
			e.PolicyWithoutDigestUnsafe = false
		}, slsa.ReasonPolicyDigest},
		"identifier": {func(e *slsa.SummaryExpectations, _ *slsa.Delegation, _ *provenance.DigestSet) { e.Identifiers = nil }, slsa.ReasonSubject},
		"image": {func(_ *slsa.SummaryExpectations, _ *slsa.Delegation, d *provenance.DigestSet) {
			*d = provenance.DigestSet{provenance.MustDigest("gce_image_id:1")}
		}, slsa.ReasonSubject},
		"level": {func(e *slsa.SummaryExpectations, _ *slsa.Delegation, _ *provenance.DigestSet) {
			e.Levels = []string{"SLSA_BUILD_LEVEL_3"}
		}, slsa.ReasonNotVerified},
		"track": {func(e *slsa.SummaryExpectations, _ *slsa.Delegation, _ *provenance.DigestSet) {
			e.Levels = []string{"SLSA_SOURCE_LEVEL_1"}
		}, slsa.ReasonNotVerified},
		"resource": {func(e *slsa.SummaryExpectations, _ *slsa.Delegation, _ *provenance.DigestSet) { e.ResourceURI += "x" }, slsa.ReasonResource},
		"stale": {func(e *slsa.SummaryExpectations, _ *slsa.Delegation, _ *provenance.DigestSet) {
			e.MaxAge = 24 * time.Hour
		}, slsa.ReasonStale},
		"future": {func(e *slsa.SummaryExpectations, _ *slsa.Delegation, _ *provenance.DigestSet) {
			e.At = e.At.AddDate(-5, 0, 0)
		}, slsa.ReasonStale},
		"verifier": {func(_ *slsa.SummaryExpectations, d *slsa.Delegation, _ *provenance.DigestSet) { d.VerifierID += "/" }, slsa.ReasonVerifier},
		"key": {func(_ *slsa.SummaryExpectations, d *slsa.Delegation, _ *provenance.DigestSet) {
			d.Key = d.Key[1:] + "0"
		}, slsa.ReasonVerifier},
		"delegated level": {func(_ *slsa.SummaryExpectations, d *slsa.Delegation, _ *provenance.DigestSet) { d.MaxLevel = 1 }, slsa.ReasonDelegation},
		"delegated place": {func(_ *slsa.SummaryExpectations, d *slsa.Delegation, _ *provenance.DigestSet) {
			d.Resources = []string{"gce_image://other:*"}
		}, slsa.ReasonDelegation},
		"delegated prop": {func(_ *slsa.SummaryExpectations, d *slsa.Delegation, _ *provenance.DigestSet) { d.Properties = nil }, slsa.ReasonDelegation},
	} {
		t.Run(name, func(t *testing.T) {
			e, d, digests := want, rows[0], image
			w.change(&e, &d, &digests)
			_, err := slsa.VerifyVSA(st, digests, []slsa.Delegation{d}, e)
			refusedFor(t, err, w.reason)
		})
	}
}

// The examples that the two build types of GitHub Actions are documented with.
func TestBuildTypeExamples(t *testing.T) {
	for file, format := range map[string]slsa.Format{
		"buildtypes/github-actions-workflow-v1.json": slsa.FormatSLSAGitHubWorkflow, "buildtypes/actions-workflow-v1.json": slsa.FormatGitHubWorkflow,
	} {
		st, err := provenance.ParseStatement(readReal(t, file))
		if err != nil {
			t.Fatal(err)
		}
		rows := builderOf(t, 3)
		rows[0].IDs, rows[0].Formats = []string{"**"}, []slsa.Format{format}
		a := provenance.Artifact{Digests: st.Subjects()[0].Digest}
		r, err := slsa.Verify(signed(t, st, "ci"), a, rows, slsa.Expectations{SourceURI: "github.com/octocat/hello-world", Workflow: ".github/workflow/release.yml", AllowKnownParameters: true})
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if r.Format() != format || r.Fact(slsa.FactCommit) == "" || r.Fact(slsa.FactRun) == "" {
			t.Errorf("%s: %s %v", file, r.Format(), r.Facts())
		}
	}
}
