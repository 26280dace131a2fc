package slsa

import (
	"slices"
	"strings"
	"time"

	"github.com/hallmark-build/hallmark/internal/glob"
	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/predicate"
	"github.com/hallmark-build/hallmark/verify"
)

// Tracks of SLSA levels. The last two are of the working draft, not of SLSA
// v1.2, and what their levels mean may still change: a delegation to vouch for
// them is a private agreement.
const (
	TrackBuild           = "BUILD"
	TrackSource          = "SOURCE"
	TrackDependencyDraft = "DEPENDENCY"
	TrackBuildEnvDraft   = "BUILDENV"
)

// A Delegation is one row of the table of trusted verifiers (SLSA v1.2,
// verification summary, "how to verify"): this signer, as this verifier, may
// vouch for levels of one track up to a maximum, and for certain properties, of
// certain resources. Nothing else that it says counts.
type Delegation struct {
	VerifierID string `json:"verifierID"` // the verifier.id, exactly
	// Key, or Issuer and Subjects, are the signer, as in [Builder].
	Key      string   `json:"key,omitempty"`
	Issuer   string   `json:"issuer,omitempty"`
	Subjects []string `json:"subjects,omitempty"`
	// Track and MaxLevel are the levels that it may vouch for, such as "BUILD"
	// and 3. None if Track is "".
	Track    string `json:"track,omitempty"`
	MaxLevel int    `json:"maxLevel,omitempty"`
	// Properties are patterns of the other values of verifiedLevels that it
	// may vouch for: "ORG_SOURCE_*", "SLSA_BUILD_REPRODUCED".
	Properties []string `json:"properties,omitempty"`
	// Resources are patterns of the resourceUri as the summary spells it; that
	// of a source VSA begins with "git+https://". At least one.
	Resources []string `json:"resources"`
}

// SummaryExpectations say what a verification summary must say. The zero value
// passes nothing.
type SummaryExpectations struct {
	ResourceURI string // the resourceUri, exactly; required
	// Levels are the values that verifiedLevels must have; at least one. A
	// level is met by a higher one of its track.
	Levels []string
	// At is the instant of judgement; required. MaxAge is how old the summary
	// may be by then; required unless AnyAgeUnsafe is set. The age counts from
	// timeVerified, which the verifier claims and nobody else can move, or from
	// the earliest trusted time of the signature if that is earlier.
	At           time.Time
	MaxAge       time.Duration
	AnyAgeUnsafe bool
	// Policies are the acceptable values of policy.uri. Default: any.
	Policies []string
	// PolicyWithoutDigestUnsafe accepts a summary that names its policy but
	// does not pin it: nobody can tell by which revision it was judged.
	PolicyWithoutDigestUnsafe bool
	// Identifiers are names of digests by which the subject may be matched
	// besides those of strong hashes, where the resource has no hash:
	// "gce_image_id", "svn_revision_id". Never name a weak hash.
	Identifiers []provenance.Algorithm
}

// A SummaryResult is what a verification summary was found to say, by somebody
// who may say so. Only [VerifyVSA] and [VerifySource] make one.
type SummaryResult struct {
	statement *verify.VerifiedStatement
	subject   provenance.ResourceDescriptor
	vsa       *predicate.VSA
	levels    map[string]int // track to level, as far as delegated
	notes     []string
}

// Level returns the level of a track that the summary shows: no more than was
// delegated, and 0 for a track of which it shows nothing.
func (r *SummaryResult) Level(track string) int { return r.levels[track] }

// VSA returns the summary. It must not be changed.
func (r *SummaryResult) VSA() *predicate.VSA { return r.vsa }

// Statement returns the statement that was verified.
func (r *SummaryResult) Statement() *verify.VerifiedStatement { return r.statement }

// Notes returns remarks that do not change the result.
func (r *SummaryResult) Notes() []string { return slices.Clone(r.notes) }

type delegation struct {
	Delegation
	subjects, properties, resources []*glob.Pattern
}

