// Package verify decides whether an artifact's history holds.
//
// Signed bytes go in; verified values and a verdict come out:
//
//	policy, err := verify.ReadPolicy("policy.yaml")
//	verifier, err := verify.New(policy, verify.Options{})
//	evidence, err := verify.ReadEvidence(ctx, "dist")
//	artifact, err := provenance.DigestFile(ctx, "dist/app.tar.gz")
//	proof, err := verifier.Verify(ctx, verify.Request{
//		Artifacts: []provenance.Artifact{artifact},
//		Evidence:  evidence,
//		At:        time.Now(),
//	})
//
// err == nil means that the artifact passed, and proof says why: for each stage
// of the policy the statements that were used, who signed them, when, and which
// materials came from which products. A refusal is a [*RefusedError]: it
// carries a [Report] with the best partial proof, what broke it, and what
// would mend it. Any other error means that there was nothing to judge by: a
// policy that is wrong ([*PolicyError]), evidence that could not be read, a
// cancelled context.
//
// [Open] is the step below: it turns one envelope or bundle into a
// [VerifiedStatement], or says why not.
//
// # What is decided
//
// docs/chain.md is the specification. In short: the artifact must be a product,
// by digest, of the policy's final stage; every material of every stage must be
// a product of an earlier stage that the policy names or an input that it
// admits; one consistent choice of statements must satisfy everything; and
// every stage must be vouched for by the principals, in the numbers, that the
// policy wants. Zero stages, an empty requirement and an empty overlap are
// errors or refusals, never a pass.
//
// Verification runs no program, reaches no network, writes nothing, and reads
// no clock and no environment: the time, the roots of trust and the evidence
// are arguments. A [Verifier] may serve any number of goroutines.
package verify
