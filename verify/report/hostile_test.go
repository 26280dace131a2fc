package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/show"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/verify"
)

// nasty has an attack on each format, and a number so that names differ.
func nasty(i int) string {
	return fmt.Sprintf("%d", i) + "<script>alert(1)</script><img src=x onerror=y>\x1b[2J\x1b]0;title\x07\u202egnp.exe\u2066\u200b\u3164\r\n::error::x\n##[error]x ##vso[task]" +
		"`code` ```\n| cell | **b** [l](javascript:x) ![i](http://e/?) @octocat #1 $$x$$ :tada: www.example.org\n# head\n- item\n" +
		"\"] --> n0; click n0 call x() \"; n0 [label=<b>] \\N \\\" ]]> <!-- --> &lt; {0} {{x}} \x00\x7f\u0085\u2028\xff\xfe\U000e0041\ufe0f end"
}

// filled is a refused report with every text made by a function.
func filled(text func(i int) string) *verify.Report {
	n := 0
	s := func() string { n++; return text(n) }
	d := func() provenance.DigestSet { n++; return provenance.DigestSet{digest(fmt.Sprint(n))} }
	r := &verify.Report{Schema: verify.ReportSchema, At: noon, Policy: verify.ReportPolicy{Name: s(), Version: 7, Digest: s()}}
	for range 3 {
		r.Artifacts = append(r.Artifacts, verify.ReportArtifact{Name: s(), Digest: d()})
	}
	for i := range 4 {
		st := verify.ReportStage{Name: s(), State: []string{verify.StageHolds, verify.StageFails, verify.StageNotReached, s()}[i]}
		for range 2 {
			st.Statements = append(st.Statements, verify.ReportStatement{Digest: s(), PredicateType: s(), Products: 2, Materials: 3,
				Signers: []verify.ReportSigner{{Name: s(), Principal: s(), Time: noon, TimeSource: s()}}})
			st.Inputs = append(st.Inputs, verify.ReportInput{Input: s(), Name: s(), Digest: d()})
		}
		r.Stages = append(r.Stages, st)
	}
	r.Stages = append(r.Stages, verify.ReportStage{Name: s(), State: verify.StageFails})
	name := func(i int) string { return r.Stages[i].Name }
	for _, w := range [][2]string{{name(0), name(1)}, {name(1), name(2)}, {name(0), name(2)}, {name(2), ""}, {name(1), name(3)}, {s(), s()}} {
		r.Edges = append(r.Edges, verify.ReportEdge{From: w[0], To: w[1], About: w[1] == name(3), Product: s(), Name: s(), Digest: d()[0]})
	}
	r.Findings = []verify.Finding{
		{Reason: verify.Reason(s()), Stage: name(1), Message: s(), File: s(), Want: s(), WantStage: name(0), Got: s(), GotStage: name(1), Nearest: s(), Mend: s()},
		{Reason: verify.Reason(s()), Stage: s(), Message: s(), File: s(), Want: s(), WantStage: s(), Got: s(), GotStage: s(), Nearest: s(), Mend: s()},
	}
	r.Notes = []string{s(), s()}
	return r
}

// many is more of everything than anybody wants to see.
func many() *verify.Report {
	r := &verify.Report{Schema: verify.ReportSchema, At: noon, Policy: verify.ReportPolicy{Name: "many"}}
	for i := range 60 {
		r.Artifacts = append(r.Artifacts, verify.ReportArtifact{Name: fmt.Sprintf("file%d", i), Digest: provenance.DigestSet{digest(fmt.Sprint(i))}})
		s := verify.ReportStage{Name: fmt.Sprintf("stage%d", i), State: []string{verify.StageHolds, verify.StageHolds, verify.StageNotReached, verify.StageAbsent}[i%4]}
		if i == 50 {
			s.State = verify.StageFails
		}
		for j := range 5 {
			s.Statements = append(s.Statements, statement("https://example.org/kind/"+fmt.Sprint(j%4), j, 1, j, "signer"))
		}
		r.Stages = append(r.Stages, s)
		r.Findings = append(r.Findings, verify.Finding{Reason: []verify.Reason{verify.ReasonUnaccounted, verify.ReasonOrder, verify.ReasonNoFlow}[i%3], Stage: fmt.Sprintf("stage%d", i), Message: "something is wrong"})
		r.Notes = append(r.Notes, fmt.Sprintf("note %d", i))
		if i > 0 {
			r.Edges = append(r.Edges, edge(fmt.Sprintf("stage%d", i-1), fmt.Sprintf("stage%d", i), "x"))
		}
	}
	return r
}

