// Command release takes a source tree through source, build, test, sbom,
// package and release, attests each stage with a key of its own, and then
// verifies its own release from the files that it wrote, as anybody else would.
//
//	release [flags] [PACKAGE]           release a program of this Go module
//	release -product FILE [flags] -- CMD ARGS...   release what a command makes
//
// See -h for the flags. It exits with 0 if the release verifies, 1 if it is
// refused (which is what -tamper shows), and 2 if anything went wrong before.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	modversion "golang.org/x/mod/module"
	"golang.org/x/mod/semver"

	"github.com/hallmark-build/hallmark/examples/internal/cli"
	"github.com/hallmark-build/hallmark/internal/atomicfile"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/record"
	"github.com/hallmark-build/hallmark/verify"
	"github.com/hallmark-build/hallmark/verify/cel"
	"github.com/hallmark-build/hallmark/verify/report"
)

// The stages, in order. Each has its own key.
var stages = []string{"source", "build", "test", "sbom", "package", "release"}

// config is what the flags say.
type config struct {
	dir, out, name string   // -C, -o, -name
	pattern        string   // the Go package; "" with a command
	command        []string // after --
	product        string   // -product
	author         string   // -author
	version        string   // -version
	tamper         string
	keys           string
	keyless        string // folder of a Sigstore instance: -keyless
	asJSON         bool
	epoch          time.Time // of the release: SOURCE_DATE_EPOCH, else the commit, else 1980
}

func main() { os.Exit(run()) }

func run() int {
	ctx, cancel := cli.Context()
	defer cancel()
	cfg, err := parse(os.Args[1:])
	if err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return cli.OK
		}
		return cli.Fail("release", err)
	}
	r := &releaser{config: cfg, paint: cli.Paint(cli.Color(os.Stdout))}
	rep, err := r.release(ctx)
	if err != nil {
		return cli.Fail("release", err)
	}
	if cfg.asJSON {
		enc := json.NewEncoder(os.Stdout)
		enc.SetIndent("", "  ")
		if err := enc.Encode(rep); err != nil {
			return cli.Fail("release", err)
		}
	} else {
		fmt.Println()
		if err := report.Text(os.Stdout, rep, report.Options{Color: bool(r.paint)}); err != nil {
			return cli.Fail("release", err)
		}
	}
	if !rep.Passed {
		return cli.Refused
	}
	return cli.OK
}

func parse(args []string) (*config, error) {
	c := &config{}
	// What follows -- is the command, whatever it looks like.
	if i := slices.Index(args, "--"); i >= 0 {
		args, c.command = args[:i], args[i+1:]
	}
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	flags.StringVar(&c.dir, "C", ".", "the folder of the Go module, or where the command runs")
	flags.StringVar(&c.out, "o", "dist", "the folder for the release")
	flags.StringVar(&c.name, "name", "", "the name of the release; default: that of the package or the product")
	flags.StringVar(&c.author, "author", "", "who releases: the author of the SBOM and the supplier of the program; default: nobody is named")
	flags.StringVar(&c.version, "version", "", "the version of the program, for the SBOM; default: the version tag or pseudo-version of the commit, if nothing differs from it")
	flags.StringVar(&c.product, "product", "", "the file that the command makes, relative to -C")
	flags.StringVar(&c.tamper, "tamper", "", "show an attack being refused: "+strings.Join(attacks, ", "))
	flags.StringVar(&c.keys, "keys", "", "a folder with a private key for each stage (source.key, build.key, ...); default: keys made for this run and then forgotten")
	flags.StringVar(&c.keyless, "keyless", "", "sign with identities instead of keys: the folder that examples/sigstore-stack writes")
	flags.BoolVar(&c.asJSON, "json", false, "print the report as JSON and nothing else")
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), "usage: release [flags] [PACKAGE]\n       release -product FILE [flags] -- CMD ARGS...\n\n"+
			"Releases a Go program (default ./examples/verify) or what CMD makes.\n"+
			"Exit codes: 0 released and verified, 1 refused, 2 something went wrong.\n\n")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	switch {
	case c.tamper != "" && !slices.Contains(attacks, c.tamper):
		return nil, fmt.Errorf("-tamper: want one of %s, found %q", strings.Join(attacks, ", "), c.tamper)
	case len(c.command) > 0 && (c.product == "" || flags.NArg() > 0):
		return nil, errors.New("a command needs -product FILE and no package")
	case c.keyless != "" && c.keys != "":
		return nil, errors.New("-keyless and -keys exclude each other")
	case len(c.command) == 0 && c.product != "":
		return nil, errors.New("-product needs a command after --")
	case flags.NArg() > 1:
		return nil, errors.New("want one package")
	}
	c.pattern = "./examples/verify"
	if flags.NArg() == 1 {
		c.pattern = flags.Arg(0)
	}
	base := path.Base(filepath.ToSlash(c.pattern))
	if len(c.command) > 0 {
		c.pattern, base = "", path.Base(filepath.ToSlash(c.product))
	}
	if c.name == "" {
		c.name = base
		if base == "." || base == ".." {
			abs, err := filepath.Abs(filepath.Join(c.dir, c.pattern))
			if err != nil {
				return nil, err
			}
			c.name = filepath.Base(abs)
		}
	}
	if c.name != filepath.Base(c.name) || strings.HasPrefix(c.name, ".") {
		return nil, fmt.Errorf("-name: %q is no file name", c.name)
	}
	return c, nil
}

