package intoto

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/hallmark-build/hallmark/internal/keyfile"
	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/strictjson"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/layout"
	"github.com/hallmark-build/hallmark/provenance/predicate"
	"github.com/hallmark-build/hallmark/verify"
)

// LayoutPayloadType is the DSSE payload type of signed ITE-10 layouts. The
// drafts have none; this one is no in-toto type and is part of what is signed,
// so that no attestation can pose as a layout and no layout as an attestation.
const LayoutPayloadType = "application/vnd.hallmark.in-toto-layout.v1+yaml"

// attributeVars are the variables of an attribute rule (ITE-11), and params.
var attributeVars = []string{"predicate", "predicateType", "subject", "params"}

func (v *verifier) verifyUnsigned(data []byte, owners []*functionary, links fs.FS) (*Summary, error) {
	switch {
	case len(owners) > 0:
		return nil, refuse(ReasonUnsigned, "keys are given, and the layout is in no envelope that they could have signed")
	case !v.options.UnsignedLayoutUnsafe:
		return nil, refuse(ReasonUnsigned, "the layout is in no envelope, so nobody has signed it; sign it as %s", LayoutPayloadType)
	}
	return v.verifyAttestations(data, links)
}

// A wish is one predicate that a step expects, ready to be looked for.
type wish struct {
	step          string
	index         int // of the step
	predicateType string
	functionaries map[string]*functionary // by key material
	threshold     int
	rules         []compiledAttribute
}

type compiledAttribute struct {
	attributeRule
	condition verify.Condition
}

// A claim is a verified statement by one functionary for one wish.
type claim struct {
	by        *functionary
	file      string
	statement *provenance.Statement
	digest    provenance.Digest
	record    *record
	// failed is the attribute rule that does not hold, if one does not.
	failed *RefusedError
}

func (v *verifier) verifyAttestations(data []byte, links fs.FS) (*Summary, error) {
	top := new(level)
	l, err := parseAttestationLayout(data)
	if err != nil {
		return nil, refuse(ReasonLayout, "%v", err)
	}
	expires, err := l.expires()
	if err != nil {
		return nil, refuse(ReasonLayout, "%v", err)
	}
	if !v.options.At.Before(expires) {
		return nil, refuse(ReasonExpired, "the layout expired at %s", l.Expires)
	}
	// What is not judged must not be passed over.
	if len(l.Subjects) > 0 {
		return nil, refuse(ReasonUnsupported, "the layout has subjects, which this package does not judge")
	}
	if len(l.Inspections) > 0 {
		return nil, refuse(ReasonUnsupported, "the layout has inspections, which this package does not run for ITE-10 layouts")
	}
	wishes, items, err := v.wishes(l)
	if err != nil {
		return nil, err
	}
	claims, err := v.claims(wishes, links)
	if err != nil {
		return nil, err
	}
	summary := &Summary{Digest: digestOf(data), Expires: expires}
	records := make(map[string]*record, len(l.Steps))
	chosen := make([][]*claim, len(wishes))
	for i, w := range wishes {
		if chosen[i], err = v.agree(w, claims[i]); err != nil {
			return nil, err
		}
		r := chosen[i][0].record
		if first := records[w.step]; first == nil {
			records[w.step] = &record{materials: r.materials, products: r.products}
		} else {
			first.also = append(first.also, r)
		}
	}
	for i := range l.Steps {
		name := l.Steps[i].Name
		s := StepSummary{Name: name, Materials: Artifacts{}, Products: Artifacts{}}
		for j, w := range wishes {
			if w.index != i {
				continue
			}
			// The artifact rules hold for every predicate that the step expects.
			r := chosen[j][0].record
			run := &ruleRun{budget: v.budget, same: provenance.DigestSet.Matches, own: r, steps: records}
			if err := v.applyLists(run, name, &items[i], top); err != nil {
				return nil, err
			}
			s.Threshold = max(s.Threshold, w.threshold)
			maps.Copy(s.Materials, r.materials)
			maps.Copy(s.Products, r.products)
			for _, c := range chosen[j] {
				s.Functionaries = append(s.Functionaries, c.by.String())
			}
		}
		slices.Sort(s.Functionaries)
		s.Functionaries = slices.Compact(s.Functionaries)
		summary.Steps = append(summary.Steps, s)
	}
	summary.Materials = summary.Steps[0].Materials
	summary.Products = summary.Steps[len(l.Steps)-1].Products
	return summary, nil
}

