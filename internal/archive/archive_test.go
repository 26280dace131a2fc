package archive

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/internal/limits"
)

// entry is an entry of an archive: content, or the target of a link.
type entry struct {
	name, content string
	typ           byte // of tar; 0 is a regular file
}

func tarOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Mode: 0o644, Typeflag: e.typ}
		switch e.typ {
		case 0, tar.TypeReg:
			h.Typeflag, h.Size = tar.TypeReg, int64(len(e.content))
		default:
			h.Linkname = e.content
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			io.WriteString(w, e.content)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipOf(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(data)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zipOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate}
		if e.typ == tar.TypeSymlink {
			h.SetMode(fs.ModeSymlink | 0o777)
		}
		if e.typ == tar.TypeFifo {
			h.SetMode(fs.ModeNamedPipe | 0o644)
		}
		f, err := w.CreateHeader(h)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(f, e.content)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func put(t testing.TB, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "package")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t testing.TB, data []byte) (*Package, error) {
	t.Helper()
	return Read(context.Background(), put(t, data))
}

// want fails the test unless the package has these files: "name=content" or
// "name->target".
func want(t testing.TB, pkg *Package, err error, files ...string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var got, expect []string
	for _, f := range pkg.Files {
		kind := "="
		if f.Link != nil {
			kind = "->"
		}
		got = append(got, fmt.Sprintf("%s%s%x %x", f.Name, kind, f.Sum.SHA256, f.Sum.SHA512))
	}
	for _, f := range files {
		kind := "="
		name, content, ok := strings.Cut(f, "->")
		if ok {
			kind = "->"
		} else {
			name, content, _ = strings.Cut(f, "=")
		}
		expect = append(expect, fmt.Sprintf("%s%s%x %x", name, kind, sha256.Sum256([]byte(content)), sha512.Sum512([]byte(content))))
	}
	slices.Sort(got)
	slices.Sort(expect)
	if !slices.Equal(got, expect) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(expect, "\n"))
	}
}

func refused(t testing.TB, err error, reason string) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Reason != reason {
		t.Errorf("got %v, want reason %s", err, reason)
	}
}

func TestRead(t *testing.T) {
	list := []entry{
		{"./", "", tar.TypeDir}, {"./bin/", "", tar.TypeDir}, {"./bin/app", "program", 0},
		{"README", "", 0}, {"lib/a b/ü.so", strings.Repeat("x", 3<<20), 0}, {"bin/", "", tar.TypeDir}, {"run", "bin/app", tar.TypeSymlink},
	}
	files := []string{"bin/app=program", "README=", "lib/a b/ü.so=" + strings.Repeat("x", 3<<20), "run->bin/app"}
	plain := tarOf(t, list...)
	for name, data := range map[string][]byte{
		"tar":        plain,
		"tar.gz":     gzipOf(t, plain),
		"two gzips":  append(gzipOf(t, plain[:1000]), gzipOf(t, plain[1000:])...),
		"no trailer": plain[:len(plain)-1024],
		"zip":        zipOf(t, slices.DeleteFunc(slices.Clone(list), func(e entry) bool { return e.typ == tar.TypeDir })...),
	} {
		t.Run(name, func(t *testing.T) {
			pkg, err := read(t, data)
			want(t, pkg, err, files...)
			if pkg.Sum == nil || pkg.Sum.SHA256 != sha256.Sum256(data) || pkg.Sum.SHA512 != sha512.Sum512(data) {
				t.Error("digest of the package")
			}
			if !slices.IsSortedFunc(pkg.Files, compareFiles) || pkg.Image != "" {
				t.Errorf("order, image %q", pkg.Image)
			}
		})
	}
}

