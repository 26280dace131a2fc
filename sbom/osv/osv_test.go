package osv_test

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/gate"
	"github.com/hallmark-build/hallmark/sbom/osv"
)

// writeZip writes records as all.zip has them.
func writeZip(t testing.TB, file string, records map[string]string) {
	t.Helper()
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	names := make([]string, 0, len(records))
	for n := range records {
		names = append(names, n)
	}
	slices.Sort(names)
	for _, n := range names {
		w, err := z.Create(n + ".json")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(records[n])); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, records map[string]string) *osv.Database {
	t.Helper()
	file := filepath.Join(t.TempDir(), "all.zip")
	writeZip(t, file, records)
	db, err := osv.Open(context.Background(), file, osv.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// rec makes a record about one package; rest is what stands beside the package.
func rec(id, eco, name, rest string) string {
	return fmt.Sprintf(`{"schema_version":"1.7.0","id":%q,"modified":"2026-02-01T00:00:00Z","affected":[{"package":{"ecosystem":%q,"name":%q},%s}]}`, id, eco, name, rest)
}

func ranges(typ string, events ...string) string {
	var out []string
	for _, e := range events {
		k, v, _ := strings.Cut(e, "=")
		out = append(out, fmt.Sprintf(`{%q:%q}`, k, v))
	}
	return fmt.Sprintf(`"ranges":[{"type":%q,"events":[%s]}]`, typ, strings.Join(out, ","))
}

func graph(purls ...string) *sbom.Graph {
	g := &sbom.Graph{}
	root := g.Add(sbom.Component{Type: sbom.Application, Name: "app", Version: "1"})
	for _, p := range purls {
		g.Relate(root, sbom.DependsOn, g.Add(sbom.Component{Name: "x", PURL: p, Scope: sbom.Required}))
	}
	return g
}

func match(t testing.TB, db *osv.Database, g *sbom.Graph) *osv.Result {
	t.Helper()
	r, err := db.Match(context.Background(), g, osv.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// outcome is "hit", "no" or the reason why it was not judged, for one component.
func outcome(t testing.TB, r *osv.Result) string {
	t.Helper()
	var out []string
	for _, v := range r.Vulnerabilities {
		out = append(out, v.ID)
	}
	for _, u := range r.Unjudged {
		if u.Component != r.Graph().Root().ID || u.Record != "" {
			out = append(out, u.Reason)
		}
	}
	return strings.Join(out, ",")
}

func TestRanges(t *testing.T) {
	const v = "V-1"
	tests := []struct {
		name, purl, eco, pkg, entry, want string
	}{
		{"before introduced", "pkg:npm/a@1.0.0", "npm", "a", ranges("SEMVER", "introduced=1.1.0", "fixed=1.2.0"), ""},
		{"at introduced", "pkg:npm/a@1.1.0", "npm", "a", ranges("SEMVER", "introduced=1.1.0", "fixed=1.2.0"), v},
		{"between", "pkg:npm/a@1.1.9", "npm", "a", ranges("SEMVER", "introduced=1.1.0", "fixed=1.2.0"), v},
		{"pre-release of the fix", "pkg:npm/a@1.2.0-rc.1", "npm", "a", ranges("SEMVER", "introduced=1.1.0", "fixed=1.2.0"), v},
		{"at fixed", "pkg:npm/a@1.2.0", "npm", "a", ranges("SEMVER", "introduced=1.1.0", "fixed=1.2.0"), ""},
		{"events in any order", "pkg:npm/a@2.1.0", "npm", "a", ranges("SEMVER", "fixed=2.2.0", "introduced=2.0.0", "fixed=1.2.0", "introduced=0"), v},
		{"between two spans", "pkg:npm/a@1.5.0", "npm", "a", ranges("SEMVER", "fixed=2.2.0", "introduced=2.0.0", "fixed=1.2.0", "introduced=0"), ""},
		{"at last affected", "pkg:npm/a@1.2.0", "npm", "a", ranges("SEMVER", "introduced=0", "last_affected=1.2.0"), v},
		{"after last affected", "pkg:npm/a@1.2.1", "npm", "a", ranges("SEMVER", "introduced=0", "last_affected=1.2.0"), ""},
		{"never fixed", "pkg:npm/a@99.0.0", "npm", "a", ranges("SEMVER", "introduced=0"), v},
		{"never fixed, no version", "pkg:npm/a", "npm", "a", ranges("SEMVER", "introduced=0"), v},
		{"never fixed, absurd version", "pkg:npm/a@" + strings.Repeat("9", 4000), "npm", "a", ranges("SEMVER", "introduced=0"), v},
		{"below limit", "pkg:npm/a@1.4.0", "npm", "a", ranges("SEMVER", "introduced=1.0.0", "limit=1.5.0"), v},
		{"at limit", "pkg:npm/a@1.5.0", "npm", "a", ranges("SEMVER", "introduced=1.0.0", "limit=1.5.0"), ""},
		{"no limit", "pkg:npm/a@1.5.0", "npm", "a", ranges("SEMVER", "introduced=1.0.0", "limit=*"), v},
		{"no version", "pkg:npm/a", "npm", "a", ranges("SEMVER", "introduced=0", "fixed=1.0.0"), osv.ReasonNoVersion},
		{"no order", "pkg:npm/a@latest", "npm", "a", ranges("SEMVER", "introduced=0", "fixed=1.0.0"), osv.ReasonNoOrder},
		{"too long", "pkg:npm/a@" + strings.Repeat("9", 4000), "npm", "a", ranges("SEMVER", "introduced=0", "fixed=1.0.0"), osv.ReasonNoOrder},
		{"an event without order", "pkg:npm/a@1.0.0", "npm", "a", ranges("SEMVER", "introduced=0", "fixed=soon"), osv.ReasonNoOrder},
		{"nothing introduced", "pkg:npm/a@1.0.0", "npm", "a", ranges("SEMVER", "fixed=1.0.0"), osv.ReasonRecord},
		{"neither versions nor ranges", "pkg:npm/a@1.0.0", "npm", "a", `"database_specific":{}`, osv.ReasonRecord},
		{"unknown type of range", "pkg:npm/a@1.0.0", "npm", "a", ranges("MAGIC", "introduced=0"), osv.ReasonRecord},
		{"listed", "pkg:npm/a@1.0.0", "npm", "a", `"versions":["0.9.0","1.0.0"]`, v},
		{"not listed", "pkg:npm/a@1.0.1", "npm", "a", `"versions":["0.9.0","1.0.0"]`, ""},
		{"listed without version", "pkg:npm/a", "npm", "a", `"versions":["0.9.0","1.0.0"]`, osv.ReasonNoVersion},
		{"listed and not in the range", "pkg:npm/a@1.0.0", "npm", "a", `"versions":["1.0.0"],` + ranges("SEMVER", "introduced=2.0.0"), v},
		{"listed, in an ecosystem without order", "pkg:composer/o/a@dev-main", "Packagist", "o/a", `"versions":["dev-main"]`, v},
		{"ecosystem without order", "pkg:composer/o/a@1.0.0", "Packagist", "o/a", ranges("ECOSYSTEM", "introduced=0", "fixed=1.0.1"), osv.ReasonNoOrder},
		{"other name", "pkg:npm/b@1.0.0", "npm", "a", ranges("SEMVER", "introduced=0"), ""},
		{"scoped", "pkg:npm/%40s/a@1.0.0", "npm", "@s/a", ranges("SEMVER", "introduced=0"), v},
		{"upper case in npm", "pkg:npm/JSONStream@1.0.0", "npm", "JSONStream", ranges("SEMVER", "introduced=0"), v},

		{"Go", "pkg:golang/github.com/BurntSushi/toml@v1.2.0", "Go", "github.com/BurntSushi/toml", ranges("SEMVER", "introduced=0", "fixed=1.2.1"), v},
		{"Go pseudo-version", "pkg:golang/golang.org/x/net@v0.0.0-20200101000000-abcdefabcdef", "Go", "golang.org/x/net", ranges("SEMVER", "introduced=0", "fixed=0.0.0-20210101000000-abcdefabcdef"), v},
		{"Go major version is another module", "pkg:golang/github.com/o/m/v2@v2.0.0", "Go", "github.com/o/m", ranges("SEMVER", "introduced=0"), ""},
		{"Go (devel)", "pkg:golang/github.com/o/m@%28devel%29", "Go", "github.com/o/m", ranges("SEMVER", "introduced=0", "fixed=1.0.0"), osv.ReasonNoOrder},
		{"Go standard library", "pkg:golang/stdlib@1.21rc2", "Go", "stdlib", ranges("SEMVER", "introduced=1.21.0-0", "fixed=1.21.3"), v},
		{"PyPI names", "pkg:pypi/Zope.Interface@5.0", "PyPI", "zope_interface", ranges("ECOSYSTEM", "introduced=0", "fixed=5.1"), v},
		{"PyPI post-release", "pkg:pypi/a@1.0.post1", "PyPI", "a", ranges("ECOSYSTEM", "introduced=0", "fixed=1.0.post2"), v},
		{"PyPI local version", "pkg:pypi/a@1.0%2Blocal", "PyPI", "a", ranges("ECOSYSTEM", "introduced=0", "fixed=1.0"), ""},
		{"PyPI same version", "pkg:pypi/a@1.0", "PyPI", "a", `"versions":["1.0.0"]`, v},
		{"crates.io", "pkg:cargo/a@0.9.0", "crates.io", "a", ranges("SEMVER", "introduced=0.0.0-0", "fixed=0.10.0"), v},
		{"Maven", "pkg:maven/org.apache/a@2.9.10.7", "Maven", "org.apache:a", ranges("ECOSYSTEM", "introduced=2.0.0", "fixed=2.9.10.8"), v},
		{"Maven release candidate", "pkg:maven/g/a@2.0-rc1", "Maven", "g:a", ranges("ECOSYSTEM", "introduced=2.0", "fixed=2.1"), ""},
		{"gem", "pkg:gem/a@1.0.rc1", "RubyGems", "a", ranges("ECOSYSTEM", "introduced=0", "fixed=1.0"), v},
		{"nuget", "pkg:nuget/Newtonsoft.Json@12.0.1", "NuGet", "Newtonsoft.Json", ranges("ECOSYSTEM", "introduced=0", "fixed=13.0.1"), v},

		{"Debian", "pkg:deb/debian/zlib1g@1.2.11-1?distro=debian-12&upstream=zlib", "Debian:12", "zlib", ranges("ECOSYSTEM", "introduced=0", "fixed=1:1.2.13-1"), v},
		{"Debian code name", "pkg:deb/debian/zlib1g@1:1.2.13-1?distro=bookworm&upstream=zlib", "Debian:12", "zlib", ranges("ECOSYSTEM", "introduced=0", "fixed=1:1.2.13-1"), ""},
		{"Debian, other release", "pkg:deb/debian/zlib@1.2.11-1?distro=debian-11", "Debian:12", "zlib", ranges("ECOSYSTEM", "introduced=0"), osv.ReasonNotCovered},
		{"Debian, release not known", "pkg:deb/debian/zlib@1.2.11-1", "Debian:12", "zlib", ranges("ECOSYSTEM", "introduced=0"), v},
		{"Debian, version of the source", "pkg:deb/debian/libc6@9?distro=debian-12&upstream=glibc%402.36-9", "Debian:12", "glibc", ranges("ECOSYSTEM", "introduced=0", "fixed=2.36-10"), v},
		{"Ubuntu is not Debian", "pkg:deb/ubuntu/zlib@1.2.11-1?distro=ubuntu-22.04", "Debian:12", "zlib", ranges("ECOSYSTEM", "introduced=0"), osv.ReasonNotCovered},
		{"Ubuntu", "pkg:deb/ubuntu/zlib@1.2.11-1?distro=ubuntu-22.04", "Ubuntu:22.04:LTS", "zlib", ranges("ECOSYSTEM", "introduced=0", "fixed=1.2.11-1ubuntu1"), v},
		{"Ubuntu Pro", "pkg:deb/ubuntu/zlib@1.2.11-1?distro=ubuntu-18.04", "Ubuntu:Pro:18.04:LTS", "zlib", ranges("ECOSYSTEM", "introduced=0", "fixed=1.2.11-1esm1"), v},
		{"Alpine", "pkg:apk/alpine/libssl3@3.1.4-r0?distro=alpine-3.19.1&upstream=openssl", "Alpine:v3.19", "openssl", ranges("ECOSYSTEM", "introduced=0", "fixed=3.1.4-r2"), v},
		{"Alpine, other release", "pkg:apk/alpine/openssl@3.1.4-r0?distro=alpine-3.18.0", "Alpine:v3.19", "openssl", ranges("ECOSYSTEM", "introduced=0", "fixed=3.1.4-r2"), osv.ReasonNotCovered},
		{"RPM", "pkg:rpm/rocky/bash@5.1.8-6.el9?distro=rocky-9.3", "Rocky Linux:9", "bash", ranges("ECOSYSTEM", "introduced=0", "fixed=0:5.1.8-9.el9"), v},
		{"RPM with epoch", "pkg:rpm/rocky/bind-libs@9.16.23-1.el9?distro=rocky-9.3&epoch=32&upstream=bind-9.16.23-1.el9.src.rpm", "Rocky Linux:9", "bind", ranges("ECOSYSTEM", "introduced=0", "fixed=32:9.16.23-14.el9"), v},
		{"generic", "pkg:generic/openssl@1.0", "npm", "a", ranges("SEMVER", "introduced=0"), osv.ReasonNoEcosystem},
		{"not covered", "pkg:cargo/a@1.0.0", "npm", "a", ranges("SEMVER", "introduced=0"), osv.ReasonNotCovered},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			db := open(t, map[string]string{v: rec(v, tt.eco, tt.pkg, tt.entry)})
			r := match(t, db, graph(tt.purl))
			if got := outcome(t, r); got != tt.want {
				t.Errorf("want %q, found %q: %+v", tt.want, got, r.Unjudged)
			}
			// What was not judged closes the gate as surely as what was found.
			if err := r.Report(osv.ReportOptions{}).Err(); (err == nil) != (tt.want == "") {
				t.Errorf("gate: %v", err)
			}
		})
	}
}

func TestCommits(t *testing.T) {
	a, b, c, d := strings.Repeat("a", 40), strings.Repeat("b", 40), strings.Repeat("c", 40), strings.Repeat("d", 40)
	line := []string{a, b, c, d} // a history without branches
	history := func(_ context.Context, repo, commit, ancestor string) (bool, error) {
		i, j := slices.Index(line, commit), slices.Index(line, ancestor)
		if i < 0 || j < 0 || repo != "github.com/o/lib" {
			return false, fmt.Errorf("%s: unknown commit", repo)
		}
		return j <= i, nil
	}
	record := func(events string) string {
		return `{"id":"V-1","modified":"2026-02-01T00:00:00Z","affected":[{"ranges":[{"type":"GIT","repo":"https://github.com/O/lib.git","events":[` + events + `]}],"versions":["v1"]}]}`
	}
	tests := []struct {
		name, events, commit, with, without string
	}{
		{"introduced itself", `{"introduced":"` + b + `"},{"fixed":"` + d + `"}`, b, "V-1", "V-1"},
		{"after introduced", `{"introduced":"` + b + `"},{"fixed":"` + d + `"}`, c, "V-1", osv.ReasonCommits},
		{"fixed itself", `{"introduced":"` + b + `"},{"fixed":"` + d + `"}`, d, "", ""},
		{"before introduced", `{"introduced":"` + b + `"},{"fixed":"` + d + `"}`, a, "", osv.ReasonCommits},
		{"from the beginning", `{"introduced":"0"},{"fixed":"` + d + `"}`, a, "V-1", osv.ReasonCommits},
		{"last affected itself", `{"introduced":"0"},{"last_affected":"` + c + `"}`, c, "V-1", "V-1"},
		{"after last affected", `{"introduced":"0"},{"last_affected":"` + c + `"}`, d, "", osv.ReasonCommits},
		{"below limit", `{"introduced":"` + a + `"},{"limit":"` + c + `"}`, b, "V-1", osv.ReasonCommits},
		{"at limit", `{"introduced":"` + a + `"},{"limit":"` + c + `"}`, c, "", osv.ReasonCommits},
		{"unknown commit", `{"introduced":"` + a + `"},{"fixed":"` + c + `"}`, strings.Repeat("e", 40), osv.ReasonCommits, osv.ReasonCommits},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			db := open(t, map[string]string{"V-1": record(tt.events)})
			for url, name := range map[string]string{"pkg:github/o/lib@" + tt.commit: "github", "pkg:generic/lib@1?vcs_url=git%2Bhttps://github.com/o/lib.git%40" + tt.commit: "vcs_url"} {
				g := graph(url)
				r, err := db.Match(context.Background(), g, osv.Options{History: history})
				if err != nil {
					t.Fatal(err)
				}
				if got := outcome(t, r); got != tt.with {
					t.Errorf("%s, with history: want %q, found %q %v", name, tt.with, got, r.Unjudged)
				}
				if got := outcome(t, match(t, db, g)); got != tt.without {
					t.Errorf("%s, without: want %q, found %q", name, tt.without, got)
				}
			}
		})
	}
}

