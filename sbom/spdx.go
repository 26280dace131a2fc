package sbom

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/strictjson"
	"github.com/hallmark-build/hallmark/provenance"
)

// The parts of SPDX 2.3 (ISO/IEC 5962 and its 2.3 revision) that the graph maps to.
type spdxDocument struct {
	ID            string             `json:"SPDXID"`
	Version       string             `json:"spdxVersion"`
	Creation      spdxCreation       `json:"creationInfo"`
	Name          string             `json:"name"`
	DataLicense   string             `json:"dataLicense"`
	Namespace     string             `json:"documentNamespace"`
	Describes     []string           `json:"documentDescribes,omitempty"` // read only
	Annotations   []spdxAnnotation   `json:"annotations,omitempty"`
	Packages      []spdxPackage      `json:"packages"`
	Relationships []spdxRelationship `json:"relationships"`
	Extracted     []spdxExtracted    `json:"hasExtractedLicensingInfos,omitempty"`
}

type spdxCreation struct {
	Created  string   `json:"created"`
	Creators []string `json:"creators"`
}

type spdxPackage struct {
	ID               string           `json:"SPDXID"`
	Name             string           `json:"name"`
	Version          string           `json:"versionInfo,omitempty"`
	Supplier         string           `json:"supplier,omitempty"`
	DownloadLocation string           `json:"downloadLocation"`
	FilesAnalyzed    *bool            `json:"filesAnalyzed,omitempty"`
	Checksums        []spdxChecksum   `json:"checksums,omitempty"`
	Concluded        string           `json:"licenseConcluded,omitempty"`
	Declared         string           `json:"licenseDeclared,omitempty"`
	Copyright        string           `json:"copyrightText,omitempty"`
	Purpose          string           `json:"primaryPackagePurpose,omitempty"`
	External         []spdxExternal   `json:"externalRefs,omitempty"`
	Annotations      []spdxAnnotation `json:"annotations,omitempty"`
}

type spdxChecksum struct {
	Algorithm string `json:"algorithm"`
	Value     string `json:"checksumValue"`
}

type spdxExternal struct {
	Category string `json:"referenceCategory"`
	Type     string `json:"referenceType"`
	Locator  string `json:"referenceLocator"`
	Comment  string `json:"comment,omitempty"`
}

type spdxAnnotation struct {
	Date      string `json:"annotationDate"`
	Type      string `json:"annotationType"`
	Annotator string `json:"annotator"`
	Comment   string `json:"comment"`
}

type spdxRelationship struct {
	From string `json:"spdxElementId"`
	Type string `json:"relationshipType"`
	To   string `json:"relatedSpdxElement"`
}

type spdxExtracted struct {
	ID   string `json:"licenseId"`
	Text string `json:"extractedText"`
	Name string `json:"name,omitempty"`
}

const (
	noAssertion  = "NOASSERTION"
	spdxDocID    = "SPDXRef-DOCUMENT"
	extraSubject = "Tool: hallmark" // the annotator of what SPDX has no field for
)

var spdxAlgorithms = map[provenance.Algorithm]string{
	"md5": "MD5", "sha1": "SHA1", "sha224": "SHA224", provenance.SHA256: "SHA256", provenance.SHA384: "SHA384", provenance.SHA512: "SHA512",
	"sha3_256": "SHA3-256", "sha3_384": "SHA3-384", "sha3_512": "SHA3-512", "blake2b": "BLAKE2b-512",
	"blake2b-256": "BLAKE2b-256", "blake2b-384": "BLAKE2b-384", "blake3": "BLAKE3", "adler32": "ADLER32", "md2": "MD2", "md4": "MD4", "md6": "MD6",
}

var fromSPDX = invert(spdxAlgorithms)

var spdxPurposes = map[Type]string{
	Application: "APPLICATION", Library: "LIBRARY", Framework: "FRAMEWORK", Container: "CONTAINER",
	OperatingSystem: "OPERATING_SYSTEM", Device: "DEVICE", Firmware: "FIRMWARE", File: "FILE",
}

// An spdxWriter takes the members of an SPDX document one by one.
type spdxWriter interface {
	member(name string, v any)
	list(name string, elements func(yield func(v any)))
	fail(err error)
	close() error
}

