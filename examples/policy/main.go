// Command policy helps whoever writes policies:
//
//	policy lint FILE...                        point at what may not be meant
//	policy explain FILE                        say in words what the policy demands
//	policy test FILE...                        judge the cases of policy test files
//	policy learn -evidence PATHS -key NAME=FILE... ARTIFACT...   draft a policy from a good run
//
// It exits with 0 if all is well, 1 if the linter warns or a case has another
// verdict than it should, and 2 if something cannot be read or is no policy.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hallmark-build/hallmark/examples/internal/cli"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/verify"
	"github.com/hallmark-build/hallmark/verify/cel"
	"github.com/hallmark-build/hallmark/verify/learn"
	"github.com/hallmark-build/hallmark/verify/policytest"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout)) }

const usage = `usage: policy lint [-json] FILE...
       policy explain FILE
       policy test [-json] FILE...
       policy learn -evidence PATHS -key NAME=PEMFILE... [-trusted-root FILE] ARTIFACT...

Exit codes: 0 fine, 1 warnings or wrong verdicts, 2 cannot be read.
`

func run(args []string, out *os.File) int {
	ctx, cancel := cli.Context()
	defer cancel()
	commands := map[string]func(context.Context, []string, *os.File) (bool, error){
		"lint": lint, "explain": explain, "test": test, "learn": draft,
	}
	if len(args) == 0 || commands[args[0]] == nil {
		return cli.Usage(args, out, os.Stderr, usage)
	}
	ok, err := commands[args[0]](ctx, args[1:], out)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return cli.OK
	case errors.Is(err, errUsage):
		return cli.Cannot
	case err != nil:
		return cli.Fail("policy "+args[0], err)
	case !ok:
		return cli.Refused
	}
	return cli.OK
}

// errUsage says that the usage was printed.
var errUsage = errors.New("wrong usage")

// flags parses the flags of a command that takes at least one argument.
func flags(name string, args []string, define func(*flag.FlagSet)) ([]string, error) {
	f := flag.NewFlagSet("policy "+name, flag.ContinueOnError)
	f.Usage = func() {
		fmt.Fprint(f.Output(), usage)
		f.PrintDefaults()
	}
	if define != nil {
		define(f)
	}
	if err := f.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil, err
	} else if err != nil {
		return nil, errUsage
	}
	if f.NArg() == 0 {
		f.Usage()
		return nil, errUsage
	}
	return f.Args(), nil
}

// load reads a policy and checks it as a verifier would. A policy with
// parameters that have no default can only be checked in part.
func load(file string) (*verify.Policy, error) {
	p, err := verify.ReadPolicy(file)
	if err != nil {
		return nil, err
	}
	var open []string
	for name, def := range p.Parameters {
		if def == nil {
			open = append(open, name)
		}
	}
	if len(open) > 0 {
		slices.Sort(open)
		fmt.Fprintf(os.Stderr, "policy: note: %s: the form is checked and not what it says, because %s have no default\n", file, strings.Join(open, ", "))
		return p, nil
	}
	_, err = verify.New(p, verify.Options{Conditions: cel.Compiler{}})
	return p, err
}

func lint(_ context.Context, args []string, out *os.File) (bool, error) {
	var asJSON bool
	files, err := flags("lint", args, func(f *flag.FlagSet) { f.BoolVar(&asJSON, "json", false, "print the findings as JSON") })
	if err != nil {
		return false, err
	}
	paint := cli.Paint(cli.Color(out))
	all := []verify.LintFinding{}
	for _, file := range files {
		p, err := load(file)
		if err != nil {
			return false, err
		}
		all = append(all, p.Lint()...)
	}
	warnings := 0
	for _, f := range all {
		if f.Severity == "warning" {
			warnings++
		}
	}
	if asJSON {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return warnings == 0, enc.Encode(all)
	}
	for _, f := range all {
		severity := paint.Dim("info   ")
		if f.Severity == "warning" {
			severity = paint.Red("warning")
		}
		fmt.Fprintf(out, "%s  %s  %s\n         %s: %s\n", severity, paint.Bold(f.Code), f.Position, f.Path, f.Message)
	}
	fmt.Fprintf(out, "%s, %s\n", cli.Count(warnings, "warning"), cli.Count(len(all)-warnings, "remark"))
	return warnings == 0, nil
}

