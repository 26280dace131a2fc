package diff_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/diff"
)

// sum is a SHA-256 digest made of one character.
func sum(c string) provenance.Digest {
	return provenance.MustDigest("sha256:" + strings.Repeat(c, 64))
}

// graph makes a graph from lines "purl digest-character licence"; the first
// is the root. "-" stands for nothing.
func graph(lines ...string) *sbom.Graph {
	g := new(sbom.Graph)
	for i, line := range lines {
		f := append(strings.Fields(line), "-", "-")
		c := sbom.Component{PURL: f[0], Name: f[0], Dependencies: sbom.Complete}
		if !strings.HasPrefix(f[0], "pkg:") {
			c.PURL = ""
			c.Name, c.Version, _ = strings.Cut(f[0], "@")
		} else if at := strings.LastIndex(f[0], "@"); at > 0 {
			c.Version = f[0][at+1:]
		}
		if f[1] != "-" {
			c.Digests = provenance.DigestSet{sum(f[1])}
		}
		if f[2] != "-" {
			c.Declared.Expression = f[2]
		}
		id := g.Add(c)
		if i > 0 {
			if err := g.Relate(g.Root().ID, sbom.DependsOn, id); err != nil {
				panic(err)
			}
		}
	}
	return g
}

func changes(d *diff.Diff) []string {
	var list []string
	for _, c := range d.Changes {
		list = append(list, strings.TrimSpace(fmt.Sprintf("%s %s %s>%s", c.Kind, c.Package, clip(c.From), clip(c.To))))
	}
	return list
}

func clip(s string) string {
	if strings.HasPrefix(s, "sha256:") {
		return s[:8]
	}
	return s
}

func TestCompare(t *testing.T) {
	for name, c := range map[string]struct {
		old, new []string
		want     []string
	}{
		"nothing":      {[]string{"app@1 a", "pkg:npm/x@1 b MIT"}, []string{"app@1 a", "pkg:npm/x@1 b MIT"}, nil},
		"added":        {[]string{"app@1"}, []string{"app@1", "pkg:npm/x@1"}, []string{"added pkg:npm/x >1"}},
		"removed":      {[]string{"app@1", "pkg:npm/x@1"}, []string{"app@1"}, []string{"removed pkg:npm/x 1>"}},
		"upgraded":     {[]string{"app@1", "pkg:npm/x@1.9.0 b"}, []string{"app@1", "pkg:npm/x@1.10.0 c"}, []string{"upgraded pkg:npm/x 1.9.0>1.10.0"}},
		"downgraded":   {[]string{"app@1", "pkg:npm/x@2.0.0"}, []string{"app@1", "pkg:npm/x@2.0.0-rc.1"}, []string{"downgraded pkg:npm/x 2.0.0>2.0.0-rc.1"}},
		"unordered":    {[]string{"app@1", "pkg:npm/x@latest"}, []string{"app@1", "pkg:npm/x@2"}, []string{"version-changed pkg:npm/x latest>2"}},
		"debian":       {[]string{"app@1", "pkg:deb/debian/x@1.0-1"}, []string{"app@1", "pkg:deb/debian/x@1.0-1+b1"}, []string{"upgraded pkg:deb/debian/x 1.0-1>1.0-1+b1"}},
		"tampered":     {[]string{"app@1", "pkg:npm/x@1 a", "pkg:npm/y@1"}, []string{"app@1", "pkg:npm/x@1 b"}, []string{"same-version-other-digest pkg:npm/x sha256:a>sha256:b", "removed pkg:npm/y 1>"}},
		"digest lost":  {[]string{"app@1", "pkg:npm/x@1 a"}, []string{"app@1", "pkg:npm/x@1"}, []string{"digest-lost pkg:npm/x sha256:a>"}},
		"not released": {[]string{"app@1", "x@(devel) a"}, []string{"app@1", "x@(devel) b"}, []string{"content-changed library:x sha256:a>sha256:b"}},
		"digest won":   {[]string{"app@1", "pkg:npm/x@1"}, []string{"app@1", "pkg:npm/x@1 a"}, nil},
		"licence":      {[]string{"app@1", "pkg:npm/x@1 a MIT"}, []string{"app@1", "pkg:npm/x@2 b GPL-3.0-only"}, []string{"upgraded pkg:npm/x 1>2", "licence-changed pkg:npm/x MIT>GPL-3.0-only"}},
		"root":         {[]string{"app@1 a"}, []string{"other@2 b"}, []string{"upgraded library:other 1>2"}},
		"root rebuilt": {[]string{"app a"}, []string{"app b"},
			[]string{"content-changed library:app sha256:a>sha256:b"}},
		"several versions":  {[]string{"app@1", "pkg:npm/x@1 a", "pkg:npm/x@2 b"}, []string{"app@1", "pkg:npm/x@1 a", "pkg:npm/x@3 c"}, []string{"upgraded pkg:npm/x 2>3"}},
		"copies":            {[]string{"app@1", "pkg:npm/x@1 a", "pkg:npm/x@1 b"}, []string{"app@1", "pkg:npm/x@1 b", "pkg:npm/x@1 a"}, nil},
		"one copy changed":  {[]string{"app@1", "pkg:npm/x@1 a", "pkg:npm/x@1 b"}, []string{"app@1", "pkg:npm/x@1 b", "pkg:npm/x@1 c"}, []string{"same-version-other-digest pkg:npm/x sha256:a>sha256:c"}},
		"written otherwise": {[]string{"app@1", "pkg:pypi/Foo_Bar@1 a"}, []string{"app@1", "pkg:PYPI/foo-bar@1 b"}, []string{"same-version-other-digest pkg:pypi/foo-bar sha256:a>sha256:b"}},
		"architectures":     {[]string{"app@1", "pkg:deb/debian/x@1?arch=a a"}, []string{"app@1", "pkg:deb/debian/x@1?arch=b b"}, []string{"added pkg:deb/debian/x?arch=b >1?arch=b", "removed pkg:deb/debian/x?arch=a 1?arch=a>"}},
		"empty":             {nil, nil, nil},
	} {
		d := diff.Compare(graph(c.old...), graph(c.new...))
		if got := changes(d); !slices.Equal(got, c.want) {
			t.Errorf("%s:\n got %q\nwant %q", name, got, c.want)
		}
	}
}

