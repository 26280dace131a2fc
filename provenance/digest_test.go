package provenance

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

var (
	ones = strings.Repeat("1", 64)
	twos = strings.Repeat("2", 64)
)

func reasonOf(err error) string {
	var fe *FormatError
	if errors.As(err, &fe) {
		return fe.Reason
	}
	return ""
}

func TestEdge37_MalformedDigests(t *testing.T) {
	for name, c := range map[string]struct{ algorithm, value string }{
		"no algorithm":       {"", ones},
		"no value":           {"sha256", ""},
		"no value, unknown":  {"arn", ""},
		"short":              {"sha256", ones[1:]},
		"long":               {"sha256", ones + "1"},
		"of sha512":          {"sha256", ones + ones},
		"of sha1":            {"sha256", ones[:40]},
		"upper case":         {"sha256", strings.Repeat("A", 64)},
		"not hex":            {"sha256", strings.Repeat("g", 64)},
		"blank":              {"sha256", " " + ones[1:]},
		"line feed":          {"sha256", ones[1:] + "\n"},
		"prefixed":           {"sha256", "sha256:" + ones},
		"prefixed, in place": {"sha256", "sha256:" + ones[7:]},
		"0x":                 {"sha256", "0x" + ones[2:]},
		"full-width digits":  {"sha256", strings.Repeat("１", 64)},
		"commit of 41":       {"gitCommit", ones[:41]},
		"commit of 64 upper": {"gitCommit", strings.Repeat("F", 64)},
		"sha512 of 64":       {"sha512", ones},
		"md5 of 64":          {"md5", ones},
	} {
		if d, err := NewDigest(Algorithm(c.algorithm), c.value); err == nil || reasonOf(err) != ReasonDigest || !d.IsZero() {
			t.Errorf("%s: NewDigest: %v, %v", name, d, err)
		}
		if d, err := ParseDigest(c.algorithm + ":" + c.value); err == nil || !d.IsZero() {
			t.Errorf("%s: ParseDigest: %v, %v", name, d, err)
		}
		doc, err := json.Marshal(map[string]string{c.algorithm: c.value})
		if err != nil {
			t.Fatal(err)
		}
		var set DigestSet
		if err := json.Unmarshal(doc, &set); err == nil {
			t.Errorf("%s: %s was read as %v", name, doc, set)
		}
	}
	for _, s := range []string{"", "sha256", ones, ":"} {
		if _, err := ParseDigest(s); reasonOf(err) != ReasonDigest {
			t.Errorf("ParseDigest(%q): %v", s, err)
		}
	}
	var set DigestSet
	for _, doc := range []string{`[]`, `"` + ones + `"`, `{"sha256":1}`, `{"sha256":null}`, `{"sha256":"` + ones + `","sha256":"` + twos + `"}`,
		`{"dirHash":"` + ones + `","dirHash1":"` + ones + `"}`} {
		if err := json.Unmarshal([]byte(doc), &set); err == nil {
			t.Errorf("%s was read", doc)
		}
	}
	if _, err := json.Marshal(DigestSet{{}}); err == nil {
		t.Error("the zero digest was written")
	}
	if _, err := json.Marshal(DigestSet{MustDigest("sha256:" + ones), MustDigest("sha256:" + twos)}); err == nil {
		t.Error("two digests under one algorithm were written")
	}
	if _, err := (Digest{}).MarshalText(); err == nil {
		t.Error("the zero digest has a text")
	}
}

func TestDigest(t *testing.T) {
	d := MustDigest("sha256:" + ones)
	if d.Algorithm() != SHA256 || d.Value() != ones || d.String() != "sha256:"+ones || d.Short() != "sha256:111111111111" || d.IsZero() {
		t.Errorf("%v %v %v", d, d.Short(), d.IsZero())
	}
	if e, err := NewDigest(SHA256, ones); err != nil || e != d || e.Compare(d) != 0 {
		t.Errorf("%v, %v", e, err)
	}
	text, err := d.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	var back Digest
	if err := back.UnmarshalText(text); err != nil || back != d {
		t.Errorf("%v, %v", back, err)
	}
	if err := back.UnmarshalText([]byte("sha256:1")); err == nil {
		t.Error("a short digest was read")
	}
	// The two spellings of the specification are one algorithm.
	if d, err := NewDigest("dirHash1", ones); err != nil || d.Algorithm() != DirHash {
		t.Errorf("%v, %v", d, err)
	}
	if (Digest{}).String() != "" || (Digest{}).Short() != "" {
		t.Error("the zero digest has a name")
	}
}

func TestEdge36_ValueUnderAnotherAlgorithm(t *testing.T) {
	a, b := MustDigest("sha256:"+ones), MustDigest("sha3_256:"+ones)
	if a == b || a.Compare(b) == 0 || (DigestSet{a}).Matches(DigestSet{b}) {
		t.Error("equal by value alone")
	}
	if !(DigestSet{a}).Get("sha512").IsZero() || !(DigestSet{a}).Get("").IsZero() {
		t.Error("found under another name")
	}
	if (DigestSet{}).Matches(DigestSet{}) || (DigestSet{{}}).Matches(DigestSet{{}}) || (DigestSet)(nil).Matches(nil) {
		t.Error("nothing matches nothing")
	}
}

func TestEdge38_WeakAndContradictingDigests(t *testing.T) {
	set := func(list ...string) (s DigestSet) {
		for _, d := range list {
			s = append(s, MustDigest(d))
		}
		return s
	}
	sha512 := "sha512:" + ones + ones
	other512 := "sha512:" + twos + twos
	for _, c := range []struct {
		name string
		a, b DigestSet
		want bool
	}{
		{"same", set("sha256:" + ones), set("sha256:" + ones), true},
		{"one in common", set("sha256:"+ones, sha512), set("sha256:" + ones), true},
		{"weak only", set("md5:" + ones[:32]), set("md5:" + ones[:32]), false},
		{"sha1 only", set("sha1:" + ones[:40]), set("sha1:" + ones[:40]), false},
		{"weak agrees, strong on one side", set("sha1:"+ones[:40], "sha256:"+ones), set("sha1:" + ones[:40]), false},
		{"strong agrees, weak does not", set("sha1:"+ones[:40], "sha256:"+ones), set("sha1:"+twos[:40], "sha256:"+ones), true},
		{"one agrees, one does not", set("sha256:"+ones, sha512), set("sha256:"+ones, other512), false},
		{"none in common", set("sha256:" + ones), set(sha512), false},
		{"commit and sha1", set("gitCommit:" + ones[:40]), set("sha1:" + ones[:40]), false},
		{"commit and tree", set("gitCommit:" + ones[:40]), set("gitTree:" + ones[:40]), false},
	} {
		if got, back := c.a.Matches(c.b), c.b.Matches(c.a); got != c.want || back != c.want {
			t.Errorf("%s: %v and back %v, want %v", c.name, got, back, c.want)
		}
	}
}
