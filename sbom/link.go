package sbom

import (
	"net/url"
	"strings"
)

// Link returns what other documents call a component of a graph that was read
// from a document: a BOM-Link ("urn:cdx:SERIAL/VERSION#REF") for CycloneDX, the
// namespace and identifier ("NAMESPACE#SPDXRef-…") for SPDX. For id "" it is
// the document as a whole. It returns "" when the graph was not read, when the
// document does not say what it is called (serialNumber, documentNamespace), or
// gives the component no name.
func (g *Graph) Link(id string) string {
	if g.origin == nil || g.origin.link == "" || id == "" {
		if g.origin == nil {
			return ""
		}
		return g.origin.link
	}
	ref := g.origin.named[id]
	if ref == "" {
		return ""
	}
	if strings.HasPrefix(g.origin.link, "urn:cdx:") {
		ref = escapeFragment(ref)
	}
	return g.origin.link + "#" + ref
}

// escapeFragment writes a bom-ref as the fragment of a URI (RFC 3986 section
// 3.5), which is percent-encoded as BOM-Link wants it.
func escapeFragment(ref string) string {
	return (&url.URL{Fragment: ref}).String()[1:]
}
