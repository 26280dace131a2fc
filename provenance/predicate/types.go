package predicate

// Type URIs of the predicates that this package knows. Sections name
// specifications of the in-toto attestation framework (spec/predicates) unless
// they say otherwise.
const (
	// TypeSLSAProvenance is SLSA provenance v1 (slsa.dev/spec/v1.2/provenance), the
	// same for all versions 1.x of SLSA. See [SLSAProvenance].
	TypeSLSAProvenance = "https://slsa.dev/provenance/v1"
	// TypeSLSAProvenanceV02 is its predecessor. See [SLSAProvenanceV02].
	TypeSLSAProvenanceV02 = "https://slsa.dev/provenance/v0.2"
	// TypeSLSAProvenanceV01 and its older alias are what Google Cloud Build writes. See [ParseProvenance].
	TypeSLSAProvenanceV01   = "https://slsa.dev/provenance/v0.1"
	TypeInTotoProvenanceV01 = "https://in-toto.io/Provenance/v0.1"

	// TypeLink is link v0.3 (link.md). See [Link].
	TypeLink = "https://in-toto.io/attestation/link/v0.3"
	// TypeLinkV02 and TypeLinkV1, which in-toto-golang writes, have materials in a map. See [ParseLinkV02].
	TypeLinkV02 = "https://in-toto.io/Link/v0.2"
	TypeLinkV1  = "https://in-toto.io/Link/v1"

	// TypeVSA is the verification summary v1 (slsa.dev/spec/v1.2/verification_summary). See [VSA].
	TypeVSA = "https://slsa.dev/verification_summary/v1"
	// TypeVSAV02 is its predecessor. See [ParseVSAV02].
	TypeVSAV02 = "https://slsa.dev/verification_summary/v0.2"
	// TypeSVR is the simple verification result v0.2. See [SVR].
	TypeSVR = "https://in-toto.io/attestation/svr/v0.2"
	// TypeSVRV01 is its predecessor (svr.md). See [ParseSVRV01].
	TypeSVRV01 = "https://in-toto.io/attestation/svr/v0.1"

	// TypeTestResult is test-result v0.1 (test-result.md). See [TestResult].
	TypeTestResult = "https://in-toto.io/attestation/test-result/v0.1"
	// TypeVulns is vulns v0.2 (vulns_02.md). See [Vulns].
	TypeVulns = "https://in-toto.io/attestation/vulns/v0.2"
	// TypeVulnsV01 is its predecessor (vuln.md). See [ParseVulnsV01].
	TypeVulnsV01 = "https://in-toto.io/attestation/vulns/v0.1"
	// TypeCosignVuln is cosign's vulnerability scan record (cosign,
	// specs/COSIGN_VULN_ATTESTATION_SPEC.md), which trivy writes too. See [CosignVuln].
	TypeCosignVuln = "https://cosign.sigstore.dev/attestation/vuln/v1"
	// TypeOpenVEX and TypeOpenVEXV020 are OpenVEX documents (openvex/spec, OPENVEX-SPEC.md
	// and ATTESTING.md). See [OpenVEX].
	TypeOpenVEX     = "https://openvex.dev/ns"
	TypeOpenVEXV020 = "https://openvex.dev/ns/v0.2.0"
	// TypeSCAI is SCAI v0.3 (scai.md). See [SCAI].
	TypeSCAI = "https://in-toto.io/attestation/scai/v0.3"
	// TypeRuntimeTrace is runtime-trace v0.1 (runtime-trace.md). See [RuntimeTrace].
	TypeRuntimeTrace = "https://in-toto.io/attestation/runtime-trace/v0.1"
	// TypeReference is reference v0.1 (reference.md). See [Reference].
	TypeReference = "https://in-toto.io/attestation/reference/v0.1"

	// TypeRelease is release v0.2 (release.md). See [Release].
	TypeRelease = "https://in-toto.io/attestation/release/v0.2"
	// TypeReleaseV01 is its predecessor. See [ParseReleaseV01].
	TypeReleaseV01 = "https://in-toto.io/attestation/release/v0.1"
	// TypeNPMPublish is what the npm registry states about each package (npm/attestation). See [NPMPublish].
	TypeNPMPublish = "https://github.com/npm/attestation/tree/main/specs/publish/v0.1"
	// TypePyPIPublish is what a publisher states about each file on PyPI (PEP
	// 740). Its predicate is empty: the signer and the subject say it all.
	TypePyPIPublish = "https://docs.pypi.org/attestations/publish/v1"

	// TypeSourceProvenance and its draft are source provenance of the SLSA source tool. See [SourceProvenance].
	TypeSourceProvenance      = "https://github.com/slsa-framework/source-tool/source-provenance/v1"
	TypeSourceProvenanceDraft = "https://github.com/slsa-framework/slsa-source-poc/source-provenance/v1-draft"
	// TypeTagProvenance and its draft are the same for tags. See [TagProvenance].
	TypeTagProvenance      = "https://github.com/slsa-framework/source-tool/tag-provenance/v1"
	TypeTagProvenanceDraft = "https://github.com/slsa-framework/slsa-source-poc/tag-provenance/v1-draft"

	// TypeWitnessCollection is the collection of attestations that witness makes of one step. See [WitnessCollection].
	TypeWitnessCollection = "https://witness.testifysec.com/attestation-collection/v0.1"
	// TypeCosignCustom is what cosign makes of a predicate without a type: {"Data": …, "Timestamp": …}.
	TypeCosignCustom = "https://cosign.sigstore.dev/attestation/v1"

	// TypeSPDX is an SPDX 2 document in JSON (spdx2.md), the spelling that cosign writes.
	TypeSPDX = "https://spdx.dev/Document"
	// TypeSPDXV23 is the spelling of spdx2.md for SPDX 2.3.
	TypeSPDXV23 = "https://spdx.dev/Document/v2.3"
	// TypeSPDX3 is an SPDX 3 document in JSON-LD (spdx3.md).
	TypeSPDX3 = "https://spdx.dev/Document/v3"
	// TypeCycloneDX is a CycloneDX document in JSON (cyclonedx.md), the spelling that cosign writes.
	TypeCycloneDX = "https://cyclonedx.org/bom"
)

// IsSBOM reports whether statements of the type carry a software bill of
// materials, SPDX or CycloneDX, in any of the spellings in use. Package sbom
// reads it.
func IsSBOM(predicateType string) bool {
	return isSPDX2(predicateType) || isSPDX3(predicateType) || isCycloneDX(predicateType)
}

func isSPDX2(predicateType string) bool {
	switch predicateType {
	case TypeSPDX, "https://spdx.dev/Document/v2.2", TypeSPDXV23:
		return true
	}
	return false
}

func isSPDX3(predicateType string) bool {
	switch predicateType {
	case TypeSPDX3, "https://spdx.dev/Document/v3.0", "https://spdx.dev/Document/v3.0.1":
		return true
	}
	return false
}

func isCycloneDX(predicateType string) bool {
	switch predicateType {
	case TypeCycloneDX, "https://cyclonedx.org/bom/v1.2", "https://cyclonedx.org/bom/v1.3",
		"https://cyclonedx.org/bom/v1.4", "https://cyclonedx.org/bom/v1.5",
		"https://cyclonedx.org/bom/v1.6", "https://cyclonedx.org/bom/v1.7":
		return true
	}
	return false
}
