package verify_test

import (
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"maps"
	"strconv"
	"strings"
	"testing"

	"github.com/hallmark-build/hallmark/internal/sigstore/sigstoretest"
	"github.com/hallmark-build/hallmark/verify"
)

// attached is a statement as cosign attached it before there were bundles.
func attached(t *testing.T, spec sigstoretest.Spec) (envelope []byte, annotations map[string]string) {
	t.Helper()
	spec.Version, spec.Kind = "v0.1", "dsse"
	s := world.Sign(spec)
	e := s.Doc.Map("verificationMaterial", "tlogEntries", 0)
	num := func(name string) int64 { return sigstoretest.Must(strconv.ParseInt(e[name].(string), 10, 64)) }
	id := sigstoretest.Must(base64.StdEncoding.DecodeString(e["logId"].(map[string]any)["keyId"].(string)))
	annotations = map[string]string{
		"predicateType": "https://example.com/whatever",
		"dev.sigstore.cosign/bundle": string(sigstoretest.Must(json.Marshal(map[string]any{
			"SignedEntryTimestamp": e["inclusionPromise"].(map[string]any)["signedEntryTimestamp"],
			"Payload": map[string]any{
				"body": e["canonicalizedBody"], "integratedTime": num("integratedTime"), "logIndex": num("logIndex"), "logID": hex.EncodeToString(id),
			},
		}))),
	}
	if s.Cert != nil {
		annotations["dev.sigstore.cosign/certificate"] = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Cert.Raw}))
	}
	return sigstoretest.Must(json.Marshal(s.Doc["dsseEnvelope"])), annotations
}

func TestCosignBundle(t *testing.T) {
	payload := built(nil, files("app")).Payload()
	managed := sigstoretest.ECKey(elliptic.P256())
	der, err := x509.MarshalPKIXPublicKey(managed.Public())
	if err != nil {
		t.Fatal(err)
	}
	key := verify.Key{PEM: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))}

	envelope, annotations := attached(t, sigstoretest.Spec{Content: payload})
	bundle, err := verify.CosignBundle(envelope, annotations)
	if err != nil {
		t.Fatal(err)
	}
	v, err := verify.Open(bundle, worldTrust(t), now)
	if err != nil {
		t.Fatal(err)
	}
	if sig := v.Signatures()[0]; sig.Principal.Identity().Issuer == "" || len(sig.Times) == 0 || string(v.Statement().Payload()) != string(payload) {
		t.Errorf("signature %+v", sig)
	}
	if _, err := verify.Open(bundle, &verify.Trust{}, now); err == nil {
		t.Error("nobody is trusted, and it was opened")
	}

	without := func(name string) map[string]string {
		a := maps.Clone(annotations)
		delete(a, "dev.sigstore.cosign/"+name)
		return a
	}
	other, _ := attached(t, sigstoretest.Spec{Content: built(nil, files("evil")).Payload()})
	for name, c := range map[string]struct {
		envelope    []byte
		annotations map[string]string
		want        string // in the error of CosignBundle, or of Open
	}{
		"no log entry":         {envelope, without("bundle"), "no log entry"},
		"no certificate":       {envelope, without("certificate"), "no key"},
		"no annotations":       {envelope, nil, "no log entry"},
		"another's envelope":   {other, annotations, "entry"},
		"no envelope":          {[]byte("{}"), annotations, "payload"},
		"certificate not PEM":  {envelope, map[string]string{"dev.sigstore.cosign/certificate": "x", "dev.sigstore.cosign/bundle": annotations["dev.sigstore.cosign/bundle"]}, "not in PEM"},
		"log entry is no JSON": {envelope, map[string]string{"dev.sigstore.cosign/certificate": annotations["dev.sigstore.cosign/certificate"], "dev.sigstore.cosign/bundle": "x"}, "rejected"},
	} {
		bundle, err := verify.CosignBundle(c.envelope, c.annotations)
		if err == nil {
			_, err = verify.Open(bundle, worldTrust(t), now)
		}
		if _, ok := errors.AsType[*verify.RejectedError](err); !ok || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}

	envelope, annotations = attached(t, sigstoretest.Spec{Content: payload, Key: managed, Managed: "k"})
	if bundle, err = verify.CosignBundle(envelope, annotations); err != nil {
		t.Fatal(err)
	}
	if _, err := verify.Open(bundle, worldTrust(t, key), now); err != nil {
		t.Errorf("signed with a key: %v", err)
	}
}

// An envelope with a certificate says what is missing.
func TestOpenEnvelopeWithCertificate(t *testing.T) {
	envelope, annotations := attached(t, sigstoretest.Spec{Content: built(nil, files("app")).Payload()})
	var doc map[string]any
	if err := json.Unmarshal(envelope, &doc); err != nil {
		t.Fatal(err)
	}
	doc["signatures"].([]any)[0].(map[string]any)["cert"] = annotations["dev.sigstore.cosign/certificate"]
	_, err := verify.Open(sigstoretest.Must(json.Marshal(doc)), worldTrust(t), now)
	if err == nil || !strings.Contains(err.Error(), "CosignBundle") {
		t.Errorf("%v", err)
	}
}
