package verify_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/verify"
)

// fleet is n artifacts, each with its own build from a common source, and the
// evidence about all of them. Every seventh has no build; of every ninth the
// build used another source.
func fleet(n int) (*verify.Policy, []verify.Request) {
	p := policy("build", map[string]*verify.Stage{
		"source": {Requires: requires("src")},
		"build":  {Requires: requires("bld"), From: []verify.Flow{{Stage: "source"}}},
	}, "src", "bld")
	evidence := [][]byte{signed(built(nil, files("main.go")), "src")}
	for i := range n {
		src := "main.go"
		switch {
		case i%7 == 6:
			continue
		case i%9 == 8:
			src = "main.go=evil"
		}
		evidence = append(evidence, signed(built(files(src), files(fmt.Sprintf("app%d", i))), "bld"))
	}
	ev := verify.NewEvidence(evidence...)
	var requests []verify.Request
	for i := range n {
		requests = append(requests, verify.Request{Artifacts: []provenance.Artifact{artifact(fmt.Sprintf("app%d", i))}, Evidence: ev, At: now})
	}
	return p, requests
}

// verdict is the report in bytes, or the error.
func verdict(proof *verify.Proof, err error) string {
	var refused *verify.RefusedError
	switch {
	case errors.As(err, &refused):
		b, _ := json.Marshal(refused.Report)
		return string(b)
	case err != nil:
		return err.Error()
	}
	b, _ := json.Marshal(proof.Report())
	return string(b)
}

func TestBatchJudgesAsVerifyDoes(t *testing.T) {
	p, requests := fleet(100)
	requests[50].Evidence = failing{} // an error is the request's own
	requests[51].At = time.Time{}
	v := newVerifier(t, p)
	var want []string
	passed := 0
	for _, r := range requests {
		proof, err := v.Verify(context.Background(), r)
		want = append(want, verdict(proof, err))
		if err == nil {
			passed++
		}
	}
	if passed < 70 || passed > 80 {
		t.Fatalf("%d of 100 passed", passed)
	}
	for _, workers := range []int{0, 1, 2, 3, 64} {
		last, calls := 0, 0
		var got []string
		for proof, err := range v.Batch(context.Background(), requests, verify.BatchOptions{Workers: workers, Progress: func(judged, total int) {
			if judged != last+1 || total != 100 {
				t.Errorf("progress %d of %d after %d", judged, total, last)
			}
			last = judged
			calls++
		}}) {
			got = append(got, verdict(proof, err))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d workers: %d results, not those of Verify in order", workers, len(got))
		}
		if calls != 100 {
			t.Errorf("%d calls of Progress", calls)
		}
	}
	for range v.Batch(context.Background(), nil, verify.BatchOptions{}) {
		t.Error("a result of no request")
	}
}

// The same attestation at another instant is another question.
func TestBatchSharesOnlyWithinOneInstant(t *testing.T) {
	p := policy("source", map[string]*verify.Stage{"source": {Requires: requires("src")}}, "src")
	k := p.Principals["src"]
	k.Key, k.Keys = "", []verify.Key{{PEM: publicPEM("src"), ValidUntil: now}}
	p.Principals["src"] = k
	ev := verify.NewEvidence(signed(built(nil, files("app")), "src"))
	var requests []verify.Request
	for i := range 20 {
		requests = append(requests, verify.Request{Artifacts: []provenance.Artifact{artifact("app")}, Evidence: ev, At: now.Add(time.Duration(i%2) * time.Second)})
	}
	i := 0
	for _, err := range newVerifier(t, p).Batch(context.Background(), requests, verify.BatchOptions{Workers: 2}) {
		if (err == nil) != (i%2 == 0) {
			t.Errorf("request %d: %v", i, err)
		}
		i++
	}
}

