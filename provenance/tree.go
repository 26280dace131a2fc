package provenance

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/hallmark-build/hallmark/internal/filetree"
)

// TreeOptions say how [DigestTree] digests. The zero value digests every file
// with SHA-256 and refuses what could be misread elsewhere.
type TreeOptions struct {
	// Exclude reports whether to leave out the file, the symbolic link or the
	// whole directory at a path, which is relative to the root and separated
	// by slashes. Several goroutines call it at the same time.
	Exclude func(path string) bool

	// AllowCaseCollisions lets two paths of the tree differ in nothing but
	// case, as some sources do that are only ever built on Linux. Paths that
	// are equal under Unicode's normalisation NFC are always refused.
	AllowCaseCollisions bool

	// MaxBytes bounds the size of all files together, holes included; 0 is
	// 256 GiB. A file that would exceed it is not read.
	MaxBytes int64

	// SHA512 adds that digest to each file.
	SHA512 bool

	// GitFormat adds the gitBlob digest to each file and gitTree to the tree,
	// for repositories of the object format "sha1" or "sha256" (git rev-parse
	// --show-object-format); "" for neither. Exclude .git then.
	GitFormat string

	// CacheFile, if not "", names a file that keeps the digests from one call
	// to the next, so that files with the same path, inode, mode, size,
	// modification and change time are not read again. Times can be trusted
	// on a local disk; they cannot be where an attacker sets the clock or
	// keeps a file mapped, and there a cache must not be used. The directory
	// and the file must belong to this user and be writable by nobody else.
	// A damaged cache is replaced. Ignored on Windows, which has no such
	// times.
	CacheFile string

	// Now tells the time; required with CacheFile, which keeps nothing about
	// a file that changed less than two seconds before.
	Now func() time.Time

	// Progress, if not nil, is told at most ten times a second, and at the
	// end, how many files and how many bytes have been digested so far. The
	// goroutine that called DigestTree calls it.
	Progress func(files, bytes int64)
}

// A TreeFile is a regular file or a symbolic link of a [Tree].
type TreeFile struct {
	Path    string      // relative to the root, clean, separated by slashes, valid UTF-8
	Mode    fs.FileMode // type and permission bits; ModeSymlink|0o777 for a link
	Size    int64       // in bytes
	Link    string      // where a symbolic link points; "" for a file
	Digests DigestSet   // of the content; for a link, of the text of Link
}

// A Tree is a directory with all files and symbolic links below it, sorted by
// path. It has no empty directories, as in git.
type Tree struct {
	Files   []TreeFile
	digests DigestSet
}

// A TreeError says why a tree was not digested.
type TreeError struct {
	// Reason is stable, and one of
	//
	//	tree-root           the root is not a directory that can be opened
	//	tree-special-file   a socket, a FIFO or a device
	//	tree-name           a name that is too long or not UTF-8, or has a backslash or a control character
	//	tree-collision      two paths that normalisation or case folding makes one
	//	tree-changed        a file or directory changed, was swapped or vanished meanwhile
	//	tree-read           a file or directory cannot be read
	//	tree-digest         a path .git, which git does not record
	//	tree-cache          the cache cannot be read or written
	//	tree-cache-exposed  others may write the cache
	//	limit-exceeded      too many files, too many bytes, or too deep
	Reason string
	Path   string // in the tree; or the path of the root, or of the cache
	Err    error  // says what was wanted and what was found
}

func (e *TreeError) Error() string { return e.Err.Error() }

// Unwrap returns the error of the system, if that is the cause.
func (e *TreeError) Unwrap() error { return errors.Unwrap(e.Err) }

// DigestTree digests all files of a directory in parallel. It follows no
// symbolic link but root, if that is one. A tree that is not the same at the
// end as at the beginning is refused, as is one with a special file.
//
// The memory that it takes grows with the number of files and not with their
// size. It returns a *[TreeError], or the error of the context soon after that
// is cancelled.
func DigestTree(ctx context.Context, root string, opts TreeOptions) (Tree, error) {
	o := filetree.Options{
		Exclude:             opts.Exclude,
		AllowCaseCollisions: opts.AllowCaseCollisions,
		MaxBytes:            opts.MaxBytes,
		SHA512:              opts.SHA512,
	}
	var format filetree.Format
	switch opts.GitFormat {
	case "":
	case "sha1":
		format, o.GitSHA1 = filetree.SHA1, true
	case "sha256":
		format, o.GitSHA256 = filetree.SHA256, true
	default:
		return Tree{}, fmt.Errorf("git object format: want sha1 or sha256, found %s", clip(opts.GitFormat))
	}
	if opts.CacheFile != "" {
		o.Cache = &filetree.Cache{File: opts.CacheFile, Now: opts.Now}
	}
	if opts.Progress != nil {
		o.Progress = func(p filetree.Progress) { opts.Progress(p.Files, p.Bytes) }
	}
	entries, err := filetree.Scan(ctx, root, o)
	if err != nil {
		return Tree{}, treeError(err)
	}
	return newTree(entries, o, format)
}

