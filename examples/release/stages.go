package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/modfile"

	"github.com/hallmark-build/hallmark/examples/internal/cli"
	"github.com/hallmark-build/hallmark/internal/atomicfile"
	"github.com/hallmark-build/hallmark/internal/regular"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/predicate"
	"github.com/hallmark-build/hallmark/provenance/record"
	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/golang"
	"github.com/hallmark-build/hallmark/sign"
)

// builder is who vouches for the steps: this program, run by whoever holds the
// keys.
const builder = "https://hallmark.build/examples/release/v1"

// outDir is where the build puts its product within the snapshot.
const outDir = ".hallmark-out"

// exclude leaves out of the source tree what is not source: git's own files
// and earlier releases, the one in dist, where they go by default, included.
func (r *releaser) exclude(p string) bool {
	if p == ".git" || p == outDir {
		return true
	}
	if p == "dist" {
		earlier, _ := filepath.Glob(filepath.Join(r.root, "dist", "*.report.json"))
		if _, err := os.Stat(filepath.Join(r.root, "dist", "policy.yaml")); err == nil && len(earlier) > 0 {
			return true
		}
	}
	out, err := filepath.Abs(r.out)
	if err != nil {
		return false
	}
	rel, err := filepath.Rel(r.root, out)
	return err == nil && filepath.ToSlash(rel) == p
}

// source records the source tree, file by file, with the commit it is at, and
// takes a snapshot of it to build from.
func (r *releaser) source(ctx context.Context) (string, error) {
	tree, err := provenance.DigestTree(ctx, r.root, provenance.TreeOptions{Exclude: r.exclude, AllowCaseCollisions: true})
	if err != nil {
		return "", err
	}
	link := &predicate.Link{Name: "source"}
	said := cli.Count(len(tree.Files), "file")
	subjects := tree.Descriptors(false)
	if r.git != nil {
		commit := r.git.Descriptor()
		commit.Name = "git commit"
		subjects = append(subjects, commit)
		said += ", " + r.git.Commit.Short()
		if r.git.DirtyCount > 0 {
			said += " and " + cli.Count(r.git.DirtyCount, "change")
		}
	}
	st, err := link.Statement(subjects)
	if err != nil {
		return "", err
	}
	for _, f := range tree.Files {
		if err := copyFile(r.root, r.work, f); err != nil {
			return "", err
		}
	}
	return said, r.attest(ctx, "source", st)
}

