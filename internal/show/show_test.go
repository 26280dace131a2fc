package show

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// Whatever goes in, what comes out is one line of visible text within its
// bounds, and no construct of the format that it lands in.
func FuzzShow(f *testing.F) {
	for _, s := range []string{"", "a/b", "x\x1b[31m", "##[group]", "::error::", "<b>|`c` [d](e) @f {0}", "\u202e", "\xff\xfe", strings.Repeat("長い", 200), "www.example.com", "../../etc/passwd", "a:b?c#d"} {
		f.Add(s, 40)
	}
	f.Fuzz(func(t *testing.T, s string, most int) {
		most = 10 + max(0, most)%200
		p := Plain(s, most)
		if Width(p) > most || !utf8.ValidString(p) || strings.Contains(p, "##") {
			t.Errorf("Plain(%q, %d) = %q", s, most, p)
		}
		for _, r := range p {
			if !Visible(r) {
				t.Errorf("Plain(%q) has %U", s, r)
			}
		}
		if m := MarkdownText(s, most); strings.ContainsAny(m, "<>|`[]@*\n") {
			t.Errorf("MarkdownText(%q) = %q", s, m)
		}
		if m := MarkdownCode(s, most); strings.ContainsAny(m, "|\n") || strings.Count(m, "`") > 2 {
			t.Errorf("MarkdownCode(%q) = %q", s, m)
		}
		if u := RelativeURI(s); strings.ContainsAny(u, ":?#\\ \n") || strings.HasPrefix(u, "/") || u == "" {
			t.Errorf("RelativeURI(%q) = %q", s, u)
		}
		for _, l := range Wrap(p, 20) {
			if Width(l) > 20 {
				t.Errorf("Wrap: %q", l)
			}
		}
		var b bytes.Buffer
		if err := JSON(&b, s); err != nil {
			t.Fatal(err)
		}
		var back string
		if err := json.Unmarshal(b.Bytes(), &back); err != nil || back != strings.ToValidUTF8(s, "\ufffd") && utf8.ValidString(s) {
			t.Errorf("JSON(%q) = %s: %q, %v", s, b.Bytes(), back, err)
		}
	})
}
