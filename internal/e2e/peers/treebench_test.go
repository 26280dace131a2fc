//go:build linux || darwin

package peers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/in-toto/in-toto-golang/in_toto"

	"github.com/hallmark-build/hallmark/provenance"
)

// contenders digest the tree at root. What they return lists its files by
// path, for the comparison, which is not timed.
var contenders = []struct {
	name   string
	digest func(b *testing.B, root, cache string, paths []string) func() map[string]string
}{
	{"in-toto-golang", func(b *testing.B, root, _ string, _ []string) func() map[string]string {
		objs, err := in_toto.RecordArtifacts([]string{root}, []string{"sha256"}, nil, []string{root + "/"}, false, false)
		if err != nil {
			b.Fatal(err)
		}
		return func() map[string]string {
			m := make(map[string]string, len(objs))
			for path, obj := range objs {
				m[path] = obj["sha256"]
			}
			return m
		}
	}},
	{"bare-loop", func(b *testing.B, root, _ string, paths []string) func() map[string]string {
		return bareLoop(b, root, paths)
	}},
	{"hallmark", func(b *testing.B, root, _ string, _ []string) func() map[string]string {
		return digestTree(b, root, provenance.TreeOptions{})
	}},
	{"hallmark-cached", func(b *testing.B, root, cache string, _ []string) func() map[string]string {
		return digestTree(b, root, provenance.TreeOptions{CacheFile: cache, Now: time.Now})
	}},
}

func digestTree(b *testing.B, root string, opts provenance.TreeOptions) func() map[string]string {
	tree, err := provenance.DigestTree(context.Background(), root, opts)
	if err != nil {
		b.Fatal(err)
	}
	return func() map[string]string {
		m := make(map[string]string, len(tree.Files))
		for _, f := range tree.Files {
			m[f.Path] = f.Digests.Get(provenance.SHA256).Value()
		}
		return m
	}
}

// bareLoop opens, reads, hashes and closes a list of files that is there
// already, on all cores, and does nothing else.
func bareLoop(b *testing.B, root string, paths []string) func() map[string]string {
	sums := make([]string, len(paths))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			h := sha256.New()
			buf := make([]byte, 256<<10)
			for i := next.Add(1) - 1; int(i) < len(paths); i = next.Add(1) - 1 {
				f, err := os.Open(filepath.Join(root, paths[i]))
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
				sums[i] = hex.EncodeToString(h.Sum(nil))
			}
		})
	}
	wg.Wait()
	return func() map[string]string {
		m := make(map[string]string, len(paths))
		for i, path := range paths {
			m[path] = sums[i]
		}
		return m
	}
}

// BenchmarkTree digests the Go toolchain's own tree, warm, with each contender
// in turn within every iteration, since a shared machine is never twice the
// same. It reports the median time of each, its processor time (which says
// more when others use the machine), and as ratios the medians of the
// ratios within an iteration. All must agree on every digest.
func BenchmarkTree(b *testing.B) {
	//lint:ignore SA1019 the benchmarks run where they were built
	root := runtime.GOROOT()
	cache := filepath.Join(b.TempDir(), "cache", "tree")
	want := digestTree(b, root, provenance.TreeOptions{CacheFile: cache, Now: time.Now})()
	paths := make([]string, 0, len(want))
	for path := range want {
		paths = append(paths, path)
	}
	slices.SortFunc(paths, strings.Compare)

	times, cpu := make([][]float64, len(contenders)), make([][]float64, len(contenders))
	for b.Loop() {
		for i, c := range contenders {
			runtime.GC() // each pays for its own garbage only
			start, used := time.Now(), cpuTime(b)
			result := c.digest(b, root, cache, paths)
			times[i] = append(times[i], time.Since(start).Seconds())
			cpu[i] = append(cpu[i], cpuTime(b)-used)
			got := result()
			if len(got) != len(want) {
				b.Fatalf("%s: %d files, want %d", c.name, len(got), len(want))
			}
			for path, sum := range want {
				if got[path] != sum {
					b.Fatalf("%s: %s has digest %s, want %s", c.name, path, got[path], sum)
				}
			}
		}
	}
	for i, c := range contenders {
		b.ReportMetric(1000*median(times[i]), c.name+"-ms")
		b.ReportMetric(1000*median(cpu[i]), c.name+"-cpu-ms")
	}
	ratio := func(num, den int) float64 {
		var r []float64
		for i := range times[num] {
			r = append(r, times[num][i]/times[den][i])
		}
		return median(r)
	}
	b.ReportMetric(float64(len(want)), "files")
	b.ReportMetric(ratio(0, 2), "in-toto/hallmark")
	b.ReportMetric(ratio(2, 1), "hallmark/bare")
	b.ReportMetric(ratio(0, 3), "in-toto/cached")
}

// cpuTime is how many seconds of processor time this process has used.
func cpuTime(b *testing.B) float64 {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		b.Fatal(err)
	}
	return float64(r.Utime.Nano()+r.Stime.Nano()) / 1e9
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}
