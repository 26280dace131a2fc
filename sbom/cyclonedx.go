package sbom

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hallmark-build/hallmark/internal/jsonrules"
	"github.com/hallmark-build/hallmark/internal/spdxlicense"
	"github.com/hallmark-build/hallmark/provenance"
)

// A cdxVersion is a version of CycloneDX: 16 is 1.6.
type cdxVersion int

func (v cdxVersion) String() string { return strconv.Itoa(int(v)/10) + "." + strconv.Itoa(int(v)%10) }

// cdxFormats has the JSON format of each version.
var cdxFormats = map[cdxVersion]Format{14: CycloneDX14, 15: CycloneDX15, 16: CycloneDX16, 17: CycloneDX17}

// The parts of CycloneDX 1.4 to 1.7 (1.6 is ECMA-424) that the graph maps to.
type cdxMetadata struct {
	Timestamp    string         `json:"timestamp,omitempty"`
	Lifecycles   []cdxLifecycle `json:"lifecycles,omitempty"` // since 1.5
	Tools        *cdxTools      `json:"tools,omitempty"`
	Authors      []cdxContact   `json:"authors,omitempty"`
	Component    *cdxComponent  `json:"component,omitempty"`
	Manufacture  *cdxEntity     `json:"manufacture,omitempty"`  // until 1.5
	Manufacturer *cdxEntity     `json:"manufacturer,omitempty"` // since 1.6
	Properties   []cdxProperty  `json:"properties,omitempty"`

	kept []member
}

type cdxLifecycle struct {
	Phase string `json:"phase,omitempty"`
}

// cdxTools is a list of tools until 1.4 and an object since.
type cdxTools struct {
	Components []cdxComponent `json:"components,omitempty"`

	old bool
}

func (t *cdxTools) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '[' {
		t.old = true
		// vendor, name and version have the names that components have.
		return json.Unmarshal(data, &t.Components)
	}
	type plain cdxTools
	return json.Unmarshal(data, (*plain)(t))
}

func (t cdxTools) MarshalJSON() ([]byte, error) {
	type tool struct {
		Name    string `json:"name,omitempty"`
		Version string `json:"version,omitempty"`
	}
	if t.old {
		list := []tool{}
		for _, c := range t.Components {
			list = append(list, tool{c.Name, c.Version})
		}
		return compactJSON(list)
	}
	type plain cdxTools
	return compactJSON(plain(t))
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
	Type       string            `json:"type"`
	Ref        string            `json:"bom-ref,omitempty"`
	Supplier   *cdxEntity        `json:"supplier,omitempty"`
	Group      string            `json:"group,omitempty"`
	Name       string            `json:"name"`
	Version    string            `json:"version,omitempty"`
	Scope      string            `json:"scope,omitempty"`
	Hashes     []cdxHash         `json:"hashes,omitempty"`
	Licenses   []cdxLicense      `json:"licenses,omitempty"`
	Copyright  string            `json:"copyright,omitempty"`
	CPE        string            `json:"cpe,omitempty"`
	PURL       string            `json:"purl,omitempty"`
	References []cdxReference    `json:"externalReferences,omitempty"`
	Components []json.RawMessage `json:"components,omitempty"` // read only
	Evidence   *cdxEvidence      `json:"evidence,omitempty"`
	Properties []cdxProperty     `json:"properties,omitempty"`

	kept []member
}

type cdxHash struct {
	Alg     string `json:"alg"`
	Content string `json:"content"`
}

type cdxLicense struct {
	License         *cdxLicenseID `json:"license,omitempty"`
	Expression      string        `json:"expression,omitempty"`
	Acknowledgement string        `json:"acknowledgement,omitempty"` // since 1.6
}

type cdxLicenseID struct {
	ID              string `json:"id,omitempty"`
	Name            string `json:"name,omitempty"`
	Acknowledgement string `json:"acknowledgement,omitempty"` // since 1.6
}

type cdxReference struct {
	URL    string    `json:"url"`
	Type   string    `json:"type"`
	Hashes []cdxHash `json:"hashes,omitempty"`
}

// cdxEvidence is written only: what this package wrote there is in the
// properties, exactly.
type cdxEvidence struct {
	Identity cdxIdentities `json:"identity,omitempty"` // since 1.5
}

