package account_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/account"
)

func sum(content string) provenance.DigestSet {
	h := sha256.Sum256([]byte(content))
	return provenance.DigestSet{provenance.MustDigest("sha256:" + hex.EncodeToString(h[:]))}
}

// tarOf writes a tar of "name=content" and "name->target".
func tarOf(t testing.TB, list ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, s := range list {
		var err error
		if name, target, ok := strings.Cut(s, "->"); ok {
			err = w.WriteHeader(&tar.Header{Name: name, Linkname: target, Typeflag: tar.TypeSymlink})
		} else {
			name, content, _ := strings.Cut(s, "=")
			err = w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))})
			io.WriteString(w, content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func write(t testing.TB, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// bill has a root and components "purl" or "purl content" or "name@version content".
func bill(components ...string) *sbom.Graph {
	g := &sbom.Graph{Creation: sbom.Creation{Created: time.Unix(1_700_000_000, 0), Tool: sbom.Tool{Name: "test"}}}
	root := g.Add(sbom.Component{ID: "root", Type: sbom.Container, Name: "artifact", Dependencies: sbom.Complete})
	for _, s := range components {
		id, content, _ := strings.Cut(s, " ")
		c := sbom.Component{ID: id, Name: id, Dependencies: sbom.Complete}
		if strings.HasPrefix(id, "pkg:") {
			c.PURL = id
		}
		if content != "" {
			c.Digests = sum(content)
		}
		if err := g.Relate(root, sbom.Contains, g.Add(c)); err != nil {
			panic(err)
		}
	}
	return g
}

// told is "name state component how" of every entry.
func told(l *account.Ledger) []string {
	var list []string
	for _, e := range l.Entries {
		list = append(list, strings.TrimRight(fmt.Sprintf("%s %s %s %s", e.Name, e.State, e.Component, e.How), " "))
	}
	return list
}

func TestBalance(t *testing.T) {
	const (
		deb    = "pkg:deb/debian/bash@5.2?arch=amd64"
		other  = "pkg:deb/debian/libc6@2.39?arch=amd64"
		apk    = "pkg:apk/alpine/musl@1.2.5-r0"
		python = "pkg:pypi/foo-bar@1.0"
	)
	for name, c := range map[string]struct {
		files      []string
		components []string
		rules      []account.Rule
		want       []string
		complete   bool
	}{
		"digest":          {[]string{"bin/app=program", "x=y"}, []string{"app program"}, nil, []string{"bin/app component app digest", "x unknown"}, false},
		"all of it":       {[]string{"bin/app=program"}, []string{"app program"}, nil, []string{"bin/app component app digest"}, true},
		"link is no file": {[]string{"app->program"}, []string{"app program"}, nil, []string{"app unknown"}, false},
		"rules": {[]string{"doc/a=1", "stamp=2", "z=3"}, nil, []account.Rule{{Pattern: "doc/**", Component: "root"}, {Pattern: "stamp", Generated: "date"}, {Pattern: "**", Generated: "never"}},
			[]string{"doc/a component root rule", "stamp generated  rule: date", "z generated  rule: never"}, true},
		"digest before rule": {[]string{"a=program"}, []string{"app program"}, []account.Rule{{Pattern: "**", Generated: "x"}}, []string{"a component app digest"}, true},
		"dpkg": {[]string{"usr/bin/bash=b", "usr/lib/x86/libc.so=c", "usr/bin/evil=e", dpkg + "bash.list=/.\n/bin\n/bin/bash\n", dpkg + "bash.md5sums=x", dpkg + "libc6:amd64.list=/lib/x86/libc.so\n", dpkg + "ghost.list=/usr/bin/evil\n"},
			[]string{deb, other}, nil,
			[]string{"usr/bin/bash component " + deb + " list", "usr/bin/evil unknown", "usr/lib/x86/libc.so component " + other + " list",
				dpkg + "bash.list component " + deb + " list", dpkg + "bash.md5sums component " + deb + " list", dpkg + "ghost.list unknown", dpkg + "libc6:amd64.list component " + other + " list"}, false},
		"apk": {[]string{"lib/apk/db/installed=P:musl\nV:1.2.5-r0\nF:lib\nR:libc.so\nF:\nR:top\n\nP:ghost\nV:1\nF:bin\nR:sh\n", "lib/libc.so=1", "top=2", "bin/sh=3"}, []string{apk}, nil,
			[]string{"bin/sh unknown", "lib/apk/db/installed unknown", "lib/libc.so component " + apk + " list", "top component " + apk + " list"}, false},
		"python": {[]string{"lib/site-packages/foo_bar-1.0.dist-info/RECORD=foo/__init__.py,sha256=x,3\n../../bin/foo,,\n\"foo/a,b.py\",,\nfoo_bar-1.0.dist-info/RECORD,,\n../../../../../etc/passwd,,\n",
			"lib/site-packages/foo/__init__.py=1", "bin/foo=2", "lib/site-packages/foo/a,b.py=3", "lib/site-packages/foo/more.py=4", "etc/passwd=5"}, []string{python}, nil,
			[]string{"bin/foo component " + python + " list", "etc/passwd unknown", "lib/site-packages/foo/__init__.py component " + python + " list", "lib/site-packages/foo/a,b.py component " + python + " list",
				"lib/site-packages/foo/more.py unknown", "lib/site-packages/foo_bar-1.0.dist-info/RECORD component " + python + " list"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			files, err := account.Package(context.Background(), write(t, "a.tar", tarOf(t, c.files...)))
			if err != nil {
				t.Fatal(err)
			}
			g := bill(c.components...)
			l, err := account.Balance(g, files, c.rules...)
			if err != nil {
				t.Fatal(err)
			}
			if got := told(l); !slices.Equal(got, c.want) {
				t.Errorf("\n got %q\nwant %q", got, c.want)
			}
			if l.Complete() != c.complete {
				t.Errorf("complete is %v", l.Complete())
			}
			state, err := l.Note(g)
			if err != nil || (state == sbom.Complete) != c.complete {
				t.Errorf("the bill says %s, %v", state, err)
			}
			if doc, err := g.Encode(sbom.CycloneDX); err != nil || c.complete == bytes.Contains(doc, []byte(account.ReasonUnaccounted)) {
				t.Errorf("document: %v", err)
			}
			var bytes int64
			for _, s := range c.files {
				_, content, _ := strings.Cut(s, "=")
				if _, target, ok := strings.Cut(s, "->"); ok {
					content = target
				}
				bytes += int64(len(content))
			}
			if got := l.Bytes[account.Owned] + l.Bytes[account.Generated] + l.Bytes[account.Unknown]; got != bytes {
				t.Errorf("%d bytes accounted for of %d", got, bytes)
			}
			// The same from a directory.
			dir := t.TempDir()
			for _, s := range c.files {
				name, content, ok := strings.Cut(s, "=")
				if !ok || strings.Contains(s, "->") {
					return
				}
				path := filepath.Join(dir, filepath.FromSlash(name))
				if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
					t.Skip(err) // a name that this system cannot have
				}
			}
			files, err = account.Tree(context.Background(), dir, provenance.TreeOptions{})
			if err != nil {
				t.Fatal(err)
			}
			again, err := account.Balance(bill(c.components...), files, c.rules...)
			if err != nil || !slices.Equal(told(again), told(l)) {
				t.Errorf("from a directory: %q, %v", told(again), err)
			}
		})
	}
}

const dpkg = "var/lib/dpkg/info/"

// A package that is installed twice, or two of one name, own nothing by a list
// that does not say which of them it is.
func TestAmbiguous(t *testing.T) {
	files, err := account.Package(context.Background(), write(t, "a.tar", tarOf(t, "bin/x=1", dpkg+"x.list=/bin/x\n", "bin/y=2", dpkg+"y:arm64.list=/bin/y\n")))
	if err != nil {
		t.Fatal(err)
	}
	l, err := account.Balance(bill("pkg:deb/debian/x@1", "pkg:deb/debian/x@2", "pkg:deb/debian/y@1?arch=amd64", "pkg:deb/debian/y@1?arch=arm64"), files)
	if err != nil {
		t.Fatal(err)
	}
	if got := told(l)[:2]; !slices.Equal(got, []string{"bin/x unknown", "bin/y component pkg:deb/debian/y@1?arch=arm64 list"}) {
		t.Errorf("%q", got)
	}
}

func TestNodeModules(t *testing.T) {
	g := bill("pkg:npm/a@1", "pkg:npm/b@1", "pkg:npm/c@1")
	for id, path := range map[string]string{"pkg:npm/a@1": "node_modules/a/package.json", "pkg:npm/b@1": "node_modules/a/node_modules/@s/b/package.json", "pkg:npm/c@1": "package.json"} {
		c := g.Component(id)
		c.Properties = append(c.Properties, sbom.Property{Name: "hallmark-scan:path", Value: path})
	}
	files, err := account.Package(context.Background(), write(t, "a.tar", tarOf(t, "main.js=1", "node_modules/.bin/x=2", "node_modules/a/lib/i.js=3", "node_modules/a/node_modules/@s/b/i.js=4", "node_modules/a/node_modules/ghost/i.js=5")))
	if err != nil {
		t.Fatal(err)
	}
	l, err := account.Balance(g, files)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"main.js unknown", "node_modules/.bin/x unknown", "node_modules/a/lib/i.js component pkg:npm/a@1 directory",
		"node_modules/a/node_modules/@s/b/i.js component pkg:npm/b@1 directory", "node_modules/a/node_modules/ghost/i.js unknown"}
	if got := told(l); !slices.Equal(got, want) {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
}

// imageOf writes an OCI layout with one image.
func imageOf(t testing.TB, layers ...[]byte) string {
	t.Helper()
	blobs := map[string][]byte{}
	put := func(data []byte) map[string]any {
		h := sha256.Sum256(data)
		blobs["blobs/sha256/"+hex.EncodeToString(h[:])] = data
		return map[string]any{"digest": "sha256:" + hex.EncodeToString(h[:]), "size": len(data)}
	}
	layer := func(data []byte) map[string]any {
		d := put(data)
		d["mediaType"] = "application/vnd.oci.image.layer.v1.tar"
		return d
	}
	marshal := func(v any) []byte { b, _ := json.Marshal(v); return b }
	config := put([]byte(`{"os":"linux","architecture":"amd64"}`))
	config["mediaType"] = "application/vnd.oci.image.config.v1+json"
	var list []any
	for _, l := range layers {
		list = append(list, layer(l))
	}
	manifest := put(marshal(map[string]any{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config,
		"layers": list}))
	manifest["mediaType"] = "application/vnd.oci.image.manifest.v1+json"
	dir := t.TempDir()
	files := map[string][]byte{"oci-layout": []byte(`{"imageLayoutVersion":"1.0.0"}`), "index.json": marshal(map[string]any{"schemaVersion": 2, "manifests": []any{manifest}})}
	for name, data := range blobs {
		files[name] = data
	}
	for name, data := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, data, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Of an image, files that a later layer hides count as well.
func TestImage(t *testing.T) {
	dir := imageOf(t, tarOf(t, "bin/app=old", "secret=key"), tarOf(t, "bin/app=program", ".wh.secret="))
	f, err := account.Package(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	l, err := account.Balance(bill("app program", "gone other"), f)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range l.Entries {
		if !strings.HasPrefix(e.Name, "blobs/") {
			got = append(got, e.Name+" "+string(e.State))
		} else if e.State != account.Generated {
			t.Errorf("%+v", e)
		}
	}
	if want := []string{".wh.secret generated", "bin/app unknown", "bin/app component", "secret unknown"}; !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))) {
		t.Errorf("got %q, want %q", got, want)
	}
	if !slices.Equal(l.Unseen, []string{"gone"}) {
		t.Errorf("unseen %q", l.Unseen)
	}
}

