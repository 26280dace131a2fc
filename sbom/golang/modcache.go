package golang

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"

	"github.com/hallmark-build/hallmark/internal/licensetext"
	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/provenance"
)

var (
	errNotCached = errors.New("not in the module cache")
	errNoSum     = errors.New("no checksum")
	errMismatch  = errors.New("another hash")
)

func reasonOf(err error) (reason, detail string) {
	switch {
	case errors.Is(err, errNoSum):
		return ReasonNoSum, "the binary has no checksum of the module (a vendored or workspace build), nor has go.sum"
	case errors.Is(err, errMismatch):
		return ReasonMismatch, err.Error()
	case errors.Is(err, errNotCached):
		return ReasonNoCache, "the module cache does not have the module"
	}
	return ReasonMismatch, "the module in the cache cannot be read: " + err.Error()
}

// content is what a module was found to hold, all of it under the hash that
// the binary has.
type content struct {
	zip      provenance.DigestSet // of the zip; nil when there was none
	goMod    *modfile.File        // nil when the module has none
	licences []file
	embeds   map[string][]string // patterns of go:embed by folder
}

// A file is a licence file.
type file struct {
	name string // relative to the module
	text []byte
}

func (f file) top() bool { return !strings.Contains(f.name, "/") }

// A reader reads modules one after the other and keeps its buffers.
type reader struct {
	buf  []byte
	zip  bytes.Buffer
	list []string
}

// module reads a module from the cache: from its zip, or else from the folder
// that it was extracted to.
func (r *reader) module(ctx context.Context, cache, modPath, version, sum string) (content, error) {
	p, err := module.EscapePath(modPath)
	if err != nil {
		return content{}, fmt.Errorf("bad module path: %w", err)
	}
	v, err := module.EscapeVersion(version)
	if err != nil {
		return content{}, fmt.Errorf("bad version: %w", err)
	}
	c, err := r.fromZip(ctx, filepath.Join(cache, "cache", "download", filepath.FromSlash(p), "@v", v+".zip"), modPath+"@"+version, sum)
	if errors.Is(err, fs.ErrNotExist) {
		c, err = r.fromFolder(ctx, filepath.Join(cache, filepath.FromSlash(p)+"@"+v), modPath+"@"+version, sum)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return content{}, errNotCached
	}
	return c, hidePath(err)
}

// hidePath removes the machine's paths from an error that ends up in a document.
func hidePath(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

func (r *reader) fromZip(ctx context.Context, name, prefix, sum string) (content, error) {
	f, err := os.Open(name)
	if err != nil {
		return content{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return content{}, err
	}
	if !info.Mode().IsRegular() || info.Size() > limits.ModuleZip {
		return content{}, fmt.Errorf("zip of %d bytes, more than a module may have", info.Size())
	}
	// Read once into memory, so that what is hashed is what is looked into.
	r.zip.Reset()
	r.zip.Grow(int(info.Size()) + 512)
	if _, err := r.zip.ReadFrom(io.LimitReader(f, limits.ModuleZip+1)); err != nil {
		return content{}, err
	}
	data := r.zip.Bytes()
	zr, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return content{}, err
	}
	if len(zr.File) > limits.ModuleFiles {
		return content{}, fmt.Errorf("zip of %d files", len(zr.File))
	}
	w := r.walk(prefix)
	for _, zf := range zr.File {
		if err := ctx.Err(); err != nil {
			return content{}, err
		}
		if strings.HasSuffix(zf.Name, "/") {
			continue
		}
		fr, err := zf.Open()
		if err != nil {
			return content{}, err
		}
		err = w.add(zf.Name, fr)
		fr.Close()
		if err != nil {
			return content{}, err
		}
	}
	c, err := w.finish(sum)
	if err != nil {
		return content{}, err
	}
	h256, h512 := sha256.Sum256(data), sha512.Sum512(data)
	d256, err := provenance.NewDigest(provenance.SHA256, hex.EncodeToString(h256[:]))
	if err != nil {
		return content{}, err
	}
	d512, err := provenance.NewDigest(provenance.SHA512, hex.EncodeToString(h512[:]))
	if err != nil {
		return content{}, err
	}
	c.zip = provenance.DigestSet{d256, d512}
	return c, nil
}

func (r *reader) fromFolder(ctx context.Context, dir, prefix, sum string) (content, error) {
	if _, err := os.Stat(dir); err != nil {
		return content{}, err
	}
	w := r.walk(prefix)
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if !d.Type().IsRegular() {
			return fmt.Errorf("%s is not a regular file", d.Name())
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		return w.add(prefix+"/"+filepath.ToSlash(rel), f)
	})
	if err != nil {
		return content{}, err
	}
	return w.finish(sum)
}

