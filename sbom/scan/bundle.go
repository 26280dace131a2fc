package scan

import (
	"cmp"
	"context"
	"errors"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/strictjson"
	"github.com/hallmark-build/hallmark/sbom"
)

// bundlerStats reads what bundlers leave about what they packed:
//
//   - esbuild's metafile (https://esbuild.github.io/api/#metafile)
//   - webpack's and Rspack's stats (https://webpack.js.org/api/stats/)
//   - the raw data of rollup-plugin-visualizer, for Rollup and Vite
//
// The names of such files are everybody's choice, so those in use are looked
// at, and one that is of no such format is passed over without a word, unless
// it is called a metafile.
var bundlerStats = analyser{
	name: "bundler", version: 1, ecosystem: "npm", limit: limits.ScanFile,
	wants: func(p, base string) bool {
		switch base {
		case "meta.json", "metafile.json", "esbuild-meta.json", "stats.json", "webpack-stats.json", "rspack-stats.json", "rollup-stats.json", "bundle-stats.json":
		default:
			if !strings.HasSuffix(base, "-metafile.json") && !strings.HasSuffix(base, ".metafile.json") && !strings.HasSuffix(base, ".meta.json") && !strings.HasSuffix(base, "-stats.json") {
				return false
			}
			if strings.HasPrefix(base, "metafile-") {
				return true
			}
		}
		return !inModules(p)
	},
	read: readBundlerStats,
}

// A bundle is a file that a bundler made, with where the packages were that it
// packed parts of: paths that end in the directory of a package.
type bundle struct {
	Name     string
	Packages []string
}

func readBundlerStats(_ context.Context, f *file, r *report) error {
	data, err := f.all()
	if err != nil {
		return err
	}
	s := bundlerReader{p: strictjson.NewParser(data, limits.ScanFile), r: r, packed: map[string]map[string]bool{}}
	err = s.document()
	if err == nil {
		err = s.p.End()
	}
	if !s.esbuild && !s.webpack && !s.visualizer {
		if strings.Contains(path.Base(f.path), "metafile") {
			return errors.Join(errors.New("want a metafile of esbuild"), err)
		}
		return nil
	}
	s.resolve(f.path)
	for name, packages := range s.packed {
		b := bundle{Name: name}
		for p := range packages {
			b.Packages = append(b.Packages, p)
		}
		slices.Sort(b.Packages)
		r.Bundles = append(r.Bundles, b)
	}
	slices.SortFunc(r.Bundles, func(a, b bundle) int { return cmp.Compare(a.Name, b.Name) })
	return err
}

type bundlerReader struct {
	p                            *strictjson.Parser
	r                            *report
	esbuild, webpack, visualizer bool

	packed map[string]map[string]bool // by output

	modules []chunked           // of webpack, until the names of chunks are known
	chunks  map[string][]string // their files

	parts []part          // of the visualizer, until it is known which are empty
	empty map[string]bool // parts of which nothing was left
}

type part struct{ uid, output, pkg string }

type chunked struct {
	pkg    string
	chunks []string
}

func (s *bundlerReader) pack(output, pkg string) error {
	m := s.packed[output]
	if m == nil {
		m = map[string]bool{}
		s.packed[output] = m
		s.r.bytes += 256 + len(output)
	}
	if pkg != "" && !m[pkg] {
		m[pkg] = true
		s.r.bytes += 128 + len(pkg)
	}
	if s.r.bytes > limits.ScanBytes {
		return limitf("names larger than %d bytes together", limits.ScanBytes)
	}
	return nil
}

func (s *bundlerReader) document() error {
	p := s.p
	if p.Kind() != strictjson.Object {
		return errors.New("want an object")
	}
	return p.Object(func(key []byte) error {
		switch string(key) {
		case "outputs":
			if p.Kind() == strictjson.Object {
				return p.Object(func(key []byte) error { return s.esbuildOutput(string(key)) })
			}
		case "modules":
			if p.Kind() == strictjson.Array {
				return p.Array(func(int) error { return s.webpackModule(nil, 0) })
			}
		case "chunks":
			if p.Kind() == strictjson.Array {
				s.chunks = map[string][]string{}
				return p.Array(func(int) error { return s.webpackChunk() })
			}
		case "children": // of a build with several configurations
			if p.Kind() == strictjson.Array {
				return p.Array(func(int) error {
					if p.Kind() != strictjson.Object {
						return p.Skip()
					}
					child := bundlerReader{p: p, r: s.r, packed: s.packed}
					err := child.document()
					s.webpack = s.webpack || child.webpack
					child.resolve("")
					return err
				})
			}
		case "nodeParts":
			if p.Kind() == strictjson.Object {
				return p.Object(func(key []byte) error { return s.visualizerPart(string(key)) })
			}
		case "nodeMetas":
			if p.Kind() == strictjson.Object {
				return p.Object(func([]byte) error { return s.visualizerModule() })
			}
		}
		return p.Skip()
	})
}

