package report

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/hallmark-build/hallmark/verify"
)

var update = flag.Bool("update", false, "rewrite the golden files in testdata")

// The reports of the golden files; a file may also stand alone.
var reports = map[string]func() *verify.Report{
	"pass": passing, "altered": altered,
	"big-pass": func() *verify.Report { return big(true) }, "big-refused": func() *verify.Report { return big(false) },
	"hostile": func() *verify.Report { return filled(nasty) },
	"many":    many,
	"bare":    func() *verify.Report { return &verify.Report{Schema: verify.ReportSchema, At: noon} },
}

// Golden files are txtar archives: report.json is the report (and what JSON
// writes), the other files are named after their renderers.
func TestGolden(t *testing.T) {
	if *update {
		for name, mk := range reports {
			writeGolden(t, filepath.Join("testdata", name+".txtar"), mk())
		}
	}
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) < len(reports) {
		t.Fatalf("found %d golden files, want %d (%v)", len(files), len(reports), err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txtar"), func(t *testing.T) {
			data, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			parts := unpack(string(data))
			var r verify.Report
			if err := json.Unmarshal([]byte(parts["json"]), &r); err != nil {
				t.Fatal(err)
			}
			for _, format := range goldenFormats {
				if diff := cmp.Diff(parts[format], rendered(t, format, &r)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", format, diff)
				}
			}
		})
	}
}

var goldenFormats = []string{"json", "text", "color", "markdown", "sarif", "junit", "mermaid", "dot"}

func rendered(t testing.TB, format string, r *verify.Report) string {
	t.Helper()
	var b bytes.Buffer
	render, o := Renderers()[format], Options{}
	if format == "color" {
		render, o = Text, Options{Color: true}
	}
	if err := render(&b, r, o); err != nil {
		t.Fatal(err)
	}
	if format == "color" {
		return strings.ReplaceAll(b.String(), "\x1b", "ESC")
	}
	return b.String()
}

func writeGolden(t *testing.T, file string, r *verify.Report) {
	t.Helper()
	// What is not UTF-8 does not survive JSON.
	var back verify.Report
	if err := json.Unmarshal([]byte(rendered(t, "json", r)), &back); err != nil {
		t.Fatal(err)
	}
	r = &back
	var b strings.Builder
	for _, f := range goldenFormats {
		fmt.Fprintf(&b, "-- %s --\n%s", f, rendered(t, f, r))
	}
	if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// unpack reads the txtar format.
func unpack(s string) map[string]string {
	out, name := map[string]string{}, ""
	for line := range strings.Lines(s) {
		if n, ok := strings.CutPrefix(line, "-- "); ok && strings.HasSuffix(n, " --\n") {
			name = strings.TrimSuffix(n, " --\n")
			continue
		}
		out[name] += line
	}
	return out
}
