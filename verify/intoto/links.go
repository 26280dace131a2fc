package intoto

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/layout"
	"github.com/hallmark-build/hallmark/provenance/predicate"
)

func sha256Digest(b []byte) provenance.Digest {
	sum := sha256.Sum256(b)
	return provenance.MustDigest("sha256:" + hex.EncodeToString(sum[:]))
}

// A linkFile is a file whose name says that it is a link.
type linkFile struct {
	name   string
	digits string // the part of the name that is the beginning of a key id
}

// entryCost is what an entry of a directory costs, in comparisons.
const entryCost = 256

// readDir lists a directory, bounded.
func (v *verifier) readDir(dir fs.FS) ([]fs.DirEntry, error) {
	if err := v.ctx.Err(); err != nil {
		return nil, context.Cause(v.ctx)
	}
	f, err := dir.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	d, ok := f.(fs.ReadDirFile)
	if !ok {
		return nil, errors.New("the links are not in a directory")
	}
	var entries []fs.DirEntry
	for {
		some, err := d.ReadDir(256)
		entries = append(entries, some...)
		if len(entries) > limits.LayoutFiles {
			return nil, refuse(ReasonLimit, "more than %d files beside the links", limits.LayoutFiles)
		}
		// Whoever has a certificate can delegate a step in any number of
		// files, and for each the directory is looked at again.
		if err := v.budget.compare(entryCost * len(some)); err != nil {
			return nil, err
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, nil
}

// listLinks finds the files that are called as links of the layout's steps
// are. Names are compared, never used as patterns.
func (v *verifier) listLinks(dir fs.FS, l *layout.Layout) (map[string][]linkFile, error) {
	entries, err := v.readDir(dir)
	if err != nil {
		return nil, err
	}
	out := make(map[string][]linkFile, len(l.Steps))
	for i := range l.Steps {
		out[l.Steps[i].Name] = nil
	}
	for _, e := range entries {
		base, ok := strings.CutSuffix(e.Name(), ".link")
		dot := strings.LastIndexByte(base, '.')
		if !ok || dot < 0 || !isDigits(base[dot+1:]) {
			continue
		}
		step := base[:dot]
		if _, ok := out[step]; !ok {
			continue
		}
		if !e.Type().IsRegular() {
			v.note(step, "%s is passed over: not a regular file (symbolic links are not followed)", clip(e.Name()))
			continue
		}
		out[step] = append(out[step], linkFile{e.Name(), base[dot+1:]})
	}
	return out, nil
}

// isDigits reports whether s is what stands for a key id in a file name.
func isDigits(s string) bool {
	return len(s) == 8 && strings.Trim(s, "0123456789abcdefABCDEF") == ""
}

// readFile reads a file, bounded, that must be a regular one.
func (v *verifier) readFile(dir fs.FS, name string) ([]byte, error) {
	if err := v.ctx.Err(); err != nil {
		return nil, context.Cause(v.ctx)
	}
	f, err := dir.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", clip(name))
	}
	if err := v.budget.file(min(info.Size(), limits.Statement)); err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, limits.Statement+1))
	if err != nil {
		return nil, err
	}
	return data, nil
}

// errPassedOver marks what is wrong with one piece of evidence: it does not
// count, and others may do without it.
type errPassedOver struct{ error }

func passOver(format string, args ...any) error { return errPassedOver{fmt.Errorf(format, args...)} }

// A done is what the functionaries of one step agree on.
type done struct {
	StepSummary
	command    []string
	byproducts map[string]any
}

// counted is one functionary's word for a step.
type counted struct {
	by        *functionary
	file      string
	link      *predicate.ClassicLink
	materials Artifacts
	products  Artifacts
	sublayout *Summary
}

// gather reads the links of a step, keeps those that an authorised functionary
// has signed, and wants enough functionaries whose links agree.
func (v *verifier) gather(s *layout.Step, item plannedItem, keys map[string]*functionary, cas *authorities, links fs.FS, files []linkFile, at *level) (*done, error) {
	var all []*counted
	var nearest *RefusedError
	for _, file := range files {
		c, err := v.readLink(s, file, keys, cas, links, at)
		var over errPassedOver
		var refused *RefusedError
		switch {
		case err == nil:
			all = append(all, c)
		case errors.As(err, &over):
			v.note(where(at.path, s.Name), "%s is passed over: %v", clip(file.name), over.error)
		case errors.As(err, &refused) && refused.Reason != ReasonLimit && len(refused.Sublayout) > len(at.path):
			// One functionary's sublayout does not hold. Others may do without.
			v.note(where(at.path, s.Name), "%s is passed over: %v", clip(file.name), refused)
			if nearest == nil {
				nearest = refused
			}
		default:
			return nil, err
		}
	}
	by := make([]*functionary, len(all))
	for i, c := range all {
		by[i] = c.by
	}
	if n := distinct(by); n < s.Threshold {
		if nearest != nil {
			return nil, nearest
		}
		return nil, at.refuse(ReasonThreshold, s.Name, "want links by %d distinct functionaries, found %d (in %d files that are named as links of the step)", s.Threshold, n, len(files))
	}
	out := &done{StepSummary: StepSummary{Name: s.Name, Threshold: s.Threshold}}
	first := all[0]
	for _, c := range all {
		if !c.isSublayout() && !slices.Equal(c.link.Command, item.run) {
			v.note(where(at.path, s.Name), "%s: the command was %s, expected was %s", clip(c.file), clip(strings.Join(c.link.Command, " ")), clip(strings.Join(item.run, " ")))
		}
		// Whatever the threshold: the rules are applied to one link, and
		// which one must not matter.
		if which, name := differ(first, c); name != "" {
			e := at.refuse(ReasonDisagreement, s.Name, "%s and %s have different %s", clip(first.file), clip(c.file), which)
			e.Artifact = name
			return nil, e
		}
		out.Functionaries = append(out.Functionaries, c.by.String())
		if c.sublayout != nil {
			out.Sublayouts = append(out.Sublayouts, c.sublayout)
		}
	}
	slices.Sort(out.Functionaries)
	out.Functionaries = slices.Compact(out.Functionaries)
	out.Materials, out.Products = first.materials, first.products
	out.command, out.byproducts = first.link.Command, first.link.Byproducts
	return out, nil
}

