package record

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/redact"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/predicate"
)

// The test binary is also the command that is recorded: RECORD_CHILD says what it does.
func TestMain(m *testing.M) {
	if mode := os.Getenv("RECORD_CHILD"); mode != "" {
		os.Exit(childMain(mode, os.Args[1:]))
	}
	os.Exit(m.Run())
}

func childMain(mode string, args []string) int {
	product := func() {
		if err := os.WriteFile("out", []byte("product"), 0o644); err != nil {
			panic(err)
		}
	}
	again := func(mode string) *exec.Cmd {
		cmd := exec.Command(os.Args[0])
		cmd.Env = []string{"RECORD_CHILD=" + mode}
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		return cmd
	}
	switch mode {
	case "product":
		product()
	case "nothing":
	case "say":
		product()
		fmt.Print(args[0])
		fmt.Fprint(os.Stderr, args[1])
	case "exit":
		product()
		code, _ := strconv.Atoi(args[0])
		return code
	case "flood":
		product()
		n, _ := strconv.Atoi(args[0])
		chunk := bytes.Repeat([]byte("0123456789abcde\n"), 1<<16)
		for ; n > 0; n -= len(chunk) {
			os.Stderr.Write(chunk[:min(n, len(chunk))])
		}
	case "close":
		os.Stdout.Close()
		time.Sleep(50 * time.Millisecond)
		product()
		fmt.Fprint(os.Stderr, "done")
	case "kill":
		product()
		p, _ := os.FindProcess(os.Getpid())
		p.Kill()
		select {}
	case "leave":
		product()
		again("sleep").Start()
	case "leave-session":
		product()
		cmd := again("sleep")
		inNewSession(cmd)
		cmd.Start()
	case "leave-briefly":
		product()
		again("late").Start()
	case "late":
		time.Sleep(300 * time.Millisecond)
		fmt.Print("late words")
	case "sleep":
		fmt.Print("pid ", os.Getpid(), "\n")
		time.Sleep(time.Minute)
	case "sleep-family":
		cmd := again("sleep")
		cmd.Start()
		cmd.Wait()
	case "stubborn":
		ignoreTerm()
		fmt.Println("ready")
		time.Sleep(time.Minute)
	case "recorder":
		Run(context.Background(), Step{
			Name: "inner", Argv: []string{os.Args[0]}, Dir: ".", Products: []string{"out"}, Stdout: os.Stdout,
			Environ: []string{"RECORD_CHILD=sleep"}, PassEnv: []string{"RECORD_CHILD"}, Now: time.Now,
		})
	case "edit":
		product()
		os.WriteFile("in", []byte("edited"), 0o644)
		os.Remove("gone")
	case "env":
		product()
		env := os.Environ()
		slices.Sort(env)
		fmt.Print(strings.Join(env, "\n"))
	}
	return 0
}

var testTime = time.Date(2026, 3, 4, 5, 6, 7, 0, time.FixedZone("", 3600))

// childStep is a step in a new directory that runs this binary in the given mode.
func childStep(t testing.TB, mode string, args ...string) Step {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, content := range map[string]string{"in": "material", "gone": "to be removed", "src/a.txt": "a", "src/.git/config": "x"} {
		write(t, filepath.Join(dir, name), content)
	}
	tick := 0
	return Step{
		Name: "build", Argv: append([]string{exe}, args...), Dir: dir,
		Materials: []string{"in", "gone", "src"}, Products: []string{"out"},
		Environ: []string{"RECORD_CHILD=" + mode}, PassEnv: []string{"RECORD_CHILD"},
		Now: func() time.Time { tick++; return testTime.Add(time.Duration(tick) * time.Second) },
	}
}

func write(t testing.TB, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// run runs the step and checks that nothing of it is left.
func run(t testing.TB, ctx context.Context, step Step) (*Record, error) {
	t.Helper()
	before := runtime.NumGoroutine()
	rec, err := Run(ctx, step)
	for deadline := time.Now().Add(time.Second); runtime.NumGoroutine() > before; {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<16)
			t.Fatalf("%d goroutines before, %d after:\n%s", before, runtime.NumGoroutine(), buf[:runtime.Stack(buf, true)])
		}
		time.Sleep(time.Millisecond)
	}
	return rec, err
}

