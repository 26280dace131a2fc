package scan

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/sbom"
)

func jarOf(files map[string]string) string {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range sorted(files) {
		w, err := z.Create(name)
		if err != nil {
			panic(err)
		}
		w.Write([]byte(files[name]))
	}
	z.Close()
	return b.String()
}

func sorted(m map[string]string) []string {
	var list []string
	for k := range m {
		list = append(list, k)
	}
	for i := range list {
		for j := range i {
			if list[i] < list[j] {
				list[i], list[j] = list[j], list[i]
			}
		}
	}
	return list
}

// TestHostile feeds each parser what is made to break it: each ends soon, in
// little memory, with an unknown about the file.
func TestHostile(t *testing.T) {
	deep := func(open string, n int) string { return strings.Repeat(open, n) }
	bombJar := func() string {
		s := jarOf(map[string]string{"a.jar": strings.Repeat("\x00", 300<<20)})
		return s
	}
	nested := jarOf(map[string]string{"x": ""})
	for i := range 10 {
		nested = jarOf(map[string]string{fmt.Sprintf("n%d.jar", i): nested})
	}
	for _, tt := range []struct{ name, file, content, reason string }{
		{"deep JSON", "package-lock.json", `{"lockfileVersion":3,"packages":` + deep(`{"a":`, 1_000_000), ReasonMalformed},
		{"deep npm tree", "package-lock.json", `{"lockfileVersion":1,"dependencies":` + deep(`{"a":{"dependencies":`, 10_000), ReasonMalformed},
		{"invalid UTF-8", "package-lock.json", "{\"name\":\"\xff\"}", ReasonMalformed},
		{"not a lock", "package-lock.json", `{}`, ReasonMalformed},
		{"deep YAML flow", "pnpm-lock.yaml", "lockfileVersion: 9\nx: " + deep("[", 1_000_000), ReasonMalformed},
		{"deep YAML blocks", "pnpm-lock.yaml", "lockfileVersion: 9\nx:\n" + func() string {
			var b strings.Builder
			for i := range 2000 {
				b.WriteString(strings.Repeat(" ", i) + "a:\n")
			}
			return b.String()
		}(), ReasonLimit},
		{"YAML aliases", "pnpm-lock.yaml", "lockfileVersion: 9\na: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n", ReasonMalformed},
		{"not YAML", "pnpm-lock.yaml", "\x00\x01", ReasonMalformed},
		{"long line", "yarn.lock", strings.Repeat("a", 2<<20), ReasonLimit},
		{"no yarn", "yarn.lock", "  version 1\n", ReasonMalformed},
		{"deep TOML", "Cargo.lock", "a = " + deep("[", 10_000_000), ReasonLimit},
		{"deep TOML tables", "poetry.lock", "a = " + deep("{b=", 5_000_000), ReasonLimit},
		{"dotted TOML", "uv.lock", deep("a.", 5_000_000) + "b = 1", ReasonLimit},
		{"unterminated TOML", "pdm.lock", `a = "` + deep("[", 1000), ReasonMalformed},
		{"TOML types", "Cargo.lock", "package = 7", ReasonMalformed},
		{"deep XML", "pom.xml", "<project>" + deep("<a>", 1_000_000), ReasonLimit},
		{"XML entities", "pom.xml", `<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><project><artifactId>&b;</artifactId></project>`, ReasonMalformed},
		{"property loop", "pom.xml", `<project><artifactId>${a}</artifactId><properties><a>${b}${b}</a><b>${a}${a}</b></properties></project>`, ""},
		{"XML encoding", "pom.xml", `<?xml version="1.0" encoding="utf-7"?><project/>`, ReasonMalformed},
		{"jar bomb", "x.jar", bombJar(), ReasonLimit},
		{"jars in jars", "x.jar", nested, ReasonLimit},
		{"go.mod", "go.mod", "module \"\x00", ReasonMalformed},
		{"go.sum hash", "go.sum", "a v1.0.0 h1:x\n", ReasonBadDigest},
		{"dpkg without colon", "var/lib/dpkg/status", "Package: a\nStatus: install ok installed\nnonsense\n\n", ReasonMalformed},
		{"dpkg without name", "var/lib/dpkg/status", "Status: install ok installed\nVersion: 1\n\n", ReasonMalformed},
		{"dpkg twice", "var/lib/dpkg/status", "Package: a\nPackage: b\nStatus: install ok installed\n", ReasonMalformed},
		{"apk", "lib/apk/db/installed", "V:1\n\nnonsense\n", ReasonMalformed},
		{"pipfile", "Pipfile.lock", `{"default":{"a":{"version":`, ReasonMalformed},
		{"long name", "Cargo.lock", "[[package]]\nname = \"" + strings.Repeat("n", 10_000) + "\"\nversion=\"1\"\n", ReasonLimit},
		{"control characters", "requirements.txt", "a==1\x00\x1b[31m\n", ""},
		{"hostile names", "Cargo.lock", "[[package]]\nname = \"../../\\u0000<script>\"\nversion = \"%2e\\n\"\n", ReasonMalformed},
		{"no name", "package-lock.json", `{"lockfileVersion":3,"packages":{"node_modules/":{"version":"1"}}}`, ReasonMalformed},
		{"a blank for a name", "gradle.lockfile", "g: :1=compileClasspath\n", ReasonMalformed},
		{"a control character for a name", "var/lib/dpkg/status", "Package: \x00\nStatus: install ok installed\n", ReasonMalformed},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := write(t, map[string]string{tt.file: tt.content})
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			g := scanDir(t, dir)
			if d := time.Since(start); d > 20*time.Second {
				t.Errorf("took %v", d)
			}
			runtime.ReadMemStats(&after)
			if got := after.TotalAlloc - before.TotalAlloc; got > 2<<30 {
				t.Errorf("allocated %d MB", got>>20)
			}
			found := tt.reason == ""
			for _, u := range g.Unknowns() {
				if u.Reason == tt.reason && strings.HasPrefix(u.Detail, tt.file+":") {
					found = true
				}
				if len(u.Detail) > 5000 || strings.ContainsAny(u.Detail, "\x00\x1b\n") {
					t.Errorf("unknown with detail %.100q", u.Detail)
				}
			}
			if !found {
				t.Errorf("want an unknown with reason %q, found %v", tt.reason, g.Unknowns())
			}
			doc, err := g.Encode(sbom.CycloneDX)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := sbom.Read(doc, sbom.CycloneDX); err != nil {
				t.Errorf("the document cannot be read back: %v", err)
			}
		})
	}
}

