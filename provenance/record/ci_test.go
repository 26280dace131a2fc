package record

import (
	"strings"
	"testing"
)

func TestCI(t *testing.T) {
	for name, c := range map[string]struct {
		env  string
		want CIContext
	}{
		"github": {`GITHUB_ACTIONS=true CI=true GITHUB_SERVER_URL=https://github.com GITHUB_REPOSITORY=o/r GITHUB_REF=refs/heads/main GITHUB_SHA=abc
			GITHUB_WORKFLOW_REF=o/r/.github/workflows/w.yml@refs/heads/main GITHUB_JOB=build GITHUB_RUN_ID=42 GITHUB_RUN_ATTEMPT=2
			GITHUB_ACTOR=alice GITHUB_EVENT_NAME=push RUNNER_ENVIRONMENT=github-hosted`,
			CIContext{"github", "https://github.com/o/r", "refs/heads/main", "abc", "o/r/.github/workflows/w.yml@refs/heads/main", "build", "42/2",
				"https://github.com/o/r/actions/runs/42/attempts/2", "alice", "push", "hosted"}},
		"gitlab": {`GITLAB_CI=true CI_PROJECT_URL=https://gitlab.com/g/p CI_COMMIT_SHA=abc CI_COMMIT_TAG=v1 CI_CONFIG_PATH=.gitlab-ci.yml CI_JOB_NAME=b
			CI_PIPELINE_ID=7 CI_PIPELINE_URL=https://gitlab-ci-token:tok@gitlab.com/g/p/-/pipelines/7 GITLAB_USER_LOGIN=bob CI_PIPELINE_SOURCE=push CI_RUNNER_DESCRIPTION=r1`,
			CIContext{"gitlab", "https://gitlab.com/g/p", "refs/tags/v1", "abc", ".gitlab-ci.yml", "b", "7", "https://gitlab.com/g/p/-/pipelines/7", "bob", "push", "r1"}},
		"jenkins": {`JENKINS_URL=https://j/ BUILD_NUMBER=3 GIT_URL=git@h:o/r.git GIT_BRANCH=origin/main GIT_COMMIT=abc JOB_NAME=j STAGE_NAME=s
			BUILD_URL=https://j/job/j/3/ BUILD_USER_ID=carol NODE_NAME=n CHANGE_ID=5`,
			CIContext{"jenkins", "git@h:o/r.git", "origin/main", "abc", "j", "s", "3", "https://j/job/j/3/", "carol", "pull_request", "n"}},
		"buildkite": {`BUILDKITE=true BUILDKITE_REPO=https://u:p@h/r BUILDKITE_COMMIT=abc BUILDKITE_BRANCH=main BUILDKITE_PIPELINE_SLUG=p BUILDKITE_STEP_KEY=k
			BUILDKITE_BUILD_ID=9 BUILDKITE_BUILD_URL=https://buildkite.com/o/p/builds/9 BUILDKITE_BUILD_CREATOR=dan BUILDKITE_SOURCE=webhook BUILDKITE_COMPUTE_TYPE=self-hosted`,
			CIContext{"buildkite", "https://h/r", "refs/heads/main", "abc", "p", "k", "9", "https://buildkite.com/o/p/builds/9", "dan", "webhook", "self-hosted"}},
		"circleci": {`CIRCLECI=true CIRCLE_REPOSITORY_URL=https://h/r CIRCLE_SHA1=abc CIRCLE_BRANCH=main CIRCLE_WORKFLOW_ID=w CIRCLE_JOB=j CIRCLE_BUILD_NUM=1
			CIRCLE_BUILD_URL=https://c/1 CIRCLE_USERNAME=eve`,
			CIContext{"circleci", "https://h/r", "refs/heads/main", "abc", "w", "j", "1", "https://c/1", "eve", "", ""}},
		"azure": {`TF_BUILD=True BUILD_REPOSITORY_URI=https://o@dev.azure.com/o/p/_git/r BUILD_SOURCEBRANCH=refs/heads/main BUILD_SOURCEVERSION=abc BUILD_DEFINITIONNAME=d
			SYSTEM_JOBNAME=j BUILD_BUILDID=8 BUILD_REQUESTEDFOR=f BUILD_REASON=Manual AGENT_NAME=a AGENT_ISSELFHOSTED=1 SYSTEM_COLLECTIONURI=https://dev.azure.com/o/ SYSTEM_TEAMPROJECT=p`,
			CIContext{"azure", "https://dev.azure.com/o/p/_git/r", "refs/heads/main", "abc", "d", "j", "8", "https://dev.azure.com/o/p/_build/results?buildId=8", "f", "Manual", "self-hosted"}},
		"tekton": {`TEKTON_PIPELINE_RUN=pr-1 TEKTON_PIPELINE=p TEKTON_NAMESPACE=ns TEKTON_TASK=t TEKTON_GIT_URL=https://h/r TEKTON_GIT_REF=main TEKTON_GIT_COMMIT=abc`,
			CIContext{"tekton", "https://h/r", "main", "abc", "ns/p", "t", "pr-1", "", "", "", ""}},
		"generic":   {"CI=1", CIContext{Provider: "generic"}},
		"none":      {"", CIContext{}},
		"CI=false":  {"CI=false", CIContext{}},
		"oversized": {"CI=" + strings.Repeat("1", 5000), CIContext{}},
	} {
		env := make(map[string]string)
		for _, kv := range strings.Fields(c.env) {
			k, v, _ := strings.Cut(kv, "=")
			env[k] = v
		}
		got, ok := CI(func(name string) string { return env[name] })
		if got != c.want || ok != (c.want != CIContext{}) {
			t.Errorf("%s:\n%+v, %v, want\n%+v", name, got, ok, c.want)
		}
	}
}
