package sbom

import (
	"fmt"
	"slices"

	"github.com/hallmark-build/hallmark/sbom/purl"
)

// ReasonLeftOut is the reason of the unknown that [Graph.Subset] notes where
// something of the whole graph is not in the subset.
const ReasonLeftOut = "left-out"

// Query returns the components whose package URL the pattern means: one
// version, all versions, or what "*" stands for. [purl.ParsePattern] describes
// patterns. Components without a package URL, or with one that is none, are
// not found.
func (g *Graph) Query(pattern string) ([]*Component, error) {
	p, err := purl.ParsePattern(pattern)
	if err != nil {
		return nil, err
	}
	var found []*Component
	for _, c := range g.components {
		if u, err := purl.Parse(c.PURL); err == nil && p.Match(u) {
			found = append(found, c)
		}
	}
	return found, nil
}

// Subset returns a graph of the root and of those other components that keep
// holds of, with the relationships and unknowns among them. It is honest about
// being a part: that components are left out is noted ([ReasonLeftOut]), of the
// graph as a whole and of every component that lost a relationship.
//
// The subset shares nothing with g, and has the same IDs.
func (g *Graph) Subset(keep func(*Component) bool) *Graph {
	s := g.only(g.root, keep)
	s.Build = g.Build
	if n := len(g.components) - len(s.components); n > 0 {
		s.AddUnknown(Gap{Field: FieldComponents, Reason: ReasonLeftOut, Detail: fmt.Sprintf("%d components of the whole are not in this subset", n)})
	}
	return s
}

// only is Subset with another root, and without a note about the whole.
func (g *Graph) only(root string, keep func(*Component) bool) *Graph {
	s := &Graph{Creation: g.Creation}
	s.Creation.Authors = slices.Clone(g.Creation.Authors)
	for _, c := range g.components {
		if c.ID == root || keep(c) {
			n := c.clone()
			n.ID = c.ID
			s.Add(n)
		}
	}
	s.root = root
	lost := make(map[string]int)
	for _, r := range g.Relationships() {
		switch {
		case s.byID[r.From] == nil:
		case s.byID[r.To] == nil:
			lost[r.From]++
		default:
			s.relations = append(s.relations, r)
		}
	}
	for _, gap := range g.gaps {
		if gap.Component == "" || s.byID[gap.Component] != nil {
			s.gaps = append(s.gaps, gap)
		}
	}
	for id, n := range lost {
		s.AddUnknown(Gap{Component: id, Field: FieldDependencies, Reason: ReasonLeftOut, Detail: fmt.Sprintf("%d relationships to what is not in this subset", n)})
	}
	return s
}

// Part returns the graph about one component: it as the root, and all that it
// reaches by relationships. Unknowns about the graph as a whole stay.
func (g *Graph) Part(id string) (*Graph, error) {
	if g.byID[id] == nil {
		return nil, fmt.Errorf("no component %q to take with its parts", id)
	}
	next := make(map[string][]string)
	for _, r := range g.relations {
		next[r.From] = append(next[r.From], r.To)
	}
	reached := map[string]bool{id: true}
	for queue := []string{id}; len(queue) > 0; queue = queue[1:] {
		for _, to := range next[queue[0]] {
			if !reached[to] {
				reached[to] = true
				queue = append(queue, to)
			}
		}
	}
	// What is not reached is not left out: it is no part of the component.
	return g.only(id, func(c *Component) bool { return reached[c.ID] }), nil
}
