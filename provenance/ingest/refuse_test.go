package ingest

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/predicate"
)

const (
	event   = `{"Action":"%s","Package":"p","Test":"%s"}` + "\n"
	okImage = "a@sha256:3fbc632167424a6d997e74f52b878d7cc478225cffac6bc977eedfe51c7f4e79"
)

func events(pairs ...string) string {
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			fmt.Fprintf(&b, `{"Action":"%s","Package":"p"}`+"\n", pairs[i])
		} else {
			fmt.Fprintf(&b, event, pairs[i], pairs[i+1])
		}
	}
	return b.String()
}

func run(sarif string) string {
	return `{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"t"}},` + sarif + `}]}`
}

// TestRefused has what each reader must not take for a report, or not for a good one.
func TestRefused(t *testing.T) {
	deep := func(open string, n int, inner, shut string) string {
		return strings.Repeat(open, n) + inner + strings.Repeat(shut, n)
	}
	for _, c := range []struct{ reader, in, reason, message string }{
		{"GoTest", "not json\n", ReasonReport, "line 1"},
		{"GoTest", `{"Package":"p"}`, ReasonReport, "no Action"},
		{"GoTest", `{"Action":"pass","action":"fail","Package":"p"}`, ReasonReport, "case"},
		{"GoTest", `{"Action":"pass","Action":"fail","Package":"p"}`, ReasonReport, "duplicate"},
		{"GoTest", events("run", "TestA", "pass", "TestA"), ReasonIncomplete, `package "p" has no end`},
		{"GoTest", events("run", "TestA", "pass", ""), ReasonIncomplete, `"p.TestA" has no end`},
		{"GoTest", events("run", "TestA", "fail", "TestA", "pass", ""), ReasonReport, "did not fail"},
		{"GoTest", events("run", "TestA", "skip", "TestA", "pass", ""), ReasonNothingRun, "1 were skipped"},
		{"GoTest", events("start", "", "skip", ""), ReasonNothingRun, "no test ran"},
		{"GoTest", events("start", "", "pass", ""), ReasonNothingRun, "no test ran"},
		{"GoTest", events("run", "BenchmarkA", "pass", ""), ReasonNothingRun, "no test ran"},
		{"GoTest", events("run", "TestA", "pass", "TestA", "pass", "", "pass", ""), ReasonReport, "goes on after its end"},
		{"GoTest", `{"Action":"pass","Package":"p","FailedBuild":"p"}`, ReasonReport, "did not fail"},
		{"GoTest", events("run", "Test"+strings.Repeat("A", limits.ToolName)), provenance.ReasonLimit, "name"},
		{"GoTest", `{"Action":"output","Output":"` + strings.Repeat("A", limits.ToolLine) + `"}`, provenance.ReasonLimit, "line 1"},

		{"JUnit", `<!DOCTYPE a [<!ENTITY a "b">]><testsuite><testcase name="a"/></testsuite>`, ReasonReport, "document type"},
		{"JUnit", `<testsuite><testcase name="&x;"/></testsuite>`, ReasonReport, "entity"},
		{"JUnit", `<?xml version="1.0" encoding="UTF-16"?><testsuite><testcase name="a"/></testsuite>`, ReasonReport, "encoding"},
		{"JUnit", `<testsuite><testcase name="a"/>`, ReasonIncomplete, "ends before"},
		{"JUnit", `<testsuite/>`, ReasonNothingRun, "no test ran"},
		{"JUnit", `<testsuite><testcase name="a"><skipped/></testcase></testsuite>`, ReasonNothingRun, "no test ran"},
		{"JUnit", `<testsuite tests="2"><testcase name="a"/></testsuite>`, ReasonIncomplete, "counts 2 tests and has 1"},
		{"JUnit", `<testsuites tests="2"><testsuite><testcase name="a"/></testsuite></testsuites>`, ReasonIncomplete, "counts 2 tests and has 1"},
		{"JUnit", `<testsuite tests="-1"><testcase name="a"/></testsuite>`, ReasonReport, "want a number"},
		{"JUnit", `<testsuite><testcase name="a"/></testsuite><testsuite/>`, ReasonReport, "second root"},
		{"JUnit", `<testsuite><testcase name="a"></testsuite></testcase>`, ReasonReport, "not open"},
		{"JUnit", `<testsuite><testcase name="a" name="b"/></testsuite>`, ReasonReport, "twice"},
		{"JUnit", `<testsuite><testcase classname="a"/></testsuite>`, ReasonReport, "without a name"},
		{"JUnit", `<testsuite><testcase name="a"><testcase name="b"/></testcase></testsuite>`, ReasonReport, "inside a testcase"},
		{"JUnit", `<html><testsuite/></html>`, ReasonReport, "want testsuites"},
		{"JUnit", `<x:testsuite><testcase name="a"/></x:testsuite>`, ReasonReport, "want testsuites"},
		{"JUnit", "text <testsuite/>", ReasonReport, "outside"},
		{"JUnit", "<testsuite><testcase name='\xff'/></testsuite>", ReasonReport, "UTF-8"},
		{"JUnit", deep("<testsuite>", 1000, "", "</testsuite>"), ReasonReport, "deeper"},
		{"JUnit", `<testsuite><testcase name="a"/><system-out>` + deep("<a>", 1000, "", "</a>") + `</system-out></testsuite>`, ReasonReport, "deeper"},

		{"TAP", "1..1\nok 1\n", ReasonReport, "TAP version"},
		{"TAP", "TAP version 12\n1..1\nok 1\n", ReasonReport, "TAP version"},
		{"TAP", "TAP version 13\nok 1\n", ReasonIncomplete, "without a plan"},
		{"TAP", "TAP version 13\n1..2\nok 1\n", ReasonIncomplete, "2 tests were planned"},
		{"TAP", "TAP version 13\n1..1\nok 1\nok 2\n", ReasonReport, "there is test 2"},
		{"TAP", "TAP version 13\n1..2\nok 1\nok 1\n", ReasonReport, "twice"},
		{"TAP", "TAP version 13\n1..1\n1..1\nok 1\n", ReasonReport, "second plan"},
		{"TAP", "TAP version 13\n1..0 # skip all\n", ReasonNothingRun, "no test ran"},
		{"TAP", "TAP version 13\n1..1\nok 1 # SKIP\n", ReasonNothingRun, "no test ran"},
		{"TAP", "TAP version 13\n1..1\nok 1\n  ---\n", ReasonIncomplete, "diagnostics"},
		{"TAP", "TAP version 14\n1..1\n    ok 1\n    1..1\n", ReasonIncomplete, "within a subtest"},
		{"TAP", "TAP version 14\n1..1\n    ok 1\nok 1\n", ReasonIncomplete, "without a plan"},
		{"TAP", "TAP version 14\n    ok 1\n    1..1\n1..1\nok 1\n", ReasonReport, "not ended"},

		{"GoFuzz", "ok  \tp\t0.1s\n", ReasonNothingRun, "no input"},
		{"GoFuzz", "fuzz: elapsed: 0s, execs: 0 (0/sec), new interesting: 0 (total: 0)\nPASS\nok  \tp\t0.1s\n", ReasonNothingRun, "no input"},
		{"GoFuzz", "fuzz: elapsed: 3s, execs: 9 (0/sec), new interesting: 0 (total: 0)\n", ReasonIncomplete, "before the result"},
		{"GoFuzz", "fuzz: elapsed: 3s, execs: 9 (0/sec), new interesting: 0 (total: 0)\n--- PASS: FuzzY (1s)\nPASS\nok  \tp\t0.1s\n", ReasonReport, "FuzzY"},
		{"GoFuzz", "--- FAIL: FuzzX (1s)\nok  \tp\t0.1s\n", ReasonReport, "but there was a failure"},
		{"GoFuzz", "ok  \tp\t0.1s\nok  \tq\t0.1s\n", ReasonReport, "two packages"},
		{"LibFuzzer", "Done 0 runs in 0 second(s)\n", ReasonNothingRun, "no input"},
		{"LibFuzzer", "#8\tNEW cov: 3\n", ReasonIncomplete, "before"},

		{"ZAP", `{}`, ReasonNothingRun, "no site"},
		{"ZAP", `{"@programName":"nikto","site":[{"@name":"a","alerts":[]}]}`, ReasonReport, "nikto"},
		{"ZAP", `{"site":[{"@name":"a"}]}`, ReasonReport, "list of alerts"},
		{"ZAP", `{"site":[{"@name":"a","alerts":[{"pluginid":"1","riskcode":"4"}]}]}`, ReasonReport, "riskcode"},
		{"ZAP", `{"site":[{"@name":"a","alerts":[{"pluginid":"1"}]}]}`, ReasonReport, "riskcode"},

		{"SARIF", `{"version":"2.0.0","runs":[]}`, ReasonReport, "2.1.0"},
		{"SARIF", `{"version":"2.1.0"}`, ReasonNothingRun, "no run"},
		{"SARIF", `{"version":"2.1.0","runs":[]}`, ReasonNothingRun, "no run"},
		{"SARIF", `{"version":"2.1.0","runs":[{"results":[]}]}`, ReasonReport, "driver"},
		{"SARIF", `{"version":"2.1.0","runs":[null]}`, "json-syntax", "null"},
		{"SARIF", run(`"x":1`), ReasonIncomplete, "no results"},
		{"SARIF", run(`"results":null`), ReasonIncomplete, "no results"},
		{"SARIF", run(`"results":[],"invocations":[{"executionSuccessful":false}]`), ReasonIncomplete, "not successful"},
		{"SARIF", run(`"results":[],"invocations":[{"executionSuccessful":true},{}]`), ReasonIncomplete, "not successful"},
		{"SARIF", run(`"results":[],"externalPropertyFileReferences":{"results":[{}]}`), ReasonReport, "another file"},
		{"SARIF", run(`"results":[{"message":{"text":"x"}}]`), ReasonReport, "rule"},
		{"SARIF", run(`"results":[{"ruleId":"a","level":"Error"}]`), ReasonReport, "level"},
		{"SARIF", run(`"results":[{"ruleId":"a","kind":"maybe"}]`), ReasonReport, "kind"},
		{"SARIF", run(`"results":[{"ruleId":"a","baselineState":"gone"}]`), ReasonReport, "baselineState"},
		{"SARIF", run(`"results":[{"ruleIndex":3}]`), ReasonReport, "rules[3]"},
		{"SARIF", run(`"results":[{"ruleId":"a","rule":{"toolComponent":{"index":-2}}}]`), ReasonReport, "extensions[-2]"},
		{"SARIF", run(`"results":[{"ruleId":"a","locations":[{"physicalLocation":{"artifactLocation":{"index":9}}}]}]`), ReasonReport, "artifacts[9]"},
		{"SARIF", run(`"results":[{"ruleId":"a","locations":[{"physicalLocation":{"region":{"startLine":-1}}}]}]`), ReasonReport, "startLine"},
		{"SARIF", deep(`{"a":`, 1000, "1", "}"), "json-limit", "deeper"},

		{"Gitleaks", `null`, ReasonIncomplete, "null"},
		{"Gitleaks", `{}`, "json-syntax", ""},
		{"Gitleaks", `[{"File":"a"}]`, ReasonReport, "RuleID"},
		{"Gitleaks", `[{"RuleID":"a","File":"b","StartLine":-1}]`, ReasonReport, "line"},
		{"TruffleHog", `{"DetectorName":"AWS"}`, ReasonReport, "without"},
		{"TruffleHog", `{"x":1}`, ReasonReport, "neither"},
		{"TruffleHog", `{"level":"info-0","msg":"running source"}`, ReasonIncomplete, "finished"},

		{"OSVScanner", `{}`, ReasonIncomplete, "results"},
		{"OSVScanner", `{"results":null}`, ReasonIncomplete, "results"},
		{"OSVScanner", `{"results":[{"packages":[{"package":{"name":"a"},"vulnerabilities":[{}]}]}]}`, ReasonReport, "without an id"},
		{"Grype", `{"matches":null}`, ReasonIncomplete, "matches"},
		{"Grype", `{"matches":[]}`, ReasonReport, "Finished"},
		{"Grype", `{"matches":[],"descriptor":{"timestamp":"2026-01-02T00:00:00Z"}}`, ReasonReport, "Database"},
		{"Grype", `{"matches":[],"descriptor":{"timestamp":"yesterday"}}`, ReasonReport, "timestamp"},
		{"Grype", `{"matches":[],"descriptor":{"name":"trivy"}}`, ReasonReport, "trivy"},
		{"Grype", `{"matches":[],"descriptor":{"db":{"status":{"valid":false}}}}`, ReasonIncomplete, "not valid"},
		{"Grype", `{"matches":[],"descriptor":{"db":{"error":"old"}}}`, ReasonIncomplete, "not valid"},
		{"Trivy", `{"SchemaVersion":1}`, ReasonReport, "SchemaVersion"},
		{"Trivy", `{"SchemaVersion":2}`, ReasonNothingRun, "no package"},
		{"Trivy", `{"SchemaVersion":2,"Results":[{"Class":"secret"}]}`, ReasonNothingRun, "no package"},
		{"Trivy", `{"SchemaVersion":2,"Results":[{"Vulnerabilities":[{"PkgName":"a"}]}]}`, ReasonReport, "without an id"},

		{"Dockerfile", "# nothing\n", ReasonNothingRun, "FROM"},
		{"Dockerfile", "FROM\n", ReasonReport, "want FROM"},
		{"Dockerfile", "FROM a b\n", ReasonReport, "want FROM"},
		{"Dockerfile", "FROM a AS b c\n", ReasonReport, "want FROM"},
		{"Dockerfile", "FROM a\nRUN <<EOF\nx\n", ReasonIncomplete, "heredoc"},
		{"Dockerfile", "FROM a\nRUN echo 'x <<b\nFROM c\n", ReasonReport, "quote"},
		{"Dockerfile", "FROM a\nRUN x \\\n", ReasonIncomplete, "does not end"},
		{"Dockerfile", "#!/bin/docker\nFROM a\n", ReasonReport, "#!"},
		{"Dockerfile", "ARG A=b\nFROM ${A%x}\n", ReasonReport, "operators"},
		{"Dockerfile", "FROM a\n=\n", ReasonReport, "not an instruction"},
		{"Dockerfile", "FROM a\xff\n", ReasonReport, "UTF-8"},

		{"Kubernetes", "", ReasonNothingRun, "no document"},
		{"Kubernetes", "---\n# nothing\n---\n", ReasonNothingRun, "no document"},
		{"Kubernetes", "image: a\n", ReasonReport, "apiVersion"},
		{"Kubernetes", "- a\n", ReasonReport, "object"},
		{"Kubernetes", "apiVersion: v1\nkind: Pod\nspec: {image: {{ .Values.image }}}\n", ReasonReport, ""},
		{"Kubernetes", "apiVersion: v1\nkind: Pod\na: &x {image: a}\nb: *x\n", ReasonReport, "aliases"},
		{"Kubernetes", "apiVersion: v1\nkind: Pod\nb: !!str a\n", ReasonReport, "tags"},
		{"Kubernetes", "apiVersion: v1\nkind: Pod\nkind: Node\n", ReasonReport, "twice"},
		{"Kubernetes", "apiVersion: v1\nkind: Pod\nspec: {image: a, \"image\": b}\n", ReasonReport, "twice"},
		{"Kubernetes", "apiVersion: v1\nkind: Pod\nspec: {image: 1}\n", ReasonReport, "want text"},
		{"Kubernetes", "apiVersion: v1\nkind: Pod\nspec: {[a]: 1}\n", ReasonReport, ""},
		{"Kubernetes", "apiVersion: v1\nkind: Pod\nspec: " + deep("[", 200, "1", "]"), provenance.ReasonLimit, "deeper"},
		{"Kubernetes", strings.Repeat("-\n", limits.ToolNodes+1), provenance.ReasonLimit, "values"},

		{"Terraform", `{"format_version":"2.0","configuration":{}}`, ReasonReport, "format_version"},
		{"Terraform", `{"format_version":"1.2"}`, ReasonReport, "configuration"},
		{"Terraform", `{"format_version":"1.2","errored":true,"configuration":{}}`, ReasonIncomplete, "error"},
		{"Terraform", `{"format_version":"1.2","configuration":{"root_module":{"module_calls":{"a":{}}}}}`, ReasonReport, "no source"},
		{"Terraform", `{"format_version":"1.2","configuration":{"root_module":` + deep(`{"module_calls":{"a":{"source":"./a","module":`, 40, "{}", "}}}") + `}}`, provenance.ReasonLimit, "deeper"},
		{"TerraformLock", `resource "a" "b" {}`, ReasonReport, "want provider"},
		{"TerraformLock", `provider "a" { version = 3 }`, ReasonReport, "quotes"},
		{"TerraformLock", `provider "a" { version = "${x}" }`, ReasonReport, "template"},
		{"TerraformLock", `provider "a" { version = "1" version = "2" }`, ReasonReport, "twice"},
		{"TerraformLock", `provider "a" { version = "1" } provider "a" { version = "2" }`, ReasonReport, "twice"},
		{"TerraformLock", `provider "a" { version = "1`, ReasonReport, "does not end"},
		{"TerraformLock", `provider "a" { version = "1"`, ReasonReport, "want"},
		{"TerraformLock", `provider "registry.terraform.io/hashicorp/random" { version = "1" hashes = ["h1:!"] }`, ReasonReport, "base64"},
		{"TerraformLock", `provider "registry.terraform.io/hashicorp/random" { version = "1" hashes = ["zh:12"] }`, provenance.ReasonDigest, "length"},
		{"TerraformLock", `provider "registry.terraform.io/hashicorp/random" { version = "1" hashes = ["h9:12"] }`, ReasonReport, "h1 or zh"},
	} {
		v, err := readers[c.reader](strings.NewReader(c.in))
		e, ok := errors.AsType[*provenance.FormatError](err)
		if v != nil || !ok || e.Reason != c.reason || !strings.Contains(e.Msg, c.message) {
			t.Errorf("%s of %.120q:\n\tgot %+v, %v (%+v)\n\twant %s, %q", c.reader, c.in, v, err, e, c.reason, c.message)
		}
	}
}

