package scan

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/purl"
)

// osInfo is an operating system as its os-release says (os-release(5)).
type osInfo struct {
	ID, VersionID, Name, HomeURL string
}

var osRelease = analyser{
	name: "os-release", version: 1, limit: 1 << 20,
	wants: func(p, base string) bool {
		return base == "os-release" && (under(p, "etc/os-release") || under(p, "usr/lib/os-release"))
	},
	read: func(_ context.Context, f *file, r *report) error {
		os := &osInfo{}
		err := lines(f.r, func(_ int, line string) error {
			key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
			if !ok || strings.HasPrefix(key, "#") {
				return nil
			}
			if len(value) > 1 && (value[0] == '"' || value[0] == '\'') && value[len(value)-1] == value[0] {
				value = value[1 : len(value)-1]
			}
			value = text(value)
			switch key {
			case "ID":
				os.ID = value
			case "VERSION_ID":
				os.VersionID = value
			case "NAME":
				os.Name = value
			case "HOME_URL":
				os.HomeURL = value
			}
			return nil
		})
		if err == nil && os.ID == "" {
			err = errors.New("os-release without an ID")
		}
		if os.ID != "" {
			r.OS = os
		}
		return err
	},
}

// under reports whether a path is one relative to any root.
func under(p, name string) bool {
	return strings.HasSuffix(p, name) && (len(p) == len(name) || p[len(p)-len(name)-1] == '/')
}

func (a *assembly) addOS(r *report) {
	root := strings.TrimSuffix(strings.TrimSuffix(r.Path, "etc/os-release"), "usr/lib/os-release")
	root = path.Join(".", root)
	if a.oses[root] != nil {
		return
	}
	a.oses[root] = r.OS
	c := sbom.Component{Type: sbom.OperatingSystem, Name: r.OS.ID, Version: r.OS.VersionID}
	c.SetEvidence(sbom.Evidence{Field: sbom.FieldIdentity, Source: sbom.Observed, Method: "os-release"})
	if u := r.OS.HomeURL; strings.HasPrefix(u, "https://") && !strings.ContainsAny(u, " <>\"") {
		c.References = []sbom.Reference{{Kind: "website", URL: u}}
	}
	id := a.g.Add(c)
	if c.Version == "" {
		a.gap(id, sbom.FieldVersion, ReasonNoVersion, "")
	}
	a.g.Relate(a.root, sbom.Contains, id) // both were added
}

// dpkgStatus reads the database of dpkg: one file with a paragraph for each
// package (dpkg(1), deb-control(5)), or, in distroless images, one file for each.
var dpkgStatus = analyser{
	name: "dpkg", version: 1, ecosystem: "deb", limit: limits.ScanFile,
	wants: func(p, base string) bool {
		if base == "status" {
			return under(p, "var/lib/dpkg/status")
		}
		return under(path.Dir(p), "var/lib/dpkg/status.d") && !strings.HasSuffix(base, ".md5sums")
	},
	read: readDpkg,
}

func readDpkg(_ context.Context, f *file, r *report) error {
	// Packages of all files of one status.d depend on each other.
	group := "deb:" + strings.TrimSuffix(f.path, "/"+path.Base(f.path))
	single := path.Base(f.path) != "status"
	var pkg map[string]string
	count := 0
	flush := func() error {
		if pkg == nil {
			return nil
		}
		m := pkg
		pkg = nil
		count++
		state := strings.Fields(m["Status"])
		// What was removed and left its configuration behind is not there.
		if !single && (len(state) != 3 || state[2] == "not-installed" || state[2] == "config-files") {
			if len(state) != 3 {
				r.gap(sbom.FieldComponents, ReasonMalformed, fmt.Sprintf("package %s has no status", clip(m["Package"])))
			}
			if len(state) == 3 {
				return nil
			}
		}
		name := m["Package"]
		if name == "" {
			r.gap(sbom.FieldComponents, ReasonMalformed, fmt.Sprintf("paragraph %d names no package", count))
			return nil
		}
		g := finding{
			Group: group, Key: name, Name: name, Version: m["Version"], Source: sbom.Observed, Method: "dpkg status",
			Supplier: party(m["Maintainer"]), Scope: sbom.Required, AllDeps: true,
			PURL: purl.PURL{Type: "deb", Name: name, Version: m["Version"]},
		}
		if arch := m["Architecture"]; arch != "" {
			g.PURL.Qualifiers = append(g.PURL.Qualifiers, purl.Qualifier{Key: "arch", Value: arch})
			g.Key = name + ":" + arch
			g.Also = append(g.Also, name)
		}
		if src := m["Source"]; src != "" {
			g.Properties = append(g.Properties, sbom.Property{Name: "hallmark-scan:source", Value: text(src)})
		}
		if len(state) == 3 && state[2] != "installed" {
			g.Properties = append(g.Properties, sbom.Property{Name: "hallmark-scan:state", Value: text(state[2])})
		}
		for p := range strings.SplitSeq(m["Provides"], ",") {
			if p = debName(p); p != "" {
				g.Also = append(g.Also, p)
			}
		}
		for _, field := range []string{"Pre-Depends", "Depends"} {
			for clause := range strings.SplitSeq(m[field], ",") {
				var alternatives []string
				for one := range strings.SplitSeq(clause, "|") {
					if one = debName(one); one != "" {
						alternatives = append(alternatives, one)
					}
				}
				if len(alternatives) > 0 {
					g.Wants = append(g.Wants, strings.Join(alternatives, "|"))
				}
			}
		}
		return r.add(g)
	}
	err := lines(f.r, func(n int, line string) error {
		switch {
		case strings.TrimSpace(line) == "":
			return flush()
		case line[0] == ' ' || line[0] == '\t':
			return nil // more of the last field; of no interest in those that count
		}
		key, value, ok := strings.Cut(line, ":")
		if !ok {
			r.gap(sbom.FieldComponents, ReasonMalformed, fmt.Sprintf("line %d: want a field and a colon", n))
			return nil
		}
		if pkg == nil {
			pkg = make(map[string]string, 16)
		}
		switch key {
		case "Package", "Version", "Status", "Architecture", "Source", "Maintainer", "Provides", "Depends", "Pre-Depends":
			if _, dup := pkg[key]; dup {
				r.gap(sbom.FieldComponents, ReasonMalformed, fmt.Sprintf("line %d: field %s twice in one paragraph", n, key))
				return nil
			}
			pkg[key] = strings.TrimSpace(value)
		}
		return nil
	})
	if err2 := flush(); err == nil {
		err = err2
	}
	return err
}

