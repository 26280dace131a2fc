package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hallmark-build/hallmark/provenance"
)

// A Request is one question to a [Verifier].
type Request struct {
	// Artifacts are the artifacts to judge, at least one; one consistent
	// chain must account for all of them together.
	Artifacts []provenance.Artifact
	// Evidence is where attestations are found. Required.
	Evidence Source
	// At is the instant of judgement. Required: the library reads no clock.
	At time.Time
	// Contents are packages that were looked into, for policies that trace what
	// a package contains.
	Contents []*Contents
}

// Verify judges the artifacts of the request. It returns a proof, or a
// [*RefusedError] when the policy does not hold, or another error when nothing
// could be judged: an incomplete request, a Source that failed, a cancelled
// context.
//
// The chain is solved as docs/chain.md says: a choice of statements for every stage, found by walking
// back from the artifacts by digest, such that everything the policy asks for
// holds of that one choice.
func (v *Verifier) Verify(ctx context.Context, req Request) (*Proof, error) {
	return v.verify(ctx, req, nil)
}

// verify is Verify with a cache of opened attestations, if not nil.
func (v *Verifier) verify(ctx context.Context, req Request, shared *openedCache) (*Proof, error) {
	switch {
	case v == nil || v.final == nil:
		return nil, errors.New("verify: the Verifier was not made by New")
	case len(req.Artifacts) == 0:
		return nil, errors.New("verify: the request has no artifact")
	case req.Evidence == nil:
		return nil, errors.New("verify: the request has no evidence source")
	case req.At.IsZero():
		return nil, errors.New("verify: the request has no instant of judgement")
	}
	s := &solver{
		v: v, ctx: ctx, req: &req, at: req.At.UTC(), shared: shared,
		found:    map[provenance.Digest][]*candidate{},
		rejected: map[provenance.Digest][]*RejectedError{},
		raw:      map[[32]byte]*candidate{},
		byID:     map[provenance.Digest]*candidate{},
		byName:   map[string][]*candidate{},
		order:    slices.Concat(v.flowOrder, v.aboutOrder),
	}
	s.chosen = make([]choice, len(s.order))
	for i, a := range req.Artifacts {
		r := a.Descriptor()
		r.Digest = slices.Clone(v.usable(r.Digest)) // what is reported is what was checked
		if len(r.Digest) == 0 {
			return nil, fmt.Errorf("verify: artifact %d (%s) has no digest under an algorithm that the policy accepts", i, clean(a.Name))
		}
		s.artifacts = append(s.artifacts, r)
	}
	if err := s.contents(); err != nil {
		return nil, err
	}
	if !v.policy.Expires.IsZero() && !s.at.Before(v.policy.Expires) {
		// At the very instant of expiry it has expired.
		s.fail(nil, &Finding{Reason: ReasonPolicyExpired, Message: fmt.Sprintf("the policy expired at %s", stamp(v.policy.Expires)), Mend: "get the current policy"})
		return nil, &RefusedError{s.report(false)}
	}
	solved, err := s.solve(0)
	if !solved && err == nil {
		err = s.explain()
	}
	var limit *limitError
	switch {
	case errors.As(err, &limit):
		s.best = partial{findings: []Finding{{Reason: ReasonSearchLimit, Message: limit.msg + "; the search was given up, and nothing is said about the artifact"}}}
		return nil, &RefusedError{s.report(false)}
	case err != nil:
		return nil, err
	case !solved:
		return nil, &RefusedError{s.report(false)}
	}
	p := &Proof{report: s.report(true)}
	for _, c := range s.byID {
		if s.uses(c) {
			p.statements = append(p.statements, c.vs)
		}
	}
	slices.SortFunc(p.statements, func(a, b *VerifiedStatement) int { return a.digest.Compare(b.digest) })
	return p, nil
}

// A limitError ends the search: there is no verdict beyond it.
type limitError struct{ msg string }

func (e *limitError) Error() string { return e.msg }