func TestTreeOfLinks(t *testing.T) {
	outside := write(t, map[string]string{"go.mod": "module outside", "Cargo.lock": "[[package]]\nname=\"o\"\nversion=\"1\"\n"})
	dir := write(t, map[string]string{"a/go.mod": "module inside", "node_modules/.store/x@1/node_modules/x/package.json": `{"name":"x","version":"1.0.0","dependencies":{"y":"1"}}`,
		"node_modules/.store/y@1/node_modules/y/package.json": `{"name":"y","version":"1.0.0"}`})
	for link, to := range map[string]string{
		"out": outside, "loop": ".", "a/up": "..", "Cargo.lock": filepath.Join(outside, "Cargo.lock"),
		"node_modules/x": ".store/x@1/node_modules/x", "node_modules/.store/x@1/node_modules/y": "../../y@1/node_modules/y",
		"node_modules/loop": "loop",
	} {
		if err := os.Symlink(to, filepath.Join(dir, filepath.FromSlash(link))); err != nil {
			t.Skip(err)
		}
	}
	got := strings.Join(summary(scanDir(t, dir)), "\n")
	want := strings.Join([]string{
		". > golang/inside", ". > npm/x@1.0.0", "? unreadable  .: Cargo.lock is a symbolic link, which is not followed",
		"golang/inside|required|declared|", "npm/x@1.0.0 > npm/y@1.0.0", "npm/x@1.0.0||observed|", "npm/y@1.0.0||observed|",
	}, "\n")
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestUnreadable(t *testing.T) {
	if os.Getuid() == 0 {
		t.Log("root reads everything; only files that are none are tested")
	}
	dir := write(t, map[string]string{"x": ""})
	if err := os.Mkdir(filepath.Join(dir, "go.mod"), 0o755); err != nil {
		t.Fatal(err)
	}
	if got := summary(scanDir(t, dir)); len(got) != 0 {
		t.Errorf("a directory that is called go.mod: %v", got)
	}
	tr, err := openTree(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.close()
	for _, p := range []string{"go.mod", "none", "../" + filepath.Base(dir) + "/x"} {
		if f, _, err := tr.open(p); err == nil {
			f.Close()
			t.Errorf("%s was opened as a file", p)
		}
	}
}

func TestCancelDuringScan(t *testing.T) {
	files := map[string]string{}
	for i := range 200 {
		files[fmt.Sprintf("d%d/go.mod", i)] = "module m"
	}
	dir := write(t, files)
	before := runtime.NumGoroutine()
	for i := range 20 {
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(i)*200*time.Microsecond)
		Dir(ctx, dir, Options{Created: created})
		cancel()
	}
	time.Sleep(50 * time.Millisecond)
	if n := runtime.NumGoroutine(); n > before+2 {
		t.Errorf("%d goroutines before, %d after", before, n)
	}
}
