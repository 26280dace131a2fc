package verify

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hallmark-build/hallmark/internal/glob"
	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/provenance"
)

// Options are what a policy needs from its caller. The zero value is the
// strictest: a policy that needs anything else is refused.
type Options struct {
	// Conditions compiles the policy's conditions; package verify/cel has one.
	// A policy with conditions and no compiler is an error.
	Conditions ConditionCompiler
	// Parameters are the values of the policy's parameters.
	Parameters map[string]string
	// MinimumVersion refuses older versions of the policy.
	MinimumVersion int64
	// SigstoreRoots are trusted_root.json documents, for evidence in Sigstore
	// bundles. Principals with identities need at least one.
	SigstoreRoots [][]byte
	// SigstoreWitnesses must each have cosigned the checkpoint of every log
	// entry that counts. Default: nobody must.
	SigstoreWitnesses []Witness
	// SearchSteps overrides how many assignments are tried before the search
	// is given up. Default: one million.
	SearchSteps int
}

// A Verifier judges artifacts by one policy. It is safe for concurrent use, and keeps
// nothing of what it judges.
type Verifier struct {
	policy  *Policy // a private copy
	options Options
	trust   *Trust
	params  map[string]any

	exact    map[Principal]*entry
	folded   map[Principal]*entry // by what Principal.person returns
	patterns []*patternEntry
	entries  map[string]*entry

	flowOrder  []*stage // reverse topological: final first
	aboutOrder []*stage // by name
	stages     map[string]*stage
	final      *stage
	rules      []*rule
	inventory  *requirement
	algorithms map[provenance.Algorithm]bool // nil: every strong one
	revoked    revocations
}

// entry is one name in the policy's principals.
type entry struct {
	name         string
	organization string
	claimed      bool
}

type patternEntry struct {
	*entry
	issuer      string
	subject     *glob.Pattern
	subjectType string
}

type stage struct {
	index     int // in flowOrder followed by aboutOrder
	name      string
	spec      *Stage
	requires  []*requirement
	members   *glob.Pattern // of contains, else nil
	from      []*flow
	inputs    []*input
	about     []*about
	after     []*stage
	products  []*glob.Pattern
	consumers []*stage // whose from names this stage
	judged    bool     // its counted principals matter to a rule
}

type flow struct {
	stage     *stage
	materials *glob.Pattern // nil: any
	names     string
	mapping   map[string]string
	optional  bool
}

type about struct {
	stage    *stage
	products *glob.Pattern // nil: any
	all      bool
}

type input struct {
	name       string
	uri        *glob.Pattern
	climbs     int // how many elements ".." the pattern has
	digests    map[provenance.Digest]bool
	listedBy   *stage
	algorithms []provenance.Algorithm
	noDigest   bool
}

type requirement struct {
	index     int // unique in the verifier
	spec      *Requirement
	types     []string
	signers   map[string]bool
	threshold int
	where     []Condition
	sources   []string
	which     string
	builders  map[string]bool
	maxAge    time.Duration
}

type rule struct {
	spec      *Rule
	label     string
	separate  []*stage
	over      []*stage
	packages  []*stage
	pattern   *glob.Pattern // of packages
	except    []*glob.Pattern
	condition Condition
	reads     []*stage // whose statements the condition may look at
}

type revocations struct {
	keys       map[Principal]time.Time
	builders   map[string]time.Time
	statements map[string]time.Time
	entries    map[int64]time.Time
}

// compiler carries the error paths of New.
type compiler struct {
	*Verifier
	requirements int
}

func (c *compiler) fail(path, reason, format string, args ...any) error {
	return c.policy.errorAt(path, reason, format, args...)
}

