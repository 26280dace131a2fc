package scan

import (
	"cmp"
	"context"
	"errors"
	"path"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/sbom"
)

// pnpmLock reads pnpm-lock.yaml, versions 5 to 9.
// https://github.com/pnpm/spec/tree/master/lockfile
var pnpmLock = analyser{
	name: "pnpm-lock", version: 1, ecosystem: "npm", limit: limits.ScanYAML,
	wants: func(p, base string) bool { return base == "pnpm-lock.yaml" && !inModules(p) },
	read:  readPNPMLock,
}

func readPNPMLock(_ context.Context, f *file, r *report) error {
	data, err := f.all()
	if err != nil {
		return err
	}
	doc, err := parseYAML(data)
	if err != nil {
		return err
	}
	if doc == nil || doc.Kind != yaml.MappingNode || child(doc, "lockfileVersion") == nil {
		return errors.New("want a mapping with lockfileVersion")
	}
	p := pnpm{group: "pnpm:" + f.path, scopes: map[string]sbom.Scope{}, edges: map[string][]string{}, direct: map[string]bool{}}
	if all := child(doc, "importers"); all != nil {
		pairs(all, func(_ string, v *yaml.Node) { p.importer(v) })
	} else {
		p.importer(doc)
	}
	packages, snapshots := child(doc, "packages"), child(doc, "snapshots")
	list := snapshots
	if list == nil {
		list = packages
	}
	pairs(list, func(k string, v *yaml.Node) {
		from := pnpmKey(k)
		for i, section := range []string{"dependencies", "optionalDependencies"} {
			pairs(child(v, section), func(name string, version *yaml.Node) {
				if to := pnpmRef(name, version.Value); to != "" {
					p.edges[from] = append(p.edges[from], []string{"", "?"}[i]+to)
				}
			})
		}
	})
	p.spread()
	pairs(packages, func(k string, v *yaml.Node) {
		if err != nil {
			return
		}
		key := pnpmKey(k)
		name, version := pnpmSplit(key)
		g := finding{
			Group: p.group, Key: key, Name: name, Version: version, Source: sbom.Locked, Method: "pnpm-lock.yaml",
			Scope: cmp.Or(p.scopes[key], sbom.Excluded), Direct: p.direct[key], Within: path.Join(".", f.dir()), AllDeps: true,
		}
		// Packages from elsewhere than the registry have these.
		if s := scalar(v, "name"); s != "" {
			g.Name = s
		}
		if s := scalar(v, "version"); s != "" {
			g.Version = s
		}
		g.PURL = npmPURL(g.Name, g.Version)
		res := child(v, "resolution")
		g.integrity(r, scalar(res, "integrity"))
		switch {
		case scalar(res, "tarball") != "":
			g.resolved(scalar(res, "tarball"))
		case scalar(res, "repo") != "":
			g.resolved("git+" + strings.TrimPrefix(scalar(res, "repo"), "git+") + "#" + scalar(res, "commit"))
		}
		for _, to := range p.edges[key] {
			if to, ok := strings.CutPrefix(to, "?"); ok {
				g.May = append(g.May, to)
			} else {
				g.Wants = append(g.Wants, to)
			}
		}
		err = r.add(g)
	})
	return err
}

type pnpm struct {
	group  string
	scopes map[string]sbom.Scope // by key: the best way in which an importer reaches it
	edges  map[string][]string   // "?" is before what is optional
	direct map[string]bool
}

func (p *pnpm) importer(n *yaml.Node) {
	for _, s := range []struct {
		section string
		scope   sbom.Scope
	}{{"dependencies", sbom.Required}, {"optionalDependencies", sbom.Optional}, {"devDependencies", sbom.Excluded}} {
		pairs(child(n, s.section), func(name string, v *yaml.Node) {
			version := v.Value
			if v.Kind == yaml.MappingNode { // version 6 and later
				version = scalar(v, "version")
			}
			if key := pnpmRef(name, version); key != "" {
				p.direct[key] = true
				p.raise(key, s.scope)
			}
		})
	}
}

