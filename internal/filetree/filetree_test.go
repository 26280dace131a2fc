package filetree

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/dirhash"

	"github.com/hallmark-build/hallmark/internal/limits"
)

// writeTree makes files; a content of "-> x" makes a symbolic link to x, and a
// path ending in "*" an executable.
func writeTree(t testing.TB, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		name, exec := strings.CutSuffix(name, "*")
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if target, ok := strings.CutPrefix(content, "-> "); ok {
			if err := os.Symlink(target, path); err != nil {
				t.Skip(err)
			}
			continue
		}
		mode := os.FileMode(0o644)
		if exec {
			mode = 0o755
		}
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

var sample = map[string]string{
	"go.mod":         "module m\n",
	"a.b":            "sorts before a/",
	"a/x":            "x",
	"a/b/c/deep":     strings.Repeat("deep", 100_000), // more than a buffer
	"a-b/y":          "y",
	"a0":             "sorts after a/",
	"bin/tool*":      "#!/bin/sh\n",
	"empty":          "",
	"é/ü":            "not ASCII",
	"exact":          strings.Repeat("x", bufferSize),
	"exact-and-one":  strings.Repeat("x", bufferSize+1),
	"exact-twice":    strings.Repeat("x", 2*bufferSize),
	"space in name":  "s",
	"UPPER/lower/Ix": "i",
}

func with(m map[string]string, more map[string]string) map[string]string {
	out := make(map[string]string)
	for _, m := range []map[string]string{m, more} {
		for k, v := range m {
			out[k] = v
		}
	}
	return out
}

func mustScan(t testing.TB, root string, opts Options) []Entry {
	t.Helper()
	entries, err := Scan(t.Context(), root, opts)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

func wantReason(t testing.TB, err error, reason string) *Error {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Reason != reason {
		t.Fatalf("got error %v, want reason %s", err, reason)
	}
	return e
}

func TestScan(t *testing.T) {
	root := writeTree(t, with(sample, map[string]string{"link": "-> a/x", "dangling": "-> ../../nowhere", "dirlink": "-> a"}))
	if err := os.MkdirAll(filepath.Join(root, "nothing", "here"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, workers := range []int{0, 1, 7} {
		entries := mustScan(t, root, Options{Workers: workers})
		if !slices.IsSortedFunc(entries, func(a, b Entry) int { return strings.Compare(a.Path, b.Path) }) {
			t.Error("not sorted")
		}
		found := make(map[string]Entry)
		for _, e := range entries {
			found[e.Path] = e
		}
		if len(found) != len(sample)+3 || len(entries) != len(found) {
			t.Errorf("%d entries, want %d", len(entries), len(sample)+3)
		}
		for name, content := range sample {
			name, exec := strings.CutSuffix(name, "*")
			e := found[name]
			if e.SHA256 != sha256.Sum256([]byte(content)) || e.Size != int64(len(content)) || !e.Mode.IsRegular() || e.More != nil {
				t.Errorf("%s: wrong entry %+v", name, e)
			}
			if runtime.GOOS != "windows" && exec != (e.Mode&0o100 != 0) {
				t.Errorf("%s: mode %v", name, e.Mode)
			}
		}
		for name, target := range map[string]string{"link": "a/x", "dangling": "../../nowhere", "dirlink": "a"} {
			want := Entry{Path: name, Mode: fs.ModeSymlink | 0o777, Size: int64(len(target)), Link: target, SHA256: sha256.Sum256([]byte(target))}
			if found[name] != want {
				t.Errorf("got %+v, want %+v", found[name], want)
			}
		}
	}
}

func TestScanRoot(t *testing.T) {
	root := writeTree(t, map[string]string{"d/f": "x", "to-d": "-> d", "to-nothing": "-> gone"})
	if got := mustScan(t, filepath.Join(root, "to-d"), Options{}); len(got) != 1 || got[0].Path != "f" {
		t.Errorf("through a link to the root: %+v", got)
	}
	for _, name := range []string{"d/f", "missing", "to-nothing", "d/f/x"} {
		_, err := Scan(t.Context(), filepath.Join(root, name), Options{})
		wantReason(t, err, ReasonRoot)
	}
	if got := mustScan(t, t.TempDir(), Options{}); len(got) != 0 {
		t.Errorf("empty directory: %+v", got)
	}
}

func TestExclude(t *testing.T) {
	root := writeTree(t, map[string]string{".git/HEAD": "x", "src/a": "a", "src/b": "b"})
	var seen []string
	entries := mustScan(t, root, Options{Workers: 1, Exclude: func(path string) bool {
		seen = append(seen, path)
		return path == ".git" || path == "src/b"
	}})
	if len(entries) != 1 || entries[0].Path != "src/a" {
		t.Errorf("got %+v", entries)
	}
	slices.Sort(seen)
	if want := []string{".git", "src", "src/a", "src/b"}; !slices.Equal(seen, want) {
		t.Errorf("asked for %q, want %q", seen, want)
	}
}

func TestGitTree(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip(err)
	}
	root := writeTree(t, with(sample, map[string]string{"a/link": "-> ../a0", "a.link": "-> a"}))
	for name, format := range map[string]Format{"sha1": SHA1, "sha256": SHA256} {
		gitDir := filepath.Join(t.TempDir(), "repo.git")
		git := func(args ...string) string {
			cmd := exec.Command("git", args...)
			cmd.Dir = root
			cmd.Env = append(os.Environ(), "GIT_DIR="+gitDir, "GIT_WORK_TREE="+root, "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1")
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("git %v: %v", args, err)
			}
			return strings.TrimSpace(string(out))
		}
		git("init", "-q", "--object-format="+name)
		git("config", "core.autocrlf", "false")
		git("add", "-A")
		entries := mustScan(t, root, Options{GitSHA1: format == SHA1, GitSHA256: format == SHA256})
		id, err := GitTree(entries, format)
		if err != nil {
			t.Fatal(err)
		}
		if want := git("write-tree"); hex.EncodeToString(id) != want {
			t.Errorf("%s: tree %x, want %s", name, id, want)
		}
		for _, e := range entries {
			got := e.More.GitSHA1[:]
			if format == SHA256 {
				got = e.More.GitSHA256[:]
			}
			if want := git("rev-parse", ":"+e.Path); hex.EncodeToString(got) != want {
				t.Errorf("%s: blob %s: %x, want %s", name, e.Path, got, want)
			}
		}
		if want := git("hash-object", "a0"); hex.EncodeToString(GitBlob([]byte(sample["a0"]), format)) != want {
			t.Errorf("%s: GitBlob differs from %s", name, want)
		}
	}
	if id, _ := GitTree(nil, SHA1); hex.EncodeToString(id) != "4b825dc642cb6eb9a060e54bf8d69288fbee4904" {
		t.Errorf("empty tree: %x", id)
	}
}

func TestGitTreeRefuses(t *testing.T) {
	blob := &More{GitSHA1: [20]byte{1}}
	for name, entries := range map[string][]Entry{
		"no blob id":       {{Path: "a"}},
		"other format":     {{Path: "a", More: &More{GitSHA256: [32]byte{1}}}},
		"git directory":    {{Path: "a/.GIT/config", More: blob}},
		"unsorted":         {{Path: "b", More: blob}, {Path: "a", More: blob}},
		"twice":            {{Path: "a", More: blob}, {Path: "a", More: blob}},
		"file as a parent": {{Path: "a", More: blob}, {Path: "a/b", More: blob}},
	} {
		_, err := GitTree(entries, SHA1)
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		wantReason(t, err, ReasonDigest)
	}
	for _, path := range []string{"", ".", "/a", "a//b", "../a", "a\nb"} {
		_, err := GitTree([]Entry{{Path: path, More: blob}}, SHA1)
		wantReason(t, err, ReasonName)
	}
}

func TestDirHash(t *testing.T) {
	root := writeTree(t, sample)
	sum, err := DirHash(mustScan(t, root, Options{}), "m@v1.0.0/")
	if err != nil {
		t.Fatal(err)
	}
	want, err := dirhash.HashDir(root, "m@v1.0.0", dirhash.Hash1)
	if err != nil {
		t.Fatal(err)
	}
	if got := "h1:" + base64.StdEncoding.EncodeToString(sum[:]); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	_, err = DirHash(mustScan(t, writeTree(t, map[string]string{"l": "-> x"}), Options{}), "")
	wantReason(t, err, ReasonDigest)
}

func TestEdge45_NamesAndCollisions(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the file system does not take these names")
	}
	for name, test := range map[string]struct {
		files  map[string]string
		opts   Options
		reason string
	}{
		"backslash":        {map[string]string{`foo\bar`: ""}, Options{}, ReasonName},
		"line feed":        {map[string]string{"a/x\ny": ""}, Options{}, ReasonName},
		"escape":           {map[string]string{"\x1b[2J": ""}, Options{}, ReasonName},
		"C1 control":       {map[string]string{"a\u0085b": ""}, Options{}, ReasonName},
		"invalid UTF-8":    {map[string]string{"a\xff": ""}, Options{}, ReasonName},
		"invalid in dir":   {map[string]string{"d\xff/a": ""}, Options{}, ReasonName},
		"target not UTF-8": {map[string]string{"l": "-> \xff"}, Options{}, ReasonName},
		"NFC and NFD":      {map[string]string{"d/caf\u00e9": "1", "d/cafe\u0301": "2"}, Options{}, ReasonCollision},
		"NFC, case allowed": {map[string]string{"caf\u00e9": "1", "cafe\u0301": "2"},
			Options{AllowCaseCollisions: true}, ReasonCollision},
		"directories":          {map[string]string{"caf\u00e9/a": "1", "cafe\u0301/b": "2"}, Options{}, ReasonCollision},
		"case":                 {map[string]string{"Makefile": "1", "makefile": "2"}, Options{}, ReasonCollision},
		"case of directories":  {map[string]string{"A/x": "1", "a/y": "2"}, Options{}, ReasonCollision},
		"case and form":        {map[string]string{"CAF\u00c9": "1", "cafe\u0301": "2"}, Options{}, ReasonCollision},
		"Kelvin":               {map[string]string{"k": "1", "\u212a": "2"}, Options{}, ReasonCollision},
		"Kelvin, case allowed": {map[string]string{"k": "1", "\u212a": "2"}, Options{AllowCaseCollisions: true}, ""},
		"sigma":                {map[string]string{"\u03c3": "1", "\u03c2": "2"}, Options{}, ReasonCollision},
		"case allowed":         {map[string]string{"A/x": "1", "a/y": "2"}, Options{AllowCaseCollisions: true}, ""},
		"same name elsewhere":  {map[string]string{"a/x": "1", "b/X": "2"}, Options{}, ""},
		"excluded": {map[string]string{"a\xff": "1", "b": "2"},
			Options{Exclude: func(p string) bool { return p == "a\xff" }}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Scan(t.Context(), writeTree(t, test.files), test.opts)
			if test.reason == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			//lint:ignore SA1011 the bad byte is what must not be printed
			if e := wantReason(t, err, test.reason); strings.ContainsAny(e.Error(), "\n\x1b\xff") {
				t.Errorf("message is not fit to print: %q", e.Error())
			}
		})
	}
}

