package scan

import (
	"bytes"
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/sbom"
)

// fuzz checks of one analyser that it does not panic (a report about a panic
// is a failure here), that its report survives the cache, and that a document
// can be made of it.
func fuzz(f *testing.F, a *analyser, p string, seeds ...string) {
	f.Add([]byte{})
	for _, e := range ecosystems {
		for name, content := range e.files {
			if find([]analyser{*a}, name) != nil {
				f.Add([]byte(content))
			}
		}
	}
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<20 {
			return
		}
		r := &report{Path: p, Analyser: a.name}
		a.read(context.Background(), &file{path: p, size: int64(len(data)), r: bytes.NewReader(data), at: bytes.NewReader(data)}, r)
		b, err := json.Marshal(&layerResult{Reports: []*report{r}})
		if err != nil {
			t.Fatal(err)
		}
		back, err := decodeResult(b)
		if err != nil {
			t.Fatal(err)
		}
		o := Options{Created: time.Unix(1, 0), Name: "x", Tool: sbom.Tool{Name: "fuzz"}}
		as := newAssembly(&o, sbom.Component{Type: sbom.Application, Name: "x"})
		g, err := as.assemble(back.Reports)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := g.Encode(sbom.CycloneDX)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sbom.Read(doc, sbom.CycloneDX); err != nil {
			t.Fatal(err)
		}
	})
}

func FuzzNPMLock(f *testing.F)      { fuzz(f, &npmLock, "package-lock.json") }
func FuzzNPMInstalled(f *testing.F) { fuzz(f, &npmInstalled, "node_modules/a/package.json") }
func FuzzPNPMLock(f *testing.F)     { fuzz(f, &pnpmLock, "pnpm-lock.yaml") }
func FuzzYarnLock(f *testing.F)     { fuzz(f, &yarnLock, "yarn.lock") }
func FuzzOSRelease(f *testing.F)    { fuzz(f, &osRelease, "etc/os-release") }
func FuzzDpkg(f *testing.F)         { fuzz(f, &dpkgStatus, "var/lib/dpkg/status") }
func FuzzAPK(f *testing.F)          { fuzz(f, &apkInstalled, "lib/apk/db/installed") }
func FuzzRequirements(f *testing.F) { fuzz(f, &pyRequirements, "requirements.txt") }
func FuzzPythonLock(f *testing.F)   { fuzz(f, &pyLock, "uv.lock") }
func FuzzPylock(f *testing.F)       { fuzz(f, &pylock, "pylock.toml") }
func FuzzPipfileLock(f *testing.F)  { fuzz(f, &pipfileLock, "Pipfile.lock") }
func FuzzPythonInstalled(f *testing.F) {
	fuzz(f, &pyInstalled, "a-1.dist-info/METADATA")
}
func FuzzCargoLock(f *testing.F)   { fuzz(f, &cargoLock, "Cargo.lock") }
func FuzzGoMod(f *testing.F)       { fuzz(f, &goMod, "go.mod") }
func FuzzGoSum(f *testing.F)       { fuzz(f, &goSum, "go.sum") }
func FuzzPOM(f *testing.F)         { fuzz(f, &mavenPOM, "pom.xml") }
func FuzzGradleLock(f *testing.F)  { fuzz(f, &gradleLock, "gradle.lockfile") }
func FuzzJavaArchive(f *testing.F) { fuzz(f, &javaArchive, "a.jar") }

func FuzzPrograms(f *testing.F) {
	fuzz(f, &programs, "prog", "\x7fELF\x02\x01\x01", "MZ", "\xfe\xed\xfa\xcf")
}

func FuzzAuditable(f *testing.F) {
	f.Add([]byte(`{"packages":[{"name":"app","version":"1","source":"local","root":true,"dependencies":[1]},{"name":"b","version":"2","source":"crates.io","kind":"build"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		readAuditable(&file{path: "p"}, &report{}, data, &finding{})
	})
}

func FuzzLayer(f *testing.F) {
	for _, l := range testLayers {
		f.Add(l)
		f.Add(gz(l))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		files := dockerSave(data)
		if bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
			files = layout(data)
		}
		g, err := Image(context.Background(), tarFile(t, files), Options{Created: created})
		if err != nil {
			return
		}
		if _, err := g.Encode(sbom.CycloneDX); err != nil {
			t.Fatal(err)
		}
	})
}
