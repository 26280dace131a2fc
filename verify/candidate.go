package verify

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/strictjson"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/predicate"
)

// opened is an attestation after Open, with what the solver needs of it. It
// does not change.
type opened struct {
	vs        *VerifiedStatement
	subjects  []provenance.ResourceDescriptor // digests: only those the policy accepts
	materials []provenance.ResourceDescriptor // the same
	byDigest  *subjectIndex                   // when there are many subjects
	flowErr   error
	rejected  *RejectedError
	tries     int // signatures that were checked
}

// candidate is a statement that may be chosen, with everybody who signed it:
// the same statement in two envelopes is one candidate. Packages that the
// verifier looked into itself are candidates too, with vs nil.
type candidate struct {
	opened
	id       provenance.Digest
	standing map[*requirement]*standing
	vars     map[string]any
	varsErr  error
}

// vote is one principal's word for one statement.
type vote struct {
	cand   *candidate
	person string
	entry  *entry
	sig    *Signature
	// trusted is the signature's earliest trusted time; start and end are that,
	// or the claimed times where the policy accepts them. made is when the
	// statement was made at the earliest, by which its age is judged.
	trusted, start, end, made time.Time
	source                    string
}

// standing is how a statement does before one requirement, by itself.
type standing struct {
	votes []vote   // by principals who may vote, ordered by person
	why   *Finding // why there are none
	where *Finding // why the conditions do not hold, nil when they do
}

func (st *standing) ok() bool { return len(st.votes) > 0 && st.where == nil }

// find returns the candidates that have a subject with the digest.
func (s *solver) find(d provenance.Digest) ([]*candidate, error) {
	if list, ok := s.found[d]; ok {
		return list, nil
	}
	found, err := pendingOf(s.ctx, s.req.Evidence, d)
	if err != nil {
		return nil, fmt.Errorf("finding evidence about %s: %w", d.Short(), err)
	}
	// The same attestation given twice is one.
	slices.SortFunc(found, func(a, b pending) int { return bytes.Compare(a.sum[:], b.sum[:]) })
	found = slices.CompactFunc(found, func(a, b pending) bool { return a.sum == b.sum })
	if len(found) > limits.CandidatesPerDigest {
		return nil, &limitError{fmt.Sprintf("more than %d attestations about %s", limits.CandidatesPerDigest, d.Short())}
	}
	list, rejected, err := s.admit(found)
	if err != nil {
		return nil, fmt.Errorf("finding evidence about %s: %w", d.Short(), err)
	}
	// A source may return more than was asked for.
	list = slices.DeleteFunc(list, func(c *candidate) bool { return !c.has(d) })
	s.found[d] = list
	if len(rejected) > 0 {
		s.rejected[d] = rejected
	}
	return list, nil
}

// admit opens attestations and returns the candidates among them, ordered by
// statement digest, and the rejections, ordered by message.
func (s *solver) admit(found []pending) ([]*candidate, []*RejectedError, error) {
	var list, bad []*candidate
	for i := range found {
		if err := s.ctx.Err(); err != nil {
			return nil, nil, err
		}
		sum := found[i].sum
		c, seen := s.raw[sum]
		if !seen {
			o, err := s.openShared(&found[i])
			if err != nil {
				return nil, nil, err
			}
			// Also what a batch checked before: the verdict is the same alone.
			if s.tries += o.tries; s.tries > limits.SignatureTries {
				return nil, nil, &limitError{fmt.Sprintf("more than %d signatures to check", limits.SignatureTries)}
			}
			if o.rejected != nil {
				// Of what it claims to be.
				sum := sha256.Sum256(o.rejected.UnverifiedPayload)
				if c = (&candidate{opened: *o}); o.rejected.UnverifiedPayload != nil {
					c.id, _ = provenance.NewDigest(provenance.SHA256, hex.EncodeToString(sum[:]))
				}
			} else {
				c = s.merge(o)
			}
			s.raw[sum] = c
		}
		if c.opened.rejected != nil {
			bad = append(bad, c)
		} else {
			list = append(list, c)
		}
	}
	slices.SortFunc(list, func(a, b *candidate) int { return a.id.Compare(b.id) })
	list = slices.Compact(list)
	// A statement that was opened is not rejected in another envelope.
	var rejected []*RejectedError
	for _, c := range bad {
		if s.byID[c.id] == nil {
			rejected = append(rejected, c.opened.rejected)
		}
	}
	slices.SortFunc(rejected, func(a, b *RejectedError) int {
		if c := strings.Compare(string(a.Reason), string(b.Reason)); c != 0 {
			return c
		}
		return strings.Compare(a.Msg, b.Msg)
	})
	return list, slices.CompactFunc(rejected, func(a, b *RejectedError) bool { return a.Reason == b.Reason && a.Msg == b.Msg }), nil
}

