package provenance

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/strictjson"
)

// An Algorithm names how a digest was made, as in the in-toto attestation
// framework's DigestSet (spec/v1/digest_set.md).
type Algorithm string

// The algorithms that this library computes or accepts by default. SHA-1 and
// MD5 have no constant: a digest may carry them, and nothing here matches by
// them. Git's object ids are names of their own, never aliases of sha1 or
// sha256: they cover a type and a size as well as the content.
const (
	SHA256    Algorithm = "sha256"
	SHA384    Algorithm = "sha384"
	SHA512    Algorithm = "sha512"
	GitCommit Algorithm = "gitCommit" // 40 or 64 hex digits
	GitTree   Algorithm = "gitTree"   // 40 or 64 hex digits
	GitBlob   Algorithm = "gitBlob"   // 40 or 64 hex digits
	GitTag    Algorithm = "gitTag"    // 40 or 64 hex digits
	DirHash   Algorithm = "dirHash"   // Go's Hash1 of a file tree, without "h1:", in hex
)

// hexLengths says how many hex digits the value of each known algorithm has.
// The first column of git's is SHA-1, the second SHA-256.
var hexLengths = map[Algorithm][2]int{
	SHA256: {64}, SHA384: {96}, SHA512: {128},
	GitCommit: {40, 64}, GitTree: {40, 64}, GitBlob: {40, 64}, GitTag: {40, 64},
	DirHash:  {64},
	"sha224": {56}, "sha512_224": {56}, "sha512_256": {64},
	"sha3_224": {56}, "sha3_256": {64}, "sha3_384": {96}, "sha3_512": {128},
	"blake2b": {128}, "blake2s": {64}, "ripemd160": {40}, "sm3": {64}, "gost": {64},
	"sha1": {40}, "md5": {32},
}

var lowerHex = func() (t [256]bool) {
	for _, c := range "0123456789abcdef" {
		t[c] = true
	}
	return
}()

// Strong reports whether two artifacts with the same value under the algorithm are
// taken to be the same: SHA-2 and SHA-3 of at least 256 bits, Go's dirhash, and git's
// object ids (whose SHA-1 is accepted for git only).
func (a Algorithm) Strong() bool {
	switch a {
	case SHA256, SHA384, SHA512, GitCommit, GitTree, GitBlob, GitTag, DirHash,
		"sha512_256", "sha3_256", "sha3_384", "sha3_512":
		return true
	}
	return false
}

// A Digest is an algorithm and a value. Digests are comparable with ==, which
// is how the library matches artifacts: same algorithm and same value, never
// the value alone. The zero Digest is invalid and matches nothing.
type Digest struct {
	algorithm Algorithm
	value     string
}

// NewDigest returns the digest with the given algorithm and value. The value
// of an algorithm of the DigestSet specification must be lower-case hex of the
// right length; the value of any other algorithm ("arn", "svn_revision_id") is
// taken as it is. Neither may be empty.
func NewDigest(algorithm Algorithm, value string) (Digest, error) {
	if algorithm == "dirHash1" { // the specification spells it both ways
		algorithm = DirHash
	}
	d := Digest{algorithm, value}
	if algorithm == "" {
		return Digest{}, &FormatError{ReasonDigest, "digest without an algorithm"}
	}
	if value == "" {
		return Digest{}, &FormatError{ReasonDigest, "empty " + clip(string(algorithm)) + " digest"}
	}
	n, known := [2]int{64}, true
	if algorithm != SHA256 { // nearly all are
		if n, known = hexLengths[algorithm]; !known {
			return d, nil
		}
	}
	if len(value) != n[0] && len(value) != n[1] {
		return Digest{}, &FormatError{ReasonDigest, string(algorithm) + " digest of the wrong length: " + clip(value)}
	}
	for i := range len(value) {
		if !lowerHex[value[i]] {
			return Digest{}, &FormatError{ReasonDigest, string(algorithm) + " digest is not lower-case hex: " + clip(value)}
		}
	}
	return d, nil
}

// ParseDigest parses "algorithm:value", the form that [Digest.String] writes.
func ParseDigest(s string) (Digest, error) {
	a, v, ok := strings.Cut(s, ":")
	if !ok {
		return Digest{}, &FormatError{ReasonDigest, "want algorithm:value, found " + clip(s)}
	}
	return NewDigest(Algorithm(a), v)
}

// MustDigest is [ParseDigest] for constants; it panics on a malformed digest.
func MustDigest(s string) Digest {
	d, err := ParseDigest(s)
	if err != nil {
		panic(err)
	}
	return d
}

// Algorithm returns the digest's algorithm.
func (d Digest) Algorithm() Algorithm { return d.algorithm }

// Value returns the digest's value, in lower-case hex for all known algorithms.
func (d Digest) Value() string { return d.value }

