// Package embed shows how a build tool and a downstream service import
// Hallmark: [Produce] runs a build, describes it, signs it and writes the
// evidence; [Allow] decides whether a file may be used. The README prints both
// functions as they stand here, and a test keeps it so.
package embed

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/record"
	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/golang"
	"github.com/hallmark-build/hallmark/sign"
	"github.com/hallmark-build/hallmark/verify"
)

// Produce builds the Go program in dir and writes app.intoto.jsonl beside it.
func Produce(ctx context.Context, dir, modCache string, signer sign.Signer) error {
	rec, err := record.Run(ctx, record.Step{
		Name: "build", Argv: []string{"go", "build", "-trimpath", "-o", "app", "."},
		Dir: dir, Materials: []string{"go.mod", "main.go"}, Products: []string{"app"},
		Environ: os.Environ(), PassEnv: []string{"PATH", "HOME", "GOCACHE", "GOFLAGS"},
		Now: time.Now,
	})
	if err != nil {
		return err
	}
	app := filepath.Join(dir, "app")
	built, err := rec.Provenance("https://example.com/our-build-service", "run 42")
	if err != nil {
		return err
	}
	graph, err := golang.FromBinary(ctx, app, golang.Options{Created: time.Now(), ModCache: modCache, Source: dir})
	if err != nil {
		return err
	}
	doc, err := graph.Encode(sbom.CycloneDX)
	if err != nil {
		return err
	}
	contents, err := sbom.Statement(built.Subjects(), doc, sbom.CycloneDX)
	if err != nil {
		return err
	}
	var evidence [][]byte
	for _, st := range []*provenance.Statement{built, contents} {
		envelope, err := sign.Statement(ctx, st, signer)
		if err != nil {
			return err
		}
		evidence = append(evidence, envelope)
	}
	return sign.WriteBundle(app+".intoto.jsonl", evidence...)
}

// Allow returns nil if the file may be used: nil means that it passed.
func Allow(ctx context.Context, policyFile, evidenceDir, file string, now time.Time) error {
	policy, err := verify.ReadPolicy(policyFile)
	if err != nil {
		return err
	}
	verifier, err := verify.New(policy, verify.Options{})
	if err != nil {
		return err
	}
	evidence, err := verify.ReadEvidence(ctx, evidenceDir)
	if err != nil {
		return err
	}
	artifact, err := provenance.DigestFile(ctx, file)
	if err != nil {
		return err
	}
	_, err = verifier.Verify(ctx, verify.Request{Artifacts: []provenance.Artifact{artifact}, Evidence: evidence, At: now})
	return err
}