// New checks a policy and returns the Verifier that judges by it. Every error
// is a [*PolicyError]. The policy may be changed afterwards without effect.
//
// A policy that could never refuse is an error: no stages, a stage that
// requires nothing, a requirement without signers, a threshold beyond the
// number of signers, a stage that neither hands artifacts on nor is about any.
// So are cycles, names that are not defined, and keys that two principals share.
func New(policy *Policy, options Options) (*Verifier, error) {
	if policy == nil {
		return nil, &PolicyError{Reason: PolicyEmpty, Msg: "no policy"}
	}
	p, err := policy.substitute(options.Parameters)
	if err != nil {
		return nil, err
	}
	c := &compiler{Verifier: &Verifier{policy: p, options: options, trust: new(Trust)}}
	if options.SearchSteps <= 0 {
		c.options.SearchSteps = limits.SearchSteps
	}
	c.options.Parameters, c.options.SigstoreRoots, c.options.SigstoreWitnesses = nil, nil, nil // held nowhere
	c.params = map[string]any{}
	for name, def := range p.Parameters {
		if v, ok := options.Parameters[name]; ok {
			c.params[name] = v
		} else if def != nil {
			c.params[name] = *def
		}
	}
	for _, step := range []func() error{c.head, c.principals, c.stageGraph, c.stageBodies, c.globalRules, c.revocations} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	var needs Sigstore
	if p.Sigstore != nil {
		needs = *p.Sigstore
	}
	for i, data := range options.SigstoreRoots {
		trust, err := c.trust.WithSigstore(data, needs, options.SigstoreWitnesses...)
		if err != nil {
			return nil, &PolicyError{Reason: PolicyField, Msg: fmt.Sprintf("Sigstore root %d: %v", i, err)}
		}
		c.trust = trust
	}
	return c.Verifier, nil
}

// At most this many of each thing may be in a policy: more is a mistake or an attack
// on the verifier, and every name is checked against every other.
const maxPolicyNames = 10_000

func (c *compiler) head() error {
	p := c.policy
	switch {
	case p.Schema != PolicySchema:
		return c.fail("schema", PolicyField, "want %q, found %q", PolicySchema, p.Schema)
	case p.Version < c.options.MinimumVersion:
		return c.fail("version", PolicyUnsigned, "version %d is older than version %d that the caller wants at least", p.Version, c.options.MinimumVersion)
	case p.Expires.IsZero() && !p.NoExpiryUnsafe:
		return c.fail("expires", PolicyField, "want an instant at which the policy ends, or noExpiryUnsafe: true")
	case !p.Expires.IsZero() && p.NoExpiryUnsafe:
		return c.fail("noExpiryUnsafe", PolicyField, "set together with expires")
	case len(p.Stages) == 0:
		return c.fail("stages", PolicyEmpty, "a policy without stages would prove nothing")
	case len(p.Stages) > maxPolicyNames || len(p.Principals) > maxPolicyNames || len(p.Inputs) > maxPolicyNames ||
		len(p.Rules) > maxPolicyNames || len(p.Revoked) > maxPolicyNames:
		return c.fail("", PolicyField, "more than %d of one kind", maxPolicyNames)
	}
	for i, a := range p.Algorithms {
		if !provenance.Algorithm(a).Strong() {
			return c.fail(fmt.Sprintf("algorithms[%d]", i), PolicyField, "%q is not a strong digest algorithm that this library knows", a)
		}
		if c.algorithms == nil {
			c.algorithms = map[provenance.Algorithm]bool{}
		}
		c.algorithms[provenance.Algorithm(a)] = true
	}
	return nil
}

