package sigstore

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/internal/sigalg"
	"github.com/hallmark-build/hallmark/internal/sigstore/sigstoretest"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/sign"
)

func wantError(t *testing.T, err error, reasons ...string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("got error %v, want one with reason %v", err, reasons)
	}
	for _, r := range reasons {
		if e.Reason == r {
			return
		}
	}
	t.Fatalf("got reason %s (%v), want %v", e.Reason, err, reasons)
}

// signAll signs a statement and an artifact.
func signAll(ctx context.Context, t testing.TB, s Services) error {
	ss, err := NewSession(ctx, s, StaticToken(goodToken))
	if err != nil {
		return err
	}
	defer ss.Close()
	if _, err := ss.SignStatement(ctx, testStatement(t, "app")); err != nil {
		return err
	}
	a, err := provenance.DigestReader(ctx, "app", strings.NewReader("app"))
	if err != nil {
		return err
	}
	_, err = ss.SignArtifact(ctx, a)
	return err
}

func TestSign(t *testing.T) {
	for version := 1; version <= 2; version++ {
		if err := signAll(t.Context(), t, newFake(t).services(version)); err != nil {
			t.Errorf("rekor v%d: %v", version, err)
		}
	}
}

func TestSignStatements(t *testing.T) {
	f := newFake(t)
	s := f.services(2)
	s.Workers = 3
	var seen []int
	s.Progress = func(done, total int) { seen = append(seen, done*1000+total) }
	ss, err := NewSession(t.Context(), s, StaticToken(goodToken))
	if err != nil {
		t.Fatal(err)
	}
	defer ss.Close()
	var sts []*provenance.Statement
	for i := range 10 {
		sts = append(sts, testStatement(t, fmt.Sprint("app", i)))
	}
	bundles, err := ss.SignStatements(t.Context(), sts...)
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range bundles {
		if !bytes.Contains(b, []byte(b64(sts[i].Payload()))) {
			t.Errorf("bundle %d is not of statement %d", i, i)
		}
	}
	if len(seen) != 10 || seen[9] != 10010 {
		t.Errorf("progress %v", seen)
	}
	if n := f.count(pathFulcio); n != 1 {
		t.Errorf("%d certificates, want 1", n)
	}
	if _, err := ss.SignStatements(t.Context()); err == nil {
		t.Error("nothing to sign passes")
	}
	sts[4] = nil
	_, err = ss.SignStatements(t.Context(), sts...)
	wantError(t, err, ReasonInput)
}

// TestEdge79_Servers has every server misbehave in every way that HTTP has.
func TestEdge79_Servers(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("request reached another host: %s, authorization %q", r.URL, r.Header.Get("Authorization"))
	}))
	t.Cleanup(other.Close) // after the parallel subtests
	endless := func(w http.ResponseWriter, r *http.Request) {
		chunk := bytes.Repeat([]byte(" "), 64<<10)
		for r.Context().Err() == nil {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	}
	typed := func(r *http.Request) string {
		if r.URL.Path == pathTSA {
			return "application/timestamp-reply"
		}
		return "application/json"
	}
	for name, tc := range map[string]struct {
		answer   http.HandlerFunc
		reason   string
		requests int
	}{
		"HTML": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			io.WriteString(w, "<html>log in to the hotel's network</html>")
		}, ReasonAnswer, 1},
		"garbage": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", typed(r))
			io.WriteString(w, "<html>")
		}, ReasonAnswer, 1},
		"empty": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", typed(r))
		}, ReasonAnswer, 1},
		"gzip": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", typed(r))
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			z.Write(make([]byte, 1<<20))
			z.Close()
		}, ReasonAnswer, 1},
		"endless": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", typed(r))
			endless(w, r)
		}, ReasonAnswer, 1},
		"endless error": {func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(400)
			endless(w, r)
		}, ReasonAnswer, 1},
		"redirect to another host": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL+r.URL.Path, http.StatusTemporaryRedirect)
		}, ReasonHTTP, 1},
		"redirect that drops the body": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path, http.StatusFound)
		}, ReasonHTTP, 1},
		"redirect loop": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path, http.StatusTemporaryRedirect)
		}, ReasonHTTP, 4},
		"400": {func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, "no\x1b[31m "+r.Header.Get("Authorization"), 400)
		}, ReasonStatus, 1},
		"404":                        {http.NotFound, ReasonStatus, 1},
		"500":                        {func(w http.ResponseWriter, r *http.Request) { http.Error(w, "oh", 500) }, ReasonStatus, 3},
		"http.StatusTooManyRequests": {func(w http.ResponseWriter, r *http.Request) { http.Error(w, "slow down", http.StatusTooManyRequests) }, ReasonStatus, 3},
		"broken off": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100")
			w.Header().Set("Content-Type", typed(r))
			io.WriteString(w, "{")
		}, ReasonHTTP, 1},
	} {
		for path, version := range map[string]int{pathFulcio: 2, pathLogV1: 1, pathLogV2: 2, pathTSA: 2} {
			t.Run(name+path, func(t *testing.T) {
				t.Parallel()
				f := newFake(t)
				f.raw[path] = tc.answer
				err := signAll(t.Context(), t, f.services(version))
				wantError(t, err, tc.reason)
				if strings.Contains(err.Error(), goodToken) || strings.ContainsAny(err.Error(), "\x1b\n") {
					t.Errorf("message shows what it must not: %q", err)
				}
				if !strings.HasPrefix(err.Error(), f.URL) {
					t.Errorf("message does not name the server: %v", err)
				}
				if n := f.count(path); n != tc.requests {
					t.Errorf("%d requests, want %d", n, tc.requests)
				}
			})
		}
	}
}

