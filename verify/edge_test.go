package verify_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/internal/dsse"
	"github.com/hallmark-build/hallmark/internal/sigstore/sigstoretest"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/verify"
)

// The numbers are those of the list of edge cases; each case has bitten a
// system of this kind. Cases of a bundle's inside are tested in
// internal/sigstore, of JSON in internal/strictjson.

// two is a policy of one stage that wants two principals of three.
func two() *verify.Policy {
	p := policy("build", map[string]*verify.Stage{"build": {Requires: requires("ann", "bob", "cem")}}, "ann", "bob", "cem")
	p.Stages["build"].Requires[0].Threshold = 2
	return p
}

// single is a policy of one stage.
func single(q verify.Requirement, names ...string) *verify.Policy {
	return policy("build", map[string]*verify.Stage{"build": {Requires: []verify.Requirement{q}}}, names...)
}

func envelopeOf(payloadType string, payload []byte, sigs ...dsse.Signature) []byte {
	b, err := (&dsse.Envelope{PayloadType: payloadType, Payload: payload, Signatures: sigs}).Encode()
	if err != nil {
		panic(err)
	}
	return b
}

// sign makes the signature of a name over payload as payloadType.
func sign(payloadType string, payload []byte, name, keyID string) dsse.Signature {
	return dsse.Signature{KeyID: keyID, Sig: ed25519.Sign(key(name), dsse.PAE(payloadType, payload))}
}

// opens returns why Open rejects an attestation, "" if it accepts it.
func opens(t *testing.T, attestation []byte, names ...string) verify.Reason {
	t.Helper()
	var keys []verify.Key
	for _, n := range names {
		keys = append(keys, verify.Key{PEM: publicPEM(n)})
	}
	trust, err := verify.NewTrust(keys...)
	if err != nil {
		t.Fatal(err)
	}
	st, err := verify.Open(attestation, trust, now)
	var r *verify.RejectedError
	switch {
	case err == nil && st == nil:
		t.Fatal("neither a statement nor an error")
	case err == nil:
		return ""
	case !errors.As(err, &r):
		t.Fatalf("%v is not a RejectedError", err)
	case st != nil:
		t.Fatal("a statement beside an error")
	}
	return r.Reason
}

func TestEdge01_SameSignatureTwice(t *testing.T) {
	st := built(nil, files("app"))
	refused(t, verify.ReasonThreshold, two(), "app", signed(st, "ann", "ann"))
	refused(t, verify.ReasonThreshold, two(), "app", signed(st, "ann"), signed(st, "ann"))
	refused(t, verify.ReasonThreshold, two(), "app", signed(st, "ann"), signed(builtAt(nil, files("app"), now), "ann"))
	pass(t, two(), "app", signed(st, "ann"), signed(st, "bob"))
}

func TestEdge02_OneKeyIsOnePrincipal(t *testing.T) {
	// Under two names.
	p := two()
	p.Principals["bob"] = p.Principals["ann"]
	policyError(t, verify.PolicyKey, p)
	// Twice under one name.
	p = two()
	p.Principals["ann"] = verify.Principals{Keys: []verify.Key{{PEM: publicPEM("ann")}, {PEM: publicPEM("ann")}}}
	policyError(t, verify.PolicyKey, p)
	if _, err := verify.NewTrust(verify.Key{PEM: publicPEM("ann")}, verify.Key{PEM: publicPEM("ann")}); err == nil {
		t.Error("NewTrust takes one key twice")
	}
	// Under two key ids.
	st := built(nil, files("app"))
	refused(t, verify.ReasonThreshold, two(), "app", envelopeOf(provenance.PayloadType, st.Payload(),
		sign(provenance.PayloadType, st.Payload(), "ann", "one"), sign(provenance.PayloadType, st.Payload(), "ann", "two")))
	// Two keys of one person count once.
	p = two()
	p.Principals["ann"] = verify.Principals{Keys: []verify.Key{{PEM: publicPEM("ann")}, {PEM: publicPEM("ann2")}}}
	refused(t, verify.ReasonThreshold, p, "app", signed(st, "ann", "ann2"))
	refused(t, verify.ReasonThreshold, p, "app", signed(st, "ann"), signed(builtAt(nil, files("app"), now), "ann2"))
	pass(t, p, "app", signed(st, "ann2", "bob"))
}

func TestEdge03_JunkBesideARealSignature(t *testing.T) {
	a, b := built(nil, files("app")), builtAt(nil, files("app"), now)
	junk := func(st *provenance.Statement, as string) []byte {
		return envelopeOf(provenance.PayloadType, st.Payload(), sign(provenance.PayloadType, st.Payload(), "ann", keyID(publicPEM("ann"))),
			dsse.Signature{KeyID: keyID(publicPEM(as)), Sig: bytes.Repeat([]byte{7}, 64)})
	}
	refused(t, verify.ReasonThreshold, two(), "app", junk(a, "bob"), junk(b, "cem"))
}

func TestEdge05_EncodingsOfOneSignature(t *testing.T) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	p := two()
	p.Principals["ann"] = verify.Principals{Key: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))}
	st := built(nil, files("app"))
	sum := sha256.Sum256(dsse.PAE(provenance.PayloadType, st.Payload()))
	low, err := ecdsa.SignASN1(rand.Reader, k, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	var rs struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(low, &rs); err != nil {
		t.Fatal(err)
	}
	p1363 := append(rs.R.FillBytes(make([]byte, 32)), rs.S.FillBytes(make([]byte, 32))...)
	rs.S = new(big.Int).Sub(elliptic.P256().Params().N, rs.S)
	high, err := asn1.Marshal(rs)
	if err != nil {
		t.Fatal(err)
	}
	again, err := ecdsa.SignASN1(rand.Reader, k, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	refused(t, verify.ReasonThreshold, p, "app", envelopeOf(provenance.PayloadType, st.Payload(),
		dsse.Signature{Sig: low}, dsse.Signature{Sig: high}, dsse.Signature{Sig: p1363}, dsse.Signature{Sig: again}))
}

func TestEdge06_Thresholds(t *testing.T) {
	for _, n := range []int{-1, -1 << 62, 4, 1 << 62} {
		p := two()
		p.Stages["build"].Requires[0].Threshold = n
		policyError(t, verify.PolicyField, p)
	}
	// Zero is the strict default, one; it never means that nobody need sign.
	p := two()
	p.Stages["build"].Requires[0].Threshold = 0
	refused(t, verify.ReasonUntrusted, p, "app", signed(built(nil, files("app")), "mallory"))
	refused(t, verify.ReasonNoStatement, p, "app")
	pass(t, p, "app", signed(built(nil, files("app")), "cem"))
}

func TestEdge07_Signatures(t *testing.T) {
	payload := base64.StdEncoding.EncodeToString(built(nil, files("app")).Payload())
	env := func(signatures string) []byte {
		return []byte(`{"payloadType":"` + provenance.PayloadType + `","payload":"` + payload + `"` + signatures + `}`)
	}
	good := base64.StdEncoding.EncodeToString(sign(provenance.PayloadType, built(nil, files("app")).Payload(), "ann", "").Sig)
	bad := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1}, 64))
	cases := []struct {
		name, signatures string
		want             verify.Reason
	}{
		{"none", `,"signatures":[]`, verify.ReasonNoSignature},
		{"null", `,"signatures":null`, verify.ReasonMalformed},
		{"absent", ``, verify.ReasonMalformed},
		{"empty sig", `,"signatures":[{"sig":""}]`, verify.ReasonUntrusted},
		{"null entry", `,"signatures":[null]`, verify.ReasonMalformed},
		{"no key id", `,"signatures":[{"sig":"` + good + `"}]`, ""},
		{"lying key id", `,"signatures":[{"keyid":"` + keyID(publicPEM("bob")) + `","sig":"` + good + `"}]`, ""},
		{"key id of a good key, bad signature", `,"signatures":[{"keyid":"` + keyID(publicPEM("ann")) + `","sig":"` + bad + `"}]`, verify.ReasonUntrusted},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := opens(t, env(c.signatures), "ann", "bob"); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	t.Run("edge08 a bad signature before a good one", func(t *testing.T) {
		if got := opens(t, env(`,"signatures":[{"keyid":"k","sig":"`+bad+`"},{"keyid":"k","sig":"`+good+`"}]`), "ann"); got != "" {
			t.Errorf("rejected: %s", got)
		}
	})
}

func TestEdge10_ListsAreOfTheStage(t *testing.T) {
	// The key of one stage signs another.
	ev := releaseEvidence()
	ev[1] = signed(built(files("main.go", "go.mod"), files("app")), "src")
	refused(t, verify.ReasonUnaccounted, releasePolicy(), "app.tar.gz", ev...)
	// A key that the policy knows and no stage lists.
	p := releasePolicy()
	p.Principals["idle"] = verify.Principals{Key: publicPEM("idle")}
	ev = releaseEvidence()
	ev[3] = signed(built(files("app"), files("app.tar.gz")), "idle")
	refused(t, verify.ReasonWrongSigner, p, "app.tar.gz", ev...)
	pass(t, p, "app.tar.gz", releaseEvidence()...)
}

// world is a virtual Sigstore: what needs certificate identities and trusted
// times is tested with it.
var world = sigstoretest.New("chain.test")

const (
	issuer = sigstoretest.Issuer
	octo   = sigstoretest.SAN
)

