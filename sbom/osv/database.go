package osv

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/sbom/purl"
)

// A Database is a set of OSV records, indexed by what they are about. It is
// safe for concurrent use. Records are read again when they are needed, and
// must then be what they were: the files must stay in place until Close.
type Database struct {
	zips    []*zip.ReadCloser
	root    *os.Root // nil for a single zip
	places  []place
	index   map[string][]int32
	covered map[string]bool // ecosystems ("Debian"), and each with its releases ("Debian:12"), or "Debian:" for all

	info       Info
	unreadable []Unreadable
	more       int // unreadable records that are not named
}

// place is where a record is.
type place struct {
	zip    int32  // index in zips, or -1
	entry  int32  // in the zip
	file   string // in the folder
	sum    [sha256.Size]byte
	broken bool
}

// Info describes a database.
type Info struct {
	Records   int `json:"records"`   // that can be read, the withdrawn ones among them
	Withdrawn int `json:"withdrawn"` // records that were withdrawn, which are passed over
	// Newest is when the record that was changed last was changed: the
	// database is at least as old as that.
	Newest time.Time `json:"newest"`
	// Digest is of the set of records, however they are packed.
	Digest string `json:"digest"`
}

// An Unreadable is a record that could not be read. What it is about is not
// known, so it may be about anything.
type Unreadable struct {
	Name string `json:"name"` // "npm.zip/GHSA-….json"
	Msg  string `json:"msg"`
}

// OpenOptions says how to read a database. The zero value is a good choice.
type OpenOptions struct {
	// Ecosystems limits the index to some ecosystems, named as by OSV without
	// what follows the colon: "Go", "npm", "Debian". Empty means all. Components
	// of an ecosystem that is left out cannot be judged.
	Ecosystems []string

	// Workers is how many records are read at once; 0 means one for each
	// processor, at most 8.
	Workers int

	// Progress, if set, is called now and then with how many records were
	// read, of how many, from one goroutine at a time.
	Progress func(done, total int)
}

// An Error says why a database could not be read at all.
type Error struct {
	Reason string // stable: one of the Reason constants
	Path   string
	Msg    string
	Err    error // the cause, or nil
}

func (e *Error) Error() string {
	s := "osv: " + e.Path + ": " + e.Msg
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// Open indexes the database at path: a zip file with a record in each
// file *.json, such as all.zip from the osv.dev bucket, or a folder with records
// and such zip files in it, at any depth. Symbolic links are not followed.
//
// Every record is read once. One that cannot be read does not stop the others;
// it is counted, and a match against the database says so.
func Open(ctx context.Context, path string, o OpenOptions) (_ *Database, err error) {
	db := &Database{index: map[string][]int32{}, covered: map[string]bool{}}
	defer func() {
		if err != nil {
			db.Close()
		}
	}()
	info, err := os.Lstat(path)
	if err != nil {
		return nil, &Error{ReasonFormat, path, "cannot be opened", err}
	}
	switch {
	case info.IsDir():
		err = db.addFolder(ctx, path)
	case info.Mode().IsRegular():
		err = db.addZip(path, filepath.Base(path))
	default:
		err = &Error{ReasonFormat, path, "neither a folder nor a zip file", nil}
	}
	if err != nil {
		return nil, err
	}
	if len(db.places) == 0 {
		return nil, &Error{ReasonFormat, path, "no record in it", nil}
	}
	if err := db.read(ctx, o); err != nil {
		return nil, err
	}
	if db.info.Records == 0 {
		return nil, &Error{ReasonFormat, path, "no record in it can be read; the first: " + db.unreadable[0].Name + ": " + db.unreadable[0].Msg, nil}
	}
	return db, nil
}

// Close closes the files.
func (db *Database) Close() error {
	var errs []error
	for _, z := range db.zips {
		errs = append(errs, z.Close())
	}
	if db.root != nil {
		errs = append(errs, db.root.Close())
	}
	return errors.Join(errs...)
}

// Info describes the database.
func (db *Database) Info() Info { return db.info }

// Unreadable returns the records that could not be read, and how many there are
// beyond those.
func (db *Database) Unreadable() (named []Unreadable, more int) {
	return slices.Clone(db.unreadable), db.more
}

// Descriptor describes the database for [gate.TestResult] and the like. Its
// digest covers the records, not how they are packed, under the name
// "osvRecords".
func (db *Database) Descriptor() provenance.ResourceDescriptor {
	d, err := provenance.NewDigest("osvRecords", db.info.Digest)
	if err != nil {
		panic(err) // a name and hexadecimal digits
	}
	return provenance.ResourceDescriptor{Name: "osv-database", Digest: provenance.DigestSet{d}}
}

func (db *Database) addFolder(ctx context.Context, dir string) (err error) {
	if db.root, err = os.OpenRoot(dir); err != nil {
		return &Error{ReasonFormat, dir, "cannot be opened", err}
	}
	var zips []string
	err = fs.WalkDir(db.root.FS(), ".", func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		switch {
		case !e.Type().IsRegular():
		case strings.HasSuffix(p, ".json"):
			if len(db.places) == limits.OSVRecords {
				return &Error{ReasonLimit, dir, fmt.Sprintf("more than %d records", limits.OSVRecords), nil}
			}
			db.places = append(db.places, place{zip: -1, file: p})
		case strings.HasSuffix(p, ".zip"):
			zips = append(zips, p)
		}
		return nil
	})
	if err != nil {
		if _, ok := errors.AsType[*Error](err); ok || ctx.Err() != nil {
			return err
		}
		return &Error{ReasonFormat, dir, "cannot be read", err}
	}
	if len(zips) > limits.OSVFiles {
		return &Error{ReasonLimit, dir, fmt.Sprintf("more than %d zip files", limits.OSVFiles), nil}
	}
	for _, p := range zips {
		if err := db.addZip(filepath.Join(dir, filepath.FromSlash(p)), p); err != nil {
			return err
		}
	}
	return nil
}