// TestWorse has reports whose worse reading counts.
func TestWorse(t *testing.T) {
	for _, c := range []struct {
		reader, in     string
		result         string
		passed, failed []string
	}{
		{"GoTest", events("run", "TestA", "pass", "TestA", "run", "TestA", "fail", "TestA", "fail", ""), predicate.Failed, nil, []string{"p.TestA"}},
		{"GoTest", events("run", "TestA", "fail", ""), predicate.Failed, nil, []string{"p.TestA"}},
		{"GoTest", events("run", "TestA", "pass", "TestA", "fail", ""), predicate.Failed, []string{"p.TestA"}, []string{"p"}},
		{"GoTest", `{"Action":"build-fail","ImportPath":"q [q.test]"}`, predicate.Failed, nil, []string{"q"}},
		{"GoTest", events("run", "BenchmarkA", "fail", "BenchmarkA", "fail", ""), predicate.Failed, nil, []string{"p.BenchmarkA"}},
		{"JUnit", `<testsuite name="s" failures="1"><testcase name="a"/></testsuite>`, predicate.Failed, []string{"a"}, []string{"s"}},
		{"JUnit", `<testsuites errors="1"><testsuite><testcase name="a"/></testsuite></testsuites>`, predicate.Failed, []string{"a"}, []string{"test suite"}},
		{"JUnit", `<testsuite name="s"><error/><testcase name="a"/></testsuite>`, predicate.Failed, []string{"a"}, []string{"s"}},
		{"JUnit", `<testsuite><testcase name="a"/><testcase name="a"><failure/></testcase></testsuite>`, predicate.Failed, nil, []string{"a"}},
		{"JUnit", `<testsuite><testcase name="a"><skipped/><failure/></testcase></testsuite>`, predicate.Failed, nil, []string{"a"}},
		{"TAP", "TAP version 14\n1..1\n    1..1\n    not ok 1 - b\nok 1 - a\n", predicate.Failed, nil, []string{"a", "a > b"}},
		{"TAP", "TAP version 13\n1..2\nok 1 - a\nBail out! no disk\nok 2\n", predicate.Failed, []string{"a"}, nil},
		{"TAP", "TAP version 13\n1..1\nnot ok 1 - a # SKIP\n", predicate.Failed, nil, []string{"a"}},
		{"TAP", "TAP version 13\n1..1\nnot ok 1 - a \\# TODO\n", predicate.Failed, nil, []string{"a # TODO"}},
		{"GoFuzz", strings.ReplaceAll(testdata(t, "gofuzz-fail.txt"), "FuzzCrash", "FuzzX"), predicate.Failed, nil, []string{"example.com/m/sub.FuzzX"}},
		{"GoFuzz", "FAIL\tp [build failed]\n", predicate.Failed, nil, []string{"p.FuzzX"}},
		{"LibFuzzer", "parse.c:3:5: runtime error: signed integer overflow\nDone 100 runs in 1 second(s)\n", predicate.Failed, nil, []string{"parse_fuzzer"}},
		{"LibFuzzer", "WARNING: ThreadSanitizer: data race\nDone 100 runs in 1 second(s)\n", predicate.Failed, nil, []string{"parse_fuzzer"}},
		{"ZAP", `{"site":[{"@name":"a","alerts":[{"pluginid":"1","name":"n","riskcode":2}]}]}`, predicate.Failed, nil, []string{"1 n (a)"}},
	} {
		v, err := readers[c.reader](strings.NewReader(c.in))
		if err != nil {
			t.Errorf("%s of %q: %v", c.reader, c.in, err)
			continue
		}
		r := v.(*predicate.TestResult)
		if r.Result != c.result || !slices.Equal(r.PassedTests, c.passed) || !slices.Equal(r.FailedTests, c.failed) {
			t.Errorf("%s of %q: got %+v", c.reader, c.in, r)
		}
	}
}

