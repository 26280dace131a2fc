// Package golang makes the bill of materials of a Go program from the program
// itself and from what its build left in the module cache.
//
// A Go binary lists the modules that were linked into it, each with the hash
// that go.sum holds ("h1:"). That list is what was shipped, not what a lock
// file allows. The module cache has the modules themselves, and so their
// digests, licences, copyright notices and requirements. Nothing in the cache
// is taken on trust: a module's hash is computed anew from its files and must
// be the one in the binary. Otherwise it is treated as absent and noted with
// the reason "digest-mismatch".
//
//	g, err := golang.FromBinary(ctx, "dist/app", golang.Options{
//		ModCache: cache,      // as "go env GOMODCACHE" says
//		Source:   ".",        // the main module's folder
//		Created:  buildTime,  // SOURCE_DATE_EPOCH
//	})
//
// What cannot be known is noted in the graph ([sbom.Graph.Unknowns]): modules
// that the cache does not have, replacements by a folder, C code linked in by
// cgo, licence texts that are not recognised. No module is ever left out.
//
// The package runs no go command, reaches no network, and reads no
// environment.
package golang

import (
	"bytes"
	"cmp"
	"context"
	"debug/buildinfo"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/modfile"

	"github.com/hallmark-build/hallmark/internal/licensetext"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/purl"
)

// Reasons of the unknowns that this package notes. They are stable.
const (
	ReasonNoCache       = "not-in-module-cache" // no module cache was named, or it lacks the module
	ReasonMismatch      = "digest-mismatch"     // the cache has a module whose hash is not the binary's
	ReasonNoSum         = "no-checksum"         // the binary has no hash of the module (vendored, workspace)
	ReasonReplaced      = "replaced-by-folder"  // a replace directive names a folder
	ReasonNoLicence     = "no-licence-file"     // the module has no licence file
	ReasonLicenceText   = "licence-text"        // a licence file with conditions that are not recognised
	ReasonNoCopyright   = "no-copyright-notice" // no licence file has one
	ReasonNoGoMod       = "no-go-mod"           // no requirements to read
	ReasonNoVersion     = "no-version"          // the build did not record one
	ReasonDirty         = "dirty-source"        // built from a working tree with changes
	ReasonCgo           = "cgo"                 // C code, or libraries loaded at run time
	ReasonEmbedded      = "embedded-files"      // files embedded with go:embed, which may be anything
	ReasonNoPackages    = "no-package-list"     // which packages of the modules were linked cannot be read
	ReasonNoSource      = "no-source"           // no Options.Source, and the main module is not in the cache
	ReasonNoToolchain   = "no-toolchain"        // Options.Goroot was not given, or is another version
	ReasonNoArchive     = "no-distribution"     // the toolchain is there, the archive that it came in is not
	ReasonNoOrigin      = "no-origin"           // the module path does not say where the source is
	ReasonNoSupplier    = "no-supplier"         // nobody said, and guessing was not asked for
	ReasonNotIdentified = "no-linked-list"      // an old toolchain that does not list modules
)

