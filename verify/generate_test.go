package verify_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hallmark-build/hallmark/internal/dsse"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/verify"
)

// keyID is the SHA-256 of a public key.
func keyID(publicPEM string) string {
	block, _ := pem.Decode([]byte(publicPEM))
	sum := sha256.Sum256(block.Bytes)
	return hex.EncodeToString(sum[:])
}

// chainCompiler knows, beside what equalCompiler does, two conditions over a
// whole chain: "count STAGE N", and "same STAGE STAGE NAME", of a field of all
// predicates.
type chainCompiler struct{}

func (chainCompiler) Compile(src string, names []string) (verify.Condition, error) {
	if f := strings.Fields(src); f[0] == "count" || f[0] == "same" {
		return chainCondition(f), nil
	}
	return equalCompiler{}.Compile(src, names)
}

type chainCondition []string

func (c chainCondition) Holds(vars map[string]any) (bool, error) {
	stages := vars["stages"].(map[string]any)
	statements := func(name string) []any { list, _ := stages[name].([]any); return list }
	if c[0] == "count" {
		return fmt.Sprint(len(statements(c[1]))) == c[2], nil
	}
	var first any
	for i, st := range slices.Concat(statements(c[1]), statements(c[2])) {
		v, ok := st.(map[string]any)["predicate"].(map[string]any)[c[3]]
		if !ok {
			return false, fmt.Errorf("no such field: %s", c[3])
		}
		if i > 0 && v != first {
			return false, nil
		}
		first = v
	}
	return true, nil
}

// choices are the bytes that a generated chain is made of. When they run out
// every choice is the first one.
type choices struct {
	data []byte
	pos  int
}

func (c *choices) n(n int) int {
	if c.pos >= len(c.data) || n < 2 {
		return 0
	}
	c.pos++
	return int(c.data[c.pos-1]) % n
}

// p is true in so many of a hundred cases, and never when the bytes ran out.
func (c *choices) p(percent int) bool { return c.n(100) >= 100-percent }

func one[T any](c *choices, list []T) T { return list[c.n(len(list))] }

// genFile is a file of a generated chain, or a statement in the place of one.
type genFile struct {
	name, content string
	digests       string // "" sha256; or "both", "sha512", "git", "none", "weak", "clash"
	uri           string
	of            *genStatement
	noMedia       bool
	link          bool
}

func (f genFile) descriptor(s *genStatement) provenance.ResourceDescriptor {
	if f.of != nil {
		d := provenance.ResourceDescriptor{Name: f.name, MediaType: verify.StatementMediaType, Digest: provenance.DigestSet{f.of.made().Digest()}}
		if f.noMedia {
			d.MediaType = ""
		}
		return d
	}
	h256 := sha256.Sum256([]byte(f.content))
	h512 := sha512.Sum512([]byte(f.content))
	d256 := provenance.MustDigest("sha256:" + hex.EncodeToString(h256[:]))
	d512 := provenance.MustDigest("sha512:" + hex.EncodeToString(h512[:]))
	d := provenance.ResourceDescriptor{Name: f.name, URI: f.uri}
	if f.link {
		d.Annotations = map[string]any{"link": f.content}
	}
	switch f.digests {
	case "both":
		d.Digest = provenance.DigestSet{d256, d512}
	case "sha512":
		d.Digest = provenance.DigestSet{d512}
	case "clash": // the SHA-512 of something else
		h512 = sha512.Sum512([]byte(f.content + "!"))
		d.Digest = provenance.DigestSet{d256, provenance.MustDigest("sha512:" + hex.EncodeToString(h512[:]))}
	case "git":
		d.Digest = provenance.DigestSet{provenance.MustDigest("gitCommit:" + hex.EncodeToString(h256[:20]))}
	case "weak":
		d.Digest = provenance.DigestSet{provenance.MustDigest("sha1:" + hex.EncodeToString(h256[:20]))}
	case "none":
		if d.URI == "" {
			d.URI = "https://ext.example/none/" + f.name
		}
	default:
		d.Digest = provenance.DigestSet{d256}
	}
	return d
}

// genStatement is a statement of a generated chain before it is made.
type genStatement struct {
	typ        string
	products   []genFile
	materials  []genFile
	result     string
	noResult   bool
	components []genFile       // of an SBOM
	lists      []*genStatement // of an inventory
	start, end time.Time
	builder    string
	malformed  bool
	keys       []string
	note       string // makes another statement of the same
	once       sync.Once
	statement  *provenance.Statement
}

const (
	typeLink = "https://in-toto.io/attestation/link/v0.3"
	typeSBOM = "https://cyclonedx.org/bom"
)

func (s *genStatement) copy() *genStatement {
	return &genStatement{typ: s.typ, products: slices.Clone(s.products), materials: slices.Clone(s.materials), result: s.result, noResult: s.noResult,
		components: s.components, lists: s.lists, start: s.start, end: s.end, builder: s.builder, malformed: s.malformed, keys: slices.Clone(s.keys), note: s.note}
}