// wishes checks the layout and lists what its steps expect.
func (v *verifier) wishes(l *attestationLayout) ([]*wish, []plannedItem, error) {
	p, err := newParameters(v.options.Parameters)
	if err != nil {
		return nil, nil, err
	}
	switch {
	case len(l.Steps) == 0:
		return nil, nil, refuse(ReasonLayout, "the layout has no steps: it would prove nothing")
	case len(l.Steps) > limits.LayoutItems || len(l.Functionaries) > limits.LayoutKeys:
		return nil, nil, refuse(ReasonLimit, "more than %d steps or %d functionaries", limits.LayoutItems, limits.LayoutKeys)
	}
	keys := make(map[string]layout.Key, len(l.Functionaries))
	for id, k := range l.Functionaries {
		if k.KeyID != "" && k.KeyID != id {
			return nil, nil, refuse(ReasonLayout, "the key under %s says that its id is %s", clip(id), clip(k.KeyID))
		}
		keys[id] = k.key(id)
	}
	known, err := functionaries(keys, func(format string, args ...any) { v.note("", format, args...) })
	if err != nil {
		return nil, nil, err
	}
	var out []*wish
	var items []plannedItem
	names := map[string]bool{}
	rules := 0
	for i := range l.Steps {
		s := &l.Steps[i]
		wrong := func(format string, args ...any) ([]*wish, []plannedItem, error) {
			e := refuse(ReasonLayout, format, args...)
			e.Step = s.Name
			return nil, nil, e
		}
		if s.Name == "" || len(s.Name) > limits.PolicyName || names[s.Name] {
			return wrong("the name of a step is empty, too long, or there twice")
		}
		names[s.Name] = true
		if len(s.ExpectedPredicates) == 0 {
			return wrong("the step expects no predicates: it would prove nothing")
		}
		if rules += len(s.ExpectedMaterials) + len(s.ExpectedProducts); rules > limits.LayoutRules {
			return wrong("more than %d artifact rules", limits.LayoutRules)
		}
		var item plannedItem
		for _, list := range []struct {
			from []ruleText
			to   *[]*pattern
		}{{s.ExpectedMaterials, &item.materials}, {s.ExpectedProducts, &item.products}} {
			plain := make([]layout.Rule, len(list.from))
			for j, r := range list.from {
				plain[j] = r.Rule
			}
			if *list.to, err = p.rules(plain); err != nil {
				return nil, nil, new(level).at(s.Name, err)
			}
		}
		items = append(items, item)
		types := map[string]bool{}
		for j := range s.ExpectedPredicates {
			e := &s.ExpectedPredicates[j]
			w := &wish{step: s.Name, index: i, predicateType: e.PredicateType, functionaries: map[string]*functionary{}, threshold: max(e.Threshold, 1)}
			if e.PredicateType == "" || types[e.PredicateType] {
				return wrong("a predicate type that is empty, or there twice")
			}
			types[e.PredicateType] = true
			for _, id := range e.Functionaries {
				if _, ok := keys[id]; !ok {
					return wrong("the layout has no functionary %s", clip(id))
				}
				if f := known[id]; f != nil {
					w.functionaries[f.material] = f
				}
			}
			if e.Threshold < 0 || w.threshold > len(w.functionaries) {
				return wrong("a threshold of %d cannot be met by %d functionaries", e.Threshold, len(w.functionaries))
			}
			if rules += len(e.ExpectedAttributes); rules > limits.LayoutRules {
				return wrong("more than %d rules", limits.LayoutRules)
			}
			for _, r := range e.ExpectedAttributes {
				c, err := v.compileAttribute(s.Name, r)
				if err != nil {
					return nil, nil, err
				}
				w.rules = append(w.rules, c)
			}
			out = append(out, w)
		}
	}
	return out, items, nil
}