// TestEdge79_Recovers: a server that is busy once is asked again.
func TestEdge79_Recovers(t *testing.T) {
	f := newFake(t)
	inner := f.Config.Handler
	failed := map[string]bool{}
	f.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		first := !failed[r.URL.Path]
		failed[r.URL.Path] = true
		f.mu.Unlock()
		if first {
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(503)
			return
		}
		inner.ServeHTTP(w, r)
	})
	if err := signAll(t.Context(), t, f.services(2)); err != nil {
		t.Fatal(err)
	}
}

// TestConflict: a log that took an entry, failed to say so and was asked again
// gets another signature; one that always has it ends in an error.
func TestConflict(t *testing.T) {
	for _, path := range []string{pathLogV1, pathLogV2} {
		version := 1
		if path == pathLogV2 {
			version = 2
		}
		f := newFake(t)
		inner := f.Config.Handler
		n, always := 0, false
		f.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == path {
				n++
				if n == 1 {
					w.WriteHeader(502)
					return
				}
				if n == 2 || always {
					w.Header().Set("Location", "/api/v1/log/entries/not-hex")
					w.WriteHeader(409)
					return
				}
			}
			inner.ServeHTTP(w, r)
		})
		if err := signAll(t.Context(), t, f.services(version)); err != nil {
			t.Errorf("rekor v%d: %v", version, err)
		}
		always = true
		wantError(t, signAll(t.Context(), t, f.services(version)), ReasonConflict)
	}
}

// TestEdge79_Cancelled: whoever gives up gets the answer at once, and nothing
// goes on.
func TestEdge79_Cancelled(t *testing.T) {
	before := runtime.NumGoroutine()
	for _, path := range []string{pathFulcio, pathLogV2, pathTSA} {
		f := newFake(t)
		f.raw[path] = func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body) // or the server does not see the client go
			w.WriteHeader(200)
			for r.Context().Err() == nil { // a drop now and then
				w.Write([]byte(" "))
				w.(http.Flusher).Flush()
				time.Sleep(5 * time.Millisecond)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		start := time.Now()
		err := signAll(ctx, t, f.services(2))
		cancel()
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%s: got %v, want the context's error", path, err)
		}
		if d := time.Since(start); d > 2*time.Second {
			t.Errorf("%s: took %v", path, d)
		}
		f.Close()
	}
	for range 200 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	buf := make([]byte, 1<<16)
	t.Errorf("goroutines left: %d before, %d after\n%s", before, runtime.NumGoroutine(), buf[:runtime.Stack(buf, true)])
}

