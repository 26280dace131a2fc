package filetree

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/hallmark-build/hallmark/internal/limits"
)

const (
	bufferSize = 128 << 10

	// batch is how many names of one directory make one task. Fewer cost
	// more locking; more leave workers idle at the end.
	batch = 16
)

// A stat is what the system says about a file.
type stat struct {
	mode         fs.FileMode
	size         int64
	mtime, ctime int64 // Unix time in nanoseconds
	dev, ino     uint64
	info         fs.FileInfo // set where there are no inodes
}

// same reports whether a file has stayed the same: itself, and its content as
// far as size and times tell.
func (a *stat) same(b *stat) bool {
	return a.mode == b.mode && a.size == b.size && a.mtime == b.mtime && a.ctime == b.ctime &&
		a.dev == b.dev && a.ino == b.ino && (a.info == nil || os.SameFile(a.info, b.info))
}

// sameDir reports whether a directory is the one that was listed.
func (a *stat) sameDir(b *stat) bool {
	return b.mode.IsDir() && a.dev == b.dev && a.ino == b.ino && (a.info == nil || os.SameFile(a.info, b.info))
}

// A directory stays open until the last task that needs it is done.
type directory struct {
	handle
	path   string // with a slash at the end; "" for the root
	before stat
	depth  int
	refs   atomic.Int32
}

// A task is some names of a directory to be looked at or, if list is set, a
// directory in it to be listed.
type task struct {
	dir   *directory
	names []string
	list  string
	want  stat // of the directory to be listed
}

// A scan is one run of Scan.
type scan struct {
	opts  Options
	cache *cache

	mu    sync.Mutex
	more  sync.Cond
	stack []task // last in, first out: keeps few directories open
	busy  int    // workers that have a task
	err   error

	stop atomic.Bool // err is set
	_    [64]byte    // all workers read stop all the time; keep what they write off its cache line

	names              atomic.Int64
	planned            atomic.Int64 // bytes, before they are read
	files, read, known atomic.Int64
}

func newScan(root string, opts Options) (*scan, error) {
	if opts.Workers <= 0 {
		opts.Workers = runtime.GOMAXPROCS(0)
	}
	if opts.MaxBytes <= 0 {
		opts.MaxBytes = limits.TreeBytes
	}
	s := &scan{opts: opts}
	s.more.L = &s.mu
	var err error
	if s.cache, err = opts.Cache.load(opts); err != nil {
		return nil, err
	}
	h, err := openRoot(root)
	if err != nil {
		return nil, &Error{ReasonRoot, root, "want a directory", err}
	}
	st, err := h.stat()
	if err == nil && !st.mode.IsDir() {
		err = errors.New("not a directory")
	}
	if err != nil {
		h.close()
		return nil, &Error{ReasonRoot, root, "want a directory", err}
	}
	d := &directory{handle: h, before: st}
	d.refs.Store(1)
	s.stack = append(s.stack, task{dir: d, list: "."})
	return s, nil
}

// run starts the workers and gathers what they found.
func (s *scan) run(ctx context.Context) ([]Entry, error) {
	workers := make([]*worker, s.opts.Workers)
	var wg sync.WaitGroup
	for i := range workers {
		w := &worker{scan: s, buf: make([]byte, bufferSize)}
		workers[i] = w
		wg.Go(w.run)
	}
	finished := make(chan struct{})
	go func() { wg.Wait(); close(finished) }()
	defer func() { // also when Progress panics
		s.fail(errors.New("scan abandoned"))
		<-finished
		for _, t := range s.stack {
			t.dir.release(nil)
		}
	}()

	var tick <-chan time.Time
	if s.opts.Progress != nil {
		t := time.NewTicker(progressInterval)
		defer t.Stop()
		tick = t.C
	}
	done := ctx.Done()
	for running := true; running; {
		select {
		case <-finished:
			running = false
		case <-done:
			s.fail(ctx.Err())
			done = nil
		case <-tick:
			s.opts.Progress(s.progress())
		}
	}
	if s.err != nil {
		return nil, s.err
	}
	var missed []pathStat
	for _, w := range workers {
		missed = append(missed, w.missed...)
	}
	entries := merge(workers)
	return entries, s.cache.store(entries, missed, int(s.known.Load()))
}

