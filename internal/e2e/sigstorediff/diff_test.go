package sigstorediff

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"testing"
	"time"

	sgbundle "github.com/sigstore/sigstore-go/pkg/bundle"
	sgroot "github.com/sigstore/sigstore-go/pkg/root"
	sgverify "github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"

	"github.com/hallmark-build/hallmark/internal/sigstore"
	"github.com/hallmark-build/hallmark/internal/sigstore/sigstoretest"
	"github.com/hallmark-build/hallmark/internal/strictjson"
)

const sharedData = "../../../../shared/data"

// A pair verifies with both, under one root.
type pair struct {
	ours     *sigstore.Verifier
	theirs   *sgverify.Verifier
	artifact []byte
	key      crypto.PublicKey
}

func newPair(t testing.TB, rootJSON, artifact []byte, key crypto.PublicKey) *pair {
	t.Helper()
	p := &pair{artifact: artifact, key: key}
	root, err := sigstore.ParseTrustedRoot(rootJSON)
	if err != nil {
		t.Fatal(err)
	}
	if p.ours, err = sigstore.NewVerifier(root, sigstore.Config{}); err != nil {
		t.Fatal(err)
	}
	material, err := sgroot.NewTrustedRootFromJSON(rootJSON)
	if err != nil {
		t.Fatal(err)
	}
	options := []sgverify.VerifierOption{sgverify.WithTransparencyLog(1), sgverify.WithObserverTimestamps(1)}
	trusted := sgroot.TrustedMaterialCollection{material}
	if key == nil {
		options = append(options, sgverify.WithSignedCertificateTimestamps(1))
	} else {
		verifier, err := signature.LoadVerifier(key, crypto.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		trusted = append(trusted, sgroot.NewTrustedPublicKeyMaterial(func(string) (sgroot.TimeConstrainedVerifier, error) {
			return sgroot.NewExpiringKey(verifier, time.Time{}, time.Time{}), nil
		}))
	}
	if p.theirs, err = sgverify.NewVerifier(trusted, options...); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *pair) verifyOurs(data []byte) (*sigstore.Result, error) {
	b, err := sigstore.ParseBundle(data)
	if err != nil {
		return nil, err
	}
	var o sigstore.Options
	if _, _, isEnvelope := b.UnverifiedPayload(); !isEnvelope {
		o.Artifact = &sigstore.Artifact{Bytes: p.artifact}
	}
	if p.key != nil {
		o.Key = &sigstore.Key{Public: p.key}
	}
	return p.ours.Verify(b, o)
}

func (p *pair) verifyTheirs(data []byte) (result *sgverify.VerificationResult, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v", r)
		}
	}()
	var b sgbundle.Bundle
	if err := b.UnmarshalJSON(data); err != nil {
		return nil, err
	}
	artifact := sgverify.WithArtifact(bytes.NewReader(p.artifact))
	if b.GetDsseEnvelope() != nil {
		artifact = sgverify.WithoutArtifactUnsafe()
	}
	who := sgverify.WithoutIdentitiesUnsafe()
	if p.key != nil {
		who = sgverify.WithKey()
	}
	return p.theirs.Verify(&b, sgverify.NewPolicy(artifact, who))
}

func reasonOf(err error) string {
	var e *sigstore.Error
	var j *strictjson.Error
	switch {
	case errors.As(err, &e):
		return e.Reason
	case errors.As(err, &j):
		return j.Reason
	}
	return fmt.Sprint(err)
}

// A rule is a documented disagreement: a letter of docs/sigstore-strictness.md.
type rule struct {
	letter string
	we     string         // "refuse" or "accept"
	reason *regexp.Regexp // of our refusal, or of their error
	mutant *regexp.Regexp
}

func documented(letter, we, reason, mutant string) rule {
	return rule{letter, we, regexp.MustCompile(reason), regexp.MustCompile(mutant)}
}

