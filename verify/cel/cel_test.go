package cel

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/hallmark-build/hallmark/internal/limits"
)

var whereNames = []string{"predicate", "predicateType", "subject", "materials", "signers", "statement", "params"}
var ruleNames = []string{"stages", "artifacts", "params"}

func whereVars() map[string]any {
	return map[string]any{
		"predicate": map[string]any{
			"result":  "PASSED",
			"ok":      true,
			"no":      false,
			"nothing": nil,
			"count":   int64(3),
			"whole":   float64(3),
			"score":   float64(7.5),
			"list":    []any{int64(1), "two", map[string]any{"n": int64(3)}},
			"empty":   map[string]any{},
			"nested":  map[string]any{"a.b": "dot", "ref": "refs/tags/v1.2.3"},
			"long":    strings.Repeat("x", limits.ConditionString+1),
		},
		"predicateType": "https://example.com/p/v1",
		"subject":       []any{map[string]any{"name": "app", "digest": map[string]any{"sha256": "aa"}}},
		"materials":     []any{},
		"signers":       []any{map[string]any{"name": "ci"}},
		"statement":     "sha256:00",
		"params":        map[string]any{"TAG": "v1.2.3", "EVIL": `" || true || "`},
	}
}

func TestHolds(t *testing.T) {
	for _, c := range []struct {
		source, want string // "true", "false", or part of the error of evaluation
	}{
		{`predicate.result == "PASSED"`, "true"},
		{`predicate.result == "FAILED"`, "false"},
		{`predicate["result"] == "PASSED"`, "true"},
		{`predicateType == "https://example.com/p/v1"`, "true"},
		{`subject.exists(s, s.name == "app" && s.digest.sha256 == "aa")`, "true"},
		{`subject[0].digest["sha256"] == "aa"`, "true"},
		{`signers.map(s, s.name) == ["ci"]`, "true"},
		{`statement.startsWith("sha256:")`, "true"},

		// Numbers: what JSON wrote as 3, 3.0 or 7.5 compares as a number.
		{`predicate.count == 3 && predicate.whole == 3 && predicate.count == 3.0`, "true"},
		{`predicate.count >= 3 && predicate.score > 7 && predicate.score < 8u`, "true"},
		{`predicate.list.size() > 2.5`, "true"},
		{`predicate.count + 1 == 4`, "true"},
		{`predicate.count + predicate.whole == 6`, "no such overload"},
		{`predicate.count == "3"`, "false"},
		{`predicate.result > 3`, "no such overload"},
		{`9223372036854775807 + predicate.count > 0`, "overflow"},
		{`predicate.count / 0 == 1`, "division by zero"},

		// What is not there.
		{`predicate.missing == "x"`, "no such key: missing"},
		{`predicate.missing != "x"`, "no such key: missing"},
		{`predicate.missing.deeper == 1`, "no such key: missing"},
		{`has(predicate.missing)`, "false"},
		{`has(predicate.result)`, "true"},
		{`has(predicate.missing.deeper)`, "no such key: missing"},
		{`!has(predicate.missing)`, "true"},
		{`predicate.nothing == null`, "true"},
		{`predicate.nothing.deeper == 1`, "no such"},
		{`"result" in predicate`, "true"},
		{`predicate.list[3] == 1`, "index out of bounds"},
		{`predicate.empty.all(k, false)`, "true"}, // there is none that is false
		{`predicate.empty.size() > 0 && predicate.empty.all(k, false)`, "false"},
		{`predicate.nested["a.b"] == "dot"`, "true"},
		{`materials[0].name == "x"`, "index out of bounds"},

		// What is not a bool.
		{`predicate.ok == true`, "true"},
		{`predicate.ok && true`, "true"},
		{`predicate.result && true`, "no such overload"},
		{`!predicate.result`, "no such overload"},
		{`predicate.result == true`, "false"},
		{`predicate.count == true`, "false"},
		{`predicate.ok ? true : false`, "true"},
		{`predicate.result ? true : false`, "no such overload"},
		{`[true, predicate.result].all(x, x)`, "no such overload"},

		// Errors and the logic of CEL: the result is what it would be whatever
		// the failing side gave.
		{`predicate.missing == 1 || predicate.ok == true`, "true"},
		{`predicate.ok == true || predicate.missing == 1`, "true"},
		{`predicate.missing == 1 || predicate.no == true`, "no such key: missing"},
		{`predicate.missing == 1 && predicate.ok == true`, "no such key: missing"},
		{`predicate.missing == 1 && predicate.no == true`, "false"},
		{`!(predicate.missing == 1)`, "no such key: missing"},
		{`!(predicate.missing == 1 && false)`, "true"},
		{`predicate.missing == 1 ? true : true`, "no such key: missing"},
		{`[1, 2].exists(x, x == 2 || predicate.missing == x)`, "true"},
		{`[1, 2].exists(x, predicate.missing == x)`, "no such key: missing"},
		{`[1, 2].all(x, predicate.missing == x)`, "no such key: missing"},

		// Parameters are values.
		{`predicate.nested.ref == "refs/tags/" + params.TAG`, "true"},
		{`predicate.result == params.EVIL`, "false"},
		{`predicate.result == params.UNKNOWN`, "no such key: UNKNOWN"},

		// Strings.
		{`predicate.nested.ref.matches("^refs/tags/v[0-9.]+$")`, "true"},
		{`predicate.nested.ref.matches("^(refs/heads/main|refs/tags/.*)$")`, "true"},
		{`predicate.nested.ref.contains("tags")`, "true"},
		{`"aXé".lowerAscii() == "axé" && "aXé".upperAscii() == "AXé"`, "true"},
		{`"héllo".charAt(1) == "é" && "ab".charAt(2) == ""`, "true"},
		{`"ab".charAt(3) == ""`, "index out of range"},
		{`"héllo".indexOf("l") == 2 && "héllo".lastIndexOf("l") == 3 && "x".indexOf("y") == -1`, "true"},
		{`"a/b/c".split("/") == ["a", "b", "c"]`, "true"},
		{`"a/b".split("/")[2] == "c"`, "index out of bounds"},
		{`["a", "b"].join("/") + ["c"].join() == "a/bc"`, "true"},
		{`[predicate.count].join() == ""`, "no such overload"},
		{`" x ".trim() == "x" && "aba".replace("a", "cc") == "ccbcc"`, "true"},
		{`"héllo".substring(1) == "éllo" && "héllo".substring(1, 2) == "é"`, "true"},
		{`"abc".substring(2, 1) == ""`, "index out of range"},
		{`"abc".substring(-1) == ""`, "index out of range"},
		{`predicate.long.split("x").size() > 0`, "exceeds the limit"},
		{`predicate.result.substring(0, 4).split("").map(x, predicate.long).join() == ""`, "too long"},
		{`"aaaa".replace("a", predicate.long) == ""`, "exceeds the limit"},
		{`timestamp("2026-01-01T10:00:00+02:00").getHours() == 8`, "true"},
		{`timestamp("2026-01-01T10:00:00Z") - timestamp("2026-01-01T09:00:00Z") < duration("2h")`, "true"},
		{`timestamp(predicate.result) < timestamp("2026-01-01T09:00:00Z")`, "timestamp"},
	} {
		t.Run(c.source, func(t *testing.T) {
			cond, err := Compiler{CostLimit: 10_000_000}.Compile(c.source, whereNames)
			if err != nil {
				t.Fatal(err)
			}
			ok, err := cond.Holds(whereVars())
			switch {
			case err != nil && (ok || c.want == "true" || c.want == "false" || !strings.Contains(err.Error(), c.want)):
				t.Errorf("got %v, %v; want %s", ok, err, c.want)
			case err == nil && fmt.Sprint(ok) != c.want:
				t.Errorf("got %v; want %s", ok, c.want)
			}
		})
	}
}