func (s *scan) progress() Progress {
	return Progress{Files: s.files.Load(), Bytes: s.read.Load(), Cached: s.known.Load()}
}

// fail keeps the first error and makes every worker stop.
func (s *scan) fail(err error) {
	s.mu.Lock()
	if s.err == nil {
		s.err = err
	}
	s.stop.Store(true)
	s.mu.Unlock()
	s.more.Broadcast()
}

func (s *scan) push(t task) {
	t.dir.refs.Add(1)
	s.mu.Lock()
	s.stack = append(s.stack, t)
	s.mu.Unlock()
	s.more.Signal()
}

// next waits for a task. It returns false when there is none and nobody is
// left who could add one, and after a failure.
func (s *scan) next() (task, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.err == nil {
		if n := len(s.stack); n > 0 {
			t := s.stack[n-1]
			s.stack[n-1] = task{}
			s.stack = s.stack[:n-1]
			s.busy++
			return t, true
		}
		if s.busy == 0 {
			break
		}
		s.more.Wait()
	}
	return task{}, false
}

func (s *scan) done() {
	s.mu.Lock()
	s.busy--
	last := s.busy == 0 && len(s.stack) == 0
	s.mu.Unlock()
	if last {
		s.more.Broadcast()
	}
}

// release closes the directory after its last task. Names that came or went
// since the directory was opened have changed its times.
func (d *directory) release(s *scan) {
	if d.refs.Add(-1) > 0 {
		return
	}
	defer d.close()
	if s == nil || s.stop.Load() {
		return
	}
	after, err := d.handle.stat()
	if err != nil {
		s.fail(&Error{ReasonRead, d.name(), "cannot look at the directory again", err})
	} else if !d.before.sameDir(&after) || d.before.mtime != after.mtime || d.before.ctime != after.ctime {
		s.fail(&Error{ReasonChanged, d.name(), "directory changed during the scan", nil})
	}
}

func (d *directory) name() string {
	if d.path == "" {
		return "."
	}
	return strings.TrimSuffix(d.path, "/")
}

// A worker takes tasks until there are none.
type worker struct {
	*scan
	buf  []byte
	h256 hash.Hash
	sum  [sha256.Size]byte // so that what Sum gets need not be allocated for each file
	more [3]hash.Hash      // SHA-512, git SHA-1, git SHA-256; nil unless asked for

	free    []Entry    // what is left of the newest chunk
	entries []*Entry   // in chunks, since growing a slice would copy them over and over
	missed  []pathStat // files that were not in the cache

	gaveAway bool     // the rest of the current task
	did      Progress // not yet counted by the scan
}

type pathStat struct {
	path string
	stat stat
}

func (w *worker) run() {
	w.h256 = sha256.New()
	if w.opts.SHA512 {
		w.more[0] = sha512.New()
	}
	if w.opts.GitSHA1 {
		w.more[1] = sha1.New()
	}
	if w.opts.GitSHA256 {
		w.more[2] = sha256.New()
	}
	for {
		t, ok := w.next()
		if !ok {
			break
		}
		var err error
		if t.list != "" {
			err = w.list(t)
		} else {
			for i, name := range t.names {
				if err = w.take(t.dir, name, t.names[i+1:]); err != nil || w.stop.Load() || w.gaveAway {
					break
				}
			}
			w.gaveAway = false
		}
		if err != nil {
			w.fail(err)
		}
		w.count()
		t.dir.release(w.scan)
		w.done()
	}
	// In here, because the workers do it side by side.
	if !w.stop.Load() {
		slices.SortFunc(w.entries, func(a, b *Entry) int { return strings.Compare(a.Path, b.Path) })
	}
}

// count tells the scan what the worker did, now and then: counters that all
// write for every file would keep their cache line on the move.
func (w *worker) count() {
	w.scan.files.Add(w.did.Files)
	w.scan.read.Add(w.did.Bytes)
	w.scan.known.Add(w.did.Cached)
	w.did = Progress{}
}