func (v *verifier) compileAttribute(step string, r attributeRule) (compiledAttribute, error) {
	wrong := func(format string, args ...any) (compiledAttribute, error) {
		e := refuse(ReasonLayout, format, args...)
		e.Step, e.Rule = step, r.Rule
		return compiledAttribute{}, e
	}
	if v.options.Conditions == nil {
		return wrong("an attribute rule, and nothing is given to compile it with (Options.Conditions)")
	}
	// Values are never put into the text of a rule: they would be code.
	for name := range v.options.Parameters {
		if strings.Contains(r.Rule, "{"+name+"}") {
			return wrong("parameters are not put into attribute rules; write params[%q]", name)
		}
	}
	c, err := v.options.Conditions.Compile(r.Rule, attributeVars)
	if err != nil {
		return wrong("%v", err)
	}
	return compiledAttribute{r, c}, nil
}

// claims reads all attestations, and finds for each wish those that are meant
// for it. The names of files say nothing here: nobody has signed them. A link
// names its step. Anything else is for the step whose functionary and
// predicate type it has; if these are several, its attributes must fit one alone.
func (v *verifier) claims(wishes []*wish, links fs.FS) ([][]*claim, error) {
	out := make([][]*claim, len(wishes))
	trusted := map[string]*functionary{}
	for _, w := range wishes {
		maps.Copy(trusted, w.functionaries)
	}
	trust, err := trustIn(trusted)
	if err != nil {
		return nil, err
	}
	entries, err := v.readDir(links)
	if err != nil {
		return nil, err
	}
	seen := map[provenance.Digest]string{}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".json") {
			continue
		}
		if !e.Type().IsRegular() {
			v.note("", "%s is passed over: not a regular file (symbolic links are not followed)", clip(e.Name()))
			continue
		}
		data, err := v.readFile(links, e.Name())
		if err != nil {
			return nil, err
		}
		if err := v.budget.verify(len(trusted)); err != nil {
			return nil, err
		}
		st, err := verify.Open(data, trust, v.options.At) // checks payload type and _type
		if err != nil {
			v.note("", "%s is passed over: %v", clip(e.Name()), err)
			continue
		}
		// The same statement in two files is one statement with the signers of both.
		if other, again := seen[st.Digest()]; again {
			v.note("", "%s is the same statement as %s", clip(e.Name()), clip(other))
		} else {
			seen[st.Digest()] = e.Name()
		}
		for _, s := range st.Signatures() {
			if err := v.offer(wishes, out, trusted[s.Principal.KeyID()], st, e.Name()); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// trustIn returns the trust in functionaries' keys.
func trustIn(list map[string]*functionary) (*verify.Trust, error) {
	var keys []verify.Key
	for _, id := range slices.Sorted(maps.Keys(list)) {
		pem, err := keyfile.MarshalPublic(list[id].public)
		if err != nil {
			return nil, err
		}
		keys = append(keys, verify.Key{PEM: string(pem), Scheme: string(list[id].scheme)})
	}
	return verify.NewTrust(keys...)
}

// offer adds a statement by a functionary to the claims of the wish that it is for.
func (v *verifier) offer(wishes []*wish, out [][]*claim, by *functionary, vs *verify.VerifiedStatement, file string) error {
	if by == nil {
		return nil
	}
	st := vs.Statement()
	var of []int
	for i, w := range wishes {
		if w.predicateType == st.PredicateType() && w.functionaries[by.material] != nil {
			of = append(of, i)
		}
	}
	if len(of) == 0 {
		return nil
	}
	passOver := func(step, format string, args ...any) error {
		v.note(step, "%s by %s is passed over: %s", clip(file), by, fmt.Sprintf(format, args...))
		return nil
	}
	if err := predicate.Check(st); err != nil {
		return passOver("", "%v", err)
	}
	r, err := recordOf(st)
	if err != nil {
		return passOver("", "%v", err)
	}
	c := &claim{by: by, file: file, statement: st, digest: vs.Digest(), record: r}
	if name, ok, err := linkName(st); err != nil {
		return passOver("", "%v", err)
	} else if ok {
		of = slices.DeleteFunc(of, func(i int) bool { return wishes[i].step != name })
		if len(of) == 0 {
			return passOver("", "it is a link of step %s", clip(name))
		}
	}
	// One step at most has this predicate type from this functionary, or else
	// the attributes decide.
	fits := of[:0:0]
	failed := make(map[int]*RefusedError)
	vars, err := attributes(st, v.options.Parameters)
	if err != nil {
		return passOver("", "%v", err)
	}
	for _, i := range of {
		if failed[i], err = v.holds(wishes[i], vars, file); err != nil {
			return err
		}
		if failed[i] == nil {
			fits = append(fits, i)
		}
	}
	switch {
	case len(fits) == 1:
		out[fits[0]] = append(out[fits[0]], c)
	case len(fits) > 1:
		names := make([]string, len(fits))
		for j, i := range fits {
			names[j] = wishes[i].step
		}
		e := refuse(ReasonAmbiguous, "%s by %s could be the evidence of any of the steps %s: let them differ in functionaries or attribute rules", clip(file), by, clip(strings.Join(names, ", ")))
		for _, i := range fits {
			c := *c
			c.failed = e
			out[i] = append(out[i], &c)
		}
	default:
		for _, i := range of {
			c := *c
			c.failed = failed[i]
			out[i] = append(out[i], &c)
		}
	}
	return nil
}

// linkName returns the step that a link names.
func linkName(st *provenance.Statement) (name string, ok bool, err error) {
	var l *predicate.Link
	switch st.PredicateType() {
	case predicate.TypeLink:
		l, err = predicate.ParseLink(st.Predicate())
	case predicate.TypeLinkV02, predicate.TypeLinkV1:
		l, err = predicate.ParseLinkV02(st.Predicate())
	default:
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	return l.Name, true, nil
}

// recordOf says what a statement reports (ITE-10): a transformation has
// materials and products, anything else is about its subjects, as materials.
func recordOf(st *provenance.Statement) (*record, error) {
	flow, err := predicate.FlowOf(st)
	if err != nil {
		return nil, err
	}
	r := new(record)
	subjects, err := described("subject", st.Subjects())
	if err != nil {
		return nil, err
	}
	if !flow.Transformation {
		r.materials = subjects
		return r, nil
	}
	r.products = subjects
	r.materials, err = described("material", flow.Materials)
	return r, err
}

func described(what string, list []provenance.ResourceDescriptor) (Artifacts, error) {
	m := make(map[string]provenance.DigestSet, len(list))
	for i, d := range list {
		name := d.Name
		if name == "" {
			name = d.URI
		}
		if name == "" {
			return nil, fmt.Errorf("%s %d has neither name nor uri, so no rule can speak of it", what, i)
		}
		if _, dup := m[name]; dup {
			return nil, fmt.Errorf("two %ss are called %s", what, clip(name))
		}
		m[name] = d.Digest
	}
	return cleanArtifacts(m)
}

// attributes are the variables of attribute rules for a statement.
func attributes(st *provenance.Statement, params map[string]string) (map[string]any, error) {
	pred, err := strictjson.Decode(st.Predicate(), 0)
	if err != nil {
		return nil, err
	}
	if pred, err = plainValue(pred); err != nil {
		return nil, err
	}
	subjects := []any{}
	for _, s := range st.Subjects() {
		digest := map[string]any{}
		for _, d := range s.Digest {
			digest[string(d.Algorithm())] = d.Value()
		}
		m := map[string]any{"digest": digest}
		for name, value := range map[string]string{"name": s.Name, "uri": s.URI, "mediaType": s.MediaType, "downloadLocation": s.DownloadLocation} {
			if value != "" {
				m[name] = value
			}
		}
		subjects = append(subjects, m)
	}
	p := map[string]any{}
	for name, value := range params {
		p[name] = value
	}
	return map[string]any{"predicate": pred, "predicateType": st.PredicateType(), "subject": subjects, "params": p}, nil
}

// holds decides the attribute rules of a wish (ITE-11): every one must be
// true. It returns the first that is not.
func (v *verifier) holds(w *wish, vars map[string]any, file string) (*RefusedError, error) {
	for _, r := range w.rules {
		if err := v.budget.compare(1000); err != nil {
			return nil, err
		}
		ok, err := r.condition.Holds(vars)
		if err != nil && r.AllowIfNoClaim && errors.Is(err, verify.ErrNoField) {
			continue
		}
		if ok && err == nil {
			continue
		}
		e := refuse(ReasonAttribute, "%s: it is false", clip(file))
		if err != nil {
			e = refuse(ReasonAttribute, "%s: it could not be decided: %v", clip(file), err)
		}
		e.Step, e.Rule = w.step, r.Rule
		if r.Debug != "" {
			e.Msg += " (" + clip(r.Debug) + ")"
		}
		// A warning is what the layout asks for where a rule is false. One
		// that cannot be decided says nothing, and is not waved through.
		if r.Warn && err == nil {
			v.note(w.step, "attribute rule %s: %s", clip(r.Rule), e.Msg)
			continue
		}
		return e, nil
	}
	return nil, nil
}

// agree wants enough functionaries whose claims hold and agree.
func (v *verifier) agree(w *wish, claims []*claim) ([]*claim, error) {
	var good []*claim
	var by []*functionary
	var nearest *RefusedError
	for _, c := range claims {
		if c.failed != nil {
			v.note(w.step, "%s by %s is passed over: %v", clip(c.file), c.by, c.failed)
			if nearest == nil {
				nearest = c.failed
			}
			continue
		}
		good, by = append(good, c), append(by, c.by)
	}
	if n := distinct(by); n < w.threshold {
		if nearest != nil {
			e := *nearest
			e.Step = w.step
			return nil, &e
		}
		e := refuse(ReasonThreshold, "want attestations of type %s by %d distinct functionaries, found %d", clip(w.predicateType), w.threshold, n)
		e.Step = w.step
		return nil, e
	}
	// One may have digests that another leaves out. All of them hold: were
	// they those of the first, the names of files would choose.
	first := good[0]
	all := &record{materials: maps.Clone(first.record.materials), products: maps.Clone(first.record.products)}
	for _, c := range good[1:] {
		if name := disagree(all, c.record); name != "" {
			e := refuse(ReasonDisagreement, "%s and %s, both of type %s, differ", clip(first.file), clip(c.file), clip(w.predicateType))
			e.Step, e.Artifact = w.step, name
			return nil, e
		}
		addDigests(all.materials, c.record.materials)
		addDigests(all.products, c.record.products)
	}
	for _, c := range good {
		c.record = all
	}
	return good, nil
}

// addDigests adds the digests of artifacts that agree.
func addDigests(to, from Artifacts) {
	for name, digests := range from {
		set := slices.Clone(to[name])
		for _, d := range digests {
			if set.Get(d.Algorithm()).IsZero() {
				set = append(set, d)
			}
		}
		slices.SortFunc(set, provenance.Digest.Compare)
		to[name] = set
	}
}

// disagree returns the first artifact that two claims do not agree on.
func disagree(a, b *record) string {
	for _, l := range [][2]Artifacts{{a.materials, b.materials}, {a.products, b.products}} {
		for _, name := range slices.Concat(l[0].names(), l[1].names()) {
			x, in := l[0][name]
			y, also := l[1][name]
			if !in || !also || !x.Matches(y) {
				return name
			}
		}
	}
	return ""
}

// plainValue turns the numbers of a decoded document into int64 or float64.
func plainValue(v any) (any, error) {
	switch v := v.(type) {
	case json.Number:
		if !strings.ContainsAny(v.String(), ".eE") {
			return v.Int64()
		}
		return v.Float64()
	case []any:
		for i := range v {
			e, err := plainValue(v[i])
			if err != nil {
				return nil, err
			}
			v[i] = e
		}
	case map[string]any:
		for name := range v {
			e, err := plainValue(v[name])
			if err != nil {
				return nil, err
			}
			v[name] = e
		}
	}
	return v, nil
}