func TestAliasesAreOne(t *testing.T) {
	in := ranges("SEMVER", "introduced=0", "fixed=1.2.0")
	full := func(id, aliases, more string) string {
		return `{"id":"` + id + `","modified":"2026-02-01T00:00:00Z","aliases":[` + aliases + `],` + more + `"affected":[{"package":{"ecosystem":"npm","name":"a"},` + in + `}]}`
	}
	db := open(t, map[string]string{
		"GHSA-1": full("GHSA-1", `"CVE-2026-1"`, `"summary":"bad","database_specific":{"severity":"HIGH"},"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N"}],`),
		"SNYK-1": full("SNYK-1", `"GHSA-1","X-1"`, ""),
		"X-1":    full("X-1", ``, ""),
		"OTHER":  full("OTHER", ``, ""),
		"GONE":   full("GONE", ``, `"withdrawn":"2026-02-02T00:00:00Z",`),
		"BACK":   full("BACK", ``, `"withdrawn":null,`),
	})
	r := match(t, db, graph("pkg:npm/a@1.0.0"))
	if len(r.Vulnerabilities) != 3 {
		t.Fatalf("want 3, found %+v", r.Vulnerabilities)
	}
	v := r.Vulnerabilities[0]
	if v.ID != "CVE-2026-1" || fmt.Sprint(v.Aliases) != "[GHSA-1 SNYK-1 X-1]" || fmt.Sprint(v.Records) != "[GHSA-1 SNYK-1 X-1]" ||
		fmt.Sprint(v.Severity) != "[{CVSS_V3 CVSS:3.1/AV:N} {rating HIGH}]" || fmt.Sprint(v.Fixed) != "[1.2.0]" || v.Summary != "bad" {
		t.Errorf("%+v", v)
	}
	if r.Vulnerabilities[1].ID != "BACK" || r.Vulnerabilities[2].ID != "OTHER" {
		t.Errorf("%+v", r.Vulnerabilities)
	}
	if i := db.Info(); i.Records != 6 || i.Withdrawn != 1 {
		t.Errorf("%+v", i)
	}
}