// openShared is open, once in a batch.
func (s *solver) openShared(p *pending) (*opened, error) {
	k := keyAt(p.sum, s.at)
	if s.shared != nil {
		if o := s.shared.get(k); o != nil {
			return o, nil
		}
	}
	o, err := s.open(p)
	if err != nil {
		return nil, err
	}
	if s.shared != nil {
		s.shared.put(k, o)
	}
	return o, nil
}

// open is Open with what follows from the statement.
func (s *solver) open(p *pending) (*opened, error) {
	trust, tries := *s.v.trust, 0
	trust.tries = &tries
	vs, err := p.open(s.ctx, &trust, s.at)
	if failed, ok := errors.AsType[*sourceError](err); ok {
		return nil, failed.err
	}
	if err != nil {
		var r *RejectedError
		if !errors.As(err, &r) {
			r = &RejectedError{Reason: ReasonMalformed, Msg: err.Error(), Err: err}
		}
		return &opened{rejected: r, tries: tries}, nil
	}
	o := &opened{vs: vs, tries: tries}
	o.subjects = s.v.usableAll(vs.statement.Subjects())
	o.index()
	f, err := predicate.FlowOf(vs.statement)
	if err != nil {
		o.flowErr = err
	}
	o.materials = s.v.usableAll(f.Materials)
	return o, nil
}

func (v *Verifier) usableAll(list []provenance.ResourceDescriptor) []provenance.ResourceDescriptor {
	same := true
	for i := range list {
		same = same && len(v.usable(list[i].Digest)) == len(list[i].Digest)
	}
	if same {
		return list
	}
	out := slices.Clone(list)
	for i := range out {
		out[i].Digest = v.usable(out[i].Digest)
	}
	return out
}

// merge makes one candidate of all envelopes around one statement.
func (s *solver) merge(o *opened) *candidate {
	id := o.vs.digest
	c := s.byID[id]
	if c == nil {
		c = &candidate{opened: *o, id: id}
		s.byID[id] = c
		return c
	}
	sigs := slices.Concat(c.vs.signatures, o.vs.signatures)
	slices.SortStableFunc(sigs, compareSignatures)
	sigs = slices.CompactFunc(sigs, func(a, b Signature) bool { return compareSignatures(a, b) == 0 })
	c.vs = &VerifiedStatement{statement: c.vs.statement, digest: id, signatures: sigs}
	c.standing, c.vars = nil, nil
	return c
}

func compareSignatures(a, b Signature) int {
	if c := comparePrincipals(a.Principal, b.Principal); c != 0 {
		return c
	}
	// All times: one that is after the instant of judgement rules out its own
	// signature and no other.
	if c := slices.CompareFunc(a.Times, b.Times, func(a, b TrustedTime) int {
		return cmp.Or(a.Time.Compare(b.Time), strings.Compare(a.Who, b.Who), strings.Compare(a.Source, b.Source))
	}); c != 0 {
		return c
	}
	// Two signatures of one second may have run elsewhere, or one be revoked.
	if c := slices.Compare(a.LogIndexes, b.LogIndexes); c != 0 {
		return c
	}
	switch {
	case a.unindexed && !b.unindexed:
		return 1
	case b.unindexed && !a.unindexed:
		return -1
	}
	return compareClaims(a.Claims, b.Claims)
}

func compareClaims(a, b map[string]string) int {
	names := slices.Sorted(maps.Keys(a))
	if c := slices.Compare(names, slices.Sorted(maps.Keys(b))); c != 0 {
		return c
	}
	for _, n := range names {
		if c := strings.Compare(a[n], b[n]); c != 0 {
			return c
		}
	}
	return 0
}

func comparePrincipals(a, b Principal) int {
	for _, p := range [...][2]string{{a.key, b.key}, {a.issuer, b.issuer}, {a.subjectType, b.subjectType}, {a.subject, b.subject}} {
		if c := strings.Compare(p[0], p[1]); c != 0 {
			return c
		}
	}
	return 0
}

// subjectIndex finds subjects by digest. Nearly always there is one.
type subjectIndex struct {
	first map[provenance.Digest]int32
	more  map[provenance.Digest][]int32
}

