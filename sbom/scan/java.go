package scan

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/purl"
)

func mavenPURL(group, artifact, version string) purl.PURL {
	return purl.PURL{Type: "maven", Namespace: group, Name: artifact, Version: version}
}

// mavenPOM reads pom.xml: what the project asks for itself, with the versions
// that are in the same file. What a parent or an imported bill says is not there.
// https://maven.apache.org/pom.html
var mavenPOM = analyser{
	name: "maven-pom", version: 1, ecosystem: "maven", limit: limits.ScanManifest,
	wants: func(_, base string) bool { return base == "pom.xml" },
	read: func(_ context.Context, f *file, r *report) error {
		pom, err := parsePOM(f.r)
		if err != nil {
			return err
		}
		group := "maven:" + f.path
		root := finding{
			Group: group, Project: true, Type: sbom.Application, Source: sbom.Declared, Method: "pom.xml", Scope: sbom.Required,
			Name: pom.value("artifactId"), Version: pom.value("version"), Licence: licence(pom.value("licenses/license/name")),
		}
		groupID := pom.value("groupId")
		if groupID == "" {
			groupID = pom.value("parent/groupId")
		}
		if root.Version == "" {
			root.Version = pom.value("parent/version")
		}
		if root.Name == "" {
			return errors.New("want a project with an artifactId")
		}
		root.PURL = mavenPURL(groupID, root.Name, exact(root.Version))
		root.Version = root.PURL.Version
		root.Key = groupID + ":" + root.Name
		if err := r.add(root); err != nil {
			return err
		}
		managed := map[string]string{}
		for _, d := range pom.managed {
			managed[pom.expand(d.group)+":"+pom.expand(d.artifact)] = d.version
		}
		for _, d := range pom.dependencies {
			g := finding{Group: group, Direct: true, Source: sbom.Declared, Method: "pom.xml", Scope: sbom.Required}
			gid := pom.expand(d.group)
			g.Name = pom.expand(d.artifact)
			if g.Name == "" {
				r.gap(sbom.FieldComponents, ReasonMalformed, "a dependency without an artifactId")
				continue
			}
			g.Key = gid + ":" + g.Name
			version := d.version
			if version == "" {
				version = managed[g.Key]
			}
			g.Version = exact(pom.expand(version))
			switch {
			case d.scope == "test":
				g.Scope = sbom.Excluded
			case d.optional == "true", d.scope == "provided", d.scope == "system":
				g.Scope = sbom.Optional
			}
			g.PURL = mavenPURL(gid, g.Name, g.Version)
			if err := r.add(g); err != nil {
				return err
			}
		}
		return nil
	},
}

// exact returns a version unless it is a range or could not be expanded.
func exact(v string) string {
	if v == "" || strings.ContainsAny(v, "[](),${}") || v == "LATEST" || v == "RELEASE" {
		return ""
	}
	return v
}

type pomDependency struct{ group, artifact, version, scope, optional string }

type pom struct {
	values                map[string]string
	dependencies, managed []pomDependency
}

// parsePOM reads with the tokenizer alone. It knows no entities but those of
// XML itself and fetches nothing.
func parsePOM(r io.Reader) (*pom, error) {
	d := xml.NewDecoder(r)
	d.CharsetReader = func(charset string, in io.Reader) (io.Reader, error) {
		if c := strings.ToLower(charset); c != "iso-8859-1" && c != "us-ascii" && c != "windows-1252" {
			return nil, fmt.Errorf("encoding %s is not read", clip(charset))
		}
		return latin1{in}, nil
	}
	p := &pom{values: map[string]string{}}
	var stack []string
	var leaf strings.Builder
	var dep pomDependency
	for nodes := 0; ; nodes++ {
		t, err := d.RawToken()
		if err == io.EOF {
			if len(stack) > 0 {
				return nil, errors.New("unexpected end")
			}
			return p, nil
		}
		if err != nil {
			return nil, err
		}
		if nodes > limits.ScanNodes {
			return nil, limitf("more than %d tokens", limits.ScanNodes)
		}
		switch t := t.(type) {
		case xml.StartElement:
			if len(stack) >= limits.ScanDepth {
				return nil, limitf("nested deeper than %d", limits.ScanDepth)
			}
			if len(stack) == 0 && t.Name.Local != "project" {
				return nil, fmt.Errorf("want a project, found %s", clip(t.Name.Local))
			}
			stack = append(stack, t.Name.Local)
			leaf.Reset()
			if t.Name.Local == "dependency" {
				dep = pomDependency{}
			}
		case xml.CharData:
			if leaf.Len() <= limits.ScanName {
				leaf.Write(t)
			}
		case xml.EndElement:
			if len(stack) == 0 || stack[len(stack)-1] != t.Name.Local {
				return nil, fmt.Errorf("end of %s, which is not open", clip(t.Name.Local))
			}
			where := strings.Join(stack[1:], "/")
			value := strings.TrimSpace(leaf.String())
			leaf.Reset()
			switch strings.TrimPrefix(where, "dependencyManagement/") {
			case "dependencies/dependency/groupId":
				dep.group = value
			case "dependencies/dependency/artifactId":
				dep.artifact = value
			case "dependencies/dependency/version":
				dep.version = value
			case "dependencies/dependency/scope":
				dep.scope = value
			case "dependencies/dependency/optional":
				dep.optional = value
			case "dependencies/dependency":
				if strings.HasPrefix(where, "dependencyManagement/") {
					p.managed = append(p.managed, dep)
				} else {
					p.dependencies = append(p.dependencies, dep)
				}
			default:
				if _, dup := p.values[where]; !dup && value != "" && len(stack) <= 4 {
					p.values[where] = value
				}
			}
			stack = stack[:len(stack)-1]
		}
	}
}

