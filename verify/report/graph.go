package report

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/verify"
)

// A graph is the chain as a picture has it: stages, what was judged, and one
// link for all files that go the same way.
type graph struct {
	nodes []*node
	links []*link
	more  int // stages that are left out

	moreLinks bool // some are left out
}

type node struct {
	stage *verify.ReportStage // nil for the artifacts judged
	name  string
}

type link struct {
	from, to int // indexes of nodes
	about    bool
	broken   bool // a finding says that it does not hold
	hidden   bool // for the layout only; never drawn
	count    int
	names    []string // of the products, some of them
}

// newGraph makes a graph without cycles, whatever the report says.
func newGraph(r *verify.Report) *graph {
	g := &graph{}
	at := map[string]int{}
	for i := range r.Stages {
		s := &r.Stages[i]
		if len(g.nodes) == limits.ReportDrawn {
			g.more = len(r.Stages) - i
			break
		}
		if _, twice := at[s.Name]; !twice && s.Name != "" {
			at[s.Name] = len(g.nodes)
			g.nodes = append(g.nodes, &node{stage: s, name: s.Name})
		}
	}
	artifact := len(g.nodes)
	name := ""
	if len(r.Artifacts) > 0 {
		name = r.Artifacts[0].Name
	}
	g.nodes = append(g.nodes, &node{name: name})
	at[""] = artifact

	type way struct {
		from, to      int
		about, broken bool
	}
	links := map[way]*link{}
	join := func(from, to string, about, broken bool, file string) {
		i, ok1 := at[from]
		j, ok2 := at[to]
		if !ok1 || !ok2 || i == artifact || i == j {
			return
		}
		k := way{i, j, about, broken}
		l := links[k]
		if l == nil {
			l = &link{from: i, to: j, about: about, broken: broken}
			// What would close a circle is no flow.
			if g.reaches(j, i) {
				return
			}
			if len(g.links) == 4*limits.ReportDrawn {
				g.moreLinks = true
				return
			}
			links[k] = l
			g.links = append(g.links, l)
		}
		l.count++
		if len(l.names) < 8 && !slices.Contains(l.names, file) {
			l.names = append(l.names, file)
		}
	}
	for i := range r.Edges {
		e := &r.Edges[i]
		join(e.From, e.To, e.About, false, e.Product)
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		if f.WantStage != "" && f.WantStage != f.GotStage {
			join(f.WantStage, f.GotStage, false, true, f.File)
		}
	}
	return g
}

// reaches reports whether there is a way from i to j.
func (g *graph) reaches(i, j int) bool {
	seen := make([]bool, len(g.nodes))
	var walk func(i int) bool
	walk = func(i int) bool {
		if i == j {
			return true
		}
		seen[i] = true
		for _, l := range g.links {
			if l.from == i && !seen[l.to] && walk(l.to) {
				return true
			}
		}
		return false
	}
	return walk(i)
}

// label says what goes along a link: the file, or how many.
func (l *link) label(most int) string {
	if l.count == 1 && len(l.names) == 1 && l.names[0] != "" {
		s := l.names[0]
		if i := strings.LastIndexByte(s, '/'); len(s) > most && i >= 0 && i < len(s)-1 {
			s = s[i+1:]
		}
		return plain(s, most)
	}
	return count(l.count, "file")
}

// lines are what a node says below its name.
func (n *node) lines(r *verify.Report, most int) []string {
	if n.stage == nil {
		return nil
	}
	var out []string
	if why := broke(r, n.stage); why != "" {
		out = append(out, plain(why, most))
	}
	gs, more := first(groups(n.stage), 1)
	for _, g := range gs {
		times := ""
		if g.count > 1 {
			times = " ×" + itoa(g.count)
		}
		out = append(out, typeName(g.predicateType, most-width(times))+times)
		if who := signerText(g, most-3); who != "" {
			out = append(out, "by "+who)
		}
	}
	if more > 0 {
		out = append(out, "and "+count(more, "other statement"))
	}
	if in := inputText(n.stage, most-2); in != "" {
		out = append(out, "+ "+in)
	}
	if len(out) == 0 {
		out = append(out, stateText(n.stage.State))
	}
	return out
}

