package intoto

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/hallmark-build/hallmark/provenance"
)

// A Reason says in one stable word why a product was refused.
type Reason string

// The reasons of a [RefusedError].
const (
	ReasonLayout          Reason = "layout-malformed"       // the layout is not one, or says what cannot be meant
	ReasonLayoutSignature Reason = "layout-signature"       // a key that must have signed the layout has not
	ReasonUnsigned        Reason = "layout-unsigned"        // the format has no signature, and that was not allowed
	ReasonExpired         Reason = "layout-expired"         // at or after the layout's expiry
	ReasonUnsupported     Reason = "layout-unsupported"     // the layout demands what this package does not check
	ReasonParameter       Reason = "parameter"              // a parameter without a value, or with one that would mean something else
	ReasonThreshold       Reason = "threshold"              // too few distinct functionaries did a step
	ReasonDisagreement    Reason = "disagreement"           // the links of a step differ in their artifacts
	ReasonSublayout       Reason = "sublayout"              // nested too deep, or names a step as a layout above does
	ReasonRule            Reason = "artifact-rule"          // an artifact is disallowed, or a required one is missing
	ReasonUnmatched       Reason = "unmatched-artifact"     // an artifact that no rule consumed, with DenyUnmatched
	ReasonAttribute       Reason = "attribute-rule"         // an attribute rule is false or could not be decided
	ReasonAmbiguous       Reason = "step-ambiguous"         // nothing signed says which step an attestation is about
	ReasonInspection      Reason = "inspection-not-allowed" // the layout has commands to run, and there is no Executor
	ReasonInspectionRun   Reason = "inspection-failed"      // an inspection's command failed
	ReasonLimit           Reason = "limit"                  // it would cost too much to find out
)

// A RefusedError says why a product was refused. Texts in it can come from
// hostile documents; Error and Explain quote them.
type RefusedError struct {
	Reason Reason
	Msg    string
	// Sublayout is the way to the layout that failed: the names of the steps
	// that lead to it, from the outermost; empty for the layout itself.
	Sublayout []string
	Step      string // or inspection; empty when it is about no step in particular
	Rule      string // the artifact or attribute rule
	Artifact  string
	// Want and Got are the digests of Artifact by step From and by Step, when
	// it is their difference that broke a MATCH rule.
	Want, Got provenance.DigestSet
	From      string
	// Notes are what was passed over on the way: links that could not be
	// counted, and why.
	Notes []Note
}

func refuse(r Reason, format string, args ...any) *RefusedError {
	return &RefusedError{Reason: r, Msg: fmt.Sprintf(format, args...)}
}

func (e *RefusedError) Error() string {
	var b strings.Builder
	b.WriteString("refused: " + string(e.Reason) + ": ")
	if e.Step != "" {
		b.WriteString("step " + clip(where(e.Sublayout, e.Step)) + ": ")
	} else if len(e.Sublayout) > 0 {
		b.WriteString("sublayout " + clip(strings.Join(e.Sublayout, "/")) + ": ")
	}
	if e.Rule != "" {
		b.WriteString("rule " + clip(e.Rule) + ": ")
	}
	if e.Artifact != "" {
		b.WriteString(clip(e.Artifact) + ": ")
	}
	b.WriteString(e.Msg)
	if len(e.Want) > 0 {
		fmt.Fprintf(&b, ": %s has %s, %s has %s", clip(e.From), e.Want, clip(e.Step), e.Got)
	}
	return b.String()
}

// Explain returns the error and its notes on lines of their own, for people.
func (e *RefusedError) Explain() string {
	var b strings.Builder
	b.WriteString(e.Error() + "\n")
	for _, n := range e.Notes {
		b.WriteString("  note: " + n.String() + "\n")
	}
	return b.String()
}

// A Note is something that did not decide the verdict and that somebody should
// know: a link that was passed over, a command that differs from the expected.
type Note struct {
	Step string // with the names of the steps around it, joined by "/"; may be empty
	Msg  string
}

func (n Note) String() string {
	if n.Step == "" {
		return n.Msg
	}
	return "step " + clip(n.Step) + ": " + n.Msg
}

func where(sublayout []string, step string) string {
	return strings.Join(append(append([]string(nil), sublayout...), step), "/")
}

// clip makes hostile text fit a message.
func clip(s string) string {
	const most = 200
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return strconv.QuoteToGraphic(s)
}