func writeSPDX(d *document, w io.Writer, serial string) error {
	return d.writeSPDX(newJSONWriter(w), serial)
}

func (d *document) writeSPDX(j spdxWriter, serial string) error {
	head := d.spdxHead(serial)
	j.member("SPDXID", head.ID)
	j.member("spdxVersion", head.Version)
	var creation any = head.Creation
	if d.kept != nil && len(d.kept.metadata) > 0 {
		b, err := compactJSON(head.Creation)
		if err == nil {
			creation, err = mergeMembers(b, d.kept.metadata)
		}
		if err != nil {
			return errorf(ReasonFormat, "%v", err)
		}
	}
	j.member("creationInfo", creation)
	name := head.Name
	if d.kept != nil {
		name = cmp.Or(d.kept.name, name)
	}
	j.member("name", name)
	j.member("dataLicense", head.DataLicense)
	j.member("documentNamespace", head.Namespace)
	ids := d.spdxIDs()
	linked, described := d.spdxLinks(ids)
	if len(linked) > 0 {
		b, err := compactJSON(linked)
		if err != nil {
			return errorf(ReasonFormat, "%v", err)
		}
		j.member("externalDocumentRefs", json.RawMessage(b))
	}
	if d.kept != nil {
		for _, m := range d.kept.members {
			switch m.name {
			case "comment", "externalDocumentRefs":
				j.member(m.name, m.raw)
			case "annotations":
				var list []spdxAnnotation
				if err := json.Unmarshal(m.raw, &list); err != nil {
					return errorf(ReasonFormat, "%v", err)
				}
				head.Annotations = append(head.Annotations, list...)
			}
		}
	}
	if len(head.Annotations) > 0 {
		j.member("annotations", head.Annotations)
	}
	if d.kept != nil {
		for _, m := range d.kept.members {
			switch m.name {
			case "comment", "externalDocumentRefs", "annotations":
			default:
				j.member(m.name, m.raw)
			}
		}
	}
	extracted := make(map[string]spdxExtracted)
	j.list("packages", func(yield func(any)) {
		for _, c := range d.components {
			p := d.spdxPackage(c, ids[c.ID], head.Creation.Created, extracted)
			var v any = p
			if d.kept != nil {
				if kept := d.kept.of(d.graph, d.ids[c.ID]); len(kept) > 0 {
					b, err := compactJSON(p)
					if err == nil {
						v, err = mergeMembers(b, kept)
					}
					if err != nil {
						j.fail(errorf(ReasonFormat, "component %q: %v", c.Name, err))
					}
				}
			}
			yield(v)
		}
	})
	j.list("relationships", func(yield func(any)) {
		d.spdxRelationships(ids, func(r spdxRelationship) { yield(r) })
		for _, r := range described {
			yield(r)
		}
		if d.kept != nil {
			for _, r := range d.kept.relations {
				yield(r)
			}
		}
	})
	if list := d.extractedList(extracted); len(list) > 0 {
		j.member("hasExtractedLicensingInfos", list)
	}
	return j.close()
}

// extractedList returns what the document says about licences that are not on
// SPDX's list: as it was read, where it was.
func (d *document) extractedList(extracted map[string]spdxExtracted) []any {
	raw := make(map[string]any, len(extracted))
	for id, x := range extracted {
		raw[id] = x
	}
	if d.kept != nil {
		for _, m := range d.kept.licenses {
			raw[m.name] = m.raw
		}
	}
	var list []any
	for _, id := range slices.Sorted(maps.Keys(raw)) {
		list = append(list, raw[id])
	}
	return list
}

