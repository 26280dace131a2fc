package intoto_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"path"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/predicate"
	"github.com/hallmark-build/hallmark/sign"
	"github.com/hallmark-build/hallmark/sign/intoto"
)

// A link, as in-toto-run would leave it for in-toto-verify.
func ExampleMetablock() {
	key, err := sign.GenerateKey(sign.Ed25519)
	if err != nil {
		log.Fatal(err)
	}
	functionary, err := sign.NewSigner(key, "")
	if err != nil {
		log.Fatal(err)
	}
	document, err := json.Marshal(&predicate.ClassicLink{
		Type: predicate.ClassicLinkType, Name: "build", Command: []string{"make"},
		Materials: map[string]provenance.DigestSet{"main.c": {provenance.MustDigest("sha256:fe4fe40ac7250263c5dbe1cf3138912f3f416140aa248637a60d65fe22c47da4")}},
		Products:  map[string]provenance.DigestSet{}, Byproducts: map[string]any{"return-value": 0}, Environment: map[string]any{},
	})
	if err != nil {
		log.Fatal(err)
	}
	signed, err := intoto.Metablock(context.Background(), document, functionary)
	if err != nil {
		log.Fatal(err)
	}
	name, err := intoto.LinkName("build", functionary.Public(), "")
	if err != nil {
		log.Fatal(err)
	}
	var link struct{ Signatures []struct{ KeyID string } }
	if err := json.Unmarshal(signed, &link); err != nil {
		log.Fatal(err)
	}
	matched, err := path.Match("build.????????.link", name)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(link.Signatures), matched)
	// Output: 1 true
}
