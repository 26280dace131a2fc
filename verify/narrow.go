package verify

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Narrow checks that child asks for everything that p asks for, and returns a
// copy of child. So an organization can say what must hold everywhere, and each
// project can write a policy of its own that asks for more: drop signers, keys
// and inputs, raise thresholds, shorten ages and the expiry, add requirements,
// conditions, rules, revocations, and stages about others.
//
// What child accepts satisfies p, where a threshold in p is read as "at
// least". Whatever does not evidently narrow p is a [*PolicyError] with reason
// [PolicyWider] that names the field: texts are compared as they are, so a
// pattern or a condition is either the same or another. Not everything that
// asks for more is narrower: with fewer names in a flow, what came by it need
// no longer be tested, and the statement of a requirement that is added may be
// what brings the material, the product or the organization that p wants to see
// in another.
//
// Requirements that look at every statement (which: newest, all, none), and
// conditions that look at signers, are not monotonic: with them, taking a
// signer away or revoking a statement can turn a refusal into a pass, and so it
// is refused here.
func (p *Policy) Narrow(child *Policy) (*Policy, error) {
	if p == nil || child == nil {
		return nil, &PolicyError{Reason: PolicyEmpty, Msg: "no policy"}
	}
	n := &narrowing{p: p, c: child, frozen: map[string]bool{}}
	n.findFrozen()
	for _, step := range []func(){n.head, n.principals, n.inputs, n.stages, n.rules, n.revocations} {
		if step(); n.err != nil {
			return nil, n.err
		}
	}
	return child.clone(), nil
}

type narrowing struct {
	p, c *Policy
	err  error

	// What must not lose a signature, because something in p is satisfied by
	// the absence of statements: all principals, or those that are named.
	frozenAll bool
	frozen    map[string]bool
	why       string
	complete  bool // p has a requirement that inventories must vouch for
}

// wider records the first thing that is not narrower.
func (n *narrowing) wider(path, format string, args ...any) {
	if n.err == nil {
		n.err = n.c.errorAt(path, PolicyWider, "wider than the policy it builds on: "+format, args...)
	}
}

func (n *narrowing) findFrozen() {
	looksAtSigners := func(source, path string) {
		if strings.Contains(source, "signers") {
			n.frozenAll, n.why = true, path+" looks at signers"
		}
	}
	for _, name := range slices.Sorted(maps.Keys(n.p.Stages)) {
		s := n.p.Stages[name]
		if s == nil {
			continue
		}
		for i, r := range s.Requires {
			path := fmt.Sprintf("stages.%s.requires[%d]", name, i)
			for _, w := range r.Where {
				looksAtSigners(w, path)
			}
			if r.Which != "" && r.Which != "any" {
				for _, s := range r.Signers {
					n.frozen[s] = true
				}
				n.why = path + " depends on no statement being left out"
			}
			// Of two inventories the one that misses something is believed.
			if r.Complete && n.p.Inventory != nil {
				n.complete = true
				for _, s := range n.p.Inventory.Signers {
					n.frozen[s] = true
				}
			}
		}
	}
	for i, r := range n.p.Rules {
		looksAtSigners(r.Condition, fmt.Sprintf("rules[%d]", i))
	}
}

func (n *narrowing) head() {
	p, c := n.p, n.c
	switch {
	case c.Schema != p.Schema:
		n.wider("schema", "want %q", p.Schema)
	case c.Final != p.Final:
		n.wider("final", "want %q", p.Final)
	case c.NoExpiryUnsafe && !p.NoExpiryUnsafe:
		n.wider("noExpiryUnsafe", "that one has an end")
	case !p.NoExpiryUnsafe && c.Expires.After(p.Expires):
		n.wider("expires", "want at most %s", p.Expires.Format(time.RFC3339))
	// An algorithm less is a disagreement less, and one more is a match more.
	case !sameSet(c.Algorithms, p.Algorithms):
		n.wider("algorithms", "want the same list")
	case p.Inventory != nil && c.Inventory == nil:
		n.wider("inventory", "want one")
	}
	for _, name := range slices.Sorted(maps.Keys(c.Parameters)) {
		def, ok := p.Parameters[name]
		if mine := c.Parameters[name]; ok && mine != nil && (def == nil || *def != *mine) {
			n.wider(join("parameters", name), "another default makes everything that uses it another; want the same, or null")
		}
	}
	if p.Inventory != nil && c.Inventory != nil {
		n.subset("inventory.signers", c.Inventory.Signers, p.Inventory.Signers, "signer")
		switch {
		case c.Inventory.MaxAge > p.Inventory.MaxAge:
			n.wider("inventory.maxAge", "want at most %s", p.Inventory.MaxAge)
		case n.complete && c.Inventory.MaxAge != p.Inventory.MaxAge:
			n.wider("inventory.maxAge", "want %s: an older inventory may list what is withheld", p.Inventory.MaxAge)
		case n.complete && !sameSet(c.Inventory.Signers, p.Inventory.Signers):
			n.wider("inventory.signers", "want the same: any inventory may list what is withheld")
		}
	}
	n.sigstore()
}

