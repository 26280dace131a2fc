package sbom

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/hallmark-build/hallmark/internal/jsonrules"
	"github.com/hallmark-build/hallmark/internal/limits"
)

// The tag-value form of SPDX 2.3 says what the JSON form says, line by line. It
// is read into the JSON form, so that one set of rules holds for both, and
// written from it.

// A tvTag says which member of an object a tag is.
type tvTag struct {
	tag, member string
	form        tvForm
}

type tvForm int

const (
	tvLine  tvForm = iota // a value on one line
	tvText                // may be <text>…</text>
	tvMany                // a line for each element of a list
	tvTexts               // the same, of texts
	tvBool
	tvSums // "SHA1: 0123…"
	tvCode // package verification code: "0123… (excludes: a, b)"
	tvDocs // external documents: "DocumentRef-a URI SHA1: 0123…"
	tvRefs // external references: "SECURITY cpe23Type cpe:2.3:…"
)

// The sections (SPDX 2.3, clauses 6 to 10), each with the tag that begins it
// first.
var (
	tvDocument = []tvTag{
		{"SPDXVersion", "spdxVersion", tvLine}, {"DataLicense", "dataLicense", tvLine}, {"SPDXID", "SPDXID", tvLine}, {"DocumentName", "name", tvLine},
		{"DocumentNamespace", "documentNamespace", tvLine}, {"ExternalDocumentRef", "externalDocumentRefs", tvDocs}, {"DocumentComment", "comment", tvText},
	}
	tvCreation = []tvTag{
		{"LicenseListVersion", "licenseListVersion", tvLine}, {"Creator", "creators", tvMany}, {"Created", "created", tvLine}, {"CreatorComment", "comment", tvText},
	}
	tvPackage = []tvTag{
		{"PackageName", "name", tvLine}, {"SPDXID", "SPDXID", tvLine}, {"PackageVersion", "versionInfo", tvLine}, {"PackageFileName", "packageFileName", tvLine},
		{"PackageSupplier", "supplier", tvLine}, {"PackageOriginator", "originator", tvLine}, {"PackageDownloadLocation", "downloadLocation", tvLine},
		{"FilesAnalyzed", "filesAnalyzed", tvBool}, {"PackageVerificationCode", "packageVerificationCode", tvCode}, {"PackageChecksum", "checksums", tvSums},
		{"PackageHomePage", "homepage", tvLine}, {"PackageSourceInfo", "sourceInfo", tvText}, {"PackageLicenseConcluded", "licenseConcluded", tvLine},
		{"PackageLicenseInfoFromFiles", "licenseInfoFromFiles", tvMany}, {"PackageLicenseDeclared", "licenseDeclared", tvLine},
		{"PackageLicenseComments", "licenseComments", tvText}, {"PackageCopyrightText", "copyrightText", tvText}, {"PackageSummary", "summary", tvText},
		{"PackageDescription", "description", tvText}, {"PackageComment", "comment", tvText}, {"ExternalRef", "externalRefs", tvRefs},
		{"PackageAttributionText", "attributionTexts", tvTexts}, {"PrimaryPackagePurpose", "primaryPackagePurpose", tvLine},
		{"ReleaseDate", "releaseDate", tvLine}, {"BuiltDate", "builtDate", tvLine}, {"ValidUntilDate", "validUntilDate", tvLine},
	}
	tvFile = []tvTag{
		{"FileName", "fileName", tvLine}, {"SPDXID", "SPDXID", tvLine}, {"FileType", "fileTypes", tvMany}, {"FileChecksum", "checksums", tvSums},
		{"LicenseConcluded", "licenseConcluded", tvLine}, {"LicenseInfoInFile", "licenseInfoInFiles", tvMany}, {"LicenseComments", "licenseComments", tvText},
		{"FileCopyrightText", "copyrightText", tvText}, {"FileComment", "comment", tvText}, {"FileNotice", "noticeText", tvText},
		{"FileContributor", "fileContributors", tvMany}, {"FileAttributionText", "attributionTexts", tvTexts}, {"FileDependency", "fileDependencies", tvMany},
	}
	tvSnippet = []tvTag{
		{"SnippetSPDXID", "SPDXID", tvLine}, {"SnippetFromFileSPDXID", "snippetFromFile", tvLine}, {"SnippetLicenseConcluded", "licenseConcluded", tvLine},
		{"LicenseInfoInSnippet", "licenseInfoInSnippets", tvMany}, {"SnippetLicenseComments", "licenseComments", tvText},
		{"SnippetCopyrightText", "copyrightText", tvText}, {"SnippetComment", "comment", tvText}, {"SnippetName", "name", tvLine},
		{"SnippetAttributionText", "attributionTexts", tvTexts},
	}
	tvLicense = []tvTag{
		{"LicenseID", "licenseId", tvLine}, {"ExtractedText", "extractedText", tvText}, {"LicenseName", "name", tvLine},
		{"LicenseCrossReference", "seeAlsos", tvMany}, {"LicenseComment", "comment", tvText},
	}
	tvRelation = []tvTag{{"RelationshipComment", "comment", tvText}}
	tvNote     = []tvTag{
		{"Annotator", "annotator", tvLine}, {"AnnotationDate", "annotationDate", tvLine}, {"AnnotationType", "annotationType", tvLine},
		{"SPDXREF", "SPDXREF", tvLine}, {"AnnotationComment", "comment", tvText},
	}
	tvReview = []tvTag{{"Reviewer", "reviewer", tvLine}, {"ReviewDate", "reviewDate", tvLine}, {"ReviewComment", "comment", tvText}}
)

