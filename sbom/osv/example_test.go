package osv_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/gate"
	"github.com/hallmark-build/hallmark/sbom/osv"
)

// Look the components of a bill up in a folder with records.
func ExampleDatabase_Match() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	record := `{"id":"GHSA-xxxx-yyyy-zzzz","modified":"2026-02-01T00:00:00Z","aliases":["CVE-2026-1234"],"summary":"Prototype pollution",
		"affected":[{"package":{"ecosystem":"npm","name":"left-pad"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.3.1"}]}]}]}`
	if err := os.WriteFile(filepath.Join(dir, "GHSA-xxxx-yyyy-zzzz.json"), []byte(record), 0o644); err != nil {
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
	report := result.Report(osv.ReportOptions{At: time.Date(2026, 2, 3, 0, 0, 0, 0, time.UTC), MaxAge: 7 * 24 * time.Hour})
	if err := gate.Text(os.Stdout, report); err != nil {
		log.Fatal(err)
	}
	fmt.Println(report.Err() == nil)
	// Output:
	// CLOSED vulnerabilities  pkg:npm/app@1.0.0
	//        1 error, 0 warnings, 0 notes; 2 components checked
	//   error   known-vulnerability (affected)  pkg:npm/left-pad@1.3.0
	//           CVE-2026-1234 (GHSA-xxxx-yyyy-zzzz): Prototype pollution; fixed in 1.3.1
	// false
}
