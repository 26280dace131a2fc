package sbom

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/hallmark-build/hallmark/internal/strictjson"
)

// An origin is what a document said that the graph does not hold. It is
// repeated where the graph is written in the same format again, of that
// version or a later one, unless the graph has changed in what it is about.
type origin struct {
	kind    string // as in encoding
	version string

	link       string              // what other documents call it: a BOM-Link, a document namespace
	named      map[string]string   // component ID to its name in the document
	own        map[string]bool     // SPDX 3: components whose name is made for each document anew
	creation   string              // SPDX 3: name for the CreationInfo that no other has
	strange    bool                // some of those names are not as this package makes them
	name       string              // of the document
	members    []member            // of the document
	metadata   []member            // of its metadata or creation information
	properties []Property          // of its metadata
	components map[string][]member // by component ID
	dropped    []string            // what must not be repeated: signatures

	dependencies map[string]cdxDependency // CycloneDX, by component ID: on what is no component
	strangers    []cdxDependency          // CycloneDX: of what is no component
	leaves       map[string]bool          // CycloneDX: components with an empty entry in dependencies

	relations []json.RawMessage // SPDX: of kinds, or between things, that the graph does not hold
	licenses  []member          // SPDX: by identifier
}

func newOrigin(kind, version string) *origin {
	return &origin{kind: kind, version: version, named: make(map[string]string), components: make(map[string][]member),
		dependencies: make(map[string]cdxDependency), leaves: make(map[string]bool)}
}

// A member is one member of a JSON object, or one element or attribute ("@type")
// of an XML element.
type member struct {
	name string
	raw  json.RawMessage
	node *xmlNode // of XML
	was  string   // what the graph held of it when it was read
	more bool     // a list, to be added to what is written
}

// keepMember keeps a copy of a member, which does not hold on to the document.
func keepMember(list *[]member, m member, was string) {
	var buf bytes.Buffer
	if json.Compact(&buf, m.raw) == nil {
		*list = append(*list, member{name: m.name, raw: bytes.Clone(buf.Bytes()), was: was, more: m.more})
	}
}

func sortMembers(list []member) {
	slices.SortStableFunc(list, func(a, b member) int { return strings.Compare(a.name, b.name) })
}

// keptFor returns what there is to repeat in a document of that kind, or nil.
func (g *Graph) keptFor(e encoding) *origin {
	o := g.origin
	if o == nil || o.kind != e.kind || e.version < o.version {
		return nil
	}
	if o.name == "" && !o.strange && len(o.members)+len(o.metadata)+len(o.properties)+len(o.components)+len(o.dependencies)+len(o.strangers)+len(o.leaves)+
		len(o.relations)+len(o.licenses) == 0 {
		return nil
	}
	return o
}

// repeats reports whether the member of the document with that name is there
// and still holds.
func (o *origin) repeats(d *document, name string) bool {
	for _, m := range o.members {
		if m.name == name {
			return name != "compositions" || m.was == d.graph.states()
		}
	}
	return false
}

// of returns the members of a component that still hold.
func (o *origin) of(g *Graph, id string) []member {
	var list []member
	for _, m := range o.components[id] {
		if m.was == g.byID[id].held(m.name) {
			list = append(list, m)
		}
	}
	return list
}

// loseOrigin notes what was read and is not written.
func (d *document) loseOrigin() {
	o := d.graph.origin
	if o == nil {
		return
	}
	why := "the graph has changed since it was read"
	if d.kept == nil {
		why = "read from " + o.kind + " " + o.version + ", and repeated only there"
	}
	for _, name := range o.dropped {
		d.lose("", name, "a signature is of the bytes that were read", false)
	}
	for _, m := range o.members {
		if d.kept == nil || !d.kept.repeats(d, m.name) {
			d.lose("", m.name, why, false)
		}
	}
	for _, m := range o.metadata {
		if d.kept == nil || m.was != d.graph.Creation.held(m.name) {
			d.lose("", "metadata."+m.name, why, false)
		}
	}
	if d.kept == nil && len(o.properties) > 0 {
		d.lose("", "metadata.properties", why, false)
	}
	if d.kept == nil && len(o.dependencies)+len(o.strangers) > 0 {
		d.lose("", "dependencies", why, false)
	}
	if d.kept == nil && len(o.relations) > 0 {
		d.lose("", "relationships", why, false)
	}
	if d.kept == nil && len(o.licenses) > 0 {
		d.lose("", "hasExtractedLicensingInfos", why, false)
	}
	for _, c := range d.components {
		id := d.ids[c.ID]
		for _, m := range o.components[id] {
			if d.kept == nil || m.was != d.graph.byID[id].held(m.name) {
				d.lose(c.ID, "component."+m.name, why, false)
			}
		}
	}
}

// held returns what the graph holds of a member of a component, for
// comparison.
func (c *Component) held(name string) string {
	var v any
	switch name {
	case "name", "group":
		v = c.Name
	case "versionInfo":
		v = c.Version
	case "primaryPackagePurpose":
		v = c.Type
	case "checksums":
		v = c.Digests
	case "licenseDeclared":
		v = c.Declared
	case "licenseConcluded":
		v = c.Concluded
	case "copyrightText":
		v = c.Copyright
	case "downloadLocation":
		v = c.References
	case "supplier":
		v = c.Supplier
	case "licenses":
		v = []License{c.Declared, c.Concluded}
	case "copyright":
		v = c.Copyright
	case "externalReferences":
		v = c.References
	case "evidence":
		v = c.evidence(FieldIdentity)
	default:
		return ""
	}
	return fmt.Sprintf("%q", v)
}