func (c *compiler) principals() error {
	c.exact = map[Principal]*entry{}
	c.folded = map[Principal]*entry{}
	c.entries = map[string]*entry{}
	if len(c.policy.Principals) == 0 {
		return c.fail("principals", PolicyEmpty, "a policy without principals would trust nobody")
	}
	for _, name := range slices.Sorted(maps.Keys(c.policy.Principals)) {
		ps := c.policy.Principals[name]
		path := "principals." + name
		e := &entry{name: name, organization: ps.Organization, claimed: ps.AcceptClaimedTimeUnsafe}
		if name == "" {
			return c.fail(path, PolicyField, "a principal with an empty name")
		}
		c.entries[name] = e
		keys, identities := ps.Keys, ps.Identities
		if ps.Key != "" {
			keys = append([]Key{{PEM: ps.Key}}, keys...)
		}
		if ps.Identity != nil {
			identities = append([]Identity{*ps.Identity}, identities...)
		}
		switch {
		case len(keys)+len(identities)+len(ps.Patterns) == 0:
			return c.fail(path, PolicyEmpty, "has no key, identity or pattern")
		case len(ps.Patterns) > 0 && len(keys)+len(identities) > 0:
			return c.fail(path+".patterns", PolicyField, "patterns name a set of principals, keys and identities a single one: give them different names")
		}
		for i, k := range keys {
			path := fmt.Sprintf("%s.keys[%d]", path, i)
			tk, err := parseKey(k)
			if err != nil {
				return c.fail(path, PolicyKey, "%v", err)
			}
			if other := c.exact[Principal{key: tk.id}]; other != nil {
				return c.fail(path, PolicyKey, "the key belongs to %q as well; one key is one principal", other.name)
			}
			c.exact[Principal{key: tk.id}] = e
			if err := c.trust.add(tk); err != nil {
				return c.fail(path, PolicyKey, "%v", err)
			}
		}
		for i, id := range identities {
			path := fmt.Sprintf("%s.identities[%d]", path, i)
			pr, err := id.principal()
			if err != nil {
				return c.fail(path, PolicyField, "%v", err)
			}
			if other := c.folded[pr.person()]; other != nil && (other != e || c.exact[pr] != nil) {
				return c.fail(path, PolicyKey, "the identity belongs to %q as well", other.name)
			}
			c.exact[pr], c.folded[pr.person()] = e, e
		}
		for i, id := range ps.Patterns {
			path := fmt.Sprintf("%s.patterns[%d]", path, i)
			pr, err := id.principal()
			if err != nil {
				return c.fail(path, PolicyField, "%v", err)
			}
			g, err := glob.Compile(id.Subject)
			if err != nil {
				return c.fail(path+".subject", PolicyField, "%v", err)
			}
			if g.Match("") {
				return c.fail(path+".subject", PolicyField, "matches everybody at the issuer")
			}
			c.patterns = append(c.patterns, &patternEntry{e, id.Issuer, g, pr.subjectType})
		}
	}
	return nil
}

// principal checks an identity. Issuer and subject are both needed (Fulcio's
// certificate specification; edge: an unset constraint is not a wildcard), and the type of
// the subject is always fixed, so that an email cannot pose as a URI.
func (id Identity) principal() (Principal, error) {
	p := Principal{issuer: id.Issuer, subject: id.Subject, subjectType: id.SubjectType}
	switch {
	case id.Issuer == "":
		return p, fmt.Errorf("issuer is empty")
	case id.Subject == "":
		return p, fmt.Errorf("subject is empty")
	}
	switch id.SubjectType {
	case "uri", "email", "other":
	case "":
		switch {
		case strings.Contains(id.Subject, "://"):
			p.subjectType = "uri"
		case strings.Contains(id.Subject, "@"):
			p.subjectType = "email"
		default:
			return p, fmt.Errorf("subjectType is neither set nor to be seen from the subject; want uri, email or other")
		}
	default:
		return p, fmt.Errorf("subjectType is %q, want uri, email or other", id.SubjectType)
	}
	return p, nil
}

