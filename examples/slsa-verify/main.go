// Command slsa-verify verifies SLSA provenance with the commands and flags of
// slsa-verifier, offline: what slsa-verifier fetches is given as files.
//
//	slsa-verify verify-artifact app.tar.gz --provenance-path app.intoto.jsonl \
//		--source-uri github.com/octo/app --source-tag v1.2.0 --trusted-root trusted_root.json
//
// It exits with 0 if everything passes, 1 if anything is refused, and 2 if it
// cannot judge: wrong usage, input that cannot be read.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/hallmark-build/hallmark/examples/internal/cli"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/verify"
	"github.com/hallmark-build/hallmark/verify/slsa"
)

func main() {
	ctx, cancel := cli.Context()
	defer cancel()
	os.Exit((&program{ctx, os.Stdout, os.Stderr, time.Now()}).run(os.Args[1:]))
}

// A program is one run.
type program struct {
	ctx      context.Context
	out, err io.Writer
	now      time.Time
}

const usage = `usage: slsa-verify COMMAND [flags] [ARGUMENT...]

  verify-artifact ARTIFACT...            provenance of slsa-github-generator's builders
  verify-github-attestation ARTIFACT...  GitHub's artifact attestations
  verify-npm-package TARBALL...          npm packages
  verify-image LAYOUT[@sha256:DIGEST]    an image in an OCI layout on disk
  verify-vsa                             verification summaries
  version

Run "slsa-verify COMMAND -h" for the flags. Exit codes: 0 passed, 1 refused, 2 cannot judge.
`

// errUsage says that the usage was printed.
var errUsage = errors.New("wrong usage")

func (p *program) run(args []string) int {
	commands := map[string]func([]string) error{
		"verify-artifact": p.artifact, "verify-github-attestation": p.github, "verify-npm-package": p.npm,
		"verify-image": p.image, "verify-vsa": p.vsa,
		"version": func([]string) error { _, err := fmt.Fprintln(p.out, "slsa-verify (hallmark), SLSA v1.2"); return err },
	}
	if len(args) == 0 || commands[args[0]] == nil {
		return cli.Usage(args, p.out, p.err, usage)
	}
	err := commands[args[0]](args[1:])
	if err == nil {
		return cli.OK
	}
	refused, isRefusal := errors.AsType[*slsa.Error](err)
	_, isRejection := errors.AsType[*verify.RejectedError](err)
	switch {
	case isRejection, isRefusal && refused.Reason != slsa.ReasonRequest:
		fmt.Fprintf(p.err, "FAILED: SLSA verification failed: %v\n", err)
		return cli.Refused
	case errors.Is(err, flag.ErrHelp):
		return cli.OK
	case !errors.Is(err, errUsage):
		fmt.Fprintf(p.err, "slsa-verify: %v\n", err)
	}
	return cli.Cannot
}

// flags are the flags that the commands about builds share.
type flags struct {
	*flag.FlagSet
	provenance, trustedRoot string
	print                   bool
	want                    slsa.Expectations
	inputs                  list
}

// A list is a flag that may be given several times.
type list []string

