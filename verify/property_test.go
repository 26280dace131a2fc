package verify_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hallmark-build/hallmark/internal/dsse"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/verify"
)

// answer is what a verifier said: the report in JSON, and the proof's
// statements ("" for a refusal).
type answer struct {
	report string
	proof  []string
	passed bool
}

func askAbout(t testing.TB, v *verify.Verifier, artifacts []provenance.Artifact, evidence [][]byte, contents ...*verify.Contents) answer {
	t.Helper()
	proof, err := v.Verify(context.Background(), verify.Request{Artifacts: artifacts, Evidence: verify.NewEvidence(evidence...), Contents: contents, At: now})
	var refused *verify.RefusedError
	var j answer
	var r *verify.Report
	switch {
	case err == nil:
		r, j.passed = proof.Report(), true
		for _, st := range proof.Statements() {
			j.proof = append(j.proof, st.Digest().String())
		}
	case errors.As(err, &refused):
		r = refused.Report
	default:
		t.Fatal(err)
	}
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	j.report = string(b)
	return j
}

// chains calls each for the release chain, whole and broken, and for generated chains.
func chains(t *testing.T, n uint64, each func(t *testing.T, v *verify.Verifier, artifacts []provenance.Artifact, evidence [][]byte, contents ...*verify.Contents)) {
	t.Helper()
	app := []provenance.Artifact{artifact("app.tar.gz")}
	each(t, newVerifier(t, releasePolicy()), app, releaseEvidence())
	each(t, newVerifier(t, releasePolicy()), app, releaseEvidence()[1:])
	if testing.Short() {
		n /= 10
	}
	for seed := range n {
		c := generate(seedBytes(1<<32 + seed))
		v, err := verify.New(c.policy, verify.Options{Conditions: chainCompiler{}})
		if err != nil {
			t.Fatal(err)
		}
		each(t, v, c.artifacts, c.envelopes(), c.contents...)
		if t.Failed() {
			t.Fatalf("seed %d\n%s", seed, c)
		}
	}
}

// unrelated is evidence that no chain here asks for, and things that are no evidence.
func unrelated() [][]byte {
	st := built(files("unrelated-in"), files("unrelated-out"))
	return [][]byte{
		signed(st, "p0", "src"), signed(st, "mallory"), signed(scan("FAILED", "unrelated-out"), "scn", "p1"),
		[]byte("{}"), []byte("not JSON"), nil, []byte(`{"payloadType":"application/json","payload":"","signatures":[]}`),
	}
}

// split puts every signature in an envelope of its own, backwards.
func split(t *testing.T, evidence [][]byte) [][]byte {
	var out [][]byte
	for _, e := range evidence {
		env, err := dsse.Parse(e)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range slices.Backward(env.Signatures) {
			b, err := (&dsse.Envelope{PayloadType: env.PayloadType, Payload: env.Payload, Signatures: []dsse.Signature{s}}).Encode()
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, b)
		}
	}
	return out
}

func TestPropertyOrderAndRepetition(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	chains(t, 700, func(t *testing.T, v *verify.Verifier, artifacts []provenance.Artifact, evidence [][]byte, contents ...*verify.Contents) {
		want := askAbout(t, v, artifacts, evidence, contents...)
		check := func(what string, evidence [][]byte) {
			t.Helper()
			if got := askAbout(t, v, artifacts, evidence, contents...); got.report != want.report || !slices.Equal(got.proof, want.proof) {
				t.Errorf("%s: the report is\n%s\nwant\n%s", what, got.report, want.report)
			}
		}
		shuffled := slices.Clone(evidence)
		r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		check("shuffled", shuffled)
		slices.Reverse(shuffled)
		check("reversed", shuffled)
		check("twice", slices.Concat(evidence, shuffled))
		check("with unrelated evidence", slices.Concat(unrelated(), evidence))
		check("in other envelopes", split(t, evidence))
	})
}

