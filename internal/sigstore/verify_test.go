package sigstore

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/internal/sigstore/sigstoretest"
	"github.com/hallmark-build/hallmark/internal/strictjson"
)

// world is shared: tests only add to its logs.
var (
	world = sigstoretest.New("sigstore.test")
	other = sigstoretest.New("other.test")
)

func worldVerifier(t testing.TB) *Verifier { return newTestVerifier(t, world.RootDoc().JSON()) }

// reasonOf returns the stable reason of a refusal.
func reasonOf(err error) string {
	var e *Error
	var j *strictjson.Error
	switch {
	case err == nil:
		return "accepted"
	case errors.As(err, &e):
		return e.Reason
	case errors.As(err, &j):
		return j.Reason
	}
	return "untyped: " + err.Error()
}

func forArtifact(o Options) Options {
	o.Artifact = &Artifact{Bytes: sigstoretest.Artifact}
	return o
}

func TestVersionsAndKinds(t *testing.T) {
	v := worldVerifier(t)
	for _, version := range []string{"v0.1", "v0.2", "v0.3"} {
		for _, s := range []sigstoretest.Spec{
			{}, {Message: true},
			{Message: true, Kind: "hashedrekord"}, {Kind: "dsse"}, {Kind: "intoto"},
			{Kind: "dsse", TSA: true}, {Kind: "dsse", NoSET: true}, {Kind: "intoto", NoProof: true},
		} {
			s.Version = version
			t.Run(fmt.Sprintf("%s/%+v", version, s.Kind), func(t *testing.T) {
				want := "accepted"
				if version == "v0.1" && (s.Kind == "" || s.NoSET) || version != "v0.1" && s.NoProof {
					want = ReasonVersion
				}
				signed := world.Sign(s)
				r, err := parseAndVerify(v, signed.Doc.JSON(), forArtifact(Options{}))
				if reasonOf(err) != want {
					t.Fatalf("%v, want %s", err, want)
				}
				if err != nil {
					return
				}
				c := r.Certificate
				if !c.Is(sigstoretest.Issuer, SANURI, sigstoretest.SAN) || c.RunnerEnvironment != "github-hosted" || c.SourceRepositoryRef != "refs/heads/main" || c.GitHubRepository != "octo/app" {
					t.Errorf("certificate %+v", c)
				}
				if !r.PublicKey.(*ecdsa.PublicKey).Equal(signed.Key.Public()) {
					t.Error("another key")
				}
				if s.Message == r.IsEnvelope || !s.Message && !bytes.Equal(r.Payload, sigstoretest.Payload) {
					t.Errorf("payload %q", r.Payload)
				}
				wantTimes := 1
				if s.TSA {
					wantTimes = 2
				}
				if len(r.Times) != wantTimes || len(r.LogEntries) != 1 {
					t.Errorf("%d times, %d entries", len(r.Times), len(r.LogEntries))
				}
				e := r.LogEntries[0]
				if (e.Index < 0) != (s.NoSET) || (e.ShardIndex < 0) != s.NoProof || e.IntegratedTime.IsZero() == (s.Kind != "" && !s.NoSET) {
					t.Errorf("entry %+v", e)
				}
			})
		}
	}
}

func TestKeyAlgorithms(t *testing.T) {
	v := worldVerifier(t)
	rsaKey := func(bits int) crypto.Signer { return sigstoretest.Must(rsa.GenerateKey(rand.Reader, bits)) }
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	for name, tc := range map[string]struct {
		spec sigstoretest.Spec
		want string
	}{
		"p384":           {sigstoretest.Spec{Key: sigstoretest.ECKey(elliptic.P384())}, "accepted"},
		"p521":           {sigstoretest.Spec{Key: sigstoretest.ECKey(elliptic.P521()), Message: true}, "accepted"},
		"p384 sha256":    {sigstoretest.Spec{Key: sigstoretest.ECKey(elliptic.P384()), Kind: "dsse", Hash: crypto.SHA256}, "accepted"},
		"p521 sha256":    {sigstoretest.Spec{Key: sigstoretest.ECKey(elliptic.P521()), Kind: "hashedrekord", Message: true, Hash: crypto.SHA256}, "accepted"},
		"rsa 2048":       {sigstoretest.Spec{Key: rsaKey(2048)}, "accepted"},
		"rsa 3072":       {sigstoretest.Spec{Key: rsaKey(3072), Kind: "intoto"}, "accepted"},
		"rsa 1024":       {sigstoretest.Spec{Key: rsaKey(1024)}, ReasonKey},
		"p224":           {sigstoretest.Spec{Key: sigstoretest.ECKey(elliptic.P224())}, ReasonKey},
		"ed25519 dsse":   {sigstoretest.Spec{Key: ed, Kind: "dsse"}, "accepted"},
		"ed25519ph":      {sigstoretest.Spec{Key: ed, Kind: "hashedrekord", Message: true}, "accepted"},
		"ed25519ph v2":   {sigstoretest.Spec{Key: ed, Message: true}, "accepted"},
		"v2 p384 sha256": {sigstoretest.Spec{Key: sigstoretest.ECKey(elliptic.P384()), Hash: crypto.SHA256}, ReasonEntry},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseAndVerify(v, world.Sign(tc.spec).Doc.JSON(), forArtifact(Options{}))
			if reasonOf(err) != tc.want {
				t.Errorf("%v, want %s", err, tc.want)
			}
		})
	}
}

// TestEdge09_Counting: what one operator says twice counts once.
func TestEdge09_Counting(t *testing.T) {
	v := worldVerifier(t)
	verify := func(v *Verifier, doc sigstoretest.Doc, o Options) string {
		_, err := parseAndVerify(v, doc.JSON(), o)
		return reasonOf(err)
	}
	expect := func(name, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	timestamps := func(d sigstoretest.Doc) map[string]any {
		return d.Map("verificationMaterial", "timestampVerificationData")
	}
	material := func(d sigstoretest.Doc) map[string]any { return d.Map("verificationMaterial") }
	stamp := func(b []byte) any { return map[string]any{"signedTimestamp": base64.StdEncoding.EncodeToString(b)} }

	s := world.Sign(sigstoretest.Spec{})
	list := s.Doc.At("verificationMaterial", "timestampVerificationData", "rfc3161Timestamps").([]any)
	at := sigstoretest.Epoch.Add(time.Hour)

	d := s.Doc.Clone()
	timestamps(d)["rfc3161Timestamps"] = []any{list[0], list[0]}
	expect("same timestamp twice", verify(v, d, Options{}), "accepted")
	expect("same timestamp twice, want 2", verify(v, d, Options{Times: 2}), ReasonNoTime)
	timestamps(d)["rfc3161Timestamps"] = []any{list[0], stamp(world.TSA.Stamp(s.Signature, at, nil))}
	expect("two timestamps of one authority", verify(v, d, Options{Times: 2}), ReasonNoTime)

	// A second authority, first at the same address, then elsewhere, then both
	// without address: two authorities with empty URI are two.
	second := sigstoretest.NewTSA("https://tsa.example")
	timestamps(d)["rfc3161Timestamps"] = []any{list[0], stamp(second.Stamp(s.Signature, at, nil))}
	expect("unknown authority does not count", verify(v, d, Options{Times: 2}), ReasonNoTime)
	for uri, want := range map[string]string{world.TSA.URI: ReasonNoTime, "https://tsa.example": "accepted", "": "accepted"} {
		root := world.RootDoc()
		tsas := root["timestampAuthorities"].([]any)
		if uri == "" {
			tsas[0].(map[string]any)["uri"] = ""
		}
		root["timestampAuthorities"] = append(tsas, sigstoretest.AuthorityDoc(uri, second.Cert, second.Root))
		v := newTestVerifier(t, root.JSON())
		expect("second authority at "+uri, verify(v, d, Options{Times: 2, SignedTimes: 2}), want)
	}
	// Operators that the root names count, whatever the addresses.
	root := world.RootDoc()
	first := root["timestampAuthorities"].([]any)[0].(map[string]any)
	another := sigstoretest.AuthorityDoc("https://tsa.example", second.Cert, second.Root)
	first["operator"], another["operator"] = "one", "one"
	root["timestampAuthorities"] = []any{first, another}
	expect("one operator, two addresses", verify(newTestVerifier(t, root.JSON()), d, Options{Times: 2}), ReasonNoTime)

	// Log entries: the same one twice, two of one log, and of two logs.
	entries := material(s.Doc)["tlogEntries"].([]any)
	d = s.Doc.Clone()
	material(d)["tlogEntries"] = []any{entries[0], entries[0]}
	expect("one entry twice", verify(v, d, Options{}), ReasonDuplicate)
	again := world.Entry(world.Rekor2, &sigstoretest.Spec{}, s.Body, "hashedrekord", "0.0.2", world.Rekor2.Append(s.Body))
	material(d)["tlogEntries"] = []any{entries[0], again}
	expect("two entries of one log", verify(v, d, Options{Logs: 2}), ReasonNoLog)
	expect("two entries of one log, want 1", verify(v, d, Options{}), "accepted")
	other.Rekor2.Append([]byte("first"))
	elsewhere := other.Entry(other.Rekor2, &sigstoretest.Spec{}, s.Body, "hashedrekord", "0.0.2", other.Rekor2.Append(s.Body))
	material(d)["tlogEntries"] = []any{entries[0], elsewhere}
	expect("entry of an unknown log does not count", verify(v, d, Options{Logs: 2}), ReasonNoLog)
	expect("entry of an unknown log does not hurt", verify(v, d, Options{}), "accepted")
	root = world.RootDoc()
	root["tlogs"] = append(root["tlogs"].([]any), other.RootDoc()["tlogs"].([]any)...)
	expect("two logs", verify(newTestVerifier(t, root.JSON()), d, Options{Logs: 2}), "accepted")

	// SCTs.
	twice := world.Sign(sigstoretest.Spec{SCTs: 2}).Doc
	expect("two SCTs of one log", verify(v, twice, Options{SCTs: 2}), ReasonSCT)
	expect("two SCTs of one log, want 1", verify(v, twice, Options{}), "accepted")
	n := 0
	both := world.Sign(sigstoretest.Spec{SCTs: 2, SCT: func(s *sigstoretest.SCT) {
		if n++; n == 2 {
			s.Log = other.CT
		}
	}}).Doc
	root = world.RootDoc()
	root["ctlogs"] = append(root["ctlogs"].([]any), other.RootDoc()["ctlogs"].([]any)...)
	expect("SCTs of two logs", verify(newTestVerifier(t, root.JSON()), both, Options{SCTs: 2}), "accepted")
	expect("SCTs of two logs, one unknown", verify(v, both, Options{SCTs: 2}), ReasonSCT)

	for _, o := range []Options{{Times: -1}, {Logs: -1}, {SCTs: -1}, {SignedTimes: -1}, {Times: 1 << 20}, {Logs: 1, NoLogUnsafe: true}, {SCTs: 1, NoSCTUnsafe: true}} {
		expect(fmt.Sprintf("%+v", o), verify(v, s.Doc, o), ReasonOptions)
	}
}

func setSAN(value []byte) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.URIs = nil
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: oidSAN, Critical: true, Value: value})
	}
}

