package sigstore

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	_ "crypto/sha1" // for ESSCertID of RFC 3161
	"crypto/x509"
	"encoding/asn1"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cryptobyteasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/hallmark-build/hallmark/internal/limits"
)

// RFC 3161 timestamps, read by a parser of our own over cryptobyte. The
// library that Sigstore uses (digitorus/timestamp over digitorus/pkcs7) takes
// BER, converts it and decodes it by reflection two times, does not look at
// the signing certificate attribute, and costs more than the signature that
// it is there to check. A timestamp that counts is DER with one signer; about
// two hundred lines read exactly that.

// A tsResponse is a TimeStampResp with exactly one signature (RFC 3161 2.4.2,
// RFC 5652 5).
type tsResponse struct {
	imprintHash crypto.Hash
	imprint     []byte
	genTime     time.Time

	content      []byte   // DER of TSTInfo: what is signed
	certificates [][]byte // DER

	signerIssuer []byte   // RawIssuer and serial number, or …
	signerSerial *big.Int //
	signerSKI    []byte   // … subject key id

	digest        crypto.Hash // of content
	signedAttrs   []byte      // DER, as a SET
	messageDigest []byte
	certHash      crypto.Hash // ESSCertID or ESSCertIDv2 of the signer
	certID        []byte
	sigHash       crypto.Hash // 0 where the algorithm names none
	sigKind       keyKind
	signature     []byte
}

type keyKind int

const (
	anyKey keyKind = iota
	ecdsaKey
	rsaKey
	ed25519Key
)

var (
	oidSignedData    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidTSTInfo       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4}
	oidContentType   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidMessageDigest = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	oidSigningCert   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 12}
	oidSigningCertV2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 47}

	oidHashes = []struct {
		oid  asn1.ObjectIdentifier
		hash crypto.Hash
	}{
		{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}, crypto.SHA256},
		{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}, crypto.SHA384},
		{asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}, crypto.SHA512},
	}
	oidSignatures = []struct {
		oid  asn1.ObjectIdentifier
		kind keyKind
		hash crypto.Hash
	}{
		{asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}, ecdsaKey, crypto.SHA256},
		{asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3}, ecdsaKey, crypto.SHA384},
		{asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 4}, ecdsaKey, crypto.SHA512},
		{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}, rsaKey, crypto.SHA256},
		{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 12}, rsaKey, crypto.SHA384},
		{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 13}, rsaKey, crypto.SHA512},
		{asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}, rsaKey, 0}, // the hash is that of the content
		{asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}, ecdsaKey, 0},   // likewise
		{asn1.ObjectIdentifier{1, 3, 101, 112}, ed25519Key, 0},
	}
)

var errMalformed = failf(ReasonTimestamp, spec3161, "malformed")

var (
	tag0  = cryptobyteasn1.Tag(0).ContextSpecific().Constructed()
	tag0p = cryptobyteasn1.Tag(0).ContextSpecific()
	tag1  = cryptobyteasn1.Tag(1).ContextSpecific().Constructed()
)

// parseTimestamp reads a TimeStampResp in DER.
func parseTimestamp(der []byte) (*tsResponse, error) {
	if len(der) > limits.SigstoreTimestamp {
		return nil, failf(ReasonLimit, spec3161, "timestamp of %d bytes", len(der))
	}
	t := new(tsResponse)
	input := cryptobyte.String(der)
	var resp, status, token, content, signed cryptobyte.String
	var oid asn1.ObjectIdentifier
	var code int
	if !input.ReadASN1(&resp, cryptobyteasn1.SEQUENCE) || !input.Empty() ||
		!resp.ReadASN1(&status, cryptobyteasn1.SEQUENCE) || !status.ReadASN1Integer(&code) {
		return nil, failf(ReasonTimestamp, spec3161, "malformed timestamp response")
	}
	// RFC 3161, section 2.4.2: 0 is granted, 1 with modifications of what was
	// asked for. Package sign/sigstore takes none of those either, nor do
	// other verifiers.
	if code != 0 {
		return nil, failf(ReasonTimestamp, spec3161, "timestamp response with status %d", code)
	}
	if !resp.ReadASN1(&token, cryptobyteasn1.SEQUENCE) || !resp.Empty() ||
		!token.ReadASN1ObjectIdentifier(&oid) || !oid.Equal(oidSignedData) ||
		!token.ReadASN1(&content, tag0) || !token.Empty() ||
		!content.ReadASN1(&signed, cryptobyteasn1.SEQUENCE) || !content.Empty() {
		return nil, failf(ReasonTimestamp, spec3161, "timestamp token is not signed data")
	}
	if err := t.readSignedData(signed); err != nil {
		return nil, err
	}
	return t, t.readTSTInfo()
}

