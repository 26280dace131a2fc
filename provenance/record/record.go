package record

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hallmark-build/hallmark/internal/redact"
	"github.com/hallmark-build/hallmark/provenance"
)

// A Step is a command to be run and recorded. Name, Argv, Dir, Environ, Now and
// at least one product are required.
type Step struct {
	Name string // of the step, as policies call it

	// Argv is the command. Argv[0] is a path relative to Dir if it has a
	// separator, and is looked up in the absolute entries of PATH otherwise.
	// No shell is involved.
	Argv []string

	Dir  string // working directory
	Root string // files are named relative to it; Dir must be within; "" is Dir

	// Materials are files and directories, relative to Dir, that are digested
	// before the command runs and again after. Of a directory, .git is left out.
	Materials []string

	// Products are files, directories and glob patterns (those of path.Match),
	// relative to Dir, that are digested after the command. Each must match at
	// least one file, or the step has failed.
	Products []string

	// Tree says how directories are digested. Its Exclude gets paths relative
	// to Root.
	Tree provenance.TreeOptions

	// Environ is the whole environment, as os.Environ returns it. Of it the
	// command gets the variables named in Env, which are recorded with their
	// values, and those named in PassEnv, which are recorded by name only.
	// Those that are not set are left out. All of Environ is searched for
	// secrets. It must not be nil; an empty list is an empty environment.
	Environ      []string
	Env, PassEnv []string

	Secrets []string // values to remove besides those found in Environ and Argv

	// Stdout and Stderr, if not nil, are written to as the command writes, by
	// one goroutine at a time, and with secrets. They must not block for good.
	Stdout, Stderr io.Writer

	Now func() time.Time // the clock

	// Grace is how long the command may take to end after SIGTERM, when the
	// context ends, before it is killed; 0 is 5 seconds.
	Grace time.Duration

	Git        *GitState         // observed; from Git
	Go         *GoState          // observed; from Go
	CI         *CIContext        // claimed; from CI
	Parameters map[string]string // claimed: what else was asked for, such as the version to be built
}

const defaultGrace = 5 * time.Second

// Observed is what Run saw. Text in it is redacted, digests are as they are.
type Observed struct {
	Argv    []string
	Program provenance.ResourceDescriptor // Argv[0] as it was found: base name, digest, annotation "path"
	Dir     string                        // relative to the root, "." for the root itself

	Environment map[string]string // Step.Env, as far as it was set
	PassedEnv   []string          // names of Step.PassEnv that were set, sorted

	Materials []provenance.ResourceDescriptor // before; sorted by name
	Modified  []string                        // materials that were different or gone after
	Products  []provenance.ResourceDescriptor // after; nil unless the step succeeded

	ExitCode          int    // -1 if there is none
	Signal            string // that ended the command, such as "SIGKILL"; or ""
	Started, Finished time.Time
	Stdout, Stderr    Output

	Git *GitState
	Go  *GoState

	// Dependencies go to the statement besides the materials and what Git and Go
	// say. Run leaves it empty; see [GoState.Dependencies].
	Dependencies []provenance.ResourceDescriptor
}

// Claimed is what Run was told and did not check.
type Claimed struct {
	CI         *CIContext
	Parameters map[string]string
}

// A Record is of a step that succeeded: its command exited with status 0, its
// output ended with it, and its products are all there.
type Record struct {
	Name     string
	Observed Observed
	Claimed  Claimed

	secrets *redact.Set
	root    string // this machine's path of the step's root
}

// Reasons of a [Failure]. They are stable.
const (
	ReasonStart     = "step-start"     // the system did not start the command
	ReasonExit      = "step-exit"      // exit status other than 0
	ReasonSignal    = "step-signal"    // ended by a signal
	ReasonCancelled = "step-cancelled" // the context ended
	ReasonLingered  = "step-lingered"  // left a process behind that kept the output open
	ReasonMissing   = "step-missing"   // exit status 0 and a product that is not there
	ReasonProduct   = "step-product"   // a product that cannot be digested
)

// Reasons of an [Error]. They are stable.
const (
	ReasonStep = "step-malformed" // a field of the Step, or a material or a program that is not there
	ReasonTool = "tool-failed"    // git or go did not answer, or not as expected
)

// An Error says why there is nothing to record: nothing was run.
type Error struct {
	Reason string // ReasonStep or ReasonTool
	Msg    string
	Err    error // the cause, if there is one
}