// rules are the disagreements that docs/sigstore-strictness.md explains.
var rules = []rule{
	// JSON.
	documented("A", "refuse", `json-name-case`, `^(rename|add) `),
	documented("B", "refuse", `sigstore-format|json-syntax`, `^(url alphabet|no padding|trailing bits|line break|number|exponent|a number|leading zero) `),
	documented("E", "accept", `unknown field`, `^unknown field `),
	documented("N", "refuse", `sigstore-format`, `^minus .*inclusionProof|^(no object|no string|remove|null) .*(inclusionPromise|certificates\.[12])`),
	// Bundles.
	documented("C", "refuse", `sigstore-(format|entry|checkpoint)`, `tlogEntries\.0\.kindVersion`),
	documented("F", "accept", `missing verification material|unsupported digest algorithm|verifying inclusion`, `messageSignature\.messageDigest`),
	documented("G", "accept", `accepted signatures do not match threshold`, `dsseEnvelope\.signatures\.0\.keyid`),
	documented("J", "refuse", `sigstore-bundle-version`, `^donor \d+ verificationMaterial `),
	documented("L", "accept", `inclusion proof (missing required checkpoint|checkpoint empty)`, `inclusionProof`),
	// Log entries.
	documented("D", "refuse", `sigstore-(inclusion|entry)`, `tlogEntries\.0\.canonicalizedBody|^body `),
	documented("H", "refuse", `sigstore-inclusion`, `inclusionProof\.treeSize`),
	documented("M", "accept", `integrated time outside certificate validity`, `integrated`),
	// Timestamps.
	documented("I", "refuse", `sigstore-timestamp$`, `timestampVerificationData|^timestamp `),
	documented("O", "refuse", `sigstore-no-log-entry`, `^window of tlogs (past|future) v2`),
	// Certificates.
	documented("K", "refuse", `sigstore-certificate$`, `^leaf `),
}

// A tester collects disagreements.
type tester struct {
	t    *testing.T
	seen map[string]int
	n    int
}

func (x *tester) compare(p *pair, name string, data []byte) {
	x.n++
	r, ours := p.verifyOurs(data)
	theirResult, theirs := p.verifyTheirs(data)
	if (ours == nil) == (theirs == nil) {
		if ours == nil {
			x.sameResult(name, r, theirResult)
		}
		return
	}
	we, reason := "accept", fmt.Sprint(theirs)
	if ours != nil {
		we, reason = "refuse", reasonOf(ours)
	}
	for _, r := range rules {
		if r.we == we && r.reason.MatchString(reason) && r.mutant.MatchString(name) {
			x.seen[r.letter]++
			return
		}
	}
	x.t.Errorf("we %s %s: %s\n\tours: %v\n\ttheirs: %v", we, name, reason, ours, theirs)
}

// sameResult: where both accept, both must have read the same.
func (x *tester) sameResult(name string, r *sigstore.Result, s *sgverify.VerificationResult) {
	if r.Certificate != nil {
		c, d := r.Certificate, s.Signature.Certificate
		got := []string{c.SAN, c.Issuer, c.RunnerEnvironment, c.SourceRepositoryURI, c.SourceRepositoryDigest, c.SourceRepositoryRef, c.BuildSignerURI, c.BuildConfigURI, c.BuildTrigger, c.RunInvocationURI, c.SourceVisibility, c.GitHubRepository}
		want := []string{d.SubjectAlternativeName, d.Issuer, d.RunnerEnvironment, d.SourceRepositoryURI, d.SourceRepositoryDigest, d.SourceRepositoryRef, d.BuildSignerURI, d.BuildConfigURI, d.BuildTrigger, d.RunInvocationURI, d.SourceRepositoryVisibilityAtSigning, d.GithubWorkflowRepository}
		if strings.Join(got, "|") != strings.Join(want, "|") {
			x.t.Errorf("%s: identity\n\tours   %q\n\ttheirs %q", name, got, want)
		}
	}
	var got, want []string
	for _, t := range r.Times {
		got = append(got, t.Time.UTC().String())
	}
	for _, t := range s.VerifiedTimestamps {
		want = append(want, t.Timestamp.UTC().String())
	}
	sort.Strings(got)
	sort.Strings(want)
	if strings.Join(got, "|") != strings.Join(want, "|") && !strings.HasPrefix(name, "twice ") {
		x.t.Errorf("%s: times\n\tours   %q\n\ttheirs %q", name, got, want)
	}
}

