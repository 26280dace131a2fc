package verify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/regular"
)

// ReadEvidence indexes the attestations in files and, recursively, in
// directories, with the zero [EvidenceReader].
func ReadEvidence(ctx context.Context, paths ...string) (*Evidence, error) {
	return EvidenceReader{}.Read(ctx, paths...)
}

// An EvidenceReader indexes files of attestations. The zero value is ready for
// use.
type EvidenceReader struct {
	// Workers is how many goroutines parse. Default: as many as there are
	// processors to use.
	Workers int
	// Progress, if not nil, is called by the goroutine that called Read, after every
	// small file and every few hundred lines of a large one.
	Progress func(EvidenceProgress)
}

// EvidenceProgress is how far the reading of evidence has come.
type EvidenceProgress struct {
	Attestations int   // indexed so far
	Bytes        int64 // read so far
	Total        int64 // the size of all files
}

// Read indexes the attestations in the files at the paths and in the
// directories there.
//
// A file whose name ends in .jsonl holds one attestation a line, any other one
// in all. Of a directory those files are read whose names end in .jsonl,
// .intoto.json, .dsse.json, .att.json, .sigstore.json, .sigstore or .link;
// files and directories whose names begin with a dot are not, nor what a
// symbolic link points at. A path that the caller names is read whatever its
// name, and followed if it is a link.
//
// A line or file that is not an attestation is noted and hides none of the
// others. A file that cannot be read, that is larger than 64 GiB, or that
// changes meanwhile, is an error: the evidence in it is not absent. Lines, and
// files that are one attestation, may have 128 MiB; larger ones are noted and
// passed over without being held in memory.
func (r EvidenceReader) Read(ctx context.Context, paths ...string) (*Evidence, error) {
	e := &Evidence{seed: maphash.MakeSeed()}
	rd := &reading{e: e, progress: r.Progress}
	if err := rd.list(ctx, paths); err != nil {
		return nil, err
	}
	workers := r.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	if err := rd.run(ctx, workers); err != nil {
		return nil, err
	}
	e.where, e.keys, e.parsed = slices.Clip(e.where), slices.Clip(e.keys), slices.Clip(e.parsed)
	slices.SortFunc(e.keys, compareKeys)
	return e, nil
}

// reading is one call of Read. Its own goroutine reads the files front to back and
// cuts them into pieces, workers index the pieces, and the caller's goroutine
// puts the results together in the order of the files.
type reading struct {
	e        *Evidence
	progress func(EvidenceProgress)
	total    int64
	order    chan *piece // as they were cut
	jobs     chan *piece
	blocks   sync.Pool
	large    sync.Mutex // held over an attestation that is larger than a block
}

// block is how much of a file of lines is a piece, if lines are not longer.
const block = 1 << 20

// piece is a part of a file of lines, or one file that is one attestation.
type piece struct {
	file   int32
	offset int64
	bytes  int64

	// Either lines, or one line that is too long, or else the whole file.
	data    []byte
	tooLong bool

	done  chan struct{} // closed when what follows is set
	found batch
	notes []Note // with lines counted from 1 in this piece
	over  int
	lines int
	err   error
}