// made makes the statement; it must not be changed afterwards.
func (s *genStatement) made() *provenance.Statement {
	s.once.Do(func() {
		list := func(files []genFile) []provenance.ResourceDescriptor {
			out := []provenance.ResourceDescriptor{}
			for _, f := range files {
				out = append(out, f.descriptor(s))
			}
			return out
		}
		pred := map[string]any{"note": s.note}
		if !s.noResult {
			pred["result"] = s.result
		}
		switch s.typ {
		case typeSLSA:
			metadata := map[string]any{}
			if !s.start.IsZero() {
				metadata["startedOn"] = s.start.Format(time.RFC3339)
			}
			if !s.end.IsZero() {
				metadata["finishedOn"] = s.end.Format(time.RFC3339)
			}
			builder := map[string]any{"id": s.builder}
			if s.malformed {
				builder = map[string]any{}
			}
			pred["buildDefinition"] = map[string]any{"buildType": "https://example.com/build/v1", "externalParameters": map[string]any{"target": "all"}, "resolvedDependencies": list(s.materials)}
			pred["runDetails"] = map[string]any{"builder": builder, "metadata": metadata}
		case typeLink:
			pred["name"], pred["command"], pred["materials"] = "step", []string{"make"}, list(s.materials)
			if s.malformed {
				pred["materials"] = []any{nil}
			}
		case typeSBOM:
			components := []any{}
			for i, f := range s.components {
				c := map[string]any{"type": "library", "name": fmt.Sprint("c", i), "version": "1"}
				if f.uri != "" {
					c["purl"] = f.uri
				}
				for _, d := range f.descriptor(s).Digest {
					if d.Algorithm() == provenance.SHA256 {
						c["hashes"] = []any{map[string]any{"alg": "SHA-256", "content": d.Value()}}
					} else {
						c["properties"] = []any{map[string]any{"name": "hallmark:digest:" + string(d.Algorithm()), "value": d.Value()}}
					}
				}
				components = append(components, c)
			}
			pred["bomFormat"], pred["specVersion"], pred["version"], pred["components"] = "CycloneDX", "1.5", 1, components
		case verify.InventoryType:
			entries := []any{}
			for _, o := range s.lists {
				entries = append(entries, map[string]any{"digest": o.made().Digest().String(), "predicateType": o.typ})
			}
			pred["statements"] = entries
			if !s.end.IsZero() {
				pred["createdOn"] = s.end.Format(time.RFC3339)
			}
		case typeScan:
			// A type that this module does not know has no claimed times;
			// scans that need some are of typeTimed.
		}
		if s.typ == typeTimed {
			pred = map[string]any{"result": s.result, "note": s.note, "scanner": map[string]any{"uri": "https://example.com/scanner", "result": []any{}}, "metadata": map[string]any{}}
			if s.noResult {
				delete(pred, "result")
			}
			if !s.start.IsZero() {
				pred["metadata"].(map[string]any)["scanStartedOn"] = s.start.Format(time.RFC3339)
			}
			if !s.end.IsZero() {
				pred["metadata"].(map[string]any)["scanFinishedOn"] = s.end.Format(time.RFC3339)
			}
		}
		s.statement = statement(s.typ, list(s.products), pred)
	})
	return s.statement
}

// typeTimed is a type of observation that claims times.
const typeTimed = "https://in-toto.io/attestation/vulns/v0.2"

// signatureCache keeps signatures: generated chains repeat themselves.
var signatureCache sync.Map

// envelope signs the statement by its keys.
func (s *genStatement) envelope() []byte {
	env := &dsse.Envelope{PayloadType: provenance.PayloadType, Payload: s.made().Payload()}
	for _, k := range s.keys {
		id := k + s.made().Digest().String()
		sig, ok := signatureCache.Load(id)
		if !ok {
			sig = ed25519.Sign(key(k), dsse.PAE(env.PayloadType, env.Payload))
			signatureCache.Store(id, sig)
		}
		env.Signatures = append(env.Signatures, dsse.Signature{KeyID: genKeyIDs[k], Sig: sig.([]byte)})
	}
	b, err := env.Encode()
	if err != nil {
		panic(err)
	}
	return b
}

// genCase is a generated chain: what is asked, and the evidence for it.
type genCase struct {
	policy    *verify.Policy
	artifacts []provenance.Artifact
	evidence  []*genStatement
	contents  []*verify.Contents
	hostile   []string // the mutations
}

func (c *genCase) envelopes() [][]byte {
	var out [][]byte
	for _, s := range c.evidence {
		out = append(out, s.envelope())
	}
	return out
}

