package verify

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/provenance"
)

// named returns the candidates of a stage that make something whose name ends
// in the same element.
func (s *solver) named(st *stage, name string) ([]*candidate, error) {
	src, ok := s.req.Evidence.(indexed)
	if !ok || name == "" || st.primary() == nil {
		return nil, nil
	}
	list, seen := s.byName[path.Base(name)]
	var err error
	if !seen {
		list, _, err = s.admit(src.pendingNamed(name))
		s.byName[path.Base(name)] = list
	}
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(list), func(c *candidate) bool {
		return !s.stand(st.primary(), c).ok() || !slices.ContainsFunc(c.subjects, func(r provenance.ResourceDescriptor) bool {
			return r.Name != "" && path.Base(r.Name) == path.Base(name)
		})
	}), nil
}

// unaccounted explains a material that nothing can account for.
func (s *solver) unaccounted(st *stage, c *candidate, m *provenance.ResourceDescriptor) (*Finding, error) {
	f := &Finding{Reason: ReasonUnaccounted, File: m.Name, Got: brief(m.Digest), GotStage: st.name, Nearest: c.name()}
	if f.File == "" {
		f.File = m.URI
	}
	if len(m.Digest) == 0 {
		f.Message = fmt.Sprintf("material %s has no digest that can be relied on, and no input admits it without", clean(m.Label()))
		f.Mend = "record it with a digest"
		return f, nil
	}
	var flows []*flow
	for _, fl := range st.from {
		if fl.takes(m) {
			flows = append(flows, fl)
		}
	}
	for _, fl := range flows {
		// By digest, but under another name.
		misnamed := ""
		err := s.about(fl.stage, want{res: m, consumer: st, flow: fl}, func(o *candidate) bool {
			if _, i := o.product(m, fl); i >= 0 && (o.vs == nil || s.stand(fl.stage.primary(), o).ok()) {
				misnamed = o.subjects[i].Name
			}
			return misnamed == ""
		})
		if err != nil {
			return nil, err
		}
		if misnamed != "" {
			f.Reason, f.WantStage, f.Want = ReasonName, fl.stage.name, misnamed
			f.Message = fmt.Sprintf("%s used as %s what %s made as %s", st.name, clean(m.Label()), fl.stage.name, clean(misnamed))
			f.Mend = "put the files back in their places"
			return f, nil
		}
	}
	for _, fl := range flows {
		if why, err := s.altered(st, fl, c, m); why != nil || err != nil {
			return why, err
		}
	}
	// By a statement that does not count: of all stages, the one that came closest.
	var near *Finding
	var from *stage
	for _, fl := range flows {
		err := s.about(fl.stage, want{res: m, consumer: st, flow: fl}, func(o *candidate) bool {
			at, _ := o.product(m, fl)
			for _, r := range fl.stage.requires {
				if at < 0 || r.which == "none" {
					continue
				}
				why := s.stand(r, o).why
				if why == nil {
					why = s.stand(r, o).where
				}
				if why != nil && (near == nil || distance(why) < distance(near)) {
					near, from = why, fl.stage
				}
			}
			return true
		})
		if err != nil {
			return nil, err
		}
	}
	rej := s.rejection(m)
	switch {
	case near != nil && (rej == nil || !elsewhere(near)):
		if !elsewhere(near) {
			f.Reason = near.Reason
		}
		f.Nearest, f.Mend, f.WantStage = near.Nearest, near.Mend, from.name
		f.Message = fmt.Sprintf("no statement that counts says that %s made material %s: %s", from.name, clean(m.Label()), near.Message)
		return f, nil
	case rej != nil:
		f.Reason = rej.Reason
		f.Message = fmt.Sprintf("the attestation that would account for material %s was rejected: %s", clean(m.Label()), clean(rej.Msg))
		f.Mend = "get the attestation as it was signed, by a principal that the policy names"
		return f, nil
	}
	f.Message = fmt.Sprintf("material %s comes from %s, as far as the evidence goes not at all", clean(m.Label()), st.sources())
	if len(st.from)+len(st.inputs) == 0 {
		f.Message = fmt.Sprintf("material %s is not admitted: the stage takes nothing from any stage or input", clean(m.Label()))
	} else {
		f.Message = fmt.Sprintf("material %s is accounted for by neither %s", clean(m.Label()), strings.ReplaceAll(st.sources(), " or ", " nor "))
		if len(st.from)+len(st.inputs) == 1 {
			f.Message = fmt.Sprintf("material %s is not accounted for by %s", clean(m.Label()), st.sources())
		}
	}
	f.Mend = "attest the step that made it, or admit it as an input by digest"
	return f, nil
}

