// Package archive looks into packages: it digests a package and every file in
// it, and refuses what another program would unpack differently.
//
// It reads tar, tar with gzip, zip (and so jar and wheel), and OCI image
// layouts, as a directory or as a tar file. Which it is, the content says, not
// the name. Nothing is written, and nothing is run.
//
// # One reading
//
// The digests of the files are of the very bytes that the package's digest
// covers, whoever writes to the file meanwhile:
//
//   - A tar is read once, front to back, and unpacked from the stream that is
//     hashed.
//   - A zip has its table of contents at the end, so it is read twice. The
//     first reading hashes the file, and each block of it; the second checks
//     every block that it uses against the first.
//   - What an OCI layout holds is addressed by digest. Each blob is read once
//     and must have the digest by which it was asked for.
//
// # What is refused
//
// Names that are absolute, that have an element "..", "." or "" (a leading
// "./" aside), a backslash, a control character, or are not UTF-8; two entries
// of one name, or of names that Unicode normalisation or case folding makes
// one; an entry below a file or a link; special files; hard links to anything
// but an earlier regular file of the same archive, which they then are once
// more; data after the end of a tar; zip entries that overlap, that leave gaps,
// whose local header differs from the table of contents, or that have a second
// name in an extra field. All of them are things about which programs that
// unpack disagree. Work and memory are bounded; see package limits.
package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/hallmark-build/hallmark/internal/filetree"
	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/regular"
)

// An Error says why a package was not looked into.
type Error struct {
	Reason string // stable: one of the Reason constants
	Name   string // of the entry; "" for the package as a whole
	Msg    string
	Err    error // the cause, or nil
}