func otherName(oid asn1.ObjectIdentifier, name string) []byte {
	type on struct {
		OID   asn1.ObjectIdentifier
		Value string `asn1:"utf8,explicit,tag:0"`
	}
	der := sigstoretest.Must(asn1.MarshalWithParams(on{oid, name}, "tag:0"))
	return sigstoretest.Must(asn1.Marshal(asn1.RawValue{Tag: 16, IsCompound: true, Bytes: der}))
}

// TestEdge12_SAN: exactly one name, of a type that is told apart.
func TestEdge12_SAN(t *testing.T) {
	v := worldVerifier(t)
	mail := func(c *x509.Certificate) { c.URIs, c.EmailAddresses = nil, []string{"a@example.com"} }
	for name, tc := range map[string]struct {
		precert func(*x509.Certificate)
		want    string
		is      SANType
		san     string
	}{
		"uri":                        {nil, "accepted", SANURI, sigstoretest.SAN},
		"email":                      {mail, "accepted", SANEmail, "a@example.com"},
		"other name":                 {setSAN(otherName(oidOtherName, "user!x")), "accepted", SANOtherName, "user!x"},
		"other name of another kind": {setSAN(otherName(asn1.ObjectIdentifier{1, 2, 3}, "user!x")), ReasonCertificate, "", ""},
		"extra name":                 {func(c *x509.Certificate) { c.EmailAddresses = []string{"a@example.com"} }, ReasonCertificate, "", ""},
		"two URIs":                   {func(c *x509.Certificate) { c.URIs = append(c.URIs, &url.URL{Scheme: "https", Host: "x"}) }, ReasonCertificate, "", ""},
		"dns name":                   {func(c *x509.Certificate) { c.URIs, c.DNSNames = nil, []string{"example.com"} }, ReasonCertificate, "", ""},
		"no name":                    {func(c *x509.Certificate) { c.URIs = nil }, ReasonCertificate, "", ""},
		"not critical":               {func(c *x509.Certificate) { c.Subject.CommonName = "x" }, ReasonCertificate, "", ""},
		"nul":                        {setSAN(otherName(oidOtherName, "user\x00x")), ReasonCertificate, "", ""},
		"empty other name":           {setSAN(otherName(oidOtherName, "")), ReasonCertificate, "", ""},
		"trailing data":              {setSAN(append(otherName(oidOtherName, "u"), 0)), ReasonCertificate, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := parseAndVerify(v, world.Sign(sigstoretest.Spec{Precert: tc.precert}).Doc.JSON(), Options{})
			if reasonOf(err) != tc.want {
				t.Fatalf("%v, want %s", err, tc.want)
			}
			if err == nil && !r.Certificate.Is(sigstoretest.Issuer, tc.is, tc.san) {
				t.Errorf("identity %s %s", r.Certificate.SANType, r.Certificate.SAN)
			}
		})
	}
}

// TestEdge14_ExactIdentity: no folding, no slash, no type for another.
func TestEdge14_ExactIdentity(t *testing.T) {
	c := &Certificate{Issuer: "https://issuer.example", SANType: SANURI, SAN: "https://example.com/a"}
	if !c.Is("https://issuer.example", SANURI, "https://example.com/a") {
		t.Fatal("not itself")
	}
	for _, bad := range [][3]string{
		{"https://issuer.example/", "uri", "https://example.com/a"}, {"https://Issuer.example", "uri", "https://example.com/a"},
		{"https://issuer.example", "email", "https://example.com/a"}, {"https://issuer.example", "othername", "https://example.com/a"},
		{"https://issuer.example", "uri", "https://example.com/a\n"}, {"https://issuer.example", "uri", "https://example.com/ab"},
		{"", "uri", "https://example.com/a"}, {"https://issuer.example", "uri", ""},
	} {
		if c.Is(bad[0], SANType(bad[1]), bad[2]) {
			t.Errorf("matches %q", bad)
		}
	}
	if (&Certificate{}).Is("", "", "") {
		t.Error("nobody matches nobody")
	}
	// Two readings of the issuer.
	v := worldVerifier(t)
	disagree := func(c *x509.Certificate) { c.ExtraExtensions[0].Value = []byte("https://evil.example") }
	_, err := parseAndVerify(v, world.Sign(sigstoretest.Spec{Precert: disagree}).Doc.JSON(), Options{})
	if reasonOf(err) != ReasonCertificate {
		t.Error(err)
	}
	none := func(c *x509.Certificate) { c.ExtraExtensions = c.ExtraExtensions[1:2] }
	if _, err = parseAndVerify(v, world.Sign(sigstoretest.Spec{Precert: none}).Doc.JSON(), Options{}); reasonOf(err) != ReasonCertificate {
		t.Error(err)
	}
	old := func(c *x509.Certificate) { c.ExtraExtensions = c.ExtraExtensions[:1] }
	if r, err := parseAndVerify(v, world.Sign(sigstoretest.Spec{Precert: old}).Doc.JSON(), Options{}); err != nil || r.Certificate.Issuer != sigstoretest.Issuer {
		t.Error("deprecated issuer extension alone:", err)
	}
	notUTF8 := func(c *x509.Certificate) { c.ExtraExtensions[2].Value = []byte("raw") }
	if _, err = parseAndVerify(v, world.Sign(sigstoretest.Spec{Precert: notUTF8}).Doc.JSON(), Options{}); reasonOf(err) != ReasonCertificate {
		t.Error(err)
	}
}

// TestEdge15_Leaf: what a code signing leaf must be.
func TestEdge15_Leaf(t *testing.T) {
	v := worldVerifier(t)
	for name, tc := range map[string]struct {
		precert func(*x509.Certificate)
		want    string
	}{
		"authority":            {func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }, ReasonCertificate},
		"no code signing":      {func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }, ReasonCertificate},
		"any usage":            {func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} }, ReasonCertificate},
		"no usage at all":      {func(c *x509.Certificate) { c.ExtKeyUsage = nil }, ReasonCertificate},
		"no digital signature": {func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }, ReasonCertificate},
		"no key usage":         {func(c *x509.Certificate) { c.KeyUsage = 0 }, ReasonCertificate},
		"unknown critical": {func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}})
		}, ReasonCertificate},
		"precertificate poison": {func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 3}, Critical: true, Value: []byte{5, 0}})
		}, ReasonCertificate},
		"unknown, not critical": {func(c *x509.Certificate) {
			c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Value: []byte{5, 0}})
		}, "accepted"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseAndVerify(v, world.Sign(sigstoretest.Spec{Precert: tc.precert}).Doc.JSON(), Options{})
			if reasonOf(err) != tc.want {
				t.Errorf("%v, want %s", err, tc.want)
			}
		})
	}
}

