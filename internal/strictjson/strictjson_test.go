package strictjson

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"

	"github.com/hallmark-build/hallmark/internal/limits"
)

func reason(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Reason
	}
	if err != nil {
		return "untyped: " + err.Error()
	}
	return ""
}

func TestAccepts(t *testing.T) {
	for _, in := range []string{
		`null`, `true`, `false`, `""`, `{}`, `[]`, ` { "a" : [ 1 , { } ] } `, "\t\r\n1\n",
		`0`, `-0`, `1.5e-7`, `1E+2`, `9007199254740992`, `-9007199254740992`, `0.1000000000000000055511151231257827`, `1e308`, `1e-999`,
		`"\"\\\/\b\f\n\r\t\u0000\u00e9\ud83d\ude00"`, "\"\u00e9\U0001F600\u2028\ufffd\"", `"\ufffd"`,
		`{"":1}`, `{"a":1,"A":2}`, `{"a":{"a":{"a":1}}}`, `[[],[[]]]`,
		strings.Repeat("[", limits.JSONDepth) + strings.Repeat("]", limits.JSONDepth),
	} {
		got, err := Decode([]byte(in), 0)
		if err != nil {
			t.Errorf("%.40s: %v", in, err)
			continue
		}
		if want := std(t, []byte(in)); !reflect.DeepEqual(got, want) {
			t.Errorf("%.40s: %#v, encoding/json: %#v", in, got, want)
		}
	}
}

// std reads with encoding/json what was accepted here.
func std(t *testing.T, data []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("encoding/json refuses %.80q: %v", data, err)
	}
	if _, err := d.Token(); err != io.EOF {
		t.Fatalf("encoding/json finds more after %.80q: %v", data, err)
	}
	return v
}