// stageGraph resolves the names between stages, refuses cycles, and puts the
// stages in the order in which the solver walks: the final stage first, every
// stage after all that consume its products, and those that are about others last.
func (c *compiler) stageGraph() error {
	c.stages = map[string]*stage{}
	names := slices.Sorted(maps.Keys(c.policy.Stages))
	for _, name := range names {
		if c.policy.Stages[name] == nil {
			return c.fail("stages."+name, PolicyEmpty, "the stage is empty")
		}
		if name == "" {
			return c.fail("stages", PolicyField, "a stage with an empty name")
		}
		c.stages[name] = &stage{name: name, spec: c.policy.Stages[name]}
	}
	find := func(path, name string) (*stage, error) {
		if s := c.stages[name]; s != nil {
			return s, nil
		}
		return nil, c.fail(path, PolicyReference, "no stage is named %q", name)
	}
	var err error
	for _, name := range names {
		s := c.stages[name]
		path := "stages." + name
		for i, f := range s.spec.From {
			path := fmt.Sprintf("%s.from[%d]", path, i)
			cf := &flow{names: f.Names, mapping: f.Map, optional: f.Optional}
			if cf.stage, err = find(path, f.Stage); err != nil {
				return err
			}
			if slices.ContainsFunc(s.from, func(g *flow) bool { return g.stage == cf.stage }) {
				return c.fail(path, PolicyField, "stage %q is named twice", f.Stage)
			}
			if f.Materials != "" {
				if cf.materials, err = glob.Compile(f.Materials); err != nil {
					return c.fail(path+".materials", PolicyField, "%v", err)
				}
			}
			switch f.Names {
			case "", "same", "base":
			default:
				return c.fail(path+".names", PolicyField, `want "same", "base" or nothing, found %q`, f.Names)
			}
			if f.Names != "" && len(f.Map) > 0 {
				return c.fail(path+".map", PolicyField, "set together with names")
			}
			s.from = append(s.from, cf)
			if !slices.Contains(cf.stage.consumers, s) {
				cf.stage.consumers = append(cf.stage.consumers, s)
			}
		}
		for i, a := range s.spec.About {
			path := fmt.Sprintf("%s.about[%d]", path, i)
			ca := &about{all: a.All}
			if ca.stage, err = find(path, a.Stage); err != nil {
				return err
			}
			if a.Products != "" {
				if ca.products, err = glob.Compile(a.Products); err != nil {
					return c.fail(path+".products", PolicyField, "%v", err)
				}
			}
			s.about = append(s.about, ca)
		}
		for i, a := range s.spec.After {
			st, err := find(fmt.Sprintf("%s.after[%d]", path, i), a)
			if err != nil {
				return err
			}
			s.after = append(s.after, st)
		}
	}
	if c.final, err = find("final", c.policy.Final); err != nil {
		return err
	}
	if c.final.spec.Optional {
		return c.fail("stages."+c.final.name+".optional", PolicyField, "the final stage cannot be optional")
	}
	if len(c.final.about) > 0 {
		return c.fail("final", PolicyField, "stage %q is about other stages and makes nothing", c.final.name)
	}
	for _, name := range names {
		s := c.stages[name]
		path := "stages." + name
		switch {
		case len(s.about) > 0 && len(s.from) > 0:
			return c.fail(path+".about", PolicyField, "a stage either takes materials from stages or is about their products")
		case len(s.about) > 0 && s.spec.Optional:
			return c.fail(path+".optional", PolicyField, "a stage about others cannot be optional: whoever withheld its statements would be rid of it")
		case len(s.about) > 0 && len(s.consumers) > 0:
			return c.fail(path+".about", PolicyField, "nothing can come from a stage that is about others; %q names it in from", s.consumers[0].name)
		case len(s.about) == 0 && len(s.consumers) == 0 && s != c.final:
			return c.fail(path, PolicyReference, "nothing comes from the stage, and it is about none: it would never be looked at")
		}
		for i, a := range s.after {
			if a.spec.Contains != nil {
				return c.fail(fmt.Sprintf("%s.after[%d]", path, i), PolicyField, "stage %q looks into a package, which has no time: nothing can show that it came before", a.name)
			}
		}
		for i, a := range s.about {
			if len(a.stage.about) > 0 {
				return c.fail(fmt.Sprintf("%s.about[%d]", path, i), PolicyField, "stage %q makes nothing, it is about others itself", a.stage.name)
			}
		}
	}
	// Depth first over from, for the order and for cycles.
	const visiting, done = 1, 2
	state := map[*stage]int{}
	var post []*stage
	var visit func(s *stage, trail []string) error
	visit = func(s *stage, trail []string) error {
		trail = append(trail, s.name)
		switch state[s] {
		case done:
			return nil
		case visiting:
			return c.fail("stages."+s.name+".from", PolicyCycle, "stages depend on each other: %s", strings.Join(trail[slices.Index(trail, s.name):], " from "))
		}
		state[s] = visiting
		for _, f := range s.from {
			if err := visit(f.stage, trail); err != nil {
				return err
			}
		}
		state[s] = done
		post = append(post, s)
		return nil
	}
	for _, name := range names {
		if err := visit(c.stages[name], nil); err != nil {
			return err
		}
	}
	slices.Reverse(post)
	for _, s := range post {
		if len(s.about) == 0 {
			c.flowOrder = append(c.flowOrder, s)
		}
	}
	for _, name := range names {
		if s := c.stages[name]; len(s.about) > 0 {
			c.aboutOrder = append(c.aboutOrder, s)
		}
	}
	for i, s := range slices.Concat(c.flowOrder, c.aboutOrder) {
		s.index = i
	}
	// A stage cannot come after itself, not even by way of others: flow and
	// after together must be free of cycles.
	clear(state)
	var before func(s *stage, trail []string) error
	before = func(s *stage, trail []string) error {
		trail = append(trail, s.name)
		switch state[s] {
		case done:
			return nil
		case visiting:
			return c.fail("stages."+s.name+".after", PolicyCycle, "stages would have to come after themselves: %s", strings.Join(trail, " after "))
		}
		state[s] = visiting
		for _, f := range s.from {
			if err := before(f.stage, trail); err != nil {
				return err
			}
		}
		for _, a := range s.after {
			if err := before(a, trail); err != nil {
				return err
			}
		}
		state[s] = done
		return nil
	}
	for _, name := range names {
		if err := before(c.stages[name], nil); err != nil {
			return err
		}
	}
	return nil
}

