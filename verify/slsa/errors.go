package slsa

import (
	"fmt"
	"strconv"
	"strings"
)

// A Reason says in one stable word why something was refused.
type Reason string

// The reasons of an [Error].
const (
	ReasonRequest      Reason = "request"               // the caller did not say what to expect; nothing was judged
	ReasonSubject      Reason = "subject-mismatch"      // not about the artifact
	ReasonPredicate    Reason = "predicate"             // not of the predicate type, or malformed
	ReasonContradicts  Reason = "contradicts"           // two places state different things, the certificate and the provenance mostly
	ReasonNotStated    Reason = "not-stated"            // what is expected is stated nowhere
	ReasonLevel        Reason = "level-too-low"         // the signer and builder are not trusted for the level
	ReasonSource       Reason = "wrong-source"          // built from another repository
	ReasonRef          Reason = "wrong-ref"             // another ref, branch, tag, version or commit
	ReasonBuilder      Reason = "wrong-builder"         // another builder.id
	ReasonBuildType    Reason = "wrong-build-type"      // another buildType
	ReasonWorkflow     Reason = "wrong-workflow"        // another workflow
	ReasonParameters   Reason = "external-parameters"   // a parameter that differs, or that nobody expected
	ReasonName         Reason = "wrong-name"            // the package has another name or version
	ReasonVerifier     Reason = "verifier-not-trusted"  // no delegation to this signer as this verifier
	ReasonDelegation   Reason = "not-delegated"         // the verifier may not vouch for this level or resource
	ReasonResource     Reason = "wrong-resource"        // the summary is about another resource
	ReasonFailed       Reason = "verification-failed"   // the summary says FAILED
	ReasonNotVerified  Reason = "level-not-verified"    // the summary does not have the level or property
	ReasonStale        Reason = "stale"                 // too old, from the future, or without a time
	ReasonPolicyDigest Reason = "policy-without-digest" // the summary does not pin its policy
	ReasonLoop         Reason = "loop"                  // the summary rests on itself
	ReasonNoVSA        Reason = "no-source-vsa"         // no source VSA: source level 0
	ReasonProof        Reason = "not-proven"            // a summary was asked for that the verdict does not support
)

// An Error says why an artifact, a revision or a summary was refused. Want and
// Got are set where two values differ; both may come from hostile documents.
type Error struct {
	Reason    Reason
	Msg       string
	Want, Got string
}

func (e *Error) Error() string {
	s := "refused: " + string(e.Reason) + ": " + e.Msg
	if e.Want != "" || e.Got != "" {
		s += fmt.Sprintf(": want %s, found %s", clip(e.Want), clip(e.Got))
	}
	return s
}

func refuse(r Reason, format string, args ...any) *Error {
	return &Error{Reason: r, Msg: fmt.Sprintf(format, args...)}
}

func differs(r Reason, what, want, got string) *Error {
	return &Error{Reason: r, Msg: what, Want: want, Got: got}
}

// clip makes hostile text fit a message.
func clip(s string) string {
	const most = 200
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return strconv.QuoteToGraphic(s)
}