func test(ctx context.Context, args []string, out *os.File) (bool, error) {
	var asJSON bool
	files, err := flags("test", args, func(f *flag.FlagSet) { f.BoolVar(&asJSON, "json", false, "print the results as JSON") })
	if err != nil {
		return false, err
	}
	paint := cli.Paint(cli.Color(out))
	type result struct {
		File    string `json:"file"`
		Name    string `json:"name"`
		OK      bool   `json:"ok"`
		Message string `json:"message,omitempty"`
	}
	var all []result
	passed := 0
	for _, file := range files {
		results, err := policytest.Run(ctx, file)
		if err != nil {
			return false, err
		}
		for _, r := range results {
			res := result{File: file, Name: r.Name, OK: r.Err == nil}
			if r.Err != nil {
				res.Message = r.Err.Error()
			} else {
				passed++
			}
			all = append(all, res)
		}
	}
	if asJSON {
		enc := json.NewEncoder(out)
		enc.SetIndent("", "  ")
		return passed == len(all), enc.Encode(all)
	}
	for _, r := range all {
		if r.OK {
			fmt.Fprintf(out, "%s  %s\n", paint.Green("ok    "), r.Name)
		} else {
			fmt.Fprintf(out, "%s  %s\n        %s\n", paint.Red("WRONG "), r.Name, r.Message)
		}
	}
	fmt.Fprintf(out, "%d of %d cases as expected\n", passed, len(all))
	return passed == len(all), nil
}

func draft(ctx context.Context, args []string, out *os.File) (bool, error) {
	var evidence, root string
	who := map[string]verify.Principals{}
	files, err := flags("learn", args, func(f *flag.FlagSet) {
		f.StringVar(&evidence, "evidence", "", "files and folders of attestations, separated by commas (required)")
		f.StringVar(&root, "trusted-root", "", "trusted_root.json, for evidence in Sigstore bundles")
		f.Func("key", "a principal as NAME=FILE with a public key in PEM; repeat for each", func(s string) error {
			name, file, ok := strings.Cut(s, "=")
			if !ok {
				return errors.New("want NAME=FILE")
			}
			pem, err := os.ReadFile(file)
			who[name] = verify.Principals{Key: string(pem)}
			return err
		})
	})
	if err != nil {
		return false, err
	}
	if evidence == "" {
		return false, errors.New("-evidence is required")
	}
	ev, err := verify.ReadEvidence(ctx, strings.Split(evidence, ",")...)
	if err != nil {
		return false, err
	}
	req := verify.Request{Evidence: ev, At: time.Now()}
	for _, f := range files {
		a, err := provenance.DigestFile(ctx, f)
		if err != nil {
			return false, err
		}
		req.Artifacts = append(req.Artifacts, a)
	}
	var roots [][]byte
	if root != "" {
		data, err := os.ReadFile(root)
		if err != nil {
			return false, err
		}
		roots = append(roots, data)
	}
	p, err := learn.Draft(ctx, req, who, roots...)
	if err != nil {
		return false, err
	}
	text, err := p.YAML()
	if err != nil {
		return false, err
	}
	_, err = fmt.Fprintf(out, "# A draft from the evidence of one run: what was, not what should be. Read it, then run\n# policy lint on it.\n%s", text)
	return true, err
}

func explain(_ context.Context, args []string, out *os.File) (bool, error) {
	files, err := flags("explain", args, nil)
	if err != nil {
		return false, err
	}
	if len(files) != 1 {
		return false, errors.New("want one policy")
	}
	p, err := load(files[0])
	if err != nil {
		return false, err
	}
	describe(out, p, cli.Paint(cli.Color(out)))
	return true, nil
}

