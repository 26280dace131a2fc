package predicate

import (
	"strconv"

	"github.com/hallmark-build/hallmark/provenance"
)

// SourceProvenance says how a revision came to be on a branch, predicate types
// [TypeSourceProvenance] and [TypeSourceProvenanceDraft]. SLSA leaves the format
// open; this is the one of the SLSA source tool. The subject is the revision,
// by gitCommit.
type SourceProvenance struct {
	PrevCommit   string          `json:"prev_commit,omitempty"`
	RepoURI      string          `json:"repo_uri"`                // required
	ActivityType string          `json:"activity_type,omitempty"` // "pr_merge"
	Actor        string          `json:"actor"`                   // required
	Branch       string          `json:"branch"`                  // "refs/heads/main"; required
	CreatedOn    Timestamp       `json:"created_on"`              // required
	Controls     []SourceControl `json:"controls,omitempty"`
}

// SourceControl is a technical control that is enforced on a branch or a tag.
type SourceControl struct {
	Name  string    `json:"name"`
	Since Timestamp `json:"since"`
}

// Validate checks the fields without which the predicate says nothing.
func (s *SourceProvenance) Validate() error { return wrap("source provenance", s.validate()) }

func (s *SourceProvenance) validate() error {
	if err := missing("repo_uri", s.RepoURI, "actor", s.Actor, "branch", s.Branch); err != nil {
		return err
	}
	return validateSource(s.CreatedOn, s.Controls)
}

func validateSource(createdOn Timestamp, controls []SourceControl) error {
	if createdOn.IsZero() {
		return bad("created_on is required")
	}
	seen := make(map[string]bool, len(controls))
	for i, c := range controls {
		at := "controls[" + strconv.Itoa(i) + "]"
		if c.Name == "" {
			return bad("%s.name is required", at)
		}
		// Two beginnings of one control leave open which one counts.
		if seen[c.Name] {
			return bad("%s: a second control %s", at, clip(c.Name))
		}
		seen[c.Name] = true
		if c.Since.IsZero() {
			return bad("%s.since is required", at)
		}
		if err := c.Since.utc(at + ".since"); err != nil {
			return err
		}
	}
	return createdOn.utc("created_on")
}

// Statement validates the provenance and states it about the subjects, the revision.
func (s *SourceProvenance) Statement(subjects []provenance.ResourceDescriptor) (*provenance.Statement, error) {
	return statement(s, subjects, TypeSourceProvenance)
}

// ParseSourceProvenance reads a predicate of type [TypeSourceProvenance] or [TypeSourceProvenanceDraft].
func ParseSourceProvenance(predicate []byte) (*SourceProvenance, error) {
	return parse[SourceProvenance]("source provenance", predicate)
}

// TagProvenance says how a tag came to be, predicate types [TypeTagProvenance]
// and [TypeTagProvenanceDraft] of the SLSA source tool.
type TagProvenance struct {
	RepoURI      string          `json:"repo_uri"`   // required
	Actor        string          `json:"actor"`      // required
	Tag          string          `json:"tag"`        // "refs/tags/v1.0.0"; required
	CreatedOn    Timestamp       `json:"created_on"` // required
	Controls     []SourceControl `json:"controls,omitempty"`
	VSASummaries []VSASummary    `json:"vsa_summaries,omitempty"`
}

// VSASummary repeats what a source VSA said about the tagged revision.
type VSASummary struct {
	SourceRefs     []string `json:"source_refs"`
	VerifiedLevels []string `json:"verifiedLevels"`
}

// Validate checks the fields without which the predicate says nothing.
func (t *TagProvenance) Validate() error { return wrap("tag provenance", t.validate()) }

func (t *TagProvenance) validate() error {
	if err := missing("repo_uri", t.RepoURI, "actor", t.Actor, "tag", t.Tag); err != nil {
		return err
	}
	return validateSource(t.CreatedOn, t.Controls)
}

// Statement validates the provenance and states it about the subjects, the tagged revision.
func (t *TagProvenance) Statement(subjects []provenance.ResourceDescriptor) (*provenance.Statement, error) {
	return statement(t, subjects, TypeTagProvenance)
}

// ParseTagProvenance reads a predicate of type [TypeTagProvenance] or [TypeTagProvenanceDraft].
func ParseTagProvenance(predicate []byte) (*TagProvenance, error) {
	return parse[TagProvenance]("tag provenance", predicate)
}
