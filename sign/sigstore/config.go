package sigstore

import (
	"net/http"
	"slices"
	"time"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/strictjson"
)

// Services say where to sign. The zero value signs nowhere and is refused.
type Services struct {
	// Fulcio is the base URL of the certificate authority; needed by
	// [NewSession] only.
	Fulcio string
	// Issuer is the URL of the OIDC provider to log in at; used by nothing but
	// the caller, for [Login].
	Issuer string
	// Logs are the transparency logs, to each of which every signature goes.
	// None is refused unless UnsafeNoLog is set.
	Logs []Log
	// TimestampAuthorities are the full URLs of RFC 3161 services, each of
	// which stamps every signature. At least one is needed where a certificate
	// is used and no log is a Rekor v1, which brings a time of its own.
	TimestampAuthorities []string

	// Client sends the requests; nil means a client of the session's own,
	// without proxy ([http.DefaultClient] takes the environment's). Its
	// redirect policy and cookies are not used.
	Client *http.Client
	// Workers is how many statements are under way at once; 0 means 32. The
	// most is 256.
	Workers int
	// Progress, if not nil, is called after each signature of
	// [Session.SignStatements], never twice at once.
	Progress func(done, total int)

	// UnsafeNoLog signs without a transparency log. Verifiers refuse such
	// bundles unless told otherwise.
	UnsafeNoLog bool
	// UnsafeNoSCT accepts a certificate that no certificate transparency log
	// has promised to publish. Verifiers refuse such bundles unless told
	// otherwise.
	UnsafeNoSCT bool
	// UnsafePlainHTTP sends the token to a Fulcio that is neither https nor on
	// a loopback address.
	UnsafePlainHTTP bool
}

// A Log is a transparency log.
type Log struct {
	URL     string // base URL
	Version int    // 1 or 2: the major version of Rekor's API
}

const (
	defaultWorkers = 32
	maxWorkers     = 256
	maxServers     = 32 // verifiers refuse bundles with more entries or timestamps
)

// A SigningConfig is a signing_config.v0.2.json (protobuf-specs
// sigstore_trustroot.proto, SigningConfig): which services there are, from
// when to when, and how many of them to use.
type SigningConfig struct {
	cas, oidc, logs, tsas []service
	logRule, tsaRule      rule
}

type service struct {
	url        string
	version    int
	operator   string
	start, end time.Time // zero: unbounded
}

type rule struct {
	selector string
	count    int
}

const signingConfigType = "application/vnd.dev.sigstore.signingconfig.v0.2+json"

// ParseSigningConfig reads a signing configuration. Unknown fields are
// ignored; names in snake case and enums by number are refused.
func ParseSigningConfig(data []byte) (*SigningConfig, error) {
	c := &SigningConfig{}
	p := strictjson.NewParser(data, limits.Policy)
	var mediaType string
	lists := map[string]*[]service{"caUrls": &c.cas, "oidcUrls": &c.oidc, "rekorTlogUrls": &c.logs, "tsaUrls": &c.tsas}
	rules := map[string]*rule{"rekorTlogConfig": &c.logRule, "tsaConfig": &c.tsaRule}
	err := p.Object(func(name []byte) (err error) {
		switch n := string(name); {
		case n == "mediaType":
			mediaType, err = p.String()
			return err
		case lists[n] != nil:
			return readServices(p, lists[n])
		case rules[n] != nil:
			return readRule(p, rules[n])
		case slices.Contains([]string{"media_type", "ca_urls", "oidc_urls", "rekor_tlog_urls", "tsa_urls", "rekor_tlog_config", "tsa_config"}, n):
			return p.Failf(strictjson.ReasonSyntax, "name %q in snake case", n)
		default:
			return p.Unknown(name, "mediaType", "caUrls", "oidcUrls", "rekorTlogUrls", "tsaUrls", "rekorTlogConfig", "tsaConfig")
		}
	})
	if err == nil {
		err = p.End()
	}
	if err != nil {
		return nil, &Error{Reason: ReasonConfig, Msg: "signing configuration", Err: err}
	}
	if mediaType != signingConfigType {
		return nil, fail(ReasonConfig, "signing configuration: want media type %s, found %q", signingConfigType, mediaType)
	}
	return c, nil
}

