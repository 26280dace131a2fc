package scan

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/strictjson"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/purl"
)

// ReasonDigest is the reason of the error about a blob that has not the digest
// by which the image names it.
const ReasonDigest = "digest-mismatch"

// Image scans the container image at path: a directory in the OCI image
// layout, a tar of one, or what "docker save" writes. The tar must not be
// compressed itself; its layers may be, with gzip or zstd. What counts is the
// view that a container has: what a later layer removes or replaces is not listed.
//
// The root component is the image, with the digest of its manifest; what "docker
// save" of old writes has no manifest, and its root has no digest.
//
// Every layer is read once, in parallel, and must have the digest that the
// manifest (or, without one, the configuration) gives; an image that is not
// what it says is an [Error] with [ReasonDigest]. A layer whose result
// Options.Cache has is not read.
func Image(ctx context.Context, path string, o Options) (*sbom.Graph, error) {
	if err := o.prepare(path); err != nil {
		return nil, err
	}
	b, err := openBlobs(path)
	if err != nil {
		return nil, err
	}
	defer b.close()
	img, err := b.image(&o)
	if err != nil {
		return nil, err
	}
	results, err := img.scan(ctx, b, &o)
	if err != nil {
		return nil, err
	}
	root := sbom.Component{Type: sbom.Container, Name: o.Name, Version: o.Version, Scope: sbom.Required}
	if img.manifest != "" {
		d, err := provenance.ParseDigest(img.manifest)
		if err != nil {
			return nil, err
		}
		root.Digests = provenance.DigestSet{d}
		root.PURL = purl.PURL{Type: "oci", Name: strings.ToLower(o.Name), Version: img.manifest}.String()
		root.SetEvidence(sbom.Evidence{Field: sbom.FieldDigests, Source: sbom.Observed, Method: "content of the manifest"})
	}
	for _, l := range img.layers {
		root.Properties = append(root.Properties, sbom.Property{Name: "hallmark-scan:layer", Value: l.digest})
	}
	for name, value := range map[string]string{"os": img.config.OS, "architecture": img.config.Architecture, "variant": img.config.Variant} {
		if value != "" {
			root.Properties = append(root.Properties, sbom.Property{Name: "hallmark-scan:" + name, Value: text(value)})
		}
	}
	a := newAssembly(&o, root)
	if img.manifest == "" {
		a.gap(a.root, sbom.FieldDigests, ReasonNoDigest, "an image without a manifest")
	}
	return a.assemble(squash(results))
}

// blobs is where the parts of an image are: a directory or a tar file.
type blobs struct {
	name  string
	root  *os.Root // a directory
	file  *os.File // a tar
	spans map[string]span
}

type span struct{ offset, size int64 }

func openBlobs(name string) (*blobs, error) {
	bad := func(reason, msg string, err error) (*blobs, error) {
		return nil, &Error{reason, name, msg, err}
	}
	info, err := os.Stat(name)
	if err != nil {
		return bad(ReasonUnreadable, "want an image", err)
	}
	b := &blobs{name: name}
	if info.IsDir() {
		if b.root, err = os.OpenRoot(name); err != nil {
			return bad(ReasonUnreadable, "want an image", err)
		}
		return b, nil
	}
	if !info.Mode().IsRegular() {
		return bad(ReasonUnreadable, "want a directory or a regular file", nil)
	}
	if b.file, err = os.Open(name); err != nil {
		return bad(ReasonUnreadable, "want an image", err)
	}
	b.spans = map[string]span{}
	tr := tar.NewReader(b.file)
	bytes := 0
	for {
		h, err := tr.Next()
		if err == io.EOF {
			return b, nil
		}
		if err != nil {
			b.close()
			return bad(ReasonMalformed, "want an OCI layout or a tar of an image that is not compressed", err)
		}
		if bytes += len(h.Name) + len(h.Linkname) + 64; bytes > limits.ArchiveNames || len(b.spans) > limits.ArchiveEntries {
			b.close()
			return bad(ReasonLimit, "too many entries in the tar", nil)
		}
		p := clean(h.Name)
		switch h.Typeflag {
		case tar.TypeReg:
			// The reader of a file has not read ahead.
			at, err := b.file.Seek(0, io.SeekCurrent)
			if err != nil {
				b.close()
				return bad(ReasonUnreadable, "cannot be read", err)
			}
			b.spans[p] = span{at, h.Size}
		case tar.TypeLink, tar.TypeSymlink: // docker save links layers that it has twice
			to := clean(h.Linkname)
			if h.Typeflag == tar.TypeSymlink {
				to = clean(path.Join(path.Dir(p), h.Linkname))
			}
			if s, ok := b.spans[to]; ok {
				b.spans[p] = s
			}
		}
	}
}

