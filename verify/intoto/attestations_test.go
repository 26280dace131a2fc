package intoto

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/layout"
	"github.com/hallmark-build/hallmark/provenance/predicate"
	"github.com/hallmark-build/hallmark/sign"
	"github.com/hallmark-build/hallmark/verify/cel"
)

// yamlLayout has ALICE, BOB and their public keys to be replaced.
const yamlLayout = `expires: 2030-01-01T00:00:00Z
functionaries:
  ALICE:
    keyType: ed25519
    scheme: ed25519
    keyIDHashAlgorithms: [sha256, sha512]
    keyVal:
      public: PUBA
    keyID: ALICE
  BOB:
    keyType: ed25519
    scheme: ed25519
    keyVal: {public: PUBB}
steps:
  - name: clone
    command: git clone
    expectedMaterials:
      - DISALLOW *
    expectedProducts:
      - CREATE main.go
      - DISALLOW *
    expectedPredicates:
      - predicateType: https://in-toto.io/attestation/link/v0.3
        functionaries: [ALICE]
        expectedAttributes:
          - rule: "predicate.command == ['git', 'clone']"
  - name: test
    expectedMaterials:
      - MATCH main.go WITH PRODUCTS FROM clone
      - DISALLOW *
    expectedPredicates:
      - predicateType: https://in-toto.io/attestation/test-result/v0.1
        functionaries: [BOB]
        threshold: 0
        expectedAttributes:
          - rule: "predicate.result == 'PASSED'"
            debug: tests must pass
`

// An attestWorld is an ITE-10 layout and its attestations.
type attestWorld struct {
	t                 testing.TB
	owner, alice, bob *person
	text              string
	files             fstest.MapFS
	options           Options
}

func newAttestWorld(t testing.TB) *attestWorld {
	a := &attestWorld{t: t, owner: newPerson(t, sign.Ed25519), alice: newPerson(t, sign.Ed25519), bob: newPerson(t, sign.Ed25519), files: fstest.MapFS{}}
	a.options = Options{At: now, Conditions: cel.Compiler{}}
	a.text = strings.NewReplacer("ALICE", a.alice.key.KeyID, "BOB", a.bob.key.KeyID, "PUBA", a.alice.key.KeyVal.Public, "PUBB", a.bob.key.KeyVal.Public).Replace(yamlLayout)
	a.linkBy(a.alice, "clone.json", "clone", "main.go=1")
	a.testBy(a.bob, "test.json", predicate.Passed, "main.go=1")
	return a
}

func (a *attestWorld) replace(old, new string) {
	a.t.Helper()
	text := strings.Replace(a.text, old, strings.NewReplacer("ALICE", a.alice.key.KeyID, "BOB", a.bob.key.KeyID).Replace(new), 1)
	if text == a.text {
		a.t.Fatalf("%q is not in the layout", old)
	}
	a.text = text
}

func descriptors(names ...string) (out []provenance.ResourceDescriptor) {
	for _, n := range names {
		name, content, _ := strings.Cut(n, "=")
		out = append(out, provenance.ResourceDescriptor{Name: name, Digest: provenance.DigestSet{sha256Digest([]byte(content))}})
	}
	return out
}

func (a *attestWorld) put(by *person, file string, st *provenance.Statement, err error) {
	a.t.Helper()
	if err != nil {
		a.t.Fatal(err)
	}
	env, err := sign.Statement(a.t.Context(), st, by.signer)
	if err != nil {
		a.t.Fatal(err)
	}
	a.files[file] = &fstest.MapFile{Data: env}
}

func (a *attestWorld) linkBy(by *person, file, step string, products ...string) {
	a.t.Helper()
	st, err := (&predicate.Link{Name: step, Command: []string{"git", "clone"}}).Statement(descriptors(products...))
	a.put(by, file, st, err)
}

func (a *attestWorld) testBy(by *person, file string, result string, subjects ...string) {
	a.t.Helper()
	st, err := (&predicate.TestResult{Result: result, Configuration: descriptors("go.mod=1")}).Statement(descriptors(subjects...))
	a.put(by, file, st, err)
}

