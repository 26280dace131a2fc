// Package policytest tests policies. A policy is code, and one that refuses
// nothing looks the same as one that works until somebody tries. So a file
// beside the policy lists cases with the verdict that each must get:
//
//	policy: policy.yaml             # paths are relative to this file
//	evidence: [evidence]            # of every case
//	at: 2026-06-01T12:00:00Z
//	cases:
//	  - name: the release passes
//	    artifacts: [dist/app.tar.gz]
//	    expect: pass
//	  - name: a build by a stranger
//	    artifacts: ["sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"]
//	    evidence: [stranger.jsonl]  # in addition
//	    expect: refuse
//	    reason: wrong-signer        # docs/reasons.md
//	    stage: build
//
// A Go test runs it in one line, and a CI job that has only go test needs no
// other tool:
//
//	func TestPolicy(t *testing.T) { policytest.Test(t, "testdata/policy-test.yaml") }
//
// The fields of a file are policy, parameters (a mapping of names to values),
// sigstoreRoots (trusted_root.json files), evidence, at, and cases; those of a
// case are name, artifacts (files, or digests as "algorithm:value"), packages
// (as [verify.ReadContents] takes them: they are looked into, for policies with
// contains, and are artifacts of the case unless it lists others),
// evidence, at and parameters (in addition to or in place of those of the file),
// expect ("pass" or "refuse"), and for a refusal reason (one of a
// [verify.ContentsError] if a package cannot be looked into) and stage. A refusal
// without a reason is not accepted: refused for the wrong reason is a policy
// that does not work. A file without a case that is refused is an error.
//
// Test files are trusted: they read the files that they name.
package policytest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/verify"
	"github.com/hallmark-build/hallmark/verify/cel"
)

// A Result is what became of one case.
type Result struct {
	Name string
	// Err is nil when the verdict was what the case expects, and else says
	// what it was.
	Err error
	// Report is the verdict, for whoever wants to know more; nil when
	// a package could not be looked into, and so there was nothing to judge.
	Report *verify.Report
}

type file struct {
	Policy        string            `yaml:"policy"`
	Parameters    map[string]string `yaml:"parameters"`
	SigstoreRoots []string          `yaml:"sigstoreRoots"`
	Evidence      []string          `yaml:"evidence"`
	At            time.Time         `yaml:"at"`
	Cases         []testCase        `yaml:"cases"`

	dir string
}

type testCase struct {
	Name       string            `yaml:"name"`
	Artifacts  []string          `yaml:"artifacts"`
	Packages   []string          `yaml:"packages"`
	Parameters map[string]string `yaml:"parameters"`
	Evidence   []string          `yaml:"evidence"`
	At         time.Time         `yaml:"at"`
	Expect     string            `yaml:"expect"`
	Reason     verify.Reason     `yaml:"reason"`
	Stage      string            `yaml:"stage"`
}

// Run judges every case of the file at path, in order. An error means that the
// cases could not be run: the file or the policy is wrong, or something that
// they name cannot be read. That a verdict is not the expected one is the Err of its Result.
func Run(ctx context.Context, path string) ([]Result, error) {
	f, err := read(path)
	if err != nil {
		return nil, err
	}
	policy, err := verify.ReadPolicy(f.path(f.Policy))
	if err != nil {
		return nil, err
	}
	var roots [][]byte
	for _, r := range f.SigstoreRoots {
		root, err := os.ReadFile(f.path(r))
		if err != nil {
			return nil, err
		}
		roots = append(roots, root)
	}
	var results []Result
	for i := range f.Cases {
		c := &f.Cases[i]
		parameters := maps.Clone(f.Parameters)
		if parameters == nil {
			parameters = map[string]string{}
		}
		maps.Copy(parameters, c.Parameters)
		v, err := verify.New(policy, verify.Options{Conditions: cel.Compiler{}, Parameters: parameters, SigstoreRoots: roots})
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", path, c.Name, err)
		}
		report, err := f.judge(ctx, v, c)
		if refused, ok := errors.AsType[*verify.ContentsError](err); ok {
			results = append(results, Result{Name: c.Name, Err: c.checkRefusal(refused, verify.Reason(refused.Reason), "")})
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", path, c.Name, err)
		}
		results = append(results, Result{Name: c.Name, Err: c.check(report), Report: report})
	}
	return results, nil
}

