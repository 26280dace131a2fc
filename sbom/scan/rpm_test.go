package scan

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hallmark-build/hallmark/internal/rpmtest"
	"github.com/hallmark-build/hallmark/sbom"
)

func rpmHeaders() [][]byte {
	type tags = rpmtest.Tags
	list := [][]byte{
		rpmtest.Header(tags{rpmName: "bash", rpmVersion: "5.2", rpmRelease: "1.fc40", rpmEpoch: []uint32{2}, rpmArch: "x86_64",
			rpmLicense: "GPL-3.0-or-later", rpmVendor: "Fedora Project", rpmURL: "https://www.gnu.org/software/bash",
			rpmSource: "bash-5.2-1.fc40.src.rpm", rpmHeaderSHA256: strings.Repeat("ab", 32), rpmProvide: []string{"bash", "config(bash)"},
			rpmDirNames: []string{"/usr/share/", "/usr/bin/"}, rpmBaseNames: []string{"doc", "bash"}, rpmDirIndexes: []uint32{0, 1},
			rpmRequire: []string{"libc.so.6()(64bit)", "rpmlib(PayloadIsZstd)", "gone", "config(bash)"}, rpmRequireFlags: []uint32{0, rpmSenseLib, 0, 0}}),
		rpmtest.Header(tags{rpmName: "glibc", rpmVersion: "2.39", rpmRelease: "2.fc40", rpmArch: "x86_64", rpmVendor: "(none)", rpmPackager: "Ann <ann@example.com>",
			rpmLicense: "LGPLv2+ and MIT", rpmProvide: []string{"glibc", "libc.so.6()(64bit)"}}),
	}
	// Enough for several levels, and one that takes many pages.
	for i := range 60 {
		list = append(list, rpmtest.Header(tags{rpmName: fmt.Sprintf("p%d", i), rpmVersion: "1", rpmRelease: "1", rpmArch: "noarch",
			rpmLicense: strings.Repeat("x", i*40),
			rpmRequire: []string{"/usr/bin/bash", "(p0 if p1)", "p2"}, rpmRequireFlags: []uint32{0, 0, rpmSenseMissingOK}}))
	}
	return append(list, rpmtest.Header(tags{rpmName: "large", rpmVersion: "1", rpmRelease: "1", rpmBaseNames: strings.Split(strings.Repeat("file ", 50_000), " ")}))
}

func TestRPM(t *testing.T) {
	headers := rpmHeaders()
	release := "ID=rhel\nVERSION_ID=9.4\n"
	for name, files := range map[string]map[string]string{
		"sqlite":      {"var/lib/rpm/rpmdb.sqlite": string(rpmtest.SQLite(4096, headers...)), "etc/os-release": release},
		"sqlite-1k":   {"usr/lib/sysimage/rpm/rpmdb.sqlite": string(rpmtest.SQLite(1024, headers...)), "etc/os-release": release},
		"sqlite-64k":  {"usr/share/rpm/rpmdb.sqlite": string(rpmtest.SQLite(65536, headers...)), "etc/os-release": release},
		"ndb":         {"var/lib/rpm/Packages.db": string(rpmtest.NDB(headers...)), "etc/os-release": release},
		"bdb":         {"var/lib/rpm/Packages": string(rpmtest.BDB(binary.LittleEndian, headers...)), "etc/os-release": release},
		"bdb, s390":   {"var/lib/rpm/Packages": string(rpmtest.BDB(binary.BigEndian, headers...)), "etc/os-release": release},
		"with a log":  {"var/lib/rpm/rpmdb.sqlite": string(rpmtest.SQLite(4096, headers...)), "var/lib/rpm/rpmdb.sqlite-wal": "x", "etc/os-release": release},
		"no log left": {"var/lib/rpm/rpmdb.sqlite": string(rpmtest.SQLite(4096, headers...)), "var/lib/rpm/rpmdb.sqlite-wal": "", "etc/os-release": release},
	} {
		t.Run(name, func(t *testing.T) {
			g := scanDir(t, write(t, files))
			if n := len(versions(g, "rpm")); n != len(headers) {
				t.Errorf("%d packages, want %d", n, len(headers))
			}
			bash := g.FindPURL("pkg:rpm/redhat/bash@5.2-1.fc40?arch=x86_64&distro=rhel-9.4&epoch=2&upstream=bash-5.2-1.fc40.src.rpm")
			if len(bash) != 1 {
				t.Fatalf("no bash in %v", summary(g))
			}
			if b := bash[0]; b.Version != "2:5.2-1.fc40" || b.Declared.Expression != "GPL-3.0-or-later" || b.Supplier.Name != "Fedora Project" || len(b.Digests) != 0 {
				t.Errorf("%+v", b)
			}
			got := strings.Join(summary(g), "\n")
			for _, want := range []string{
				"rpm/redhat/bash@5.2-1.fc40?arch=x86_64&distro=rhel-9.4&epoch=2&upstream=bash-5.2-1.fc40.src.rpm > rpm/redhat/glibc@2.39-2.fc40?arch=x86_64&distro=rhel-9.4",
				"rpm/redhat/p7@1-1?arch=noarch&distro=rhel-9.4 > rpm/redhat/bash@5.2-1.fc40?",
				"rpm/redhat/p7@1-1?arch=noarch&distro=rhel-9.4 > rpm/redhat/p0@1-1?",
				"? unresolved-dependency rpm/redhat/bash@5.2-1.fc40?arch=x86_64&distro=rhel-9.4&epoch=2&upstream=bash-5.2-1.fc40.src.rpm gone",
			} {
				if !strings.Contains(got, want) {
					t.Errorf("no %s in\n%.2000s", want, got)
				}
			}
			if logged := strings.Contains(got, "were not carried over"); logged != (name == "with a log") {
				t.Errorf("log noted: %v", logged)
			}
			if strings.Contains(got, "rpmlib") || strings.Count(got, "? unresolved") != 1 || strings.Contains(got, ReasonMalformed) {
				t.Errorf("unexpected unknowns in\n%.3000s", got)
			}
		})
	}
}

