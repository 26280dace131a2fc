package verify_test

import (
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/internal/sigstore/sigstoretest"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/verify"
)

// worldTrust trusts the virtual Sigstore, and keys.
func worldTrust(t testing.TB, keys ...verify.Key) *verify.Trust {
	t.Helper()
	trust, err := verify.NewTrust(keys...)
	if err == nil {
		trust, err = trust.WithSigstore(world.RootDoc().JSON(), verify.Sigstore{})
	}
	if err != nil {
		t.Fatal(err)
	}
	return trust
}

// A bundle that was signed after the instant of judgement was not there yet,
// whoever asks: the chain engine, or a caller of Open.
func TestEdge62_OpenFromTheFuture(t *testing.T) {
	managed := sigstoretest.ECKey(elliptic.P256())
	der, err := x509.MarshalPKIXPublicKey(managed.Public())
	if err != nil {
		t.Fatal(err)
	}
	trust := worldTrust(t, verify.Key{PEM: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))})
	at := now.Add(-time.Hour)
	payload := built(nil, files("app")).Payload()
	for name, spec := range map[string]sigstoretest.Spec{
		"timestamp":   {Content: payload},
		"log":         {Content: payload, Kind: "dsse"},
		"both":        {Content: payload, Kind: "dsse", TSA: true},
		"managed key": {Content: payload, Key: managed, Managed: "k"},
		"artifact":    {Message: true},
	} {
		spec.At = at
		bundle := world.Sign(spec).Doc.JSON()
		for judged, want := range map[time.Time]verify.Reason{
			at: "", now: "", at.Add(-time.Second): verify.ReasonNotYet, at.Add(-24 * time.Hour): verify.ReasonNotYet,
		} {
			var err error
			if spec.Message {
				_, err = verify.OpenArtifact(bundle, sigstoretest.Artifact, trust, judged)
			} else {
				_, err = verify.Open(bundle, trust, judged)
			}
			got := verify.Reason("")
			if r, ok := errors.AsType[*verify.RejectedError](err); ok {
				got = r.Reason
			} else if err != nil {
				t.Fatal(err)
			}
			if got != want {
				t.Errorf("%s, judged %s after the signature: %q, want %q (%v)", name, judged.Sub(at), got, want, err)
			}
		}
	}
}

// Whoever hands over a bundle of which the policy has revoked the log entry
// cannot hide the index: without the signed entry timestamp nothing vouches
// for it, while the timestamp of an authority still gives a time.
func TestEdge76_LogIndexStripped(t *testing.T) {
	at := now.Add(-2 * time.Hour)
	signed := world.Sign(sigstoretest.Spec{Content: built(nil, files("app")).Payload(), At: at, Kind: "dsse", TSA: true})
	st, err := verify.Open(signed.Doc.JSON(), worldTrust(t), now)
	if err != nil {
		t.Fatal(err)
	}
	index := st.Signatures()[0].LogIndexes
	if len(index) != 1 {
		t.Fatalf("log indexes %v", index)
	}
	stripped := signed.Doc.Clone()
	entry := stripped.Map("verificationMaterial", "tlogEntries", 0)
	delete(entry, "inclusionPromise")
	delete(entry, "integratedTime")
	renumbered := stripped.Clone()
	renumbered.Map("verificationMaterial", "tlogEntries", 0)["logIndex"] = "12345"
	other := index[0] + 1000

	p := single(verify.Requirement{Type: typeSLSA, Signers: []string{"ci"}}, "ann")
	p.Principals["ci"] = verify.Principals{Identity: &verify.Identity{Issuer: issuer, Subject: octo}}
	for _, c := range []struct {
		name    string
		revoked []verify.Revocation
		whole   verify.Reason
		hidden  verify.Reason
	}{
		{"nothing", nil, "", ""},
		{"a key", []verify.Revocation{{Key: keyID(publicPEM("bob"))}}, "", ""},
		{"the entry", []verify.Revocation{{LogIndex: &index[0]}}, verify.ReasonRevoked, verify.ReasonRevoked},
		{"another entry", []verify.Revocation{{LogIndex: &other}}, "", verify.ReasonRevoked},
		{"the entry, after the signature", []verify.Revocation{{LogIndex: &index[0], From: at.Add(time.Hour)}}, "", ""},
	} {
		p.Revoked = c.revoked
		if got := identities(t, p, "app", signed.Doc.JSON()); got != c.whole {
			t.Errorf("%s revoked: %q, want %q", c.name, got, c.whole)
		}
		for i, doc := range []sigstoretest.Doc{stripped, renumbered} {
			if got := identities(t, p, "app", doc.JSON()); got != c.hidden {
				t.Errorf("%s revoked, index hidden (%d): %q, want %q", c.name, i, got, c.hidden)
			}
		}
	}
}