// solver is one search. Nothing in it outlives the call.
type solver struct {
	v         *Verifier
	ctx       context.Context
	req       *Request
	at        time.Time
	artifacts []provenance.ResourceDescriptor
	packages  map[*stage][]*candidate // of Request.Contents, for stages that look into packages

	found    map[provenance.Digest][]*candidate
	rejected map[provenance.Digest][]*RejectedError
	shared   *openedCache // of a batch, or nil
	raw      map[[32]byte]*candidate
	byID     map[provenance.Digest]*candidate
	listed   map[packagesKey]*packageList // packages of statements, once asked for

	order  []*stage
	chosen []choice // by stage.index; of the stages before the current one
	depth  int      // index of the current stage
	steps  int
	best   partial

	// conflict are the stages, by index, whose choices a failure of solve or
	// judge depends on: as long as they stay, nothing else helps.
	conflict []bool
	tries    int // signatures checked

	byName map[string][]*candidate // what pendingNamed found
	looked int                     // files looked at to explain
}

// errElsewhere ends the choosing for a stage that a failure does not depend on.
var errElsewhere = errors.New("no choice for this stage helps")

// choice is what was chosen for a stage.
type choice struct {
	runs   []*run
	used   []edge // the products that the chain uses, or that the stage is about
	absent bool
}

// run is one run of a stage: the votes that count, and their statements.
type run struct {
	votes []vote
	cands []*candidate
	cover []bool // which of the stage's wants it covers
}

// want is an artifact that a stage should have made.
type want struct {
	res      *provenance.ResourceDescriptor
	consumer *stage // whose material it is; nil for the artifact itself
	flow     *flow  // of the consumer; nil for the artifact itself
	must     bool   // it can come from nowhere else
}

// edge is a want that a product met.
type edge struct {
	product *provenance.ResourceDescriptor
	want
}

// partial is the best partial proof: the choices when the search had come
// farthest, and what stood in the way there.
type partial struct {
	depth    int
	set      bool
	chosen   []choice
	findings []Finding
	wants    []want // of the stage that failed
	explain  bool
}

const maxFindings = 50

// fail records why the search cannot go on from here.
func (s *solver) fail(st *stage, f *Finding) {
	if st != nil {
		f.Stage = st.name
	}
	if !s.best.set || s.depth > s.best.depth {
		s.best = partial{depth: s.depth, set: true, chosen: slices.Clone(s.chosen[:s.depth])}
	}
	if s.depth == s.best.depth && len(s.best.findings) < maxFindings && !slices.Contains(s.best.findings, *f) {
		s.best.findings = append(s.best.findings, *f)
	}
}

// step counts one assignment tried.
func (s *solver) step() error {
	s.steps++
	if s.steps > s.v.options.SearchSteps {
		return &limitError{fmt.Sprintf("more than %d assignments of statements to stages", s.v.options.SearchSteps)}
	}
	if s.steps%256 == 0 {
		return s.ctx.Err()
	}
	return nil
}

// solve chooses for the stages from order[i] on, given the choices before, and
// reports whether everything can be made to hold.
func (s *solver) solve(i int) (bool, error) {
	s.depth = i
	if i == len(s.order) {
		return s.judge()
	}
	st := s.order[i]
	var wants []want
	var err error
	if len(st.about) > 0 {
		wants = s.targets(st)
	} else if wants, err = s.wants(st); err != nil {
		return false, err
	}
	if len(wants) == 0 {
		s.conflict = s.rests(st)
		return s.without(st, i)
	}
	must := slices.ContainsFunc(wants, func(w want) bool { return w.must })
	done := false
	var conflict []bool // of all that was tried
	try := func(runs []*run) (bool, error) {
		s.depth = i
		if err := s.step(); err != nil {
			return false, err
		}
		ok, err := s.choose(st, wants, runs)
		if !ok || err != nil {
			return false, err
		}
		done, err = s.solve(i + 1)
		s.depth = i
		if done || err != nil {
			return done, err
		}
		if !s.conflict[i] {
			return false, errElsewhere
		}
		conflict = unite(conflict, s.conflict)
		return false, nil
	}
	if st.spec.Many {
		_, err = s.many(st, wants, make([]bool, len(wants)), nil, try)
	} else {
		_, err = s.one(st, wants, mustCover(wants), try)
	}
	if err != errElsewhere && (done || err != nil) {
		return done, err
	}
	s.chosen[i] = choice{}
	if err == errElsewhere {
		return false, nil
	}
	s.conflict = unite(s.rests(st), conflict)
	s.conflict[i] = false
	if !must {
		return s.without(st, i)
	}
	s.missing(st, wants)
	return false, nil
}