func (c *genCase) String() string {
	p, _ := json.MarshalIndent(c.policy, "", " ")
	var b strings.Builder
	fmt.Fprintf(&b, "policy %s\nartifacts %v\nmutations %v\n", p, c.artifacts, c.hostile)
	for _, s := range c.evidence {
		fmt.Fprintf(&b, "%s by %v: %s\n", s.made().Digest(), s.keys, s.made().Payload())
	}
	return b.String()
}

// The people of generated chains. Those with two keys are p0 and p1.
var (
	genPeople = []string{"p0", "p1", "p2", "p3", "p4", "p5"}
	genPEM    = map[string]string{}
	genKeyIDs = map[string]string{}
)

func init() {
	for _, n := range append([]string{"p0x", "p1x", "mallory"}, genPeople...) {
		genPEM[n] = publicPEM(n)
		genKeyIDs[n] = keyID(genPEM[n])
	}
}

// seedBytes are the choices of a numbered case.
func seedBytes(seed uint64) []byte {
	r := rand.New(rand.NewPCG(seed, 0x68616c6c))
	b := make([]byte, 768)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

type genStage struct {
	name     string
	index    int // 0 is final
	spec     *verify.Stage
	products []genFile
	honest   []*genStatement
}

// generator makes a policy, an honest history that fits it, and then harms it.
type generator struct {
	*choices
	c     *genCase
	flow  []*genStage
	about []*genStage
	extra map[string][]genFile // external materials of each input
}

// generate makes a chain of bytes: the same from the same.
func generate(data []byte) *genCase {
	g := &generator{choices: &choices{data: data}, c: &genCase{}, extra: map[string][]genFile{}}
	g.people()
	g.inputs()
	g.stages()
	g.rules()
	g.history()
	g.revocations()
	if g.p(50) {
		for range 1 + g.n(2) {
			g.harm()
		}
	}
	for n := 0; n < 6 && g.p(25); n++ {
		g.benign()
	}
	if len(g.c.evidence) > 1 {
		for i := range g.c.evidence { // some order
			j := g.n(len(g.c.evidence))
			g.c.evidence[i], g.c.evidence[j] = g.c.evidence[j], g.c.evidence[i]
		}
	}
	return g.c
}

func (g *generator) people() {
	p := &verify.Policy{Schema: verify.PolicySchema, Name: "generated", NoExpiryUnsafe: true, Principals: map[string]verify.Principals{},
		Stages: map[string]*verify.Stage{}, Inputs: map[string]verify.Input{}, Final: "s0"}
	for i, n := range genPeople {
		e := verify.Principals{Key: genPEM[n], Organization: []string{"red", "blue", "", "green"}[(i+g.n(4))%4], AcceptClaimedTimeUnsafe: !g.p(8)}
		if i < 2 && g.p(50) {
			e.Keys = []verify.Key{{PEM: genPEM[n+"x"]}}
			if g.p(4) { // out of its validity
				e.Keys[0].ValidUntil = now.Add(-time.Hour)
			}
		}
		p.Principals[n] = e
	}
	if g.p(4) {
		p.NoExpiryUnsafe, p.Expires = false, now.Add(time.Duration(g.n(3))*time.Second)
	}
	switch g.n(16) {
	case 1:
		p.Algorithms = []string{"sha256"}
	case 2:
		p.Algorithms = []string{"sha256", "sha512", "gitCommit"}
	case 3:
		p.Algorithms = []string{"sha512"}
	}
	g.c.policy = p
}

func (g *generator) inputs() {
	p := g.c.policy
	ext := genFile{name: "ext.zip", content: "ext", uri: "https://ext.example/pkg/ext.zip"}
	in := verify.Input{URI: "https://ext.example/**"}
	switch g.n(5) {
	case 1:
		in.Digests = []string{ext.descriptor(nil).Digest[0].String()}
	case 2:
		ext.digests = "git"
		in.Algorithms = []string{"gitCommit", "gitTree"}
	case 3:
		in.AllowWithoutDigestUnsafe = true
		ext.digests = one(g.choices, []string{"none", "weak", ""})
	case 4:
		in.URI = "https://ext.example/*/ext.zip"
	}
	p.Inputs["ext"] = in
	g.extra["ext"] = []genFile{ext}
	if g.p(25) {
		g.extra["listed"] = []genFile{{name: "lib.go", content: "lib"}}
		p.Inputs["listed"] = verify.Input{ListedBy: "?"} // filled in by stages
	}
}

func (g *generator) stages() {
	p := g.c.policy
	size := []int{2, 3, 1, 3, 2, 4}[g.n(6)]
	for i := range size {
		s := &genStage{name: fmt.Sprint("s", i), index: i, spec: &verify.Stage{}}
		for j := range 1 + g.n(3) {
			f := genFile{name: fmt.Sprintf("d%d/f%d%c", i, i, 'a'+j), content: fmt.Sprintf("%d%c", i, 'a'+j)}
			if g.p(12) {
				f.digests = one(g.choices, []string{"both", "both", "sha512"})
			}
			if len(p.Algorithms) == 1 {
				f.digests = "both"
			}
			s.products = append(s.products, f)
		}
		g.flow = append(g.flow, s)
		p.Stages[s.name] = s.spec
	}
	if size > 1 && g.p(9) {
		g.flow[0].spec.Contains = &verify.Contains{Members: one(g.choices, []string{"", "**", "d*/*"})}
	}
	for i := 1; i < size; i++ {
		sure := g.n(i)
		for j := range i {
			if j == sure || g.p(25) {
				g.from(g.flow[j], g.flow[i])
			}
		}
		if g.p(12) {
			g.flow[i].spec.Optional = true
		}
	}
	for i := range []int{0, 1, 1, 2}[g.n(4)] {
		if size == 4 && i == 1 {
			break
		}
		s := &genStage{name: fmt.Sprint("a", i), spec: &verify.Stage{}}
		for j := range 1 + g.n(2) {
			of := g.flow[(g.n(size)+j)%size]
			if slices.ContainsFunc(s.spec.About, func(a verify.About) bool { return a.Stage == of.name }) {
				continue
			}
			a := verify.About{Stage: of.name, All: g.p(15)}
			if g.p(15) {
				a.Products = one(g.choices, []string{"**", "d" + strconv.Itoa(of.index) + "/*", "**a", "**a", "**", "**", "nothing"})
			}
			s.spec.About = append(s.spec.About, a)
		}
		g.about = append(g.about, s)
		p.Stages[s.name] = s.spec
	}
	all := slices.Concat(g.flow, g.about)
	for _, s := range all {
		g.body(s)
	}
	if in, ok := p.Inputs["listed"]; ok {
		by := all[len(all)-1-g.n(len(all))]
		in.ListedBy = by.name
		p.Inputs["listed"] = in
		if q := by.spec.Requires; len(by.spec.About) > 0 && q[0].Which == "" && g.p(80) {
			q[0].Type, q[0].Types, q[0].MaxAge = typeSBOM, nil, 0
		}
		s := g.flow[size-1]
		if s != by {
			s.spec.Inputs = append(s.spec.Inputs, "listed")
		}
	}
	// After: only from later stages to earlier ones. An about stage is later
	// than the flow stages that it is about.
	for _, s := range g.flow {
		if s.index+1 < size && s.spec.Contains == nil && g.p(15) {
			s.spec.After = append(s.spec.After, g.flow[s.index+1+g.n(size-s.index-1)].name)
		}
	}
	for _, s := range g.about {
		switch {
		case g.p(25):
			if of := s.spec.About[0].Stage; p.Stages[of].Contains == nil {
				s.spec.After = append(s.spec.After, of)
			}
		case g.flow[0].spec.Contains == nil && g.p(15) && s.spec.About[0].Stage != "s0":
			g.flow[0].spec.After = append(g.flow[0].spec.After, s.name)
		}
	}
}

// from lets products of one stage flow into another.
func (g *generator) from(to, from *genStage) {
	f := verify.Flow{Stage: from.name, Optional: g.p(10)}
	switch g.n(10) {
	case 1:
		f.Names = "same"
	case 2:
		f.Names = "base"
	case 3:
		f.Map = map[string]string{}
		for _, p := range from.products {
			f.Map["in/"+p.name] = p.name
		}
	case 4:
		f.Materials = one(g.choices, []string{"**", "d" + strconv.Itoa(from.index) + "/*", "d*/*a"})
	}
	to.spec.From = append(to.spec.From, f)
}

func (g *generator) body(s *genStage) {
	if s.spec.Contains != nil {
		return
	}
	isAbout := len(s.spec.About) > 0
	perm := g.n(6)
	requires := 1
	if g.p(12) {
		requires = 2
	}
	for i := range requires {
		q := verify.Requirement{Type: typeSLSA}
		switch {
		case isAbout:
			q.Type = one(g.choices, []string{typeTimed, typeScan, typeTimed, typeSBOM})
		case i == 1:
			q.Type = one(g.choices, []string{typeScan, typeLink, typeTimed, typeSBOM})
		case g.p(10):
			q.Type = typeLink
		}
		for range 1 + g.n(3) {
			q.Signers = append(q.Signers, genPeople[perm%6])
			perm++
		}
		if len(q.Signers) > 1 && g.p(35) {
			q.Threshold = 2
			q.AgreeOnMaterials = g.p(40)
		}
		if g.p(40) || isAbout {
			q.Where = []string{"result == PASSED"}
		}
		if g.p(4) {
			q.Types, q.Type = []string{q.Type, one(g.choices, []string{typeLink, typeScan})}, ""
		}
		if g.p(12) && q.Type == typeSLSA {
			q.Builders = []string{"https://example.com/builder"}
		}
		if g.p(6) {
			q.MaxAge = verify.Duration(time.Duration(40+g.n(120)) * time.Hour)
		}
		if g.p(15) || isAbout && g.p(20) {
			q.Which = one(g.choices, []string{"newest", "all", "newest", "none"})
			if q.Type != typeSLSA && !g.p(10) {
				q.Type = typeTimed
			}
			if q.Which == "none" && !isAbout && i == 0 {
				q.Which = "all"
			}
			if g.p(50) || q.Which == "none" {
				q.Complete = true
				g.c.policy.Inventory = &verify.Inventory{Signers: []string{"p4", "p5"}, MaxAge: verify.Duration(200 * time.Hour)}
			}
			if q.Which != "none" && (!q.Complete || g.p(20)) {
				q.MaxAge = verify.Duration(200 * time.Hour)
			}
			if q.Which == "none" {
				q.Where, q.Threshold, q.AgreeOnMaterials = []string{"result == FAILED"}, 0, false
			}
		}
		s.spec.Requires = append(s.spec.Requires, q)
	}
	s.spec.Many = g.p(12)
	if s.spec.Many && isAbout && s.spec.Requires[0].Which == "none" {
		s.spec.Many = false
	}
	if isAbout {
		return
	}
	if g.p(25) || s.index == len(g.flow)-1 && g.p(40) {
		s.spec.Inputs = append(s.spec.Inputs, "ext")
	}
	if g.p(10) {
		s.spec.Products = []string{"d" + strconv.Itoa(s.index) + "/*"}
		if g.p(40) {
			s.spec.Products = append(s.spec.Products, one(g.choices, []string{"**a", "**b", "**.log", "**"}))
		}
	}
	s.spec.Complete = g.p(8)
}

func (g *generator) rules() {
	p := g.c.policy
	names := slices.Sorted(maps.Keys(p.Stages))
	if len(names) > 1 && p.Stages["s0"].Contains == nil && g.p(15) {
		i := g.n(len(names))
		p.Rules = append(p.Rules, verify.Rule{Separate: []string{names[i], names[(i+1+g.n(len(names)-1))%len(names)]}})
	}
	if g.p(10) {
		p.Rules = append(p.Rules, verify.Rule{Organizations: 2, Over: names[:1+g.n(len(names))]})
	}
	if last, use := len(g.flow)-1, g.p(40); use && len(g.about) > 0 && len(g.flow[last].spec.Requires) > 0 {
		// A build and an SBOM of it.
		b, a := g.flow[last], g.about[0]
		if !slices.Contains(b.spec.Inputs, "ext") {
			b.spec.Inputs = append(b.spec.Inputs, "ext")
		}
		a.spec.Requires = a.spec.Requires[:1]
		if q := &a.spec.Requires[0]; q.Which == "" {
			q.Type, q.Types, q.MaxAge, q.Where = typeSBOM, nil, 0, nil
		}
		none := func(s *genStage) bool {
			return !slices.ContainsFunc(s.spec.Requires, func(q verify.Requirement) bool { return q.Which != "none" })
		}
		r := verify.Rule{SamePackages: []string{b.name, a.name}, Packages: one(g.choices, []string{"https://ext.example/**", "https://ext.example/**", "**.zip", "https://**"})}
		if g.p(15) {
			r.Except = []string{one(g.choices, []string{"https://ext.example/none/*", "**other**", "https://ext.example/pkg/**"})}
		}
		if !none(a) && !none(b) {
			p.Rules = append(p.Rules, r)
		}
	}
	if g.p(10) {
		a, b := one(g.choices, names), one(g.choices, names)
		p.Rules = append(p.Rules, verify.Rule{Condition: one(g.choices, []string{"true", "count " + a + " 1", "same " + a + " " + b + " result", "same " + a + " " + b + " note"})})
	}
}

// history makes an honest run of every stage.
func (g *generator) history() {
	used := map[string]map[string]bool{}
	when := now.Add(-100 * time.Hour)
	for i := len(g.flow) - 1; i >= 0; i-- {
		s := g.flow[i]
		if s.spec.Optional && g.p(50) {
			continue
		}
		var materials []genFile
		for _, f := range s.spec.From {
			from := g.flow[int(f.Stage[1]-'0')]
			if len(from.honest) == 0 || f.Optional && g.p(50) {
				continue
			}
			list := from.products
			if len(list) > 1 && !from.spec.Complete && g.p(25) {
				list = list[:1]
			}
			for _, p := range list {
				if f.Materials == "d*/*a" && !strings.HasSuffix(p.name, "a") {
					continue
				}
				if used[from.name] == nil {
					used[from.name] = map[string]bool{}
				}
				used[from.name][p.content] = true
				switch {
				case len(f.Map) > 0:
					p.name = "in/" + p.name
				case f.Names == "base" && g.p(60), f.Names == "" && f.Materials == "" && g.p(10):
					p.name = "moved/" + p.name
				}
				if p.digests == "both" && g.p(30) {
					p.digests = ""
				}
				materials = append(materials, p)
			}
		}
		for _, in := range s.spec.Inputs {
			if g.p(70) {
				materials = append(materials, g.extra[in]...)
			}
		}
		when = when.Add(time.Duration(1+g.n(4)) * time.Hour)
		if s.spec.Contains != nil {
			g.pack(s, materials)
		} else {
			g.run(s, materials, when)
		}
		for _, a := range g.about {
			// When the last of the stages that it is about has run.
			last := len(g.flow)
			for _, ab := range a.spec.About {
				last = min(last, g.flow[int(ab.Stage[1]-'0')].index)
			}
			if last != i || len(a.honest) > 0 {
				continue
			}
			a.products = nil
			for _, ab := range a.spec.About {
				if of := g.flow[int(ab.Stage[1]-'0')]; len(of.honest) > 0 {
					a.products = append(a.products, of.products...)
				}
			}
			if len(a.products) > 0 {
				when = when.Add(time.Duration(1+g.n(4)) * time.Hour)
				g.run(a, nil, when)
			}
		}
	}
	p := g.c.policy
	if p.Inventory != nil {
		when = when.Add(time.Hour)
		inv := &genStatement{typ: verify.InventoryType, keys: []string{"p5"}, start: when, end: when, result: "PASSED"}
		for _, s := range g.flow {
			inv.products = append(inv.products, s.products...)
		}
		inv.lists = slices.Clone(g.c.evidence)
		if g.p(94) {
			g.c.evidence = append(g.c.evidence, inv)
		}
	}
	final := g.flow[0].products
	g.artifact(final[g.n(len(final))])
	if len(final) > 1 && (g.p(20) || g.flow[0].spec.Complete) {
		g.c.artifacts = nil
		for _, f := range final {
			g.artifact(f)
		}
	}
}

func (g *generator) artifact(f genFile) {
	if len(g.c.policy.Algorithms) > 0 && !g.allowed(f.descriptor(nil)) {
		f.digests = "both"
	}
	d := f.descriptor(nil)
	g.c.artifacts = append(g.c.artifacts, provenance.Artifact{Name: d.Name, Digests: d.Digest})
}

// allowed reports whether a resource has a digest that the policy accepts.
func (g *generator) allowed(d provenance.ResourceDescriptor) bool {
	return slices.ContainsFunc(d.Digest, func(d provenance.Digest) bool {
		return slices.Contains(g.c.policy.Algorithms, string(d.Algorithm()))
	})
}

// pack puts files into a package, most of the time those that it should hold,
// and looks into it.
func (g *generator) pack(s *genStage, files []genFile) {
	if g.p(20) {
		i := g.n(len(files) + 1)
		files = append(slices.Clone(files[:i]), genFile{name: one(g.choices, []string{"evil", "d1/f1a", "x/evil"}), content: "evil"})
		g.c.hostile = append(g.c.hostile, "packed evil")
	}
	if len(files) == 0 {
		files = []genFile{{name: "README", content: "nothing"}}
	}
	path := filepath.Join(os.TempDir(), fmt.Sprintf("package-%d-%p.tar", os.Getpid(), g))
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	seen := map[string]bool{}
	for _, f := range files {
		if seen[f.name] {
			continue
		}
		seen[f.name] = true
		if err := w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.content))}); err != nil {
			panic(err)
		}
		w.Write([]byte(f.content))
	}
	w.Close()
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		panic(err)
	}
	defer os.Remove(path)
	contents, err := verify.ReadContents(context.Background(), path)
	if err != nil {
		panic(fmt.Errorf("%w: %v", err, files))
	}
	g.c.contents = append(g.c.contents, contents)
	s.products = []genFile{{name: "package.tar", content: b.String(), digests: "both"}}
}