// list finds the files.
func (rd *reading) list(ctx context.Context, paths []string) error {
	seen := map[string]bool{}
	add := func(path string, info fs.FileInfo) error {
		path = filepath.Clean(path)
		if seen[path] {
			return nil // given twice, or along with its directory
		}
		seen[path] = true
		if info.Size() > limits.EvidenceFile {
			return fmt.Errorf("%s: larger than %d bytes", path, int64(limits.EvidenceFile))
		}
		if len(rd.e.files) == limits.EvidenceFiles {
			return fmt.Errorf("more than %d files of evidence", limits.EvidenceFiles)
		}
		rd.total += info.Size()
		rd.e.files = append(rd.e.files, evidenceFile{path: path})
		return nil
	}
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		if !info.IsDir() {
			if !info.Mode().IsRegular() {
				return fmt.Errorf("%s: not a regular file", path)
			}
			if err := add(path, info); err != nil {
				return err
			}
			continue
		}
		if resolved, err := filepath.EvalSymlinks(path); err == nil {
			path = resolved // WalkDir does not follow the root either
		} else {
			return err
		}
		err = filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
			if err == nil {
				err = ctx.Err()
			}
			switch {
			case err != nil:
				return err
			case d.IsDir():
				if p != path && strings.HasPrefix(d.Name(), ".") {
					return fs.SkipDir
				}
				return nil
			case !isEvidenceName(d.Name()):
				return nil
			case !d.Type().IsRegular():
				if !seen[p] {
					rd.e.note(Note{File: p, Msg: "not a regular file"})
				}
				seen[p] = true
				return nil
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			return add(p, info)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// isEvidenceName reports whether a file in a directory is read. Files that are
// being written have other endings, or begin with a dot.
func isEvidenceName(name string) bool {
	if strings.HasPrefix(name, ".") {
		return false
	}
	for _, ext := range []string{".jsonl", ".intoto.json", ".dsse.json", ".att.json", ".sigstore.json", ".sigstore", ".link"} {
		if strings.HasSuffix(name, ext) {
			return true
		}
	}
	return false
}

func (rd *reading) run(ctx context.Context, workers int) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	rd.order = make(chan *piece, 2*workers) // bounds what is in memory
	rd.jobs = make(chan *piece)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for p := range rd.jobs {
				rd.index(ctx, p)
				close(p.done)
			}
		})
	}
	var cutErr error
	wg.Go(func() {
		cutErr = rd.cut(ctx)
		close(rd.order)
		close(rd.jobs)
	})
	var err error
	var read int64
	line, file := 0, int32(-1)
	for p := range rd.order {
		<-p.done
		if err == nil {
			err = p.err
		}
		if err != nil {
			cancel()
			continue
		}
		if p.file != file {
			line, file = 0, p.file
		}
		err = rd.collect(p, line)
		line += p.lines
		read += p.bytes
		if rd.progress != nil && err == nil {
			rd.progress(EvidenceProgress{len(rd.e.where), read, rd.total})
		}
	}
	wg.Wait()
	if cutErr != nil && (err == nil || errors.Is(err, context.Canceled)) {
		err = cutErr
	}
	return err
}

// collect adds the results of a piece whose first line comes after line others.
func (rd *reading) collect(p *piece, line int) error {
	e := rd.e
	base := uint32(len(e.where))
	if len(e.keys)+len(p.found.keys) > limits.EvidenceKeys {
		return fmt.Errorf("more than %d digests and names in the evidence", limits.EvidenceKeys)
	}
	e.where = append(e.where, p.found.where...)
	e.parsed = append(e.parsed, p.found.parsed...)
	for _, k := range p.found.keys {
		e.keys = append(e.keys, key{k.hash, base + k.number})
	}
	for _, n := range p.notes {
		if n.Line > 0 {
			n.Line += line
		}
		e.note(n)
	}
	e.over += p.over
	return nil
}