func (c *compiler) stageBodies() error {
	inputs := map[string]*input{}
	for _, name := range slices.Sorted(maps.Keys(c.policy.Inputs)) {
		in, err := c.input(name, c.policy.Inputs[name])
		if err != nil {
			return err
		}
		inputs[name] = in
	}
	for _, name := range slices.Sorted(maps.Keys(c.stages)) {
		s := c.stages[name]
		path := "stages." + name
		for i, in := range s.spec.Inputs {
			if inputs[in] == nil {
				return c.fail(fmt.Sprintf("%s.inputs[%d]", path, i), PolicyReference, "no input is named %q", in)
			}
			if inputs[in].listedBy == s {
				return c.fail(fmt.Sprintf("%s.inputs[%d]", path, i), PolicyCycle, "input %q is listed by the very stage that it would admit to", in)
			}
			s.inputs = append(s.inputs, inputs[in])
		}
		for i, p := range s.spec.Products {
			g, err := glob.Compile(p)
			if err != nil {
				return c.fail(fmt.Sprintf("%s.products[%d]", path, i), PolicyField, "%v", err)
			}
			s.products = append(s.products, g)
		}
		if ct := s.spec.Contains; ct != nil {
			if len(s.spec.Requires) > 0 {
				return c.fail(path+".contains", PolicyField, "set together with requires")
			}
			if len(s.about) > 0 || len(s.from) == 0 {
				return c.fail(path+".contains", PolicyField, "what a package contains must come from a stage: set from")
			}
			if len(s.after) > 0 {
				return c.fail(path+".after", PolicyField, "a package that is looked into has no time and no materials of statements: nothing can show that it came after")
			}
			members := ct.Members
			if members == "" {
				members = "**"
			}
			g, err := glob.Compile(members)
			if err != nil {
				return c.fail(path+".contains.members", PolicyField, "%v", err)
			}
			s.members = g
			continue
		}
		if len(s.spec.Requires) == 0 {
			return c.fail(path+".requires", PolicyEmpty, "the stage requires nothing and would prove nothing")
		}
		positive := false
		for i := range s.spec.Requires {
			r, err := c.requirement(fmt.Sprintf("%s.requires[%d]", path, i), &s.spec.Requires[i])
			if err != nil {
				return err
			}
			positive = positive || r.which != "none"
			s.requires = append(s.requires, r)
		}
		if !positive && len(s.about) == 0 {
			return c.fail(path+".requires", PolicyEmpty, "the stage requires only that statements be absent: nothing would say what it made")
		}
	}
	return nil
}

func (c *compiler) input(name string, spec Input) (*input, error) {
	path := "inputs." + name
	in := &input{name: name, noDigest: spec.AllowWithoutDigestUnsafe}
	var err error
	if spec.URI == "" && len(spec.Digests) == 0 && spec.ListedBy == "" {
		return nil, c.fail(path, PolicyEmpty, "admits everything: set uri, digests or listedBy")
	}
	if spec.URI != "" {
		if in.uri, err = glob.Compile(spec.URI); err != nil {
			return nil, c.fail(path+".uri", PolicyField, "%v", err)
		}
		for e := range strings.SplitSeq(spec.URI, "/") {
			if e == ".." {
				in.climbs++
			}
		}
	}
	for i, s := range spec.Digests {
		d, err := provenance.ParseDigest(s)
		if err != nil {
			return nil, c.fail(fmt.Sprintf("%s.digests[%d]", path, i), PolicyField, "%v", err)
		}
		if !d.Algorithm().Strong() {
			return nil, c.fail(fmt.Sprintf("%s.digests[%d]", path, i), PolicyField, "%s is not a strong algorithm", d.Algorithm())
		}
		if in.digests == nil {
			in.digests = map[provenance.Digest]bool{}
		}
		in.digests[d] = true
	}
	if spec.ListedBy != "" {
		if in.listedBy = c.stages[spec.ListedBy]; in.listedBy == nil {
			return nil, c.fail(path+".listedBy", PolicyReference, "no stage is named %q", spec.ListedBy)
		}
	}
	for i, a := range spec.Algorithms {
		if !provenance.Algorithm(a).Strong() {
			return nil, c.fail(fmt.Sprintf("%s.algorithms[%d]", path, i), PolicyField, "%q is not a strong digest algorithm that this library knows", a)
		}
		in.algorithms = append(in.algorithms, provenance.Algorithm(a))
	}
	if in.noDigest && (len(spec.Digests) > 0 || in.listedBy != nil || len(spec.Algorithms) > 0) {
		return nil, c.fail(path+".allowWithoutDigestUnsafe", PolicyField, "set together with digests, listedBy or algorithms")
	}
	return in, nil
}

