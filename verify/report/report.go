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
	"unicode"
	"unicode/utf8"

	"github.com/hallmark-build/hallmark/internal/limits"
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

// plain makes text that prints as what it is, on one line, in at most most
// columns: what does not print is spelled out, and a long text loses its
// middle, because the ends of names tell more.
func plain(s string, most int) string {
	// Spelling out takes up to ten bytes for one, so cut before as well.
	if len(s) > 8*most {
		s = s[:4*most] + "…" + s[len(s)-4*most:]
	}
	var b strings.Builder
	hash := false
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, "\\x%02x", s[0])
		case r == '#' && hash:
			// CI systems take "##[…]" and "##vso[…]" anywhere in a log for a
			// command to themselves.
			b.WriteString(`\u{23}`)
		case visible(r):
			b.WriteString(s[:n])
		default:
			fmt.Fprintf(&b, "\\u{%X}", r)
		}
		hash = r == '#'
		s = s[n:]
	}
	return cut(b.String(), most)
}

// visible reports whether a character shows as itself. unicode.IsPrint leaves
// out control and format characters and all spaces but one; what else Unicode
// says to draw as nothing (UAX 44, Default_Ignorable_Code_Point) is left out here.
func visible(r rune) bool {
	return unicode.IsPrint(r) && !unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// cut takes the middle out of what is wider than most columns.
func cut(s string, most int) string {
	if width(s) <= most {
		return s
	}
	runes := []rune(s)
	head, tail := 0, len(runes)
	before, after := 0, 0 // columns on either side of the gap
	for head < tail {
		// The end gets two thirds: files of one tree differ at the end.
		if 2*before <= after {
			if before += runeWidth(runes[head]); before+after+1 > most {
				break
			}
			head++
		} else {
			if after += runeWidth(runes[tail-1]); before+after+1 > most {
				break
			}
			tail--
		}
	}
	return string(runes[:head]) + "…" + string(runes[tail:])
}

// width is how many columns of a terminal a text takes.
func width(s string) int {
	n := 0
	for _, r := range s {
		n += runeWidth(r)
	}
	return n
}

// runeWidth approximates East Asian Width (UAX 11): the blocks of wide
// characters are what matters for a table.
func runeWidth(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me):
		return 0
	case r < 0x1100:
		return 1
	case r <= 0x115f, 0x2e80 <= r && r <= 0xa4cf, 0xac00 <= r && r <= 0xd7a3, 0xf900 <= r && r <= 0xfaff,
		0xfe30 <= r && r <= 0xfe6f, 0xff00 <= r && r <= 0xff60, 0xffe0 <= r && r <= 0xffe6,
		0x1f300 <= r && r <= 0x1faff, 0x20000 <= r && r <= 0x3fffd:
		return 2
	}
	return 1
}

// pad fills a text up with spaces.
func pad(s string, columns int) string {
	return s + strings.Repeat(" ", max(0, columns-width(s)))
}

// wrap breaks plain text into lines at spaces.
func wrap(s string, columns int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(s) {
		for runes := []rune(word); width(word) > columns; word = string(runes) {
			// No line is longer than was asked, whatever somebody names a file.
			n, w := 0, 0
			for n < len(runes) && w+runeWidth(runes[n]) <= columns {
				w += runeWidth(runes[n])
				n++
			}
			if line != "" {
				lines, line = append(lines, line), ""
			}
			lines = append(lines, string(runes[:n]))
			runes = runes[n:]
		}
		switch {
		case line == "":
			line = word
		case width(line)+1+width(word) > columns:
			lines = append(lines, line)
			line = word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}

// count writes a number and a noun: "1 file", "31 files".
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

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

// first returns at most n elements, and how many are left out. It never leaves
// out just one: the line that says so is as long.
func first[T any](list []T, n int) ([]T, int) {
	if len(list) <= n+1 {
		return list, 0
	}
	return list[:n], len(list) - n
}
