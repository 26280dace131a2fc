package cel

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Conditions that are harmless on honest predicates, and predicates made to
// have them run for minutes. The limit must be met by the default compiler.
func TestEdge68_TimeOfHostilePredicates(t *testing.T) {
	deep := func(last string) []any { // of size one, with ten thousand values in it
		l := make([]any, 10_000)
		for i := range l {
			l[i] = int64(i)
		}
		l[len(l)-1] = last
		return []any{l}
	}
	var a, b, ints, long []any
	for i := range 100 {
		a, b = append(a, deep(fmt.Sprint("a", i))), append(b, deep(fmt.Sprint("b", i)))
	}
	wide := make(map[string]any)
	for i := range 4000 {
		ints = append(ints, int64(i))
		long = append(long, strings.Repeat("x", 1000)+fmt.Sprint(i))
		wide[fmt.Sprint(i)] = int64(i)
	}
	nested := func() []any { return []any{[]any{[]any{strings.Repeat("q", 10_000_000)}}} }
	vars := map[string]any{"predicate": map[string]any{"a": a, "b": b, "ints": ints, "long": long, "wide": wide,
		"x": strings.Repeat("a", 30_000), "n": nested(), "m": nested()}}
	for _, source := range []string{
		`!predicate.a.exists(x, predicate.b.exists(y, x == y))`,
		`!predicate.a.exists(x, predicate.b.exists(y, !(x != y)))`,
		`!predicate.a.exists(x, x in predicate.b)`,
		`!predicate.a.exists(x, {"k": x} in predicate.b.map(y, {"k": y}))`,
		`!predicate.ints.exists(x, x + 10000 in predicate.ints)`,
		`predicate.ints.all(x, predicate.wide == predicate.wide)`,
		`predicate.ints.all(x, predicate.n == predicate.m)`,
		`predicate.ints.all(x, predicate.x.matches("^(a*)*b?$"))`,
		`predicate.ints.all(x, predicate.long.join(",").size() > 0)`,
		`predicate.ints.all(x, predicate.x.split("").size() > 0)`,
		`!predicate.ints.exists(x, predicate.ints.exists(y, x + y < 0))`,
		`!predicate.ints.exists(x, predicate.long.exists(y, y == string(x)))`,
	} {
		cond, err := Compiler{}.Compile(source, whereNames)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		ok, err := cond.Holds(vars)
		if d := time.Since(start); ok || err == nil || !strings.Contains(err.Error(), "cost limit exceeded") {
			t.Errorf("%s: %v, %v after %v", source, ok, err, d)
		} else {
			t.Logf("%8v  %s", d.Round(time.Millisecond), source)
		}
	}
	// What is honest stays cheap: a thing is looked for in a long list.
	for _, source := range []string{`3999 in predicate.ints`, `predicate.ints.all(x, x != "gpl")`, `predicate.a[0] == predicate.a[0]`, `!("x" in predicate.a)`} {
		cond, err := Compiler{}.Compile(source, whereNames)
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := cond.Holds(vars); !ok || err != nil {
			t.Errorf("%s: %v, %v", source, ok, err)
		}
	}
}
