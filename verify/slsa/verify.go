package slsa

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/predicate"
	"github.com/hallmark-build/hallmark/verify"
	"golang.org/x/mod/semver"
)

// Expectations say what the provenance of a package must be (SLSA v1.2,
// verifying artifacts, step 2). The zero value is the strictest: it passes
// nothing before the source is named. What is empty is not compared, but for
// the fields that say otherwise.
type Expectations struct {
	// Level is the least SLSA Build level. Zero means 2: somebody in the table
	// of builders vouches. 1 accepts any signer whom the Trust believes, for
	// any builder that it claims to be.
	Level int

	// SourceURI is the repository that must have been built, such as
	// "github.com/octo/app"; "git+", "https://" and ".git" may be there or not.
	// Required, unless AnySourceUnsafe is set.
	SourceURI       string
	AnySourceUnsafe bool

	Ref    string // the full ref, "refs/heads/main"
	Branch string // "main"; of a tag, the branch that a builder of Build L3 says it was pushed from
	Tag    string // "v1.2.0"
	// VersionedTag is a semantic version that the tag must be: "v1" accepts
	// v1.2.0, "v1.2" accepts v1.2.9, "v1.2.0" accepts v1.2.0 alone. A
	// pre-release has to be named in full.
	VersionedTag string
	Commit       string // the git object id

	// BuilderID is the builder.id; without "@" it fits any ref of the builder.
	BuilderID string
	BuildType string // the buildType, as a whole
	Workflow  string // path of the workflow in the repository, ".github/workflows/release.yml"
	Trigger   string // the event, "push"

	// WorkflowInputs are inputs that the run must have been started with, as
	// the platform recorded them. Others may be there if the rules for
	// external parameters let them.
	WorkflowInputs map[string]string
	// ExternalParameters are external parameters that must have exactly this
	// value, compared as JSON.
	ExternalParameters map[string]any
	// AllowExternalParameters names external parameters that may have any
	// value. By default every external parameter must be checked: as a fact
	// (source, ref, workflow), in ExternalParameters, or, every one of them, in
	// WorkflowInputs. An empty value is as good as none.
	AllowExternalParameters []string
	// AllowKnownParameters lets those external parameters have any value that
	// the build type defines for whoever starts a build: workflow inputs,
	// variables, substitutions. It is what slsa-verifier does. Parameters that
	// the build type does not define are still refused.
	AllowKnownParameters bool
}

// A Result says what was shown about an artifact. Only [Verify] makes one.
type Result struct {
	statement *verify.VerifiedStatement
	artifact  provenance.Artifact
	signature verify.Signature
	p         *predicate.Provenance
	format    Format
	level     int
	builder   string
	facts     []Fact
	unchecked []string
	notes     []string
}

// Level returns the SLSA Build level that the artifact has been shown to have:
// what its signer and builder are trusted for, and 1 for a pair that is not in the table.
func (r *Result) Level() int { return r.level }

// Builder returns the name of the table's row that gave the level, or "".
func (r *Result) Builder() string { return r.builder }

// BuilderID returns the builder.id.
func (r *Result) BuilderID() string { return r.p.RunDetails.Builder.ID }

// Format returns how the build is written down.
func (r *Result) Format() Format { return r.format }

// Provenance returns the provenance, as v1. It must not be changed.
func (r *Result) Provenance() *predicate.Provenance { return r.p }

// Statement returns the statement that was verified.
func (r *Result) Statement() *verify.VerifiedStatement { return r.statement }

// Artifact returns the artifact that was verified.
func (r *Result) Artifact() provenance.Artifact { return r.artifact }

// Signer returns who vouches.
func (r *Result) Signer() verify.Principal { return r.signature.Principal }

// Facts returns what is known about the build, ordered by name.
func (r *Result) Facts() []Fact { return slices.Clone(r.facts) }

// Fact returns the value of a fact, or "".
func (r *Result) Fact(name string) string { return (&claims{facts: r.facts}).get(name) }

