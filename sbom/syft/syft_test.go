package syft

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/sbom"
	gosbom "github.com/hallmark-build/hallmark/sbom/golang"
)

var created = time.Unix(1_700_000_000, 0)

const packageLock = `{"name":"site","version":"1.0.0","lockfileVersion":3,"requires":true,"packages":{
 "":{"name":"site","version":"1.0.0","license":"MIT","dependencies":{"left-pad":"^1.3.0"}},
 "node_modules/left-pad":{"version":"1.3.0","resolved":"https://registry.npmjs.org/left-pad/-/left-pad-1.3.0.tgz",
  "integrity":"sha512-XI5MPzVNApjAyhQzphX8BkmKsKUxD4LdyK24iZeQGinBN9yTQT3bFlCBy/aVx2HrNcqQGsdot8ghrjyrvMCoEA==","license":"WTFPL"},
 "node_modules/odd":{"version":"0.0.1","license":"see the file"},
 "node_modules/@scope/pkg":{"version":"2.0.0","integrity":"sha1-AAAA"}}}`

const goMod = "module example.org/m\n\ngo 1.26\n\nrequire (\n\tgolang.org/x/mod v0.41.0\n\tgithub.com/BurntSushi/toml v1.6.0\n)\n"

const dpkgStatus = `Package: libz
Status: install ok installed
Maintainer: Zed <zed@example.org>
Architecture: amd64
Version: 1:1.2.13-1
Depends: libc

Package: libc
Status: install ok installed
Maintainer: The C People
Architecture: amd64
Version: 2.36-9

`