func isTagValue(doc []byte) bool {
	for {
		line, rest, more := bytes.Cut(doc, []byte("\n"))
		line = bytes.TrimSpace(line)
		if len(line) > 0 && line[0] != '#' {
			return bytes.HasPrefix(line, []byte("SPDXVersion:"))
		}
		if !more {
			return false
		}
		doc = rest
	}
}

// A tvWriter writes the members of a document as tags.
type tvWriter struct {
	d    *document
	w    io.Writer
	head []member // of the document, until what follows it begins
	done bool
	err  error
}

func writeTagValue(d *document, w io.Writer, serial string) error {
	d.flat = true
	return d.writeSPDX(&tvWriter{d: d, w: w}, serial)
}

func (t *tvWriter) fail(err error) {
	if t.err == nil {
		t.err = err
	}
}

func (t *tvWriter) raw(parts ...string) {
	for _, s := range parts {
		if t.err == nil {
			_, t.err = io.WriteString(t.w, s)
		}
	}
}

// line writes one tag with a value on one line; a value that has several loses
// them.
func (t *tvWriter) line(tag, value string) {
	if f := flat(value); f != value {
		t.d.lose("", tag, "SPDX tag-value has this on one line", false)
		value = f
	}
	if value != "" {
		t.raw(tag, ": ", value, "\n")
	}
}

func (t *tvWriter) text(tag, value string) {
	if value == noAssertion || value == "NONE" {
		t.line(tag, value)
		return
	}
	if strings.Contains(value, "</text>") {
		t.d.lose("", tag, "SPDX tag-value has no way to write </text>", false)
		value = strings.ReplaceAll(value, "</text>", "<text>")
	}
	t.raw(tag, ": <text>", value, "</text>\n")
}

func (t *tvWriter) member(name string, v any) {
	raw, err := compactJSON(v)
	if err != nil {
		t.fail(errorf(ReasonFormat, "%v", err))
		return
	}
	if slices.Contains([]string{"files", "snippets", "revieweds", "annotations", "hasExtractedLicensingInfos"}, name) {
		t.list(name, func(yield func(any)) {
			if err := each(raw, func(x []byte) error { yield(json.RawMessage(x)); return nil }); err != nil {
				t.fail(err)
			}
		})
		return
	}
	t.head = append(t.head, member{name: name, raw: raw})
}

// begin writes what a document begins with.
func (t *tvWriter) begin() {
	if t.done {
		return
	}
	t.done = true
	creation := slices.IndexFunc(t.head, func(m member) bool { return m.name == "creationInfo" })
	t.tags(tvDocument, slices.Delete(slices.Clone(t.head), creation, creation+1))
	list, err := members(t.head[creation].raw)
	if err != nil {
		t.fail(jsonError(err))
	}
	t.tags(tvCreation, list)
}

