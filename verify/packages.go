package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/strictjson"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/predicate"
)

// packageList is the packages of one statement under one rule, by URI.
type packageList struct {
	order []provenance.ResourceDescriptor
	byURI map[string][]provenance.ResourceDescriptor
	over  string // a URI that too many packages have
}

func (l *packageList) add(r provenance.ResourceDescriptor) {
	same := l.byURI[r.URI]
	for i := range same {
		if same[i].Digest.String() == r.Digest.String() {
			return
		}
	}
	if len(same) == limits.PackagesPerURI {
		l.over = r.URI
		return
	}
	l.byURI[r.URI] = append(same, r)
	l.order = append(l.order, r)
}

// agreeOnPackages checks the rules with samePackages: docs/chain.md section 4.5, D4.
func (s *solver) agreeOnPackages() *Finding {
	for _, r := range s.v.rules {
		for i, st := range r.packages {
			if len(s.statementsOf(st)) == 0 { // else withholding the bill would switch the rule off
				s.dependsOn(st)
				return &Finding{Reason: ReasonPackages, Stage: st.name,
					Message: fmt.Sprintf("%s: no statement of %s is there to list packages", r.label, st.name),
					Mend:    "supply the attestation of the stage"}
			}
			for _, other := range r.packages[:i] {
				for _, a := range s.statementsOf(st) {
					for _, b := range s.statementsOf(other) {
						f := s.samePackages(r, st, a, other, b)
						if f == nil {
							f = s.samePackages(r, other, b, st, a)
						}
						if f != nil {
							s.dependsOn(st, other)
							return f
						}
					}
				}
			}
			for _, c := range s.statementsOf(st) {
				if len(s.packagesOf(r, c).order) == 0 {
					s.dependsOn(st)
					return &Finding{Reason: ReasonPackages, Stage: st.name, Nearest: c.name(),
						Message: fmt.Sprintf("%s: statement %s of %s lists no package that matches %s", r.label, c.id.Short(), st.name, r.spec.Packages),
						Mend:    "have the step list what it used by package URL; or mend the pattern"}
				}
			}
		}
	}
	return nil
}

func (s *solver) statementsOf(st *stage) []*candidate {
	var list []*candidate
	for _, r := range s.chosen[st.index].runs {
		list = append(list, r.cands...)
	}
	return list
}

// samePackages checks that every package of statement a of stage st is one of
// statement b of another stage.
func (s *solver) samePackages(r *rule, st *stage, a *candidate, other *stage, b *candidate) *Finding {
	have, want := s.packagesOf(r, a), s.packagesOf(r, b)
	for _, l := range []*packageList{have, want} {
		if l.over != "" {
			return &Finding{Reason: ReasonPackages, Stage: st.name,
				Message: fmt.Sprintf("%s: a statement lists more than %d packages %s", r.label, limits.PackagesPerURI, clean(l.over))}
		}
	}
next:
	for i := range have.order {
		p := &have.order[i]
		f := &Finding{Reason: ReasonPackages, Stage: st.name, File: p.URI, Got: brief(p.Digest), GotStage: st.name, WantStage: other.name, Nearest: b.name(),
			Message: fmt.Sprintf("%s: %s lists %s, which %s does not", r.label, st.name, clean(p.URI), other.name),
			Mend:    "make both from one list of what the build used"}
		if len(p.Digest) == 0 {
			f.Message = fmt.Sprintf("%s: %s lists %s without a digest that the policy accepts", r.label, st.name, clean(p.URI))
		}
		for j := range want.byURI[p.URI] {
			q := &want.byURI[p.URI][j]
			if matches(p, q) {
				continue next
			}
			f.Want = brief(q.Digest)
			f.Message = fmt.Sprintf("%s: %s lists %s with other digests than %s", r.label, st.name, clean(p.URI), other.name)
			f.Mend = "find out which of the two was used: the other is not what its name says"
		}
		return f
	}
	return nil
}

// packagesOf returns the packages of a statement under a rule: what it lists
// among its materials and, if it is an SBOM, as components, by a URI that the
// rule is about. What the statement is about is no package of it.
func (s *solver) packagesOf(r *rule, c *candidate) *packageList {
	key := packagesKey{r, c}
	if l := s.listed[key]; l != nil {
		return l
	}
	l := &packageList{byURI: map[string][]provenance.ResourceDescriptor{}}
	if s.listed == nil {
		s.listed = map[packagesKey]*packageList{}
	}
	s.listed[key] = l
	means := func(uri string) bool {
		if uri == "" || !r.pattern.Match(uri) {
			return false
		}
		for _, e := range r.except {
			if e.Match(uri) {
				return false
			}
		}
		return true
	}
	for _, m := range c.materials {
		if m.URI = packageURI(m.URI); means(m.URI) {
			l.add(m)
		}
	}
	if c.vs == nil || !predicate.IsSBOM(c.vs.statement.PredicateType()) {
		return l
	}
	doc, err := strictjson.Decode(c.vs.statement.Predicate(), 0)
	if err != nil {
		return l // a statement without packages is refused
	}
	sbomPackages(doc, func(uri string, set provenance.DigestSet) {
		if uri = packageURI(uri); !means(uri) {
			return
		}
		p := provenance.ResourceDescriptor{URI: uri, Digest: s.v.usable(set)}
		if at, _ := c.product(&p, nil); at < 0 {
			l.add(p)
		}
	})
	return l
}