// authority makes a certificate authority below parent and a root document in
// which it and its parents are the only one.
func authorityBelow(t *testing.T, change func(*x509.Certificate), chain ...*x509.Certificate) (*x509.Certificate, crypto.Signer, sigstoretest.Doc) {
	key := sigstoretest.ECKey(elliptic.P256())
	tmpl := &x509.Certificate{
		Subject: pkix.Name{CommonName: "ca " + t.Name()}, NotBefore: sigstoretest.Epoch, NotAfter: sigstoretest.Epoch.AddDate(10, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, MaxPathLen: -1,
	}
	change(tmpl)
	ca := sigstoretest.MakeCert(tmpl, world.Root, key.Public(), world.RootKey)
	root := world.RootDoc()
	root["certificateAuthorities"] = []any{sigstoretest.AuthorityDoc("https://ca.example", append([]*x509.Certificate{ca}, chain...)...)}
	return ca, key, root
}

// TestEdge15_Path: who may issue a leaf.
func TestEdge15_Path(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*x509.Certificate)
		want   string
	}{
		"plain":                     {func(c *x509.Certificate) {}, "accepted"},
		"not an authority":          {func(c *x509.Certificate) { c.IsCA = false }, ReasonPath},
		"may not sign certificates": {func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature }, ReasonPath},
		"other usage":               {func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }, ReasonPath},
		"any usage":                 {func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageAny} }, "accepted"},
		"unknown critical": {func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}
		}, ReasonPath},
		"excluded name":      {func(c *x509.Certificate) { c.ExcludedURIDomains = []string{"github.com"} }, ReasonPath},
		"permitted name":     {func(c *x509.Certificate) { c.PermittedURIDomains = []string{"github.com"} }, "accepted"},
		"not yet valid":      {func(c *x509.Certificate) { c.NotBefore = sigstoretest.Epoch.Add(2 * time.Hour) }, ReasonValidity},
		"not valid any more": {func(c *x509.Certificate) { c.NotAfter = sigstoretest.Epoch.Add(time.Minute) }, ReasonValidity},
	} {
		t.Run(name, func(t *testing.T) {
			ca, key, root := authorityBelow(t, tc.change, world.Root)
			_, err := parseAndVerify(newTestVerifier(t, root.JSON()), world.Sign(sigstoretest.Spec{CA: ca, CAKey: key}).Doc.JSON(), Options{})
			if reasonOf(err) != tc.want {
				t.Errorf("%v, want %s", err, tc.want)
			}
		})
	}
	t.Run("path length", func(t *testing.T) {
		// root (no limit) <- middle (path length 0) <- ca <- leaf
		middleKey := sigstoretest.ECKey(elliptic.P256())
		for zero, want := range map[bool]string{false: "accepted", true: ReasonPath} {
			middle := sigstoretest.MakeCert(&x509.Certificate{
				Subject: pkix.Name{CommonName: "middle"}, NotBefore: sigstoretest.Epoch, NotAfter: sigstoretest.Epoch.AddDate(1, 0, 0),
				IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, MaxPathLenZero: zero, MaxPathLen: map[bool]int{true: 0, false: 1}[zero],
			}, world.Root, middleKey.Public(), world.RootKey)
			key := sigstoretest.ECKey(elliptic.P256())
			ca := sigstoretest.MakeCert(&x509.Certificate{
				Subject: pkix.Name{CommonName: "ca"}, NotBefore: sigstoretest.Epoch, NotAfter: sigstoretest.Epoch.AddDate(1, 0, 0),
				IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
			}, middle, key.Public(), middleKey)
			root := world.RootDoc()
			root["certificateAuthorities"] = []any{sigstoretest.AuthorityDoc("", ca, middle, world.Root)}
			_, err := parseAndVerify(newTestVerifier(t, root.JSON()), world.Sign(sigstoretest.Spec{CA: ca, CAKey: key}).Doc.JSON(), Options{})
			if reasonOf(err) != want {
				t.Errorf("path length 0 %v: %v, want %s", zero, err, want)
			}
		}
	})
	t.Run("intermediate as anchor", func(t *testing.T) {
		root := world.RootDoc()
		root["certificateAuthorities"] = []any{sigstoretest.AuthorityDoc("", world.Intermediate)}
		if _, err := parseAndVerify(newTestVerifier(t, root.JSON()), world.Sign(sigstoretest.Spec{}).Doc.JSON(), Options{}); err != nil {
			t.Error(err)
		}
	})
	t.Run("broken chain", func(t *testing.T) {
		root := world.RootDoc()
		root["certificateAuthorities"] = []any{sigstoretest.AuthorityDoc("", world.Intermediate, other.Root)}
		if _, err := parseAndVerify(newTestVerifier(t, root.JSON()), world.Sign(sigstoretest.Spec{}).Doc.JSON(), Options{}); reasonOf(err) != ReasonPath {
			t.Error(err)
		}
	})
	t.Run("forged leaf", func(t *testing.T) {
		// Issued under the name and key id of the intermediate by another key.
		fake := *world.Intermediate
		key := sigstoretest.ECKey(elliptic.P384())
		fake.PublicKey, fake.PublicKeyAlgorithm = key.Public(), x509.ECDSA
		if _, err := parseAndVerify(worldVerifier(t), world.Sign(sigstoretest.Spec{CA: &fake, CAKey: key}).Doc.JSON(), Options{}); reasonOf(err) != ReasonPath {
			t.Error(err)
		}
	})
	t.Run("superfluous certificates", func(t *testing.T) {
		// A chain in the bundle anchors nothing: with the root in it, a leaf
		// of another world stays untrusted.
		s := other.Sign(sigstoretest.Spec{Version: "v0.2", Kind: "dsse"})
		chain := s.Doc.Map("verificationMaterial", "x509CertificateChain")
		add := func(c *x509.Certificate) any {
			return map[string]any{"rawBytes": base64.StdEncoding.EncodeToString(c.Raw)}
		}
		chain["certificates"] = append(chain["certificates"].([]any), add(other.Intermediate), add(other.Root))
		root := world.RootDoc()
		root["tlogs"], root["ctlogs"] = other.RootDoc()["tlogs"], other.RootDoc()["ctlogs"]
		if _, err := parseAndVerify(newTestVerifier(t, root.JSON()), s.Doc.JSON(), Options{}); reasonOf(err) != ReasonPath {
			t.Error(err)
		}
		if _, err := parseAndVerify(newTestVerifier(t, other.RootDoc().JSON()), s.Doc.JSON(), Options{}); err != nil {
			t.Error(err)
		}
	})
}

// TestEdge25_EnvelopeKinds: a signature over a message is none over an
// envelope, nor the reverse.
func TestEdge25_EnvelopeKinds(t *testing.T) {
	v := worldVerifier(t)
	key := sigstoretest.ECKey(elliptic.P256())
	pae := sigstoretest.PAE("application/vnd.in-toto+json", sigstoretest.Payload)
	// The bytes of the encoding signed as a message, presented as envelope.
	asMessage := world.Sign(sigstoretest.Spec{Key: key, Message: true, Content: pae})
	if _, err := parseAndVerify(v, asMessage.Doc.JSON(), Options{Artifact: &Artifact{Bytes: pae}}); err != nil {
		t.Fatal(err)
	}
	// In Rekor v2 the two are the same entry, and the same signature: the
	// encoding is what tells them apart, and here the content is the encoding
	// itself. In Rekor v1 the kinds differ.
	d := world.Sign(sigstoretest.Spec{Key: key, Message: true, Content: pae, Kind: "hashedrekord"}).Doc.Clone()
	sig := d.At("messageSignature", "signature")
	delete(d, "messageSignature")
	d["dsseEnvelope"] = map[string]any{"payload": base64.StdEncoding.EncodeToString(sigstoretest.Payload), "payloadType": "application/vnd.in-toto+json", "signatures": []any{map[string]any{"sig": sig}}}
	if _, err := parseAndVerify(v, d.JSON(), Options{}); reasonOf(err) != ReasonEntryOther {
		t.Error(err)
	}
	// A signature over the bare payload is none over the envelope.
	bare := world.Sign(sigstoretest.Spec{Key: key, Message: true, Content: sigstoretest.Payload}).Doc.Clone()
	sig = bare.At("messageSignature", "signature")
	delete(bare, "messageSignature")
	bare["dsseEnvelope"] = map[string]any{"payload": base64.StdEncoding.EncodeToString(sigstoretest.Payload), "payloadType": "application/vnd.in-toto+json", "signatures": []any{map[string]any{"sig": sig}}}
	if _, err := parseAndVerify(v, bare.JSON(), Options{}); reasonOf(err) != ReasonEntryOther {
		t.Error(err)
	}
	// And an envelope's signature is none over its payload as artifact.
	env := world.Sign(sigstoretest.Spec{Key: key}).Doc.Clone()
	sig = env.At("dsseEnvelope", "signatures", 0, "sig")
	delete(env, "dsseEnvelope")
	env["messageSignature"] = map[string]any{"signature": sig}
	if _, err := parseAndVerify(v, env.JSON(), Options{Artifact: &Artifact{Bytes: sigstoretest.Payload}}); reasonOf(err) != ReasonEntryOther {
		t.Error(err)
	}
}

func rename(m map[string]any, from, to string) { m[to] = m[from]; delete(m, from) }

