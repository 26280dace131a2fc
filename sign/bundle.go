package sign

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"strconv"

	"github.com/hallmark-build/hallmark/internal/atomicfile"
	"github.com/hallmark-build/hallmark/internal/regular"
	"github.com/hallmark-build/hallmark/internal/strictjson"
)

// WriteBundle writes envelopes to the file at path, one on each line: an
// attestation bundle (in-toto attestation spec v1, bundle.md), by custom named
// ARTIFACT.intoto.jsonl. A file at path is replaced; it is there as it was, or
// as it shall be, at every moment and after a crash.
//
// Each envelope must be one JSON object on one line, as this package and the
// writers of Sigstore bundles make it; at least one is needed.
func WriteBundle(path string, envelopes ...[]byte) error {
	if err := checkLines(envelopes); err != nil {
		return err
	}
	return replace(path, 0o644, nil, envelopes)
}

// AppendBundle adds envelopes to the bundle at path, or makes it, as
// [WriteBundle] does. What is in the file stays to the byte, whatever it is; a
// last line that has no end is given one. Of several that append at once, in
// this process or, except on Windows, in others, each waits for its turn and none loses a line;
// ctx ends the waiting, and copying.
func AppendBundle(ctx context.Context, path string, envelopes ...[]byte) error {
	if err := checkLines(envelopes); err != nil {
		return err
	}
	unlock, err := atomicfile.Lock(ctx, filepath.Dir(path))
	if err != nil {
		return err
	}
	defer unlock()
	old, info, err := regular.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return replace(path, 0o644, nil, envelopes)
	case errors.Is(err, regular.ErrNot):
		return fail(ReasonBundle, "%v", err)
	case err != nil:
		return err
	}
	defer old.Close()
	return replace(path, info.Mode().Perm(), contextReader{ctx, old}, envelopes)
}

// replace writes what old yields, if there is an old, and then the lines.
func replace(path string, perm fs.FileMode, old io.Reader, lines [][]byte) error {
	w, err := atomicfile.New(path, perm)
	if err != nil {
		return err
	}
	defer w.Abort()
	if old != nil {
		last := lastByte{'\n'}
		if _, err := io.Copy(io.MultiWriter(w, &last), old); err != nil {
			return err
		}
		if last.b != '\n' {
			if _, err := w.Write([]byte{'\n'}); err != nil {
				return err
			}
		}
	}
	for _, line := range lines {
		if _, err := w.Write(line); err != nil {
			return err
		}
		if _, err := w.Write([]byte{'\n'}); err != nil {
			return err
		}
	}
	return w.Commit()
}

// checkLines makes sure that what is written is what a reader takes for one
// line of evidence each.
func checkLines(lines [][]byte) error {
	if len(lines) == 0 {
		return fail(ReasonBundle, "nothing to write: a bundle has at least one envelope")
	}
	for i, line := range lines {
		p := strictjson.NewParser(line, 0)
		switch {
		case bytes.ContainsAny(line, "\r\n"):
			return fail(ReasonBundle, "envelope %s has more than one line", ordinal(i))
		case p.Kind() != strictjson.Object:
			return fail(ReasonBundle, "envelope %s is not a JSON object", ordinal(i))
		}
		err := p.Skip()
		if err == nil {
			err = p.End()
		}
		if err != nil {
			return &Error{ReasonBundle, "envelope " + ordinal(i), err}
		}
	}
	return nil
}

func ordinal(i int) string { return strconv.Itoa(i + 1) }

type lastByte struct{ b byte }

func (l *lastByte) Write(p []byte) (int, error) {
	if len(p) > 0 {
		l.b = p[len(p)-1]
	}
	return len(p), nil
}

type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.r.Read(p)
}
