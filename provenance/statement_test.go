package provenance

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func payload(subject, rest string) string {
	return `{"_type":"https://in-toto.io/Statement/v1","subject":` + subject + `,"predicateType":"https://example.com/p"` + rest + `}`
}

var good = `[{"name":"app","digest":{"sha256":"` + ones + `"}}]`

func TestParseStatement(t *testing.T) {
	text := `{"predicate": {"b":1, "a":[1.0, 9007199254740991]}, "subject":` + good + `, "more":{}, "predicateType":"https://example.com/p","_type":"https://in-toto.io/Statement/v1"}`
	st, err := ParseStatement([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if string(st.Payload()) != text || st.Type() != StatementV1 || st.PredicateType() != "https://example.com/p" {
		t.Errorf("%q %q", st.Payload(), st.PredicateType())
	}
	if want := `{"b":1, "a":[1.0, 9007199254740991]}`; string(st.Predicate()) != want {
		t.Errorf("predicate %s, want its exact bytes", st.Predicate())
	}
	if s := st.Subjects(); len(s) != 1 || s[0].Name != "app" || s[0].Digest.Get(SHA256).Value() != ones {
		t.Errorf("subjects %v", s)
	}
	old, err := ParseStatement([]byte(strings.Replace(text, "Statement/v1", "Statement/v0.1", 1)))
	if err != nil || old.Type() != StatementV01 {
		t.Errorf("v0.1: %v", err)
	}
	for _, rest := range []string{"", `,"predicate":null`, `,"predicate":{}`} {
		st, err := ParseStatement([]byte(payload(good, rest)))
		if err != nil || string(st.Predicate()) != "{}" {
			t.Errorf("%s: %v", rest, err)
		}
	}
}

func TestParseStatementRefuses(t *testing.T) {
	v01 := strings.NewReplacer("Statement/v1", "Statement/v0.1", `"name"`, `"uri":"https://example.com","name"`)
	for name, c := range map[string]struct{ text, reason string }{
		"nothing":               {"", "json-syntax"},
		"other type":            {strings.Replace(payload(good, ""), "Statement/v1", "Statement/v2", 1), ReasonType},
		"no type":               {strings.Replace(payload(good, ""), `"_type"`, `"type"`, 1), ReasonType},
		"type in capitals":      {strings.Replace(payload(good, ""), `"_type"`, `"_TYPE"`, 1), ""},
		"no subject":            {payload(`[]`, ""), ReasonSubject},
		"null subject":          {payload(`null`, ""), ReasonSubject},
		"subject an object":     {payload(`{}`, ""), ReasonSubject},
		"subject without any":   {payload(`[{"name":"app"}]`, ""), ReasonSubject},
		"subject null":          {payload(`[null]`, ""), ""},
		"empty digests":         {payload(`[{"name":"app","digest":{}}]`, ""), ReasonSubject},
		"bad digest":            {payload(`[{"digest":{"sha256":"1"}}]`, ""), ReasonDigest},
		"predicate a list":      {payload(good, `,"predicate":[]`), ReasonPredicate},
		"predicate text":        {payload(good, `,"predicate":"x"`), ReasonPredicate},
		"predicate twice":       {payload(good, `,"predicate":{},"predicate":{}`), "json-duplicate-name"},
		"duplicate deep within": {payload(good, `,"predicate":{"a":[{"b":1,"b":2}]}`), "json-duplicate-name"},
		"duplicate escaped":     {payload(good, `,"predicate":{"a":1,"\u0061":2}`), "json-duplicate-name"},
		"subject twice":         {payload(good, `,"subject":`+good), "json-duplicate-name"},
		"no predicateType":      {strings.Replace(payload(good, ""), "https://example.com/p", "", 1), ReasonStatement},
		"after the end":         {payload(good, "") + "{}", ""},
		"v1 field in v0.1":      {v01.Replace(payload(good, "")), ReasonStatement},
		"content not base64":    {payload(`[{"content":"*","digest":{"sha256":"`+ones+`"}}]`, ""), ReasonStatement},
		"annotations a list":    {payload(`[{"annotations":[],"digest":{"sha256":"`+ones+`"}}]`, ""), ReasonStatement},
		"invalid UTF-8":         {payload(good, `,"predicate":{"a":"`+"\xff"+`"}`), ""},
		"deep":                  {payload(good, `,"predicate":{"a":`+strings.Repeat("[", 100_000)+strings.Repeat("]", 100_000)+`}`), ""},
	} {
		st, err := ParseStatement([]byte(c.text))
		if err == nil || st != nil {
			t.Errorf("%s: read", name)
			continue
		}
		if got := reasonOf(err); got == "" || c.reason != "" && got != c.reason {
			t.Errorf("%s: reason %q, want %q (%v)", name, got, c.reason, err)
		}
	}
}

func TestNewStatement(t *testing.T) {
	app := ResourceDescriptor{Name: "app<&>", Digest: DigestSet{MustDigest("sha256:" + ones)}}
	st, err := NewStatement([]ResourceDescriptor{app}, "https://example.com/p", json.RawMessage(`{"n":1.0,"h":"<&>"}`))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(st.Payload(), []byte(`{"n":1.0,"h":"<&>"}`)) || st.Subjects()[0].Name != "app<&>" {
		t.Errorf("%s", st.Payload())
	}
	again, err := ParseStatement(st.Payload())
	if err != nil || again.Digest() != st.Digest() {
		t.Errorf("%v", err)
	}
	for name, c := range map[string]struct {
		subjects  []ResourceDescriptor
		typ       string
		predicate any
	}{
		"no subject":         {nil, "https://example.com/p", nil},
		"no digest":          {[]ResourceDescriptor{{Name: "app"}}, "https://example.com/p", nil},
		"a weak digest":      {[]ResourceDescriptor{{Name: "app", Digest: DigestSet{MustDigest("sha1:" + ones[:40])}}}, "https://example.com/p", nil},
		"no type":            {[]ResourceDescriptor{app}, "", nil},
		"predicate a list":   {[]ResourceDescriptor{app}, "https://example.com/p", []int{1}},
		"duplicate names":    {[]ResourceDescriptor{app}, "https://example.com/p", json.RawMessage(`{"a":1,"a":2}`)},
		"not to be encoded":  {[]ResourceDescriptor{app}, "https://example.com/p", map[string]any{"f": func() {}}},
		"zero digest within": {[]ResourceDescriptor{{Name: "app", Digest: DigestSet{MustDigest("sha256:" + ones), {}}}}, "https://example.com/p", nil},
	} {
		if st, err := NewStatement(c.subjects, c.typ, c.predicate); err == nil || st != nil {
			t.Errorf("%s: made", name)
		}
	}
}

// What is read can be written, and is then read as the same.
func FuzzParseStatement(f *testing.F) {
	f.Add([]byte(payload(good, `,"predicate":{"a":[1,{"b":null}]}`)))
	f.Add([]byte(payload(`[{"uri":"pkg:x","digest":{"gitCommit":"`+ones[:40]+`"},"annotations":{"a":1},"content":"YQ=="}]`, "")))
	f.Add([]byte(strings.Replace(payload(good, ""), "Statement/v1", "Statement/v0.1", 1)))
	f.Fuzz(func(t *testing.T, data []byte) {
		st, err := ParseStatement(data)
		if err != nil {
			if reasonOf(err) == "" {
				t.Fatalf("an error without a reason: %v", err)
			}
			return
		}
		if !bytes.Equal(st.Payload(), data) || len(st.Subjects()) == 0 || !json.Valid(st.Predicate()) {
			t.Fatalf("read as %s", fmt.Sprint(st))
		}
		for _, s := range st.Subjects() {
			if len(s.Digest) == 0 || !s.Digest[0].Algorithm().Strong() && s.Digest.Matches(s.Digest) && len(s.Digest) == 1 {
				t.Fatalf("subject %v", s)
			}
		}
		again, err := NewStatement(st.Subjects(), st.PredicateType(), st.Predicate())
		if err != nil {
			return // it has weak digests only
		}
		if len(again.Subjects()) != len(st.Subjects()) || again.PredicateType() != st.PredicateType() {
			t.Fatalf("%s was written as %s", data, again.Payload())
		}
	})
}