func (*cdxEvidence) UnmarshalJSON([]byte) error { return nil }

// cdxIdentities is one object in 1.5 and a list since 1.6.
type cdxIdentities struct {
	list []cdxIdentity
	one  bool
}

func (i cdxIdentities) MarshalJSON() ([]byte, error) {
	if i.one {
		return compactJSON(i.list[0])
	}
	return compactJSON(i.list)
}

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
	DependsOn []string `json:"dependsOn"` // empty is "none", an entry that is absent is "unknown"
	Provides  []string `json:"provides,omitempty"`
}

type cdxComposition struct {
	Aggregate    string   `json:"aggregate"`
	Assemblies   []string `json:"assemblies,omitempty"`
	Dependencies []string `json:"dependencies,omitempty"`
}

// compactJSON is json.Marshal without HTML escapes.
func compactJSON(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), err
}

// referenceKinds has the kinds of external references and the version that
// brought each.
var referenceKinds = func() map[string]cdxVersion {
	m := make(map[string]cdxVersion)
	for v, kinds := range map[cdxVersion]string{
		14: "vcs issue-tracker website advisories bom mailing-list social chat documentation support distribution license build-meta " +
			"build-system release-notes other",
		15: "distribution-intake security-contact model-card log configuration evidence formulation attestation threat-model " +
			"adversary-model risk-assessment vulnerability-assertion exploitability-statement pentest-report static-analysis-report " +
			"dynamic-analysis-report runtime-analysis-report component-analysis-report maturity-report certification-report " +
			"codified-infrastructure quality-metrics poam",
		16: "source-distribution electronic-signature digital-signature rfc-9116",
		17: "patent patent-family patent-assertion citation",
	} {
		for k := range strings.FieldsSeq(kinds) {
			m[k] = v
		}
	}
	return m
}()

// typeSince has the version that brought a type; those absent are older than 1.4.
var typeSince = map[Type]cdxVersion{Platform: 15, DeviceDriver: 15, Model: 15, Data: 15, Cryptographic: 16}

var cdxAlgorithms = map[provenance.Algorithm]string{
	"md5": "MD5", "sha1": "SHA-1", provenance.SHA256: "SHA-256", provenance.SHA384: "SHA-384", provenance.SHA512: "SHA-512",
	"sha3_256": "SHA3-256", "sha3_384": "SHA3-384", "sha3_512": "SHA3-512", "blake2b": "BLAKE2b-512",
	"blake2b-256": "BLAKE2b-256", "blake2b-384": "BLAKE2b-384", "blake3": "BLAKE3", "streebog-256": "Streebog-256", "streebog-512": "Streebog-512",
}

var fromCDX = invert(cdxAlgorithms)

func invert(m map[provenance.Algorithm]string) map[string]provenance.Algorithm {
	r := make(map[string]provenance.Algorithm, len(m))
	for k, v := range m {
		r[v] = k
	}
	return r
}

func writeCycloneDX(d *document, w io.Writer, serial string, v cdxVersion) error {
	j := newJSONWriter(w)
	j.member("$schema", "http://cyclonedx.org/schema/bom-"+v.String()+".schema.json")
	j.member("bomFormat", "CycloneDX")
	j.member("specVersion", v.String())
	j.member("serialNumber", serial)
	j.member("version", 1)
	c := cdxWriter{d, v, false}
	meta, err := c.metadata().out()
	if err != nil {
		return errorf(ReasonFormat, "%v", err)
	}
	j.member("metadata", meta)
	if rest := c.parts(); len(rest) > 0 {
		j.list("components", func(yield func(any)) {
			for _, x := range rest {
				n := c.component(x)
				v, err := n.out()
				if err != nil && j.err == nil {
					j.err = errorf(ReasonFormat, "component %q: %v", n.Name, err)
				}
				yield(v)
			}
		})
	}
	if deps := c.dependencies(); len(deps) > 0 {
		j.list("dependencies", func(yield func(any)) {
			for _, x := range deps {
				yield(x)
			}
		})
	}
	if list := c.compositions(); len(list) > 0 && (d.kept == nil || !d.kept.repeats(d, "compositions")) {
		j.member("compositions", list)
	}
	formulation := c.formulation()
	if formulation != nil {
		j.member("formulation", formulation)
	}
	if d.kept != nil {
		for _, m := range d.kept.members {
			if d.kept.repeats(d, m.name) && (m.name != "formulation" || formulation == nil) {
				j.member(m.name, m.raw)
			}
		}
	}
	return j.close()
}