func (b *blobs) close() {
	if b.root != nil {
		b.root.Close()
	}
	if b.file != nil {
		b.file.Close()
	}
}

type blob struct {
	*io.SectionReader
	f *os.File
}

func (b blob) Close() error {
	if b.f != nil {
		return b.f.Close()
	}
	return nil
}

func (b *blobs) open(name string) (blob, error) {
	if b.file != nil {
		s, ok := b.spans[name]
		if !ok {
			return blob{}, fs.ErrNotExist
		}
		return blob{io.NewSectionReader(b.file, s.offset, s.size), nil}, nil
	}
	info, err := b.root.Lstat(name)
	if err != nil {
		return blob{}, err
	}
	if !info.Mode().IsRegular() {
		return blob{}, errors.New("not a regular file")
	}
	f, err := b.root.Open(name)
	if err != nil {
		return blob{}, err
	}
	return blob{io.NewSectionReader(f, 0, info.Size()), f}, nil
}

// document reads a small part; with a digest, one that has it.
func (b *blobs) document(name, digest string, v any) error {
	r, err := b.open(name)
	if err != nil {
		return &Error{ReasonUnreadable, b.name, "no " + clip(name), errors.New(cause(err))}
	}
	defer r.Close()
	if r.Size() > limits.ImageManifest {
		return &Error{ReasonLimit, b.name, fmt.Sprintf("%s has %d bytes; at most %d are read", clip(name), r.Size(), limits.ImageManifest), nil}
	}
	data := make([]byte, r.Size())
	if _, err := io.ReadFull(r, data); err != nil {
		return &Error{ReasonUnreadable, b.name, clip(name), err}
	}
	if digest != "" {
		sum := sha256.Sum256(data)
		if digest != "sha256:"+hex.EncodeToString(sum[:]) {
			return &Error{ReasonDigest, b.name, clip(name) + " has another digest", nil}
		}
	}
	if err := strictjson.Into(data, limits.ImageManifest, v); err != nil {
		return &Error{ReasonMalformed, b.name, clip(name), err}
	}
	return nil
}

// The documents of an image (OCI image-spec 1.1, and what "docker save" writes).
type (
	descriptor struct {
		MediaType   string            `json:"mediaType"`
		Digest      string            `json:"digest"`
		Size        int64             `json:"size"`
		Platform    *platform         `json:"platform"`
		Annotations map[string]string `json:"annotations"`
	}
	platform struct {
		OS           string `json:"os"`
		Architecture string `json:"architecture"`
		Variant      string `json:"variant"`
	}
	manifest struct {
		Manifests []descriptor `json:"manifests"`
		Config    *descriptor  `json:"config"`
		Layers    []descriptor `json:"layers"`
	}
	config struct {
		platform
		RootFS struct {
			DiffIDs []string `json:"diff_ids"`
		} `json:"rootfs"`
	}
)

func (p *platform) String() string {
	s := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return s
}

// An image is what is to be read.
type image struct {
	manifest string // its digest
	config   config
	layers   []layer
}

type layer struct {
	name   string // of the blob
	digest string
	diff   bool // digest is of the layer when it is not compressed
}

func blobName(d *descriptor) (string, error) {
	v, ok := strings.CutPrefix(d.Digest, "sha256:")
	if _, good := hexDigest("sha256", v); !ok || !good || v != strings.ToLower(v) {
		return "", fmt.Errorf("want a SHA-256 digest, found %s", clip(d.Digest))
	}
	return "blobs/sha256/" + v, nil
}

