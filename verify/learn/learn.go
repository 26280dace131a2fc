// Package learn drafts a policy from the evidence of a good run, for a person
// to read and to edit.
//
//	policy, err := learn.Draft(ctx, verify.Request{
//		Artifacts: []provenance.Artifact{artifact},
//		Evidence:  evidence,
//		At:        time.Now(),
//	}, map[string]verify.Principals{"builder": {Key: builderPEM}, "tester": {Key: testerPEM}})
//	text, err := policy.YAML()
//
// The draft says what was, not what should be: who signed may sign, what came
// in may come in. It accepts the run that it was made of; whether it should,
// and what else it lets in, only a person can say. [verify.Policy.Lint] is where to
// start: it points at what the draft leaves open.
package learn

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hallmark-build/hallmark/internal/glob"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/predicate"
	"github.com/hallmark-build/hallmark/verify"
	"github.com/hallmark-build/hallmark/verify/cel"
)

// maxStatements bounds a run that is learned from: a policy of more stages
// than that would not be read by anybody.
const maxStatements = 10_000

// Draft drafts a policy from the evidence about the artifacts of a run.
//
// who are the principals that signed, under the names that the policy shall give
// them; statements by anybody else play no part. For evidence in Sigstore bundles
// sigstoreRoots are the trusted_root.json documents; identities that who does
// not name are named after their subjects.
//
// The stages are the steps and kinds of observation that were found, walking back
// from the artifacts by digest. A stage is a step of one name (links), one
// build type and builder (SLSA provenance), or one predicate type. The draft
// expires a year after the instant of the request.
//
// It is an error when nothing is found about an artifact, and when the draft would not
// accept the run itself.
func Draft(ctx context.Context, run verify.Request, who map[string]verify.Principals, sigstoreRoots ...[]byte) (*verify.Policy, error) {
	switch {
	case len(run.Artifacts) == 0 || run.Evidence == nil || run.At.IsZero():
		return nil, errors.New("learn: the request wants artifacts, evidence and an instant")
	case len(who) == 0 && len(sigstoreRoots) == 0:
		return nil, errors.New("learn: nobody is named whose statements count")
	}
	d := &drafter{
		ctx: ctx, run: run, people: maps.Clone(who), names: map[verify.Principal]string{},
		stages: map[string]*stage{}, statements: map[provenance.Digest]*statement{},
		external: map[inputKey][]provenance.ResourceDescriptor{},
	}
	if d.people == nil {
		d.people = map[string]verify.Principals{}
	}
	if err := d.trustThem(sigstoreRoots); err != nil {
		return nil, err
	}
	if err := d.walk(); err != nil {
		return nil, err
	}
	policy, err := d.policy()
	if err != nil {
		return nil, err
	}
	verifier, err := verify.New(policy, verify.Options{Conditions: cel.Compiler{}, SigstoreRoots: sigstoreRoots})
	if err != nil {
		return nil, fmt.Errorf("learn: the run has no policy of this kind: %w", err)
	}
	if _, err := verifier.Verify(ctx, run); err != nil {
		return nil, fmt.Errorf("learn: the draft does not accept the run itself: %w", err)
	}
	return policy, nil
}

type drafter struct {
	ctx    context.Context
	run    verify.Request
	trust  *verify.Trust
	people map[string]verify.Principals
	names  map[verify.Principal]string // of identities that were met
	keys   map[string]string           // key id to name

	stages     map[string]*stage // by what makes a stage one
	statements map[provenance.Digest]*statement
	external   map[inputKey][]provenance.ResourceDescriptor // what no stage made
	evidence   []want                                       // materials that are statements
}

// An inputKey is what materials from outside are collected under.
type inputKey struct {
	pattern string
	bare    bool // without a digest
}

// A stage is statements of one step or of one kind.
type stage struct {
	name       string
	key        string
	flow       bool // a transformation
	where      []string
	builders   map[string]bool
	signers    map[string]bool
	statements []*statement
	from       map[*stage]*edge
	about      map[*stage]string // with the pattern for the products
	inputs     map[inputKey]bool
	after      map[*stage]bool
}