func mustRun(t testing.TB, step Step) *Record {
	t.Helper()
	rec, err := run(t, t.Context(), step)
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// mustFail runs a step that fails for the reason, and states that.
func mustFail(t testing.TB, ctx context.Context, step Step, reason string) (*Failure, *provenance.Statement) {
	t.Helper()
	rec, err := run(t, ctx, step)
	f, ok := errors.AsType[*Failure](err)
	if !ok || rec != nil {
		t.Fatalf("want a failure for %s, got %v, %v", reason, rec, err)
	}
	if f.Reason != reason {
		t.Fatalf("want reason %s, got %s: %v", reason, f.Reason, err)
	}
	if f.Observed.Products != nil {
		t.Errorf("failure has products: %v", f.Observed.Products)
	}
	st, err := f.Statement("https://builder.example/", "1")
	if err != nil {
		t.Fatal(err)
	}
	if st.PredicateType() != TypeFailedStep {
		t.Errorf("failure stated as %s", st.PredicateType())
	}
	if flow, err := predicate.FlowOf(st); err != nil || flow.Transformation {
		t.Errorf("failure is a transformation: %v, %v", flow, err)
	}
	product := sha256.Sum256([]byte("product"))
	if bytes.Contains(st.Payload(), []byte(hex.EncodeToString(product[:]))) {
		t.Errorf("the failure's statement has the product: %s", st.Payload())
	}
	var names []string
	for _, s := range st.Subjects() {
		names = append(names, s.Name)
	}
	if want := []string{"gone", "in", "src/a.txt"}; !slices.Equal(names, want) {
		t.Errorf("failure's subjects are %q, want the materials %q", names, want)
	}
	var p struct {
		Result struct{ Outcome, Reason, Message string }
	}
	if err := json.Unmarshal(st.Predicate(), &p); err != nil || p.Result.Outcome != "FAILED" || p.Result.Reason != reason || p.Result.Message == "" {
		t.Errorf("failure's predicate says %+v (%v)", p, err)
	}
	return f, st
}

func sum(s string) provenance.DigestSet {
	h := sha256.Sum256([]byte(s))
	return digestSet(h[:])
}

func TestRun(t *testing.T) {
	step := childStep(t, "say", "to stdout", "to stderr")
	var stdout, stderr bytes.Buffer
	step.Stdout, step.Stderr = &stdout, &stderr
	step.Environ = append(step.Environ, "LANG=C", "MODE=release", "UNLISTED=1")
	step.Env = []string{"MODE", "UNSET"}
	step.Parameters = map[string]string{"version": "1.2.3"}
	step.CI = &CIContext{Provider: "generic"}
	rec := mustRun(t, step)
	o := rec.Observed

	if stdout.String() != "to stdout" || stderr.String() != "to stderr" {
		t.Errorf("streamed %q and %q", &stdout, &stderr)
	}
	if o.Stdout.Text != "to stdout" || o.Stdout.Size != 9 || o.Stdout.Digest != sum("to stdout")[0] || o.Stdout.Redacted {
		t.Errorf("captured %+v", o.Stdout)
	}
	want := []provenance.ResourceDescriptor{
		{Name: "gone", Digest: sum("to be removed")}, {Name: "in", Digest: sum("material")}, {Name: "src/a.txt", Digest: sum("a")},
	}
	if got, want := fmt.Sprint(o.Materials), fmt.Sprint(want); got != want {
		t.Errorf("materials %v, want %v", got, want)
	}
	if len(o.Products) != 1 || o.Products[0].Name != "out" || !o.Products[0].Digest.Matches(sum("product")) {
		t.Errorf("products %v", o.Products)
	}
	if !maps.Equal(o.Environment, map[string]string{"MODE": "release"}) || !slices.Equal(o.PassedEnv, []string{"RECORD_CHILD"}) {
		t.Errorf("environment %v, passed %v", o.Environment, o.PassedEnv)
	}
	exe, _ := os.Executable()
	content, _ := os.ReadFile(exe)
	if o.Program.Name != filepath.Base(exe) || !o.Program.Digest.Matches(sum(string(content))) {
		t.Errorf("program %v", o.Program)
	}
	if o.ExitCode != 0 || o.Signal != "" || o.Dir != "." || o.Modified != nil {
		t.Errorf("observed %+v", o)
	}
	if o.Started != testTime.Add(time.Second).UTC() || o.Finished != o.Started.Add(time.Second) || o.Started.Location() != time.UTC {
		t.Errorf("from %v to %v", o.Started, o.Finished)
	}

	st, err := rec.Provenance("https://builder.example/", "run/7")
	if err != nil {
		t.Fatal(err)
	}
	p, err := predicate.ParseSLSAProvenance(st.Predicate())
	if err != nil {
		t.Fatal(err)
	}
	if st.Subjects()[0].Name != "out" || p.BuildDefinition.BuildType != BuildType || len(p.BuildDefinition.ResolvedDependencies) != 3 ||
		p.RunDetails.Builder.ID != "https://builder.example/" || p.RunDetails.Metadata.InvocationID != "run/7" || len(p.RunDetails.Byproducts) != 2 {
		t.Errorf("provenance: %s", st.Payload())
	}
	if !bytes.Contains(st.Payload(), []byte(`"startedOn":"2026-03-04T04:06:08Z"`)) {
		t.Errorf("times: %s", st.Payload())
	}
	internal := p.BuildDefinition.InternalParameters
	if internal["observed"] == nil || internal["claimed"] == nil || p.BuildDefinition.ExternalParameters["step"] != "build" {
		t.Errorf("parameters: %v", p.BuildDefinition)
	}
	if bytes.Contains(st.Payload(), []byte(step.Dir)) {
		t.Errorf("provenance tells the working directory %s: %s", step.Dir, st.Payload())
	}
	if _, err := rec.Provenance("", ""); err == nil {
		t.Error("provenance without a builder")
	}
	if st, err = rec.Link(); err != nil {
		t.Fatal(err)
	}
	l, err := predicate.ParseLink(st.Predicate())
	if err != nil || l.Name != "build" || l.Byproducts["stdout"] != "to stdout" || l.Byproducts["return-value"] != 0.0 && fmt.Sprint(l.Byproducts["return-value"]) != "0" {
		t.Errorf("link %+v, %v", l, err)
	}
}

func TestSameStatementTwice(t *testing.T) {
	step := childStep(t, "product")
	var first []byte
	for range 20 {
		tick := testTime
		step.Now = func() time.Time { tick = tick.Add(time.Second); return tick }
		st, err := mustRun(t, step).Provenance("https://b/", "")
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = st.Payload()
		} else if !bytes.Equal(first, st.Payload()) {
			t.Fatalf("another statement:\n%s\n%s", first, st.Payload())
		}
	}
}

