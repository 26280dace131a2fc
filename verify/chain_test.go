package verify_test

import (
	"testing"

	"github.com/hallmark-build/hallmark/verify"
)

// release is a chain of three stages with a scan and the evidence for it.
func releasePolicy() *verify.Policy {
	return policy("package", map[string]*verify.Stage{
		"source":  {Requires: requires("src")},
		"build":   {Requires: requires("bld"), From: []verify.Flow{{Stage: "source", Names: "same"}}},
		"scan":    {Requires: []verify.Requirement{{Type: typeScan, Signers: []string{"scn"}, Where: []string{"result == PASSED"}}}, About: []verify.About{{Stage: "build"}}},
		"package": {Requires: requires("pkg"), From: []verify.Flow{{Stage: "build"}}},
	}, "src", "bld", "scn", "pkg")
}

func releaseEvidence() [][]byte {
	return [][]byte{
		signed(built(nil, files("main.go", "go.mod")), "src"),
		signed(built(files("main.go", "go.mod"), files("app")), "bld"),
		signed(scan("PASSED", "app"), "scn"),
		signed(built(files("app"), files("app.tar.gz")), "pkg"),
	}
}

func TestChainHolds(t *testing.T) {
	proof := pass(t, releasePolicy(), "app.tar.gz", releaseEvidence()...)
	if n := len(proof.Statements()); n != 4 {
		t.Errorf("the proof uses %d statements, want 4", n)
	}
	r := proof.Report()
	if len(r.Stages) != 4 || r.Stages[0].Name != "source" {
		t.Errorf("stages: %+v", r.Stages)
	}
	for _, s := range r.Stages {
		if s.State != verify.StageHolds {
			t.Errorf("stage %s %s", s.Name, s.State)
		}
	}
	if len(r.Edges) != 5 { // artifact, app, app scanned, main.go, go.mod
		t.Errorf("edges: %+v", r.Edges)
	}
}

func TestChainWithoutAnyStatementIsRefused(t *testing.T) {
	for i := range releaseEvidence() {
		ev := releaseEvidence()
		ev = append(ev[:i], ev[i+1:]...)
		if _, err := judge(t, releasePolicy(), "app.tar.gz", ev...); err == nil {
			t.Errorf("passed without statement %d", i)
		}
	}
}

func TestEdge69_AlteredBetweenStages(t *testing.T) {
	ev := releaseEvidence()
	ev[1] = signed(built(files("main.go=evil", "go.mod"), files("app")), "bld")
	f := refused(t, verify.ReasonAltered, releasePolicy(), "app.tar.gz", ev...).Findings[0]
	want, got := file("main.go").Digest.String(), file("main.go=evil").Digest.String()
	if f.File != "main.go" || f.Want != want || f.Got != got || f.WantStage != "source" || f.GotStage != "build" {
		t.Errorf("finding %+v", f)
	}
	// The product replaced before it is packaged.
	ev = releaseEvidence()
	ev[3] = signed(built(files("app=evil"), files("app.tar.gz")), "pkg")
	f = refused(t, verify.ReasonAltered, releasePolicy(), "app.tar.gz", ev...).Findings[0]
	if f.File != "app" || f.WantStage != "build" || f.GotStage != "package" || f.Want == "" || f.Got == "" {
		t.Errorf("finding %+v", f)
	}
	// The artifact replaced after the release.
	f = refused(t, verify.ReasonAltered, releasePolicy(), "app.tar.gz=evil", releaseEvidence()...).Findings[0]
	if f.File != "app.tar.gz" || f.WantStage != "package" {
		t.Errorf("finding %+v", f)
	}
}
