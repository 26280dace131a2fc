package record

import (
	"strings"
	"unicode/utf8"

	"github.com/hallmark-build/hallmark/internal/redact"
)

// A CIContext is what the environment says about the CI system that a step runs
// in. All of it is claimed: any process can set a variable. Compare it with
// what a certificate says (package verify) where it matters. What is not
// known is "".
type CIContext struct {
	Provider   string `json:"provider"`             // "github", "gitlab", "jenkins", "buildkite", "circleci", "tekton", "azure", "generic"
	Repository string `json:"repository,omitempty"` // URL, without credentials
	Ref        string `json:"ref,omitempty"`        // "refs/heads/main", "refs/tags/v1"; the bare branch where the system does not say which
	Commit     string `json:"commit,omitempty"`
	Workflow   string `json:"workflow,omitempty"` // pipeline, with its path and ref where the system says so
	Job        string `json:"job,omitempty"`
	RunID      string `json:"runId,omitempty"` // with the attempt, if there is one: "42/2"
	RunURL     string `json:"runUrl,omitempty"`
	Actor      string `json:"actor,omitempty"`
	Event      string `json:"event,omitempty"`
	Runner     string `json:"runner,omitempty"` // "hosted", "self-hosted" or a name
}

// CI returns what getenv, os.Getenv as a rule, says about a CI system, and
// whether it says anything. GitHub Actions, GitLab, Jenkins, Buildkite,
// CircleCI, Azure Pipelines and Tekton are tried in this order, then the
// variable CI that others set.
//
// Tekton sets no variables: a pipeline that wants to be recognised passes
// TEKTON_PIPELINE_RUN and, if it likes, TEKTON_PIPELINE, TEKTON_TASK,
// TEKTON_NAMESPACE, TEKTON_GIT_URL, TEKTON_GIT_REF, TEKTON_GIT_COMMIT and
// TEKTON_EVENT, from $(context.pipelineRun.name) and its parameters.
func CI(getenv func(string) string) (CIContext, bool) {
	get := func(name string) string {
		// No value of interest is long; what is says nothing.
		if v := getenv(name); len(v) <= maxCIValue && utf8.ValidString(v) {
			return v
		}
		return ""
	}
	var c CIContext
	switch {
	case get("GITHUB_ACTIONS") == "true":
		c = gitHub(get)
	case get("GITLAB_CI") == "true":
		c = gitLab(get)
	case get("JENKINS_URL") != "" && get("BUILD_NUMBER") != "":
		c = CIContext{
			Provider: "jenkins", Repository: get("GIT_URL"), Ref: get("GIT_BRANCH"), Commit: get("GIT_COMMIT"),
			Workflow: get("JOB_NAME"), Job: get("STAGE_NAME"), RunID: get("BUILD_NUMBER"), RunURL: get("BUILD_URL"),
			Actor: first(get("BUILD_USER_ID"), get("CHANGE_AUTHOR")), Runner: get("NODE_NAME"),
		}
		if get("CHANGE_ID") != "" {
			c.Event = "pull_request"
		}
	case get("BUILDKITE") == "true":
		c = CIContext{
			Provider: "buildkite", Repository: get("BUILDKITE_REPO"), Commit: get("BUILDKITE_COMMIT"),
			Ref:      ref(get("BUILDKITE_BRANCH"), get("BUILDKITE_TAG")),
			Workflow: get("BUILDKITE_PIPELINE_SLUG"), Job: first(get("BUILDKITE_STEP_KEY"), get("BUILDKITE_JOB_ID")),
			RunID: get("BUILDKITE_BUILD_ID"), RunURL: get("BUILDKITE_BUILD_URL"), Actor: get("BUILDKITE_BUILD_CREATOR"),
			Event: get("BUILDKITE_SOURCE"), Runner: get("BUILDKITE_COMPUTE_TYPE"),
		}
	case get("CIRCLECI") == "true":
		c = CIContext{
			Provider: "circleci", Repository: get("CIRCLE_REPOSITORY_URL"), Commit: get("CIRCLE_SHA1"),
			Ref:      ref(get("CIRCLE_BRANCH"), get("CIRCLE_TAG")),
			Workflow: get("CIRCLE_WORKFLOW_ID"), Job: get("CIRCLE_JOB"),
			RunID: get("CIRCLE_BUILD_NUM"), RunURL: get("CIRCLE_BUILD_URL"), Actor: get("CIRCLE_USERNAME"),
		}
	case strings.EqualFold(get("TF_BUILD"), "true"):
		c = azure(get)
	case get("TEKTON_PIPELINE_RUN") != "":
		c = CIContext{
			Provider: "tekton", Repository: get("TEKTON_GIT_URL"), Ref: get("TEKTON_GIT_REF"), Commit: get("TEKTON_GIT_COMMIT"),
			Workflow: join("/", get("TEKTON_NAMESPACE"), get("TEKTON_PIPELINE")), Job: get("TEKTON_TASK"),
			RunID: get("TEKTON_PIPELINE_RUN"), Event: get("TEKTON_EVENT"),
		}
	case get("CI") != "" && get("CI") != "false" && get("CI") != "0":
		c = CIContext{Provider: "generic"}
	default:
		return CIContext{}, false
	}
	var urls redact.Set
	c.Repository, c.RunURL = urls.URL(c.Repository), urls.URL(c.RunURL)
	return c, true
}

