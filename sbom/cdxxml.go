package sbom

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/xmlrules"
	"github.com/hallmark-build/hallmark/provenance"
)

// CycloneDX in XML says what it says in JSON, in elements that have an order.
// What the graph holds goes through the same structs; what it does not hold is
// kept as elements.

// cdxXMLFormats has the XML format of each version.
var cdxXMLFormats = map[cdxVersion]Format{14: CycloneDXXML14, 15: CycloneDXXML15, 16: CycloneDXXML16, 17: CycloneDXXML17}

const cdxSpace = "http://cyclonedx.org/schema/bom/"

// The order of elements, which is the same in all versions that have them.
var (
	cdxBOMOrder = strings.Fields(`metadata components services externalReferences dependencies compositions properties vulnerabilities annotations
		formulation declarations definitions citations`)
	cdxMetadataOrder = strings.Fields(`timestamp lifecycles tools authors component manufacturer manufacture supplier licenses properties
		distributionConstraints`)
	cdxComponentOrder = strings.Fields(`supplier manufacturer authors author publisher group name version versionRange description scope hashes licenses
		copyright patentAssertions cpe purl omniborId swhid swid modified pedigree externalReferences properties components evidence
		releaseNotes modelCard data cryptoProperties tags`)
)

func sortKids(kids []*xmlNode, order []string) {
	rank := func(n *xmlNode) int {
		if i := slices.Index(order, n.name); i >= 0 && n.space == "" {
			return i
		}
		return len(order) // of other name spaces
	}
	slices.SortStableFunc(kids, func(a, b *xmlNode) int { return cmp.Compare(rank(a), rank(b)) })
}

// detectXML says of which version an XML document is, by its first element.
func detectXML(doc []byte) (Format, error) {
	if len(doc) > limits.SBOM {
		return "", errorf(ReasonLimit, "more than %d bytes", limits.SBOM)
	}
	r := newXMLReader(bytes.NewReader(doc))
	for {
		t, err := r.token()
		if err != nil {
			return "", err
		}
		s, ok := t.(xml.StartElement)
		if !ok {
			continue
		}
		for v, f := range cdxXMLFormats {
			if s.Name.Local == "bom" && s.Name.Space == cdxSpace+v.String() {
				return f, nil
			}
		}
		return "", errorf(ReasonVersion, "line %d: XML of %.60q in %.80q is not read", r.line(), s.Name.Local, s.Name.Space)
	}
}

func writeCycloneDXML(d *document, w io.Writer, serial string, v cdxVersion) error {
	bw := bufio.NewWriter(w)
	space := cdxSpace + v.String()
	c := cdxWriter{d, v, true}
	var b bytes.Buffer
	put := func(n *xmlNode, indent string) {
		b.Reset()
		n.write(&b, indent, space, space)
		bw.Write(b.Bytes()) // a bufio.Writer keeps its first error
	}
	fmt.Fprintf(bw, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<bom xmlns=%q serialNumber=%q version=\"1\">\n", space, serial)
	var kept []member
	if d.kept != nil {
		kept = d.kept.members
	}
	has := func(name string) bool {
		return slices.ContainsFunc(kept, func(m member) bool { return m.node.name == name })
	}
	for _, name := range append(slices.Clone(cdxBOMOrder), "") {
		switch name {
		case "metadata":
			if n := c.metadataNode(); len(n.kids)+len(n.attrs) > 0 {
				put(n, "  ")
			}
			continue
		case "components":
			list := c.parts()
			if len(list) > 0 {
				bw.WriteString("  <components>\n")
				for _, x := range list {
					n := c.component(x)
					var kept []member
					if d.kept != nil {
						kept = d.kept.of(d.graph, d.ids[x.ID])
					}
					put(componentNode(&n, c.v, kept), "    ")
				}
				bw.WriteString("  </components>\n")
			}
			continue
		case "dependencies":
			if list := c.dependencies(); len(list) > 0 {
				bw.WriteString("  <dependencies>\n")
				for _, x := range list {
					put(dependencyNode(x), "    ")
				}
				bw.WriteString("  </dependencies>\n")
			}
			continue
		case "compositions":
			if list := c.compositions(); len(list) > 0 && !(has(name) && d.kept.repeats(d, name)) {
				put(compositionsNode(list), "  ")
				continue
			}
			if !has(name) || !d.kept.repeats(d, name) {
				continue
			}
		}
		for _, m := range kept {
			if m.node.name == name && m.node.space == "" || name == "" && (m.node.space != "" || !slices.Contains(cdxBOMOrder, m.node.name)) {
				put(m.node, "  ")
			}
		}
	}
	bw.WriteString("</bom>\n")
	return bw.Flush()
}