// Options says what to look at beside the binary. The zero value looks at the
// binary alone and notes all else as unknown, except Created, which must be set.
type Options struct {
	// Created is the time that the documents carry. Required.
	Created time.Time

	// ModCache is the module cache's folder. "" means there is none.
	ModCache string

	// Source is the main module's folder: its go.mod (requirements), go.sum
	// (hashes that a vendored build leaves out of the binary) and licence.
	Source string

	// Licences is the folder whose licence files apply to the main module when
	// its own folder has none: the top of a repository with several modules.
	Licences string

	// Local are the folders of modules that the build took from the source
	// tree, through a workspace or a replace directive, by module path: what
	// go.sum has no hash of. They get the dirHash of the folder.
	Local map[string]string

	// Goroot is the folder of the toolchain that built the binary, for the
	// standard library's licence. It is used only when its version is the
	// binary's.
	Goroot string

	// Name and Version of the product; "" means the binary's base name and
	// the version that the build recorded.
	Name, Version string

	// Supplier is who supplies the main module.
	Supplier sbom.Party

	// Suppliers says who supplies which modules, by module path prefix
	// ("golang.org/x" covers golang.org/x/mod); the longest prefix counts.
	Suppliers map[string]sbom.Party

	// InferSuppliers takes the owner of a repository at a well-known host
	// for its supplier where Suppliers says nothing. The result is marked
	// as inferred.
	InferSuppliers bool

	// Proxy is the base URL from which the module zips can be fetched, for
	// the distribution references; "" means "https://proxy.golang.org",
	// "off" leaves them out. The references are marked as inferred: the
	// binary does not say where a module came from, only what it is.
	Proxy string

	// Tool and the rest of who made the bill.
	Tool         sbom.Tool
	Authors      []sbom.Party
	Manufacturer sbom.Party

	// Progress, if set, is called after each module, from one goroutine at a
	// time.
	Progress func(done, total int)

	// Workers is how many modules are read at once; 0 means one for each
	// processor, at most 8.
	Workers int
}

// FromBinary makes the bill of materials of the Go program at path. The root
// component is the program, with the digests of the file.
func FromBinary(ctx context.Context, path string, o Options) (*sbom.Graph, error) {
	if o.Created.IsZero() {
		return nil, fmt.Errorf("golang: Options.Created is required")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	bi, err := buildinfo.Read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: not a Go program with build information: %w", path, err)
	}
	seek := &cgoWatch{}
	artifact, err := provenance.DigestReader(ctx, filepath.Base(path), io.TeeReader(io.NewSectionReader(f, 0, info.Size()), seek))
	if err != nil {
		return nil, err
	}
	b := &builder{o: o, bi: bi, g: &sbom.Graph{Creation: sbom.Creation{
		Created: o.Created, Tool: o.Tool, Authors: o.Authors, Manufacturer: o.Manufacturer, Phase: "build",
	}}}
	if b.g.Creation.Tool.Name == "" {
		b.g.Creation.Tool = sbom.Tool{Name: "hallmark"}
	}
	b.assignPackages(f)
	if err := b.readMain(ctx); err != nil {
		return nil, err
	}
	b.addRoot(artifact)
	if err := b.addModules(ctx); err != nil {
		return nil, err
	}
	b.addToolchain()
	b.noteC(f, seek.found)
	return b.g, nil
}

type builder struct {
	o       Options
	bi      *debug.BuildInfo
	g       *sbom.Graph
	root    string
	main    content // the main module's, as far as there is a source of it
	source  string  // what that source is; "" for none
	sums    map[string]string
	modules []*linked

	packages   map[string][]string // linked packages by module path, or "stdlib"; nil if they are not known
	noPackages string              // why not
}

// A linked is a module that was linked.
type linked struct {
	path, version, sum string // of what was linked, after replacement
	required           string // the path that go.mod files know it by
	requiredVersion    string
	folder             bool              // replaced by a folder
	local              provenance.Digest // of the folder in Options.Local
	id                 string
	content            content
	err                error
}

// readMain reads the main module: from the source folder, or, when the program
// was installed by path and version, from the module cache.
func (b *builder) readMain(ctx context.Context) error {
	main := b.bi.Main
	switch {
	case b.o.Source != "":
		b.source = "the source folder"
		b.main = content{goMod: readGoMod(b.o.Source, main.Path), licences: licenceFilesOf(b.o.Source)}
		if len(b.main.licences) == 0 && b.o.Licences != "" {
			b.source, b.main.licences = "the folder of licences", licenceFilesOf(b.o.Licences)
		}
		b.main.embeds = embedsOf(b.o.Source, b.packages[main.Path], main.Path)
		b.sums = readGoSum(b.o.Source)
	case b.o.ModCache != "" && main.Sum != "":
		var r reader
		if c, err := r.module(ctx, b.o.ModCache, main.Path, main.Version, main.Sum); err == nil {
			b.source, b.main = "the module", c
		}
	}
	return ctx.Err()
}

