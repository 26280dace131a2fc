// Command verify decides whether an artifact may be used, as a downstream
// service would: by a policy and the evidence that came with the artifact.
//
//	verify -policy dist/policy.yaml -evidence dist dist/app.tar.gz
//
// It exits with 0 if every artifact passes, 1 if any is refused, and 2 if it
// cannot judge: a policy that is wrong, input that cannot be read.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hallmark-build/hallmark/examples/internal/cli"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/verify"
	"github.com/hallmark-build/hallmark/verify/cel"
	"github.com/hallmark-build/hallmark/verify/report"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout)) }

func run(args []string, out *os.File) int {
	ctx, cancel := cli.Context()
	defer cancel()
	flags := flag.NewFlagSet("verify", flag.ContinueOnError)
	policyFile := flags.String("policy", "", "the policy, YAML or JSON (required)")
	evidence := flags.String("evidence", "", "files and directories of attestations, separated by commas (required)")
	packages := flags.String("packages", "", "packages to look into, separated by commas, for policies with contains; judged like the artifacts")
	at := flags.String("at", "", "the instant of judgement, RFC 3339; default: now")
	roots := flags.String("trusted-root", "", "trusted_root.json of a Sigstore instance; several are separated by commas")
	format := flags.String("format", "text", "text, json, markdown, html, sarif, junit, mermaid or dot")
	asJSON := flags.Bool("json", false, "short for -format json")
	var params paramFlag
	flags.Var(&params, "param", "a policy parameter as NAME=VALUE; may be repeated")
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), "usage: verify -policy FILE -evidence PATHS [flags] ARTIFACT...\n\n"+
			"Judges the artifacts together: one history must account for all of them.\n"+
			"Exit codes: 0 passed, 1 refused, 2 cannot judge.\n\n")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return cli.OK
		}
		return cli.Cannot
	}
	if *policyFile == "" || *evidence == "" || flags.NArg() == 0 && *packages == "" {
		flags.Usage()
		return cli.Cannot
	}
	render, ok := report.Renderers()[*format]
	if !ok {
		return cli.Fail("verify", fmt.Errorf("-format: want one of %s, found %q", strings.Join(slices.Sorted(maps.Keys(report.Renderers())), ", "), *format))
	}
	if *asJSON {
		*format, render = "json", report.JSON
	}
	when := time.Now()
	if *at != "" {
		var err error
		if when, err = time.Parse(time.RFC3339, *at); err != nil {
			return cli.Fail("verify", fmt.Errorf("-at: want RFC 3339, such as 2026-01-31T12:00:00Z"))
		}
	}
	rep, notes, err := judge(ctx, *policyFile, *evidence, *roots, params.values, flags.Args(), split(*packages), when)
	if err != nil {
		if *format == "json" {
			// Machines get JSON whatever happens.
			json.NewEncoder(out).Encode(map[string]any{"schema": verify.ReportSchema, "passed": false, "error": err.Error()})
		}
		if _, ok := errors.AsType[*verify.ContentsError](err); ok {
			cli.Fail("verify", err)
			return cli.Refused // what cannot be looked into is not passed on
		}
		return cli.Fail("verify", err)
	}
	for _, n := range notes {
		fmt.Fprintln(os.Stderr, "verify: note:", n)
	}
	if err := render(out, rep, report.Options{Color: cli.Color(out)}); err != nil {
		return cli.Fail("verify", err)
	}
	if !rep.Passed {
		return cli.Refused
	}
	return cli.OK
}

// judge is all there is to it.
func judge(ctx context.Context, policyFile, evidence, roots string, params map[string]string, files, packages []string, at time.Time) (*verify.Report, []verify.Note, error) {
	policy, err := verify.ReadPolicy(policyFile)
	if err != nil {
		return nil, nil, err
	}
	options := verify.Options{Conditions: cel.Compiler{}, Parameters: params}
	for _, f := range split(roots) {
		root, err := os.ReadFile(f)
		if err != nil {
			return nil, nil, err
		}
		options.SigstoreRoots = append(options.SigstoreRoots, root)
	}
	verifier, err := verify.New(policy, options)
	if err != nil {
		return nil, nil, err
	}
	ev, err := verify.ReadEvidence(ctx, split(evidence)...)
	if err != nil {
		return nil, nil, err
	}
	request := verify.Request{Evidence: ev, At: at}
	for _, f := range files {
		a, err := provenance.DigestFile(ctx, f)
		if err != nil {
			return nil, nil, err
		}
		request.Artifacts = append(request.Artifacts, a)
	}
	for _, p := range packages {
		contents, err := verify.ReadContents(ctx, p)
		if err != nil {
			return nil, nil, err
		}
		request.Contents = append(request.Contents, contents)
		request.Artifacts = append(request.Artifacts, contents.Artifact())
	}
	proof, err := verifier.Verify(ctx, request)
	var refused *verify.RefusedError
	if errors.As(err, &refused) {
		return refused.Report, ev.Notes(), nil
	}
	return proof.Report(), ev.Notes(), err
}

func split(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' })
}

type paramFlag struct{ values map[string]string }

func (p *paramFlag) String() string { return "" }

func (p *paramFlag) Set(s string) error {
	k, v, ok := strings.Cut(s, "=")
	if !ok {
		return errors.New("want NAME=VALUE")
	}
	if p.values == nil {
		p.values = map[string]string{}
	}
	p.values[k] = v
	return nil
}
