package dsse

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/sigalg"
	"github.com/hallmark-build/hallmark/internal/strictjson"
)

func TestEdge24_PAE(t *testing.T) {
	tests := []struct{ typ, payload, want string }{
		// The vector of protocol.md, DSSE v1.0.2.
		{"http://example.com/HelloWorld", "hello world", "DSSEv1 29 http://example.com/HelloWorld 11 hello world"},
		{"", "", "DSSEv1 0  0 "},
		{"t", "", "DSSEv1 1 t 0 "},
		{"t", "a\x00b", "DSSEv1 1 t 3 a\x00b"},
		{"a b", "c d", "DSSEv1 3 a b 3 c d"},
		// Bytes are counted, not characters.
		{"tÿpe", "ねこ", "DSSEv1 5 tÿpe 6 ねこ"},
		{"t", "\xff", "DSSEv1 1 t 1 \xff"},
	}
	for _, tt := range tests {
		if got := string(PAE(tt.typ, []byte(tt.payload))); got != tt.want {
			t.Errorf("PAE(%q, %q) = %q, want %q", tt.typ, tt.payload, got, tt.want)
		}
	}
	// Moving a byte between type and payload moves the lengths.
	if bytes.Equal(PAE("a", []byte("b c")), PAE("a b", []byte("c"))) {
		t.Error("two documents have one encoding")
	}
}

// The signature of the example in protocol.md, with the key given there. It is
// r and s side by side, which this module does not accept in envelopes; so it
// is checked with crypto/ecdsa directly.
func TestEdge24_SpecSignature(t *testing.T) {
	num := func(s string) *big.Int {
		n, ok := new(big.Int).SetString(s, 10)
		if !ok {
			t.Fatal(s)
		}
		return n
	}
	point := num("46950820868899156662930047687818585632848591499744589407958293238635476079160").FillBytes(make([]byte, 32))
	point = append(point, num("5640078356564379163099075877009565129882514886557779369047442380624545832820").FillBytes(make([]byte, 32))...)
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), append([]byte{4}, point...))
	if err != nil {
		t.Fatal(err)
	}
	env, err := Parse([]byte(`{"payload": "aGVsbG8gd29ybGQ=", "payloadType": "http://example.com/HelloWorld", "signatures": [
		{"sig": "A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA=="}]}`))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(PAE(env.PayloadType, env.Payload))
	sig := env.Signatures[0].Sig
	if !ecdsa.Verify(key, sum[:], new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])) {
		t.Error("the signature of the specification does not verify")
	}
}

func TestEdge25_RawSignatureIsNotAnEnvelopes(t *testing.T) {
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	payload := []byte(`{"_type":"x"}`)
	raw, err := sigalg.Sign(key, sigalg.Ed25519, payload)
	if err != nil {
		t.Fatal(err)
	}
	pae := PAE("application/json", payload)
	enveloped, err := sigalg.Sign(key, sigalg.Ed25519, pae)
	if err != nil {
		t.Fatal(err)
	}
	if sigalg.Verify(key.Public(), sigalg.Ed25519, pae, raw) == nil {
		t.Error("a signature over the payload verifies as an envelope's")
	}
	if sigalg.Verify(key.Public(), sigalg.Ed25519, payload, enveloped) == nil {
		t.Error("an envelope's signature verifies over the payload")
	}
	if sigalg.Verify(key.Public(), sigalg.Ed25519, PAE("application/other", payload), enveloped) == nil {
		t.Error("an envelope's signature verifies for another type")
	}
}

func TestParse(t *testing.T) {
	got, err := Parse([]byte(` {"extra": [1], "payload": "aGk", "signatures": [
		{"sig": "", "keyid": null, "extra": {}},
		{"keyid": "k", "sig": "_-8=", "cert": "PEM"},
		{"sig": "/+8", "cert": 1}], "payloadType": "t"} `))
	if err != nil {
		t.Fatal(err)
	}
	if got.PayloadType != "t" || string(got.Payload) != "hi" || len(got.Signatures) != 3 {
		t.Fatalf("%+v", got)
	}
	s := got.Signatures
	if len(s[0].Sig) != 0 || s[0].KeyID != "" || s[1].KeyID != "k" || string(s[1].Certificate) != "PEM" ||
		!bytes.Equal(s[1].Sig, []byte{0xff, 0xef}) || !bytes.Equal(s[2].Sig, s[1].Sig) || s[2].Certificate != nil {
		t.Errorf("%+v", s)
	}
	if _, err := Parse([]byte(`{"payload":"","payloadType":"","signatures":[]}`)); err != nil {
		t.Errorf("required fields may be empty: %v", err)
	}
}

