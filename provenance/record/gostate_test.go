package record

import (
	"archive/zip"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/provenance"
)

// goModule writes a module that requires two modules of a proxy in the file
// system, one of them replaced by a third, and a fourth replaced by a
// directory. It returns the module's directory and the environment for it.
func goModule(t testing.TB) (dir string, environ []string) {
	t.Helper()
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	proxy := filepath.Join(top, "proxy")
	publish := func(path, version string) {
		at := filepath.Join(proxy, path, "@v")
		mod := "module " + strings.ReplaceAll(path, "!u", "U") + "\n\ngo 1.25\n"
		write(t, filepath.Join(at, "list"), version+"\n")
		write(t, filepath.Join(at, version+".info"), `{"Version":"`+version+`","Time":"2026-01-01T00:00:00Z"}`)
		write(t, filepath.Join(at, version+".mod"), mod)
		f, err := os.Create(filepath.Join(at, version+".zip"))
		if err != nil {
			t.Fatal(err)
		}
		z := zip.NewWriter(f)
		for name, content := range map[string]string{"go.mod": mod, "x.go": "package x\n\nconst X = \"" + path + "\"\n"} {
			w, _ := z.Create(strings.ReplaceAll(path, "!u", "U") + "@" + version + "/" + name)
			w.Write([]byte(content))
		}
		if err := errors.Join(z.Close(), f.Close()); err != nil {
			t.Fatal(err)
		}
	}
	publish("example.com/!upper", "v1.2.3")
	publish("example.com/old", "v1.0.0")
	publish("example.com/fork", "v0.0.0-20260101000000-abcdefabcdef")
	dir = filepath.Join(top, "main")
	write(t, filepath.Join(dir, "go.mod"), `module example.com/main

go 1.25

require (
	example.com/Upper v1.2.3
	example.com/old v1.0.0
	example.com/local v1.0.0
)

replace example.com/old => example.com/fork v0.0.0-20260101000000-abcdefabcdef

replace example.com/local => ../local
`)
	write(t, filepath.Join(dir, "main.go"), `package main

import (
	a "example.com/Upper"
	b "example.com/local"
)

func main() { println(a.X, b.X) }
`)
	write(t, filepath.Join(dir, "other/other.go"), "package other\n\nimport _ \"example.com/old\"\n")
	write(t, filepath.Join(top, "local/go.mod"), "module example.com/local\n\ngo 1.25\n")
	write(t, filepath.Join(top, "local/x.go"), "package x\n\nconst X = 1\n")
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); !strings.HasPrefix(name, "GO") || name == "GOCACHE" || name == "GOROOT" {
			environ = append(environ, kv)
		}
	}
	environ = append(environ, "GOPROXY=file://"+filepath.ToSlash(proxy), "GOSUMDB=off", "GOENV=off", "GOWORK=off",
		"GOMODCACHE="+filepath.Join(top, "cache"), "GOFLAGS=-modcacherw -buildvcs=false", "GOTOOLCHAIN=local", "CGO_ENABLED=0")
	goCommand(t, dir, environ, "mod", "tidy")
	return dir, environ
}

