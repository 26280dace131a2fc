// Package account says for every byte of an artifact which component it belongs
// to, so that a bill's claim to be complete can be computed instead of made.
//
//	files, err := account.Package(ctx, "app.tar.gz") // or Tree, for a directory
//	ledger, err := account.Balance(g, files, account.Rule{Pattern: "doc/**", Generated: "docs of this build"})
//	ledger.Note(g) // what is unknown, into the bill
//
// A file belongs to a component when it has the component's digest, when a
// list that was installed with the component names it (Debian's info/*.list,
// Alpine's installed database, Python's RECORD), when it lies in the directory
// of an installed npm package, or when a [Rule] of the caller says so. It is
// generated when a rule, or the format of an image, says so. Everything else
// is unknown, by name and size.
//
// Lists and directories say what a package claims to own, not that the bytes
// are those of the package; [Entry].How keeps the two apart.
package account

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"encoding/hex"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hallmark-build/hallmark/internal/archive"
	"github.com/hallmark-build/hallmark/internal/glob"
	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/regular"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/purl"
)

// ReasonUnaccounted is the reason of the unknowns that [Ledger.Note] notes.
const ReasonUnaccounted = "unaccounted-bytes"

// A File is a regular file or symbolic link of an artifact.
type File struct {
	Name    string // slash-separated and relative
	Size    int64  // in bytes
	Digests provenance.DigestSet
	Link    bool

	config  bool   // of an image
	content []byte // of lists of files
}

// Files are the files of one artifact. Only [Package] and [Tree] make one.
type Files struct {
	artifact provenance.DigestSet
	image    bool
	list     []File
}

// List returns the files, ordered by name.
func (f *Files) List() []File { return slices.Clone(f.list) }

// lists reports whether a file lists what belongs to a package.
func lists(name string) bool {
	switch {
	case path.Base(name) == "RECORD" && strings.HasSuffix(path.Dir(name), ".dist-info"),
		strings.HasSuffix(name, ".list") && (strings.HasPrefix(name, dpkgInfo) || strings.Contains(name, "/"+dpkgInfo)),
		name == apkInstalled, strings.HasSuffix(name, "/"+apkInstalled):
		return true
	}
	return false
}

const (
	dpkgInfo     = "var/lib/dpkg/info/"
	apkInstalled = "lib/apk/db/installed"
)

// Package reads the files of a tar (also with gzip), a zip, and so a jar or a
// wheel, or an OCI image layout, within the bounds and with the strictness of
// verify.ReadContents. Those of an image are the files of every layer, also
// where a later one hides them: they are shipped.
func Package(ctx context.Context, file string) (*Files, error) {
	pkg, err := archive.ReadKeeping(ctx, file, lists)
	if err != nil {
		return nil, err
	}
	f := &Files{image: pkg.Image != ""}
	if pkg.Sum != nil {
		f.artifact = digests(pkg.Sum)
	}
	f.list = make([]File, len(pkg.Files))
	for i := range pkg.Files {
		m := &pkg.Files[i]
		f.list[i] = File{Name: m.Name, Size: m.Size, Digests: digests(&m.Sum), Link: m.Link != nil, config: m.Config, content: m.Content}
	}
	return f, nil
}

func digests(s *archive.Sum) provenance.DigestSet {
	return provenance.DigestSet{
		provenance.MustDigest("sha256:" + hex.EncodeToString(s.SHA256[:])),
		provenance.MustDigest("sha512:" + hex.EncodeToString(s.SHA512[:])),
	}
}

