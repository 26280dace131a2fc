package syft

import (
	"context"
	"crypto"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/mail"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/anchore/stereoscope/pkg/image"
	"github.com/anchore/syft/syft"
	"github.com/anchore/syft/syft/artifact"
	"github.com/anchore/syft/syft/cataloging"
	"github.com/anchore/syft/syft/cataloging/pkgcataloging"
	"github.com/anchore/syft/syft/license"
	"github.com/anchore/syft/syft/pkg"
	"github.com/anchore/syft/syft/pkg/cataloger/golang"
	syftsbom "github.com/anchore/syft/syft/sbom"
	"github.com/anchore/syft/syft/source"
	"github.com/anchore/syft/syft/source/directorysource"
	"github.com/anchore/syft/syft/source/filesource"
	_ "modernc.org/sqlite" // RPM databases; see the package comment

	"github.com/hallmark-build/hallmark/internal/spdxlicense"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/purl"
)

// A Kind says what is at the path to be scanned.
type Kind string

// Kinds. The zero Kind is found by looking at the path: a folder with a file
// oci-layout is an OCILayout, any other folder a Folder, any file a File. A tar
// file that holds an image has to be named as such.
const (
	Folder        Kind = "folder"
	File          Kind = "file"           // a program, or an archive that is looked into
	OCILayout     Kind = "oci-dir"        // a folder in the OCI image layout
	OCIArchive    Kind = "oci-archive"    // a tar of one
	DockerArchive Kind = "docker-archive" // what "docker save" writes
)

// Reasons of the unknowns that this package notes. They are stable.
const (
	ReasonScanned    = "scanned"     // found by looking; there may be more
	ReasonUnreadable = "unreadable"  // a file that an analyser could not read
	ReasonNoName     = "no-name"     // a package without a name
	ReasonNoVersion  = "no-version"  // a package without a version
	ReasonNoDigest   = "no-digest"   // a folder, or a package whose metadata has none
	ReasonNoLicence  = "no-licence"  // no licence in the package's metadata
	ReasonNoSupplier = "no-supplier" // no supplier in the package's metadata
	ReasonBadPURL    = "bad-purl"    // the package URL that was found is none
)

// Options says what to scan and how. Created is required; the zero value of
// all else is a good choice.
type Options struct {
	// Created is the time that the documents carry. Required.
	Created time.Time

	Kind Kind

	// Name and Version of what is scanned. Name "" is the base name of the
	// path; Version "" is noted as unknown.
	Name, Version string

	// Platform chooses an image out of an index: "linux/arm64".
	Platform string

	// Exclude are globs of what to leave out, relative to the path and
	// starting with "./", "*/" or "**/".
	Exclude []string

	// Workers is how many analysers run at once; 0 means one for each
	// processor.
	Workers int

	// Tool and the rest of who made the bill.
	Tool         sbom.Tool
	Authors      []sbom.Party
	Manufacturer sbom.Party
}

// Scan looks through what is at path and returns what it found. The root
// component is what was scanned: a file with its digests, an image with the
// digest of its manifest, a folder without a digest.
func Scan(ctx context.Context, path string, o Options) (*sbom.Graph, error) {
	if o.Created.IsZero() {
		return nil, errors.New("syft: Options.Created is required")
	}
	if o.Kind == "" {
		kind, err := detect(path)
		if err != nil {
			return nil, err
		}
		o.Kind = kind
	}
	if o.Name == "" {
		abs, err := filepath.Abs(path)
		if err != nil {
			return nil, err
		}
		o.Name = filepath.Base(abs)
	}
	c := converter{o: o, g: &sbom.Graph{Creation: sbom.Creation{
		Created: o.Created, Tool: o.Tool, Authors: o.Authors, Manufacturer: o.Manufacturer, Phase: "post-build",
	}}}
	if c.g.Creation.Tool.Name == "" {
		c.g.Creation.Tool = sbom.Tool{Name: "hallmark"}
	}
	if o.Kind == File || o.Kind == DockerArchive {
		a, err := provenance.DigestFile(ctx, path)
		if err != nil {
			return nil, err
		}
		c.digests = a.Digests
	}
	src, err := open(ctx, path, o)
	if err != nil {
		return nil, fmt.Errorf("syft: cannot open %s as %s: %w", path, o.Kind, err)
	}
	defer src.Close()
	ctx, err = withLicenceScanner(ctx)
	if err != nil {
		return nil, err
	}
	result, err := syft.CreateSBOM(ctx, src, config(o))
	if err != nil {
		return nil, fmt.Errorf("syft: %w", err)
	}
	// An analyser that was interrupted reports what it has; half a list must
	// not pass for one.
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c.convert(result)
	return c.g, nil
}