// A cdxWriter makes the parts of a document.
type cdxWriter struct {
	d   *document
	v   cdxVersion
	xml bool // the rules of XML hold
}

// why returns the reason why a field is not where the format has it.
func (w cdxWriter) why(field string) string {
	const no = "CycloneDX has no "
	switch field {
	case "lifecycle":
		return "CycloneDX has lifecycles since 1.5"
	case "author":
		return "an author has no URL, and an e-mail address must be one"
	case "manufacturer", "supplier":
		return "a URL or an e-mail address must be one"
	case "unknowns":
		return no + "field for why something is not known"
	case "evidence":
		if w.v < 15 {
			return "CycloneDX has evidence of identity since 1.5"
		}
		return no + "evidence of fields other than the identity of what has a package URL"
	case "type":
		return "CycloneDX " + w.v.String() + " has no such type"
	case "digests":
		return "CycloneDX " + w.v.String() + " has no such hash"
	case "cpe":
		return no + "second CPE, and XML none of another form"
	case "purl":
		return "a package URL in XML is a URI"
	case "references":
		return "CycloneDX " + w.v.String() + " has no such reference, or none with such a hash, or the URL is none"
	case "licences":
		if w.v < 16 {
			return "CycloneDX tells declared from concluded licences since 1.6"
		}
		return "CycloneDX 1.6 has no second licence beside an expression"
	case "relationships":
		return no + "relationships but dependencies"
	}
	return ""
}

// parts returns the components but the root.
func (w cdxWriter) parts() []*Component {
	if w.d.rooted {
		return w.d.components[1:]
	}
	return w.d.components
}

func (w cdxWriter) metadata() *cdxMetadata {
	d, cr := w.d, w.d.creation
	meta := new(cdxMetadata)
	aside := func(field, name, value string) {
		if value != "" {
			d.lose("", field, w.why(field), true)
			meta.Properties = append(meta.Properties, cdxProperty{name, value})
		}
	}
	if !cr.Created.IsZero() {
		meta.Timestamp = cr.Created.Format(time.RFC3339)
	}
	if cr.Phase != "" {
		if w.v >= 15 {
			meta.Lifecycles = []cdxLifecycle{{cr.Phase}}
		} else {
			aside("lifecycle", extraPhase, cr.Phase)
		}
	}
	if cr.Tool.Name != "" {
		meta.Tools = &cdxTools{[]cdxComponent{{Type: "application", Name: cr.Tool.Name, Version: cr.Tool.Version}}, w.v < 15}
	}
	for i, a := range cr.Authors {
		contact := cdxContact{a.Name, a.Email}
		if !jsonrules.IsEmail(a.Email) {
			contact.Email = ""
			aside("author", extraAuthorEmail+strconv.Itoa(i), a.Email)
		}
		meta.Authors = append(meta.Authors, contact)
		aside("author", extraAuthorURL+strconv.Itoa(i), a.URL)
	}
	maker, url, email := cdxParty(cr.Manufacturer)
	aside("manufacturer", extraMakerURL, url)
	aside("manufacturer", extraMakerEmail, email)
	if w.v >= 16 {
		meta.Manufacturer = maker
	} else {
		meta.Manufacture = maker
	}
	for _, p := range d.gapExtras("") {
		aside("unknowns", p.Name, p.Value)
	}
	if d.rooted {
		n := w.component(d.components[0])
		meta.Component = &n
	}
	if d.kept != nil {
		for _, p := range d.kept.properties {
			meta.Properties = append(meta.Properties, cdxProperty(p))
		}
		for _, m := range d.kept.metadata {
			if m.was == d.graph.Creation.held(m.name) {
				meta.kept = append(meta.kept, m)
			}
		}
	}
	return meta
}