// Tree reads the files of a directory, as [provenance.DigestTree] does.
func Tree(ctx context.Context, dir string, o provenance.TreeOptions) (*Files, error) {
	tree, err := provenance.DigestTree(ctx, dir, o)
	if err != nil {
		return nil, err
	}
	f := &Files{list: make([]File, len(tree.Files))}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	var kept int64
	for i, t := range tree.Files {
		f.list[i] = File{Name: t.Path, Size: t.Size, Digests: t.Digests, Link: t.Mode&os.ModeSymlink != 0}
		if f.list[i].Link || t.Size > limits.ArchiveKept || kept+t.Size > 16*limits.ArchiveKept || !lists(t.Path) {
			continue
		}
		content, err := regular.ReadIn(root, filepath.FromSlash(t.Path), limits.ArchiveKept)
		if err != nil {
			return nil, err
		}
		// It must be what was digested: lists decide.
		if a, err := provenance.DigestReader(ctx, t.Path, bytes.NewReader(content)); err != nil || !a.Digests.Matches(t.Digests) {
			return nil, fmt.Errorf("%s changed while the directory was read", filepath.Join(dir, t.Path))
		}
		kept += t.Size
		f.list[i].content = content
	}
	slices.SortFunc(f.list, func(a, b File) int { return cmp.Compare(a.Name, b.Name) })
	return f, nil
}

// A Rule is what the caller knows about files: exactly one of Component and
// Generated is set.
type Rule struct {
	Pattern   string // of names: "*" stops at a slash, "**" does not
	Component string // the ID of the component to which the files belong
	Generated string // by what the files were made: "build date stamp"
}

// A State is what is known about a file.
type State string

// The states.
const (
	Owned     State = "component"
	Generated State = "generated"
	Unknown   State = "unknown"
)

// An Entry says what is known about one file.
type Entry struct {
	Name  string `json:"name"`
	Size  int64  `json:"size"`
	State State  `json:"state"`
	// Component is the ID of the component that owns it.
	Component string `json:"component,omitempty"`
	// How it is known: "digest", which is proof; "list" and "directory", which
	// are what a package claims; "rule", with what the caller said; "format".
	How string `json:"how,omitempty"`
}

// A Ledger has an entry for every file of an artifact.
type Ledger struct {
	Entries []Entry `json:"entries"`
	// Files and Bytes count what is in each state.
	Files map[State]int   `json:"files"`
	Bytes map[State]int64 `json:"bytes"`
	// Proven is how many of the bytes of components are so by digest.
	Proven int64 `json:"proven"`
	// Unseen are components that the bill says are shipped, that have a
	// strong digest of a single file, and own nothing here: sorted IDs. It is
	// no contradiction, since packages are unpacked, linked and left out.
	Unseen []string `json:"unseen,omitempty"`
}

// Complete reports whether every file is accounted for. Of no files at all
// nothing follows.
func (l *Ledger) Complete() bool { return len(l.Entries) > 0 && l.Files[Unknown] == 0 }

// Balance accounts for files by a graph. Where several ways to know apply, the
// surest counts: digest, list, directory, rule, format. Rules are tried in order.
func Balance(g *sbom.Graph, files *Files, rules ...Rule) (*Ledger, error) {
	type compiled struct {
		*glob.Pattern
		Rule
	}
	var patterns []compiled
	for i, r := range rules {
		p, err := glob.Compile(r.Pattern)
		if err != nil {
			return nil, fmt.Errorf("rule %d: %w", i, err)
		}
		if (r.Component == "") == (r.Generated == "") {
			return nil, fmt.Errorf("rule %d (%s): want either a component or what generated the files", i, r.Pattern)
		}
		if r.Component != "" && g.Component(r.Component) == nil {
			return nil, fmt.Errorf("rule %d (%s): no component %q", i, r.Pattern, r.Component)
		}
		patterns = append(patterns, compiled{p, r})
	}
	byDigest := make(map[provenance.Digest][]*sbom.Component)
	for _, c := range g.Components() {
		for _, d := range c.Digests {
			if d.Algorithm().Strong() {
				byDigest[d] = append(byDigest[d], c)
			}
		}
	}
	o := newOwners(g)
	for i := range files.list {
		o.read(&files.list[i])
	}
	l := &Ledger{Entries: make([]Entry, 0, len(files.list)), Files: map[State]int{}, Bytes: map[State]int64{}}
	seen := make(map[string]bool)
	for i := range files.list {
		f := &files.list[i]
		e := Entry{Name: f.Name, Size: f.Size, State: Unknown}
		own := func(id, how string) { e.State, e.Component, e.How = Owned, id, how }
		if !f.Link { // the digest of a link is that of a name
			for _, d := range f.Digests {
				for _, c := range byDigest[d] {
					if e.State == Unknown && c.Digests.Matches(f.Digests) {
						own(c.ID, "digest")
					}
				}
			}
		}
		if e.State == Unknown {
			if id, how := o.of(f.Name); id != "" {
				own(id, how)
			}
		}
		for _, p := range patterns {
			if e.State == Unknown && p.Match(f.Name) {
				if p.Component != "" {
					own(p.Component, "rule")
				} else {
					e.State, e.How = Generated, "rule: "+p.Generated
				}
			}
		}
		if base := path.Base(f.Name); e.State == Unknown && files.image &&
			(f.config || strings.HasPrefix(base, ".wh.") && f.Size == 0) {
			e.State, e.How = Generated, "format: image metadata"
		}
		seen[e.Component] = true
		l.Entries = append(l.Entries, e)
		l.Files[e.State]++
		l.Bytes[e.State] += e.Size
		if e.How == "digest" {
			l.Proven += e.Size
		}
	}
	for _, c := range g.Components() {
		if c != g.Root() && c.Scope != sbom.Excluded && !seen[c.ID] &&
			slices.ContainsFunc(c.Digests, func(d provenance.Digest) bool {
				return d.Algorithm() == provenance.SHA256 || d.Algorithm() == provenance.SHA512
			}) {
			l.Unseen = append(l.Unseen, c.ID)
		}
	}
	slices.Sort(l.Unseen)
	return l, nil
}

