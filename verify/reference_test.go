package verify_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/hallmark-build/hallmark/internal/glob"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/predicate"
	"github.com/hallmark-build/hallmark/verify"
)

// The reference solver decides a chain by docs/chain.md alone: it enumerates
// every choice of votes for every stage and holds each against the rules as
// they are written there. It shares no code with the engine but Open and the
// readers of predicates, and it is slow on purpose.

// refResource is a resource with its digests under accepted algorithms (section 1).
type refResource struct {
	link             bool
	name, uri, media string
	digests          map[provenance.Algorithm]string
}

func (r *refResource) key() string {
	s := fmt.Sprint(r.link, "\x00", r.name, "\x00", r.uri)
	for _, a := range slices.Sorted(maps.Keys(r.digests)) {
		s += "\x00" + string(a) + ":" + r.digests[a]
	}
	return s
}

// shares reports whether a digest is in both.
func (r *refResource) shares(o *refResource) bool {
	for a, v := range r.digests {
		if o.digests[a] == v {
			return true
		}
	}
	return false
}

// sameAs is by what materials are the same to agreeOnMaterials.
func (r *refResource) sameAs() string {
	if len(r.digests) == 0 {
		return r.key()
	}
	return (&refResource{digests: r.digests}).key()
}

// matches is "match" of section 1.
func (r *refResource) matches(o *refResource) bool {
	common := 0
	for a, v := range r.digests {
		if w, ok := o.digests[a]; ok {
			if v != w {
				return false
			}
			common++
		}
	}
	return common > 0 && r.link == o.link
}

type refStatement struct {
	digest     string // "sha256:…"
	typ        string
	malformed  bool
	builder    string
	products   []*refResource
	materials  []*refResource
	predicate  map[string]any
	signatures []verify.Signature
	start, end time.Time
}

// refVote is a statement and one of its signatures that may vote.
type refVote struct {
	q          int // index of the requirement in its stage
	st         *refStatement
	person     string
	timed      bool
	start, end time.Time
}

type refRun []refVote

// statements returns the statements of a run once each.
func (r refRun) statements() []*refStatement {
	var out []*refStatement
	for _, v := range r {
		if !slices.Contains(out, v.st) {
			out = append(out, v.st)
		}
	}
	return out
}

// refChoice is what a solution chooses for a stage.
type refChoice struct {
	absent bool
	runs   []refRun
	// of all runs:
	statements []*refStatement
	votes      []refVote
}

type reference struct {
	policy     *verify.Policy
	compiler   verify.ConditionCompiler
	at         time.Time
	artifacts  []*refResource
	statements []*refStatement // ordered by digest
	packages   []*verify.Contents
	persons    map[string]string // key id to name
	names      []string          // of the stages, sorted
	globs      map[string]*glob.Pattern
	matched    map[[2]*refResource]bool
	most       int // how many solutions to try
}

var errTooLarge = errors.New("too many choices to enumerate")