// rests returns the stages on whose choices it depends what a stage is
// wanted for, and so what can be chosen for it.
func (s *solver) rests(st *stage) []bool {
	set := make([]bool, len(s.order))
	for _, a := range st.about {
		set[a.stage.index] = true
	}
	for i := range set[:st.index] {
		set[i] = set[i] || len(st.about) == 0
	}
	return set
}

// unite adds the second set to the first, which may be nil.
func unite(to, from []bool) []bool {
	if to == nil {
		return slices.Clone(from)
	}
	for i, ok := range from {
		to[i] = to[i] || ok
	}
	return to
}

// missing remembers that a stage could not be met, so that what is nearest can be looked
// up once the search is over.
func (s *solver) missing(st *stage, wants []want) {
	if !s.best.set || s.depth > s.best.depth {
		s.best = partial{depth: s.depth, set: true, chosen: slices.Clone(s.chosen[:s.depth])}
	}
	if s.depth == s.best.depth && !s.best.explain {
		s.best.explain = true
		s.best.wants = slices.Clone(wants)
	}
}

func mustCover(wants []want) []int {
	var out []int
	for i, w := range wants {
		if w.must {
			out = append(out, i)
		}
	}
	return out
}

// without goes on without a stage, when the policy lets it. s.conflict is what
// it depends on that no run of the stage did.
func (s *solver) without(st *stage, i int) (bool, error) {
	absentAbout := len(st.about) > 0
	for _, a := range st.about {
		absentAbout = absentAbout && s.chosen[a.stage.index].absent
	}
	if !st.spec.Optional && !absentAbout {
		msg := "no material of a later stage comes from this stage"
		if len(st.about) > 0 {
			msg = "the stages that it is about made nothing that it should be about"
		}
		s.fail(st, &Finding{Reason: ReasonNoFlow, Message: msg})
		return false, nil
	}
	s.chosen[i] = choice{absent: true}
	conflict := s.conflict
	done, err := s.solve(i + 1)
	s.depth = i
	s.chosen[i] = choice{}
	if !done && err == nil && s.conflict[i] {
		s.conflict = unite(conflict, s.conflict)
		s.conflict[i] = false
	}
	return done, err
}

// wants returns what the chain so far wants of a stage: the artifacts, for the
// final one, and the materials of consumers that the stage could have made.
// All consumers are chosen already.
func (s *solver) wants(st *stage) ([]want, error) {
	var out []want
	if st == s.v.final {
		for i := range s.artifacts {
			out = append(out, want{res: &s.artifacts[i], must: true})
		}
	}
	for _, consumer := range st.consumers {
		ch := &s.chosen[consumer.index]
		f := consumer.from[slices.IndexFunc(consumer.from, func(f *flow) bool { return f.stage == st })]
		seen := map[wantKey]bool{}
		for _, r := range ch.runs {
			for _, c := range r.cands {
				out = slices.Grow(out, len(c.materials))
				for i := range c.materials {
					m := &c.materials[i]
					k := keyOf(m)
					if !f.takes(m) || seen[k] {
						continue
					}
					seen[k] = true
					w := want{res: m, consumer: consumer, flow: f}
					possible, err := s.possible(st, w)
					if err != nil {
						return nil, err
					}
					if !possible {
						continue
					}
					if w.must, err = s.onlyFrom(st, w); err != nil {
						return nil, err
					}
					out = append(out, w)
				}
			}
		}
	}
	return out, nil
}

// wantKey tells materials apart that differ in what flow goes by.
type wantKey struct {
	name, uri string
	digest    provenance.Digest
	more      string
	link      bool
}

func keyOf(r *provenance.ResourceDescriptor) wantKey {
	k := wantKey{name: r.Name, uri: r.URI, link: isLink(r)}
	switch len(r.Digest) {
	case 0:
	case 1:
		k.digest = r.Digest[0]
	default:
		k.more = r.Digest.String()
	}
	return k
}

