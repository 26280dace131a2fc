package scan

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/spdxlicense"
	"github.com/hallmark-build/hallmark/internal/strictjson"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/purl"
)

// npmLock reads package-lock.json, versions 1 to 3, npm-shrinkwrap.json and the
// lock file that npm leaves in node_modules.
// https://docs.npmjs.com/cli/v11/configuring-npm/package-lock-json
var npmLock = analyser{
	name: "npm-lock", version: 2, ecosystem: "npm", limit: limits.ScanFile,
	wants: func(p, base string) bool {
		switch base {
		case "package-lock.json", "npm-shrinkwrap.json":
			return !inModules(p)
		case ".package-lock.json":
			return path.Base(path.Dir(p)) == "node_modules" && !inModules(path.Dir(path.Dir(p))+"/x")
		}
		return false
	},
	read: readNPMLock,
}

// npmInstalled reads the package.json of installed packages.
var npmInstalled = analyser{
	name: "npm-installed", version: 1, ecosystem: "npm", limit: limits.ScanManifest,
	wants: func(p, base string) bool {
		return base == "package.json" && isModules(path.Dir(path.Dir(p))) && !strings.HasPrefix(path.Base(path.Dir(p)), "@")
	},
	read: readNPMInstalled,
}

// inModules reports whether a path is below a node_modules directory.
func inModules(p string) bool {
	return strings.HasPrefix(p, "node_modules/") || strings.Contains(p, "/node_modules/")
}

// An npmEntry is a package in a lock file. Both kinds of lock file have most
// fields in common.
type npmEntry struct {
	name, version, resolved, integrity, license string
	link, dev, optional, devOptional, bundled   bool
	requires, mayRequire, peers                 []string
	inner                                       []npmEntry // version 1
}

func readNPMLock(_ context.Context, f *file, r *report) error {
	data, err := f.all()
	if err != nil {
		return err
	}
	dir := f.dir()
	hidden := path.Base(f.path) == ".package-lock.json"
	if hidden {
		dir = strings.TrimSuffix(strings.TrimSuffix(dir, "node_modules"), "/")
	}
	var name, version string
	var packages map[string]npmEntry
	var old []npmEntry
	var order []string
	var locked bool
	p := strictjson.NewParser(bytes.TrimPrefix(data, bom), limits.ScanFile)
	err = p.Object(func(key []byte) error {
		switch string(key) {
		case "name":
			return str(p, &name)
		case "version":
			return str(p, &version)
		case "lockfileVersion":
			locked = true
			return p.Skip()
		case "packages":
			packages = map[string]npmEntry{}
			return p.Object(func(key []byte) error {
				e, err := npmLockEntry(p, "")
				if err == nil {
					packages[string(key)] = e
					order = append(order, string(key))
				}
				return err
			})
		case "dependencies":
			return npmInner(p, &old)
		}
		return p.Skip()
	})
	if err == nil {
		err = p.End()
	}
	if err != nil {
		return err
	}
	if !locked && packages == nil && old == nil {
		return errors.New("want a lock file of npm, found an object without lockfileVersion")
	}
	b := npmBuilder{r: r, dir: dir, within: path.Join(".", dir), method: path.Base(f.path)}
	if packages == nil {
		root := finding{Group: "npm", Key: b.within, Name: name, Version: version, Project: true}
		for _, e := range old {
			root.May = append(root.May, "^"+e.name)
		}
		// Version 1 does not say which the project itself asks for.
		if err := b.project(root); err != nil {
			return err
		}
		return b.old(b.within, old)
	}
	for _, key := range order {
		e := packages[key]
		if e.link {
			target := path.Clean(path.Join(b.within, e.resolved))
			if r.Links == nil {
				r.Links = map[string]string{}
			}
			r.Links[path.Join(b.within, key)] = target
			continue
		}
		if key != "" && !strings.HasPrefix(key, "node_modules/") && !strings.Contains(key, "/node_modules/") || key == "" {
			// The project itself, or a workspace in it.
			root := finding{Group: "npm", Key: path.Join(b.within, key), Name: e.name, Version: e.version, Licence: licence(e.license), Project: true}
			if key == "" {
				if root.Name == "" {
					root.Name = name
				}
				if root.Version == "" {
					root.Version = version
				}
			}
			root.wantNPM(&e)
			root.AllDeps = true
			if err := b.project(root); err != nil {
				return err
			}
			continue
		}
		if e.name == "" {
			e.name = key[strings.LastIndex(key, "node_modules/")+len("node_modules/"):]
		}
		if err := b.add(path.Join(b.within, key), &e); err != nil {
			return err
		}
	}
	return nil
}

