package strictjson

import (
	"encoding/json"
	"reflect"
	"strings"
	"sync"
)

// Into reads the whole document into v with encoding/json, after checking it
// as [Check] does and refusing, wherever v has a struct, a name that
// encoding/json would fold into a field but that is not spelled exactly so,
// and a null in a list whose elements cannot be null, which encoding/json
// would take for a zero value. Unknown names are ignored. It is for documents off the hot path whose fields
// are many; what is read for every statement uses a [Parser].
func Into(data []byte, maxBytes int, v any) error {
	p := NewParser(data, maxBytes)
	if err := p.matchNames(reflect.TypeOf(v)); err != nil {
		return err
	}
	if err := p.End(); err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		switch err.(type) {
		case *json.SyntaxError, *json.UnmarshalTypeError:
			return &Error{Reason: ReasonSyntax, Offset: p.pos, Msg: strings.TrimPrefix(err.Error(), "json: ")}
		}
		return err // of a json.Unmarshaler, which has its own reasons
	}
	return nil
}

var (
	unmarshalerType = reflect.TypeFor[json.Unmarshaler]()
	rawType         = reflect.TypeFor[json.RawMessage]()
)

// matchNames consumes a value that is going to be decoded into a t.
func (p *Parser) matchNames(t reflect.Type) error {
	for t != nil && t.Kind() == reflect.Pointer {
		if t.Implements(unmarshalerType) {
			return p.Skip()
		}
		t = t.Elem()
	}
	if t == nil || reflect.PointerTo(t).Implements(unmarshalerType) {
		return p.Skip()
	}
	switch k := p.Kind(); {
	case k == Object && t.Kind() == reflect.Struct:
		fields := fieldsOf(t)
		return p.Object(func(name []byte) error {
			if ft, ok := fields[string(name)]; ok {
				return p.matchNames(ft)
			}
			for known := range fields {
				if strings.EqualFold(known, string(name)) {
					return p.fail(ReasonCase, "name %s differs from %q by case only", quote(name), known)
				}
			}
			return p.Skip()
		})
	case k == Object && t.Kind() == reflect.Map:
		return p.Object(func([]byte) error { return p.matchNames(t.Elem()) })
	case k == Array && (t.Kind() == reflect.Slice || t.Kind() == reflect.Array):
		return p.Array(func(int) error {
			if p.Kind() == Null {
				switch t.Elem().Kind() {
				case reflect.Interface, reflect.Pointer:
				default:
					if t.Elem() != rawType {
						return p.fail(ReasonSyntax, "null in a list")
					}
				}
			}
			return p.matchNames(t.Elem())
		})
	}
	return p.Skip()
}

var fieldCache sync.Map // reflect.Type -> map[string]reflect.Type

// fieldsOf returns the JSON names of t's fields, those of embedded structs
// included.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	if m, ok := fieldCache.Load(t); ok {
		return m.(map[string]reflect.Type)
	}
	m := make(map[string]reflect.Type)
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("json")
		name, _, _ := strings.Cut(tag, ",")
		ft := f.Type
		if f.Anonymous && ft.Kind() == reflect.Pointer {
			ft = ft.Elem()
		}
		switch {
		case tag == "-" || !f.IsExported() && !f.Anonymous:
			continue
		case f.Anonymous && name == "" && ft.Kind() == reflect.Struct:
			for n, ft := range fieldsOf(ft) {
				if _, outer := m[n]; !outer { // the outer field shadows it
					m[n] = ft
				}
			}
			continue
		case name == "":
			name = f.Name
		}
		m[name] = f.Type
	}
	fieldCache.Store(t, m)
	return m
}
