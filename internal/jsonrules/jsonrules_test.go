package jsonrules

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hallmark-build/hallmark/internal/spdxlicense"
)

func TestFormats(t *testing.T) {
	want := "cyclonedx-1.4 cyclonedx-1.5 cyclonedx-1.6 cyclonedx-1.7 spdx-2.3 spdx-3.0.1"
	if got := strings.Join(Formats(), " "); got != want {
		t.Errorf("%s", got)
	}
	for _, f := range Formats() {
		if _, err := load(f); err != nil {
			t.Errorf("%s: %v", f, err)
		}
	}
	if err := Check([]byte("{}"), 0, "cyclonedx-9"); err == nil {
		t.Error("a format without rules was checked")
	}
}

func cdx(version, rest string) string {
	return `{"bomFormat":"CycloneDX","specVersion":"` + version + `",` + `"version":1` + rest + "}"
}

func spdx3(elements string) string {
	return `{"@context":"https://spdx.org/rdf/3.0.1/spdx-context.jsonld","@graph":[` + elements + `]}`
}

func TestCheck(t *testing.T) {
	component := func(s string) string { return `,"components":[{"type":"library","name":"a"` + s + `}]` }
	cases := []struct {
		name, format, doc string
		path, reason      string // "" where the document is good
	}{
		{"smallest", "cyclonedx-1.4", cdx("1.4", ""), "", ""},
		{"smallest", "cyclonedx-1.7", cdx("1.7", ""), "", ""},
		{"empty", "cyclonedx-1.6", "", "", "json-syntax"},
		{"list", "cyclonedx-1.6", "[]", "", ReasonSchema},
		{"unknown field", "cyclonedx-1.6", cdx("1.6", "") + "x", "", "json-syntax"},
		{"field of a later version", "cyclonedx-1.6", cdx("1.6", `,"citations":[]`), "/citations", ReasonSchema},
		{"field of this version", "cyclonedx-1.7", cdx("1.7", `,"citations":[]`), "", ""},
		{"type", "cyclonedx-1.6", cdx("1.6", `,"components":[{"name":"a"}]`), "/components/0", ReasonSchema},
		{"enum", "cyclonedx-1.6", cdx("1.6", component(`,"scope":"x"`)), "/components/0/scope", ReasonSchema},
		{"duplicate", "cyclonedx-1.6", cdx("1.6", component(`,"scope":"required","scope":"required"`)), "/components/0", "json-duplicate-name"},
		{"not unique", "cyclonedx-1.6", cdx("1.6", `,"components":[{"type":"library","name":"a"},{"name":"a","type":"library"}]`), "/components/1", ReasonSchema},
		{"pattern", "cyclonedx-1.6", cdx("1.6", `,"serialNumber":"urn:uuid:1"`), "/serialNumber", ReasonSchema},
		{"licence", "cyclonedx-1.6", cdx("1.6", component(`,"licenses":[{"license":{"id":"MIT-0"}}]`)), "", ""},
		{"no licence", "cyclonedx-1.6", cdx("1.6", component(`,"licenses":[{"license":{"id":"MIT-9"}}]`)), "/components/0/licenses/0/license/id", ReasonSchema},
		{"licences mixed", "cyclonedx-1.6", cdx("1.6", component(`,"licenses":[{"license":{"id":"MIT"}},{"expression":"MIT"}]`)), "/components/0/licenses/1/expression", ReasonSchema},
		{"licences mixed, 1.7", "cyclonedx-1.7", cdx("1.7", component(`,"licenses":[{"license":{"id":"MIT"}},{"expression":"MIT"}]`)), "", ""},
		{"version and range", "cyclonedx-1.7", cdx("1.7", component(`,"version":"1","versionRange":"vers:npm/1"`)), "/components/0", ReasonSchema},
		{"range of what is inside", "cyclonedx-1.7", cdx("1.7", component(`,"isExternal":false,"versionRange":"vers:npm/1"`)), "/components/0", ReasonSchema},
		{"range of what is outside", "cyclonedx-1.7", cdx("1.7", component(`,"isExternal":true,"versionRange":"vers:npm/1"`)), "", ""},
		{"time", "cyclonedx-1.6", cdx("1.6", `,"metadata":{"timestamp":"2020-04-13"}`), "/metadata/timestamp", ReasonSchema},
		{"signature", "cyclonedx-1.6", cdx("1.6", `,"signature":{"algorithm":"ES256","publicKey":{"kty":"EC","crv":"P-256","x":"a","y":"b"},"value":"c"}`), "", ""},
		{"key of another kind", "cyclonedx-1.6", cdx("1.6", `,"signature":{"algorithm":"ES256","publicKey":{"kty":"EC","n":"a","e":"b"},"value":"c"}`), "/signature/publicKey/n", ReasonSchema},
		{"whole number", "cyclonedx-1.6", `{"bomFormat":"CycloneDX","specVersion":"1.6","version":1.5}`, "/version", ReasonSchema},
		{"deep", "cyclonedx-1.6", cdx("1.6", `,"components":`+strings.Repeat(`[{"type":"library","name":"a","components":`, 300)), "", "json-limit"},
		{"SPDX", "spdx-2.3", `{"SPDXID":"SPDXRef-DOCUMENT","spdxVersion":"SPDX-2.3","name":"a","dataLicense":"CC0-1.0","creationInfo":{"created":"x","creators":["Tool: x"]}}`, "", ""},
		{"SPDX without a name", "spdx-2.3", `{"SPDXID":"SPDXRef-DOCUMENT","spdxVersion":"SPDX-2.3"}`, "", ReasonSchema},
		{"SPDX 3", "spdx-3.0.1", spdx3(`{"type":"Person","spdxId":"urn:p","creationInfo":"_:c"}`), "", ""},
		{"SPDX 3, creation in place", "spdx-3.0.1", spdx3(`{"type":"Person","spdxId":"urn:p","creationInfo":{"type":"CreationInfo","created":"2024-01-01T00:00:00Z","createdBy":["SpdxOrganization"],"specVersion":"3.0.1"}}`), "", ""},
		{"SPDX 3, creation by a tool", "spdx-3.0.1", spdx3(`{"type":"Person","spdxId":"urn:p","creationInfo":{"type":"CreationInfo","created":"2024-01-01T00:00:00Z","createdBy":["tool"],"specVersion":"3.0.1"}}`), "/@graph/0/creationInfo/createdBy/0", ReasonSchema},
		{"SPDX 3, no identifier", "spdx-3.0.1", spdx3(`{"type":"Person","creationInfo":"_:c"}`), "/@graph/0", ReasonSchema},
		{"SPDX 3, blank identifier", "spdx-3.0.1", spdx3(`{"type":"Person","spdxId":"_:p","creationInfo":"_:c"}`), "/@graph/0/spdxId", ReasonSchema},
		{"SPDX 3, no type", "spdx-3.0.1", spdx3(`{"spdxId":"urn:p","creationInfo":"_:c"}`), "/@graph/0", ReasonSchema},
		{"SPDX 3, abstract type", "spdx-3.0.1", spdx3(`{"type":"Element","spdxId":"urn:p","creationInfo":"_:c"}`), "/@graph/0", ReasonSchema},
		{"SPDX 3, another class's property", "spdx-3.0.1", spdx3(`{"type":"Person","spdxId":"urn:p","creationInfo":"_:c","software_packageVersion":"1"}`), "/@graph/0/software_packageVersion", ReasonSchema},
		{"SPDX 3, a hash in place of an agent", "spdx-3.0.1", spdx3(`{"type":"software_Package","spdxId":"urn:p","creationInfo":"_:c","suppliedBy":{"type":"Hash","algorithm":"md5","hashValue":"x"}}`), "/@graph/0/suppliedBy", ReasonSchema},
		{"SPDX 3, relationship to nothing", "spdx-3.0.1", spdx3(`{"type":"Relationship","spdxId":"urn:p","creationInfo":"_:c","from":"urn:a","to":[],"relationshipType":"contains"}`), "/@graph/0/to", ReasonSchema},
		{"SPDX 3, extension", "spdx-3.0.1", spdx3(`{"type":"Person","spdxId":"urn:p","creationInfo":"_:c","extension":[{"type":"urn:mine","x":1}]}`), "", ""},
		{"SPDX 3, property without a name", "spdx-3.0.1", spdx3(`{"type":"Person","spdxId":"urn:p","creationInfo":"_:c","extension":[{"type":"extension_CdxPropertiesExtension","extension_cdxProperty":[{"type":"extension_CdxPropertyEntry"}]}]}`), "/@graph/0/extension/0/extension_cdxProperty/0", ReasonSchema},
		{"SPDX 3.0.0", "spdx-3.0.1", `{"@context":"https://spdx.org/rdf/3.0.0/spdx-context.jsonld","@graph":[]}`, "/@context", ReasonSchema},
	}
	for _, c := range cases {
		err := Check([]byte(c.doc), 0, c.format)
		var e *Error
		if c.reason == "" {
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		} else if !errors.As(err, &e) || e.Reason != c.reason || c.path != "" && e.Path != c.path {
			t.Errorf("%s: %v (%+v), want %s at %q", c.name, err, e, c.reason, c.path)
		}
	}
	err := Check([]byte("{\n\n \"bomFormat\": \"X\"}"), 0, "cyclonedx-1.6")
	if e := err.(*Error); e.Line != 3 || e.Offset != 17 {
		t.Errorf("%+v, want line 3", e)
	}
}

