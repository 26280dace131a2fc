package scan

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/textproto"
	"path"
	"strings"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/strictjson"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/purl"
)

// pyName brings a project name into the form that PEP 503 compares by.
func pyName(s string) string {
	var b strings.Builder
	dash := false
	for _, c := range []byte(strings.ToLower(strings.TrimSpace(s))) {
		if c == '-' || c == '_' || c == '.' {
			dash = true
			continue
		}
		if dash && b.Len() > 0 {
			b.WriteByte('-')
		}
		dash = false
		b.WriteByte(c)
	}
	return b.String()
}

func pyPURL(name, version string) purl.PURL {
	return purl.PURL{Type: "pypi", Name: strings.TrimSpace(name), Version: version}
}

// distribution is a file of a release. A release has several, for different
// platforms, and which one was installed a lock file does not say; so their
// digests are those of references, and those of the package only if there is
// one file.
func (f *finding) distributions(files []pyFile) {
	seen := map[string]bool{}
	for _, d := range files {
		alg, value, _ := strings.Cut(d.Hash, ":")
		digest, ok := hexDigest(alg, value)
		if !ok || alg == "md5" || seen[d.Hash] {
			continue
		}
		seen[d.Hash] = true
		name := d.File
		if name == "" {
			name = d.URL[strings.LastIndexByte(d.URL, '/')+1:]
		}
		if len(files) == 1 {
			f.Digests = provenance.DigestSet{digest}
		}
		if strings.HasPrefix(d.URL, "https://") && len(d.URL) <= limits.ScanName {
			f.Reference = append(f.Reference, sbom.Reference{Kind: "distribution", URL: text(d.URL), Digests: provenance.DigestSet{digest}})
		} else {
			f.Properties = append(f.Properties, sbom.Property{Name: "hallmark-scan:distribution", Value: strings.TrimSpace(text(name) + " " + digest.String())})
		}
	}
}

type pyFile struct {
	File string `toml:"file"`
	URL  string `toml:"url"`
	Hash string `toml:"hash"`
}

// pyRequirements reads requirements files of pip.
// https://pip.pypa.io/en/stable/reference/requirements-file-format/
var pyRequirements = analyser{
	name: "pip-requirements", version: 1, ecosystem: "pypi", limit: limits.ScanManifest,
	wants: func(p, base string) bool {
		return strings.HasSuffix(base, ".txt") && (strings.HasPrefix(base, "requirements") || strings.HasSuffix(base, "requirements.txt") ||
			path.Base(path.Dir(p)) == "requirements")
	},
	read: func(_ context.Context, f *file, r *report) error {
		var logical strings.Builder
		start := 0
		flush := func() error {
			line := logical.String()
			logical.Reset()
			return requirement(f, r, start, line)
		}
		err := lines(f.r, func(n int, line string) error {
			if logical.Len() == 0 {
				start = n
			}
			if i := strings.Index(" "+line, " #"); i >= 0 {
				line = line[:i]
			}
			more := strings.HasSuffix(line, "\\")
			logical.WriteString(strings.TrimSuffix(line, "\\"))
			logical.WriteByte(' ')
			if logical.Len() > limits.ScanLine {
				return limitf("line %d is longer than %d bytes", start, limits.ScanLine)
			}
			if more {
				return nil
			}
			return flush()
		})
		if err2 := flush(); err == nil {
			err = err2
		}
		return err
	},
}