// spdxHead makes what is before the packages.
func (d *document) spdxHead(namespace string) spdxDocument {
	cr := d.creation
	root := d.components[0]
	doc := spdxDocument{
		ID: spdxDocID, Version: "SPDX-2.3", DataLicense: "CC0-1.0", Namespace: namespace,
		Name:     documentName(root),
		Creation: spdxCreation{Created: cr.Created.Format("2006-01-02T15:04:05Z")},
	}
	note := func(field, why string, p Property) {
		if p.Value == "" {
			return
		}
		if field != "" {
			d.lose("", field, why, true)
		}
		doc.Annotations = append(doc.Annotations, spdxNote(doc.Creation.Created, p))
	}
	for i, a := range cr.Authors {
		doc.Creation.Creators = append(doc.Creation.Creators, "Person: "+spdxParty(a))
		note("author", "SPDX 2.3 has no URL of persons", Property{extraAuthorURL + strconv.Itoa(i), a.URL})
	}
	if maker := cr.Manufacturer; !maker.IsZero() {
		if maker.Name != "" {
			doc.Creation.Creators = append(doc.Creation.Creators, "Organization: "+spdxParty(maker))
		} else {
			note("manufacturer", "SPDX 2.3 has no organization without a name", Property{extraMakerEmail, maker.Email})
		}
		note("manufacturer", "SPDX 2.3 has no URL of organizations", Property{extraMakerURL, maker.URL})
	}
	if cr.Tool.Name != "" {
		doc.Creation.Creators = append(doc.Creation.Creators, "Tool: "+strings.TrimSuffix(cr.Tool.Name+"-"+cr.Tool.Version, "-"))
		note("", "", Property{extraTool, cr.Tool.Name + "\n" + cr.Tool.Version})
	}
	if len(doc.Creation.Creators) == 0 {
		doc.Creation.Creators = []string{"Organization: " + noAssertion} // one must be there (6.8)
	}
	note("lifecycle", "SPDX 2.3 has no lifecycles", Property{extraPhase, cr.Phase})
	for _, p := range d.gapExtras("") {
		note("unknowns", "SPDX 2.3 has no field for why something is not known", p)
	}
	return doc
}

func documentName(root *Component) string {
	return cmp.Or(flat(strings.TrimSuffix(root.Name+"-"+root.Version, "-")), "document")
}

// flat makes of s what tag-value can have on one line.
func flat(s string) string {
	for strings.HasPrefix(s, "<text>") {
		s = s[len("<text>"):]
	}
	return oneLine(s)
}

func spdxNote(date string, p Property) spdxAnnotation {
	return spdxAnnotation{date, "OTHER", extraSubject, escapeName(p.Name) + "=" + p.Value}
}

func (d *document) spdxIDs() map[string]string {
	ids := make(map[string]string, len(d.components))
	for _, c := range d.components {
		ids[c.ID] = spdxID(c)
		if d.kept != nil && d.kept.named[d.ids[c.ID]] != "" {
			ids[c.ID] = d.kept.named[d.ids[c.ID]]
		}
	}
	return ids
}

func (d *document) spdxRelationships(ids map[string]string, yield func(spdxRelationship)) {
	yield(spdxRelationship{spdxDocID, "DESCRIBES", ids[d.components[0].ID]})
	for _, c := range d.components {
		none := true
		for _, r := range d.from(c.ID) {
			rel := spdxRelationship{ids[r.From], "DEPENDS_ON", ids[r.To]}
			switch r.Kind {
			case DependsOn:
				none = false
			case Contains:
				none = false
				rel.Type = "CONTAINS"
			case BuiltWith:
				rel = spdxRelationship{ids[r.To], "BUILD_TOOL_OF", ids[r.From]}
			}
			yield(rel)
		}
		// SPDX 2.3, 11.1: NONE is "known to have none", NOASSERTION "there may
		// be more than is said".
		if c.Dependencies != Complete {
			yield(spdxRelationship{ids[c.ID], "DEPENDS_ON", noAssertion})
		} else if none {
			yield(spdxRelationship{ids[c.ID], "DEPENDS_ON", "NONE"})
		}
	}
}

var notIDChars = regexp.MustCompile(`[^a-zA-Z0-9.-]+`)

// spdxID is readable, and unique by the hash of the reference.
func spdxID(c *Component) string {
	sum := sha256.Sum256([]byte(c.ID))
	return "SPDXRef-" + spdxLabel(c.Name, c.Version) + "-" + hex.EncodeToString(sum[:8])
}

func spdxLabel(name, version string) string {
	label := strings.Trim(notIDChars.ReplaceAllString(name+"-"+version, "-"), "-.")
	if len(label) > 60 {
		label = label[len(label)-60:]
	}
	return label
}

func spdxParty(p Party) string {
	if p.Email == "" {
		return p.Name
	}
	return p.Name + " (" + p.Email + ")"
}

