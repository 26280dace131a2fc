package filetree

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io/fs"
	"strconv"
	"strings"
)

// A Format is the object format of a git repository (git rev-parse
// --show-object-format).
type Format int

// The object formats. Git's object ids cover a type and a size as well as the
// content, and so are not digests of the content.
const (
	SHA1 Format = iota + 1
	SHA256
)

func (f Format) newHash() hash.Hash {
	if f == SHA1 {
		return sha1.New()
	}
	return sha256.New()
}

// GitTree returns the id of the tree object that git makes of the entries:
// what git write-tree prints after all of them were added, in a repository
// that converts nothing (no core.autocrlf, no filter). The entries must be
// sorted and have the blob ids of the format, as [Scan] returns them.
//
// Of the permission bits git keeps one: whether the owner may execute. A path
// with an element .git is refused, since git records no such thing; exclude
// it from the scan.
func GitTree(entries []Entry, format Format) ([]byte, error) {
	if format != SHA1 && format != SHA256 {
		return nil, fmt.Errorf("want a git object format, found %d", format)
	}
	if err := sorted(entries); err != nil {
		return nil, err
	}
	return gitTree(entries, 0, format)
}

// gitTree makes the tree of entries that share the first n bytes of the path.
func gitTree(entries []Entry, n int, format Format) ([]byte, error) {
	var body []byte
	for len(entries) > 0 {
		e := &entries[0]
		name, _, dir := strings.Cut(e.Path[n:], "/")
		if strings.EqualFold(name, ".git") {
			return nil, &Error{ReasonDigest, e.Path, "git records nothing under the name .git", nil}
		}
		mode, count := "100644", 1
		var id []byte
		switch {
		case dir:
			prefix := e.Path[:n+len(name)+1]
			for count < len(entries) && strings.HasPrefix(entries[count].Path, prefix) {
				count++
			}
			var err error
			if id, err = gitTree(entries[:count], len(prefix), format); err != nil {
				return nil, err
			}
			mode = "40000"
		case e.More == nil || format == SHA1 && e.More.GitSHA1 == [20]byte{} || format == SHA256 && e.More.GitSHA256 == [32]byte{}:
			return nil, &Error{ReasonDigest, e.Path, "scanned without the git blob id that the tree needs", nil}
		default:
			if id = e.More.GitSHA1[:]; format == SHA256 {
				id = e.More.GitSHA256[:]
			}
			if e.Mode&fs.ModeSymlink != 0 {
				mode = "120000"
			} else if e.Mode&0o100 != 0 {
				mode = "100755"
			}
		}
		body = append(append(append(append(append(body, mode...), ' '), name...), 0), id...)
		entries = entries[count:]
	}
	return gitObject("tree", body, format), nil
}

func gitObject(typ string, content []byte, format Format) []byte {
	h := format.newHash()
	h.Write(append(strconv.AppendInt([]byte(typ+" "), int64(len(content)), 10), 0))
	h.Write(content)
	return h.Sum(nil)
}

// GitBlob returns the id of the blob object with the given content.
func GitBlob(content []byte, format Format) []byte {
	return gitObject("blob", content, format)
}

// DirHash returns the hash that golang.org/x/mod/sumdb/dirhash calls Hash1, of
// the entries with prefix before each path ("module@version/" for a module; ""
// or a path that ends in a slash). Go writes it as "h1:" and base64.
//
// Hash1 knows neither modes nor symbolic links, and Go's own walk follows
// them; so a tree that has one is refused.
func DirHash(entries []Entry, prefix string) ([32]byte, error) {
	if err := sorted(entries); err != nil {
		return [32]byte{}, err
	}
	h := sha256.New()
	buf := make([]byte, 0, 16<<10) // many lines cost one call
	for i := range entries {
		e := &entries[i]
		if e.Mode&fs.ModeSymlink != 0 {
			return [32]byte{}, &Error{ReasonDigest, e.Path, "a dirhash cannot express a symbolic link", nil}
		}
		buf = hex.AppendEncode(buf, e.SHA256[:])
		buf = append(append(append(append(buf, "  "...), prefix...), e.Path...), '\n')
		if len(buf) > cap(buf)/2 {
			h.Write(buf)
			buf = buf[:0]
		}
	}
	h.Write(buf)
	return [32]byte(h.Sum(nil)), nil
}

// sorted guards the two against entries that were put together by hand.
func sorted(entries []Entry) error {
	for i := range entries {
		p := entries[i].Path
		if !fs.ValidPath(p) || p == "." || strings.ContainsAny(p, "\n\x00") {
			return &Error{ReasonName, p, "want a clean relative path", nil}
		}
		if i == 0 {
			continue
		}
		last := entries[i-1].Path
		if last >= p || strings.HasPrefix(p, last) && p[len(last)] == '/' {
			return &Error{ReasonDigest, p, "want entries that are sorted by path, each path once", nil}
		}
	}
	return nil
}
