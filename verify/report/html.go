package report

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"fmt"
	"io"
	"strings"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/verify"
)

//go:embed page.css
var pageCSS string

// How much of a stage the page has.
const (
	pageStatements = 12
	pageSigners    = 8
	pageFindings   = 6 // the others are folded away
)

// HTML writes one self-contained page: the verdict, what broke the chain, the
// chain as a picture, every stage with its statements, signers and inputs, and
// the flows. It has no script, no link and no resource from elsewhere, and a
// content security policy that forbids them. It follows the reader's choice of
// light or dark, and the picture runs from top to bottom on a narrow screen.
func HTML(w io.Writer, r *verify.Report, _ Options) error {
	return render(w, r, func(b *bytes.Buffer) error {
		wide, narrow := newPicture(newGraph(r), false), newPicture(newGraph(r), true)
		// A style attribute would need a hole in the content security policy,
		// so the sizes of the pictures are part of the one style sheet.
		css := pageCSS + fmt.Sprintf("#wide{width:%.0fpx;min-width:%.0fpx}#narrow{width:%.0fpx;min-width:%.0fpx}\n",
			wide.width, wide.width*0.72, narrow.width, min(narrow.width, max(332, narrow.width*0.68)))
		hash := sha256.Sum256([]byte(css))
		verb := strings.ToLower(verdict(r))
		fmt.Fprintf(b, `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'sha256-%s'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="color-scheme" content="light dark">
<title>%s: %s</title>
<style>%s</style>
</head>
<body>
<main>
`, base64.StdEncoding.EncodeToString(hash[:]), verdict(r), esc(artifactsText(r, 80)), css)
		p := &page{b, r}
		p.head(verb)
		p.findings()
		p.chain(wide, narrow)
		p.stages()
		p.flows()
		p.notes()
		b.WriteString("<footer>This page shows a report. It proves nothing by itself: whoever relies on the verdict verifies the evidence.</footer>\n</main>\n</body>\n</html>\n")
		return nil
	})
}

type page struct {
	*bytes.Buffer
	r *verify.Report
}

// name marks up a text that a stranger chose: isolated, so that right-to-left
// letters in it leave its surroundings alone.
func name(s string, most int) string { return "<bdi>" + esc(plain(s, most)) + "</bdi>" }

// code is the same in a fixed-width face, for digests, keys and URIs.
func code(s string, most int) string {
	return "<code>" + esc(plain(s, most)) + "</code>"
}

func (p *page) head(verb string) {
	p.printf("<header class=\"%s\">\n<p class=\"verdict\">%s</p>\n<h1>%s</h1>\n", verb, verdict(p.r), esc(artifactsText(p.r, 100)))
	said := "holds for"
	if !p.r.Passed {
		said = "does not hold for"
	}
	these := "this artifact"
	if len(p.r.Artifacts) > 1 {
		these = fmt.Sprintf("these %d artifacts together", len(p.r.Artifacts))
	}
	p.printf("<p class=\"lead\">The policy <strong>%s</strong> %s %s at <time>%s</time>.</p>\n", name(policyName(p.r, 80), 100), said, these, instant(p.r.At))
	p.printf("<dl class=\"facts\">\n")
	shown, more := first(p.r.Artifacts, 20)
	for i := range shown {
		p.printf("<dt>%s</dt><dd>%s</dd>\n", name(shown[i].Name, 80), code(mainDigest(shown[i].Digest), limits.ReportName))
	}
	if more > 0 {
		p.printf("<dt></dt><dd>and %d more artifacts</dd>\n", more)
	}
	if p.r.Policy.Digest != "" {
		p.printf("<dt class=\"quiet\">policy</dt><dd>%s</dd>\n", code(p.r.Policy.Digest, limits.ReportName))
	}
	p.printf("</dl>\n</header>\n")
}

func (p *page) printf(format string, args ...any) { fmt.Fprintf(p, format, args...) }

func (p *page) findings() {
	if len(p.r.Findings) == 0 {
		return
	}
	p.printf("<section>\n<h2>What broke the chain</h2>\n")
	shown, more := first(p.r.Findings, limits.ReportList)
	for i := range shown {
		f := &shown[i]
		if i == pageFindings && len(shown) > pageFindings+1 {
			p.printf("<details><summary>and %s</summary>\n", count(len(p.r.Findings)-pageFindings, "more finding"))
		}
		p.printf("<article class=\"finding\">\n<h3><code>%s</code>", esc(plain(string(f.Reason), 40)))
		if f.Stage != "" {
			p.printf(" in %s", name(f.Stage, 60))
		}
		p.printf("</h3>\n<p>%s</p>\n", name(sentence(f), limits.ReportMessage))
		row := func(label, stage, value string) {
			if value == "" {
				return
			}
			if stage != "" {
				label += " <span>@" + name(stage, 40) + "</span>"
			}
			p.printf("<dt>%s</dt><dd>%s</dd>\n", label, value)
		}
		opt := func(s string) string {
			if s == "" {
				return ""
			}
			return code(s, 200)
		}
		p.printf("<dl class=\"facts\">\n")
		row("file", "", opt(f.File))
		row("want", f.WantStage, opt(f.Want))
		row("got", f.GotStage, opt(f.Got))
		row("nearest statement", "", opt(f.Nearest))
		p.printf("</dl>\n")
		if f.Mend != "" {
			p.printf("<p class=\"mend\"><strong>To mend it:</strong> %s.</p>\n", name(strings.TrimSuffix(f.Mend, "."), limits.ReportMessage))
		}
		p.printf("</article>\n")
	}
	if more > 0 {
		p.printf("<p>and %d more findings</p>\n", more)
	}
	if len(shown) > pageFindings+1 {
		p.printf("</details>\n")
	}
	p.printf("</section>\n")
}

