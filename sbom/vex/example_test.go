package vex_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/osv"
	"github.com/hallmark-build/hallmark/sbom/vex"
)

func ExampleApply() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	record := `{"id":"CVE-2026-1234","modified":"2026-02-01T00:00:00Z",
		"affected":[{"package":{"ecosystem":"npm","name":"left-pad"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}]}]}`
	if err := os.WriteFile(filepath.Join(dir, "CVE-2026-1234.json"), []byte(record), 0o644); err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	db, err := osv.Open(ctx, dir, osv.OpenOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	g := &sbom.Graph{}
	app := g.Add(sbom.Component{Type: sbom.Application, Name: "app", PURL: "pkg:npm/app@1.0.0"})
	pad := g.Add(sbom.Component{Name: "left-pad", Version: "1.3.0", PURL: "pkg:npm/left-pad@1.3.0"})
	if err := g.Relate(app, sbom.DependsOn, pad); err != nil {
		log.Fatal(err)
	}
	result, err := db.Match(ctx, g, osv.Options{})
	if err != nil {
		log.Fatal(err)
	}

	// Somebody looked into it, and says so.
	now := time.Date(2026, 2, 3, 0, 0, 0, 0, time.UTC)
	statement := vex.Draft(result, result.Vulnerabilities[0], now)
	statement.Status, statement.Justification = osv.NotAffected, "vulnerable_code_not_in_execute_path"

	// Whose signature on it verified is for the caller to say; here, nobody's
	// and then the security team's.
	for _, principals := range [][]string{nil, {"security-team"}} {
		statement.Principals = principals
		judged, err := vex.Apply(result, []vex.Statement{statement}, vex.Options{Trusted: []string{"security-team"}, At: now})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(judged.Vulnerabilities[0].ID, judged.Vulnerabilities[0].Status, judged.Report(osv.ReportOptions{At: now}).Err() == nil)
	}
	// Output:
	// CVE-2026-1234 affected false
	// CVE-2026-1234 not_affected true
}
