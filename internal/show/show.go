// Package show makes text that strangers wrote fit to be shown: on a terminal,
// in Markdown, in JSON and in SARIF, as nothing but text.
package show

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hallmark-build/hallmark/internal/limits"
)

// Plain makes text that prints as what it is, on one line, in at most most
// columns: what does not print is spelled out, and a long text loses its
// middle, because the ends of names tell more.
func Plain(s string, most int) string {
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
		case Visible(r):
			b.WriteString(s[:n])
		default:
			fmt.Fprintf(&b, "\\u{%X}", r)
		}
		hash = r == '#'
		s = s[n:]
	}
	return Cut(b.String(), most)
}

// Visible reports whether a character shows as itself. unicode.IsPrint leaves
// out control and format characters and all spaces but one; what else Unicode
// says to draw as nothing (UAX 44, Default_Ignorable_Code_Point) is left out here.
func Visible(r rune) bool {
	return unicode.IsPrint(r) && !unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// Cut takes the middle out of what is wider than most columns.
func Cut(s string, most int) string {
	if Width(s) <= most {
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

// Width is how many columns of a terminal a text takes.
func Width(s string) int {
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

// Wrap breaks plain text into lines at spaces.
func Wrap(s string, columns int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(s) {
		for runes := []rune(word); Width(word) > columns; word = string(runes) {
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
		case Width(line)+1+Width(word) > columns:
			lines = append(lines, line)
			line = word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}

// Count writes a number and a noun: "1 file", "31 files".
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// First returns at most n elements, and how many are left out. It never leaves
// out just one: the line that says so is as long.
func First[T any](list []T, n int) ([]T, int) {
	if len(list) <= n+1 {
		return list, 0
	}
	return list[:n], len(list) - n
}

// MarkdownText makes text that Markdown leaves alone. Character references are text
// to every construct of CommonMark (section 6.2 of its specification), and
// unlike backslashes they also keep GitHub from seeing links, mentions,
// formulas and emoji.
func MarkdownText(s string, most int) string {
	var b strings.Builder
	for i, r := range strings.TrimLeft(Plain(s, most), " ") {
		switch {
		case i == 0 && r < 0x80 && !isASCIILetter(r), strings.ContainsRune("\\`*_{}[]()<>#|~!@$&+=:^\"", r):
			fmt.Fprintf(&b, "&#%d;", r)
		default:
			b.WriteRune(r)
		}
	}
	// The one link that begins without punctuation of its own.
	return strings.NewReplacer("www.", "www&#46;", "WWW.", "WWW&#46;").Replace(b.String())
}

func isASCIILetter(r rune) bool { return 'a' <= r|0x20 && r|0x20 <= 'z' }

// MarkdownCode makes text in a fixed-width face: a code span if nothing in it could
// end one, else the same in HTML.
func MarkdownCode(s string, most int) string {
	s = Plain(s, most)
	if s == "" {
		return ""
	}
	safe := true
	var b strings.Builder
	for _, r := range s {
		switch {
		case isASCIILetter(r) || '0' <= r && r <= '9' || r == ' ' || r > 0x7f:
			b.WriteRune(r)
		default:
			safe = safe && strings.ContainsRune(".,:/@+-_=%", r)
			fmt.Fprintf(&b, "&#%d;", r)
		}
	}
	if safe && strings.TrimSpace(s) == s {
		return "`" + s + "`"
	}
	return "<code>" + b.String() + "</code>"
}

// SARIFText escapes what SARIF gives a meaning to in a message: links (3.11.6)
// and placeholders (3.11.5).
func SARIFText(s string) string {
	return strings.NewReplacer(`\`, `\\`, "[", `\[`, "]", `\]`, "{", "{{", "}", "}}").Replace(s)
}

// RelativeURI makes a reference to a file of a name (RFC 3986, section 4.2)
// that stays what it is: below some root, and no other scheme or host.
func RelativeURI(s string) string {
	var parts []string
	for _, p := range strings.Split(strings.ReplaceAll(Plain(s, limits.ReportName), `\`, "/"), "/") {
		if p != "" && p != "." && p != ".." {
			parts = append(parts, strings.ReplaceAll(url.PathEscape(p), ":", "%3A"))
		}
	}
	if len(parts) == 0 {
		return "artifact"
	}
	return strings.Join(parts, "/")
}

// JSON writes indented JSON that is safe to look at.
func JSON(b *bytes.Buffer, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	// Outside strings there is only ASCII, and encoding/json has replaced
	// what is not UTF-8.
	hash := false
	for len(data) > 0 {
		r, n := utf8.DecodeRune(data)
		switch {
		case r == '#' && hash:
			b.WriteString(`\u0023`) // see Plain
		case r == '\n' || Visible(r) && r != utf8.RuneError: // which encoding/json writes as \ufffd, or not
			b.Write(data[:n])
		case r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			fmt.Fprintf(b, `\u%04x`, r)
		}
		hash = r == '#'
		data = data[n:]
	}
	b.WriteByte('\n')
	return nil
}