// referenceVerdict returns nil if the artifact passes, errTooLarge if there is
// too much to enumerate, and otherwise an error that names the rule that the
// last choice broke.
func referenceVerdict(p *verify.Policy, compiler verify.ConditionCompiler, artifacts []provenance.Artifact, evidence [][]byte, packages []*verify.Contents, at time.Time, most int) error {
	if !p.Expires.IsZero() && !at.Before(p.Expires) {
		return errors.New("expired")
	}
	r := &reference{policy: p, compiler: compiler, at: at, persons: map[string]string{}, globs: map[string]*glob.Pattern{},
		matched: map[[2]*refResource]bool{}, packages: packages, most: most}
	var keys []verify.Key
	for _, name := range slices.Sorted(maps.Keys(p.Principals)) {
		e := p.Principals[name]
		own := e.Keys
		if e.Key != "" {
			own = append([]verify.Key{{PEM: e.Key}}, own...)
		}
		for _, k := range own {
			r.persons[keyID(k.PEM)] = name
			keys = append(keys, k)
		}
	}
	trust, err := verify.NewTrust(keys...)
	if err != nil {
		return err
	}
	byDigest := map[string]*refStatement{}
	for _, a := range evidence {
		v, err := verify.Open(a, trust, at)
		if err != nil {
			continue // a rejected attestation plays no part
		}
		d := v.Digest().String()
		st := byDigest[d]
		if st == nil {
			st = r.read(v)
			byDigest[d] = st
		}
		for _, s := range v.Signatures() {
			if !slices.ContainsFunc(st.signatures, func(t verify.Signature) bool { return t.Principal == s.Principal }) {
				st.signatures = append(st.signatures, s)
			}
		}
	}
	for _, d := range slices.Sorted(maps.Keys(byDigest)) {
		r.statements = append(r.statements, byDigest[d])
	}
	for _, a := range artifacts {
		r.artifacts = append(r.artifacts, r.resource(provenance.ResourceDescriptor{Name: a.Name, Digest: a.Digests}))
	}
	r.names = slices.Sorted(maps.Keys(p.Stages))

	options := map[string][]*refChoice{}
	total := 1
	for _, name := range r.names {
		o, err := r.options(name)
		if err != nil {
			return err
		}
		options[name] = o
		if len(o) == 0 {
			return fmt.Errorf("stage %s has no run", name)
		}
		total *= len(o)
		if total > most {
			return errTooLarge
		}
	}
	choice := map[string]*refChoice{}
	last := errors.New("no choice")
	var each func(i int) bool
	each = func(i int) bool {
		if i == len(r.names) {
			last = r.broken(choice)
			return last == nil
		}
		for _, o := range options[r.names[i]] {
			choice[r.names[i]] = o
			if each(i + 1) {
				return true
			}
		}
		return false
	}
	each(0)
	return last
}

func (r *reference) accepted(a provenance.Algorithm) bool {
	if len(r.policy.Algorithms) > 0 {
		return slices.Contains(r.policy.Algorithms, string(a))
	}
	return a.Strong()
}

func (r *reference) resource(d provenance.ResourceDescriptor) *refResource {
	out := &refResource{name: d.Name, uri: d.URI, media: d.MediaType, digests: map[provenance.Algorithm]string{}}
	_, out.link = d.Annotations["link"].(string)
	for _, x := range d.Digest {
		if r.accepted(x.Algorithm()) {
			out.digests[x.Algorithm()] = x.Value()
		}
	}
	return out
}

func (r *reference) read(v *verify.VerifiedStatement) *refStatement {
	st := v.Statement()
	out := &refStatement{digest: v.Digest().String(), typ: st.PredicateType()}
	for _, s := range st.Subjects() {
		out.products = append(out.products, r.resource(s))
	}
	flow, err := predicate.FlowOf(st)
	out.malformed = err != nil
	for _, m := range flow.Materials {
		out.materials = append(out.materials, r.resource(m))
	}
	json.Unmarshal(st.Predicate(), &out.predicate)
	if out.typ == typeSLSA {
		run, _ := out.predicate["runDetails"].(map[string]any)
		builder, _ := run["builder"].(map[string]any)
		out.builder, _ = builder["id"].(string)
	}
	if start, end, err := predicate.ClaimedTimes(st); err == nil {
		out.start, out.end = start, end
	}
	return out
}

func (r *reference) glob(pattern string) *glob.Pattern {
	g := r.globs[pattern]
	if g == nil {
		var err error
		if g, err = glob.Compile(pattern); err != nil {
			panic(err)
		}
		r.globs[pattern] = g
	}
	return g
}

func (r *reference) match(a, b *refResource) bool {
	k := [2]*refResource{a, b}
	m, ok := r.matched[k]
	if !ok {
		m = a.matches(b)
		r.matched[k] = m
	}
	return m
}

// inEffect is the third rule of section 3, for something without trusted time.
func (r *reference) inEffect(from time.Time, s *verify.Signature) bool {
	if from.IsZero() {
		return true
	}
	if len(s.Times) > 0 {
		return !s.Times[0].Time.Before(from)
	}
	return !r.at.Before(from)
}

