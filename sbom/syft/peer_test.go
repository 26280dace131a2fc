//go:build unix

package syft_test

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/anchore/syft/syft"
	"github.com/anchore/syft/syft/cataloging"
	"github.com/anchore/syft/syft/pkg"

	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/scan"
)

// What both look at. The environment names what a machine may not have, or what
// takes a while to make: HALLMARK_NPM_PROJECT a project with node_modules,
// HALLMARK_IMAGE a directory with the images that composeImages writes.
var peerInputs = []struct {
	name       string
	path       func(b testing.TB) string
	source     string
	ecosystems []string // of package scan
	catalogers []string // of syft, the same
	types      []pkg.Type
}{
	{"npm", fromEnv("HALLMARK_NPM_PROJECT"), "local-directory", []string{"npm"}, []string{"javascript-lock-cataloger", "javascript-package-cataloger"}, []pkg.Type{pkg.NpmPkg}},
	{"dpkg", dpkgRoot, "local-directory", []string{"deb"}, []string{"dpkg-db-cataloger"}, []pkg.Type{pkg.DebPkg}},
	{"go-tree", goRoot, "local-directory", []string{"golang"}, []string{"go-module-file-cataloger", "go-module-binary-cataloger"}, []pkg.Type{pkg.GoModulePkg}},
	{"go-programs", goPrograms, "local-directory", []string{"golang"}, []string{"go-module-binary-cataloger"}, []pkg.Type{pkg.GoModulePkg}},
	{"image", firstImage, "oci-dir", []string{"npm", "deb", "golang"},
		[]string{"javascript-package-cataloger", "dpkg-db-cataloger", "go-module-binary-cataloger"}, []pkg.Type{pkg.NpmPkg, pkg.DebPkg, pkg.GoModulePkg}},
}

func fromEnv(name string) func(testing.TB) string {
	return func(t testing.TB) string {
		if os.Getenv(name) == "" {
			t.Skip("no " + name)
		}
		return os.Getenv(name)
	}
}