func parseSPDXParty(s string) Party {
	if i := strings.LastIndex(s, " ("); i >= 0 {
		if email, ok := strings.CutSuffix(s[i+2:], ")"); ok && strings.Contains(email, "@") {
			return Party{Name: s[:i], Email: email}
		}
	}
	return Party{Name: s}
}

// spdxPackage makes the package of a component; created is the date of its
// annotations.
func (d *document) spdxPackage(c *Component, id, created string, extracted map[string]spdxExtracted) spdxPackage {
	p := spdxPackage{
		ID: id, Name: c.Name, Version: c.Version, DownloadLocation: noAssertion, FilesAnalyzed: new(bool),
		Supplier: noAssertion, Copyright: noAssertion, Purpose: spdxPurposes[c.Type],
		Declared: spdxLicense(c.Declared, extracted), Concluded: spdxLicense(c.Concluded, extracted),
	}
	notes := slices.Clone(c.Properties)
	if len(notes) > 0 {
		d.lose(c.ID, "properties", "SPDX 2.3 has annotations in place of properties", true)
	}
	add := func(field, why, name, value string) {
		if value != "" {
			if field != "" {
				d.lose(c.ID, field, why, true)
			}
			notes = append(notes, Property{name, value})
		}
	}
	if d.flat {
		if p.Name = cmp.Or(flat(c.Name), "-"); p.Name != c.Name {
			add("name", "SPDX tag-value has names on one line", extraName, c.Name)
		}
		if p.Version = flat(c.Version); p.Version != c.Version {
			add("version", "SPDX tag-value has versions on one line", extraVersion, c.Version)
		}
	}
	for _, x := range d.extras(c) {
		if strings.HasPrefix(x.Name, extraEvidence) {
			add("evidence", "SPDX 2.3 has no evidence", x.Name, x.Value)
		} else {
			add("unknowns", "SPDX 2.3 has no field for why something is not known", x.Name, x.Value)
		}
	}
	if p.Purpose == "" {
		add("type", "SPDX 2.3 has no such purpose", extraType, string(c.Type))
	}
	add("scope", "SPDX 2.3 has no scopes", extraScope, string(c.Scope))
	add("", "", extraCompleteness, c.Dependencies.String())
	if !c.Supplier.IsZero() {
		if c.Supplier.Name != "" {
			p.Supplier = "Organization: " + spdxParty(c.Supplier)
		} else {
			add("supplier", "SPDX 2.3 has no supplier without a name", extraSupplierEmail, c.Supplier.Email)
		}
		add("supplier", "SPDX 2.3 has no URL of suppliers", extraSupplierURL, c.Supplier.URL)
	}
	for _, dg := range c.Digests {
		if alg, ok := spdxAlgorithms[dg.Algorithm()]; ok {
			p.Checksums = append(p.Checksums, spdxChecksum{alg, dg.Value()})
		} else {
			add("digests", "SPDX 2.3 has no such checksum", extraDigest+string(dg.Algorithm()), dg.Value())
		}
	}
	switch text := strings.Join(c.Copyright, "\n"); {
	case text == "":
	case text == "NONE" || text == noAssertion || d.flat && strings.Contains(text, "</text>"):
		for _, s := range c.Copyright {
			add("copyright", "SPDX gives these words another meaning", extraCopyright, s)
		}
	default:
		p.Copyright = text
	}
	for _, r := range c.References {
		field := "references"
		if r.Kind == "distribution" && p.DownloadLocation == noAssertion {
			p.DownloadLocation = r.URL
			if len(r.Digests) == 0 {
				field = ""
			}
		}
		add(field, "SPDX 2.3 has one download location, without digests", extraReference+r.Kind, strings.TrimSpace(r.URL+" "+r.Digests.String()))
	}
	if c.PURL != "" && !strings.ContainsFunc(c.PURL, unicode.IsSpace) {
		p.External = append(p.External, spdxExternal{"PACKAGE-MANAGER", "purl", c.PURL, ""})
	} else {
		add("purl", "a locator has no spaces", extraPURL, c.PURL)
	}
	for _, s := range c.CPEs {
		if strings.HasPrefix(s, "cpe:2.3:") && !strings.ContainsFunc(s, unicode.IsSpace) {
			p.External = append(p.External, spdxExternal{"SECURITY", "cpe23Type", s, ""})
		} else {
			add("cpe", "not a CPE 2.3 name", extraCPE, s)
		}
	}
	slices.SortFunc(notes, compareProperties)
	for _, n := range notes {
		p.Annotations = append(p.Annotations, spdxNote(created, n))
	}
	return p
}