// TestAnswers has servers answer well-formed, about something else.
func TestAnswers(t *testing.T) {
	proof := func(doc map[string]any) map[string]any { return doc["inclusionProof"].(map[string]any) }
	entry1 := func(doc map[string]any) map[string]any {
		for _, v := range doc {
			return v.(map[string]any)
		}
		return nil
	}
	proof1 := func(doc map[string]any) map[string]any {
		return entry1(doc)["verification"].(map[string]any)["inclusionProof"].(map[string]any)
	}
	for name, tc := range map[string]struct {
		path   string
		change func(doc map[string]any)
		reason string
	}{
		"v2 root":        {pathLogV2, func(d map[string]any) { proof(d)["rootHash"] = b64(make([]byte, 32)) }, ReasonMismatch},
		"v2 size":        {pathLogV2, func(d map[string]any) { proof(d)["treeSize"] = "7000" }, ReasonMismatch},
		"v2 index":       {pathLogV2, func(d map[string]any) { d["logIndex"] = "0" }, ReasonMismatch},
		"v2 index < 0":   {pathLogV2, func(d map[string]any) { d["logIndex"] = "-1" }, ReasonAnswer},
		"v2 no proof":    {pathLogV2, func(d map[string]any) { delete(d, "inclusionProof") }, ReasonAnswer},
		"v2 hashes":      {pathLogV2, func(d map[string]any) { proof(d)["hashes"] = []any{} }, ReasonMismatch},
		"v2 long hashes": {pathLogV2, func(d map[string]any) { proof(d)["hashes"] = make([]string, 100) }, ReasonAnswer},
		"v2 checkpoint": {pathLogV2, func(d map[string]any) {
			proof(d)["checkpoint"] = map[string]any{"envelope": "fake.test\n1\nAAAA\n\n\u2014 fake.test AAAA\n"}
		}, ReasonMismatch},
		"v2 unsigned checkpoint": {pathLogV2, func(d map[string]any) {
			proof(d)["checkpoint"] = map[string]any{"envelope": "fake.test\n1\nAAAA\n"}
		}, ReasonAnswer},
		"v2 other body": {pathLogV2, func(d map[string]any) {
			d["canonicalizedBody"] = b64([]byte(`{"apiVersion":"0.0.2","kind":"hashedrekord","spec":{}}`))
		}, ReasonMismatch},
		"v2 kind":        {pathLogV2, func(d map[string]any) { d["kindVersion"] = map[string]any{"kind": "dsse", "version": "0.0.2"} }, ReasonMismatch},
		"v2 no log id":   {pathLogV2, func(d map[string]any) { delete(d, "logId") }, ReasonAnswer},
		"v2 number":      {pathLogV2, func(d map[string]any) { d["logIndex"] = 5 }, ReasonAnswer},
		"v1 root":        {pathLogV1, func(d map[string]any) { proof1(d)["rootHash"] = strings.Repeat("00", 32) }, ReasonMismatch},
		"v1 index":       {pathLogV1, func(d map[string]any) { proof1(d)["logIndex"] = 0 }, ReasonMismatch},
		"v1 size":        {pathLogV1, func(d map[string]any) { proof1(d)["treeSize"] = 1 << 40 }, ReasonMismatch},
		"v1 not hex":     {pathLogV1, func(d map[string]any) { proof1(d)["hashes"] = []string{"zz"} }, ReasonAnswer},
		"v1 no SET":      {pathLogV1, func(d map[string]any) { delete(entry1(d)["verification"].(map[string]any), "signedEntryTimestamp") }, ReasonMismatch},
		"v1 no time":     {pathLogV1, func(d map[string]any) { entry1(d)["integratedTime"] = 0 }, ReasonMismatch},
		"v1 late":        {pathLogV1, func(d map[string]any) { entry1(d)["integratedTime"] = stampTime.AddDate(1, 0, 0).Unix() }, ReasonMismatch},
		"v1 two entries": {pathLogV1, func(d map[string]any) { d["cd"] = entry1(d) }, ReasonAnswer},
		"v1 none":        {pathLogV1, func(d map[string]any) { clear(d) }, ReasonAnswer},
		"v1 other body": {pathLogV1, func(d map[string]any) {
			entry1(d)["body"] = b64([]byte(`{"apiVersion":"0.0.1","kind":"dsse","spec":{}}`))
		}, ReasonMismatch},
		"no certificate": {pathFulcio, func(d map[string]any) { clear(d) }, ReasonAnswer},
		"two in one block": {pathFulcio, func(d map[string]any) {
			c := d["signedCertificateEmbeddedSct"].(map[string]any)["chain"].(map[string]any)
			l := c["certificates"].([]any)
			c["certificates"] = []any{l[0].(string) + l[1].(string)}
		}, ReasonAnswer},
		"the CA's own certificate": {pathFulcio, func(d map[string]any) {
			c := d["signedCertificateEmbeddedSct"].(map[string]any)["chain"].(map[string]any)
			c["certificates"] = c["certificates"].([]any)[1:]
		}, ReasonMismatch},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			f.change = func(path string, doc map[string]any) {
				if path == tc.path {
					tc.change(doc)
				}
			}
			version := 2
			if tc.path == pathLogV1 {
				version = 1
			}
			wantError(t, signAll(t.Context(), t, f.services(version)), tc.reason)
		})
	}
	for name, tc := range map[string]struct {
		change func(*tstInfo, *timestampResponse)
		reason string
	}{
		"other imprint": {func(i *tstInfo, _ *timestampResponse) { i.Imprint.Hash = make([]byte, 32) }, ReasonMismatch},
		"other hash":    {func(i *tstInfo, _ *timestampResponse) { i.Imprint.Algorithm.Algorithm = oidSignedData }, ReasonMismatch},
		"other nonce":   {func(i *tstInfo, _ *timestampResponse) { i.Nonce = big.NewInt(1) }, ReasonMismatch},
		"no nonce":      {func(i *tstInfo, _ *timestampResponse) { i.Nonce = nil }, ReasonMismatch},
		"before":        {func(i *tstInfo, _ *timestampResponse) { i.Time = stampTime.AddDate(0, 0, -1).UTC() }, ReasonMismatch},
		"after":         {func(i *tstInfo, _ *timestampResponse) { i.Time = stampTime.AddDate(0, 0, 1).UTC() }, ReasonMismatch},
		"refused":       {func(_ *tstInfo, r *timestampResponse) { r.Status.Status = 2 }, ReasonStatus},
		"with mods":     {func(_ *tstInfo, r *timestampResponse) { r.Status.Status = 1 }, ReasonStatus},
	} {
		t.Run("timestamp "+name, func(t *testing.T) {
			f := newFake(t)
			f.stamp = tc.change
			wantError(t, signAll(t.Context(), t, f.services(2)), tc.reason)
		})
	}
	for name, spec := range map[string]*sigstoretest.Spec{
		"no SCT":  {At: stampTime, NoSCT: true},
		"no EKU":  {At: stampTime, Precert: func(c *x509.Certificate) { c.ExtKeyUsage = nil }},
		"a CA":    {At: stampTime, Precert: func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }},
		"expired": {At: stampTime.AddDate(0, 0, -1)},
	} {
		t.Run("certificate "+name, func(t *testing.T) {
			f := newFake(t)
			f.leaf = spec
			s := f.services(2)
			wantError(t, signAll(t.Context(), t, s), ReasonMismatch)
			if s.UnsafeNoSCT = true; name == "no SCT" {
				if err := signAll(t.Context(), t, s); err != nil {
					t.Errorf("with UnsafeNoSCT: %v", err)
				}
			}
		})
	}
	t.Run("certificate for another key", func(t *testing.T) {
		f := newFake(t)
		f.change = func(path string, doc map[string]any) {
			if path == pathFulcio {
				c := doc["signedCertificateEmbeddedSct"].(map[string]any)["chain"].(map[string]any)
				c["certificates"].([]any)[0] = pemText(f.world.Leaf(sigstoretest.ECKey(elliptic.P256()).Public(), f.leaf))
			}
		}
		wantError(t, signAll(t.Context(), t, f.services(2)), ReasonMismatch)
	})
}

