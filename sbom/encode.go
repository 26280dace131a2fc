package sbom

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/spdxlicense"
	"github.com/hallmark-build/hallmark/provenance"
)

// Reasons of a [provenance.FormatError] from this package. They are stable.
const (
	ReasonFormat    = "sbom-malformed"        // not a document of the format, or a value that it does not allow
	ReasonVersion   = "sbom-version"          // a version of the format that is not read
	ReasonReference = "sbom-reference"        // an identifier that is used and not defined, or defined twice
	ReasonBinding   = "sbom-subject-mismatch" // a document about another artifact
	ReasonLimit     = provenance.ReasonLimit  // too many components
)

// Reasons of gaps that reading notes, about what a document says and a graph
// has no place for. Gates over components count what they are about as not
// judged. They are stable.
const (
	ReasonPackageURLs = "several-package-urls" // of a component, in FieldIdentity: it has others than its PURL
	ReasonNotRead     = "package-not-read"     // in FieldComponents: a package of a kind that is not read as a component
)

func errorf(reason, format string, args ...any) error {
	return &provenance.FormatError{Reason: reason, Msg: "sbom: " + fmt.Sprintf(format, args...)}
}

// A Loss is something of a graph that a document does not say in a field of
// its format.
type Loss struct {
	// Field is what it is about: "type", "evidence", or, for what [Read] found
	// in a document and the graph does not hold, the path of its names:
	// "services", "component.swid".
	Field string

	// Why the format's field does not hold it.
	Why string

	// Components has the IDs of the components that it is about, sorted; none
	// for the document as a whole.
	Components []string

	// Kept says that the document has it all the same, under a name that
	// starts with "hallmark:", where [Read] finds it again and other readers
	// see a name and a value.
	Kept bool
}

