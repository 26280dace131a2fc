package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/quality"
)

// What a release says about its contents scores at least 9.5 of 10 on what its
// build can know, in both formats, and names what it cannot know.
func TestBillsScore(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program")
	}
	goMod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	goSum, err := os.ReadFile("../../go.sum")
	if err != nil {
		t.Fatal(err)
	}
	const mod = "golang.org/x/mod"
	version := regexp.MustCompile(mod + ` (v\S+)`).FindStringSubmatch(string(goMod))
	if version == nil {
		t.Skip("go.mod does not require " + mod)
	}
	var sums []string
	for line := range strings.Lines(string(goSum)) {
		if strings.HasPrefix(line, mod+" "+version[1]) {
			sums = append(sums, line)
		}
	}
	dir, out := module(t), t.TempDir()
	for name, content := range map[string]string{
		"go.mod":  "module example.com/hello\n\ngo 1.26.0\n\nrequire " + mod + " " + version[1] + "\n",
		"go.sum":  strings.Join(sums, ""),
		"main.go": "package main\n\nimport \"golang.org/x/mod/semver\"\n\nfunc greeting() string { return \"hello\" }\n\nfunc main() { println(greeting(), semver.IsValid(greeting())) }\n",
		"LICENSE": "Permission to use, copy, modify, and/or distribute this software for any\npurpose with or without fee is hereby granted.\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	if _, rep := release(t, "-C", dir, "-o", out, "-name", "hello", "-author", "Ann", "-version", "v1.0.0", "."); !rep.Passed {
		t.Fatalf("refused: %+v", rep.Findings)
	}
	for ext, format := range map[string]sbom.Format{".cdx.json": sbom.CycloneDX, ".spdx.json": sbom.SPDX} {
		doc, err := os.ReadFile(filepath.Join(out, "hello"+ext))
		if err != nil {
			t.Fatal(err)
		}
		g, err := sbom.Read(doc, format)
		if err != nil {
			t.Fatal(err)
		}
		s, err := quality.ScoreOf(g)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %.2f, of what can be known %.2f", ext, s.Overall, s.Knowable)
		if s.Knowable < 9.5 || len(s.Unknown) == 0 {
			for _, f := range s.Features {
				t.Logf("  %s: %d of %d, %d unknown", f.Name, f.Have, f.Total, f.Unknown)
			}
			t.Errorf("%s: %.2f of what can be known, %d unknown; want 9.5, and unknowns", ext, s.Knowable, len(s.Unknown))
		}
	}
}
