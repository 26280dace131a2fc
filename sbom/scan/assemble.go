package scan

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/purl"
)

// An assembly makes one graph out of the reports of all files.
type assembly struct {
	o    *Options
	g    *sbom.Graph
	root string

	oses   map[string]*osInfo           // by the directory that etc/os-release is in
	sums   map[string]map[string]string // go.sum, by directory
	links  map[string]string
	groups map[string]*group
	nodes  map[string][]*node // by package URL, or else by type, name and version
	order  []*node
	packed map[string]bool // package URLs of what bundlers packed
	total  int
}

// A group is the findings whose keys mean something to each other.
type group struct {
	byKey map[string]*entry
	also  map[string]*entry
	list  []*entry
}

// An entry is a finding with the component that it became part of.
type entry struct {
	*finding
	report *report
	node   *node    // nil when it is not installed, or not packed
	packs  []*entry // of a bundle
}

// A node is a component to be.
type node struct {
	entries  []*entry
	c        sbom.Component
	id       string
	from     map[sbom.Field]sbom.Evidence
	paths    []string
	complete bool
}

func newAssembly(o *Options, root sbom.Component) *assembly {
	a := &assembly{
		o: o, oses: map[string]*osInfo{}, sums: map[string]map[string]string{}, links: map[string]string{},
		groups: map[string]*group{}, nodes: map[string][]*node{},
		g: &sbom.Graph{Creation: sbom.Creation{Created: o.Created, Tool: o.Tool, Authors: o.Authors, Manufacturer: o.Manufacturer, Phase: "post-build"}},
	}
	root.SetEvidence(sbom.Evidence{Field: sbom.FieldIdentity, Source: sbom.Declared, Method: "caller"})
	if root.Declared = o.Licence; !o.Licence.IsZero() {
		root.SetEvidence(sbom.Evidence{Field: sbom.FieldDeclared, Source: sbom.Declared, Method: "caller"})
	}
	if root.Supplier = o.Supplier; !o.Supplier.IsZero() {
		root.SetEvidence(sbom.Evidence{Field: sbom.FieldSupplier, Source: sbom.Declared, Method: "caller"})
	}
	a.root = a.g.Add(root)
	if root.Version == "" {
		a.gap(a.root, sbom.FieldVersion, ReasonNoVersion, "none was given")
	}
	return a
}

func (a *assembly) gap(id string, f sbom.Field, reason, detail string) {
	a.g.AddUnknown(sbom.Gap{Component: id, Field: f, Reason: reason, Detail: detail})
}

func (a *assembly) assemble(reports []*report) (*sbom.Graph, error) {
	sortReports(reports)
	for _, r := range reports {
		if r.OS != nil {
			a.addOS(r)
		}
		if r.Sums != nil {
			a.sums[path.Dir(r.Path)] = r.Sums
		}
		for from, to := range r.Links {
			a.links[from] = to
		}
		for _, gap := range r.Gaps {
			where := r.Path
			if where == "" {
				where = "."
			}
			gap.Detail = clip(where) + ": " + gap.Detail
			a.g.AddUnknown(gap)
		}
		if a.total += len(r.Findings); a.total > limits.SBOMComponents {
			return nil, &Error{ReasonLimit, r.Path, fmt.Sprintf("more than %d packages", limits.SBOMComponents), nil}
		}
	}
	entries := a.enter(reports)
	a.bundles(reports, entries)
	for _, e := range a.installed(entries) {
		a.place(e)
	}
	for _, n := range a.order {
		a.addNode(n)
	}
	if err := a.relate(reports, entries); err != nil {
		return nil, err
	}
	a.gap("", sbom.FieldComponents, ReasonScanned, "a scan lists what its analysers recognise")
	a.noteNotLookedFor()
	return a.g, nil
}

