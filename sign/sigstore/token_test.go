package sigstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/hallmark-build/hallmark/internal/limits"
)

func TestTokenSources(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("a.b.c\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	getenv := func(name string) string { return map[string]string{"ID": " a.b.c "}[name] }
	withID := (&oauth2.Token{AccessToken: "access"}).WithExtra(map[string]any{"id_token": "a.b.c"})
	for name, source := range map[string]TokenSource{
		"static":   StaticToken("a.b.c"),
		"file":     TokenFile(file),
		"variable": TokenVariable(getenv, "ID"),
		"oauth2":   OAuth2(oauth2.StaticTokenSource(withID)),
		"command":  TokenCommand("echo", "a.b.c"),
	} {
		if got, err := source.Token(t.Context()); err != nil || got != "a.b.c" {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	for name, source := range map[string]TokenSource{
		"empty":           StaticToken(""),
		"two lines":       StaticToken("a.b.c\nd.e.f"),
		"control":         StaticToken("a.b.\x00"),
		"long":            StaticToken(strings.Repeat("a", limits.SigningToken+1)),
		"no file":         TokenFile(file + ".missing"),
		"unset":           TokenVariable(getenv, "OTHER"),
		"no id_token":     OAuth2(oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "access"})),
		"failing command": TokenCommand("false"),
		"missing command": TokenCommand("no-such-program-anywhere"),
		"endless command": TokenCommand("head", "-c", "10000000", "/dev/zero"),
		"not in actions":  GitHubActions(getenv, nil),
	} {
		if got, err := source.Token(t.Context()); err == nil {
			t.Errorf("%s: got %q", name, got)
		}
	}
	// What would be waited for goes with the context.
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := TokenCommand("sleep", "60").Token(ctx); err == nil || time.Since(start) > 5*time.Second {
		t.Errorf("sleeping command: %v after %v", err, time.Since(start))
	}
}

func TestChallenge(t *testing.T) {
	for claims, want := range map[string]string{
		`{"sub":"s"}`: "s",
		`{"sub":"s","email":"a@b.c","email_verified":true}`:   "a@b.c",
		`{"sub":"s","email":"a@b.c","email_verified":"true"}`: "a@b.c",
		`{"sub":"s","email":""}`:                              "s",
		// Refused:
		`{"sub":"s","email":"a@b.c"}`:                          "",
		`{"sub":"s","email":"a@b.c","email_verified":false}`:   "",
		`{"sub":"s","email":"a@b.c","email_verified":"false"}`: "",
		`{"sub":""}`:            "",
		`{}`:                    "",
		`{"sub":"s","sub":"t"}`: "",
		`{"sub":5}`:             "",
		`[]`:                    "",
		`{"sub":"s"} x`:         "",
	} {
		got, err := challenge(testToken(claims))
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%s: got %q, %v; want %q", claims, got, err, want)
		}
	}
	for _, token := range []string{"", "a", "a.b", "..", "a.b.c.d", "a.%.c", "e30.e30=.e30", testToken(`{}`) + "."} {
		if _, err := challenge(token); err == nil {
			t.Errorf("%q passes", token)
		} else if len(token) > 4 && strings.Contains(err.Error(), token) {
			t.Errorf("message shows the token: %v", err)
		}
	}
}

func FuzzChallenge(f *testing.F) {
	f.Add(goodToken)
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, token string) {
		if got, err := challenge(token); err == nil && got == "" {
			t.Error("passes without an identity")
		}
	})
}

func FuzzReadTimestamp(f *testing.F) {
	tst := tstInfo{Version: 1, Policy: []int{1, 2, 3}, Serial: big.NewInt(1), Time: stampTime.UTC(), Nonce: big.NewInt(7)}
	tst.Imprint.Algorithm.Algorithm, tst.Imprint.Hash = oidSHA256, sha(nil)
	var resp timestampResponse
	resp.Token.FullBytes = wrap(f, tst)
	f.Add(marshal(f, resp))
	f.Fuzz(func(t *testing.T, der []byte) {
		s, err := readTimestamp(der, sha(nil), big.NewInt(7))
		if err == nil && (s.time.IsZero() || len(s.der) == 0) {
			t.Error("passes without a time")
		}
	})
}

// What a provider gives for an identity token, once.
const (
	testCode       = "4/0AfJohXl+code/of=browser"
	testDeviceCode = "GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS"
)

