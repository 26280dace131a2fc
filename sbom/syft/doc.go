// Package syft makes a bill of materials by looking through a folder, an
// archive or a container image with the syft library
// (github.com/anchore/syft). It is a module of its own, because syft links some
// 260 modules; a program that does not scan does not pay for it.
//
//	g, err := syft.Scan(ctx, "image-layout", syft.Options{Created: t, Name: "app", Version: "v1.2.3"})
//
// A scan guesses afterwards what a build knows. Where the build can say, prefer
// its own bill (package sbom/golang) and merge the scan into it
// ([sbom.Graph.Merge]) for all else.
//
// # What the scan does not do
//
// It reads the input and nothing else: no network, no container daemon, no
// registry, no go command, no local caches of package managers. Providers are
// chosen here and never tried one after another, so a mistyped path is an
// error and not a query for an image of that name. Images and archives are
// unpacked to the temporary folder while the scan lasts.
//
// What syft adds by guessing is left out (CPEs) or marked (each field carries
// its source). No supplier is stamped on components: a component has the one
// that its own package metadata names, or none. Digests are those that lock
// files and archives give; Go's h1 hash keeps its own name and is not passed
// off as a SHA-256. A package without a name or version is kept and noted. A
// scan is never complete: the graph says so.
//
// # SQLite
//
// RPM databases since 2020 are SQLite files, so this package imports
// modernc.org/sqlite, which registers the database/sql driver "sqlite". A
// program that registers another driver of that name panics at start; it has
// to drop one of the two.
package syft
