package predicate

import (
	"strconv"

	"github.com/hallmark-build/hallmark/provenance"
)

// SCAI is an attribute report: attributes of the subjects, or of what produced
// them, with evidence, predicate type [TypeSCAI] (in-toto attestation,
// spec/predicates/scai.md, version 0.3).
type SCAI struct {
	Attributes []AttributeAssertion           `json:"attributes"` // required
	Producer   *provenance.ResourceDescriptor `json:"producer,omitempty"`
}

// AttributeAssertion asserts one attribute.
type AttributeAssertion struct {
	Attribute  string                         `json:"attribute"`        // "WITH_STACK_PROTECTION"; required
	Target     *provenance.ResourceDescriptor `json:"target,omitempty"` // the subjects when nil
	Conditions map[string]any                 `json:"conditions,omitempty"`
	Evidence   *provenance.ResourceDescriptor `json:"evidence,omitempty"`
}

// Validate checks the required fields and the descriptors.
func (s *SCAI) Validate() error {
	if len(s.Attributes) == 0 {
		return bad("SCAI: attributes is required")
	}
	for i, a := range s.Attributes {
		at := "attributes[" + strconv.Itoa(i) + "]"
		if a.Attribute == "" {
			return bad("SCAI: %s.attribute is required", at)
		}
		if err := optionalDescriptor(at+".target", a.Target); err != nil {
			return wrap("SCAI", err)
		}
		if err := optionalDescriptor(at+".evidence", a.Evidence); err != nil {
			return wrap("SCAI", err)
		}
	}
	return wrap("SCAI", optionalDescriptor("producer", s.Producer))
}

// optionalDescriptor checks a descriptor that may be unset. The empty object is unset too.
func optionalDescriptor(field string, r *provenance.ResourceDescriptor) error {
	if r == nil || r.Name == "" && r.DownloadLocation == "" && r.MediaType == "" && len(r.Annotations) == 0 &&
		r.URI == "" && len(r.Digest) == 0 && len(r.Content) == 0 {
		return nil
	}
	return descriptor(field, *r)
}

// Statement validates the report and states it about the subjects.
func (s *SCAI) Statement(subjects []provenance.ResourceDescriptor) (*provenance.Statement, error) {
	return statement(s, subjects, TypeSCAI)
}

// ParseSCAI reads a predicate of type [TypeSCAI].
func ParseSCAI(predicate []byte) (*SCAI, error) {
	return parse[SCAI]("SCAI", predicate)
}
