package ingest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hallmark-build/hallmark/provenance/predicate"
)

// VulnScan is what the caller of a scanner knows about the scan. It fills what
// the report does not say; what the report does say stands.
type VulnScan struct {
	Started  time.Time // no report says when a scan began; zero means when it finished
	Finished time.Time // Grype and Trivy say it, OSV-Scanner does not
	Database time.Time // when the vulnerability database was last updated; only Grype says it
	Version  string    // of the scanner; OSV-Scanner and older versions of Trivy do not say it
}

// OSVScanner reads the JSON report of OSV-Scanner (--format json).
//
// Each vulnerability is one result by its id; its annotations are the packages that it was found in: package, version,
// ecosystem, source (the lock file), aliases and fixedVersions. Its severities are OSV's vectors ("CVSS_V3",
// "CVSS_V4"), the score that OSV-Scanner makes of them ("cvss_score", "7.5"),
// and the database's own word ("osv", "high"). Where there is none, it is
// ("osv", "unknown"): be as strict with it as with the worst.
//
// Neither the times nor the version nor the state of the database is in the
// report, so scan must have Finished and Database.
//
// A condition for it, and for [Grype] and [Trivy]:
//
//	predicate.scanner.result.all(r, r.severity.all(s,
//	  !(s.method in ["osv", "grype", "trivy"]) || s.score in ["low", "negligible"]))
func OSVScanner(r io.Reader, scan VulnScan) (*predicate.Vulns, error) {
	v, err := osvScanner(r, scan)
	return v, wrap("OSV-Scanner", err)
}

func osvScanner(r io.Reader, scan VulnScan) (*predicate.Vulns, error) {
	var doc struct {
		Results *[]struct {
			Source struct {
				Path string `json:"path"`
			} `json:"source"`
			Packages []struct {
				Package struct {
					Name      string `json:"name"`
					Version   string `json:"version"`
					Ecosystem string `json:"ecosystem"`
					Commit    string `json:"commit"`
				} `json:"package"`
				Vulnerabilities []osvRecord `json:"vulnerabilities"`
				Groups          []struct {
					IDs         []string `json:"ids"`
					Aliases     []string `json:"aliases"`
					MaxSeverity string   `json:"max_severity"`
				} `json:"groups"`
			} `json:"packages"`
		} `json:"results"`
	}
	if _, err := readJSON(r, &doc); err != nil {
		return nil, err
	}
	if doc.Results == nil {
		return nil, fail(ReasonIncomplete, "want results, an empty list if nothing was found")
	}
	var found vulns
	for _, res := range *doc.Results {
		for _, p := range res.Packages {
			scores := map[string]string{} // max_severity by id
			for _, g := range p.Groups {
				for _, id := range g.IDs {
					scores[id] = g.MaxSeverity
				}
			}
			for _, o := range p.Vulnerabilities {
				at := vulnPackage{
					name: p.Package.Name, version: cmp.Or(p.Package.Version, p.Package.Commit), ecosystem: p.Package.Ecosystem,
					source: res.Source.Path, aliases: o.Aliases, fixed: o.fixed(p.Package.Name, p.Package.Ecosystem),
				}
				if err := found.add(o.ID, at, "osv", o.severities(scores[o.ID])...); err != nil {
					return nil, err
				}
			}
		}
	}
	return found.predicate("pkg:github/google/osv-scanner", "", time.Time{}, time.Time{}, scan)
}

// osvRecord is a vulnerability in the OSV format (ossf.github.io/osv-schema).
type osvRecord struct {
	ID       string   `json:"id"`
	Aliases  []string `json:"aliases"`
	Severity []struct {
		Type  string `json:"type"`
		Score string `json:"score"`
	} `json:"severity"`
	Affected []struct {
		Package struct {
			Name      string `json:"name"`
			Ecosystem string `json:"ecosystem"`
		} `json:"package"`
		Ranges []struct {
			Events []struct {
				Fixed string `json:"fixed"`
			} `json:"events"`
		} `json:"ranges"`
	} `json:"affected"`
	// An object of the database's own, so of any shape.
	DatabaseSpecific map[string]any `json:"database_specific"`
}

func (o *osvRecord) severities(score string) []predicate.VulnSeverity {
	var list []predicate.VulnSeverity
	for _, s := range o.Severity {
		list = append(list, predicate.VulnSeverity{Method: s.Type, Score: s.Score})
	}
	list = append(list, predicate.VulnSeverity{Method: "cvss_score", Score: score})
	word, _ := o.DatabaseSpecific["severity"].(string)
	return append(list, predicate.VulnSeverity{Method: "osv", Score: strings.ToLower(word)})
}

