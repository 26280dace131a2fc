package sbom

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// What this package keeps in properties may fill what a document leaves unsaid,
// and never contradict what everybody else reads in it.
func TestAttackPropertyContradicts(t *testing.T) {
	cdx := `{"bomFormat":"CycloneDX","specVersion":"1.6","version":1,"components":[{"type":"library","bom-ref":"b","name":"evil","version":"1.0","purl":"pkg:npm/evil@1.0","scope":"required",
		"licenses":[{"license":{"id":"GPL-3.0-only"}},{"license":{"id":"GPL-3.0-only","acknowledgement":"concluded"}}],"properties":[{"name":"hallmark:%s","value":%q}]}]}`
	spdx := `{"spdxVersion":"SPDX-2.3","dataLicense":"CC0-1.0","SPDXID":"SPDXRef-DOCUMENT","name":"d","documentNamespace":"https://example.org/d","creationInfo":{"created":"2026-01-01T00:00:00Z","creators":["Tool: t"]},
		"packages":[{"SPDXID":"SPDXRef-a","name":"evil","versionInfo":"1.0","downloadLocation":"NONE","licenseDeclared":"GPL-3.0-only","licenseConcluded":"GPL-3.0-only",
		"externalRefs":[{"referenceCategory":"PACKAGE-MANAGER","referenceType":"purl","referenceLocator":"pkg:npm/evil@1.0"}],
		"annotations":[{"annotationDate":"2026-01-01T00:00:00Z","annotationType":"OTHER","annotator":"Tool: hallmark","comment":%q}]}],
		"relationships":[{"spdxElementId":"SPDXRef-DOCUMENT","relationshipType":"DESCRIBES","relatedSpdxElement":"SPDXRef-a"}]}`
	for _, p := range [][2]string{
		{"purl", "pkg:npm/good@1.0"}, {"name", "good"}, {"version", "2.0"}, {"scope", "excluded"},
		{"licence:declared:expression", "MIT"}, {"licence:concluded:expression", "MIT"}, {"licence:concluded:name", "MIT"}, {"licence:acknowledgement", "concluded"},
	} {
		for format, doc := range map[Format]string{CycloneDX: fmt.Sprintf(cdx, p[0], p[1]), SPDX: fmt.Sprintf(spdx, "hallmark:"+p[0]+"="+p[1])} {
			if format == SPDX && p[0] == "scope" {
				continue // which SPDX does not have
			}
			g, err := Read([]byte(doc), format)
			if err != nil {
				continue
			}
			c := g.Components()[0]
			if c.Name != "evil" || c.Version != "1.0" || c.PURL != "pkg:npm/evil@1.0" || c.Scope == Excluded || c.Declared.Expression != "GPL-3.0-only" || c.Concluded.Expression != "GPL-3.0-only" || c.Concluded.Name != "" {
				t.Errorf("%s: hallmark:%s=%s makes %q %q %q %q of the component, declared %+v, concluded %+v", format, p[0], p[1], c.Name, c.Version, c.PURL, c.Scope, c.Declared, c.Concluded)
			}
		}
	}
}

// A component with several package URLs is not known by the first alone.
func TestAttackSeveralPackageURLs(t *testing.T) {
	ref := func(url, comment string) string {
		return fmt.Sprintf(`{"referenceCategory":"PACKAGE-MANAGER","referenceType":"purl","referenceLocator":%q%s}`, url, comment)
	}
	for name, tt := range map[string]struct {
		refs string
		want bool
	}{
		"one":                {ref("pkg:npm/a@1.0", ""), false},
		"one, spelled twice": {ref("pkg:npm/a@1.0", "") + "," + ref("pkg:NPM/a@1.0", ""), false},
		"two":                {ref("pkg:npm/good@1.0", "") + "," + ref("pkg:npm/evil@1.0", ""), true},
		"one with a comment": {ref("pkg:npm/evil@1.0", `,"comment":"x"`), true},
	} {
		doc := `{"spdxVersion":"SPDX-2.3","dataLicense":"CC0-1.0","SPDXID":"SPDXRef-DOCUMENT","name":"d","documentNamespace":"https://example.org/d","creationInfo":{"created":"2026-01-01T00:00:00Z","creators":["Tool: t"]},
			"packages":[{"SPDXID":"SPDXRef-a","name":"a","versionInfo":"1.0","downloadLocation":"NONE","externalRefs":[` + tt.refs + `]}],
			"relationships":[{"spdxElementId":"SPDXRef-DOCUMENT","relationshipType":"DESCRIBES","relatedSpdxElement":"SPDXRef-a"}]}`
		g, err := Read([]byte(doc), SPDX)
		if err != nil {
			t.Fatal(err)
		}
		noted := false
		for _, gap := range g.Unknowns() {
			noted = noted || gap.Component == "SPDXRef-a" && gap.Reason == ReasonPackageURLs
		}
		if noted != tt.want {
			t.Errorf("%s: noted %t, want %t: %+v", name, noted, tt.want, g.Unknowns())
		}
	}
}

// Packages of a kind that the graph does not hold are not silently left out.
func TestAttackOtherPackagesOfSPDX3(t *testing.T) {
	g := &Graph{Creation: Creation{Created: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Tool: Tool{"t", "1"}}}
	g.Add(Component{Type: Application, Name: "app", Version: "1", PURL: "pkg:npm/app@1"})
	g.Add(Component{Name: "model", Version: "1", PURL: "pkg:npm/model@1"})
	var b strings.Builder
	if _, err := g.Write(&b, SPDX3); err != nil {
		t.Fatal(err)
	}
	doc := b.String()
	const pkg = `"type":"software_Package"`
	doc = strings.ReplaceAll(doc, `"type": "`, `"type":"`)
	at := strings.LastIndex(doc, pkg)
	if at < 0 {
		t.Fatal(doc)
	}
	doc = doc[:at] + `"type":"dataset_DatasetPackage","dataset_datasetType":["text"],"releaseTime":"2026-01-01T00:00:00Z","builtTime":"2026-01-01T00:00:00Z"` + doc[at+len(pkg):]
	g, err := Read([]byte(doc), SPDX3)
	if err != nil {
		t.Fatal(err)
	}
	for _, gap := range g.Unknowns() {
		if gap.Field == FieldComponents && gap.Reason == ReasonNotRead {
			return
		}
	}
	t.Errorf("%d components, and nothing says that one is left out: %+v", len(g.Components()), g.Unknowns())
}

// What one bill ships is shipped, whatever the other bill says.
func TestAttackMergedScope(t *testing.T) {
	for _, tt := range []struct{ a, b, want Scope }{
		{Required, Excluded, Required}, {Excluded, Required, Required}, {"", Excluded, ""}, {Excluded, "", ""},
		{Excluded, Optional, Optional}, {Excluded, Excluded, Excluded}, {"", Optional, Optional}, {"", Required, Required},
	} {
		g, other := new(Graph), new(Graph)
		for i, x := range []*Graph{g, other} {
			x.Add(Component{Type: Application, Name: "app", PURL: "pkg:npm/app@1"})
			x.Add(Component{Name: "a", PURL: "pkg:npm/a@1", Scope: []Scope{tt.a, tt.b}[i]})
		}
		g.Merge(other)
		if got := g.FindPURL("pkg:npm/a@1")[0].Scope; got != tt.want {
			t.Errorf("%q merged with %q is %q, want %q", tt.a, tt.b, got, tt.want)
		}
	}
}