// One statement, signed twice in a second by one identity, and one of the two
// log entries revoked: the other still counts, in whatever order they come.
func TestEdge76_OneOfTwoEntriesRevoked(t *testing.T) {
	at := now.Add(-2 * time.Hour)
	p := single(verify.Requirement{Type: typeSLSA, Signers: []string{"ci"}}, "ann")
	p.Principals["ci"] = verify.Principals{Identity: &verify.Identity{Issuer: issuer, Subject: octo}}
	for range 8 { // the order is that of digests, which differ each time
		var raws [][]byte
		for range 2 {
			raws = append(raws, world.Sign(sigstoretest.Spec{Content: built(nil, files("app")).Payload(), At: at, Kind: "dsse"}).Doc.JSON())
		}
		st, err := verify.Open(raws[0], worldTrust(t), now)
		if err != nil {
			t.Fatal(err)
		}
		p.Revoked = []verify.Revocation{{LogIndex: &st.Signatures()[0].LogIndexes[0]}}
		if got := identities(t, p, "app", raws[0]); got != verify.ReasonRevoked {
			t.Errorf("the revoked one alone: %q", got)
		}
		if got := identities(t, p, "app", raws[1]); got != "" {
			t.Errorf("the other one alone: %q", got)
		}
		if got := identities(t, p, "app", raws...); got != "" {
			t.Errorf("both: %q", got)
		}
	}
}

// Witnesses that are named must all have cosigned; by Open and by the engine.
func TestWitnesses(t *testing.T) {
	payload := built(nil, files("app")).Payload()
	var witnesses []verify.Witness
	var keys []ed25519.PrivateKey
	for _, name := range []string{"w1.example", "w2.example"} {
		public, private, err := ed25519.GenerateKey(nil)
		if err != nil {
			t.Fatal(err)
		}
		witnesses, keys = append(witnesses, verify.Witness{Name: name, Key: public}), append(keys, private)
	}
	cosigned := func(by ...int) []byte {
		return world.Sign(sigstoretest.Spec{Content: payload, Checkpoint: func(text string) (lines string) {
			for _, i := range by {
				lines += sigstoretest.Cosign(witnesses[i].Name, keys[i], text, sigstoretest.Epoch)
			}
			return lines
		}}).Doc.JSON()
	}
	root := world.RootDoc().JSON()
	for _, c := range []struct {
		what   string
		bundle []byte
		named  []verify.Witness
		passes bool
	}{
		{"nobody named, nobody cosigned", cosigned(), nil, true},
		{"nobody named, one cosigned", cosigned(0), nil, true},
		{"one named, nobody cosigned", cosigned(), witnesses[:1], false},
		{"one named and cosigned", cosigned(0), witnesses[:1], true},
		{"one named, another cosigned", cosigned(1), witnesses[:1], false},
		{"both named, one cosigned", cosigned(0), witnesses, false},
		{"both named and cosigned", cosigned(0, 1), witnesses, true},
	} {
		trust, err := new(verify.Trust).WithSigstore(root, verify.Sigstore{}, c.named...)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := verify.Open(c.bundle, trust, now); (err == nil) != c.passes {
			t.Errorf("%s: %v", c.what, err)
		}
		trust, err = new(verify.Trust).WithSigstore(root, verify.Sigstore{})
		if err != nil {
			t.Fatal(err)
		}
		v, err := verify.Open(c.bundle, trust, now)
		if err != nil {
			t.Fatal(err)
		}
		id := v.Signatures()[0].Principal.Identity()
		p := &verify.Policy{
			Schema: verify.PolicySchema, Name: "witnessed", Version: 1, Expires: now.AddDate(1, 0, 0), Final: "build",
			Principals: map[string]verify.Principals{"builder": {Identity: &id}},
			Stages:     map[string]*verify.Stage{"build": {Requires: []verify.Requirement{{Type: v.Statement().PredicateType(), Signers: []string{"builder"}}}}},
		}
		verifier, err := verify.New(p, verify.Options{SigstoreRoots: [][]byte{root}, SigstoreWitnesses: c.named})
		if err != nil {
			t.Fatal(err)
		}
		_, err = verifier.Verify(t.Context(), verify.Request{
			Artifacts: []provenance.Artifact{{Name: "app", Digests: file("app").Digest}}, Evidence: verify.NewEvidence(c.bundle), At: now,
		})
		if _, refused := errors.AsType[*verify.RefusedError](err); err != nil && !refused || (err == nil) != c.passes {
			t.Errorf("%s: the engine: %v", c.what, err)
		}
	}
	if _, err := new(verify.Trust).WithSigstore(root, verify.Sigstore{}, witnesses[0], witnesses[0]); err == nil {
		t.Error("one witness twice was accepted")
	}
}
