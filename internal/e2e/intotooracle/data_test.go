package intotooracle

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/in-toto/in-toto-golang/in_toto"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/layout"
	"github.com/hallmark-build/hallmark/verify/intoto"
)

// dataDir returns test/data of the in-toto-golang module that this module
// builds with, which is where its own tests take their documents from.
var dataDir = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/in-toto/in-toto-golang").Output()
	return filepath.Join(strings.TrimSpace(string(out)), "test", "data"), err
})

func read(t testing.TB, name string) []byte {
	t.Helper()
	dir, err := dataDir()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func links(t testing.TB) fs.FS {
	t.Helper()
	dir, err := dataDir()
	if err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root.FS()
}

func key(t testing.TB, name string) layout.Key {
	t.Helper()
	k, err := layout.ParseKey(read(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

var at = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// untar stands for the inspection of the demo layouts, "tar xfz foo.tar.gz" in
// the directory of the test data: foo.tar.gz before and foo.py too after it.
type untar struct{ t testing.TB }

func (u untar) Inspect(_ context.Context, i intoto.Inspection) (*intoto.Inspected, error) {
	if strings.Join(i.Run, " ") != "tar xfz foo.tar.gz" {
		u.t.Errorf("asked to run %q", i.Run)
	}
	archive := provenance.DigestSet{provenance.MustDigest("sha256:52947cb78b91ad01fe81cd6aef42d1f6817e92b9e6936c1e5aabb7c98514f355")}
	source := provenance.DigestSet{provenance.MustDigest("sha256:74dc3727c6e89308b39e4dfedf787e37841198b1fa165a27c013544a60502549")}
	return &intoto.Inspected{
		Materials: map[string]provenance.DigestSet{"foo.tar.gz": archive},
		Products:  map[string]provenance.DigestSet{"foo.tar.gz": archive, "foo.py": source},
	}, nil
}

// TestDemoLayouts are in-toto-golang's TestInTotoVerifyPass and TestGetSummaryLink.
func TestDemoLayouts(t *testing.T) {
	for _, name := range []string{"demo.layout", "demo.dsse.layout", "dsse-only.root.layout"} {
		t.Run(name, func(t *testing.T) {
			s, err := intoto.Verify(t.Context(), read(t, name), []layout.Key{key(t, "alice.pub")}, links(t), intoto.Options{At: at, Executor: untar{t}})
			if err != nil {
				t.Fatal(err)
			}
			if len(s.Products) != 1 {
				t.Errorf("products %v", s.Products)
			}
			t.Log(s.Notes)
			_, err = intoto.Verify(t.Context(), read(t, name), []layout.Key{key(t, "dan.pub")}, links(t), intoto.Options{At: at, Executor: untar{t}})
			wantReason(t, err, intoto.ReasonLayoutSignature)
			_, err = intoto.Verify(t.Context(), read(t, name), []layout.Key{key(t, "alice.pub")}, links(t), intoto.Options{At: at.AddDate(10, 0, 0), Executor: untar{t}})
			wantReason(t, err, intoto.ReasonExpired)
		})
	}
	_, err := intoto.Verify(t.Context(), read(t, "demo.layout"), []layout.Key{key(t, "alice.pub")}, links(t), intoto.Options{At: at})
	wantReason(t, err, intoto.ReasonInspection)
	_, err = intoto.Verify(t.Context(), read(t, "demo.layout"), nil, links(t), intoto.Options{At: at})
	if err == nil {
		t.Error("passed without a key")
	}
	_, err = intoto.Verify(t.Context(), read(t, "foo.b7d643de.link"), []layout.Key{key(t, "alice.pub")}, links(t), intoto.Options{At: at})
	wantReason(t, err, intoto.ReasonLayout) // a link is no layout
}

func wantReason(t testing.TB, err error, want intoto.Reason) {
	t.Helper()
	var refused *intoto.RefusedError
	if !errors.As(err, &refused) || refused.Reason != want {
		t.Errorf("got %v, want a refusal for %s", err, want)
	}
}

// TestSublayout is TestVerifySublayouts. Its super layout is unsigned and has
// expired, which that test does not look at: here it is rebuilt, as of today.
func TestSublayout(t *testing.T) {
	parsed, err := layout.Parse(signed(t, read(t, "super.layout")))
	if err != nil {
		t.Fatal(err)
	}
	parsed.Expires = layout.At(at.AddDate(1, 0, 0))
	owner, signedLayout := sign(t, parsed)
	tree := fstest.MapFS{}
	put := func(name, from string) { tree[name] = &fstest.MapFile{Data: read(t, from)} }
	put("sub_layout.70ca5750.link", "sub_layout.70ca5750.link")
	put("sub_layout.70ca5750/write-code.b7d643de.link", "write-code.b7d643de.link")
	put("sub_layout.70ca5750/package.d3ffd108.link", "package.d3ffd108.link")
	s, err := intoto.Verify(t.Context(), signedLayout, []layout.Key{owner}, tree, intoto.Options{At: at, Executor: untar{t}})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Steps) != 1 || len(s.Steps[0].Sublayouts) != 1 || len(s.Products) != 1 {
		t.Errorf("summary %+v", s)
	}
	// As it stands the layout is refused: nobody has signed it.
	_, err = intoto.Verify(t.Context(), read(t, "super.layout"), []layout.Key{owner}, tree, intoto.Options{At: at, Executor: untar{t}})
	wantReason(t, err, intoto.ReasonLayoutSignature)
}

// TestThresholds is TestVerifyLinkSignatureThesholds and TestLoadLinksForLayout.
func TestThresholds(t *testing.T) {
	const (
		one = "b7d643dec0a051096ee5d87221b5d91a33daa658699d30903e1cefb90c418401"
		two = "d3ffd1086938b3698618adf088bf14b13db4c8ae19e4e78d73da49ee88492710"
	)
	demo, err := layout.Parse(signed(t, read(t, "demo.layout")))
	if err != nil {
		t.Fatal(err)
	}
	broken := strings.Replace(string(read(t, "foo.d3ffd108.link")), `"sig": "15`, `"sig": "16`, 1)
	for _, tc := range []struct {
		name  string
		files fstest.MapFS
		pass  bool
	}{
		{"none", fstest.MapFS{}, false},
		{"one", fstest.MapFS{"foo.b7d643de.link": {Data: read(t, "foo.b7d643de.link")}}, false},
		{"the same twice", fstest.MapFS{"foo.b7d643de.link": {Data: read(t, "foo.b7d643de.link")}, "foo.d3ffd108.link": {Data: read(t, "foo.b7d643de.link")}}, false},
		{"one broken", fstest.MapFS{"foo.b7d643de.link": {Data: read(t, "foo.b7d643de.link")}, "foo.d3ffd108.link": {Data: []byte(broken)}}, false},
		{"two", fstest.MapFS{"foo.b7d643de.link": {Data: read(t, "foo.b7d643de.link")}, "foo.d3ffd108.link": {Data: read(t, "foo.d3ffd108.link")}}, true},
		{"two and a broken one", fstest.MapFS{"foo.b7d643de.link": {Data: read(t, "foo.b7d643de.link")}, "foo.d3ffd108.link": {Data: read(t, "foo.d3ffd108.link")}, "foo.abcabcab.link": {Data: []byte(broken)}}, true},
	} {
		l := *demo
		l.Inspect = nil
		l.Steps = []layout.Step{{Name: "foo", Threshold: 2, PubKeys: []string{one, two}}}
		owner, doc := sign(t, &l)
		_, err := intoto.Verify(t.Context(), doc, []layout.Key{owner}, tc.files, intoto.Options{At: at})
		if (err == nil) != tc.pass {
			t.Errorf("%s: %v", tc.name, err)
		}
		if !tc.pass {
			wantReason(t, err, intoto.ReasonThreshold)
		}
	}
}

// TestKeyIDs: the ids that we compute are those of in-toto-golang.
func TestKeyIDs(t *testing.T) {
	for _, name := range []string{"alice.pub", "carol.pub", "dan.pub", "erin.pub", "frank.pub", "grace.pub", "heidi.pub"} {
		dir, _ := dataDir()
		var theirs in_toto.Key
		theirErr := theirs.LoadKeyDefaults(filepath.Join(dir, name))
		ours, err := layout.ParseKey(read(t, name))
		t.Logf("%s: %v, %v", name, err, theirErr)
		if err != nil {
			continue
		}
		if theirErr != nil || ours.KeyID != theirs.KeyID {
			// Theirs says nistp256 for every curve.
			if ours.KeyType == "ecdsa" && ours.Scheme != theirs.Scheme && theirs.Scheme == "ecdsa-sha2-nistp256" {
				continue
			}
			t.Errorf("%s: key id %s, theirs %s (%v)", name, ours.KeyID, theirs.KeyID, theirErr)
		}
	}
}

// TestCanonical: the canonical form of its canonical-test.link.
func TestCanonical(t *testing.T) {
	dir, _ := dataDir()
	mb, err := in_toto.LoadMetadata(filepath.Join(dir, "canonical-test.link"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := mb.(*in_toto.Metablock).GetSignableRepresentation()
	if err != nil {
		t.Fatal(err)
	}
	got, err := layout.Canonical(signed(t, read(t, "canonical-test.link")))
	if err != nil || string(got) != string(want) {
		t.Errorf("got %s, %v\nwant %s", got, err, want)
	}
}
