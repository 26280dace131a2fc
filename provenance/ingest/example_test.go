package ingest_test

import (
	"errors"
	"fmt"
	"log"
	"os"
	"strings"
	"time"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/ingest"
)

// What the reports are about.
var commit = []provenance.ResourceDescriptor{{
	URI:    "git+https://git.example.com/app",
	Digest: provenance.DigestSet{provenance.MustDigest("gitCommit:c27d339ee6075c1f744c5d4b200f7901aad2c369")},
}}

func open(name string) *os.File {
	f, err := os.Open("testdata/" + name)
	if err != nil {
		log.Fatal(err)
	}
	return f
}

func ExampleGoTest() {
	f := open("gotest-pass.jsonl") // go test -json ./... > report
	defer f.Close()
	result, err := ingest.GoTest(f)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Result, result.PassedTests, result.Configuration[0].Annotations["skippedTests"])
	st, err := result.Statement(commit)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(st.PredicateType())

	// A run without a test is no pass.
	_, err = ingest.GoTest(strings.NewReader(`{"Action":"pass","Package":"example.com/m"}`))
	fmt.Println(err)
	// Output:
	// PASSED [example.com/m.FuzzX example.com/m.FuzzX/seed#0 example.com/m.TestGood example.com/m.TestGood/sub_one] [example.com/m.TestSkip]
	// https://in-toto.io/attestation/test-result/v0.1
	// go test: no test ran (0 were skipped)
}

func ExampleJUnit() {
	f := open("surefire.xml")
	defer f.Close()
	result, err := ingest.JUnit(f)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Result, result.FailedTests, result.WarnedTests)
	// Output: FAILED [com.example.StoreTest.closes] [com.example.StoreTest.retries]
}

func ExampleTAP() {
	f := open("prove.tap")
	defer f.Close()
	result, err := ingest.TAP(f)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Result, result.WarnedTests)
	// Output: WARNED [rewrites]
}

func ExampleGoFuzz() {
	f := open("gofuzz-pass.txt") // go test -fuzz FuzzX -fuzztime 1s . > report
	defer f.Close()
	result, err := ingest.GoFuzz(f, "FuzzX")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.PassedTests, result.Configuration[0].Annotations["executions"])
	// Output: [example.com/m.FuzzX] 64272
}

func ExampleLibFuzzer() {
	f := open("libfuzzer-crash.txt")
	defer f.Close()
	result, err := ingest.LibFuzzer(f, "parse_fuzzer")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Result, result.FailedTests)
	// Output: FAILED [parse_fuzzer]
}

func ExampleZAP() {
	f := open("zap.json")
	defer f.Close()
	result, err := ingest.ZAP(f)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Result, result.FailedTests)
	// Output: FAILED [40018 SQL Injection (https://staging.example.com)]
}

func ExampleSARIF() {
	f := open("gosec.sarif")
	defer f.Close()
	scan, err := ingest.SARIF(f)
	if err != nil {
		log.Fatal(err)
	}
	finding := scan.Findings[0]
	fmt.Println(scan.Tools[0].Name, scan.Tools[0].Version, finding.Rule, finding.Level, finding.File, finding.Line)
	fmt.Printf("%+v\n", scan.Summary)
	// Output:
	// gosec 2.22.0 G401 error store/sum.go 14
	// {Error:1 Warning:0 Note:0 None:0 Suppressed:1 ToolErrors:0}
}

func ExampleGitleaks() {
	f := open("gitleaks.json")
	defer f.Close()
	scan, err := ingest.Gitleaks(f, "8.21.0")
	if err != nil {
		log.Fatal(err)
	}
	// What was found, and where; never the secret.
	fmt.Println(scan.Findings[0].Rule, scan.Findings[0].File, scan.Findings[0].Line)
	// Output: aws-access-token deploy/prod.env 12
}

func ExampleTruffleHog() {
	f := open("trufflehog.jsonl") // trufflehog --json git file://. > report 2>&1
	defer f.Close()
	scan, err := ingest.TruffleHog(f)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(scan.Summary.Error, "that work,", scan.Summary.Warning, "that may")
	// Output: 1 that work, 1 that may
}

