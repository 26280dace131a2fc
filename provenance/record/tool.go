package record

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/hallmark-build/hallmark/internal/limits"
)

// A tool is a program that is asked about a directory: git or go.
type tool struct {
	path string
	dir  string
	env  []string
}

// bounded keeps what is written to it up to a limit.
type bounded struct {
	bytes.Buffer
	left     int
	exceeded context.CancelFunc // called when there is more
	over     bool
}

func (b *bounded) Write(p []byte) (int, error) {
	if len(p) > b.left {
		b.Buffer.Write(p[:b.left])
		b.left, b.over = 0, true
		b.exceeded()
		return len(p), nil
	}
	b.left -= len(p)
	return b.Buffer.Write(p)
}

// An exitError is a tool's exit status other than 0, with the end of what it said.
type exitError struct {
	code   int
	stderr string
}

func (e *exitError) Error() string { return fmt.Sprintf("exit status %d: %s", e.code, e.stderr) }

// run returns what the tool writes. If that is more than limits.ToolOutput, the
// tool is ended and over is true.
func (t *tool) run(ctx context.Context, args ...string) (out []byte, over bool, err error) {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	stdout := &bounded{left: limits.ToolOutput, exceeded: cancel}
	stderr := &bounded{left: 4 << 10, exceeded: func() {}}
	c := child{t.path, append([]string{filepath.Base(t.path)}, args...), t.env, t.dir, stdout, stderr, time.Second}
	end, err := c.run(inner)
	switch {
	case ctx.Err() != nil:
		return nil, false, context.Cause(ctx)
	case err != nil:
		return nil, false, err
	case stdout.over:
		return stdout.Bytes(), true, nil
	case end.signal != "":
		return nil, false, errors.New("ended by " + end.signal)
	case end.code != 0:
		return nil, false, &exitError{end.code, strings.TrimSpace(strings.ToValidUTF8(stderr.String(), "\uFFFD"))}
	}
	return stdout.Bytes(), false, nil
}