func newTester(t *testing.T) *tester {
	x := &tester{t: t, seen: map[string]int{}}
	t.Cleanup(func() {
		var lines []string
		for l, n := range x.seen {
			lines = append(lines, fmt.Sprintf("%s: %d", l, n))
		}
		sort.Strings(lines)
		t.Logf("%d documents, documented disagreements %v", x.n, lines)
	})
	return x
}

func sharedRoot(t testing.TB, dir string) []byte {
	t.Helper()
	if data, err := os.ReadFile(filepath.Join(dir, "trusted_root.json")); err == nil {
		return data
	}
	data, err := os.ReadFile(filepath.Join(sharedData, "trust", "trusted_root.public-good.2026-08.json"))
	if os.IsNotExist(err) {
		t.Skip("no shared data")
	}
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// sharedBundles calls f for every public bundle of one document.
func sharedBundles(t *testing.T, f func(name string, p *pair, data []byte)) {
	t.Helper()
	files := []string{}
	for _, glob := range []string{"sigstore-conformance/*/bundle.sigstore.json", "sigstore-js/*.sigstore", "slsa-real/bcr/*.jsonl", "slsa-real/*/*.slsa"} {
		m, _ := filepath.Glob(filepath.Join(sharedData, glob))
		files = append(files, m...)
	}
	for _, file := range files {
		dir := filepath.Dir(file)
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		artifact, err := os.ReadFile(filepath.Join(dir, "artifact"))
		if err != nil {
			artifact, _ = os.ReadFile(filepath.Join(sharedData, "sigstore-conformance", "a.txt"))
		}
		var key crypto.PublicKey
		if text, err := os.ReadFile(filepath.Join(dir, "key.pub")); err == nil {
			block, _ := pem.Decode(text)
			if key, err = x509.ParsePKIXPublicKey(block.Bytes); err != nil {
				t.Fatal(err)
			}
		}
		name, _ := filepath.Rel(sharedData, file)
		f(name, newPair(t, sharedRoot(t, dir), artifact, key), bytes.TrimSpace(data))
	}
	if len(files) == 0 {
		t.Skip("no shared data")
	}
}

func TestSharedBundles(t *testing.T) {
	x := newTester(t)
	sharedBundles(t, func(name string, p *pair, data []byte) { x.compare(p, "bundle "+name, data) })
}

func TestSharedMutants(t *testing.T) {
	x := newTester(t)
	donor, err := os.ReadFile(filepath.Join(sharedData, "sigstore-js", "bundleV03-dsse.sigstore"))
	if err != nil {
		t.Skip("no shared data")
	}
	n := 0
	sharedBundles(t, func(name string, p *pair, data []byte) {
		if n++; n%4 != 0 && testing.Short() {
			return
		}
		for m := range sigstoretest.Mutants(data, 211, donor) {
			x.compare(p, m.String()+" of "+name, m.Data)
		}
	})
}

var specs = map[string]sigstoretest.Spec{
	"v0.3 dsse v2":      {},
	"v0.3 message v2":   {Message: true},
	"v0.3 dsse v1 tsa":  {Kind: "dsse", TSA: true},
	"v0.3 dsse no set":  {Kind: "dsse", NoSET: true},
	"v0.2 intoto":       {Version: "v0.2", Kind: "intoto"},
	"v0.1 hashedrekord": {Version: "v0.1", Kind: "hashedrekord", Message: true},
	"v0.1 no proof":     {Version: "v0.1", Kind: "intoto", NoProof: true},
}

func TestVirtualMutants(t *testing.T) {
	x := newTester(t)
	w, other := sigstoretest.New("sigstore.test"), sigstoretest.New("other.test")
	p := newPair(t, w.RootDoc().JSON(), sigstoretest.Artifact, nil)
	for name, s := range specs {
		again := s
		again.Content = []byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"x","digest":{"sha256":"00"}}],"predicateType":"x","predicate":{}}`)
		for m := range sigstoretest.Mutants(w.Sign(s).Doc.JSON(), 29, w.Sign(again).Doc.JSON(), w.Sign(sigstoretest.Spec{Kind: "dsse", TSA: true}).Doc.JSON(), other.Sign(s).Doc.JSON()) {
			x.compare(p, m.String()+" of "+name, m.Data)
		}
	}
}

// TestVirtualSpecs compares what no mutant of a document reaches: documents
// whose fault is signed.
func TestVirtualSpecs(t *testing.T) {
	x := newTester(t)
	w, other := sigstoretest.New("sigstore.test"), sigstoretest.New("other.test")
	p := newPair(t, w.RootDoc().JSON(), sigstoretest.Artifact, nil)
	at := sigstoretest.Epoch.Add(time.Hour)
	leaf := func(f func(*x509.Certificate)) sigstoretest.Spec { return sigstoretest.Spec{Precert: f} }
	stamp := func(f func(*sigstoretest.Timestamp)) sigstoretest.Spec { return sigstoretest.Spec{Timestamp: f} }
	sct := func(f func(*sigstoretest.SCT)) sigstoretest.Spec { return sigstoretest.Spec{SCT: f} }
	body := func(kind, from, to string) sigstoretest.Spec {
		return sigstoretest.Spec{Kind: kind, Body: func(b []byte) []byte { return bytes.Replace(b, []byte(from), []byte(to), 1) }}
	}
	window := func(from, to time.Duration) sigstoretest.Spec {
		return leaf(func(c *x509.Certificate) { c.NotBefore, c.NotAfter = at.Add(from), at.Add(to) })
	}
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	rsaKey := sigstoretest.Must(rsa.GenerateKey(rand.Reader, 2048))
	p384, p521 := sigstoretest.ECKey(elliptic.P384()), sigstoretest.ECKey(elliptic.P521())
	for name, s := range map[string]sigstoretest.Spec{
		"key p384":             {Key: p384},
		"key p521":             {Key: p521, Message: true},
		"key p384 with sha256": {Key: p384, Kind: "dsse", Hash: crypto.SHA256},
		"key p521 with sha256": {Key: p521, Kind: "hashedrekord", Message: true, Hash: crypto.SHA256},
		"key p384 v2 sha256":   {Key: p384, Hash: crypto.SHA256},
		"key rsa":              {Key: rsaKey},
		"key ed25519":          {Key: ed, Kind: "dsse"},
		"key ed25519ph":        {Key: ed, Kind: "hashedrekord", Message: true},
		"key ed25519ph v2":     {Key: ed, Message: true},
		"no time":              {NoTSA: true},
		"no log":               {NoLog: true},
		"no sct":               {NoSCT: true},
		"two scts of one log":  {SCTs: 2},

		"leaf plain":                window(-time.Minute, time.Minute),
		"validity first second":     window(0, time.Minute),
		"validity last second":      window(-time.Minute, 0),
		"validity early":            window(time.Second, time.Minute),
		"validity late":             window(-time.Minute, -time.Second),
		"leaf ca":                   leaf(func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }),
		"leaf server":               leaf(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }),
		"leaf any usage":            leaf(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} }),
		"leaf no usage":             leaf(func(c *x509.Certificate) { c.ExtKeyUsage = nil }),
		"leaf no digital signature": leaf(func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }),
		"leaf email":                leaf(func(c *x509.Certificate) { c.URIs, c.EmailAddresses = nil, []string{"a@example.com"} }),
		"leaf two names":            leaf(func(c *x509.Certificate) { c.EmailAddresses = []string{"a@example.com"} }),
		"leaf dns name":             leaf(func(c *x509.Certificate) { c.URIs, c.DNSNames = nil, []string{"example.com"} }),
		"leaf no name":              leaf(func(c *x509.Certificate) { c.URIs = nil }),
		"leaf name not critical":    leaf(func(c *x509.Certificate) { c.Subject.CommonName = "x" }),
		"leaf unknown critical": leaf(func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}})
		}),
		"leaf no issuer":   leaf(func(c *x509.Certificate) { c.ExtraExtensions = nil }),
		"leaf old issuer":  leaf(func(c *x509.Certificate) { c.ExtraExtensions = c.ExtraExtensions[:1] }),
		"leaf two issuers": leaf(func(c *x509.Certificate) { c.ExtraExtensions[0].Value = []byte("https://evil.example") }),

		"sct extensions":    sct(func(s *sigstoretest.SCT) { s.Extensions = []byte{0, 0, 5, 0, 0, 0, 0, 7} }),
		"sct corrupt":       sct(func(s *sigstoretest.SCT) { s.Corrupt = true }),
		"sct unknown log":   sct(func(s *sigstoretest.SCT) { s.Log = other.CT }),
		"sct other issuer":  sct(func(s *sigstoretest.SCT) { s.IssuerKey = w.Root.RawSubjectPublicKeyInfo }),
		"sct before window": sct(func(s *sigstoretest.SCT) { s.At = sigstoretest.Epoch.Add(-time.Second) }),

		"timestamp sha384":             stamp(func(s *sigstoretest.Timestamp) { s.SHA384 = true }),
		"timestamp unsorted":           stamp(func(s *sigstoretest.Timestamp) { s.Unsorted = true }),
		"timestamp with mods":          stamp(func(s *sigstoretest.Timestamp) { s.Status = 1 }),
		"timestamp rejected":           stamp(func(s *sigstoretest.Timestamp) { s.Status = 2 }),
		"timestamp fraction":           stamp(func(s *sigstoretest.Timestamp) { s.GenTime = "20260101010000.25Z" }),
		"timestamp trailing zero":      stamp(func(s *sigstoretest.Timestamp) { s.GenTime = "20260101010000.250Z" }),
		"timestamp local":              stamp(func(s *sigstoretest.Timestamp) { s.GenTime = "20260101010000+0000" }),
		"timestamp other imprint":      stamp(func(s *sigstoretest.Timestamp) { s.Imprint[0] ^= 1 }),
		"timestamp sha1":               stamp(func(s *sigstoretest.Timestamp) { s.Hash, s.Imprint = crypto.SHA1, s.Imprint[:20] }),
		"timestamp other digest":       stamp(func(s *sigstoretest.Timestamp) { s.Digest = make([]byte, 32) }),
		"timestamp no signing cert":    stamp(func(s *sigstoretest.Timestamp) { s.NoESS = true }),
		"timestamp other signing cert": stamp(func(s *sigstoretest.Timestamp) { s.ESS = w.Root }),
		"timestamp two signatures":     stamp(func(s *sigstoretest.Timestamp) { s.Signers = 2 }),
		"timestamp no signature":       stamp(func(s *sigstoretest.Timestamp) { s.Signers = 0 }),
		"timestamp critical":           stamp(func(s *sigstoretest.Timestamp) { s.Critical = true }),
		"timestamp other key":          stamp(func(s *sigstoretest.Timestamp) { s.Key = sigstoretest.ECKey(elliptic.P384()) }),
		"timestamp embedded":           stamp(func(s *sigstoretest.Timestamp) { s.Embed = []*x509.Certificate{s.Cert} }),
		"timestamp embedded other":     stamp(func(s *sigstoretest.Timestamp) { s.Embed = []*x509.Certificate{w.Root} }),

		"body two signatures":    body("dsse", `"signatures":[`, `"signatures":[{"signature":"AAAA","verifier":"AAAA"},`),
		"body other payload":     body("dsse", `"payloadHash":{"algorithm":"sha256","value":"`, `"payloadHash":{"algorithm":"sha256","value":"00`),
		"body payload type":      body("intoto", `"payloadType":"application/vnd.in-toto+json"`, `"payloadType":"text/plain"`),
		"body version":           body("intoto", `"apiVersion":"0.0.2"`, `"apiVersion":"0.0.1"`),
		"body v2 space":          body("", `{"apiVersion"`, `{ "apiVersion"`),
		"body v2 key details":    body("", `P256_SHA_256`, `P384_SHA_384`),
		"body v2 unknown member": body("", `}}}}}}`, `}}}}},"x":1}`),

		"checkpoint other signature": {Checkpoint: func(string) string { return sigstoretest.NoteLine("x", []byte("1234"), []byte("sig")) }},
		"checkpoint cosigned":        {Checkpoint: func(text string) string { return sigstoretest.Cosign("w", ed, text, at) }},
	} {
		x.compare(p, name, w.Sign(s).Doc.JSON())
	}
	x.compare(p, "other world", other.Sign(sigstoretest.Spec{}).Doc.JSON())
	d := w.Sign(sigstoretest.Spec{Kind: "dsse", NoSET: true}).Doc
	d.Map("verificationMaterial", "tlogEntries", 0)["integratedTime"] = "1"
	x.compare(p, "integrated time without SET", d.JSON())

	// Windows of the trusted root, at their ends.
	docs := map[string][]byte{"v2": w.Sign(sigstoretest.Spec{}).Doc.JSON(), "v1": w.Sign(sigstoretest.Spec{Kind: "dsse"}).Doc.JSON()}
	for _, service := range []string{"tlogs", "ctlogs", "certificateAuthorities", "timestampAuthorities"} {
		for what, ends := range map[string][2]time.Time{
			"exact": {at, at}, "past": {at.Add(-time.Hour), at.Add(-time.Millisecond)}, "future": {at.Add(time.Millisecond), at.Add(time.Hour)},
		} {
			root := w.RootDoc()
			for i := range root[service].([]any) {
				m := root.Map(service, i)
				if k, ok := m["publicKey"].(map[string]any); ok {
					m = k
				}
				m["validFor"] = map[string]any{"start": ends[0].Format(time.RFC3339Nano), "end": ends[1].Format(time.RFC3339Nano)}
			}
			p := newPair(t, root.JSON(), sigstoretest.Artifact, nil)
			for name, data := range docs {
				x.compare(p, "window of "+service+" "+what+" "+name, data)
			}
		}
	}
	key := sigstoretest.ECKey(elliptic.P256())
	managed := newPair(t, w.RootDoc().JSON(), sigstoretest.Artifact, key.Public())
	for name, s := range map[string]sigstoretest.Spec{
		"managed v2": {Key: key, Managed: "k"}, "managed v1": {Key: key, Managed: "k", Kind: "dsse"}, "managed other": {Managed: "k"},
		"managed message": {Key: key, Managed: "k", Message: true, Kind: "hashedrekord"}, "certificate for managed": {Key: key},
	} {
		x.compare(managed, name, w.Sign(s).Doc.JSON())
	}
}

// FuzzDifferential mutates bundles freely; it starts from one of each kind.
func FuzzDifferential(f *testing.F) {
	w := sigstoretest.New("sigstore.test")
	p := newPair(f, w.RootDoc().JSON(), sigstoretest.Artifact, nil)
	for name, s := range specs {
		s.Key = sigstoretest.NamedKey(elliptic.P256(), name) // the same in every process
		f.Add(w.Sign(s).Doc.JSON())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		_, theirs := p.verifyTheirs(data)
		_, ours := p.verifyOurs(data)
		// Being stricter is safe, and the rules above say where; being more
		// lenient has to be one of the rules.
		if ours == nil && theirs != nil {
			for _, r := range rules {
				if r.we == "accept" && r.reason.MatchString(theirs.Error()) {
					return
				}
			}
			t.Errorf("we accept what they refuse: %v", theirs)
		}
	})
}

func benchmarkDocs(b *testing.B, s sigstoretest.Spec) (*sigstoretest.World, [][]byte) {
	w := sigstoretest.New("sigstore.test")
	docs := make([][]byte, 64)
	for i := range docs {
		s.Content = fmt.Appendf(nil, `{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"x","digest":{"sha256":"%064x"}}],"predicateType":"https://example.com/x","predicate":{}}`, i)
		docs[i] = w.Sign(s).Doc.JSON()
	}
	return w, docs
}

// BenchmarkVerify compares the two on the same bundles of v0.3, from JSON to
// result. Each has a certificate, an entry and a checkpoint of its own, and
// nothing is remembered of an earlier round: those of a virtual Sigstore, and
// public ones under the public good root. Those of one run share a
// certificate, and one bundle is verified over and over.
func BenchmarkVerify(b *testing.B) {
	for name, s := range map[string]sigstoretest.Spec{"rekor-v1": {Kind: "dsse"}, "rekor-v2": {}} {
		w, docs := benchmarkDocs(b, s)
		benchmarkPair(b, name, w.RootDoc().JSON(), docs, false)
	}
	{ // many statements of one run share a certificate
		key := sigstoretest.NamedKey(elliptic.P256(), "run")
		w := sigstoretest.New("sigstore.test")
		w, docs := benchmarkDocs(b, sigstoretest.Spec{Key: key, Cert: w.Leaf(key.Public(), &sigstoretest.Spec{})})
		benchmarkPair(b, "one-run", w.RootDoc().JSON(), docs, false)
	}
	var docs [][]byte
	for _, name := range []string{"sigstore-conformance/happy-path-intoto-in-dsse-v3/bundle.sigstore.json", "sigstore-js/bundleV03-dsse.sigstore", "sigstore-js/bundleV03-intoto.sigstore", "slsa-real/bcr/MODULE.bazel.intoto.jsonl", "slsa-real/bcr/MODULE-wrong-signer.bazel.intoto.jsonl", "slsa-real/bcr/rules_lint-v1.3.1.tar.gz.intoto.jsonl"} {
		if data, err := os.ReadFile(filepath.Join(sharedData, name)); err == nil {
			docs = append(docs, bytes.TrimSpace(data))
		}
	}
	if len(docs) > 0 {
		benchmarkPair(b, "public-good", sharedRoot(b, "none"), docs, false)
		benchmarkPair(b, "one-bundle", sharedRoot(b, "none"), docs[:1], true)
	}
}

func benchmarkPair(b *testing.B, name string, root []byte, docs [][]byte, remember bool) {
	p := newPair(b, root, nil, nil)
	for _, x := range []struct {
		name   string
		verify func([]byte) error
	}{
		{"hallmark", func(d []byte) error { _, err := p.verifyOurs(d); return err }},
		{"sigstore-go", func(d []byte) error { _, err := p.verifyTheirs(d); return err }},
	} {
		b.Run(name+"/"+x.name, func(b *testing.B) {
			b.ReportAllocs()
			var used time.Duration
			start := processorTime()
			for i := 0; b.Loop(); i++ {
				if i%len(docs) == 0 && !remember { // a new Verifier remembers nothing
					b.StopTimer()
					used += processorTime() - start
					p = newPair(b, root, nil, nil)
					start = processorTime()
					b.StartTimer()
				}
				if err := x.verify(docs[i%len(docs)]); err != nil {
					b.Fatal(err)
				}
			}
			used += processorTime() - start
			b.ReportMetric(float64(used.Nanoseconds())/float64(b.N), "cpu-ns/op")
		})
	}
}