func (b *builder) setting(key string) string {
	for _, s := range b.bi.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}

func (b *builder) addRoot(artifact provenance.Artifact) {
	main := b.bi.Main
	version, source := b.o.Version, sbom.Declared
	if version == "" && main.Version != "" && main.Version != "(devel)" {
		version, source = main.Version, sbom.Observed
	}
	c := sbom.Component{
		Type: sbom.Application, Name: cmp.Or(b.o.Name, artifact.Name), Version: version, Digests: artifact.Digests,
		Scope: sbom.Required, Supplier: b.o.Supplier, Dependencies: sbom.Complete,
		// TR-03183-2 5.2.2 wants these of the deliverable.
		Properties: []sbom.Property{
			{Name: "bsi:component:filename", Value: artifact.Name},
			{Name: "bsi:component:executable", Value: "executable"},
			{Name: "bsi:component:archive", Value: "no archive"},
			{Name: "bsi:component:structured", Value: "structured"},
		},
	}
	if main.Path != "" {
		sub, ok := strings.CutPrefix(b.bi.Path, main.Path+"/")
		if !ok { // the package at the module's root, or files named one by one
			sub = ""
		}
		c.PURL = goPURL(main.Path, version, sub)
	}
	add := func(name, value string) {
		if value != "" {
			c.Properties = append(c.Properties, sbom.Property{Name: name, Value: value})
		}
	}
	add("hallmark-go:package", b.bi.Path)
	add("hallmark-go:module", main.Path)
	add("hallmark-go:version", b.bi.GoVersion)
	for _, s := range b.bi.Settings {
		// The linker and C flags may hold paths of the building machine and
		// anything else; they are not repeated.
		if strings.HasPrefix(s.Key, "vcs") || strings.HasPrefix(s.Key, "GO") || slices.Contains(
			[]string{"-buildmode", "-compiler", "-trimpath", "-tags", "-race", "-msan", "-asan", "-cover", "CGO_ENABLED", "DefaultGODEBUG"}, s.Key) {
			add("hallmark-go:build:"+strings.TrimPrefix(s.Key, "-"), s.Value)
		}
	}
	for _, e := range []sbom.Evidence{
		{Field: sbom.FieldIdentity, Source: sbom.Observed, Method: "go build info"},
		{Field: sbom.FieldDigests, Source: sbom.Observed, Method: "content of the file"},
		{Field: sbom.FieldDependencies, Source: sbom.Observed, Method: "go build info"},
	} {
		c.SetEvidence(e)
	}
	if version != "" {
		c.SetEvidence(sbom.Evidence{Field: sbom.FieldVersion, Source: source, Method: map[bool]string{true: "go build info", false: "caller"}[source == sbom.Observed]})
	}
	if !c.Supplier.IsZero() {
		c.SetEvidence(sbom.Evidence{Field: sbom.FieldSupplier, Source: sbom.Declared, Method: "caller"})
	}
	gaps := describeLicences(&c, b.main.licences, b.source)
	if proxy := cmp.Or(b.o.Proxy, "https://proxy.golang.org"); b.main.zip != nil && proxy != "off" {
		if u, ok := zipURL(proxy, main.Path, main.Version); ok {
			c.References = append(c.References, sbom.Reference{Kind: "source-distribution", URL: u, Digests: b.main.zip})
			c.SetEvidence(sbom.Evidence{Field: sbom.FieldReferences, Source: sbom.Inferred, Confidence: 90, Method: "module path"})
		}
	}
	if u, ok := repository(main.Path); ok {
		c.References = append(c.References, sbom.Reference{Kind: "vcs", URL: u})
		c.SetEvidence(sbom.Evidence{Field: sbom.FieldReferences, Source: sbom.Inferred, Confidence: 90, Method: "module path"})
	}
	b.describePackages(&c, main.Path)
	b.root = b.g.Add(c)
	b.noteEmbeds(b.root, b.embeds(main.Path, b.main.embeds))
	if b.packages == nil {
		b.gap(b.root, sbom.FieldIdentity, ReasonNoPackages, b.noPackages)
	}
	if len(c.References) == 0 {
		b.gap(b.root, sbom.FieldReferences, ReasonNoOrigin, "")
	}
	if version == "" {
		b.gap(b.root, sbom.FieldVersion, ReasonNoVersion, "the build recorded no version of the main module")
	}
	if b.setting("vcs.modified") == "true" {
		b.gap(b.root, sbom.FieldIdentity, ReasonDirty, "built from a working tree with changes that are not committed")
	}
	if c.Supplier.IsZero() {
		b.gap(b.root, sbom.FieldSupplier, ReasonNoSupplier, "")
	}
	if b.source == "" {
		b.gap(b.root, sbom.FieldDeclared, ReasonNoSource, "")
		b.gap(b.root, sbom.FieldConcluded, ReasonNoSource, "")
		b.gap(b.root, sbom.FieldCopyright, ReasonNoSource, "")
	} else {
		for _, g := range gaps {
			b.gap(b.root, g.Field, g.Reason, g.Detail)
		}
	}
	if main.Path == "" {
		b.gap(b.root, sbom.FieldDependencies, ReasonNotIdentified, "the binary does not list modules")
	}
}