func newTree(entries []filetree.Entry, o filetree.Options, format filetree.Format) (Tree, error) {
	var t Tree
	dirHash := make(chan Digest, 1)
	go func() { // takes as long as all the rest
		h, err := filetree.DirHash(entries, "")
		if err != nil { // a symbolic link
			dirHash <- Digest{}
			return
		}
		dirHash <- Digest{DirHash, hex.EncodeToString(h[:])}
	}()
	files := treeFiles(entries, o)
	if d := <-dirHash; !d.IsZero() {
		t.digests = append(t.digests, d)
	}
	if format != 0 {
		id, err := filetree.GitTree(entries, format)
		if err != nil {
			return Tree{}, treeError(err)
		}
		t.digests = append(t.digests, Digest{GitTree, hex.EncodeToString(id)})
	}
	t.Files = files
	return t, nil
}

// treeFiles makes three allocations, whatever the number of files.
func treeFiles(entries []filetree.Entry, o filetree.Options) []TreeFile {
	type kind struct {
		algorithm Algorithm
		sum       func(e *filetree.Entry) []byte
	}
	kinds := make([]kind, 0, 3) // sorted, as a DigestSet is written
	if o.GitSHA1 {
		kinds = append(kinds, kind{GitBlob, func(e *filetree.Entry) []byte { return e.More.GitSHA1[:] }})
	}
	if o.GitSHA256 {
		kinds = append(kinds, kind{GitBlob, func(e *filetree.Entry) []byte { return e.More.GitSHA256[:] }})
	}
	kinds = append(kinds, kind{SHA256, func(e *filetree.Entry) []byte { return e.SHA256[:] }})
	if o.SHA512 {
		kinds = append(kinds, kind{SHA512, func(e *filetree.Entry) []byte { return e.More.SHA512[:] }})
	}

	var all strings.Builder
	if len(entries) > 0 {
		n := 0
		for _, k := range kinds {
			n += hex.EncodedLen(len(k.sum(&entries[0])))
		}
		all.Grow(n * len(entries))
	}
	sets := make(DigestSet, 0, len(kinds)*len(entries))
	files := make([]TreeFile, len(entries))
	var buf [128]byte
	for i := range entries {
		e := &entries[i]
		from := len(sets)
		for _, k := range kinds {
			start := all.Len()
			all.Write(hex.AppendEncode(buf[:0], k.sum(e)))
			// Grow has seen to it that the string does not move.
			sets = append(sets, Digest{k.algorithm, all.String()[start:]})
		}
		files[i] = TreeFile{e.Path, e.Mode, e.Size, e.Link, sets[from:len(sets):len(sets)]}
	}
	return files
}

func treeError(err error) error {
	var e *filetree.Error
	if errors.As(err, &e) {
		return &TreeError{e.Reason, e.Path, e}
	}
	return err
}

// Digests returns the digests of the tree as a whole: dirHash, which is Go's
// Hash1 with the paths as they are in Files, unless the tree has a symbolic
// link, which Hash1 cannot express; and gitTree if TreeOptions asked for it,
// which is what git write-tree would say of these files.
func (t Tree) Digests() DigestSet { return append(DigestSet(nil), t.digests...) }

// Artifact returns the tree as one artifact with its Digests.
func (t Tree) Artifact(name string) Artifact {
	return Artifact{Name: name, Digests: t.Digests()}
}

// Descriptors returns a descriptor for each file, named by its path.
//
// A symbolic link has the digests of the text of its target, as git stores
// it, and always an annotation "link" with that text: without it the link
// could pass for a file of the same content. Other annotations are there only
// if modes is true: "mode", the permission bits in octal, such as "0755".
func (t Tree) Descriptors(modes bool) []ResourceDescriptor {
	list := make([]ResourceDescriptor, len(t.Files))
	for i, f := range t.Files {
		list[i] = ResourceDescriptor{Name: f.Path, Digest: f.Digests}
		if f.Mode&fs.ModeSymlink == 0 && !modes {
			continue
		}
		a := make(map[string]any, 2)
		if f.Mode&fs.ModeSymlink != 0 {
			a["link"] = f.Link
		}
		if modes {
			a["mode"] = octalMode(f.Mode)
		}
		list[i].Annotations = a
	}
	return list
}

// octalMode writes the permission bits as chmod takes them.
func octalMode(m fs.FileMode) string {
	bits := uint32(m.Perm())
	for bit, on := range map[uint32]bool{
		0o4000: m&fs.ModeSetuid != 0,
		0o2000: m&fs.ModeSetgid != 0,
		0o1000: m&fs.ModeSticky != 0,
	} {
		if on {
			bits |= bit
		}
	}
	return fmt.Sprintf("%04o", bits)
}