func TestPropertyManyGoroutines(t *testing.T) {
	chains(t, 10, func(t *testing.T, v *verify.Verifier, artifacts []provenance.Artifact, evidence [][]byte, contents ...*verify.Contents) {
		want := askAbout(t, v, artifacts, evidence, contents...)
		for _, n := range []int{1, 2, 7, 64} {
			var wg sync.WaitGroup
			var different atomic.Int32
			for g := range n {
				wg.Go(func() {
					for i := g; i < 100; i += n {
						if got := askAbout(t, v, artifacts, evidence, contents...); got.report != want.report {
							different.Add(1)
						}
					}
				})
			}
			wg.Wait()
			if different.Load() > 0 {
				t.Errorf("%d of 100 reports by %d goroutines differ", different.Load(), n)
			}
		}
	})
}

// TestPropertyProofNeedsItsStatements: without a statement of a proof there is
// no such proof.
func TestPropertyProofNeedsItsStatements(t *testing.T) {
	proofs := 0
	chains(t, 400, func(t *testing.T, v *verify.Verifier, artifacts []provenance.Artifact, evidence [][]byte, contents ...*verify.Contents) {
		with := askAbout(t, v, artifacts, evidence, contents...)
		for _, d := range with.proof {
			proofs++
			less := slices.DeleteFunc(slices.Clone(evidence), func(e []byte) bool {
				env, err := dsse.Parse(e)
				if err != nil {
					return false
				}
				st, err := provenance.ParseStatement(env.Payload)
				return err == nil && st.Digest().String() == d
			})
			if without := askAbout(t, v, artifacts, less, contents...); slices.Contains(without.proof, d) {
				t.Errorf("a proof uses statement %s, which is not there", d)
			}
		}
	})
	if proofs == 0 {
		t.Error("nothing passed")
	}
}

// TestPropertyMonotonic: with policies of "which: any" only, more evidence
// never turns a pass into a refusal, nor less a refusal into a pass.
func TestPropertyMonotonic(t *testing.T) {
	n := uint64(1500)
	if testing.Short() {
		n = 150
	}
	r := rand.New(rand.NewPCG(3, 4))
	policies, gained := 0, 0
	for seed := range n {
		c := generate(seedBytes(2<<32 + seed))
		monotonic := true
		for _, s := range c.policy.Stages {
			for _, q := range s.Requires {
				monotonic = monotonic && q.Which == ""
			}
		}
		if !monotonic {
			continue
		}
		policies++
		v, err := verify.New(c.policy, verify.Options{Conditions: chainCompiler{}})
		if err != nil {
			t.Fatal(err)
		}
		evidence := c.envelopes()
		all := askAbout(t, v, c.artifacts, evidence, c.contents...)
		r.Shuffle(len(evidence), func(i, j int) { evidence[i], evidence[j] = evidence[j], evidence[i] })
		before := false
		for i := range evidence { // one more at a time
			now := askAbout(t, v, c.artifacts, evidence[:i+1], c.contents...)
			if before && !now.passed {
				t.Fatalf("seed %d: passes with %d pieces of evidence and not with %d: %s\n%s", seed, i, i+1, now.report, c)
			}
			before = now.passed
		}
		if before != all.passed {
			t.Fatalf("seed %d: the verdict depends on the order", seed)
		}
		if !all.passed {
			continue
		}
		gained++
		// And with the evidence of other chains, which make files of the same names and contents.
		for other := range uint64(3) {
			evidence = append(evidence, generate(seedBytes(seed*7+other)).envelopes()...)
		}
		if more := askAbout(t, v, c.artifacts, evidence, c.contents...); !more.passed {
			t.Fatalf("seed %d: refused with more evidence: %s\n%s", seed, more.report, c)
		}
	}
	if gained < policies/4 {
		t.Errorf("only %d of %d passed", gained, policies)
	}
}

// hinted is signed with key ids and fields that nobody knows, and some by
// somebody unknown as well: with bits that may be flipped without harm.
func hinted(st *provenance.Statement, names ...string) []byte {
	var env map[string]any
	if err := json.Unmarshal(signed(st, names...), &env); err != nil {
		panic(err)
	}
	env["x"] = "unknown"
	for i, s := range env["signatures"].([]any) {
		s.(map[string]any)["keyid"] = keyID(publicPEM(names[i]))
	}
	b, err := json.Marshal(env)
	if err != nil {
		panic(err)
	}
	return b
}