func TestEnvironmentIsTheAllowList(t *testing.T) {
	step := childStep(t, "env")
	step.Environ = append(step.Environ, "A=first", "A=1", "B=2", "C=3", "PATH=/bin")
	step.Env, step.PassEnv = []string{"A"}, []string{"B", "RECORD_CHILD", "A"}
	rec := mustRun(t, step)
	if got, want := rec.Observed.Stdout.Text, "A=1\nB=2\nRECORD_CHILD=env"; runtime.GOOS != "windows" && got != want {
		t.Errorf("the command got %q, want %q", got, want)
	}
	if !maps.Equal(rec.Observed.Environment, map[string]string{"A": "1"}) || !slices.Equal(rec.Observed.PassedEnv, []string{"B", "RECORD_CHILD"}) {
		t.Errorf("recorded %v, %v", rec.Observed.Environment, rec.Observed.PassedEnv)
	}
}

func TestModifiedMaterials(t *testing.T) {
	rec := mustRun(t, childStep(t, "edit"))
	if want := []string{"gone", "in"}; !slices.Equal(rec.Observed.Modified, want) {
		t.Errorf("modified %q, want %q", rec.Observed.Modified, want)
	}
	if d := rec.Observed.Materials[1].Digest; !d.Matches(sum("material")) {
		t.Error("the material's digest is not that of before")
	}
}