// takes reports whether a material may come by this flow at all.
func (f *flow) takes(m *provenance.ResourceDescriptor) bool {
	return f.materials == nil || f.materials.Match(m.Name)
}

// possible reports whether some statement that the stage could rest on has the want among its products.
func (s *solver) possible(st *stage, w want) (bool, error) {
	found := false
	err := s.about(st, w, func(c *candidate) bool {
		if at, _ := c.product(w.res, w.flow); at >= 0 {
			found = st.members != nil || slices.ContainsFunc(st.requires, func(r *requirement) bool { return r.which != "none" && s.stand(r, c).ok() })
		}
		return !found
	})
	return found, err
}

// primary is the requirement whose statements are looked up first: the first
// that wants a statement to be there.
func (st *stage) primary() *requirement {
	for _, r := range st.requires {
		if r.which != "none" {
			return r
		}
	}
	return nil
}

// about calls each for every candidate that has the want's digest as a subject,
// in order, until it returns false.
func (s *solver) about(st *stage, w want, each func(*candidate) bool) error {
	if st.members != nil {
		for _, c := range s.packages[st] {
			if !each(c) {
				return nil
			}
		}
		return nil
	}
	if len(w.res.Digest) == 1 {
		list, err := s.find(w.res.Digest[0])
		if err != nil {
			return err
		}
		for _, c := range list {
			if !each(c) {
				return nil
			}
		}
		return nil
	}
	list, err := s.union(w)
	if err != nil {
		return err
	}
	for _, c := range list {
		if !each(c) {
			return nil
		}
	}
	return nil
}

func (s *solver) union(w want) ([]*candidate, error) {
	var out []*candidate
	for _, d := range w.res.Digest {
		list, err := s.find(d)
		if err != nil {
			return nil, err
		}
		out = append(out, list...)
	}
	slices.SortFunc(out, func(a, b *candidate) int { return a.id.Compare(b.id) })
	return slices.Compact(out), nil
}

// onlyFrom reports whether a material could come from no stage or input of its
// consumer but st.
func (s *solver) onlyFrom(st *stage, w want) (bool, error) {
	if s.mayBeStatement(w.consumer, w.res) {
		return false, nil // of a stage in after
	}
	for _, in := range w.consumer.inputs {
		if in.admits(w.res) {
			return false, nil // what listedBy says is seen when all is chosen
		}
	}
	for _, f := range w.consumer.from {
		if f.stage == st || !f.takes(w.res) {
			continue
		}
		other := want{res: w.res, consumer: w.consumer, flow: f}
		if f.stage.index < st.index {
			if s.comesFrom(f, w.res) != nil {
				return false, nil
			}
			continue
		}
		possible, err := s.possible(f.stage, other)
		if possible || err != nil {
			return false, err
		}
	}
	return true, nil
}

// comesFrom returns the product that a material is, among what was chosen for the
// stage of the flow.
func (s *solver) comesFrom(f *flow, m *provenance.ResourceDescriptor) *provenance.ResourceDescriptor {
	if !f.takes(m) {
		return nil
	}
	for _, r := range s.chosen[f.stage.index].runs {
		for _, c := range r.cands {
			if at, _ := c.product(m, f); at >= 0 {
				return &c.subjects[at]
			}
		}
	}
	return nil
}

// targets returns the products that a stage must be about.
func (s *solver) targets(st *stage) []want {
	var out []want
	seen := map[wantKey]bool{}
	overlap := false
	add := func(r *provenance.ResourceDescriptor, a *about) {
		if a.products != nil && !a.products.Match(r.Name) {
			return
		}
		overlap = true
		if !seen[keyOf(r)] {
			seen[keyOf(r)] = true
			out = append(out, want{res: r, consumer: a.stage, must: true})
		}
	}
	for _, a := range st.about {
		ch := &s.chosen[a.stage.index]
		overlap = ch.absent
		for i := range ch.used {
			add(ch.used[i].product, a)
		}
		if a.all {
			for _, r := range ch.runs {
				for _, c := range r.cands {
					for i := range c.subjects {
						add(&c.subjects[i], a)
					}
				}
			}
		}
		if !overlap {
			return nil // an empty overlap is never a pass
		}
	}
	return out
}

