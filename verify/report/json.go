package report

import (
	"bytes"
	"fmt"
	"io"
	"slices"

	"github.com/hallmark-build/hallmark/internal/show"
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

func encode(b *bytes.Buffer, v any) error {
	if err := show.JSON(b, v); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}
