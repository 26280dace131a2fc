package ingest

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/predicate"
)

// JUnit reads a report in the XML of JUnit and its many relatives: surefire,
// Gradle, pytest, jest, Node.js, googletest, gotestsum and others. There is no
// specification; this is what they have in common.
//
// Tests are named by class and name, "com.example.StoreTest.open". A test
// failed with a failure or an error in it, and a suite with one of its own, or
// that counts some which are not there, is in the list of failed tests by its
// name. A test that passed when it was repeated (flakyFailure, flakyError)
// warns, and so does one that is known to fail (skipped of type "todo"). A test that is there twice
// has the worst of its outcomes. The names of skipped tests are in the annotation
// skippedTests of the configuration, which is the report.
//
// Refused: a document type, an encoding other than UTF-8, a suite with fewer
// tests than it counts, and a report in which no test ran.
//
// A condition for it:
//
//	predicate.result == "PASSED" && size(predicate.passedTests) >= 200
func JUnit(r io.Reader) (*predicate.TestResult, error) {
	result, err := junit(r)
	return result, wrap("JUnit", err)
}

// junitSuite is an open testsuites or testsuite element.
type junitSuite struct {
	name   string
	counts map[string]int // its attributes tests, failures and errors
	tests  int            // that are in it, at any depth
	shown  int            // failures and errors that are in it
}

// junitCase is an open testcase element.
type junitCase struct {
	name                      string
	failed, skipped, todo, ok bool // ok: passed in the end
}

func junit(r io.Reader) (*predicate.TestResult, error) {
	data, err := readAll(r, limits.ToolReport)
	if err != nil {
		return nil, err
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return nil, fail(ReasonIncomplete, "the report is empty")
	}
	j := junitReader{dec: xml.NewDecoder(bytes.NewReader(data))}
	for {
		token, err := j.dec.RawToken()
		if err == io.EOF {
			break
		}
		if err == nil {
			err = j.token(token)
		}
		if err != nil {
			if syntax, ok := errors.AsType[*xml.SyntaxError](err); ok {
				return nil, malformed("not XML: line %d: %s", syntax.Line, syntax.Msg)
			}
			return nil, asReport(err)
		}
	}
	if len(j.open) > 0 || !j.done {
		return nil, fail(ReasonIncomplete, "the report ends before its last element")
	}
	return j.tests.result("JUnit", sum(data), nil)
}

// junitReader walks the elements. It uses raw tokens, and checks itself that
// elements nest: the decoder would keep a list of all that are open, without a
// bound.
type junitReader struct {
	dec    *xml.Decoder
	tests  tests
	open   []string // the elements that are open
	suites []*junitSuite
	test   *junitCase
	inside int  // the depth at which an element began of which nothing is read; 0 outside
	done   bool // the root element has ended
}

func (j *junitReader) token(token xml.Token) error {
	line, _ := j.dec.InputPos()
	switch t := token.(type) {
	case xml.Directive:
		// A document type can declare entities; no report needs one.
		return malformed("line %d: a document type or another directive", line)
	case xml.CharData:
		if len(j.open) == 0 && len(bytes.TrimSpace(t)) > 0 {
			return malformed("line %d: text outside the report", line)
		}
	case xml.StartElement:
		if j.done {
			return malformed("line %d: a second root element", line)
		}
		if len(j.open) == 2*limits.ToolNesting {
			return malformed("line %d: elements nest deeper than %d", line, 2*limits.ToolNesting)
		}
		j.open = append(j.open, qualified(t.Name))
		if j.inside > 0 {
			return nil
		}
		return j.start(t, line)
	case xml.EndElement:
		if len(j.open) == 0 || j.open[len(j.open)-1] != qualified(t.Name) {
			return malformed("line %d: </%s> ends an element that is not open", line, clip(qualified(t.Name)))
		}
		j.open = j.open[:len(j.open)-1]
		if j.inside > 0 {
			if len(j.open) < j.inside {
				j.inside = 0
			}
		} else if err := j.end(t.Name.Local); err != nil {
			return err
		}
		j.done = len(j.open) == 0
	}
	return nil
}

func qualified(n xml.Name) string {
	if n.Space != "" {
		return n.Space + ":" + n.Local
	}
	return n.Local
}