// dependencies makes an entry for each component that is known to have or not
// to have dependencies.
func (w cdxWriter) dependencies() []cdxDependency {
	d := w.d
	var list []cdxDependency
	for _, c := range d.components {
		dep := cdxDependency{Ref: c.ID, DependsOn: []string{}}
		// What contains a thing depends on it too, which keeps the graph in
		// one piece for readers who look no further.
		for _, r := range d.from(c.ID) {
			if r.Kind != BuiltWith {
				dep.DependsOn = append(dep.DependsOn, r.To)
			}
		}
		if d.kept != nil {
			k := d.kept.dependencies[d.ids[c.ID]]
			dep.DependsOn = append(dep.DependsOn, k.DependsOn...)
			dep.Provides = k.Provides
		}
		slices.Sort(dep.DependsOn)
		dep.DependsOn = slices.Compact(dep.DependsOn)
		if len(dep.DependsOn) > 0 || len(dep.Provides) > 0 || c.Dependencies != Unknown || d.kept != nil && d.kept.leaves[d.ids[c.ID]] {
			list = append(list, dep)
		}
	}
	if d.kept != nil {
		list = append(list, d.kept.strangers...)
	}
	return list
}

func (w cdxWriter) compositions() []cdxComposition {
	d := w.d
	var list []cdxComposition
	if d.rooted {
		list = append(list, cdxComposition{Aggregate: d.whole.String(), Assemblies: []string{d.components[0].ID}})
	}
	states := map[Completeness][]string{}
	for _, c := range d.components {
		states[c.Dependencies] = append(states[c.Dependencies], c.ID)
	}
	for _, s := range []Completeness{Complete, Incomplete, Unknown} {
		if len(states[s]) > 0 {
			list = append(list, cdxComposition{Aggregate: s.String(), Dependencies: states[s]})
		}
	}
	return list
}

