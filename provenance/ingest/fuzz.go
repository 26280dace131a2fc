package ingest

import (
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/hallmark-build/hallmark/provenance/predicate"
)

// GoFuzz reads what go test -fuzz prints (as text, not -json) about one fuzz
// target, such as "FuzzParse". The test is named by package and target,
// "example.com/app/store.FuzzParse". The annotation executions of the
// configuration, which is the report, says how many inputs were tried.
//
// Refused: output of go test that did not fuzz at all, that ends before the
// result, about several packages, and about another target than the one that is asked for.
//
// A condition for it:
//
//	predicate.result == "PASSED" && "example.com/app/store.FuzzParse" in predicate.passedTests
//	  && predicate.configuration[0].annotations.executions >= 1000000
func GoFuzz(r io.Reader, target string) (*predicate.TestResult, error) {
	result, err := goFuzz(r, target)
	return result, wrap("go test -fuzz", err)
}

var (
	goFuzzExecs  = regexp.MustCompile(`^fuzz: elapsed: \S+, execs: ([0-9]{1,15}) \(`)
	goFuzzTarget = regexp.MustCompile(`^(?:--- (?:FAIL|PASS|SKIP): |=== RUN   )(Fuzz[^ /]*)(?: |$)`)
	goFuzzEnd    = regexp.MustCompile(`^(ok  |FAIL)\t(\S+)(?:\t| \[|$)`)
)

func goFuzz(r io.Reader, target string) (*predicate.TestResult, error) {
	if !strings.HasPrefix(target, "Fuzz") {
		return nil, malformed("want the name of a fuzz target, such as FuzzParse, found %s", clip(target))
	}
	in := newLines(r)
	executions, fuzzed := int64(0), false
	bad, pkg := false, ""
	for {
		line, err := in.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		text := string(line)
		if m := goFuzzExecs.FindStringSubmatch(text); m != nil {
			fuzzed = true
			executions, _ = strconv.ParseInt(m[1], 10, 64) // of at most 15 digits
		}
		if m := goFuzzTarget.FindStringSubmatch(text); m != nil && fuzzed && m[1] != target {
			return nil, malformed("fuzzed %s, not %s", clip(m[1]), clip(target))
		}
		if strings.HasPrefix(text, "--- FAIL:") || strings.HasPrefix(text, "panic:") || text == "FAIL" {
			bad = true
		}
		if m := goFuzzEnd.FindStringSubmatch(text); m != nil {
			if pkg != "" {
				return nil, malformed("two packages, %s and %s", clip(pkg), clip(m[2]))
			}
			pkg = m[2]
			bad = bad || m[1] == "FAIL"
			if m[1] != "FAIL" && bad {
				return nil, malformed("package %s is ok, but there was a failure", clip(pkg))
			}
		}
	}
	switch {
	case pkg == "":
		return nil, fail(ReasonIncomplete, "the output ends before the result of the package")
	case !bad && (!fuzzed || executions == 0):
		return nil, fail(ReasonNothingRun, "no input was tried")
	}
	o := passed
	if bad {
		o = failed
	}
	var t tests
	if err := t.add(pkg+"."+target, o); err != nil {
		return nil, err
	}
	return t.result("go test -fuzz", in.digest(), map[string]any{"executions": executions})
}

// LibFuzzer reads what a fuzz target of libFuzzer prints; OSS-Fuzz and ClusterFuzz
// keep the same text. The output does not say what was fuzzed, so the caller
// names the target. A report of a sanitizer of any kind is a failure. The
// annotation executions of the configuration, which is the output, says how
// many inputs were tried.
//
// Refused: output that has neither a failure nor the line "Done … runs in …" (a
// run that was killed, one of -fork), and a run that tried no input.
//
// A condition for it:
//
//	predicate.result == "PASSED" && "parse_fuzzer" in predicate.passedTests
//	  && predicate.configuration[0].annotations.executions >= 1000000
func LibFuzzer(r io.Reader, target string) (*predicate.TestResult, error) {
	result, err := libFuzzer(r, target)
	return result, wrap("libFuzzer", err)
}

var (
	libFuzzerDone = regexp.MustCompile(`^Done ([0-9]{1,15}) runs in [0-9]+ second\(s\)$`)
	// ==123==ERROR: AddressSanitizer, ==123== ERROR: libFuzzer, WARNING:
	// ThreadSanitizer, "x.c:3:5: runtime error: …" of UBSan, which goes on after it.
	libFuzzerBad = regexp.MustCompile(`^SUMMARY: |(?:ERROR|WARNING): (?:\w+Sanitizer|libFuzzer)\b|: runtime error: |Test unit written to `)
)

func libFuzzer(r io.Reader, target string) (*predicate.TestResult, error) {
	if target == "" {
		return nil, malformed("want the name of the fuzz target, found none")
	}
	in := newLines(r)
	executions, bad := int64(-1), false
	for {
		line, err := in.next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		if m := libFuzzerDone.FindSubmatch(line); m != nil {
			executions, _ = strconv.ParseInt(string(m[1]), 10, 64) // of at most 15 digits
		}
		bad = bad || libFuzzerBad.Match(line)
	}
	switch {
	case !bad && executions < 0:
		return nil, fail(ReasonIncomplete, "the output ends before the number of runs")
	case !bad && executions == 0:
		return nil, fail(ReasonNothingRun, "no input was tried")
	}
	o := passed
	if bad {
		o = failed
	}
	var t tests
	if err := t.add(target, o); err != nil {
		return nil, err
	}
	return t.result("libFuzzer", in.digest(), map[string]any{"executions": max(executions, 0)})
}