func TestEdge32_HostileArchives(t *testing.T) {
	deep := strings.Repeat("d/", 300) + "f"
	for _, c := range []struct {
		name, reason string
		entries      []entry
	}{
		{"duplicate", ReasonDuplicate, []entry{{"a", "1", 0}, {"a", "2", 0}}},
		{"duplicate spelt otherwise", ReasonDuplicate, []entry{{"a", "1", 0}, {"./a", "1", 0}}},
		{"case", ReasonDuplicate, []entry{{"bin/App", "1", 0}, {"bin/app", "2", 0}}},
		{"case, the other way round", ReasonDuplicate, []entry{{"bin/app", "1", 0}, {"bin/App", "2", 0}}},
		{"case of both", ReasonDuplicate, []entry{{"APp", "1", 0}, {"ApP", "2", 0}}},
		{"case of directories", ReasonDuplicate, []entry{{"Bin/a", "1", 0}, {"bin/b", "2", 0}}},
		{"kelvin", ReasonDuplicate, []entry{{"\u212aey", "1", 0}, {"key", "2", 0}}},
		{"normalisation", ReasonDuplicate, []entry{{"\u00fc", "1", 0}, {"u\u0308", "2", 0}}},
		{"absolute", ReasonName, []entry{{"/etc/passwd", "1", 0}}},
		{"up", ReasonName, []entry{{"a/../../b", "1", 0}}},
		{"up first", ReasonName, []entry{{"../b", "1", 0}}},
		{"dot", ReasonName, []entry{{"a/./b", "1", 0}}},
		{"dots", ReasonName, []entry{{"././b", "1", 0}}},
		{"double slash", ReasonName, []entry{{"a//b", "1", 0}}},
		{"backslash", ReasonName, []entry{{`a\b`, "1", 0}}},
		{"control", ReasonName, []entry{{"a\x1bb", "1", 0}}},
		{"not UTF-8", ReasonName, []entry{{"a\xffb", "1", 0}}},
		{"deep", ReasonLimit, []entry{{deep, "1", 0}}},
		{"long", ReasonLimit, []entry{{strings.Repeat("n", 5000), "1", 0}}},
		{"below a file", ReasonDuplicate, []entry{{"a", "1", 0}, {"a/b", "2", 0}}},
		{"file over directory", ReasonDuplicate, []entry{{"a/b", "2", 0}, {"a", "1", 0}}},
		{"below a link", ReasonLink, []entry{{"a", "/etc", tar.TypeSymlink}, {"a/passwd", "2", 0}}},
		{"link over directory", ReasonDuplicate, []entry{{"a/passwd", "2", 0}, {"a", "/etc", tar.TypeSymlink}}},
		{"link target", ReasonName, []entry{{"a", "x\x00y", tar.TypeSymlink}}},
		{"special", ReasonSpecial, []entry{{"a", "1", 0}, {"b", "", tar.TypeFifo}}},
		{"nothing", ReasonFormat, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.name != "link target" { // the writer refuses it in a tar
				_, err := read(t, tarOf(t, c.entries...))
				refused(t, err, c.reason)
				_, err = read(t, gzipOf(t, tarOf(t, c.entries...)))
				refused(t, err, c.reason)
			}
			_, err := read(t, zipOf(t, c.entries...))
			refused(t, err, c.reason)
		})
	}
	for name, list := range map[string][]entry{
		"outside":    {{"a", "/etc/passwd", tar.TypeLink}},
		"up":         {{"a", "../b", tar.TypeLink}},
		"forward":    {{"a", "b", tar.TypeLink}, {"b", "1", 0}},
		"itself":     {{"a", "a", tar.TypeLink}},
		"to a link":  {{"b", "c", tar.TypeSymlink}, {"a", "b", tar.TypeLink}},
		"over":       {{"a", "1", 0}, {"a", "a", tar.TypeLink}},
		"device":     {{"a", "", tar.TypeChar}},
		"block":      {{"a", "", tar.TypeBlock}},
		"contiguous": {{"a", "", tar.TypeCont}},
	} {
		_, err := read(t, tarOf(t, list...))
		var e *Error
		if !errors.As(err, &e) || e.Reason != ReasonLink && e.Reason != ReasonSpecial && e.Reason != ReasonDuplicate {
			t.Errorf("hard link %s: %v", name, err)
		}
	}
	pkg, err := read(t, tarOf(t, entry{"./a", "1", 0}, entry{"b", "./a", tar.TypeLink}, entry{"c", "b", tar.TypeLink}))
	want(t, pkg, err, "a=1", "b=1", "c=1")
}