// readSignedData reads the CMS SignedData (RFC 5652 5.1).
func (t *tsResponse) readSignedData(s cryptobyte.String) error {
	bad := func(what string) error { return failf(ReasonTimestamp, "RFC 5652 5.1", "timestamp token: %s", what) }
	var version int
	var digests, encap, explicit, content, certs, infos, info cryptobyte.String
	var oid asn1.ObjectIdentifier
	var hasCerts bool
	if !s.ReadASN1Integer(&version) || version != 3 || !s.ReadASN1(&digests, cryptobyteasn1.SET) {
		return bad("want signed data of version 3")
	}
	if !s.ReadASN1(&encap, cryptobyteasn1.SEQUENCE) || !encap.ReadASN1ObjectIdentifier(&oid) || !oid.Equal(oidTSTInfo) ||
		!encap.ReadASN1(&explicit, tag0) || !encap.Empty() ||
		!explicit.ReadASN1(&content, cryptobyteasn1.OCTET_STRING) || !explicit.Empty() {
		return bad("content is not a TSTInfo")
	}
	t.content = content
	if !s.ReadOptionalASN1(&certs, &hasCerts, tag0) || !s.SkipOptionalASN1(tag1) {
		return bad("malformed certificates")
	}
	for !certs.Empty() {
		var element cryptobyte.String
		var tag cryptobyteasn1.Tag
		if !certs.ReadAnyASN1Element(&element, &tag) || tag != cryptobyteasn1.SEQUENCE || len(t.certificates) == limits.SigstoreChain {
			return bad("malformed certificates, or too many")
		}
		t.certificates = append(t.certificates, element)
	}
	// RFC 3161 2.4.2: "The time-stamp token MUST NOT contain any signatures
	// other than the signature of the TSA."
	if !s.ReadASN1(&infos, cryptobyteasn1.SET) || !s.Empty() ||
		!infos.ReadASN1(&info, cryptobyteasn1.SEQUENCE) || !infos.Empty() {
		return bad("want exactly one signature")
	}
	return t.readSignerInfo(info)
}

