// Package layout has the documents of in-toto's classic format (in-toto
// specification v1.0): layouts, the keys in them, artifact rules, and the
// canonical JSON that signatures are made over. The links that belong to them
// are [predicate.ClassicLink].
//
// A layout says which steps a product went through, who may have done each,
// and how artifacts pass between them:
//
//	alice, err := layout.NewKey(alicePublic, "")
//	l := &layout.Layout{
//		Expires: layout.At(time.Now().AddDate(1, 0, 0)),
//		Keys:    map[string]layout.Key{alice.KeyID: alice},
//		Steps: []layout.Step{{
//			Name:             "build",
//			Threshold:        1,
//			PubKeys:          []string{alice.KeyID},
//			ExpectedProducts: []layout.Rule{{Verb: layout.Create, Pattern: "app"}, {Verb: layout.Disallow, Pattern: "*"}},
//		}},
//	}
//	document, err := l.Encode()
//
// Package sign/intoto signs documents, package verify/intoto judges a product
// by a layout and signed links.
//
// Everything is read strictly: exact names, no duplicates, nothing unknown in a
// layout (a condition that nobody reads is a condition that nobody checks).
// Every problem with a document is a [provenance.FormatError].
package layout
