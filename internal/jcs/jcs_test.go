package jcs

import (
	"bytes"
	"math"
	"slices"
	"testing"
	"unicode/utf16"

	"github.com/hallmark-build/hallmark/internal/strictjson"
)

func TestTransform(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"primitive values, RFC 8785 section 3.2.2",
			"{\n  \"numbers\": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],\n  \"string\": \"\\u20ac$\\u000F\\u000aA'\\u0042\\u0022\\u005c\\\\\\\"\\/\",\n  \"literals\": [null, true, false]\n}",
			"{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],\"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}"},
		{"sorting, RFC 8785 section 3.2.3",
			`{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One","\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"}`,
			"{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u0080\":\"Control\",\"ö\":\"Latin Small Letter O With Diaeresis\",\"€\":\"Euro Sign\",\"😀\":\"Emoji: Grinning Face\",\"\ufb33\":\"Hebrew Letter Dalet With Dagesh\"}"},
		{"nothing is normalised", `{"a":"A\u030a"}`, "{\"a\":\"A\u030a\"}"},
		{"nested, and a name that is a prefix of another", ` { "b" : [ { } , [ ] , "" ] , "ab" : -0 , "a" : 1.0 } `, `{"a":1,"ab":0,"b":[{},[],""]}`},
		{"what HTML would escape", `"<a&b>\u2028\u007f"`, "\"<a&b>\u2028\u007f\""},
	} {
		got, err := Transform([]byte(c.in), 0)
		if err != nil || string(got) != c.want {
			t.Errorf("%s:\n got %s, %v\nwant %s", c.name, got, err, c.want)
		}
	}
}

// RFC 8785 appendix B.
func TestNumbers(t *testing.T) {
	for _, c := range []struct {
		bits uint64
		want string // "" for none
	}{
		{0x0000000000000000, "0"},
		{0x8000000000000000, "0"},
		{0x0000000000000001, "5e-324"},
		{0x8000000000000001, "-5e-324"},
		{0x7fefffffffffffff, "1.7976931348623157e+308"},
		{0xffefffffffffffff, "-1.7976931348623157e+308"},
		{0x4340000000000000, "9007199254740992"},
		{0xc340000000000000, "-9007199254740992"},
		{0x4430000000000000, "295147905179352830000"},
		{0x7fffffffffffffff, ""},
		{0x7ff0000000000000, ""},
		{0x44b52d02c7e14af5, "9.999999999999997e+22"},
		{0x44b52d02c7e14af6, "1e+23"},
		{0x44b52d02c7e14af7, "1.0000000000000001e+23"},
		{0x444b1ae4d6e2ef4e, "999999999999999700000"},
		{0x444b1ae4d6e2ef4f, "999999999999999900000"},
		{0x444b1ae4d6e2ef50, "1e+21"},
		{0x3eb0c6f7a0b5ed8c, "9.999999999999997e-7"},
		{0x3eb0c6f7a0b5ed8d, "0.000001"},
		{0x41b3de4355555553, "333333333.3333332"},
		{0x41b3de4355555554, "333333333.33333325"},
		{0x41b3de4355555555, "333333333.3333333"},
		{0x41b3de4355555556, "333333333.3333334"},
		{0x41b3de4355555557, "333333333.33333343"},
		{0xbecbf647612f3696, "-0.0000033333333333333333"},
		{0x43143ff3c1cb0959, "1424953923781206.2"},
	} {
		got, err := appendNumber(nil, math.Float64frombits(c.bits))
		if string(got) != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%016x: got %q, %v, want %q", c.bits, got, err, c.want)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, in := range []string{``, `{"a":1,"a":2}`, `{"a":1,"\u0061":2}`, `"\ud800"`, "\"\xff\"", `1e999`, `9007199254740993`, `{} {}`, "\ufeff{}", `[NaN]`} {
		if got, err := Transform([]byte(in), 0); err == nil {
			t.Errorf("%q: got %s, want an error", in, got)
		}
	}
	for _, v := range []any{int(1), "\xff", map[string]any{"\xff": nil}, []any{math.NaN()}, struct{}{}} {
		if got, err := Append(nil, v); err == nil {
			t.Errorf("%#v: got %s, want an error", v, got)
		}
	}
}

func TestOrderIsThatOfUTF16(t *testing.T) {
	runes := []rune{0, 'a', 0x7f, 0x80, 0x7ff, 0x800, 0xd7ff, 0xe000, 0xfb33, 0xffff, 0x10000, 0x1f600, 0x10ffff}
	var names []string
	for _, a := range runes {
		names = append(names, string(a))
		for _, b := range runes {
			names = append(names, string([]rune{a, b}))
		}
	}
	for _, a := range names {
		for _, b := range names {
			want := slices.Compare(utf16.Encode([]rune(a)), utf16.Encode([]rune(b)))
			got := compareUTF16(a, b)
			if got < 0 != (want < 0) || got > 0 != (want > 0) {
				t.Fatalf("%q and %q: got %d, want %d", a, b, got, want)
			}
		}
	}
}

// The canonical form is a document that says the same, and its own canonical form.
func FuzzTransform(f *testing.F) {
	for _, s := range []string{`{"b":1.50,"a":[true,null,"\u20ac\n"]}`, `[1e-7,1e21,-0,123456789012]`, `"😀"`, `{"":{}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		once, err := Transform(in, 1<<20)
		if err != nil {
			if _, ok := err.(*strictjson.Error); !ok {
				t.Fatalf("%q: error of type %T: %v", in, err, err)
			}
			return
		}
		v, err := strictjson.Decode(once, 0)
		if err != nil {
			// An integer beyond 2^53 that was written as 1e20 is one that
			// readers disagree about once it is written out.
			if e, ok := err.(*strictjson.Error); ok && e.Reason == strictjson.ReasonNumber {
				return
			}
			t.Fatalf("%q: canonical form %q: %v", in, once, err)
		}
		twice, err := Append(nil, v)
		if err != nil || !bytes.Equal(once, twice) {
			t.Fatalf("%q: %q, then %q, %v", in, once, twice, err)
		}
	})
}
