package golang

import (
	"bytes"
	"debug/elf"
	"debug/macho"
	"encoding/binary"
	"errors"
	"io"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/sbom"
)

// linkedPackages returns the packages of which functions were linked, by their
// import paths. Their names are in the table that the runtime needs for stack
// traces ("pclntab", https://go.dev/s/go12symtab as later changed; see
// debug/gosym), which stripping leaves. The package main is called that. Of the
// standard library, there are some packages in the list of which the runtime
// alone has functions.
func linkedPackages(f io.ReaderAt) (list map[string]bool, err error) {
	defer func() {
		if recover() != nil { // of debug/elf and debug/macho, which parse what the toolchain wrote
			list, err = nil, errors.New("malformed program")
		}
	}()
	var table io.ReadSeeker
	if x, err := elf.NewFile(f); err == nil {
		for _, name := range []string{".gopclntab", ".data.rel.ro.gopclntab"} {
			if s := x.Section(name); s != nil && s.Type != elf.SHT_NOBITS {
				table = s.Open()
			}
		}
	} else if x, err := macho.NewFile(f); err == nil {
		if s := x.Section("__gopclntab"); s != nil {
			table = s.Open()
		}
	}
	if table == nil {
		return nil, errors.New("no table of functions")
	}
	head := make([]byte, 8+8*8)
	if _, err := io.ReadFull(table, head); err != nil {
		return nil, err
	}
	var order binary.ByteOrder = binary.LittleEndian
	if order.Uint32(head)>>8 != 0xffffff {
		order = binary.BigEndian
	}
	word := func(i int) uint64 {
		if head[7] == 4 {
			return uint64(order.Uint32(head[8+4*i:]))
		}
		return order.Uint64(head[8+8*i:])
	}
	first := 0
	switch order.Uint32(head) {
	case 0xfffffffa: // Go 1.16
		first = 2
	case 0xfffffff0, 0xfffffff1: // Go 1.18, 1.20
		first = 3
	default:
		return nil, errors.New("a table of functions of another version")
	}
	start, end := word(first), word(first+1)
	if head[7] != 4 && head[7] != 8 || start > end || end-start > limits.GoFunctionNames || end > 1<<40 {
		return nil, errors.New("malformed table of functions")
	}
	if _, err := table.Seek(int64(start), io.SeekStart); err != nil {
		return nil, err
	}
	names, err := io.ReadAll(io.LimitReader(table, int64(end-start)))
	if err != nil {
		return nil, err
	}
	list = map[string]bool{}
	for name := range bytes.SplitSeq(names, []byte{0}) {
		if p := packageOf(name); p != nil && !list[string(p)] {
			if len(list) == limits.GoPackages {
				return nil, errors.New("too many packages")
			}
			list[string(p)] = true
		}
	}
	if list["main"] && len(list) > 1 {
		return list, nil
	}
	return nil, errors.New("no functions of Go in the table")
}

// packageOf returns the import path in a function's name: "a.b/c.(*T).M[...]"
// is of "a.b/c". nil is none: generated code, assembly.
func packageOf(name []byte) []byte {
	if bytes.HasPrefix(name, []byte("type:")) || bytes.HasPrefix(name, []byte("go:")) || bytes.HasPrefix(name, []byte("type..")) || bytes.HasPrefix(name, []byte("go.")) {
		return nil
	}
	if i := bytes.IndexByte(name, '['); i >= 0 { // type arguments, with paths of their own
		name = name[:i]
	}
	slash := bytes.LastIndexByte(name, '/') + 1
	dot := bytes.IndexByte(name[slash:], '.')
	if dot <= 0 {
		return nil
	}
	p := name[:slash+dot]
	if bytes.IndexByte(p, '%') >= 0 { // dots of the last element
		if s, err := url.PathUnescape(string(p)); err == nil {
			return []byte(s)
		}
	}
	return p
}

