package archive

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/regular"
	"github.com/hallmark-build/hallmark/internal/strictjson"
)

// image walks an OCI image layout (image-spec, image-layout.md).
//
// Files of an image are those of all layers, under their names in the layers,
// also where a later layer hides them, whiteouts ("/.wh.") included; and
// configurations and whatever is not a layer, under their names as blobs.
type image struct {
	u    *unpacker
	open func(name string) (io.ReadCloser, int64, error)
	// looked are the blobs that need no entry of their own, because what they
	// say was followed: indexes, manifests and layers.
	looked map[string]bool
	// attached tells whether what is attached to another image (a manifest with
	// a subject, that index.json names) is passed over: it is, where the package is
	// the one image of a layout and not all that is in a file.
	attached bool
	subject  map[string]bool // manifests that have one
	depth    int
	count    int
}

// Media types, of OCI and of Docker before it.
var (
	indexTypes    = []string{"application/vnd.oci.image.index.v1+json", "application/vnd.docker.distribution.manifest.list.v2+json"}
	manifestTypes = []string{"application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"}
)

func isLayerType(t string) bool {
	return strings.HasPrefix(t, "application/vnd.oci.image.layer.") || strings.HasPrefix(t, "application/vnd.docker.image.rootfs.")
}

// layoutDir reads a layout that is a directory.
func (u *unpacker) layoutDir(path string) error {
	root, err := os.OpenRoot(path)
	if err != nil {
		return err
	}
	defer root.Close()
	img := &image{u: u, looked: map[string]bool{}, attached: true, subject: map[string]bool{}, open: func(name string) (io.ReadCloser, int64, error) {
		info, err := root.Lstat(name)
		if err != nil {
			return nil, 0, err
		}
		if !info.Mode().IsRegular() {
			return nil, 0, &Error{Reason: ReasonSpecial, Name: name, Msg: "not a regular file"}
		}
		f, info, err := regular.OpenIn(root, name)
		if err != nil {
			return nil, 0, err
		}
		return f, info.Size(), nil
	}}
	marker, _, err := img.open("oci-layout")
	if err != nil {
		return &Error{Reason: ReasonFormat, Msg: "a directory, and not an OCI image layout", Err: err}
	}
	marker.Close()
	images, _, err := img.index()
	if err != nil {
		return err
	}
	if len(images) != 1 {
		return &Error{Reason: ReasonFormat, Name: "index.json", Msg: fmt.Sprintf("names %d images; a directory that is to be one package must have one", len(images))}
	}
	u.pkg.Image = images[0].Digest
	return nil
}

// layoutTar reads a layout in a tar file that was read once already: every
// blob must have the digest that the first reading found, by which it is named.
func (u *unpacker) layoutTar(f *os.File, spans map[string]span) error {
	top := u.files
	u.files = nil
	img := &image{u: u, looked: map[string]bool{}, subject: map[string]bool{}, open: func(name string) (io.ReadCloser, int64, error) {
		s, ok := spans[name]
		if !ok {
			return nil, 0, os.ErrNotExist
		}
		return io.NopCloser(io.NewSectionReader(f, s.offset, s.size)), s.size, nil
	}}
	images, sum, err := img.index()
	if err != nil {
		return err
	}
	if sum != top[spans["index.json"].file].Sum.SHA256 {
		return errChanged
	}
	if len(images) == 1 {
		u.pkg.Image = images[0].Digest
	}
	for _, file := range top {
		if file.Name != "oci-layout" && file.Name != "index.json" && !img.looked[file.Name] {
			u.files = append(u.files, file)
		}
	}
	return nil
}

// A descriptor names a blob (image-spec, descriptor.md).
type descriptor struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"`
}

// file returns the blob's name in the layout.
func (d *descriptor) file() (string, error) {
	alg, value, _ := strings.Cut(d.Digest, ":")
	want := map[string]int{"sha256": sha256.Size, "sha512": sha512.Size}[alg]
	if b, err := hex.DecodeString(value); err != nil || want == 0 || len(b) != want || strings.ToLower(value) != value || d.Size < 0 {
		return "", &Error{Reason: ReasonFormat, Name: "index.json", Msg: fmt.Sprintf("descriptor with digest %.200q and size %d: want sha256 or sha512 in lower-case hex, and a size", d.Digest, d.Size)}
	}
	return "blobs/" + alg + "/" + value, nil
}

func (d *descriptor) hash() hash.Hash {
	if strings.HasPrefix(d.Digest, "sha512:") {
		return sha512.New()
	}
	return sha256.New()
}

// document is an index or a manifest.
type document struct {
	MediaType string       `json:"mediaType"`
	Manifests []descriptor `json:"manifests"`
	Config    *descriptor  `json:"config"`
	Layers    []descriptor `json:"layers"`
	Subject   *descriptor  `json:"subject"`
}

func parseDocument(name string, data []byte, d *descriptor) (*document, error) {
	doc := new(document)
	if err := strictjson.Into(data, limits.ImageManifest, doc); err != nil {
		return nil, malformed(name, "bad JSON", err)
	}
	// One document that is an index to one reader and a manifest to another
	// is two images (CVE-2021-41190).
	if doc.Manifests != nil && (doc.Config != nil || doc.Layers != nil) {
		return nil, &Error{Reason: ReasonFormat, Name: name, Msg: "both an index and a manifest"}
	}
	if d != nil && doc.MediaType != "" && doc.MediaType != d.MediaType {
		return nil, &Error{Reason: ReasonFormat, Name: name, Msg: fmt.Sprintf("its media type is %.100q, and %.100q where it is named", doc.MediaType, d.MediaType)}
	}
	return doc, nil
}

