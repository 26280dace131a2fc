package osv

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/strictjson"
)

// record is the part of an OSV record (OSV schema 1.7) that is used.
type record struct {
	ID        string
	Modified  time.Time
	Withdrawn bool
	Aliases   []string
	Summary   string
	Severity  []Severity
	Rating    string // database_specific.severity: "HIGH"
	Affected  []affected
}

type affected struct {
	Ecosystem, Name, PURL string
	Ranges                []eventRange
	Versions              []string
	Severity              []Severity
}

type eventRange struct {
	Type   string // SEMVER, ECOSYSTEM or GIT
	Repo   string
	Events []event
}

// event is one of introduced, fixed, last_affected and limit.
type event struct {
	Kind    eventKind
	Version string
}

type eventKind byte

const (
	introduced eventKind = iota
	fixed
	lastAffected
	limit
)

// parseRecord reads a record strictly: what two readers could read differently
// is refused, and so is what has not the fields to be judged by.
func parseRecord(data []byte) (*record, error) {
	p := strictjson.NewParser(data, limits.OSVRecord)
	r := &record{}
	var modified string
	var withdrawn time.Time
	err := p.Object(func(name []byte) (err error) {
		switch string(name) {
		case "id":
			r.ID, err = p.String()
		case "modified":
			modified, err = p.String()
		case "withdrawn":
			if p.Kind() == strictjson.Null {
				return p.Null()
			}
			var s string
			if s, err = p.String(); err == nil && s != "" {
				t, bad := time.Parse(time.RFC3339, s)
				if bad != nil {
					return p.Failf(ReasonRecord, "withdrawn %.40q is not a time", s)
				}
				r.Withdrawn, withdrawn = true, t
			}
		case "aliases":
			r.Aliases, err = stringList(p)
		case "summary":
			r.Summary, err = p.String()
		case "severity":
			r.Severity, err = severities(p)
		case "database_specific":
			if p.Kind() != strictjson.Object {
				return p.Skip()
			}
			err = p.Object(func(name []byte) (err error) {
				if string(name) == "severity" && p.Kind() == strictjson.String {
					r.Rating, err = p.String()
					return err
				}
				return p.Skip()
			})
		case "affected":
			err = list(p, func() error {
				if len(r.Affected) == limits.OSVPackages {
					return p.Failf(ReasonLimit, "more than %d packages", limits.OSVPackages)
				}
				a, err := parseAffected(p)
				r.Affected = append(r.Affected, a)
				return err
			})
		default:
			err = p.Unknown(name, "id", "modified", "withdrawn", "aliases", "summary", "severity", "database_specific", "affected")
		}
		return err
	})
	if err == nil {
		err = p.End()
	}
	if err != nil {
		return nil, err
	}
	if r.ID == "" || len(r.ID) > maxID {
		return nil, fmt.Errorf("want an id of 1 to %d bytes, found %d", maxID, len(r.ID))
	}
	for i := range r.Affected {
		// What could never be found by what it is about is not passed over.
		a := &r.Affected[i]
		named := a.Ecosystem != "" && a.Name != ""
		git := slices.ContainsFunc(a.Ranges, func(g eventRange) bool { return g.Type == "GIT" && g.Repo != "" })
		if !named && !git {
			return nil, fmt.Errorf("affected[%d] names neither a package of an ecosystem nor a repository", i)
		}
	}
	r.Aliases = slices.DeleteFunc(r.Aliases, func(s string) bool { return s == "" || len(s) > maxID })
	if r.Modified, err = time.Parse(time.RFC3339, modified); err != nil {
		return nil, fmt.Errorf("modified %.40q is not a time (RFC 3339)", modified)
	}
	// To withdraw a record is to change it. One that is to be withdrawn later
	// than it was changed, give or take a day, still stands.
	if withdrawn.After(r.Modified.Add(24 * time.Hour)) {
		r.Withdrawn = false
	}
	return r, nil
}

// maxID is the longest identifier of a vulnerability that is read.
const maxID = 256

// list reads an array, or null for an empty one.
func list(p *strictjson.Parser, element func() error) error {
	if p.Kind() == strictjson.Null {
		return p.Null()
	}
	return p.Array(func(int) error { return element() })
}

