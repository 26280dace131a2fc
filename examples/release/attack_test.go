package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/provenance"
)

// A source tree decides what is released of it, and of nothing else: a link
// called README.md must not bring a file of the machine into the archive.
func TestAttack_ReadmeThatLeadsOut(t *testing.T) {
	for name, absolute := range map[string]bool{"absolute": true, "relative": false} {
		t.Run(name, func(t *testing.T) {
			top := t.TempDir()
			secret := filepath.Join(top, "id_ed25519")
			work, out := filepath.Join(top, "work"), filepath.Join(top, "dist")
			for _, dir := range []string{work, out} {
				if err := os.Mkdir(dir, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			for file, content := range map[string]string{secret: "the private key", filepath.Join(out, "app"): "binary", filepath.Join(work, "LICENSE"): "licence"} {
				if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			target := secret
			if !absolute {
				target = filepath.Join("..", "id_ed25519")
			}
			if err := os.Symlink(target, filepath.Join(work, "README.md")); err != nil {
				t.Skip(err)
			}
			r := &releaser{
				config: &config{out: out, name: "app", epoch: time.Unix(0, 0)}, work: work, rel: ".",
				signers: map[string]signer{"package": func(context.Context, *provenance.Statement) ([]byte, error) {
					return []byte("{}"), nil
				}},
				statements: map[string]*provenance.Statement{},
			}
			if _, err := r.pack(t.Context()); err != nil {
				return // that will do
			}
			archive, err := os.ReadFile(filepath.Join(out, "app.tar.gz"))
			if err != nil {
				t.Fatal(err)
			}
			gz, err := gzip.NewReader(bytes.NewReader(archive))
			if err != nil {
				t.Fatal(err)
			}
			for tr := tar.NewReader(gz); ; {
				h, err := tr.Next()
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				if content, _ := io.ReadAll(tr); string(content) == "the private key" {
					t.Errorf("%s in the archive is a file of the machine", h.Name)
				}
			}
		})
	}
}