// TestPropertyBitFlips flips every bit of every envelope of a chain that
// passes, and bits of what is wrong with chains that are refused.
func TestPropertyBitFlips(t *testing.T) {
	source, build := built(nil, files("main.go", "go.mod")), built(files("main.go", "go.mod"), files("app"))
	chain := func() [][]byte {
		return [][]byte{hinted(source, "src"), hinted(build, "bld"), hinted(scan("PASSED", "app"), "mallory", "scn"), hinted(built(files("app"), files("app.tar.gz")), "pkg")}
	}
	cases := []struct {
		name     string
		evidence [][]byte
		flip     []int // which envelopes
	}{{"holds", chain(), []int{0, 1, 2, 3}}}
	for i, st := range []struct {
		name string
		raw  []byte
	}{
		{"source by another", hinted(source, "bld")},
		{"build of other files", hinted(built(files("main.go=evil", "go.mod"), files("app")), "bld")},
		{"scan failed", hinted(scan("FAILED", "app"), "scn")},
		{"package of another app", hinted(built(files("app=evil"), files("app.tar.gz")), "pkg")},
	} {
		ev := chain()
		ev[i] = st.raw
		cases = append(cases, struct {
			name     string
			evidence [][]byte
			flip     []int
		}{st.name, ev, []int{i}})
	}
	v := newVerifier(t, releasePolicy())
	app := []provenance.Artifact{artifact("app.tar.gz")}
	for _, c := range cases {
		want := askAbout(t, v, app, c.evidence)
		if want.passed != (c.name == "holds") {
			t.Fatalf("%s: %s", c.name, want.report)
		}
		step := 1
		if !want.passed {
			step = 5
		}
		if testing.Short() {
			step *= 29
		}
		var unharmed atomic.Int32
		var wg sync.WaitGroup
		workers := runtime.GOMAXPROCS(0)
		for w := range workers {
			wg.Go(func() {
				for _, i := range c.flip {
					envelope := c.evidence[i]
					for bit := w * step; bit < 8*len(envelope) && !t.Failed(); bit += workers * step {
						ev := slices.Clone(c.evidence)
						ev[i] = bytes.Clone(envelope)
						ev[i][bit/8] ^= 1 << (bit % 8)
						got := askAbout(t, v, app, ev)
						if got.passed && !want.passed {
							t.Errorf("%s: flipping bit %d of envelope %d makes it pass", c.name, bit, i)
						}
						if got.passed && got.report != want.report {
							t.Errorf("%s: flipping bit %d of envelope %d changes the proof:\n%s\nwant\n%s", c.name, bit, i, got.report, want.report)
						}
						if got.passed {
							unharmed.Add(1)
						}
					}
				}
			})
		}
		wg.Wait()
		if want.passed && unharmed.Load() == 0 {
			t.Errorf("%s: no flip is harmless; key ids should be", c.name)
		}
	}
	// Bits of the artifact.
	sum := app[0].Digests[0].Value()
	for i := range 64 {
		flipped := []byte(sum)
		flipped[i] = "0123456789abcdef"[strings.IndexByte("0123456789abcdef", flipped[i])^1]
		d := provenance.MustDigest("sha256:" + string(flipped))
		if askAbout(t, v, []provenance.Artifact{{Name: app[0].Name, Digests: provenance.DigestSet{d}}}, chain()).passed {
			t.Errorf("passed with another artifact, %s", d)
		}
	}
}

// releaseYAML is releasePolicy as a person would write it.
func releaseYAML() []byte {
	indent := func(pem string) string {
		return "|\n      " + strings.ReplaceAll(strings.TrimSpace(pem), "\n", "\n      ") + "\n"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "schema: %s\nname: test\nexpires: 2027-01-01T00:00:00Z\nprincipals:\n", verify.PolicySchema)
	for _, n := range []string{"src", "bld", "scn", "pkg"} {
		fmt.Fprintf(&b, "  %s:\n    key: %s", n, indent(publicPEM(n)))
	}
	fmt.Fprintf(&b, `final: package
stages:
  source:
    requires: [{type: %[1]q, signers: [src]}]
  build:
    requires: [{type: %[1]q, signers: [bld], threshold: 1}]
    from: [{stage: source, names: same}]
  scan:
    requires:
      - type: %[2]q
        signers: [scn]
        where: ["result == PASSED"]
    about: [build]
  package:
    requires: [{type: %[1]q, signers: [pkg]}]
    from: [build]
`, typeSLSA, typeScan)
	return []byte(b.String())
}

