package verify

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hallmark-build/hallmark/internal/strictjson"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/predicate"
)

// settled reports whether a statement may be used where the policy says which of
// several counts: the newest, or any provided that all fit.
func (s *solver) settled(st *stage, r *requirement, c *candidate, wants []want, cover []bool) (bool, error) {
	if r.which == "any" {
		return true, nil
	}
	for i, ok := range cover {
		if !ok {
			continue
		}
		rivals, err := s.rivals(st, r, wants[i])
		if err != nil {
			return false, err
		}
		if f, err := s.complete(st, r, wants[i]); f != nil || err != nil {
			if f != nil {
				s.fail(st, f)
			}
			return false, err
		}
		var newest time.Time
		if r.which == "newest" {
			for _, o := range rivals {
				t := latest(s.stand(r, o).votes)
				if t.IsZero() {
					s.fail(st, &Finding{Reason: ReasonNoTime, Nearest: o.id.String(),
						Message: fmt.Sprintf("statement %s has no trusted time, so which is the newest cannot be said", o.id.Short()),
						Mend:    "sign with a trusted timestamp, or let the policy accept the principal's claimed time"})
					return false, nil
				}
				if t.After(newest) {
					newest = t
				}
			}
			if latest(s.stand(r, c).votes).Before(newest) {
				return false, nil // not the newest
			}
		}
		for _, o := range rivals {
			if r.which == "newest" && latest(s.stand(r, o).votes).Before(newest) {
				continue
			}
			// Of several that are the newest by the same time, all must fit.
			if f := s.stand(r, o).where; f != nil {
				s.fail(st, f)
				return false, nil
			}
		}
	}
	return true, nil
}

// rivals returns every statement about a want that a requirement would count,
// its conditions aside.
func (s *solver) rivals(st *stage, r *requirement, w want) ([]*candidate, error) {
	var out []*candidate
	err := s.about(st, w, func(c *candidate) bool {
		if at, _ := c.product(w.res, nil); at >= 0 && len(s.stand(r, c).votes) > 0 {
			out = append(out, c)
		}
		return true
	})
	return out, err
}

func latest(votes []vote) time.Time {
	var t time.Time
	for _, v := range votes {
		if v.made.After(t) {
			t = v.made
		}
	}
	return t
}

// forbidden returns a finding when a requirement that wants statements to be
// absent finds one.
func (s *solver) forbidden(st *stage, wants []want, which []int) (*Finding, error) {
	for _, r := range st.requires {
		if r.which != "none" {
			continue
		}
		for _, i := range which {
			if f, err := s.complete(st, r, wants[i]); f != nil || err != nil {
				return f, err
			}
			rivals, err := s.rivals(st, r, wants[i])
			if err != nil {
				return nil, err
			}
			for _, c := range rivals {
				switch f := s.stand(r, c).where; {
				case f == nil:
					return &Finding{Reason: ReasonForbidden, Nearest: c.id.String(),
						Message: fmt.Sprintf("statement %s says of %s what the policy forbids: %s", c.id.Short(), clean(wants[i].res.Label()), strings.Join(r.sources, " && "))}, nil
				case f.Reason == ReasonConditionError:
					return f, nil // what cannot be decided is not shown to be absent
				}
			}
		}
	}
	return nil, nil
}

// complete returns a finding unless there is an inventory about the want, and
// every one that counts shows that nothing was withheld: of two that disagree,
// the one that misses something is believed.
func (s *solver) complete(st *stage, r *requirement, w want) (*Finding, error) {
	if !r.spec.Complete {
		return nil, nil
	}
	why := &Finding{Reason: ReasonNoInventory, Mend: "issue an inventory of the evidence about the artifact",
		Message: fmt.Sprintf("no inventory by a principal that the policy names lists the evidence about %s", clean(w.res.Label()))}
	shown := false
	list, err := s.union(w)
	if err != nil {
		return nil, err
	}
	for _, c := range list {
		if c.vs.statement.PredicateType() != InventoryType {
			continue
		}
		if at, _ := c.product(w.res, nil); at < 0 {
			continue
		}
		stand := s.stand(s.v.inventory, c)
		if !stand.ok() {
			why = stand.why
			continue
		}
		listed, err := inventoried(c, r)
		if err != nil {
			return &Finding{Reason: ReasonPredicateBad, Nearest: c.id.String(), Message: fmt.Sprintf("inventory %s: %s", c.id.Short(), clean(err.Error()))}, nil
		}
		missing, err := s.missingFrom(c, listed)
		if err != nil {
			return nil, err
		}
		if missing != "" {
			return &Finding{Reason: ReasonWithheld, Nearest: c.id.String(), Want: missing,
				Message: fmt.Sprintf("inventory %s lists statement %s about %s, which is not among the evidence", c.id.Short(), missing, clean(w.res.Label())),
				Mend:    "give the evidence that is missing"}, nil
		}
		shown = true
	}
	if shown {
		return nil, nil
	}
	return why, nil
}

