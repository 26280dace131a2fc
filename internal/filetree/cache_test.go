//go:build linux || darwin || freebsd

package filetree

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// later is a clock that is well past every change that the test has made.
func later() time.Time { return time.Now().Add(time.Hour) }

func cacheIn(t testing.TB) *Cache {
	return &Cache{File: filepath.Join(t.TempDir(), "private", "cache"), Now: later}
}

// scanCached returns how many files came from the cache.
func scanCached(t testing.TB, root string, opts Options) ([]Entry, int64) {
	t.Helper()
	var last Progress
	opts.Progress = func(p Progress) { last = p }
	return mustScan(t, root, opts), last.Cached
}

func TestCache(t *testing.T) {
	root := writeTree(t, with(sample, map[string]string{"link": "-> a"}))
	for _, opts := range []Options{{}, {SHA512: true}, {GitSHA1: true, GitSHA256: true}, {SHA512: true, GitSHA1: true, GitSHA256: true}} {
		want := mustScan(t, root, opts)
		opts.Cache = cacheIn(t)
		for i, cached := range []int{0, len(sample), len(sample)} {
			got, n := scanCached(t, root, opts)
			if n != int64(cached) {
				t.Errorf("scan %d: %d files from the cache, want %d", i, n, cached)
			}
			if !slices.EqualFunc(got, want, func(a, b Entry) bool {
				same := a.More == b.More || a.More != nil && b.More != nil && *a.More == *b.More
				a.More, b.More = nil, nil
				return same && a == b
			}) {
				t.Errorf("scan %d: the cache changes what is found", i)
			}
		}
		info, err := os.Stat(opts.Cache.File)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
		if list, _ := os.ReadDir(filepath.Dir(opts.Cache.File)); len(list) != 1 {
			t.Errorf("beside the cache there is %v", list)
		}
	}
}

func TestCacheSeesChanges(t *testing.T) {
	old := time.Now().Add(-24 * time.Hour)
	for name, change := range map[string]func(path string) error{
		"content of the same size and time": func(path string) error {
			if err := os.WriteFile(path, []byte("B"), 0o644); err != nil {
				return err
			}
			return os.Chtimes(path, old, old)
		},
		"replaced": func(path string) error {
			if err := os.WriteFile(path+".new", []byte("B"), 0o644); err != nil {
				return err
			}
			os.Chtimes(path+".new", old, old)
			return os.Rename(path+".new", path)
		},
		"size": func(path string) error { return os.WriteFile(path, []byte("BB"), 0o644) },
		"mode": func(path string) error { return os.Chmod(path, 0o755) },
	} {
		t.Run(name, func(t *testing.T) {
			root := writeTree(t, map[string]string{"f": "A", "g": "g"})
			path := filepath.Join(root, "f")
			os.Chtimes(path, old, old)
			opts := Options{Cache: cacheIn(t)}
			scanCached(t, root, opts)
			time.Sleep(10 * time.Millisecond)
			if err := change(path); err != nil {
				t.Fatal(err)
			}
			want, _ := os.ReadFile(path)
			got, cached := scanCached(t, root, opts)
			if got[0].SHA256 != sha256.Sum256(want) || cached != 1 {
				t.Errorf("%d from the cache, digest %x", cached, got[0].SHA256)
			}
			if _, cached := scanCached(t, root, opts); cached != 2 {
				t.Errorf("%d from the cache after it was brought up to date", cached)
			}
		})
	}
	t.Run("removed", func(t *testing.T) {
		root := writeTree(t, map[string]string{"f": "A", "g": "g"})
		opts := Options{Cache: cacheIn(t)}
		scanCached(t, root, opts)
		os.Remove(filepath.Join(root, "f"))
		if got, cached := scanCached(t, root, opts); len(got) != 1 || cached != 1 {
			t.Errorf("%d entries, %d from the cache", len(got), cached)
		}
		data, _ := os.ReadFile(opts.Cache.File)
		if _, records, err := parseCache(data); err != nil || len(records) != 1 {
			t.Errorf("%d records left, %v", len(records), err)
		}
	})
}

// A file that changed less than two seconds before the scan could change again
// and look the same.
func TestCacheRacy(t *testing.T) {
	root := writeTree(t, map[string]string{"f": "A"})
	info, err := os.Stat(filepath.Join(root, "f"))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		after  time.Duration
		cached int64
	}{{-time.Hour, 0}, {0, 0}, {granularity, 0}, {granularity + time.Second, 1}} {
		opts := Options{Cache: &Cache{
			File: filepath.Join(t.TempDir(), "private", "cache"),
			Now:  func() time.Time { return info.ModTime().Add(test.after) },
		}}
		scanCached(t, root, opts)
		if _, cached := scanCached(t, root, opts); cached != test.cached {
			t.Errorf("%v after the change: %d from the cache, want %d", test.after, cached, test.cached)
		}
	}
	// An old modification time does not make the file old: touch can set it.
	old := time.Now().Add(-24 * time.Hour)
	os.Chtimes(filepath.Join(root, "f"), old, old)
	opts := Options{Cache: &Cache{File: filepath.Join(t.TempDir(), "private", "cache"), Now: time.Now}}
	scanCached(t, root, opts)
	if _, cached := scanCached(t, root, opts); cached != 0 {
		t.Error("a backdated file was cached")
	}
}

