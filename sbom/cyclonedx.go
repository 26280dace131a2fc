package sbom

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/spdxlicense"
	"github.com/hallmark-build/hallmark/internal/strictjson"
	"github.com/hallmark-build/hallmark/provenance"
)

// The parts of CycloneDX 1.6 (ECMA-424) that the graph maps to.
type cdxBOM struct {
	Schema       string           `json:"$schema,omitempty"`
	Format       string           `json:"bomFormat"`
	SpecVersion  string           `json:"specVersion"`
	Serial       string           `json:"serialNumber,omitempty"`
	Version      int              `json:"version"`
	Metadata     *cdxMetadata     `json:"metadata,omitempty"`
	Components   []cdxComponent   `json:"components,omitempty"`
	Dependencies []cdxDependency  `json:"dependencies,omitempty"`
	Compositions []cdxComposition `json:"compositions,omitempty"`
}

type cdxMetadata struct {
	Timestamp    string         `json:"timestamp,omitempty"`
	Lifecycles   []cdxLifecycle `json:"lifecycles,omitempty"`
	Tools        *cdxTools      `json:"tools,omitempty"`
	Authors      []cdxContact   `json:"authors,omitempty"`
	Component    *cdxComponent  `json:"component,omitempty"`
	Manufacturer *cdxEntity     `json:"manufacturer,omitempty"`
	Properties   []cdxProperty  `json:"properties,omitempty"`
}

type cdxLifecycle struct {
	Phase string `json:"phase,omitempty"`
}

type cdxTools struct {
	Components []cdxComponent `json:"components,omitempty"`
}

// UnmarshalJSON ignores the form before 1.5, a list of tools.
func (t *cdxTools) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] != '{' {
		return nil
	}
	type plain cdxTools
	return strictjson.Into(data, 0, (*plain)(t))
}

type cdxContact struct {
	Name  string `json:"name,omitempty"`
	Email string `json:"email,omitempty"`
}

type cdxEntity struct {
	Name    string       `json:"name,omitempty"`
	URL     []string     `json:"url,omitempty"`
	Contact []cdxContact `json:"contact,omitempty"`
}

type cdxComponent struct {
	Type       string         `json:"type"`
	Ref        string         `json:"bom-ref,omitempty"`
	Supplier   *cdxEntity     `json:"supplier,omitempty"`
	Group      string         `json:"group,omitempty"`
	Name       string         `json:"name"`
	Version    string         `json:"version,omitempty"`
	Scope      string         `json:"scope,omitempty"`
	Hashes     []cdxHash      `json:"hashes,omitempty"`
	Licenses   []cdxLicense   `json:"licenses,omitempty"`
	Copyright  string         `json:"copyright,omitempty"`
	CPE        string         `json:"cpe,omitempty"`
	PURL       string         `json:"purl,omitempty"`
	References []cdxReference `json:"externalReferences,omitempty"`
	Components []cdxComponent `json:"components,omitempty"`
	Evidence   *cdxEvidence   `json:"evidence,omitempty"`
	Properties []cdxProperty  `json:"properties,omitempty"`
}

type cdxHash struct {
	Alg     string `json:"alg"`
	Content string `json:"content"`
}

type cdxLicense struct {
	License         *cdxLicenseID `json:"license,omitempty"`
	Expression      string        `json:"expression,omitempty"`
	Acknowledgement string        `json:"acknowledgement,omitempty"`
}

type cdxLicenseID struct {
	ID              string `json:"id,omitempty"`
	Name            string `json:"name,omitempty"`
	Acknowledgement string `json:"acknowledgement,omitempty"`
}

type cdxReference struct {
	URL    string    `json:"url"`
	Type   string    `json:"type"`
	Hashes []cdxHash `json:"hashes,omitempty"`
}

type cdxEvidence struct {
	Identity []cdxIdentity `json:"identity,omitempty"`
}

// UnmarshalJSON ignores evidence: what this package wrote there is in the
// properties, exactly.
func (*cdxEvidence) UnmarshalJSON([]byte) error { return nil }

