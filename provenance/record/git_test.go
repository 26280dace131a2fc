package record

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/provenance"
)

// A repo is a git repository in a new directory.
type repo struct {
	t   *testing.T
	dir string
}

func newRepo(t *testing.T, args ...string) *repo {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip(err)
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r := &repo{t, dir}
	r.git(append([]string{"init", "-q", "-b", "main"}, args...)...)
	return r
}

func (r *repo) git(args ...string) string {
	r.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = r.dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=C", "GIT_COMMITTER_EMAIL=c@example.com",
		"GIT_AUTHOR_DATE=1700000000 +0100", "GIT_COMMITTER_DATE=1700000000 +0100")
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %q: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (r *repo) commit(files ...string) {
	r.t.Helper()
	for _, f := range files {
		write(r.t, filepath.Join(r.dir, f), "content of "+f)
	}
	r.git("add", "-A")
	r.git("commit", "-q", "-m", "message", "--allow-empty")
}

func (r *repo) state(dir string) GitState {
	r.t.Helper()
	s, err := Git(r.t.Context(), filepath.Join(r.dir, dir), os.Environ())
	if err != nil {
		r.t.Fatal(err)
	}
	return s
}

func TestGit(t *testing.T) {
	r := newRepo(t)
	r.commit("a", "sub/b")
	r.git("tag", "v1.0.0")
	r.git("tag", "-a", "-m", "annotated", "release")
	r.git("remote", "add", "origin", "https://user:ghp_token@example.com/o/r.git")
	r.git("remote", "add", "backup", "alice@example.org:r")
	r.git("remote", "add", "local", "/home/alice/r")
	s := r.state("sub")
	if s.Root != r.dir || s.Commit.String() != "gitCommit:"+r.git("rev-parse", "HEAD") || s.Tree.String() != "gitTree:"+r.git("rev-parse", "HEAD^{tree}") {
		t.Errorf("%+v", s)
	}
	if s.Branch != "refs/heads/main" || !slices.Equal(s.Tags, []string{"release", "v1.0.0"}) || s.Shallow || s.Signature != "" || s.DirtyCount != 0 {
		t.Errorf("%+v", s)
	}
	if !s.CommitTime.Equal(time.Unix(1700000000, 0)) || s.CommitTime.Location() != time.UTC {
		t.Errorf("commit time %v", s.CommitTime)
	}
	if want := []GitRemote{{"backup", "example.org:r"}, {"origin", "https://example.com/o/r.git"}}; !slices.Equal(s.Remotes, want) {
		t.Errorf("remotes %v, want %v", s.Remotes, want)
	}
	if d := s.Descriptor(); d.URI != "git+https://example.com/o/r.git" || !slices.Equal(d.Digest, provenance.DigestSet{s.Commit, s.Tree}) || d.Annotations != nil {
		t.Errorf("descriptor %v", d)
	}

	// Each way to be dirty.
	write(t, filepath.Join(r.dir, "a"), "changed")
	write(t, filepath.Join(r.dir, "staged"), "new")
	r.git("add", "staged")
	write(t, filepath.Join(r.dir, "odd \"name\"\n"), "untracked")
	write(t, filepath.Join(r.dir, "dir/x"), "untracked")
	write(t, filepath.Join(r.dir, "dir/y"), "untracked")
	os.Remove(filepath.Join(r.dir, "sub/b"))
	s = r.state("")
	if want := []string{"a", "dir/", "odd \"name\"\n", "staged", "sub/b"}; !slices.Equal(s.Dirty, want) || s.DirtyCount != len(want) {
		t.Errorf("dirty %q (%d), want %q", s.Dirty, s.DirtyCount, want)
	}
	if s.Descriptor().Annotations["dirty"] != 5 {
		t.Errorf("descriptor %v", s.Descriptor())
	}

	r.git("checkout", "-q", "--detach")
	if s = r.state(""); s.Branch != "" {
		t.Errorf("branch of a detached HEAD: %q", s.Branch)
	}
}

func TestGitSHA256(t *testing.T) {
	r := newRepo(t, "--object-format=sha256")
	r.commit("a")
	if s := r.state(""); len(s.Commit.Value()) != 64 || len(s.Tree.Value()) != 64 {
		t.Errorf("%+v", s)
	}
}

