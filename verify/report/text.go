package report

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/verify"
)

// What of a long report a terminal shows.
const (
	textArtifacts = 4
	textStages    = 16
	textGroups    = 3 // kinds of statement for one stage
	textFindings  = 2
	textNotes     = 3
	textColumns   = 96 // where sentences are broken
)

// Text writes a report for a terminal of 80 to 120 columns: the verdict, the
// artifacts, one line for each stage and kind of statement, what broke the
// chain, and notes. A screenful at most: what is too much is counted.
func Text(w io.Writer, r *verify.Report, o Options) error {
	return render(w, r, func(b *bytes.Buffer) error {
		t := &text{Buffer: b, r: r, color: o.Color}
		t.head()
		t.stages()
		t.findings()
		t.notes()
		return nil
	})
}

type text struct {
	*bytes.Buffer
	r     *verify.Report
	color bool
}

func (t *text) paint(sgr, s string) string {
	if !t.color || s == "" {
		return s
	}
	return "\x1b[" + sgr + "m" + s + "\x1b[0m"
}

func (t *text) bold(s string) string  { return t.paint("1", s) }
func (t *text) dim(s string) string   { return t.paint("2", s) }
func (t *text) red(s string) string   { return t.paint("1;31", s) }
func (t *text) green(s string) string { return t.paint("1;32", s) }

func (t *text) line(format string, args ...any) {
	l := strings.TrimRight(fmt.Sprintf(format, args...), " ")
	// GitHub's runner takes a line that begins with "::" for a command to
	// itself, indented or not.
	if rest := strings.TrimLeft(l, " "); strings.HasPrefix(rest, "::") {
		l = l[:len(l)-len(rest)] + `:\u{3A}` + rest[2:]
	}
	t.WriteString(l)
	t.WriteByte('\n')
}

func (t *text) head() {
	mark := t.green(verdict(t.r))
	if !t.r.Passed {
		mark = t.red(verdict(t.r))
	}
	t.line("%s  %s  %s", mark, t.bold(policyName(t.r, 60)), t.dim("at "+instant(t.r.At)))
	shown, more := first(t.r.Artifacts, textArtifacts)
	if len(shown) > 0 {
		t.line("")
	}
	var names []string
	for i := range shown {
		names = append(names, plain(shown[i].Name, 48))
	}
	w := widest(names)
	for i := range shown {
		t.line("  %s  %s", pad(names[i], w), t.dim(short(mainDigest(shown[i].Digest))))
	}
	if more > 0 {
		t.line("  and %d more artifacts", more)
	}
}

// policyName is the name and version of the policy.
func policyName(r *verify.Report, most int) string {
	n := plain(r.Policy.Name, most)
	if n == "" {
		n = "(policy without a name)"
	}
	if r.Policy.Version != 0 {
		n += fmt.Sprintf(" v%d", r.Policy.Version)
	}
	return n
}

func instant(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func itoa(n int) string { return strconv.Itoa(n) }

func widest(list []string) int {
	n := 0
	for _, s := range list {
		n = max(n, width(s))
	}
	return n
}

// states are the mark and the words for each state of a stage.
func stateMark(state string) string {
	switch state {
	case verify.StageHolds:
		return "✓"
	case verify.StageFails:
		return "✗"
	case verify.StageAbsent:
		return "-"
	}
	return "·"
}

func stateText(state string) string {
	switch state {
	case verify.StageHolds:
		return "holds"
	case verify.StageFails:
		return "fails"
	case verify.StageAbsent:
		return "absent, and it is optional"
	case verify.StageNotReached:
		return "not examined"
	}
	return plain(state, 24)
}

// timeText says when a group was signed and who says so.
func timeText(g *group) string {
	if g.last.Time.IsZero() {
		return ""
	}
	s := g.last.Time.UTC().Format("2006-01-02 15:04")
	if g.last.TimeSource != "" {
		s += " " + plain(g.last.TimeSource, 10)
	}
	return s
}

// usedMade is how many materials went in and how many products came out.
func usedMade(g *group) string {
	if g.materials == 0 {
		return fmt.Sprintf("→ %d", g.products)
	}
	return fmt.Sprintf("%d → %d", g.materials, g.products)
}

func (t *text) stages() {
	if len(t.r.Stages) == 0 {
		return
	}
	// Of too many stages, those that fail are shown whatever else is.
	list, hidden := t.r.Stages, map[string]int{}
	if len(list) > textStages+1 {
		list = nil
		room := textStages
		for i := range t.r.Stages {
			if t.r.Stages[i].State == verify.StageFails {
				room--
			}
		}
		for i := range t.r.Stages {
			s := &t.r.Stages[i]
			fails := s.State == verify.StageFails
			if fails && len(list) < textStages || !fails && room > 0 {
				list = append(list, *s)
				if !fails {
					room--
				}
				continue
			}
			hidden[stateText(s.State)]++
		}
	}

	head := []string{"STAGE", "RESTS ON", "SIGNED BY", "TIME", "FILES", "FROM OUTSIDE"}
	var rows [][]string
	var states []string
	for i := range list {
		s := &list[i]
		gs, more := first(groups(s), textGroups)
		if len(list) > textStages/2 && len(gs) > 1 {
			more += len(gs) - 1
			gs = gs[:1]
		}
		name := plain(s.Name, 20)
		if len(gs) == 0 {
			state := stateText(s.State)
			if why := broke(t.r, s); why != "" {
				state += ": " + plain(why, 40)
			}
			rows = append(rows, []string{name, state})
			states = append(states, s.State)
			continue
		}
		for j, g := range gs {
			typ := typeName(g.predicateType, 24)
			if g.count > 1 {
				typ += " ×" + itoa(g.count)
			}
			if j == len(gs)-1 && more > 0 {
				typ += " +" + itoa(more)
			}
			in := ""
			if j == 0 {
				in = inputText(s, 28)
			}
			rows = append(rows, []string{name, typ, signerText(g, 28), timeText(g), usedMade(g), in})
			states = append(states, s.State)
			name = ""
		}
	}
	var columns []int
	for c := range head {
		var cells []string
		for _, r := range rows {
			if len(r) == len(head) || c == 0 {
				cells = append(cells, r[c])
			}
		}
		n := widest(cells)
		if n > 0 {
			n = max(n, width(head[c]))
		}
		columns = append(columns, n)
	}
	cells := func(r []string) string {
		var b strings.Builder
		for c, s := range r {
			if columns[c] > 0 || len(r) < len(head) {
				b.WriteString(pad(s, columns[c]) + "  ")
			}
		}
		return strings.TrimRight(b.String(), " ")
	}
	t.line("")
	t.line("    %s", t.dim(cells(head)))
	for i, r := range rows {
		mark, rest := stateMark(states[i]), cells(r)
		if r[0] == "" {
			mark = " "
		}
		switch states[i] {
		case verify.StageHolds:
			t.line("  %s %s", t.green(mark), rest)
		case verify.StageFails:
			t.line("  %s %s", t.red(mark), t.bold(rest))
		default:
			t.line("  %s %s", t.dim(mark), t.dim(rest))
		}
	}
	var parts []string
	for _, s := range []string{verify.StageHolds, verify.StageFails, verify.StageNotReached, verify.StageAbsent} {
		if n := hidden[stateText(s)]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, map[string]string{verify.StageHolds: "hold", verify.StageFails: "fail", verify.StageNotReached: "not examined", verify.StageAbsent: "absent"}[s]))
			delete(hidden, stateText(s))
		}
	}
	other := 0
	for _, n := range hidden {
		other += n
	}
	if other > 0 {
		parts = append(parts, fmt.Sprintf("%d other", other))
	}
	if len(parts) > 0 {
		t.line("    and more stages: %s", strings.Join(parts, ", "))
	}
}

