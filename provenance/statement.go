package provenance

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/hallmark-build/hallmark/internal/dsse"
	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/strictjson"
)

// Constants of the in-toto attestation framework.
const (
	// StatementV1 is the _type of the statements that this library writes.
	StatementV1 = "https://in-toto.io/Statement/v1"
	// StatementV01 is the legacy _type that it also reads.
	StatementV01 = "https://in-toto.io/Statement/v0.1"
	// PayloadType is the DSSE payload type of statements.
	PayloadType = "application/vnd.in-toto+json"
)

// Reasons of a [FormatError]. They are stable.
const (
	ReasonDigest    = "digest-malformed"
	ReasonStatement = "statement-malformed"
	ReasonType      = "statement-type" // _type is not an in-toto Statement
	ReasonSubject   = "subject-malformed"
	ReasonPredicate = "predicate-malformed"
	ReasonLimit     = "limit-exceeded"
)

// A FormatError says why bytes or values are not what a specification wants.
type FormatError struct {
	Reason string // one of the Reason constants, or one of JSON's such as "json-duplicate-name"
	Msg    string
}

func (e *FormatError) Error() string { return e.Msg }

// A ResourceDescriptor describes a file or another resource
// (spec/v1/resource_descriptor.md). At least one of URI, Digest and Content
// must be set.
type ResourceDescriptor struct {
	Name             string         `json:"name,omitempty"`
	URI              string         `json:"uri,omitempty"`
	Digest           DigestSet      `json:"digest,omitempty"`
	Content          []byte         `json:"content,omitempty"`
	DownloadLocation string         `json:"downloadLocation,omitempty"`
	MediaType        string         `json:"mediaType,omitempty"`
	Annotations      map[string]any `json:"annotations,omitempty"`
}

// Label returns what to call the resource in a message: its name, else its URI, else
// its first digest. It is what somebody claimed; escape it before it is shown.
func (r ResourceDescriptor) Label() string {
	switch {
	case r.Name != "":
		return r.Name
	case r.URI != "":
		return r.URI
	case len(r.Digest) > 0:
		return r.Digest[0].Short()
	}
	return "(unnamed)"
}

// UnmarshalResourceDescriptors reads a JSON list of descriptors as strictly as
// a statement's subjects are read; null is the empty list, and null in the
// list is an error. It is what a predicate's reader needs that does not decode
// the whole predicate.
func UnmarshalResourceDescriptors(data []byte) ([]ResourceDescriptor, error) {
	p := strictjson.NewParser(data, 0)
	list, err := readResourceDescriptors(p, false)
	if err == nil {
		err = p.End()
	}
	if err != nil {
		return nil, formatError(err)
	}
	return list, nil
}

// readResourceDescriptors reads the next value of a strict parser as a list of descriptors; null
// is the empty list.
func readResourceDescriptors(p *strictjson.Parser, v01 bool) ([]ResourceDescriptor, error) {
	if p.Kind() == strictjson.Null {
		return nil, p.Null()
	}
	var list []ResourceDescriptor
	err := p.Array(func(i int) error {
		if i == limits.Subjects {
			return p.Failf(ReasonLimit, "more than %d resource descriptors", limits.Subjects)
		}
		if i == cap(list) {
			list = slices.Grow(list, i+4) // doubles: append grows long lists by less
		}
		r, err := readResourceDescriptor(p, v01)
		list = append(list, r)
		return err
	})
	return list, err
}

// readResourceDescriptor reads one descriptor. In a v0.1 statement a subject has only a name and a
// digest; the fields that v1 added are refused there, because readers of v0.1
// do not see them.
func readResourceDescriptor(p *strictjson.Parser, v01 bool) (r ResourceDescriptor, err error) {
	err = p.Object(func(name []byte) (err error) {
		known := true
		switch string(name) {
		case "name", "digest":
		case "uri", "content", "downloadLocation", "mediaType", "annotations":
			if v01 {
				return p.Failf(ReasonStatement, "subject of a v0.1 statement has the v1 field %s", name)
			}
		default:
			known = false
		}
		if known && p.Kind() == strictjson.Null {
			return p.Null()
		}
		switch string(name) {
		case "name":
			r.Name, err = p.String()
		case "uri":
			r.URI, err = p.String()
		case "digest":
			r.Digest, err = readDigestSet(p)
		case "content":
			var b []byte
			if b, err = p.StringBytes(); err == nil {
				if r.Content, err = dsse.DecodeBase64(b); err != nil {
					err = p.Failf(ReasonStatement, "content: %v", err)
				}
			}
		case "downloadLocation":
			r.DownloadLocation, err = p.String()
		case "mediaType":
			r.MediaType, err = p.String()
		case "annotations":
			if k := p.Kind(); k != strictjson.Object {
				return p.Failf(ReasonStatement, "annotations: want object, found %v", k)
			}
			var v any
			v, err = p.Any()
			r.Annotations, _ = v.(map[string]any)
		default:
			err = p.Unknown(name, "name", "uri", "digest", "content", "downloadLocation", "mediaType", "annotations")
		}
		return err
	})
	return r, err
}

// UnmarshalJSON reads a descriptor strictly.
func (r *ResourceDescriptor) UnmarshalJSON(data []byte) (err error) {
	p := strictjson.NewParser(data, 0)
	*r, err = readResourceDescriptor(p, false)
	if err == nil {
		err = p.End()
	}
	return err
}

