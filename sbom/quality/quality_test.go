package quality_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/gate"
	"github.com/hallmark-build/hallmark/sbom/quality"
)

func digest(t testing.TB, alg provenance.Algorithm, fill byte) provenance.Digest {
	t.Helper()
	n := map[provenance.Algorithm]int{"md5": 32, "sha1": 40, "sha256": 64, "sha512": 128}[alg]
	b := make([]byte, n)
	for i := range b {
		b[i] = fill
	}
	d, err := provenance.NewDigest(alg, string(b))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// full is a graph that every profile passes.
func full(t testing.TB) *sbom.Graph {
	g := &sbom.Graph{Creation: sbom.Creation{
		Created: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), Phase: "build",
		Tool: sbom.Tool{Name: "tool", Version: "1"}, Authors: []sbom.Party{{Name: "Ann", Email: "ann@example.com"}},
	}}
	add := func(name string, typ sbom.Type) string {
		return g.Add(sbom.Component{
			Type: typ, Name: name, Version: "1.0.0", PURL: "pkg:npm/" + name + "@1.0.0", Scope: sbom.Required,
			Digests:  provenance.DigestSet{digest(t, "sha256", 'a'), digest(t, "sha512", 'b')},
			Declared: sbom.License{Expression: "MIT"}, Concluded: sbom.License{Expression: "MIT"}, Copyright: []string{"Copyright 2026 Ann"},
			Supplier: sbom.Party{Name: "Ann", URL: "https://example.com"}, Dependencies: sbom.Complete,
			References: []sbom.Reference{{Kind: "vcs", URL: "https://example.com/r"}, {Kind: "distribution", URL: "https://example.com/d"}},
			Properties: []sbom.Property{{Name: "bsi:component:filename", Value: "a.tgz"}, {Name: "bsi:component:executable", Value: "non-executable"},
				{Name: "bsi:component:archive", Value: "archive"}, {Name: "bsi:component:structured", Value: "structured"}},
		})
	}
	app := add("app", sbom.Application)
	a := add("a", sbom.Library)
	b := add("b", sbom.Library)
	g.Relate(app, sbom.DependsOn, a)
	g.Relate(a, sbom.DependsOn, b)
	// What is not shipped is not judged.
	g.Relate(app, sbom.BuiltWith, g.Add(sbom.Component{Name: "cc", Scope: sbom.Excluded}))
	return g
}