// run makes the statements of one honest stage.
func (g *generator) run(s *genStage, materials []genFile, when time.Time) {
	for _, after := range s.spec.After {
		if g.p(25) { // show it by digest
			for _, o := range slices.Concat(g.flow, g.about) {
				if o.name == after {
					for _, st := range o.honest {
						materials = append(materials, genFile{name: "statement", of: st, noMedia: g.p(5)})
					}
				}
			}
		}
	}
	var batches [][]genFile
	if s.spec.Many && len(s.products) > 1 {
		for i := range s.products {
			batches = append(batches, s.products[i:i+1])
		}
	} else {
		batches = [][]genFile{s.products}
	}
	for i := range s.spec.Requires {
		q := &s.spec.Requires[i]
		if q.Which == "none" {
			continue
		}
		n := max(q.Threshold, 1)
		signers := slices.Clone(q.Signers)
		// Somebody who is not separate from another stage may be among them.
		for k := range signers {
			j := g.n(len(signers))
			signers[k], signers[j] = signers[j], signers[k]
		}
		for _, batch := range batches {
			st := &genStatement{typ: typesOf(q)[0], products: batch, materials: materials, result: "PASSED", builder: "https://example.com/builder", start: when, end: when.Add(20 * time.Minute)}
			if len(s.spec.About) > 0 {
				st.materials = nil
			}
			if st.typ == typeSBOM {
				st.components = []genFile{{content: "lib"}, {content: "other"}}
				if len(g.c.policy.Rules) > 0 {
					st.components = append(st.components, g.extra["ext"]...)
				}
			}
			if st.typ == typeLink {
				st.start, st.end = time.Time{}, time.Time{}
			}
			if n == 1 || g.p(40) {
				st.keys = signers[:n]
				g.add(s, st)
				continue
			}
			for k := range n {
				c := st.copy()
				c.keys = signers[k : k+1]
				if g.p(50) {
					c.note = fmt.Sprint("by ", k)
				}
				g.add(s, c)
			}
		}
	}
}

