package predicate

import (
	"github.com/hallmark-build/hallmark/provenance"
)

// SVR is a simple verification result: properties that a verifier found the
// subjects to have, predicate type [TypeSVR] (in-toto attestation,
// spec/predicates/svr.md, version 0.2).
type SVR struct {
	Verifier    SVRVerifier `json:"verifier"`
	TimeCreated Timestamp   `json:"timeCreated"` // required
	Properties  []string    `json:"properties"`  // what passed; required
}

// SVRVerifier is who verified, and by which policies.
type SVRVerifier struct {
	ID string `json:"id"` // a URI; required
	// Policies must be set, and be empty rather than nil where there was no policy.
	Policies []provenance.ResourceDescriptor `json:"policies"`
}

// Validate checks the required fields.
func (s *SVR) Validate() error {
	if s.Verifier.Policies == nil {
		return bad("SVR v0.2: verifier.policies is required, empty if there are none")
	}
	return wrap("SVR v0.2", s.validate())
}

func (s *SVR) validate() error {
	if err := missing("verifier.id", s.Verifier.ID); err != nil {
		return err
	}
	if s.TimeCreated.IsZero() {
		return bad("timeCreated is required")
	}
	if len(s.Properties) == 0 {
		return bad("properties is required")
	}
	for i, p := range s.Properties {
		if p == "" {
			return bad("properties[%d] is empty", i)
		}
	}
	if err := descriptors("verifier.policies", s.Verifier.Policies); err != nil {
		return err
	}
	return s.TimeCreated.utc("timeCreated")
}

// Statement validates the result and states it about the subjects.
func (s *SVR) Statement(subjects []provenance.ResourceDescriptor) (*provenance.Statement, error) {
	return statement(s, subjects, TypeSVR)
}

// ParseSVR reads a predicate of type [TypeSVR].
func ParseSVR(predicate []byte) (*SVR, error) {
	return parse[SVR]("SVR v0.2", predicate)
}

// ParseSVRV01 reads a predicate of type [TypeSVRV01], which has no policies.
func ParseSVRV01(predicate []byte) (*SVR, error) {
	var s SVR
	if err := decode(predicate, &s); err != nil {
		return nil, wrap("SVR v0.1", err)
	}
	s.Verifier.Policies = nil // of v0.2; in v0.1 an extension with a meaning of its own
	if err := s.validate(); err != nil {
		return nil, wrap("SVR v0.1", err)
	}
	return &s, nil
}