// missingFrom returns a listed statement that is not among the evidence about
// the subjects of the inventory: it may be about any of them.
func (s *solver) missingFrom(inventory *candidate, listed []provenance.Digest) (string, error) {
	for i := 0; i < len(inventory.subjects) && len(listed) > 0; i++ {
		for _, d := range inventory.subjects[i].Digest {
			found, err := s.find(d)
			if err != nil {
				return "", err
			}
			listed = slices.DeleteFunc(listed, func(d provenance.Digest) bool {
				_, ok := slices.BinarySearchFunc(found, d, func(c *candidate, d provenance.Digest) int { return c.id.Compare(d) })
				return ok
			})
		}
	}
	if len(listed) == 0 {
		return "", nil
	}
	return slices.MinFunc(listed, provenance.Digest.Compare).String(), nil
}

// inventoried returns the statements that an inventory lists, of the types of
// a requirement.
func inventoried(inventory *candidate, r *requirement) ([]provenance.Digest, error) {
	p := strictjson.NewParser(inventory.vs.statement.Predicate(), 0)
	seen := false
	var list []provenance.Digest
	err := p.Object(func(name []byte) error {
		switch string(name) {
		case "statements":
		case "createdOn": // see times
			return p.Skip()
		default:
			return p.Unknown(name, "statements", "createdOn")
		}
		seen = true
		return p.Array(func(int) error {
			var d, typ string
			err := p.Object(func(name []byte) (err error) {
				switch string(name) {
				case "digest":
					d, err = p.String()
				case "predicateType":
					typ, err = p.String()
				default:
					err = p.Unknown(name, "digest", "predicateType")
				}
				return err
			})
			if err != nil {
				return err
			}
			pd, err := provenance.ParseDigest(d)
			if err != nil || pd.Algorithm() != provenance.SHA256 || typ == "" {
				return p.Failf("inventory-entry", `want a statement's digest as "sha256:…" and its predicateType`)
			}
			if slices.Contains(r.types, typ) {
				list = append(list, pd)
			}
			return nil
		})
	})
	if err == nil {
		err = p.End()
	}
	if err == nil && !seen {
		err = errors.New("it has no list of statements")
	}
	return list, err
}

// judge checks what holds between stages, now that all are chosen. Where it
// does not, s.conflict is what the check looked at.
func (s *solver) judge() (bool, error) {
	s.conflict = make([]bool, len(s.order))
	for _, check := range []func() *Finding{s.accounted, s.ordered, s.duties, s.agreeOnPackages} {
		if f := check(); f != nil {
			s.fail(nil, f)
			return false, nil
		}
	}
	for _, r := range s.v.rules {
		if r.condition == nil {
			continue
		}
		s.dependsOn(r.reads...)
		holds, err := r.condition.Holds(s.ruleVariables())
		switch {
		case err != nil:
			s.fail(nil, &Finding{Reason: ReasonConditionError, Message: fmt.Sprintf("%s: the condition cannot be decided: %s", r.label, clean(err.Error()))})
			return false, nil
		case !holds:
			s.fail(nil, &Finding{Reason: ReasonCondition, Message: fmt.Sprintf("%s: the condition %s does not hold", r.label, r.spec.Condition)})
			return false, nil
		}
		clear(s.conflict)
	}
	return true, nil
}

func (s *solver) dependsOn(stages ...*stage) {
	for _, st := range stages {
		s.conflict[st.index] = true
	}
}