func (o *opened) index() {
	if len(o.subjects) <= 8 {
		return
	}
	x := &subjectIndex{first: make(map[provenance.Digest]int32, len(o.subjects))}
	for i := range o.subjects {
		for _, d := range o.subjects[i].Digest {
			if _, dup := x.first[d]; !dup {
				x.first[d] = int32(i)
				continue
			}
			if x.more == nil {
				x.more = map[provenance.Digest][]int32{}
			}
			x.more[d] = append(x.more[d], int32(i))
		}
	}
	o.byDigest = x
}

// has reports whether a subject has the digest.
func (o *opened) has(d provenance.Digest) bool {
	for range o.with(d) {
		return true
	}
	return false
}

// with yields the subjects that have the digest, in order.
func (o *opened) with(d provenance.Digest) iter.Seq[int] {
	return func(yield func(int) bool) {
		if o.byDigest == nil {
			for i := range o.subjects {
				if slices.Contains(o.subjects[i].Digest, d) && !yield(i) {
					return
				}
			}
			return
		}
		i, ok := o.byDigest.first[d]
		if !ok || !yield(int(i)) || o.byDigest.more == nil {
			return
		}
		for _, i := range o.byDigest.more[d] {
			if !yield(int(i)) {
				return
			}
		}
	}
}

// product returns the index of a subject that is the wanted artifact, by digest and, where the flow
// ties names, by name; -1 when there is none. misnamed is the index of one
// that matches by digest only.
func (c *candidate) product(want *provenance.ResourceDescriptor, f *flow) (at, misnamed int) {
	misnamed = -1
	try := func(i int) bool {
		r := &c.subjects[i]
		if !matches(r, want) {
			return false
		}
		if !f.tied(want.Name, r.Name) {
			misnamed = i
			return false
		}
		return true
	}
	for _, d := range want.Digest {
		for i := range c.with(d) {
			if try(i) {
				return i, -1
			}
		}
	}
	return -1, misnamed
}

// matches reports whether two resources are the same. A symbolic link has the
// digest of its target's text (provenance.Tree), and is not a file with that
// content.
func matches(a, b *provenance.ResourceDescriptor) bool {
	return a.Digest.Matches(b.Digest) && isLink(a) == isLink(b)
}

func isLink(r *provenance.ResourceDescriptor) bool {
	_, ok := r.Annotations["link"].(string)
	return ok
}

// meeting calls each for every subject that product could return.
func (c *candidate) meeting(want *provenance.ResourceDescriptor, f *flow, each func(*provenance.ResourceDescriptor)) {
	try := func(r *provenance.ResourceDescriptor) {
		if matches(r, want) && f.tied(want.Name, r.Name) {
			each(r)
		}
	}
	for _, d := range want.Digest {
		for i := range c.with(d) {
			try(&c.subjects[i])
		}
	}
}

// tied reports whether the names of a material and of the product that it
// matches by digest fit the rule.
func (f *flow) tied(material, product string) bool {
	switch {
	case f == nil:
		return true
	case len(f.mapping) > 0:
		return f.mapping[material] == product && product != ""
	case f.names == "same":
		return material == product && material != ""
	case f.names == "base":
		return material != "" && product != "" && path.Base(material) == path.Base(product)
	}
	return true
}