func (s *bundlerReader) esbuildOutput(output string) error {
	p := s.p
	if p.Kind() != strictjson.Object {
		return p.Skip()
	}
	return p.Object(func(key []byte) error {
		if string(key) != "inputs" || p.Kind() != strictjson.Object {
			return p.Skip()
		}
		s.esbuild = true
		if strings.HasSuffix(output, ".map") {
			return p.Skip()
		}
		if err := s.pack(output, ""); err != nil {
			return err
		}
		return p.Object(func(key []byte) error {
			bytes := int64(1)
			pkg := packageDir(string(key))
			if p.Kind() != strictjson.Object {
				return p.Skip()
			}
			err := p.Object(func(key []byte) error {
				if string(key) == "bytesInOutput" {
					return integer(p, &bytes)
				}
				return p.Skip()
			})
			if err == nil && pkg != "" && bytes > 0 {
				err = s.pack(output, pkg)
			}
			return err
		})
	})
}

// webpackModule reads a module. One that holds others, which were joined, says
// for all which chunks they are in.
func (s *bundlerReader) webpackModule(outer []string, depth int) error {
	p := s.p
	if p.Kind() != strictjson.Object {
		return p.Skip()
	}
	if depth > limits.ScanDepth {
		return limitf("modules nested deeper than %d", limits.ScanDepth)
	}
	var name, condition string
	var orphan, known bool
	start := len(s.modules)
	chunks := outer
	err := p.Object(func(key []byte) error {
		switch string(key) {
		case "name":
			return str(p, &name)
		case "nameForCondition":
			return str(p, &condition)
		case "orphan":
			return boolean(p, &orphan)
		case "chunks":
			if p.Kind() != strictjson.Array {
				return p.Skip()
			}
			known, chunks = true, nil
			s.webpack = true
			return p.Array(func(int) error {
				id, err := chunkID(p)
				chunks = append(chunks, id)
				return err
			})
		case "modules":
			if p.Kind() != strictjson.Array {
				return p.Skip()
			}
			return p.Array(func(int) error { return s.webpackModule(chunks, depth+1) })
		}
		return p.Skip()
	})
	if err != nil {
		return err
	}
	// The members may come before the chunks.
	for i := start; i < len(s.modules); i++ {
		if len(s.modules[i].chunks) == 0 {
			s.modules[i].chunks = chunks
		}
	}
	if orphan || known && len(chunks) == 0 && depth == 0 {
		s.modules = s.modules[:start]
		return nil
	}
	pkg := packageDir(name)
	if pkg == "" {
		pkg = packageDir(condition)
	}
	if pkg == "" {
		return nil
	}
	if s.r.bytes += 64 + len(pkg) + 16*len(chunks); s.r.bytes > limits.ScanBytes {
		return limitf("names larger than %d bytes together", limits.ScanBytes)
	}
	s.modules = append(s.modules, chunked{pkg, chunks})
	return nil
}

func (s *bundlerReader) webpackChunk() error {
	p := s.p
	if p.Kind() != strictjson.Object {
		return p.Skip()
	}
	var id string
	var files []string
	err := p.Object(func(key []byte) (err error) {
		switch string(key) {
		case "id":
			id, err = chunkID(p)
			return err
		case "files":
			if p.Kind() != strictjson.Array {
				return p.Skip()
			}
			return p.Array(func(int) error {
				var name string
				err := str(p, &name)
				if name != "" && !strings.HasSuffix(name, ".map") {
					files = append(files, name)
				}
				return err
			})
		}
		return p.Skip()
	})
	s.chunks[id] = files
	return err
}

