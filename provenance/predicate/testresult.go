package predicate

import "github.com/hallmark-build/hallmark/provenance"

// Results of a [TestResult]; a [VSA] has Passed and Failed.
const (
	Passed = "PASSED"
	Warned = "WARNED"
	Failed = "FAILED"
)

// TestResult is the outcome of one run of a test suite over the subjects,
// predicate type [TypeTestResult] (in-toto attestation,
// spec/predicates/test-result.md).
type TestResult struct {
	Result        string                          `json:"result"`        // Passed, Warned or Failed; required
	Configuration []provenance.ResourceDescriptor `json:"configuration"` // what the run was configured by; required
	URL           string                          `json:"url,omitempty"` // of the run
	PassedTests   []string                        `json:"passedTests,omitempty"`
	WarnedTests   []string                        `json:"warnedTests,omitempty"`
	FailedTests   []string                        `json:"failedTests,omitempty"`
}

// Validate checks that the required fields are there and that the result does
// not contradict the list of failed tests: a run that passed has none.
// Failed without a failed test is fine, as when the tests did not compile.
func (t *TestResult) Validate() error {
	switch t.Result {
	case Passed, Warned, Failed:
	case "":
		return bad("test-result: result is required")
	default:
		return bad("test-result: result: want PASSED, WARNED or FAILED, found %s", clip(t.Result))
	}
	if len(t.Configuration) == 0 {
		return bad("test-result: configuration is required")
	}
	if t.Result != Failed && len(t.FailedTests) > 0 {
		return bad("test-result: result is %s, but %d tests failed", t.Result, len(t.FailedTests))
	}
	return wrap("test-result", descriptors("configuration", t.Configuration))
}

// Statement validates the test result and states it about the subjects, what was tested.
func (t *TestResult) Statement(subjects []provenance.ResourceDescriptor) (*provenance.Statement, error) {
	return statement(t, subjects, TypeTestResult)
}

// ParseTestResult reads a predicate of type [TypeTestResult].
func ParseTestResult(predicate []byte) (*TestResult, error) {
	return parse[TestResult]("test-result", predicate)
}