// readSignerInfo reads the one SignerInfo (RFC 5652 5.3).
func (t *tsResponse) readSignerInfo(s cryptobyte.String) error {
	bad := func(what string) error {
		return failf(ReasonTimestamp, "RFC 5652 5.3", "timestamp signature: %s", what)
	}
	var version int
	var sid, ski, alg, attrs, sig cryptobyte.String
	if !s.ReadASN1Integer(&version) {
		return bad("malformed")
	}
	if s.PeekASN1Tag(cryptobyteasn1.SEQUENCE) {
		var name cryptobyte.String
		t.signerSerial = new(big.Int)
		if version != 1 || !s.ReadASN1(&sid, cryptobyteasn1.SEQUENCE) || !sid.ReadASN1Element(&name, cryptobyteasn1.SEQUENCE) ||
			!sid.ReadASN1Integer(t.signerSerial) || !sid.Empty() {
			return bad("malformed signer")
		}
		t.signerIssuer = name
	} else if version != 3 || !s.ReadASN1(&ski, tag0p) || ski.Empty() {
		return bad("malformed signer")
	} else {
		t.signerSKI = ski
	}
	var ok bool
	if !s.ReadASN1(&alg, cryptobyteasn1.SEQUENCE) {
		return bad("malformed digest algorithm")
	}
	if t.digest, ok = readHash(alg); !ok {
		return bad("want a digest by SHA-256, SHA-384 or SHA-512")
	}
	whole := s
	var element cryptobyte.String
	if !s.ReadASN1(&attrs, tag0) || !whole.ReadASN1Element(&element, tag0) {
		return bad("no signed attributes")
	}
	// RFC 5652 5.4: what is signed is the attributes with the tag of SET OF.
	t.signedAttrs = append([]byte{byte(cryptobyteasn1.SET)}, element[1:]...)
	var oid asn1.ObjectIdentifier
	if !s.ReadASN1(&alg, cryptobyteasn1.SEQUENCE) || !alg.ReadASN1ObjectIdentifier(&oid) {
		return bad("malformed signature algorithm")
	}
	for _, a := range oidSignatures {
		if a.oid.Equal(oid) {
			t.sigKind, t.sigHash = a.kind, a.hash
		}
	}
	if t.sigKind == anyKey {
		return failf(ReasonTimestamp, "RFC 5652 5.3", "unsupported signature algorithm %v of a timestamp", oid)
	}
	if t.sigHash == 0 && t.sigKind != ed25519Key {
		t.sigHash = t.digest
	}
	if !s.ReadASN1(&sig, cryptobyteasn1.OCTET_STRING) || !s.SkipOptionalASN1(tag1) || !s.Empty() {
		return bad("malformed")
	}
	t.signature = sig
	return t.readAttributes(attrs)
}

// readAttributes reads the signed attributes: content type, message digest
// (RFC 5652 11) and signing certificate (RFC 3161 2.4.2, RFC 5816), each
// exactly once. Others, the signing time among them, prove nothing here.
func (t *tsResponse) readAttributes(attrs cryptobyte.String) error {
	bad := func(what string) error { return failf(ReasonTimestamp, "RFC 5652 11", "timestamp attribute %s", what) }
	var hasType bool
	var seen []asn1.ObjectIdentifier
	var before cryptobyte.String
	for !attrs.Empty() {
		var element, attr, values, value cryptobyte.String
		var oid asn1.ObjectIdentifier
		if !attrs.ReadASN1Element(&element, cryptobyteasn1.SEQUENCE) || bytes.Compare(before, element) >= 0 {
			return bad("malformed, or not in the order of DER") // X.690 11.6
		}
		before = element
		if !element.ReadASN1(&attr, cryptobyteasn1.SEQUENCE) || !attr.ReadASN1ObjectIdentifier(&oid) ||
			!attr.ReadASN1(&values, cryptobyteasn1.SET) || !attr.Empty() {
			return bad("malformed")
		}
		for _, o := range seen {
			if o.Equal(oid) {
				return failf(ReasonTimestamp, "RFC 5652 11", "timestamp attribute %v twice", oid)
			}
		}
		if seen = append(seen, oid); len(seen) > 32 {
			return bad("list too long")
		}
		switch {
		case oid.Equal(oidContentType):
			hasType = true
			var content asn1.ObjectIdentifier
			if !values.ReadASN1ObjectIdentifier(&content) || !values.Empty() || !content.Equal(oidTSTInfo) {
				return bad("content type is not TSTInfo")
			}
		case oid.Equal(oidMessageDigest):
			if !values.ReadASN1(&value, cryptobyteasn1.OCTET_STRING) || !values.Empty() {
				return bad("message digest malformed")
			}
			t.messageDigest = value
		case oid.Equal(oidSigningCert), oid.Equal(oidSigningCertV2):
			v2 := oid.Equal(oidSigningCertV2)
			var certs, first, hash cryptobyte.String
			if !values.ReadASN1(&value, cryptobyteasn1.SEQUENCE) || !values.Empty() ||
				!value.ReadASN1(&certs, cryptobyteasn1.SEQUENCE) || !certs.ReadASN1(&first, cryptobyteasn1.SEQUENCE) {
				return bad("signing certificate malformed")
			}
			h := crypto.SHA1 // ESSCertID; it only names the certificate
			if v2 {
				h = crypto.SHA256
				if first.PeekASN1Tag(cryptobyteasn1.SEQUENCE) {
					var alg cryptobyte.String
					var ok bool
					if !first.ReadASN1(&alg, cryptobyteasn1.SEQUENCE) {
						return bad("signing certificate malformed")
					}
					if h, ok = readHash(alg); !ok {
						return bad("signing certificate with an unsupported hash")
					}
				}
			}
			if !first.ReadASN1(&hash, cryptobyteasn1.OCTET_STRING) {
				return bad("signing certificate malformed")
			}
			if t.certID == nil || v2 { // both may be there; the newer one counts
				t.certHash, t.certID = h, hash
			}
		}
	}
	if !hasType || t.messageDigest == nil || t.certID == nil {
		return bad("content type, message digest or signing certificate missing")
	}
	return nil
}

