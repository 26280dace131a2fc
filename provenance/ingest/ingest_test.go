package ingest

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/predicate"
)

var update = flag.Bool("update", false, "write the golden files")

var at = VulnScan{
	Finished: time.Date(2026, 1, 2, 12, 0, 5, 0, time.UTC),
	Database: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC),
	Version:  "2.0.0",
}

// read is a reader and what it makes, as a value that JSON can show.
type read func(io.Reader) (any, error)

// readers has all readers, as simply as they can be called.
var readers = map[string]read{
	"GoTest":     of(GoTest),
	"JUnit":      of(JUnit),
	"TAP":        of(TAP),
	"GoFuzz":     of(func(r io.Reader) (*predicate.TestResult, error) { return GoFuzz(r, "FuzzX") }),
	"LibFuzzer":  of(func(r io.Reader) (*predicate.TestResult, error) { return LibFuzzer(r, "parse_fuzzer") }),
	"ZAP":        of(ZAP),
	"SARIF":      of(SARIF),
	"Gitleaks":   of(func(r io.Reader) (*predicate.Scan, error) { return Gitleaks(r, "8.21.0") }),
	"TruffleHog": of(TruffleHog),
	"OSVScanner": of(func(r io.Reader) (*predicate.Vulns, error) { return OSVScanner(r, at) }),
	"Grype":      of(func(r io.Reader) (*predicate.Vulns, error) { return Grype(r, VulnScan{}) }),
	"Trivy":      of(func(r io.Reader) (*predicate.Vulns, error) { return Trivy(r, at) }),
	"Dockerfile": of(func(r io.Reader) (*Inputs, error) { return Dockerfile(r, nil) }),
	"Kubernetes": of(Kubernetes),
	"Terraform":  of(func(r io.Reader) (*Inputs, error) { return Terraform(r, nil) }),
	"TerraformLock": of(func(r io.Reader) (*Inputs, error) {
		return Terraform(strings.NewReader(planRandom), r)
	}),
}

const planRandom = `{"format_version":"1.2","configuration":{"provider_config":{"random":{"full_name":"registry.terraform.io/hashicorp/random"}},"root_module":{}}}`

func of[T any](f func(io.Reader) (*T, error)) read {
	return func(r io.Reader) (any, error) {
		v, err := f(r)
		if v == nil {
			return nil, err
		}
		return v, err
	}
}

// files says which reader each file of testdata is for.
var files = map[string]string{
	"gotest-pass.jsonl": "GoTest", "gotest-fail.jsonl": "GoTest",
	"surefire.xml": "JUnit", "pytest.xml": "JUnit", "jest.xml": "JUnit", "googletest.xml": "JUnit", "node.xml": "JUnit",
	"node.tap": "TAP", "prove.tap": "TAP",
	"gofuzz-pass.txt": "GoFuzz", "gofuzz-verbose.txt": "GoFuzz",
	"libfuzzer-pass.txt": "LibFuzzer", "libfuzzer-crash.txt": "LibFuzzer",
	"zap.json": "ZAP", "gosec.sarif": "SARIF", "codeql.sarif": "SARIF",
	"gitleaks.json": "Gitleaks", "trufflehog.jsonl": "TruffleHog",
	"osv.json": "OSVScanner", "grype.json": "Grype", "trivy.json": "Trivy",
	"Dockerfile": "Dockerfile", "manifests.yaml": "Kubernetes", "plan.json": "Terraform", "plan-builtin.json": "Terraform", "lock.hcl": "TerraformLock",
}

func testdata(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestGolden checks what is made of each file of testdata. Those that node,
// go test and terraform wrote are real; the others are written after the tools' documentation.
func TestGolden(t *testing.T) {
	for name, reader := range files {
		t.Run(name, func(t *testing.T) {
			text := testdata(t, name)
			v, err := readers[reader](strings.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			check(t, v, text)
			got, err := json.MarshalIndent(v, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", "golden", name+".json")
			if *update {
				if err := os.WriteFile(golden, append(got, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(bytes.TrimSpace(want), got) {
				t.Errorf("got %s", got)
			}
		})
	}
}

var subjects = []provenance.ResourceDescriptor{{Name: "app", Digest: provenance.DigestSet{provenance.MustDigest("gitCommit:c27d339ee6075c1f744c5d4b200f7901aad2c369")}}}

// check checks what must be true of whatever a reader returns: it can be
// stated, and reads back.
func check(t *testing.T, v any, text string) {
	t.Helper()
	var st *provenance.Statement
	var err error
	switch v := v.(type) {
	case *predicate.TestResult:
		if len(v.PassedTests)+len(v.WarnedTests)+len(v.FailedTests) == 0 && v.Result != predicate.Failed {
			t.Errorf("%s without a test", v.Result)
		}
		st, err = v.Statement(subjects)
	case *predicate.Scan:
		st, err = v.Statement(subjects)
	case *predicate.Vulns:
		st, err = v.Statement(subjects)
	case *Inputs:
		for _, r := range v.Resolved {
			if len(r.Digest) != 1 || !r.Digest[0].Algorithm().Strong() || r.Name == "" || r.URI == "" {
				t.Errorf("resolved to %+v", r)
			}
		}
		if pinned, err := v.Pinned(); (err != nil) != (len(v.Unresolved) > 0) || err == nil && len(pinned) != len(v.Resolved) {
			t.Errorf("Pinned: %v, %v", pinned, err)
		}
		st, err = (&predicate.Link{Name: "x", Materials: v.Resolved}).Statement(subjects)
	default:
		t.Fatalf("%T", v)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := predicate.Check(st); err != nil {
		t.Fatal(err)
	}
}

// TestStable: the same report gives the same predicate, whatever the reader of it yields at a time.
func TestStable(t *testing.T) {
	for name, reader := range files {
		text := testdata(t, name)
		v, err := readers[reader](strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		for range 10 {
			w, err := readers[reader](iotest.OneByteReader(strings.NewReader(text)))
			if err != nil || !reflect.DeepEqual(v, w) {
				t.Fatalf("%s: another result, %v", name, err)
			}
		}
	}
}

// TestErrors: an error of the io.Reader stays itself.
func TestErrors(t *testing.T) {
	broken := errors.New("broken")
	for name, f := range readers {
		if v, err := f(iotest.ErrReader(broken)); v != nil || !errors.Is(err, broken) {
			t.Errorf("%s: got %v, %v", name, v, err)
		}
		v, err := f(strings.NewReader(""))
		if _, ok := errors.AsType[*provenance.FormatError](err); v != nil && name != "TerraformLock" || !ok && name != "TerraformLock" {
			t.Errorf("%s of nothing: got %v, %v", name, v, err)
		}
	}
}

// TestCutOff: a report that was cut off anywhere is never a better one.
func TestCutOff(t *testing.T) {
	for name, reader := range files {
		text := testdata(t, name)
		full, err := readers[reader](strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		switch reader {
		case "Dockerfile", "Kubernetes", "TerraformLock":
			continue // nothing marks the end of these
		}
		for i := range len(strings.TrimSpace(text)) - 1 {
			v, err := readers[reader](strings.NewReader(text[:i]))
			if err != nil {
				continue
			}
			if r, ok := v.(*predicate.TestResult); ok {
				if want := full.(*predicate.TestResult); rank(r.Result) >= rank(want.Result) {
					continue
				}
			}
			t.Fatalf("%s: the first %d bytes are accepted: %q: %+v", name, i, text[max(0, i-60):i], v)
		}
	}
}

func rank(result string) int {
	return map[string]int{predicate.Passed: 0, predicate.Warned: 1, predicate.Failed: 2}[result]
}
