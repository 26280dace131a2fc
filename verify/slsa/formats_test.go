package slsa_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"math/big"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hallmark-build/hallmark/internal/sigstore/sigstoretest"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/predicate"
	"github.com/hallmark-build/hallmark/verify"
	"github.com/hallmark-build/hallmark/verify/slsa"
)

const (
	commit      = "0123456789abcdef0123456789abcdef01234567"
	otherCommit = "89abcdef0123456789abcdef0123456789abcdef"
	generator   = "https://github.com/slsa-framework/slsa-github-generator/.github/workflows/"
)

// The virtual Sigstore of the tests, and the Trust in it.
var world = sync.OnceValues(func() (*sigstoretest.World, *verify.Trust) {
	w := sigstoretest.New("slsa.test")
	trust, err := new(verify.Trust).WithSigstore(w.RootDoc().JSON(), verify.Sigstore{})
	if err != nil {
		panic(err)
	}
	return w, trust
})

// The numbers of Fulcio's extensions.
const (
	oidSigner, oidRunner, oidSource, oidDigest, oidRef = 9, 11, 12, 13, 14
	oidRepoID, oidOwner, oidOwnerID                    = 15, 16, 17
	oidConfig, oidTrigger, oidRun                      = 18, 20, 21
)

// bundle signs a statement with a certificate that says so.
func bundle(t testing.TB, st *provenance.Statement, issuer, san string, claims map[int]string) []byte {
	t.Helper()
	w, _ := world()
	return w.Sign(sigstoretest.Spec{Content: st.Payload(), Precert: func(c *x509.Certificate) {
		u, err := url.Parse(san)
		if err != nil {
			t.Fatal(err)
		}
		c.URIs = []*url.URL{u}
		c.ExtraExtensions = nil
		add := func(n int, v string) {
			der, err := asn1.MarshalWithParams(v, "utf8")
			if err != nil {
				t.Fatal(err)
			}
			c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, n}, Value: der})
		}
		add(8, issuer)
		for _, n := range slices.Sorted(maps.Keys(claims)) {
			if claims[n] != "" {
				add(n, claims[n])
			}
		}
	}}).Doc.JSON()
}

func githubClaims(ref, workflow string) map[int]string {
	return map[int]string{
		oidRunner: "github-hosted", oidSource: "https://github.com/octo/app", oidDigest: commit, oidRef: ref,
		oidRepoID: "11", oidOwner: "https://github.com/octo", oidOwnerID: "22",
		oidConfig: "https://github.com/octo/app/" + workflow + "@" + ref, oidTrigger: "push",
		oidRun: "https://github.com/octo/app/actions/runs/77/attempts/2",
	}
}

func gitlabClaims() map[int]string {
	return map[int]string{
		oidRunner: "gitlab-hosted", oidSource: "https://gitlab.com/octo/app", oidDigest: commit, oidRef: "refs/heads/main",
		oidConfig: "https://gitlab.com/octo/app//.gitlab-ci.yml@refs/heads/main", oidTrigger: "push",
		oidRun: "https://gitlab.com/octo/app/-/jobs/77",
	}
}

// A formatCase is a build of one format by a builder that signs with a certificate.
type formatCase struct {
	name          string
	format        slsa.Format
	issuer, san   string
	claims        map[int]string
	predicateType string
	predicate     string
	level         int
	want          slsa.Expectations
	// stated are the extensions that the provenance states as well, so that
	// changing either is a contradiction.
	stated []int
	// forgeable are paths in the predicate, with another value, that must be
	// noticed.
	forgeable map[string]any
}