// cut hands out the files piece by piece.
func (rd *reading) cut(ctx context.Context) error {
	for i := range rd.e.files {
		var err error
		if path := rd.e.files[i].path; strings.HasSuffix(path, ".jsonl") {
			err = rd.cutLines(ctx, int32(i))
		} else {
			err = rd.hand(ctx, &piece{file: int32(i)})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (rd *reading) hand(ctx context.Context, p *piece) error {
	p.done = make(chan struct{})
	large := len(p.data) > block // the worker that gets p lets go of the data
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case rd.order <- p:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case rd.jobs <- p:
	case <-ctx.Done():
		p.err = ctx.Err()
		close(p.done)
		return p.err
	}
	if large {
		<-p.done // one such at a time is enough to hold
	}
	return nil
}

func (rd *reading) newBlock() []byte {
	if b, ok := rd.blocks.Get().(*[]byte); ok {
		return *b
	}
	return make([]byte, block)
}

// cutLines hands out a file in pieces of whole lines.
func (rd *reading) cutLines(ctx context.Context, i int32) error {
	file := &rd.e.files[i]
	f, info, err := regular.Open(file.path)
	if err != nil {
		return err
	}
	defer f.Close()
	file.size, file.mtime = info.Size(), info.ModTime().UnixNano()
	if file.size > limits.EvidenceFile {
		return fmt.Errorf("%s: larger than %d bytes", file.path, int64(limits.EvidenceFile))
	}
	buf := rd.newBlock()
	for offset := int64(0); offset < file.size; {
		n := min(int64(len(buf)), file.size-offset)
		if err := readAt(f, buf[:n], offset); err != nil {
			return err
		}
		end := n
		if offset+n < file.size {
			end = int64(bytes.LastIndexByte(buf[:n], '\n')) + 1
		}
		p := &piece{file: i, offset: offset}
		switch {
		case end > 0:
			p.data, p.bytes = buf[:end], end
			buf = rd.newBlock()
		case n <= limits.Statement:
			buf = make([]byte, min(2*len(buf), limits.Statement+1))
			continue
		default:
			if end, err = skipLine(ctx, f, buf[:block], offset+n, file.size); err != nil {
				return err
			}
			end -= offset
			p.tooLong, p.bytes = true, end
			buf = rd.newBlock()
		}
		if err := rd.hand(ctx, p); err != nil {
			return err
		}
		offset += end
	}
	after, err := f.Stat()
	if err == nil && (after.Size() != file.size || after.ModTime().UnixNano() != file.mtime) {
		err = fmt.Errorf("%s: changed while it was read", file.path)
	}
	return err
}

// skipLine returns where the line that goes on at offset has ended.
func skipLine(ctx context.Context, f *os.File, buf []byte, offset, size int64) (int64, error) {
	for offset < size {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		n := min(int64(len(buf)), size-offset)
		if err := readAt(f, buf[:n], offset); err != nil {
			return 0, err
		}
		if end := bytes.IndexByte(buf[:n], '\n'); end >= 0 {
			return offset + int64(end) + 1, nil
		}
		offset += n
	}
	return size, nil
}

func readAt(f *os.File, buf []byte, offset int64) error {
	_, err := f.ReadAt(buf, offset)
	if err == io.EOF {
		err = fmt.Errorf("%s: changed while it was read", f.Name())
	}
	return err
}

// index does the work of a worker for one piece.
func (rd *reading) index(ctx context.Context, p *piece) {
	if p.err = ctx.Err(); p.err != nil {
		return
	}
	p.found.keep = rd.total <= limits.EvidenceHeld
	path := rd.e.files[p.file].path
	note := func(line int, msg string) {
		if len(p.notes) < limits.EvidenceNotes {
			p.notes = append(p.notes, Note{path, line, msg})
		} else {
			p.over++
		}
	}
	if p.tooLong {
		p.lines = 1
		note(1, tooLong)
		return
	}
	if p.data == nil {
		rd.indexFile(p, note)
		return
	}
	for at := 0; at < len(p.data); {
		line, _, _ := bytes.Cut(p.data[at:], []byte("\n"))
		p.lines++
		switch text, lead := trim(line); {
		case len(text) == 0:
			note(p.lines, "blank line")
		case len(text) > limits.Statement:
			note(p.lines, tooLong)
		default:
			where := location{file: p.file, offset: p.offset + int64(at+lead)}
			if err := p.found.add(rd.e.seed, text, where); err != nil {
				note(p.lines, err.Error())
			}
		}
		at += len(line) + 1
	}
	if cap(p.data) == block {
		b := p.data[:block]
		rd.blocks.Put(&b)
	}
	p.data = nil
}

// indexFile reads and indexes a file that is one attestation.
func (rd *reading) indexFile(p *piece, note func(int, string)) {
	file := &rd.e.files[p.file]
	f, info, err := regular.Open(file.path)
	if err != nil {
		p.err = err
		return
	}
	defer f.Close()
	file.size, file.mtime = info.Size(), info.ModTime().UnixNano()
	p.bytes = file.size
	if file.size > limits.Statement {
		note(0, tooLong)
		return
	}
	if file.size > block {
		rd.large.Lock()
		defer rd.large.Unlock()
	}
	data := make([]byte, file.size)
	if p.err = readAt(f, data, 0); p.err != nil {
		return
	}
	text, lead := trim(data)
	if len(text) == 0 {
		note(0, "empty file")
		return
	}
	if err := p.found.add(rd.e.seed, text, location{file: p.file, offset: int64(lead)}); err != nil {
		note(0, err.Error())
	}
}

var tooLong = fmt.Sprintf("longer than %d bytes", limits.Statement)

// trim returns b without the white space of JSON around it, and how much of it
// was before.
func trim(b []byte) (text []byte, lead int) {
	const space = " \t\r\n"
	text = bytes.TrimLeft(b, space)
	return bytes.TrimRight(text, space), len(b) - len(text)
}
