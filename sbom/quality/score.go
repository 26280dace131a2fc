package quality

import (
	"slices"

	"github.com/hallmark-build/hallmark/sbom"
)

// A Score is how much of what sbomqs counts a bill has, of 10.
type Score struct {
	// Overall counts all that is missing. Knowable leaves out what the bill
	// notes as unknown for a reason for which Unknowable is true.
	Overall  float64 `json:"overall"`
	Knowable float64 `json:"knowable"`

	Features []Feature `json:"features"`

	// Unknown is what Knowable leaves out.
	Unknown []sbom.Gap `json:"unknown"`

	// NotScored is what sbomqs counts and this score does not, and why.
	NotScored []NotScored `json:"notScored"`
}

// A Feature is one field, over all components that are shipped or of the
// document.
type Feature struct {
	Category string  `json:"category"`
	Name     string  `json:"name"`
	Weight   float64 `json:"weight"` // of 100

	// Of Total places, Have have the field, and Unknown cannot have it; the
	// rest should and do not.
	Total   int `json:"total"`
	Have    int `json:"have"`
	Unknown int `json:"unknown"`
}

// Overall is the feature's score of 10 with everything counted.
func (f Feature) Overall() float64 { return 10 * float64(f.Have) / float64(max(f.Total, 1)) }

// Knowable is the feature's score of 10 over what can be known; false when
// nothing of it can.
func (f Feature) Knowable() (float64, bool) {
	if n := f.Total - f.Unknown; n > 0 {
		return 10 * float64(f.Have) / float64(n), true
	}
	return 0, false
}

// NotScored is a field that is not scored.
type NotScored struct {
	Name string `json:"name"`
	Why  string `json:"why"`
}

// The features with their weights of 100. The proportions are those of sbomqs
// 2.0, less what is not scored.
var features = []struct {
	category string
	weight   float64
	rule     rule
}{
	{"identification", 5, name},
	{"identification", 4, version},
	{"identification", 4, identifier},
	{"provenance", 4, timestamp},
	{"provenance", 4, author},
	{"provenance", 4, toolVersion},
	{"provenance", 3, context},
	{"integrity", 20, hash},
	{"completeness", 7, relationship},
	{"completeness", 4, completeness},
	{"completeness", 5, primaryComponent},
	{"completeness", 4, origin},
	{"completeness", 4, supplier},
	{"licensing", 6, licence},
	{"licensing", 6, validLicence},
	{"licensing", 4, declared},
	{"licensing", 2, concluded},
	{"licensing", 2, copyright},
	{"traceability", 8, packageURL},
}

// Unknowable reports whether a reason for which a field is noted as unknown is
// one that a builder cannot mend: the authors did not say it, or the evidence is
// gone. A reason that is not on the list, such as a module cache that nobody
// passed, counts as a field that could have been filled in and was not.
func Unknowable(reason string) bool { return slices.Contains(unknowable, reason) }

var unknowable = []string{
	// Package sbom/golang: what is in no file of a module and in no record of
	// the build.
	"no-licence-file", "licence-text", "no-copyright-notice", "no-supplier", "no-go-mod", "no-linked-list", "cgo", "embedded-files", "embedded-files",
	"no-distribution", "no-origin",
	// Packages sbom/scan and sbom/syft: what no lock file and no metadata has.
	"scanned", "metadata-only", "no-package-url", "no-licence", "no-digest", "not-installed", "not-packed", "unresolved-dependency", "no-exact-version",
}

// ScoreOf scores a graph. An error means that it has no components.
func ScoreOf(g *sbom.Graph) (*Score, error) {
	v, err := look(g)
	if err != nil {
		return nil, err
	}
	s := &Score{
		Unknown: []sbom.Gap{},
		NotScored: []NotScored{
			{"signature", "a bill says nothing about who signed it; verify the attestation"},
			{"cpe", "CPEs are given by the dictionary of the NVD, not by a build; a package URL identifies as well"},
			{"restrictive-licences", "which licences are wanted is a policy; see package sbom/license"},
			{"document-namespace, data-licence, specification, schema", "properties of a document, which the writers of package sbom always set"},
			{"end-of-life, malicious, known-exploited", "need a service or a database; see package sbom/osv"},
		},
	}
	var weights, knowableWeights float64
	seen := map[sbom.Gap]bool{}
	for _, spec := range features {
		f := Feature{Category: spec.category, Name: spec.rule.name, Weight: spec.weight}
		places := v.shipped
		if spec.rule.of == document {
			places = []*sbom.Component{nil}
		}
		for _, c := range places {
			f.Total++
			if spec.rule.there(v, c) {
				f.Have++
				continue
			}
			if gap, ok := v.gap(c, spec.rule.fields...); ok && Unknowable(gap.Reason) {
				f.Unknown++
				if !seen[gap] {
					seen[gap] = true
					s.Unknown = append(s.Unknown, gap)
				}
			}
		}
		s.Features = append(s.Features, f)
		weights += f.Weight
		s.Overall += f.Weight * f.Overall()
		if k, ok := f.Knowable(); ok {
			knowableWeights += f.Weight
			s.Knowable += f.Weight * k
		}
	}
	s.Overall /= weights
	s.Knowable /= max(knowableWeights, 1)
	return s, nil
}