func (b *builder) gap(id string, f sbom.Field, reason, detail string) {
	b.g.AddUnknown(sbom.Gap{Component: id, Field: f, Reason: reason, Detail: detail})
}

func (b *builder) addModules(ctx context.Context) error {
	for _, d := range b.bi.Deps {
		m := &linked{path: d.Path, version: d.Version, sum: d.Sum, required: d.Path, requiredVersion: d.Version}
		if r := d.Replace; r != nil {
			m.path, m.version, m.sum = r.Path, r.Version, r.Sum
			if r.Version == "" || r.Version == "(devel)" || modfile.IsDirectoryPath(r.Path) {
				// The path is of the building machine; what it stands for is known.
				m.folder, m.path, m.version = true, d.Path, d.Version
			}
		}
		if m.sum == "" && !m.folder {
			m.sum = b.sums[m.path+" "+m.version]
		}
		b.modules = append(b.modules, m)
	}
	if err := b.readModules(ctx); err != nil {
		return err
	}
	for _, m := range b.modules {
		b.addModule(m)
	}
	b.relate()
	return nil
}

// readModules fills in what the module cache has.
func (b *builder) readModules(ctx context.Context) error {
	workers := b.o.Workers
	if workers <= 0 {
		workers = min(runtime.GOMAXPROCS(0), 8)
	}
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		done int
		todo = make(chan *linked)
	)
	for range min(workers, len(b.modules)) {
		wg.Go(func() {
			var r reader
			for m := range todo {
				switch dir := b.o.Local[m.required]; {
				case dir != "" && (m.folder || m.sum == ""):
					m.err = m.readLocal(ctx, dir, b.packages[m.required])
				case m.folder:
				case b.o.ModCache == "":
					m.err = errNotCached
				case m.sum == "":
					m.err = errNoSum
				default:
					m.content, m.err = r.module(ctx, b.o.ModCache, m.path, m.version, m.sum)
				}
				mu.Lock()
				done++
				if b.o.Progress != nil {
					b.o.Progress(done, len(b.modules))
				}
				mu.Unlock()
			}
		})
	}
	for _, m := range b.modules {
		if ctx.Err() != nil {
			break
		}
		todo <- m
	}
	close(todo)
	wg.Wait()
	return ctx.Err()
}

