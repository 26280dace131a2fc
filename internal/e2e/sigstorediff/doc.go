// Package sigstorediff holds the bundle verifier in internal/sigstore against
// sigstore-go: over the public bundles, over a virtual Sigstore and over their
// single-fault mutants. Every disagreement is a bug, or stands in
// docs/sigstore-strictness.md under the letter that the test gives it.
package sigstorediff
