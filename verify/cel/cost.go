package cel

import (
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/overloads"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// prices is the cost of what cel-go prices by the outer size of its operands
// alone, though it looks at all that is in them: comparing two lists of one
// list of a million numbers would cost one.
type prices struct{ limit uint64 }

// CallCost implements cost.ActualCostEstimator.
func (p prices) CallCost(function, _ string, args []ref.Val, _ ref.Val) *uint64 {
	var cost uint64
	switch {
	case function == "join": // also one that fails because it would be too long
		cost = weigh(args[0], p.limit+1)
		if len(args) == 2 {
			cost += cost * weigh(args[1], p.limit+1)
		}
	case len(args) != 2:
		return nil
	case function == overloads.Matches:
		// The automaton of a pattern may be in as many states as the pattern
		// is long, at each byte; cel-go takes a quarter of them.
		text, ok := args[0].(types.String)
		pattern, ok2 := args[1].(types.String)
		if !ok || !ok2 {
			return nil
		}
		cost = (uint64(len(text))/10 + 1) * uint64(len(pattern))
	case function == operators.Equals || function == operators.NotEquals:
		// Equality ends with the smaller of the two at the latest.
		cost = weigh(args[0], p.limit+1)
		cost = weigh(args[1], cost)
	case function == operators.In:
		list, ok := args[1].(traits.Lister)
		if !ok {
			return nil // the keys of a map are hashed
		}
		// Each element is compared with the first operand, which is not larger
		// than the whole list wherever that is the smaller one.
		n := uint64(list.Size().(types.Int))
		one := weigh(args[0], p.limit+1)
		cost = 1 + n
		if one > 1 && n > 0 {
			cost += min(n*min(one, p.limit/n+1), weigh(list, p.limit+1))
		}
	default:
		return nil
	}
	return &cost
}

// weigh returns the number of values in v, v included, and one for each ten
// bytes of strings, or most if there are more.
func weigh(v any, most uint64) uint64 {
	n := uint64(1)
	add := func(v any) bool {
		n += weigh(v, most-min(n, most))
		return n < most
	}
	switch v := v.(type) {
	case string:
		n += uint64(len(v) / 10)
	case []any:
		for _, e := range v {
			if !add(e) {
				break
			}
		}
	case map[string]any:
		for k, e := range v {
			if !add(k) || !add(e) {
				break
			}
		}
	case types.String:
		n += uint64(len(v) / 10)
	case types.Bytes:
		n += uint64(len(v) / 10)
	case traits.Lister:
		if native, ok := v.Value().([]any); ok {
			return weigh(native, most)
		}
		for i := types.Int(0); i < v.Size().(types.Int) && add(v.Get(i)); i++ {
		}
	case traits.Mapper:
		if native, ok := v.Value().(map[string]any); ok {
			return weigh(native, most)
		}
		for it := v.Iterator(); it.HasNext() == types.True; {
			k := it.Next()
			if !add(k) || !add(v.Get(k)) {
				break
			}
		}
	}
	return min(n, most)
}
