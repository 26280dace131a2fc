// Package webclient asks servers that are not trusted. An answer is bounded in
// size (limits.HTTPBody) and time (limits.HTTPTime an attempt, body included),
// is never decompressed, and comes from the host that was asked; only 429 and
// 5xx are tried again, three times in all.
package webclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/hallmark-build/hallmark/internal/limits"
)

// attempts is how often a request is sent at most, and maxPause how long a
// server may ask us to wait in between.
const (
	attempts  = 3
	maxPause  = 10 * time.Second
	basePause = 250 * time.Millisecond
)

// maxIdle is how many idle connections to one host are kept.
const maxIdle = 256

// New returns a client that follows no redirect away from the host that
// was asked: the request carries a token, and who may be sent it was decided
// by the caller. The client of the caller is not changed; without one, there
// is no proxy, since the environment is not ours to read.
func New(from *http.Client) (c *http.Client, release func()) {
	c, release = &http.Client{}, func() {}
	if from != nil {
		*c = *from
		c.Jar = nil
	} else {
		t := &http.Transport{
			DialContext:            (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
			TLSHandshakeTimeout:    10 * time.Second,
			ForceAttemptHTTP2:      true,
			MaxIdleConnsPerHost:    maxIdle,
			IdleConnTimeout:        10 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
		}
		c.Transport, release = t, t.CloseIdleConnections
	}
	c.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		first := via[0]
		switch {
		case len(via) > 3:
			return errors.New("more than three redirects")
		case req.URL.Scheme != first.URL.Scheme || req.URL.Host != first.URL.Host:
			return errors.New("redirected to another host")
		case req.Method != first.Method:
			return errors.New("redirected to another method")
		}
		return nil
	}
	return c, release
}

// ParseURL checks a server's URL. Plain HTTP is for loopback only, unless
// plainHTTP says otherwise.
func ParseURL(what, raw string, plainHTTP bool) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: malformed URL", what)
	case u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("%s: want an http or https URL, found %q", what, u.Redacted())
	case u.User != nil || u.Fragment != "":
		return nil, fmt.Errorf("%s: URL with user or fragment", what)
	case u.Scheme == "http" && !plainHTTP && !loopback(u.Hostname()):
		return nil, fmt.Errorf("%s: want https, found %q", what, u.Redacted())
	}
	return u, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Server names a server in messages: without path and query, which may hold
// what is nobody's business.
func Server(u *url.URL) string { return u.Scheme + "://" + u.Host }

// A Request is one question to a server.
type Request struct {
	Method      string
	URL         *url.URL
	Body        []byte
	ContentType string        // of Body
	Accept      string        // content type that a successful answer must have; empty means any
	Bearer      string        // token; never shown
	MaxBody     int           // largest answer in bytes; 0 means limits.HTTPBody
	MaxTime     time.Duration // of an attempt; 0 means limits.HTTPTime
}

// A Reply is an answer.
type Reply struct {
	Status   int
	Location string
	Body     []byte
}

// Reasons of an [Error].
const (
	ReasonNone   = "http"             // no answer: connection, time, or redirect
	ReasonStatus = "http-status"      // an answer with another status than success
	ReasonAnswer = "answer-malformed" // too long, compressed, or of another type
)

// An Error says why there is no Reply.
type Error struct {
	Reason string
	Server string
	Status int // 0 without answer
	Msg    string
	Err    error
}

func (e *Error) Error() string {
	s := e.Server + ": " + e.Msg
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns e.Err.
func (e *Error) Unwrap() error { return e.Err }

// Do sends a request until the answer is neither 429 nor 5xx. An answer with
// another status than 2xx and those of also is an error. All errors are of
// type [*Error]; after ctx is done, they wrap its cause.
func Do(ctx context.Context, c *http.Client, q Request, also ...int) (*Reply, error) {
	server := Server(q.URL)
	for n := 1; ; n++ {
		r, pause, err := try(ctx, c, q)
		if err != nil {
			// The context's own error tells the caller that it was they who
			// gave up, or that the time was over.
			if cause := context.Cause(ctx); cause != nil {
				return nil, &Error{Reason: ReasonNone, Server: server, Msg: "gave up", Err: cause}
			}
			err.Server = server
			return nil, err
		}
		switch {
		case r.Status/100 == 2 || slices.Contains(also, r.Status):
			return r, nil
		case r.Status != http.StatusTooManyRequests && r.Status < 500 || n == attempts:
			return nil, &Error{Reason: ReasonStatus, Server: server, Status: r.Status,
				Msg: "answered " + strconv.Itoa(r.Status) + " " + http.StatusText(r.Status) + ": " + Excerpt(r.Body, q.Bearer)}
		}
		t := time.NewTimer(max(pause, basePause<<(2*(n-1))))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil, &Error{Reason: ReasonNone, Server: server, Status: r.Status, Msg: "gave up", Err: context.Cause(ctx)}
		}
	}
}

