package intoto

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/layout"
)

// An Artifacts is a set of artifacts by name. Names are clean paths, or URIs.
type Artifacts map[string]provenance.DigestSet

// cleanArtifacts gives the names their one spelling. Two names that become one
// are an error: each would hide the other from some rule.
func cleanArtifacts(m map[string]provenance.DigestSet) (Artifacts, error) {
	out := make(Artifacts, len(m))
	for name, digests := range m {
		if name == "" || !utf8.ValidString(name) { // of an Executor; JSON is UTF-8
			return nil, fmt.Errorf("an artifact whose name is empty or not UTF-8: %s", clip(name))
		}
		if !slices.ContainsFunc(digests, func(d provenance.Digest) bool { return d.Algorithm().Strong() }) {
			return nil, fmt.Errorf("artifact %s has no digest under a strong algorithm", clip(name))
		}
		if len(name) > limits.ArtifactName {
			return nil, fmt.Errorf("an artifact whose name has %d bytes, more than %d: %s", len(name), limits.ArtifactName, clip(name))
		}
		c := cleanName(name)
		if _, dup := out[c]; dup {
			return nil, fmt.Errorf("two artifacts are called %s once their names are cleaned", clip(c))
		}
		out[c] = digests
	}
	return out, nil
}

func (a Artifacts) names() []string { return slices.Sorted(maps.Keys(a)) }

// sameDigests is the comparison of classic rules: the hash objects are equal.
func sameDigests(a, b provenance.DigestSet) bool { return slices.Equal(a, b) }

// A record is what one step or inspection, or one claim, reports.
type record struct {
	materials, products Artifacts
	// also are further records of the same step that must not say otherwise:
	// claims of other predicate types.
	also []*record
}

func (r *record) list(which string) Artifacts {
	if r == nil {
		return nil
	}
	if which == layout.Materials {
		return r.materials
	}
	return r.products
}

// lookup returns the artifact of that name in any of the records of a step.
// When two have it with digests that differ, it is not found.
func (r *record) lookup(which, name string, same func(a, b provenance.DigestSet) bool) (provenance.DigestSet, bool) {
	d, ok := r.list(which)[name]
	for _, other := range r.also {
		if e, in := other.list(which)[name]; in {
			if ok && !same(d, e) {
				return nil, false
			}
			d, ok = e, true
		}
	}
	return d, ok
}

// A ruleRun applies the rules of one item: in-toto specification v1.0, section
// 4.3.3 and 5.2, with the semantics of the reference implementation where the
// text leaves them open.
type ruleRun struct {
	budget *budget
	same   func(a, b provenance.DigestSet) bool
	own    *record
	steps  map[string]*record // for MATCH; a step that is not there has nothing
}

// A ruleFailure is why a list of rules failed.
type ruleFailure struct {
	rule     layout.Rule
	artifact string
	msg      string
	// want is what another step says about the artifact, and got what this one
	// does, when a MATCH rule failed for that.
	want, got provenance.DigestSet
	from      string
}

// apply applies rules to the materials or the products. It returns the names
// that no rule consumed, and for each rule how many it did consume.
//
// The names form a queue. Each rule takes what it consumes off the queue, and
// what is left at the end is allowed.
func (r *ruleRun) apply(rules []*pattern, which string) (left []string, consumed []int, failure *ruleFailure, err error) {
	artifacts := r.own.list(which)
	queue := artifacts.names()
	consumed = make([]int, len(rules))
	for i, p := range rules {
		if err := r.budget.compare(1); err != nil {
			return nil, nil, nil, err
		}
		switch p.rule.Verb {
		case layout.Require:
			// Literal, and consumes nothing. What an earlier rule has consumed
			// does not count.
			if _, found := slices.BinarySearch(queue, p.glob.text); !found {
				msg := "is not among the " + strings.ToLower(which)
				if _, was := artifacts[p.glob.text]; was {
					msg = "was consumed by an earlier rule, so it is not left for REQUIRE"
				}
				return nil, nil, &ruleFailure{rule: p.rule, artifact: p.glob.text, msg: msg}, nil
			}
			continue
		case layout.Disallow:
			for _, name := range queue {
				ok, err := r.matches(p.glob, name)
				if err != nil {
					return nil, nil, nil, err
				}
				if ok {
					f := &ruleFailure{rule: p.rule, artifact: name, msg: "no rule accounts for it"}
					r.explain(f, rules[:i], which, artifacts)
					return nil, nil, f, nil
				}
			}
			continue
		}
		rest := queue[:0]
		for _, name := range queue {
			takes, err := r.takes(p, which, name, artifacts[name])
			if err != nil {
				return nil, nil, nil, err
			}
			if takes {
				consumed[i]++
			} else {
				rest = append(rest, name)
			}
		}
		queue = rest
	}
	return queue, consumed, nil, nil
}