// readTSTInfo reads the signed content (RFC 3161 2.4.2).
func (t *tsResponse) readTSTInfo() error {
	bad := func(what string) error { return failf(ReasonTimestamp, spec3161, "timestamp: %s", what) }
	input := cryptobyte.String(t.content)
	var s, imprint, alg, hashed, when cryptobyte.String
	var version int
	var policy asn1.ObjectIdentifier
	var serial big.Int
	if !input.ReadASN1(&s, cryptobyteasn1.SEQUENCE) || !input.Empty() || !s.ReadASN1Integer(&version) || version != 1 ||
		!s.ReadASN1ObjectIdentifier(&policy) ||
		!s.ReadASN1(&imprint, cryptobyteasn1.SEQUENCE) ||
		!imprint.ReadASN1(&alg, cryptobyteasn1.SEQUENCE) || !imprint.ReadASN1(&hashed, cryptobyteasn1.OCTET_STRING) || !imprint.Empty() ||
		!s.ReadASN1Integer(&serial) ||
		!s.ReadASN1(&when, cryptobyteasn1.GeneralizedTime) {
		return bad("malformed TSTInfo")
	}
	var ok bool
	if t.imprintHash, ok = readHash(alg); !ok || len(hashed) != t.imprintHash.Size() {
		return bad("want a message imprint by SHA-256, SHA-384 or SHA-512")
	}
	t.imprint = hashed
	if t.genTime, ok = parseGenTime(when); !ok {
		return bad("malformed genTime")
	}
	// accuracy, ordering, nonce and tsa are of no consequence here; unknown
	// extensions are, if they are critical.
	var extensions cryptobyte.String
	var has bool
	if !s.SkipOptionalASN1(cryptobyteasn1.SEQUENCE) || !s.SkipOptionalASN1(cryptobyteasn1.BOOLEAN) ||
		!s.SkipOptionalASN1(cryptobyteasn1.INTEGER) || !s.SkipOptionalASN1(tag0) ||
		!s.ReadOptionalASN1(&extensions, &has, tag1) || !s.Empty() {
		return bad("malformed TSTInfo")
	}
	for !extensions.Empty() {
		var e cryptobyte.String
		var oid asn1.ObjectIdentifier
		var critical bool
		if !extensions.ReadASN1(&e, cryptobyteasn1.SEQUENCE) || !e.ReadASN1ObjectIdentifier(&oid) ||
			!e.ReadOptionalASN1Boolean(&critical, cryptobyteasn1.BOOLEAN, false) {
			return bad("malformed extension")
		}
		if critical {
			return failf(ReasonTimestamp, spec3161, "unknown critical extension %v of a timestamp", oid)
		}
	}
	return nil
}

