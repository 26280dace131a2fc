package predicate

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/hallmark-build/hallmark/internal/strictjson"
	"github.com/hallmark-build/hallmark/provenance"
)

// Timestamp is a time as predicates write it: RFC 3339 in UTC, with "Z"
// (in-toto attestation, spec/v1/field_types.md, Timestamp). The zero Timestamp
// is an unset one. Use [At] to make one.
type Timestamp struct{ time.Time }

// At returns the timestamp of t, in UTC and without its monotonic clock reading.
func At(t time.Time) Timestamp { return Timestamp{t.Round(0).UTC()} }

// MarshalJSON writes the time in UTC; the zero Timestamp is null.
func (t Timestamp) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte("null"), nil
	}
	return t.UTC().MarshalJSON()
}

// UnmarshalJSON reads an RFC 3339 time; null and the empty string are unset. A time with an
// offset is read, so that it can be shown, but Validate refuses it wherever
// the specification wants UTC.
func (t *Timestamp) UnmarshalJSON(data []byte) error {
	p := strictjson.NewParser(data, 0)
	if p.Kind() == strictjson.Null {
		*t = Timestamp{}
		return p.Null()
	}
	s, err := p.String()
	if err != nil {
		return err
	}
	*t, err = parseTimestamp(s)
	return err
}

func parseTimestamp(s string) (Timestamp, error) {
	if s == "" {
		return Timestamp{}, nil
	}
	// time.Parse also takes "T1:02:03", a comma before the fraction, and an
	// offset of "+99:99".
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || len(s) < len("2006-01-02T15:04:05Z") || s[13] != ':' || strings.Contains(s, ",") || !strictOffset(s) {
		return Timestamp{}, bad("want an RFC 3339 timestamp, found %s", clip(s))
	}
	if strings.HasSuffix(s, "Z") {
		return Timestamp{t.UTC()}, nil
	}
	// "+00:00" is an offset too: keep it apart from UTC, wherever this runs.
	_, offset := t.Zone()
	return Timestamp{t.In(time.FixedZone("", offset))}, nil
}

// strictOffset reports whether the end of what time.Parse took is "Z" or an offset that a clock can have.
func strictOffset(s string) bool {
	if strings.HasSuffix(s, "Z") {
		return true
	}
	offset := s[len(s)-len("+00:00"):]
	return offset[1:3] <= "23" && offset[4:6] <= "59"
}

// utc checks that a timestamp that is set is in UTC.
func (t Timestamp) utc(field string) error {
	if !t.IsZero() && t.Location() != time.UTC {
		return bad("%s: want a timestamp in UTC with Z, found %s", field, t.Format(time.RFC3339Nano))
	}
	return nil
}

// period checks two timestamps that are the start and the end of something.
func period(startField string, start Timestamp, endField string, end Timestamp) error {
	if err := start.utc(startField); err != nil {
		return err
	}
	if err := end.utc(endField); err != nil {
		return err
	}
	return ordered(startField, start, endField, end)
}

func ordered(startField string, start Timestamp, endField string, end Timestamp) error {
	if !start.IsZero() && !end.IsZero() && end.Before(start.Time) {
		return bad("%s %s is before %s %s", endField, end.Format(time.RFC3339Nano), startField, start.Format(time.RFC3339Nano))
	}
	return nil
}

// bad makes the error of a predicate that is not what its type wants.
func bad(format string, args ...any) error {
	return &provenance.FormatError{Reason: provenance.ReasonPredicate, Msg: fmt.Sprintf(format, args...)}
}

// wrap says in which predicate something is wrong.
func wrap(what string, err error) error {
	switch e := err.(type) {
	case nil:
		return nil
	case *strictjson.Error:
		return &provenance.FormatError{Reason: e.Reason, Msg: what + ": " + e.Error()}
	case *provenance.FormatError:
		return &provenance.FormatError{Reason: e.Reason, Msg: what + ": " + e.Msg}
	}
	return bad("%s: %v", what, err)
}

// clip makes hostile text fit an error message.
func clip(s string) string {
	const most = 80
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return strconv.QuoteToGraphic(s)
}

// validator is a pointer to a predicate.
type validator[T any] interface {
	*T
	Validate() error
}

// parse decodes a predicate and validates it.
func parse[T any, P validator[T]](what string, data []byte) (*T, error) {
	v := new(T)
	if err := decode(data, v); err != nil {
		return nil, wrap(what, err)
	}
	if err := P(v).Validate(); err != nil {
		return nil, err
	}
	return v, nil
}

// decode reads an object, strictly.
func decode(data []byte, v any) error {
	p := strictjson.NewParser(data, 0)
	if k := p.Kind(); k != strictjson.Object {
		if err := p.End(); err != nil && k == strictjson.Invalid {
			return err
		}
		return bad("want object, found %v", k)
	}
	return strictjson.Into(data, 0, v)
}

// missing reports the first required field that is empty. Fields alternate
// between a name and a string.
func missing(fields ...string) error {
	for i := 0; i+1 < len(fields); i += 2 {
		if fields[i+1] == "" {
			return bad("%s is required", fields[i])
		}
	}
	return nil
}

// descriptor checks the least that a ResourceDescriptor must have: a uri, a
// digest or content; a name alone names nothing
// (spec/v1/resource_descriptor.md).
func descriptor(field string, r provenance.ResourceDescriptor) error {
	if r.URI == "" && len(r.Digest) == 0 && len(r.Content) == 0 {
		return bad("%s (%s): want at least one of uri, digest and content", field, clip(r.Label()))
	}
	return nil
}

func descriptors(field string, list []provenance.ResourceDescriptor) error {
	for i, r := range list {
		if r.URI == "" && len(r.Digest) == 0 && len(r.Content) == 0 {
			return descriptor(field+"["+strconv.Itoa(i)+"]", r)
		}
	}
	return nil
}

// statement validates a predicate and makes a statement of it.
func statement(v interface{ Validate() error }, subjects []provenance.ResourceDescriptor, predicateType string) (*provenance.Statement, error) {
	if err := v.Validate(); err != nil {
		return nil, err
	}
	return provenance.NewStatement(subjects, predicateType, v)
}

func marshal(v any) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, bad("%v", err)
	}
	return data, nil
}
