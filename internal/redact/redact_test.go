package redact

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
)

const secret = "s3cr3t+/Val&ue=\"x'y"

// edge80: the value of a secret variable in every form that a build may give it.
func TestEdge80_KnownValues(t *testing.T) {
	s := New(nil, []string{"HOME=/home/u", "DEPLOY_TOKEN=" + secret, "PIN=12345", "PWD=/src/project"})
	quoted, _ := json.Marshal(secret)
	wrapped := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("p", 50) + secret + strings.Repeat("q", 40)))
	wrapped = wrapped[:76] + "\r\n" + wrapped[76:]
	forms := map[string]string{
		"raw":            secret,
		"in a sentence":  "token is " + secret + ", keep it",
		"base64":         base64.StdEncoding.EncodeToString([]byte(secret)),
		"base64url":      base64.RawURLEncoding.EncodeToString([]byte(secret)),
		"base64 after 1": base64.StdEncoding.EncodeToString([]byte("u" + secret)),
		"base64 after 2": base64.StdEncoding.EncodeToString([]byte("u:" + secret + "\n")),
		"base64 within":  base64.URLEncoding.EncodeToString([]byte("user:" + secret + "@host")),
		"base64 wrapped": wrapped,
		"hex":            hex.EncodeToString([]byte(secret)),
		"HEX":            strings.ToUpper(hex.EncodeToString([]byte("a" + secret))),
		"query":          "https://h/?x=" + url.QueryEscape(secret),
		"path":           "https://h/" + url.PathEscape(secret),
		"query, lower":   lowerHex(url.QueryEscape(secret)),
		"json":           string(quoted),
		"go":             fmt.Sprintf("%q", secret),
		"html":           html.EscapeString(secret),
		"shell":          "'" + strings.ReplaceAll(secret, "'", `'\''`) + "'",
		"wrapped":        secret[:7] + "\n" + secret[7:],
	}
	for name, in := range forms {
		got := s.String(in)
		if !strings.Contains(got, Marker) {
			t.Errorf("%s: not found in %q", name, in)
		}
		if leaks(got, secret) {
			t.Errorf("%s: %q still tells the secret", name, got)
		}
		if again := s.String(got); again != got {
			t.Errorf("%s: redacting twice: %q, then %q", name, got, again)
		}
	}
	for _, in := range []string{"12345", "cd /src/project", "HOME is /home/u", "s3cr3t", ""} {
		if got := s.String(in); got != in {
			t.Errorf("%q became %q", in, got)
		}
	}
}

// leaks reports whether text holds secret in a form that a reader can undo.
func leaks(text, secret string) bool {
	flat := strings.NewReplacer("\r", "", "\n", "").Replace(text)
	texts := []string{text, flat, html.UnescapeString(text)}
	if u, err := url.QueryUnescape(flat); err == nil {
		texts = append(texts, u)
	}
	if u, err := url.PathUnescape(flat); err == nil {
		texts = append(texts, u)
	}
	b64 := func(c rune) bool { return c > 127 || !isBase64(byte(c)) }
	for word := range strings.FieldsFuncSeq(flat, b64) {
		for skip := range min(4, len(word)) {
			for _, e := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
				w := word[skip:]
				b, _ := e.DecodeString(w[:len(w)/4*4])
				texts = append(texts, string(b))
			}
			b, _ := hex.DecodeString(word[skip : skip+(len(word)-skip)/2*2])
			texts = append(texts, string(b))
		}
	}
	return slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(s, secret) })
}