// parseGenTime reads a GeneralizedTime in DER: UTC, seconds always there, a
// fraction without trailing zeros.
func parseGenTime(b []byte) (time.Time, bool) {
	s := string(b)
	if len(s) < 15 || s[len(s)-1] != 'Z' {
		return time.Time{}, false
	}
	fraction := s[14 : len(s)-1]
	if fraction != "" && (fraction[0] != '.' || len(fraction) < 2 || len(fraction) > 10 || fraction[len(fraction)-1] == '0') {
		return time.Time{}, false
	}
	t, err := time.Parse("20060102150405Z", s[:14]+"Z")
	if err != nil {
		return time.Time{}, false
	}
	scale := time.Second
	for i := 1; i < len(fraction); i++ {
		if fraction[i] < '0' || fraction[i] > '9' {
			return time.Time{}, false
		}
		scale /= 10
		t = t.Add(time.Duration(fraction[i]-'0') * scale)
	}
	return t, true
}

// readHash reads what is inside an AlgorithmIdentifier of a hash, whose
// parameters are absent or NULL (RFC 5754 2).
func readHash(alg cryptobyte.String) (crypto.Hash, bool) {
	var oid asn1.ObjectIdentifier
	var null cryptobyte.String
	if !alg.ReadASN1ObjectIdentifier(&oid) {
		return 0, false
	}
	if !alg.Empty() && (!alg.ReadASN1(&null, cryptobyteasn1.NULL) || !null.Empty() || !alg.Empty()) {
		return 0, false
	}
	for _, h := range oidHashes {
		if h.oid.Equal(oid) {
			return h.hash, true
		}
	}
	return 0, false
}

// isBy reports whether the token names c as its signer.
func (t *tsResponse) isBy(c *x509.Certificate) bool {
	if t.signerSKI != nil {
		return bytes.Equal(t.signerSKI, c.SubjectKeyId)
	}
	return t.signerSerial.Cmp(c.SerialNumber) == 0 && bytes.Equal(t.signerIssuer, c.RawIssuer)
}

// signedBy checks the token's signature by c (RFC 5652 5.4 and 5.6, RFC 3161
// 2.4.2 for the signing certificate).
func (t *tsResponse) signedBy(c *x509.Certificate) error {
	if !bytes.Equal(sum(t.certHash, c.Raw), t.certID) {
		return failf(ReasonTimestamp, "RFC 5816 2.2", "timestamp names another signing certificate than the one that is trusted")
	}
	if !bytes.Equal(sum(t.digest, t.content), t.messageDigest) {
		return failf(ReasonTimestamp, "RFC 5652 5.4", "timestamp's content is not what was signed")
	}
	ok := false
	switch c.PublicKey.(type) {
	case *ecdsa.PublicKey:
		ok = t.sigKind == ecdsaKey
	case *rsa.PublicKey:
		ok = t.sigKind == rsaKey
	case ed25519.PublicKey:
		ok = t.sigKind == ed25519Key
	}
	if !ok || !verifyDigest(c.PublicKey, t.sigHash, t.signedAttrs, t.signature) {
		return failf(ReasonTimestamp, "RFC 5652 5.6", "signature of a timestamp does not verify")
	}
	return nil
}

// verifyTimestamp verifies one RFC 3161 timestamp over signature (client-spec
// 4.2.1). known is false, with the reason in err, if it is by an authority
// that the root does not know or does not trust at that time; an error with
// known means that the timestamp is malformed or wrong.
func (v *Verifier) verifyTimestamp(der, signature []byte) (at time.Time, by *authority, known bool, err error) {
	t, err := parseTimestamp(der)
	if err != nil {
		return at, nil, true, err
	}
	nearest := error(failf(ReasonTSA, specTSA, "timestamp is by no authority that is trusted"))
	for _, a := range v.root.tsas {
		signer, i, err := t.signerFrom(a)
		if err != nil {
			nearest = err
		}
		if signer == nil || err != nil {
			continue
		}
		// Hybrid model: the authority, and its whole chain, when it signed.
		if err := certificateValidAt(signer, t.genTime); err != nil {
			nearest = err
			continue
		}
		if err := a.validAt(i, t.genTime); err != nil {
			nearest = err
			continue
		}
		if err := t.signedBy(signer); err != nil {
			return at, nil, true, err
		}
		if !bytes.Equal(sum(t.imprintHash, signature), t.imprint) {
			return at, nil, true, failf(ReasonTimestamp, specTSA, "timestamp is over another signature")
		}
		return t.genTime, a, true, nil
	}
	return at, nil, false, nearest
}