func copyFile(from, to string, f provenance.TreeFile) error {
	dst := filepath.Join(to, filepath.FromSlash(f.Path))
	if err := os.MkdirAll(filepath.Dir(dst), 0o755); err != nil {
		return err
	}
	if f.Mode&fs.ModeSymlink != 0 {
		return os.Symlink(f.Link, dst)
	}
	in, err := os.Open(filepath.Join(from, filepath.FromSlash(f.Path)))
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(dst, os.O_CREATE|os.O_WRONLY|os.O_EXCL, f.Mode.Perm()|0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// step is a command in the snapshot, with the environment that Go needs.
func (r *releaser) step(name string, argv ...string) record.Step {
	dir := filepath.Join(r.work, filepath.FromSlash(r.rel))
	up, _ := filepath.Rel(dir, r.work)
	return record.Step{
		Name: name, Argv: argv, Root: r.work, Dir: dir, Materials: []string{up},
		Environ: append(os.Environ(), "CGO_ENABLED=0", fmt.Sprintf("SOURCE_DATE_EPOCH=%d", r.epoch.Unix())),
		Env:     []string{"CGO_ENABLED", "GOOS", "GOARCH", "GOFLAGS", "GOEXPERIMENT", "SOURCE_DATE_EPOCH"},
		PassEnv: []string{"PATH", "HOME", "USERPROFILE", "LOCALAPPDATA", "SystemRoot", "TMPDIR", "TEMP", "GOPATH", "GOCACHE", "GOMODCACHE", "GOPROXY", "GONOSUMDB", "GONOSUMCHECK", "GOTOOLCHAIN", "XDG_CACHE_HOME"},
		Tree:    provenance.TreeOptions{Exclude: func(p string) bool { return p == outDir }, AllowCaseCollisions: true},
		Now:     time.Now,
	}
}

// run1 runs a step; what the command said is shown if it failed.
func run1(ctx context.Context, step record.Step) (*record.Record, error) {
	rec, err := record.Run(ctx, step)
	if failed, ok := errors.AsType[*record.Failure](err); ok {
		if said := failed.Observed.Stderr.Text + failed.Observed.Stdout.Text; said != "" {
			err = fmt.Errorf("%w\n%s", err, cli.Indent("    ", said))
		}
		return nil, err
	}
	return rec, err
}

// build runs the build as a recorded step.
func (r *releaser) build(ctx context.Context) (string, error) {
	if err := os.Mkdir(filepath.Join(r.work, outDir), 0o755); err != nil {
		return "", err
	}
	made := filepath.Join(r.work, outDir, r.name)
	argv, product := r.command, filepath.FromSlash(r.product)
	if r.pattern != "" {
		dir := filepath.Join(r.work, filepath.FromSlash(r.rel))
		var err error
		if product, err = filepath.Rel(dir, made); err != nil {
			return "", err
		}
		// The same bytes from any folder: no paths, no state of git.
		argv = []string{"go", "build", "-trimpath", "-buildvcs=false", "-ldflags=-buildid=", "-o", product, r.pattern}
	}
	step := r.step("build", argv...)
	step.Products = []string{product}
	if ci, ok := record.CI(os.Getenv); ok {
		step.CI = &ci
	}
	rec, err := run1(ctx, step)
	if err != nil {
		return "", err
	}
	if r.pattern == "" {
		made = filepath.Join(step.Dir, product)
	} else {
		linked, err := record.GoBinary(made)
		if err != nil {
			return "", err
		}
		rec.Observed.Go = &linked
	}
	st, err := rec.Provenance(builder, "")
	if err != nil {
		return "", err
	}
	if err := r.publishFile(made, r.name, 0o755); err != nil {
		return "", err
	}
	if r.binary, err = provenance.DigestFile(ctx, filepath.Join(r.out, r.name)); err != nil {
		return "", err
	}
	info, err := os.Stat(made)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s, %s, %s", r.name, cli.Bytes(info.Size()), r.binary.Digests.Get(provenance.SHA256).Short()), r.attest(ctx, "build", st)
}

func (r *releaser) publishFile(from, name string, mode fs.FileMode) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return atomicfile.WriteFile(filepath.Join(r.out, name), data, mode)
}

// test runs the package's tests and states the result about the binary.
func (r *releaser) test(ctx context.Context) (string, error) {
	var out bytes.Buffer
	step := r.step("test", "go", "test", "-json", "-count=1", r.pattern)
	step.Materials = nil
	step.Stdout = &out
	// A step has a product: what the tests printed is ours.
	log := filepath.Join(r.work, outDir, "test.json")
	rel, err := filepath.Rel(step.Dir, log)
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(log, nil, 0o644); err != nil {
		return "", err
	}
	step.Products = []string{rel}
	_, runErr := run1(ctx, step)
	if _, failed := errors.AsType[*record.Failure](runErr); runErr != nil && !failed {
		return "", runErr
	}
	result, err := testResult(&out)
	if err != nil {
		return "", err
	}
	// What the tests were configured by: the source that the build used.
	result.Configuration = []provenance.ResourceDescriptor{{Name: "source statement", Digest: provenance.DigestSet{r.statements["source"].Digest()}}}
	if runErr != nil {
		result.Result = predicate.Failed
	}
	st, err := result.Statement([]provenance.ResourceDescriptor{r.subject(r.name)})
	if err != nil {
		return "", err
	}
	said := fmt.Sprintf("%s, %s", strings.ToLower(result.Result), cli.Count(len(result.PassedTests)+len(result.FailedTests), "test"))
	return said, r.attest(ctx, "test", st)
}

// testResult reads the events of go test -json (go doc cmd/test2json).
func testResult(events io.Reader) (*predicate.TestResult, error) {
	res := &predicate.TestResult{Result: predicate.Passed}
	lines := bufio.NewScanner(events)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e struct{ Action, Package, Test string }
		if json.Unmarshal(lines.Bytes(), &e) != nil || e.Test == "" {
			continue
		}
		switch name := e.Package + "." + e.Test; e.Action {
		case "pass":
			res.PassedTests = append(res.PassedTests, name)
		case "fail":
			res.FailedTests = append(res.FailedTests, name)
		}
	}
	slices.Sort(res.PassedTests)
	slices.Sort(res.FailedTests)
	if len(res.FailedTests) > 0 {
		res.Result = predicate.Failed
	}
	return res, lines.Err()
}

