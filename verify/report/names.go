package report

import (
	"strings"

	"github.com/hallmark-build/hallmark/verify"
)

// knownTypes are the predicate types that have a name among people. They are
// matched as a whole, so that nobody can dress a type of their own as one.
var knownTypes = map[string]string{
	"https://slsa.dev/provenance/v1":                                               "SLSA provenance v1",
	"https://slsa.dev/provenance/v0.2":                                             "SLSA provenance v0.2",
	"https://slsa.dev/provenance/v0.1":                                             "SLSA provenance v0.1",
	"https://in-toto.io/Provenance/v0.1":                                           "in-toto provenance v0.1",
	"https://in-toto.io/attestation/link/v0.3":                                     "in-toto link v0.3",
	"https://in-toto.io/Link/v0.2":                                                 "in-toto link v0.2",
	"https://in-toto.io/Link/v1":                                                   "in-toto link v1",
	"https://slsa.dev/verification_summary/v1":                                     "SLSA summary v1",
	"https://slsa.dev/verification_summary/v0.2":                                   "SLSA summary v0.2",
	"https://in-toto.io/attestation/svr/v0.2":                                      "simple result v0.2",
	"https://in-toto.io/attestation/svr/v0.1":                                      "simple result v0.1",
	"https://in-toto.io/attestation/test-result/v0.1":                              "test result v0.1",
	"https://in-toto.io/attestation/vulns/v0.2":                                    "vulnerabilities v0.2",
	"https://in-toto.io/attestation/vulns/v0.1":                                    "vulnerabilities v0.1",
	"https://cosign.sigstore.dev/attestation/vuln/v1":                              "cosign vulnerabilities v1",
	"https://openvex.dev/ns":                                                       "OpenVEX",
	"https://openvex.dev/ns/v0.2.0":                                                "OpenVEX v0.2.0",
	"https://in-toto.io/attestation/scai/v0.3":                                     "SCAI v0.3",
	"https://in-toto.io/attestation/runtime-trace/v0.1":                            "runtime trace v0.1",
	"https://in-toto.io/attestation/reference/v0.1":                                "reference v0.1",
	"https://in-toto.io/attestation/release/v0.2":                                  "release v0.2",
	"https://in-toto.io/attestation/release/v0.1":                                  "release v0.1",
	"https://github.com/npm/attestation/tree/main/specs/publish/v0.1":              "npm publish v0.1",
	"https://docs.pypi.org/attestations/publish/v1":                                "PyPI publish v1",
	"https://github.com/slsa-framework/source-tool/source-provenance/v1":           "source provenance v1",
	"https://github.com/slsa-framework/slsa-source-poc/source-provenance/v1-draft": "source provenance v1 draft",
	"https://github.com/slsa-framework/source-tool/tag-provenance/v1":              "tag provenance v1",
	"https://github.com/slsa-framework/slsa-source-poc/tag-provenance/v1-draft":    "tag provenance v1 draft",
	"https://witness.testifysec.com/attestation-collection/v0.1":                   "Witness collection v0.1",
	"https://cosign.sigstore.dev/attestation/v1":                                   "cosign custom v1",
	"https://spdx.dev/Document":                                                    "SPDX",
	"https://spdx.dev/Document/v2.2":                                               "SPDX 2.2",
	"https://spdx.dev/Document/v2.3":                                               "SPDX 2.3",
	"https://spdx.dev/Document/v3":                                                 "SPDX 3",
	"https://spdx.dev/Document/v3.0":                                               "SPDX 3.0",
	"https://spdx.dev/Document/v3.0.1":                                             "SPDX 3.0.1",
	"https://cyclonedx.org/bom":                                                    "CycloneDX",
	"https://cyclonedx.org/bom/v1.2":                                               "CycloneDX 1.2",
	"https://cyclonedx.org/bom/v1.3":                                               "CycloneDX 1.3",
	"https://cyclonedx.org/bom/v1.4":                                               "CycloneDX 1.4",
	"https://cyclonedx.org/bom/v1.5":                                               "CycloneDX 1.5",
	"https://cyclonedx.org/bom/v1.6":                                               "CycloneDX 1.6",
	"https://cyclonedx.org/bom/v1.7":                                               "CycloneDX 1.7",
	"(package, looked into)":                                                       "package, looked into",
}

// typeName shortens a predicate type for people. What is not known keeps all of
// the URI but its scheme, so that it never looks like one that is.
func typeName(t string, most int) string {
	if n, ok := knownTypes[t]; ok {
		return cut(n, most)
	}
	t = strings.TrimPrefix(t, "https://")
	if !strings.Contains(t, "/") {
		t = "type " + t
	}
	return plain(t, most)
}

// A group is what several statements of a stage have in common.
type group struct {
	predicateType       string
	signers             []string // the policy's names, each once
	count               int
	products, materials int
	first, last         verify.ReportSigner // with the earliest and the latest time
}

// groups puts the statements of a stage together that are of one type and by
// the same signers: a stage that ran forty times is one line.
func groups(st *verify.ReportStage) []*group {
	var out []*group
	at := map[string]*group{}
	for i := range st.Statements {
		s := &st.Statements[i]
		var names []string
		seen := map[string]bool{}
		for _, sg := range s.Signers {
			if !seen[sg.Name] {
				seen[sg.Name] = true
				names = append(names, sg.Name)
			}
		}
		key := s.PredicateType + "\x00" + strings.Join(names, "\x00")
		g := at[key]
		if g == nil {
			g = &group{predicateType: s.PredicateType, signers: names}
			at[key] = g
			out = append(out, g)
		}
		g.count++
		g.products += s.Products
		g.materials += s.Materials
		for _, sg := range s.Signers {
			if sg.Time.IsZero() {
				continue
			}
			if g.first.Time.IsZero() || sg.Time.Before(g.first.Time) {
				g.first = sg
			}
			if sg.Time.After(g.last.Time) {
				g.last = sg
			}
		}
	}
	return out
}

// An inputCount is how many materials an input of the policy admitted.
type inputCount struct {
	name  string
	count int
}

// inputs counts what a stage took from outside, in the report's order.
func inputs(st *verify.ReportStage) []inputCount {
	var out []inputCount
	at := map[string]int{}
	for i := range st.Inputs {
		n := st.Inputs[i].Input
		j, ok := at[n]
		if !ok {
			j = len(out)
			at[n] = j
			out = append(out, inputCount{name: n})
		}
		out[j].count++
	}
	return out
}

// inputText says it in a few words: "31 go-modules, 2 toolchain".
func inputText(st *verify.ReportStage, most int) string {
	var parts []string
	shown, more := first(inputs(st), 3)
	for _, in := range shown {
		parts = append(parts, plain(itoa(in.count)+" "+in.name, most))
	}
	if more > 0 {
		parts = append(parts, itoa(more)+" more")
	}
	return cut(strings.Join(parts, ", "), most)
}

// signerText names the signers of a group.
func signerText(g *group, most int) string {
	var parts []string
	shown, more := first(g.signers, 3)
	for _, s := range shown {
		parts = append(parts, plain(s, most))
	}
	if more > 0 {
		parts = append(parts, itoa(more)+" more")
	}
	return cut(strings.Join(parts, ", "), most)
}

// sentence is a message with the digests that stand beside it cut short.
func sentence(f *verify.Finding) string {
	m := f.Message
	for _, d := range []string{f.Want, f.Got} {
		if len(d) > 24 && !strings.ContainsAny(d, " ") {
			m = strings.ReplaceAll(m, d, short(d))
		}
	}
	return m
}