// mayVote is section 3, "may vote".
func (r *reference) mayVote(st *refStatement, s *verify.Signature, signers []string, maxAge verify.Duration) (refVote, bool) {
	person := r.persons[s.Principal.KeyID()]
	if person == "" || !slices.Contains(signers, person) {
		return refVote{}, false
	}
	for _, rev := range r.policy.Revoked {
		if (rev.Key != "" && rev.Key == s.Principal.KeyID() || rev.Builder != "" && rev.Builder == st.builder) && r.inEffect(rev.From, s) {
			return refVote{}, false
		}
	}
	v := refVote{st: st, person: person}
	if r.policy.Principals[person].AcceptClaimedTimeUnsafe && !st.end.IsZero() {
		v.timed, v.start, v.end = true, st.start, st.end
		if v.start.IsZero() {
			v.start = v.end
		}
		if v.end.After(r.at) || v.end.Before(v.start) {
			return refVote{}, false
		}
	}
	if maxAge > 0 && (!v.timed || r.at.Sub(v.end) > time.Duration(maxAge)) {
		return refVote{}, false
	}
	return v, true
}

func (r *reference) revokedItself(st *refStatement) bool {
	for _, rev := range r.policy.Revoked {
		if rev.Statement == st.digest && (rev.From.IsZero() || !r.at.Before(rev.From)) {
			return true
		}
	}
	return false
}

func typesOf(q *verify.Requirement) []string {
	if q.Type == "" {
		return q.Types
	}
	return append([]string{q.Type}, q.Types...)
}

// conditions evaluates the where list: whether all are true, and whether one
// cannot be decided.
func (r *reference) conditions(q *verify.Requirement, st *refStatement) (all, undecided bool) {
	all = true
	for _, src := range q.Where {
		c, err := r.compiler.Compile(src, nil)
		if err != nil {
			panic(err)
		}
		ok, err := c.Holds(map[string]any{"predicate": st.predicate})
		undecided = undecided || err != nil
		all = all && ok && err == nil
	}
	return all, undecided
}

// admissible is what section 3 asks of a statement itself.
func (r *reference) admissible(q *verify.Requirement, st *refStatement) bool {
	return !st.malformed && slices.Contains(typesOf(q), st.typ) && !r.revokedItself(st) && (len(q.Builders) == 0 || slices.Contains(q.Builders, st.builder))
}

// votes are the votes for a requirement (section 3).
func (r *reference) votes(i int, q *verify.Requirement) []refVote {
	var out []refVote
	for _, st := range r.statements {
		if !r.admissible(q, st) {
			continue
		}
		if ok, _ := r.conditions(q, st); !ok {
			continue
		}
		for j := range st.signatures {
			if v, ok := r.mayVote(st, &st.signatures[j], q.Signers, q.MaxAge); ok {
				v.q = i
				out = append(out, v)
			}
		}
	}
	return out
}

// options are what may be chosen for a stage: all that sections 3 and 4 call a
// run, sets of runs, or absence.
func (r *reference) options(name string) ([]*refChoice, error) {
	s := r.policy.Stages[name]
	runs := []refRun{nil}
	if s.Contains != nil {
		runs = nil
		for _, p := range r.packages {
			st := &refStatement{digest: "a package"}
			a := p.Artifact()
			st.products = append(st.products, r.resource(provenance.ResourceDescriptor{Name: a.Name, Digest: a.Digests}))
			for _, m := range p.Members() {
				if s.Contains.Members == "" || r.glob(s.Contains.Members).Match(m.Name) {
					st.materials = append(st.materials, r.resource(m))
				}
			}
			runs = append(runs, refRun{{q: -1, st: st}})
		}
	}
	for i := range s.Requires {
		q := &s.Requires[i]
		if q.Which == "none" {
			continue
		}
		votes := r.votes(i, q)
		var sets []refRun
		var pick func(from int, set refRun)
		pick = func(from int, set refRun) {
			if len(set) == max(q.Threshold, 1) {
				sets = append(sets, slices.Clone(set))
				return
			}
			for j := from; j < len(votes); j++ {
				if !slices.ContainsFunc(set, func(v refVote) bool { return v.person == votes[j].person }) {
					pick(j+1, append(set, votes[j]))
				}
			}
		}
		pick(0, nil)
		var next []refRun
		for _, a := range runs {
			for _, b := range sets {
				next = append(next, slices.Concat(a, b))
			}
		}
		if runs = next; len(runs) > r.most {
			return nil, errTooLarge
		}
	}
	var out []*refChoice
	if len(s.About) > 0 || s.Optional {
		out = append(out, &refChoice{absent: true})
	}
	add := func(runs ...refRun) {
		c := &refChoice{runs: runs}
		for _, run := range runs {
			c.votes = append(c.votes, run...)
			for _, st := range run.statements() {
				if !slices.Contains(c.statements, st) {
					c.statements = append(c.statements, st)
				}
			}
		}
		out = append(out, c)
	}
	if !s.Many {
		for _, run := range runs {
			add(run)
		}
		return out, nil
	}
	if len(runs) > 12 {
		return nil, errTooLarge
	}
	for set := 1; set < 1<<len(runs); set++ {
		var some []refRun
		for i, run := range runs {
			if set&(1<<i) != 0 {
				some = append(some, run)
			}
		}
		add(some...)
	}
	return out, nil
}

