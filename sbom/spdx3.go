package sbom

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/strictjson"
	"github.com/hallmark-build/hallmark/provenance"
)

// The classes of SPDX 3.0.1 that the graph maps to. One struct has the
// properties of all of them, in the order in which they are written.
type spdx3Element struct {
	Type         string `json:"type"`
	ID           string `json:"spdxId,omitempty"`
	Blank        string `json:"@id,omitempty"`
	CreationInfo any    `json:"creationInfo,omitempty"` // an identifier; in what is read, also an object

	// CreationInfo.
	SpecVersion  string `json:"specVersion,omitempty"`
	Created      string `json:"created,omitempty"`
	CreatedBy    []any  `json:"createdBy,omitempty"` // identifiers, as above
	CreatedUsing []any  `json:"createdUsing,omitempty"`

	Name string `json:"name,omitempty"`

	// SpdxDocument and software_Sbom.
	DataLicense any      `json:"dataLicense,omitempty"`
	Profiles    []string `json:"profileConformance,omitempty"`
	Roots       []any    `json:"rootElement,omitempty"`
	SbomType    []string `json:"software_sbomType,omitempty"`

	// software_Package.
	Version          string            `json:"software_packageVersion,omitempty"`
	PURL             string            `json:"software_packageUrl,omitempty"`
	Purpose          string            `json:"software_primaryPurpose,omitempty"`
	DownloadLocation string            `json:"software_downloadLocation,omitempty"`
	Copyright        string            `json:"software_copyrightText,omitempty"`
	SuppliedBy       any               `json:"suppliedBy,omitempty"`
	VerifiedUsing    []json.RawMessage `json:"verifiedUsing,omitempty"`

	// Relationship and LifecycleScopedRelationship.
	From         any    `json:"from,omitempty"`
	Kind         string `json:"relationshipType,omitempty"`
	To           []any  `json:"to,omitempty"`
	Completeness string `json:"completeness,omitempty"`
	Scope        string `json:"scope,omitempty"`

	// Licences.
	Expression string `json:"simplelicensing_licenseExpression,omitempty"`
	Text       string `json:"simplelicensing_licenseText,omitempty"`

	Identifiers []json.RawMessage `json:"externalIdentifier,omitempty"`
	References  []json.RawMessage `json:"externalRef,omitempty"`
	Extensions  []json.RawMessage `json:"extension,omitempty"`
}

type spdx3Hash struct {
	Type      string `json:"type"`
	Algorithm string `json:"algorithm"`
	Value     string `json:"hashValue"`
}

type spdx3Identifier struct {
	Type       string `json:"type"`
	Kind       string `json:"externalIdentifierType"`
	Identifier string `json:"identifier"`
}

type spdx3Reference struct {
	Type    string   `json:"type"`
	Kind    string   `json:"externalRefType"`
	Locator []string `json:"locator"`
}

// spdx3Properties is the extension that SPDX has for CycloneDX's properties.
type spdx3Properties struct {
	Type string          `json:"type"`
	List []spdx3Property `json:"extension_cdxProperty"`
}

type spdx3Property struct {
	Type  string `json:"type"`
	Name  string `json:"extension_cdxPropName"`
	Value string `json:"extension_cdxPropValue"`
}

const (
	spdx3Context  = "https://spdx.org/rdf/3.0.1/spdx-context.jsonld"
	spdx3Creation = "_:creationinfo"
	spdx3None     = "NoneElement"
	spdx3Unknown  = "NoAssertionElement"
	spdx3NoText   = "The text of this licence is not in this document."
)

var spdx3Purposes = map[Type]string{
	Application: "application", Library: "library", Framework: "framework", Container: "container", Platform: "platform",
	OperatingSystem: "operatingSystem", Device: "device", DeviceDriver: "deviceDriver", Firmware: "firmware", File: "file", Model: "model", Data: "data",
}

var spdx3Algorithms = map[provenance.Algorithm]string{
	"md5": "md5", "sha1": "sha1", "sha224": "sha224", provenance.SHA256: "sha256", provenance.SHA384: "sha384", provenance.SHA512: "sha512",
	"sha3_224": "sha3_224", "sha3_256": "sha3_256", "sha3_384": "sha3_384", "sha3_512": "sha3_512", "blake2b": "blake2b512",
	"blake2b-256": "blake2b256", "blake2b-384": "blake2b384", "blake3": "blake3", "adler32": "adler32", "md2": "md2", "md4": "md4", "md6": "md6",
}

var fromSPDX3 = invert(spdx3Algorithms)

