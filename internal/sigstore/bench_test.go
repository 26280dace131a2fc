package sigstore

import (
	"crypto/elliptic"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hallmark-build/hallmark/internal/sigstore/sigstoretest"
)

// BenchmarkVerifyAgain verifies one bundle over and over.
func BenchmarkVerifyAgain(b *testing.B) {
	v := worldVerifier(b)
	doc := world.Sign(sigstoretest.Spec{}).Doc.JSON()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parseAndVerify(v, doc, Options{}); err != nil {
			b.Fatal(err)
		}
	}
}

// manyBundles signs n bundles, each with a certificate, key, log entry and
// checkpoint of its own.
func manyBundles(n int, s sigstoretest.Spec) [][]byte {
	docs := make([][]byte, n)
	for i := range docs {
		s.Content = fmt.Appendf(nil, `{"_type":"https://in-toto.io/Statement/v1","n":%d}`, i)
		docs[i] = world.Sign(s).Doc.JSON()
	}
	return docs
}

// forget empties what a Verifier remembers of earlier bundles.
func (v *Verifier) forget() {
	v.checkpoints = cache[checkpointKey, *checkpoint]{max: v.checkpoints.max}
	v.leaves = cache[string, *verifiedLeaf]{max: v.leaves.max}
}

// BenchmarkVerify verifies bundles of v0.3 from JSON to Result: no two alike,
// so that nothing is remembered from one to the next, and many of one run,
// which share a certificate.
func BenchmarkVerify(b *testing.B) {
	key := sigstoretest.ECKey(elliptic.P256())
	shared := world.Leaf(key.Public(), &sigstoretest.Spec{})
	for name, s := range map[string]sigstoretest.Spec{
		"rekor-v1": {Kind: "dsse"}, "rekor-v2": {}, "rekor-v1/one-run": {Kind: "dsse", Key: key, Cert: shared}, "rekor-v2/one-run": {Key: key, Cert: shared},
	} {
		b.Run(name, func(b *testing.B) {
			v := worldVerifier(b)
			docs := manyBundles(64, s)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if i%len(docs) == 0 {
					v.forget()
				}
				if _, err := parseAndVerify(v, docs[i%len(docs)], Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkVerify10000 verifies 10,000 bundles under one trusted root on one
// goroutine and on as many as there are CPUs.
func BenchmarkVerify10000(b *testing.B) {
	docs := manyBundles(500, sigstoretest.Spec{})
	for _, workers := range []int{1, runtime.GOMAXPROCS(0)} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			for b.Loop() {
				v := worldVerifier(b)
				v.leaves.max, v.checkpoints.max = 2, 2 // as if all 10,000 were different
				var next atomic.Int64
				var wg sync.WaitGroup
				for range workers {
					wg.Go(func() {
						for i := next.Add(1); i <= 10_000; i = next.Add(1) {
							if _, err := parseAndVerify(v, docs[i%int64(len(docs))], Options{}); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				wg.Wait()
			}
			b.ReportMetric(float64(b.N)*10_000/b.Elapsed().Seconds(), "bundles/s")
		})
	}
}

func BenchmarkParseBundle(b *testing.B) {
	doc := world.Sign(sigstoretest.Spec{}).Doc.JSON()
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseBundle(doc); err != nil {
			b.Fatal(err)
		}
	}
}