// A walk hashes the files of one module and keeps the few of interest.
type walk struct {
	r      *reader
	prefix string
	total  int64
	goMod  []byte
	files  []file
	embeds map[string][]string
	goDirs map[string]bool // folders with Go code, and their parents
}

func (r *reader) walk(prefix string) *walk {
	r.list = r.list[:0]
	if r.buf == nil {
		r.buf = make([]byte, 64<<10)
	}
	return &walk{r: r, prefix: prefix + "/", goDirs: map[string]bool{".": true}, embeds: map[string][]string{}}
}

func (w *walk) add(name string, f io.Reader) error {
	rel, ok := strings.CutPrefix(name, w.prefix)
	if !ok || rel == "" || strings.Contains(name, "\n") || len(w.r.list) == limits.ModuleFiles {
		return fmt.Errorf("unexpected file %.80q", name)
	}
	var keep *bytes.Buffer
	if rel == "go.mod" || isLicence(rel) {
		keep = new(bytes.Buffer)
	}
	h := sha256.New()
	var embeds *embedWatch
	if isSource(path.Base(rel)) {
		embeds = new(embedWatch)
	}
	for {
		n, err := f.Read(w.r.buf)
		// A zip bomb ends here: modules may unpack to no more than this.
		if w.total += int64(n); w.total > limits.ModuleZip {
			return fmt.Errorf("unpacks to more than %d bytes", limits.ModuleZip)
		}
		h.Write(w.r.buf[:n])
		if embeds != nil {
			embeds.Write(w.r.buf[:n])
		}
		if keep != nil && keep.Len() < licensetext.MaxText {
			keep.Write(w.r.buf[:n])
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	// Hash1 of golang.org/x/mod/sumdb/dirhash: the hash of a sorted list such
	// as sha256sum prints; sorted by name, so the name comes first here.
	w.r.list = append(w.r.list, name+"\x00"+hex.EncodeToString(h.Sum(nil)))
	if embeds != nil {
		if embeds.endLine(); len(embeds.patterns) > 0 {
			w.embeds[path.Dir(rel)] = append(w.embeds[path.Dir(rel)], embeds.patterns...)
		}
	}
	switch {
	case keep == nil:
		if strings.HasSuffix(rel, ".go") && !strings.HasSuffix(rel, "_test.go") {
			for d := path.Dir(rel); !w.goDirs[d]; d = path.Dir(d) {
				w.goDirs[d] = true
			}
		}
	case rel == "go.mod":
		w.goMod = keep.Bytes()
	case len(w.files) < limits.LicenceFiles:
		w.files = append(w.files, file{rel, keep.Bytes()})
	}
	return nil
}

func (w *walk) finish(sum string) (content, error) {
	slices.Sort(w.r.list)
	h := sha256.New()
	for _, line := range w.r.list {
		name, hash, _ := strings.Cut(line, "\x00")
		fmt.Fprintf(h, "%s  %s\n", hash, name)
	}
	if got := "h1:" + base64.StdEncoding.EncodeToString(h.Sum(nil)); got != sum {
		return content{}, fmt.Errorf("%w: the binary has %s, the module cache's files have %s", errMismatch, sum, got)
	}
	slices.SortFunc(w.files, func(a, b file) int { return strings.Compare(a.name, b.name) })
	// A licence below a folder without Go code is of something that cannot
	// have been linked.
	w.files = slices.DeleteFunc(w.files, func(f file) bool { return !w.goDirs[path.Dir(f.name)] })
	c := content{licences: w.files, embeds: w.embeds}
	if w.goMod != nil {
		if f, err := modfile.ParseLax("go.mod", w.goMod, nil); err == nil {
			c.goMod = f
		}
	}
	return c, nil
}

// isLicence reports whether a file of a module, by its relative name, holds a
// licence: at the top or beside code that may have been linked.
func isLicence(rel string) bool {
	dir, base := path.Split(rel)
	for seg := range strings.SplitSeq(strings.Trim(dir, "/"), "/") {
		switch {
		case seg == "testdata" || strings.HasPrefix(seg, "_") || strings.HasPrefix(seg, ".") || seg == "examples" || seg == "docs" || seg == "LICENSES":
			return false
		}
	}
	base = strings.ToUpper(base)
	stem, ext := base, ""
	if i := strings.LastIndexByte(base, '.'); i > 0 {
		stem, ext = base[:i], base[i:]
	}
	switch ext {
	case ".GO", ".YML", ".YAML", ".JSON", ".HTML", ".SH", ".PNG", ".SVG", ".TMPL", ".TPL", ".H", ".C", ".PY", ".JS", ".TOML", ".DOCS", ".HEADER":
		return false
	}
	stem = strings.ReplaceAll(stem, "LICENCE", "LICENSE")
	return strings.HasPrefix(stem, "LICENSE") && !strings.HasPrefix(stem, "LICENSES") || strings.HasPrefix(stem, "COPYING") || stem == "UNLICENSE" || stem == "UNLICENCE"
}

// licenceFilesOf returns the licence files at the top of a folder.
func licenceFilesOf(dir string) []file {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var files []file
	for _, e := range entries {
		if !e.Type().IsRegular() || !isLicence(e.Name()) || len(files) == limits.LicenceFiles {
			continue
		}
		if text, err := readSome(filepath.Join(dir, e.Name()), licensetext.MaxText); err == nil {
			files = append(files, file{e.Name(), text})
		}
	}
	return files
}

func readSome(name string, most int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most))
}