func (t *tvWriter) list(name string, elements func(yield func(any))) {
	t.begin()
	elements(func(v any) {
		switch v := v.(type) { // most of a document
		case spdxPackage:
			t.pkg(&v)
			return
		case spdxRelationship:
			t.raw("\n")
			t.line("Relationship", v.From+" "+v.Type+" "+v.To)
			return
		}
		raw, err := compactJSON(v)
		if err == nil {
			err = t.element(name, raw)
		}
		if err != nil {
			t.fail(err)
		}
	})
}

func (t *tvWriter) element(name string, raw []byte) error {
	list, err := members(raw)
	if err != nil {
		return jsonError(err)
	}
	text := func(name string) string {
		for _, m := range list {
			if m.name == name {
				var s string
				_ = json.Unmarshal(m.raw, &s) // a string by the rules, or ours
				return s
			}
		}
		return ""
	}
	t.raw("\n")
	switch name {
	case "annotations":
		t.annotation(spdxDocID, raw)
	case "revieweds":
		t.tags(tvReview, list)
	case "packages":
		t.tags(tvPackage, list)
		for _, m := range list {
			if m.name == "hasFiles" {
				var ids []string
				if err := unmarshal(m.raw, &ids); err != nil {
					return err
				}
				for _, id := range ids {
					t.line("Relationship", text("SPDXID")+" CONTAINS "+id)
				}
			}
		}
	case "files":
		t.tags(tvFile, list)
	case "snippets":
		t.tags(tvSnippet, list)
		t.ranges(list)
	case "hasExtractedLicensingInfos":
		t.tags(tvLicense, list)
	case "relationships":
		t.line("Relationship", text("spdxElementId")+" "+text("relationshipType")+" "+text("relatedSpdxElement"))
		t.tags(tvRelation, list)
	}
	if name == "packages" || name == "files" || name == "snippets" {
		for _, m := range list {
			if m.name == "annotations" {
				return each(m.raw, func(raw []byte) error {
					t.annotation(text("SPDXID"), raw)
					return nil
				})
			}
		}
	}
	return nil
}

// pkg writes a package of which no other document said anything; the order is
// that of tvPackage.
func (t *tvWriter) pkg(p *spdxPackage) {
	t.raw("\n")
	t.line("PackageName", p.Name)
	t.line("SPDXID", p.ID)
	t.line("PackageVersion", p.Version)
	t.line("PackageSupplier", p.Supplier)
	t.line("PackageDownloadLocation", p.DownloadLocation)
	if p.FilesAnalyzed != nil {
		t.line("FilesAnalyzed", strconv.FormatBool(*p.FilesAnalyzed))
	}
	for _, c := range p.Checksums {
		t.line("PackageChecksum", c.Algorithm+": "+c.Value)
	}
	t.line("PackageLicenseConcluded", p.Concluded)
	t.line("PackageLicenseDeclared", p.Declared)
	if p.Copyright != "" {
		t.text("PackageCopyrightText", p.Copyright)
	}
	for _, r := range p.External {
		t.line("ExternalRef", r.Category+" "+r.Type+" "+r.Locator)
		if r.Comment != "" {
			t.text("ExternalRefComment", r.Comment)
		}
	}
	t.line("PrimaryPackagePurpose", p.Purpose)
	for _, a := range p.Annotations {
		t.note(p.ID, a)
	}
}

func (t *tvWriter) annotation(id string, raw []byte) {
	var a spdxAnnotation
	if err := unmarshal(raw, &a); err != nil {
		t.fail(err)
		return
	}
	t.note(id, a)
}

func (t *tvWriter) note(id string, a spdxAnnotation) {
	if strings.Contains(a.Comment, "</text>") && a.Annotator == extraSubject {
		a.Comment = extraEscaped + "=" + url.QueryEscape(a.Comment)
	}
	t.line("Annotator", a.Annotator)
	t.line("AnnotationDate", a.Date)
	t.line("AnnotationType", a.Type)
	t.line("SPDXREF", id)
	t.text("AnnotationComment", a.Comment)
}

type spdxRange struct {
	Start spdxPointer `json:"startPointer"`
	End   spdxPointer `json:"endPointer"`
}

