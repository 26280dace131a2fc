package sbom

import (
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hallmark-build/hallmark/internal/jsonrules"
	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/spdxlicense"
	"github.com/hallmark-build/hallmark/internal/strictjson"
	"github.com/hallmark-build/hallmark/provenance"
)

// checkRules holds a document to the rules of its format.
func checkRules(doc []byte, format string) error {
	err := jsonrules.Check(doc, limits.SBOM, format)
	var e *jsonrules.Error
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &e) || e.Reason == jsonrules.ReasonSchema:
		return errorf(ReasonFormat, "%v", err)
	}
	return errorf(e.Reason, "%v", err)
}

func jsonError(err error) error {
	var e *strictjson.Error
	if errors.As(err, &e) {
		return errorf(e.Reason, "%v", err)
	}
	return errorf(ReasonFormat, "%v", err)
}

// members returns the members of an object, in order. Their values are parts
// of it.
func members(object []byte) ([]member, error) {
	var list []member
	p := strictjson.NewParser(object, len(object))
	err := p.Object(func(name []byte) error {
		m := member{name: string(name)}
		raw, err := p.Raw()
		m.raw = raw
		list = append(list, m)
		return err
	})
	return list, err
}

// unmarshal is for what was checked.
func unmarshal(raw []byte, v any) error {
	if err := json.Unmarshal(raw, v); err != nil {
		return errorf(ReasonFormat, "%v", err)
	}
	return nil
}

// same reports whether v is all that raw says.
func same(raw []byte, v any) bool {
	b, err := compactJSON(v)
	return err == nil && equalJSON(raw, b)
}

// sameString does the same for a string.
func sameString(raw []byte, s string) bool {
	if !plainJSON(s) {
		return same(raw, s)
	}
	return len(raw) == len(s)+2 && string(raw[1:len(raw)-1]) == s
}

// plainJSON reports whether s is the same in JSON, but for the quotation marks.
func plainJSON(s string) bool { return isLine(s) && !strings.ContainsAny(s, "\"\\") }

func readCycloneDX(doc []byte, v cdxVersion) (*Graph, error) {
	if err := checkRules(doc, "cyclonedx-"+v.String()); err != nil {
		return nil, err
	}
	list, err := members(doc)
	if err != nil {
		return nil, jsonError(err)
	}
	r := newCDXReader(v, true, doc)
	var metadata, components, dependencies, compositions []byte
	var serial string
	version := 1
	for _, m := range list {
		switch m.name {
		case "$schema", "bomFormat", "specVersion":
		case "serialNumber":
			err = unmarshal(m.raw, &serial)
		case "version":
			err = unmarshal(m.raw, &version)
		case "metadata":
			metadata = m.raw
		case "components":
			components = m.raw
		case "dependencies":
			dependencies = m.raw
		case "compositions":
			compositions = m.raw
		case "signature":
			r.o.dropped = append(r.o.dropped, "signature")
		default:
			keepMember(&r.o.members, m, "")
		}
		if err != nil {
			return nil, err
		}
	}
	if id, ok := strings.CutPrefix(serial, "urn:uuid:"); ok {
		r.o.link = "urn:cdx:" + id + "/" + strconv.Itoa(version)
	}
	if metadata != nil {
		if err := r.metadataJSON(metadata); err != nil {
			return nil, err
		}
	}
	if components != nil {
		p := strictjson.NewParser(components, len(components))
		if err := p.Array(func(int) error { return r.componentJSON(p, "") }); err != nil {
			return nil, readError(err)
		}
	}
	var deps []cdxDependency
	if dependencies != nil {
		if err := readList(strictjson.NewParser(dependencies, len(dependencies)), &deps, readDependency); err != nil {
			return nil, jsonError(err)
		}
	}
	var comps []cdxComposition
	if compositions != nil {
		if err := unmarshal(compositions, &comps); err != nil {
			return nil, err
		}
	}
	if err := r.relations(deps, comps); err != nil {
		return nil, err
	}
	if compositions != nil && !r.ownCompositions(comps, compositions) {
		keepMember(&r.o.members, member{name: "compositions", raw: compositions}, r.g.states())
	}
	return r.g, nil
}

// readError passes on what a callback of a parser said.
func readError(err error) error {
	var fe *provenance.FormatError
	if errors.As(err, &fe) {
		return fe
	}
	return jsonError(err)
}