// accounted checks that every material of every chosen statement is a product
// of what was chosen for a stage in from, or an input, and that something came
// from every stage in from.
func (s *solver) accounted() *Finding {
	listed := map[*stage]map[provenance.Digest]bool{}
	for _, st := range s.v.flowOrder {
		for _, r := range s.chosen[st.index].runs {
			flowing := make([]bool, len(st.from))
			for _, c := range r.cands {
				for i := range c.materials {
					m := &c.materials[i]
					ok := false
					for j, f := range st.from {
						if s.comesFrom(f, m) != nil {
							ok, flowing[j] = true, true
						}
					}
					for _, in := range st.inputs {
						if ok {
							break
						}
						ok = in.admits(m) && (in.listedBy == nil || s.lists(in.listedBy, m, listed))
					}
					ok = ok || s.mayBeStatement(st, m) && s.isStatement(st, m)
					if !ok {
						s.dependsOn(st)
						for _, f := range st.from {
							s.dependsOn(f.stage)
						}
						for _, in := range st.inputs {
							if in.listedBy != nil {
								s.dependsOn(in.listedBy)
							}
						}
						s.dependsOn(st.after...)
						return &Finding{Reason: ReasonUnaccounted, Stage: st.name, File: m.Name, Got: brief(m.Digest), GotStage: st.name, Nearest: c.name(),
							Message: fmt.Sprintf("material %s comes from nothing that was chosen for %s", clean(m.Label()), st.sources())}
					}
				}
			}
			for j, f := range st.from {
				if !flowing[j] && !f.optional && !s.chosen[f.stage.index].absent {
					s.dependsOn(st, f.stage)
					return &Finding{Reason: ReasonNoFlow, Stage: st.name, Message: fmt.Sprintf("nothing in this stage comes from stage %s", f.stage.name)}
				}
			}
		}
	}
	return nil
}

// isStatement reports whether a material is a statement, by its digest, that was chosen for a
// stage that this one must come after: listing it is how a stage shows that.
func (s *solver) isStatement(st *stage, m *provenance.ResourceDescriptor) bool {
	for _, earlier := range st.after {
		for _, r := range s.chosen[earlier.index].runs {
			if slices.ContainsFunc(r.cands, func(c *candidate) bool { return c.vs != nil && slices.Contains(m.Digest, c.id) }) {
				return true
			}
		}
	}
	return false
}

// sources names where materials of a stage may come from.
func (st *stage) sources() string {
	var names []string
	for _, f := range st.from {
		names = append(names, "stage "+f.stage.name)
	}
	for _, in := range st.inputs {
		names = append(names, "input "+in.name)
	}
	if len(names) == 0 {
		return "no stage or input"
	}
	return strings.Join(names, " or ")
}

// lists reports whether the statements chosen for a stage list a material by
// digest, as a product or material or, in an SBOM, as a component.
func (s *solver) lists(st *stage, m *provenance.ResourceDescriptor, memo map[*stage]map[provenance.Digest]bool) bool {
	set, ok := memo[st]
	if !ok {
		set = map[provenance.Digest]bool{}
		memo[st] = set
		add := func(list []provenance.ResourceDescriptor) {
			for _, r := range list {
				for _, d := range r.Digest {
					set[d] = true
				}
			}
		}
		for _, r := range s.chosen[st.index].runs {
			for _, c := range r.cands {
				add(c.subjects)
				add(c.materials)
				if c.vs != nil && predicate.IsSBOM(c.vs.statement.PredicateType()) {
					if doc, err := strictjson.Decode(c.vs.statement.Predicate(), 0); err == nil {
						if top, ok := doc.(map[string]any); ok {
							delete(top, "formulation") // what a build used is not what is in its product
						}
						sbomDigests(doc, func(d provenance.Digest) { set[d] = true })
					}
				}
			}
		}
	}
	return slices.ContainsFunc(m.Digest, func(d provenance.Digest) bool { return set[d] })
}

// ordered checks after: every statement of the later stage against every one
// of the earlier.
func (s *solver) ordered() *Finding {
	for _, st := range s.order {
		for _, earlier := range st.after {
			for _, r := range s.chosen[st.index].runs {
				for _, before := range s.chosen[earlier.index].runs {
					for _, c := range r.cands {
						for _, b := range before.cands {
							if f := s.comesAfter(st, earlier, r, c, before, b); f != nil {
								s.dependsOn(st, earlier)
								return f
							}
						}
					}
				}
			}
		}
	}
	return nil
}

