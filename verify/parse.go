package verify

import (
	"fmt"
	"strings"
)

// errorAt returns the error of the field at path ("stages.build.requires[0].signers"),
// with the position where that field, or else the nearest thing around it, was written.
func (p *Policy) errorAt(path, reason, format string, args ...any) *PolicyError {
	e := &PolicyError{Path: path, Reason: reason, Msg: fmt.Sprintf(format, args...)}
	for {
		pos, ok := p.positions[path]
		if ok || path == "" {
			e.Position = pos
			return e
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
}
