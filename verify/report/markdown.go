package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/show"
	"github.com/hallmark-build/hallmark/verify"
)

// How much of a chain a summary has: CI systems cut off long ones.
const (
	summaryStages   = 60
	summaryFindings = 20
)

// Markdown writes a report as GitHub Flavored Markdown, as the summary of a CI
// step: verdict, what broke the chain, artifacts, stages, and the chain as a
// Mermaid picture, which GitHub and GitLab draw.
func Markdown(w io.Writer, r *verify.Report, _ Options) error {
	return render(w, r, func(b *bytes.Buffer) error {
		p := func(format string, args ...any) { fmt.Fprintf(b, format, args...) }
		mark, holds := "✅", "holds"
		if !r.Passed {
			mark, holds = "❌", "does not hold"
		}
		p("## %s %s %s\n\n", mark, verdict(r), mdText(artifactsText(r, 100), 100))
		p("The policy **%s** %s at %s.\n", mdText(policyName(r, 80), 100), holds, mdCode(instant(r.At), 40))

		found, more := first(r.Findings, summaryFindings)
		for i := range found {
			f := &found[i]
			p("\n### %s", mdCode(string(f.Reason), 40))
			if f.Stage != "" {
				p(" in %s", mdText(f.Stage, 60))
			}
			p("\n\n%s\n\n", mdText(sentence(f), limits.ReportMessage))
			rows := 0
			row := func(name, value, stage string) {
				if value == "" {
					return
				}
				if rows++; rows == 1 {
					p("| | | |\n|---|---|---|\n")
				}
				if stage != "" {
					stage = "&#64;" + mdText(stage, 40)
				}
				p("| %s | %s | %s |\n", name, mdCode(value, limits.ReportName), stage)
			}
			row("file", f.File, "")
			row("want", f.Want, f.WantStage)
			row("got", f.Got, f.GotStage)
			row("nearest statement", f.Nearest, "")
			if f.Mend != "" {
				p("\n**To mend it:** %s.\n", mdText(strings.TrimSuffix(f.Mend, "."), limits.ReportMessage))
			}
		}
		if more > 0 {
			p("\nand %d more findings\n", more)
		}

		if len(r.Artifacts) > 0 {
			p("\n| artifact | digest |\n|---|---|\n")
			shown, more := first(r.Artifacts, 20)
			for i := range shown {
				p("| %s | %s |\n", mdCode(shown[i].Name, 80), mdCode(mainDigest(shown[i].Digest), limits.ReportName))
			}
			if more > 0 {
				p("| and %d more | |\n", more)
			}
		}

		if len(r.Stages) > 0 {
			p("\n| | stage | rests on | signed by | time | files | from outside |\n|---|---|---|---|---|---|---|\n")
			shown, more := first(r.Stages, summaryStages)
			for i := range shown {
				s := &shown[i]
				gs, others := first(groups(s), textGroups)
				if len(gs) == 0 {
					state := stateText(s.State)
					if why := broke(r, s); why != "" {
						state += ": " + why
					}
					p("| %s | %s | *%s* | | | | |\n", stateMark(s.State), mdText(s.Name, 40), mdText(state, 80))
				}
				for j, g := range gs {
					mark, name, in := stateMark(s.State), mdText(s.Name, 40), mdText(inputText(s, 60), 60)
					if j > 0 {
						mark, name, in = "", "", ""
					}
					typ := mdText(typeName(g.predicateType, 60), 60)
					if g.count > 1 {
						typ += " ×" + itoa(g.count)
					}
					if j == len(gs)-1 && others > 0 {
						typ += fmt.Sprintf(", and %d more kinds", others)
					}
					p("| %s | %s | %s | %s | %s | %s | %s |\n", mark, name, typ, mdText(signerText(g, 60), 60), mdText(timeText(g), 40), usedMade(g), in)
				}
			}
			if more > 0 {
				p("| | and %d more stages | | | | | |\n", more)
			}
			p("\n<details><summary>The chain as a picture</summary>\n\n```mermaid\n")
			mermaid(b, r)
			p("```\n\n</details>\n")
		}
		if len(r.Notes) > 0 {
			p("\n")
			shown, more := first(r.Notes, 20)
			for _, n := range shown {
				p("- %s\n", mdText(n, limits.ReportMessage))
			}
			if more > 0 {
				p("- and %d more notes\n", more)
			}
		}
		return nil
	})
}

func mdText(s string, most int) string { return show.MarkdownText(s, most) }

func mdCode(s string, most int) string { return show.MarkdownCode(s, most) }
