package main

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/predicate"
	"github.com/hallmark-build/hallmark/provenance/record"
	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/verify"
)

// policy is what somebody who wants to use the release should demand of it.
func (r *releaser) policy() *verify.Policy {
	p := &verify.Policy{
		Schema: verify.PolicySchema, Name: r.name + " release", Version: 1,
		Expires:    time.Now().AddDate(1, 0, 0).UTC().Truncate(24 * time.Hour),
		Principals: map[string]verify.Principals{},
		Inputs: map[string]verify.Input{
			// go.sum, which is part of the source, pins what these may be, and
			// the SBOM must list each of them by its digest.
			"go-modules": {URI: "pkg:golang/**", Algorithms: []string{"dirHash"}, ListedBy: "contents"},
		},
		Final: "release",
	}
	for _, s := range stages {
		if s != "test" || r.pattern != "" {
			p.Principals[s] = r.who[s]
		}
	}
	link := func(stage string) []verify.Requirement {
		return []verify.Requirement{{Type: predicate.TypeLink, Signers: []string{stage}, Where: []string{`predicate.name == "` + stage + `"`}}}
	}
	p.Stages = map[string]*verify.Stage{
		"source": {Requires: link("source")},
		"build": {
			Requires: []verify.Requirement{{
				Type: predicate.TypeSLSAProvenance, Signers: []string{"build"}, Builders: []string{builder},
				Where: []string{`predicate.buildDefinition.buildType == "` + record.BuildType + `"`},
			}},
			From:     []verify.Flow{{Stage: "source", Names: "same"}},
			Inputs:   []string{"go-modules"},
			Complete: true,
		},
		"sbom":    {Requires: link("sbom"), From: []verify.Flow{{Stage: "build", Names: "base"}}},
		"package": {Requires: link("package"), From: []verify.Flow{{Stage: "build", Names: "base"}, {Stage: "source", Names: "same", Optional: true}}},
		"release": {
			Requires: link("release"),
			From:     []verify.Flow{{Stage: "package", Names: "same"}, {Stage: "sbom", Names: "same"}, {Stage: "build", Names: "base"}},
			Products: r.released(),
		},
		"contents": {
			Requires: []verify.Requirement{
				{Type: string(sbom.CycloneDX), Signers: []string{"sbom"}},
				{Type: string(sbom.SPDX), Signers: []string{"sbom"}},
			},
			About: []verify.About{{Stage: "build"}},
		},
	}
	if r.usesModules() {
		// The SBOM says of every module what the provenance says. The standard
		// library comes with the toolchain, and modules of the source tree are
		// there file by file.
		same := verify.Rule{Name: "the SBOM is that of the build", SamePackages: []string{"build", "contents"}, Packages: "pkg:golang/**", Except: []string{"pkg:golang/stdlib@*"}}
		for _, path := range slices.Sorted(maps.Keys(r.localModules())) {
			same.Except = append(same.Except, "pkg:golang/"+strings.ToLower(path)+"@*")
		}
		p.Rules = append(p.Rules, same)
	}
	if r.pattern != "" {
		p.Stages["test"] = &verify.Stage{
			Requires: []verify.Requirement{{Type: predicate.TypeTestResult, Signers: []string{"test"}, Where: []string{`predicate.result == "PASSED"`}}},
			About:    []verify.About{{Stage: "build"}},
		}
		p.Stages["package"].After = []string{"test"}
	}
	return p
}

// usesModules reports whether the build's provenance lists modules.
func (r *releaser) usesModules() bool {
	st := r.statements["build"]
	if st == nil {
		return false
	}
	flow, err := predicate.FlowOf(st)
	return err == nil && slices.ContainsFunc(flow.Materials, func(m provenance.ResourceDescriptor) bool { return strings.HasPrefix(m.URI, "pkg:golang/") })
}
