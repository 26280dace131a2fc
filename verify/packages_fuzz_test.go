package verify

import (
	"testing"

	"github.com/hallmark-build/hallmark/internal/strictjson"
	"github.com/hallmark-build/hallmark/provenance"
)

// Whatever a document says, a component has a URI and at most one digest under
// each algorithm, all of them strong.
func FuzzSBOMPackages(f *testing.F) {
	for _, s := range []string{
		`{"components":[{"purl":"pkg:npm/a@1","hashes":[{"alg":"SHA-256","content":"AA"}],"components":[{"purl":"pkg:npm/b"}]}],"metadata":{"component":{"purl":"x"}}}`,
		`{"packages":[{"externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:npm/a@1"}],"checksums":[{"algorithm":"SHA256","checksumValue":"00"}],"annotations":[{"comment":"hallmark:digest:dirHash=00"}]}]}`,
		`{"@graph":[{"software_packageUrl":"pkg:npm/a@1","verifiedUsing":[{"algorithm":"sha3_256","hashValue":"00"}]},null,[],{"externalIdentifier":[{"externalIdentifierType":"packageUrl","identifier":"y"}]}]}`,
		`[]`, `{"components":{},"packages":1,"@graph":[[]],"metadata":[]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		doc, err := strictjson.Decode(data, 1<<20)
		if err != nil {
			return
		}
		sbomPackages(doc, func(uri string, set provenance.DigestSet) {
			seen := map[provenance.Algorithm]bool{}
			for _, d := range set {
				if uri == "" || !d.Algorithm().Strong() || seen[d.Algorithm()] {
					t.Errorf("%q: %s", uri, set)
				}
				seen[d.Algorithm()] = true
			}
		})
	})
}
