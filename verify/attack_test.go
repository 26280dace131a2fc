package verify_test

import (
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/internal/dsse"
	"github.com/hallmark-build/hallmark/internal/sigstore/sigstoretest"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/verify"
)

// mail makes the certificate one for an email address.
func mail(address string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.URIs, c.EmailAddresses = nil, []string{address} }
}

// TestAttackMailCase: identity providers hand on an address as its owner wrote
// it. Whoever can change the case of its letters is still one person.
func TestAttackMailCase(t *testing.T) {
	at := now.Add(-time.Hour)
	st := built(nil, files("app"))
	ann, annAgain, bob := bundled(st, at, mail("ann@acme.example")), bundled(st, at, mail("Ann@ACME.example")), bundled(st, at, mail("bob@acme.example"))
	everybody := verify.Identity{Issuer: issuer, Subject: "*@*.example"}

	two := byPattern(2, everybody)
	if got := identities(t, two, "app", ann, annAgain); got != verify.ReasonThreshold {
		t.Errorf("one person in two spellings meets a threshold of two: %q", got)
	}
	if got := identities(t, two, "app", ann, bob); got != "" {
		t.Errorf("two people: %q", got)
	}

	// Ann is listed, so no pattern matches her, however she spells herself.
	apart := byPattern(1, everybody)
	apart.Principals["ann"] = verify.Principals{Identity: &verify.Identity{Issuer: issuer, Subject: "ann@acme.example"}}
	apart.Stages["build"].Requires[0].Signers = []string{"ann"}
	apart.Stages["review"] = &verify.Stage{About: []verify.About{{Stage: "build"}}, Requires: []verify.Requirement{{Type: typeScan, Signers: []string{"ci"}}}}
	apart.Rules = []verify.Rule{{Separate: []string{"build", "review"}}}
	review := scan("PASSED", "app")
	if got := identities(t, apart, "app", ann, bundled(review, at, mail("Ann@acme.example"))); got == "" {
		t.Error("who builds reviews in another spelling")
	}
	if got := identities(t, apart, "app", ann, bundled(review, at, mail("bob@acme.example"))); got != "" {
		t.Errorf("somebody else reviews: %q", got)
	}
	if got := identities(t, apart, "app", annAgain, bundled(review, at, mail("bob@acme.example"))); got == "" {
		t.Error("an identity is listed exactly")
	}

	revoked := byPattern(1, everybody)
	revoked.Revoked = []verify.Revocation{{Identity: &verify.Identity{Issuer: issuer, Subject: "ann@acme.example"}}}
	if got := identities(t, revoked, "app", annAgain); got != verify.ReasonRevoked {
		t.Errorf("a revoked identity in another spelling: %q", got)
	}

	both := byPattern(1, everybody)
	both.Principals["ann"] = apart.Principals["ann"]
	both.Principals["Ann"] = verify.Principals{Identity: &verify.Identity{Issuer: issuer, Subject: "Ann@acme.example"}}
	policyError(t, verify.PolicyKey, both)
}