// one calls try for every run that covers the wants in must, and at least one
// want, until try succeeds.
func (s *solver) one(st *stage, wants []want, must []int, try func([]*run) (bool, error)) (bool, error) {
	if st.members != nil {
		for _, c := range s.packages[st] {
			cover, ok := s.covers(c, wants, must)
			if !ok {
				continue
			}
			if done, err := try([]*run{{cands: []*candidate{c}, cover: cover}}); done || err != nil {
				return done, err
			}
		}
		return false, nil
	}
	groups, err := s.groups(st, st.primary(), wants, must)
	if err != nil {
		return false, err
	}
	for _, g := range groups {
		done, err := s.assemble(st, wants, g, 0, nil, try)
		if done || err != nil {
			return done, err
		}
	}
	if len(groups) == 0 && st.primary() == nil { // only "none" requirements
		if bad, err := s.forbidden(st, wants, must); bad != nil || err != nil {
			if bad != nil {
				s.fail(st, bad)
			}
			return false, err
		}
		cover := make([]bool, len(wants))
		for _, i := range must {
			cover[i] = true
		}
		return try([]*run{{cover: cover}})
	}
	return false, nil
}

// group is statements that cover the same wants: those among which signers can agree.
type group struct {
	cover []bool
	cands []*candidate
}

// covers returns which wants a candidate's products meet, and whether all of
// must, and at least one, are among them.
func (s *solver) covers(c *candidate, wants []want, must []int) ([]bool, bool) {
	for _, i := range must {
		if at, _ := c.product(wants[i].res, wants[i].flow); at < 0 {
			return nil, false
		}
	}
	cover := make([]bool, len(wants))
	any := false
	for i, w := range wants {
		at, _ := c.product(w.res, w.flow)
		cover[i] = at >= 0
		any = any || at >= 0
	}
	return cover, any
}

// groups returns the candidates of a requirement by what they cover, in the order of their digests.
func (s *solver) groups(st *stage, r *requirement, wants []want, must []int) ([]*group, error) {
	if r == nil {
		return nil, nil
	}
	seeds := wants
	if len(must) > 0 {
		seeds = wants[must[0] : must[0]+1]
	}
	var list []*candidate
	for _, w := range seeds {
		err := s.about(st, w, func(c *candidate) bool {
			list = append(list, c)
			return true
		})
		if err != nil {
			return nil, err
		}
	}
	if len(seeds) > 1 {
		slices.SortFunc(list, func(a, b *candidate) int { return a.id.Compare(b.id) })
		list = slices.Compact(list)
	}
	var out []*group
	for _, c := range list {
		cover, ok := s.covers(c, wants, must)
		if !ok || !s.stand(r, c).ok() {
			continue
		}
		if ok, err := s.settled(st, r, c, wants, cover); !ok || err != nil {
			if err != nil {
				return nil, err
			}
			continue
		}
		i := slices.IndexFunc(out, func(g *group) bool { return slices.Equal(g.cover, cover) })
		if i < 0 {
			i = len(out)
			out = append(out, &group{cover: cover})
		}
		out[i].cands = append(out[i].cands, c)
	}
	return out, nil
}