// spdx3References has the kinds of references that mean the same there.
var spdx3References = map[string]string{
	"vcs": "vcs", "issue-tracker": "issueTracker", "website": "altWebPage", "advisories": "securityAdvisory", "mailing-list": "mailingList",
	"social": "socialMedia", "chat": "chat", "documentation": "documentation", "support": "support", "license": "license",
	"build-meta": "buildMeta", "build-system": "buildSystem", "release-notes": "releaseNotes", "source-distribution": "sourceArtifact",
	"other": "other", "certification-report": "certificationReport", "component-analysis-report": "componentAnalysisReport",
	"dynamic-analysis-report": "dynamicAnalysisReport", "static-analysis-report": "staticAnalysisReport",
	"runtime-analysis-report": "runtimeAnalysisReport", "threat-model": "securityThreatModel", "adversary-model": "securityAdversaryModel",
	"pentest-report": "securityPenTestReport", "risk-assessment": "riskAssessment", "quality-metrics": "qualityAssessmentReport",
	"exploitability-statement": "vulnerabilityExploitabilityAssessment",
}

var fromSPDX3Reference = func() map[string]string {
	m := make(map[string]string, len(spdx3References))
	for k, v := range spdx3References {
		m[v] = k
	}
	return m
}()

// spdx3Types are the phases that SPDX has a type of SBOM for.
var spdx3Types = map[string]string{"design": "design", "pre-build": "source", "build": "build", "post-build": "analyzed", "operations": "deployed"}

// A spdx3Writer makes the elements of a document.
type spdx3Writer struct {
	d        *document
	ns       string // identifiers begin with it
	creation string // the CreationInfo's
	ids      map[string]string
	agents   map[string]spdx3Element
	licenses map[string]spdx3Element
}

func writeSPDX3(d *document, w io.Writer, serial string) error {
	s := newSPDX3Writer(d, serial)
	head := s.head()
	for _, c := range d.components {
		s.agent("Organization", c.Supplier)
		s.license(c.Declared)
		s.license(c.Concluded)
	}
	j := newJSONWriter(w)
	j.member("@context", spdx3Context)
	j.list("@graph", func(yield func(any)) {
		for _, e := range head {
			yield(s.repeat(j, e, ""))
		}
		for _, id := range slices.Sorted(maps.Keys(s.agents)) {
			yield(s.agents[id])
		}
		for _, id := range slices.Sorted(maps.Keys(s.licenses)) {
			yield(s.licenses[id])
		}
		for _, c := range d.components {
			yield(s.repeat(j, s.pkg(c), d.ids[c.ID]))
		}
		for _, c := range d.components {
			s.relationships(c, func(e spdx3Element) { yield(e) })
		}
		if d.kept != nil {
			for _, raw := range d.kept.relations {
				yield(raw)
			}
		}
	})
	return j.close()
}

func newSPDX3Writer(d *document, ns string) *spdx3Writer {
	s := &spdx3Writer{d: d, ns: ns, creation: spdx3Creation, ids: make(map[string]string, len(d.components)),
		agents: make(map[string]spdx3Element), licenses: make(map[string]spdx3Element)}
	if d.kept != nil {
		s.creation = d.kept.creation
	}
	for _, c := range d.components {
		s.ids[c.ID] = ns + "#" + spdxID(c)
		if d.kept != nil && !d.kept.own[d.ids[c.ID]] && d.kept.named[d.ids[c.ID]] != "" {
			s.ids[c.ID] = d.kept.named[d.ids[c.ID]]
		}
	}
	return s
}

// repeat adds what was read of an element beside what the graph holds.
func (s *spdx3Writer) repeat(j *jsonWriter, e spdx3Element, id string) any {
	if s.d.kept == nil {
		return e
	}
	var kept []member
	switch {
	case id != "":
		kept = s.d.kept.of(s.d.graph, id)
	case e.Type == "SpdxDocument":
		kept = s.d.kept.members
	case e.Type == "CreationInfo":
		kept = s.d.kept.metadata
	}
	if len(kept) == 0 {
		return e
	}
	b, err := compactJSON(e)
	if err == nil {
		var raw json.RawMessage
		if raw, err = mergeMembers(b, kept); err == nil {
			return raw
		}
	}
	j.fail(errorf(ReasonFormat, "%v", err))
	return e
}

func raw(v any) json.RawMessage {
	b, _ := compactJSON(v) // strings in structs
	return b
}

func spdx3Extension(list []Property) []json.RawMessage {
	if len(list) == 0 {
		return nil
	}
	slices.SortFunc(list, compareProperties)
	ext := spdx3Properties{Type: "extension_CdxPropertiesExtension"}
	for _, p := range list {
		ext.List = append(ext.List, spdx3Property{"extension_CdxPropertyEntry", p.Name, p.Value})
	}
	return []json.RawMessage{raw(ext)}
}