// packageURI writes the scheme and type of a package URL as its specification
// wants readers to understand them, so that no other spelling of them keeps a
// package from what a pattern is about. Other URIs stay as they are.
func packageURI(uri string) string {
	if len(uri) < 4 || !strings.EqualFold(uri[:4], "pkg:") {
		return uri
	}
	typ, rest, _ := strings.Cut(strings.TrimLeft(uri[4:], "/"), "/")
	return "pkg:" + strings.ToLower(typ) + "/" + strings.TrimLeft(rest, "/")
}

type packagesKey struct {
	rule *rule
	cand *candidate
}

// sbomPackages calls each with the package URL and the digests of every
// component of a CycloneDX or SPDX document that has a package URL. Of a
// component that gives one algorithm two values nothing can be said, so it has
// no digests.
func sbomPackages(doc any, each func(uri string, set provenance.DigestSet)) {
	top, _ := doc.(map[string]any)
	component := func(m map[string]any, uris ...string) {
		var set provenance.DigestSet
		valid := true
		sbomDigests(own(m), func(d provenance.Digest) {
			switch e := set.Get(d.Algorithm()); {
			case e.IsZero():
				set = append(set, d)
			case e != d:
				valid = false
			}
		})
		if !valid {
			set = nil
		}
		for _, uri := range uris {
			each(uri, set)
		}
	}
	var cycloneDX func(list any)
	cycloneDX = func(list any) {
		elements, _ := list.([]any)
		for _, e := range elements {
			if m, ok := e.(map[string]any); ok {
				if uri, _ := m["purl"].(string); uri != "" {
					component(m, uri)
				}
				cycloneDX(m["components"])
			}
		}
	}
	metadata, _ := top["metadata"].(map[string]any)
	cycloneDX([]any{metadata["component"]})
	cycloneDX(top["components"])

	purls := func(list any, kind, want, value string) (uris []string) {
		elements, _ := list.([]any)
		for _, e := range elements {
			m, _ := e.(map[string]any)
			if k, _ := m[kind].(string); k == want {
				if uri, _ := m[value].(string); uri != "" {
					uris = append(uris, uri)
				}
			}
		}
		return uris
	}
	for _, name := range []string{"packages", "@graph"} { // SPDX 2 and 3
		elements, _ := top[name].([]any)
		for _, e := range elements {
			m, _ := e.(map[string]any)
			uris := purls(m["externalRefs"], "referenceType", "purl", "referenceLocator")
			if name == "@graph" {
				uris = purls(m["externalIdentifier"], "externalIdentifierType", "packageUrl", "identifier")
				if uri, _ := m["software_packageUrl"].(string); uri != "" && !slices.Contains(uris, uri) {
					uris = append(uris, uri)
				}
			}
			component(m, uris...)
		}
	}
}

// own leaves out what nests in a component and is of others: components, and
// references to where something else is found.
func own(m map[string]any) map[string]any {
	out := make(map[string]any, 4)
	for _, name := range []string{"hashes", "properties", "checksums", "annotations", "verifiedUsing", "extension"} {
		if v, ok := m[name]; ok {
			out[name] = v
		}
	}
	return out
}

// sbomDigests calls each with the strong digests in a part of a CycloneDX or
// SPDX document: objects {alg, content}, {algorithm, checksumValue} and
// {algorithm, hashValue}, and what package sbom keeps under a name of its own
// because the formats have none for it, such as the dirHash of a Go module.
func sbomDigests(v any, each func(provenance.Digest)) {
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			sbomDigests(x, each)
		}
	case map[string]any:
		text := func(name string) string { s, _ := v[name].(string); return s }
		try := func(alg, value string) {
			if d, err := provenance.NewDigest(provenance.Algorithm(alg), value); err == nil && d.Algorithm().Strong() {
				each(d)
			}
		}
		for _, names := range [][2]string{{"alg", "content"}, {"algorithm", "checksumValue"}, {"algorithm", "hashValue"}} {
			try(strings.ToLower(strings.NewReplacer("-", "", "SHA3-", "sha3_").Replace(text(names[0]))), strings.ToLower(text(names[1])))
		}
		const mark = "hallmark:digest:"
		if alg, ok := strings.CutPrefix(text("name"), mark); ok { // a property
			try(alg, text("value"))
		}
		for _, name := range []string{"comment", "statement"} { // an annotation
			if rest, ok := strings.CutPrefix(text(name), mark); ok {
				if alg, value, ok := strings.Cut(rest, "="); ok {
					try(alg, value)
				}
			}
		}
		for _, x := range v {
			sbomDigests(x, each)
		}
	}
}