// Unchecked returns, sorted, the external parameters that have a value which nobody compared,
// because the expectations allow it.
func (r *Result) Unchecked() []string { return slices.Clone(r.unchecked) }

// Notes returns remarks that do not change the result.
func (r *Result) Notes() []string { return slices.Clone(r.notes) }

// Verify verifies that an artifact was built as expected, by one verified
// statement of SLSA provenance, any version (SLSA v1.2, verifying artifacts).
// The artifact's digests are what the caller computed from it.
func Verify(st *verify.VerifiedStatement, artifact provenance.Artifact, builders []Builder, want Expectations) (*Result, error) {
	rows, err := compile(builders)
	if err != nil {
		return nil, err
	}
	return rows.verify(st, artifact, &want)
}

func (t table) verify(st *verify.VerifiedStatement, artifact provenance.Artifact, want *Expectations) (*Result, error) {
	if st == nil || st.Statement() == nil {
		return nil, refuse(ReasonRequest, "no verified statement")
	}
	if err := want.check(); err != nil {
		return nil, err
	}
	if err := about(st.Statement(), artifact.Digests, nil); err != nil {
		return nil, err
	}
	p, err := predicate.ParseProvenance(st.Statement())
	if err != nil {
		return nil, refuse(ReasonPredicate, "%v", err)
	}
	// One signature must satisfy everything: the level of one and the facts of
	// another would add up to a build that nobody attests to.
	var best *Result
	var worst error
	for _, sig := range st.Signatures() {
		r, err := t.judge(p, sig, want)
		switch {
		case err != nil:
			if worst == nil {
				worst = err
			}
		case best == nil || r.level > best.level:
			best = r
		}
	}
	if best == nil {
		return nil, worst
	}
	best.statement, best.artifact = st, artifact
	best.artifact.Digests = slices.Clone(artifact.Digests)
	return best, nil
}

// about finds the subject that is the artifact (step 1.2). Beside the strong
// algorithms, those in more may match too: identifiers that are no hashes.
func about(st *provenance.Statement, digests provenance.DigestSet, more []provenance.Algorithm) error {
	_, err := subjectOf(st, digests, more)
	return err
}

func subjectOf(st *provenance.Statement, digests provenance.DigestSet, more []provenance.Algorithm) (*provenance.ResourceDescriptor, error) {
	if len(digests) == 0 {
		return nil, refuse(ReasonRequest, "the artifact has no digest")
	}
	subjects := st.Subjects()
	for i := range subjects {
		s := subjects[i].Digest
		if s.Matches(digests) {
			return &subjects[i], nil
		}
		for _, a := range more {
			if d := s.Get(a); !d.IsZero() && d == digests.Get(a) {
				return &subjects[i], nil
			}
		}
	}
	got := "no subject"
	if len(subjects) > 0 {
		got = subjects[0].Digest.String()
		if n := len(subjects); n > 1 {
			got += fmt.Sprintf(" and %d others", n-1)
		}
	}
	return nil, differs(ReasonSubject, "no subject is the artifact", digests.String(), got)
}

func (e *Expectations) check() error {
	source, _ := repository(e.SourceURI)
	switch {
	case source == "" && (e.SourceURI != "" || !e.AnySourceUnsafe):
		return refuse(ReasonRequest, "no expectation for the source")
	case e.Level < 0 || e.Level > 3:
		return refuse(ReasonRequest, "expected level is %d, want 1 to 3", e.Level)
	case e.VersionedTag != "" && !semver.IsValid(e.VersionedTag):
		return refuse(ReasonRequest, "expected version %s is not a semantic version such as v1, v1.2 or v1.2.3", clip(e.VersionedTag))
	case e.Ref != "" && !strings.HasPrefix(e.Ref, "refs/"):
		return refuse(ReasonRequest, "expected ref %s does not begin with refs/", clip(e.Ref))
	case e.Commit != "" && !isCommit(e.Commit):
		return refuse(ReasonRequest, "expected commit %s is no git object id", clip(e.Commit))
	}
	return nil
}

// level is the least level that is wanted.
func (e *Expectations) level() int {
	if e.Level == 0 {
		return 2
	}
	return e.Level
}

