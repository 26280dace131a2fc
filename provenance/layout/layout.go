package layout

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/strictjson"
	"github.com/hallmark-build/hallmark/provenance"
)

// Type is the _type of a [Layout].
const Type = "layout"

// PayloadType is the DSSE payload type of layouts and links.
const PayloadType = provenance.PayloadType

// A Layout is what a product must have gone through (in-toto specification
// v1.0, section 4.3).
type Layout struct {
	Type    string         `json:"_type"`   // "layout"; Encode fills it in
	Expires string         `json:"expires"` // see At; from this instant on the layout is void
	Readme  string         `json:"readme"`
	Keys    map[string]Key `json:"keys"` // of functionaries, by key id
	Steps   []Step         `json:"steps"`
	Inspect []Inspection   `json:"inspect"`
	// RootCAs and IntermediateCAs are certificate authorities by key id
	// (ITE-7), for steps with certificate constraints.
	RootCAs         map[string]Key `json:"rootcas,omitempty"`
	IntermediateCAs map[string]Key `json:"intermediatecas,omitempty"`
}

// A Step is one step of a [Layout].
type Step struct {
	Type              string           `json:"_type"` // "step"; Encode fills it in
	Name              string           `json:"name"`
	Threshold         int              `json:"threshold"` // how many functionaries must have done it; at least 1
	ExpectedMaterials []Rule           `json:"expected_materials"`
	ExpectedProducts  []Rule           `json:"expected_products"`
	PubKeys           []string         `json:"pubkeys"` // key ids of its functionaries
	ExpectedCommand   []string         `json:"expected_command"`
	CertConstraints   []CertConstraint `json:"cert_constraints,omitempty"`
}

// An Inspection is a command that the verifier runs, if it wants to.
type Inspection struct {
	Type              string   `json:"_type"` // "inspection"; Encode fills it in
	Name              string   `json:"name"`
	ExpectedMaterials []Rule   `json:"expected_materials"`
	ExpectedProducts  []Rule   `json:"expected_products"`
	Run               []string `json:"run"`
}

// A CertConstraint describes certificates whose holders are functionaries of
// a step (ITE-7). A certificate must fit in every field: have these values,
// all of them and no others. "*" alone is any; an empty list or string, which
// is also what an absent field is, demands that the certificate has none.
type CertConstraint struct {
	CommonName    string   `json:"common_name"`
	DNSNames      []string `json:"dns_names"`
	Emails        []string `json:"emails"`
	Organizations []string `json:"organizations"`
	// Roots are key ids of Layout.RootCAs, of which one must have issued the
	// certificate, by way of intermediates or not. "*" alone is any of them.
	Roots []string `json:"roots"`
	URIs  []string `json:"uris"`
}

const timeFormat = "2006-01-02T15:04:05Z"

// At writes an instant as layouts do: in UTC, to the second.
func At(t time.Time) string { return t.UTC().Format(timeFormat) }

// ExpiresAt reads Expires.
func (l *Layout) ExpiresAt() (time.Time, error) {
	t, err := time.Parse(timeFormat, l.Expires)
	if err != nil || len(l.Expires) != len(timeFormat) { // Parse takes fractions of seconds
		return time.Time{}, wrong("expires: want a time such as %s, found %s", timeFormat, clip(l.Expires))
	}
	return t, nil
}

func wrong(format string, args ...any) error {
	return &provenance.FormatError{Reason: ReasonLayout, Msg: fmt.Sprintf(format, args...)}
}

// Parse reads a layout, the "signed" of a Metablock or the payload of an
// envelope, and checks it with [Layout.Validate]. What surrounds it is the
// caller's to have verified.
func Parse(signed []byte) (*Layout, error) {
	l := new(Layout)
	if err := strictjson.Into(signed, limits.Layout, l); err != nil {
		return nil, formatError(err)
	}
	// Once more, for names that nothing above knows.
	dec := json.NewDecoder(bytes.NewReader(signed))
	dec.DisallowUnknownFields()
	if err := dec.Decode(new(Layout)); err != nil {
		return nil, formatError(err)
	}
	if err := l.Validate(); err != nil {
		return nil, err
	}
	return l, nil
}

func formatError(err error) error {
	var fe *provenance.FormatError
	if errors.As(err, &fe) {
		return fe
	}
	return &provenance.FormatError{Reason: ReasonJSON, Msg: "layout: " + strings.TrimPrefix(err.Error(), "json: ")}
}

// Encode validates the layout and writes it as JSON, every field present, with
// the types filled in. The layout itself is not changed.
func (l *Layout) Encode() ([]byte, error) {
	c := *l
	c.Type = Type
	c.Keys = maps.Clone(l.Keys)
	if c.Keys == nil {
		c.Keys = map[string]Key{}
	}
	c.Steps = append([]Step{}, l.Steps...)
	for i := range c.Steps {
		s := &c.Steps[i]
		s.Type = "step"
		s.ExpectedMaterials = append([]Rule{}, s.ExpectedMaterials...)
		s.ExpectedProducts = append([]Rule{}, s.ExpectedProducts...)
		s.PubKeys = append([]string{}, s.PubKeys...)
		s.ExpectedCommand = append([]string{}, s.ExpectedCommand...)
		s.CertConstraints = slices.Clone(s.CertConstraints)
		for j := range s.CertConstraints {
			for _, list := range s.CertConstraints[j].lists() {
				*list = append([]string{}, *list...)
			}
		}
	}
	c.Inspect = append([]Inspection{}, l.Inspect...)
	for i := range c.Inspect {
		n := &c.Inspect[i]
		n.Type = "inspection"
		n.ExpectedMaterials = append([]Rule{}, n.ExpectedMaterials...)
		n.ExpectedProducts = append([]Rule{}, n.ExpectedProducts...)
		n.Run = append([]string{}, n.Run...)
	}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	data, err := json.Marshal(&c)
	if err != nil {
		return nil, formatError(err)
	}
	return data, nil
}