// A record that cannot be read may be about anything.
func TestUnreadableRecordsAreFindings(t *testing.T) {
	good := rec("V-1", "npm", "b", ranges("SEMVER", "introduced=0"))
	for name, bad := range map[string]string{
		"empty": "", "not JSON": "{", "trailing": good + "x", "no id": `{"modified":"2026-02-01T00:00:00Z"}`, "no time": `{"id":"X"}`,
		"edge26 case":       strings.Replace(good, `"affected"`, `"Affected"`, 1),
		"edge27 duplicate":  strings.Replace(good, `"id":"V-1"`, `"id":"V-1","id":"V-2"`, 1),
		"edge28 UTF-8":      strings.Replace(good, "V-1", "V-\xff", 1),
		"edge30 null entry": `{"id":"X","modified":"2026-02-01T00:00:00Z","affected":[null]}`,
		"edge31 deep":       strings.Repeat("[", 100000),
		"unknown event":     rec("X", "npm", "a", `"ranges":[{"type":"SEMVER","events":[{"Introduced":"0"}]}]`),
		"no package":        `{"id":"X","modified":"2026-02-01T00:00:00Z","affected":[{"versions":["1"]}]}`,
		"purl only":         `{"id":"X","modified":"2026-02-01T00:00:00Z","affected":[{"package":{"purl":"pkg:npm/a"},"versions":["1"]}]}`,
		"wrong kind":        `{"id":7,"modified":"2026-02-01T00:00:00Z"}`,
		"bad withdrawn":     strings.Replace(good, `"id"`, `"withdrawn":"yes","id"`, 1),
	} {
		t.Run(name, func(t *testing.T) {
			db := open(t, map[string]string{"good": good, "bad": bad})
			r := match(t, db, graph("pkg:npm/a@1.0.0"))
			if len(r.Unjudged) < 1 || r.Unjudged[0].Reason != osv.ReasonRecord || r.Unjudged[0].Record != "all.zip/bad.json" {
				t.Errorf("%+v", r.Unjudged)
			}
			rep := r.Report(osv.ReportOptions{})
			if rep.Err() == nil {
				t.Error("the gate is open")
			}
			if err := r.Report(osv.ReportOptions{UnsafeUnjudged: true}).Err(); err != nil {
				t.Error(err)
			}
			if _, err := r.Vulns(osv.Scan{URI: "x", Started: day(1), Finished: day(1)}); err == nil {
				t.Error("a statement was made of what was not judged")
			}
		})
	}
}

