package verify_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/verify"
)

// packed writes a tar with gzip, of files as file has them, and symbolic links
// "name->target".
func packed(t testing.TB, list ...string) string {
	t.Helper()
	var b bytes.Buffer
	g := gzip.NewWriter(&b)
	w := tar.NewWriter(g)
	for _, s := range list {
		if name, target, ok := strings.Cut(s, "->"); ok {
			w.WriteHeader(&tar.Header{Name: name, Linkname: target, Typeflag: tar.TypeSymlink})
			continue
		}
		name, content, ok := strings.Cut(s, "=")
		if !ok {
			content = name
		}
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}); err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, content)
	}
	if err := errors.Join(w.Close(), g.Close()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "app.tar.gz")
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// packagePolicy wants everything in the package to come from the build or,
// under doc/, from the source.
func packagePolicy() *verify.Policy {
	return policy("package", map[string]*verify.Stage{
		"source": {Requires: requires("src")},
		"build":  {Requires: requires("bld"), From: []verify.Flow{{Stage: "source"}}},
		"package": {Contains: &verify.Contains{Members: "**"}, From: []verify.Flow{
			{Stage: "build", Names: "base"}, {Stage: "source", Materials: "doc/**", Names: "base", Optional: true},
		}},
	}, "src", "bld")
}

func packageEvidence() [][]byte {
	link := file("run=bin/app")
	link.Annotations = map[string]any{"link": "bin/app"}
	shell := file("sh=/bin/sh")
	shell.Annotations = map[string]any{"link": "/bin/sh"}
	return [][]byte{
		signed(built(nil, files("main.go", "manual")), "src"),
		signed(built(files("main.go"), append(files("bin/app", "bin/tool", "text=/etc"), link, shell)), "bld"),
	}
}

func judgeContents(t testing.TB, p *verify.Policy, path string, evidence ...[]byte) error {
	t.Helper()
	contents, err := verify.ReadContents(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = newVerifier(t, p).Verify(context.Background(), verify.Request{
		Artifacts: []provenance.Artifact{contents.Artifact()}, Contents: []*verify.Contents{contents},
		Evidence: verify.NewEvidence(evidence...), At: now,
	})
	return err
}

func TestPackageHolds(t *testing.T) {
	for _, list := range [][]string{
		{"bin/app", "bin/tool", "doc/manual=manual", "run->bin/app"},
		{"opt/bin/app=bin/app"},
		{"a/app=bin/app", "b/app=bin/app"},
	} {
		if err := judgeContents(t, packagePolicy(), packed(t, list...), packageEvidence()...); err != nil {
			t.Errorf("%q: %v", list, err)
		}
	}
}

func TestPackageIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		list   []string
		reason verify.Reason
		member string
	}{
		"injected":             {[]string{"bin/app", "bin/backdoor"}, verify.ReasonUnaccounted, "bin/backdoor"},
		"replaced":             {[]string{"bin/app=evil", "bin/tool"}, verify.ReasonAltered, "bin/app"},
		"swapped":              {[]string{"bin/app=bin/tool", "bin/tool=bin/app"}, verify.ReasonName, "bin/app"},
		"source as program":    {[]string{"bin/app", "main.go"}, verify.ReasonUnaccounted, "main.go"},
		"only documentation":   {[]string{"doc/manual=manual"}, verify.ReasonNoFlow, ""},
		"link elsewhere":       {[]string{"bin/app", "run->/bin/bash"}, verify.ReasonAltered, "run"},
		"link that was a file": {[]string{"bin/app", "text->/etc"}, verify.ReasonUnaccounted, "text"},
		"file that was a link": {[]string{"bin/app", "sh=/bin/sh"}, verify.ReasonUnaccounted, "sh"},
	} {
		t.Run(name, func(t *testing.T) {
			err := judgeContents(t, packagePolicy(), packed(t, c.list...), packageEvidence()...)
			var r *verify.RefusedError
			if !errors.As(err, &r) {
				t.Fatalf("got %v", err)
			}
			if f := r.Report.Findings[0]; f.Reason != c.reason || f.File != c.member {
				t.Errorf("finding %+v, want %s naming %q", f, c.reason, c.member)
			}
		})
	}
	// Members that the policy does not ask about may be anything.
	p := packagePolicy()
	p.Stages["package"].Contains.Members = "bin/**"
	p.Stages["package"].From = p.Stages["package"].From[:1]
	if err := judgeContents(t, p, packed(t, "bin/app", "other"), packageEvidence()...); err != nil {
		t.Error(err)
	}
	// If none is asked about, nothing flows.
	err := judgeContents(t, p, packed(t, "other"), packageEvidence()...)
	var r *verify.RefusedError
	if !errors.As(err, &r) || r.Reason() != verify.ReasonNoFlow {
		t.Errorf("no member that counts: %v", err)
	}
}

