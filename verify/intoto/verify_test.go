package intoto

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/layout"
	"github.com/hallmark-build/hallmark/sign"
	signintoto "github.com/hallmark-build/hallmark/sign/intoto"
)

func TestVerify(t *testing.T) {
	w := newWorld(t)
	s := w.passes()
	if len(s.Notes) > 0 {
		t.Errorf("notes %v", s.Notes)
	}
	if len(s.Steps) != 2 || s.Steps[1].Name != "build" || len(s.Steps[1].Functionaries) != 1 || s.Steps[1].Threshold != 1 {
		t.Errorf("steps %+v", s.Steps)
	}
	l := s.Link("whole")
	if err := l.Validate(); err != nil {
		t.Error(err)
	}
	if l.Name != "whole" || len(l.Materials) != 0 || len(l.Products) != 1 || !reflect.DeepEqual(l.Command, []string{"go", "build"}) {
		t.Errorf("summary link %+v", l)
	}
}

func TestVerifyEnvelopes(t *testing.T) {
	w := newWorld(t)
	for name, doc := range map[string][]byte{
		layout.LinkName("write", w.alice.key.KeyID): linkDocument(t, "write", nil, nil, files("main.go=1")),
	} {
		env, err := signintoto.Envelope(t.Context(), doc, w.alice.signer)
		if err != nil {
			t.Fatal(err)
		}
		w.put(name, env)
	}
	w.passes()
	doc, _ := w.layout.Encode()
	env, err := signintoto.Envelope(t.Context(), doc, w.owner.signer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Verify(t.Context(), env, []layout.Key{w.owner.key}, w.links, w.options); err != nil {
		t.Error(err)
	}
	if _, err := Verify(t.Context(), env, []layout.Key{w.alice.key}, w.links, w.options); err == nil {
		t.Error("passed under another key")
	}
}

// The material of build is not what write has made: the gap attack. The
// refusal names file, steps and both digests (edge 69).
func TestEdge69_DigestsInRefusal(t *testing.T) {
	w := newWorld(t)
	w.link(w.bob, "build", nil, files("main.go=evil"), files("app=2"))
	e := w.refused(ReasonRule)
	want, got := files("main.go=1")["main.go"], files("main.go=evil")["main.go"]
	if e.Step != "build" || e.From != "write" || e.Artifact != "main.go" || !sameDigests(e.Want, want) || !sameDigests(e.Got, got) {
		t.Errorf("%+v", e)
	}
	for _, part := range []string{"main.go", "build", "write", want[0].Value(), got[0].Value()} {
		if !strings.Contains(e.Error(), part) {
			t.Errorf("%q does not name %s", e, part)
		}
	}
}

func TestCallersMistakes(t *testing.T) {
	w := newWorld(t)
	for name, f := range map[string]func() error{
		"no instant": func() error {
			_, err := Verify(t.Context(), w.signedLayout(), []layout.Key{w.owner.key}, w.links, Options{})
			return err
		},
		"no keys": func() error { _, err := Verify(t.Context(), w.signedLayout(), nil, w.links, w.options); return err },
		"no links": func() error {
			_, err := Verify(t.Context(), w.signedLayout(), []layout.Key{w.owner.key}, nil, w.options)
			return err
		},
		"empty key": func() error {
			_, err := Verify(t.Context(), w.signedLayout(), []layout.Key{{}}, w.links, w.options)
			return err
		},
		"cancelled": func() error {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			_, err := Verify(ctx, w.signedLayout(), []layout.Key{w.owner.key}, w.links, w.options)
			return err
		},
	} {
		err := f()
		var e *RefusedError
		if err == nil || errors.As(err, &e) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLayoutSignatures(t *testing.T) {
	w := newWorld(t)
	// Every key given must have signed.
	both := []layout.Key{w.owner.key, w.alice.key}
	_, err := Verify(t.Context(), w.signedLayout(), both, w.links, w.options)
	refusedFor(t, err, ReasonLayoutSignature)
	if _, err := Verify(t.Context(), w.signedLayout(w.owner, w.alice), both, w.links, w.options); err != nil {
		t.Error(err)
	}
	// Not one bit of what is signed may change.
	data := w.signedLayout()
	for _, change := range [][2]string{{`"threshold": 1`, `"threshold": 0`}, {"CREATE", "ALLOW"}, {`"readme": ""`, `"readme": "", "more": 1`}} {
		changed := bytes.Replace(data, []byte(change[0]), []byte(change[1]), 1)
		if bytes.Equal(changed, data) {
			t.Fatalf("%s is not in the layout", change[0])
		}
		if _, err := Verify(t.Context(), changed, []layout.Key{w.owner.key}, w.links, w.options); err == nil {
			t.Errorf("passed with %s", change[1])
		}
	}
}

func TestEdge01_SignatureTwice(t *testing.T) {
	w := newWorld(t)
	doc := linkDocument(t, "build", []string{"go", "build"}, files("main.go=1"), files("app=2"))
	s := w.bob.sig(t, doc, w.bob.key.KeyID)
	w.layout.Steps[1].Threshold = 2
	w.layout.Steps[1].PubKeys = append(w.layout.Steps[1].PubKeys, w.alice.key.KeyID)
	w.put(layout.LinkName("build", w.bob.key.KeyID), metablock(t, doc, s, s))
	w.refused(ReasonThreshold)
	// Bob's link under alice's name is bob's link.
	w.put(layout.LinkName("build", w.alice.key.KeyID), metablock(t, doc, s, s))
	e := w.refused(ReasonThreshold)
	if !hasNote(e.Notes, "no signature by a functionary") {
		t.Errorf("notes %v", e.Notes)
	}
	w.link(w.alice, "build", []string{"go", "build"}, files("main.go=1"), files("app=2"))
	w.passes()
}

func TestEdge02_OneKeyTwoIDs(t *testing.T) {
	w := newWorld(t)
	again := w.bob.key
	again.KeyID = strings.Repeat("ab", 32)
	w.layout.Keys[again.KeyID] = again
	w.layout.Steps[1].PubKeys = append(w.layout.Steps[1].PubKeys, again.KeyID)
	w.layout.Steps[1].Threshold = 2
	e := w.refused(ReasonLayout)
	if !strings.Contains(e.Msg, "one key under two ids") {
		t.Error(e)
	}
	// In one step's list, twice the same id is one key.
	w = newWorld(t)
	w.layout.Steps[1].PubKeys = append(w.layout.Steps[1].PubKeys, w.bob.key.KeyID)
	w.passes()
	w.layout.Steps[1].Threshold = 2
	if _, err := w.layout.Encode(); err == nil {
		t.Error("a threshold of 2 with one key listed twice is valid")
	}
}

func TestEdge06_Thresholds(t *testing.T) {
	for _, n := range []int{0, -1, 2, 1 << 30} {
		w := newWorld(t)
		w.layout.Steps[1].Threshold = n
		if _, err := w.layout.Encode(); err == nil {
			t.Errorf("a threshold of %d is written", n)
		}
		w.layout.Steps[1].Threshold = 1
		doc, _ := w.layout.Encode()
		// Somebody else may sign such a layout.
		doc = bytes.Replace(doc, []byte(`"name":"build","threshold":1`), fmt.Appendf(nil, `"name":"build","threshold":%d`, n), 1)
		_, err := Verify(t.Context(), metablock(t, doc, w.owner.sig(t, doc, w.owner.key.KeyID)), []layout.Key{w.owner.key}, w.links, w.options)
		refusedFor(t, err, ReasonLayout)
	}
}

func TestEdge07_Signatures(t *testing.T) {
	w := newWorld(t)
	doc := linkDocument(t, "build", []string{"go", "build"}, files("main.go=1"), files("app=2"))
	name := layout.LinkName("build", w.bob.key.KeyID)
	for what, data := range map[string][]byte{
		"zero":  metablock(t, doc),
		"null":  []byte(`{"signed":` + string(doc) + `,"signatures":null}`),
		"none":  []byte(`{"signed":` + string(doc) + `}`),
		"empty": metablock(t, doc, map[string]any{"keyid": w.bob.key.KeyID, "sig": ""}),
		"odd":   metablock(t, doc, map[string]any{"keyid": w.bob.key.KeyID, "sig": "abc"}),
		"junk":  metablock(t, doc, map[string]any{"keyid": w.bob.key.KeyID, "sig": "00"}),
		"gpg":   metablock(t, doc, map[string]any{"keyid": w.bob.key.KeyID, "signature": "00", "other_headers": "04"}),
	} {
		w.put(name, data)
		if e := w.refused(ReasonThreshold); e.Step != "build" {
			t.Errorf("%s: %v", what, e)
		}
	}
	// A key id is a hint: missing or lying, the signature is still bob's.
	good := w.bob.sig(t, doc, "")
	w.put(name, metablock(t, doc, good))
	w.passes()
	delete(good, "keyid")
	w.put(name, metablock(t, doc, good))
	w.passes()
	w.put(name, metablock(t, doc, w.bob.sig(t, doc, w.alice.key.KeyID)))
	w.passes()
}

func TestEdge08_FirstSignatureBad(t *testing.T) {
	w := newWorld(t)
	doc := linkDocument(t, "build", []string{"go", "build"}, files("main.go=1"), files("app=2"))
	w.put(layout.LinkName("build", w.bob.key.KeyID), metablock(t, doc,
		map[string]any{"keyid": w.bob.key.KeyID, "sig": "00ff"}, w.bob.sig(t, doc, w.bob.key.KeyID)))
	w.passes()
}

func TestEdge05_SignatureMalleability(t *testing.T) {
	// Two signatures by one key, however they differ, are one functionary.
	w := newWorld(t)
	w.layout.Steps[1].PubKeys = append(w.layout.Steps[1].PubKeys, w.alice.key.KeyID)
	w.layout.Steps[1].Threshold = 2
	doc := linkDocument(t, "build", []string{"go", "build"}, files("main.go=1"), files("app=2"))
	w.put(layout.LinkName("build", w.bob.key.KeyID), metablock(t, doc, w.bob.sig(t, doc, w.bob.key.KeyID), w.bob.sig(t, doc, w.alice.key.KeyID)))
	w.refused(ReasonThreshold)
}

func TestEdge10_FunctionariesAreOfAStep(t *testing.T) {
	w := newWorld(t)
	delete(w.links, layout.LinkName("build", w.bob.key.KeyID))
	w.link(w.alice, "build", []string{"go", "build"}, files("main.go=1"), files("app=2"))
	w.refused(ReasonThreshold)
	// A key of the layout in no step has no effect.
	w = newWorld(t)
	carol := newPerson(t, sign.Ed25519)
	w.layout.Keys[carol.key.KeyID] = carol.key
	w.link(carol, "build", nil, nil, files("evil=1"))
	if s := w.passes(); !hasNote(s.Notes, carol.digits()) {
		t.Errorf("notes %v", s.Notes)
	}
}

func TestEdge17_DocumentKinds(t *testing.T) {
	w := newWorld(t)
	// A link where the layout should be, by the owner's key.
	_, err := Verify(t.Context(), signDocument(t, linkDocument(t, "build", nil, nil, nil), w.owner), []layout.Key{w.owner.key}, w.links, w.options)
	refusedFor(t, err, ReasonLayout)
	// A statement, in an envelope with the same payload type.
	st, err := provenance.NewStatement([]provenance.ResourceDescriptor{{Name: "app", Digest: files("app=2")["app"]}}, "https://example.com/x", map[string]any{})
	if err != nil {
		t.Fatal(err)
	}
	env, err := sign.Statement(t.Context(), st, w.owner.signer)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Verify(t.Context(), env, []layout.Key{w.owner.key}, w.links, w.options)
	refusedFor(t, err, ReasonLayout)
	// A layout under another payload type.
	doc, _ := w.layout.Encode()
	env, err = sign.Envelope(t.Context(), "application/json", doc, w.owner.signer)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Verify(t.Context(), env, []layout.Key{w.owner.key}, w.links, w.options)
	refusedFor(t, err, ReasonLayout)
	// Both kinds of wrapping at once.
	both := append(bytes.TrimSuffix(bytes.TrimSpace(w.signedLayout()), []byte("}")), `,"payload":"","payloadType":"x"}`...)
	_, err = Verify(t.Context(), both, []layout.Key{w.owner.key}, w.links, w.options)
	refusedFor(t, err, ReasonLayout)
}

// A signature over an envelope is none over a Metablock, and the reverse.
func TestEdge25_SignatureReused(t *testing.T) {
	w := newWorld(t)
	doc, _ := w.layout.Encode()
	env, err := signintoto.Envelope(t.Context(), doc, w.owner.signer)
	if err != nil {
		t.Fatal(err)
	}
	d, err := readDocument(env)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Verify(t.Context(), metablock(t, doc, map[string]any{"keyid": w.owner.key.KeyID, "sig": hexOf(d.signatures[0].sig)}), []layout.Key{w.owner.key}, w.links, w.options)
	refusedFor(t, err, ReasonLayoutSignature)
}

func TestEdge21_StepConfusion(t *testing.T) {
	w := newWorld(t)
	w.layout.Steps[0].PubKeys = append(w.layout.Steps[0].PubKeys, w.bob.key.KeyID)
	// Bob's link of write, renamed.
	w.link(w.bob, "write", nil, files("main.go=1"), files("app=2"))
	w.links[layout.LinkName("build", w.bob.key.KeyID)] = w.links[layout.LinkName("write", w.bob.key.KeyID)]
	delete(w.links, layout.LinkName("write", w.bob.key.KeyID))
	if e := w.refused(ReasonThreshold); !hasNote(e.Notes, `the link is one of step "write"`) {
		t.Errorf("notes %v", e.Notes)
	}
	// A file that says somebody else in its name.
	w = newWorld(t)
	w.links["build.00000000.link"] = w.links[layout.LinkName("build", w.bob.key.KeyID)]
	delete(w.links, layout.LinkName("build", w.bob.key.KeyID))
	w.refused(ReasonThreshold)

	for _, name := range []string{"", "../write", "a/b", `a\b`, "a\x00b", "a\nb", strings.Repeat("x", 200)} {
		w := newWorld(t)
		w.layout.Steps[1].Name = name
		if _, err := w.layout.Encode(); err == nil {
			t.Errorf("a step is called %q", name)
		}
	}
	// Characters of patterns in a name are only characters.
	w = newWorld(t)
	w.layout.Steps[1].Name = "b*"
	w.refused(ReasonThreshold)
	w.link(w.bob, "b*", []string{"go", "build"}, files("main.go=1"), files("app=2"))
	w.passes()
}

func TestEdge45_NamesCollide(t *testing.T) {
	for _, pair := range [][2]string{{"foo", "./foo"}, {"foo", "a/../foo"}, {"foo", "foo/"}, {"a/foo", "a//foo"}} {
		w := newWorld(t)
		w.link(w.bob, "build", nil, files(pair[0]+"=1", pair[1]+"=2"), nil)
		if e := w.refused(ReasonThreshold); !hasNote(e.Notes, "two artifacts are called") {
			t.Errorf("%q: %v", pair, e.Explain())
		}
	}
	// Names that only look alike stay apart, and none hides the other.
	for _, pair := range [][2]string{{"foo/bar", `foo\bar`}, {"\u00e9", "e\u0301"}, {"A", "a"}, {"https://x/y", "https:/x/y"}} {
		m, err := cleanArtifacts(files(pair[0]+"=1", pair[1]+"=2"))
		if err != nil || len(m) != 2 {
			t.Errorf("%q: %v, %v", pair, m, err)
		}
	}
	if _, err := cleanArtifacts(files("=1")); err == nil {
		t.Error("an artifact without a name")
	}
}

func TestEdge38_WeakDigests(t *testing.T) {
	w := newWorld(t)
	weak := map[string]provenance.DigestSet{"main.go": {provenance.MustDigest("sha1:" + strings.Repeat("a", 40))}}
	w.link(w.alice, "write", nil, nil, weak)
	if e := w.refused(ReasonThreshold); !hasNote(e.Notes, "no digest under a strong algorithm") {
		t.Error(e.Explain())
	}
}

func TestEdge55_ProvesNothing(t *testing.T) {
	w := newWorld(t)
	w.layout.Steps = nil
	if _, err := w.layout.Encode(); err == nil {
		t.Error("a layout without steps is valid")
	}
	w = newWorld(t)
	w.layout.Steps[0].PubKeys = nil
	if _, err := w.layout.Encode(); err == nil {
		t.Error("a step that nobody may do is valid")
	}
	// No rules at all: allowed by in-toto, and said.
	w = newWorld(t)
	w.layout.Steps[1].ExpectedMaterials, w.layout.Steps[1].ExpectedProducts = nil, nil
	if s := w.passes(); !hasNote(s.Notes, "no rule speaks of 1 of the materials") {
		t.Errorf("notes %v", s.Notes)
	}
	w.options.DenyUnmatched = true
	if e := w.refused(ReasonUnmatched); e.Artifact != "main.go" {
		t.Error(e)
	}
}

func TestEdge58_SameLinkTwice(t *testing.T) {
	w := newWorld(t)
	carol := newPerson(t, sign.Ed25519)
	w.layout.Keys[carol.key.KeyID] = carol.key
	w.layout.Steps[1].PubKeys = append(w.layout.Steps[1].PubKeys, carol.key.KeyID)
	w.layout.Steps[1].Threshold = 2
	doc := linkDocument(t, "build", []string{"go", "build"}, files("main.go=1"), files("app=2"))
	// One link with two signatures, in both files: two functionaries vouch.
	data := signDocument(t, doc, w.bob, carol)
	w.put(layout.LinkName("build", w.bob.key.KeyID), data)
	w.refused(ReasonThreshold)
	w.put(layout.LinkName("build", carol.key.KeyID), data)
	w.passes()
}

func TestEdge64_OneOfSeveralFails(t *testing.T) {
	w := newWorld(t)
	carol := newPerson(t, sign.Ed25519)
	w.layout.Keys[carol.key.KeyID] = carol.key
	w.layout.Steps[1].PubKeys = append(w.layout.Steps[1].PubKeys, carol.key.KeyID)
	name := layout.LinkName("build", carol.key.KeyID)
	for _, data := range []string{"", "{", "{}", `{"signed":1,"signatures":[]}`, `{"signed":{"_type":"link","x":1.5},"signatures":[]}`} {
		w.put(name, []byte(data))
		if s := w.passes(); !hasNote(s.Notes, name) {
			t.Errorf("%q: notes %v", data, s.Notes)
		}
	}
	// A sublayout of carol's that does not hold.
	sub := *w.layout
	sub.Expires = layout.At(now)
	doc, _ := sub.Encode()
	w.put(name, signDocument(t, doc, carol))
	w.put("build."+carol.digits()+"/x", nil)
	if s := w.passes(); !hasNote(s.Notes, "expired") {
		t.Errorf("notes %v", s.Notes)
	}
	// Without bob it is what is reported.
	delete(w.links, layout.LinkName("build", w.bob.key.KeyID))
	if e := w.refused(ReasonExpired); !reflect.DeepEqual(e.Sublayout, []string{"build"}) {
		t.Errorf("%+v", e)
	}
	// That a file cannot be read does not mean that it is not there.
	w = newWorld(t)
	_, err := Verify(t.Context(), w.signedLayout(), []layout.Key{w.owner.key}, brokenFS{w.links, layout.LinkName("build", w.bob.key.KeyID)}, w.options)
	var e *RefusedError
	if !errors.Is(err, errBroken) || errors.As(err, &e) {
		t.Errorf("got %v", err)
	}
}

var errBroken = errors.New("the disk is on fire")

type brokenFS struct {
	fs.FS
	name string
}

func (b brokenFS) Open(name string) (fs.File, error) {
	if name == b.name {
		return nil, errBroken
	}
	return b.FS.Open(name)
}

func TestEdge84_LinksDisagree(t *testing.T) {
	for _, threshold := range []int{1, 2} {
		w := newWorld(t)
		carol := newPerson(t, sign.Ed25519)
		w.layout.Keys[carol.key.KeyID] = carol.key
		w.layout.Steps[1].PubKeys = append(w.layout.Steps[1].PubKeys, carol.key.KeyID)
		w.layout.Steps[1].Threshold = threshold
		w.link(carol, "build", []string{"go", "build"}, files("main.go=1"), files("app=3"))
		if e := w.refused(ReasonDisagreement); e.Artifact != "app" {
			t.Error(e)
		}
		w.link(carol, "build", []string{"go", "build"}, files("main.go=1"), files("app=2"))
		w.passes()
	}
}

func TestEdge67_Command(t *testing.T) {
	w := newWorld(t)
	// The same text joined, another list.
	w.link(w.bob, "build", []string{"go build"}, files("main.go=1"), files("app=2"))
	if s := w.passes(); !hasNote(s.Notes, "the command was") {
		t.Errorf("notes %v", s.Notes)
	}
}

func TestEdge75_Expiry(t *testing.T) {
	for _, tc := range []struct {
		expires time.Time
		pass    bool
	}{{now.Add(time.Second), true}, {now, false}, {now.Add(-time.Second), false}, {time.Unix(0, 0), false}} {
		w := newWorld(t)
		w.layout.Expires = layout.At(tc.expires)
		if tc.pass {
			w.passes()
		} else {
			w.refused(ReasonExpired)
		}
	}
	for _, text := range []string{"", "2030-01-01", "2030-01-01T00:00:00", "2030-01-01T00:00:00+00:00", "2030-01-01T00:00:00.5Z", "never"} {
		w := newWorld(t)
		w.layout.Expires = text
		if _, err := w.layout.Encode(); err == nil {
			t.Errorf("a layout expires %q", text)
		}
	}
}

type inspector struct {
	run []Inspection
	out Inspected
	err error
}

func (i *inspector) Inspect(_ context.Context, n Inspection) (*Inspected, error) {
	i.run = append(i.run, n)
	return &i.out, i.err
}

func TestEdge70_NothingIsRun(t *testing.T) {
	w := newWorld(t)
	w.layout.Inspect = []layout.Inspection{{Name: "look", Run: []string{"sh", "-c", "touch /tmp/{file}"},
		ExpectedMaterials: rules(t, "MATCH app WITH PRODUCTS FROM build", "DISALLOW *"),
		ExpectedProducts:  rules(t, "MATCH app WITH MATERIALS FROM look", "DISALLOW *")}}
	w.options.Parameters = map[string]string{"file": "x"}
	e := w.refused(ReasonInspection)
	if e.Step != "look" || !strings.Contains(e.Error(), "touch /tmp/x") {
		t.Error(e)
	}
	good := &inspector{out: Inspected{Materials: files("app=2"), Products: files("app=2")}}
	w.options.Executor = good
	s := w.passes()
	if len(good.run) != 1 || !reflect.DeepEqual(good.run[0].Run, []string{"sh", "-c", "touch /tmp/x"}) || len(s.Inspections) != 1 {
		t.Errorf("ran %+v", good.run)
	}
	w.options.Executor = &inspector{out: Inspected{Materials: files("app=3")}}
	w.refused(ReasonRule)
	w.options.Executor = &inspector{out: Inspected{ExitCode: 1}}
	w.refused(ReasonInspectionRun)
	w.options.Executor = &inspector{err: errBroken}
	if _, err := w.verify(); !errors.Is(err, errBroken) {
		t.Errorf("got %v", err)
	}
	// Rules of steps come first: a product that fails them runs nothing.
	bad := &inspector{}
	w.options.Executor = bad
	w.link(w.bob, "build", nil, files("main.go=evil"), files("app=2"))
	w.refused(ReasonRule)
	if len(bad.run) > 0 {
		t.Errorf("ran %+v", bad.run)
	}
	// An inspection cannot have the name of a step.
	w.layout.Inspect[0].Name = "build"
	if _, err := w.layout.Encode(); err == nil {
		t.Error("a step and an inspection have one name")
	}
}

// delegate makes bob's "build" a sublayout with the one step "compile" by carol.
func delegate(w *world) (carol *person, sub *layout.Layout, put func()) {
	carol = newPerson(w.t, sign.Ed25519)
	sub = &layout.Layout{
		Expires: layout.At(now.AddDate(1, 0, 0)),
		Keys:    map[string]layout.Key{carol.key.KeyID: carol.key},
		Steps:   []layout.Step{{Name: "compile", Threshold: 1, PubKeys: []string{carol.key.KeyID}}},
	}
	return carol, sub, func() {
		w.t.Helper()
		doc, err := sub.Encode()
		if err != nil {
			w.t.Fatal(err)
		}
		w.put(layout.LinkName("build", w.bob.key.KeyID), signDocument(w.t, doc, w.bob))
	}
}

func TestEdge65_Sublayouts(t *testing.T) {
	w := newWorld(t)
	carol, sub, put := delegate(w)
	put()
	inner := "build." + w.bob.digits() + "/" + layout.LinkName("compile", carol.key.KeyID)
	link := signDocument(t, linkDocument(t, "compile", []string{"cc"}, files("main.go=1"), files("app=2")), carol)

	w.put(layout.LinkName("compile", carol.key.KeyID), link) // beside, not inside
	if e := w.refused(ReasonSublayout); !strings.Contains(e.Msg, "no directory") {
		t.Error(e)
	}
	w.put(inner, link)
	s := w.passes()
	if len(s.Steps[1].Sublayouts) != 1 || s.Steps[1].Sublayouts[0].Steps[0].Name != "compile" {
		t.Errorf("%+v", s.Steps[1])
	}
	if l := s.Link(""); !reflect.DeepEqual(l.Command, []string{"cc"}) {
		t.Errorf("command %q", l.Command)
	}

	// The rules of the layout above hold for what the sublayout sums up.
	w.put(inner, signDocument(t, linkDocument(t, "compile", nil, files("main.go=evil"), files("app=2")), carol))
	if e := w.refused(ReasonRule); e.Step != "build" || e.From != "write" {
		t.Error(e)
	}
	// A refusal inside says where.
	w.put(inner, signDocument(t, linkDocument(t, "compile", nil, nil, nil), w.alice))
	if e := w.refused(ReasonThreshold); e.Step != "compile" || !reflect.DeepEqual(e.Sublayout, []string{"build"}) {
		t.Errorf("%+v", e)
	}
	w.put(inner, link)

	// The sublayout is bob's: signed by nobody else, and not by a key that it brings.
	doc, _ := sub.Encode()
	w.put(layout.LinkName("build", w.bob.key.KeyID), signDocument(t, doc, carol))
	w.refused(ReasonThreshold)

	// Expired.
	sub.Expires = layout.At(now)
	put()
	w.refused(ReasonExpired)
	sub.Expires = layout.At(now.AddDate(1, 0, 0))

	// No name of a layout above.
	sub.Steps[0].Name = "write"
	put()
	w.refused(ReasonSublayout)
	sub.Steps[0].Name = "compile"

	// No parameters come down.
	w.options.Parameters = map[string]string{"P": "app"}
	sub.Steps[0].ExpectedProducts = rules(t, "ALLOW {P}")
	put()
	w.refused(ReasonParameter)
	sub.Steps[0].ExpectedProducts = nil
	put()
	w.passes()

	// Its inspections are not run either.
	sub.Inspect = []layout.Inspection{{Name: "look", Run: []string{"true"}}}
	put()
	w.refused(ReasonInspection)
	run := &inspector{}
	w.options.Executor = run
	w.passes()
	if len(run.run) != 1 || !reflect.DeepEqual(run.run[0].Sublayout, []string{"build"}) {
		t.Errorf("%+v", run.run)
	}
}

func TestEdge65_SublayoutDepth(t *testing.T) {
	w := newWorld(t)
	dir, depth := "", 0
	for name := "build"; depth < 12; depth++ {
		next := fmt.Sprintf("step%d", depth)
		sub := &layout.Layout{Expires: layout.At(now.AddDate(1, 0, 0)), Keys: map[string]layout.Key{w.bob.key.KeyID: w.bob.key},
			Steps: []layout.Step{{Name: next, Threshold: 1, PubKeys: []string{w.bob.key.KeyID}}}}
		doc, err := sub.Encode()
		if err != nil {
			t.Fatal(err)
		}
		w.put(dir+layout.LinkName(name, w.bob.key.KeyID), signDocument(t, doc, w.bob))
		dir += name + "." + w.bob.digits() + "/"
		name = next
	}
	w.put(dir+"x", nil)
	if e := w.refused(ReasonSublayout); !strings.Contains(e.Msg, "deeper") {
		t.Error(e)
	}
}

// Links of a sublayout behind a symbolic link could be any.
func TestEdge65_SymbolicLinks(t *testing.T) {
	w := newWorld(t)
	carol, _, put := delegate(w)
	put()
	dir := t.TempDir()
	for name, f := range w.links {
		if err := os.WriteFile(filepath.Join(dir, name), f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	elsewhere := filepath.Join(dir, "elsewhere")
	if err := os.Mkdir(elsewhere, 0o755); err != nil {
		t.Fatal(err)
	}
	link := signDocument(t, linkDocument(t, "compile", nil, files("main.go=1"), files("app=2")), carol)
	if err := os.WriteFile(filepath.Join(elsewhere, layout.LinkName("compile", carol.key.KeyID)), link, 0o644); err != nil {
		t.Fatal(err)
	}
	inner := filepath.Join(dir, "build."+w.bob.digits())
	if err := os.Symlink("elsewhere", inner); err != nil {
		t.Skip(err)
	}
	verify := func() error {
		_, err := Verify(t.Context(), w.signedLayout(), []layout.Key{w.owner.key}, os.DirFS(dir), w.options)
		return err
	}
	if e := refusedFor(t, verify(), ReasonSublayout); !strings.Contains(e.Msg, "symbolic link") {
		t.Error(e)
	}
	os.Remove(inner)
	if err := os.Rename(elsewhere, inner); err != nil {
		t.Fatal(err)
	}
	if err := verify(); err != nil {
		t.Error(err)
	}
	// A link file that is a symbolic link is passed over.
	name := filepath.Join(dir, layout.LinkName("write", w.alice.key.KeyID))
	if err := os.Rename(name, filepath.Join(dir, "x")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("x", name); err != nil {
		t.Fatal(err)
	}
	if e := refusedFor(t, verify(), ReasonThreshold); !hasNote(e.Notes, "not a regular file") {
		t.Error(e.Explain())
	}
}

func TestEdge63_Deterministic(t *testing.T) {
	w := newWorld(t)
	for i := range 8 {
		p := newPerson(t, sign.Ed25519)
		w.layout.Keys[p.key.KeyID] = p.key
		w.layout.Steps[1].PubKeys = append(w.layout.Steps[1].PubKeys, p.key.KeyID)
		w.link(p, "build", []string{fmt.Sprint(i)}, files("main.go=1", "z=1"), files("app=2"))
	}
	w.link(w.bob, "build", nil, files("main.go=1", "z=1"), files("app=2"))
	data := w.signedLayout()
	var first string
	for range 30 {
		_, err := Verify(t.Context(), data, []layout.Key{w.owner.key}, w.links, w.options)
		e := refusedFor(t, err, ReasonRule)
		if first == "" {
			first = e.Explain()
		}
		if e.Explain() != first {
			t.Fatalf("%s\nthen\n%s", first, e.Explain())
		}
	}
}

func TestEdge26_27_StrictJSON(t *testing.T) {
	w := newWorld(t)
	good := string(w.signedLayout())
	for _, change := range [][2]string{
		{`"signed"`, `"SIGNED"`},
		{`"_type": "layout"`, `"_type": "layout", "_type": "layout"`},
		{`"steps"`, `"Steps"`},
		{`"threshold": 1`, `"threshold": 1.0`},
		{`"threshold": 1`, `"threshold": 1e0`},
		{`"threshold": 1`, `"threshold": -0`},
		{`{`, "\ufeff{"},
	} {
		bad := strings.Replace(good, change[0], change[1], 1)
		if bad == good {
			t.Fatalf("%s is not there", change[0])
		}
		if _, err := Verify(t.Context(), []byte(bad), []layout.Key{w.owner.key}, w.links, w.options); err == nil {
			t.Errorf("passed with %s", change[1])
		}
	}
	if _, err := Verify(t.Context(), []byte(good+"{}"), []layout.Key{w.owner.key}, w.links, w.options); err == nil {
		t.Error("passed with data after the layout")
	}
}

// Flip bits: a pass never comes of a document that is not the signed one.
func TestFlippedBits(t *testing.T) {
	w := newWorld(t)
	want := w.passes()
	name := layout.LinkName("build", w.bob.key.KeyID)
	good := w.links[name].Data
	data := w.signedLayout()
	for i := range good {
		for _, bit := range []byte{1, 0x20} {
			bad := bytes.Clone(good)
			bad[i] ^= bit
			links := clone(w.links)
			links[name] = &fstest.MapFile{Data: bad}
			s, err := Verify(t.Context(), data, []layout.Key{w.owner.key}, links, w.options)
			if err != nil {
				continue
			}
			// A key id, white space, or a letter of the signature's hex: the same verdict.
			if !reflect.DeepEqual(s.Products, want.Products) || !reflect.DeepEqual(s.Materials, want.Materials) || !reflect.DeepEqual(s.Steps, want.Steps) {
				t.Errorf("byte %d: passes and says something else", i)
			}
		}
	}
}

func TestRefusedErrorIsQuoted(t *testing.T) {
	w := newWorld(t)
	w.link(w.bob, "build", nil, files("main.go=1", "\x1b[31mred\n=1"), nil)
	e := w.refused(ReasonRule)
	if strings.ContainsAny(e.Error(), "\x1b\n") {
		t.Errorf("%q", e.Error())
	}
	if _, err := json.Marshal(e); err != nil {
		t.Error(err)
	}
}

// BenchmarkVerify judges two steps, and a step with 100,000 artifacts.
func BenchmarkVerify(b *testing.B) {
	for _, n := range []int{1, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := newWorld(b)
			many := make([]string, n)
			for i := range many {
				many[i] = fmt.Sprintf("src/dir%d/file%d.go=%d", i%100, i, i)
			}
			w.link(w.alice, "write", nil, nil, files(many...))
			w.link(w.bob, "build", []string{"go", "build"}, files(many...), files("app=2"))
			data := w.signedLayout()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Verify(b.Context(), data, []layout.Key{w.owner.key}, w.links, w.options); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
