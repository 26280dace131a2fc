package sbom

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/strictjson"
	"github.com/hallmark-build/hallmark/provenance"
)

// Read reads a document of the given format: CycloneDX 1.6 or SPDX 2.3, in
// JSON. It reads strictly (no duplicate names, valid UTF-8, nothing after the
// document, every reference defined, every digest well-formed) and within the
// bounds of 128 MiB, 1,048,576 components and 8,388,608 relationships. Fields
// that the graph has no place for are ignored.
//
// A document that [Graph.Encode] wrote comes back whole: encoding it again
// gives the same bytes.
func Read(doc []byte, f Format) (*Graph, error) {
	switch f {
	case CycloneDX:
		return readCycloneDX(doc)
	case SPDX:
		return readSPDX(doc)
	}
	return nil, errorf(ReasonFormat, "unknown format %q", string(f))
}

// Detect says of which format a document is, by its bomFormat or spdxVersion,
// wherever in the document those are.
func Detect(doc []byte) (Format, error) {
	p := strictjson.NewParser(doc, limits.Statement)
	var found []Format
	err := p.Object(func(name []byte) error {
		switch string(name) {
		case "bomFormat":
			found = append(found, CycloneDX)
		case "spdxVersion":
			found = append(found, SPDX)
		}
		return p.Skip()
	})
	if err == nil {
		err = p.End()
	}
	if err != nil {
		return "", errorf(ReasonFormat, "not a JSON object: %v", err)
	}
	if len(found) != 1 {
		return "", errorf(ReasonFormat, "want one of bomFormat (CycloneDX) and spdxVersion (SPDX), found %d", len(found))
	}
	return found[0], nil
}

// Statement makes the attestation that doc, a document of the given format,
// describes the subjects. The document becomes the predicate byte for byte,
// less white space around it.
//
// The document must be about the subjects: its root component must have the
// digest of one of them, and every other one must have the digest of a
// component. Anything else is refused with [ReasonBinding], so that a document
// cannot be attached to an artifact that it does not describe.
func Statement(subjects []provenance.ResourceDescriptor, doc []byte, f Format) (*provenance.Statement, error) {
	g, err := Read(doc, f)
	if err != nil {
		return nil, err
	}
	if len(subjects) == 0 {
		return nil, errorf(ReasonBinding, "no subject")
	}
	root := g.Root()
	if !slices.ContainsFunc(subjects, func(s provenance.ResourceDescriptor) bool { return s.Digest.Matches(root.Digests) }) {
		return nil, errorf(ReasonBinding, "the document is about %q (%s), which is none of the subjects (the first is %q, %s)",
			root.Name, describe(root.Digests), subjects[0].Label(), describe(subjects[0].Digest))
	}
	for _, s := range subjects {
		if !slices.ContainsFunc(g.components, func(c *Component) bool { return s.Digest.Matches(c.Digests) }) {
			return nil, errorf(ReasonBinding, "the document has no component with the digest of subject %q (%s)", s.Label(), describe(s.Digest))
		}
	}
	// Encoded by hand, so that the document is not touched.
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(subjects); err != nil {
		return nil, errorf(ReasonFormat, "subjects: %v", err)
	}
	payload := fmt.Appendf(nil, `{"_type":%s,"subject":%s,"predicateType":%s,"predicate":`,
		strconv.Quote(provenance.StatementV1), bytes.TrimSpace(buf.Bytes()), strconv.Quote(string(f)))
	payload = append(append(payload, bytes.TrimSpace(doc)...), '}')
	return provenance.ParseStatement(payload)
}

func describe(s provenance.DigestSet) string {
	if len(s) == 0 {
		return "no digest"
	}
	return s.String()
}