func TestEdge32_DamagedArchives(t *testing.T) {
	plain := tarOf(t, entry{"a", strings.Repeat("content ", 1000), 0}, entry{"b", "2", 0})
	packed := gzipOf(t, plain)
	zipped := zipOf(t, entry{"a", strings.Repeat("content ", 1000), 0}, entry{"b", "2", 0})
	absurd := bytes.Clone(plain)
	copy(absurd[124:136], "77777777777\x00")
	for name, data := range map[string][]byte{
		"empty":               {},
		"text":                []byte("hello"),
		"zeros":               make([]byte, 10240),
		"short tar":           plain[:3000],
		"absurd size":         absurd,
		"short gzip":          packed[:len(packed)-4],
		"gzip of text":        gzipOf(t, []byte(strings.Repeat("hello", 1000))),
		"after gzip":          append(bytes.Clone(packed), "more"...),
		"after tar":           append(bytes.Clone(plain), plain...),
		"after tar in gzip":   gzipOf(t, append(bytes.Clone(plain), "more"...)),
		"bad gzip sum":        flip(packed, len(packed)-6),
		"short zip":           zipped[:len(zipped)-30],
		"zip with prefix":     append([]byte("PK\x03\x04 something else "), zipped...),
		"zip without entries": zipOf(t),
		"zip: bad sum":        flip(zipped, 45),
		"zstd":                []byte("\x28\xb5\x2f\xfd rest"),
	} {
		_, err := read(t, data)
		if _, ok := errors.AsType[*Error](err); !ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Read(context.Background(), t.TempDir()); err == nil {
		t.Error("an empty directory")
	}
	if _, err := Read(context.Background(), filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if runtime.GOOS == "linux" {
		if _, err := Read(context.Background(), "/dev/zero"); err == nil {
			t.Error("a device")
		}
	}
}

func flip(data []byte, i int) []byte {
	data = bytes.Clone(data)
	data[i] ^= 1
	return data
}

// What a program that reads a zip front to back would see must be what the
// table of contents says.
func TestZipTwoReaders(t *testing.T) {
	one := zipOf(t, entry{"a", "first", 0}, entry{"b", "second", 0})
	if _, err := read(t, one); err != nil {
		t.Fatal(err)
	}
	// The name in the local header of a is another.
	_, err := read(t, bytes.Replace(one, []byte("a"), []byte("c"), 1))
	refused(t, err, ReasonFormat)
	// An entry between others that the table does not list: take it out of
	// the table, and mend the end record.
	three := zipOf(t, entry{"a", "1", 0}, entry{"hidden", "2", 0}, entry{"c", "3", 0})
	dir := bytes.Index(three, []byte(centralSignature))
	from := dir + bytes.Index(three[dir:], []byte("hidden")) - 46
	to := from + 46 + len("hidden")
	hidden := append(bytes.Clone(three[:from]), three[to:]...)
	end := bytes.LastIndex(hidden, []byte("PK\x05\x06"))
	hidden[end+8], hidden[end+10] = 2, 2
	hidden[end+12] -= byte(to - from)
	if z, err := zip.NewReader(bytes.NewReader(hidden), int64(len(hidden))); err != nil || len(z.File) != 2 {
		t.Fatalf("the test's zip: %v", err)
	}
	_, err = read(t, hidden)
	refused(t, err, ReasonFormat)
	// Two entries of one place: both point at the first header.
	overlap := zipOf(t, entry{"a", "1", 0}, entry{"b", "1", 0})
	dir = bytes.Index(overlap, []byte(centralSignature))
	second := dir + 4 + bytes.Index(overlap[dir+4:], []byte(centralSignature))
	copy(overlap[second+42:second+46], []byte{0, 0, 0, 0})
	_, err = read(t, overlap)
	refused(t, err, ReasonFormat)
	// A second name.
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, _ := w.CreateHeader(&zip.FileHeader{Name: "a", Extra: []byte{0x75, 0x70, 6, 0, 1, 0, 0, 0, 0, 'b'}})
	io.WriteString(f, "1")
	w.Close()
	_, err = read(t, b.Bytes())
	refused(t, err, ReasonName)
}

// A bomb ends soon, in little memory.
func TestEdge32_Bombs(t *testing.T) {
	if testing.Short() {
		t.Skip("unpacks gigabytes")
	}
	zeros := make([]byte, 1<<20)
	bomb := func(megabytes int) []byte {
		var b bytes.Buffer
		g := gzip.NewWriter(&b)
		w := tar.NewWriter(g)
		w.WriteHeader(&tar.Header{Name: "zeros", Mode: 0o644, Size: int64(megabytes) << 20})
		for range megabytes {
			w.Write(zeros)
		}
		w.Close()
		g.Close()
		return b.Bytes()
	}
	zipBomb := func(megabytes int) []byte {
		var b bytes.Buffer
		w := zip.NewWriter(&b)
		f, _ := w.Create("zeros")
		for range megabytes {
			f.Write(zeros)
		}
		w.Close()
		return b.Bytes()
	}
	sparse := sparseTar(t, tarOf(t, entry{"a", "1", 0}))
	for name, data := range map[string][]byte{"gzip": bomb(400), "zip": zipBomb(400), "sparse": sparse} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := read(t, data)
			runtime.ReadMemStats(&after)
			refused(t, err, ReasonLimit)
			if n := after.TotalAlloc - before.TotalAlloc; n > 8<<20 {
				t.Errorf("%d bytes allocated", n)
			}
		})
	}
	if _, err := read(t, bomb(50)); err != nil {
		t.Errorf("a small file that compresses well: %v", err)
	}
	u := &unpacker{ctx: context.Background(), entries: limits.ArchiveEntries}
	if _, err := u.newNames(false).add("a", isFile); err == nil {
		t.Error("one entry too many")
	}
	u = &unpacker{ctx: context.Background(), names: limits.ArchiveNames}
	if _, err := u.newNames(false).add("a", isFile); err == nil {
		t.Error("names too long together")
	}
}

