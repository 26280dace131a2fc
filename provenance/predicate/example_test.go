package predicate_test

import (
	"fmt"
	"log"
	"time"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/predicate"
)

// The artifact that the examples are about, and the commit that it is built from.
var (
	app = []provenance.ResourceDescriptor{{
		Name:   "app",
		Digest: provenance.DigestSet{provenance.MustDigest("sha256:fe4fe40ac7250263c5dbe1cf3138912f3f416140aa248637a60d65fe22c47da4")},
	}}
	revision = []provenance.ResourceDescriptor{{
		URI:    "https://git.example.com/app/commit/c27d339",
		Digest: provenance.DigestSet{provenance.MustDigest("gitCommit:c27d339ee6075c1f744c5d4b200f7901aad2c369")},
	}}
	noon = predicate.At(time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC))
)

// A build states what it made its products from.
func ExampleSLSAProvenance() {
	p := &predicate.SLSAProvenance{
		BuildDefinition: predicate.BuildDefinition{
			BuildType:          "https://example.com/go-build/v1",
			ExternalParameters: map[string]any{"package": "./cmd/app"},
			ResolvedDependencies: []provenance.ResourceDescriptor{{
				URI:    "git+https://git.example.com/app",
				Digest: revision[0].Digest,
			}},
		},
		RunDetails: predicate.RunDetails{
			Builder:  predicate.Builder{ID: "https://example.com/builder/v1"},
			Metadata: predicate.BuildMetadata{StartedOn: noon, FinishedOn: predicate.At(noon.Add(time.Minute))},
		},
	}
	st, err := p.Statement(app)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(st.PredicateType())

	// What is required is checked before anything is stated.
	p.RunDetails.Builder.ID = ""
	_, err = p.Statement(app)
	fmt.Println(err)
	// Output:
	// https://slsa.dev/provenance/v1
	// SLSA provenance v1: runDetails.builder.id is required
}

// Provenance of any version is read as version 1.
func ExampleParseProvenance() {
	st, err := provenance.ParseStatement([]byte(`{
		"_type": "https://in-toto.io/Statement/v0.1",
		"subject": [{"name": "app", "digest": {"sha256": "fe4fe40ac7250263c5dbe1cf3138912f3f416140aa248637a60d65fe22c47da4"}}],
		"predicateType": "https://slsa.dev/provenance/v0.2",
		"predicate": {
			"builder": {"id": "https://example.com/builder/v1"},
			"buildType": "https://example.com/go-build/v1",
			"invocation": {"configSource": {"uri": "git+https://git.example.com/app", "entryPoint": "release.yml"}},
			"metadata": {"completeness": {"parameters": true}}
		}}`))
	if err != nil {
		log.Fatal(err)
	}
	p, err := predicate.ParseProvenance(st)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(p.RunDetails.Builder.ID)
	fmt.Println(p.BuildDefinition.ExternalParameters["source"], p.BuildDefinition.ExternalParameters["entryPoint"])
	fmt.Println(p.Type, p.Complete.Parameters)
	// Output:
	// https://example.com/builder/v1
	// git+https://git.example.com/app release.yml
	// https://slsa.dev/provenance/v0.2 true
}

// Consumers that know nothing newer get provenance v0.2.
func ExampleSLSAProvenance_V02() {
	p := &predicate.SLSAProvenance{
		BuildDefinition: predicate.BuildDefinition{
			BuildType:          "https://example.com/go-build/v1",
			ExternalParameters: map[string]any{"package": "./cmd/app"},
		},
		RunDetails: predicate.RunDetails{Builder: predicate.Builder{ID: "https://example.com/builder/v1"}},
	}
	st, err := p.V02().Statement(app)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", st.Predicate())
	// Output:
	// {"builder":{"id":"https://example.com/builder/v1"},"buildType":"https://example.com/go-build/v1","invocation":{"parameters":{"package":"./cmd/app"}}}
}