type statement struct {
	*provenance.Statement
	stage     *stage
	signers   []string
	materials []provenance.ResourceDescriptor
	used      map[provenance.Digest]bool
}

// An edge is how names fit between two stages: whether all of them are the
// same, or at least in their last elements.
type edge struct{ same, base bool }

// trustThem makes the trust in all keys, and finds the names of keys and identities.
func (d *drafter) trustThem(roots [][]byte) error {
	d.keys = map[string]string{}
	var keys []verify.Key
	for _, name := range slices.Sorted(maps.Keys(d.people)) {
		p := d.people[name]
		list := p.Keys
		if p.Key != "" {
			list = append([]verify.Key{{PEM: p.Key}}, list...)
		}
		for _, k := range list {
			block, _ := pem.Decode([]byte(k.PEM))
			if block == nil {
				return fmt.Errorf("learn: principal %q: want a public key in PEM", name)
			}
			sum := sha256.Sum256(block.Bytes)
			d.keys[hex.EncodeToString(sum[:])] = name
			keys = append(keys, k)
		}
	}
	trust, err := verify.NewTrust(keys...)
	if err != nil {
		return fmt.Errorf("learn: %w", err)
	}
	for _, root := range roots {
		if trust, err = trust.WithSigstore(root, verify.Sigstore{}); err != nil {
			return fmt.Errorf("learn: %w", err)
		}
	}
	d.trust = trust
	return nil
}

// nameOf returns the policy's name of a principal, a new one if it must.
func (d *drafter) nameOf(p verify.Principal) string {
	if id := p.KeyID(); id != "" {
		return d.keys[id]
	}
	if name, ok := d.names[p]; ok {
		return name
	}
	id := p.Identity()
	for _, name := range slices.Sorted(maps.Keys(d.people)) {
		known := d.people[name].Identities
		if one := d.people[name].Identity; one != nil {
			known = append([]verify.Identity{*one}, known...)
		}
		for _, k := range known {
			if k.Issuer == id.Issuer && k.Subject == id.Subject && (k.SubjectType == "" || k.SubjectType == id.SubjectType) {
				d.names[p] = name
				return name
			}
		}
	}
	name := unique(slug(path.Base(strings.SplitN(id.Subject, "@", 2)[0]), "signer"), d.people)
	d.people[name] = verify.Principals{Identity: &id}
	d.names[p] = name
	return name
}

// find returns the statements with a subject that has the digest, by anybody known.
func (d *drafter) find(digest provenance.Digest) ([]*statement, error) {
	attestations, err := d.run.Evidence.Find(d.ctx, digest)
	if err != nil {
		return nil, err
	}
	var list []*statement
	for _, a := range attestations {
		v, err := verify.Open(a, d.trust, d.run.At)
		if err != nil {
			continue // by strangers, or broken
		}
		st := d.statements[v.Digest()]
		if st == nil {
			if len(d.statements) == maxStatements {
				return nil, fmt.Errorf("learn: more than %d statements", maxStatements)
			}
			flow, err := predicate.FlowOf(v.Statement())
			if err != nil || failed(v.Statement()) {
				continue
			}
			st = &statement{Statement: v.Statement(), materials: flow.Materials, used: map[provenance.Digest]bool{}}
			if err := d.place(st, flow.Transformation); err != nil {
				return nil, err
			}
			d.statements[v.Digest()] = st
		}
		for _, s := range v.Signatures() {
			name := d.nameOf(s.Principal)
			st.stage.signers[name] = true
			if !slices.Contains(st.signers, name) {
				st.signers = append(st.signers, name)
			}
		}
		if slices.ContainsFunc(st.Subjects(), func(r provenance.ResourceDescriptor) bool { return slices.Contains(r.Digest, digest) }) && !slices.Contains(list, st) {
			list = append(list, st)
		}
	}
	slices.SortFunc(list, func(a, b *statement) int { return a.Digest().Compare(b.Digest()) })
	return list, nil
}

