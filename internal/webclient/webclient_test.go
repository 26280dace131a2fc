package webclient

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestParseURL(t *testing.T) {
	for raw, want := range map[string][2]bool{ // accepted; accepted with plain HTTP
		"https://example.com/a?b=c":   {true, true},
		"http://127.0.0.1:80":         {true, true},
		"http://[::1]:80":             {true, true},
		"http://localhost":            {true, true},
		"http://example.com":          {false, true},
		"http://localhost.evil.test":  {false, true},
		"http://127.0.0.1.evil.test":  {false, true},
		"ftp://example.com":           {false, false},
		"//example.com":               {false, false},
		"https://":                    {false, false},
		"https://a:secret@b.example":  {false, false},
		"https://example.com/#there":  {false, false},
		"https://exa mple.com/secret": {false, false},
		"":                            {false, false},
	} {
		for i, plain := range []bool{false, true} {
			_, err := ParseURL("server", raw, plain)
			if (err == nil) != want[i] {
				t.Errorf("%q, plain HTTP %v: %v", raw, plain, err)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("message shows a secret: %v", err)
			}
		}
	}
}

// TestEdge79_SlowAnswer: the bound on time covers a body that drips.
func TestEdge79_SlowAnswer(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			w.Write([]byte(" "))
			w.(http.Flusher).Flush()
			time.Sleep(time.Millisecond)
		}
	}))
	defer srv.Close()
	u, err := url.Parse(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	c, release := New(nil)
	defer release()
	_, err = Do(t.Context(), c, Request{Method: "GET", URL: u, MaxTime: 50 * time.Millisecond})
	var e *Error
	if !errors.As(err, &e) || e.Reason != ReasonNone || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want an answer that broke off", err)
	}
}

// TestClient: the caller's client is used and not changed.
func TestClient(t *testing.T) {
	theirs := &http.Client{Timeout: time.Second}
	c, release := New(theirs)
	release()
	if c == theirs || theirs.CheckRedirect != nil || c.Timeout != time.Second {
		t.Error("not a copy of the caller's client")
	}
}

func TestExcerpt(t *testing.T) {
	got := Excerpt([]byte("no:\x1b[31m\r\n tok.en \xff"+strings.Repeat("x", 5000)), "tok.en")
	if strings.Contains(got, "tok.en") || strings.ContainsAny(got, "\x1b\r\n") || len([]rune(got)) > 201 {
		t.Errorf("got %q", got)
	}
}
