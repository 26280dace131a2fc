package verify_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/verify"
)

func write(t testing.TB, path string, lines ...[]byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, append(bytes.Join(lines, []byte("\n")), '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t testing.TB, paths ...string) *verify.Evidence {
	t.Helper()
	ev, err := verify.ReadEvidence(context.Background(), paths...)
	if err != nil {
		t.Fatal(err)
	}
	return ev
}

// found returns what a source has about a file, ordered.
func found(t testing.TB, s verify.Source, f string) []string {
	t.Helper()
	list, err := s.Find(context.Background(), file(f).Digest[0])
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, a := range list {
		out = append(out, string(a))
	}
	slices.Sort(out)
	return out
}

func notes(ev *verify.Evidence) string {
	var b strings.Builder
	for _, n := range ev.Notes() {
		fmt.Fprintln(&b, n)
	}
	return b.String()
}

func TestReadEvidenceJudges(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "app.intoto.jsonl"), releaseEvidence()...)
	req := verify.Request{Artifacts: []provenance.Artifact{artifact("app.tar.gz")}, Evidence: read(t, path), At: now}
	if _, err := newVerifier(t, releasePolicy()).Verify(context.Background(), req); err != nil {
		t.Fatal(err)
	}
	// The name leads to what explains a refusal.
	req.Artifacts[0] = artifact("app.tar.gz=evil")
	_, err := newVerifier(t, releasePolicy()).Verify(context.Background(), req)
	var r *verify.RefusedError
	if !errors.As(err, &r) || r.Reason() != verify.ReasonAltered {
		t.Errorf("got %v", err)
	}
}

func TestEdge33_BadLinesHideNothing(t *testing.T) {
	good := releaseEvidence()
	lines := [][]byte{
		[]byte(""),
		good[0],
		[]byte("not JSON"),
		[]byte(`{"unknown": 1}`),
		append([]byte("\t "), append(good[1], " \r"...)...),
		[]byte(`{"payloadType":"application/vnd.in-toto+json","payload":"e30=","signatures":[]}`),
		append(bytes.Clone(good[2]), '}'),
		good[3],
		[]byte("\xef\xbb\xbf" + string(good[2])),
		[]byte("  "),
		good[2],
	}
	path := write(t, filepath.Join(t.TempDir(), "x.jsonl"), lines...)
	ev := read(t, path)
	if ev.Len() != 4 {
		t.Errorf("%d attestations, want 4", ev.Len())
	}
	var got []int
	for _, n := range ev.Notes() {
		if n.File != path || n.Msg == "" {
			t.Errorf("note %+v", n)
		}
		got = append(got, n.Line)
	}
	if want := []int{1, 3, 4, 6, 7, 9, 10}; !slices.Equal(got, want) {
		t.Errorf("notes about lines %v, want %v:\n%s", got, want, notes(ev))
	}
	for f, want := range map[string][]byte{"main.go": good[0], "app": good[1], "app.tar.gz": good[3]} {
		if got := found(t, ev, f); !slices.Contains(got, string(bytes.TrimSpace(want))) {
			t.Errorf("%s: found %q", f, got)
		}
	}
	// In any order the same is found.
	r := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		r.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
		ev := read(t, write(t, path, lines...))
		if ev.Len() != 4 || len(ev.Notes()) != 7 || len(found(t, ev, "app")) != 2 {
			t.Fatalf("%d attestations, %d about app, notes:\n%s", ev.Len(), len(found(t, ev, "app")), notes(ev))
		}
	}
}

// A line that is too long is passed over without being held.
func TestEdge33_OversizeLine(t *testing.T) {
	if testing.Short() {
		t.Skip("writes and reads hundreds of megabytes")
	}
	good := releaseEvidence()
	path := filepath.Join(t.TempDir(), "x.jsonl")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	f.Write(append(good[0], '\n'))
	// A hole of 140 MiB reads as zeros.
	if _, err := f.Seek(140<<20, 1); err != nil {
		t.Fatal(err)
	}
	f.Write(append([]byte("\n"), append(good[1], '\n')...))
	if _, err := f.Seek(130<<20, 1); err != nil {
		t.Fatal(err)
	}
	f.Write([]byte("x"))
	if err := f.Close(); err != nil {
		t.Skip(err)
	}
	ev := read(t, path)
	if ev.Len() != 2 || len(found(t, ev, "main.go")) != 1 || len(found(t, ev, "app")) != 1 {
		t.Errorf("%d attestations, %d about app", ev.Len(), len(found(t, ev, "app")))
	}
	if got := ev.Notes(); len(got) != 2 || got[0].Line != 2 || got[1].Line != 4 || !strings.Contains(got[0].Msg, "longer than") {
		t.Errorf("notes:\n%s", notes(ev))
	}
}