// head makes what says who made the document, and when.
func (s *spdx3Writer) head() []spdx3Element {
	d, cr := s.d, s.d.creation
	info := spdx3Element{Type: "CreationInfo", Blank: s.creation, SpecVersion: "3.0.1", Created: cr.Created.Format("2006-01-02T15:04:05Z")}
	var extra []Property
	var agents []spdx3Element
	if cr.Tool.Name != "" {
		e := spdx3Element{Type: "Tool", ID: s.ns + "#Tool", CreationInfo: s.creation, Name: strings.TrimSuffix(cr.Tool.Name+"-"+cr.Tool.Version, "-"),
			Extensions: spdx3Extension([]Property{{extraTool, cr.Tool.Name + "\n" + cr.Tool.Version}})}
		info.CreatedUsing = []any{e.ID}
		agents = append(agents, e)
	}
	for i, a := range cr.Authors {
		e := s.party("Person", a)
		e.ID = s.ns + "#Author-" + strconv.Itoa(i)
		info.CreatedBy = append(info.CreatedBy, e.ID)
		agents = append(agents, e)
	}
	if !cr.Manufacturer.IsZero() {
		e := s.party("Organization", cr.Manufacturer)
		e.ID = s.ns + "#Manufacturer"
		info.CreatedBy = append(info.CreatedBy, e.ID)
		agents = append(agents, e)
	}
	if len(info.CreatedBy) == 0 { // someone must have (CreationInfo, createdBy)
		e := spdx3Element{Type: "SoftwareAgent", ID: s.ns + "#Agent", CreationInfo: s.creation, Name: cr.Tool.Name}
		info.CreatedBy = []any{e.ID}
		agents = append(agents, e)
	}
	root := d.components[0]
	doc := spdx3Element{Type: "SpdxDocument", ID: s.ns + "#SPDXRef-DOCUMENT", CreationInfo: s.creation, Name: documentName(root),
		DataLicense: "https://spdx.org/licenses/CC0-1.0", Profiles: []string{"core", "software", "simpleLicensing", "extension"}, Roots: []any{s.ns + "#Sbom"}}
	if d.kept != nil {
		doc.Name = cmp.Or(d.kept.name, doc.Name)
	}
	bom := spdx3Element{Type: "software_Sbom", ID: s.ns + "#Sbom", CreationInfo: s.creation, Roots: []any{s.ids[root.ID]}}
	if t := spdx3Types[cr.Phase]; t != "" {
		bom.SbomType = []string{t}
	} else if cr.Phase != "" {
		d.lose("", "lifecycle", "SPDX 3.0.1 has no such type of SBOM", true)
		extra = append(extra, Property{extraPhase, cr.Phase})
	}
	for _, p := range d.gapExtras("") {
		d.lose("", "unknowns", "SPDX 3.0.1 has no field for why something is not known", true)
		extra = append(extra, p)
	}
	doc.Extensions = spdx3Extension(extra)
	return append(append([]spdx3Element{info}, agents...), doc, bom)
}

func (s *spdx3Writer) party(class string, p Party) spdx3Element {
	e := spdx3Element{Type: class, CreationInfo: s.creation, Name: p.Name}
	if p.Email != "" {
		e.Identifiers = append(e.Identifiers, raw(spdx3Identifier{"ExternalIdentifier", "email", p.Email}))
	}
	if p.URL != "" {
		e.References = append(e.References, raw(spdx3Reference{"ExternalRef", "altWebPage", []string{p.URL}}))
	}
	return e
}

func hashID(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:8])
}

// agent returns the identifier of a supplier, or nil.
func (s *spdx3Writer) agent(class string, p Party) any {
	if p.IsZero() {
		return nil
	}
	id := s.ns + "#Agent-" + hashID(p.Name, p.Email, p.URL)
	if _, ok := s.agents[id]; !ok {
		e := s.party(class, p)
		e.ID = id
		s.agents[id] = e
	}
	return id
}

// license returns the identifier of a licence, or "".
func (s *spdx3Writer) license(l License) string {
	if l.IsZero() {
		return ""
	}
	id := s.ns + "#License-" + hashID(l.Expression, l.Name)
	if _, ok := s.licenses[id]; !ok {
		e := spdx3Element{Type: "simplelicensing_LicenseExpression", ID: id, CreationInfo: s.creation, Expression: l.Expression}
		if l.Expression == "" {
			e.Type, e.Name, e.Text = "simplelicensing_SimpleLicensingText", l.Name, spdx3NoText
		}
		s.licenses[id] = e
	}
	return id
}

