package sigstore

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"net/http"
	"net/url"
	"time"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/webclient"
)

// A stamp is a timestamp over a signature.
type stamp struct {
	der  []byte // TimeStampResp
	time time.Time
}

var (
	oidSHA256     = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	oidSignedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidTSTInfo    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4}
)

// The structures of RFC 3161, sections 2.4.1 and 2.4.2.
type messageImprint struct {
	Algorithm pkix.AlgorithmIdentifier
	Hash      []byte
}

type timestampRequest struct {
	Version int
	Imprint messageImprint
	Nonce   *big.Int
	CertReq bool
}

type timestampResponse struct {
	Status struct{ Status int } // what follows is not needed
	Token  asn1.RawValue        `asn1:"optional"`
}

type contentInfo struct {
	Type    asn1.ObjectIdentifier
	Content asn1.RawValue `asn1:"explicit,tag:0"`
}

type signedData struct {
	Version int
	Digests asn1.RawValue
	Encap   struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue `asn1:"explicit,optional,tag:0"`
	}
}

type tstInfo struct {
	Version  int
	Policy   asn1.ObjectIdentifier
	Imprint  messageImprint
	Serial   *big.Int
	Time     time.Time `asn1:"generalized"`
	Accuracy struct {
		Seconds int `asn1:"optional"`
		Millis  int `asn1:"optional,tag:0"`
		Micros  int `asn1:"optional,tag:1"`
	} `asn1:"optional"`
	Ordering bool     `asn1:"optional"`
	Nonce    *big.Int `asn1:"optional"`
}

// getTimestamp has a signature stamped (RFC 3161 over HTTP, section 3.4).
func getTimestamp(ctx context.Context, c *http.Client, u *url.URL, signature []byte) (*stamp, error) {
	imprint := messageImprint{pkix.AlgorithmIdentifier{Algorithm: oidSHA256, Parameters: asn1.NullRawValue}, sha(signature)}
	var random [8]byte
	rand.Read(random[:])
	nonce := new(big.Int).SetBytes(random[:])
	body, err := asn1.Marshal(timestampRequest{1, imprint, nonce, true})
	if err != nil {
		return nil, fail(ReasonInput, "%v", err)
	}
	r, err := webclient.Do(ctx, c, webclient.Request{Method: "POST", URL: u, Body: body, ContentType: "application/timestamp-query", Accept: "application/timestamp-reply"})
	if err != nil {
		return nil, httpError(err)
	}
	if r.Status/100 != 2 {
		return nil, &Error{Reason: ReasonStatus, Status: r.Status, Msg: "answered " + http.StatusText(r.Status)}
	}
	return readTimestamp(r.Body, imprint.Hash, nonce)
}

// readTimestamp reads a TimeStampResp and checks that it is about what was
// sent. The authority's signature is for verifiers to check, who know its
// certificate.
func readTimestamp(der, hash []byte, nonce *big.Int) (*stamp, error) {
	malformed := func(what string, err error) (*stamp, error) {
		return nil, &Error{Reason: ReasonAnswer, Msg: "timestamp: " + what, Err: err}
	}
	if len(der) > limits.SigstoreTimestamp {
		return malformed("too large", nil)
	}
	var resp timestampResponse
	if rest, err := asn1.Unmarshal(der, &resp); err != nil || len(rest) > 0 {
		return malformed("not a TimeStampResp", err)
	}
	// RFC 3161, section 2.4.2: 1 is a token with modifications. We leave an
	// authority nothing to modify, and verifiers, those of Sigstore too, take
	// no response but one that is granted as it was asked for.
	if s := resp.Status.Status; s != 0 {
		return nil, fail(ReasonStatus, "timestamp: refused with status %d", s)
	}
	var info contentInfo
	if rest, err := asn1.Unmarshal(resp.Token.FullBytes, &info); err != nil || len(rest) > 0 || !info.Type.Equal(oidSignedData) {
		return malformed("not signed data", err)
	}
	var data signedData
	if _, err := asn1.Unmarshal(info.Content.Bytes, &data); err != nil || !data.Encap.Type.Equal(oidTSTInfo) {
		return malformed("not signed data of a timestamp", err)
	}
	var content []byte
	if rest, err := asn1.Unmarshal(data.Encap.Content.Bytes, &content); err != nil || len(rest) > 0 {
		return malformed("content", err)
	}
	var tst tstInfo
	if _, err := asn1.Unmarshal(content, &tst); err != nil {
		return malformed("TSTInfo", err)
	}
	switch {
	case !tst.Imprint.Algorithm.Algorithm.Equal(oidSHA256) || !bytes.Equal(tst.Imprint.Hash, hash):
		return nil, fail(ReasonMismatch, "timestamp: over something else than our signature")
	case tst.Nonce == nil || tst.Nonce.Cmp(nonce) != 0:
		return nil, fail(ReasonMismatch, "timestamp: not an answer to our request: other nonce")
	}
	return &stamp{der, tst.Time}, nil
}