// readLocal reads a module that was built from a folder.
func (m *linked) readLocal(ctx context.Context, dir string, packages []string) error {
	tree, err := provenance.DigestTree(ctx, dir, provenance.TreeOptions{
		Exclude:             func(p string) bool { return p == ".git" || strings.HasSuffix(p, "/.git") },
		AllowCaseCollisions: true,
	})
	if err != nil {
		return err
	}
	m.local = tree.Digests().Get(provenance.DirHash)
	m.content = content{goMod: readGoMod(dir, m.required), licences: licenceFilesOf(dir), embeds: embedsOf(dir, packages, m.required)}
	m.folder = false
	if m.version == "" {
		m.version = "(devel)"
	}
	return nil
}

func (b *builder) addModule(m *linked) {
	c := sbom.Component{
		Type: sbom.Library, Name: m.path, Version: m.version, PURL: goPURL(m.path, m.version, ""), Scope: sbom.Required,
	}
	c.SetEvidence(sbom.Evidence{Field: sbom.FieldIdentity, Source: sbom.Observed, Method: "go build info"})
	add := func(name, value string) { c.Properties = append(c.Properties, sbom.Property{Name: name, Value: value}) }
	if m.folder {
		add("hallmark-go:replaced", "by a folder of the building machine")
	} else if m.path != m.required || m.version != m.requiredVersion {
		add("hallmark-go:replaces", m.required+"@"+m.requiredVersion)
	}
	if h, ok := h1(m.sum); ok {
		// Not the hash of any file: of the list of the module's files and
		// their hashes. So it keeps its own name.
		c.Digests = append(c.Digests, h)
		c.SetEvidence(sbom.Evidence{Field: sbom.FieldDigests, Source: sbom.Observed, Method: "go build info"})
	}
	var gaps []sbom.Gap
	if m.err == nil && !m.folder {
		if !m.local.IsZero() {
			c.Digests = append(c.Digests, m.local)
			c.SetEvidence(sbom.Evidence{Field: sbom.FieldDigests, Source: sbom.Observed, Method: "the module's folder in the source tree"})
			add("hallmark-go:local", "from the source tree")
		} else if m.content.zip != nil {
			c.Digests = append(c.Digests, m.content.zip...)
			c.SetEvidence(sbom.Evidence{Field: sbom.FieldDigests, Source: sbom.Observed, Method: "module zip whose h1 is the binary's"})
			add("bsi:component:filename", m.version+".zip")
			add("bsi:component:executable", "non-executable")
			add("bsi:component:archive", "archive")
			add("bsi:component:structured", "structured")
			if proxy := cmp.Or(b.o.Proxy, "https://proxy.golang.org"); proxy != "off" {
				if u, ok := zipURL(proxy, m.path, m.version); ok {
					c.References = append(c.References, sbom.Reference{Kind: "distribution", URL: u, Digests: m.content.zip})
					c.SetEvidence(sbom.Evidence{Field: sbom.FieldReferences, Source: sbom.Inferred, Confidence: 90, Method: "module path"})
				}
			}
		} else {
			gaps = append(gaps, sbom.Gap{Field: sbom.FieldDigests, Reason: ReasonNoCache, Detail: "the module cache has the files and not the zip"})
		}
		gaps = append(gaps, describeLicences(&c, m.content.licences, "the module")...)
	} else {
		reason, detail := ReasonReplaced, "go.mod replaces the module by a folder"
		if !m.folder {
			reason, detail = reasonOf(m.err)
		}
		for _, f := range []sbom.Field{sbom.FieldDigests, sbom.FieldDeclared, sbom.FieldConcluded, sbom.FieldCopyright, sbom.FieldDependencies} {
			gaps = append(gaps, sbom.Gap{Field: f, Reason: reason, Detail: detail})
		}
	}
	if u, ok := repository(m.path); ok {
		c.References = append(c.References, sbom.Reference{Kind: "vcs", URL: u})
		c.SetEvidence(sbom.Evidence{Field: sbom.FieldReferences, Source: sbom.Inferred, Confidence: 90, Method: "module path"})
	}
	if s, src, how := b.supplier(m.path); !s.IsZero() {
		c.Supplier = s
		c.SetEvidence(sbom.Evidence{Field: sbom.FieldSupplier, Source: src, Confidence: map[sbom.Source]int{sbom.Declared: 100, sbom.Inferred: 60}[src], Method: how})
	} else {
		gaps = append(gaps, sbom.Gap{Field: sbom.FieldSupplier, Reason: ReasonNoSupplier})
	}
	if m.content.goMod != nil {
		c.Dependencies = sbom.Complete
		c.SetEvidence(sbom.Evidence{Field: sbom.FieldDependencies, Source: sbom.Declared, Method: "go.mod of the module, less what was not linked"})
	} else if m.err == nil && !m.folder {
		gaps = append(gaps, sbom.Gap{Field: sbom.FieldDependencies, Reason: ReasonNoGoMod, Detail: "the module has no go.mod"})
	}
	b.describePackages(&c, m.required)
	m.id = b.g.Add(c)
	b.noteEmbeds(m.id, b.embeds(m.required, m.content.embeds))
	for _, g := range gaps {
		b.gap(m.id, g.Field, g.Reason, g.Detail)
	}
}