// bundled is a statement in a bundle by an identity, with a trusted time.
func bundled(st *provenance.Statement, at time.Time, change func(*x509.Certificate)) []byte {
	return world.Sign(sigstoretest.Spec{Content: st.Payload(), At: at, Precert: change}).Doc.JSON()
}

// as makes the certificate one for a URI.
func as(san string) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		u, err := url.Parse(san)
		if err != nil {
			panic(err)
		}
		c.URIs = []*url.URL{u}
	}
}

func issuedBy(iss string) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		v, err := asn1.MarshalWithParams(iss, "utf8")
		if err != nil {
			panic(err)
		}
		for i, e := range c.ExtraExtensions {
			switch id := e.Id.String(); id {
			case "1.3.6.1.4.1.57264.1.1":
				c.ExtraExtensions[i] = pkix.Extension{Id: e.Id, Value: []byte(iss)}
			case "1.3.6.1.4.1.57264.1.8":
				c.ExtraExtensions[i] = pkix.Extension{Id: e.Id, Value: v}
			}
		}
	}
}

// identities judges with the roots of the virtual Sigstore.
func identities(t *testing.T, p *verify.Policy, a string, evidence ...[]byte) verify.Reason {
	t.Helper()
	v, err := verify.New(p, verify.Options{Conditions: equalCompiler{}, SigstoreRoots: [][]byte{world.RootDoc().JSON()}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = v.Verify(t.Context(), request([]string{a}, evidence...))
	return reasonOf(err)
}

func byIdentity(id verify.Identity) *verify.Policy {
	p := single(verify.Requirement{Type: typeSLSA, Signers: []string{"ci"}}, "unused")
	p.Principals = map[string]verify.Principals{"ci": {Identity: &id}}
	return p
}

func byPattern(threshold int, ids ...verify.Identity) *verify.Policy {
	p := single(verify.Requirement{Type: typeSLSA, Signers: []string{"ci"}, Threshold: threshold}, "unused")
	p.Principals = map[string]verify.Principals{"ci": {Patterns: ids}}
	return p
}

func TestEdge04_OneIdentityTwoCertificates(t *testing.T) {
	at := now.Add(-time.Hour)
	p := byPattern(2, verify.Identity{Issuer: issuer, Subject: "https://github.com/octo/app/.github/workflows/*@refs/heads/main"})
	st := built(nil, files("app"))
	one, again := bundled(st, at, nil), bundled(st, at.Add(time.Minute), nil)
	if bytes.Equal(one, again) {
		t.Fatal("one certificate, not two")
	}
	if got := identities(t, p, "app", one, again); got != verify.ReasonThreshold {
		t.Errorf("one identity with two certificates: %q", got)
	}
	if got := identities(t, p, "app", one, bundled(st, at, as("https://github.com/octo/app/.github/workflows/other.yml@refs/heads/main"))); got != "" {
		t.Errorf("two identities: %q", got)
	}
	// An identity that an entry lists exactly is that person and no other, so
	// it cannot count again by a pattern.
	p.Principals["ann"] = verify.Principals{Identities: []verify.Identity{{Issuer: issuer, Subject: octo}}}
	p.Stages["build"].Requires[0].Signers = []string{"ann", "ci"}
	if got := identities(t, p, "app", one, again); got != verify.ReasonThreshold {
		t.Errorf("one identity by name and by pattern: %q", got)
	}
}

func TestEdge11_KeysAndCertificatesMixed(t *testing.T) {
	p := byPattern(2, verify.Identity{Issuer: issuer, Subject: "https://github.com/octo/**"})
	p.Principals["ann"] = verify.Principals{Key: publicPEM("ann")}
	p.Stages["build"].Requires[0].Signers = []string{"ann", "ci"}
	v, err := verify.New(p, verify.Options{SigstoreRoots: [][]byte{world.RootDoc().JSON()}})
	if err != nil {
		t.Fatal(err)
	}
	st := built(nil, files("app"))
	app := []provenance.Artifact{artifact("app")}
	ev := [][]byte{signed(st, "ann"), bundled(st, now.Add(-time.Hour), nil), signed(builtAt(nil, files("app"), now), "ann")}
	want := askAbout(t, v, app, ev)
	if !want.passed {
		t.Fatal(want.report)
	}
	for i := range 100 {
		ev = append(ev[1:], ev[0])
		if got := askAbout(t, v, app, ev); got.report != want.report {
			t.Fatalf("time %d: %s\nwant %s", i, got.report, want.report)
		}
	}
}

func TestEdge12_IdentityIsWhole(t *testing.T) {
	for _, id := range []verify.Identity{
		{}, {Issuer: issuer}, {Subject: octo}, {Issuer: issuer, Subject: "no type to be seen"}, {Issuer: issuer, Subject: octo, SubjectType: "URI"}, {Issuer: issuer, Subject: octo, SubjectType: "dns"},
	} {
		policyError(t, verify.PolicyField, byIdentity(id))
		policyError(t, verify.PolicyField, byPattern(1, id))
	}
	// A certificate with one name more than the one that fits.
	two := func(c *x509.Certificate) { c.EmailAddresses = []string{"eve@example.com"} }
	if got := identities(t, byIdentity(verify.Identity{Issuer: issuer, Subject: octo}), "app", bundled(built(nil, files("app")), now.Add(-time.Hour), two)); got == "" {
		t.Error("passed with a certificate for two names")
	}
}

func TestEdge13_PatternsCoverTheWholeName(t *testing.T) {
	at := now.Add(-time.Hour)
	st := built(nil, files("app"))
	for _, c := range []struct {
		pattern, san string
		ok           bool
	}{
		{"https://github.com/org/*/.github/*", "https://github.com/org/app/.github/x", true},
		{"https://github.com/org*", "https://github.com/org-evil/app", false},
		{"https://github.com/org", "https://github.com/org-evil", false},
		{"https://github.com/org/**", "https://github.com/org-evil/app", false},
		{"https://github.com/org/**", "https://github.com.evil.org/org/app", false},
		{"https://github.com/org/**", "https://github.com/org/app/x/y", true},
		{"https://github.com/org/*", "https://github.com/org/app/x/y", false},
		{"https://example.com/*", "https://exampleXcom/app", false},
		{"https://example.com/*", "https://evil.org/https://example.com/app", false},
		{"https://example.com/*", "https://EXAMPLE.com/app", false},
	} {
		got := identities(t, byPattern(1, verify.Identity{Issuer: issuer, Subject: c.pattern}), "app", bundled(st, at, as(c.san)))
		if (got == "") != c.ok {
			t.Errorf("%s and %s: %q", c.pattern, c.san, got)
		}
	}
	for _, pattern := range []string{"**", "https://[a-z]/x", "https://a.b/?", "https://a.b/(x|y)?", "https://a.b/***"} {
		policyError(t, verify.PolicyField, byPattern(1, verify.Identity{Issuer: issuer, Subject: pattern, SubjectType: "uri"}))
	}
}

func TestEdge14_IssuerAndTypeExactly(t *testing.T) {
	at := now.Add(-time.Hour)
	st := built(nil, files("app"))
	for _, iss := range []string{issuer + "/", strings.ToUpper(issuer), issuer + ".evil.org", "http" + strings.TrimPrefix(issuer, "https"), issuer + "?x"} {
		if got := identities(t, byIdentity(verify.Identity{Issuer: iss, Subject: octo}), "app", bundled(st, at, nil)); got == "" {
			t.Errorf("a policy for the issuer %s takes %s", iss, issuer)
		}
		if got := identities(t, byIdentity(verify.Identity{Issuer: issuer, Subject: octo}), "app", bundled(st, at, issuedBy(iss))); got == "" {
			t.Errorf("a policy for the issuer %s takes %s", issuer, iss)
		}
	}
	if got := identities(t, byIdentity(verify.Identity{Issuer: issuer, Subject: octo}), "app", bundled(st, at, nil)); got != "" {
		t.Errorf("the very identity: %q", got)
	}
	// An e-mail address is not a URI of the same letters.
	email := func(c *x509.Certificate) { c.URIs, c.EmailAddresses = nil, []string{"ann@example.com"} }
	for typ, ok := range map[string]bool{"email": true, "": true, "uri": false, "other": false} {
		got := identities(t, byIdentity(verify.Identity{Issuer: issuer, Subject: "ann@example.com", SubjectType: typ}), "app", bundled(st, at, email))
		if (got == "") != ok {
			t.Errorf("an e-mail address as %q: %q", typ, got)
		}
	}
}

func TestEdge16_PayloadType(t *testing.T) {
	st := built(nil, files("app"))
	for typ, want := range map[string]verify.Reason{
		provenance.PayloadType:                     "",
		"application/vnd.in-toto.provenance+json":  "",
		"application/json":                         verify.ReasonPayloadType,
		"":                                         verify.ReasonPayloadType,
		provenance.PayloadType + " ":               verify.ReasonPayloadType,
		provenance.PayloadType + ";v=1":            verify.ReasonPayloadType,
		"Application/vnd.in-toto+json":             verify.ReasonPayloadType,
		"application/vnd.in-toto.+json":            verify.ReasonPayloadType,
		"application/vnd.in-toto.Layout+json":      verify.ReasonPayloadType,
		"application/vnd.in-toto.x/../layout+json": verify.ReasonPayloadType,
		"https://in-toto.io/Statement/v1":          verify.ReasonPayloadType,
	} {
		if got := opens(t, envelopeOf(typ, st.Payload(), sign(typ, st.Payload(), "ann", "")), "ann"); got != want {
			t.Errorf("%q: got %q, want %q", typ, got, want)
		}
		// What was signed under another type is no signature.
		if typ != provenance.PayloadType {
			if got := opens(t, envelopeOf(provenance.PayloadType, st.Payload(), sign(typ, st.Payload(), "ann", "")), "ann"); got != verify.ReasonUntrusted {
				t.Errorf("signed as %q, shown as a statement: %q", typ, got)
			}
		}
	}
}

func TestEdge17_PolicyIsNoStatement(t *testing.T) {
	doc := releaseYAML()
	for _, typ := range []string{provenance.PayloadType, verify.PolicyPayloadType} {
		if got := opens(t, envelopeOf(typ, doc, sign(typ, doc, "ann", "")), "ann"); got == "" {
			t.Errorf("a policy opens as a statement under %s", typ)
		}
	}
	raw := signed(built(nil, files("app")), "ann")
	if _, err := verify.OpenPolicy(raw, []verify.Key{{PEM: publicPEM("ann")}}, 1, now); err == nil {
		t.Error("a statement opens as a policy")
	}
	if _, err := verify.ParsePolicy("p", built(nil, files("app")).Payload()); err == nil {
		t.Error("a statement parses as a policy")
	}
}

func TestEdge18_TypeNotShape(t *testing.T) {
	// A predicate that fits, under other types.
	shape := map[string]any{}
	if err := json.Unmarshal(built(nil, files("app")).Predicate(), &shape); err != nil {
		t.Fatal(err)
	}
	p := single(verify.Requirement{Type: typeSLSA, Signers: []string{"ann"}}, "ann")
	pass(t, p, "app", signed(statement(typeSLSA, files("app"), shape), "ann"))
	for _, typ := range []string{
		typeScan, "https://slsa.dev/provenance/v0.2",
		// edge19: near misses
		typeSLSA + ".0", typeSLSA + "/", typeSLSA + "?x", typeSLSA + "#", strings.Replace(typeSLSA, "https", "http", 1), strings.ToUpper(typeSLSA),
		typeSLSA + " ", " " + typeSLSA, typeSLSA + "\n", "https://slsa.dev/provenance/v", "https://slsa.dev/provenance/v11", "https://slsa.dev//provenance/v1", "https://slsa.dev/x/../provenance/v1", "https://SLSA.dev/provenance/v1",
	} {
		t.Run(fmt.Sprintf("edge19 %q", typ), func(t *testing.T) {
			refused(t, verify.ReasonWrongType, p, "app", signed(statement(typ, files("app"), shape), "ann"))
		})
	}
}

func TestEdge20_StatementType(t *testing.T) {
	payload := func(typ string) []byte {
		return []byte(`{` + typ + `"subject":[{"name":"app","digest":{"sha256":"` + file("app").Digest[0].Value() + `"}}],"predicateType":"` + typeScan + `","predicate":{}}`)
	}
	for typ, want := range map[string]verify.Reason{
		`"_type":"https://in-toto.io/Statement/v1",`:   "",
		`"_type":"https://in-toto.io/Statement/v0.1",`: "",
		``:              verify.ReasonMalformed,
		`"_type":"",`:   verify.ReasonMalformed,
		`"_type":null,`: verify.ReasonMalformed,
		`"_type":"https://in-toto.io/Statement/v2",`:                                           verify.ReasonMalformed,
		`"_type":"https://in-toto.io/Statement/v1/",`:                                          verify.ReasonMalformed,
		`"_type":"https://in-toto.io/Statement/v1","_Type":"x",`:                               verify.ReasonMalformed,
		`"_type":"https://in-toto.io/Statement/v1","_type":"https://in-toto.io/Statement/v1",`: verify.ReasonMalformed,
		`"type":"https://in-toto.io/Statement/v1",`:                                            verify.ReasonMalformed,
		`"_type":["https://in-toto.io/Statement/v1"],`:                                         verify.ReasonMalformed,
	} {
		b := payload(typ)
		if got := opens(t, envelopeOf(provenance.PayloadType, b, sign(provenance.PayloadType, b, "ann", "")), "ann"); got != want {
			t.Errorf("%s: got %q, want %q", typ, got, want)
		}
	}
}

func TestEdge21_StepConfusion(t *testing.T) {
	// The attestation of one stage for another, of the same type and by a key
	// that both list: the flow tells them apart.
	p := policy("build", map[string]*verify.Stage{
		"test":  {Requires: requires("ci")},
		"build": {Requires: requires("ci"), From: []verify.Flow{{Stage: "test"}}},
	}, "ci")
	test, build := signed(built(nil, files("main.go")), "ci"), signed(built(files("main.go"), files("app")), "ci")
	pass(t, p, "app", test, build)
	refused(t, verify.ReasonNoFlow, p, "app", test, signed(built(nil, files("app")), "ci"))
	// Names of stages are labels: hostile ones do no harm.
	for _, name := range []string{"../build", "*", "build/", "bu\x00ild", "<b>", ""} {
		p := policy("build", map[string]*verify.Stage{
			name:    {Requires: requires("src")},
			"build": {Requires: requires("bld"), From: []verify.Flow{{Stage: name}}},
		}, "src", "bld")
		v, err := verify.New(p, verify.Options{})
		if err != nil {
			continue // or they are refused
		}
		if _, err := v.Verify(t.Context(), request([]string{"app"}, signed(built(files("main.go"), files("app")), "bld"))); err == nil {
			t.Errorf("passed without stage %q", name)
		}
	}
	policyError(t, verify.PolicyField, policy("", map[string]*verify.Stage{"": {Requires: requires("a")}}, "a"))
}

func TestEdge22_BenignStatementLast(t *testing.T) {
	p := timedPrincipals(policy("build", map[string]*verify.Stage{
		"build": {Requires: requires("bld")},
		"scan": {About: []verify.About{{Stage: "build"}}, Requires: []verify.Requirement{
			{Type: typeTimed, Signers: []string{"scn"}, Which: "all", MaxAge: verify.Duration(24 * time.Hour), Where: []string{"result == PASSED"}}}},
	}, "bld", "scn"))
	scanned := func(result string, ago time.Duration) []byte {
		st := &genStatement{typ: typeTimed, products: []genFile{{name: "app", content: "app"}}, result: result, start: now.Add(-ago), end: now.Add(-ago)}
		return signed(st.made(), "scn")
	}
	build := signed(built(nil, files("app")), "bld")
	pass(t, p, "app", build, scanned("PASSED", time.Hour), scanned("PASSED", 2*time.Hour))
	refused(t, verify.ReasonCondition, p, "app", build, scanned("FAILED", 2*time.Hour), scanned("PASSED", time.Hour))
	refused(t, verify.ReasonCondition, p, "app", build, scanned("PASSED", time.Hour), scanned("FAILED", 2*time.Hour))
}

func TestEdge23_PredicateKinds(t *testing.T) {
	open := func(predicate string) verify.Reason {
		b := []byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"app","digest":{"sha256":"` + file("app").Digest[0].Value() +
			`"}}],"predicateType":"` + typeScan + `"` + predicate + `}`)
		raw := envelopeOf(provenance.PayloadType, b, sign(provenance.PayloadType, b, "ann", ""))
		if r := opens(t, raw, "ann"); r != "" {
			return r
		}
		_, err := judge(t, single(verify.Requirement{Type: typeScan, Signers: []string{"ann"}, Where: []string{"result == PASSED"}}, "ann"), "app", raw)
		return reasonOf(err)
	}
	for predicate, want := range map[string]verify.Reason{
		``:                                 verify.ReasonConditionError, // {}: the field is missing
		`,"predicate":null`:                verify.ReasonConditionError,
		`,"predicate":{}`:                  verify.ReasonConditionError,
		`,"predicate":{"result":null}`:     verify.ReasonCondition,
		`,"predicate":{"result":"PASSED"}`: "",
		`,"predicate":"PASSED"`:            verify.ReasonMalformed,
		`,"predicate":["PASSED"]`:          verify.ReasonMalformed,
		`,"predicate":7`:                   verify.ReasonMalformed,
	} {
		if got := open(predicate); got != want {
			t.Errorf("%s: got %q, want %q", predicate, got, want)
		}
	}
	// A transformation without what its type requires is never eligible.
	refused(t, verify.ReasonPredicateBad, single(verify.Requirement{Type: typeSLSA, Signers: []string{"ann"}}, "ann"), "app",
		signed(statement(typeSLSA, files("app"), map[string]any{}), "ann"))
}

func TestEdge24_PayloadsOfAllKinds(t *testing.T) {
	for _, payload := range [][]byte{{}, {0}, []byte("\x00\x00statement"), []byte("{}"), []byte(strings.Repeat("é", 1000))} {
		for _, typ := range []string{provenance.PayloadType, "a type with spaces", "é", ""} {
			if got := opens(t, envelopeOf(typ, payload, sign(typ, payload, "ann", "")), "ann"); got == "" {
				t.Errorf("opened %q of type %q", payload, typ)
			}
		}
	}
	// Lengths count bytes: type and payload cannot lend each other characters.
	payload := built(nil, files("é")).Payload()
	sig := sign(provenance.PayloadType+" ", payload[:len(payload)-1], "ann", "")
	if got := opens(t, envelopeOf(provenance.PayloadType, payload, sig), "ann"); got != verify.ReasonUntrusted {
		t.Errorf("got %q", got)
	}
	if got := opens(t, envelopeOf(provenance.PayloadType, payload, sign(provenance.PayloadType, payload, "ann", "")), "ann"); got != "" {
		t.Errorf("got %q", got)
	}
}

func TestEdge25_RawSignature(t *testing.T) {
	payload := built(nil, files("app")).Payload()
	raw := dsse.Signature{Sig: ed25519.Sign(key("ann"), payload)}
	if got := opens(t, envelopeOf(provenance.PayloadType, payload, raw), "ann"); got != verify.ReasonUntrusted {
		t.Errorf("a signature over the payload alone: %q", got)
	}
	// A signed message that looks like the encoding of another envelope.
	pae := dsse.PAE(provenance.PayloadType, payload)
	if got := opens(t, envelopeOf(provenance.PayloadType, pae, sign(provenance.PayloadType, payload, "ann", "")), "ann"); got != verify.ReasonUntrusted {
		t.Errorf("the encoding as payload: %q", got)
	}
}

// with is a resource with the given digests, as JSON has them.
func with(name, digests string) json.RawMessage {
	return json.RawMessage(`{"name":"` + name + `","digest":` + digests + `}`)
}

// rawStatement is a signed statement with subjects as they are.
func rawStatement(name string, subjects ...json.RawMessage) []byte {
	list, err := json.Marshal(subjects)
	if err != nil {
		panic(err)
	}
	payload := []byte(`{"_type":"https://in-toto.io/Statement/v1","subject":` + string(list) + `,"predicateType":"` + typeScan + `","predicate":{}}`)
	return envelopeOf(provenance.PayloadType, payload, sign(provenance.PayloadType, payload, name, ""))
}

func TestEdge36_AlgorithmAndValue(t *testing.T) {
	p := single(verify.Requirement{Type: typeScan, Signers: []string{"ann"}}, "ann")
	v := newVerifier(t, p)
	sum := file("app").Digest[0].Value()
	sha512 := strings.Repeat(sum, 2)
	for _, c := range []struct {
		digests string
		ok      bool
	}{
		{`{"sha256":"` + sum + `"}`, true},
		{`{"sha3_256":"` + sum + `"}`, false},
		{`{"gitCommit":"` + sum + `"}`, false}, // edge39
		{`{"gitBlob":"` + sum + `"}`, false},
		{`{"gitTree":"` + sum + `"}`, false},
		{`{"dirHash":"` + sum + `"}`, false},
		{`{"sha1":"` + sum[:40] + `"}`, false},
		{`{"sha512":"` + sha512 + `"}`, false},
		{`{"unknown":"` + sum + `"}`, false},
		{`{"SHA256":"` + sum + `"}`, false},
		// edge37
		{`{}`, false},
		{`{"sha256":""}`, false},
		{`{"sha256":"` + sum[:63] + `"}`, false},
		{`{"sha256":"` + sum + `00"}`, false},
		{`{"sha256":"` + strings.Repeat("g", 64) + `"}`, false},
		{`{"sha256":"` + strings.ToUpper(sum) + `"}`, false},
		{`{"sha256":"sha256:` + sum + `"}`, false},
		{`{"sha256":" ` + sum + `"}`, false},
		{`null`, false},
		// edge38
		{`{"md5":"d41d8cd98f00b204e9800998ecf8427e","sha1":"` + sum[:40] + `"}`, false},
		{`{"md5":"d41d8cd98f00b204e9800998ecf8427e","sha256":"` + sum + `"}`, true},
	} {
		_, err := v.Verify(t.Context(), verify.Request{Artifacts: []provenance.Artifact{artifact("app")}, At: now, Evidence: verify.NewEvidence(rawStatement("ann", with("app", c.digests)))})
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.digests, err)
		}
		if got := reasonOf(err); got == "error" {
			t.Errorf("%s: no verdict: %v", c.digests, err)
		}
	}
}