// Encode writes the graph as a document and returns it; see [Graph.Write].
func (g *Graph) Encode(f Format) ([]byte, error) {
	var buf bytes.Buffer
	if _, err := g.Write(&buf, f); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// Write writes the graph to w as a document: indented, ending with a newline,
// the same bytes for the same graph whatever the order in which it was put
// together. Text that is not valid UTF-8 is written with U+FFFD in its place.
// Components are written one after another; what is held in memory at one time
// is one of them, besides the graph. It reports what the format has no field
// for, sorted by field.
//
// It fails when the graph has no root, no creation time, nobody who made it,
// a component without a name, or a value that the format does not allow (a
// licence expression that is none, a property whose name starts with
// "hallmark:"). What is merely not known does not make it fail. A graph that
// was read from CycloneDX may lack what that document lacked when it is written
// as CycloneDX again.
func (g *Graph) Write(w io.Writer, f Format) ([]Loss, error) {
	e, ok := encodings[f]
	if !ok {
		return nil, errorf(ReasonFormat, "unknown format %q", string(f))
	}
	var changed []string
	if e.kind == "cyclonedx-xml" {
		g, changed = g.xmlGraph()
	}
	d, err := g.canonical(e)
	if err != nil {
		return nil, err
	}
	// Twice, because the identifier of the document comes from its content.
	h := sha1.New()
	h.Write(serialNamespace[:])
	bw := bufio.NewWriterSize(h, 64<<10)
	if err := e.write(d, bw, nilUUID); err != nil {
		return nil, err
	}
	if err := bw.Flush(); err != nil {
		return nil, err
	}
	d.losses = nil
	bw.Reset(w)
	if err := e.write(d, bw, serial(h.Sum(nil))); err != nil {
		return nil, err
	}
	d.loseOrigin()
	if g.Build != nil && (e.family != CycloneDX || !e.json || e.version < "1.5") {
		d.lose("", "build", e.name+" has no formulation", false)
	}
	for _, id := range changed {
		if d.losses == nil {
			d.losses = make(map[lossKey][]string)
		}
		key := lossKey{"text", "XML cannot hold some control characters", false, id == ""}
		if d.losses[key] = append(d.losses[key], id); id == "" {
			d.losses[key] = nil
		}
	}
	return d.lossList(), bw.Flush()
}

// A document is a graph in canonical order, with the references that documents
// use in place of IDs.
type document struct {
	creation   Creation
	components []*Component // the root first, the others by reference; ID is the reference
	relations  []Relationship
	gaps       []Gap
	whole      Completeness

	graph  *Graph
	rooted bool                 // components[0] is the root
	flat   bool                 // names are on one line
	kept   *origin              // what the graph does not hold and the format can repeat; nil for nothing
	ids    map[string]string    // reference to the ID that the graph has
	losses map[lossKey][]string // to component IDs
}

type lossKey struct {
	field, why  string
	kept, whole bool
}

// lose notes that something of a component ("" is the document) has no field.
func (d *document) lose(ref, field, why string, kept bool) {
	if d.losses == nil {
		d.losses = make(map[lossKey][]string)
	}
	key := lossKey{field, why, kept, ref == ""}
	list := d.losses[key]
	if id := d.ids[ref]; ref != "" && (len(list) == 0 || list[len(list)-1] != id) {
		list = append(list, id)
	}
	d.losses[key] = list
}

func (d *document) lossList() []Loss {
	var list []Loss
	for k, components := range d.losses {
		slices.Sort(components)
		list = append(list, Loss{k.field, k.why, slices.Compact(components), k.kept})
	}
	slices.SortFunc(list, func(a, b Loss) int {
		return cmp.Or(cmp.Compare(a.Field, b.Field), cmp.Compare(a.Why, b.Why), cmp.Compare(min(len(a.Components), 1), min(len(b.Components), 1)))
	})
	return list
}

func (g *Graph) canonical(e encoding) (*document, error) {
	root := g.Root()
	lenient := g.origin != nil && e.family == CycloneDX && strings.HasPrefix(g.origin.kind, "cyclonedx-")
	if root == nil && !lenient {
		return nil, errorf(ReasonFormat, "no root component: what is this about? (SetRoot says so)")
	}
	if g.Creation.Created.IsZero() && !lenient {
		return nil, errorf(ReasonFormat, "no creation time; pass one, such as SOURCE_DATE_EPOCH")
	}
	d := &document{creation: g.Creation, graph: g, rooted: root != nil, kept: g.keptFor(e)}
	cr := &d.creation
	cr.Created = cr.Created.UTC().Truncate(1e9)
	cr.Tool = Tool{oneLine(cr.Tool.Name), oneLine(cr.Tool.Version)}
	cr.Manufacturer = cleanParty(cr.Manufacturer)
	cr.Authors = slices.Clone(cr.Authors)
	for i, a := range cr.Authors {
		cr.Authors[i] = cleanParty(a)
		if cr.Authors[i].Name == "" {
			return nil, errorf(ReasonFormat, "author without a name")
		}
	}
	if cr.Tool.Name == "" && len(cr.Authors) == 0 && cr.Manufacturer.IsZero() && !lenient {
		return nil, errorf(ReasonFormat, "neither tool nor author nor manufacturer")
	}
	if cr.Phase != "" && !slices.Contains(phases, cr.Phase) {
		return nil, errorf(ReasonFormat, "unknown lifecycle phase %q", cr.Phase)
	}

	// References: the package URL where it is the only one of its kind, and
	// otherwise something derived from the component's content.
	missing := g.missing()
	groups := make(map[string][]*Component)
	ids := make(map[*Component]string, len(g.components))
	for _, c := range g.components {
		n, err := canonicalComponent(c)
		if err != nil {
			return nil, err
		}
		n.Dependencies = g.dependencies(c, missing)
		base := n.PURL
		groups[base] = append(groups[base], n)
		ids[n] = c.ID
	}
	refs := make(map[string]string, len(g.components))
	byRef := make(map[string]*Component, len(g.components))
	var rootRef string
	taken := make(map[string]bool)
	if d.kept != nil {
		for _, ref := range d.kept.named {
			taken[ref] = true
		}
	}
	for base, group := range groups {
		for _, n := range group {
			ref := base
			if d.kept != nil && d.kept.named[ids[n]] != "" && !d.kept.own[ids[n]] {
				ref = d.kept.named[ids[n]] // what is repeated speaks of the component by this name
			} else if base == "" || len(group) > 1 || taken[base] {
				content, err := json.Marshal(n)
				if err != nil {
					return nil, errorf(ReasonFormat, "component %q: %v", n.Name, err)
				}
				sum := sha256.Sum256(content)
				ref = cmp.Or(base, "component:") + "#" + hex.EncodeToString(sum[:12])
				if base == "" {
					ref = "component:" + hex.EncodeToString(sum[:12])
				}
			}
			refs[ids[n]] = ref
			if ids[n] == g.root {
				rootRef = ref
			}
			byRef[ref] = n // the same content is the same component
		}
	}
	d.ids = make(map[string]string, len(refs))
	for id, ref := range refs {
		if o, ok := d.ids[ref]; !ok || id < o {
			d.ids[ref] = id
		}
	}
	for ref, n := range byRef {
		n.ID = ref
		d.components = append(d.components, n)
	}
	slices.SortFunc(d.components, func(a, b *Component) int {
		if (a.ID == rootRef) != (b.ID == rootRef) {
			if a.ID == rootRef {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.ID, b.ID)
	})
	for _, r := range g.relations {
		r = Relationship{refs[r.From], r.Kind, refs[r.To]}
		if r.From != r.To {
			d.relations = append(d.relations, r)
		}
	}
	slices.SortFunc(d.relations, compareRelationships)
	d.relations = slices.Compact(d.relations)
	for _, gap := range g.gaps {
		if gap.Component != "" {
			if gap.Component = refs[gap.Component]; gap.Component == "" {
				return nil, errorf(ReasonReference, "unknown noted about a component that is not there")
			}
		}
		gap.Detail = oneLine(gap.Detail)
		if gap.Reason == "" || strings.ContainsAny(gap.Reason, " \n") || gap.Field == "" {
			return nil, errorf(ReasonFormat, "unknown without a field and a one-word reason: %q %q", gap.Field, gap.Reason)
		}
		d.gaps = append(d.gaps, gap)
	}
	slices.SortFunc(d.gaps, compareGaps)
	d.gaps = slices.Compact(d.gaps)
	d.whole, _ = g.Completeness()
	return d, nil
}

var phases = []string{"design", "pre-build", "build", "post-build", "operations", "discovery", "decommission"}

func cleanParty(p Party) Party { return Party{oneLine(p.Name), oneLine(p.Email), oneLine(p.URL)} }

// oneLine makes text fit a line: annotations and notices are joined with
// newlines.
func oneLine(s string) string {
	if isLine(s) {
		return s
	}
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r == '\n' || r == '\r' {
			return ' '
		}
		return r
	}, clean(s)))
}