func (n *narrowing) sigstore() {
	var p, c Sigstore
	if n.p.Sigstore != nil {
		p = *n.p.Sigstore
	}
	if n.c.Sigstore != nil {
		c = *n.c.Sigstore
	}
	if p == c {
		return
	}
	for _, f := range []struct {
		name        string
		p, c, least int
	}{
		{"logs", p.Logs, c.Logs, 1},
		{"timestamps", p.Timestamps, c.Timestamps, 1},
		{"scts", p.SCTs, c.SCTs, 1},
		{"signedTimestamps", p.SignedTimestamps, c.SignedTimestamps, 0},
	} {
		if max(f.c, f.least) < max(f.p, f.least) {
			n.wider("sigstore."+f.name, "want at least %d", f.p)
		}
	}
	switch {
	case c.NoLogUnsafe && !p.NoLogUnsafe:
		n.wider("sigstore.noLogUnsafe", "that one wants a log entry")
	case c.NoSCTUnsafe && !p.NoSCTUnsafe:
		n.wider("sigstore.noSCTUnsafe", "that one wants signed certificate timestamps")
	case n.why != "":
		n.wider("sigstore", "a bundle that is no longer believed could be missed, for %s", n.why)
	}
}

func (n *narrowing) principals() {
	patterns := false
	for _, name := range slices.Sorted(maps.Keys(n.c.Principals)) {
		p, ok := n.p.Principals[name]
		if !ok {
			n.wider(join("principals", name), "no such principal there")
			return
		}
		n.principal(join("principals", name), p, n.c.Principals[name], n.frozenAll || n.frozen[name])
		patterns = patterns || len(n.c.Principals[name].Patterns) > 0
	}
	for _, name := range slices.Sorted(maps.Keys(n.p.Principals)) {
		c, ok := n.c.Principals[name]
		if !ok && (n.frozenAll || n.frozen[name]) {
			n.wider("principals", "%q is gone, and %s", name, n.why)
		}
		// An identity that is listed matches no pattern. Unlisted it might.
		if patterns {
			for _, id := range identitiesOf(n.p.Principals[name]) {
				if !slices.Contains(identitiesOf(c), id) {
					n.wider(join("principals", name), "the identity %s (%s) is gone, and one of the patterns could now match it; revoke it instead", id.Subject, id.Issuer)
				}
			}
		}
	}
}

func keysOf(p Principals) []Key {
	if p.Key != "" {
		return append([]Key{{PEM: p.Key}}, p.Keys...)
	}
	return p.Keys
}

func identitiesOf(p Principals) []Identity {
	if p.Identity != nil {
		return append([]Identity{*p.Identity}, p.Identities...)
	}
	return p.Identities
}