// chunkID reads a number or a name.
func chunkID(p *strictjson.Parser) (string, error) {
	if p.Kind() == strictjson.Number {
		n, err := p.Int()
		return strconv.FormatInt(n, 10), err
	}
	var s string
	err := str(p, &s)
	return s, err
}

func integer(p *strictjson.Parser, n *int64) (err error) {
	if p.Kind() != strictjson.Number {
		return p.Skip()
	}
	*n, err = p.Int()
	return err
}

func (s *bundlerReader) visualizerModule() error {
	p := s.p
	if p.Kind() != strictjson.Object {
		return p.Skip()
	}
	var id string
	var parts []part
	err := p.Object(func(key []byte) error {
		switch string(key) {
		case "id":
			return str(p, &id)
		case "moduleParts":
			if p.Kind() != strictjson.Object {
				return p.Skip()
			}
			s.visualizer = true
			return p.Object(func(key []byte) error {
				x := part{output: string(key)}
				err := str(p, &x.uid)
				parts = append(parts, x)
				return err
			})
		}
		return p.Skip()
	})
	pkg := packageDir(id)
	for _, x := range parts {
		x.pkg = pkg
		s.parts = append(s.parts, x)
		s.r.bytes += 64 + len(x.uid) + len(x.output) + len(pkg)
	}
	if err == nil && s.r.bytes > limits.ScanBytes {
		err = limitf("names larger than %d bytes together", limits.ScanBytes)
	}
	return err
}

func (s *bundlerReader) visualizerPart(uid string) error {
	p := s.p
	if p.Kind() != strictjson.Object {
		return p.Skip()
	}
	rendered := int64(1)
	err := p.Object(func(key []byte) error {
		if string(key) == "renderedLength" {
			return integer(p, &rendered)
		}
		return p.Skip()
	})
	if rendered == 0 {
		if s.empty == nil {
			s.empty = map[string]bool{}
		}
		s.empty[uid] = true
	}
	return err
}

// resolve gives modules to the files that they are in, now that all was read.
func (s *bundlerReader) resolve(statsFile string) {
	for _, m := range s.modules {
		some := false
		for _, c := range m.chunks {
			for _, f := range s.chunks[c] {
				some = true
				s.pack(f, m.pkg) // was bounded when it was read
			}
		}
		if !some {
			s.pack(cmp.Or(path.Base(statsFile), "bundle"), m.pkg)
		}
	}
	s.modules = nil
	for _, x := range s.parts {
		if !s.empty[x.uid] {
			s.pack(x.output, x.pkg)
		}
	}
	s.parts = nil
}