func (p *pom) value(name string) string { return p.expand(p.values[name]) }

// expand replaces ${name}; properties may have properties in them, to a
// bounded depth and length.
func (p *pom) expand(s string) string {
	for range 8 {
		start := strings.Index(s, "${")
		if start < 0 {
			break
		}
		end := strings.IndexByte(s[start:], '}')
		if end < 0 {
			break
		}
		name := s[start+2 : start+end]
		v, ok := p.values["properties/"+name]
		if !ok {
			name = strings.TrimPrefix(strings.TrimPrefix(name, "project."), "pom.")
			if v, ok = p.values[name]; !ok && (name == "version" || name == "groupId") {
				v, ok = p.values["parent/"+name]
			}
		}
		if !ok || len(s)+len(v) > limits.ScanName {
			break
		}
		s = s[:start] + v + s[start+end+1:]
	}
	return strings.TrimSpace(s)
}

// latin1 turns ISO-8859-1 into UTF-8.
type latin1 struct{ r io.Reader }

func (l latin1) Read(p []byte) (int, error) {
	half := make([]byte, max(len(p)/2, 1))
	if len(p) < 2 {
		return 0, io.ErrShortBuffer
	}
	n, err := l.r.Read(half)
	out := p[:0]
	for _, c := range half[:n] {
		out = append(out, string(rune(c))...)
	}
	return len(out), err
}

// gradleLock reads the lock files of Gradle.
// https://docs.gradle.org/current/userguide/dependency_locking.html
var gradleLock = analyser{
	name: "gradle-lock", version: 1, ecosystem: "maven", limit: limits.ScanFile,
	wants: func(p, base string) bool {
		return base == "gradle.lockfile" || base == "buildscript-gradle.lockfile" || strings.HasSuffix(base, ".lockfile") && path.Base(path.Dir(p)) == "dependency-locks"
	},
	read: func(_ context.Context, f *file, r *report) error {
		return lines(f.r, func(n int, line string) error {
			line = strings.TrimSpace(line)
			if line == "" || line[0] == '#' || strings.HasPrefix(line, "empty=") {
				return nil
			}
			coordinates, in, _ := strings.Cut(line, "=")
			w := strings.Split(coordinates, ":")
			if len(w) != 3 || w[1] == "" {
				r.gap(sbom.FieldComponents, ReasonMalformed, fmt.Sprintf("line %d: want group:artifact:version", n))
				return nil
			}
			g := finding{
				Group: "maven:" + f.path, Key: w[0] + ":" + w[1], Name: w[1], Version: w[2], PURL: mavenPURL(w[0], w[1], w[2]),
				Source: sbom.Locked, Method: path.Base(f.path), Scope: sbom.Required,
			}
			configurations := strings.Split(in, ",")
			if strings.HasPrefix(path.Base(f.path), "buildscript") || !slices.ContainsFunc(configurations, func(c string) bool {
				return !strings.HasPrefix(c, "test") && !strings.Contains(c, "Test") && !strings.Contains(c, "nnotationProcessor")
			}) {
				g.Scope = sbom.Excluded
			}
			return r.add(g)
		})
	},
}

