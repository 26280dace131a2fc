package predicate

import (
	"encoding/json"
	"testing"
	"time"
)

func TestTimestamp(t *testing.T) {
	for _, s := range []string{"2026-01-02T03:04:05Z", "2026-01-02T03:04:05.123456789Z", "2024-02-29T23:59:59+05:30", "2026-01-02T03:04:05-23:59"} {
		var ts Timestamp
		if err := json.Unmarshal([]byte(`"`+s+`"`), &ts); err != nil {
			t.Errorf("%s: %v", s, err)
		}
		if want, err := time.Parse(time.RFC3339, s); err != nil || !ts.Equal(want) {
			t.Errorf("%s was read as %v", s, ts)
		}
		if utc := s[len(s)-1] == 'Z'; (ts.utc("t") == nil) != utc {
			t.Errorf("%s: utc says %v", s, ts.utc("t"))
		}
	}
	for _, s := range []string{`"2026-01-02T3:04:05Z"`, `"2026-01-02 03:04:05Z"`, `"2026-01-02t03:04:05z"`, `"2026-01-02T03:04:05"`,
		`"2026-01-02T03:04:05,1Z"`, `"2026-01-02T03:04:05.Z"`, `"2026-02-30T03:04:05Z"`, `"2026-01-02T24:00:00Z"`, `"2026-01-02T03:04:60Z"`,
		`"2026-01-02T03:04:05+24:00"`, `"2026-01-02T03:04:05+00:60"`, `"2026-01-02T03:04:05+0000"`, `"2026-01-02"`, `" 2026-01-02T03:04:05Z"`,
		`"26-01-02T03:04:05Z"`, `1767322800`, `{}`, `{"seconds":1}`, `true`} {
		var ts Timestamp
		if err := json.Unmarshal([]byte(s), &ts); err == nil {
			t.Errorf("%s was read as %v", s, ts)
		}
	}
	for _, s := range []string{`null`, `""`} {
		ts := At(time.Unix(1, 0))
		if err := json.Unmarshal([]byte(s), &ts); err != nil || !ts.IsZero() {
			t.Errorf("%s was read as %v, %v", s, ts, err)
		}
	}
	b, err := json.Marshal([]Timestamp{At(time.Date(2026, 1, 2, 3, 4, 5, 6000, time.FixedZone("", -3600))), {}})
	if want := `["2026-01-02T04:04:05.000006Z",null]`; err != nil || string(b) != want {
		t.Errorf("got %s, %v, want %s", b, err, want)
	}
	// "+00:00" is no Z, whatever the local zone is.
	for _, local := range []*time.Location{time.UTC, time.FixedZone("", 0), time.FixedZone("", 3600)} {
		old := time.Local
		time.Local = local
		ts, err := parseTimestamp("2026-01-02T03:04:05+00:00")
		time.Local = old
		if err != nil || ts.utc("t") == nil {
			t.Errorf("in %v, +00:00 was taken for Z (%v)", local, err)
		}
	}
}