// sparseTar is a GNU sparse file of a terabyte without content.
func sparseTar(t testing.TB, like []byte) []byte {
	data := bytes.Clone(like[:512])
	data[156] = tar.TypeGNUSparse
	copy(data[124:136], "00000000000\x00") // nothing is stored
	copy(data[257:265], "ustar  \x00")
	for i := 345; i < 512; i++ {
		data[i] = 0
	}
	// One empty fragment at the end, and the real size in base 256.
	at := []byte{0x80, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0}
	copy(data[386:398], at)
	copy(data[398:410], "00000000000\x00")
	copy(data[483:495], at)
	copy(data[148:156], "        ")
	sum := 0
	for _, c := range data {
		sum += int(c)
	}
	copy(data[148:156], fmt.Sprintf("%06o\x00 ", sum))
	data = append(data, make([]byte, 1024)...)
	if h, err := tar.NewReader(bytes.NewReader(data)).Next(); err != nil || h.Size != 1<<40 {
		t.Fatalf("the test's tar: %+v, %v", h, err)
	}
	return data
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for _, data := range [][]byte{tarOf(t, entry{"a", "1", 0}), gzipOf(t, tarOf(t, entry{"a", "1", 0})), zipOf(t, entry{"a", "1", 0})} {
		if _, err := Read(ctx, put(t, data)); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
}

// Whoever changes a zip between the two readings is found out.
func TestChangedMeanwhile(t *testing.T) {
	data := zipOf(t, entry{"a", strings.Repeat("content ", 100000), 0})
	path := put(t, data)
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c := &checkedFile{f: f, size: int64(len(data)), last: -1, budget: -1}
	u := &unpacker{ctx: context.Background()}
	if _, err := c.readAll(u); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, flip(data, 100), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = c.ReadAt(make([]byte, 10), 0)
	refused(t, err, ReasonChanged)
}

// layout is an OCI image layout as its files.
type layout map[string]string

func (l layout) blob(mediaType, content string) map[string]any {
	d := fmt.Sprintf("%x", sha256.Sum256([]byte(content)))
	l["blobs/sha256/"+d] = content
	return map[string]any{"mediaType": mediaType, "digest": "sha256:" + d, "size": len(content)}
}

func (l layout) json(mediaType string, v map[string]any) map[string]any {
	b, _ := json.Marshal(v)
	return l.blob(mediaType, string(b))
}

func (l layout) index(manifests ...any) {
	b, _ := json.Marshal(map[string]any{"schemaVersion": 2, "manifests": manifests})
	l["index.json"] = string(b)
	l["oci-layout"] = `{"imageLayoutVersion":"1.0.0"}`
}

// dir writes it as a directory, tar as a file.
func (l layout) dir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range l {
		path := filepath.Join(dir, name)
		os.MkdirAll(filepath.Dir(path), 0o755)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func (l layout) tar(t testing.TB) string {
	t.Helper()
	var entries []entry
	for name, content := range l {
		entries = append(entries, entry{name, content, 0})
	}
	return put(t, tarOf(t, entries...))
}

const (
	ociIndex    = "application/vnd.oci.image.index.v1+json"
	ociManifest = "application/vnd.oci.image.manifest.v1+json"
	ociConfig   = "application/vnd.oci.image.config.v1+json"
	ociLayer    = "application/vnd.oci.image.layer.v1.tar"
)

func (l layout) image(t testing.TB, layers ...map[string]any) map[string]any {
	return l.json(ociManifest, map[string]any{"schemaVersion": 2, "mediaType": ociManifest, "config": l.blob(ociConfig, `{"os":"linux"}`), "layers": layers})
}

func TestImageLayout(t *testing.T) {
	l := layout{}
	base := l.blob(ociLayer+"+gzip", string(gzipOf(t, tarOf(t, entry{"etc/", "", tar.TypeDir}, entry{"etc/os", "debian", 0}, entry{"etc/OS", "x", 0}, entry{"app", "old", 0}))))
	top := l.blob(ociLayer, string(tarOf(t, entry{"/app", "new", 0}, entry{"etc/.wh.os", "", 0}, entry{"sh", "/bin/sh", tar.TypeSymlink})))
	config := "blobs/sha256/" + hex.EncodeToString(sum256(`{"os":"linux"}`)) + `={"os":"linux"}`
	inside := []string{"etc/os=debian", "etc/OS=x", "app=old", "app=new", "etc/.wh.os=", "sh->/bin/sh", config}
	image := l.image(t, base, top)
	l.index(image)
	pkg, err := Read(context.Background(), l.dir(t))
	want(t, pkg, err, inside...)
	if pkg.Sum != nil || pkg.Image != image["digest"] {
		t.Errorf("image %s, want %s", pkg.Image, image["digest"])
	}
	l["manifest.json"] = "[]"
	pkg, err = Read(context.Background(), l.tar(t))
	want(t, pkg, err, append(inside, "manifest.json=[]")...)
	if pkg.Sum == nil || pkg.Image != image["digest"] {
		t.Errorf("image %s, want %s", pkg.Image, image["digest"])
	}
	delete(l, "manifest.json")

	// Several platforms that share a layer, and an attestation.
	other := l.image(t, base, l.blob("application/vnd.in-toto+json", "{}"))
	all := l.json(ociIndex, map[string]any{"schemaVersion": 2, "mediaType": ociIndex, "manifests": []any{image, other}})
	l.index(all)
	inside = append(inside, "blobs/sha256/"+hex.EncodeToString(sum256("{}"))+"={}")
	pkg, err = Read(context.Background(), l.dir(t))
	want(t, pkg, err, inside...)
	if pkg.Image != all["digest"] {
		t.Errorf("image %s, want %s", pkg.Image, all["digest"])
	}
	// Two images are one package as a tar only; what nothing leads to is a file
	// of it like others.
	stray := l[blobName(all)]
	l.index(image, other)
	_, err = Read(context.Background(), l.dir(t))
	refused(t, err, ReasonFormat)
	pkg, err = Read(context.Background(), l.tar(t))
	want(t, pkg, err, append(inside, blobName(all)+"="+stray)...)
	if pkg.Image != "" {
		t.Errorf("image %s", pkg.Image)
	}
}

// What is attached to the image of a layout is not in the image; unless the
// image names it too, or the package is all that is in a file.
func TestEdge43_AttachedToImage(t *testing.T) {
	l := layout{}
	image := l.image(t, l.blob(ociLayer, string(tarOf(t, entry{"app", "1", 0}))))
	evil := l.blob(ociLayer, string(tarOf(t, entry{"backdoor", "2", 0})))
	config := "blobs/sha256/" + hex.EncodeToString(sum256(`{"os":"linux"}`)) + `={"os":"linux"}`
	attached := l.json(ociManifest, map[string]any{"schemaVersion": 2, "mediaType": ociManifest, "subject": image,
		"config": l.blob("application/vnd.oci.image.config.v1+json", `{"os":"linux"}`), "layers": []any{evil}})
	for _, order := range [][]any{{image, attached}, {attached, image}} {
		l.index(order...)
		pkg, err := Read(context.Background(), l.dir(t))
		want(t, pkg, err, "app=1", config)
		if pkg.Image != image["digest"] {
			t.Errorf("image %s, want %s", pkg.Image, image["digest"])
		}
		pkg, err = Read(context.Background(), l.tar(t))
		want(t, pkg, err, "app=1", "backdoor=2", config)
	}
	all := l.json(ociIndex, map[string]any{"schemaVersion": 2, "mediaType": ociIndex, "manifests": []any{image, attached}})
	for _, order := range [][]any{{attached, all}, {all, attached}} {
		l.index(order...)
		pkg, err := Read(context.Background(), l.dir(t))
		want(t, pkg, err, "app=1", "backdoor=2", config)
	}
	l.index(attached)
	_, err := Read(context.Background(), l.dir(t))
	refused(t, err, ReasonFormat)
}

func sum256(s string) []byte {
	sum := sha256.Sum256([]byte(s))
	return sum[:]
}

func TestHostileImageLayouts(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds, of which most is hashing")
	}
	layer := func(l layout) map[string]any { return l.blob(ociLayer, string(tarOf(t, entry{"a", "1", 0}))) }
	for name, c := range map[string]struct {
		reason string
		build  func(l layout)
	}{
		"layer altered": {ReasonDigest, func(l layout) {
			d := layer(l)
			l.index(l.image(t, d))
			l[blobName(d)] = string(tarOf(t, entry{"a", "2", 0}))
		}},
		"manifest altered": {ReasonDigest, func(l layout) {
			m := l.image(t, layer(l))
			l.index(m)
			l[blobName(m)] = strings.Replace(l[blobName(m)], "linux", "lunix", 1)
			l[blobName(m)] = strings.Replace(l[blobName(m)], `"schemaVersion":2`, `"schemaVersion":3`, 1)
		}},
		"wrong size": {ReasonDigest, func(l layout) {
			d := layer(l)
			d["size"] = 1
			l.index(l.image(t, d))
		}},
		"missing layer": {ReasonFormat, func(l layout) {
			d := layer(l)
			l.index(l.image(t, d))
			delete(l, blobName(d))
		}},
		"weak digest": {ReasonFormat, func(l layout) {
			d := layer(l)
			d["digest"] = "md5:d41d8cd98f00b204e9800998ecf8427e"
			l.index(l.image(t, d))
		}},
		"digest that leads elsewhere": {ReasonFormat, func(l layout) {
			d := layer(l)
			d["digest"] = "sha256:../../../etc/passwd"
			l.index(l.image(t, d))
		}},
		"index and manifest in one": {ReasonFormat, func(l layout) {
			l.index(l.json(ociManifest, map[string]any{"config": l.blob(ociConfig, "{}"), "layers": []any{layer(l)}, "manifests": []any{}}))
		}},
		"index that says it is a manifest": {ReasonFormat, func(l layout) {
			l.index(l.json(ociManifest, map[string]any{"manifests": []any{}}))
		}},
		"another media type inside": {ReasonFormat, func(l layout) {
			l.index(l.json(ociManifest, map[string]any{"mediaType": ociIndex, "config": l.blob(ociConfig, "{}"), "layers": []any{layer(l)}}))
		}},
		"names nothing": {ReasonFormat, func(l layout) { l.index() }},
		"nested":        {ReasonLimit, func(l layout) { l.index(nested(l, 20)) }},
		"bomb in a layer": {ReasonLimit, func(l layout) {
			l.index(l.image(t, l.blob(ociLayer+"+gzip", string(gzipOf(t, tarOf(t, entry{"zeros", string(make([]byte, 200<<20)), 0}))))))
		}},
		"zstd": {ReasonFormat, func(l layout) {
			l.index(l.image(t, l.blob(ociLayer+"+zstd", "\x28\xb5\x2f\xfd...")))
		}},
		"layer with a way out": {ReasonName, func(l layout) {
			l.index(l.image(t, l.blob(ociLayer, string(tarOf(t, entry{"../a", "1", 0})))))
		}},
		"duplicate names in JSON": {ReasonFormat, func(l layout) {
			l.index(l.image(t, layer(l)))
			l["index.json"] = strings.Replace(l["index.json"], "{", `{"manifests":[],`, 1)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			l := layout{}
			c.build(l)
			_, err := Read(context.Background(), l.dir(t))
			refused(t, err, c.reason)
			_, err = Read(context.Background(), l.tar(t))
			refused(t, err, c.reason)
		})
	}
	if runtime.GOOS != "windows" {
		l := layout{}
		d := layer(l)
		l.index(l.image(t, d))
		dir := l.dir(t)
		os.Rename(filepath.Join(dir, blobName(d)), filepath.Join(dir, "elsewhere"))
		os.Symlink("../../elsewhere", filepath.Join(dir, blobName(d)))
		_, err := Read(context.Background(), dir)
		refused(t, err, ReasonSpecial)
	}
}

func blobName(d map[string]any) string {
	return "blobs/sha256/" + strings.TrimPrefix(d["digest"].(string), "sha256:")
}

func nested(l layout, depth int) map[string]any {
	if depth == 0 {
		return l.json(ociIndex, map[string]any{"manifests": []any{}})
	}
	return l.json(ociIndex, map[string]any{"manifests": []any{nested(l, depth-1)}})
}

func FuzzRead(f *testing.F) {
	plain := tarOf(f, entry{"dir/", "", tar.TypeDir}, entry{"dir/a", "1", 0}, entry{"b", "a", tar.TypeSymlink}, entry{"c", "dir/a", tar.TypeLink})
	f.Add(plain)
	f.Add(gzipOf(f, plain))
	f.Add(zipOf(f, entry{"a", "1", 0}, entry{"b", "a", tar.TypeSymlink}))
	l := layout{}
	l.index(l.image(f, l.blob(ociLayer, string(plain))))
	data, _ := os.ReadFile(l.tar(f))
	f.Add(data)
	path := filepath.Join(f.TempDir(), "package")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		pkg, err := Read(ctx, path)
		if err != nil {
			if _, ok := errors.AsType[*Error](err); !ok {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		if pkg.Sum.SHA256 != sha256.Sum256(data) {
			t.Error("digest of the package")
		}
		for _, file := range pkg.Files {
			if !fs.ValidPath(file.Name) || file.Name == "." {
				t.Errorf("name %q", file.Name)
			}
		}
	})
}
