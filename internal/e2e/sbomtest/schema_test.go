package sbomtest

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/golang"
)

var shared = filepath.Join("..", "..", "..", "..", "shared", "data")

// compile compiles an official schema, with the schemas that it refers to.
func compile(t *testing.T, main string, others ...string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	// SPDX 3 has one pattern with a lookahead, which Go does not have.
	c.UseRegexpEngine(func(s string) (jsonschema.Regexp, error) {
		return regexp.Compile(strings.ReplaceAll(s, "^(?!_:).+:.+", "^(?:[^_].*:.+|_[^:].*:.+)"))
	})
	for _, name := range append(others, main) {
		f, err := os.Open(filepath.Join(shared, name))
		if err != nil {
			t.Skip("the official schemas are not here")
		}
		defer f.Close()
		doc, err := jsonschema.UnmarshalJSON(f)
		if err != nil {
			t.Fatal(err)
		}
		id := "https://example.org/" + name
		if m, ok := doc.(map[string]any); ok {
			if s, ok := m["$id"].(string); ok {
				id = s
			}
		}
		if err := c.AddResource(id, doc); err != nil {
			t.Fatal(err)
		}
		if name == main {
			s, err := c.Compile(id)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
	}
	return nil
}

func schemas(t *testing.T) map[sbom.Format]*jsonschema.Schema {
	spdx, _ := filepath.Glob(filepath.Join(shared, "spdx", "schema", "2.3", "*.json"))
	if len(spdx) == 0 {
		t.Skip("the official schemas are not here")
	}
	rel, err := filepath.Rel(shared, spdx[0])
	if err != nil {
		t.Fatal(err)
	}
	all := map[sbom.Format]*jsonschema.Schema{sbom.SPDX: compile(t, rel), sbom.SPDX3: compile(t, "spdx/schema/3.0.1/spdx-schema.json")}
	for v, f := range map[string]sbom.Format{"1.4": sbom.CycloneDX14, "1.5": sbom.CycloneDX15, "1.6": sbom.CycloneDX16, "1.7": sbom.CycloneDX17} {
		all[f] = compile(t, "cyclonedx/schema/bom-"+v+".schema.json", "cyclonedx/schema/spdx.schema.json",
			"cyclonedx/schema/jsf-0.82.schema.json", "cyclonedx/schema/cryptography-defs.schema.json")
	}
	return all
}

func validate(t *testing.T, schemas map[sbom.Format]*jsonschema.Schema, g *sbom.Graph) {
	t.Helper()
	for f, schema := range schemas {
		doc, err := g.Encode(f)
		if err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(doc))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(v); err != nil {
			t.Errorf("%s: %v\n%.3000s", f, err, doc)
		}
	}
}

func digest(s string) provenance.Digest { return provenance.MustDigest(s) }