func (db *Database) addZip(file, name string) error {
	z, err := zip.OpenReader(file)
	if err != nil {
		return &Error{ReasonFormat, name, "not a zip file", err}
	}
	db.zips = append(db.zips, z)
	for i, f := range z.File {
		if !f.Mode().IsRegular() || path.Ext(f.Name) != ".json" {
			continue
		}
		if len(db.places) == limits.OSVRecords {
			return &Error{ReasonLimit, name, fmt.Sprintf("more than %d records", limits.OSVRecords), nil}
		}
		db.places = append(db.places, place{zip: int32(len(db.zips) - 1), entry: int32(i), file: name})
	}
	return nil
}

func (db *Database) name(p *place) string {
	if p.zip < 0 {
		return p.file
	}
	return p.file + "/" + db.zips[p.zip].File[p.entry].Name
}

// content reads the bytes of a record into buf, of which they are part.
func (db *Database) content(p *place, buf *bytes.Buffer) ([]byte, error) {
	var r io.ReadCloser
	var err error
	if p.zip < 0 {
		var f *os.File
		// Nobody may have put a pipe there meanwhile.
		if info, err := db.root.Lstat(p.file); err != nil {
			return nil, err
		} else if !info.Mode().IsRegular() {
			return nil, errors.New("not a regular file")
		}
		if f, err = db.root.Open(p.file); err != nil {
			return nil, err
		}
		r = f
	} else {
		// What the table of contents says of the size is no more than a
		// claim, but one that is over the limit needs no look.
		f := db.zips[p.zip].File[p.entry]
		if f.UncompressedSize64 > limits.OSVRecord {
			return nil, fmt.Errorf("larger than %d bytes", limits.OSVRecord)
		}
		if r, err = f.Open(); err != nil {
			return nil, err
		}
	}
	defer r.Close()
	buf.Reset()
	if _, err = buf.ReadFrom(io.LimitReader(r, limits.OSVRecord+1)); err == nil && buf.Len() > limits.OSVRecord {
		err = fmt.Errorf("larger than %d bytes", limits.OSVRecord)
	}
	return buf.Bytes(), err
}

// chunk is how many records a worker takes at a time.
const chunk = 256

