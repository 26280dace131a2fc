package slsa

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"

	"github.com/hallmark-build/hallmark/internal/glob"
	"github.com/hallmark-build/hallmark/internal/sigalg"
	"github.com/hallmark-build/hallmark/verify"
)

// A Builder is one row of the table of trusted builders (SLSA v1.2, verifying
// artifacts, step 1): who signs for which builder.id, and the SLSA Build level
// that this is trusted for at most. Patterns are those of package verify's
// policies: "*" stands for any characters but "/", "**" for any characters, and
// a pattern covers the whole string.
//
// A table is a slice of rows. Rows only ever add trust, so their order does
// not matter: the highest level of those that apply counts.
type Builder struct {
	// Name is for results and messages.
	Name string `json:"name"`
	// Issuer and Subjects are the signer's certificate identity: the OIDC
	// issuer, exactly, and patterns of the subject's URI.
	Issuer   string   `json:"issuer,omitempty"`
	Subjects []string `json:"subjects,omitempty"`
	// Key is the signer's public key instead, by the SHA-256 of its
	// SubjectPublicKeyInfo in hex (what [verify.Principal].KeyID returns).
	Key string `json:"key,omitempty"`
	// IDs are patterns of the builder.id. None means that the builder.id must
	// be the subject of the certificate; a key needs at least one.
	IDs []string `json:"ids,omitempty"`
	// Formats are the formats that the provenance may have, which follow from
	// its buildType. At least one.
	Formats []Format `json:"formats"`
	// Level is the highest SLSA Build level, 1 to 3.
	Level int `json:"level"`
	// PinnedTag demands that the signer's subject and the builder.id end in
	// "@refs/tags/" and a release, vX.Y.Z: a builder at a branch or a floating
	// tag is whatever it is today.
	PinnedTag bool `json:"pinnedTag,omitempty"`
	// AnyRunnerUnsafe gives the level to certificates that do not say on what
	// the job ran. By default the certificate must say so, and a self-hosted
	// runner is of level 1 (SLSA v1.2, build track basics: L2 is hosted).
	AnyRunnerUnsafe bool `json:"anyRunnerUnsafe,omitempty"`
}

// Issuers of identity tokens.
const (
	IssuerGitHub    = "https://token.actions.githubusercontent.com"
	IssuerGitLab    = "https://gitlab.com"
	IssuerBuildkite = "https://agent.buildkite.com"
)

const (
	generator     = "https://github.com/slsa-framework/slsa-github-generator/.github/workflows/"
	runnerGitHub  = "https://github.com/actions/runner/github-hosted"
	runnerOldName = "https://github.com/actions/runner"
)

// Builders returns the table of the public builders that sign with
// certificates of their platform. It is a new slice, for the caller to add to.
func Builders() []Builder {
	return slices.Concat(GitHubGenerator(), GitHubAttestations(), NPM(), GitLab(), BazelRegistry())
}

// GitHubGenerator returns the rows of slsa-framework/slsa-github-generator,
// Build L3: reusable workflows that build, or that hash what they are given,
// in a job that the caller's steps cannot reach, at a release tag.
//
// The Go, generic, generic container and container-based builders are their
// own builder.id. The builders that were made with the framework for bringing
// one's own builder (Maven, Gradle, Node.js, Bazel) are signed for by its
// delegators.
func GitHubGenerator() []Builder {
	var ids []string
	for _, kind := range []string{"maven", "gradle", "nodejs", "bazel"} {
		ids = append(ids, generator+"builder_"+kind+"_slsa3.yml@refs/tags/*")
	}
	rows := []Builder{{
		Name: "slsa-github-generator", Issuer: IssuerGitHub, Level: 3, PinnedTag: true,
		Subjects: []string{
			generator + "builder_go_slsa3.yml@refs/tags/*",
			generator + "generator_generic_slsa3.yml@refs/tags/*",
			generator + "generator_container_slsa3.yml@refs/tags/*",
		},
		Formats: []Format{FormatGitHubGenerator},
	}, {
		Name: "slsa-github-generator container-based", Issuer: IssuerGitHub, Level: 3, PinnedTag: true,
		Subjects: []string{generator + "builder_container-based_slsa3.yml@refs/tags/*"},
		Formats:  []Format{FormatContainerBased},
	}}
	return append(rows, GitHubDelegated("slsa-github-generator", ids...)...)
}

