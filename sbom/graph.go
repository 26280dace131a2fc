package sbom

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hallmark-build/hallmark/provenance"
)

// A Type is what kind of thing a component is, named as in CycloneDX.
type Type string

// The types of components.
const (
	Application     Type = "application"
	Library         Type = "library"
	Framework       Type = "framework"
	Container       Type = "container"
	Platform        Type = "platform"
	OperatingSystem Type = "operating-system"
	Device          Type = "device"
	DeviceDriver    Type = "device-driver"
	Firmware        Type = "firmware"
	File            Type = "file"
	Model           Type = "machine-learning-model"
	Data            Type = "data"
	Cryptographic   Type = "cryptographic-asset"
)

var types = []Type{Application, Library, Framework, Container, Platform, OperatingSystem, Device, DeviceDriver, Firmware, File, Model, Data, Cryptographic}

// A Scope says whether a component is part of what is shipped.
type Scope string

// Scopes. The zero Scope is Required's meaning left unsaid.
const (
	Required Scope = "required" // needed at run time
	Optional Scope = "optional" // may be absent at run time
	Excluded Scope = "excluded" // used, but not shipped: a compiler, a test tool
)

// A Source says how it is known what a field says, best first.
type Source string

// Sources.
const (
	Observed Source = "observed" // read from the artifact, or from bytes whose digest was checked
	Locked   Source = "locked"   // from a lock file or a checksum database
	Declared Source = "declared" // said by the component's authors, or by the caller
	Inferred Source = "inferred" // concluded by a rule that can be wrong
)

func (s Source) rank() int {
	return slices.Index([]Source{Inferred, Declared, Locked, Observed}, s)
}

// A Field names what evidence and unknowns are about.
type Field string

// Fields of a component; FieldComponents is the list of components itself.
const (
	FieldComponents   Field = "components"
	FieldIdentity     Field = "identity" // name, version, package URL
	FieldVersion      Field = "version"
	FieldDigests      Field = "digests"
	FieldDeclared     Field = "licence-declared"
	FieldConcluded    Field = "licence-concluded"
	FieldCopyright    Field = "copyright"
	FieldSupplier     Field = "supplier"
	FieldDependencies Field = "dependencies"
	FieldReferences   Field = "references"
)

// Evidence says where a field comes from.
type Evidence struct {
	Field      Field
	Source     Source
	Confidence int    // 1 to 100, in percent; 0 is taken for 100
	Method     string // how, in a few words: "go build info", "text of LICENSE"
}

// A License is what one side says about a component's licence: an SPDX
// expression, or, when there is none, a name. Both empty is unknown.
type License struct {
	Expression string // "MIT", "Apache-2.0 OR MIT"; SPDX 2.3, Annex D
	Name       string // "ACME Source Licence", for what SPDX has no identifier for
}

// IsZero reports whether nothing is known.
func (l License) IsZero() bool { return l == License{} }

// A Party is a person or an organization.
type Party struct {
	Name  string
	Email string
	URL   string
}

// IsZero reports whether nobody is named.
func (p Party) IsZero() bool { return p == Party{} }

// A Reference points outside: where to fetch a component, its source, its
// site. Kinds are those of CycloneDX's externalReferences ("distribution",
// "vcs", "website", …).
type Reference struct {
	Kind    string
	URL     string
	Digests provenance.DigestSet // of what is found there
}

// A Property is a name and a value for which a component has no field. Names
// that start with "hallmark:" are kept for this package.
type Property struct {
	Name, Value string
}

// A Component is one thing inside, or the artifact itself.
type Component struct {
	// ID names the component within its graph. [Graph.Add] makes one when it
	// is empty. It is not written: documents have identifiers derived from
	// content.
	ID string

	Type      Type // "" is Library
	Name      string
	Version   string // "" when unknown
	PURL      string // package URL in canonical form; see package purl
	CPEs      []string
	Digests   provenance.DigestSet // of the component as it is distributed
	Declared  License              // by its authors
	Concluded License              // by who made the SBOM
	Copyright []string             // one notice each
	Supplier  Party
	Scope     Scope

	References []Reference
	Properties []Property
	Evidence   []Evidence

	// Dependencies says whether the component's relationships are all there.
	// The zero value is that it is not known.
	Dependencies Completeness
}

// Evidence of one field; the zero Evidence when there is none.
func (c *Component) evidence(f Field) Evidence {
	for _, e := range c.Evidence {
		if e.Field == f {
			return e
		}
	}
	return Evidence{}
}