func TestRoot(t *testing.T) {
	step := childStep(t, "product")
	step.Root, step.Dir = step.Dir, filepath.Join(step.Dir, "src")
	step.Materials = []string{"../in", "a.txt"}
	rec := mustRun(t, step)
	if o := rec.Observed; o.Dir != "src" || o.Materials[0].Name != "in" || o.Materials[1].Name != "src/a.txt" || o.Products[0].Name != "src/out" {
		t.Errorf("%+v", o)
	}
}

func TestProducts(t *testing.T) {
	for name, c := range map[string]struct {
		products []string
		want     []string
	}{
		"pattern":         {[]string{"o*"}, []string{"out"}},
		"class":           {[]string{"[^i]ut"}, []string{"out"}},
		"twice":           {[]string{"out", "o?t", "./out"}, []string{"out"}},
		"directory":       {[]string{"src"}, []string{"src/a.txt"}},
		"pattern in dir":  {[]string{"src/*.txt"}, []string{"src/a.txt"}},
		"also a material": {[]string{"in", "out"}, []string{"in", "out"}},
	} {
		step := childStep(t, "product")
		step.Products = c.products
		var got []string
		for _, p := range mustRun(t, step).Observed.Products {
			got = append(got, p.Name)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestEdge49_SymbolicLinks(t *testing.T) {
	outside := t.TempDir()
	write(t, filepath.Join(outside, "secret"), "not yours")
	step := childStep(t, "product")
	if err := os.Symlink(filepath.Join(outside, "secret"), filepath.Join(step.Dir, "link")); err != nil {
		t.Skip(err)
	}
	os.Symlink(outside, filepath.Join(step.Dir, "dirlink"))
	step.Materials = append(step.Materials, "link")
	rec := mustRun(t, step)
	i := slices.IndexFunc(rec.Observed.Materials, func(d provenance.ResourceDescriptor) bool { return d.Name == "link" })
	if d := rec.Observed.Materials[i]; d.Annotations["link"] == nil || !d.Digest.Matches(sum(filepath.Join(outside, "secret"))) {
		t.Errorf("link recorded as %v", d)
	}
	step = childStep(t, "product")
	os.Symlink(outside, filepath.Join(step.Dir, "dirlink"))
	step.Materials = []string{"dirlink/secret"}
	if _, err := Run(t.Context(), step); err == nil {
		t.Error("a material outside the root was digested through a link")
	}
	step.Materials, step.Products = []string{"in", "gone", "src"}, []string{"dirlink/secret"}
	mustFail(t, t.Context(), step, ReasonProduct)
	step.Products = []string{"dirlink/*"}
	mustFail(t, t.Context(), step, ReasonMissing)
}

func TestMalformed(t *testing.T) {
	for name, change := range map[string]func(*Step){
		"no name":           func(s *Step) { s.Name = "" },
		"no argv":           func(s *Step) { s.Argv = nil },
		"empty program":     func(s *Step) { s.Argv = []string{""} },
		"NUL in argv":       func(s *Step) { s.Argv = append(s.Argv, "a\x00b") },
		"no products":       func(s *Step) { s.Products = nil },
		"no environ":        func(s *Step) { s.Environ = nil },
		"no clock":          func(s *Step) { s.Now = nil },
		"no dir":            func(s *Step) { s.Dir = "" },
		"dir missing":       func(s *Step) { s.Dir += "/none" },
		"dir is a file":     func(s *Step) { s.Dir += "/in" },
		"dir out of root":   func(s *Step) { s.Root = filepath.Join(s.Dir, "src") },
		"material missing":  func(s *Step) { s.Materials = []string{"none"} },
		"material absolute": func(s *Step) { s.Materials = []string{filepath.Join(s.Dir, "in")} },
		"material above":    func(s *Step) { s.Materials = []string{"../x"} },
		"material empty":    func(s *Step) { s.Materials = []string{""} },
		"product above":     func(s *Step) { s.Products = []string{"../x"} },
		"edge47 bad class":  func(s *Step) { s.Products = []string{"[a"} },
		"edge47 negation":   func(s *Step) { s.Products = []string{"[!a]"} },
		"edge47 doublestar": func(s *Step) { s.Products = []string{"**/x"} },
		"variable name":     func(s *Step) { s.Env = []string{"A=B"} },
		"program missing":   func(s *Step) { s.Argv = []string{"no-such-program-here"} },
		"program relative":  func(s *Step) { s.Argv = []string{"./none"} },
		"program no exec":   func(s *Step) { s.Argv = []string{"./in"} },
		"edge51 PATH": func(s *Step) {
			os.WriteFile(filepath.Join(s.Dir, "prog"), []byte("#!/bin/sh\n"), 0o755)
			wd, _ := os.Getwd()
			rel, err := filepath.Rel(wd, s.Dir)
			if err != nil {
				rel = "."
			}
			s.Argv, s.Environ = []string{"prog"}, append(s.Environ, "PATH=:.:"+rel+":"+s.Dir+"/none")
		},
	} {
		step := childStep(t, "product")
		change(&step)
		rec, err := run(t, t.Context(), step)
		e, ok := errors.AsType[*Error](err)
		if rec != nil || !ok || e.Reason != ReasonStep {
			t.Errorf("%s: want an Error, got %v, %v", name, rec, err)
		}
		if _, err := os.Stat(filepath.Join(step.Dir, "out")); err == nil {
			t.Errorf("%s: the command ran", name)
		}
	}
}

func TestEdge82_Processes(t *testing.T) {
	t.Run("1 GiB on stderr", func(t *testing.T) {
		size := 1 << 30
		if testing.Short() {
			size = 64 << 20
		}
		step := childStep(t, "flood", strconv.Itoa(size))
		h := sha256.New()
		step.Stderr = h
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		rec := mustRun(t, step)
		runtime.ReadMemStats(&after)
		o := rec.Observed.Stderr
		if o.Size != int64(size) || o.Digest.Value() != hex.EncodeToString(h.Sum(nil)) {
			t.Errorf("captured %d bytes, %v", o.Size, o.Digest)
		}
		if len(o.Text) > limits.CapturedOutput+200 || !strings.Contains(o.Text, "bytes are not kept") {
			t.Errorf("kept %d bytes", len(o.Text))
		}
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 32<<20 {
			t.Errorf("%d MiB allocated", grown>>20)
		}
	})
	t.Run("closes stdout early", func(t *testing.T) {
		if got := mustRun(t, childStep(t, "close")).Observed.Stderr.Text; got != "done" {
			t.Errorf("stderr is %q", got)
		}
	})
	t.Run("grandchild keeps the pipe", func(t *testing.T) {
		step := childStep(t, "leave")
		start := time.Now()
		f, _ := mustFail(t, t.Context(), step, ReasonLingered)
		if took := time.Since(start); took < limits.PipeGrace || took > limits.PipeGrace+5*time.Second {
			t.Errorf("took %v", took)
		}
		mustBeGone(t, f.Observed.Stdout.Text)
	})
	t.Run("grandchild in a session of its own", func(t *testing.T) {
		step := childStep(t, "leave-session")
		f, _ := mustFail(t, t.Context(), step, ReasonLingered)
		if pid, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(f.Observed.Stdout.Text, "pid "))); err == nil {
			p, _ := os.FindProcess(pid)
			p.Kill()
		}
	})
	t.Run("grandchild that ends soon", func(t *testing.T) {
		if got := mustRun(t, childStep(t, "leave-briefly")).Observed.Stdout.Text; got != "late words" {
			t.Errorf("stdout is %q", got)
		}
	})
	t.Run("killed by a signal", func(t *testing.T) {
		reason, signal := ReasonSignal, "SIGKILL"
		if runtime.GOOS == "windows" {
			reason, signal = ReasonExit, ""
		}
		f, _ := mustFail(t, t.Context(), childStep(t, "kill"), reason)
		if f.Observed.Signal != signal {
			t.Errorf("signal %q", f.Observed.Signal)
		}
	})
	t.Run("exit status", func(t *testing.T) {
		if f, _ := mustFail(t, t.Context(), childStep(t, "exit", "3"), ReasonExit); f.Observed.ExitCode != 3 {
			t.Errorf("exit code %d", f.Observed.ExitCode)
		}
	})
	t.Run("exit 0 with missing products", func(t *testing.T) {
		f, _ := mustFail(t, t.Context(), childStep(t, "nothing"), ReasonMissing)
		if f.Observed.ExitCode != 0 || !strings.Contains(f.Error(), `"out"`) {
			t.Errorf("%v, exit code %d", f, f.Observed.ExitCode)
		}
		step := childStep(t, "product")
		step.Products = append(step.Products, "*.deb")
		mustFail(t, t.Context(), step, ReasonMissing)
		step = childStep(t, "product")
		os.Mkdir(filepath.Join(step.Dir, "empty"), 0o755)
		step.Products = append(step.Products, "empty")
		mustFail(t, t.Context(), step, ReasonMissing)
	})
	t.Run("cannot be started", func(t *testing.T) {
		step := childStep(t, "product")
		write(t, filepath.Join(step.Dir, "prog"), "\x00not a program")
		os.Chmod(filepath.Join(step.Dir, "prog"), 0o755)
		step.Argv = []string{"./prog"}
		f, st := mustFail(t, t.Context(), step, ReasonStart)
		if f.Unwrap() == nil || bytes.Contains(st.Payload(), []byte(step.Dir)) {
			t.Errorf("%v: %s", f.Unwrap(), st.Payload())
		}
	})
	t.Run("standard input is empty", func(t *testing.T) {
		cat, err := exec.LookPath("cat")
		if err != nil {
			t.Skip(err)
		}
		step := childStep(t, "")
		step.Argv, step.Products = []string{cat}, []string{"in"}
		mustRun(t, step)
	})
}

func TestCancel(t *testing.T) {
	for mode, most := range map[string]time.Duration{"sleep": 2 * time.Second, "sleep-family": 2 * time.Second, "stubborn": 4 * time.Second} {
		step := childStep(t, mode)
		step.Grace = 300 * time.Millisecond
		if runtime.GOOS == "windows" && mode == "sleep-family" {
			continue // no process groups
		}
		cause := errors.New("the user has had enough")
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		step.Stdout = writerFunc(func([]byte) (int, error) { // it is running
			cancel(cause)
			return 0, io.ErrClosedPipe
		})
		start := time.Now()
		f, _ := mustFail(t, ctx, step, ReasonCancelled)
		if took := time.Since(start); took > most {
			t.Errorf("%s: took %v", mode, took)
		}
		if !errors.Is(f, cause) {
			t.Errorf("%s: %v does not wrap the cause", mode, f)
		}
		if mode != "stubborn" {
			mustBeGone(t, f.Observed.Stdout.Text)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	step := childStep(t, "product")
	if rec, err := run(t, ctx, step); rec != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("%v, %v", rec, err)
	}
	if _, err := os.Stat(filepath.Join(step.Dir, "out")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the command ran")
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// mustBeGone checks that the process whose output is "pid N" has ended.
func mustBeGone(t *testing.T, output string) {
	t.Helper()
	pid, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(output, "pid ")))
	if err != nil {
		t.Fatalf("no process id in %q", output)
	}
	for deadline := time.Now().Add(30 * time.Second); alive(pid); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("process %d is still there", pid)
		}
	}
}