func TestEdge38_AnyDisagreementCounts(t *testing.T) {
	both := genFile{name: "app", content: "app", digests: "both"}.descriptor(nil)
	clash := genFile{name: "app", content: "app", digests: "clash"}.descriptor(nil)
	weak := provenance.DigestSet{provenance.MustDigest("md5:d41d8cd98f00b204e9800998ecf8427e"), provenance.MustDigest("sha1:" + strings.Repeat("ab", 20))}
	p := single(verify.Requirement{Type: typeSLSA, Signers: []string{"ann"}}, "ann")
	ask := func(p *verify.Policy, d provenance.DigestSet, subject provenance.ResourceDescriptor) verify.Reason {
		_, err := newVerifier(t, p).Verify(t.Context(), verify.Request{Artifacts: []provenance.Artifact{{Name: "app", Digests: d}}, At: now,
			Evidence: verify.NewEvidence(signed(built(nil, []provenance.ResourceDescriptor{subject}), "ann"))})
		return reasonOf(err)
	}
	if got := ask(p, both.Digest, both); got != "" {
		t.Errorf("two digests agree: %q", got)
	}
	if got := ask(p, both.Digest, clash); got == "" {
		t.Error("passed although SHA-512 differs")
	}
	if got := ask(p, both.Digest[:1], clash); got != "" {
		t.Errorf("nobody knows that SHA-512 differs: %q", got)
	}
	// The policy says by which algorithms artifacts match.
	p.Algorithms = []string{"sha512"}
	if got := ask(p, both.Digest, both); got != "" {
		t.Errorf("by SHA-512: %q", got)
	}
	if got := ask(p, both.Digest[:1], both); got != "error" {
		t.Errorf("an artifact without SHA-512 was judged by SHA-512: %q", got)
	}
	for _, a := range []string{"md5", "sha1", "", "SHA256", "unknown"} {
		p.Algorithms = []string{a}
		policyError(t, verify.PolicyField, p)
	}
	// An artifact known by weak digests only cannot be judged.
	p.Algorithms = nil
	if got := ask(p, weak, both); got != "error" {
		t.Errorf("judged by weak digests: %q", got)
	}
	// A material that only weak digests name comes from nowhere.
	p = policy("build", map[string]*verify.Stage{"source": {Requires: requires("ann")}, "build": {Requires: requires("ann"), From: []verify.Flow{{Stage: "source"}}}}, "ann")
	src := file("main.go")
	src.Digest = append(provenance.DigestSet{weak[0]}, src.Digest...)
	material := provenance.ResourceDescriptor{Name: "main.go", Digest: weak[:1]}
	refused(t, verify.ReasonUnaccounted, p, "app", signed(built(nil, []provenance.ResourceDescriptor{src}), "ann"),
		signed(built([]provenance.ResourceDescriptor{material}, files("app")), "ann"))
}

