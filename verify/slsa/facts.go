package slsa

import (
	"slices"
	"strconv"
	"strings"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/predicate"
	"github.com/hallmark-build/hallmark/verify"
)

// The names of facts, the one vocabulary for what the formats of provenance
// and the certificates say in many.
const (
	FactSource       = "source"       // repository, "https://github.com/octo/app"
	FactRef          = "ref"          // "refs/tags/v1.2.0"
	FactCommit       = "commit"       // git object id
	FactWorkflow     = "workflow"     // path of what defines the build, in the repository
	FactRun          = "run"          // URI of the run, with its attempt
	FactRunner       = "runner"       // "github-hosted", "gitlab-hosted", "self-hosted"
	FactTrigger      = "trigger"      // event that started the run
	FactRepositoryID = "repositoryID" // the platform's number for the repository
	FactOwnerID      = "ownerID"      // and for its owner
)

// A Fact is one thing that is known about a build.
type Fact struct {
	Name  string // FactSource and so on
	Value string
	// Certified says that the certificate of the signer states it. What only
	// the provenance states is as good as its builder.
	Certified bool
}

// claims gathers what is stated, and notices when two places differ.
type claims struct {
	facts []Fact // sorted by name
	where map[string]string
	err   *Error
	// built is the commit that was built where it is not the one that started
	// the run: a delegated builder may make a commit of its own.
	built string
	// branch is the branch of a tag, as the event that started the run has it.
	branch string
	// inputs are what somebody typed in when starting the run by hand.
	inputs map[string]any
}

// state adds one claim. An empty value states nothing.
func (c *claims) state(name, value, where string, certified bool) {
	if value == "" || c.err != nil {
		return
	}
	i, found := slices.BinarySearchFunc(c.facts, name, func(f Fact, n string) int { return strings.Compare(f.Name, n) })
	if !found {
		c.facts = slices.Insert(c.facts, i, Fact{name, value, certified})
		if c.where == nil {
			c.where = map[string]string{}
		}
		c.where[name] = where
		return
	}
	if c.facts[i].Value != value {
		c.err = differs(ReasonContradicts, name+": "+c.where[name]+" and "+where+" differ", c.facts[i].Value, value)
	}
}