type spdxPointer struct {
	Reference string `json:"reference"`
	Offset    *int   `json:"offset,omitempty"`
	Line      *int   `json:"lineNumber,omitempty"`
}

func (t *tvWriter) ranges(list []member) {
	for _, m := range list {
		if m.name != "ranges" {
			continue
		}
		var ranges []spdxRange
		if err := unmarshal(m.raw, &ranges); err != nil {
			t.fail(err)
		}
		for _, r := range ranges {
			if r.Start.Offset != nil && r.End.Offset != nil {
				t.line("SnippetByteRange", strconv.Itoa(*r.Start.Offset)+":"+strconv.Itoa(*r.End.Offset))
			}
			if r.Start.Line != nil && r.End.Line != nil {
				t.line("SnippetLineRange", strconv.Itoa(*r.Start.Line)+":"+strconv.Itoa(*r.End.Line))
			}
		}
	}
}

// tags writes the members of an object that have tags, in the order of those.
func (t *tvWriter) tags(tags []tvTag, list []member) {
	used := make([]bool, len(list))
	for _, tag := range tags {
		for i, m := range list {
			if m.name == tag.member {
				used[i] = true
				t.tag(tag, m.raw)
				break
			}
		}
	}
	for i, m := range list {
		switch m.name {
		case "annotations", "hasFiles", "ranges", "spdxElementId", "relationshipType", "relatedSpdxElement":
		default:
			if !used[i] {
				t.d.lose("", m.name, "SPDX tag-value has no such tag", false)
			}
		}
	}
}

func (t *tvWriter) tag(tag tvTag, raw []byte) {
	var err error
	read := func(v any) bool {
		if err == nil {
			err = unmarshal(raw, v)
		}
		return err == nil
	}
	var s string
	var list []string
	switch tag.form {
	case tvLine:
		if read(&s) {
			t.line(tag.tag, s)
		}
	case tvText:
		if read(&s) {
			t.text(tag.tag, s)
		}
	case tvMany:
		if read(&list) {
			for _, s := range list {
				t.line(tag.tag, s)
			}
		}
	case tvTexts:
		if read(&list) {
			for _, s := range list {
				t.text(tag.tag, s)
			}
		}
	case tvBool:
		t.line(tag.tag, string(raw))
	case tvSums:
		var sums []spdxChecksum
		if read(&sums) {
			for _, c := range sums {
				t.line(tag.tag, c.Algorithm+": "+c.Value)
			}
		}
	case tvCode:
		var code spdxCode
		if read(&code) {
			if len(code.Excluded) > 0 {
				code.Value += " (excludes: " + strings.Join(code.Excluded, ", ") + ")"
			}
			t.line(tag.tag, code.Value)
		}
	case tvDocs:
		var docs []spdxExternalDoc
		if read(&docs) {
			for _, d := range docs {
				t.line(tag.tag, d.ID+" "+d.Document+" "+d.Checksum.Algorithm+": "+d.Checksum.Value)
			}
		}
	case tvRefs:
		var refs []spdxExternal
		if read(&refs) {
			for _, r := range refs {
				t.line(tag.tag, r.Category+" "+r.Type+" "+r.Locator)
				if r.Comment != "" {
					t.text("ExternalRefComment", r.Comment)
				}
			}
		}
	}
	if err != nil {
		t.fail(err)
	}
}

type spdxCode struct {
	Value    string   `json:"packageVerificationCodeValue"`
	Excluded []string `json:"packageVerificationCodeExcludedFiles,omitempty"`
}

type spdxExternalDoc struct {
	ID       string       `json:"externalDocumentId"`
	Document string       `json:"spdxDocument"`
	Checksum spdxChecksum `json:"checksum"`
}

func (t *tvWriter) close() error {
	t.begin()
	return t.err
}

// A tvObject is an object of the JSON form while it is read.
type tvObject struct {
	tags    []tvTag
	values  map[string]any
	lines   map[string]int // of members
	line    int
	snippet bool
}

func newTVObject(tags []tvTag, line int) *tvObject {
	return &tvObject{tags: tags, values: make(map[string]any), lines: make(map[string]int), line: line}
}

