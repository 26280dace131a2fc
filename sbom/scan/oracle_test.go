package scan

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/hallmark-build/hallmark/sbom"
)

// versions lists "name version" of the components whose package URL is of a type.
func versions(g *sbom.Graph, typ string) map[string]bool {
	m := map[string]bool{}
	for _, c := range g.Components() {
		if strings.HasPrefix(c.PURL, "pkg:"+typ+"/") {
			m[c.Name+" "+c.Version] = true
		}
	}
	return m
}

// TestOracleDpkg compares with what dpkg-query says of this machine.
func TestOracleDpkg(t *testing.T) {
	out, err := exec.Command("dpkg-query", "-W", "-f", "${db:Status-Status} ${Package} ${Version}\n").Output()
	if err != nil {
		t.Skip("no dpkg-query:", err)
	}
	want := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		state, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if state != "not-installed" && state != "config-files" {
			want[rest] = true
		}
	}
	status, err := os.ReadFile("/var/lib/dpkg/status")
	if err != nil {
		t.Skip(err)
	}
	got := versions(scanDir(t, write(t, map[string]string{"var/lib/dpkg/status": string(status)})), "deb")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-dpkg-query +scan:\n%s", diff)
	}
	t.Logf("%d packages", len(got))
}

// TestOracleNPM compares with what npm says is installed: in the project that
// HALLMARK_NPM_PROJECT names, or else in a small one, installed from the registry.
func TestOracleNPM(t *testing.T) {
	npm, err := exec.LookPath("npm")
	if err != nil {
		t.Skip("no npm")
	}
	dir := os.Getenv("HALLMARK_NPM_PROJECT")
	if dir == "" {
		if testing.Short() {
			t.Skip("installs from the registry")
		}
		dir = write(t, map[string]string{"package.json": `{"name":"app","version":"1.0.0","dependencies":{"chokidar":"3.6.0","semver":"7.6.0"},"devDependencies":{"rimraf":"5.0.5"}}`})
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, npm, "install", "--ignore-scripts", "--no-audit", "--no-fund")
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Skipf("cannot install: %v\n%s", err, out)
		}
	}
	cmd := exec.Command(npm, "ls", "--all", "--long", "--json")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil && len(out) == 0 {
		t.Skip(err)
	}
	type tree struct {
		Name, Version string
		Dependencies  map[string]*tree
	}
	var top tree
	if err := json.Unmarshal(out, &top); err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{top.Name + " " + top.Version: true}
	var walk func(*tree)
	walk = func(n *tree) {
		for name, d := range n.Dependencies {
			// An alias is listed under its own name.
			if d.Name != "" {
				name = d.Name
			}
			// An entry without a version is an optional one that is not installed.
			if d.Version != "" {
				want[name+" "+d.Version] = true
			}
			walk(d)
		}
	}
	walk(&top)
	g, err := Dir(context.Background(), dir, Options{Created: created, Ecosystems: []string{"npm"}})
	if err != nil {
		t.Fatal(err)
	}
	got := versions(g, "npm")
	// npm ls leaves out packages that are part of another's tarball and not in
	// the lock file. They are there all the same; each is shown to be.
	extra := maps.Clone(got)
	for k := range want {
		delete(extra, k)
	}
	for k := range extra {
		name, version, _ := strings.Cut(k, " ")
		c := g.Component(npmPURL(name, version).String())
		where := ""
		for _, p := range c.Properties {
			if p.Name == "hallmark-scan:path" && strings.HasSuffix(p.Value, "/package.json") {
				where = p.Value
			}
		}
		if _, err := os.Stat(filepath.Join(dir, filepath.FromSlash(where))); where == "" || err != nil || inLock(t, dir, name, version) {
			t.Errorf("%s is not in npm ls", k)
			continue
		}
		t.Logf("not in npm ls, and installed: %s in %s", k, where)
		delete(got, k)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-npm ls +scan:\n%s", diff)
	}
	t.Logf("%d packages", len(got))
}