// GitHubDelegated returns a row for builders that others made with
// slsa-github-generator's framework for bringing one's own builder: the
// delegator signs, and the builder.id is the reusable workflow that called it,
// at a release tag, which ids are patterns of. How far such a builder is to
// be trusted beyond the delegator's isolation is for the caller to know.
func GitHubDelegated(name string, ids ...string) []Builder {
	if len(ids) == 0 {
		ids = []string{""} // no builder, rather than the delegator itself: an error of the table
	}
	return []Builder{{
		Name: name + " (delegated)", Issuer: IssuerGitHub, Level: 3, PinnedTag: true, IDs: ids,
		Subjects: []string{
			generator + "delegator_generic_slsa3.yml@refs/tags/*",
			generator + "delegator_lowperms-generic_slsa3.yml@refs/tags/*",
		},
		Formats: []Format{FormatGitHubDelegator},
	}}
}

// GitHubAttestations returns the rows of GitHub's artifact attestations
// (actions/attest-build-provenance), Build L2: the platform vouches for the
// run, but the job that builds can also sign, so the workflow is its own
// builder; the first of them named the runner instead. Attestations on PyPI
// that carry SLSA provenance are of this kind.
func GitHubAttestations() []Builder {
	return []Builder{{
		Name: "GitHub artifact attestations", Issuer: IssuerGitHub, Level: 2,
		Subjects: []string{"https://github.com/**"},
		Formats:  []Format{FormatGitHubWorkflow},
	}, {
		Name: "GitHub artifact attestations", Issuer: IssuerGitHub, Level: 2,
		Subjects: []string{"https://github.com/**"}, IDs: []string{runnerGitHub},
		Formats: []Format{FormatGitHubWorkflow},
	}}
}

// GitHubReusable returns a row of Build L3 for a reusable workflow that builds
// and attests apart from the steps of its callers: artifact attestations with
// builder.id the workflow. workflows are patterns such as
// "https://github.com/octo/builders/.github/workflows/build.yml@refs/tags/v*".
// That the workflow is isolated is for the caller to know.
func GitHubReusable(name string, workflows ...string) []Builder {
	return []Builder{{
		Name: name, Issuer: IssuerGitHub, Level: 3, Subjects: workflows,
		Formats: []Format{FormatGitHubWorkflow},
	}}
}

// BazelRegistry returns the rows of what the Bazel Central Registry wants of
// its modules: attestations by the reusable workflows of bazel-contrib at a
// release tag. Level 2: release_ruleset.yaml runs the test and release
// commands of the caller.
func BazelRegistry() []Builder {
	return []Builder{{
		Name: "Bazel Central Registry", Issuer: IssuerGitHub, Level: 2, PinnedTag: true,
		Subjects: []string{
			"https://github.com/bazel-contrib/.github/.github/workflows/release_ruleset.yaml@refs/tags/*",
			"https://github.com/bazel-contrib/publish-to-bcr/.github/workflows/publish.yaml@refs/tags/*",
		},
		Formats: []Format{FormatGitHubWorkflow},
	}}
}

// NPM returns the rows of the npm command's provenance, Build L2: v0.2 and v1
// on GitHub, v0.2 on GitLab. The registry's own publish attestations are
// signed with a key; see [VerifyNPM].
func NPM() []Builder {
	return []Builder{{
		Name: "npm on GitHub Actions", Issuer: IssuerGitHub, Level: 2,
		Subjects: []string{"https://github.com/**"},
		IDs:      []string{runnerGitHub, runnerOldName},
		Formats:  []Format{FormatNPMGitHub, FormatSLSAGitHubWorkflow},
	}, {
		Name: "npm on GitLab", Issuer: IssuerGitLab, Level: 2,
		Subjects: []string{"https://gitlab.com/**"},
		IDs:      []string{"https://gitlab.com/**/-/runners/*"},
		Formats:  []Format{FormatNPMGitLab},
	}}
}

// GitLab returns the row of provenance that GitLab's runner wrote and a job on
// gitlab.com signed with its identity, Build L2.
func GitLab() []Builder {
	return []Builder{{
		Name: "GitLab CI/CD", Issuer: IssuerGitLab, Level: 2,
		Subjects: []string{"https://gitlab.com/**"},
		IDs:      []string{"https://gitlab.com/**/-/runners/*"},
		Formats:  []Format{FormatGitLab},
	}}
}

// CloudBuild returns the row of Google Cloud Build for one of its public
// keys ([KeyID]), Build L3. Its provenance v0.1 is signed over the raw payload: give
// such a key the scheme [verify.SchemeRawPayloadUnsafe]. [CloudBuildEnvelopes]
// gets the envelopes out of what gcloud prints.
func CloudBuild(keyID string) []Builder {
	return []Builder{{
		Name: "Google Cloud Build", Key: keyID, Level: 3,
		IDs: []string{
			"https://cloudbuild.googleapis.com/GoogleHostedWorker",
			"https://cloudbuild.googleapis.com/GoogleHostedWorker@v0.2",
			"https://cloudbuild.googleapis.com/GoogleHostedWorker@v0.3",
		},
		Formats: []Format{FormatCloudBuild, FormatCloudBuildV01},
	}}
}