type cdxIdentity struct {
	Field      string      `json:"field"`
	Confidence float64     `json:"confidence"`
	Methods    []cdxMethod `json:"methods,omitempty"`
}

type cdxMethod struct {
	Technique  string  `json:"technique"`
	Confidence float64 `json:"confidence"`
	Value      string  `json:"value,omitempty"`
}

type cdxProperty struct {
	Name  string `json:"name"`
	Value string `json:"value,omitempty"`
}

type cdxDependency struct {
	Ref       string   `json:"ref"`
	DependsOn []string `json:"dependsOn"` // empty is "none", absent would be "unknown"
}

type cdxComposition struct {
	Aggregate    string   `json:"aggregate"`
	Assemblies   []string `json:"assemblies,omitempty"`
	Dependencies []string `json:"dependencies,omitempty"`
}

var referenceKinds = func() map[string]bool {
	m := make(map[string]bool)
	for k := range strings.FieldsSeq(`vcs issue-tracker website advisories bom mailing-list social chat documentation support
		source-distribution distribution distribution-intake license build-meta build-system release-notes security-contact
		model-card log configuration evidence formulation attestation threat-model adversary-model risk-assessment
		vulnerability-assertion exploitability-statement pentest-report static-analysis-report dynamic-analysis-report
		runtime-analysis-report component-analysis-report maturity-report certification-report codified-infrastructure
		quality-metrics poam electronic-signature digital-signature rfc-9116 other`) {
		m[k] = true
	}
	return m
}()

var cdxAlgorithms = map[provenance.Algorithm]string{
	"md5": "MD5", "sha1": "SHA-1", provenance.SHA256: "SHA-256", provenance.SHA384: "SHA-384", provenance.SHA512: "SHA-512",
	"sha3_256": "SHA3-256", "sha3_384": "SHA3-384", "sha3_512": "SHA3-512", "blake2b": "BLAKE2b-512",
}

var fromCDX = invert(cdxAlgorithms)

func invert(m map[provenance.Algorithm]string) map[string]provenance.Algorithm {
	r := make(map[string]provenance.Algorithm, len(m))
	for k, v := range m {
		r[v] = k
	}
	return r
}

func encodeCycloneDX(d *document) ([]byte, error) {
	bom := cdxBOM{
		Schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
		Format: "CycloneDX", SpecVersion: "1.6", Version: 1, Serial: nilUUID,
	}
	cr := d.creation
	meta := &cdxMetadata{Timestamp: cr.Created.Format(time.RFC3339)}
	bom.Metadata = meta
	if cr.Phase != "" {
		meta.Lifecycles = []cdxLifecycle{{cr.Phase}}
	}
	if cr.Tool.Name != "" {
		meta.Tools = &cdxTools{[]cdxComponent{{Type: "application", Name: cr.Tool.Name, Version: cr.Tool.Version}}}
	}
	for i, a := range cr.Authors {
		meta.Authors = append(meta.Authors, cdxContact{a.Name, a.Email})
		if a.URL != "" {
			meta.Properties = append(meta.Properties, cdxProperty{extraAuthorURL + strconv.Itoa(i), a.URL})
		}
	}
	meta.Manufacturer = cdxParty(cr.Manufacturer)
	for _, p := range d.gapExtras("") {
		meta.Properties = append(meta.Properties, cdxProperty(p))
	}

	states := map[Completeness][]string{}
	for i, c := range d.components {
		n := d.cycloneDXComponent(c)
		if i == 0 {
			meta.Component = &n
		} else {
			bom.Components = append(bom.Components, n)
		}
		// What contains a thing depends on it too, which keeps the graph in
		// one piece for readers who look no further.
		dep := cdxDependency{Ref: c.ID, DependsOn: []string{}}
		for _, r := range d.from(c.ID) {
			if r.Kind != BuiltWith {
				dep.DependsOn = append(dep.DependsOn, r.To)
			}
		}
		slices.Sort(dep.DependsOn)
		dep.DependsOn = slices.Compact(dep.DependsOn)
		bom.Dependencies = append(bom.Dependencies, dep)
		states[c.Dependencies] = append(states[c.Dependencies], c.ID)
	}
	bom.Compositions = append(bom.Compositions, cdxComposition{Aggregate: d.whole.String(), Assemblies: []string{d.components[0].ID}})
	for _, s := range []Completeness{Complete, Incomplete, Unknown} {
		if len(states[s]) > 0 {
			bom.Compositions = append(bom.Compositions, cdxComposition{Aggregate: s.String(), Dependencies: states[s]})
		}
	}
	content, err := marshal(bom)
	if err != nil {
		return nil, err
	}
	bom.Serial = serial(content)
	return marshal(bom)
}