func write(t testing.TB, dir string, files map[string]string) string {
	t.Helper()
	for name, text := range files {
		name = filepath.Join(dir, filepath.FromSlash(name))
		os.MkdirAll(filepath.Dir(name), 0o777)
		if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func sums(t testing.TB) string {
	t.Helper()
	data, err := os.ReadFile("go.sum")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// scan scans with everything in place that would give a leak away: a temporary
// folder that must be empty afterwards, a go command that must not be run, and
// a network that must not be used.
func scan(t testing.TB, path string, o Options) *sbom.Graph {
	t.Helper()
	tmp, bin := t.TempDir(), t.TempDir()
	mark := filepath.Join(bin, "ran")
	for _, name := range []string{"go", "npm", "docker", "podman", "mvn", "git"} {
		os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\ntouch "+mark+"\nexit 1\n"), 0o777)
	}
	if tt, ok := t.(*testing.T); ok {
		tt.Setenv("TMPDIR", tmp)
		tt.Setenv("PATH", bin)
	}
	// Nothing of the scan may go through the default transport.
	old := http.DefaultTransport
	http.DefaultTransport = roundTripper(func(r *http.Request) (*http.Response, error) {
		t.Errorf("request to %s", r.URL)
		return nil, net.ErrClosed
	})
	defer func() { http.DefaultTransport = old }()
	o.Created = created
	g, err := Scan(context.Background(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("a program was run")
	}
	if left, _ := os.ReadDir(tmp); len(left) > 0 {
		t.Errorf("left in the temporary folder: %v", left)
	}
	for _, f := range []sbom.Format{sbom.CycloneDX, sbom.SPDX} {
		doc, err := g.Encode(f)
		if err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		if bytes.Contains(doc, []byte(filepath.Dir(path))) || bytes.Contains(doc, []byte(tmp)) {
			t.Errorf("%s: a path of this machine is in the document", f)
		}
		if bytes.Contains(bytes.ToLower(doc), []byte("anchore")) {
			t.Errorf("%s: the document names an author that it does not have", f)
		}
		back, err := sbom.Read(doc, f)
		if err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		if again, err := back.Encode(f); err != nil || !bytes.Equal(doc, again) {
			t.Errorf("%s: does not survive a round trip (%v)", f, err)
		}
	}
	if state, why := g.Completeness(); state == sbom.Complete || !slices.Contains(why, ReasonScanned) {
		t.Errorf("a scan claims to be %v %v", state, why)
	}
	return g
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func find(t testing.TB, g *sbom.Graph, url string) *sbom.Component {
	t.Helper()
	if found := g.FindPURL(url); len(found) == 1 {
		return found[0]
	}
	var all []string
	for _, c := range g.Components() {
		all = append(all, c.PURL)
	}
	t.Fatalf("want one component %s, found these: %q", url, all)
	return nil
}

func TestGoModule(t *testing.T) {
	g := scan(t, write(t, t.TempDir(), map[string]string{"go.mod": goMod, "go.sum": sums(t)}), Options{Name: "m", Version: "v1"})
	c := find(t, g, "pkg:golang/golang.org/x/mod@v0.41.0")
	if c.Digests.Get(provenance.DirHash).IsZero() || !c.Digests.Get(provenance.SHA256).IsZero() {
		t.Errorf("h1 is a hash of its own kind: %v", c.Digests)
	}
	find(t, g, "pkg:golang/github.com/BurntSushi/toml@v1.6.0")
	if g.Root().Name != "m" || g.Root().Version != "v1" || len(g.Root().Digests) != 0 {
		t.Errorf("%+v", g.Root())
	}
}

func TestNpm(t *testing.T) {
	g := scan(t, write(t, t.TempDir(), map[string]string{"package-lock.json": packageLock}), Options{Name: "site"})
	c := find(t, g, "pkg:npm/left-pad@1.3.0")
	if d := c.Digests.Get(provenance.SHA512); !strings.HasPrefix(d.Value(), "5c8e4c3f354d0298c0ca1433") {
		t.Errorf("the lock file's integrity is lost: %v", c.Digests)
	}
	if c.Declared.Expression != "WTFPL" || !c.Concluded.IsZero() || !c.Supplier.IsZero() {
		t.Errorf("%+v", c)
	}
	for _, e := range c.Evidence {
		if want := map[sbom.Field]sbom.Source{sbom.FieldIdentity: sbom.Locked, sbom.FieldDigests: sbom.Locked, sbom.FieldDeclared: sbom.Declared}[e.Field]; e.Source != want {
			t.Errorf("%s is %s, want %s", e.Field, e.Source, want)
		}
	}
	if c := find(t, g, "pkg:npm/odd@0.0.1"); c.Declared.Name != "see the file" {
		t.Errorf("%+v", c.Declared)
	}
	if c := find(t, g, "pkg:npm/%40scope/pkg@2.0.0"); len(c.Digests) != 0 {
		t.Errorf("a malformed integrity became %v", c.Digests)
	}
}

func tarOf(t testing.TB, files map[string]string) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	var names []string
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(files[name])), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, files[name])
	}
	w.Close()
	return buf.Bytes()
}

func TestArchive(t *testing.T) {
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	z.Write(tarOf(t, map[string]string{"site/package-lock.json": packageLock}))
	z.Close()
	name := filepath.Join(t.TempDir(), "site.tar.gz")
	os.WriteFile(name, buf.Bytes(), 0o666)
	g := scan(t, name, Options{})
	find(t, g, "pkg:npm/left-pad@1.3.0")
	a, err := provenance.DigestFile(context.Background(), name)
	if err != nil || !g.Root().Digests.Matches(a.Digests) || g.Root().Name != "site.tar.gz" {
		t.Errorf("%+v, %v", g.Root(), err)
	}
	doc, err := g.Encode(sbom.CycloneDX)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sbom.Statement([]provenance.ResourceDescriptor{a.Descriptor()}, doc, sbom.CycloneDX); err != nil {
		t.Error(err)
	}
}

func testImage(t testing.TB) v1.Image {
	t.Helper()
	data := tarOf(t, map[string]string{
		"etc/os-release":      "ID=debian\nVERSION_ID=\"12\"\nNAME=\"Debian GNU/Linux\"\nHOME_URL=\"https://www.debian.org/\"\n",
		"var/lib/dpkg/status": dpkgStatus,
		// What is installed counts in an image, not what some lock file allows.
		"srv/package-lock.json":                  packageLock,
		"srv/node_modules/left-pad/package.json": `{"name":"left-pad","version":"1.3.0","license":"WTFPL"}`,
	})
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil })
	if err != nil {
		t.Fatal(err)
	}
	img, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	cfg = cfg.DeepCopy()
	cfg.OS, cfg.Architecture = "linux", "amd64"
	if img, err = mutate.ConfigFile(img, cfg); err != nil {
		t.Fatal(err)
	}
	return img
}