// broke is the reason why a stage fails, if a finding says it.
func broke(r *verify.Report, s *verify.ReportStage) string {
	for i := range r.Findings {
		if f := &r.Findings[i]; f.Stage == s.Name && s.State == verify.StageFails {
			return string(f.Reason)
		}
	}
	return ""
}

// artifactsText names what was judged.
func artifactsText(r *verify.Report, most int) string {
	switch len(r.Artifacts) {
	case 0:
		return "no artifact"
	case 1:
		return plain(r.Artifacts[0].Name, most)
	}
	return plain(r.Artifacts[0].Name, most-8) + " and " + itoa(len(r.Artifacts)-1) + " more"
}

// Mermaid writes the chain as a Mermaid flowchart: stages as nodes, one arrow
// for all files that go the same way.
func Mermaid(w io.Writer, r *verify.Report, _ Options) error {
	return render(w, r, func(b *bytes.Buffer) error {
		mermaid(b, r)
		return nil
	})
}

func mermaid(b *bytes.Buffer, r *verify.Report) {
	g := newGraph(r)
	b.WriteString("flowchart LR\n")
	class := map[string][]string{}
	for i, n := range g.nodes {
		id := fmt.Sprintf("n%d", i)
		if n.stage == nil {
			fmt.Fprintf(b, "  %s([\"%s<br/>%s\"])\n", id, mermaidText(artifactsText(r, 48)), verdict(r))
			class[map[bool]string{true: "pass", false: "refused"}[r.Passed]] = append(class[map[bool]string{true: "pass", false: "refused"}[r.Passed]], id)
			continue
		}
		label := stateMark(n.stage.State) + " " + mermaidText(plain(n.name, 40))
		for _, l := range n.lines(r, 40) {
			label += "<br/>" + mermaidText(l)
		}
		fmt.Fprintf(b, "  %s[\"%s\"]\n", id, label)
		c := stateClass(n.stage.State)
		class[c] = append(class[c], id)
	}
	for _, l := range g.links {
		label := mermaidText(l.label(40))
		switch {
		case l.broken:
			fmt.Fprintf(b, "  n%d -. \"✗ %s\" .-x n%d\n", l.from, label, l.to)
		case l.about:
			fmt.Fprintf(b, "  n%d -. \"about %s\" .-> n%d\n", l.from, label, l.to)
		default:
			fmt.Fprintf(b, "  n%d -- \"%s\" --> n%d\n", l.from, label, l.to)
		}
	}
	if g.more > 0 {
		fmt.Fprintf(b, "  more[\"and %s\"]\n", count(g.more, "more stage"))
	}
	for _, c := range []struct{ name, style string }{
		{"holds", "fill:#e6f4ea,stroke:#1a7f37,color:#0b3d1a"},
		{"fails", "fill:#fde8e8,stroke:#c5221f,stroke-width:3px,color:#5c0f0d"},
		{"idle", "fill:#f2f2f2,stroke:#8a8a8a,stroke-dasharray:4 3,color:#444444"},
		{"pass", "fill:#1a7f37,stroke:#1a7f37,color:#ffffff"},
		{"refused", "fill:#c5221f,stroke:#c5221f,color:#ffffff"},
	} {
		if ids := class[c.name]; len(ids) > 0 {
			fmt.Fprintf(b, "  classDef %s %s\n  class %s %s\n", c.name, c.style, strings.Join(ids, ","), c.name)
		}
	}
}

// stateClass is the class of a stage in a picture.
func stateClass(state string) string {
	switch state {
	case verify.StageHolds:
		return "holds"
	case verify.StageFails:
		return "fails"
	}
	return "idle"
}