// benign is the same for honest reports: short words, all different.
func benign(i int) string { return fmt.Sprintf("word%d", i) }

var (
	tags      = regexp.MustCompile(`<[^>]*>`)
	ownMarkup = regexp.MustCompile("(?s)```mermaid\n.*?\n```\n|</?code>|</?details>|</?summary>|`[A-Za-z0-9 .,:/@+_=%\u00a0-\U0010ffff-]+`")
	mermaidOK = regexp.MustCompile(`^(flowchart LR|  n\d+(\(\[|\[)"[^"]*"(\]\)|\])|  n\d+ (--|-\.) "[^"]*" (-->|\.->|\.-x) n\d+|  (classDef|class) [a-z0-9,]+ [a-z0-9#:, -]+)$`)
	dotOK     = regexp.MustCompile(`^(digraph chain \{|\}|  (graph|node|edge|[ni][0-9_]+( -> [ni][0-9_]+)?|more) \[([a-z]+=("([^"\\]|\\.)*"|[a-z0-9LR]+)(, )?)*\])$`)
)

// checkSafe holds what must be true of what a renderer writes, whatever the
// report says. want is the report of the same shape with honest texts.
func checkSafe(t *testing.T, format, got, want string) {
	t.Helper()
	if !utf8.ValidString(got) {
		t.Errorf("%s: not UTF-8", format)
	}
	for _, r := range got {
		if r != '\n' && !show.Visible(r) {
			t.Errorf("%s: contains %U", format, r)
			break
		}
	}
	if strings.Contains(got, "##[") || strings.Contains(got, "##vso[") {
		t.Errorf("%s: contains a command for a CI system", format)
	}
	lines := strings.Split(strings.TrimSuffix(got, "\n"), "\n")
	switch format {
	case "json", "sarif":
		if strings.ContainsAny(got, "<>&") || !json.Valid([]byte(got)) {
			t.Errorf("%s: not safe JSON", format)
		}
	case "html":
		// The sizes of pictures, and so their style sheet, are the same too:
		// they depend on the shape alone.
		number := regexp.MustCompile(`[0-9.]+`)
		a, b := tags.FindAllString(got, -1), tags.FindAllString(want, -1)
		for i := range a {
			if i < len(b) && number.ReplaceAllString(a[i], "") != number.ReplaceAllString(b[i], "") {
				t.Fatalf("html: tag %s where an honest report has %s", a[i], b[i])
			}
		}
		if len(a) != len(b) {
			t.Errorf("html: %d tags, an honest report has %d", len(a), len(b))
		}
		if rest := tags.ReplaceAllString(got, ""); strings.ContainsAny(rest[strings.Index(rest, "\n<")+1:], "<") {
			t.Error("html: a stray <")
		}
	case "junit":
		if a, b := elements(t, got), elements(t, want); !slices.Equal(a, b) {
			t.Errorf("junit: elements %v, an honest report has %v", a, b)
		}
	case "markdown":
		rest := ownMarkup.ReplaceAllString(got, "")
		if i := strings.IndexAny(rest, "<>[]@\\`$~"); i >= 0 {
			t.Errorf("markdown: %q is not escaped in %q", rest[i], rest[max(0, i-40):min(len(rest), i+40)])
		}
		if n, m := strings.Count(got, "\n"), strings.Count(want, "\n"); n != m {
			t.Errorf("markdown: %d lines, an honest report has %d", n, m)
		}
		for i, l := range strings.Split(got, "\n") {
			if w := strings.Split(want, "\n"); i < len(w) && strings.Count(l, "|") != strings.Count(w[i], "|") {
				t.Errorf("markdown: another number of cells: %s", l)
			}
		}
	case "mermaid":
		for _, l := range lines {
			if !mermaidOK.MatchString(l) || strings.Contains(strings.NewReplacer("<br/>", "").Replace(l), "<") {
				t.Errorf("mermaid: %s", l)
			}
		}
	case "dot":
		for _, l := range lines {
			if !dotOK.MatchString(l) || strings.Contains(l, "<") {
				t.Errorf("dot: %s", l)
			}
		}
	case "text":
		if len(lines) > 48 {
			t.Errorf("text: %d lines", len(lines))
		}
		for _, l := range lines {
			if width(l) > 240 || strings.HasPrefix(strings.TrimSpace(l), "::") {
				t.Errorf("text: %s", l)
			}
		}
	}
}