func (b *blobs) image(o *Options) (*image, error) {
	r, err := b.open("oci-layout")
	if err != nil {
		if b.file == nil {
			return nil, &Error{ReasonMalformed, b.name, "want a directory in the OCI image layout", errors.New(cause(err))}
		}
		return b.dockerImage()
	}
	r.Close()
	var top manifest
	if err := b.document("index.json", "", &top); err != nil {
		return nil, err
	}
	for range 4 {
		d, err := choose(top.Manifests, o.Platform)
		if err != nil {
			return nil, &Error{ReasonMalformed, b.name, err.Error(), nil}
		}
		name, err := blobName(d)
		if err != nil {
			return nil, &Error{ReasonMalformed, b.name, err.Error(), nil}
		}
		var m manifest
		if err := b.document(name, d.Digest, &m); err != nil {
			return nil, err
		}
		if m.Manifests != nil {
			if m.Config != nil || m.Layers != nil { // CVE-2021-41190
				return nil, &Error{ReasonMalformed, b.name, "both an index and a manifest", nil}
			}
			top = m
			continue
		}
		if m.Config == nil {
			return nil, &Error{ReasonMalformed, b.name, "a manifest without a configuration", nil}
		}
		img := &image{manifest: d.Digest}
		if name, err = blobName(m.Config); err != nil {
			return nil, &Error{ReasonMalformed, b.name, err.Error(), nil}
		}
		if err := b.document(name, m.Config.Digest, &img.config); err != nil {
			return nil, err
		}
		for i := range m.Layers {
			name, err := blobName(&m.Layers[i])
			if err != nil {
				return nil, &Error{ReasonMalformed, b.name, err.Error(), nil}
			}
			img.layers = append(img.layers, layer{name: name, digest: m.Layers[i].Digest})
		}
		return img, b.checkLayers(img)
	}
	return nil, &Error{ReasonLimit, b.name, "indexes nest deeper than 4", nil}
}

func (b *blobs) checkLayers(img *image) error {
	if len(img.layers) > limits.ImageLayers {
		return &Error{ReasonLimit, b.name, fmt.Sprintf("%d layers; at most %d are read", len(img.layers), limits.ImageLayers), nil}
	}
	return nil
}

// choose picks an image out of an index.
func choose(list []descriptor, want string) (*descriptor, error) {
	var images []*descriptor
	for i := range list {
		d := &list[i]
		if d.Annotations["vnd.docker.reference.type"] != "" || d.Platform != nil && d.Platform.OS == "unknown" {
			continue // an attestation about another
		}
		images = append(images, d)
	}
	if len(images) == 1 && (want == "" || images[0].Platform == nil) {
		return images[0], nil
	}
	if want == "" {
		want = "linux/amd64"
	}
	var found []*descriptor
	for _, d := range images {
		if d.Platform != nil && (d.Platform.String() == want || d.Platform.OS+"/"+d.Platform.Architecture == want) {
			found = append(found, d)
		}
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("%d images, of which %d are for %s; want one", len(images), len(found), clip(want))
	}
	return found[0], nil
}

// dockerImage reads what "docker save" wrote before it wrote OCI layouts. The
// configuration is named by its digest and has those of the layers.
func (b *blobs) dockerImage() (*image, error) {
	var list []struct {
		Config string   `json:"Config"`
		Layers []string `json:"Layers"`
	}
	if err := b.document("manifest.json", "", &list); err != nil {
		return nil, err
	}
	if len(list) != 1 {
		return nil, &Error{ReasonMalformed, b.name, fmt.Sprintf("want one image, found %d", len(list)), nil}
	}
	img := &image{}
	name := clean(list[0].Config)
	digest := ""
	if d, ok := hexDigest("sha256", strings.TrimSuffix(path.Base(name), ".json")); ok {
		digest = d.String()
	}
	if err := b.document(name, digest, &img.config); err != nil {
		return nil, err
	}
	ids := img.config.RootFS.DiffIDs
	if len(ids) != len(list[0].Layers) {
		return nil, &Error{ReasonMalformed, b.name, fmt.Sprintf("%d layers, and digests of %d", len(list[0].Layers), len(ids)), nil}
	}
	for i, l := range list[0].Layers {
		if _, err := blobName(&descriptor{Digest: ids[i]}); err != nil {
			return nil, &Error{ReasonMalformed, b.name, err.Error(), nil}
		}
		img.layers = append(img.layers, layer{name: clean(l), digest: ids[i], diff: true})
	}
	return img, b.checkLayers(img)
}

// clean makes a name in a tar relative to the root of the tar.
func clean(name string) string {
	return strings.ToValidUTF8(strings.TrimPrefix(path.Clean("/"+name), "/"), "\uFFFD")
}