// Test runs the file at path as a test with one subtest for each case.
func Test(t *testing.T, path string) {
	t.Helper()
	results, err := Run(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		t.Run(r.Name, func(t *testing.T) {
			if r.Err != nil {
				t.Error(r.Err)
			}
		})
	}
}

func read(path string) (*file, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > limits.Policy {
		return nil, fmt.Errorf("%s: not a regular file of at most %d bytes", path, limits.Policy)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	f := &file{dir: filepath.Dir(path)}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(f); err != nil && err != io.EOF {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	fail := func(format string, args ...any) (*file, error) {
		return nil, fmt.Errorf("%s: %s", path, fmt.Sprintf(format, args...))
	}
	switch {
	case f.Policy == "":
		return fail("want the path of a policy in policy")
	case len(f.Cases) == 0:
		return fail("want at least one case")
	}
	names := map[string]bool{}
	refused := false
	for i, c := range f.Cases {
		switch {
		case c.Name == "" || names[c.Name]:
			return fail("cases[%d]: want a name of its own, found %q", i, c.Name)
		case len(c.Artifacts)+len(c.Packages) == 0:
			return fail("%s: want artifacts or packages", c.Name)
		case c.At.IsZero() && f.At.IsZero():
			return fail("%s: want the instant of judgement in at, here or for all", c.Name)
		case c.Expect == "pass" && (c.Reason != "" || c.Stage != ""):
			return fail("%s: reason and stage belong to a refusal", c.Name)
		case c.Expect == "refuse" && c.Reason == "":
			return fail("%s: want the reason of the refusal", c.Name)
		case c.Expect != "pass" && c.Expect != "refuse":
			return fail("%s: want expect: pass or refuse, found %q", c.Name, c.Expect)
		}
		names[c.Name] = true
		refused = refused || c.Expect == "refuse"
	}
	if !refused {
		return fail("no case is refused: nothing shows that the policy refuses anything")
	}
	return f, nil
}

// path returns a path of the file as one of the process.
func (f *file) path(p string) string {
	if filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(f.dir, filepath.FromSlash(p))
}

func (f *file) judge(ctx context.Context, v *verify.Verifier, c *testCase) (*verify.Report, error) {
	var paths []string
	for _, list := range [][]string{f.Evidence, c.Evidence} {
		for _, p := range list {
			paths = append(paths, f.path(p))
		}
	}
	evidence, err := verify.ReadEvidence(ctx, paths...)
	if err != nil {
		return nil, err
	}
	request := verify.Request{Evidence: evidence, At: c.At}
	if c.At.IsZero() {
		request.At = f.At
	}
	for _, s := range c.Artifacts {
		var a provenance.Artifact
		if d, err := provenance.ParseDigest(s); err == nil && d.Algorithm().Strong() {
			a = provenance.Artifact{Name: s, Digests: provenance.DigestSet{d}}
		} else if a, err = provenance.DigestFile(ctx, f.path(s)); err != nil {
			return nil, err
		}
		request.Artifacts = append(request.Artifacts, a)
	}
	for _, p := range c.Packages {
		contents, err := verify.ReadContents(ctx, f.path(p))
		if err != nil {
			return nil, err
		}
		request.Contents = append(request.Contents, contents)
		if len(c.Artifacts) == 0 {
			request.Artifacts = append(request.Artifacts, contents.Artifact())
		}
	}
	proof, err := v.Verify(ctx, request)
	var refused *verify.RefusedError
	switch {
	case errors.As(err, &refused):
		return refused.Report, nil
	case err != nil:
		return nil, err
	}
	return proof.Report(), nil
}

// check compares a verdict with what the case expects.
func (c *testCase) check(r *verify.Report) error {
	if r.Passed {
		if c.Expect == "pass" {
			return nil
		}
		return fmt.Errorf("passed, want a refusal: %s", c.Reason)
	}
	stage := ""
	if len(r.Findings) > 0 {
		stage = r.Findings[0].Stage
	}
	refusal := &verify.RefusedError{Report: r}
	return c.checkRefusal(refusal, refusal.Reason(), stage)
}

func (c *testCase) checkRefusal(refusal error, reason verify.Reason, stage string) error {
	switch {
	case c.Expect == "pass":
		return fmt.Errorf("%w; want a pass", refusal)
	case reason != c.Reason:
		return fmt.Errorf("%w; want the reason %s", refusal, c.Reason)
	case c.Stage != "" && stage != c.Stage:
		return fmt.Errorf("%w; want it in stage %s", refusal, c.Stage)
	}
	return nil
}
