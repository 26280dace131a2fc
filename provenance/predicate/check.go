package predicate

import (
	"github.com/hallmark-build/hallmark/provenance"
)

// Check checks a statement's predicate against its type: what the Parse
// function of the type checks, and what the type wants of the subjects. A type
// that has no Parse function here, an SBOM for one, passes.
func Check(st *provenance.Statement) error {
	b := st.Predicate()
	switch st.PredicateType() {
	case TypeSLSAProvenance, TypeSLSAProvenanceV02, TypeSLSAProvenanceV01, TypeInTotoProvenanceV01:
		_, err := ParseProvenance(st)
		return err
	case TypeLink:
		return checkLink(st, ParseLink)
	case TypeLinkV02, TypeLinkV1:
		return checkLink(st, ParseLinkV02)
	case TypeVSA:
		return check(ParseVSA(b))
	case TypeVSAV02:
		return check(ParseVSAV02(b))
	case TypeSVR:
		return check(ParseSVR(b))
	case TypeSVRV01:
		return check(ParseSVRV01(b))
	case TypeTestResult:
		return check(ParseTestResult(b))
	case TypeVulns:
		return check(ParseVulns(b))
	case TypeVulnsV01:
		return check(ParseVulnsV01(b))
	case TypeCosignVuln:
		return check(ParseCosignVuln(b))
	case TypeScan:
		return check(ParseScan(b))
	case TypeOpenVEX, TypeOpenVEXV020:
		return check(ParseOpenVEX(b))
	case TypeSCAI:
		return check(ParseSCAI(b))
	case TypeRuntimeTrace:
		return check(ParseRuntimeTrace(b))
	case TypeReference:
		return check(ParseReference(b))
	case TypeRelease:
		return check(ParseRelease(b))
	case TypeReleaseV01:
		return check(ParseReleaseV01(b))
	case TypeNPMPublish:
		return check(ParseNPMPublish(b))
	case TypeSourceProvenance, TypeSourceProvenanceDraft:
		return check(ParseSourceProvenance(b))
	case TypeTagProvenance, TypeTagProvenanceDraft:
		return check(ParseTagProvenance(b))
	case TypeWitnessCollection:
		return check(ParseWitnessCollection(b))
	}
	return nil
}

func check[T any](_ *T, err error) error { return err }

func checkLink(st *provenance.Statement, parse func([]byte) (*Link, error)) error {
	if _, err := parse(st.Predicate()); err != nil {
		return err
	}
	return wrap("link", uniqueNames("subject", st.Subjects()))
}
