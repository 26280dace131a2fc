package verify

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hallmark-build/hallmark/internal/dsse"
	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/strictjson"
	"github.com/hallmark-build/hallmark/provenance"
)

// A Source finds evidence. Find returns every attestation (an envelope or
// bundle) of which some subject has the digest d; returning more does no harm,
// returning less makes chains fail. The order does not matter. An error means
// that the source could not be read, which is not the same as finding nothing:
// it ends the verification without a verdict.
//
// A Source is used by many goroutines at once. What it returns is not trusted.
type Source interface {
	Find(ctx context.Context, d provenance.Digest) ([][]byte, error)
}

// Evidence is a Source of attestations in memory, found by the digests and
// names that their payloads claim. Nothing in it is verified.
type Evidence struct {
	byDigest map[provenance.Digest][][]byte
	byName   map[string][][]byte
	notes    []Note
	count    int
}

// A Note says which piece of evidence was passed over, and why. The chain of
// an artifact never depends on it.
type Note struct {
	File string
	Line int // of a JSON Lines file, from 1; 0 for a whole file
	Msg  string
}

func (n Note) String() string {
	if n.Line > 0 {
		return fmt.Sprintf("%s:%d: %s", n.File, n.Line, n.Msg)
	}
	return n.File + ": " + n.Msg
}

// NewEvidence returns the given attestations as a Source. What cannot be read
// is noted and passed over: it could never be used.
func NewEvidence(attestations ...[]byte) *Evidence {
	e := &Evidence{byDigest: map[provenance.Digest][][]byte{}, byName: map[string][][]byte{}}
	for i, a := range attestations {
		if err := e.add(a); err != nil {
			e.notes = append(e.notes, Note{File: fmt.Sprintf("attestation %d", i), Msg: err.Error()})
		}
	}
	return e
}

// ReadEvidence reads attestations from files and, recursively, directories. A
// file whose name ends in .jsonl holds one attestation a line, any other .json, .sigstore or .link file
// one in all; other files of a directory are passed over. A line or
// file that is no attestation is noted and does not hide the others.
func ReadEvidence(ctx context.Context, paths ...string) (*Evidence, error) {
	e := NewEvidence()
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			if err := e.readFile(ctx, path); err != nil {
				return nil, err
			}
			continue
		}
		err = filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if !d.Type().IsRegular() || !isEvidenceName(d.Name()) {
				return nil
			}
			return e.readFile(ctx, p)
		})
		if err != nil {
			return nil, err
		}
	}
	return e, nil
}

func isEvidenceName(name string) bool {
	for _, ext := range []string{".jsonl", ".intoto.json", ".dsse.json", ".sigstore.json", ".sigstore", ".att.json"} {
		if strings.HasSuffix(name, ext) {
			return true
		}
	}
	return false
}

func (e *Evidence) readFile(ctx context.Context, path string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limits.Statement+1))
	if err != nil {
		return err
	}
	if len(data) > limits.Statement {
		return fmt.Errorf("%s: larger than %d bytes", path, limits.Statement)
	}
	if !strings.HasSuffix(path, ".jsonl") {
		if err := e.add(data); err != nil {
			e.notes = append(e.notes, Note{File: path, Msg: err.Error()})
		}
		return nil
	}
	for i, line := range bytes.Split(data, []byte("\n")) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if err := e.add(line); err != nil {
			e.notes = append(e.notes, Note{File: path, Line: i + 1, Msg: err.Error()})
		}
	}
	return nil
}

// add indexes one attestation by what its payload claims.
func (e *Evidence) add(attestation []byte) error {
	payload, err := unverifiedPayload(attestation)
	if err != nil {
		return err
	}
	st, err := provenance.ParseStatement(payload)
	if err != nil {
		return err
	}
	e.count++
	seenD, seenN := map[provenance.Digest]bool{}, map[string]bool{}
	for _, sub := range st.Subjects() {
		for _, d := range sub.Digest {
			if !seenD[d] {
				seenD[d] = true
				e.byDigest[d] = append(e.byDigest[d], attestation)
			}
		}
		if sub.Name != "" && !seenN[sub.Name] {
			seenN[sub.Name] = true
			e.byName[sub.Name] = append(e.byName[sub.Name], attestation)
		}
	}
	return nil
}

// unverifiedPayload returns the payload of an envelope, or of the envelope in
// a bundle.
func unverifiedPayload(attestation []byte) ([]byte, error) {
	if !isBundle(attestation) {
		env, err := dsse.Parse(attestation)
		if err != nil {
			return nil, err
		}
		return env.Payload, nil
	}
	p := strictjson.NewParser(attestation, 0)
	var env *dsse.Envelope
	err := p.Object(func(name []byte) (err error) {
		if string(name) == "dsseEnvelope" {
			env, err = dsse.Read(p)
			return err
		}
		return p.Skip()
	})
	if err == nil {
		err = p.End()
	}
	if err == nil && env == nil {
		err = fmt.Errorf("the bundle holds no envelope")
	}
	if err != nil {
		return nil, err
	}
	return env.Payload, nil
}

// Find implements Source.
func (e *Evidence) Find(_ context.Context, d provenance.Digest) ([][]byte, error) {
	return e.byDigest[d], nil
}

func (e *Evidence) findName(_ context.Context, name string) ([][]byte, error) {
	return e.byName[name], nil
}

// Len returns how many attestations there are.
func (e *Evidence) Len() int { return e.count }

// Notes returns what was passed over.
func (e *Evidence) Notes() []Note { return slices.Clone(e.notes) }