func TestEdge39_GitIDsAreTheirOwn(t *testing.T) {
	id := strings.Repeat("ab", 20)
	p := policy("build", map[string]*verify.Stage{"build": {Requires: requires("ann"), Inputs: []string{"repo"}}}, "ann")
	p.Inputs = map[string]verify.Input{"repo": {URI: "git+https://example.com/repo", Digests: []string{"gitCommit:" + id}}}
	ask := func(algorithm string) verify.Reason {
		m := provenance.ResourceDescriptor{URI: "git+https://example.com/repo", Digest: provenance.DigestSet{provenance.MustDigest(algorithm + ":" + id)}}
		_, err := judge(t, p, "app", signed(built([]provenance.ResourceDescriptor{m}, files("app")), "ann"))
		return reasonOf(err)
	}
	if got := ask("gitCommit"); got != "" {
		t.Errorf("the commit: %q", got)
	}
	for _, a := range []string{"gitTree", "gitBlob", "gitTag", "sha1"} {
		if ask(a) == "" {
			t.Errorf("%s stands for gitCommit", a)
		}
	}
}

func TestEdge40_Subjects(t *testing.T) {
	p := single(verify.Requirement{Type: typeScan, Signers: []string{"ann"}}, "ann")
	v := newVerifier(t, p)
	both := signed(scan("PASSED", "app", "lib"), "ann")
	for _, c := range []struct {
		artifacts []string
		evidence  [][]byte
		ok        bool
	}{
		{[]string{"app"}, [][]byte{both}, true},
		{[]string{"app", "lib"}, [][]byte{both}, true},
		{[]string{"lib", "app", "app"}, [][]byte{both}, true},
		{[]string{"app", "other"}, [][]byte{both}, false}, // all of them, not any
		{[]string{"app", "lib"}, [][]byte{signed(scan("PASSED", "app"), "ann"), signed(scan("PASSED", "lib"), "ann")}, false}, // two runs are not one
		{[]string{"x=1"}, [][]byte{signed(scan("PASSED", "x=1", "x=2"), "ann")}, true},                                        // one name, two contents
		{[]string{"x=3"}, [][]byte{signed(scan("PASSED", "x=1", "x=2"), "ann")}, false},
		{[]string{"x=1"}, [][]byte{signed(scan("PASSED", "y=1", "x=1"), "ann")}, true}, // two names, one content
	} {
		if _, err := v.Verify(t.Context(), request(c.artifacts, c.evidence...)); (err == nil) != c.ok {
			t.Errorf("%v: %v", c.artifacts, err)
		}
	}
	for _, subjects := range []string{`[]`, `null`, `[null]`, `[{}]`, `[{"name":"app"}]`, `{}`, `"app"`} {
		payload := []byte(`{"_type":"https://in-toto.io/Statement/v1","subject":` + subjects + `,"predicateType":"` + typeScan + `","predicate":{}}`)
		if got := opens(t, envelopeOf(provenance.PayloadType, payload, sign(provenance.PayloadType, payload, "ann", "")), "ann"); got != verify.ReasonMalformed {
			t.Errorf("subjects %s: %q", subjects, got)
		}
	}
	for _, r := range []verify.Request{
		{Evidence: verify.NewEvidence(both), At: now},                                                  // no artifact
		{Artifacts: []provenance.Artifact{{Name: "app"}}, Evidence: verify.NewEvidence(both), At: now}, // without a digest
		{Artifacts: []provenance.Artifact{artifact("app")}, At: now},
		{Artifacts: []provenance.Artifact{artifact("app")}, Evidence: verify.NewEvidence(both)},
	} {
		if _, err := v.Verify(t.Context(), r); reasonOf(err) != "error" {
			t.Errorf("%+v was judged: %v", r, err)
		}
	}
}