// describe says in words what a policy demands.
func describe(w io.Writer, p *verify.Policy, paint cli.Paint) {
	say := func(format string, args ...any) { fmt.Fprintf(w, format, args...) }
	until := "has no end"
	if !p.Expires.IsZero() {
		until = "ends " + p.Expires.UTC().Format(time.RFC3339)
	}
	say("%s (version %d, %s)\n\n", paint.Bold(p.Name), p.Version, until)
	say("An artifact passes if stage %s made it, and one consistent history holds:\n", paint.Bold(p.Final))
	for _, name := range slices.Sorted(maps.Keys(p.Stages)) {
		s := p.Stages[name]
		say("\n%s\n", paint.Bold(name))
		if s.Optional {
			say("  may be missing when nothing flows from it\n")
		}
		if s.Many {
			say("  may have run several times\n")
		}
		if s.Contains != nil {
			say("  is looked into: every file in the package must be accounted for\n")
		}
		for _, r := range s.Requires {
			describeRequirement(say, r)
		}
		for _, f := range s.From {
			say("  takes %s from %s%s%s\n", orAny(f.Materials, "materials"), paint.Bold(f.Stage), names(f), map[bool]string{true: ", if at all"}[f.Optional])
		}
		for _, in := range s.Inputs {
			i := p.Inputs[in]
			say("  admits input %s: %s\n", paint.Bold(in), inputWords(i))
		}
		for _, a := range s.About {
			say("  is about %s that %s made%s\n", orAny(a.Products, "products"), paint.Bold(a.Stage), map[bool]string{true: ", used or not", false: " and the chain uses"}[a.All])
		}
		for _, a := range s.After {
			say("  comes after %s\n", paint.Bold(a))
		}
		if len(s.Products) > 0 {
			say("  makes %s\n", strings.Join(s.Products, ", "))
		}
		if s.Complete {
			say("  makes nothing that the chain does not use\n")
		}
	}
	if len(p.Rules) > 0 {
		say("\n%s\n", paint.Bold("Over the whole chain"))
	}
	for _, r := range p.Rules {
		switch {
		case len(r.Separate) > 0:
			say("  nobody counts in more than one of %s\n", strings.Join(r.Separate, ", "))
		case r.Organizations > 0:
			say("  the signers of %s come from at least %d organizations\n", strings.Join(r.Over, ", "), r.Organizations)
		case len(r.SamePackages) > 0:
			say("  %s list the same packages %s%s\n", strings.Join(r.SamePackages, ", "), r.Packages, orNothing(", except ", r.Except))
		default:
			say("  %s\n", r.Condition)
		}
	}
	if len(p.Revoked) > 0 {
		say("\n%d things are revoked\n", len(p.Revoked))
	}
}

func describeRequirement(say func(string, ...any), r verify.Requirement) {
	types := r.Types
	if r.Type != "" {
		types = append([]string{r.Type}, types...)
	}
	how := map[string]string{"": "a statement", "any": "a statement", "newest": "the newest statement", "all": "every statement", "none": "no statement"}[r.Which]
	say("  needs %s of type %s\n", how, strings.Join(types, " or "))
	signers := strings.Join(r.Signers, ", ")
	switch {
	case r.Threshold > 1:
		say("    by %d of %s\n", r.Threshold, signers)
	case len(r.Signers) > 1:
		say("    by one of %s\n", signers)
	default:
		say("    by %s\n", signers)
	}
	for _, b := range r.Builders {
		say("    built by %s\n", b)
	}
	for _, c := range r.Where {
		say("    where %s\n", c)
	}
	if r.MaxAge > 0 {
		say("    not older than %s\n", r.MaxAge)
	}
	if r.Complete {
		say("    and an inventory shows that none is withheld\n")
	}
}

func orNothing(prefix string, list []string) string {
	if len(list) == 0 {
		return ""
	}
	return prefix + strings.Join(list, ", ")
}

func orAny(pattern, what string) string {
	if pattern == "" {
		return what
	}
	return what + " named " + pattern
}

func names(f verify.Flow) string {
	switch {
	case len(f.Map) > 0:
		return fmt.Sprintf(" under %d names that are mapped", len(f.Map))
	case f.Names == "same":
		return " under the same names"
	case f.Names == "base":
		return " under the same file names"
	}
	return ""
}

func inputWords(i verify.Input) string {
	var w []string
	if i.URI != "" {
		w = append(w, i.URI)
	}
	if len(i.Digests) > 0 {
		w = append(w, fmt.Sprintf("one of %d digests", len(i.Digests)))
	}
	if len(i.Algorithms) > 0 {
		w = append(w, "known by "+strings.Join(i.Algorithms, " or "))
	}
	if i.ListedBy != "" {
		w = append(w, "listed by stage "+i.ListedBy)
	}
	if i.AllowWithoutDigestUnsafe {
		w = append(w, "even without a digest")
	}
	return strings.Join(w, ", ")
}
