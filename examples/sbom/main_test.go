package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/examples/internal/cli"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/predicate"
	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/diff"
	"github.com/hallmark-build/hallmark/sbom/quality"
	"github.com/hallmark-build/hallmark/sign"
)

// invoke runs the program and returns its exit code and what it printed.
func invoke(t *testing.T, args ...string) (int, string) {
	t.Helper()
	out, err := os.CreateTemp(t.TempDir(), "out")
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	code := run(args, out)
	data, err := os.ReadFile(out.Name())
	if err != nil {
		t.Fatal(err)
	}
	return code, string(data)
}

func want(t *testing.T, code int, text string, args ...string) string {
	t.Helper()
	got, out := invoke(t, args...)
	if got != code || !strings.Contains(out, text) {
		t.Errorf("%q: exit code %d, want %d, and %q in\n%.2000s", args, got, code, text, out)
	}
	return out
}

// project is a folder with a lock file.
func project(t *testing.T, version, integrity string) string {
	t.Helper()
	dir := t.TempDir()
	lock := `{"name":"app","version":"1.0.0","lockfileVersion":3,"packages":{"":{"name":"app","version":"1.0.0","dependencies":{"left-pad":"*"}},
	 "node_modules/left-pad":{"version":"` + version + `","license":"WTFPL","integrity":"` + integrity + `"}}}`
	if err := os.WriteFile(filepath.Join(dir, "package-lock.json"), []byte(lock), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}

const (
	good = "sha256-uU0nuZNNPgilLlLX2n2r+sSE7+N6U4DukIj3rOLvzek="
	evil = "sha256-pmWkWSBCL513QX5IZ+/cT7igShpTFeNVAHcVS+Lm3qY="
)

func TestWork(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	for name, p := range map[string]string{"one": project(t, "1.3.0", good), "evil": project(t, "1.3.0", evil), "two": project(t, "1.4.0", good)} {
		want(t, cli.OK, "", "generate", "-name", "app", "-version", "1", "-author", "A. Builder", "-o", in(name), "dir", p)
	}
	first := want(t, cli.OK, "pkg:npm/left-pad@1.3.0", "generate", "-name", "app", "-version", "1", "dir", project(t, "1.3.0", good))
	if again := want(t, cli.OK, "", "generate", "-name", "app", "-version", "1", "dir", project(t, "1.3.0", good)); first != again {
		t.Error("the same folder gives another document")
	}

	want(t, cli.OK, "upgraded  pkg:npm/left-pad  1.3.0 → 1.4.0", "diff", in("one"), in("two"))
	want(t, cli.Refused, "same-version-other-digest  pkg:npm/left-pad", "diff", in("one"), in("evil"))
	want(t, cli.OK, "", "diff", "-fail", "", in("one"), in("evil"))
	var d diff.Diff
	if err := json.Unmarshal([]byte(want(t, cli.Refused, "", "diff", "-json", in("one"), in("evil"))), &d); err != nil || !d.Has(diff.Tampered) {
		t.Errorf("%+v, %v", d, err)
	}

	want(t, cli.OK, "WTFPL", "query", in("one"), "pkg:npm/left-*")
	want(t, cli.Refused, "[]", "query", "-json", in("one"), "pkg:npm/right-pad")
	for _, f := range formatNames() {
		want(t, cli.OK, "left-pad", "convert", "-format", f, in("one"))
	}
	want(t, cli.OK, "1.4.0", "merge", in("one"), in("two"))
	want(t, cli.OK, "urn:cdx:", "assemble", "-name", "suite", "-version", "1", in("one"))

	want(t, cli.OK, "", "reconcile", "-locked", in("one"), "-shipped", in("one"))
	want(t, cli.Refused, "digest-differs", "reconcile", "-locked", in("one"), "-shipped", in("evil"))
	want(t, cli.Refused, "shipped-not-locked", "reconcile", "-json", "-locked", in("one"), "-shipped", in("two"))
	g, _, err := read(in("evil"))
	if err != nil {
		t.Fatal(err)
	}
	fetched := &predicate.SLSAProvenance{
		BuildDefinition: predicate.BuildDefinition{BuildType: "https://example.com/b", ExternalParameters: map[string]any{"a": 1}, ResolvedDependencies: diff.Dependencies(g)},
		RunDetails:      predicate.RunDetails{Builder: predicate.Builder{ID: "https://example.com/builder"}},
	}
	st, err := fetched.Statement([]provenance.ResourceDescriptor{{Name: "app", Digest: provenance.DigestSet{provenance.MustDigest("sha256:" + strings.Repeat("a", 64))}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(in("provenance"), st.Payload(), 0o644); err != nil {
		t.Fatal(err)
	}
	want(t, cli.Refused, "digest-differs", "reconcile", "-locked", in("one"), "-fetched", in("provenance"))

	want(t, cli.OK, "of 10 over what can be known", "score", in("one"))
	want(t, cli.Refused, "", "score", "-min", "10.1", in("one"))
	want(t, cli.Refused, "supplier", "score", "-profile", "ntia-2021", in("one"))
	want(t, cli.Cannot, "", "score", "-profile", "nonsense", in("one"))

	// A database with one record.
	var db bytes.Buffer
	w := zip.NewWriter(&db)
	f, err := w.Create("GHSA-xxxx-yyyy-zzzz.json")
	if err == nil {
		_, err = f.Write([]byte(`{"schema_version":"1.6.0","id":"GHSA-xxxx-yyyy-zzzz","modified":"2026-01-01T00:00:00Z","aliases":["CVE-2026-0001"],"summary":"pads too much",
		"affected":[{"package":{"ecosystem":"npm","name":"left-pad"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.4.0"}]}]}]}`))
	}
	if err := errors.Join(err, w.Close(), os.WriteFile(in("osv.zip"), db.Bytes(), 0o644)); err != nil {
		t.Fatal(err)
	}
	want(t, cli.Refused, "CVE-2026-0001", "scan", "-db", in("osv.zip"), in("one"))
	want(t, cli.Refused, `"ruleId": "known-vulnerability"`, "scan", "-format", "sarif", "-db", in("osv.zip"), in("one"))
	want(t, cli.Cannot, "", "scan", "-format", "pdf", "-db", in("osv.zip"), in("one"))
	if _, out := invoke(t, "scan", "-json", "-db", in("osv.zip"), in("two")); strings.Contains(out, "CVE-2026-0001") {
		t.Errorf("the version that mends it is affected:\n%s", out)
	}
}

func TestLicense(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	want(t, cli.OK, "", "generate", "-o", in("bill"), "dir", project(t, "1.3.0", good))
	for name, policy := range map[string]string{
		"policy":   `{"allow": ["MIT"], "exceptions": [{"purl": "pkg:npm/left-pad", "licenses": ["WTFPL"], "why": "checked"}], "unsafeAllowUnknown": true}`,
		"misspelt": `{"allow": ["WTFPL"], "denny": ["WTFPL"], "unsafeAllowUnknown": true}`,
		"denies":   `{"deny": ["WTFPL"], "unsafeAllowUnknown": true}`,
		"twice":    `{"allow": ["WTFPL"], "allow": ["MIT"]}`,
	} {
		if err := os.WriteFile(in(name), []byte(policy), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// The folder itself has no licence.
	want(t, cli.Refused, "licence-unknown", "license", "-allow", "WTFPL", in("bill"))
	want(t, cli.Cannot, "", "generate", "-licence", "no such licence", "dir", dir)
	want(t, cli.OK, "", "license", "-allow", "MIT, WTFPL", "-unsafe-allow-unknown", in("bill"))
	want(t, cli.Refused, "licence-not-allowed", "license", "-allow", "MIT", "-unsafe-allow-unknown", "-format", "markdown", in("bill"))
	want(t, cli.Refused, "licence-denied", "license", "-deny", "MIT,WTFPL", "-unsafe-allow-unlisted", "-unsafe-allow-unknown", in("bill"))
	want(t, cli.OK, "checked", "license", "-policy", in("policy"), in("bill"))
	want(t, cli.Refused, "licence-denied", "license", "-policy", in("denies"), "-allow", "WTFPL", "-json", in("bill"))
	for _, args := range [][]string{{}, {"-deny", "MIT"}, {"-allow", ""}, {"-allow", "no such licence"}, {"-policy", in("misspelt")}, {"-policy", in("twice")}, {"-policy", in("nowhere")}} {
		want(t, cli.Cannot, "", append(append([]string{"license"}, args...), in("bill"))...)
	}
}

// keys writes two pairs of keys, one.key with one.pub and two.key with two.pub.
func keys(t *testing.T, dir string) map[string]sign.Signer {
	t.Helper()
	signers := map[string]sign.Signer{}
	for _, name := range []string{"one", "two"} {
		key, err := sign.GenerateKey("")
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(sign.WritePrivateKey(filepath.Join(dir, name+".key"), key, nil), sign.WritePublicKey(filepath.Join(dir, name+".pub"), key.Public())); err != nil {
			t.Fatal(err)
		}
		if signers[name], err = sign.NewSigner(key, ""); err != nil {
			t.Fatal(err)
		}
	}
	return signers
}

// A vulnerability is closed by VEX that somebody signed who is trusted, and by
// no other unless the user says so.
func TestVEX(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	signers := keys(t, dir)
	if err := os.Mkdir(in("osv"), 0o755); err != nil {
		t.Fatal(err)
	}
	want(t, cli.OK, "", "generate", "-o", in("bill"), "dir", project(t, "1.3.0", good))
	st, err := provenance.ParseStatement([]byte(`{"_type":"https://in-toto.io/Statement/v1","predicateType":"https://openvex.dev/ns/v0.2.0",
	 "subject":[{"name":"app","digest":{"sha256":"` + strings.Repeat("a", 64) + `"}}],"predicate":` + openVEX + `}`))
	if err != nil {
		t.Fatal(err)
	}
	envelope, err := sign.Statement(t.Context(), st, signers["one"])
	if err != nil {
		t.Fatal(err)
	}
	for name, doc := range map[string]string{
		"osv/a.json": `{"schema_version":"1.6.0","id":"CVE-2026-0001","modified":"2026-01-01T00:00:00Z",
		 "affected":[{"package":{"ecosystem":"npm","name":"left-pad"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}]}]}`,
		"openvex":     openVEX,
		"statement":   string(st.Payload()),
		"attestation": string(envelope),
		"cyclonedx": `{"bomFormat":"CycloneDX","specVersion":"1.6","serialNumber":"urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79","version":1,
		 "metadata":{"timestamp":"2026-01-02T00:00:00Z"},"components":[{"type":"library","name":"left-pad","version":"1.3.0","purl":"pkg:npm/left-pad@1.3.0","bom-ref":"l"}],
		 "vulnerabilities":[{"id":"CVE-2026-0001","updated":"2026-01-02T00:00:00Z","analysis":{"state":"not_affected","justification":"code_not_reachable"},"affects":[{"ref":"l"}]}]}`,
		"nonsense": `{"hello":1}`,
	} {
		if err := os.WriteFile(in(name), []byte(doc), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want(t, cli.OK, "", "sign", "-key", in("one.key"), "-o", in("signed"), in("cyclonedx"))

	scan := func(args ...string) []string {
		return append(append([]string{"scan", "-db", in("osv")}, args...), in("bill"))
	}
	want(t, cli.Refused, "CVE-2026-0001", scan()...)
	for _, f := range []string{"attestation", "signed"} {
		if _, out := invoke(t, scan("-vex", in(f), "-vex-key", in("two.pub"), "-vex-key", in("one.pub"))...); strings.Contains(out, "known-vulnerability") {
			t.Errorf("%s: still open:\n%s", f, out)
		}
		want(t, cli.Cannot, "", scan("-vex", in(f), "-vex-key", in("two.pub"))...)
		want(t, cli.Cannot, "", scan("-vex", in(f), "-vex-key", in("two.pub"), "-unsafe-unsigned-vex")...)
		want(t, cli.Cannot, "", scan("-vex", in(f))...)
	}
	for _, f := range []string{"openvex", "statement", "cyclonedx"} {
		want(t, cli.Cannot, "", scan("-vex", in(f))...)
		want(t, cli.Cannot, "", scan("-vex", in(f), "-vex-key", in("one.pub"))...)
		if _, out := invoke(t, scan("-vex", in(f), "-unsafe-unsigned-vex")...); strings.Contains(out, "known-vulnerability") {
			t.Errorf("%s: still open:\n%s", f, out)
		}
	}
	want(t, cli.Cannot, "", scan("-vex", in("nonsense"), "-unsafe-unsigned-vex")...)
	want(t, cli.Cannot, "", scan("-vex", in("attestation"), "-vex-key", in("one.key"))...)
}

const openVEX = `{"@context":"https://openvex.dev/ns/v0.2.0","@id":"https://example.com/vex/1","author":"A. Builder","timestamp":"2026-01-02T00:00:00Z","version":1,
 "statements":[{"vulnerability":{"name":"CVE-2026-0001"},"products":[{"@id":"pkg:npm/left-pad@1.3.0"}],"status":"not_affected","justification":"vulnerable_code_not_in_execute_path"}]}`

func TestAccount(t *testing.T) {
	dir, app := t.TempDir(), []byte("program")
	in := func(name string) string { return filepath.Join(dir, name) }
	for name, data := range map[string][]byte{"art/app": app, "art/LICENSE": []byte("MIT"), "art/stamp": []byte("now")} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(in(name)), 0o755), os.WriteFile(in(name), data, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	a, err := provenance.DigestFile(t.Context(), in("art/app"))
	if err != nil {
		t.Fatal(err)
	}
	g := &sbom.Graph{}
	g.Add(sbom.Component{ID: "app", Type: sbom.Application, Name: "app", Digests: a.Digests, Dependencies: sbom.Complete})
	p := &program{options: options{out: in("bill")}, now: time.Unix(1_700_000_000, 0)}
	if err := p.write(g, sbom.CycloneDX); err != nil {
		t.Fatal(err)
	}
	back, _, err := read(in("bill"))
	if err != nil {
		t.Fatal(err)
	}
	want(t, cli.Refused, "unknown  LICENSE", "account", in("bill"), in("art"))
	want(t, cli.OK, "the bill is complete", "account", "-o", in("noted"), "-component", "LICENSE="+back.Root().ID, "-generated", "stamp=date", in("bill"), in("art"))
	if g, _, err := read(in("noted")); err != nil {
		t.Error(err)
	} else if state, _ := g.Completeness(); state != sbom.Complete {
		t.Errorf("the document says %s", state)
	}
	want(t, cli.Cannot, "", "account", "-component", "x", in("bill"), in("art"))
	want(t, cli.Cannot, "", "account", in("bill"), in("nowhere"))
}

func TestSignAndVerify(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	keys(t, dir)
	source := project(t, "1.3.0", good)
	want(t, cli.OK, "", "generate", "-o", in("bill"), "dir", source)
	want(t, cli.OK, "", "generate", "-o", in("spdx"), "-format", "spdx", "dir", source)
	want(t, cli.OK, "", "sign", "-key", in("one.key"), "-o", in("signed"), in("bill"))
	want(t, cli.OK, "one.pub", "verify", "-key", in("two.pub"), "-key", in("one.pub"), in("signed"))
	want(t, cli.Refused, "jsf-not-trusted", "verify", "-key", in("two.pub"), in("signed"))
	want(t, cli.Refused, `"verified": false`, "verify", "-json", "-key", in("one.pub"), in("bill"))
	data, err := os.ReadFile(in("signed"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(in("changed"), bytes.Replace(data, []byte("1.3.0"), []byte("1.3.1"), 1), 0o644); err != nil {
		t.Fatal(err)
	}
	want(t, cli.Refused, "", "verify", "-key", in("one.pub"), in("changed"))
	want(t, cli.OK, "left-pad", "query", in("signed"), "pkg:npm/*") // a signed document can be read
	want(t, cli.Cannot, "", "sign", "-key", in("one.key"), in("spdx"))
	want(t, cli.Cannot, "", "sign", "-key", in("one.key"), in("signed"))
	want(t, cli.Cannot, "", "verify", "-key", in("one.key"), in("signed"))
}

func TestPackage(t *testing.T) {
	if testing.Short() {
		t.Skip("runs go build")
	}
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	t.Setenv("GOWORK", "off")
	want(t, cli.OK, "pkg:golang/", "generate", "-format", "spdx", "package", ".")
}

// A program whose source is at hand scores at least 9.5 of 10 on what can be
// known, and names what cannot.
func TestBinaryScores(t *testing.T) {
	if testing.Short() {
		t.Skip("runs go build")
	}
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	t.Setenv("GOWORK", "off")
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	if out, err := exec.Command("go", "build", "-o", in("program"), ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	// This directory is in the program's module, which another folder replaces a part of.
	want(t, cli.OK, "", "generate", "-author", "A. Builder", "-version", "v1.0.0", "-o", in("here"), "binary", in("program"))
	want(t, cli.OK, "of 10", "score", "-min", "9.5", in("here"))
	g, _, err := read(in("here"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range append(g.FindPURL("pkg:golang/github.com/hallmark-build/hallmark@%28devel%29"), g.Root()) {
		if c.Declared.Expression != "Apache-2.0" {
			t.Errorf("%s: licence %+v", c.Name, c.Declared)
		}
	}
	if s, err := quality.ScoreOf(g); err != nil || len(s.Unknown) == 0 {
		t.Errorf("%+v, %v", s, err)
	}
	want(t, cli.OK, "", "generate", "-author", "A. Builder", "-version", "v1.0.0", "-source", ".", "-o", in("there"), "binary", in("program"))
	want(t, cli.OK, "components in which nothing changed: "+fmt.Sprint(len(g.Components())), "diff", in("here"), in("there"))
	want(t, cli.Cannot, "", "generate", "-source", dir, "binary", in("program"))
	t.Chdir(dir)
	want(t, cli.OK, "", "generate", "-o", in("elsewhere"), "binary", in("program"))
	want(t, cli.Refused, "", "score", "-min", "9.5", in("elsewhere"))
}

func TestCannot(t *testing.T) {
	for _, args := range [][]string{
		{}, {"nonsense"}, {"generate"}, {"generate", "dir"}, {"generate", "nonsense", "."}, {"generate", "dir", "nowhere"}, {"generate", "-format", "x", "dir", "."},
		{"convert", "nowhere"}, {"convert", "main.go"}, {"merge", "one"}, {"assemble", "nowhere"}, {"query", "main.go", "pkg:npm/x"}, {"diff", "a", "b"},
		{"reconcile"}, {"reconcile", "x"}, {"scan", "x"}, {"license", "x"}, {"sign", "x"}, {"verify", "x"}, {"score", "nowhere"}, {"diff", "-nonsense", "a", "b"},
	} {
		if code, _ := invoke(t, args...); code != cli.Cannot {
			t.Errorf("%q: exit code %d, want %d", args, code, cli.Cannot)
		}
	}
	t.Setenv("SOURCE_DATE_EPOCH", "yesterday")
	want(t, cli.Cannot, "", "generate", "dir", ".")
}