// try sends a request once. The time bound covers the whole answer, so that a
// body that drips does not outlast it.
func try(ctx context.Context, c *http.Client, q Request) (*Reply, time.Duration, *Error) {
	most, long := q.MaxBody, q.MaxTime
	if most == 0 {
		most = limits.HTTPBody
	}
	if long == 0 {
		long = limits.HTTPTime
	}
	ctx, cancel := context.WithTimeout(ctx, long)
	defer cancel()
	var body io.Reader
	if q.Body != nil {
		body = bytes.NewReader(q.Body)
	}
	req, err := http.NewRequestWithContext(ctx, q.Method, q.URL.String(), body)
	if err != nil {
		return nil, 0, &Error{Reason: ReasonNone, Msg: "make request", Err: err}
	}
	if q.Accept != "" {
		req.Header.Set("Accept", q.Accept)
	}
	// Asking for no compression keeps the transport from undoing any: the
	// bound on the body is then one on what was sent.
	req.Header.Set("Accept-Encoding", "identity")
	req.Header.Set("User-Agent", "hallmark")
	if q.ContentType != "" {
		req.Header.Set("Content-Type", q.ContentType)
	}
	if q.Bearer != "" {
		req.Header.Set("Authorization", "Bearer "+q.Bearer)
	}
	resp, err := c.Do(req)
	if err != nil {
		// url.Error repeats the URL, whose query may say too much.
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return nil, 0, &Error{Reason: ReasonNone, Msg: "no answer", Err: quiet(err, q.Bearer)}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, int64(most)+1))
	if err != nil {
		return nil, 0, &Error{Reason: ReasonNone, Status: resp.StatusCode, Msg: "answer broke off", Err: quiet(err, q.Bearer)}
	}
	if len(b) > most {
		return nil, 0, &Error{Reason: ReasonAnswer, Status: resp.StatusCode, Msg: "answer is longer than " + strconv.Itoa(most) + " bytes"}
	}
	if resp.StatusCode/100 == 2 {
		if e := resp.Header.Get("Content-Encoding"); e != "" && e != "identity" {
			return nil, 0, &Error{Reason: ReasonAnswer, Status: resp.StatusCode, Msg: "answer has content encoding " + strconv.Quote(Excerpt([]byte(e), q.Bearer)) + ", asked for none"}
		}
		if typ, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); q.Accept != "" && typ != q.Accept {
			return nil, 0, &Error{Reason: ReasonAnswer, Status: resp.StatusCode, Msg: "answer has content type " + strconv.Quote(Excerpt([]byte(typ), q.Bearer)) + ", want " + q.Accept}
		}
	}
	var pause time.Duration
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s > 0 {
		pause = min(time.Duration(min(s, 3600))*time.Second, maxPause)
	}
	return &Reply{resp.StatusCode, resp.Header.Get("Location"), b}, pause, nil
}

// Excerpt makes what a server sent fit for a message: short, on one line,
// without control characters and without the secret, or a piece of it.
func Excerpt(body []byte, secret string) string {
	s := withoutSecret(body[:min(len(body), 4096)], secret)
	s = strings.ToValidUTF8(s[:min(len(s), 2048)], " ")
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 200 {
		s = string(r[:200]) + "…"
	}
	return s
}

// piece is the length from which a part of a secret is not shown: a server may
// repeat the signature of a token alone, or break the token over lines.
const piece = 12

// withoutSecret replaces all that is also in secret, in whatever case: header
// values are folded.
func withoutSecret(text []byte, secret string) string {
	if secret == "" {
		return string(text)
	}
	folded := strings.ToLower(secret)
	size := min(piece, len(folded))
	pieces := make(map[string]bool, len(folded))
	for i := 0; i+size <= len(folded); i++ {
		pieces[folded[i:i+size]] = true
	}
	var out strings.Builder
	end := 0 // of what is replaced
	for i := range text {
		if i+size <= len(text) && pieces[strings.ToLower(string(text[i:i+size]))] {
			if i >= end {
				out.WriteString("[token]")
			}
			end = i + size
		}
		if i >= end {
			out.WriteByte(text[i])
		}
	}
	return out.String()
}

// quiet keeps an error from showing what a server sent: package net/http quotes
// the lines that it cannot read.
func quiet(err error, secret string) error {
	return &quietError{Excerpt([]byte(err.Error()), secret), err}
}

type quietError struct {
	text string
	err  error
}

func (e *quietError) Error() string { return e.text }
func (e *quietError) Unwrap() error { return e.err }