// Alternatives are read again and again; that must not multiply.
func TestHostile(t *testing.T) {
	deep := strings.Repeat(`{"signers":[`, 100) + strings.Repeat(`]}`, 100)
	for _, doc := range []string{
		cdx("1.7", `,"signature":`+deep),
		cdx("1.7", `,"components":`+strings.Repeat(`[{"type":"library","name":"a","components":`, 40)+"[]"+strings.Repeat("}]", 40)),
		cdx("1.7", `,"metadata":{"tools":[`+strings.Repeat(`{},`, 100_000)+`{}]}`),
	} {
		Check([]byte(doc), 0, "cyclonedx-1.7")
	}
}

// The examples that the specification's authors publish are judged as their
// names say.
func TestOfficialExamples(t *testing.T) {
	files, _ := filepath.Glob("../../../shared/data/cyclonedx/1.*/*.json")
	if len(files) == 0 {
		t.Skip("the official examples are not here")
	}
	for _, name := range files {
		doc, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		err = Check(doc, 0, "cyclonedx-"+filepath.Base(filepath.Dir(name)))
		if valid := strings.HasPrefix(filepath.Base(name), "valid-"); valid != (err == nil) {
			t.Errorf("%s: %v", name, err)
		}
	}
	t.Logf("%d examples", len(files))
}