func (b *builder) supplier(modPath string) (sbom.Party, sbom.Source, string) {
	for p := modPath; p != "." && p != "/"; p = path.Dir(p) {
		if s, ok := b.o.Suppliers[p]; ok {
			return s, sbom.Declared, "caller"
		}
	}
	if b.o.InferSuppliers {
		parts := strings.Split(modPath, "/")
		switch {
		case len(parts) >= 2 && (parts[0] == "github.com" || parts[0] == "gitlab.com" || parts[0] == "codeberg.org" || parts[0] == "bitbucket.org"):
			return sbom.Party{Name: parts[1], URL: "https://" + parts[0] + "/" + parts[1]}, sbom.Inferred, "owner of the repository"
		default:
			return sbom.Party{Name: parts[0], URL: "https://" + parts[0]}, sbom.Inferred, "domain of the module path"
		}
	}
	return sbom.Party{}, "", ""
}

// relate adds the edges: what each go.mod requires directly, as far as it was
// linked. What nothing reaches that way is attached to the root, which did link it.
func (b *builder) relate() {
	byPath := make(map[string]string, len(b.modules))
	for _, m := range b.modules {
		byPath[m.required] = m.id
	}
	edges := make(map[string][]string)
	connect := func(from string, f *modfile.File) {
		for _, r := range f.Require {
			if to := byPath[r.Mod.Path]; to != "" && to != from && !r.Indirect {
				edges[from] = append(edges[from], to)
			}
		}
	}
	if b.main.goMod != nil {
		connect(b.root, b.main.goMod)
	}
	for _, m := range b.modules {
		if m.content.goMod != nil {
			connect(m.id, m.content.goMod)
		}
	}
	reached := map[string]bool{}
	var walk func(id string)
	walk = func(id string) {
		if !reached[id] {
			reached[id] = true
			for _, to := range edges[id] {
				walk(to)
			}
		}
	}
	walk(b.root)
	hasParent := make(map[string]bool)
	for _, list := range edges {
		for _, to := range list {
			hasParent[to] = true
		}
	}
	// First those that nothing requires, then what is still not reached, which
	// are cycles among themselves.
	for pass := range 2 {
		for _, m := range b.modules {
			if !reached[m.id] && (pass == 1 || !hasParent[m.id]) {
				edges[b.root] = append(edges[b.root], m.id)
				walk(m.id)
			}
		}
	}
	for _, from := range append([]*linked{{id: b.root}}, b.modules...) {
		for _, to := range edges[from.id] {
			b.g.Relate(from.id, sbom.DependsOn, to) // both were added above
		}
	}
}

