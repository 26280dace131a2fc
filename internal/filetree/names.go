package filetree

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/hallmark-build/hallmark/internal/limits"
)

// checkName refuses names that another program would read differently. dir
// ends in a slash or is empty.
func checkName(dir, name string) error {
	why := ""
	switch {
	case len(dir)+len(name) > limits.TreePath:
		return &Error{ReasonName, dir + name, fmt.Sprintf("path is longer than %d bytes", limits.TreePath), nil}
	case name == "" || name == "." || name == ".." || strings.Contains(name, "/"):
		why = "name of a file is not one element of a path" // a broken file system
	case !plain(name):
		why = unprintable(name)
	}
	if why != "" {
		return &Error{ReasonName, dir + name, why, nil}
	}
	return nil
}

// plain reports whether a name is printable ASCII without a backslash, which
// is nearly all of them.
func plain(name string) bool {
	for i := range len(name) {
		if c := name[i]; c < ' ' || c >= 0x7f || c == '\\' {
			return false
		}
	}
	return true
}

func unprintable(name string) string {
	if !utf8.ValidString(name) {
		return "name is not valid UTF-8"
	}
	for _, r := range name {
		if r == '\\' {
			return "name has a backslash, which separates names elsewhere"
		}
		// Includes the line feed, which would forge lines of a dirhash.
		if unicode.IsControl(r) {
			return fmt.Sprintf("name has the control character %U", r)
		}
	}
	return ""
}

// checkCollisions refuses two names of one directory that are equal after
// Unicode normalisation or, unless allowed, after case folding as well. It
// need not look at whole paths: directories that collide are names themselves.
func checkCollisions(dir string, names []string, allowCase bool) error {
	// A collision has a member that normalisation or folding changes, so most
	// directories need no table.
	odd := false
	for _, name := range names {
		if !isFolded(name, allowCase) {
			odd = true
			break
		}
	}
	if !odd {
		return nil
	}
	seen := make(map[string]string, len(names))
	for _, name := range names {
		key := Fold(name, allowCase)
		if other, ok := seen[key]; ok {
			how := "case"
			if norm.NFC.String(name) == norm.NFC.String(other) {
				how = "Unicode normalisation"
			}
			if other < name {
				other, name = name, other
			}
			return &Error{ReasonCollision, dir + name, fmt.Sprintf("differs from %q in nothing but %s", clip(other), how), nil}
		}
		seen[key] = name
	}
	return nil
}

// isFolded reports whether it is plain that folding would not change a name.
func isFolded(name string, allowCase bool) bool {
	for i := range len(name) {
		if c := name[i]; c >= utf8.RuneSelf || !allowCase && 'A' <= c && c <= 'Z' {
			return false
		}
	}
	return true
}

// Fold returns what two names have in common that are equal after Unicode
// normalisation (NFC) or, unless that is allowed, after case folding as well.
func Fold(name string, allowCase bool) string {
	if isFolded(name, allowCase) {
		return name
	}
	name = norm.NFC.String(name)
	if !allowCase {
		name = fold(name)
	}
	return name
}

// fold maps every rune to one that stands for all its cases, as
// strings.EqualFold compares: simple folding, by rune.
func fold(s string) string {
	s = strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		if r < utf8.RuneSelf {
			return r
		}
		least := r
		for o := unicode.SimpleFold(r); o != r; o = unicode.SimpleFold(o) {
			least = min(least, o)
		}
		if 'A' <= least && least <= 'Z' { // U+212A, the Kelvin sign, and k
			least += 'a' - 'A'
		}
		return least
	}, s)
	// Folding can undo a composition that the other spelling has kept.
	return norm.NFC.String(s)
}

// openError tells what has gone or was swapped since it was listed from what
// cannot be read.
func openError(path, msg string, err error) error {
	reason := ReasonRead
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ELOOP) ||
		errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.EINVAL) {
		reason, msg = ReasonChanged, "gone or swapped during the scan"
	}
	return &Error{reason, path, msg, err}
}