func (c Creation) held(name string) string {
	var v any
	switch name {
	case "lifecycles":
		v = c.Phase
	case "tools":
		v = c.Tool
	case "authors":
		v = c.Authors
	case "manufacture", "manufacturer":
		v = c.Manufacturer
	default:
		return ""
	}
	return fmt.Sprintf("%q", v)
}

// states returns what the graph knows of completeness, for comparison.
func (g *Graph) states() string {
	list := make([]string, 0, len(g.components))
	for _, c := range g.components {
		list = append(list, fmt.Sprintf("%q %d", c.ID, c.Dependencies))
	}
	slices.Sort(list)
	return strings.Join(list, "\n")
}

// out returns what to write for a component.
func (n *cdxComponent) out() (any, error) {
	if len(n.kept) == 0 {
		return n, nil
	}
	b, err := compactJSON(n)
	if err != nil {
		return nil, err
	}
	return mergeMembers(b, n.kept)
}

func (m *cdxMetadata) out() (any, error) {
	root := m.Component
	if len(m.kept) == 0 && (root == nil || len(root.kept) == 0) {
		return m, nil
	}
	b, err := compactJSON(m)
	if err != nil {
		return nil, err
	}
	kept := m.kept
	if root != nil {
		v, err := root.out()
		if err != nil {
			return nil, err
		}
		raw, err := compactJSON(v)
		if err != nil {
			return nil, err
		}
		kept = append(slices.Clone(kept), member{name: "component", raw: raw})
	}
	return mergeMembers(b, kept)
}

// mergeMembers puts members in an object, in place of those with their names.
func mergeMembers(object []byte, with []member) (json.RawMessage, error) {
	list, err := members(object)
	if err != nil {
		return nil, err
	}
	for _, m := range with {
		i := slices.IndexFunc(list, func(x member) bool { return x.name == m.name })
		switch {
		case i < 0:
			list = append(list, m)
		case m.more:
			list[i].raw = appendList(list[i].raw, m.raw)
		default:
			list[i] = m
		}
	}
	var buf bytes.Buffer
	buf.WriteByte('{')
	for i, m := range list {
		if i > 0 {
			buf.WriteByte(',')
		}
		name, err := compactJSON(m.name)
		if err != nil {
			return nil, err
		}
		buf.Write(name)
		buf.WriteByte(':')
		buf.Write(m.raw)
	}
	buf.WriteByte('}')
	return buf.Bytes(), nil
}

// appendList joins two arrays, compact ones.
func appendList(a, b json.RawMessage) json.RawMessage {
	if len(a) <= 2 {
		return b
	}
	if len(b) <= 2 {
		return a
	}
	return append(append(bytes.Clone(a[:len(a)-1]), ','), b[1:]...)
}

// equalJSON reports whether two values are the same but for space and the
// order of names.
func equalJSON(a, b []byte) bool {
	if equalButSpace(a, b) {
		return true
	}
	var x, y bytes.Buffer
	if json.Compact(&x, a) != nil || json.Compact(&y, b) != nil || x.Len() != y.Len() {
		return false
	}
	if bytes.Equal(x.Bytes(), y.Bytes()) {
		return true
	}
	v, err := strictjson.Decode(x.Bytes(), x.Len())
	w, err2 := strictjson.Decode(y.Bytes(), y.Len())
	return err == nil && err2 == nil && reflect.DeepEqual(v, w)
}

// equalButSpace reports whether two values are the same but for space between
// tokens. Both are valid, and b has none.
func equalButSpace(a, b []byte) bool {
	text := false
	for i := 0; i < len(a); i++ {
		switch c := a[i]; {
		case !text && (c == ' ' || c == '\n' || c == '\r' || c == '\t'):
			continue
		case len(b) == 0 || b[0] != c:
			return false
		case text && c == '\\':
			// The next byte is escaped, and ends no string.
			if i++; i == len(a) || len(b) < 2 || b[1] != a[i] {
				return false
			}
			b = b[1:]
		case c == '"':
			text = !text
		}
		b = b[1:]
	}
	return len(b) == 0
}

// each calls f with each element of an array that was checked.
func each(array []byte, f func(raw []byte) error) error {
	p := strictjson.NewParser(array, len(array))
	err := p.Array(func(int) error {
		raw, err := p.Raw()
		if err != nil {
			return err
		}
		return f(raw)
	})
	if err != nil {
		return readError(err)
	}
	return nil
}

var refHash = regexp.MustCompile(`^#[0-9a-f]{24}$`)

// ownRef reports whether a bom-ref looks like those that this package makes
// for a component with the package URL.
func ownRef(ref, purl string) bool {
	if purl == "" {
		purl = "component:"
		ref = strings.Replace(ref, purl, purl+"#", 1)
	}
	rest, ok := strings.CutPrefix(ref, purl)
	return ok && (rest == "" || refHash.MatchString(rest))
}

var idHash = regexp.MustCompile(`^-[0-9a-f]{16}$`)

// ownID does the same for an SPDXID.
func ownID(id, name, version string) bool {
	rest, ok := strings.CutPrefix(id, "SPDXRef-"+spdxLabel(name, version))
	return ok && idHash.MatchString(rest)
}