func goCommand(t testing.TB, dir string, environ []string, args ...string) string {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Env = dir, environ
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("go %q: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// goSum returns the dirHash that go.sum has for a module.
func goSum(t *testing.T, dir, module string) provenance.Digest {
	t.Helper()
	b, _ := os.ReadFile(filepath.Join(dir, "go.sum"))
	for line := range strings.Lines(string(b)) {
		if sum, ok := strings.CutPrefix(line, module+" h1:"); ok {
			raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(sum))
			if err != nil {
				t.Fatal(err)
			}
			return provenance.MustDigest("dirHash:" + hex.EncodeToString(raw))
		}
	}
	t.Fatalf("%s is not in go.sum:\n%s", module, b)
	return provenance.Digest{}
}

func TestGo(t *testing.T) {
	dir, environ := goModule(t)
	s, err := Go(t.Context(), dir, environ, GoOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if s.Version != goCommand(t, dir, environ, "env", "GOVERSION") || s.Workspace || s.Settings["CGO_ENABLED"] != "0" ||
		s.Settings["GOFLAGS"] != "-modcacherw -buildvcs=false" || s.Settings["GOOS"] == "" {
		t.Errorf("%+v", s)
	}
	local, err := provenance.DigestTree(t.Context(), filepath.Join(dir, "../local"), provenance.TreeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	fork := "example.com/fork v0.0.0-20260101000000-abcdefabcdef"
	want := []GoModule{
		{"example.com/Upper", "v1.2.3", "", goSum(t, dir, "example.com/Upper v1.2.3")},
		{"example.com/local", "v1.0.0", "(directory)", local.Digests().Get(provenance.DirHash)},
		{"example.com/old", "v1.0.0", strings.Replace(fork, " ", "@", 1), goSum(t, dir, fork)},
	}
	if !slices.Equal(s.Modules, want) {
		t.Errorf("modules\n%v, want\n%v", s.Modules, want)
	}
	var uris []string
	for _, d := range s.Dependencies() {
		if len(d.Digest) == 0 {
			t.Errorf("%v has no digest", d)
		}
		uris = append(uris, d.URI)
	}
	version := strings.TrimPrefix(s.Version, "go")
	for _, u := range []string{"pkg:golang/example.com/upper@v1.2.3", "pkg:golang/example.com/fork@v0.0.0-20260101000000-abcdefabcdef", "pkg:golang/stdlib@" + version + "#bin/go"} {
		if !slices.Contains(uris, u) {
			t.Errorf("%s is not in %q", u, uris)
		}
	}

	// What the binary says: less, because example.com/old is not linked.
	binary := filepath.Join(t.TempDir(), "app")
	goCommand(t, dir, environ, "build", "-ldflags=-s", "-o", binary, ".")
	b, err := GoBinary(binary)
	if err != nil {
		t.Fatal(err)
	}
	if len(b.Modules) != 2 || b.Modules[0] != want[0] || b.Version != s.Version || b.Settings["-ldflags"] != "-s" {
		t.Errorf("binary: %+v", b)
	}
	if want := []string{"example.com/local@v1.0.0: replaced by a directory"}; !slices.Equal(b.Unknown, want) {
		t.Errorf("unknown %q, want %q", b.Unknown, want)
	}
	if len(b.Dependencies()) != 1 {
		t.Errorf("dependencies of the binary: %v", b.Dependencies())
	}
	if _, err := GoBinary(filepath.Join(dir, "go.mod")); err == nil {
		t.Error("go.mod is not a binary")
	}
}

func TestGoHermetic(t *testing.T) {
	dir, environ := goModule(t)
	cache := filepath.Join(filepath.Dir(dir), "cache")
	if err := os.RemoveAll(cache); err != nil {
		t.Fatal(err)
	}
	s, err := Go(t.Context(), dir, environ, GoOptions{})
	if e, ok := errors.AsType[*Error](err); !ok || e.Reason != ReasonTool || !strings.Contains(err.Error(), "GOPROXY=off") {
		t.Errorf("without the module cache: %+v, %v", s, err)
	}
	if _, err := os.Stat(filepath.Join(cache, "cache/download/example.com")); err == nil {
		t.Error("something was fetched")
	}
	before, _ := os.ReadFile(filepath.Join(dir, "go.mod"))
	if _, err := Go(t.Context(), dir, environ, GoOptions{UnsafeNetwork: true}); err != nil {
		t.Error(err)
	}
	if after, _ := os.ReadFile(filepath.Join(dir, "go.mod")); string(after) != string(before) {
		t.Error("go.mod was changed")
	}
}

func TestGoWorkspace(t *testing.T) {
	dir, environ := goModule(t)
	top := filepath.Dir(dir)
	write(t, filepath.Join(top, "go.work"), "go 1.25\n\nuse (\n\t./main\n\t./local\n)\n")
	environ = append(environ, "GOWORK=")
	s, err := Go(t.Context(), dir, environ, GoOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !s.Workspace || len(s.Modules) != 2 { // local is a main module now
		t.Errorf("%+v", s)
	}
}

func TestGoAbsent(t *testing.T) {
	dir := t.TempDir()
	for name, environ := range map[string][]string{"no go": {"PATH=" + dir}, "no module": append(os.Environ(), "GOWORK=off", "GOFLAGS=")} {
		if s, err := Go(t.Context(), dir, environ, GoOptions{}); err == nil {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

func TestGoPURL(t *testing.T) {
	for want, in := range map[string][2]string{
		"pkg:golang/github.com/burntsushi/toml@v1.2.0": {"github.com/BurntSushi/toml", "v1.2.0"},
		"pkg:golang/a.b/c@v2.0.0%2Bincompatible":       {"a.b/c", "v2.0.0+incompatible"},
	} {
		if got := goPURL(in[0], in[1]); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

// A real build from a real repository, recorded with everything that is known.
func TestRecordGoBuild(t *testing.T) {
	dir, environ := goModule(t)
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip(err)
	}
	r := &repo{t, dir}
	r.git("init", "-q", "-b", "main")
	r.commit()
	git, err := Git(t.Context(), dir, environ)
	if err != nil {
		t.Fatal(err)
	}
	goState, err := Go(t.Context(), dir, environ, GoOptions{})
	if err != nil {
		t.Fatal(err)
	}
	rec := mustRun(t, Step{
		Name: "build", Argv: []string{"go", "build", "-trimpath", "-o", "dist/app", "."}, Dir: dir,
		Materials: []string{"."}, Products: []string{"dist/app"}, Environ: environ,
		Env:     []string{"CGO_ENABLED", "GOFLAGS", "GOTOOLCHAIN"},
		PassEnv: []string{"PATH", "HOME", "GOPROXY", "GOSUMDB", "GOENV", "GOWORK", "GOMODCACHE", "GOCACHE", "LocalAppData"},
		Now:     time.Now, Git: &git, Go: &goState,
	})
	st, err := rec.Provenance("https://builder.example/laptop", "")
	if err != nil {
		t.Fatal(err)
	}
	payload := string(st.Payload())
	for _, want := range []string{git.Commit.Value(), git.Tree.Value(), `"main.go"`, "pkg:golang/example.com/upper@v1.2.3", goState.Version, `"-trimpath"`} {
		if !strings.Contains(payload, want) {
			t.Errorf("provenance does not have %s", want)
		}
	}
	if strings.Contains(payload, dir) {
		t.Errorf("provenance tells the directory %s: %s", dir, payload)
	}
	f := childStep(t, "exit", "1")
	f.Materials, f.Git = nil, &git
	_, err = Run(t.Context(), f)
	failure, _ := errors.AsType[*Failure](err)
	if st, err = failure.Statement("", ""); err != nil || !st.Subjects()[0].Digest.Matches(provenance.DigestSet{git.Commit}) {
		t.Errorf("a failure without materials is about %v (%v)", st, err)
	}
}