func TestHoldsOverTheChain(t *testing.T) {
	vars := map[string]any{
		"stages": map[string]any{
			"build": []any{map[string]any{"predicate": map[string]any{"n": int64(1)}, "subject": []any{map[string]any{"digest": map[string]any{"sha256": "aa"}}}}},
			"scan":  []any{map[string]any{"predicate": map[string]any{"critical": int64(0)}, "subject": []any{map[string]any{"digest": map[string]any{"sha256": "aa"}}}}},
		},
		"artifacts": []any{map[string]any{"name": "app", "digest": map[string]any{"sha256": "aa"}}},
		"params":    map[string]any{},
	}
	for source, want := range map[string]bool{
		`stages.scan.all(s, s.predicate.critical == 0) && stages.scan.size() > 0`:                  true,
		`stages.scan[0].subject[0].digest.sha256 == artifacts[0].digest.sha256`:                    true,
		`stages.build.exists(b, b.subject.exists(s, stages.scan.exists(x, s in x.subject)))`:       true,
		`stages.build[0].predicate.n == 2`:                                                         false,
		`stages["build"].map(b, b.predicate.n).exists(n, n == 1) && !has(stages.package)`:          true,
		`artifacts.all(a, stages.scan.exists(s, s.subject.exists(x, x.digest == a.digest)))`:       true,
		`artifacts.all(a, stages.scan.exists(s, s.subject.exists(x, x.digest.sha512 == a.name)))`:  false,
		`has(stages.package) ? stages.package.all(p, p.predicate.ok == true) : stages.size() == 2`: true,
	} {
		cond, err := Compiler{}.Compile(source, ruleNames)
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		if ok, err := cond.Holds(vars); ok != want {
			t.Errorf("%s: got %v, %v; want %v", source, ok, err, want)
		}
	}
}

