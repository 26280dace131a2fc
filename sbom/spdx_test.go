package sbom

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/hallmark-build/hallmark/provenance"
)

// A document of somebody else, with what the graph has no place for.
const foreignSPDX = `{
  "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT", "name": "theirs",
  "documentNamespace": "https://example.org/spdx/1", "comment": "about it",
  "externalDocumentRefs": [{"externalDocumentId": "DocumentRef-other", "spdxDocument": "https://example.org/spdx/0",
    "checksum": {"algorithm": "SHA1", "checksumValue": "d6a770ba38583ed4bb4525bd96e50461655d2759"}}],
  "creationInfo": {"created": "2024-01-02T03:04:05Z", "creators": ["Tool: one-1.0", "Tool: two-2.0", "Organization: Org (o@example.org)", "Person: Jane"],
    "licenseListVersion": "3.22", "comment": "made by hand"},
  "annotations": [{"annotationDate": "2024-01-02T03:04:05Z", "annotationType": "REVIEW", "annotator": "Person: Joe", "comment": "fine\nby me"}],
  "revieweds": [{"reviewer": "Person: Joe", "reviewDate": "2024-01-03T00:00:00Z", "comment": "good"}],
  "hasExtractedLicensingInfos": [{"licenseId": "LicenseRef-1", "extractedText": "Do\nwhat you like.", "name": "Own", "seeAlsos": ["https://example.org/l"], "comment": "c"}],
  "packages": [
    {"SPDXID": "SPDXRef-App", "name": "app", "versionInfo": "1", "packageFileName": "app.tar", "supplier": "Person: Jane", "originator": "Organization: Up",
     "downloadLocation": "https://example.org/app.tar", "filesAnalyzed": true, "packageVerificationCode": {"packageVerificationCodeValue": "d6a770ba38583ed4bb4525bd96e50461655d2758",
       "packageVerificationCodeExcludedFiles": ["./a", "./b"]}, "checksums": [{"algorithm": "SHA1", "checksumValue": "85ed0817af83a24ad8da68c2b5094de69833983c"},
       {"algorithm": "ADLER32", "checksumValue": "01234567"}],
     "homepage": "https://example.org", "sourceInfo": "from git", "licenseConcluded": "LicenseRef-1", "licenseInfoFromFiles": ["MIT"], "licenseDeclared": "(MIT OR  LicenseRef-1)",
     "licenseComments": "lc", "copyrightText": "Copyright 2\nCopyright 1", "summary": "s", "description": "d", "comment": "c",
     "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": "pkg:generic/app@1"},
       {"referenceCategory": "OTHER", "referenceType": "loc", "referenceLocator": "x y", "comment": "why"}],
     "attributionTexts": ["thanks", "to all"], "primaryPackagePurpose": "ARCHIVE", "releaseDate": "2024-01-01T00:00:00Z",
     "annotations": [{"annotationDate": "2024-01-02T03:04:05Z", "annotationType": "OTHER", "annotator": "Tool: x", "comment": "hm"}]},
    {"SPDXID": "SPDXRef-Lib", "name": "lib", "downloadLocation": "NONE", "primaryPackagePurpose": "LIBRARY", "licenseDeclared": "NONE"},
    {"SPDXID": "SPDXRef-Lib2", "name": "lib", "downloadLocation": "NONE", "primaryPackagePurpose": "LIBRARY", "licenseDeclared": "NONE"}],
  "files": [{"SPDXID": "SPDXRef-File", "fileName": "./main.c", "fileTypes": ["SOURCE"], "checksums": [{"algorithm": "SHA1", "checksumValue": "85ed0817af83a24ad8da68c2b5094de69833983c"}],
    "licenseConcluded": "MIT", "licenseInfoInFiles": ["MIT"], "copyrightText": "NOASSERTION", "comment": "f", "noticeText": "n", "fileContributors": ["Jane"], "attributionTexts": ["t"]}],
  "snippets": [{"SPDXID": "SPDXRef-Snip", "name": "snip", "snippetFromFile": "SPDXRef-File", "ranges": [{"startPointer": {"reference": "SPDXRef-File", "offset": 1}, "endPointer": {"reference": "SPDXRef-File", "offset": 9}},
    {"startPointer": {"reference": "SPDXRef-File", "lineNumber": 1}, "endPointer": {"reference": "SPDXRef-File", "lineNumber": 2}}], "licenseConcluded": "MIT"}],
  "relationships": [
    {"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES", "relatedSpdxElement": "SPDXRef-App"},
    {"spdxElementId": "SPDXRef-App", "relationshipType": "CONTAINS", "relatedSpdxElement": "SPDXRef-File"},
    {"spdxElementId": "SPDXRef-App", "relationshipType": "DYNAMIC_LINK", "relatedSpdxElement": "SPDXRef-Lib", "comment": "at run time"},
    {"spdxElementId": "SPDXRef-App", "relationshipType": "DEPENDS_ON", "relatedSpdxElement": "SPDXRef-Lib2"},
    {"spdxElementId": "SPDXRef-Lib", "relationshipType": "COPY_OF", "relatedSpdxElement": "DocumentRef-other:SPDXRef-Lib"}]}`

