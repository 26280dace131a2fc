package sbom

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/hallmark-build/hallmark/provenance"
)

// Read reads a document of the given format. It holds the document to the
// rules of the format and version, all of them that its schema has, and says
// line and path of the first fault; it reads strictly (no duplicate names, valid
// UTF-8, nothing after the document, every reference defined, every digest
// well-formed) and within the bounds of 512 MiB, 1,048,576 components and
// 8,388,608 relationships. [CycloneDX] and [SPDX] stand for every version of
// theirs in JSON; another format is read as that one alone.
//
// A document that [Graph.Write] wrote comes back whole: writing it again gives
// the same bytes. What the graph has no place for is kept beside it, and is
// repeated when the graph is written in the same format and that version or a
// later one; signatures are not, because they are of the bytes that were read.
// A CycloneDX document may lack what [Graph.Root] and [Creation] hold.
func Read(doc []byte, f Format) (*Graph, error) {
	if f == CycloneDX || f == SPDX {
		found, err := detect(doc, false)
		if err != nil {
			return nil, err
		}
		if e := encodings[found]; e.family != f || !e.json {
			return nil, errorf(ReasonVersion, "want %s, found %s", f.family(), found)
		}
		f = found
	}
	e, ok := encodings[f]
	if !ok {
		return nil, errorf(ReasonFormat, "unknown format %q", string(f))
	}
	return e.read(doc)
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
	if root == nil {
		return nil, errorf(ReasonBinding, "the document does not say what it is about")
	}
	if f == SPDX { // or a later version, which has a type of its own
		if f, err = detect(doc, false); err != nil {
			return nil, err
		}
	}
	predicate := f.PredicateType()
	if predicate == "" {
		return nil, errorf(ReasonFormat, "%s is not JSON, so it cannot be a predicate", f)
	}
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
		strconv.Quote(provenance.StatementV1), bytes.TrimSpace(buf.Bytes()), strconv.Quote(predicate))
	payload = append(append(payload, bytes.TrimSpace(doc)...), '}')
	return provenance.ParseStatement(payload)
}

func describe(s provenance.DigestSet) string {
	if len(s) == 0 {
		return "no digest"
	}
	return s.String()
}