func TestParseRefuses(t *testing.T) {
	many := strings.Repeat(`{"sig":""},`, limits.Signatures) + `{"sig":""}`
	tests := []struct{ name, in, reason string }{
		{"empty", ``, strictjson.ReasonSyntax},
		{"array", `[]`, strictjson.ReasonSyntax},
		{"null", `null`, strictjson.ReasonSyntax},
		{"no payload", `{"payloadType":"t","signatures":[]}`, ReasonMissing},
		{"no type", `{"payload":"","signatures":[]}`, ReasonMissing},
		{"null payload", `{"payload":null,"payloadType":"t","signatures":[]}`, strictjson.ReasonSyntax},
		{"edge07 no signatures", `{"payload":"","payloadType":"t"}`, ReasonMissing},
		{"edge07 null signatures", `{"payload":"","payloadType":"t","signatures":null}`, strictjson.ReasonSyntax},
		{"edge07 object for signatures", `{"payload":"","payloadType":"t","signatures":{}}`, strictjson.ReasonSyntax},
		{"edge07 no sig", `{"payload":"","payloadType":"t","signatures":[{"keyid":"k"}]}`, ReasonMissing},
		{"edge07 null sig", `{"payload":"","payloadType":"t","signatures":[{"sig":null}]}`, strictjson.ReasonSyntax},
		{"edge07 number for keyid", `{"payload":"","payloadType":"t","signatures":[{"sig":"","keyid":1}]}`, strictjson.ReasonSyntax},
		{"edge26 folded name", `{"payload":"","Payload":"","payloadType":"t","signatures":[]}`, strictjson.ReasonCase},
		{"edge26 upper case", `{"PAYLOAD":"","payloadType":"t","signatures":[]}`, strictjson.ReasonCase},
		{"edge26 Kelvin sign", `{"payload":"","payloadType":"t","signatures":[{"sig":"","\u212aeyid":"k"}]}`, strictjson.ReasonCase},
		{"edge26 long s", `{"payload":"","payloadType":"t","signatures":[{"sig":"","\u017fig":""}]}`, strictjson.ReasonCase},
		{"edge27 payload twice", `{"payload":"","payload":"","payloadType":"t","signatures":[]}`, strictjson.ReasonDuplicate},
		{"edge27 escaped name", `{"payload":"","p\u0061yload":"","payloadType":"t","signatures":[]}`, strictjson.ReasonDuplicate},
		{"edge27 sig twice", `{"payload":"","payloadType":"t","signatures":[{"sig":"","sig":""}]}`, strictjson.ReasonDuplicate},
		{"edge28 trailing", `{"payload":"","payloadType":"t","signatures":[]}{}`, strictjson.ReasonSyntax},
		{"edge30 null entry", `{"payload":"","payloadType":"t","signatures":[null]}`, strictjson.ReasonSyntax},
		{"edge31 many signatures", `{"payload":"","payloadType":"t","signatures":[` + many + `]}`, ReasonLimit},
		{"edge29 payload", `{"payload":"aGk\n","payloadType":"t","signatures":[]}`, ReasonBase64},
		{"edge29 sig", `{"payload":"","payloadType":"t","signatures":[{"sig":"aGl="}]}`, ReasonBase64},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, err := Parse([]byte(tt.in))
			var je *strictjson.Error
			if !errors.As(err, &je) || je.Reason != tt.reason || e != nil {
				t.Errorf("Parse = %+v, %v; want reason %s", e, err, tt.reason)
			}
		})
	}
}

