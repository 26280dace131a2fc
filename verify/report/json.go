package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/verify"
)

// JSON writes the report itself, indented, complete, as docs/report.schema.json
// describes it. What does not print, and <, > and &, are written as \u escapes,
// which decode to the same text.
func JSON(w io.Writer, r *verify.Report, _ Options) error {
	return render(w, r, func(b *bytes.Buffer) error {
		// The schema promises arrays where a caller's report may have nil.
		c := *r
		c.Artifacts = slices.Clone(list(c.Artifacts))
		for i := range c.Artifacts {
			if c.Artifacts[i].Digest == nil {
				c.Artifacts[i].Digest = provenance.DigestSet{}
			}
		}
		c.Stages, c.Edges = slices.Clone(list(c.Stages)), list(c.Edges)
		for i := range c.Stages {
			c.Stages[i].Statements = slices.Clone(c.Stages[i].Statements)
			for j := range c.Stages[i].Statements {
				st := &c.Stages[i].Statements[j]
				st.Signers = list(st.Signers)
			}
		}
		return encode(b, &c)
	})
}

// list turns a nil slice into an empty one.
func list[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// encode writes indented JSON that is safe to look at.
func encode(b *bytes.Buffer, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	// Outside strings there is only ASCII, and encoding/json has replaced
	// what is not UTF-8.
	hash := false
	for len(data) > 0 {
		r, n := utf8.DecodeRune(data)
		switch {
		case r == '#' && hash:
			b.WriteString(`\u0023`) // see plain
		case r == '\n' || visible(r) && r != utf8.RuneError: // which encoding/json writes as \ufffd, or not
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
