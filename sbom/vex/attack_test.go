package vex_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/osv"
	"github.com/hallmark-build/hallmark/sbom/vex"
)

func result(t *testing.T, g *sbom.Graph, records ...string) *osv.Result {
	t.Helper()
	dir := t.TempDir()
	for i, r := range records {
		if err := os.WriteFile(filepath.Join(dir, string(rune('a'+i))+".json"), []byte(r), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ctx := context.Background()
	db, err := osv.Open(ctx, dir, osv.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	r, err := db.Match(ctx, g, osv.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func bill(purl, version string) *sbom.Graph {
	g := &sbom.Graph{}
	root := g.Add(sbom.Component{Type: sbom.Application, Name: "app", PURL: "pkg:npm/app@1.0.0"})
	g.Relate(root, sbom.DependsOn, g.Add(sbom.Component{Name: "a", Version: version, PURL: purl}))
	return g
}

// Records can tie several CVEs together. A statement about one of them says
// nothing about the others.
func TestAttackOneOfSeveralCVEs(t *testing.T) {
	const affected = `"affected":[{"package":{"ecosystem":"npm","name":"a"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}]}]}`
	r := result(t, bill("pkg:npm/a@1.0.0", ""),
		`{"id":"GHSA-1","modified":"2026-02-01T00:00:00Z","aliases":["CVE-1","CVE-2"],`+affected,
		`{"id":"CVE-2","modified":"2026-02-01T00:00:00Z","aliases":["GHSA-1"],`+affected)
	if len(r.Vulnerabilities) != 1 {
		t.Fatalf("%+v", r.Vulnerabilities)
	}
	about := func(ids ...string) vex.Statement {
		s := no(vex.Product{PURL: "pkg:npm/a@1.0.0"})
		s.IDs = ids
		return s
	}
	for _, tt := range []struct {
		name string
		s    []vex.Statement
		open bool
	}{
		{"one", []vex.Statement{about("CVE-1")}, true},
		{"the other", []vex.Statement{about("CVE-2")}, true},
		{"both", []vex.Statement{about("CVE-1"), about("CVE-2")}, false},
		{"both in one", []vex.Statement{about("CVE-1", "CVE-2")}, false},
		{"one and what ties them", []vex.Statement{about("CVE-1", "GHSA-1")}, true},
	} {
		v := apply(t, r, tt.s...).Vulnerabilities[0]
		if v.Open() != tt.open {
			t.Errorf("%s: status %s (%s), want open %t", tt.name, v.Status, v.Why, tt.open)
		}
	}
}

// A bill that names two versions is judged by both, so a statement about one
// of them does not settle what the other has.
func TestAttackStatementAboutOneOfTwoVersions(t *testing.T) {
	r := result(t, bill("pkg:npm/a@2.0.0", "1.0.0"),
		`{"id":"CVE-1","modified":"2026-02-01T00:00:00Z","affected":[{"package":{"ecosystem":"npm","name":"a"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.5.0"}]}]}]}`)
	if len(r.Vulnerabilities) != 1 {
		t.Fatalf("%+v", r.Vulnerabilities)
	}
	if v := apply(t, r, no(vex.Product{PURL: "pkg:npm/a@2.0.0"})).Vulnerabilities[0]; !v.Open() {
		t.Errorf("a statement about 2.0.0 settles what 1.0.0 has: %s", v.Why)
	}
	if v := apply(t, r, no(vex.Product{PURL: "pkg:npm/a"})).Vulnerabilities[0]; v.Open() {
		t.Error("a statement about every version does not count")
	}
}

// Statements of nobody who counts cannot fill the report.
func TestAttackFloodOfStatements(t *testing.T) {
	g := &sbom.Graph{}
	root := g.Add(sbom.Component{Type: sbom.Application, Name: "app", PURL: "pkg:npm/app@1.0.0"})
	for i := range 50 {
		g.Relate(root, sbom.DependsOn, g.Add(sbom.Component{Name: "a", PURL: fmt.Sprintf("pkg:npm/a@1.0.%d", i)}))
	}
	r := result(t, g, `{"id":"CVE-1","modified":"2026-02-01T00:00:00Z","affected":[{"package":{"ecosystem":"npm","name":"a"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}]}]}`)
	var flood []vex.Statement
	for i := range 2000 {
		s := no(vex.Product{PURL: "pkg:npm/app"})
		s.Principals, s.Document = []string{"stranger"}, fmt.Sprint(i)
		flood = append(flood, s)
	}
	out := apply(t, r, flood...)
	if n := len(out.Remarks); n > 10*len(r.Vulnerabilities) {
		t.Errorf("%d remarks about %d vulnerabilities", n, len(r.Vulnerabilities))
	}
	for _, v := range out.Vulnerabilities {
		if !v.Open() {
			t.Fatal("a stranger's statement counts")
		}
	}
}