type cdxReader struct {
	g     *Graph
	o     *origin
	v     cdxVersion
	doc   []byte            // JSON
	refs  map[string]string // bom-ref to ID, of components
	all   map[string]bool   // every bom-ref of the document, once it is asked for
	later []Relationship    // contains and built-with, by reference
	list  []member          // of the component that is read; kept for its space

	rooted   bool
	streamed bool // nothing is kept
}

func newCDXReader(v cdxVersion, json bool, doc []byte) *cdxReader {
	kind := "cyclonedx-xml"
	if json {
		kind = "cyclonedx-json"
	}
	o := newOrigin(kind, v.String())
	return &cdxReader{g: &Graph{origin: o}, o: o, v: v, doc: doc, refs: make(map[string]string)}
}

func (r *cdxReader) metadataJSON(raw []byte) error {
	var m cdxMetadata
	if err := unmarshal(raw, &m); err != nil {
		return err
	}
	if err := r.metadata(&m); err != nil {
		return err
	}
	list, err := members(raw)
	if err != nil {
		return jsonError(err)
	}
	for _, x := range list {
		keep := true
		switch x.name {
		case "timestamp", "properties":
			keep = false
		case "component":
			if err := r.componentJSON(strictjson.NewParser(x.raw, len(x.raw)), ""); err != nil {
				return readError(err)
			}
			r.rooted = true // by the first component
			keep = false
		case "lifecycles":
			keep = len(m.Lifecycles) > 1 || !same(x.raw, m.Lifecycles) || m.Lifecycles[0].Phase == ""
		case "tools":
			keep = len(m.Tools.Components) > 1 || !same(x.raw, m.Tools)
		case "authors":
			keep = !same(x.raw, m.Authors)
		case "manufacture":
			keep = m.Manufacturer != nil || !m.Manufacture.plain() || !same(x.raw, m.Manufacture) || r.v >= 16
		case "manufacturer":
			keep = !m.Manufacturer.plain() || !same(x.raw, m.Manufacturer)
		}
		if keep {
			keepMember(&r.o.metadata, x, r.g.Creation.held(x.name))
		}
	}
	return nil
}

// plain reports whether party says all of it.
func (e *cdxEntity) plain() bool {
	return len(e.URL) < 2 && len(e.Contact) < 2 && (len(e.Contact) == 0 || e.Contact[0].Name == "")
}

func (r *cdxReader) metadata(m *cdxMetadata) error {
	g := r.g
	cr := &g.Creation
	if m.Timestamp != "" {
		t, err := time.Parse(time.RFC3339, m.Timestamp)
		if err != nil {
			return errorf(ReasonFormat, "metadata.timestamp %.40q is not RFC 3339", m.Timestamp)
		}
		cr.Created = t.UTC()
	}
	if len(m.Lifecycles) > 0 {
		cr.Phase = m.Lifecycles[0].Phase
	}
	if m.Tools != nil && len(m.Tools.Components) > 0 {
		cr.Tool = Tool{m.Tools.Components[0].Name, m.Tools.Components[0].Version}
	}
	for _, a := range m.Authors {
		if a.Name == "" { // an address alone is a name too
			a.Name = a.Email
		}
		if a.Name != "" {
			cr.Authors = append(cr.Authors, Party{Name: a.Name, Email: a.Email})
		}
	}
	cr.Manufacturer = m.Manufacturer.party()
	if m.Manufacturer == nil {
		cr.Manufacturer = m.Manufacture.party()
	}
	for _, p := range m.Properties {
		if !strings.HasPrefix(p.Name, prefix) {
			r.o.properties = append(r.o.properties, Property(p))
		} else if err := g.readCreationExtra(Property(p)); err != nil {
			return err
		}
	}
	return nil
}

func (r *cdxReader) componentJSON(p *strictjson.Parser, parent string) error {
	var n cdxComponent
	list, err := n.read(p, r.list[:0])
	if err != nil {
		return err
	}
	r.list = list
	id, err := r.component(&n, parent)
	if err != nil {
		return err
	}
	c := r.g.byID[id]
	w := cdxWriter{new(document), r.v, false}
	for _, m := range list {
		keep := true
		switch m.name {
		case "type", "bom-ref", "version", "purl", "cpe", "scope", "hashes", "properties", "components":
			keep = false
		case "name", "group":
			keep = n.Group != ""
		case "copyright":
			keep = strings.Join(sortedSet(c.Copyright, strings.Compare), "\n") != n.Copyright
		case "supplier":
			keep = !n.Supplier.plain() || !same(m.raw, n.Supplier)
		case "licenses":
			again, _ := w.licenses(c.Declared, c.Concluded)
			keep = !same(m.raw, again)
		case "externalReferences":
			keep = !same(m.raw, n.References)
		case "evidence":
			keep = !same(m.raw, w.component(c).Evidence)
		case "signature":
			r.o.dropped = append(r.o.dropped, "component.signature")
			keep = false
		}
		if keep {
			kept := r.o.components[id]
			keepMember(&kept, m, c.held(m.name))
			r.o.components[id] = kept
		}
	}
	for _, raw := range n.Components {
		if err := r.componentJSON(strictjson.NewParser(raw, len(raw)), id); err != nil {
			return err
		}
	}
	return nil
}

