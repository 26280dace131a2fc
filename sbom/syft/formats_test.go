package syft_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/CycloneDX/cyclonedx-go"
	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx"
	"github.com/spdx/tools-golang/tagvalue"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/sbom"
)

var (
	jsonFormats = map[string]sbom.Format{"1.4": sbom.CycloneDX14, "1.5": sbom.CycloneDX15, "1.6": sbom.CycloneDX16, "1.7": sbom.CycloneDX17}
	xmlFormats  = map[string]sbom.Format{"1.4": sbom.CycloneDXXML14, "1.5": sbom.CycloneDXXML15, "1.6": sbom.CycloneDXXML16, "1.7": sbom.CycloneDXXML17}
)

// bill makes a graph of n components.
func bill(t testing.TB, n int) *sbom.Graph {
	g := &sbom.Graph{Creation: sbom.Creation{Created: time.Unix(1_700_000_000, 0), Tool: sbom.Tool{Name: "t", Version: "1"}, Phase: "build",
		Authors: []sbom.Party{{Name: "A", Email: "a@example.org"}}, Manufacturer: sbom.Party{Name: "Org", URL: "https://example.org"}}}
	root := g.Add(sbom.Component{Type: sbom.Application, Name: "root", Version: "1", Dependencies: sbom.Complete})
	prev := root
	for i := range n {
		id := g.Add(sbom.Component{Name: fmt.Sprintf("p%d", i), Version: "1", PURL: fmt.Sprintf("pkg:npm/p%d@1", i), Declared: sbom.License{Expression: "MIT"},
			Digests: provenance.DigestSet{provenance.MustDigest(fmt.Sprintf("sha256:%064x", i)), provenance.MustDigest(fmt.Sprintf("sha512:%0128x", i))}, Copyright: []string{"Copyright 2020 X"},
			Supplier: sbom.Party{Name: "X"}, CPEs: []string{"cpe:2.3:a:x:y:1:*:*:*:*:*:*:*"}, Dependencies: sbom.Complete,
			References: []sbom.Reference{{Kind: "distribution", URL: "https://example.org/x.tgz"}, {Kind: "vcs", URL: "https://example.org/x.git"}}})
		for _, from := range []string{root, prev} {
			if err := g.Relate(from, sbom.DependsOn, id); err != nil {
				t.Fatal(err)
			}
		}
		prev = id
	}
	return g
}