// index reads index.json and all that it leads to.
func (img *image) index() (images []descriptor, sum [sha256.Size]byte, err error) {
	r, _, err := img.open("index.json")
	if err != nil {
		return nil, sum, malformed("index.json", "cannot be read", err)
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, limits.ImageManifest+1))
	if err != nil {
		return nil, sum, err
	}
	img.u.packed += int64(len(data))
	doc, err := parseDocument("index.json", data, nil)
	if err != nil {
		return nil, sum, err
	}
	if len(doc.Manifests) == 0 {
		return nil, sum, &Error{Reason: ReasonFormat, Name: "index.json", Msg: "names no image"}
	}
	for i := range doc.Manifests {
		attached, err := img.follow(&doc.Manifests[i])
		if err != nil {
			return nil, sum, err
		}
		if !attached {
			images = append(images, doc.Manifests[i])
		}
	}
	return images, sha256.Sum256(data), nil
}

// follow reads what a descriptor in an index names, and reports whether it was
// passed over, because it is only attached to an image.
func (img *image) follow(d *descriptor) (attached bool, err error) {
	const deepest = 4
	name, err := d.file()
	if err != nil {
		return false, err
	}
	isIndex := slices.Contains(indexTypes, d.MediaType)
	if !isIndex && !slices.Contains(manifestTypes, d.MediaType) {
		return false, img.opaque(d)
	}
	top := img.attached && img.depth == 0
	if img.looked[name] {
		return top && img.subject[name], nil
	}
	img.looked[name] = true
	img.count++
	if img.depth == deepest || img.count > limits.ImageManifests {
		return false, &Error{Reason: ReasonLimit, Name: name, Msg: fmt.Sprintf("more than %d manifests, or indexes nested deeper than %d", limits.ImageManifests, deepest)}
	}
	if d.Size > limits.ImageManifest {
		return false, &Error{Reason: ReasonLimit, Name: name, Msg: fmt.Sprintf("manifest larger than %d bytes", limits.ImageManifest)}
	}
	var data bytes.Buffer
	if err := img.blob(d, name, func(r io.Reader) error {
		_, err := data.ReadFrom(r)
		return err
	}); err != nil {
		return false, err
	}
	doc, err := parseDocument(name, data.Bytes(), d)
	if err != nil {
		return false, err
	}
	img.subject[name] = doc.Subject != nil
	switch {
	case isIndex && (doc.Config != nil || doc.Layers != nil), !isIndex && (doc.Manifests != nil || doc.Config == nil):
		return false, &Error{Reason: ReasonFormat, Name: name, Msg: "not what its media type says"}
	case top && doc.Subject != nil:
		// An index may name it as one of its images all the same: then it is
		// read there.
		delete(img.looked, name)
		return true, nil
	case isIndex:
		img.depth++
		defer func() { img.depth-- }()
		for i := range doc.Manifests {
			if _, err := img.follow(&doc.Manifests[i]); err != nil {
				return false, err
			}
		}
		return false, nil
	}
	before := len(img.u.files)
	if err := img.opaque(doc.Config); err != nil {
		return false, err
	}
	for i := range img.u.files[before:] {
		img.u.files[before+i].Config = true
	}
	for i := range doc.Layers {
		l := &doc.Layers[i]
		read := img.opaque
		if isLayerType(l.MediaType) {
			read = img.layer
		}
		if err := read(l); err != nil {
			return false, err
		}
	}
	return false, nil
}

// opaque adds a blob that nobody looks into.
func (img *image) opaque(d *descriptor) error {
	name, err := d.file()
	if err != nil || img.looked[name] {
		return err
	}
	img.looked[name] = true
	return img.blob(d, name, func(r io.Reader) error {
		return img.u.addFile(name, r)
	})
}

// layer adds the files of a layer.
func (img *image) layer(d *descriptor) error {
	name, err := d.file()
	// That somebody calls the blob something else, too, does not make its
	// files go away.
	unpacked := "layer " + name
	if err != nil || img.looked[unpacked] {
		return err
	}
	img.looked[name], img.looked[unpacked] = true, true
	u := img.u
	return img.blob(d, name, func(r io.Reader) error {
		b := bufio.NewReaderSize(r, 64<<10)
		magic, _ := b.Peek(4)
		t := u.newNames(true)
		switch {
		case bytes.HasPrefix(magic, []byte("\x1f\x8b")):
			return u.gunzip(b, func(r io.Reader) error { return u.tar(r, t, nil) })
		case string(magic) == "\x28\xb5\x2f\xfd":
			return &Error{Reason: ReasonFormat, Name: name, Msg: "a layer that is compressed with zstd, which is not supported"}
		}
		return u.tar(unpackedReader{u, b}, t, nil)
	})
}

// blob has read consume a blob to its end, and checks that it is the one that
// the descriptor names. What read has made of it is of no use if not.
func (img *image) blob(d *descriptor, name string, read func(io.Reader) error) error {
	r, size, err := img.open(name)
	if err != nil {
		return malformed(name, "blob cannot be read", err)
	}
	defer r.Close()
	wrong := &Error{Reason: ReasonDigest, Name: name, Msg: "blob has not the size or the digest by which it is named"}
	if size != d.Size {
		return wrong
	}
	h := d.hash()
	before := img.u.packed
	if err := read(io.TeeReader(packedReader{img.u, io.LimitReader(r, size)}, h)); err != nil {
		return err
	}
	_, value, _ := strings.Cut(d.Digest, ":")
	if img.u.packed-before != size || hex.EncodeToString(h.Sum(nil)) != value {
		return wrong
	}
	return nil
}
