package sbomtest

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/osv"
	"github.com/hallmark-build/hallmark/sbom/vex"
)

// CycloneDX VEX documents are valid by the official schema, whatever the status.
func TestVEX(t *testing.T) {
	schema := schemas(t)[sbom.CycloneDX16]
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	app := vex.Product{PURL: "pkg:npm/%40acme/app@1.0.0", Digests: provenance.DigestSet{digest("sha256:" + strings.Repeat("a", 64))}}
	part := app
	part.Parts = []vex.Product{{PURL: "pkg:npm/a@1.2.3"}, {Digests: provenance.DigestSet{digest("sha512:" + strings.Repeat("b", 128))}}}
	var list []vex.Statement
	for _, status := range []osv.Status{osv.NotAffected, osv.Affected, osv.Fixed, osv.UnderInvestigation} {
		for _, p := range []vex.Product{app, part} {
			s := vex.Statement{IDs: []string{"CVE-2026-1", "GHSA-1"}, Products: []vex.Product{p}, Status: status, Time: at, Impact: "as we found"}
			if status == osv.NotAffected {
				s.Justification = "component_not_present"
			}
			list = append(list, s)
		}
	}
	doc, err := vex.CycloneDX(vex.Header{ID: "urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79", Author: "Security", Time: at}, list...)
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(doc))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(v); err != nil {
		t.Errorf("%v\n%s", err, doc)
	}
	back, err := vex.ReadCycloneDX(doc, nil, "sec")
	if err != nil || len(back) != len(list) {
		t.Errorf("%d statements, %v", len(back), err)
	}
}