func check(t *testing.T, g *sbom.Graph, p quality.Profile) *gate.Report {
	t.Helper()
	r, err := quality.Check(g, p, quality.Options{Spec: "CycloneDX 1.6"})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestFullPassesAll(t *testing.T) {
	g := full(t)
	for _, p := range quality.Profiles() {
		if r := check(t, g, p); r.Err() != nil || len(r.Findings) > 0 || r.Judged != 3 {
			t.Errorf("%s: judged %d, found %+v", p, r.Judged, r.Findings)
		}
	}
	s, err := quality.ScoreOf(g)
	if err != nil || s.Overall != 10 || s.Knowable != 10 || len(s.Unknown) != 0 {
		t.Errorf("score %+v, %v", s, err)
	}
}

// Each field, taken away from one component or from the document.
func TestWhatIsMissing(t *testing.T) {
	c := func(change func(*sbom.Component)) func(*sbom.Graph) {
		return func(g *sbom.Graph) { change(g.Component("pkg:npm/b@1.0.0")) }
	}
	r := func(change func(*sbom.Component)) func(*sbom.Graph) { return func(g *sbom.Graph) { change(g.Root()) } }
	const (
		n, ci, b   = quality.NTIA2021, quality.CISA2025, quality.BSI21
		f1, f2, f3 = quality.FSCTMinimum, quality.FSCTRecommended, quality.FSCTAspirational
		e, w, note = gate.Error, gate.Warning, gate.Note
	)
	type found map[quality.Profile]map[string]gate.Level
	one := func(rule string, l gate.Level) map[string]gate.Level { return map[string]gate.Level{rule: l} }
	tests := []struct {
		name   string
		change func(*sbom.Graph)
		want   found
	}{
		{"author", func(g *sbom.Graph) { g.Creation.Authors = nil },
			found{n: one("author", e), ci: one("author", e), b: one("sbom-creator", e), f1: one("author", e), f2: one("author", e), f3: one("author", e)}},
		{"author without contact", func(g *sbom.Graph) { g.Creation.Authors = []sbom.Party{{Name: "Ann"}} }, found{b: one("sbom-creator", e)}},
		{"timestamp", func(g *sbom.Graph) { g.Creation.Created = time.Time{} },
			found{n: one("timestamp", e), ci: one("timestamp", e), b: one("timestamp", e), f1: one("timestamp", e), f2: one("timestamp", e), f3: one("timestamp", e)}},
		{"tool version", func(g *sbom.Graph) { g.Creation.Tool.Version = "" }, found{f2: one("tool-version", e), f3: one("tool-version", e)}},
		{"phase", func(g *sbom.Graph) { g.Creation.Phase = "" }, found{ci: one("generation-context", e), f2: one("type", e), f3: one("type", e)}},
		{"version", c(func(c *sbom.Component) { c.Version = "" }),
			found{n: one("version", e), ci: one("version", e), b: one("version", e), f1: one("version", e), f2: one("version", e), f3: one("version", e)}},
		{"NOASSERTION is nothing", c(func(c *sbom.Component) { c.Supplier = sbom.Party{Name: "NOASSERTION"} }),
			found{n: one("supplier", e), ci: one("producer", e), b: one("component-creator", e), f1: one("supplier", e), f2: one("supplier", e), f3: one("supplier", e)}},
		{"weak digests only", c(func(c *sbom.Component) {
			c.Digests = provenance.DigestSet{digest(t, "md5", 'a'), digest(t, "sha1", 'b')}
		}),
			found{ci: one("hash", e), b: one("sha512", e), f1: one("hash", e), f2: one("hash", e), f3: one("hash", e)}},
		{"concluded licence", c(func(c *sbom.Component) { c.Concluded = sbom.License{} }),
			found{b: one("distribution-licence", e), f3: one("licence-of-all", e)}},
		{"licence", c(func(c *sbom.Component) {
			c.Concluded, c.Declared = sbom.License{}, sbom.License{Expression: "NOASSERTION"}
		}),
			found{ci: one("licence", e), b: {"distribution-licence": e, "original-licence": note}, f2: one("licence-of-all", w), f3: one("licence-of-all", e)}},
		{"licence of the root", r(func(c *sbom.Component) { c.Concluded, c.Declared = sbom.License{}, sbom.License{} }),
			found{ci: one("licence", e), b: {"distribution-licence": e, "original-licence": note}, f1: one("licence", e),
				f2: {"licence": e, "licence-of-all": w}, f3: {"licence": e, "licence-of-all": e}}},
		{"copyright", c(func(c *sbom.Component) { c.Copyright = nil }), found{f2: one("copyright-of-all", w), f3: one("copyright-of-all", e)}},
		{"completeness of a transitive one", c(func(c *sbom.Component) { c.Dependencies = sbom.Unknown }),
			found{ci: one("completeness", e), b: one("completeness", e), f2: one("completeness-of-all", e), f3: one("dependencies-of-all", e)}},
		{"file name", c(func(c *sbom.Component) { c.Properties = c.Properties[1:] }), found{b: one("filename", e)}},
		{"references", c(func(c *sbom.Component) { c.References = nil }), found{b: {"source-uri": note, "deployable-uri": note}}},
		{"purl", c(func(c *sbom.Component) { c.PURL = "not a purl" }), found{b: one("other-identifiers", note)}},
		{"identifier", c(func(c *sbom.Component) { c.PURL, c.Digests = "", nil }),
			found{n: one("identifier", e), ci: {"identifier": e, "hash": e}, b: {"other-identifiers": note, "sha512": e},
				f1: {"identifier": e, "hash": e}, f2: {"identifier": e, "hash": e}, f3: {"identifier": e, "hash": e}}},
		{"not connected", func(g *sbom.Graph) {
			c := *g.Component("pkg:npm/b@1.0.0")
			c.ID, c.Name, c.PURL = "", "lost", "pkg:npm/lost@1.0.0"
			g.Add(c)
		}, found{n: one("relationship", e), ci: one("relationship", e), b: one("relationship", e), f1: one("relationship", e), f2: one("relationship", e), f3: one("relationship", e)}},
		{"a stated unknown", func(g *sbom.Graph) {
			c := g.Component("pkg:npm/b@1.0.0")
			c.Supplier = sbom.Party{}
			g.AddUnknown(sbom.Gap{Component: c.ID, Field: sbom.FieldSupplier, Reason: "no-supplier"})
		}, found{n: one("supplier", e), ci: one("producer", w), b: one("component-creator", e), f1: one("supplier", w), f2: one("supplier", w), f3: one("supplier", w)}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := full(t)
			tt.change(g)
			for _, p := range quality.Profiles() {
				rep := check(t, g, p)
				got := map[string]gate.Level{}
				closed := false
				for _, f := range rep.Findings {
					got[f.Rule] = f.Level
					closed = closed || f.Level == gate.Error
					if f.Message == "" || f.Reason == "" || !slices.Contains(rep.Checks, f.Rule) {
						t.Errorf("%s: finding %+v", p, f)
					}
				}
				want := tt.want[p]
				if len(got) != len(want) {
					t.Errorf("%s: want %v, found %v", p, want, got)
				}
				for rule, l := range want {
					if got[rule] != l {
						t.Errorf("%s: want %s at level %s, found %v", p, rule, l, got)
					}
				}
				if (rep.Err() != nil) != closed {
					t.Errorf("%s: %v", p, rep.Err())
				}
			}
		})
	}
}