// assemble goes through the stage's requirements from the n-th on, choosing
// votes among statements that cover the same wants as g.
func (s *solver) assemble(st *stage, wants []want, g *group, n int, votes []vote, try func([]*run) (bool, error)) (bool, error) {
	if n == len(st.requires) {
		r := &run{votes: slices.Clone(votes), cover: g.cover}
		for _, v := range votes {
			if !slices.Contains(r.cands, v.cand) {
				r.cands = append(r.cands, v.cand)
			}
		}
		slices.SortFunc(r.cands, func(a, b *candidate) int { return a.id.Compare(b.id) })
		return try([]*run{r})
	}
	r := st.requires[n]
	var must []int
	for i, ok := range g.cover {
		if ok {
			must = append(must, i)
		}
	}
	if r.which == "none" {
		bad, err := s.forbidden(st, wants, must)
		if err != nil {
			return false, err
		}
		if bad != nil {
			s.fail(st, bad)
			return false, nil
		}
		return s.assemble(st, wants, g, n+1, votes, try)
	}
	cands := g.cands
	if r != st.primary() {
		cands = nil
		groups, err := s.groups(st, r, wants, must)
		if err != nil {
			return false, err
		}
		for _, h := range groups {
			if slices.Equal(h.cover, g.cover) {
				cands = h.cands
			}
		}
		if len(cands) == 0 {
			s.nearest(st, r, wants, must)
			return false, nil
		}
	}
	// Every way for threshold distinct principals to say so. Where nobody asks
	// who it was, one vote of each statement will do.
	var ballot []vote
	for _, c := range cands {
		votes := s.stand(r, c).votes
		if r.threshold == 1 && !st.judged && !s.timed(st) {
			votes = votes[:1]
		}
		ballot = append(ballot, votes...)
	}
	if have := persons(ballot); have < r.threshold {
		s.fail(st, s.tooFew(r, cands, have))
		return false, nil
	}
	var pick func(from int, sofar []vote) (bool, error)
	pick = func(from int, sofar []vote) (bool, error) {
		if len(sofar) == r.threshold {
			return s.assemble(st, wants, g, n+1, append(votes[:len(votes):len(votes)], sofar...), try)
		}
		for i := from; i < len(ballot); i++ {
			v := ballot[i]
			if slices.ContainsFunc(sofar, func(o vote) bool { return o.person == v.person }) {
				continue
			}
			if r.spec.AgreeOnMaterials && len(sofar) > 0 && !sameMaterials(sofar[0].cand, v.cand) {
				s.fail(st, &Finding{Reason: ReasonDisagreement, Nearest: v.cand.id.String(),
					Message: fmt.Sprintf("statements %s and %s agree on the products and differ on the materials", sofar[0].cand.id.Short(), v.cand.id.Short())})
				continue
			}
			if err := s.step(); err != nil {
				return false, err
			}
			done, err := pick(i+1, append(sofar[:len(sofar):len(sofar)], v))
			if done || err != nil {
				return done, err
			}
		}
		return false, nil
	}
	return pick(0, nil)
}

// timed reports whether it matters which of a stage's signatures is taken,
// because their times are compared.
func (s *solver) timed(st *stage) bool {
	if len(st.after) > 0 {
		return true
	}
	for _, o := range s.order {
		if slices.Contains(o.after, st) {
			return true
		}
	}
	return false
}

func persons(votes []vote) int {
	var seen []string
	for _, v := range votes {
		if !slices.Contains(seen, v.person) {
			seen = append(seen, v.person)
		}
	}
	return len(seen)
}

