package diff

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/gate"
	"github.com/hallmark-build/hallmark/sbom/purl"
)

// Sides are bills of one build from three points of view. A nil one is not
// known and not compared; two at least are needed.
type Sides struct {
	Locked  *sbom.Graph // what the lock files allow: a scan of the source tree
	Fetched *sbom.Graph // what was fetched: of provenance, see [Resolved], or of a cache
	Shipped *sbom.Graph // what is in the product
}

// The rules of the report that [Reconcile] makes, all of them stable.
const (
	RuleDigest           = "digest-differs"      // error: a package with one digest here and another there
	RuleShippedNotLocked = "shipped-not-locked"  // error
	RuleShippedUnfetched = "shipped-not-fetched" // error
	RuleFetchedNotLocked = "fetched-not-locked"  // error
	RuleNotCompared      = "not-compared"        // warning: on two sides, and no algorithm in common to compare digests by
	RuleLockedUnfetched  = "locked-not-fetched"  // note: for another platform, or not needed
	RuleFetchedUnshipped = "fetched-not-shipped" // note: a tool of the build
	RuleLockedUnshipped  = "locked-not-shipped"  // note: only tests need it, or nothing does
)

const (
	locked = iota
	fetched
	shipped
)

var sideNames = [3]string{"locked", "fetched", "shipped"}

// Reconcile compares what was locked, fetched and shipped, package by package
// and version by version. Components with a package URL are the same when type,
// namespace, name and version are; those without one when their digests match.
// The roots, and components with scope excluded among what was shipped, are
// not compared.
//
// That what was shipped was neither locked nor fetched, or with another digest,
// closes the gate; that something was locked and not used is a note.
func Reconcile(s Sides) (*gate.Report, error) {
	graphs := [3]*sbom.Graph{s.Locked, s.Fetched, s.Shipped}
	var about *sbom.Graph
	known := 0
	for _, g := range graphs {
		if g != nil {
			about = g // the last: what was shipped if it is known
			known++
		}
	}
	if known < 2 {
		return nil, errors.New("want two of what was locked, fetched and shipped to compare")
	}
	missing := map[[2]int]struct {
		rule  string
		level gate.Level
	}{
		{shipped, locked}:  {RuleShippedNotLocked, gate.Error},
		{shipped, fetched}: {RuleShippedUnfetched, gate.Error},
		{fetched, locked}:  {RuleFetchedNotLocked, gate.Error},
		{locked, fetched}:  {RuleLockedUnfetched, gate.Note},
		{fetched, shipped}: {RuleFetchedUnshipped, gate.Note},
		{locked, shipped}:  {RuleLockedUnshipped, gate.Note},
	}
	checks := []string{RuleDigest}
	for _, pair := range [][2]int{{shipped, locked}, {shipped, fetched}, {fetched, locked}} {
		if graphs[pair[0]] != nil && graphs[pair[1]] != nil {
			checks = append(checks, missing[pair].rule)
		}
	}
	checks = append(checks, RuleNotCompared)
	for _, pair := range [][2]int{{locked, fetched}, {fetched, shipped}, {locked, shipped}} {
		if graphs[pair[0]] != nil && graphs[pair[1]] != nil {
			checks = append(checks, missing[pair].rule)
		}
	}
	r := gate.New("reconcile", about, checks...)

	groups := make(map[string]*[3][]*sbom.Component)
	nameless := [3][]*sbom.Component{}
	byDigest := make(map[provenance.Digest]string)
	for side, g := range graphs {
		if g == nil {
			continue
		}
		for _, c := range g.Components() {
			if c == g.Root() || side == shipped && c.Scope == sbom.Excluded {
				continue
			}
			r.Judged++
			key := exact(c)
			if key == "" {
				nameless[side] = append(nameless[side], c)
				continue
			}
			if groups[key] == nil {
				groups[key] = new([3][]*sbom.Component)
			}
			groups[key][side] = append(groups[key][side], c)
			for _, d := range c.Digests {
				if d.Algorithm().Strong() {
					byDigest[d] = key
				}
			}
		}
	}
	// What has no package URL is what has the same bytes, or a thing of its own.
	for side, list := range nameless {
		for _, c := range list {
			key := ""
			for _, d := range c.Digests {
				if k, ok := byDigest[d]; ok && d.Algorithm().Strong() {
					key = k
					break
				}
			}
			if key == "" {
				key = "\x00" + string(c.Type) + ":" + c.Name + "@" + c.Version
				for _, d := range c.Digests {
					if d.Algorithm().Strong() {
						byDigest[d] = key
					}
				}
			}
			if groups[key] == nil {
				groups[key] = new([3][]*sbom.Component)
			}
			groups[key][side] = append(groups[key][side], c)
		}
	}

	for _, key := range slices.Sorted(maps.Keys(groups)) {
		group := groups[key]
		compared := map[int]int{} // which sides are tied by a digest: union of sets, by the least
		for side := range graphs {
			compared[side] = side
		}
		for a := range graphs {
			for b := range graphs {
				if a == b || graphs[a] == nil || graphs[b] == nil || len(group[a]) == 0 {
					continue
				}
				if len(group[b]) == 0 {
					m := missing[[2]int{a, b}]
					r.Add(group[a][0], gate.Finding{Rule: m.rule, Level: m.level, Message: fmt.Sprintf("%s was %s and not %s", gate.Label(group[a][0]), sideNames[a], sideNames[b])})
					continue
				}
				if a > b {
					continue
				}
				if len(group[a]) > limits.PackagesPerURI || len(group[b]) > limits.PackagesPerURI {
					r.Add(group[a][0], gate.Finding{Rule: RuleDigest, Level: gate.Error, Reason: "limit", Message: fmt.Sprintf("more than %d components with one package URL", limits.PackagesPerURI)})
					continue
				}
				for _, pair := range [][2]int{{a, b}, {b, a}} {
					for _, c := range group[pair[0]] {
						if f := differs(c, group[pair[1]]); f != nil {
							r.Add(c, gate.Finding{Rule: RuleDigest, Level: gate.Error, Reason: string(Tampered),
								Message: fmt.Sprintf("%s as %s has %s, as %s %s", gate.Label(c), sideNames[pair[0]], differing(c.Digests, f.Digests), sideNames[pair[1]], differing(f.Digests, c.Digests))})
						}
					}
				}
				if slices.ContainsFunc(group[a], func(c *sbom.Component) bool {
					return slices.ContainsFunc(group[b], func(o *sbom.Component) bool { return strong(c.Digests, o.Digests) })
				}) {
					from, to := max(compared[a], compared[b]), min(compared[a], compared[b])
					for side, set := range compared {
						if set == from {
							compared[side] = to
						}
					}
				}
			}
		}
		first, apart := -1, false
		for side := range graphs {
			if len(group[side]) > 0 {
				if first < 0 {
					first = side
				}
				apart = apart || compared[side] != compared[first]
			}
		}
		if apart {
			r.Add(group[first][0], gate.Finding{Rule: RuleNotCompared, Level: gate.Warning, Message: fmt.Sprintf("%s has no digest in common with what has its name elsewhere, so whether it is the same is not known", gate.Label(group[first][0]))})
		}
	}
	r.Sort()
	return r, nil
}

