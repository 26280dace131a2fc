package verify

import (
	"cmp"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// A LintFinding is something in a policy that [New] allows and that may not be
// meant.
type LintFinding struct {
	Severity string   `json:"severity"` // "warning", or "info" for what a review should know
	Code     string   `json:"code"`     // stable: "unused-principal", "broad-pattern", …
	Path     string   `json:"path"`     // which field: "stages.build.requires[0].signers"
	Position Position `json:"position"` // where, when the policy was read from a file
	Message  string   `json:"message"`
}

func (f LintFinding) String() string {
	s := f.Severity + ": " + f.Path + ": " + f.Message + " [" + f.Code + "]"
	if p := f.Position.String(); p != "" {
		s = p + ": " + s
	}
	return s
}

// Lint looks for what is probably not meant: parts that are never used, rules
// that can never refuse or never be met, patterns that admit strangers, and
// everything that the policy takes on trust. It does not repeat what [New]
// refuses. Findings are in the order of the file, or else of their paths.
func (p *Policy) Lint() []LintFinding {
	l := &linter{p: p}
	for _, step := range []func(){l.whole, l.principals, l.inputs, l.stages, l.rules, l.unused} {
		step()
	}
	slices.SortStableFunc(l.found, func(a, b LintFinding) int {
		return cmp.Or(
			cmp.Compare(a.Position.Line, b.Position.Line),
			cmp.Compare(a.Position.Column, b.Position.Column),
			cmp.Compare(a.Path, b.Path),
			cmp.Compare(a.Code, b.Code))
	})
	return l.found
}

type linter struct {
	p     *Policy
	found []LintFinding
}

func (l *linter) warn(path, code, format string, args ...any) {
	l.add("warning", path, code, format, args...)
}

func (l *linter) info(path, code, format string, args ...any) {
	l.add("info", path, code, format, args...)
}

func (l *linter) add(severity, path, code, format string, args ...any) {
	l.found = append(l.found, LintFinding{severity, code, path, l.p.positions.near(path), fmt.Sprintf(format, args...)})
}

// names returns the sorted names of a map.
func names[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }

func (l *linter) whole() {
	if l.p.NoExpiryUnsafe {
		l.warn("noExpiryUnsafe", "no-expiry", "the policy never ends: whoever can hold back a newer one keeps this one in force")
	}
	if s := l.p.Sigstore; s != nil && (s.NoLogUnsafe || s.NoSCTUnsafe) {
		l.warn("sigstore", "no-transparency", "bundles are believed that no log has seen")
	}
}

func (l *linter) principals() {
	for _, name := range names(l.p.Principals) {
		path, ps := join("principals", name), l.p.Principals[name]
		if ps.AcceptClaimedTimeUnsafe {
			l.warn(path+".acceptClaimedTimeUnsafe", "claimed-time", "whoever holds the key can choose the time of what it signs")
		}
		for i, k := range keysOf(ps) {
			if k.ValidUntil.IsZero() {
				at := fmt.Sprintf("%s.keys[%d]", path, i)
				if ps.Key != "" {
					at = path + ".key"
				}
				l.info(at, "key-without-end", "the key is good for ever; set validUntil")
				break
			}
		}
		for i, id := range ps.Patterns {
			at := fmt.Sprintf("%s.patterns[%d].subject", path, i)
			if why := broadSubject(id.Subject); why != "" {
				l.warn(at, "broad-pattern", "%s", why)
			}
		}
	}
}

// literalPrefix returns what a pattern starts with before its first wildcard,
// and whether it has one.
func literalPrefix(pattern string) (string, bool) {
	for i := 0; i < len(pattern); i++ {
		switch pattern[i] {
		case '\\':
			i++
		case '*':
			return pattern[:i], true
		}
	}
	return pattern, false
}

// broadSubject says whom a pattern of certificate subjects lets in unmeant.
func broadSubject(pattern string) string {
	prefix, wild := literalPrefix(pattern)
	if !wild {
		return "the pattern has no wildcard; an entry of identities is clearer"
	}
	if _, rest, ok := strings.Cut(prefix, "://"); ok {
		segments := strings.Split(rest, "/")
		switch {
		case len(segments) < 2:
			return "the host is not fixed: the pattern lets in hosts of strangers"
		case len(segments) < 3:
			return "only the host is fixed: the pattern lets in everybody there; fix the organization, up to a \"/\""
		}
		return ""
	}
	if at := strings.LastIndexByte(pattern, '@'); at >= 0 && !strings.Contains(pattern[at:], "*") {
		return "" // *@example.com
	}
	return "the pattern does not fix where the identity comes from"
}

func (l *linter) inputs() {
	for _, name := range names(l.p.Inputs) {
		path, in := join("inputs", name), l.p.Inputs[name]
		if prefix, wild := literalPrefix(in.URI); wild {
			scheme, rest, hasScheme := strings.Cut(prefix, "://")
			switch {
			case prefix == "" || !hasScheme && !strings.Contains(prefix, ":") && !strings.Contains(prefix, "/"):
				l.warn(path+".uri", "broad-pattern", "the pattern admits anything from anywhere")
			case hasScheme && !strings.Contains(rest, "/"):
				l.warn(path+".uri", "broad-pattern", "the host is not fixed: the pattern admits what strangers put behind %s://", scheme)
			}
		}
		switch {
		case in.AllowWithoutDigestUnsafe:
			l.warn(path+".allowWithoutDigestUnsafe", "input-without-digest", "materials without a digest are admitted: anything can be behind their names")
		case len(in.Digests) == 0 && in.ListedBy == "":
			l.warn(path, "input-by-name", "whoever controls what is at the uri controls the input; set digests or listedBy")
		}
	}
}

func (l *linter) stages() {
	revoked := map[string]bool{}
	for _, r := range l.p.Revoked {
		if r.Key != "" && r.From.IsZero() {
			revoked[strings.TrimPrefix(r.Key, "sha256:")] = true
		}
	}
	// usable reports whether some key or identity of a principal is left.
	usable := func(name string) bool {
		ps := l.p.Principals[name]
		keys := keysOf(ps)
		for _, k := range keys {
			if tk, err := parseKey(k); err != nil || !revoked[tk.id] {
				return true
			}
		}
		return len(keys) == 0 || len(identitiesOf(ps))+len(ps.Patterns) > 0
	}
	all := names(l.p.Stages)
	for i, name := range all {
		path, s := join("stages", name), l.p.Stages[name]
		if s == nil {
			continue
		}
		for _, other := range all[:i] {
			if t := l.p.Stages[other]; t != nil && reflect.DeepEqual(s, t) {
				l.warn(path, "duplicate-stage", "says the same as stage %q", other)
			}
		}
		for j, f := range s.From {
			if f.Names == "" && len(f.Map) == 0 {
				l.info(fmt.Sprintf("%s.from[%d]", path, j), "names-not-tied", "files flow by digest only: two good files of stage %q could swap their names; set names or map", f.Stage)
			}
		}
		if s.Optional {
			l.info(path+".optional", "optional-stage", "the chain may do without the stage, where inputs admit what it makes")
		}
		for j := range s.Requires {
			at, r := fmt.Sprintf("%s.requires[%d]", path, j), &s.Requires[j]
			l.requirement(at, r)
			left := 0
			for _, signer := range r.Signers {
				if len(l.p.Principals[signer].Patterns) > 0 {
					left = len(r.Signers) + r.Threshold // any number
				} else if usable(signer) {
					left++
				}
			}
			if left < max(r.Threshold, 1) {
				l.warn(at+".signers", "unsatisfiable", "with the revoked keys only %d of the signers are left, and %d are wanted", left, max(r.Threshold, 1))
			}
			for k := range j {
				if reflect.DeepEqual(*r, s.Requires[k]) {
					l.warn(at, "duplicate-requirement", "says the same as requires[%d]", k)
				}
			}
		}
	}
	l.oneForAll()
}

func (l *linter) requirement(path string, r *Requirement) {
	for i, w := range r.Where {
		l.condition(fmt.Sprintf("%s.where[%d]", path, i), w)
	}
	slsa := strings.HasPrefix(r.Type, "https://slsa.dev/provenance/")
	if slsa && len(r.Builders) == 0 {
		l.info(path, "any-builder", "the signers may name any builder; set builders")
	}
	switch r.Which {
	case "newest", "all", "none":
		by := "maxAge, which bounds what a withheld statement can hide"
		if r.Complete {
			by = "the inventory"
		}
		l.info(path+".which", "completeness", "the verdict rests on no statement being withheld, by %s", by)
	}
}

func (l *linter) condition(path, source string) {
	switch s := strings.TrimSpace(source); {
	case s == "true":
		l.warn(path, "never-refuses", "the condition is always true")
	case s == "false":
		l.warn(path, "unsatisfiable", "the condition is never true")
	case strings.Contains(s, "signers"):
		l.info(path, "looks-at-signers", "a condition that excludes signers depends on no signature being withheld")
	}
	if strings.Contains(source, "!=") {
		l.info(path, "not-equal", "!= is also true of values of another type; where possible say what a field must be")
	}
}

// oneForAll tells of a principal that can make up the whole chain alone.
func (l *linter) oneForAll() {
	requirements := 0
	count := map[string]int{}
	for _, s := range l.p.Stages {
		if s == nil {
			continue
		}
		for _, r := range s.Requires {
			requirements++
			if r.Threshold <= 1 {
				for _, signer := range r.Signers {
					count[signer]++
				}
			}
		}
	}
	for _, name := range names(count) {
		if requirements > 1 && count[name] == requirements && len(l.p.Rules) == 0 {
			l.info(join("principals", name), "one-for-all", "can vouch for every stage alone; a rule with separate would take two")
		}
	}
}

func (l *linter) rules() {
	signersOf := func(stages []string) (all []string, open bool) {
		for _, name := range stages {
			if s := l.p.Stages[name]; s != nil {
				for _, r := range s.Requires {
					all = append(all, r.Signers...)
					open = open || slices.ContainsFunc(r.Signers, func(n string) bool { return len(l.p.Principals[n].Patterns) > 0 })
				}
			}
		}
		slices.Sort(all)
		return slices.Compact(all), open
	}
	for i, r := range l.p.Rules {
		path := fmt.Sprintf("rules[%d]", i)
		for j := range i {
			if q := l.p.Rules[j]; slices.Equal(q.Separate, r.Separate) && slices.Equal(q.Over, r.Over) && q.Organizations == r.Organizations && q.Condition == r.Condition &&
				slices.Equal(q.SamePackages, r.SamePackages) && q.Packages == r.Packages && slices.Equal(q.Except, r.Except) {
				l.warn(path, "duplicate-rule", "says the same as rules[%d]", j)
			}
		}
		if r.Condition != "" {
			l.condition(path+".condition", r.Condition)
		}
		if len(r.Separate) > 1 {
			shared, wanted := false, 0
			seen := map[string]bool{}
			for _, stage := range r.Separate {
				signers, open := signersOf([]string{stage})
				shared = shared || open
				for _, s := range signers {
					shared = shared || seen[s]
					seen[s] = true
				}
				most := 0
				if s := l.p.Stages[stage]; s != nil {
					for _, q := range s.Requires {
						most = max(most, q.Threshold, 1)
					}
				}
				wanted += most
			}
			_, open := signersOf(r.Separate)
			switch {
			case !open && len(seen) < wanted:
				l.warn(path+".separate", "unsatisfiable", "%d principals are wanted and the stages have %d between them", wanted, len(seen))
			case !shared:
				l.info(path+".separate", "never-refuses", "the stages have no signer in common, so the rule refuses nothing today; it guards against later changes")
			}
		}
		if r.Organizations > 0 {
			signers, open := signersOf(r.Over)
			organizations := map[string]bool{}
			for _, s := range signers {
				if o := l.p.Principals[s].Organization; o != "" {
					organizations[o] = true
				}
			}
			if len(organizations) < r.Organizations {
				l.warn(path+".organizations", "unsatisfiable", "the signers of these stages belong to %d organizations%s", len(organizations),
					map[bool]string{true: "; a pattern counts as one", false: ""}[open])
			}
		}
	}
}

func (l *linter) unused() {
	principals, inputs := map[string]bool{}, map[string]bool{}
	for _, s := range l.p.Stages {
		if s == nil {
			continue
		}
		for _, r := range s.Requires {
			for _, n := range r.Signers {
				principals[n] = true
			}
		}
		for _, n := range s.Inputs {
			inputs[n] = true
		}
	}
	if l.p.Inventory != nil {
		for _, n := range l.p.Inventory.Signers {
			principals[n] = true
		}
		complete := false
		for _, s := range l.p.Stages {
			complete = complete || s != nil && slices.ContainsFunc(s.Requires, func(r Requirement) bool { return r.Complete })
		}
		if !complete {
			l.warn("inventory", "unused-inventory", "no requirement asks for completeness")
		}
	}
	for _, n := range names(l.p.Principals) {
		if !principals[n] {
			l.warn(join("principals", n), "unused-principal", "no stage lets the principal sign anything")
		}
	}
	for _, n := range names(l.p.Inputs) {
		if !inputs[n] {
			l.warn(join("inputs", n), "unused-input", "no stage takes the input")
		}
	}
	texts := l.texts(reflect.ValueOf(l.p).Elem(), nil)
	for _, n := range names(l.p.Parameters) {
		if !slices.ContainsFunc(texts, func(s string) bool {
			return strings.Contains(s, "${"+n+"}") || strings.Contains(s, "params."+n) || strings.Contains(s, `params["`+n) || strings.Contains(s, `params['`+n)
		}) {
			l.warn(join("parameters", n), "unused-parameter", "nothing uses the parameter")
		}
	}
}

// texts appends every string of the policy that may use a parameter.
func (l *linter) texts(v reflect.Value, out []string) []string {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			return l.texts(v.Elem(), out)
		}
	case reflect.String:
		return append(out, v.String())
	case reflect.Slice:
		for i := range v.Len() {
			out = l.texts(v.Index(i), out)
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			out = l.texts(v.MapIndex(k), out)
		}
	case reflect.Struct:
		if v.Type() == timeType {
			return out
		}
		for _, f := range policyFields(v.Type()) {
			if f.name != "parameters" {
				out = l.texts(v.Field(f.index), out)
			}
		}
	}
	return out
}