func (n *narrowing) principal(path string, p, c Principals, frozen bool) {
	switch {
	case c.Organization != p.Organization:
		n.wider(path+".organization", "want %q", p.Organization)
	case c.AcceptClaimedTimeUnsafe && !p.AcceptClaimedTimeUnsafe:
		n.wider(path+".acceptClaimedTimeUnsafe", "that one wants trusted times")
	}
	same := c.AcceptClaimedTimeUnsafe == p.AcceptClaimedTimeUnsafe
	parents := map[string]trustedKey{}
	for i, k := range keysOf(p) {
		tk, err := parseKey(k)
		if err != nil {
			n.err = n.p.errorAt(fmt.Sprintf("%s.keys[%d]", path, i), PolicyKey, "%v", err)
			return
		}
		parents[tk.id] = tk
	}
	keys := keysOf(c)
	for i, k := range keys {
		at := fmt.Sprintf("%s.keys[%d]", path, i)
		tk, err := parseKey(k)
		if err != nil {
			n.err = n.c.errorAt(at, PolicyKey, "%v", err)
			return
		}
		parent, ok := parents[tk.id]
		switch {
		case !ok:
			n.wider(at, "the key sha256:%s is not there", tk.id)
		case tk.scheme != parent.scheme, tk.raw != parent.raw, tk.p1363 != parent.p1363:
			n.wider(at, "want the signature scheme %s", parent.scheme)
		case !parent.from.IsZero() && tk.from.Before(parent.from):
			n.wider(at, "want validFrom %s or later", parent.from.Format(time.RFC3339))
		case !parent.till.IsZero() && (tk.till.IsZero() || tk.till.After(parent.till)):
			n.wider(at, "want validUntil %s or earlier", parent.till.Format(time.RFC3339))
		}
		same = same && tk.from.Equal(parent.from) && tk.till.Equal(parent.till)
	}
	identities := func(name string, c, p []Identity) {
		for i, id := range c {
			if !slices.Contains(p, id) {
				n.wider(fmt.Sprintf("%s.%s[%d]", path, name, i), "%s (%s) is not there", id.Subject, id.Issuer)
			}
		}
		same = same && len(c) == len(p)
	}
	identities("identities", identitiesOf(c), identitiesOf(p))
	identities("patterns", c.Patterns, p.Patterns)
	if frozen && !(same && len(keys) == len(keysOf(p))) {
		n.wider(path, "want the same keys, identities and patterns, since %s", n.why)
	}
}

func (n *narrowing) inputs() {
	for _, name := range slices.Sorted(maps.Keys(n.c.Inputs)) {
		path := join("inputs", name)
		p, ok := n.p.Inputs[name]
		c := n.c.Inputs[name]
		switch {
		case !ok:
			n.wider(path, "no such input there")
		case p.URI != "" && c.URI != p.URI:
			n.wider(path+".uri", "want %q", p.URI)
		case p.ListedBy != "" && c.ListedBy != p.ListedBy:
			n.wider(path+".listedBy", "want %q", p.ListedBy)
		case c.AllowWithoutDigestUnsafe && !p.AllowWithoutDigestUnsafe:
			n.wider(path+".allowWithoutDigestUnsafe", "that one wants a digest")
		}
		n.subsetUnlessEmpty(path+".digests", c.Digests, p.Digests, "digest")
		n.subsetUnlessEmpty(path+".algorithms", c.Algorithms, p.Algorithms, "algorithm")
	}
}

func (n *narrowing) stages() {
	for _, name := range slices.Sorted(maps.Keys(n.p.Stages)) {
		p, c := n.p.Stages[name], n.c.Stages[name]
		if c == nil || p == nil {
			n.wider("stages", "the stage %q is missing", name)
			return
		}
		n.stage(name, p, c)
	}
	for _, name := range slices.Sorted(maps.Keys(n.c.Stages)) {
		if c := n.c.Stages[name]; n.p.Stages[name] == nil && (c == nil || len(c.About) == 0) {
			n.wider(join("stages", name), "only a stage that is about others can be added")
		}
	}
}

