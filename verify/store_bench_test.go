package verify_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/verify"
)

// writeStore writes a store of n attestations, of about 1.7 kB each: SLSA
// provenance of one product from three materials. Those in evidence are among
// them; the others have signatures that mean nothing, since nobody gets to
// check them.
func writeStore(b testing.TB, n int, evidence [][]byte) string {
	b.Helper()
	f, err := os.Create(filepath.Join(b.TempDir(), "store.intoto.jsonl"))
	if err != nil {
		b.Fatal(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	sig := base64.StdEncoding.EncodeToString(make([]byte, 71))
	sum := func(what string, i int) string {
		h := sha256.Sum256(fmt.Appendf(nil, "%s %d", what, i))
		return hex.EncodeToString(h[:])
	}
	template := string(built(files("@0", "@1", "@2"), files("@3")).Payload())
	for i, name := range []string{"source", "lock", "tool", "service"} {
		template = strings.ReplaceAll(template, file(fmt.Sprintf("@%d", i)).Digest[0].Value(), fmt.Sprintf("#%d", i))
		template = strings.ReplaceAll(template, fmt.Sprintf("@%d", i), name+".tar.gz")
	}
	template = strings.Replace(template, `"target":"all"`, `"target":"all","parameters":"`+strings.Repeat("--flag=value ", 25)+`"`, 1)
	next := 0
	for i := range n - len(evidence) {
		if every := max(1, n/(len(evidence)+1)); i%every == every-1 && next < len(evidence) {
			w.Write(append(evidence[next], '\n'))
			next++
		}
		p := strings.NewReplacer("#0", sum("source", i), "#1", sum("lock", i/10), "#2", sum("tool", i/1000), "#3", sum("product", i)).Replace(template)
		fmt.Fprintf(w, `{"payloadType":"application/vnd.in-toto+json","payload":"%s","signatures":[{"keyid":"%064x","sig":"%s"}]}`+"\n", base64.StdEncoding.EncodeToString([]byte(p)), i%1000, sig)
	}
	for ; next < len(evidence); next++ {
		w.Write(append(evidence[next], '\n'))
	}
	if err := errors.Join(w.Flush(), f.Close()); err != nil {
		b.Fatal(err)
	}
	return f.Name()
}

func storeSizes() []int {
	if testing.Short() {
		return []int{1e3, 1e4, 1e5}
	}
	return []int{1e3, 1e4, 1e5, 1e6}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkReadEvidence indexes a store.
func BenchmarkReadEvidence(b *testing.B) {
	for _, n := range storeSizes() {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			path := writeStore(b, n, nil)
			info, err := os.Stat(path)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(info.Size())
			b.ReportAllocs()
			before := heap()
			var ev *verify.Evidence
			for b.Loop() {
				ev = nil
				if ev, err = verify.ReadEvidence(context.Background(), path); err != nil {
					b.Fatal(err)
				}
			}
			after := heap()
			if ev.Len() != n || len(ev.Notes()) > 0 {
				b.Fatal(ev.Len(), ev.Notes())
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "statements/s")
			b.ReportMetric(float64(after-before)/float64(n), "B/statement")
			runtime.KeepAlive(ev)
		})
	}
}

// BenchmarkFindAndJudge judges one artifact with its chain of five stages and
// 20 statements, which are spread over a store of many more on disk.
func BenchmarkFindAndJudge(b *testing.B) {
	p, evidence, _ := fiveStages(b)
	v := newVerifier(b, p)
	for _, n := range storeSizes() {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			ev, err := verify.ReadEvidence(context.Background(), writeStore(b, n, evidence))
			if err != nil {
				b.Fatal(err)
			}
			if ev.Len() != n || len(ev.Notes()) > 0 {
				b.Fatal(ev.Len(), ev.Notes())
			}
			req := verify.Request{Artifacts: []provenance.Artifact{artifact("app.tar.gz")}, Evidence: ev, At: now}
			runtime.GC()
			b.ReportAllocs()
			start := time.Now()
			if _, err := v.Verify(context.Background(), req); err != nil {
				b.Fatal(err)
			}
			first := time.Since(start)
			for b.Loop() {
				if _, err := v.Verify(context.Background(), req); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(first.Microseconds())/1000, "ms/first")
		})
	}
}