// releaser is one release on its way.
type releaser struct {
	*config
	paint   cli.Paint
	root    string // the source tree
	rel     string // -C within it, with slashes
	work    string // the snapshot of the source tree that is built
	git     *record.GitState
	signers map[string]signer
	who     map[string]verify.Principals // who they are, for the policy
	roots   [][]byte                     // trusted_root.json, with -keyless

	binary     provenance.Artifact
	evidence   [][]byte
	statements map[string]*provenance.Statement // by stage, for those that others refer to
}

// release runs the stages and returns the verdict on what they left.
func (r *releaser) release(ctx context.Context) (*verify.Report, error) {
	cleanup, err := r.prepare(ctx)
	if err != nil {
		return nil, err
	}
	defer cleanup()
	type step struct {
		name string
		run  func(context.Context) (string, error)
	}
	steps := []step{{"source", r.source}, {"build", r.build}, {"test", r.test}, {"sbom", r.sbom}, {"package", r.pack}, {"release", r.publish}}
	if r.tamper == "order" { // packaged first, tested afterwards
		steps = []step{steps[0], steps[1], steps[4], steps[2], steps[3], steps[5]}
	}
	for _, s := range steps {
		if s.name == "test" && r.pattern == "" {
			continue // nobody knows how to test what a command makes
		}
		start := time.Now()
		spin := cli.Spin(os.Stderr, s.name)
		said, err := s.run(ctx)
		spin.Stop()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		r.say("  %s  %-58s %s\n", r.paint.Bold(fmt.Sprintf("%-8s", s.name)), said, r.paint.Dim(fmt.Sprintf("%7s", cli.Took(time.Since(start)))))
		if err := r.attack(s.name); err != nil {
			return nil, fmt.Errorf("-tamper %s: %w", r.tamper, err)
		}
	}
	rep, err := r.verify(ctx)
	if err != nil {
		return nil, err
	}
	if err := r.writeReports(rep); err != nil {
		return nil, err
	}
	r.say("\n")
	for _, f := range append(r.released(), r.evidenceFile(), "policy.yaml", r.name+".report.json", r.name+".report.html") {
		if info, err := os.Stat(filepath.Join(r.out, f)); err == nil {
			r.say("  %-40s %10s\n", filepath.Join(r.out, f), cli.Bytes(info.Size()))
		}
	}
	return rep, nil
}

func (r *releaser) say(format string, args ...any) {
	if !r.asJSON {
		fmt.Printf(format, args...)
	}
}

// released are the files that people download, all of which are judged.
func (r *releaser) released() []string {
	return []string{r.name + ".tar.gz", r.name, r.name + ".cdx.json", r.name + ".spdx.json"}
}

// evidenceFile holds the attestations, one a line.
func (r *releaser) evidenceFile() string {
	if r.keyless != "" {
		return r.name + ".sigstore.jsonl"
	}
	return r.name + ".intoto.jsonl"
}