type tvReader struct {
	doc, creation *tvObject
	lists         map[string][]*tvObject
	notes         []*tvObject
	contained     [][2]*tvObject // packages and the files that follow them
	cur           *tvObject      // what plain tags belong to
	pkg           *tvObject      // the last package
	lastRef       map[string]any
	lastRelation  *tvObject
	count         int
}

func readTagValue(doc []byte) (*Graph, error) {
	if len(doc) > limits.SBOM {
		return nil, errorf(ReasonLimit, "more than %d bytes", limits.SBOM)
	}
	if !utf8.Valid(doc) {
		return nil, errorf(ReasonFormat, "invalid UTF-8")
	}
	r := &tvReader{doc: newTVObject(tvDocument, 1), creation: newTVObject(tvCreation, 1), lists: make(map[string][]*tvObject)}
	r.cur = r.doc
	rest := string(doc)
	for n := 1; rest != ""; n++ {
		whole := rest
		var line string
		line, rest, _ = strings.Cut(rest, "\n")
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		tag, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, errorf(ReasonFormat, "line %d: want a tag, a colon and a value, found %.40q", n, line)
		}
		value = strings.TrimSpace(value)
		at := n
		isText := strings.HasPrefix(value, "<text>")
		if isText {
			// The text ends on this line or on one that follows.
			_, text, _ := strings.Cut(whole, "<text>")
			value, text, ok = strings.Cut(text, "</text>")
			if !ok {
				return nil, errorf(ReasonFormat, "line %d: <text> without </text>", n)
			}
			line, rest, _ = strings.Cut(text, "\n")
			if strings.TrimSpace(line) != "" {
				return nil, errorf(ReasonFormat, "line %d: something follows </text>", n)
			}
			n += strings.Count(value, "\n")
		}
		if err := r.tag(tag, value, isText, at); err != nil {
			return nil, errorf(ReasonFormat, "line %d: %v", at, err)
		}
	}
	return r.end()
}

// section begins an object of a list.
func (r *tvReader) section(list string, tags []tvTag, line int) error {
	if r.count++; r.count > limits.SBOMRelationships {
		return errors.New("too many elements")
	}
	o := newTVObject(tags, line)
	r.lists[list] = append(r.lists[list], o)
	r.cur = o
	return nil
}

func (r *tvReader) tag(tag, value string, isText bool, line int) error {
	if r.doc.values["spdxVersion"] == nil && tag != "SPDXVersion" {
		return errors.New("want SPDXVersion first")
	}
	var err error
	switch tag {
	case "PackageName":
		err = r.section("packages", tvPackage, line)
		r.pkg = r.cur
	case "FileName":
		err = r.section("files", tvFile, line)
	case "SnippetSPDXID":
		err = r.section("snippets", tvSnippet, line)
		r.cur.snippet = true
	case "LicenseID":
		err = r.section("hasExtractedLicensingInfos", tvLicense, line)
	case "Reviewer":
		err = r.section("revieweds", tvReview, line)
	case "Annotator":
		// In between other sections' tags.
		o := newTVObject(tvNote, line)
		r.notes = append(r.notes, o)
	case "Relationship":
		parts := strings.Fields(value)
		if len(parts) != 3 {
			return errors.New("want a relationship of three words")
		}
		old := r.cur
		err = r.section("relationships", tvRelation, line)
		r.lastRelation, r.cur = r.cur, old
		for i, name := range []string{"spdxElementId", "relationshipType", "relatedSpdxElement"} {
			r.lastRelation.values[name] = parts[i]
		}
		return err
	case "RelationshipComment":
		if r.lastRelation == nil {
			return errors.New("a comment without a relationship")
		}
		return r.lastRelation.set(tvRelation[0], value, isText, line)
	case "ExternalRefComment":
		if r.lastRef == nil || r.lastRef["comment"] != nil {
			return errors.New("a comment without an external reference of its own")
		}
		r.lastRef["comment"] = value
		return nil
	case "SnippetByteRange", "SnippetLineRange":
		return r.snippetRange(tag, value)
	}
	if err != nil {
		return err
	}
	for _, t := range tvCreation {
		if t.tag == tag {
			return r.creation.set(t, value, isText, line)
		}
	}
	if len(r.notes) > 0 {
		for _, t := range tvNote {
			if t.tag == tag {
				return r.notes[len(r.notes)-1].set(t, value, isText, line)
			}
		}
	}
	for _, t := range r.cur.tags {
		if t.tag != tag {
			continue
		}
		if err := r.cur.set(t, value, isText, line); err != nil {
			return err
		}
		if t.form == tvRefs {
			refs := r.cur.values["externalRefs"].([]any)
			r.lastRef = refs[len(refs)-1].(map[string]any)
		}
		if t.member == "SPDXID" && r.pkg != nil && len(r.lists["files"]) > 0 && r.cur == r.lists["files"][len(r.lists["files"])-1] {
			// A file that follows a package is in it (clause 8).
			r.contained = append(r.contained, [2]*tvObject{r.pkg, r.cur})
		}
		return nil
	}
	return errors.New("tag " + strconv.Quote(tag[:min(len(tag), 40)]) + " is unknown, or not allowed in this section")
}

