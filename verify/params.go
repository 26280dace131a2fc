package verify

import (
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hallmark-build/hallmark/internal/glob"
	"github.com/hallmark-build/hallmark/internal/limits"
)

// A splice says what "${NAME}" means in a string of the policy.
type splice byte

const (
	spliceRefused splice = iota // an error: the string would look substituted and not be
	spliceIgnored               // nothing: the text is code or a value
	spliceLiteral               // the value
	splicePattern               // the value, its pattern characters standing for themselves
)

// splices names the fields in which parameters are substituted, or which
// may hold "${" for their own purposes. A field of any other is refused.
// Conditions see parameters as the variable params, never as text.
var splices = map[string]splice{
	"Policy.Parameters":     spliceIgnored,
	"Principals.Identity":   spliceLiteral,
	"Principals.Identities": spliceLiteral,
	"Principals.Patterns":   splicePattern,
	"Input.URI":             splicePattern,
	"Input.Digests":         spliceLiteral,
	"Stage.Products":        splicePattern,
	"Flow.Materials":        splicePattern,
	"About.Products":        splicePattern,
	"Contains.Members":      splicePattern,
	"Requirement.Builders":  spliceLiteral,
	"Requirement.Where":     spliceIgnored,
	"Rule.Packages":         splicePattern,
	"Rule.Except":           splicePattern,
	"Rule.Condition":        spliceIgnored,
}

// substitute returns a copy of the policy that shares nothing with it, in
// which the parameters have the given values or else their defaults, and
// every "${NAME}" is replaced by its value. "$${" stands for "${".
//
// A value is text and stays it: it is put in once and not looked at again, and
// in a pattern its "*" and "\" stand for themselves.
func (p *Policy) substitute(values map[string]string) (*Policy, error) {
	s := &substitution{policy: p, values: make(map[string]string, len(p.Parameters))}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if _, ok := p.Parameters[name]; !ok {
			return nil, p.errorAt("parameters", PolicyParameter, "a value is given for %s, which is not a parameter of the policy", quoteClip(name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(p.Parameters)) {
		path := join("parameters", name)
		if !isParameterName(name) {
			return nil, p.errorAt(path, PolicyParameter, "the name of a parameter has letters, digits, '-' and '_' only")
		}
		value, given := values[name]
		if def := p.Parameters[name]; !given && def != nil {
			value, given = *def, true
		}
		switch {
		case !given:
			return nil, p.errorAt(path, PolicyParameter, "no value is given for the parameter, and it has no default")
		case len(value) > limits.ParameterValue:
			return nil, p.errorAt(path, PolicyParameter, "a value of %d bytes exceeds the limit of %d", len(value), limits.ParameterValue)
		case !utf8.ValidString(value) || strings.IndexFunc(value, unicode.IsControl) >= 0:
			return nil, p.errorAt(path, PolicyParameter, "the value has control characters or is not UTF-8")
		}
		s.values[name] = value
	}
	q := new(Policy)
	if err := s.copy(reflect.ValueOf(p).Elem(), reflect.ValueOf(q).Elem(), "", spliceRefused); err != nil {
		return nil, err
	}
	q.positions, q.digest = p.positions, p.digest
	for name, value := range s.values {
		q.Parameters[name] = &value
	}
	return q, nil
}

func isParameterName(s string) bool {
	return s != "" && len(s) <= limits.PolicyName && strings.IndexFunc(s, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '_')
	}) < 0
}

type substitution struct {
	policy   *Policy
	values   map[string]string
	verbatim bool // copy only
}

// clone returns a copy of the policy that shares nothing with it.
func (p *Policy) clone() *Policy {
	q := new(Policy)
	s := &substitution{policy: p, verbatim: true}
	if err := s.copy(reflect.ValueOf(p).Elem(), reflect.ValueOf(q).Elem(), "", spliceIgnored); err != nil {
		panic(err) // nothing is substituted, so nothing can be wrong
	}
	q.positions, q.digest = p.positions, p.digest
	return q
}