func (o *osvRecord) fixed(name, ecosystem string) (versions []string) {
	for _, a := range o.Affected {
		if a.Package.Name != name || a.Package.Ecosystem != ecosystem {
			continue
		}
		for _, r := range a.Ranges {
			for _, e := range r.Events {
				versions = append(versions, e.Fixed)
			}
		}
	}
	return versions
}

// Grype reads the JSON report of grype (-o json).
//
// Each vulnerability is one result by its id; its annotations are the packages
// that it was found in: package, version, purl, aliases (related
// vulnerabilities) and fixedVersions. Its severities are grype's ("grype",
// "high", or "unknown") and all CVSS base scores ("cvss_3.1", "7.5"). What
// the user's configuration of grype ignores is in the result too, with the annotation
// ignored: whether to honour that is for the policy.
//
// Refused: a report without matches, and one for which the vulnerability database was not valid.
// See [OSVScanner] for a condition.
func Grype(r io.Reader, scan VulnScan) (*predicate.Vulns, error) {
	v, err := grype(r, scan)
	return v, wrap("grype", err)
}

func grype(r io.Reader, scan VulnScan) (*predicate.Vulns, error) {
	type database struct {
		Built string `json:"built"`
		Valid *bool  `json:"valid"`
		Error any    `json:"error"`
	}
	type match struct {
		Vulnerability struct {
			ID       string `json:"id"`
			Severity string `json:"severity"`
			CVSS     []struct {
				Version string `json:"version"`
				Metrics struct {
					BaseScore json.Number `json:"baseScore"`
				} `json:"metrics"`
			} `json:"cvss"`
			Fix struct {
				Versions []string `json:"versions"`
			} `json:"fix"`
		} `json:"vulnerability"`
		Related []struct {
			ID string `json:"id"`
		} `json:"relatedVulnerabilities"`
		Artifact struct {
			Name    string `json:"name"`
			Version string `json:"version"`
			Type    string `json:"type"`
			PURL    string `json:"purl"`
		} `json:"artifact"`
	}
	var doc struct {
		Matches    *[]match `json:"matches"`
		Ignored    []match  `json:"ignoredMatches"`
		Descriptor struct {
			Name      string `json:"name"`
			Version   string `json:"version"`
			Timestamp string `json:"timestamp"`
			DB        struct {
				database
				Status database `json:"status"` // since 0.88
			} `json:"db"`
		} `json:"descriptor"`
	}
	if _, err := readJSON(r, &doc); err != nil {
		return nil, err
	}
	if doc.Matches == nil {
		return nil, fail(ReasonIncomplete, "want matches, an empty list if nothing was found")
	}
	if n := doc.Descriptor.Name; n != "" && n != "grype" {
		return nil, malformed("a report of %s", clip(n))
	}
	for _, db := range []database{doc.Descriptor.DB.database, doc.Descriptor.DB.Status} {
		if db.Valid != nil && !*db.Valid || db.Error != nil && db.Error != "" {
			return nil, fail(ReasonIncomplete, "the vulnerability database was not valid")
		}
	}
	var found vulns
	for i, list := range [][]match{*doc.Matches, doc.Ignored} {
		for _, m := range list {
			at := vulnPackage{
				name: m.Artifact.Name, version: m.Artifact.Version, purl: m.Artifact.PURL,
				fixed: m.Vulnerability.Fix.Versions, ignored: i == 1,
			}
			if at.purl == "" {
				at.ecosystem = m.Artifact.Type
			}
			for _, r := range m.Related {
				if r.ID != m.Vulnerability.ID {
					at.aliases = append(at.aliases, r.ID)
				}
			}
			severities := []predicate.VulnSeverity{{Method: "grype", Score: strings.ToLower(m.Vulnerability.Severity)}}
			for _, c := range m.Vulnerability.CVSS {
				severities = append(severities, predicate.VulnSeverity{Method: "cvss_" + c.Version, Score: c.Metrics.BaseScore.String()})
			}
			if err := found.add(m.Vulnerability.ID, at, "grype", severities...); err != nil {
				return nil, err
			}
		}
	}
	finished, err := timeOf("descriptor.timestamp", doc.Descriptor.Timestamp)
	if err != nil {
		return nil, err
	}
	built, err := timeOf("descriptor.db.built", cmp.Or(doc.Descriptor.DB.Status.Built, doc.Descriptor.DB.Built))
	if err != nil {
		return nil, err
	}
	return found.predicate("pkg:github/anchore/grype", doc.Descriptor.Version, finished, built, scan)
}