// add returns a new entry.
func (w *worker) add() *Entry {
	if len(w.free) == 0 {
		w.free = make([]Entry, 64)
	}
	e := &w.free[0]
	w.free = w.free[1:]
	w.entries = append(w.entries, e)
	return e
}

// list opens the directory of the task and makes tasks of its names.
func (w *worker) list(t task) (err error) {
	d := t.dir
	if t.list != "." {
		path := t.dir.path + t.list
		h, err := t.dir.openDir(t.list)
		if err != nil {
			return openError(path, "cannot open the directory", err)
		}
		d = &directory{handle: h, path: path + "/", depth: t.dir.depth + 1}
		d.refs.Store(1)
		defer func() {
			if err != nil {
				w.fail(err) // before release finds that the directory changed
			}
			d.release(w.scan)
		}()
		if d.before, err = h.stat(); err != nil {
			return &Error{ReasonRead, path, "cannot look at the directory", err}
		}
		if !t.want.sameDir(&d.before) {
			return &Error{ReasonChanged, path, "directory was swapped for another", nil}
		}
		if d.depth > limits.TreeDepth {
			return &Error{ReasonLimit, path, fmt.Sprintf("directories nest deeper than %d", limits.TreeDepth), nil}
		}
	}

	var names []string
	err = d.list(w.buf, func(name string) error {
		if w.stop.Load() {
			return w.err
		}
		if w.opts.Exclude != nil && w.opts.Exclude(d.path+name) {
			return nil
		}
		if err := checkName(d.path, name); err != nil {
			return err
		}
		names = append(names, name)
		if w.names.Load()+int64(len(names)) > limits.TreeEntries {
			return &Error{ReasonLimit, d.name(), fmt.Sprintf("more than %d files and directories", limits.TreeEntries), nil}
		}
		return nil
	})
	if err != nil {
		var e *Error
		if errors.As(err, &e) || w.stop.Load() {
			return err
		}
		return &Error{ReasonRead, d.name(), "cannot list the directory", err}
	}
	w.names.Add(int64(len(names)))
	if err := checkCollisions(d.path, names, w.opts.AllowCaseCollisions); err != nil {
		return err
	}
	for part := range slices.Chunk(names, batch) {
		w.push(task{dir: d, names: part})
	}
	return nil
}

// take records one name, or makes a task of it if it is a directory. The names
// that are to follow it go to whoever is free if this one is going to take a
// while; otherwise sixteen large files could be left to one worker at the end.
func (w *worker) take(d *directory, name string, rest []string) error {
	st, err := d.lstat(name)
	if err != nil {
		return openError(d.path+name, "cannot look at the file", err)
	}
	switch st.mode.Type() {
	case 0:
		if st.size > bufferSize && len(rest) > 0 {
			w.push(task{dir: d, names: rest})
			w.gaveAway = true
		}
		return w.file(d, name, &st)
	case fs.ModeSymlink:
		return w.link(d, name)
	case fs.ModeDir:
		w.push(task{dir: d, list: name, want: st})
		return nil
	}
	return &Error{ReasonSpecial, d.path + name, "want a file, a directory or a symbolic link, found a " + kind(st.mode), nil}
}

func kind(m fs.FileMode) string {
	switch {
	case m&fs.ModeNamedPipe != 0:
		return "fifo"
	case m&fs.ModeSocket != 0:
		return "socket"
	case m&fs.ModeDevice != 0:
		return "device"
	}
	return "special file"
}

func (w *worker) link(d *directory, name string) error {
	path := d.path + name
	text, err := d.readlink(name, w.buf)
	if err != nil {
		return openError(path, "cannot read the symbolic link", err)
	}
	if len(text) > limits.TreePath {
		return &Error{ReasonLimit, path, fmt.Sprintf("target of the symbolic link is longer than %d bytes", limits.TreePath), nil}
	}
	if !utf8.ValidString(text) {
		return &Error{ReasonName, path, "target of the symbolic link is not valid UTF-8", nil}
	}
	e := w.add()
	*e = Entry{Path: path, Mode: fs.ModeSymlink | 0o777, Size: int64(len(text)), Link: text}
	content := []byte(text)
	e.SHA256 = sha256.Sum256(content)
	w.begin(e.Size)
	w.write(content)
	e.More = w.sums()
	w.did.Files++
	return nil
}