func TestWeakDigestsTellThingsApart(t *testing.T) {
	one, two := graph("app@1", "pkg:npm/x@1"), graph("app@1", "pkg:npm/x@1")
	one.Component("pkg:npm/x@1").Digests = provenance.DigestSet{provenance.MustDigest("sha1:" + strings.Repeat("a", 40)), sum("a")}
	two.Component("pkg:npm/x@1").Digests = provenance.DigestSet{provenance.MustDigest("sha1:" + strings.Repeat("b", 40)), sum("a")}
	if d := diff.Compare(one, two); !d.Has(diff.Tampered) {
		t.Errorf("%+v", d)
	}
}

// A graph compared with a shuffled copy of itself has not changed, and what is
// added one way is removed the other.
func TestProperties(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var a, b []string
		for range r.IntN(12) {
			a = append(a, fmt.Sprintf("pkg:npm/%c@%d %c", 'a'+rune(r.IntN(3)), r.IntN(3), 'a'+rune(r.IntN(3))))
			b = append(b, fmt.Sprintf("pkg:npm/%c@%d %c", 'a'+rune(r.IntN(3)), r.IntN(3), 'a'+rune(r.IntN(3))))
		}
		shuffled := slices.Clone(a)
		r.Shuffle(len(a), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		root := []string{"app@1"}
		if d := diff.Compare(graph(append(root, a...)...), graph(append(root, shuffled...)...)); len(d.Changes) > 0 || d.Same != len(a)+1 {
			t.Fatalf("%q shuffled: %+v", a, d)
		}
		there, back := diff.Compare(graph(append(root, a...)...), graph(append(root, b...)...)), diff.Compare(graph(append(root, b...)...), graph(append(root, a...)...))
		count := func(d *diff.Diff, k diff.Kind) (n int) {
			for _, c := range d.Changes {
				if c.Kind == k {
					n++
				}
			}
			return n
		}
		for _, k := range [][2]diff.Kind{{diff.Added, diff.Removed}, {diff.Removed, diff.Added}, {diff.Tampered, diff.Tampered}} {
			if count(there, k[0]) != count(back, k[1]) {
				t.Fatalf("%q to %q: %q, back %q", a, b, changes(there), changes(back))
			}
		}
	}
}

func TestManyVersionsOfOnePackage(t *testing.T) {
	const n = 50_000
	a, b := new(sbom.Graph), new(sbom.Graph)
	for i := range n {
		a.Add(sbom.Component{Name: "x", PURL: fmt.Sprintf("pkg:npm/x@1.0.%d", i), Version: fmt.Sprintf("1.0.%d", i)})
		b.Add(sbom.Component{Name: "x", PURL: fmt.Sprintf("pkg:npm/x@2.0.%d", i), Version: fmt.Sprintf("2.0.%d", i)})
	}
	if d := diff.Compare(a, b); len(d.Changes) != n {
		t.Errorf("%d changes", len(d.Changes))
	}
}

func ExampleCompare() {
	digest := func(s string) provenance.DigestSet { return provenance.DigestSet{provenance.MustDigest("sha256:" + s)} }
	bill := func(digests provenance.DigestSet) *sbom.Graph {
		g := new(sbom.Graph)
		g.Add(sbom.Component{Type: sbom.Application, Name: "app", Version: "1"})
		g.Add(sbom.Component{Name: "left-pad", Version: "1.3.0", PURL: "pkg:npm/left-pad@1.3.0", Digests: digests})
		return g
	}
	d := diff.Compare(
		bill(digest("3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7")),
		bill(digest("ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb")))
	for _, c := range d.Changes {
		fmt.Println(c.Kind, c.Package)
	}
	// Output: same-version-other-digest pkg:npm/left-pad
}
