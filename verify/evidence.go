package verify

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"os"
	"path"
	"slices"
	"time"

	"github.com/hallmark-build/hallmark/internal/dsse"
	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/regular"
	"github.com/hallmark-build/hallmark/internal/sigstore"
	"github.com/hallmark-build/hallmark/provenance"
)

// A Source finds evidence. Find returns every attestation (an envelope or
// bundle) of which some subject has the digest d; returning more does no harm,
// returning less makes chains fail. The order does not matter. An error means
// that the source could not be read, which is not the same as finding nothing:
// it ends the verification without a verdict.
//
// A Source is used by many goroutines at once. What it returns is not trusted,
// and must not change afterwards.
type Source interface {
	Find(ctx context.Context, d provenance.Digest) ([][]byte, error)
}

// Sources returns the union of several sources. Where one of them fails, the
// union fails: evidence that could not be read is not absent.
func Sources(list ...Source) Source { return union(slices.Clone(list)) }

type union []Source

func (u union) Find(ctx context.Context, d provenance.Digest) ([][]byte, error) {
	var all [][]byte
	err := u.each(func(s Source) error {
		found, err := s.Find(ctx, d)
		all = append(all, found...)
		return err
	})
	return all, err
}

func (u union) pending(ctx context.Context, d provenance.Digest) ([]pending, error) {
	var all []pending
	err := u.each(func(s Source) error {
		found, err := pendingOf(ctx, s, d)
		all = append(all, found...)
		return err
	})
	return all, err
}

func (u union) pendingNamed(name string) []pending {
	var all []pending
	for _, s := range u {
		if i, ok := s.(indexed); ok {
			all = append(all, i.pendingNamed(name)...)
		}
	}
	return all
}

func (u union) each(do func(Source) error) error {
	for i, s := range u {
		if s == nil {
			return fmt.Errorf("source %d of %d is nil", i+1, len(u))
		}
		if err := do(s); err != nil {
			return fmt.Errorf("source %d of %d: %w", i+1, len(u), err)
		}
	}
	return nil
}

// pending is an attestation that was found and, if it comes from an index, is
// read only when it is not known by its digest already: the search asks for
// every material, and a thousand of them may be products of one statement.
type pending struct {
	sum [sha256.Size]byte
	raw []byte
	// Where raw is nil:
	from   *Evidence
	number uint32
}

// open opens the attestation as openAny does.
func (p *pending) open(ctx context.Context, trust *Trust, at time.Time) (*VerifiedStatement, error) {
	if p.from == nil {
		return openAny(p.raw, trust, at)
	}
	if p.from.parsed != nil {
		if k := p.from.parsed[p.number]; k.envelope != nil {
			if err := p.from.unchanged(p.from.where[p.number].file); err != nil {
				return nil, &sourceError{err}
			}
			return openParsed(k.envelope, k.statement, trust, at)
		}
	}
	list, err := p.from.read(ctx, []location{p.from.where[p.number]})
	if err != nil {
		return nil, &sourceError{err}
	}
	return openAny(list[0], trust, at)
}

// A sourceError is the failure of a source, and no verdict about evidence.
type sourceError struct{ err error }

func (e *sourceError) Error() string { return e.err.Error() }
func (e *sourceError) Unwrap() error { return e.err }

// indexed is what the sources of this package offer beyond Find.
type indexed interface {
	pending(context.Context, provenance.Digest) ([]pending, error)
	// pendingNamed finds attestations with a subject whose name ends in the
	// same element of a path. It serves explanations only, after a refusal.
	pendingNamed(name string) []pending
}

// pendingOf finds evidence in any source.
func pendingOf(ctx context.Context, s Source, d provenance.Digest) ([]pending, error) {
	if i, ok := s.(indexed); ok {
		return i.pending(ctx, d)
	}
	raws, err := s.Find(ctx, d)
	if err != nil {
		return nil, err
	}
	list := make([]pending, len(raws))
	for i, raw := range raws {
		list[i] = pending{sum: sha256.Sum256(raw), raw: raw}
	}
	return list, nil
}

// Evidence is a Source of attestations, found by the digests and names of the
// subjects that their payloads claim. Nothing in it is verified.
//
// What was read from files of more than 32 MiB together stays there. Evidence
// keeps where each attestation is and what it would be looked up by, about 100
// bytes together, and reads it again when it is asked for. Files must stay as they are while the
// Evidence is in use; see [ErrEvidenceChanged]. No file is kept open.
type Evidence struct {
	seed   maphash.Seed
	files  []evidenceFile
	memory [][]byte
	where  []location // of each attestation, by its number
	parsed []parsed   // by number, or nil if the evidence is too large to hold
	keys   []key      // ordered
	notes  []Note
	over   int // how many were passed over without a note of their own
}

// ErrEvidenceChanged says that a file of evidence is not as it was when it was
// indexed. Read the evidence again.
var ErrEvidenceChanged = errors.New("evidence changed since it was indexed")

type evidenceFile struct {
	path  string
	size  int64
	mtime int64 // Unix time in nanoseconds
}

