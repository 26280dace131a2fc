package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/layout"
	"github.com/hallmark-build/hallmark/provenance/predicate"
	"github.com/hallmark-build/hallmark/sign"
	signintoto "github.com/hallmark-build/hallmark/sign/intoto"
)

// world writes a layout with an inspection, a link and keys to the current
// directory, a temporary one.
func world(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	private, err := sign.GenerateKey(sign.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := sign.NewSigner(private, "")
	if err != nil {
		t.Fatal(err)
	}
	k, err := layout.NewKey(private.Public(), "")
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, data []byte, err error) {
		t.Helper()
		if err == nil {
			err = os.MkdirAll(filepath.Dir(name), 0o755)
		}
		if err == nil {
			err = os.WriteFile(name, data, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	keyJSON, err := json.Marshal(k)
	write("owner.json", keyJSON, err)
	write("app", []byte("app"), nil)
	app, err := provenance.DigestFile(t.Context(), "app")
	if err != nil {
		t.Fatal(err)
	}
	products := map[string]provenance.DigestSet{"app": {app.Digests.Get(provenance.SHA256)}}
	l := &layout.Layout{
		Expires: layout.At(time.Now().AddDate(1, 0, 0)),
		Keys:    map[string]layout.Key{k.KeyID: k},
		Steps: []layout.Step{{Name: "build", Threshold: 1, PubKeys: []string{k.KeyID},
			ExpectedProducts: []layout.Rule{{Verb: layout.Create, Pattern: "{NAME}"}, {Verb: layout.Disallow, Pattern: "*"}}}},
		Inspect: []layout.Inspection{{Name: "look", Run: []string{"true"},
			ExpectedMaterials: []layout.Rule{{Verb: layout.Match, Pattern: "app", With: layout.Products, From: "build"}, {Verb: layout.Disallow, Pattern: "app"}}}},
	}
	doc, err := l.Encode()
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signintoto.Metablock(context.Background(), doc, signer)
	write("root.layout", signed, err)
	l.Inspect = nil
	if doc, err = l.Encode(); err != nil {
		t.Fatal(err)
	}
	signed, err = signintoto.Envelope(context.Background(), doc, signer)
	write("plain.layout", signed, err)
	link, err := json.Marshal(&predicate.ClassicLink{Type: "link", Name: "build", Command: []string{}, Materials: map[string]provenance.DigestSet{}, Products: products, Byproducts: map[string]any{}, Environment: map[string]any{}})
	if err != nil {
		t.Fatal(err)
	}
	signed, err = signintoto.Metablock(context.Background(), link, signer)
	write("links/"+layout.LinkName("build", k.KeyID), signed, err)
}

func TestRun(t *testing.T) {
	world(t)
	for _, tc := range []struct {
		args string
		code int
		says string
	}{
		{"-l plain.layout -k owner.json -d links -p NAME=app", 0, "passed: 1 step,"},
		{"--layout plain.layout --verification-keys owner.json --link-dir=links --parameter NAME=app -v", 0, `step "build"`},
		{"-l plain.layout -k owner.json -t ed25519 -d links -p NAME=app -q", 0, ""},
		{"-l plain.layout -k owner.json -d links -p NAME=other", 1, "artifact-rule"},
		{"-l plain.layout -k owner.json -d links", 1, "parameter"},
		{"-l plain.layout -k owner.json -d . -p NAME=app", 1, "threshold"},
		{"-l plain.layout -k owner.json -d links -p NAME=app --at 2099-01-01T00:00:00Z", 1, "layout-expired"},
		{"-l root.layout -k owner.json -d links -p NAME=app", 1, "inspection-not-allowed"},
		{"-l root.layout -k owner.json -d links -p NAME=app --run-inspections-unsafe", 0, "passed"},
		{"-l root.layout -k owner.json owner.json -d links -p NAME=app --run-inspections-unsafe -q", 0, ""},
		{"", 2, "usage"},
		{"-l plain.layout", 2, "--layout-keys is required"},
		{"-k owner.json", 2, "--layout is required"},
		{"-l plain.layout --gpg ABCD", 2, "OpenPGP"},
		{"-l plain.layout -k owner.json -t rsa -d links", 2, "want rsa"},
		{"-l plain.layout -k owner.json -d nowhere", 2, "nowhere"},
		{"-l nothing -k owner.json", 2, "nothing"},
		{"-l plain.layout -k app", 2, "app"},
		{"-l plain.layout -k owner.json --frobnicate", 2, "unknown argument"},
		{"-l plain.layout -k owner.json -p NAME", 2, "NAME=VALUE"},
	} {
		var out, errs bytes.Buffer
		code := run(strings.Fields(tc.args), &out, &errs)
		all := out.String() + errs.String()
		if code != tc.code || !strings.Contains(all, tc.says) || tc.says == "" && all != "" {
			t.Errorf("%s: exit code %d, want %d:\n%s", tc.args, code, tc.code, all)
		}
	}
	// The product is not what was built.
	if err := os.WriteFile("app", []byte("evil"), 0o644); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	if code := run(strings.Fields("-l root.layout -k owner.json -d links -p NAME=app --run-inspections-unsafe"), &out, &errs); code != 1 || !strings.Contains(errs.String(), "another digest") {
		t.Errorf("exit code %d: %s", code, errs.String())
	}
}
