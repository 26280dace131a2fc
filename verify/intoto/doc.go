// Package intoto judges a product by an in-toto layout and the signed links of
// its steps, by the semantics of the reference implementation.
//
//	owner, err := layout.ParseKey(pem)
//	dir, err := os.OpenRoot("links")
//	summary, err := intoto.Verify(ctx, layoutDocument, []layout.Key{owner}, dir.FS(), intoto.Options{
//		At: time.Now(),
//	})
//
// err == nil means that the product passed, and summary says why. A refusal is
// a [*RefusedError] with a stable [Reason], the step, the rule, the artifact
// and, where two steps differ about it, both digests.
//
// # What is verified
//
// In the order of in-toto specification v1.0, section 5.2: every given key has
// signed the layout; the layout has not expired; each step has links by enough
// distinct functionaries, who agree on its materials and products; a link that
// is itself a layout is judged with its functionary's key alone; the artifact
// rules of all steps hold; and then, if there is an [Executor], inspections
// are run and their rules hold. What the command of a step was is a matter for
// a [Note].
//
// Documents are Metablocks, signed over canonical JSON, or DSSE envelopes.
// Functionaries are keys of the layout, or holders of certificates that meet
// its constraints (ITE-7). Artifact names may be URIs (ITE-4), which are
// compared as they are; paths are cleaned once, as path.Clean does.
//
// An ITE-10 layout, YAML in an envelope of type [LayoutPayloadType], wants
// attestations instead of links, and has attribute rules (ITE-11) in CEL:
//
//	intoto.Options{At: time.Now(), Conditions: cel.Compiler{}}
//
// # Counting
//
// Functionaries are distinct when neither the key nor the identity of a
// certificate is the same. A key under two ids in one layout is refused.
// Key ids are hints: they help to find files, and decide nothing.
//
// # Verifying executes nothing
//
// Inspections are commands in a document, and a functionary who delegates a
// step can add some. Without an Executor a layout that has any is refused.
// The package itself reaches no network, runs nothing, reads no clock, and
// reads no files but those of the [fs.FS] it is given. An os.Root keeps that
// inside its directory; os.DirFS does not.
//
// docs/in-toto.md has the rules with examples, and where this package differs
// from other implementations.
package intoto