func cdxParty(p Party) *cdxEntity {
	if p.IsZero() {
		return nil
	}
	e := &cdxEntity{Name: p.Name}
	if p.URL != "" {
		e.URL = []string{p.URL}
	}
	if p.Email != "" {
		e.Contact = []cdxContact{{Email: p.Email}}
	}
	return e
}

func (e *cdxEntity) party() (p Party) {
	if e == nil {
		return p
	}
	p.Name = e.Name
	if len(e.URL) > 0 {
		p.URL = e.URL[0]
	}
	if len(e.Contact) > 0 {
		p.Email = e.Contact[0].Email
	}
	return p
}

func (d *document) cycloneDXComponent(c *Component) cdxComponent {
	n := cdxComponent{
		Type: string(c.Type), Ref: c.ID, Supplier: cdxParty(c.Supplier), Name: c.Name, Version: c.Version,
		Scope: string(c.Scope), PURL: c.PURL, Copyright: strings.Join(c.Copyright, "\n"),
	}
	extra := d.extras(c)
	var rest []provenance.Digest
	n.Hashes, rest = cdxHashes(c.Digests)
	for _, r := range rest {
		extra = append(extra, Property{extraDigest + string(r.Algorithm()), r.Value()})
	}
	for i, s := range c.CPEs {
		if i == 0 {
			n.CPE = s
		} else {
			extra = append(extra, Property{extraCPE, s})
		}
	}
	for _, r := range c.References {
		hashes, rest := cdxHashes(r.Digests)
		if len(rest) > 0 {
			text := r.URL + " " + r.Digests.String()
			extra = append(extra, Property{extraReference + r.Kind, text})
			continue
		}
		n.References = append(n.References, cdxReference{r.URL, r.Kind, hashes})
	}
	var lic []Property
	n.Licenses, lic = cdxLicenses(c.Declared, c.Concluded)
	extra = append(extra, lic...)
	if e := c.evidence(FieldIdentity); e.Field != "" && c.PURL != "" {
		conf := math.Round(float64(e.Confidence)) / 100
		n.Evidence = &cdxEvidence{[]cdxIdentity{{"purl", conf, []cdxMethod{{cdxTechnique(e.Source), conf, e.Method}}}}}
	}
	for _, r := range d.from(c.ID) {
		switch r.Kind {
		case Contains:
			extra = append(extra, Property{extraContains, r.To})
		case BuiltWith:
			extra = append(extra, Property{extraBuiltWith, r.To})
		}
	}
	all := append(slices.Clone(c.Properties), extra...)
	slices.SortFunc(all, compareProperties)
	for _, p := range all {
		n.Properties = append(n.Properties, cdxProperty(p))
	}
	return n
}

func cdxTechnique(s Source) string {
	switch s {
	case Observed:
		return "binary-analysis"
	case Locked, Declared:
		return "manifest-analysis"
	}
	return "other"
}

func cdxHashes(s provenance.DigestSet) (hashes []cdxHash, rest []provenance.Digest) {
	for _, d := range s {
		if alg, ok := cdxAlgorithms[d.Algorithm()]; ok {
			hashes = append(hashes, cdxHash{alg, d.Value()})
		} else {
			rest = append(rest, d)
		}
	}
	return hashes, rest
}