// prepare finds the source tree, makes a snapshot to build from (so that what
// was recorded is what is built, whatever an editor does meanwhile), and gets
// the keys.
func (r *releaser) prepare(ctx context.Context) (cleanup func(), err error) {
	dir, err := filepath.Abs(r.dir)
	if err != nil {
		return nil, err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, err
	}
	r.root, r.rel = dir, "."
	git, err := record.Git(ctx, dir, os.Environ())
	switch {
	case err == nil:
		r.git = &git
		r.root = git.Root
		rel, err := filepath.Rel(git.Root, dir)
		if err != nil {
			return nil, err
		}
		r.rel = filepath.ToSlash(rel)
	case !errors.Is(err, record.ErrNoGit):
		return nil, err
	}
	// One time for everything that is released, so that it can be made again.
	switch s := os.Getenv("SOURCE_DATE_EPOCH"); {
	case s != "":
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("SOURCE_DATE_EPOCH: want seconds since 1970, found %q", s)
		}
		r.epoch = time.Unix(n, 0).UTC()
	case r.git != nil && !r.git.CommitTime.IsZero():
		r.epoch = r.git.CommitTime.UTC()
	default:
		r.epoch = time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	if r.version == "" && r.git != nil {
		r.version = versionOf(r.git)
	}
	if err := os.MkdirAll(r.out, 0o755); err != nil {
		return nil, err
	}
	if err := r.makeSigners(ctx); err != nil {
		return nil, err
	}
	r.statements = map[string]*provenance.Statement{}
	if r.work, err = os.MkdirTemp("", "hallmark-release-"); err != nil {
		return nil, err
	}
	return func() { os.RemoveAll(r.work) }, nil
}

// attest signs a statement as a stage and keeps it as evidence.
func (r *releaser) attest(ctx context.Context, stage string, st *provenance.Statement) error {
	env, err := r.signers[stage](ctx, st)
	if err != nil {
		return err
	}
	r.evidence = append(r.evidence, env)
	r.statements[stage] = st
	return nil
}

// verify judges the release from the files in the output folder alone.
func (r *releaser) verify(ctx context.Context) (*verify.Report, error) {
	policy, err := verify.ReadPolicy(filepath.Join(r.out, "policy.yaml"))
	if err != nil {
		return nil, err
	}
	verifier, err := verify.New(policy, verify.Options{Conditions: cel.Compiler{}, SigstoreRoots: r.roots})
	if err != nil {
		return nil, err
	}
	evidence, err := verify.ReadEvidence(ctx, filepath.Join(r.out, r.evidenceFile()))
	if err != nil {
		return nil, err
	}
	request := verify.Request{Evidence: evidence, At: time.Now()}
	for _, f := range r.released() {
		a, err := provenance.DigestFile(ctx, filepath.Join(r.out, f))
		if err != nil {
			return nil, err
		}
		request.Artifacts = append(request.Artifacts, a)
	}
	proof, err := verifier.Verify(ctx, request)
	if refused, ok := errors.AsType[*verify.RefusedError](err); ok {
		return refused.Report, nil
	}
	return proof.Report(), err
}

func (r *releaser) writeReports(rep *verify.Report) error {
	for _, f := range []string{"json", "html"} {
		var b strings.Builder
		if err := report.Renderers()[f](&b, rep, report.Options{}); err != nil {
			return err
		}
		if err := atomicfile.WriteFile(filepath.Join(r.out, r.name+".report."+f), []byte(b.String()), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// versionOf is what the go command would call the commit: its highest version
// tag, or a pseudo-version (go.dev/ref/mod#pseudo-versions). A tree that
// differs from the commit has no version.
func versionOf(git *record.GitState) string {
	if git.DirtyCount > 0 || git.CommitTime.IsZero() || len(git.Commit.Value()) < 12 {
		return ""
	}
	var tag string
	for _, t := range git.Tags {
		if semver.IsValid(t) && semver.Canonical(t) == t && semver.Compare(t, tag) > 0 {
			tag = t
		}
	}
	if tag != "" {
		return tag
	}
	return modversion.PseudoVersion("", "", git.CommitTime, git.Commit.Value()[:12])
}