// Note makes the bill say what the ledger found: as long as something is
// unknown, the root lacks components, with the number of files and bytes, and
// no document calls it complete. If nothing is unknown, nothing is noted, and
// the root's list of what it contains is complete if all else is. It returns
// the state that documents will give.
func (l *Ledger) Note(g *sbom.Graph) (sbom.Completeness, error) {
	root := g.Root()
	if root == nil {
		return sbom.Unknown, fmt.Errorf("no root component to account for")
	}
	if l.Complete() {
		root.Dependencies = sbom.Complete
	} else {
		detail := fmt.Sprintf("%d of %d files, %d bytes, belong to no component", l.Files[Unknown], len(l.Entries), l.Bytes[Unknown])
		for _, e := range l.Entries {
			if e.State == Unknown {
				detail += fmt.Sprintf("; the first is %.200q", e.Name)
				break
			}
		}
		if root.Dependencies == sbom.Complete {
			root.Dependencies = sbom.Incomplete
		}
		g.AddUnknown(sbom.Gap{Component: root.ID, Field: sbom.FieldComponents, Reason: ReasonUnaccounted, Detail: detail})
	}
	state, _ := g.Completeness()
	return state, nil
}

// owners knows which component claims which path.
type owners struct {
	g     *sbom.Graph
	byPkg map[string]string // "deb/name", "apk/name", "pypi/name", each optionally "@version": component ID
	files map[string]string // path: component ID
	dirs  map[string]string // directory of an installed npm package: component ID
}

func newOwners(g *sbom.Graph) *owners {
	o := &owners{g: g, byPkg: map[string]string{}, files: map[string]string{}, dirs: map[string]string{}}
	for _, c := range g.Components() {
		u, err := purl.Parse(c.PURL)
		if err != nil {
			continue
		}
		switch u.Type {
		case "deb", "apk", "pypi":
			key := u.Type + "/" + u.Name
			for _, k := range []string{key + "@" + u.Version, key + ":" + u.Qualifier("arch"), key} {
				if id, ok := o.byPkg[k]; ok && id != c.ID {
					o.byPkg[k] = "" // two: not to be told apart by this
				} else {
					o.byPkg[k] = c.ID
				}
			}
		case "npm":
			for _, p := range c.Properties {
				// Where package sbom/scan found it.
				if dir, base := path.Split(p.Value); p.Name == "hallmark-scan:path" && base == "package.json" && isModule(path.Clean(dir)) {
					o.dirs[path.Clean(dir)] = c.ID
				}
			}
		}
	}
	return o
}

