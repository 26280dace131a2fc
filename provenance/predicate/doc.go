// Package predicate has the typed predicates: what a [provenance.Statement]
// says about its subjects.
//
// Each predicate has a constant with its type URI (TypeSLSAProvenance, …), a
// struct whose JSON names are those of its specification, a Validate method
// that enforces what the specification requires, and a Parse function:
//
//	p := &predicate.TestResult{Result: predicate.Passed, Configuration: config}
//	st, err := p.Statement(subjects)              // validates, then encodes
//
//	if st.PredicateType() == predicate.TypeTestResult {
//		p, err := predicate.ParseTestResult(st.Predicate()) // decodes, then validates
//	}
//
// A Parse function takes an object and nothing else ([provenance.Statement]
// gives {} for an absent or null predicate, as the specification wants). It
// reads as strictly as statements are read: exact names, no duplicates, no
// null in a list, the right kind of value everywhere. Fields that it does not
// know are ignored; they survive in the statement, which keeps its bytes.
// Unset, null and empty are the same, so a required field is one that is not
// empty; the few exceptions are documented where they are.
//
// Type URIs are compared as a whole, never by prefix and never by case.
//
// Three functions work on any statement: [FlowOf] says what a step was made
// from, [ClaimedTimes] when it is said to have happened, and [Check] whether
// the predicate is what its type wants. [ParseProvenance] reads every version
// of SLSA provenance into one view.
//
// Every problem with a predicate is a [provenance.FormatError].
package predicate