// stand returns how the candidate does before a requirement.
func (s *solver) stand(r *requirement, c *candidate) *standing {
	if st := c.standing[r]; st != nil {
		return st
	}
	if c.standing == nil {
		c.standing = map[*requirement]*standing{}
	}
	st := new(standing)
	c.standing[r] = st
	fail := func(reason Reason, mend, format string, args ...any) *standing {
		st.why = &Finding{Reason: reason, Message: fmt.Sprintf(format, args...), Nearest: c.id.String(), Mend: mend}
		return st
	}
	typ := c.vs.statement.PredicateType()
	if !slices.Contains(r.types, typ) {
		return fail(ReasonWrongType, "", "statement %s is of type %s, the stage takes %s", c.id.Short(), clean(typ), strings.Join(r.types, " or "))
	}
	if c.flowErr != nil {
		return fail(ReasonPredicateBad, "", "statement %s: %v", c.id.Short(), c.flowErr)
	}
	if from, ok := s.v.revoked.statements[c.id.String()]; ok && s.inEffect(from, time.Time{}) {
		return fail(ReasonRevoked, "", "statement %s is revoked", c.id.Short())
	}
	builder := ""
	if r.builders != nil || len(s.v.revoked.builders) > 0 {
		builder = c.builder()
		if r.builders != nil && !r.builders[builder] {
			return fail(ReasonCondition, "", "statement %s names the builder %q, which the stage does not take", c.id.Short(), clean(builder))
		}
	}
	var last *Finding
	sigs := c.vs.signatures
	for i := range sigs {
		sig := &sigs[i]
		person, entries := s.v.names(sig.Principal)
		var e *entry
		for _, x := range entries {
			if r.signers[x.name] && (e == nil || x.name < e.name) {
				e = x
			}
		}
		if e == nil {
			continue
		}
		v := vote{cand: c, person: person, entry: e, sig: sig}
		if f := s.times(r, builder, &v); f != nil {
			last = f
			continue
		}
		st.votes = append(st.votes, v)
	}
	if len(st.votes) == 0 {
		if last != nil {
			last.Nearest = c.id.String()
			st.why = last
			return st
		}
		who := make([]string, 0, len(sigs))
		for i := range sigs {
			who = append(who, s.v.display(sigs[i].Principal))
		}
		return fail(ReasonWrongSigner, "have it signed by a principal of this stage",
			"statement %s is signed by %s, the stage takes %s", c.id.Short(), strings.Join(who, " and "), strings.Join(sortedKeys(r.signers), " or "))
	}
	slices.SortStableFunc(st.votes, func(a, b vote) int { return strings.Compare(a.person, b.person) })
	for i, cond := range r.where {
		vars, err := s.variables(c)
		if err != nil {
			st.where = &Finding{Reason: ReasonConditionError, Nearest: c.id.String(), Message: fmt.Sprintf("statement %s: %v", c.id.Short(), err)}
			break
		}
		holds, err := cond.Holds(vars)
		if err != nil {
			st.where = &Finding{Reason: ReasonConditionError, Nearest: c.id.String(),
				Message: fmt.Sprintf("statement %s: the condition %s cannot be decided: %s", c.id.Short(), r.sources[i], clean(err.Error()))}
			break
		}
		if !holds {
			st.where = &Finding{Reason: ReasonCondition, Nearest: c.id.String(),
				Message: fmt.Sprintf("statement %s: the condition %s does not hold", c.id.Short(), r.sources[i])}
			break
		}
	}
	return st
}

// display names a principal for people.
func (v *Verifier) display(p Principal) string {
	_, entries := v.names(p)
	if len(entries) > 0 {
		return entries[0].name
	}
	return clean(p.String())
}

// inEffect reports whether a revocation counts against something with the
// given trusted time. What has none cannot show that it came before.
func (s *solver) inEffect(from, trusted time.Time) bool {
	if from.IsZero() {
		return true
	}
	if !trusted.IsZero() {
		return !trusted.Before(from)
	}
	return !s.at.Before(from)
}

// times fills in the times of a vote and says why it does not count.
func (s *solver) times(r *requirement, builder string, v *vote) *Finding {
	who := s.v.display(v.sig.Principal)
	for _, t := range v.sig.Times {
		if t.Time.After(s.at) {
			return &Finding{Reason: ReasonNotYet, Message: fmt.Sprintf("the signature of %s has the trusted time %s, after the instant of judgement", who, stamp(t.Time))}
		}
	}
	if t, ok := v.sig.earliest(); ok {
		v.trusted, v.start, v.end, v.source = t.Time, t.Time, t.Time, t.Source
		// It shows that the signature is no younger. A certificate that is good
		// for minutes shows that it is hardly older; the signature of a key
		// that stays can be stamped again by anybody, at any time.
		if v.sig.Principal.key != "" {
			if _, end, err := predicate.ClaimedTimes(v.cand.vs.statement); err == nil && !end.IsZero() && end.Before(v.start) {
				v.start = end
			}
		}
		v.made = v.start
	} else if v.entry.claimed {
		start, end, err := predicate.ClaimedTimes(v.cand.vs.statement)
		if err == nil && !end.IsZero() {
			if start.IsZero() {
				start = end
			}
			if end.After(s.at) || start.After(end) {
				return &Finding{Reason: ReasonNotYet, Message: fmt.Sprintf("the statement of %s claims to have ended at %s, after the instant of judgement, or before it began", who, stamp(end))}
			}
			v.start, v.end, v.made, v.source = start, end, end, "claimed"
		}
	}
	revoked := func(from time.Time, ok bool, what string) *Finding {
		if !ok || !s.inEffect(from, v.trusted) {
			return nil
		}
		return &Finding{Reason: ReasonRevoked, Message: what + " is revoked"}
	}
	from, ok := s.v.revoked.keys[v.sig.Principal.person()]
	if f := revoked(from, ok, "the key or identity of "+who); f != nil {
		return f
	}
	if builder != "" {
		from, ok = s.v.revoked.builders[builder]
		if f := revoked(from, ok, "the builder "+clean(builder)); f != nil {
			return f
		}
	}
	for _, n := range v.sig.LogIndexes {
		from, ok = s.v.revoked.entries[n]
		if f := revoked(from, ok, fmt.Sprintf("log entry %d", n)); f != nil {
			return f
		}
	}
	if v.sig.unindexed {
		// Whoever hands over the evidence chose not to show the index: it may be
		// any that is revoked.
		for _, n := range slices.Sorted(maps.Keys(s.v.revoked.entries)) {
			if f := revoked(s.v.revoked.entries[n], true, "a log entry of which nothing vouches for the index: it may be entry "+strconv.FormatInt(n, 10)+", which"); f != nil {
				return f
			}
		}
	}
	if r.maxAge > 0 {
		if v.made.IsZero() {
			return &Finding{Reason: ReasonNoTime, Mend: "sign with a trusted timestamp, or let the policy accept the principal's claimed time",
				Message: fmt.Sprintf("the signature of %s has no trusted time, and the stage wants statements of at most %s", who, r.maxAge)}
		}
		if age := s.at.Sub(v.made); age > r.maxAge {
			return &Finding{Reason: ReasonTooOld, Mend: "repeat the step",
				Message: fmt.Sprintf("the statement signed by %s is %s old, the stage wants at most %s", who, age.Round(time.Second), r.maxAge)}
		}
	}
	return nil
}