const maxCIValue = 1024

// gitHub reads docs.github.com/actions/reference/variables-reference.
func gitHub(get func(string) string) CIContext {
	c := CIContext{
		Provider: "github", Ref: get("GITHUB_REF"), Commit: get("GITHUB_SHA"),
		Workflow: get("GITHUB_WORKFLOW_REF"), Job: get("GITHUB_JOB"),
		RunID: join("/", get("GITHUB_RUN_ID"), get("GITHUB_RUN_ATTEMPT")),
		Actor: get("GITHUB_ACTOR"), Event: get("GITHUB_EVENT_NAME"),
		Runner: strings.TrimPrefix(get("RUNNER_ENVIRONMENT"), "github-"),
	}
	if server, repo := get("GITHUB_SERVER_URL"), get("GITHUB_REPOSITORY"); server != "" && repo != "" {
		c.Repository = server + "/" + repo
		if id := get("GITHUB_RUN_ID"); id != "" {
			c.RunURL = join("/attempts/", c.Repository+"/actions/runs/"+id, get("GITHUB_RUN_ATTEMPT"))
		}
	}
	return c
}

// gitLab reads docs.gitlab.com/ci/variables/predefined_variables.
func gitLab(get func(string) string) CIContext {
	branch := get("CI_COMMIT_BRANCH")
	if get("CI_COMMIT_TAG") == "" && branch == "" {
		branch = get("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME")
	}
	return CIContext{
		Provider: "gitlab", Repository: get("CI_PROJECT_URL"), Commit: get("CI_COMMIT_SHA"),
		Ref:      first(get("CI_MERGE_REQUEST_REF_PATH"), ref(branch, get("CI_COMMIT_TAG"))),
		Workflow: get("CI_CONFIG_PATH"), Job: get("CI_JOB_NAME"),
		RunID: get("CI_PIPELINE_ID"), RunURL: get("CI_PIPELINE_URL"), Actor: get("GITLAB_USER_LOGIN"),
		Event: get("CI_PIPELINE_SOURCE"), Runner: get("CI_RUNNER_DESCRIPTION"),
	}
}

// azure reads learn.microsoft.com/azure/devops/pipelines/build/variables.
func azure(get func(string) string) CIContext {
	c := CIContext{
		Provider: "azure", Repository: get("BUILD_REPOSITORY_URI"), Ref: get("BUILD_SOURCEBRANCH"), Commit: get("BUILD_SOURCEVERSION"),
		Workflow: get("BUILD_DEFINITIONNAME"), Job: first(get("SYSTEM_JOBNAME"), get("AGENT_JOBNAME")), RunID: get("BUILD_BUILDID"),
		Actor: get("BUILD_REQUESTEDFOR"), Event: get("BUILD_REASON"), Runner: get("AGENT_NAME"),
	}
	switch get("AGENT_ISSELFHOSTED") {
	case "0":
		c.Runner = "hosted"
	case "1":
		c.Runner = "self-hosted"
	}
	base, project := get("SYSTEM_COLLECTIONURI"), get("SYSTEM_TEAMPROJECT")
	if base != "" && project != "" && c.RunID != "" {
		c.RunURL = strings.TrimSuffix(base, "/") + "/" + strings.ReplaceAll(project, " ", "%20") + "/_build/results?buildId=" + c.RunID
	}
	return c
}

func first(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// join joins those that are not empty.
func join(sep, a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + sep + b
}

// ref makes a full ref of a branch or a tag. A build of a tag often has both.
func ref(branch, tag string) string {
	switch {
	case tag != "":
		return "refs/tags/" + tag
	case branch != "":
		return "refs/heads/" + branch
	}
	return ""
}