func day(n int) time.Time { return time.Date(2026, 2, n, 0, 0, 0, 0, time.UTC) }

func TestVulnsStatement(t *testing.T) {
	db := open(t, map[string]string{"V-1": rec("V-1", "npm", "a", ranges("SEMVER", "introduced=0", "fixed=1.2.0"))})
	for version, want := range map[string]int{"1.0.0": 1, "1.2.0": 0} {
		p, err := match(t, db, graph("pkg:npm/a@"+version)).Vulns(osv.Scan{URI: "https://hallmark.build/osv", Version: "1", Started: day(2), Finished: day(3)})
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Scanner.Result) != want || !p.Scanner.DB.LastUpdate.Equal(day(1)) || p.Scanner.DB.Version != db.Info().Digest {
			t.Errorf("%+v", p)
		}
		sum, err := provenance.NewDigest("sha256", strings.Repeat("a", 64))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Statement([]provenance.ResourceDescriptor{{Name: "app", Digest: provenance.DigestSet{sum}}}); err != nil {
			t.Error(err)
		}
	}
	if _, err := match(t, db, graph()).Vulns(osv.Scan{URI: "x", Started: day(2), Finished: day(3)}); err == nil {
		t.Error("edge55: a statement was made although nothing was judged")
	}
}

func TestDatabaseAge(t *testing.T) {
	db := open(t, map[string]string{"V-1": rec("V-1", "npm", "b", ranges("SEMVER", "introduced=0"))})
	r := match(t, db, graph("pkg:npm/a@1.0.0"))
	for days, open := range map[int]bool{1: true, 8: true, 9: false} {
		rep := r.Report(osv.ReportOptions{At: day(days), MaxAge: 7 * 24 * time.Hour})
		if (rep.Err() == nil) != open {
			t.Errorf("day %d: %v", days, rep.Err())
		}
	}
}