const foreignTagValue = `# A comment
SPDXVersion: SPDX-2.3
DataLicense: CC0-1.0
SPDXID: SPDXRef-DOCUMENT
DocumentName: theirs
DocumentNamespace: https://example.org/spdx/2
DocumentComment: <text>about
  it </text>
Creator: Tool: one
Created: 2024-01-02T03:04:05Z

PackageName: app
SPDXID: SPDXRef-App
PackageDownloadLocation: NOASSERTION
PackageChecksum: SHA1: 85ed0817af83a24ad8da68c2b5094de69833983c
ExternalRef: PACKAGE_MANAGER purl pkg:generic/app@1
ExternalRefComment: <text>mine</text>
PackageComment: <text>line one
line two</text>

FileName: ./a
SPDXID: SPDXRef-A
FileChecksum: SHA1: 85ed0817af83a24ad8da68c2b5094de69833983c

Relationship: SPDXRef-DOCUMENT DESCRIBES SPDXRef-App
Annotator: Person: Joe
AnnotationDate: 2024-01-02T03:04:05Z
AnnotationType: OTHER
SPDXREF: SPDXRef-App
AnnotationComment: plain
`

func TestForeignSPDX(t *testing.T) {
	g, err := Read([]byte(foreignSPDX), SPDX)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range [][]Format{{SPDX}, {SPDXTagValue, SPDX}, {SPDXTagValue, SPDXTagValue, SPDX}} {
		now := g
		var doc []byte
		for _, f := range path {
			var buf bytes.Buffer
			losses, err := now.Write(&buf, f)
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range losses {
				if !l.Kept {
					t.Errorf("%v: lost: %+v", path, l)
				}
			}
			doc = buf.Bytes()
			if now, err = Read(doc, f); err != nil {
				t.Fatalf("%v: %v\n%s", path, err, doc)
			}
			if again := encode(t, now, f); !bytes.Equal(doc, again) {
				t.Errorf("%v: not stable:\n%s\n%s", path, doc, again)
			}
		}
		var before, after map[string]any
		if json.Unmarshal([]byte(foreignSPDX), &before) != nil || json.Unmarshal(doc, &after) != nil {
			t.Fatal("not JSON")
		}
		delete(before, "documentNamespace") // of another document
		if missing := contained("", before, after); missing != "" {
			t.Errorf("%v: %s is not there any more\n%s", path, missing, doc)
		}
	}

	// What changed is not repeated as it was.
	g.Root().Declared = License{Expression: "ISC"}
	doc := encode(t, g, SPDX)
	if !bytes.Contains(doc, []byte(`"licenseDeclared": "ISC"`)) || bytes.Contains(doc, []byte("(MIT OR")) {
		t.Errorf("%s", doc)
	}
	losses, err := g.Write(new(bytes.Buffer), CycloneDX)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"files", "component.summary", "relationships", "component.originator"} {
		if !slices.ContainsFunc(losses, func(l Loss) bool { return l.Field == want && !l.Kept && l.Why != "" }) {
			t.Errorf("%s is not reported as lost: %+v", want, losses)
		}
	}
}

