package sigstoretest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"iter"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// A Mutant is a document with a single fault, or what looks like one.
type Mutant struct {
	Op   string // what was done: "remove", "flip 12", "donor", …
	Path string // to what: "verificationMaterial.tlogEntries.0.logIndex"
	Data []byte
}

func (m Mutant) String() string { return m.Op + " " + m.Path }

// Mutants changes one thing at a time in a JSON document: every field is
// removed, set to null and to values of other types, duplicated, given a name
// in another spelling and taken from each donor; every array is emptied,
// reversed, shortened and given an element twice; every number in a string is
// changed and re-encoded; every base64 value is flipped in one bit of every
// flipEach-th byte, shortened, lengthened and re-encoded; every other string
// is changed; and the document is reordered and followed by more data.
func Mutants(doc []byte, flipEach int, donors ...[]byte) iter.Seq[Mutant] {
	return func(yield func(Mutant) bool) {
		g := &generator{flipEach: flipEach, yield: yield}
		if err := json.Unmarshal(doc, &g.root); err != nil {
			panic(err)
		}
		for _, d := range donors {
			var v any
			if err := json.Unmarshal(d, &v); err != nil {
				panic(err)
			}
			g.donors = append(g.donors, v)
		}
		g.walk(g.root, nil)
		g.emitRaw("trailing data", nil, append(slices.Clone(doc), " {}"...))
		g.emitRaw("trailing space", nil, append(slices.Clone(doc), " \n"...))
		g.emitRaw("byte order mark", nil, append([]byte("\xef\xbb\xbf"), doc...))
		g.emitRaw("truncated", nil, doc[:len(doc)-1])
		g.emitRaw("reorder", nil, reordered(g.root))
	}
}

type generator struct {
	root     any
	donors   []any
	flipEach int
	stopped  bool
	yield    func(Mutant) bool
}

func (g *generator) emitRaw(op string, path []string, data []byte) {
	if !g.stopped && !g.yield(Mutant{op, strings.Join(path, "."), data}) {
		g.stopped = true
	}
}

// emit writes the document as it is now.
func (g *generator) emit(op string, path []string) {
	if !g.stopped {
		g.emitRaw(op, path, Must(json.Marshal(g.root)))
	}
}

const twin = "\x00twin "

func (g *generator) walk(v any, path []string) {
	if g.stopped {
		return
	}
	switch v := v.(type) {
	case map[string]any:
		names := make([]string, 0, len(v))
		for n := range v {
			names = append(names, n)
		}
		slices.Sort(names)
		for _, n := range names {
			at, old := append(slices.Clone(path), n), v[n]
			set := func(op string, value any) {
				v[n] = value
				g.emit(op, at)
				v[n] = old
			}
			delete(v, n)
			g.emit("remove", at)
			for _, spelling := range []string{snake(n), strings.ToUpper(n[:1]) + n[1:], strings.ToUpper(n), strings.Replace(n, "k", "\u212a", 1), strings.Replace(n, "s", "\u017f", 1)} {
				if spelling != n {
					v[spelling] = old
					g.emit("rename "+spelling, at)
					v[n] = old
					g.emit("add "+spelling, at)
					delete(v, n)
					delete(v, spelling)
				}
			}
			v[n] = old
			set("null", nil)
			for i, x := range []any{"", "x", 1, true, []any{}, map[string]any{}, []any{old}} {
				set([]string{"no string", "a string", "a number", "a boolean", "no array", "no object", "an array"}[i], x)
			}
			v[twin+n] = old
			g.emitRaw("duplicate", at, bytes.Replace(Must(json.Marshal(g.root)), Must(json.Marshal(twin+n)), Must(json.Marshal(n)), 1))
			delete(v, twin+n)
			for i, d := range g.donors {
				if x, ok := lookup(d, at); ok && !same(x, old) {
					set("donor "+strconv.Itoa(i), x)
				}
			}
			g.scalar(old, at, set)
			g.walk(old, at)
		}
		v["unknownField"] = map[string]any{"a": []any{1}}
		g.emit("unknown field", path)
		delete(v, "unknownField")
	case []any:
		for i, old := range v {
			at := append(slices.Clone(path), strconv.Itoa(i))
			set := func(op string, value any) {
				v[i] = value
				g.emit(op, at)
				v[i] = old
			}
			set("null", nil)
			set("a string", "x")
			for j, d := range g.donors {
				if x, ok := lookup(d, at); ok && !same(x, old) {
					set("donor "+strconv.Itoa(j), x)
				}
			}
			g.scalar(old, at, set)
			g.walk(old, at)
		}
		g.lists(v, path)
	}
}

