package record

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/predicate"
)

var jsonBlock = regexp.MustCompile("(?s)```json\n(.*?)```")

// The published descriptions name every field that is written, and their
// examples are what they say they are.
func TestDocumentation(t *testing.T) {
	step := childStep(t, "edit")
	step.Parameters = map[string]string{"version": "1"}
	step.Git = &GitState{Commit: provenance.MustDigest("gitCommit:" + strings.Repeat("a", 40)), Tree: provenance.MustDigest("gitTree:" + strings.Repeat("a", 40)),
		CommitTime: testTime, Branch: "b", Tags: []string{"t"}, Shallow: true, Dirty: []string{"d"}, DirtyCount: 1, Remotes: []GitRemote{{"n", "u"}}, Signature: "ssh"}
	step.Go = &GoState{Version: "go1", Settings: map[string]string{"GOOS": "linux"}, Workspace: true, Unknown: []string{"m"}}
	step.CI = &CIContext{"github", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j"}
	st, err := mustRun(t, step).Provenance("https://b/", "1")
	if err != nil {
		t.Fatal(err)
	}
	documented(t, "step-v1.md", st, []string{"buildDefinition", "runDetails", "builder", "id", "metadata", "invocationId", "version", "GOOS",
		"externalParameters", "internalParameters", "resolvedDependencies", "annotations"})
	_, example := document(t, "step-v1.md")
	p, err := predicate.ParseSLSAProvenance(example)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Statement([]provenance.ResourceDescriptor{{Name: "x", Digest: sum("x")}}); err != nil || p.BuildDefinition.BuildType != BuildType {
		t.Errorf("%s: %v", p.BuildDefinition.BuildType, err)
	}

	step = childStep(t, "kill")
	_, err = Run(t.Context(), step)
	f, ok := errors.AsType[*Failure](err)
	if !ok {
		t.Fatal(err)
	}
	if st, err = f.Statement("https://b/", "1"); err != nil {
		t.Fatal(err)
	}
	documented(t, "failed-step-v1.md", st, []string{"result", "argv", "workingDirectory", "environment", "observed", "program", "name", "digest", "sha256",
		"annotations", "path", "exitCode", "passedEnvironment", "size"})
	text, example := document(t, "failed-step-v1.md")
	if _, err := provenance.NewStatement([]provenance.ResourceDescriptor{{Name: "x", Digest: sum("x")}}, TypeFailedStep, json.RawMessage(example)); err != nil {
		t.Error(err)
	}
	for _, reason := range []string{ReasonStart, ReasonExit, ReasonSignal, ReasonCancelled, ReasonLingered, ReasonMissing, ReasonProduct} {
		if !strings.Contains(text, "`"+reason+"`") {
			t.Errorf("failed-step-v1.md does not have the reason %s", reason)
		}
	}
}

func document(t *testing.T, name string) (text string, example []byte) {
	t.Helper()
	b, err := os.ReadFile("../../docs/buildtypes/" + name)
	if err != nil {
		t.Fatal(err)
	}
	m := jsonBlock.FindSubmatch(b)
	if m == nil {
		t.Fatalf("%s has no example", name)
	}
	return string(b), m[1]
}

// documented checks that each name in the predicate is in the text, but for known.
func documented(t *testing.T, name string, st *provenance.Statement, known []string) {
	t.Helper()
	text, _ := document(t, name)
	prose := jsonBlock.ReplaceAllString(text, "")
	names := make(map[string]bool)
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, e := range v {
				names[k] = true
				walk(e)
			}
		case []any:
			for _, e := range v {
				walk(e)
			}
		}
	}
	var v any
	if err := json.Unmarshal(st.Predicate(), &v); err != nil {
		t.Fatal(err)
	}
	walk(v)
	for _, n := range slices.Sorted(maps.Keys(names)) {
		if slices.Contains(known, n) {
			continue
		}
		if !regexp.MustCompile("`([a-zA-Z]+\\.)*" + regexp.QuoteMeta(n) + "`").MatchString(prose) {
			t.Errorf("%s says nothing about %s", name, n)
		}
	}
}