// builder returns the builder.id of SLSA provenance, "" when there is none.
func (c *candidate) builder() string {
	v, err := strictjson.Decode(c.vs.statement.Predicate(), 0)
	if err != nil {
		return ""
	}
	m, _ := v.(map[string]any)
	if run, ok := m["runDetails"].(map[string]any); ok {
		m = run
	}
	b, _ := m["builder"].(map[string]any)
	id, _ := b["id"].(string)
	return id
}

// variables returns what conditions may see of a statement.
func (s *solver) variables(c *candidate) (map[string]any, error) {
	if c.vars != nil || c.varsErr != nil {
		return c.vars, c.varsErr
	}
	pred, err := strictjson.Decode(c.vs.statement.Predicate(), 0)
	if err == nil {
		pred, err = plain(pred)
	}
	if err != nil {
		c.varsErr = err
		return nil, err
	}
	signers := make([]any, 0, len(c.vs.signatures))
	for _, sig := range c.vs.signatures {
		m := map[string]any{"name": s.v.display(sig.Principal)}
		if sig.Principal.key != "" {
			m["key"] = sig.Principal.key
		} else {
			m["issuer"], m["subject"] = sig.Principal.issuer, sig.Principal.subject
			claims := make(map[string]any, len(sig.Claims))
			for k, v := range sig.Claims {
				claims[k] = v
			}
			m["claims"] = claims
		}
		if t, ok := sig.earliest(); ok {
			m["time"] = stamp(t.Time)
		}
		signers = append(signers, m)
	}
	c.vars = map[string]any{
		"predicate":     pred,
		"predicateType": c.vs.statement.PredicateType(),
		"subject":       resourceVars(c.vs.statement.Subjects()),
		"materials":     resourceVars(c.materials),
		"signers":       signers,
		"statement":     c.id.String(),
		"params":        s.v.params,
	}
	return c.vars, nil
}

func resourceVars(list []provenance.ResourceDescriptor) []any {
	out := make([]any, len(list))
	for i, r := range list {
		digest := make(map[string]any, len(r.Digest))
		for _, d := range r.Digest {
			digest[string(d.Algorithm())] = d.Value()
		}
		m := map[string]any{"name": r.Name, "uri": r.URI, "digest": digest}
		if r.Annotations != nil {
			if a, err := plain(r.Annotations); err == nil {
				m["annotations"] = a
			}
		}
		out[i] = m
	}
	return out
}

// plain returns a copy of v with int64 or float64 for json.Number.
func plain(v any) (any, error) {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n, nil
		}
		return v.Float64()
	case []any:
		out := make([]any, len(v))
		for i := range v {
			x, err := plain(v[i])
			if err != nil {
				return nil, err
			}
			out[i] = x
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for k := range v {
			x, err := plain(v[k])
			if err != nil {
				return nil, err
			}
			out[k] = x
		}
		return out, nil
	}
	return v, nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// clean shortens text from evidence for a message and takes out what a
// terminal would act on.
func clean(s string) string {
	if len(s) > 200 {
		s = s[:200] + "…"
	}
	return strings.Map(func(r rune) rune {
		if r < 0x20 || 0x7f <= r && r < 0xa0 || r == '\u2028' || r == '\u2029' || '\u202a' <= r && r <= '\u202e' || '\u2066' <= r && r <= '\u2069' {
			return '\uFFFD'
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

func sortedKeys(m map[string]bool) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