// isLine reports whether s is ASCII, on one line, with no space around, as most
// text is.
func isLine(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= 0x7f || s[i] == ' ' && (i == 0 || i == len(s)-1) {
			return false
		}
	}
	return true
}

// canonicalComponent returns a checked copy of c, in canonical order.
func canonicalComponent(c *Component) (*Component, error) {
	n := c.clone()
	n.Name, n.Version, n.PURL = clean(n.Name), clean(n.Version), clean(n.PURL)
	if n.Name == "" {
		return nil, errorf(ReasonFormat, "component without a name (package URL %q)", n.PURL)
	}
	if !slices.Contains(types, n.Type) {
		return nil, errorf(ReasonFormat, "component %q: unknown type %q", n.Name, n.Type)
	}
	switch n.Scope {
	case "", Required, Optional, Excluded:
	default:
		return nil, errorf(ReasonFormat, "component %q: unknown scope %q", n.Name, n.Scope)
	}
	var err error
	if n.Declared, err = canonicalLicense(n.Declared); err == nil {
		n.Concluded, err = canonicalLicense(n.Concluded)
	}
	if err != nil {
		return nil, errorf(ReasonFormat, "component %q: %v", n.Name, err)
	}
	n.Supplier = cleanParty(n.Supplier)
	for i, s := range n.CPEs {
		n.CPEs[i] = clean(s)
	}
	n.CPEs = sortedSet(n.CPEs, strings.Compare)
	for i, s := range n.Copyright {
		n.Copyright[i] = oneLine(s)
	}
	n.Copyright = sortedSet(slices.DeleteFunc(n.Copyright, func(s string) bool { return s == "" }), strings.Compare)
	if n.Digests, err = canonicalDigests(n.Digests); err != nil {
		return nil, errorf(ReasonFormat, "component %q: %v", n.Name, err)
	}
	for i, r := range n.References {
		r = Reference{clean(r.Kind), oneLine(r.URL), slices.Clone(r.Digests)}
		if r.URL == "" || strings.ContainsAny(r.URL, " ") || referenceKinds[r.Kind] == 0 {
			return nil, errorf(ReasonFormat, "component %q: bad reference of kind %q to %q", n.Name, r.Kind, r.URL)
		}
		if r.Digests, err = canonicalDigests(r.Digests); err != nil {
			return nil, errorf(ReasonFormat, "component %q: %v", n.Name, err)
		}
		n.References[i] = r
	}
	slices.SortFunc(n.References, func(a, b Reference) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.URL, b.URL), cmp.Compare(a.Digests.String(), b.Digests.String()))
	})
	n.References = slices.CompactFunc(n.References, func(a, b Reference) bool {
		return a.Kind == b.Kind && a.URL == b.URL && slices.Equal(a.Digests, b.Digests)
	})
	for i, p := range n.Properties {
		n.Properties[i] = Property{clean(p.Name), clean(p.Value)}
		if strings.HasPrefix(p.Name, prefix) {
			return nil, errorf(ReasonFormat, "component %q: property name %q is reserved", n.Name, p.Name)
		}
	}
	n.Properties = sortedSet(n.Properties, compareProperties)
	for i := range n.Evidence {
		e := &n.Evidence[i]
		e.Method = oneLine(e.Method)
		if e.Confidence == 0 {
			e.Confidence = 100
		}
		if e.Source.rank() < 0 || e.Confidence < 1 || e.Confidence > 100 || e.Field == "" || strings.ContainsAny(string(e.Field), " =\n") {
			return nil, errorf(ReasonFormat, "component %q: bad evidence %+v", n.Name, *e)
		}
	}
	slices.SortStableFunc(n.Evidence, func(a, b Evidence) int { return cmp.Compare(a.Field, b.Field) })
	n.Evidence = slices.CompactFunc(n.Evidence, func(a, b Evidence) bool { return a.Field == b.Field })
	if len(n.References) == 0 {
		n.References = nil
	}
	if len(n.Evidence) == 0 {
		n.Evidence = nil
	}
	return &n, nil
}

