// Package cel compiles the conditions of a policy that are written in CEL, the
// Common Expression Language (https://cel.dev). It is apart from package
// verify so that who has no conditions does not pay for it:
//
//	verifier, err := verify.New(policy, verify.Options{Conditions: cel.Compiler{}})
//
// # The language
//
// A condition is one expression of type bool over the variables that package
// verify gives it: predicate, subject, stages, params and so on. What a
// predicate holds has no type before it is there, so the expression itself
// must make a bool of it:
//
//	predicate.result == "PASSED"
//	has(predicate.scanner.db) && predicate.scanner.db.version >= 7
//	subject.exists(s, s.name == "app.tar.gz")
//	stages.scan.all(s, s.predicate.criticals == 0)
//
// An expression such as predicate.ok is refused when it is compiled; write
// predicate.ok == true.
//
// There are the operators, macros and functions of the CEL specification, and
// of the strings extension charAt, indexOf, lastIndexOf, lowerAscii,
// upperAscii, replace, split, substring, trim and join. Numbers compare across
// int and double. There is no clock, no network, no time zone database, and
// nothing that depends on the machine.
//
// The second argument of matches must be a literal, and must be anchored at
// both ends ("^…$"): CEL itself searches for a match anywhere, by which
// "example.com" matches "example.com.evil.org".
//
// # Errors are refusals
//
// A field that is missing, a value of the wrong type for an operation, an
// index out of range or a cost beyond the limit make the evaluation fail, and
// who judges by the condition refuses. By the semantics of CEL, && and || (and
// exists and all) do without a side that fails if the other side alone decides
// the result: true || x is true, and so is x || true, whatever x is. So
//
//	predicate.result == "PASSED" || predicate.waived == true
//
// holds for a predicate that has no result and is waived. A condition is thus
// never true because something failed: it is true when it would be true
// whatever the part that failed had given. !=, on the other hand, is true of
// values of different types: say what a field must be, not what it must not be.
package cel

import (
	"errors"
	"fmt"
	"reflect"
	"regexp/syntax"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/verify"
)

// A Compiler compiles conditions. The zero Compiler is ready to use; all may be
// used by several goroutines, and so may the conditions that they make.
type Compiler struct {
	// CostLimit bounds what one evaluation may cost, in CEL's unit: about one
	// for each operation and each ten characters of a string that is looked
	// at. 0 means 1,000,000: about a tenth of a second of plain operations, and
	// a second of the dearest.
	CostLimit uint64
}

var _ verify.ConditionCompiler = Compiler{}

var (
	object  = cel.MapType(cel.StringType, cel.DynType)
	objects = cel.ListType(object)
)

// The types of the variables that package verify documents. Any other is dyn.
var variables = map[string]*cel.Type{
	"predicate":     object,
	"predicateType": cel.StringType,
	"subject":       objects,
	"materials":     objects,
	"signers":       objects,
	"statement":     cel.StringType,
	"params":        cel.MapType(cel.StringType, cel.StringType),
	"stages":        cel.MapType(cel.StringType, objects),
	"artifacts":     objects,
}

// standard is what all conditions share. It never changes.
var standard = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewEnv(append(stringFunctions(),
		cel.CrossTypeNumericComparisons(true),
		cel.DefaultUTCTimeZone(true),
		cel.ParserExpressionSizeLimit(limits.ConditionSource),
		cel.ExpressionNodeLimit(limits.ConditionNodes),
		cel.RegexProgramSizeLimit(10_000),
	)...)
})

