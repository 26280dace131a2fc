package record

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
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