func compileDelegations(list []Delegation) ([]delegation, error) {
	out := make([]delegation, len(list))
	for i, d := range list {
		wrong := func(msg string) error {
			return refuse(ReasonRequest, "delegation %d (%s): %s", i, clip(d.VerifierID), msg)
		}
		byKey, byCertificate := d.Key != "", d.Issuer != "" || len(d.Subjects) > 0
		switch {
		case d.VerifierID == "":
			return nil, wrong("want a verifier id")
		case byKey == byCertificate || byCertificate && (d.Issuer == "" || len(d.Subjects) == 0):
			return nil, wrong("want either a key or an issuer with subjects")
		case d.Track != "" && d.MaxLevel < 1 || d.Track == "" && d.MaxLevel != 0:
			return nil, wrong("want both a track and a level of at least 1, or neither")
		case d.Track == "" && len(d.Properties) == 0:
			return nil, wrong("delegates nothing: want a track or properties")
		case len(d.Resources) == 0:
			return nil, wrong("want at least one resource")
		}
		if d.Track != "" {
			if _, ok, err := predicate.ParseLevel(predicate.Level{Track: d.Track, N: d.MaxLevel}.String()); err != nil || !ok {
				return nil, wrong("no such track or level")
			}
		}
		out[i].Delegation = d
		for _, p := range []struct {
			to   *[]*glob.Pattern
			from []string
		}{{&out[i].subjects, d.Subjects}, {&out[i].properties, d.Properties}, {&out[i].resources, d.Resources}} {
			var err error
			if *p.to, err = patterns(p.from); err != nil {
				return nil, wrong(err.Error())
			}
		}
	}
	return out, nil
}

func (d *delegation) signs(p verify.Principal) bool {
	r := row{Builder: Builder{Key: d.Key, Issuer: d.Issuer}, subjects: d.subjects}
	return r.signs(p)
}

// VerifyVSA verifies a verification summary about an artifact (SLSA v1.2,
// verification summary, "how to verify", steps 1 to 7). inputs are other
// verified statements at hand: where the summary rests on summaries among
// them, by inputAttestations or as its subject, that must not lead back to
// the same verifier judging the same resource.
func VerifyVSA(st *verify.VerifiedStatement, digests provenance.DigestSet, delegations []Delegation, want SummaryExpectations, inputs ...*verify.VerifiedStatement) (*SummaryResult, error) {
	rows, err := compileDelegations(delegations)
	if err != nil {
		return nil, err
	}
	if err := want.check(); err != nil {
		return nil, err
	}
	return verifyVSA(st, digests, rows, &want, func(got string) bool { return got == want.ResourceURI }, inputs)
}

func (e *SummaryExpectations) check() error {
	switch {
	case e.ResourceURI == "":
		return refuse(ReasonRequest, "no expectation for the resource")
	case len(e.Levels) == 0:
		return refuse(ReasonRequest, "no expected level")
	case e.At.IsZero():
		return refuse(ReasonRequest, "the instant of judgement is not set")
	case e.MaxAge <= 0 && !e.AnyAgeUnsafe:
		return refuse(ReasonRequest, "no expectation for the age")
	}
	for _, l := range e.Levels {
		level, ok, err := predicate.ParseLevel(l)
		if err != nil || l == "" || l == predicate.Failed || ok && level.Unevaluated {
			return refuse(ReasonRequest, "%s cannot be expected", clip(l))
		}
	}
	for _, a := range e.Identifiers {
		switch a {
		case "md5", "sha1", "sha224", "ripemd160", "": // hashes that can be forged
			return refuse(ReasonRequest, "%s is no identifier", clip(string(a)))
		}
	}
	return nil
}

