package osv_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/osv"
)

// What a bill says about one component must not hide it from the records.
func TestAttackHiddenFromRecords(t *testing.T) {
	const v = "V-1"
	listed := func(versions string) string { return `"versions":[` + versions + `]` }
	tests := []struct{ name, purl, eco, pkg, entry, want string }{
		{"a version that is none, and a list", "pkg:npm/a@=1.2.3", "npm", "a", listed(`"1.2.3"`), osv.ReasonNoOrder},
		{"a version with a space, and a list", "pkg:pypi/a@1.2%203", "PyPI", "a", listed(`"1.2.3"`), osv.ReasonNoOrder},
		{"a record that lists what is no version", "pkg:pypi/a@1.2.3", "PyPI", "a", listed(`"2004d"`), ""},

		// PEP 440, "Version matching": a local label does not count against a public version.
		{"a local label, after the last affected", "pkg:pypi/torch@1.13.1%2Bcu117", "PyPI", "torch", ranges("ECOSYSTEM", "introduced=0", "last_affected=1.13.1"), v},
		{"a local label, and a list", "pkg:pypi/torch@1.13.1%2Bx", "PyPI", "torch", listed(`"1.13.1"`), v},
		{"a local label of the fix", "pkg:pypi/torch@1.13.2%2Bx", "PyPI", "torch", ranges("ECOSYSTEM", "introduced=0", "fixed=1.13.2"), ""},
		{"a gem for one platform", "pkg:gem/a@1.13.0-java", "RubyGems", "a", ranges("ECOSYSTEM", "introduced=1.13.0", "fixed=1.13.5"), v},

		{"a source version that is not the package's own", "pkg:deb/debian/openssl@1.0-1?upstream=openssl%4099&distro=debian-12", "Debian:12", "openssl", ranges("ECOSYSTEM", "introduced=0", "fixed=1.1-1"), v},
		{"a rebuild of the source", "pkg:deb/debian/openssl@1.1-1%2Bb1?upstream=openssl%401.1-1&distro=debian-12", "Debian:12", "openssl", ranges("ECOSYSTEM", "introduced=0", "fixed=1.1-1"), ""},
		{"a release that no record is of", "pkg:deb/debian/openssl@1.0-1?distro=debian-99", "Debian:12", "openssl", ranges("ECOSYSTEM", "introduced=0", "fixed=1.1-1"), osv.ReasonNotCovered},
		{"an Alpine that no record is of", "pkg:apk/alpine/a@1.0-r0?distro=alpine-3.99.1", "Alpine:v3.18", "a", ranges("ECOSYSTEM", "introduced=0", "fixed=1.1-r0"), osv.ReasonNotCovered},
		{"records of all releases", "pkg:deb/debian/openssl@1.0-1?distro=debian-99", "Debian", "openssl", ranges("ECOSYSTEM", "introduced=0", "fixed=1.1-1"), v},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			db := open(t, map[string]string{v: rec(v, tt.eco, tt.pkg, tt.entry)})
			if got := outcome(t, match(t, db, graph(tt.purl))); got != tt.want {
				t.Errorf("%s: got %q, want %q", tt.purl, got, tt.want)
			}
		})
	}
}

// The version beside a distribution's package URL counts too.
func TestAttackTwoVersionsOfADistribution(t *testing.T) {
	for _, tt := range []struct{ purl, eco, version, fixed, want string }{
		{"pkg:deb/debian/openssl@99-1?distro=debian-12", "Debian:12", "1.0-1", "1.1-1", "V-1"},
		{"pkg:rpm/rocky/openssl@99-1.el9?distro=rocky-9.1&epoch=1", "Rocky Linux:9", "1:1.0-1.el9", "1:1.1-1.el9", "V-1"},
		{"pkg:rpm/rocky/openssl@1.1-1.el9?distro=rocky-9.1&epoch=1", "Rocky Linux:9", "1.1-1.el9", "1:1.1-1.el9", ""},
		{"pkg:rpm/rocky/openssl@1.1-1.el9?distro=rocky-9.1&epoch=1", "Rocky Linux:9", "1.1", "1:1.1-1.el9", ""},
		{"pkg:deb/debian/openssl@1%3A1.1-1?distro=debian-12", "Debian:12", "1.1-1", "1:1.1-1", ""},
	} {
		db := open(t, map[string]string{"V-1": rec("V-1", tt.eco, "openssl", ranges("ECOSYSTEM", "introduced=0", "fixed="+tt.fixed))})
		g := graph(tt.purl)
		g.Components()[1].Version = tt.version
		if got := outcome(t, match(t, db, g)); got != tt.want {
			t.Errorf("%s with version %s: got %q, want %q", tt.purl, tt.version, got, tt.want)
		}
	}
}

