// Package provenance says what happened: which artifacts there are, and what
// is claimed about them.
//
// An [Artifact] is a file or another resource with its digests. A [Statement]
// says something about artifacts: it is the in-toto Statement, version 1. What
// it says is its predicate; package predicate has the typed ones (SLSA
// provenance, link, test results and more), and package record runs a build
// step and states what it did.
//
//	artifact, err := provenance.DigestFile(ctx, "dist/app")
//	st, err := provenance.NewStatement(
//		[]provenance.ResourceDescriptor{artifact.Descriptor()},
//		predicate.TypeSLSAProvenance, pred)
//	envelope, err := sign.Statement(ctx, st, signer)
//
// Everything here is a claim until package verify has opened the signed bytes.
// The package runs no process, reaches no network, and reads no clock and no
// environment.
package provenance
