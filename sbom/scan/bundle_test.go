package scan

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hallmark-build/hallmark/sbom"
)

const bundledLock = `{"name":"app","version":"1.0.0","lockfileVersion":3,"packages":{
	"":{"name":"app","version":"1.0.0","dependencies":{"a":"1","b":"1","tool":"1"}},
	"node_modules/a":{"version":"1.0.0","integrity":"` + "SRI" + `","dependencies":{"c":"1"}},
	"node_modules/b":{"version":"1.0.0"},
	"node_modules/b/node_modules/c":{"version":"2.0.0"},
	"node_modules/c":{"version":"1.0.0"},
	"node_modules/@s/d":{"version":"1.0.0"},
	"node_modules/tool":{"version":"1.0.0"}}}`

// What was packed by each bundler: a, c in b, @s/d; and one that no lock file has.
var bundlers = map[string][2]string{
	"esbuild": {"dist/meta.json", `{"inputs":{"node_modules/tool/x.js":{}},"outputs":{
		"dist/app.js.map":{"inputs":{}},
		"dist/app.js":{"inputs":{"src/x.js":{"bytesInOutput":3},"node_modules/a/i.js":{"bytesInOutput":9},"node_modules/c/i.js":{"bytesInOutput":0},
			"node_modules/b/node_modules/c/i.js":{"bytesInOutput":1},"../node_modules/@s/d/lib/i.js":{"bytesInOutput":1},"node_modules/new/i.js":{"bytesInOutput":1},
			"(disabled):node_modules/tool/i.js":{"bytesInOutput":0}}}}}`},
	"webpack": {"dist/webpack-stats.json", `{"chunks":[{"id":7,"files":["app.js","app.js.map"]}],"modules":[
		{"name":"./src/x.js + 3 modules","chunks":[7],"modules":[{"name":"./src/x.js"},{"name":"./node_modules/a/i.js"},{"name":"./node_modules/b/node_modules/c/i.js?v=1"}]},
		{"name":"css-loader!./node_modules/@s/d/x.css","chunks":[7]},{"name":"webpack/runtime/x","chunks":[7]},
		{"name":"external \"x\"","nameForCondition":"/home/x/app/node_modules/new/i.js","chunks":[7]},
		{"name":"./node_modules/tool/i.js","chunks":[],"orphan":true},{"name":"./node_modules/c/i.js","chunks":[]}]}`},
	"rollup": {"dist/stats.json", `{"version":2,"tree":{},"nodeParts":{"p1":{"renderedLength":5},"p2":{"renderedLength":0}},"nodeMetas":{
		"1":{"id":"/node_modules/a/i.js","moduleParts":{"app.js":"p1"}},"2":{"id":"\u0000/node_modules/b/node_modules/c/i.js?commonjs-module","moduleParts":{"app.js":"p1"}},
		"3":{"id":"/node_modules/c/i.js","moduleParts":{"app.js":"p2"}},"4":{"id":"/node_modules/tool/i.js","moduleParts":{}},
		"5":{"id":"/node_modules/@s/d/i.js","moduleParts":{"app.js":"p1"}},"6":{"id":"/node_modules/new/i.js","moduleParts":{"app.js":"p1"}},"7":{"id":"/src/x.js","moduleParts":{"app.js":"p1"}}}}`},
}

