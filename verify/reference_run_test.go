package verify_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/hallmark-build/hallmark/verify"
)

// referenceChoices is how many solutions the reference solver tries for one case.
const referenceChoices = 20_000

// outcome is how the two solvers judge one case.
type outcome struct {
	engine, reference error
	tooLarge          bool
}

func (o *outcome) agree() bool { return o.tooLarge || (o.engine == nil) == (o.reference == nil) }

func compare(c *genCase) (outcome, error) {
	var o outcome
	v, err := verify.New(c.policy, verify.Options{Conditions: chainCompiler{}})
	if err != nil {
		return o, err
	}
	envelopes := c.envelopes()
	_, o.engine = v.Verify(context.Background(), verify.Request{Artifacts: c.artifacts, Evidence: verify.NewEvidence(envelopes...), Contents: c.contents, At: now})
	var refused *verify.RefusedError
	if o.engine != nil && !errors.As(o.engine, &refused) {
		return o, fmt.Errorf("neither a pass nor a refusal: %w", o.engine)
	}
	if refused != nil && refused.Reason() == verify.ReasonSearchLimit {
		return o, fmt.Errorf("a chain that a person could read: %w", o.engine)
	}
	o.reference = referenceVerdict(c.policy, chainCompiler{}, c.artifacts, envelopes, c.contents, now, referenceChoices)
	o.tooLarge = errors.Is(o.reference, errTooLarge)
	return o, nil
}

// minimise takes evidence away for as long as the two disagree.
func minimise(c *genCase) *genCase {
	for i := 0; i < len(c.evidence); {
		less := *c
		less.evidence = slices.Delete(slices.Clone(c.evidence), i, i+1)
		if o, err := compare(&less); err == nil && !o.agree() {
			c, i = &less, 0
		} else {
			i++
		}
	}
	return c
}

// features names what a policy makes use of.
func features(p *verify.Policy) []string {
	seen := map[string]bool{}
	note := func(name string, ok bool) {
		if ok {
			seen[name] = true
		}
	}
	note("expires", !p.NoExpiryUnsafe)
	note("algorithms", len(p.Algorithms) > 0)
	note("revoked", len(p.Revoked) > 0)
	for _, s := range p.Stages {
		note("many", s.Many)
		note("contains", s.Contains != nil)
		note("many about", s.Many && len(s.About) > 0)
		note("optional", s.Optional)
		note("products", len(s.Products) > 0)
		note("complete", s.Complete)
		note("after", len(s.After) > 0)
		note("fan in", len(s.From) > 1)
		note("two requirements", len(s.Requires) > 1)
		for _, f := range s.From {
			note("names "+f.Names, f.Names != "")
			note("map", len(f.Map) > 0)
			note("materials", f.Materials != "")
			note("optional flow", f.Optional)
		}
		for _, a := range s.About {
			note("about", true)
			note("about all", a.All)
			note("about products", a.Products != "")
		}
		for _, in := range s.Inputs {
			note("input "+in, true)
		}
		for _, q := range s.Requires {
			note("which "+q.Which, q.Which != "")
			note("inventory", q.Complete)
			note("maxAge", q.MaxAge > 0)
			note("threshold", q.Threshold > 1)
			note("agreeOnMaterials", q.AgreeOnMaterials)
			note("builders", len(q.Builders) > 0)
			note("where", len(q.Where) > 0)
		}
	}
	for _, r := range p.Rules {
		note("separate", len(r.Separate) > 0)
		note("organizations", r.Organizations > 0)
		note("samePackages", len(r.SamePackages) > 0)
		note("condition", r.Condition != "")
	}
	var out []string
	for f := range seen {
		out = append(out, f)
	}
	return out
}

// tally counts the outcomes of generated cases.
type tally struct {
	sync.Mutex
	cases, passed, tooLarge, hostilePassed, benignRefused int
	with                                                  map[string][2]int // feature to passes and refusals
}

func (t *tally) add(c *genCase, o outcome) {
	t.Lock()
	defer t.Unlock()
	t.cases++
	switch {
	case o.tooLarge:
		t.tooLarge++
		return
	case o.engine == nil && len(c.hostile) > 0:
		t.hostilePassed++
	case o.engine != nil && len(c.hostile) == 0:
		t.benignRefused++
	}
	i := 1
	if o.engine == nil {
		i = 0
		t.passed++
	}
	for _, f := range features(c.policy) {
		n := t.with[f]
		n[i]++
		t.with[f] = n
	}
}

// TestReferenceAgrees compares the engine with the reference solver on
// generated chains, and makes sure that the chains are worth it: that enough
// of them pass and are refused, overall and with every feature.
func TestReferenceAgrees(t *testing.T) {
	n := uint64(16_000)
	if testing.Short() {
		n = 400
	}
	count := tally{with: map[string][2]int{}}
	workers := uint64(runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for seed := w; seed < n && !t.Failed(); seed += workers {
				c := generate(seedBytes(seed))
				o, err := compare(c)
				if err != nil {
					t.Errorf("seed %d: %v\n%s", seed, err, c)
					continue
				}
				if !o.agree() {
					c = minimise(c)
					o, _ = compare(c)
					t.Errorf("seed %d: the engine says %v, the reference solver %v\n%s", seed, o.engine, o.reference, c)
				}
				count.add(c, o)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	t.Logf("%d cases, %d passed (%d of them after harm), %d refused (%d without harm), %d too large to enumerate", count.cases, count.passed,
		count.hostilePassed, count.cases-count.passed-count.tooLarge, count.benignRefused, count.tooLarge)
	if share := 100 * count.passed / count.cases; share < 30 || share > 60 {
		t.Errorf("%d %% of the cases pass; want about half", share)
	}
	if count.tooLarge*20 > count.cases {
		t.Errorf("%d of %d cases are too large to enumerate", count.tooLarge, count.cases)
	}
	if len(count.with) < 30 {
		t.Errorf("only %d features occur", len(count.with))
	}
	for f, n := range count.with {
		if !testing.Short() && (n[0] < 20 || n[1] < 20) {
			t.Errorf("%s: %d passes and %d refusals, want more of each", f, n[0], n[1])
		}
	}
}

// FuzzChain compares the two solvers on chains made of the fuzzer's bytes.
func FuzzChain(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(seedBytes(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c := generate(data)
		o, err := compare(c)
		if err != nil {
			t.Fatalf("%v\n%s", err, c)
		}
		if !o.agree() {
			t.Fatalf("the engine says %v, the reference solver %v\n%s", o.engine, o.reference, c)
		}
	})
}
