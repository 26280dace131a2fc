package osv

import (
	"slices"
	"strings"

	"github.com/hallmark-build/hallmark/internal/vercmp"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/purl"
)

// query is what a component is looked up by.
type query struct {
	ecosystem string // without release
	names     []string
	release   string // of the distribution, as OSV writes it; "" when not known or there are none
	base      string // package URL without version
	version   string
	alike     []string     // other versions that a record of which is one of this, too
	other     string       // another version, where the bill contradicts itself
	order     vercmp.Order // nil when the ecosystem has none here

	repo, commit string // for GIT ranges
	hosted       bool   // the package URL is that of the repository
}

// ecosystems are OSV's names for types of package URLs
// (ossf/osv-schema, docs/schema.md, "Defined Ecosystems").
var ecosystems = map[string]string{
	"golang": "Go", "npm": "npm", "pypi": "PyPI", "cargo": "crates.io", "maven": "Maven", "gem": "RubyGems", "nuget": "NuGet",
	"composer": "Packagist", "hex": "Hex", "pub": "Pub", "hackage": "Hackage", "cran": "CRAN", "bioconductor": "Bioconductor",
	"conan": "ConanCenter", "swift": "SwiftURL", "github": "GitHub Actions", "githubactions": "GitHub Actions", "bitnami": "Bitnami", "julia": "Julia",
}

// distributions are those of deb, apk and rpm package URLs, by namespace.
var distributions = map[string]string{
	"debian": "Debian", "ubuntu": "Ubuntu", "alpine": "Alpine", "wolfi": "Wolfi", "chainguard": "Chainguard", "minimos": "MinimOS", "alpaquita": "Alpaquita",
	"redhat": "Red Hat", "rhel": "Red Hat", "rocky": "Rocky Linux", "rocky-linux": "Rocky Linux", "almalinux": "AlmaLinux",
	"sles": "SUSE", "suse": "SUSE", "opensuse": "openSUSE", "opensuse-leap": "openSUSE", "opensuse-tumbleweed": "openSUSE", "mageia": "Mageia",
	"openeuler": "openEuler", "azurelinux": "Azure Linux", "photon": "Photon OS",
}

// debianReleases are the code names that package URLs use for releases.
var debianReleases = map[string]string{
	"stretch": "9", "buster": "10", "bullseye": "11", "bookworm": "12", "trixie": "13", "forky": "14",
	"bionic": "18.04", "focal": "20.04", "jammy": "22.04", "noble": "24.04", "plucky": "25.04", "questing": "25.10",
}

// queryOf says what to look up of a component; false when it is in no ecosystem
// that a record could be about.
func queryOf(c *sbom.Component) (q query, ok bool) {
	q.version = c.Version
	for _, d := range c.Digests {
		if d.Algorithm() == provenance.GitCommit {
			q.commit = d.Value()
		}
	}
	p, err := purl.Parse(c.PURL)
	if err != nil {
		return q, false
	}
	q.base = base(p)
	if p.Version != "" {
		q.version = p.Version
	}
	q.git(p)
	full := p.Name
	if p.Namespace != "" {
		full = p.Namespace + "/" + p.Name
	}
	switch p.Type {
	case "deb", "apk", "rpm":
		q.ecosystem = distributions[p.Namespace]
		q.distribution(c, p)
	case "maven":
		q.ecosystem = "Maven"
		q.names = []string{p.Namespace + ":" + p.Name}
	default:
		q.ecosystem = ecosystems[p.Type]
		q.names = []string{full}
	}
	if q.ecosystem == "" {
		return q, q.repo != "" && q.commit != ""
	}
	for i, n := range q.names {
		q.names[i] = normalName(q.ecosystem, n)
	}
	slices.Sort(q.names)
	q.names = slices.Compact(q.names)
	q.order = vercmp.For(q.ecosystem)
	// A package URL that names a version with the fix does not hide that the
	// component has another. Distributions write one version in several ways.
	switch {
	case c.Version == "" || p.Version == "" || c.Version == p.Version:
	case distributions[p.Namespace] != "":
		if a, b := upstreamOf(c.Version), upstreamOf(p.Version); a != b && !strings.HasPrefix(b, a+"-") && !strings.HasPrefix(a, b+"-") {
			q.other = c.Version
		}
	case q.order == nil || !same(q.order, c.Version, p.Version):
		q.other = c.Version
	}
	// What follows says how it was built, and records name what it was built of.
	switch {
	case q.ecosystem == "PyPI": // PEP 440, "Version matching": a public version means its local versions too
		q.like(q.version, "+")
		q.like(q.other, "+")
	case q.ecosystem == "RubyGems": // the platform
		q.like(q.version, "-")
		q.like(q.other, "-")
	}
	return q, true
}

