package slsa

import (
	"slices"
	"strings"
	"time"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/predicate"
	"github.com/hallmark-build/hallmark/verify"
)

// A Summary says how to issue a summary of a verdict: everything that the
// verdict does not say itself.
type Summary struct {
	VerifierID      string            // the verifier.id, a URI; required
	VerifierVersion map[string]string // component to version
	// ResourceURI is where the consumer gets the artifact. Required for a VSA.
	ResourceURI string
	// Policy names the policy: URI is required. Its SHA-256 is added from the
	// verdict's report; a policy that was not read from bytes needs a digest here.
	Policy provenance.ResourceDescriptor
	At     time.Time // timeVerified; required
	// Build holds what [Verify] found about the artifacts, and Source what
	// [VerifySource] or [VerifyVSA] found. They must rest on statements that
	// the proof uses. Tracks without any are UNEVALUATED (build) or left out.
	Build  []*Result
	Source []*SummaryResult
}

// SVRChain is the property of an SVR that says that the policy holds for the whole chain of the artifacts.
const SVRChain = "HALLMARK_CHAIN_VERIFIED"

// PassedVSA issues a verification summary v1 (SLSA v1.2, verification
// summary) that says PASSED: only from a proof, and with no level beyond what
// was shown. Its subjects are the artifacts of the proof, its
// inputAttestations all statements that the proof uses, by the SHA-256 of
// their bytes. Sign it with package sign.
func PassedVSA(proof *verify.Proof, s Summary) (*provenance.Statement, error) {
	report := proof.Report()
	if report == nil || !report.Passed || len(report.Findings) > 0 || len(proof.Statements()) == 0 {
		return nil, refuse(ReasonProof, "no proof: a summary that says PASSED needs one")
	}
	vsa, subjects, err := s.vsa(report)
	if err != nil {
		return nil, err
	}
	vsa.VerificationResult = predicate.Passed
	if vsa.VerifiedLevels, err = s.levels(proof); err != nil {
		return nil, err
	}
	for _, st := range proof.Statements() {
		vsa.InputAttestations = append(vsa.InputAttestations, input(st.Digest()))
	}
	return vsa.Statement(subjects)
}

// FailedVSA issues a verification summary v1 that says FAILED, about the
// artifacts that were refused. Its inputAttestations are the statements that the
// refusal names; levels are not part of it.
func FailedVSA(refused *verify.RefusedError, s Summary) (*provenance.Statement, error) {
	if refused == nil || refused.Report == nil || refused.Report.Passed {
		return nil, refuse(ReasonProof, "no refusal: a summary that says FAILED needs one")
	}
	if len(s.Build)+len(s.Source) > 0 {
		return nil, refuse(ReasonRequest, "a summary that says FAILED has no levels")
	}
	vsa, subjects, err := s.vsa(refused.Report)
	if err != nil {
		return nil, err
	}
	vsa.VerificationResult, vsa.VerifiedLevels = predicate.Failed, []string{predicate.Failed}
	var used []provenance.Digest
	for _, stage := range refused.Report.Stages {
		for _, st := range stage.Statements {
			d, err := provenance.ParseDigest(st.Digest)
			if err != nil {
				return nil, err
			}
			used = append(used, d)
		}
	}
	slices.SortFunc(used, provenance.Digest.Compare)
	for _, d := range slices.Compact(used) {
		vsa.InputAttestations = append(vsa.InputAttestations, input(d))
	}
	return vsa.Statement(subjects)
}

// SVR issues a simple verification result v0.2 (in-toto attestation,
// predicates/svr.md) from a proof. Its properties are [SVRChain] and the levels that
// a VSA would have. A refusal has no properties that passed, and so no SVR.
func SVR(proof *verify.Proof, s Summary) (*provenance.Statement, error) {
	report := proof.Report()
	if report == nil || !report.Passed || len(report.Findings) > 0 || len(proof.Statements()) == 0 {
		return nil, refuse(ReasonProof, "no proof: a verification result needs one")
	}
	if s.ResourceURI == "" {
		s.ResourceURI = "unused" // an SVR has no place for it
	}
	vsa, subjects, err := s.vsa(report)
	if err != nil {
		return nil, err
	}
	levels, err := s.levels(proof)
	if err != nil {
		return nil, err
	}
	levels = slices.DeleteFunc(levels, func(l string) bool { return strings.HasSuffix(l, "_UNEVALUATED") })
	svr := &predicate.SVR{
		Verifier:    predicate.SVRVerifier{ID: s.VerifierID, Policies: []provenance.ResourceDescriptor{vsa.Policy}},
		TimeCreated: vsa.TimeVerified,
		Properties:  append([]string{SVRChain}, levels...),
	}
	return svr.Statement(subjects)
}

