package sigstore

import (
	"bytes"
	"crypto/elliptic"
	"strings"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/internal/sigstore/sigstoretest"
)

// fuzzReason holds every parser to typed errors.
func fuzzReason(t *testing.T, err error) bool {
	t.Helper()
	if err == nil {
		return true
	}
	if r := reasonOf(err); strings.HasPrefix(r, "untyped") || r == "" {
		t.Errorf("untyped error: %v", err)
	}
	return false
}

// FuzzBundle: no input panics, errors are typed, and what is mutated from a
// valid bundle either fails or says the same.
func FuzzBundle(f *testing.F) {
	v := worldVerifier(f)
	var results []*Result
	for _, s := range []sigstoretest.Spec{{}, {Kind: "dsse", TSA: true}, {Kind: "intoto", Version: "v0.1"}, {Kind: "intoto", Version: "v0.2"}} {
		s.Key = sigstoretest.NamedKey(elliptic.P256(), "fuzz "+s.Kind+s.Version) // the same in every process
		doc := world.Sign(s).Doc.JSON()
		f.Add(doc)
		r, err := parseAndVerify(v, doc, Options{})
		if err != nil {
			f.Fatal(err)
		}
		results = append(results, r)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := ParseBundle(data)
		if !fuzzReason(t, err) {
			return
		}
		o := Options{}
		if !b.isEnvelope {
			o.Artifact = &Artifact{Bytes: sigstoretest.Artifact}
		}
		if b.certificate == nil {
			o.Key = &Key{Public: world.RootKey.Public()}
		}
		r, err := v.Verify(b, o)
		if !fuzzReason(t, err) {
			return
		}
		for _, want := range results {
			if bytes.Equal(want.Certificate.Raw, r.Certificate.Raw) {
				if d := differs(want, r); d != "" {
					t.Errorf("passes with another %s", d)
				}
				return
			}
		}
		t.Error("passes with a certificate that nobody issued")
	})
}

func FuzzTrustedRoot(f *testing.F) {
	f.Add(world.RootDoc().JSON())
	doc := world.Sign(sigstoretest.Spec{}).Doc.JSON()
	f.Fuzz(func(t *testing.T, data []byte) {
		root, err := ParseTrustedRoot(data)
		if !fuzzReason(t, err) {
			return
		}
		v, err := NewVerifier(root, Config{})
		if fuzzReason(t, err) {
			_, err = parseAndVerify(v, doc, Options{})
			fuzzReason(t, err)
		}
	})
}

func FuzzCheckpoint(f *testing.F) {
	v := worldVerifier(f)
	for _, l := range []*sigstoretest.Log{world.Rekor1, world.Rekor2} {
		for range 3 {
			l.Append([]byte("leaf"))
		}
		f.Add(l.Checkpoint(l.Size()))
		f.Add(l.Checkpoint(l.Size(), sigstoretest.NoteLine("x", []byte("1234"), []byte("sig"))))
	}
	f.Fuzz(func(t *testing.T, envelope string) {
		for i, l := range v.root.logs {
			c, err := v.openCheckpoint(l, envelope, i == 1)
			if fuzzReason(t, err) && (len(c.root) != 32 || c.size > 1<<63-1 || !strings.HasPrefix(envelope, c.origin+"\n")) {
				t.Errorf("checkpoint %+v", c)
			}
		}
	})
}

func FuzzTimestamp(f *testing.F) {
	v := worldVerifier(f)
	signature := []byte("signature")
	at := sigstoretest.Epoch.Add(time.Hour)
	f.Add(world.TSA.Stamp(signature, at, nil))
	f.Add(world.TSA.Stamp(signature, at, func(s *sigstoretest.Timestamp) { s.Embed = append(s.Embed, s.Cert, world.Root) }))
	f.Add(world.TSA.Stamp(signature, at, func(s *sigstoretest.Timestamp) { s.GenTime, s.SHA384 = "20260101010000.5Z", true }))
	f.Fuzz(func(t *testing.T, der []byte) {
		got, _, _, err := v.verifyTimestamp(der, signature)
		if fuzzReason(t, err) && !got.Equal(at) && !got.Equal(at.Add(time.Second/2)) {
			t.Errorf("time %v, which nobody signed", got)
		}
	})
}

func FuzzSCTs(f *testing.F) {
	v := worldVerifier(f)
	signed := world.Sign(sigstoretest.Spec{SCTs: 2})
	l, err := parseLeaf(signed.Cert.Raw)
	if err != nil {
		f.Fatal(err)
	}
	by := v.issuers[string(l.x509.RawIssuer)][0]
	f.Add(l.scts, signed.Cert.RawTBSCertificate)
	f.Fuzz(func(t *testing.T, extension, tbs []byte) {
		_, err := parseSCTs(extension)
		fuzzReason(t, err)
		if pre, err := precertificate(tbs); fuzzReason(t, err) && len(pre) > len(tbs)+8 {
			t.Errorf("precertificate grew from %d to %d bytes", len(tbs), len(pre))
		}
		changed := *l
		changed.scts = extension
		_, err = v.verifySCTs(&changed, by)
		fuzzReason(t, err)
	})
}

func FuzzLeaf(f *testing.F) {
	f.Add(world.Sign(sigstoretest.Spec{}).Cert.Raw)
	f.Add(world.Sign(sigstoretest.Spec{Precert: setSAN(otherName(oidOtherName, "user"))}).Cert.Raw)
	f.Fuzz(func(t *testing.T, der []byte) {
		l, err := parseLeaf(der)
		if fuzzReason(t, err) && (l.info.SAN == "" || l.info.Issuer == "" || l.info.SANType == "") {
			t.Errorf("leaf without identity: %+v", l.info)
		}
	})
}

func FuzzBody(f *testing.F) {
	for _, kind := range []string{"dsse", "intoto", "hashedrekord"} {
		f.Add(world.Sign(sigstoretest.Spec{Kind: kind, Message: kind == "hashedrekord"}).Body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, kind := range []string{"dsse 0.0.1", "intoto 0.0.2", "hashedrekord 0.0.1"} {
			b, err := parseBody(body, kind)
			if fuzzReason(t, err) && (len(b.signature) == 0 || len(b.verifier) == 0 || b.hash == 0) {
				t.Errorf("incomplete body %+v", b)
			}
		}
	})
}

func FuzzLegacy(f *testing.F) {
	v := worldVerifier(f)
	l := legacyOf(f, world.Sign(sigstoretest.Spec{Version: "v0.1", Kind: "dsse", Key: sigstoretest.NamedKey(elliptic.P256(), "legacy")}))
	f.Add(l.Envelope, l.Certificate, l.RekorBundle)
	f.Fuzz(func(t *testing.T, envelope, certificate, rekor []byte) {
		b, err := ParseLegacy(Legacy{Envelope: envelope, Certificate: certificate, RekorBundle: rekor})
		if fuzzReason(t, err) {
			_, err = v.Verify(b, Options{})
			fuzzReason(t, err)
		}
	})
}