func (l *list) String() string     { return strings.Join(*l, ",") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

func (p *program) flags(name, arguments string) *flags {
	f := &flags{FlagSet: flag.NewFlagSet(name, flag.ContinueOnError)}
	f.SetOutput(p.err)
	f.Usage = func() {
		fmt.Fprintf(p.err, "usage: slsa-verify %s [flags] %s\n\n", name, arguments)
		f.PrintDefaults()
	}
	return f
}

func (p *program) buildFlags(name, arguments, provenanceFlag string) *flags {
	f := p.flags(name, arguments)
	f.StringVar(&f.provenance, provenanceFlag, "", "file with the attestations: one, or one a line (required)")
	f.StringVar(&f.trustedRoot, "trusted-root", "", "trusted_root.json of the Sigstore instance (required)")
	f.BoolVar(&f.print, "print-provenance", false, "print the verified provenance")
	f.StringVar(&f.want.SourceURI, "source-uri", "", "the repository that was built, github.com/OWNER/NAME (required)")
	f.StringVar(&f.want.Branch, "source-branch", "", "the branch that was built")
	f.StringVar(&f.want.Tag, "source-tag", "", "the tag that was built")
	f.StringVar(&f.want.VersionedTag, "source-versioned-tag", "", "semantic version that the tag must be: v1, v1.2 or v1.2.3")
	f.StringVar(&f.want.BuilderID, "builder-id", "", "the builder.id, with or without @REF")
	f.Var(&f.inputs, "build-workflow-input", "KEY=VALUE that the workflow was started with; may be repeated")
	// As in slsa-verifier: the parameters of a build type may have any value.
	f.want.AllowKnownParameters = true
	return f
}

// parse reads flags and arguments in any order.
func (f *flags) parse(args []string, required ...string) ([]string, error) {
	var rest []string
	for {
		if err := f.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return nil, err
			}
			return nil, errUsage
		}
		if f.NArg() == 0 {
			break
		}
		rest, args = append(rest, f.Arg(0)), f.Args()[1:]
	}
	for _, name := range required {
		if f.Lookup(name).Value.String() == "" {
			return nil, fmt.Errorf("--%s is required", name)
		}
	}
	// An unset variable of a script is not an expectation that was left out.
	var empty error
	f.Visit(func(g *flag.Flag) {
		if g.Value.String() == "" {
			empty = fmt.Errorf("--%s is given, and empty", g.Name)
		}
	})
	if empty != nil {
		return nil, empty
	}
	for _, in := range f.inputs {
		k, v, ok := strings.Cut(in, "=")
		if !ok || k == "" {
			return nil, fmt.Errorf("--build-workflow-input: want KEY=VALUE, found %q", in)
		}
		if f.want.WorkflowInputs == nil {
			f.want.WorkflowInputs = map[string]string{}
		}
		if _, twice := f.want.WorkflowInputs[k]; twice {
			return nil, fmt.Errorf("--build-workflow-input: %q twice", k)
		}
		f.want.WorkflowInputs[k] = v
	}
	return rest, nil
}

// readLimited reads a file that may be hostile.
func readLimited(path string) ([]byte, error) {
	const most = 64 << 20
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && len(data) > most {
		err = fmt.Errorf("%s: larger than %d bytes", path, most)
	}
	return data, err
}

// attestations reads a file with one attestation, or one a line.
func attestations(path string) ([][]byte, error) {
	data, err := readLimited(path)
	if err != nil {
		return nil, err
	}
	data = bytes.TrimSpace(data)
	// One document over several lines has a first line that is no document.
	first, _, many := bytes.Cut(data, []byte("\n"))
	if first = bytes.TrimSpace(first); !many || !bytes.HasSuffix(first, []byte("}")) || len(first) < 3 {
		return [][]byte{data}, nil
	}
	var out [][]byte
	for line := range bytes.Lines(data) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			out = append(out, line)
		}
	}
	return out, nil
}

func (f *flags) trust(keys ...verify.Key) (*verify.Trust, error) {
	trust, err := verify.NewTrust(keys...)
	if err != nil || f.trustedRoot == "" {
		return trust, err
	}
	root, err := readLimited(f.trustedRoot)
	if err != nil {
		return nil, err
	}
	return trust.WithSigstore(root, verify.Sigstore{})
}

// report prints what slsa-verifier prints.
func (p *program) report(f *flags, what, name string, r *slsa.Result, err error) error {
	if err != nil {
		fmt.Fprintf(p.err, "Verifying %s %s: FAILED: %v\n\n", what, name, err)
		return err
	}
	fmt.Fprintf(p.err, "Verified build using builder %q at commit %s (SLSA Build level %d)\n", r.BuilderID(), r.Fact(slsa.FactCommit), r.Level())
	for _, n := range r.Notes() {
		fmt.Fprintf(p.err, "note: %s\n", n)
	}
	fmt.Fprintf(p.err, "Verifying %s %s: PASSED\n\n", what, name)
	if f.print {
		fmt.Fprintf(p.out, "%s\n", r.Statement().Statement().Payload())
	}
	return nil
}

func (p *program) passed() error {
	_, err := fmt.Fprintln(p.err, "PASSED: SLSA verification passed")
	return err
}