func (c *compiler) requirement(path string, spec *Requirement) (*requirement, error) {
	r := &requirement{index: c.requirements, spec: spec, signers: map[string]bool{}, threshold: spec.Threshold, which: spec.Which, maxAge: time.Duration(spec.MaxAge)}
	c.requirements++
	r.types = slices.Clone(spec.Types)
	if spec.Type != "" {
		r.types = append(r.types, spec.Type)
	}
	if len(r.types) == 0 || slices.Contains(r.types, "") {
		return nil, c.fail(path+".type", PolicyEmpty, "want a predicate type")
	}
	if err := c.signers(path, spec.Signers, r.signers); err != nil {
		return nil, err
	}
	if r.threshold < 0 {
		return nil, c.fail(path+".threshold", PolicyField, "want at least 1, found %d", r.threshold)
	}
	r.threshold = max(r.threshold, 1)
	if most := c.countable(r.signers); r.threshold > most {
		return nil, c.fail(path+".threshold", PolicyField, "%d of %d principals can never be had", r.threshold, most)
	}
	for i, src := range spec.Where {
		cond, err := c.condition(fmt.Sprintf("%s.where[%d]", path, i), src, whereVars)
		if err != nil {
			return nil, err
		}
		r.where = append(r.where, cond)
		r.sources = append(r.sources, src)
	}
	if r.maxAge < 0 {
		return nil, c.fail(path+".maxAge", PolicyField, "want a positive duration")
	}
	if len(spec.Builders) > 0 {
		r.builders = map[string]bool{}
		for _, b := range spec.Builders {
			r.builders[b] = true
		}
	}
	switch r.which {
	case "":
		r.which = "any"
	case "any":
	case "newest", "all", "none":
		if r.which == "none" && len(r.where) == 0 {
			return nil, c.fail(path+".which", PolicyField, `"none" wants a condition in where: statements for which it holds must not exist`)
		}
		if r.which == "none" && (r.threshold > 1 || spec.AgreeOnMaterials) {
			return nil, c.fail(path+".which", PolicyField, `"none" counts nobody: threshold and agreeOnMaterials mean nothing`)
		}
		// These are the rules that a withheld statement could satisfy.
		if !spec.Complete && r.maxAge == 0 || r.which == "none" && !spec.Complete {
			return nil, c.fail(path+".which", PolicyField, "%q depends on nothing being withheld: set complete and have an inventory%s", r.which,
				map[bool]string{true: "", false: ", or set maxAge"}[r.which == "none"])
		}
	default:
		return nil, c.fail(path+".which", PolicyField, "want any, newest, all or none, found %q", r.which)
	}
	if spec.Complete {
		if c.policy.Inventory == nil {
			return nil, c.fail(path+".complete", PolicyReference, "the policy has no inventory to show completeness by")
		}
		if r.which == "any" {
			return nil, c.fail(path+".complete", PolicyField, `only "newest", "all" and "none" depend on completeness`)
		}
	}
	return r, nil
}

func (c *compiler) signers(path string, names []string, into map[string]bool) error {
	if len(names) == 0 {
		return c.fail(path+".signers", PolicyEmpty, "want the names of principals; nobody would do")
	}
	for i, name := range names {
		switch {
		case c.entries[name] == nil:
			return c.fail(fmt.Sprintf("%s.signers[%d]", path, i), PolicyReference, "no principal is named %q", name)
		case into[name]:
			return c.fail(fmt.Sprintf("%s.signers[%d]", path, i), PolicyField, "%q is named twice", name)
		}
		into[name] = true
	}
	return nil
}

