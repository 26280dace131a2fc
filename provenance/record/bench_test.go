package record

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// benchStep is a step that does what a build does, with as many materials: it
// starts, reads nothing, writes 100 KB and a product.
func benchStep(b *testing.B, files int) Step {
	step := childStep(b, "flood", "100000")
	for i := range files {
		write(b, filepath.Join(step.Dir, "src", fmt.Sprint(i/100), fmt.Sprintf("f%d.go", i)), fmt.Sprint("package p // ", i))
	}
	step.Materials = []string{"src"}
	step.Now = time.Now
	return step
}

// BenchmarkRecordOverhead compares the command alone, the digesting that its
// record needs, and the whole of Run with a statement made of it. What
// recording adds is run - exec - digest.
func BenchmarkRecordOverhead(b *testing.B) {
	for _, files := range []int{10, 2000} {
		step := benchStep(b, files)
		b.Run(fmt.Sprintf("%d-files/exec", files), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				cmd := exec.Command(step.Argv[0], step.Argv[1:]...)
				cmd.Dir, cmd.Env = step.Dir, step.Environ
				cmd.Stderr = writerFunc(func(p []byte) (int, error) { return len(p), nil })
				if err := cmd.Run(); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("%d-files/digest", files), func(b *testing.B) {
			b.ReportAllocs()
			p, err := openPlace("", step.Dir, step.Tree)
			if err != nil {
				b.Fatal(err)
			}
			defer p.root.Close()
			os.WriteFile(filepath.Join(step.Dir, "out"), []byte("product"), 0o644)
			for b.Loop() { // materials and program before and after, the product after
				for range 2 {
					if _, err := p.digest(b.Context(), []target{{name: "src"}}); err != nil {
						b.Fatal(err)
					}
					if _, err := digestFile(b.Context(), step.Argv[0]); err != nil {
						b.Fatal(err)
					}
				}
				if _, err := p.digest(b.Context(), []target{{name: "out"}}); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("%d-files/run", files), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				rec, err := Run(b.Context(), step)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := rec.Provenance("https://b/", ""); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
