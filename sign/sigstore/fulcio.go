package sigstore

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/strictjson"
	"github.com/hallmark-build/hallmark/internal/webclient"
)

// oidSCTs is the list of signed certificate timestamps (RFC 6962, section 3.3).
var oidSCTs = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2}

// getCertificate asks Fulcio (API v2, POST /api/v2/signingCert) for a
// certificate that binds the token's identity to key.
func getCertificate(ctx context.Context, c *http.Client, fulcio *url.URL, token string, key *ecdsa.PrivateKey, wantSCT bool) (*x509.Certificate, error) {
	identity, err := challenge(token)
	if err != nil {
		return nil, err
	}
	spki, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, fail(ReasonKey, "%v", err)
	}
	// The proof of possession is a signature over the identity, so that
	// nobody gets a certificate for somebody else's key.
	proof, err := ecdsa.SignASN1(rand.Reader, key, sha([]byte(identity)))
	if err != nil {
		return nil, &Error{Reason: ReasonSigner, Msg: "sign", Err: err}
	}
	type publicKey struct {
		Algorithm string `json:"algorithm"`
		Content   string `json:"content"`
	}
	type publicKeyRequest struct {
		PublicKey         publicKey `json:"publicKey"`
		ProofOfPossession []byte    `json:"proofOfPossession"`
	}
	body, err := json.Marshal(struct {
		PublicKeyRequest publicKeyRequest `json:"publicKeyRequest"`
	}{publicKeyRequest{
		publicKey{"ECDSA", string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}))},
		proof,
	}})
	if err != nil {
		return nil, fail(ReasonInput, "%v", err)
	}
	r, err := webclient.Do(ctx, c, webclient.Request{Method: "POST", URL: fulcio.JoinPath("api/v2/signingCert"), Body: body, ContentType: "application/json", Bearer: token, Accept: "application/json"})
	if err != nil {
		return nil, httpError(err)
	}
	leaf, err := readCertificate(r, key, wantSCT)
	return leaf, about(webclient.Server(fulcio), err)
}

func readCertificate(r *webclient.Reply, key *ecdsa.PrivateKey, wantSCT bool) (*x509.Certificate, error) {
	if r.Status/100 != 2 {
		return nil, &Error{Reason: ReasonStatus, Status: r.Status, Msg: "answered " + http.StatusText(r.Status)}
	}
	type chain struct {
		Chain struct {
			Certificates []string `json:"certificates"`
		} `json:"chain"`
	}
	var answer struct {
		Embedded *chain `json:"signedCertificateEmbeddedSct"`
		Detached *chain `json:"signedCertificateDetachedSct"`
	}
	if err := strictjson.Into(r.Body, limits.HTTPBody, &answer); err != nil {
		return nil, &Error{Reason: ReasonAnswer, Msg: "certificate", Err: err}
	}
	got := answer.Embedded
	if got == nil {
		// Without a CT log Fulcio answers so too. A v0.3 bundle has no place
		// for a detached timestamp.
		got = answer.Detached
	}
	if got == nil || len(got.Chain.Certificates) == 0 {
		return nil, fail(ReasonAnswer, "answer without certificate")
	}
	if n := len(got.Chain.Certificates); n > limits.SigstoreChain {
		return nil, fail(ReasonAnswer, "want a chain of at most %d certificates, found %d", limits.SigstoreChain, n)
	}
	var certs []*x509.Certificate
	for _, text := range got.Chain.Certificates {
		block, rest := pem.Decode([]byte(text))
		if block == nil || block.Type != "CERTIFICATE" || len(bytes.TrimSpace(rest)) > 0 || len(block.Bytes) > limits.SigstoreCertificate {
			return nil, fail(ReasonAnswer, "want one certificate in PEM for each link of the chain")
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, &Error{Reason: ReasonAnswer, Msg: "certificate", Err: err}
		}
		certs = append(certs, cert)
	}
	leaf := certs[0]
	switch {
	case !key.PublicKey.Equal(leaf.PublicKey):
		return nil, fail(ReasonMismatch, "the certificate is for another key")
	case leaf.IsCA || leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 || !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageCodeSigning):
		return nil, fail(ReasonMismatch, "the certificate is not one for code signing")
	case wantSCT && !slices.ContainsFunc(leaf.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(oidSCTs) && len(e.Value) > 4 }):
		return nil, fail(ReasonMismatch, "the certificate carries no signed certificate timestamp")
	}
	if len(certs) > 1 {
		if err := leaf.CheckSignatureFrom(certs[1]); err != nil {
			return nil, &Error{Reason: ReasonMismatch, Msg: "the certificate is not signed by the next of its chain", Err: err}
		}
	}
	return leaf, nil
}

// challenge returns what Fulcio wants signed to prove possession of the key:
// the token's verified e-mail address or else its subject. The token is not
// verified here; that is Fulcio's part.
func challenge(token string) (string, error) {
	if len(token) > limits.SigningToken {
		return "", fail(ReasonToken, "want a token of at most %d bytes, found %d", limits.SigningToken, len(token))
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 || parts[0] == "" || parts[1] == "" || parts[2] == "" {
		return "", fail(ReasonToken, "want a signed JWT of three parts")
	}
	for _, p := range parts {
		if _, err := base64.RawURLEncoding.Strict().DecodeString(p); err != nil {
			return "", fail(ReasonToken, "a part of the JWT is not base64url")
		}
	}
	payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
	var subject, email string
	verified := false
	p := strictjson.NewParser(payload, limits.SigningToken)
	err := p.Object(func(name []byte) (err error) {
		switch string(name) {
		case "sub":
			return readString(p, &subject)
		case "email":
			return readString(p, &email)
		case "email_verified": // some providers write it as a string
			if p.Kind() == strictjson.String {
				s, err := p.String()
				verified = s == "true"
				return err
			}
			verified, err = p.Bool()
			return err
		}
		return p.Skip()
	})
	if err == nil {
		err = p.End()
	}
	switch {
	case err != nil:
		// The parser's message may quote the token.
		return "", fail(ReasonToken, "the JWT's claims are not strict JSON")
	case email != "" && !verified:
		return "", fail(ReasonToken, "the token's e-mail address is not verified by its issuer")
	case email != "":
		return email, nil
	case subject == "":
		return "", fail(ReasonToken, "the token names no subject")
	}
	return subject, nil
}