// read reads all records and makes the index.
func (db *Database) read(ctx context.Context, o OpenOptions) error {
	if len(db.places) > limits.OSVRecords {
		return &Error{ReasonLimit, "", fmt.Sprintf("more than %d records", limits.OSVRecords), nil}
	}
	workers := o.Workers
	if workers <= 0 {
		workers = min(runtime.GOMAXPROCS(0), 8)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	type result struct {
		at         int
		keys       map[string][]int32
		covered    map[string]bool
		unreadable []Unreadable
		info       Info
		bytes      int64
	}
	todo := make(chan int)
	results := make(chan result)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			var buf bytes.Buffer
			for at := range todo {
				res := result{at: at, keys: map[string][]int32{}, covered: map[string]bool{}}
				for i := at; i < min(at+chunk, len(db.places)) && ctx.Err() == nil; i++ {
					p := &db.places[i]
					data, err := db.content(p, &buf)
					var r *record
					if err == nil {
						res.bytes += int64(len(data))
						p.sum = sha256.Sum256(data)
						r, err = parseRecord(data)
					}
					if err != nil {
						p.broken = true
						res.unreadable = append(res.unreadable, Unreadable{db.name(p), err.Error()})
						continue
					}
					res.info.Records++
					if r.Modified.After(res.info.Newest) {
						res.info.Newest = r.Modified.UTC()
					}
					if r.Withdrawn {
						res.info.Withdrawn++
					}
					for k := range r.keys(o.Ecosystems, res.covered) {
						if !r.Withdrawn {
							res.keys[k] = append(res.keys[k], int32(i))
						}
					}
				}
				results <- res
			}
		})
	}
	go func() {
		for at := 0; at < len(db.places) && ctx.Err() == nil; at += chunk {
			todo <- at
		}
		close(todo)
		wg.Wait()
		close(results)
	}()
	var bad []Unreadable
	var total int64
	done := 0
	for res := range results {
		if ctx.Err() != nil {
			continue // let them end
		}
		if total += res.bytes; total > limits.OSVDatabase {
			cancel(&Error{ReasonLimit, "", fmt.Sprintf("records of more than %d bytes in all", int64(limits.OSVDatabase)), nil})
			continue
		}
		for k, v := range res.keys {
			db.index[k] = append(db.index[k], v...)
		}
		for k := range res.covered {
			db.covered[k] = true
		}
		bad = append(bad, res.unreadable...)
		if len(bad) > 2*limits.OSVUnreadable {
			bad = db.keep(bad)
		}
		db.info.Records += res.info.Records
		db.info.Withdrawn += res.info.Withdrawn
		if res.info.Newest.After(db.info.Newest) {
			db.info.Newest = res.info.Newest
		}
		done += min(chunk, len(db.places)-res.at)
		if o.Progress != nil {
			o.Progress(done, len(db.places))
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for _, v := range db.index {
		slices.Sort(v)
	}
	db.unreadable = db.keep(bad)
	db.digest()
	return nil
}

// keep keeps the first of the unreadable records, whatever order they came in.
func (db *Database) keep(bad []Unreadable) []Unreadable {
	slices.SortFunc(bad, func(a, b Unreadable) int { return strings.Compare(a.Name, b.Name) })
	if n := len(bad) - limits.OSVUnreadable; n > 0 {
		db.more += n
		bad = bad[:limits.OSVUnreadable]
	}
	return bad
}

// digest makes a digest of the set of records.
func (db *Database) digest() {
	sums := make([][sha256.Size]byte, 0, len(db.places))
	for i := range db.places {
		if !db.places[i].broken {
			sums = append(sums, db.places[i].sum)
		}
	}
	slices.SortFunc(sums, func(a, b [sha256.Size]byte) int { return slices.Compare(a[:], b[:]) })
	sums = slices.Compact(sums)
	h := sha256.New()
	for i := range sums {
		h.Write(sums[i][:])
	}
	db.info.Digest = hex.EncodeToString(h.Sum(nil))
}

// load reads a record again.
func (db *Database) load(i int32) (*record, error) {
	p := &db.places[i]
	data, err := db.content(p, new(bytes.Buffer))
	if err != nil {
		return nil, err
	}
	if sha256.Sum256(data) != p.sum {
		return nil, errors.New("changed since the database was opened")
	}
	return parseRecord(data)
}

// covers reports whether there is any record of the ecosystem, in the release
// that is asked about if one is: of another release nothing follows.
func (db *Database) covers(q *query) bool {
	return q.ecosystem != "" && db.covered[q.ecosystem] &&
		(q.release == "" || db.covered[q.ecosystem+":"] || db.covered[q.ecosystem+":"+q.release])
}

// Keys of the index: an ecosystem and a name, a package URL, or a repository.
func packageKey(ecosystem, name string) string { return "p" + ecosystem + "\x00" + name }
func purlKey(base string) string               { return "u" + base }
func repoKey(repo string) string               { return "r" + repo }

// keys returns what a record is found by, and notes the ecosystems that it is
// about.
func (r *record) keys(only []string, covered map[string]bool) map[string]struct{} {
	keys := map[string]struct{}{}
	for i := range r.Affected {
		a := &r.Affected[i]
		if eco, release := split(a.Ecosystem); eco != "" && (len(only) == 0 || slices.Contains(only, eco)) {
			covered[eco] = true
			for part := range strings.SplitSeq(release, ":") {
				covered[eco+":"+part] = true
			}
			keys[packageKey(eco, normalName(eco, a.Name))] = struct{}{}
			if base, ok := purlBase(a.PURL); ok {
				keys[purlKey(base)] = struct{}{}
			}
		}
		for j := range a.Ranges {
			if g := &a.Ranges[j]; g.Type == "GIT" && g.Repo != "" && (len(only) == 0 || slices.Contains(only, "GIT")) {
				covered["GIT"] = true
				keys[repoKey(normalRepo(g.Repo))] = struct{}{}
			}
		}
	}
	return keys
}

// purlBase is a package URL without version, qualifiers and subpath.
func purlBase(s string) (string, bool) {
	p, err := purl.Parse(s)
	if err != nil {
		return "", false
	}
	return base(p), true
}

func base(p purl.PURL) string {
	return purl.PURL{Type: p.Type, Namespace: p.Namespace, Name: p.Name}.String()
}
