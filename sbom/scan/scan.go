package scan

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"time"

	"github.com/hallmark-build/hallmark/internal/spdxlicense"
	"github.com/hallmark-build/hallmark/sbom"
)

// Reasons of the unknowns that this package notes. They are stable. "digest-conflict"
// is that of [sbom.Graph.Merge].
const (
	ReasonScanned      = "scanned"               // found by looking; there may be more
	ReasonUnreadable   = "unreadable"            // a file or directory that cannot be opened or read
	ReasonMalformed    = "malformed"             // a file that is not of the format its name says
	ReasonLimit        = "limit"                 // more than is read; see the detail
	ReasonNotInstalled = "not-installed"         // in the lock file beside an installed tree that lacks it
	ReasonNotPacked    = "not-packed"            // npm packages that Options.Packed leaves out
	ReasonUnresolved   = "unresolved-dependency" // a dependency that nothing found satisfies
	ReasonNotExact     = "no-exact-version"      // asked for by a range of versions
	ReasonBadDigest    = "bad-digest"            // an integrity value that is none
	ReasonConflict     = "digest-conflict"       // the same package URL with contradicting digests
	ReasonNoList       = "no-linked-list"        // a program that does not list what it is made of
	ReasonNoVersion    = "no-version"            // a package without a version
	ReasonNoDigest     = "no-digest"             // a directory, or a package without one
	ReasonNoLicence    = "no-licence"            // no licence in the package's metadata
	ReasonNoSupplier   = "no-supplier"           // no supplier in the package's metadata
	ReasonNoPURL       = "no-package-url"        // a component that is no package: a directory, an operating system
	ReasonMetadata     = "metadata-only"         // not looked for; package metadata alone is read
)

// Options says how to scan. Created is required; the zero value of all else is
// a good choice.
type Options struct {
	// Created is the time that the documents carry. Required.
	Created time.Time

	// Name and Version of what is scanned. Name "" is the base name of the
	// path; Version "" is noted as unknown.
	Name, Version string

	// Licence and Supplier of what is scanned, as the caller declares them; what
	// is zero is noted as unknown. An expression must be SPDX's.
	Licence  sbom.License
	Supplier sbom.Party

	// Exclude, if set, is asked for every file and directory, by its
	// slash-separated path relative to the root, whether to leave it out. It
	// is called from several goroutines.
	Exclude func(path string) bool

	// Ecosystems limits the scan to some of "npm", "deb", "apk", "rpm",
	// "pypi", "cargo", "golang" and "maven". Empty means all.
	Ecosystems []string

	// Packed limits npm packages to those of which a bundler packed something,
	// by the metafile or the stats that it left in the tree; how many are left
	// out is noted ([ReasonNotPacked]). It is for what is shipped as bundles and
	// without node_modules.
	Packed bool

	// Files, if set, is asked for every regular file that is none of the above,
	// by its path as in Exclude, whether to list it as a component of its own,
	// with its SHA-256: what is shipped beside packages, such as firmware, data,
	// or programs that say nothing about themselves. It is called from several
	// goroutines. Results are not cached then.
	Files func(path string) bool

	// Platform chooses an image out of an index: "linux/arm64". "" is the
	// only image; if there are several, the one for linux/amd64.
	Platform string

	// Cache is an existing directory for the results of image layers, by digest
	// and by the versions of the analysers. "" is none. Entries are written
	// as a whole and checked when they are read; one that fails the check is
	// as good as absent.
	Cache string

	// CacheKey authenticates the entries of Cache (HMAC-SHA256). Without a
	// key, an entry is protected against damage, not against others who may
	// write to the directory.
	CacheKey []byte

	// Digests has the programs that are found hashed (SHA-256); otherwise
	// their digests are noted as unknown. Java archives always are: their
	// hash is what they are looked up by.
	Digests bool

	// Workers is how many files, directories or layers are read at once; 0
	// means one for each processor.
	Workers int

	// Progress, if set, is called now and then with the number of files seen
	// and read so far, from one goroutine at a time.
	Progress func(seen, read int)

	// Tool and the rest of who made the bill.
	Tool         sbom.Tool
	Authors      []sbom.Party
	Manufacturer sbom.Party
}

// An Error says why something could not be scanned at all.
type Error struct {
	Reason string // stable: one of the Reason constants
	Path   string
	Msg    string
	Err    error // the cause, or nil
}

func (e *Error) Error() string {
	s := fmt.Sprintf("scan: %s: %s", clip(e.Path), e.Msg)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

func (o *Options) prepare(path string) error {
	if o.Created.IsZero() {
		return errors.New("scan: Options.Created is required")
	}
	if o.Name == "" {
		abs, err := filepath.Abs(path)
		if err != nil {
			return err
		}
		o.Name = filepath.Base(abs)
	}
	if e := o.Licence.Expression; e != "" {
		var err error
		if o.Licence.Expression, err = spdxlicense.Normalize(e); err != nil {
			return fmt.Errorf("scan: Options.Licence: %w", err)
		}
	}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.Tool.Name == "" {
		o.Tool = sbom.Tool{Name: "hallmark"}
	}
	for _, e := range o.Ecosystems {
		if !isEcosystem(e) {
			return fmt.Errorf("scan: unknown ecosystem %q", e)
		}
	}
	return nil
}

// Dir scans the directory at root. The root component of the graph is the
// directory: an application without a digest.
//
// An error means that the directory itself cannot be read, that there are more
// than limits.TreeEntries files in it, or that ctx is done. Whatever else is
// wrong with the tree is noted in the graph.
func Dir(ctx context.Context, root string, o Options) (*sbom.Graph, error) {
	if err := o.prepare(root); err != nil {
		return nil, err
	}
	w, err := newWalk(root, &o)
	if err != nil {
		return nil, err
	}
	defer w.tree.close()
	reports, err := w.run(ctx)
	if err != nil {
		return nil, err
	}
	a := newAssembly(&o, sbom.Component{Type: sbom.Application, Name: o.Name, Version: o.Version, Scope: sbom.Required})
	a.gap(a.root, sbom.FieldDigests, ReasonNoDigest, "a directory has no digest")
	return a.assemble(reports)
}
