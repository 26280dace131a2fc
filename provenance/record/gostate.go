package record

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/redact"
	"github.com/hallmark-build/hallmark/provenance"
)

// A GoState is what the go command says about a module and its toolchain, or
// what a binary says about its build.
type GoState struct {
	Version string `json:"version"` // "go1.26.8"

	// Settings are the variables that change what is built, such as GOOS,
	// CGO_ENABLED and GOFLAGS, as go env says them; or those that a binary
	// was built with, with flags such as -ldflags. Values that flags with a
	// secret name give, as -X main.apiToken=V, are left out of them.
	Settings map[string]string `json:"settings,omitempty"`

	// Workspace says that a go.work file is in use.
	Workspace bool `json:"workspace,omitempty"`

	// Modules are the modules beside the main ones, sorted by path.
	Modules []GoModule `json:"-"`

	// Tools are the go command, the compiler, the linker and, if asked for,
	// the whole of GOROOT.
	Tools []provenance.ResourceDescriptor `json:"-"`

	// Unknown are the modules whose content is not known by digest, as
	// "path@version: why".
	Unknown []string `json:"modulesWithoutDigest,omitempty"`
}

// A GoModule is a module that a build may use.
type GoModule struct {
	Path, Version string // what is required
	// Replacement is what is used instead, if anything is: "path@version", or
	// "(directory)".
	Replacement string
	// Digest is the dirHash of the content: from go.sum, or computed for a
	// directory, there with the paths in it. Zero if it is not known.
	Digest provenance.Digest
}

// GoOptions say how [Go] asks. The zero value reaches no network.
type GoOptions struct {
	// UnsafeNetwork lets the go command fetch what is not in the module
	// cache, as GOPROXY and GOVCS in environ say. The answer then depends on
	// what servers say, as far as go.sum and the checksum database let it.
	UnsafeNetwork bool

	// Root digests the whole of GOROOT, the standard library's source
	// included (15,000 files, some 220 MB), as one dirHash.
	Root bool
}

// goSettings are the variables of go env that change what is built.
var goSettings = []string{
	"GOOS", "GOARCH", "GOHOSTOS", "GOHOSTARCH", "GO386", "GOAMD64", "GOARM", "GOARM64", "GOMIPS", "GOMIPS64", "GOPPC64", "GORISCV64", "GOWASM",
	"GOFLAGS", "GOEXPERIMENT", "GOFIPS140", "GODEBUG", "GOTOOLCHAIN",
	"CGO_ENABLED", "CGO_CFLAGS", "CGO_CPPFLAGS", "CGO_CXXFLAGS", "CGO_LDFLAGS",
}

// Go asks the go command, looked up in the PATH of environ, about the module or
// workspace that dir is in: what a build there would be made with. The module
// graph is listed with -mod=readonly, so that nothing is changed, and without
// network unless opts say otherwise; it must then be in the module cache, as it
// is after a build or go mod download. The toolchain is that on the machine
// (GOTOOLCHAIN=local) unless environ names one.
//
// The error is an *[Error] or that of the context.
func Go(ctx context.Context, dir string, environ []string, opts GoOptions) (GoState, error) {
	s, err := askGo(ctx, dir, environ, opts)
	if err != nil {
		if ctx.Err() != nil {
			return GoState{}, context.Cause(ctx)
		}
		return GoState{}, &Error{ReasonTool, "go", err}
	}
	return s, nil
}

