package predicate

import (
	"slices"
	"strconv"
	"strings"

	"github.com/hallmark-build/hallmark/provenance"
)

// VSA is a verification summary: what a verifier found out about the
// subjects, predicate type [TypeVSA] (slsa.dev/spec/v1.2/verification_summary).
//
// A consumer accepts it only from a signer that it has paired with Verifier.ID,
// for the ResourceURI that it expects, and with Meets for the level that it
// wants; see the seven steps of the specification.
type VSA struct {
	Verifier     Verifier  `json:"verifier"`
	TimeVerified Timestamp `json:"timeVerified,omitzero"`
	ResourceURI  string    `json:"resourceUri"` // where the consumer gets the artifact; required
	// Policy needs a URI, and should have a digest.
	Policy provenance.ResourceDescriptor `json:"policy"`
	// InputAttestations are all that were used, by digest, or none are listed.
	InputAttestations  []provenance.ResourceDescriptor `json:"inputAttestations,omitempty"`
	VerificationResult string                          `json:"verificationResult"` // Passed or Failed; required
	// VerifiedLevels are the highest level of each track and other verified properties, or just Failed. Required.
	VerifiedLevels []string `json:"verifiedLevels"`
	// DependencyLevels counts the transitive dependencies at each level. Here,
	// and nowhere else, empty and unset differ: an empty map says that there
	// are no dependencies, a nil map says nothing.
	DependencyLevels map[string]int `json:"dependencyLevels,omitzero"`
	SLSAVersion      string         `json:"slsaVersion,omitempty"` // "1.2"
}

// Verifier is who verified.
type Verifier struct {
	ID      string            `json:"id"` // a URI; required
	Version map[string]string `json:"version,omitempty"`
}

// Properties that a VSA can have among its levels.
const (
	BuildReproduced        = "SLSA_BUILD_REPRODUCED"
	SourceTwoPartyReviewed = "SLSA_SOURCE_TWO_PARTY_REVIEWED"
)

// Level is an SLSA level of one track, as it stands in a VSA.
type Level struct {
	Track string // "BUILD", "SOURCE"
	N     int    // 0 when Unevaluated
	// Unevaluated means that the verifier did not look at the track.
	Unevaluated bool
}

// String returns "SLSA_BUILD_LEVEL_3" or "SLSA_BUILD_LEVEL_UNEVALUATED".
func (l Level) String() string {
	if l.Unevaluated {
		return "SLSA_" + l.Track + "_LEVEL_UNEVALUATED"
	}
	return "SLSA_" + l.Track + "_LEVEL_" + strconv.Itoa(l.N)
}

// ParseLevel parses a level. ok is false, and there is no error, for what is
// no level: FAILED, a property such as [BuildReproduced], a custom value. What looks
// like a level and is malformed is an error.
func ParseLevel(s string) (level Level, ok bool, err error) {
	rest, ok := strings.CutPrefix(s, "SLSA_")
	if !ok {
		return Level{}, false, nil
	}
	// The track may contain underscores, the number may not.
	i := strings.LastIndex(rest, "_LEVEL_")
	if i < 0 {
		return Level{}, false, nil
	}
	track, n := rest[:i], rest[i+len("_LEVEL_"):]
	for _, c := range track {
		if c != '_' && (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return Level{}, false, bad("level %s: the track is not in capital letters", clip(s))
		}
	}
	if track == "" {
		return Level{}, false, bad("level %s has no track", clip(s))
	}
	if n == "UNEVALUATED" {
		return Level{Track: track, Unevaluated: true}, true, nil
	}
	// One spelling for each number, or two strings would name one level.
	if v, err := strconv.Atoi(n); err == nil && v >= 0 && v < 100 && strconv.Itoa(v) == n {
		return Level{Track: track, N: v}, true, nil
	}
	return Level{}, false, bad("level %s: want a number or UNEVALUATED at the end", clip(s))
}

// Validate checks the required fields; that there is no second level of one
// track; that FAILED stands alone and not beside PASSED; and that every input
// attestation has a digest.
func (v *VSA) Validate() error { return wrap("VSA v1", v.validate()) }

func (v *VSA) validate() error {
	if err := missing("verifier.id", v.Verifier.ID, "resourceUri", v.ResourceURI,
		"policy.uri", v.Policy.URI, "verificationResult", v.VerificationResult); err != nil {
		return err
	}
	if err := v.validateResult(); err != nil {
		return err
	}
	for i, a := range v.InputAttestations {
		if len(a.Digest) == 0 {
			return bad("inputAttestations[%d] (%s): want a digest", i, clip(a.Label()))
		}
	}
	for name, n := range v.DependencyLevels {
		if _, _, err := ParseLevel(name); err != nil {
			return wrap("dependencyLevels", err)
		}
		if n < 0 {
			return bad("dependencyLevels: %s: want a count, found %d", clip(name), n)
		}
	}
	return v.TimeVerified.utc("timeVerified")
}