func formatCases() []formatCase {
	attested := `{"buildDefinition":{"buildType":%q,
		"externalParameters":{"workflow":{"ref":"refs/tags/v1.2.3","repository":"https://github.com/octo/app","path":".github/workflows/release.yml"}%s},
		"internalParameters":{"github":{"event_name":"push","repository_id":"11","repository_owner_id":"22"%s}},
		"resolvedDependencies":[{"uri":"git+https://github.com/octo/app@refs/tags/v1.2.3","digest":{"gitCommit":"` + commit + `"}}]},
		"runDetails":{"builder":{"id":%q},"metadata":{"invocationId":"https://github.com/octo/app/actions/runs/77/attempts/2"}}}`
	attestedForgeable := map[string]any{
		"buildDefinition.externalParameters.workflow.ref":               "refs/heads/main",
		"buildDefinition.externalParameters.workflow.repository":        "https://github.com/octo/app-evil",
		"buildDefinition.externalParameters.workflow.path":              ".github/workflows/test.yml",
		"buildDefinition.internalParameters.github.event_name":          "workflow_dispatch",
		"buildDefinition.internalParameters.github.repository_id":       "12",
		"buildDefinition.internalParameters.github.repository_owner_id": "23",
		"buildDefinition.resolvedDependencies.0.uri":                    "git+https://github.com/octo/app@refs/heads/main",
		"buildDefinition.resolvedDependencies.0.digest.gitCommit":       otherCommit,
		"runDetails.metadata.invocationId":                              "https://github.com/octo/app/actions/runs/78/attempts/2",
		"buildDefinition.internalParameters.github.runner_environment":  "self-hosted",
	}
	github := []int{oidSource, oidDigest, oidRef, oidRepoID, oidOwnerID, oidConfig, oidTrigger, oidRun}
	workflow := ".github/workflows/release.yml"
	context := `"GITHUB_EVENT_NAME":"push","GITHUB_REF":"refs/tags/v1.2.3","GITHUB_REPOSITORY":"octo/app","GITHUB_REPOSITORY_ID":"11",
		"GITHUB_REPOSITORY_OWNER_ID":"22","GITHUB_RUN_ATTEMPT":"2","GITHUB_RUN_ID":"77","GITHUB_SHA":"` + commit + `",
		"GITHUB_WORKFLOW_REF":"octo/app/.github/workflows/release.yml@refs/tags/v1.2.3"`
	v02 := `{"builder":{"id":%q},"buildType":%q,"invocation":{"configSource":{"uri":"git+https://github.com/octo/app@refs/tags/v1.2.3",
		"digest":{"sha1":"` + commit + `"},"entryPoint":".github/workflows/release.yml"},"parameters":{},"environment":{%s}},
		"metadata":{"buildInvocationId":"77-2","completeness":{}},
		"materials":[{"uri":"git+https://github.com/octo/app@refs/tags/v1.2.3","digest":{"sha1":"` + commit + `"}}]}`
	v02Forgeable := func(environment string) map[string]any {
		return map[string]any{
			"invocation.configSource.uri":                            "git+https://github.com/octo/other@refs/tags/v1.2.3",
			"invocation.configSource.digest.sha1":                    otherCommit,
			"invocation.configSource.entryPoint":                     ".github/workflows/test.yml",
			"materials.0.digest.sha1":                                otherCommit,
			"materials.0.uri":                                        "git+https://github.com/octo/app@refs/tags/v1.2.4",
			"metadata.buildInvocationId":                             "78-2",
			"invocation.environment." + environment + "RUN_ID":       "78",
			"invocation.environment." + environment + "REF":          "refs/heads/main",
			"invocation.environment." + environment + "EVENT_NAME":   "schedule",
			"invocation.environment." + environment + "SHA":          otherCommit,
			"invocation.environment." + environment + "WORKFLOW_REF": "octo/app/.github/workflows/test.yml@refs/tags/v1.2.3",
		}
	}
	tag := slsa.Expectations{SourceURI: "github.com/octo/app", Tag: "v1.2.3", VersionedTag: "v1.2", Commit: commit, Workflow: workflow}
	inputs := tag
	inputs.AllowExternalParameters = []string{"inputs", "vars"}
	gitlab := slsa.Expectations{SourceURI: "https://gitlab.com/octo/app", Branch: "main", Commit: commit, AllowKnownParameters: true}
	lower := regexp.MustCompile(`"GITHUB_[A-Z_]+"`).ReplaceAllStringFunc(context, strings.ToLower)
	lower = strings.Replace(lower, "github_sha", "github_sha1", 1)
	return []formatCase{{
		name: "GitHub artifact attestation", format: slsa.FormatGitHubWorkflow, issuer: slsa.IssuerGitHub,
		san: "https://github.com/octo/app/" + workflow + "@refs/tags/v1.2.3", claims: githubClaims("refs/tags/v1.2.3", workflow),
		predicateType: predicate.TypeSLSAProvenance, level: 2, want: tag,
		predicate: fmt.Sprintf(attested, predicate.BuildTypeGitHubWorkflow, "", `,"runner_environment":"github-hosted"`, "https://github.com/octo/app/"+workflow+"@refs/tags/v1.2.3"),
		stated:    append([]int{oidRunner}, github...), forgeable: attestedForgeable,
	}, {
		name: "npm v1", format: slsa.FormatSLSAGitHubWorkflow, issuer: slsa.IssuerGitHub,
		san: "https://github.com/octo/app/" + workflow + "@refs/tags/v1.2.3", claims: githubClaims("refs/tags/v1.2.3", workflow),
		predicateType: predicate.TypeSLSAProvenance, level: 2, want: inputs,
		predicate: fmt.Sprintf(attested, predicate.BuildTypeSLSAGitHubWorkflow, `,"inputs":{"dry":"no"},"vars":{"A":"b"}`, "", "https://github.com/actions/runner/github-hosted"),
		stated:    append([]int{oidRunner}, github...), forgeable: attestedForgeable,
	}, {
		name: "slsa-github-generator", format: slsa.FormatGitHubGenerator, issuer: slsa.IssuerGitHub,
		san: generator + "builder_go_slsa3.yml@refs/tags/v2.0.0", claims: githubClaims("refs/tags/v1.2.3", workflow),
		predicateType: predicate.TypeSLSAProvenanceV02, level: 3, want: tag,
		predicate: fmt.Sprintf(v02, generator+"builder_go_slsa3.yml@refs/tags/v2.0.0", "https://github.com/slsa-framework/slsa-github-generator/go@v1", lower),
		stated:    github,
		forgeable: map[string]any{
			"invocation.configSource.uri": "git+https://github.com/octo/other@refs/tags/v1.2.3", "materials.0.digest.sha1": otherCommit,
			"invocation.environment.github_run_id": "78", "invocation.environment.github_sha1": otherCommit, "invocation.environment.github_ref": "refs/heads/x",
			"invocation.environment.github_event_name": "schedule", "invocation.environment.github_repository_id": "12",
		},
	}, {
		name: "delegated builder", format: slsa.FormatGitHubDelegator, issuer: slsa.IssuerGitHub,
		san: generator + "delegator_generic_slsa3.yml@refs/tags/v2.0.0", claims: githubClaims("refs/tags/v1.2.3", workflow),
		predicateType: predicate.TypeSLSAProvenance, level: 3, want: inputs,
		predicate: `{"buildDefinition":{"buildType":"https://github.com/slsa-framework/slsa-github-generator/delegator-generic@v0",
			"externalParameters":{"inputs":{"a":1},"vars":{}},"internalParameters":{` + context + `,"GITHUB_EVENT_PAYLOAD":{"base_ref":"refs/heads/main"}},
			"resolvedDependencies":[{"uri":"git+https://github.com/octo/app@refs/tags/v1.2.3","digest":{"gitCommit":"` + commit + `"}}]},
			"runDetails":{"builder":{"id":"` + generator + `builder_gradle_slsa3.yml@refs/tags/v2.0.0"},"metadata":{"invocationId":"77-2"}}}`,
		stated: github,
		forgeable: map[string]any{
			"buildDefinition.internalParameters.GITHUB_REPOSITORY": "octo/other", "buildDefinition.internalParameters.GITHUB_SHA": otherCommit,
			"buildDefinition.internalParameters.GITHUB_RUN_ATTEMPT": "3", "buildDefinition.resolvedDependencies.0.uri": "git+https://github.com/octo/other@refs/tags/v1.2.3",
			"buildDefinition.resolvedDependencies.0.digest.gitCommit": otherCommit,
		},
	}, {
		name: "container-based", format: slsa.FormatContainerBased, issuer: slsa.IssuerGitHub,
		san: generator + "builder_container-based_slsa3.yml@refs/tags/v2.0.0", claims: githubClaims("refs/tags/v1.2.3", workflow),
		predicateType: predicate.TypeSLSAProvenance, level: 3,
		want: slsa.Expectations{SourceURI: "github.com/octo/app", Tag: "v1.2.3", AllowExternalParameters: []string{"builderImage", "configPath"}},
		predicate: `{"buildDefinition":{"buildType":"https://slsa.dev/container-based-build/v0.1?draft",
			"externalParameters":{"source":{"uri":"git+https://github.com/octo/app@refs/tags/v1.2.3","digest":{"sha1":"` + commit + `"}},
			"builderImage":{"uri":"bash"},"configPath":"c.toml"},"internalParameters":{` + context + `},
			"resolvedDependencies":[{"uri":"git+https://github.com/octo/app@refs/tags/v1.2.3","digest":{"sha1":"` + commit + `"}}]},
			"runDetails":{"builder":{"id":"` + generator + `builder_container-based_slsa3.yml@refs/tags/v2.0.0"}}}`,
		stated: github,
		forgeable: map[string]any{
			"buildDefinition.externalParameters.source.uri":         "git+https://github.com/octo/app@refs/tags/v1.2.4",
			"buildDefinition.externalParameters.source.digest.sha1": otherCommit,
		},
	}, {
		name: "npm v0.2", format: slsa.FormatNPMGitHub, issuer: slsa.IssuerGitHub,
		san: "https://github.com/octo/app/" + workflow + "@refs/tags/v1.2.3", claims: githubClaims("refs/tags/v1.2.3", workflow),
		predicateType: predicate.TypeSLSAProvenanceV02, level: 2, want: tag,
		predicate: fmt.Sprintf(v02, "https://github.com/actions/runner", "https://github.com/npm/cli/gha/v2", context),
		stated:    github, forgeable: v02Forgeable("GITHUB_"),
	}, {
		name: "npm on GitLab", format: slsa.FormatNPMGitLab, issuer: slsa.IssuerGitLab,
		san: "https://gitlab.com/octo/app//.gitlab-ci.yml@refs/heads/main", claims: gitlabClaims(),
		predicateType: predicate.TypeSLSAProvenanceV02, level: 2, want: gitlab,
		predicate: `{"builder":{"id":"https://gitlab.com/octo/app/-/runners/5"},"buildType":"https://github.com/npm/cli/gitlab/v0alpha1",
			"invocation":{"configSource":{"uri":"git+https://gitlab.com/octo/app","digest":{"sha1":"` + commit + `"},"entryPoint":"publish"},
			"parameters":{"CI":"true"},"environment":{"name":"x","job":{"id":"77"}}},
			"metadata":{"buildInvocationId":"https://gitlab.com/octo/app/-/jobs/77"},
			"materials":[{"uri":"git+https://gitlab.com/octo/app","digest":{"sha1":"` + commit + `"}}]}`,
		stated: []int{oidSource, oidDigest, oidRun},
		forgeable: map[string]any{"invocation.configSource.uri": "git+https://gitlab.com/octo/other", "materials.0.digest.sha1": otherCommit,
			"invocation.environment.job.id": "78"},
	}, {
		name: "GitLab", format: slsa.FormatGitLab, issuer: slsa.IssuerGitLab,
		san: "https://gitlab.com/octo/app//.gitlab-ci.yml@refs/heads/main", claims: gitlabClaims(),
		predicateType: predicate.TypeSLSAProvenance, level: 2, want: gitlab,
		predicate: `{"buildDefinition":{"buildType":"https://gitlab.com/gitlab-org/gitlab-runner/-/blob/2147fb44/PROVENANCE.md",
			"externalParameters":{"entryPoint":"build","source":"https://gitlab.com/octo/app","variables":{"CI":"true"}},
			"internalParameters":{"job":"77","executor":"docker+machine"},
			"resolvedDependencies":[{"uri":"https://gitlab.com/octo/app","digest":{"gitCommit":"` + commit + `"}}]},
			"runDetails":{"builder":{"id":"https://gitlab.com/octo/app/-/runners/5"}}}`,
		stated: []int{oidSource, oidDigest, oidRun},
		forgeable: map[string]any{"buildDefinition.externalParameters.source": "https://gitlab.com/octo/other",
			"buildDefinition.internalParameters.job": "78", "buildDefinition.resolvedDependencies.0.digest.gitCommit": otherCommit},
	}}
}

