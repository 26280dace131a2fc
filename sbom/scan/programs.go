package scan

import (
	"bytes"
	"compress/zlib"
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"runtime/debug"
	"strings"

	"golang.org/x/mod/modfile"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/sbom"
)

// programs reads the lists that Go and "cargo auditable" put into programs.
// Package sbom/golang makes a better bill of a Go program, with its module cache.
var programs = analyser{
	name: "programs", version: 2, ecosystem: "golang cargo", limit: limits.ScanProgram, random: true, program: true,
	wants: func(_, base string) bool {
		i := strings.LastIndexByte(base, '.')
		return i < 0 || !notPrograms[strings.ToLower(base[i+1:])]
	},
	read: readProgram,
}

// anyFile lists a file by its content alone. It is not among the analysers: the
// caller says which files are his (Options.Files).
var anyFile = analyser{
	name: "file", version: 1, limit: limits.ArchiveBytes,
	read: func(_ context.Context, f *file, r *report) error {
		g := finding{Group: "file", Key: f.path, Type: sbom.File, Name: f.path, Source: sbom.Observed, Method: "file", Scope: sbom.Required}
		sum := f.sum
		if sum == "" {
			h := sha256.New()
			n, err := io.Copy(h, io.LimitReader(f.r, f.size+1))
			if err == nil && n != f.size {
				err = fmt.Errorf("want %d bytes, found another number", f.size)
			}
			if err != nil {
				return errors.Join(err, r.add(g))
			}
			sum = hex.EncodeToString(h.Sum(nil))
		}
		if err := g.hashed(sum); err != nil {
			return err
		}
		return r.add(g)
	},
}

// notPrograms are extensions of what no linker makes. Files with others are
// looked at if they may be executed.
var notPrograms = set(`js mjs cjs jsx ts tsx mts cts map json json5 jsonc md markdown txt rst adoc html htm xhtml css scss sass less styl
	svg png jpg jpeg gif ico webp bmp tif tiff pdf ps eot ttf otf woff woff2 mp3 mp4 ogg wav webm
	yml yaml toml ini cfg conf properties xml xsd xsl xslt csv tsv sql proto graphql lock log patch diff
	c h cc cpp cxx hpp hh hxx inc s asm m mm go mod sum rs py pyc pyi pyx rb pl pm t php java class kt scala groovy gradle swift cs vb fs
	lua r jl el lisp clj ex exs erl hs ml mli dart vue svelte coffee sh bash zsh fish ps1 bat cmd awk sed tcl vim
	jar war ear aar zip gz tgz tar xz bz2 zst lz4 7z rar whl egg deb rpm apk
	po pot mo gmo mk cmake am ac in m4 tmpl tpl ejs hbs pug flow snap golden a o lo la rlib pdb db sqlite dat pem crt key pub asc sig
	npmignore gitignore gitattributes eslintrc prettierrc editorconfig babelrc nycrc npmrc nvmrc jshintrc eslintignore`)

func set(words string) map[string]bool {
	m := map[string]bool{}
	for w := range strings.FieldsSeq(words) {
		m[w] = true
	}
	return m
}

// isProgram reports whether a file may be an executable, by how it begins.
func isProgram(head []byte) bool {
	for _, magic := range []string{"\x7fELF", "MZ", "\xfe\xed\xfa\xce", "\xfe\xed\xfa\xcf", "\xce\xfa\xed\xfe", "\xcf\xfa\xed\xfe"} {
		if bytes.HasPrefix(head, []byte(magic)) {
			return true
		}
	}
	return false
}

func readProgram(ctx context.Context, f *file, r *report) error {
	head := make([]byte, 4)
	if n, err := f.at.ReadAt(head, 0); n < 4 || !isProgram(head) {
		if err != nil && err != io.EOF {
			return &readError{err}
		}
		return nil
	}
	program := finding{
		Project: true, Type: sbom.Application, Name: path.Base(f.path), Source: sbom.Observed, Scope: sbom.Required,
	}
	if bi, err := buildinfo.Read(f.at); err == nil {
		if err := program.hash(ctx, f); err != nil {
			return err
		}
		return readGoProgram(f, r, bi, &program)
	}
	list, err := auditable(f.at)
	if list == nil && err == nil {
		return nil // nothing that the program says about itself
	}
	if err := program.hash(ctx, f); err != nil {
		return err
	}
	program.Method = "cargo auditable list in the program"
	if err != nil {
		return errors.Join(err, r.add(program))
	}
	return readAuditable(f, r, list, &program)
}

