package main

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/hallmark-build/hallmark/examples/internal/cli"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/predicate"
	"github.com/hallmark-build/hallmark/sign"
	"github.com/hallmark-build/hallmark/verify"
)

// TestExitCodes judges a real file by a real policy, in every way that it can
// end.
func TestExitCodes(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	write := func(name, content string) {
		if err := os.WriteFile(in(name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ctx := context.Background()
	key, err := sign.GenerateKey(sign.Ed25519)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := sign.NewSigner(key, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := sign.WritePublicKey(in("key.pub"), key.Public()); err != nil {
		t.Fatal(err)
	}
	pub, err := os.ReadFile(in("key.pub"))
	if err != nil {
		t.Fatal(err)
	}
	write("app", "the artifact")
	app, err := provenance.DigestFile(ctx, in("app"))
	if err != nil {
		t.Fatal(err)
	}
	st, err := (&predicate.Link{Name: "build"}).Statement([]provenance.ResourceDescriptor{app.Descriptor()})
	if err != nil {
		t.Fatal(err)
	}
	env, err := sign.Statement(ctx, st, signer)
	if err != nil {
		t.Fatal(err)
	}
	if err := sign.WriteBundle(in("app.intoto.jsonl"), env); err != nil {
		t.Fatal(err)
	}
	policy := &verify.Policy{
		Schema: verify.PolicySchema, Name: "test", NoExpiryUnsafe: true, Final: "build",
		Principals: map[string]verify.Principals{"builder": {Key: string(pub)}},
		Stages:     map[string]*verify.Stage{"build": {Requires: []verify.Requirement{{Type: predicate.TypeLink, Signers: []string{"builder"}, Where: []string{`predicate.name == "build"`}}}}},
	}
	text, err := policy.YAML()
	if err != nil {
		t.Fatal(err)
	}
	write("policy.yaml", string(text))
	write("bad.yaml", "schema: [")
	write("other", "another file")

	// A tar with the artifact, and one with a file besides that nobody built.
	pack := func(name string, names ...string) {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		for _, n := range names {
			data, err := os.ReadFile(in(n))
			if err == nil {
				err = w.WriteHeader(&tar.Header{Name: n, Mode: 0o644, Size: int64(len(data)), Typeflag: tar.TypeReg})
			}
			if err == nil {
				_, err = w.Write(data)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		write(name, b.String())
	}
	pack("app.tar", "app")
	pack("stowaway.tar", "app", "other")
	policy.Stages["package"] = &verify.Stage{Contains: &verify.Contains{}, From: []verify.Flow{{Stage: "build"}}}
	policy.Final = "package"
	if text, err = policy.YAML(); err != nil {
		t.Fatal(err)
	}
	write("package.yaml", string(text))

	evidence := "-evidence=" + dir
	for _, c := range []struct {
		name string
		args []string
		want int
	}{
		{"passes", []string{"-policy", in("policy.yaml"), evidence, in("app")}, cli.OK},
		{"refused", []string{"-policy", in("policy.yaml"), evidence, in("other")}, cli.Refused},
		{"one of two refused", []string{"-policy", in("policy.yaml"), evidence, in("app"), in("other")}, cli.Refused},
		{"before it was so", []string{"-policy", in("policy.yaml"), "-at", "2026-01-01T00:00:00Z", evidence, in("app")}, cli.OK},
		{"no policy", []string{"-policy", in("none.yaml"), evidence, in("app")}, cli.Cannot},
		{"bad policy", []string{"-policy", in("bad.yaml"), evidence, in("app")}, cli.Cannot},
		{"no evidence", []string{"-policy", in("policy.yaml"), "-evidence", in("nowhere"), in("app")}, cli.Cannot},
		{"no artifact", []string{"-policy", in("policy.yaml"), evidence, in("nowhere")}, cli.Cannot},
		{"nothing to judge", []string{"-policy", in("policy.yaml"), evidence}, cli.Cannot},
		{"bad flag", []string{"-nonsense"}, cli.Cannot},
		{"bad instant", []string{"-policy", in("policy.yaml"), "-at", "yesterday", evidence, in("app")}, cli.Cannot},
		{"unknown parameter", []string{"-policy", in("policy.yaml"), "-param", "A=b", evidence, in("app")}, cli.Cannot},
		{"package", []string{"-policy", in("package.yaml"), evidence, "-packages", in("app.tar")}, cli.OK},
		{"package with a file besides", []string{"-policy", in("package.yaml"), evidence, "-packages", in("stowaway.tar")}, cli.Refused},
		{"package not looked into", []string{"-policy", in("package.yaml"), evidence, in("app.tar")}, cli.Refused},
		{"no package", []string{"-policy", in("package.yaml"), evidence, "-packages", in("app")}, cli.Refused},
		{"package not there", []string{"-policy", in("package.yaml"), evidence, "-packages", in("nowhere")}, cli.Cannot},
		{"unknown format", []string{"-policy", in("policy.yaml"), "-format", "pdf", evidence, in("app")}, cli.Cannot},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, format := range []string{"", "-json"} {
				out, err := os.CreateTemp(t.TempDir(), "out")
				if err != nil {
					t.Fatal(err)
				}
				defer out.Close()
				args := c.args
				if format != "" {
					args = append([]string{format}, args...)
				}
				if got := run(args, out); got != c.want {
					t.Errorf("%v: exit code %d, want %d", args, got, c.want)
				}
				data, err := os.ReadFile(out.Name())
				if err != nil {
					t.Fatal(err)
				}
				if bytes.Contains(data, []byte("\x1b")) {
					t.Error("colours in a file")
				}
				if format == "-json" && len(data) > 0 {
					var rep verify.Report
					if err := json.Unmarshal(data, &rep); err != nil {
						t.Errorf("not JSON: %v", err)
					}
					if rep.Passed != (c.want == cli.OK) {
						t.Errorf("passed is %v", rep.Passed)
					}
				}
			}
		})
	}
}
