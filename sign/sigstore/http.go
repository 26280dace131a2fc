package sigstore

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/hallmark-build/hallmark/internal/limits"
)

// attempts is how often a request is sent at most, and maxPause how long a
// server may ask us to wait in between.
const (
	attempts  = 3
	maxPause  = 10 * time.Second
	basePause = 250 * time.Millisecond
)

// newClient returns a client that follows no redirect away from the host that
// was asked: the request carries a token, and who may be sent it was decided
// by the caller. The client of the caller is not changed; without one, there
// is no proxy, since the environment is not ours to read.
func newClient(from *http.Client) (c *http.Client, release func()) {
	c, release = &http.Client{}, func() {}
	if from != nil {
		*c = *from
		c.Jar = nil
	} else {
		t := &http.Transport{
			DialContext:            (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
			TLSHandshakeTimeout:    10 * time.Second,
			ForceAttemptHTTP2:      true,
			MaxIdleConnsPerHost:    maxWorkers,
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

// parseEndpoint checks a server's URL. Plain HTTP is for loopback only, unless
// the caller said otherwise or nothing secret is sent.
func parseEndpoint(what, raw string, plainHTTP bool) (*url.URL, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, fail(ReasonConfig, "%s: malformed URL", what)
	case u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return nil, fail(ReasonConfig, "%s: want an http or https URL, found %q", what, u.Redacted())
	case u.User != nil || u.Fragment != "":
		return nil, fail(ReasonConfig, "%s: URL with user or fragment", what)
	case u.Scheme == "http" && !plainHTTP && !loopback(u.Hostname()):
		return nil, fail(ReasonConfig, "%s: want https, since a token is sent there, found %q", what, u.Redacted())
	}
	return u, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func serverOf(u *url.URL) string { return u.Scheme + "://" + u.Host }

// A request is one question to a server.
type request struct {
	method string
	url    *url.URL
	body   []byte
	typ    string // content type of body
	accept string // content type that the answer must have; empty means JSON
	bearer string // token, never shown
}

// A reply is a bounded answer.
type reply struct {
	status   int
	location string
	body     []byte
}

// do sends a request until the answer is neither 429 nor 5xx. Answers with
// other statuses than 2xx and 409 are errors; a caller for whom 409 is one too
// says so.
func do(ctx context.Context, c *http.Client, q request) (*reply, error) {
	server := serverOf(q.url)
	for n := 1; ; n++ {
		r, pause, err := try(ctx, c, q)
		if err != nil {
			// The context's own error tells the caller that it was they who
			// gave up, or that the time was over.
			if cause := context.Cause(ctx); cause != nil {
				return nil, &Error{Reason: ReasonHTTP, Server: server, Msg: "gave up", Err: cause}
			}
			return nil, about(server, err)
		}
		switch {
		case r.status/100 == 2 || r.status == http.StatusConflict:
			return r, nil
		case r.status != http.StatusTooManyRequests && r.status < 500 || n == attempts:
			return nil, &Error{Reason: ReasonStatus, Server: server, Status: r.status,
				Msg: "answered " + strconv.Itoa(r.status) + " " + http.StatusText(r.status) + ": " + excerpt(r.body, q.bearer)}
		}
		t := time.NewTimer(max(pause, basePause<<(2*(n-1))))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil, &Error{Reason: ReasonHTTP, Server: server, Status: r.status, Msg: "gave up", Err: context.Cause(ctx)}
		}
	}
}

// try sends a request once. The time bound covers the whole answer, so that a
// body that drips does not outlast it.
func try(ctx context.Context, c *http.Client, q request) (*reply, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, limits.HTTPTime)
	defer cancel()
	var body io.Reader
	if q.body != nil {
		body = bytes.NewReader(q.body)
	}
	req, err := http.NewRequestWithContext(ctx, q.method, q.url.String(), body)
	if err != nil {
		return nil, 0, fail(ReasonHTTP, "make request: %v", err)
	}
	accept := q.accept
	if accept == "" {
		accept = "application/json"
	}
	req.Header.Set("Accept", accept)
	// Asking for no compression keeps the transport from undoing any: the
	// bound on the body is then one on what was sent.
	req.Header.Set("Accept-Encoding", "identity")
	req.Header.Set("User-Agent", "hallmark")
	if q.typ != "" {
		req.Header.Set("Content-Type", q.typ)
	}
	if q.bearer != "" {
		req.Header.Set("Authorization", "Bearer "+q.bearer)
	}
	resp, err := c.Do(req)
	if err != nil {
		// url.Error repeats the URL, whose query may say too much.
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err
		}
		return nil, 0, &Error{Reason: ReasonHTTP, Msg: "no answer", Err: err}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, limits.HTTPBody+1))
	if err != nil {
		return nil, 0, &Error{Reason: ReasonHTTP, Status: resp.StatusCode, Msg: "answer broke off", Err: err}
	}
	if len(b) > limits.HTTPBody {
		return nil, 0, &Error{Reason: ReasonAnswer, Status: resp.StatusCode, Msg: "answer is longer than " + strconv.Itoa(limits.HTTPBody) + " bytes"}
	}
	if resp.StatusCode/100 == 2 {
		if e := resp.Header.Get("Content-Encoding"); e != "" && e != "identity" {
			return nil, 0, &Error{Reason: ReasonAnswer, Status: resp.StatusCode, Msg: "answer has content encoding " + strconv.Quote(e) + ", asked for none"}
		}
		if typ, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); typ != accept {
			return nil, 0, &Error{Reason: ReasonAnswer, Status: resp.StatusCode, Msg: "answer has content type " + strconv.Quote(typ) + ", want " + accept}
		}
	}
	var pause time.Duration
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s > 0 {
		pause = min(time.Duration(min(s, 3600))*time.Second, maxPause)
	}
	return &reply{resp.StatusCode, resp.Header.Get("Location"), b}, pause, nil
}