func (c *CertConstraint) lists() []*[]string {
	return []*[]string{&c.DNSNames, &c.Emails, &c.Organizations, &c.Roots, &c.URIs}
}

// Validate checks what can be checked of a layout without its keys' material:
// types, names, rules, thresholds that the step's functionaries can reach. A
// layout without steps proves nothing and is refused.
func (l *Layout) Validate() error {
	if l.Type != Type {
		return wrong("_type: want %q, found %s", Type, clip(l.Type))
	}
	if _, err := l.ExpiresAt(); err != nil {
		return err
	}
	switch n := len(l.Steps) + len(l.Inspect); {
	case len(l.Steps) == 0:
		return wrong("the layout has no steps: it would prove nothing")
	case n > limits.LayoutItems:
		return wrong("%d steps and inspections exceed the limit of %d", n, limits.LayoutItems)
	case len(l.Keys)+len(l.RootCAs)+len(l.IntermediateCAs) > limits.LayoutKeys:
		return wrong("more than %d keys", limits.LayoutKeys)
	}
	for _, m := range []map[string]Key{l.Keys, l.RootCAs, l.IntermediateCAs} {
		for _, id := range slices.Sorted(maps.Keys(m)) {
			if err := checkKeyID(id); err != nil {
				return err
			}
			if k := m[id]; k.KeyID != "" && k.KeyID != id {
				return wrong("the key under %s says that its id is %s", clip(id), clip(k.KeyID))
			}
		}
	}
	names := make(map[string]bool)
	rules := 0
	item := func(what, typ, name string, lists ...[]Rule) error {
		if typ != what {
			return wrong("%s %s: _type: want %q, found %s", what, clip(name), what, clip(typ))
		}
		if err := checkName(name); err != nil {
			return wrong("%s %s: %v", what, clip(name), err)
		}
		if names[name] {
			return wrong("two steps or inspections are called %s", clip(name))
		}
		names[name] = true
		for _, list := range lists {
			if rules += len(list); rules > limits.LayoutRules {
				return wrong("more than %d artifact rules", limits.LayoutRules)
			}
			for _, r := range list {
				if _, err := ParseRule(r.Words()); err != nil {
					return err
				}
			}
		}
		return nil
	}
	for i := range l.Steps {
		s := &l.Steps[i]
		if err := item("step", s.Type, s.Name, s.ExpectedMaterials, s.ExpectedProducts); err != nil {
			return err
		}
		if err := l.checkFunctionaries(s); err != nil {
			return err
		}
	}
	for i := range l.Inspect {
		n := &l.Inspect[i]
		if err := item("inspection", n.Type, n.Name, n.ExpectedMaterials, n.ExpectedProducts); err != nil {
			return err
		}
		if len(n.Run) == 0 {
			return wrong("inspection %s runs nothing", clip(n.Name))
		}
	}
	return nil
}

func (l *Layout) checkFunctionaries(s *Step) error {
	known := make(map[string]bool, len(s.PubKeys))
	for _, id := range s.PubKeys {
		if _, ok := l.Keys[id]; !ok {
			return wrong("step %s: the layout has no key %s", clip(s.Name), clip(id))
		}
		known[id] = true
	}
	switch {
	case s.Threshold < 1:
		return wrong("step %s: want a threshold of at least 1, found %d", clip(s.Name), s.Threshold)
	case len(s.PubKeys) == 0 && len(s.CertConstraints) == 0:
		return wrong("step %s has neither keys nor certificate constraints: nobody can do it", clip(s.Name))
	case len(s.CertConstraints) == 0 && s.Threshold > len(known):
		return wrong("step %s: a threshold of %d cannot be met by %d keys", clip(s.Name), s.Threshold, len(known))
	case len(s.CertConstraints) > limits.LayoutKeys:
		return wrong("step %s: more than %d certificate constraints", clip(s.Name), limits.LayoutKeys)
	}
	for i := range s.CertConstraints {
		c := &s.CertConstraints[i]
		if slices.Equal(c.Roots, []string{"*"}) {
			if len(l.RootCAs) == 0 {
				return wrong("step %s: a certificate constraint, and the layout has no rootcas", clip(s.Name))
			}
			continue
		}
		if len(c.Roots) == 0 {
			return wrong("step %s: a certificate constraint without roots, which no certificate can meet", clip(s.Name))
		}
		for _, id := range c.Roots {
			if _, ok := l.RootCAs[id]; !ok {
				return wrong("step %s: the layout has no root %s", clip(s.Name), clip(id))
			}
		}
	}
	return nil
}

// checkName wants a name that can be part of a file name and of a message.
func checkName(name string) error {
	switch {
	case name == "":
		return errors.New("the name is empty")
	case len(name) > limits.PolicyName:
		return fmt.Errorf("a name of %d bytes exceeds the limit of %d", len(name), limits.PolicyName)
	case !utf8.ValidString(name) || strings.ContainsAny(name, `/\`) || strings.IndexFunc(name, unicode.IsControl) >= 0:
		return errors.New("the name has slashes or control characters")
	}
	return nil
}

// LinkName returns the name of the file that holds the link of a step by a
// functionary: "<step>.<first 8 digits of the key id>.link".
func LinkName(step, keyID string) string {
	return step + "." + keyID[:min(8, len(keyID))] + ".link"
}