func encode(t testing.TB, g *sbom.Graph, f sbom.Format) []byte {
	t.Helper()
	doc, err := g.Encode(f)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// Other readers find in documents what was put there.
func TestPeersRead(t *testing.T) {
	g := bill(t, 100)
	for fileFormat, formats := range map[cyclonedx.BOMFileFormat]map[string]sbom.Format{cyclonedx.BOMFileFormatJSON: jsonFormats, cyclonedx.BOMFileFormatXML: xmlFormats} {
		for v, f := range formats {
			var bom cyclonedx.BOM
			if err := cyclonedx.NewBOMDecoder(bytes.NewReader(encode(t, g, f)), fileFormat).Decode(&bom); err != nil {
				t.Errorf("%s: %v", f, err)
				continue
			}
			if bom.SpecVersion.String() != v || len(*bom.Components) != 100 || len(*bom.Dependencies) != 101 || bom.Metadata.Component.Name != "root" {
				t.Errorf("%s: %s, %d components, %d dependencies", f, bom.SpecVersion, len(*bom.Components), len(*bom.Dependencies))
			}
			for _, c := range *bom.Components {
				if len(*c.Hashes) != 2 || len(*c.Licenses) != 1 || c.PackageURL == "" || c.CPE == "" || c.Supplier.Name != "X" || len(*c.ExternalReferences) != 2 {
					t.Fatalf("%s: %+v", f, c)
				}
			}
		}
	}
	for f, read := range map[sbom.Format]func([]byte) (*spdx.Document, error){
		sbom.SPDX:         func(b []byte) (*spdx.Document, error) { return spdxjson.Read(bytes.NewReader(b)) },
		sbom.SPDXTagValue: func(b []byte) (*spdx.Document, error) { return tagvalue.Read(bytes.NewReader(b)) },
	} {
		doc, err := read(encode(t, g, f))
		if err != nil {
			t.Errorf("%s: %v", f, err)
			continue
		}
		if len(doc.Packages) != 101 || len(doc.Relationships) < 200 || doc.CreationInfo == nil {
			t.Errorf("%s: %d packages, %d relationships", f, len(doc.Packages), len(doc.Relationships))
		}
		for _, p := range doc.Packages {
			if p.PackageName != "root" && (len(p.PackageChecksums) != 2 || p.PackageLicenseDeclared != "MIT" || len(p.PackageExternalReferences) != 2) {
				t.Fatalf("%s: %+v", f, p)
			}
		}
	}
}

// What other writers write is read, and says the same.
func TestPeersWrite(t *testing.T) {
	g := bill(t, 100)
	var bom cyclonedx.BOM
	if err := cyclonedx.NewBOMDecoder(bytes.NewReader(encode(t, g, sbom.CycloneDX17)), cyclonedx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	for v, spec := range map[string]cyclonedx.SpecVersion{"1.4": cyclonedx.SpecVersion1_4, "1.5": cyclonedx.SpecVersion1_5, "1.6": cyclonedx.SpecVersion1_6, "1.7": cyclonedx.SpecVersion1_7} {
		for fileFormat, f := range map[cyclonedx.BOMFileFormat]sbom.Format{cyclonedx.BOMFileFormatJSON: jsonFormats[v], cyclonedx.BOMFileFormatXML: xmlFormats[v]} {
			var buf bytes.Buffer
			if err := cyclonedx.NewBOMEncoder(&buf, fileFormat).EncodeVersion(&bom, spec); err != nil {
				t.Fatal(err)
			}
			back, err := sbom.Read(buf.Bytes(), f)
			if err != nil {
				t.Errorf("%s: %v", f, err)
				continue
			}
			if len(back.Components()) != 101 || len(back.Relationships()) != len(g.Relationships()) || len(back.FindPURL("pkg:npm/p7@1")) != 1 {
				t.Errorf("%s: %d components, %d relationships", f, len(back.Components()), len(back.Relationships()))
			}
		}
	}
	doc, err := spdxjson.Read(bytes.NewReader(encode(t, g, sbom.SPDX)))
	if err != nil {
		t.Fatal(err)
	}
	var js, tv bytes.Buffer
	if err := spdxjson.Write(doc, &js); err != nil {
		t.Fatal(err)
	}
	if err := tagvalue.Write(doc, &tv); err != nil {
		t.Fatal(err)
	}
	for f, b := range map[sbom.Format][]byte{sbom.SPDX: js.Bytes(), sbom.SPDXTagValue: tv.Bytes()} {
		back, err := sbom.Read(b, f)
		if err != nil {
			t.Errorf("%s: %v", f, err)
			continue
		}
		if len(back.Components()) != 101 || len(back.Relationships()) != len(g.Relationships()) {
			t.Errorf("%s: %d components, %d relationships", f, len(back.Components()), len(back.Relationships()))
		}
	}
}

// XML is valid by the schemas that cyclonedx-go carries, where xmllint is there
// to say so.
func TestXMLSchema(t *testing.T) {
	xmllint, err := exec.LookPath("xmllint")
	if err != nil {
		t.Skip(err)
	}
	module, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/CycloneDX/cyclonedx-go").Output()
	if err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	for _, name := range []string{"spdx.xsd", "bom-1.4.xsd", "bom-1.5.xsd", "bom-1.6.xsd", "bom-1.7.xsd"} {
		data, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(module)), "schema", name))
		if err != nil {
			t.Skip(err)
		}
		data = bytes.ReplaceAll(data, []byte(`schemaLocation="http://cyclonedx.org/schema/spdx"`), []byte(`schemaLocation="spdx.xsd"`))
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	graphs := map[string]*sbom.Graph{"ours": bill(t, 10)}
	files, _ := filepath.Glob("../../../shared/data/cyclonedx/1.*/valid-*.json")
	for _, name := range files {
		doc, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if graphs[name], err = sbom.Read(doc, sbom.CycloneDX); err != nil {
			t.Fatal(err)
		}
	}
	for v, f := range xmlFormats {
		args := []string{"--nonet", "--noout", "--schema", filepath.Join(dir, "bom-"+v+".xsd")}
		for name, g := range graphs {
			file := filepath.Join(dir, v+"-"+strings.TrimSuffix(filepath.Base(name), ".json")+".xml")
			if err := os.WriteFile(file, encode(t, g, f), 0o666); err != nil {
				t.Fatal(err)
			}
			args = append(args, file)
		}
		if out, err := exec.Command(xmllint, args...).CombinedOutput(); err != nil {
			lines := strings.Split(string(out), "\n")
			lines = lines[:min(len(lines), 400)]
			for _, l := range lines {
				if l != "" && !strings.HasSuffix(l, " validates") {
					t.Errorf("%s: %s", f, l)
				}
			}
		}
	}
}