func detect(path string) (Kind, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	switch {
	case info.Mode().IsRegular():
		return File, nil
	case !info.IsDir():
		return "", fmt.Errorf("%s: neither a file nor a folder", path)
	}
	if l, err := os.Lstat(filepath.Join(path, "oci-layout")); err == nil && l.Mode().IsRegular() {
		return OCILayout, nil
	}
	return Folder, nil
}

// open opens exactly one kind of source.
func open(ctx context.Context, path string, o Options) (source.Source, error) {
	exclude := source.ExcludeConfig{Paths: o.Exclude}
	alias := source.Alias{Name: o.Name, Version: o.Version}
	switch o.Kind {
	case Folder:
		return directorysource.New(directorysource.Config{Path: path, Base: path, Exclude: exclude, Alias: alias})
	case File:
		return filesource.New(filesource.Config{Path: path, Exclude: exclude, Alias: alias, DigestAlgorithms: []crypto.Hash{crypto.SHA256}})
	case OCILayout, OCIArchive, DockerArchive:
		if _, err := os.Stat(path); err != nil {
			return nil, err
		}
		cfg := syft.DefaultGetSourceConfig().WithSources(string(o.Kind)).WithAlias(alias).WithExcludeConfig(exclude)
		if o.Platform != "" {
			p, err := image.NewPlatform(o.Platform)
			if err != nil {
				return nil, err
			}
			cfg = cfg.WithPlatform(p)
		}
		return syft.GetSource(ctx, path, cfg)
	}
	return nil, fmt.Errorf("unknown kind %q", o.Kind)
}

// config turns off all that reaches beyond the input.
func config(o Options) *syft.CreateSBOMConfig {
	packages := pkgcataloging.DefaultConfig()
	// Made here and not by DefaultCatalogerConfig, which reads GOPROXY,
	// GOPRIVATE and GOPATH.
	packages.Golang = golang.CatalogerConfig{MainModuleVersion: golang.DefaultMainModuleVersionConfig(), CaptureSymbols: cataloging.SymbolScopeNone}
	packages.JavaArchive.UseNetwork = false
	packages.JavaArchive.UseMavenLocalRepository = false
	packages.JavaArchive.MavenLocalRepositoryDir = ""
	packages.JavaScript.SearchRemoteLicenses = false
	packages.Python.SearchRemoteLicenses = false
	packages.Cpp.VcpkgAllowGitClone = false
	workers := o.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	return syft.DefaultCreateSBOMConfig().
		WithParallelism(workers).
		WithPackagesConfig(packages).
		WithoutFiles().
		WithDataGenerationConfig(cataloging.DataGenerationConfig{GenerateCPEs: false}).
		WithComplianceConfig(cataloging.ComplianceConfig{MissingName: cataloging.ComplianceActionKeep, MissingVersion: cataloging.ComplianceActionKeep})
}

// The automaton that recognises licence texts takes a second and 300 MB to
// make, and syft makes one for each scan unless the context has one.
var licenceScanner = sync.OnceValues(func() (context.Context, error) {
	return syft.SetContextLicenseScanner(context.Background(), cataloging.DefaultLicenseConfig())
})

type scannerContext struct {
	context.Context
	values context.Context
}

func (c scannerContext) Value(key any) any {
	if v := c.Context.Value(key); v != nil {
		return v
	}
	return c.values.Value(key)
}

func withLicenceScanner(ctx context.Context) (context.Context, error) {
	values, err := licenceScanner()
	if err != nil {
		return nil, fmt.Errorf("syft: %w", err)
	}
	return scannerContext{ctx, values}, nil
}

type converter struct {
	o       Options
	g       *sbom.Graph
	digests provenance.DigestSet
	root    string
	ids     map[artifact.ID]string
}

func (c *converter) gap(id string, f sbom.Field, reason, detail string) {
	c.g.AddUnknown(sbom.Gap{Component: id, Field: f, Reason: reason, Detail: detail})
}

func (c *converter) convert(s *syftsbom.SBOM) {
	c.addRoot(s)
	// In an order of their own, for syft's ids differ between machines.
	pkgs := s.Artifacts.Packages.Sorted()
	c.ids = make(map[artifact.ID]string, len(pkgs))
	for i := range pkgs {
		c.addPackage(&pkgs[i])
	}
	reached := c.relate(s)
	for _, id := range reached {
		c.g.Relate(c.root, sbom.Contains, id)
	}
	c.addOS(s)
	for coord := range s.Artifacts.Unknowns {
		c.gap("", sbom.FieldComponents, ReasonUnreadable, coord.RealPath)
	}
	c.gap("", sbom.FieldComponents, ReasonScanned, "a scan lists what its analysers recognise")
}