func (n *narrowing) stage(name string, p, c *Stage) {
	path := join("stages", name)
	switch {
	case len(c.Requires) < len(p.Requires):
		n.wider(path+".requires", "want at least %d requirements, in the same order", len(p.Requires))
		return
	case (c.Contains == nil) != (p.Contains == nil):
		n.wider(path+".contains", "that one decides whether the library looks inside")
		return
	case c.Contains != nil && cmp.Or(c.Contains.Members, "**") != cmp.Or(p.Contains.Members, "**"):
		// More members are more that may come from where something must.
		n.wider(path+".contains.members", "want %q", cmp.Or(p.Contains.Members, "**"))
	case c.Many && !p.Many:
		n.wider(path+".many", "that one wants a single run")
	case c.Optional && !p.Optional:
		n.wider(path+".optional", "that one wants the stage")
	case len(p.Products) > 0 && !sameSet(c.Products, p.Products):
		n.wider(path+".products", "want the same patterns")
	case len(p.Products) > 0 && c.Complete && !p.Complete:
		n.wider(path+".complete", "with products it admits what is used and matches none of them")
	case len(p.Products) == 0 && p.Complete && !c.Complete:
		n.wider(path+".complete", "that one wants it")
	case len(p.Products) == 0 && p.Complete && len(c.Products) > 0:
		n.wider(path+".products", "that one wants every product to be used")
	}
	n.subset(path+".inputs", c.Inputs, p.Inputs, "input")
	n.subset(path+".after", p.After, c.After, "stage to come after")
	if len(p.About) == 0 {
		for _, a := range c.After {
			if !slices.Contains(p.After, a) {
				n.wider(path+".after", "a statement of %q could then be a material here", a)
			}
		}
	}
	for i := range p.Requires {
		n.requirement(fmt.Sprintf("%s.requires[%d]", path, i), &p.Requires[i], &c.Requires[i])
	}
	for i := len(p.Requires); i < len(c.Requires); i++ {
		if why := n.standIn(name, p); why != "" && c.Requires[i].Which != "none" {
			n.wider(fmt.Sprintf("%s.requires[%d]", path, i), "its statements could be those %s; add a stage that is about %q instead", why, name)
		}
	}
	if len(c.From) != len(p.From) {
		n.wider(path+".from", "want the same stages")
		return
	}
	for i, f := range c.From {
		at := fmt.Sprintf("%s.from[%d]", path, i)
		j := slices.IndexFunc(p.From, func(g Flow) bool { return g.Stage == f.Stage })
		if j < 0 {
			n.wider(at, "nothing comes from %q there", f.Stage)
			return
		}
		g := p.From[j]
		switch {
		case f.Optional && !g.Optional:
			n.wider(at+".optional", "that one wants something from %q", f.Stage)
		// What does not come by this flow may come by an input, and is then
		// not among what the stage is used for and others are about.
		case f.Materials != g.Materials:
			n.wider(at+".materials", "want %q", g.Materials)
		case f.Names != g.Names || !maps.Equal(f.Map, g.Map):
			n.wider(at, "want names tied in the same way")
		}
	}
	for _, a := range p.About {
		// A pattern says what must be covered, so less of it is wider; and
		// what must be there, so more of it is too.
		if !slices.Contains(c.About, a) {
			n.wider(path+".about", "want it to cover what it does there of %q, and that to be there", a.Stage)
		}
	}
	switch {
	case len(p.About) == 0 && len(c.About) > 0:
		n.wider(path+".about", "there the stage is about none")
	case p.Many && len(c.About) > len(p.About):
		if why := n.standIn(name, p); why != "" {
			n.wider(path+".about", "the statements about what is added could be those %s", why)
		}
	}
}

// standIn says what statements that p does not ask for could do in a stage of
// p: be those of which p wants one to say something. It returns "" where p
// wants what it wants of each.
func (n *narrowing) standIn(name string, p *Stage) string {
	for _, f := range p.From {
		if !f.Optional {
			return fmt.Sprintf("that something comes from %q to", f.Stage)
		}
	}
	if len(p.Products) > 0 {
		return "that make the products"
	}
	for _, in := range slices.Sorted(maps.Keys(n.p.Inputs)) {
		if n.p.Inputs[in].ListedBy == name {
			return fmt.Sprintf("that list the input %q", in)
		}
	}
	for _, other := range slices.Sorted(maps.Keys(n.p.Stages)) {
		if o := n.p.Stages[other]; o != nil && slices.ContainsFunc(o.About, func(a About) bool { return a.Stage == name && a.Products != "" }) {
			return fmt.Sprintf("that make what %q is about", other)
		}
	}
	for i, r := range n.p.Rules {
		switch {
		case slices.Contains(r.Over, name):
			return fmt.Sprintf("that rules[%d] counts organizations of", i)
		case n.reads(r.Condition, name):
			return fmt.Sprintf("that rules[%d] looks at", i)
		}
	}
	return ""
}

// reads reports whether a condition may look at the statements of a stage.
func (n *narrowing) reads(condition, name string) bool {
	names, all := stagesIn(condition)
	return condition != "" && (all || slices.Contains(names, name))
}

