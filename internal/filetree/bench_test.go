package filetree

import (
	"context"
	"crypto/sha256"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// goTree scans the Go toolchain's own tree once, which also warms the cache
// of the system.
func goTree(b *testing.B) (root string, entries []Entry) {
	//lint:ignore SA1019 the tests run where they were built
	root = runtime.GOROOT()
	entries, err := Scan(context.Background(), root, Options{AllowCaseCollisions: true})
	if err != nil {
		b.Skip(err)
	}
	var size int64
	for _, e := range entries {
		size += e.Size
	}
	b.SetBytes(size)
	b.ReportMetric(float64(len(entries)), "files")
	return root, entries
}

func BenchmarkScanGoroot(b *testing.B) {
	root, _ := goTree(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Scan(b.Context(), root, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkScanGorootGit(b *testing.B) {
	root, _ := goTree(b)
	b.ReportAllocs()
	for b.Loop() {
		entries, err := Scan(b.Context(), root, Options{GitSHA1: true})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := GitTree(entries, SHA1); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkScanGorootCached(b *testing.B) {
	root, entries := goTree(b)
	opts := Options{Cache: &Cache{File: filepath.Join(b.TempDir(), "cache", "c"), Now: time.Now}}
	if _, err := Scan(b.Context(), root, opts); err != nil {
		b.Fatal(err)
	}
	var last Progress
	opts.Progress = func(p Progress) { last = p }
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Scan(b.Context(), root, opts); err != nil {
			b.Fatal(err)
		}
	}
	if last.Cached != int64(len(entries)) {
		b.Fatalf("%d of %d files came from the cache", last.Cached, len(entries))
	}
}

// BenchmarkBareLoop is what the machine can do with a list of files that is
// there already: open, read, hash and close, in parallel, and nothing else.
func BenchmarkBareLoop(b *testing.B) {
	root, entries := goTree(b)
	b.ReportAllocs()
	for b.Loop() {
		bareLoop(b, root, entries)
	}
}

func bareLoop(b *testing.B, root string, entries []Entry) {
	sums := make([][32]byte, len(entries))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			h := sha256.New()
			buf := make([]byte, bufferSize)
			for {
				i := int(next.Add(1) - 1)
				if i >= len(entries) {
					return
				}
				f, err := os.Open(filepath.Join(root, entries[i].Path))
				if err != nil {
					b.Error(err)
					return
				}
				h.Reset()
				_, err = io.CopyBuffer(h, struct{ io.Reader }{f}, buf)
				f.Close()
				if err != nil {
					b.Error(err)
					return
				}
				h.Sum(sums[i][:0])
			}
		})
	}
	wg.Wait()
	for i := range sums {
		if sums[i] != entries[i].SHA256 {
			b.Fatalf("%s: wrong digest", entries[i].Path)
		}
	}
}