// TestEdge35_ProtoJSON: one spelling of the mapping.
func TestEdge35_ProtoJSON(t *testing.T) {
	v := worldVerifier(t)
	s := world.Sign(sigstoretest.Spec{Kind: "hashedrekord", Message: true, TSA: true})
	for name, tc := range map[string]struct {
		change func(sigstoretest.Doc)
		want   string
	}{
		"unknown field":      {func(d sigstoretest.Doc) { d["extra"] = map[string]any{"a": 1} }, "accepted"},
		"unknown deep field": {func(d sigstoretest.Doc) { d.Map("verificationMaterial", "tlogEntries", 0)["extra"] = []any{nil} }, "accepted"},
		"snake case":         {func(d sigstoretest.Doc) { rename(d, "mediaType", "media_type") }, strictjson.ReasonCase},
		"snake case beside":  {func(d sigstoretest.Doc) { d["media_type"] = d["mediaType"] }, strictjson.ReasonCase},
		"deep snake case": {func(d sigstoretest.Doc) {
			rename(d.Map("verificationMaterial", "tlogEntries", 0), "logIndex", "log_index")
		}, strictjson.ReasonCase},
		"snake case rfc3161": {func(d sigstoretest.Doc) {
			rename(d.Map("verificationMaterial", "timestampVerificationData"), "rfc3161Timestamps", "rfc3161_timestamps")
		}, strictjson.ReasonCase},
		"folded case": {func(d sigstoretest.Doc) { rename(d, "mediaType", "MediaType") }, strictjson.ReasonCase},
		"number":      {func(d sigstoretest.Doc) { d.Map("verificationMaterial", "tlogEntries", 0)["logIndex"] = 121000005 }, strictjson.ReasonSyntax},
		"padded number": {func(d sigstoretest.Doc) {
			m := d.Map("verificationMaterial", "tlogEntries", 0)
			m["logIndex"] = "0" + m["logIndex"].(string)
		}, ReasonFormat},
		"enum number":  {func(d sigstoretest.Doc) { d.Map("messageSignature", "messageDigest")["algorithm"] = 1 }, strictjson.ReasonSyntax},
		"enum unknown": {func(d sigstoretest.Doc) { d.Map("messageSignature", "messageDigest")["algorithm"] = "SHA3_256" }, ReasonFormat},
		"url base64":   {func(d sigstoretest.Doc) { d.Map("messageSignature")["signature"] = "_-8=" }, ReasonFormat},
		"no padding": {func(d sigstoretest.Doc) {
			m := d.Map("verificationMaterial", "tlogEntries", 0, "logId")
			m["keyId"] = strings.TrimRight(m["keyId"].(string), "=")
		}, ReasonFormat},
		"newline": {func(d sigstoretest.Doc) {
			m := d.Map("messageSignature")
			m["signature"] = m["signature"].(string) + "\n"
		}, ReasonFormat},
		"null element": {func(d sigstoretest.Doc) {
			m := d.Map("verificationMaterial")
			m["tlogEntries"] = append(m["tlogEntries"].([]any), nil)
		}, strictjson.ReasonSyntax},
		"null field": {func(d sigstoretest.Doc) { d["dsseEnvelope"] = nil; d.Map("verificationMaterial")["publicKey"] = nil }, "accepted"},
		"both contents": {func(d sigstoretest.Doc) {
			d["dsseEnvelope"] = map[string]any{"payload": "", "signatures": []any{map[string]any{"sig": "AAAA"}}}
		}, ReasonFormat},
		"two keys":      {func(d sigstoretest.Doc) { d.Map("verificationMaterial")["publicKey"] = map[string]any{"hint": "x"} }, ReasonFormat},
		"no content":    {func(d sigstoretest.Doc) { delete(d, "messageSignature") }, ReasonFormat},
		"no material":   {func(d sigstoretest.Doc) { delete(d, "verificationMaterial") }, ReasonFormat},
		"no media type": {func(d sigstoretest.Doc) { delete(d, "mediaType") }, ReasonMediaType},
		"v0.4":          {func(d sigstoretest.Doc) { d["mediaType"] = "application/vnd.dev.sigstore.bundle.v0.4+json" }, ReasonMediaType},
		"v0.3 with chain": {func(d sigstoretest.Doc) {
			m := d.Map("verificationMaterial")
			m["x509CertificateChain"] = map[string]any{"certificates": []any{m["certificate"]}}
			delete(m, "certificate")
		}, ReasonVersion},
		"v0.2 with certificate":  {func(d sigstoretest.Doc) { d["mediaType"] = "application/vnd.dev.sigstore.bundle+json;version=0.2" }, ReasonVersion},
		"other spelling of v0.3": {func(d sigstoretest.Doc) { d["mediaType"] = "application/vnd.dev.sigstore.bundle+json;version=0.3" }, "accepted"},
		"33 entries": {func(d sigstoretest.Doc) {
			m := d.Map("verificationMaterial")
			l := m["tlogEntries"].([]any)
			for len(l) < 33 {
				l = append(l, l[0])
			}
			m["tlogEntries"] = l
		}, ReasonLimit},
		"33 timestamps": {func(d sigstoretest.Doc) {
			m := d.Map("verificationMaterial", "timestampVerificationData")
			l := m["rfc3161Timestamps"].([]any)
			for len(l) < 33 {
				l = append(l, l[0])
			}
			m["rfc3161Timestamps"] = l
		}, ReasonLimit},
		"negative index": {func(d sigstoretest.Doc) { d.Map("verificationMaterial", "tlogEntries", 0)["logIndex"] = "-1" }, ReasonFormat},
	} {
		t.Run(name, func(t *testing.T) {
			d := s.Doc.Clone()
			tc.change(d)
			_, err := parseAndVerify(v, d.JSON(), forArtifact(Options{}))
			if reasonOf(err) != tc.want {
				t.Errorf("%v, want %s", err, tc.want)
			}
		})
	}
	for _, tc := range []struct{ sigs []any }{{nil}, {[]any{}}, {[]any{map[string]any{"sig": "AAAA"}, map[string]any{"sig": "AAAA"}}}} {
		d := world.Sign(sigstoretest.Spec{}).Doc
		d.Map("dsseEnvelope")["signatures"] = tc.sigs
		if _, err := parseAndVerify(v, d.JSON(), Options{}); reasonOf(err) != ReasonEnvelope {
			t.Errorf("%d signatures: %v", len(tc.sigs), err)
		}
	}
}

// TestEdge71_Validity: a certificate counts at the trusted times, nowhere else.
func TestEdge71_Validity(t *testing.T) {
	v := worldVerifier(t)
	at := sigstoretest.Epoch.Add(time.Hour)
	window := func(from, to time.Duration) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.NotBefore, c.NotAfter = at.Add(from), at.Add(to) }
	}
	for name, tc := range map[string]struct {
		spec sigstoretest.Spec
		want string
	}{
		"no time at all":             {sigstoretest.Spec{NoTSA: true}, ReasonNoTime},
		"expired now":                {sigstoretest.Spec{}, "accepted"}, // the certificate lives for ten minutes of 2026-01-01
		"at the first second":        {sigstoretest.Spec{Precert: window(0, time.Minute)}, "accepted"},
		"at the last second":         {sigstoretest.Spec{Precert: window(-time.Minute, 0)}, "accepted"},
		"one second early":           {sigstoretest.Spec{Precert: window(time.Second, time.Minute)}, ReasonValidity},
		"one second late":            {sigstoretest.Spec{Precert: window(-time.Minute, -time.Second)}, ReasonValidity},
		"a fraction late":            {sigstoretest.Spec{Precert: window(-time.Minute, 0), Timestamp: func(s *sigstoretest.Timestamp) { s.GenTime = "20260101010000.5Z" }}, ReasonValidity},
		"entry time outside":         {sigstoretest.Spec{Kind: "dsse", Precert: window(-time.Minute, -time.Second)}, ReasonValidity},
		"one of two times outside":   {sigstoretest.Spec{Kind: "dsse", TSA: true, Timestamp: func(s *sigstoretest.Timestamp) { s.At = at.Add(time.Hour) }}, ReasonValidity},
		"other of two times outside": {sigstoretest.Spec{Kind: "dsse", TSA: true, Precert: window(-time.Hour, -time.Minute), Timestamp: func(s *sigstoretest.Timestamp) { s.At = at.Add(-2 * time.Minute) }}, ReasonValidity},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseAndVerify(v, world.Sign(tc.spec).Doc.JSON(), Options{})
			if reasonOf(err) != tc.want {
				t.Errorf("%v, want %s", err, tc.want)
			}
		})
	}
	t.Run("inside the leaf, outside an authority", func(t *testing.T) {
		late := sigstoretest.Epoch.AddDate(11, 0, 0)
		s := world.Sign(sigstoretest.Spec{At: late, Kind: "dsse"})
		if _, err := parseAndVerify(v, s.Doc.JSON(), Options{}); reasonOf(err) != ReasonValidity {
			t.Error(err)
		}
	})
	t.Run("expired timestamp authority", func(t *testing.T) {
		// Its certificate ends a minute after it signed: that is fine for ever.
		tsa := sigstoretest.NewTSA("https://tsa.example")
		tmpl := sigstoretest.TSATemplate("x")
		tmpl.NotAfter = at.Add(time.Minute)
		tsa.Cert = sigstoretest.MakeCert(tmpl, tsa.Root, tsa.Key.Public(), tsa.RootKey)
		root := world.RootDoc()
		root["timestampAuthorities"] = []any{sigstoretest.AuthorityDoc(tsa.URI, tsa.Cert, tsa.Root)}
		v := newTestVerifier(t, root.JSON())
		w := *world
		w.TSA = tsa
		if _, err := parseAndVerify(v, w.Sign(sigstoretest.Spec{}).Doc.JSON(), Options{}); err != nil {
			t.Error(err)
		}
		late := sigstoretest.Spec{At: at.Add(time.Hour)}
		if _, err := parseAndVerify(v, w.Sign(late).Doc.JSON(), Options{}); reasonOf(err) != ReasonNoTime {
			t.Error(err)
		}
	})
}