func verifyVSA(st *verify.VerifiedStatement, digests provenance.DigestSet, rows []delegation, want *SummaryExpectations,
	isResource func(string) bool, inputs []*verify.VerifiedStatement) (*SummaryResult, error) {
	if st == nil || st.Statement() == nil {
		return nil, refuse(ReasonRequest, "no verified statement")
	}
	// Step 1 was verify.Open. Step 3 comes first, for messages that make sense.
	if got := st.Statement().PredicateType(); got != predicate.TypeVSA {
		return nil, differs(ReasonPredicate, "predicate type", predicate.TypeVSA, got)
	}
	subject, err := subjectOf(st.Statement(), digests, want.Identifiers) // step 2
	if err != nil {
		return nil, err
	}
	vsa, err := predicate.ParseVSA(st.Statement().Predicate())
	if err != nil {
		return nil, refuse(ReasonPredicate, "%v", err)
	}
	r := &SummaryResult{statement: st, subject: *subject, vsa: vsa, levels: map[string]int{}}
	// Step 4: the verifier.id must be that of the signer.
	var trusted []*delegation
	for i := range rows {
		if rows[i].VerifierID == vsa.Verifier.ID && slices.ContainsFunc(st.Signatures(), func(s verify.Signature) bool { return rows[i].signs(s.Principal) }) {
			trusted = append(trusted, &rows[i])
		}
	}
	if len(trusted) == 0 {
		return nil, refuse(ReasonVerifier, "%s is not trusted as verifier %s", clip(st.Signatures()[0].Principal.String()), clip(vsa.Verifier.ID))
	}
	if !isResource(vsa.ResourceURI) { // step 5
		return nil, differs(ReasonResource, "resourceUri", want.ResourceURI, vsa.ResourceURI)
	}
	if vsa.VerificationResult != predicate.Passed { // step 6
		return nil, differs(ReasonFailed, "verificationResult", predicate.Passed, vsa.VerificationResult)
	}
	trusted = slices.DeleteFunc(trusted, func(d *delegation) bool { return !matchAny(d.resources, vsa.ResourceURI) })
	if len(trusted) == 0 {
		return nil, refuse(ReasonDelegation, "the verifier %s may not vouch for %s", clip(vsa.Verifier.ID), clip(vsa.ResourceURI))
	}
	for _, level := range want.Levels { // step 7
		if err := r.meets(level, trusted); err != nil {
			return nil, err
		}
	}
	r.delegated(trusted)
	if err := r.fresh(want); err != nil {
		return nil, err
	}
	if err := r.policy(want); err != nil {
		return nil, err
	}
	if err := loops(st, inputs); err != nil {
		return nil, err
	}
	return r, nil
}

// meets checks one expected value. A verifier that claims more than it may
// vouch for is believed up to its maximum: level 4 implies level 3.
func (r *SummaryResult) meets(want string, trusted []*delegation) error {
	if !r.vsa.Meets(want) {
		return differs(ReasonNotVerified, "verifiedLevels", want, strings.Join(r.vsa.VerifiedLevels, " "))
	}
	level, isLevel, _ := predicate.ParseLevel(want)
	for _, d := range trusted {
		if isLevel && d.Track == level.Track && d.MaxLevel >= level.N || !isLevel && matchAny(d.properties, want) {
			return nil
		}
	}
	return refuse(ReasonDelegation, "the verifier %s may not vouch for %s of %s", clip(r.vsa.Verifier.ID), clip(want), clip(r.vsa.ResourceURI))
}

// delegated notes the level of each track, as far as the verifier may vouch.
func (r *SummaryResult) delegated(trusted []*delegation) {
	for _, d := range trusted {
		if d.Track == "" {
			continue
		}
		if n, ok := r.vsa.Level(d.Track); ok {
			r.levels[d.Track] = max(r.levels[d.Track], min(n, d.MaxLevel))
		}
	}
}