// subject is a released file by its digests.
func (r *releaser) subject(name string) provenance.ResourceDescriptor {
	a, err := provenance.DigestFile(context.Background(), filepath.Join(r.out, name))
	if err != nil {
		return provenance.ResourceDescriptor{Name: name}
	}
	return a.Descriptor()
}

// sbom says what is in the binary, in both formats: as files of the release,
// and as attestations about the binary.
func (r *releaser) sbom(ctx context.Context) (string, error) {
	g, err := r.graph(ctx)
	if err != nil {
		return "", err
	}
	binary := r.subject(r.name)
	var docs []provenance.ResourceDescriptor
	for _, f := range []struct {
		format sbom.Format
		ext    string
	}{{sbom.CycloneDX, ".cdx.json"}, {sbom.SPDX, ".spdx.json"}} {
		doc, err := g.Encode(f.format)
		if err != nil {
			return "", err
		}
		if err := atomicfile.WriteFile(filepath.Join(r.out, r.name+f.ext), doc, 0o644); err != nil {
			return "", err
		}
		st, err := sbom.Statement([]provenance.ResourceDescriptor{binary}, doc, f.format)
		if err != nil {
			return "", err
		}
		if err := r.attest(ctx, "sbom", st); err != nil {
			return "", err
		}
		docs = append(docs, r.subject(r.name+f.ext))
	}
	link := &predicate.Link{Name: "sbom", Materials: []provenance.ResourceDescriptor{binary}}
	st, err := link.Statement(docs)
	if err != nil {
		return "", err
	}
	state, reasons := g.Completeness()
	said := fmt.Sprintf("%s, %s", cli.Count(len(g.Components()), "component"), state)
	if len(reasons) > 0 {
		said += " (" + strings.Join(reasons, ", ") + ")"
	}
	return said, r.attest(ctx, "sbom", st)
}

func (r *releaser) graph(ctx context.Context) (*sbom.Graph, error) {
	file := filepath.Join(r.out, r.name)
	tool := sbom.Tool{Name: "hallmark-release", Version: "1"}
	var authors []sbom.Party
	if r.author != "" {
		authors = []sbom.Party{{Name: r.author}}
	}
	if r.pattern != "" {
		cache, goroot, err := r.goEnv(ctx)
		if err != nil {
			return nil, err
		}
		return golang.FromBinary(ctx, file, golang.Options{
			Created: r.epoch, ModCache: cache, Goroot: goroot, Source: r.module(), Licences: r.work, Local: r.localModules(),
			Version: r.version, Tool: tool, Authors: authors, Supplier: sbom.Party{Name: r.author},
		})
	}
	// Nobody looked inside what a command made, and the document says so.
	g := &sbom.Graph{Creation: sbom.Creation{Created: r.epoch, Tool: tool, Authors: authors, Phase: "build"}}
	a, err := provenance.DigestFile(ctx, file)
	if err != nil {
		return nil, err
	}
	id := g.Add(sbom.Component{Type: sbom.Application, Name: r.name, Version: r.version, Supplier: sbom.Party{Name: r.author}, Digests: a.Digests, Dependencies: sbom.Unknown})
	g.AddUnknown(sbom.Gap{Component: id, Field: sbom.FieldComponents, Reason: "not-analysed", Detail: "made by a command that this program knows nothing about"})
	return g, nil
}

// goEnv asks the go command, in the snapshot, where its module cache and its
// toolchain are.
func (r *releaser) goEnv(ctx context.Context) (cache, goroot string, err error) {
	cmd := exec.CommandContext(ctx, "go", "env", "GOMODCACHE", "GOROOT")
	cmd.Dir = filepath.Join(r.work, filepath.FromSlash(r.rel))
	out, err := cmd.Output()
	if err != nil {
		return "", "", fmt.Errorf("go env: %w", err)
	}
	cache, goroot, _ = strings.Cut(strings.TrimSpace(string(out)), "\n")
	return strings.TrimSpace(cache), strings.TrimSpace(goroot), nil
}