// dpkgRoot is a directory with this machine's packages: database and documentation.
func dpkgRoot(t testing.TB) string {
	dir := t.TempDir()
	for _, from := range []string{"/var/lib/dpkg", "/usr/share/doc"} {
		if err := os.CopyFS(filepath.Join(dir, from), linkless{os.DirFS(from)}); err != nil {
			t.Skip(err)
		}
	}
	osRelease, err := os.ReadFile("/etc/os-release")
	if err != nil {
		t.Skip(err)
	}
	os.Mkdir(filepath.Join(dir, "etc"), 0o755)
	if err := os.WriteFile(filepath.Join(dir, "etc/os-release"), osRelease, 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

func goRoot(testing.TB) string {
	//lint:ignore SA1019 the tests run where they were built
	return runtime.GOROOT()
}

// goPrograms is a directory with a program that has syft in it, five times.
func goPrograms(t testing.TB) string {
	bin := filepath.Join(t.TempDir(), "prog")
	//lint:ignore SA1019 the tests run where they were built
	gotool := filepath.Join(runtime.GOROOT(), "bin", "go")
	if out, err := exec.Command(gotool, "build", "-o", bin, "./testdata/program").CombinedOutput(); err != nil {
		t.Skipf("cannot build: %v\n%s", err, out)
	}
	dir := t.TempDir()
	data, err := os.ReadFile(bin)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 5 {
		if err := os.WriteFile(filepath.Join(dir, "prog"+strconv.Itoa(i)), data, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func cpu() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// peakRSS is the most memory, in MB, that the process has had since resetRSS.
func peakRSS() float64 {
	data, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, _ := strconv.Atoi(strings.Fields(rest)[0])
			return float64(kb) / 1024
		}
	}
	return 0
}

// resetRSS gives the system what is not in use and starts peakRSS anew (proc(5), clear_refs).
func resetRSS() {
	debug.FreeOSMemory()
	os.WriteFile("/proc/self/clear_refs", []byte("5"), 0)
}

// BenchmarkPeer measures package scan and syft on the same input with the same
// ecosystems, in processor time and in the most memory at one time. Each has
// run once before: syft has made its licence matcher by then, and keeps it.
// To compare memory, run each benchmark in a process of its own (-bench
// 'Peer/npm/scan$'): what the other one keeps counts as well otherwise.
func BenchmarkPeer(b *testing.B) {
	for _, in := range peerInputs {
		run := func(name string, f func(path string) (int, error), between func()) {
			b.Run(in.name+"/"+name, func(b *testing.B) {
				path := in.path(b)
				b.ReportAllocs()
				n, err := f(path) // fills what there is to be filled, of either
				if err != nil {
					b.Fatal(err)
				}
				resetRSS()
				var used time.Duration
				for b.Loop() {
					if between != nil {
						between()
					}
					before := cpu()
					if n, err = f(path); err != nil {
						b.Fatal(err)
					}
					used += cpu() - before
				}
				b.ReportMetric(float64(used.Microseconds())/1000/float64(b.N), "cpu-ms/op")
				b.ReportMetric(peakRSS(), "peak-MB")
				b.ReportMetric(float64(n), "components")
			})
		}
		ours := func(path, cache string) (int, error) {
			o := scan.Options{Created: time.Unix(1, 0), Name: "x", Ecosystems: in.ecosystems, Cache: cache}
			f := scan.Dir
			if in.source == "oci-dir" {
				f = scan.Image
			}
			g, err := f(context.Background(), path, o)
			if err != nil {
				return 0, err
			}
			return len(g.Components()), nil
		}
		run("scan", func(path string) (int, error) { return ours(path, "") }, nil)
		if in.source == "oci-dir" {
			// The second image has the layers of the first and one more. Before
			// each run the cache has what the first left there.
			cache, first := b.TempDir(), []string(nil)
			run("scan-second", func(path string) (int, error) {
				if first == nil {
					if _, err := ours(path, cache); err != nil {
						return 0, err
					}
					first, _ = filepath.Glob(filepath.Join(cache, "*"))
				}
				return ours(filepath.Join(filepath.Dir(path), "second"), cache)
			}, func() {
				all, _ := filepath.Glob(filepath.Join(cache, "*"))
				for _, name := range all {
					if !slices.Contains(first, name) {
						os.Remove(name)
					}
				}
			})
		}
		run("syft", func(path string) (int, error) {
			s, err := peerScan(path, in.source, in.catalogers)
			if err != nil {
				return 0, err
			}
			return len(s), nil
		}, nil)
	}
}

// firstImage returns the first of two images; the second is beside it.
func firstImage(t testing.TB) string {
	dir := os.Getenv("HALLMARK_IMAGE")
	if dir == "" {
		if testing.Short() {
			t.Skip("composes an image")
		}
		dir = t.TempDir()
	}
	first := filepath.Join(dir, "first")
	if _, err := os.Stat(first); err != nil {
		composeImages(t, dir)
	}
	return first
}

// composeImages writes two images made of what this machine has: its package
// database, its programs and libraries, the Go toolchain and the npm project of
// the environment, each a layer; the second image has one layer more.
func composeImages(t testing.TB, dir string) {
	type descriptor struct {
		MediaType string `json:"mediaType"`
		Digest    string `json:"digest"`
		Size      int64  `json:"size"`
	}
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	blobs := filepath.Join(dir, "second", "blobs", "sha256")
	must(os.MkdirAll(blobs, 0o755))
	blob := func(kind string, write func(w io.Writer)) descriptor {
		f, err := os.CreateTemp(blobs, "blob")
		must(err)
		h := sha256.New()
		write(io.MultiWriter(f, h))
		info, err := f.Stat()
		must(err)
		must(f.Close())
		sum := hex.EncodeToString(h.Sum(nil))
		must(os.Rename(f.Name(), filepath.Join(blobs, sum)))
		return descriptor{"application/vnd.oci.image." + kind, "sha256:" + sum, info.Size()}
	}
	document := func(v any) func(io.Writer) {
		return func(w io.Writer) { must(json.NewEncoder(w).Encode(v)) }
	}
	var layers []descriptor
	var ids []string
	// A layer is the regular files and links below some paths, up to a size.
	layer := func(most int64, paths ...string) {
		id := sha256.New()
		layers = append(layers, blob("layer.v1.tar+gzip", func(w io.Writer) {
			z := gzip.NewWriter(w)
			tw := tar.NewWriter(io.MultiWriter(z, id))
			for _, p := range paths {
				filepath.WalkDir(p, func(name string, d fs.DirEntry, err error) error {
					if err != nil || most < 0 {
						return nil
					}
					info, err := d.Info()
					if err != nil {
						return nil
					}
					link := ""
					if d.Type() == fs.ModeSymlink {
						link, _ = os.Readlink(name)
					} else if !d.Type().IsRegular() && !d.IsDir() {
						return nil
					}
					h, err := tar.FileInfoHeader(info, link)
					must(err)
					h.Name = strings.TrimPrefix(name, "/")
					must(tw.WriteHeader(h))
					if d.Type().IsRegular() {
						f, err := os.Open(name)
						must(err)
						_, err = io.CopyN(tw, f, info.Size())
						must(err)
						f.Close()
						most -= info.Size()
					}
					return nil
				})
			}
			must(tw.Close())
			must(z.Close())
		}))
		ids = append(ids, "sha256:"+hex.EncodeToString(id.Sum(nil)))
	}
	image := func(dir string) {
		c := blob("config.v1+json", document(map[string]any{"os": "linux", "architecture": "amd64", "rootfs": map[string]any{"type": "layers", "diff_ids": ids}}))
		m := blob("manifest.v1+json", document(map[string]any{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": c, "layers": layers}))
		must(os.WriteFile(filepath.Join(dir, "oci-layout"), []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o644))
		f, err := os.Create(filepath.Join(dir, "index.json"))
		must(err)
		document(map[string]any{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []descriptor{m}})(f)
		must(f.Close())
	}
	// For tests, which compare what is found, a part is enough.
	_, all := t.(*testing.B)
	most := map[bool]int64{true: 500 << 20, false: 40 << 20}[all]
	layer(most, "/etc/os-release", "/usr/lib/os-release", "/var/lib/dpkg", "/usr/share/doc", "/usr/bin", "/usr/lib")
	layer(most, goRoot(t))
	if p := os.Getenv("HALLMARK_NPM_PROJECT"); p != "" {
		layer(most, p)
	}
	first := filepath.Join(dir, "making")
	must(os.MkdirAll(filepath.Join(first, "blobs", "sha256"), 0o755))
	image(first)
	entries, err := os.ReadDir(blobs)
	must(err)
	for _, e := range entries {
		must(os.Link(filepath.Join(blobs, e.Name()), filepath.Join(first, "blobs", "sha256", e.Name())))
	}
	app := t.TempDir()
	must(os.WriteFile(filepath.Join(app, "package-lock.json"), []byte(`{"lockfileVersion":3,"packages":{"":{"name":"app"},"node_modules/ms":{"version":"2.1.3"}}}`), 0o644))
	layer(1<<20, app)
	image(filepath.Join(dir, "second"))
	must(os.Rename(first, filepath.Join(dir, "first")))
}

func peerScan(path, source string, catalogers []string) ([]pkg.Package, error) {
	ctx, err := peerContext()
	if err != nil {
		return nil, err
	}
	src, err := syft.GetSource(ctx, path, syft.DefaultGetSourceConfig().WithSources(source))
	if err != nil {
		return nil, err
	}
	defer src.Close()
	// No go list: it would run the Go toolchain, over the network.
	cfg := syft.DefaultCreateSBOMConfig().WithParallelism(runtime.GOMAXPROCS(0)).WithoutFiles().
		WithCatalogerSelection(cataloging.NewSelectionRequest().WithDefaults(catalogers...)).
		WithDataGenerationConfig(cataloging.DataGenerationConfig{GenerateCPEs: false})
	cfg.Packages.Golang = cfg.Packages.Golang.WithUsePackagesLib(false)
	s, err := syft.CreateSBOM(ctx, src, cfg)
	if err != nil {
		return nil, err
	}
	return s.Artifacts.Packages.Sorted(), nil
}

var peerContext = sync.OnceValues(func() (context.Context, error) {
	return syft.SetContextLicenseScanner(context.Background(), cataloging.DefaultLicenseConfig())
})

// installed reports whether an npm package was found where package managers put packages.
func installed(p pkg.Package) bool {
	for _, l := range p.Locations.ToSlice() {
		dir := path.Dir(path.Dir(l.RealPath))
		if path.Base(l.RealPath) != "package.json" {
			return true // a lock file
		}
		if strings.HasPrefix(path.Base(dir), "@") {
			dir = path.Dir(dir)
		}
		if path.Base(dir) == "node_modules" {
			return true
		}
	}
	return false
}

// linkless leaves out symbolic links, which may be absolute.
type linkless struct{ fs.FS }

func (l linkless) ReadDir(name string) ([]fs.DirEntry, error) {
	list, err := fs.ReadDir(l.FS, name)
	return slices.DeleteFunc(list, func(e fs.DirEntry) bool { return !e.IsDir() && !e.Type().IsRegular() }), err
}

// TestParity compares what package scan and syft find in the same input, with
// the same ecosystems. Every difference has to have its reason here.
func TestParity(t *testing.T) {
	if testing.Short() {
		t.Skip("runs syft over whole trees")
	}
	for _, in := range peerInputs {
		t.Run(in.name, func(t *testing.T) {
			path := in.path(t)
			f := scan.Dir
			if in.source == "oci-dir" {
				f = scan.Image
			}
			g, err := f(context.Background(), path, scan.Options{Created: time.Unix(1, 0), Name: "x", Ecosystems: in.ecosystems})
			if err != nil {
				t.Fatal(err)
			}
			ours, mains := map[string]bool{}, map[string]bool{}
			for _, c := range g.Components() {
				if c.Type == sbom.Application {
					p, _, _ := strings.Cut(c.PURL, "#")
					mains[p] = true
				}
				if c.PURL != "" {
					ours[strings.ToLower(c.Name)+" "+c.Version] = true
				}
			}
			noted := map[string]bool{}
			for _, u := range g.Unknowns() {
				if u.Reason == scan.ReasonNotInstalled {
					name := u.Detail[strings.LastIndex(u.Detail, ": ")+2:]
					i := strings.LastIndexByte(name, '@')
					noted[strings.ToLower(name[:i])+" "+name[i+1:]] = true
				}
			}
			list, err := peerScan(path, in.source, in.catalogers)
			if err != nil {
				t.Fatal(err)
			}
			missed := 0
			for _, p := range list {
				key := strings.ToLower(p.Name) + " " + p.Version
				if p.Name == "stdlib" {
					key = "stdlib " + strings.TrimPrefix(p.Version, "go")
				}
				switch {
				case !slices.Contains(in.types, p.Type), ours[key], noted[key]:
				case p.Version == "UNKNOWN" || p.Version == "" || p.Version == "(devel)":
					// A main module; scan lists the program without a version.
				case p.Type == pkg.GoModulePkg && strings.HasPrefix(p.Version, "v0.0.0-") && mains["pkg:golang/"+strings.ToLower(p.Name)]:
					// A main module, for which syft makes a version of the commit's
					// time and hash. No tag is known, so v0.0.0 is not either; scan
					// keeps the commit as a property.
				case p.Type == pkg.NpmPkg && !installed(p):
					// A package.json inside of an installed package: fixtures of its
					// tests, sources that it was built from, folders that are no
					// packages. npm ls does not list them. Copies of others that it
					// was published with are part of it.
				default:
					missed++
					t.Errorf("only syft has %s (%s, found by %s in %v)", key, p.PURL, p.FoundBy, p.Locations.ToSlice())
				}
			}
			t.Logf("scan %d, syft %d, only syft %d", len(ours), len(list), missed)
		})
	}
}
