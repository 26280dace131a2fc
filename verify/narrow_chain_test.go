package verify_test

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hallmark-build/hallmark/verify"
)

// TestNarrowIsNarrower changes the policies of generated chains at random.
// Whenever Narrow accepts the change, what passes the narrower policy must pass
// the other one.
func TestNarrowIsNarrower(t *testing.T) {
	seeds := uint64(400)
	if testing.Short() {
		seeds = 100
	}
	accepted, passed, stricter := 0, 0, 0
	for seed := range seeds {
		c := generate(seedBytes(seed))
		r := rand.New(rand.NewPCG(seed, 1))
		m := &mutator{Rand: r, pool: map[string][]reflect.Value{}}
		for range 4 {
			changed := copyPolicy(t, c.policy)
			m.collect("", reflect.ValueOf(changed).Elem())
			for range 1 + r.IntN(3) {
				m.change("", reflect.ValueOf(changed).Elem())
			}
			for _, pair := range [][2]*verify.Policy{{c.policy, changed}, {changed, c.policy}} {
				wide, narrow := pair[0], pair[1]
				if _, err := wide.Narrow(narrow); err != nil {
					continue
				}
				n, w := narrowVerdict(c, narrow), narrowVerdict(c, wide)
				if w == errNoPolicy {
					continue
				}
				accepted++
				switch {
				case n == nil && w != nil && !asksForMore(wide, narrow):
					a, _ := wide.YAML()
					b, _ := narrow.YAML()
					t.Fatalf("seed %d: passes the narrower policy, and not the other: %v\n%s\nnarrower\n%s", seed, w, a, b)
				case n == nil:
					passed++
				case w == nil:
					stricter++
				}
			}
		}
	}
	t.Logf("%d narrower policies, of which %d pass and %d refuse what passed", accepted, passed, stricter)
	if accepted < int(seeds)/2 || passed < int(seeds)/10 || stricter < int(seeds)/100 {
		t.Error("the test tests too little")
	}
}

// asksForMore reports whether the narrower policy wants more votes for a
// requirement of the other: such a run satisfies that one when thresholds are
// read as "at least", which the engine does not.
func asksForMore(wide, narrow *verify.Policy) bool {
	for name, s := range narrow.Stages {
		o := wide.Stages[name]
		if o == nil {
			continue // about others: it adds no votes to another stage
		}
		for i, r := range s.Requires {
			if i < len(o.Requires) && max(r.Threshold, 1) != max(o.Requires[i].Threshold, 1) {
				return true
			}
		}
	}
	return false
}

// errNoPolicy is for policies that New refuses.
var errNoPolicy = errors.New("no policy")

func narrowVerdict(c *genCase, p *verify.Policy) error {
	v, err := verify.New(p, verify.Options{Conditions: chainCompiler{}})
	if err != nil {
		return errNoPolicy
	}
	_, err = v.Verify(context.Background(), verify.Request{Artifacts: c.artifacts, Evidence: verify.NewEvidence(c.envelopes()...), At: now})
	return err
}

func copyPolicy(t *testing.T, p *verify.Policy) *verify.Policy {
	t.Helper()
	data, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	q := new(verify.Policy)
	if err := json.Unmarshal(data, q); err != nil {
		t.Fatal(err)
	}
	return q
}

// A mutator changes a policy in one place, mostly to something that stands in
// the same field elsewhere.
type mutator struct {
	*rand.Rand
	pool map[string][]reflect.Value // by field
}

func (m *mutator) collect(field string, v reflect.Value) {
	m.pool[field] = append(m.pool[field], v)
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			m.collect(field, v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			m.collect(field+"[]", v.Index(i))
		}
	case reflect.Map:
		keys := v.MapKeys()
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		for _, k := range keys {
			m.collect(field+"{}", v.MapIndex(k))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				m.collect(v.Type().Name()+"."+f.Name, v.Field(i))
			}
		}
	}
}

func (m *mutator) other(field string, v reflect.Value) {
	pool := m.pool[field]
	if o := pool[m.IntN(len(pool))]; o.Type() == v.Type() {
		v.Set(o)
	}
}

// change changes v or something in it.
func (m *mutator) change(field string, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() || m.IntN(8) == 0 {
			m.other(field, v)
		} else {
			m.change(field, v.Elem())
		}
	case reflect.Struct:
		var fields []int
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && f.Name != "Schema" && f.Name != "Name" {
				// What is there is more telling than what is not.
				fields = append(fields, i)
				if !v.Field(i).IsZero() {
					fields = append(fields, i, i)
				}
			}
		}
		if len(fields) == 0 {
			return
		}
		i := fields[m.IntN(len(fields))]
		m.change(v.Type().Name()+"."+v.Type().Field(i).Name, v.Field(i))
	case reflect.Slice:
		switch n := v.Len(); {
		case n > 0 && m.IntN(3) == 0: // one less
			i := m.IntN(n)
			v.Set(reflect.AppendSlice(v.Slice3(0, i, i), v.Slice(i+1, n)))
		case n > 0 && m.IntN(3) == 0:
			m.change(field+"[]", v.Index(m.IntN(n)))
		case len(m.pool[field+"[]"]) > 0 && m.IntN(2) == 0: // one more
			e := reflect.New(v.Type().Elem()).Elem()
			m.other(field+"[]", e)
			v.Set(reflect.Append(v.Slice3(0, n, n), e))
		default:
			m.other(field, v)
		}
	case reflect.Map:
		keys := v.MapKeys()
		if len(keys) == 0 {
			return
		}
		slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
		k := keys[m.IntN(len(keys))]
		if m.IntN(6) == 0 {
			v.SetMapIndex(k, reflect.Value{})
			return
		}
		e := reflect.New(v.Type().Elem()).Elem()
		e.Set(v.MapIndex(k))
		m.change(field+"{}", e)
		v.SetMapIndex(k, e)
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int64:
		switch m.IntN(4) {
		case 0:
			m.other(field, v)
		case 1:
			v.SetInt(v.Int() / 2)
		case 2:
			v.SetInt(v.Int() * 2)
		default:
			v.SetInt(v.Int() + 1)
		}
	case reflect.String:
		m.other(field, v)
	}
}