// edit sets the value at a path of names and indices in a copy of d.
func edit(t testing.TB, d doc, path string, value any) doc {
	t.Helper()
	b, _ := json.Marshal(d)
	out := parse(t, string(b))
	var v any = out
	parts := strings.Split(path, ".")
	for _, p := range parts[:len(parts)-1] {
		switch x := v.(type) {
		case map[string]any:
			v = x[p]
		case []any:
			v = x[0]
		default:
			t.Fatalf("no %s in the predicate", path)
		}
	}
	v.(map[string]any)[parts[len(parts)-1]] = value
	return out
}

func (c *formatCase) run(t testing.TB, predicate doc, claims map[int]string, want slsa.Expectations) (*slsa.Result, error) {
	t.Helper()
	_, trust := world()
	b := bundle(t, statementOf(t, "app", c.predicateType, predicate), c.issuer, c.san, claims)
	st, err := verify.Open(b, trust, now)
	if err != nil {
		t.Fatal(err)
	}
	return slsa.Verify(st, artifactOf("app"), slsa.Builders(), want)
}

func TestEdge78_Formats(t *testing.T) {
	for _, c := range formatCases() {
		t.Run(c.name, func(t *testing.T) {
			p := parse(t, c.predicate)
			r, err := c.run(t, p, c.claims, c.want)
			if err != nil {
				t.Fatal(err)
			}
			if r.Level() != c.level || r.Format() != c.format {
				t.Errorf("level %d, format %s, want %d, %s", r.Level(), r.Format(), c.level, c.format)
			}
			for _, f := range r.Facts() {
				if !f.Certified {
					t.Errorf("%s is not certified", f.Name)
				}
			}
			// What the certificate shows and the provenance claims must agree.
			for _, n := range c.stated {
				claims := maps.Clone(c.claims)
				switch n {
				case oidDigest:
					claims[n] = otherCommit
				case oidConfig:
					claims[n] = strings.Replace(claims[n], "release", "test", 1)
				case oidRunner:
					claims[n] = "self-hosted"
				default:
					claims[n] += "9"
				}
				_, err := c.run(t, p, claims, slsa.Expectations{Level: 1, AnySourceUnsafe: true, AllowKnownParameters: true})
				if err == nil {
					t.Errorf("the certificate's extension %d is %q, and the provenance passed", n, claims[n])
					continue
				}
				refusedFor(t, err, slsa.ReasonContradicts)
			}
			for path, value := range c.forgeable {
				_, err := c.run(t, edit(t, p, path, value), c.claims, slsa.Expectations{Level: 1, AnySourceUnsafe: true, AllowKnownParameters: true})
				if err == nil {
					t.Errorf("%s forged to %v, and the provenance passed", path, value)
					continue
				}
				refusedFor(t, err, slsa.ReasonContradicts)
			}
			// What the certificate does not say is not shown by the provenance.
			for _, n := range []int{oidRunner, oidSource} {
				claims := maps.Clone(c.claims)
				delete(claims, n)
				_, err = c.run(t, p, claims, c.want)
				refusedFor(t, err, slsa.ReasonLevel)
				one := slsa.Expectations{Level: 1, AnySourceUnsafe: true, AllowKnownParameters: true}
				if r, err := c.run(t, p, claims, one); err != nil || r.Level() != 1 {
					t.Errorf("without extension %d it is of level 1: %v", n, err)
				}
			}
			if slices.Contains(c.stated, oidDigest) && c.level < 3 {
				claims := maps.Clone(c.claims)
				delete(claims, oidDigest)
				_, err = c.run(t, p, claims, c.want)
				refusedFor(t, err, slsa.ReasonNotStated)
			}
			if !slices.Contains(c.stated, oidRunner) {
				claims := maps.Clone(c.claims)
				claims[oidRunner] = "self-hosted"
				_, err = c.run(t, p, claims, c.want)
				refusedFor(t, err, slsa.ReasonLevel)
				one := c.want
				one.Level = 1
				if r, err := c.run(t, p, claims, one); err != nil || r.Level() != 1 {
					t.Errorf("a self-hosted build is of level 1: %v", err)
				}
			}
			// An external parameter that nobody expects.
			path := "buildDefinition.externalParameters.surprise"
			if c.predicateType == predicate.TypeSLSAProvenanceV02 {
				path = "invocation.parameters.surprise"
			}
			strict := c.want
			strict.AllowKnownParameters = false
			_, err = c.run(t, edit(t, p, path, "!"), c.claims, strict)
			refusedFor(t, err, slsa.ReasonParameters)
			strict.AllowExternalParameters = append(slices.Clone(strict.AllowExternalParameters), "surprise", "inputs", "vars", "variables", "CI", "entryPoint")
			if r, err := c.run(t, edit(t, p, path, "!"), c.claims, strict); err != nil || !slices.Contains(r.Unchecked(), "surprise") {
				t.Errorf("a parameter that is allowed: %v", err)
			}
		})
	}
}