// inLock reports whether the lock file in node_modules has a package.
func inLock(t *testing.T, dir, name, version string) bool {
	data, err := os.ReadFile(filepath.Join(dir, "node_modules", ".package-lock.json"))
	if err != nil {
		t.Fatal(err)
	}
	var lock struct {
		Packages map[string]struct{ Name, Version string }
	}
	if err := json.Unmarshal(data, &lock); err != nil {
		t.Fatal(err)
	}
	for key, p := range lock.Packages {
		if p.Version == version && (p.Name == name || p.Name == "" && strings.HasSuffix(key, "node_modules/"+name)) {
			return true
		}
	}
	return false
}

// TestOracleCargo compares with cargo metadata, of a workspace without
// dependencies from elsewhere, since there is no network.
func TestOracleCargo(t *testing.T) {
	cargo, err := exec.LookPath("cargo")
	if err != nil {
		t.Skip("no cargo")
	}
	dir := write(t, map[string]string{
		"Cargo.toml":   "[workspace]\nmembers = [\"a\", \"b\"]\nresolver = \"2\"\n",
		"a/Cargo.toml": "[package]\nname = \"a\"\nversion = \"1.2.3\"\nedition = \"2021\"\n[dependencies]\nb = { path = \"../b\" }\n",
		"b/Cargo.toml": "[package]\nname = \"b\"\nversion = \"0.1.0-rc.1\"\nedition = \"2021\"\n",
		"a/src/lib.rs": "", "b/src/lib.rs": "",
	})
	cmd := exec.Command(cargo, "metadata", "--offline", "--format-version", "1")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		t.Skip("cargo metadata:", err)
	}
	var meta struct {
		Packages []struct{ Name, Version string }
	}
	if err := json.Unmarshal(out, &meta); err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for _, p := range meta.Packages {
		want[p.Name+" "+p.Version] = true
	}
	g := scanDir(t, dir)
	if diff := cmp.Diff(want, versions(g, "cargo")); diff != "" {
		t.Errorf("-cargo metadata +scan:\n%s", diff)
	}
	if !strings.Contains(strings.Join(summary(g), "\n"), "cargo/a@1.2.3 > cargo/b@0.1.0-rc.1") {
		t.Error("a does not depend on b")
	}
}

// TestOracleGoVersion compares with go version -m of a program with dependencies
// that are in the module cache because this module has them.
func TestOracleGoVersion(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	_, requires, _ := strings.Cut(string(mod), "\nrequire ")
	const self = "github.com/hallmark-build/hallmark"
	src := write(t, map[string]string{
		"go.mod":  "module example.com/prog\n\ngo 1.26\n\nrequire " + self + " v0.0.0\nreplace " + self + " => " + root + "\nrequire " + requires,
		"go.sum":  string(sums),
		"main.go": "package main\n\nimport _ \"" + self + "/sbom/scan\"\n\nfunc main() {}\n",
	})
	dir := t.TempDir()
	exe := filepath.Join(dir, "prog")
	cmd := exec.Command("go", "build", "-mod=mod", "-o", exe, ".")
	cmd.Dir = src
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOPROXY=off", "GOFLAGS=-buildvcs=false")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("cannot build offline: %v\n%s", err, out)
	}
	out, err := exec.Command("go", "version", "-m", exe).Output()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{"stdlib " + strings.TrimPrefix(runtime.Version(), "go"): true}
	for line := range strings.Lines(string(out)) {
		// What a folder replaces has the version that was required.
		if w := strings.Fields(line); len(w) >= 3 && w[0] == "dep" {
			want[w[1]+" "+w[2]] = true
		}
	}
	if len(want) < 4 {
		t.Fatalf("go version -m says only %v", want)
	}
	data, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	g, err := Dir(context.Background(), dir, Options{Created: created, Name: "tree", Digests: true})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, c := range g.Components() {
		switch {
		case c.Type == sbom.Library:
			got[c.Name+" "+c.Version] = true
		case c != g.Root():
			if len(c.Digests) != 1 || c.Digests[0].Value() != sha(data) {
				t.Errorf("digests of the program: %v", c.Digests)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-go version -m +scan:\n%s", diff)
	}
	// The same out of an image.
	img := versions(scanImage(t, tarFile(t, layout(gz(tarOf("prog="+string(data))))), Options{}), "golang")
	for k := range want {
		if !img[k] {
			t.Errorf("not found in the image: %s", k)
		}
	}
	t.Logf("%d modules", len(got))
	testHolder(t, data)
}
