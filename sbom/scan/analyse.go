package scan

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/purl"
)

// An analyser reads the files of one kind.
type analyser struct {
	name      string
	version   int    // raised with every change of what is found
	ecosystem string // or several, separated by blanks; "" belongs to all
	// wants says by path (slash-separated, relative) and base name whether
	// the file is one of the analyser's. It is called for every file.
	wants func(p, base string) bool
	// limit is the largest file that is read, in bytes.
	limit int64
	// random says that the file is read at random places; in an image, such
	// files are held in memory.
	random bool
	// program says that only regular files that may be executed are wanted.
	program bool
	read    func(ctx context.Context, f *file, r *report) error
}

// analysers are asked in this order; the first that wants a file gets it.
var analysers = []analyser{
	npmLock, npmInstalled, pnpmLock, yarnLock, bundlerStats,
	osRelease, dpkgStatus, apkInstalled, rpmDatabase, rpmLog,
	pyRequirements, pyLock, pylock, pipfileLock, pyInstalled,
	cargoLock, goMod, goSum,
	mavenPOM, gradleLock, javaArchive,
	programs,
}

func isEcosystem(name string) bool {
	return slices.ContainsFunc(analysers, func(a analyser) bool { return slices.Contains(strings.Fields(a.ecosystem), name) })
}

// chosen returns the analysers that the options ask for.
func (o *Options) chosen() []analyser {
	if len(o.Ecosystems) == 0 {
		return analysers
	}
	var list []analyser
	for _, a := range analysers {
		in := strings.Fields(a.ecosystem)
		if len(in) == 0 || slices.ContainsFunc(in, func(e string) bool { return slices.Contains(o.Ecosystems, e) }) {
			list = append(list, a)
		}
	}
	return list
}

func find(list []analyser, p string) *analyser {
	base := p[strings.LastIndexByte(p, '/')+1:]
	for i := range list {
		if list[i].wants(p, base) {
			return &list[i]
		}
	}
	return nil
}

// A file is what an analyser reads.
type file struct {
	path string // slash-separated, relative to the root
	size int64
	r    io.Reader
	at   io.ReaderAt // set for analysers with random
	hash bool        // Options.Digests
	sum  string      // the SHA-256, if it is known
}

// all returns the whole content.
func (f *file) all() ([]byte, error) {
	b := bytes.NewBuffer(make([]byte, 0, min(f.size, 1<<20)+bytes.MinRead))
	n, err := b.ReadFrom(io.LimitReader(f.r, f.size+1))
	if err == nil && n != f.size {
		err = fmt.Errorf("want %d bytes, found another number", f.size)
	}
	return b.Bytes(), err
}

func (f *file) dir() string {
	if d := path.Dir(f.path); d != "." {
		return d
	}
	return ""
}

// A report is what one file says. It is what the layer cache keeps, so all of
// it is exported to encoding/json.
type report struct {
	Path     string
	Analyser string
	Findings []finding         `json:",omitempty"`
	Gaps     []sbom.Gap        `json:",omitempty"` // about the file; Component is an index into Findings plus one, or ""
	Links    map[string]string `json:",omitempty"` // symbolic links in node_modules, with their targets
	OS       *osInfo           `json:",omitempty"`
	Sums     map[string]string `json:",omitempty"` // of go.sum: "module version" to h1
	Bundles  []bundle          `json:",omitempty"`

	layer string // its digest
	bytes int
}

// A finding is one package in one file.
type finding struct {
	// Group and Key name the finding for others that want it. Keys are what
	// the ecosystem identifies an installed package by.
	Group string
	Key   string
	// Also are other keys that it answers to: what a Debian package provides.
	Also []string `json:",omitempty"`

	PURL      purl.PURL
	Type      sbom.Type `json:",omitempty"`
	Name      string
	Version   string               `json:",omitempty"`
	Digests   provenance.DigestSet `json:",omitempty"`
	Licence   sbom.License
	Supplier  sbom.Party
	Scope     sbom.Scope       `json:",omitempty"`
	Reference []sbom.Reference `json:",omitempty"`
	Source    sbom.Source
	Sure      int    `json:",omitempty"` // confidence in percent; 0 is 100
	Method    string // how it is known, in a few words
	DigestHow string `json:",omitempty"` // how Digests are known, if other than Method
	Observed  bool   `json:",omitempty"` // Digests are of bytes that were read

	// Project says that this is what the file is about, not a package that it lists.
	Project bool `json:",omitempty"`
	// Direct says that the project uses it directly; without any Direct, those
	// that no other finding of the file wants are taken for direct.
	Direct bool `json:",omitempty"`
	// Within is the directory whose installed packages decide whether this one is installed.
	Within string `json:",omitempty"`

	// Wants are keys of the findings it depends on; each may be alternatives,
	// separated by "|", of which the first that is there counts.
	Wants []string `json:",omitempty"`
	// May are the same, and may be absent.
	May []string `json:",omitempty"`
	// AllDeps says that Wants and May are all its dependencies.
	AllDeps bool `json:",omitempty"`

	Properties []sbom.Property `json:",omitempty"`
}