// lists changes an array as a whole.
func (g *generator) lists(v []any, path []string) {
	if len(path) == 0 || len(v) == 0 {
		return
	}
	parent, _ := lookup(g.root, path[:len(path)-1])
	m, ok := parent.(map[string]any)
	if !ok {
		return
	}
	n := path[len(path)-1]
	backwards := slices.Clone(v)
	slices.Reverse(backwards)
	for op, x := range map[string][]any{
		"empty": {}, "twice": append(slices.Clone(v), v[0]), "shorten": v[1:], "reverse": backwards, "null element": append(slices.Clone(v), nil),
	} {
		if !same(x, v) {
			m[n] = x
			g.emit(op, path)
		}
	}
	m[n] = v
}

var number = regexp.MustCompile(`^(0|[1-9][0-9]*)$`)

// scalar changes a string.
func (g *generator) scalar(old any, path []string, set func(string, any)) {
	s, ok := old.(string)
	if !ok || s == "" {
		return
	}
	if number.MatchString(s) {
		n := Must(strconv.ParseInt(s, 10, 64))
		set("number", json.Number(s))
		set("plus one", strconv.FormatInt(n+1, 10))
		set("minus", "-"+s)
		set("leading zero", "0"+s)
		set("exponent", s+"e0")
		set("hexadecimal", fmt.Sprintf("0x%x", n))
		set("space", " "+s)
		set("huge", "9223372036854775808")
		return
	}
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || len(s)%4 != 0 || len(s) < 8 && path[len(path)-1] != "sig" {
		set("change", s+"x")
		set("prefix", "x"+s)
		set("cut", s[:len(s)-1])
		set("newline", s+"\n")
		if upper := strings.ToUpper(s); upper != s {
			set("upper", upper)
		}
		return
	}
	for i := 0; i < len(b) && g.flipEach > 0; i += g.flipEach {
		f := slices.Clone(b)
		f[i] ^= 1 << (i % 8)
		set(fmt.Sprintf("flip %d", i), base64.StdEncoding.EncodeToString(f))
	}
	set("cut", base64.StdEncoding.EncodeToString(b[:len(b)-1]))
	set("lengthen", base64.StdEncoding.EncodeToString(append(slices.Clone(b), 0)))
	for op, x := range map[string]string{
		"url alphabet": base64.URLEncoding.EncodeToString(b), "no padding": base64.RawStdEncoding.EncodeToString(b),
		"line break": s[:4] + "\n" + s[4:], "space": s[:4] + " " + s[4:], "more padding": s + "====", "twice base64": base64.StdEncoding.EncodeToString([]byte(s)),
	} {
		if x != s {
			set(op, x)
		}
	}
	if strings.HasSuffix(s, "=") { // bits that belong to no byte
		last := len(strings.TrimRight(s, "=")) - 1
		const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
		set("trailing bits", s[:last]+string(alphabet[strings.IndexByte(alphabet, s[last])|1])+s[last+1:])
	}
}

func lookup(v any, path []string) (any, bool) {
	for _, p := range path {
		switch x := v.(type) {
		case map[string]any:
			var ok bool
			if v, ok = x[p]; !ok {
				return nil, false
			}
		case []any:
			i, err := strconv.Atoi(p)
			if err != nil || i >= len(x) {
				return nil, false
			}
			v = x[i]
		default:
			return nil, false
		}
	}
	return v, true
}

func same(a, b any) bool { return bytes.Equal(Must(json.Marshal(a)), Must(json.Marshal(b))) }

func snake(s string) string {
	var b strings.Builder
	for _, r := range s {
		if unicode.IsUpper(r) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// reordered writes v with the names of every object in reverse order.
func reordered(v any) []byte {
	switch v := v.(type) {
	case map[string]any:
		names := make([]string, 0, len(v))
		for n := range v {
			names = append(names, n)
		}
		slices.Sort(names)
		slices.Reverse(names)
		var parts [][]byte
		for _, n := range names {
			parts = append(parts, append(append(Must(json.Marshal(n)), " : "...), reordered(v[n])...))
		}
		return append(append([]byte("{ "), bytes.Join(parts, []byte(" ,\n"))...), " }"...)
	case []any:
		var parts [][]byte
		for _, x := range v {
			parts = append(parts, reordered(x))
		}
		return append(append([]byte("["), bytes.Join(parts, []byte(","))...), ']')
	}
	return Must(json.Marshal(v))
}
