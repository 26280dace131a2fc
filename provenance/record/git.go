package record

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/redact"
	"github.com/hallmark-build/hallmark/provenance"
)

// ErrNoGit says that there is no git state to record: no git program, no
// repository, or one without a commit. Whoever records sources that may not be in git
// goes on without.
var ErrNoGit = errors.New("no git program or no git repository with a commit")

// A GitState is what git says about the repository around a directory.
type GitState struct {
	// Root is the top of the working tree on this machine. It is not stated.
	Root string `json:"-"`

	Commit     provenance.Digest `json:"commit"` // of HEAD, as gitCommit
	Tree       provenance.Digest `json:"tree"`   // of HEAD, as gitTree
	CommitTime time.Time         `json:"commitTime,omitzero"`
	Branch     string            `json:"branch,omitempty"` // "refs/heads/main"; "" if HEAD is detached
	Tags       []string          `json:"tags,omitempty"`   // names of the tags that point at HEAD, sorted
	Shallow    bool              `json:"shallow,omitempty"`

	// Dirty are the paths, relative to Root, that differ from Tree or are not
	// in it (and not ignored), or that the index tells git not to look at,
	// sorted; an untracked directory is one path that ends in a slash.
	// ".git/info/attributes" is among them if there are attributes that
	// nobody committed: they can hide changes. At most limits.DirtyFiles are
	// listed; DirtyCount counts all.
	Dirty      []string `json:"dirty,omitempty"`
	DirtyCount int      `json:"dirtyCount,omitempty"`

	// Remotes are the configured remotes that are on other machines, sorted
	// by name, without credentials.
	Remotes []GitRemote `json:"remotes,omitempty"`

	// Signature is the kind of the commit's signature: "openpgp", "ssh",
	// "x509", "unknown", or "" if it has none. It has not been verified.
	Signature string `json:"unverifiedSignature,omitempty"`
}

// A GitRemote is a configured remote repository.
type GitRemote struct {
	Name string `json:"name"`
	URL  string `json:"url"`
}

// Git asks the git program, looked up in the PATH of environ, about the
// repository that dir is in. The error is [ErrNoGit] if there is nothing to ask
// about, an *[Error] if git refuses (a repository of another user, for one) or
// answers nonsense, or that of the context.
//
// The repository is not trusted. Git reads its configuration, and a
// configuration can name programs to run; those that the questions asked here
// could lead to are switched off: the file system monitor, hooks, clean,
// smudge and process filters, pagers, transports, submodules. So the answer
// to what is dirty compares the bytes in the tree with those in the index
// without the conversion of filters (Git LFS): a file that a filter converts is
// dirty if it was changed or checked out anew since git last looked at it. The
// configuration of the user and of the system is not read; variables of
// environ steer git as little as those of the repository.
//
// Whoever can write to the .git directory can still have a changed file count
// as clean, by an index that says so, or as ignored: what was really used is
// said by the digests of materials, not by the state of git.
func Git(ctx context.Context, dir string, environ []string) (GitState, error) {
	state, err := askGit(ctx, dir, environ)
	if err != nil {
		if ctx.Err() != nil {
			return GitState{}, context.Cause(ctx)
		}
		if !errors.Is(err, ErrNoGit) {
			err = &Error{ReasonTool, "git", err}
		}
		return GitState{}, err
	}
	return state, nil
}