func TestBatchIsCancelled(t *testing.T) {
	p, requests := fleet(50)
	v := newVerifier(t, p)
	before := runtime.NumGoroutine()
	// A source that never answers until it is told to stop.
	for i := range requests {
		requests[i].Evidence = stuck{}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	n := 0
	for proof, err := range v.Batch(ctx, requests, verify.BatchOptions{}) {
		if proof != nil || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("proof %v, error %v", proof != nil, err)
		}
		n++
	}
	if n != len(requests) {
		t.Errorf("%d results of %d", n, len(requests))
	}
	// Left early, while others are being judged.
	_, requests = fleet(50)
	for i := 1; i < len(requests); i++ {
		requests[i].Evidence = stuck{}
	}
	for range v.Batch(context.Background(), requests, verify.BatchOptions{Workers: 3}) {
		break
	}
	noneLeft(t, before)
}

type stuck struct{}

func (stuck) Find(ctx context.Context, _ provenance.Digest) ([][]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// counting counts what is asked of it.
type counting struct {
	verify.Source
	n atomic.Int64
}

func (c *counting) Find(ctx context.Context, d provenance.Digest) ([][]byte, error) {
	c.n.Add(1)
	return c.Source.Find(ctx, d)
}

// A slow loop over the results is not overtaken by much.
func TestBatchDoesNotRunAhead(t *testing.T) {
	p, requests := fleet(300)
	src := &counting{Source: requests[0].Evidence}
	for i := range requests {
		requests[i].Evidence = src
	}
	v := newVerifier(t, p)
	for range v.Batch(context.Background(), requests, verify.BatchOptions{Workers: 2}) {
		time.Sleep(50 * time.Millisecond)
		break
	}
	if n := src.n.Load(); n > 100 {
		t.Errorf("%d look-ups for the first of 300 results", n)
	}
}

func TestEdge81_OneVerifierForAll(t *testing.T) {
	p, requests := fleet(40)
	v := newVerifier(t, p)
	var want []string
	for _, r := range requests {
		want = append(want, verdict(v.Verify(context.Background(), r)))
	}
	var wg sync.WaitGroup
	for g := range 100 {
		wg.Go(func() {
			for n := range 10 {
				i := (g*7 + n*3) % len(requests)
				if got := verdict(v.Verify(context.Background(), requests[i])); got != want[i] {
					t.Errorf("request %d: %s, want %s", i, got, want[i])
				}
			}
		})
	}
	wg.Wait()
	// What the caller does to its own values later changes nothing.
	p.Stages["build"].Requires[0].Signers[0] = "src"
	delete(p.Principals, "bld")
	requests[0].Artifacts[0] = artifact("app0")
	if got := verdict(v.Verify(context.Background(), requests[0])); got != want[0] {
		t.Errorf("after the policy was changed: %s", got)
	}
	raw := signed(built(nil, files("own")), "src")
	ev := verify.NewEvidence(raw)
	clear(raw)
	if got := found(t, ev, "own"); len(got) != 1 || got[0] != string(signed(built(nil, files("own")), "src")) {
		t.Errorf("after the attestation was overwritten: %q", got)
	}
}

// BenchmarkBatch judges 10,000 artifacts with a chain of their own each and the
// source in common. Compare -cpu 1 and -cpu 2: artifacts/s should grow with
// the processors.
func BenchmarkBatch(b *testing.B) {
	const n = 10_000
	p, requests := fleet(n)
	v := newVerifier(b, p)
	b.ReportAllocs()
	for b.Loop() {
		got := 0
		for range v.Batch(context.Background(), requests, verify.BatchOptions{}) {
			got++
		}
		if got != n {
			b.Fatal(got)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "artifacts/s")
}

// BenchmarkVerifyOneByOne is the same without Batch: nothing is shared.
func BenchmarkVerifyOneByOne(b *testing.B) {
	const n = 10_000
	p, requests := fleet(n)
	v := newVerifier(b, p)
	b.ReportAllocs()
	for b.Loop() {
		for _, r := range requests {
			v.Verify(context.Background(), r)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "artifacts/s")
}
