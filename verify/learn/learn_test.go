package learn_test

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/internal/dsse"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/predicate"
	"github.com/hallmark-build/hallmark/verify"
	"github.com/hallmark-build/hallmark/verify/cel"
	"github.com/hallmark-build/hallmark/verify/learn"
)

var now = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)

func key(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("test key of " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func who(names ...string) map[string]verify.Principals {
	m := map[string]verify.Principals{}
	for _, n := range names {
		der, err := x509.MarshalPKIXPublicKey(key(n).Public())
		if err != nil {
			panic(err)
		}
		m[n] = verify.Principals{Key: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))}
	}
	return m
}

func res(name, uri, content string) provenance.ResourceDescriptor {
	sum := sha256.Sum256([]byte(content))
	return provenance.ResourceDescriptor{Name: name, URI: uri, Digest: provenance.DigestSet{provenance.MustDigest("sha256:" + hex.EncodeToString(sum[:]))}}
}

func signed(t *testing.T, typ string, pred any, subjects []provenance.ResourceDescriptor, names ...string) []byte {
	t.Helper()
	st, err := provenance.NewStatement(subjects, typ, pred)
	if err != nil {
		t.Fatal(err)
	}
	env := &dsse.Envelope{PayloadType: provenance.PayloadType, Payload: st.Payload()}
	for _, n := range names {
		env.Signatures = append(env.Signatures, dsse.Signature{Sig: ed25519.Sign(key(n), dsse.PAE(env.PayloadType, env.Payload))})
	}
	b, err := env.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

type list = []provenance.ResourceDescriptor

func build(materials list, builder string) map[string]any {
	return map[string]any{
		"buildDefinition": map[string]any{"buildType": "https://example.com/go@v1", "externalParameters": map[string]any{"x": 1}, "resolvedDependencies": materials},
		"runDetails":      map[string]any{"builder": map[string]any{"id": builder}},
	}
}

func link(name string, materials list) map[string]any {
	return map[string]any{"name": name, "command": []string{}, "materials": materials}
}

// A source commit is exported, built by two builders, tested, and packed.
func run(t *testing.T) (verify.Request, [][]byte) {
	commit := provenance.ResourceDescriptor{URI: "git+https://example.com/acme/app@refs/tags/v1", Name: "app",
		Digest: provenance.DigestSet{provenance.MustDigest("gitCommit:" + strings.Repeat("ab", 20))}}
	main, app, archive := res("main.go", "", "main"), res("out/app", "", "app"), res("app.tar.gz", "", "archive")
	packed := res("app", "", "app")
	evidence := [][]byte{
		signed(t, predicate.TypeLink, link("export", list{commit}), list{main}, "ann"),
		signed(t, predicate.TypeSLSAProvenance, build(list{main, res("", "pkg:golang/example.com/m@v1.2.3", "m")}, "https://b"), list{app}, "bob", "cid"),
		signed(t, predicate.TypeTestResult, map[string]any{"result": "PASSED", "configuration": []any{res("c", "", "c")}}, list{app}, "ann"),
		signed(t, predicate.TypeTestResult, map[string]any{"result": "FAILED", "configuration": []any{res("c", "", "c")}}, list{app}, "bob"),
		signed(t, predicate.TypeLink, link("pack", list{packed}), list{archive}, "ann"),
		signed(t, predicate.TypeLink, link("pack", list{res("evil", "", "evil")}), list{archive}, "eve"),
		[]byte("{}"),
	}
	return verify.Request{
		Artifacts: []provenance.Artifact{{Name: "app.tar.gz", Digests: archive.Digest}},
		Evidence:  verify.NewEvidence(evidence...), At: now,
	}, evidence
}

func TestDraft(t *testing.T) {
	request, _ := run(t)
	p, err := learn.Draft(t.Context(), request, who("ann", "bob", "cid", "dan"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := p.YAML()
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(string(text), "inputs:\n")
	want := `  git-https-example-com-acme-app:
    uri: git+https://example.com/acme/app@**
    digests:
      - gitCommit:abababababababababababababababababababab
  pkg-golang:
    uri: pkg:golang/**
    digests:
      - sha256:62c66a7a5dd70c3146618063c344e531e6d4b59e379808443ce962b3abd63c5a
stages:
  export:
    requires:
      - type: https://in-toto.io/attestation/link/v0.3
        signers: [ann]
        where:
          - predicate.name == "export"
    inputs:
      - git-https-example-com-acme-app
  build:
    requires:
      - type: https://slsa.dev/provenance/v1
        signers: [bob, cid]
        threshold: 2
        where:
          - predicate.buildDefinition.buildType == "https://example.com/go@v1"
        builders:
          - https://b
    from:
      - stage: export
        names: same
    inputs: [pkg-golang]
  pack:
    requires:
      - type: https://in-toto.io/attestation/link/v0.3
        signers: [ann]
        where:
          - predicate.name == "pack"
    from:
      - stage: build
        names: base
  test-result:
    requires:
      - type: https://in-toto.io/attestation/test-result/v0.1
        signers: [ann]
        where:
          - predicate.result == "PASSED"
    about: [build]
final: pack
`
	if body != want {
		t.Errorf("got\n%s\nwant\n%s", body, want)
	}
	if len(p.Principals) != 3 || p.Expires != time.Date(2027, 6, 1, 0, 0, 0, 0, time.UTC) {
		t.Errorf("principals %d, expires %v", len(p.Principals), p.Expires)
	}
	again, err := learn.Draft(t.Context(), request, who("ann", "bob", "cid", "dan"))
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := again.YAML(); string(b) != string(text) {
		t.Error("a second draft differs")
	}
}

// A release hands on the program and its archive together: the program is a
// product of the build and of the release, an SBOM of the program is about the
// build only, and packing came after the tests, whose statement it lists.
func TestDraftHandedOn(t *testing.T) {
	main, app, bill, archive := res("main.go", "", "main"), res("app", "", "app"), res("app.cdx.json", "", "bill"), res("app.tar.gz", "", "archive")
	tests, err := provenance.NewStatement(list{app}, predicate.TypeTestResult, map[string]any{"result": "PASSED", "configuration": []any{res("c", "", "c")}})
	if err != nil {
		t.Fatal(err)
	}
	tested := provenance.ResourceDescriptor{Name: "tests", MediaType: provenance.PayloadType, Digest: provenance.DigestSet{tests.Digest()}}
	evidence := [][]byte{
		signed(t, predicate.TypeLink, link("source", nil), list{main}, "ann"),
		signed(t, predicate.TypeSLSAProvenance, build(list{main}, "https://b"), list{app}, "bob"),
		signed(t, predicate.TypeTestResult, map[string]any{"result": "PASSED", "configuration": []any{res("c", "", "c")}}, list{app}, "ann"),
		signed(t, predicate.TypeCycloneDX, map[string]any{"bomFormat": "CycloneDX"}, list{app}, "ann"),
		signed(t, predicate.TypeLink, link("bill", list{app}), list{bill}, "ann"),
		signed(t, predicate.TypeLink, link("pack", list{app, tested}), list{archive}, "ann"),
		signed(t, predicate.TypeLink, link("release", list{archive, app, bill}), list{archive, app, bill}, "ann"),
	}
	request := verify.Request{Evidence: verify.NewEvidence(evidence...), At: now}
	for _, r := range (list{archive, app, bill}) {
		request.Artifacts = append(request.Artifacts, provenance.Artifact{Name: r.Name, Digests: r.Digest})
	}
	p, err := learn.Draft(t.Context(), request, who("ann", "bob"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := p.YAML()
	if err != nil {
		t.Fatal(err)
	}
	from := func(stage string) (names []string) {
		for _, f := range p.Stages[stage].From {
			names = append(names, f.Stage)
		}
		return names
	}
	about := func(stage string) (names []string) {
		for _, a := range p.Stages[stage].About {
			names = append(names, a.Stage+a.Products)
		}
		return names
	}
	for _, c := range []struct {
		what      string
		got, want []string
	}{
		{"release comes from", from("release"), []string{"bill", "build", "pack"}},
		{"pack comes from", from("pack"), []string{"build"}},
		{"pack comes after", p.Stages["pack"].After, []string{"test-result"}},
		{"the tests are about", about("test-result"), []string{"build"}},
		{"the SBOM is about", about("bom"), []string{"build"}},
	} {
		if !slices.Equal(c.got, c.want) {
			t.Errorf("%s %q, want %q", c.what, c.got, c.want)
		}
	}
	if len(p.Inputs) != 0 || len(p.Stages) != 7 {
		t.Errorf("%d inputs, %d stages\n%s", len(p.Inputs), len(p.Stages), text)
	}
}

// The draft refuses the run once any of its evidence is gone.
func TestDraftNeedsAllEvidence(t *testing.T) {
	request, evidence := run(t)
	p, err := learn.Draft(t.Context(), request, who("ann", "bob", "cid"))
	if err != nil {
		t.Fatal(err)
	}
	v, err := verify.New(p, verify.Options{Conditions: cel.Compiler{}})
	if err != nil {
		t.Fatal(err)
	}
	for i, needed := range []bool{true, true, true, false, true, false, false} {
		less := append(append([][]byte{}, evidence[:i]...), evidence[i+1:]...)
		request.Evidence = verify.NewEvidence(less...)
		if _, err := v.Verify(t.Context(), request); (err != nil) != needed {
			t.Errorf("without %d: %v", i, err)
		}
	}
}

func TestDraftRefuses(t *testing.T) {
	request, _ := run(t)
	for _, c := range []struct {
		name string
		edit func(r *verify.Request)
		who  map[string]verify.Principals
		want string
	}{
		{"nobody", func(*verify.Request) {}, nil, "nobody is named"},
		{"strangers", func(*verify.Request) {}, who("zoe"), "nobody who is named says what made app.tar.gz"},
		{"no artifact", func(r *verify.Request) { r.Artifacts = nil }, who("ann"), "wants artifacts"},
		{"no time", func(r *verify.Request) { r.At = time.Time{} }, who("ann"), "wants artifacts"},
		{"no evidence", func(r *verify.Request) { r.Evidence = nil }, who("ann"), "wants artifacts"},
		{"bad key", func(*verify.Request) {}, map[string]verify.Principals{"x": {Key: "x"}}, "PEM"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := request
			c.edit(&r)
			if p, err := learn.Draft(t.Context(), r, c.who); p != nil || err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, %v", p, err)
			}
		})
	}
}

// A step that runs for each platform, of which the products are packed together.
func TestDraftMany(t *testing.T) {
	src := res("main.go", "", "main")
	a, b, both := res("app-a", "", "a"), res("app-b", "", "b"), res("all.zip", "", "all")
	r := verify.Request{
		Artifacts: []provenance.Artifact{{Name: "all.zip", Digests: both.Digest}}, At: now,
		Evidence: verify.NewEvidence(
			signed(t, predicate.TypeSLSAProvenance, build(list{src}, "https://b"), list{a}, "ann"),
			signed(t, predicate.TypeSLSAProvenance, build(list{src}, "https://b"), list{b}, "ann"),
			signed(t, predicate.TypeLink, link("zip", list{a, b}), list{both}, "ann")),
	}
	p, err := learn.Draft(t.Context(), r, who("ann"))
	if err != nil {
		t.Fatal(err)
	}
	if !p.Stages["build"].Many || p.Stages["zip"].Many || p.Stages["build"].Requires[0].Threshold != 0 {
		t.Errorf("%+v", p.Stages["build"])
	}
}