func TestShapes(t *testing.T) {
	var s Set
	word := strings.Repeat("aB3", 14)
	for name, c := range map[string]struct{ in, want string }{
		"github":         {"x ghp_" + word + " y", "x [redacted] y"},
		"github fine":    {"github_pat_" + word, Marker},
		"gitlab":         {"glpat-" + word[:20] + ".", "[redacted]."},
		"aws":            {"id AKIAIOSFODNN7EXAMPLE", "id [redacted]"},
		"slack":          {"xoxb-123456789012-abc", Marker},
		"npm":            {"//r/:_authToken=npm_" + word, "//r/:_authToken=" + Marker},
		"jwt":            {"eyJhbGciOiJub25lIn0.eyJzdWIiOiJ1IiwiYSI6MX0.c2ln", Marker},
		"not a jwt":      {"eyJhbGciOiJub25lIn0 eyJzdWIiOiJ1IiwiYSI6MX0", "eyJhbGciOiJub25lIn0 eyJzdWIiOiJ1IiwiYSI6MX0"},
		"userinfo":       {"clone https://u:t0p@h.example/r.git", "clone https://[redacted]@h.example/r.git"},
		"token as user":  {"https://abcdef@h/r", "https://[redacted]@h/r"},
		"at in password": {"https://u:p@ss@h/r", "https://[redacted]@h/r"},
		"ssh user":       {"ssh://git@h/r", "ssh://git@h/r"},
		"scp":            {"git@h:o/r.git", "git@h:o/r.git"},
		"query":          {"GET /a?x=1&access_token=abc&y=2", "GET /a?x=1&access_token=[redacted]&y=2"},
		"signed URL":     {"https://b/o?X-Amz-Signature=abc123", "https://b/o?X-Amz-Signature=[redacted]"},
		"bearer":         {"Authorization: bearer abcdefghijklmnop=", "Authorization: bearer [redacted]"},
		"pem":            {"a\n-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----\nb", "a\n[redacted]\nb"},
		"pem, no end":    {"a -----BEGIN PRIVATE KEY-----\nMII", "a [redacted]"},
		"certificate":    {"-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----", "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----"},
		"assignment":     {"cd x && API_KEY=abc make; ls", "cd x && API_KEY=[redacted] make; ls"},
		"quoted":         {`API_KEY="a b" make`, `API_KEY="[redacted]" make`},
		"plain":          {"sha256:" + strings.Repeat("ab", 32), "sha256:" + strings.Repeat("ab", 32)},
	} {
		if got := s.String(c.in); got != c.want {
			t.Errorf("%s: %q became %q, want %q", name, c.in, got, c.want)
		}
	}
}

func TestArgv(t *testing.T) {
	argv := []string{"deploy", "--token=ab", "--password", "cd", "--secret", "--verbose", "API_KEY=xy", "-o", "out", "--x=1"}
	want := []string{"deploy", "--token=[redacted]", "--password", Marker, "--secret", "--verbose", "API_KEY=[redacted]", "-o", "out", "--x=1"}
	var s Set
	if got := s.Argv(argv); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := ArgvSecrets(argv), []string{"ab", "cd", "xy"}; !slices.Equal(got, want) {
		t.Errorf("values: got %q, want %q", got, want)
	}
}