func TestPackageNotLookedInto(t *testing.T) {
	path := packed(t, "bin/app")
	a, err := provenance.DigestFile(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	other, err := verify.ReadContents(context.Background(), packed(t, "bin/tool"))
	if err != nil {
		t.Fatal(err)
	}
	v := newVerifier(t, packagePolicy())
	for name, list := range map[string][]*verify.Contents{"none": nil, "of another package": {other}} {
		_, err := v.Verify(context.Background(), verify.Request{Artifacts: []provenance.Artifact{a}, Contents: list, Evidence: verify.NewEvidence(packageEvidence()...), At: now})
		var r *verify.RefusedError
		if !errors.As(err, &r) || r.Reason() != verify.ReasonContents {
			t.Errorf("contents %s: %v", name, err)
		}
	}
	for name, c := range map[string]*verify.Contents{"nil": nil, "zero": {}} {
		_, err := v.Verify(context.Background(), verify.Request{Artifacts: []provenance.Artifact{a}, Contents: []*verify.Contents{c}, Evidence: verify.NewEvidence(), At: now})
		var r *verify.RefusedError
		if err == nil || errors.As(err, &r) {
			t.Errorf("contents %s: %v", name, err)
		}
	}
}

func TestReadContents(t *testing.T) {
	path := packed(t, "bin/app", "run->bin/app")
	contents, err := verify.ReadContents(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	want, err := provenance.DigestFile(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	if got := contents.Artifact(); got.Name != want.Name || got.Digests.String() != want.Digests.String() {
		t.Errorf("artifact %v, want %v", got, want)
	}
	if _, ok := contents.Image(); ok {
		t.Error("an image")
	}
	m := contents.Members()
	if len(m) != 2 || m[0].Name != "bin/app" || !m[0].Digest.Matches(file("bin/app").Digest) || m[1].Annotations["link"] != "bin/app" {
		t.Errorf("members %+v", m)
	}
	// What is read is of no use if it is refused.
	var ce *verify.ContentsError
	if c, err := verify.ReadContents(context.Background(), packed(t, "a", "a")); !errors.As(err, &ce) || c != nil || ce.Reason != "contents-duplicate" || ce.Member != "a" {
		t.Errorf("contents %v, error %v", c, err)
	}
}

func ExampleReadContents() {
	dir, err := os.MkdirTemp("", "contents")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	f, err := os.Create(filepath.Join(dir, "app.whl"))
	if err != nil {
		log.Fatal(err)
	}
	w := zip.NewWriter(f)
	for _, name := range []string{"app/main.py", "app/util.py"} {
		e, err := w.Create(name)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Fprintln(e, "# the source of", name)
	}
	if err := errors.Join(w.Close(), f.Close()); err != nil {
		log.Fatal(err)
	}

	contents, err := verify.ReadContents(context.Background(), f.Name())
	if err != nil {
		log.Fatal(err)
	}
	for _, m := range contents.Members() {
		fmt.Println(m.Name, m.Digest.Get(provenance.SHA256).Short())
	}
	// A policy whose final stage is one with contains then accounts for each:
	//
	//	verifier.Verify(ctx, verify.Request{
	//		Artifacts: []provenance.Artifact{contents.Artifact()},
	//		Contents:  []*verify.Contents{contents},
	//		…
	//	})

	// Output:
	// app/main.py sha256:dba842f0c3c9
	// app/util.py sha256:8a09a7081627
}
