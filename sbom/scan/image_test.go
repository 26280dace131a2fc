package scan

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
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
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/hallmark-build/hallmark/sbom"
)

// An entry of a test layer: "name=content", "dir/", "name->target".
func tarOf(entries ...string) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		if name, to, ok := strings.Cut(e, "->"); ok && !strings.Contains(name, "=") {
			w.WriteHeader(&tar.Header{Name: name, Linkname: to, Typeflag: tar.TypeSymlink})
		} else if name, content, ok := strings.Cut(e, "="); ok {
			w.WriteHeader(&tar.Header{Name: name, Size: int64(len(content)), Mode: 0o755, Typeflag: tar.TypeReg})
			io.WriteString(w, content)
		} else {
			w.WriteHeader(&tar.Header{Name: e, Mode: 0o755, Typeflag: tar.TypeDir})
		}
	}
	w.Close()
	return b.Bytes()
}

func gz(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

func zst(b []byte) []byte {
	w, _ := zstd.NewWriter(nil)
	defer w.Close()
	return w.EncodeAll(b, nil)
}

func sha(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// layout returns the files of an OCI layout with one image.
func layout(layers ...[]byte) map[string]string {
	files := map[string]string{"oci-layout": `{"imageLayoutVersion":"1.0.0"}`}
	put := func(b []byte) map[string]any {
		files["blobs/sha256/"+sha(b)] = string(b)
		return map[string]any{"digest": "sha256:" + sha(b), "size": len(b)}
	}
	config, _ := json.Marshal(map[string]any{"os": "linux", "architecture": "amd64"})
	m := map[string]any{"schemaVersion": 2, "config": put(config)}
	var list []any
	for _, l := range layers {
		list = append(list, put(l))
	}
	m["layers"] = list
	manifest, _ := json.Marshal(m)
	index, _ := json.Marshal(map[string]any{"schemaVersion": 2, "manifests": []any{put(manifest)}})
	files["index.json"] = string(index)
	return files
}

func dockerSave(layers ...[]byte) map[string]string {
	files := map[string]string{}
	var names, ids []string
	for i, l := range layers {
		names = append(names, fmt.Sprintf("l%d/layer.tar", i))
		ids = append(ids, "sha256:"+sha(l))
		files[names[i]] = string(l)
	}
	config, _ := json.Marshal(map[string]any{"os": "linux", "architecture": "amd64", "rootfs": map[string]any{"diff_ids": ids}})
	files[sha(config)+".json"] = string(config)
	m, _ := json.Marshal([]any{map[string]any{"Config": sha(config) + ".json", "Layers": names}})
	files["manifest.json"] = string(m)
	return files
}

func tarFile(t testing.TB, files map[string]string) string {
	t.Helper()
	var list []string
	for _, name := range sorted(files) {
		list = append(list, name+"="+files[name])
	}
	p := filepath.Join(t.TempDir(), "image.tar")
	if err := os.WriteFile(p, tarOf(list...), 0o644); err != nil {
		t.Fatal(err)
	}
	return p
}

func scanImage(t testing.TB, path string, o Options) *sbom.Graph {
	t.Helper()
	o.Created, o.Name = created, "img"
	g, err := Image(context.Background(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func deb(names ...string) string {
	var b strings.Builder
	for _, n := range names {
		fmt.Fprintf(&b, "Package: %s\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n\n", n)
	}
	return b.String()
}

var testLayers = [][]byte{
	tarOf("etc/", "etc/os-release->../usr/lib/os-release", "usr/lib/os-release=ID=debian\nVERSION_ID=12\n", "./var/lib/dpkg/status="+deb("old", "base"),
		"app/node_modules/gone/package.json="+`{"name":"gone","version":"1.0.0"}`,
		"app/node_modules/kept/package.json="+`{"name":"kept","version":"1.0.0"}`,
		"opq/go.mod=module opaque", "srv/sub/go.mod=module replaced", "wanted/Cargo.lock=[[package]]\nname=\"dir\"\nversion=\"1\"\n"),
	tarOf("var/lib/dpkg/status="+deb("base", "new"), "app/node_modules/.wh.gone", "app/node_modules/.wh.gone=", "opq/.wh..wh..opq=",
		"opq/new/go.mod=module kept.here", "srv->elsewhere", "wanted/Cargo.lock/"),
	tarOf("var/lib/dpkg/info/x=y"),
}

var testImage = []string{
	". > deb/debian/base@1?arch=all&distro=debian-12", ". > deb/debian/new@1?arch=all&distro=debian-12", ". > golang/kept.here",
	". > npm/kept@1.0.0", ". > operating-system:debian@12",
	"deb/debian/base@1?arch=all&distro=debian-12|required|observed|", "deb/debian/new@1?arch=all&distro=debian-12|required|observed|",
	"golang/kept.here|required|declared|", "npm/kept@1.0.0||observed|", "operating-system:debian@12||observed|",
}

func TestImage(t *testing.T) {
	gzipped := [][]byte{gz(testLayers[0]), zst(testLayers[1]), testLayers[2]}
	for name, path := range map[string]string{
		"oci layout":     write(t, layout(gzipped...)),
		"oci archive":    tarFile(t, layout(gzipped...)),
		"docker archive": tarFile(t, dockerSave(testLayers...)),
	} {
		t.Run(name, func(t *testing.T) {
			g := scanImage(t, path, Options{})
			if diff := cmp.Diff(testImage, summary(g)); diff != "" {
				t.Error(diff)
			}
			if n := len(g.Root().Digests); (n == 1) != strings.HasPrefix(name, "oci") {
				t.Errorf("root has %d digests", n)
			}
			one, err := g.Encode(sbom.CycloneDX)
			if err != nil {
				t.Fatal(err)
			}
			cache := t.TempDir()
			var docs [][]byte
			for range 2 {
				g := scanImage(t, path, Options{Cache: cache, CacheKey: []byte("k"), Workers: 3})
				doc, err := g.Encode(sbom.CycloneDX)
				if err != nil {
					t.Fatal(err)
				}
				docs = append(docs, doc)
			}
			if !bytes.Equal(one, docs[0]) || !bytes.Equal(one, docs[1]) {
				t.Error("the cache changes the document")
			}
		})
	}
}

func TestImageCache(t *testing.T) {
	dir := write(t, layout(gz(testLayers[0]), gz(testLayers[1])))
	cache := t.TempDir()
	o := Options{Cache: cache, CacheKey: []byte("k")}
	want := summary(scanImage(t, dir, o))
	entries, err := filepath.Glob(filepath.Join(cache, "*"+cacheSuffix))
	if err != nil || len(entries) != 2 {
		t.Fatalf("%d entries, %v", len(entries), err)
	}
	saved := map[string][]byte{}
	for _, e := range entries {
		saved[e], _ = os.ReadFile(e)
	}
	// The cache is used: without the layers, the image still has its result.
	blobs, _ := filepath.Glob(filepath.Join(dir, "blobs/sha256/*"))
	layerFiles := map[string][]byte{}
	for _, b := range blobs {
		if data, _ := os.ReadFile(b); bytes.HasPrefix(data, []byte{0x1f, 0x8b}) {
			layerFiles[b] = data
			os.Remove(b)
		}
	}
	if diff := cmp.Diff(want, summary(scanImage(t, dir, o))); diff != "" {
		t.Errorf("from the cache:\n%s", diff)
	}
	for b, data := range layerFiles {
		os.WriteFile(b, data, 0o644)
	}
	poisons := map[string]func(name string){
		"a byte":    func(n string) { b := slices.Clone(saved[n]); b[len(b)-3] ^= 1; os.WriteFile(n, b, 0o644) },
		"cut":       func(n string) { os.WriteFile(n, saved[n][:len(saved[n])/2], 0o644) },
		"empty":     func(n string) { os.WriteFile(n, nil, 0o644) },
		"swapped":   func(n string) { os.WriteFile(n, saved[entries[(slices.Index(entries, n)+1)%2]], 0o644) },
		"directory": func(n string) { os.Remove(n); os.Mkdir(n, 0o755) },
		"other key": func(n string) {
			body := []byte(`{"Reports":[]}`)
			bad := Options{CacheKey: []byte("guess")}
			os.WriteFile(n, append(bad.seal("x", body), body...), 0o644)
		},
	}
	for name, poison := range poisons {
		t.Run(name, func(t *testing.T) {
			for _, e := range entries {
				os.RemoveAll(e)
				poison(e)
			}
			if diff := cmp.Diff(want, summary(scanImage(t, dir, o))); diff != "" {
				t.Errorf("with a poisoned cache:\n%s", diff)
			}
		})
	}
	for _, e := range entries {
		os.RemoveAll(e)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if diff := cmp.Diff(want, summary(scanImage(t, dir, o))); diff != "" {
				t.Errorf("with others at the same cache:\n%s", diff)
			}
		})
	}
	wg.Wait()
	if left, _ := filepath.Glob(filepath.Join(cache, ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestImageHostile(t *testing.T) {
	good := layout(gz(testLayers[0]))
	var layerName string
	for n, c := range good {
		if strings.HasPrefix(c, "\x1f\x8b") {
			layerName = n
		}
	}
	change := func(f func(m map[string]string)) map[string]string {
		m := map[string]string{}
		for k, v := range good {
			m[k] = v
		}
		f(m)
		return m
	}
	bomb := gz(tarOf("big=" + strings.Repeat("\x00", 80<<20)))
	for _, tt := range []struct {
		name   string
		files  map[string]string
		reason string
		gap    bool
	}{
		{"layer changed", change(func(m map[string]string) { m[layerName] = string(gz(testLayers[1])) }), ReasonDigest, false},
		{"layer cut", change(func(m map[string]string) { m[layerName] = m[layerName][:100] }), ReasonDigest, false},
		{"layer missing", change(func(m map[string]string) { delete(m, layerName) }), ReasonUnreadable, true},
		{"no index", change(func(m map[string]string) { delete(m, "index.json") }), ReasonUnreadable, false},
		{"index is none", change(func(m map[string]string) { m["index.json"] = "[" }), ReasonMalformed, false},
		{"digest leads out", change(func(m map[string]string) {
			m["index.json"] = `{"manifests":[{"digest":"sha256:../../../../etc/passwd"}]}`
		}), ReasonMalformed, false},
		{"bomb", layout(bomb), ReasonLimit, true},
		{"absurd size", layout(gz(tarSized("lib/apk/db/installed", "P:a\nV:1\n", 1<<62))), ReasonMalformed, true},
		{"negative size", layout(gz(tarSized("go.mod", "module m", -1))), ReasonMalformed, true},
		{"a program larger than the layer", layout(gz(tarSized("prog", "\x7fELF", 500<<20))), ReasonMalformed, true},
		{"not a tar", layout(gz([]byte(strings.Repeat("x", 2048)))), ReasonMalformed, true},
		{"cut inside", layout(gz(testLayers[0][:700])), ReasonMalformed, true},
		{"bad gzip", layout([]byte("\x1f\x8bxxxxxxxxxxxx")), ReasonMalformed, true},
		{"bad zstd", layout([]byte("\x28\xb5\x2f\xfdxxxxxxxxxxxx")), ReasonMalformed, true},
		{"docker layer changed", func() map[string]string {
			m := dockerSave(testLayers[0])
			m["l0/layer.tar"] = string(testLayers[1])
			return m
		}(), ReasonDigest, false},
		{"docker without layers", func() map[string]string {
			m := dockerSave(testLayers[0])
			m["manifest.json"] = strings.Replace(m["manifest.json"], `["l0/layer.tar"]`, `[]`, 1)
			return m
		}(), ReasonMalformed, false},
		{"nothing", map[string]string{"x": "y"}, ReasonUnreadable, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g, err := Image(context.Background(), tarFile(t, tt.files), Options{Created: created})
			var e *Error
			if !tt.gap {
				if !errors.As(err, &e) || e.Reason != tt.reason {
					t.Fatalf("want reason %q, found %v", tt.reason, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(g.Unknowns(), func(u sbom.Gap) bool { return u.Reason == tt.reason && strings.HasPrefix(u.Detail, "sha256:") }) {
				t.Errorf("want an unknown with reason %q, found %v", tt.reason, g.Unknowns())
			}
		})
	}
	p := filepath.Join(t.TempDir(), "x")
	os.WriteFile(p, gz(tarOf("a=b")), 0o644)
	if _, err := Image(context.Background(), p, Options{Created: created}); err == nil {
		t.Error("a compressed archive was read")
	}
	if _, err := Image(context.Background(), t.TempDir(), Options{Created: created}); err == nil {
		t.Error("an empty directory is an image")
	}
}

// tarSized is a tar with one file, whose header says another size, in base 256.
func tarSized(name, content string, size int64) []byte {
	b := bytes.Clone(tarOf(name + "=" + content))
	h := b[:512]
	for i := range 12 {
		h[135-i] = byte(size >> min(8*i, 63))
	}
	h[124] |= 0x80
	copy(h[148:156], "        ")
	sum := 0
	for _, c := range h {
		sum += int(c)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
	return b
}

func TestChoose(t *testing.T) {
	d := func(name, os, arch string) descriptor {
		return descriptor{Digest: name, Platform: &platform{OS: os, Architecture: arch}}
	}
	att := descriptor{Digest: "att", Annotations: map[string]string{"vnd.docker.reference.type": "attestation-manifest"}}
	for _, tt := range []struct {
		list []descriptor
		want string
		pick string
	}{
		{[]descriptor{{Digest: "a"}}, "", "a"},
		{[]descriptor{d("a", "linux", "arm64"), att}, "", "a"},
		{[]descriptor{d("a", "linux", "arm64"), d("b", "linux", "amd64")}, "", "b"},
		{[]descriptor{d("a", "linux", "arm64"), d("b", "linux", "amd64")}, "linux/arm64", "a"},
		{[]descriptor{d("a", "linux", "arm64")}, "linux/s390x", ""},
		{[]descriptor{d("a", "linux", "amd64"), d("b", "linux", "amd64")}, "", ""},
		{nil, "", ""},
	} {
		got, err := choose(tt.list, tt.want)
		if tt.pick == "" != (err != nil) || err == nil && got.Digest != tt.pick {
			t.Errorf("%v for %q: %v, %v", tt.list, tt.want, got, err)
		}
	}
}