// assignPackages says which of the linked packages are of which module.
func (b *builder) assignPackages(f io.ReaderAt) {
	list, err := linkedPackages(f)
	if err != nil {
		b.noPackages = err.Error()
		return
	}
	b.packages = map[string][]string{}
	modules := map[string]bool{}
	for _, m := range b.bi.Deps {
		modules[m.Path] = true
	}
	if b.bi.Main.Path != "" {
		modules[b.bi.Main.Path] = true
	}
	for p := range list {
		if p == "main" {
			p = b.bi.Path
			if p == "command-line-arguments" {
				b.packages[b.bi.Main.Path] = append(b.packages[b.bi.Main.Path], p)
				continue
			}
		}
		owner := "stdlib"
		for m := p; m != "." && m != "/"; m = path.Dir(m) {
			if modules[m] {
				owner = m
				break
			}
		}
		b.packages[owner] = append(b.packages[owner], p)
	}
	for _, l := range b.packages {
		slices.Sort(l)
	}
}

// describePackages adds to a component which packages of a module were linked.
func (b *builder) describePackages(c *sbom.Component, modPath string) {
	if b.packages == nil {
		return
	}
	for _, p := range b.packages[modPath] {
		c.Properties = append(c.Properties, sbom.Property{Name: "hallmark-go:linked", Value: p})
	}
	if len(b.packages[modPath]) == 0 {
		c.Properties = append(c.Properties, sbom.Property{Name: "hallmark-go:linked:none", Value: "types, variables or constants only"})
	}
}

// embeds returns what the linked packages of a module embed: the patterns of
// their go:embed directives. Directives of files that a build constraint left
// out count as well.
func (b *builder) embeds(modPath string, found map[string][]string) []string {
	var list []string
	for dir, patterns := range found {
		if b.packages == nil || slices.Contains(b.packages[modPath], path.Join(modPath, dir)) {
			for _, p := range patterns {
				list = append(list, path.Join(dir, ".")+": "+p)
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// noteEmbeds notes that there are files in the program that its list of
// modules does not name.
func (b *builder) noteEmbeds(id string, list []string) {
	if len(list) == 0 {
		return
	}
	const most = 20
	detail := "files are embedded, and what is in them is not listed: " + strings.Join(list[:min(len(list), most)], "; ")
	if len(list) > most {
		detail += "; and more"
	}
	b.gap(id, sbom.FieldDependencies, ReasonEmbedded, strings.ToValidUTF8(detail[:min(len(detail), 2000)], ""))
}

// An embedWatch finds go:embed directives in the source that is written to it.
type embedWatch struct {
	line     []byte
	skip     bool // the rest of a line that is none
	patterns []string
}

var embedDirective = []byte("//go:embed")

func (w *embedWatch) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		end := bytes.IndexByte(p, '\n')
		if !w.skip {
			part := p
			if end >= 0 {
				part = p[:end]
			}
			w.line = append(w.line, part[:min(len(part), 512-min(len(w.line), 512))]...)
			k := min(len(w.line), len(embedDirective))
			w.skip = !bytes.Equal(w.line[:k], embedDirective[:k])
		}
		if end < 0 {
			break
		}
		w.endLine()
		p = p[end+1:]
	}
	return n, nil
}

func (w *embedWatch) endLine() {
	if !w.skip && len(w.line) > len(embedDirective) && len(w.patterns) < 64 {
		if rest := w.line[len(embedDirective):]; rest[0] == ' ' || rest[0] == '\t' {
			w.patterns = append(w.patterns, strings.TrimSpace(string(rest)))
		}
	}
	w.line, w.skip = w.line[:0], false
}

// embedsOf looks for go:embed directives in the folders of the packages of a
// module that is a folder.
func embedsOf(dir string, packages []string, modPath string) map[string][]string {
	found := map[string][]string{}
	for _, p := range packages {
		rel := "."
		if p != modPath {
			var ok bool
			if rel, ok = strings.CutPrefix(p, modPath+"/"); !ok {
				continue
			}
		}
		entries, err := os.ReadDir(filepath.Join(dir, filepath.FromSlash(rel)))
		if err != nil {
			continue
		}
		for _, e := range entries {
			if !e.Type().IsRegular() || !isSource(e.Name()) {
				continue
			}
			text, err := readSome(filepath.Join(dir, filepath.FromSlash(rel), e.Name()), limits.GoMod)
			if err != nil {
				continue
			}
			var w embedWatch
			w.Write(text)
			w.endLine()
			found[rel] = append(found[rel], w.patterns...)
		}
	}
	return found
}

// isSource reports whether a file of a package may have been compiled into a program.
func isSource(name string) bool {
	return strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") && !strings.HasPrefix(name, "_") && !strings.HasPrefix(name, ".")
}