// failed reports whether a statement is a test result other than a pass: no
// policy should ask for that.
func failed(st *provenance.Statement) bool {
	if st.PredicateType() != predicate.TypeTestResult {
		return false
	}
	r, err := predicate.ParseTestResult(st.Predicate())
	return err != nil || r.Result != "PASSED"
}

// place puts a statement into the stage that it is of.
func (d *drafter) place(st *statement, transformation bool) error {
	name, key := typeName(st.PredicateType()), st.PredicateType()
	var where []string
	builder := ""
	switch st.PredicateType() {
	case predicate.TypeLink:
		l, err := predicate.ParseLink(st.Predicate())
		if err != nil {
			return err
		}
		name, key = l.Name, key+"\x00"+l.Name
		where = append(where, "predicate.name == "+quote(l.Name))
	case predicate.TypeSLSAProvenance:
		p, err := predicate.ParseProvenance(st.Statement)
		if err != nil {
			return err
		}
		name, builder = "build", p.RunDetails.Builder.ID
		key += "\x00" + p.BuildDefinition.BuildType + "\x00" + builder
		where = append(where, "predicate.buildDefinition.buildType == "+quote(p.BuildDefinition.BuildType))
	case predicate.TypeTestResult:
		where = append(where, `predicate.result == "PASSED"`)
	}
	s := d.stages[key]
	if s == nil {
		s = &stage{
			name: slug(name, "stage"), key: key, flow: transformation, where: where,
			builders: map[string]bool{}, signers: map[string]bool{}, from: map[*stage]*edge{}, about: map[*stage]string{}, inputs: map[inputKey]bool{}, after: map[*stage]bool{},
		}
		d.stages[key] = s
	}
	if builder != "" {
		s.builders[builder] = true
	}
	st.stage = s
	s.statements = append(s.statements, st)
	return nil
}

// A want is a file that was used, and by which statement: nil for the artifacts.
type want struct {
	resource provenance.ResourceDescriptor
	consumer *statement
}

// walk goes back from the artifacts to everything that they came from.
//
// A file that is handed on is a product of several stages. It is tied to the one that
// made it first, and to those that handed it on once all others are tied: otherwise
// what a release hands on could seem to flow into the stages that it is made of.
func (d *drafter) walk() error {
	type tie struct {
		want   want
		digest provenance.Digest
		from   *statement
	}
	var queue []want
	var later []tie
	for _, a := range d.run.Artifacts {
		queue = append(queue, want{a.Descriptor(), nil})
	}
	visited := map[*statement]bool{}
	follow := func(e tie) bool {
		if c := e.want.consumer; c != nil {
			if e.from.stage.reaches(c.stage) {
				return false // it would come from itself
			}
			c.stage.tie(e.from, e.want.resource)
		}
		e.from.used[e.digest] = true
		if !visited[e.from] {
			visited[e.from] = true
			for _, m := range e.from.materials {
				queue = append(queue, want{m, e.from})
			}
		}
		return true
	}
	for len(queue) > 0 || len(later) > 0 {
		if len(queue) == 0 {
			follow(later[0])
			later = later[1:]
			continue
		}
		w := queue[0]
		queue = queue[1:]
		made := false
		var handed []tie
		for _, digest := range w.resource.Digest {
			if !digest.Algorithm().Strong() {
				continue
			}
			found, err := d.find(digest)
			if err != nil {
				return err
			}
			for _, st := range found {
				switch e := (tie{w, digest, st}); {
				case !st.stage.flow:
				case w.consumer != nil && st.uses(digest):
					handed = append(handed, e)
				case follow(e):
					made = true
				}
			}
		}
		if made {
			later = append(later, handed...)
			continue
		}
		for _, e := range handed {
			made = follow(e) || made
		}
		if !made {
			if w.consumer == nil {
				return fmt.Errorf("learn: nobody who is named says what made %s", w.resource.Label())
			}
			if w.resource.MediaType == provenance.PayloadType {
				d.evidence = append(d.evidence, w)
				continue
			}
			d.admit(w)
		}
	}
	return nil
}