// exact is what a component is compared by: its package URL without qualifiers
// and subpath, which say how it was got; "" without one.
func exact(c *sbom.Component) string {
	u, err := purl.Parse(c.PURL)
	if err != nil {
		return ""
	}
	return u.Type + "/" + u.Namespace + "/" + u.Name + "@" + u.Version
}

// differs returns one of others when c contradicts all of them.
func differs(c *sbom.Component, others []*sbom.Component) *sbom.Component {
	for _, o := range others {
		if !contradict(c.Digests, o.Digests) {
			return nil
		}
	}
	return others[0]
}

// strong reports whether two sets have a strong algorithm in common.
func strong(a, b provenance.DigestSet) bool {
	return slices.ContainsFunc(a, func(d provenance.Digest) bool { return d.Algorithm().Strong() && !b.Get(d.Algorithm()).IsZero() })
}

// Dependencies returns the components of a graph, the root aside, as the
// resolvedDependencies of SLSA provenance: by package URL and digests, sorted.
// Those that have neither are left out: nothing could be found by their names.
// Put them into Observed.Dependencies of a record, and provenance and SBOM come
// from one list.
func Dependencies(g *sbom.Graph) []provenance.ResourceDescriptor {
	var list []provenance.ResourceDescriptor
	for _, c := range g.Components() {
		if c == g.Root() || c.PURL == "" && len(c.Digests) == 0 {
			continue
		}
		d := provenance.ResourceDescriptor{Name: strings.TrimSuffix(c.Name+"@"+c.Version, "@"), URI: c.PURL, Digest: slices.Clone(c.Digests)}
		if u, err := purl.Parse(c.PURL); err == nil {
			d.URI = u.String()
		}
		list = append(list, d)
	}
	slices.SortFunc(list, func(a, b provenance.ResourceDescriptor) int {
		return cmp.Or(cmp.Compare(a.URI, b.URI), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Digest.String(), b.Digest.String()))
	})
	return list
}

// Resolved returns a graph of what SLSA provenance says was fetched: of its
// resolvedDependencies those with a package URL. The rest, such as source files
// one by one, is in no package. The root stands for the build.
func Resolved(list []provenance.ResourceDescriptor) *sbom.Graph {
	g := new(sbom.Graph)
	root := g.Add(sbom.Component{Type: sbom.Application, Name: "build"})
	for _, d := range list {
		u, err := purl.Parse(d.URI)
		if err != nil {
			continue
		}
		name := u.Name
		if u.Namespace != "" {
			name = u.Namespace + "/" + u.Name
		}
		c := sbom.Component{Name: name, Version: u.Version, PURL: u.String(), Digests: slices.Clone(d.Digest)}
		c.SetEvidence(sbom.Evidence{Field: sbom.FieldDigests, Source: sbom.Observed, Method: "resolvedDependencies"})
		id := g.Add(c)
		if err := g.Relate(root, sbom.DependsOn, id); err != nil {
			continue // both were just added
		}
	}
	g.AddUnknown(sbom.Gap{Field: sbom.FieldComponents, Reason: "resolved-dependencies", Detail: "what has no package URL is not listed"})
	return g
}