func TestClockThatGoesBack(t *testing.T) {
	step := childStep(t, "product")
	now := testTime
	step.Now = func() time.Time { now = now.Add(-time.Hour); return now }
	if o := mustRun(t, step).Observed; o.Finished.Before(o.Started) {
		t.Errorf("from %v to %v", o.Started, o.Finished)
	}
}

func TestEdge80_Secrets(t *testing.T) {
	const secret, given, flag = "hunter22-is-secret", "caller/knows+this", "flagvalue77"
	b64 := base64.StdEncoding.EncodeToString([]byte("user:" + secret))
	for _, mode := range []string{"say", "exit"} {
		step := childStep(t, mode)
		dir := step.Dir
		if mode == "say" {
			step.Argv = append(step.Argv, "out "+secret+" "+b64, "err "+given+" "+flag)
		} else {
			step.Argv = append(step.Argv, "1")
		}
		step.Argv = append(step.Argv, "--token="+flag, "--password", "short", "https://u:pw@h/x")
		write(t, filepath.Join(dir, "files", secret, "a"), "1")
		write(t, filepath.Join(dir, "files", given[:6]+flag, "b"), "2")
		write(t, filepath.Join(dir, "files", secret+"2"), "3")
		step.Materials = append(step.Materials, "files")
		step.Products = append(step.Products, "files")
		step.Environ = append(step.Environ, "DEPLOY_TOKEN="+secret, "CONFIG=x"+secret, "API_KEY=abc", "UNUSED_PASSWORD=neverpassed")
		step.Env = []string{"CONFIG", "API_KEY", "DEPLOY_TOKEN"}
		step.Secrets = []string{given}
		step.Parameters = map[string]string{"remote": "https://user:" + secret + "@host/", "x": "neverpassed"}
		step.CI = &CIContext{Provider: "generic", RunURL: "https://h/?t=" + secret}
		step.Git = &GitState{Commit: provenance.MustDigest("gitCommit:" + strings.Repeat("a", 40)),
			Tree: provenance.MustDigest("gitTree:" + strings.Repeat("b", 40)), Branch: "refs/heads/" + secret,
			Remotes: []GitRemote{{"origin", "https://u:" + secret + "@h/r"}}, Dirty: []string{given}}
		var streamed bytes.Buffer
		step.Stdout = &streamed
		rec, err := run(t, t.Context(), step)

		var payloads [][]byte
		var subjects []provenance.ResourceDescriptor
		if mode == "say" {
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(streamed.String(), secret) {
				t.Error("the user does not see what the command wrote")
			}
			// What a caller adds later is cleaned too.
			rec.Observed.Dependencies = append(rec.Observed.Dependencies, provenance.ResourceDescriptor{URI: "pkg:generic/x?t=" + secret})
			rec.Claimed.Parameters["late"] = secret
			if !rec.Observed.Stdout.Redacted || !rec.Observed.Stdout.Digest.IsZero() {
				t.Errorf("stdout: %+v", rec.Observed.Stdout)
			}
			st, err := rec.Provenance("https://b/", "")
			if err != nil {
				t.Fatal(err)
			}
			link, err := rec.Link()
			if err != nil {
				t.Fatal(err)
			}
			payloads = append(payloads, st.Payload(), link.Payload())
			subjects = st.Subjects()
			if len(subjects) != 4 {
				t.Errorf("subjects %v", subjects)
			}
			for i, content := range []string{"2", "1", "3"} {
				found := slices.ContainsFunc(subjects, func(d provenance.ResourceDescriptor) bool { return d.Digest.Matches(sum(content)) })
				if !found {
					t.Errorf("digest %d was changed by redaction: %v", i, subjects)
				}
			}
		} else {
			f, ok := errors.AsType[*Failure](err)
			if !ok {
				t.Fatal(err)
			}
			st, err := f.Statement("https://b/", "")
			if err != nil {
				t.Fatal(err)
			}
			payloads = append(payloads, st.Payload())
		}
		for _, p := range payloads {
			for _, s := range []string{secret, given, flag, "neverpassed", `"short"`, ":pw@", `"abc"`, "u:pw", b64[8:20]} {
				if bytes.Contains(p, []byte(s)) {
					t.Errorf("%s: %q is in %s", mode, s, p)
				}
			}
		}
	}
}

// A secret that lies across the place where the captured output was cut.
func TestEdge80_SecretAtTheGap(t *testing.T) {
	const secret = "0123456789-a-secret-of-some-length"
	for shift := range len(secret) + 2 {
		c := newCapture(nil, nil)
		for _, part := range []string{strings.Repeat("x", half-shift), secret, strings.Repeat("y", 3*half), secret, strings.Repeat("z", half-shift)} {
			io.WriteString(c, part)
		}
		o := c.output(redact.New([]string{secret}, nil))
		for n := 6; n <= len(secret); n++ {
			for from := 0; from+n <= len(secret); from += n {
				if strings.Contains(o.Text, secret[from:from+n]) {
					t.Fatalf("shift %d: %q survives", shift, secret[from:from+n])
				}
			}
		}
	}
}
