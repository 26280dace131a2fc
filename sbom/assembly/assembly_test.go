package assembly_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/assembly"
	"github.com/hallmark-build/hallmark/sbom/gate"
)

var creation = sbom.Creation{Created: time.Unix(1_700_000_000, 0), Tool: sbom.Tool{Name: "test"}}

func digest(c string) provenance.DigestSet {
	return provenance.DigestSet{provenance.MustDigest("sha256:" + strings.Repeat(c, 64))}
}

func document(t testing.TB, f sbom.Format, name, c string, deps ...string) []byte {
	t.Helper()
	g := &sbom.Graph{Creation: creation}
	root := g.Add(sbom.Component{Type: sbom.Application, Name: name, Version: "1", PURL: "pkg:npm/" + name + "@1", Digests: digest(c), Dependencies: sbom.Complete})
	for _, d := range deps {
		if err := g.Relate(root, sbom.DependsOn, g.Add(sbom.Component{Name: d, Version: "1", PURL: "pkg:npm/" + d + "@1", Digests: digest("d"), Dependencies: sbom.Complete})); err != nil {
			t.Fatal(err)
		}
	}
	doc, err := g.Encode(f)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func open(t testing.TB, doc []byte) *assembly.Part {
	t.Helper()
	p, err := assembly.Open(doc)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var product = sbom.Component{Type: sbom.Application, Name: "product", Version: "1", Dependencies: sbom.Complete}

func rules(r *gate.Report) (list []string) {
	for _, f := range r.Findings {
		list = append(list, f.Rule)
	}
	return list
}

func TestAssemble(t *testing.T) {
	app := open(t, document(t, sbom.CycloneDX, "app", "a", "shared", "only-app"))
	lib := open(t, document(t, sbom.SPDX, "lib", "b", "shared"))
	if !strings.HasPrefix(app.Link(), "urn:cdx:") || !strings.HasSuffix(app.Link(), "/1#pkg:npm/app@1") || !strings.Contains(lib.Link(), "#SPDXRef-") {
		t.Errorf("links %s and %s", app.Link(), lib.Link())
	}
	g, err := assembly.Assemble(creation, product, app, lib)
	if err != nil {
		t.Fatal(err)
	}
	if state, reasons := g.Completeness(); state != sbom.Incomplete || !slices.Contains(reasons, assembly.ReasonLinked) {
		t.Errorf("%s for %v", state, reasons)
	}
	for _, f := range []sbom.Format{sbom.CycloneDX, sbom.SPDX} {
		doc, err := g.Encode(f)
		if err != nil {
			t.Fatal(err)
		}
		back, err := sbom.Read(doc, f)
		if err != nil {
			t.Fatal(err)
		}
		// Also when it is read back, links hold.
		if r, err := assembly.Check(back, app, lib); err != nil || r.Err() != nil {
			t.Errorf("%s: %v %v %+v", f, err, r.Err(), r.Findings)
		}
		whole, err := assembly.Flatten(back, lib, app)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, c := range whole.Components() {
			names = append(names, c.Name)
		}
		slices.Sort(names)
		if got := strings.Join(names, " "); got != "app lib only-app product shared" || whole.Root().Name != "product" {
			t.Errorf("%s: %s about %s", f, got, whole.Root().Name)
		}
		if state, reasons := whole.Completeness(); state != sbom.Complete {
			t.Errorf("%s: the whole is %s for %v", f, state, reasons)
		}
	}
}

// SPDX has a field for documents that are linked, and repeats it.
func TestExternalDocumentRef(t *testing.T) {
	lib := open(t, document(t, sbom.SPDX, "lib", "b", "shared"))
	g, err := assembly.Assemble(creation, product, lib)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []sbom.Format{sbom.SPDX, sbom.SPDXTagValue} {
		doc, err := g.Encode(f)
		if err != nil {
			t.Fatal(err)
		}
		namespace, _, _ := strings.Cut(lib.Link(), "#")
		for _, want := range []string{"DocumentRef-", namespace, "DESCRIBED_BY", ":SPDXRef-DOCUMENT"} {
			if !strings.Contains(string(doc), want) {
				t.Errorf("%s: no %s in\n%s", f, want, doc)
			}
		}
		back, err := sbom.Read(doc, f)
		if err != nil {
			t.Fatalf("%v\n%s", err, doc)
		}
		if again, err := back.Encode(f); err != nil || string(again) != string(doc) {
			t.Errorf("%s: it does not come back: %v\n%s\n%s", f, err, doc, again)
		}
		if r, err := assembly.Check(back, lib); err != nil || r.Err() != nil {
			t.Errorf("%s: %v, %v", f, err, r.Err())
		}
	}
}

func TestLinksThatDoNotHold(t *testing.T) {
	doc := document(t, sbom.CycloneDX, "app", "a", "x")
	app, lib := open(t, doc), open(t, document(t, sbom.CycloneDX, "lib", "b"))
	g := func() *sbom.Graph {
		g, err := assembly.Assemble(creation, product, app)
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	// Another document under the same serial number.
	changed := open(t, []byte(strings.Replace(string(doc), `"version": "1"`, `"version": "1" `, 1)))
	part := func(g *sbom.Graph) *sbom.Component { return g.FindPURL("pkg:npm/app@1")[0] }
	for name, c := range map[string]struct {
		change func(*sbom.Component)
		parts  []*assembly.Part
		want   []string
	}{
		"holds":          {nil, []*assembly.Part{app}, nil},
		"missing":        {nil, nil, []string{assembly.RuleMissing}},
		"another":        {nil, []*assembly.Part{lib}, []string{assembly.RuleMissing, assembly.RuleUnclaimed}},
		"changed":        {nil, []*assembly.Part{changed}, []string{assembly.RuleChanged}},
		"one too many":   {nil, []*assembly.Part{app, lib}, []string{assembly.RuleUnclaimed}},
		"no digest":      {func(c *sbom.Component) { c.References[0].Digests = nil }, []*assembly.Part{app}, []string{assembly.RuleNoDigest}},
		"another name":   {func(c *sbom.Component) { c.Name = "x" }, []*assembly.Part{app}, []string{assembly.RuleAnother}},
		"another digest": {func(c *sbom.Component) { c.Digests = digest("c") }, []*assembly.Part{app}, []string{assembly.RuleAnother}},
		"weak digest": {func(c *sbom.Component) {
			c.References[0].Digests = provenance.DigestSet{provenance.MustDigest("sha1:" + strings.Repeat("a", 40))}
		}, []*assembly.Part{app}, []string{assembly.RuleNoDigest}},
	} {
		g := g()
		if c.change != nil {
			c.change(part(g))
		}
		r, err := assembly.Check(g, c.parts...)
		if err != nil || !slices.Equal(rules(r), c.want) {
			t.Errorf("%s: %v, %v, want %v", name, err, rules(r), c.want)
		}
		if _, err := assembly.Flatten(g, c.parts...); (err == nil) != (c.want == nil) {
			t.Errorf("%s: flatten: %v", name, err)
		}
	}
	if _, err := assembly.Check(g(), app, app); err == nil {
		t.Error("a part twice: no error")
	}
	if _, err := assembly.Assemble(creation, product, app, app); err == nil {
		t.Error("a part twice: no error")
	}
	if _, err := assembly.Assemble(creation, product); err == nil {
		t.Error("no parts: no error")
	}
	// edge55: a bill that links to nothing proves nothing.
	if r, err := assembly.Check(new(sbom.Graph)); err != nil || r.Err() == nil {
		t.Errorf("nothing: %v, %v", err, r.Err())
	}
}

func TestOpenRefuses(t *testing.T) {
	for name, doc := range map[string]string{
		"nothing":   "",
		"no serial": `{"bomFormat":"CycloneDX","specVersion":"1.6","metadata":{"component":{"type":"application","name":"a","bom-ref":"a"}}}`,
		"no root":   `{"bomFormat":"CycloneDX","specVersion":"1.6","serialNumber":"urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79","version":1}`,
		"no ref":    `{"bomFormat":"CycloneDX","specVersion":"1.6","serialNumber":"urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79","version":1,"metadata":{"component":{"type":"application","name":"a"}}}`,
	} {
		if p, err := assembly.Open([]byte(doc)); err == nil {
			t.Errorf("%s: %s", name, p.Link())
		}
	}
	p, err := assembly.Open([]byte(`{"bomFormat":"CycloneDX","specVersion":"1.6","serialNumber":"urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79","version":2,"metadata":{"component":{"type":"application","name":"a","bom-ref":"a b#c%"}}}`))
	if err != nil || p.Link() != "urn:cdx:3e671687-395b-41f5-a30f-a58921a69b79/2#a%20b%23c%25" {
		t.Errorf("%v, %v", p, err)
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(document(f, sbom.CycloneDX, "app", "a", "x"))
	f.Add(document(f, sbom.SPDX, "app", "a", "x"))
	f.Fuzz(func(t *testing.T, doc []byte) {
		p, err := assembly.Open(doc)
		if err != nil {
			return
		}
		g, err := assembly.Assemble(creation, product, p)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := assembly.Check(g, p); err != nil || r.Err() != nil {
			t.Errorf("%q: %v, %v", doc, err, r.Err())
		}
	})
}

func Example() {
	bill := func(name string) []byte {
		g := &sbom.Graph{Creation: creation}
		g.Add(sbom.Component{Type: sbom.Application, Name: name, Version: "1", PURL: "pkg:generic/" + name + "@1"})
		doc, err := g.Encode(sbom.CycloneDX)
		if err != nil {
			fmt.Println(err)
		}
		return doc
	}
	server, err := assembly.Open(bill("server"))
	if err != nil {
		fmt.Println(err)
	}
	g, err := assembly.Assemble(creation, sbom.Component{Type: sbom.Application, Name: "suite", Version: "7"}, server)
	if err != nil {
		fmt.Println(err)
	}
	report, err := assembly.Check(g, server)
	fmt.Println(server.Link() == g.Components()[1].References[0].URL, report.Err(), err)
	// Output: true <nil> <nil>
}
