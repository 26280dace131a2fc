package verify

import (
	"context"

	"github.com/hallmark-build/hallmark/provenance"
)

// A Source finds evidence. Find returns every attestation (an envelope or
// bundle) of which some subject has the digest d; returning more does no harm,
// returning less makes chains fail. The order does not matter. An error means
// that the source could not be read, which is not the same as finding nothing:
// it ends the verification without a verdict.
//
// A Source is used by many goroutines at once. What it returns is not trusted.
type Source interface {
	Find(ctx context.Context, d provenance.Digest) ([][]byte, error)
}
