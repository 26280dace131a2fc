package verify_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/verify"
)

func contentArtifact(t *testing.T, name, content string) provenance.Artifact {
	t.Helper()
	a, err := provenance.DigestReader(t.Context(), name, strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// once gives other content whenever it is read from the beginning again.
type once struct {
	r     io.Reader
	reads int
	seeks int
}

func (o *once) Read(b []byte) (int, error) { o.reads++; return o.r.Read(b) }
func (o *once) Seek(int64, int) (int64, error) {
	o.seeks++
	o.r = strings.NewReader("evil")
	return 0, nil
}

// The digest that was checked is the one that the caller gets back: an artifact
// is read once, front to back, and nothing that changes afterwards changes it.
func TestEdge42_DigestThatWasChecked(t *testing.T) {
	var used strings.Builder
	r := &once{r: strings.NewReader("good")}
	a, err := provenance.DigestReader(t.Context(), "app", io.TeeReader(r, &used))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte("good"))
	if used.String() != "good" || r.seeks != 0 || a.Digests.Get(provenance.SHA256).Value() != hex.EncodeToString(sum[:]) {
		t.Fatalf("read %q in %d readings, digest %s", used.String(), 1+r.seeks, a.Digests)
	}

	// A file that is exchanged once it was digested.
	path := filepath.Join(t.TempDir(), "app")
	if err := os.WriteFile(path, []byte("good"), 0o600); err != nil {
		t.Fatal(err)
	}
	fromFile, err := provenance.DigestFile(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	p := policy("build", map[string]*verify.Stage{"build": {Requires: requires("bld")}}, "bld")
	ev := signed(built(nil, []provenance.ResourceDescriptor{{Name: "app", Digest: a.Digests}}), "bld")
	artifacts := []provenance.Artifact{fromFile}
	proof, err := newVerifier(t, p).Verify(context.Background(), verify.Request{Artifacts: artifacts, Evidence: verify.NewEvidence(ev), At: now})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("evil"), 0o600); err != nil {
		t.Fatal(err)
	}
	evil, err := provenance.DigestFile(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	copy(artifacts[0].Digests, evil.Digests)
	artifacts[0] = evil
	if got := proof.Report().Artifacts[0]; got.Name != "app" || got.Digest.String() != a.Digests.String() {
		t.Errorf("the report of the pass says %+v, checked was %s", got, a.Digests)
	}
	if _, err := newVerifier(t, p).Verify(context.Background(), verify.Request{Artifacts: []provenance.Artifact{evil}, Evidence: verify.NewEvidence(ev), At: now}); err == nil {
		t.Error("the exchanged file passes")
	}
}

// foreign is a registry that lists the same referrers whatever it is asked for.
type foreign struct{ list [][]byte }

func (f foreign) Find(context.Context, provenance.Digest) ([][]byte, error) { return f.list, nil }

// An image is what its digest says: not the index that lists it, not what its
// tag was yesterday, nor what is attached to it about another.
func TestEdge43_ImagesByDigest(t *testing.T) {
	amd64 := contentArtifact(t, "registry.example/app", `{"config":"amd64"}`)
	arm64 := contentArtifact(t, "registry.example/app", `{"config":"arm64"}`)
	index := contentArtifact(t, "registry.example/app", `{"manifests":["`+amd64.Digests[0].Value()+`","`+arm64.Digests[0].Value()+`"]}`)
	p := policy("build", map[string]*verify.Stage{"build": {Requires: requires("bld")}}, "bld")
	ask := func(source verify.Source, list ...provenance.Artifact) error {
		_, err := newVerifier(t, p).Verify(t.Context(), verify.Request{Artifacts: list, Evidence: source, At: now})
		return err
	}
	about := func(list ...provenance.Artifact) []byte {
		var subjects []provenance.ResourceDescriptor
		for _, a := range list {
			subjects = append(subjects, a.Descriptor())
		}
		return signed(built(nil, subjects), "bld")
	}
	onIndex, onPlatform, onAll := about(index), about(amd64), about(index, amd64, arm64)
	for _, c := range []struct {
		name     string
		artifact provenance.Artifact
		evidence []byte
		want     verify.Reason
	}{
		{"the index, by its own", index, onIndex, ""},
		{"a platform, by its own", amd64, onPlatform, ""},
		{"a platform of an attested index", amd64, onIndex, verify.ReasonAltered},
		{"an index of an attested platform", index, onPlatform, verify.ReasonAltered},
		{"another platform", arm64, onPlatform, verify.ReasonAltered},
		{"a platform among all", arm64, onAll, ""},
	} {
		if got := reasonOf(ask(verify.NewEvidence(c.evidence), c.artifact)); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		// A registry that lists it as a referrer of whatever is asked for.
		if got := ask(foreign{[][]byte{c.evidence}}, c.artifact); (got == nil) != (c.want == "") {
			t.Errorf("%s, as a referrer: %v", c.name, got)
		}
	}
	// A moved tag: yesterday's image and today's have one name.
	moved := contentArtifact(t, "registry.example/app:v1", `{"config":"new"}`)
	old := contentArtifact(t, "registry.example/app:v1", `{"config":"old"}`)
	if got := reasonOf(ask(verify.NewEvidence(about(old)), moved)); got != verify.ReasonAltered {
		t.Errorf("a tag that was moved: %q", got)
	}
}

// Nothing normalises line ends: two files that differ by them are two files,
// whether they are judged, go in, or are in a package.
func TestEdge44_NoNormalisation(t *testing.T) {
	unix, dos := contentArtifact(t, "run.sh", "#!/bin/sh\nexit 0\n"), contentArtifact(t, "run.sh", "#!/bin/sh\r\nexit 0\r\n")
	p := policy("package", map[string]*verify.Stage{
		"source":  {Requires: requires("src")},
		"package": {Requires: requires("pkg"), From: []verify.Flow{{Stage: "source"}}},
	}, "src", "pkg")
	source := signed(built(nil, []provenance.ResourceDescriptor{unix.Descriptor()}), "src")
	packed := func(a provenance.Artifact) []byte {
		return signed(built([]provenance.ResourceDescriptor{a.Descriptor()}, files("app.tar")), "pkg")
	}
	pass(t, p, "app.tar", source, packed(unix))
	refused(t, verify.ReasonAltered, p, "app.tar", source, packed(dos))

	dir := t.TempDir()
	for name, content := range map[string]string{"unix": "a\nb\n", "dos": "a\r\nb\r\n", "mac": "a\rb\r", "bom": "\xef\xbb\xbfa\nb\n", "none": "a\nb"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]string{}
	for _, name := range []string{"unix", "dos", "mac", "bom", "none"} {
		a, err := provenance.DigestFile(t.Context(), filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if other, twice := seen[a.Digests.String()]; twice {
			t.Errorf("%s and %s have one digest", name, other)
		}
		seen[a.Digests.String()] = name
	}
	// Nor in evidence: what is signed are the bytes of the payload.
	st := built(nil, files("app"))
	crlf := []byte(strings.ReplaceAll(string(signed(st, "src")), ",", ",\r\n"))
	pass(t, policy("source", map[string]*verify.Stage{"source": p.Stages["source"]}, "src"), "app", crlf)
	changed := []byte(strings.ReplaceAll(string(st.Payload()), ",", ",\r\n"))
	again, err := provenance.ParseStatement(changed)
	if err != nil {
		t.Fatal(err)
	}
	if again.Digest() == st.Digest() {
		t.Error("two payloads are one statement")
	}
}