func TestEdge41_NamesAreUntrusted(t *testing.T) {
	p := single(verify.Requirement{Type: typeScan, Signers: []string{"ann"}, Where: []string{"result == PASSED"}}, "ann")
	for _, name := range []string{"../../etc/passwd", "a\x1b[2Jb", "<script>alert(1)</script>", "a\u202eb", "a\nb", strings.Repeat("x", 100_000)} {
		f := file("app")
		f.Name = name
		// Another name does not matter where none is tied.
		pass(t, p, "app", signed(statement(typeScan, []provenance.ResourceDescriptor{f}, map[string]any{"result": "PASSED"}), "ann"))
		_, err := judge(t, p, "app", signed(statement(typeScan, []provenance.ResourceDescriptor{f}, map[string]any{"result": name}), "ann"))
		if msg := fmt.Sprint(err); strings.ContainsAny(msg, "\x1b\n\u202e") || len(msg) > 1000 {
			t.Errorf("the message for %.20q is %.200q", name, msg)
		}
	}
}

func TestEdge52_MixAndMatch(t *testing.T) {
	p := policy("c", map[string]*verify.Stage{
		"a": {Requires: requires("a")},
		"b": {Requires: requires("b"), From: []verify.Flow{{Stage: "a"}}},
		"c": {Requires: requires("c"), From: []verify.Flow{{Stage: "b"}}},
	}, "a", "b", "c")
	a := signed(built(nil, files("src")), "a")
	good, bad := signed(built(files("src"), files("b1")), "b"), signed(built(files("evil"), files("b2")), "b")
	pass(t, p, "out", a, good, bad, signed(built(files("b1"), files("out")), "c"))
	refused(t, verify.ReasonUnaccounted, p, "out", a, good, bad, signed(built(files("b2"), files("out")), "c"))
	refused(t, verify.ReasonDisagreement, p, "out", a, good, bad, signed(built(files("b1", "b2"), files("out")), "c"))
	// Two builds of one output: the proof may use either, never half of each.
	half1, half2 := signed(built(files("b1", "evil"), files("out")), "c"), signed(built(files("b2"), files("out")), "c")
	if _, err := judge(t, p, "out", a, good, bad, half1, half2); err == nil {
		t.Error("two bad builds add up")
	}
}

func TestEdge53_Unaccounted(t *testing.T) {
	ev := releaseEvidence()
	ev[1] = signed(built(files("main.go", "go.mod", "injected"), files("app")), "bld")
	f := refused(t, verify.ReasonUnaccounted, releasePolicy(), "app.tar.gz", ev...).Findings[0]
	if f.File != "injected" || f.GotStage != "build" {
		t.Errorf("finding %+v", f)
	}
	// Nothing in common.
	ev[1] = signed(built(nil, files("app")), "bld")
	refused(t, verify.ReasonNoFlow, releasePolicy(), "app.tar.gz", ev...)
}

func TestEdge54_Graphs(t *testing.T) {
	from := func(stages ...string) []verify.Flow {
		var out []verify.Flow
		for _, s := range stages {
			out = append(out, verify.Flow{Stage: s})
		}
		return out
	}
	stages := func(list map[string][]verify.Flow) map[string]*verify.Stage {
		out := map[string]*verify.Stage{}
		for name, f := range list {
			out[name] = &verify.Stage{Requires: requires("x"), From: f}
		}
		return out
	}
	for name, c := range map[string]struct {
		stages map[string][]verify.Flow
		want   string
	}{
		"two":             {map[string][]verify.Flow{"a": from("b"), "b": from("a")}, verify.PolicyCycle},
		"one":             {map[string][]verify.Flow{"a": from("a")}, verify.PolicyCycle},
		"three":           {map[string][]verify.Flow{"a": from("b"), "b": from("c"), "c": from("a")}, verify.PolicyCycle},
		"below the final": {map[string][]verify.Flow{"a": from("b"), "b": from("c"), "c": from("d"), "d": from("b")}, verify.PolicyCycle},
		"missing":         {map[string][]verify.Flow{"a": from("nobody")}, verify.PolicyReference},
		"two roots":       {map[string][]verify.Flow{"a": nil, "b": nil}, verify.PolicyReference},
		"twice":           {map[string][]verify.Flow{"a": from("b", "b"), "b": nil}, verify.PolicyField},
	} {
		t.Run(name, func(t *testing.T) { policyError(t, c.want, policy("a", stages(c.stages), "x")) })
	}
	// After cannot close a circle either.
	p := policy("a", stages(map[string][]verify.Flow{"a": from("b"), "b": nil}), "x")
	p.Stages["b"].After = []string{"a"}
	policyError(t, verify.PolicyCycle, p)
	p.Stages["b"].After = []string{"b"}
	policyError(t, verify.PolicyCycle, p)
	// A diamond holds when both its sides come from one source.
	p = policy("d", stages(map[string][]verify.Flow{"d": from("b", "c"), "b": from("a"), "c": from("a"), "a": nil}), "x")
	a, b := signed(built(nil, files("src")), "x"), signed(built(files("src"), files("b")), "x")
	d := signed(built(files("b", "c"), files("out")), "x")
	pass(t, p, "out", a, b, d, signed(built(files("src"), files("c")), "x"))
	refused(t, verify.ReasonDisagreement, p, "out", a, b, d, signed(built(nil, files("src2")), "x"), signed(built(files("src2"), files("c")), "x"))
}

func TestEdge55_ProvesNothing(t *testing.T) {
	for name, p := range map[string]*verify.Policy{
		"no stages":       policy("a", nil, "x"),
		"nil stage":       policy("a", map[string]*verify.Stage{"a": nil}, "x"),
		"no requirements": policy("a", map[string]*verify.Stage{"a": {}}, "x"),
		"no signers":      policy("a", map[string]*verify.Stage{"a": {Requires: requires()}}, "x"),
		"no principals":   policy("a", map[string]*verify.Stage{"a": {Requires: requires("x")}}),
		"no type":         policy("a", map[string]*verify.Stage{"a": {Requires: []verify.Requirement{{Signers: []string{"x"}}}}}, "x"),
		"empty type":      policy("a", map[string]*verify.Stage{"a": {Requires: []verify.Requirement{{Types: []string{""}, Signers: []string{"x"}}}}}, "x"),
	} {
		t.Run(name, func(t *testing.T) { policyError(t, verify.PolicyEmpty, p) })
	}
	p := single(verify.Requirement{Type: typeScan, Signers: []string{"x"}, Which: "none", Where: []string{"true"}, Complete: true}, "x")
	p.Inventory = &verify.Inventory{Signers: []string{"x"}, MaxAge: verify.Duration(time.Hour)}
	policyError(t, verify.PolicyEmpty, p)
	p = releasePolicy()
	p.Inputs = map[string]verify.Input{"anything": {}}
	policyError(t, verify.PolicyEmpty, p)
	for _, r := range []verify.Rule{{}, {Name: "x"}, {Separate: []string{"build"}}, {Organizations: 1, Over: []string{"build"}}, {Organizations: 2}} {
		p = releasePolicy()
		p.Rules = []verify.Rule{r}
		policyError(t, verify.PolicyField, p)
	}
	for _, v := range []*verify.Verifier{nil, {}} {
		if proof, err := v.Verify(t.Context(), request([]string{"app"})); err == nil || proof != nil {
			t.Error("a Verifier that New did not make passes something")
		}
	}
	if (&verify.Proof{}).Report() != nil {
		t.Error("the zero Proof has a report")
	}
}

// empty finds nothing, and failing fails.
type emptySource struct{}

func (emptySource) Find(context.Context, provenance.Digest) ([][]byte, error) { return nil, nil }

// foreignSource returns everything to every question.
type foreignSource [][]byte

func (s foreignSource) Find(context.Context, provenance.Digest) ([][]byte, error) { return s, nil }