// location is where an attestation is.
type location struct {
	offset int64 // in the file; in memory, its index
	sum    [sha256.Size]byte
	length uint32
	file   int32 // its index in files; -1 is memory
}

// parsed is an envelope and its statement, held so that they need not be read
// again; nothing of it is verified. It is empty for bundles.
type parsed struct {
	envelope  *dsse.Envelope
	statement *provenance.Statement
}

// key leads from the hash of a digest or a name to an attestation by its
// number. Hashes are seeded at random and may collide: then more is found.
type key struct {
	hash   uint64
	number uint32
}

func compareKeys(a, b key) int {
	if c := cmp.Compare(a.hash, b.hash); c != 0 {
		return c
	}
	return cmp.Compare(a.number, b.number)
}

// nameKey sets the hashes of names apart from those of digests.
type nameKey struct{ name string }

// A Note says which piece of evidence was passed over, and why. The chain of
// an artifact never depends on it.
type Note struct {
	File string // "" for what stands for several files
	Line int    // of a JSON Lines file, from 1; 0 for a whole file
	Msg  string
}

// String returns "file:line: message", fit for a terminal.
func (n Note) String() string {
	switch {
	case n.File == "":
		return n.Msg
	case n.Line > 0:
		return fmt.Sprintf("%s:%d: %s", clean(n.File), n.Line, n.Msg)
	}
	return clean(n.File) + ": " + n.Msg
}

// NewEvidence returns the given attestations as a Source, which keeps copies
// of them in memory. What cannot be read is noted and passed over: it could
// never be used.
func NewEvidence(attestations ...[]byte) *Evidence {
	e := &Evidence{seed: maphash.MakeSeed()}
	total := 0
	for _, a := range attestations {
		total += len(a)
	}
	b := batch{keep: total <= limits.EvidenceHeld}
	for i, a := range attestations {
		if err := b.add(e.seed, a, location{file: -1, offset: int64(len(e.memory))}); err != nil {
			e.note(Note{File: fmt.Sprintf("attestation %d", i), Msg: err.Error()})
			continue
		}
		e.memory = append(e.memory, bytes.Clone(a))
	}
	e.where, e.keys, e.parsed = b.where, b.keys, b.parsed
	slices.SortFunc(e.keys, compareKeys)
	return e
}

// batch is attestations indexed together, numbered from 0.
type batch struct {
	where  []location
	keys   []key
	keep   bool
	parsed []parsed // if keep
}

// add indexes one attestation by what its payload claims. What it accepts is
// at least what [Open] accepts, because the same parsers read it: nothing that
// could be used is missing from the index, or found under other digests than
// those that Open would see.
func (b *batch) add(seed maphash.Seed, attestation []byte, at location) error {
	env, payload, err := unverifiedPayload(attestation)
	if err != nil {
		return err
	}
	st, err := provenance.ParseStatement(payload)
	if err != nil {
		return err
	}
	if b.keep {
		b.parsed = append(b.parsed, parsed{env, st})
	}
	at.sum = sha256.Sum256(attestation)
	at.length = uint32(len(attestation))
	number := uint32(len(b.where))
	b.where = append(b.where, at)
	from := len(b.keys)
	for _, sub := range st.Subjects() {
		for _, d := range sub.Digest {
			b.keys = append(b.keys, key{maphash.Comparable(seed, d), number})
		}
		if sub.Name != "" {
			b.keys = append(b.keys, key{maphash.Comparable(seed, nameKey{path.Base(sub.Name)}), number})
		}
	}
	mine := b.keys[from:]
	slices.SortFunc(mine, compareKeys)
	b.keys = b.keys[:from+len(slices.Compact(mine))]
	return nil
}

// unverifiedPayload returns an envelope and its payload, or the payload of the
// envelope in a bundle, read as Open reads it.
func unverifiedPayload(attestation []byte) (*dsse.Envelope, []byte, error) {
	if !isBundle(attestation) {
		env, err := dsse.Parse(attestation)
		if err != nil {
			return nil, nil, err
		}
		return env, env.Payload, nil
	}
	b, err := sigstore.ParseBundle(attestation)
	if err != nil {
		return nil, nil, err
	}
	_, payload, isEnvelope := b.UnverifiedPayload()
	if !isEnvelope {
		return nil, nil, errors.New("the bundle signs an artifact and holds no statement")
	}
	return nil, payload, nil
}

// Find implements [Source].
func (e *Evidence) Find(ctx context.Context, d provenance.Digest) ([][]byte, error) {
	list, err := e.about(d)
	if err != nil {
		return nil, err
	}
	where := make([]location, len(list))
	for i, n := range list {
		where[i] = e.where[n]
	}
	return e.read(ctx, where)
}