// mermaidText makes plain text a label. Mermaid reads labels as HTML and as
// Markdown, and knows no escape but its own entities, so what is not a letter
// becomes one; dots, dashes and slashes are let through inside words, where
// they mean nothing.
func mermaidText(s string) string {
	var b strings.Builder
	last := ' '
	for _, r := range s {
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r) || r == ' ' || r == '…' || r == '→':
			b.WriteRune(r)
		case strings.ContainsRune(".-/", r) && unicode.IsLetter(last):
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, "#%d;", r)
		}
		last = r
	}
	return b.String()
}

// DOT writes the chain as a Graphviz graph: stages and inputs as nodes, one
// edge for all files that go the same way.
func DOT(w io.Writer, r *verify.Report, _ Options) error {
	return render(w, r, func(b *bytes.Buffer) error {
		g := newGraph(r)
		b.WriteString("digraph chain {\n")
		fmt.Fprintf(b, "  graph [rankdir=LR, fontname=\"Helvetica\", labelloc=t, label=\"%s  %s\"]\n", verdict(r), dotText(policyName(r, 60)))
		b.WriteString("  node [shape=box, style=\"rounded,filled\", fontname=\"Helvetica\", fontsize=11]\n" +
			"  edge [fontname=\"Helvetica\", fontsize=9]\n")
		for i, n := range g.nodes {
			if n.stage == nil {
				color := "#c5221f"
				if r.Passed {
					color = "#1a7f37"
				}
				fmt.Fprintf(b, "  n%d [shape=note, style=filled, color=\"%s\", fillcolor=\"%s\", fontcolor=\"#ffffff\", label=\"%s\"]\n", i, color, color, dotText(artifactsText(r, 48)))
				continue
			}
			label := stateMark(n.stage.State) + " " + dotText(plain(n.name, 40))
			for _, l := range n.lines(r, 40) {
				if !strings.HasPrefix(l, "+ ") {
					label += `\n` + dotText(l)
				}
			}
			style := `color="#1a7f37", fillcolor="#e6f4ea"`
			switch stateClass(n.stage.State) {
			case "fails":
				style = `color="#c5221f", fillcolor="#fde8e8", penwidth=3`
			case "idle":
				style = `color="#8a8a8a", fillcolor="#f2f2f2", style="rounded,filled,dashed"`
			}
			fmt.Fprintf(b, "  n%d [label=\"%s\", %s]\n", i, label, style)
			ins, more := first(inputs(n.stage), 8)
			for j, in := range ins {
				fmt.Fprintf(b, "  i%d_%d [shape=plaintext, style=\"\", label=\"%s\"]\n  i%d_%d -> n%d [style=dotted, label=\"%s\"]\n",
					i, j, dotText(plain(in.name, 40)), i, j, i, count(in.count, "input"))
			}
			if more > 0 {
				fmt.Fprintf(b, "  i%d_more [shape=plaintext, style=\"\", label=\"and %d more inputs\"]\n  i%d_more -> n%d [style=dotted]\n", i, more, i, i)
			}
		}
		for _, l := range g.links {
			style, label := "", dotText(l.label(40))
			switch {
			case l.broken:
				style, label = `, color="#c5221f", fontcolor="#c5221f", style=dashed, arrowhead=tee`, "✗ "+label
			case l.about:
				style, label = `, style=dashed, arrowhead=empty`, "about "+label
			}
			fmt.Fprintf(b, "  n%d -> n%d [label=\"%s\"%s]\n", l.from, l.to, label, style)
		}
		if g.more > 0 {
			fmt.Fprintf(b, "  more [shape=plaintext, style=\"\", label=\"and %s\"]\n", count(g.more, "more stage"))
		}
		b.WriteString("}\n")
		return nil
	})
}

// dotText makes plain text the inside of a DOT string. Graphviz expands
// backslash escapes and HTML entities in it.
func dotText(s string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, "&quot;", "&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(s)
}