// countable returns how many distinct principals the names can stand for at
// most; a pattern stands for any number.
func (c *compiler) countable(names map[string]bool) int {
	n := 0
	for name := range names {
		if len(c.policy.Principals[name].Patterns) > 0 {
			return 1 << 30
		}
		n++
	}
	return n
}

func (c *compiler) condition(path, src string, vars []string) (Condition, error) {
	if c.options.Conditions == nil {
		return nil, c.fail(path, PolicyCondition, "the policy has conditions and Options.Conditions is not set (package verify/cel has a compiler)")
	}
	cond, err := c.options.Conditions.Compile(src, vars)
	if err != nil {
		return nil, c.fail(path, PolicyCondition, "%v", err)
	}
	return cond, nil
}

func (c *compiler) globalRules() error {
	if inv := c.policy.Inventory; inv != nil {
		if inv.MaxAge <= 0 {
			return c.fail("inventory.maxAge", PolicyField, "want a maximum age: an old inventory hides what came after it")
		}
		r, err := c.requirement("inventory", &Requirement{Type: InventoryType, Signers: inv.Signers, MaxAge: inv.MaxAge})
		if err != nil {
			return err
		}
		c.inventory = r
	}
	for i := range c.policy.Rules {
		spec := &c.policy.Rules[i]
		path := fmt.Sprintf("rules[%d]", i)
		r := &rule{spec: spec, label: cmp.Or(spec.Name, path)}
		kinds := 0
		for j, name := range spec.Separate {
			s := c.stages[name]
			switch {
			case s == nil:
				return c.fail(fmt.Sprintf("%s.separate[%d]", path, j), PolicyReference, "no stage is named %q", name)
			case s.spec.Contains != nil:
				return c.fail(fmt.Sprintf("%s.separate[%d]", path, j), PolicyField, "nobody signs for stage %q, which looks into a package", name)
			case slices.Contains(r.separate, s):
				return c.fail(fmt.Sprintf("%s.separate[%d]", path, j), PolicyField, "%q is named twice", name)
			}
			s.judged = true
			r.separate = append(r.separate, s)
		}
		if len(spec.Separate) > 0 {
			kinds++
			if len(r.separate) < 2 {
				return c.fail(path+".separate", PolicyField, "want at least two stages")
			}
		}
		for j, name := range spec.Over {
			s := c.stages[name]
			if s == nil {
				return c.fail(fmt.Sprintf("%s.over[%d]", path, j), PolicyReference, "no stage is named %q", name)
			}
			s.judged = true
			r.over = append(r.over, s)
		}
		if spec.Organizations != 0 || len(spec.Over) > 0 {
			kinds++
			if spec.Organizations < 2 || len(r.over) == 0 {
				return c.fail(path+".organizations", PolicyField, "want at least 2, over at least one stage")
			}
		}
		if len(spec.SamePackages) > 0 || spec.Packages != "" || len(spec.Except) > 0 {
			kinds++
			if err := c.samePackages(path, spec, r); err != nil {
				return err
			}
		}
		if spec.Condition != "" {
			kinds++
			cond, err := c.condition(path+".condition", spec.Condition, ruleVars)
			if err != nil {
				return err
			}
			r.condition = cond
			names, all := stagesIn(spec.Condition)
			for name, s := range c.stages {
				if all || slices.Contains(names, name) {
					r.reads = append(r.reads, s)
				}
			}
		}
		if kinds != 1 {
			return c.fail(path, PolicyField, "want one of separate, organizations with over, samePackages with packages, and condition")
		}
		c.rules = append(c.rules, r)
	}
	return nil
}

