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