// The pair decides: a signer that is trusted for one builder does not vouch
// for another, and an unknown one is of level 1, never higher.
func TestPairs(t *testing.T) {
	cases := formatCases()
	any1 := slsa.Expectations{Level: 1, AnySourceUnsafe: true, AllowKnownParameters: true}
	for name, w := range map[string]struct {
		of      int
		san, id string
	}{
		"another builder of the same repository": {2, generator + "generator_generic_slsa3.yml@refs/tags/v2.0.0", ""},
		"another version":                        {2, generator + "builder_go_slsa3.yml@refs/tags/v2.0.1", ""},
		"a branch of the builder":                {2, generator + "builder_go_slsa3.yml@refs/heads/main", generator + "builder_go_slsa3.yml@refs/heads/main"},
		"a floating tag of the builder":          {2, generator + "builder_go_slsa3.yml@refs/tags/v2", generator + "builder_go_slsa3.yml@refs/tags/v2"},
		"a pre-release of the builder":           {2, generator + "builder_go_slsa3.yml@refs/tags/v2.0.0-rc.1", generator + "builder_go_slsa3.yml@refs/tags/v2.0.0-rc.1"},
		"a fork":                                 {2, "https://github.com/slsa-framework-evil/slsa-github-generator/.github/workflows/builder_go_slsa3.yml@refs/tags/v2.0.0", ""},
		"a path below":                           {2, generator + "evil/builder_go_slsa3.yml@refs/tags/v2.0.0", ""},
		"the delegator for its own sake":         {3, "", generator + "delegator_generic_slsa3.yml@refs/tags/v2.0.0"},
		"the delegator for a Go builder":         {3, "", generator + "builder_go_slsa3.yml@refs/tags/v2.0.0"},
		"the delegator for an unknown builder":   {3, "", "https://github.com/octo/builders/.github/workflows/b.yml@refs/tags/v1.0.0"},
		"a delegated builder at a branch":        {3, "", generator + "builder_gradle_slsa3.yml@refs/heads/main"},
		"a workflow as the generator":            {0, "", generator + "builder_go_slsa3.yml@refs/tags/v2.0.0"},
		"a workflow as another workflow":         {0, "", "https://github.com/octo/app/.github/workflows/other.yml@refs/tags/v1.2.3"},
		"a runner without its kind":              {0, "", "https://github.com/actions/runner"},
	} {
		t.Run(name, func(t *testing.T) {
			c := cases[w.of]
			p := parse(t, c.predicate)
			if w.san != "" {
				c.san = w.san
			}
			if w.id != "" {
				path := "runDetails.builder.id"
				if c.predicateType == predicate.TypeSLSAProvenanceV02 {
					path = "builder.id"
				}
				p = edit(t, p, path, w.id)
			}
			_, err := c.run(t, p, c.claims, c.want)
			refusedFor(t, err, slsa.ReasonLevel)
			r, err := c.run(t, p, c.claims, any1)
			if err != nil {
				t.Fatal(err)
			}
			if r.Level() != 1 || r.Builder() != "" {
				t.Errorf("level %d by %q, want 1 by nobody", r.Level(), r.Builder())
			}
		})
	}
}