// provider is an OIDC provider whose answers a test can change.
func loginProvider(t *testing.T, change func(path string, answer map[string]any)) Login {
	t.Helper()
	var issuer, nonce string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var answer map[string]any
		switch r.URL.Path {
		case "/.well-known/openid-configuration":
			answer = map[string]any{"issuer": issuer, "authorization_endpoint": issuer + "/auth", "token_endpoint": issuer + "/token", "device_authorization_endpoint": issuer + "/device"}
		case "/auth":
			nonce = r.FormValue("nonce")
			http.Redirect(w, r, r.FormValue("redirect_uri")+"?"+url.Values{"code": {testCode}, "state": {r.FormValue("state")}}.Encode(), http.StatusFound)
			return
		case "/device":
			answer = map[string]any{"device_code": testDeviceCode, "user_code": "u", "verification_uri": issuer + "/activate", "interval": 1, "expires_in": 60}
		case "/token":
			if r.FormValue("code_verifier") == "" {
				http.Error(w, "no PKCE", 400)
				return
			}
			answer = map[string]any{"access_token": "x", "token_type": "Bearer", "id_token": testToken(`{"sub":"s","nonce":"` + nonce + `"}`)}
		default:
			http.NotFound(w, r)
			return
		}
		if change != nil {
			change(r.URL.Path, answer)
		}
		w.Header().Set("Content-Type", "application/json")
		if answer["error"] != nil {
			w.WriteHeader(400)
		}
		json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(srv.Close)
	issuer = srv.URL
	return Login{Issuer: srv.URL}
}

// browse is a browser.
func browse(u string) error {
	resp, err := http.Get(u)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.ReadAll(resp.Body)
	return err
}

func TestLogin(t *testing.T) {
	l := loginProvider(t, nil)
	if got, err := l.Browser(browse).Token(t.Context()); err != nil || !strings.Contains(got, ".") {
		t.Errorf("browser: got %q, %v", got, err)
	}
	var shown string
	if _, err := l.Device(func(u, code string) error { shown = u + " " + code; return nil }).Token(t.Context()); err != nil || shown != l.Issuer+"/activate u" {
		t.Errorf("device: shown %q, %v", shown, err)
	}
	show := func(string, string) error { return nil }
	for name, tc := range map[string]struct {
		path   string
		change func(map[string]any)
		reason []string
	}{
		"another issuer":       {"/.well-known/openid-configuration", func(a map[string]any) { a["issuer"] = "https://evil.example" }, []string{ReasonMismatch}},
		"plain token endpoint": {"/.well-known/openid-configuration", func(a map[string]any) { a["token_endpoint"] = "http://evil.example/token" }, []string{ReasonConfig}},
		"no token endpoint":    {"/.well-known/openid-configuration", func(a map[string]any) { delete(a, "token_endpoint") }, []string{ReasonAnswer}},
		"no endpoints": {"/.well-known/openid-configuration", func(a map[string]any) {
			delete(a, "authorization_endpoint")
			delete(a, "device_authorization_endpoint")
		}, []string{ReasonLogin}},
		"no id_token": {"/token", func(a map[string]any) { delete(a, "id_token") }, []string{ReasonToken}},
		"not a JWT":   {"/token", func(a map[string]any) { a["id_token"] = "x" }, []string{ReasonToken}},
		"refused":     {"/token", func(a map[string]any) { clear(a); a["error"] = "access_denied" }, []string{ReasonLogin}},
	} {
		t.Run(name, func(t *testing.T) {
			l := loginProvider(t, func(path string, a map[string]any) {
				if path == tc.path {
					tc.change(a)
				}
			})
			_, err := l.Browser(browse).Token(t.Context())
			wantError(t, err, tc.reason...)
			_, err = l.Device(show).Token(t.Context())
			wantError(t, err, tc.reason...)
		})
	}
	t.Run("another login's token", func(t *testing.T) {
		l := loginProvider(t, func(path string, a map[string]any) {
			if path == "/token" {
				a["id_token"] = testToken(`{"sub":"s","nonce":"other"}`)
			}
		})
		_, err := l.Browser(browse).Token(t.Context())
		wantError(t, err, ReasonLogin)
	})
	t.Run("a page that is none", func(t *testing.T) {
		l := loginProvider(t, func(path string, a map[string]any) {
			if path == "/device" {
				a["verification_uri"] = "javascript:alert(1)"
			}
		})
		_, err := l.Device(func(u, _ string) error { t.Errorf("shown %q", u); return nil }).Token(t.Context())
		wantError(t, err, ReasonConfig)
	})
	t.Run("forged callback", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		_, err := loginProvider(t, nil).Browser(func(u string) error {
			p, err := url.Parse(u)
			if err != nil {
				return err
			}
			return browse(p.Query().Get("redirect_uri") + "?code=stolen&state=guess")
		}).Token(ctx)
		wantError(t, err, ReasonLogin)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want to go on waiting", err)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		before := runtime.NumGoroutine()
		for _, source := range []TokenSource{
			l.Browser(func(string) error { return nil }),
			loginProvider(t, func(path string, a map[string]any) {
				if path == "/token" {
					clear(a)
					a["error"] = "authorization_pending"
				}
			}).Device(show),
		} {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			_, err := source.Token(ctx)
			cancel()
			if err == nil || !strings.Contains(err.Error(), "deadline") {
				t.Errorf("got %v, want the deadline", err)
			}
		}
		for range 200 {
			if runtime.NumGoroutine() <= before+4 { // the test servers' own
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Errorf("goroutines: %d before, %d after", before, runtime.NumGoroutine())
	})
}

// echo is a transport whose errors repeat the request, as those of servers
// that answer no HTTP can, and of proxies.
type echo struct{}

func (echo) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == "GET" {
		return http.DefaultTransport.RoundTrip(r)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	form, _ := url.ParseQuery(string(body))
	return nil, fmt.Errorf("cannot send %s?%s, which is %v: %w", r.URL, body, form, io.ErrUnexpectedEOF)
}

func TestAttack_LoginErrorsRepeatNoCode(t *testing.T) {
	show := func(string, string) error { return nil }
	check := func(t *testing.T, err error) {
		t.Helper()
		wantError(t, err, ReasonLogin)
		for _, secret := range []string{testCode, url.QueryEscape(testCode), testDeviceCode, "hunter2-client"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%q is in: %v", secret, err)
			}
		}
	}
	t.Run("transport", func(t *testing.T) {
		l := loginProvider(t, nil)
		l.Client, l.ClientSecret = &http.Client{Transport: echo{}}, "hunter2-client"
		_, err := l.Browser(browse).Token(t.Context())
		check(t, err)
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("the cause is lost: %v", err)
		}
		_, err = l.Device(show).Token(t.Context())
		check(t, err)
	})
	t.Run("provider", func(t *testing.T) {
		repeats := func(code string) Login {
			return loginProvider(t, func(path string, a map[string]any) {
				if path == "/token" {
					clear(a)
					a["error"] = "no such code: " + code
				}
			})
		}
		_, err := repeats(testCode).Browser(browse).Token(t.Context())
		check(t, err)
		_, err = repeats(testDeviceCode).Device(show).Token(t.Context())
		check(t, err)
	})
	t.Run("device request", func(t *testing.T) {
		// Only the token request fails.
		l := loginProvider(t, nil)
		l.Client = &http.Client{Transport: echoToken{}}
		_, err := l.Device(show).Token(t.Context())
		check(t, err)
	})
}