func (e *Error) Error() string {
	s := e.Msg
	if e.Name != "" {
		s = fmt.Sprintf("%.200q: %s", e.Name, s)
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// Reasons of an [Error].
const (
	ReasonFormat    = "contents-format"    // of no format that is known, or malformed
	ReasonLimit     = "contents-limit"     // more than is unpacked: perhaps a bomb
	ReasonName      = "contents-name"      // a name that would be unpacked elsewhere, or differently here and there
	ReasonDuplicate = "contents-duplicate" // two entries of one name
	ReasonLink      = "contents-link"      // a hard link, or something below a link
	ReasonSpecial   = "contents-special"   // a device, FIFO or the like
	ReasonDigest    = "contents-digest"    // an OCI blob has not the digest by which it is named
	ReasonChanged   = "contents-changed"   // the package changed while it was read
)

// A Sum is the digests of some content.
type Sum struct {
	SHA256 [sha256.Size]byte
	SHA512 [sha512.Size]byte
}

// A File is a regular file or a symbolic link in a package.
type File struct {
	Name string // slash-separated and relative
	Sum  Sum    // of the content; of a symbolic link, of its target's text
	// Link is the target of a symbolic link, which may be empty; nil for a
	// regular file.
	Link *string
	Size int64 // in bytes; of a symbolic link, of its target's text
	// Config is set for the configuration of an image, which no layer has.
	Config bool
	// Content is what the file holds, if it was asked for.
	Content []byte
}

// A Package is what was found.
type Package struct {
	Sum *Sum // of the package's file; nil for a directory
	// Image is the digest ("sha256:…") of the one image or image index that
	// an OCI layout is about.
	Image string
	// Files are ordered by name. In an image two layers may have a file of the
	// same name, and both are here.
	Files []File
}

// Read looks into the package at path.
func Read(ctx context.Context, path string) (*Package, error) {
	return ReadKeeping(ctx, path, nil)
}

// ReadKeeping is Read, and keeps the content of those files whose name keep
// asks for: of each at most limits.ArchiveKept bytes, and of all together at
// most 16 times that. A file that is larger has no Content.
func ReadKeeping(ctx context.Context, path string, keep func(name string) bool) (*Package, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	u := &unpacker{ctx: ctx, keep: keep, h256: sha256.New(), h512: sha512.New(), buf: make([]byte, 256<<10)}
	if info.IsDir() {
		err = u.layoutDir(path)
	} else {
		err = u.file(path, info)
	}
	if err != nil {
		if ctxErr := ctx.Err(); ctxErr != nil {
			err = ctxErr
		}
		return nil, err
	}
	slices.SortFunc(u.files, compareFiles)
	u.pkg.Files = slices.CompactFunc(u.files, func(a, b File) bool { return compareFiles(a, b) == 0 })
	return &u.pkg, nil
}

func compareFiles(a, b File) int {
	if c := strings.Compare(a.Name, b.Name); c != 0 {
		return c
	}
	if c := bytes.Compare(a.Sum.SHA256[:], b.Sum.SHA256[:]); c != 0 {
		return c
	}
	switch {
	case a.Link != nil && b.Link != nil:
		return strings.Compare(*a.Link, *b.Link)
	case a.Link != nil:
		return 1
	case b.Link != nil:
		return -1
	}
	return 0
}

// unpacker is one call of Read.
type unpacker struct {
	ctx   context.Context
	pkg   Package
	files []File

	packed   int64 // bytes of the package that were read
	unpacked int64 // bytes that came of them by decompression
	content  int64 // bytes of files: more than unpacked if one is sparse
	entries  int
	names    int // bytes of their names

	keep func(name string) bool
	kept int64 // bytes of content that was kept

	h256, h512 hash.Hash
	buf        []byte
}

func (u *unpacker) file(path string, info os.FileInfo) error {
	if !info.Mode().IsRegular() {
		return &Error{Reason: ReasonFormat, Msg: "neither a regular file nor a directory"}
	}
	f, info, err := regular.Open(path)
	if errors.Is(err, regular.ErrNot) {
		return &Error{Reason: ReasonFormat, Msg: "not a regular file"}
	}
	if err != nil {
		return err
	}
	defer f.Close()
	head := make([]byte, 512)
	n, err := f.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return err
	}
	head = head[:n]
	has := func(magic string) bool { return bytes.HasPrefix(head, []byte(magic)) }
	switch {
	case has("PK\x03\x04"), has("PK\x05\x06"):
		return u.zip(f, info.Size())
	case has("\x1f\x8b"):
		return u.tarFile(f, info.Size(), true)
	case has("\x28\xb5\x2f\xfd"), has("BZh"), has("\xfd7zXZ\x00"):
		return &Error{Reason: ReasonFormat, Msg: "compressed with zstd, bzip2 or xz, which is not supported: want tar, tar with gzip, zip, or an OCI image layout"}
	}
	return u.tarFile(f, info.Size(), false)
}

// over returns an error when so much has come of so little.
func (u *unpacker) over() error {
	const slack = 64 << 20
	n := max(u.unpacked, u.content)
	if n > limits.ArchiveBytes {
		return &Error{Reason: ReasonLimit, Msg: fmt.Sprintf("unpacks to more than %d bytes", int64(limits.ArchiveBytes))}
	}
	if n > slack && (n-slack)/limits.ArchiveRatio > u.packed {
		return &Error{Reason: ReasonLimit, Msg: fmt.Sprintf("unpacks to more than %d times its size", limits.ArchiveRatio)}
	}
	return nil
}

// packedReader counts what is read of the package.
type packedReader struct {
	u *unpacker
	r io.Reader
}

func (p packedReader) Read(b []byte) (int, error) {
	if err := p.u.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := p.r.Read(b)
	p.u.packed += int64(n)
	return n, err
}

// unpackedReader counts and bounds what comes of it.
type unpackedReader struct {
	u *unpacker
	r io.Reader
}

func (p unpackedReader) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	p.u.unpacked += int64(n)
	if over := p.u.over(); over != nil {
		return 0, over
	}
	return n, err
}

// sum digests the rest of r, which is the content of one file.
func (u *unpacker) sum(r io.Reader) (s Sum, size int64, err error) {
	u.h256.Reset()
	u.h512.Reset()
	for {
		if err := u.ctx.Err(); err != nil {
			return Sum{}, 0, err
		}
		n, err := r.Read(u.buf)
		u.h256.Write(u.buf[:n])
		u.h512.Write(u.buf[:n])
		size += int64(n)
		u.content += int64(n)
		if err == io.EOF {
			break
		}
		if err == nil {
			err = u.over()
		}
		if err != nil {
			return Sum{}, 0, err
		}
	}
	u.h256.Sum(s.SHA256[:0])
	u.h512.Sum(s.SHA512[:0])
	return s, size, u.over()
}

// addFile adds the file whose content is the rest of r.
func (u *unpacker) addFile(name string, r io.Reader) error {
	f := File{Name: name}
	var content *keeper
	if u.keep != nil && u.keep(name) {
		content = &keeper{room: min(limits.ArchiveKept, 16*limits.ArchiveKept-u.kept)}
		r = io.TeeReader(r, content)
	}
	var err error
	if f.Sum, f.Size, err = u.sum(r); err != nil {
		return err
	}
	if content != nil && content.room >= 0 {
		f.Content = content.data
		u.kept += int64(len(content.data))
	}
	u.files = append(u.files, f)
	return nil
}

// keeper keeps what is written to it, or nothing when there is no room for it.
type keeper struct {
	data []byte
	room int64
}