// addToolchain adds the standard library, which is linked, and the toolchain,
// which is not.
func (b *builder) addToolchain() {
	version := strings.TrimPrefix(strings.Fields(b.bi.GoVersion + " ")[0], "go")
	goTeam := sbom.Party{Name: "The Go Authors", URL: "https://go.dev"}
	std := sbom.Component{
		Type: sbom.Library, Name: "stdlib", Version: version, PURL: goPURL("stdlib", version, ""), Scope: sbom.Required,
		Supplier: goTeam, Dependencies: sbom.Complete,
		References: []sbom.Reference{{Kind: "vcs", URL: "https://go.googlesource.com/go"}},
	}
	tool := sbom.Component{
		Type: sbom.Application, Name: "go", Version: version, PURL: purl.PURL{Type: "generic", Name: "go", Version: version}.String(),
		Scope: sbom.Excluded, Supplier: goTeam,
	}
	for _, c := range []*sbom.Component{&std, &tool} {
		c.SetEvidence(sbom.Evidence{Field: sbom.FieldIdentity, Source: sbom.Observed, Method: "go build info"})
		c.SetEvidence(sbom.Evidence{Field: sbom.FieldSupplier, Source: sbom.Inferred, Confidence: 95, Method: "name of the toolchain"})
	}
	std.SetEvidence(sbom.Evidence{Field: sbom.FieldDependencies, Source: sbom.Inferred, Confidence: 100, Method: "the standard library requires no modules"})
	noDigest := sbom.Gap{Field: sbom.FieldDigests, Reason: ReasonNoToolchain, Detail: "the toolchain's distribution is not at hand"}
	var gaps []sbom.Gap
	if goroot := b.o.Goroot; goroot != "" && gorootVersion(goroot) == "go"+version {
		noDigest.Reason, noDigest.Detail = ReasonNoArchive, "the toolchain's folder is not the archive that is distributed"
		gaps = append(gaps, describeLicences(&std, licenceFilesOf(goroot), "the toolchain's folder")...)
	} else {
		for _, f := range []sbom.Field{sbom.FieldDeclared, sbom.FieldConcluded, sbom.FieldCopyright} {
			gaps = append(gaps, sbom.Gap{Field: f, Reason: ReasonNoToolchain, Detail: "no toolchain folder of this version was given"})
		}
	}
	b.describePackages(&std, "stdlib")
	id := b.g.Add(std)
	for _, g := range append(gaps, noDigest) {
		b.gap(id, g.Field, g.Reason, g.Detail)
	}
	toolID := b.g.Add(tool)
	b.gap(toolID, sbom.FieldDigests, noDigest.Reason, noDigest.Detail)
	b.g.Relate(b.root, sbom.DependsOn, id)
	b.g.Relate(b.root, sbom.BuiltWith, toolID)
	for _, m := range b.modules {
		b.g.Relate(m.id, sbom.DependsOn, id)
	}
}

// noteC notes C code and shared libraries, which the build information does
// not list.
func (b *builder) noteC(f *os.File, cgo bool) {
	libs := sharedLibraries(f)
	if cgo || len(libs) > 0 && b.setting("CGO_ENABLED") != "0" {
		detail := "C code linked in by cgo is not listed"
		if len(libs) > 0 {
			detail += "; loads at run time: " + strings.Join(libs, ", ")
		}
		b.gap(b.root, sbom.FieldDependencies, ReasonCgo, detail)
	}
}

func sharedLibraries(f *os.File) []string {
	defer func() { recover() }() // debug/* parse what the toolchain wrote; a crafted file must not end the program
	var libs []string
	if x, err := elf.NewFile(f); err == nil {
		libs, _ = x.ImportedLibraries()
	} else if x, err := macho.NewFile(f); err == nil {
		libs, _ = x.ImportedLibraries()
	} else if x, err := pe.NewFile(f); err == nil {
		libs, _ = x.ImportedLibraries()
	}
	slices.Sort(libs)
	return slices.Compact(libs)
}

// A cgoWatch finds out whether a program has cgo's stubs. Their names are in
// the table that the runtime needs for stack traces, which stripping leaves.
type cgoWatch struct {
	found bool
	tail  []byte
}