var licenseRef = regexp.MustCompile(`LicenseRef-[a-zA-Z0-9.-]+`)

func spdxLicense(l License, extracted map[string]spdxExtracted) string {
	switch {
	case l.Name != "":
		sum := sha256.Sum256([]byte(l.Name))
		id := "LicenseRef-" + hex.EncodeToString(sum[:8])
		extracted[id] = spdxExtracted{id, "The text of this licence is not in this document.", l.Name}
		return id
	case l.Expression == "":
		return noAssertion
	}
	for _, id := range licenseRef.FindAllString(l.Expression, -1) {
		extracted[id] = spdxExtracted{ID: id, Text: "The text of this licence is not in this document."}
	}
	return l.Expression
}

// Annotations are "name=value"; a name may hold anything.
var (
	nameEscaper   = strings.NewReplacer("%", "%25", "=", "%3D")
	nameUnescaper = strings.NewReplacer("%3D", "=", "%25", "%")
)

func escapeName(s string) string { return nameEscaper.Replace(s) }

// An spdxReader reads SPDX 2.3, in JSON or tag-value.
type spdxReader struct {
	g     *Graph
	o     *origin
	named map[string]string // identifiers of extracted licences to names
	root  string
	list  []member // of the package that is read; kept for its space

	others map[string]bool // identifiers of files and snippets, once one is asked for
}

func newSPDXReader() *spdxReader {
	o := newOrigin("spdx-2", "2.3")
	return &spdxReader{g: &Graph{origin: o}, o: o, named: make(map[string]string)}
}

// readSPDX reads JSON.
func readSPDX(doc []byte) (*Graph, error) {
	if err := checkRules(doc, "spdx-2.3"); err != nil {
		return nil, err
	}
	return readSPDXChecked(doc)
}

// readSPDXChecked reads what the rules allow.
func readSPDXChecked(doc []byte) (*Graph, error) {
	list, err := members(doc)
	if err != nil {
		return nil, jsonError(err)
	}
	r := newSPDXReader()
	var head spdxDocument
	var packages, relationships []byte
	for _, m := range list {
		switch m.name {
		case "spdxVersion":
			err = unmarshal(m.raw, &head.Version)
		case "SPDXID":
			err = unmarshal(m.raw, &head.ID)
		case "dataLicense":
		case "documentDescribes":
			err = unmarshal(m.raw, &head.Describes) // as in SPDX 2.2; the same as DESCRIBES
		case "name":
			err = unmarshal(m.raw, &head.Name)
		case "documentNamespace":
			err = unmarshal(m.raw, &r.o.link)
		case "creationInfo":
			if err = unmarshal(m.raw, &head.Creation); err == nil {
				err = r.keepCreation(m.raw)
			}
		case "annotations":
			err = unmarshal(m.raw, &head.Annotations)
		case "hasExtractedLicensingInfos":
			err = each(m.raw, r.extracted)
		case "packages":
			packages = m.raw
		case "relationships":
			relationships = m.raw
		default:
			keepMember(&r.o.members, m, "")
		}
		if err != nil {
			return nil, err
		}
	}
	if head.Version != "SPDX-2.3" {
		return nil, errorf(ReasonVersion, "SPDX %.20q is not read here, only SPDX-2.3", head.Version)
	}
	if head.ID != spdxDocID {
		return nil, errorf(ReasonFormat, "SPDXID of the document is %.40q, not %s", head.ID, spdxDocID)
	}
	if err := r.creation(&head); err != nil {
		return nil, err
	}
	if packages != nil {
		p := strictjson.NewParser(packages, len(packages))
		if err := p.Array(func(int) error { return r.packageJSON(p) }); err != nil {
			return nil, readError(err)
		}
	}
	if relationships != nil {
		p := strictjson.NewParser(relationships, len(relationships))
		if err := p.Array(func(int) error { return r.relationship(p) }); err != nil {
			return nil, readError(err)
		}
	}
	for _, id := range head.Describes {
		if id != r.root {
			if err := r.describes(id); err != nil {
				return nil, err
			}
		}
	}
	return r.end(head.Name)
}