// module is the folder of the module that the package is in.
func (r *releaser) module() string {
	top := filepath.Join(r.work, filepath.FromSlash(r.rel))
	for dir := filepath.Join(top, filepath.FromSlash(r.pattern)); len(dir) >= len(r.work); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
	}
	return top
}

// localModules are the modules of the source tree by path: what a workspace or
// a replace directive took from there.
func (r *releaser) localModules() map[string]string {
	local := map[string]string{}
	filepath.WalkDir(r.work, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == "go.mod" && d.Type().IsRegular() {
			if data, err := os.ReadFile(p); err == nil {
				if path := modfile.ModulePath(data); path != "" {
					local[path] = filepath.Dir(p)
				}
			}
		}
		return nil
	})
	return local
}

// pack puts the binary, licence and readme into an archive.
func (r *releaser) pack(ctx context.Context) (string, error) {
	binary, err := os.ReadFile(filepath.Join(r.out, r.name))
	if err != nil {
		return "", err
	}
	members := []member{{r.name, 0o755, binary}}
	// Nothing but the source tree's own files: a link in it could lead to any
	// file of this machine.
	root, err := os.OpenRoot(r.work)
	if err != nil {
		return "", err
	}
	defer root.Close()
	link := &predicate.Link{Name: "package", Materials: []provenance.ResourceDescriptor{r.subject(r.name)}}
	for _, dir := range []string{r.rel, "."} {
		for _, name := range []string{"LICENSE", "LICENSE.txt", "COPYING", "README.md"} {
			p := path.Join(dir, name)
			if slices.ContainsFunc(members, func(m member) bool { return m.name == name }) {
				continue
			}
			data, err := regular.ReadIn(root, filepath.FromSlash(p), 16<<20)
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, regular.ErrNot) {
				continue
			}
			if err != nil {
				return "", fmt.Errorf("%s: %w", p, err)
			}
			members = append(members, member{name, 0o644, data})
			a, err := provenance.DigestReader(ctx, p, bytes.NewReader(data))
			if err != nil {
				return "", err
			}
			link.Materials = append(link.Materials, a.Descriptor())
		}
	}
	// Packaging comes after testing, and shows it: nobody can name the digest
	// of a statement that does not exist yet.
	if st := r.statements["test"]; st != nil {
		link.Materials = append(link.Materials, provenance.ResourceDescriptor{
			Name: "test statement", MediaType: provenance.PayloadType, Digest: provenance.DigestSet{st.Digest()}})
	}
	var archive bytes.Buffer
	if err := writeTarGz(&archive, r.name, members, r.epoch); err != nil {
		return "", err
	}
	name := r.name + ".tar.gz"
	if err := atomicfile.WriteFile(filepath.Join(r.out, name), archive.Bytes(), 0o644); err != nil {
		return "", err
	}
	subject := r.subject(name)
	st, err := link.Statement([]provenance.ResourceDescriptor{subject})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s, %s, %s", name, cli.Bytes(int64(archive.Len())), subject.Digest.Get(provenance.SHA256).Short()), r.attest(ctx, "package", st)
}

// publish states which files belong to the release, and writes evidence and policy.
func (r *releaser) publish(ctx context.Context) (string, error) {
	link := &predicate.Link{Name: "release"}
	for _, f := range r.released() {
		link.Materials = append(link.Materials, r.subject(f))
	}
	st, err := link.Statement(link.Materials)
	if err != nil {
		return "", err
	}
	if err := r.attest(ctx, "release", st); err != nil {
		return "", err
	}
	p, err := r.policy().YAML()
	if err != nil {
		return "", err
	}
	if err := atomicfile.WriteFile(filepath.Join(r.out, "policy.yaml"), p, 0o644); err != nil {
		return "", err
	}
	for _, root := range r.roots { // whoever verifies needs it too
		if err := atomicfile.WriteFile(filepath.Join(r.out, "trusted_root.json"), root, 0o644); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d files, %d attestations", len(link.Materials), len(r.evidence)),
		sign.WriteBundle(filepath.Join(r.out, r.evidenceFile()), r.evidence...)
}