func (r *SummaryResult) fresh(want *SummaryExpectations) error {
	when := r.vsa.TimeVerified.Time
	for _, s := range r.statement.Signatures() {
		if len(s.Times) > 0 && (when.IsZero() || s.Times[0].Time.Before(when)) {
			when = s.Times[0].Time
		}
	}
	switch {
	case slices.ContainsFunc(r.statement.Signatures(), func(s verify.Signature) bool {
		return slices.ContainsFunc(s.Times, func(t verify.TrustedTime) bool { return t.Time.After(want.At) })
	}):
		return refuse(ReasonStale, "the summary was signed after the instant of judgement, %s", want.At.UTC().Format(time.RFC3339))
	case r.vsa.TimeVerified.After(want.At):
		return differs(ReasonStale, "timeVerified lies in the future", "at most "+want.At.UTC().Format(time.RFC3339), r.vsa.TimeVerified.Format(time.RFC3339))
	case want.MaxAge <= 0:
		return nil
	case when.IsZero():
		return refuse(ReasonStale, "the summary has no time")
	case want.At.Sub(when) > want.MaxAge:
		return differs(ReasonStale, "age", "at most "+want.MaxAge.String(), want.At.Sub(when).Round(time.Second).String())
	}
	return nil
}

func (r *SummaryResult) policy(want *SummaryExpectations) error {
	if len(want.Policies) > 0 && !slices.Contains(want.Policies, r.vsa.Policy.URI) {
		return differs(ReasonPolicyDigest, "policy.uri", strings.Join(want.Policies, " or "), r.vsa.Policy.URI)
	}
	if len(r.vsa.Policy.Digest) > 0 {
		return nil
	}
	if !want.PolicyWithoutDigestUnsafe {
		return refuse(ReasonPolicyDigest, "the summary does not pin its policy %s by digest", clip(r.vsa.Policy.URI))
	}
	r.notes = append(r.notes, "the policy "+clip(r.vsa.Policy.URI)+" is not pinned by digest")
	return nil
}

// loops refuses a summary that rests on summaries, by inputAttestations or as
// its subject, of which one rests on another by the same verifier about the
// same resource: such a verifier vouches for itself.
func loops(st *verify.VerifiedStatement, inputs []*verify.VerifiedStatement) error {
	type summary struct {
		verifier, resource string
		rests              []provenance.Digest
	}
	known := map[provenance.Digest]*summary{}
	for _, in := range append(slices.Clone(inputs), st) {
		if in == nil || in.Statement() == nil || in.Statement().PredicateType() != predicate.TypeVSA {
			continue
		}
		v, err := predicate.ParseVSA(in.Statement().Predicate())
		if err != nil {
			continue
		}
		s := &summary{verifier: v.Verifier.ID, resource: v.ResourceURI}
		for _, r := range slices.Concat(v.InputAttestations, in.Statement().Subjects()) {
			if d := r.Digest.Get(provenance.SHA256); !d.IsZero() {
				s.rests = append(s.rests, d)
			}
		}
		known[in.Digest()] = s
	}
	if len(known) > limits.Summaries {
		return refuse(ReasonLoop, "more than %d summaries to look for loops in", limits.Summaries)
	}
	// below returns the summaries that d rests on, d itself left out.
	below := func(d provenance.Digest) []provenance.Digest {
		seen, list := map[provenance.Digest]bool{d: true}, []provenance.Digest{d}
		for i := 0; i < len(list); i++ {
			for _, next := range known[list[i]].rests {
				if known[next] != nil && !seen[next] {
					seen[next], list = true, append(list, next)
				}
			}
		}
		return list[1:]
	}
	for _, d := range append(below(st.Digest()), st.Digest()) {
		for _, e := range below(d) {
			if a, b := known[d], known[e]; a.verifier == b.verifier && a.resource == b.resource {
				return refuse(ReasonLoop, "a summary rests on another one by the same verifier %s about the same resource %s", clip(a.verifier), clip(a.resource))
			}
		}
	}
	return nil
}

func levelName(track string, n int) string { return predicate.Level{Track: track, N: n}.String() }

