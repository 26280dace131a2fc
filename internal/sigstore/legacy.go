package sigstore

import (
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"strconv"
	"strings"

	"github.com/hallmark-build/hallmark/internal/dsse"
	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/strictjson"
)

// A Legacy is an attestation from before bundles: a DSSE envelope, and beside
// it what cosign wrote into the annotations of an image's attestation layer.
// An envelope that carries its certificate in the signature's "cert" field
// needs no Certificate.
type Legacy struct {
	Envelope    []byte // the layer, or the file
	Certificate []byte // dev.sigstore.cosign/certificate, in PEM; the leaf first
	RekorBundle []byte // dev.sigstore.cosign/bundle: {"SignedEntryTimestamp":…,"Payload":{…}}
	Timestamp   []byte // dev.sigstore.cosign/rfc3161timestamp: {"SignedRFC3161Timestamp":…}
	// KeyHint names the managed key of an attestation without certificate,
	// which is empty then.
	KeyHint string
}

// ParseLegacy reads a legacy attestation as the v0.1 bundle that says the
// same, to be verified as one. It asks for what it takes to judge it offline:
// a certificate or the hint at a key, and a log entry with a signed entry
// timestamp; the error says what is missing.
func ParseLegacy(l Legacy) (*Bundle, error) {
	e, err := dsse.Parse(l.Envelope)
	if err != nil {
		return nil, err
	}
	if len(e.Signatures) != 1 {
		return nil, failf(ReasonEnvelope, specProto, "want a DSSE envelope with exactly one signature, found %d", len(e.Signatures))
	}
	b := &Bundle{version: 1, isEnvelope: true, payloadType: e.PayloadType, payload: e.Payload, signature: e.Signatures[0].Sig}
	text := l.Certificate
	if len(text) == 0 {
		text = e.Signatures[0].Certificate
	}
	switch {
	case len(text) > limits.SigstoreCertificate*2:
		return nil, failf(ReasonLimit, specBundle, "certificate of %d bytes", len(text))
	case len(text) > 0 && l.KeyHint != "":
		return nil, failf(ReasonFormat, specBundle, "legacy attestation with both a certificate and a key")
	case len(text) > 0:
		block, _ := pem.Decode(text)
		if block == nil || block.Type != "CERTIFICATE" {
			return nil, failf(ReasonFormat, specBundle, "certificate of a legacy attestation is not in PEM")
		}
		b.certificate, b.hasChain = block.Bytes, true
	case l.KeyHint == "":
		return nil, failf(ReasonKey, specBundle, "legacy attestation has neither certificate nor key")
	}
	b.keyHint = l.KeyHint
	if len(l.RekorBundle) == 0 {
		return nil, failf(ReasonNoLog, specBundle, "legacy attestation has no log entry (annotation dev.sigstore.cosign/bundle), which only a request to the log could replace")
	}
	entry, err := readRekorBundle(l.RekorBundle)
	if err != nil {
		return nil, err
	}
	b.entries = append(b.entries, *entry)
	if len(l.Timestamp) > 0 {
		p := strictjson.NewParser(l.Timestamp, 2*limits.SigstoreTimestamp)
		var ts []byte
		err := message(p, []string{"SignedRFC3161Timestamp"}, func(string) (err error) {
			ts, err = base64Bytes(p, limits.SigstoreTimestamp)
			return err
		})
		if err == nil {
			err = p.End()
		}
		if err != nil {
			return nil, err
		}
		b.timestamps = append(b.timestamps, ts)
	}
	return b, b.check()
}

// Bundle returns the v0.1 bundle that [ParseLegacy] reads a legacy attestation
// as, for whoever keeps bundles.
func (l Legacy) Bundle() ([]byte, error) {
	b, err := ParseLegacy(l)
	if err != nil {
		return nil, err
	}
	e := &b.entries[0]
	material := map[string]any{"tlogEntries": []any{map[string]any{
		"logIndex":          strconv.FormatInt(e.logIndex, 10),
		"logId":             map[string]any{"keyId": e.logID},
		"kindVersion":       map[string]any{"kind": e.kind, "version": e.version},
		"integratedTime":    strconv.FormatInt(e.integratedTime, 10),
		"inclusionPromise":  map[string]any{"signedEntryTimestamp": e.set},
		"canonicalizedBody": e.body,
	}}}
	if b.certificate != nil {
		material["x509CertificateChain"] = map[string]any{"certificates": []any{map[string]any{"rawBytes": b.certificate}}}
	} else {
		material["publicKey"] = map[string]any{"hint": b.keyHint}
	}
	if len(b.timestamps) > 0 {
		material["timestampVerificationData"] = map[string]any{"rfc3161Timestamps": []any{map[string]any{"signedTimestamp": b.timestamps[0]}}}
	}
	return json.Marshal(map[string]any{
		"mediaType":            "application/vnd.dev.sigstore.bundle+json;version=0.1",
		"verificationMaterial": material,
		"dsseEnvelope": map[string]any{
			"payloadType": b.payloadType, "payload": b.payload, "signatures": []any{map[string]any{"sig": b.signature}},
		},
	})
}

// readRekorBundle reads cosign's record of what Rekor v1 answered.
func readRekorBundle(data []byte) (*entry, error) {
	p := strictjson.NewParser(data, limits.Statement)
	e := new(entry)
	err := message(p, []string{"SignedEntryTimestamp", "Payload"}, func(name string) (err error) {
		if name == "SignedEntryTimestamp" {
			e.set, err = base64Bytes(p, maxSignature)
			return err
		}
		return message(p, []string{"body", "integratedTime", "logIndex", "logID"}, func(name string) (err error) {
			switch name {
			case "body":
				e.body, err = base64Bytes(p, limits.Statement)
			case "integratedTime":
				e.integratedTime, err = p.Int()
			case "logIndex":
				e.logIndex, err = p.Int()
			case "logID":
				var s string
				if s, err = p.String(); err != nil {
					return err
				}
				if e.logID, err = hex.DecodeString(s); err != nil || len(e.logID) > 64 || s != strings.ToLower(s) {
					err = p.Failf(ReasonFormat, "want lower-case hex as logID")
				}
			}
			return err
		})
	})
	if err == nil {
		err = p.End()
	}
	if err != nil {
		return nil, err
	}
	if len(e.set) == 0 || len(e.body) == 0 || len(e.logID) == 0 || e.logIndex < 0 {
		return nil, failf(ReasonFormat, specBundle, "log entry of a legacy attestation without SignedEntryTimestamp, body or logID")
	}
	// The annotation does not repeat kind and version.
	body := strictjson.NewParser(e.body, 0)
	err = message(body, []string{"apiVersion", "kind"}, func(name string) (err error) {
		if name == "kind" {
			e.kind, err = body.String()
		} else {
			e.version, err = body.String()
		}
		return err
	})
	if err == nil {
		err = body.End()
	}
	if err != nil {
		return nil, wrapf(err, ReasonEntry, specEntry, "body of a log entry")
	}
	return e, nil
}