// A layerResult is what was found in one layer. It is what the cache keeps.
type layerResult struct {
	Reports   []*report
	Whiteouts []string `json:",omitempty"` // removed from layers below
	Opaque    []string `json:",omitempty"` // directories of which nothing below is left
	Dirs      []string `json:",omitempty"` // directories of names that analysers want
	Names     []byte   `json:",omitempty"` // sorted hashes of the names of all that is not a directory
}

const nameHash = 16

func hashName(p string) (h [nameHash]byte) {
	sum := sha256.Sum256([]byte(p))
	copy(h[:], sum[:])
	return h
}

func (l *layerResult) has(p string) bool {
	h := hashName(p)
	n := len(l.Names) / nameHash
	lo, hi := 0, n
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		switch bytes.Compare(l.Names[mid*nameHash:(mid+1)*nameHash], h[:]) {
		case 0:
			return true
		case -1:
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return false
}

// scan reads the layers, several at once.
func (img *image) scan(ctx context.Context, b *blobs, o *Options) ([]*layerResult, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	results := make([]*layerResult, len(img.layers))
	todo := make(chan int)
	var wg sync.WaitGroup
	var mu sync.Mutex // for Progress
	var big holder    // one program or archive is in memory at a time
	seen, done := 0, 0
	for range min(o.Workers, max(len(img.layers), 1)) {
		wg.Go(func() {
			for i := range todo {
				l := &img.layers[i]
				r := o.cached(l)
				if r == nil {
					s := &layerScan{o: o, list: o.chosen(), l: l, big: &big, reports: map[string]*report{}}
					var err error
					if r, err = s.run(ctx, b); err != nil {
						cancel(err)
						continue
					}
					if s.whole {
						o.store(l, r)
					}
				}
				results[i] = r
				mu.Lock()
				seen += len(r.Names) / nameHash
				done++
				if o.Progress != nil {
					o.Progress(seen, done)
				}
				mu.Unlock()
			}
		})
	}
	for i := range img.layers {
		if ctx.Err() != nil {
			break
		}
		todo <- i
	}
	close(todo)
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	for i, r := range results {
		for _, rep := range r.Reports {
			rep.layer = img.layers[i].digest
		}
	}
	return results, nil
}

// A layerScan reads one layer.
type layerScan struct {
	o       *Options
	list    []analyser
	l       *layer
	big     *holder
	reports map[string]*report
	names   [][nameHash]byte
	result  layerResult
	whole   bool // nothing kept the layer from being read to its end
	packed  int64
	plain   int64
}

func (s *layerScan) run(ctx context.Context, b *blobs) (*layerResult, error) {
	gap := func(reason, detail string) *layerResult {
		r := &report{Path: s.l.digest, Analyser: "layer"}
		r.gap(sbom.FieldComponents, reason, detail)
		s.result.Reports = append(s.result.Reports, r)
		return s.finish()
	}
	blob, err := b.open(s.l.name)
	if err != nil {
		return gap(ReasonUnreadable, cause(err)), nil // a layer that may not be distributed
	}
	defer blob.Close()
	h := sha256.New()
	var in io.Reader = &counter{r: &contextReader{ctx, blob}, n: &s.packed}
	if !s.l.diff {
		in = io.TeeReader(in, h)
	}
	plain, stop, err := unpack(in)
	if err == nil {
		defer stop()
		if s.l.diff {
			plain = io.TeeReader(plain, h)
		}
		limited := &bombGuard{s: s, r: plain}
		if !s.l.diff {
			limited.skip, _ = plain.(discarder)
		}
		err = s.tar(ctx, limited)
		if err == nil {
			_, err = io.Copy(io.Discard, limited) // padding
		}
	}
	if e := ctx.Err(); e != nil {
		return nil, context.Cause(ctx)
	}
	var le *limitError
	if !errors.As(err, &le) {
		// What is left, so that the digest is of all. A bomb is not worth it.
		if s.l.diff && err == nil {
			_, err = io.Copy(io.Discard, plain)
		} else if !s.l.diff {
			if _, e := io.Copy(io.Discard, in); e != nil && err == nil {
				err = e
			}
		}
		if sum := "sha256:" + hex.EncodeToString(h.Sum(nil)); (!s.l.diff || err == nil) && sum != s.l.digest {
			return nil, &Error{ReasonDigest, b.name, fmt.Sprintf("layer %s has the digest %s", s.l.digest, sum), nil}
		}
	}
	switch {
	case le != nil:
		return gap(ReasonLimit, le.msg), nil
	case err != nil:
		return gap(ReasonMalformed, clip(err.Error())), nil
	}
	s.whole = true
	return s.finish(), nil
}

type counter struct {
	r io.Reader
	n *int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	*c.n += int64(n)
	return n, err
}

// bombGuard bounds how much a layer unpacks to.
type bombGuard struct {
	s    *layerScan
	r    io.Reader
	skip discarder // of r; nil if every byte has to be read
}

// A discarder passes bytes over at less cost than that of reading them.
type discarder interface {
	Discard(n int64) (int64, error)
}

// Seek goes forward, for archive/tar, which otherwise reads what it skips.
func (g *bombGuard) Seek(off int64, whence int) (int64, error) {
	if g.skip == nil || whence != io.SeekCurrent || off < 0 {
		return -1, errors.ErrUnsupported
	}
	for off > 0 {
		n, err := g.skip.Discard(min(off, 1<<20))
		off -= n
		if err == nil {
			err = g.count(n)
		}
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return -1, err
		}
	}
	return g.s.plain, nil
}

