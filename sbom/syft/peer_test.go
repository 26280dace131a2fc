package syft_test

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
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

	"github.com/hallmark-build/hallmark/sbom/scan"
)

// What both look at. The environment names what a machine may not have:
// HALLMARK_NPM_PROJECT a project with node_modules, HALLMARK_IMAGE an OCI layout.
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
	{"image", fromEnv("HALLMARK_IMAGE"), "oci-dir", []string{"npm", "deb", "golang"},
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

// peakRSS is the most memory that the process has had, so each benchmark has to
// run in a process of its own for it to mean something.
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

// BenchmarkPeer measures package scan and syft on the same input with the same
// ecosystems. Each has run once before the clock starts: syft has made its
// licence matcher by then.
func BenchmarkPeer(b *testing.B) {
	for _, in := range peerInputs {
		run := func(name string, f func(path string) (int, error)) {
			b.Run(in.name+"/"+name, func(b *testing.B) {
				path := in.path(b)
				b.ReportAllocs()
				n, err := f(path) // fills what there is to be filled, of either
				if err != nil {
					b.Fatal(err)
				}
				before := cpu()
				for b.Loop() {
					if n, err = f(path); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64((cpu()-before).Microseconds())/1000/float64(b.N), "cpu-ms/op")
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
		run("scan", func(path string) (int, error) { return ours(path, "") })
		if in.source == "oci-dir" {
			var cache string
			run("scan-again", func(path string) (int, error) {
				if cache == "" {
					cache = b.TempDir()
				}
				return ours(path, cache)
			})
		}
		run("syft", func(path string) (int, error) {
			s, err := peerScan(path, in.source, in.catalogers)
			if err != nil {
				return 0, err
			}
			return len(s), nil
		})
	}
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
			ours := map[string]bool{}
			for _, c := range g.Components() {
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
				default:
					missed++
					t.Errorf("only syft has %s (%s, found by %s in %v)", key, p.PURL, p.FoundBy, p.Locations.ToSlice())
				}
			}
			t.Logf("scan %d, syft %d, only syft %d", len(ours), len(list), missed)
		})
	}
}