func askGit(ctx context.Context, dir string, environ environment) (s GitState, err error) {
	path, err := lookPath("git", dir, environ)
	if err != nil {
		return s, fmt.Errorf("%w: %w", ErrNoGit, err)
	}
	t := &tool{path, dir, gitEnvironment(environ, gitConfig)}
	line := func(args ...string) (string, error) {
		out, over, err := t.run(ctx, args...)
		if err == nil && over {
			err = fmt.Errorf("%s: more than %d bytes", args[0], limits.ToolOutput)
		}
		return strings.TrimSuffix(string(out), "\n"), err
	}

	// A git before 2.31 does not read its configuration from the environment,
	// and would follow the repository's.
	if v, err := line("config", "--get", "core.fsmonitor"); err != nil || v != "false" {
		return s, fmt.Errorf("git cannot be kept from running what the repository configures; want git 2.31 or later (%v)", err)
	}
	top, err := line("rev-parse", "--show-toplevel")
	if exit, ok := errors.AsType[*exitError](err); ok && exit.code == 128 &&
		(strings.Contains(exit.stderr, "not a git repository") || strings.Contains(exit.stderr, "must be run in a work tree")) {
		return s, ErrNoGit
	} else if err != nil {
		return s, err
	}
	s.Root = filepath.FromSlash(top)
	// core.worktree of a repository may name any directory, and there git
	// would find another repository to answer for.
	if in, err := within(s.Root, dir); err != nil {
		return s, err
	} else if !in {
		return s, fmt.Errorf("the repository around %q says that its working tree is %q, which is somewhere else", dir, s.Root)
	}
	t.dir = s.Root
	head, err := line("rev-parse", "--verify", "--end-of-options", "HEAD^{commit}")
	if exit, ok := errors.AsType[*exitError](err); ok && exit.code == 128 && strings.Contains(exit.stderr, "single revision") {
		return s, fmt.Errorf("%w: no commit yet", ErrNoGit)
	} else if err != nil {
		return s, err
	}
	if s.Commit, err = provenance.NewDigest(provenance.GitCommit, head); err != nil {
		return s, err
	}
	commit, err := line("cat-file", "commit", head)
	if err == nil {
		err = s.readCommit(commit)
	}
	if err != nil {
		return s, err
	}
	shallow, err := line("rev-parse", "--is-shallow-repository")
	if err != nil {
		return s, err
	}
	s.Shallow = shallow == "true"
	// Exit status 1 and silence is a detached HEAD.
	s.Branch, err = line("symbolic-ref", "--quiet", "HEAD")
	if exit, ok := errors.AsType[*exitError](err); err != nil && (!ok || exit.code != 1) {
		return s, err
	}
	tags, err := line("for-each-ref", "--points-at="+head, "--format=%(refname:strip=2)", "refs/tags")
	if err != nil {
		return s, err
	}
	s.Tags = slices.Sorted(strings.FieldsSeq(tags))
	if err := s.readRemotes(ctx, t); err != nil {
		return s, err
	}
	return s, s.readStatus(ctx, t, environ)
}

// within reports whether dir is root or below it.
func within(root, dir string) (bool, error) {
	root, err := filepath.EvalSymlinks(root)
	if err != nil {
		return false, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return false, err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return false, err
	}
	rel, err := filepath.Rel(root, dir)
	return err == nil && filepath.IsLocal(rel), nil
}

// gitConfig is the configuration that overrides the repository's.
var gitConfig = []string{
	"core.fsmonitor=false",     // a program that says what changed
	"core.hooksPath=/dev/null", // programs that run at events
	"core.pager=cat",
	"core.attributesFile=/dev/null",
	"core.untrackedCache=false",
	"core.trustctime=true", // these two say what git takes for changed
	"core.checkStat=default",
	"core.autocrlf=false", // and these, what it takes for the same bytes
	"core.safecrlf=false",
	"core.excludesFile=/dev/null",
	"core.alternateRefsCommand=",
	"diff.external=",
	"protocol.allow=never",         // a partial clone fetches what it lacks, over any transport
	"safe.bareRepository=explicit", // a directory of the sources that looks like a repository
	"submodule.recurse=false",
	"gc.auto=0",
	"maintenance.auto=false",
	"log.showSignature=false",
}