func TestEdge57_SourceFindsNothing(t *testing.T) {
	v := newVerifier(t, releasePolicy())
	r := request([]string{"app.tar.gz"})
	if _, err := v.Verify(t.Context(), r); reasonOf(err) != verify.ReasonNoStatement {
		t.Errorf("no evidence: %v", err)
	}
	r.Evidence = emptySource{}
	if _, err := v.Verify(t.Context(), r); reasonOf(err) != verify.ReasonNoStatement {
		t.Errorf("a source that finds nothing: %v", err)
	}
	// One that returns what was not asked for changes nothing.
	r.Evidence = foreignSource(releaseEvidence())
	if _, err := v.Verify(t.Context(), r); err != nil {
		t.Errorf("a source that returns too much: %v", err)
	}
	r.Evidence = foreignSource(releaseEvidence()[:3])
	if _, err := v.Verify(t.Context(), r); reasonOf(err) != verify.ReasonNoStatement {
		t.Errorf("statements about other files: %v", err)
	}
}

func TestEdge58_ResignedStatement(t *testing.T) {
	st := built(nil, files("app"))
	proof := pass(t, two(), "app", signed(st, "ann"), signed(st, "bob"), signed(st, "ann"))
	if n := len(proof.Statements()); n != 1 {
		t.Errorf("%d statements, want one with two signers", n)
	}
	if s := proof.Report().Stages[0].Statements; len(s) != 1 || len(s[0].Signers) != 2 {
		t.Errorf("statements: %+v", s)
	}
	// By two routes at once.
	p := policy("d", map[string]*verify.Stage{
		"a": {Requires: requires("x")}, "b": {Requires: requires("x"), From: []verify.Flow{{Stage: "a"}}},
		"d": {Requires: requires("x"), From: []verify.Flow{{Stage: "a"}, {Stage: "b"}}},
	}, "x")
	proof = pass(t, p, "out", signed(built(nil, files("src")), "x"), signed(built(files("src"), files("lib")), "x"), signed(built(files("src", "lib"), files("out")), "x"))
	if n := len(proof.Statements()); n != 3 {
		t.Errorf("%d statements, want 3", n)
	}
}

func TestEdge59_AnotherArtifactOfTheCommit(t *testing.T) {
	commit := provenance.ResourceDescriptor{URI: "git+https://example.com/repo", Digest: provenance.DigestSet{provenance.MustDigest("gitCommit:" + strings.Repeat("ab", 20))}}
	p := policy("build", map[string]*verify.Stage{
		"build": {Requires: requires("bld"), Inputs: []string{"repo"}},
		"test":  {Requires: []verify.Requirement{{Type: typeSLSA, Signers: []string{"tst"}}}, About: []verify.About{{Stage: "build"}}},
	}, "bld", "tst")
	p.Inputs = map[string]verify.Input{"repo": {URI: "git+https://example.com/repo", Algorithms: []string{"gitCommit"}}}
	from := func(subject string) *provenance.Statement {
		return built([]provenance.ResourceDescriptor{commit}, files(subject))
	}
	pass(t, p, "app", signed(from("app"), "bld"), signed(from("app"), "tst"))
	refused(t, verify.ReasonWrongSigner, p, "app", signed(from("app"), "bld"), signed(from("other"), "tst"))
	subject := commit
	subject.Name = "app"
	refused(t, verify.ReasonWrongSigner, p, "app", signed(from("app"), "bld"),
		signed(built([]provenance.ResourceDescriptor{commit}, []provenance.ResourceDescriptor{subject}), "tst"))
}

// scans is a policy about the newest scan, by trusted time, and timed evidence for it.
func scans(q verify.Requirement) *verify.Policy {
	q.Type, q.Signers, q.Where = typeScan, []string{"ci"}, []string{"result == PASSED"}
	p := policy("build", map[string]*verify.Stage{
		"build": {Requires: requires("bld")},
		"scan":  {About: []verify.About{{Stage: "build"}}, Requires: []verify.Requirement{q}},
	}, "bld")
	p.Principals["ci"] = verify.Principals{Identity: &verify.Identity{Issuer: issuer, Subject: octo}}
	return p
}

func TestEdge61_ConflictingResults(t *testing.T) {
	build := signed(built(nil, files("app")), "bld")
	old, recent := now.Add(-3*time.Hour), now.Add(-time.Hour)
	good, bad := scan("PASSED", "app"), scan("FAILED", "app")
	age := verify.Duration(24 * time.Hour)
	newest, all, any := scans(verify.Requirement{Which: "newest", MaxAge: age}), scans(verify.Requirement{Which: "all", MaxAge: age}), scans(verify.Requirement{})
	for _, c := range []struct {
		name              string
		goodAt, badAt     time.Time
		newest, all, any_ verify.Reason
	}{
		{"good is newer", recent, old, "", verify.ReasonCondition, ""},
		{"bad is newer", old, recent, verify.ReasonCondition, verify.ReasonCondition, ""},
		{"a tie", recent, recent, verify.ReasonCondition, verify.ReasonCondition, ""},
		{"bad is too old to count", recent, now.Add(-48 * time.Hour), "", "", ""},
	} {
		a, b := bundled(good, c.goodAt, nil), bundled(bad, c.badAt, nil)
		for _, ev := range [][][]byte{{build, a, b}, {b, a, build}} {
			if got := [3]verify.Reason{identities(t, newest, "app", ev...), identities(t, all, "app", ev...), identities(t, any, "app", ev...)}; got != [3]verify.Reason{c.newest, c.all, c.any_} {
				t.Errorf("%s: newest, all, any: %q", c.name, got)
			}
		}
	}
	// Without completeness or an age these cannot be asked for.
	for _, which := range []string{"newest", "all", "none"} {
		policyError(t, verify.PolicyField, scans(verify.Requirement{Which: which}))
	}
	policyError(t, verify.PolicyField, scans(verify.Requirement{Which: "none", MaxAge: age}))
	policyError(t, verify.PolicyReference, scans(verify.Requirement{Which: "none", Complete: true}))
	policyError(t, verify.PolicyField, scans(verify.Requirement{Which: "first", MaxAge: age}))
}

func TestEdge60_WithheldStatements(t *testing.T) {
	build := signed(built(nil, files("app")), "bld")
	old, recent := now.Add(-3*time.Hour), now.Add(-time.Hour)
	good, bad := scan("PASSED", "app"), scan("FAILED", "app")
	p := scans(verify.Requirement{Which: "newest", Complete: true})
	p.Principals["inv"] = verify.Principals{Identity: &verify.Identity{Issuer: issuer, Subject: "https://inventory.example/"}}
	p.Inventory = &verify.Inventory{Signers: []string{"inv"}, MaxAge: verify.Duration(24 * time.Hour)}
	listing := func(at time.Time, list ...*provenance.Statement) []byte {
		return bundled(inventory(at, list, "app"), at, as("https://inventory.example/"))
	}
	a, b := bundled(good, old, nil), bundled(bad, recent, nil)
	t.Run("edge85", func(t *testing.T) {
		for name, c := range map[string]struct {
			want     verify.Reason
			evidence [][]byte
		}{
			"all there, the newest fails":   {verify.ReasonCondition, [][]byte{build, a, b, listing(recent, good, bad)}},
			"the newest is withheld":        {verify.ReasonWithheld, [][]byte{build, a, listing(recent, good, bad)}},
			"and the inventory too":         {verify.ReasonNoInventory, [][]byte{build, a}},
			"and an old inventory is shown": {verify.ReasonTooOld, [][]byte{build, a, listing(now.Add(-48*time.Hour), good)}},
			"there was never another":       {"", [][]byte{build, a, listing(recent, good)}},
		} {
			if got := identities(t, p, "app", c.evidence...); got != c.want {
				t.Errorf("%s: %q, want %q", name, got, c.want)
			}
		}
		// An age bounds it instead.
		p := scans(verify.Requirement{Which: "newest", MaxAge: verify.Duration(2 * time.Hour)})
		if got := identities(t, p, "app", build, a); got != verify.ReasonTooOld {
			t.Errorf("the old scan alone: %q", got)
		}
	})
	// Positive evidence is not hurt by what is withheld: taking away never helps.
	if got := identities(t, scans(verify.Requirement{}), "app", build); got != verify.ReasonWrongType {
		t.Errorf("without any scan: %q", got)
	}
}

