package report_test

import (
	"os"
	"time"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/verify"
	"github.com/hallmark-build/hallmark/verify/report"
)

func Example() {
	digest := func(c string) provenance.Digest {
		v := ""
		for range 32 {
			v += c
		}
		return provenance.MustDigest("sha256:" + v)
	}
	// A verifier makes the report: proof.Report() of a pass, the Report of a
	// *verify.RefusedError.
	rep := &verify.Report{
		Schema:    verify.ReportSchema,
		Artifacts: []verify.ReportArtifact{{Name: "app.tar.gz", Digest: provenance.DigestSet{digest("0a")}}},
		Policy:    verify.ReportPolicy{Name: "app release", Version: 3},
		At:        time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC),
		Stages: []verify.ReportStage{
			{Name: "build", State: verify.StageHolds, Statements: []verify.ReportStatement{{
				Digest: digest("1b").String(), PredicateType: "https://slsa.dev/provenance/v1", Products: 1, Materials: 40,
				Signers: []verify.ReportSigner{{Name: "builder", Principal: "key:" + digest("2c").String()}},
			}}},
			{Name: "package", State: verify.StageFails},
		},
		Findings: []verify.Finding{{
			Reason: verify.ReasonAltered, Stage: "package", Message: "app changed between the stages", File: "app",
			Want: digest("3d").String(), WantStage: "build", Got: digest("4e").String(), GotStage: "package",
			Mend: "find out who changed it, and run package again on what build made",
		}},
	}
	if err := report.Text(os.Stdout, rep, report.Options{}); err != nil {
		panic(err)
	}
	// Output:
	// REFUSED  app release v3  at 2026-01-31T12:00:00Z
	//
	//   app.tar.gz  sha256:0a0a0a0a0a0a
	//
	//     STAGE    RESTS ON            SIGNED BY  FILES
	//   ✓ build    SLSA provenance v1  builder    40 → 1
	//   ✗ package  fails: altered-material
	//
	//   ✗ altered-material in package
	//     app changed between the stages
	//     file     app
	//     want     sha256:3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d3d  @build
	//     got      sha256:4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e4e  @package
	//     mend     find out who changed it, and run package again on what build made
}

func ExampleRenderers() {
	rep := &verify.Report{Schema: verify.ReportSchema, Passed: true, At: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC),
		Policy: verify.ReportPolicy{Name: "app release", Version: 3},
		Stages: []verify.ReportStage{{Name: "build", State: verify.StageHolds}, {Name: "release", State: verify.StageHolds}}}
	render, ok := report.Renderers()["mermaid"] // as a user might ask with -format
	if !ok {
		panic("no such format")
	}
	if err := render(os.Stdout, rep, report.Options{}); err != nil {
		panic(err)
	}
	// Output:
	// flowchart LR
	//   n0["✓ build<br/>holds"]
	//   n1["✓ release<br/>holds"]
	//   n2(["no artifact<br/>PASS"])
	//   classDef holds fill:#e6f4ea,stroke:#1a7f37,color:#0b3d1a
	//   class n0,n1 holds
	//   classDef pass fill:#1a7f37,stroke:#1a7f37,color:#ffffff
	//   class n2 pass
}
