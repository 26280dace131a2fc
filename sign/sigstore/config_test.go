package sigstore

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

type m = map[string]any

func at(day int) time.Time { return time.Date(2026, 6, day, 12, 0, 0, 0, time.UTC) }

// svc returns a service that is valid from one day in June 2026 to another; 0
// leaves an end open.
func svc(url string, version int, operator string, from, to int) m {
	valid := m{}
	if from > 0 {
		valid["start"] = at(from).Format(time.RFC3339)
	}
	if to > 0 {
		valid["end"] = at(to).Format(time.RFC3339)
	}
	return m{"url": url, "majorApiVersion": version, "operator": operator, "validFor": valid, "newField": 1}
}

func config(change func(m)) []byte {
	doc := m{
		"mediaType":       signingConfigType,
		"caUrls":          []m{svc("https://ca1", 1, "a", 1, 0), svc("https://ca2", 1, "a", 2, 20), svc("https://ca3", 2, "a", 3, 0)},
		"oidcUrls":        []m{svc("https://oidc", 1, "a", 1, 0)},
		"rekorTlogUrls":   []m{svc("https://r1", 1, "a", 1, 0), svc("https://r2a", 2, "a", 1, 0), svc("https://r2b", 2, "b", 2, 0), svc("https://r2aa", 2, "a", 3, 25)},
		"rekorTlogConfig": m{"selector": "ANY"},
		"tsaUrls":         []m{svc("https://t1/ts", 1, "a", 1, 0), svc("https://t2/ts", 1, "b", 1, 0), svc("https://t3/ts", 1, "c", 5, 0)},
		"tsaConfig":       m{"selector": "EXACT", "count": 2},
		"unknown":         true,
	}
	if change != nil {
		change(doc)
	}
	b, err := json.Marshal(doc)
	if err != nil {
		panic(err)
	}
	return b
}

func TestSelect(t *testing.T) {
	for _, tc := range []struct {
		name   string
		day    int
		change func(m)
		want   string // CA, logs, authorities; or a reason
	}{
		{"newest, any and exact", 10, nil, "https://ca2 [{https://r2aa 2}] [https://t3/ts https://t1/ts]"},
		{"before its start", 4, nil, "https://ca2 [{https://r2aa 2}] [https://t1/ts https://t2/ts]"},
		{"at its start", 5, nil, "https://ca2 [{https://r2aa 2}] [https://t3/ts https://t1/ts]"},
		{"at its end", 20, nil, "https://ca2 [{https://r2aa 2}] [https://t3/ts https://t1/ts]"},
		{"after its end", 21, nil, "https://ca1 [{https://r2aa 2}] [https://t3/ts https://t1/ts]"},
		{"all, one for each operator", 10, func(d m) { d["rekorTlogConfig"] = m{"selector": "ALL"} }, "https://ca2 [{https://r2aa 2} {https://r2b 2}] [https://t3/ts https://t1/ts]"},
		{"never two versions", 10, func(d m) {
			d["rekorTlogUrls"] = []m{svc("https://r1", 1, "a", 1, 0), svc("https://r2", 2, "b", 11, 0)}
			d["rekorTlogConfig"] = m{"selector": "ALL"}
		}, "https://ca2 [{https://r1 1}] [https://t3/ts https://t1/ts]"},
		{"unknown version of a log", 10, func(d m) { d["rekorTlogUrls"] = []m{svc("https://r3", 3, "a", 1, 0)} }, ReasonSelect},
		{"no log at all", 10, func(d m) { delete(d, "rekorTlogUrls"); delete(d, "rekorTlogConfig") }, "https://ca2 [] [https://t3/ts https://t1/ts]"},
		{"exactly too many", 10, func(d m) { d["tsaConfig"] = m{"selector": "EXACT", "count": 4} }, ReasonSelect},
		{"exactly none", 10, func(d m) { d["tsaConfig"] = m{"selector": "EXACT"} }, ReasonSelect},
		{"undefined", 10, func(d m) { d["tsaConfig"] = m{"selector": "SERVICE_SELECTOR_UNDEFINED"} }, ReasonSelect},
		{"no selector", 10, func(d m) { delete(d, "tsaConfig") }, ReasonSelect},
		{"no CA yet", 10, func(d m) { d["caUrls"] = []m{svc("https://ca", 1, "a", 11, 0)} }, ReasonSelect},
		{"no CA", 10, func(d m) { delete(d, "caUrls") }, ReasonSelect},
		{"operators", 10, func(d m) {
			d["tsaUrls"] = []m{svc("https://t1/ts", 1, "a", 1, 0), svc("https://t2/ts", 1, "a", 1, 0)}
		}, ReasonSelect},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := ParseSigningConfig(config(tc.change))
			if err != nil {
				t.Fatal(err)
			}
			s, err := c.Select(at(tc.day))
			if err != nil {
				wantError(t, err, tc.want)
				return
			}
			if got := fmt.Sprintln(s.Fulcio, s.Logs, s.TimestampAuthorities); strings.TrimSpace(got) != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
			if s.Issuer != "https://oidc" {
				t.Errorf("issuer %q", s.Issuer)
			}
		})
	}
}

func TestParseSigningConfig(t *testing.T) {
	for name, data := range map[string][]byte{
		"empty":            nil,
		"null":             []byte("null"),
		"no media type":    config(func(d m) { delete(d, "mediaType") }),
		"v0.1":             config(func(d m) { d["mediaType"] = "application/vnd.dev.sigstore.signingconfig.v0.1+json" }),
		"trailing data":    append(config(nil), "{}"...),
		"duplicate":        []byte(`{"mediaType":"` + signingConfigType + `","mediaType":"` + signingConfigType + `"}`),
		"snake case":       config(func(d m) { d["ca_urls"] = []m{} }),
		"snake case below": config(func(d m) { d["caUrls"] = []m{{"url": "https://a", "major_api_version": 1}} }),
		"case":             config(func(d m) { d["CAURLs"] = []m{} }),
		"enum by number":   config(func(d m) { d["tsaConfig"] = m{"selector": 1} }),
		"null service":     config(func(d m) { d["caUrls"] = []any{nil} }),
		"no url":           config(func(d m) { d["caUrls"] = []m{{"majorApiVersion": 1}} }),
		"time as number":   config(func(d m) { d["caUrls"] = []m{{"url": "https://a", "validFor": m{"start": 5}}} }),
		"time malformed":   config(func(d m) { d["caUrls"] = []m{{"url": "https://a", "validFor": m{"start": "yesterday"}}} }),
		"too many": config(func(d m) {
			var l []m
			for i := range 300 {
				l = append(l, svc(fmt.Sprint("https://t", i), 1, "a", 1, 0))
			}
			d["tsaUrls"] = l
		}),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseSigningConfig(data)
			wantError(t, err, ReasonConfig)
		})
	}
}

func FuzzParseSigningConfig(f *testing.F) {
	f.Add(config(nil))
	f.Add([]byte(`{"mediaType":"` + signingConfigType + `","caUrls":[{"url":"https://a","majorApiVersion":1}],"tsaConfig":{"selector":"EXACT","count":1e3}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := ParseSigningConfig(data)
		if err != nil {
			return
		}
		s, err := c.Select(at(10))
		if err == nil && s.Fulcio == "" {
			t.Error("services without a certificate authority")
		}
	})
}