type npmBuilder struct {
	r                   *report
	dir, within, method string
}

func (b *npmBuilder) project(f finding) error {
	if f.Name == "" {
		f.Name = path.Base(f.Key)
		if f.Name == "." {
			f.Name = "(project)"
		}
	}
	f.Type, f.Source, f.Method, f.Scope = sbom.Application, sbom.Declared, b.method, sbom.Required
	f.PURL = npmPURL(f.Name, f.Version)
	return b.r.add(f)
}

func (b *npmBuilder) old(at string, list []npmEntry) error {
	for i := range list {
		e := &list[i]
		loc := path.Join(at, "node_modules", e.name)
		if err := b.add(loc, e); err != nil {
			return err
		}
		if err := b.old(loc, e.inner); err != nil {
			return err
		}
	}
	return nil
}

func (b *npmBuilder) add(location string, e *npmEntry) error {
	f := finding{
		Group: "npm", Key: location, Name: e.name, Version: e.version, Source: sbom.Locked, Method: b.method, Within: b.within,
		Licence: licence(e.license), Scope: sbom.Required, AllDeps: true,
	}
	switch {
	case e.dev:
		f.Scope = sbom.Excluded
	case e.optional, e.devOptional:
		f.Scope = sbom.Optional
	}
	if e.bundled {
		f.Properties = append(f.Properties, sbom.Property{Name: "hallmark-scan:bundled", Value: "true"})
	}
	// Version 1 has the address where the version should be.
	if e.resolved == "" && strings.Contains(e.version, ":") {
		e.resolved = e.version
		if rest, ok := strings.CutPrefix(e.version, "npm:"); ok { // an alias
			if i := strings.LastIndexByte(rest, '@'); i > 0 {
				f.Name, f.Version, e.resolved = rest[:i], rest[i+1:], ""
			}
		}
	}
	f.PURL = npmPURL(f.Name, f.Version)
	f.integrity(b.r, e.integrity)
	f.resolved(e.resolved)
	f.wantNPM(e)
	return b.r.add(f)
}

// wantNPM says what an npm package depends on.
func (f *finding) wantNPM(e *npmEntry) {
	may := make(map[string]bool, len(e.mayRequire))
	for _, n := range e.mayRequire {
		may[n] = true
	}
	for _, n := range e.requires {
		if !may[n] {
			f.Wants = append(f.Wants, "^"+n)
		}
	}
	for _, n := range e.mayRequire {
		f.May = append(f.May, "^"+n)
	}
	for _, n := range e.peers { // npm 6 and others do not install them
		f.May = append(f.May, "^"+n)
	}
}

func npmInner(p *strictjson.Parser, list *[]npmEntry) error {
	if p.Kind() != strictjson.Object {
		return p.Skip()
	}
	return p.Object(func(key []byte) error {
		e, err := npmLockEntry(p, string(key))
		*list = append(*list, e)
		return err
	})
}

func npmLockEntry(p *strictjson.Parser, name string) (npmEntry, error) {
	e := npmEntry{name: name}
	err := p.Object(func(key []byte) error {
		switch string(key) {
		case "name":
			return str(p, &e.name)
		case "version":
			return str(p, &e.version)
		case "resolved":
			return str(p, &e.resolved)
		case "integrity":
			return str(p, &e.integrity)
		case "license":
			return licenseField(p, &e.license)
		case "link":
			return boolean(p, &e.link)
		case "dev":
			return boolean(p, &e.dev)
		case "optional":
			return boolean(p, &e.optional)
		case "devOptional":
			return boolean(p, &e.devOptional)
		case "bundled", "inBundle":
			return boolean(p, &e.bundled)
		case "requires":
			return names(p, &e.requires)
		case "dependencies":
			if name != "" { // version 1: those installed in its own node_modules
				return npmInner(p, &e.inner)
			}
			return names(p, &e.requires)
		case "devDependencies":
			return names(p, &e.mayRequire) // there is none but for projects
		case "optionalDependencies":
			return names(p, &e.mayRequire)
		case "peerDependencies":
			return names(p, &e.peers)
		}
		return p.Skip()
	})
	return e, err
}

