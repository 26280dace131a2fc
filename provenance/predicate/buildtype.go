package predicate

import (
	"maps"
	"slices"
	"strings"

	"github.com/hallmark-build/hallmark/internal/strictjson"
)

// Build types of GitHub Actions workflows.
const (
	// BuildTypeGitHubWorkflow is GitHub's own, of artifact attestations (actions/buildtypes, workflow/v1).
	BuildTypeGitHubWorkflow = "https://actions.github.io/buildtypes/workflow/v1"
	// BuildTypeSLSAGitHubWorkflow is that of the SLSA community, which npm uses
	// (slsa-framework/github-actions-buildtypes, workflow/v1).
	BuildTypeSLSAGitHubWorkflow = "https://slsa-framework.github.io/github-actions-buildtypes/workflow/v1"
)

// GitHubBuild is what SLSA provenance v1 says about a workflow run, for either of the two build types.
type GitHubBuild struct {
	Workflow GitHubWorkflow `json:"workflow"`
	// Inputs of workflow_dispatch, Release of a release event, and Vars are
	// external parameters of [BuildTypeSLSAGitHubWorkflow] only, and at most one
	// of the first two is there.
	Inputs  map[string]any `json:"inputs,omitempty"`
	Release map[string]any `json:"release,omitempty"`
	Vars    map[string]any `json:"vars,omitempty"`
	// GitHub are the internal parameters.
	GitHub GitHubContext `json:"-"`
}

// GitHubWorkflow names a workflow file; all three are required.
type GitHubWorkflow struct {
	Ref        string `json:"ref"`        // "refs/heads/main"
	Repository string `json:"repository"` // "https://github.com/octocat/hello-world"
	Path       string `json:"path"`       // ".github/workflows/release.yml"
}

// GitHubContext is what the platform says about a run. A field that it does not state is empty.
type GitHubContext struct {
	EventName         string `json:"event_name,omitempty"`
	ActorID           string `json:"actor_id,omitempty"`
	RepositoryID      string `json:"repository_id,omitempty"`
	RepositoryOwnerID string `json:"repository_owner_id,omitempty"`
	RunnerEnvironment string `json:"runner_environment,omitempty"` // "github-hosted" or "self-hosted"
}

// GitHubBuildOf reads the parameters of a GitHub Actions build, of either
// build type. An external parameter that the build type does not have is
// refused: it may change what the build does (slsa.dev/spec/v1.2/provenance,
// externalParameters; "verifiers SHOULD reject unrecognized fields").
func GitHubBuildOf(p *SLSAProvenance) (*GitHubBuild, error) {
	def := p.BuildDefinition
	known := []string{"workflow"}
	switch def.BuildType {
	case BuildTypeGitHubWorkflow:
	case BuildTypeSLSAGitHubWorkflow:
		known = []string{"workflow", "inputs", "release", "vars"}
	default:
		return nil, bad("want a build of a GitHub Actions workflow, found build type %s", clip(def.BuildType))
	}
	for _, name := range slices.Sorted(maps.Keys(def.ExternalParameters)) {
		if !slices.Contains(known, name) {
			return nil, bad("GitHub build: unknown external parameter %s", clip(name))
		}
	}
	var b GitHubBuild
	var internal struct {
		GitHub GitHubContext `json:"github"`
	}
	if err := remarshal(def.ExternalParameters, &b); err != nil {
		return nil, wrap("GitHub build: externalParameters", err)
	}
	if err := remarshal(def.InternalParameters, &internal); err != nil {
		return nil, wrap("GitHub build: internalParameters", err)
	}
	b.GitHub = internal.GitHub
	if err := b.validate(def.BuildType); err != nil {
		return nil, wrap("GitHub build", err)
	}
	return &b, nil
}

func (b *GitHubBuild) validate(buildType string) error {
	w := b.Workflow
	if err := missing("workflow.ref", w.Ref, "workflow.repository", w.Repository, "workflow.path", w.Path); err != nil {
		return err
	}
	if !strings.HasPrefix(w.Ref, "refs/") {
		return bad("workflow.ref: want a full ref such as refs/heads/main, found %s", clip(w.Ref))
	}
	if buildType == BuildTypeGitHubWorkflow {
		if len(b.Inputs)+len(b.Release)+len(b.Vars) > 0 {
			return bad("build type %s has no inputs, release and vars", buildType)
		}
		return nil
	}
	if len(b.Inputs) > 0 && len(b.Release) > 0 {
		return bad("inputs and release: want at most one of them")
	}
	switch b.GitHub.EventName {
	case "", "create", "release", "push", "workflow_dispatch":
		return nil
	}
	return bad("event %s is not one of the build type's (create, release, push, workflow_dispatch)", clip(b.GitHub.EventName))
}

// Parameters returns the external and internal parameters of the build, for a
// [BuildDefinition] of the build type.
func (b *GitHubBuild) Parameters(buildType string) (external, internal map[string]any, err error) {
	if buildType != BuildTypeGitHubWorkflow && buildType != BuildTypeSLSAGitHubWorkflow {
		return nil, nil, bad("want a build type of GitHub Actions workflows, found %s", clip(buildType))
	}
	if err := b.validate(buildType); err != nil {
		return nil, nil, wrap("GitHub build", err)
	}
	if err := remarshal(b, &external); err != nil {
		return nil, nil, err
	}
	if b.GitHub != (GitHubContext{}) {
		var github map[string]any
		if err := remarshal(b.GitHub, &github); err != nil {
			return nil, nil, err
		}
		internal = map[string]any{"github": github}
	}
	return external, internal, nil
}

// UnknownExternalParameters returns, sorted, the names of the external
// parameters that are not in known. A verifier that expects certain parameters
// refuses provenance that has others (slsa.dev/spec/v1.2/verifying-artifacts,
// step 2).
func (p *SLSAProvenance) UnknownExternalParameters(known ...string) []string {
	var unknown []string
	for name := range p.BuildDefinition.ExternalParameters {
		if !slices.Contains(known, name) {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	return unknown
}

// DoubleParameters returns, sorted, the names that are external and internal
// parameters at once. They SHOULD NOT be (internalParameters): a reader may
// take the one, which anybody can set, for the other. A caller may want to warn.
func (p *SLSAProvenance) DoubleParameters() []string {
	var double []string
	for name := range p.BuildDefinition.ExternalParameters {
		if _, ok := p.BuildDefinition.InternalParameters[name]; ok {
			double = append(double, name)
		}
	}
	slices.Sort(double)
	return double
}

// remarshal decodes a decoded JSON value into something more specific.
func remarshal(from, to any) error {
	data, err := marshal(from)
	if err != nil {
		return err
	}
	return strictjson.Into(data, 0, to)
}
