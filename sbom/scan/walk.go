package scan

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/sbom"
)

// A walk goes through a directory tree once. Directories and wanted files are
// tasks of one stack, last in, first out, which keeps it short.
type walk struct {
	o    *Options
	tree *tree
	list []analyser

	mu      sync.Mutex
	more    sync.Cond
	stack   []task
	busy    int
	err     error
	reports []*report

	stop       atomic.Bool
	seen, read atomic.Int64
}

// A task is a directory, or a file with the analyser that wants it.
type task struct {
	path  string // "" is the root
	depth int
	a     *analyser // nil for a directory
}

func newWalk(root string, o *Options) (*walk, error) {
	t, err := openTree(root)
	if err != nil {
		return nil, &Error{ReasonUnreadable, root, "want a directory", err}
	}
	w := &walk{o: o, tree: t, list: o.chosen(), stack: []task{{}}}
	w.more.L = &w.mu
	return w, nil
}

func (w *walk) run(ctx context.Context) ([]*report, error) {
	var wg sync.WaitGroup
	for range w.o.Workers {
		wg.Go(func() { w.work(ctx) })
	}
	finished := make(chan struct{})
	go func() { wg.Wait(); close(finished) }()
	defer func() { // also when Progress panics
		w.fail(errors.New("scan abandoned"))
		<-finished
	}()
	var tick <-chan time.Time
	if w.o.Progress != nil {
		t := time.NewTicker(200 * time.Millisecond)
		defer t.Stop()
		tick = t.C
	}
	done := ctx.Done()
	for running := true; running; {
		select {
		case <-finished:
			running = false
		case <-done:
			w.fail(ctx.Err())
			done = nil
		case <-tick:
			w.o.Progress(int(w.seen.Load()), int(w.read.Load()))
		}
	}
	if w.err != nil {
		return nil, w.err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if w.o.Progress != nil {
		w.o.Progress(int(w.seen.Load()), int(w.read.Load()))
	}
	return w.reports, nil
}

func (w *walk) fail(err error) {
	w.mu.Lock()
	if w.err == nil {
		w.err = err
	}
	w.stop.Store(true)
	w.mu.Unlock()
	w.more.Broadcast()
}

func (w *walk) next() (task, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.err == nil {
		if n := len(w.stack); n > 0 {
			t := w.stack[n-1]
			w.stack = w.stack[:n-1]
			w.busy++
			return t, true
		}
		if w.busy == 0 {
			break
		}
		w.more.Wait()
	}
	return task{}, false
}

// done ends a task, with what it leads to.
func (w *walk) done(tasks []task, r *report) {
	w.mu.Lock()
	w.stack = append(w.stack, tasks...)
	if r != nil {
		w.reports = append(w.reports, r)
	}
	w.busy--
	wake := len(tasks) > 1 || w.busy == 0 && len(w.stack) == 0
	w.mu.Unlock()
	if wake {
		w.more.Broadcast()
	}
}

func (w *walk) work(ctx context.Context) {
	for {
		t, ok := w.next()
		if !ok {
			return
		}
		if t.a != nil {
			w.done(nil, w.file(ctx, t))
			continue
		}
		w.done(w.directory(t))
	}
}

// directory lists one directory.
func (w *walk) directory(t task) ([]task, *report) {
	r := &report{Path: t.path, Analyser: "walk"}
	problem := func(reason, detail string) ([]task, *report) {
		r.gap(sbom.FieldComponents, reason, detail)
		return nil, r
	}
	if t.depth > limits.TreeDepth {
		return problem(ReasonLimit, fmt.Sprintf("directories nest deeper than %d", limits.TreeDepth))
	}
	var tasks []task
	prefix := t.path
	if prefix != "" {
		prefix += "/"
	}
	links := isModules(t.path)
	n := 0
	err := w.tree.list(t.path, func(name string, typ fs.FileMode) error {
		if n++; n&1023 == 0 && w.stop.Load() {
			return errStopped
		}
		if w.seen.Add(1) > limits.TreeEntries {
			err := &Error{ReasonLimit, t.path, fmt.Sprintf("more than %d files and directories", limits.TreeEntries), nil}
			w.fail(err)
			return err
		}
		p := prefix + name
		if len(p) > limits.TreePath {
			r.gap(sbom.FieldComponents, ReasonLimit, fmt.Sprintf("path longer than %d bytes", limits.TreePath))
			return nil
		}
		if w.o.Exclude != nil && w.o.Exclude(p) {
			return nil
		}
		switch {
		case typ.IsDir():
			tasks = append(tasks, task{path: p, depth: t.depth + 1})
		case typ == 0:
			if a := find(w.list, p); a != nil {
				tasks = append(tasks, task{path: p, a: a})
			} else if w.o.Files != nil && w.o.Files(p) {
				tasks = append(tasks, task{path: p, a: &anyFile})
			}
		case typ == fs.ModeSymlink && links:
			// What is linked is found where it is; who depends on it is known
			// only through the link.
			if to, err := w.tree.readlink(p); err == nil && len(r.Links) < limits.ScanGaps {
				if r.Links == nil {
					r.Links = make(map[string]string)
				}
				r.Links[p] = path.Join(t.path, to)
			}
		case typ == fs.ModeSymlink && name != "os-release":
			// What is linked is found where it is, if it is in the tree and
			// has its right name there.
			if a := find(w.list, p); a != nil && !a.program {
				r.gap(sbom.FieldComponents, ReasonUnreadable, name+" is a symbolic link, which is not followed")
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, errStopped) && !w.stop.Load() {
		r.gap(sbom.FieldComponents, ReasonUnreadable, cause(err))
	}
	if len(r.Gaps)+len(r.Links) == 0 {
		r = nil
	}
	return tasks, r
}

var errStopped = errors.New("stopped")

// file has a wanted file read.
func (w *walk) file(ctx context.Context, t task) *report {
	bad := func(reason, detail string) *report {
		r := &report{Path: t.path, Analyser: t.a.name}
		r.gap(sbom.FieldComponents, reason, detail)
		return r
	}
	f, info, err := w.tree.open(t.path)
	if err != nil {
		return bad(ReasonUnreadable, cause(err))
	}
	defer f.Close()
	in := &file{path: t.path, size: info.Size(), r: &reader{f, w}, at: f, hash: w.o.Digests}
	var rep *report
	if !t.a.program || mayRun(info, t.path) {
		w.read.Add(1)
		rep = t.a.analyse(ctx, in)
	}
	if t.a.program && rep == nil && w.o.Files != nil && w.o.Files(t.path) {
		in.r = &reader{f, w} // programs are read at random places
		rep = anyFile.analyse(ctx, in)
	}
	return rep
}

// A reader marks errors of the file system as such and ends with the walk.
type reader struct {
	f *os.File
	w *walk
}

func (r *reader) Read(p []byte) (int, error) {
	if r.w.stop.Load() {
		return 0, &readError{errStopped}
	}
	n, err := r.f.Read(p)
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = &readError{pe.Err}
	}
	return n, err
}

// cause is what an error says without the path, which may be of this machine.
func cause(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return clip(err.Error())
}

// isModules reports whether a directory is one whose entries are npm packages.
func isModules(dir string) bool {
	base := path.Base(dir)
	if strings.HasPrefix(base, "@") {
		base = path.Base(path.Dir(dir))
	}
	return base == "node_modules"
}

func sortReports(reports []*report) {
	slices.SortFunc(reports, func(a, b *report) int {
		if c := strings.Compare(a.Path, b.Path); c != 0 {
			return c
		}
		return strings.Compare(a.Analyser, b.Analyser)
	})
}