// admit makes what no stage made an input.
func (d *drafter) admit(w want) {
	key := inputKeyOf(w.resource)
	w.consumer.stage.inputs[key] = true
	d.external[key] = append(d.external[key], w.resource)
}

// order notes that a stage came after the statement that it lists among its
// materials, if the policy has a stage for that statement.
func (d *drafter) order(w want, final *stage) bool {
	for _, digest := range w.resource.Digest {
		if st := d.statements[digest]; st != nil && st.stage != w.consumer.stage && st.stage.used(final) {
			w.consumer.stage.after[st.stage] = true
			return true
		}
	}
	return false
}

// uses reports whether a file with the digest went into the statement's step.
func (st *statement) uses(digest provenance.Digest) bool {
	return slices.ContainsFunc(st.materials, func(m provenance.ResourceDescriptor) bool { return slices.Contains(m.Digest, digest) })
}

// reaches reports whether something flows to s from to, by way of others or not.
func (s *stage) reaches(to *stage) bool {
	if s == to {
		return true
	}
	for f := range s.from {
		if f.reaches(to) {
			return true
		}
	}
	return false
}

// tie notes that a material of s is a product of st.
func (s *stage) tie(st *statement, material provenance.ResourceDescriptor) {
	e := s.from[st.stage]
	if e == nil {
		e = &edge{same: true, base: true}
		s.from[st.stage] = e
	}
	same, base := false, false
	for _, p := range st.Subjects() {
		if p.Digest.Matches(material.Digest) && p.Name != "" && material.Name != "" {
			same = same || p.Name == material.Name
			base = base || path.Base(p.Name) == path.Base(material.Name)
		}
	}
	e.same, e.base = e.same && same, e.base && base
}

// observe finds what s is about: the stages all of whose used products are
// among its subjects, or if there is none, those with some that are. A file that
// is handed on is a product of several stages, and an SBOM of the program is not
// about everything that was released with it.
func (s *stage) observe(stages []*stage) {
	some := map[*stage]string{}
	for _, other := range stages {
		if !other.flow {
			continue
		}
		missing, names := 0, map[string]bool{}
		for _, product := range other.usedProducts() {
			missing++
			if slices.ContainsFunc(s.statements, func(st *statement) bool {
				return slices.ContainsFunc(st.Subjects(), func(r provenance.ResourceDescriptor) bool { return r.Digest.Matches(product.Digest) })
			}) {
				names[product.Name] = true
				missing--
			}
		}
		switch {
		case len(names) == 0:
		case missing == 0:
			s.about[other] = ""
		case len(names) == 1 && !names[""]:
			for name := range names {
				some[other] = glob.Quote(name)
			}
		default:
			some[other] = "" // no pattern says which; whether all are meant, the run shows
		}
	}
	if len(s.about) == 0 {
		s.about = some
	}
}

// usedProducts are the products by which others, or the artifacts, hang on the stage.
func (s *stage) usedProducts() []provenance.ResourceDescriptor {
	var list []provenance.ResourceDescriptor
	for _, st := range s.statements {
		for _, r := range st.Subjects() {
			if slices.ContainsFunc(r.Digest, func(d provenance.Digest) bool { return st.used[d] }) {
				list = append(list, r)
			}
		}
	}
	return list
}