// noteNotLookedFor notes what no analyser fills in: of all components at once
// where it is never looked for, of each where it is not there to be found.
func (a *assembly) noteNotLookedFor() {
	a.gap("", sbom.FieldConcluded, ReasonMetadata, "a licence is what the metadata of a package declares; no text is read")
	a.gap("", sbom.FieldCopyright, ReasonMetadata, "no text is read")
	a.gap("", sbom.FieldReferences, ReasonMetadata, "where a package is from is known only if its metadata or a lock file says so")
	for _, c := range a.g.Components() {
		if c.PURL == "" {
			a.gap(c.ID, sbom.FieldIdentity, ReasonNoPURL, "not a package of a known ecosystem")
		}
		if c.ID != a.root && c.Type != sbom.OperatingSystem {
			continue // a package, of which the rest was noted when it was added
		}
		if c.Supplier.IsZero() {
			a.gap(c.ID, sbom.FieldSupplier, ReasonNoSupplier, "")
		}
		if c.Declared.IsZero() {
			a.gap(c.ID, sbom.FieldDeclared, ReasonNoLicence, "")
		}
		if len(c.Digests) == 0 && c.ID != a.root {
			a.gap(c.ID, sbom.FieldDigests, ReasonNoDigest, "")
		}
	}
}

// enter sorts the findings into their groups. Findings of one key in one group
// are of one package, unless they disagree about its version.
func (a *assembly) enter(reports []*report) map[*report][]*entry {
	entries := make(map[*report][]*entry, len(reports))
	for _, r := range reports {
		for i := range r.Findings {
			f := &r.Findings[i]
			a.complete(r, f)
			e := &entry{finding: f, report: r}
			entries[r] = append(entries[r], e)
			g := a.groups[f.Group]
			if g == nil {
				g = &group{byKey: map[string]*entry{}, also: map[string]*entry{}}
				a.groups[f.Group] = g
			}
			g.list = append(g.list, e)
			if old := g.byKey[f.Key]; old == nil || old.Source != sbom.Observed && f.Source == sbom.Observed {
				g.byKey[f.Key] = e
			}
			for _, k := range f.Also {
				if g.also[k] == nil {
					g.also[k] = e
				}
			}
		}
	}
	return entries
}

// complete fills in what another file says: the distribution of a package
// database, the hashes of go.sum.
func (a *assembly) complete(r *report, f *finding) {
	switch f.PURL.Type {
	case "deb", "apk", "rpm":
		if f.PURL.Namespace != "" {
			break
		}
		os := a.osOf(r.Path)
		if os == nil {
			if f.PURL.Type == "rpm" {
				break // of many vendors
			}
			os = &osInfo{ID: map[string]string{"deb": "debian", "apk": "alpine"}[f.PURL.Type]}
		}
		f.PURL.Namespace = os.ID
		if os.ID == "rhel" {
			f.PURL.Namespace = "redhat" // as purl-spec has it
		}
		if os.VersionID != "" {
			f.PURL.Qualifiers = append(slices.Clone(f.PURL.Qualifiers), purl.Qualifier{Key: "distro", Value: os.ID + "-" + os.VersionID})
		}
	case "golang":
		if len(f.Digests) > 0 || f.Source == sbom.Observed {
			break
		}
		if d, ok := goDigest(a.sums[path.Dir(r.Path)][f.Name+" "+f.Version]); ok {
			f.Digests = provenance.DigestSet{d}
			f.DigestHow = "go.sum"
			f.Source = sbom.Locked
		}
	}
}

// osOf returns the operating system whose root a file is under.
func (a *assembly) osOf(p string) *osInfo {
	for d := path.Dir(p); ; d = path.Dir(d) {
		if os := a.oses[d]; os != nil {
			return os
		}
		if d == "." || d == "/" {
			return nil
		}
	}
}