// altered looks for a product with the material's name and another digest:
// first in the statements that the rest of c's materials lead to, then by name.
func (s *solver) altered(st *stage, fl *flow, c *candidate, m *provenance.ResourceDescriptor) (*Finding, error) {
	if m.Name == "" {
		return nil, nil
	}
	var near []*candidate
	for i := range c.materials {
		if s.looked++; s.looked > limits.ExplainLooks {
			return nil, nil
		}
		if o := &c.materials[i]; len(o.Digest) > 0 && fl.takes(o) {
			err := s.about(fl.stage, want{res: o, consumer: st, flow: fl}, func(x *candidate) bool {
				if x.vs == nil || s.stand(fl.stage.primary(), x).ok() {
					near = append(near, x)
				}
				return true
			})
			if err != nil {
				return nil, err
			}
		}
		if len(near) > 0 {
			break
		}
	}
	if len(near) == 0 {
		var err error
		if near, err = s.named(fl.stage, m.Name); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(near, func(a, b *candidate) int { return a.id.Compare(b.id) })
	near = slices.Compact(near)
	for _, x := range near {
		for i := range x.subjects {
			if s.looked++; s.looked > limits.ExplainLooks {
				return nil, nil
			}
			p := &x.subjects[i]
			same := p.Name == m.Name
			switch {
			case len(fl.mapping) > 0:
				same = fl.mapping[m.Name] == p.Name
			case fl.names == "base":
				same = fl.tied(m.Name, p.Name)
			}
			if !same || p.Digest.Matches(m.Digest) {
				continue
			}
			was, is := differing(p.Digest, m.Digest)
			return &Finding{Reason: ReasonAltered, File: m.Name, Want: was, WantStage: fl.stage.name, Got: is, GotStage: st.name, Nearest: x.name(),
				Message: fmt.Sprintf("%s changed between the stages: %s made it with %s, %s used it with %s", clean(m.Name), fl.stage.name, was, st.name, is),
				Mend:    fmt.Sprintf("find out who changed it, and run %s again on what %s made", st.name, fl.stage.name)}, nil
		}
	}
	return nil, nil
}

// differing returns two digests under one algorithm, if there is one.
func differing(a, b provenance.DigestSet) (string, string) {
	for _, d := range a {
		if e := b.Get(d.Algorithm()); !e.IsZero() && e != d {
			return d.String(), e.String()
		}
	}
	return brief(a), brief(b)
}

// brief is one digest of a set, SHA-256 if it has that.
func brief(set provenance.DigestSet) string {
	if d := set.Get(provenance.SHA256); !d.IsZero() || len(set) == 0 {
		return d.String()
	}
	return set[0].String()
}

// noFlow explains why nothing comes from a stage.
func (s *solver) noFlow(st *stage, r *run, fl *flow) (*Finding, error) {
	n := 0
	for _, c := range r.cands {
		n += len(c.materials)
		for i := range c.materials {
			if why, err := s.altered(st, fl, c, &c.materials[i]); why != nil || err != nil {
				return why, err
			}
		}
	}
	return &Finding{Reason: ReasonNoFlow, WantStage: fl.stage.name, GotStage: st.name, Nearest: r.cands[0].name(),
		Message: fmt.Sprintf("none of the %d materials of %s is a product of %s", n, st.name, fl.stage.name),
		Mend:    fmt.Sprintf("record what %s takes from %s", st.name, fl.stage.name)}, nil
}

// tooFew explains a threshold that is not met.
func (s *solver) tooFew(r *requirement, cands []*candidate, have int) *Finding {
	var who []string
	for _, c := range cands {
		for _, v := range s.stand(r, c).votes {
			if !slices.Contains(who, v.entry.name) {
				who = append(who, v.entry.name)
			}
		}
	}
	slices.Sort(who)
	f := &Finding{Reason: ReasonThreshold, Want: fmt.Sprint(r.threshold), Got: fmt.Sprint(have),
		Message: fmt.Sprintf("%d distinct principals must say the same, %d did (%s)", r.threshold, have, orNone(who)),
		Mend:    "have another principal of the stage attest the same products"}
	if len(cands) > 0 {
		f.Nearest = cands[0].id.String()
	}
	return f
}

// nearest records why no statement meets a requirement for the wants.
func (s *solver) nearest(st *stage, r *requirement, wants []want, must []int) {
	if len(must) == 0 {
		for i := range wants {
			must = append(must, i)
		}
	}
	const most = 5
	var partly []*Finding // statements that are about some of it: telling only if nothing else is
	defer func() {
		for _, f := range partly {
			s.fail(st, f)
		}
	}()
	told := false
	for n, i := range must {
		if n == most {
			break
		}
		w := wants[i]
		list, err := s.union(w)
		if err != nil {
			return
		}
		var whys []*Finding
		for _, c := range list {
			if at, _ := c.product(w.res, nil); at < 0 {
				continue
			}
			stand := s.stand(r, c)
			switch {
			case stand.ok():
				whys = append(whys, &Finding{Reason: ReasonDisagreement, Nearest: c.id.String(),
					Message: fmt.Sprintf("statement %s is about %s and not about everything that the chain uses of this stage", c.id.Short(), clean(w.res.Label()))})
			case stand.where != nil:
				whys = append(whys, stand.where)
			default:
				whys = append(whys, stand.why)
			}
		}
		slices.SortStableFunc(whys, func(a, b *Finding) int { return rank(a.Reason) - rank(b.Reason) })
		if len(whys) > 0 {
			f := *whys[0]
			f.File = w.res.Name
			if f.Reason == ReasonDisagreement {
				partly = append(partly, &f)
				continue
			}
			s.fail(st, &f)
		} else {
			s.fail(st, s.nothing(st, r, w))
		}
		told = true
	}
	if told {
		partly = nil
	}
}

// nothing explains a want about which there is no statement at all.
func (s *solver) nothing(st *stage, r *requirement, w want) *Finding {
	f := &Finding{Reason: ReasonNoStatement, File: w.res.Name, Got: brief(w.res.Digest),
		Message: fmt.Sprintf("no statement of type %s is about %s (%s)", strings.Join(r.types, " or "), clean(w.res.Label()), w.res.Digest[0].Short()),
		Mend:    fmt.Sprintf("attest the stage %s for this very file", st.name)}
	if rej := s.rejection(w.res); rej != nil {
		f.Reason = rej.Reason
		f.Message = fmt.Sprintf("an attestation about %s was rejected: %s", clean(w.res.Label()), clean(rej.Msg))
		f.Mend = "get the attestation as it was signed, by a principal that the policy names"
		return f
	}
	near, err := s.named(st, w.res.Name)
	if err != nil || len(near) == 0 {
		return f
	}
	for _, c := range near {
		for i := range c.subjects {
			p := &c.subjects[i]
			if p.Name == w.res.Name && !p.Digest.Matches(w.res.Digest) {
				was, is := differing(p.Digest, w.res.Digest)
				where := "the artifact judged"
				gotStage := ""
				if w.consumer != nil {
					where, gotStage = w.consumer.name, w.consumer.name
				}
				return &Finding{Reason: ReasonAltered, File: w.res.Name, Want: was, WantStage: st.name, Got: is, GotStage: gotStage, Nearest: c.id.String(),
					Message: fmt.Sprintf("%s was made by %s with %s, and %s has %s", clean(p.Name), st.name, was, where, is),
					Mend:    "get the file that was attested"}
			}
		}
	}
	return f
}

// rejection returns a rejected attestation that claims to be about a resource.
func (s *solver) rejection(r *provenance.ResourceDescriptor) *RejectedError {
	for _, d := range r.Digest {
		if list := s.rejected[d]; len(list) > 0 {
			return list[0]
		}
	}
	return nil
}

// rank orders reasons by how much they tell: what came closest first.
func rank(r Reason) int {
	order := []Reason{ReasonAltered, ReasonName, ReasonForbidden, ReasonWithheld, ReasonCondition, ReasonConditionError, ReasonRevoked, ReasonTooOld, ReasonNoTime,
		ReasonNotYet, ReasonOrder, ReasonDuties, ReasonOrganizations, ReasonPackages, ReasonThreshold, ReasonDisagreement, ReasonIncomplete, ReasonUnaccounted,
		ReasonNoFlow, ReasonNoInventory, ReasonWrongSigner, ReasonUntrusted, ReasonKeyValidity, ReasonBundle, ReasonPredicateBad, ReasonMalformed, ReasonWrongType, ReasonNoStatement}
	if i := slices.Index(order, r); i >= 0 {
		return i
	}
	return len(order)
}

// elsewhere reports whether a statement was refused because it may well have
// been meant for another stage: by who signed it, or by its type.
func elsewhere(f *Finding) bool {
	return f.Reason == ReasonWrongSigner || f.Reason == ReasonWrongType
}

// distance is rank, with what may be meant for another stage last.
func distance(f *Finding) int {
	if elsewhere(f) {
		return 1000 + rank(f.Reason)
	}
	return rank(f.Reason)
}

// explain fills in the findings of a search that failed for want of
// statements.
func (s *solver) explain() error {
	if s.best.explain && s.best.depth < len(s.order) {
		st := s.order[s.best.depth]
		s.depth = s.best.depth
		if st.members != nil {
			w := s.best.wants[mustCover(s.best.wants)[0]]
			s.fail(st, &Finding{Reason: ReasonContents, File: w.res.Name, Got: brief(w.res.Digest),
				Message: fmt.Sprintf("the contents of %s were not given, or cannot be accounted for", clean(w.res.Label())), Mend: "give the package's contents with the request"})
		} else if r := st.primary(); r != nil && len(s.best.findings) == 0 {
			s.nearest(st, r, s.best.wants, mustCover(s.best.wants))
		}
	}
	slices.SortStableFunc(s.best.findings, func(a, b Finding) int { return rank(a.Reason) - rank(b.Reason) })
	return s.ctx.Err()
}

// report writes down the solution, or the best partial one.
func (s *solver) report(passed bool) *Report {
	r := &Report{
		Schema: ReportSchema, Passed: passed, At: s.at,
		Policy: ReportPolicy{Name: s.v.policy.Name, Version: s.v.policy.Version, Digest: s.v.policy.digest},
		Stages: []ReportStage{}, Edges: []ReportEdge{},
	}
	for i, a := range s.req.Artifacts {
		r.Artifacts = append(r.Artifacts, ReportArtifact{a.Name, s.artifacts[i].Digest})
	}
	chosen := s.chosen
	if !passed {
		r.Findings = s.best.findings
		chosen = s.best.chosen
	}
	notes := map[string]bool{}
	// Sources first: the flow stages backwards, then those about others.
	shown := slices.Clone(s.v.flowOrder)
	slices.Reverse(shown)
	for _, st := range append(shown, s.v.aboutOrder...) {
		rs := ReportStage{Name: st.name, State: StageHolds}
		switch {
		case st.index >= len(chosen) && st.index == s.best.depth && s.best.set:
			rs.State = StageFails
		case st.index >= len(chosen):
			rs.State = StageNotReached
		case chosen[st.index].absent:
			rs.State = StageAbsent
		}
		if !passed && slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Stage == st.name }) {
			rs.State = StageFails
		}
		if st.index < len(chosen) {
			s.reportStage(&rs, st, &chosen[st.index], notes)
			r.Edges = slices.Grow(r.Edges, len(chosen[st.index].used))
			for _, e := range chosen[st.index].used {
				r.Edges = append(r.Edges, reportEdge(st, e))
			}
		}
		r.Stages = append(r.Stages, rs)
		for _, q := range st.requires {
			if q.which != "any" {
				notes[fmt.Sprintf("stage %s takes %s statements: the verdict rests on nothing being withheld%s", st.name, q.which,
					map[bool]string{true: ", as an inventory shows", false: fmt.Sprintf(" that is younger than %s", q.maxAge)}[q.spec.Complete])] = true
			}
		}
	}
	r.Notes = sortedKeys(notes)
	if len(r.Notes) == 0 {
		r.Notes = nil
	}
	return r
}