// javaArchive reads what Maven and the manifest say inside a jar, and the jars
// inside it.
var javaArchive = analyser{
	name: "java-archive", version: 1, ecosystem: "maven", limit: limits.ScanJar, random: true,
	wants: func(_, base string) bool { return isJar(base) },
	read: func(ctx context.Context, f *file, r *report) error {
		j := &jars{r: r, group: "jar:" + f.path}
		h1, h256 := sha1.New(), sha256.New()
		if _, err := io.Copy(io.MultiWriter(h1, h256), &contextReader{ctx, io.NewSectionReader(f.at, 0, f.size)}); err != nil {
			return &readError{err}
		}
		return j.read(ctx, f.path, f.at, f.size, h1.Sum(nil), h256.Sum(nil), 0)
	},
}

func isJar(base string) bool {
	i := strings.LastIndexByte(base, '.')
	if i < 0 || len(base)-i > 5 {
		return false
	}
	switch strings.ToLower(base[i:]) {
	case ".jar", ".war", ".ear", ".par", ".sar", ".hpi", ".jpi", ".lpkg":
		return true
	}
	return false
}

type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c *contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}

type jars struct {
	r     *report
	group string
	count int
	bytes int64 // unpacked so far
}

// A meter stops the reading of a table of contents that is too long: archive/zip
// reads entries for as long as there are any.
type meter struct {
	at   io.ReaderAt
	left int64 // negative is no limit
}

func (m *meter) ReadAt(p []byte, off int64) (int, error) {
	if m.left >= 0 {
		if m.left -= int64(len(p)); m.left < 0 {
			m.left = 0
			return 0, limitf("a table of contents of more than %d bytes", limits.ScanYAML)
		}
	}
	return m.at.ReadAt(p, off)
}

func (j *jars) read(ctx context.Context, name string, at io.ReaderAt, size int64, sum1, sum256 []byte, depth int) error {
	if err := ctx.Err(); err != nil {
		return &readError{err}
	}
	if j.count++; j.count > limits.ScanJars {
		return limitf("more than %d archives in one", limits.ScanJars)
	}
	key := fmt.Sprint(j.count)
	base := path.Base(name)
	jar := finding{Group: j.group, Key: key, Source: sbom.Observed, Method: "jar metadata", Observed: true, DigestHow: "content of the file", Scope: sbom.Required}
	for alg, sum := range map[string][]byte{"sha1": sum1, "sha256": sum256} {
		if d, ok := hexDigest(alg, hex.EncodeToString(sum)); ok {
			jar.Digests = append(jar.Digests, d)
		}
	}
	slices.SortFunc(jar.Digests, provenance.Digest.Compare)
	if depth > 0 {
		jar.Properties = append(jar.Properties, sbom.Property{Name: "hallmark-scan:inside", Value: text(name)})
	}
	m := &meter{at: at, left: limits.ScanYAML}
	z, err := zip.NewReader(m, size)
	m.left = -1
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		// It is there, whatever it is.
		jar.Name, jar.Version = jarName(base)
		jar.Source, jar.Method, jar.Sure = sbom.Inferred, "name of the file", 50
		return errors.Join(err, j.r.add(jar))
	}
	manifest := map[string]string{}
	var coordinates []map[string]string
	var inner []*zip.File
	for _, f := range z.File {
		switch {
		case f.Name == "META-INF/MANIFEST.MF":
			if data, err := j.entry(f, 1<<20); err == nil {
				manifest = parseManifest(data)
			} else {
				j.r.gap(sbom.FieldIdentity, ReasonMalformed, clip(name+"!/"+f.Name+": "+err.Error()))
			}
		case strings.HasPrefix(f.Name, "META-INF/maven/") && strings.HasSuffix(f.Name, "/pom.properties"):
			if len(coordinates) >= limits.ScanJars {
				return limitf("more than %d pom.properties in one archive", limits.ScanJars)
			}
			data, err := j.entry(f, 1<<20)
			if err != nil {
				j.r.gap(sbom.FieldComponents, ReasonMalformed, clip(name+"!/"+f.Name+": "+err.Error()))
				continue
			}
			if p := parseProperties(data); p["artifactId"] != "" {
				coordinates = append(coordinates, p)
			}
		case isJar(f.Name[strings.LastIndexByte(f.Name, '/')+1:]) && !f.FileInfo().IsDir():
			inner = append(inner, f)
		}
	}
	// A jar with others shaded in has the coordinates of all; its own are
	// those that its file is named by.
	main := -1
	for i, c := range coordinates {
		if len(coordinates) == 1 || strings.HasPrefix(base, c["artifactId"]) && (main < 0 || len(c["artifactId"]) > len(coordinates[main]["artifactId"])) {
			main = i
		}
	}
	switch {
	case main >= 0:
		c := coordinates[main]
		jar.Name, jar.Version, jar.PURL, jar.Method = c["artifactId"], c["version"], mavenPURL(c["groupId"], c["artifactId"], c["version"]), "pom.properties"
	default:
		fileName, fileVersion := jarName(base)
		jar.Name, jar.Version = fileName, fileVersion
		jar.Source, jar.Sure, jar.Method = sbom.Inferred, 60, "name of the file"
		if v := first(manifest["Implementation-Version"], manifest["Bundle-Version"], manifest["Specification-Version"]); v != "" && fileVersion == "" {
			jar.Version, jar.Method = v, "manifest"
		}
		if g := manifest["Implementation-Vendor-Id"]; g != "" {
			jar.PURL = mavenPURL(g, jar.Name, jar.Version)
		}
	}
	if l := manifest["Bundle-License"]; l != "" && !strings.Contains(l, "://") {
		jar.Licence = licence(strings.SplitN(l, ";", 2)[0])
	}
	if v := first(manifest["Implementation-Vendor"], manifest["Bundle-Vendor"]); v != "" {
		jar.Supplier = sbom.Party{Name: text(v)}
	}
	for i, c := range coordinates {
		if i == main {
			continue
		}
		g := finding{
			Group: j.group, Key: key + ":" + fmt.Sprint(i), Name: c["artifactId"], Version: c["version"], PURL: mavenPURL(c["groupId"], c["artifactId"], c["version"]),
			Source: sbom.Observed, Sure: 90, Method: "pom.properties in another package's jar", Scope: sbom.Required,
		}
		jar.Wants = append(jar.Wants, g.Key)
		if err := j.r.add(g); err != nil {
			return err
		}
	}
	var fault error
	for _, f := range inner {
		next := fmt.Sprint(j.count + 1)
		err := j.nested(ctx, name, f, depth+1)
		var re *readError
		if errors.As(err, &re) {
			return err
		}
		if err != nil {
			fault = errors.Join(fault, fmt.Errorf("%s: %w", clip(f.Name), err))
			if j.count > limits.ScanJars || j.bytes > limits.ScanJar {
				break
			}
		}
		if next != fmt.Sprint(j.count+1) {
			jar.Wants = append(jar.Wants, next)
		}
	}
	return errors.Join(fault, j.r.add(jar))
}

