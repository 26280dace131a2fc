package sbom

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/provenance"
)

var formats = []Format{CycloneDX, SPDX, CycloneDX14, CycloneDX15, CycloneDX17, SPDXTagValue, SPDX3, CycloneDXXML14, CycloneDXXML15, CycloneDXXML16, CycloneDXXML17}

func digest(alg provenance.Algorithm, c string) provenance.Digest {
	n := map[provenance.Algorithm]int{provenance.SHA256: 64, provenance.SHA512: 128, provenance.DirHash: 64, "sha1": 40}[alg]
	d, err := provenance.NewDigest(alg, strings.Repeat(c, n))
	if err != nil {
		panic(err)
	}
	return d
}

func digests(c string) provenance.DigestSet {
	return provenance.DigestSet{digest(provenance.SHA256, c), digest(provenance.SHA512, c)}
}

// sample returns a graph that uses every field. Components, relationships and
// unknowns are added in an order that depends on seed.
func sample(t testing.TB, seed uint64) *Graph {
	t.Helper()
	g := &Graph{Creation: Creation{
		Created: time.Date(2026, 2, 3, 4, 5, 6, 7, time.FixedZone("", 3600)),
		Tool:    Tool{"hallmark", "1.0"}, Phase: "build",
		Authors:      []Party{{Name: "A. Person", Email: "a@example.org", URL: "https://example.org/a"}, {Name: "B (the other)"}},
		Manufacturer: Party{Name: "Example Org", URL: "https://example.org", Email: "sbom@example.org"},
	}}
	components := []Component{
		{ID: "app", Type: Application, Name: "app", Version: "v1.2.3", PURL: "pkg:golang/example.org/app@v1.2.3", Digests: digests("a"),
			Dependencies: Complete, Properties: []Property{{"bsi:component:filename", "app"}, {"a=b%", "c=d"}}},
		{ID: "lib", Type: Library, Name: "example.org/Lib", Version: "v0.1.0", PURL: "pkg:golang/example.org/lib@v0.1.0",
			Digests:  append(digests("b"), digest(provenance.DirHash, "c")),
			Declared: License{Expression: "MIT OR Apache-2.0"}, Concluded: License{Expression: "MIT"},
			Copyright: []string{"Copyright 2020 X", "Copyright 2019 <Y> & \"Z\""}, Supplier: Party{Name: "X (Y)", Email: "x@example.org", URL: "https://x.example.org"},
			References: []Reference{{"distribution", "https://proxy.example.org/lib.zip", digests("b")}, {"vcs", "https://example.org/lib.git", nil},
				{"website", "https://example.org", provenance.DigestSet{digest(provenance.DirHash, "d")}}},
			Evidence:     []Evidence{{FieldIdentity, Observed, 100, "go build info"}, {FieldDeclared, Inferred, 93, "text of LICENSE"}},
			Dependencies: Unknown},
		{ID: "lib2", Name: "lib2", Declared: License{Name: "ACME, \"odd\" licence"}, Concluded: License{Expression: "LicenseRef-x AND GPL-2.0-only WITH Classpath-exception-2.0"},
			CPEs: []string{"cpe:2.3:a:x:lib2:1:*:*:*:*:*:*:*", "cpe:/a:x:lib2"}, Scope: Optional, Dependencies: Incomplete},
		{ID: "tool", Type: Application, Name: "go", Version: "1.26", Scope: Excluded, PURL: "pkg:generic/go@1.26"},
		{ID: "dup1", Name: "twin", Version: "1", PURL: "pkg:npm/twin@1", Digests: digests("1")},
		{ID: "dup2", Name: "twin", Version: "1", PURL: "pkg:npm/twin@1", Digests: digests("2")},
		{ID: "model", Type: Model, Name: "weights", Declared: License{Expression: "MIT"}, Concluded: License{Expression: "MIT"}},
	}
	rels := []Relationship{{"app", DependsOn, "lib"}, {"app", DependsOn, "lib2"}, {"lib", DependsOn, "lib2"}, {"app", BuiltWith, "tool"},
		{"app", Contains, "model"}, {"lib2", DependsOn, "dup1"}, {"lib2", DependsOn, "dup2"}, {"app", DependsOn, "lib"}}
	gaps := []Gap{{"lib2", FieldVersion, "no-version", "nothing says\nwhich"}, {"lib2", FieldDigests, "not-in-cache", ""},
		{"", FieldComponents, "cgo", "C code is not listed"}, {"app", FieldDependencies, "cgo", ""}}
	r := rand.New(rand.NewPCG(seed, 1))
	r.Shuffle(len(components), func(i, j int) { components[i], components[j] = components[j], components[i] })
	r.Shuffle(len(rels), func(i, j int) { rels[i], rels[j] = rels[j], rels[i] })
	r.Shuffle(len(gaps), func(i, j int) { gaps[i], gaps[j] = gaps[j], gaps[i] })
	for _, c := range components {
		g.Add(c)
	}
	for _, x := range rels {
		if err := g.Relate(x.From, x.Kind, x.To); err != nil {
			t.Fatal(err)
		}
	}
	for _, x := range gaps {
		g.AddUnknown(x)
	}
	if err := g.SetRoot("app"); err != nil {
		t.Fatal(err)
	}
	return g
}