func (c *converter) addRoot(s *syftsbom.SBOM) {
	r := sbom.Component{Type: sbom.File, Name: c.o.Name, Version: c.o.Version, Digests: c.digests, Scope: sbom.Required}
	r.SetEvidence(sbom.Evidence{Field: sbom.FieldIdentity, Source: sbom.Declared, Method: "caller"})
	switch c.o.Kind {
	case OCILayout, OCIArchive, DockerArchive:
		r.Type = sbom.Container
		if m, ok := s.Source.Metadata.(source.ImageMetadata); ok {
			// The manifest of a docker archive is made up by whoever reads it.
			if d, err := provenance.ParseDigest(m.ManifestDigest); err == nil && c.o.Kind != DockerArchive {
				r.Digests = provenance.DigestSet{d}
				r.PURL = purl.PURL{Type: "oci", Name: strings.ToLower(c.o.Name), Version: d.String()}.String()
			}
			for i, l := range m.Layers {
				r.Properties = append(r.Properties, sbom.Property{Name: fmt.Sprintf("hallmark-syft:layer:%03d", i), Value: l.Digest})
			}
			for name, value := range map[string]string{"os": m.OS, "architecture": m.Architecture, "variant": m.Variant} {
				if value != "" {
					r.Properties = append(r.Properties, sbom.Property{Name: "hallmark-syft:" + name, Value: value})
				}
			}
		}
	case Folder:
		r.Type = sbom.Application
	}
	if len(r.Digests) > 0 {
		r.SetEvidence(sbom.Evidence{Field: sbom.FieldDigests, Source: sbom.Observed, Method: "content"})
	}
	c.root = c.g.Add(r)
	if len(r.Digests) == 0 {
		c.gap(c.root, sbom.FieldDigests, ReasonNoDigest, "a folder has no digest")
	}
	if r.Version == "" {
		c.gap(c.root, sbom.FieldVersion, ReasonNoVersion, "none was given")
	}
}

func (c *converter) addOS(s *syftsbom.SBOM) {
	d := s.Artifacts.LinuxDistribution
	if d == nil || d.ID == "" && d.Name == "" {
		return
	}
	name := d.ID
	if name == "" {
		name = d.Name
	}
	n := sbom.Component{Type: sbom.OperatingSystem, Name: name, Version: d.VersionID}
	n.SetEvidence(sbom.Evidence{Field: sbom.FieldIdentity, Source: sbom.Declared, Method: "os-release"})
	if d.HomeURL != "" && !strings.ContainsAny(d.HomeURL, " \t\n") {
		n.References = []sbom.Reference{{Kind: "website", URL: d.HomeURL}}
	}
	id := c.g.Add(n)
	if n.Version == "" {
		c.gap(id, sbom.FieldVersion, ReasonNoVersion, "")
	}
	c.g.Relate(c.root, sbom.Contains, id)
}

