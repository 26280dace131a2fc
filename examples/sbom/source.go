package main

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/modfile"

	"github.com/hallmark-build/hallmark/examples/internal/cli"
	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/golang"
)

// binary makes the bill of a Go program; with the module cache of this
// machine, if there is a go command to say where that is, and with the source
// of its main module, if the user names it or stands in it.
func (p *program) binary(ctx context.Context, file, source string, created time.Time, spin *cli.Spinner) (*sbom.Graph, error) {
	o := golang.Options{Created: created, Name: p.name, Version: p.version, Tool: tool, Authors: p.authors(), Supplier: sbom.Party{Name: p.supplier},
		Progress: func(done, total int) { spin.Say("%s: %d of %d modules", filepath.Base(file), done, total) }}
	cmd := exec.CommandContext(ctx, "go", "env", "GOMODCACHE", "GOROOT")
	cmd.Dir = source
	if out, err := cmd.Output(); err == nil {
		cache, goroot, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		o.ModCache, o.Goroot = strings.TrimSpace(cache), strings.TrimSpace(goroot)
		if info, err := os.Stat(o.ModCache); err != nil || !info.IsDir() {
			o.ModCache = ""
		}
	}
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		return golang.FromBinary(ctx, file, o) // which says what is wrong
	}
	if source == "" && info.Main.Sum != "" {
		return golang.FromBinary(ctx, file, o) // installed by version: the module cache has its source
	}
	modules := modulesAt(ctx, source)
	o.Source = modules[info.Main.Path]
	switch {
	case o.Source == "" && source != "":
		return nil, fmt.Errorf("%s is not in the module %s, which %s was built from", source, info.Main.Path, file)
	case o.Source == "":
		fmt.Fprintf(os.Stderr, "sbom: note: this directory is not in the module %s, so its licence stays unknown: want -source\n", info.Main.Path)
		return golang.FromBinary(ctx, file, o)
	}
	o.Licences, o.Local = top(o.Source), modules
	if data, err := os.ReadFile(filepath.Join(o.Source, "go.mod")); err == nil {
		if f, err := modfile.Parse("go.mod", data, nil); err == nil {
			for _, r := range f.Replace {
				if r.New.Version == "" { // by a folder
					o.Local[r.Old.Path] = filepath.Join(o.Source, filepath.FromSlash(r.New.Path))
					if filepath.IsAbs(r.New.Path) {
						o.Local[r.Old.Path] = r.New.Path
					}
				}
			}
		}
	}
	return golang.FromBinary(ctx, file, o)
}

// modulesAt returns the folder of the module that a directory is in, by the
// module's path, and of the other modules of its workspace.
func modulesAt(ctx context.Context, dir string) map[string]string {
	modules := map[string]string{}
	cmd := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Path}}\t{{.Dir}}")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return modules
	}
	for line := range bytes.Lines(out) {
		if name, folder, ok := strings.Cut(strings.TrimRight(string(line), "\r\n"), "\t"); ok && folder != "" {
			modules[name] = folder
		}
	}
	return modules
}

// top is the top of the repository that a folder is in, or "".
func top(dir string) string {
	for {
		if _, err := os.Lstat(filepath.Join(dir, ".git")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
}
