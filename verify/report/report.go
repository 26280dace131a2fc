// Package report shows a [verify.Report] to people and machines: as text for a
// terminal, JSON, Markdown, a self-contained HTML page, SARIF, JUnit, Mermaid
// and DOT.
//
//	proof, err := verifier.Verify(ctx, request)
//	var refused *verify.RefusedError
//	rep := proof.Report()
//	if errors.As(err, &refused) {
//		rep = refused.Report
//	}
//	err = report.Text(os.Stdout, rep, report.Options{})
//
// A program that lets its user choose looks the name up in [Renderers].
//
// A report is not a proof, and much of what it holds is what strangers wrote:
// names of files, URIs, messages. Renderers show every such text so that it is
// nothing but text where it lands: characters that do not print (control
// characters, escape sequences, line breaks, bidirectional overrides, invisible
// ones) appear as "\u{202E}", and what the format gives a meaning to is escaped.
// Long names lose their middle to "…", and long lists their end to a count; so
// the size of the output is bounded. [JSON] alone leaves nothing out: it is the
// report itself, with the same characters escaped as JSON does.
//
// A report that contradicts itself (passed, and yet with findings) is not
// rendered. The same report gives the same bytes. Nothing is read but the
// report, and nothing is written before all of it is made.
package report

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/show"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/verify"
)

// Options say how to render. The zero value is plain.
type Options struct {
	// Color lets [Text] use ANSI colours. They underline what the words say
	// and carry nothing that the words do not. Other renderers ignore it.
	Color bool
}

// A Renderer writes a report in one format. It fails if w does, and if the
// report is nil or contradicts itself; then nothing was written.
type Renderer func(w io.Writer, r *verify.Report, o Options) error

// Renderers returns all renderers by the names that users know them by: text,
// json, markdown, html, sarif, junit, mermaid, dot. The map is the caller's.
func Renderers() map[string]Renderer {
	return map[string]Renderer{
		"text": Text, "json": JSON, "markdown": Markdown, "html": HTML,
		"sarif": SARIF, "junit": JUnit, "mermaid": Mermaid, "dot": DOT,
	}
}

// render checks a report, has it rendered, and writes the result at once.
func render(w io.Writer, r *verify.Report, f func(b *bytes.Buffer) error) error {
	if err := check(r); err != nil {
		return err
	}
	var b bytes.Buffer
	if err := f(&b); err != nil {
		return err
	}
	_, err := w.Write(b.Bytes())
	return err
}

// check refuses to show a pass that is none: anybody can write a report, and a
// reader trusts its first word.
func check(r *verify.Report) error {
	if r == nil {
		return errors.New("report: want a report, found nil")
	}
	if !r.Passed {
		return nil
	}
	if len(r.Findings) > 0 {
		return fmt.Errorf("report: it contradicts itself: passed, with %s", count(len(r.Findings), "finding"))
	}
	for i := range r.Stages {
		if s := &r.Stages[i]; s.State != verify.StageHolds && s.State != verify.StageAbsent {
			return fmt.Errorf("report: it contradicts itself: passed, and stage %s is in state %q", plain(s.Name, limits.ReportName), plain(s.State, limits.ReportName))
		}
	}
	return nil
}

// verdict is the first word of every rendering.
func verdict(r *verify.Report) string {
	if r.Passed {
		return "PASS"
	}
	return "REFUSED"
}

func plain(s string, most int) string { return show.Plain(s, most) }

func cut(s string, most int) string { return show.Cut(s, most) }

func width(s string) int { return show.Width(s) }

// pad fills a text up with spaces.
func pad(s string, columns int) string {
	return s + strings.Repeat(" ", max(0, columns-width(s)))
}

func wrap(s string, columns int) []string { return show.Wrap(s, columns) }

func count(n int, noun string) string { return show.Count(n, noun) }

// mainDigest returns the digest that people know an artifact by.
func mainDigest(s provenance.DigestSet) string {
	if d := s.Get("sha256"); !d.IsZero() {
		return d.String()
	}
	if len(s) > 0 {
		return s[0].String()
	}
	return ""
}

// short cuts the value of a digest, "sha256:0123456789ab", as
// [provenance.Digest.Short] does.
func short(digest string) string {
	algorithm, value, ok := strings.Cut(digest, ":")
	if !ok {
		algorithm, value = "", digest
	} else {
		algorithm += ":"
	}
	if len(value) > 12 {
		value = value[:12]
	}
	return plain(algorithm+value, 40)
}

func first[T any](list []T, n int) ([]T, int) { return show.First(list, n) }