// metBy is "met by" of section 4.1.
func (r *reference) metBy(f *verify.Flow, m, p *refResource) bool {
	if !r.match(m, p) || f.Materials != "" && !r.glob(f.Materials).Match(m.name) {
		return false
	}
	switch {
	case f.Names == "same":
		return m.name == p.name && m.name != ""
	case f.Names == "base":
		return m.name != "" && p.name != "" && path.Base(m.name) == path.Base(p.name)
	case len(f.Map) > 0:
		to, ok := f.Map[m.name]
		return ok && to == p.name
	}
	return true
}

// refWant is an artifact judged, or a material of a consumer, that a stage may meet.
type refWant struct {
	flow     *verify.Flow // nil for artifacts
	resource *refResource
}

func (r *reference) meets(w refWant, p *refResource) bool {
	if w.flow == nil {
		return r.match(w.resource, p)
	}
	return r.metBy(w.flow, w.resource, p)
}

// wants are all that the stage could be asked for under the choice.
func (r *reference) wants(name string, choice map[string]*refChoice) []refWant {
	var out []refWant
	if name == r.policy.Final {
		for _, a := range r.artifacts {
			out = append(out, refWant{nil, a})
		}
	}
	for _, c := range r.names {
		for i := range r.policy.Stages[c].From {
			f := &r.policy.Stages[c].From[i]
			if f.Stage != name {
				continue
			}
			for _, st := range choice[c].statements {
				for _, m := range st.materials {
					out = append(out, refWant{f, m})
				}
			}
		}
	}
	return out
}