func (k *keeper) Write(b []byte) (int, error) {
	if k.room -= int64(len(b)); k.room >= 0 {
		k.data = append(k.data, b...)
	} else {
		k.data = nil
	}
	return len(b), nil
}

func (u *unpacker) addLink(name, target string) error {
	if len(target) > limits.TreePath || !utf8.ValidString(target) || strings.IndexFunc(target, unicode.IsControl) >= 0 {
		return &Error{Reason: ReasonName, Name: name, Msg: "symbolic link with a target that is too long or not text"}
	}
	u.files = append(u.files, File{Name: name, Link: &target, Size: int64(len(target)),
		Sum: Sum{sha256.Sum256([]byte(target)), sha512.Sum512([]byte(target))}})
	return nil
}

// names keeps the names of one archive apart.
type names struct {
	u     *unpacker
	layer bool // of an image, for a case-sensitive file system
	kinds map[string]kind
	odd   map[string]string // names that folding changes, by what they fold to
}

type kind byte

const (
	isDir kind = 1 + iota
	isFile
	isLink
)

func (u *unpacker) newNames(layer bool) *names {
	return &names{u: u, layer: layer, kinds: map[string]kind{}, odd: map[string]string{}}
}

// add returns the name as it is reported, and "" for the root.
func (t *names) add(raw string, k kind) (string, error) {
	u := t.u
	if err := u.ctx.Err(); err != nil {
		return "", err
	}
	u.entries++
	u.names += len(raw)
	if u.entries > limits.ArchiveEntries || u.names > limits.ArchiveNames {
		return "", &Error{Reason: ReasonLimit, Msg: fmt.Sprintf("more than %d entries, or than %d bytes of names", limits.ArchiveEntries, limits.ArchiveNames)}
	}
	name := strings.TrimPrefix(raw, "./")
	if t.layer && name == raw {
		name = strings.TrimPrefix(raw, "/") // some builders write layers so
	}
	if k == isDir {
		name = strings.TrimSuffix(name, "/")
		if name == "" || name == "." {
			return "", nil
		}
	}
	if err := checkName(raw, name); err != nil {
		return "", err
	}
	if err := t.enter(name, k); err != nil {
		return "", err
	}
	// All directories above it.
	for at := strings.LastIndexByte(name, '/'); at >= 0; at = strings.LastIndexByte(name[:at], '/') {
		if t.kinds[name[:at]] == isDir {
			break
		}
		if err := t.enter(name[:at], isDir); err != nil {
			return "", err
		}
	}
	return name, nil
}

func (t *names) enter(name string, k kind) error {
	if was, ok := t.kinds[name]; ok {
		switch {
		case was == isDir && k == isDir:
			return nil
		case was == isLink && k == isDir:
			return &Error{Reason: ReasonLink, Name: name, Msg: "both a symbolic link and a directory"}
		}
		return &Error{Reason: ReasonDuplicate, Name: name, Msg: "two entries have this name"}
	}
	folded := filetree.Fold(name, t.layer)
	other, clash := t.odd[folded]
	if folded != name && !clash {
		if _, clash = t.kinds[folded]; clash {
			other = folded
		}
		t.odd[folded] = name
	}
	if clash {
		return &Error{Reason: ReasonDuplicate, Name: name, Msg: fmt.Sprintf("differs from %.200q in nothing but case or Unicode normalisation", other)}
	}
	t.kinds[name] = k
	return nil
}

func checkName(raw, name string) error {
	why := ""
	switch {
	case len(name) > limits.TreePath:
		return &Error{Reason: ReasonLimit, Name: raw, Msg: fmt.Sprintf("name is longer than %d bytes", limits.TreePath)}
	case strings.Count(name, "/") >= limits.TreeDepth:
		return &Error{Reason: ReasonLimit, Name: raw, Msg: fmt.Sprintf("name is deeper than %d", limits.TreeDepth)}
	case !utf8.ValidString(name):
		why = "name is not valid UTF-8"
	case strings.HasPrefix(name, "/"):
		why = "name is absolute"
	case strings.IndexFunc(name, func(r rune) bool { return r == '\\' || unicode.IsControl(r) }) >= 0:
		why = "name has a backslash or a control character"
	default:
		for e := range strings.SplitSeq(name, "/") {
			if e == "" || e == "." || e == ".." {
				why = `name has an element "", "." or ".."`
				break
			}
		}
	}
	if why != "" {
		return &Error{Reason: ReasonName, Name: raw, Msg: why}
	}
	return nil
}

// malformed wraps the error of a decoder.
func malformed(name, what string, err error) error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return &Error{Reason: ReasonFormat, Name: name, Msg: what, Err: err}
}
