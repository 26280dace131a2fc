package webclient

import (
	"context"
	"errors"
	"io"
	"net"
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

// TestEdge80_Echo: wherever a server repeats the token, a message does not.
func TestEdge80_Echo(t *testing.T) {
	const token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJvY3RvL2FwcCJ9.c2lnbmF0dXJlLXRoYXQtaXMtc2VjcmV0"
	const signature = "c2lnbmF0dXJlLXRoYXQtaXMtc2VjcmV0"
	for name, answer := range map[string]string{
		"status line":            token + "\r\n\r\n",
		"status code":            "HTTP/1.1 " + token + "\r\n\r\n",
		"reason":                 "HTTP/1.1 400 " + token + "\r\nContent-Length: 0\r\n\r\n",
		"header without colon":   "HTTP/1.1 200 OK\r\n" + token + "\r\n\r\n",
		"content length":         "HTTP/1.1 200 OK\r\nContent-Length: " + token + "\r\n\r\n",
		"transfer encoding":      "HTTP/1.1 200 OK\r\nTransfer-Encoding: " + token + "\r\n\r\n",
		"content encoding":       "HTTP/1.1 200 OK\r\nContent-Encoding: " + token + "\r\nContent-Length: 0\r\n\r\n",
		"content type":           "HTTP/1.1 200 OK\r\nContent-Type: " + token + "/x\r\nContent-Length: 0\r\n\r\n",
		"redirect to no URL":     "HTTP/1.1 307 Moved\r\nLocation: http://%zz/" + token + "\r\nContent-Length: 0\r\n\r\n",
		"redirect to elsewhere":  "HTTP/1.1 307 Moved\r\nLocation: https://example.com/" + token + "\r\nContent-Length: 0\r\n\r\n",
		"body":                   "HTTP/1.1 400 Bad\r\nConnection: close\r\n\r\nBearer " + token,
		"body over two lines":    "HTTP/1.1 400 Bad\r\nConnection: close\r\n\r\n" + token[:50] + "\n" + token[50:],
		"body, the signature":    "HTTP/1.1 400 Bad\r\nConnection: close\r\n\r\nbad signature " + signature,
		"body, without the end":  "HTTP/1.1 400 Bad\r\nConnection: close\r\n\r\n" + token[:len(token)-3],
		"body, upper case, long": "HTTP/1.1 400 Bad\r\nConnection: close\r\n\r\n" + strings.Repeat(" ", 2000) + token,
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					c.Read(make([]byte, 4096))
					io.WriteString(c, answer)
					c.Close()
				}
			}()
			c, release := New(nil)
			defer release()
			_, err = Do(t.Context(), c, Request{Method: "GET", URL: &url.URL{Scheme: "http", Host: l.Addr().String(), Path: "/"}, Bearer: token, Accept: "application/json"})
			if err == nil {
				t.Fatal("no error")
			}
			folded := strings.ToLower(strings.Join(strings.Fields(err.Error()), ""))
			if strings.Contains(folded, strings.ToLower(signature[:24])) {
				t.Errorf("message shows the token: %v", err)
			}
			if len(err.Error()) > 1000 {
				t.Errorf("message of %d bytes", len(err.Error()))
			}
		})
	}
}