func (g *bombGuard) Read(p []byte) (int, error) {
	n, err := g.r.Read(p)
	if err := g.count(int64(n)); err != nil {
		return 0, err
	}
	return n, err
}

func (g *bombGuard) count(n int64) error {
	s := g.s
	s.plain += n
	if s.plain > limits.ArchiveBytes || s.plain > 64<<20 && s.plain/limits.ArchiveRatio > s.packed {
		return limitf("unpacks to more than %d bytes: perhaps a bomb", s.plain-1)
	}
	return nil
}

func (s *layerScan) tar(ctx context.Context, r io.Reader) error {
	tr := tar.NewReader(r)
	names := 0
	for entries := 0; ; entries++ {
		if entries > limits.ArchiveEntries {
			return limitf("more than %d files", limits.ArchiveEntries)
		}
		h, err := tr.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if names += len(h.Name); names > limits.ArchiveNames {
			return limitf("names of more than %d bytes", limits.ArchiveNames)
		}
		if h.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		p := clean(h.Name)
		base := path.Base(p)
		if base == ".wh..wh..opq" {
			dir := path.Dir(p)
			if dir == "." {
				dir = ""
			}
			s.result.Opaque = append(s.result.Opaque, dir)
			continue
		}
		if name, ok := strings.CutPrefix(base, ".wh."); ok {
			// Those of aufs itself remove nothing; nor do those that name no
			// file, but a directory or the one above: what they would hide,
			// runtimes do not agree about.
			if !strings.HasPrefix(name, ".wh.") && name != "" && name != "." && name != ".." {
				s.result.Whiteouts = append(s.result.Whiteouts, path.Join(path.Dir(p), name))
			}
			continue
		}
		delete(s.reports, p) // the last of one name counts
		if p == "" {
			continue
		}
		if h.Typeflag == tar.TypeDir {
			if find(s.list, p) != nil {
				s.result.Dirs = append(s.result.Dirs, p)
			}
			continue
		}
		s.names = append(s.names, hashName(p))
		if s.o.Exclude != nil && s.excluded(p) {
			continue
		}
		if rep := s.entry(ctx, p, h, tr); rep != nil {
			s.reports[p] = rep
			if len(s.reports) > limits.SBOMComponents {
				return limitf("more than %d files with packages", limits.SBOMComponents)
			}
		}
	}
}

func (s *layerScan) excluded(p string) bool {
	for d := p; d != "." && d != "/"; d = path.Dir(d) {
		if s.o.Exclude(d) {
			return true
		}
	}
	return false
}