var bom = []byte("\xef\xbb\xbf")

func readNPMInstalled(_ context.Context, f *file, r *report) error {
	data, err := f.all()
	if err != nil {
		return err
	}
	data = bytes.TrimPrefix(data, bom)
	location := f.dir()
	m, err := npmManifest(data)
	var je *strictjson.Error
	if errors.As(err, &je) && je.Reason == strictjson.ReasonDuplicate {
		// JSON.parse takes the last of two members of one name.
		r.gap(sbom.FieldIdentity, ReasonMalformed, clip(err.Error()))
		m, err = npmLenient(data)
	}
	if err != nil || m.name == "" {
		// It is installed, whatever it is: its place has its name.
		if err == nil {
			err = errors.New("package.json without a name")
		}
		m.name = location[strings.LastIndex(location, "node_modules/")+len("node_modules/"):]
	}
	g := finding{
		Group: "npm", Key: location, Name: m.name, Version: m.version, PURL: npmPURL(m.name, m.version),
		Source: sbom.Observed, Method: "installed package.json", Licence: licence(m.license), Supplier: m.author,
	}
	g.integrity(r, m.integrity)
	if len(g.Digests) > 0 {
		g.DigestHow = "_integrity of package.json"
	}
	g.wantNPM(&m.npmEntry)
	if addErr := r.add(g); addErr != nil {
		return addErr
	}
	return err
}

// An npmPackage is what a package.json says.
type npmPackage struct {
	npmEntry
	author sbom.Party
}

func npmManifest(data []byte) (m npmPackage, err error) {
	p := strictjson.NewParser(data, limits.ScanManifest)
	err = p.Object(func(key []byte) error {
		switch string(key) {
		case "name":
			return str(p, &m.name)
		case "version":
			return str(p, &m.version)
		case "_integrity":
			return str(p, &m.integrity)
		case "license":
			return licenseField(p, &m.license)
		case "licenses":
			var all []string
			if p.Kind() != strictjson.Array {
				return p.Skip()
			}
			err := p.Array(func(int) error {
				var one string
				err := licenseField(p, &one)
				if one != "" {
					all = append(all, one)
				}
				return err
			})
			if m.license == "" {
				m.license = strings.Join(all, " OR ")
			}
			return err
		case "author":
			return person(p, &m.author)
		case "dependencies":
			return names(p, &m.requires)
		case "optionalDependencies":
			return names(p, &m.mayRequire)
		case "peerDependencies":
			return names(p, &m.peers)
		}
		return p.Skip()
	})
	if err == nil {
		err = p.End()
	}
	return m, err
}

func npmLenient(data []byte) (m npmPackage, err error) {
	var top map[string]json.RawMessage // names exactly as they are
	if err := json.Unmarshal(data, &top); err != nil {
		return m, err
	}
	get := func(name string) (s string) {
		if json.Unmarshal(top[name], &s) != nil {
			return ""
		}
		return s
	}
	m.name, m.version, m.license = get("name"), get("version"), get("license")
	return m, nil
}

// licenseField reads what "license" may be: a string, or an object with a type.
func licenseField(p *strictjson.Parser, s *string) error {
	if p.Kind() != strictjson.Object {
		return str(p, s)
	}
	return p.Object(func(key []byte) error {
		if string(key) == "type" {
			return str(p, s)
		}
		return p.Skip()
	})
}

// person reads "Name <mail> (url)" or the same as an object.
func person(p *strictjson.Parser, who *sbom.Party) error {
	if p.Kind() == strictjson.Object {
		return p.Object(func(key []byte) error {
			switch string(key) {
			case "name":
				return str(p, &who.Name)
			case "email":
				return str(p, &who.Email)
			case "url":
				return str(p, &who.URL)
			}
			return p.Skip()
		})
	}
	var s string
	err := str(p, &s)
	*who = party(s)
	return err
}