func (v *VSA) validateResult() error {
	if v.VerificationResult != Passed && v.VerificationResult != Failed {
		return bad("verificationResult: want PASSED or FAILED, found %s", clip(v.VerificationResult))
	}
	if len(v.VerifiedLevels) == 0 {
		return bad("verifiedLevels is required")
	}
	tracks := make(map[string]string, len(v.VerifiedLevels))
	for _, s := range v.VerifiedLevels {
		switch s {
		case "":
			return bad("verifiedLevels has an empty entry")
		case Failed:
			if v.VerificationResult != Failed {
				return bad("verifiedLevels has FAILED, but verificationResult is %s", v.VerificationResult)
			}
			if len(v.VerifiedLevels) > 1 {
				return bad("verifiedLevels has FAILED and other levels")
			}
		}
		level, ok, err := ParseLevel(s)
		if err != nil {
			return wrap("verifiedLevels", err)
		}
		if !ok {
			continue
		}
		if other, dup := tracks[level.Track]; dup {
			return bad("verifiedLevels has two levels of one track, %s and %s", clip(other), clip(s))
		}
		tracks[level.Track] = s
	}
	return nil
}

// Level returns the verified level of a track ("BUILD"); ok is false when the
// VSA has none, when the track was not evaluated, and when verification failed.
func (v *VSA) Level(track string) (n int, ok bool) {
	if v.VerificationResult != Passed {
		return 0, false
	}
	for _, s := range v.VerifiedLevels {
		if l, isLevel, err := ParseLevel(s); err == nil && isLevel && l.Track == track {
			return l.N, !l.Unevaluated
		}
	}
	return 0, false
}

// Meets reports whether the VSA says PASSED and has what is wanted: the same
// value, or a higher level of the same track (level N implies the lower ones
// of its track and nothing about another). Nothing meets FAILED, an
// unevaluated level, or "".
func (v *VSA) Meets(want string) bool {
	if v.VerificationResult != Passed || want == "" || want == Failed {
		return false
	}
	level, ok, err := ParseLevel(want)
	if err != nil || ok && level.Unevaluated {
		return false
	}
	if ok {
		n, has := v.Level(level.Track)
		return has && n >= level.N
	}
	return slices.Contains(v.VerifiedLevels, want)
}

// Statement validates the VSA and states it about the subjects.
func (v *VSA) Statement(subjects []provenance.ResourceDescriptor) (*provenance.Statement, error) {
	return statement(v, subjects, TypeVSA)
}

// ParseVSA reads a predicate of type [TypeVSA].
func ParseVSA(predicate []byte) (*VSA, error) {
	return parse[VSA]("VSA v1", predicate)
}

// ParseVSAV02 reads a predicate of type [TypeVSAV02] (slsa.dev/verification_summary/v0.2) into a
// VSA whose only verified level is the policy_level. Levels of that time,
// such as SLSA_LEVEL_3, are of no track, and imply nothing.
func ParseVSAV02(predicate []byte) (*VSA, error) {
	var old struct {
		Verifier           Verifier                        `json:"verifier"`
		TimeVerified       Timestamp                       `json:"time_verified"`
		ResourceURI        string                          `json:"resource_uri"`
		Policy             provenance.ResourceDescriptor   `json:"policy"`
		InputAttestations  []provenance.ResourceDescriptor `json:"input_attestations"`
		VerificationResult string                          `json:"verification_result"`
		PolicyLevel        string                          `json:"policy_level"`
		DependencyLevels   map[string]int                  `json:"dependency_levels"`
		SLSAVersion        string                          `json:"slsa_version"`
	}
	if err := decode(predicate, &old); err != nil {
		return nil, wrap("VSA v0.2", err)
	}
	if old.PolicyLevel == "" {
		return nil, bad("VSA v0.2: policy_level is required")
	}
	v := &VSA{old.Verifier, old.TimeVerified, old.ResourceURI, old.Policy, old.InputAttestations,
		old.VerificationResult, []string{old.PolicyLevel}, old.DependencyLevels, old.SLSAVersion}
	if v.TimeVerified.IsZero() {
		return nil, bad("VSA v0.2: time_verified is required")
	}
	if err := v.validate(); err != nil {
		return nil, wrap("VSA v0.2", err)
	}
	return v, nil
}

// SourceRefs returns the refs of a source revision that a subject of a source
// VSA is annotated with, such as "refs/heads/main" (slsa.dev/spec/v1.2/source-requirements). The
// annotation is sourceRefs; the SLSA source tool writes source_refs. Both are
// read, and refused when they differ.
func SourceRefs(subject provenance.ResourceDescriptor) ([]string, error) {
	var refs []string
	found := false
	for _, name := range []string{"sourceRefs", "source_refs"} {
		value, ok := subject.Annotations[name]
		if !ok || value == nil {
			continue
		}
		list, ok := value.([]any)
		if !ok {
			return nil, bad("annotation %s: want a list of refs", name)
		}
		these := make([]string, len(list))
		for i, v := range list {
			if these[i], ok = v.(string); !ok || these[i] == "" {
				return nil, bad("annotation %s[%d]: want a ref", name, i)
			}
		}
		if found && !slices.Equal(refs, these) {
			return nil, bad("annotations sourceRefs and source_refs differ")
		}
		refs, found = these, true
	}
	return refs, nil
}
