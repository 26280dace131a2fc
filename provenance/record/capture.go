package record

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"strings"
	"sync"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/redact"
	"github.com/hallmark-build/hallmark/provenance"
)

// An Output is what a command wrote to its standard output or its standard
// error.
type Output struct {
	// Size is how many bytes were written.
	Size int64

	// Text is what was written, without secrets and as valid UTF-8. Of more than
	// limits.CapturedOutput (1 MiB) bytes it has the first half MiB and the
	// last, with a line between them that says how much is missing.
	Text string

	// Redacted says that something was removed from Text as a secret.
	Redacted bool

	// Digest is the SHA-256 of all Size bytes. It is zero if Redacted.
	Digest provenance.Digest
}

// A capture passes on what is written to it, digests it, and keeps the
// beginning and the end.
type capture struct {
	live io.Writer   // nil once it has failed
	mu   *sync.Mutex // around live: standard output and error may be one writer
	hash hash.Hash
	size int64
	head []byte
	tail []byte // a ring, once it is full
	next int    // where the ring's oldest byte is
}

const half = limits.CapturedOutput / 2

func newCapture(live io.Writer, mu *sync.Mutex) *capture {
	return &capture{live: live, mu: mu, hash: sha256.New()}
}

// Write never fails: a user's terminal that is gone must not end the build.
func (c *capture) Write(p []byte) (int, error) {
	n := len(p)
	if c.live != nil {
		c.mu.Lock()
		if _, err := c.live.Write(p); err != nil {
			c.live = nil
		}
		c.mu.Unlock()
	}
	c.hash.Write(p)
	c.size += int64(n)
	take := min(half-len(c.head), len(p))
	c.head = append(c.head, p[:take]...)
	p = p[take:]
	if len(p) >= half {
		c.tail, c.next = append(c.tail[:0], p[len(p)-half:]...), 0
		return n, nil
	}
	take = min(half-len(c.tail), len(p))
	c.tail = append(c.tail, p[:take]...)
	for p = p[take:]; len(p) > 0; {
		m := copy(c.tail[c.next:], p)
		c.next = (c.next + m) % half
		p = p[m:]
	}
	return n, nil
}

func (c *capture) output(secrets *redact.Set) Output {
	head, tail := c.head, append(bytes.Clone(c.tail[c.next:]), c.tail[:c.next]...)
	o := Output{Size: c.size}
	var text string
	if gap := c.size - int64(len(head)+len(tail)); gap > 0 {
		h, t, found := secrets.Cut(head, tail)
		o.Redacted = found
		text = fmt.Sprintf("%s\n[%d bytes are not kept]\n%s", h, gap, t)
	} else {
		whole := append(bytes.Clone(head), tail...)
		clean := secrets.Bytes(whole)
		o.Redacted = !bytes.Equal(whole, clean)
		text = string(clean)
	}
	o.Text = strings.ToValidUTF8(text, "\uFFFD")
	if !o.Redacted {
		o.Digest = provenance.MustDigest("sha256:" + hex.EncodeToString(c.hash.Sum(nil)))
	}
	return o
}
