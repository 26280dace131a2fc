package verify

import (
	"bytes"
	"time"
)

// sigstoreRoot is one Sigstore instance: its certificate authorities, logs and
// timestamp authorities.
type sigstoreRoot struct{}

// isBundle reports whether an attestation is a Sigstore bundle: its mediaType
// says so. What it is decides only which strict parser reads it.
func isBundle(attestation []byte) bool {
	head := attestation[:min(len(attestation), 4096)]
	return bytes.Contains(head, []byte(`"mediaType"`)) || bytes.Contains(attestation, []byte(`"verificationMaterial"`))
}

func openBundle(attestation []byte, trust *Trust, at time.Time) (*VerifiedStatement, error) {
	return nil, &RejectedError{Reason: ReasonNoSigstore, Msg: "a Sigstore bundle, and no Sigstore root is trusted"}
}

func (t *Trust) addSigstoreRoot(trustedRoot []byte) error {
	return nil
}