// hash gives a finding the digest of the file, if that is asked for.
func (g *finding) hash(ctx context.Context, f *file) error {
	if !f.hash {
		return nil
	}
	if f.sum != "" {
		return g.hashed(f.sum)
	}
	h := sha256.New()
	buf := make([]byte, 256<<10)
	sr := io.NewSectionReader(f.at, 0, f.size)
	for {
		if err := ctx.Err(); err != nil {
			return &readError{err}
		}
		n, err := sr.Read(buf)
		h.Write(buf[:n])
		if err == io.EOF {
			break
		}
		if err != nil {
			return &readError{err}
		}
	}
	return g.hashed(hex.EncodeToString(h.Sum(nil)))
}

func (g *finding) hashed(sum string) error {
	d, err := provenance.NewDigest(provenance.SHA256, sum)
	g.Digests, g.Observed, g.DigestHow = provenance.DigestSet{d}, true, "content of the file"
	return err
}

func readGoProgram(f *file, r *report, bi *debug.BuildInfo, program *finding) error {
	group := "goprogram:" + f.path
	const method = "go build info"
	program.Method = method
	program.Group, program.Key, program.AllDeps = group, "main", bi.Main.Path != ""
	if bi.Main.Version != "(devel)" {
		program.Version = bi.Main.Version
	}
	if bi.Main.Path != "" {
		program.PURL = goPURL(bi.Main.Path, program.Version)
		if sub, ok := strings.CutPrefix(bi.Path, bi.Main.Path+"/"); ok {
			program.PURL.Subpath = sub
		}
	}
	program.Properties = append(program.Properties, sbom.Property{Name: "hallmark-scan:go-package", Value: text(bi.Path)})
	for _, s := range bi.Settings {
		switch s.Key {
		case "vcs.revision", "vcs.time", "vcs.modified":
			if len(s.Value) <= limits.ScanName {
				program.Properties = append(program.Properties, sbom.Property{Name: "hallmark-scan:" + s.Key, Value: text(s.Value)})
			}
		}
	}
	std := finding{
		Group: group, Key: "stdlib", Name: "stdlib", Source: sbom.Observed, Method: method, Scope: sbom.Required, AllDeps: true, Direct: true,
		Version: strings.TrimPrefix(strings.Fields(bi.GoVersion + " ")[0], "go"),
	}
	std.PURL = goPURL("stdlib", std.Version)
	if err := r.add(*program); err != nil {
		return err
	}
	if err := r.add(std); err != nil {
		return err
	}
	for _, d := range bi.Deps {
		m := *d
		g := finding{Group: group, Key: d.Path, Source: sbom.Observed, Method: method, Scope: sbom.Required, Direct: true}
		if rep := d.Replace; rep != nil {
			g.Properties = append(g.Properties, sbom.Property{Name: "hallmark-scan:replaces", Value: text(d.Path + "@" + d.Version)})
			if rep.Version == "" || rep.Version == "(devel)" || modfile.IsDirectoryPath(rep.Path) {
				m.Sum = "" // a folder of the building machine
				g.Properties = append(g.Properties, sbom.Property{Name: "hallmark-scan:replaced", Value: "by a folder"})
			} else {
				m = *rep
			}
		}
		g.Name, g.Version, g.PURL = m.Path, m.Version, goPURL(m.Path, m.Version)
		if g.Version == "(devel)" {
			g.Version, g.PURL.Version = "", ""
		}
		g.Digests = h1Set(m.Sum)
		if err := r.add(g); err != nil {
			return err
		}
	}
	if bi.Main.Path == "" {
		r.gap(sbom.FieldDependencies, ReasonNoList, "a Go program without a list of its modules")
	}
	return nil
}

const auditableSection = ".dep-v0"

// auditable returns the list in the section that cargo auditable adds; nil
// when there is none.
func auditable(at io.ReaderAt) ([]byte, error) {
	var section io.Reader
	var size uint64
	if x, err := elf.NewFile(at); err == nil {
		if s := x.Section(auditableSection); s != nil && s.Type != elf.SHT_NOBITS {
			section, size = s.Open(), s.FileSize
		}
	} else if x, err := macho.NewFile(at); err == nil {
		if s := x.Section(auditableSection); s != nil {
			section, size = s.Open(), s.Size
		}
	} else if x, err := pe.NewFile(at); err == nil {
		if s := x.Section(auditableSection); s != nil {
			section, size = s.Open(), uint64(s.Size)
		}
	}
	if section == nil {
		return nil, nil
	}
	if size > limits.ScanModules {
		return nil, limitf("a section %s of %d bytes", auditableSection, size)
	}
	z, err := zlib.NewReader(section)
	if err != nil {
		return nil, fmt.Errorf("section %s: %w", auditableSection, err)
	}
	list, err := io.ReadAll(io.LimitReader(z, limits.ScanModules+1))
	if err != nil {
		return nil, fmt.Errorf("section %s: %w", auditableSection, err)
	}
	if len(list) > limits.ScanModules {
		return nil, limitf("section %s has more than %d bytes", auditableSection, limits.ScanModules)
	}
	return list, nil
}