// party reads "Name <mail> (url)".
func party(s string) (who sbom.Party) {
	s = text(s)
	if i := strings.IndexByte(s, '('); i >= 0 {
		who.URL = strings.TrimSuffix(strings.TrimSpace(s[i+1:]), ")")
		s = s[:i]
	}
	if i := strings.IndexByte(s, '<'); i >= 0 {
		who.Email = strings.TrimSuffix(strings.TrimSpace(s[i+1:]), ">")
		s = s[:i]
	}
	who.Name = strings.TrimSpace(s)
	if len(s) > limits.ScanName {
		return sbom.Party{}
	}
	return who
}

// str reads a string; what is no string, and there are such in the wild where
// one is due, is passed over.
func str(p *strictjson.Parser, s *string) (err error) {
	if p.Kind() != strictjson.String {
		return p.Skip()
	}
	*s, err = p.String()
	return err
}

func boolean(p *strictjson.Parser, b *bool) (err error) {
	if p.Kind() != strictjson.Bool {
		return p.Skip()
	}
	*b, err = p.Bool()
	return err
}

// names reads the names of an object's members.
func names(p *strictjson.Parser, list *[]string) error {
	if p.Kind() != strictjson.Object {
		return p.Skip()
	}
	return p.Object(func(key []byte) error {
		*list = append(*list, string(key))
		return p.Skip()
	})
}

func npmPURL(name, version string) purl.PURL {
	u := purl.PURL{Type: "npm", Name: name, Version: version}
	if strings.HasPrefix(name, "@") {
		if scope, rest, ok := strings.Cut(name, "/"); ok {
			u.Namespace, u.Name = scope, rest
		}
	}
	return u
}

// integrity takes digests in the form of Subresource Integrity: of several of
// one algorithm, which are alternatives, none.
func (f *finding) integrity(r *report, s string) {
	if s == "" {
		return
	}
	var set provenance.DigestSet
	for part := range strings.FieldsSeq(s) {
		alg, value, _ := strings.Cut(part, "-")
		value, _, _ = strings.Cut(value, "?")
		raw, err := base64.StdEncoding.DecodeString(value)
		size := map[string]int{"sha1": 20, "sha256": 32, "sha384": 48, "sha512": 64}[alg]
		var d provenance.Digest
		if err == nil && len(raw) == size {
			d, err = provenance.NewDigest(provenance.Algorithm(alg), hex.EncodeToString(raw))
		} else {
			err = errors.New("bad length")
		}
		if err != nil || !set.Get(d.Algorithm()).IsZero() && set.Get(d.Algorithm()) != d {
			r.gap(sbom.FieldDigests, ReasonBadDigest, fmt.Sprintf("%s@%s: integrity %s", clip(f.Name), clip(f.Version), clip(part)))
			continue
		}
		set = append(set, d)
	}
	f.Digests = set
}

// resolved takes the address that a package was fetched from.
func (f *finding) resolved(s string) {
	if s == "" || len(s) > limits.ScanName {
		return
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme == "" {
		return
	}
	u.User, u.RawQuery = nil, "" // they hold secrets
	kind := "distribution"
	switch {
	case strings.HasPrefix(u.Scheme, "git") || strings.HasSuffix(u.Path, ".git"):
		kind = "vcs"
		f.PURL.Qualifiers = []purl.Qualifier{{Key: "vcs_url", Value: text(u.String())}}
	case u.Scheme == "https" || u.Scheme == "http":
		if u.Fragment != "" { // yarn puts the SHA-1 there
			if d, err := provenance.NewDigest("sha1", u.Fragment); err == nil && len(u.Fragment) == 40 && f.Digests.Get("sha1").IsZero() {
				f.Digests = append(f.Digests, d)
			}
			u.Fragment = ""
		}
	default:
		return // file: and the like are of this machine
	}
	ref := sbom.Reference{Kind: kind, URL: text(u.String())}
	if kind == "distribution" {
		ref.Digests = f.Digests
	}
	f.Reference = append(f.Reference, ref)
}

// licence takes what metadata says about a licence.
func licence(s string) sbom.License {
	if s = text(s); s == "" || len(s) > limits.ScanName || strings.EqualFold(s, "UNKNOWN") || s == "NOASSERTION" || s == "NONE" {
		return sbom.License{}
	}
	if e, err := spdxlicense.Normalize(s); err == nil {
		return sbom.License{Expression: e}
	}
	return sbom.License{Name: s}
}
