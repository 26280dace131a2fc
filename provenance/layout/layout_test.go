package layout

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/provenance"
)

func TestCanonical(t *testing.T) {
	for in, want := range map[string]string{
		`{ "b" : 1, "a": [ true, false, null ] }`: `{"a":[true,false,null],"b":1}`,
		`{"é":1,"z":2,"Z":3}`:                     `{"Z":3,"z":2,"é":1}`,
		`"q\"b\\n\nc\u001b\u00e9\/<"`:             "\"q\\\"b\\\\n\nc\x1bé/<\"",
		`-5`:                                      `-5`, `0`: `0`, `""`: `""`, `[]`: `[]`, `{}`: `{}`,
		`{"\ud83d\ude00":0,"\uffff":1}`: "{\"\uffff\":1,\"😀\":0}", // by code point, not by UTF-16 unit
	} {
		got, err := Canonical([]byte(in))
		if err != nil || string(got) != want {
			t.Errorf("%s: %q, %v, want %q", in, got, err, want)
		}
	}
	for _, bad := range []string{``, `1.0`, `1e2`, `1E2`, `-0`, `{"a":1.5}`, `9007199254740993`, `{"a":1,"a":1}`, `"\ud800"`, "\"\xff\"", `1 2`, `NaN`} {
		var fe *provenance.FormatError
		if got, err := Canonical([]byte(bad)); !errors.As(err, &fe) {
			t.Errorf("%s: %q, %v", bad, got, err)
		}
	}
}

func testLayout(t testing.TB) *Layout {
	t.Helper()
	k, err := NewKey(ed25519.NewKeyFromSeed(make([]byte, 32)).Public(), "")
	if err != nil {
		t.Fatal(err)
	}
	return &Layout{
		Expires: At(time.Date(2030, 1, 2, 3, 4, 5, 6, time.FixedZone("", 3600))),
		Keys:    map[string]Key{k.KeyID: k},
		Steps:   []Step{{Name: "build", Threshold: 1, PubKeys: []string{k.KeyID}, ExpectedProducts: []Rule{{Verb: Create, Pattern: "*"}}}},
		Inspect: []Inspection{{Name: "look", Run: []string{"true"}}},
	}
}

func TestLayout(t *testing.T) {
	l := testLayout(t)
	if l.Expires != "2030-01-02T02:04:05Z" {
		t.Errorf("expires %s", l.Expires)
	}
	data, err := l.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if l.Type != "" || l.Steps[0].Type != "" {
		t.Error("Encode has changed the layout")
	}
	again, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	twice, err := again.Encode()
	if err != nil || string(twice) != string(data) {
		t.Errorf("%s\nbecomes\n%s, %v", data, twice, err)
	}
	if !reflect.DeepEqual(again.Keys, l.Keys) {
		t.Errorf("keys %+v", again.Keys)
	}
	for _, change := range [][2]string{
		{`"_type":"layout"`, `"_type":"link"`},
		{`"_type":"step"`, `"_type":"inspection"`},
		{`"readme":""`, `"readme":"","surprise":1`},
		{`"name":"build"`, `"name":"build","warn":true`},
		{`"name":"look"`, `"name":"build"`},
		{`"run":["true"]`, `"run":[]`},
		{`"run":["true"]`, `"run":"true"`},
		{`"run":["true"]`, `"run":[null]`},
		{`["CREATE","*"]`, `["CREATE"]`},
		{`["CREATE","*"]`, `["CREATE",""]`},
		{`["CREATE","*"]`, `"CREATE *"`},
		{`["CREATE","*"]`, `null`},
		{`"public":"`, `"private":"00","public":"`},
		{`"keyid":"`, `"keyid":"00`},
		{`"pubkeys":["`, `"pubkeys":["00`},
	} {
		bad := strings.Replace(string(data), change[0], change[1], 1)
		if bad == string(data) {
			t.Fatalf("%s is not in %s", change[0], data)
		}
		var fe *provenance.FormatError
		if _, err := Parse([]byte(bad)); !errors.As(err, &fe) {
			t.Errorf("with %s: %v", change[1], err)
		}
	}
}

func TestKey(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	k, err := NewKey(ec.Public(), "")
	if err != nil || k.Scheme != "ecdsa-sha2-nistp384" || len(k.KeyID) != 64 {
		t.Fatalf("%+v, %v", k, err)
	}
	data, err := json.Marshal(k)
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseKey(data)
	if err != nil || !reflect.DeepEqual(again, k) {
		t.Errorf("%+v, %v", again, err)
	}
	fromPEM, err := ParseKey([]byte(k.KeyVal.Public))
	if err != nil || !reflect.DeepEqual(fromPEM, k) {
		t.Errorf("%+v, %v", fromPEM, err)
	}
	pub, scheme, err := k.Public()
	if err != nil || scheme != k.Scheme || !ec.PublicKey.Equal(pub) {
		t.Errorf("%v, %s, %v", pub, scheme, err)
	}
	for _, change := range [][2]string{
		{`"scheme":"ecdsa-sha2-nistp384"`, `"scheme":"ecdsa-sha2-nistp256"`},
		{`"scheme":"ecdsa-sha2-nistp384"`, `"scheme":""`},
		{`"keytype":"ecdsa"`, `"keytype":"rsa"`},
		{`"keytype":"ecdsa"`, `"keytype":"ecdsa","method":"pgp+rsa-pkcsv1.5"`},
		{`"keytype":"ecdsa"`, `"KeyType":"ecdsa"`},
		{`"keyid":"`, `"keyid":"../`},
		{`"public":"`, `"private":"x","public":"`},
	} {
		bad := strings.Replace(string(data), change[0], change[1], 1)
		var fe *provenance.FormatError
		if _, err := ParseKey([]byte(bad)); bad == string(data) || !errors.As(err, &fe) {
			t.Errorf("with %s: %v", change[1], err)
		}
	}
}

func TestRuleWords(t *testing.T) {
	for _, text := range []string{"CREATE a", "REQUIRE *", "MATCH a WITH PRODUCTS FROM b", "MATCH a IN b WITH MATERIALS IN c FROM d", "MATCH IN IN IN WITH PRODUCTS IN IN FROM IN"} {
		r, err := ParseRule(strings.Fields(text))
		if err != nil || r.String() != text {
			t.Errorf("%s: %v, %v", text, r, err)
		}
		data, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		var again Rule
		if err := json.Unmarshal(data, &again); err != nil || again != r {
			t.Errorf("%s: %v, %v", data, again, err)
		}
	}
	if _, err := json.Marshal(Rule{Verb: "PERHAPS", Pattern: "a"}); err == nil {
		t.Error("a rule without a known verb is written")
	}
}

func FuzzParseKey(f *testing.F) {
	f.Add([]byte(`{"keyid":"x","keytype":"ed25519","scheme":"ed25519","keyval":{"public":"3f58"}}`))
	f.Add([]byte("-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		key, err := ParseKey(data)
		if err == nil && key.KeyID == "" {
			t.Fatalf("a key without an id: %+v", key)
		}
	})
}