// Every field at once, the ordinary and the hostile.
func TestEveryField(t *testing.T) {
	all := schemas(t)
	a64, a128 := strings.Repeat("a", 64), strings.Repeat("a", 128)
	evil := "a\xff\x00\u2028<script>\"\\\r\n= ../../etc"
	g := &sbom.Graph{Creation: sbom.Creation{
		Created: time.Unix(1_700_000_000, 0), Tool: sbom.Tool{Name: evil, Version: "1"}, Phase: "build",
		Authors:      []sbom.Party{{Name: "A", Email: "a@example.org", URL: "https://example.org"}},
		Manufacturer: sbom.Party{Name: "Org", Email: "o@example.org", URL: "https://example.org"},
	}}
	root := g.Add(sbom.Component{Type: sbom.Application, Name: "app", Version: "v1", PURL: "pkg:golang/example.org/app@v1",
		Digests: provenance.DigestSet{digest("sha256:" + a64), digest("sha512:" + a128)}, Dependencies: sbom.Complete})
	types := []sbom.Type{sbom.Library, sbom.Framework, sbom.Container, sbom.Platform, sbom.OperatingSystem, sbom.Device,
		sbom.DeviceDriver, sbom.Firmware, sbom.File, sbom.Model, sbom.Data}
	licences := []sbom.License{{}, {Expression: "MIT"}, {Expression: "GPL-2.0+"}, {Expression: "MIT OR (Apache-2.0 AND ISC)"},
		{Expression: "LicenseRef-x"}, {Name: evil}, {Expression: "GPL-2.0-only WITH Classpath-exception-2.0"}}
	n := 0
	for _, declared := range licences {
		for _, concluded := range licences {
			c := sbom.Component{
				Type: types[n%len(types)], Name: evil, Version: strings.Repeat("v", n+1), Declared: declared, Concluded: concluded,
				Digests: provenance.DigestSet{digest("sha1:" + a64[:40]), digest("md5:" + a64[:32]), digest("sha256:" + a64), digest("sha384:" + a128[:96]),
					digest("sha512:" + a128), digest("sha3_256:" + a64), digest("blake2b:" + a128), digest("dirHash:" + a64), digest("sha224:" + a64[:56])},
				Copyright: []string{"Copyright 2020 X", evil}, CPEs: []string{"cpe:2.3:a:x:y:1:*:*:*:*:*:*:*", "cpe:2.3:a:x:z:1:*:*:*:*:*:*:*"},
				Supplier: sbom.Party{Name: "S", Email: "s@example.org", URL: "https://s.example.org"},
				Scope:    []sbom.Scope{"", sbom.Required, sbom.Optional, sbom.Excluded}[n%4],
				References: []sbom.Reference{{Kind: "distribution", URL: "https://example.org/x.zip", Digests: provenance.DigestSet{digest("sha256:" + a64)}},
					{Kind: "vcs", URL: "https://example.org/x.git"}},
				Properties:   []sbom.Property{{Name: "a", Value: evil}, {Name: "b"}},
				Dependencies: sbom.Completeness(n % 3),
			}
			if n%2 == 0 {
				c.PURL = "pkg:npm/x@" + c.Version
			}
			for _, f := range []sbom.Field{sbom.FieldIdentity, sbom.FieldDigests, sbom.FieldDeclared} {
				c.SetEvidence(sbom.Evidence{Field: f, Source: []sbom.Source{sbom.Observed, sbom.Locked, sbom.Declared, sbom.Inferred}[n%4], Confidence: 1 + n, Method: evil})
			}
			id := g.Add(c)
			if err := g.Relate(root, []sbom.Relation{sbom.DependsOn, sbom.Contains, sbom.BuiltWith}[n%3], id); err != nil {
				t.Fatal(err)
			}
			g.AddUnknown(sbom.Gap{Component: id, Field: sbom.FieldSupplier, Reason: "x", Detail: evil})
			n++
		}
	}
	g.AddUnknown(sbom.Gap{Field: sbom.FieldComponents, Reason: "x", Detail: evil})
	validate(t, all, g)

	smallest := &sbom.Graph{Creation: sbom.Creation{Created: time.Unix(0, 0), Tool: sbom.Tool{Name: "t"}}}
	smallest.Add(sbom.Component{Name: "x"})
	validate(t, all, smallest)
}

// A real program, with the module cache as it is.
func TestGoProgram(t *testing.T) {
	all := schemas(t)
	cache, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		t.Skip(err)
	}
	sums, err := os.ReadFile(filepath.Join("..", "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":  "module example.org/p\n\ngo 1.26\n\nrequire (\n\tgithub.com/santhosh-tekuri/jsonschema/v6 v6.0.2\n\tgolang.org/x/mod v0.41.0\n)\n",
		"go.sum":  string(sums),
		"main.go": "package main\n\nimport (\n\t_ \"github.com/santhosh-tekuri/jsonschema/v6\"\n\t_ \"golang.org/x/mod/semver\"\n)\n\nfunc main() {}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("go", "build", "-o", "p", ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOPROXY=off", "GOFLAGS=-mod=mod -buildvcs=false")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("go build: %v\n%s", err, out)
	}
	g, err := golang.FromBinary(context.Background(), filepath.Join(dir, "p"), golang.Options{
		ModCache: strings.TrimSpace(string(cache)), Source: dir, Created: time.Unix(1_700_000_000, 0), InferSuppliers: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(g.Components()) < 5 {
		t.Errorf("only %d components", len(g.Components()))
	}
	validate(t, all, g)
}

// What the specification's valid examples become is valid by the schema of
// every version that has their fields.
func TestOfficialExamples(t *testing.T) {
	all := schemas(t)
	files, _ := filepath.Glob(filepath.Join(shared, "cyclonedx", "1.*", "valid-*.json"))
	if len(files) == 0 {
		t.Skip("the official examples are not here")
	}
	for _, name := range files {
		doc, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		g, err := sbom.Read(doc, sbom.CycloneDX)
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(name), err)
			continue
		}
		for f, schema := range all {
			doc, err := g.Encode(f)
			if err != nil {
				if f != sbom.SPDX && f != sbom.SPDX3 { // which must say what it is about
					t.Errorf("%s as %s: %v", filepath.Base(name), f, err)
				}
				continue
			}
			v, err := jsonschema.UnmarshalJSON(bytes.NewReader(doc))
			if err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(v); err != nil {
				t.Errorf("%s as %s: %v\n%.3000s", filepath.Base(name), f, err, doc)
			}
		}
	}
}