func (r *tvReader) snippetRange(tag, value string) error {
	from, to, ok := strings.Cut(value, ":")
	a, err1 := strconv.Atoi(from)
	b, err2 := strconv.Atoi(to)
	file, _ := r.cur.values["snippetFromFile"].(string)
	if !ok || err1 != nil || err2 != nil || a < 0 || b < a || !r.cur.snippet || file == "" {
		return errors.New("want a range, as in 3:14, of a snippet from a file")
	}
	name := "offset"
	if tag == "SnippetLineRange" {
		name = "lineNumber"
	}
	list, _ := r.cur.values["ranges"].([]any)
	r.cur.values["ranges"] = append(list, map[string]any{
		"startPointer": map[string]any{"reference": file, name: a}, "endPointer": map[string]any{"reference": file, name: b}})
	return nil
}

func (o *tvObject) set(t tvTag, value string, isText bool, line int) error {
	if isText && t.form != tvText && t.form != tvTexts {
		return errors.New("text where a line is wanted")
	}
	if value == "" && !isText {
		return errors.New("no value")
	}
	if o.lines[t.member] == 0 {
		o.lines[t.member] = line
	}
	one := func(v any) error {
		if o.values[t.member] != nil {
			return errors.New("the tag comes twice")
		}
		o.values[t.member] = v
		return nil
	}
	add := func(v any) error {
		list, _ := o.values[t.member].([]any)
		o.values[t.member] = append(list, v)
		return nil
	}
	sum := func(s string) (any, error) {
		alg, hex, ok := strings.Cut(s, ":")
		if !ok {
			return nil, errors.New("want an algorithm, a colon and a checksum")
		}
		return map[string]any{"algorithm": strings.TrimSpace(alg), "checksumValue": strings.TrimSpace(hex)}, nil
	}
	switch t.form {
	case tvLine, tvText:
		return one(value)
	case tvMany, tvTexts:
		return add(value)
	case tvBool:
		if value != "true" && value != "false" {
			return errors.New("want true or false")
		}
		return one(value == "true")
	case tvSums:
		s, err := sum(value)
		if err != nil {
			return err
		}
		return add(s)
	case tvCode:
		code := map[string]any{}
		v, rest, ok := strings.Cut(value, "(")
		if ok {
			list, found := strings.CutSuffix(rest, ")")
			list = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(list), "excludes:"))
			if !found {
				return errors.New("want a closing parenthesis")
			}
			var names []any
			for name := range strings.SplitSeq(list, ",") {
				names = append(names, strings.TrimSpace(name))
			}
			code["packageVerificationCodeExcludedFiles"] = names
		}
		code["packageVerificationCodeValue"] = strings.TrimSpace(v)
		return one(code)
	case tvDocs:
		parts := strings.SplitN(value, " ", 3)
		if len(parts) != 3 {
			return errors.New("want a name, a document and its checksum")
		}
		s, err := sum(strings.TrimSpace(parts[2]))
		if err != nil {
			return err
		}
		return add(map[string]any{"externalDocumentId": parts[0], "spdxDocument": parts[1], "checksum": s})
	}
	parts := strings.SplitN(value, " ", 3)
	if len(parts) != 3 {
		return errors.New("want a category, a type and a locator")
	}
	return add(map[string]any{"referenceCategory": strings.ReplaceAll(parts[0], "_", "-"), "referenceType": parts[1], "referenceLocator": strings.TrimSpace(parts[2])})
}