// A Statement says something (its predicate) about artifacts (its subjects):
// the in-toto Statement (spec/v1/statement.md). A Statement cannot be changed
// once it is made, and keeps the exact bytes that it was read from or will be
// signed as.
//
// A Statement is a claim. Only package verify can say who made it.
type Statement struct {
	payload       []byte
	typ           string
	subjects      []ResourceDescriptor
	predicateType string
	predicate     []byte // part of payload; nil when absent
}

// NewStatement makes a statement of type v1. Every subject must have a digest
// under at least one strong algorithm. The predicate is encoded with
// encoding/json; a json.RawMessage is kept byte for byte, less insignificant
// white space; nil leaves it out, which readers take for {}.
func NewStatement(subjects []ResourceDescriptor, predicateType string, predicate any) (*Statement, error) {
	for i, s := range subjects {
		if !slices.ContainsFunc(s.Digest, func(d Digest) bool { return d.algorithm.Strong() }) {
			return nil, &FormatError{ReasonSubject, fmt.Sprintf("subject %d (%s) has no strong digest", i, clip(s.Label()))}
		}
	}
	if subjects == nil {
		subjects = []ResourceDescriptor{}
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	err := enc.Encode(struct {
		Type          string               `json:"_type"`
		Subject       []ResourceDescriptor `json:"subject"`
		PredicateType string               `json:"predicateType"`
		Predicate     any                  `json:"predicate,omitempty"`
	}{StatementV1, subjects, predicateType, predicate})
	if err != nil {
		return nil, &FormatError{ReasonPredicate, err.Error()}
	}
	// What is written is what a reader reads: the same strict parse decides.
	return ParseStatement(bytes.TrimSuffix(buf.Bytes(), []byte("\n")))
}

// ParseStatement reads a statement, v1 or v0.1, from the whole of payload,
// which it keeps and which must not change afterwards. JSON is read strictly:
// exact names, no duplicates at any depth, valid UTF-8, nothing after the
// value. Unknown fields are ignored, as the specification wants.
//
// Refused: another _type, no subject, a subject without a digest (a null entry
// included), a malformed digest, an empty predicateType, a predicate that is
// neither an object nor absent nor null.
func ParseStatement(payload []byte) (*Statement, error) {
	s := &Statement{payload: payload}
	p := strictjson.NewParser(payload, 0)
	// _type decides how subjects are read, and may come after them.
	var subjectAt []byte
	err := p.Object(func(name []byte) (err error) {
		switch string(name) {
		case "_type":
			s.typ, err = p.String()
		case "subject":
			if p.Kind() != strictjson.Array {
				return p.Failf(ReasonSubject, "subject: want array, found %v", p.Kind())
			}
			if s.typ == "" {
				subjectAt, err = p.Raw()
			} else {
				s.subjects, err = readResourceDescriptors(p, s.typ == StatementV01)
			}
		case "predicateType":
			s.predicateType, err = p.String()
		case "predicate":
			switch k := p.Kind(); k {
			case strictjson.Null:
				err = p.Null()
			case strictjson.Object:
				s.predicate, err = p.Raw()
			default:
				err = p.Failf(ReasonPredicate, "predicate: want object, found %v", k)
			}
		default:
			err = p.Unknown(name, "_type", "subject", "predicateType", "predicate")
		}
		return err
	})
	if err == nil {
		err = p.End()
	}
	if err != nil {
		return nil, formatError(err)
	}
	if s.typ != StatementV1 && s.typ != StatementV01 {
		return nil, &FormatError{ReasonType, "_type is " + clip(s.typ) + ", not an in-toto Statement of v1 or v0.1"}
	}
	if subjectAt != nil {
		q := strictjson.NewParser(subjectAt, 0)
		if s.subjects, err = readResourceDescriptors(q, s.typ == StatementV01); err != nil {
			return nil, formatError(err)
		}
	}
	if len(s.subjects) == 0 {
		return nil, &FormatError{ReasonSubject, "statement has no subject"}
	}
	for i, sub := range s.subjects {
		if len(sub.Digest) == 0 {
			return nil, &FormatError{ReasonSubject, fmt.Sprintf("subject %d (%s) has no digest", i, clip(sub.Label()))}
		}
	}
	if s.predicateType == "" {
		return nil, &FormatError{ReasonStatement, "statement has no predicateType"}
	}
	return s, nil
}

func formatError(err error) error {
	if e, ok := err.(*strictjson.Error); ok {
		return &FormatError{e.Reason, e.Error()}
	}
	return err
}

// Type returns the statement's _type.
func (s *Statement) Type() string { return s.typ }

// Subjects returns the artifacts that the statement is about. The caller must not change them.
func (s *Statement) Subjects() []ResourceDescriptor {
	return s.subjects[:len(s.subjects):len(s.subjects)]
}

// PredicateType returns the URI that says how to read the predicate. It is
// compared as a whole: no version is ever parsed out of it.
func (s *Statement) PredicateType() string { return s.predicateType }

// Predicate returns the exact bytes of the predicate; {} when it is absent or null,
// which the specification makes the same. The caller must not change them.
func (s *Statement) Predicate() json.RawMessage {
	if s.predicate == nil {
		return json.RawMessage("{}")
	}
	return s.predicate[:len(s.predicate):len(s.predicate)]
}

// Payload returns the exact bytes of the statement. The caller must not change them.
func (s *Statement) Payload() []byte { return s.payload[:len(s.payload):len(s.payload)] }

// Digest returns the SHA-256 of the statement's exact bytes, by which reports, references and
// revocations name a statement. It does not cover the envelope: the same
// statement signed twice is one statement with two signers.
func (s *Statement) Digest() Digest {
	sum := sha256.Sum256(s.payload)
	return Digest{SHA256, hex.EncodeToString(sum[:])}
}