// elements lists the elements of an XML document and their attributes' names.
func elements(t *testing.T, doc string) []string {
	t.Helper()
	var out []string
	d := xml.NewDecoder(strings.NewReader(doc))
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, doc)
		}
		if e, ok := tok.(xml.StartElement); ok {
			s := e.Name.Local
			for _, a := range e.Attr {
				s += " " + a.Name.Local
			}
			out = append(out, s)
		}
	}
}

func TestEdge41_HostileNames(t *testing.T) {
	for name, text := range map[string]func(int) string{
		"everything":  nasty,
		"long":        func(i int) string { return fmt.Sprint(i) + strings.Repeat("<\x1b", 1<<13) },
		"long prose":  func(i int) string { return fmt.Sprint(i) + strings.Repeat(" ::error:: \u202e", 1<<11) },
		"wide":        func(i int) string { return fmt.Sprint(i) + strings.Repeat("漢字", 500) },
		"path":        func(i int) string { return fmt.Sprint(i) + "/../../../etc/passwd" },
		"uri":         func(i int) string { return "javascript://" + fmt.Sprint(i) },
		"block start": func(i int) string { return fmt.Sprintf("%d. - # > ```", i) },
		"entities":    func(i int) string { return fmt.Sprintf("&amp;#60;%d&#x3c;script&#62; #60; %%3c \\u003c", i) },
		"known type":  func(i int) string { return fmt.Sprintf("SLSA provenance v1%d", i) },
	} {
		t.Run(name, func(t *testing.T) {
			for format := range Renderers() {
				checkSafe(t, format, rendered(t, format, filled(text)), rendered(t, format, filled(benign)))
			}
		})
	}
}

func FuzzRenderers(f *testing.F) {
	f.Add("a", "b")
	f.Add(nasty(1), "x")
	f.Add("\"><", "`|[")
	f.Add("##[", "::x")
	f.Add("http://a/b/c", "1.2.3")
	f.Fuzz(func(t *testing.T, a, b string) {
		text := func(i int) string {
			if i%2 == 0 {
				return fmt.Sprint(a, i)
			}
			return fmt.Sprint(b, i)
		}
		honest := filled(benign)
		r := filled(text)
		for format := range Renderers() {
			checkSafe(t, format, rendered(t, format, r), rendered(t, format, honest))
		}
		var back verify.Report
		if err := json.Unmarshal([]byte(rendered(t, "json", r)), &back); err != nil {
			t.Fatal(err)
		}
		if utf8.ValidString(a) && utf8.ValidString(b) && back.Findings[0].Message != r.Findings[0].Message {
			t.Error("JSON changed a message")
		}
	})
}

