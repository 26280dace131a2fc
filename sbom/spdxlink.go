package sbom

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// spdxLinks returns the SPDX documents to which references of kind "bom" point,
// and for each component that it is described there (SPDX 2.3, 11.1,
// DESCRIBED_BY). A document that was read has its own list, which is repeated.
func (d *document) spdxLinks(ids map[string]string) (docs []spdxExternalDoc, relations []spdxRelationship) {
	if d.kept != nil && d.kept.repeats(d, "externalDocumentRefs") {
		return nil, nil
	}
	seen := make(map[string]bool)
	for _, c := range d.components {
		for _, r := range c.References {
			namespace, element, ok := strings.Cut(r.URL, "#")
			if r.Kind != "bom" || !ok || strings.HasPrefix(namespace, "urn:cdx:") || !strings.HasPrefix(element, "SPDXRef-") {
				continue
			}
			for _, g := range r.Digests {
				alg, known := spdxAlgorithms[g.Algorithm()]
				if !known || !g.Algorithm().Strong() {
					continue
				}
				sum := sha256.Sum256([]byte(namespace + " " + g.String()))
				id := "DocumentRef-" + hex.EncodeToString(sum[:8])
				if !seen[id] {
					seen[id] = true
					docs = append(docs, spdxExternalDoc{id, namespace, spdxChecksum{alg, g.Value()}})
				}
				relations = append(relations, spdxRelationship{ids[c.ID], "DESCRIBED_BY", id + ":" + spdxDocID})
				break
			}
		}
	}
	return docs, relations
}