// TestEdge72_Timestamps: what a timestamp and its signer must be.
func TestEdge72_Timestamps(t *testing.T) {
	eku := func(critical bool, oids ...asn1.ObjectIdentifier) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: oidEKU, Critical: critical, Value: sigstoretest.Must(asn1.Marshal(oids))}}
		}
	}
	stamping, signing := asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 8}, asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 3}
	for name, tc := range map[string]struct {
		cert   func(*x509.Certificate)
		change func(*sigstoretest.Timestamp)
		want   string
	}{
		"plain":                       {nil, nil, "accepted"},
		"granted with mods":           {nil, func(s *sigstoretest.Timestamp) { s.Status = 1 }, ReasonTimestamp},
		"unsorted attributes":         {nil, func(s *sigstoretest.Timestamp) { s.Unsorted = true }, ReasonTimestamp},
		"rejected":                    {nil, func(s *sigstoretest.Timestamp) { s.Status = 2 }, ReasonTimestamp},
		"sha384":                      {nil, func(s *sigstoretest.Timestamp) { s.SHA384 = true }, "accepted"},
		"fraction":                    {nil, func(s *sigstoretest.Timestamp) { s.GenTime = "20260101010000.25Z" }, "accepted"},
		"fraction with trailing zero": {nil, func(s *sigstoretest.Timestamp) { s.GenTime = "20260101010000.250Z" }, ReasonTimestamp},
		"local time":                  {nil, func(s *sigstoretest.Timestamp) { s.GenTime = "20260101010000+0000" }, ReasonTimestamp},
		"no such day":                 {nil, func(s *sigstoretest.Timestamp) { s.GenTime = "20260230010000Z" }, ReasonTimestamp},
		"other signature":             {nil, func(s *sigstoretest.Timestamp) { s.Imprint[0] ^= 1 }, ReasonTimestamp},
		"sha1 imprint":                {nil, func(s *sigstoretest.Timestamp) { s.Hash, s.Imprint = crypto.SHA1, s.Imprint[:20] }, ReasonTimestamp},
		"short imprint":               {nil, func(s *sigstoretest.Timestamp) { s.Imprint = s.Imprint[:20] }, ReasonTimestamp},
		"other content":               {nil, func(s *sigstoretest.Timestamp) { s.Digest = make([]byte, 32) }, ReasonTimestamp},
		"no signing certificate":      {nil, func(s *sigstoretest.Timestamp) { s.NoESS = true }, ReasonTimestamp},
		"other signing certificate":   {nil, func(s *sigstoretest.Timestamp) { s.ESS = world.Root }, ReasonTimestamp},
		"two signatures":              {nil, func(s *sigstoretest.Timestamp) { s.Signers = 2 }, ReasonTimestamp},
		"no signature":                {nil, func(s *sigstoretest.Timestamp) { s.Signers = 0 }, ReasonTimestamp},
		"critical extension":          {nil, func(s *sigstoretest.Timestamp) { s.Critical = true }, ReasonTimestamp},
		"other key":                   {nil, func(s *sigstoretest.Timestamp) { s.Key = sigstoretest.ECKey(elliptic.P384()) }, ReasonTimestamp},
		"embedded":                    {nil, func(s *sigstoretest.Timestamp) { s.Embed = []*x509.Certificate{s.Cert} }, "accepted"},
		"embedded other":              {nil, func(s *sigstoretest.Timestamp) { s.Embed = []*x509.Certificate{world.Root} }, ReasonNoTime},
		"no eku":                      {func(c *x509.Certificate) { c.ExtraExtensions = nil }, nil, ReasonNoTime},
		"eku not critical":            {eku(false, stamping), nil, ReasonNoTime},
		"two ekus":                    {eku(true, stamping, signing), nil, ReasonNoTime},
		"code signing eku":            {eku(true, signing), nil, ReasonNoTime},
		"no signatures allowed":       {func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment }, nil, ReasonNoTime},
		"not yet valid":               {func(c *x509.Certificate) { c.NotBefore = sigstoretest.Epoch.Add(2 * time.Hour) }, nil, ReasonNoTime},
	} {
		for _, pinned := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/pinned=%v", name, pinned), func(t *testing.T) {
				tsa := sigstoretest.NewTSA("https://tsa.example")
				if tc.cert != nil {
					tmpl := sigstoretest.TSATemplate("x")
					tc.cert(tmpl)
					tsa.Cert = sigstoretest.MakeCert(tmpl, tsa.Root, tsa.Key.Public(), tsa.RootKey)
				}
				root := world.RootDoc()
				chain := []*x509.Certificate{tsa.Cert, tsa.Root}
				if !pinned { // the token brings the signer, the root only its issuer
					chain, tsa.EmbedCert = chain[1:], true
				}
				root["timestampAuthorities"] = []any{sigstoretest.AuthorityDoc(tsa.URI, chain...)}
				w := *world
				w.TSA = tsa
				_, err := parseAndVerify(newTestVerifier(t, root.JSON()), w.Sign(sigstoretest.Spec{Timestamp: tc.change}).Doc.JSON(), Options{})
				if reasonOf(err) != tc.want {
					t.Errorf("%v, want %s", err, tc.want)
				}
			})
		}
	}
	t.Run("no certificate anywhere", func(t *testing.T) {
		root := world.RootDoc()
		root["timestampAuthorities"] = []any{sigstoretest.AuthorityDoc("", world.TSA.Root)}
		if _, err := parseAndVerify(newTestVerifier(t, root.JSON()), world.Sign(sigstoretest.Spec{}).Doc.JSON(), Options{}); reasonOf(err) != ReasonNoTime {
			t.Error(err)
		}
	})
	t.Run("integrated time without SET", func(t *testing.T) {
		// It neither counts nor hurts.
		v := worldVerifier(t)
		d := world.Sign(sigstoretest.Spec{Kind: "dsse", NoSET: true}).Doc
		d.Map("verificationMaterial", "tlogEntries", 0)["integratedTime"] = "1"
		r, err := parseAndVerify(v, d.JSON(), Options{})
		if err != nil || len(r.Times) != 1 || r.Times[0].Source != SourceTimestamp || !r.LogEntries[0].IntegratedTime.IsZero() {
			t.Error(r, err)
		}
		delete(d.Map("verificationMaterial"), "timestampVerificationData")
		d.Map("verificationMaterial", "tlogEntries", 0)["integratedTime"] = fmt.Sprint(sigstoretest.Epoch.Add(time.Hour).Unix())
		if _, err := parseAndVerify(v, d.JSON(), Options{}); reasonOf(err) != ReasonNoTime {
			t.Error(err)
		}
	})
}

// TestEdge72_ManagedKey: a key signs within its window, at a trusted time.
func TestEdge72_ManagedKey(t *testing.T) {
	v := worldVerifier(t)
	at := sigstoretest.Epoch.Add(time.Hour)
	key := sigstoretest.ECKey(elliptic.P256())
	s := world.Sign(sigstoretest.Spec{Key: key, Managed: "release"})
	timeless := world.Sign(sigstoretest.Spec{Key: key, Managed: "release", NoTSA: true})
	for name, tc := range map[string]struct {
		doc  sigstoretest.Doc
		o    Options
		want string
	}{
		"plain":                 {s.Doc, Options{Key: &Key{Public: key.Public()}}, "accepted"},
		"no key":                {s.Doc, Options{}, ReasonKey},
		"other key":             {s.Doc, Options{Key: &Key{Public: sigstoretest.ECKey(elliptic.P256()).Public()}}, ReasonEntryOther},
		"nil key":               {s.Doc, Options{Key: &Key{}}, ReasonKey},
		"from now on":           {s.Doc, Options{Key: &Key{Public: key.Public(), ValidFrom: at, ValidUntil: at}}, "accepted"},
		"too early":             {s.Doc, Options{Key: &Key{Public: key.Public(), ValidFrom: at.Add(1)}}, ReasonValidity},
		"too late":              {s.Doc, Options{Key: &Key{Public: key.Public(), ValidUntil: at.Add(-1)}}, ReasonValidity},
		"no time":               {timeless.Doc, Options{Key: &Key{Public: key.Public()}}, ReasonNoTime},
		"now":                   {timeless.Doc, Options{Key: &Key{Public: key.Public()}, Now: at}, "accepted"},
		"now, too late":         {timeless.Doc, Options{Key: &Key{Public: key.Public(), ValidUntil: at}, Now: at.Add(1)}, ReasonValidity},
		"now is one time":       {timeless.Doc, Options{Key: &Key{Public: key.Public()}, Now: at, Times: 2}, ReasonNoTime},
		"key for a certificate": {world.Sign(sigstoretest.Spec{Key: key}).Doc, Options{Key: &Key{Public: key.Public()}}, ReasonKey},
		"now for a certificate": {world.Sign(sigstoretest.Spec{NoTSA: true}).Doc, Options{Now: at}, ReasonNoTime},
		"rekor v1":              {world.Sign(sigstoretest.Spec{Key: key, Managed: "release", Kind: "intoto", Version: "v0.1"}).Doc, Options{Key: &Key{Public: key.Public()}}, "accepted"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseAndVerify(v, tc.doc.JSON(), tc.o)
			if reasonOf(err) != tc.want {
				t.Errorf("%v, want %s", err, tc.want)
			}
		})
	}
	d := s.Doc.Clone()
	d.Map("dsseEnvelope", "signatures", 0)["keyid"] = "another"
	if _, err := parseAndVerify(v, d.JSON(), Options{Key: &Key{Public: key.Public()}}); reasonOf(err) != ReasonKey {
		t.Errorf("hint and keyid differ: %v", err)
	}
}