type echoToken struct{}

func (echoToken) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, "/token") {
		return echo{}.RoundTrip(r)
	}
	return http.DefaultTransport.RoundTrip(r)
}

// naiveRoot is RFC 9162, section 2.1.1, to the letter.
func naiveRoot(leaves [][]byte) []byte {
	if len(leaves) == 1 {
		return sha(append([]byte{0}, leaves[0]...))
	}
	k := 1
	for k*2 < len(leaves) {
		k *= 2
	}
	return sha(append(append([]byte{1}, naiveRoot(leaves[:k])...), naiveRoot(leaves[k:])...))
}

func naiveProof(i int, leaves [][]byte) [][]byte {
	if len(leaves) == 1 {
		return nil
	}
	k := 1
	for k*2 < len(leaves) {
		k *= 2
	}
	if i < k {
		return append(naiveProof(i, leaves[:k]), naiveRoot(leaves[k:]))
	}
	return append(naiveProof(i-k, leaves[k:]), naiveRoot(leaves[:k]))
}

func TestInclusionRoot(t *testing.T) {
	var leaves [][]byte
	for n := 1; n <= 33; n++ {
		leaves = append(leaves, []byte{byte(n)})
		root := naiveRoot(leaves)
		for i := range n {
			proof := naiveProof(i, leaves)
			got, ok := inclusionRoot(leaves[i], int64(i), int64(n), proof)
			if !ok || string(got) != string(root) {
				t.Fatalf("leaf %d of %d: wrong root", i, n)
			}
			for j := range n + 1 { // another index never leads there
				if got, ok := inclusionRoot(leaves[i], int64(j), int64(n), proof); j != i && ok && string(got) == string(root) {
					t.Fatalf("leaf %d of %d passes as leaf %d", i, n, j)
				}
			}
			if len(proof) > 0 {
				if got, ok := inclusionRoot(leaves[i], int64(i), int64(n), proof[1:]); ok && string(got) == string(root) {
					t.Fatalf("leaf %d of %d passes with a short proof", i, n)
				}
			}
		}
	}
}