func askGo(ctx context.Context, dir string, environ environment, opts GoOptions) (s GoState, err error) {
	program, err := lookPath("go", dir, environ)
	if err != nil {
		return s, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return s, err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return s, err
	}
	t := &tool{program, dir, goEnvironment(environ, opts)}
	ask := func(args ...string) ([]byte, error) {
		out, over, err := t.run(ctx, args...)
		if err == nil {
			err = tooMuch(over)
		}
		return out, err
	}

	out, err := ask(append([]string{"env", "-json", "GOVERSION", "GOWORK", "GOROOT", "GOTOOLDIR"}, goSettings...)...)
	if err != nil {
		return s, err
	}
	var env map[string]string
	if err := json.Unmarshal(out, &env); err != nil {
		return s, fmt.Errorf("go env: %w", err)
	}
	if s.Version = env["GOVERSION"]; s.Version == "" {
		return s, errors.New("go env: no GOVERSION")
	}
	s.Workspace = env["GOWORK"] != "" && env["GOWORK"] != "off"
	s.Settings = make(map[string]string)
	for _, name := range goSettings {
		if v := env[name]; v != "" {
			s.Settings[name] = redact.Flags(v)
		}
	}
	if err := s.readTools(ctx, program, env, opts); err != nil {
		return s, err
	}

	t.env = append(t.env, "GOFLAGS="+strings.TrimSpace(env["GOFLAGS"]+" -mod=readonly"))
	// That the graph can be loaded is asked first. The list is asked for with
	// -e, because it reports as an error of a module that its time of release
	// is not in the module cache, where a build does not put it.
	if _, err := ask("mod", "graph"); err != nil {
		return s, err
	}
	out, err = ask("list", "-e", "-m", "-json=Path,Version,Main,Dir,Replace,Sum", "all")
	if err != nil {
		return s, err
	}
	dec := json.NewDecoder(bytes.NewReader(out))
	for {
		var m listedModule
		if err := dec.Decode(&m); err == io.EOF {
			break
		} else if err != nil {
			return s, fmt.Errorf("go list: %w", err)
		}
		if m.Main {
			continue // its files are materials
		}
		if len(s.Modules) == limits.GoModules {
			return s, fmt.Errorf("go list: more than %d modules", limits.GoModules)
		}
		if err := s.add(ctx, m); err != nil {
			return s, err
		}
	}
	slices.SortFunc(s.Modules, func(a, b GoModule) int { return strings.Compare(a.Path, b.Path) })
	return s, nil
}

// goEnvironment keeps the go command from the network and from changing files.
// The rest of the environment stays, because it decides what a build would do.
func goEnvironment(environ environment, opts GoOptions) []string {
	env := slices.Clone(environ)
	if _, ok := environ.get("GOTOOLCHAIN"); !ok {
		env = append(env, "GOTOOLCHAIN=local")
	}
	if !opts.UnsafeNetwork {
		env = append(env, "GOPROXY=off", "GOVCS=*:off", "GONOSUMDB=", "GOSUMDB=off")
	}
	return append(env, "GIT_TERMINAL_PROMPT=0")
}