func (c *converter) addPackage(p *pkg.Package) {
	n := sbom.Component{Type: sbom.Library, Name: p.Name, Version: p.Version}
	if p.Type == pkg.BinaryPkg {
		n.Type = sbom.Application
	}
	if n.Version == cataloging.UnknownStubValue || n.Version == "(devel)" {
		n.Version = ""
	}
	var gaps []sbom.Gap
	note := func(f sbom.Field, reason, detail string) {
		gaps = append(gaps, sbom.Gap{Field: f, Reason: reason, Detail: detail})
	}
	if n.Name == "" {
		n.Name = "(unnamed)"
		note(sbom.FieldIdentity, ReasonNoName, "")
	}
	if n.Version == "" {
		note(sbom.FieldVersion, ReasonNoVersion, "")
	}
	if p.PURL != "" {
		u, err := purl.Parse(p.PURL)
		if err == nil {
			n.PURL = u.String()
		} else {
			note(sbom.FieldIdentity, ReasonBadPURL, p.PURL)
		}
	}
	add := func(name, value string) {
		if value != "" {
			n.Properties = append(n.Properties, sbom.Property{Name: "hallmark-syft:" + name, Value: value})
		}
	}
	add("found-by", p.FoundBy)
	add("type", string(p.Type))
	for _, l := range p.Locations.ToSlice() {
		add("location", strings.TrimPrefix(filepath.ToSlash(l.RealPath), "/"))
	}
	src, confidence := sourceOf(p)
	n.SetEvidence(sbom.Evidence{Field: sbom.FieldIdentity, Source: src, Confidence: confidence, Method: p.FoundBy})
	if ds, how := digestsOf(p); len(ds) > 0 {
		n.Digests = ds
		n.SetEvidence(sbom.Evidence{Field: sbom.FieldDigests, Source: how, Method: p.FoundBy})
	} else {
		note(sbom.FieldDigests, ReasonNoDigest, "")
	}
	n.Declared = licenceOf(p, license.Declared)
	n.Concluded = licenceOf(p, license.Concluded)
	if n.Declared.IsZero() {
		note(sbom.FieldDeclared, ReasonNoLicence, "")
	} else {
		n.SetEvidence(sbom.Evidence{Field: sbom.FieldDeclared, Source: sbom.Declared, Confidence: 90, Method: p.FoundBy})
	}
	if n.Concluded.IsZero() {
		note(sbom.FieldConcluded, ReasonNoLicence, "a scan concludes nothing")
	} else {
		n.SetEvidence(sbom.Evidence{Field: sbom.FieldConcluded, Source: sbom.Inferred, Confidence: 80, Method: p.FoundBy})
	}
	if n.Supplier = supplierOf(p); n.Supplier.IsZero() {
		note(sbom.FieldSupplier, ReasonNoSupplier, "")
	} else {
		n.SetEvidence(sbom.Evidence{Field: sbom.FieldSupplier, Source: sbom.Declared, Method: "package metadata"})
	}
	id := c.g.Add(n)
	c.ids[p.ID()] = id
	for _, g := range gaps {
		c.gap(id, g.Field, g.Reason, g.Detail)
	}
}

// sourceOf says how good syft's word on a package's identity is.
func sourceOf(p *pkg.Package) (sbom.Source, int) {
	switch p.Metadata.(type) {
	case pkg.NpmPackageLockEntry, pkg.YarnLockEntry, pkg.PnpmLockEntry, pkg.BunLockEntry, pkg.RustCargoLockEntry,
		pkg.PythonPipfileLockEntry, pkg.PythonPoetryLockEntry, pkg.PythonPdmLockEntry, pkg.PythonUvLockEntry,
		pkg.DenoLockEntry, pkg.DenoRemoteLockEntry, pkg.GolangModuleEntry, pkg.GolangSourceEntry:
		return sbom.Locked, 100
	case pkg.GolangBinaryBuildinfoEntry, pkg.RustBinaryAuditEntry:
		return sbom.Observed, 100
	case pkg.BinarySignature:
		return sbom.Inferred, 60
	}
	if p.Type == pkg.BinaryPkg {
		return sbom.Inferred, 60
	}
	return sbom.Declared, 90
}

// digestsOf returns the digests that the package's metadata gives, and how it
// knows them.
func digestsOf(p *pkg.Package) (provenance.DigestSet, sbom.Source) {
	switch m := p.Metadata.(type) {
	case pkg.NpmPackageLockEntry:
		return integrity(m.Integrity), sbom.Locked
	case pkg.YarnLockEntry:
		return integrity(m.Integrity), sbom.Locked
	case pkg.PnpmLockEntry:
		return integrity(m.Resolution.Integrity), sbom.Locked
	case pkg.BunLockEntry:
		return integrity(m.Integrity), sbom.Locked
	case pkg.DenoLockEntry:
		return integrity(m.Integrity), sbom.Locked
	case pkg.RustCargoLockEntry:
		return set(provenance.SHA256, m.Checksum), sbom.Locked
	case pkg.GolangBinaryBuildinfoEntry:
		return h1(m.H1Digest), sbom.Observed
	case pkg.GolangModuleEntry:
		return h1(m.H1Digest), sbom.Locked
	case pkg.GolangSourceEntry:
		return h1(m.H1Digest), sbom.Locked
	case pkg.JavaArchive:
		var ds provenance.DigestSet
		for _, d := range m.ArchiveDigests {
			for _, x := range set(provenance.Algorithm(d.Algorithm), d.Value) {
				if ds.Get(x.Algorithm()).IsZero() {
					ds = append(ds, x)
				}
			}
		}
		return ds, sbom.Observed
	}
	return nil, ""
}

func set(alg provenance.Algorithm, value string) provenance.DigestSet {
	if d, err := provenance.NewDigest(alg, strings.ToLower(value)); err == nil {
		return provenance.DigestSet{d}
	}
	return nil
}