func (g *generator) add(s *genStage, st *genStatement) {
	s.honest = append(s.honest, st)
	g.c.evidence = append(g.c.evidence, st)
}

func (g *generator) revocations() {
	if !g.p(10) {
		return
	}
	r := verify.Revocation{}
	switch g.n(4) {
	case 1:
		r.Builder = one(g.choices, []string{"https://example.com/builder", "https://example.com/other"})
	case 2:
		if len(g.c.evidence) > 0 {
			// The digest of a statement that may yet be changed by harm would
			// be of another; a copy fixes it.
			i := g.n(len(g.c.evidence))
			r.Statement = g.c.evidence[i].copy().made().Digest().String()
			break
		}
		fallthrough
	default:
		r.Key = genKeyIDs[one(g.choices, []string{"p0", "p1", "p2", "p0x", "p3", "p1x"})]
	}
	if g.p(40) {
		r.From = now.Add(time.Duration(g.n(3)-1) * time.Hour)
	}
	g.c.policy.Revoked = append(g.c.policy.Revoked, r)
}

// pick returns a statement of the evidence to be changed in place.
func (g *generator) pick() *genStatement {
	if len(g.c.evidence) == 0 {
		return &genStatement{}
	}
	return one(g.choices, g.c.evidence)
}

// replace puts a changed copy in the place of a statement, so that those who
// refer to the statement by digest still do.
func (g *generator) replace(old, new *genStatement) {
	for i, s := range g.c.evidence {
		if s == old {
			g.c.evidence[i] = new
		}
	}
}

