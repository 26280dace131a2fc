// Package arch holds the module to its architecture: which package may import
// which, and what may be linked into a program that only verifies. It is in
// the manner of the standard library's go/build/deps_test.go.
package arch

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/hallmark-build/hallmark/"

type pkg struct {
	ImportPath string
	Standard   bool
	Imports    []string
	Deps       []string
	Module     *struct{ Path string }
}

func list(t *testing.T, args ...string) []pkg {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Standard,Imports,Deps,Module"}, args...)...)
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	var pkgs []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}

// room returns the first element of a package's path within the module: its
// room, or "" for what is not in the module.
func room(path string) string {
	rest, ok := strings.CutPrefix(path, module)
	if !ok {
		return ""
	}
	r, _, _ := strings.Cut(rest, "/")
	return r
}

// allowed says which rooms a room may import, itself aside.
var allowed = map[string][]string{
	"internal":   {},
	"provenance": {"internal"},
	"sbom":       {"internal", "provenance"},
	"sign":       {"internal", "provenance"},
	"verify":     {"internal", "provenance"},
}

func TestImportsRunOneWay(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range list(t, "./...") {
		from := room(p.ImportPath)
		if from == "" || from == "examples" {
			continue
		}
		may, known := allowed[from]
		if !known {
			t.Errorf("%s is in no room", p.ImportPath)
			continue
		}
		seen[from] = true
		for _, imp := range p.Imports {
			if to := room(imp); to != "" && to != from && !slices.Contains(may, to) {
				t.Errorf("%s imports %s: %s may import %v", p.ImportPath, imp, from, may)
			}
		}
	}
	if len(seen) != len(allowed) {
		t.Errorf("saw only the rooms %v", seen)
	}
}

// The roots of the rooms reach no network and run no process. crypto/x509 and
// what only names addresses links package net itself, so what is looked for is
// what would use it.
func TestRootsAreQuiet(t *testing.T) {
	for _, root := range []string{"provenance", "provenance/predicate", "provenance/ingest", "sbom", "sbom/golang", "sbom/jsf", "sbom/diff", "sbom/account", "sbom/assembly", "sign", "verify", "verify/cel", "verify/report", "provenance/layout", "sign/intoto", "verify/intoto", "verify/slsa"} {
		for _, p := range list(t, "./"+root) {
			for _, dep := range p.Deps {
				if dep == "net/http" || dep == "os/exec" || dep == "plugin" {
					t.Errorf("%s depends on %s", root, dep)
				}
			}
		}
	}
}

// Who imports verify pays for verify.
func TestVerifyIsLight(t *testing.T) {
	const most = 40
	pkgs := list(t, "-deps", "./verify")
	var outside []string
	for _, p := range pkgs {
		if !p.Standard && p.Module != nil {
			outside = append(outside, p.ImportPath)
		}
		if strings.Contains(p.ImportPath, "cel-go") || strings.Contains(p.ImportPath, "cel.dev") || strings.Contains(p.ImportPath, "syft") {
			t.Errorf("verify links %s", p.ImportPath)
		}
	}
	t.Logf("%d packages outside the standard library: %v", len(outside), outside)
	if len(outside) == 0 || len(outside) > most {
		t.Errorf("verify links %d packages outside the standard library, want 1 to %d", len(outside), most)
	}
}
