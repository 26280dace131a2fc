package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/verify/intoto"
)

// An executor runs inspections in the current directory with all the rights of
// the user, as in-toto-verify does. That is why its flag is called unsafe.
type executor struct{ timeout time.Duration }

func (e executor) Inspect(ctx context.Context, i intoto.Inspection) (*intoto.Inspected, error) {
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	before, err := record(ctx)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, i.Run[0], i.Run[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	cmd.WaitDelay = 2 * time.Second
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && (ctx.Err() != nil || !errors.As(err, &exit)) {
		return nil, fmt.Errorf("%s: %w", i.Run[0], errors.Join(err, ctx.Err()))
	}
	after, err := record(ctx)
	if err != nil {
		return nil, err
	}
	return &intoto.Inspected{Materials: before, Products: after, ExitCode: cmd.ProcessState.ExitCode()}, nil
}

// record digests the files of the current directory by SHA-256, as in-toto
// does. It leaves out links and .git, as in-toto does.
func record(ctx context.Context) (map[string]provenance.DigestSet, error) {
	out := map[string]provenance.DigestSet{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if d != nil && d.IsDir() && d.Name() == ".git" {
			return fs.SkipDir
		}
		if err != nil || d.IsDir() || strings.HasSuffix(path, ".link") {
			return err
		}
		if !d.Type().IsRegular() {
			return fmt.Errorf("%s: not a regular file, which cannot be recorded", path)
		}
		a, err := provenance.DigestFile(ctx, path)
		if err != nil {
			return err
		}
		out[filepath.ToSlash(path)] = provenance.DigestSet{a.Digests.Get(provenance.SHA256)}
		return nil
	})
	return out, err
}