// Provenance of a GitHub Actions workflow says which workflow, in which state of which repository.
func ExampleGitHubBuildOf() {
	p := &predicate.SLSAProvenance{BuildDefinition: predicate.BuildDefinition{
		BuildType: predicate.BuildTypeGitHubWorkflow,
		ExternalParameters: map[string]any{"workflow": map[string]any{
			"ref":        "refs/tags/v1.0.0",
			"repository": "https://github.com/octocat/hello-world",
			"path":       ".github/workflows/release.yml",
		}},
		InternalParameters: map[string]any{"github": map[string]any{"runner_environment": "github-hosted"}},
	}}
	build, err := predicate.GitHubBuildOf(p)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(build.Workflow.Repository, build.Workflow.Ref, build.GitHub.RunnerEnvironment)

	p.BuildDefinition.ExternalParameters["env"] = "EVIL=1"
	_, err = predicate.GitHubBuildOf(p)
	fmt.Println(err)
	// Output:
	// https://github.com/octocat/hello-world refs/tags/v1.0.0 github-hosted
	// GitHub build: unknown external parameter "env"
}

// The flow of a statement is what a chain is made of.
func ExampleFlowOf() {
	link := &predicate.Link{Name: "package", Command: []string{"tar", "czf", "app.tar.gz", "app"}, Materials: app}
	st, err := link.Statement([]provenance.ResourceDescriptor{{
		Name:   "app.tar.gz",
		Digest: provenance.DigestSet{provenance.MustDigest("sha256:3b0d19b348f1e46a571c6e9df32897637c20dd9803261c2fc9cbe38b0c8422c4")},
	}})
	if err != nil {
		log.Fatal(err)
	}
	flow, err := predicate.FlowOf(st)
	if err != nil {
		log.Fatal(err)
	}
	for _, m := range flow.Materials {
		fmt.Println(m.Name, "->", st.Subjects()[0].Name)
	}
	// Output:
	// app -> app.tar.gz
}

// A step of any kind is a link.
func ExampleLink() {
	link := &predicate.Link{
		Name:       "build",
		Command:    []string{"go", "build", "./cmd/app"},
		Byproducts: map[string]any{"return-value": 0},
	}
	classic, err := link.Classic(app) // for readers of in-toto before attestations
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(classic.Type, classic.Name, classic.Products["app"].Get(provenance.SHA256).Short())
	// Output:
	// link build sha256:fe4fe40ac725
}

// A classic link becomes a statement.
func ExampleParseClassicLink() {
	classic, err := predicate.ParseClassicLink([]byte(`{"_type": "link", "name": "build", "command": ["make"],
		"materials": {}, "byproducts": {}, "environment": {},
		"products": {"app": {"sha256": "fe4fe40ac7250263c5dbe1cf3138912f3f416140aa248637a60d65fe22c47da4"}}}`))
	if err != nil {
		log.Fatal(err)
	}
	link, subjects, err := classic.Link()
	if err != nil {
		log.Fatal(err)
	}
	st, err := link.Statement(subjects)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(st.PredicateType(), st.Subjects()[0].Name)
	// Output:
	// https://in-toto.io/attestation/link/v0.3 app
}

// A verifier passes on what it found, by levels.
func ExampleVSA() {
	v := &predicate.VSA{
		Verifier:           predicate.Verifier{ID: "https://example.com/verifier/v1"},
		TimeVerified:       noon,
		ResourceURI:        "https://example.com/download/app",
		Policy:             provenance.ResourceDescriptor{URI: "https://example.com/policy/v3"},
		VerificationResult: predicate.Passed,
		VerifiedLevels:     []string{"SLSA_BUILD_LEVEL_3", "SLSA_SOURCE_LEVEL_UNEVALUATED"},
	}
	if _, err := v.Statement(app); err != nil {
		log.Fatal(err)
	}
	fmt.Println(v.Meets("SLSA_BUILD_LEVEL_2"), v.Meets("SLSA_SOURCE_LEVEL_1"))

	v.VerifiedLevels = append(v.VerifiedLevels, "SLSA_BUILD_LEVEL_1")
	fmt.Println(v.Validate())
	// Output:
	// true false
	// VSA v1: verifiedLevels has two levels of one track, "SLSA_BUILD_LEVEL_3" and "SLSA_BUILD_LEVEL_1"
}

// A source VSA says which refs a revision was on.
func ExampleSourceRefs() {
	refs, err := predicate.SourceRefs(provenance.ResourceDescriptor{
		Digest:      revision[0].Digest,
		Annotations: map[string]any{"sourceRefs": []any{"refs/heads/main"}},
	})
	fmt.Println(refs, err)
	// Output:
	// [refs/heads/main] <nil>
}

