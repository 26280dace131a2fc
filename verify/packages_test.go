package verify_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/predicate"
	"github.com/hallmark-build/hallmark/verify"
)

// dependency is a material with a URI: "pkg:npm/a@1=content", or without
// content for one that has no digest.
func dependency(s string) provenance.ResourceDescriptor {
	uri, content, ok := strings.Cut(s, "=")
	if !ok {
		return provenance.ResourceDescriptor{URI: uri}
	}
	return provenance.ResourceDescriptor{URI: uri, Digest: file("x=" + content).Digest}
}

func dependencies(list ...string) (out []provenance.ResourceDescriptor) {
	for _, s := range list {
		out = append(out, dependency(s))
	}
	return out
}

// bill is an SBOM about app in one of three formats, with components as dependency has them.
func bill(format string, list ...string) *provenance.Statement {
	var elements []any
	for _, s := range list {
		d := dependency(s)
		value := d.Digest.Get(provenance.SHA256).Value()
		e := map[string]any{"name": d.URI}
		switch format {
		case "cyclonedx":
			e["type"], e["purl"] = "library", d.URI
			if value != "" {
				e["hashes"] = []any{map[string]any{"alg": "SHA-256", "content": strings.ToUpper(value)}}
			}
			e["externalReferences"] = []any{map[string]any{"type": "distribution", "url": "x", "hashes": []any{map[string]any{"alg": "SHA-512", "content": strings.Repeat("a", 128)}}}}
		case "spdx2":
			e["externalRefs"] = []any{map[string]any{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": d.URI}}
			if value != "" {
				e["checksums"] = []any{map[string]any{"algorithm": "SHA256", "checksumValue": value}}
			}
		case "spdx3":
			e["type"], e["software_packageUrl"] = "software_Package", d.URI
			if value != "" {
				e["verifiedUsing"] = []any{map[string]any{"type": "Hash", "algorithm": "sha256", "hashValue": value}}
			}
		}
		elements = append(elements, e)
	}
	switch format {
	case "cyclonedx":
		half := len(elements) / 2
		return statement(predicate.TypeCycloneDX, files("app"), map[string]any{"bomFormat": "CycloneDX", "specVersion": "1.6",
			"metadata":   map[string]any{"component": map[string]any{"type": "application", "name": "app", "purl": "pkg:npm/app@1", "hashes": []any{map[string]any{"alg": "SHA-256", "content": file("app").Digest[0].Value()}}}},
			"components": append([]any{map[string]any{"type": "framework", "name": "nest", "components": elements[:half]}}, elements[half:]...)})
	case "spdx2":
		return statement(predicate.TypeSPDX, files("app"), map[string]any{"spdxVersion": "SPDX-2.3", "packages": elements})
	}
	return statement(predicate.TypeSPDX3, files("app"), map[string]any{"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld", "@graph": elements})
}

func packagesPolicy(types ...string) *verify.Policy {
	p := policy("build", map[string]*verify.Stage{
		"build":    {Requires: requires("bld"), Inputs: []string{"npm"}},
		"contents": {Requires: []verify.Requirement{{Types: types, Signers: []string{"sbm"}}}, About: []verify.About{{Stage: "build"}}},
	}, "bld", "sbm")
	p.Inputs = map[string]verify.Input{"npm": {URI: "pkg:*/**", AllowWithoutDigestUnsafe: true}}
	p.Rules = []verify.Rule{{Name: "same", SamePackages: []string{"build", "contents"}, Packages: "pkg:npm/**", Except: []string{"pkg:npm/local@*"}}}
	return p
}

func TestD4_SamePackages(t *testing.T) {
	const a, b, local = "pkg:npm/a@1=one", "pkg:npm/%40x/b@2=two", "pkg:npm/local@1=three"
	p := packagesPolicy(predicate.TypeCycloneDX, predicate.TypeSPDX, predicate.TypeSPDX3)
	for name, c := range map[string]struct {
		build, bill []string
		ok          bool
	}{
		"the same":              {[]string{a, b}, []string{b, a}, true},
		"excepted on one side":  {[]string{a, b}, []string{a, b, local}, true},
		"excepted on the other": {[]string{a, local}, []string{a}, true},
		"of no concern":         {[]string{a, "pkg:gem/x@1=x"}, []string{a, "pkg:pypi/y@1=y"}, true},
		"listed twice":          {[]string{a}, []string{a, a, b, b}, false},
		"twice the same":        {[]string{a}, []string{a, a}, true},
		"left out of the bill":  {[]string{a, b}, []string{a}, false},
		"more in the bill":      {[]string{a}, []string{a, b}, false},
		"another digest":        {[]string{a, b}, []string{a, "pkg:npm/%40x/b@2=evil"}, false},
		"another version":       {[]string{a}, []string{"pkg:npm/a@2=one"}, false},
		"names swapped":         {[]string{a, b}, []string{"pkg:npm/a@1=two", "pkg:npm/%40x/b@2=one"}, false},
		"one more digest":       {[]string{a}, []string{a, "pkg:npm/a@1=evil"}, false},
		"no digest in the bill": {[]string{a}, []string{"pkg:npm/a@1"}, false},
		"no digest at all":      {[]string{"pkg:npm/a@1"}, []string{"pkg:npm/a@1"}, false},
		"type in capitals":      {[]string{a}, []string{a, "pkg:NPM/evil@1=evil"}, false},
		"scheme in capitals":    {[]string{a}, []string{a, "PKG:npm/evil@1=evil"}, false},
		"slashes":               {[]string{a}, []string{a, "pkg://npm/evil@1=evil"}, false},
		"one slash":             {[]string{a}, []string{a, "pkg:/npm/evil@1=evil"}, false},
		"the same, in capitals": {[]string{a}, []string{"pkg:NPM/a@1=one"}, true},
		"edge55 nothing":        {nil, nil, false},
		"edge55 only excepted":  {[]string{local}, []string{local}, false},
	} {
		for _, format := range []string{"cyclonedx", "spdx2", "spdx3"} {
			evidence := [][]byte{signed(built(dependencies(c.build...), files("app")), "bld"), signed(bill(format, c.bill...), "sbm")}
			if c.ok {
				pass(t, p, "app", evidence...)
				continue
			}
			if _, err := judge(t, p, "app", evidence...); reasonOf(err) != verify.ReasonPackages {
				t.Errorf("%s, %s: got %v", name, format, err)
			}
		}
	}
	r := refused(t, verify.ReasonPackages, p, "app", signed(built(dependencies(a), files("app")), "bld"), signed(bill("spdx2", "pkg:npm/a@1=evil"), "sbm"))
	if f := r.Findings[0]; f.File != "pkg:npm/a@1" || len(f.Got) == 0 || len(f.Want) == 0 || !strings.Contains(f.Message, "other digests") {
		t.Errorf("finding %+v", f)
	}
}

// Withholding the statements of a stage does not switch the rule off.
func TestAttackD4_OptionalStage(t *testing.T) {
	p := packagesPolicy(predicate.TypeCycloneDX)
	p.Stages["fetch"] = &verify.Stage{Requires: requires("sbm"), Inputs: []string{"npm"}, Optional: true}
	p.Stages["build"].From = []verify.Flow{{Stage: "fetch", Optional: true}}
	p.Rules[0].SamePackages = []string{"build", "fetch"}
	const a = "pkg:npm/a@1=one"
	whole := signed(built(dependencies(a), files("app")), "bld")
	contents := signed(bill("cyclonedx", a), "sbm")
	refused(t, verify.ReasonPackages, p, "app", whole, contents)
	p.Rules = nil // and nothing else is amiss
	pass(t, p, "app", whole, contents)
}

// Both documents of a build must agree with it, each by itself.
func TestD4_EveryStatement(t *testing.T) {
	p := packagesPolicy(predicate.TypeCycloneDX)
	p.Stages["contents"].Requires = append(p.Stages["contents"].Requires, verify.Requirement{Type: predicate.TypeSPDX, Signers: []string{"sbm"}})
	build := signed(built(dependencies("pkg:npm/a@1=one", "pkg:npm/b@1=two"), files("app")), "bld")
	whole := []string{"pkg:npm/a@1=one", "pkg:npm/b@1=two"}
	pass(t, p, "app", build, signed(bill("cyclonedx", whole...), "sbm"), signed(bill("spdx2", whole...), "sbm"))
	refused(t, verify.ReasonPackages, p, "app", build, signed(bill("cyclonedx", whole...), "sbm"), signed(bill("spdx2", whole[:1]...), "sbm"))
	// Another that agrees is found, whatever else is about.
	pass(t, p, "app", build, signed(bill("cyclonedx", whole...), "sbm"), signed(bill("spdx2", whole[:1]...), "sbm"), signed(bill("spdx2", whole...), "sbm"))
}

// edge36, edge38: a component with two values under one algorithm, or with a weak
// digest only, matches nothing.
func TestD4_Edge38_Digests(t *testing.T) {
	p := packagesPolicy(predicate.TypeCycloneDX)
	value := file("x=one").Digest[0].Value()
	build := signed(built(dependencies("pkg:npm/a@1=one"), files("app")), "bld")
	for name, c := range map[string]struct {
		hashes []any
		ok     bool
	}{
		"plain":          {[]any{map[string]any{"alg": "SHA-256", "content": value}}, true},
		"repeated":       {[]any{map[string]any{"alg": "SHA-256", "content": value}, map[string]any{"alg": "SHA-256", "content": value}}, true},
		"two values":     {[]any{map[string]any{"alg": "SHA-256", "content": value}, map[string]any{"alg": "SHA-256", "content": strings.Repeat("0", 64)}}, false},
		"value as SHA-1": {[]any{map[string]any{"alg": "SHA-1", "content": value[:40]}}, false},
		"as SHA3-256":    {[]any{map[string]any{"alg": "SHA3-256", "content": value}}, false},
		"no hex":         {[]any{map[string]any{"alg": "SHA-256", "content": "x" + value[1:]}}, false},
		"no list":        {nil, false},
	} {
		st := statement(predicate.TypeCycloneDX, files("app"), map[string]any{"components": []any{map[string]any{"purl": "pkg:npm/a@1", "hashes": c.hashes}, nil, "x", map[string]any{"purl": 7}}})
		_, err := judge(t, p, "app", build, signed(st, "sbm"))
		if c.ok != (err == nil) || err != nil && reasonOf(err) != verify.ReasonPackages {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestD4_Bounded(t *testing.T) {
	p := packagesPolicy(predicate.TypeCycloneDX)
	var many []string
	for i := range limits.PackagesPerURI + 1 {
		many = append(many, fmt.Sprintf("pkg:npm/a@1=%d", i))
	}
	pass(t, p, "app", signed(built(dependencies(many[1:]...), files("app")), "bld"), signed(bill("cyclonedx", many[1:]...), "sbm"))
	refused(t, verify.ReasonPackages, p, "app", signed(built(dependencies(many...), files("app")), "bld"), signed(bill("cyclonedx", many...), "sbm"))
}

func TestD4_Policy(t *testing.T) {
	for name, c := range map[string]struct {
		rule   verify.Rule
		reason string
	}{
		"one stage":      {verify.Rule{SamePackages: []string{"build"}, Packages: "**"}, verify.PolicyField},
		"twice":          {verify.Rule{SamePackages: []string{"build", "build"}, Packages: "**"}, verify.PolicyField},
		"unknown":        {verify.Rule{SamePackages: []string{"build", "x"}, Packages: "**"}, verify.PolicyReference},
		"none required":  {verify.Rule{SamePackages: []string{"build", "absent"}, Packages: "**"}, verify.PolicyField},
		"no pattern":     {verify.Rule{SamePackages: []string{"build", "contents"}}, verify.PolicyEmpty},
		"bad pattern":    {verify.Rule{SamePackages: []string{"build", "contents"}, Packages: "pkg:[a]"}, verify.PolicyField},
		"bad exception":  {verify.Rule{SamePackages: []string{"build", "contents"}, Packages: "**", Except: []string{"?"}}, verify.PolicyField},
		"pattern alone":  {verify.Rule{Packages: "**"}, verify.PolicyField},
		"two rules":      {verify.Rule{SamePackages: []string{"build", "contents"}, Packages: "**", Separate: []string{"build", "contents"}}, verify.PolicyField},
		"except nothing": {verify.Rule{Except: []string{"**"}}, verify.PolicyField},
	} {
		t.Run(name, func(t *testing.T) {
			p := packagesPolicy(predicate.TypeCycloneDX)
			p.Rules = []verify.Rule{c.rule}
			p.Inventory = &verify.Inventory{Signers: []string{"sbm"}, MaxAge: verify.Duration(1)}
			p.Stages["absent"] = &verify.Stage{About: []verify.About{{Stage: "build"}}, Requires: []verify.Requirement{
				{Type: typeScan, Signers: []string{"sbm"}, Which: "none", Complete: true, Where: []string{"result == FAILED"}}}}
			policyError(t, c.reason, p)
		})
	}
}

func TestD4_Narrow(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*verify.Rule)
		ok     bool
	}{
		"the same":       {func(*verify.Rule) {}, true},
		"other order":    {func(r *verify.Rule) { slices.Reverse(r.SamePackages) }, true},
		"less":           {func(r *verify.Rule) { r.Packages = "pkg:npm/a*" }, false},
		"more excepted":  {func(r *verify.Rule) { r.Except = append(r.Except, "**") }, false},
		"less excepted":  {func(r *verify.Rule) { r.Except = nil }, false},
		"another rule":   {func(r *verify.Rule) { *r = verify.Rule{Separate: []string{"build", "contents"}} }, false},
		"another stage ": {func(r *verify.Rule) { r.SamePackages[0] = "release" }, false},
	} {
		parent, child := packagesPolicy(predicate.TypeCycloneDX), packagesPolicy(predicate.TypeCycloneDX)
		parent.Version, child.Version = 1, 1
		for _, p := range []*verify.Policy{parent, child} {
			p.Stages["release"] = &verify.Stage{Requires: requires("bld"), From: []verify.Flow{{Stage: "build"}}}
			p.Final = "release"
		}
		child.Stages = maps.Clone(parent.Stages)
		c.change(&child.Rules[0])
		if _, err := parent.Narrow(child); c.ok != (err == nil) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A package of SPDX 3 can say its package URL in two places.
func TestAttackTwoPackageURLsOfSPDX3(t *testing.T) {
	p := packagesPolicy(predicate.TypeSPDX3)
	element := map[string]any{"type": "software_Package", "name": "a", "software_packageUrl": "pkg:npm/evil@1",
		"externalIdentifier": []any{map[string]any{"type": "ExternalIdentifier", "externalIdentifierType": "packageUrl", "identifier": "pkg:npm/a@1"}},
		"verifiedUsing":      []any{map[string]any{"type": "Hash", "algorithm": "sha256", "hashValue": dependency("pkg:npm/a@1=one").Digest.Get(provenance.SHA256).Value()}}}
	st := statement(predicate.TypeSPDX3, files("app"), map[string]any{"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld", "@graph": []any{element}})
	if _, err := judge(t, p, "app", signed(built(dependencies("pkg:npm/a@1=one"), files("app")), "bld"), signed(st, "sbm")); reasonOf(err) != verify.ReasonPackages {
		t.Errorf("a package that is called evil, too, passes: %v", err)
	}
}