// TestGoFuzzTarget: the caller says what was fuzzed, and it must be a fuzz target.
func TestGoFuzzTarget(t *testing.T) {
	for _, target := range []string{"", "TestX"} {
		if _, err := GoFuzz(strings.NewReader(testdata(t, "gofuzz-pass.txt")), target); err == nil {
			t.Errorf("target %q was accepted", target)
		}
	}
	if _, err := GoFuzz(strings.NewReader(testdata(t, "gofuzz-verbose.txt")), "FuzzOther"); err == nil {
		t.Error("another target was accepted")
	}
	if _, err := LibFuzzer(strings.NewReader(testdata(t, "libfuzzer-pass.txt")), ""); err == nil {
		t.Error("no target was accepted")
	}
}

// TestSecretsStay: nothing of a secret gets into the predicate or an error,
// wherever the report has it.
func TestSecretsStay(t *testing.T) {
	const secret = "hunter2-hunter2"
	for _, c := range []struct{ reader, in string }{
		{"Gitleaks", `[{"RuleID":"r","File":"f","Secret":"` + secret + `","Match":"k=` + secret + `","Message":"` + secret + `","Fingerprint":"` + secret + `","Description":"` + secret + `"}]`},
		{"Gitleaks", `[{"RuleID":"r","File":"a/` + secret + `/b","Secret":"` + secret + `"}]`},
		{"Gitleaks", `[{"RuleID":"` + secret + `","File":"f","Secret":"` + secret + `"}]`},
		{"TruffleHog", `{"SourceMetadata":{"Data":{"Filesystem":{"file":"` + secret + `"}}},"DetectorName":"d","Raw":"` + secret + `"}` + "\n" + `{"level":"info-0","msg":"finished scanning"}`},
		{"TruffleHog", `{"SourceMetadata":{"Data":{"Git":{"file":"f","email":"` + secret + `"}}},"DetectorName":"d","Raw":"` + secret + `","ExtraData":{"x":"` + secret + `"}}` + "\n" + `{"level":"info-0","msg":"finished scanning"}`},
		{"SARIF", run(`"results":[{"ruleId":"a","message":{"text":"` + secret + `"},"locations":[{"physicalLocation":{"artifactLocation":{"uri":"f"},"region":{"snippet":{"text":"` + secret + `"}}}}]}]`)},
		{"Terraform", strings.ReplaceAll(testdata(t, "plan.json"), "hunter22", secret)},
		{"Dockerfile", "FROM a\nADD https://u:" + secret + "@example.com/x /\nADD https://u:" + secret + "@example.com/x.git#7fd1a60b01f91b314f59955a4e4d4e80d8edf11d /\n"},
	} {
		v, err := readers[c.reader](strings.NewReader(c.in))
		if shown := fmt.Sprintf("%+v %v", v, err); strings.Contains(shown, secret) {
			t.Errorf("%s: %s", c.reader, shown)
		}
	}
}

