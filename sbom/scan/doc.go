// Package scan makes a bill of materials from what package managers left in a
// directory tree or a container image: lock files, installed packages, package
// databases, programs that list what they are made of.
//
//	g, err := scan.Dir(ctx, "app", scan.Options{Created: buildTime})
//	g, err := scan.Image(ctx, "image.tar", scan.Options{Created: buildTime, Cache: dir})
//
// It runs no tool, reaches no network, follows no symbolic link out of the tree
// and writes nothing (but to Options.Cache). The tree is walked once, in
// parallel; files are chosen by name and no others are opened. An image is read
// once from front to back, layer by layer, and not unpacked.
//
// # What is found
//
//   - npm: package-lock.json (versions 1 to 3), npm-shrinkwrap.json,
//     node_modules/.package-lock.json, pnpm-lock.yaml (5 to 9), yarn.lock (1 and
//     later), installed packages (node_modules/*/package.json), what a bundler
//     packed (metafile of esbuild, stats of webpack, raw data of
//     rollup-plugin-visualizer)
//   - Debian: var/lib/dpkg/status, status.d; Alpine: lib/apk/db/installed; RPM: the
//     database in var/lib/rpm or usr/lib/sysimage/rpm, in SQLite, in rpm's own
//     format or in Berkeley DB
//   - Python: requirements*.txt, poetry.lock, uv.lock, pdm.lock, pylock.toml,
//     Pipfile.lock, installed *.dist-info and *.egg-info
//   - Rust: Cargo.lock, programs built with cargo auditable
//   - Go: go.mod with go.sum, programs
//   - Java: pom.xml, gradle.lockfile, jars and the jars in them
//
// # What counts
//
// A package that is installed is observed. One that a lock file names is locked;
// one that a manifest asks for is declared, and has a version only if the
// manifest names exactly one. Packages with the same package URL are one
// component, each field with the best source, unless their digests contradict
// each other: then they stay two, and both are noted ("digest-conflict").
//
// Where packages are installed beside their lock file (node_modules), those that
// the lock file names and that are not installed (a package for another
// platform, a development dependency) are no components. They are noted, one by
// one, with [ReasonNotInstalled]. Lock files that are inside an installed
// package have no effect and are passed over, as package managers do; so are
// go.mod files in vendor directories.
//
// What cannot be read is noted with the path and a reason, never dropped. The
// bill of a scan is never complete; it says so ([ReasonScanned]).
//
// # How to add an analyser
//
// An analyser is a value of type analyser in the list analysers: a name, a
// version (to be raised with every change of what it finds, so that cached
// results are not used any more), a function that says by path which files it
// wants, the largest file that it reads, and a function that reads one file and
// reports findings. It sees one file and nothing else: no file system, no
// clock. Findings of all files are put together afterwards (see assemble.go), which is
// where a reference to another package (finding.Wants) is resolved. A returned
// error becomes an unknown about the file, with what was found before it kept.
// Every analyser has a fuzz target in fuzz_test.go.
package scan
