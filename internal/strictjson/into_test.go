package strictjson

import (
	"encoding/json"
	"testing"
)

// TestEdge30_IntoNull: encoding/json would make a zero value of a null in a
// list, and so an entry that says nothing where the document has none.
func TestEdge30_IntoNull(t *testing.T) {
	type item struct{ Name string }
	var v struct {
		Items   []item
		Strings []string
		Maps    []map[string]any
		Lists   [][]int
		Free    []any
		Raw     []json.RawMessage
		Opt     []*item
		ByName  map[string][]item
	}
	for _, in := range []string{`{"Items":[null]}`, `{"Items":[{"Name":"a"},null]}`, `{"Strings":["a",null]}`, `{"Maps":[null]}`,
		`{"Lists":[null]}`, `{"Lists":[[null]]}`, `{"ByName":{"a":[null]}}`} {
		if err := Into([]byte(in), 0, &v); err == nil {
			t.Errorf("%s was accepted", in)
		}
	}
	for _, in := range []string{`{"Items":null,"Strings":null}`, `{"Free":[null]}`, `{"Raw":[null]}`, `{"Opt":[null]}`, `{"Maps":[{"a":null,"b":[null]}]}`} {
		if err := Into([]byte(in), 0, &v); err != nil {
			t.Errorf("%s: %v", in, err)
		}
	}
}
