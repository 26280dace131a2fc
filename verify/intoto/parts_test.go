package intoto

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/provenance/layout"
	"github.com/hallmark-build/hallmark/sign"
)

// The results are those of Python's fnmatch.fnmatchcase.
func TestGlob(t *testing.T) {
	for _, tc := range []struct {
		pattern, name string
		want          bool
	}{
		{"*", "", true}, {"*", "a/b", true}, {"**", "a/b", true}, {"*.py", "a/b.py", true}, {"?", "/", true}, {"?", "", false},
		{"a*b*c", "a/b/bc", true}, {"a*b*c", "a/b/bcd", false}, {"a?b", "a☺b", true}, {"*x", "xxx", true}, {"a*", "a\nb", true},
		{"[abc]", "b", true}, {"[!a]", "b", true}, {"[!a]", "a", false}, {"[!a]", "/", true},
		{"[^a]", "^", true}, {"[^a]", "a", true}, {"[^a]", "b", false},
		{"[a-c]", "b", true}, {"[!a-c]", "b", false}, {"[a-c-e]", "-", true}, {"[a-c-e]", "d", false}, {"[-a]", "-", true}, {"[a-]", "-", true},
		{"[]a]", "]", true}, {"[!]a]", "]", false}, {"[!]a]", "b", true}, {"[!]", "[!]", true}, {"[]", "[]", true},
		{"a[", "a[", true}, {"a[b", "a[b", true}, {"[a-ζ]", "α", true},
		{`a\*`, "a*", false}, {`a\*`, `a\xyz`, true}, {`[\]`, `\`, true},
		{"{a,b}", "a", false}, {"foo", "Foo", false},
	} {
		g, err := compileGlob(tc.pattern)
		if err != nil {
			t.Errorf("%q: %v", tc.pattern, err)
			continue
		}
		if got, _ := g.match(tc.name, limits.LayoutMatches); got != tc.want {
			t.Errorf("%q over %q: %v", tc.pattern, tc.name, got)
		}
	}
	for _, bad := range []string{"\xff", "[z-a]", "x[b-a]y", "[!9-0]", strings.Repeat("a", maxPattern+1)} {
		if _, err := compileGlob(bad); err == nil {
			t.Errorf("%.20q compiles", bad)
		}
	}
}

// A pattern of stars costs the product of the lengths, no more.
func TestEdge31_GlobCost(t *testing.T) {
	g, err := compileGlob(strings.Repeat("*a", 2000) + "b")
	if err != nil {
		t.Fatal(err)
	}
	_, cost := g.match(strings.Repeat("a", 4000), limits.LayoutMatches)
	if cost > 4000*4001*2 {
		t.Errorf("cost %d", cost)
	}
	b := newBudget()
	b.comparisons = 1000
	run := &ruleRun{budget: b, same: sameDigests, own: &record{materials: Artifacts(files(strings.Repeat("a", 4000) + "=1"))}}
	p, err := compileRule(layout.Rule{Verb: layout.Disallow, Pattern: strings.Repeat("*a", 2000) + "b"})
	if err != nil {
		t.Fatal(err)
	}
	_, _, _, err = run.apply([]*pattern{p}, layout.Materials)
	refusedFor(t, err, ReasonLimit)
}

func TestClean(t *testing.T) {
	for name, want := range map[string]string{
		"a": "a", "./a": "a", "a/": "a", "a//b": "a/b", "a/../b": "b", "../a": "../a", "/a": "/a", "": ".",
		"https://x/a/../b": "https://x/a/../b", "git+https://x//y": "git+https://x//y", "pkg:golang/x@v1": "pkg:golang/x@v1", "a/https://x": "a/https:/x",
	} {
		if got := cleanName(name); got != want {
			t.Errorf("%q becomes %q, want %q", name, got, want)
		}
		if again := cleanName(want); again != want {
			t.Errorf("%q becomes %q again", want, again)
		}
	}
	for _, bad := range []string{"*/../a", "a/*/..", "[a/../b]", "[a//b]c", "?/.."} {
		if _, err := cleanPattern(bad); err == nil {
			t.Errorf("pattern %q is cleaned", bad)
		}
	}
	for _, bad := range []string{".", "./", "a/.."} {
		if _, err := cleanPrefix(bad); err == nil {
			t.Errorf("prefix %q is cleaned", bad)
		}
	}
}

// One case for each row of the table of rules, each with its neighbours.
func TestRules(t *testing.T) {
	other := &record{materials: Artifacts(files("m=1", "src/a=1")), products: Artifacts(files("p=1", "out/a=1", "foo=1", "dir/foo=1", "dir2/foo=1"))}
	own := &record{materials: Artifacts(files("same=1", "changed=1", "gone=1")), products: Artifacts(files("same=1", "changed=2", "new=1"))}
	for _, tc := range []struct {
		name  string
		own   *record
		which string
		rules []string
		left  string // of the queue, or what failed after "!"
	}{
		{"allow", own, layout.Products, []string{"ALLOW s*"}, "changed new"},
		{"allow nothing", own, layout.Products, []string{"ALLOW x"}, "changed new same"},
		{"implicit allow", own, layout.Products, nil, "changed new same"},
		{"create takes new", own, layout.Products, []string{"CREATE *"}, "changed same"},
		{"create of materials", own, layout.Materials, []string{"CREATE *"}, "changed gone same"},
		{"delete takes gone", own, layout.Materials, []string{"DELETE *"}, "changed same"},
		{"delete of products", own, layout.Products, []string{"DELETE *"}, "changed new same"},
		{"modify takes changed", own, layout.Products, []string{"MODIFY *"}, "new same"},
		{"modify of materials", own, layout.Materials, []string{"MODIFY *"}, "gone same"},
		{"disallow", own, layout.Products, []string{"DISALLOW n*"}, "!new"},
		{"disallow after consumption", own, layout.Products, []string{"CREATE new", "DISALLOW n*"}, "changed same"},
		{"disallow before", own, layout.Products, []string{"DISALLOW n*", "CREATE new"}, "!new"},
		{"require", own, layout.Products, []string{"REQUIRE new"}, "changed new same"},
		{"require is literal", own, layout.Products, []string{"REQUIRE *"}, "!*"},
		{"require what was consumed", own, layout.Products, []string{"ALLOW new", "REQUIRE new"}, "!new"},
		{"require before it is consumed", own, layout.Products, []string{"REQUIRE new", "ALLOW new"}, "changed same"},
		{"require cleaned", own, layout.Products, []string{"REQUIRE ./new"}, "changed new same"},
		{"verbs in any case", own, layout.Products, []string{"allow new", "Disallow new"}, "changed same"},

		{"match", &record{materials: Artifacts(files("p=1", "q=1"))}, layout.Materials, []string{"MATCH * WITH PRODUCTS FROM other"}, "q"},
		{"match the other list", &record{materials: Artifacts(files("p=1", "m=1"))}, layout.Materials, []string{"MATCH * WITH MATERIALS FROM other"}, "p"},
		{"match another digest", &record{materials: Artifacts(files("p=2"))}, layout.Materials, []string{"MATCH * WITH PRODUCTS FROM other"}, "p"},
		{"match no such step", &record{materials: Artifacts(files("p=1"))}, layout.Materials, []string{"MATCH * WITH PRODUCTS FROM nobody"}, "p"},
		{"match with source", &record{materials: Artifacts(files("in/p=1", "p=1"))}, layout.Materials, []string{"MATCH * IN in WITH PRODUCTS FROM other"}, "p"},
		{"match with destination", &record{materials: Artifacts(files("a=1"))}, layout.Materials, []string{"MATCH * WITH PRODUCTS IN out FROM other"}, ""},
		{"match with both", &record{materials: Artifacts(files("x/a=1", "a=1"))}, layout.Materials, []string{"MATCH a IN x/ WITH PRODUCTS IN ./out FROM other"}, "a"},
		{"pattern is for what is under the source", &record{materials: Artifacts(files("in/p=1"))}, layout.Materials, []string{"MATCH in/p IN in WITH PRODUCTS FROM other"}, "in/p"},
		{"no wildcards in the source", &record{materials: Artifacts(files("in/p=1"))}, layout.Materials, []string{"MATCH p IN i* WITH PRODUCTS FROM other"}, "in/p"},
		{"match products", &record{products: Artifacts(files("p=1"))}, layout.Products, []string{"MATCH p WITH PRODUCTS FROM other"}, ""},
		{"match itself", own, layout.Products, []string{"MATCH * WITH MATERIALS FROM own"}, "changed new"},

		// Edge 46.
		{"edge46 outside of the source", &record{materials: Artifacts(files("foo=1"))}, layout.Materials, []string{"MATCH foo IN dir WITH PRODUCTS FROM other"}, "foo"},
		{"edge46 the source is no string prefix", &record{materials: Artifacts(files("dir2/foo=1"))}, layout.Materials, []string{"MATCH * IN dir WITH PRODUCTS IN dir FROM other"}, "dir2/foo"},
		// Edge 47.
		{"edge47 negation", own, layout.Products, []string{"ALLOW [!s]*"}, "same"},
		{"edge47 caret", own, layout.Products, []string{"ALLOW [^s]*"}, "changed new"},
		// Edge 48.
		{"edge48 nothing matches", own, layout.Products, []string{"ALLOW zzz", "DISALLOW *"}, "!changed"},
		// ITE-4.
		{"uri", &record{materials: Artifacts(files("https://x/y=1", "pkg:a/b@1=1"))}, layout.Materials, []string{"ALLOW https://x/*", "ALLOW pkg:*"}, ""},
	} {
		patterns, err := compileRules(rules(t, tc.rules...))
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		run := &ruleRun{budget: newBudget(), same: sameDigests, own: tc.own, steps: map[string]*record{"other": other, "own": tc.own}}
		left, _, failure, err := run.apply(patterns, tc.which)
		got := strings.Join(left, " ")
		if failure != nil {
			got = "!" + failure.artifact
		}
		if err != nil || got != tc.left {
			t.Errorf("%s: %q, %v, want %q", tc.name, got, err, tc.left)
		}
	}
	for _, bad := range []string{"", "ALLOW", "ALLOW a b", "SUBVERT a", "MATCH a", "MATCH a WITH GUMMY FROM b", "MATCH a WITH PRODUCTS FROM", "MATCH a b WITH PRODUCTS FROM c",
		"MATCH a WITH PRODUCTS FROM b c", "MATCH a IN b WITH PRODUCTS IN c FROM d e", "MATCH a IN b IN c WITH PRODUCTS FROM d"} {
		if r, err := layout.ParseRule(strings.Fields(bad)); err == nil {
			t.Errorf("%q is the rule %v", bad, r)
		}
	}
}

func TestEdge66_Parameters(t *testing.T) {
	rule := func(text string, values map[string]string) (layout.Rule, error) {
		p, err := newParameters(values)
		if err != nil {
			return layout.Rule{}, err
		}
		words := strings.Fields(text)
		r, err := layout.ParseRule(words)
		if err != nil {
			return r, err
		}
		return p.rule(r)
	}
	for _, tc := range []struct {
		rule   string
		values map[string]string
		want   string // "" for an error
	}{
		{"ALLOW {A}", map[string]string{"A": "x"}, "ALLOW x"},
		{"ALLOW a{A}b", map[string]string{"A": "x"}, "ALLOW axb"},
		{"MATCH {A}/* IN {B} WITH PRODUCTS IN {C} FROM {D}", map[string]string{"A": "a", "B": "b", "C": "c", "D": "d"}, "MATCH a/* IN b WITH PRODUCTS IN c FROM d"},
		{"REQUIRE {A}", map[string]string{"A": "*"}, "REQUIRE *"},
		// Values are put in once and not looked at again.
		{"ALLOW {A}", map[string]string{"A": "{B}", "B": "x"}, "ALLOW {B}"},
		{"ALLOW {A}", map[string]string{"A": "{B}", "B": "{A}"}, "ALLOW {B}"},
		{"ALLOW {A}", map[string]string{"A": "{A}"}, "ALLOW {A}"},
		// Characters of patterns stand for themselves, keywords are words.
		{"ALLOW {A}", map[string]string{"A": "*"}, "ALLOW [*]"},
		{"ALLOW {A}", map[string]string{"A": "a?[!b]"}, "ALLOW a[?][[]!b]"},
		{"ALLOW {A}", map[string]string{"A": "x WITH PRODUCTS FROM y"}, "ALLOW x WITH PRODUCTS FROM y"},
		// Whatever is left open is an error.
		{"ALLOW {A}", nil, ""},
		{"ALLOW {A}", map[string]string{"B": "x"}, ""},
		{"ALLOW {A}", map[string]string{"A": ""}, ""},
		{"ALLOW {}", map[string]string{"A": "x"}, ""},
		{"ALLOW {{A}}", map[string]string{"A": "x"}, ""},
		{"ALLOW {A.b}", map[string]string{"A": "x"}, ""},
		{"ALLOW {}", nil, "ALLOW {}"},
		{"ALLOW [{A}]", map[string]string{"A": "!a"}, ""},
		{"ALLOW x/{A}", map[string]string{"A": "../y"}, ""},
		{"ALLOW {A}/y", map[string]string{"A": ".."}, ""},
		{"ALLOW x/{A}", map[string]string{"A": "/y"}, ""},
		{"MATCH * IN {A} WITH PRODUCTS FROM s", map[string]string{"A": ".."}, ""},
		{"ALLOW {A}", map[string]string{"A": "a\nb"}, ""},
		{"ALLOW {A}", map[string]string{"A": "\xff"}, ""},
		{"ALLOW {A}", map[string]string{"A": strings.Repeat("x", 1<<20)}, ""},
		{"ALLOW a", map[string]string{"a b": "x"}, ""},
		// A keyword cannot come out of a parameter.
		{"{V} *", map[string]string{"V": "ALLOW"}, ""},
		{"MATCH * WITH {L} FROM s", map[string]string{"L": "PRODUCTS"}, ""},
	} {
		got, err := rule(tc.rule, tc.values)
		if tc.want == "" {
			if err == nil {
				t.Errorf("%s with %.60v is %s", tc.rule, tc.values, got)
			}
		} else if err != nil || got.String() != tc.want {
			t.Errorf("%s with %v is %s, %v, want %s", tc.rule, tc.values, got, err, tc.want)
		}
		if err == nil {
			g, err := compileRule(got)
			if err != nil {
				t.Errorf("%s: %v", got, err)
			} else if v := tc.values["A"]; strings.HasSuffix(tc.rule, " {A}") {
				if ok, _ := g.glob.match(v, limits.LayoutMatches); !ok {
					t.Errorf("%s does not match the value %q", got, v)
				}
			}
		}
	}
	// Names, keys and thresholds are not touched.
	w := newWorld(t)
	w.layout.Steps[1].Name = "{A}"
	w.options.Parameters = map[string]string{"A": "build"}
	w.refused(ReasonThreshold)
	w = newWorld(t)
	w.options.Parameters = map[string]string{"UNUSED": "x"}
	if s := w.passes(); !hasNote(s.Notes, "UNUSED") {
		t.Errorf("notes %v", s.Notes)
	}
}

// An authority issues certificates.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *person
}

func newAuthority(t testing.TB, name string, parent *authority) *authority {
	a := &authority{t: t, key: newPerson(t, sign.ECDSAP256)}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	signer, by := template, a.key
	if parent != nil {
		signer, by = parent.cert, parent.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, signer, a.key.private.Public(), by.private)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *authority) pem() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}))
}

func (a *authority) layoutKey() layout.Key {
	k := a.key.key
	k.KeyVal.Certificate = a.pem()
	return k
}

func (a *authority) issue(p *person, change func(*x509.Certificate)) string {
	a.t.Helper()
	spiffe, _ := url.Parse("spiffe://example.com/build")
	c := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "builder", Organization: []string{"example"}},
		NotBefore: now.Add(-time.Minute), NotAfter: now.Add(time.Minute), KeyUsage: x509.KeyUsageDigitalSignature, URIs: []*url.URL{spiffe}, BasicConstraintsValid: true}
	if change != nil {
		change(c)
	}
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, p.private.Public(), a.key.private)
	if err != nil {
		a.t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// certWorld is a world whose build is done by holders of certificates.
func certWorld(t testing.TB) (w *world, ca *authority, constraint *layout.CertConstraint, by func(p *person, cert string)) {
	w, ca = newWorld(t), newAuthority(t, "root", nil)
	delete(w.links, layout.LinkName("build", w.bob.key.KeyID))
	w.layout.RootCAs = map[string]layout.Key{ca.key.key.KeyID: ca.layoutKey()}
	s := &w.layout.Steps[1]
	s.PubKeys = nil
	s.CertConstraints = []layout.CertConstraint{{CommonName: "builder", Organizations: []string{"example"}, Roots: []string{ca.key.key.KeyID}, URIs: []string{"spiffe://example.com/build"}}}
	return w, ca, &s.CertConstraints[0], func(p *person, cert string) {
		t.Helper()
		doc := linkDocument(t, "build", []string{"go", "build"}, files("main.go=1"), files("app=2"))
		sig := p.sig(t, doc, p.key.KeyID)
		sig["cert"] = cert
		w.put(layout.LinkName("build", p.key.KeyID), metablock(t, doc, sig))
	}
}

func TestCertificates(t *testing.T) {
	w, ca, constraint, by := certWorld(t)
	by(w.bob, ca.issue(w.bob, nil))
	if s := w.passes(); !strings.HasPrefix(s.Steps[1].Functionaries[0], "certificate for ") {
		t.Errorf("%+v", s.Steps[1])
	}
	// The signature must be the certificate's.
	by(w.bob, ca.issue(w.alice, nil))
	w.refused(ReasonThreshold)
	// An issuer that the layout does not have.
	by(w.bob, newAuthority(t, "root", nil).issue(w.bob, nil))
	w.refused(ReasonThreshold)
	// By way of an intermediate.
	middle := newAuthority(t, "middle", ca)
	by(w.bob, middle.issue(w.bob, nil))
	w.refused(ReasonThreshold)
	w.options.Intermediates = [][]byte{[]byte(middle.pem())}
	w.passes()
	w.options.Intermediates = nil
	w.layout.IntermediateCAs = map[string]layout.Key{middle.key.key.KeyID: middle.layoutKey()}
	w.passes()
	// An intermediate makes nobody trusted by itself.
	stranger := newAuthority(t, "stranger", nil)
	by(w.bob, stranger.issue(w.bob, nil))
	w.layout.IntermediateCAs = map[string]layout.Key{stranger.key.key.KeyID: stranger.layoutKey()}
	w.refused(ReasonThreshold)
	w.layout.IntermediateCAs = nil
	// Two roots, of which the constraint names one.
	other := newAuthority(t, "other", nil)
	w.layout.RootCAs[other.key.key.KeyID] = other.layoutKey()
	by(w.bob, ca.issue(w.bob, nil))
	w.passes()
	by(w.bob, other.issue(w.bob, nil))
	w.refused(ReasonThreshold)
	constraint.Roots = []string{"*"}
	w.passes()
	// At the instant of judgement.
	w.options.At = now.Add(2 * time.Minute)
	w.refused(ReasonThreshold)
	w.options.At = now.Add(-2 * time.Minute)
	w.refused(ReasonThreshold)
	w.options.At = now
	constraint.Roots = []string{strings.Repeat("ab", 32)}
	if _, err := w.layout.Encode(); err == nil {
		t.Error("a constraint names a root that is not there")
	}
}

func TestEdge12_Constraints(t *testing.T) {
	some := []string{"a", "b"}
	for _, tc := range []struct {
		want, present []string
		ok            bool
	}{
		{[]string{"*"}, nil, true}, {[]string{"*"}, some, true}, {nil, nil, true}, {[]string{}, nil, true}, {[]string{""}, nil, true}, {[]string{""}, []string{""}, true},
		{nil, []string{"a"}, false}, {[]string{""}, []string{"a"}, false}, {some, []string{"b", "a"}, true}, {some, []string{"a"}, false}, {some, []string{"a", "b", "c"}, false},
		{[]string{"a"}, []string{"a", "a"}, false}, {[]string{"a", "*"}, []string{"a", "x"}, false}, {[]string{"a"}, []string{"A"}, false}, {[]string{"a*"}, []string{"ab"}, false},
	} {
		if got := meetsAll(tc.want, tc.present); got != tc.ok {
			t.Errorf("%q for %q: %v", tc.want, tc.present, got)
		}
	}
	w, ca, constraint, by := certWorld(t)
	u, _ := url.Parse("spiffe://example.com/other")
	for what, change := range map[string]func(*x509.Certificate){
		"another URI":    func(c *x509.Certificate) { c.URIs = []*url.URL{u} },
		"one URI more":   func(c *x509.Certificate) { c.URIs = append(c.URIs, u) },
		"no URI":         func(c *x509.Certificate) { c.URIs = nil },
		"an email":       func(c *x509.Certificate) { c.EmailAddresses = []string{"a@b"} },
		"a DNS name":     func(c *x509.Certificate) { c.DNSNames = []string{"example.com"} },
		"an IP address":  func(c *x509.Certificate) { c.IPAddresses = []net.IP{{1, 2, 3, 4}} },
		"no common name": func(c *x509.Certificate) { c.Subject.CommonName = "" },
		"two units":      func(c *x509.Certificate) { c.Subject.Organization = []string{"example", "evil"} },
		// Edge 15.
		"edge15 an authority": func(c *x509.Certificate) { c.IsCA = true; c.KeyUsage |= x509.KeyUsageCertSign },
		"edge15 key usage":    func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment },
		"edge15 critical": func(c *x509.Certificate) {
			c.ExtraExtensions = []pkix.Extension{{Id: []int{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}
		},
	} {
		by(w.bob, ca.issue(w.bob, change))
		_, err := w.verify()
		if err == nil {
			t.Errorf("%s: passed", what)
		}
	}
	// What no constraint can speak of stays out under wildcards too.
	*constraint = layout.CertConstraint{CommonName: "*", DNSNames: []string{"*"}, Emails: []string{"*"}, Organizations: []string{"*"}, Roots: []string{"*"}, URIs: []string{"*"}}
	by(w.bob, ca.issue(w.bob, func(c *x509.Certificate) { c.EmailAddresses = []string{"a@b"} }))
	w.passes()
	by(w.bob, ca.issue(w.bob, func(c *x509.Certificate) { c.IPAddresses = []net.IP{{1, 2, 3, 4}} }))
	w.refused(ReasonThreshold)
}

func TestEdge04_OneIdentityTwoCertificates(t *testing.T) {
	w, ca, _, by := certWorld(t)
	w.layout.Steps[1].Threshold = 2
	by(w.bob, ca.issue(w.bob, nil))
	by(w.alice, ca.issue(w.alice, nil))
	w.refused(ReasonThreshold)
	second := w.layout.Steps[1].CertConstraints[0]
	second.CommonName = "another"
	w.layout.Steps[1].CertConstraints = append(w.layout.Steps[1].CertConstraints, second)
	by(w.alice, ca.issue(w.alice, func(c *x509.Certificate) { c.Subject.CommonName = "another" }))
	w.passes()
}

func TestEdge02_KeyAndCertificate(t *testing.T) {
	// Bob's key is listed, and bob has a certificate for it and for nothing else.
	w, ca, _, by := certWorld(t)
	w.layout.Steps[1].PubKeys = []string{w.bob.key.KeyID}
	w.layout.Steps[1].Threshold = 2
	by(w.bob, ca.issue(w.bob, nil))
	w.put("build.00000000.link", w.links[layout.LinkName("build", w.bob.key.KeyID)].Data)
	w.refused(ReasonThreshold)
	// Edge 11: keys and certificates together.
	by(w.alice, ca.issue(w.alice, nil))
	w.passes()
	f := func(material, identity string) *functionary {
		return &functionary{material: material, identity: identity}
	}
	for want, list := range map[int][]*functionary{
		0: {}, 1: {f("k", ""), f("k", "a"), f("l", "a"), f("l", "")}, 2: {f("k", "a"), f("l", "b"), f("k", "")}, 3: {f("k", ""), f("l", ""), f("m", "a")},
	} {
		if got := distinct(list); got != want {
			t.Errorf("%d functionaries, want %d", got, want)
		}
	}
}

// One certificate, two files, and a forged key id on a junk signature.
func TestEdge03_JunkSignature(t *testing.T) {
	w, ca, _, _ := certWorld(t)
	w.layout.Steps[1].Threshold = 2
	doc := linkDocument(t, "build", []string{"go", "build"}, files("main.go=1"), files("app=2"))
	good := w.bob.sig(t, doc, w.bob.key.KeyID)
	good["cert"] = ca.issue(w.bob, nil)
	junk := map[string]any{"keyid": strings.Repeat("0", 64), "sig": "00", "cert": good["cert"]}
	data := metablock(t, doc, junk, good)
	w.put(layout.LinkName("build", w.bob.key.KeyID), data)
	w.put("build.00000000.link", data)
	w.refused(ReasonThreshold)
	lying := map[string]any{"keyid": strings.Repeat("0", 64), "sig": good["sig"], "cert": good["cert"]}
	w.put("build.00000000.link", metablock(t, doc, lying))
	w.refused(ReasonThreshold)
}

func TestLimits(t *testing.T) {
	w := newWorld(t)
	var junk []map[string]any
	doc := linkDocument(t, "build", nil, nil, nil)
	for range 65 {
		junk = append(junk, map[string]any{"keyid": "", "sig": "00"})
	}
	w.put(layout.LinkName("build", w.bob.key.KeyID), metablock(t, doc, junk...))
	if e := w.refused(ReasonThreshold); !hasNote(e.Notes, "more than 64 signatures") {
		t.Error(e.Explain())
	}
	b := &budget{signatures: 10}
	d, err := readDocument(metablock(t, doc, junk[:20]...))
	if err != nil {
		t.Fatal(err)
	}
	f, err := newFunctionary(w.bob.key)
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.signedBy(f, b)
	refusedFor(t, err, ReasonLimit)
	if _, err := Verify(t.Context(), make([]byte, 40<<20), []layout.Key{w.owner.key}, w.links, w.options); err == nil {
		t.Error("40 MiB of zeros are a layout")
	}
	deep := []byte(`{"signed":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `,"signatures":[]}`)
	_, err = Verify(t.Context(), deep, []layout.Key{w.owner.key}, w.links, w.options)
	refusedFor(t, err, ReasonLayout)
}

func FuzzGlob(f *testing.F) {
	for _, s := range [][2]string{{"*a[!b-d]?", "xxaq/"}, {"[]]", "]"}, {"[", "["}, {"**", ""}, {"[a-", "[a-"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, pattern, name string) {
		g, err := compileGlob(pattern)
		if err != nil || len(name) > 1000 || !utf8.ValidString(name) {
			return
		}
		ok, cost := g.match(name, limits.LayoutMatches)
		if cost < 1 || cost > 4*(len(pattern)+2)*(len(name)+2) {
			t.Errorf("cost %d", cost)
		}
		if slow := slowMatch(g.tokens, []rune(name)); slow != ok {
			t.Errorf("%q over %q: %v, the plain way %v", pattern, name, ok, slow)
		}
		if q, err := compileGlob(quoteGlob(name)); err == nil {
			if ok, _ := q.match(name, limits.LayoutMatches); !ok {
				t.Errorf("%q quoted does not match itself", name)
			}
		} else if len(name) < maxPattern/3 {
			t.Errorf("%q quoted: %v", name, err)
		}
	})
}

// slowMatch is the definition, over a table.
func slowMatch(tokens []token, s []rune) bool {
	at := make([]bool, len(s)+1)
	at[0] = true
	for _, tok := range tokens {
		next := make([]bool, len(s)+1)
		for i, ok := range at {
			switch {
			case !ok:
			case tok.kind == tokenStar:
				for j := i; j <= len(s); j++ {
					next[j] = true
				}
			case i < len(s) && tok.takes(s[i]):
				next[i+1] = true
			}
		}
		at = next
	}
	return at[len(s)]
}

func FuzzRule(f *testing.F) {
	f.Add([]byte(`["MATCH","a","IN","b","WITH","PRODUCTS","IN","c","FROM","d"]`), "a/b")
	f.Add([]byte(`["ALLOW","{A}*"]`), "../x")
	f.Add([]byte(`["require","*"]`), "*")
	f.Fuzz(func(t *testing.T, data []byte, value string) {
		var r layout.Rule
		if json.Unmarshal(data, &r) != nil {
			return
		}
		again, err := layout.ParseRule(r.Words())
		if err != nil || again != r {
			t.Fatalf("%v becomes %v, %v", r, again, err)
		}
		p, err := newParameters(map[string]string{"A": value})
		if err != nil {
			return
		}
		compiled, err := p.rules([]layout.Rule{r})
		if err != nil {
			return
		}
		own := &record{materials: Artifacts(files("a=1", "b/a=1", "c=2")), products: Artifacts(files("a=1", "c=3"))}
		run := &ruleRun{budget: newBudget(), same: sameDigests, own: own, steps: map[string]*record{"d": own}}
		left, _, failure, err := run.apply(compiled, layout.Materials)
		if err != nil {
			t.Fatal(err)
		}
		if failure == nil && !slices.IsSorted(left) {
			t.Errorf("left %q", left)
		}
	})
}

func FuzzLayout(f *testing.F) {
	w := newWorld(f)
	doc, _ := w.layout.Encode()
	f.Add(doc)
	f.Add([]byte(yamlLayout))
	f.Add([]byte("a: &x [*x]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if l, err := layout.Parse(data); err == nil {
			again, err := l.Encode()
			if err != nil {
				t.Fatalf("%s: %v", data, err)
			}
			if _, err := layout.Parse(again); err != nil {
				t.Fatal(err)
			}
		}
		parseAttestationLayout(data)
	})
}

func FuzzLink(f *testing.F) {
	w := newWorld(f)
	name := layout.LinkName("build", w.bob.key.KeyID)
	good := w.links[name].Data
	f.Add(good)
	signed := w.signedLayout()
	f.Fuzz(func(t *testing.T, data []byte) {
		links := clone(w.links)
		links[name].Data = data
		s, err := Verify(t.Context(), signed, []layout.Key{w.owner.key}, links, w.options)
		if err == nil && (len(s.Products) != 1 || len(s.Materials) != 0) {
			t.Errorf("%s passes", data)
		}
		if d, err := readDocument(data); err == nil && d.typ == "" {
			t.Error("a document without a type")
		}
	})
}