func (r *report) add(f finding) error {
	if len(r.Findings) >= limits.SBOMComponents {
		return limitf("more than %d packages", limits.SBOMComponents)
	}
	if r.bytes += 256 + len(f.Name) + len(f.Version) + len(f.Key); r.bytes > limits.ScanBytes {
		return limitf("names larger than %d bytes together", limits.ScanBytes)
	}
	if len(f.Name) > limits.ScanName || len(f.Version) > limits.ScanName || len(f.Key) > 2*limits.TreePath {
		r.gap(sbom.FieldComponents, ReasonLimit, fmt.Sprintf("package %s: name or version longer than %d bytes", clip(f.Name), limits.ScanName))
		return nil
	}
	f.tidy(r)
	for _, l := range []*[]string{&f.Wants, &f.May, &f.Also} {
		for _, s := range *l {
			r.bytes += 16 + len(s)
		}
	}
	r.Findings = append(r.Findings, f)
	return nil
}

// tidy makes a name that nobody could write into a document into one that can
// be, and says so.
func (f *finding) tidy(r *report) {
	odd := false
	for _, s := range []*string{&f.Name, &f.Version, &f.PURL.Name, &f.PURL.Namespace, &f.PURL.Version} {
		t := text(*s)
		odd = odd || t != strings.TrimSpace(*s)
		*s = t
	}
	if f.Name == "" {
		odd = true
		f.Name, f.PURL = "(unnamed)", purl.PURL{}
	}
	if odd {
		r.gap(sbom.FieldIdentity, ReasonMalformed, fmt.Sprintf("package with the name %s and version %s: characters that no name has, or none", clip(f.Name), clip(f.Version)))
	}
}

func (r *report) gap(f sbom.Field, reason, detail string) {
	if len(r.Gaps) < limits.ScanGaps {
		r.Gaps = append(r.Gaps, sbom.Gap{Field: f, Reason: reason, Detail: detail})
	} else if len(r.Gaps) == limits.ScanGaps {
		r.Gaps = append(r.Gaps, sbom.Gap{Field: f, Reason: ReasonLimit, Detail: "more unknowns, which are not listed"})
	}
}

// analyse has a read f. It returns nil when there is nothing to report.
func (a *analyser) analyse(ctx context.Context, f *file) *report {
	r := &report{Path: f.path, Analyser: a.name}
	if f.size > a.limit {
		r.gap(sbom.FieldComponents, ReasonLimit, fmt.Sprintf("a file of %d bytes; at most %d are read", f.size, a.limit))
		return r
	}
	if err := a.guarded(ctx, f, r); err != nil {
		reason := ReasonMalformed
		var le *limitError
		var re *readError
		switch {
		case errors.As(err, &le):
			reason = ReasonLimit
		case errors.As(err, &re):
			reason = ReasonUnreadable
		}
		r.gap(sbom.FieldComponents, reason, clip(err.Error()))
	}
	if len(r.Findings)+len(r.Gaps)+len(r.Links)+len(r.Sums)+len(r.Bundles) == 0 && r.OS == nil {
		return nil
	}
	return r
}

// guarded keeps a file that makes a parser panic from ending the program.
func (a *analyser) guarded(ctx context.Context, f *file, r *report) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("cannot be parsed: %v", p)
		}
	}()
	return a.read(ctx, f, r)
}

type limitError struct{ msg string }

func (e *limitError) Error() string { return e.msg }

func limitf(format string, args ...any) error { return &limitError{fmt.Sprintf(format, args...)} }

// A readError is the fault of the file system, not of the file.
type readError struct{ err error }

func (e *readError) Error() string { return e.err.Error() }

// clip shortens what comes from a hostile file for a message.
func clip(s string) string {
	const most = 300
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}

// text makes a value from a file fit for a document: valid UTF-8 without
// control characters.
func text(s string) string {
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= 0x7f {
			return strings.TrimSpace(strings.Map(func(r rune) rune {
				if r < ' ' || r == 0x7f {
					return ' '
				}
				return r
			}, strings.ToValidUTF8(s, "\uFFFD")))
		}
	}
	return strings.TrimSpace(s)
}