func (j *jars) nested(ctx context.Context, name string, f *zip.File, depth int) error {
	if depth >= limits.ScanJarDepth {
		return limitf("archives nest deeper than %d", limits.ScanJarDepth)
	}
	data, err := j.entry(f, limits.ScanJarInner)
	if err != nil {
		return err
	}
	h1, h256 := sha1.Sum(data), sha256.Sum256(data)
	return j.read(ctx, name+"!/"+f.Name, bytes.NewReader(data), int64(len(data)), h1[:], h256[:], depth)
}

// entry unpacks one entry.
func (j *jars) entry(f *zip.File, most int64) ([]byte, error) {
	most = min(most, limits.ScanJar-j.bytes)
	if f.UncompressedSize64 > uint64(max(most, 0)) {
		return nil, limitf("%d bytes unpacked; at most %d are read", f.UncompressedSize64, most)
	}
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, most+1))
	j.bytes += int64(len(data))
	if err == nil && int64(len(data)) > most {
		err = limitf("more than %d bytes unpacked", most)
	}
	return data, err
}

func first(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}

// jarName takes "commons-io-2.11.0.jar" apart.
func jarName(base string) (name, version string) {
	base = base[:strings.LastIndexByte(base, '.')]
	for i := 0; i+1 < len(base); i++ {
		if base[i] == '-' && '0' <= base[i+1] && base[i+1] <= '9' && i > 0 {
			return base[:i], base[i+1:]
		}
	}
	return base, ""
}

// parseManifest reads the main section of a manifest (JAR File Specification).
func parseManifest(data []byte) map[string]string {
	m := map[string]string{}
	last := ""
	for line := range strings.SplitSeq(strings.ReplaceAll(string(data), "\r\n", "\n"), "\n") {
		if line == "" {
			break
		}
		if rest, ok := strings.CutPrefix(line, " "); ok && last != "" {
			if len(m[last])+len(rest) <= limits.ScanName {
				m[last] += rest
			}
			continue
		}
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			continue
		}
		last = key
		if len(value) <= limits.ScanName {
			m[key] = strings.TrimSpace(value)
		}
	}
	return m
}

// parseProperties reads a Java properties file, as far as Maven writes them.
func parseProperties(data []byte) map[string]string {
	m := map[string]string{}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == '!' {
			continue
		}
		if key, value, ok := strings.Cut(line, "="); ok && len(m) < 64 {
			m[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	return m
}