// Trivy reads the JSON report of trivy (--format json).
//
// Each vulnerability is one result by its id; its annotations are the packages that it was
// found in: package, version, purl, source (the target), aliases and fixedVersions. Its severities are
// trivy's ("trivy", "high", or "unknown") and the CVSS scores of all sources
// ("nvd_cvss_v3", "7.5"). What was suppressed (--show-suppressed puts it into
// the report) is in the result too, with the annotation ignored. Secrets and
// misconfigurations in the report are passed over: have trivy write SARIF for them.
//
// Refused: another version of the format, and a report in which no package was
// looked at, as of a folder in which trivy found no lock file. The state of the database is not
// in the report, so scan must have Database. See [OSVScanner] for a condition.
func Trivy(r io.Reader, scan VulnScan) (*predicate.Vulns, error) {
	v, err := trivy(r, scan)
	return v, wrap("trivy", err)
}

type trivyVuln struct {
	VulnerabilityID string
	VendorIDs       []string
	PkgName         string
	PkgIdentifier   struct{ PURL string }

	InstalledVersion, FixedVersion, Severity string

	CVSS map[string]struct {
		V2Score, V3Score, V40Score json.Number
	}
}

func trivy(r io.Reader, scan VulnScan) (*predicate.Vulns, error) {
	var doc struct {
		SchemaVersion int
		CreatedAt     string
		Trivy         struct{ Version string }
		Results       []struct {
			Target, Class, Type string

			Vulnerabilities []trivyVuln
			Modified        []struct {
				Type    string
				Finding json.RawMessage
			} `json:"ExperimentalModifiedFindings"`
		}
	}
	if _, err := readJSON(r, &doc); err != nil {
		return nil, err
	}
	if doc.SchemaVersion != 2 {
		return nil, malformed("SchemaVersion: want 2, found %d", doc.SchemaVersion)
	}
	var found vulns
	looked := false
	for _, res := range doc.Results {
		switch res.Class {
		case "", "os-pkgs", "lang-pkgs":
			looked = true
		}
		looked = looked || len(res.Vulnerabilities) > 0
		for _, v := range res.Vulnerabilities {
			if err := found.trivy(&v, res.Target, res.Type, false); err != nil {
				return nil, err
			}
		}
		for i, m := range res.Modified {
			if m.Type != "vulnerability" {
				continue
			}
			var v trivyVuln
			if err := decode(m.Finding, &v); err != nil {
				return nil, wrap(fmt.Sprintf("ExperimentalModifiedFindings[%d]", i), err)
			}
			if err := found.trivy(&v, res.Target, res.Type, true); err != nil {
				return nil, err
			}
		}
	}
	if !looked {
		return nil, fail(ReasonNothingRun, "no package was looked at")
	}
	finished, err := timeOf("CreatedAt", doc.CreatedAt)
	if err != nil {
		return nil, err
	}
	return found.predicate("pkg:github/aquasecurity/trivy", doc.Trivy.Version, finished, time.Time{}, scan)
}

func (f *vulns) trivy(v *trivyVuln, target, ecosystem string, ignored bool) error {
	at := vulnPackage{
		name: v.PkgName, version: v.InstalledVersion, purl: v.PkgIdentifier.PURL, source: target,
		aliases: v.VendorIDs, ignored: ignored,
	}
	if at.purl == "" {
		at.ecosystem = ecosystem
	}
	for version := range strings.SplitSeq(v.FixedVersion, ",") {
		at.fixed = append(at.fixed, strings.TrimSpace(version))
	}
	severities := []predicate.VulnSeverity{{Method: "trivy", Score: strings.ToLower(v.Severity)}}
	for source, c := range v.CVSS {
		severities = append(severities,
			predicate.VulnSeverity{Method: source + "_cvss_v2", Score: c.V2Score.String()},
			predicate.VulnSeverity{Method: source + "_cvss_v3", Score: c.V3Score.String()},
			predicate.VulnSeverity{Method: source + "_cvss_v4", Score: c.V40Score.String()})
	}
	return f.add(v.VulnerabilityID, at, "trivy", severities...)
}

// vulnPackage is where a vulnerability was found.
type vulnPackage struct {
	name, version, purl, ecosystem, source string

	aliases, fixed []string
	ignored        bool
}