// merge puts what was kept among what is written, in place of elements with the
// same names.
func (n *xmlNode) merge(kept []member, order []string) {
	for _, m := range kept {
		if name, ok := strings.CutPrefix(m.name, "@"); ok {
			n.attrs = append(n.attrs, xmlAttr{m.node.space, name, m.node.text})
			continue
		}
		n.kids = slices.DeleteFunc(n.kids, func(k *xmlNode) bool { return k.name == m.name && k.space == "" && m.node.space == "" })
	}
	for _, m := range kept {
		if !strings.HasPrefix(m.name, "@") {
			n.kids = append(n.kids, m.node)
		}
	}
	sortKids(n.kids, order)
}

func (w cdxWriter) metadataNode() *xmlNode {
	m := w.metadata()
	n := metadataNode(m, w.v)
	if m.Component != nil {
		var kept []member
		if w.d.kept != nil {
			kept = w.d.kept.of(w.d.graph, w.d.ids[m.Component.Ref])
		}
		n.kids = append(n.kids, componentNode(m.Component, w.v, kept))
	}
	n.merge(m.kept, cdxMetadataOrder)
	return n
}

// metadataNode makes the element without the component in it.
func metadataNode(m *cdxMetadata, v cdxVersion) *xmlNode {
	n := element("metadata", "", optional("timestamp", m.Timestamp))
	add := func(k *xmlNode) {
		if k != nil {
			n.kids = append(n.kids, k)
		}
	}
	if len(m.Lifecycles) > 0 {
		list := element("lifecycles", "")
		for _, l := range m.Lifecycles {
			list.kids = append(list.kids, element("lifecycle", "", element("phase", l.Phase)))
		}
		add(list)
	}
	if m.Tools != nil {
		list := element("tools", "")
		if m.Tools.old {
			for _, c := range m.Tools.Components {
				list.kids = append(list.kids, element("tool", "", optional("name", c.Name), optional("version", c.Version)))
			}
		} else {
			inner := element("components", "")
			for i := range m.Tools.Components {
				inner.kids = append(inner.kids, componentNode(&m.Tools.Components[i], v, nil))
			}
			list.kids = append(list.kids, inner)
		}
		add(list)
	}
	if len(m.Authors) > 0 {
		list := element("authors", "")
		for _, a := range m.Authors {
			list.kids = append(list.kids, contactNode("author", a))
		}
		add(list)
	}
	add(entityNode("manufacture", m.Manufacture))
	add(entityNode("manufacturer", m.Manufacturer))
	add(propertiesNode(m.Properties))
	return n
}

func contactNode(name string, c cdxContact) *xmlNode {
	return element(name, "", optional("name", c.Name), optional("email", c.Email))
}

func entityNode(name string, e *cdxEntity) *xmlNode {
	if e == nil {
		return nil
	}
	n := element(name, "", optional("name", e.Name))
	for _, u := range e.URL {
		n.kids = append(n.kids, element("url", u))
	}
	for _, c := range e.Contact {
		n.kids = append(n.kids, contactNode("contact", c))
	}
	return n
}

func propertiesNode(list []cdxProperty) *xmlNode {
	if len(list) == 0 {
		return nil
	}
	n := element("properties", "")
	for _, p := range list {
		n.kids = append(n.kids, &xmlNode{name: "property", text: p.Value, attrs: []xmlAttr{{"", "name", p.Name}}})
	}
	return n
}

func hashesNode(list []cdxHash) *xmlNode {
	if len(list) == 0 {
		return nil
	}
	n := element("hashes", "")
	for _, h := range list {
		n.kids = append(n.kids, element("hash", h.Content).with("alg", h.Alg))
	}
	return n
}

func licensesNode(list []cdxLicense) *xmlNode {
	if len(list) == 0 {
		return nil
	}
	n := element("licenses", "")
	for _, l := range list {
		if l.License != nil {
			n.kids = append(n.kids, element("license", "", optional("id", l.License.ID), optional("name", l.License.Name)).with("acknowledgement", l.License.Acknowledgement))
		} else {
			n.kids = append(n.kids, element("expression", l.Expression).with("acknowledgement", l.Acknowledgement))
		}
	}
	return n
}