// installed leaves out the findings of lock files beside an installed tree
// that does not have them.
func (a *assembly) installed(entries map[*report][]*entry) []*entry {
	// What is observed, by the directories of trees that contain it.
	observed := map[string]map[string]bool{}
	within := map[string]bool{}
	for _, g := range a.groups {
		for _, e := range g.list {
			if e.Within != "" && e.Source != sbom.Observed {
				within[e.Within] = true
			}
		}
	}
	for _, g := range a.groups {
		for _, e := range g.list {
			if e.report.Analyser != npmInstalled.name {
				continue
			}
			for d := path.Dir(e.report.Path); ; d = path.Dir(d) {
				if within[d] {
					if observed[d] == nil {
						observed[d] = map[string]bool{}
					}
					observed[d][e.Name+"@"+e.Version] = true
				}
				if d == "." || d == "/" {
					break
				}
			}
		}
	}
	left := map[string]bool{}
	var list []*entry
	for _, r := range slices.SortedFunc(mapsKeys(entries), func(x, y *report) int {
		return cmp.Or(strings.Compare(x.Path, y.Path), strings.Compare(x.Analyser, y.Analyser))
	}) {
		for _, e := range entries[r] {
			if u := e.PURL.String(); a.o.Packed && e.PURL.Type == "npm" && !e.Project && !a.packed[u] {
				left[u] = true
				continue
			}
			tree := observed[e.Within]
			if e.Within == "" || e.Source == sbom.Observed || tree == nil || tree[e.Name+"@"+e.Version] {
				list = append(list, e)
				continue
			}
			a.gap("", sbom.FieldComponents, ReasonNotInstalled, fmt.Sprintf("%s: %s@%s", clip(r.Path), clip(e.Name), clip(e.Version)))
		}
	}
	switch {
	case a.o.Packed && len(a.packed) == 0:
		a.gap("", sbom.FieldComponents, ReasonNotPacked, fmt.Sprintf("no bundler left a list of what it packed; %d npm packages are left out", len(left)))
	case len(left) > 0:
		a.gap("", sbom.FieldComponents, ReasonNotPacked, fmt.Sprintf("%d npm packages of which nothing was packed are left out", len(left)))
	}
	return list
}

