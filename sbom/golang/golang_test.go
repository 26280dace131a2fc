package golang

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/sbom"
)

// The program that the tests look into. Its requirements are ones that this
// repository has anyway, so the module cache has them.
const (
	programGoMod = `module example.org/Tiny/v2

go 1.26

require (
	github.com/google/licensecheck v0.3.1
	golang.org/x/mod v0.41.0
)
`
	programMain = `package main

import (
	"fmt"

	"github.com/google/licensecheck"
	"golang.org/x/mod/semver"
)

func main() { fmt.Println(semver.IsValid("v1.0.0"), licensecheck.Unknown) }
`
)

func goTool(t testing.TB, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOPROXY=off", "GOFLAGS=-mod=mod", "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Skipf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// build builds the program in a folder of its own.
func build(t testing.TB, files map[string]string, env ...string) (src, bin string) {
	t.Helper()
	src = t.TempDir()
	sums, err := os.ReadFile(filepath.Join("..", "..", "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{"go.mod": programGoMod, "main.go": programMain, "go.sum": string(sums),
		"LICENSE": "Copyright 2026 T. Iny\n\nDo as you like, on Tuesdays.\n"}
	for name, text := range files {
		all[name] = text
	}
	for name, text := range all {
		os.MkdirAll(filepath.Dir(filepath.Join(src, name)), 0o777)
		if err := os.WriteFile(filepath.Join(src, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	goTool(t, src, "build", "-trimpath", "-buildvcs=false", "-o", "tiny", ".")
	return src, filepath.Join(src, "tiny")
}

// testCache returns a module cache of its own that holds copies of the two
// modules' zips.
func testCache(t testing.TB) string {
	t.Helper()
	cache := t.TempDir()
	from := goTool(t, ".", "env", "GOMODCACHE")
	for _, name := range zips {
		data, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			t.Skip(err)
		}
		os.MkdirAll(filepath.Dir(filepath.Join(cache, name)), 0o777)
		if err := os.WriteFile(filepath.Join(cache, name), data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return cache
}

var zips = []string{
	filepath.FromSlash("cache/download/github.com/google/licensecheck/@v/v0.3.1.zip"),
	filepath.FromSlash("cache/download/golang.org/x/mod/@v/v0.41.0.zip"),
}

var created = time.Unix(1_700_000_000, 0)

func scan(t testing.TB, bin string, o Options) *sbom.Graph {
	t.Helper()
	o.Created = created
	g, err := FromBinary(context.Background(), bin, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []sbom.Format{sbom.CycloneDX, sbom.SPDX} {
		doc, err := g.Encode(f)
		if err != nil {
			t.Fatal(err)
		}
		if dir := filepath.Dir(bin); bytes.Contains(doc, []byte(dir)) || o.ModCache != "" && bytes.Contains(doc, []byte(o.ModCache)) {
			t.Errorf("%s: a path of this machine is in the document", f)
		}
		if back, err := sbom.Read(doc, f); err != nil {
			t.Fatal(err)
		} else if again, err := back.Encode(f); err != nil || !bytes.Equal(again, doc) {
			t.Errorf("%s: does not survive a round trip (%v)", f, err)
		}
	}
	return g
}

func find(t testing.TB, g *sbom.Graph, name string) *sbom.Component {
	t.Helper()
	for _, c := range g.Components() {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("no component %s", name)
	return nil
}

func reasons(g *sbom.Graph, id string) map[sbom.Field]string {
	m := make(map[sbom.Field]string)
	for _, gap := range g.Unknowns() {
		if gap.Component == id {
			m[gap.Field] = gap.Reason
		}
	}
	return m
}

func TestFromBinary(t *testing.T) {
	src, bin := build(t, nil)
	cache := testCache(t)
	g := scan(t, bin, Options{ModCache: cache, Source: src, Goroot: goTool(t, ".", "env", "GOROOT"), Version: "v2.0.1",
		Suppliers: map[string]sbom.Party{"golang.org/x": {Name: "The Go Authors"}}, InferSuppliers: true})

	root := g.Root()
	file, err := provenance.DigestFile(context.Background(), bin)
	if err != nil {
		t.Fatal(err)
	}
	if root.Name != "tiny" || root.PURL != "pkg:golang/example.org/tiny/v2@v2.0.1" || !root.Digests.Matches(file.Digests) {
		t.Errorf("root: %+v", root)
	}
	if _, err := g.Encode(sbom.CycloneDX); err != nil {
		t.Fatal(err)
	}

	mod := find(t, g, "golang.org/x/mod")
	zipped, err := provenance.DigestFile(context.Background(), filepath.Join(cache, zips[1]))
	if err != nil {
		t.Fatal(err)
	}
	if !mod.Digests.Matches(zipped.Digests) || mod.Digests.Get(provenance.SHA512).IsZero() || mod.Digests.Get(provenance.DirHash).IsZero() {
		t.Errorf("digests %v, the zip has %v", mod.Digests, zipped.Digests)
	}
	if mod.Version != "v0.41.0" || mod.Declared.Expression != "BSD-3-Clause" || mod.Concluded.Expression != "BSD-3-Clause" ||
		!slices.Equal(mod.Copyright, []string{"Copyright 2009 The Go Authors."}) || mod.Supplier.Name != "The Go Authors" {
		t.Errorf("%+v", mod)
	}
	if lc := find(t, g, "github.com/google/licensecheck"); lc.Supplier.Name != "google" || lc.Declared.Expression != "BSD-3-Clause" {
		t.Errorf("%+v", lc)
	} else {
		for _, e := range lc.Evidence {
			if e.Field == sbom.FieldSupplier && e.Source != sbom.Inferred {
				t.Errorf("a guess is marked %s", e.Source)
			}
		}
	}
	std := find(t, g, "stdlib")
	if "go"+std.Version != strings.Fields(runtime.Version())[0] || std.Declared.Expression != "BSD-3-Clause" {
		t.Errorf("%+v", std)
	}
	var kinds []string
	for _, r := range g.Relationships() {
		if r.From == root.ID {
			kinds = append(kinds, string(r.Kind)+" "+g.Component(r.To).Name)
		}
	}
	slices.Sort(kinds)
	want := []string{"built-with go", "depends-on github.com/google/licensecheck", "depends-on golang.org/x/mod", "depends-on stdlib"}
	if !slices.Equal(kinds, want) {
		t.Errorf("relationships %q, want %q", kinds, want)
	}
	// The licence text is none that anybody knows: found, not guessed.
	if r := reasons(g, root.ID); r[sbom.FieldDeclared] != ReasonLicenceText || !root.Declared.IsZero() {
		t.Errorf("licence %+v, unknowns %v", root.Declared, r)
	}
	if state, why := g.Completeness(); state != sbom.Complete {
		t.Errorf("%v %v: a program in pure Go whose modules are all known", state, why)
	}
}

// Every linked module is listed, and nothing else: the oracle is the go
// command's own reading of the binary.
func TestAgainstGoVersion(t *testing.T) {
	_, bin := build(t, nil)
	g := scan(t, bin, Options{})
	var want []string
	for line := range strings.Lines(goTool(t, ".", "version", "-m", bin)) {
		if f := strings.Fields(line); len(f) >= 3 && f[0] == "dep" {
			want = append(want, f[1]+"@"+f[2])
		}
	}
	var got []string
	for _, c := range g.Components() {
		if c.ID != g.Root().ID && c.Name != "stdlib" && c.Name != "go" {
			got = append(got, c.Name+"@"+c.Version)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if len(want) != 2 || !slices.Equal(got, want) {
		t.Errorf("listed %q, linked %q", got, want)
	}
}

func TestDeterministic(t *testing.T) {
	srcA, a := build(t, nil)
	srcB, b := build(t, nil)
	cacheA, cacheB := testCache(t), testCache(t)
	for _, f := range []sbom.Format{sbom.CycloneDX, sbom.SPDX} {
		docA, err := scan(t, a, Options{ModCache: cacheA, Source: srcA, Workers: 1}).Encode(f)
		if err != nil {
			t.Fatal(err)
		}
		docB, err := scan(t, b, Options{ModCache: cacheB, Source: srcB, Workers: 4}).Encode(f)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(docA, docB) {
			t.Errorf("%s: two builds in two folders give two documents", f)
		}
	}
}

func TestMissing(t *testing.T) {
	_, bin := build(t, nil)
	for name, o := range map[string]Options{"no cache": {}, "empty cache": {ModCache: t.TempDir()}} {
		g := scan(t, bin, o)
		mod := find(t, g, "golang.org/x/mod")
		r := reasons(g, mod.ID)
		for _, f := range []sbom.Field{sbom.FieldDigests, sbom.FieldDeclared, sbom.FieldConcluded, sbom.FieldDependencies} {
			if r[f] != ReasonNoCache {
				t.Errorf("%s: %s unknown because of %q", name, f, r[f])
			}
		}
		if !mod.Digests.Get(provenance.SHA256).IsZero() {
			t.Errorf("%s: a SHA-256 from nowhere", name)
		}
		if state, why := g.Completeness(); state == sbom.Complete {
			t.Errorf("%s: complete although %v", name, why)
		}
		if r := reasons(g, g.Root().ID); r[sbom.FieldVersion] != ReasonNoVersion || r[sbom.FieldDeclared] != ReasonNoSource {
			t.Errorf("%s: root %v", name, r)
		}
	}
}

// A cache that was tampered with never lends its digests or licences.
func TestPoisonedCache(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and scans many times")
	}
	_, bin := build(t, nil)
	repack := func(change func(name string, data []byte) (string, []byte)) func(t *testing.T, file string) {
		return func(t *testing.T, file string) {
			zr, err := zip.OpenReader(file)
			if err != nil {
				t.Fatal(err)
			}
			var buf bytes.Buffer
			zw := zip.NewWriter(&buf)
			for _, f := range zr.File {
				r, err := f.Open()
				if err != nil {
					t.Fatal(err)
				}
				var data bytes.Buffer
				data.ReadFrom(r)
				name, content := change(f.Name, data.Bytes())
				if name == "" {
					continue
				}
				w, _ := zw.Create(name)
				w.Write(content)
			}
			zr.Close()
			zw.Close()
			os.WriteFile(file, buf.Bytes(), 0o666)
		}
	}
	cases := map[string]func(t *testing.T, file string){
		"licence changed": repack(func(n string, d []byte) (string, []byte) {
			if strings.HasSuffix(n, "/LICENSE") {
				d = []byte("public domain")
			}
			return n, d
		}),
		"file added": repack(func(n string, d []byte) (string, []byte) {
			if strings.HasSuffix(n, "/README.md") {
				n += "x"
			}
			return n, d
		}),
		"file removed": repack(func(n string, d []byte) (string, []byte) {
			if strings.HasSuffix(n, "/README.md") {
				n = ""
			}
			return n, d
		}),
		"outside the module": repack(func(n string, d []byte) (string, []byte) { return "../" + n, d }),
		"truncated": func(t *testing.T, file string) {
			data, _ := os.ReadFile(file)
			os.WriteFile(file, data[:len(data)/2], 0o666)
		},
		"not a zip": func(t *testing.T, file string) { os.WriteFile(file, []byte("zip"), 0o666) },
		"a bomb": func(t *testing.T, file string) {
			var buf bytes.Buffer
			zw := zip.NewWriter(&buf)
			w, _ := zw.Create("golang.org/x/mod@v0.41.0/go.mod")
			zero := make([]byte, 1<<20)
			for range 600 {
				w.Write(zero)
			}
			zw.Close()
			os.WriteFile(file, buf.Bytes(), 0o666)
		},
	}
	for name, poison := range cases {
		t.Run(name, func(t *testing.T) {
			cache := testCache(t)
			poison(t, filepath.Join(cache, zips[1]))
			// The recorded hash next to it says that all is well; it is not asked.
			g := scan(t, bin, Options{ModCache: cache})
			mod := find(t, g, "golang.org/x/mod")
			if !mod.Digests.Get(provenance.SHA256).IsZero() || !mod.Declared.IsZero() || len(mod.Copyright) > 0 {
				t.Errorf("taken from a poisoned cache: %+v", mod)
			}
			if r := reasons(g, mod.ID); r[sbom.FieldDigests] != ReasonMismatch {
				t.Errorf("unknowns %v", r)
			}
			if mod.Digests.Get(provenance.DirHash).IsZero() {
				t.Error("the binary's own hash is missing")
			}
			if find(t, g, "github.com/google/licensecheck").Digests.Get(provenance.SHA256).IsZero() {
				t.Error("the other module suffers too")
			}
		})
	}
}

// A cache that was cleared of zips still has the extracted files.
func TestExtractedOnly(t *testing.T) {
	_, bin := build(t, nil)
	from := goTool(t, ".", "env", "GOMODCACHE")
	cache := t.TempDir()
	name := filepath.FromSlash("golang.org/x/mod@v0.41.0")
	if err := os.CopyFS(filepath.Join(cache, name), os.DirFS(filepath.Join(from, name))); err != nil {
		t.Skip(err)
	}
	g := scan(t, bin, Options{ModCache: cache})
	mod := find(t, g, "golang.org/x/mod")
	if mod.Concluded.Expression != "BSD-3-Clause" || !mod.Digests.Get(provenance.SHA256).IsZero() || reasons(g, mod.ID)[sbom.FieldDigests] != ReasonNoCache {
		t.Errorf("%+v %v", mod, reasons(g, mod.ID))
	}
	if err := os.Chmod(filepath.Join(cache, name), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(cache, name, "evil.go"), []byte("package mod"), 0o666); err != nil {
		t.Fatal(err)
	}
	g = scan(t, bin, Options{ModCache: cache})
	if r := reasons(g, find(t, g, "golang.org/x/mod").ID); r[sbom.FieldDeclared] != ReasonMismatch {
		t.Errorf("unknowns %v", r)
	}
}

func TestReplaced(t *testing.T) {
	src, bin := build(t, map[string]string{
		"go.mod":                programGoMod + "\nreplace github.com/google/licensecheck => ./local\n\nreplace golang.org/x/mod => golang.org/x/mod v0.41.0\n",
		"local/go.mod":          "module github.com/google/licensecheck\n",
		"local/licensecheck.go": "package licensecheck\n\nconst Unknown = 0\n",
	})
	g := scan(t, bin, Options{ModCache: testCache(t), Source: src})
	lc := find(t, g, "github.com/google/licensecheck")
	if len(lc.Digests) != 0 || !lc.Declared.IsZero() || reasons(g, lc.ID)[sbom.FieldDigests] != ReasonReplaced {
		t.Errorf("%+v %v", lc, reasons(g, lc.ID))
	}
	if !slices.ContainsFunc(lc.Properties, func(p sbom.Property) bool { return p.Name == "hallmark-go:replaced" }) {
		t.Errorf("the replacement goes unsaid: %+v", lc.Properties)
	}
	if mod := find(t, g, "golang.org/x/mod"); mod.Concluded.IsZero() {
		t.Errorf("%+v", mod)
	}
}

func TestNotAProgram(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	os.WriteFile(text, []byte("#!/bin/sh\n"), 0o777)
	for _, path := range []string{text, dir, filepath.Join(dir, "absent")} {
		if g, err := FromBinary(context.Background(), path, Options{Created: created}); err == nil {
			t.Errorf("%s: %v", path, g.Root())
		}
	}
	if _, err := FromBinary(context.Background(), text, Options{}); err == nil {
		t.Error("no creation time, and no error")
	}
}

func TestCancelled(t *testing.T) {
	_, bin := build(t, nil)
	ctx, cancel := context.WithCancel(context.Background())
	calls := 0
	_, err := FromBinary(ctx, bin, Options{Created: created, ModCache: testCache(t), Workers: 1, Progress: func(done, total int) {
		if calls++; total != 2 {
			t.Errorf("total %d", total)
		}
		cancel()
	}})
	if err != context.Canceled || calls == 0 {
		t.Errorf("%v after %d calls", err, calls)
	}
}

func TestCgo(t *testing.T) {
	_, pure := build(t, nil)
	p := scan(t, pure, Options{})
	if r := reasons(p, p.Root().ID); r[sbom.FieldDependencies] == ReasonCgo {
		t.Error("a program in pure Go is said to hold C")
	}
	if runtime.GOOS != "linux" {
		return
	}
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module example.org/c\n\ngo 1.26\n"), 0o666)
	os.WriteFile(filepath.Join(dir, "main.go"), []byte("package main\n\n// static int f(void) { return 1; }\nimport \"C\"\n\nfunc main() { println(C.f()) }\n"), 0o666)
	cmd := exec.Command("go", "build", "-ldflags=-s -w", "-o", "c", ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1", "GOWORK=off", "GOFLAGS=-buildvcs=false")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("no C compiler: %s", out)
	}
	g := scan(t, filepath.Join(dir, "c"), Options{})
	if r := reasons(g, g.Root().ID); r[sbom.FieldDependencies] != ReasonCgo {
		t.Errorf("C code goes unnoted: %v", r)
	}
	if state, _ := g.Completeness(); state != sbom.Incomplete {
		t.Errorf("%v", state)
	}
}

func TestCgoWatch(t *testing.T) {
	text := []byte("xxxxxmain._Cfunc_fxxxxx")
	for size := 1; size <= len(text); size++ {
		w := new(cgoWatch)
		for chunk := range slices.Chunk(text, size) {
			w.Write(chunk)
		}
		if !w.found {
			t.Errorf("missed when read %d bytes at a time", size)
		}
	}
}

func TestIsLicence(t *testing.T) {
	for name, want := range map[string]bool{
		"LICENSE": true, "LICENSE.txt": true, "LICENCE.md": true, "COPYING": true, "sub/LICENSE": true, "LICENSE-APACHE-2.0.txt": true, "UNLICENSE": true,
		"license.go": false, "testdata/LICENSE": false, "a/_b/LICENSE": false, ".github/LICENSE": false, "NOTICE": false, "LICENSES/MIT.txt": false, "licenses.txt": false,
	} {
		if got := isLicence(name); got != want {
			t.Errorf("isLicence(%q) = %v", name, got)
		}
	}
}

// A cache holds what anybody put there.
func FuzzModuleZip(f *testing.F) {
	var buf bytes.Buffer
	zw := zip.NewWriter(&buf)
	for _, name := range []string{"go.mod", "LICENSE", "a/b.go"} {
		w, _ := zw.Create("example.org/m@v1/" + name)
		w.Write([]byte("module example.org/m\n"))
	}
	zw.Close()
	f.Add(buf.Bytes())
	f.Add([]byte("PK\x05\x06"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		file := filepath.Join(dir, fmt.Sprint(os.Getpid(), ".zip"))
		if err := os.WriteFile(file, data, 0o666); err != nil {
			t.Fatal(err)
		}
		var r reader
		if c, err := r.fromZip(context.Background(), file, "example.org/m@v1", "h1:x"); err == nil {
			t.Fatalf("content without a hash that matches: %+v", c)
		}
	})
}

func BenchmarkFromBinary(b *testing.B) {
	src, bin := build(b, nil)
	cache := testCache(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := FromBinary(context.Background(), bin, Options{Created: created, ModCache: cache, Source: src}); err != nil {
			b.Fatal(err)
		}
	}
}

func ExampleFromBinary() {
	g, err := FromBinary(context.Background(), "dist/app", Options{
		ModCache: "/home/me/go/pkg/mod",
		Source:   ".",
		Created:  time.Unix(1_700_000_000, 0), // SOURCE_DATE_EPOCH
	})
	if err != nil {
		fmt.Println("no such program")
		return
	}
	doc, err := g.Encode(sbom.CycloneDX)
	fmt.Println(len(doc), err)
	// Output: no such program
}

// TestLicencesElsewhere builds in a folder without a licence, below one that has it.
func TestLicencesElsewhere(t *testing.T) {
	src, bin := build(t, nil)
	top := t.TempDir()
	if err := os.Rename(filepath.Join(src, "LICENSE"), filepath.Join(top, "LICENSE")); err != nil {
		t.Fatal(err)
	}
	if r := scan(t, bin, Options{Source: src}).Root(); len(r.Copyright) != 0 {
		t.Errorf("copyright %q of nowhere", r.Copyright)
	}
	if r := scan(t, bin, Options{Source: src, Licences: top}).Root(); len(r.Copyright) != 1 {
		t.Errorf("copyright %q, want that of the folder above", r.Copyright)
	}
}

// TestLinked checks which packages are said to be linked, and what they embed.
func TestLinked(t *testing.T) {
	src, bin := build(t, map[string]string{
		"main.go": "package main\n\nimport (\n\t\"embed\"\n\n\t\"github.com/google/licensecheck\"\n\t\"golang.org/x/mod/semver\"\n\n\t\"example.org/Tiny/v2/v3.in\"\n)\n\n" +
			"//go:embed main.go go.mod\nvar files embed.FS\n\nfunc main() {\n\t_, err := files.Open(\"x\")\n\tprintln(semver.IsValid(\"v1.0.0\"), licensecheck.Unknown, err, in.F[int](1))\n}\n",
		"v3.in/in.go":      "package in\n\n//go:noinline\nfunc F[T any](x T) T { return x }\n",
		"unused/unused.go": "package unused\n\nimport _ \"embed\"\n\n//go:embed unused.go\nvar s string\n",
	})
	g := scan(t, bin, Options{Source: src, ModCache: testCache(t)})
	got := map[string]bool{}
	for _, c := range g.Components() {
		for _, p := range c.Properties {
			if p.Name == "hallmark-go:linked" {
				got[p.Value] = true
			}
		}
	}
	for p := range got {
		// The runtime has functions of other packages of the standard library
		// ("go:linkname"), which so are in the table under their names.
		if first, _, _ := strings.Cut(p, "/"); !strings.Contains(first, ".") && p != "runtime" && p != "embed" {
			delete(got, p)
		}
	}
	// A package may have no functions that are left.
	all := map[string]bool{}
	for _, p := range strings.Fields(goTool(t, src, "list", "-deps", "-trimpath", ".")) {
		all[p] = true
	}
	for p := range got {
		if !all[p] {
			t.Errorf("%s is not among the dependencies that go list has", p)
		}
	}
	for _, p := range []string{"example.org/Tiny/v2", "example.org/Tiny/v2/v3.in", "golang.org/x/mod/semver", "github.com/google/licensecheck", "runtime", "embed"} {
		if !got[p] {
			t.Errorf("%s is not listed as linked", p)
		}
	}
	if r := reasons(g, g.Root().ID); r[sbom.FieldDependencies] != ReasonEmbedded {
		t.Errorf("unknowns of the root: %v", r)
	}
	for _, u := range g.Unknowns() {
		if u.Reason == ReasonEmbedded && u.Component == g.Root().ID && u.Detail != "files are embedded, and what is in them is not listed: .: main.go go.mod" {
			t.Errorf("detail %q", u.Detail)
		}
	}
	if g.Root().Dependencies == sbom.Unknown {
		t.Error("dependencies unknown")
	}
	if state, why := g.Completeness(); state != sbom.Incomplete || !slices.Contains(why, ReasonEmbedded) {
		t.Errorf("%v, because of %v", state, why)
	}
}

func TestEmbedWatch(t *testing.T) {
	const text = "package x\n\n//go:embed a b\nvar x string // \n //go:embed no\n//go:embedded no\n/*\n*/\n//go:embed\tc\r\n//go:embed last"
	for size := 1; size < 40; size++ {
		var w embedWatch
		for i := 0; i < len(text); i += size {
			w.Write([]byte(text[i:min(i+size, len(text))]))
		}
		w.endLine()
		if want := []string{"a b", "c", "last"}; !slices.Equal(w.patterns, want) {
			t.Fatalf("in pieces of %d: %q", size, w.patterns)
		}
	}
	var w embedWatch
	w.Write(bytes.Repeat([]byte("//go:embed x"), 1<<20))
	if w.endLine(); len(w.line) > 512 || cap(w.line) > 4096 {
		t.Errorf("a line of %d bytes is kept", cap(w.line))
	}
}

func TestPackageOf(t *testing.T) {
	for name, want := range map[string]string{
		"main.main": "main", "runtime.(*mheap).alloc": "runtime", "a.b/c/d.(*T[go.shape.int]).M": "a.b/c/d", "a.b/v3%2ein.F[a.b/x.T]": "a.b/v3.in",
		"type:.eq.x/y.T": "", "go:buildid": "", "callbackasm": "", "": "", "x_cgo_init": "", ".dot": "", "a.b/c.init.0": "a.b/c",
	} {
		if got := string(packageOf([]byte(name))); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// FuzzLinked damages the table of functions of a real program.
func FuzzLinked(f *testing.F) {
	exe, err := os.Executable()
	if err != nil {
		f.Skip(err)
	}
	data, err := os.ReadFile(exe)
	if err != nil {
		f.Skip(err)
	}
	at := int64(bytes.Index(data, []byte("\xf1\xff\xff\xff\x00\x00\x01\x08")))
	f.Add(uint16(0), []byte{0xf0})
	f.Add(uint16(32), []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Add(uint16(40), []byte{0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, off uint16, with []byte) {
		if at < 0 || len(with) > 64 || off > 128 {
			return
		}
		linkedPackages(&patched{data, at + int64(off), with})
	})
}

// patched is data with a piece replaced.
type patched struct {
	data []byte
	at   int64
	with []byte
}

func (p *patched) ReadAt(b []byte, off int64) (int, error) {
	n, err := bytes.NewReader(p.data).ReadAt(b, off)
	for i, c := range p.with {
		if k := p.at + int64(i) - off; k >= 0 && k < int64(n) {
			b[k] = c
		}
	}
	return n, err
}