// edge55: no files prove nothing.
func TestNoFiles(t *testing.T) {
	files, err := account.Tree(context.Background(), t.TempDir(), provenance.TreeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	g := bill()
	l, err := account.Balance(g, files)
	if err != nil || l.Complete() {
		t.Errorf("complete: %v, %v", l.Complete(), err)
	}
	if state, err := l.Note(g); err != nil || state == sbom.Complete {
		t.Errorf("%s, %v", state, err)
	}
}

func TestBadRules(t *testing.T) {
	files, err := account.Package(context.Background(), write(t, "a.tar", tarOf(t, "a=1")))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []account.Rule{{}, {Pattern: "["}, {Pattern: "a"}, {Pattern: "a", Component: "nowhere"}, {Pattern: "a", Component: "root", Generated: "x"}} {
		if _, err := account.Balance(bill(), files, r); err == nil {
			t.Errorf("%+v: no error", r)
		}
	}
	l, err := account.Balance(new(sbom.Graph), files)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Note(new(sbom.Graph)); err == nil {
		t.Error("no root: no error")
	}
	if _, err := account.Package(context.Background(), write(t, "x", []byte("no archive, and long enough to be one: "+strings.Repeat("x", 600)))); err == nil {
		t.Error("no archive: no error")
	}
}

// Whatever the lists in an artifact say, every file is in the ledger once, and
// nothing is owned by what is no component.
func FuzzLists(f *testing.F) {
	f.Add("/bin/x\n/./\n//\n", "P:musl\nV:1\nF:bin\nR:x\n", "x,,\n\"", "../x")
	f.Add("", ":\nR:\nF\n\n", "a\x00b,", "")
	f.Fuzz(func(t *testing.T, list, db, record, name string) {
		var b bytes.Buffer
		w := zip.NewWriter(&b)
		for _, e := range [][2]string{{"bin/x", "1"}, {dpkg + "bash.list", list}, {"lib/apk/db/installed", db}, {"p/foo-1.dist-info/RECORD", record}} {
			fw, err := w.Create(e[0])
			if err != nil {
				t.Fatal(err)
			}
			io.WriteString(fw, e[1])
		}
		w.Close()
		files, err := account.Package(context.Background(), write(t, "a.zip", b.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		g := bill("pkg:deb/debian/bash@1", "pkg:apk/alpine/musl@1", "pkg:pypi/foo@1")
		l, err := account.Balance(g, files)
		if err != nil || len(l.Entries) != 4 {
			t.Fatalf("%d entries, %v", len(l.Entries), err)
		}
		for _, e := range l.Entries {
			if (e.State == account.Owned) != (g.Component(e.Component) != nil) {
				t.Errorf("%+v", e)
			}
		}
	})
}

func ExampleBalance() {
	dir, err := os.MkdirTemp("", "account")
	if err != nil {
		fmt.Println(err)
	}
	defer os.RemoveAll(dir)
	for name, content := range map[string]string{"app": "program", "LICENSE": "MIT", "cache.bin": "?"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			fmt.Println(err)
		}
	}
	g := new(sbom.Graph)
	g.Add(sbom.Component{ID: "product", Type: sbom.Application, Name: "product", Dependencies: sbom.Complete})
	g.Add(sbom.Component{ID: "app", Type: sbom.Application, Name: "app", Digests: sum("program"), Dependencies: sbom.Complete})

	files, err := account.Tree(context.Background(), dir, provenance.TreeOptions{})
	if err != nil {
		fmt.Println(err)
	}
	ledger, err := account.Balance(g, files, account.Rule{Pattern: "LICENSE", Component: "product"})
	if err != nil {
		fmt.Println(err)
	}
	for _, e := range ledger.Entries {
		fmt.Println(e.Name, e.State)
	}
	state, err := ledger.Note(g)
	fmt.Println(state, err)
	// Output:
	// LICENSE component
	// app component
	// cache.bin unknown
	// incomplete <nil>
}