const cgoStub = "._Cfunc_"

func (w *cgoWatch) Write(p []byte) (int, error) {
	if !w.found {
		// A stub may lie across two writes.
		const keep = len(cgoStub) - 1
		seam := append(w.tail, p[:min(len(p), keep)]...)
		w.found = bytes.Contains(seam, []byte(cgoStub)) || bytes.Contains(p, []byte(cgoStub))
		if len(p) >= keep {
			seam = append(seam[:0], p[len(p)-keep:]...)
		}
		w.tail = seam[max(0, len(seam)-keep):]
	}
	return len(p), nil
}

// goPURL returns the package URL of a module or of a package in it.
func goPURL(modPath, version, sub string) string {
	p := purl.PURL{Type: "golang", Name: modPath, Version: version, Subpath: sub}
	if i := strings.LastIndexByte(modPath, '/'); i >= 0 {
		p.Namespace, p.Name = modPath[:i], modPath[i+1:]
	}
	return p.String()
}

// repository returns the source repository of a module whose host makes it
// plain.
func repository(modPath string) (string, bool) {
	parts := strings.Split(modPath, "/")
	switch {
	case len(parts) >= 3 && (parts[0] == "github.com" || parts[0] == "codeberg.org" || parts[0] == "bitbucket.org"):
		return "https://" + strings.Join(parts[:3], "/"), true
	case len(parts) >= 3 && parts[0] == "golang.org" && parts[1] == "x":
		return "https://go.googlesource.com/" + parts[2], true
	}
	return "", false
}

// describeLicences sets licences and copyright from licence files, and returns
// what stays unknown. Files at the top are what the authors declare. What
// applies to the whole is the licences of all files together, and is concluded
// only when every text was recognised to the end.
func describeLicences(c *sbom.Component, files []file, where string) []sbom.Gap {
	var top, all []string
	confidence, settled := 100, true
	var gaps []sbom.Gap
	for _, f := range files {
		m := licensetext.Detect(f.text)
		if f.top() {
			top = append(top, m.IDs...)
			c.Copyright = append(c.Copyright, licensetext.Copyright(f.text)...)
			confidence = min(confidence, m.Percent)
		}
		all = append(all, m.IDs...)
		if !m.Settled() {
			settled = false
			gaps = append(gaps, sbom.Gap{Field: sbom.FieldConcluded, Reason: ReasonLicenceText, Detail: f.name + " has text that is not a known licence"})
		}
	}
	conjunction := func(ids []string) string {
		slices.Sort(ids)
		return strings.Join(slices.Compact(ids), " AND ")
	}
	if len(top) > 0 {
		c.Declared = sbom.License{Expression: conjunction(top)}
		c.SetEvidence(sbom.Evidence{Field: sbom.FieldDeclared, Source: sbom.Inferred, Confidence: max(confidence, 1), Method: "text of licence files"})
		if settled {
			c.Concluded = sbom.License{Expression: conjunction(all)}
			c.SetEvidence(sbom.Evidence{Field: sbom.FieldConcluded, Source: sbom.Inferred, Confidence: max(confidence, 1), Method: "text of all licence files"})
		}
	} else {
		reason, detail := ReasonNoLicence, where+" has no licence file at the top"
		if slices.ContainsFunc(files, file.top) {
			reason, detail = ReasonLicenceText, "no licence was recognised"
		}
		gaps = append(gaps, sbom.Gap{Field: sbom.FieldDeclared, Reason: reason, Detail: detail}, sbom.Gap{Field: sbom.FieldConcluded, Reason: reason, Detail: detail})
	}
	if len(c.Copyright) > 0 {
		c.SetEvidence(sbom.Evidence{Field: sbom.FieldCopyright, Source: sbom.Declared, Method: "licence files"})
	} else {
		gaps = append(gaps, sbom.Gap{Field: sbom.FieldCopyright, Reason: ReasonNoCopyright})
	}
	return gaps
}