func canonicalLicense(l License) (License, error) {
	if l.Expression == "" {
		return License{Name: oneLine(l.Name)}, nil
	}
	expr, err := spdxlicense.Normalize(l.Expression)
	return License{Expression: expr}, err
}

func canonicalDigests(s provenance.DigestSet) (provenance.DigestSet, error) {
	s = sortedSet(s, provenance.Digest.Compare)
	for i, d := range s {
		if d.IsZero() {
			return nil, fmt.Errorf("zero digest")
		}
		if i > 0 && d.Algorithm() == s[i-1].Algorithm() {
			return nil, fmt.Errorf("two digests under %s", d.Algorithm())
		}
	}
	return s, nil
}

func compareProperties(a, b Property) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Value, b.Value))
}

func sortedSet[S ~[]E, E comparable](s S, compare func(a, b E) int) S {
	if len(s) == 0 {
		return nil
	}
	s = slices.Clone(s)
	slices.SortFunc(s, compare)
	return slices.Compact(s)
}

// serial returns a UUID of version 5 (RFC 9562 section 5.5) with the hash sum.
func serial(sum []byte) string {
	u := sum[:16]
	u[6] = u[6]&0x0f | 0x50
	u[8] = u[8]&0x3f | 0x80
	s := hex.EncodeToString(u)
	return "urn:uuid:" + s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}

var serialNamespace = [16]byte{0x5b, 0x0e, 0x24, 0x5c, 0x71, 0x9d, 0x4c, 0x2e, 0x9a, 0x43, 0x68, 0x61, 0x6c, 0x6c, 0x6d, 0x6b}

const nilUUID = "urn:uuid:00000000-0000-0000-0000-000000000000"