func stringList(p *strictjson.Parser) (out []string, err error) {
	err = list(p, func() error {
		s, err := p.String()
		out = append(out, s)
		return err
	})
	return out, err
}

func severities(p *strictjson.Parser) (out []Severity, err error) {
	err = list(p, func() error {
		var s Severity
		err := p.Object(func(name []byte) (err error) {
			switch string(name) {
			case "type":
				s.Type, err = p.String()
			case "score":
				s.Score, err = p.String()
			default:
				err = p.Unknown(name, "type", "score")
			}
			return err
		})
		if s.Type != "" && s.Score != "" && len(out) < 16 {
			out = append(out, s)
		}
		return err
	})
	return out, err
}

func parseAffected(p *strictjson.Parser) (a affected, err error) {
	err = p.Object(func(name []byte) (err error) {
		switch string(name) {
		case "package":
			if p.Kind() == strictjson.Null {
				return p.Null()
			}
			err = p.Object(func(name []byte) (err error) {
				switch string(name) {
				case "ecosystem":
					a.Ecosystem, err = p.String()
				case "name":
					a.Name, err = p.String()
				case "purl":
					a.PURL, err = p.String()
				default:
					err = p.Unknown(name, "ecosystem", "name", "purl")
				}
				return err
			})
		case "ranges":
			err = list(p, func() error {
				r, err := parseRange(p)
				a.Ranges = append(a.Ranges, r)
				return err
			})
		case "versions":
			a.Versions, err = stringList(p)
		case "severity":
			a.Severity, err = severities(p)
		default:
			err = p.Unknown(name, "package", "ranges", "versions", "severity")
		}
		return err
	})
	return a, err
}

func parseRange(p *strictjson.Parser) (r eventRange, err error) {
	err = p.Object(func(name []byte) (err error) {
		switch string(name) {
		case "type":
			r.Type, err = p.String()
		case "repo":
			r.Repo, err = p.String()
		case "events":
			err = list(p, func() error {
				return p.Object(func(name []byte) error {
					var kind eventKind
					switch string(name) {
					case "introduced":
						kind = introduced
					case "fixed":
						kind = fixed
					case "last_affected":
						kind = lastAffected
					case "limit":
						kind = limit
					default:
						// An event that is not known may be what ends a range, or
						// begins one.
						return p.Failf(ReasonRecord, "unknown event %.40q", name)
					}
					v, err := p.String()
					r.Events = append(r.Events, event{kind, v})
					return err
				})
			})
		default:
			err = p.Unknown(name, "type", "repo", "events")
		}
		return err
	})
	return r, err
}

// split takes an ecosystem apart: "Debian:12" is Debian and 12.
func split(ecosystem string) (name, release string) {
	name, release, _ = strings.Cut(ecosystem, ":")
	return name, release
}

// normalName returns the form of a package's name under which it is looked up.
// Where package URLs fold the case, so must this.
func normalName(ecosystem, name string) string {
	switch ecosystem {
	case "PyPI": // PEP 503
		var b strings.Builder
		dash := false
		for i := range len(name) {
			switch c := name[i]; {
			case c == '-' || c == '_' || c == '.':
				dash = true
			default:
				if dash {
					b.WriteByte('-')
					dash = false
				}
				if 'A' <= c && c <= 'Z' {
					c += 'a' - 'A'
				}
				b.WriteByte(c)
			}
		}
		if dash {
			b.WriteByte('-')
		}
		return b.String()
	case "crates.io", "Maven", "RubyGems", "Hackage", "CRAN", "Bioconductor", "Julia":
		return name
	}
	return strings.ToLower(name)
}

// normalRepo returns the form of a repository's URL under which it is looked up.
func normalRepo(url string) string {
	url = strings.TrimPrefix(url, "git+")
	for _, scheme := range []string{"https://", "http://", "git://", "ssh://git@", "git@"} {
		url = strings.TrimPrefix(url, scheme)
	}
	return strings.ToLower(strings.TrimSuffix(strings.TrimSuffix(url, "/"), ".git"))
}