// signerFrom finds the certificate that signed the token among those that a
// vouches for, with the place in a's chain from which validity is judged. It
// is nil if a has nothing to do with the token.
func (t *tsResponse) signerFrom(a *authority) (*x509.Certificate, int, error) {
	// A chain that starts with the signer pins it: an embedded certificate
	// must be that one.
	if first := a.chain[0]; !first.IsCA {
		if !t.isBy(first) {
			return nil, 0, nil
		}
		if len(t.certificates) > 0 && !t.embeds(first.Raw) {
			return nil, 0, failf(ReasonTSA, specTSA, "certificate embedded in a timestamp is not the one that is trusted")
		}
		if err := a.pathError(0, x509.ExtKeyUsageTimeStamping); err != nil {
			return nil, 0, err
		}
		if len(a.chain) > 1 && !a.pathLengths(1) || a.paths.constrained {
			return nil, 0, errConstrained
		}
		return first, 0, checkTSA(first)
	}
	// Otherwise the token embeds it, and the chain has issued it.
	c, err := t.embeddedSigner()
	if c == nil {
		return nil, 0, err
	}
	for i, ca := range a.chain {
		if !bytes.Equal(ca.RawSubject, c.RawIssuer) {
			continue
		}
		if err := a.pathError(i, x509.ExtKeyUsageTimeStamping); err != nil {
			return nil, 0, err
		}
		if a.paths.constrained || !a.pathLengths(i) {
			return nil, 0, errConstrained
		}
		if c.CheckSignatureFrom(ca) == nil {
			return c, i, checkTSA(c)
		}
	}
	return nil, 0, nil
}

// embeddedSigner returns the first embedded certificate that the token names
// as its signer, or nil. Only that one is tried: each try costs a signature.
func (t *tsResponse) embeddedSigner() (*x509.Certificate, error) {
	for _, der := range t.certificates {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, wrapf(err, ReasonTimestamp, spec3161, "certificate embedded in a timestamp")
		}
		if t.isBy(c) {
			return c, nil
		}
	}
	return nil, nil
}

var errConstrained = failf(ReasonTSA, spec5280, "timestamp authority with name constraints, or with a longer path than they allow")

func (t *tsResponse) embeds(der []byte) bool {
	for _, c := range t.certificates {
		if bytes.Equal(c, der) {
			return true
		}
	}
	return false
}

// checkTSA checks the profile of a timestamp signer (RFC 3161 2.3): an end
// entity, with the one extended key usage timeStamping, critical.
func checkTSA(c *x509.Certificate) error {
	if c.IsCA || len(c.UnhandledCriticalExtensions) > 0 {
		return failf(ReasonTSA, "RFC 3161 2.3", "timestamp signer is a certificate authority, or has an unknown critical extension")
	}
	if len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) != 1 || !hasEKU(c, x509.ExtKeyUsageTimeStamping) {
		return failf(ReasonTSA, "RFC 3161 2.3", "timestamp signer without extended key usage timeStamping, or with others beside it")
	}
	if c.KeyUsage != 0 && c.KeyUsage&(x509.KeyUsageDigitalSignature|x509.KeyUsageContentCommitment) == 0 {
		return failf(ReasonTSA, "RFC 3161 2.3", "key usage of the timestamp signer does not allow signatures")
	}
	for _, e := range c.Extensions {
		if e.Id.Equal(oidEKU) && e.Critical {
			return nil
		}
	}
	return failf(ReasonTSA, "RFC 3161 2.3", "extended key usage of the timestamp signer is not critical")
}