// readGoMod returns the go.mod of a folder when it is the named module's.
func readGoMod(dir, modPath string) *modfile.File {
	data, err := readSome(filepath.Join(dir, "go.mod"), limits.GoMod)
	if err != nil {
		return nil
	}
	f, err := modfile.ParseLax("go.mod", data, nil)
	if err != nil || f.Module == nil || f.Module.Mod.Path != modPath {
		return nil
	}
	return f
}

// readGoSum returns the hashes of go.sum by "path version".
func readGoSum(dir string) map[string]string {
	data, err := readSome(filepath.Join(dir, "go.sum"), limits.GoMod)
	if err != nil {
		return nil
	}
	sums := make(map[string]string)
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) == 3 && !strings.HasSuffix(f[1], "/go.mod") {
			sums[f[0]+" "+f[1]] = f[2]
		}
	}
	return sums
}

// h1 returns a go.sum hash as a digest.
func h1(sum string) (provenance.Digest, bool) {
	b, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(sum, "h1:"))
	if err != nil || !strings.HasPrefix(sum, "h1:") {
		return provenance.Digest{}, false
	}
	d, err := provenance.NewDigest(provenance.DirHash, hex.EncodeToString(b))
	return d, err == nil
}

func zipURL(proxy, modPath, version string) (string, bool) {
	p, err := module.EscapePath(modPath)
	if err != nil {
		return "", false
	}
	v, err := module.EscapeVersion(version)
	if err != nil {
		return "", false
	}
	return strings.TrimSuffix(proxy, "/") + "/" + p + "/@v/" + v + ".zip", true
}

// gorootVersion returns the first line of a toolchain's VERSION file.
func gorootVersion(goroot string) string {
	data, err := readSome(filepath.Join(goroot, "VERSION"), 1<<10)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(data), "\n")
	return strings.TrimSpace(line)
}