// cdxParty returns what fits, and the URL and e-mail address if they are none.
func cdxParty(p Party) (e *cdxEntity, url, email string) {
	if p.URL != "" && !jsonrules.IsIRI(p.URL) {
		p.URL, url = "", p.URL
	}
	if p.Email != "" && !jsonrules.IsEmail(p.Email) {
		p.Email, email = "", p.Email
	}
	if p.IsZero() {
		return nil, url, email
	}
	e = &cdxEntity{Name: p.Name}
	if p.URL != "" {
		e.URL = []string{p.URL}
	}
	if p.Email != "" {
		e.Contact = []cdxContact{{Email: p.Email}}
	}
	return e, url, email
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

func (w cdxWriter) component(c *Component) cdxComponent {
	d := w.d
	n := cdxComponent{
		Type: string(c.Type), Ref: c.ID, Name: c.Name, Version: c.Version,
		Scope: string(c.Scope), PURL: c.PURL, Copyright: strings.Join(c.Copyright, "\n"),
	}
	var extra []Property
	aside := func(field, name, value string) {
		if value != "" {
			d.lose(c.ID, field, w.why(field), true)
			extra = append(extra, Property{name, value})
		}
	}
	for _, p := range d.extras(c) {
		field := "unknowns"
		if strings.HasPrefix(p.Name, extraEvidence) {
			field = "evidence"
		}
		if p.Name != extraEvidence+string(FieldIdentity) || w.v < 15 || c.PURL == "" {
			d.lose(c.ID, field, w.why(field), true)
		}
		extra = append(extra, p)
	}
	if w.v < typeSince[c.Type] {
		n.Type = string(Library)
		if c.Type == Data || c.Type == Model {
			n.Type = string(File)
		}
		aside("type", extraType, string(c.Type))
	}
	var url, email string
	n.Supplier, url, email = cdxParty(c.Supplier)
	aside("supplier", extraSupplierURL, url)
	aside("supplier", extraSupplierEmail, email)
	var rest []provenance.Digest
	n.Hashes, rest = w.hashes(c.Digests)
	for _, r := range rest {
		aside("digests", extraDigest+string(r.Algorithm()), r.Value())
	}
	for _, s := range c.CPEs {
		if n.CPE == "" && (!w.xml || isCPE.MatchString(s)) {
			n.CPE = s
		} else {
			aside("cpe", extraCPE, s)
		}
	}
	if w.xml && !jsonrules.IsIRI(c.PURL) {
		n.PURL = ""
		aside("purl", extraPURL, c.PURL)
	}
	for _, r := range c.References {
		hashes, rest := w.hashes(r.Digests)
		if len(rest) > 0 || w.v < referenceKinds[r.Kind] || !jsonrules.IsIRI(r.URL) {
			aside("references", extraReference+r.Kind, strings.TrimSpace(r.URL+" "+r.Digests.String()))
			continue
		}
		n.References = append(n.References, cdxReference{r.URL, r.Kind, hashes})
	}
	var lic []Property
	n.Licenses, lic = w.licenses(c.Declared, c.Concluded)
	for _, p := range lic {
		aside("licences", p.Name, p.Value)
	}
	if e := c.evidence(FieldIdentity); e.Field != "" && c.PURL != "" && w.v >= 15 {
		conf := math.Round(float64(e.Confidence)) / 100
		n.Evidence = &cdxEvidence{cdxIdentities{[]cdxIdentity{{"purl", conf, []cdxMethod{{cdxTechnique(e.Source), conf, e.Method}}}}, w.v == 15}}
	}
	for _, r := range d.from(c.ID) {
		switch r.Kind {
		case Contains:
			aside("relationships", extraContains, r.To)
		case BuiltWith:
			aside("relationships", extraBuiltWith, r.To)
		}
	}
	all := append(slices.Clone(c.Properties), extra...)
	slices.SortFunc(all, compareProperties)
	for _, p := range all {
		n.Properties = append(n.Properties, cdxProperty(p))
	}
	if d.kept != nil {
		n.kept = d.kept.of(d.graph, d.ids[c.ID])
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

// isCPE is the form that the XML schema wants.
var isCPE = regexp.MustCompile(`^(?:[cC][pP][eE]:/[AHOaho]?(?::[A-Za-z0-9._\-~%]*){0,6}|` +
	`cpe:2\.3:[aho*\-](?::(?:(?:\?*|\*?)(?:[a-zA-Z0-9\-._]|(?:\\[\\*?!"#$%&'()+,/:;<=>@\[\]^` + "`" + `{|}~]))+(?:\?*|\*?)|[*\-])){5}` +
	`(?::(?:(?:[a-zA-Z]{2,3}(?:-(?:[a-zA-Z]{2}|[0-9]{3}))?)|[*\-]))(?::(?:(?:\?*|\*?)(?:[a-zA-Z0-9\-._]|(?:\\[\\*?!"#$%&'()+,/:;<=>@\[\]^` + "`" + `{|}~]))+(?:\?*|\*?)|[*\-])){4})$`)

// hexDigest reports whether s is what the schema has for a hash, in lower case.
func hexDigest(s string) bool {
	switch len(s) {
	case 32, 40, 64, 96, 128:
	default:
		return false
	}
	for i := range len(s) {
		if c := s[i]; !('0' <= c && c <= '9' || 'a' <= c && c <= 'f') {
			return false
		}
	}
	return true
}

func (w cdxWriter) hashes(s provenance.DigestSet) (hashes []cdxHash, rest []provenance.Digest) {
	for _, d := range s {
		alg, ok := cdxAlgorithms[d.Algorithm()]
		if ok && hexDigest(d.Value()) && (w.v >= 17 || !strings.HasPrefix(alg, "Streebog")) {
			hashes = append(hashes, cdxHash{alg, d.Value()})
		} else {
			rest = append(rest, d)
		}
	}
	return hashes, rest
}

// licenses fits two licences into one list, which holds, until 1.6, either any
// number of single licences or one expression (licenseChoice), and before 1.6
// does not say which of the two a licence is. What does not fit comes back as
// properties.
func (w cdxWriter) licenses(declared, concluded License) (list []cdxLicense, rest []Property) {
	compound := func(l License) bool { return l.Expression != "" && spdxlicense.ID(l.Expression) != l.Expression }
	add := func(l License, ack string) {
		switch {
		case compound(l):
			list = append(list, cdxLicense{Expression: l.Expression, Acknowledgement: ack})
		case !l.IsZero():
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
	case w.v < 16 && declared.IsZero() && !concluded.IsZero():
		add(concluded, "")
		rest = append(rest, Property{extraAck, "concluded"})
	case w.v < 16:
		add(declared, "")
		aside(concluded, extraConcluded)
	case w.v == 16 && compound(concluded):
		add(concluded, "concluded")
		aside(declared, extraDeclared)
	case w.v == 16 && compound(declared) && !concluded.IsZero():
		add(concluded, "concluded")
		aside(declared, extraDeclared)
	default:
		add(declared, "declared")
		add(concluded, "concluded")
	}
	return list, rest
}
