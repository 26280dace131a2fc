package predicate

import "github.com/hallmark-build/hallmark/provenance"

// Reference points to documents about all the subjects together, such as an
// SBOM that is kept elsewhere, predicate type [TypeReference] (in-toto
// attestation, spec/predicates/reference.md). Several references mean as much
// as several statements with one each.
type Reference struct {
	Attester Attester `json:"attester"`
	// References each need a download location and a media type, and a digest
	// if they are to be of use.
	References []provenance.ResourceDescriptor `json:"references"`
}

// Attester is the system that provides the documents.
type Attester struct {
	ID string `json:"id"` // a URI; required
}

// Validate checks the required fields.
func (r *Reference) Validate() error {
	if err := missing("attester.id", r.Attester.ID); err != nil {
		return wrap("reference", err)
	}
	if len(r.References) == 0 {
		return bad("reference: references is required")
	}
	for i, d := range r.References {
		if d.DownloadLocation == "" || d.MediaType == "" {
			return bad("reference: references[%d] (%s): want a downloadLocation and a mediaType", i, clip(d.Label()))
		}
	}
	return wrap("reference", descriptors("references", r.References))
}

// Statement validates the reference and states it about the subjects.
func (r *Reference) Statement(subjects []provenance.ResourceDescriptor) (*provenance.Statement, error) {
	return statement(r, subjects, TypeReference)
}

// ParseReference reads a predicate of type [TypeReference].
func ParseReference(predicate []byte) (*Reference, error) {
	return parse[Reference]("reference", predicate)
}