// pkg makes the element of a component.
func (s *spdx3Writer) pkg(c *Component) spdx3Element {
	d := s.d
	e := spdx3Element{Type: "software_Package", ID: s.ids[c.ID], CreationInfo: s.creation, Name: c.Name, Version: c.Version, PURL: c.PURL,
		Purpose: spdx3Purposes[c.Type], Copyright: strings.Join(c.Copyright, "\n"), SuppliedBy: s.agent("Organization", c.Supplier)}
	list := slices.Clone(c.Properties)
	aside := func(field, why, name, value string) {
		if value != "" {
			d.lose(c.ID, field, "SPDX 3.0.1 has no "+why, true)
			list = append(list, Property{name, value})
		}
	}
	for _, x := range d.extras(c) {
		if strings.HasPrefix(x.Name, extraEvidence) {
			aside("evidence", "evidence", x.Name, x.Value)
		} else {
			aside("unknowns", "field for why something is not known", x.Name, x.Value)
		}
	}
	if e.Purpose == "" {
		aside("type", "such purpose", extraType, string(c.Type))
	}
	aside("scope", "scope of components", extraScope, string(c.Scope))
	for _, dg := range c.Digests {
		if alg, ok := spdx3Algorithms[dg.Algorithm()]; ok {
			e.VerifiedUsing = append(e.VerifiedUsing, raw(spdx3Hash{"Hash", alg, dg.Value()}))
		} else {
			aside("digests", "such hash", extraDigest+string(dg.Algorithm()), dg.Value())
		}
	}
	for _, cpe := range c.CPEs {
		kind := "cpe22"
		if strings.HasPrefix(cpe, "cpe:2.3:") {
			kind = "cpe23"
		}
		e.Identifiers = append(e.Identifiers, raw(spdx3Identifier{"ExternalIdentifier", kind, cpe}))
	}
	for _, r := range c.References {
		text := strings.TrimSpace(r.URL + " " + r.Digests.String())
		kind := spdx3References[r.Kind]
		switch {
		case r.Kind == "distribution" && e.DownloadLocation == "":
			e.DownloadLocation = r.URL
			if len(r.Digests) > 0 {
				aside("references", "digests of a download location", extraReference+r.Kind, text)
			}
		case len(r.Digests) > 0:
			aside("references", "digests of references", extraReference+r.Kind, text)
		case kind == "":
			aside("references", "such reference", extraReference+r.Kind, text)
		default:
			e.References = append(e.References, raw(spdx3Reference{"ExternalRef", kind, []string{r.URL}}))
		}
	}
	e.Extensions = spdx3Extension(list)
	return e
}

var spdx3Completeness = map[Completeness]string{Complete: "complete", Incomplete: "incomplete", Unknown: "noAssertion"}

// relationships makes those that begin at a component.
func (s *spdx3Writer) relationships(c *Component, yield func(spdx3Element)) {
	to := make(map[Relation][]any)
	for _, r := range s.d.from(c.ID) {
		to[r.Kind] = append(to[r.Kind], s.ids[r.To])
	}
	relate := func(kind string, to []any, more func(e *spdx3Element)) {
		e := spdx3Element{Type: "Relationship", CreationInfo: s.creation, From: s.ids[c.ID], Kind: kind, To: to}
		e.ID = s.ns + "#Relationship-" + hashID(kind, spdxID(c))
		if more != nil {
			more(&e)
		}
		yield(e)
	}
	deps := to[DependsOn]
	if len(deps) == 0 {
		deps = []any{spdx3Unknown}
		if c.Dependencies == Complete {
			deps = []any{spdx3None}
		}
	}
	if len(to[DependsOn]) > 0 || c.Dependencies != Unknown {
		relate("dependsOn", deps, func(e *spdx3Element) { e.Completeness = spdx3Completeness[c.Dependencies] })
	}
	if len(to[Contains]) > 0 {
		relate("contains", to[Contains], nil)
	}
	if len(to[BuiltWith]) > 0 {
		relate("usesTool", to[BuiltWith], func(e *spdx3Element) { e.Type, e.Scope = "LifecycleScopedRelationship", "build" })
	}
	if id := s.license(c.Declared); id != "" {
		relate("hasDeclaredLicense", []any{id}, nil)
	}
	if id := s.license(c.Concluded); id != "" {
		relate("hasConcludedLicense", []any{id}, nil)
	}
}

// A spdx3Reader reads SPDX 3.0.1.
type spdx3Reader struct {
	g        *Graph
	o        *origin
	ns       string // of what this package wrote
	elements map[string]spdx3Element
	raws     map[string]json.RawMessage // of what is not a package
	order    []string                   // of raws
	infos    map[string]spdx3Element
	doc      *spdx3Element
	bom      *spdx3Element
	infoID   string
	rels     []string // the Relationships among raws
}

