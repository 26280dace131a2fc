package record_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/record"
)

func ExampleRun() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	source := "package main\n\nfunc main() { println(\"hello\") }\n"
	if err := os.WriteFile(filepath.Join(dir, "hello.go"), []byte(source), 0o644); err != nil {
		panic(err)
	}

	rec, err := record.Run(context.Background(), record.Step{
		Name:      "build",
		Argv:      []string{"go", "build", "-trimpath", "-o", "hello", "hello.go"},
		Dir:       dir,
		Materials: []string{"hello.go"},
		Products:  []string{"hello"},
		Environ:   os.Environ(),
		PassEnv:   []string{"PATH", "HOME", "GOCACHE", "LocalAppData"},
		Stderr:    os.Stderr,
		Now:       time.Now,
	})
	var st *provenance.Statement
	if failed, ok := errors.AsType[*record.Failure](err); ok {
		st, err = failed.Statement("https://builder.example/laptop", "run-1")
	} else if err == nil {
		st, err = rec.Provenance("https://builder.example/laptop", "run-1")
	}
	if err != nil {
		panic(err)
	}
	fmt.Println(st.PredicateType())
	fmt.Println(st.Subjects()[0].Name, rec.Observed.Materials[0].Digest.Get(provenance.SHA256).Short())
	// Output:
	// https://slsa.dev/provenance/v1
	// hello sha256:7a92ac90d000
}