func requirement(f *file, r *report, n int, line string) error {
	line = strings.TrimSpace(line)
	if line == "" || strings.HasPrefix(line, "#") {
		return nil
	}
	if strings.HasPrefix(line, "-") {
		opt := strings.FieldsFunc(line, func(c rune) bool { return c == ' ' || c == '=' })[0]
		if opt == "-e" || opt == "--editable" {
			r.gap(sbom.FieldComponents, ReasonNotExact, fmt.Sprintf("line %d: an editable installation", n))
		}
		return nil // other files are found by their own names; indexes are no packages
	}
	var files []pyFile
	if i := strings.Index(line, "--hash"); i >= 0 {
		for h := range strings.FieldsFuncSeq(line[i:], func(c rune) bool { return c == ' ' || c == '\t' }) {
			h = strings.TrimPrefix(strings.TrimPrefix(h, "--hash"), "=")
			if h == "" {
				continue
			}
			alg, value, _ := strings.Cut(h, ":")
			if _, ok := hexDigest(alg, value); !ok {
				r.gap(sbom.FieldDigests, ReasonBadDigest, fmt.Sprintf("line %d: %s", n, clip(h)))
				continue
			}
			files = append(files, pyFile{Hash: h})
		}
		line = line[:i]
	}
	line, _, _ = strings.Cut(line, ";") // for which platforms
	line, at, isURL := strings.Cut(line, " @ ")
	line = strings.TrimSpace(line)
	end := strings.IndexFunc(line, func(c rune) bool {
		return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.')
	})
	name, rest := line, ""
	if end >= 0 {
		name, rest = line[:end], strings.TrimSpace(line[end:])
	}
	if strings.HasPrefix(rest, "[") {
		_, rest, _ = strings.Cut(rest, "]")
		rest = strings.TrimSpace(rest)
	}
	if name == "" || strings.Contains(rest, "://") || strings.ContainsAny(rest, "/\\") {
		r.gap(sbom.FieldComponents, ReasonMalformed, fmt.Sprintf("line %d: no name of a project: %s", n, clip(line)))
		return nil
	}
	g := finding{Group: "pypi:" + f.path, Key: pyName(name), Name: name, Source: sbom.Declared, Method: path.Base(f.path), Direct: true}
	if v, ok := strings.CutPrefix(rest, "==="); ok {
		g.Version = strings.TrimSpace(v)
	} else if v, ok := strings.CutPrefix(rest, "=="); ok && !strings.ContainsAny(v, ",*") {
		g.Version = strings.TrimSpace(v)
	}
	switch {
	case isURL:
		g.resolved(strings.TrimSpace(at))
	case g.Version == "" && rest != "":
		g.Properties = append(g.Properties, sbom.Property{Name: "hallmark-scan:wanted", Value: text(rest)})
	}
	if g.Version != "" && len(files) > 0 {
		g.Source = sbom.Locked
	}
	q := g.PURL.Qualifiers
	g.PURL = pyPURL(name, g.Version)
	g.PURL.Qualifiers = q
	g.distributions(files)
	return r.add(g)
}

// pyLock reads poetry.lock, uv.lock and pdm.lock, which have most in common.
var pyLock = analyser{
	name: "python-lock", version: 1, ecosystem: "pypi", limit: limits.ScanYAML,
	wants: func(_, base string) bool { return base == "poetry.lock" || base == "uv.lock" || base == "pdm.lock" },
	read: func(_ context.Context, f *file, r *report) error {
		data, err := f.all()
		if err != nil {
			return err
		}
		var doc struct {
			Package []struct {
				Name         string         `toml:"name"`
				Version      string         `toml:"version"`
				Category     string         `toml:"category"`
				Groups       []string       `toml:"groups"`
				Optional     bool           `toml:"optional"`
				Dependencies any            `toml:"dependencies"`
				Files        []pyFile       `toml:"files"`
				Wheels       []pyFile       `toml:"wheels"`
				Sdist        *pyFile        `toml:"sdist"`
				Source       map[string]any `toml:"source"`
			} `toml:"package"`
			Metadata struct {
				Files map[string][]pyFile `toml:"files"`
			} `toml:"metadata"`
		}
		if err := decodeTOML(data, &doc); err != nil {
			return err
		}
		for i := range doc.Package {
			p := &doc.Package[i]
			g := finding{
				Group: "pypi:" + f.path, Key: pyName(p.Name), Name: p.Name, Version: p.Version, PURL: pyPURL(p.Name, p.Version),
				Source: sbom.Locked, Method: path.Base(f.path), AllDeps: true,
			}
			if p.Name == "" {
				r.gap(sbom.FieldComponents, ReasonMalformed, fmt.Sprintf("package %d has no name", i+1))
				continue
			}
			switch {
			case p.Category == "dev":
				g.Scope = sbom.Excluded
			case len(p.Groups) > 0 && !contains(p.Groups, "main") && !contains(p.Groups, "default"):
				g.Scope = sbom.Excluded
			case p.Optional:
				g.Scope = sbom.Optional
			}
			if _, ok := p.Source["editable"]; ok {
				g.Project = true
			}
			if _, ok := p.Source["virtual"]; ok {
				g.Project = true
			}
			if g.Project {
				g.Type, g.Source = sbom.Application, sbom.Declared
			}
			if u, _ := p.Source["git"].(string); u != "" {
				g.resolved("git+" + u)
			} else if u, _ := p.Source["url"].(string); u != "" && p.Source["type"] == "git" {
				ref, _ := p.Source["resolved_reference"].(string)
				g.resolved("git+" + u + "#" + ref)
			}
			files := append(append(p.Files, p.Wheels...), doc.Metadata.Files[p.Name]...)
			if p.Sdist != nil {
				files = append(files, *p.Sdist)
			}
			g.distributions(files)
			// A marker may make any of them absent.
			switch deps := p.Dependencies.(type) {
			case map[string]any: // poetry
				for name := range deps {
					g.May = append(g.May, pyName(name))
				}
			case []any:
				for _, d := range deps {
					switch d := d.(type) {
					case map[string]any: // uv
						if name, _ := d["name"].(string); name != "" {
							g.May = append(g.May, pyName(name))
						}
					case string: // pdm
						g.May = append(g.May, pyName(pyDependency(d)))
					}
				}
			}
			if err := r.add(g); err != nil {
				return err
			}
		}
		if len(doc.Package) == 0 && len(data) > 2048 {
			return errors.New("no packages in it")
		}
		return nil
	},
}

