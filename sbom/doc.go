// Package sbom says what is inside an artifact.
//
// A [Graph] holds components (their names, package URLs, digests, licences,
// suppliers), how they relate, and, as carefully, what is not known. Producers
// make one: package sbom/golang from a Go binary and its build, module
// sbom/syft from a scan of a folder, an archive or an image. [Graph.Merge] puts
// two together.
//
//	g, err := golang.FromBinary(ctx, "dist/app", golang.Options{ModCache: cache, Created: t})
//	doc, err := g.Encode(sbom.CycloneDX)
//	st, err := sbom.Statement(subjects, doc, sbom.CycloneDX) // to be signed
//
// What to do with bills is in packages of their own: sbom/diff compares and
// reconciles them, sbom/account holds one against every byte of an artifact,
// sbom/assembly makes that of a product out of those of its parts, sbom/jsf
// signs a document, and sbom/gate says which gates judge one.
//
// # Where each field comes from
//
// Every field of a component can carry [Evidence]: whether it was observed (in
// the artifact, or in bytes whose digest was checked), locked (in a lock file),
// declared (by the component's authors or by the caller) or inferred (guessed
// by a rule), with a confidence. What is not known is left empty and noted with
// [Graph.AddUnknown]; it is written as unknown, never dropped and never guessed.
// Completeness is computed from what was noted ([Graph.Completeness]), not
// asserted.
//
// # Documents
//
// [Graph.Write] writes the [Format]s of CycloneDX and SPDX. The same graph gives
// the same bytes: components are in canonical order, identifiers and the serial
// number are derived from content, the time is the caller's. [Read] reads them
// back, holds them to the rules of their schema and says line and path of what
// breaks one.
//
// What a format has no field for is kept in properties (CycloneDX) or
// annotations (SPDX) whose names start with "hallmark:", so a document that this
// package wrote loses nothing on the way through any of them; Write reports what
// was put there. What was read and the graph has no place for is kept too, and
// written again in the same format.
//
// The package runs no process, reaches no network, and reads no clock and no
// environment.
package sbom