// file digests a regular file, unless the cache knows it.
func (w *worker) file(d *directory, name string, st *stat) error {
	path := d.path + name
	e := w.add()
	e.Path, e.Mode, e.Size = path, st.mode, st.size
	if w.cache != nil && w.cache.lookup(st, e) {
		w.did.Files++
		w.did.Cached++
		return nil
	}
	// Before the file is read: a hole of a terabyte takes no space.
	if total := w.planned.Add(st.size); total > w.opts.MaxBytes || total < 0 {
		return &Error{ReasonLimit, path, fmt.Sprintf("the files together are larger than %d bytes", w.opts.MaxBytes), nil}
	}
	f, err := d.open(name)
	if err != nil {
		return openError(path, "cannot open the file", err)
	}
	defer f.close()
	opened, err := f.stat()
	if err != nil {
		return &Error{ReasonRead, path, "cannot look at the file", err}
	}
	if !st.same(&opened) {
		return &Error{ReasonChanged, path, "file changed between listing and opening", nil}
	}
	if err := w.content(f, e); err != nil {
		if w.stop.Load() {
			return err
		}
		return &Error{ReasonRead, path, "cannot read the file", err}
	}
	after, err := f.stat()
	if err != nil {
		return &Error{ReasonRead, path, "cannot look at the file again", err}
	}
	if e.Size != st.size || !st.same(&after) {
		return &Error{ReasonChanged, path, "file changed while it was read", nil}
	}
	if w.cache != nil {
		w.missed = append(w.missed, pathStat{path, *st})
	}
	w.did.Files++
	return nil
}

// content reads as many bytes as the file should have, and no end of file
// beyond: stat has to agree afterwards. It leaves in e.Size what it has read.
func (w *worker) content(f file, e *Entry) error {
	want := e.Size
	e.Size = 0
	w.begin(want)
	streaming := false
	for {
		if w.stop.Load() {
			return w.err
		}
		n, err := f.read(w.buf)
		if err != nil {
			return err
		}
		e.Size += int64(n)
		w.did.Bytes += int64(n)
		w.write(w.buf[:n])
		if !streaming && (n == 0 || e.Size >= want) {
			e.SHA256 = sha256.Sum256(w.buf[:n])
			break
		}
		if !streaming {
			streaming = true
			w.h256.Reset()
		}
		w.count() // a large file makes progress, too
		w.h256.Write(w.buf[:n])
		if n == 0 || e.Size >= want {
			w.h256.Sum(w.sum[:0])
			e.SHA256 = w.sum
			break
		}
	}
	e.More = w.sums()
	return nil
}

// begin starts the digests beyond SHA-256. Git's cover the size first.
func (w *worker) begin(size int64) {
	for i, h := range w.more {
		if h == nil {
			continue
		}
		h.Reset()
		if i > 0 {
			h.Write(strconv.AppendInt([]byte("blob "), size, 10))
			h.Write([]byte{0})
		}
	}
}

func (w *worker) write(b []byte) {
	for _, h := range w.more {
		if h != nil {
			h.Write(b)
		}
	}
}

func (w *worker) sums() *More {
	if w.more == [3]hash.Hash{} {
		return nil
	}
	m := new(More)
	for i, to := range [][]byte{m.SHA512[:0], m.GitSHA1[:0], m.GitSHA256[:0]} {
		if w.more[i] != nil {
			w.more[i].Sum(to)
		}
	}
	return m
}

// merge joins the sorted entries of the workers.
func merge(workers []*worker) []Entry {
	n := 0
	for _, w := range workers {
		n += len(w.entries)
	}
	entries := make([]Entry, 0, n)
	for range n {
		var first *worker
		for _, w := range workers {
			if len(w.entries) > 0 && (first == nil || w.entries[0].Path < first.entries[0].Path) {
				first = w
			}
		}
		entries = append(entries, *first.entries[0])
		first.entries = first.entries[1:]
	}
	return entries
}