// Compile implements [verify.ConditionCompiler].
func (c Compiler) Compile(source string, names []string) (verify.Condition, error) {
	if len(source) > limits.ConditionSource {
		return nil, fmt.Errorf("a condition of %d bytes exceeds the limit of %d", len(source), limits.ConditionSource)
	}
	if strings.TrimSpace(source) == "" {
		return nil, errors.New("the condition is empty")
	}
	env, err := standard()
	if err != nil {
		return nil, err
	}
	options := make([]cel.EnvOption, len(names))
	for i, name := range names {
		t := variables[name]
		if t == nil {
			t = cel.DynType
		}
		options[i] = cel.Variable(name, t)
	}
	if env, err = env.Extend(options...); err != nil {
		return nil, err
	}
	checked, issues := env.Compile(source)
	if list := issues.Errors(); len(list) > 0 {
		e := list[0]
		return nil, fmt.Errorf("%d:%d: %s", e.Location.Line(), e.Location.Column()+1, e.Message)
	}
	switch t := checked.OutputType(); {
	case t.IsExactType(cel.DynType):
		return nil, errors.New(`the type of the result is not known before there is evidence; compare it, as in "predicate.ok == true"`)
	case !t.IsExactType(cel.BoolType):
		return nil, fmt.Errorf("want a result of type bool, found %s", t)
	}
	if err := checkCalls(checked.NativeRep()); err != nil {
		return nil, err
	}
	if c.CostLimit == 0 {
		c.CostLimit = limits.ConditionCost
	}
	program, err := env.Program(checked,
		cel.EvalOptions(cel.OptOptimize), // compiles regular expressions once
		cel.CostLimit(c.CostLimit),
		cel.CostTracking(prices{c.CostLimit}),
	)
	if err != nil {
		return nil, err
	}
	return condition{program}, nil
}

type condition struct{ program cel.Program }

// Holds implements [verify.Condition].
func (c condition) Holds(vars map[string]any) (bool, error) {
	out, _, err := c.program.Eval(vars)
	if err != nil {
		// cel-go has no type for this.
		if m := err.Error(); strings.HasPrefix(m, "no such key: ") || strings.HasPrefix(m, "no such attribute") {
			return false, noField{err}
		}
		return false, err
	}
	// A dyn operand of && or || can get here with another type.
	if b, ok := out.(types.Bool); ok {
		return bool(b), nil
	}
	return false, fmt.Errorf("the result is %v, not a bool", reflect.TypeOf(out))
}

// noField is an error about a field that is not there.
type noField struct{ error }

func (e noField) Unwrap() error        { return e.error }
func (e noField) Is(target error) bool { return target == verify.ErrNoField }

// checkCalls refuses calls that type checking lets pass and that depend on the
// machine or mean something else than they seem to.
func checkCalls(a *ast.AST) (err error) {
	fail := func(e ast.Expr, format string, args ...any) {
		if err == nil {
			at := a.SourceInfo().GetStartLocation(e.ID())
			err = fmt.Errorf("%d:%d: %s", at.Line(), at.Column()+1, fmt.Sprintf(format, args...))
		}
	}
	ast.PreOrderVisit(a.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.CallKind {
			return
		}
		call := e.AsCall()
		switch name := call.FunctionName(); name {
		case "getFullYear", "getMonth", "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear",
			"getHours", "getMinutes", "getSeconds", "getMilliseconds":
			if call.IsMemberFunction() && len(call.Args()) > 0 {
				fail(e, "%s takes no time zone here: what a zone means depends on the machine", name)
			}
		case "matches":
			args := call.Args()
			if len(args) == 0 {
				return
			}
			pattern, ok := literal(args[len(args)-1])
			if !ok {
				fail(e, "the pattern of matches must be a literal")
			} else if problem := anchored(pattern); problem != "" {
				fail(e, "the pattern of matches %s", problem)
			}
		}
	}))
	return err
}

func literal(e ast.Expr) (string, bool) {
	if e.Kind() != ast.LiteralKind {
		return "", false
	}
	s, ok := e.AsLiteral().(types.String)
	return string(s), ok
}

// anchored says what is wrong with a pattern that does not cover the whole text.
func anchored(pattern string) string {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return "is not a regular expression: " + err.Error()
	}
	for re.Op == syntax.OpCapture {
		re = re.Sub[0]
	}
	if n := len(re.Sub); re.Op == syntax.OpConcat && n >= 2 &&
		re.Sub[0].Op == syntax.OpBeginText && re.Sub[n-1].Op == syntax.OpEndText {
		return ""
	}
	return `must cover the whole text, "^…$" (with "(a|b)" around alternatives); use contains to look for a part`
}
