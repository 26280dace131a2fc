package sigstore

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/binary"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cryptobyteasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/hallmark-build/hallmark/internal/limits"
)

// An sct is a SignedCertificateTimestamp of version 1 (RFC 6962 3.2).
type sct struct {
	logID      []byte
	timestamp  uint64 // milliseconds
	extensions []byte // not empty in the logs of the static-ct-api
	hash, sig  uint8  // SignatureAndHashAlgorithm (RFC 5246 7.4.1.4.1)
	signature  []byte
}

// parseSCTs reads the value of the embedded list's extension (RFC 6962 3.3).
func parseSCTs(extension []byte) ([]sct, error) {
	bad := func() ([]sct, error) {
		return nil, failf(ReasonSCT, "RFC 6962 3.3", "malformed list of signed certificate timestamps")
	}
	der := cryptobyte.String(extension)
	var tls, list cryptobyte.String
	if !der.ReadASN1(&tls, cryptobyteasn1.OCTET_STRING) || !der.Empty() ||
		!tls.ReadUint16LengthPrefixed(&list) || !tls.Empty() || list.Empty() {
		return bad()
	}
	var scts []sct
	for !list.Empty() {
		if len(scts) == limits.SigstoreSCTs {
			return nil, failf(ReasonLimit, "RFC 6962 3.3", "more than %d signed certificate timestamps", limits.SigstoreSCTs)
		}
		var one, extensions, signature cryptobyte.String
		var version uint8
		var s sct
		if !list.ReadUint16LengthPrefixed(&one) || !one.ReadUint8(&version) {
			return bad()
		}
		if version != 0 {
			// RFC 6962 3.3: other versions are to be ignored, not refused.
			continue
		}
		if !one.ReadBytes(&s.logID, 32) || !one.ReadUint64(&s.timestamp) ||
			!one.ReadUint16LengthPrefixed(&extensions) ||
			!one.ReadUint8(&s.hash) || !one.ReadUint8(&s.sig) ||
			!one.ReadUint16LengthPrefixed(&signature) || !one.Empty() {
			return bad()
		}
		s.extensions, s.signature = extensions, signature
		scts = append(scts, s)
	}
	return scts, nil
}

// verifySCTs counts the operators of trusted CT logs that have signed for the
// leaf (client-spec 4.3, RFC 6962 3.2). A timestamp by an unknown log, or from
// outside the key's window, is passed over; a wrong signature by a known log
// is not.
func (v *Verifier) verifySCTs(l *leaf, by issuer) (operators int, err error) {
	if l.scts == nil {
		return 0, nil
	}
	scts, err := parseSCTs(l.scts)
	if err != nil {
		return 0, err
	}
	var signed []byte
	var counted tally
	for i := range scts {
		s := &scts[i]
		for _, log := range logsByID(v.root.ctLogs, s.logID) {
			if s.timestamp > 1<<52 || !log.validFor.contains(time.UnixMilli(int64(s.timestamp))) {
				continue
			}
			if signed == nil {
				tbs, err := precertificate(l.x509.RawTBSCertificate)
				if err != nil {
					return 0, err
				}
				key := sha256.Sum256(by.cert().RawSubjectPublicKeyInfo)
				signed = append(append(make([]byte, sctHeader, sctHeader+len(key)+3+len(tbs)+64), key[:]...),
					byte(len(tbs)>>16), byte(len(tbs)>>8), byte(len(tbs)))
				signed = append(signed, tbs...)
			}
			if !log.verifySCT(s, signed) {
				return 0, failf(ReasonSCT, spec6962, "signed certificate timestamp of log %.80q does not verify", log.baseURL)
			}
			counted.add(log.operator)
		}
	}
	return counted.n(), nil
}

// sctHeader is version, signature type, timestamp and entry type.
const sctHeader = 1 + 1 + 8 + 2

// verifySCT checks the signature over the digitally-signed struct of RFC 6962
// 3.2, of which signed has everything from the issuer key hash to the
// certificate; it is completed in place.
func (l *tlog) verifySCT(s *sct, signed []byte) bool {
	_, isRSA := l.key.(*rsa.PublicKey)
	if s.hash != 4 /* sha256 */ || s.sig != 3 && !isRSA || s.sig != 1 && isRSA {
		return false
	}
	signed[0], signed[1] = 0, 0 // v1, certificate_timestamp
	binary.BigEndian.PutUint64(signed[2:], s.timestamp)
	signed[10], signed[11] = 0, 1 // precert_entry
	signed = append(signed, byte(len(s.extensions)>>8), byte(len(s.extensions)))
	signed = append(signed, s.extensions...)
	return verifyDigest(l.key, crypto.SHA256, signed, s.signature)
}

var tagExtensions = cryptobyteasn1.Tag(3).ContextSpecific().Constructed()

// precertificate removes the SCT list from a TBSCertificate (RFC 6962 3.2):
// everything else stays as it is, byte for byte.
func precertificate(tbs []byte) ([]byte, error) {
	input := cryptobyte.String(tbs)
	var body cryptobyte.String
	ok := input.ReadASN1(&body, cryptobyteasn1.SEQUENCE) && input.Empty()
	before := body
	var extensions, list cryptobyte.String
	for ok {
		if body.PeekASN1Tag(tagExtensions) {
			ok = body.ReadASN1(&extensions, tagExtensions) && body.Empty() &&
				extensions.ReadASN1(&list, cryptobyteasn1.SEQUENCE) && extensions.Empty()
			break
		}
		var tag cryptobyteasn1.Tag
		var skip cryptobyte.String
		ok = body.ReadAnyASN1Element(&skip, &tag)
	}
	if !ok {
		return nil, failf(ReasonSCT, spec6962, "malformed certificate")
	}
	// body is what was left when the loop stopped: the extensions come last.
	b := cryptobyte.NewBuilder(make([]byte, 0, len(tbs)))
	b.AddASN1(cryptobyteasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for !before.PeekASN1Tag(tagExtensions) {
			var tag cryptobyteasn1.Tag
			var element cryptobyte.String
			if !before.ReadAnyASN1Element(&element, &tag) {
				return
			}
			b.AddBytes(element)
		}
		b.AddASN1(tagExtensions, func(b *cryptobyte.Builder) {
			b.AddASN1(cryptobyteasn1.SEQUENCE, func(b *cryptobyte.Builder) {
				for !list.Empty() {
					var element, content cryptobyte.String
					var oid asn1.ObjectIdentifier
					if !list.ReadASN1Element(&element, cryptobyteasn1.SEQUENCE) {
						b.SetError(errMalformed)
						return
					}
					whole := element
					if !whole.ReadASN1(&content, cryptobyteasn1.SEQUENCE) || !content.ReadASN1ObjectIdentifier(&oid) {
						b.SetError(errMalformed)
						return
					}
					if !oid.Equal(oidSCTList) {
						b.AddBytes(element)
					}
				}
			})
		})
	})
	out, err := b.Bytes()
	if err != nil {
		return nil, wrapf(err, ReasonSCT, spec6962, "malformed certificate")
	}
	return out, nil
}
