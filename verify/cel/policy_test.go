package cel_test

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/hallmark-build/hallmark/verify"
	"github.com/hallmark-build/hallmark/verify/cel"
)

// The policy that has every field compiles, and conditions are refused where
// they stand.
func TestPolicy(t *testing.T) {
	p, err := verify.ReadPolicy("../../testdata/policy/whole.yaml")
	if err != nil {
		t.Fatal(err)
	}
	options := verify.Options{Conditions: cel.Compiler{}, Parameters: map[string]string{"COMMIT": strings.Repeat("0", 40)}}
	if _, err := verify.New(p, options); err != nil {
		t.Fatal(err)
	}
	p.Stages["build"].Requires[0].Where[1] = "predicate.ok"
	_, err = verify.New(p, options)
	var pe *verify.PolicyError
	if !errors.As(err, &pe) || pe.Reason != verify.PolicyCondition || pe.Path != "stages.build.requires[0].where[1]" || pe.Position.Line == 0 {
		t.Errorf("got %v", err)
	}
}

// Conditions are compiled one by one: a broken one disables no other.
func TestEdge68_EveryConditionIsCompiled(t *testing.T) {
	for _, broken := range []string{"predicate.x ==", "prdicate.x == 1", "predicate.x", "1 + 1", ""} {
		p, err := verify.ReadPolicy("../../testdata/policy/whole.yaml")
		if err != nil {
			t.Fatal(err)
		}
		p.Rules = append(p.Rules, verify.Rule{Name: "broken", Condition: broken})
		_, err = verify.New(p, verify.Options{Conditions: cel.Compiler{}, Parameters: map[string]string{"COMMIT": strings.Repeat("0", 40)}})
		var pe *verify.PolicyError
		if !errors.As(err, &pe) {
			t.Errorf("%q: got %v", broken, err)
		}
	}
}

// The policy of the manual is one that New accepts.
func TestManual(t *testing.T) {
	manual, err := os.ReadFile("../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(manual), "```yaml\n")
	doc, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("no policy in docs/policy.md")
	}
	p, err := verify.ParsePolicy("docs/policy.md", []byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verify.New(p, verify.Options{Conditions: cel.Compiler{}, Parameters: map[string]string{"COMMIT": strings.Repeat("0", 40)}}); err != nil {
		t.Error(err)
	}
}
