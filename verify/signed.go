package verify

import (
	"fmt"
	"time"

	"github.com/hallmark-build/hallmark/internal/dsse"
	"github.com/hallmark-build/hallmark/internal/limits"
)

// PolicyPayloadType is the DSSE payload type of signed policies. It is no
// in-toto type and is part of what is signed, so that no attestation can pose
// as a policy and no policy as an attestation, even under one key.
const PolicyPayloadType = "application/vnd.hallmark.policy.v1"

// OpenPolicy reads a policy from a DSSE envelope that at least threshold
// distinct keys of those given have signed. Keys outside their validity at the
// instant at do not count. The payload is read as by [ParsePolicy]; every error
// is a [*PolicyError], with reason [PolicyUnsigned] when the signatures do not
// suffice.
//
// That it is not an older policy than one seen before is for
// [Options].MinimumVersion: only the caller knows what it has seen.
func OpenPolicy(envelope []byte, keys []Key, threshold int, at time.Time) (*Policy, error) {
	unsigned := func(format string, args ...any) (*Policy, error) {
		return nil, &PolicyError{Reason: PolicyUnsigned, Msg: fmt.Sprintf(format, args...)}
	}
	switch {
	case at.IsZero():
		return unsigned("the instant of judgement is not set")
	case len(keys) == 0:
		return unsigned("no policy keys are given: nobody could have signed it")
	case threshold < 1 || threshold > len(keys):
		return unsigned("want a threshold between 1 and the %d keys, found %d", len(keys), threshold)
	case len(envelope) > 2*limits.Policy:
		return unsigned("an envelope of %d bytes exceeds the limit of %d", len(envelope), 2*limits.Policy)
	}
	for i, k := range keys {
		if k.Scheme == SchemeRawPayloadUnsafe {
			// It would vouch for whatever the key signed that reads as a policy.
			return nil, &PolicyError{Reason: PolicyKey, Msg: fmt.Sprintf("key %d: the scheme %q does not bind the payload type", i, SchemeRawPayloadUnsafe)}
		}
	}
	trust, err := NewTrust(keys...) // refuses a key that is given twice
	if err != nil {
		return nil, &PolicyError{Reason: PolicyKey, Msg: err.Error()}
	}
	env, err := dsse.Parse(envelope)
	if err != nil {
		return unsigned("not an envelope: %v", err)
	}
	if env.PayloadType != PolicyPayloadType {
		return unsigned("payload type is %.100q, want %q", env.PayloadType, PolicyPayloadType)
	}
	signatures, rejected := verifySignatures(env, trust, at)
	if rejected != nil {
		return unsigned("%s", rejected.Msg)
	}
	if len(signatures) < threshold {
		return unsigned("signed by %d of the %d policy keys, want %d", len(signatures), len(keys), threshold)
	}
	return ParsePolicy("", env.Payload)
}
