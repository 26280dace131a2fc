package record

import (
	"context"
	"crypto/sha256"
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

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/regular"
	"github.com/hallmark-build/hallmark/provenance"
)

// A place is a step's root directory and its working directory in it.
type place struct {
	rootPath string   // absolute
	root     *os.Root // nothing is opened outside of it, not through symbolic links either
	dir      string   // the working directory relative to the root, with slashes
	dirPath  string   // absolute
	tree     provenance.TreeOptions
}

// openPlace checks that dir is a directory within root.
func openPlace(root, dir string, tree provenance.TreeOptions) (*place, error) {
	if dir == "" {
		return nil, stepError("no Dir: want the working directory")
	}
	if root == "" {
		root = dir
	}
	var err error
	p := &place{tree: tree}
	if p.rootPath, err = filepath.Abs(root); err == nil {
		p.dirPath, err = filepath.Abs(dir)
	}
	if err == nil {
		// Compare what the two are, not what they are called.
		if p.rootPath, err = filepath.EvalSymlinks(p.rootPath); err == nil {
			p.dirPath, err = filepath.EvalSymlinks(p.dirPath)
		}
	}
	if err != nil {
		return nil, &Error{ReasonStep, "working directory", err}
	}
	rel, err := filepath.Rel(p.rootPath, p.dirPath)
	if err != nil || !filepath.IsLocal(rel) {
		return nil, stepError("working directory %q is not within root %q", dir, root)
	}
	p.dir = filepath.ToSlash(rel)
	if info, err := os.Stat(p.dirPath); err != nil || !info.IsDir() {
		return nil, stepError("working directory %q is not a directory", dir)
	}
	if p.root, err = os.OpenRoot(p.rootPath); err != nil {
		return nil, &Error{ReasonStep, "root directory", err}
	}
	return p, nil
}

// A target is a file, a directory or a pattern of files relative to the root.
type target struct {
	name    string
	pattern bool
}

// target makes a target of what is given relative to the working directory.
func (p *place) target(kind, given string, patterns bool) (target, error) {
	slashed := filepath.ToSlash(given)
	name := path.Join(p.dir, slashed)
	if given == "" || filepath.IsAbs(given) || strings.HasPrefix(slashed, "/") || !fs.ValidPath(name) {
		return target{}, stepError("%s %q: want a path relative to the working directory and within the root", kind, given)
	}
	if !patterns || !strings.ContainsAny(given, `*?[`) {
		return target{name, false}, nil
	}
	// Other globs have these, and path.Match would take them for something else.
	if strings.Contains(slashed, "**") || strings.Contains(slashed, "[!") {
		return target{}, stepError("%s %q: ** and [! are not supported; name the directory, or write [^", kind, given)
	}
	name = path.Join(globEscaper.Replace(p.dir), slashed)
	if _, err := path.Match(name, ""); err != nil {
		return target{}, &Error{ReasonStep, fmt.Sprintf("%s %q", kind, given), err}
	}
	return target{name, true}, nil
}

