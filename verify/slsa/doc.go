// Package slsa verifies artifacts and source revisions as SLSA v1.2 says, and
// issues verification summaries from verdicts.
//
//	statement, err := verify.Open(attestation, trust, now)
//	result, err := slsa.Verify(statement, artifact, slsa.Builders(), slsa.Expectations{
//		SourceURI: "github.com/octo/app",
//		Tag:       "v1.2.0",
//	})
//
// err == nil means that the provenance is about the artifact, that it does not
// contradict the certificate of its signer, and that every expectation holds;
// result.Level() is the SLSA Build level that the builder is trusted for. A
// refusal is an [*Error] with a stable [Reason].
//
// # Levels come from whom you trust
//
// Nothing that a document says about its own level counts. A level is looked
// up in a table of [Builder] rows: this signer, stating this builder.id, is
// good for that level at most. A pair that is not in the table is of level 1:
// a signer that is trusted for one builder vouches for no other. [Builders] is
// the ready-made table for the public builders that sign with certificates.
// Builders that sign with keys get a row from the functions that take a key
// ([CloudBuild], [TektonChains], [Buildkite]), and a table can as well be
// written by hand or read from JSON: rows are data.
//
// # What the provenance claims and what the certificate shows
//
// In many builds the job that is being described can write parts of its own
// provenance. The certificate was filled in by the certificate authority from
// the token of the build platform. So whatever both state (repository, ref,
// commit, workflow, run, kind of runner, trigger, owner) must agree, for every
// [Format] that this package can read; what only the provenance states is
// marked as such in [Result.Facts].
//
// # Summaries
//
// [VerifyVSA] consumes a verification summary by the seven steps of the
// specification, under [Delegation] rows that say which verifier may vouch for
// which track, up to which level, about which resources. [VerifySource] does
// so for revisions of the source track. [PassedVSA], [FailedVSA] and [SVR]
// issue summaries from verdicts of package verify; a summary that says PASSED
// is only ever made from a [verify.Proof].
//
// The package reaches no network, runs nothing and reads no clock.
package slsa