// judge holds the provenance against one signer.
func (t table) judge(p *predicate.Provenance, sig verify.Signature, want *Expectations) (*Result, error) {
	d := dialectOf(p.BuildDefinition.BuildType)
	c := new(claims)
	c.certificate(&sig)
	c.provenance(p, d)
	if c.err != nil {
		return nil, c.err
	}
	r := &Result{p: p, signature: sig, format: d.format, facts: c.facts, level: 1}
	why := t.level(r, sig.Principal, c)
	if r.level < want.level() {
		return nil, differs(ReasonLevel, why, fmt.Sprintf("SLSA Build level %d", want.level()), fmt.Sprintf("level %d", r.level))
	}
	if err := want.judge(r, c, d); err != nil {
		return nil, err
	}
	if len(want.WorkflowInputs)+len(want.ExternalParameters) > 0 && sig.Principal.KeyID() == "" && r.level < 3 {
		r.notes = append(r.notes, "parameters are as the job states them: its builder is not of Build L3")
	}
	if double := p.DoubleParameters(); len(double) > 0 {
		r.notes = append(r.notes, "external and internal parameters at once: "+strings.Join(double, ", "))
	}
	return r, nil
}

// level sets the level (step 1.4) and says why it is not higher.
func (t table) level(r *Result, signer verify.Principal, c *claims) (why string) {
	id := r.p.RunDetails.Builder.ID
	known, idKnown, formatKnown := false, false, false
	for i := range t {
		row := &t[i]
		if !row.signs(signer) {
			continue
		}
		known = true
		if !row.builds(signer, id) {
			continue
		}
		idKnown = true
		if !slices.Contains(row.Formats, r.format) {
			continue
		}
		formatKnown = true
		level := row.Level
		if row.Key == "" {
			// Build L2 is hosted, and authentic: what the job may have written
			// itself shows neither (SLSA v1.2, build track basics).
			runner := c.certified(FactRunner)
			if !row.AnyRunnerUnsafe && runner != "github-hosted" && runner != "gitlab-hosted" || runner == "self-hosted" || c.certified(FactSource) == "" {
				level = 1
			}
		}
		if level > r.level || r.builder == "" {
			r.level, r.builder = level, row.Name
		}
	}
	switch {
	case !known:
		return "the signer " + clip(signer.String()) + " is not a trusted builder"
	case !idKnown:
		return "the signer " + clip(signer.String()) + " is not trusted to sign for the builder " + clip(id)
	case !formatKnown:
		return "the builder " + clip(id) + " is not trusted with the build type " + clip(r.p.BuildDefinition.BuildType)
	case signer.KeyID() == "" && c.certified(FactRunner) == "self-hosted":
		return "the build ran on a self-hosted runner"
	case signer.KeyID() == "" && c.certified(FactSource) == "":
		return "the certificate does not say which repository was built"
	case signer.KeyID() == "" && r.level == 1:
		return "the certificate does not say that the runner was hosted"
	}
	return "the builder " + clip(r.builder) + " is not trusted further"
}