// comesAfter checks that statement c was made after statement b: because it
// lists b by digest, which nobody can do before b exists, or by the times of
// both.
func (s *solver) comesAfter(st, earlier *stage, r *run, c *candidate, before *run, b *candidate) *Finding {
	if c == b {
		return &Finding{Reason: ReasonOrder, Stage: st.name, Message: fmt.Sprintf("one statement stands for both %s and %s, and cannot come after itself", st.name, earlier.name)}
	}
	if slices.ContainsFunc(c.materials, func(m provenance.ResourceDescriptor) bool { return slices.Contains(m.Digest, b.id) }) {
		return nil
	}
	var start, end time.Time
	untimed := ""
	for _, v := range r.votes {
		if v.cand != c {
			continue
		}
		if v.start.IsZero() {
			untimed = st.name
		}
		if start.IsZero() || v.start.Before(start) {
			start = v.start
		}
	}
	for _, v := range before.votes {
		if v.cand != b {
			continue
		}
		if v.end.IsZero() {
			untimed = earlier.name
		}
		if v.end.After(end) {
			end = v.end
		}
	}
	if untimed != "" {
		return &Finding{Reason: ReasonNoTime, Stage: st.name, Nearest: c.id.String(),
			Message: fmt.Sprintf("nothing shows that %s came after %s: its materials do not list the statement of %s, and a statement of %s has no trusted time", st.name, earlier.name, earlier.name, untimed),
			Mend:    fmt.Sprintf("run %s after %s and list the statement of %s among its materials, or sign both with a trusted timestamp", st.name, earlier.name, earlier.name)}
	}
	if start.Before(end) {
		return &Finding{Reason: ReasonOrder, Stage: st.name, Nearest: c.id.String(), Want: stamp(end), WantStage: earlier.name, Got: stamp(start), GotStage: st.name,
			Message: fmt.Sprintf("%s began at %s, before %s ended at %s", st.name, stamp(start), earlier.name, stamp(end)),
			Mend:    fmt.Sprintf("run %s again, after %s", st.name, earlier.name)}
	}
	return nil
}

// duties checks that the principals who count differ where they must, and come
// from enough organisations.
func (s *solver) duties() *Finding {
	for _, r := range s.v.rules {
		who := map[string]*stage{}
		for _, st := range r.separate {
			for _, run := range s.chosen[st.index].runs {
				for _, v := range run.votes {
					if other := who[v.person]; other != nil && other != st {
						s.dependsOn(st, other)
						return &Finding{Reason: ReasonDuties, Stage: st.name, Nearest: v.cand.id.String(),
							Message: fmt.Sprintf("%s counts in %s and in %s, which %s keeps apart", v.entry.name, other.name, st.name, r.label),
							Mend:    "have the two stages signed by different principals"}
					}
					who[v.person] = st
				}
			}
		}
		if r.spec.Organizations > 0 {
			// A person is of one organization, also where two patterns that
			// match the same identity say otherwise.
			of := map[string]string{}
			for _, st := range r.over {
				for _, run := range s.chosen[st.index].runs {
					for _, v := range run.votes {
						if o := v.entry.organization; o != "" && (of[v.person] == "" || o < of[v.person]) {
							of[v.person] = o
						}
					}
				}
			}
			orgs := map[string]bool{}
			for _, o := range of {
				orgs[o] = true
			}
			if len(orgs) < r.spec.Organizations {
				s.dependsOn(r.over...)
				return &Finding{Reason: ReasonOrganizations, Want: fmt.Sprint(r.spec.Organizations), Got: fmt.Sprint(len(orgs)),
					Message: fmt.Sprintf("%s wants principals of %d organizations, found %s", r.label, r.spec.Organizations, orNone(sortedKeys(orgs)))}
			}
		}
	}
	return nil
}

func orNone(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ", ")
}

// ruleVariables returns what the condition of a rule may see.
func (s *solver) ruleVariables() map[string]any {
	stages := map[string]any{}
	for _, st := range s.order {
		if st.primary() == nil {
			continue // has no statements, of which anything could be said
		}
		list := []any{}
		var cands []*candidate
		for _, r := range s.chosen[st.index].runs {
			for _, c := range r.cands {
				if c.vs != nil && !slices.Contains(cands, c) {
					cands = append(cands, c)
				}
			}
		}
		slices.SortFunc(cands, func(a, b *candidate) int { return a.id.Compare(b.id) })
		for _, c := range cands {
			if vars, err := s.variables(c); err == nil {
				list = append(list, vars)
			} else {
				// A condition that looks at it fails on the missing fields.
				list = append(list, map[string]any{"statement": c.id.String()})
			}
		}
		stages[st.name] = list
	}
	artifacts := make([]provenance.ResourceDescriptor, len(s.artifacts))
	copy(artifacts, s.artifacts)
	return map[string]any{"stages": stages, "artifacts": resourceVars(artifacts), "params": s.v.params}
}