func readServices(p *strictjson.Parser, to *[]service) error {
	return p.Array(func(i int) error {
		if i >= limits.SigningServices {
			return p.Failf(strictjson.ReasonLimit, "more than %d services", limits.SigningServices)
		}
		var s service
		err := p.Object(func(name []byte) error {
			switch string(name) {
			case "url":
				return readString(p, &s.url)
			case "operator":
				return readString(p, &s.operator)
			case "majorApiVersion":
				n, err := p.Int()
				s.version = int(n)
				return err
			case "validFor":
				return p.Object(func(name []byte) error {
					switch string(name) {
					case "start":
						return readTime(p, &s.start)
					case "end":
						return readTime(p, &s.end)
					}
					return p.Unknown(name, "start", "end")
				})
			case "major_api_version", "valid_for":
				return p.Failf(strictjson.ReasonSyntax, "name %q in snake case", name)
			}
			return p.Unknown(name, "url", "operator", "majorApiVersion", "validFor")
		})
		if err != nil {
			return err
		}
		if s.url == "" {
			return p.Failf(strictjson.ReasonSyntax, "service without url")
		}
		*to = append(*to, s)
		return nil
	})
}

func readRule(p *strictjson.Parser, to *rule) error {
	return p.Object(func(name []byte) error {
		switch string(name) {
		case "selector":
			return readString(p, &to.selector)
		case "count":
			n, err := p.Int()
			to.count = int(n)
			return err
		}
		return p.Unknown(name, "selector", "count")
	})
}

func readString(p *strictjson.Parser, to *string) (err error) {
	*to, err = p.String()
	return err
}

func readTime(p *strictjson.Parser, to *time.Time) error {
	s, err := p.String()
	if err != nil {
		return err
	}
	*to, err = time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return p.Failf(strictjson.ReasonSyntax, "want a time in RFC 3339, found %q", s)
	}
	return nil
}

// Select returns the services to sign with at a time (client specification,
// "signing configuration"): of each kind the highest API version that this
// package speaks (Fulcio 1, Rekor 2 and 1, timestamp authority 1), valid at
// that time (both ends included), the newest of each operator; then one of
// them (ANY), all (ALL) or a number (EXACT), newest first. It is an error when
// there are too few, when the selector is missing or unknown, and when there
// is no certificate authority.
//
// A configuration without logs gives Services that only UnsafeNoLog makes
// usable.
func (c *SigningConfig) Select(at time.Time) (Services, error) {
	var s Services
	any := rule{selector: "ANY"}
	cas, err := choose("certificate authority", c.cas, any, at, 1)
	if err != nil {
		return Services{}, err
	}
	s.Fulcio = cas[0].url
	if len(c.oidc) > 0 {
		oidc, err := choose("OIDC provider", c.oidc, any, at, 1)
		if err != nil {
			return Services{}, err
		}
		s.Issuer = oidc[0].url
	}
	if len(c.logs) > 0 {
		logs, err := choose("transparency log", c.logs, c.logRule, at, 2, 1)
		if err != nil {
			return Services{}, err
		}
		for _, l := range logs {
			s.Logs = append(s.Logs, Log{URL: l.url, Version: l.version})
		}
	}
	if len(c.tsas) > 0 {
		tsas, err := choose("timestamp authority", c.tsas, c.tsaRule, at, 1)
		if err != nil {
			return Services{}, err
		}
		for _, t := range tsas {
			s.TimestampAuthorities = append(s.TimestampAuthorities, t.url)
		}
	}
	return s, nil
}

// choose applies a rule to services; versions are those to take, best first.
func choose(what string, from []service, r rule, at time.Time, versions ...int) ([]service, error) {
	want := 1
	switch r.selector {
	case "ANY", "ALL":
	case "EXACT":
		if want = r.count; want <= 0 {
			return nil, fail(ReasonSelect, "%s: EXACT wants a count above 0, found %d", what, want)
		}
	default:
		return nil, fail(ReasonSelect, "%s: want selector ANY, ALL or EXACT, found %q", what, r.selector)
	}
	var found []service
	for _, version := range versions {
		for _, s := range from {
			if s.version == version && !at.Before(s.start) && (s.end.IsZero() || !at.After(s.end)) {
				found = append(found, s)
			}
		}
		if len(found) > 0 {
			break // versions are never mixed
		}
	}
	slices.SortStableFunc(found, func(a, b service) int { return b.start.Compare(a.start) })
	operators := map[string]bool{}
	found = slices.DeleteFunc(found, func(s service) bool {
		seen := operators[s.operator]
		operators[s.operator] = true
		return seen
	})
	if len(found) < want {
		return nil, fail(ReasonSelect, "%s: want %d of different operators in API version %v at %s, found %d of %d",
			what, want, versions, at.UTC().Format(time.RFC3339), len(found), len(from))
	}
	if r.selector != "ALL" {
		found = found[:want]
	}
	return found, nil
}