// What neither format has a field for is written as a name and a value: in
// CycloneDX a property, in SPDX an annotation.
const (
	prefix             = "hallmark:"
	extraEvidence      = prefix + "evidence:"          // field: "source confidence method"
	extraUnknown       = prefix + "unknown:"           // field: "reason detail"
	extraDigest        = prefix + "digest:"            // algorithm: value
	extraContains      = prefix + "contains"           // reference
	extraBuiltWith     = prefix + "built-with"         // reference
	extraDeclared      = prefix + "licence:declared:"  // "expression" or "name": value
	extraConcluded     = prefix + "licence:concluded:" // the same
	extraCompleteness  = prefix + "dependencies"       // completeness
	extraType          = prefix + "type"
	extraScope         = prefix + "scope"
	extraReference     = prefix + "reference:" // kind: "URL digest digest"
	extraSupplierURL   = prefix + "supplier-url"
	extraSupplierEmail = prefix + "supplier-email"
	extraCPE           = prefix + "cpe"
	extraAuthorURL     = prefix + "author-url:" // index
	extraPhase         = prefix + "lifecycle"
	extraMakerURL      = prefix + "manufacturer-url"
	extraTool          = prefix + "tool"
	extraCopyright     = prefix + "copyright"
	extraAck           = prefix + "licence:acknowledgement" // of what the document has as licences
	extraAuthorEmail   = prefix + "author-email:"           // index
	extraMakerEmail    = prefix + "manufacturer-email"
	extraMaker         = prefix + "manufacturer" // name
	extraPURL          = prefix + "purl"
	extraName          = prefix + "name"
	extraVersion       = prefix + "version"
	extraEscaped       = prefix + "escaped" // another annotation, percent-encoded
)

// from returns the relationships of the component with the reference.
func (d *document) from(ref string) []Relationship {
	i, _ := slices.BinarySearchFunc(d.relations, ref, func(r Relationship, ref string) int { return cmp.Compare(r.From, ref) })
	j := i
	for j < len(d.relations) && d.relations[j].From == ref {
		j++
	}
	return d.relations[i:j]
}

// extras returns what both formats need extras for.
func (d *document) extras(c *Component) []Property {
	var list []Property
	for _, e := range c.Evidence {
		list = append(list, Property{extraEvidence + string(e.Field), strings.TrimSpace(string(e.Source) + " " + strconv.Itoa(e.Confidence) + " " + e.Method)})
	}
	return append(list, d.gapExtras(c.ID)...)
}

// gapExtras returns what is unknown about the component with the reference, or
// about the whole.
func (d *document) gapExtras(ref string) []Property {
	var list []Property
	i, _ := slices.BinarySearchFunc(d.gaps, ref, func(g Gap, ref string) int { return cmp.Compare(g.Component, ref) })
	for ; i < len(d.gaps) && d.gaps[i].Component == ref; i++ {
		g := d.gaps[i]
		list = append(list, Property{extraUnknown + string(g.Field), strings.TrimSpace(g.Reason + " " + g.Detail)})
	}
	return list
}

// readCreationExtra reads one that is about the whole.
func (g *Graph) readCreationExtra(p Property) error {
	cr := &g.Creation
	author := func(s string) *Party {
		if i, err := strconv.Atoi(s); err == nil && 0 <= i && i < len(cr.Authors) {
			return &cr.Authors[i]
		}
		return new(Party)
	}
	switch p.Name {
	case extraPhase:
		cr.Phase = p.Value
	case extraMaker:
		cr.Manufacturer.Name = p.Value
	case extraMakerURL:
		cr.Manufacturer.URL = p.Value
	case extraMakerEmail:
		cr.Manufacturer.Email = p.Value
	case extraTool:
		cr.Tool.Name, cr.Tool.Version, _ = strings.Cut(p.Value, "\n")
	}
	if s, ok := strings.CutPrefix(p.Name, extraAuthorURL); ok {
		author(s).URL = p.Value
	}
	if s, ok := strings.CutPrefix(p.Name, extraAuthorEmail); ok {
		author(s).Email = p.Value
	}
	return g.readExtra(nil, p)
}

// contradicted is the error of an extra that says something else than the
// field of the document that other readers go by.
func (c *Component) contradicted(p Property, field string) error {
	return errorf(ReasonFormat, "component %.80q: %.80q is %.80q, and the document's own field says %.80q", c.Name, p.Name, p.Value, field)
}