func TestEdge41_OutputIsBounded(t *testing.T) {
	r := many()
	long := strings.Repeat("x\u202e", 1<<14)
	for i := range 3000 {
		r.Findings = append(r.Findings, verify.Finding{Reason: verify.Reason(long), Message: long, File: long, Mend: long})
		r.Notes = append(r.Notes, long)
		r.Stages[i%60].Inputs = append(r.Stages[i%60].Inputs, verify.ReportInput{Input: long, Name: long})
		r.Stages[i%60].Statements = append(r.Stages[i%60].Statements, verify.ReportStatement{PredicateType: long, Signers: slices.Repeat([]verify.ReportSigner{{Name: long, Principal: long, Time: noon}}, 50)})
		r.Edges = append(r.Edges, edge(fmt.Sprintf("stage%d", i%48), fmt.Sprintf("stage%d", i*7%48), long))
	}
	for format := range Renderers() {
		if format == "json" {
			continue
		}
		start := time.Now()
		n := len(rendered(t, format, r))
		t.Logf("%s: %d bytes in %v", format, n, time.Since(start))
		if most := map[string]int{"text": 20_000}[format]; n > max(most, 4<<20) || most > 0 && n > most {
			t.Errorf("%s: %d bytes", format, n)
		}
	}
}

func TestContradiction(t *testing.T) {
	for name, change := range map[string]func(r *verify.Report){
		"finding":   func(r *verify.Report) { r.Findings = []verify.Finding{{Reason: verify.ReasonOrder}} },
		"fails":     func(r *verify.Report) { r.Stages[1].State = verify.StageFails },
		"unreached": func(r *verify.Report) { r.Stages[1].State = verify.StageNotReached },
		"no state":  func(r *verify.Report) { r.Stages[1].State = "" },
	} {
		for format, render := range Renderers() {
			r := passing()
			change(r)
			var b bytes.Buffer
			if err := render(&b, r, Options{}); err == nil || b.Len() > 0 {
				t.Errorf("%s: %s shows a pass that is none (%v)", name, format, err)
			}
		}
	}
	for format, render := range Renderers() {
		if err := render(io.Discard, nil, Options{}); err == nil {
			t.Errorf("%s: renders nothing", format)
		}
	}
}

// A refusal reads as one in every format, even if nobody says why.
func TestRefusalWithoutFindings(t *testing.T) {
	r := &verify.Report{Schema: verify.ReportSchema, At: noon}
	for format, sign := range map[string]string{"text": "REFUSED", "markdown": "REFUSED", "html": "REFUSED", "mermaid": "REFUSED", "dot": "REFUSED",
		"json": `"passed": false`, "sarif": `"level": "error"`, "junit": "<failure "} {
		if got := rendered(t, format, r); !strings.Contains(got, sign) {
			t.Errorf("%s lacks %q:\n%s", format, sign, got)
		}
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestWriteError(t *testing.T) {
	for format, render := range Renderers() {
		if err := render(failing{}, passing(), Options{}); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("%s: got %v", format, err)
		}
	}
}

// Renderers read only.
func TestReportIsNotChanged(t *testing.T) {
	for _, mk := range reports {
		r := mk()
		before := fmt.Sprintf("%#v", r)
		for format := range Renderers() {
			rendered(t, format, r)
		}
		if fmt.Sprintf("%#v", r) != before {
			t.Error("a renderer changed the report")
		}
	}
}

// Pictures of any graph: boxes stand apart and inside, and links run forward.
func TestLayout(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		r := &verify.Report{At: noon}
		n := 1 + rng.IntN(limits.ReportDrawn+4)
		for i := range n {
			r.Stages = append(r.Stages, verify.ReportStage{Name: fmt.Sprint("s", i)})
		}
		for range rng.IntN(3 * n) {
			e := edge(fmt.Sprint("s", rng.IntN(n)), fmt.Sprint("s", rng.IntN(n+1)), "x") // circles, too
			if rng.IntN(5) == 0 {
				e.To = ""
			}
			r.Edges = append(r.Edges, e)
		}
		for _, down := range []bool{false, true} {
			p := newPicture(newGraph(r), down)
			for _, rt := range p.routes {
				for i := 1; i < len(rt.spots); i++ {
					if !rt.link.hidden && rt.spots[i].layer != rt.spots[i-1].layer+1 {
						t.Fatalf("link from layer %d to %d", rt.spots[i-1].layer, rt.spots[i].layer)
					}
				}
			}
			high := p.height
			if down {
				high = p.width
			}
			for _, l := range p.layers {
				boxes := 0
				for i, s := range l {
					if s.node >= 0 {
						boxes++
					}
					if s.at-s.size/2 < margin-0.1 || s.at+s.size/2 > high-margin+0.1 {
						t.Fatalf("a box at %.1f is outside of %.1f", s.at, high)
					}
					if i > 0 && s.at-l[i-1].at < (s.size+l[i-1].size)/2+gapBeside-0.1 {
						t.Fatal("boxes overlap")
					}
				}
				if down && boxes > narrowMost {
					t.Fatalf("%d boxes in one layer of a narrow picture", boxes)
				}
			}
		}
	}
}