func (c *counted) isSublayout() bool { return c.sublayout != nil }

// differ returns the first artifact that two links do not agree on.
func differ(a, b *counted) (which, name string) {
	for _, l := range []struct {
		which string
		a, b  Artifacts
	}{{"materials", a.materials, b.materials}, {"products", a.products, b.products}} {
		for _, name := range slices.Concat(l.a.names(), l.b.names()) {
			x, in := l.a[name]
			y, also := l.b[name]
			if !in || !also || !sameDigests(x, y) {
				return l.which, name
			}
		}
	}
	return "", ""
}

// readLink reads one file and finds out whose word it is.
func (v *verifier) readLink(s *layout.Step, file linkFile, keys map[string]*functionary, cas *authorities, links fs.FS, at *level) (*counted, error) {
	data, err := v.readFile(links, file.name)
	if err != nil {
		return nil, err // that a file cannot be read does not mean that it is not there
	}
	d, err := readDocument(data)
	if err != nil {
		return nil, passOver("%v", err)
	}
	by, err := v.signer(s, d, file.digits, keys, cas)
	if err != nil {
		return nil, err
	}
	c := &counted{by: by, file: file.name}
	switch d.typ {
	case layout.Type:
		// The functionary has delegated the step.
		if c.sublayout, err = v.sublayout(s, d, by, file.digits, links, at); err != nil {
			return nil, err
		}
		c.link = c.sublayout.Link(s.Name)
		c.materials, c.products = c.sublayout.Materials, c.sublayout.Products
		return c, nil
	case predicate.ClassicLinkType:
	default:
		return nil, passOver("a document of type %s", clip(d.typ))
	}
	if c.link, err = predicate.ParseClassicLink(d.body); err != nil {
		return nil, passOver("%v", err)
	}
	if c.link.Name != s.Name {
		return nil, passOver("the link is one of step %s", clip(c.link.Name))
	}
	if c.materials, err = cleanArtifacts(c.link.Materials); err == nil {
		c.products, err = cleanArtifacts(c.link.Products)
	}
	if err != nil {
		return nil, passOver("%v", err)
	}
	return c, nil
}

// signer returns the functionary of the step who signed a document: one whose
// key id the name of the file begins, so that each has one link for a step.
func (v *verifier) signer(s *layout.Step, d *document, digits string, keys map[string]*functionary, cas *authorities) (*functionary, error) {
	pubkeys := slices.Clone(s.PubKeys)
	slices.Sort(pubkeys)
	for _, id := range slices.Compact(pubkeys) {
		f := keys[id]
		if f == nil || !hasPrefix(id, digits) {
			continue
		}
		ok, err := d.signedBy(f, v.budget)
		if err != nil {
			return nil, err
		}
		if ok {
			return f, nil
		}
	}
	why := "no signature by a functionary of the step whose key id begins as the name of the file says"
	if len(s.CertConstraints) > 0 {
		for _, sig := range d.signatures {
			if len(sig.certificate) == 0 || !hasPrefix(sig.keyID, digits) {
				continue
			}
			// A path of certificates costs several signatures.
			if err := v.budget.verify(5 * len(s.CertConstraints)); err != nil {
				return nil, err
			}
			f, err := cas.certified(sig.certificate, s.CertConstraints, v.options.At)
			if err != nil {
				why = err.Error()
				continue
			}
			ok, err := d.signedBy(f, v.budget)
			if err != nil {
				return nil, err
			}
			if ok {
				return f, nil
			}
			why = "the signature is not one of its certificate"
		}
	}
	return nil, passOver("%s", why)
}

// sublayout judges what a functionary has delegated: with that functionary's
// key alone, links from a directory of its own, and no parameters.
func (v *verifier) sublayout(s *layout.Step, d *document, by *functionary, digits string, links fs.FS, at *level) (*Summary, error) {
	path := append(slices.Clone(at.path), s.Name)
	inner := &level{path: path, names: maps.Clone(at.names)}
	if len(path) > limits.LayoutDepth {
		return nil, inner.refuse(ReasonSublayout, "", "sublayouts nest deeper than %d", limits.LayoutDepth)
	}
	name := s.Name + "." + digits
	entries, err := v.readDir(links)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(entries, func(e fs.DirEntry) bool { return e.Name() == name })
	switch {
	case i < 0:
		return nil, inner.refuse(ReasonSublayout, "", "there is no directory %s with the links of the sublayout", clip(name))
	case entries[i].Type()&fs.ModeSymlink != 0:
		return nil, inner.refuse(ReasonSublayout, "", "%s is a symbolic link, which could lead to links that are not the sublayout's", clip(name))
	case !entries[i].IsDir():
		return nil, inner.refuse(ReasonSublayout, "", "%s is not a directory", clip(name))
	}
	dir, err := fs.Sub(links, name)
	if err != nil {
		return nil, err
	}
	return v.verifyLayout(d, []*functionary{by}, dir, inner)
}