// sameMaterials compares by digest, whatever the order and the names.
func sameMaterials(a, b *candidate) bool {
	set := func(c *candidate) []string {
		out := make([]string, 0, len(c.materials))
		for i := range c.materials {
			k := c.materials[i].Digest.String()
			if k == "" {
				k = c.materials[i].URI + " " + c.materials[i].Name
			}
			out = append(out, k)
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
	return slices.Equal(set(a), set(b))
}

// many calls try for sets of runs that together cover every want that must be
// covered. The wants are taken in order, so that no set is tried twice for the
// same reason.
func (s *solver) many(st *stage, wants []want, covered []bool, runs []*run, try func([]*run) (bool, error)) (bool, error) {
	next := -1
	for _, must := range []bool{true, false} {
		for i, w := range wants {
			if next < 0 && w.must == must && !covered[i] {
				next = i
			}
		}
	}
	if next < 0 {
		if len(runs) == 0 || idle(runs) {
			return false, nil
		}
		return try(runs)
	}
	done, err := s.one(st, wants, []int{next}, func(r []*run) (bool, error) {
		now := slices.Clone(covered)
		for i, ok := range r[0].cover {
			now[i] = now[i] || ok
		}
		return s.many(st, wants, now, append(runs[:len(runs):len(runs)], r[0]), try)
	})
	if done || err != nil || wants[next].must {
		return done, err
	}
	// What could come from elsewhere need not come from here.
	now := slices.Clone(covered)
	now[next] = true
	return s.many(st, wants, now, runs, try)
}

// idle reports whether one of the runs covers nothing that no other covers: a
// set with such a run is not a choice (docs/chain.md, F5 and A2).
func idle(runs []*run) bool {
	return slices.ContainsFunc(runs, func(r *run) bool {
		for i, ok := range r.cover {
			if ok && !slices.ContainsFunc(runs, func(o *run) bool { return o != r && o.cover[i] }) {
				return false
			}
		}
		return true
	})
}

// choose checks what can be checked of a stage's runs by themselves, and makes
// them the choice.
func (s *solver) choose(st *stage, wants []want, runs []*run) (bool, error) {
	ch := choice{runs: runs, used: used(wants, runs)}
	if f := s.products(st, &ch); f != nil {
		s.fail(st, f)
		return false, nil
	}
	for _, r := range runs {
		if len(st.about) > 0 {
			break // about its subjects; it hands nothing on
		}
		ok, err := s.materials(st, r)
		if !ok || err != nil {
			return false, err
		}
	}
	s.chosen[st.index] = ch
	return true, nil
}

// used returns every product of the runs by which a want is met. Statements
// that agree by digest may still give the product different names, or digests
// under more algorithms, and what is about the product must be about all of these.
func used(wants []want, runs []*run) []edge {
	out := make([]edge, 0, len(wants))
	for i := range wants {
		first := len(out)
		for _, r := range runs {
			if !r.cover[i] {
				continue
			}
			if len(r.cands) == 0 { // nothing but "none" requirements
				out = append(out, edge{wants[i].res, wants[i]})
			}
			for _, c := range r.cands {
				c.meeting(wants[i].res, wants[i].flow, func(p *provenance.ResourceDescriptor) {
					if !slices.ContainsFunc(out[first:], func(e edge) bool { return keyOf(e.product) == keyOf(p) }) {
						out = append(out, edge{p, wants[i]})
					}
				})
			}
		}
	}
	return out
}

// products checks the names of a stage's products, and that the chain uses
// them all where the policy demands completeness.
func (s *solver) products(st *stage, ch *choice) *Finding {
	if len(st.products) == 0 && !st.spec.Complete {
		return nil
	}
	used := map[wantKey]bool{}
	if st.spec.Complete {
		for i := range ch.used {
			used[keyOf(ch.used[i].product)] = true
		}
	}
	met := make([]bool, len(st.products))
	for _, r := range ch.runs {
		for _, c := range r.cands {
			for i := range c.subjects {
				p := &c.subjects[i]
				named := used[keyOf(p)]
				for j, pattern := range st.products {
					if pattern.Match(p.Name) {
						named, met[j] = true, true
					}
				}
				if named {
					continue
				}
				msg := "%s is not a product that the stage may have"
				if st.spec.Complete {
					msg = "%s is a product that the chain does not use"
				}
				return &Finding{Reason: ReasonIncomplete, File: p.Name, Got: brief(p.Digest), GotStage: st.name, Nearest: c.name(),
					Message: fmt.Sprintf(msg, clean(p.Label())), Mend: "remove it, or name it in products"}
			}
		}
	}
	for j, ok := range met {
		if !ok {
			return &Finding{Reason: ReasonIncomplete, Message: fmt.Sprintf("no product is named %s", st.spec.Products[j])}
		}
	}
	return nil
}

func (c *candidate) name() string { return c.id.String() }

// materials checks that every material of a run can be accounted for: by the
// products of some statement of a stage in from, or by an input; and that
// something can come from every stage in from. Whether it does, by what is
// chosen for those stages, is judged at the end.
func (s *solver) materials(st *stage, r *run) (bool, error) {
	flowing := make([]bool, len(st.from))
	for _, c := range r.cands {
		for i := range c.materials {
			m := &c.materials[i]
			ok := false
			for _, in := range st.inputs {
				ok = ok || in.admits(m)
			}
			for j, f := range st.from {
				if ok && flowing[j] || len(m.Digest) == 0 || !f.takes(m) {
					continue
				}
				possible, err := s.possible(f.stage, want{res: m, consumer: st, flow: f})
				if err != nil {
					return false, err
				}
				ok = ok || possible
				flowing[j] = flowing[j] || possible
			}
			if !ok && !s.mayBeStatement(st, m) {
				f, err := s.unaccounted(st, c, m)
				if err != nil {
					return false, err
				}
				s.fail(st, f)
				return false, nil
			}
		}
	}
	for j, f := range st.from {
		if !flowing[j] && !f.optional && !f.stage.spec.Optional {
			fd, err := s.noFlow(st, r, f)
			if err != nil {
				return false, err
			}
			s.fail(st, fd)
			return false, nil
		}
	}
	return true, nil
}

// mayBeStatement reports whether a material could be, by its digest, a
// statement of a stage that this one must come after. What those stages rest
// on may not be chosen yet, so this looks at what the material claims to be; isStatement has the last word.
func (s *solver) mayBeStatement(st *stage, m *provenance.ResourceDescriptor) bool {
	return len(st.after) > 0 && m.MediaType == StatementMediaType && !m.Digest.Get(provenance.SHA256).IsZero()
}

// admits reports whether the input lets the material in, listedBy aside.
func (in *input) admits(m *provenance.ResourceDescriptor) bool {
	if in.uri != nil {
		name := m.URI
		if name == "" {
			name = m.Name
		}
		if !in.uri.Match(name) || climbs(name) > in.climbs {
			return false
		}
	}
	if len(m.Digest) == 0 {
		return in.noDigest
	}
	strong := slices.ContainsFunc(m.Digest, func(d provenance.Digest) bool { return d.Algorithm().Strong() })
	if !strong && !in.noDigest {
		return false
	}
	if len(in.algorithms) > 0 && !slices.ContainsFunc(in.algorithms, func(a provenance.Algorithm) bool { return !m.Digest.Get(a).IsZero() }) {
		return false
	}
	return in.digests == nil || slices.ContainsFunc(m.Digest, func(d provenance.Digest) bool { return in.digests[d] })
}

// unescape undoes what keeps "../" from being seen and what fetches a URI undoes.
var unescape = strings.NewReplacer(`\`, "/", "%2e", ".", "%2E", ".", "%2f", "/", "%2F", "/", "%5c", "/", "%5C", "/", "\t", "", "\n", "", "\r", "")

// climbs returns how many elements ".." a URI has. They are taken out before a
// server is asked (RFC 3986, section 5.2.4), together with what the pattern of
// an input wants to see before them.
func climbs(uri string) int {
	n := 0
	if strings.Contains(uri, ".") || strings.Contains(uri, "%") {
		for e := range strings.SplitSeq(unescape.Replace(uri), "/") {
			if e == ".." {
				n++
			}
		}
	}
	return n
}

// uses reports whether the statement is part of the solution.
func (s *solver) uses(c *candidate) bool {
	for i := range s.chosen {
		for _, r := range s.chosen[i].runs {
			if slices.Contains(r.cands, c) {
				return true
			}
		}
	}
	return false
}

// contents makes candidates of the packages that were looked into, one for
// each stage that does, with the members that it wants accounted for.
func (s *solver) contents() error {
	s.packages = map[*stage][]*candidate{}
	for i, ct := range s.req.Contents {
		if ct == nil || len(ct.products) == 0 {
			return fmt.Errorf("verify: contents %d were not made by ReadContents", i)
		}
		products := slices.DeleteFunc(slices.Clone(s.v.usableAll(ct.products)), func(r provenance.ResourceDescriptor) bool { return len(r.Digest) == 0 })
		if len(products) == 0 {
			continue
		}
		members := s.v.usableAll(ct.members)
		for _, st := range s.order {
			if st.members == nil {
				continue
			}
			c := &candidate{id: products[0].Digest[0]}
			c.subjects = products
			for _, m := range members {
				if st.members.Match(m.Name) {
					c.materials = append(c.materials, m)
				}
			}
			s.packages[st] = append(s.packages[st], c)
		}
	}
	for _, list := range s.packages {
		slices.SortFunc(list, func(a, b *candidate) int { return a.id.Compare(b.id) })
	}
	return nil
}