func TestOCILayout(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "image")
	img := testImage(t)
	p, err := layout.Write(dir, empty.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.AppendImage(img); err != nil {
		t.Fatal(err)
	}
	want, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	g := scan(t, dir, Options{Name: "app", Version: "v1"})
	root := g.Root()
	if root.Type != sbom.Container || root.Digests.Get(provenance.SHA256).Value() != want.Hex || root.PURL != "pkg:oci/app@"+want.String() {
		t.Errorf("%+v, want %s", root, want)
	}
	c := find(t, g, "pkg:deb/debian/libz@1:1.2.13-1?arch=amd64&distro=debian-12")
	if c.Supplier.Name != "Zed" || c.Supplier.Email != "zed@example.org" {
		t.Errorf("supplier %+v", c.Supplier)
	}
	libc := find(t, g, "pkg:deb/debian/libc@2.36-9?arch=amd64&distro=debian-12")
	if libc.Supplier.Name != "The C People" {
		t.Errorf("supplier %+v", libc.Supplier)
	}
	if !slices.Contains(g.Relationships(), sbom.Relationship{From: c.ID, Kind: sbom.DependsOn, To: libc.ID}) {
		t.Error("the edge libz to libc is lost")
	}
	find(t, g, "pkg:npm/left-pad@1.3.0")
	found := false
	for _, c := range g.Components() {
		found = found || c.Type == sbom.OperatingSystem && c.Name == "debian" && c.Version == "12"
	}
	if !found {
		t.Error("no operating system")
	}

	// The same image as archives.
	data := map[string]string{}
	filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			text, _ := os.ReadFile(name)
			rel, _ := filepath.Rel(dir, name)
			data[filepath.ToSlash(rel)] = string(text)
		}
		return nil
	})
	oci := filepath.Join(t.TempDir(), "image.tar")
	os.WriteFile(oci, tarOf(t, data), 0o666)
	if g := scan(t, oci, Options{Kind: OCIArchive}); g.Root().Digests.Get(provenance.SHA256).Value() != want.Hex {
		t.Errorf("%+v", g.Root())
	}
	docker := filepath.Join(t.TempDir(), "docker.tar")
	f, err := os.Create(docker)
	if err != nil {
		t.Fatal(err)
	}
	if err := tarball.Write(nil, img, f); err != nil {
		t.Fatal(err)
	}
	f.Close()
	a, _ := provenance.DigestFile(context.Background(), docker)
	dg := scan(t, docker, Options{Kind: DockerArchive})
	find(t, dg, "pkg:npm/left-pad@1.3.0")
	if !dg.Root().Digests.Matches(a.Digests) {
		t.Errorf("%+v", dg.Root())
	}
}

func TestDeterministic(t *testing.T) {
	files := map[string]string{"go.mod": goMod, "go.sum": sums(t), "a/package-lock.json": packageLock, "b/package-lock.json": packageLock}
	a := scan(t, write(t, t.TempDir(), files), Options{Name: "x", Workers: 1})
	b := scan(t, write(t, t.TempDir(), files), Options{Name: "x", Workers: 4})
	for _, f := range []sbom.Format{sbom.CycloneDX, sbom.SPDX} {
		docA, _ := a.Encode(f)
		docB, _ := b.Encode(f)
		if len(docA) == 0 || !bytes.Equal(docA, docB) {
			t.Errorf("%s: two folders with the same files give two documents", f)
		}
	}
}

func TestHostile(t *testing.T) {
	lock := strings.NewReplacer(`"see the file"`, `"<script>\u0000 AND ((("`, "left-pad", "../../left-pad\\n\\u202e", "1.3.0", "1 .3?#@/").Replace(packageLock)
	g := scan(t, write(t, t.TempDir(), map[string]string{
		"package-lock.json": lock, "sub/package-lock.json": "{", "x/go.mod": "module \xff\xfe", "y/Cargo.lock": strings.Repeat("[", 5000),
		"z/package.json": `{"name":"","version":""}`,
	}), Options{Name: "x"})
	if len(g.Components()) < 3 {
		t.Errorf("only %d components", len(g.Components()))
	}
}

