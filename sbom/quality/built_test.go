package quality_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/golang"
	"github.com/hallmark-build/hallmark/sbom/quality"
	"github.com/hallmark-build/hallmark/sbom/scan"
)

// least is the score that every document of the test set must have on what its
// producer can know.
const least = 9.5

var created = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// The bill of a Go program, as examples/release makes it: this very test.
func builtGraph(t *testing.T) *sbom.Graph {
	t.Helper()
	out, err := exec.Command("go", "env", "GOMODCACHE", "GOROOT").Output()
	if err != nil {
		t.Skip("no go command")
	}
	cache, goroot, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	file, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	g, err := golang.FromBinary(context.Background(), file, golang.Options{
		Created: created, ModCache: cache, Goroot: goroot, Source: "../..", Name: "quality.test", Version: "v1.0.0",
		Supplier: sbom.Party{Name: "Hallmark", URL: "https://hallmark.build"}, Tool: sbom.Tool{Name: "hallmark", Version: "1"},
		Manufacturer: sbom.Party{Name: "Hallmark", URL: "https://hallmark.build"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestGoProgramScores(t *testing.T) {
	if testing.Short() {
		t.Skip("reads modules")
	}
	g := builtGraph(t)
	for _, f := range []sbom.Format{sbom.CycloneDX, sbom.SPDX} {
		doc, err := g.Encode(f)
		if err != nil {
			t.Fatal(err)
		}
		back, err := sbom.Read(doc, f)
		if err != nil {
			t.Fatal(err)
		}
		expectScore(t, string(f), back)
	}
}

func expectScore(t *testing.T, what string, g *sbom.Graph) {
	t.Helper()
	s, err := quality.ScoreOf(g)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %.2f, of what can be known %.2f (%d unknown)", what, s.Overall, s.Knowable, len(s.Unknown))
	if s.Knowable < least {
		t.Errorf("%s: %.2f of what can be known, want %.1f", what, s.Knowable, least)
	}
	for _, f := range s.Features {
		if f.Have+f.Unknown < f.Total {
			t.Logf("  %s/%s: %d of %d, %d unknown", f.Category, f.Name, f.Have, f.Total, f.Unknown)
		}
	}
	if t.Failed() {
		for _, p := range quality.Profiles() {
			r, err := quality.Check(g, p, quality.Options{Spec: "CycloneDX 1.6"})
			if err != nil {
				t.Fatal(err)
			}
			for i, f := range r.Findings {
				if i < 5 {
					t.Logf("  %s %s %s %s: %s", p, f.Level, f.Rule, f.Label, f.Message)
				}
			}
		}
	}
}

// What a scan of each ecosystem's files finds.
func TestScansScore(t *testing.T) {
	trees := map[string]map[string]string{
		"npm": {"package-lock.json": `{"name":"app","version":"1.0.0","lockfileVersion":3,"packages":{
			"":{"name":"app","version":"1.0.0","dependencies":{"ms":"2.1.3"}},
			"node_modules/ms":{"version":"2.1.3","resolved":"https://registry.npmjs.org/ms/-/ms-2.1.3.tgz","integrity":"sha512-6FlzubTLZG3J2a/NVCAleEhjzq5oxgHyaCU9yYXvcLsvoVaHJq/s5xXI6/XXP6tz7R9xAOtHnSO/tXtF3WRTlA==","license":"MIT"}}}`},
		"pypi": {"requirements.txt": "idna==3.7 --hash=sha256:82fee1fc78add43492d3a1898bfa6d8a904cc97d8427f683ed8e798d07761aa0\n"},
		"cargo": {"Cargo.lock": "version = 3\n\n[[package]]\nname = \"app\"\nversion = \"0.1.0\"\ndependencies = [\n \"itoa\",\n]\n\n[[package]]\nname = \"itoa\"\nversion = \"1.0.11\"\n" +
			"source = \"registry+https://github.com/rust-lang/crates.io-index\"\nchecksum = \"49f1f14873335454500d59611f1cf4a4b0f786f9ac11f4312a78e4cf2566695b\"\n"},
		"deb": {"etc/os-release": "ID=debian\nVERSION_ID=\"12\"\nNAME=Debian\n", "var/lib/dpkg/status": "Package: zlib1g\nStatus: install ok installed\nMaintainer: Mark Brown <broonie@debian.org>\nArchitecture: amd64\nSource: zlib\nVersion: 1:1.2.13.dfsg-1\n\n"},
		"apk": {"etc/os-release": "ID=alpine\nVERSION_ID=3.19.1\nNAME=Alpine\n", "lib/apk/db/installed": "P:zlib\nV:1.3.1-r0\nA:x86_64\nL:Zlib\no:zlib\nm:Natanael Copa <ncopa@alpinelinux.org>\n\n"},
		"go":  {"go.mod": "module example.com/app\n\ngo 1.22\n\nrequire golang.org/x/mod v0.17.0\n", "go.sum": "golang.org/x/mod v0.17.0 h1:zY54UmvipHiNd+pm+m0x9KhZ9hl1/7QNMyxXbc6ICqA=\n"},
	}
	for name, files := range trees {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for p, content := range files {
				p = filepath.Join(dir, filepath.FromSlash(p))
				if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(p, []byte(content), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			g, err := scan.Dir(context.Background(), dir, scan.Options{Created: created, Name: "app", Version: "1.0.0",
				Tool: sbom.Tool{Name: "hallmark", Version: "1"}, Manufacturer: sbom.Party{Name: "Hallmark", URL: "https://hallmark.build"}})
			if err != nil {
				t.Fatal(err)
			}
			expectScore(t, name, g)
		})
	}
}