func (s *layerScan) entry(ctx context.Context, p string, h *tar.Header, r io.Reader) *report {
	rep := &report{Path: p}
	switch h.Typeflag {
	case tar.TypeSymlink:
		if dir := path.Dir(p); isModules(dir) {
			to := h.Linkname
			if !path.IsAbs(to) {
				to = path.Join("/"+dir, to)
			}
			rep.Analyser = "walk"
			rep.Links = map[string]string{p: clean(to)}
			return rep
		}
		fallthrough
	case tar.TypeLink:
		a := find(s.list, p)
		if a == nil || a.program || path.Base(p) == "os-release" {
			return nil
		}
		rep.Analyser = a.name
		rep.gap(sbom.FieldComponents, ReasonUnreadable, "a link, which is not followed")
		return rep
	case tar.TypeReg, tar.TypeGNUSparse:
	default:
		return nil
	}
	a := find(s.list, p)
	f := &file{path: p, size: h.Size, r: r, hash: s.o.Digests}
	wanted := s.o.Files != nil && (a == nil || a.program) && s.o.Files(p)
	if a == nil || a.program && h.Mode&0o111 == 0 {
		if wanted {
			return anyFile.analyse(ctx, f)
		}
		return nil
	}
	if a.random && h.Size <= a.limit {
		head := make([]byte, min(h.Size, 4))
		if _, err := io.ReadFull(r, head); err != nil {
			return nil // it shows again with the next header
		}
		if a.program && !isProgram(head) {
			if wanted {
				f.r = io.MultiReader(bytes.NewReader(head), r)
				return anyFile.analyse(ctx, f)
			}
			return nil
		}
		if h.Size > limits.ScanProgram {
			rep.Analyser = a.name
			rep.gap(sbom.FieldComponents, ReasonLimit, fmt.Sprintf("a file of %d bytes; at most %d are read in an image", h.Size, limits.ScanProgram))
			return rep
		}
		s.big.Lock()
		defer s.big.Unlock()
		data, sum, err := s.big.hold(head, r, h.Size, a.program, a.program && (s.o.Digests || wanted))
		if err != nil {
			return nil
		}
		f.at, f.r, f.sum = data, io.NewSectionReader(data, 0, h.Size), sum
		rep := a.analyse(ctx, f)
		if data.missed && (rep == nil || len(rep.Findings) == 0) {
			rep = &report{Path: p, Analyser: a.name}
			rep.gap(sbom.FieldComponents, ReasonLimit, "a large program that keeps its list of modules among its constants")
		}
		if rep == nil && wanted {
			rep = anyFile.analyse(ctx, f)
		}
		return rep
	}
	return a.analyse(ctx, f)
}

func (s *layerScan) finish() *layerResult {
	for _, r := range s.reports {
		s.result.Reports = append(s.result.Reports, r)
	}
	sortReports(s.result.Reports)
	slices.SortFunc(s.names, func(a, b [nameHash]byte) int { return bytes.Compare(a[:], b[:]) })
	s.result.Names = make([]byte, 0, len(s.names)*nameHash)
	for _, n := range s.names {
		s.result.Names = append(s.result.Names, n[:]...)
	}
	return &s.result
}

// squash leaves the reports on what the layers above do not hide (OCI
// image-spec, layer.md, "Whiteouts").
func squash(layers []*layerResult) []*report {
	type above struct {
		*layerResult
		gone map[string]bool // the path and all below
		dirs map[string]bool
		opq  map[string]bool // all below
	}
	var over []above
	var list []*report
	for _, l := range slices.Backward(layers) {
	reports:
		for _, r := range l.Reports {
			if r.Analyser != "layer" {
				for _, u := range over {
					if u.gone[r.Path] || u.dirs[r.Path] || u.has(r.Path) {
						continue reports
					}
					for d := path.Dir(r.Path); ; d = path.Dir(d) {
						if d == "." {
							d = ""
						}
						if u.gone[d] || u.opq[d] || d != "" && u.has(d) {
							continue reports
						}
						if d == "" {
							break
						}
					}
				}
			}
			list = append(list, r)
		}
		over = append(over, above{l, toSet(l.Whiteouts), toSet(l.Dirs), toSet(l.Opaque)})
	}
	return list
}

func toSet(list []string) map[string]bool {
	m := make(map[string]bool, len(list))
	for _, s := range list {
		m[s] = true
	}
	return m
}

// encodeResult and decodeResult are the cache's form of a result.
func encodeResult(r *layerResult) ([]byte, error) { return json.Marshal(r) }

func decodeResult(b []byte) (*layerResult, error) {
	r := new(layerResult)
	if err := json.Unmarshal(b, r); err != nil {
		return nil, err
	}
	if len(r.Names)%nameHash != 0 || slices.Contains(r.Reports, nil) {
		return nil, errors.New("malformed")
	}
	return r, nil
}