func (g *generator) harm() {
	st := g.pick()
	if st.typ == "" {
		return
	}
	c := st.copy()
	kind := g.n(32)
	g.c.hostile = append(g.c.hostile, fmt.Sprint(kind, " ", st.typ))
	switch kind {
	case 0: // a material swapped for another
		if len(c.materials) > 0 {
			c.materials[g.n(len(c.materials))].content += "evil"
		}
	case 1: // a product swapped
		c.products[g.n(len(c.products))].content += "evil"
	case 2: // a material that is not listed
		if len(c.materials) > 0 {
			c.materials = slices.Delete(c.materials, 0, 1)
		}
	case 3: // a material from nowhere
		c.materials = append(c.materials, genFile{name: "evil", content: "evil", digests: one(g.choices, []string{"", "none", "weak", "git"})})
	case 4: // the wrong signer
		c.keys = []string{one(g.choices, []string{"mallory", "p0", "p1", "p2", "p3"})}
	case 5: // the same person with the other key
		if c.keys = append(c.keys, "p0x", "p0"); g.p(50) {
			person := one(g.choices, []string{"p0", "p1"})
			c.keys = []string{person, person + "x"}
		}
	case 6, 7: // withheld
		g.c.evidence = slices.DeleteFunc(g.c.evidence, func(s *genStatement) bool { return s == st })
		return
	case 8: // another build, mixed in
		c.note = "another"
		c.products[0].content += "v1"
		if len(c.materials) > 0 {
			c.materials[0].content += "v1"
		}
		g.c.evidence = append(g.c.evidence, c)
		return
	case 9, 10, 11: // conflicting results
		c.note, c.result = "conflict", one(g.choices, []string{"FAILED", "FAILED", "PASSED"})
		c.noResult = g.p(15)
		if !c.end.IsZero() {
			d := time.Duration(g.n(3)-1) * time.Hour
			c.start, c.end = c.start.Add(d), c.end.Add(d)
		}
		if g.p(15) {
			c.start, c.end = time.Time{}, time.Time{}
		}
		if g.p(20) {
			c.keys = []string{one(g.choices, genPeople)}
		}
		if kind == 11 {
			break
		}
		g.c.evidence = append(g.c.evidence, c)
		return
	case 12: // names exchanged
		n := len(c.products)
		c.products[0].name, c.products[n-1].name = c.products[n-1].name, c.products[0].name
	case 13: // digests under other algorithms
		c.products[0].digests = one(g.choices, []string{"clash", "sha512", "both"})
	case 14:
		if len(c.materials) > 0 {
			c.materials[0].digests = one(g.choices, []string{"clash", "none", "weak", "sha512", "git"})
		}
	case 15: // other times
		d := time.Duration(g.n(240)-140) * time.Hour
		if !c.end.IsZero() {
			c.start, c.end = c.start.Add(d), c.end.Add(d)
		}
	case 16: // no times, or only one
		if c.start = (time.Time{}); g.p(70) {
			c.end = time.Time{}
		}
	case 17: // the artifact is another
		g.c.artifacts[0].Digests = genFile{content: "another artifact", digests: "both"}.descriptor(nil).Digest
	case 18: // malformed
		c.malformed = true
	case 19: // a product more, or one less
		if len(c.products) > 1 && g.p(50) {
			c.products = c.products[1:]
		} else {
			c.products = append(c.products, genFile{name: "more.log", content: "more"})
		}
	case 20: // another builder
		c.builder = "https://example.com/other"
	case 21: // another type
		c.typ = one(g.choices, []string{typeSLSA, typeLink, typeScan, typeTimed})
	case 22: // the products of one stage as those of another
		c.products = slices.Concat(c.products, g.pick().products)
		c.note = "both"
		g.c.evidence = append(g.c.evidence, c)
		return
	case 24, 25, 26, 27: // another list of packages
		g.harmPackages(kind, c)
	case 28: // a symbolic link in the place of a file, here or wherever the file is used
		f := &c.products[g.n(len(c.products))]
		both := g.p(30)
		content := f.content
		if f.link = true; both {
			file := *f
			file.link = false
			c.products = append(c.products, file)
		}
		if g.p(70) {
			for _, other := range slices.Clone(g.c.evidence) {
				if other == st {
					continue
				}
				d := other.copy()
				for _, list := range []*[]genFile{&d.materials, &d.products} {
					for i := range *list {
						if (*list)[i].content == content && (*list)[i].of == nil {
							if file := (*list)[i]; both {
								*list = append(*list, file)
							}
							(*list)[i].link = true
						}
					}
				}
				g.replace(other, d)
			}
		}
	case 29, 30, 31: // done again and again, not always as well
		for i := range 2 + g.n(2) {
			c := st.copy()
			c.note = fmt.Sprint("again ", i)
			switch g.n(5) {
			case 1:
				c.components = nil
			case 2:
				c.start, c.end = c.start.Add(-time.Duration(24*i)*time.Hour), c.end.Add(-time.Duration(24*i)*time.Hour)
				if st.end.IsZero() {
					c.start, c.end = time.Time{}, time.Time{}
				}
			case 3:
				c.keys = []string{one(g.choices, genPeople)}
			case 4:
				if len(c.materials) > 0 {
					c.materials = c.materials[1:]
				}
			}
			g.c.evidence = append(g.c.evidence, c)
		}
		return
	case 23: // signed once more by the first of them, and by an outsider
		c.keys = append(c.keys, c.keys[0], "mallory")
	}
	g.replace(st, c)
}

