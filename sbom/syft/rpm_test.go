//go:build unix

package syft_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/internal/rpmtest"
	"github.com/hallmark-build/hallmark/sbom/scan"
)

// TestParityRPM compares with syft what is read from databases of each format
// that rpm has had. Its reader of SQLite is SQLite.
func TestParityRPM(t *testing.T) {
	if testing.Short() {
		t.Skip("runs syft")
	}
	var headers [][]byte
	for i := range 50 {
		headers = append(headers, rpmtest.Header(rpmtest.Tags{
			1000: fmt.Sprintf("p%d", i), 1001: fmt.Sprintf("1.%d", i), 1002: "3.el9", 1022: "x86_64", 1044: fmt.Sprintf("p%d-1.%d-3.el9.src.rpm", i, i),
			1014: "MIT", 1011: "Example", 1009: []uint32{uint32(i)}, 1116: []uint32{0}, 1117: []string{fmt.Sprint("f", i)}, 1118: []string{"/usr/bin/"},
			1004: fmt.Sprintf("%0*d", 1+i*300, i),
		}))
	}
	for name, data := range map[string][]byte{
		"rpmdb.sqlite": rpmtest.SQLite(4096, headers...),
		"Packages.db":  rpmtest.NDB(headers...),
		"Packages":     rpmtest.BDB(binary.LittleEndian, headers...),
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			db := filepath.Join(dir, "var", "lib", "rpm")
			if err := os.MkdirAll(db, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(db, name), data, 0o644); err != nil {
				t.Fatal(err)
			}
			g, err := scan.Dir(context.Background(), dir, scan.Options{Created: time.Unix(1, 0), Ecosystems: []string{"rpm"}})
			if err != nil {
				t.Fatal(err)
			}
			got, want := map[string]bool{}, map[string]bool{}
			for _, c := range g.Components() {
				if c.PURL != "" {
					got[c.Name+" "+c.Version] = true
				}
			}
			list, err := peerScan(dir, "local-directory", []string{"rpm-db-cataloger"})
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range list {
				want[p.Name+" "+p.Version] = true
			}
			if name == "Packages" {
				// Short descriptions are kept beside their keys; syft looks for those
				// only that have pages of their own.
				for i := range 3 {
					want[fmt.Sprintf("p%d 1.%d-3.el9", i, i)] = true
				}
			}
			if !maps.Equal(want, got) || len(got) != 50 {
				t.Errorf("syft: %v\nscan: %v", want, got)
			}
		})
	}
}
