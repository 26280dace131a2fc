package slsa_test

import (
	"strings"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/internal/sigstore/sigstoretest"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/predicate"
	"github.com/hallmark-build/hallmark/verify"
	"github.com/hallmark-build/hallmark/verify/slsa"
)

// A source of which nothing is left is no expectation.
func TestEdge12_EmptySource(t *testing.T) {
	c := formatCases()[0]
	for _, source := range []string{"git+", "git+git+", "@refs/heads/main", "/", ".git", "https://", "git+https://", " "} {
		if _, err := c.run(t, parse(t, c.predicate), c.claims, slsa.Expectations{SourceURI: source}); err == nil {
			t.Errorf("source %q expected, and any passes", source)
		}
	}
}

// A source repository with a ref asks for the ref as well.
func TestEdge77_SourceWithRef(t *testing.T) {
	d := delegated(t, "scs")
	d.Track, d.MaxLevel, d.Resources = slsa.TrackSource, 4, []string{"git+https://github.com/octo/**"}
	st, err := provenance.NewStatement([]provenance.ResourceDescriptor{{
		Digest:      provenance.DigestSet{provenance.MustDigest("gitCommit:" + commit)},
		Annotations: map[string]any{"sourceRefs": []any{"refs/heads/main"}},
	}}, predicate.TypeVSA, summary(func(d doc) {
		d["resourceUri"] = "git+https://github.com/octo/app"
		d["verifiedLevels"] = []any{"SLSA_SOURCE_LEVEL_3"}
	}))
	if err != nil {
		t.Fatal(err)
	}
	list := []*verify.VerifiedStatement{signed(t, st, "scs")}
	revision := provenance.DigestSet{provenance.MustDigest("gitCommit:" + commit)}
	for name, c := range map[string]struct {
		repo, ref string
		any, ok   bool
	}{
		"any ref":                {"https://github.com/octo/app", "", true, true},
		"the ref":                {"https://github.com/octo/app", "refs/heads/main", false, true},
		"the ref in the URI":     {"https://github.com/octo/app@refs/heads/main", "refs/heads/main", false, false},
		"another ref in the URI": {"https://github.com/octo/app@refs/heads/release", "refs/heads/main", false, false},
		"only in the URI":        {"https://github.com/octo/app@refs/heads/release", "", true, false},
	} {
		_, err := slsa.VerifySource(list, revision, []slsa.Delegation{d}, slsa.SourceExpectations{
			Repository: c.repo, Ref: c.ref, AnyRefUnsafe: c.any, At: now, MaxAge: 24 * time.Hour, Identifiers: []provenance.Algorithm{"gitCommit"},
		})
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An external parameter counts as checked only if its value was compared: not
// a list or object in its place, and not one that no fact is made of.
func TestUncheckedParameters(t *testing.T) {
	github, generatorV02, gitlab := formatCases()[0], formatCases()[2], formatCases()[7]
	container := formatCases()[4]
	gitlab.want.AllowKnownParameters = false
	gitlab.want.AllowExternalParameters = []string{"variables"}
	for name, c := range map[string]struct {
		formatCase
		path  string
		value any
	}{
		"path is an object":                     {github, "buildDefinition.externalParameters.workflow.path", doc{"evil": true}},
		"ref is a list":                         {github, "buildDefinition.externalParameters.workflow.ref", []any{"refs/heads/evil"}},
		"repository is a list":                  {github, "buildDefinition.externalParameters.workflow.repository", []any{"https://github.com/evil/app"}},
		"entryPoint of v0.2":                    {generatorV02, "invocation.configSource.entryPoint", "evil.yml"},
		"job of GitLab":                         {gitlab, "buildDefinition.externalParameters.entryPoint", "evil"},
		"digest by a name that nobody compares": {container, "buildDefinition.externalParameters.source.digest", doc{"sha1": commit, "evil": "x"}},
		"digest in a list":                      {container, "buildDefinition.externalParameters.source.digest", []any{commit}},
	} {
		r, err := c.run(t, edit(t, parse(t, c.predicate), c.path, c.value), c.claims, c.want)
		if err == nil {
			t.Errorf("%s: passed, with %v unchecked", name, r.Unchecked())
		}
	}
}

// The digest of the source of an unknown build type is a claim like others.
func TestOtherSourceDigest(t *testing.T) {
	predicateOf := func(sourceCommit string) doc {
		return doc{"buildDefinition": doc{
			"buildType":            "https://example.com/build/v1",
			"externalParameters":   doc{"source": doc{"uri": "git+https://github.com/octo/app", "digest": doc{"gitCommit": sourceCommit}}},
			"resolvedDependencies": []any{doc{"uri": "git+https://github.com/octo/app", "digest": doc{"gitCommit": commit}}},
		}, "runDetails": doc{"builder": doc{"id": "https://example.com/builder"}}}
	}
	row := slsa.Builder{Name: "x", Key: keyID(t, publicPEM("ci")), IDs: []string{"https://example.com/builder"}, Formats: []slsa.Format{slsa.FormatOther}, Level: 3}
	want := slsa.Expectations{SourceURI: "github.com/octo/app", Commit: commit}
	for sourceCommit, ok := range map[string]bool{commit: true, otherCommit: false} {
		st := signed(t, statementOf(t, "app", predicate.TypeSLSAProvenance, predicateOf(sourceCommit)), "ci")
		if _, err := slsa.Verify(st, artifactOf("app"), []slsa.Builder{row}, want); (err == nil) != ok {
			t.Errorf("source at %s, dependency at %s: %v", sourceCommit, commit, err)
		}
	}
}

// Where the pipeline of Tekton comes from is a parameter of the build, and not
// the source that it builds.
func TestTektonConfigSource(t *testing.T) {
	p := func(config string) doc {
		return doc{"builder": doc{"id": "https://tekton.dev/chains/v2"}, "buildType": "tekton.dev/v1beta1/TaskRun",
			"invocation": doc{"configSource": doc{"uri": config, "digest": doc{"sha1": otherCommit}, "entryPoint": "task.yaml"}},
			"materials":  []any{doc{"uri": "git+https://github.com/octo/app", "digest": doc{"sha1": commit}}}}
	}
	rows := slsa.TektonChains(keyID(t, publicPEM("chains")), "")
	verifyIt := func(config string, want slsa.Expectations) error {
		want.SourceURI = "github.com/octo/app"
		_, err := slsa.Verify(signed(t, statementOf(t, "app", predicate.TypeSLSAProvenanceV02, p(config)), "chains"), artifactOf("app"), rows, want)
		return err
	}
	const evil = "https://evil.example/pipelines.tgz"
	if err := verifyIt(evil, slsa.Expectations{}); err == nil {
		t.Error("a pipeline from anywhere")
	}
	if err := verifyIt(evil, slsa.Expectations{ExternalParameters: map[string]any{"source": "https://octo.example/pipelines.tgz"}}); err == nil {
		t.Error("another pipeline than expected")
	}
	if err := verifyIt(evil, slsa.Expectations{ExternalParameters: map[string]any{"source": evil}}); err != nil {
		t.Errorf("the pipeline that was expected: %v", err)
	}
	// From a git repository too, and from that of the source.
	for _, config := range []string{"git+https://github.com/octo/pipelines", "git+https://github.com/octo/app"} {
		want := slsa.Expectations{ExternalParameters: map[string]any{"source": config}, Commit: commit}
		if err := verifyIt(config, want); (err == nil) != strings.HasSuffix(config, "pipelines") {
			// With one name for the pipeline and the source, nobody can say which commit was built.
			t.Errorf("%s: %v", config, err)
		}
	}
}

// What was built instead of the commit of the run only a builder of Build L3
// can say: a job with a certificate writes what it likes.
func TestEdge78_BuiltCommitForged(t *testing.T) {
	c := formatCases()[3] // delegated
	c.san = "https://github.com/octo/app/.github/workflows/release.yml@refs/tags/v1.2.3"
	p := edit(t, parse(t, c.predicate), "buildDefinition.resolvedDependencies.0.uri", "git+https://github.com/octo/app")
	p = edit(t, p, "buildDefinition.resolvedDependencies.0.digest.gitCommit", otherCommit)
	want := slsa.Expectations{SourceURI: "github.com/octo/app", Level: 1, Commit: otherCommit, AllowKnownParameters: true}
	if r, err := c.run(t, p, c.claims, want); err == nil {
		t.Errorf("level %d: the certificate says %s, and %s passes", r.Level(), commit, otherCommit)
	}
}

// Statements about an npm package by others, whoever they are, do not hide
// those by the registry and by the builder.
func TestEdge58_NPMUnrelated(t *testing.T) {
	w, _ := world()
	trust, err := verify.NewTrust(verify.Key{PEM: publicPEM("registry")})
	if err != nil {
		t.Fatal(err)
	}
	if trust, err = trust.WithSigstore(w.RootDoc().JSON(), verify.Sigstore{}); err != nil {
		t.Fatal(err)
	}
	const name = "pkg:npm/%40octo/app@1.2.3"
	about := func(name, typ string, pred any) *provenance.Statement {
		st, err := provenance.NewStatement([]provenance.ResourceDescriptor{{Name: name, Digest: digestsOf("app")}}, typ, pred)
		if err != nil {
			t.Fatal(err)
		}
		return st
	}
	c := formatCases()[5]
	published := func(n, v string) doc {
		return doc{"name": n, "version": v, "registry": "https://registry.npmjs.org"}
	}
	publish := envelope(t, about(name, predicate.TypeNPMPublish, published("@octo/app", "1.2.3")), "registry")
	built := bundle(t, about(name, c.predicateType, parse(t, c.predicate)), c.issuer, c.san, c.claims)
	pkg := slsa.NPMPackage{Name: "@octo/app", Version: "1.2.3", RegistryKeys: []string{keyID(t, publicPEM("registry"))}}
	run := func(list ...[]byte) error {
		_, err := slsa.VerifyNPM(list, trust, now, artifactOf("app"), pkg, slsa.Builders(), c.want)
		return err
	}
	if err := run(publish, built); err != nil {
		t.Fatal(err)
	}
	if err := run(built); err == nil {
		t.Error("nobody published it")
	}
	// Anybody can get a certificate, and anybody's name can be on it.
	forged := bundle(t, about(name, predicate.TypeNPMPublish, published("@octo/app", "1.2.3")), c.issuer, "https://github.com/evil/x/.github/workflows/x.yml@refs/heads/main", nil)
	if err := run(forged, built); err == nil {
		t.Error("anybody published it")
	}
	renamed := func(n string) []byte {
		return bundle(t, about(n, c.predicateType, parse(t, c.predicate)), c.issuer, c.san, c.claims)
	}
	for what, extra := range map[string][]byte{
		"publish attestation by another":         forged,
		"publish attestation for another name":   envelope(t, about("pkg:npm/other@1.2.3", predicate.TypeNPMPublish, published("other", "1.2.3")), "registry"),
		"publish attestation of another version": envelope(t, about("pkg:npm/%40octo/app@9.9.9", predicate.TypeNPMPublish, published("@octo/app", "9.9.9")), "registry"),
		"the same content under another name":    renamed("pkg:npm/other@1.2.3"),
		"and another":                            renamed("pkg:npm/other@1.2.4"),
		"and a third":                            renamed("pkg:npm/other@1.2.5"),
	} {
		for i, list := range [][][]byte{{extra, publish, built}, {publish, built, extra}} {
			if err := run(list...); err != nil {
				t.Errorf("%s beside (%d): %v", what, i, err)
			}
		}
		if err := run(extra, built); err == nil {
			t.Errorf("%s instead of the registry's", what)
		}
		if err := run(publish, extra); err == nil {
			t.Errorf("%s instead of the provenance", what)
		}
	}
	// Any version will do, but of both the same.
	pkg.Version = ""
	if err := run(publish, built); err != nil {
		t.Errorf("any version: %v", err)
	}
	if err := run(publish, renamed("pkg:npm/%40octo/app@9.9.9")); err == nil {
		t.Error("published as 1.2.3 and built as 9.9.9")
	}
	pkg.Version = "1.2.3"
	// Spellings of the name that look alike.
	for _, n := range []string{"pkg:npm/@octo/app@1.2.3", "pkg:npm/%40Octo/app@1.2.3", "pkg:npm/%40octo%2Fapp@1.2.3", "pkg:npm/%40octo/app@1.2.3?x=y", "pkg:npm/%40octo/app@1.2.3#x", "pkg:npm/%40octo/app@1.2.30", "pkg:NPM/%40octo/app@1.2.3", ""} {
		if err := run(publish, renamed(n)); err == nil {
			t.Errorf("provenance about %q", n)
		}
	}
}

// A summary that was signed after the instant of judgement was not there.
func TestEdge77_SignedLater(t *testing.T) {
	w, trust := world()
	vsa := summary(nil)
	st := statementOf(t, "app", predicate.TypeVSA, vsa)
	row := slsa.Delegation{VerifierID: verifierID, Issuer: sigstoretest.Issuer, Subjects: []string{sigstoretest.SAN}, Track: slsa.TrackBuild, MaxLevel: 3, Resources: []string{"pkg:oci/app@*"}}
	later := now.Add(time.Hour)
	v, err := verify.Open(w.Sign(sigstoretest.Spec{Content: st.Payload(), At: later}).Doc.JSON(), trust, later)
	if err != nil {
		t.Fatal(err)
	}
	want := wanted()
	want.At = later
	if _, err := slsa.VerifyVSA(v, digestsOf("app"), []slsa.Delegation{row}, want); err != nil {
		t.Fatal(err)
	}
	want.At = now
	_, err = slsa.VerifyVSA(v, digestsOf("app"), []slsa.Delegation{row}, want)
	refusedFor(t, err, slsa.ReasonStale)
}
