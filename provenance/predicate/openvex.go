package predicate

import (
	"strconv"

	"github.com/hallmark-build/hallmark/provenance"
)

// OpenVEX says which vulnerabilities affect products and which do not,
// predicate types [TypeOpenVEX] and [TypeOpenVEXV020] (openvex/spec,
// OPENVEX-SPEC.md, version 0.2.0). Times may have an offset.
type OpenVEX struct {
	Context     string         `json:"@context"` // [TypeOpenVEXV020]; required
	ID          string         `json:"@id"`      // required
	Author      string         `json:"author"`   // required
	Role        string         `json:"role,omitempty"`
	Timestamp   Timestamp      `json:"timestamp"` // required
	LastUpdated Timestamp      `json:"last_updated,omitzero"`
	Version     int            `json:"version"` // from 1 on; required
	Tooling     string         `json:"tooling,omitempty"`
	Statements  []VEXStatement `json:"statements"` // required
}

// VEXStatement is the status of one vulnerability in some products.
type VEXStatement struct {
	ID            string           `json:"@id,omitempty"`
	Version       int              `json:"version,omitempty"`
	Vulnerability VEXVulnerability `json:"vulnerability"`
	Timestamp     Timestamp        `json:"timestamp,omitzero"`
	LastUpdated   Timestamp        `json:"last_updated,omitzero"`
	// Products may be empty: then the statement is about the subjects (ATTESTING.md).
	Products []VEXProduct `json:"products,omitempty"`
	// Status is "not_affected", "affected", "fixed" or "under_investigation". Required.
	Status      string `json:"status"`
	Supplier    string `json:"supplier,omitempty"`
	StatusNotes string `json:"status_notes,omitempty"`
	// Justification or ImpactStatement says why a product is not affected.
	Justification   string `json:"justification,omitempty"`
	ImpactStatement string `json:"impact_statement,omitempty"`
	// ActionStatement says what to do about an affected product.
	ActionStatement          string    `json:"action_statement,omitempty"`
	ActionStatementTimestamp Timestamp `json:"action_statement_timestamp,omitzero"`
}

// VEXVulnerability names a vulnerability.
type VEXVulnerability struct {
	ID          string   `json:"@id,omitempty"`
	Name        string   `json:"name"` // "CVE-2017-5645"; required
	Description string   `json:"description,omitempty"`
	Aliases     []string `json:"aliases,omitempty"`
}

// VEXProduct names a product and the parts of it that are meant.
type VEXProduct struct {
	VEXComponent
	Subcomponents []VEXComponent `json:"subcomponents,omitempty"`
}

// VEXComponent names a piece of software by an IRI, such as a package URL, by identifiers or by hashes.
type VEXComponent struct {
	ID          string            `json:"@id,omitempty"`
	Identifiers map[string]string `json:"identifiers,omitempty"` // "purl", "cpe22", "cpe23"
	Hashes      map[string]string `json:"hashes,omitempty"`      // "sha-256" and so on
}

// Validate checks the required fields and that each status has what it needs
// (OPENVEX-SPEC.md, Status and Justification).
func (v *OpenVEX) Validate() error { return wrap("OpenVEX", v.validate()) }

func (v *OpenVEX) validate() error {
	switch v.Context {
	case TypeOpenVEXV020, TypeOpenVEX:
	case "":
		return bad("@context is required")
	default:
		return bad("@context: want %s, found %s", TypeOpenVEXV020, clip(v.Context))
	}
	if err := missing("@id", v.ID, "author", v.Author); err != nil {
		return err
	}
	if v.Timestamp.IsZero() {
		return bad("timestamp is required")
	}
	if v.Version < 1 {
		return bad("version: want a number from 1 on, found %d", v.Version)
	}
	if len(v.Statements) == 0 {
		return bad("statements is required")
	}
	for i := range v.Statements {
		if err := v.Statements[i].validate(); err != nil {
			return wrap("statements["+strconv.Itoa(i)+"]", err)
		}
	}
	return ordered("timestamp", v.Timestamp, "last_updated", v.LastUpdated)
}

func (s *VEXStatement) validate() error {
	if err := missing("vulnerability.name", s.Vulnerability.Name, "status", s.Status); err != nil {
		return err
	}
	switch s.Status {
	case "fixed", "under_investigation":
	case "not_affected":
		if s.Justification == "" && s.ImpactStatement == "" {
			return bad("status not_affected wants a justification or an impact_statement")
		}
	case "affected":
		if s.ActionStatement == "" {
			return bad("status affected wants an action_statement")
		}
	default:
		return bad("status: want not_affected, affected, fixed or under_investigation, found %s", clip(s.Status))
	}
	switch s.Justification {
	case "", "component_not_present", "vulnerable_code_not_present", "vulnerable_code_not_in_execute_path",
		"vulnerable_code_cannot_be_controlled_by_adversary", "inline_mitigations_already_exist":
	default:
		return bad("justification %s is not one of OpenVEX's", clip(s.Justification))
	}
	for i, p := range s.Products {
		if p.ID == "" && len(p.Identifiers) == 0 && len(p.Hashes) == 0 {
			return bad("products[%d] has neither @id, identifiers nor hashes", i)
		}
	}
	return nil
}

// Statement validates the document and states it about the subjects.
func (v *OpenVEX) Statement(subjects []provenance.ResourceDescriptor) (*provenance.Statement, error) {
	return statement(v, subjects, TypeOpenVEXV020)
}

// ParseOpenVEX reads a predicate of type [TypeOpenVEX] or [TypeOpenVEXV020].
func ParseOpenVEX(predicate []byte) (*OpenVEX, error) {
	return parse[OpenVEX]("OpenVEX", predicate)
}