// SourceExpectations say what a source VSA must say about a revision. The zero
// value passes nothing.
type SourceExpectations struct {
	Repository string // "https://github.com/octo/app", with or without "git+"; required
	// Ref is a ref that the revision must be on, such as "refs/heads/main", by
	// the sourceRefs of the summary. Required unless AnyRefUnsafe is set.
	Ref          string
	AnyRefUnsafe bool
	// Level is the least SLSA Source level, 1 to 4. Zero means 1.
	Level int
	// Properties are further values that must be verified:
	// [predicate.SourceTwoPartyReviewed], or properties of the organisation,
	// which begin with ORG_SOURCE_.
	Properties []string

	// The rest is as in [SummaryExpectations].
	At                        time.Time
	MaxAge                    time.Duration
	AnyAgeUnsafe              bool
	PolicyWithoutDigestUnsafe bool
	Identifiers               []provenance.Algorithm
}

// VerifySource verifies a revision of source code by the source VSAs among the
// statements (SLSA v1.2, source requirements and verifying source). revision
// is the revision's id, gitCommit mostly. A revision about which there is no
// acceptable source VSA is of level 0, and refused.
func VerifySource(statements []*verify.VerifiedStatement, revision provenance.DigestSet, delegations []Delegation, want SourceExpectations) (*SummaryResult, error) {
	rows, err := compileDelegations(delegations)
	if err != nil {
		return nil, err
	}
	level := max(want.Level, 1)
	if want.Level < 0 || want.Level > 4 {
		return nil, refuse(ReasonRequest, "expected source level is %d, want 1 to 4", want.Level)
	}
	for _, p := range want.Properties {
		if p != predicate.SourceTwoPartyReviewed && !strings.HasPrefix(p, "ORG_SOURCE_") {
			return nil, refuse(ReasonRequest, "%s is no property of the source track", clip(p))
		}
	}
	if want.Ref == "" && !want.AnyRefUnsafe {
		return nil, refuse(ReasonRequest, "no expectation for the ref")
	}
	repo, at := repository(want.Repository)
	if at != "" {
		return nil, refuse(ReasonRequest, "expected repository %s has a ref, which goes to Ref", clip(want.Repository))
	}
	sum := SummaryExpectations{
		ResourceURI: repo, Levels: append([]string{levelName(TrackSource, level)}, want.Properties...),
		At: want.At, MaxAge: want.MaxAge, AnyAgeUnsafe: want.AnyAgeUnsafe,
		PolicyWithoutDigestUnsafe: want.PolicyWithoutDigestUnsafe, Identifiers: want.Identifiers,
	}
	if err := sum.check(); err != nil {
		return nil, err
	}
	var best *SummaryResult
	var nearest error
	for _, st := range statements {
		r, err := verifySource(st, revision, rows, &sum, want.Ref, statements)
		switch {
		case err != nil:
			if e, ok := err.(*Error); nearest == nil || ok && e.Reason != ReasonPredicate && e.Reason != ReasonSubject {
				nearest = err
			}
		case best == nil || r.Level(TrackSource) > best.Level(TrackSource):
			best = r
		}
	}
	if best != nil {
		return best, nil
	}
	if e, ok := nearest.(*Error); ok && e.Reason != ReasonPredicate && e.Reason != ReasonSubject {
		return nil, nearest
	}
	return nil, refuse(ReasonNoVSA, "no source VSA about the revision: it is of source level 0, want %d", level)
}

func verifySource(st *verify.VerifiedStatement, revision provenance.DigestSet, rows []delegation, sum *SummaryExpectations, ref string,
	inputs []*verify.VerifiedStatement) (*SummaryResult, error) {
	// resourceUri is a download location in SPDX's manner, git+https://….
	isRepo := func(got string) bool {
		repo, at := repository(got)
		return repo == sum.ResourceURI && at == ""
	}
	r, err := verifyVSA(st, revision, rows, sum, isRepo, inputs)
	if err != nil {
		return nil, err
	}
	if ref == "" {
		return r, nil
	}
	refs, err := predicate.SourceRefs(r.subject)
	if err != nil {
		return nil, refuse(ReasonPredicate, "%v", err)
	}
	if !slices.Contains(refs, ref) {
		return nil, differs(ReasonRef, "sourceRefs", ref, strings.Join(refs, " "))
	}
	return r, nil
}