// A repository by tag is not judged by records of the GitHub Actions of the same host.
func TestAttackRepositoryByTag(t *testing.T) {
	git := `{"id":"G-1","modified":"2026-02-01T00:00:00Z","affected":[{"ranges":[{"type":"GIT","repo":"https://github.com/o/lib.git","events":[{"introduced":"0"},{"fixed":"%040d"}]}],"versions":["v1.0"]}]}`
	db := open(t, map[string]string{
		"A-1": rec("A-1", "GitHub Actions", "o/action", ranges("ECOSYSTEM", "introduced=0", "fixed=2.0.0")),
		"G-1": fmt.Sprintf(git, 7),
	})
	for purl, want := range map[string]string{
		"pkg:github/o/lib@v1.0":    "G-1",
		"pkg:github/o/lib@v1.1":    osv.ReasonCommits,
		"pkg:github/o/action@v3":   "",
		"pkg:github/o/action@v1.0": "A-1",
	} {
		if got := outcome(t, match(t, db, graph(purl))); got != want {
			t.Errorf("%s: got %q, want %q", purl, got, want)
		}
	}
}

// A database cannot be newer than the time to judge by, and there must be one.
func TestAttackAgeOfDatabase(t *testing.T) {
	now := time.Date(2026, 2, 2, 0, 0, 0, 0, time.UTC)
	fresh := rec("V-1", "npm", "b", ranges("SEMVER", "introduced=0", "fixed=2.0.0"))
	future := `{"id":"V-2","modified":"2099-01-01T00:00:00Z","affected":[{"package":{"ecosystem":"npm","name":"b"},"versions":["1.0.0"]}]}`
	for name, tt := range map[string]struct {
		records map[string]string
		at      time.Time
		open    bool
	}{
		"fresh":           {map[string]string{"V-1": fresh}, now, true},
		"no time":         {map[string]string{"V-1": fresh}, time.Time{}, false},
		"from the future": {map[string]string{"V-1": fresh, "V-2": future}, now, false},
	} {
		r := match(t, open(t, tt.records), graph("pkg:npm/a@1.0.0"))
		err := r.Report(osv.ReportOptions{At: tt.at, MaxAge: 48 * time.Hour}).Err()
		if (err == nil) != tt.open {
			t.Errorf("%s: %v, want open %t", name, err, tt.open)
		}
	}
}

// A record that is to be withdrawn one day still counts.
func TestAttackWithdrawnLater(t *testing.T) {
	for at, want := range map[string]string{"2099-01-01T00:00:00Z": "V-1", "2026-02-01T00:00:00Z": "", "2026-01-01T00:00:00Z": ""} {
		r := fmt.Sprintf(`{"id":"V-1","modified":"2026-02-01T00:00:00Z","withdrawn":%q,"affected":[{"package":{"ecosystem":"npm","name":"a"},"versions":["1.0.0"]}]}`, at)
		if got := outcome(t, match(t, open(t, map[string]string{"V-1": r}), graph("pkg:npm/a@1.0.0"))); got != want {
			t.Errorf("withdrawn %s: got %q, want %q", at, got, want)
		}
	}
}

// What a bill calls excluded, or a file, cannot excuse what it is about, nor
// what has a package URL that nobody can read.
func TestAttackExcused(t *testing.T) {
	db := open(t, map[string]string{"V-1": rec("V-1", "npm", "a", ranges("SEMVER", "introduced=0"))})
	g := &sbom.Graph{}
	g.Add(sbom.Component{Type: sbom.Application, Name: "a", PURL: "pkg:npm/a@1.0.0", Scope: sbom.Excluded})
	if err := match(t, db, g).Report(osv.ReportOptions{}).Err(); err == nil {
		t.Error("an affected root that is called excluded passes")
	}
	g = graph("pkg:npm/b@1.0.0")
	g.Add(sbom.Component{Type: sbom.File, Name: "a", PURL: "pkg:npm/a@1.0.0%ZZ", Digests: provenance.DigestSet{}})
	if err := match(t, db, g).Report(osv.ReportOptions{}).Err(); err == nil {
		t.Error("a package URL that cannot be read passes as that of a file")
	}
}

