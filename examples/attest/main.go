// Command attest states what another tool reported, and signs the statement.
//
//	go test -json ./... > report.json
//	attest -type gotest -subject dist/app -key ci.key -out dist/app.intoto.jsonl report.json
//
// A report with bad results is stated as it is: what follows from it is for the
// policy that judges it. A report that proves nothing (no test ran, it was cut
// off, the tool failed) is not stated. INPUT may be "-" for standard input.
//
// It exits with 0 if the statement was made and signed, and with 2 if not.
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
	"github.com/hallmark-build/hallmark/provenance/ingest"
	"github.com/hallmark-build/hallmark/provenance/predicate"
	"github.com/hallmark-build/hallmark/sign"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout)) }

// options are the flags.
type options struct {
	kind, commit, key, out    string
	subjects, config          listFlag
	target, version           string
	started, finished, dbDate timeFlag
}

// onlyFor has the flags that say something about some types of report only.
var onlyFor = map[string][]string{
	"target":       {"gofuzz", "libfuzzer"},
	"config":       {"gotest", "junit", "tap", "zap", "gofuzz", "libfuzzer"},
	"tool-version": {"gitleaks", "osv", "grype", "trivy"},
	"started":      {"osv", "grype", "trivy"},
	"finished":     {"osv", "grype", "trivy"},
	"db-updated":   {"osv", "grype", "trivy"},
}

// A stater is a predicate that can be stated.
type stater interface {
	Statement([]provenance.ResourceDescriptor) (*provenance.Statement, error)
}

// kinds has what reads each type of report, and a word on what was read.
var kinds = map[string]func(io.Reader, *options) (stater, string, error){
	"gotest":     tests(func(r io.Reader, _ *options) (*predicate.TestResult, error) { return ingest.GoTest(r) }),
	"junit":      tests(func(r io.Reader, _ *options) (*predicate.TestResult, error) { return ingest.JUnit(r) }),
	"tap":        tests(func(r io.Reader, _ *options) (*predicate.TestResult, error) { return ingest.TAP(r) }),
	"zap":        tests(func(r io.Reader, _ *options) (*predicate.TestResult, error) { return ingest.ZAP(r) }),
	"gofuzz":     tests(func(r io.Reader, o *options) (*predicate.TestResult, error) { return ingest.GoFuzz(r, o.target) }),
	"libfuzzer":  tests(func(r io.Reader, o *options) (*predicate.TestResult, error) { return ingest.LibFuzzer(r, o.target) }),
	"sarif":      scan(func(r io.Reader, _ *options) (*predicate.Scan, error) { return ingest.SARIF(r) }),
	"gitleaks":   scan(func(r io.Reader, o *options) (*predicate.Scan, error) { return ingest.Gitleaks(r, o.version) }),
	"trufflehog": scan(func(r io.Reader, _ *options) (*predicate.Scan, error) { return ingest.TruffleHog(r) }),
	"osv":        vulns(ingest.OSVScanner),
	"grype":      vulns(ingest.Grype),
	"trivy":      vulns(ingest.Trivy),
}

func tests(read func(io.Reader, *options) (*predicate.TestResult, error)) func(io.Reader, *options) (stater, string, error) {
	return func(r io.Reader, o *options) (stater, string, error) {
		t, err := read(r, o)
		if err != nil {
			return nil, "", err
		}
		for _, path := range o.config {
			a, err := provenance.DigestFile(context.Background(), path)
			if err != nil {
				return nil, "", err
			}
			t.Configuration = append(t.Configuration, a.Descriptor())
		}
		return t, fmt.Sprintf("%s: %d passed, %d warned, %d failed", t.Result, len(t.PassedTests), len(t.WarnedTests), len(t.FailedTests)), nil
	}
}

func scan(read func(io.Reader, *options) (*predicate.Scan, error)) func(io.Reader, *options) (stater, string, error) {
	return func(r io.Reader, o *options) (stater, string, error) {
		s, err := read(r, o)
		if err != nil {
			return nil, "", err
		}
		n := s.Summary
		return s, fmt.Sprintf("%d errors, %d warnings, %d notes, %d suppressed", n.Error, n.Warning, n.Note, n.Suppressed), nil
	}
}

func vulns(read func(io.Reader, ingest.VulnScan) (*predicate.Vulns, error)) func(io.Reader, *options) (stater, string, error) {
	return func(r io.Reader, o *options) (stater, string, error) {
		v, err := read(r, ingest.VulnScan{Started: o.started.Time, Finished: o.finished.Time, Database: o.dbDate.Time, Version: o.version})
		if err != nil {
			return nil, "", err
		}
		return v, fmt.Sprintf("%d vulnerabilities", len(v.Scanner.Result)), nil
	}
}

