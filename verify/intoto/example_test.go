package intoto_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing/fstest"
	"time"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/layout"
	"github.com/hallmark-build/hallmark/provenance/predicate"
	"github.com/hallmark-build/hallmark/sign"
	signintoto "github.com/hallmark-build/hallmark/sign/intoto"
	"github.com/hallmark-build/hallmark/verify/intoto"
)

// must is for the example alone.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// A layout with one step, the link to it, and the verdict; then the same
// product with a file that no rule accounts for.
func Example() {
	ctx := context.Background()
	private := must(sign.GenerateKey(sign.Ed25519))
	signer := must(sign.NewSigner(private, ""))
	alice := must(layout.NewKey(private.Public(), ""))

	l := &layout.Layout{
		Expires: "2030-01-01T00:00:00Z",
		Keys:    map[string]layout.Key{alice.KeyID: alice},
		Steps: []layout.Step{{
			Name: "build", Threshold: 1, PubKeys: []string{alice.KeyID},
			ExpectedProducts: []layout.Rule{{Verb: layout.Create, Pattern: "app"}, {Verb: layout.Disallow, Pattern: "*"}},
		}},
	}
	signedLayout := must(signintoto.Metablock(ctx, must(l.Encode()), signer))

	digest := provenance.DigestSet{provenance.MustDigest("sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")}
	judge := func(products ...string) {
		link := &predicate.Link{Name: "build", Command: []string{"make"}}
		var subjects []provenance.ResourceDescriptor
		for _, p := range products {
			subjects = append(subjects, provenance.ResourceDescriptor{Name: p, Digest: digest})
		}
		document := must(json.Marshal(must(link.Classic(subjects))))
		files := fstest.MapFS{layout.LinkName("build", alice.KeyID): {Data: must(signintoto.Metablock(ctx, document, signer))}}

		summary, err := intoto.Verify(ctx, signedLayout, []layout.Key{alice}, files, intoto.Options{
			At: time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC),
		})
		var refused *intoto.RefusedError
		if errors.As(err, &refused) {
			fmt.Println(refused)
			return
		}
		fmt.Println("passed:", len(summary.Products), "product")
	}
	judge("app")
	judge("app", "backdoor")
	// Output:
	// passed: 1 product
	// refused: artifact-rule: step "build": rule "DISALLOW *": "backdoor": no rule accounts for it
}