func TestForeignTagValue(t *testing.T) {
	g, err := Read([]byte(foreignTagValue), SPDXTagValue)
	if err != nil {
		t.Fatal(err)
	}
	doc := string(encode(t, g, SPDXTagValue))
	for line := range strings.Lines(foreignTagValue) {
		line = strings.ReplaceAll(strings.ReplaceAll(line, "PACKAGE_MANAGER", "PACKAGE-MANAGER"), "plain", "<text>plain</text>")
		if !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "DocumentNamespace") && !strings.Contains(doc, line) {
			t.Errorf("%q is gone\n%s", line, doc)
		}
	}
	if again, err := Read([]byte(doc), SPDXTagValue); err != nil || string(encode(t, again, SPDXTagValue)) != doc {
		t.Errorf("not stable: %v", err)
	}
	// Lines may end as they do on other systems.
	if _, err := Read([]byte(strings.ReplaceAll(foreignTagValue, "\n", "\r\n")), SPDXTagValue); err != nil {
		t.Error(err)
	}
	for _, c := range []struct{ name, old, new, want string }{
		{"unknown tag", "PackageComment", "PackageRemark", "line 18: tag \"PackageRemark\""},
		{"other section's tag", "PackageDownloadLocation", "FileType", "line 14: tag \"FileType\""},
		{"twice", "PackageDownloadLocation: NOASSERTION", "PackageName: b\nPackageName: c\nSPDXID: SPDXRef-App", ""},
		{"tag twice", "PackageDownloadLocation: NOASSERTION", "PackageDownloadLocation: a\nPackageDownloadLocation: b", "line 15: the tag comes twice"},
		{"no colon", "DataLicense: CC0-1.0", "DataLicense", "line 3: want a tag"},
		{"value of the rules", "SHA1: 85", "SHA-1: 85", "line 15, /packages/0/checksums"},
		{"checksum", "PackageChecksum: SHA1: 85ed", "PackageChecksum: SHA1: xyz", "sha1"},
		{"missing", "PackageDownloadLocation: NOASSERTION\n", "", "line 12, /packages/0: want downloadLocation"},
		{"text open", "line two</text>", "line two", "line 18: <text> without"},
		{"after text", "line two</text>", "line two</text> x", "line 18: something follows"},
		{"annotation of nothing", "SPDXREF: SPDXRef-App", "SPDXREF: SPDXRef-B", "line 26: annotation of"},
		{"relationship", "SPDXRef-DOCUMENT DESCRIBES SPDXRef-App", "SPDXRef-DOCUMENT DESCRIBES", "line 25: want a relationship"},
		{"not UTF-8", "plain", "\xff", "UTF-8"},
		{"version", "SPDX-2.3", "SPDX-2.2", "SPDX-2.2"},
		{"late version", "SPDXVersion", "#", "want SPDXVersion first"},
	} {
		_, err := Read([]byte(strings.Replace(foreignTagValue, c.old, c.new, 1)), SPDXTagValue)
		var fe *provenance.FormatError
		if !errors.As(err, &fe) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

const foreignSPDX3 = `{"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld", "@graph": [
  {"type": "CreationInfo", "@id": "_:c", "specVersion": "3.0.1", "created": "2024-01-02T03:04:05Z", "createdBy": ["https://example.org/jane"], "createdUsing": ["https://example.org/tool"], "comment": "c"},
  {"type": "Person", "spdxId": "https://example.org/jane", "creationInfo": "_:c", "name": "Jane",
   "externalIdentifier": [{"type": "ExternalIdentifier", "externalIdentifierType": "email", "identifier": "jane@example.org"}]},
  {"type": "Tool", "spdxId": "https://example.org/tool", "creationInfo": "_:c", "name": "tool"},
  {"type": "Organization", "spdxId": "https://example.org/org", "creationInfo": "_:c", "name": "Org", "comment": "of note"},
  {"type": "SpdxDocument", "spdxId": "https://example.org/doc", "creationInfo": "_:c", "name": "theirs", "rootElement": ["https://example.org/bom"], "comment": "d",
   "import": [{"type": "ExternalMap", "externalSpdxId": "https://example.org/elsewhere"}]},
  {"type": "software_Sbom", "spdxId": "https://example.org/bom", "creationInfo": "_:c", "software_sbomType": ["build"], "rootElement": ["https://example.org/app"]},
  {"type": "software_Package", "spdxId": "https://example.org/app", "creationInfo": "_:c", "name": "app", "software_packageVersion": "1", "software_packageUrl": "pkg:generic/app@1",
   "software_primaryPurpose": "archive", "summary": "s", "suppliedBy": "https://example.org/org", "software_homePage": "https://example.org", "builtTime": "2024-01-01T00:00:00Z",
   "verifiedUsing": [{"type": "Hash", "algorithm": "sha1", "hashValue": "85ed0817af83a24ad8da68c2b5094de69833983c"},
     {"type": "PackageVerificationCode", "algorithm": "sha1", "hashValue": "85ed0817af83a24ad8da68c2b5094de69833983c"}],
   "externalIdentifier": [{"type": "ExternalIdentifier", "externalIdentifierType": "gitoid", "identifier": "gitoid:blob:sha1:85ed0817af83a24ad8da68c2b5094de69833983c"}],
   "externalRef": [{"type": "ExternalRef", "externalRefType": "funding", "locator": ["https://example.org/pay"]}, {"type": "ExternalRef", "externalRefType": "vcs", "locator": ["https://example.org/x.git"]}],
   "extension": [{"type": "https://example.org/ext", "x": 1}]},
  {"type": "software_Package", "spdxId": "https://example.org/lib", "creationInfo": "_:c", "name": "lib"},
  {"type": "software_File", "spdxId": "https://example.org/file", "creationInfo": "_:c", "name": "main.c", "software_primaryPurpose": "source"},
  {"type": "simplelicensing_LicenseExpression", "spdxId": "https://example.org/mit", "creationInfo": "_:c", "simplelicensing_licenseExpression": "MIT"},
  {"type": "Relationship", "spdxId": "https://example.org/r1", "creationInfo": "_:c", "from": "https://example.org/app", "relationshipType": "hasConcludedLicense", "to": ["https://example.org/mit"]},
  {"type": "Relationship", "spdxId": "https://example.org/r2", "creationInfo": "_:c", "from": "https://example.org/app", "relationshipType": "contains", "to": ["https://example.org/file", "https://example.org/lib"]},
  {"type": "Relationship", "spdxId": "https://example.org/r3", "creationInfo": "_:c", "from": "https://example.org/app", "relationshipType": "dependsOn", "to": ["https://example.org/lib"], "completeness": "incomplete"},
  {"type": "security_Vulnerability", "spdxId": "https://example.org/v", "creationInfo": "_:c", "name": "CVE-1"}]}`

func TestForeignSPDX3(t *testing.T) {
	g, err := Read([]byte(foreignSPDX3), SPDX3)
	if err != nil {
		t.Fatal(err)
	}
	root := g.Root()
	if root.Name != "app" || root.Supplier.Name != "Org" || root.Concluded.Expression != "MIT" || root.Dependencies != Incomplete || g.Creation.Phase != "build" ||
		len(g.Creation.Authors) != 1 || g.Creation.Authors[0].Email != "jane@example.org" || g.Creation.Tool.Name != "tool" {
		t.Errorf("%+v %+v", g.Creation, root)
	}
	var buf bytes.Buffer
	losses, err := g.Write(&buf, SPDX3)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range losses {
		if !l.Kept {
			t.Errorf("lost: %+v", l)
		}
	}
	back, err := Read(buf.Bytes(), SPDX3)
	if err != nil {
		t.Fatalf("%v\n%s", err, buf.Bytes())
	}
	if again := encode(t, back, SPDX3); !bytes.Equal(buf.Bytes(), again) {
		t.Errorf("not stable:\n%s\n%s", buf.Bytes(), again)
	}
	for _, want := range []string{"of note", `"summary": "s"`, "software_homePage", "builtTime", "PackageVerificationCode", "gitoid:blob", "funding", "x.git", "example.org/ext",
		"main.c", "https://example.org/r2", "CVE-1", "ExternalMap", `"comment": "d"`, `"name": "theirs"`, `"comment": "c"`} {
		if !bytes.Contains(buf.Bytes(), []byte(want)) {
			t.Errorf("%s is gone", want)
		}
	}
	for _, gone := range []string{"https://example.org/r1\"", "https://example.org/r3\"", "https://example.org/mit\""} {
		if bytes.Contains(buf.Bytes(), []byte(gone)) {
			t.Errorf("%s is said twice", gone)
		}
	}

	root.Digests = append(root.Digests, digest(provenance.SHA256, "a"))
	st, err := Statement([]provenance.ResourceDescriptor{{Name: "app", Digest: provenance.DigestSet{digest(provenance.SHA256, "a")}}}, encode(t, g, SPDX3), SPDX)
	if err != nil || st.PredicateType() != string(SPDX3) {
		t.Errorf("%v %v", st, err)
	}

	for _, c := range []struct{ name, old, new, want string }{
		{"class", `"type": "Tool"`, `"type": "Hammer"`, "line 5, /@graph/2: no object of type"},
		{"property", `"summary"`, `"software_sbomType"`, "line 11, /@graph/6/software_sbomType"},
		{"creation", `"creationInfo": "_:c", "name": "theirs"`, `"creationInfo": "_:d", "name": "theirs"`, "is not defined"},
		{"root", `"rootElement": ["https://example.org/app"]`, `"rootElement": ["https://example.org/nobody"]`, "is not defined"},
		{"root in circles", `"rootElement": ["https://example.org/app"]`, `"rootElement": ["https://example.org/bom"]`, "circles"},
		{"same name", `"spdxId": "https://example.org/lib"`, `"spdxId": "https://example.org/app"`, "two elements"},
		{"hash", `"hashValue": "85ed0817af83a24ad8da68c2b5094de69833983c"},`, `"hashValue": "85"},`, "sha1"},
		{"version", `"specVersion": "3.0.1"`, `"specVersion": "3.1.0"`, "3.1.0"},
	} {
		_, err := Read([]byte(strings.Replace(foreignSPDX3, c.old, c.new, 1)), SPDX3)
		var fe *provenance.FormatError
		if !errors.As(err, &fe) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}