// integrity reads Subresource Integrity metadata: hashes of the package's
// archive, separated by spaces. Where one algorithm has several, each archive
// of the package is allowed and none is known to be the one.
func integrity(s string) provenance.DigestSet {
	var ds provenance.DigestSet
	seen := map[provenance.Algorithm]int{}
	for part := range strings.FieldsSeq(s) {
		alg, value, _ := strings.Cut(part, "-")
		value, _, _ = strings.Cut(value, "?")
		b, err := base64.StdEncoding.DecodeString(value)
		if err != nil {
			continue
		}
		for _, d := range set(provenance.Algorithm(alg), hex.EncodeToString(b)) {
			seen[d.Algorithm()]++
			ds = append(ds, d)
		}
	}
	return slices.DeleteFunc(ds, func(d provenance.Digest) bool { return seen[d.Algorithm()] > 1 })
}

// h1 reads a hash of go.sum: of a list of files, and so not a SHA-256 of
// anything that can be downloaded.
func h1(s string) provenance.DigestSet {
	v, ok := strings.CutPrefix(s, "h1:")
	if b, err := base64.StdEncoding.DecodeString(v); ok && err == nil {
		return set(provenance.DirHash, hex.EncodeToString(b))
	}
	return nil
}

// licenceOf joins the licences of one kind: all of them apply, as far as the
// metadata says.
func licenceOf(p *pkg.Package, kind license.Type) sbom.License {
	var exprs, names []string
	for _, l := range p.Licenses.ToSlice() {
		if l.Type != kind {
			continue
		}
		if e, err := spdxlicense.Normalize(l.SPDXExpression); err == nil {
			exprs = append(exprs, e)
			continue
		}
		name := l.Value
		if name == "" && l.Contents != "" {
			name = "licence in a text of its own"
		}
		if len(name) > 200 {
			name = strings.ToValidUTF8(name[:200], "") + "…"
		}
		if name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(exprs)
	exprs = slices.Compact(exprs)
	switch {
	case len(names) > 0:
		names = append(names, exprs...)
		slices.Sort(names)
		return sbom.License{Name: strings.Join(slices.Compact(names), ", ")}
	case len(exprs) == 1:
		return sbom.License{Expression: exprs[0]}
	}
	for i, e := range exprs {
		if strings.Contains(e, " OR ") {
			exprs[i] = "(" + e + ")"
		}
	}
	return sbom.License{Expression: strings.Join(exprs, " AND ")}
}

func supplierOf(p *pkg.Package) sbom.Party {
	var s string
	switch m := p.Metadata.(type) {
	case pkg.DpkgDBEntry:
		s = m.Maintainer
	case pkg.ApkDBEntry:
		s = m.Maintainer
	case pkg.RpmDBEntry:
		return sbom.Party{Name: m.Vendor}
	}
	if a, err := mail.ParseAddress(s); err == nil && a.Name != "" {
		return sbom.Party{Name: a.Name, Email: a.Address}
	}
	return sbom.Party{Name: s}
}

// relate adds the edges between packages, and returns those that nothing leads to.
func (c *converter) relate(s *syftsbom.SBOM) []string {
	edges := make(map[string][]string)
	hasParent := make(map[string]bool)
	connect := func(from string, kind sbom.Relation, to string) {
		if from == "" || to == "" || from == to {
			return
		}
		c.g.Relate(from, kind, to)
		edges[from] = append(edges[from], to)
		hasParent[to] = true
	}
	for _, r := range s.Relationships {
		from, to := c.ids[r.From.ID()], c.ids[r.To.ID()]
		switch r.Type {
		case artifact.DependencyOfRelationship:
			connect(to, sbom.DependsOn, from)
		case artifact.ContainsRelationship, artifact.OwnershipByFileOverlapRelationship:
			connect(from, sbom.Contains, to)
		}
	}
	var tops []string
	reached := make(map[string]bool)
	var queue []string
	reach := func(id string) {
		tops = append(tops, id)
		queue = append(queue[:0], id)
		for len(queue) > 0 {
			id := queue[len(queue)-1]
			queue = queue[:len(queue)-1]
			if !reached[id] {
				reached[id] = true
				queue = append(queue, edges[id]...)
			}
		}
	}
	components := c.g.Components()
	for pass := range 2 {
		for _, x := range components {
			if x.ID != c.root && !reached[x.ID] && (pass == 1 || !hasParent[x.ID]) {
				reach(x.ID)
			}
		}
	}
	return tops
}