// like looks the version up also without what begins with a separator.
func (q *query) like(version, separator string) {
	if v, _, has := strings.Cut(version, separator); has {
		q.alike = append(q.alike, v)
	}
}

// upstreamOf is a version of a distribution without its epoch.
func upstreamOf(version string) string {
	if epoch, rest, ok := strings.Cut(version, ":"); ok && strings.Trim(epoch, "0123456789") == "" {
		return rest
	}
	return version
}

// git finds the repository and the commit that a package URL names.
func (q *query) git(p purl.PURL) {
	repo, commit, _ := strings.Cut(strings.TrimPrefix(p.Qualifier("vcs_url"), "git+"), "@")
	if strings.Contains(repo, "://") {
		q.repo = normalRepo(repo)
		if isCommit(commit) {
			q.commit = commit
		}
	}
	if p.Type == "github" || p.Type == "bitbucket" {
		q.repo = p.Type + map[string]string{"github": ".com/", "bitbucket": ".org/"}[p.Type] + p.Namespace + "/" + p.Name
		q.repo = strings.ToLower(q.repo)
		q.hosted = true
		if isCommit(p.Version) {
			q.commit = p.Version
		}
	}
}

func isCommit(s string) bool {
	return (len(s) == 40 || len(s) == 64) && strings.Trim(s, "0123456789abcdef") == ""
}

// distribution says what a package of a distribution is looked up by: by the
// name of its source package, for which advisories are written, and by its own.
func (q *query) distribution(c *sbom.Component, p purl.PURL) {
	q.names = []string{p.Name}
	source := p.Qualifier("upstream") // "name" or "name@version"
	for _, prop := range c.Properties {
		if prop.Name == "hallmark-scan:source" && source == "" { // "name" or "name (version)"
			source = prop.Value
		}
	}
	name, version, _ := strings.Cut(strings.NewReplacer(" (", "@", ")", "").Replace(source), "@")
	if p.Type == "rpm" { // the name of the source's file
		name, version = strings.TrimSuffix(source, ".src.rpm"), ""
		for range 2 {
			if i := strings.LastIndexByte(name, '-'); i > 0 && name != source {
				name = name[:i]
			}
		}
	}
	if name != "" {
		q.names = append(q.names, name)
	}
	if version != "" {
		if name == p.Name { // the version of the source cannot hide the package's own
			q.alike = append(q.alike, q.version)
		}
		q.version = version
	}
	if epoch := p.Qualifier("epoch"); epoch != "" && !strings.Contains(q.version, ":") {
		q.version = epoch + ":" + q.version
	}
	distro := strings.ToLower(p.Qualifier("distro"))
	if v, ok := debianReleases[strings.TrimPrefix(distro, p.Namespace+"-")]; ok {
		q.release = v
		return
	}
	i := strings.LastIndexByte(distro, '-')
	if i < 0 {
		return
	}
	v := distro[i+1:]
	parts := strings.Split(v, ".")
	switch {
	case v == "" || v[0] < '0' || v[0] > '9':
	case q.ecosystem == "Alpine" && len(parts) >= 2:
		q.release = "v" + parts[0] + "." + parts[1]
	case q.ecosystem == "Ubuntu" && len(parts) >= 2:
		q.release = parts[0] + "." + parts[1]
	case q.ecosystem == "Debian", q.ecosystem == "Rocky Linux", q.ecosystem == "AlmaLinux", q.ecosystem == "Mageia", q.ecosystem == "Azure Linux":
		q.release = parts[0]
	}
}

// about reports whether an entry of a record is about the package that is looked
// up, in the release that it is of. A release that is not known could be any.
func (q *query) about(a *affected) bool {
	eco, release := split(a.Ecosystem)
	if eco == "" || eco != q.ecosystem {
		return false
	}
	if !slices.Contains(q.names, normalName(eco, a.Name)) {
		if b, ok := purlBase(a.PURL); !ok || b != q.base {
			return false
		}
	}
	return release == "" || q.release == "" || slices.Contains(strings.Split(release, ":"), q.release)
}