// judge compares what is expected with what is known (step 2).
func (e *Expectations) judge(r *Result, c *claims, d *dialect) error {
	compare := func(reason Reason, name, want string) error {
		got := c.get(name)
		switch {
		case want == "":
			return nil
		case got == "":
			return differs(ReasonNotStated, name+" is not stated", want, "")
		case got != want:
			return differs(reason, name, want, got)
		}
		return r.vouched(c, name)
	}
	source, ref := repository(e.SourceURI)
	if err := compare(ReasonSource, FactSource, source); err != nil {
		return err
	}
	if ref != "" {
		name := FactRef
		if isCommit(ref) {
			name = FactCommit
		}
		if err := compare(ReasonRef, name, ref); err != nil {
			return err
		}
	}
	if err := compare(ReasonRef, FactRef, e.Ref); err != nil {
		return err
	}
	if err := e.judgeRef(r, c); err != nil {
		return err
	}
	if e.Commit != "" && c.built != "" {
		if c.built != e.Commit {
			return differs(ReasonRef, "commit that was built", e.Commit, c.built)
		}
		// As for facts: of a job with a certificate, what the certificate says.
		if r.signature.Principal.KeyID() == "" && r.level < 3 && c.certified(FactCommit) != c.built {
			return refuse(ReasonNotStated, "the commit that was built is stated by the provenance, and not by the certificate")
		}
	} else if err := compare(ReasonRef, FactCommit, e.Commit); err != nil {
		return err
	}
	if id := r.BuilderID(); e.BuilderID != "" && id != e.BuilderID {
		name, _, _ := strings.Cut(id, "@")
		if strings.Contains(e.BuilderID, "@") || name != e.BuilderID {
			return differs(ReasonBuilder, "builder.id", e.BuilderID, id)
		}
	}
	if got := r.p.BuildDefinition.BuildType; e.BuildType != "" && got != e.BuildType {
		return differs(ReasonBuildType, "buildType", e.BuildType, got)
	}
	if err := compare(ReasonWorkflow, FactWorkflow, e.Workflow); err != nil {
		return err
	}
	if err := compare(ReasonWorkflow, FactTrigger, e.Trigger); err != nil {
		return err
	}
	return e.judgeParameters(r, c, d)
}

// vouched refuses a fact that a certificate's owner alone states, unless its
// builder keeps jobs from writing their own provenance (Build L3): a key is
// the platform's, but a certificate can be that of the job.
func (r *Result) vouched(c *claims, name string) error {
	if r.signature.Principal.KeyID() == "" && r.level < 3 && c.certified(name) == "" {
		return refuse(ReasonNotStated, "%s is stated by the provenance, and not by the certificate", name)
	}
	return nil
}

func (e *Expectations) judgeRef(r *Result, c *claims) error {
	ref := c.get(FactRef)
	if e.Branch+e.Tag+e.VersionedTag != "" && ref != "" {
		if err := r.vouched(c, FactRef); err != nil {
			return err
		}
	}
	if e.Branch != "" {
		got := ref
		// Which branch a tag was pushed from only the builder says, so it
		// counts from a builder whose provenance is unforgeable (Build L3).
		if !strings.HasPrefix(ref, "refs/heads/") && r.level >= 3 && c.branch != "" {
			got = c.branch
		}
		branch, ok := strings.CutPrefix(got, "refs/heads/")
		switch {
		case got == "":
			return differs(ReasonNotStated, "the branch is not stated", e.Branch, "")
		case !ok || branch != strings.TrimPrefix(e.Branch, "refs/heads/"):
			return differs(ReasonRef, "branch", e.Branch, got)
		}
	}
	if e.Tag == "" && e.VersionedTag == "" {
		return nil
	}
	tag, ok := strings.CutPrefix(ref, "refs/tags/")
	switch {
	case ref == "":
		return differs(ReasonNotStated, "the tag is not stated", e.Tag+e.VersionedTag, "")
	case !ok:
		return differs(ReasonRef, "tag", e.Tag+e.VersionedTag, ref)
	case e.Tag != "" && tag != strings.TrimPrefix(e.Tag, "refs/tags/"):
		return differs(ReasonRef, "tag", e.Tag, tag)
	case e.VersionedTag != "" && !matchVersion(tag, e.VersionedTag):
		return differs(ReasonRef, "version of the tag", e.VersionedTag, tag)
	}
	return nil
}

