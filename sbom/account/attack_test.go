package account_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/account"
)

// A package.json that is no package's, laid into node_modules, claims nothing
// of the others.
func TestAttackClaimOfAllModules(t *testing.T) {
	for _, path := range []string{"node_modules/package.json", "node_modules/@s/package.json", "x/node_modules/package.json", "node_modules/../package.json", "/node_modules/package.json"} {
		g := &sbom.Graph{}
		g.Add(sbom.Component{Type: sbom.Application, Name: "app"})
		g.Add(sbom.Component{Name: "a", PURL: "pkg:npm/a@1", Properties: []sbom.Property{{Name: "hallmark-scan:path", Value: path}}})
		files, err := account.Package(context.Background(), write(t, "a.tar", tarOf(t, "node_modules/evil.js=1", "node_modules/evil/i.js=2", "node_modules/@s/evil/i.js=3", "x/node_modules/evil/i.js=4", "y.js=5")))
		if err != nil {
			t.Fatal(err)
		}
		l, err := account.Balance(g, files)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range l.Entries {
			if e.State != account.Unknown {
				t.Errorf("%s claims %s: %+v", path, e.Name, e)
			}
		}
	}
}

// A file of a layer is no metadata of the image, whatever it is called.
func TestAttackBlobsInALayer(t *testing.T) {
	g := &sbom.Graph{}
	g.Add(sbom.Component{Type: sbom.Container, Name: "img"})
	files, err := account.Package(context.Background(), imageOf(t, tarOf(t, "blobs/sha256/evil=payload", "bin/.wh.x=", "bin/.wh.evil=payload")))
	if err != nil {
		t.Skip(err)
	}
	l, err := account.Balance(g, files)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range l.Entries {
		if (e.Name == "blobs/sha256/evil" || e.Name == "bin/.wh.evil") && e.State != account.Unknown {
			t.Errorf("%+v", e)
		}
	}
	if l.Complete() {
		t.Error("an image with a file that nobody knows is complete")
	}
}

// A layer that a manifest also calls something else is looked into all the same.
func TestAttackLayerCalledSomethingElse(t *testing.T) {
	g := &sbom.Graph{}
	g.Add(sbom.Component{Type: sbom.Container, Name: "img"})
	layer := tarOf(t, "bin/evil=payload")
	dir := imageOf(t, layer)
	read := func(name string) string {
		data, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	write := func(name, data string) {
		if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(name)), []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var index struct {
		Manifests []struct {
			Digest string
			Size   int
		}
	}
	if err := json.Unmarshal([]byte(read("index.json")), &index); err != nil {
		t.Fatal(err)
	}
	old := index.Manifests[0]
	other := fmt.Sprintf(`"layers":[{"mediaType":"application/x","digest":%q,"size":%d},`, sum(string(layer))[0], len(layer))
	manifest := strings.Replace(read("blobs/sha256/"+strings.TrimPrefix(old.Digest, "sha256:")), `"layers":[`, other, 1)
	write("blobs/sha256/"+sum(manifest)[0].Value(), manifest)
	if err := os.Remove(filepath.Join(dir, "blobs", "sha256", strings.TrimPrefix(old.Digest, "sha256:"))); err != nil {
		t.Fatal(err)
	}
	write("index.json", strings.NewReplacer(old.Digest, sum(manifest)[0].String(), fmt.Sprintf(`"size":%d`, old.Size), fmt.Sprintf(`"size":%d`, len(manifest))).Replace(read("index.json")))
	files, err := account.Package(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	l, err := account.Balance(g, files)
	if err != nil {
		t.Fatal(err)
	}
	if l.Complete() || !slices.ContainsFunc(l.Entries, func(e account.Entry) bool { return e.Name == "bin/evil" }) {
		t.Errorf("the files of a layer are not looked at: %+v", l.Entries)
	}
}