// harmPackages changes what a statement lists.
func (g *generator) harmPackages(kind int, c *genStatement) {
	list := &c.materials
	if c.typ == typeSBOM {
		c.components = slices.Clone(c.components)
		list = &c.components
	}
	more := genFile{name: "more.zip", content: "more", uri: "https://ext.example/pkg/more.zip"}
	for i := range *list {
		f := &(*list)[i]
		if f.uri == "" {
			continue
		}
		switch kind {
		case 24:
			f.content += "evil"
		case 25:
			f.uri = "https://ext.example/pkg/renamed.zip"
		case 26:
			f.digests = one(g.choices, []string{"none", "weak", "git", "clash", "sha512"})
			more = *f
			more.content += "too"
		}
		break
	}
	if kind >= 26 && g.p(60) {
		*list = append(*list, more)
	}
}

func (g *generator) benign() {
	st := g.pick()
	if st.typ == "" {
		return
	}
	switch g.n(5) {
	case 0: // again
		g.c.evidence = append(g.c.evidence, st)
	case 1: // unrelated
		g.c.evidence = append(g.c.evidence, &genStatement{typ: typeSLSA, products: []genFile{{name: "other", content: "unrelated"}}, builder: "https://example.com/builder", keys: []string{"p0"}})
	case 2: // an equal one with another note
		c := st.copy()
		c.note = "again"
		g.c.evidence = append(g.c.evidence, c)
	case 3: // signed by somebody else in another envelope
		c := st.copy()
		c.keys = []string{one(g.choices, genPeople)}
		g.c.evidence = append(g.c.evidence, c)
	case 4: // also by somebody else
		c := st.copy()
		c.note = "also"
		c.keys = append(c.keys, one(g.choices, genPeople))
		g.c.evidence = append(g.c.evidence, c)
	}
}