func TestGitShallowAndWorktree(t *testing.T) {
	r := newRepo(t)
	r.commit("a")
	r.commit("b")
	clone := t.TempDir()
	r.git("clone", "-q", "--depth=1", "file://"+filepath.ToSlash(r.dir), clone)
	s, err := Git(t.Context(), clone, os.Environ())
	if err != nil || !s.Shallow || s.Commit != r.state("").Commit || s.Remotes != nil {
		t.Errorf("%+v, %v", s, err)
	}
	tree := filepath.Join(t.TempDir(), "wt")
	r.git("worktree", "add", "-q", "-b", "other", tree)
	if s, err = Git(t.Context(), tree, os.Environ()); err != nil || s.Branch != "refs/heads/other" {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestGitAbsent(t *testing.T) {
	plain := t.TempDir()
	empty := newRepo(t)
	bare := newRepo(t, "--bare")
	for name, c := range map[string]struct {
		dir     string
		environ []string
	}{
		"no repository": {plain, os.Environ()},
		"no git":        {empty.dir, []string{"PATH=" + plain}},
		"no commit":     {empty.dir, os.Environ()},
	} {
		if s, err := Git(t.Context(), c.dir, c.environ); !errors.Is(err, ErrNoGit) {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
	}
	if s, err := Git(t.Context(), bare.dir, os.Environ()); err == nil {
		t.Errorf("bare repository: %+v", s)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Git(ctx, empty.dir, os.Environ()); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestGitSignature(t *testing.T) {
	r := newRepo(t)
	if _, err := exec.LookPath("ssh-keygen"); err != nil {
		t.Skip(err)
	}
	key := filepath.Join(t.TempDir(), "key")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
		t.Skipf("%v: %s", err, out)
	}
	r.git("-c", "gpg.format=ssh", "-c", "user.signingkey="+key, "commit", "-q", "-S", "--allow-empty", "-m", "signed")
	if s := r.state(""); s.Signature != "ssh" {
		t.Errorf("signature %q", s.Signature)
	}
}

func TestReadCommit(t *testing.T) {
	tree := "tree " + strings.Repeat("a", 40) + "\n"
	for object, want := range map[string]string{
		tree + "gpgsig -----BEGIN PGP SIGNATURE-----\n x\n\nm":            "openpgp",
		tree + "gpgsig -----BEGIN SIGNED MESSAGE-----\n\nm":               "x509",
		tree + "gpgsig-sha256 -----BEGIN SSH SIGNATURE-----\n\nm":         "ssh",
		tree + "gpgsig what\n\nm":                                         "unknown",
		tree + "\ngpgsig -----BEGIN PGP SIGNATURE-----\nin the message\n": "",
		tree + "committer x 99999999999999999999 +0000\n\n":               "",
	} {
		var s GitState
		if err := s.readCommit(object); err != nil || s.Signature != want {
			t.Errorf("%q: %q, %v", object, s.Signature, err)
		}
	}
	for _, object := range []string{"", "tree x\n\n", "\n\n" + tree} {
		var s GitState
		if err := s.readCommit(object); err == nil {
			t.Errorf("%q accepted as %+v", object, s)
		}
	}
}

// TestEdge51_HostileRepository gives a repository every configuration known to
// make git run a program at the questions that Git asks. The test first shows
// that a git without precautions does run them, or it would prove nothing.
func TestEdge51_HostileRepository(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs a shell")
	}
	r := newRepo(t)
	marks := t.TempDir()
	prog := filepath.Join(marks, "prog")
	write(t, prog, "#!/bin/sh\necho \"$(pwd): $0 $*\" >> "+marks+"/ran\ncat 2>/dev/null\nexit 0\n")
	os.Chmod(prog, 0o755)
	ran := func() string {
		b, _ := os.ReadFile(filepath.Join(marks, "ran"))
		os.Remove(filepath.Join(marks, "ran"))
		return string(b)
	}

	sub := newRepo(t)
	sub.commit("inner")
	r.commit("a", "b", "c", "d")
	r.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", sub.dir, "module")
	write(t, filepath.Join(r.dir, ".gitattributes"), "a filter=evil\nb filter=a.b=c\nc filter=proc diff=evil\n")
	r.commit()
	// Later than the index, so that git has to look at the content.
	hours := 0
	touch := func() {
		hours++ // git may look at whole seconds only
		for _, f := range []string{"a", "b", "c", "module/inner"} {
			later := time.Now().Add(time.Duration(hours) * time.Hour)
			os.Chtimes(filepath.Join(r.dir, f), later, later)
		}
	}
	config := "[core]\n\tfsmonitor = " + prog + "\n\thooksPath = " + marks + "/hooks\n\tpager = " + prog + "\n\tsshCommand = " + prog +
		"\n\talternateRefsCommand = " + prog + "\n\taskPass = " + prog + "\n\teditor = " + prog +
		"\n[filter \"evil\"]\n\tclean = " + prog + "\n\tsmudge = " + prog + "\n\trequired = true" +
		"\n[filter \"a.b=c\"]\n\tclean = " + prog + "\n[filter \"proc\"]\n\tprocess = " + prog + "\n\trequired = true" +
		"\n[diff]\n\texternal = " + prog + "\n[diff \"evil\"]\n\tcommand = " + prog + "\n\ttextconv = " + prog +
		"\n[gpg]\n\tprogram = " + prog + "\n[log]\n\tshowSignature = true\n[pager]\n\tstatus = " + prog + "\n\tconfig = " + prog +
		"\n[alias]\n\tstatus = !" + prog + "\n[credential]\n\thelper = !" + prog +
		"\n[remote \"origin\"]\n\turl = ext::" + prog + "\n\tpromisor = true\n\tpartialclonefilter = blob:none\n[status]\n\tsubmoduleSummary = true\n[include]\n\tpath = more\n"
	for _, dir := range []string{".git", ".git/modules/module"} {
		f, err := os.OpenFile(filepath.Join(r.dir, dir, "config"), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		f.WriteString(config)
		f.Close()
	}
	write(t, filepath.Join(r.dir, ".git/more"), "[filter \"included\"]\n\tclean = "+prog+"\n")
	write(t, filepath.Join(r.dir, ".git/info/attributes"), "d filter=included\n")
	write(t, filepath.Join(r.dir, ".git/modules/module/info/attributes"), "inner filter=evil\n")
	for _, h := range []string{"post-index-change", "fsmonitor-watchman", "reference-transaction", "post-checkout"} {
		write(t, filepath.Join(marks, "hooks", h), "#!/bin/sh\n"+prog+" hook "+h+"\n")
		os.Chmod(filepath.Join(marks, "hooks", h), 0o755)
	}

	touch()
	cmd := exec.Command("git", "status")
	cmd.Dir = r.dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull)
	cmd.Run()
	if got := ran(); !strings.Contains(got, "prog") {
		t.Fatal("the trap does not work: git status ran nothing")
	}

	touch()
	steer := append(os.Environ(), "GIT_DIR="+sub.dir+"/.git", "GIT_WORK_TREE="+sub.dir, "GIT_CONFIG_PARAMETERS='core.fsmonitor="+prog+"'",
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=core.fsmonitor", "GIT_CONFIG_VALUE_0="+prog, "GIT_EXTERNAL_DIFF="+prog, "GIT_PAGER="+prog,
		"GIT_SSH_COMMAND="+prog, "GIT_ASKPASS="+prog, "GIT_EXEC_PATH="+marks, "GIT_TRACE="+marks+"/trace", "GIT_INDEX_FILE=/dev/null", "HOME="+marks)
	write(t, filepath.Join(marks, ".gitconfig"), "[core]\n\tfsmonitor = "+prog+"\n")
	s, err := Git(t.Context(), r.dir, steer)
	if err != nil {
		t.Fatal(err)
	}
	if got := ran(); got != "" {
		t.Errorf("git ran programs of the repository:\n%s", got)
	}
	if s.Root != r.dir || s.Commit.Value() != r.git("-c", "alias.status=", "rev-parse", "HEAD") {
		t.Errorf("steered to %+v", s)
	}
	if _, err := os.Stat(filepath.Join(marks, "trace")); err == nil {
		t.Error("git wrote a trace")
	}
}

// A partial clone fetches what it lacks from its remote, which may be a program.
func TestEdge51_PartialClone(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs a shell")
	}
	r := newRepo(t)
	r.commit("a")
	mark := filepath.Join(t.TempDir(), "ran")
	r.git("config", "core.repositoryformatversion", "1")
	r.git("config", "extensions.partialClone", "origin")
	r.git("config", "remote.origin.promisor", "true")
	r.git("config", "remote.origin.url", "ssh://host/x")
	r.git("config", "core.sshCommand", "touch "+mark+"; false")
	r.git("config", "remote.origin.uploadpack", "touch "+mark)
	blob := r.git("rev-parse", "HEAD^{tree}")
	if err := os.Remove(filepath.Join(r.dir, ".git/objects", blob[:2], blob[2:])); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("git", "ls-tree", "HEAD")
	cmd.Dir = r.dir
	cmd.Run()
	if os.Remove(mark) != nil {
		t.Fatal("the trap does not work: git fetched nothing")
	}
	_, err := Git(t.Context(), r.dir, os.Environ())
	if _, missing := os.Stat(mark); missing == nil {
		t.Errorf("git fetched (%v)", err)
	}
}

// For a submodule git starts another git, which reads the submodule's configuration.
func TestEdge51_HostileSubmodule(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs a shell")
	}
	r, sub := newRepo(t), newRepo(t)
	sub.commit("inner")
	r.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", sub.dir, "module")
	r.commit()
	mark := filepath.Join(t.TempDir(), "ran")
	prog := filepath.Join(filepath.Dir(mark), "prog")
	write(t, prog, "#!/bin/sh\ntouch "+mark+"\ncat\n")
	os.Chmod(prog, 0o755)
	r.git("config", "--file", ".git/modules/module/config", "core.fsmonitor", prog)
	r.git("config", "--file", ".git/modules/module/config", "filter.evil.clean", prog)
	write(t, filepath.Join(r.dir, ".git/modules/module/info/attributes"), "inner filter=evil\n")
	for i, trap := range []bool{true, false} {
		later := time.Now().Add(time.Duration(i+1) * time.Hour)
		os.Chtimes(filepath.Join(r.dir, "module/inner"), later, later)
		if trap {
			r.git("status")
			if os.Remove(mark) != nil {
				t.Fatal("the trap does not work: git status ran nothing")
			}
			continue
		}
		if s := r.state(""); s.DirtyCount != 0 {
			t.Errorf("dirty: %q", s.Dirty)
		}
		if _, err := os.Stat(mark); err == nil {
			t.Error("git ran a program of the submodule")
		}
	}
}