func TestNotesAreBounded(t *testing.T) {
	var lines [][]byte
	for i := range 5000 {
		lines = append(lines, fmt.Appendf(nil, "%d", i))
	}
	for _, workers := range []int{1, 3} {
		ev, err := verify.EvidenceReader{Workers: workers}.Read(context.Background(), write(t, filepath.Join(t.TempDir(), "x.jsonl"), lines...))
		if err != nil {
			t.Fatal(err)
		}
		got := ev.Notes()
		if len(got) != 1001 || got[999].Line != 1000 || !strings.Contains(got[1000].String(), "4000 more") {
			t.Errorf("%d notes, last: %v", len(got), got[len(got)-1])
		}
	}
}

func TestReadEvidenceOfDirectories(t *testing.T) {
	dir := t.TempDir()
	good := releaseEvidence()
	at := func(name string) string { return filepath.Join(dir, name) }
	for i, name := range []string{"a.intoto.jsonl", "deep/er/b.dsse.json", "c.att.json", "d.link"} {
		write(t, at(name), good[i])
	}
	write(t, at("broken.sigstore.json"), []byte("{"))
	write(t, at("empty.sigstore"), nil)
	for _, name := range []string{".hidden.jsonl", ".git/x.jsonl", "notes.json", "x.jsonl.tmp", "x.jsonl~", "sbom.cdx.json"} {
		write(t, at(name), []byte("must not be read"))
	}
	// Twice, and a file of it once more: that is no more evidence.
	for _, paths := range [][]string{{dir}, {dir, dir + "/", at("c.att.json")}} {
		ev := read(t, paths...)
		if ev.Len() != 4 || len(ev.Notes()) != 2 {
			t.Errorf("%d attestations, notes:\n%s", ev.Len(), notes(ev))
		}
		if got := found(t, ev, "app"); len(got) != 2 || got[0] != string(good[1]) && got[0] != string(good[2]) {
			t.Errorf("found %q", got)
		}
	}
	// What the caller names is read whatever its name.
	if ev := read(t, write(t, at("any-name"), good[1])); ev.Len() != 1 {
		t.Errorf("notes:\n%s", notes(ev))
	}
}

// What cannot be read is not absent.
func TestEdge64_SourceErrorIsNotAbsence(t *testing.T) {
	dir := t.TempDir()
	if _, err := verify.ReadEvidence(context.Background(), filepath.Join(dir, "missing.jsonl")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	ok := verify.NewEvidence(releaseEvidence()...)
	req := verify.Request{Artifacts: []provenance.Artifact{artifact("app.tar.gz")}, Evidence: verify.Sources(ok, verify.NewEvidence()), At: now}
	v := newVerifier(t, releasePolicy())
	if _, err := v.Verify(context.Background(), req); err != nil {
		t.Errorf("two sources: %v", err)
	}
	var none *verify.Evidence
	for name, s := range map[string]verify.Source{"failing": failing{}, "nil": nil, "nil Evidence": none} {
		// The other source has all that is needed.
		for _, list := range [][]verify.Source{{ok, s}, {s, ok}} {
			req.Evidence = verify.Sources(list...)
			proof, err := v.Verify(context.Background(), req)
			var refused *verify.RefusedError
			if proof != nil || err == nil || errors.As(err, &refused) {
				t.Errorf("%s source: proof %v, error %v", name, proof != nil, err)
			}
		}
	}
	req.Evidence = verify.Sources()
	var refused *verify.RefusedError
	if _, err := v.Verify(context.Background(), req); !errors.As(err, &refused) {
		t.Errorf("no source at all: %v", err)
	}
}

type failing struct{}

func (failing) Find(context.Context, provenance.Digest) ([][]byte, error) {
	return nil, errors.New("out of order")
}

func TestEvidenceThatChangesIsAnError(t *testing.T) {
	good := releaseEvidence()
	for name, change := range map[string]func(path string){
		"gone":     func(p string) { os.Remove(p) },
		"appended": func(p string) { write(t, p, append(good, good[0])...) },
		"truncated": func(p string) {
			os.Truncate(p, 10)
		},
		"touched": func(p string) { os.Chtimes(p, time.Time{}, time.Now().Add(time.Hour)) },
		"same size and time": func(p string) {
			info, _ := os.Stat(p)
			data, _ := os.ReadFile(p)
			data[len(good[0])/2] ^= 1
			os.WriteFile(p, data, 0o644)
			os.Chtimes(p, time.Time{}, info.ModTime())
		},
	} {
		path := write(t, filepath.Join(t.TempDir(), "x.jsonl"), good...)
		ev := read(t, path)
		change(path)
		if list, err := ev.Find(context.Background(), file("main.go").Digest[0]); !errors.Is(err, verify.ErrEvidenceChanged) {
			t.Errorf("%s: found %d, error %v", name, len(list), err)
		}
	}
}

// One attestation in several places counts once; one worker or many, one file
// or many: the same is found.
func TestEdge58_SameEvidenceTwice(t *testing.T) {
	good := releaseEvidence()
	dir := t.TempDir()
	a := write(t, filepath.Join(dir, "a.jsonl"), good...)
	b := write(t, filepath.Join(dir, "b.jsonl"), good[3], good[2], good[1], good[0], good[1])
	c := write(t, filepath.Join(dir, "c.dsse.json"), good[1])
	ev := read(t, a, b, c)
	if ev.Len() != 10 {
		t.Errorf("%d attestations", ev.Len())
	}
	for _, f := range []string{"main.go", "app", "app.tar.gz", "nothing"} {
		if got, want := found(t, ev, f), found(t, verify.NewEvidence(good...), f); !slices.Equal(got, want) {
			t.Errorf("%s: found %d, want %d", f, len(got), len(want))
		}
	}
}

func TestReadEvidenceInPieces(t *testing.T) {
	// Lines of 10 bytes to 3 MB, so that they end before, at and after the
	// ends of blocks.
	var lines [][]byte
	r := rand.New(rand.NewPCG(3, 4))
	for i := range 400 {
		pad := r.IntN(30_000)
		if i%40 == 0 {
			pad = 1<<20 + r.IntN(1<<20)
		}
		name := fmt.Sprintf("f%d", i)
		lines = append(lines, signed(statement(typeScan, files(name), map[string]any{"pad": strings.Repeat("x", pad)}), "scn"))
	}
	path := write(t, filepath.Join(t.TempDir(), "x.jsonl"), lines...)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, workers := range []int{1, 2, 7} {
		var last verify.EvidenceProgress
		calls := 0
		ev, err := verify.EvidenceReader{Workers: workers, Progress: func(p verify.EvidenceProgress) {
			if p.Bytes < last.Bytes || p.Attestations < last.Attestations {
				t.Errorf("progress %+v after %+v", p, last)
			}
			last = p
			calls++
		}}.Read(context.Background(), path)
		if err != nil {
			t.Fatal(err)
		}
		if ev.Len() != len(lines) || len(ev.Notes()) > 0 {
			t.Fatalf("%d attestations, notes:\n%s", ev.Len(), notes(ev))
		}
		if want := (verify.EvidenceProgress{Attestations: len(lines), Bytes: info.Size(), Total: info.Size()}); last != want || calls < 5 {
			t.Errorf("last progress of %d: %+v, want %+v", calls, last, want)
		}
		for i, l := range lines {
			if got := found(t, ev, fmt.Sprintf("f%d", i)); !reflect.DeepEqual(got, []string{string(l)}) {
				t.Fatalf("f%d: found %d", i, len(got))
			}
		}
	}
}

func TestReadEvidenceIsCancelled(t *testing.T) {
	lines := slices.Repeat(releaseEvidence()[:1], 20_000)
	path := write(t, filepath.Join(t.TempDir(), "x.jsonl"), lines...)
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ev, err := verify.EvidenceReader{Progress: func(verify.EvidenceProgress) { cancel() }}.Read(ctx, path)
	if !errors.Is(err, context.Canceled) || ev != nil {
		t.Errorf("evidence %v, error %v", ev != nil, err)
	}
	if _, err := verify.ReadEvidence(ctx, path); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled before: %v", err)
	}
	noneLeft(t, before)
}

