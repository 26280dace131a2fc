package ingest

import (
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/predicate"
)

// TAP reads the Test Anything Protocol, versions 13 and 14
// (testanything.org), as prove, node --test, tap and others print it.
//
// A test is named by its description, or "test 3" by its number; one of a
// subtest by the descriptions on the way, joined by " > ". A test that is "not
// ok" but has the directive TODO warns. A parent that is "ok" although a
// subtest of it failed counts as failed, and "Bail out!" makes the whole run
// fail. The names of skipped tests are in the annotation skippedTests of the
// configuration, which is the report.
//
// Refused: a stream without a version, without a plan or with two, with fewer
// tests than planned or more, with a test number twice or out of range, that ends within
// diagnostics, and one in which no test ran. Other lines are ignored, as the
// protocol wants: programs print them.
//
// A condition for it:
//
//	predicate.result in ["PASSED", "WARNED"] && "suite > opens an empty store" in predicate.passedTests
func TAP(r io.Reader) (*predicate.TestResult, error) {
	result, err := tap(r)
	return result, wrap("TAP", err)
}

// tapLevel is the top level of a stream, or a subtest that is open.
type tapLevel struct {
	plan    int // -1 until it is known
	numbers map[int]bool
	failed  bool
	tests   []tapTest // of it and of the subtests that ended
}

type tapTest struct {
	name string
	outcome
}

var (
	tapVersion = regexp.MustCompile(`^TAP version (1[34])$`)
	tapPlan    = regexp.MustCompile(`^1\.\.([0-9]{1,9})\s*(#.*)?$`)
	tapPoint   = regexp.MustCompile(`^(not )?ok\b(?:\s+([0-9]{1,9})\b)?(.*)$`)
	tapTodo    = regexp.MustCompile(`(?i)^\s*(todo|skip)`)
)

func tap(r io.Reader) (*predicate.TestResult, error) {
	in := newLines(r)
	var kept names
	aborted := false
	version := ""
	levels := []*tapLevel{{plan: -1}}
	diagnostics := "" // the indentation of the YAML block that is open, and its end: "  ..."
	for {
		line, err := in.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		text := strings.TrimRight(string(line), " \t\r")
		if version == "" {
			m := tapVersion.FindStringSubmatch(text)
			if m == nil {
				return nil, malformed("want TAP version 13 or 14 in the first line, found %s", clip(text))
			}
			version = m[1]
			continue
		}
		body := strings.TrimLeft(text, " ")
		indent := len(text) - len(body)
		if diagnostics != "" {
			if text == diagnostics {
				diagnostics = ""
			}
			continue
		}
		if body == "---" && indent%4 == 2 {
			diagnostics = text[:indent] + "..."
			continue
		}
		depth := indent / 4
		if indent%4 != 0 || depth > len(levels) {
			continue // output of a program
		}
		if strings.HasPrefix(body, "Bail out!") {
			aborted = true
			break
		}
		plan := tapPlan.FindStringSubmatch(body)
		point := tapPoint.FindStringSubmatch(body)
		if plan == nil && point == nil {
			continue
		}
		if depth == len(levels) {
			if depth == limits.ToolNesting {
				return nil, fail(provenance.ReasonLimit, "line %d: subtests nest deeper than %d", in.n, limits.ToolNesting)
			}
			levels = append(levels, &tapLevel{plan: -1})
		}
		// A subtest is ended by the test point of its parent, which is one level up.
		if depth < len(levels)-2 || depth == len(levels)-2 && point == nil {
			return nil, malformed("line %d: a subtest was not ended by a test point", in.n)
		}
		var inner *tapLevel
		if depth == len(levels)-2 {
			inner = levels[depth+1]
			levels = levels[:depth+1]
			if err := inner.end(); err != nil {
				return nil, err
			}
		}
		level := levels[depth]
		if plan != nil {
			if level.plan >= 0 {
				return nil, malformed("line %d: a second plan", in.n)
			}
			level.plan, _ = strconv.Atoi(plan[1]) // of at most 9 digits
			continue
		}
		if err := level.point(point, inner, &kept, in.n); err != nil {
			return nil, err
		}
	}
	// What follows "Bail out!" still belongs to the report.
	for aborted {
		if _, err := in.next(); err == io.EOF {
			break
		} else if err != nil {
			return nil, err
		}
	}
	if !aborted {
		switch {
		case version == "":
			return nil, fail(ReasonIncomplete, "the report is empty")
		case diagnostics != "":
			return nil, fail(ReasonIncomplete, "the report ends within diagnostics")
		case len(levels) > 1:
			return nil, fail(ReasonIncomplete, "the report ends within a subtest")
		}
		if err := levels[0].end(); err != nil {
			return nil, err
		}
	}
	t := tests{failed: aborted}
	for _, level := range levels {
		for _, test := range level.tests {
			if err := t.add(test.name, test.outcome); err != nil {
				return nil, err
			}
		}
	}
	return t.result("TAP "+version, in.digest(), nil)
}

// end checks a level against its plan.
func (l *tapLevel) end() error {
	switch {
	case l.plan < 0:
		return fail(ReasonIncomplete, "%d tests without a plan", len(l.numbers))
	case len(l.numbers) < l.plan:
		return fail(ReasonIncomplete, "%d tests were planned, and %d are there", l.plan, len(l.numbers))
	}
	for n := range l.numbers {
		if n > l.plan {
			return malformed("%d tests were planned, and there is test %d", l.plan, n)
		}
	}
	return nil
}

// point adds a test point, with the subtest that it ends, if any.
func (l *tapLevel) point(m []string, inner *tapLevel, kept *names, line int) error {
	number := len(l.numbers) + 1
	if m[2] != "" {
		number, _ = strconv.Atoi(m[2]) // of at most 9 digits
	}
	if number == 0 || l.numbers[number] {
		return malformed("line %d: test number %d is there twice, or out of range", line, number)
	}
	if l.numbers == nil {
		l.numbers = map[int]bool{}
	}
	l.numbers[number] = true
	name, directive := tapDescription(m[3])
	if name == "" {
		name = "test " + strconv.Itoa(number)
	}
	o := passed
	if m[1] != "" {
		o = failed
	}
	if inner != nil && inner.failed {
		o = failed
	}
	switch directive {
	case "todo":
		if o == failed {
			o = warned
		}
	case "skip":
		// One that failed and was skipped failed.
		if o == passed {
			o = skipped
		}
	}
	l.failed = l.failed || o == failed
	if err := kept.add(name); err != nil {
		return err
	}
	l.tests = append(l.tests, tapTest{name, o})
	if inner != nil {
		for _, test := range inner.tests {
			test.name = name + " > " + test.name
			if test.outcome == failed && o == warned {
				test.outcome = warned // of what is yet to be done as a whole
			}
			if err := kept.add(test.name); err != nil {
				return err
			}
			l.tests = append(l.tests, test)
		}
	}
	return nil
}

// tapDescription takes apart "- description # directive", in which "\#" is no
// beginning of a directive.
func tapDescription(s string) (name, directive string) {
	s = strings.TrimSpace(s)
	s = strings.TrimSpace(strings.TrimPrefix(s, "-"))
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '#':
			if m := tapTodo.FindStringSubmatch(s[i+1:]); m != nil {
				return tapUnescape(strings.TrimSpace(s[:i])), strings.ToLower(m[1])
			}
		}
	}
	return tapUnescape(s), ""
}

var tapEscapes = strings.NewReplacer(`\\`, `\`, `\#`, `#`)

func tapUnescape(s string) string { return tapEscapes.Replace(s) }