// A verifier passes on what it found, by properties.
func ExampleSVR() {
	s := &predicate.SVR{
		Verifier: predicate.SVRVerifier{
			ID:       "https://example.com/verifier/v1",
			Policies: []provenance.ResourceDescriptor{}, // there is none, and that has to be said
		},
		TimeCreated: noon,
		Properties:  []string{"EXAMPLE_RELEASE_APPROVED"},
	}
	st, err := s.Statement(app)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", st.Predicate())
	// Output:
	// {"verifier":{"id":"https://example.com/verifier/v1","policies":[]},"timeCreated":"2026-01-02T12:00:00Z","properties":["EXAMPLE_RELEASE_APPROVED"]}
}

// A run of tests is about what was tested.
func ExampleTestResult() {
	p := &predicate.TestResult{
		Result: predicate.Passed,
		Configuration: []provenance.ResourceDescriptor{{
			Name:   ".ci/test.yml",
			Digest: provenance.DigestSet{provenance.MustDigest("gitBlob:ebe4add40f63c3c98bc9b32ff1e736f04120b023")},
		}},
		PassedTests: []string{"TestA", "TestB"},
		FailedTests: []string{"TestC"},
	}
	_, err := p.Statement(revision)
	fmt.Println(err)
	// Output:
	// test-result: result is PASSED, but 1 tests failed
}

// A scan that finds nothing says so with an empty list.
func ExampleVulns() {
	p := &predicate.Vulns{
		Scanner: predicate.VulnScanner{
			URI:    "pkg:github/anchore/grype@v0.100.0",
			DB:     predicate.VulnDB{LastUpdate: noon},
			Result: []predicate.VulnResult{},
		},
		Metadata: predicate.VulnMetadata{ScanStartedOn: noon, ScanFinishedOn: noon},
	}
	fmt.Println(p.Validate())
	p.Scanner.Result = nil
	fmt.Println(p.Validate())
	// Output:
	// <nil>
	// vulns: scanner.result is required, empty if nothing was found
}

// What cosign and trivy write keeps the scanner's own report.
func ExampleParseCosignVuln() {
	p, err := predicate.ParseCosignVuln([]byte(`{
		"invocation": {"parameters": null, "uri": "", "event_id": "", "builder.id": ""},
		"scanner": {"uri": "pkg:github/aquasecurity/trivy@0.50.0", "version": "0.50.0", "db": {"uri": "", "version": ""},
			"result": {"SchemaVersion": 2, "ArtifactName": "alpine"}},
		"metadata": {"scanStartedOn": "2026-01-02T21:00:00+09:00", "scanFinishedOn": "2026-01-02T21:00:01+09:00"}}`))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(p.Scanner.URI, p.Scanner.Result["ArtifactName"], p.Metadata.ScanFinishedOn.UTC())
	// Output:
	// pkg:github/aquasecurity/trivy@0.50.0 alpine 2026-01-02 12:00:01 +0000 UTC
}

// A vulnerability that does not matter is said not to, with the reason.
func ExampleOpenVEX() {
	v := &predicate.OpenVEX{
		Context:   predicate.TypeOpenVEXV020,
		ID:        "https://example.com/vex/2026-1",
		Author:    "Example Security Team",
		Timestamp: noon,
		Version:   1,
		Statements: []predicate.VEXStatement{{
			Vulnerability: predicate.VEXVulnerability{Name: "CVE-2026-1"},
			Status:        "not_affected",
		}},
	}
	fmt.Println(v.Validate())
	v.Statements[0].Justification = "vulnerable_code_not_in_execute_path"
	fmt.Println(v.Validate())
	// Output:
	// OpenVEX: statements[0]: status not_affected wants a justification or an impact_statement
	// <nil>
}

// An attribute of a binary, with the evidence for it.
func ExampleSCAI() {
	p := &predicate.SCAI{Attributes: []predicate.AttributeAssertion{{
		Attribute: "REPRODUCIBLE",
		Evidence:  &provenance.ResourceDescriptor{URI: "https://rebuild.example.com/app.json", MediaType: "application/json"},
	}}}
	st, err := p.Statement(app)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", st.Predicate())
	// Output:
	// {"attributes":[{"attribute":"REPRODUCIBLE","evidence":{"uri":"https://rebuild.example.com/app.json","mediaType":"application/json"}}]}
}