// debName returns the name in a relation: "libc6:any (>= 2.3)" is libc6.
func debName(s string) string {
	s = strings.TrimSpace(s)
	if i := strings.IndexAny(s, " (:[<"); i >= 0 {
		s = s[:i]
	}
	return s
}

// apkInstalled reads Alpine's database of installed packages.
// https://wiki.alpinelinux.org/wiki/Apk_spec
var apkInstalled = analyser{
	name: "apk", version: 1, ecosystem: "apk", limit: limits.ScanFile,
	wants: func(p, base string) bool {
		return base == "installed" && (under(p, "lib/apk/db/installed") || under(p, "usr/lib/apk/db/installed"))
	},
	read: readAPK,
}

func readAPK(_ context.Context, f *file, r *report) error {
	group := "apk:" + f.path
	var g *finding
	flush := func() error {
		if g == nil {
			return nil
		}
		p := *g
		g = nil
		if p.Name == "" {
			r.gap(sbom.FieldComponents, ReasonMalformed, "a paragraph names no package")
			return nil
		}
		p.Key = p.Name
		p.PURL.Name, p.PURL.Version = p.Name, p.Version
		return r.add(p)
	}
	err := lines(f.r, func(n int, line string) error {
		if line == "" {
			return flush()
		}
		if len(line) < 2 || line[1] != ':' {
			r.gap(sbom.FieldComponents, ReasonMalformed, fmt.Sprintf("line %d: want a letter and a colon", n))
			return nil
		}
		if g == nil {
			g = &finding{Group: group, Source: sbom.Observed, Method: "apk database", Scope: sbom.Required, AllDeps: true, PURL: purl.PURL{Type: "apk"}}
		}
		value := strings.TrimSpace(line[2:])
		switch line[0] {
		case 'P':
			g.Name = value
		case 'V':
			g.Version = value
		case 'A':
			g.PURL.Qualifiers = []purl.Qualifier{{Key: "arch", Value: value}}
		case 'L':
			g.Licence = licence(value)
		case 'm':
			g.Supplier = party(value)
		case 'o':
			g.Properties = append(g.Properties, sbom.Property{Name: "hallmark-scan:source", Value: text(value)})
		case 'U':
			if strings.HasPrefix(value, "https://") || strings.HasPrefix(value, "http://") {
				g.Reference = append(g.Reference, sbom.Reference{Kind: "website", URL: text(value)})
			}
		case 'C':
			// Q1 and the SHA-1 of the package's control part, which is no
			// digest of the package file.
			if raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(value, "Q1")); err == nil && len(raw) == 20 {
				g.Properties = append(g.Properties, sbom.Property{Name: "hallmark-scan:apk-checksum", Value: value})
			}
		case 'p':
			for p := range strings.FieldsSeq(value) {
				g.Also = append(g.Also, apkName(p))
			}
		case 'D':
			for d := range strings.FieldsSeq(value) {
				if !strings.HasPrefix(d, "!") {
					g.Wants = append(g.Wants, apkName(d))
				}
			}
		}
		return nil
	})
	if err2 := flush(); err == nil {
		err = err2
	}
	return err
}

// apkName cuts the version off "so:libc.musl-x86_64.so.1>=1.2".
func apkName(s string) string {
	if i := strings.IndexAny(s, "<>=~@"); i > 0 {
		return s[:i]
	}
	return s
}

// goDigest turns an "h1:" hash into a digest.
func goDigest(s string) (provenance.Digest, bool) {
	b, ok := strings.CutPrefix(s, "h1:")
	if !ok {
		return provenance.Digest{}, false
	}
	raw, err := base64.StdEncoding.DecodeString(b)
	if err != nil || len(raw) != 32 {
		return provenance.Digest{}, false
	}
	d, err := provenance.NewDigest(provenance.DirHash, hex.EncodeToString(raw))
	return d, err == nil
}

// hexDigest makes a digest of an algorithm's name and hex digits.
func hexDigest(alg, value string) (provenance.Digest, bool) {
	size := map[string]int{"md5": 32, "sha1": 40, "sha256": 64, "sha384": 96, "sha512": 128}[alg]
	value = strings.ToLower(value)
	if _, err := hex.DecodeString(value); err != nil || len(value) != size || size == 0 {
		return provenance.Digest{}, false
	}
	d, err := provenance.NewDigest(provenance.Algorithm(alg), value)
	return d, err == nil
}