// packageDir returns the directory of the package that a module is of, by its
// name in the bundler's file: "./node_modules/@a/b/c.js?x" is of
// "node_modules/@a/b". "" is none: a module of the project itself.
func packageDir(module string) string {
	if i := strings.LastIndexByte(module, '!'); i >= 0 { // loaders of webpack come before
		module = module[i+1:]
	}
	module = strings.ReplaceAll(module, `\`, "/")
	module = strings.TrimPrefix(module, "\x00") // of Rollup's plugins
	if i := strings.LastIndex(module, "|"); i >= 0 {
		module = module[i+1:]
	}
	if i := strings.IndexByte(module, '?'); i >= 0 {
		module = module[:i]
	}
	if len(module) > limits.TreePath {
		return ""
	}
	module = path.Clean("/" + module)
	const dir = "/node_modules/"
	i := strings.LastIndex(module, dir)
	if i < 0 {
		return ""
	}
	i += len(dir)
	name, rest, _ := strings.Cut(module[i:], "/")
	if strings.HasPrefix(name, "@") {
		second, _, _ := strings.Cut(rest, "/")
		if second == "" {
			return ""
		}
		name += "/" + second
	}
	if name == "" || strings.HasPrefix(name, ".") {
		return ""
	}
	return module[1:i] + name
}

// bundles makes components of the bundles, and of what they have packed that
// nothing else has found.
func (a *assembly) bundles(reports []*report, entries map[*report][]*entry) {
	a.packed = map[string]bool{}
	g := a.groups["npm"]
	// Packages of lock files without places (pnpm, yarn), by name and version.
	locked := map[string]*entry{}
	for _, group := range a.groups {
		for _, e := range group.list {
			if e.PURL.Type == "npm" && !e.Project && e.Group != "npm" {
				for _, k := range []string{e.Name + "@" + e.Version, e.Name} {
					if old, ok := locked[k]; !ok {
						locked[k] = e
					} else if old != nil && old.Version != e.Version {
						locked[k] = nil // which of them it is, nobody says
					}
				}
			}
		}
	}
	add := func(r *report, f *finding) *entry {
		e := &entry{finding: f, report: r}
		entries[r] = append(entries[r], e)
		return e
	}
	for _, r := range reports {
		dir := path.Dir(r.Path)
		for i := range r.Bundles {
			b := &r.Bundles[i]
			out := add(r, &finding{
				Group: "bundle", Key: r.Path + " " + b.Name, Type: sbom.File, Name: text(bundlePath(dir, b.Name)), Source: sbom.Observed, Method: "bundler's metafile",
				Scope: sbom.Required, AllDeps: true,
			})
			for _, p := range b.Packages {
				e := a.packedEntry(g, locked, dir, p)
				if e == nil {
					name, version := packageAt(p)
					f := &finding{
						Group: "npm", Key: path.Join(dir, p), Name: name, Version: version, PURL: npmPURL(name, version), Scope: sbom.Required,
						Source: sbom.Observed, Method: "bundler's metafile",
					}
					quiet := &report{}
					f.tidy(quiet)
					for _, gap := range quiet.Gaps {
						a.gap("", gap.Field, gap.Reason, clip(r.Path)+": "+gap.Detail)
					}
					e = add(r, f)
					if g == nil {
						g = &group{byKey: map[string]*entry{}, also: map[string]*entry{}}
						a.groups["npm"] = g
					}
					g.list = append(g.list, e)
					if g.byKey[f.Key] == nil {
						g.byKey[f.Key] = e
					}
				}
				a.packed[e.PURL.String()] = true
				out.packs = append(out.packs, e)
			}
		}
	}
}

// packedEntry finds the package in a directory that a bundler names. What the
// bundler's names are relative to is some directory above.
func (a *assembly) packedEntry(g *group, locked map[string]*entry, dir, p string) *entry {
	short := p[strings.Index("/"+p, "/node_modules/"):]
	if g != nil {
		for _, p := range []string{p, short} {
			for d := dir; ; d = path.Dir(d) {
				k := path.Join(d, p)
				for range 8 {
					if e := g.byKey[k]; e != nil && !e.Project {
						return e
					}
					l, ok := a.links[k]
					if !ok {
						break
					}
					k = l
				}
				if d == "." || d == "/" {
					break
				}
			}
		}
	}
	name, version := packageAt(p)
	if version != "" {
		return locked[name+"@"+version]
	}
	return locked[name]
}

// packageAt returns the name of the package in a directory, and the version if
// the path has it, as in pnpm's "node_modules/.pnpm/a@1.0.0_b@2/node_modules/a"
// and yarn's ".yarn/cache/a-npm-1.0.0-0123456789-8.zip/node_modules/a".
func packageAt(p string) (name, version string) {
	i := strings.LastIndex("/"+p, "/node_modules/")
	name = p[i+len("node_modules/"):]
	above := path.Base(p[:max(i-1, 0)])
	if s, ok := strings.CutPrefix(above, strings.ReplaceAll(name, "/", "+")+"@"); ok && strings.Contains(p, "node_modules/.pnpm/") {
		s, _, _ = strings.Cut(s, "_")
		version, _, _ = strings.Cut(s, "(")
	} else if s, ok := strings.CutPrefix(above, strings.ReplaceAll(name, "/", "-")+"-npm-"); ok {
		// The version may have dashes; two parts come after it.
		parts := strings.Split(strings.TrimSuffix(s, ".zip"), "-")
		if len(parts) > 2 {
			version = strings.Join(parts[:len(parts)-2], "-")
		}
	}
	return name, version
}

// bundlePath returns where a bundle is: its name is relative to the directory
// that the bundler ran in, or to that of the metafile.
func bundlePath(dir, name string) string {
	name = clean(name)
	if first, _, ok := strings.Cut(name, "/"); ok && (dir == first || strings.HasSuffix(dir, "/"+first)) {
		dir = path.Dir(dir)
	}
	return path.Join(dir, name)
}