func (r *spdxReader) end(name string) (*Graph, error) {
	if r.root == "" {
		return nil, errorf(ReasonFormat, "no DESCRIBES: the document does not say what it is about")
	}
	r.g.root = r.root
	sortMembers(r.o.members)
	if root := r.g.Root(); name != documentName(root) {
		r.o.name = name
	}
	return r.g, nil
}

func (r *spdxReader) describes(id string) error {
	if r.root != "" || r.g.byID[id] == nil {
		return errorf(ReasonReference, "the document describes %.80q, which is not defined or not alone", id)
	}
	r.root = id
	return nil
}

// keepCreation keeps what creationInfo says besides who and when, and those
// creators that the graph has no place for.
func (r *spdxReader) keepCreation(raw []byte) error {
	list, err := members(raw)
	if err != nil {
		return jsonError(err)
	}
	for _, m := range list {
		if m.name != "created" && m.name != "creators" {
			keepMember(&r.o.metadata, m, "")
		}
	}
	return nil
}

func (r *spdxReader) extracted(raw []byte) error {
	var x spdxExtracted
	if err := unmarshal(raw, &x); err != nil {
		return err
	}
	if x.Name != "" && x.Name != noAssertion {
		r.named[x.ID] = x.Name
	}
	own := make(map[string]spdxExtracted)
	spdxLicense(License{Name: x.Name}, own)
	if x.Name == "" {
		spdxLicense(License{Expression: x.ID}, own)
	}
	if !same(raw, own[x.ID]) {
		keepMember(&r.o.licenses, member{name: x.ID, raw: raw}, "")
	}
	return nil
}

func (r *spdxReader) packageJSON(parser *strictjson.Parser) error {
	var p spdxPackage
	list, err := p.read(parser, r.list[:0])
	if err != nil {
		return err
	}
	r.list = list
	foreign, err := r.pkg(&p)
	if err != nil {
		return err
	}
	// Keep what would not be written again as it is.
	d := &document{graph: r.g, creation: r.g.Creation}
	c, err := canonicalComponent(r.g.byID[p.ID])
	if err != nil {
		return err
	}
	written := d.spdxPackage(c, p.ID, "", make(map[string]spdxExtracted))
	var kept []member
	for _, m := range list {
		switch m.name {
		case "annotations", "externalRefs":
			continue
		}
		if !written.says(m) {
			keepMember(&kept, m, r.g.byID[p.ID].held(m.name))
		}
	}
	kept = append(kept, foreign...)
	sortMembers(kept)
	if kept != nil {
		r.o.components[p.ID] = kept
	}
	return nil
}

// says reports whether p, when it is written, has the member as it is.
func (p *spdxPackage) says(m member) bool {
	there := func(s string) bool { return s != "" && sameString(m.raw, s) } // an empty one is not written
	switch m.name {
	case "SPDXID":
		return sameString(m.raw, p.ID)
	case "name":
		return sameString(m.raw, p.Name)
	case "versionInfo":
		return there(p.Version)
	case "supplier":
		return there(p.Supplier)
	case "downloadLocation":
		return sameString(m.raw, p.DownloadLocation)
	case "filesAnalyzed":
		return p.FilesAnalyzed != nil && string(m.raw) == strconv.FormatBool(*p.FilesAnalyzed)
	case "checksums":
		return len(p.Checksums) > 0 && same(m.raw, p.Checksums)
	case "licenseConcluded":
		return there(p.Concluded)
	case "licenseDeclared":
		return there(p.Declared)
	case "copyrightText":
		return there(p.Copyright)
	case "primaryPackagePurpose":
		return there(p.Purpose)
	}
	return false
}

func (r *spdxReader) relationship(p *strictjson.Parser) error {
	p.Kind() // skips white space
	start := p.Offset()
	var rel spdxRelationship
	if err := readRelationship(p, &rel); err != nil {
		return err
	}
	known, err := r.relate(rel)
	if err == nil && !known {
		r.o.relations = append(r.o.relations, bytes.Clone(p.Since(start)))
	}
	return err
}