// broken returns the first rule of section 4 that does not hold of the choice.
func (r *reference) broken(choice map[string]*refChoice) error {
	used := map[string][]*refResource{}    // of each flow stage
	wants := map[string][]refWant{}        // of each flow stage
	targets := map[string][]*refResource{} // of each about stage
	for _, name := range r.names {
		s, c := r.policy.Stages[name], choice[name]
		if len(s.About) > 0 {
			continue
		}
		if c.absent && !s.Optional {
			return fmt.Errorf("F4: %s", name)
		}
		wants[name] = r.wants(name, choice)
		for _, st := range c.statements {
			for _, p := range st.products {
				if slices.ContainsFunc(wants[name], func(w refWant) bool { return r.meets(w, p) }) {
					used[name] = append(used[name], p)
				}
			}
		}
	}
	// F1
	for _, a := range r.artifacts {
		if !slices.ContainsFunc(choice[r.policy.Final].statements, func(st *refStatement) bool {
			return slices.ContainsFunc(st.products, func(p *refResource) bool { return r.match(a, p) })
		}) {
			return errors.New("F1")
		}
	}
	for _, name := range r.names {
		s, c := r.policy.Stages[name], choice[name]
		var err error
		if len(s.About) > 0 {
			targets[name], err = r.about(name, s, c, choice, used)
		} else if !c.absent {
			err = r.flow(name, s, c, choice, wants[name])
		}
		if err != nil {
			return err
		}
	}
	for _, name := range r.names {
		s, c := r.policy.Stages[name], choice[name]
		if c.absent {
			continue
		}
		for i := range s.Requires {
			if err := r.which(i, &s.Requires[i], c, wants[name], targets[name]); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		for _, after := range s.After {
			if !r.ordered(c, choice[after]) {
				return fmt.Errorf("O1: %s after %s", name, after)
			}
		}
	}
	return r.duties(choice)
}

// flow is F2, F3, F5 and F6 for one stage.
func (r *reference) flow(name string, s *verify.Stage, c *refChoice, choice map[string]*refChoice, wants []refWant) error {
	met := func(f *verify.Flow, m *refResource) bool {
		for _, st := range choice[f.Stage].statements {
			for _, p := range st.products {
				if r.metBy(f, m, p) {
					return true
				}
			}
		}
		return false
	}
	for _, st := range c.statements { // F2
		for _, m := range st.materials {
			ok := false
			for i := range s.From {
				ok = ok || met(&s.From[i], m)
			}
			for _, in := range s.Inputs {
				ok = ok || r.admits(r.policy.Inputs[in], m, choice)
			}
			if m.media == verify.StatementMediaType {
				for _, after := range s.After {
					for _, y := range choice[after].statements {
						ok = ok || "sha256:"+m.digests[provenance.SHA256] == y.digest
					}
				}
			}
			if !ok {
				return fmt.Errorf("F2: %s: material %s", name, m.key())
			}
		}
	}
	for _, run := range c.runs { // F3
		for i := range s.From {
			f := &s.From[i]
			if f.Optional || choice[f.Stage].absent {
				continue
			}
			ok := false
			for _, st := range run.statements() {
				for _, m := range st.materials {
					ok = ok || met(f, m)
				}
			}
			if !ok {
				return fmt.Errorf("F3: %s from %s", name, f.Stage)
			}
		}
	}
	shared := map[int]int{} // how many runs meet a want
	var meets []map[int]bool
	for _, run := range c.runs { // F5
		meets = append(meets, map[int]bool{})
		var first string
		for i, st := range run.statements() {
			var set strings.Builder
			for j, w := range wants {
				if slices.ContainsFunc(st.products, func(p *refResource) bool { return r.meets(w, p) }) {
					fmt.Fprintf(&set, "%d ", j)
					meets[len(meets)-1][j] = true
				}
			}
			if set.Len() == 0 {
				return fmt.Errorf("F5: %s meets nothing", name)
			}
			if i > 0 && set.String() != first {
				return fmt.Errorf("F5: %s: no agreement", name)
			}
			first = set.String()
		}
		for i, q := range s.Requires {
			if !q.AgreeOnMaterials {
				continue
			}
			var sets []string
			for _, v := range run {
				if v.q == i {
					keys := map[string]bool{}
					for _, m := range v.st.materials {
						keys[m.sameAs()] = true
					}
					sets = append(sets, strings.Join(slices.Sorted(maps.Keys(keys)), "\x01"))
				}
			}
			for _, set := range sets {
				if set != sets[0] {
					return fmt.Errorf("F5: %s: no agreement on materials", name)
				}
			}
		}
	}
	for _, m := range meets {
		for j := range m {
			shared[j]++
		}
	}
	for _, m := range meets {
		alone := false
		for j := range m {
			alone = alone || shared[j] == 1
		}
		if s.Many && !alone {
			return fmt.Errorf("F5: %s: a run too many", name)
		}
	}
	matched := map[string]bool{} // F6
	for _, st := range c.statements {
		for _, p := range st.products {
			in := false
			for _, pattern := range s.Products {
				if r.glob(pattern).Match(p.name) {
					in, matched[pattern] = true, true
				}
			}
			if len(s.Products) > 0 && !in && !s.Complete {
				return fmt.Errorf("F6: %s: product %s", name, p.name)
			}
			if s.Complete && !in && !slices.ContainsFunc(wants, func(w refWant) bool { return r.meets(w, p) }) {
				return fmt.Errorf("F6: %s: product %s is not used", name, p.name)
			}
		}
	}
	for _, pattern := range s.Products {
		if !matched[pattern] {
			return fmt.Errorf("F6: %s: no product %s", name, pattern)
		}
	}
	return nil
}

// admits is "an input admits a material" of section 4.1.
func (r *reference) admits(in verify.Input, m *refResource, choice map[string]*refChoice) bool {
	uri := m.uri
	if uri == "" {
		uri = m.name
	}
	if in.URI != "" && !r.glob(in.URI).Match(uri) {
		return false
	}
	if len(m.digests) == 0 && !in.AllowWithoutDigestUnsafe {
		return false
	}
	has := func(list []string) bool {
		for a, v := range m.digests {
			if slices.Contains(list, string(a)+":"+v) {
				return true
			}
		}
		return false
	}
	if len(in.Digests) > 0 && !has(in.Digests) {
		return false
	}
	if len(in.Algorithms) > 0 {
		ok := false
		for a := range m.digests {
			ok = ok || slices.Contains(in.Algorithms, string(a))
		}
		if !ok {
			return false
		}
	}
	if in.ListedBy != "" {
		var listed []string
		for _, st := range choice[in.ListedBy].statements {
			for _, x := range slices.Concat(st.products, st.materials) {
				for a, v := range x.digests {
					listed = append(listed, string(a)+":"+v)
				}
			}
			components, _ := st.predicate["components"].([]any) // of CycloneDX
			for _, c := range components {
				c, _ := c.(map[string]any)
				hashes, _ := c["hashes"].([]any)
				for _, h := range hashes {
					h, _ := h.(map[string]any)
					if h["alg"] == "SHA-256" && r.accepted(provenance.SHA256) {
						listed = append(listed, "sha256:"+h["content"].(string))
					}
				}
			}
		}
		if !has(listed) {
			return false
		}
	}
	return true
}

// about is A1 to A3 for one stage; it returns the targets.
func (r *reference) about(name string, s *verify.Stage, c *refChoice, choice map[string]*refChoice, used map[string][]*refResource) ([]*refResource, error) {
	var targets []*refResource
	absent := true
	for _, a := range s.About {
		of := choice[a.Stage]
		if of.absent {
			continue
		}
		absent = false
		list := used[a.Stage]
		if a.All {
			list = nil
			for _, st := range of.statements {
				list = append(list, st.products...)
			}
		}
		n := len(targets)
		for _, p := range list {
			if a.Products == "" || r.glob(a.Products).Match(p.name) {
				targets = append(targets, p)
			}
		}
		if len(targets) == n {
			return nil, fmt.Errorf("A1: %s about %s", name, a.Stage)
		}
	}
	if c.absent != absent {
		return nil, fmt.Errorf("A3: %s", name)
	}
	if c.absent {
		return nil, nil
	}
	covers := func(st *refStatement, t *refResource) bool {
		return slices.ContainsFunc(st.products, func(p *refResource) bool { return r.match(p, t) })
	}
	for _, t := range targets {
		ok := false
		for _, run := range c.runs {
			all := true
			for _, st := range run.statements() {
				all = all && covers(st, t)
			}
			ok = ok || all
		}
		if !ok {
			return nil, fmt.Errorf("A2: %s: target %s", name, t.name)
		}
	}
	if s.Many {
		count := map[int]int{}
		var sets [][]int
		for _, run := range c.runs {
			var first []int
			for i, st := range run.statements() {
				var set []int
				for j, t := range targets {
					if covers(st, t) {
						set = append(set, j)
					}
				}
				if i > 0 && !slices.Equal(set, first) {
					return nil, fmt.Errorf("A2: %s: no agreement", name)
				}
				first = set
			}
			sets = append(sets, first)
			for _, j := range first {
				count[j]++
			}
		}
		for _, set := range sets {
			if !slices.ContainsFunc(set, func(j int) bool { return count[j] == 1 }) {
				return nil, fmt.Errorf("A2: %s: a run too many", name)
			}
		}
	}
	return targets, nil
}

// which is section 4.3.
func (r *reference) which(i int, q *verify.Requirement, c *refChoice, wants []refWant, targets []*refResource) error {
	if q.Which == "" || q.Which == "any" {
		return nil
	}
	type made struct {
		resource *refResource
		by       func(run refRun) bool
	}
	var list []made
	for _, w := range wants {
		by := func(run refRun) bool {
			for _, st := range run.statements() {
				if slices.ContainsFunc(st.products, func(p *refResource) bool { return r.meets(w, p) }) {
					return true
				}
			}
			return false
		}
		if slices.ContainsFunc(c.runs, by) { // else it is not this stage that must have made it
			list = append(list, made{w.resource, by})
		}
	}
	for _, t := range targets {
		list = append(list, made{t, func(run refRun) bool {
			for _, st := range run.statements() {
				if !slices.ContainsFunc(st.products, func(p *refResource) bool { return r.match(p, t) }) {
					return false
				}
			}
			return true
		}})
	}
	for _, x := range list {
		type rival struct {
			st    *refStatement
			timed bool
			time  time.Time
		}
		var rivals []rival
		for _, st := range r.statements {
			if !r.admissible(q, st) || !slices.ContainsFunc(st.products, func(p *refResource) bool { return r.match(p, x.resource) }) {
				continue
			}
			v := rival{st: st}
			may := false
			for j := range st.signatures {
				if vote, ok := r.mayVote(st, &st.signatures[j], q.Signers, q.MaxAge); ok {
					may = true
					if vote.timed && (!v.timed || vote.end.After(v.time)) {
						v.timed, v.time = true, vote.end
					}
				}
			}
			if may {
				rivals = append(rivals, v)
			}
		}
		switch q.Which {
		case "all":
			for _, v := range rivals {
				if ok, _ := r.conditions(q, v.st); !ok {
					return errors.New("4.3 all")
				}
			}
		case "none":
			for _, v := range rivals {
				if ok, undecided := r.conditions(q, v.st); ok || undecided {
					return errors.New("4.3 none")
				}
			}
		case "newest":
			var latest time.Time
			for _, v := range rivals {
				if !v.timed {
					return errors.New("4.3 newest: no time")
				}
				if v.time.After(latest) {
					latest = v.time
				}
			}
			newest := map[*refStatement]bool{}
			for _, v := range rivals {
				if v.time.Equal(latest) {
					newest[v.st] = true
					if ok, _ := r.conditions(q, v.st); !ok {
						return errors.New("4.3 newest: condition")
					}
				}
			}
			for _, run := range c.runs {
				if !x.by(run) {
					continue
				}
				for _, v := range run {
					if v.q == i && !newest[v.st] {
						return errors.New("4.3 newest: not the newest")
					}
				}
			}
		}
		if q.Complete && !r.inventoried(q, x.resource) {
			return errors.New("4.3 complete")
		}
	}
	return nil
}

// inventoried is the last point of section 4.3.
func (r *reference) inventoried(q *verify.Requirement, x *refResource) bool {
	inv := r.policy.Inventory
	asked := &verify.Requirement{Type: verify.InventoryType}
	some := false
	for _, st := range r.statements {
		if !r.admissible(asked, st) || !slices.ContainsFunc(st.products, func(p *refResource) bool { return r.match(p, x) }) {
			continue
		}
		may := false
		for j := range st.signatures {
			_, ok := r.mayVote(st, &st.signatures[j], inv.Signers, inv.MaxAge)
			may = may || ok
		}
		if !may {
			continue
		}
		some = true
		list, ok := st.predicate["statements"].([]any)
		if !ok {
			return false
		}
		for _, e := range list {
			e, _ := e.(map[string]any)
			if typ, _ := e["predicateType"].(string); !slices.Contains(typesOf(q), typ) {
				continue
			}
			if !slices.ContainsFunc(r.statements, func(o *refStatement) bool {
				return o.digest == e["digest"] && slices.ContainsFunc(o.products, func(p *refResource) bool {
					return slices.ContainsFunc(st.products, p.shares)
				})
			}) {
				return false
			}
		}
	}
	return some
}

// ordered is O1 for one pair of stages.
func (r *reference) ordered(s, e *refChoice) bool {
	span := func(c *refChoice, st *refStatement) (start, end time.Time, ok bool) {
		ok = true
		for _, v := range c.votes {
			if v.st != st {
				continue
			}
			ok = ok && v.timed
			if start.IsZero() || v.start.Before(start) {
				start = v.start
			}
			if v.end.After(end) {
				end = v.end
			}
		}
		return start, end, ok
	}
	for _, x := range s.statements {
		for _, y := range e.statements {
			if x == y {
				return false
			}
			if slices.ContainsFunc(x.materials, func(m *refResource) bool { return "sha256:"+m.digests[provenance.SHA256] == y.digest }) {
				continue
			}
			start, _, okX := span(s, x)
			_, end, okY := span(e, y)
			if !okX || !okY || start.Before(end) {
				return false
			}
		}
	}
	return true
}

// listed are the packages of a statement under a rule with samePackages.
func (r *reference) listed(rule *verify.Rule, st *refStatement) []*refResource {
	all := slices.Clone(st.materials)
	components, _ := st.predicate["components"].([]any)
	for _, c := range components {
		c, _ := c.(map[string]any)
		p := &refResource{digests: map[provenance.Algorithm]string{}}
		p.uri, _ = c["purl"].(string)
		for field, names := range map[string][2]string{"hashes": {"alg", "content"}, "properties": {"name", "value"}} {
			list, _ := c[field].([]any)
			for _, x := range list {
				x := x.(map[string]any)
				a := provenance.Algorithm(strings.TrimPrefix(x[names[0]].(string), "hallmark:digest:"))
				if a == "SHA-256" {
					a = provenance.SHA256
				}
				if r.accepted(a) {
					p.digests[a] = x[names[1]].(string)
				}
			}
		}
		if !slices.ContainsFunc(st.products, func(s *refResource) bool { return s.matches(p) }) {
			all = append(all, p)
		}
	}
	var out []*refResource
	for _, p := range all {
		if p.uri != "" && r.glob(rule.Packages).Match(p.uri) && !slices.ContainsFunc(rule.Except, func(e string) bool { return r.glob(e).Match(p.uri) }) {
			out = append(out, p)
		}
	}
	return out
}

// duties are D1 to D4.
func (r *reference) duties(choice map[string]*refChoice) error {
	for _, rule := range r.policy.Rules {
		for i, a := range rule.Separate {
			for _, b := range rule.Separate[:i] {
				for _, v := range choice[a].votes {
					if slices.ContainsFunc(choice[b].votes, func(w refVote) bool { return w.person == v.person }) {
						return fmt.Errorf("D1: %s in %s and %s", v.person, a, b)
					}
				}
			}
		}
		if rule.Organizations > 0 {
			organizations := map[string]bool{}
			for _, name := range rule.Over {
				for _, v := range choice[name].votes {
					if o := r.policy.Principals[v.person].Organization; o != "" {
						organizations[o] = true
					}
				}
			}
			if len(organizations) < rule.Organizations {
				return fmt.Errorf("D2: %d organizations", len(organizations))
			}
		}
		for _, a := range rule.SamePackages {
			if len(choice[a].statements) == 0 {
				return fmt.Errorf("D4: %s has no statement", a)
			}
			for _, x := range choice[a].statements {
				mine := r.listed(&rule, x)
				if len(mine) == 0 {
					return fmt.Errorf("D4: a statement of %s has no package", a)
				}
				for _, b := range rule.SamePackages {
					for _, y := range choice[b].statements {
						theirs := r.listed(&rule, y)
						for _, p := range mine {
							if a != b && !slices.ContainsFunc(theirs, func(q *refResource) bool { return q.uri == p.uri && p.matches(q) }) {
								return fmt.Errorf("D4: %s of %s is not in %s", p.uri, a, b)
							}
						}
					}
				}
			}
		}
		if rule.Condition != "" {
			stages := map[string]any{}
			for name, c := range choice {
				list := []any{}
				for _, st := range c.statements {
					if r.policy.Stages[name].Contains != nil {
						continue // no statement, and nothing that a condition could look at
					}
					list = append(list, map[string]any{"predicate": st.predicate})
				}
				stages[name] = list
			}
			c, err := r.compiler.Compile(rule.Condition, nil)
			if err != nil {
				panic(err)
			}
			if ok, err := c.Holds(map[string]any{"stages": stages}); err != nil || !ok {
				return fmt.Errorf("D3: %s", rule.Condition)
			}
		}
	}
	return nil
}