// TestPropertyPolicyBitFlips: a flipped bit in a policy is an error, or a
// policy that means something else; never a panic, and never two answers.
func TestPropertyPolicyBitFlips(t *testing.T) {
	data := releaseYAML()
	app := []provenance.Artifact{artifact("app.tar.gz")}
	judgeBy := func(data []byte) (answer, error) {
		p, err := verify.ParsePolicy("policy.yaml", data)
		if err != nil {
			return answer{}, err
		}
		v, err := verify.New(p, verify.Options{Conditions: equalCompiler{}})
		if err != nil {
			return answer{}, err
		}
		return askAbout(t, v, app, releaseEvidence()), nil
	}
	if j, err := judgeBy(data); err != nil || !j.passed {
		t.Fatal(err, j)
	}
	step := 1
	if testing.Short() {
		step = 13
	}
	refused, passed := 0, 0
	for bit := 0; bit < 8*len(data); bit += step {
		flipped := bytes.Clone(data)
		flipped[bit/8] ^= 1 << (bit % 8)
		j, err := judgeBy(flipped)
		var pe *verify.PolicyError
		switch {
		case err != nil && !errors.As(err, &pe):
			t.Errorf("bit %d: %v is not a PolicyError", bit, err)
		case err != nil:
			refused++
		case j.passed:
			passed++
		}
	}
	// Most bits matter: those of keys, names, types and structure.
	if refused < 8*len(data)/step/2 {
		t.Errorf("of %d flips only %d are noticed when the policy is loaded (%d pass)", 8*len(data)/step, refused, passed)
	}
}

// TestPropertyNothingIsChanged: policy, options, artifacts and evidence are as
// they were, and changing them later changes no verdict.
func TestPropertyNothingIsChanged(t *testing.T) {
	unset := "default"
	for seed := range uint64(60) {
		c := generate(seedBytes(3<<32 + seed))
		c.policy.Parameters = map[string]*string{"NAME": &unset}
		before, err := json.Marshal(c.policy)
		if err != nil {
			t.Fatal(err)
		}
		options := verify.Options{Conditions: chainCompiler{}, Parameters: map[string]string{"NAME": "value"}}
		v, err := verify.New(c.policy, options)
		if err != nil {
			t.Fatal(err)
		}
		evidence := c.envelopes()
		copies := make([][]byte, len(evidence))
		for i := range evidence {
			copies[i] = bytes.Clone(evidence[i])
		}
		artifacts := slices.Clone(c.artifacts)
		want := askAbout(t, v, c.artifacts, evidence, c.contents...)
		after, err := json.Marshal(c.policy)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(before, after) {
			t.Errorf("seed %d: the policy was changed:\n%s\nto\n%s", seed, before, after)
		}
		if !reflect.DeepEqual(options, verify.Options{Conditions: chainCompiler{}, Parameters: map[string]string{"NAME": "value"}}) {
			t.Errorf("seed %d: the options were changed", seed)
		}
		if !slices.EqualFunc(evidence, copies, bytes.Equal) || !reflect.DeepEqual(artifacts, c.artifacts) {
			t.Errorf("seed %d: the request was changed", seed)
		}
		// The verifier keeps nothing that is the caller's.
		for name, s := range c.policy.Stages {
			s.Optional, s.From = !s.Optional, nil
			for i := range s.Requires {
				s.Requires[i].Signers[0] = "mallory"
				s.Requires[i].Type = "changed"
			}
			delete(c.policy.Stages, name)
		}
		clear(c.policy.Principals)
		clear(c.policy.Inputs)
		clear(options.Parameters)
		if got := askAbout(t, v, artifacts, copies, c.contents...); got.report != want.report {
			t.Errorf("seed %d: changing the policy after New changed the report to\n%s\nfrom\n%s", seed, got.report, want.report)
		}
	}
}
