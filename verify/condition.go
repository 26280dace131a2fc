package verify

import (
	"errors"
	"regexp"
	"slices"
	"strings"
)

// A ConditionCompiler turns the conditions of a policy into something that can
// be decided. Package verify/cel is the one for CEL; a program whose policies
// have no conditions does not link it.
type ConditionCompiler interface {
	// Compile compiles one condition. names are the variables that it may
	// use. It must refuse anything that is not of type bool.
	Compile(source string, names []string) (Condition, error)
}

// A Condition decides over verified statements. It must depend on vars alone
// (no clock, no network), bound its own cost, and fail rather than guess: a
// missing field is an error, and an error is a refusal.
type Condition interface {
	Holds(vars map[string]any) (bool, error)
}

// ErrNoField is in the chain of the error of a [Condition] that failed because
// a field that it needs is not there.
var ErrNoField = errors.New("a field is missing")

// The variables of a condition, all made of nil, bool, int64, float64, string,
// []any and map[string]any.
//
// In the where list of a requirement, about one statement:
//
//	predicate      map   the predicate
//	predicateType  string
//	subject        list  {name, uri, digest: {algorithm: value}, …}
//	materials      list  the same, for what the statement lists as materials
//	signers        list  {name, key | issuer, subject, time, claims: {…}}
//	statement      string  its digest, "sha256:…"
//	params         map   the policy's parameters
//
// In the condition of a rule, about the whole chain:
//
//	stages         map   stage name to the list of its chosen statements, each a map of the above
//	artifacts      list  the artifacts that are judged, {name, digest}
//	params         map
var (
	whereVars = []string{"predicate", "predicateType", "subject", "materials", "signers", "statement", "params"}
	ruleVars  = []string{"stages", "artifacts", "params"}
)

var stageByName = regexp.MustCompile(`\bstages\.([A-Za-z0-9_]+)\b`)

// The macros of CEL that "stages." may stand before: a map has them too.
var stageMacros = []string{"all", "exists", "exists_one", "map", "filter", "transformList", "transformMap", "transformMapEntry", "size"}

// stagesIn returns the stages that the condition of a rule names, if it uses
// them in no other way, else all is true.
func stagesIn(condition string) (names []string, all bool) {
	for _, m := range stageByName.FindAllStringSubmatch(condition, -1) {
		names = append(names, m[1])
		all = all || slices.Contains(stageMacros, m[1])
	}
	return names, all || len(names) == 0 || strings.Contains(stageByName.ReplaceAllString(condition, ""), "stages")
}
