package provenance

import (
	"encoding/json"
	"testing"
)

// TestEdge30_NullDescriptor: a null in a list of descriptors is no descriptor.
func TestEdge30_NullDescriptor(t *testing.T) {
	for in, want := range map[string]int{`null`: 0, `[]`: 0, ` [{"uri":"u"},{"name":"n","digest":null,"annotations":{"x":null}}] `: 2} {
		list, err := UnmarshalResourceDescriptors([]byte(in))
		if err != nil || len(list) != want {
			t.Errorf("%s: got %+v, %v", in, list, err)
		}
	}
	for _, in := range []string{``, `{}`, `[null]`, `[{"uri":"u"},null]`, `["u"]`, `[{"uri":"u"}] x`, `[{"uri":"u","URI":"v"}]`,
		`[{"uri":"u","uri":"v"}]`, `[{"uri":7}]`, `[{"digest":{"sha256":"AB"}}]`, `[{"digest":{"sha256":null}}]`, `[{"content":"a"}]`, `[{"annotations":[]}]`} {
		list, err := UnmarshalResourceDescriptors([]byte(in))
		if err == nil {
			t.Errorf("%s: got %+v", in, list)
			continue
		}
		if _, ok := err.(*FormatError); !ok {
			t.Errorf("%s: error %v is a %T", in, err, err)
		}
	}
}

func TestNullDigestSet(t *testing.T) {
	v := struct{ Digest DigestSet }{DigestSet{MustDigest("gitCommit:c27d339ee6075c1f744c5d4b200f7901aad2c369")}}
	if err := json.Unmarshal([]byte(`{"Digest":null}`), &v); err != nil || v.Digest != nil {
		t.Errorf("got %v, %v", v.Digest, err)
	}
}