func readSPDX3(doc []byte) (*Graph, error) {
	if err := checkRules(doc, "spdx-3.0.1"); err != nil {
		return nil, err
	}
	top, err := members(doc)
	if err != nil {
		return nil, jsonError(err)
	}
	o := newOrigin("spdx-3", "3.0.1")
	o.own = make(map[string]bool)
	r := &spdx3Reader{g: &Graph{origin: o}, o: o, elements: make(map[string]spdx3Element), raws: make(map[string]json.RawMessage),
		infos: make(map[string]spdx3Element)}
	type found struct {
		id  string
		raw json.RawMessage
	}
	var packages []found
	for _, m := range top {
		if m.name != "@graph" {
			continue
		}
		if err := each(m.raw, func(raw []byte) error {
			var e spdx3Element
			if err := unmarshal(raw, &e); err != nil {
				return err
			}
			if len(r.order)+len(packages) >= limits.SBOMRelationships {
				return errorf(ReasonLimit, "more than %d elements", limits.SBOMRelationships)
			}
			id := cmp.Or(e.ID, e.Blank)
			if id != "" {
				if _, ok := r.elements[id]; ok {
					return errorf(ReasonReference, "two elements are called %.80q", id)
				}
				r.elements[id] = e
			}
			switch e.Type {
			case "software_Package":
				packages = append(packages, found{id, raw})
				return nil
			case "CreationInfo":
				r.infos[id] = e
			case "SpdxDocument":
				if r.doc != nil {
					return errorf(ReasonReference, "two SpdxDocuments")
				}
				r.doc = &e
			case "software_Sbom":
				if r.bom == nil {
					r.bom = &e
				}
			case "Relationship", "LifecycleScopedRelationship":
				r.rels = append(r.rels, id)
			default:
				if e.PURL != "" || strings.HasSuffix(e.Type, "Package") || slices.ContainsFunc(e.Identifiers, func(raw json.RawMessage) bool {
					var x spdx3Identifier
					return json.Unmarshal(raw, &x) == nil && x.Kind == "packageUrl"
				}) {
					r.g.gaps = append(r.g.gaps, Gap{Field: FieldComponents, Reason: ReasonNotRead, Detail: oneLine(e.Type + " " + e.Name)})
				}
			}
			if id == "" {
				// An element without a name can be part of nothing.
				r.o.relations = append(r.o.relations, slices.Clone(raw))
				return nil
			}
			r.raws[id] = raw
			r.order = append(r.order, id)
			return nil
		}); err != nil {
			return nil, err
		}
	}
	if r.doc == nil {
		return nil, errorf(ReasonFormat, "no SpdxDocument")
	}
	if err := r.creation(); err != nil {
		return nil, err
	}
	for _, x := range packages {
		if err := r.pkg(r.elements[x.id]); err != nil {
			return nil, err
		}
	}
	for _, id := range r.rels {
		held, err := r.relationship(r.elements[id])
		if err != nil {
			return nil, err
		}
		if held {
			r.drop(id)
		}
	}
	if err := r.root(); err != nil {
		return nil, err
	}
	s := r.writer()
	for _, x := range packages {
		if err := r.keepPackage(s, x.raw, r.elements[x.id]); err != nil {
			return nil, err
		}
	}
	return r.g, r.keep()
}

// drop forgets an element that the graph holds.
func (r *spdx3Reader) drop(id string) { delete(r.raws, id) }

// properties returns the properties of an element's extension, and whether
// that is all it is extended by.
func (e *spdx3Element) properties() (list []Property, all bool, err error) {
	for i, x := range e.Extensions {
		var p spdx3Properties
		if json.Unmarshal(x, &p) != nil || p.Type != "extension_CdxPropertiesExtension" || i > 0 {
			return list, false, nil
		}
		for _, entry := range p.List {
			list = append(list, Property{entry.Name, entry.Value})
		}
	}
	return list, true, nil
}

func (e *spdx3Element) party() Party {
	p := Party{Name: e.Name}
	for _, raw := range e.Identifiers {
		var x spdx3Identifier
		if json.Unmarshal(raw, &x) == nil && x.Kind == "email" && p.Email == "" {
			p.Email = x.Identifier
		}
	}
	for _, raw := range e.References {
		var x spdx3Reference
		if json.Unmarshal(raw, &x) == nil && x.Kind == "altWebPage" && p.URL == "" && len(x.Locator) > 0 {
			p.URL = x.Locator[0]
		}
	}
	return p
}

func (r *spdx3Reader) creation() error {
	cr := &r.g.Creation
	ns, own := strings.CutSuffix(r.doc.ID, "#SPDXRef-DOCUMENT")
	if own {
		r.ns = ns
	}
	r.o.link = r.doc.ID
	var info spdx3Element
	switch x := r.doc.CreationInfo.(type) {
	case string:
		found, ok := r.infos[x]
		if !ok {
			return errorf(ReasonReference, "creationInfo %.80q is not defined", x)
		}
		info, r.infoID = found, x
		list, err := members(r.raws[x])
		if err != nil {
			return jsonError(err)
		}
		for _, m := range list {
			if m.name == "comment" || m.name == "extension" {
				keepMember(&r.o.metadata, m, "")
			}
		}
	default:
		b, err := compactJSON(x)
		if err == nil {
			err = json.Unmarshal(b, &info)
		}
		if err != nil {
			return errorf(ReasonFormat, "%v", err)
		}
	}
	t, err := time.Parse(time.RFC3339, info.Created)
	if err != nil {
		return errorf(ReasonFormat, "created %.40q is not RFC 3339", info.Created)
	}
	if info.SpecVersion != "3.0.1" {
		return errorf(ReasonVersion, "SPDX %.20q is not read here, only 3.0.1", info.SpecVersion)
	}
	cr.Created = t.UTC()
	for _, x := range info.CreatedBy {
		id, _ := x.(string)
		e := r.elements[id]
		switch {
		case e.Type == "Person" && e.Name != "":
			cr.Authors = append(cr.Authors, e.party())
		case e.Type == "Organization" && cr.Manufacturer.IsZero():
			cr.Manufacturer = e.party()
		case e.Type == "SoftwareAgent" && cr.Tool.Name == "" && e.Name != "":
			cr.Tool.Name = oneLine(e.Name)
		}
	}
	for _, x := range info.CreatedUsing {
		id, _ := x.(string)
		e := r.elements[id]
		if e.Type != "Tool" {
			continue
		}
		if e.Name != "" {
			cr.Tool = Tool{Name: oneLine(e.Name)}
		}
		list, _, err := e.properties()
		if err != nil {
			return err
		}
		for _, p := range list {
			if err := r.g.readCreationExtra(p); err != nil {
				return err
			}
		}
		break
	}
	if r.bom != nil {
		for phase, t := range spdx3Types {
			if len(r.bom.SbomType) > 0 && r.bom.SbomType[0] == t {
				cr.Phase = phase
			}
		}
	}
	list, all, err := r.doc.properties()
	if err != nil {
		return err
	}
	var foreign []Property
	for _, p := range list {
		if !strings.HasPrefix(p.Name, prefix) {
			foreign = append(foreign, p)
		} else if err := r.g.readCreationExtra(p); err != nil {
			return err
		}
	}
	if len(foreign) > 0 || !all {
		for i, x := range r.doc.Extensions {
			if i == 0 && len(foreign) < len(list) {
				if len(foreign) > 0 {
					x = spdx3Extension(foreign)[0]
				} else {
					continue
				}
			}
			r.o.members = append(r.o.members, member{name: "extension", raw: appendList(nil, append(append([]byte{'['}, raw(x)...), ']')), more: true})
		}
	}
	return nil
}