// TestEdge73_LogEntries: an entry is about this signature, in this log.
func TestEdge73_LogEntries(t *testing.T) {
	v := worldVerifier(t)
	for _, base := range []sigstoretest.Spec{{}, {Message: true}, {Kind: "dsse"}, {Kind: "intoto"}, {Kind: "hashedrekord", Message: true}} {
		name := fmt.Sprintf("%s/message=%v", base.Kind, base.Message)
		entry := func(d sigstoretest.Doc) map[string]any { return d.Map("verificationMaterial", "tlogEntries", 0) }
		key := sigstoretest.ECKey(elliptic.P256())
		base.Key = key
		s := world.Sign(base)
		try := func(what, want string, d sigstoretest.Doc) {
			t.Helper()
			if _, err := parseAndVerify(v, d.JSON(), forArtifact(Options{})); reasonOf(err) != want {
				t.Errorf("%s: %s: %v, want %s", name, what, err, want)
			}
		}
		try("plain", "accepted", s.Doc)
		swap := func(spec sigstoretest.Spec) sigstoretest.Doc {
			d := s.Doc.Clone()
			d.Map("verificationMaterial")["tlogEntries"] = world.Sign(spec).Doc.At("verificationMaterial", "tlogEntries")
			return d
		}
		otherKey, otherContent := base, base
		otherKey.Key = nil
		otherContent.Content = []byte(`{"_type":"x"}`)
		try("entry of another key", ReasonEntryOther, swap(otherKey))
		try("entry of another artifact", ReasonEntryOther, swap(otherContent))
		otherSignature := base
		otherSignature.Key = freshSigner{key}
		try("entry of another signature", ReasonEntryOther, swap(otherSignature))

		d := s.Doc.Clone()
		entry(d)["kindVersion"] = map[string]any{"kind": "rekord", "version": "0.0.1"}
		try("kind mismatch", ReasonEntry, d)
		d = s.Doc.Clone()
		entry(d)["kindVersion"].(map[string]any)["version"] = "0.0.3"
		try("version mismatch", ReasonEntry, d)
		d = s.Doc.Clone()
		entry(d)["logId"] = map[string]any{"keyId": base64.StdEncoding.EncodeToString(other.Rekor1.ID)}
		want := ReasonNoLog
		if base.Kind != "" {
			want = ReasonNoTime
		}
		try("unknown log", want, d)
		d = s.Doc.Clone()
		delete(d.Map("verificationMaterial"), "tlogEntries")
		try("no entry", want, d)
		d = s.Doc.Clone()
		entry(d)["inclusionProof"].(map[string]any)["hashes"] = []any{}
		try("no hashes", ReasonInclusion, d)
		d = s.Doc.Clone()
		entry(d)["inclusionProof"].(map[string]any)["checkpoint"] = map[string]any{"envelope": ""}
		try("no checkpoint", ReasonVersion, d)
		d = s.Doc.Clone()
		if base.Kind == "" {
			entry(d)["logIndex"] = "1"
			try("other index", ReasonInclusion, d)
			entry(d)["logIndex"] = s.Doc.Map("verificationMaterial", "tlogEntries", 0)["logIndex"]
			d.Map("verificationMaterial", "tlogEntries", 0)["inclusionProof"].(map[string]any)["logIndex"] = "1"
			d.Map("verificationMaterial", "tlogEntries", 0)["inclusionProof"].(map[string]any)["treeSize"] = "1"
			try("what repeats the checkpoint is not looked at", "accepted", d)
			entry(d)["inclusionPromise"] = map[string]any{"signedEntryTimestamp": "AAAA"}
			try("SET on a Rekor v2 entry", ReasonSET, d)
		} else {
			entry(d)["logIndex"] = "1"
			try("other index", ReasonSET, d)
			d = s.Doc.Clone()
			entry(d)["inclusionProof"].(map[string]any)["treeSize"] = "1"
			try("other tree size", ReasonInclusion, d)
			d = s.Doc.Clone()
			entry(d)["integratedTime"] = fmt.Sprint(sigstoretest.Epoch.Add(time.Hour + time.Second).Unix())
			try("other time", ReasonSET, d)
		}
	}

	// Bodies that a log signed, and that are not what the specification says.
	for name, tc := range map[string]struct {
		kind, from, to, want string
	}{
		"two dsse signatures": {"dsse", `"signatures":[`, `"signatures":[{"signature":"AAAA","verifier":"AAAA"},`, ReasonEntry},
		"no signature":        {"dsse", `"signatures":[{`, `"signatures":[],"x":[{`, ReasonEntry},
		"sha1":                {"dsse", `"payloadHash":{"algorithm":"sha256"`, `"payloadHash":{"algorithm":"sha1"`, ReasonEntry},
		"upper case digest":   {"dsse", `"kind":"dsse"`, `"kind":"DSSE"`, ReasonEntry},
		"duplicate name":      {"dsse", `"kind":"dsse"`, `"kind":"dsse","kind":"dsse"`, ReasonEntry},
		"payload type":        {"intoto", `"payloadType":"application/vnd.in-toto+json"`, `"payloadType":"text/plain"`, ReasonEntryOther},
		"no payload type":     {"intoto", `"payloadType":"application/vnd.in-toto+json",`, ``, ReasonEntry},
		"version in the body": {"intoto", `"apiVersion":"0.0.2"`, `"apiVersion":"0.0.1"`, ReasonEntry},
		"v2 space":            {"", `{"apiVersion":"0.0.2"`, `{ "apiVersion":"0.0.2"`, ReasonEntry},
		"v2 key details":      {"", `PKIX_ECDSA_P256_SHA_256`, `PKIX_ECDSA_P384_SHA_384`, ReasonEntryOther},
		"v2 trailing":         {"", `}}}}}}`, `}}}}},"x":1}`, ReasonEntryOther},
	} {
		s := world.Sign(sigstoretest.Spec{Kind: tc.kind, Body: func(b []byte) []byte {
			if !bytes.Contains(b, []byte(tc.from)) {
				t.Fatalf("%s: no %s in %s", name, tc.from, b)
			}
			return bytes.Replace(b, []byte(tc.from), []byte(tc.to), 1)
		}})
		if _, err := parseAndVerify(v, s.Doc.JSON(), Options{}); reasonOf(err) != tc.want {
			t.Errorf("%s: %v, want %s", name, err, tc.want)
		}
	}
}

// TestEdge73_Checkpoints: origin, key id and signatures.
func TestEdge73_Checkpoints(t *testing.T) {
	v := worldVerifier(t)
	_, witness, _ := ed25519.GenerateKey(rand.Reader)
	for _, kind := range []string{"", "dsse"} {
		l := world.Rekor2
		if kind != "" {
			l = world.Rekor1
		}
		s := world.Sign(sigstoretest.Spec{Kind: kind})
		checkpoint := s.Doc.Map("verificationMaterial", "tlogEntries", 0, "inclusionProof", "checkpoint")["envelope"].(string)
		text, sigs, _ := strings.Cut(checkpoint, "\n\n")
		text += "\n"
		someone := sigstoretest.NoteLine("someone.example", []byte{1, 2, 3, 4}, []byte("what"))
		for name, tc := range map[string]struct{ envelope, want string }{
			"plain":                   {checkpoint, "accepted"},
			"unknown signature after": {checkpoint + someone, "accepted"},
			"log's is not first":      {text + "\n" + someone + sigs, "accepted"},
			"twice":                   {checkpoint + sigs, "accepted"},
			"cosigned":                {checkpoint + sigstoretest.Cosign("witness.example", witness, text, sigstoretest.Epoch), "accepted"},
			"extension line":          {l.CheckpointText(text + "Timestamp: 1\n"), "accepted"},
			"other origin":            {l.CheckpointText("other.example" + text[len(l.Name):]), ReasonCheckpoint},
			"other name":              {text + "\n" + strings.Replace(sigs, l.Name, "other.example", 1), ReasonCheckpoint},
			"no signature":            {text + "\n" + someone, ReasonCheckpoint},
			"no signatures":           {text, ReasonCheckpoint},
			"only others' key":        {text + "\n" + other.Rekor2.SignatureLine(text), ReasonCheckpoint},
			"wrong signature":         {text + "\n" + sigstoretest.NoteLine(l.Name, l.ID[:4], make([]byte, 64)), ReasonCheckpoint},
			"wrong beside right":      {checkpoint + sigstoretest.NoteLine(l.Name, l.ID[:4], make([]byte, 64)), "accepted"}, // the first by a key is looked at
			"right beside wrong":      {text + "\n" + sigstoretest.NoteLine(l.Name, l.ID[:4], make([]byte, 64)) + sigs, ReasonCheckpoint},
			"leading zero":            {l.CheckpointText(strings.Replace(text, "\n", "\n0", 1)), ReasonCheckpoint},
			"huge size":               {l.CheckpointText(l.Origin + "\n18446744073709551615\n" + strings.SplitN(text, "\n", 3)[2]), ReasonCheckpoint},
			"short root":              {l.CheckpointText(l.Origin + "\n7\nAAAA\n"), ReasonCheckpoint},
			"other root":              {l.CheckpointText(fmt.Sprintf("%s\n%d\n%s\n", l.Origin, l.Size(), base64.StdEncoding.EncodeToString(make([]byte, 32)))), ReasonInclusion},
			"empty":                   {"\n\n", ReasonCheckpoint},
		} {
			d := s.Doc.Clone()
			d.Map("verificationMaterial", "tlogEntries", 0, "inclusionProof", "checkpoint")["envelope"] = tc.envelope
			for range 2 { // the second time from what is remembered
				if _, err := parseAndVerify(v, d.JSON(), Options{}); reasonOf(err) != tc.want {
					t.Errorf("%q: %s: %v, want %s", kind, name, err, tc.want)
				}
			}
		}
		// The checkpoint of Rekor v1 does not do for v2, nor the reverse.
	}
	t.Run("witnesses", func(t *testing.T) {
		_, second, _ := ed25519.GenerateKey(rand.Reader)
		root := sigstoretest.Must(ParseTrustedRoot(world.RootDoc().JSON()))
		config := Config{Witnesses: []Witness{{"w1.example", witness.Public().(ed25519.PublicKey)}, {"w2.example", second.Public().(ed25519.PublicKey)}}, WitnessThreshold: 2}
		strict := sigstoretest.Must(NewVerifier(root, config))
		line := func(name string, key ed25519.PrivateKey) func(string) string {
			return func(text string) string { return sigstoretest.Cosign(name, key, text, sigstoretest.Epoch) }
		}
		both := func(text string) string { return line("w1.example", witness)(text) + line("w2.example", second)(text) }
		for name, tc := range map[string]struct {
			extra func(string) string
			want  string
		}{
			"none":      {nil, ReasonWitness},
			"one":       {line("w1.example", witness), ReasonWitness},
			"one twice": {func(s string) string { return line("w1.example", witness)(s) + line("w1.example", witness)(s) }, ReasonWitness},
			"both":      {both, "accepted"},
			"stranger":  {func(s string) string { return line("w1.example", witness)(s) + line("w3.example", second)(s) }, ReasonWitness},
			"wrong":     {func(s string) string { return both(s[1:]) }, ReasonCheckpoint},
		} {
			if _, err := parseAndVerify(strict, world.Sign(sigstoretest.Spec{Checkpoint: tc.extra}).Doc.JSON(), Options{}); reasonOf(err) != tc.want {
				t.Errorf("%s: %v, want %s", name, err, tc.want)
			}
		}
		old := world.Sign(sigstoretest.Spec{Version: "v0.1", Kind: "dsse", NoProof: true})
		if _, err := parseAndVerify(strict, old.Doc.JSON(), Options{}); reasonOf(err) != ReasonWitness {
			t.Error(err)
		}
		for _, bad := range []Config{{WitnessThreshold: 1}, {WitnessThreshold: -1}, {Witnesses: []Witness{{"", nil}}}, {Witnesses: []Witness{config.Witnesses[0], {"again", config.Witnesses[0].Key}}}} {
			if _, err := NewVerifier(root, bad); reasonOf(err) != ReasonOptions {
				t.Errorf("%+v: %v", bad, err)
			}
		}
	})
}