func referencesNode(list []cdxReference) *xmlNode {
	if len(list) == 0 {
		return nil
	}
	n := element("externalReferences", "")
	for _, r := range list {
		n.kids = append(n.kids, element("reference", "", element("url", r.URL), hashesNode(r.Hashes)).with("type", r.Type))
	}
	return n
}

func evidenceNode(e *cdxEvidence) *xmlNode {
	if e == nil {
		return nil
	}
	decimal := func(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
	n := element("evidence", "")
	for _, i := range e.Identity.list {
		methods := element("methods", "")
		for _, m := range i.Methods {
			methods.kids = append(methods.kids, element("method", "", element("technique", m.Technique), element("confidence", decimal(m.Confidence)), optional("value", m.Value)))
		}
		n.kids = append(n.kids, element("identity", "", element("field", i.Field), element("confidence", decimal(i.Confidence)), methods))
	}
	return n
}

func componentNode(c *cdxComponent, v cdxVersion, kept []member) *xmlNode {
	n := element("component", "", entityNode("supplier", c.Supplier), optional("group", c.Group), element("name", c.Name), optional("version", c.Version),
		optional("scope", c.Scope), hashesNode(c.Hashes), licensesNode(c.Licenses), optional("copyright", c.Copyright), optional("cpe", c.CPE),
		optional("purl", c.PURL), referencesNode(c.References), propertiesNode(c.Properties), evidenceNode(c.Evidence)).with("type", c.Type).with("bom-ref", c.Ref)
	n.merge(kept, cdxComponentOrder)
	return n
}

func dependencyNode(d cdxDependency) *xmlNode {
	n := element("dependency", "").with("ref", d.Ref)
	for _, ref := range d.DependsOn {
		n.kids = append(n.kids, element("dependency", "").with("ref", ref))
	}
	for _, ref := range d.Provides {
		n.kids = append(n.kids, element("provides", "").with("ref", ref))
	}
	return n
}

func compositionsNode(list []cdxComposition) *xmlNode {
	n := element("compositions", "")
	refs := func(name, one string, list []string) *xmlNode {
		if len(list) == 0 {
			return nil
		}
		n := element(name, "")
		for _, ref := range list {
			n.kids = append(n.kids, element(one, "").with("ref", ref))
		}
		return n
	}
	for _, c := range list {
		n.kids = append(n.kids, element("composition", "", element("aggregate", c.Aggregate), refs("assemblies", "assembly", c.Assemblies),
			refs("dependencies", "dependency", c.Dependencies)))
	}
	return n
}

func readCycloneDXML(doc []byte, v cdxVersion) (*Graph, error) {
	if len(doc) > limits.SBOM {
		return nil, errorf(ReasonLimit, "more than %d bytes", limits.SBOM)
	}
	r := newCDXReader(v, false, nil)
	r.all = make(map[string]bool)
	if err := r.xml(bytes.NewReader(doc), v, r.componentNode); err != nil {
		return nil, err
	}
	return r.g, nil
}

// xml reads a document, and its components with component; metadata.component
// and those inside others are read by componentNode.
func (r *cdxReader) xml(doc io.Reader, v cdxVersion, component func(n *xmlNode, parent string) error) error {
	x := newXMLReader(doc)
	x.space = cdxSpace + v.String()
	start, err := x.next()
	if err != nil {
		return err
	}
	if start == nil || start.Name.Local != "bom" || start.Name.Space != x.space {
		return x.errorf("want the element bom of CycloneDX %s", v)
	}
	bom, err := x.open(start)
	if err != nil {
		return err
	}
	rules, err := xmlrules.Load(v.String())
	if err != nil {
		return errorf(ReasonFormat, "%v", err)
	}
	if err := rules.Attrs(ruled{bom}, "/bom"); err != nil {
		return ruleError(err)
	}
	var order []string
	if id, ok := strings.CutPrefix(bom.attr("serialNumber"), "urn:uuid:"); ok {
		r.o.link = "urn:cdx:" + id + "/" + cmp.Or(bom.attr("version"), "1")
	}
	var deps []cdxDependency
	var comps []cdxComposition
	var compositions *xmlNode
	// each reads the elements of a list of the document one by one.
	each := func(list string, read func(n *xmlNode) error) error {
		for {
			k, err := x.next()
			if k == nil || err != nil {
				return err
			}
			x.nodes = 0
			n, err := x.node(k)
			if err != nil {
				return err
			}
			if n.space != "" {
				continue
			}
			t := rules.Kid(rules.Kid("/bom", list), n.name)
			if t == "" {
				return bad(n, "the format has no such element here")
			}
			if err := rules.Check(ruled{n}, t); err != nil {
				return ruleError(err)
			}
			if err := read(n); err != nil {
				return err
			}
		}
	}
	for {
		s, err := x.next()
		if err != nil {
			return err
		}
		if s == nil {
			break
		}
		x.nodes = 0
		name := s.Name.Local
		if s.Name.Space != x.space {
			order = append(order, "*")
		} else if order = append(order, name); len(order) > 64 {
			return x.errorf("/bom: too many elements")
		}
		if err := rules.Order("/bom", order); err != nil {
			return x.errorf("/bom: %v", err)
		}
		switch {
		case s.Name.Space != x.space:
			n, err := x.node(s)
			if err != nil {
				return err
			}
			if n.name == "Signature" {
				r.o.dropped = append(r.o.dropped, "signature")
			} else {
				r.keepNode(&r.o.members, n, "")
			}
		case name == "components":
			if err := each(name, func(n *xmlNode) error { return component(n, "") }); err != nil {
				return err
			}
		case name == "dependencies":
			err := each(name, func(n *xmlNode) error {
				d, err := dependency(n)
				if err == nil && !r.streamed {
					deps = append(deps, d)
				}
				return err
			})
			if err != nil {
				return err
			}
		default:
			n, err := x.node(s)
			if err != nil {
				return err
			}
			if err := rules.Check(ruled{n}, rules.Kid("/bom", name)); err != nil {
				return ruleError(err)
			}
			switch name {
			case "metadata":
				err = r.metadataNode(n)
			case "compositions":
				compositions = n
				comps = compositionList(n)
				r.collect(n)
			default:
				r.keepNode(&r.o.members, n, "")
			}
			if err != nil {
				return err
			}
		}
	}
	if err := x.end(); err != nil {
		return err
	}
	if r.streamed {
		return nil
	}
	if err := r.relations(deps, comps); err != nil {
		return err
	}
	if compositions != nil && (!compositionsNode(comps).equal(compositions) || !r.ownCompositions(comps, nil)) {
		r.keepNode(&r.o.members, compositions, r.g.states())
	}
	return nil
}

func (r *cdxReader) keepNode(list *[]member, n *xmlNode, was string) {
	if r.streamed {
		return
	}
	*list = append(*list, member{name: n.name, node: n, was: was})
	r.collect(n)
}

// collect notes the names of what is not a component.
func (r *cdxReader) collect(n *xmlNode) {
	if ref := n.attr("bom-ref"); ref != "" {
		r.all[ref] = true
	}
	for _, k := range n.kids {
		r.collect(k)
	}
}

func bad(n *xmlNode, format string, args ...any) error {
	return errorf(ReasonFormat, "line %d: %s: %s", n.line, n.name, fmt.Sprintf(format, args...))
}

func dependency(n *xmlNode) (cdxDependency, error) {
	d := cdxDependency{Ref: n.attr("ref")}
	if n.name != "dependency" || d.Ref == "" {
		return d, bad(n, "want a dependency with a ref")
	}
	for _, k := range n.kids {
		ref := k.attr("ref")
		if k.space != "" {
			continue
		}
		if ref == "" || len(k.kids) > 0 && k.name == "dependency" {
			return d, bad(k, "want a ref, and no dependencies inside")
		}
		switch k.name {
		case "dependency":
			d.DependsOn = append(d.DependsOn, ref)
		case "provides":
			d.Provides = append(d.Provides, ref)
		default:
			return d, bad(k, "the format has no such element here")
		}
	}
	return d, nil
}

func compositionList(n *xmlNode) []cdxComposition {
	refs := func(n *xmlNode) []string {
		var list []string
		if n != nil {
			for _, k := range n.kids {
				if ref := k.attr("ref"); ref != "" {
					list = append(list, ref)
				}
			}
		}
		return list
	}
	var list []cdxComposition
	for _, c := range n.all("composition") {
		list = append(list, cdxComposition{Aggregate: c.value("aggregate"), Assemblies: refs(c.kid("assemblies")), Dependencies: refs(c.kid("dependencies"))})
	}
	return list
}

func entity(n *xmlNode) *cdxEntity {
	if n == nil {
		return nil
	}
	e := &cdxEntity{Name: n.value("name")}
	for _, u := range n.all("url") {
		e.URL = append(e.URL, u.text)
	}
	for _, c := range n.all("contact") {
		e.Contact = append(e.Contact, cdxContact{c.value("name"), c.value("email")})
	}
	return e
}

func hashes(n *xmlNode) []cdxHash {
	var list []cdxHash
	for _, h := range n.all("hash") {
		list = append(list, cdxHash{h.attr("alg"), strings.TrimSpace(h.text)})
	}
	return list
}

func properties(n *xmlNode) []cdxProperty {
	var list []cdxProperty
	for _, p := range n.all("property") {
		list = append(list, cdxProperty{p.attr("name"), p.text})
	}
	return list
}

func (r *cdxReader) metadataNode(n *xmlNode) error {
	m := cdxMetadata{Timestamp: strings.TrimSpace(n.value("timestamp")), Manufacture: entity(n.kid("manufacture")), Manufacturer: entity(n.kid("manufacturer")),
		Properties: properties(n.kid("properties"))}
	for _, l := range n.kid("lifecycles").all("lifecycle") {
		m.Lifecycles = append(m.Lifecycles, cdxLifecycle{l.value("phase")})
	}
	if tools := n.kid("tools"); tools != nil {
		m.Tools = new(cdxTools)
		list := tools.kid("components").all("component")
		if old := tools.all("tool"); len(old) > 0 {
			m.Tools.old, list = true, old
		}
		for _, t := range list {
			m.Tools.Components = append(m.Tools.Components, cdxComponent{Name: t.value("name"), Version: t.value("version")})
		}
	}
	for _, a := range n.kid("authors").all("author") {
		m.Authors = append(m.Authors, cdxContact{a.value("name"), a.value("email")})
	}
	if err := r.metadata(&m); err != nil {
		return err
	}
	if c := n.kid("component"); c != nil {
		if err := r.componentNode(c, ""); err != nil {
			return err
		}
		r.rooted = true
	}
	// Keep what would not be written again as it is.
	cr := r.g.Creation
	written := metadataNode(cdxWriter{&document{creation: cr, graph: r.g}, r.v, true}.metadata(), r.v)
	for _, k := range n.kids {
		if k.space == "" && (k.name == "component" || k.name == "properties" || k.name == "timestamp") {
			continue
		}
		if k.space != "" || !written.kid(k.name).equal(k) {
			r.keepNode(&r.o.metadata, k, cr.held(k.name))
		}
	}
	return nil
}

func (r *cdxReader) componentNode(n *xmlNode, parent string) error {
	if n.name != "component" {
		return bad(n, "want a component")
	}
	c := cdxComponent{Type: n.attr("type"), Ref: n.attr("bom-ref"), Supplier: entity(n.kid("supplier")), Group: n.value("group"), Name: n.value("name"),
		Version: n.value("version"), Scope: n.value("scope"), Hashes: hashes(n.kid("hashes")), Copyright: n.value("copyright"),
		CPE: n.value("cpe"), PURL: n.value("purl"), Properties: properties(n.kid("properties"))}
	switch Scope(c.Scope) {
	case "", Required, Optional, Excluded:
	default:
		return bad(n.kid("scope"), "unknown scope %.40q", c.Scope)
	}
	if licenses := n.kid("licenses"); licenses != nil {
		for _, l := range licenses.kids {
			switch {
			case l.space != "":
			case l.name == "license":
				c.Licenses = append(c.Licenses, cdxLicense{License: &cdxLicenseID{l.value("id"), l.value("name"), l.attr("acknowledgement")}})
			case l.name == "expression":
				c.Licenses = append(c.Licenses, cdxLicense{Expression: l.text, Acknowledgement: l.attr("acknowledgement")})
			case l.name == "expression-detailed":
				c.Licenses = append(c.Licenses, cdxLicense{Expression: l.attr("expression"), Acknowledgement: l.attr("acknowledgement")})
			}
		}
	}
	for _, e := range n.kid("externalReferences").all("reference") {
		c.References = append(c.References, cdxReference{strings.TrimSpace(e.value("url")), e.attr("type"), hashes(e.kid("hashes"))})
		if referenceKinds[e.attr("type")] == 0 {
			return bad(e, "unknown type %.40q", e.attr("type"))
		}
	}
	id, err := r.component(&c, parent)
	if err != nil {
		if fe, ok := err.(*provenance.FormatError); ok {
			return errorf(fe.Reason, "line %d: %s", n.line, strings.TrimPrefix(fe.Msg, "sbom: "))
		}
		return err
	}
	added := r.g.byID[id]
	w := cdxWriter{&document{graph: r.g}, r.v, true}
	again := w.component(added)
	written := componentNode(&again, r.v, nil)
	var kept []member
	for _, a := range n.attrs {
		if a.space != "" || a.name != "type" && a.name != "bom-ref" {
			kept = append(kept, member{name: "@" + a.name, node: &xmlNode{space: a.space, text: a.value}})
		}
	}
	for _, k := range n.kids {
		if k.space == "" {
			switch k.name {
			case "version", "purl", "cpe", "scope", "hashes", "properties", "components":
				continue
			}
			same := written.kid(k.name).equal(k)
			if same && c.Group == "" {
				continue
			}
			if c.Group == "" && (k.name == "name" || k.name == "copyright") && k.text == map[string]string{"name": added.Name, "copyright": strings.Join(added.Copyright, "\n")}[k.name] {
				continue
			}
			if same && k.name != "name" {
				continue
			}
		} else if k.name == "Signature" {
			r.o.dropped = append(r.o.dropped, "component.signature")
			continue
		}
		r.keepNode(&kept, k, added.held(k.name))
	}
	if kept != nil {
		r.o.components[id] = kept
	}
	for _, k := range n.kid("components").all("component") {
		if err := r.componentNode(k, id); err != nil {
			return err
		}
	}
	return nil
}

// xmlGraph returns g, or a copy in which every text is one that XML can hold
// and the IDs of the components that changed ("" is the whole).
func (g *Graph) xmlGraph() (*Graph, []string) {
	var changed []string
	was := false
	fix := func(s *string) {
		if fixed := xmlText(clean(*s)); fixed != *s {
			was = was || fixed != clean(*s)
			*s = fixed
		}
	}
	fixParty := func(p *Party) { fix(&p.Name); fix(&p.Email); fix(&p.URL) }
	n := *g
	n.components = make([]*Component, len(g.components))
	n.byID = make(map[string]*Component, len(g.components))
	done := func(id string) {
		if was {
			changed = append(changed, id)
		}
		was = false
	}
	for i, old := range g.components {
		c := old.clone()
		c.ID = old.ID
		for _, s := range []*string{&c.Name, &c.Version, &c.PURL, &c.Declared.Name, &c.Concluded.Name, &c.Declared.Expression, &c.Concluded.Expression} {
			fix(s)
		}
		fixParty(&c.Supplier)
		for _, list := range [][]string{c.CPEs, c.Copyright} {
			for i := range list {
				fix(&list[i])
			}
		}
		for i := range c.References {
			fix(&c.References[i].URL)
		}
		for i := range c.Properties {
			fix(&c.Properties[i].Name)
			fix(&c.Properties[i].Value)
		}
		for i := range c.Evidence {
			fix(&c.Evidence[i].Method)
		}
		n.components[i], n.byID[c.ID] = &c, &c
		done(c.ID)
	}
	n.gaps = slices.Clone(g.gaps)
	for i := range n.gaps {
		fix(&n.gaps[i].Reason)
		fix(&n.gaps[i].Detail)
	}
	fix(&n.Creation.Tool.Name)
	fix(&n.Creation.Tool.Version)
	fixParty(&n.Creation.Manufacturer)
	n.Creation.Authors = slices.Clone(g.Creation.Authors)
	for i := range n.Creation.Authors {
		fixParty(&n.Creation.Authors[i])
	}
	done("")
	return &n, changed
}

// xmlText replaces what XML cannot hold.
func xmlText(s string) string {
	return strings.Map(func(r rune) rune {
		if !xmlChar(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}