func TestCompileRefuses(t *testing.T) {
	for _, c := range []struct{ source, want string }{
		{"", "the condition is empty"},
		{" \n", "the condition is empty"},
		{"predicate.ok", `compare it, as in "predicate.ok == true"`},
		{"predicate.list[0]", "compare it"},
		{"predicate.ok ? predicate.a : predicate.b", "compare it"},
		{"dyn(true)", "compare it"},
		{`"true"`, "want a result of type bool, found string"},
		{"1", "found int"},
		{"null", "found null"},
		{"bool", "found type(bool)"},
		{"[true]", "found list(bool)"},
		{"predicate", "found map(string, dyn)"},
		{"predicate.result = 1", "1:18: Syntax error"},
		{"predicate.result ==", "Syntax error"},
		{"predicate.a == 1; true", "Syntax error"},
		{"true\n&& prdicate.a == 1", "2:4: undeclared reference to 'prdicate'"},
		{`stages.build.size() == 1`, "undeclared reference to 'stages'"},
		{"predicate.a.size() == 'x'", "found no matching overload"},
		{"params.X == 1", "found no matching overload"},
		{"now() > timestamp('2026-01-01T00:00:00Z')", "undeclared reference to 'now'"},
		{"env('HOME') == ''", "undeclared reference to 'env'"},
		{"http.get('x') == ''", "undeclared reference"},
		{`"%s".format([predicate.a]) == ""`, "undeclared reference to 'format'"},
		{`predicate.a.matches("^x$") && predicate.a.matches("example.com")`, "1:50: the pattern of matches must cover the whole text"},
		{`matches(predicate.a, "^x")`, "must cover the whole text"},
		{`predicate.a.matches("^x|y$")`, "must cover the whole text"},
		{`predicate.a.matches("(?m)^x$")`, "must cover the whole text"},
		{`predicate.a.matches("")`, "must cover the whole text"},
		{`predicate.a.matches(predicate.b)`, "must be a literal"},
		{`predicate.a.matches("^" + params.X + "$")`, "must be a literal"},
		{`predicate.a.matches("^[$")`, "1:20: the pattern of matches is not a regular expression"},
		{`predicate.a.matches("^(((((a{10}){10}){10}){10}){10})$")`, "the pattern of matches is not"},
		{`timestamp(predicate.a).getHours("Europe/Berlin") == 1`, "takes no time zone"},
		{strings.Repeat("(", 10_000) + "true" + strings.Repeat(")", 10_000), ""},
		{strings.Repeat("[", 300) + strings.Repeat("]", 300) + ".size() == 1", ""},
		{"true" + strings.Repeat(" && true", 30_000), "bytes exceeds the limit"},
		{strings.Repeat("[1].all(x, ", 300) + "true" + strings.Repeat(")", 300), ""},
	} {
		t.Run(c.source[:min(len(c.source), 60)], func(t *testing.T) {
			cond, err := Compiler{}.Compile(c.source, whereNames)
			if err == nil || cond != nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, %v; want %s", cond, err, c.want)
			}
		})
	}
}