func TestEdge62_Order(t *testing.T) {
	stages := map[string]*verify.Stage{
		"build": {Requires: requires("bld")},
		"scan":  {About: []verify.About{{Stage: "build"}}, After: []string{"build"}, Requires: []verify.Requirement{{Type: typeScan, Signers: []string{"scn"}}}},
	}
	p := policy("build", stages, "unused")
	p.Principals = map[string]verify.Principals{
		"bld": {Identity: &verify.Identity{Issuer: issuer, Subject: octo}},
		"scn": {Identity: &verify.Identity{Issuer: issuer, Subject: "https://scan.example/"}},
	}
	at := now.Add(-time.Hour)
	build := bundled(built(nil, files("app")), at, nil)
	scanned := func(d time.Duration) []byte {
		return bundled(scan("PASSED", "app"), at.Add(d), as("https://scan.example/"))
	}
	for d, want := range map[time.Duration]verify.Reason{
		time.Minute: "", 0: "", -time.Second: verify.ReasonOrder, -30 * 24 * time.Hour: verify.ReasonOrder,
		2 * time.Hour: verify.ReasonNotYet, // after the instant of judgement
	} {
		if got := identities(t, p, "app", build, scanned(d)); got != want && !(want == verify.ReasonNotYet && got == verify.ReasonBundle) {
			t.Errorf("scanned %s after the build: %q, want %q", d, got, want)
		}
	}
	// Claimed times are not trusted times, unless the policy says so by name.
	claim := timedPrincipals(policy("package", map[string]*verify.Stage{
		"build":   {Requires: requires("bld")},
		"package": {Requires: requires("pkg"), From: []verify.Flow{{Stage: "build"}}, After: []string{"build"}},
	}, "bld", "pkg"))
	pair := func(b, c time.Time) [][]byte {
		return [][]byte{signed(builtAt(nil, files("app"), b), "bld"), signed(builtAt(files("app"), files("out"), c), "pkg")}
	}
	pass(t, claim, "out", pair(at, at.Add(time.Minute))...)
	refused(t, verify.ReasonOrder, claim, "out", pair(at, at)...) // the build took a second
	refused(t, verify.ReasonNoTime, claim, "out", pair(time.Time{}, at)...)
	refused(t, verify.ReasonNotYet, claim, "out", pair(at, now)...)
	strict := policy("package", claim.Stages, "bld", "pkg")
	refused(t, verify.ReasonNoTime, strict, "out", pair(at, at.Add(time.Minute))...)
	// Start after finish is no time at all.
	backwards := statement(typeSLSA, files("out"), map[string]any{
		"buildDefinition": map[string]any{"buildType": "https://example.com/build/v1", "externalParameters": map[string]any{"a": 1}, "resolvedDependencies": files("app")},
		"runDetails": map[string]any{"builder": map[string]any{"id": "https://example.com/builder"},
			"metadata": map[string]any{"startedOn": at.Add(time.Hour).Format(time.RFC3339), "finishedOn": at.Format(time.RFC3339)}},
	})
	if _, err := judge(t, claim, "out", pair(at, at)[0], signed(backwards, "pkg")); err == nil {
		t.Error("passed by a step that began after its end")
	}
}

func TestEdge63_OrderOfEverything(t *testing.T) {
	// Two proofs are possible; which is shown depends on nothing but the set.
	p := policy("build", map[string]*verify.Stage{
		"build": {Requires: requires("a", "b")},
		"scan":  {Requires: []verify.Requirement{{Type: typeScan, Signers: []string{"a", "b"}}}, About: []verify.About{{Stage: "build"}}},
	}, "a", "b")
	var ev [][]byte
	for _, who := range []string{"a", "b"} {
		for i := range 3 {
			ev = append(ev, signed(builtAt(nil, files("app"), now.Add(-time.Duration(i)*time.Hour)), who), signed(scan(fmt.Sprint(i), "app"), who))
		}
	}
	app := []provenance.Artifact{artifact("app")}
	want := askAbout(t, newVerifier(t, p), app, ev)
	for i := range 100 {
		ev = append(ev[5:], ev[:5]...)
		if i == 50 {
			ev[0], ev[7] = ev[7], ev[0]
		}
		if got := askAbout(t, newVerifier(t, p), app, ev); got.report != want.report {
			t.Fatalf("time %d: %s\nwant %s", i, got.report, want.report)
		}
	}
}

func TestEdge64_OneBadSignatureOfEnough(t *testing.T) {
	// The threshold is met without what is broken.
	st := built(nil, files("app"))
	broken := bytes.Replace(signed(st, "cem"), []byte(`"payload":"`), []byte(`"payload":"AAAA`), 1)
	pass(t, two(), "app", signed(st, "ann"), signed(st, "bob"), broken, signed(built(files("x"), files("app")), "mallory"))
	// A statement of an authorised signer about other products is no reason to fail.
	pass(t, two(), "app", signed(st, "ann"), signed(st, "bob"), signed(built(nil, files("app", "more")), "cem"))
}

func TestEdge68_Conditions(t *testing.T) {
	q := verify.Requirement{Type: typeScan, Signers: []string{"ann"}, Where: []string{"true", "result == PASSED"}}
	p := single(q, "ann")
	pass(t, p, "app", signed(scan("PASSED", "app"), "ann"))
	refused(t, verify.ReasonCondition, p, "app", signed(scan("FAILED", "app"), "ann"))
	refused(t, verify.ReasonConditionError, p, "app", signed(statement(typeScan, files("app"), map[string]any{"Result": "PASSED"}), "ann"))
	// One condition more never lets more through.
	p.Stages["build"].Requires[0].Where = []string{"false", "result == PASSED"}
	refused(t, verify.ReasonCondition, p, "app", signed(scan("PASSED", "app"), "ann"))
	p.Stages["build"].Requires[0].Where = []string{"what is this"}
	policyError(t, verify.PolicyCondition, p)
	p.Stages["build"].Requires[0].Where = []string{"true"}
	if _, err := verify.New(p, verify.Options{}); err == nil {
		t.Error("a policy with conditions and no compiler is taken")
	}
	for _, typo := range []string{"stage:", "requirez:", "Signers:", "treshold:"} {
		doc := strings.Replace(string(releaseYAML()), "threshold:", typo, 1)
		if _, err := verify.ParsePolicy("p.yaml", []byte(doc)); err == nil {
			t.Errorf("a policy with %q is taken", typo)
		}
	}
}

func TestEdge72_KeyValidity(t *testing.T) {
	hour := time.Hour
	for _, c := range []struct {
		from, until time.Duration // from now
		ok          bool
	}{
		{-hour, hour, true}, {0, hour, true}, {-hour, 0, true}, {0, 0, true}, // both ends inclusive
		{time.Second, hour, false}, {-hour, -time.Second, false},
	} {
		p := single(verify.Requirement{Type: typeScan, Signers: []string{"ann"}}, "ann")
		p.Principals["ann"] = verify.Principals{Keys: []verify.Key{{PEM: publicPEM("ann"), ValidFrom: now.Add(c.from), ValidUntil: now.Add(c.until)}}}
		_, err := judge(t, p, "app", signed(scan("PASSED", "app"), "ann"))
		if got := reasonOf(err); (got == "") != c.ok || !c.ok && got != verify.ReasonKeyValidity {
			t.Errorf("valid from %s until %s: %q", c.from, c.until, got)
		}
	}
	p := single(verify.Requirement{Type: typeScan, Signers: []string{"ann"}}, "ann")
	p.Principals["ann"] = verify.Principals{Keys: []verify.Key{{PEM: publicPEM("ann"), ValidFrom: now, ValidUntil: now.Add(-hour)}}}
	policyError(t, verify.PolicyKey, p)
}

func TestEdge75_PolicyExpiry(t *testing.T) {
	for d, ok := range map[time.Duration]bool{time.Hour: true, time.Nanosecond: true, 0: false, -time.Nanosecond: false, -10000 * time.Hour: false} {
		p := releasePolicy()
		p.NoExpiryUnsafe, p.Expires = false, now.Add(d)
		_, err := judge(t, p, "app.tar.gz", releaseEvidence()...)
		if got := reasonOf(err); (got == "") != ok || !ok && got != verify.ReasonPolicyExpired {
			t.Errorf("expires %s after: %q", d, got)
		}
	}
	p := releasePolicy()
	p.NoExpiryUnsafe = false
	policyError(t, verify.PolicyField, p)
	p = releasePolicy()
	p.Expires = now
	policyError(t, verify.PolicyField, p)
	p = releasePolicy()
	p.Version = 3
	if _, err := verify.New(p, verify.Options{Conditions: equalCompiler{}, MinimumVersion: 4}); err == nil {
		t.Error("an older policy is taken")
	}
	if _, err := verify.New(p, verify.Options{Conditions: equalCompiler{}, MinimumVersion: 3}); err != nil {
		t.Error(err)
	}
}