var globEscaper = strings.NewReplacer(`*`, `\*`, `?`, `\?`, `[`, `\[`, `\`, `\\`)

// A missingError says that a product or a material is not there.
type missingError struct{ name string }

func (e *missingError) Error() string { return fmt.Sprintf("%q: no such file", e.name) }

// digest returns the files of the targets, with whole directories and expanded
// patterns, sorted by name, each once.
func (p *place) digest(ctx context.Context, targets []target) ([]provenance.ResourceDescriptor, error) {
	var list []provenance.ResourceDescriptor
	for _, t := range targets {
		found := []string{t.name}
		if t.pattern {
			var err error
			if found, err = fs.Glob(p.root.FS(), t.name); err != nil {
				return nil, err
			}
		}
		before := len(list)
		for _, f := range found {
			files, err := p.digestOne(ctx, f)
			if err != nil {
				return nil, err
			}
			if list = append(list, files...); len(list) > limits.TreeEntries {
				return nil, fmt.Errorf("more than %d files", limits.TreeEntries)
			}
		}
		if len(list) == before {
			return nil, &missingError{t.name}
		}
	}
	slices.SortFunc(list, func(a, b provenance.ResourceDescriptor) int { return strings.Compare(a.Name, b.Name) })
	// One file may have been named twice, by itself and by its directory.
	return slices.CompactFunc(list, func(a, b provenance.ResourceDescriptor) bool { return a.Name == b.Name }), nil
}

func (p *place) digestOne(ctx context.Context, name string) ([]provenance.ResourceDescriptor, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	info, err := p.root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &missingError{name}
	case err != nil:
		return nil, err
	case info.IsDir():
		return p.digestTree(ctx, name)
	case info.Mode()&fs.ModeSymlink != 0:
		text, err := p.root.Readlink(name)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256([]byte(text))
		return []provenance.ResourceDescriptor{{
			Name: name, Digest: digestSet(sum[:]), Annotations: map[string]any{"link": text},
		}}, nil
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%q: neither a file nor a directory", name)
	}
	f, _, err := regular.OpenIn(p.root, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	sum, err := digestOpen(ctx, f, info)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", name, err)
	}
	return []provenance.ResourceDescriptor{{Name: name, Digest: digestSet(sum)}}, nil
}

// digestOpen returns the SHA-256 of an open file, which must be the one that
// info describes and the same at the end.
func digestOpen(ctx context.Context, f *os.File, info fs.FileInfo) ([]byte, error) {
	same := func() error {
		now, err := f.Stat()
		if err == nil && (!os.SameFile(info, now) || !now.Mode().IsRegular() || now.Size() != info.Size() || !now.ModTime().Equal(info.ModTime())) {
			err = errors.New("changed while it was read")
		}
		return err
	}
	if err := same(); err != nil {
		return nil, err
	}
	h := sha256.New()
	buf := make([]byte, 256<<10)
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n, err := f.Read(buf)
		h.Write(buf[:n])
		if err == io.EOF {
			return h.Sum(nil), same()
		}
		if err != nil {
			return nil, err
		}
	}
}

func digestSet(sum []byte) provenance.DigestSet {
	return provenance.DigestSet{provenance.MustDigest("sha256:" + hex.EncodeToString(sum))}
}

func (p *place) digestTree(ctx context.Context, name string) ([]provenance.ResourceDescriptor, error) {
	// The directory must be where its name says: a link on the way could lead
	// to a directory outside the root.
	full := filepath.Join(p.rootPath, filepath.FromSlash(name))
	if real, err := filepath.EvalSymlinks(full); err != nil {
		return nil, err
	} else if rel, err := filepath.Rel(p.rootPath, real); err != nil || !filepath.IsLocal(rel) {
		return nil, fmt.Errorf("%q: leads out of the root", name)
	}
	opts := p.tree
	opts.Exclude = func(file string) bool {
		// What .git says is recorded by Git; its objects and logs are not inputs.
		return path.Base(file) == ".git" || p.tree.Exclude != nil && p.tree.Exclude(path.Join(name, file))
	}
	tree, err := provenance.DigestTree(ctx, full, opts)
	if err != nil {
		return nil, fmt.Errorf("%q: %w", name, err)
	}
	list := tree.Descriptors(false)
	for i := range list {
		list[i].Name = path.Join(name, list[i].Name)
	}
	return list, nil
}

// modified returns the names of the files of before that are different in now
// or not in it.
func modified(before, now []provenance.ResourceDescriptor) []string {
	digests := make(map[string]provenance.DigestSet, len(now))
	for _, d := range now {
		digests[d.Name] = d.Digest
	}
	var names []string
	for _, d := range before {
		if !d.Digest.Matches(digests[d.Name]) {
			names = append(names, d.Name)
		}
	}
	return names
}