// What a monitor saw during a build.
func ExampleRuntimeTrace() {
	p := &predicate.RuntimeTrace{
		Monitor:          predicate.Monitor{Type: "https://example.com/tracer/v1"},
		MonitoredProcess: predicate.MonitoredProcess{HostID: "https://example.com/hosts/7", Type: "https://example.com/go-build/v1", Event: "build-17"},
	}
	_, err := p.Statement(app)
	fmt.Println(err)
	p.MonitorLog.FileAccess = []provenance.ResourceDescriptor{{Name: "go.mod", Digest: app[0].Digest}}
	_, err = p.Statement(app)
	fmt.Println(err)
	// Output:
	// runtime-trace: monitorLog: want at least one of process, network and fileAccess
	// <nil>
}

// An SBOM that is kept elsewhere.
func ExampleReference() {
	p := &predicate.Reference{
		Attester: predicate.Attester{ID: "https://example.com/builder/v1"},
		References: []provenance.ResourceDescriptor{{
			DownloadLocation: "https://example.com/sbom/app.spdx.json",
			MediaType:        "application/spdx+json",
			Digest:           provenance.DigestSet{provenance.MustDigest("sha256:3b0d19b348f1e46a571c6e9df32897637c20dd9803261c2fc9cbe38b0c8422c4")},
		}},
	}
	st, err := p.Statement(app)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(st.PredicateType())
	// Output:
	// https://in-toto.io/attestation/reference/v0.1
}

// A registry says which artifacts make up a release.
func ExampleRelease() {
	_, err := (&predicate.Release{PURL: "pkg:generic/app@1.0.0", PackageID: "42"}).Statement(app)
	fmt.Println(err)
	_, err = (&predicate.Release{PURL: "pkg:generic/app"}).Statement(app)
	fmt.Println(err)
	// Output:
	// <nil>
	// release: purl: want a version, found "pkg:generic/app"
}

// What the npm registry states about each package.
func ExampleParseNPMPublish() {
	p, err := predicate.ParseNPMPublish([]byte(`{"name": "semver", "version": "7.5.4", "registry": "https://registry.npmjs.org"}`))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(p.Name, p.Version)
	// Output:
	// semver 7.5.4
}

// How a commit came to be on a branch, and what was enforced there.
func ExampleSourceProvenance() {
	p := &predicate.SourceProvenance{
		RepoURI:      "https://git.example.com/app",
		ActivityType: "pr_merge",
		Actor:        "alice",
		Branch:       "refs/heads/main",
		CreatedOn:    noon,
		Controls:     []predicate.SourceControl{{Name: "CONTINUITY_ENFORCED", Since: predicate.At(noon.AddDate(-1, 0, 0))}},
	}
	st, err := p.Statement(revision)
	if err != nil {
		log.Fatal(err)
	}
	start, _, err := predicate.ClaimedTimes(st)
	fmt.Println(start, err)
	// Output:
	// 2026-01-02 12:00:00 +0000 UTC <nil>
}

// How a tag came to be, and what was known about the tagged revision.
func ExampleTagProvenance() {
	p := &predicate.TagProvenance{
		RepoURI:   "https://git.example.com/app",
		Actor:     "alice",
		Tag:       "refs/tags/v1.0.0",
		CreatedOn: noon,
		VSASummaries: []predicate.VSASummary{{
			SourceRefs:     []string{"refs/heads/main"},
			VerifiedLevels: []string{"SLSA_SOURCE_LEVEL_3"},
		}},
	}
	st, err := p.Statement(revision)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(st.PredicateType())
	// Output:
	// https://github.com/slsa-framework/source-tool/tag-provenance/v1
}