// IsZero reports whether d is the zero Digest.
func (d Digest) IsZero() bool { return d == Digest{} }

// String returns "algorithm:value"; "" for the zero Digest.
func (d Digest) String() string {
	if d.IsZero() {
		return ""
	}
	return string(d.algorithm) + ":" + d.value
}

// Short returns the algorithm and the first twelve characters of the value, for
// people; never compare it.
func (d Digest) Short() string {
	if len(d.value) <= 12 {
		return d.String()
	}
	return string(d.algorithm) + ":" + d.value[:12]
}

// MarshalText returns what String returns; the zero Digest is an error.
func (d Digest) MarshalText() ([]byte, error) {
	if d.IsZero() {
		return nil, &FormatError{ReasonDigest, "zero digest"}
	}
	return []byte(d.String()), nil
}

// UnmarshalText parses what MarshalText writes.
func (d *Digest) UnmarshalText(b []byte) (err error) {
	*d, err = ParseDigest(string(b))
	return err
}

// A DigestSet holds the digests of one artifact, at most one for each
// algorithm. Its JSON form is the object {"sha256": "…"} of the DigestSet
// specification.
type DigestSet []Digest

// Get returns the digest under the algorithm, or the zero Digest.
func (s DigestSet) Get(a Algorithm) Digest {
	for _, d := range s {
		if d.algorithm == a {
			return d
		}
	}
	return Digest{}
}

// Matches reports whether the two sets name the same artifact: at least one
// strong algorithm is in both, and every strong algorithm that is in both
// agrees. That is stricter than the specification's "any acceptable field",
// under which {sha256: a, sha512: b} matches {sha256: a, sha512: c}.
func (s DigestSet) Matches(t DigestSet) bool {
	found := false
	for _, d := range s {
		if !d.algorithm.Strong() {
			continue
		}
		if e := t.Get(d.algorithm); e == d {
			found = true
		} else if !e.IsZero() {
			return false
		}
	}
	return found
}

// String returns the digests separated by spaces.
func (s DigestSet) String() string {
	parts := make([]string, len(s))
	for i, d := range s {
		parts[i] = d.String()
	}
	return strings.Join(parts, " ")
}

// MarshalJSON writes an object with its names sorted.
func (s DigestSet) MarshalJSON() ([]byte, error) {
	m := make(map[string]string, len(s))
	for _, d := range s {
		if d.IsZero() {
			return nil, &FormatError{ReasonDigest, "zero digest"}
		}
		if _, dup := m[string(d.algorithm)]; dup {
			return nil, &FormatError{ReasonDigest, "two digests under " + clip(string(d.algorithm))}
		}
		m[string(d.algorithm)] = d.value
	}
	return json.Marshal(m)
}

// UnmarshalJSON reads what MarshalJSON writes; null is the empty set.
func (s *DigestSet) UnmarshalJSON(data []byte) (err error) {
	p := strictjson.NewParser(data, 0)
	if p.Kind() == strictjson.Null {
		*s = nil
		return p.Null()
	}
	*s, err = readDigestSet(p)
	if err == nil {
		err = p.End()
	}
	return err
}

func readDigestSet(p *strictjson.Parser) (DigestSet, error) {
	var s DigestSet
	err := p.Object(func(name []byte) error {
		if len(s) == limits.DigestsPerSet {
			return p.Failf(ReasonLimit, "more than %d digests of one artifact", limits.DigestsPerSet)
		}
		a := internAlgorithm(name)
		v, err := p.String()
		if err != nil {
			return err
		}
		d, err := NewDigest(a, v)
		if err != nil {
			return p.Failf(ReasonDigest, "%v", err)
		}
		if !s.Get(d.algorithm).IsZero() {
			return p.Failf(ReasonDigest, "two digests under %s", d.algorithm)
		}
		if s == nil {
			s = make(DigestSet, 0, 2)
		}
		s = append(s, d)
		return nil
	})
	if err == nil && len(s) > 1 {
		slices.SortFunc(s, compareDigests)
	}
	return s, err
}

func compareDigests(a, b Digest) int {
	if c := strings.Compare(string(a.algorithm), string(b.algorithm)); c != 0 {
		return c
	}
	return strings.Compare(a.value, b.value)
}

// Compare orders digests by algorithm, then by value.
func (d Digest) Compare(e Digest) int { return compareDigests(d, e) }

func internAlgorithm(name []byte) Algorithm {
	switch string(name) {
	case "sha256":
		return SHA256
	case "sha512":
		return SHA512
	case "gitCommit":
		return GitCommit
	}
	return Algorithm(name)
}

// clip makes hostile text fit an error message.
func clip(s string) string {
	const most = 80
	if len(s) > most {
		s = s[:most] + "…"
	}
	b, _ := json.Marshal(strings.ToValidUTF8(s, "\uFFFD"))
	return string(b)
}