func (r *spdx3Reader) pkg(e spdx3Element) error {
	g := r.g
	if len(g.components) == limits.SBOMComponents {
		return errorf(ReasonLimit, "more than %d packages", limits.SBOMComponents)
	}
	if e.Name == "" {
		return errorf(ReasonFormat, "package %.80q has no name", e.ID)
	}
	c := Component{ID: e.ID, Type: Library, Name: e.Name, Version: e.Version, PURL: e.PURL}
	for t, purpose := range spdx3Purposes {
		if purpose == e.Purpose {
			c.Type = t
		}
	}
	if e.Copyright != "" {
		c.Copyright = strings.Split(e.Copyright, "\n")
	}
	if id, ok := e.SuppliedBy.(string); ok {
		agent := r.elements[id]
		c.Supplier = agent.party()
	}
	for _, raw := range e.VerifiedUsing {
		var h spdx3Hash
		if json.Unmarshal(raw, &h) != nil || h.Type != "Hash" {
			continue // kept
		}
		alg, ok := fromSPDX3[h.Algorithm]
		if !ok {
			continue
		}
		if err := addDigest(&c.Digests, string(alg), strings.ToLower(h.Value)); err != nil {
			return err
		}
	}
	for _, raw := range e.Identifiers {
		var x spdx3Identifier
		if json.Unmarshal(raw, &x) != nil {
			continue
		}
		switch {
		case (x.Kind == "cpe22" || x.Kind == "cpe23") && !slices.Contains(c.CPEs, x.Identifier):
			c.CPEs = append(c.CPEs, x.Identifier)
		case x.Kind == "packageUrl" && c.PURL == "":
			c.PURL = x.Identifier
		}
	}
	for _, raw := range e.References {
		var x spdx3Reference
		if json.Unmarshal(raw, &x) != nil {
			continue
		}
		if kind := fromSPDX3Reference[x.Kind]; kind != "" && len(x.Locator) == 1 && goodURL(x.Locator[0]) {
			c.References = append(c.References, Reference{Kind: kind, URL: x.Locator[0]})
		}
	}
	id := g.Add(c)
	if id != e.ID {
		return errorf(ReasonReference, "two packages are called %.80q", e.ID)
	}
	r.o.named[id] = e.ID
	added := g.byID[id]
	list, _, err := e.properties()
	if err != nil {
		return err
	}
	for _, p := range list {
		if !strings.HasPrefix(p.Name, prefix) {
			added.Properties = append(added.Properties, p)
		} else if err := g.readExtra(added, p); err != nil {
			return err
		}
	}
	for _, raw := range e.Identifiers {
		var x spdx3Identifier
		if json.Unmarshal(raw, &x) == nil && x.Kind == "packageUrl" {
			g.otherPURL(added, x.Identifier)
		}
	}
	if u := e.DownloadLocation; goodURL(u) && !slices.ContainsFunc(added.References, func(x Reference) bool { return x.Kind == "distribution" && x.URL == u }) {
		added.References = append(added.References, Reference{Kind: "distribution", URL: u})
	}
	rest, own := strings.CutPrefix(e.ID, r.ns+"#")
	if r.ns != "" && own && ownID(rest, e.Name, e.Version) {
		r.o.own[id] = true
	} else {
		r.o.strange = true
	}
	return nil
}

func goodURL(u string) bool { return u != "" && oneLine(u) == u && !strings.Contains(u, " ") }