// TektonChains returns the row of an installation of Tekton Chains by its
// public key ([KeyID]), Build L2: Chains watches the cluster from outside the builds. id
// is the builder.id that it is configured with; "" means its default.
func TektonChains(keyID, id string) []Builder {
	if id == "" {
		id = "https://tekton.dev/chains/v2"
	}
	return []Builder{{
		Name: "Tekton Chains", Key: keyID, Level: 2,
		IDs: []string{glob.Quote(id)}, Formats: []Format{FormatTekton},
	}}
}

// Buildkite returns the row of the provenance plugin of Buildkite, by the
// public key ([KeyID]) that a pipeline signs with, Build L2.
func Buildkite(keyID string) []Builder {
	return []Builder{{
		Name: "Buildkite", Key: keyID, Level: 2,
		IDs:     []string{"https://github.com/buildkite-plugins/generate-provenance-attestation-buildkite-plugin@refs/tags/*"},
		Formats: []Format{FormatBuildkite},
	}}
}

// KeyID returns the SHA-256 of a key's SubjectPublicKeyInfo in hex, by which
// the tables of this package know it.
func KeyID(k verify.Key) (string, error) {
	block, rest := pem.Decode([]byte(k.PEM))
	if block == nil || block.Type != "PUBLIC KEY" || len(bytes.TrimSpace(rest)) > 0 {
		return "", refuse(ReasonRequest, "want one public key in PEM (-----BEGIN PUBLIC KEY-----)")
	}
	pub, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return "", refuse(ReasonRequest, "%v", err)
	}
	return sigalg.KeyID(pub)
}

// a table is a compiled []Builder.
type table []row

type row struct {
	Builder
	subjects, ids []*glob.Pattern
}

func compile(builders []Builder) (table, error) {
	t := make(table, len(builders))
	for i, b := range builders {
		wrong := func(format string, args ...any) error {
			return refuse(ReasonRequest, "builder %d (%s): %s", i, clip(b.Name), fmt.Sprintf(format, args...))
		}
		byKey, byCertificate := b.Key != "", b.Issuer != "" || len(b.Subjects) > 0
		switch {
		case byKey == byCertificate:
			return nil, wrong("want either a key or an issuer with subjects")
		case byCertificate && (b.Issuer == "" || len(b.Subjects) == 0):
			return nil, wrong("want both an issuer and subjects")
		case byKey && len(b.IDs) == 0:
			return nil, wrong("a key needs the builder ids that it may sign for")
		case b.Level < 1 || b.Level > 3:
			return nil, wrong("level is %d, want 1 to 3", b.Level)
		case len(b.Formats) == 0:
			return nil, wrong("want at least one format")
		}
		for _, f := range b.Formats {
			if formatNamed(f) == nil {
				return nil, wrong("unknown format %s", clip(string(f)))
			}
		}
		t[i].Builder = b
		var err error
		if t[i].subjects, err = patterns(b.Subjects); err == nil {
			t[i].ids, err = patterns(b.IDs)
		}
		if err != nil {
			return nil, wrong("%v", err)
		}
	}
	return t, nil
}

func patterns(list []string) ([]*glob.Pattern, error) {
	var out []*glob.Pattern
	for _, s := range list {
		if s == "" {
			return nil, fmt.Errorf("an empty pattern")
		}
		p, err := glob.Compile(s)
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

func matchAny(list []*glob.Pattern, s string) bool {
	return slices.ContainsFunc(list, func(p *glob.Pattern) bool { return p.Match(s) })
}

// signs reports whether the row is about this signer.
func (r *row) signs(p verify.Principal) bool {
	if r.Key != "" {
		return p.KeyID() == r.Key
	}
	id := p.Identity()
	return id.Issuer == r.Issuer && id.SubjectType == "uri" && matchAny(r.subjects, id.Subject) &&
		(!r.PinnedTag || pinned(id.Subject))
}

// builds reports whether the row's signer may state this builder.id.
func (r *row) builds(p verify.Principal, id string) bool {
	if len(r.ids) == 0 {
		return id != "" && id == p.Identity().Subject
	}
	return matchAny(r.ids, id) && (!r.PinnedTag || pinned(id))
}

func pinned(id string) bool {
	_, ref, ok := strings.Cut(id, "@")
	return ok && isReleaseTag(ref)
}