func (s *GoState) readTools(ctx context.Context, program string, env map[string]string, opts GoOptions) error {
	// The go command that was found may have handed over to another toolchain.
	if own := filepath.Join(env["GOROOT"], "bin", filepath.Base(program)); isFile(own) {
		program = own
	}
	uri := "pkg:golang/stdlib@" + url.PathEscape(strings.TrimPrefix(s.Version, "go"))
	exe := filepath.Ext(program)
	for _, f := range []string{program, filepath.Join(env["GOTOOLDIR"], "compile"+exe), filepath.Join(env["GOTOOLDIR"], "link"+exe)} {
		sum, err := digestFile(ctx, f)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(env["GOROOT"], f)
		if err != nil {
			return err
		}
		sub := filepath.ToSlash(rel)
		s.Tools = append(s.Tools, provenance.ResourceDescriptor{
			Name: s.Version + "/" + sub, URI: uri + "#" + sub, Digest: digestSet(sum),
		})
	}
	if opts.Root {
		tree, err := provenance.DigestTree(ctx, env["GOROOT"], provenance.TreeOptions{AllowCaseCollisions: true})
		if err != nil {
			return err
		}
		d := tree.Digests()
		if len(d) == 0 {
			return errors.New("GOROOT has symbolic links, and no dirHash")
		}
		s.Tools = append(s.Tools, provenance.ResourceDescriptor{Name: s.Version, URI: uri, Digest: d})
	}
	return nil
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// A listedModule is what go list -m -json says of a module.
type listedModule struct {
	Path, Version, Dir, Sum string
	Main                    bool
	Replace                 *listedModule
}

func (s *GoState) add(ctx context.Context, m listedModule) error {
	mod := GoModule{Path: m.Path, Version: m.Version}
	sum := m.Sum
	if r := m.Replace; r != nil {
		sum = r.Sum
		if r.Version == "" {
			mod.Replacement = "(directory)"
			tree, err := provenance.DigestTree(ctx, r.Dir, provenance.TreeOptions{
				Exclude: func(file string) bool { return path.Base(file) == ".git" },
			})
			if err != nil {
				if ctx.Err() != nil {
					return err
				}
				s.unknown(mod, "directory that cannot be digested")
			} else if mod.Digest = tree.Digests().Get(provenance.DirHash); mod.Digest.IsZero() {
				s.unknown(mod, "directory with symbolic links")
			}
			s.Modules = append(s.Modules, mod)
			return nil
		}
		mod.Replacement = r.Path + "@" + r.Version
	}
	if sum == "" {
		// go.sum has no hash of the content: the module takes part in choosing
		// versions, and nothing of it is built.
		return nil
	}
	var err error
	if mod.Digest, err = dirHash(sum); err != nil {
		return fmt.Errorf("%s: %w", m.Path, err)
	}
	s.Modules = append(s.Modules, mod)
	return nil
}

func (s *GoState) unknown(m GoModule, why string) {
	s.Unknown = append(s.Unknown, m.Path+"@"+m.Version+": "+why)
}

// dirHash turns the "h1:" hash of go.sum into a digest.
func dirHash(sum string) (provenance.Digest, error) {
	b64, ok := strings.CutPrefix(sum, "h1:")
	b, err := base64.StdEncoding.Strict().DecodeString(b64)
	if !ok || err != nil || len(b) != 32 {
		return provenance.Digest{}, fmt.Errorf("want an h1: hash, found %.100q", sum)
	}
	return provenance.NewDigest(provenance.DirHash, hex.EncodeToString(b))
}

// GoBinary returns what a Go binary says of its build (debug/buildinfo): the
// modules that are linked into it, and not all that the module graph has. It
// starts no process. A binary says what its linker wrote; so this is as
// trustworthy as the step that made it.
func GoBinary(file string) (GoState, error) {
	info, err := buildinfo.ReadFile(file)
	if err != nil {
		return GoState{}, &Error{ReasonTool, "build info", err}
	}
	s := GoState{Version: info.GoVersion, Settings: make(map[string]string)}
	for _, kv := range info.Settings {
		if !strings.HasPrefix(kv.Key, "vcs") { // Git says it better
			s.Settings[kv.Key] = redact.Flags(kv.Value)
		}
	}
	for _, m := range info.Deps {
		mod := GoModule{Path: m.Path, Version: m.Version}
		sum := m.Sum
		if r := m.Replace; r != nil {
			sum, mod.Replacement = r.Sum, "(directory)"
			if r.Version != "" {
				mod.Replacement = r.Path + "@" + r.Version
			}
		}
		if sum == "" {
			s.unknown(mod, missingSum(m))
		} else if mod.Digest, err = dirHash(sum); err != nil {
			return GoState{}, &Error{ReasonTool, "build info of " + m.Path, err}
		}
		s.Modules = append(s.Modules, mod)
	}
	slices.SortFunc(s.Modules, func(a, b GoModule) int { return strings.Compare(a.Path, b.Path) })
	return s, nil
}

func missingSum(m *debug.Module) string {
	switch {
	case m.Replace != nil:
		return "replaced by a directory"
	case m.Version == "(devel)":
		return "of the workspace"
	}
	return "not in go.sum, or vendored"
}

// Dependencies returns the tools and the modules as materials. A module has
// the package URL of what is used in its place, and annotations for what it
// replaces; one without a known digest is left out, and named in Unknown.
func (s *GoState) Dependencies() []provenance.ResourceDescriptor {
	list := slices.Clone(s.Tools)
	for _, m := range s.Modules {
		if m.Digest.IsZero() {
			continue
		}
		name := m.Path + "@" + m.Version
		d := provenance.ResourceDescriptor{Name: name, Digest: provenance.DigestSet{m.Digest}}
		modPath, version := m.Path, m.Version
		if m.Replacement != "" {
			d.Annotations = map[string]any{"replacedBy": m.Replacement}
			modPath, version, _ = strings.Cut(m.Replacement, "@")
		}
		if version != "" {
			d.URI = goPURL(modPath, version)
		}
		list = append(list, d)
	}
	return list
}

// goPURL returns the package URL of a module. The type golang wants lower case
// (purl-spec, types/golang), and each segment percent-encoded.
func goPURL(modPath, version string) string {
	segments := strings.Split(strings.ToLower(modPath), "/")
	for i, s := range segments {
		segments[i] = url.PathEscape(s)
	}
	return "pkg:golang/" + strings.Join(segments, "/") + "@" + strings.ReplaceAll(url.PathEscape(version), "+", "%2B")
}

// clone keeps a caller's later changes out of a record.
func (s *GoState) clone() *GoState {
	if s == nil {
		return nil
	}
	c := *s
	c.Settings = maps.Clone(s.Settings)
	c.Modules, c.Tools, c.Unknown = slices.Clone(s.Modules), slices.Clone(s.Tools), slices.Clone(s.Unknown)
	return &c
}
