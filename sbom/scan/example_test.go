package scan_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/scan"
)

func ExampleDir() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	lock := `{"name":"app","version":"1.0.0","lockfileVersion":3,"packages":{"":{"name":"app","version":"1.0.0","license":"MIT","dependencies":{"left-pad":"^1"}},
		"node_modules/left-pad":{"version":"1.3.0","license":"WTFPL"}}}`
	if err := os.WriteFile(filepath.Join(dir, "package-lock.json"), []byte(lock), 0o644); err != nil {
		log.Fatal(err)
	}
	g, err := scan.Dir(context.Background(), dir, scan.Options{
		Created: time.Unix(1_700_000_000, 0),
		Name:    "app", Version: "1.0.0", Licence: sbom.License{Expression: "MIT"},
	})
	if err != nil {
		log.Fatal(err)
	}
	packages, err := g.Query("pkg:npm/*")
	if err != nil {
		log.Fatal(err)
	}
	for _, c := range packages {
		fmt.Println(c.PURL, c.Declared.Expression)
	}
	fmt.Println(g.Completeness())
	// Output:
	// pkg:npm/app@1.0.0 MIT
	// pkg:npm/left-pad@1.3.0 WTFPL
	// unknown [dependencies-unknown scanned]
}