func TestCacheDamaged(t *testing.T) {
	root := writeTree(t, map[string]string{"f": "A", "g": "g"})
	opts := Options{Cache: cacheIn(t)}
	want, _ := scanCached(t, root, opts)
	good, err := os.ReadFile(opts.Cache.File)
	if err != nil {
		t.Fatal(err)
	}
	damaged := [][]byte{nil, []byte("{}"), good[:len(good)-1], append(slices.Clone(good), 0), bytes.Repeat([]byte{0xff}, 4096)}
	for i := range good {
		b := slices.Clone(good)
		b[i] ^= 1
		if _, _, err := parseCache(b); err == nil {
			t.Errorf("a flipped bit in byte %d is not seen", i)
		}
		if i%64 == 0 {
			damaged = append(damaged, b)
		}
	}
	for i, b := range damaged {
		if err := os.WriteFile(opts.Cache.File, b, 0o600); err != nil {
			t.Fatal(err)
		}
		got, cached := scanCached(t, root, opts)
		if cached != 0 || !slices.Equal(got, want) {
			t.Errorf("damage %d: %d from the cache, %+v", i, cached, got)
		}
		if now, _ := os.ReadFile(opts.Cache.File); !bytes.Equal(now, good) {
			t.Errorf("damage %d: not replaced", i)
		}
	}
}

func TestCacheExposed(t *testing.T) {
	root := writeTree(t, map[string]string{"f": "A"})
	scan := func(c *Cache) error {
		_, err := Scan(t.Context(), root, Options{Cache: c})
		return err
	}
	c := cacheIn(t)
	if err := scan(c); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(c.File)
	for _, mode := range []fs.FileMode{0o777, 0o770, 0o777 | fs.ModeSticky} {
		os.Chmod(dir, mode)
		wantReason(t, scan(c), ReasonTrust)
	}
	os.Chmod(dir, 0o700)
	for _, mode := range []fs.FileMode{0o666, 0o620} {
		os.Chmod(c.File, mode)
		wantReason(t, scan(c), ReasonTrust)
	}
	os.Remove(c.File)
	if err := os.Symlink("elsewhere", c.File); err != nil {
		t.Fatal(err)
	}
	wantReason(t, scan(c), ReasonTrust)
	wantReason(t, scan(&Cache{File: filepath.Join(dir, "no", "such", "dir", "c"), Now: later}), ReasonCache)
	wantReason(t, scan(&Cache{File: filepath.Join(dir, "c")}), ReasonCache)
	wantReason(t, scan(&Cache{Now: later}), ReasonCache)
}

// A failed scan leaves the cache as it was.
func TestCacheFailedScan(t *testing.T) {
	root := writeTree(t, map[string]string{"f": "A", "g": "g"})
	opts := Options{Cache: cacheIn(t)}
	scanCached(t, root, opts)
	before, _ := os.ReadFile(opts.Cache.File)
	os.WriteFile(filepath.Join(root, "h"), []byte("longer"), 0o644)
	opts.MaxBytes = 1
	_, err := Scan(t.Context(), root, opts)
	wantReason(t, err, ReasonLimit)
	if after, _ := os.ReadFile(opts.Cache.File); !bytes.Equal(before, after) {
		t.Error("the cache changed")
	}
}

func FuzzCache(f *testing.F) {
	item1 := item{&Entry{Path: "a", SHA256: [32]byte{1}, More: new(More)}, stat{mode: 0o644, size: 1, mtime: -1, ctime: 1 << 60, dev: 2, ino: 3}}
	item2 := item{&Entry{Path: "b/c", SHA256: [32]byte{2}, More: new(More)}, stat{mode: 0o755}}
	for kinds := range byte(8) {
		data := appendCache(nil, kinds, []item{item1, item2})
		f.Add(data[:len(data)-sha256.Size])
	}
	f.Add([]byte(cacheMagic))
	f.Add(append([]byte(cacheMagic), 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff))
	f.Fuzz(func(t *testing.T, body []byte) {
		if _, _, err := parseCache(body); err != nil && !errors.Is(err, errCache) {
			t.Fatal(err)
		}
		// The checksum would keep the fuzzer out.
		sum := sha256.Sum256(body)
		data := append(slices.Clip(body), sum[:]...)
		kinds, records, err := parseCache(data)
		if err != nil {
			return
		}
		// What was accepted is what would be written.
		c := cache{kinds: kinds, records: records}
		var items []item
		for path, r := range records {
			e, st := &Entry{Path: path}, r.stat()
			if !c.lookup(&st, e) {
				t.Fatalf("%q is not found", path)
			}
			items = append(items, item{e, st})
		}
		slices.SortFunc(items, func(a, b item) int { return bytes.Compare([]byte(a.entry.Path), []byte(b.entry.Path)) })
		if again := appendCache(nil, kinds, items); !bytes.Equal(again, data) {
			t.Fatalf("%q is read and written as %q", data, again)
		}
	})
}
