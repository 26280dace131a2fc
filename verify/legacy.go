package verify

import (
	"github.com/hallmark-build/hallmark/internal/dsse"
	"github.com/hallmark-build/hallmark/internal/sigstore"
)

// CosignBundle turns an attestation as cosign attached it to images before there
// were bundles into a Sigstore bundle (v0.1), to be given to [Open] or
// [NewEvidence]. Envelope is the layer, a DSSE envelope, and annotations are
// those of the layer:
//
//	dev.sigstore.cosign/certificate       the signer's certificate, in PEM
//	dev.sigstore.cosign/bundle            the log entry, with the log's signed entry timestamp
//	dev.sigstore.cosign/rfc3161timestamp  a timestamp, if there is one
//
// All others are passed over. The certificate may stand in the envelope's
// signature ("cert") instead; an attestation without any was signed with a key, which
// must be among those of the Trust that opens it.
//
// Nothing is verified here. An attestation that says too little to be judged
// without asking the log is refused with a [*RejectedError] that names what is missing.
func CosignBundle(envelope []byte, annotations map[string]string) ([]byte, error) {
	env, err := dsse.Parse(envelope)
	if err != nil {
		return nil, malformed(err, nil)
	}
	l := sigstore.Legacy{
		Envelope:    envelope,
		Certificate: []byte(annotations["dev.sigstore.cosign/certificate"]),
		RekorBundle: []byte(annotations["dev.sigstore.cosign/bundle"]),
		Timestamp:   []byte(annotations["dev.sigstore.cosign/rfc3161timestamp"]),
	}
	if len(l.Certificate) == 0 && !hasCertificate(env) {
		l.KeyHint = "cosign" // cosign keeps no name of the key
	}
	bundle, err := l.Bundle()
	if err != nil {
		rejected := bundleError(err)
		rejected.UnverifiedPayload = env.Payload
		return nil, rejected
	}
	return bundle, nil
}

// hasCertificate reports whether a signature of an envelope carries a
// certificate, as it was done before bundles.
func hasCertificate(env *dsse.Envelope) bool {
	for _, s := range env.Signatures {
		if len(s.Certificate) > 0 {
			return true
		}
	}
	return false
}