// component adds a component, but not those inside it, and returns its ID.
func (r *cdxReader) component(n *cdxComponent, parent string) (string, error) {
	g := r.g
	if len(g.components) == limits.SBOMComponents {
		return "", errorf(ReasonLimit, "more than %d components", limits.SBOMComponents)
	}
	if n.Name == "" {
		return "", errorf(ReasonFormat, "component %d has no name", len(g.components))
	}
	if n.Ref != "" && r.refs[n.Ref] != "" {
		return "", errorf(ReasonReference, "bom-ref %.80q twice", n.Ref)
	}
	c := Component{
		ID: n.Ref, Type: Type(n.Type), Name: n.Name, Version: n.Version, PURL: n.PURL,
		Scope: Scope(n.Scope), Supplier: n.Supplier.party(),
	}
	if n.Group != "" {
		c.Name = n.Group + "/" + n.Name
	}
	if !slices.Contains(types, c.Type) {
		return "", errorf(ReasonFormat, "component %.80q: unknown type %.40q", n.Name, n.Type)
	}
	if n.Copyright != "" {
		c.Copyright = strings.Split(n.Copyright, "\n")
	}
	if n.CPE != "" {
		c.CPEs = []string{n.CPE}
	}
	var err error
	if c.Digests, err = fromHashes(n.Hashes); err != nil {
		return "", err
	}
	for _, e := range n.References {
		if e.URL == "" {
			continue // says nothing, and is repeated
		}
		ref := Reference{Kind: e.Type, URL: e.URL}
		if ref.Digests, err = fromHashes(e.Hashes); err != nil {
			return "", err
		}
		c.References = append(c.References, ref)
	}
	var declared, concluded bool
	for _, l := range n.Licenses {
		lic, ack := License{Expression: l.Expression}, l.Acknowledgement
		if l.License != nil {
			lic, ack = License{l.License.ID, l.License.Name}, l.License.Acknowledgement
		}
		lic = readLicense(lic)
		target, said := &c.Declared, &declared
		if ack == "concluded" {
			target, said = &c.Concluded, &concluded
		}
		if !*said {
			*target, *said = lic, true
		} else {
			// Several single licences, which this package does not write: all
			// of them apply as far as the document says.
			*target = License{Name: joinLicenses(*target, lic)}
		}
	}
	c.ID = g.Add(c)
	if n.Ref != "" {
		r.refs[n.Ref] = c.ID
		r.o.named[c.ID] = n.Ref
		r.o.strange = r.o.strange || !ownRef(n.Ref, n.PURL)
	}
	added := g.byID[c.ID]
	for _, p := range n.Properties {
		switch {
		case p.Name == extraContains:
			r.later = append(r.later, Relationship{c.ID, Contains, p.Value})
		case p.Name == extraBuiltWith:
			r.later = append(r.later, Relationship{c.ID, BuiltWith, p.Value})
		case strings.HasPrefix(p.Name, prefix):
			if err := g.readExtra(added, Property(p)); err != nil {
				return "", err
			}
		default:
			added.Properties = append(added.Properties, Property(p))
		}
	}
	if parent != "" {
		g.relations = append(g.relations, Relationship{parent, Contains, c.ID})
	}
	return c.ID, nil
}

// readLicense takes what is no expression for a name.
func readLicense(l License) License {
	if l.Expression == "" {
		return l
	}
	if _, err := spdxlicense.Normalize(l.Expression); err != nil {
		return License{Name: l.Expression}
	}
	return License{Expression: l.Expression}
}

func joinLicenses(a, b License) string {
	text := func(l License) string { return l.Expression + l.Name }
	return text(a) + ", " + text(b)
}

