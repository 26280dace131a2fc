package scan

import (
	"context"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/purl"
)

// goMod reads go.mod. Since Go 1.17 it lists every module that packages of the
// main module come from, at the version that is used (https://go.dev/ref/mod);
// which of them are linked into a program it does not say.
var goMod = analyser{
	name: "go.mod", version: 1, ecosystem: "golang", limit: limits.GoMod,
	wants: func(p, base string) bool {
		return base == "go.mod" && !strings.HasPrefix(p, "vendor/") && !strings.Contains(p, "/vendor/")
	},
	read: func(_ context.Context, f *file, r *report) error {
		data, err := f.all()
		if err != nil {
			return err
		}
		m, err := modfile.Parse("go.mod", data, nil)
		if err != nil {
			// Later versions may have directives that are not known.
			if m, err = modfile.ParseLax("go.mod", data, nil); err != nil {
				return err
			}
		}
		group := "golang:" + f.path
		root := finding{Group: group, Project: true, Type: sbom.Application, Source: sbom.Declared, Method: "go.mod", Scope: sbom.Required}
		if m.Module != nil {
			root.Key, root.Name, root.PURL = m.Module.Mod.Path, m.Module.Mod.Path, goPURL(m.Module.Mod.Path, "")
		} else {
			root.Name = "(main module)"
		}
		if err := r.add(root); err != nil {
			return err
		}
		pruned := m.Go != nil && semver.Compare("v"+m.Go.Version, "v1.17") >= 0
		if !pruned && len(m.Require) > 0 {
			r.gap(sbom.FieldComponents, ReasonNotExact, "go.mod of a version before 1.17 lists direct requirements only")
		}
		replaced := make(map[module.Version]module.Version, len(m.Replace))
		for _, rep := range m.Replace {
			replaced[rep.Old] = rep.New
		}
		for _, req := range m.Require {
			mod := req.Mod
			to, ok := replaced[mod]
			if !ok {
				to, ok = replaced[module.Version{Path: mod.Path}]
			}
			g := finding{Group: group, Key: mod.Path, Direct: !req.Indirect, Source: sbom.Declared, Method: "go.mod"}
			if ok {
				g.Properties = append(g.Properties, sbom.Property{Name: "hallmark-scan:replaces", Value: text(mod.String())})
				if to.Version == "" {
					// A folder of this tree; its go.mod is found on its own.
					to = mod
					g.Properties = append(g.Properties, sbom.Property{Name: "hallmark-scan:replaced", Value: "by a folder"})
				}
				mod = to
			}
			if !pruned {
				g.Source, g.Sure = sbom.Inferred, 70 // another requirement may raise the version
			}
			g.Name, g.Version, g.PURL = mod.Path, mod.Version, goPURL(mod.Path, mod.Version)
			if err := r.add(g); err != nil {
				return err
			}
		}
		return nil
	},
}

// goSum reads the hashes of go.sum, for the modules that go.mod beside it
// lists. It may have those of others, which are no components.
var goSum = analyser{
	name: "go.sum", version: 1, ecosystem: "golang", limit: limits.ScanFile,
	wants: func(p, base string) bool {
		return base == "go.sum" && !strings.HasPrefix(p, "vendor/") && !strings.Contains(p, "/vendor/")
	},
	read: func(_ context.Context, f *file, r *report) error {
		r.Sums = map[string]string{}
		return lines(f.r, func(n int, line string) error {
			w := strings.Fields(line)
			if len(w) == 0 {
				return nil
			}
			if len(w) != 3 {
				r.gap(sbom.FieldDigests, ReasonMalformed, "a line that is not module, version and hash: "+clip(line))
				return nil
			}
			if strings.HasSuffix(w[1], "/go.mod") {
				return nil
			}
			if r.bytes += 128 + len(line); r.bytes > limits.ScanBytes {
				return limitf("names larger than %d bytes together", limits.ScanBytes)
			}
			if _, ok := goDigest(w[2]); !ok {
				r.gap(sbom.FieldDigests, ReasonBadDigest, clip(line))
				return nil
			}
			if old := r.Sums[w[0]+" "+w[1]]; old != "" && old != w[2] {
				r.gap(sbom.FieldDigests, ReasonConflict, "two hashes of "+clip(w[0]+" "+w[1]))
				return nil
			}
			r.Sums[w[0]+" "+w[1]] = w[2]
			return nil
		})
	},
}

func goPURL(modPath, version string) purl.PURL {
	p := purl.PURL{Type: "golang", Name: modPath, Version: version}
	if i := strings.LastIndexByte(modPath, '/'); i >= 0 {
		p.Namespace, p.Name = modPath[:i], modPath[i+1:]
	}
	return p
}

func h1Set(sum string) provenance.DigestSet {
	if d, ok := goDigest(sum); ok {
		return provenance.DigestSet{d}
	}
	return nil
}