// end makes the JSON form and reads it.
func (r *tvReader) end() (*Graph, error) {
	if len(r.doc.values) == 0 {
		return nil, errorf(ReasonFormat, "no SPDXVersion")
	}
	byID := make(map[string]*tvObject)
	for _, name := range []string{"packages", "files", "snippets"} {
		for _, o := range r.lists[name] {
			if id, ok := o.values["SPDXID"].(string); ok {
				byID[id] = o
			}
		}
	}
	if id, ok := r.doc.values["SPDXID"].(string); ok {
		byID[id] = r.doc
	}
	for _, n := range r.notes {
		// Clause 12.4 wants SPDXREF. spdx/tools-golang leaves it out where an
		// annotation is of the document.
		id := spdxDocID
		if s, ok := n.values["SPDXREF"].(string); ok {
			id = s
		}
		o := byID[id]
		if o == nil {
			return nil, errorf(ReasonReference, "line %d: annotation of %.80q, which is not defined", n.line, id)
		}
		delete(n.values, "SPDXREF")
		list, _ := o.values["annotations"].([]any)
		o.values["annotations"] = append(list, n.values)
	}
	said := make(map[[3]any]bool)
	for _, rel := range r.lists["relationships"] {
		said[[3]any{rel.values["spdxElementId"], rel.values["relationshipType"], rel.values["relatedSpdxElement"]}] = true
	}
	for _, x := range r.contained {
		triple := [3]any{x[0].values["SPDXID"], "CONTAINS", x[1].values["SPDXID"]}
		if triple[0] != nil && triple[2] != nil && !said[triple] {
			o := newTVObject(tvRelation, x[1].line)
			o.values["spdxElementId"], o.values["relationshipType"], o.values["relatedSpdxElement"] = triple[0], triple[1], triple[2]
			r.lists["relationships"] = append(r.lists["relationships"], o)
		}
	}
	doc := r.doc.values
	doc["creationInfo"] = r.creation.values
	for name, objects := range r.lists {
		list := make([]any, len(objects))
		for i, o := range objects {
			list[i] = o.values
		}
		doc[name] = list
	}
	b := appendTV(nil, doc)
	if err := jsonrules.Check(b, 2*limits.SBOM, "spdx-2.3"); err != nil {
		var e *jsonrules.Error
		if !errors.As(err, &e) {
			return nil, errorf(ReasonFormat, "%v", err)
		}
		reason := ReasonFormat
		if e.Reason != jsonrules.ReasonSchema {
			reason = e.Reason
		}
		return nil, errorf(reason, "line %d, %.200s: %s", r.lineOf(e.Path), e.Path, e.Msg)
	}
	return readSPDXChecked(b)
}

// appendTV appends what a tvObject holds as JSON, with the names in order.
func appendTV(b []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		if plainJSON(v) {
			return append(append(append(b, '"'), v...), '"')
		}
		text, _ := compactJSON(v) // does not fail for a string
		return append(b, text...)
	case bool:
		return strconv.AppendBool(b, v)
	case int:
		return strconv.AppendInt(b, int64(v), 10)
	case []any:
		b = append(b, '[')
		for i, x := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendTV(b, x)
		}
		return append(b, ']')
	case map[string]any:
		b = append(b, '{')
		for i, name := range slices.Sorted(maps.Keys(v)) {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendTV(b, name), ':')
			b = appendTV(b, v[name])
		}
		return append(b, '}')
	}
	return append(b, "null"...)
}

// lineOf finds where a JSON pointer was read.
func (r *tvReader) lineOf(path string) int {
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	o := r.doc
	if parts[0] == "creationInfo" {
		o, parts = r.creation, parts[1:]
	} else if list := r.lists[parts[0]]; list != nil && len(parts) > 1 {
		if i, err := strconv.Atoi(parts[1]); err == nil && i < len(list) {
			o, parts = list[i], parts[2:]
		}
	}
	if len(parts) > 0 && o.lines[parts[0]] > 0 {
		return o.lines[parts[0]]
	}
	return o.line
}