func fromHashes(hashes []cdxHash) (provenance.DigestSet, error) {
	var s provenance.DigestSet
	for _, h := range hashes {
		alg, ok := fromCDX[h.Alg]
		if !ok {
			alg = provenance.Algorithm(strings.ToLower(h.Alg))
		}
		if err := addDigest(&s, string(alg), strings.ToLower(h.Content)); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// stranger reports whether something that is no component has the name, or it
// is a link into another document.
func (r *cdxReader) stranger(ref string) bool {
	if strings.HasPrefix(ref, "urn:cdx:") {
		return true
	}
	if r.all == nil {
		r.all = make(map[string]bool)
		if r.doc != nil {
			collectRefs(strictjson.NewParser(r.doc, len(r.doc)), r.all)
		}
	}
	return r.all[ref]
}

func collectRefs(p *strictjson.Parser, all map[string]bool) error {
	switch p.Kind() {
	case strictjson.Array:
		return p.Array(func(int) error { return collectRefs(p, all) })
	case strictjson.Object:
		return p.Object(func(name []byte) error {
			if string(name) == "bom-ref" && p.Kind() == strictjson.String {
				s, err := p.String()
				all[s] = true
				return err
			}
			return collectRefs(p, all)
		})
	}
	return p.Skip()
}

func (r *cdxReader) relations(deps []cdxDependency, comps []cdxComposition) error {
	g := r.g
	if !r.rooted {
		g.root = "" // the document does not say what it is about
	}
	contained := make(map[[2]string]bool, len(r.later))
	for _, l := range r.later {
		to, ok := r.refs[l.To]
		if !ok {
			return errorf(ReasonReference, "%.80q %s %.80q, which is not defined", l.From, l.Kind, l.To)
		}
		g.relations = append(g.relations, Relationship{l.From, l.Kind, to})
		contained[[2]string{l.From, to}] = l.Kind == Contains
	}
	seen := make(map[string]bool, len(deps))
	for _, d := range deps {
		from, known := r.refs[d.Ref]
		if seen[d.Ref] || !known && !r.stranger(d.Ref) {
			return errorf(ReasonReference, "dependencies of %.80q, which is not defined or has them twice", d.Ref)
		}
		seen[d.Ref] = true
		if !known {
			r.o.strangers = append(r.o.strangers, d)
			continue
		}
		rest := cdxDependency{Provides: d.Provides}
		for _, ref := range d.DependsOn {
			to, ok := r.refs[ref]
			if !ok || to == from {
				if !ok && !r.stranger(ref) {
					return errorf(ReasonReference, "%.80q depends on %.80q, which is not defined", d.Ref, ref)
				}
				rest.DependsOn = append(rest.DependsOn, ref)
				continue
			}
			if len(g.relations) == limits.SBOMRelationships {
				return errorf(ReasonLimit, "more than %d relationships", limits.SBOMRelationships)
			}
			if !contained[[2]string{from, to}] {
				g.relations = append(g.relations, Relationship{from, DependsOn, to})
			}
		}
		for _, ref := range d.Provides {
			if _, ok := r.refs[ref]; !ok && !r.stranger(ref) {
				return errorf(ReasonReference, "%.80q provides %.80q, which is not defined", d.Ref, ref)
			}
		}
		if len(rest.DependsOn)+len(rest.Provides) > 0 {
			r.o.dependencies[from] = rest
		} else if len(d.DependsOn) == 0 {
			r.o.leaves[from] = true
		}
	}
	for _, comp := range comps {
		for _, list := range [][]string{comp.Assemblies, comp.Dependencies} {
			for _, ref := range list {
				if _, ok := r.refs[ref]; !ok && !r.stranger(ref) {
					return errorf(ReasonReference, "composition of %.80q, which is not defined", ref)
				}
			}
		}
		for _, ref := range comp.Dependencies {
			if c := g.byID[r.refs[ref]]; c != nil {
				c.Dependencies = parseCompleteness(comp.Aggregate)
			}
		}
	}
	for id := range r.o.leaves {
		if g.byID[id].Dependencies != Unknown {
			delete(r.o.leaves, id) // written so in any case
		}
	}
	return nil
}

// ownCompositions reports whether compositions are what this package writes,
// so that they need not be repeated.
func (r *cdxReader) ownCompositions(comps []cdxComposition, raw []byte) bool {
	if raw != nil && !same(raw, comps) {
		return false
	}
	states := make(map[string]bool)
	for i, c := range comps {
		root := r.o.named[r.g.root]
		switch {
		case i == 0 && len(c.Assemblies) == 1 && c.Assemblies[0] == root && len(c.Dependencies) == 0:
		case len(c.Assemblies) > 0 || states[c.Aggregate] || c.Aggregate != parseCompleteness(c.Aggregate).String():
			return false
		default:
			states[c.Aggregate] = true
		}
	}
	return true
}