func (p *page) chain(wide, narrow *picture) {
	p.printf("<section>\n<h2>The chain</h2>\n<div class=\"chain\">\n")
	wide.write(p.Buffer, p.r, "wide")
	narrow.write(p.Buffer, p.r, "narrow")
	p.printf("</div>\n")
	if wide.g.more > 0 {
		p.printf("<p>The picture leaves out %s.</p>\n", count(wide.g.more, "more stage"))
	}
	if wide.g.moreLinks {
		p.printf("<p>The picture leaves out some of the arrows.</p>\n")
	}
	p.printf("</section>\n")
}

func (p *page) stages() {
	p.printf("<section>\n<h2>Stages</h2>\n")
	shown, more := first(p.r.Stages, limits.ReportList)
	for i := range shown {
		p.stage(&shown[i])
	}
	if more > 0 {
		p.printf("<p>and %d more stages</p>\n", more)
	}
	p.printf("</section>\n")
}

func (p *page) stage(s *verify.ReportStage) {
	p.printf("<article class=\"stage %s\">\n<h3><span class=\"mark\">%s</span> %s <small>%s</small></h3>\n",
		stateClass(s.State), stateMark(s.State), name(s.Name, 60), esc(stateText(s.State)))
	shown, more := first(s.Statements, pageStatements)
	for i := range shown {
		st := &shown[i]
		p.printf("<dl class=\"facts\">\n<dt>rests on</dt><dd>%s", name(typeName(st.PredicateType, 80), 80))
		p.printf(" <small>%s, %s</small></dd>\n", count(st.Materials, "material"), count(st.Products, "product"))
		signers, others := first(st.Signers, pageSigners)
		for _, sg := range signers {
			p.printf("<dt>signed by</dt><dd>%s %s", name(sg.Name, 60), code(sg.Principal, 200))
			if !sg.Time.IsZero() {
				p.printf(" <small>%s", instant(sg.Time))
				if sg.TimeSource != "" {
					p.printf(", %s", name(sg.TimeSource, 24))
				}
				p.printf("</small>")
			}
			p.printf("</dd>\n")
		}
		if others > 0 {
			p.printf("<dt></dt><dd>and %d more signers</dd>\n", others)
		}
		p.printf("<dt>statement</dt><dd>%s</dd>\n</dl>\n", code(st.Digest, limits.ReportName))
	}
	if more > 0 {
		p.printf("<p>and %d more statements</p>\n", more)
	}
	if len(s.Inputs) > 0 {
		p.printf("<details><summary>%s from outside: %s</summary>\n<ul>\n", count(len(s.Inputs), "input"), name(inputText(s, 100), 100))
		ins, rest := first(s.Inputs, limits.ReportList)
		for i := range ins {
			p.printf("<li>%s <small>%s</small> %s</li>\n", code(ins[i].Name, limits.ReportName), name(ins[i].Input, 40), code(short(mainDigest(ins[i].Digest)), 60))
		}
		if rest > 0 {
			p.printf("<li>and %d more</li>\n", rest)
		}
		p.printf("</ul></details>\n")
	}
	p.printf("</article>\n")
}

func (p *page) flows() {
	if len(p.r.Edges) == 0 {
		return
	}
	p.printf("<section>\n<h2>Flows</h2>\n<details><summary>%s between the stages, each matched by digest</summary>\n"+
		"<div class=\"scroll\"><table>\n<tr><th>from</th><th>product</th><th>to</th><th>as</th><th>digest</th></tr>\n", count(len(p.r.Edges), "artifact"))
	shown, more := first(p.r.Edges, limits.ReportList)
	for i := range shown {
		e := &shown[i]
		to := name(e.To, 40)
		switch {
		case e.To == "":
			to = "<em>judged</em>"
		case e.About:
			to += " <small>(about it)</small>"
		}
		as := "<small>same name</small>"
		if e.Name != e.Product {
			as = code(e.Name, 80)
		}
		p.printf("<tr><td>%s</td><td>%s</td><td>%s</td><td>%s</td><td>%s</td></tr>\n", name(e.From, 40), code(e.Product, 80), to, as, code(short(e.Digest.String()), 60))
	}
	p.printf("</table></div>\n")
	if more > 0 {
		p.printf("<p>and %d more</p>\n", more)
	}
	p.printf("</details>\n</section>\n")
}

func (p *page) notes() {
	if len(p.r.Notes) == 0 {
		return
	}
	p.printf("<section>\n<h2>Notes</h2>\n<ul>\n")
	shown, more := first(p.r.Notes, limits.ReportList)
	for _, n := range shown {
		p.printf("<li>%s</li>\n", name(n, limits.ReportMessage))
	}
	if more > 0 {
		p.printf("<li>and %d more</li>\n", more)
	}
	p.printf("</ul>\n</section>\n")
}