// relate takes a relationship into the graph. It reports whether the graph
// holds it.
func (r *spdxReader) relate(rel spdxRelationship) (bool, error) {
	g, from, to := r.g, rel.From, rel.To
	if len(g.relations) == limits.SBOMRelationships || len(r.o.relations) == limits.SBOMRelationships {
		return false, errorf(ReasonLimit, "more than %d relationships", limits.SBOMRelationships)
	}
	if from == spdxDocID && rel.Type == "DESCRIBES" {
		return true, r.describes(to)
	}
	if to == spdxDocID && rel.Type == "DESCRIBED_BY" {
		return true, r.describes(from)
	}
	if to == "NONE" || to == noAssertion {
		return rel.Type == "DEPENDS_ON" && g.byID[from] != nil, r.known(from)
	}
	if err := r.known(from); err != nil {
		return false, err
	}
	if err := r.known(to); err != nil {
		return false, err
	}
	if g.byID[from] == nil || g.byID[to] == nil {
		return false, nil // about files, snippets or other documents
	}
	switch rel.Type {
	case "DEPENDS_ON":
		g.relations = append(g.relations, Relationship{from, DependsOn, to})
	case "DEPENDENCY_OF":
		g.relations = append(g.relations, Relationship{to, DependsOn, from})
	case "CONTAINS":
		g.relations = append(g.relations, Relationship{from, Contains, to})
	case "CONTAINED_BY":
		g.relations = append(g.relations, Relationship{to, Contains, from})
	case "BUILD_TOOL_OF":
		g.relations = append(g.relations, Relationship{to, BuiltWith, from})
	default:
		return false, nil
	}
	return true, nil
}

// known fails unless an element has the identifier.
func (r *spdxReader) known(id string) error {
	if r.g.byID[id] != nil || id == spdxDocID || strings.HasPrefix(id, "DocumentRef-") {
		return nil
	}
	if r.others == nil {
		r.others = make(map[string]bool)
		for _, m := range r.o.members {
			if m.name == "files" || m.name == "snippets" {
				err := each(m.raw, func(raw []byte) error {
					var x struct{ SPDXID string }
					err := unmarshal(raw, &x)
					r.others[x.SPDXID] = true
					return err
				})
				if err != nil {
					return err
				}
			}
		}
	}
	if !r.others[id] {
		return errorf(ReasonReference, "relationship with %.80q, which is not defined", id)
	}
	return nil
}

func splitAnnotation(a spdxAnnotation) (Property, bool) {
	name, value, ok := strings.Cut(a.Comment, "=")
	if name == extraEscaped {
		text, err := url.QueryUnescape(value)
		if err != nil {
			return Property{}, false
		}
		name, value, ok = strings.Cut(text, "=")
	}
	return Property{nameUnescaper.Replace(name), value}, ok && a.Annotator == extraSubject
}

func (r *spdxReader) creation(doc *spdxDocument) error {
	cr := &r.g.Creation
	t, err := time.Parse(time.RFC3339, doc.Creation.Created)
	if err != nil {
		return errorf(ReasonFormat, "creationInfo.created %.40q is not RFC 3339", doc.Creation.Created)
	}
	cr.Created = t.UTC()
	var more []string
	for _, s := range doc.Creation.Creators {
		kind, name, ok := strings.Cut(s, ": ")
		switch {
		case ok && kind == "Person" && name != "":
			cr.Authors = append(cr.Authors, parseSPDXParty(name))
		case ok && kind == "Organization" && cr.Manufacturer.IsZero():
			if name != noAssertion {
				cr.Manufacturer = parseSPDXParty(name)
			}
		case ok && kind == "Tool" && cr.Tool.Name == "":
			cr.Tool.Name = oneLine(name)
		default:
			more = append(more, s)
		}
	}
	if err := r.keepMore(&r.o.metadata, "creators", more, len(more)); err != nil {
		return err
	}
	var others []spdxAnnotation
	for _, a := range doc.Annotations {
		p, ok := splitAnnotation(a)
		if !ok {
			others = append(others, a)
		} else if err := r.g.readCreationExtra(p); err != nil {
			return err
		}
	}
	return r.keepMore(&r.o.members, "annotations", others, len(others))
}