func ExampleOSVScanner() {
	f := open("osv.json")
	defer f.Close()
	// OSV-Scanner says neither when it ran nor how old its database was.
	vulns, err := ingest.OSVScanner(f, ingest.VulnScan{
		Finished: time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC),
		Database: time.Date(2026, 1, 2, 4, 0, 0, 0, time.UTC),
		Version:  "2.0.0",
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range vulns.Scanner.Result {
		fmt.Println(r.ID, r.Severity[len(r.Severity)-1], r.Annotations[0]["package"])
	}
	// Output:
	// GHSA-4374-p667-p6c8 {osv high} golang.org/x/net
	// GO-2023-2102 {osv unknown} golang.org/x/net
}

func ExampleGrype() {
	f := open("grype.json")
	defer f.Close()
	vulns, err := ingest.Grype(f, ingest.VulnScan{}) // it says everything itself
	if err != nil {
		log.Fatal(err)
	}
	r := vulns.Scanner.Result[1]
	fmt.Println(vulns.Scanner.URI, r.ID, r.Severity, r.Annotations[0]["purl"])
	// Output: pkg:github/anchore/grype@v0.92.0 GHSA-4374-p667-p6c8 [{cvss_3.1 7.5} {grype high}] pkg:golang/golang.org/x/net@v0.16.0
}

func ExampleTrivy() {
	f := open("trivy.json")
	defer f.Close()
	// The state of the database is in "trivy version --format json".
	vulns, err := ingest.Trivy(f, ingest.VulnScan{Database: time.Date(2026, 1, 2, 4, 0, 0, 0, time.UTC)})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(vulns.Scanner.Result[0].ID, vulns.Metadata.ScanFinishedOn.Format(time.DateTime))
	// Output: CVE-2023-39325 2026-01-02 12:00:00
}

func ExampleDockerfile() {
	const file = `ARG BASE=alpine:3.22
FROM golang:1.26@sha256:2d79c3a4d4bd2eae2d9ec47b7a9b4dc6b0b5a3e2f1c0d9e8f7a6b5c4d3e2f1a0 AS build
RUN go build -o /app .
FROM ${BASE}
COPY --from=build /app /app
`
	in, err := ingest.Dockerfile(strings.NewReader(file), nil)
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range in.Resolved {
		fmt.Println(r.URI)
	}
	for _, u := range in.Unresolved {
		fmt.Printf("%s, %s: %s\n", u.Where, u.Ref, u.Why)
	}

	// Materials must be pinned.
	_, err = in.Pinned()
	var format *provenance.FormatError
	fmt.Println(errors.As(err, &format), format.Reason)
	// Output:
	// pkg:oci/golang@sha256:2d79c3a4d4bd2eae2d9ec47b7a9b4dc6b0b5a3e2f1c0d9e8f7a6b5c4d3e2f1a0?repository_url=docker.io%2Flibrary%2Fgolang&tag=1.26
	// line 4, alpine:3.22: a tag can be moved: pin the digest
	// true input-unresolved
}

func ExampleKubernetes() {
	f := open("manifests.yaml") // helm template, kustomize build, kubectl get -o yaml
	defer f.Close()
	in, err := ingest.Kubernetes(f)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(in.Resolved), "images have a digest")
	for _, u := range in.Unresolved {
		fmt.Println(u.Ref, "in", u.Where)
	}
	// Output:
	// 3 images have a digest
	// envoyproxy/envoy:v1.32 in Deployment web: spec.template.spec.containers[1].image
	// ghcr.io/owner/model:v1 in Deployment web: spec.template.spec.volumes[0].image.reference
}

func ExampleTerraform() {
	plan := open("plan.json") // terraform show -json FILE
	defer plan.Close()
	lock := open("lock.hcl") // .terraform.lock.hcl
	defer lock.Close()
	in, err := ingest.Terraform(plan, lock)
	if err != nil {
		log.Fatal(err)
	}
	for _, r := range in.Resolved {
		fmt.Println(r.URI, r.Digest[0].Short())
	}
	fmt.Println(len(in.Unresolved), "without a digest")
	// Output:
	// git+https://git.example.com/net.git gitCommit:7fd1a60b01f9
	// https://registry.terraform.io/hashicorp/random/3.6.0 dirHash:47951c9f6eab
	// https://registry.terraform.io/hashicorp/random/3.6.0 sha256:03360ed3ecd3
	// 3 without a digest
}