func (a *attestWorld) verify() (*Summary, error) {
	a.t.Helper()
	env, err := sign.Envelope(a.t.Context(), LayoutPayloadType, []byte(a.text), a.owner.signer)
	if err != nil {
		a.t.Fatal(err)
	}
	return Verify(a.t.Context(), env, []layout.Key{a.owner.key}, a.files, a.options)
}

func (a *attestWorld) passes() *Summary {
	a.t.Helper()
	s, err := a.verify()
	if err != nil {
		var e *RefusedError
		if errors.As(err, &e) {
			a.t.Fatal(e.Explain())
		}
		a.t.Fatal(err)
	}
	return s
}

func (a *attestWorld) refused(want Reason) *RefusedError {
	a.t.Helper()
	_, err := a.verify()
	return refusedFor(a.t, err, want)
}

func TestAttestations(t *testing.T) {
	a := newAttestWorld(t)
	s := a.passes()
	if len(s.Steps) != 2 || len(s.Steps[0].Products) != 1 || len(s.Steps[1].Materials) != 1 {
		t.Errorf("%+v", s.Steps)
	}
	// Names of files say nothing.
	a.files["x.json"], a.files["clone.json"] = a.files["clone.json"], a.files["test.json"]
	delete(a.files, "test.json")
	a.passes()
	a.testBy(a.bob, "clone.json", predicate.Failed, "main.go=1")
	if e := a.refused(ReasonAttribute); e.Step != "test" || !strings.Contains(e.Error(), "tests must pass") {
		t.Error(e)
	}
	a.testBy(a.bob, "clone.json", predicate.Passed, "main.go=2")
	if e := a.refused(ReasonRule); e.From != "clone" || len(e.Want) == 0 || len(e.Got) == 0 {
		t.Errorf("%+v", e)
	}
	a.testBy(a.alice, "clone.json", predicate.Passed, "main.go=1")
	a.refused(ReasonThreshold)
	a = newAttestWorld(t)
	a.options.At = now.AddDate(10, 0, 0)
	a.refused(ReasonExpired)
	a.options.At = now
	a.options.Conditions = nil
	a.refused(ReasonLayout)
}

