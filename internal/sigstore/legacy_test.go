package sigstore

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"strconv"
	"testing"

	"github.com/hallmark-build/hallmark/internal/sigstore/sigstoretest"
	"github.com/hallmark-build/hallmark/internal/strictjson"
)

// legacyOf takes a v0.1 bundle apart as cosign stores attestations.
func legacyOf(t testing.TB, s *sigstoretest.Signed) Legacy {
	t.Helper()
	e := s.Doc.Map("verificationMaterial", "tlogEntries", 0)
	num := func(name string) int64 { return sigstoretest.Must(strconv.ParseInt(e[name].(string), 10, 64)) }
	id := sigstoretest.Must(base64.StdEncoding.DecodeString(e["logId"].(map[string]any)["keyId"].(string)))
	return Legacy{
		Envelope:    sigstoretest.Must(json.Marshal(s.Doc["dsseEnvelope"])),
		Certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Cert.Raw}),
		RekorBundle: sigstoretest.Must(json.Marshal(map[string]any{
			"SignedEntryTimestamp": e["inclusionPromise"].(map[string]any)["signedEntryTimestamp"],
			"Payload": map[string]any{
				"body": e["canonicalizedBody"], "integratedTime": num("integratedTime"), "logIndex": num("logIndex"), "logID": hex.EncodeToString(id),
			},
		})),
	}
}

func TestLegacy(t *testing.T) {
	v := worldVerifier(t)
	for _, kind := range []string{"dsse", "intoto"} {
		signed := world.Sign(sigstoretest.Spec{Version: "v0.1", Kind: kind})
		other := legacyOf(t, world.Sign(sigstoretest.Spec{Version: "v0.1", Kind: kind}))
		withCert := sigstoretest.Must(json.Marshal(map[string]any{
			"payload": signed.Doc.At("dsseEnvelope", "payload"), "payloadType": signed.Doc.At("dsseEnvelope", "payloadType"),
			"signatures": []any{map[string]any{"sig": signed.Doc.At("dsseEnvelope", "signatures", 0, "sig"), "cert": string(legacyOf(t, signed).Certificate)}},
		}))
		for name, tc := range map[string]struct {
			change func(*Legacy)
			want   string
		}{
			"plain":               {func(l *Legacy) {}, "accepted"},
			"cert in envelope":    {func(l *Legacy) { l.Envelope, l.Certificate = withCert, nil }, "accepted"},
			"no certificate":      {func(l *Legacy) { l.Certificate = nil }, ReasonKey},
			"certificate and key": {func(l *Legacy) { l.KeyHint = "k" }, ReasonFormat},
			"not PEM":             {func(l *Legacy) { l.Certificate = []byte("x") }, ReasonFormat},
			"no log entry":        {func(l *Legacy) { l.RekorBundle = nil }, ReasonNoLog},
			"other entry":         {func(l *Legacy) { l.RekorBundle = other.RekorBundle }, ReasonEntryOther},
			"other certificate":   {func(l *Legacy) { l.Certificate = other.Certificate }, ReasonEntryOther},
			"empty entry":         {func(l *Legacy) { l.RekorBundle = []byte("{}") }, ReasonFormat},
			"two entries":         {func(l *Legacy) { l.RekorBundle = append(l.RekorBundle, l.RekorBundle...) }, strictjson.ReasonSyntax},
			"empty timestamp":     {func(l *Legacy) { l.Timestamp = []byte(`{"SignedRFC3161Timestamp":""}`) }, ReasonTimestamp},
			"timestamp": {func(l *Legacy) {
				l.Timestamp = sigstoretest.Must(json.Marshal(map[string]any{"SignedRFC3161Timestamp": world.TSA.Stamp(signed.Signature, sigstoretest.Epoch.Add(3600e9), nil)}))
			}, "accepted"},
		} {
			l := legacyOf(t, signed)
			tc.change(&l)
			b, err := ParseLegacy(l)
			if err == nil {
				_, err = v.Verify(b, Options{})
			}
			if written, errWritten := l.Bundle(); errWritten == nil {
				if b, errWritten = ParseBundle(written); errWritten == nil {
					_, errWritten = v.Verify(b, Options{})
				}
				if reasonOf(errWritten) != tc.want {
					t.Errorf("%s: %s: as a bundle: %v, want %s", kind, name, errWritten, tc.want)
				}
			} else if reasonOf(errWritten) != tc.want {
				t.Errorf("%s: %s: no bundle: %v, want %s", kind, name, errWritten, tc.want)
			}
			if reasonOf(err) != tc.want {
				t.Errorf("%s: %s: %v, want %s", kind, name, err, tc.want)
			}
		}
	}
}
