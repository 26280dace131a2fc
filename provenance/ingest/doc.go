// Package ingest turns what other tools report into predicates and materials,
// so that one chain can use all of it.
//
// Each reader is named after what it reads, and takes the report from an
// [io.Reader]:
//
//	result, err := ingest.JUnit(file)             // *predicate.TestResult
//	st, err := result.Statement(subjects)         // about what was tested
//	envelope, err := sign.Statement(ctx, st, signer)
//
//	| Reader                             | Reads                                  | Makes                  |
//	|------------------------------------|----------------------------------------|------------------------|
//	| GoTest, JUnit, TAP                 | test reports                           | predicate.TestResult   |
//	| GoFuzz, LibFuzzer                  | what fuzzers print                     | predicate.TestResult   |
//	| ZAP                                | a dynamic scan of a running program    | predicate.TestResult   |
//	| SARIF                              | reports of static scanners             | predicate.Scan         |
//	| Gitleaks, TruffleHog               | secrets found, never the secrets       | predicate.Scan         |
//	| OSVScanner, Grype, Trivy           | known vulnerabilities                  | predicate.Vulns        |
//	| Dockerfile, Kubernetes, Terraform  | infrastructure as code                 | Inputs, for materials  |
//
// # What a reader refuses
//
// A report is evidence only if the tool did its work. So a reader refuses a
// report in which nothing was run or scanned, one that was cut off, and one in
// which the tool says that it failed. A run that found something bad is no
// error: it is read, and its predicate says so; judging it is for a policy.
// Where two readings are possible, the worse one is taken. Fields that a
// reader does not know are ignored, as these formats grow.
//
// Reports are hostile: everything is bounded (by internal/limits), JSON is read
// strictly, XML may have no document type, and YAML no aliases, anchors or tags. Every problem
// is a [provenance.FormatError]; an error of the io.Reader is returned as it is.
// The same report gives the same predicate. Nothing is run, no network is reached, and no clock and no
// environment is read: a time that a report does not say is an argument.
//
// # What a report proves
//
// Nothing by itself: a test may print whatever it likes, and so may whoever
// hands over a file. It is the signer of the statement who vouches that the
// report is what the tool wrote about the subjects. The predicates for which
// there is a place carry the report's SHA-256.
//
// # Conditions
//
// The documentation of each reader has a condition (docs/policy.md,
// Conditions) with which a policy makes use of what it read.
package ingest

// Reasons of a [provenance.FormatError] from this package, besides those of
// JSON and provenance.ReasonLimit. They are stable.
const (
	ReasonReport     = "report-malformed"   // not a report of the tool, or one that contradicts itself
	ReasonNothingRun = "report-nothing-run" // no test ran, nothing was scanned: it says nothing
	ReasonIncomplete = "report-incomplete"  // cut off, or the tool says that it did not finish
	ReasonUnresolved = "input-unresolved"   // see Inputs.Pinned
)
