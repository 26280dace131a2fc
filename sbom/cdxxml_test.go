package sbom

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/hallmark-build/hallmark/provenance"
)

// A document of somebody else, with what the graph has no place for.
const foreignXML = `<?xml version="1.0"?>
<!-- theirs -->
<c:bom xmlns:c="http://cyclonedx.org/schema/bom/1.6" xmlns:x="https://example.org/x" serialNumber="urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79" version="2">
  <c:metadata>
    <c:timestamp>2024-01-02T03:04:05Z</c:timestamp>
    <c:tools><c:tool><c:vendor>V</c:vendor><c:name>t</c:name></c:tool></c:tools>
    <c:component type="application" bom-ref="app" mime-type="text/plain" x:mark="1"><c:name>app</c:name></c:component>
    <c:supplier><c:name>S</c:name></c:supplier>
  </c:metadata>
  <c:components>
    <c:component type="library" bom-ref="lib">
      <c:publisher>P</c:publisher>
      <c:group>g</c:group>
      <c:name>lib</c:name>
      <c:version>1</c:version>
      <c:hashes><c:hash alg="SHA-1">85ed0817af83a24ad8da68c2b5094de69833983c</c:hash></c:hashes>
      <c:licenses><c:license bom-ref="l"><c:id>MIT</c:id><c:url>https://example.org/l</c:url></c:license></c:licenses>
      <c:pedigree><c:notes> as is </c:notes></c:pedigree>
      <c:components><c:component type="file"><c:name>inner</c:name></c:component></c:components>
      <x:more><x:deep c:attr="2">text</x:deep></x:more>
    </c:component>
  </c:components>
  <c:services><c:service bom-ref="svc"><c:name>s</c:name></c:service></c:services>
  <c:dependencies>
    <c:dependency ref="app"><c:dependency ref="lib"/><c:dependency ref="svc"/></c:dependency>
  </c:dependencies>
  <c:compositions><c:composition><c:aggregate>incomplete_first_party_only</c:aggregate></c:composition></c:compositions>
  <x:extra/>
</c:bom>
`

func TestForeignXML(t *testing.T) {
	f, err := Detect([]byte(foreignXML))
	if err != nil || f != CycloneDXXML16 {
		t.Fatal(f, err)
	}
	g, err := Read([]byte(foreignXML), f)
	if err != nil {
		t.Fatal(err)
	}
	lib := g.Component("lib")
	if len(g.Components()) != 3 || g.Root().Name != "app" || lib.Name != "g/lib" || lib.Declared.Expression != "MIT" || len(g.Relationships()) != 2 {
		t.Errorf("%+v %+v %v", g.Components(), lib, g.Relationships())
	}
	for _, f := range []Format{CycloneDXXML16, CycloneDXXML17} {
		var buf bytes.Buffer
		losses, err := g.Write(&buf, f)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range losses {
			if !l.Kept {
				t.Errorf("%s: lost: %+v", f, l)
			}
		}
		doc := buf.String()
		back, err := Read(buf.Bytes(), f)
		if err != nil {
			t.Fatalf("%v\n%s", err, doc)
		}
		if again := encode(t, back, f); string(again) != doc {
			t.Errorf("not stable:\n%s\n%s", doc, again)
		}
		for _, want := range []string{"<vendor>V</vendor>", `mime-type="text/plain"`, `mark="1"`, "<supplier>", "<publisher>P</publisher>", "<group>g</group>", "<name>lib</name>",
			"<url>https://example.org/l</url>", "<notes> as is </notes>", `<more xmlns="https://example.org/x">`, "text</deep>", `<service bom-ref="svc">`, `<dependency ref="svc"/>`,
			"incomplete_first_party_only", `<extra xmlns="https://example.org/x"/>`} {
			if !strings.Contains(doc, want) {
				t.Errorf("%s: %s is gone\n%s", f, want, doc)
			}
		}
	}
	losses, err := g.Write(new(bytes.Buffer), CycloneDX)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"services", "component.pedigree", "compositions"} {
		if !slices.ContainsFunc(losses, func(l Loss) bool { return l.Field == want && !l.Kept }) {
			t.Errorf("%s is not reported as lost: %+v", want, losses)
		}
	}
}

func TestXMLRefuses(t *testing.T) {
	for _, c := range []struct{ name, old, new, want string }{
		{"version", "bom/1.6", "bom/1.3", "is not read"},
		{"entity", "<!-- theirs -->", `<!DOCTYPE bom [<!ENTITY a "b">]>`, "line 2: a document type"},
		{"undefined entity", "<c:name>app</c:name>", "<c:name>&app;</c:name>", "line 7: not XML"},
		{"attribute twice", `type="library"`, `type="library" type="file"`, "line 11: attribute"},
		{"element twice", "<x:extra/>", "<c:services/>", "line 28: /bom: element \"services\""},
		{"type", `type="library"`, `type="book"`, "line 11"},
		{"scope", "<c:version>1</c:version>", "<c:version>1</c:version><c:scope>near</c:scope>", "line 15"},
		{"hash", "85ed08", "85", "line 16, /component/hashes/hash: "},
		{"deep inside", "<c:notes> as is </c:notes>", "<c:notes/><c:notes/>", "line 18, /component/pedigree: "},
		{"unknown inside", "<c:name>s</c:name>", "<c:name>s</c:name><c:colour/>", "line 23, /services/service: the format has no element \"colour\""},
		{"no name", "<c:name>lib</c:name>", "", "line 11"},
		{"bom-ref twice", `bom-ref="lib"`, `bom-ref="app"`, "twice"},
		{"dangling", `<c:dependency ref="svc"/>`, `<c:dependency ref="gone"/>`, "gone"},
		{"dependency without ref", `<c:dependency ref="svc"/>`, `<c:dependency/>`, "line 25"},
		{"text between", "<c:services>", "<c:services>x", "text between"},
		{"cut", "</c:bom>", "", "line"},
		{"trailing", "</c:bom>", "</c:bom><x/>", "follows"},
		{"encoding", `version="1.0"?`, `version="1.0" encoding="UTF-16"?`, "line 1"},
	} {
		doc := []byte(strings.Replace(foreignXML, c.old, c.new, 1))
		f, err := Detect(doc)
		if err == nil {
			_, err = Read(doc, f)
		}
		var fe *provenance.FormatError
		if !errors.As(err, &fe) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	deep := `<bom xmlns="http://cyclonedx.org/schema/bom/1.6"><services>` + strings.Repeat("<a>", 100_000)
	if _, err := Read([]byte(deep), CycloneDXXML16); err == nil || !strings.Contains(err.Error(), "deeper") {
		t.Error(err)
	}
}