// relationship takes a relationship into the graph, and reports whether the
// graph holds all of it.
func (r *spdx3Reader) relationship(e spdx3Element) (bool, error) {
	g := r.g
	from, _ := e.From.(string)
	if r.elements[from].Type == "" && !strings.Contains(from, ":") {
		return false, nil // one of the few individuals
	}
	c := g.byID[from]
	if c == nil {
		return false, nil
	}
	kinds := map[string]Relation{"dependsOn": DependsOn, "contains": Contains, "usesTool": BuiltWith}
	kind, ok := kinds[e.Kind]
	switch {
	case e.Kind == "hasDeclaredLicense" || e.Kind == "hasConcludedLicense":
		if len(e.To) != 1 {
			return false, nil
		}
		id, _ := e.To[0].(string)
		x := r.elements[id]
		var l License
		switch {
		case x.Type == "simplelicensing_LicenseExpression":
			l = readLicense(License{Expression: x.Expression})
		case x.Type == "simplelicensing_SimpleLicensingText" && x.Name != "":
			l = License{Name: x.Name}
		default:
			return false, nil
		}
		to := &c.Declared
		if e.Kind == "hasConcludedLicense" {
			to = &c.Concluded
		}
		if !to.IsZero() && *to != l {
			return false, nil
		}
		*to = l
		return true, nil
	case !ok:
		return false, nil
	}
	held := true
	for _, x := range e.To {
		id, _ := x.(string)
		if id == spdx3None || id == spdx3Unknown {
			continue
		}
		if g.byID[id] == nil {
			held = false // a file, or something of another document
			continue
		}
		if len(g.relations) == limits.SBOMRelationships {
			return false, errorf(ReasonLimit, "more than %d relationships", limits.SBOMRelationships)
		}
		g.relations = append(g.relations, Relationship{from, kind, id})
	}
	if kind == DependsOn && held {
		switch e.Completeness {
		case "complete":
			c.Dependencies = Complete
		case "incomplete":
			c.Dependencies = Incomplete
		case "":
			if len(e.To) == 1 && e.To[0] == spdx3None {
				c.Dependencies = Complete
			}
		}
	}
	return held, nil
}

// root finds the package that the document is about: through the SBOM that is
// its root, or itself.
func (r *spdx3Reader) root() error {
	e := r.doc
	for depth := 0; depth < 8; depth++ {
		if len(e.Roots) != 1 {
			return errorf(ReasonReference, "%.80q has %d root elements, want one", e.ID, len(e.Roots))
		}
		id, _ := e.Roots[0].(string)
		if r.g.byID[id] != nil {
			r.g.root = id
			return nil
		}
		next, ok := r.elements[id]
		if !ok {
			return errorf(ReasonReference, "root element %.80q is not defined", id)
		}
		e = &next
	}
	return errorf(ReasonReference, "root elements go round in circles")
}

// again returns what would be written of the document and of a package.
func (r *spdx3Reader) writer() *spdx3Writer {
	d := &document{graph: r.g, creation: r.g.Creation}
	s := newSPDX3Writer(d, cmp.Or(r.ns, nilUUID))
	s.creation = cmp.Or(r.infoID, s.creation)
	return s
}

// keepPackage keeps what s would not write again.
func (r *spdx3Reader) keepPackage(s *spdx3Writer, raw []byte, e spdx3Element) error {
	c, err := canonicalComponent(r.g.byID[e.ID])
	if err != nil {
		return err
	}
	s.ids[c.ID] = e.ID
	b, err := compactJSON(s.pkg(c))
	if err != nil {
		return errorf(ReasonFormat, "%v", err)
	}
	written, err := members(b)
	if err != nil {
		return jsonError(err)
	}
	list, err := members(raw)
	if err != nil {
		return jsonError(err)
	}
	var kept []member
	for _, m := range list {
		i := slices.IndexFunc(written, func(x member) bool { return x.name == m.name })
		if i >= 0 && equalJSON(m.raw, written[i].raw) {
			continue
		}
		switch m.name {
		case "suppliedBy":
			if id, ok := e.SuppliedBy.(string); ok && r.plainAgent(id) {
				continue // written again under another name
			}
		case "extension", "verifiedUsing", "externalIdentifier", "externalRef":
			// Those elements of the list that are not written.
			var rest []json.RawMessage
			if err := each(m.raw, func(x []byte) error {
				if !r.writes(m.name, x, written) {
					rest = append(rest, slices.Clone(x))
				}
				return nil
			}); err != nil {
				return err
			}
			if len(rest) > 0 {
				b, err := compactJSON(rest)
				if err != nil {
					return errorf(ReasonFormat, "%v", err)
				}
				kept = append(kept, member{name: m.name, raw: b, more: true})
			}
			continue
		}
		keepMember(&kept, m, r.g.byID[e.ID].held(m.name))
	}
	if kept != nil {
		r.o.components[e.ID] = kept
	}
	return nil
}

// writes reports whether an element of a list is among those written; of the
// properties, all are.
func (r *spdx3Reader) writes(name string, x []byte, written []member) bool {
	if name == "extension" {
		var p spdx3Properties
		return json.Unmarshal(x, &p) == nil && p.Type == "extension_CdxPropertiesExtension"
	}
	found := false
	for _, m := range written {
		if m.name == name {
			_ = each(m.raw, func(y []byte) error {
				found = found || equalJSON(x, y)
				return nil
			})
		}
	}
	return found
}

