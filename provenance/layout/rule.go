package layout

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/hallmark-build/hallmark/internal/strictjson"
	"github.com/hallmark-build/hallmark/provenance"
)

// A Verb is the first word of an artifact rule.
type Verb string

// The verbs (in-toto specification v1.0, section 4.3.3).
const (
	Match    Verb = "MATCH"    // consumes artifacts that another step has too, with equal digests
	Create   Verb = "CREATE"   // consumes products that are no materials
	Delete   Verb = "DELETE"   // consumes materials that are no products
	Modify   Verb = "MODIFY"   // consumes what is both, with different digests
	Allow    Verb = "ALLOW"    // consumes whatever the pattern covers
	Disallow Verb = "DISALLOW" // fails if the pattern covers anything that is left
	Require  Verb = "REQUIRE"  // fails unless the name, literally, is left
)

// The lists of artifacts that a MATCH rule can look at.
const (
	Materials = "MATERIALS"
	Products  = "PRODUCTS"
)

// A Rule is one artifact rule. In JSON it is the list of its words:
//
//	MATCH <pattern> [IN <source>] WITH (MATERIALS|PRODUCTS) [IN <destination>] FROM <step>
//	CREATE <pattern>    DELETE <pattern>    MODIFY <pattern>
//	ALLOW <pattern>     DISALLOW <pattern>  REQUIRE <name>
type Rule struct {
	Verb    Verb
	Pattern string // for REQUIRE a name
	// Of MATCH only. Source and Destination are directories, empty for none.
	Source, With, Destination, From string
}

// ParseRule reads a rule from its words. Keywords may be in any case.
func ParseRule(words []string) (Rule, error) {
	wrong := func(format string, args ...any) (Rule, error) {
		return Rule{}, &provenance.FormatError{Reason: ReasonRule,
			Msg: "rule " + clip(strings.Join(words, " ")) + ": " + fmt.Sprintf(format, args...)}
	}
	if len(words) < 2 {
		return wrong("want a verb and a pattern")
	}
	r := Rule{Verb: Verb(strings.ToUpper(words[0])), Pattern: words[1]}
	if r.Pattern == "" {
		return wrong("the pattern is empty")
	}
	switch r.Verb {
	case Create, Delete, Modify, Allow, Disallow, Require:
		if len(words) != 2 {
			return wrong("want one pattern after %s, found %d words", r.Verb, len(words)-1)
		}
		return r, nil
	case Match:
	default:
		return wrong("there is no verb %s", clip(words[0]))
	}
	rest := words[2:]
	next := func(keyword string) bool {
		if len(rest) >= 2 && strings.EqualFold(rest[0], keyword) {
			rest = rest[1:]
			return true
		}
		return false
	}
	word := func() (w string) {
		w, rest = rest[0], rest[1:]
		return w
	}
	const form = "want MATCH <pattern> [IN <source>] WITH (MATERIALS|PRODUCTS) [IN <destination>] FROM <step>"
	if next("IN") {
		r.Source = word()
	}
	if !next("WITH") {
		return wrong(form)
	}
	if r.With = strings.ToUpper(word()); r.With != Materials && r.With != Products {
		return wrong(form)
	}
	if next("IN") {
		r.Destination = word()
	}
	if !next("FROM") {
		return wrong(form)
	}
	if r.From = word(); len(rest) > 0 || r.From == "" {
		return wrong(form)
	}
	return r, nil
}

// Words returns the words of the rule.
func (r Rule) Words() []string {
	w := []string{string(r.Verb), r.Pattern}
	if r.Verb != Match {
		return w
	}
	if r.Source != "" {
		w = append(w, "IN", r.Source)
	}
	w = append(w, "WITH", r.With)
	if r.Destination != "" {
		w = append(w, "IN", r.Destination)
	}
	return append(w, "FROM", r.From)
}

// String returns the words separated by spaces, for messages.
func (r Rule) String() string { return strings.Join(r.Words(), " ") }

// MarshalJSON writes the list of words.
func (r Rule) MarshalJSON() ([]byte, error) {
	if _, err := ParseRule(r.Words()); err != nil {
		return nil, err
	}
	return json.Marshal(r.Words())
}

// UnmarshalJSON reads a list of words.
func (r *Rule) UnmarshalJSON(data []byte) (err error) {
	var words []string
	p := strictjson.NewParser(data, 0)
	err = p.Array(func(i int) error {
		if i == 10 {
			return &provenance.FormatError{Reason: ReasonRule, Msg: "a rule of more than 10 words"}
		}
		w, err := p.String()
		words = append(words, w)
		return err
	})
	if err == nil {
		err = p.End()
	}
	if err == nil {
		*r, err = ParseRule(words)
	}
	return err
}