// gitEnvironment returns the environment of a git that nothing but config steers.
func gitEnvironment(environ environment, config []string) []string {
	env := []string{
		"LC_ALL=C", // messages are matched
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_ATTR_NOSYSTEM=1",
		"GIT_TERMINAL_PROMPT=0",
		"GIT_OPTIONAL_LOCKS=0",     // do not write the index
		"GIT_NO_REPLACE_OBJECTS=1", // HEAD is HEAD
		"GIT_NO_LAZY_FETCH=1",
		"GIT_ALLOW_PROTOCOL=",
		"GIT_ASKPASS=",
		"GIT_PAGER=cat",
		"GIT_CONFIG_COUNT=" + strconv.Itoa(len(config)),
	}
	for i, kv := range config {
		// The value is after the last =, since a name may have one.
		eq := strings.LastIndexByte(kv, '=')
		n := strconv.Itoa(i)
		env = append(env, "GIT_CONFIG_KEY_"+n+"="+kv[:eq], "GIT_CONFIG_VALUE_"+n+"="+kv[eq+1:])
	}
	for _, name := range []string{"PATH", "SYSTEMROOT", "TMPDIR", "TEMP", "TMP"} {
		if v, ok := environ.get(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// readCommit reads the headers of a commit object.
func (s *GitState) readCommit(object string) (err error) {
	headers, _, _ := strings.Cut(object, "\n\n")
	for line := range strings.Lines(headers) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		switch name {
		case "tree":
			if s.Tree.IsZero() {
				if s.Tree, err = provenance.NewDigest(provenance.GitTree, value); err != nil {
					return err
				}
			}
		case "committer":
			if f := strings.Fields(value); len(f) >= 2 {
				if sec, err := strconv.ParseInt(f[len(f)-2], 10, 64); err == nil && 0 <= sec && sec < 1<<37 {
					s.CommitTime = time.Unix(sec, 0).UTC()
				}
			}
		case "gpgsig", "gpgsig-sha256":
			switch {
			case strings.Contains(value, "BEGIN PGP"):
				s.Signature = "openpgp"
			case strings.Contains(value, "BEGIN SSH"):
				s.Signature = "ssh"
			case strings.Contains(value, "BEGIN SIGNED MESSAGE"):
				s.Signature = "x509"
			default:
				s.Signature = "unknown"
			}
		}
	}
	if s.Tree.IsZero() {
		return errors.New("commit object without a tree")
	}
	return nil
}

func (s *GitState) readRemotes(ctx context.Context, t *tool) error {
	out, over, err := t.run(ctx, "config", "--null", "--get-regexp", `^remote\..*\.url$`)
	if exit, ok := errors.AsType[*exitError](err); ok && exit.code == 1 {
		return nil // none
	} else if err != nil || over {
		return errors.Join(err, tooMuch(over))
	}
	var plain redact.Set
	for entry := range bytes.SplitSeq(out, []byte{0}) {
		key, raw, ok := strings.Cut(string(entry), "\n")
		if !ok {
			continue
		}
		name := strings.TrimSuffix(strings.TrimPrefix(key, "remote."), ".url")
		if u := plain.URL(raw); u != "" && len(s.Remotes) < limits.GitRemotes {
			s.Remotes = append(s.Remotes, GitRemote{plain.String(name), u})
		}
	}
	slices.SortStableFunc(s.Remotes, func(a, b GitRemote) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

// readStatus finds what is dirty. That is the one question for which git would
// run filters, so their names are asked for first and each is switched off by
// name: there is no other way to.
func (s *GitState) readStatus(ctx context.Context, t *tool, environ environment) error {
	config := slices.Clone(gitConfig)
	if runtime.GOOS != "windows" {
		// A file system that has modes, links and names in two cases shows
		// what is changed about them.
		config = append(config, "core.fileMode=true", "core.symlinks=true")
		if runtime.GOOS == "linux" {
			config = append(config, "core.ignoreCase=false")
		}
	}
	out, over, err := t.run(ctx, "config", "--null", "--name-only", "--get-regexp", `^filter\.`)
	if exit, ok := errors.AsType[*exitError](err); err != nil && (!ok || exit.code != 1) || over {
		return errors.Join(err, tooMuch(over))
	}
	seen := make(map[string]bool)
	for key := range bytes.SplitSeq(out, []byte{0}) {
		dot := bytes.LastIndexByte(key, '.')
		if dot < 0 || seen[string(key[:dot])] {
			continue
		}
		filter := string(key[:dot])
		seen[filter] = true
		if len(seen) > limits.GitFilters {
			return fmt.Errorf("more than %d filters are configured", limits.GitFilters)
		}
		config = append(config, filter+".clean=", filter+".smudge=", filter+".process=", filter+".required=false")
	}
	t.env = gitEnvironment(environ, config)

	out, over, err = t.run(ctx, "status", "--porcelain=v1", "-z", "--untracked-files=normal", "--ignore-submodules=dirty", "--no-renames")
	if err != nil {
		return err
	}
	if over {
		return tooMuch(over)
	}
	dirty := make(map[string]bool)
	for entry := range bytes.SplitSeq(out, []byte{0}) {
		if len(entry) >= 4 { // XY, space, path
			dirty[string(entry[3:])] = true
		}
	}
	// The index can tell git not to look at a file (assume-unchanged,
	// skip-worktree, sparse checkouts); then nobody knows that it is clean.
	out, over, err = t.run(ctx, "ls-files", "-v", "-z")
	if err != nil || over {
		return errors.Join(err, tooMuch(over))
	}
	for entry := range bytes.SplitSeq(out, []byte{0}) {
		if len(entry) >= 3 && (entry[0] == 'S' || 'a' <= entry[0] && entry[0] <= 'z') { // tag, space, path
			dirty[string(entry[2:])] = true
		}
	}
	// Nobody has committed these attributes, and by them git may take other
	// bytes for those of the commit (ident, working-tree-encoding, eol).
	if some, err := t.hasAttributes(ctx); err != nil {
		return err
	} else if some {
		dirty[".git/info/attributes"] = true
	}
	s.DirtyCount = len(dirty)
	for _, name := range slices.Sorted(maps.Keys(dirty)) {
		if len(s.Dirty) == limits.DirtyFiles {
			break
		}
		s.Dirty = append(s.Dirty, strings.ToValidUTF8(name, "\uFFFD"))
	}
	return nil
}

// hasAttributes reports whether there are attributes beside those in the tree.
func (t *tool) hasAttributes(ctx context.Context) (bool, error) {
	out, over, err := t.run(ctx, "rev-parse", "--git-path", "info/attributes")
	if err != nil || over {
		return false, errors.Join(err, tooMuch(over))
	}
	file := filepath.FromSlash(strings.TrimSuffix(string(out), "\n"))
	if !filepath.IsAbs(file) {
		file = filepath.Join(t.dir, file)
	}
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, err
	}
	return !info.Mode().IsRegular() || info.Size() > 0, nil
}

func tooMuch(over bool) error {
	if over {
		return fmt.Errorf("more than %d bytes of output", limits.ToolOutput)
	}
	return nil
}

// clone keeps a caller's later changes out of a record.
func (s *GitState) clone() *GitState {
	if s == nil {
		return nil
	}
	c := *s
	c.Tags, c.Dirty, c.Remotes = slices.Clone(s.Tags), slices.Clone(s.Dirty), slices.Clone(s.Remotes)
	return &c
}

// Descriptor returns the source as a material: the commit and its tree, with the
// remote "origin" (or the only one) as its URI, and an annotation "dirty" with the number of
// paths that differ from it.
func (s *GitState) Descriptor() provenance.ResourceDescriptor {
	d := provenance.ResourceDescriptor{Name: "source", Digest: provenance.DigestSet{s.Commit, s.Tree}}
	for _, r := range s.Remotes {
		if r.Name == "origin" || len(s.Remotes) == 1 {
			d.URI = gitURI(r.URL)
			break
		}
	}
	if s.DirtyCount > 0 {
		d.Annotations = map[string]any{"dirty": s.DirtyCount}
	}
	return d
}

// gitURI writes a remote as SPDX download locations are: git+https://host/path.
func gitURI(remote string) string {
	scheme, _, ok := strings.Cut(remote, "://")
	switch {
	case !ok: // scp-like
		host, path, _ := strings.Cut(remote, ":")
		return "git+ssh://" + strings.ToLower(host) + "/" + strings.TrimPrefix(path, "/")
	case scheme == "git":
		return remote
	}
	return "git+" + remote
}