func (c *claims) get(name string) string {
	for _, f := range c.facts {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// certified returns the value of a fact that the certificate states.
func (c *claims) certified(name string) string {
	for _, f := range c.facts {
		if f.Name == name && f.Certified {
			return f.Value
		}
	}
	return ""
}

// certificate states what a signer's certificate says.
func (c *claims) certificate(sig *verify.Signature) {
	m := sig.Claims
	state := func(name, value, extension string) { c.state(name, value, "the certificate's "+extension, true) }
	source, _ := repository(m["sourceRepositoryURI"])
	state(FactSource, source, "sourceRepositoryURI")
	if old := m["githubWorkflowRepository"]; old != "" {
		state(FactSource, "https://github.com/"+old, "githubWorkflowRepository")
	}
	state(FactRef, m["sourceRepositoryRef"], "sourceRepositoryRef")
	state(FactRef, m["githubWorkflowRef"], "githubWorkflowRef")
	state(FactCommit, m["sourceRepositoryDigest"], "sourceRepositoryDigest")
	state(FactCommit, m["githubWorkflowSHA"], "githubWorkflowSHA")
	// https://host/owner/repository/path@ref; GitLab has two slashes before the path.
	if path, ok := strings.CutPrefix(m["buildConfigURI"], source+"/"); ok && source != "" {
		path, _, _ = strings.Cut(path, "@")
		state(FactWorkflow, strings.TrimPrefix(path, "/"), "buildConfigURI")
	}
	state(FactRun, m["runInvocationURI"], "runInvocationURI")
	state(FactRunner, m["runnerEnvironment"], "runnerEnvironment")
	state(FactTrigger, m["buildTrigger"], "buildTrigger")
	state(FactTrigger, m["githubWorkflowTrigger"], "githubWorkflowTrigger")
	state(FactRepositoryID, m["sourceRepositoryIdentifier"], "sourceRepositoryIdentifier")
	state(FactOwnerID, m["sourceRepositoryOwnerIdentifier"], "sourceRepositoryOwnerIdentifier")
}

// A Format is a way to write down a build, which the buildType names. This
// package knows what the parameters of each mean.
type Format string

// The formats. The names are stable.
const (
	FormatGitHubWorkflow     Format = "github-workflow"        // GitHub's artifact attestations
	FormatSLSAGitHubWorkflow Format = "slsa-github-workflow"   // the SLSA community's, which npm writes
	FormatGitHubGenerator    Format = "slsa-github-generator"  // v0.2 of the Go, generic and container builders
	FormatGitHubDelegator    Format = "slsa-github-delegator"  // builders that others bring
	FormatContainerBased     Format = "slsa-github-container"  // container-based builds
	FormatNPMGitHub          Format = "npm-github"             // npm on GitHub, v0.2
	FormatNPMGitLab          Format = "npm-gitlab"             // npm on GitLab, v0.2
	FormatGitLab             Format = "gitlab"                 // GitLab's runner
	FormatCloudBuild         Format = "google-cloud-build"     // v1
	FormatCloudBuildV01      Format = "google-cloud-build-v01" // v0.1
	FormatTekton             Format = "tekton-chains"
	FormatBuildkite          Format = "buildkite"
	// FormatOther is any other build type. Read are only an external parameter
	// "source" (a URI, or a descriptor), "entryPoint", and the git commits
	// among the dependencies.
	FormatOther Format = "other"
)

// dialect says how a format is read.
type dialect struct {
	format     Format
	buildTypes []string // exact, or with a "*" at the end for a prefix
	// read states what the provenance says.
	read func(r *reader)
	// facts are the external parameters, "name" or "name.field", that read
	// turns into facts, which are checked as such: all that it does not read
	// is left out here; chosen are those that whoever started the build chose
	// freely. "*" among them: the format does not list its parameters.
	facts, chosen []string
}

var workflowFacts = []string{"workflow.repository", "workflow.ref", "workflow.path"}

var dialects = []dialect{
	{FormatGitHubWorkflow, []string{predicate.BuildTypeGitHubWorkflow}, (*reader).githubWorkflow, workflowFacts, nil},
	{FormatSLSAGitHubWorkflow, []string{predicate.BuildTypeSLSAGitHubWorkflow}, (*reader).githubWorkflow,
		workflowFacts, []string{"inputs", "release", "vars"}},
	{FormatGitHubGenerator, []string{
		"https://github.com/slsa-framework/slsa-github-generator/go@v1",
		"https://github.com/slsa-framework/slsa-github-generator/generic@v1",
		"https://github.com/slsa-framework/slsa-github-generator/container@v1",
	}, (*reader).githubV02, []string{"source", "entryPoint"}, nil},
	{FormatGitHubDelegator, []string{"https://github.com/slsa-framework/slsa-github-generator/delegator-generic@v0"},
		(*reader).delegator, nil, []string{"inputs", "vars"}},
	{FormatContainerBased, []string{"https://slsa.dev/container-based-build/v0.1?draft"},
		(*reader).containerBased, []string{"source.uri", "source.digest.sha1", "source.digest.gitCommit"}, []string{"builderImage", "configPath", "buildConfig"}},
	{FormatNPMGitHub, []string{"https://github.com/npm/cli/gha/v2", "https://github.com/npm/cli/gha/v1"},
		(*reader).githubV02, []string{"source", "entryPoint"}, nil},
	{FormatNPMGitLab, []string{"https://github.com/npm/cli/gitlab/v0alpha1"},
		(*reader).gitlab, []string{"source"}, []string{"*"}},
	{FormatGitLab, []string{"https://gitlab.com/gitlab-org/gitlab-runner/-/blob/*", "https://docs.gitlab.com/ci/pipeline_security/slsa/provenance_v1"},
		(*reader).gitlab, []string{"source"}, []string{"*"}},
	{FormatCloudBuild, []string{"https://cloud.google.com/build/gcb-buildtypes/google-worker/v1"},
		(*reader).cloudBuild, []string{"buildConfigSource.repository", "buildConfigSource.ref", "buildConfigSource.path"}, []string{"substitutions"}},
	{FormatCloudBuildV01, []string{"https://cloudbuild.googleapis.com/CloudBuildYaml@*", "https://cloudbuild.googleapis.com/CloudBuildSteps@*",
		"https://cloudbuild.googleapis.com/GoogleHostedWorker@v0.2"}, (*reader).cloudBuildV01, nil, []string{"*"}},
	{FormatTekton, []string{"https://tekton.dev/chains/v2/*", "https://tekton.dev/predicate/chains/slsa/v2", "https://tekton.dev/attestations/chains*",
		"tekton.dev/v1/*", "tekton.dev/v1beta1/*"}, (*reader).tekton, []string{"entryPoint"}, []string{"*"}},
	{FormatBuildkite, []string{"https://buildkite.github.io/slsa-buildtypes/job/v1"},
		(*reader).buildkite, []string{"repository", "build.branch", "build.commit", "build.tag"}, []string{"pipeline", "step", "job"}},
	{FormatOther, nil, (*reader).other, []string{"source", "source.uri", "source.digest.sha1", "source.digest.gitCommit", "entryPoint"}, nil},
}

func formatNamed(f Format) *dialect {
	for i := range dialects {
		if dialects[i].format == f {
			return &dialects[i]
		}
	}
	return nil
}

// dialectOf finds the format of a buildType; anything unknown is FormatOther.
func dialectOf(buildType string) *dialect {
	for i := range dialects {
		for _, t := range dialects[i].buildTypes {
			prefix, open := strings.CutSuffix(t, "*")
			if buildType == t || open && strings.HasPrefix(buildType, prefix) {
				return &dialects[i]
			}
		}
	}
	return formatNamed(FormatOther)
}

// isFact reports whether an external parameter is wholly made of facts. What
// is no text, number or boolean was not read as one.
func (d *dialect) isFact(name string, v any) bool {
	m, ok := v.(map[string]any)
	if !ok {
		return scalar(v) && slices.Contains(d.facts, name)
	}
	for field, v := range m {
		if !empty(v) && !d.isFact(name+"."+field, v) {
			return false
		}
	}
	return true
}

// A reader states what provenance says about its build.
type reader struct {
	*claims
	p        *predicate.Provenance
	ext, int map[string]any
}

func (c *claims) provenance(p *predicate.Provenance, d *dialect) {
	r := &reader{claims: c, p: p, ext: p.BuildDefinition.ExternalParameters, int: p.BuildDefinition.InternalParameters}
	d.read(r)
}

func (r *reader) say(name, value, field string) {
	r.state(name, value, "the provenance's "+field, false)
}

// at returns what is at a path of names, as text: a string, or a number as
// JSON writes it (some builders write run ids as numbers).
func at(v any, path ...string) string {
	for _, name := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return ""
		}
		v = m[name]
	}
	return text(v)
}