// SetEvidence records where a field comes from, in place of what was recorded
// before.
func (c *Component) SetEvidence(e Evidence) {
	if e.Confidence == 0 {
		e.Confidence = 100
	}
	c.Evidence = slices.DeleteFunc(c.Evidence, func(x Evidence) bool { return x.Field == e.Field })
	c.Evidence = append(c.Evidence, e)
}

// A Relation is how one component relates to another.
type Relation string

// Relations.
const (
	DependsOn Relation = "depends-on"
	Contains  Relation = "contains"
	BuiltWith Relation = "built-with" // the other made this one and is not part of it
)

// A Relationship says that From DependsOn, Contains or was BuiltWith To; both
// are component IDs.
type Relationship struct {
	From string
	Kind Relation
	To   string
}

// Completeness says whether a list is all there is.
type Completeness int

// The states, worst first.
const (
	Unknown    Completeness = iota // nobody knows
	Incomplete                     // known to lack something
	Complete                       // known to lack nothing
)

func (c Completeness) String() string {
	switch c {
	case Complete:
		return "complete"
	case Incomplete:
		return "incomplete"
	}
	return "unknown"
}

// A Gap is something that is known not to be known.
type Gap struct {
	Component string // ID; "" for the graph as a whole
	Field     Field
	Reason    string // stable: "not-in-module-cache", "cgo"
	Detail    string // for people
}

// Creation says how the graph came to be.
type Creation struct {
	// Created is the time that documents carry, to the second, in UTC.
	// Callers that want the same bytes every time pass SOURCE_DATE_EPOCH.
	Created time.Time

	Tool         Tool    // what made it
	Authors      []Party // persons who made it
	Manufacturer Party   // the organization that made it

	// Phase is the lifecycle phase in which it was made: "design",
	// "pre-build", "build", "post-build", "operations", "discovery" or
	// "decommission".
	Phase string
}

// A Tool is a program that made a graph.
type Tool struct {
	Name, Version string
}

// A Graph is a bill of materials. The zero Graph is empty and ready for use.
// A Graph is not safe for concurrent use.
type Graph struct {
	Creation Creation
	Build    *Build // how the root was made; nil when nobody said

	root       string
	components []*Component
	byID       map[string]*Component
	relations  []Relationship
	gaps       []Gap
	origin     *origin // of a graph that was read
}

// Add adds a component and returns its ID. A component without an ID gets one
// from its package URL or else its type, name and version; a component whose
// ID is taken gets another, so nothing that was added is lost. The first
// component added is the root until SetRoot says otherwise.
func (g *Graph) Add(c Component) string {
	if c.Type == "" {
		c.Type = Library
	}
	id := c.ID
	if id == "" {
		if id = c.PURL; id == "" {
			id = string(c.Type) + ":" + c.Name + "@" + c.Version
		}
	}
	c.ID = id
	for n := 2; g.byID[c.ID] != nil; n++ {
		c.ID = fmt.Sprintf("%s#%d", id, n)
	}
	if g.byID == nil {
		g.byID = make(map[string]*Component)
	}
	p := &c
	g.byID[c.ID] = p
	g.components = append(g.components, p)
	if g.root == "" {
		g.root = c.ID
	}
	return c.ID
}

// SetRoot makes the component with the given ID the one that the graph is about.
func (g *Graph) SetRoot(id string) error {
	if g.byID[id] == nil {
		return fmt.Errorf("no component %q to be the root", id)
	}
	g.root = id
	return nil
}

// Root returns the component that the graph is about; nil in an empty graph.
func (g *Graph) Root() *Component { return g.byID[g.root] }

// Component returns the component with the given ID, or nil. Its ID must not
// be changed.
func (g *Graph) Component(id string) *Component { return g.byID[id] }

// Components returns all components, the root among them, in the order of
// addition, or for a graph that was read, of the document.
func (g *Graph) Components() []*Component { return slices.Clone(g.components) }

// FindPURL returns the components with a package URL that is canonically equal
// to the given one.
func (g *Graph) FindPURL(url string) []*Component {
	want := canonicalPURL(url)
	var found []*Component
	for _, c := range g.components {
		if c.PURL != "" && canonicalPURL(c.PURL) == want {
			found = append(found, c)
		}
	}
	return found
}

