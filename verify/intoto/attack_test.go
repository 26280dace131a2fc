package intoto

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/layout"
	"github.com/hallmark-build/hallmark/provenance/predicate"
)

// A functionary chooses the names of artifacts and, in a sublayout, the
// patterns. The bound on comparisons must be met while comparing, not after.
func TestAttack_OneLongName(t *testing.T) {
	g, err := compileGlob("*" + strings.Repeat("a", maxPattern-2) + "b")
	if err != nil {
		t.Fatal(err)
	}
	const most = 1 << 20
	if _, cost := g.match(strings.Repeat("a", 1<<20), most); cost > most+1<<17 {
		t.Errorf("cost %d, at most %d was left", cost, most)
	}
}

// To look up a long name costs more than a short one.
func TestAttack_LongNamesInManyRules(t *testing.T) {
	w := newWorld(t)
	long := strings.Repeat("n", limits.ArtifactName-10)
	var names []string
	for i := range 256 {
		names = append(names, fmt.Sprintf("%s%d=1", long, i))
	}
	same := files(names...)
	w.link(w.bob, "build", []string{"go", "build"}, same, same)
	w.layout.Steps[1].ExpectedProducts = nil
	for range 2000 {
		w.layout.Steps[1].ExpectedProducts = append(w.layout.Steps[1].ExpectedProducts, rules(t, "CREATE *")...)
	}
	w.layout.Steps[1].ExpectedMaterials = rules(t, "ALLOW *")
	w.refused(ReasonLimit)
	w = newWorld(t)
	w.link(w.alice, "write", nil, nil, files("main.go=1", strings.Repeat("n", limits.ArtifactName)+"x=1"))
	w.refused(ReasonThreshold)
}

// What a layout leaves open in brackets, a value must not close.
func TestAttack_ParameterInOpenBracket(t *testing.T) {
	p, err := newParameters(map[string]string{"P": "a-z]"})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"[{P}", "x[!{P}*", "[]{P}"} {
		r, err := layout.ParseRule([]string{"ALLOW", text})
		if err != nil {
			t.Fatal(err)
		}
		if compiled, err := p.rules([]layout.Rule{r}); err == nil {
			t.Errorf("%s became %s", text, compiled[0].glob.text)
		}
	}
}

// A holder of a certificate chooses the key ids, so can delegate one step in
// thousands of files. Each looks into the directory once more.
type countingFS struct {
	fstest.MapFS
	entries *int
}

type countingDir struct {
	fs.ReadDirFile
	entries *int
}

func (c countingFS) Open(name string) (fs.File, error) {
	f, err := c.MapFS.Open(name)
	if d, ok := f.(fs.ReadDirFile); ok && err == nil {
		return countingDir{d, c.entries}, nil
	}
	return f, err
}

func (d countingDir) ReadDir(n int) ([]fs.DirEntry, error) {
	list, err := d.ReadDirFile.ReadDir(n)
	*d.entries += len(list)
	return list, err
}

func TestAttack_ListingsAreBounded(t *testing.T) {
	w := newWorld(t)
	for i := range limits.LayoutFiles - 10 {
		w.put("junk"+string(rune('a'+i%26))+strings.Repeat("x", i/26), nil)
	}
	entries := 0
	links := countingFS{w.links, &entries}
	v := &verifier{ctx: t.Context(), options: w.options, budget: newBudget()}
	v.budget.comparisons /= 64
	var err error
	for range 50 {
		if _, err = v.readDir(links); err != nil {
			break
		}
	}
	refusedFor(t, err, ReasonLimit)
	if entries > 10*limits.LayoutFiles {
		t.Errorf("%d entries were listed", entries)
	}
}

// Nobody signs the names of files, so they must not choose among claims: what
// one of those that count says, and another leaves out, holds too.
func TestAttack_FileNamesChooseClaim(t *testing.T) {
	more := func(name string, d ...provenance.Digest) []provenance.ResourceDescriptor {
		return []provenance.ResourceDescriptor{{Name: name, Digest: append(provenance.DigestSet{sha256Digest([]byte("1"))}, d...)}}
	}
	sha512 := func(digit string) provenance.Digest {
		return provenance.MustDigest("sha512:" + strings.Repeat(digit, 128))
	}
	for _, names := range [][2]string{{"a.json", "b.json"}, {"b.json", "a.json"}} {
		a := newAttestWorld(t)
		delete(a.files, "clone.json")
		for i, products := range [][]provenance.ResourceDescriptor{more("main.go"), more("main.go", sha512("a"))} {
			st, err := (&predicate.Link{Name: "clone", Command: []string{"git", "clone"}}).Statement(products)
			a.put(a.alice, names[i], st, err)
		}
		st, err := (&predicate.TestResult{Result: predicate.Passed, Configuration: descriptors("go.mod=1")}).Statement(more("main.go", sha512("b")))
		a.put(a.bob, "test.json", st, err)
		a.refused(ReasonRule)
		// The same, by what all agree on.
		st, err = (&predicate.TestResult{Result: predicate.Passed, Configuration: descriptors("go.mod=1")}).Statement(more("main.go", sha512("a")))
		a.put(a.bob, "test.json", st, err)
		a.passes()
	}
	// Three claims of which two contradict each other, and none the first.
	a := newAttestWorld(t)
	delete(a.files, "clone.json")
	for file, products := range map[string][]provenance.ResourceDescriptor{"a.json": more("main.go"), "b.json": more("main.go", sha512("a")), "c.json": more("main.go", sha512("b"))} {
		st, err := (&predicate.Link{Name: "clone", Command: []string{"git", "clone"}}).Statement(products)
		a.put(a.alice, file, st, err)
	}
	a.refused(ReasonDisagreement)
}