func TestServices(t *testing.T) {
	f := newFake(t)
	good := f.services(2)
	for name, change := range map[string]func(*Services){
		"nothing":         func(s *Services) { *s = Services{} },
		"no fulcio":       func(s *Services) { s.Fulcio = "" },
		"plain http":      func(s *Services) { s.Fulcio = "http://fulcio.example.com" },
		"other scheme":    func(s *Services) { s.Fulcio = "file:///etc/passwd" },
		"user":            func(s *Services) { s.Fulcio = "https://user:secret@fulcio.example.com" },
		"no log":          func(s *Services) { s.Logs = nil },
		"log version":     func(s *Services) { s.Logs[0].Version = 3 },
		"log version 0":   func(s *Services) { s.Logs[0].Version = 0 },
		"log twice":       func(s *Services) { s.Logs = append(s.Logs, s.Logs[0]) },
		"no trusted time": func(s *Services) { s.TimestampAuthorities = nil },
		"authority twice": func(s *Services) { s.TimestampAuthorities = append(s.TimestampAuthorities, s.TimestampAuthorities[0]) },
		"workers":         func(s *Services) { s.Workers = -1 },
	} {
		t.Run(name, func(t *testing.T) {
			s := good
			s.Logs = append([]Log(nil), good.Logs...)
			s.TimestampAuthorities = append([]string(nil), good.TimestampAuthorities...)
			change(&s)
			_, err := NewSession(t.Context(), s, StaticToken(goodToken))
			wantError(t, err, ReasonConfig)
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("message shows a password: %v", err)
			}
		})
	}
	if n := f.count(pathFulcio); n != 0 {
		t.Errorf("%d requests for services that are refused", n)
	}
	t.Run("no log on purpose", func(t *testing.T) {
		s := good
		s.Logs, s.UnsafeNoLog = nil, true
		if err := signAll(t.Context(), t, s); err != nil {
			t.Error(err)
		}
	})
}