// TestEdge74_TrustedRoot: what a root may say, and when it is trusted.
func TestEdge74_TrustedRoot(t *testing.T) {
	at := sigstoretest.Epoch.Add(time.Hour)
	stamp := func(t time.Time) string { return t.Format(time.RFC3339Nano) }
	list := func(d sigstoretest.Doc, name string, i int) map[string]any { return d.Map(name, i) }
	v2, v1 := world.Sign(sigstoretest.Spec{}).Doc, world.Sign(sigstoretest.Spec{Kind: "dsse"}).Doc
	validFor := func(d sigstoretest.Doc, name string, i int) map[string]any {
		if name == "tlogs" || name == "ctlogs" {
			return list(d, name, i)["publicKey"].(map[string]any)["validFor"].(map[string]any)
		}
		return list(d, name, i)["validFor"].(map[string]any)
	}
	for _, tc := range []struct {
		doc         sigstoretest.Doc
		name        string
		i           int
		early, late string
	}{
		{v2, "tlogs", 1, ReasonNoLog, ReasonNoLog},
		{v1, "tlogs", 0, ReasonNoTime, ReasonNoTime},
		{v1, "ctlogs", 0, ReasonSCT, ReasonSCT},
		{v1, "certificateAuthorities", 0, ReasonValidity, ReasonValidity},
		{v2, "timestampAuthorities", 0, ReasonNoTime, ReasonNoTime},
	} {
		for end, want := range map[[2]time.Time]string{
			{at, at}: "accepted", // inclusive at both ends
			{at.Add(time.Millisecond), at.Add(time.Hour)}:   tc.early,
			{at.Add(-time.Hour), at.Add(-time.Millisecond)}: tc.late,
		} {
			root := world.RootDoc()
			w := validFor(root, tc.name, tc.i)
			w["start"], w["end"] = stamp(end[0]), stamp(end[1])
			_, err := parseAndVerify(newTestVerifier(t, root.JSON()), tc.doc.JSON(), Options{})
			if reasonOf(err) != want {
				t.Errorf("%s from %v: %v, want %s", tc.name, end, err, want)
			}
			// Rotation: with a second instance that covers the time, it passes.
			next := world.RootDoc()
			next[tc.name] = append([]any{root.At(tc.name, tc.i)}, next[tc.name].([]any)...)
			if _, err := parseAndVerify(newTestVerifier(t, next.JSON()), tc.doc.JSON(), Options{}); err != nil {
				t.Errorf("%s with a parallel instance: %v", tc.name, err)
			}
		}
	}
	for name, tc := range map[string]struct {
		change func(sigstoretest.Doc)
		want   string
	}{
		"plain":            {func(d sigstoretest.Doc) {}, "accepted"},
		"v0.2":             {func(d sigstoretest.Doc) { d["mediaType"] = "application/vnd.dev.sigstore.trustedroot.v0.2+json" }, "accepted"},
		"v0.3":             {func(d sigstoretest.Doc) { d["mediaType"] = "application/vnd.dev.sigstore.trustedroot.v0.3+json" }, ReasonMediaType},
		"bundle":           {func(d sigstoretest.Doc) { d["mediaType"] = "application/vnd.dev.sigstore.bundle.v0.3+json" }, ReasonMediaType},
		"no media type":    {func(d sigstoretest.Doc) { delete(d, "mediaType") }, ReasonMediaType},
		"unknown field":    {func(d sigstoretest.Doc) { d["extra"] = 1 }, "accepted"},
		"snake case":       {func(d sigstoretest.Doc) { rename(list(d, "tlogs", 0), "baseUrl", "base_url") }, strictjson.ReasonCase},
		"no start":         {func(d sigstoretest.Doc) { delete(validFor(d, "tlogs", 0), "start") }, ReasonRoot},
		"no window":        {func(d sigstoretest.Doc) { delete(list(d, "tlogs", 0)["publicKey"].(map[string]any), "validFor") }, ReasonRoot},
		"end before start": {func(d sigstoretest.Doc) { validFor(d, "tlogs", 0)["end"] = "2020-01-01T00:00:00Z" }, ReasonRoot},
		"time as object":   {func(d sigstoretest.Doc) { validFor(d, "tlogs", 0)["start"] = map[string]any{"seconds": "1"} }, strictjson.ReasonSyntax},
		"time in words":    {func(d sigstoretest.Doc) { validFor(d, "tlogs", 0)["start"] = "yesterday" }, ReasonFormat},
		"no log id":        {func(d sigstoretest.Doc) { delete(list(d, "ctlogs", 0), "logId") }, ReasonRoot},
		"no key":           {func(d sigstoretest.Doc) { delete(list(d, "tlogs", 0)["publicKey"].(map[string]any), "rawBytes") }, ReasonRoot},
		"other key details": {func(d sigstoretest.Doc) {
			list(d, "tlogs", 0)["publicKey"].(map[string]any)["keyDetails"] = "PKIX_ED25519"
		}, ReasonRoot},
		"key details number": {func(d sigstoretest.Doc) { list(d, "tlogs", 0)["publicKey"].(map[string]any)["keyDetails"] = 5 }, strictjson.ReasonSyntax},
		"other hash":         {func(d sigstoretest.Doc) { list(d, "tlogs", 0)["hashAlgorithm"] = "SHA2_512" }, ReasonRoot},
		"no certificates":    {func(d sigstoretest.Doc) { list(d, "certificateAuthorities", 0)["certChain"] = map[string]any{} }, ReasonRoot},
		"bad certificate": {func(d sigstoretest.Doc) {
			list(d, "certificateAuthorities", 0)["certChain"] = map[string]any{"certificates": []any{map[string]any{"rawBytes": "AAAA"}}}
		}, ReasonRoot},
		"empty": {func(d sigstoretest.Doc) {
			clear(d)
			d["mediaType"] = "application/vnd.dev.sigstore.trustedroot+json;version=0.1"
		}, ReasonRoot},
		"too many": {func(d sigstoretest.Doc) {
			l := d["tlogs"].([]any)
			for len(l) < 257 {
				l = append(l, l[0])
			}
			d["tlogs"] = l
		}, ReasonLimit},
	} {
		d := world.RootDoc()
		tc.change(d)
		if _, err := ParseTrustedRoot(d.JSON()); reasonOf(err) != tc.want {
			t.Errorf("%s: %v, want %s", name, err, tc.want)
		}
	}
	// Under a root of another world nothing holds.
	for _, d := range []sigstoretest.Doc{v1, v2} {
		if _, err := parseAndVerify(newTestVerifier(t, other.RootDoc().JSON()), d.JSON(), Options{}); reasonOf(err) != ReasonNoTime {
			t.Error(err)
		}
	}
	if _, err := NewVerifier(nil, Config{}); reasonOf(err) != ReasonOptions {
		t.Error(err)
	}
}

