package verify

import (
	"context"
	"iter"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/hallmark-build/hallmark/internal/limits"
)

// BatchOptions say how [Verifier.Batch] works.
type BatchOptions struct {
	// Workers is how many requests are judged at a time. Default: as many as
	// there are processors to use.
	Workers int
	// Progress, if not nil, is called whenever a request has been judged, with
	// how many have. There is one call at a time, from any goroutine; it must
	// not stop the loop over the results or wait for it.
	Progress func(judged, total int)
}

// Batch judges many requests, each as [Verifier.Verify] would by itself, and
// yields one proof or error for each, in their order. What the requests share
// costs less: an attestation that several of them need is opened once.
//
// When the context is cancelled, what has not been judged yields its error.
// When the loop over the results is left early, the rest is not judged. Either
// way no goroutine is left when the loop has ended. A few requests for each
// worker are judged ahead of the loop, so that results do not pile up.
func (v *Verifier) Batch(ctx context.Context, requests []Request, opts BatchOptions) iter.Seq2[*Proof, error] {
	requests = slices.Clone(requests)
	return func(yield func(*Proof, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		workers := opts.Workers
		if workers <= 0 {
			workers = runtime.GOMAXPROCS(0)
		}
		type job struct {
			req   Request
			proof *Proof
			err   error
			done  chan struct{}
		}
		jobs := make(chan *job)
		order := make(chan *job, 4*workers)
		shared := new(openedCache)
		var mu sync.Mutex
		judged := 0
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()
		for range workers {
			wg.Go(func() {
				for j := range jobs {
					j.proof, j.err = v.verify(ctx, j.req, shared)
					if opts.Progress != nil {
						mu.Lock()
						judged++
						opts.Progress(judged, len(requests))
						mu.Unlock()
					}
					close(j.done)
				}
			})
		}
		stop := make(chan struct{})
		defer close(stop)
		wg.Go(func() {
			defer close(jobs)
			defer close(order)
			for _, r := range requests {
				j := &job{req: r, done: make(chan struct{})}
				select {
				case order <- j:
				case <-stop:
					return
				}
				// Once cancelled, every request is answered soon.
				select {
				case jobs <- j:
				case <-stop:
					return
				}
			}
		})
		for j := range order {
			<-j.done
			if !yield(j.proof, j.err) {
				return
			}
		}
	}
}

// openedCache shares opened attestations between the searches of one batch. An
// entry depends on the bytes, on the trust, which is the verifier's, and on
// the instant. The least recently used half goes when there is too much.
type openedCache struct {
	mu         sync.Mutex
	young, old map[openedKey]*opened
	size       int // of young, in bytes, by estimate
}

type openedKey struct {
	sum  [32]byte // SHA-256 of the attestation
	sec  int64
	nsec int
}

func keyAt(sum [32]byte, at time.Time) openedKey { return openedKey{sum, at.Unix(), at.Nanosecond()} }

func (c *openedCache) get(k openedKey) *opened {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := c.young[k]
	if o == nil {
		if o = c.old[k]; o != nil {
			c.add(k, o)
		}
	}
	return o
}

func (c *openedCache) put(k openedKey, o *opened) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(k, o)
}

func (c *openedCache) add(k openedKey, o *opened) {
	if c.young == nil || c.size > limits.BatchCache/2 {
		c.old, c.young, c.size = c.young, map[openedKey]*opened{}, 0
	}
	if _, ok := c.young[k]; !ok {
		c.young[k] = o
		c.size += o.size()
	}
}

// size estimates what an opened attestation takes in memory.
func (o *opened) size() int {
	const each = 400 // a descriptor with its strings
	n := 1000 + each*(len(o.subjects)+len(o.materials))
	if o.vs != nil {
		n += len(o.vs.statement.Payload())
	}
	if o.rejected != nil {
		n += len(o.rejected.UnverifiedPayload)
	}
	return n
}