// A record of another release is not one of this, once the database knows this.
func TestAttackOtherReleaseStaysApart(t *testing.T) {
	db := open(t, map[string]string{
		"V-1": rec("V-1", "Debian:12", "zlib", ranges("ECOSYSTEM", "introduced=0")),
		"V-2": rec("V-2", "Debian:11", "bash", ranges("ECOSYSTEM", "introduced=0")),
	})
	for distro, want := range map[string]string{"debian-11": "", "debian-12": "V-1", "bookworm": "V-1", "sid": "V-1"} {
		if got := outcome(t, match(t, db, graph("pkg:deb/debian/zlib@1.2-1?distro="+distro))); got != want {
			t.Errorf("%s: got %q, want %q", distro, got, want)
		}
	}
}

// What a bill names and a graph has no place for is not judged.
func TestAttackSeveralNames(t *testing.T) {
	db := open(t, map[string]string{"V-1": rec("V-1", "npm", "evil", ranges("SEMVER", "introduced=0"))})
	for _, gap := range []sbom.Gap{
		{Component: "pkg:npm/good@1.0.0", Field: sbom.FieldIdentity, Reason: sbom.ReasonPackageURLs, Detail: "pkg:npm/evil@1.0.0"},
		{Field: sbom.FieldComponents, Reason: sbom.ReasonNotRead, Detail: "ai_AIPackage evil"},
	} {
		g := graph("pkg:npm/good@1.0.0")
		g.AddUnknown(gap)
		if err := match(t, db, g).Report(osv.ReportOptions{}).Err(); err == nil {
			t.Errorf("%+v: passes", gap)
		}
	}
}

// Wherever a document puts a component, and however it spells its package URL,
// it is looked up.
func TestAttackHiddenInADocument(t *testing.T) {
	db := open(t, map[string]string{
		"V-1": rec("V-1", "npm", "@s/evil", ranges("SEMVER", "introduced=0", "fixed=2.0.0-rc.1")),
		"V-2": rec("V-2", "PyPI", "My_Evil", ranges("ECOSYSTEM", "introduced=0", "fixed=1!1")),
	})
	wrap := func(purl, version string) []string {
		c := fmt.Sprintf(`{"type":"library","bom-ref":"e","name":"x","version":%q,"purl":%q}`, version, purl)
		head := `{"bomFormat":"CycloneDX","specVersion":"1.6","version":1,"metadata":{"component":{"type":"application","bom-ref":"r","name":"r"%s}},"components":[%s]}`
		return []string{
			fmt.Sprintf(head, "", c),
			fmt.Sprintf(head, `,"components":[`+c+`]`, ""),
			fmt.Sprintf(head, "", `{"type":"file","name":"a","components":[{"type":"data","name":"b","components":[`+c+`]}]}`),
			fmt.Sprintf(head, "", `{"type":"library","bom-ref":"pkg:npm/%40s/evil@1.0.0","name":"x","purl":"pkg:npm/ok@1.0.0"},`+c),
		}
	}
	for _, tt := range [][2]string{
		{"pkg:npm/%40s/evil@1.0.0", "1.0.0"}, {"pkg:npm/@s/evil@1.0.0", "1.0.0"}, {"PKG:NPM/%40S/EVIL@1.0.0", "1.0.0"}, {"pkg://npm//%40s/evil@1.0.0", "1.0.0"},
		{"pkg:npm/%40s%2Fevil@1.0.0", "1.0.0"}, {"pkg:npm/%40s/%65vil@%31.0.0?x=y#z", "1.0.0"}, {"pkg:npm/%40s/evil@2.0.0-beta", ""}, {"pkg:npm/%40s/evil@9.0.0", "1.0.0"},
		{"pkg:npm/%40s/evil@1.99999999999999999999999.0", ""}, {"pkg:npm/%40s/evil@9", "9@1"},
		{"pkg:pypi/my.evil@1", "1"}, {"pkg:pypi/MY--evil@2026", "2026"}, {"pkg:pypi/my-evil@0!99", ""}, {"pkg:pypi/my-evil@1!1.dev1", ""},
	} {
		for i, doc := range wrap(tt[0], tt[1]) {
			g, err := sbom.Read([]byte(doc), sbom.CycloneDX)
			if err != nil {
				continue // refused
			}
			if err := match(t, db, g).Report(osv.ReportOptions{}).Err(); err == nil {
				t.Errorf("%s with version %s, document %d: passes", tt[0], tt[1], i)
			}
		}
	}
}
