package intoto

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/provenance/layout"
)

var (
	parameterName = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
	placeholder   = regexp.MustCompile(`\{[A-Za-z0-9_-]+\}`)
)

// parameters puts values in the place of "{NAME}" in expected materials and
// products and in commands. A value is text: it is put in once and not looked
// at again, and neither its characters nor its path can make it a pattern or
// lead elsewhere. What is written "{NAME}" and has no value is an error, and
// with parameters given so is any other brace, which the reference would take
// for formatting.
type parameters struct {
	values map[string]string
	used   map[string]bool
}

func newParameters(values map[string]string) (*parameters, error) {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		v := values[name]
		switch {
		case !parameterName.MatchString(name):
			return nil, refuse(ReasonParameter, "parameter %s: a name has letters, digits, '-' and '_' only", clip(name))
		case v == "":
			return nil, refuse(ReasonParameter, "parameter %s is empty", name)
		case len(v) > limits.ParameterValue:
			return nil, refuse(ReasonParameter, "parameter %s: a value of %d bytes exceeds the limit of %d", name, len(v), limits.ParameterValue)
		case !utf8.ValidString(v) || strings.IndexFunc(v, unicode.IsControl) >= 0:
			return nil, refuse(ReasonParameter, "parameter %s: the value has control characters or is not UTF-8", name)
		}
	}
	return &parameters{values, map[string]bool{}}, nil
}

// text substitutes in text, whose values quote may change.
func (p *parameters) text(text string, quote func(string) string) (string, error) {
	if !strings.ContainsAny(text, "{}") {
		return text, nil
	}
	if len(p.values) > 0 && strings.ContainsAny(placeholder.ReplaceAllString(text, ""), "{}") {
		return "", refuse(ReasonParameter, "%s: with parameters, braces can only be {NAME}", clip(text))
	}
	var missing string
	out := placeholder.ReplaceAllStringFunc(text, func(m string) string {
		name := m[1 : len(m)-1]
		v, ok := p.values[name]
		if !ok && missing == "" {
			missing = name
		}
		p.used[name] = true
		return quote(v)
	})
	if missing != "" {
		return "", refuse(ReasonParameter, "%s: the parameter %s has no value", clip(text), clip(missing))
	}
	return out, nil
}

func verbatim(s string) string { return s }

// quoteGlob writes a value so that it matches itself. Outside of brackets, "!"
// and "]" are ordinary; parameters inside of brackets are refused.
func quoteGlob(s string) string {
	var b strings.Builder
	for _, c := range s {
		if strings.ContainsRune("*?[", c) {
			b.WriteString("[" + string(c) + "]")
		} else {
			b.WriteRune(c)
		}
	}
	return b.String()
}

func (p *parameters) rule(r layout.Rule) (layout.Rule, error) {
	quote := quoteGlob
	if r.Verb == layout.Require {
		quote = verbatim
	} else if err := noneInBrackets(r.Pattern); err != nil {
		return r, err
	} else if _, err := cleanPattern(r.Pattern); err != nil {
		return r, refuse(ReasonLayout, "%v", err)
	}
	var err error
	path := func(field *string, quote func(string) string) {
		if err != nil {
			return
		}
		// The template is clean and so must the result be: a value with ".."
		// would take away what the layout says around it.
		before := cleanName(*field)
		var after string
		if after, err = p.text(before, quote); err != nil || after == before {
			return
		}
		if plain, _ := p.text(before, verbatim); cleanName(plain) != plain || dots(plain) != dots(before) {
			err = refuse(ReasonParameter, "%s: the values of its parameters do not give a clean path", clip(*field))
			return
		}
		*field = after
	}
	path(&r.Pattern, quote)
	if r.Source != "" {
		path(&r.Source, verbatim)
	}
	if r.Destination != "" {
		path(&r.Destination, verbatim)
	}
	if err == nil {
		r.From, err = p.text(r.From, verbatim)
	}
	return r, err
}

// dots counts the elements of a path that lead somewhere else than down.
func dots(name string) (n int) {
	for e := range strings.SplitSeq(name, "/") {
		if e == "." || e == ".." {
			n++
		}
	}
	return n
}

func noneInBrackets(pattern string) error {
	s := []rune(pattern)
	for i := 0; i < len(s); i++ {
		if s[i] != '[' {
			continue
		}
		end := classEnd(s, i)
		if end < 0 {
			end = len(s) - 1 // it is never closed, but by a value
		}
		if placeholder.MatchString(string(s[i : end+1])) {
			return refuse(ReasonParameter, "%s: a parameter in brackets", clip(pattern))
		}
		i = end
	}
	return nil
}

func (p *parameters) rules(rules []layout.Rule) ([]*pattern, error) {
	out := make([]layout.Rule, len(rules))
	for i, r := range rules {
		var err error
		if out[i], err = p.rule(r); err != nil {
			return nil, err
		}
	}
	compiled, err := compileRules(out)
	if err != nil {
		return nil, refuse(ReasonLayout, "%v", err)
	}
	return compiled, nil
}

func (p *parameters) words(words []string) ([]string, error) {
	out := make([]string, len(words))
	for i, w := range words {
		var err error
		if out[i], err = p.text(w, verbatim); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// unused returns the names of parameters that the layout does not have.
func (p *parameters) unused() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(p.values)), func(n string) bool { return p.used[n] })
}
