package quality_test

import (
	"fmt"
	"log"
	"os"

	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/gate"
	"github.com/hallmark-build/hallmark/sbom/quality"
)

// Judge a bill by the minimum elements of the NTIA, and score it.
func ExampleCheck() {
	g := &sbom.Graph{Creation: sbom.Creation{Created: created, Authors: []sbom.Party{{Name: "Ann"}}, Tool: sbom.Tool{Name: "hallmark", Version: "1"}}}
	app := g.Add(sbom.Component{Type: sbom.Application, Name: "app", Version: "1.0.0", PURL: "pkg:npm/app@1.0.0", Supplier: sbom.Party{Name: "Ann"}})
	lib := g.Add(sbom.Component{Name: "lib", Version: "2.0.0", PURL: "pkg:npm/lib@2.0.0"})
	if err := g.Relate(app, sbom.DependsOn, lib); err != nil {
		log.Fatal(err)
	}
	g.AddUnknown(sbom.Gap{Component: lib, Field: sbom.FieldSupplier, Reason: "no-supplier"})

	report, err := quality.Check(g, quality.NTIA2021, quality.Options{})
	if err != nil {
		log.Fatal(err)
	}
	if err := gate.Text(os.Stdout, report); err != nil {
		log.Fatal(err)
	}
	score, err := quality.ScoreOf(g)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%.1f of 10\n", score.Overall)
	// Output:
	// CLOSED quality/ntia-2021  pkg:npm/app@1.0.0
	//        1 error, 0 warnings, 0 notes; 2 components checked
	//   error   supplier (no-supplier)  pkg:npm/lib@2.0.0
	//           no supplier; the bill notes it as unknown: no-supplier
	// 4.7 of 10
}
