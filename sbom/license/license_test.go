package license_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/gate"
	"github.com/hallmark-build/hallmark/sbom/license"
)

func checker(t testing.TB, p license.Policy) *license.Checker {
	t.Helper()
	c, err := license.New(p)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAllows(t *testing.T) {
	l := func(s ...string) []string { return s }
	tests := []struct {
		allow, deny []string
		expr        string
		want        bool
	}{
		{l("MIT"), nil, "MIT", true},
		{l("MIT"), nil, "mit", true},
		{l("MIT"), nil, "ISC", false},
		{l("MIT"), nil, "MIT OR GPL-3.0-only", true},
		{l("MIT"), nil, "MIT AND GPL-3.0-only", false},
		{l("MIT", "ISC"), nil, "MIT AND ISC", true},
		{l("MIT"), nil, "MIT OR GPL-3.0-only AND ISC", true}, // AND binds closer
		{l("MIT"), nil, "(MIT OR GPL-3.0-only) AND ISC", false},
		{l("MIT", "ISC"), nil, "(MIT OR GPL-3.0-only) AND (BSD-3-Clause OR ISC)", true},
		{l("MIT"), l("GPL-3.0-only"), "MIT OR GPL-3.0-only", true}, // one may choose MIT
		{l("MIT", "GPL-3.0-only"), l("GPL-3.0-only"), "GPL-3.0-only", false},
		// Later versions.
		{l("GPL-3.0-only"), nil, "GPL-2.0-or-later", true},
		{l("GPL-3.0-only"), nil, "GPL-2.0-only", false},
		{l("GPL-2.0-only"), nil, "GPL-3.0-or-later", false},
		{l("GPL-2.0-or-later"), nil, "GPL-2.0-only", true},
		{l("GPL-2.0-or-later"), nil, "GPL-3.0-only", true},
		{l("GPL-2.0-or-later"), nil, "GPL-1.0-only", false},
		{l("GPL-2.0-or-later"), nil, "GPL-1.0-or-later", true},
		{l("GPL-2.0"), nil, "GPL-2.0-only", true}, // the old spelling is the same licence
		{l("GPL-2.0-or-later"), nil, "GPL-2.0+", true},
		{l("GPL-2.0-only"), nil, "LGPL-2.0-only", false},
		{l("Apache-2.0"), nil, "Apache-1.1+", true},
		{l("Apache-2.0"), nil, "Apache-1.1", false},
		{l("MPL-2.0"), nil, "MPL-1.0+", true},
		{l("BSD-3-Clause"), nil, "BSD-2-Clause+", false}, // no later version of it
		{l("CC-BY-4.0"), nil, "CC-BY-3.0+", true},
		{l("CC-BY-SA-4.0"), nil, "CC-BY-3.0+", false},
		{l("MIT"), l("GPL-2.0-or-later"), "GPL-3.0-only", false},
		{l("GPL-2.0-only"), l("GPL-3.0-or-later"), "GPL-2.0-or-later", true}, // 2.0 may be chosen
		{l("GPL-2.0-or-later"), l("GPL-2.0-only", "GPL-3.0-only"), "GPL-2.0-or-later", false},
		// Exceptions.
		{l("GPL-2.0-only"), nil, "GPL-2.0-only WITH Classpath-exception-2.0", true},
		{l("GPL-2.0-only WITH Classpath-exception-2.0"), nil, "GPL-2.0-only WITH Classpath-exception-2.0", true},
		{l("GPL-2.0-only WITH Classpath-exception-2.0"), nil, "GPL-2.0-only", false},
		{l("GPL-2.0-only WITH Classpath-exception-2.0"), nil, "GPL-2.0-only WITH GCC-exception-2.0", false},
		{l("GPL-2.0-only WITH Classpath-exception-2.0"), nil, "GPL-2.0-or-later WITH Classpath-exception-2.0", true},
		{l("GPL-2.0-only WITH Classpath-exception-2.0"), l("GPL-2.0-only"), "GPL-2.0-only WITH Classpath-exception-2.0", true},
		{l("GPL-2.0-only WITH Classpath-exception-2.0"), l("GPL-2.0-only"), "GPL-2.0-only", false},
		{l("GPL-2.0-only"), l("GPL-2.0-only WITH Classpath-exception-2.0"), "GPL-2.0-only WITH Classpath-exception-2.0", false},
		{l("MIT"), l("GPL-2.0-only"), "GPL-2.0-only WITH Classpath-exception-2.0", false},
		// References.
		{l("LicenseRef-Ours"), nil, "LicenseRef-Ours", true},
		{l("LicenseRef-Ours"), nil, "LicenseRef-ours", false},
		{l("LicenseRef-Ours"), nil, "DocumentRef-x:LicenseRef-Ours", false},
		{l("DocumentRef-x:LicenseRef-Ours"), nil, "DocumentRef-x:LicenseRef-Ours", true},
		// What nobody knows.
		{l("MIT"), nil, "NOASSERTION", false},
		{l("MIT"), nil, "NONE", false},
		{l("MIT"), nil, "", false},
		{l("MIT"), nil, "MIT OR NOASSERTION", false},
		{l("MIT"), nil, "MIT OR", false},
		{l("MIT"), nil, "MIT License", false},
		{l("MIT"), nil, "MIT\x00", false},
		{l("MIT"), nil, strings.Repeat("(", 100000) + "MIT" + strings.Repeat(")", 100000), false},
		{l("MIT"), nil, strings.Repeat("(", 60) + "MIT" + strings.Repeat(")", 60), true},
	}
	for _, tt := range tests {
		c := checker(t, license.Policy{Allow: tt.allow, Deny: tt.deny})
		if err := c.Allows(tt.expr); (err == nil) != tt.want {
			t.Errorf("allow %v, deny %v: %.60s: %v; want it allowed: %v", tt.allow, tt.deny, tt.expr, err, tt.want)
		}
	}
	open := checker(t, license.Policy{Deny: []string{"AGPL-3.0-only"}, UnsafeAllowUnlisted: true})
	for expr, want := range map[string]bool{"MIT": true, "AGPL-3.0-only": false, "AGPL-3.0-or-later": false, "AGPL-1.0-or-later": true, "NOASSERTION": false} {
		if err := open.Allows(expr); (err == nil) != want {
			t.Errorf("%s: %v", expr, err)
		}
	}
}

func TestPolicyErrors(t *testing.T) {
	ok := []string{"MIT"}
	for name, p := range map[string]license.Policy{
		"zero": {}, "only deny": {Deny: ok}, "refuses nothing": {UnsafeAllowUnlisted: true}, "not a licence": {Allow: []string{"Mitt"}},
		"expression": {Allow: []string{"MIT OR ISC"}}, "NOASSERTION": {Allow: []string{"NOASSERTION"}}, "empty": {Allow: []string{""}},
		"no why":     {Allow: ok, Exceptions: []license.Exception{{PURL: "pkg:npm/a", Licenses: []string{"ISC"}}}},
		"no purl":    {Allow: ok, Exceptions: []license.Exception{{Licenses: []string{"ISC"}, Why: "x"}}},
		"name":       {Allow: ok, Exceptions: []license.Exception{{PURL: "left-pad", Licenses: []string{"ISC"}, Why: "x"}}},
		"no licence": {Allow: ok, Exceptions: []license.Exception{{PURL: "pkg:npm/a", Why: "x"}}},
	} {
		if _, err := license.New(p); err == nil {
			t.Errorf("%s: want an error", name)
		}
	}
}

func graph(t testing.TB, components ...sbom.Component) *sbom.Graph {
	g := &sbom.Graph{}
	root := g.Add(sbom.Component{Type: sbom.Application, Name: "app", Declared: sbom.License{Expression: "MIT"}})
	for _, c := range components {
		g.Relate(root, sbom.DependsOn, g.Add(c))
	}
	return g
}

func TestCheck(t *testing.T) {
	policy := license.Policy{Allow: []string{"MIT"}, Deny: []string{"AGPL-3.0-only"}, Exceptions: []license.Exception{
		{PURL: "pkg:npm/ours", Licenses: []string{"LicenseRef-Ours"}, Why: "we wrote it"},
		{PURL: "pkg:npm/any@1.0.0", Licenses: []string{"*"}, Why: "reviewed"},
	}}
	lic := func(concluded, declared string) sbom.Component {
		return sbom.Component{Name: "a", PURL: "pkg:npm/a@1.0.0", Concluded: sbom.License{Expression: concluded}, Declared: sbom.License{Expression: declared}}
	}
	at := func(url, expr string) sbom.Component {
		return sbom.Component{Name: "ours", PURL: url, Declared: sbom.License{Expression: expr}}
	}
	tests := []struct {
		name string
		c    sbom.Component
		want string // rule and level of the findings, without the unused exceptions
	}{
		{"allowed", lic("MIT", "MIT"), ""},
		{"declared only", lic("", "MIT"), ""},
		{"concluded counts", lic("ISC", "MIT"), "licence-not-allowed error"},
		{"declared differs", lic("MIT", "ISC"), "licence-differs warning"},
		{"NOASSERTION concluded", lic("NOASSERTION", "MIT"), ""},
		{"NONE concluded", lic("NONE", "MIT"), "licence-unknown error"},
		{"denied", lic("AGPL-3.0-or-later", ""), "licence-denied error"},
		{"denied or not allowed", lic("AGPL-3.0-only OR ISC", ""), "licence-denied error"},
		{"none", lic("", ""), "licence-unknown error"},
		{"a name", sbom.Component{Name: "a", Declared: sbom.License{Name: "MIT"}}, "licence-unknown error"},
		{"exception", at("pkg:npm/ours@2.0.0", "LicenseRef-Ours AND MIT"), "licence-exception note"},
		{"exception, other licence", at("pkg:npm/ours@2.0.0", "LicenseRef-Theirs"), "licence-not-allowed error"},
		{"exception, other package", at("pkg:npm/ourselves@2.0.0", "LicenseRef-Ours"), "licence-not-allowed error"},
		{"exception, no purl", at("", "LicenseRef-Ours"), "licence-not-allowed error"},
		{"exception, other version", at("pkg:npm/any@1.0.1", "ISC"), "licence-not-allowed error"},
		{"exception, anything", at("pkg:npm/any@1.0.0", "AGPL-3.0-only"), "licence-exception note"},
		{"exception, nothing", at("pkg:npm/any@1.0.0", ""), "licence-exception note"},
		{"not shipped", sbom.Component{Name: "cc", Scope: sbom.Excluded}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := checker(t, policy).Check(graph(t, tt.c))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range r.Findings {
				if f.Reason != "unused" {
					got = append(got, f.Rule+" "+string(f.Level))
				}
			}
			if s := strings.Join(got, ","); s != tt.want {
				t.Errorf("want %q, found %q", tt.want, s)
			}
			if open := r.Err() == nil; open == strings.Contains(tt.want, "error") {
				t.Errorf("open: %v", open)
			}
		})
	}
	policy.UnsafeAllowUnknown = true
	r, err := checker(t, policy).Check(graph(t, lic("", "")))
	if err != nil || r.Err() != nil || r.Count(gate.Warning) != 1 {
		t.Errorf("%v %+v", err, r)
	}
	if _, err := checker(t, policy).Check(&sbom.Graph{}); err == nil {
		t.Error("edge55: an empty bill was judged")
	}
}

