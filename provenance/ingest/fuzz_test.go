package ingest

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hallmark-build/hallmark/provenance"
)

// fuzz checks what holds for every reader and all input: no panic, an error or
// a result that can be stated and is always the same, and errors of one type.
func fuzz(f *testing.F, names ...string) {
	for _, file := range slices.Sorted(maps.Keys(files)) {
		if slices.Contains(names, files[file]) {
			f.Add(testdata(f, file))
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, name := range names {
			v, err := readers[name](strings.NewReader(text))
			if err != nil {
				if _, ok := errors.AsType[*provenance.FormatError](err); !ok || v != nil {
					t.Fatalf("%s: %+v, %T %v", name, v, err, err)
				}
				continue
			}
			check(t, v, text)
			if w, err := readers[name](strings.NewReader(text)); err != nil || !reflect.DeepEqual(v, w) {
				t.Fatalf("%s: another result, %v", name, err)
			}
		}
	})
}

func FuzzGoTest(f *testing.F)        { fuzz(f, "GoTest") }
func FuzzJUnit(f *testing.F)         { fuzz(f, "JUnit") }
func FuzzTAP(f *testing.F)           { fuzz(f, "TAP") }
func FuzzGoFuzz(f *testing.F)        { fuzz(f, "GoFuzz") }
func FuzzLibFuzzer(f *testing.F)     { fuzz(f, "LibFuzzer") }
func FuzzZAP(f *testing.F)           { fuzz(f, "ZAP") }
func FuzzSARIF(f *testing.F)         { fuzz(f, "SARIF") }
func FuzzSecrets(f *testing.F)       { fuzz(f, "Gitleaks", "TruffleHog") }
func FuzzVulns(f *testing.F)         { fuzz(f, "OSVScanner", "Grype", "Trivy") }
func FuzzDockerfile(f *testing.F)    { fuzz(f, "Dockerfile") }
func FuzzKubernetes(f *testing.F)    { fuzz(f, "Kubernetes") }
func FuzzTerraform(f *testing.F)     { fuzz(f, "Terraform") }
func FuzzTerraformLock(f *testing.F) { fuzz(f, "TerraformLock") }