// each verifies every file, and fails if one does.
func (p *program) each(f *flags, what string, files []string, judge func(provenance.Artifact) (*slsa.Result, error)) error {
	if len(files) == 0 {
		f.Usage()
		return errUsage
	}
	var failed error
	for _, file := range files {
		a, err := provenance.DigestFile(p.ctx, file)
		if err != nil {
			return err
		}
		r, err := judge(a)
		if err = p.report(f, what, file, r, err); err != nil && failed == nil {
			failed = err
		}
	}
	if failed != nil {
		return failed
	}
	return p.passed()
}

// generatorBuilders are the builders of slsa-github-generator, and the one that the caller names.
func (f *flags) generatorBuilders() []slsa.Builder {
	builders := slsa.GitHubGenerator()
	if id, ok := strings.CutPrefix(f.want.BuilderID, "https://github.com/"); ok {
		name, ref, pinned := strings.Cut(id, "@")
		if ref = quote(ref); !pinned {
			ref = "refs/tags/*"
		}
		builders = append(builders, slsa.GitHubDelegated("named by --builder-id", quote("https://github.com/"+name)+"@"+ref)...)
	}
	return builders
}

// quote keeps the characters of a pattern from meaning anything.
func quote(s string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`, "]", `\]`, "{", `\{`, "}", `\}`).Replace(s)
}

func (p *program) artifact(args []string) error {
	f := p.buildFlags("verify-artifact", "ARTIFACT...", "provenance-path")
	files, err := f.parse(args, "provenance-path", "source-uri", "trusted-root")
	if err != nil {
		return err
	}
	return p.builds(f, files, f.generatorBuilders())
}

func (p *program) github(args []string) error {
	f := p.buildFlags("verify-github-attestation", "ARTIFACT...", "attestation-path")
	files, err := f.parse(args, "attestation-path", "source-uri", "builder-id", "trusted-root")
	if err != nil {
		return err
	}
	return p.builds(f, files, append(slsa.GitHubAttestations(), slsa.BazelRegistry()...))
}

func (p *program) builds(f *flags, files []string, builders []slsa.Builder) error {
	trust, err := f.trust()
	if err != nil {
		return err
	}
	evidence, err := attestations(f.provenance)
	if err != nil {
		return err
	}
	return p.each(f, "artifact", files, func(a provenance.Artifact) (*slsa.Result, error) {
		return slsa.VerifyAny(evidence, trust, p.now, a, builders, f.want)
	})
}

func (p *program) npm(args []string) error {
	f := p.buildFlags("verify-npm-package", "TARBALL...", "attestations-path")
	var pkg slsa.NPMPackage
	f.StringVar(&pkg.Name, "package-name", "", "name of the package (required)")
	f.StringVar(&pkg.Version, "package-version", "", "version of the package")
	keyFile := f.String("npm-keys", "", "the registry's keys.json (required)")
	files, err := f.parse(args, "attestations-path", "source-uri", "package-name", "npm-keys", "trusted-root")
	if err != nil {
		return err
	}
	data, err := readLimited(*keyFile)
	if err != nil {
		return err
	}
	keys, err := slsa.NPMKeys(data)
	if err != nil {
		return err
	}
	trust, err := f.trust(keys...)
	if err != nil {
		return err
	}
	if pkg.RegistryKeys, err = keyIDs(keys); err != nil {
		return err
	}
	answer, err := readLimited(f.provenance)
	if err != nil {
		return err
	}
	evidence, err := slsa.NPMAttestations(answer)
	if err != nil {
		return err
	}
	builders := append(slsa.NPM(), f.generatorBuilders()...)
	return p.each(f, "npm package", files, func(a provenance.Artifact) (*slsa.Result, error) {
		want := f.want
		r, err := slsa.VerifyNPM(evidence, trust, p.now, a, pkg, builders, want)
		// Old provenance does not say "github-hosted" in the builder.id; the
		// certificate does, and is looked at either way.
		const hosted = "https://github.com/actions/runner/github-hosted"
		if e, ok := errors.AsType[*slsa.Error](err); ok && e.Reason == slsa.ReasonBuilder {
			switch want.BuilderID {
			case hosted:
				want.BuilderID = strings.TrimSuffix(hosted, "/github-hosted")
			case strings.TrimSuffix(hosted, "/github-hosted"):
				want.BuilderID = hosted
			default:
				return nil, err
			}
			return slsa.VerifyNPM(evidence, trust, p.now, a, pkg, builders, want)
		}
		return r, err
	})
}