// noneLeft fails if there are more goroutines than before. One that has said
// that it is done may take a moment to end.
func noneLeft(t *testing.T, before int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
}

// A name that a million artifacts have makes no refusal slow, and no report
// depend on the order of evidence.
func TestCommonNamesAreBounded(t *testing.T) {
	var list [][]byte
	for i := range 300 {
		list = append(list, signed(built(nil, files(fmt.Sprintf("app=%d", i))), "src"))
	}
	p := policy("source", map[string]*verify.Stage{"source": {Requires: requires("src")}}, "src")
	first := refused(t, verify.ReasonAltered, p, "app=evil", list...)
	slices.Reverse(list)
	if again := refused(t, verify.ReasonAltered, p, "app=evil", list...); !reflect.DeepEqual(first, again) {
		t.Errorf("reports differ:\n%+v\n%+v", first, again)
	}
}

func FuzzReadEvidence(f *testing.F) {
	good := releaseEvidence()
	f.Add(append(bytes.Join(good, []byte("\n")), '\n'))
	f.Add([]byte("\n\n{}\r\n \n"))
	f.Add(good[0])
	trust, err := verify.NewTrust(verify.Key{PEM: publicPEM("src")}, verify.Key{PEM: publicPEM("bld")})
	if err != nil {
		f.Fatal(err)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(dir, "x.jsonl")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		ev := read(t, path)
		lines := bytes.Split(data, []byte("\n"))
		if n := len(lines); len(lines[n-1]) == 0 {
			lines = lines[:n-1]
		}
		if ev.Len()+len(ev.Notes()) != len(lines) {
			t.Errorf("%d lines, %d attestations, %d notes", len(lines), ev.Len(), len(ev.Notes()))
		}
		// Whatever Open accepts is found by every digest of every subject.
		for _, l := range lines {
			vs, err := verify.Open(l, trust, now)
			if err != nil {
				continue
			}
			for _, sub := range vs.Statement().Subjects() {
				for _, d := range sub.Digest {
					list, err := ev.Find(context.Background(), d)
					if err != nil || !slices.ContainsFunc(list, func(a []byte) bool { return bytes.Equal(a, bytes.Trim(l, " \t\r")) }) {
						t.Errorf("%q is not found by %s: %v", l, d, err)
					}
				}
			}
		}
	})
}