func TestEdge13_IdentityPatterns(t *testing.T) {
	c := formatCases()[0]
	for _, pattern := range []string{
		"https://github.com/oct", "https://github.com/octo", "https://github.com/octo/*", "github.com/octo/**",
		"https://github.com/octo/app/.github/workflows/release.yml@refs/heads/*", "https://githubxcom/octo/**", "https://github.com/octo/app-**",
	} {
		_, trust := world()
		b := bundle(t, statementOf(t, "app", c.predicateType, parse(t, c.predicate)), c.issuer, c.san, c.claims)
		_, err := slsa.VerifyAny([][]byte{b}, trust, now, artifactOf("app"), slsa.GitHubReusable("x", pattern), c.want)
		refusedFor(t, err, slsa.ReasonLevel)
	}
	_, trust := world()
	b := bundle(t, statementOf(t, "app", c.predicateType, parse(t, c.predicate)), c.issuer, c.san, c.claims)
	want := c.want
	want.Level = 3
	if _, err := slsa.VerifyAny([][]byte{b}, trust, now, artifactOf("app"), slsa.GitHubReusable("x", "https://github.com/octo/app/.github/workflows/*@refs/tags/v*"), want); err != nil {
		t.Error(err)
	}
	// Another issuer with the same subject.
	b = bundle(t, statementOf(t, "app", c.predicateType, parse(t, c.predicate)), "https://token.actions.githubusercontent.com/", c.san, c.claims)
	_, err := slsa.VerifyAny([][]byte{b}, trust, now, artifactOf("app"), slsa.Builders(), c.want)
	refusedFor(t, err, slsa.ReasonLevel)
}

