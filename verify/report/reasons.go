package report

import "github.com/hallmark-build/hallmark/verify"

// An explanation says in general what a reason means and what mends it.
type explanation struct{ means, mend string }

// explanations are the sentences of docs/reasons.md that go along with
// findings; a test holds the two together.
var explanations = map[verify.Reason]explanation{
	verify.ReasonMalformed: {
		"The attestation is not an envelope, bundle or statement that can be read strictly: wrong JSON, a key twice, unknown base64, invalid UTF-8, trailing data, or larger than a limit.",
		"Get the attestation again from whoever issued it. Do not repair it by hand: the signature is over its bytes.",
	},
	verify.ReasonPayloadType: {
		"The envelope's payload type is not that of in-toto statements.",
		"Have the statement signed as application/vnd.in-toto+json, and keep other envelopes out of the evidence.",
	},
	verify.ReasonNoSignature: {
		"The envelope has no signature.",
		"Have it signed by a principal that the policy names.",
	},
	verify.ReasonUntrusted: {
		"No signature of the attestation verifies under a key or identity that the policy names.",
		"Have it signed by a principal that the policy names, or, if the signer is the right one, add its key or identity to the policy.",
	},
	verify.ReasonKeyValidity: {
		"A key of the policy signed the attestation, but at a time at which the policy does not take the key for valid.",
		"Sign again with the current key; or widen validFrom and validUntil if they are wrong; or have statements timestamped.",
	},
	verify.ReasonRevoked: {
		"The key, the identity, the builder or the statement is revoked with effect at the time that counts.",
		"Build and sign again with what is not revoked. Lift a revocation only if it was a mistake.",
	},
	verify.ReasonNotYet: {
		"A trusted time of the attestation lies after the instant of judgement.",
		"Judge at an instant after the attestation was made, or set the clock.",
	},
	verify.ReasonNoSigstore: {
		"The evidence is a Sigstore bundle, and the verifier was given no Sigstore trusted root.",
		"Give the trusted root of the Sigstore instance that issued the bundle.",
	},
	verify.ReasonBundle: {
		"A Sigstore bundle does not verify; the message names the section of the specification that it breaks.",
		"Check that the trusted root is that of the right instance and is current; otherwise sign again.",
	},
	verify.ReasonPredicateBad: {
		"The predicate is not what its type wants: a field is missing or has another type.",
		"Fix the tool that writes it, or use a predicate type of your own.",
	},
	verify.ReasonWeakDigest: {
		"The statement identifies its subjects by weak digests only, such as MD5 or SHA-1, or by algorithms that the policy does not accept.",
		"Record subjects with SHA-256 or stronger.",
	},
	verify.ReasonNoStatement: {
		"Nothing among the usable evidence says that the stage made what is needed of it.",
		"Add the attestation of that stage for this very file, by digest, to the evidence.",
	},
	verify.ReasonWrongType: {
		"Statements about the artifact exist, none of a type that the stage takes.",
		"Issue the predicate type that the policy asks for, or list the new type in the stage's requires.",
	},
	verify.ReasonWrongSigner: {
		"Statements of the right type exist, none signed by a principal of this stage.",
		"Have a principal of this stage sign it, or add the principal to the requirement's signers.",
	},
	verify.ReasonThreshold: {
		"Fewer distinct principals than the policy asks for vouch for the same products.",
		"Have another principal of the stage attest the same products.",
	},
	verify.ReasonDisagreement: {
		"The statements of the principals differ about products, or about materials where the policy asks them to agree.",
		"Find out which of them is right; make the step reproducible; attest again.",
	},
	verify.ReasonCondition: {
		"A condition of the policy is false of the statement, or of the whole chain.",
		"Do what the condition asks for and attest that. The message names the condition.",
	},
	verify.ReasonConditionError: {
		"A condition could not be decided: a field is missing, has another type, or the cost limit was reached. What cannot be decided is not true.",
		"Guard the condition with has(…), or have the field recorded.",
	},
	verify.ReasonUnaccounted: {
		"A material of a stage comes from nowhere that the policy admits: it is no product of a stage in from, and no input of the stage admits it.",
		"Attest the step that made it, or admit it as an input by digest, lock file or URI.",
	},
	verify.ReasonAltered: {
		"A material has the name of an earlier stage's product, and another digest: it was changed on the way.",
		"Find out who changed it, and run the later stage again on what the earlier one made. If the change is meant, make it a stage.",
	},
	verify.ReasonNoFlow: {
		"Nothing that the stage used, or that was judged, comes from a stage that must have contributed.",
		"Record what the stage takes, or mark the flow optional if it need not take anything.",
	},
	verify.ReasonName: {
		"The digests match and the names do not fit the rule: two files swapped their roles, or a file was renamed.",
		"Put the files back in their places, or say in the policy how names go along: same, base or a map.",
	},
	verify.ReasonIncomplete: {
		"The stage made something beyond what products or complete allow, or short of it.",
		"Record what belongs to the products only, or add the name to products.",
	},
	verify.ReasonOrder: {
		"A stage did not come after another one that it must follow, or nothing shows that it did.",
		"Run the stages in order, with trusted timestamps, or let the later statement list the earlier one among its materials.",
	},
	verify.ReasonNoTime: {
		"A rule needs the time of a statement and there is none to trust.",
		"Have statements timestamped or logged; or, for a signer whose clock you run, set acceptClaimedTimeUnsafe.",
	},
	verify.ReasonTooOld: {
		"The statement is older than maxAge at the instant of judgement.",
		"Run the step again and attest it.",
	},
	verify.ReasonDuties: {
		"One person counts in two stages that the policy wants kept apart.",
		"Have somebody else do one of the two.",
	},
	verify.ReasonOrganizations: {
		"The signers belong to fewer organisations than the policy asks for.",
		"Have a principal of another organisation attest, or say in the policy which organisation each belongs to.",
	},
	verify.ReasonPackages: {
		"Two stages that must list the same packages do not: one lists a package that the other lacks, or has with other digests.",
		"Make the SBOM and the provenance from one list of what the build used. If digests differ, find out which of the two was used.",
	},
	verify.ReasonWithheld: {
		"An inventory lists statements that are not among the evidence.",
		"Add the missing statement; want has its digest.",
	},
	verify.ReasonNoInventory: {
		"A rule rests on all evidence being there, and no inventory by its signers shows that it is.",
		"Issue an inventory of the evidence about the artifact.",
	},
	verify.ReasonForbidden: {
		"A statement exists that must not (which: none).",
		"Deal with what the statement says; the artifact cannot pass while it stands.",
	},
	verify.ReasonContents: {
		"A stage looks into a package, and its contents were not given, could not be read, or cannot be accounted for.",
		"Give the package's contents with the request.",
	},
	verify.ReasonPolicyExpired: {
		"The instant of judgement is at or after the policy's expires.",
		"Get the current version of the policy; its owner reviews and renews it.",
	},
	verify.ReasonSearchLimit: {
		"The search for a consistent chain was given up at its bound. This says nothing about the artifact.",
		"Give less evidence (only what concerns the artifact), or write the policy more narrowly.",
	},
	verify.ReasonNotReached: {
		"The stage was not examined, because an earlier check failed.",
		"Mend the other finding first.",
	},
}