func (e *Error) Error() string {
	if e.Err == nil {
		return e.Msg
	}
	return e.Msg + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

func stepError(format string, args ...any) *Error {
	return &Error{ReasonStep, fmt.Sprintf(format, args...), nil}
}

// A Failure is a step that did not succeed. It says what went in and how it
// went, never what came out.
type Failure struct {
	Reason   string // one of the Reason constants above
	Name     string // of the step
	Observed Observed
	Claimed  Claimed

	msg     string // redacted
	err     error
	secrets *redact.Set
}

func (f *Failure) Error() string { return f.msg }

// Unwrap returns the cause, such as that of the context, if there is one.
func (f *Failure) Unwrap() error { return f.err }

// Run runs the step. Its error is
//
//   - a *[Failure] if the command was to be started or was, and did not succeed:
//     it can be stated;
//   - an *[Error] if the step is not well formed or an input is not there;
//   - the context's error if that ended while the inputs were digested.
//
// It returns when the command and its process group are gone and no goroutine
// is left. The command runs in the background of a terminal: an interrupt
// typed there reaches the caller only, who passes it on through the context.
func Run(ctx context.Context, step Step) (*Record, error) {
	if err := step.check(); err != nil {
		return nil, err
	}
	p, err := openPlace(step.Root, step.Dir, step.Tree)
	if err != nil {
		return nil, err
	}
	defer p.root.Close()
	materials, products, err := step.targets(p)
	if err != nil {
		return nil, err
	}
	env := environment(step.Environ)
	program, err := lookPath(step.Argv[0], p.dirPath, env)
	if err != nil {
		return nil, &Error{ReasonStep, "program", err}
	}

	secrets := redact.New(slices.Concat(step.Secrets, redact.ArgvSecrets(step.Argv), step.settings(env)), step.Environ)
	o := Observed{
		Argv: secrets.Argv(step.Argv), Dir: secrets.String(p.dir),
		ExitCode: -1, Git: step.Git.clone(), Go: step.Go.clone(),
	}
	if o.Go != nil {
		for name, v := range o.Go.Settings {
			o.Go.Settings[name] = redact.Flags(v)
		}
	}
	var childEnv []string
	o.Environment, o.PassedEnv, childEnv = step.environment(env, secrets)
	if o.Program, err = p.describeProgram(ctx, program, secrets); err != nil {
		return nil, nothingRan(ctx, "program", err)
	}
	if o.Materials, err = p.digest(ctx, materials); err != nil {
		return nil, nothingRan(ctx, "material", err)
	}

	var mu sync.Mutex
	stdout, stderr := newCapture(step.Stdout, &mu), newCapture(step.Stderr, &mu)
	c := child{program, step.Argv, childEnv, p.dirPath, stdout, stderr, step.Grace}
	if c.grace <= 0 {
		c.grace = defaultGrace
	}
	started := step.Now()
	end, startErr := c.run(ctx)
	// The difference of two readings of a monotonic clock survives a clock
	// that was set back meanwhile.
	elapsed := max(0, step.Now().Sub(started))
	o.Started = started.UTC().Round(0)
	o.Finished = o.Started.Add(elapsed)
	o.ExitCode, o.Signal = end.code, end.signal
	o.Stdout, o.Stderr = stdout.output(secrets), stderr.output(secrets)

	r := &Record{Name: step.Name, Observed: o, secrets: secrets, root: p.rootPath}
	r.Claimed.CI = step.CI
	r.Claimed.Parameters = maps.Clone(step.Parameters)
	switch {
	case startErr != nil:
		r.Observed.ExitCode = -1
		return nil, r.failure(ReasonStart, startErr, "cannot be started: %v", startErr)
	case ctx.Err() != nil:
		return nil, r.failure(ReasonCancelled, context.Cause(ctx), "cancelled: %v", context.Cause(ctx))
	case end.signal != "":
		return nil, r.failure(ReasonSignal, nil, "ended by %s", end.signal)
	case end.code != 0:
		return nil, r.failure(ReasonExit, nil, "exit status %d", end.code)
	case end.lingered:
		return nil, r.failure(ReasonLingered, nil, "left a process behind that kept its output open")
	}

	if r.Observed.Products, err = p.digest(ctx, products); err != nil {
		reason := ReasonProduct
		if _, ok := errors.AsType[*missingError](err); ok {
			reason = ReasonMissing
		} else if ctx.Err() != nil {
			reason, err = ReasonCancelled, context.Cause(ctx)
		}
		return nil, r.failure(reason, err, "exit status 0, but product %v", err)
	}
	after, err := p.digest(ctx, materials)
	if ctx.Err() != nil {
		return nil, r.failure(ReasonCancelled, context.Cause(ctx), "cancelled: %v", context.Cause(ctx))
	}
	if err != nil {
		// One of them is gone or cannot be read any more. Look at each by
		// itself, so that the others are not reported for it.
		after = p.digestWhatIsThere(ctx, o.Materials)
	}
	r.Observed.Modified = modified(o.Materials, after)
	if sum, err := digestFile(ctx, program); err != nil || !o.Program.Digest.Matches(digestSet(sum)) {
		r.Observed.Modified = append(r.Observed.Modified, step.Argv[0])
	}
	return r, nil
}

func (p *place) digestWhatIsThere(ctx context.Context, list []provenance.ResourceDescriptor) []provenance.ResourceDescriptor {
	var there []provenance.ResourceDescriptor
	for _, d := range list {
		if files, err := p.digestOne(ctx, d.Name); err == nil {
			there = append(there, files...)
		}
	}
	return there
}

func (r *Record) failure(reason string, cause error, format string, args ...any) *Failure {
	r.Observed.Products = nil
	msg := fmt.Sprintf("step %s: ", r.Name) + fmt.Sprintf(format, args...)
	if len(r.root) > 1 {
		msg = strings.ReplaceAll(msg, r.root, ".") // it will be stated, and is no one's business
	}
	return &Failure{reason, r.Name, r.Observed, r.Claimed, r.secrets.String(msg), cause, r.secrets}
}

// nothingRan is the error for what went wrong before the command.
func nothingRan(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return &Error{ReasonStep, what, err}
}

// check looks at everything that needs no look at the disk.
func (s *Step) check() error {
	switch {
	case s.Name == "":
		return stepError("no Name: want the name of the step")
	case len(s.Argv) == 0 || s.Argv[0] == "":
		return stepError("no Argv: want a command")
	case len(s.Products) == 0:
		return stepError("no Products: a step that makes nothing cannot be told from one that failed to")
	case s.Environ == nil:
		return stepError("no Environ: want os.Environ() or an empty list; secrets are looked for in it")
	case s.Now == nil:
		return stepError("no Now: want a clock, such as time.Now")
	}
	for i, arg := range s.Argv {
		if strings.IndexByte(arg, 0) >= 0 {
			return stepError("argument %d has a NUL byte", i)
		}
	}
	for _, name := range slices.Concat(s.Env, s.PassEnv) {
		if name == "" || strings.ContainsAny(name, "=\x00") {
			return stepError("%q is not the name of a variable", name)
		}
	}
	for name := range s.Parameters {
		if name == "" {
			return stepError("a parameter without a name")
		}
	}
	return nil
}

// targets returns materials and products relative to the root.
func (s *Step) targets(p *place) (materials, products []target, err error) {
	for _, m := range s.Materials {
		t, err := p.target("material", m, false)
		if err != nil {
			return nil, nil, err
		}
		materials = append(materials, t)
	}
	for _, m := range s.Products {
		t, err := p.target("product", m, true)
		if err != nil {
			return nil, nil, err
		}
		products = append(products, t)
	}
	return materials, products, nil
}

// settings returns what is secret in what is going to be stated beside the
// command line: parameters that are called so, and flags in variables such as
// GOFLAGS.
func (s *Step) settings(env environment) (secrets []string) {
	for name, v := range s.Parameters {
		if redact.SecretName(name) {
			secrets = append(secrets, v)
		}
	}
	var flags []string
	for _, name := range s.Env {
		if v, ok := env.get(name); ok {
			flags = append(flags, v)
		}
	}
	if s.Go != nil {
		flags = slices.AppendSeq(flags, maps.Values(s.Go.Settings))
	}
	for _, v := range flags {
		secrets = append(secrets, redact.ArgvSecrets([]string{v})...)
	}
	return secrets
}

// environment returns the recorded values, the names that are passed on
// unrecorded, and what the command gets.
func (s *Step) environment(env environment, secrets *redact.Set) (recorded map[string]string, passed, child []string) {
	recorded = make(map[string]string)
	seen := make(map[string]bool)
	for _, name := range s.Env {
		v, ok := env.get(name)
		if !ok || seen[name] {
			continue
		}
		seen[name] = true
		child = append(child, name+"="+v)
		shown := secrets.Argv([]string{v})[0] // GOFLAGS is a part of a command line
		if v != "" && redact.SecretName(name) {
			shown = redact.Marker
		}
		recorded[name] = shown
	}
	for _, name := range s.PassEnv {
		if v, ok := env.get(name); ok && !seen[name] {
			seen[name] = true
			child = append(child, name+"="+v)
			passed = append(passed, name)
		}
	}
	slices.Sort(passed)
	slices.Sort(child)
	return recorded, passed, child
}

// describeProgram digests the program. Its path is relative to the root if it
// is in it.
func (p *place) describeProgram(ctx context.Context, file string, secrets *redact.Set) (provenance.ResourceDescriptor, error) {
	sum, err := digestFile(ctx, file)
	if err != nil {
		return provenance.ResourceDescriptor{}, err
	}
	shown := file
	if rel, err := filepath.Rel(p.rootPath, file); err == nil && filepath.IsLocal(rel) {
		shown = rel
	}
	return provenance.ResourceDescriptor{
		Name:        secrets.String(filepath.Base(file)),
		Digest:      digestSet(sum),
		Annotations: map[string]any{"path": secrets.String(filepath.ToSlash(shown))},
	}, nil
}