func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case bool:
		return strconv.FormatBool(v)
	}
	return ""
}

func object(v any, path ...string) map[string]any {
	for _, name := range path {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	m, _ := v.(map[string]any)
	return m
}

// git states a repository with a ref or commit.
func (r *reader) git(uri, field string) {
	repo, ref := repository(uri)
	r.say(FactSource, repo, field)
	r.refOrCommit(ref, field)
}

func (r *reader) refOrCommit(ref, field string) {
	if isCommit(ref) {
		r.say(FactCommit, ref, field)
	} else {
		r.say(FactRef, ref, field)
	}
}

// dependencies states the commit of the source as the dependencies have it.
// The source must be known by then. It reports whether it is among them.
func (r *reader) dependencies() (found bool) {
	source := r.get(FactSource)
	for _, d := range r.p.BuildDefinition.ResolvedDependencies {
		repo, ref := repository(d.URI)
		if source == "" || repo != source {
			continue
		}
		found = true
		r.refOrCommit(ref, "resolvedDependencies")
		r.commit(d)
	}
	return found
}

// commit states the commit of a dependency; sha1 is how v0.2 names it.
func (r *reader) commit(d provenance.ResourceDescriptor) {
	r.say(FactCommit, d.Digest.Get("gitCommit").Value(), "resolvedDependencies")
	r.say(FactCommit, d.Digest.Get("sha1").Value(), "resolvedDependencies")
}

// githubWorkflow reads the two build types of GitHub Actions for provenance v1.
func (r *reader) githubWorkflow() {
	w, gh := r.ext["workflow"], r.int["github"]
	r.git(at(w, "repository"), "workflow.repository")
	r.say(FactRef, at(w, "ref"), "workflow.ref")
	r.say(FactWorkflow, at(w, "path"), "workflow.path")
	r.say(FactTrigger, at(gh, "event_name"), "github.event_name")
	r.say(FactRepositoryID, at(gh, "repository_id"), "github.repository_id")
	r.say(FactOwnerID, at(gh, "repository_owner_id"), "github.repository_owner_id")
	r.say(FactRunner, at(gh, "runner_environment"), "github.runner_environment")
	r.run()
	r.runnerID()
	r.dependencies()
	r.inputs = object(r.ext, "inputs")
}

// run states the run by the invocation id, which is a URI, or the run's
// number and attempt.
func (r *reader) run() {
	id := r.p.RunDetails.Metadata.InvocationID
	if run, attempt, ok := strings.Cut(id, "-"); ok && digits(run) && digits(attempt) {
		if source := r.get(FactSource); source != "" {
			r.say(FactRun, source+"/actions/runs/"+run+"/attempts/"+attempt, "invocation id")
		}
		return
	}
	r.say(FactRun, id, "invocation id")
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

// runnerID states the kind of runner that GitHub's generic builder ids have.
func (r *reader) runnerID() {
	if kind, ok := strings.CutPrefix(r.p.RunDetails.Builder.ID, runnerOldName+"/"); ok {
		r.say(FactRunner, kind, "builder.id")
	}
}

// githubContext reads the variables GITHUB_… that builders copy into the
// provenance; slsa-github-generator's v0.2 writes them in lower case.
func (r *reader) githubContext() {
	get := func(name string) string {
		if v := at(r.int, "GITHUB_"+name); v != "" {
			return v
		}
		return at(r.int, "github_"+strings.ToLower(name))
	}
	if repo := get("REPOSITORY"); repo != "" {
		r.say(FactSource, "https://github.com/"+repo, "GITHUB_REPOSITORY")
	}
	r.say(FactRef, get("REF"), "GITHUB_REF")
	r.say(FactCommit, get("SHA"), "GITHUB_SHA")
	r.say(FactCommit, get("SHA1"), "github_sha1")
	r.say(FactTrigger, get("EVENT_NAME"), "GITHUB_EVENT_NAME")
	r.say(FactRepositoryID, get("REPOSITORY_ID"), "GITHUB_REPOSITORY_ID")
	r.say(FactOwnerID, get("REPOSITORY_OWNER_ID"), "GITHUB_REPOSITORY_OWNER_ID")
	source := r.get(FactSource)
	if id, attempt := get("RUN_ID"), get("RUN_ATTEMPT"); id != "" && attempt != "" && source != "" {
		r.say(FactRun, source+"/actions/runs/"+id+"/attempts/"+attempt, "GITHUB_RUN_ID")
	}
	// owner/repository/path@ref
	if w := get("WORKFLOW_REF"); w != "" && source != "" {
		path, _, _ := strings.Cut(w, "@")
		if path, ok := strings.CutPrefix("https://github.com/"+path, source+"/"); ok {
			r.say(FactWorkflow, path, "GITHUB_WORKFLOW_REF")
		} else {
			r.say(FactWorkflow, w, "GITHUB_WORKFLOW_REF")
		}
	}
	event := object(r.int, "GITHUB_EVENT_PAYLOAD")
	if event == nil {
		event = object(r.int, "github_event_payload")
	}
	r.inputs = object(event, "inputs")
	r.branch = at(event, "base_ref")
	if r.branch == "" {
		if b := at(event, "release", "target_commitish"); b != "" && !isCommit(b) {
			r.branch = "refs/heads/" + strings.TrimPrefix(b, "refs/heads/")
		}
	}
}

// githubV02 reads provenance v0.2 of GitHub Actions: slsa-github-generator and npm.
func (r *reader) githubV02() {
	r.git(text(r.ext["source"]), "configSource.uri")
	path, _, _ := strings.Cut(text(r.ext["entryPoint"]), "@")
	r.say(FactWorkflow, path, "configSource.entryPoint")
	r.githubContext()
	r.run()
	r.runnerID()
	r.needSource()
}

// needSource wants the source among the dependencies: what was built, and not
// only what started the build.
func (r *reader) needSource() {
	if !r.dependencies() && r.err == nil {
		r.err = differs(ReasonContradicts, "the source is not among the provenance's dependencies", r.get(FactSource), "none")
	}
}

func (r *reader) delegator() {
	r.githubContext()
	r.run()
	// A delegated builder may make a commit and build that: then the
	// dependency has no ref and another commit than the event.
	source := r.get(FactSource)
	for _, d := range r.p.BuildDefinition.ResolvedDependencies {
		repo, ref := repository(d.URI)
		if source != "" && repo == source && ref == "" {
			r.built = d.Digest.Get("gitCommit").Value()
			return
		}
	}
	r.needSource()
}

func (r *reader) containerBased() {
	r.git(at(r.ext, "source", "uri"), "source.uri")
	r.sourceDigest()
	r.githubContext()
	r.run()
	r.needSource()
}

// sourceDigest states the commit of a source that is a descriptor.
func (r *reader) sourceDigest() {
	r.say(FactCommit, at(r.ext, "source", "digest", "sha1"), "source.digest")
	r.say(FactCommit, at(r.ext, "source", "digest", "gitCommit"), "source.digest")
}

func (r *reader) gitlab() {
	r.git(text(r.ext["source"]), "source")
	// A runner of a project belongs to that project.
	if repo, _, ok := strings.Cut(r.p.RunDetails.Builder.ID, "/-/runners/"); ok {
		r.say(FactSource, repo, "builder.id")
	}
	job := at(r.int, "job")
	if job == "" {
		job = at(r.int, "job", "id") // npm
	}
	if source := r.get(FactSource); job != "" && source != "" {
		r.say(FactRun, source+"/-/jobs/"+job, "job")
	}
	r.dependencies()
	r.inputs = object(r.ext, "variables")
}

func (r *reader) cloudBuild() {
	c := r.ext["buildConfigSource"]
	r.git(at(c, "repository"), "buildConfigSource.repository")
	r.say(FactRef, at(c, "ref"), "buildConfigSource.ref")
	r.say(FactWorkflow, at(c, "path"), "buildConfigSource.path")
	r.substitutions(r.int["systemSubstitutions"])
	r.dependencies()
	r.inputs = object(r.ext, "substitutions")
}

// substitutions reads the variables that Cloud Build sets itself.
func (r *reader) substitutions(v any) {
	r.say(FactCommit, at(v, "COMMIT_SHA"), "COMMIT_SHA")
	if tag := at(v, "TAG_NAME"); tag != "" {
		r.say(FactRef, "refs/tags/"+tag, "TAG_NAME")
	} else if branch := at(v, "BRANCH_NAME"); branch != "" {
		r.say(FactRef, "refs/heads/"+branch, "BRANCH_NAME")
	}
}

// cloudBuildV01 reads provenance v0.1, whose first material is the source:
// "https://github.com/octo/app/commit/<id>" or a repository with a digest.
func (r *reader) cloudBuildV01() {
	r.inputs = object(r.ext, "substitutions")
	r.substitutions(r.ext["substitutions"])
	deps := r.p.BuildDefinition.ResolvedDependencies
	if len(deps) == 0 {
		return
	}
	uri := deps[0].URI
	if repo, commit, ok := strings.Cut(uri, "/commit/"); ok && isCommit(commit) {
		uri = repo
		r.say(FactCommit, commit, "materials[0].uri")
	}
	r.git(uri, "materials[0].uri")
	r.commit(deps[0])
}

// tekton takes for the source the one git repository among the dependencies
// that is not what the pipeline and its tasks were fetched from.
func (r *reader) tekton() {
	// Of v0.2: what the configuration was read from, in the parameter source.
	r.say(FactWorkflow, text(r.ext["entryPoint"]), "configSource.entryPoint")
	config := text(r.ext["source"])
	var sources []*provenance.ResourceDescriptor
	for i := range r.p.BuildDefinition.ResolvedDependencies {
		d := &r.p.BuildDefinition.ResolvedDependencies[i]
		if strings.HasPrefix(d.URI, "git+") && !strings.HasPrefix(d.Name, "pipeline") && d.Name != "task" {
			sources = append(sources, d)
		}
	}
	if len(sources) > 1 && config != "" {
		// The configuration of v0.2 is a dependency without a name.
		sources = slices.DeleteFunc(sources, func(d *provenance.ResourceDescriptor) bool { return d.URI == config })
	}
	if len(sources) != 1 {
		return // of several the provenance does not say which is the source
	}
	r.git(sources[0].URI, "resolvedDependencies")
	r.commit(*sources[0])
}

func (r *reader) buildkite() {
	repo, _ := repository(text(r.ext["repository"]))
	r.say(FactSource, repo, "repository")
	r.say(FactCommit, at(r.ext, "build", "commit"), "build.commit")
	if branch := at(r.ext, "build", "branch"); branch != "" {
		r.branch = "refs/heads/" + branch
	}
	if tag := at(r.ext, "build", "tag"); tag != "" {
		r.say(FactRef, "refs/tags/"+tag, "build.tag")
		// The dependency has the branch.
		for _, d := range r.p.BuildDefinition.ResolvedDependencies {
			if have, _ := repository(d.URI); have == repo {
				r.commit(d)
			}
		}
	} else {
		r.say(FactRef, r.branch, "build.branch")
		r.dependencies()
	}
	r.say(FactRun, r.p.RunDetails.Metadata.InvocationID, "invocation id")
}

func (r *reader) other() {
	if s := text(r.ext["source"]); s != "" {
		r.git(s, "source")
	} else if s := at(r.ext, "source", "uri"); s != "" {
		r.git(s, "source.uri")
	}
	r.sourceDigest()
	r.say(FactWorkflow, text(r.ext["entryPoint"]), "entryPoint")
	r.dependencies()
}
