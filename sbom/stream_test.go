package sbom

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What is read one by one is what is read as a whole.
func TestReadComponents(t *testing.T) {
	docs := map[string]Format{foreignXML: CycloneDXXML16, foreignSPDX: SPDX}
	for _, f := range []Format{CycloneDX14, CycloneDX16, CycloneDX17, SPDX, CycloneDXXML15, CycloneDXXML17} {
		docs[string(encode(t, sample(t, 0), f))] = f
	}
	files, _ := filepath.Glob("../../shared/data/cyclonedx/1.*/valid-*.json")
	for _, name := range files {
		doc, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		docs[string(doc)] = officialFormats[filepath.Base(filepath.Dir(name))]
	}
	for doc, f := range docs {
		g, err := Read([]byte(doc), f)
		if err != nil {
			t.Fatal(err)
		}
		names := func(list []*Component) []string {
			var all []string
			for _, c := range list {
				all = append(all, fmt.Sprint(c.Type, c.Name, c.Version, c.PURL, c.Digests, c.Supplier, c.Copyright, c.CPEs, c.References))
			}
			return all
		}
		var list []*Component
		if err := ReadComponents(strings.NewReader(doc), f, func(c *Component) error { list = append(list, c); return nil }); err != nil {
			t.Errorf("%s: %v\n%s", f, err, doc)
			continue
		}
		want, got := names(g.Components()), names(list)
		slices.Sort(want)
		slices.Sort(got)
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", f, d)
		}
	}
}

func TestReadComponentsRefuses(t *testing.T) {
	head := "{\"bomFormat\":\"CycloneDX\",\n\"components\":[\n"
	for _, c := range []struct{ name, doc, want string }{
		{"no object", "[]", "want"},
		{"cut", head + `{"type":"library","name":"a"`, "too early"},
		{"rules", head + `{"type":"library","name":"a"},` + "\n" + `{"type":"library","name":"b","hashes":[` + "\n" + `{"alg":"SHA1"}]}]}`, "line 5, /components/1/hashes/0"},
		{"brackets", head + `{"type":"library"]}]}`, "unexpected"},
		{"comma", head + `{"type":"library","name":"a"} {"type":"library","name":"b"}]}`, "want"},
		{"trailing", head + `]}x`, "follows"},
		{"twice", head + `],"components":[]}`, "twice"},
		{"strict", head + `{"type":"library","name":"a","name":"a"}]}`, "duplicate"},
		{"deep", `{"x":` + strings.Repeat("[", 1000), "nested deeper"},
		{"metadata", `{"metadata":` + "\n" + `{"component":` + "\n" + `{"type":"library"}}}`, "line 3, /metadata/component: want name"},
	} {
		err := ReadComponents(strings.NewReader(c.doc), CycloneDX, func(*Component) error { return nil })
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	mine := errors.New("enough")
	for _, f := range []Format{CycloneDX, SPDX, CycloneDXXML17} {
		n := 0
		err := ReadComponents(bytes.NewReader(encode(t, sample(t, 0), f)), f, func(*Component) error { n++; return mine })
		if err != mine || n != 1 {
			t.Errorf("%s: %v after %d components", f, err, n)
		}
	}
	for _, f := range []Format{SPDX3, SPDXTagValue, "x"} {
		if err := ReadComponents(strings.NewReader("{}"), f, nil); err == nil {
			t.Errorf("%s was read", f)
		}
	}
	if err := ReadComponents(io.MultiReader(strings.NewReader(head), errReader{mine}), CycloneDX, func(*Component) error { return nil }); err != mine {
		t.Errorf("%v", err)
	}
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

// endless makes a document of n components as it is read.
type endless struct {
	n, i int
	buf  bytes.Buffer
}

func (e *endless) Read(p []byte) (int, error) {
	for e.buf.Len() < len(p) && e.i <= e.n {
		switch {
		case e.i == 0:
			e.buf.WriteString(`{"bomFormat":"CycloneDX","specVersion":"1.6","version":1,"components":[`)
		default:
			fmt.Fprintf(&e.buf, `{"type":"library","bom-ref":"p%d","name":"p%d","version":"1","purl":"pkg:npm/p%[1]d@1","licenses":[{"license":{"id":"MIT"}}]}`, e.i, e.i)
			if e.i < e.n {
				e.buf.WriteString(",")
			} else {
				e.buf.WriteString("]}")
			}
		}
		e.i++
	}
	return e.buf.Read(p)
}

// Ten times the components take no more memory.
func TestReadComponentsMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("reads 200,000 components")
	}
	var before, now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	n := 0
	err := ReadComponents(&endless{n: 200_000}, CycloneDX16, func(*Component) error {
		if n++; n%50_000 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&now)
			if now.HeapAlloc > before.HeapAlloc+8<<20 {
				return fmt.Errorf("%d bytes held after %d components, %d before", now.HeapAlloc, n, before.HeapAlloc)
			}
		}
		return nil
	})
	if err != nil || n != 200_000 {
		t.Fatalf("%v after %d components", err, n)
	}
}

func FuzzReadComponents(f *testing.F) {
	for _, format := range []Format{CycloneDX, SPDX, CycloneDXXML17} {
		f.Add(string(format), encode(f, sample(f, 0), format))
	}
	f.Fuzz(func(t *testing.T, format string, doc []byte) {
		n := 0
		err := ReadComponents(bytes.NewReader(doc), Format(format), func(*Component) error { n++; return nil })
		if err == nil {
			return
		}
		// What cannot be read one by one cannot be read as a whole.
		if g, err2 := Read(doc, Format(format)); err2 == nil && Format(format) != SPDX3 && Format(format) != SPDXTagValue {
			t.Errorf("%v, but the whole is read: %d components", err, len(g.Components()))
		}
	})
}