func (d *drafter) policy() (*verify.Policy, error) {
	p := &verify.Policy{
		Schema: verify.PolicySchema, Name: d.run.Artifacts[0].Name, Version: 1,
		Expires:    d.run.At.AddDate(1, 0, 0).UTC().Truncate(24 * time.Hour),
		Principals: map[string]verify.Principals{}, Inputs: map[string]verify.Input{}, Stages: map[string]*verify.Stage{},
	}
	stages := d.nameStages()
	final, err := d.final(stages)
	if err != nil {
		return nil, err
	}
	p.Final = final.name

	for _, s := range stages {
		if !s.flow {
			s.observe(stages)
		}
	}
	for _, w := range d.evidence {
		if !d.order(w, final) {
			d.admit(w)
		}
	}
	inputs := d.inputs(p)
	for _, s := range stages {
		if !s.used(final) {
			continue
		}
		out := &verify.Stage{Requires: []verify.Requirement{{
			Type: s.statements[0].PredicateType(), Signers: slices.Sorted(maps.Keys(s.signers)),
			Where: s.where, Builders: slices.Sorted(maps.Keys(s.builders)),
		}}}
		out.Many, out.Requires[0].Threshold = s.runs()
		for _, f := range byName(s.from) {
			flow := verify.Flow{Stage: f.name}
			switch e := s.from[f]; {
			case e.same:
				flow.Names = "same"
			case e.base:
				flow.Names = "base"
			}
			out.From = append(out.From, flow)
		}
		for _, a := range byName(s.about) {
			out.About = append(out.About, verify.About{Stage: a.name, Products: s.about[a]})
		}
		for _, a := range byName(s.after) {
			out.After = append(out.After, a.name)
		}
		for name := range s.inputs {
			out.Inputs = append(out.Inputs, inputs[name])
		}
		slices.Sort(out.Inputs)
		out.Inputs = slices.Compact(out.Inputs)
		p.Stages[s.name] = out
		for name := range s.signers {
			p.Principals[name] = d.people[name]
		}
	}
	return p, nil
}

// used reports whether the policy needs the stage: it is part of the way to
// the artifact, or about something that is.
func (s *stage) used(final *stage) bool {
	if s.flow {
		return final.reaches(s)
	}
	for a := range s.about {
		if final.reaches(a) {
			return true
		}
	}
	return false
}

// runs says whether the stage ran several times, and how many principals stood
// behind one run.
func (s *stage) runs() (many bool, threshold int) {
	// Statements that have all their used products in common are one run,
	// seen by several.
	type seen struct{ signers map[string]bool }
	groups := map[string]*seen{}
	for _, st := range s.statements {
		var digests []string
		for d := range st.used {
			digests = append(digests, d.String())
		}
		if !s.flow {
			for _, sub := range st.Subjects() {
				digests = append(digests, sub.Digest.String())
			}
		}
		if len(digests) == 0 {
			continue // nothing of it was needed
		}
		slices.Sort(digests)
		key := strings.Join(digests, " ")
		if groups[key] == nil {
			groups[key] = &seen{map[string]bool{}}
		}
		for _, n := range st.signers {
			groups[key].signers[n] = true
		}
	}
	threshold = len(s.signers)
	for _, g := range groups {
		threshold = min(threshold, len(g.signers))
	}
	if threshold == 1 {
		threshold = 0 // the default
	}
	return len(groups) > 1, threshold
}

// nameStages gives each stage a name of its own, and returns them by name.
func (d *drafter) nameStages() []*stage {
	taken := map[string]*stage{}
	for _, key := range slices.Sorted(maps.Keys(d.stages)) {
		s := d.stages[key]
		s.name = unique(s.name, taken)
		taken[s.name] = s
	}
	var list []*stage
	for _, name := range slices.Sorted(maps.Keys(taken)) {
		list = append(list, taken[name])
	}
	return list
}

// final returns the stage that made all the artifacts, the last one if several did.
func (d *drafter) final(stages []*stage) (*stage, error) {
	var candidates []*stage
	for _, s := range stages {
		if s.flow && !slices.ContainsFunc(d.run.Artifacts, func(a provenance.Artifact) bool {
			return !slices.ContainsFunc(s.statements, func(st *statement) bool {
				return slices.ContainsFunc(st.Subjects(), func(r provenance.ResourceDescriptor) bool { return r.Digest.Matches(a.Digests) })
			})
		}) {
			candidates = append(candidates, s)
		}
	}
	for _, s := range candidates {
		if !slices.ContainsFunc(candidates, func(t *stage) bool { return t != s && t.reaches(s) }) {
			return s, nil
		}
	}
	return nil, errors.New("learn: no stage made all the artifacts")
}