// The licence list of the schema is one that this program knows whole.
func TestLicences(t *testing.T) {
	data, err := os.ReadFile("../../../shared/data/cyclonedx/schema/spdx.schema.json")
	if err != nil {
		t.Skip("the official schemas are not here")
	}
	var list struct{ Enum []string }
	if err := json.Unmarshal(data, &list); err != nil {
		t.Fatal(err)
	}
	for _, id := range list.Enum {
		if !licence(id) {
			t.Errorf("%s is not known (ID gives %q)", id, spdxlicense.ID(id))
		}
	}
}

func FuzzCheck(f *testing.F) {
	for _, format := range Formats() {
		f.Add(format, []byte(cdx(strings.TrimPrefix(format, "cyclonedx-"), `,"components":[{"type":"library","name":"a","licenses":[{"expression":"MIT"}]}]`)))
	}
	f.Fuzz(func(t *testing.T, format string, doc []byte) {
		err := Check(doc, 0, format)
		var e *Error
		if errors.As(err, &e) && (e.Offset < 0 || e.Offset > len(doc) || e.Line < 1 || e.Reason == "") {
			t.Errorf("%+v", e)
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	component := `{"type":"library","name":"a","version":"1","hashes":[{"alg":"SHA-1","content":"` + strings.Repeat("a", 40) + `"}],"licenses":[{"license":{"id":"MIT"}}],"bom-ref":"`
	var list []string
	for i := range 10_000 {
		list = append(list, component+strings.Repeat("x", i%7)+string(rune('a'+i%26))+strings.Repeat("y", i/26)+`"}`)
	}
	doc := []byte(cdx("1.6", `,"components":[`+strings.Join(list, ",")+"]"))
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		if err := Check(doc, 0, "cyclonedx-1.6"); err != nil {
			b.Fatal(err)
		}
	}
}