// keepMore keeps n elements of a list, which are added to those that are
// written.
func (r *spdxReader) keepMore(to *[]member, name string, list any, n int) error {
	if n == 0 {
		return nil
	}
	b, err := compactJSON(list)
	if err != nil {
		return errorf(ReasonFormat, "%v", err)
	}
	*to = append(*to, member{name: name, raw: b, more: true})
	return nil
}

func (r *spdxReader) license(s string) License {
	switch {
	case s == "" || s == noAssertion || s == "NONE":
		return License{}
	case r.named[s] != "":
		return License{Name: r.named[s]}
	}
	return readLicense(License{Expression: s})
}

// pkg adds a package. It returns what the graph has no place for in lists that
// it has a part of.
func (r *spdxReader) pkg(p *spdxPackage) ([]member, error) {
	g := r.g
	if len(g.components) == limits.SBOMComponents {
		return nil, errorf(ReasonLimit, "more than %d packages", limits.SBOMComponents)
	}
	if p.ID == "" || p.Name == "" || g.byID[p.ID] != nil || p.ID == spdxDocID {
		return nil, errorf(ReasonReference, "package %d (%.80q) has no name, no SPDXID, or one that is taken", len(g.components), p.Name)
	}
	c := Component{ID: p.ID, Type: Library, Name: p.Name, Version: p.Version}
	for t, purpose := range spdxPurposes {
		// The specification spells it with a hyphen, its JSON schema without.
		if purpose == strings.ReplaceAll(p.Purpose, "-", "_") {
			c.Type = t
		}
	}
	if kind, name, ok := strings.Cut(p.Supplier, ": "); ok && (kind == "Organization" || kind == "Person") {
		c.Supplier = parseSPDXParty(name)
	}
	for _, s := range p.Checksums {
		alg, ok := fromSPDX[s.Algorithm]
		if !ok {
			alg = provenance.Algorithm(strings.ToLower(s.Algorithm))
		}
		if err := addDigest(&c.Digests, string(alg), strings.ToLower(s.Value)); err != nil {
			return nil, err
		}
	}
	c.Declared, c.Concluded = r.license(p.Declared), r.license(p.Concluded)
	if p.Copyright != "" && p.Copyright != noAssertion && p.Copyright != "NONE" {
		c.Copyright = strings.Split(p.Copyright, "\n")
	}
	var external []spdxExternal
	for _, x := range p.External {
		switch {
		case x.Type == "purl" && c.PURL == "" && x.Comment == "":
			c.PURL = x.Locator
		case x.Type == "cpe23Type" && x.Comment == "" && strings.HasPrefix(x.Locator, "cpe:2.3:") && !slices.Contains(c.CPEs, x.Locator):
			c.CPEs = append(c.CPEs, x.Locator)
		case x.Type == "cpe22Type" && !slices.Contains(c.CPEs, x.Locator):
			c.CPEs = append(c.CPEs, x.Locator) // written as an annotation
		default:
			external = append(external, x)
		}
	}
	g.Add(c)
	r.o.named[p.ID] = p.ID
	r.o.strange = r.o.strange || !ownID(p.ID, p.Name, p.Version)
	added := g.byID[p.ID]
	ours := false
	var others []spdxAnnotation
	for _, a := range p.Annotations {
		pr, ok := splitAnnotation(a)
		if !ok {
			others = append(others, a)
			continue
		}
		ours = true
		if !strings.HasPrefix(pr.Name, prefix) {
			added.Properties = append(added.Properties, pr)
		} else if err := g.readExtra(added, pr); err != nil {
			return nil, err
		}
	}
	for _, x := range p.External {
		if x.Type == "purl" {
			g.otherPURL(added, x.Locator)
		}
	}
	if u := p.DownloadLocation; !ours && u != "" && u != noAssertion && u != "NONE" && oneLine(u) == u && !strings.Contains(u, " ") {
		added.References = append(added.References, Reference{Kind: "distribution", URL: u})
	}
	var foreign []member
	err := r.keepMore(&foreign, "externalRefs", external, len(external))
	if err == nil {
		err = r.keepMore(&foreign, "annotations", others, len(others))
	}
	return foreign, err
}