// judgeParameters compares the external parameters, and refuses those that
// nobody expected (SLSA v1.2, verifying artifacts, step 2: "reject if there are unrecognized fields").
func (e *Expectations) judgeParameters(r *Result, c *claims, d *dialect) error {
	for _, name := range slices.Sorted(maps.Keys(e.WorkflowInputs)) {
		v, ok := c.inputs[name]
		if !ok {
			return differs(ReasonParameters, "workflow input "+clip(name)+" is not stated", e.WorkflowInputs[name], "")
		}
		if got := text(v); got != e.WorkflowInputs[name] || !scalar(v) {
			return differs(ReasonParameters, "workflow input "+clip(name), e.WorkflowInputs[name], fmt.Sprint(v))
		}
	}
	external := r.p.BuildDefinition.ExternalParameters
	for _, name := range slices.Sorted(maps.Keys(e.ExternalParameters)) {
		want, err := normal(e.ExternalParameters[name])
		if err != nil {
			return refuse(ReasonRequest, "expected external parameter %s: %v", clip(name), err)
		}
		got, err := normal(external[name])
		if err != nil || !(empty(want) && empty(got)) && !reflect.DeepEqual(want, got) {
			return differs(ReasonParameters, "external parameter "+clip(name), fmt.Sprint(want), fmt.Sprint(external[name]))
		}
	}
	open := slices.Contains(d.chosen, "*")
	for _, name := range slices.Sorted(maps.Keys(external)) {
		_, expected := e.ExternalParameters[name]
		switch {
		case empty(external[name]) || expected || d.isFact(name, external[name]):
			continue
		case slices.Contains(e.AllowExternalParameters, name),
			e.AllowKnownParameters && (open || slices.Contains(d.chosen, name)):
			r.unchecked = append(r.unchecked, name)
			continue
		case e.coversInputs(external[name], c.inputs):
			continue
		}
		return differs(ReasonParameters, "external parameter "+clip(name)+" is not expected", "", fmt.Sprint(external[name]))
	}
	return nil
}

// coversInputs reports whether v is the inputs of the run and every one of them was compared.
func (e *Expectations) coversInputs(v any, inputs map[string]any) bool {
	m, ok := v.(map[string]any)
	if !ok || len(m) == 0 || !reflect.DeepEqual(m, inputs) {
		return false
	}
	for name := range m {
		if _, compared := e.WorkflowInputs[name]; !compared {
			return false
		}
	}
	return true
}

// normal brings a value of a caller to what JSON makes of it.
func normal(v any) (any, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var out any
	err = json.Unmarshal(data, &out)
	return out, err
}

func scalar(v any) bool {
	switch v.(type) {
	case string, float64, bool:
		return true
	}
	return false
}

// empty reports whether a value is unset as far as the specification goes
// (provenance v1: "unset, null and empty MUST be treated equivalently").
func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case map[string]any:
		return len(v) == 0
	}
	return false
}

// VerifyAny opens attestations, envelopes or bundles as [verify.Open] takes
// them, and returns what the best of them shows: of those that verify as
// expected the one of the highest level. What cannot be opened, or is about
// something else, does not count. If none will do, the error is that of the
// attestation that came closest.
func VerifyAny(attestations [][]byte, trust *verify.Trust, at time.Time, artifact provenance.Artifact, builders []Builder, want Expectations) (*Result, error) {
	rows, err := compile(builders)
	if err != nil {
		return nil, err
	}
	return rows.verifyAny(attestations, trust, at, artifact, &want, func(*Result) error { return nil })
}

// verifyAny is VerifyAny for results that also pass another check.
func (t table) verifyAny(attestations [][]byte, trust *verify.Trust, at time.Time, artifact provenance.Artifact, want *Expectations, also func(*Result) error) (*Result, error) {
	var best *Result
	var nearest error
	far := -1
	for _, a := range attestations {
		st, err := verify.Open(a, trust, at)
		near := 0
		if err == nil {
			var r *Result
			if r, err = t.verify(st, artifact, want); err == nil {
				err = also(r)
			}
			if err == nil {
				if best == nil || r.level > best.level || r.level == best.level && r.statement.Digest().Compare(best.statement.Digest()) < 0 {
					best = r
				}
				continue
			}
			near = 3
			if e, ok := err.(*Error); ok && e.Reason == ReasonSubject {
				near = 1
			} else if ok && e.Reason == ReasonPredicate {
				near = 2
			}
		}
		if near > far {
			nearest, far = err, near
		}
	}
	switch {
	case best != nil:
		return best, nil
	case nearest == nil:
		return nil, refuse(ReasonRequest, "no attestations")
	}
	return nil, nearest
}