// isModule reports whether a directory is that of one installed npm package:
// node_modules/name or node_modules/@scope/name, and not one of many.
func isModule(dir string) bool {
	const modules = "/node_modules/"
	dir = "/" + dir
	i := strings.LastIndex(dir, modules)
	if i < 0 {
		return false
	}
	scope, name, scoped := strings.Cut(dir[i+len(modules):], "/")
	if !scoped {
		return scope != "" && scope[0] != '@' && scope[0] != '.' && scope != "node_modules"
	}
	return len(scope) > 1 && scope[0] == '@' && !strings.Contains(name, "/")
}

// read takes in a list of files.
func (o *owners) read(f *File) {
	if f.content == nil {
		return
	}
	base := path.Base(f.Name)
	switch {
	case base == "RECORD":
		o.record(f)
	case strings.HasSuffix(base, ".list"):
		name := strings.TrimSuffix(base, ".list") // "libc6:amd64" or "bash"
		id := o.byPkg["deb/"+name]
		if bare, _, ok := strings.Cut(name, ":"); ok && id == "" {
			id = o.byPkg["deb/"+bare]
		}
		if id == "" {
			return
		}
		root := f.Name[:strings.LastIndex(f.Name, dpkgInfo)]
		o.claim(f.Name, id)
		for line := range strings.Lines(string(f.content)) {
			p := strings.TrimPrefix(strings.TrimRight(line, "\r\n"), "/")
			o.claim(root+p, id)
			if top, _, _ := strings.Cut(p, "/"); top == "bin" || top == "sbin" || strings.HasPrefix(top, "lib") {
				o.claim(root+"usr/"+p, id) // where /bin is a link to usr/bin
			}
		}
		// What dpkg keeps beside the list.
		for _, ext := range []string{"md5sums", "conffiles", "preinst", "postinst", "prerm", "postrm", "triggers", "shlibs", "symbols", "templates", "config"} {
			o.claim(root+dpkgInfo+name+"."+ext, id)
		}
	default:
		o.apk(f)
	}
}

func (o *owners) claim(name, id string) {
	if len(o.files) < limits.ArchiveEntries {
		if _, ok := o.files[name]; !ok {
			o.files[name] = id
		}
	}
}

// record reads Python's RECORD (PEP 376): paths relative to site-packages.
func (o *owners) record(f *File) {
	info := path.Dir(f.Name)
	name, version, _ := strings.Cut(strings.TrimSuffix(path.Base(info), ".dist-info"), "-")
	name = strings.ToLower(strings.NewReplacer("_", "-", ".", "-").Replace(name))
	id := o.byPkg["pypi/"+name+"@"+version]
	if id == "" {
		id = o.byPkg["pypi/"+name]
	}
	if id == "" {
		return
	}
	r := csv.NewReader(bytes.NewReader(f.content))
	r.FieldsPerRecord, r.ReuseRecord = -1, true
	for {
		row, err := r.Read()
		if err != nil {
			return // what could not be read claims nothing
		}
		if p := path.Clean(path.Join(path.Dir(info), row[0])); !strings.HasPrefix(p, "../") {
			o.claim(p, id)
		}
	}
}

// apk reads Alpine's installed database: P: name, V: version, F: directory, R: file in it.
func (o *owners) apk(f *File) {
	root := f.Name[:strings.LastIndex(f.Name, apkInstalled)]
	name, version, dir := "", "", ""
	s := bufio.NewScanner(bytes.NewReader(f.content))
	s.Buffer(nil, limits.ScanLine)
	for s.Scan() {
		line := s.Text()
		if line == "" {
			name, version, dir = "", "", ""
			continue
		}
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		switch key {
		case "P":
			name = value
		case "V":
			version = value
		case "F":
			dir = value
		case "R":
			id := o.byPkg["apk/"+name+"@"+version]
			if id == "" {
				id = o.byPkg["apk/"+name]
			}
			if id != "" {
				o.claim(path.Join(root, dir, value), id)
			}
		}
	}
}

// of returns who claims a path, and how.
func (o *owners) of(name string) (id, how string) {
	if id := o.files[name]; id != "" {
		return id, "list"
	}
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if id := o.dirs[dir]; id != "" {
			return id, "directory"
		}
		if path.Base(dir) == "node_modules" {
			break // of the package that this one is nested in only if it is that package's own file
		}
	}
	return "", ""
}
