package verify

// A Reason says in one stable word why evidence was rejected or an artifact
// refused. docs/reasons.md explains each and what mends it.
type Reason string

// Why evidence was rejected, by [Open].
const (
	ReasonMalformed    Reason = "malformed"           // not an envelope, bundle or statement that can be read strictly
	ReasonPayloadType  Reason = "payload-type"        // not the payload type of in-toto statements
	ReasonNoSignature  Reason = "no-signature"        // an envelope without signatures
	ReasonUntrusted    Reason = "untrusted-signer"    // no signature by anybody who is trusted
	ReasonKeyValidity  Reason = "key-not-valid"       // the key was not valid when it signed
	ReasonRevoked      Reason = "revoked"             // key, identity, builder or statement is revoked
	ReasonNotYet       Reason = "from-the-future"     // a trusted time lies after the instant of judgement
	ReasonNoSigstore   Reason = "no-trusted-root"     // a Sigstore bundle, and the trust has no Sigstore root
	ReasonBundle       Reason = "bundle-rejected"     // a Sigstore bundle that does not verify; the message has the section
	ReasonPredicateBad Reason = "predicate-malformed" // the predicate is not what its type wants
	ReasonWeakDigest   Reason = "weak-digest"         // subjects have no digest under a strong algorithm
)

// Why an artifact was refused, by [Verifier.Verify].
const (
	ReasonNoStatement    Reason = "no-statement"          // nothing usable says that the stage made what is needed
	ReasonWrongType      Reason = "wrong-predicate-type"  // statements exist, none of a type that the stage takes
	ReasonWrongSigner    Reason = "wrong-signer"          // statements exist, none by a principal of this stage
	ReasonThreshold      Reason = "threshold"             // too few distinct principals
	ReasonDisagreement   Reason = "disagreement"          // signers' statements differ about products (or materials)
	ReasonCondition      Reason = "condition"             // a condition is false
	ReasonConditionError Reason = "condition-error"       // a condition could not be decided: missing field, wrong type, cost
	ReasonUnaccounted    Reason = "unaccounted-material"  // a material comes from nowhere that the policy admits
	ReasonAltered        Reason = "altered-material"      // a material has the name of an earlier product and another digest
	ReasonNoFlow         Reason = "no-flow"               // nothing flows from a stage that the policy names in from
	ReasonName           Reason = "name-mismatch"         // digest matches, the name does not fit the rule
	ReasonIncomplete     Reason = "product-not-expected"  // a product beyond, or short of, what complete demands
	ReasonOrder          Reason = "order"                 // a stage did not come after another
	ReasonNoTime         Reason = "no-trusted-time"       // a rule needs a time and there is none to trust
	ReasonTooOld         Reason = "too-old"               // older than maxAge
	ReasonDuties         Reason = "duties-not-separated"  // one principal counts in two stages that must differ
	ReasonOrganizations  Reason = "too-few-organizations" // the signers belong to too few organisations
	ReasonPackages       Reason = "packages-disagree"     // two stages list different packages, or one with other digests
	ReasonWithheld       Reason = "evidence-withheld"     // an inventory lists statements that are not there
	ReasonNoInventory    Reason = "no-inventory"          // a rule rests on completeness and nothing shows it
	ReasonForbidden      Reason = "forbidden-statement"   // a statement that must not exist does
	ReasonContents       Reason = "contents"              // the artifact's contents were not given or could not be read
	ReasonPolicyExpired  Reason = "policy-expired"        // at or after the policy's expiry
	ReasonSearchLimit    Reason = "search-limit"          // the search was given up; not a statement about the artifact
	ReasonNotReached     Reason = "not-reached"           // a stage that was not examined because an earlier check failed
)