// TestRPMDamaged damages databases byte by byte and cuts them off. Nothing makes
// the readers panic, and a file of which less is there than it says, or
// nothing at all, is noted. (One that says by a single count that it has fewer
// packages is a sound database with fewer packages.)
func TestRPMDamaged(t *testing.T) {
	headers := rpmHeaders()[:12]
	for name, b := range map[string][]byte{
		"rpmdb.sqlite": rpmtest.SQLite(1024, headers...),
		"Packages.db":  rpmtest.NDB(headers...),
		"Packages":     rpmtest.BDB(binary.LittleEndian, headers...),
	} {
		p := "var/lib/rpm/" + name
		analyse := func(b []byte) *report {
			return rpmDatabase.analyse(context.Background(), &file{path: p, size: int64(len(b)), at: bytes.NewReader(b)})
		}
		whole := analyse(b)
		if len(whole.Findings) != 12 || len(whole.Gaps) != 0 {
			t.Fatalf("%s: %d findings, %v", name, len(whole.Findings), whole.Gaps)
		}
		step := 5
		if testing.Short() {
			step = 97
		}
		for i := 0; i < len(b); i += step {
			for _, v := range []byte{0xff, 0x00, b[i] + 1} {
				bad := bytes.Clone(b)
				bad[i] = v
				r := analyse(bad)
				if r == nil || len(r.Findings)+len(r.Gaps) == 0 {
					t.Fatalf("%s: byte %d = %#x: nothing is said", name, i, v)
				}
				for _, g := range r.Gaps {
					if strings.Contains(g.Detail, "cannot be parsed") { // a panic
						t.Fatalf("%s: byte %d = %#x: %v", name, i, v, g)
					}
				}
			}
		}
		for n := range len(b) / 512 {
			if r := analyse(b[:n*512]); r == nil || len(r.Findings) < 12 && len(r.Gaps) == 0 {
				t.Errorf("%s: cut at %d: %+v", name, n*512, r)
			}
		}
	}
}

// TestOracleRPM compares with rpm -qa of packages that are made and installed
// for the purpose.
func TestOracleRPM(t *testing.T) {
	if testing.Short() {
		t.Skip("makes packages")
	}
	for _, tool := range []string{"rpm", "rpmbuild"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("no", tool)
		}
	}
	dir := t.TempDir()
	db := filepath.Join(dir, "root", "var", "lib", "rpm")
	if err := os.MkdirAll(db, 0o755); err != nil {
		t.Fatal(err)
	}
	run := func(name string, args ...string) string {
		out, err := exec.Command(name, args...).Output()
		if err != nil {
			t.Skipf("%s: %v", name, err)
		}
		return string(out)
	}
	for i := range 3 {
		spec := filepath.Join(dir, fmt.Sprintf("o%d.spec", i))
		os.WriteFile(spec, fmt.Appendf(nil, "Name: o%d\nVersion: 1.%d\nRelease: 1\nSummary: s\nLicense: MIT\nBuildArch: noarch\nRequires: /bin/sh\n%%description\nd\n%%files\n", i, i), 0o644)
		run("rpmbuild", "-bb", "--define", "_topdir "+dir, spec)
		run("rpm", "--dbpath", db, "--define", "_db_backend sqlite", "--justdb", "--nodeps", "-i", filepath.Join(dir, "RPMS", "noarch", fmt.Sprintf("o%d-1.%d-1.noarch.rpm", i, i)))
	}
	want := map[string]bool{}
	for line := range strings.Lines(run("rpm", "--dbpath", db, "-qa", "--qf", "%{NAME} %{VERSION}-%{RELEASE}\n")) {
		want[strings.TrimSpace(line)] = true
	}
	if len(want) != 3 {
		t.Skipf("rpm -qa says %v", want)
	}
	if diff := cmp.Diff(want, versions(scanDir(t, filepath.Join(dir, "root")), "rpm")); diff != "" {
		t.Errorf("-rpm -qa +scan:\n%s", diff)
	}
}

func FuzzRPM(f *testing.F) {
	headers := rpmHeaders()
	f.Add(0, rpmtest.SQLite(1024, headers[:20]...))
	f.Add(1, rpmtest.NDB(headers[:5]...))
	f.Add(2, rpmtest.BDB(binary.LittleEndian, headers[:20]...))
	f.Fuzz(func(t *testing.T, kind int, data []byte) {
		p := "var/lib/rpm/" + []string{"rpmdb.sqlite", "Packages.db", "Packages"}[uint(kind)%3]
		r := &report{Path: p}
		readRPM(context.Background(), &file{path: p, size: int64(len(data)), at: bytes.NewReader(data)}, r)
		o := Options{Created: created, Name: "x"}
		if _, err := newAssembly(&o, sbom.Component{Name: "x"}).assemble([]*report{r}); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzRPMHeader(f *testing.F) {
	for _, h := range rpmHeaders()[:4] {
		f.Add(h)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := parseRPMHeader(data)
		if err != nil {
			return
		}
		wanted := map[string]bool{}
		h.add("g", &report{}, wanted)
		h.files(wanted, func(string) {})
	})
}
