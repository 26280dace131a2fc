package cel

import (
	"errors"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"

	"github.com/hallmark-build/hallmark/internal/limits"
)

// stringFunctions declares functions of CEL's strings extension
// (github.com/google/cel-spec, doc/extensions/strings.md). cel-go has them
// too, but it builds results of any size, and brings the locales of the world.
func stringFunctions() []cel.EnvOption {
	str, num, list := cel.StringType, cel.IntType, cel.ListType(cel.StringType)
	method := func(name, id string, result *cel.Type, args []*cel.Type, f func(s string, args []ref.Val) (any, error)) cel.EnvOption {
		return cel.Function(name, cel.MemberOverload(id, append([]*cel.Type{str}, args...), result,
			cel.FunctionBinding(func(args ...ref.Val) ref.Val {
				for _, a := range args {
					if s, ok := a.(types.String); ok && len(s) > limits.ConditionString {
						return types.NewErr("%s: a string of %d bytes exceeds the limit of %d", name, len(s), limits.ConditionString)
					}
				}
				out, err := f(string(args[0].(types.String)), args[1:])
				if err != nil {
					return types.NewErr("%s: %v", name, err)
				}
				return types.DefaultTypeAdapter.NativeToValue(out)
			})))
	}
	// What a call reads and what it makes, each counted in full.
	price := cost.EvalCost(cost.Sum(cost.Const(1), cost.Length(cost.Target()), cost.Length(cost.Result())))
	model := func(ids ...string) (models []cost.OverloadModel) {
		for _, id := range ids {
			models = append(models, cost.MemberOverload(id, price))
		}
		return models
	}
	of := func(t ...*cel.Type) []*cel.Type { return t }

	return []cel.EnvOption{
		method("charAt", "string_char_at_int", str, of(num), func(s string, args []ref.Val) (any, error) {
			i := integer(args[0])
			if i == int64(utf8.RuneCountInString(s)) {
				return "", nil
			}
			return substring(s, i, i+1)
		}),
		method("indexOf", "string_index_of_string", num, of(str), func(s string, args []ref.Val) (any, error) {
			return runeIndex(s, strings.Index(s, text(args[0]))), nil
		}),
		method("lastIndexOf", "string_last_index_of_string", num, of(str), func(s string, args []ref.Val) (any, error) {
			return runeIndex(s, strings.LastIndex(s, text(args[0]))), nil
		}),
		method("lowerAscii", "string_lower_ascii", str, nil, func(s string, _ []ref.Val) (any, error) {
			return mapASCII(s, 'A', 'Z', 'a'-'A'), nil
		}),
		method("upperAscii", "string_upper_ascii", str, nil, func(s string, _ []ref.Val) (any, error) {
			return mapASCII(s, 'a', 'z', 'A'-'a'), nil
		}),
		method("trim", "string_trim", str, nil, func(s string, _ []ref.Val) (any, error) {
			return strings.TrimSpace(s), nil
		}),
		method("replace", "string_replace_string_string", str, of(str, str), func(s string, args []ref.Val) (any, error) {
			from, to := text(args[0]), text(args[1])
			if n := strings.Count(s, from); len(s)+n*(len(to)-len(from)) > limits.ConditionString {
				return nil, errLong
			}
			return strings.ReplaceAll(s, from, to), nil
		}),
		method("split", "string_split_string", list, of(str), func(s string, args []ref.Val) (any, error) {
			return strings.Split(s, text(args[0])), nil
		}),
		method("substring", "string_substring_int", str, of(num), func(s string, args []ref.Val) (any, error) {
			return substring(s, integer(args[0]), int64(utf8.RuneCountInString(s)))
		}),
		method("substring", "string_substring_int_int", str, of(num, num), func(s string, args []ref.Val) (any, error) {
			return substring(s, integer(args[0]), integer(args[1]))
		}),
		cel.Function("join",
			cel.MemberOverload("list_join", of(list), str,
				cel.UnaryBinding(func(l ref.Val) ref.Val { return join(l, types.String("")) })),
			cel.MemberOverload("list_join_string", of(list, str), str,
				cel.BinaryBinding(join)),
		),
		cel.CostModel(model("string_char_at_int", "string_index_of_string", "string_last_index_of_string",
			"string_lower_ascii", "string_upper_ascii", "string_trim", "string_replace_string_string",
			"string_split_string", "string_substring_int", "string_substring_int_int", "list_join", "list_join_string")...),
	}
}

var errLong = errors.New("the result would be too long")

func text(v ref.Val) string   { return string(v.(types.String)) }
func integer(v ref.Val) int64 { return int64(v.(types.Int)) }

// runeIndex turns an index in bytes into one in code points.
func runeIndex(s string, i int) int64 {
	if i < 0 {
		return -1
	}
	return int64(utf8.RuneCountInString(s[:i]))
}

// substring returns the code points from (inclusive) to (exclusive).
func substring(s string, from, to int64) (any, error) {
	r := []rune(s)
	if from < 0 || to < from || to > int64(len(r)) {
		return nil, errors.New("index out of range")
	}
	return string(r[from:to]), nil
}

func mapASCII(s string, first, last byte, by int) string {
	b := []byte(s)
	for i, c := range b {
		if first <= c && c <= last {
			b[i] = byte(int(c) + by)
		}
	}
	return string(b)
}

func join(l, separator ref.Val) ref.Val {
	list, sep := l.(traits.Lister), text(separator)
	var b strings.Builder
	for i := types.Int(0); i < list.Size().(types.Int); i++ {
		s, ok := list.Get(i).(types.String)
		if !ok {
			return types.NewErr("join: element %d is not a string", int64(i))
		}
		if i > 0 {
			b.WriteString(sep)
		}
		if b.Len()+len(sep)+len(s) > limits.ConditionString {
			return types.NewErr("join: %v", errLong)
		}
		b.WriteString(string(s))
	}
	return types.String(b.String())
}