// TestAttackDotSegments: what fetches a URI takes "/../" out of it before it
// asks the server, so that a pattern for one organization would admit all.
func TestAttackDotSegments(t *testing.T) {
	p := policy("build", map[string]*verify.Stage{"build": {Requires: requires("bld"), Inputs: []string{"ours"}}}, "bld")
	p.Inputs = map[string]verify.Input{"ours": {URI: "git+https://github.com/acme/**"}}
	ask := func(uri string) verify.Reason {
		m := file("x")
		m.Name, m.URI = "", uri
		_, err := judge(t, p, "app", signed(built([]provenance.ResourceDescriptor{m}, files("app")), "bld"))
		return reasonOf(err)
	}
	for _, uri := range []string{"git+https://github.com/acme/app@refs/heads/main", "git+https://github.com/acme/a..b/...", "git+https://github.com/acme/.github"} {
		if got := ask(uri); got != "" {
			t.Errorf("%s: %q", uri, got)
		}
	}
	for _, uri := range []string{
		"git+https://github.com/acme/../evil/app", "git+https://github.com/acme/x/../../evil/app", "git+https://github.com/acme/..",
		"git+https://github.com/acme/%2e%2e/evil/app", "git+https://github.com/acme/.%2E/evil/app", "git+https://github.com/acme/%2E./evil/app",
		`git+https://github.com/acme/..\evil/app`, `git+https://github.com/acme/\..\..\evil`, "git+https://github.com/acme/..%2fevil/app", "git+https://github.com/acme/x%5C..%5C..%5Cevil",
		"git+https://github.com/acme/.\t./evil/app", "git+https://github.com/acme/.\n./evil/app",
	} {
		if got := ask(uri); got != verify.ReasonUnaccounted {
			t.Errorf("%s is admitted: %q", uri, got)
		}
	}
	// A policy may say so itself.
	p.Inputs["ours"] = verify.Input{URI: "../shared/**"}
	if got := ask("../shared/lib"); got != "" {
		t.Errorf("a path that the pattern spells out: %q", got)
	}
	if got := ask("../shared/../lib"); got == "" {
		t.Error("a path that leaves what the pattern spells out")
	}
}

// TestAttackOneSignerTwoOrganizations: a person whose identity two patterns
// match is not two organizations.
func TestAttackOneSignerTwoOrganizations(t *testing.T) {
	p := byPattern(1, verify.Identity{Issuer: issuer, Subject: "https://github.com/octo/**"})
	p.Principals["ci"] = verify.Principals{Patterns: p.Principals["ci"].Patterns, Organization: "octo"}
	p.Principals["tools"] = verify.Principals{Patterns: []verify.Identity{{Issuer: issuer, Subject: "https://github.com/octo/app/**"}}, Organization: "tools"}
	p.Stages["scan"] = &verify.Stage{About: []verify.About{{Stage: "build"}}, Requires: []verify.Requirement{{Type: typeScan, Signers: []string{"tools"}}}}
	p.Rules = []verify.Rule{{Organizations: 2, Over: []string{"build", "scan"}}}
	at := now.Add(-time.Hour)
	if got := identities(t, p, "app", bundled(built(nil, files("app")), at, nil), bundled(scan("PASSED", "app"), at, nil)); got != verify.ReasonOrganizations {
		t.Errorf("one signer under two names: %q", got)
	}
	other := as("https://github.com/octo/other/.github/workflows/x.yml@refs/heads/main")
	if got := identities(t, p, "app", bundled(built(nil, files("app")), at, other), bundled(scan("PASSED", "app"), at, nil)); got != "" {
		t.Errorf("two signers: %q", got)
	}
}

