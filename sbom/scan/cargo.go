package scan

import (
	"context"
	"fmt"
	"strings"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/strictjson"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/purl"
)

// cargoLock reads Cargo.lock, versions 1 to 4.
var cargoLock = analyser{
	name: "cargo-lock", version: 1, ecosystem: "cargo", limit: limits.ScanYAML,
	wants: func(_, base string) bool { return base == "Cargo.lock" },
	read: func(_ context.Context, f *file, r *report) error {
		data, err := f.all()
		if err != nil {
			return err
		}
		var doc struct {
			Package []struct {
				Name         string   `toml:"name"`
				Version      string   `toml:"version"`
				Source       string   `toml:"source"`
				Checksum     string   `toml:"checksum"`
				Dependencies []string `toml:"dependencies"`
			} `toml:"package"`
			Metadata map[string]string `toml:"metadata"` // version 1 has the checksums here
		}
		if err := decodeTOML(data, &doc); err != nil {
			return err
		}
		for i, p := range doc.Package {
			if p.Name == "" {
				r.gap(sbom.FieldComponents, ReasonMalformed, fmt.Sprintf("package %d has no name", i+1))
				continue
			}
			g := finding{
				Group: "cargo:" + f.path, Key: p.Name + " " + p.Version + " " + p.Source, Also: []string{p.Name + " " + p.Version, p.Name},
				Name: p.Name, Version: p.Version, PURL: cargoPURL(p.Name, p.Version, p.Source),
				Source: sbom.Locked, Method: "Cargo.lock", AllDeps: true,
			}
			if p.Source == "" { // a crate of the workspace itself
				g.Project, g.Type, g.Source, g.Scope = true, sbom.Application, sbom.Declared, sbom.Required
			}
			sum := p.Checksum
			if sum == "" {
				sum = doc.Metadata["checksum "+p.Name+" "+p.Version+" ("+p.Source+")"]
			}
			if sum != "" && sum != "<none>" {
				if d, ok := hexDigest("sha256", sum); ok {
					g.Digests = provenance.DigestSet{d}
				} else {
					r.gap(sbom.FieldDigests, ReasonBadDigest, fmt.Sprintf("%s %s: %s", clip(p.Name), clip(p.Version), clip(sum)))
				}
			}
			for _, d := range p.Dependencies {
				// "name", "name version" or "name version (source)".
				d = strings.Replace(strings.TrimSuffix(d, ")"), " (", " ", 1)
				g.Wants = append(g.Wants, d)
			}
			if err := r.add(g); err != nil {
				return err
			}
		}
		return nil
	},
}

func cargoPURL(name, version, source string) purl.PURL {
	u := purl.PURL{Type: "cargo", Name: name, Version: version}
	if s, ok := strings.CutPrefix(source, "git+"); ok && len(s) <= limits.ScanName {
		u.Qualifiers = []purl.Qualifier{{Key: "vcs_url", Value: "git+" + text(s)}}
	} else if s, ok := strings.CutPrefix(source, "registry+"); ok && s != "https://github.com/rust-lang/crates.io-index" && len(s) <= limits.ScanName {
		u.Qualifiers = []purl.Qualifier{{Key: "repository_url", Value: text(s)}}
	}
	return u
}

// readAuditable reads the list that "cargo auditable" puts into a program.
// https://github.com/rust-secure-code/cargo-auditable/blob/master/PARSING.md
func readAuditable(f *file, r *report, data []byte, program *finding) error {
	type crate struct {
		name, version, source, kind string
		root                        bool
		deps                        []int
	}
	var crates []crate
	p := strictjson.NewParser(data, limits.ScanModules)
	err := p.Object(func(key []byte) error {
		if string(key) != "packages" {
			return p.Skip()
		}
		return p.Array(func(int) error {
			c := crate{}
			err := p.Object(func(key []byte) error {
				switch string(key) {
				case "name":
					return str(p, &c.name)
				case "version":
					return str(p, &c.version)
				case "source":
					return str(p, &c.source)
				case "kind":
					return str(p, &c.kind)
				case "root":
					return boolean(p, &c.root)
				case "dependencies":
					return p.Array(func(int) error {
						n, err := p.Int()
						c.deps = append(c.deps, int(n))
						return err
					})
				}
				return p.Skip()
			})
			crates = append(crates, c)
			return err
		})
	})
	if err == nil {
		err = p.End()
	}
	if err != nil {
		return err
	}
	group := "cargo:" + f.path
	key := func(i int) string { return fmt.Sprint(i) }
	add := func(g finding) error { return r.add(g) }
	for i, c := range crates {
		if c.root {
			program.Group, program.Key, program.Name, program.Version = group, key(i), c.name, c.version
			program.PURL = cargoPURL(c.name, c.version, "")
			for _, d := range c.deps {
				program.Wants = append(program.Wants, key(d))
			}
			program.AllDeps = true
		}
	}
	if err := add(*program); err != nil {
		return err
	}
	for i, c := range crates {
		if c.root {
			continue
		}
		g := finding{
			Group: group, Key: key(i), Name: c.name, Version: c.version, Source: sbom.Observed, Method: "cargo auditable list in the program",
			Scope: sbom.Required, AllDeps: true,
		}
		src := c.source
		if src == "crates.io" || src == "registry" || src == "local" || src == "git" {
			src = ""
		}
		g.PURL = cargoPURL(c.name, c.version, src)
		if c.kind == "build" {
			g.Scope = sbom.Excluded // ran at build time, and is not linked
		}
		for _, d := range c.deps {
			if d < 0 || d >= len(crates) {
				r.gap(sbom.FieldDependencies, ReasonMalformed, fmt.Sprintf("%s depends on package %d of %d", clip(c.name), d, len(crates)))
				continue
			}
			g.Wants = append(g.Wants, key(d))
		}
		if err := add(g); err != nil {
			return err
		}
	}
	return nil
}