func (r *ruleRun) matches(g *glob, name string) (bool, error) {
	ok, cost := g.match(name, r.budget.comparisons)
	return ok, r.budget.compare(cost)
}

// takes reports whether a rule consumes an artifact.
func (r *ruleRun) takes(p *pattern, which, name string, digests provenance.DigestSet) (bool, error) {
	if err := r.budget.compare(len(name) / 16); err != nil { // to look it up
		return false, err
	}
	if p.rule.Verb == layout.Match {
		// Only names under the source directory are looked at, and the pattern
		// is for what comes after it, so that nothing in it is a wildcard.
		rest, under := strings.CutPrefix(name, p.source)
		if !under {
			return false, r.budget.compare(1)
		}
		if ok, err := r.matches(p.glob, rest); !ok || err != nil {
			return false, err
		}
		there := r.steps[p.rule.From]
		if there == nil {
			return false, nil
		}
		other, ok := there.lookup(p.rule.With, p.destination+rest, r.same)
		return ok && r.same(digests, other), nil
	}
	if ok, err := r.matches(p.glob, name); !ok || err != nil {
		return false, err
	}
	material, in := r.own.materials[name]
	product, out := r.own.products[name]
	switch p.rule.Verb {
	case layout.Allow:
		return true, nil
	case layout.Create:
		return out && !in, nil
	case layout.Delete:
		return in && !out, nil
	case layout.Modify:
		return in && out && !r.same(material, product), nil
	}
	return false, nil
}

// explain looks for the nearest miss of a disallowed artifact: a MATCH rule
// for it whose step has the file with another digest, or not at all.
func (r *ruleRun) explain(f *ruleFailure, earlier []*pattern, which string, artifacts Artifacts) {
	for _, p := range earlier {
		rest, under := strings.CutPrefix(f.artifact, p.source)
		if p.rule.Verb != layout.Match || !under {
			continue
		}
		if ok, err := r.matches(p.glob, rest); err != nil {
			return // nothing is left for an explanation
		} else if !ok {
			continue
		}
		there, list := r.steps[p.rule.From], strings.ToLower(p.rule.With)
		if there == nil {
			f.msg = fmt.Sprintf("%s names %s, which has reported nothing", clip(p.rule.String()), clip(p.rule.From))
			continue
		}
		other, ok := there.lookup(p.rule.With, p.destination+rest, r.same)
		if !ok {
			f.msg = fmt.Sprintf("%s has no %s among its %s", clip(p.rule.From), clip(p.destination+rest), list)
			continue
		}
		f.from, f.want, f.got = p.rule.From, other, artifacts[f.artifact]
		f.msg = fmt.Sprintf("%s has %s among its %s with another digest", clip(p.rule.From), clip(p.destination+rest), list)
		return
	}
}

// A budget bounds what one verification may cost, sublayouts included.
type budget struct {
	comparisons, signatures, files int
	bytes                          int64
}

func newBudget() *budget {
	return &budget{limits.LayoutMatches, limits.LayoutSignatures, limits.LayoutFiles, limits.EvidenceFound}
}

func (b *budget) compare(n int) error {
	if b.comparisons -= n; b.comparisons < 0 {
		return refuse(ReasonLimit, "the artifact rules cost more than %d comparisons", limits.LayoutMatches)
	}
	return nil
}

func (b *budget) verify(n int) error {
	if b.signatures -= n; b.signatures < 0 {
		return refuse(ReasonLimit, "more than %d signatures would have to be checked", limits.LayoutSignatures)
	}
	return nil
}

func (b *budget) file(size int64) error {
	b.files--
	b.bytes -= size
	if b.files < 0 || b.bytes < 0 {
		return refuse(ReasonLimit, "more than %d files or %d bytes of links", limits.LayoutFiles, limits.EvidenceFound)
	}
	return nil
}
