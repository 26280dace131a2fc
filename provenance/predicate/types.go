package predicate

// Type URIs of the predicates that this package knows.
const (
	// TypeSLSAProvenance is SLSA provenance v1 (slsa.dev/spec/v1.2/provenance), the
	// same for all versions 1.x of SLSA.
	TypeSLSAProvenance = "https://slsa.dev/provenance/v1"
	// The older versions are read by ParseProvenance.
	TypeSLSAProvenanceV02   = "https://slsa.dev/provenance/v0.2"
	TypeSLSAProvenanceV01   = "https://slsa.dev/provenance/v0.1"
	TypeInTotoProvenanceV01 = "https://in-toto.io/Provenance/v0.1" // alias of SLSA provenance v0.1

	// TypeLink is link v0.3 (in-toto attestation, spec/predicates/link.md).
	TypeLink = "https://in-toto.io/attestation/link/v0.3"
	// The deprecated spellings have materials in a map, as classic links have.
	TypeLinkV02 = "https://in-toto.io/Link/v0.2"
	TypeLinkV1  = "https://in-toto.io/Link/v1" // what in-toto-golang writes

	// TypeTestResult is test-result v0.1 (spec/predicates/test-result.md).
	TypeTestResult = "https://in-toto.io/attestation/test-result/v0.1"
)
