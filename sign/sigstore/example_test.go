package sigstore_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/sign"
	"github.com/hallmark-build/hallmark/sign/sigstore"
)

// Everything that a job attests goes out under one certificate, side by side.
func ExampleNewSession() {
	release := func(ctx context.Context, signingConfig []byte, statements ...*provenance.Statement) error {
		config, err := sigstore.ParseSigningConfig(signingConfig)
		if err != nil {
			return err
		}
		services, err := config.Select(time.Now())
		if err != nil {
			return err
		}
		session, err := sigstore.NewSession(ctx, services, sigstore.GitHubActions(os.Getenv, nil))
		if err != nil {
			return err
		}
		defer session.Close()
		bundles, err := session.SignStatements(ctx, statements...)
		if err != nil {
			return err
		}
		return sign.WriteBundle("dist/app.sigstore.jsonl", bundles...)
	}
	_ = release
}

// A log is about to be replaced: which one is used depends on the time.
func ExampleSigningConfig_Select() {
	config, err := sigstore.ParseSigningConfig([]byte(`{
		"mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
		"caUrls": [{"url": "https://fulcio.corp.example", "majorApiVersion": 1, "operator": "corp.example"}],
		"rekorTlogUrls": [
			{"url": "https://log2025.corp.example", "majorApiVersion": 2, "operator": "corp.example", "validFor": {"start": "2025-01-01T00:00:00Z"}},
			{"url": "https://log2026.corp.example", "majorApiVersion": 2, "operator": "corp.example", "validFor": {"start": "2026-01-01T00:00:00Z"}}
		],
		"rekorTlogConfig": {"selector": "ANY"},
		"tsaUrls": [{"url": "https://tsa.corp.example/api/v1/timestamp", "majorApiVersion": 1, "operator": "corp.example"}],
		"tsaConfig": {"selector": "ANY"}
	}`))
	if err != nil {
		log.Fatal(err)
	}
	for _, day := range []time.Time{time.Date(2025, 12, 31, 0, 0, 0, 0, time.UTC), time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)} {
		services, err := config.Select(day)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(services.Logs[0].URL)
	}
	// Output:
	// https://log2025.corp.example
	// https://log2026.corp.example
}