// What is no package, and what is not shipped.
func TestWhatNeedNotBeJudged(t *testing.T) {
	db := open(t, map[string]string{"V-1": rec("V-1", "npm", "b", ranges("SEMVER", "introduced=0"))})
	g := graph("pkg:npm/a@1.0.0")
	g.Add(sbom.Component{Type: sbom.File, Name: "README"})
	g.Add(sbom.Component{Type: sbom.OperatingSystem, Name: "debian", Version: "12"})
	g.Add(sbom.Component{Type: sbom.Application, Name: "cc", PURL: "pkg:generic/cc@1", Scope: sbom.Excluded})
	g.Add(sbom.Component{Name: "tool", PURL: "pkg:npm/b@1.0.0", Scope: sbom.Excluded})
	rep := match(t, db, g).Report(osv.ReportOptions{})
	if err := rep.Err(); err != nil {
		t.Error(err)
	}
	if rep.Count(gate.Note) != 4 || rep.Count(gate.Warning) != 1 {
		t.Errorf("%+v", rep.Findings)
	}
	// A library without a package URL is not excused: that would be a way out.
	g.Add(sbom.Component{Name: "evil"})
	if match(t, db, g).Report(osv.ReportOptions{}).Err() == nil {
		t.Error("a library that cannot be looked up passed")
	}
}