func TestShort(t *testing.T) {
	d := digest("x")
	if got := short(d.String()); got != d.Short() {
		t.Errorf("got %s, want %s", got, d.Short())
	}
	for in, want := range map[string]string{
		"abc": "abc", "": "", "a\nb": `a\u{A}b`, "é\u0301": "é\u0301", "漢字": "漢字", "a\xffb": `a\xffb`, "##[x": `#\u{23}[x`, "a#b": "a#b", "\u00a0": `\u{A0}`,
	} {
		if got := plain(in, 40); got != want {
			t.Errorf("plain(%q) = %q, want %q", in, got, want)
		}
	}
	if got := plain("abcdefghij", 5); got != "ab…ij" || width(got) != 5 {
		t.Errorf("got %q", got)
	}
	for _, most := range []int{1, 2, 10} {
		if got := plain(strings.Repeat("漢", 50), most); width(got) > most {
			t.Errorf("%q is wider than %d", got, most)
		}
	}
}

// The page allows itself one style sheet and nothing else.
func TestPageLocksItself(t *testing.T) {
	for name, mk := range reports {
		page := rendered(t, "html", mk())
		_, rest, ok1 := strings.Cut(page, "<style>")
		css, _, ok2 := strings.Cut(rest, "</style>")
		hash := sha256.Sum256([]byte(css))
		policy := `content="default-src 'none'; style-src 'sha256-` + base64.StdEncoding.EncodeToString(hash[:]) + `'; base-uri 'none'; form-action 'none'">`
		if !ok1 || !ok2 || !strings.Contains(page, policy) {
			t.Errorf("%s: the content security policy does not fit the style sheet", name)
		}
		for _, tag := range tags.FindAllString(page, -1) {
			for _, bad := range []string{"<script", "<link", "<img", "<iframe", "<a ", "<form", "<object", " style=", " href=", " src=", " on"} {
				if strings.Contains(tag, bad) {
					t.Errorf("%s: %s", name, tag)
				}
			}
		}
		if strings.Contains(css, "url(") || strings.Contains(css, "@import") {
			t.Errorf("%s: the style sheet loads something", name)
		}
		for _, el := range []string{"main", "section", "article", "details", "dl", "svg", "bdi", "ul", "table"} {
			open := regexp.MustCompile("<" + el + "[ >]")
			if n, m := len(open.FindAllString(page, -1)), strings.Count(page, "</"+el+">"); n != m {
				t.Errorf("%s: %d <%s>, %d </%s>", name, n, el, m, el)
			}
		}
	}
}

// No report of a usual size takes more than a screen.
func TestTextFitsAScreen(t *testing.T) {
	for name, mk := range reports {
		text := rendered(t, "text", mk())
		if n := strings.Count(text, "\n"); n > 42 && name != "hostile" { // checkSafe bounds that
			t.Errorf("%s: %d lines", name, n)
		}
		for line := range strings.Lines(text) {
			if n := width(strings.TrimSpace(line)); n > 120 && name != "hostile" {
				t.Errorf("%s: %d columns: %s", name, n, line)
			}
		}
		if color := rendered(t, "color", mk()); regexp.MustCompile(`ESC\[[0-9;]*m`).ReplaceAllString(color, "") != text {
			t.Errorf("%s: colours change the text", name)
		}
	}
}

func BenchmarkRender(b *testing.B) {
	r := big(false)
	for format, render := range Renderers() {
		b.Run(format, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := render(io.Discard, r, Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
