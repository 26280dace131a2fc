package main

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/examples/internal/cli"
	"github.com/hallmark-build/hallmark/provenance/predicate"
	"github.com/hallmark-build/hallmark/sign"
	"github.com/hallmark-build/hallmark/verify"
	"github.com/hallmark-build/hallmark/verify/cel"
)

const reports = "../../provenance/ingest/testdata/"

// TestAttest states a report of every type, and opens what was signed.
func TestAttest(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	key, err := sign.GenerateKey(sign.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	if err := sign.WritePrivateKey(in("key"), key, nil); err != nil {
		t.Fatal(err)
	}
	if err := sign.WritePublicKey(in("key.pub"), key.Public()); err != nil {
		t.Fatal(err)
	}
	pub, err := os.ReadFile(in("key.pub"))
	if err != nil {
		t.Fatal(err)
	}
	trust, err := verify.NewTrust(verify.Key{PEM: string(pub)})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(in("app"), []byte("the artifact"), 0o644); err != nil {
		t.Fatal(err)
	}
	times := []string{"-finished", "2026-01-02T12:00:00Z", "-db-updated", "2026-01-02T00:00:00Z"}
	for kind, c := range map[string]struct {
		report, want string
		flags        []string
	}{
		"gotest":     {"gotest-pass.jsonl", predicate.TypeTestResult, []string{"-config", "main.go"}},
		"junit":      {"surefire.xml", predicate.TypeTestResult, nil},
		"tap":        {"prove.tap", predicate.TypeTestResult, nil},
		"zap":        {"zap.json", predicate.TypeTestResult, nil},
		"gofuzz":     {"gofuzz-pass.txt", predicate.TypeTestResult, []string{"-target", "FuzzX"}},
		"libfuzzer":  {"libfuzzer-pass.txt", predicate.TypeTestResult, []string{"-target", "parse_fuzzer"}},
		"sarif":      {"gosec.sarif", predicate.TypeScan, []string{"-commit", "c27d339ee6075c1f744c5d4b200f7901aad2c369"}},
		"gitleaks":   {"gitleaks.json", predicate.TypeScan, nil},
		"trufflehog": {"trufflehog.jsonl", predicate.TypeScan, nil},
		"osv":        {"osv.json", predicate.TypeVulns, times},
		"grype":      {"grype.json", predicate.TypeVulns, nil},
		"trivy":      {"trivy.json", predicate.TypeVulns, times},
	} {
		args := append([]string{"-type", kind, "-subject", in("app"), "-key", in("key")}, c.flags...)
		var out bytes.Buffer
		if code := run(append(args, reports+c.report), nil, &out); code != cli.OK {
			t.Errorf("%s: exit %d", kind, code)
			continue
		}
		st, err := verify.Open(out.Bytes(), trust, time.Now())
		if err != nil {
			t.Errorf("%s: %v", kind, err)
			continue
		}
		if st.Statement().PredicateType() != c.want {
			t.Errorf("%s: stated as %s", kind, st.Statement().PredicateType())
		}
		// Into a file, with JSON for a machine.
		out.Reset()
		data, err := os.ReadFile(reports + c.report)
		if err != nil {
			t.Fatal(err)
		}
		if code := run(append(args, "-out", in("app.intoto.jsonl"), "-json", "-"), bytes.NewReader(data), &out); code != cli.OK {
			t.Errorf("%s: exit %d", kind, code)
		}
		var said struct {
			Stated    bool
			Statement string
		}
		if err := json.Unmarshal(out.Bytes(), &said); err != nil || !said.Stated || said.Statement != st.Statement().Digest().String() {
			t.Errorf("%s: %s, %v", kind, &out, err)
		}
	}
	bundle, err := os.ReadFile(in("app.intoto.jsonl"))
	if err != nil || bytes.Count(bundle, []byte("\n")) != len(kinds) {
		t.Errorf("%d lines in the bundle, %v", bytes.Count(bundle, []byte("\n")), err)
	}

	// What proves nothing is not stated.
	for name, args := range map[string][]string{
		"no report":  {"-type", "junit", "-subject", in("app"), "-key", in("key"), in("none")},
		"empty":      {"-type", "junit", "-subject", in("app"), "-key", in("key"), "-"},
		"wrong type": {"-type", "sarif", "-subject", in("app"), "-key", in("key"), reports + "zap.json"},
		"no subject": {"-type", "junit", "-key", in("key"), reports + "jest.xml"},
		"no key":     {"-type", "junit", "-subject", in("app"), reports + "jest.xml"},
		"lost key":   {"-type", "junit", "-subject", in("app"), "-key", in("none"), reports + "jest.xml"},
		"commit":     {"-type", "junit", "-commit", "main", "-key", in("key"), reports + "jest.xml"},
		"no times":   {"-type", "osv", "-subject", in("app"), "-key", in("key"), reports + "osv.json"},
		"bad time":   {"-type", "osv", "-finished", "now", "-subject", in("app"), "-key", in("key"), reports + "osv.json"},
		"type":       {"-type", "x", "-subject", in("app"), "-key", in("key"), reports + "jest.xml"},
	} {
		var out bytes.Buffer
		if code := run(append([]string{"-out", in("bad.jsonl")}, args...), strings.NewReader(""), &out); code != cli.Cannot || out.Len() > 0 {
			t.Errorf("%s: exit %d, %s", name, code, &out)
		}
	}
	if _, err := os.Stat(in("bad.jsonl")); err == nil {
		t.Error("something was stated")
	}
	var out bytes.Buffer
	if code := run([]string{"-json", "-type", "gotest", "-subject", in("app"), "-key", in("key"), "-"}, strings.NewReader(`{"Action":"pass","Package":"p"}`), &out); code != cli.Cannot || !strings.Contains(out.String(), `"reason":"report-nothing-run"`) {
		t.Errorf("exit %d, %s", code, &out)
	}
}

// TestConditions compiles the conditions that the documentation of the readers
// gives, and evaluates them on what the readers make of good and bad reports.
// A flag that would do nothing is refused, rather than left out of what is signed.
func TestAttack_FlagsThatDoNothing(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	key, err := sign.GenerateKey(sign.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	if err := sign.WritePrivateKey(in("key"), key, nil); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(in("app"), []byte("app"), 0o600); err != nil {
		t.Fatal(err)
	}
	const report = `{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"gosec"}},"results":[]}]}`
	args := []string{"-type", "sarif", "-subject", in("app"), "-key", in("key")}
	var out bytes.Buffer
	if code := run(append(args, "-"), strings.NewReader(report), &out); code != cli.OK {
		t.Fatalf("exit code %d", code)
	}
	for _, idle := range [][]string{{"-config", in("app")}, {"-target", "x"}, {"-tool-version", "1"}, {"-started", "2026-01-01T00:00:00Z"}, {"-finished", "2026-01-01T00:00:00Z"}, {"-db-updated", "2026-01-01T00:00:00Z"}} {
		out.Reset()
		if code := run(slices.Concat(args, idle, []string{"-"}), strings.NewReader(report), &out); code != cli.Cannot || out.Len() > 0 {
			t.Errorf("%s: exit code %d, %s", idle[0], code, out.String())
		}
	}
}

func TestConditions(t *testing.T) {
	conditions := map[string]string{}
	sources, err := filepath.Glob("../../provenance/ingest/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range sources {
		if strings.HasSuffix(source, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), source, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if !ok || f.Recv != nil || !f.Name.IsExported() {
				continue
			}
			// The last lines that are indented.
			_, after, _ := strings.Cut(f.Doc.Text(), "condition")
			var lines []string
			for line := range strings.Lines(after) {
				if text, ok := strings.CutPrefix(line, "\t"); ok {
					lines = append(lines, strings.TrimSpace(text))
				}
			}
			conditions[f.Name.Name] = strings.Join(lines, " ")
		}
	}
	vulnerable := conditions["OSVScanner"]
	conditions["Grype"], conditions["Trivy"] = vulnerable, vulnerable
	if len(conditions) != 15 {
		t.Errorf("%d readers: %v", len(conditions), conditions)
	}
	compiled := map[string]verify.Condition{}
	for name, source := range conditions {
		if compiled[name], err = (cel.Compiler{}).Compile(source, []string{"predicate", "predicateType", "subject", "materials", "signers", "statement", "params"}); err != nil {
			t.Errorf("%s: %q: %v", name, source, err)
		}
	}
	o := &options{target: "FuzzX"}
	o.finished.Time, o.dbDate.Time = time.Unix(1e9, 0), time.Unix(1e9, 0)
	good := func(kind, report string) any { return decoded(t, kind, report, o) }
	for _, c := range []struct {
		reader, kind, report string
		holds                bool
	}{
		{"GoTest", "gotest", `{"Action":"pass","Package":"example.com/app/store","Test":"TestOpen"}` + "\n" + `{"Action":"pass","Package":"example.com/app/store"}`, true},
		{"GoTest", "gotest", `{"Action":"skip","Package":"example.com/app/store","Test":"TestOpen"}` + "\n" + `{"Action":"pass","Package":"example.com/app/store","Test":"TestB"}` + "\n" + `{"Action":"pass","Package":"example.com/app/store"}`, false},
		{"JUnit", "junit", "<testsuite>" + suite(200) + "</testsuite>", true},
		{"JUnit", "junit", "<testsuite>" + suite(199) + "</testsuite>", false},
		{"TAP", "tap", "TAP version 14\n1..1\n    1..1\n    ok 1 - opens an empty store\nok 1 - suite\n", true},
		{"TAP", "tap", "TAP version 14\n1..1\n    1..1\n    not ok 1 - opens an empty store\nok 1 - suite\n", false},
		{"ZAP", "zap", `{"site":[{"@name":"https://staging.example.com","alerts":[]}]}`, true},
		{"ZAP", "zap", `{"site":[{"@name":"https://other.example.com","alerts":[]}]}`, false},
		{"SARIF", "sarif", `{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"gosec"}},"results":[]}]}`, true},
		{"SARIF", "sarif", `{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"gosec"}},"results":[{"ruleId":"a","level":"error"}]}]}`, false},
		{"SARIF", "sarif", `{"version":"2.1.0","runs":[{"tool":{"driver":{"name":"other"}},"results":[]}]}`, false},
		{"Gitleaks", "gitleaks", `[]`, true},
		{"Gitleaks", "gitleaks", `[{"RuleID":"a","File":"b"}]`, false},
		{"TruffleHog", "trufflehog", `{"level":"info-0","msg":"finished scanning"}`, true},
		{"TruffleHog", "trufflehog", `{"level":"error","msg":"x"}` + "\n" + `{"level":"info-0","msg":"finished scanning"}`, false},
		{"OSVScanner", "osv", `{"results":[]}`, true},
		{"OSVScanner", "osv", `{"results":[{"packages":[{"package":{"name":"a"},"vulnerabilities":[{"id":"b","database_specific":{"severity":"LOW"}}]}]}]}`, true},
		{"OSVScanner", "osv", `{"results":[{"packages":[{"package":{"name":"a"},"vulnerabilities":[{"id":"b"}]}]}]}`, false},
		{"Grype", "grype", `{"matches":[]}`, true},
		{"Grype", "grype", `{"matches":[{"vulnerability":{"id":"a","severity":"High"},"artifact":{"name":"b"}}]}`, false},
		{"Trivy", "trivy", `{"SchemaVersion":2,"Results":[{}]}`, true},
		{"Trivy", "trivy", `{"SchemaVersion":2,"Results":[{"Vulnerabilities":[{"VulnerabilityID":"a","PkgName":"b"}]}]}`, false},
	} {
		if compiled[c.reader] == nil {
			continue
		}
		holds, err := compiled[c.reader].Holds(map[string]any{"predicate": good(c.kind, c.report)})
		if err != nil || holds != c.holds {
			t.Errorf("%s: %s\n\tof %.200s\n\tis %v, %v; want %v", c.reader, conditions[c.reader], c.report, holds, err, c.holds)
		}
	}
}

func suite(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(`<testcase name="t` + strings.Repeat("x", i) + `"/>`)
	}
	return b.String()
}

// decoded is the predicate of a report as a condition sees it.
func decoded(t *testing.T, kind, report string, o *options) any {
	t.Helper()
	p, _, err := kinds[kind](strings.NewReader(report), o)
	if err != nil {
		t.Fatal(kind, err)
	}
	data, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return v
}
