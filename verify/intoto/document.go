package intoto

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/hallmark-build/hallmark/internal/dsse"
	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/sigalg"
	"github.com/hallmark-build/hallmark/internal/strictjson"
	"github.com/hallmark-build/hallmark/provenance/layout"
	"github.com/hallmark-build/hallmark/provenance/predicate"
)

// A document is a layout or a link with its signatures, from a Metablock or a
// DSSE envelope. Nothing of it is believed before signedBy.
type document struct {
	typ        string // "layout" or "link", or LayoutPayloadType
	body       []byte // the document itself
	message    []byte // what the signatures are over
	signatures []signature
}

type signature struct {
	keyID       string // a hint
	sig         []byte
	certificate []byte // PEM, or nil
}

// readDocument reads a Metablock or an envelope.
func readDocument(data []byte) (*document, error) {
	kind := ""
	p := strictjson.NewParser(data, 0)
	err := p.Object(func(name []byte) error {
		switch string(name) {
		case "signed", "payload":
			if kind != "" {
				return errors.New("both a Metablock and an envelope")
			}
			kind = string(name)
		}
		return p.Skip()
	})
	if err == nil {
		err = p.End()
	}
	switch {
	case err != nil:
		return nil, err
	case kind == "signed":
		return readMetablock(data)
	case kind == "payload":
		return readEnvelope(data)
	}
	return nil, errors.New("neither a Metablock nor an envelope")
}

func readEnvelope(data []byte) (*document, error) {
	e, err := dsse.Parse(data)
	if err != nil {
		return nil, err
	}
	d := &document{body: e.Payload, message: dsse.PAE(e.PayloadType, e.Payload)}
	for _, s := range e.Signatures {
		d.signatures = append(d.signatures, signature{s.KeyID, s.Sig, s.Certificate})
	}
	switch e.PayloadType {
	case LayoutPayloadType:
		d.typ = LayoutPayloadType
		return d, nil
	case layout.PayloadType:
		return d, d.readType()
	}
	return nil, fmt.Errorf("payload type is %s, want %q", clip(e.PayloadType), layout.PayloadType)
}

func readMetablock(data []byte) (*document, error) {
	d := new(document)
	hasSignatures := false
	p := strictjson.NewParser(data, 0)
	err := p.Object(func(name []byte) (err error) {
		switch string(name) {
		case "signed":
			d.body, err = p.Raw()
			return err
		case "signatures":
			hasSignatures = true
			return p.Array(func(i int) error {
				if i == limits.Signatures {
					return fmt.Errorf("more than %d signatures", limits.Signatures)
				}
				s, err := readSignature(p)
				d.signatures = append(d.signatures, s)
				return err
			})
		}
		return p.Unknown(name, "signed", "signatures")
	})
	if err != nil {
		return nil, err
	}
	if !hasSignatures {
		return nil, errors.New("a Metablock without signatures")
	}
	if err := d.readType(); err != nil {
		return nil, err
	}
	d.message, err = layout.Canonical(d.body)
	return d, err
}

func readSignature(p *strictjson.Parser) (s signature, err error) {
	hasSig, openPGP := false, false
	err = p.Object(func(name []byte) (err error) {
		switch string(name) {
		case "keyid":
			s.keyID, err = p.String()
		case "sig", "signature": // OpenPGP signatures have the other name
			hasSig = hasSig || string(name) == "sig"
			var text string
			if text, err = p.String(); err == nil {
				if s.sig, err = hex.DecodeString(text); err != nil {
					err = errors.New("a signature that is not hexadecimal")
				}
			}
		case "cert":
			var b []byte
			b, err = p.StringBytes()
			s.certificate = append([]byte(nil), b...)
		case "other_headers":
			openPGP = true
			err = p.Skip()
		default:
			err = p.Unknown(name, "keyid", "sig", "cert")
		}
		return err
	})
	if err == nil && !hasSig && !openPGP {
		err = errors.New("a signature without sig")
	}
	if openPGP {
		s.sig = nil // over other bytes than ours; verifies nothing
	}
	return s, err
}

// readType reads the _type of the body, which says what it is: one key may
// sign layouts, links and statements, and none can pass for another.
func (d *document) readType() error {
	p := strictjson.NewParser(d.body, 0)
	err := p.Object(func(name []byte) (err error) {
		if string(name) == "_type" {
			d.typ, err = p.String()
			return err
		}
		return p.Unknown(name, "_type")
	})
	if err == nil {
		err = p.End()
	}
	if err == nil && d.typ != layout.Type && d.typ != predicate.ClassicLinkType {
		err = fmt.Errorf("_type: want \"layout\" or \"link\", found %s", clip(d.typ))
	}
	return err
}

// signedBy reports whether any signature is one of the functionary's. Those
// whose key id is the functionary's are tried first; then all others, for key
// ids are hints.
func (d *document) signedBy(f *functionary, b *budget) (bool, error) {
	for _, named := range []bool{true, false} {
		for _, s := range d.signatures {
			if len(s.sig) == 0 || named != (s.keyID == f.keyID) {
				continue
			}
			if err := b.verify(1); err != nil {
				return false, err
			}
			if sigalg.Verify(f.public, f.scheme, d.message, s.sig) == nil {
				return true, nil
			}
		}
	}
	return false, nil
}

// hasPrefix reports whether a key id begins with the digits of a file name.
func hasPrefix(keyID, digits string) bool { return strings.HasPrefix(keyID, digits) }