var scopeRanks = map[sbom.Scope]int{sbom.Excluded: 1, sbom.Optional: 2, sbom.Required: 3}

func (p *pnpm) raise(key string, s sbom.Scope) bool {
	if scopeRanks[s] <= scopeRanks[p.scopes[key]] {
		return false
	}
	p.scopes[key] = s
	return true
}

// spread gives every package the scope of what needs it.
func (p *pnpm) spread() {
	var queue []string
	for key := range p.scopes {
		queue = append(queue, key)
	}
	for len(queue) > 0 {
		key := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		for _, to := range p.edges[key] {
			s := p.scopes[key]
			if rest, ok := strings.CutPrefix(to, "?"); ok {
				to = rest
				if s == sbom.Required {
					s = sbom.Optional
				}
			}
			if p.raise(to, s) {
				queue = append(queue, to)
			}
		}
	}
}

// pnpmKey brings a key of any version into the form name@version, without the
// peers that follow in parentheses or, before version 6, after "_".
func pnpmKey(k string) string {
	k = strings.TrimPrefix(k, "/")
	start := 0
	if strings.HasPrefix(k, "@") {
		start = strings.IndexByte(k, '/') + 1
	}
	// Version 5: name/1.0.0_peers.
	if i := strings.IndexByte(k[start:], '/'); i > 0 && !strings.Contains(k[start:start+i], "@") && digit(k[start+i+1:]) {
		version, _, _ := strings.Cut(k[start+i+1:], "_")
		return k[:start+i] + "@" + version
	}
	k, _, _ = strings.Cut(k, "(")
	return k
}

func digit(s string) bool { return s != "" && '0' <= s[0] && s[0] <= '9' }

func pnpmSplit(key string) (name, version string) {
	if i := strings.IndexByte(key[min(1, len(key)):], '@'); i >= 0 {
		return key[:i+1], key[i+2:]
	}
	return key, ""
}

// pnpmRef returns the key that a dependency means: its version, or for an alias
// the key itself. "" is a link to another project.
func pnpmRef(name, version string) string {
	if version == "" || strings.HasPrefix(version, "link:") {
		return ""
	}
	if strings.HasPrefix(version, "/") {
		return pnpmKey(version)
	}
	bare, _, _ := strings.Cut(version, "(")
	if digit(bare) {
		bare, _, _ = strings.Cut(bare, "_")
		return name + "@" + bare
	}
	if at := strings.LastIndexByte(bare, '@'); at > 0 && !strings.Contains(bare[:at], ":") {
		return bare // an alias
	}
	if strings.Contains(bare, "/") && !strings.Contains(bare, ":") {
		return bare // version 5: an address is its own key
	}
	return name + "@" + bare
}

// parseYAML reads one document without aliases.
func parseYAML(data []byte) (*yaml.Node, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	if len(doc.Content) == 0 {
		return nil, nil
	}
	nodes := 0
	var check func(n *yaml.Node, depth int) error
	check = func(n *yaml.Node, depth int) error {
		if nodes++; nodes > limits.ScanNodes {
			return limitf("more than %d YAML nodes", limits.ScanNodes)
		}
		if depth > limits.ScanDepth {
			return limitf("nested deeper than %d", limits.ScanDepth)
		}
		if n.Kind == yaml.AliasNode {
			return errors.New("YAML aliases are not read")
		}
		for _, c := range n.Content {
			if err := check(c, depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	if err := check(&doc, 0); err != nil {
		return nil, err
	}
	return doc.Content[0], nil
}

func child(n *yaml.Node, name string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i+1]
		}
	}
	return nil
}

func scalar(n *yaml.Node, name string) string {
	if c := child(n, name); c != nil && c.Kind == yaml.ScalarNode {
		return c.Value
	}
	return ""
}

func pairs(n *yaml.Node, f func(key string, value *yaml.Node)) {
	if n == nil || n.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		f(n.Content[i].Value, n.Content[i+1])
	}
}
