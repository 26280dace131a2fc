package e2e

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/internal/e2e/sigstack"
	"github.com/hallmark-build/hallmark/verify/tuf"
)

// tufRepository serves a repository and counts requests.
func tufRepository(t *testing.T) (*sigstack.TUFRepository, tuf.Repository, *atomic.Int64) {
	t.Helper()
	published, err := sigstack.NewTUFRepository()
	if err != nil {
		t.Fatal(err)
	}
	var requests atomic.Int64
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		published.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	publish(t, published, "one")
	return published, tuf.Repository{URL: srv.URL, Root: published.Root(), Cache: filepath.Join(t.TempDir(), "cache")}, &requests
}

const (
	target = "trusted_root.json"
	nested = "a/b/nested.json"
)

var tufEpoch = time.Date(2031, 5, 1, 0, 0, 0, 0, time.UTC)

func publish(t *testing.T, r *sigstack.TUFRepository, content string) {
	t.Helper()
	if err := r.Publish(map[string][]byte{target: []byte(content), nested: []byte("nested")}, tufEpoch.Add(24*time.Hour)); err != nil {
		t.Fatal(err)
	}
}

func fetch(t *testing.T, r tuf.Repository, at time.Time) (string, error) {
	t.Helper()
	files, err := r.Fetch(t.Context(), at, target)
	return string(files[target]), err
}

func wantFetch(t *testing.T, r tuf.Repository, want string) {
	t.Helper()
	if got, err := fetch(t, r, tufEpoch); err != nil || got != want {
		t.Fatalf("got %q, %v; want %q", got, err, want)
	}
}

func wantTUFError(t *testing.T, err error, reason string) {
	t.Helper()
	var e *tuf.Error
	if !errors.As(err, &e) || e.Reason != reason {
		t.Fatalf("got error %v, want reason %s", err, reason)
	}
}

func TestTUFStack(t *testing.T) {
	s := stack(t)
	files, err := tuf.Repository{URL: s.TUFURL, Root: s.TUF.Root()}.Fetch(t.Context(), time.Now(), "trusted_root.json", "signing_config.v0.2.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(files["trusted_root.json"], s.TrustedRoot) || !bytes.Equal(files["signing_config.v0.2.json"], s.SigningConfig) {
		t.Error("not the files that were published")
	}
}

func TestTUFUpdateAndOffline(t *testing.T) {
	published, r, requests := tufRepository(t)
	offline := r
	offline.Offline, offline.URL = true, ""
	_, err := fetch(t, offline, tufEpoch)
	wantTUFError(t, err, tuf.ReasonFetch)
	wantFetch(t, r, "one")
	wantFetch(t, offline, "one")

	n := requests.Load()
	wantFetch(t, r, "one")
	if n = requests.Load() - n; n != 2 { // the next root, and the timestamp
		t.Errorf("%d requests for what is cached, want 2", n)
	}
	publish(t, published, "two") // a new root too
	publish(t, published, "three")
	wantFetch(t, offline, "one")
	wantFetch(t, r, "three")
	wantFetch(t, offline, "three")
	_, err = r.Fetch(t.Context(), tufEpoch, target, "missing.json")
	wantTUFError(t, err, tuf.ReasonTarget)

	files, err := r.Fetch(t.Context(), tufEpoch, nested)
	if err != nil || string(files[nested]) != "nested" {
		t.Errorf("nested target: got %q, %v", files[nested], err)
	}

	// The clock is the caller's.
	_, err = fetch(t, r, tufEpoch.Add(25*time.Hour))
	wantTUFError(t, err, tuf.ReasonExpired)
	_, err = fetch(t, offline, tufEpoch.Add(25*time.Hour))
	wantTUFError(t, err, tuf.ReasonExpired)
}

func TestEdge74_TUFRollback(t *testing.T) {
	published, r, _ := tufRepository(t)
	old := published.File("timestamp.json")
	publish(t, published, "two")
	wantFetch(t, r, "two")
	published.SetFile("timestamp.json", old)
	_, err := fetch(t, r, tufEpoch)
	wantTUFError(t, err, tuf.ReasonRollback)
}

func TestTUFForger(t *testing.T) {
	other, err := sigstack.NewTUFRepository()
	if err != nil {
		t.Fatal(err)
	}
	publish(t, other, "evil")
	file := fmt.Sprintf("targets/%x.%s", sha256.Sum256([]byte("one")), target)
	for name, tc := range map[string]struct {
		file   string
		data   []byte
		reason string
	}{
		"timestamp of another":  {"timestamp.json", other.File("timestamp.json"), tuf.ReasonMetadata},
		"snapshot of another":   {"1.snapshot.json", other.File("1.snapshot.json"), tuf.ReasonMetadata},
		"targets of another":    {"1.targets.json", other.File("1.targets.json"), tuf.ReasonMetadata},
		"root of another":       {"2.root.json", other.File("1.root.json"), tuf.ReasonMetadata},
		"no timestamp":          {"timestamp.json", nil, tuf.ReasonFetch},
		"no targets":            {"1.targets.json", nil, tuf.ReasonFetch},
		"no file":               {file, nil, tuf.ReasonFetch},
		"other file, same size": {file, []byte("two"), tuf.ReasonTarget},
		"longer file":           {file, []byte("one and more"), tuf.ReasonFetch},
		"HTML":                  {"timestamp.json", []byte("<html>"), tuf.ReasonMetadata},
		"duplicate names":       {"timestamp.json", []byte(`{"signed":{},"signed":{}}`), tuf.ReasonMetadata},
		"endless timestamp":     {"timestamp.json", bytes.Repeat([]byte(" "), 9<<20), tuf.ReasonFetch},
		"timestamp as snapshot": {"1.snapshot.json", []byte("timestamp"), tuf.ReasonMetadata},
	} {
		t.Run(name, func(t *testing.T) {
			published, r, _ := tufRepository(t)
			if string(tc.data) == "timestamp" {
				tc.data = published.File("timestamp.json")
			}
			published.SetFile(tc.file, tc.data)
			_, err := fetch(t, r, tufEpoch)
			wantTUFError(t, err, tc.reason)
		})
	}
}

// TestTUFSpoiltCache changes every file of the cache: what was got online is
// got again, and offline it is refused.
func TestTUFSpoiltCache(t *testing.T) {
	published, r, _ := tufRepository(t)
	publish(t, published, "two")
	wantFetch(t, r, "two")
	folders, err := os.ReadDir(r.Cache)
	if err != nil || len(folders) != 1 {
		t.Fatal(folders, err)
	}
	dir := filepath.Join(r.Cache, folders[0].Name())
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	offline := r
	offline.Offline = true
	spoilt := 0
	for _, f := range files {
		if strings.HasPrefix(f.Name(), ".") { // the lock
			continue
		}
		spoilt++
		path := filepath.Join(dir, f.Name())
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, bad := range [][]byte{{}, data[:len(data)/2], bytes.Replace(data, []byte("2"), []byte("3"), 1), []byte("junk")} {
			if bytes.Equal(bad, data) {
				continue
			}
			if err := os.WriteFile(path, bad, 0o644); err != nil {
				t.Fatal(err)
			}
			// Without its root.json the rest of the cache, signed by the
			// same keys, still holds together.
			if got, err := fetch(t, offline, tufEpoch); err == nil && (got != "two" || len(bad) > 0) {
				t.Errorf("%s as %.20q: offline gives %q", f.Name(), bad, got)
			}
			wantFetch(t, r, "two")
		}
	}
	if spoilt < 5 {
		t.Errorf("only %d files in the cache: %v", spoilt, files)
	}
}
