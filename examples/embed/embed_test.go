package embed_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/examples/embed"
	"github.com/hallmark-build/hallmark/provenance/predicate"
	"github.com/hallmark-build/hallmark/sign"
	"github.com/hallmark-build/hallmark/verify"
)

func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "embed-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	write(dir, "go.mod", "module example.com/app\n\ngo 1.26\n")
	write(dir, "main.go", "package main\n\nfunc main() { println(42) }\n")

	// The build tool.
	key, err := sign.GenerateKey(sign.ECDSAP256)
	if err != nil {
		panic(err)
	}
	signer, err := sign.NewSigner(key, "")
	if err != nil {
		panic(err)
	}
	if err := embed.Produce(ctx, dir, "", signer); err != nil {
		panic(err)
	}
	if err := sign.WritePublicKey(filepath.Join(dir, "builder.pub"), key.Public()); err != nil {
		panic(err)
	}

	// The downstream service.
	pub, err := os.ReadFile(filepath.Join(dir, "builder.pub"))
	if err != nil {
		panic(err)
	}
	policy := &verify.Policy{
		Schema: verify.PolicySchema, Name: "app", NoExpiryUnsafe: true, Final: "build",
		Principals: map[string]verify.Principals{"builder": {Key: string(pub)}},
		Inputs:     map[string]verify.Input{"source": {URI: "*", Algorithms: []string{"sha256"}}},
		Stages: map[string]*verify.Stage{
			"build":    {Requires: []verify.Requirement{{Type: predicate.TypeSLSAProvenance, Signers: []string{"builder"}}}, Inputs: []string{"source"}},
			"contents": {Requires: []verify.Requirement{{Type: predicate.TypeCycloneDX, Signers: []string{"builder"}}}, About: []verify.About{{Stage: "build"}}},
		},
	}
	text, err := policy.YAML()
	if err != nil {
		panic(err)
	}
	write(dir, "policy.yaml", string(text))
	app := filepath.Join(dir, "app")
	fmt.Println("as built:", embed.Allow(ctx, filepath.Join(dir, "policy.yaml"), dir, app, time.Now()))

	write(dir, "app", "something else")
	err = embed.Allow(ctx, filepath.Join(dir, "policy.yaml"), dir, app, time.Now())
	var refused *verify.RefusedError
	fmt.Println("replaced:", errors.As(err, &refused) && refused.Reason() == verify.ReasonAltered)
	// Output:
	// as built: <nil>
	// replaced: true
}

func write(dir, name, content string) {
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
		panic(err)
	}
}

// The README shows Produce and Allow as they are, and its commands are those
// that CI runs.
func TestREADME(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("embed.go")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllSubmatch(readme, -1)
	if len(blocks) != 2 {
		t.Fatalf("the README has %d blocks of Go, want 2", len(blocks))
	}
	for _, b := range blocks {
		if !strings.Contains(string(source), string(b[1])) {
			t.Errorf("embed.go does not have this block of the README:\n%s", b[1])
		}
	}
	ci, err := os.ReadFile("../../.ci/examples")
	if err != nil {
		t.Fatal(err)
	}
	commands := regexp.MustCompile(`(?m)^go run (\./examples/[a-z-]+)`).FindAllSubmatch(readme, -1)
	if len(commands) == 0 {
		t.Fatal("the README has no commands")
	}
	for _, c := range commands {
		if !strings.Contains(string(ci), string(c[1])) {
			t.Errorf(".ci/examples does not run %s, which the README shows", c[1])
		}
		if _, err := exec.LookPath("go"); err == nil {
			if _, err := os.Stat(filepath.Join("../..", string(c[1]))); err != nil {
				t.Error(err)
			}
		}
	}
}
