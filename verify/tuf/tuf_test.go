package tuf

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// The workflow itself is tested with a repository that signs, in internal/e2e.

var now = time.Date(2031, 5, 1, 0, 0, 0, 0, time.UTC)

func testRoot(t *testing.T) []byte {
	t.Helper()
	root := metadata.Root(now.Add(time.Hour))
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, role := range []string{"root", "targets", "snapshot", "timestamp"} {
		public, err := metadata.KeyFromPublicKey(key.Public())
		if err != nil {
			t.Fatal(err)
		}
		if err := root.Signed.AddKey(public, role); err != nil {
			t.Fatal(err)
		}
	}
	signer, err := signature.LoadSigner(key, crypto.Hash(0))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := root.Sign(signer); err != nil {
		t.Fatal(err)
	}
	b, err := root.ToBytes(false)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func wantError(t *testing.T, err error, reason string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Reason != reason {
		t.Fatalf("got error %v, want reason %s", err, reason)
	}
}

func TestConfig(t *testing.T) {
	good := Repository{URL: "https://tuf.example.com", Root: testRoot(t), Cache: t.TempDir()}
	for name, tc := range map[string]struct {
		change func(*Repository)
		at     time.Time
		names  []string
	}{
		"nothing":       {func(r *Repository) { *r = Repository{} }, now, []string{"a"}},
		"no root":       {func(r *Repository) { r.Root = nil }, now, []string{"a"}},
		"junk root":     {func(r *Repository) { r.Root = []byte(`{"signed":{}}`) }, now, []string{"a"}},
		"unsigned root": {func(r *Repository) { r.Root = bytes.Replace(r.Root, []byte(`"sig":"`), []byte(`"sig":"00`), 1) }, now, []string{"a"}},
		"ambiguous root": {func(r *Repository) {
			r.Root = bytes.Replace(r.Root, []byte(`"signed":`), []byte(`"signed":{},"signed":`), 1)
		}, now, []string{"a"}},
		"plain HTTP":            {func(r *Repository) { r.URL = "http://tuf.example.com" }, now, []string{"a"}},
		"no URL":                {func(r *Repository) { r.URL = "" }, now, []string{"a"}},
		"targets over plain":    {func(r *Repository) { r.Targets = "http://tuf.example.com" }, now, []string{"a"}},
		"offline without cache": {func(r *Repository) { r.Offline, r.Cache = true, "" }, now, []string{"a"}},
		"no names":              {func(r *Repository) {}, now, nil},
		"no time":               {func(r *Repository) {}, time.Time{}, []string{"a"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := good
			tc.change(&r)
			_, err := r.Fetch(t.Context(), tc.at, tc.names...)
			wantError(t, err, ReasonConfig)
		})
	}
}

// TestEdge79_Server has the server misbehave at its first file.
func TestEdge79_Server(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { t.Errorf("another host was asked for %s", r.URL) }))
	defer other.Close()
	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		reason string
	}{
		"HTML":     {func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("<html>")) }, ReasonMetadata},
		"redirect": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, http.StatusFound) }, ReasonFetch},
		"500":      {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(500) }, ReasonFetch},
		"404":      {http.NotFound, ReasonFetch},
		"endless": {func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		}, ReasonFetch},
		"gzip": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Write([]byte{0x1f, 0x8b})
		}, ReasonFetch},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(tc.answer)
			defer srv.Close()
			_, err := Repository{URL: srv.URL, Root: testRoot(t), Cache: t.TempDir()}.Fetch(t.Context(), now, "a")
			wantError(t, err, tc.reason)
		})
	}
	t.Run("slow", func(t *testing.T) {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
		defer srv.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := Repository{URL: srv.URL, Root: testRoot(t)}.Fetch(ctx, now, "a")
		wantError(t, err, ReasonFetch)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the context's error", err)
		}
	})
}