// TestEdge78_Extensions: what the certificate says of the run is typed, so
// that claims of a provenance can be held against it.
func TestEdge78_Extensions(t *testing.T) {
	v := worldVerifier(t)
	r, err := parseAndVerify(v, world.Sign(sigstoretest.Spec{Precert: func(c *x509.Certificate) {
		for i := range c.ExtraExtensions {
			if c.ExtraExtensions[i].Id[8] == 11 {
				c.ExtraExtensions[i].Value = sigstoretest.Must(asn1.MarshalWithParams("self-hosted", "utf8"))
			}
		}
	}}).Doc.JSON(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := r.Certificate
	got := []string{c.RunnerEnvironment, c.SourceRepositoryURI, c.SourceRepositoryDigest, c.SourceRepositoryRef, c.BuildTrigger, c.RunInvocationURI, c.SourceVisibility, c.BuildSignerURI}
	want := []string{"self-hosted", "https://github.com/octo/app", "0123456789abcdef0123456789abcdef01234567", "refs/heads/main", "push", "https://github.com/octo/app/actions/runs/1/attempts/1", "public", sigstoretest.SAN}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSCT(t *testing.T) {
	v := worldVerifier(t)
	for name, tc := range map[string]struct {
		spec sigstoretest.Spec
		o    Options
		want string
	}{
		"extensions":         {sigstoretest.Spec{SCT: func(s *sigstoretest.SCT) { s.Extensions = []byte{0, 0, 5, 0, 0, 0, 0, 7} }}, Options{}, "accepted"},
		"none":               {sigstoretest.Spec{NoSCT: true}, Options{}, ReasonSCT},
		"none, not asked":    {sigstoretest.Spec{NoSCT: true}, Options{NoSCTUnsafe: true}, "accepted"},
		"corrupt":            {sigstoretest.Spec{SCT: func(s *sigstoretest.SCT) { s.Corrupt = true }}, Options{}, ReasonSCT},
		"corrupt, not asked": {sigstoretest.Spec{SCT: func(s *sigstoretest.SCT) { s.Corrupt = true }}, Options{NoSCTUnsafe: true}, ReasonSCT},
		"unknown log":        {sigstoretest.Spec{SCT: func(s *sigstoretest.SCT) { s.Log = other.CT }}, Options{}, ReasonSCT},
		"other issuer":       {sigstoretest.Spec{SCT: func(s *sigstoretest.SCT) { s.IssuerKey = world.Root.RawSubjectPublicKeyInfo }}, Options{}, ReasonSCT},
		"before the log":     {sigstoretest.Spec{SCT: func(s *sigstoretest.SCT) { s.At = sigstoretest.Epoch.Add(-time.Second) }}, Options{}, ReasonSCT},
		"17":                 {sigstoretest.Spec{SCTs: 17}, Options{}, ReasonLimit},
	} {
		if _, err := parseAndVerify(v, world.Sign(tc.spec).Doc.JSON(), tc.o); reasonOf(err) != tc.want {
			t.Errorf("%s: %v, want %s", name, err, tc.want)
		}
	}
}

func TestArtifact(t *testing.T) {
	v := worldVerifier(t)
	s := world.Sign(sigstoretest.Spec{Message: true})
	b := sigstoretest.Must(ParseBundle(s.Doc.JSON()))
	env := sigstoretest.Must(ParseBundle(world.Sign(sigstoretest.Spec{}).Doc.JSON()))
	digest := sum(crypto.SHA256, sigstoretest.Artifact)
	for name, tc := range map[string]struct {
		b    *Bundle
		a    *Artifact
		want string
	}{
		"bytes":           {b, &Artifact{Bytes: sigstoretest.Artifact}, "accepted"},
		"digest":          {b, &Artifact{Digests: map[crypto.Hash][]byte{crypto.SHA256: digest}}, "accepted"},
		"bytes count":     {b, &Artifact{Bytes: []byte("other"), Digests: map[crypto.Hash][]byte{crypto.SHA256: digest}}, ReasonEntryOther},
		"other":           {b, &Artifact{Bytes: []byte("other")}, ReasonEntryOther},
		"empty":           {b, &Artifact{Bytes: []byte{}}, ReasonEntryOther},
		"no digest":       {b, &Artifact{}, ReasonArtifact},
		"other algorithm": {b, &Artifact{Digests: map[crypto.Hash][]byte{crypto.SHA512: sum(crypto.SHA512, sigstoretest.Artifact)}}, ReasonArtifact},
		"short digest":    {b, &Artifact{Digests: map[crypto.Hash][]byte{crypto.SHA256: digest[:20]}}, ReasonArtifact},
		"none":            {b, nil, ReasonArtifact},
		"for an envelope": {env, &Artifact{Bytes: sigstoretest.Artifact}, ReasonOptions},
		"no bundle":       {nil, nil, ReasonOptions},
	} {
		r, err := v.Verify(tc.b, Options{Artifact: tc.a})
		if reasonOf(err) != tc.want {
			t.Errorf("%s: %v, want %s", name, err, tc.want)
		}
		if err == nil && !bytes.Equal(r.Digest, digest) {
			t.Errorf("%s: digest %x", name, r.Digest)
		}
	}
	// The digest in the bundle is a hint, but not one that may be wrong.
	d := s.Doc.Clone()
	d.Map("messageSignature", "messageDigest")["digest"] = base64.StdEncoding.EncodeToString(make([]byte, 32))
	if _, err := parseAndVerify(v, d.JSON(), forArtifact(Options{})); reasonOf(err) != ReasonArtifact {
		t.Error(err)
	}
	delete(d.Map("messageSignature"), "messageDigest")
	if _, err := parseAndVerify(v, d.JSON(), forArtifact(Options{})); err != nil {
		t.Error("hint is optional:", err)
	}
	// Wrong signature, right entry about it.
	key := sigstoretest.ECKey(elliptic.P256())
	bad := world.Sign(sigstoretest.Spec{Key: badSigner{key}})
	if _, err := parseAndVerify(v, bad.Doc.JSON(), Options{}); reasonOf(err) != ReasonSignature {
		t.Error(err)
	}
}

// A freshSigner makes another signature each time.
type freshSigner struct{ *ecdsa.PrivateKey }

func (s freshSigner) Sign(_ io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	return s.PrivateKey.Sign(rand.Reader, digest, o)
}

// A badSigner signs something else, and everybody else believes it.
type badSigner struct{ *ecdsa.PrivateKey }

func (s badSigner) Sign(_ io.Reader, digest []byte, o crypto.SignerOpts) ([]byte, error) {
	return s.PrivateKey.Sign(rand.Reader, make([]byte, len(digest)), o)
}

func TestPrivateDeployments(t *testing.T) {
	v := worldVerifier(t)
	d := world.Sign(sigstoretest.Spec{NoLog: true}).Doc
	if _, err := parseAndVerify(v, d.JSON(), Options{}); reasonOf(err) != ReasonNoLog {
		t.Error(err)
	}
	if _, err := parseAndVerify(v, d.JSON(), Options{NoLogUnsafe: true}); err != nil {
		t.Error(err)
	}
	// What is there is verified even if it is not asked for.
	d = world.Sign(sigstoretest.Spec{Body: func(b []byte) []byte { return append(b, ' ') }}).Doc
	if _, err := parseAndVerify(v, d.JSON(), Options{NoLogUnsafe: true}); err == nil {
		t.Error("accepted")
	}
}

// TestEdge81_Concurrency: one Verifier, 100 goroutines; run with -race.
func TestEdge81_Concurrency(t *testing.T) {
	v := worldVerifier(t)
	var docs [][]byte
	for _, kind := range []string{"", "dsse", "intoto"} {
		docs = append(docs, world.Sign(sigstoretest.Spec{Kind: kind, TSA: true}).Doc.JSON())
	}
	bad := world.Sign(sigstoretest.Spec{SCT: func(s *sigstoretest.SCT) { s.Corrupt = true }}).Doc.JSON()
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			if _, err := parseAndVerify(v, docs[i%len(docs)], Options{}); err != nil {
				t.Error(err)
			}
			if _, err := parseAndVerify(v, bad, Options{}); reasonOf(err) != ReasonSCT {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestCacheIsBounded(t *testing.T) {
	c := cache[int, int]{max: 10}
	for i := range 1000 {
		c.put(i, i)
		if n := len(c.current) + len(c.past); n > 10 {
			t.Fatalf("%d values", n)
		}
	}
	if v, ok := c.get(999); !ok || v != 999 {
		t.Error("the newest is gone")
	}
	if _, ok := c.get(1); ok {
		t.Error("the oldest is still there")
	}
}

// The result must not alias what the caller passed in.
func TestResultDoesNotAlias(t *testing.T) {
	v := worldVerifier(t)
	data := world.Sign(sigstoretest.Spec{}).Doc.JSON()
	r, err := parseAndVerify(v, data, Options{})
	if err != nil {
		t.Fatal(err)
	}
	before := sigstoretest.Must(json.Marshal(r.Payload))
	clear(data)
	if !bytes.Equal(before, sigstoretest.Must(json.Marshal(r.Payload))) || r.Certificate.SAN != sigstoretest.SAN {
		t.Error("result changed with the document")
	}
}

// TestRemembered: what is remembered of a leaf and a checkpoint is not the
// time, nor what the caller asks for, nor anything that a caller can change.
func TestRemembered(t *testing.T) {
	v := worldVerifier(t)
	key := sigstoretest.ECKey(elliptic.P256())
	cert := world.Leaf(key.Public(), &sigstoretest.Spec{})
	at := sigstoretest.Epoch.Add(time.Hour)
	sign := func(s sigstoretest.Spec) []byte {
		s.Key, s.Cert = key, cert
		return world.Sign(s).Doc.JSON()
	}
	expect := func(what string, data []byte, o Options, want string) *Result {
		t.Helper()
		r, err := parseAndVerify(v, data, o)
		if reasonOf(err) != want {
			t.Errorf("%s: %v, want %s", what, err, want)
		}
		return r
	}
	// A refused leaf is not remembered as a good one.
	late := sign(sigstoretest.Spec{At: at.Add(time.Hour)})
	expect("too late", late, Options{}, ReasonValidity)
	r := expect("in time", sign(sigstoretest.Spec{}), Options{}, "accepted")
	if r == nil || len(v.leaves.current) != 1 {
		t.Fatal("not remembered")
	}
	expect("too late again", late, Options{}, ReasonValidity)
	expect("more SCTs", sign(sigstoretest.Spec{}), Options{SCTs: 2}, ReasonSCT)
	clear(r.Certificate.Raw)
	r.Certificate.SAN = "https://evil.example"
	if again := expect("again", sign(sigstoretest.Spec{}), Options{}, "accepted"); again.Certificate.SAN != sigstoretest.SAN || !bytes.Equal(again.Certificate.Raw, cert.Raw) {
		t.Error("the caller changed what is remembered")
	}
	// The same key with another signature over the certificate is another leaf.
	forged := bytes.Clone(cert.Raw)
	forged[len(forged)-1] ^= 1
	d := world.Sign(sigstoretest.Spec{Key: key, Cert: cert}).Doc
	d.Map("verificationMaterial", "certificate")["rawBytes"] = base64.StdEncoding.EncodeToString(forged)
	expect("forged", d.JSON(), Options{}, ReasonPath)
	// Nor does one trusted root's memory serve another.
	other := newTestVerifier(t, other.RootDoc().JSON())
	if _, err := parseAndVerify(other, sign(sigstoretest.Spec{}), Options{}); err == nil {
		t.Error("accepted under another root")
	}
	// Refused SCTs and paths are not remembered either.
	bad := world.Sign(sigstoretest.Spec{SCT: func(s *sigstoretest.SCT) { s.Corrupt = true }}).Doc.JSON()
	expect("corrupt SCT", bad, Options{}, ReasonSCT)
	expect("corrupt SCT again", bad, Options{}, ReasonSCT)
}

// TestEdge74_ManagedKeyRetiredLog: with a managed key and no trusted time, the
// log has to be trusted at the time that stands in for it.
func TestEdge74_ManagedKeyRetiredLog(t *testing.T) {
	key := sigstoretest.ECKey(elliptic.P256())
	signed := world.Sign(sigstoretest.Spec{Key: key, Managed: "k", NoTSA: true, Message: true})
	now := sigstoretest.Epoch.Add(48 * time.Hour)
	stamp := func(d time.Duration) string { return now.Add(d).Format(time.RFC3339) }
	for name, c := range map[string]struct {
		start, end string
		want       string
	}{
		"open":           {stamp(-48 * time.Hour), "", "accepted"},
		"from now on":    {stamp(0), "", "accepted"},
		"until now":      {stamp(-48 * time.Hour), stamp(0), "accepted"},
		"not yet":        {stamp(time.Second), "", ReasonNoLog},
		"retired before": {stamp(-48 * time.Hour), stamp(-time.Second), ReasonNoLog},
	} {
		root := world.RootDoc()
		for _, l := range root["tlogs"].([]any) {
			valid := map[string]any{"start": c.start}
			if c.end != "" {
				valid["end"] = c.end
			}
			l.(map[string]any)["publicKey"].(map[string]any)["validFor"] = valid
		}
		_, err := parseAndVerify(newTestVerifier(t, root.JSON()), signed.Doc.JSON(), forArtifact(Options{Key: &Key{Public: key.Public()}, Now: now}))
		if reasonOf(err) != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}