// The nine traps of a first implementation (specifications, 3.4).
func TestTraps(t *testing.T) {
	t.Run("1 missing attributes", func(t *testing.T) {
		a := newAttestWorld(t)
		a.replace("predicate.result == 'PASSED'", "predicate.nothing == 'PASSED'")
		if e := a.refused(ReasonAttribute); !strings.Contains(e.Msg, "could not be decided") {
			t.Error(e)
		}
		a.replace("            debug: tests must pass", "            allowIfNoClaim: true")
		a.passes()
		// Only for what is missing: neither what is false nor what cannot be decided.
		a.replace("predicate.nothing == 'PASSED'", "predicate.result == 'FAILED'")
		a.refused(ReasonAttribute)
		a.replace("predicate.result == 'FAILED'", "predicate.result > 1")
		a.refused(ReasonAttribute)
	})
	t.Run("2 no bool", func(t *testing.T) {
		for _, rule := range []string{"predicate.result", "'yes'", "1", "predicate", "[true]"} {
			a := newAttestWorld(t)
			a.replace("predicate.result == 'PASSED'", rule)
			a.refused(ReasonLayout)
		}
	})
	t.Run("3 not passed over", func(t *testing.T) {
		for _, more := range []string{
			"subjects:\n  - subject: [main.go]\n    expectedPredicates: []\n",
			"inspections:\n  - name: look\n    command: 'true'\n",
		} {
			a := newAttestWorld(t)
			a.text += more
			a.refused(ReasonUnsupported)
		}
		for _, more := range []string{"inspektions: []\n", "Expires: x\n"} {
			a := newAttestWorld(t)
			a.text += more
			a.refused(ReasonLayout)
		}
		a := newAttestWorld(t)
		a.replace("            debug:", "            allowIfNoclaim: true\n            debug:")
		a.refused(ReasonLayout)
	})
	t.Run("4 unsigned", func(t *testing.T) {
		a := newAttestWorld(t)
		verify := func(keys ...layout.Key) error {
			_, err := Verify(t.Context(), []byte(a.text), keys, a.files, a.options)
			return err
		}
		refusedFor(t, verify(), ReasonUnsigned)
		refusedFor(t, verify(a.owner.key), ReasonUnsigned)
		a.options.UnsignedLayoutUnsafe = true
		refusedFor(t, verify(a.owner.key), ReasonUnsigned)
		if err := verify(); err != nil {
			t.Error(err)
		}
		// It is for bare YAML: a signed layout wants its keys still.
		env, _ := sign.Envelope(t.Context(), LayoutPayloadType, []byte(a.text), a.bob.signer)
		if _, err := Verify(t.Context(), env, nil, a.files, a.options); err == nil {
			t.Error("passed without keys")
		}
		_, err := Verify(t.Context(), env, []layout.Key{a.owner.key}, a.files, a.options)
		refusedFor(t, err, ReasonLayoutSignature)
	})
	t.Run("5 parameters", func(t *testing.T) {
		a := newAttestWorld(t)
		a.replace("predicate.result == 'PASSED'", "predicate.result == '{want}'")
		a.options.Parameters = map[string]string{"want": "x' || true || 'x"}
		if e := a.refused(ReasonLayout); !strings.Contains(e.Msg, `params["want"]`) {
			t.Error(e)
		}
		a.replace("'{want}'", "params.want")
		a.refused(ReasonAttribute)
		a.options.Parameters["want"] = "PASSED"
		a.passes()
		// Names that refer to each other end.
		a.replace("MATCH main.go", "MATCH {a}")
		a.options.Parameters = map[string]string{"want": "PASSED", "a": "{b}", "b": "{a}"}
		a.refused(ReasonRule)
		a.options.Parameters["a"] = "main.go"
		a.passes()
	})
	t.Run("6 types", func(t *testing.T) {
		a := newAttestWorld(t)
		st, err := (&predicate.TestResult{Result: predicate.Passed, Configuration: descriptors("go.mod=1")}).Statement(descriptors("main.go=1"))
		if err != nil {
			t.Fatal(err)
		}
		env, err := sign.Envelope(t.Context(), "application/json", st.Payload(), a.bob.signer)
		if err != nil {
			t.Fatal(err)
		}
		a.files["test.json"] = &fstest.MapFile{Data: env}
		if e := a.refused(ReasonThreshold); !hasNote(e.Notes, "payload type") {
			t.Error(e.Explain())
		}
	})
	t.Run("7 several claims", func(t *testing.T) {
		// All that a functionary states counts, whatever the files are called.
		a := newAttestWorld(t)
		a.linkBy(a.alice, "zzz.json", "clone", "main.go=2")
		if e := a.refused(ReasonDisagreement); e.Artifact != "main.go" {
			t.Error(e)
		}
	})
	t.Run("8 step names", func(t *testing.T) {
		a := newAttestWorld(t)
		a.linkBy(a.alice, "clone.json", "test", "main.go=1")
		if e := a.refused(ReasonThreshold); !hasNote(e.Notes, `link of step "test"`) {
			t.Error(e.Explain())
		}
		// Two steps that nothing signed tells apart.
		a = newAttestWorld(t)
		a.text += strings.NewReplacer("BOB", a.bob.key.KeyID).Replace(`  - name: stress
    expectedPredicates:
      - predicateType: https://in-toto.io/attestation/test-result/v0.1
        functionaries: [BOB]
`)
		a.refused(ReasonAmbiguous)
		a.text += "        expectedAttributes: [{rule: \"predicate.result == 'WARNED'\"}]\n"
		a.refused(ReasonThreshold) // there is none for stress
		a.testBy(a.bob, "stress.json", predicate.Warned, "main.go=1")
		a.passes()
	})
	t.Run("9 spaces", func(t *testing.T) {
		for text, want := range map[string][]string{
			"ALLOW my file.txt":   {"ALLOW", "my file.txt"},
			`ALLOW "my file.txt"`: {"ALLOW", "my file.txt"},
			" CREATE   foo ":      {"CREATE", "foo"},
			`MATCH "my file" WITH PRODUCTS FROM "the step"`: {"MATCH", "my file", "WITH", "PRODUCTS", "FROM", "the step"},
			`MATCH a IN "b c" WITH  PRODUCTS IN d FROM  e`:  {"MATCH", "a", "IN", "b c", "WITH", "PRODUCTS", "IN", "d", "FROM", "e"},
		} {
			got, err := splitRule(text)
			if err != nil || fmt.Sprintf("%q", got) != fmt.Sprintf("%q", want) {
				t.Errorf("%s: %q, %v", text, got, err)
			}
		}
		for _, bad := range []string{`ALLOW "my file`, `MATCH "a"b WITH PRODUCTS FROM c`, "MATCH my file WITH PRODUCTS FROM c", "ALLOW", ""} {
			words, err := splitRule(bad)
			if err == nil {
				_, err = layout.ParseRule(words)
			}
			if err == nil {
				t.Errorf("%s is the rule %q", bad, words)
			}
		}
		a := newAttestWorld(t)
		a.replace("CREATE main.go", "CREATE my main.go")
		a.replace("MATCH main.go WITH", `MATCH "my main.go" WITH`)
		a.linkBy(a.alice, "clone.json", "clone", "my main.go=1")
		a.testBy(a.bob, "test.json", predicate.Passed, "my main.go=1")
		a.passes()
	})
}