func TestEdge76_Revocation(t *testing.T) {
	at := now.Add(-2 * time.Hour)
	st := built(nil, files("app"))
	byKey, byCert := signed(st, "ann"), bundled(st, at, nil)
	id := verify.Identity{Issuer: issuer, Subject: octo}
	builder := "https://example.com/builder"
	cases := []struct {
		name      string
		revoked   verify.Revocation
		key, cert verify.Reason // for evidence by key alone, and by certificate with a trusted time
	}{
		{"another key", verify.Revocation{Key: keyID(publicPEM("bob"))}, "", ""},
		{"the key", verify.Revocation{Key: keyID(publicPEM("ann"))}, verify.ReasonRevoked, ""},
		{"the key, with a prefix", verify.Revocation{Key: "sha256:" + keyID(publicPEM("ann"))}, verify.ReasonRevoked, ""},
		{"the key, since before", verify.Revocation{Key: keyID(publicPEM("ann")), From: at}, verify.ReasonRevoked, ""},
		{"the key, from now on", verify.Revocation{Key: keyID(publicPEM("ann")), From: now}, verify.ReasonRevoked, ""},
		{"the key, from later on", verify.Revocation{Key: keyID(publicPEM("ann")), From: now.Add(time.Second)}, "", ""},
		{"the identity", verify.Revocation{Identity: &id}, "", verify.ReasonRevoked},
		{"the identity, before the signature", verify.Revocation{Identity: &id, From: at.Add(-time.Hour)}, "", verify.ReasonRevoked},
		{"the identity, after the signature", verify.Revocation{Identity: &id, From: at.Add(time.Hour)}, "", ""},
		{"the builder", verify.Revocation{Builder: builder}, verify.ReasonRevoked, verify.ReasonRevoked},
		{"the builder, after the signature", verify.Revocation{Builder: builder, From: at.Add(time.Hour)}, verify.ReasonRevoked, ""},
		{"another builder", verify.Revocation{Builder: builder + "/"}, "", ""},
		{"the statement", verify.Revocation{Statement: st.Digest().String()}, verify.ReasonRevoked, verify.ReasonRevoked},
	}
	for _, c := range cases {
		for i, raw := range [][]byte{byKey, byCert} {
			p := single(verify.Requirement{Type: typeSLSA, Signers: []string{"ann", "ci"}}, "ann")
			p.Principals["ci"] = verify.Principals{Identity: &id}
			p.Revoked = []verify.Revocation{c.revoked}
			if got, want := identities(t, p, "app", raw), []verify.Reason{c.key, c.cert}[i]; got != want {
				t.Errorf("%s, evidence %d: %q, want %q", c.name, i, got, want)
			}
		}
	}
	// Of two revocations of one thing the earlier counts.
	p := single(verify.Requirement{Type: typeSLSA, Signers: []string{"ann"}}, "ann")
	for _, order := range [][2]time.Duration{{-time.Hour, time.Hour}, {time.Hour, -time.Hour}} {
		p.Revoked = []verify.Revocation{{Builder: builder, From: now.Add(order[0])}, {Builder: builder, From: now.Add(order[1])}}
		refused(t, verify.ReasonRevoked, p, "app", byKey)
	}
	for _, r := range []verify.Revocation{{}, {Key: "xyz"}, {Builder: "b", Key: keyID(publicPEM("ann"))}, {Statement: "md5:00"}, {Identity: &verify.Identity{}}} {
		p.Revoked = []verify.Revocation{r}
		policyError(t, verify.PolicyField, p)
	}
}

func TestEdge80_NoSecretsInMessages(t *testing.T) {
	// What a verifier is given and does not verify goes into no message unless it is a name.
	secret := "hunter2-token"
	st := statement(typeScan, files("app"), map[string]any{"result": "FAILED", "env": map[string]any{"TOKEN": secret}})
	p := single(verify.Requirement{Type: typeScan, Signers: []string{"ann"}, Where: []string{"result == PASSED"}}, "ann")
	_, err := judge(t, p, "app", signed(st, "ann"))
	var r *verify.RefusedError
	if !errors.As(err, &r) {
		t.Fatal(err)
	}
	b, _ := json.Marshal(r.Report)
	if strings.Contains(string(b), secret) || strings.Contains(err.Error(), secret) {
		t.Errorf("the report quotes the predicate: %s", b)
	}
}

func TestEdge81_OneVerifierManyGoroutines(t *testing.T) {
	options := verify.Options{Conditions: equalCompiler{}, Parameters: map[string]string{}}
	v, err := verify.New(releasePolicy(), options)
	if err != nil {
		t.Fatal(err)
	}
	app := []provenance.Artifact{artifact("app.tar.gz")}
	good, bad := releaseEvidence(), releaseEvidence()
	bad[1] = signed(built(files("main.go=evil", "go.mod"), files("app")), "bld")
	wantGood, wantBad := askAbout(t, v, app, good), askAbout(t, v, app, bad)
	shared := verify.NewEvidence(good...)
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			if got := askAbout(t, v, app, good); got.report != wantGood.report {
				t.Error("a pass differs")
			}
			if got := askAbout(t, v, app, bad); got.report != wantBad.report {
				t.Error("a refusal differs")
			}
			if _, err := v.Verify(t.Context(), verify.Request{Artifacts: app, Evidence: shared, At: now.Add(time.Duration(i) * time.Second)}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestEdge83_ExchangedRoles(t *testing.T) {
	p := policy("package", map[string]*verify.Stage{
		"build":   {Requires: requires("bld")},
		"package": {Requires: requires("pkg"), From: []verify.Flow{{Stage: "build"}}},
	}, "bld", "pkg")
	build := signed(built(nil, files("config.prod=p", "config.dev=d")), "bld")
	right := signed(built(files("config.prod=p", "config.dev=d"), files("out")), "pkg")
	swapped := signed(built(files("config.prod=d", "config.dev=p"), files("out")), "pkg")
	moved := signed(built(files("etc/config.prod=p", "etc/config.dev=d"), files("out")), "pkg")
	ask := func(names string, mapping map[string]string, ev []byte) verify.Reason {
		p.Stages["package"].From[0].Names, p.Stages["package"].From[0].Map = names, mapping
		_, err := judge(t, p, "out", build, ev)
		return reasonOf(err)
	}
	tie := map[string]string{"etc/config.prod": "config.prod", "etc/config.dev": "config.dev"}
	for _, c := range []struct {
		names   string
		mapping map[string]string
		ev      []byte
		ok      bool
	}{
		{"", nil, swapped, true}, // digests alone do not say which is which
		{"same", nil, right, true}, {"same", nil, swapped, false}, {"same", nil, moved, false},
		{"base", nil, right, true}, {"base", nil, swapped, false}, {"base", nil, moved, true},
		{"", tie, moved, true}, {"", tie, right, false}, {"", tie, swapped, false},
	} {
		if got := ask(c.names, c.mapping, c.ev); (got == "") != c.ok {
			t.Errorf("names %q, map %v: %q", c.names, c.mapping, got)
		}
	}
	if got := ask("same", nil, swapped); got != verify.ReasonName && got != verify.ReasonAltered {
		t.Errorf("refused for %q", got)
	}
}

func TestEdge84_ThresholdWithoutAgreement(t *testing.T) {
	p := two()
	p.Stages["build"].Complete = false
	app, lib := signed(built(nil, files("app")), "ann"), signed(built(nil, files("lib")), "bob")
	ask := func(artifacts []string, evidence ...[]byte) verify.Reason {
		_, err := newVerifier(t, p).Verify(t.Context(), request(artifacts, evidence...))
		return reasonOf(err)
	}
	for _, artifacts := range [][]string{{"app"}, {"app", "lib"}} {
		if got := ask(artifacts, app, lib); got == "" {
			t.Errorf("%v passes by two principals who attest different products", artifacts)
		}
	}
	if got := ask([]string{"app", "lib"}, signed(built(nil, files("app", "lib")), "ann"), lib); got == "" {
		t.Error("one of them attests one product only")
	}
	if got := ask([]string{"app", "lib"}, signed(built(nil, files("app", "lib")), "ann"), signed(built(nil, files("lib", "app", "log")), "bob")); got != "" {
		t.Errorf("both attest both: %q", got)
	}
	// And on materials, where the policy asks for it.
	p.Stages["build"].Inputs = []string{"any"}
	p.Inputs = map[string]verify.Input{"any": {URI: "**"}}
	p.Stages["build"].Requires[0].AgreeOnMaterials = true
	if got := ask([]string{"app"}, signed(built(files("x"), files("app")), "ann"), signed(built(files("y"), files("app")), "bob")); got != verify.ReasonDisagreement {
		t.Errorf("other materials: %q", got)
	}
	if got := ask([]string{"app"}, signed(built(files("x", "y"), files("app")), "ann"), signed(built(files("y", "x"), files("app")), "bob")); got != "" {
		t.Errorf("the same materials in another order: %q", got)
	}
}

// FuzzOpen opens hostile bytes. What opens must be what somebody trusted signed.
func FuzzOpen(f *testing.F) {
	st := built(files("main.go"), files("app"))
	for _, b := range append(unrelated(), signed(st, "ann"), hinted(st, "ann", "bob"), rawStatement("ann", with("app", `{"sha256":""}`)),
		envelopeOf("application/json", st.Payload(), sign("application/json", st.Payload(), "ann", "")), bundled(st, now.Add(-time.Hour), nil)) {
		f.Add(b)
	}
	trust, err := verify.NewTrust(verify.Key{PEM: publicPEM("ann")}, verify.Key{PEM: publicPEM("bob")})
	if err != nil {
		f.Fatal(err)
	}
	if trust, err = trust.WithSigstore(world.RootDoc().JSON(), verify.Sigstore{}); err != nil {
		f.Fatal(err)
	}
	v, err := verify.New(single(verify.Requirement{Type: typeSLSA, Signers: []string{"ann"}}, "ann"), verify.Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		opened, err := verify.Open(data, trust, now)
		var r *verify.RejectedError
		switch {
		case err == nil && (opened == nil || len(opened.Signatures()) == 0):
			t.Fatal("opened, and nobody signed it")
		case err == nil && !bytes.Equal(opened.Statement().Payload(), st.Payload()):
			t.Fatalf("opened a statement that nobody signed: %s", opened.Statement().Payload())
		case err != nil && (!errors.As(err, &r) || r.Reason == "" || opened != nil):
			t.Fatalf("%#v", err)
		}
		ev := verify.NewEvidence(data)
		if _, err := v.Verify(context.Background(), verify.Request{Artifacts: []provenance.Artifact{artifact("app")}, Evidence: ev, At: now}); err == nil {
			// main.go is accounted for by nothing.
			t.Fatal("passed")
		} else if reasonOf(err) == "error" {
			t.Fatal(err)
		}
		if !bytes.Equal(data, before) {
			t.Fatal("the evidence was changed")
		}
	})
}
