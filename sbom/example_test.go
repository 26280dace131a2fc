package sbom_test

import (
	"fmt"
	"time"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/sbom"
)

func Example() {
	file := provenance.DigestSet{provenance.MustDigest("sha256:3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7")}

	g := &sbom.Graph{Creation: sbom.Creation{
		Created: time.Unix(1_700_000_000, 0), // SOURCE_DATE_EPOCH
		Tool:    sbom.Tool{Name: "mybuild", Version: "1.0"},
		Phase:   "build",
	}}
	app := g.Add(sbom.Component{Type: sbom.Application, Name: "app", Version: "v1.2.3", Digests: file, Dependencies: sbom.Complete})
	pad := g.Add(sbom.Component{Name: "left-pad", Version: "1.3.0", PURL: "pkg:npm/left-pad@1.3.0",
		Declared: sbom.License{Expression: "WTFPL"}, Dependencies: sbom.Complete})
	if err := g.Relate(app, sbom.DependsOn, pad); err != nil {
		fmt.Println(err)
	}
	g.AddUnknown(sbom.Gap{Component: pad, Field: sbom.FieldDigests, Reason: "no-lock-file"})

	doc, err := g.Encode(sbom.CycloneDX)
	if err != nil {
		fmt.Println(err)
	}
	st, err := sbom.Statement([]provenance.ResourceDescriptor{{Name: "app", Digest: file}}, doc, sbom.CycloneDX)
	if err != nil {
		fmt.Println(err)
	}
	fmt.Println(st.PredicateType())

	state, _ := g.Completeness()
	fmt.Println(state)
	for _, gap := range g.Unknowns() {
		fmt.Println(gap.Component, gap.Field, gap.Reason)
	}
	// Output:
	// https://cyclonedx.org/bom
	// complete
	// pkg:npm/left-pad@1.3.0 digests no-lock-file
}

func ExampleRead() {
	doc := []byte(`{
	  "bomFormat": "CycloneDX", "specVersion": "1.6",
	  "metadata": {"component": {"type": "application", "name": "app", "bom-ref": "app"}},
	  "components": [{"type": "library", "name": "left-pad", "version": "1.3.0", "purl": "pkg:npm/left-pad@1.3.0"}]
	}`)
	format, err := sbom.Detect(doc)
	if err != nil {
		fmt.Println(err)
	}
	g, err := sbom.Read(doc, format)
	if err != nil {
		fmt.Println(err)
	}
	for _, c := range g.FindPURL("pkg:npm/left-pad@1.3.0") {
		fmt.Println(g.Root().Name, "has", c.Name, c.Version)
	}
	// Output: app has left-pad 1.3.0
}