func TestAttributeWarnings(t *testing.T) {
	a := newAttestWorld(t)
	a.replace("            debug:", "            warn: true\n            debug:")
	a.testBy(a.bob, "test.json", predicate.Warned, "main.go=1")
	if s := a.passes(); !hasNote(s.Notes, "it is false") {
		t.Errorf("notes %v", s.Notes)
	}
	a.replace("predicate.result == 'PASSED'", "predicate.nothing == 1")
	a.refused(ReasonAttribute)
}

func TestAttestationThreshold(t *testing.T) {
	a := newAttestWorld(t)
	a.replace("threshold: 0", "threshold: 2")
	a.replace("functionaries: ["+a.bob.key.KeyID+"]", "functionaries: [BOB, ALICE]")
	a.refused(ReasonThreshold)
	a.testBy(a.bob, "again.json", predicate.Passed, "main.go=1")
	a.refused(ReasonThreshold) // bob, twice
	a.testBy(a.alice, "other.json", predicate.Passed, "main.go=2")
	a.refused(ReasonDisagreement)
	a.testBy(a.alice, "other.json", predicate.Failed, "main.go=1")
	a.refused(ReasonAttribute)
	a.testBy(a.alice, "other.json", predicate.Passed, "main.go=1")
	a.passes()
}

func TestAttestationLayoutForm(t *testing.T) {
	for _, change := range [][2]string{
		{"expires: 2030-01-01T00:00:00Z", "expires: 2030-01-01"},
		{"expires: 2030-01-01T00:00:00Z\n", ""},
		{"steps:", "steps: []\nreadme:"},
		{"name: test", "name: clone"},
		{"name: test", "name: ''"},
		{"threshold: 0", "threshold: 2"},
		{"threshold: 0", "threshold: -1"},
		{"threshold: 0", "threshold: 1.5"},
		{"threshold: 0", "threshold: '1'"},
		{"threshold: 0", "threshold: 0x1"},
		{"DISALLOW *", "FORBID *"},
		{"DISALLOW *", "ALLOW [z-a]"},
		{"name: clone", "name: &x clone"},
		{"name: clone", "name: !!str clone"},
		{"name: clone", "name: clone\n    name: clone"},
		{"command: git clone", "command: [git, clone]"},
		{"keyType: ed25519", "keyType: ed25519\n    keytype: rsa"},
	} {
		a := newAttestWorld(t)
		a.replace(change[0], change[1])
		a.refused(ReasonLayout)
	}
	for _, bad := range []string{"", "a: b\n---\nc: d\n", "a: *x", "a: &x [1]\nb: *x", "- 1", "a: \xff", "<<: {a: b}", strings.Repeat("[", 100), strings.Repeat("- a\n", 500_000)} {
		if _, err := parseAttestationLayout([]byte(bad)); err == nil {
			t.Errorf("%.30q is a layout", bad)
		}
	}
	if _, err := parseAttestationLayout(bytes.Repeat([]byte(" "), 17<<20)); err == nil {
		t.Error("17 MiB of spaces are a layout")
	}
}