func TestRefuses(t *testing.T) {
	wide := func(n int) string { // an object with n names and the first once more
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `"n%d":0,`, i)
		}
		return "{" + b.String() + `"n0":1}`
	}
	tests := []struct{ name, in, want string }{
		{"empty", "", ReasonSyntax},
		{"space", " \n", ReasonSyntax},
		{"comment", "/**/1", ReasonSyntax},
		{"single quotes", "'a'", ReasonSyntax},
		{"bare name", "{a:1}", ReasonSyntax},
		{"comma after element", "[1,]", ReasonSyntax},
		{"comma before element", "[,1]", ReasonSyntax},
		{"comma only", "[,]", ReasonSyntax},
		{"comma after member", `{"a":1,}`, ReasonSyntax},
		{"no colon", `{"a" 1}`, ReasonSyntax},
		{"no value", `{"a":}`, ReasonSyntax},
		{"no comma", `[1 2]`, ReasonSyntax},
		{"open array", `[`, ReasonSyntax},
		{"open array after value", `[1`, ReasonSyntax},
		{"open object", `{`, ReasonSyntax},
		{"open object after name", `{"a"`, ReasonSyntax},
		{"crossed", `[}`, ReasonSyntax},
		{"open string", `"a`, ReasonSyntax},
		{"open escape", `"\`, ReasonSyntax},
		{"bad escape", `"\x41"`, ReasonSyntax},
		{"short escape", `"\u12"`, ReasonSyntax},
		{"control character", "\"a\nb\"", ReasonSyntax},
		{"control character after escape", "\"\\n\x01\"", ReasonSyntax},
		{"True", "True", ReasonSyntax},
		{"tru", "tru", ReasonSyntax},
		{"nul", "nul", ReasonSyntax},
		{"plus", "+1", ReasonSyntax},
		{"leading zero", "01", ReasonSyntax},
		{"minus", "-", ReasonSyntax},
		{"point first", ".5", ReasonSyntax},
		{"point last", "5.", ReasonSyntax},
		{"exponent", "1e", ReasonSyntax},
		{"hex", "0x10", ReasonSyntax},
		{"form feed", "\f1", ReasonSyntax},
		{"no-break space", "\u00a01", ReasonSyntax},
		{"edge27 twice", `{"a":1,"a":1}`, ReasonDuplicate},
		{"edge27 twice by escape", `{"a":1,"\u0061":2}`, ReasonDuplicate},
		{"edge27 deep", `{"subject":[{"digest":{"sha256":"a","sha256":"b"}}]}`, ReasonDuplicate},
		{"edge27 after an inner object", `{"a":{"b":1},"b":1,"a":2}`, ReasonDuplicate},
		{"edge27 wide at the switch", wide(24), ReasonDuplicate},
		{"edge27 wide", wide(1000), ReasonDuplicate},
		{"edge27 empty name", `{"":1,"":2}`, ReasonDuplicate},
		{"edge28 two values", `{}{}`, ReasonSyntax},
		{"edge28 garbage after", `1 x`, ReasonSyntax},
		{"edge28 NUL after", "1\x00", ReasonSyntax},
		{"edge28 byte order mark", "\xef\xbb\xbf1", ReasonEncoding},
		{"edge28 byte order mark inside", " \xef\xbb\xbf1", ReasonSyntax},
		{"edge28 UTF-16", "\xff\xfe1\x00", ReasonSyntax},
		{"edge28 NaN", "NaN", ReasonSyntax},
		{"edge28 Infinity", "-Infinity", ReasonSyntax},
		{"edge28 1e999", "1e999", ReasonNumber},
		{"edge28 -1e999", "[-1e999]", ReasonNumber},
		{"edge28 2^53+1", "9007199254740993", ReasonNumber},
		{"edge28 -2^53-1", "-9007199254740993", ReasonNumber},
		{"edge28 2^64", "18446744073709551616", ReasonNumber},
		{"edge28 invalid UTF-8", "\"\xff\"", ReasonEncoding},
		{"edge28 overlong UTF-8", "\"\xc0\xaf\"", ReasonEncoding},
		{"edge28 encoded surrogate", "\"\xed\xa0\x80\"", ReasonEncoding},
		{"edge28 invalid UTF-8 after escape", "\"\\n\xff\"", ReasonEncoding},
		{"edge28 invalid UTF-8 in name", "{\"\xff\":1}", ReasonEncoding},
		{"edge28 lone high surrogate", `"\ud800"`, ReasonEncoding},
		{"edge28 lone low surrogate", `"\udc00"`, ReasonEncoding},
		{"edge28 high surrogate and letter", `"\ud800\u0041"`, ReasonEncoding},
		{"edge28 surrogates exchanged", `"\ude00\ud83d"`, ReasonEncoding},
		{"edge31 deep", strings.Repeat("[", limits.JSONDepth+1), ReasonLimit},
		{"edge31 very deep", strings.Repeat(`{"a":`, 100_000), ReasonLimit},
		{"edge31 integer", strings.Repeat("9", 1<<20), ReasonNumber},
		{"edge31 fraction", "0." + strings.Repeat("9", 1<<20), ReasonNumber},
		{"edge31 values", "[" + strings.Repeat("0,", limits.JSONValues) + "0]", ReasonLimit},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := reason(Check([]byte(tt.in), 0)); got != tt.want {
				t.Errorf("Check: reason %q, want %q", got, tt.want)
			}
			if v, err := Decode([]byte(tt.in), 0); reason(err) != tt.want || v != nil {
				t.Errorf("Decode: %v, %v; want reason %q", v, err, tt.want)
			}
		})
	}
}

func TestEdge31_Size(t *testing.T) {
	if got := reason(Check([]byte(`"aaaa"`), 5)); got != ReasonLimit {
		t.Errorf("reason %q, want %q", got, ReasonLimit)
	}
	if err := Check([]byte(`"aaa"`), 5); err != nil {
		t.Error(err)
	}
	// Whoever ignores the failure of NewParser reads nothing.
	p := NewParser([]byte(`{"a":1}`), 2)
	if p.Kind() != Invalid || p.Object(func([]byte) error { t.Error("called"); return nil }) == nil || p.End() == nil {
		t.Error("a failed parser goes on")
	}
}

func TestEdge26_FoldedNames(t *testing.T) {
	read := func(in string) (keyid string, err error) {
		p := NewParser([]byte(in), 0)
		err = p.Object(func(name []byte) (err error) {
			if string(name) == "keyid" {
				keyid, err = p.String()
				return err
			}
			return p.Unknown(name, "keyid", "sig")
		})
		return keyid, err
	}
	for _, in := range []string{
		`{"keyid":"a","KeyID":"b"}`, `{"KEYID":"b"}`, `{"\u212aeyid":"b"}`, `{"Keyid":"b","keyid":"a"}`, `{"\u017fig":1}`, `{"\u017fIG":1}`,
	} {
		if id, err := read(in); reason(err) != ReasonCase {
			t.Errorf("%s: %q, %v", in, id, err)
		}
		// The premise: the standard decoder folds these.
		var v struct {
			KeyID any `json:"keyid"`
			Sig   any `json:"sig"`
		}
		if json.Unmarshal([]byte(in), &v); v.KeyID == nil && v.Sig == nil {
			t.Errorf("%s: encoding/json does not fold the name", in)
		}
	}
	if id, err := read(`{"keyid":"a","key_id":"b","keyid2":"c","Other":1}`); err != nil || id != "a" {
		t.Errorf("%q, %v", id, err)
	}
}

func TestParserStaysFailed(t *testing.T) {
	p := NewParser([]byte(`[1,x,2]`), 0)
	n := 0
	err := p.Array(func(int) error { n++; p.Skip(); return nil }) // ignores the error
	if err == nil || n > 2 {
		t.Errorf("%d elements, %v", n, err)
	}
	if p.End() == nil || p.Skip() == nil || p.Kind() != Invalid {
		t.Error("the parser recovered")
	}

	mine := errors.New("mine")
	p = NewParser([]byte(`{"a":1}`), 0)
	if err := p.Object(func([]byte) error { return mine }); err != mine || p.End() != mine {
		t.Errorf("%v, %v", err, p.End())
	}

	p = NewParser([]byte(`{"a":1}`), 0)
	if err := p.Object(func([]byte) error { return nil }); reason(err) != ReasonSyntax {
		t.Errorf("a value that was not read: %v", err)
	}
}

func TestKindsAndRaw(t *testing.T) {
	p := NewParser([]byte(` [ {"a" : [1, 2]} , "s", 12, true, null ] `), 0)
	err := p.Array(func(i int) (err error) {
		switch i {
		case 0:
			raw, err := p.Raw()
			if string(raw) != `{"a" : [1, 2]}` || cap(raw) != len(raw) {
				t.Errorf("raw %q", raw)
			}
			return err
		case 1:
			s, err := p.StringBytes()
			if string(s) != "s" || cap(s) != len(s) {
				t.Errorf("string %q", s)
			}
			return err
		case 2:
			n, err := p.Int()
			if n != 12 {
				t.Errorf("int %d", n)
			}
			return err
		case 3:
			b, err := p.Bool()
			if !b {
				t.Error("false")
			}
			return err
		}
		return p.Null()
	})
	if err == nil {
		err = p.End()
	}
	if err != nil {
		t.Fatal(err)
	}
	for in, read := range map[string]func(*Parser) error{
		`1`:   func(p *Parser) error { _, err := p.String(); return err },
		`"1"`: func(p *Parser) error { _, err := p.Number(); return err },
		`1.5`: func(p *Parser) error { _, err := p.Int(); return err },
		`[]`:  func(p *Parser) error { return p.Object(nil) },
		`{}`:  func(p *Parser) error { return p.Array(nil) },
		`"t"`: func(p *Parser) error { _, err := p.Bool(); return err },
		`0`:   func(p *Parser) error { return p.Null() },
	} {
		if read(NewParser([]byte(in), 0)) == nil {
			t.Errorf("%s is read as another kind", in)
		}
	}
}

type inner struct {
	Value string `json:"value"`
}

type outer struct {
	Name   string           `json:"name"`
	List   []inner          `json:"list"`
	Map    map[string]inner `json:"map"`
	Ptr    *inner           `json:"ptr"`
	Raw    json.RawMessage  `json:"raw"`
	Hidden string           `json:"-"`
	//lint:ignore SA5008 this is the tag for a field named "-"
	Dash string `json:"-,"`
	inner
	*Embedded
}

// Embedded is exported, since encoding/json cannot set an unexported one.
type Embedded struct {
	Deep string `json:"deep"`
}

func TestInto(t *testing.T) {
	var v outer
	in := `{"name":"n","list":[{"value":"a"}],"map":{"K":{"value":"b"},"k":{}},"ptr":{"value":"c"},"raw":{"X":1,"x":2},
		"value":"d","deep":"e","-":"f","Hidden":"g","unknown":{"NAME":1}}`
	if err := Into([]byte(in), 0, &v); err != nil {
		t.Fatal(err)
	}
	if v.Name != "n" || v.List[0].Value != "a" || v.Map["K"].Value != "b" || v.Ptr.Value != "c" || v.Value != "d" || v.Deep != "e" || v.Dash != "f" || v.Hidden != "" {
		t.Errorf("%+v", v)
	}
	for in, want := range map[string]string{
		`{"Name":"n"}`:                       ReasonCase,
		`{"list":[{"VALUE":"a"}]}`:           ReasonCase,
		`{"map":{"k":{"Value":"a"}}}`:        ReasonCase,
		`{"ptr":{"vAlue":"a"}}`:              ReasonCase,
		`{"Value":"a"}`:                      ReasonCase, // of an embedded struct
		`{"DEEP":"a"}`:                       ReasonCase, // of an embedded pointer
		`{"li\u017ft":[]}`:                   ReasonCase,
		`{"name":"a","name":"b"}`:            ReasonDuplicate,
		`{"unknown":{"a":1,"a":2}}`:          ReasonDuplicate,
		`{"name":1}`:                         ReasonSyntax,
		`{"name":"a"} 1`:                     ReasonSyntax,
		`{"raw":"\ud800"}`:                   ReasonEncoding,
		`{"raw":` + strings.Repeat("[", 200): ReasonLimit,
	} {
		var v outer
		if got := reason(Into([]byte(in), 0, &v)); got != want {
			t.Errorf("%.60s: reason %q, want %q", in, got, want)
		}
	}
}

// Whatever is accepted here, encoding/json accepts, and reads the same value;
// a document has no other reading. And the ways to read agree with each other.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		`{"a":[1,-0,1.5e3,"\u00e9\ud83d\ude00",true,null],"b":{"a":{}}}`, `{"a":1,"\u0061":2}`, `"\ud800"`, "\"\xff\"", `9007199254740993`,
		`1e999`, `[1,]`, `{}{}`, "\ufeff1", `0.1e-10`, `{"payload":"","Payload":""}`, strings.Repeat("[", 130), `[01]`, `"\u2028\/"`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := Decode(data, 0)
		if cerr := Check(data, 0); reason(cerr) != reason(err) {
			t.Fatalf("Check: %v, Decode: %v", cerr, err)
		}
		if err != nil {
			if got != nil || reason(err)[0] == 'u' {
				t.Fatalf("%v beside %v", got, err)
			}
			return
		}
		if want := std(t, data); !reflect.DeepEqual(got, want) {
			t.Fatalf("%#v, encoding/json: %#v", got, want)
		}
		p := NewParser(data, 0)
		raw, err := p.Raw()
		if err != nil || !bytes.Equal(raw, bytes.Trim(data, " \t\r\n")) {
			t.Fatalf("Raw = %q, %v", raw, err)
		}
		var v any
		if err := Into(data, 0, &v); err != nil {
			t.Fatalf("Into: %v", err)
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	var buf bytes.Buffer
	buf.WriteString(`{"subject":[`)
	for i := range 1000 {
		if i > 0 {
			buf.WriteByte(',')
		}
		fmt.Fprintf(&buf, `{"name":"dir/file%d","digest":{"sha256":"%064d","sha512":"%0128d"}}`, i, i, i)
	}
	buf.WriteString(`]}`)
	b.SetBytes(int64(buf.Len()))
	b.ReportAllocs()
	for b.Loop() {
		if err := Check(buf.Bytes(), 0); err != nil {
			b.Fatal(err)
		}
	}
}

func TestPlainWord(t *testing.T) {
	for c := range 256 {
		for at := range 8 {
			// Beside bytes that borrow from their neighbours, and others.
			for _, fill := range []byte{' ', '!', '#', '[', ']', 'a', 0x7f} {
				b := bytes.Repeat([]byte{fill}, 8)
				b[at] = byte(c)
				if got := plainWord(binary.LittleEndian.Uint64(b)); got != plain[c] {
					t.Fatalf("%q: %v", b, got)
				}
			}
		}
	}
}

// A value can be read again after it could not be read as something else.
func TestReturn(t *testing.T) {
	p := NewParser([]byte(`{"a": 1, "b": {"c": "x", "d": [2]}, "e": 3}`), 0)
	var names, inner []string
	err := p.Object(func(name []byte) error {
		names = append(names, string(name))
		if string(name) != "b" {
			return p.Skip()
		}
		start := p.State()
		if err := p.Object(func([]byte) error { _, err := p.Int(); return err }); err == nil {
			t.Error("a string was read as a number")
		}
		p.Return(start)
		return p.Object(func(name []byte) error {
			inner = append(inner, string(name))
			return p.Skip()
		})
	})
	if err == nil {
		err = p.End()
	}
	if err != nil || len(names) != 3 || len(inner) != 2 {
		t.Errorf("%v, names %q, %q inside", err, names, inner)
	}
	// Names are compared as before.
	p = NewParser([]byte(`{"a": {"a": 1}, "a": 2}`), 0)
	err = p.Object(func([]byte) error {
		start := p.State()
		if err := p.Skip(); err != nil {
			return err
		}
		p.Return(start)
		return p.Skip()
	})
	if err == nil {
		t.Error("a name that comes twice was read")
	}
}