func (p vulnPackage) annotation() map[string]any {
	m := annotate("package", p.name, "version", p.version, "purl", p.purl, "ecosystem", p.ecosystem, "source", p.source)
	for field, list := range map[string][]string{"aliases": p.aliases, "fixedVersions": p.fixed} {
		if list = texts(list); len(list) > 0 {
			m[field] = list
		}
	}
	if p.ignored {
		m["ignored"] = true
	}
	return m
}

// texts sorts a list of texts, less repetitions and empty ones.
func texts(list []string) []string {
	list = slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == "" })
	slices.Sort(list)
	return slices.Compact(list)
}

// vulns collects vulnerabilities by id.
type vulns struct {
	names
	byID map[string]*vuln
}

type vuln struct {
	severities map[predicate.VulnSeverity]bool
	packages   map[string]map[string]any // annotations by their JSON
}

// add adds a vulnerability of a package. Severities without a method or a score are left out; one by the method
// "own" is always there, so that a condition finds it.
func (f *vulns) add(id string, at vulnPackage, own string, severities ...predicate.VulnSeverity) error {
	if id == "" || at.name == "" {
		return malformed("a vulnerability without an id (%s) or a package (%s)", clip(id), clip(at.name))
	}
	if f.byID == nil {
		f.byID = map[string]*vuln{}
	}
	v := f.byID[id]
	if v == nil {
		v = &vuln{map[predicate.VulnSeverity]bool{}, map[string]map[string]any{}}
		f.byID[id] = v
		if err := f.names.add(id); err != nil {
			return err
		}
	}
	annotation := at.annotation()
	key, err := json.Marshal(annotation)
	if err != nil {
		return malformed("%v", err)
	}
	if v.packages[string(key)] == nil {
		v.packages[string(key)] = annotation
		if err := f.names.add(string(key)); err != nil {
			return err
		}
	}
	for _, s := range severities {
		if s.Method == own && s.Score == "" {
			s.Score = "unknown"
		}
		if s.Method == "" || s.Score == "" || v.severities[s] {
			continue
		}
		v.severities[s] = true
		if err := f.names.add(s.Method + s.Score); err != nil {
			return err
		}
	}
	return nil
}

func (f *vulns) predicate(uri, version string, finished, database time.Time, scan VulnScan) (*predicate.Vulns, error) {
	version = cmp.Or(version, scan.Version)
	finished, database = either(finished, scan.Finished), either(database, scan.Database)
	started := either(scan.Started, finished)
	if finished.IsZero() {
		return nil, malformed("the report does not say when the scan finished: VulnScan.Finished is required")
	}
	if database.IsZero() {
		return nil, malformed("the report does not say when the database was updated: VulnScan.Database is required")
	}
	if version != "" {
		uri += "@v" + strings.TrimPrefix(purlText(version), "v")
	}
	p := &predicate.Vulns{
		Scanner: predicate.VulnScanner{
			URI: uri, Version: version, DB: predicate.VulnDB{LastUpdate: predicate.At(database)},
			Result: make([]predicate.VulnResult, 0, len(f.byID)),
		},
		Metadata: predicate.VulnMetadata{ScanStartedOn: predicate.At(started), ScanFinishedOn: predicate.At(finished)},
	}
	for _, id := range slices.Sorted(maps.Keys(f.byID)) {
		v := f.byID[id]
		r := predicate.VulnResult{ID: id, Severity: slices.SortedFunc(maps.Keys(v.severities), func(a, b predicate.VulnSeverity) int {
			return cmp.Or(strings.Compare(a.Method, b.Method), strings.Compare(a.Score, b.Score))
		})}
		for _, key := range slices.Sorted(maps.Keys(v.packages)) {
			r.Annotations = append(r.Annotations, v.packages[key])
		}
		p.Scanner.Result = append(p.Scanner.Result, r)
	}
	return p, p.Validate()
}

func either(a, b time.Time) time.Time {
	if !a.IsZero() {
		return a
	}
	return b
}

// timeOf reads a time of a report, which may be local and may have more digits
// than RFC 3339 readers keep; "" is unknown.
func timeOf(field, s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}, malformed("%s: want an RFC 3339 timestamp, found %s", field, clip(s))
	}
	if y := t.UTC().Year(); y < 1 || y > 9999 {
		return time.Time{}, malformed("%s: want an RFC 3339 timestamp, found %s", field, strconv.Quote(s))
	}
	return t, nil
}

// purlText writes a version or the value of a qualifier of a package URL.
func purlText(s string) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("-._~:", c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
