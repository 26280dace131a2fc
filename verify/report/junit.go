package report

import (
	"bytes"
	"fmt"
	"io"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/verify"
)

// JUnit writes a report as JUnit XML, which CI systems show as test results:
// one test suite for the policy, a test case for each stage, and one for the
// verdict as a whole, which fails whenever the artifact was refused. Stages
// that were not examined, or are absent, count as skipped.
func JUnit(w io.Writer, r *verify.Report, _ Options) error {
	return render(w, r, func(b *bytes.Buffer) error {
		shown, more := first(r.Stages, limits.ReportList)
		by := map[string][]*verify.Finding{}
		for i := range r.Findings {
			f := &r.Findings[i]
			by[f.Stage] = append(by[f.Stage], f)
		}
		var cases bytes.Buffer
		failures, skipped := 0, 0
		suite := esc(policyName(r, limits.ReportName))
		for i := range shown {
			s := &shown[i]
			fs := by[s.Name]
			fmt.Fprintf(&cases, "    <testcase classname=\"%s\" name=\"%s\" time=\"0\"", suite, esc(plain(s.Name, limits.ReportName)))
			switch {
			case len(fs) > 0 || s.State == verify.StageFails:
				failures++
				cases.WriteString(">\n")
				failure(&cases, fs, "the stage does not hold")
				cases.WriteString("    </testcase>\n")
			case s.State == verify.StageHolds:
				cases.WriteString("/>\n")
			default:
				skipped++
				fmt.Fprintf(&cases, "><skipped message=\"%s\"/></testcase>\n", esc(stateText(s.State)))
			}
		}
		fmt.Fprintf(&cases, "    <testcase classname=\"%s\" name=\"verdict\" time=\"0\"", suite)
		if r.Passed {
			cases.WriteString("/>\n")
		} else {
			failures++
			cases.WriteString(">\n")
			all := make([]*verify.Finding, len(r.Findings))
			for i := range r.Findings {
				all[i] = &r.Findings[i]
			}
			failure(&cases, all, "the policy does not hold")
			cases.WriteString("    </testcase>\n")
		}
		counts := fmt.Sprintf("tests=\"%d\" failures=\"%d\" errors=\"0\" skipped=\"%d\" time=\"0\"", len(shown)+1, failures, skipped)
		fmt.Fprintf(b, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"hallmark\" tests=\"%d\" failures=\"%d\" errors=\"0\" time=\"0\">\n", len(shown)+1, failures)
		fmt.Fprintf(b, "  <testsuite name=\"%s\" %s timestamp=\"%s\">\n    <properties>\n", suite, counts, r.At.UTC().Format("2006-01-02T15:04:05"))
		artifacts, rest := first(r.Artifacts, limits.ReportList)
		for i := range artifacts {
			fmt.Fprintf(b, "      <property name=\"artifact\" value=\"%s\"/>\n", esc(plain(artifacts[i].Name, limits.ReportName)+" "+plain(mainDigest(artifacts[i].Digest), limits.ReportName)))
		}
		if rest > 0 {
			fmt.Fprintf(b, "      <property name=\"more artifacts\" value=\"%d\"/>\n", rest)
		}
		if more > 0 {
			fmt.Fprintf(b, "      <property name=\"more stages\" value=\"%d\"/>\n", more)
		}
		fmt.Fprintf(b, "      <property name=\"at\" value=\"%s\"/>\n    </properties>\n", instant(r.At))
		b.Write(cases.Bytes())
		b.WriteString("  </testsuite>\n</testsuites>\n")
		return nil
	})
}

// failure writes the failure of a test case: the first finding is its type and
// message, all of them its text.
func failure(b *bytes.Buffer, fs []*verify.Finding, otherwise string) {
	if len(fs) == 0 {
		fmt.Fprintf(b, "      <failure type=\"refused\" message=\"%s\"/>\n", esc(otherwise))
		return
	}
	fmt.Fprintf(b, "      <failure type=\"%s\" message=\"%s\">", esc(plain(string(fs[0].Reason), 40)), esc(plain(sentence(fs[0]), limits.ReportMessage)))
	shown, more := first(fs, 10)
	for _, f := range shown {
		fmt.Fprintf(b, "\n%s: %s\n", esc(plain(string(f.Reason), 40)), esc(plain(f.Message, limits.ReportMessage)))
		for _, l := range []struct{ name, value, stage string }{
			{"file   ", f.File, ""}, {"want   ", f.Want, f.WantStage}, {"got    ", f.Got, f.GotStage}, {"nearest", f.Nearest, ""}, {"mend   ", f.Mend, ""},
		} {
			if l.value == "" {
				continue
			}
			fmt.Fprintf(b, "  %s %s", l.name, esc(plain(l.value, limits.ReportMessage)))
			if l.stage != "" {
				fmt.Fprintf(b, "  @%s", esc(plain(l.stage, 40)))
			}
			b.WriteByte('\n')
		}
	}
	if more > 0 {
		fmt.Fprintf(b, "\nand %d more findings\n", more)
	}
	b.WriteString("</failure>\n")
}
