package sbom

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hallmark-build/hallmark/internal/limits"
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
}

var fromSPDX = invert(spdxAlgorithms)

var spdxPurposes = map[Type]string{
	Application: "APPLICATION", Library: "LIBRARY", Framework: "FRAMEWORK", Container: "CONTAINER",
	OperatingSystem: "OPERATING_SYSTEM", Device: "DEVICE", Firmware: "FIRMWARE", File: "FILE",
}

func encodeSPDX(d *document) ([]byte, error) {
	cr := d.creation
	doc := spdxDocument{
		ID: spdxDocID, Version: "SPDX-2.3", DataLicense: "CC0-1.0", Namespace: nilUUID,
		Name:          strings.TrimSuffix(d.components[0].Name+"-"+d.components[0].Version, "-"),
		Creation:      spdxCreation{Created: cr.Created.Format("2006-01-02T15:04:05Z")},
		Relationships: []spdxRelationship{},
	}
	note := func(list *[]spdxAnnotation, p Property) {
		*list = append(*list, spdxAnnotation{doc.Creation.Created, "OTHER", extraSubject, escapeName(p.Name) + "=" + p.Value})
	}
	for i, a := range cr.Authors {
		doc.Creation.Creators = append(doc.Creation.Creators, "Person: "+spdxParty(a))
		if a.URL != "" {
			note(&doc.Annotations, Property{extraAuthorURL + strconv.Itoa(i), a.URL})
		}
	}
	if !cr.Manufacturer.IsZero() {
		doc.Creation.Creators = append(doc.Creation.Creators, "Organization: "+spdxParty(cr.Manufacturer))
		if cr.Manufacturer.URL != "" {
			note(&doc.Annotations, Property{extraMakerURL, cr.Manufacturer.URL})
		}
	}
	if cr.Tool.Name != "" {
		doc.Creation.Creators = append(doc.Creation.Creators, "Tool: "+strings.TrimSuffix(oneLine(cr.Tool.Name)+"-"+oneLine(cr.Tool.Version), "-"))
		note(&doc.Annotations, Property{extraTool, cr.Tool.Name + "\n" + cr.Tool.Version})
	}
	if cr.Phase != "" {
		note(&doc.Annotations, Property{extraPhase, cr.Phase})
	}
	for _, p := range d.gapExtras("") {
		note(&doc.Annotations, p)
	}

	ids := make(map[string]string, len(d.components))
	for _, c := range d.components {
		ids[c.ID] = spdxID(c)
	}
	extracted := map[string]spdxExtracted{}
	for _, c := range d.components {
		p, notes := d.spdxPackage(c, ids[c.ID], extracted)
		for _, n := range notes {
			note(&p.Annotations, n)
		}
		doc.Packages = append(doc.Packages, p)
	}
	for _, x := range extracted {
		doc.Extracted = append(doc.Extracted, x)
	}
	slices.SortFunc(doc.Extracted, func(a, b spdxExtracted) int { return cmp.Compare(a.ID, b.ID) })

	doc.Relationships = append(doc.Relationships, spdxRelationship{spdxDocID, "DESCRIBES", ids[d.components[0].ID]})
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
			doc.Relationships = append(doc.Relationships, rel)
		}
		// SPDX 2.3, 11.1: NONE is "known to have none", NOASSERTION "there may
		// be more than is said".
		if c.Dependencies != Complete {
			doc.Relationships = append(doc.Relationships, spdxRelationship{ids[c.ID], "DEPENDS_ON", noAssertion})
		} else if none {
			doc.Relationships = append(doc.Relationships, spdxRelationship{ids[c.ID], "DEPENDS_ON", "NONE"})
		}
	}
	content, err := marshal(doc)
	if err != nil {
		return nil, err
	}
	doc.Namespace = serial(content)
	return marshal(doc)
}

var notIDChars = regexp.MustCompile(`[^a-zA-Z0-9.-]+`)

