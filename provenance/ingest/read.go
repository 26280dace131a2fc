package ingest

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/strictjson"
	"github.com/hallmark-build/hallmark/provenance"
)

func fail(reason, format string, args ...any) error {
	return &provenance.FormatError{Reason: reason, Msg: fmt.Sprintf(format, args...)}
}

func malformed(format string, args ...any) error { return fail(ReasonReport, format, args...) }

// wrap says in which report something is wrong.
func wrap(what string, err error) error {
	switch e := err.(type) {
	case nil:
		return nil
	case *strictjson.Error:
		return &provenance.FormatError{Reason: e.Reason, Msg: what + ": " + e.Error()}
	case *provenance.FormatError:
		return &provenance.FormatError{Reason: e.Reason, Msg: what + ": " + e.Msg}
	}
	return fmt.Errorf("%s: %w", what, err)
}

// clip makes hostile text fit an error message.
func clip(s string) string {
	const most = 80
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return strconv.QuoteToGraphic(s)
}

// readAll reads a whole report of at most max bytes.
func readAll(r io.Reader, max int) ([]byte, error) {
	var buf bytes.Buffer
	if _, err := io.Copy(&buf, io.LimitReader(r, int64(max)+1)); err != nil {
		return nil, err
	}
	if buf.Len() > max {
		return nil, fail(provenance.ReasonLimit, "more than %d bytes", max)
	}
	return buf.Bytes(), nil
}

// readJSON reads a whole report into v and returns its SHA-256. An empty
// report gets an error of its own: it is what a shell leaves of a tool that
// did not start.
func readJSON(r io.Reader, v any) (provenance.Digest, error) {
	data, err := readAll(r, limits.ToolReport)
	if err != nil {
		return provenance.Digest{}, err
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return provenance.Digest{}, fail(ReasonIncomplete, "the report is empty")
	}
	if err := decode(data, v); err != nil {
		return provenance.Digest{}, err
	}
	return sum(data), nil
}

// decode reads a JSON document strictly. A value of another kind than the
// field's is the report's fault, like all the rest.
func decode(data []byte, v any) error {
	err := strictjson.Into(data, limits.ToolReport, v)
	var se *strictjson.Error
	var fe *provenance.FormatError
	if err == nil || errors.As(err, &se) || errors.As(err, &fe) {
		return err
	}
	return malformed("%v", err)
}

func sum(data []byte) provenance.Digest {
	s := sha256.Sum256(data)
	return sha256Digest(s[:])
}

func sha256Digest(sum []byte) provenance.Digest {
	d, err := provenance.NewDigest(provenance.SHA256, hex.EncodeToString(sum))
	if err != nil {
		panic(err) // 32 bytes in hex are a SHA-256
	}
	return d
}

// lines reads a report line by line, in bounded memory, and digests it.
type lines struct {
	r    *bufio.Reader
	h    hash.Hash
	n    int // of the line that was read last
	size int64
}

func newLines(r io.Reader) *lines {
	h := sha256.New()
	return &lines{r: bufio.NewReaderSize(io.TeeReader(r, h), 64<<10), h: h}
}

// next returns the next line without its end, or io.EOF. The line is valid
// until the next call. It may be anything: tests print what they like.
func (l *lines) next() ([]byte, error) {
	var long []byte
	for {
		part, err := l.r.ReadSlice('\n')
		l.size += int64(len(part))
		if l.size > limits.ToolStream {
			return nil, fail(provenance.ReasonLimit, "more than %d bytes", int64(limits.ToolStream))
		}
		if err == bufio.ErrBufferFull {
			if long = append(long, part...); len(long) > limits.ToolLine {
				return nil, fail(provenance.ReasonLimit, "line %d has more than %d bytes", l.n+1, limits.ToolLine)
			}
			continue
		}
		if err != nil && err != io.EOF {
			return nil, err
		}
		if long != nil {
			part = append(long, part...)
		}
		if len(part) > limits.ToolLine {
			return nil, fail(provenance.ReasonLimit, "line %d has more than %d bytes", l.n+1, limits.ToolLine)
		}
		if err == io.EOF && len(part) == 0 {
			return nil, io.EOF
		}
		l.n++
		part = bytes.TrimSuffix(bytes.TrimSuffix(part, []byte("\n")), []byte("\r"))
		return part, nil
	}
}

// digest returns the SHA-256 of everything that was read; all of it is, once
// next has returned io.EOF.
func (l *lines) digest() provenance.Digest { return sha256Digest(l.h.Sum(nil)) }

// names bounds the names that a report makes us keep.
type names struct{ count, bytes int }

func (n *names) add(name string) error {
	switch n.count, n.bytes = n.count+1, n.bytes+len(name); {
	case n.count > limits.ToolNames:
		return fail(provenance.ReasonLimit, "more than %d tests or findings", limits.ToolNames)
	case !utf8.ValidString(name):
		return malformed("the name %s is not UTF-8", clip(name))
	case len(name) > limits.ToolName:
		return fail(provenance.ReasonLimit, "a name of %d bytes, more than %d", len(name), limits.ToolName)
	case n.bytes > limits.ToolNameBytes:
		return fail(provenance.ReasonLimit, "more than %d bytes of names", limits.ToolNameBytes)
	}
	return nil
}