// FindDigest returns the components that have the digest.
func (g *Graph) FindDigest(d provenance.Digest) []*Component {
	var found []*Component
	for _, c := range g.components {
		if !d.IsZero() && slices.Contains(c.Digests, d) {
			found = append(found, c)
		}
	}
	return found
}

// Relate records a relationship. Both components must be in the graph.
func (g *Graph) Relate(from string, kind Relation, to string) error {
	for _, id := range []string{from, to} {
		if g.byID[id] == nil {
			return fmt.Errorf("no component %q to relate", id)
		}
	}
	switch kind {
	case DependsOn, Contains, BuiltWith:
	default:
		return fmt.Errorf("unknown relation %q", kind)
	}
	g.relations = append(g.relations, Relationship{from, kind, to})
	return nil
}

// Relationships returns all relationships, sorted, each once.
func (g *Graph) Relationships() []Relationship {
	slices.SortFunc(g.relations, compareRelationships)
	g.relations = slices.Compact(g.relations)
	return slices.Clone(g.relations)
}

func compareRelationships(a, b Relationship) int {
	if c := strings.Compare(a.From, b.From); c != 0 {
		return c
	}
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.To, b.To))
}

// AddUnknown notes something that is not known.
func (g *Graph) AddUnknown(gap Gap) { g.gaps = append(g.gaps, gap) }

// Unknowns returns what was noted as not known, sorted, each once.
func (g *Graph) Unknowns() []Gap {
	slices.SortFunc(g.gaps, compareGaps)
	g.gaps = slices.Compact(g.gaps)
	return slices.Clone(g.gaps)
}

func compareGaps(a, b Gap) int {
	return cmp.Or(cmp.Compare(a.Component, b.Component), cmp.Compare(a.Field, b.Field),
		cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Detail, b.Detail))
}

// Completeness says whether the graph lists all that the root is made of: the
// worst state among the root's dependencies and those of all it reaches that
// are shipped, and at best Incomplete when components are noted as missing.
// The reasons are those of the unknowns that decide it, sorted.
func (g *Graph) Completeness() (Completeness, []string) {
	if g.Root() == nil {
		return Unknown, []string{"no-root"}
	}
	next := make(map[string][]string)
	for _, r := range g.relations {
		if r.Kind != BuiltWith {
			next[r.From] = append(next[r.From], r.To)
		}
	}
	missing := g.missing()
	state := Complete
	var reasons []string
	for _, gap := range g.gaps {
		if gap.Component == "" && (gap.Field == FieldComponents || gap.Field == FieldDependencies) {
			state = Incomplete
			reasons = append(reasons, gap.Reason)
		}
	}
	seen := map[string]bool{g.root: true}
	for queue := []string{g.root}; len(queue) > 0; queue = queue[1:] {
		id := queue[0]
		state = min(state, g.dependencies(g.byID[id], missing))
		reasons = append(reasons, missing[id]...)
		if g.byID[id].Dependencies == Unknown && len(missing[id]) == 0 {
			reasons = append(reasons, "dependencies-unknown")
		}
		for _, to := range next[id] {
			if !seen[to] && g.byID[to].Scope != Excluded {
				seen[to] = true
				queue = append(queue, to)
			}
		}
	}
	slices.Sort(reasons)
	return state, slices.Compact(reasons)
}

// missing returns the reasons why components lack dependencies.
func (g *Graph) missing() map[string][]string {
	m := make(map[string][]string)
	for _, gap := range g.gaps {
		if gap.Component != "" && (gap.Field == FieldDependencies || gap.Field == FieldComponents) {
			m[gap.Component] = append(m[gap.Component], gap.Reason)
		}
	}
	return m
}

// dependencies is the completeness that a document may claim for a component:
// what its producer said, unless something is noted as missing.
func (g *Graph) dependencies(c *Component, missing map[string][]string) Completeness {
	if c.Dependencies == Complete && len(missing[c.ID]) > 0 {
		return Incomplete
	}
	return c.Dependencies
}

// Contain makes artifact the root, as something that contains what was the
// root until now: an archive with a program in it. It returns the new root's
// ID.
func (g *Graph) Contain(artifact Component) (string, error) {
	inner := g.Root()
	if inner == nil {
		return "", fmt.Errorf("no component to be contained")
	}
	id := g.Add(artifact)
	g.root = id
	return id, g.Relate(id, Contains, inner.ID)
}

func clean(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