func encode(t testing.TB, g *Graph, f Format) []byte {
	t.Helper()
	doc, err := g.Encode(f)
	if err != nil {
		t.Fatalf("%s: %v", f, err)
	}
	return doc
}

func TestDeterministic(t *testing.T) {
	for _, f := range formats {
		want := encode(t, sample(t, 0), f)
		for seed := range uint64(20) {
			if got := encode(t, sample(t, seed), f); !bytes.Equal(got, want) {
				t.Fatalf("%s: order of addition changes the document: %s", f, cmp.Diff(string(want), string(got)))
			}
		}
		// Other content, other serial number.
		g := sample(t, 0)
		g.Component("lib").Version = "v0.1.1"
		if got := encode(t, g, f); bytes.Equal(serialOf(t, got), serialOf(t, want)) {
			t.Errorf("%s: two documents share a serial number", f)
		}
	}
}

func serialOf(t *testing.T, doc []byte) []byte {
	for line := range bytes.Lines(doc) {
		if bytes.Contains(line, []byte("serialNumber")) || bytes.Contains(line, []byte("ocumentNamespace")) || bytes.Contains(line, []byte("#SPDXRef-DOCUMENT")) {
			return line
		}
	}
	t.Fatal("no serial number")
	return nil
}

func TestRoundTrip(t *testing.T) {
	for _, f := range formats {
		doc := encode(t, sample(t, 0), f)
		g, err := Read(doc, f)
		if err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		if again := encode(t, g, f); !bytes.Equal(doc, again) {
			t.Errorf("%s: %s", f, cmp.Diff(string(doc), string(again)))
		}
		if found, err := Detect(doc); found != f {
			t.Errorf("Detect = %q, %v; want %q", found, err, f)
		}
		// Nothing is lost on the way through the other format.
		for _, other := range formats {
			via, err := Read(encode(t, g, other), other)
			if err != nil {
				t.Fatal(err)
			}
			if again := encode(t, via, f); !bytes.Equal(doc, again) {
				t.Errorf("%s by way of %s: %s", f, other, cmp.Diff(string(doc), string(again)))
			}
		}
	}
}

func TestRead(t *testing.T) {
	for _, f := range formats {
		g, err := Read(encode(t, sample(t, 0), f), f)
		if err != nil {
			t.Fatal(err)
		}
		if len(g.Components()) != 7 || g.Root().Name != "app" {
			t.Errorf("%s: %d components, root %q", f, len(g.Components()), g.Root().Name)
		}
		if got := g.FindPURL("pkg:GOLANG/example.org/Lib@v0.1.0"); len(got) != 1 || got[0].Name != "example.org/Lib" {
			t.Errorf("%s: by package URL: %v", f, got)
		}
		if got := g.FindDigest(digest(provenance.SHA512, "2")); len(got) != 1 || got[0].Name != "twin" {
			t.Errorf("%s: by digest: %v", f, got)
		}
		if got := g.FindDigest(provenance.Digest{}); got != nil {
			t.Errorf("%s: the zero digest finds %v", f, got)
		}
		state, reasons := g.Completeness()
		if state != Unknown || strings.Join(reasons, " ") != "cgo dependencies-unknown" {
			t.Errorf("%s: completeness %v %v", f, state, reasons)
		}
	}
}

