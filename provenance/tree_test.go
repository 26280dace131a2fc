package provenance_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/provenance"
)

func writeTree(t testing.TB) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range map[string]string{"bin/run": "#!/bin/sh\n", "README": "hello\n", ".git/HEAD": "ref: x\n"} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(root, "bin/run"), 0o755); err != nil {
		t.Fatal(err)
	}
	return root
}

func notGit(path string) bool { return path == ".git" }

func TestDigestTree(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there are no modes")
	}
	root := writeTree(t)
	tree, err := provenance.DigestTree(t.Context(), root, provenance.TreeOptions{Exclude: notGit, SHA512: true, GitFormat: "sha1"})
	if err != nil {
		t.Fatal(err)
	}
	if len(tree.Files) != 2 || tree.Files[0].Path != "README" || tree.Files[1].Path != "bin/run" || tree.Files[1].Mode != 0o755 {
		t.Fatalf("got %+v", tree.Files)
	}
	a, err := provenance.DigestFile(t.Context(), filepath.Join(root, "README"))
	if err != nil {
		t.Fatal(err)
	}
	digests := tree.Files[0].Digests
	if !digests.Matches(a.Digests) || len(digests) != 3 || digests.Get(provenance.SHA512) != a.Digests.Get(provenance.SHA512) {
		t.Errorf("got %v, want %v", digests, a.Digests)
	}
	// git hash-object README
	if want := provenance.MustDigest("gitBlob:ce013625030ba8dba906f756967f9e9ca394464a"); digests.Get(provenance.GitBlob) != want {
		t.Errorf("got %v, want %v", digests.Get(provenance.GitBlob), want)
	}
	whole := tree.Digests()
	if whole.Get(provenance.GitTree).IsZero() || whole.Get(provenance.DirHash).IsZero() || len(whole) != 2 {
		t.Errorf("got %v", whole)
	}
	for _, d := range append(whole, digests...) {
		if _, err := provenance.ParseDigest(d.String()); err != nil {
			t.Error(err)
		}
	}
	// What is found can be stated.
	st, err := provenance.NewStatement(append(tree.Descriptors(true), tree.Artifact("src").Descriptor()), "https://example.com/p", nil)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(st.Subjects()); n != 3 {
		t.Errorf("%d subjects", n)
	}
}

func TestDigestTreeLinks(t *testing.T) {
	root := t.TempDir()
	if err := os.Symlink("../../etc/passwd", filepath.Join(root, "l")); err != nil {
		t.Skip(err)
	}
	if err := os.WriteFile(filepath.Join(root, "f"), []byte("../../etc/passwd"), 0o4644); err != nil {
		t.Fatal(err)
	}
	os.Chmod(filepath.Join(root, "f"), 0o644|fs.ModeSetuid)
	tree, err := provenance.DigestTree(t.Context(), root, provenance.TreeOptions{GitFormat: "sha256"})
	if err != nil {
		t.Fatal(err)
	}
	if !tree.Digests().Get(provenance.DirHash).IsZero() || tree.Digests().Get(provenance.GitTree).IsZero() {
		t.Errorf("got %v", tree.Digests())
	}
	text := func(modes bool) string {
		var s []string
		for _, d := range tree.Descriptors(modes) {
			b, err := json.Marshal(d.Annotations)
			if err != nil {
				t.Fatal(err)
			}
			s = append(s, d.Name+" "+string(b))
		}
		return strings.Join(s, "\n")
	}
	if got, want := text(false), "f null\nl {\"link\":\"../../etc/passwd\"}"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if runtime.GOOS == "windows" {
		return
	}
	if got, want := text(true), "f {\"mode\":\"4644\"}\nl {\"link\":\"../../etc/passwd\",\"mode\":\"0777\"}"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestDigestTreeRefuses(t *testing.T) {
	root := writeTree(t)
	for name, test := range map[string]struct {
		root   string
		opts   provenance.TreeOptions
		reason string
	}{
		"no such directory":  {filepath.Join(root, "x"), provenance.TreeOptions{}, "tree-root"},
		"too large":          {root, provenance.TreeOptions{MaxBytes: 3}, "limit-exceeded"},
		".git in a git tree": {root, provenance.TreeOptions{GitFormat: "sha1"}, "tree-digest"},
	} {
		_, err := provenance.DigestTree(t.Context(), test.root, test.opts)
		var e *provenance.TreeError
		if !errors.As(err, &e) || e.Reason != test.reason {
			t.Errorf("%s: got %v, want reason %s", name, err, test.reason)
		}
	}
	_, err := provenance.DigestTree(t.Context(), filepath.Join(root, "x"), provenance.TreeOptions{})
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the cause is lost: %v", err)
	}
	if _, err := provenance.DigestTree(t.Context(), root, provenance.TreeOptions{GitFormat: "md5"}); err == nil {
		t.Error("git format md5 accepted")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := provenance.DigestTree(ctx, root, provenance.TreeOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestDigestTreeCache(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there is no cache")
	}
	root := writeTree(t)
	opts := provenance.TreeOptions{CacheFile: filepath.Join(t.TempDir(), "private", "cache")}
	var e *provenance.TreeError
	if _, err := provenance.DigestTree(t.Context(), root, opts); !errors.As(err, &e) || e.Reason != "tree-cache" {
		t.Errorf("without a clock: got %v", err)
	}
	opts.Now = func() time.Time { return time.Now().Add(time.Hour) }
	var read int64
	opts.Progress = func(files, bytes int64) { read = bytes }
	var all [2]string
	for i, want := range []bool{true, false} {
		tree, err := provenance.DigestTree(t.Context(), root, opts)
		if err != nil {
			t.Fatal(err)
		}
		if got := read > 0; got != want {
			t.Errorf("call %d read %d bytes", i, read)
		}
		all[i] = fmt.Sprint(tree)
	}
	if all[0] != all[1] {
		t.Errorf("with the cache: %s, without: %s", all[1], all[0])
	}
}

func BenchmarkDigestTree(b *testing.B) {
	//lint:ignore SA1019 the tests run where they were built
	root := runtime.GOROOT()
	for _, cached := range []bool{false, true} {
		b.Run(fmt.Sprintf("cache=%v", cached), func(b *testing.B) {
			var opts provenance.TreeOptions
			if cached {
				opts = provenance.TreeOptions{CacheFile: filepath.Join(b.TempDir(), "private", "cache"), Now: time.Now}
			}
			tree, err := provenance.DigestTree(b.Context(), root, opts)
			if err != nil {
				b.Skip(err)
			}
			b.ReportAllocs()
			b.ReportMetric(float64(len(tree.Files)), "files")
			for b.Loop() {
				if _, err := provenance.DigestTree(b.Context(), root, opts); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