// TestInputsOf has the finer points of references.
func TestInputsOf(t *testing.T) {
	const digest = "@sha256:3fbc632167424a6d997e74f52b878d7cc478225cffac6bc977eedfe51c7f4e79"
	pod := func(image string) string {
		return "apiVersion: v1\nkind: Pod\nspec: {containers: [{image: '" + image + "'}]}\n"
	}
	for _, c := range []struct{ reader, in, resolved, unresolved string }{
		{"Kubernetes", pod("a" + digest), "repository_url=docker.io%2Flibrary%2Fa", ""},
		{"Kubernetes", pod("owner/a" + digest), "repository_url=docker.io%2Fowner%2Fa", ""},
		{"Kubernetes", pod("localhost/a" + digest), "repository_url=localhost%2Fa", ""},
		{"Kubernetes", pod("localhost:5000/a:b" + digest), "repository_url=localhost:5000%2Fa&tag=b", ""},
		{"Kubernetes", pod("a@sha256:3fbc"), "", whySyntax},
		{"Kubernetes", pod("a@md5:d41d8cd98f00b204e9800998ecf8427e"), "", whySyntax},
		{"Kubernetes", pod("A" + digest), "", whySyntax},
		{"Kubernetes", pod("a b"), "", whySyntax},
		{"Kubernetes", pod(""), "", whySyntax},
		{"Kubernetes", pod("a" + digest + "\\n"), "", whySyntax},
		{"Kubernetes", `{"apiVersion":"v1","kind":"Pod","spec":{"image":"a"}}`, "", whyTag},
		{"Kubernetes", "apiVersion: v1\nkind: Secret\ndata: {image: a}\n", "", ""},
		{"Dockerfile", "FROM " + okImage + "\n", "pkg:oci/a@sha256", ""},
		{"Dockerfile", "from " + okImage + " as x\nFROM X\n", "pkg:oci/a@sha256", ""},
		// A stage is one only after it was begun.
		{"Dockerfile", "FROM " + okImage + "\nCOPY --from=later / /\nFROM scratch AS later\n", "pkg:oci/a@sha256", whyTag},
		{"Dockerfile", "FROM $BASE\n", "", whyVariable},
		{"Dockerfile", "ARG BASE\nFROM ${BASE}\n", "", whyVariable},
		{"Dockerfile", "ARG BASE\nFROM ${BASE:-" + okImage + "}\n", "pkg:oci/a@sha256", ""},
		{"Dockerfile", "ARG BASE=a\nFROM $BASE${BASE:+" + strings.TrimPrefix(okImage, "a") + "}\n", "pkg:oci/a@sha256", ""},
		// Only ARGs before the first FROM count in one.
		{"Dockerfile", "FROM scratch\nARG BASE=" + okImage + "\nFROM $BASE\n", "", whyVariable},
		// What others take for text must not hide an instruction, and the other way round.
		{"Dockerfile", "FROM scratch\nRUN echo \"x <<#\"\nFROM evil\n#\n", "", whyTag},
		{"Dockerfile", "FROM scratch\nRUN [\"echo\", \"<<#\"]\nFROM evil\n#\n", "", whyTag},
		{"Dockerfile", "FROM scratch\nRUN echo \\\\\nFROM evil\n", "", whyTag},
		{"Dockerfile", "# escape=`\nFROM scratch\nRUN dir c:\\\nFROM evil\n", "", whyTag},
		{"Dockerfile", "FROM scratch\nRUN cat <<EOF\nFROM evil\nEOF\n", "", ""},
		{"Dockerfile", "FROM scratch\nONBUILD COPY --from=evil / /\n", "", whyTag},
		{"Dockerfile", "FROM scratch\nRUN --mount=from=evil,target=/x true\n", "", whyTag},
		{"Dockerfile", "FROM scratch\nADD [\"https://example.com/x\", \"/\"]\n", "", whyDownload},
		{"Dockerfile", "FROM scratch\nADD git@example.com:a/b.git#main /\n", "", whyTag},
		{"Dockerfile", "# syntax=evil/frontend\nFROM scratch\n", "", whyTag},
	} {
		v, err := readers[c.reader](strings.NewReader(c.in))
		if err != nil {
			t.Errorf("%q: %v", c.in, err)
			continue
		}
		in := v.(*Inputs)
		good := len(in.Resolved) == 0 && c.resolved == "" || len(in.Resolved) == 1 && c.resolved != "" && strings.Contains(in.Resolved[0].URI, c.resolved)
		good = good && (len(in.Unresolved) == 0 && c.unresolved == "" || len(in.Unresolved) == 1 && in.Unresolved[0].Why == c.unresolved)
		if !good {
			t.Errorf("%q: got %+v", c.in, in)
		}
	}
	in, err := Dockerfile(strings.NewReader("ARG BASE=evil\nFROM $BASE\n"), map[string]string{"BASE": okImage, "OTHER": "x"})
	if err != nil || len(in.Unresolved) != 0 || len(in.Resolved) != 1 {
		t.Errorf("build argument: %+v, %v", in, err)
	}
	in, err = Terraform(strings.NewReader(testdata(t, "plan.json")), strings.NewReader(testdata(t, "lock.hcl")))
	if err != nil || len(in.Resolved) != 3 || len(in.Unresolved) != 3 {
		t.Errorf("plan and lock: %+v, %v", in, err)
	}
	var fe *provenance.FormatError
	if _, err := in.Pinned(); !errors.As(err, &fe) || fe.Reason != ReasonUnresolved || !strings.Contains(fe.Msg, "3 inputs") {
		t.Errorf("Pinned: %v", err)
	}
}