// cdxLicenses fits two licences into one list, which holds either any number
// of single licences or one expression (CycloneDX 1.6, licenseChoice). What
// does not fit comes back as properties.
func cdxLicenses(declared, concluded License) (list []cdxLicense, rest []Property) {
	compound := func(l License) bool { return l.Expression != "" && spdxlicense.ID(l.Expression) != l.Expression }
	single := func(l License, ack string) {
		if !l.IsZero() {
			list = append(list, cdxLicense{License: &cdxLicenseID{ID: l.Expression, Name: l.Name, Acknowledgement: ack}})
		}
	}
	aside := func(l License, name string) {
		if l.Name != "" {
			rest = append(rest, Property{name + "name", l.Name})
		} else if l.Expression != "" {
			rest = append(rest, Property{name + "expression", l.Expression})
		}
	}
	switch {
	case compound(concluded):
		list = []cdxLicense{{Expression: concluded.Expression, Acknowledgement: "concluded"}}
		aside(declared, extraDeclared)
	case compound(declared) && concluded.IsZero():
		list = []cdxLicense{{Expression: declared.Expression, Acknowledgement: "declared"}}
	case compound(declared):
		single(concluded, "concluded")
		aside(declared, extraDeclared)
	default:
		single(declared, "declared")
		single(concluded, "concluded")
	}
	return list, rest
}

func readCycloneDX(doc []byte) (*Graph, error) {
	var bom cdxBOM
	if err := decode(doc, &bom); err != nil {
		return nil, err
	}
	if bom.Format != "CycloneDX" {
		return nil, errorf(ReasonFormat, "bomFormat is %.40q, not CycloneDX", bom.Format)
	}
	if bom.SpecVersion != "1.6" {
		return nil, errorf(ReasonVersion, "CycloneDX %.20q is not read, only 1.6", bom.SpecVersion)
	}
	if bom.Metadata == nil || bom.Metadata.Component == nil {
		return nil, errorf(ReasonFormat, "no metadata.component: the document does not say what it is about")
	}
	g := new(Graph)
	if err := g.readCDXMetadata(bom.Metadata); err != nil {
		return nil, err
	}
	r := cdxReader{g: g}
	if err := r.component(bom.Metadata.Component, ""); err != nil {
		return nil, err
	}
	for i := range bom.Components {
		if err := r.component(&bom.Components[i], ""); err != nil {
			return nil, err
		}
	}
	if err := r.relations(&bom); err != nil {
		return nil, err
	}
	return g, nil
}

func (g *Graph) readCDXMetadata(m *cdxMetadata) error {
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
		cr.Authors = append(cr.Authors, Party{Name: a.Name, Email: a.Email})
	}
	cr.Manufacturer = m.Manufacturer.party()
	for _, p := range m.Properties {
		if s, ok := strings.CutPrefix(p.Name, extraAuthorURL); ok {
			if i, err := strconv.Atoi(s); err == nil && 0 <= i && i < len(cr.Authors) {
				cr.Authors[i].URL = p.Value
			}
			continue
		}
		if err := g.readExtra(nil, Property(p)); err != nil {
			return err
		}
	}
	return nil
}

type cdxReader struct {
	g     *Graph
	later []Relationship // contains and built-with, by reference
}

