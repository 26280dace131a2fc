package sbom_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/sbom"
)

// small is app -> a -> b, app -> c.
func small(t testing.TB) *sbom.Graph {
	t.Helper()
	g := &sbom.Graph{Creation: sbom.Creation{Created: time.Unix(1_700_000_000, 0), Tool: sbom.Tool{Name: "test"}}}
	app := g.Add(sbom.Component{Type: sbom.Application, Name: "app", Dependencies: sbom.Complete})
	ids := map[string]string{"app": app}
	for _, s := range []string{"a@1.0.0", "b@2.0.0", "c@3.0.0"} {
		name, version, _ := strings.Cut(s, "@")
		ids[name] = g.Add(sbom.Component{Name: name, Version: version, PURL: "pkg:npm/" + s, Dependencies: sbom.Complete})
	}
	for _, e := range [][2]string{{"app", "a"}, {"a", "b"}, {"app", "c"}} {
		if err := g.Relate(ids[e[0]], sbom.DependsOn, ids[e[1]]); err != nil {
			t.Fatal(err)
		}
	}
	g.AddUnknown(sbom.Gap{Component: ids["b"], Field: sbom.FieldDigests, Reason: "no-lock-file"})
	return g
}

func namesOf(list []*sbom.Component) string {
	var names []string
	for _, c := range list {
		names = append(names, c.Name)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

func TestQuery(t *testing.T) {
	g := small(t)
	g.Add(sbom.Component{Name: "broken", PURL: "not a purl"})
	for pattern, want := range map[string]string{"pkg:npm/a@1.0.0": "a", "pkg:npm/a": "a", "pkg:npm/a@2": "", "pkg:npm/*": "a b c", "pkg:npm/*@2.*": "b"} {
		if got, err := g.Query(pattern); err != nil || namesOf(got) != want {
			t.Errorf("%s: %s, %v, want %q", pattern, namesOf(got), err, want)
		}
	}
	if _, err := g.Query("a"); err == nil {
		t.Error("a pattern that is none: no error")
	}
}

func TestSubset(t *testing.T) {
	g := small(t)
	before, err := g.Encode(sbom.CycloneDX)
	if err != nil {
		t.Fatal(err)
	}
	s := g.Subset(func(c *sbom.Component) bool { return c.Name != "b" })
	if got := namesOf(s.Components()); got != "a app c" || s.Root().Name != "app" {
		t.Errorf("components %s, root %s", got, s.Root().Name)
	}
	if r := s.Relationships(); len(r) != 2 {
		t.Errorf("relationships %v", r)
	}
	state, reasons := s.Completeness()
	if state != sbom.Incomplete || !slices.Equal(reasons, []string{sbom.ReasonLeftOut}) {
		t.Errorf("a subset that lacks something is %s, for %v", state, reasons)
	}
	if _, err := s.Encode(sbom.SPDX); err != nil {
		t.Error(err)
	}
	// Nothing is shared.
	s.Components()[1].Name = "changed"
	if after, _ := g.Encode(sbom.CycloneDX); string(after) != string(before) {
		t.Error("the graph changed with its subset")
	}
	if all := g.Subset(func(*sbom.Component) bool { return true }); len(all.Unknowns()) != 1 {
		t.Errorf("unknowns of the whole: %v", all.Unknowns())
	} else if state, _ := all.Completeness(); state != sbom.Complete {
		t.Errorf("the whole is %s", state)
	}
}

func TestPart(t *testing.T) {
	g := small(t)
	p, err := g.Part("pkg:npm/a@1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	if got := namesOf(p.Components()); got != "a b" || p.Root().Name != "a" {
		t.Errorf("components %s, root %s", got, p.Root().Name)
	}
	if state, _ := p.Completeness(); state != sbom.Complete {
		t.Errorf("state %s", state)
	}
	if _, err := g.Part("nowhere"); err == nil {
		t.Error("no error")
	}
}

func ExampleGraph_Query() {
	g := new(sbom.Graph)
	g.Add(sbom.Component{Type: sbom.Application, Name: "app"})
	g.Add(sbom.Component{Name: "core", Version: "7.26.0", PURL: "pkg:npm/%40babel/core@7.26.0"})
	g.Add(sbom.Component{Name: "left-pad", Version: "1.3.0", PURL: "pkg:npm/left-pad@1.3.0"})
	found, err := g.Query("pkg:npm/@babel/*")
	if err != nil {
		fmt.Println(err)
	}
	for _, c := range found {
		fmt.Println(c.PURL)
	}
	// Output: pkg:npm/%40babel/core@7.26.0
}