// A collection has everything that witness recorded of a step.
func ExampleParseWitnessCollection() {
	c, err := predicate.ParseWitnessCollection([]byte(`{"name": "build", "attestations": [
		{"type": "https://witness.dev/attestations/material/v0.1",
		 "attestation": {"main.go": {"sha256": "3b0d19b348f1e46a571c6e9df32897637c20dd9803261c2fc9cbe38b0c8422c4"}}},
		{"type": "https://witness.dev/attestations/command-run/v0.1",
		 "attestation": {"cmd": ["go", "build"], "exitcode": 0}},
		{"type": "https://witness.dev/attestations/product/v0.1",
		 "attestation": {"app": {"mime_type": "application/x-executable",
			"digest": {"sha256": "fe4fe40ac7250263c5dbe1cf3138912f3f416140aa248637a60d65fe22c47da4"}}}}]}`))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(c.Materials[0].Name, c.Commands[0].Command, c.Products[0].Name)
	// Output:
	// main.go [go build] app
}

// An SBOM has a type for each format, version and habit.
func ExampleIsSBOM() {
	fmt.Println(predicate.IsSBOM("https://cyclonedx.org/bom/v1.6"), predicate.IsSBOM("https://spdx.dev/Document"), predicate.IsSBOM(predicate.TypeVulns))
	// Output:
	// true true false
}

// A static scan that found something which somebody had accepted before.
func ExampleScan() {
	s := &predicate.Scan{
		Tools: []predicate.ScanTool{{Name: "gosec", Version: "2.22.0", Rules: 40}},
		Findings: []predicate.ScanFinding{
			{Tool: "gosec", Rule: "G104", Level: predicate.LevelWarning, File: "main.go", Line: 3, Suppressed: true},
		},
	}
	s.Summarize()
	st, err := s.Statement(revision)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(st.PredicateType(), s.Summary.Warning, s.Summary.Suppressed)
	// Output: https://hallmark.build/attestation/scan/v1 0 1
}

// What older tools wrote is read into the form of today.
func ExampleParseLinkV02() {
	link, err := predicate.ParseLinkV02([]byte(`{"name": "build", "command": ["make"], "materials": {
		"main.c": {"sha256": "fe4fe40ac7250263c5dbe1cf3138912f3f416140aa248637a60d65fe22c47da4"}}}`))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(link.Name, link.Materials[0].Name)
	// Output: build main.c
}

// Levels of the first summaries are of no track, and so imply nothing.
func ExampleParseVSAV02() {
	vsa, err := predicate.ParseVSAV02([]byte(`{
		"verifier": {"id": "https://example.com/verifier"},
		"time_verified": "2022-11-01T00:00:00Z",
		"resource_uri": "https://example.com/app",
		"policy": {"uri": "https://example.com/policy"},
		"verification_result": "PASSED",
		"policy_level": "SLSA_LEVEL_3"}`))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(vsa.VerifiedLevels, vsa.Meets("SLSA_BUILD_LEVEL_1"))
	// Output: [SLSA_LEVEL_3] false
}

func ExampleParseSVRV01() {
	svr, err := predicate.ParseSVRV01([]byte(`{
		"verifier": {"id": "https://example.com/verifier"},
		"timeCreated": "2025-11-01T00:00:00Z",
		"properties": ["SCANNED"]}`))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(svr.Verifier.ID, svr.Properties)
	// Output: https://example.com/verifier [SCANNED]
}

func ExampleParseVulnsV01() {
	vulns, err := predicate.ParseVulnsV01([]byte(`{
		"scanner": {"uri": "pkg:github/aquasecurity/trivy@0.40.0", "version": "0.40.0",
			"db": {"uri": "pkg:github/aquasecurity/trivy-db", "version": "2", "lastUpdate": "2023-05-01T00:00:00Z"},
			"result": [{"vulnerability": {"id": "CVE-2023-1", "severity": [{"method": "nvd", "score": "high"}]}}]},
		"metadata": {"scanStartedOn": "2023-05-02T00:00:00Z", "scanFinishedOn": "2023-05-02T00:01:00Z"}}`))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(vulns.Scanner.Result[0].ID, vulns.Scanner.Result[0].Severity[0].Score)
	// Output: CVE-2023-1 high
}

func ExampleParseReleaseV01() {
	release, err := predicate.ParseReleaseV01([]byte(`{"purl": "pkg:npm/semver@7.5.4", "releaseId": "1234"}`))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(release.PURL, release.PackageID)
	// Output: pkg:npm/semver@7.5.4 1234
}