// A bill that says two versions of one component hides nothing by it.
func TestTwoVersions(t *testing.T) {
	db := open(t, map[string]string{"V-1": rec("V-1", "npm", "a", ranges("SEMVER", "introduced=0", "fixed=1.2.0"))})
	for _, tt := range []struct{ url, version, want string }{
		{"1.2.0", "1.0.0", "V-1"}, {"1.0.0", "1.2.0", "V-1"}, {"1.2.0", "v1.2.0", ""}, {"1.2.0", "1.2.1", ""}, {"1.2.0", "latest", osv.ReasonNoOrder},
	} {
		g := &sbom.Graph{}
		root := g.Add(sbom.Component{Type: sbom.Application, Name: "app"})
		if err := g.Relate(root, sbom.DependsOn, g.Add(sbom.Component{Name: "a", Version: tt.version, PURL: "pkg:npm/a@" + tt.url})); err != nil {
			t.Fatal(err)
		}
		if got := outcome(t, match(t, db, g)); got != tt.want {
			t.Errorf("%s and %s: want %q, found %q", tt.url, tt.version, tt.want, got)
		}
	}
}

func TestFolder(t *testing.T) {
	dir := t.TempDir()
	writeZip(t, filepath.Join(dir, "npm.zip"), map[string]string{"V-1": rec("V-1", "npm", "a", ranges("SEMVER", "introduced=0"))})
	sub := filepath.Join(dir, "more")
	if err := os.Mkdir(sub, 0o755); err != nil {
		t.Fatal(err)
	}
	single := filepath.Join(sub, "V-2.json")
	if err := os.WriteFile(single, []byte(rec("V-2", "PyPI", "b", ranges("ECOSYSTEM", "introduced=0"))), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "README.md"), []byte("no record"), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	var calls int
	db, err := osv.Open(ctx, dir, osv.OpenOptions{Progress: func(done, total int) { calls += done }})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	g := graph("pkg:npm/a@1.0.0", "pkg:pypi/b@1.0")
	if r := match(t, db, g); len(r.Vulnerabilities) != 2 || r.Judged != 2 {
		t.Errorf("%+v", r)
	}
	if calls != 2 {
		t.Errorf("progress %d", calls)
	}
	// The digest is that of the records, not of how they are packed.
	same := open(t, map[string]string{"x": rec("V-1", "npm", "a", ranges("SEMVER", "introduced=0")), "y": rec("V-2", "PyPI", "b", ranges("ECOSYSTEM", "introduced=0"))})
	if db.Info().Digest != same.Info().Digest || db.Info() != same.Info() {
		t.Errorf("%+v %+v", db.Info(), same.Info())
	}
	only, err := osv.Open(ctx, dir, osv.OpenOptions{Ecosystems: []string{"npm"}})
	if err != nil {
		t.Fatal(err)
	}
	defer only.Close()
	if got := outcome(t, match(t, only, g)); got != "V-1,"+osv.ReasonNotCovered {
		t.Error(got)
	}
	// edge42: a record that changes under an open database.
	if err := os.WriteFile(single, []byte(rec("V-2", "PyPI", "c", ranges("ECOSYSTEM", "introduced=0"))), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := outcome(t, match(t, db, g)); got != "V-1,"+osv.ReasonRecord {
		t.Error(got)
	}
}

func TestNotADatabase(t *testing.T) {
	dir := t.TempDir()
	ctx := context.Background()
	text := filepath.Join(dir, "x.zip")
	if err := os.WriteFile(text, []byte("no zip"), 0o644); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(dir, "empty")
	if err := os.Mkdir(empty, 0o755); err != nil {
		t.Fatal(err)
	}
	none := filepath.Join(dir, "none.zip")
	writeZip(t, none, map[string]string{})
	bad := filepath.Join(dir, "bad.zip")
	writeZip(t, bad, map[string]string{"a": "{"})
	for _, p := range []string{text, empty, none, bad, filepath.Join(dir, "absent")} {
		_, err := osv.Open(ctx, p, osv.OpenOptions{})
		if e, ok := errors.AsType[*osv.Error](err); !ok || e.Reason != osv.ReasonFormat {
			t.Errorf("%s: %v", p, err)
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	good := filepath.Join(dir, "good.zip")
	writeZip(t, good, map[string]string{"V-1": rec("V-1", "npm", "a", ranges("SEMVER", "introduced=0"))})
	if _, err := osv.Open(ctx, good, osv.OpenOptions{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