// copy makes to a deep copy of from, with parameters substituted.
func (s *substitution) copy(from, to reflect.Value, path string, how splice) error {
	t := from.Type()
	switch {
	case t == timeType:
		to.Set(from)
		return nil
	case (t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map) && from.IsNil():
		return nil
	}
	switch t.Kind() {
	case reflect.Pointer:
		to.Set(reflect.New(t.Elem()))
		return s.copy(from.Elem(), to.Elem(), path, how)
	case reflect.Slice:
		to.Set(reflect.MakeSlice(t, from.Len(), from.Len()))
		for i := range from.Len() {
			if err := s.copy(from.Index(i), to.Index(i), path+"["+strconv.Itoa(i)+"]", how); err != nil {
				return err
			}
		}
	case reflect.Map:
		to.Set(reflect.MakeMapWithSize(t, from.Len()))
		keys := from.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, key := range keys {
			at := join(path, key.String())
			if how == spliceRefused && !s.verbatim && strings.Contains(key.String(), "${") {
				return s.refused(at)
			}
			e := reflect.New(t.Elem()).Elem()
			if err := s.copy(from.MapIndex(key), e, at, how); err != nil {
				return err
			}
			to.SetMapIndex(key, e)
		}
	case reflect.Struct:
		for _, f := range policyFields(t) {
			goName := t.Name() + "." + t.Field(f.index).Name
			fieldHow, ok := splices[goName]
			switch {
			case ok:
			case goName == "Identity.Subject":
				fieldHow = how
			case goName == "Identity.Issuer": // is never a pattern
				fieldHow = min(how, spliceLiteral)
			}
			if err := s.copy(from.Field(f.index), to.Field(f.index), join(path, f.name), fieldHow); err != nil {
				return err
			}
		}
	case reflect.String:
		text, err := s.text(from.String(), path, how)
		if err != nil {
			return err
		}
		to.SetString(text)
	default:
		to.Set(from)
	}
	return nil
}

func (s *substitution) refused(path string) error {
	return s.policy.errorAt(path, PolicyParameter, "parameters are not substituted here, only in uris, digests, builders, identities and name patterns; a condition has them as params.NAME")
}

func (s *substitution) text(text, path string, how splice) (string, error) {
	if s.verbatim || how == spliceIgnored || !strings.Contains(text, "${") {
		return text, nil
	}
	if how == spliceRefused {
		return "", s.refused(path)
	}
	var b strings.Builder
	for len(text) > 0 {
		switch {
		case how == splicePattern && text[0] == '\\' && len(text) > 1:
			// An escaped character of the policy's own. Read as a pair, so
			// that it cannot escape the first character of a value.
			_, n := utf8.DecodeRuneInString(text[1:])
			b.WriteString(text[:1+n])
			text = text[1+n:]
		case strings.HasPrefix(text, "$${"):
			if how == splicePattern {
				b.WriteString(glob.Quote("${"))
			} else {
				b.WriteString("${")
			}
			text = text[3:]
		case strings.HasPrefix(text, "${"):
			name, rest, ok := strings.Cut(text[2:], "}")
			if !ok || !isParameterName(name) {
				return "", s.policy.errorAt(path, PolicyParameter, `want "${NAME}", found %s; write "$${" for "${" itself`, quoteClip(text))
			}
			value, ok := s.values[name]
			if !ok {
				return "", s.policy.errorAt(path, PolicyParameter, "%s is not a parameter of the policy", quoteClip(name))
			}
			// An unset variable of a shell arrives as an empty value, and an
			// empty piece can make a pattern mean something else.
			if value == "" {
				return "", s.policy.errorAt(path, PolicyParameter, "the value of %s is empty", name)
			}
			if how == splicePattern {
				value = glob.Quote(value)
			}
			b.WriteString(value)
			text = rest
		default:
			b.WriteByte(text[0])
			text = text[1:]
		}
	}
	return b.String(), nil
}