// The same documents, read and written by this module and by the formats' own.
func BenchmarkFormats(b *testing.B) {
	g := bill(b, 10_000)
	run := func(name string, doc []byte, f func() error) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(doc)))
			b.ReportAllocs()
			before := cpu()
			for b.Loop() {
				if err := f(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64((cpu()-before).Microseconds())/1000/float64(b.N), "cpu-ms/op")
		})
	}
	for _, f := range []sbom.Format{sbom.CycloneDX16, sbom.CycloneDXXML16, sbom.SPDX, sbom.SPDXTagValue, sbom.SPDX3} {
		doc := encode(b, g, f)
		name := strings.ReplaceAll(f.String(), " ", "-")
		run(name+"/read/hallmark", doc, func() error { _, err := sbom.Read(doc, f); return err })
		if f != sbom.SPDXTagValue && f != sbom.SPDX3 {
			run(name+"/components/hallmark", doc, func() error {
				return sbom.ReadComponents(bytes.NewReader(doc), f, func(*sbom.Component) error { return nil })
			})
		}
		run(name+"/write/hallmark", doc, func() error { _, err := g.Write(new(bytes.Buffer), f); return err })
		switch f {
		case sbom.CycloneDX16, sbom.CycloneDXXML16:
			format := cyclonedx.BOMFileFormatJSON
			if f == sbom.CycloneDXXML16 {
				format = cyclonedx.BOMFileFormatXML
			}
			var bom cyclonedx.BOM
			run(name+"/read/cyclonedx-go", doc, func() error {
				bom = cyclonedx.BOM{}
				return cyclonedx.NewBOMDecoder(bytes.NewReader(doc), format).Decode(&bom)
			})
			run(name+"/write/cyclonedx-go", doc, func() error {
				return cyclonedx.NewBOMEncoder(new(bytes.Buffer), format).SetPretty(true).Encode(&bom)
			})
		case sbom.SPDX, sbom.SPDXTagValue:
			var peer *spdx.Document
			run(name+"/read/tools-golang", doc, func() (err error) {
				if f == sbom.SPDX {
					peer, err = spdxjson.Read(bytes.NewReader(doc))
				} else {
					peer, err = tagvalue.Read(bytes.NewReader(doc))
				}
				return err
			})
			run(name+"/write/tools-golang", doc, func() error {
				if f == sbom.SPDX {
					return spdxjson.Write(peer, new(bytes.Buffer), spdxjson.Indent("  "))
				}
				return tagvalue.Write(peer, new(bytes.Buffer))
			})
		}
	}
}