func TestBundles(t *testing.T) {
	for name, b := range bundlers {
		t.Run(name, func(t *testing.T) {
			dir := write(t, map[string]string{"web/package-lock.json": strings.Replace(bundledLock, "SRI", sha512A, 1), "web/" + b[0]: b[1]})
			g, err := Dir(context.Background(), dir, Options{Created: created, Packed: true})
			if err != nil {
				t.Fatal(err)
			}
			want := []string{
				". > file:web/dist/app.js@", ". > npm/app@1.0.0", "? not-packed  3 npm packages of which nothing was packed are left out",
				"file:web/dist/app.js@ > npm/@s/d@1.0.0", "file:web/dist/app.js@ > npm/a@1.0.0", "file:web/dist/app.js@ > npm/c@2.0.0", "file:web/dist/app.js@ > npm/new",
				"file:web/dist/app.js@|required|observed|",
				"npm/@s/d@1.0.0|required|locked|", "npm/a@1.0.0|required|locked|sha512", "npm/app@1.0.0 > npm/a@1.0.0", "npm/app@1.0.0|required|declared|",
				"npm/c@2.0.0|required|locked|", "npm/new|required|observed|",
			}
			if diff := cmp.Diff(want, summary(g)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			// Without the option all is there.
			if n := len(versions(scanDir(t, dir), "npm")); n != 8 {
				t.Errorf("%d packages, want 8", n)
			}
		})
	}
}

func TestBundlesWithoutPlaces(t *testing.T) {
	dir := write(t, map[string]string{
		"yarn.lock":     "# yarn lockfile v1\n\na@^1.0.0:\n  version \"1.2.3\"\n\nb@1:\n  version \"1.0.0\"\n\nb@2:\n  version \"2.0.0-rc.1\"\n",
		"metafile.json": `{"outputs":{"app.js":{"inputs":{"node_modules/a/i.js":{"bytesInOutput":1},".yarn/cache/b-npm-2.0.0-rc.1-0123456789-8.zip/node_modules/b/i.js":{"bytesInOutput":1},"node_modules/.pnpm/@s+p@3.0.0_a@1/node_modules/@s/p/i.js":{"bytesInOutput":1}}}}}`,
	})
	g, err := Dir(context.Background(), dir, Options{Created: created, Packed: true})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{"a 1.2.3": true, "b 2.0.0-rc.1": true, "@s/p 3.0.0": true}
	if diff := cmp.Diff(want, versions(g, "npm")); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestBundlesHostile(t *testing.T) {
	for name, content := range map[string]string{
		"not one":   `{"a":1}`,
		"types":     `{"outputs":{"x":7,"y":{"inputs":[1]}},"modules":[1,{"modules":7,"chunks":"x"}],"chunks":[null,{"files":7}],"nodeMetas":{"a":1},"children":[3,[]]}`,
		"deep":      `{"modules":` + strings.Repeat(`[{"modules":`, 100_000),
		"traversal": `{"outputs":{"../../../x":{"inputs":{"../../../../node_modules/../../etc/passwd":{},"node_modules/..":{},"node_modules/@s":{},"/node_modules/\u0007/x":{}}}}}`,
		"broken":    `{"outputs":{"x":{"inputs":{"node_modules/a/b.js":{}`,
	} {
		g, err := Dir(context.Background(), write(t, map[string]string{"metafile.json": content}), Options{Created: created, Packed: name != "types"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := g.Encode(sbom.CycloneDX); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		got := strings.Join(summary(g), "\n")
		if (name == "not one" || name == "deep" || name == "broken") && !strings.Contains(got, "? "+ReasonMalformed) {
			t.Errorf("%s: nothing noted:\n%s", name, got)
		}
		if strings.Contains(got, "cannot be parsed") || strings.Contains(got, "..") {
			t.Errorf("%s: %s", name, got)
		}
		if name == "broken" && !strings.Contains(got, "npm/a") {
			t.Errorf("what was read before the fault is not there:\n%s", got)
		}
	}
}

// TestOracleEsbuild bundles with esbuild and compares with what the bundle says
// itself: esbuild writes the path of each module that it packs.
func TestOracleEsbuild(t *testing.T) {
	project := os.Getenv("HALLMARK_NPM_PROJECT")
	bin := filepath.Join(project, "node_modules", ".bin", "esbuild")
	if _, err := os.Stat(bin); project == "" || err != nil {
		t.Skip("no esbuild in HALLMARK_NPM_PROJECT")
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	src := filepath.Join(dir, "in.js")
	os.WriteFile(src, []byte(`import "react-dom/client"; import {of} from "rxjs"; import _ from "lodash"; of(_)`), 0o644)
	if err := os.Symlink(filepath.Join(project, "node_modules"), filepath.Join(dir, "node_modules")); err != nil {
		t.Skip(err)
	}
	cmd := exec.Command(bin, src, "--bundle", "--preserve-symlinks", "--outfile="+filepath.Join(dir, "out.js"), "--metafile="+filepath.Join(dir, "metafile.json"))
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("%v: %s", err, out)
	}
	bundle, err := os.ReadFile(filepath.Join(dir, "out.js"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for line := range strings.Lines(string(bundle)) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "// node_modules/"); ok {
			name, sub, _ := strings.Cut(strings.TrimSpace(rest), "/")
			if strings.HasPrefix(name, "@") {
				s, _, _ := strings.Cut(sub, "/")
				name += "/" + s
			}
			want[name] = true
		}
	}
	g, err := Dir(context.Background(), dir, Options{Created: created, Packed: true})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for k := range versions(g, "npm") {
		name, _, _ := strings.Cut(k, " ")
		got[name] = true
	}
	if diff := cmp.Diff(want, got); diff != "" || len(want) < 3 {
		t.Errorf("-esbuild +scan:\n%s", diff)
	}
}

func FuzzBundler(f *testing.F) {
	var seeds []string
	for _, b := range bundlers {
		seeds = append(seeds, b[1])
	}
	fuzz(f, &bundlerStats, "metafile.json", seeds...)
}