func (n *narrowing) requirement(path string, p, c *Requirement) {
	types := func(r *Requirement) []string {
		if r.Type != "" {
			return append([]string{r.Type}, r.Types...)
		}
		return r.Types
	}
	which := func(r *Requirement) string {
		if r.Which == "" {
			return "any"
		}
		return r.Which
	}
	n.subset(path+".types", types(c), types(p), "type")
	n.subset(path+".signers", c.Signers, p.Signers, "signer")
	n.subset(path+".where", p.Where, c.Where, "condition")
	n.subsetUnlessEmpty(path+".builders", c.Builders, p.Builders, "builder")
	switch {
	case max(c.Threshold, 1) < max(p.Threshold, 1):
		n.wider(path+".threshold", "want at least %d", p.Threshold)
	case p.AgreeOnMaterials && !c.AgreeOnMaterials:
		n.wider(path+".agreeOnMaterials", "that one wants it")
	case p.MaxAge != 0 && (c.MaxAge == 0 || c.MaxAge > p.MaxAge):
		n.wider(path+".maxAge", "want at most %s", p.MaxAge)
	case p.Complete && !c.Complete:
		n.wider(path+".complete", "that one wants it")
	case which(p) == "any":
		if which(c) == "none" {
			n.wider(path+".which", "that one wants a statement")
		}
	case which(c) != which(p):
		n.wider(path+".which", "want %q", which(p))
	// What is not looked at cannot speak against the artifact.
	case len(c.Signers) != len(p.Signers):
		n.wider(path+".signers", "want the same, since %q looks at every statement by them", p.Which)
	case !sameSet(types(c), types(p)):
		n.wider(path+".types", "want the same, since %q looks at every statement of them", p.Which)
	case !sameSet(c.Builders, p.Builders):
		n.wider(path+".builders", "want the same, since %q looks at every statement that names them", p.Which)
	case c.MaxAge != p.MaxAge:
		n.wider(path+".maxAge", "want %s, since %q looks at every statement that is no older", p.MaxAge, p.Which)
	case which(p) == "none" && len(c.Where) != len(p.Where):
		n.wider(path+".where", `want the same, since "none" forbids what all of them hold for`)
	}
}

func (n *narrowing) rules() {
	for i, p := range n.p.Rules {
		ok := slices.ContainsFunc(n.c.Rules, func(c Rule) bool {
			switch {
			case len(p.Separate) > 0:
				return isSubset(p.Separate, c.Separate)
			case p.Organizations > 0:
				return c.Organizations >= p.Organizations && len(c.Over) > 0 && isSubset(c.Over, p.Over)
			case len(p.SamePackages) > 0:
				// With fewer exceptions, one of them could be the only package.
				return isSubset(p.SamePackages, c.SamePackages) && c.Packages == p.Packages && sameSet(c.Except, p.Except)
			}
			return c.Condition == p.Condition
		})
		if !ok {
			name := p.Name
			if name == "" {
				name = fmt.Sprintf("rules[%d]", i)
			}
			n.wider("rules", "nothing here is as strict as %s", quoteClip(name))
		}
	}
}

func (n *narrowing) revocations() {
	covers := func(c, p Revocation) bool {
		sameID := (c.Identity == nil) == (p.Identity == nil) && (c.Identity == nil || *c.Identity == *p.Identity)
		sameEntry := (c.LogIndex == nil) == (p.LogIndex == nil) && (c.LogIndex == nil || *c.LogIndex == *p.LogIndex)
		return c.Key == p.Key && sameID && c.Builder == p.Builder && c.Statement == p.Statement && sameEntry &&
			(c.From.IsZero() || !p.From.IsZero() && !c.From.After(p.From))
	}
	for i, p := range n.p.Revoked {
		if !slices.ContainsFunc(n.c.Revoked, func(c Revocation) bool { return covers(c, p) }) {
			n.wider("revoked", "revoked[%d] there is not here, or takes effect later", i)
		}
	}
	if n.why == "" {
		return
	}
	for i, c := range n.c.Revoked {
		if !slices.ContainsFunc(n.p.Revoked, func(p Revocation) bool { return covers(p, c) }) {
			n.wider(fmt.Sprintf("revoked[%d]", i), "what is revoked could be missed, for %s", n.why)
		}
	}
}

// subset checks that everything in small is in large.
func (n *narrowing) subset(path string, small, large []string, what string) {
	for _, s := range small {
		if !slices.Contains(large, s) {
			n.wider(path, "the %s %s is in one list and not in the other", what, quoteClip(s))
			return
		}
	}
}

// subsetUnlessEmpty is subset for lists of which an empty one admits all.
func (n *narrowing) subsetUnlessEmpty(path string, small, large []string, what string) {
	switch {
	case len(large) == 0:
	case len(small) == 0:
		n.wider(path, "that one restricts the %s", what)
	default:
		n.subset(path, small, large, what)
	}
}

func isSubset(small, large []string) bool {
	return !slices.ContainsFunc(small, func(s string) bool { return !slices.Contains(large, s) })
}

func sameSet(a, b []string) bool { return isSubset(a, b) && isSubset(b, a) }