// TestVulnScan: what the report says stands, and the caller fills the rest.
func TestVulnScan(t *testing.T) {
	other := VulnScan{
		Started: time.Date(2026, 1, 2, 11, 59, 0, 0, time.UTC), Finished: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC),
		Database: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), Version: "9",
	}
	v, err := Grype(strings.NewReader(testdata(t, "grype.json")), other)
	if err != nil || v.Scanner.Version != "0.92.0" || v.Metadata.ScanFinishedOn.Year() != 2026 || v.Scanner.DB.LastUpdate.Year() != 2026 || !v.Metadata.ScanStartedOn.Equal(other.Started) {
		t.Errorf("got %+v, %v", v, err)
	}
	other.Started = other.Finished
	if _, err := Grype(strings.NewReader(testdata(t, "grype.json")), other); err == nil {
		t.Error("a scan that ended before it began was accepted")
	}
	if _, err := Trivy(strings.NewReader(testdata(t, "trivy.json")), VulnScan{}); err == nil {
		t.Error("a scan with a database of unknown age was accepted")
	}
	empty, err := OSVScanner(strings.NewReader(`{"results":[]}`), at)
	if err != nil || empty.Scanner.Result == nil || len(empty.Scanner.Result) != 0 {
		t.Errorf("nothing found: got %+v, %v", empty, err)
	}
}

// endless is a report that never ends.
type endless string

func (e endless) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		n += copy(p[n:], e)
	}
	return n, nil
}

// TestEndless: readers stop, whatever they are given.
func TestEndless(t *testing.T) {
	if testing.Short() {
		t.Skip("reads 128 MiB for each reader")
	}
	for name, in := range map[string]io.Reader{
		"Dockerfile": endless("RUN x\n"), "Kubernetes": endless("a: b\n"), "TAP": endless("x"), "JUnit": endless(" "), "SARIF": endless("[")} {
		var fe *provenance.FormatError
		if _, err := readers[name](in); !errors.As(err, &fe) || fe.Reason != provenance.ReasonLimit && name != "TAP" && name != "Dockerfile" {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Short lines, but no end of tests.
	n := 0
	tests := readerFunc(func(p []byte) (int, error) {
		n++
		return copy(p, fmt.Sprintf(event, "run", fmt.Sprintf("Test%d", n))), nil
	})
	var fe *provenance.FormatError
	if _, err := GoTest(tests); !errors.As(err, &fe) || fe.Reason != provenance.ReasonLimit {
		t.Errorf("GoTest: %v", err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