func TestRefuses(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	start := time.Now()
	for name, f := range map[string]func() error{
		"mistyped path": func() error {
			_, err := Scan(ctx, filepath.Join(dir, "alpine:latest"), Options{Created: created})
			return err
		},
		"mistyped layout": func() error { _, err := Scan(ctx, "alpine", Options{Created: created, Kind: OCILayout}); return err },
		"not a layout":    func() error { _, err := Scan(ctx, dir, Options{Created: created, Kind: OCILayout}); return err },
		"unknown kind":    func() error { _, err := Scan(ctx, dir, Options{Created: created, Kind: "docker"}); return err },
		"no time":         func() error { _, err := Scan(ctx, dir, Options{}); return err },
		"cancelled": func() error {
			ctx, cancel := context.WithCancel(ctx)
			cancel()
			_, err := Scan(ctx, dir, Options{Created: created})
			return err
		},
	} {
		if f() == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if d := time.Since(start); d > time.Minute {
		t.Errorf("took %v: something was asked that should not be", d)
	}
}

// What the build says and what the scan of the same program says are one bill.
func TestMergeWithBuild(t *testing.T) {
	bin, cache := program(t)
	build, err := gosbom.FromBinary(context.Background(), bin, gosbom.Options{Created: created, ModCache: cache})
	if err != nil {
		t.Fatal(err)
	}
	before := len(build.Components())
	found := scan(t, bin, Options{Name: filepath.Base(bin)})
	build.Merge(found)
	names := map[string]int{}
	for _, c := range build.Components() {
		names[c.PURL]++
	}
	for p, n := range names {
		if p != "" && n > 1 {
			t.Errorf("%s is there %d times", p, n)
		}
	}
	// syft lists the main module apart from the program.
	if after := len(build.Components()); after > before+1 {
		t.Errorf("%d components became %d", before, after)
	}
}

func program(t testing.TB) (bin, cache string) {
	t.Helper()
	dir := write(t, t.TempDir(), map[string]string{
		"go.mod":  "module example.org/p\n\ngo 1.26\n\nrequire golang.org/x/mod v0.41.0\n",
		"go.sum":  sums(t),
		"main.go": "package main\n\nimport \"golang.org/x/mod/semver\"\n\nfunc main() { println(semver.IsValid(\"v1\")) }\n",
	})
	bin = filepath.Join(dir, "p")
	//lint:ignore SA1019 the tests run where they were built
	cmd := exec.Command(filepath.Join(runtime.GOROOT(), "bin", "go"), "build", "-buildvcs=false", "-o", bin, ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOPROXY=off", "GOFLAGS=-mod=mod", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("go build: %v\n%s", err, out)
	}
	//lint:ignore SA1019 the tests run where they were built
	out, err := exec.Command(filepath.Join(runtime.GOROOT(), "bin", "go"), "env", "GOMODCACHE").Output()
	if err != nil {
		t.Skip(err)
	}
	return bin, strings.TrimSpace(string(out))
}

// The program to compare on links syft itself: some 260 modules and a hundred
// megabytes.
func benchmark(b *testing.B, f func(bin, cache string) (*sbom.Graph, error)) {
	//lint:ignore SA1019 the tests run where they were built
	gotool := filepath.Join(runtime.GOROOT(), "bin", "go")
	bin := filepath.Join(b.TempDir(), "program")
	if out, err := exec.Command(gotool, "build", "-o", bin, "./testdata/program").CombinedOutput(); err != nil {
		b.Skipf("go build: %v\n%s", err, out)
	}
	out, err := exec.Command(gotool, "env", "GOMODCACHE").Output()
	if err != nil {
		b.Skip(err)
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		g, err := f(bin, strings.TrimSpace(string(out)))
		if err != nil {
			b.Fatal(err)
		}
		n = len(g.Components())
	}
	b.ReportMetric(float64(n), "components")
}

// BenchmarkBuild/list reads the program alone, which is all that the scan does;
// BenchmarkBuild/verified also hashes every file of every module in the cache
// and reads the licences.
func BenchmarkBuild(b *testing.B) {
	b.Run("list", func(b *testing.B) {
		benchmark(b, func(bin, _ string) (*sbom.Graph, error) {
			return gosbom.FromBinary(context.Background(), bin, gosbom.Options{Created: created})
		})
	})
	b.Run("verified", func(b *testing.B) {
		benchmark(b, func(bin, cache string) (*sbom.Graph, error) {
			return gosbom.FromBinary(context.Background(), bin, gosbom.Options{Created: created, ModCache: cache})
		})
	})
}

func BenchmarkScan(b *testing.B) {
	benchmark(b, func(bin, _ string) (*sbom.Graph, error) {
		return Scan(context.Background(), bin, Options{Created: created})
	})
}

func ExampleScan() {
	g, err := Scan(context.Background(), "image-layout", Options{
		Kind:    OCILayout,
		Name:    "app",
		Created: time.Unix(1_700_000_000, 0), // SOURCE_DATE_EPOCH
	})
	if err != nil {
		fmt.Println("no such image")
		return
	}
	fmt.Println(len(g.Components()))
	// Output: no such image
}