func TestCompleteness(t *testing.T) {
	var g Graph
	root := g.Add(Component{Name: "root", Dependencies: Complete})
	dep := g.Add(Component{Name: "dep", Dependencies: Complete})
	tool := g.Add(Component{Name: "tool", Scope: Excluded})
	g.Relate(root, DependsOn, dep)
	g.Relate(root, BuiltWith, tool)
	if s, why := g.Completeness(); s != Complete {
		t.Errorf("all known, but %v %v", s, why)
	}
	g.AddUnknown(Gap{Component: dep, Field: FieldConcluded, Reason: "x"})
	if s, why := g.Completeness(); s != Complete {
		t.Errorf("an unknown licence makes the list %v %v", s, why)
	}
	g.AddUnknown(Gap{Component: dep, Field: FieldDependencies, Reason: "cgo"})
	if s, why := g.Completeness(); s != Incomplete || len(why) != 1 || why[0] != "cgo" {
		t.Errorf("claimed complete in spite of a known gap: %v %v", s, why)
	}
	if s, _ := new(Graph).Completeness(); s != Unknown {
		t.Errorf("empty graph is %v", s)
	}
}

func TestHostileText(t *testing.T) {
	evil := "a\xff\x00\u2028<script>\"\\\r\n\u202e=:%3D, ../../etc"
	g := &Graph{Creation: Creation{Created: time.Unix(0, 0), Tool: Tool{Name: evil, Version: evil}, Authors: []Party{{evil, evil, evil}}}}
	root := g.Add(Component{Name: evil, Version: evil, PURL: evil, CPEs: []string{evil}, Declared: License{Name: evil}, Concluded: License{Name: evil},
		Copyright: []string{evil}, Supplier: Party{evil, evil, evil}, Properties: []Property{{evil, evil}},
		Evidence: []Evidence{{Field: FieldIdentity, Source: Inferred, Method: evil}}, Digests: digests("a")})
	g.AddUnknown(Gap{root, FieldVersion, "x", evil})
	g.AddUnknown(Gap{"", FieldComponents, "x", evil})
	for _, f := range formats {
		doc := encode(t, g, f)
		back, err := Read(doc, f)
		if err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		if again := encode(t, back, f); !bytes.Equal(doc, again) {
			t.Errorf("%s: %s", f, cmp.Diff(string(doc), string(again)))
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	cases := map[string]func(g *Graph){
		"no time":           func(g *Graph) { g.Creation.Created = time.Time{} },
		"nobody":            func(g *Graph) { g.Creation = Creation{Created: time.Unix(1, 0)} },
		"phase":             func(g *Graph) { g.Creation.Phase = "later" },
		"unnamed":           func(g *Graph) { g.Add(Component{}) },
		"type":              func(g *Graph) { g.Component("lib").Type = "thing" },
		"scope":             func(g *Graph) { g.Component("lib").Scope = "thing" },
		"expression":        func(g *Graph) { g.Component("lib").Declared = License{Expression: "see LICENSE"} },
		"reserved property": func(g *Graph) { g.Component("lib").Properties = []Property{{"hallmark:type", "x"}} },
		"zero digest":       func(g *Graph) { g.Component("lib").Digests = provenance.DigestSet{{}} },
		"two digests": func(g *Graph) {
			g.Component("lib").Digests = provenance.DigestSet{digest(provenance.SHA256, "1"), digest(provenance.SHA256, "2")}
		},
		"reference":  func(g *Graph) { g.Component("lib").References = []Reference{{"x", "https://x", nil}} },
		"evidence":   func(g *Graph) { g.Component("lib").Evidence = []Evidence{{Field: "x", Source: "hearsay"}} },
		"gap":        func(g *Graph) { g.AddUnknown(Gap{Field: FieldDigests}) },
		"gap's home": func(g *Graph) { g.AddUnknown(Gap{Component: "gone", Field: FieldDigests, Reason: "x"}) },
	}
	for name, spoil := range cases {
		for _, f := range formats {
			g := sample(t, 0)
			spoil(g)
			var fe *provenance.FormatError
			if doc, err := g.Encode(f); !errors.As(err, &fe) {
				t.Errorf("%s, %s: %v, %d bytes", name, f, err, len(doc))
			}
		}
	}
	if _, err := new(Graph).Encode(CycloneDX); err == nil {
		t.Error("an empty graph was written")
	}
	if _, err := sample(t, 0).Encode("text"); err == nil {
		t.Error("an unknown format was written")
	}
}

func TestReadRefuses(t *testing.T) {
	root := `"metadata":{"component":{"type":"application","name":"a","bom-ref":"a"}}`
	cdx := func(rest string) string {
		return `{"bomFormat":"CycloneDX","specVersion":"1.6","version":1,` + rest + `}`
	}
	pkg := `"packages":[{"SPDXID":"SPDXRef-a","name":"a","downloadLocation":"NONE"}]`
	describes := `{"spdxElementId":"SPDXRef-DOCUMENT","relationshipType":"DESCRIBES","relatedSpdxElement":"SPDXRef-a"}`
	spdx := func(rest string) string {
		return `{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","name":"x","dataLicense":"CC0-1.0","creationInfo":{"created":"2026-01-01T00:00:00Z","creators":["Tool: x"]},` + rest + `}`
	}
	cases := []struct {
		name   string
		f      Format
		doc    string
		reason string
	}{
		{"edge34 late bomFormat", CycloneDX, `{"x":"` + strings.Repeat("x", 600) + `","bomFormat":"SPDX"}`, ReasonVersion},
		{"edge34 XML", CycloneDX, `<bom xmlns="http://cyclonedx.org/schema/bom/1.6"/>`, "json-syntax"},
		{"edge34 UTF-16", CycloneDX, "\xff\xfe{\x00}\x00", "json-syntax"},
		{"byte order mark", CycloneDX, "\xef\xbb\xbf" + cdx(root), "json-encoding"},
		{"version", CycloneDX, `{"bomFormat":"CycloneDX","specVersion":"1.3"}`, ReasonVersion},
		{"duplicate name", CycloneDX, cdx(root + `,"version":2`), "json-duplicate-name"},
		{"name case", CycloneDX, cdx(root + `,"Components":[]`), "json-name-case"},
		{"trailing data", CycloneDX, cdx(root) + "{}", "json-syntax"},
		{"type", CycloneDX, cdx(root + `,"components":[{"type":"x","name":"x"}]`), ReasonFormat},
		{"unnamed", CycloneDX, cdx(root + `,"components":[{"type":"library"}]`), ReasonFormat},
		{"reference twice", CycloneDX, cdx(root + `,"components":[{"type":"library","name":"x","bom-ref":"a"}]`), ReasonReference},
		{"dangling ref", CycloneDX, cdx(root + `,"dependencies":[{"ref":"b"}]`), ReasonReference},
		{"dangling dependsOn", CycloneDX, cdx(root + `,"dependencies":[{"ref":"a","dependsOn":["b"]}]`), ReasonReference},
		{"dependencies twice", CycloneDX, cdx(root + `,"dependencies":[{"ref":"a"},{"ref":"a","dependsOn":[]}]`), ReasonReference},
		{"dangling composition", CycloneDX, cdx(root + `,"compositions":[{"aggregate":"complete","dependencies":["b"]}]`), ReasonReference},
		{"hash length", CycloneDX, cdx(root + `,"components":[{"type":"library","name":"x","hashes":[{"alg":"SHA-256","content":"ab"}]}]`), ReasonFormat},
		{"two hashes", CycloneDX, cdx(root + `,"components":[{"type":"library","name":"x","hashes":[{"alg":"SHA-1","content":"` + strings.Repeat("a", 40) +
			`"},{"alg":"SHA-1","content":"` + strings.Repeat("b", 40) + `"}]}]`), ReasonFormat},
		{"bad evidence", CycloneDX, cdx(root + `,"components":[{"type":"library","name":"x","properties":[{"name":"hallmark:evidence:version","value":"x"}]}]`), ReasonFormat},
		{"deep", CycloneDX, cdx(root + `,"components":` + strings.Repeat(`[{"type":"library","name":"x","components":`, 100)), "json-limit"},
		{"SPDX version", SPDX, `{"spdxVersion":"SPDX-2.2"}`, ReasonVersion},
		{"SPDX no describes", SPDX, spdx(pkg), ReasonFormat},
		{"SPDX describes nothing", SPDX, spdx(`"relationships":[` + describes + `]`), ReasonReference},
		{"SPDX describes twice", SPDX, spdx(pkg + `,"relationships":[` + describes + `,` + describes + `]`), ReasonReference},
		{"SPDX dangling", SPDX, spdx(pkg + `,"relationships":[` + describes + `,{"spdxElementId":"SPDXRef-a","relationshipType":"DEPENDS_ON","relatedSpdxElement":"SPDXRef-b"}]`), ReasonReference},
		{"SPDX time", SPDX, `{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","name":"x","dataLicense":"CC0-1.0","creationInfo":{"created":"yesterday","creators":["Tool: x"]}}`, ReasonFormat},
		{"SPDX same id", SPDX, spdx(`"packages":[{"SPDXID":"x","name":"a","downloadLocation":"NONE"},{"SPDXID":"x","name":"b","downloadLocation":"NONE"}]`), ReasonReference},
		{"null", SPDX, `null`, "json-syntax"},
		{"empty", CycloneDX, ``, "json-syntax"},
		{"format", "x", `{}`, ReasonFormat},
	}
	for _, c := range cases {
		g, err := Read([]byte(c.doc), c.f)
		var fe *provenance.FormatError
		if !errors.As(err, &fe) || fe.Reason != c.reason {
			t.Errorf("%s: %v %v, want reason %s", c.name, g, err, c.reason)
		}
	}
	if _, err := Detect([]byte(`{"bomFormat":"CycloneDX","spdxVersion":"SPDX-2.3"}`)); err == nil {
		t.Error("a document of two formats was detected as one")
	}
	if _, err := Read([]byte(cdx(root)), CycloneDX); err != nil {
		t.Errorf("smallest CycloneDX document: %v", err)
	}
	if _, err := Read([]byte(spdx(pkg+`,"relationships":[`+describes+`]`)), SPDX); err != nil {
		t.Errorf("smallest SPDX document: %v", err)
	}
	if limits.SBOMComponents < 100_000 {
		t.Error("limit below what images have")
	}
}

func TestStatement(t *testing.T) {
	subject := func(name, c string) provenance.ResourceDescriptor {
		return provenance.ResourceDescriptor{Name: name, Digest: provenance.DigestSet{digest(provenance.SHA256, c)}}
	}
	for _, f := range formats {
		doc := encode(t, sample(t, 0), f)
		if f.PredicateType() == "" {
			if _, err := Statement([]provenance.ResourceDescriptor{subject("app", "a")}, doc, f); err == nil {
				t.Errorf("%s: a predicate that is not JSON", f)
			}
			continue
		}
		st, err := Statement([]provenance.ResourceDescriptor{subject("app", "a")}, doc, f)
		if err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		if st.PredicateType() != f.PredicateType() || !bytes.Equal(st.Predicate(), bytes.TrimSpace(doc)) {
			t.Errorf("%s: the predicate is not the document", f)
		}
		if !json.Valid(st.Payload()) {
			t.Error("not JSON")
		}
		if _, err := Statement([]provenance.ResourceDescriptor{subject("lib", "b"), subject("app", "a")}, doc, f); err != nil {
			t.Errorf("%s: with a component as a second subject: %v", f, err)
		}
		for name, subjects := range map[string][]provenance.ResourceDescriptor{
			"none":         nil,
			"another":      {subject("app", "e")},
			"no digest":    {{Name: "app"}},
			"only a part":  {subject("lib", "b")},
			"one too many": {subject("app", "a"), subject("other", "e")},
			"weak only":    {{Name: "app", Digest: provenance.DigestSet{digest("sha1", "a")}}},
			"disagreement": {{Name: "app", Digest: provenance.DigestSet{digest(provenance.SHA256, "a"), digest(provenance.SHA512, "b")}}},
		} {
			var fe *provenance.FormatError
			if _, err := Statement(subjects, doc, f); !errors.As(err, &fe) || fe.Reason != ReasonBinding {
				t.Errorf("%s, %s: %v", f, name, err)
			}
		}
	}
}

func TestMerge(t *testing.T) {
	build := &Graph{Creation: Creation{Created: time.Unix(0, 0), Tool: Tool{Name: "build"}}}
	app := build.Add(Component{Type: Application, Name: "app", Digests: digests("a"), Dependencies: Complete})
	lib := build.Add(Component{Name: "example.org/Lib", Version: "v1", PURL: "pkg:golang/example.org/lib@v1",
		Evidence: []Evidence{{FieldDigests, Observed, 100, "zip"}}, Digests: digests("b")})
	build.Relate(app, DependsOn, lib)
	build.AddUnknown(Gap{lib, FieldDeclared, "no-licence-file", ""})
	build.AddUnknown(Gap{lib, FieldSupplier, "nobody-said", ""})

	scan := &Graph{Creation: Creation{Created: time.Unix(9, 0), Tool: Tool{Name: "scan"}}}
	file := scan.Add(Component{Type: File, Name: "bin/app", Digests: digests("a")[:1]})
	slib := scan.Add(Component{Name: "lib", Version: "v1", PURL: "pkg:golang/Example.org/lib@v1", Declared: License{Expression: "MIT"},
		Evidence: []Evidence{{FieldDeclared, Inferred, 80, "scan"}}})
	extra := scan.Add(Component{Name: "left-pad", Version: "1", PURL: "pkg:npm/left-pad@1"})
	evil := scan.Add(Component{Name: "evil", Version: "v1", PURL: "pkg:golang/example.org/lib@v1", Digests: digests("e")})
	for _, to := range []string{slib, extra, evil} {
		scan.Relate(file, Contains, to)
	}
	build.Merge(scan)

	if n := len(build.Components()); n != 4 {
		t.Fatalf("%d components: %+v", n, build.Components())
	}
	if build.Root().Name != "app" || build.Creation.Tool.Name != "build" {
		t.Error("root or creation changed")
	}
	c := build.Component(lib)
	if c.Name != "example.org/Lib" || c.Declared.Expression != "MIT" || c.evidence(FieldDeclared).Method != "scan" {
		t.Errorf("%+v", c)
	}
	conflicts := 0
	for _, gap := range build.Unknowns() {
		switch {
		case gap.Reason == "digest-conflict":
			conflicts++
		case gap.Field == FieldDeclared:
			t.Error("the licence is known by now")
		}
	}
	if conflicts != 2 {
		t.Errorf("%d components in conflict, want 2", conflicts)
	}
	for _, r := range build.Relationships() {
		if build.Component(r.From) == nil || build.Component(r.To) == nil {
			t.Errorf("dangling %v", r)
		}
	}
	encode(t, build, CycloneDX)

	var empty Graph
	empty.Merge(sample(t, 3))
	if !bytes.Equal(encode(t, &empty, SPDX), encode(t, sample(t, 0), SPDX)) {
		t.Error("merging into an empty graph is not the identity")
	}
	twice := sample(t, 0)
	twice.Merge(sample(t, 5))
	if a, b := len(twice.Components()), len(sample(t, 0).Components()); a != b+2 { // what has neither package URL nor digest cannot be known to be the same
		t.Errorf("merging twice: %d components of %d", a, b)
	}
	if !bytes.Equal(encode(t, twice, CycloneDX), encode(t, func() *Graph { g := sample(t, 0); g.Merge(&Graph{}); return g }(), CycloneDX)) {
		t.Log("documents differ after a merge with itself; gaps of equal components are kept once")
	}
}

func TestContain(t *testing.T) {
	g := sample(t, 0)
	id, err := g.Contain(Component{Type: File, Name: "app.tar.gz", Digests: digests("f"), Dependencies: Complete})
	if err != nil || g.Root().ID != id {
		t.Fatal(err)
	}
	doc := encode(t, g, CycloneDX)
	if _, err := Statement([]provenance.ResourceDescriptor{{Name: "app.tar.gz", Digest: digests("f")}, {Name: "app", Digest: digests("a")}}, doc, CycloneDX); err != nil {
		t.Error(err)
	}
	if _, err := new(Graph).Contain(Component{Name: "x"}); err == nil {
		t.Error("nothing was contained")
	}
}

func fuzzRead(f *testing.F, format Format) {
	f.Add(encode(f, sample(f, 0), format))
	small := &Graph{Creation: Creation{Created: time.Unix(1, 0), Tool: Tool{Name: "t"}}}
	small.Add(Component{Name: "a", PURL: "pkg:npm/a@1", Declared: License{Expression: "MIT"}, Digests: digests("a")})
	f.Add(encode(f, small, format))
	f.Fuzz(func(t *testing.T, doc []byte) {
		g, err := Read(doc, format)
		if err != nil {
			return
		}
		for _, c := range g.Components() {
			_ = c.Digests.String()
		}
		g.Completeness()
		g.Creation.Created = time.Unix(1, 0)
		g.Creation.Tool.Name = "fuzz"
		out, err := g.Encode(format)
		if err != nil {
			return // a value that is read and not written, such as a licence in words
		}
		h, err := Read(out, format)
		if err != nil {
			t.Fatalf("cannot read what was written: %v\n%s", err, out)
		}
		again, err := h.Encode(format)
		if err != nil || !bytes.Equal(out, again) {
			t.Fatalf("not stable: %v\n%s", err, cmp.Diff(string(out), string(again)))
		}
	})
}

func FuzzReadCycloneDX(f *testing.F) { fuzzRead(f, CycloneDX) }
func FuzzReadSPDX(f *testing.F)      { f.Add([]byte(foreignSPDX)); fuzzRead(f, SPDX) }
func FuzzReadSPDX3(f *testing.F)     { f.Add([]byte(foreignSPDX3)); fuzzRead(f, SPDX3) }
func FuzzReadXML(f *testing.F) {
	f.Add([]byte(strings.Replace(foreignXML, "1.6", "1.7", 1)))
	fuzzRead(f, CycloneDXXML17)
}
func FuzzReadTagValue(f *testing.F) { f.Add([]byte(foreignTagValue)); fuzzRead(f, SPDXTagValue) }

func TestAppendIndented(t *testing.T) {
	for _, v := range []any{nil, "", `a"b\`, []any{}, map[string]any{}, map[string]any{"a{": []any{1, "x,y", map[string]any{}, []any{[]any{}}}, "b\\": map[string]any{":": `\"`}}, true, 1.5} {
		compact, err := compactJSON(v)
		if err != nil {
			t.Fatal(err)
		}
		var want bytes.Buffer
		if err := json.Indent(&want, compact, "    ", "  "); err != nil {
			t.Fatal(err)
		}
		if got := appendIndented(nil, compact, "    "); string(got) != want.String() {
			t.Errorf("%s: %s, want %s", compact, got, want.String())
		}
		if !equalButSpace(want.Bytes(), compact) {
			t.Errorf("%s is not equal to itself with space", compact)
		}
		if len(compact) > 2 && (equalButSpace(want.Bytes(), compact[:len(compact)-1]) || equalButSpace(append([]byte("0"), compact...), compact)) {
			t.Errorf("%s is equal to something else", compact)
		}
	}
}