func TestFormatByBSI(t *testing.T) {
	for spec, ok := range map[string]bool{
		"": false, "CycloneDX": false, "CycloneDX 1.5": false, "CycloneDX 1.6": true, sbom.CycloneDX.String(): true, sbom.CycloneDX15.String(): false, sbom.CycloneDXXML17.String(): true,
		sbom.SPDX.String(): false, sbom.SPDX3.String(): true, sbom.SPDXTagValue.String(): false, "CycloneDX 1.7": true, "CycloneDX 1.10": true, "CycloneDX 2.0": true,
		"SPDX 2.3": false, "SPDX 3.0": false, "SPDX 3.0.1": true, "SPDX 3.1": true, "SPDX 3.x": false, "SPDX 3.0.1.1": false,
		"SPDX 99999.0": false, "cyclonedx 1.6": false, "Other 9.9": false,
	} {
		r, err := quality.Check(full(t), quality.BSI21, quality.Options{Spec: spec})
		if err != nil || (r.Err() == nil) != ok {
			t.Errorf("%q: %v, %v; want it allowed: %v", spec, err, r.Err(), ok)
		}
	}
}

// A bill that lacks a field silently scores less than one that says so, and
// for a reason that could be mended the two are the same.
func TestScoreIsHonest(t *testing.T) {
	score := func(reason string) *quality.Score {
		g := full(t)
		c := g.Component("pkg:npm/b@1.0.0")
		c.Digests = nil
		if reason != "" {
			g.AddUnknown(sbom.Gap{Component: c.ID, Field: sbom.FieldDigests, Reason: reason})
		}
		s, err := quality.ScoreOf(g)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	silent, lazy, unknowable := score(""), score("not-in-module-cache"), score("no-digest")
	if silent.Overall != lazy.Overall || silent.Overall != unknowable.Overall || silent.Overall >= 9.5 {
		t.Errorf("overall: %v %v %v", silent.Overall, lazy.Overall, unknowable.Overall)
	}
	if silent.Knowable != silent.Overall || lazy.Knowable != lazy.Overall {
		t.Errorf("knowable: %v %v", silent.Knowable, lazy.Knowable)
	}
	if unknowable.Knowable != 10 || len(unknowable.Unknown) != 1 {
		t.Errorf("unknowable: %v, %v", unknowable.Knowable, unknowable.Unknown)
	}
	weights := 0.0
	for _, f := range silent.Features {
		weights += f.Weight
	}
	if weights != 100 {
		t.Errorf("weights sum up to %v", weights)
	}
}

func TestNothingToJudge(t *testing.T) {
	for _, g := range []*sbom.Graph{nil, {}} {
		if _, err := quality.Check(g, quality.NTIA2021, quality.Options{}); err == nil {
			t.Error("an empty graph was judged")
		}
		if _, err := quality.ScoreOf(g); err == nil {
			t.Error("an empty graph has a score")
		}
	}
	if _, err := quality.Check(full(t), "ntia", quality.Options{}); err == nil {
		t.Error("an unknown profile was taken")
	}
	var closed *gate.ClosedError
	if err := (*gate.Report)(nil).Err(); !errors.As(err, &closed) || closed.Reason != gate.ReasonNothing {
		t.Error(err)
	}
}
