// Package filetree digests a tree of files: in parallel, without following a
// symbolic link, in memory that does not grow with the files.
//
// [Scan] returns one [Entry] for every regular file and every symbolic link
// below a directory, sorted by path. Directories have no entry, as in a git
// tree: an empty one leaves no trace. [GitTree] and [DirHash] turn the entries
// into one digest of the whole.
//
//	entries, err := filetree.Scan(ctx, "src", filetree.Options{GitSHA1: true})
//	tree, err := filetree.GitTree(entries, filetree.SHA1)
//
// # A tree that fights back
//
// The tree is taken for hostile, and for one that somebody changes during the
// scan. Every step goes from the descriptor of an open directory to a name in
// it (openat with O_NOFOLLOW and O_NONBLOCK, or [os.Root] where that is not to
// be had), so a directory that is swapped for a symbolic link cannot lead out
// of the tree and a FIFO cannot block. What was opened must be what was
// listed, and a file or a directory that is not the same afterwards (size,
// times, inode) fails the scan. What the scan returns is therefore what was
// there, up to changes that leave no trace in the times, such as those of a
// process that mapped a file before the scan began.
//
// Symbolic links are recorded by their text. Only the root itself may be given
// as a link to a directory; it is resolved once, when it is opened.
//
// # Order and names
//
// Paths are relative, clean, separated by slashes and sorted by byte. That is
// the order of git's index, in which the files of each tree come in the order
// that its object wants, and the order of Go's dirhash.
package filetree

import (
	"context"
	"fmt"
	"io/fs"
	"time"
)

// An Entry is a regular file or a symbolic link.
type Entry struct {
	Path   string      // relative to the root, separated by slashes
	Mode   fs.FileMode // type, permission, setuid, setgid and sticky bits; a link has ModeSymlink|0o777
	Size   int64       // in bytes, of the content or of the link's text
	SHA256 [32]byte    // of the content, or of the link's text
	Link   string      // the text of a symbolic link, "" for a file
	More   *More       // nil unless Options asked for more digests
}

// More holds the digests of an [Entry] beyond SHA-256. Those that were not
// asked for are zero.
type More struct {
	SHA512    [64]byte
	GitSHA1   [20]byte // the blob's object id in a repository of format sha1
	GitSHA256 [32]byte // the same in one of format sha256
}

// Options say what to digest. The zero value digests everything with SHA-256
// and is the strict choice.
type Options struct {
	// Workers is how many files are read at the same time; 0 is GOMAXPROCS.
	// More help where the disk is slow and the file system cold. Each has a
	// buffer of 128 KiB.
	Workers int

	// Exclude reports whether to leave out the file, the link or the whole
	// directory at a path. It is asked before anything else is done with the
	// name, and by several goroutines at the same time.
	Exclude func(path string) bool

	// AllowCaseCollisions lets two paths differ in nothing but case. They are
	// two files here and one on another machine. Two paths that are equal
	// under Unicode's normalisation (NFC) are always refused.
	AllowCaseCollisions bool

	// MaxBytes bounds the total size of all files, holes included; 0 is
	// limits.TreeBytes. A file that would exceed it is not read.
	MaxBytes int64

	// SHA512, GitSHA1 and GitSHA256 ask for more digests; see [More].
	SHA512, GitSHA1, GitSHA256 bool

	// Cache, if not nil, lets files be skipped that an earlier scan has read
	// and that have not changed since. It is ignored on systems without
	// inodes and change times.
	Cache *Cache

	// Progress, if not nil, is called at most ten times a second and once at
	// the end of a scan that succeeds, by the goroutine that called Scan.
	Progress func(Progress)
}

// Progress says how far a scan has got. The total is not known in advance.
type Progress struct {
	Files  int64 // files and links done
	Bytes  int64 // content read, in bytes
	Cached int64 // files whose digests came from the cache
}

const progressInterval = 100 * time.Millisecond

// Reasons of an [Error]. They are stable.
const (
	ReasonRoot      = "tree-root"         // the root is not a directory that can be opened
	ReasonSpecial   = "tree-special-file" // socket, FIFO, device
	ReasonName      = "tree-name"         // not UTF-8, a backslash, a control character, too long
	ReasonCollision = "tree-collision"    // two names that are one elsewhere
	ReasonChanged   = "tree-changed"      // changed, swapped or gone during the scan
	ReasonRead      = "tree-read"         // cannot be read
	ReasonLimit     = "limit-exceeded"
	ReasonDigest    = "tree-digest"        // the kind of tree digest cannot express the tree
	ReasonCache     = "tree-cache"         // the cache cannot be read or written
	ReasonTrust     = "tree-cache-exposed" // others may write the cache
)

// An Error says why a tree was not digested.
type Error struct {
	Reason string // one of the Reason constants
	Path   string // in the tree, quoted in the message; or the path of the root or the cache
	Msg    string // what was wanted and what was found
	Err    error  // the cause, if there is one
}

func (e *Error) Error() string {
	s := fmt.Sprintf("%q: %s", clip(e.Path), e.Msg)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// clip makes a long path fit a message; %q takes care of what is in it.
func clip(s string) string {
	const most = 200
	if len(s) > most {
		return s[:most] + "…"
	}
	return s
}

// Scan digests the tree at root. It returns the entries sorted by path, or the
// first error that it meets: a *[Error], or that of the context. After a
// return nothing is left running and nothing open.
func Scan(ctx context.Context, root string, opts Options) ([]Entry, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s, err := newScan(root, opts)
	if err != nil {
		return nil, err
	}
	entries, err := s.run(ctx)
	if err != nil {
		return nil, err
	}
	if opts.Progress != nil {
		opts.Progress(s.progress())
	}
	return entries, nil
}