// attributes returns the attributes without a namespace. The decoder does not
// refuse one that is there twice.
func attributes(t xml.StartElement, line int) (map[string]string, error) {
	m := make(map[string]string, len(t.Attr))
	for _, a := range t.Attr {
		name := qualified(a.Name)
		if _, dup := m[name]; dup {
			return nil, malformed("line %d: attribute %s twice", line, clip(name))
		}
		m[name] = a.Value
	}
	return m, nil
}

func (j *junitReader) start(t xml.StartElement, line int) error {
	attr, err := attributes(t, line)
	if err != nil {
		return err
	}
	name := qualified(t.Name)
	if len(j.open) == 1 && name != "testsuites" && name != "testsuite" {
		return malformed("want testsuites or testsuite, found %s", clip(name))
	}
	if j.test == nil {
		switch name {
		case "testsuites", "testsuite":
			s := &junitSuite{name: attr["name"], counts: map[string]int{}}
			for _, field := range []string{"tests", "failures", "errors"} {
				if v := strings.TrimSpace(attr[field]); v != "" {
					n, err := strconv.Atoi(v)
					if err != nil || n < 0 {
						return malformed("line %d: %s: want a number, found %s", line, field, clip(v))
					}
					s.counts[field] = n
				}
			}
			j.suites = append(j.suites, s)
			return nil
		case "testcase":
			if attr["name"] == "" {
				return malformed("line %d: a testcase without a name", line)
			}
			j.test = &junitCase{name: attr["name"]}
			if class := attr["classname"]; class != "" {
				j.test.name = class + "." + attr["name"]
			}
			// googletest and some others have attributes instead of elements.
			for _, field := range []string{"status", "result"} {
				switch strings.ToLower(attr[field]) {
				case "failed", "failure", "error", "errored":
					j.test.failed = true
				case "notrun", "skipped", "disabled", "suppressed":
					j.test.skipped = true
				}
			}
			return nil
		case "failure", "error":
			// Of the suite: its set-up broke.
			s := j.suites[len(j.suites)-1]
			s.shown++
			if err := j.tests.add(suiteName(s), failed); err != nil {
				return err
			}
		}
	} else {
		switch name {
		case "failure", "error":
			j.test.failed = true
		case "skipped", "disabled":
			j.test.skipped = true
			j.test.todo = attr["type"] == "todo"
		case "flakyFailure", "flakyError":
			j.test.ok = true
		case "rerunFailure", "rerunError": // beside a failure
			j.test.failed = true
		case "testcase", "testsuite", "testsuites":
			return malformed("line %d: a %s inside a testcase", line, name)
		}
	}
	j.inside = len(j.open)
	return nil
}

func suiteName(s *junitSuite) string {
	if s.name == "" {
		return "test suite"
	}
	return s.name
}

func (j *junitReader) end(name string) error {
	if name == "testcase" {
		t := j.test
		j.test = nil
		suite := j.suites[len(j.suites)-1]
		if t.failed {
			suite.shown++
		}
		o := passed
		switch {
		case t.failed && t.skipped && t.todo:
			o = warned
		case t.failed:
			o = failed
		case t.skipped:
			o = skipped
		case t.ok:
			o = warned
		}
		suite.tests++
		return j.tests.add(t.name, o)
	}
	s := j.suites[len(j.suites)-1]
	j.suites = j.suites[:len(j.suites)-1]
	if s.tests < s.counts["tests"] {
		return fail(ReasonIncomplete, "suite %s counts %d tests and has %d", clip(suiteName(s)), s.counts["tests"], s.tests)
	}
	// Failures that are counted and not shown are failures. A test can have
	// one and an error as well.
	if most := max(s.counts["failures"], s.counts["errors"]); most > s.shown {
		s.shown = most
		if err := j.tests.add(suiteName(s), failed); err != nil {
			return err
		}
	}
	if len(j.suites) > 0 {
		outer := j.suites[len(j.suites)-1]
		outer.tests += s.tests
		outer.shown += s.shown
	}
	return nil
}

// asReport makes a refusal of an error of the XML decoder, all of which are about the content.
func asReport(err error) error {
	if _, ok := err.(*provenance.FormatError); ok {
		return err
	}
	return malformed("not XML: %v", err)
}