func run(args []string, in io.Reader, out io.Writer) int {
	ctx, cancel := cli.Context()
	defer cancel()
	var o options
	flags := flag.NewFlagSet("attest", flag.ContinueOnError)
	flags.StringVar(&o.kind, "type", "", "what wrote the report (required): "+strings.Join(slices.Sorted(maps.Keys(kinds)), ", "))
	flags.Var(&o.subjects, "subject", "a file that the report is about; may be repeated")
	flags.StringVar(&o.commit, "commit", "", "the git commit that the report is about, in full")
	flags.StringVar(&o.key, "key", "", "the private key to sign with (required); HALLMARK_KEY_PASSWORD has the passphrase of an encrypted one")
	flags.StringVar(&o.out, "out", "", "append the attestation to this file, such as app.intoto.jsonl; default: standard output")
	flags.Var(&o.config, "config", "of tests: a file that configured the run; may be repeated")
	flags.StringVar(&o.target, "target", "", "of gofuzz and libfuzzer: what was fuzzed")
	flags.StringVar(&o.version, "tool-version", "", "the tool's version, if the report does not say it")
	flags.Var(&o.started, "started", "of osv, grype and trivy: when the scan began, RFC 3339; default: when it finished")
	flags.Var(&o.finished, "finished", "when it finished, if the report does not say it")
	flags.Var(&o.dbDate, "db-updated", "when its database was last updated, if the report does not say it")
	asJSON := flags.Bool("json", false, "say in JSON what was stated")
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), "usage: attest -type TYPE -subject FILE -key KEYFILE [flags] INPUT\n\n"+
			"States what a tool reported and signs it. Exit codes: 0 stated, 2 not.\n\n")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return cli.OK
		}
		return cli.Cannot
	}
	read := kinds[o.kind]
	if read == nil && o.kind != "" {
		return cli.Fail("attest", fmt.Errorf("-type: want one of %s, found %q", strings.Join(slices.Sorted(maps.Keys(kinds)), ", "), o.kind))
	}
	if read == nil || o.key == "" || flags.NArg() != 1 || len(o.subjects) == 0 && o.commit == "" {
		flags.Usage()
		return cli.Cannot
	}
	// What is given and would not be stated is a mistake.
	var idle error
	flags.Visit(func(f *flag.Flag) {
		if kinds := onlyFor[f.Name]; kinds != nil && !slices.Contains(kinds, o.kind) {
			idle = fmt.Errorf("-%s says nothing about a report of type %s", f.Name, o.kind)
		}
	})
	if idle != nil {
		return cli.Fail("attest", idle)
	}
	st, envelope, said, err := attest(ctx, read, &o, flags.Arg(0), in)
	if err == nil && o.out != "" {
		err = sign.AppendBundle(ctx, o.out, envelope)
	}
	if err != nil {
		if *asJSON {
			reason := ""
			if format, ok := errors.AsType[*provenance.FormatError](err); ok {
				reason = format.Reason
			}
			json.NewEncoder(out).Encode(map[string]any{"stated": false, "error": err.Error(), "reason": reason})
		}
		return cli.Fail("attest", err)
	}
	switch {
	case *asJSON:
		result := map[string]any{"stated": true, "predicateType": st.PredicateType(), "statement": st.Digest(), "summary": said}
		if o.out == "" {
			result["envelope"] = json.RawMessage(envelope)
		}
		err = json.NewEncoder(out).Encode(result)
	case o.out == "":
		_, err = fmt.Fprintf(out, "%s\n", envelope)
	default:
		_, err = fmt.Fprintf(out, "%s\n%s about %s, in %s\n", said, st.PredicateType(), cli.Count(len(st.Subjects()), "subject"), o.out)
	}
	if err != nil {
		return cli.Fail("attest", err)
	}
	return cli.OK
}

// attest is all there is to it.
func attest(ctx context.Context, read func(io.Reader, *options) (stater, string, error), o *options, input string, in io.Reader) (
	st *provenance.Statement, envelope []byte, said string, err error) {
	if input != "-" {
		f, err := os.Open(input)
		if err != nil {
			return nil, nil, "", err
		}
		defer f.Close()
		in = f
	}
	p, said, err := read(in, o)
	if err != nil {
		return nil, nil, "", err
	}
	subjects, err := subjectsOf(ctx, o)
	if err != nil {
		return nil, nil, "", err
	}
	if st, err = p.Statement(subjects); err != nil {
		return nil, nil, "", err
	}
	key, scheme, err := sign.ReadPrivateKey(o.key, func() ([]byte, error) {
		if p := os.Getenv("HALLMARK_KEY_PASSWORD"); p != "" {
			return []byte(p), nil
		}
		return nil, errors.New("the key is encrypted: HALLMARK_KEY_PASSWORD is not set")
	})
	if err != nil {
		return nil, nil, "", err
	}
	signer, err := sign.NewSigner(key, scheme)
	if err != nil {
		return nil, nil, "", err
	}
	envelope, err = sign.Statement(ctx, st, signer)
	return st, envelope, said, err
}

func subjectsOf(ctx context.Context, o *options) (list []provenance.ResourceDescriptor, err error) {
	for _, path := range o.subjects {
		a, err := provenance.DigestFile(ctx, path)
		if err != nil {
			return nil, err
		}
		list = append(list, a.Descriptor())
	}
	if o.commit != "" {
		d, err := provenance.NewDigest(provenance.GitCommit, o.commit)
		if err != nil {
			return nil, err
		}
		list = append(list, provenance.ResourceDescriptor{Name: "git commit", Digest: provenance.DigestSet{d}})
	}
	return list, nil
}

// listFlag is a flag that may be repeated.
type listFlag []string

func (l *listFlag) String() string     { return strings.Join(*l, " ") }
func (l *listFlag) Set(s string) error { *l = append(*l, s); return nil }

// timeFlag is a time in RFC 3339.
type timeFlag struct{ time.Time }

func (t *timeFlag) String() string { return "" }

func (t *timeFlag) Set(s string) (err error) {
	if t.Time, err = time.Parse(time.RFC3339, s); err != nil {
		return errors.New("want RFC 3339, such as 2026-01-31T12:00:00Z")
	}
	return nil
}