// readExtra reads one of extras and gapExtras back. c is nil for the whole. An
// extra says what the document has no field for, and contradicts none: gates
// must not see another component than everybody else.
func (g *Graph) readExtra(c *Component, p Property) error {
	if field, ok := strings.CutPrefix(p.Name, extraUnknown); ok {
		reason, detail, _ := strings.Cut(p.Value, " ")
		gap := Gap{Field: Field(field), Reason: reason, Detail: detail}
		if c != nil {
			gap.Component = c.ID
		}
		g.gaps = append(g.gaps, gap)
		return nil
	}
	if c == nil {
		return nil
	}
	if field, ok := strings.CutPrefix(p.Name, extraEvidence); ok {
		parts := append(strings.SplitN(p.Value, " ", 3), "", "")
		n, err := strconv.Atoi(parts[1])
		e := Evidence{Field(field), Source(parts[0]), n, parts[2]}
		if err != nil || n < 1 || n > 100 || e.Source.rank() < 0 {
			return errorf(ReasonFormat, "bad evidence %q of %q", p.Value, c.Name)
		}
		c.Evidence = append(c.Evidence, e)
		return nil
	}
	if alg, ok := strings.CutPrefix(p.Name, extraDigest); ok {
		if c.Digests.Get(provenance.Algorithm(alg)).Value() == p.Value && p.Value != "" {
			return nil
		}
		return addDigest(&c.Digests, alg, p.Value)
	}
	for name, l := range map[string]*License{extraDeclared: &c.Declared, extraConcluded: &c.Concluded} {
		if kind, ok := strings.CutPrefix(p.Name, name); ok {
			said := License{Expression: p.Value}
			if kind == "name" {
				said = License{Name: p.Value}
			}
			if !l.IsZero() && *l != said {
				return c.contradicted(p, l.Expression+l.Name)
			}
			*l = said
		}
	}
	switch p.Name {
	case extraType:
		if !slices.Contains(types, Type(p.Value)) {
			return errorf(ReasonFormat, "component %.80q: unknown type %.40q", c.Name, p.Value)
		}
		c.Type = Type(p.Value)
	case extraAck:
		if !c.Concluded.IsZero() {
			return c.contradicted(p, c.Concluded.Expression+c.Concluded.Name)
		}
		c.Declared, c.Concluded = License{}, c.Declared
	case extraScope:
		if c.Scope != "" && c.Scope != Scope(p.Value) {
			return c.contradicted(p, string(c.Scope))
		}
		c.Scope = Scope(p.Value)
	case extraSupplierURL:
		c.Supplier.URL = p.Value
	case extraSupplierEmail:
		c.Supplier.Email = p.Value
	case extraCPE:
		c.CPEs = append(c.CPEs, p.Value)
	case extraPURL:
		if c.PURL != "" && c.PURL != p.Value {
			return c.contradicted(p, c.PURL)
		}
		c.PURL = p.Value
	case extraName: // where the format has it on one line
		if p.Value == "" {
			return errorf(ReasonFormat, "component %.80q: empty name", c.Name)
		}
		if flat(p.Value) != c.Name && (flat(p.Value) != "" || c.Name != "-") {
			return c.contradicted(p, c.Name)
		}
		c.Name = p.Value
	case extraVersion:
		if flat(p.Value) != c.Version {
			return c.contradicted(p, c.Version)
		}
		c.Version = p.Value
	case extraCopyright:
		c.Copyright = append(c.Copyright, p.Value)
	case extraCompleteness:
		c.Dependencies = parseCompleteness(p.Value)
	}
	if kind, ok := strings.CutPrefix(p.Name, extraReference); ok {
		parts := strings.Split(p.Value, " ")
		r := Reference{Kind: kind, URL: parts[0]}
		for _, s := range parts[1:] {
			alg, value, _ := strings.Cut(s, ":")
			if err := addDigest(&r.Digests, alg, value); err != nil {
				return err
			}
		}
		c.References = append(c.References, r)
	}
	return nil
}

func addDigest(s *provenance.DigestSet, alg, value string) error {
	d, err := provenance.NewDigest(provenance.Algorithm(alg), value)
	if err != nil {
		return errorf(ReasonFormat, "%v", err)
	}
	if !s.Get(d.Algorithm()).IsZero() {
		return errorf(ReasonFormat, "two digests under %s", d.Algorithm())
	}
	if len(*s) == limits.DigestsPerSet {
		return errorf(ReasonLimit, "more than %d digests", limits.DigestsPerSet)
	}
	*s = append(*s, d)
	return nil
}

func parseCompleteness(s string) Completeness {
	switch s {
	case "complete":
		return Complete
	case "incomplete":
		return Incomplete
	}
	return Unknown
}