func mapsKeys[K comparable, V any](m map[K]V) func(func(K) bool) {
	return func(yield func(K) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// place makes an entry part of the component with its package URL.
func (a *assembly) place(e *entry) {
	f := e.finding
	url := f.PURL.String()
	key := url
	if url == "" {
		key = string(f.Type) + ":" + f.Name + "@" + f.Version
	}
	if f.Project {
		key += "|project|" + e.report.Path // projects of one name are still two
	}
	for _, n := range a.nodes[key] {
		if !contradict(n.c.Digests, f.Digests) {
			n.absorb(e)
			return
		}
	}
	n := &node{c: sbom.Component{Type: f.Type, Name: text(f.Name), Version: text(f.Version), PURL: url, Scope: f.Scope}, from: map[sbom.Field]sbom.Evidence{}}
	a.nodes[key] = append(a.nodes[key], n)
	a.order = append(a.order, n)
	n.absorb(e)
}

func contradict(x, y provenance.DigestSet) bool {
	for _, d := range x {
		if e := y.Get(d.Algorithm()); !e.IsZero() && e != d {
			return true
		}
	}
	return false
}

var ranks = map[sbom.Source]int{sbom.Inferred: 1, sbom.Declared: 2, sbom.Locked: 3, sbom.Observed: 4}

// absorb takes over what an entry says, where it knows better.
func (n *node) absorb(e *entry) {
	f := e.finding
	e.node = n
	n.entries = append(n.entries, e)
	better := func(field sbom.Field, src sbom.Source, sure int, method string, have bool) bool {
		if have && ranks[n.from[field].Source] >= ranks[src] {
			return false
		}
		n.from[field] = sbom.Evidence{Field: field, Source: src, Confidence: sure, Method: method}
		return true
	}
	better(sbom.FieldIdentity, f.Source, f.Sure, f.Method, n.from[sbom.FieldIdentity].Field != "")
	if len(f.Digests) > 0 {
		src := sbom.Locked
		if f.Observed {
			src = sbom.Observed
		}
		better(sbom.FieldDigests, src, 0, cmp.Or(f.DigestHow, f.Method), len(n.c.Digests) > 0)
		for _, d := range f.Digests {
			if n.c.Digests.Get(d.Algorithm()).IsZero() {
				n.c.Digests = append(n.c.Digests, d)
			}
		}
	}
	if !f.Licence.IsZero() && better(sbom.FieldDeclared, sbom.Declared, 0, f.Method, !n.c.Declared.IsZero()) {
		n.c.Declared = f.Licence
	}
	if !f.Supplier.IsZero() && better(sbom.FieldSupplier, sbom.Declared, 0, f.Method, !n.c.Supplier.IsZero()) {
		n.c.Supplier = f.Supplier
	}
	// Needed by one is needed.
	if n.c.Scope != f.Scope {
		rank := map[sbom.Scope]int{sbom.Excluded: 1, sbom.Optional: 2, sbom.Required: 3}
		if rank[f.Scope] > rank[n.c.Scope] {
			n.c.Scope = f.Scope
		}
	}
	for _, ref := range f.Reference {
		if !slices.ContainsFunc(n.c.References, func(x sbom.Reference) bool { return x.Kind == ref.Kind && x.URL == ref.URL }) && len(n.c.References) < 16 {
			n.c.References = append(n.c.References, ref)
			if n.from[sbom.FieldReferences].Field == "" {
				better(sbom.FieldReferences, f.Source, f.Sure, f.Method, false)
			}
		}
	}
	for _, p := range f.Properties {
		if !slices.Contains(n.c.Properties, p) && len(n.c.Properties) < 64 {
			n.c.Properties = append(n.c.Properties, p)
		}
	}
	if len(n.paths) < limits.ScanPaths && !slices.Contains(n.paths, e.report.Path) {
		n.paths = append(n.paths, e.report.Path)
	}
	if l := (sbom.Property{Name: "hallmark-scan:layer", Value: e.report.layer}); l.Value != "" && !slices.Contains(n.c.Properties, l) && len(n.c.Properties) < 64 {
		n.c.Properties = append(n.c.Properties, l)
	}
	if f.AllDeps {
		n.complete = true
	}
}

func (a *assembly) addNode(n *node) {
	for _, p := range n.paths {
		n.c.Properties = append(n.c.Properties, sbom.Property{Name: "hallmark-scan:path", Value: text(p)})
	}
	for _, f := range []sbom.Field{sbom.FieldIdentity, sbom.FieldDigests, sbom.FieldDeclared, sbom.FieldSupplier, sbom.FieldReferences} {
		if ev := n.from[f]; ev.Field != "" {
			n.c.SetEvidence(ev)
		}
	}
	n.id = a.g.Add(n.c)
	project := n.entries[0].Project
	if n.c.Version == "" {
		reason := ReasonNoVersion
		for _, e := range n.entries {
			if e.Source == sbom.Declared && !e.Project {
				reason = ReasonNotExact
			}
		}
		a.gap(n.id, sbom.FieldVersion, reason, "")
	}
	if len(n.c.Digests) == 0 {
		a.gap(n.id, sbom.FieldDigests, ReasonNoDigest, "")
	}
	if n.c.Declared.IsZero() {
		a.gap(n.id, sbom.FieldDeclared, ReasonNoLicence, "")
	}
	if n.c.Supplier.IsZero() {
		a.gap(n.id, sbom.FieldSupplier, ReasonNoSupplier, "")
	}
	key := n.c.PURL
	if key == "" || project {
		return
	}
	if same := a.nodes[key]; len(same) > 1 {
		a.gap(n.id, sbom.FieldDigests, ReasonConflict, "another component has the package URL "+n.c.PURL+" and other digests")
	}
}

// relate adds the edges: between findings as they want each other, from a
// file's project to what it uses directly, and from the root to all else that
// is at the top.
func (a *assembly) relate(reports []*report, entries map[*report][]*entry) error {
	edges := 0
	relate := func(from string, kind sbom.Relation, to string) error {
		if from == to {
			return nil
		}
		if edges++; edges > limits.SBOMRelationships {
			return &Error{ReasonLimit, "", fmt.Sprintf("more than %d relationships", limits.SBOMRelationships), nil}
		}
		return a.g.Relate(from, kind, to)
	}
	wanted := map[*node]bool{}
	unresolved := map[*node]int{}
	for _, r := range reports {
		var project *node
		var direct []*node
		for _, e := range entries[r] {
			if e.node == nil {
				continue
			}
			if e.Project && project == nil {
				project = e.node
			} else if e.Direct {
				direct = append(direct, e.node)
			}
			for _, p := range e.packs {
				if p.node == nil {
					continue
				}
				if err := relate(e.node.id, sbom.Contains, p.node.id); err != nil {
					return err
				}
				wanted[p.node] = true
			}
			for i, list := range [][]string{e.Wants, e.May} {
				for _, want := range list {
					to := a.resolve(e, want)
					if to == nil {
						if a.o.Packed && e.PURL.Type == "npm" {
							continue // the bundler left it out
						}
						if unresolved[e.node] += 1 - i; i == 0 && unresolved[e.node] <= limits.ScanPaths {
							a.gap(e.node.id, sbom.FieldDependencies, ReasonUnresolved, clip(want))
						}
						continue
					}
					if err := relate(e.node.id, sbom.DependsOn, to.id); err != nil {
						return err
					}
					wanted[to] = true
				}
			}
		}
		if project != nil {
			for _, n := range direct {
				if err := relate(project.id, sbom.DependsOn, n.id); err != nil {
					return err
				}
				wanted[n] = true
			}
		}
	}
	// What a file lists and nothing wants belongs to the file's project.
	for _, r := range reports {
		var project *node
		for _, e := range entries[r] {
			if e.Project && e.node != nil {
				project = e.node
				break
			}
		}
		for _, e := range entries[r] {
			if project != nil && e.node != nil && e.node != project && !wanted[e.node] {
				if err := relate(project.id, sbom.DependsOn, e.node.id); err != nil {
					return err
				}
				wanted[e.node] = true
			}
		}
	}
	for _, n := range a.order {
		if !wanted[n] {
			if err := relate(a.root, sbom.Contains, n.id); err != nil {
				return err
			}
		}
	}
	a.connect(wanted)
	for _, n := range a.order {
		if n.complete {
			a.g.Component(n.id).Dependencies = sbom.Complete
			if unresolved[n] > 0 {
				a.g.Component(n.id).Dependencies = sbom.Incomplete
			}
			a.g.Component(n.id).SetEvidence(sbom.Evidence{Field: sbom.FieldDependencies, Source: n.from[sbom.FieldIdentity].Source, Method: n.from[sbom.FieldIdentity].Method})
		}
	}
	return nil
}

// connect makes the root contain what only a cycle wants.
func (a *assembly) connect(wanted map[*node]bool) {
	next := map[string][]string{}
	for _, r := range a.g.Relationships() {
		next[r.From] = append(next[r.From], r.To)
	}
	reached := map[string]bool{a.root: true}
	walk := func(from string) {
		for queue := []string{from}; len(queue) > 0; {
			id := queue[len(queue)-1]
			queue = queue[:len(queue)-1]
			for _, to := range next[id] {
				if !reached[to] {
					reached[to] = true
					queue = append(queue, to)
				}
			}
		}
	}
	walk(a.root)
	for _, n := range a.order {
		if !reached[n.id] {
			reached[n.id] = true
			a.g.Relate(a.root, sbom.Contains, n.id) // both were added
			walk(n.id)
		}
	}
}

// resolve finds what an entry wants.
func (a *assembly) resolve(e *entry, want string) *node {
	g := a.groups[e.Group]
	for rest, more := want, true; more; {
		var key string
		key, rest, more = strings.Cut(rest, "|")
		if name, ok := strings.CutPrefix(key, "^"); ok {
			if to := a.climb(g, e.Key, name); to != nil {
				return to.node
			}
			continue
		}
		if to := g.byKey[key]; to != nil && to.node != nil {
			return to.node
		}
		if to := g.also[key]; to != nil && to.node != nil {
			return to.node
		}
	}
	return nil
}

// climb finds an npm package as Node.js does: in node_modules of the package
// itself, then of each directory above.
func (a *assembly) climb(g *group, from, name string) *entry {
	for d := from; ; {
		if path.Base(d) != "node_modules" {
			k := path.Join(d, "node_modules", name)
			for range 8 { // links to links
				if to := g.byKey[k]; to != nil && to.node != nil {
					return to
				}
				l, ok := a.links[k]
				if !ok {
					break
				}
				k = l
			}
		}
		if d == "." || d == "/" || d == "" {
			return nil
		}
		d = path.Dir(d)
	}
}