func (c *compiler) samePackages(path string, spec *Rule, r *rule) error {
	for j, name := range spec.SamePackages {
		at := fmt.Sprintf("%s.samePackages[%d]", path, j)
		s := c.stages[name]
		switch {
		case s == nil:
			return c.fail(at, PolicyReference, "no stage is named %q", name)
		case s.spec.Contains != nil:
			return c.fail(at, PolicyField, "stage %q looks into a package, and has no statement that lists any", name)
		case !slices.ContainsFunc(s.requires, func(q *requirement) bool { return q.which != "none" }):
			return c.fail(at, PolicyField, "stage %q requires only that statements be absent, and so has none that lists a package", name)
		case slices.Contains(r.packages, s):
			return c.fail(at, PolicyField, "%q is named twice", name)
		}
		r.packages = append(r.packages, s)
	}
	if len(r.packages) < 2 {
		return c.fail(path+".samePackages", PolicyField, "want at least two stages")
	}
	if spec.Packages == "" {
		return c.fail(path+".packages", PolicyEmpty, "want a pattern for the package URLs that must be the same")
	}
	var err error
	if r.pattern, err = glob.Compile(spec.Packages); err != nil {
		return c.fail(path+".packages", PolicyField, "%v", err)
	}
	for j, e := range spec.Except {
		g, err := glob.Compile(e)
		if err != nil {
			return c.fail(fmt.Sprintf("%s.except[%d]", path, j), PolicyField, "%v", err)
		}
		r.except = append(r.except, g)
	}
	return nil
}

func (c *compiler) revocations() error {
	rv := &c.revoked
	rv.keys = map[Principal]time.Time{}
	rv.builders = map[string]time.Time{}
	rv.statements = map[string]time.Time{}
	rv.entries = map[int64]time.Time{}
	for i, r := range c.policy.Revoked {
		path := fmt.Sprintf("revoked[%d]", i)
		kinds := 0
		if r.Key != "" {
			kinds++
			if d, err := provenance.NewDigest(provenance.SHA256, strings.TrimPrefix(r.Key, "sha256:")); err != nil {
				return c.fail(path+".key", PolicyField, "want the SHA-256 of the public key in hex: %v", err)
			} else {
				earlier(rv.keys, Principal{key: d.Value()}, r.From)
			}
		}
		if r.Identity != nil {
			kinds++
			p, err := r.Identity.principal()
			if err != nil {
				return c.fail(path+".identity", PolicyField, "%v", err)
			}
			earlier(rv.keys, p.person(), r.From)
		}
		if r.Builder != "" {
			kinds++
			earlier(rv.builders, r.Builder, r.From)
		}
		if r.Statement != "" {
			kinds++
			d, err := provenance.ParseDigest(r.Statement)
			if err != nil || d.Algorithm() != provenance.SHA256 {
				return c.fail(path+".statement", PolicyField, `want the statement's digest as "sha256:…"`)
			}
			earlier(rv.statements, d.String(), r.From)
		}
		if r.LogIndex != nil {
			kinds++
			earlier(rv.entries, *r.LogIndex, r.From)
		}
		if kinds != 1 {
			return c.fail(path, PolicyField, "want one of key, identity, builder, statement and logIndex")
		}
	}
	return nil
}

// earlier keeps the earlier of two times of effect; the zero time is always in effect.
func earlier[K comparable](m map[K]time.Time, k K, t time.Time) {
	if old, ok := m[k]; !ok || t.Before(old) {
		m[k] = t
	}
}

// names returns the policy's names for a principal, and who it counts as: the
// entry that lists it exactly, else itself. One that an entry lists in another
// spelling has no name: it is that person, and matches no pattern.
func (v *Verifier) names(p Principal) (person string, entries []*entry) {
	if e := v.exact[p]; e != nil {
		return "name " + e.name, []*entry{e}
	}
	if e := v.folded[p.person()]; e != nil {
		return "name " + e.name, nil
	}
	for _, pe := range v.patterns {
		if pe.issuer == p.issuer && pe.subjectType == p.subjectType && p.key == "" && pe.subject.Match(p.subject) {
			entries = append(entries, pe.entry)
		}
	}
	p = p.person()
	return "identity " + p.subjectType + " " + p.subject + " " + p.issuer, entries
}

// usable keeps the digests by which artifacts may match under the policy.
func (v *Verifier) usable(set provenance.DigestSet) provenance.DigestSet {
	ok := true
	for _, d := range set {
		ok = ok && v.accepts(d.Algorithm())
	}
	if ok {
		return set
	}
	var out provenance.DigestSet
	for _, d := range set {
		if v.accepts(d.Algorithm()) {
			out = append(out, d)
		}
	}
	return out
}

func (v *Verifier) accepts(a provenance.Algorithm) bool {
	if v.algorithms != nil {
		return v.algorithms[a]
	}
	return a.Strong()
}