func (t *text) findings() {
	shown, more := t.r.Findings, 0
	if len(shown) > textFindings {
		shown, more = shown[:textFindings], len(shown)-textFindings
	}
	for i := range shown {
		f := &shown[i]
		t.line("")
		head := t.red("✗ " + plain(string(f.Reason), 40))
		if f.Stage != "" {
			head += " in " + t.bold(plain(f.Stage, 40))
		}
		t.line("  %s", head)
		lines, cutOff := first(wrap(plain(sentence(f), limits.ReportMessage), textColumns), 4)
		for _, l := range lines {
			t.line("    %s", l)
		}
		if cutOff > 0 {
			t.line("    …")
		}
		t.fields(f)
	}
	if more > 0 {
		n := map[string]int{}
		var order []string
		for _, f := range t.r.Findings[len(shown):] {
			k := plain(string(f.Reason), 40)
			if n[k]++; n[k] == 1 {
				order = append(order, k)
			}
		}
		kinds, rest := first(order, 6)
		var parts []string
		for _, k := range kinds {
			if n[k] > 1 {
				k += " ×" + itoa(n[k])
			}
			parts = append(parts, k)
		}
		if rest > 0 {
			parts = append(parts, "…")
		}
		t.line("")
		t.line("  and %s: %s", count(more, "more finding"), strings.Join(parts, ", "))
	}
}

// fields are what a finding says beyond its sentence, one below the other, so
// that two digests can be compared by eye.
func (t *text) fields(f *verify.Finding) {
	want, got := plain(f.Want, limits.ReportName), plain(f.Got, limits.ReportName)
	w := max(width(want), width(got))
	at := func(s, stage string) string {
		if stage == "" {
			return s
		}
		return pad(s, w) + "  @" + plain(stage, 40)
	}
	for _, l := range []struct{ name, value string }{
		{"file", plain(f.File, 80)},
		{"want", at(want, f.WantStage)},
		{"got", at(got, f.GotStage)},
		{"nearest", nearest(f)},
	} {
		if strings.TrimSpace(l.value) == "" {
			continue
		}
		t.line("    %s %s", t.dim(pad(l.name, 8)), l.value)
	}
	if f.Mend != "" {
		for i, l := range wrap(plain(f.Mend, limits.ReportName), textColumns-9) {
			name := "mend"
			if i > 0 {
				name = ""
			}
			t.line("    %s %s", t.dim(pad(name, 8)), l)
		}
	}
}

// nearest names the statement that came closest.
func nearest(f *verify.Finding) string {
	if f.Nearest == "" {
		return ""
	}
	return "statement " + short(f.Nearest)
}

func (t *text) notes() {
	shown, more := first(t.r.Notes, textNotes)
	if len(shown) > 0 {
		t.line("")
	}
	for _, n := range shown {
		lines, _ := first(wrap(plain(n, limits.ReportMessage), textColumns-6), 2)
		for i, l := range lines {
			if i == 0 {
				t.line("  %s  %s", t.dim("note"), l)
			} else {
				t.line("        %s", l)
			}
		}
	}
	if more > 0 {
		t.line("  and %d more notes", more)
	}
}