func TestEdge19_PredicateTypes(t *testing.T) {
	c := formatCases()[0]
	for _, typ := range []string{"https://slsa.dev/provenance/v1.0", "https://slsa.dev/provenance/v1/", "https://slsa.dev/provenance/v1?x", "http://slsa.dev/provenance/v1",
		"https://SLSA.dev/provenance/v1", "https://slsa.dev/provenance/v1 ", "https://slsa.dev/provenance/", "https://slsa.dev/verification_summary/v1"} {
		st, err := provenance.NewStatement([]provenance.ResourceDescriptor{artifactOf("app").Descriptor()}, typ, parse(t, c.predicate))
		if err != nil {
			continue // refused earlier still
		}
		_, trust := world()
		_, err = slsa.VerifyAny([][]byte{bundle(t, st, c.issuer, c.san, c.claims)}, trust, now, artifactOf("app"), slsa.Builders(), c.want)
		refusedFor(t, err, slsa.ReasonPredicate)
	}
}

// Builders that sign with keys.

func TestCloudBuild(t *testing.T) {
	v1 := parse(t, `{"buildDefinition":{"buildType":"https://cloud.google.com/build/gcb-buildtypes/google-worker/v1",
		"externalParameters":{"buildConfigSource":{"path":"cloudbuild.yaml","ref":"refs/tags/v1.2.3","repository":"git+https://github.com/octo/app"},"substitutions":{"_X":"y"}},
		"internalParameters":{"systemSubstitutions":{"COMMIT_SHA":"`+commit+`","TAG_NAME":"v1.2.3"}},
		"resolvedDependencies":[{"uri":"git+https://github.com/octo/app@refs/tags/v1.2.3","digest":{"gitCommit":"`+commit+`"}}]},
		"runDetails":{"builder":{"id":"https://cloudbuild.googleapis.com/GoogleHostedWorker"},"metadata":{"invocationId":"x"}}}`)
	st := signed(t, statementOf(t, "app", predicate.TypeSLSAProvenance, v1), "google")
	rows := slsa.CloudBuild(st.Signatures()[0].Principal.KeyID())
	want := slsa.Expectations{Level: 3, SourceURI: "github.com/octo/app", Tag: "v1.2.3", Commit: commit, Workflow: "cloudbuild.yaml", WorkflowInputs: map[string]string{"_X": "y"}}
	if _, err := slsa.Verify(st, artifactOf("app"), rows, want); err != nil {
		t.Fatal(err)
	}
	for path, value := range map[string]any{
		"buildDefinition.externalParameters.buildConfigSource.ref":          "refs/heads/main",
		"buildDefinition.externalParameters.buildConfigSource.repository":   "git+https://github.com/octo/app@refs/heads/x",
		"buildDefinition.internalParameters.systemSubstitutions.COMMIT_SHA": otherCommit,
		"buildDefinition.internalParameters.systemSubstitutions.TAG_NAME":   "v1.2.4",
		"buildDefinition.resolvedDependencies.0.digest":                     map[string]any{"gitCommit": otherCommit},
		"buildDefinition.externalParameters.buildConfigSource.unknown":      "x",
		"buildDefinition.externalParameters.substitutions":                  map[string]any{"_X": "y", "_Z": "1"},
		"buildDefinition.buildType":                                         "https://example.com/other",
		"runDetails.builder.id":                                             "https://cloudbuild.googleapis.com/PrivateWorker",
		"buildDefinition.externalParameters.buildConfigSource.path":         "evil.yaml",
	} {
		st := signed(t, statementOf(t, "app", predicate.TypeSLSAProvenance, edit(t, v1, path, value)), "google")
		if r, err := slsa.Verify(st, artifactOf("app"), rows, want); err == nil {
			t.Errorf("%s: passed: %v", path, r.Facts())
		}
	}
	// Another key is another signer.
	_, err := slsa.Verify(signed(t, statementOf(t, "app", predicate.TypeSLSAProvenance, v1), "mallory"), artifactOf("app"), rows, want)
	refusedFor(t, err, slsa.ReasonLevel)
}