// inputs adds the inputs to the policy and returns their names by what they were collected under.
func (d *drafter) inputs(p *verify.Policy) map[inputKey]string {
	names := map[inputKey]string{}
	keys := slices.SortedFunc(maps.Keys(d.external), func(a, b inputKey) int {
		if a.bare != b.bare {
			return map[bool]int{true: 1, false: -1}[a.bare]
		}
		return strings.Compare(a.pattern, b.pattern)
	})
	for _, key := range keys {
		in := verify.Input{URI: key.pattern, AllowWithoutDigestUnsafe: key.bare}
		digests, algorithms := map[string]bool{}, map[string]bool{}
		for _, m := range d.external[key] {
			for _, dg := range m.Digest {
				if dg.Algorithm().Strong() {
					digests[dg.String()], algorithms[string(dg.Algorithm())] = true, true
				}
			}
		}
		if len(digests) <= 16 {
			// Few enough to read: exactly these, for a person to loosen.
			in.Digests = slices.Sorted(maps.Keys(digests))
		} else {
			in.Algorithms = slices.Sorted(maps.Keys(algorithms))
		}
		name := unique(slug(strings.NewReplacer("*", "", `\`, "").Replace(key.pattern), "files"), p.Inputs)
		p.Inputs[name] = in
		names[key] = name
	}
	return names
}

// inputKeyOf returns the pattern under which a material from outside is
// admitted: its package type, its repository, or its host.
func inputKeyOf(r provenance.ResourceDescriptor) inputKey {
	uri := r.URI
	if uri == "" {
		uri = r.Name
	}
	pattern := "**"
	scheme, rest, ok := strings.Cut(uri, "://")
	switch {
	case strings.HasPrefix(uri, "pkg:"):
		kind, _, _ := strings.Cut(uri, "/")
		pattern = glob.Quote(kind+"/") + "**"
	case ok && strings.HasPrefix(scheme, "git"):
		repository, _, versioned := strings.Cut(rest, "@")
		if pattern = glob.Quote(uri); versioned {
			pattern = glob.Quote(scheme+"://"+repository+"@") + "**"
		}
	case ok:
		host, _, _ := strings.Cut(rest, "/")
		pattern = glob.Quote(scheme+"://"+host+"/") + "**"
	}
	bare := !slices.ContainsFunc(r.Digest, func(d provenance.Digest) bool { return d.Algorithm().Strong() })
	return inputKey{pattern, bare}
}

// typeName makes a name of a predicate type: its last element that is no version.
func typeName(typ string) string {
	parts := strings.Split(strings.TrimRight(typ, "/"), "/")
	for i := len(parts) - 1; i >= 0; i-- {
		if s := parts[i]; s != "" && !(s[0] == 'v' && len(s) > 1 && '0' <= s[1] && s[1] <= '9') {
			return s
		}
	}
	return typ
}

// slug makes a name that reads well in a policy.
func slug(s, otherwise string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(s) {
		if 'a' <= r && r <= 'z' || '0' <= r && r <= '9' {
			b.WriteRune(r)
		} else if b.Len() > 0 && b.String()[b.Len()-1] != '-' {
			b.WriteByte('-')
		}
		if b.Len() == 40 {
			break
		}
	}
	if out := strings.Trim(b.String(), "-"); out != "" {
		return out
	}
	return otherwise
}

func unique[T any](name string, taken map[string]T) string {
	out := name
	for i := 2; ; i++ {
		if _, ok := taken[out]; !ok {
			return out
		}
		out = name + "-" + strconv.Itoa(i)
	}
}

// quote writes a string literal of CEL, which takes JSON's escapes.
func quote(s string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.Encode(s)
	return strings.TrimSuffix(b.String(), "\n")
}

func byName[T any](m map[*stage]T) []*stage {
	return slices.SortedFunc(maps.Keys(m), func(a, b *stage) int { return strings.Compare(a.name, b.name) })
}
