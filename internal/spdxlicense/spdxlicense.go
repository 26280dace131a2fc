// Package spdxlicense knows the SPDX licence list and the grammar of SPDX
// licence expressions (SPDX 2.3, Annex D).
package spdxlicense

import (
	"errors"
	"fmt"
	"strings"
	"sync"
)

// maxExpression and maxDepth bound a licence expression that somebody else
// wrote: "((((…" must not exhaust the stack.
const (
	maxExpression = 16 << 10
	maxDepth      = 64
)

type table struct {
	licenses, exceptions map[string]string // lower case to proper case
}

var list = sync.OnceValue(func() table {
	t := table{make(map[string]string, 800), make(map[string]string, 100)}
	for _, ids := range []string{licenseIDs, deprecatedIDs} {
		for id := range strings.FieldsSeq(ids) {
			t.licenses[strings.ToLower(id)] = id
		}
	}
	for id := range strings.FieldsSeq(exceptionIDs) {
		t.exceptions[strings.ToLower(id)] = id
	}
	return t
})

// ID returns the identifier of the SPDX licence list that id spells, which is
// matched without regard to case, or "" when the list has none.
func ID(id string) string { return list().licenses[strings.ToLower(id)] }

// Exception returns the identifier of the SPDX list of exceptions that id
// spells, or "" when the list has none.
func Exception(id string) string { return list().exceptions[strings.ToLower(id)] }

// Normalize checks an SPDX licence expression and returns it with identifiers
// in the list's spelling, operators in upper case and single spaces. NONE and
// NOASSERTION are not expressions.
func Normalize(expr string) (string, error) {
	if len(expr) > maxExpression {
		return "", fmt.Errorf("licence expression longer than %d bytes", maxExpression)
	}
	p := parser{tokens: tokenize(expr)}
	if err := p.or(0); err != nil {
		return "", fmt.Errorf("licence expression %.80q: %w", expr, err)
	}
	if len(p.tokens) > 0 {
		return "", fmt.Errorf("licence expression %.80q: unexpected %q", expr, p.tokens[0])
	}
	return strings.Join(p.out, ""), nil
}

func tokenize(s string) []string {
	s = strings.ReplaceAll(strings.ReplaceAll(s, "(", " ( "), ")", " ) ")
	return strings.Fields(s)
}

type parser struct {
	tokens []string
	out    []string
}

func (p *parser) next(words ...string) string {
	if len(p.tokens) > 0 {
		for _, w := range words {
			if strings.EqualFold(p.tokens[0], w) {
				p.tokens = p.tokens[1:]
				return w
			}
		}
	}
	return ""
}

func (p *parser) or(depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("nested deeper than %d", maxDepth)
	}
	for {
		if err := p.and(depth); err != nil {
			return err
		}
		if p.next("OR") == "" {
			return nil
		}
		p.out = append(p.out, " OR ")
	}
}

func (p *parser) and(depth int) error {
	for {
		if err := p.term(depth); err != nil {
			return err
		}
		if p.next("AND") == "" {
			return nil
		}
		p.out = append(p.out, " AND ")
	}
}

func (p *parser) term(depth int) error {
	if len(p.tokens) == 0 {
		return errors.New("unexpected end")
	}
	if p.next("(") != "" {
		p.out = append(p.out, "(")
		if err := p.or(depth + 1); err != nil {
			return err
		}
		if p.next(")") == "" {
			return errors.New("want )")
		}
		p.out = append(p.out, ")")
		return nil
	}
	token := p.tokens[0]
	p.tokens = p.tokens[1:]
	id, err := simple(token)
	if err != nil {
		return err
	}
	p.out = append(p.out, id)
	if p.next("WITH") == "" {
		return nil
	}
	if len(p.tokens) == 0 {
		return errors.New("want an exception after WITH")
	}
	e, ok := list().exceptions[strings.ToLower(p.tokens[0])]
	if !ok {
		return fmt.Errorf("unknown exception %q", p.tokens[0])
	}
	p.tokens = p.tokens[1:]
	p.out = append(p.out, " WITH ", e)
	return nil
}

func simple(token string) (string, error) {
	if ref, ok := strings.CutPrefix(token, "DocumentRef-"); ok {
		doc, lic, ok := strings.Cut(ref, ":")
		rest, ok2 := strings.CutPrefix(lic, "LicenseRef-")
		if ok && ok2 && idString(doc) && idString(rest) {
			return token, nil
		}
		return "", fmt.Errorf("bad reference %q", token)
	}
	if ref, ok := strings.CutPrefix(token, "LicenseRef-"); ok {
		if idString(ref) {
			return token, nil
		}
		return "", fmt.Errorf("bad reference %q", token)
	}
	base, plus := strings.CutSuffix(token, "+")
	if id := ID(token); id != "" { // "GPL-2.0+" is an identifier of its own
		return id, nil
	}
	id := ID(base)
	if id == "" {
		return "", fmt.Errorf("unknown licence %q", token)
	}
	if plus {
		id += "+"
	}
	return id, nil
}

func idString(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '.') {
			return false
		}
	}
	return s != ""
}