// spdxID is readable, and unique by the hash of the reference.
func spdxID(c *Component) string {
	label := strings.Trim(notIDChars.ReplaceAllString(c.Name+"-"+c.Version, "-"), "-.")
	if len(label) > 60 {
		label = label[len(label)-60:]
	}
	sum := sha256.Sum256([]byte(c.ID))
	return "SPDXRef-" + label + "-" + hex.EncodeToString(sum[:8])
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

func (d *document) spdxPackage(c *Component, id string, extracted map[string]spdxExtracted) (spdxPackage, []Property) {
	p := spdxPackage{
		ID: id, Name: c.Name, Version: c.Version, DownloadLocation: noAssertion, FilesAnalyzed: new(bool),
		Supplier: noAssertion, Copyright: noAssertion, Purpose: spdxPurposes[c.Type],
		Declared: spdxLicense(c.Declared, extracted), Concluded: spdxLicense(c.Concluded, extracted),
	}
	notes := append(slices.Clone(c.Properties), d.extras(c)...)
	add := func(name, value string) {
		if value != "" {
			notes = append(notes, Property{name, value})
		}
	}
	if p.Purpose == "" {
		add(extraType, string(c.Type))
	}
	add(extraScope, string(c.Scope))
	add(extraCompleteness, c.Dependencies.String())
	if !c.Supplier.IsZero() {
		if c.Supplier.Name != "" {
			p.Supplier = "Organization: " + spdxParty(c.Supplier)
		} else {
			add(extraSupplierEmail, c.Supplier.Email)
		}
		add(extraSupplierURL, c.Supplier.URL)
	}
	for _, dg := range c.Digests {
		if alg, ok := spdxAlgorithms[dg.Algorithm()]; ok {
			p.Checksums = append(p.Checksums, spdxChecksum{alg, dg.Value()})
		} else {
			add(extraDigest+string(dg.Algorithm()), dg.Value())
		}
	}
	if len(c.Copyright) > 0 {
		p.Copyright = strings.Join(c.Copyright, "\n")
	}
	for _, r := range c.References {
		if r.Kind == "distribution" && p.DownloadLocation == noAssertion {
			p.DownloadLocation = r.URL
		}
		add(extraReference+r.Kind, strings.TrimSpace(r.URL+" "+r.Digests.String()))
	}
	if c.PURL != "" && !strings.ContainsAny(c.PURL, " \t\n") {
		p.External = append(p.External, spdxExternal{"PACKAGE-MANAGER", "purl", c.PURL})
	} else {
		add(extraPURL, c.PURL)
	}
	for _, s := range c.CPEs {
		if strings.HasPrefix(s, "cpe:2.3:") && !strings.ContainsAny(s, " \t\n") {
			p.External = append(p.External, spdxExternal{"SECURITY", "cpe23Type", s})
		} else {
			add(extraCPE, s)
		}
	}
	slices.SortFunc(notes, compareProperties)
	return p, notes
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

func readSPDX(data []byte) (*Graph, error) {
	var doc spdxDocument
	if err := decode(data, &doc); err != nil {
		return nil, err
	}
	if doc.Version != "SPDX-2.3" {
		return nil, errorf(ReasonVersion, "SPDX %.20q is not read, only SPDX-2.3", doc.Version)
	}
	if len(doc.Packages) > limits.SBOMComponents {
		return nil, errorf(ReasonLimit, "more than %d packages", limits.SBOMComponents)
	}
	if len(doc.Relationships) > limits.SBOMRelationships {
		return nil, errorf(ReasonLimit, "more than %d relationships", limits.SBOMRelationships)
	}
	g := new(Graph)
	if err := g.readSPDXCreation(&doc); err != nil {
		return nil, err
	}
	named := make(map[string]string, len(doc.Extracted))
	for _, x := range doc.Extracted {
		if x.Name != "" {
			named[x.ID] = x.Name
		}
	}
	for i := range doc.Packages {
		if err := g.readSPDXPackage(&doc.Packages[i], named); err != nil {
			return nil, err
		}
	}
	root := ""
	for _, r := range doc.Relationships {
		to := r.To
		if to == "NONE" || to == noAssertion || strings.HasPrefix(to, "DocumentRef-") {
			continue
		}
		if r.From == spdxDocID {
			if r.Type == "DESCRIBES" {
				if root != "" || g.byID[to] == nil {
					return nil, errorf(ReasonReference, "the document describes %.80q, which is not defined or not alone", to)
				}
				root = to
			}
			continue
		}
		if g.byID[r.From] == nil || g.byID[to] == nil {
			return nil, errorf(ReasonReference, "%.80q %.40q %.80q: not both are packages of the document", r.From, r.Type, to)
		}
		switch r.Type {
		case "DEPENDS_ON":
			g.relations = append(g.relations, Relationship{r.From, DependsOn, to})
		case "DEPENDENCY_OF":
			g.relations = append(g.relations, Relationship{to, DependsOn, r.From})
		case "CONTAINS":
			g.relations = append(g.relations, Relationship{r.From, Contains, to})
		case "CONTAINED_BY":
			g.relations = append(g.relations, Relationship{to, Contains, r.From})
		case "BUILD_TOOL_OF":
			g.relations = append(g.relations, Relationship{to, BuiltWith, r.From})
		}
	}
	if root == "" {
		return nil, errorf(ReasonFormat, "no DESCRIBES: the document does not say what it is about")
	}
	g.root = root
	return g, nil
}

func splitAnnotation(a spdxAnnotation) (Property, bool) {
	name, value, ok := strings.Cut(a.Comment, "=")
	return Property{nameUnescaper.Replace(name), value}, ok && a.Annotator == extraSubject
}

func (g *Graph) readSPDXCreation(doc *spdxDocument) error {
	cr := &g.Creation
	t, err := time.Parse(time.RFC3339, doc.Creation.Created)
	if err != nil {
		return errorf(ReasonFormat, "creationInfo.created %.40q is not RFC 3339", doc.Creation.Created)
	}
	cr.Created = t.UTC()
	for _, s := range doc.Creation.Creators {
		kind, name, _ := strings.Cut(s, ": ")
		switch kind {
		case "Person":
			cr.Authors = append(cr.Authors, parseSPDXParty(name))
		case "Organization":
			cr.Manufacturer = parseSPDXParty(name)
		case "Tool":
			if cr.Tool.Name == "" {
				cr.Tool.Name = name
			}
		}
	}
	for _, a := range doc.Annotations {
		p, ok := splitAnnotation(a)
		if !ok {
			continue
		}
		switch p.Name {
		case extraPhase:
			cr.Phase = p.Value
		case extraMakerURL:
			cr.Manufacturer.URL = p.Value
		case extraTool:
			cr.Tool.Name, cr.Tool.Version, _ = strings.Cut(p.Value, "\n")
		default:
			if s, ok := strings.CutPrefix(p.Name, extraAuthorURL); ok {
				if i, err := strconv.Atoi(s); err == nil && 0 <= i && i < len(cr.Authors) {
					cr.Authors[i].URL = p.Value
				}
			} else if err := g.readExtra(nil, p); err != nil {
				return err
			}
		}
	}
	return nil
}

func (g *Graph) readSPDXPackage(p *spdxPackage, named map[string]string) error {
	if p.ID == "" || p.Name == "" || g.byID[p.ID] != nil || p.ID == spdxDocID {
		return errorf(ReasonReference, "package %d (%.80q) has no name, no SPDXID, or one that is taken", len(g.components), p.Name)
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
			return err
		}
	}
	license := func(s string) License {
		switch {
		case s == "" || s == noAssertion || s == "NONE":
			return License{}
		case named[s] != "":
			return License{Name: named[s]}
		}
		return License{Expression: s}
	}
	c.Declared, c.Concluded = license(p.Declared), license(p.Concluded)
	if p.Copyright != "" && p.Copyright != noAssertion && p.Copyright != "NONE" {
		c.Copyright = strings.Split(p.Copyright, "\n")
	}
	for _, x := range p.External {
		switch x.Type {
		case "purl":
			if c.PURL == "" {
				c.PURL = x.Locator
			}
		case "cpe23Type", "cpe22Type":
			c.CPEs = append(c.CPEs, x.Locator)
		}
	}
	g.Add(c)
	added := g.byID[p.ID]
	ours := false
	for _, a := range p.Annotations {
		pr, ok := splitAnnotation(a)
		if !ok {
			continue
		}
		ours = true
		if !strings.HasPrefix(pr.Name, prefix) {
			added.Properties = append(added.Properties, pr)
		} else if err := g.readExtra(added, pr); err != nil {
			return err
		}
	}
	if !ours && p.DownloadLocation != "" && p.DownloadLocation != noAssertion && p.DownloadLocation != "NONE" {
		added.References = append(added.References, Reference{Kind: "distribution", URL: p.DownloadLocation})
	}
	return nil
}