// managed is a bundle signed with a key that stays, and its PEM.
func managed(t *testing.T, st *provenance.Statement, at time.Time) (*sigstoretest.Signed, string) {
	t.Helper()
	k := sigstoretest.ECKey(elliptic.P256())
	der, err := x509.MarshalPKIXPublicKey(k.Public())
	if err != nil {
		t.Fatal(err)
	}
	return world.Sign(sigstoretest.Spec{Content: st.Payload(), At: at, Key: k, Managed: "k"}), string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// restamped is the bundle with a timestamp that anybody could get later, in
// place of its own or with it.
func restamped(t *testing.T, s *sigstoretest.Signed, at time.Time, also bool) []byte {
	t.Helper()
	doc := s.Doc.Clone()
	sig, err := base64.StdEncoding.DecodeString(doc.Map("dsseEnvelope", "signatures", 0)["sig"].(string))
	if err != nil {
		t.Fatal(err)
	}
	data := doc.Map("verificationMaterial", "timestampVerificationData")
	stamps := []any{map[string]any{"signedTimestamp": base64.StdEncoding.EncodeToString(world.TSA.Stamp(sig, at, nil))}}
	if also {
		stamps = append(data["rfc3161Timestamps"].([]any), stamps...)
	}
	data["rfc3161Timestamps"] = stamps
	return doc.JSON()
}

// TestAttackRestamped: a timestamp shows that a signature is not younger, not
// that it is not older. Whoever withholds the bundle of an old scan and stamps
// its signature anew must not make it a new scan.
func TestAttackRestamped(t *testing.T) {
	long, lately := now.Add(-30*24*time.Hour), now.Add(-time.Hour)
	st := builtAt(nil, files("app"), long)
	old, pemKey := managed(t, st, long.Add(time.Minute))
	p := policy("build", map[string]*verify.Stage{"build": {Requires: []verify.Requirement{{Type: typeSLSA, Signers: []string{"bld"}, MaxAge: verify.Duration(24 * time.Hour)}}}}, "bld")
	p.Principals["bld"] = verify.Principals{Key: pemKey}
	if got := identities(t, p, "app", old.Doc.JSON()); got != verify.ReasonTooOld {
		t.Fatalf("an old statement: %q", got)
	}
	if got := identities(t, p, "app", restamped(t, old, lately, false)); got != verify.ReasonTooOld {
		t.Errorf("an old statement stamped again: %q", got)
	}
	// The same with order: the review of what was not built yet.
	p = policy("build", map[string]*verify.Stage{
		"build":  {Requires: requires("bld")},
		"review": {About: []verify.About{{Stage: "build"}}, After: []string{"build"}, Requires: requires("rev")},
	}, "bld", "rev")
	build, buildKey := managed(t, builtAt(nil, files("app"), lately.Add(-time.Hour)), lately.Add(-time.Hour+time.Minute))
	p.Principals["rev"], p.Principals["bld"] = verify.Principals{Key: pemKey}, verify.Principals{Key: buildKey}
	if got := identities(t, p, "app", build.Doc.JSON(), restamped(t, old, lately, false)); got != verify.ReasonOrder {
		t.Errorf("a review before the build, stamped again: %q", got)
	}
}

// TestAttackLaterTimestamp: more evidence never turns a pass into a refusal,
// also where it is the same signature with another timestamp.
func TestAttackLaterTimestamp(t *testing.T) {
	at := now.Add(-time.Hour)
	for range 8 { // which of two bundles comes first is a matter of their digests
		s, pemKey := managed(t, built(nil, files("app")), at)
		p := policy("build", map[string]*verify.Stage{"build": {Requires: requires("bld")}}, "bld")
		p.Principals["bld"] = verify.Principals{Key: pemKey}
		plain, later := s.Doc.JSON(), restamped(t, s, now.Add(time.Hour), true)
		if got := identities(t, p, "app", plain); got != "" {
			t.Fatalf("alone: %q", got)
		}
		if got := identities(t, p, "app", later); got != verify.ReasonNotYet {
			t.Fatalf("with a time to come: %q", got)
		}
		if got := identities(t, p, "app", plain, later); got != "" {
			t.Fatalf("both: %q", got)
		}
	}
}

// TestAttackLinkBesideFile: a file and a symbolic link of one name and digest
// are two materials, and both must be tested.
func TestAttackLinkBesideFile(t *testing.T) {
	link := file("app")
	link.Annotations = map[string]any{"link": "app"}
	both := []provenance.ResourceDescriptor{link, file("app")}
	p := policy("package", map[string]*verify.Stage{
		"build":   {Requires: requires("bld")},
		"package": {Requires: requires("pkg"), From: []verify.Flow{{Stage: "build"}}},
		"scan":    {About: []verify.About{{Stage: "build"}}, Requires: []verify.Requirement{{Type: typeScan, Signers: []string{"scn"}}}},
	}, "bld", "pkg", "scn")
	ev := [][]byte{signed(built(nil, both), "bld"), signed(built(both, files("app.tar")), "pkg")}
	scanOf := func(list ...provenance.ResourceDescriptor) []byte {
		return signed(statement(typeScan, list, map[string]any{}), "scn")
	}
	pass(t, p, "app.tar", append(ev, scanOf(both...))...)
	for _, one := range both {
		if _, err := judge(t, p, "app.tar", append(ev, scanOf(one))...); err == nil {
			t.Errorf("only one of the two is scanned: %+v", one)
		}
	}
}

// looksAt is a condition "for all statements of a stage, false", as CEL has it:
// an unknown stage is an error, and no statements make it true.
type looksAt struct{ stage string }

func (looksAt) Compile(src string, _ []string) (verify.Condition, error) { return looksAt{src}, nil }

func (l looksAt) Holds(vars map[string]any) (bool, error) {
	list, ok := vars["stages"].(map[string]any)[l.stage].([]any)
	if !ok {
		return false, verify.ErrNoField
	}
	return len(list) == 0, nil
}

// TestAttackVacuousCondition: a condition over all statements of a stage that
// never has any would always be true.
func TestAttackVacuousCondition(t *testing.T) {
	p := policy("build", map[string]*verify.Stage{
		"build": {Requires: requires("bld")},
		"quiet": {About: []verify.About{{Stage: "build"}}, Requires: []verify.Requirement{{Type: typeScan, Signers: []string{"bld"}, Which: "none", Complete: true, Where: []string{"quiet"}}}},
	}, "bld")
	p = timedPrincipals(p)
	p.Inventory = &verify.Inventory{Signers: []string{"bld"}, MaxAge: verify.Duration(time.Hour)}
	p.Rules = []verify.Rule{{Condition: "quiet"}}
	v, err := verify.New(p, verify.Options{Conditions: looksAt{}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = v.Verify(t.Context(), request([]string{"app"}, signed(built(nil, files("app")), "bld"), signed(inventory(now.Add(-time.Minute), nil, "app"), "bld")))
	if reasonOf(err) != verify.ReasonConditionError {
		t.Errorf("a stage that cannot have statements: %v", err)
	}
}

// TestAttackRawPolicyKey: a key that signs payloads without their type may have
// signed a file that reads as a policy.
func TestAttackRawPolicyKey(t *testing.T) {
	y, err := policy("build", map[string]*verify.Stage{"build": {Requires: requires("bld")}}, "bld").YAML()
	if err != nil {
		t.Fatal(err)
	}
	env, err := (&dsse.Envelope{PayloadType: verify.PolicyPayloadType, Payload: y, Signatures: []dsse.Signature{{Sig: ed25519.Sign(key("pol"), y)}}}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	_, err = verify.OpenPolicy(env, []verify.Key{{PEM: publicPEM("pol"), Scheme: verify.SchemeRawPayloadUnsafe}}, 1, now)
	var pe *verify.PolicyError
	if !errors.As(err, &pe) || pe.Reason != verify.PolicyKey {
		t.Errorf("got %v", err)
	}
}

// TestAttackJunkEnvelopeChangesReason: a statement that was opened is not
// rejected as well because somebody put it into an envelope of his own.
func TestAttackJunkEnvelopeChangesReason(t *testing.T) {
	p := policy("package", map[string]*verify.Stage{
		"build":   {Requires: requires("bld")},
		"package": {Requires: requires("pkg"), From: []verify.Flow{{Stage: "build"}}},
	}, "bld", "pkg")
	build := built(nil, files("app"))
	ev := [][]byte{signed(build, "pkg"), signed(built(files("app"), files("app.tar")), "pkg")}
	want := refused(t, verify.ReasonUnaccounted, p, "app.tar", ev...)
	got := refused(t, verify.ReasonUnaccounted, p, "app.tar", append(ev, signed(build, "mallory"))...)
	if got.Findings[0] != want.Findings[0] {
		t.Errorf("junk changes the finding to\n%+v\nfrom\n%+v", got.Findings[0], want.Findings[0])
	}
}