func reportEdge(st *stage, e edge) ReportEdge {
	out := ReportEdge{From: st.name, Product: e.product.Name, Name: e.res.Name, Digest: e.product.Digest[0]}
	for _, d := range e.product.Digest {
		if slices.Contains(e.res.Digest, d) {
			out.Digest = d
			break
		}
	}
	switch {
	case len(st.about) > 0:
		out.From, out.To, out.About = e.consumer.name, st.name, true
		out.Product, out.Name = e.res.Name, e.product.Name
	case e.consumer != nil:
		out.To = e.consumer.name
	}
	return out
}

func (s *solver) reportStage(rs *ReportStage, st *stage, ch *choice, notes map[string]bool) {
	var cands []*candidate
	signers := map[*candidate][]ReportSigner{}
	for _, r := range ch.runs {
		for _, c := range r.cands {
			if !slices.Contains(cands, c) {
				cands = append(cands, c)
			}
		}
		for _, v := range r.votes {
			rsg := ReportSigner{Name: v.entry.name, Principal: v.sig.Principal.String(), Time: v.end.UTC(), TimeSource: v.source}
			if v.end.IsZero() {
				rsg.Time = v.end
			}
			if v.source == "claimed" {
				notes[fmt.Sprintf("the time of %s in stage %s is what the signer claims", v.entry.name, st.name)] = true
			}
			if !slices.Contains(signers[v.cand], rsg) {
				signers[v.cand] = append(signers[v.cand], rsg)
			}
		}
	}
	slices.SortFunc(cands, func(a, b *candidate) int { return a.id.Compare(b.id) })
	seen := map[wantKey]bool{}
	listed := map[*stage]map[provenance.Digest]bool{}
	for _, c := range cands {
		rst := ReportStatement{Digest: c.id.String(), PredicateType: "(package, looked into)", Signers: []ReportSigner{}, Products: len(c.subjects), Materials: len(c.materials)}
		if c.vs != nil {
			rst.PredicateType = c.vs.statement.PredicateType()
			rst.Signers = signers[c]
			slices.SortFunc(rst.Signers, func(a, b ReportSigner) int {
				return strings.Compare(a.Name+"\x00"+a.Principal, b.Name+"\x00"+b.Principal)
			})
		}
		rs.Statements = append(rs.Statements, rst)
		if len(st.about) > 0 {
			continue
		}
		for i := range c.materials {
			m := &c.materials[i]
			if seen[keyOf(m)] || slices.ContainsFunc(st.from, func(f *flow) bool { return s.comesFrom(f, m) != nil }) {
				continue
			}
			for _, in := range st.inputs {
				if in.admits(m) && (in.listedBy == nil || s.lists(in.listedBy, m, listed)) {
					seen[keyOf(m)] = true
					rs.Inputs = append(rs.Inputs, ReportInput{Input: in.name, Name: m.Label(), Digest: m.Digest})
					break
				}
			}
		}
	}
	slices.SortFunc(rs.Inputs, func(a, b ReportInput) int {
		return strings.Compare(a.Input+"\x00"+a.Name+"\x00"+a.Digest.String(), b.Input+"\x00"+b.Name+"\x00"+b.Digest.String())
	})
}
