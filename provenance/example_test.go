package provenance_test

import (
	"context"
	"fmt"
	"log"
	"strings"

	"github.com/hallmark-build/hallmark/provenance"
)

// What a statement says is about artifacts, by digest.
func Example() {
	ctx := context.Background()
	app, err := provenance.DigestReader(ctx, "app", strings.NewReader("hello"))
	if err != nil {
		log.Fatal(err)
	}
	st, err := provenance.NewStatement([]provenance.ResourceDescriptor{app.Descriptor()},
		"https://example.com/reviewed/v1", map[string]any{"reviewer": "alice"})
	if err != nil {
		log.Fatal(err)
	}
	read, err := provenance.ParseStatement(st.Payload())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(read.PredicateType())
	fmt.Println(read.Subjects()[0].Name, read.Subjects()[0].Digest.Get(provenance.SHA256).Short())
	fmt.Println(string(read.Predicate()))
	// Output:
	// https://example.com/reviewed/v1
	// app sha256:2cf24dba5fb0
	// {"reviewer":"alice"}
}