func TestKeySession(t *testing.T) {
	f := newFake(t)
	signer := func(s DigestSigner, err error) sign.Signer {
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	p256 := signer(NewSigner(sigstoretest.ECKey(elliptic.P256())))
	_, edKey, _ := ed25519.GenerateKey(rand.Reader)
	ed := signer(NewSigner(edKey))
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	pss, err := sign.NewSigner(rsaKey, sign.RSAPSS)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		services Services
		signer   sign.Signer
		reason   string
	}{
		"no key":       {f.services(2), nil, ReasonKey},
		"ed25519 v2":   {f.services(2), ed, ReasonKey},
		"pss":          {f.services(1), pss, ReasonKey},
		"no witnesses": {Services{UnsafeNoLog: true}, p256, ReasonConfig},
	} {
		_, err := NewKeySession(tc.services, tc.signer)
		t.Run(name, func(t *testing.T) { wantError(t, err, tc.reason) })
	}
	ss, err := NewKeySession(f.services(2), p256)
	if err != nil {
		t.Fatal(err)
	}
	defer ss.Close()
	hint, err := sigalg.KeyID(p256.Public())
	if err != nil {
		t.Fatal(err)
	}
	b, err := ss.SignStatement(t.Context(), testStatement(t, "app"))
	if err != nil || !bytes.Contains(b, []byte(`"publicKey":{"hint":"`+hint+`"}`)) {
		t.Errorf("%v: %s", err, b)
	}
	if ss.Certificate() != nil {
		t.Error("a managed key with a certificate")
	}
	a, _ := provenance.DigestReader(t.Context(), "app", strings.NewReader("app"))
	if _, err := ss.SignArtifact(t.Context(), a); err != nil {
		t.Error(err)
	}
	// A signer that cannot sign digests, and one that lies.
	plain, err := sign.NewSigner(sigstoretest.ECKey(elliptic.P256()), "")
	if err != nil {
		t.Fatal(err)
	}
	ss2, err := NewKeySession(f.services(2), plain)
	if err != nil {
		t.Fatal(err)
	}
	defer ss2.Close()
	_, err = ss2.SignArtifact(t.Context(), a)
	wantError(t, err, ReasonSigner)
	_, err = ss.SignArtifact(t.Context(), provenance.Artifact{})
	wantError(t, err, ReasonInput)
	ss3, err := NewKeySession(f.services(2), liar{p256.(DigestSigner), sigstoretest.ECKey(elliptic.P256())})
	if err != nil {
		t.Fatal(err)
	}
	defer ss3.Close()
	_, err = ss3.SignStatement(t.Context(), testStatement(t, "app"))
	wantError(t, err, ReasonSigner)
	_, err = ss3.SignArtifact(t.Context(), a)
	wantError(t, err, ReasonSigner)
}

// liar signs with another key than it shows.
type liar struct {
	DigestSigner
	key *ecdsa.PrivateKey
}

func (l liar) Sign(_ context.Context, m []byte) ([]byte, error) {
	return ecdsa.SignASN1(rand.Reader, l.key, sha(m))
}

func (l liar) SignDigest(_ context.Context, d []byte) ([]byte, error) {
	return ecdsa.SignASN1(rand.Reader, l.key, d)
}
