// Package dsse reads and writes Dead Simple Signing Envelopes
// (https://github.com/secure-systems-lab/dsse, v1.0.2): what is signed is the
// pre-authentication encoding of type and payload, so the bytes that were
// verified are the bytes that are used and nothing is canonicalised.
package dsse

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
	"unicode/utf8"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/strictjson"
)

// An Envelope is a payload with its type and signatures.
type Envelope struct {
	PayloadType string
	Payload     []byte
	Signatures  []Signature
}

// A Signature is one signature of an envelope. KeyID is an unauthenticated
// hint (envelope.md): it never decides anything.
type Signature struct {
	KeyID string
	Sig   []byte
	// Certificate is the PEM chain of the "cert" extension that older
	// writers put beside a signature; unauthenticated.
	Certificate []byte
}

// PAE returns the pre-authentication encoding (protocol.md): lengths are
// decimal byte counts.
func PAE(payloadType string, payload []byte) []byte {
	b := make([]byte, 0, len("DSSEv1")+2+20+len(payloadType)+2+20+len(payload))
	b = append(b, "DSSEv1 "...)
	b = strconv.AppendInt(b, int64(len(payloadType)), 10)
	b = append(b, ' ')
	b = append(b, payloadType...)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(len(payload)), 10)
	b = append(b, ' ')
	return append(b, payload...)
}

// Reasons of the errors of [Parse], beside those of strictjson.
const (
	ReasonMissing = "envelope-field-missing" // payload, payloadType, signatures or sig is absent
	ReasonBase64  = "envelope-base64"        // payload or sig is not strict base64
	ReasonLimit   = "envelope-limit"         // too many signatures
)

// Parse reads an envelope from the whole of data.
func Parse(data []byte) (*Envelope, error) {
	p := strictjson.NewParser(data, 0)
	e, err := Read(p)
	if err == nil {
		err = p.End()
	}
	if err != nil {
		return nil, err
	}
	return e, nil
}

// Read reads an envelope that is the next value of p. The required fields
// (envelope.md: payload, payloadType, signatures, sig) must be set, if to the
// empty value; unknown fields are ignored.
func Read(p *strictjson.Parser) (*Envelope, error) {
	e := new(Envelope)
	var hasPayload, hasType, hasSigs bool
	err := p.Object(func(name []byte) (err error) {
		switch string(name) {
		case "payload":
			hasPayload = true
			var b []byte
			if b, err = p.StringBytes(); err != nil {
				return err
			}
			if e.Payload, err = DecodeBase64(b); err != nil {
				return p.Failf(ReasonBase64, "payload: %v", err)
			}
		case "payloadType":
			hasType = true
			e.PayloadType, err = p.String()
		case "signatures":
			hasSigs = true
			err = p.Array(func(i int) error {
				if i >= limits.Signatures {
					return p.Failf(ReasonLimit, "more than %d signatures", limits.Signatures)
				}
				s, err := readSignature(p)
				e.Signatures = append(e.Signatures, s)
				return err
			})
		default:
			err = p.Unknown(name, "payload", "payloadType", "signatures")
		}
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case !hasPayload:
		return nil, p.Failf(ReasonMissing, "envelope has no payload")
	case !hasType:
		return nil, p.Failf(ReasonMissing, "envelope has no payloadType")
	case !hasSigs:
		return nil, p.Failf(ReasonMissing, "envelope has no signatures")
	}
	return e, nil
}

func readSignature(p *strictjson.Parser) (s Signature, err error) {
	hasSig := false
	err = p.Object(func(name []byte) (err error) {
		switch string(name) {
		case "sig":
			hasSig = true
			var b []byte
			if b, err = p.StringBytes(); err != nil {
				return err
			}
			if s.Sig, err = DecodeBase64(b); err != nil {
				return p.Failf(ReasonBase64, "sig: %v", err)
			}
		case "keyid":
			if p.Kind() == strictjson.Null {
				return p.Null() // unset, null and empty are the same
			}
			s.KeyID, err = p.String()
		case "cert":
			if p.Kind() != strictjson.String {
				return p.Skip()
			}
			var b []byte
			b, err = p.StringBytes()
			s.Certificate = append([]byte(nil), b...)
		default:
			err = p.Unknown(name, "sig", "keyid", "cert")
		}
		return err
	})
	if err == nil && !hasSig {
		err = p.Failf(ReasonMissing, "signature has no sig")
	}
	return s, err
}

// Encode writes an envelope on one line: standard base64 with padding, field
// order fixed, no trailing newline. It fails when the payload type or a hint
// is not valid UTF-8: JSON cannot hold it, and an encoder that replaces what
// is not would name another type than the one that was signed.
func (e *Envelope) Encode() ([]byte, error) {
	size := 128 + 2*len(e.PayloadType) + base64.StdEncoding.EncodedLen(len(e.Payload))
	for _, s := range e.Signatures {
		size += 32 + 2*len(s.KeyID) + base64.StdEncoding.EncodedLen(len(s.Sig)) + 2*len(s.Certificate)
	}
	b := append(make([]byte, 0, size), `{"payloadType":`...)
	b, ok := appendString(b, e.PayloadType)
	b = append(b, `,"payload":"`...)
	b = base64.StdEncoding.AppendEncode(b, e.Payload)
	b = append(b, `","signatures":[`...)
	for i, s := range e.Signatures {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '{')
		if s.KeyID != "" {
			var valid bool
			b, valid = appendString(append(b, `"keyid":`...), s.KeyID)
			b = append(b, ',')
			ok = ok && valid
		}
		b = append(b, `"sig":"`...)
		b = base64.StdEncoding.AppendEncode(b, s.Sig)
		b = append(b, '"')
		if len(s.Certificate) > 0 {
			var valid bool
			b, valid = appendString(append(b, `,"cert":`...), string(s.Certificate))
			ok = ok && valid
		}
		b = append(b, '}')
	}
	if !ok {
		return nil, errors.New("payload type, key id or certificate is not valid UTF-8")
	}
	return append(b, "]}"...), nil
}

func appendString(b []byte, s string) ([]byte, bool) {
	if !utf8.ValidString(s) {
		return b, false
	}
	q, _ := json.Marshal(s) // a valid string always encodes
	return append(b, q...), true
}

type base64Error string

func (e base64Error) Error() string { return string(e) }

// DecodeBase64 is the one base64 rule of this module. DSSE lets writers use the standard or
// the URL-safe alphabet and verifiers must take either (protocol.md); padding
// is absent in much of what is in the wild. Refused: both alphabets in one
// value, line breaks or any other byte (encoding/base64 skips \r and \n),
// wrong padding, and trailing bits that are not zero, so that one value has
// one encoding per alphabet and padding choice.
func DecodeBase64(b []byte) ([]byte, error) {
	// A quantum of four may end in one or two padding bytes; any other '=' is
	// outside the unpadded alphabets below.
	n := len(b)
	if n%4 == 0 && n > 0 && b[n-1] == '=' {
		n--
		if b[n-1] == '=' {
			n--
		}
	}
	if bytes.IndexByte(b, '\n') >= 0 || bytes.IndexByte(b, '\r') >= 0 {
		return nil, base64Error("line break in base64")
	}
	enc := base64.RawStdEncoding
	if bytes.IndexByte(b, '-') >= 0 || bytes.IndexByte(b, '_') >= 0 {
		enc = base64.RawURLEncoding
	}
	out := make([]byte, enc.DecodedLen(n))
	m, err := enc.Strict().Decode(out, b[:n])
	if err != nil {
		return nil, base64Error("malformed base64")
	}
	return out[:m], nil
}