func input(statement provenance.Digest) provenance.ResourceDescriptor {
	return provenance.ResourceDescriptor{Digest: provenance.DigestSet{statement}, MediaType: verify.StatementMediaType}
}

// vsa fills in what passed and failed summaries have in common.
func (s *Summary) vsa(report *verify.Report) (*predicate.VSA, []provenance.ResourceDescriptor, error) {
	switch {
	case s.VerifierID == "":
		return nil, nil, refuse(ReasonRequest, "no verifier id")
	case s.ResourceURI == "":
		return nil, nil, refuse(ReasonRequest, "no resource uri")
	case s.Policy.URI == "":
		return nil, nil, refuse(ReasonRequest, "no uri of the policy")
	case s.At.IsZero():
		return nil, nil, refuse(ReasonRequest, "no time of verification")
	case len(report.Artifacts) == 0:
		return nil, nil, refuse(ReasonProof, "the verdict is about no artifact")
	}
	policy := s.Policy
	policy.Digest = slices.Clone(policy.Digest)
	if report.Policy.Digest != "" {
		judged, err := provenance.ParseDigest(report.Policy.Digest)
		if err != nil {
			return nil, nil, err
		}
		switch given := policy.Digest.Get(judged.Algorithm()); {
		case given.IsZero():
			policy.Digest = append(policy.Digest, judged)
		case given != judged:
			return nil, nil, differs(ReasonProof, "the digest of the policy is not that of the verdict", judged.String(), given.String())
		}
	}
	if len(policy.Digest) == 0 {
		return nil, nil, refuse(ReasonRequest, "the policy has no digest: nobody could tell by which revision was judged")
	}
	var subjects []provenance.ResourceDescriptor
	for _, a := range report.Artifacts {
		subjects = append(subjects, provenance.ResourceDescriptor{Name: a.Name, Digest: a.Digest})
	}
	return &predicate.VSA{
		Verifier:     predicate.Verifier{ID: s.VerifierID, Version: s.VerifierVersion},
		TimeVerified: predicate.At(s.At), ResourceURI: s.ResourceURI, Policy: policy, SLSAVersion: "1.2",
	}, subjects, nil
}

// levels are the levels that the results show for every artifact of the proof:
// the lowest counts, and an artifact without a result leaves the track unevaluated.
func (s *Summary) levels(proof *verify.Proof) ([]string, error) {
	used := map[provenance.Digest]bool{}
	for _, st := range proof.Statements() {
		used[st.Digest()] = true
	}
	rests := func(st *verify.VerifiedStatement) error {
		if st == nil || !used[st.Digest()] {
			return refuse(ReasonProof, "a level rests on a statement that the proof does not use")
		}
		return nil
	}
	for _, r := range s.Build {
		if r == nil {
			return nil, refuse(ReasonProof, "no result")
		}
		if err := rests(r.statement); err != nil {
			return nil, err
		}
	}
	source := 0
	for i, r := range s.Source {
		if r == nil {
			return nil, refuse(ReasonProof, "no result")
		}
		if err := rests(r.statement); err != nil {
			return nil, err
		}
		if n := r.Level(TrackSource); i == 0 || n < source {
			source = n // of several sources the weakest counts
		}
	}
	build := 0
	for i, a := range proof.Report().Artifacts {
		of := 0
		for _, r := range s.Build {
			if r.artifact.Digests.Matches(a.Digest) {
				of = max(of, r.level)
			}
		}
		if i == 0 || of < build {
			build = of
		}
	}
	out := []string{predicate.Level{Track: TrackBuild, Unevaluated: true}.String()}
	if build > 0 {
		out[0] = levelName(TrackBuild, build)
	}
	if source > 0 {
		out = append(out, levelName(TrackSource, source))
	}
	return out, nil
}
