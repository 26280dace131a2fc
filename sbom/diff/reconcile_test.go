package diff_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/diff"
	"github.com/hallmark-build/hallmark/sbom/gate"
)

func TestReconcile(t *testing.T) {
	const root, a, b = "app@1", "pkg:npm/a@1 a", "pkg:npm/b@2 b"
	for name, c := range map[string]struct {
		locked, fetched, shipped []string
		want                     []string // "level rule label"
	}{
		"all the same":        {[]string{root, a, b}, []string{root, a, b}, []string{root, a, b}, nil},
		"not locked":          {[]string{root, a}, []string{root, a, b}, []string{root, a, b}, []string{"error shipped-not-locked pkg:npm/b@2", "error fetched-not-locked pkg:npm/b@2"}},
		"from nowhere":        {[]string{root, a}, []string{root, a}, []string{root, a, b}, []string{"error shipped-not-locked pkg:npm/b@2", "error shipped-not-fetched pkg:npm/b@2"}},
		"a tool":              {[]string{root, a, b}, []string{root, a, b}, []string{root, a}, []string{"note fetched-not-shipped pkg:npm/b@2", "note locked-not-shipped pkg:npm/b@2"}},
		"another platform":    {[]string{root, a, b}, []string{root, a}, []string{root, a}, []string{"note locked-not-fetched pkg:npm/b@2", "note locked-not-shipped pkg:npm/b@2"}},
		"swapped on the way":  {[]string{root, a}, []string{root, "pkg:npm/a@1 e"}, []string{root, a}, []string{"error digest-differs pkg:npm/a@1", "error digest-differs pkg:npm/a@1", "error digest-differs pkg:npm/a@1", "error digest-differs pkg:npm/a@1"}},
		"swapped in the end":  {[]string{root, a}, nil, []string{root, "pkg:npm/a@1 e"}, []string{"error digest-differs pkg:npm/a@1", "error digest-differs pkg:npm/a@1"}},
		"two sides":           {[]string{root, a}, nil, []string{root, a}, nil},
		"no digest":           {[]string{root, a}, []string{root, "pkg:npm/a@1"}, []string{root, a}, []string{"warning not-compared pkg:npm/a@1"}},
		"no digests at all":   {nil, []string{root, "pkg:npm/a@1"}, []string{root, "pkg:npm/a@1"}, []string{"warning not-compared pkg:npm/a@1"}},
		"another version":     {[]string{root, a}, nil, []string{root, "pkg:npm/a@2 a"}, []string{"error shipped-not-locked pkg:npm/a@2", "note locked-not-shipped pkg:npm/a@1"}},
		"qualifiers":          {[]string{root, "pkg:npm/a@1?x=y a"}, nil, []string{root, a}, nil},
		"no name, same bytes": {[]string{root, a}, nil, []string{root, "file.js a"}, nil},
		"no name":             {[]string{root, a}, nil, []string{root, a, "blob.bin c"}, []string{"error shipped-not-locked blob.bin"}},
		"one of two copies":   {[]string{root, a, "pkg:npm/a@1 c"}, nil, []string{root, a}, []string{"error digest-differs pkg:npm/a@1"}},
	} {
		s := diff.Sides{}
		for side, lines := range map[**sbom.Graph][]string{&s.Locked: c.locked, &s.Fetched: c.fetched, &s.Shipped: c.shipped} {
			if lines != nil {
				*side = graph(lines...)
			}
		}
		r, err := diff.Reconcile(s)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range r.Findings {
			got = append(got, fmt.Sprint(f.Level, " ", f.Rule, " ", f.Label))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s:\n got %q\nwant %q", name, got, c.want)
		}
		closed := slices.ContainsFunc(c.want, func(s string) bool { return strings.HasPrefix(s, "error") })
		if err := r.Err(); closed != (err != nil) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, s := range []diff.Sides{{}, {Shipped: graph(root)}} {
		if _, err := diff.Reconcile(s); err == nil {
			t.Error("one side: no error")
		}
	}
	// edge55: two bills of nothing prove nothing.
	r, err := diff.Reconcile(diff.Sides{Locked: graph(root), Shipped: graph(root)})
	var closed *gate.ClosedError
	if err != nil || !errors.As(r.Err(), &closed) || closed.Reason != gate.ReasonNothing {
		t.Errorf("nothing: %v, %v", err, r.Err())
	}
}

func TestReconcileManyCopies(t *testing.T) {
	lines := []string{"app@1"}
	for range 300 {
		lines = append(lines, "pkg:npm/a@1 a")
	}
	r, err := diff.Reconcile(diff.Sides{Locked: graph(lines...), Shipped: graph(lines...)})
	if err != nil || r.Err() == nil || r.Findings[0].Reason != "limit" {
		t.Errorf("%v, %+v", err, r)
	}
}

func TestToolsAreNotShipped(t *testing.T) {
	g := graph("app@1", "pkg:npm/a@1 a", "pkg:generic/go@1.26 b")
	g.Component("pkg:generic/go@1.26").Scope = sbom.Excluded
	r, err := diff.Reconcile(diff.Sides{Locked: graph("app@1", "pkg:npm/a@1 a"), Shipped: g})
	if err != nil || r.Err() != nil {
		t.Errorf("%v, %v", err, r.Err())
	}
}

// What a bill says was used, and what provenance made from it says, is the same.
func TestDependenciesAndBack(t *testing.T) {
	g := graph("app@1 f", "pkg:npm/a@1 a", "pkg:npm/%40x/b@2 b", "nameless", "blob.bin c")
	list := diff.Dependencies(g)
	if len(list) != 3 || list[0].Name != "blob.bin" || list[1].URI != "pkg:npm/%40x/b@2" {
		t.Fatalf("%+v", list)
	}
	for _, d := range list {
		if _, err := provenance.NewStatement([]provenance.ResourceDescriptor{d}, "https://example.com/x", map[string]any{}); err != nil {
			t.Error(err)
		}
	}
	r, err := diff.Reconcile(diff.Sides{Fetched: diff.Resolved(list), Shipped: graph("app@1 f", "pkg:npm/a@1 a", "pkg:npm/%40x/b@2 b")})
	if err != nil || r.Err() != nil || len(r.Findings) > 0 {
		t.Errorf("%v, %+v", err, r)
	}
	if back := diff.Dependencies(diff.Resolved(list)); len(back) != 2 || back[0].Digest.String() != list[1].Digest.String() {
		t.Errorf("back: %+v", back)
	}
	if state, _ := diff.Resolved(list).Completeness(); state == sbom.Complete {
		t.Error("what provenance lists counts as complete")
	}
}

func ExampleReconcile() {
	bill := func(digest string) *sbom.Graph {
		g := new(sbom.Graph)
		g.Add(sbom.Component{Type: sbom.Application, Name: "app", Version: "1"})
		g.Add(sbom.Component{Name: "left-pad", Version: "1.3.0", PURL: "pkg:npm/left-pad@1.3.0", Digests: provenance.DigestSet{provenance.MustDigest(digest)}})
		return g
	}
	report, err := diff.Reconcile(diff.Sides{
		Locked:  bill("sha256:3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7"),
		Shipped: bill("sha256:ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"),
	})
	if err != nil {
		fmt.Println(err)
	}
	fmt.Println(report.Err() != nil, report.Findings[0].Rule)
	// Output: true digest-differs
}