func TestEdge68_CostLimit(t *testing.T) {
	vars := whereVars()
	big := make([]any, 3000)
	for i := range big {
		big[i] = int64(i)
	}
	vars["predicate"] = map[string]any{"l": big, "s": strings.Repeat("a", 1000)}
	for i, source := range []string{
		`predicate.l.all(a, predicate.l.all(b, predicate.l.all(c, a + b + c >= 0)))`,
		`predicate.l.map(a, predicate.l.map(b, predicate.l)).size() > 0`,
		`predicate.l.map(a, predicate.l.map(b, predicate.s + predicate.s)).size() > 0`,
		`predicate.l.all(a, predicate.l.all(b, predicate.s.split("").size() == 1000))`,
		`predicate.l.all(a, predicate.l.all(b, predicate.s.matches("^(a|a)*(a|a)*(a|a)*$")))`,
	} {
		c := Compiler{CostLimit: 1_000_000}
		if i == 0 {
			c.CostLimit = 0
		}
		cond, err := c.Compile(source, whereNames)
		if err != nil {
			t.Fatal(err)
		}
		ok, err := cond.Holds(vars)
		if ok || err == nil || !strings.Contains(err.Error(), "cost limit exceeded") {
			t.Errorf("%s: got %v, %v", source, ok, err)
		}
	}
	cond, err := Compiler{CostLimit: 10}.Compile(`predicate.l.all(a, a >= 0)`, whereNames)
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := cond.Holds(vars); ok || err == nil {
		t.Errorf("cost limit 10: %v, %v", ok, err)
	}
}

// The hostile text of a parameter is a value and no part of the condition.
func TestEdge66_ParameterIsNoSyntax(t *testing.T) {
	cond, err := Compiler{}.Compile(`predicate.result == params.WANT`, whereNames)
	if err != nil {
		t.Fatal(err)
	}
	vars := whereVars()
	for _, evil := range []string{`" || true || "`, `PASSED" || "a" == "a`, `.*`, `true`} {
		vars["params"] = map[string]any{"WANT": evil}
		if ok, err := cond.Holds(vars); ok || err != nil {
			t.Errorf("%q: %v, %v", evil, ok, err)
		}
	}
}

// Variables that the caller leaves out are errors.
func TestHoldsWithoutVariables(t *testing.T) {
	cond, err := Compiler{}.Compile(`predicate.a == 1`, whereNames)
	if err != nil {
		t.Fatal(err)
	}
	for _, vars := range []map[string]any{nil, {}, {"predicate": nil}, {"predicate": "x"}, {"predicate": []any{}}} {
		if ok, err := cond.Holds(vars); ok || err == nil {
			t.Errorf("%v: %v, %v", vars, ok, err)
		}
	}
}

func TestHoldsConcurrently(t *testing.T) {
	cond, err := Compiler{}.Compile(`subject.exists(s, s.name == "app") && predicate.count == 3`, whereNames)
	if err != nil {
		t.Fatal(err)
	}
	vars := whereVars()
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 100 {
				if ok, err := cond.Holds(vars); !ok || err != nil {
					t.Errorf("%v, %v", ok, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func FuzzCompile(f *testing.F) {
	f.Add(`predicate.result == "PASSED"`)
	f.Add(`subject.exists(s, s.name.matches("^a$") && s.name.split("/").join() == params.X)`)
	f.Add(`has(predicate.a) ? [1, 2.0].all(x, x > 0) : {"a": b'x'}["a"] == b"x"`)
	f.Add(`timestamp("2026-01-01T00:00:00Z") + duration("1h") > timestamp(0)`)
	vars := whereVars()
	f.Fuzz(func(t *testing.T, source string) {
		cond, err := Compiler{CostLimit: 10_000}.Compile(source, whereNames)
		if err != nil {
			if cond != nil {
				t.Fatal("a condition and an error")
			}
			return
		}
		ok, err := cond.Holds(vars)
		if ok && err != nil {
			t.Fatal("true and an error")
		}
		again, err2 := cond.Holds(vars)
		if ok != again || (err == nil) != (err2 == nil) {
			t.Fatalf("%v, %v and then %v, %v", ok, err, again, err2)
		}
	})
}

func BenchmarkCompile(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := (Compiler{}).Compile(`predicate.result == "PASSED" && subject.exists(s, s.name == "app")`, whereNames); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHolds(b *testing.B) {
	for name, source := range map[string]string{
		"field":  `predicate.result == "PASSED"`,
		"exists": `subject.exists(s, s.name == "app") && predicate.count >= 3`,
		"match":  `predicate.nested.ref.matches("^refs/tags/v[0-9.]+$")`,
	} {
		b.Run(name, func(b *testing.B) {
			cond, err := Compiler{}.Compile(source, whereNames)
			if err != nil {
				b.Fatal(err)
			}
			vars := whereVars()
			b.ReportAllocs()
			for b.Loop() {
				if ok, err := cond.Holds(vars); !ok || err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