func TestEdge29_Base64(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "aGk=": "hi", "aGk": "hi", "aGkh": "hi!", "+/8=": "\xfb\xff", "-_8": "\xfb\xff", "AA==": "\x00", "AA": "\x00",
	} {
		if got, err := DecodeBase64([]byte(in)); err != nil || string(got) != want {
			t.Errorf("%q: %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{
		"a", "a===", "aG=", "aGk==", "=", "==", "====", "aGk=aGk=", "aG=k", "=aGk", // padding
		"aGl=", "aGl", "AB==", "AB", // trailing bits
		"+_8=", "-/8", "+-AA", // two alphabets
		"aG\nk=", "aGk=\n", "aGk\r\n", " aGk=", "aGk =", "aG k", // other bytes
		"aGk.", "aGk\x00", "aGk\u00e9", "a\u212ak=",
	} {
		if got, err := DecodeBase64([]byte(in)); err == nil {
			t.Errorf("%q is taken for %q", in, got)
		}
	}
}

func TestEncode(t *testing.T) {
	e := &Envelope{PayloadType: "a/<b>&\"\u2028", Payload: []byte("hi"), Signatures: []Signature{
		{Sig: []byte{0xff, 0xef}}, {KeyID: "k\n", Sig: nil, Certificate: []byte("-----BEGIN\n")}}}
	out, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"payloadType":"a/\u003cb\u003e\u0026\"\u2028","payload":"aGk=","signatures":[{"sig":"/+8="},{"keyid":"k\n","sig":"","cert":"-----BEGIN\n"}]}`
	if string(out) != want {
		t.Errorf("got  %s\nwant %s", out, want)
	}
	for _, bad := range []*Envelope{
		{PayloadType: "\xff"},
		{Signatures: []Signature{{KeyID: "\xff"}}},
		{Signatures: []Signature{{Certificate: []byte("\xff")}}},
	} {
		if out, err := bad.Encode(); err == nil {
			t.Errorf("invalid UTF-8 is written as %s", out)
		}
	}
	if out, err := new(Envelope).Encode(); err != nil || string(out) != `{"payloadType":"","payload":"","signatures":[]}` {
		t.Errorf("the empty envelope: %s, %v", out, err)
	}
}

// Whatever Parse accepts, encoding/json reads alike, and Encode writes so that
// Parse reads it again.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`{"payload":"aGk=","payloadType":"t","signatures":[{"keyid":"k","sig":"_-8"}]}`,
		`{"payload":"","payloadType":"","signatures":[]}`,
		`{"payload":"","Payload":"","payloadType":"t","signatures":[{"sig":"","cert":"c","x":{"y":[null,1e9]}}]}`,
		`{"payload":"aGl=","payloadType":"\ud83d\ude00","signatures":[null]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := Parse(data)
		if err != nil {
			if e != nil {
				t.Fatal("data beside an error")
			}
			return
		}
		var std struct {
			Payload, PayloadType string
			Signatures           []struct{ Sig string }
		}
		if err := json.Unmarshal(data, &std); err != nil {
			t.Fatalf("encoding/json refuses: %v", err)
		}
		if std.PayloadType != e.PayloadType || len(std.Signatures) != len(e.Signatures) {
			t.Fatalf("encoding/json reads %+v, not %+v", std, e)
		}
		same := func(b []byte, s string) {
			s = strings.NewReplacer("-", "+", "_", "/", "=", "").Replace(s)
			if s != base64.RawStdEncoding.EncodeToString(b) {
				t.Fatalf("%q is read as %x", s, b)
			}
		}
		same(e.Payload, std.Payload)
		for i, s := range e.Signatures {
			same(s.Sig, std.Signatures[i].Sig)
		}
		out, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(out)
		if err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		if fmt.Sprintf("%+v", again) != fmt.Sprintf("%+v", e) {
			t.Fatalf("%+v became %+v", e, again)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	e := &Envelope{PayloadType: "t", Payload: bytes.Repeat([]byte("payload "), 1<<12), Signatures: []Signature{{KeyID: "k", Sig: make([]byte, 64)}}}
	data, err := e.Encode()
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(data); err != nil {
			b.Fatal(err)
		}
	}
}