// Google Cloud Build's provenance v0.1: the payload alone is signed, and
// base64 is URL-safe and unpadded.
func TestCloudBuildRawPayload(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, _ := x509.MarshalPKIXPublicKey(&private.PublicKey)
	public := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	// "~~~?" makes base64 use the two characters that differ.
	v01 := parse(t, `{"builder":{"id":"https://cloudbuild.googleapis.com/GoogleHostedWorker@v0.3"},
		"recipe":{"type":"https://cloudbuild.googleapis.com/CloudBuildYaml@v0.1","definedInMaterial":"0","entryPoint":"cloudbuild.yaml",
			"arguments":{"@type":"type.googleapis.com/google.devtools.cloudbuild.v1.Build","note":"~~~???>>>","substitutions":{"COMMIT_SHA":"`+commit+`","BRANCH_NAME":"main"}}},
		"metadata":{"buildInvocationId":"x"},
		"materials":[{"uri":"git+https://github.com/octo/app","digest":{"sha1":"`+commit+`"}}]}`)
	payload := statementOf(t, "app", predicate.TypeSLSAProvenanceV01, v01).Payload()
	sign := func(message []byte) []byte {
		sum := sha256.Sum256(message)
		sig, err := ecdsa.SignASN1(rand.Reader, private, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		return sig
	}
	wrap := func(sig []byte) []byte {
		b, _ := json.Marshal(map[string]any{"image_summary": map[string]any{"digest": "sha256:0"}, "provenance_summary": map[string]any{"provenance": []any{map[string]any{
			"build": map[string]any{"intotoStatement": "not looked at"}, "kind": "BUILD",
			"envelope": map[string]any{"payload": base64.RawURLEncoding.EncodeToString(payload), "payloadType": "application/vnd.in-toto+json",
				"signatures": []any{map[string]any{"keyid": "projects/verified-builder/x", "sig": base64.URLEncoding.EncodeToString(sig)}}},
		}}}})
		return b
	}
	raw, err := verify.NewTrust(verify.Key{PEM: public, Scheme: verify.SchemeRawPayloadUnsafe})
	if err != nil {
		t.Fatal(err)
	}
	dsse, err := verify.NewTrust(verify.Key{PEM: public})
	if err != nil {
		t.Fatal(err)
	}
	open := func(output []byte, trust *verify.Trust) (*verify.VerifiedStatement, error) {
		list, err := slsa.CloudBuildEnvelopes(output)
		if err != nil {
			t.Fatal(err)
		}
		return verify.Open(list[0], trust, now)
	}
	st, err := open(wrap(sign(payload)), raw)
	if err != nil {
		t.Fatal(err)
	}
	want := slsa.Expectations{Level: 3, SourceURI: "github.com/octo/app", Branch: "main", Commit: commit, AllowKnownParameters: true}
	if _, err := slsa.Verify(st, artifactOf("app"), slsa.CloudBuild(st.Signatures()[0].Principal.KeyID()), want); err != nil {
		t.Fatal(err)
	}
	// edge25: one kind of signature is never taken for the other.
	pae := fmt.Appendf(nil, "DSSEv1 28 application/vnd.in-toto+json %d %s", len(payload), payload)
	for name, w := range map[string]struct {
		sig   []byte
		trust *verify.Trust
		ok    bool
	}{
		"raw signature, key for DSSE":  {sign(payload), dsse, false},
		"DSSE signature, key for raw":  {sign(pae), raw, false},
		"DSSE signature, key for DSSE": {sign(pae), dsse, true},
	} {
		if _, err := open(wrap(w.sig), w.trust); (err == nil) != w.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// edge05: the other encoding of an ECDSA signature counts only for a key that is known to write it.
func TestEdge05_P1363(t *testing.T) {
	private, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	der, _ := x509.MarshalPKIXPublicKey(&private.PublicKey)
	public := string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	payload := statementOf(t, "app", "https://example.com/x", doc{"a": 1}).Payload()
	sum := sha256.Sum256(fmt.Appendf(nil, "DSSEv1 28 application/vnd.in-toto+json %d %s", len(payload), payload))
	asn, _ := ecdsa.SignASN1(rand.Reader, private, sum[:])
	var rs struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(asn, &rs); err != nil {
		t.Fatal(err)
	}
	flat := append(rs.R.FillBytes(make([]byte, 32)), rs.S.FillBytes(make([]byte, 32))...)
	for _, w := range []struct {
		scheme string
		sig    []byte
		ok     bool
	}{{"", asn, true}, {"", flat, false}, {verify.SchemeP1363, flat, true}, {verify.SchemeP1363, asn, false}, {verify.SchemeP1363, append(flat, 0), false}, {verify.SchemeP1363, make([]byte, 64), false}} {
		trust, err := verify.NewTrust(verify.Key{PEM: public, Scheme: w.scheme})
		if err != nil {
			t.Fatal(err)
		}
		env, _ := json.Marshal(map[string]any{"payload": payload, "payloadType": provenance.PayloadType, "signatures": []any{map[string]any{"sig": w.sig}}})
		if _, err := verify.Open(env, trust, now); (err == nil) != w.ok {
			t.Errorf("scheme %q, %d bytes: %v", w.scheme, len(w.sig), err)
		}
	}
	if _, err := verify.NewTrust(verify.Key{PEM: publicPEM("ed25519"), Scheme: verify.SchemeP1363}); err == nil {
		t.Error("an Ed25519 key with an ECDSA encoding")
	}
}

func TestTektonAndBuildkite(t *testing.T) {
	tekton := parse(t, `{"buildDefinition":{"buildType":"https://tekton.dev/chains/v2/slsa",
		"externalParameters":{"runSpec":{"x":1}},
		"resolvedDependencies":[{"uri":"git+https://github.com/tektoncd/catalog","digest":{"sha1":"`+otherCommit+`"},"name":"pipelineTask"},
			{"uri":"oci://example.com/step","digest":{"sha256":"`+strings.Repeat("0", 64)+`"}},
			{"uri":"git+https://github.com/octo/app.git","digest":{"sha1":"`+commit+`"},"name":"inputs/result"}]},
		"runDetails":{"builder":{"id":"https://tekton.dev/chains/v2"}}}`)
	st := signed(t, statementOf(t, "app", predicate.TypeSLSAProvenance, tekton), "chains")
	rows := slsa.TektonChains(st.Signatures()[0].Principal.KeyID(), "")
	want := slsa.Expectations{SourceURI: "github.com/octo/app", Commit: commit, AllowKnownParameters: true}
	r, err := slsa.Verify(st, artifactOf("app"), rows, want)
	if err != nil || r.Level() != 2 {
		t.Fatal(err)
	}
	// Two sources: which one was built, nobody says.
	two := edit(t, tekton, "buildDefinition.resolvedDependencies.0.name", "inputs/result")
	_, err = slsa.Verify(signed(t, statementOf(t, "app", predicate.TypeSLSAProvenance, two), "chains"), artifactOf("app"), rows, want)
	refusedFor(t, err, slsa.ReasonNotStated)
	_, err = slsa.Verify(st, artifactOf("app"), slsa.TektonChains(st.Signatures()[0].Principal.KeyID(), "https://tekton.example.com/chains"), want)
	refusedFor(t, err, slsa.ReasonLevel)

	kite := parse(t, `{"buildDefinition":{"buildType":"https://buildkite.github.io/slsa-buildtypes/job/v1",
		"externalParameters":{"pipeline":"https://buildkite.com/octo/app","repository":"https://github.com/octo/app.git",
			"build":{"branch":"main","commit":"`+commit+`","tag":"v1.6.0"},"step":{"command":"make"},"job":{"id":"1"}},
		"resolvedDependencies":[{"uri":"git+https://github.com/octo/app@refs/heads/main","digest":{"gitCommit":"`+commit+`"}}]},
		"runDetails":{"builder":{"id":"https://github.com/buildkite-plugins/generate-provenance-attestation-buildkite-plugin@refs/tags/v1.0.0"}}}`)
	st = signed(t, statementOf(t, "app", predicate.TypeSLSAProvenance, kite), "kite")
	want = slsa.Expectations{SourceURI: "github.com/octo/app", VersionedTag: "v1.6", Commit: commit, AllowExternalParameters: []string{"pipeline", "step", "job"}}
	if _, err = slsa.Verify(st, artifactOf("app"), slsa.Buildkite(st.Signatures()[0].Principal.KeyID()), want); err != nil {
		t.Fatal(err)
	}
	bad := edit(t, kite, "buildDefinition.externalParameters.build", map[string]any{"commit": otherCommit, "tag": "v1.6.0"})
	_, err = slsa.Verify(signed(t, statementOf(t, "app", predicate.TypeSLSAProvenance, bad), "kite"), artifactOf("app"), slsa.Buildkite(st.Signatures()[0].Principal.KeyID()), want)
	refusedFor(t, err, slsa.ReasonContradicts)
	want.Branch = "main" // of a tag, by a builder that is not of level 3
	_, err = slsa.Verify(st, artifactOf("app"), slsa.Buildkite(st.Signatures()[0].Principal.KeyID()), want)
	refusedFor(t, err, slsa.ReasonRef)
}