// plainAgent reports whether a party says all that an agent says.
func (r *spdx3Reader) plainAgent(id string) bool {
	raw, ok := r.raws[id]
	if !ok {
		return false
	}
	e := r.elements[id]
	s := r.writer()
	again := s.party("Organization", e.party())
	again.ID = id
	return same(raw, again)
}

// keep keeps the elements that are not written again.
func (r *spdx3Reader) keep() error {
	written := make(map[string]bool)
	s := r.writer()
	s.d.components = []*Component{{Name: r.g.Root().Name, Version: r.g.Root().Version, ID: r.g.root}}
	s.ids[r.g.root] = r.g.root
	s.d.gaps = r.g.gaps
	for _, e := range s.head() {
		id := cmp.Or(e.ID, e.Blank)
		raw, ok := r.raws[id]
		if !ok {
			continue
		}
		if e.Type == "SpdxDocument" || same(raw, e) {
			written[id] = true
		}
	}
	// The document is always written; what it says beside is kept.
	if err := r.keepDocument(s); err != nil {
		return err
	}
	written[r.doc.ID] = true
	if r.bom != nil && len(r.doc.Roots) == 1 && r.doc.Roots[0] == r.bom.ID && r.plainBom() {
		written[r.bom.ID] = true
	}
	optional := make(map[string]bool) // agents and licences are kept where something speaks of them
	for _, id := range r.order {
		e := r.elements[id]
		switch e.Type {
		case "Person", "Organization", "SoftwareAgent", "Agent", "Tool", "CreationInfo", "simplelicensing_LicenseExpression", "simplelicensing_SimpleLicensingText":
			optional[id] = true
		}
		if r.ns != "" && (strings.HasPrefix(id, r.ns+"#Agent-") || strings.HasPrefix(id, r.ns+"#License-")) {
			optional[id] = true
		}
	}
	named := make(map[string]bool)
	keep := make(map[string]bool)
	var visit func(raw []byte) error
	visit = func(raw []byte) error {
		refs := make(map[string]bool)
		if err := collectStrings(strictjson.NewParser(raw, len(raw)), refs); err != nil {
			return jsonError(err)
		}
		for ref := range refs {
			if optional[ref] && !named[ref] && r.raws[ref] != nil && !keep[ref] && !written[ref] {
				named[ref], keep[ref] = true, true
				if err := visit(r.raws[ref]); err != nil {
					return err
				}
			}
		}
		return nil
	}
	for _, id := range r.order {
		if raw := r.raws[id]; raw != nil && !written[id] && !optional[id] {
			keep[id] = true
			if err := visit(raw); err != nil {
				return err
			}
		}
	}
	for _, list := range r.o.components {
		for _, m := range list {
			if err := visit(m.raw); err != nil {
				return err
			}
		}
	}
	for _, m := range r.o.members {
		if err := visit(m.raw); err != nil {
			return err
		}
	}
	r.o.creation = spdx3Creation
	for keep[r.o.creation] {
		r.o.creation += "-"
	}
	for _, id := range r.order {
		if keep[id] {
			r.o.relations = append(r.o.relations, slices.Clone(r.raws[id]))
		}
	}
	return nil
}

// plainBom reports whether the software_Sbom says no more than which package
// and what type.
func (r *spdx3Reader) plainBom() bool {
	list, err := members(r.raws[r.bom.ID])
	if err != nil || len(r.bom.SbomType) > 1 {
		return false
	}
	for _, m := range list {
		if !slices.Contains([]string{"type", "spdxId", "creationInfo", "rootElement", "software_sbomType", "element", "profileConformance", "name"}, m.name) {
			return false
		}
	}
	return true
}

// keepDocument keeps what the SpdxDocument says beside what is written.
func (r *spdx3Reader) keepDocument(s *spdx3Writer) error {
	if r.doc.Name != "" && r.doc.Name != documentName(r.g.Root()) {
		r.o.name = r.doc.Name
	}
	list, err := members(r.raws[r.doc.ID])
	if err != nil {
		return jsonError(err)
	}
	for _, m := range list {
		switch m.name {
		case "type", "spdxId", "creationInfo", "name", "rootElement", "extension", "element", "profileConformance":
			// What it contains, and by which profiles, is this package's to say.
		case "dataLicense":
			if !equalJSON(m.raw, raw("https://spdx.org/licenses/CC0-1.0")) {
				keepMember(&r.o.members, m, "")
			}
		default:
			keepMember(&r.o.members, m, "")
		}
	}
	return nil
}

func collectStrings(p *strictjson.Parser, all map[string]bool) error {
	switch p.Kind() {
	case strictjson.Array:
		return p.Array(func(int) error { return collectStrings(p, all) })
	case strictjson.Object:
		return p.Object(func([]byte) error { return collectStrings(p, all) })
	case strictjson.String:
		s, err := p.String()
		all[s] = true
		return err
	}
	return p.Skip()
}