func (r *cdxReader) component(n *cdxComponent, parent string) error {
	g := r.g
	if len(g.components) == limits.SBOMComponents {
		return errorf(ReasonLimit, "more than %d components", limits.SBOMComponents)
	}
	if n.Name == "" {
		return errorf(ReasonFormat, "component %d has no name", len(g.components))
	}
	if n.Ref != "" && g.byID[n.Ref] != nil {
		return errorf(ReasonReference, "bom-ref %.80q twice", n.Ref)
	}
	c := Component{
		ID: n.Ref, Type: Type(n.Type), Name: n.Name, Version: n.Version, PURL: n.PURL,
		Scope: Scope(n.Scope), Supplier: n.Supplier.party(),
	}
	if n.Group != "" {
		c.Name = n.Group + "/" + n.Name
	}
	if !slices.Contains(types, c.Type) {
		return errorf(ReasonFormat, "component %.80q: unknown type %.40q", n.Name, n.Type)
	}
	if n.Copyright != "" {
		c.Copyright = strings.Split(n.Copyright, "\n")
	}
	if n.CPE != "" {
		c.CPEs = []string{n.CPE}
	}
	var err error
	if c.Digests, err = fromHashes(n.Hashes); err != nil {
		return err
	}
	for _, e := range n.References {
		ref := Reference{Kind: e.Type, URL: e.URL}
		if ref.Digests, err = fromHashes(e.Hashes); err != nil {
			return err
		}
		c.References = append(c.References, ref)
	}
	for _, l := range n.Licenses {
		lic, ack := License{Expression: l.Expression}, l.Acknowledgement
		if l.License != nil {
			lic, ack = License{l.License.ID, l.License.Name}, l.License.Acknowledgement
		}
		target := &c.Declared
		if ack == "concluded" {
			target = &c.Concluded
		}
		if target.IsZero() {
			*target = lic
		} else {
			// Several single licences, which this package does not write: all
			// of them apply as far as the document says.
			*target = License{Name: joinLicenses(*target, lic)}
		}
	}
	c.ID = g.Add(c)
	added := g.byID[c.ID]
	for _, p := range n.Properties {
		switch {
		case p.Name == extraContains:
			r.later = append(r.later, Relationship{c.ID, Contains, p.Value})
		case p.Name == extraBuiltWith:
			r.later = append(r.later, Relationship{c.ID, BuiltWith, p.Value})
		case strings.HasPrefix(p.Name, prefix):
			if err := g.readExtra(added, Property(p)); err != nil {
				return err
			}
		default:
			added.Properties = append(added.Properties, Property(p))
		}
	}
	if parent != "" {
		g.relations = append(g.relations, Relationship{parent, Contains, c.ID})
	}
	for i := range n.Components {
		if err := r.component(&n.Components[i], c.ID); err != nil {
			return err
		}
	}
	return nil
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

func (r *cdxReader) relations(bom *cdxBOM) error {
	g := r.g
	contained := make(map[[2]string]bool, len(r.later))
	for _, l := range r.later {
		if g.byID[l.To] == nil {
			return errorf(ReasonReference, "%.80q %s %.80q, which is not defined", l.From, l.Kind, l.To)
		}
		g.relations = append(g.relations, l)
		contained[[2]string{l.From, l.To}] = l.Kind == Contains
	}
	seen := make(map[string]bool, len(bom.Dependencies))
	for _, d := range bom.Dependencies {
		if g.byID[d.Ref] == nil || seen[d.Ref] {
			return errorf(ReasonReference, "dependencies of %.80q, which is not defined or has them twice", d.Ref)
		}
		seen[d.Ref] = true
		for _, to := range d.DependsOn {
			if g.byID[to] == nil {
				return errorf(ReasonReference, "%.80q depends on %.80q, which is not defined", d.Ref, to)
			}
			if len(g.relations) == limits.SBOMRelationships {
				return errorf(ReasonLimit, "more than %d relationships", limits.SBOMRelationships)
			}
			if !contained[[2]string{d.Ref, to}] {
				g.relations = append(g.relations, Relationship{d.Ref, DependsOn, to})
			}
		}
	}
	for _, comp := range bom.Compositions {
		for _, ref := range comp.Dependencies {
			c := g.byID[ref]
			if c == nil {
				return errorf(ReasonReference, "composition of %.80q, which is not defined", ref)
			}
			c.Dependencies = parseCompleteness(comp.Aggregate)
		}
	}
	return nil
}

// decode reads a document strictly, as far as v has fields.
func decode(doc []byte, v any) error {
	if err := strictjson.Into(doc, limits.Statement, v); err != nil {
		if e, ok := err.(*strictjson.Error); ok {
			return &provenance.FormatError{Reason: e.Reason, Msg: "sbom: " + e.Error()}
		}
		return errorf(ReasonFormat, "%v", err)
	}
	return nil
}