func TestEdge50_LimitsAndCancel(t *testing.T) {
	t.Run("sparse", func(t *testing.T) {
		root := t.TempDir()
		f, err := os.Create(filepath.Join(root, "hole"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := f.Truncate(1 << 40); err != nil {
			t.Skip(err)
		}
		start := time.Now()
		_, err = Scan(t.Context(), root, Options{})
		wantReason(t, err, ReasonLimit)

		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err = Scan(ctx, root, Options{MaxBytes: 2 << 40}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if d := time.Since(start); d > 30*time.Second {
			t.Errorf("took %v", d)
		}
	})
	t.Run("sum", func(t *testing.T) {
		root := writeTree(t, map[string]string{"a": "12345", "b": "12345"})
		mustScan(t, root, Options{MaxBytes: 10})
		_, err := Scan(t.Context(), root, Options{MaxBytes: 9})
		wantReason(t, err, ReasonLimit)
	})
	t.Run("depth", func(t *testing.T) {
		deep := func(n int) error {
			root := t.TempDir()
			if err := os.MkdirAll(filepath.Join(root, strings.Repeat("d/", n)), 0o755); err != nil {
				t.Fatal(err)
			}
			_, err := Scan(t.Context(), root, Options{})
			return err
		}
		if err := deep(limits.TreeDepth); err != nil {
			t.Error(err)
		}
		wantReason(t, deep(limits.TreeDepth+1), ReasonLimit)
	})
	t.Run("cancelled before", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := Scan(ctx, t.TempDir(), Options{}); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("cancelled meanwhile", func(t *testing.T) {
		files := make(map[string]string)
		for i := range 2000 {
			files[fmt.Sprintf("d%d/f%d", i%50, i)] = "x"
		}
		root := writeTree(t, files)
		before := openFiles(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		_, err := Scan(ctx, root, Options{Exclude: func(p string) bool {
			if strings.HasPrefix(p, "d7/") {
				cancel()
				time.Sleep(time.Millisecond)
			}
			return false
		}})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if after := openFiles(t); after > before {
			t.Errorf("%d files were left open", after-before)
		}
	})
}

// openFiles counts the descriptors of this process, where it can.
func openFiles(t *testing.T) int {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(list)
}

func TestProgress(t *testing.T) {
	root := writeTree(t, sample)
	var calls []Progress
	entries := mustScan(t, root, Options{Progress: func(p Progress) { calls = append(calls, p) }})
	var size int64
	for _, e := range entries {
		size += e.Size
	}
	if len(calls) == 0 || calls[len(calls)-1] != (Progress{Files: int64(len(entries)), Bytes: size}) {
		t.Errorf("got %+v, want at the end %d files and %d bytes", calls, len(entries), size)
	}
}

func TestMore(t *testing.T) {
	root := writeTree(t, map[string]string{"a": "hello\n"})
	m := mustScan(t, root, Options{SHA512: true, GitSHA1: true, GitSHA256: true})[0].More
	if !strings.HasPrefix(hex.EncodeToString(m.SHA512[:]), "e7c22b994c59d9cf") {
		t.Errorf("sha512 %x", m.SHA512)
	}
	if got := hex.EncodeToString(m.GitSHA1[:]); got != "ce013625030ba8dba906f756967f9e9ca394464a" {
		t.Errorf("git sha1 %s", got)
	}
	if !bytes.Equal(m.GitSHA256[:], GitBlob([]byte("hello\n"), SHA256)) {
		t.Errorf("git sha256 %x", m.GitSHA256)
	}
}

func FuzzNames(f *testing.F) {
	for _, s := range []string{"a", "A\x00a", "caf\u00e9\x00cafe\u0301", "a\\b", "\xff", "a/b", "..", "\u212a\x00k", "\u1e9b\u0323\x00\u1e61\u0323"} {
		f.Add(s, false)
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, list string, allowCase bool) {
		if len(list) > 1000 {
			return // the comparison below is quadratic
		}
		var names []string
		for _, name := range strings.Split(list, "\x00") {
			if checkName("", name) == nil {
				if !fs.ValidPath(name) || strings.ContainsAny(name, "\\\n/") {
					t.Fatalf("accepted %q", name)
				}
				names = append(names, name)
			}
		}
		collide := false
		for i, a := range names {
			for _, b := range names[:i] {
				collide = collide || !allowCase && strings.EqualFold(a, b)
			}
		}
		slices.Sort(names)
		if len(slices.Compact(slices.Clone(names))) < len(names) {
			return // no directory has a name twice
		}
		err := checkCollisions("", names, allowCase)
		if collide && err == nil {
			t.Fatalf("accepted %q", names)
		}
		if again := checkCollisions("", slices.Clone(names), true); again != nil && err == nil {
			t.Fatalf("the strict check accepts %q", names)
		}
	})
}