// about returns the numbers of the attestations about d.
func (e *Evidence) about(d provenance.Digest) ([]uint32, error) {
	if e == nil {
		return nil, errors.New("the Evidence is nil")
	}
	list := e.lookUp(maphash.Comparable(e.seed, d))
	if len(list) > limits.CandidatesPerDigest {
		return nil, &limitError{fmt.Sprintf("more than %d attestations about %s", limits.CandidatesPerDigest, d.Short())}
	}
	total := 0
	for _, n := range list {
		if total += int(e.where[n].length); total > limits.EvidenceFound {
			return nil, &limitError{fmt.Sprintf("more than %d bytes of attestations about %s", limits.EvidenceFound, d.Short())}
		}
	}
	return list, nil
}

func (e *Evidence) pending(_ context.Context, d provenance.Digest) ([]pending, error) {
	list, err := e.about(d)
	return e.pendingAt(list), err
}

// pendingNamed may find very many, and they only help to explain: those with
// the least digests will do, which are the same in whatever order they were
// indexed.
func (e *Evidence) pendingNamed(name string) []pending {
	if e == nil {
		return nil
	}
	list := e.lookUp(maphash.Comparable(e.seed, nameKey{path.Base(name)}))
	return e.pendingAt(list[:min(len(list), limits.EvidencePerName)])
}

func (e *Evidence) pendingAt(list []uint32) []pending {
	out := make([]pending, len(list))
	for i, n := range list {
		out[i] = pending{sum: e.where[n].sum, from: e, number: n}
	}
	return out
}

// lookUp returns the distinct attestations under a hash, ordered by digest.
func (e *Evidence) lookUp(hash uint64) []uint32 {
	at, _ := slices.BinarySearchFunc(e.keys, hash, func(k key, h uint64) int { return cmp.Compare(k.hash, h) })
	end := at
	for end < len(e.keys) && e.keys[end].hash == hash {
		end++
	}
	list := make([]uint32, end-at)
	for i, k := range e.keys[at:end] {
		list[i] = k.number
	}
	slices.SortFunc(list, func(a, b uint32) int {
		return cmp.Or(bytes.Compare(e.where[a].sum[:], e.where[b].sum[:]), cmp.Compare(a, b))
	})
	return slices.CompactFunc(list, func(a, b uint32) bool { return e.where[a].sum == e.where[b].sum })
}

// read fetches attestations from where they are.
func (e *Evidence) read(ctx context.Context, list []location) ([][]byte, error) {
	// File by file, front to back.
	slices.SortFunc(list, func(a, b location) int { return cmp.Or(cmp.Compare(a.file, b.file), cmp.Compare(a.offset, b.offset)) })
	out := make([][]byte, 0, len(list))
	for len(list) > 0 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if list[0].file < 0 {
			out = append(out, e.memory[list[0].offset])
			list = list[1:]
			continue
		}
		n := 1
		for n < len(list) && list[n].file == list[0].file {
			n++
		}
		var err error
		if out, err = e.readFile(ctx, out, list[:n]); err != nil {
			return nil, err
		}
		list = list[n:]
	}
	return out, nil
}

func (e *Evidence) readFile(ctx context.Context, out [][]byte, list []location) ([][]byte, error) {
	file := &e.files[list[0].file]
	f, info, err := regular.Open(file.path)
	if err != nil {
		return nil, gone(err)
	}
	defer f.Close()
	if err := file.check(info); err != nil {
		return nil, err
	}
	for _, l := range list {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		a := make([]byte, l.length)
		if _, err := f.ReadAt(a, l.offset); err != nil {
			if err == io.EOF {
				err = ErrEvidenceChanged
			}
			return nil, fmt.Errorf("%s: %w", file.path, err)
		}
		if sha256.Sum256(a) != l.sum {
			return nil, fmt.Errorf("%s: %w", file.path, ErrEvidenceChanged)
		}
		out = append(out, a)
	}
	return out, nil
}

// check compares a file with what it was when it was indexed: something new in
// it may be evidence that is not in the index.
func (f *evidenceFile) check(info os.FileInfo) error {
	if info.Size() != f.size || info.ModTime().UnixNano() != f.mtime {
		return fmt.Errorf("%s: %w", f.path, ErrEvidenceChanged)
	}
	return nil
}

func gone(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w: %w", ErrEvidenceChanged, err)
	}
	return err
}

// unchanged is check for what was held of a file.
func (e *Evidence) unchanged(file int32) error {
	if file < 0 {
		return nil
	}
	info, err := os.Stat(e.files[file].path)
	if err != nil {
		return gone(err)
	}
	return e.files[file].check(info)
}

// Len returns how many attestations there are, those that are there twice
// included.
func (e *Evidence) Len() int { return len(e.where) }

// Notes returns what was passed over, in the order of files and lines: a
// thousand notes at most, and then one that says how many more there are.
func (e *Evidence) Notes() []Note {
	notes := slices.Clone(e.notes)
	if e.over > 0 {
		notes = append(notes, Note{Msg: fmt.Sprintf("%d more pieces of evidence were passed over", e.over)})
	}
	return notes
}

func (e *Evidence) note(n Note) {
	if len(e.notes) < limits.EvidenceNotes {
		e.notes = append(e.notes, n)
	} else {
		e.over++
	}
}