// pylock reads pylock.toml, the lock file that all installers have in common
// (https://packaging.python.org/en/latest/specifications/pylock-toml/).
var pylock = analyser{
	name: "pylock", version: 1, ecosystem: "pypi", limit: limits.ScanYAML,
	wants: func(_, base string) bool {
		return base == "pylock.toml" || strings.HasPrefix(base, "pylock.") && strings.HasSuffix(base, ".toml")
	},
	read: func(_ context.Context, f *file, r *report) error {
		data, err := f.all()
		if err != nil {
			return err
		}
		type dist struct {
			Name   string            `toml:"name"`
			URL    string            `toml:"url"`
			Hashes map[string]string `toml:"hashes"`
		}
		var doc struct {
			Version  string `toml:"lock-version"`
			Packages []struct {
				Name         string                  `toml:"name"`
				Version      string                  `toml:"version"`
				Dependencies []struct{ Name string } `toml:"dependencies"`
				Wheels       []dist                  `toml:"wheels"`
				Sdist        *dist                   `toml:"sdist"`
				Archive      *dist                   `toml:"archive"`
				VCS          *struct {
					Type     string `toml:"type"`
					URL      string `toml:"url"`
					CommitID string `toml:"commit-id"`
				} `toml:"vcs"`
			} `toml:"packages"`
		}
		if err := decodeTOML(data, &doc); err != nil {
			return err
		}
		if doc.Version != "1.0" {
			r.gap(sbom.FieldComponents, ReasonMalformed, "want lock-version 1.0, found "+clip(doc.Version))
		}
		for i := range doc.Packages {
			p := &doc.Packages[i]
			if p.Name == "" {
				r.gap(sbom.FieldComponents, ReasonMalformed, fmt.Sprintf("package %d has no name", i+1))
				continue
			}
			g := finding{
				Group: "pypi:" + f.path, Key: pyName(p.Name), Name: p.Name, Version: p.Version, PURL: pyPURL(p.Name, p.Version),
				Source: sbom.Locked, Method: path.Base(f.path),
				AllDeps: len(p.Dependencies) > 0, // the list may be left out
			}
			if p.VCS != nil && p.VCS.URL != "" {
				g.resolved(p.VCS.Type + "+" + p.VCS.URL + "#" + p.VCS.CommitID)
			}
			for _, d := range []*dist{p.Sdist, p.Archive} {
				if d != nil {
					p.Wheels = append(p.Wheels, *d)
				}
			}
			var files []pyFile
			for _, d := range p.Wheels {
				for _, alg := range []string{"sha256", "sha512", "sha384"} { // one of them is enough to tell it
					if v := d.Hashes[alg]; v != "" {
						if _, ok := hexDigest(alg, v); !ok {
							r.gap(sbom.FieldDigests, ReasonBadDigest, fmt.Sprintf("%s %s: %s", clip(p.Name), alg, clip(v)))
							continue
						}
						files = append(files, pyFile{File: d.Name, URL: d.URL, Hash: alg + ":" + v})
						break
					}
				}
			}
			g.distributions(files)
			for _, d := range p.Dependencies {
				g.May = append(g.May, pyName(d.Name))
			}
			if err := r.add(g); err != nil {
				return err
			}
		}
		return nil
	},
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// pyDependency returns the name in a dependency specifier (PEP 508).
func pyDependency(s string) string {
	s = strings.TrimSpace(s)
	if i := strings.IndexAny(s, " [(<>=!~;@,"); i >= 0 {
		s = s[:i]
	}
	return s
}

var pipfileLock = analyser{
	name: "pipfile-lock", version: 1, ecosystem: "pypi", limit: limits.ScanFile,
	wants: func(_, base string) bool { return base == "Pipfile.lock" },
	read: func(_ context.Context, f *file, r *report) error {
		data, err := f.all()
		if err != nil {
			return err
		}
		p := strictjson.NewParser(data, limits.ScanFile)
		err = p.Object(func(key []byte) error {
			section := string(key)
			if section == "_meta" || p.Kind() != strictjson.Object {
				return p.Skip()
			}
			return p.Object(func(key []byte) error {
				g := finding{Group: "pypi:" + f.path, Key: pyName(string(key)), Name: string(key), Source: sbom.Locked, Method: "Pipfile.lock", Scope: sbom.Required}
				if section != "default" {
					g.Scope = sbom.Excluded
				}
				var files []pyFile
				var git, ref string
				err := p.Object(func(key []byte) error {
					switch string(key) {
					case "version":
						err := str(p, &g.Version)
						g.Version = strings.TrimPrefix(g.Version, "==")
						return err
					case "git":
						return str(p, &git)
					case "ref":
						return str(p, &ref)
					case "hashes":
						if p.Kind() != strictjson.Array {
							return p.Skip()
						}
						return p.Array(func(int) error {
							var h string
							err := str(p, &h)
							files = append(files, pyFile{Hash: h})
							return err
						})
					}
					return p.Skip()
				})
				if err != nil {
					return err
				}
				g.PURL = pyPURL(g.Name, g.Version)
				if git != "" {
					g.resolved("git+" + git + "#" + ref)
				}
				g.distributions(files)
				return r.add(g)
			})
		})
		if err == nil {
			err = p.End()
		}
		return err
	},
}

// pyInstalled reads the metadata of installed distributions
// (https://packaging.python.org/en/latest/specifications/core-metadata/).
var pyInstalled = analyser{
	name: "python-installed", version: 1, ecosystem: "pypi", limit: limits.ScanManifest,
	wants: func(p, base string) bool {
		switch base {
		case "METADATA":
			return strings.HasSuffix(path.Dir(p), ".dist-info")
		case "PKG-INFO":
			return strings.HasSuffix(path.Dir(p), ".egg-info")
		}
		return strings.HasSuffix(base, ".egg-info") // a file; a directory is never asked for
	},
	read: func(_ context.Context, f *file, r *report) error {
		g := finding{Source: sbom.Observed, Method: "installed metadata", AllDeps: true}
		var licenceName, expression, classifier string
		br := bufio.NewReaderSize(f.r, 64<<10)
		tr := textproto.NewReader(br)
		total := 0
		for {
			// Not ReadMIMEHeader: the names of real metadata are no MIME.
			line, err := tr.ReadContinuedLine()
			if err != nil || line == "" {
				break // the end, or the description
			}
			if total += len(line); total > limits.ScanManifest {
				return limitf("a header of more than %d bytes", limits.ScanManifest)
			}
			key, value, ok := strings.Cut(line, ":")
			if !ok {
				continue
			}
			value = strings.TrimSpace(value)
			switch strings.ToLower(key) {
			case "name":
				g.Name = value
			case "version":
				g.Version = value
			case "license":
				licenceName = value
			case "license-expression":
				expression = value
			case "classifier":
				if rest, ok := strings.CutPrefix(value, "License ::"); ok && classifier == "" {
					classifier = strings.TrimSpace(rest[strings.LastIndex(rest, "::")+1:])
					classifier = strings.TrimSpace(strings.TrimPrefix(classifier, ":"))
				}
			case "author":
				g.Supplier.Name = text(value)
			case "author-email":
				if p := party(value); g.Supplier.Name == "" || p.Email != "" && p.Name == "" {
					if p.Email == "" {
						p = sbom.Party{Name: g.Supplier.Name, Email: text(value)}
					}
					if len(p.Email) < 320 {
						g.Supplier = p
					}
				}
			case "requires-dist":
				// Which of its extras were asked for nobody knows any more.
				g.May = append(g.May, pyName(pyDependency(value)))
			}
		}
		site := path.Dir(path.Dir(f.path))
		if g.Name == "" {
			// It is installed; its directory has the name and the version.
			base := strings.TrimSuffix(strings.TrimSuffix(path.Base(path.Dir(f.path)), ".dist-info"), ".egg-info")
			g.Name, g.Version, _ = strings.Cut(base, "-")
			r.gap(sbom.FieldIdentity, ReasonMalformed, "metadata without a name")
		}
		if expression == "" && len(licenceName) < 100 {
			expression = licenceName
		}
		if g.Licence = licence(expression); g.Licence.Expression == "" && classifier != "" && g.Licence.Name == "" {
			g.Licence = licence(classifier)
		}
		g.Group, g.Key = "pypi:"+site, pyName(g.Name)
		g.PURL = pyPURL(g.Name, g.Version)
		return r.add(g)
	},
}
