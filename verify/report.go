package verify

import (
	"time"

	"github.com/hallmark-build/hallmark/provenance"
)

// ReportSchema is the value of a report's schema field.
const ReportSchema = "https://hallmark.build/report/v1"

// A Report says how an artifact was judged: data for people and machines,
// rendered by package verify/report. It is not a proof: anybody can write one.
// Text in it that comes from evidence (names, URIs, messages) is what somebody
// claimed, and must be escaped by whoever shows it.
//
// Two runs over the same artifact, policy, instant and relevant evidence give
// the same report, byte for byte in JSON, whatever the order of the evidence.
type Report struct {
	Schema    string           `json:"schema"` // [ReportSchema]
	Passed    bool             `json:"passed"`
	Artifacts []ReportArtifact `json:"artifacts"`
	Policy    ReportPolicy     `json:"policy"`
	At        time.Time        `json:"at"`
	// Stages are in the order of the flow, sources first.
	Stages []ReportStage `json:"stages"`
	// Edges are the flows of artifacts that the proof uses.
	Edges []ReportEdge `json:"edges"`
	// Findings are what broke the chain, most telling first; empty in a pass.
	Findings []Finding `json:"findings,omitempty"`
	// Notes are remarks that do not change the verdict: completeness that it
	// rests on, claimed times that stood in for trusted ones.
	Notes []string `json:"notes,omitempty"`
}

// A ReportArtifact is an artifact that was judged.
type ReportArtifact struct {
	Name   string               `json:"name"`
	Digest provenance.DigestSet `json:"digest"`
}

// A ReportPolicy names the policy.
type ReportPolicy struct {
	Name    string `json:"name"`
	Version int64  `json:"version,omitempty"`
	Digest  string `json:"digest,omitempty"` // of the bytes it was read from, "sha256:…"
}

// The states of a stage in a report.
const (
	StageHolds      = "holds"       // everything about it was shown
	StageFails      = "fails"       // what broke the chain is here
	StageNotReached = "not-reached" // not examined, because an earlier stage in the walk failed
	StageAbsent     = "absent"      // optional, and nothing flows through it
)

// A ReportStage is one stage and the statements that were chosen for it.
type ReportStage struct {
	Name       string            `json:"name"`
	State      string            `json:"state"`
	Statements []ReportStatement `json:"statements,omitempty"`
	// Inputs are the materials that came from outside.
	Inputs []ReportInput `json:"inputs,omitempty"`
}

// A ReportStatement is a statement that a stage rests on.
type ReportStatement struct {
	Digest        string         `json:"digest"` // SHA-256 of the statement's bytes
	PredicateType string         `json:"predicateType"`
	Signers       []ReportSigner `json:"signers"`
	Products      int            `json:"products"`  // how many subjects it has
	Materials     int            `json:"materials"` // how many materials it lists
}

// A ReportSigner is a principal whose signature counted.
type ReportSigner struct {
	Name      string    `json:"name"`      // the policy's name for it
	Principal string    `json:"principal"` // the key or identity itself
	Time      time.Time `json:"time,omitzero"`
	// TimeSource says where Time comes from: "timestamp", "log", "claimed".
	TimeSource string `json:"timeSource,omitempty"`
}

// A ReportInput is a material that an input of the policy admitted.
type ReportInput struct {
	Input  string               `json:"input"` // the policy's name for it
	Name   string               `json:"name"`
	Digest provenance.DigestSet `json:"digest,omitempty"`
}

// A ReportEdge is one artifact on its way: a product of From that is a
// material of To, or that To is about, or (To empty) the artifact judged.
type ReportEdge struct {
	From    string            `json:"from"`
	To      string            `json:"to,omitempty"`
	About   bool              `json:"about,omitempty"`
	Product string            `json:"product"`            // its name as From has it
	Name    string            `json:"material,omitempty"` // its name as To has it
	Digest  provenance.Digest `json:"digest"`
}

// A Finding is one thing that broke the chain.
type Finding struct {
	Reason Reason `json:"reason"`
	Stage  string `json:"stage,omitempty"`
	// Message says it in a sentence.
	Message string `json:"message"`
	// File, Want, Got, WantStage and GotStage are set where a digest differs
	// or an artifact is missing: what the product was in WantStage, and what
	// GotStage used.
	File      string `json:"file,omitempty"`
	Want      string `json:"want,omitempty"`
	WantStage string `json:"wantStage,omitempty"`
	Got       string `json:"got,omitempty"`
	GotStage  string `json:"gotStage,omitempty"`
	// Nearest is the statement that came closest, by its SHA-256.
	Nearest string `json:"nearest,omitempty"`
	// Mend says what would make it pass, if the artifact is honest.
	Mend string `json:"mend,omitempty"`
}

// A Proof says why an artifact passed. Only [Verifier.Verify] makes one; the
// zero Proof proves nothing.
type Proof struct {
	report     *Report
	statements []*VerifiedStatement
}

// Report returns the proof as data.
func (p *Proof) Report() *Report {
	if p == nil {
		return nil
	}
	return p.report
}

// Statements returns the statements that the proof uses, ordered by digest.
func (p *Proof) Statements() []*VerifiedStatement {
	if p == nil {
		return nil
	}
	return p.statements
}

// A RefusedError says that the policy does not hold for the artifact.
type RefusedError struct {
	Report *Report
}

func (e *RefusedError) Error() string {
	if len(e.Report.Findings) == 0 {
		return "refused"
	}
	f := e.Report.Findings[0]
	s := "refused: " + string(f.Reason) + ": "
	if f.Stage != "" {
		s += "stage " + f.Stage + ": "
	}
	return s + f.Message
}

// Reason returns the reason of the most telling finding.
func (e *RefusedError) Reason() Reason {
	if len(e.Report.Findings) == 0 {
		return ReasonNoStatement
	}
	return e.Report.Findings[0].Reason
}