// Wide expressions cost what they are long, not what they multiply out to.
func TestWideExpression(t *testing.T) {
	expr := strings.TrimSuffix(strings.Repeat("(ISC OR Zlib) AND ", 800), " AND ")
	c := checker(t, license.Policy{Allow: []string{"MIT"}})
	if err := c.Allows(expr); err == nil || len(err.Error()) > 1000 {
		t.Errorf("%.1000v", err)
	}
}

func FuzzAllows(f *testing.F) {
	for _, s := range []string{"MIT", "MIT OR GPL-2.0+", "(A", "GPL-2.0-or-later WITH Classpath-exception-2.0", "LicenseRef-x", "NONE"} {
		f.Add(s)
	}
	strict, err := license.New(license.Policy{Allow: []string{"MIT"}})
	if err != nil {
		f.Fatal(err)
	}
	wide, err := license.New(license.Policy{Allow: []string{"MIT", "GPL-1.0-or-later"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, expr string) {
		// Allowing more never refuses more; "OR MIT" makes anything fine that
		// is an expression, and AND with what is not fine nothing.
		if strict.Allows(expr) == nil && wide.Allows(expr) != nil {
			t.Errorf("%q", expr)
		}
		if strict.Allows(expr) == nil && strict.Allows("("+expr+") AND ISC") == nil {
			t.Errorf("%q AND ISC", expr)
		}
	})
}

func Example() {
	p, err := license.New(license.Policy{
		Allow:      []string{"MIT", "Apache-2.0"},
		Exceptions: []license.Exception{{PURL: "pkg:npm/ours", Licenses: []string{"LicenseRef-Ours"}, Why: "we wrote it"}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	g := &sbom.Graph{}
	g.Add(sbom.Component{Type: sbom.Application, Name: "ours", PURL: "pkg:npm/ours@1.0.0", Concluded: sbom.License{Expression: "LicenseRef-Ours"}})
	g.Add(sbom.Component{Name: "a", PURL: "pkg:npm/a@1.0.0", Concluded: sbom.License{Expression: "GPL-3.0-only OR MIT"}})
	g.Add(sbom.Component{Name: "b", PURL: "pkg:npm/b@1.0.0", Declared: sbom.License{Expression: "GPL-3.0-only"}})
	report, err := p.Check(g)
	if err != nil {
		fmt.Println(err)
		return
	}
	gate.Text(os.Stdout, report)
	// Output:
	// CLOSED licence  pkg:npm/ours@1.0.0
	//        1 error, 0 warnings, 1 note; 3 components checked
	//   error   licence-not-allowed (not-allowed)  pkg:npm/b@1.0.0
	//           GPL-3.0-only: GPL-3.0-only is not allowed
	//   note    licence-exception (licence-not-allowed)  pkg:npm/ours@1.0.0
	//           LicenseRef-Ours, by the exception for pkg:npm/ours: we wrote it
}

// An operating system is where its packages are, and no package itself.
func TestOperatingSystem(t *testing.T) {
	p, err := license.New(license.Policy{Allow: []string{"MIT"}})
	if err != nil {
		t.Fatal(err)
	}
	sum := provenance.DigestSet{provenance.MustDigest("sha256:" + strings.Repeat("a", 64))}
	for _, tt := range []struct {
		name string
		c    sbom.Component
		open bool
	}{
		{"name alone", sbom.Component{Type: sbom.OperatingSystem, Name: "alpine", Version: "3.22"}, true},
		{"package", sbom.Component{Type: sbom.OperatingSystem, Name: "a", PURL: "pkg:apk/alpine/a@1"}, false},
		{"file", sbom.Component{Type: sbom.OperatingSystem, Name: "kernel", Digests: sum}, false},
		{"denied", sbom.Component{Type: sbom.OperatingSystem, Name: "alpine", Declared: sbom.License{Expression: "GPL-2.0-only"}}, false},
		{"a name", sbom.Component{Type: sbom.OperatingSystem, Name: "alpine", Declared: sbom.License{Name: "something"}}, false},
		{"library", sbom.Component{Type: sbom.Library, Name: "alpine"}, false},
	} {
		g := &sbom.Graph{}
		root := g.Add(sbom.Component{Type: sbom.Container, Name: "image", Declared: sbom.License{Expression: "MIT"}})
		g.Relate(root, sbom.Contains, g.Add(tt.c))
		r, err := p.Check(g)
		if err != nil {
			t.Fatal(err)
		}
		if open := r.Err() == nil; open != tt.open {
			t.Errorf("%s: open %v, want %v: %+v", tt.name, open, tt.open, r.Findings)
		}
	}
	g := &sbom.Graph{}
	g.Add(sbom.Component{Type: sbom.OperatingSystem, Name: "alpine"})
	if r, err := p.Check(g); err != nil || r.Err() == nil {
		t.Errorf("a product that is an operating system: %v, %v", r, err)
	}
}
