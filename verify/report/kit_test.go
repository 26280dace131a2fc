package report

import (
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/verify"
)

var noon = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

func digest(of string) provenance.Digest {
	return provenance.MustDigest(fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(of))))
}

func statement(typ string, materials, products int, minute int, signers ...string) verify.ReportStatement {
	st := verify.ReportStatement{Digest: digest(fmt.Sprint(typ, signers, minute)).String(), PredicateType: typ, Materials: materials, Products: products, Signers: []verify.ReportSigner{}}
	for _, s := range signers {
		st.Signers = append(st.Signers, verify.ReportSigner{Name: s, Principal: "key:" + digest(s).String(),
			Time: noon.Add(-time.Hour + time.Duration(minute)*time.Minute), TimeSource: "timestamp"})
	}
	return st
}

const (
	slsa       = "https://slsa.dev/provenance/v1"
	intotoLink = "https://in-toto.io/attestation/link/v0.3"
)

func edge(from, to, file string) verify.ReportEdge {
	return verify.ReportEdge{From: from, To: to, Product: file, Name: file, Digest: digest(file)}
}

// passing is a chain as the example "release" makes it.
func passing() *verify.Report {
	r := &verify.Report{
		Schema: verify.ReportSchema, Passed: true, At: noon,
		Policy: verify.ReportPolicy{Name: "hello release", Version: 1, Digest: digest("policy").String()},
		Stages: []verify.ReportStage{
			{Name: "source", State: verify.StageHolds, Statements: []verify.ReportStatement{statement(intotoLink, 0, 412, 1, "source")}},
			{Name: "build", State: verify.StageHolds, Statements: []verify.ReportStatement{statement(slsa, 443, 1, 5, "builder")}},
			{Name: "sbom", State: verify.StageHolds, Statements: []verify.ReportStatement{statement(intotoLink, 1, 2, 6, "sbom")}},
			{Name: "package", State: verify.StageHolds, Statements: []verify.ReportStatement{statement(intotoLink, 3, 1, 8, "packager")}},
			{Name: "release", State: verify.StageHolds, Statements: []verify.ReportStatement{statement(intotoLink, 4, 4, 9, "release-lead", "release-second")}},
			{Name: "contents", State: verify.StageHolds, Statements: []verify.ReportStatement{statement("https://cyclonedx.org/bom", 0, 1, 6, "sbom"), statement("https://spdx.dev/Document/v2.3", 0, 1, 7, "sbom")}},
			{Name: "test", State: verify.StageHolds, Statements: []verify.ReportStatement{statement("https://in-toto.io/attestation/test-result/v0.1", 0, 1, 7, "ci")}},
		},
		Notes: []string{"the time of ci in stage test is what the signer claims"},
	}
	for _, a := range []string{"hello.tar.gz", "hello", "hello.cdx.json", "hello.spdx.json"} {
		r.Artifacts = append(r.Artifacts, verify.ReportArtifact{Name: a, Digest: provenance.DigestSet{digest(a)}})
		r.Edges = append(r.Edges, edge("release", "", a))
	}
	for i := range 31 {
		r.Stages[1].Inputs = append(r.Stages[1].Inputs, verify.ReportInput{Input: "go-modules", Name: fmt.Sprintf("pkg:golang/example.org/m%d@v1.0.%d", i, i), Digest: provenance.DigestSet{digest(fmt.Sprint(i))}})
	}
	r.Edges = append(r.Edges, edge("package", "release", "hello.tar.gz"), edge("sbom", "release", "hello.cdx.json"), edge("sbom", "release", "hello.spdx.json"),
		edge("build", "release", "hello"), edge("build", "package", "hello"), edge("source", "package", "LICENSE"), edge("source", "package", "README.md"), edge("build", "sbom", "hello"))
	for i := range 12 {
		r.Edges = append(r.Edges, edge("source", "build", fmt.Sprintf("internal/part%d.go", i)))
	}
	for _, to := range []string{"contents", "test"} {
		e := edge("build", to, "hello")
		e.About = true
		r.Edges = append(r.Edges, e)
	}
	return r
}

// altered is the same chain with a file changed between build and package.
func altered() *verify.Report {
	r := passing()
	r.Passed = false
	for i := range r.Stages {
		s := &r.Stages[i]
		switch s.Name {
		case "source", "sbom", "contents", "test":
			*s = verify.ReportStage{Name: s.Name, State: verify.StageNotReached}
		case "build":
			*s = verify.ReportStage{Name: s.Name, State: verify.StageFails}
		}
	}
	var edges []verify.ReportEdge
	for _, e := range r.Edges {
		if e.To == "" || e.From == "package" {
			edges = append(edges, e)
		}
	}
	r.Edges = edges
	want, got := digest("built"), digest("swapped")
	r.Findings = []verify.Finding{{
		Reason: verify.ReasonAltered, Stage: "build", File: "hello",
		Message: fmt.Sprintf("hello changed between the stages: build made it with %s, package used it with %s", want, got),
		Want:    want.String(), WantStage: "build", Got: got.String(), GotStage: "package", Nearest: digest("nearest").String(),
		Mend: "find out who changed it, and run package again on what build made",
	}, {
		Reason: verify.ReasonNoStatement, Stage: "build", File: "hello", Got: got.String(),
		Message: "no statement of type https://slsa.dev/provenance/v1 is about hello (" + got.Short() + ")",
		Mend:    "attest the stage build for this very file",
	}}
	r.Notes = nil
	return r
}

// big is a chain of eight stages that each others feed, with forty flows.
func big(passed bool) *verify.Report {
	names := []string{"source", "review", "deps", "compile", "codegen", "link", "image", "release"}
	r := &verify.Report{Schema: verify.ReportSchema, Passed: passed, At: noon, Policy: verify.ReportPolicy{Name: "platform images", Version: 27},
		Artifacts: []verify.ReportArtifact{{Name: "registry.example.org/platform/api-server", Digest: provenance.DigestSet{digest("image")}}}}
	for i, n := range names {
		s := verify.ReportStage{Name: n, State: verify.StageHolds}
		for j := range 1 + i%3 {
			s.Statements = append(s.Statements, statement(slsa, 5*i, 3, i+j, "builder-"+string(rune('a'+i))))
		}
		r.Stages = append(r.Stages, s)
	}
	for _, w := range []struct {
		from, to string
		n        int
	}{{"source", "review", 9}, {"source", "codegen", 4}, {"source", "compile", 6}, {"deps", "compile", 5}, {"codegen", "compile", 3}, {"compile", "link", 4},
		{"deps", "link", 2}, {"link", "image", 2}, {"source", "image", 1}, {"image", "release", 1}, {"review", "release", 1}, {"codegen", "image", 1}, {"release", "", 1}} {
		for i := range w.n {
			e := edge(w.from, w.to, fmt.Sprintf("%s/out%d", w.from, i))
			e.About = w.to == "review"
			r.Edges = append(r.Edges, e)
		}
	}
	if !passed {
		r.Stages[3].State = verify.StageFails
		r.Findings = []verify.Finding{{Reason: verify.ReasonUnaccounted, Stage: "compile", File: "vendor/blob.o", Got: digest("blob").String(), GotStage: "compile",
			Message: "material vendor/blob.o is accounted for by neither source nor deps nor codegen", Nearest: digest("x").String(), Mend: "attest the step that made it, or admit it as an input by digest"}}
	}
	return r
}