func TestURL(t *testing.T) {
	var s Set
	for in, want := range map[string]string{
		"https://u:t@h/r.git":         "https://h/r.git",
		"https://ghp_x@h/r.git#frag":  "https://h/r.git",
		"ssh://git@h:22/r":            "ssh://git@h:22/r",
		"ssh://alice@h/r":             "ssh://h/r",
		"git@h:o/r":                   "git@h:o/r",
		"alice@h:o/r":                 "h:o/r",
		"/home/alice/r":               "",
		"../r":                        "",
		"file:///home/alice/r":        "",
		`C:\Users\alice\r`:            "",
		"https://h/r?private_token=a": "https://h/r?private_token=[redacted]",
	} {
		if got := s.URL(in); got != want {
			t.Errorf("URL(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestSecretName(t *testing.T) {
	for _, n := range []string{"GITHUB_TOKEN", "token", "DB_PASSWORD", "AWS_SECRET_ACCESS_KEY", "NPM_AUTH", "apiKey", "DB_PWD", "x-api-key", "GOOGLE_CREDENTIALS"} {
		if !SecretName(n) {
			t.Errorf("%s is not taken for secret", n)
		}
	}
	for _, n := range []string{"HOME", "PWD", "OLDPWD", "PATH", "KEYBOARD", "SSH_AUTH_SOCK", "MONKEY", "GOFLAGS", ""} {
		if SecretName(n) {
			t.Errorf("%s is taken for secret", n)
		}
	}
	s := New(nil, []string{"TOKEN_FILE=/run/secrets/token", "DATABASE_URL=postgres://u:hunter22@db/x", "GOPROXY=https://tok3nuser@p,direct"})
	if got, want := s.String("/run/secrets/token hunter22 tok3nuser"), "/run/secrets/token [redacted] [redacted]"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCut(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 40) + "end-of-key"
	s := New([]string{secret, long}, nil)
	for cut := 1; cut < len(long); cut++ {
		h, tail, found := s.Cut([]byte("before "+long[:cut]), []byte(long[cut:]+" after"))
		if got := string(h) + "|" + string(tail); got != "before [redacted]|[redacted] after" || !found {
			t.Fatalf("cut at %d: %q, %v", cut, got, found)
		}
	}
	// No white space at all, a token that only its prefix tells.
	h, tail, _ := s.Cut([]byte("x=ghp_abc"), []byte(strings.Repeat("d", 40)+";rest"))
	if strings.Contains(string(h), "ghp_") || strings.Contains(string(tail), "ddd") {
		t.Errorf("%q | %q", h, tail)
	}
	_, tail, _ = s.Cut(nil, []byte("MIIEvQIBADAN\nBgkqhkiG9w0BAQEF\n-----END PRIVATE KEY-----\nok"))
	if string(tail) != "[redacted]\nok" {
		t.Errorf("end of a key: %q", tail)
	}
	h, tail, found := s.Cut([]byte("compiling pack"), []byte("age\ndone"))
	if string(h) != "compiling [redacted]" || string(tail) != "[redacted]\ndone" || found {
		t.Errorf("no secret: %q | %q, %v", h, tail, found)
	}
}

func TestMultiline(t *testing.T) {
	key := "first line of the key\nsecond line of the key\n"
	s := New([]string{key}, nil)
	if got := s.String("  first line of the key\n  second line of the key\n"); strings.Contains(got, "line") {
		t.Errorf("indented: %q", got)
	}
}

// No known secret survives in any of its forms, whatever is around it, and
// what is redacted is redacted for good.
func FuzzSet(f *testing.F) {
	f.Add("hunter22", "the password is ", ".", uint8(0))
	f.Add(secret, "user:", "@host", uint8(1))
	f.Add("aaaaaaaa", "aaa", "aaaa", uint8(2))
	f.Add("line one of it\nline two of it", "", "\n", uint8(3))
	f.Add("ghp_0123456789abcdefghij", "https://x:", "@h", uint8(4))
	f.Fuzz(func(t *testing.T, value, before, after string, how uint8) {
		value = strings.TrimSpace(value)
		if len(value) < MinValue || len(value) > 1<<12 || len(before)+len(after) > 1<<14 {
			return
		}
		// A value that is a part of the marker, or of the marker twice, is there however well it was removed.
		if strings.ContainsAny(value, "[]") || strings.Contains(Marker, value) {
			return
		}
		text := before + value + after
		form := value
		switch how % 6 {
		case 1:
			form = base64.StdEncoding.EncodeToString([]byte(text))
			text = form
		case 2:
			form = base64.RawURLEncoding.EncodeToString([]byte(text))
			text = form
		case 3:
			form = hex.EncodeToString([]byte(value))
			text = before + form + after
		case 4:
			form = url.QueryEscape(value)
			text = before + form + after
		case 5:
			b, _ := json.Marshal(value)
			form = string(b[1 : len(b)-1])
			text = before + form + after
		}
		s := New([]string{value}, nil)
		got := s.String(text)
		if !strings.Contains(got, Marker) {
			t.Fatalf("nothing removed from %q", text)
		}
		if how%6 == 0 || how%6 > 2 {
			if strings.Contains(got, form) && !strings.Contains(Marker, form) {
				t.Fatalf("%q still holds %q", got, form)
			}
		} else if b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(got, "=")); err == nil && bytes.Contains(b, []byte(value)) {
			t.Fatalf("%q still holds the value", got)
		}
	})
}

func BenchmarkBytes(b *testing.B) {
	var values []string
	r := rand.New(rand.NewPCG(1, 2))
	for range 30 {
		v := make([]byte, 40)
		for i := range v {
			v[i] = byte('!' + r.IntN(90))
		}
		values = append(values, string(v))
	}
	s := New(values, nil)
	text := bytes.Repeat([]byte("compile package/with/a/path file.go:12:5: some ordinary message of a build\n"), 1<<20/75)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		s.Bytes(text)
	}
}
