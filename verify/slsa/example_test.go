package slsa_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/hallmark-build/hallmark/verify/slsa"
)

// exampleT lets examples use the helpers of the tests.
var exampleT testing.TB = new(testing.T)

func ExampleVerifyAny() {
	// An attestation that a GitHub workflow made of "app" at tag v1.2.3.
	c := formatCases()[0]
	_, trust := world()
	attestation := bundle(exampleT, statementOf(exampleT, "app", c.predicateType, parse(exampleT, c.predicate)), c.issuer, c.san, c.claims)

	result, err := slsa.VerifyAny([][]byte{attestation}, trust, now, artifactOf("app"), slsa.Builders(), slsa.Expectations{
		SourceURI:    "github.com/octo/app",
		VersionedTag: "v1.2",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("SLSA Build level", result.Level(), "by", result.Builder())
	fmt.Println(result.Fact(slsa.FactRef), "certified:", result.Facts()[0].Certified)

	_, err = slsa.VerifyAny([][]byte{attestation}, trust, now, artifactOf("app"), slsa.Builders(), slsa.Expectations{
		SourceURI:    "github.com/octo/app",
		VersionedTag: "v2",
	})
	fmt.Println(err)
	// Output:
	// SLSA Build level 2 by GitHub artifact attestations
	// refs/tags/v1.2.3 certified: true
	// refused: wrong-ref: version of the tag: want "v2", found "v1.2.3"
}

func ExampleVerifyVSA() {
	st := signed(exampleT, statementOf(exampleT, "app", "https://slsa.dev/verification_summary/v1", summary(nil)), "verifier")
	delegations := []slsa.Delegation{{
		VerifierID: "https://example.com/verifier", Key: keyID(exampleT, publicPEM("verifier")),
		Track: slsa.TrackBuild, MaxLevel: 2, // not 3, whatever it says
		Resources: []string{"pkg:oci/app@*"},
	}}
	want := wanted() // pkg:oci/app@v1, SLSA_BUILD_LEVEL_2, at most a day old
	result, err := slsa.VerifyVSA(st, digestsOf("app"), delegations, want)
	fmt.Println(result.Level(slsa.TrackBuild), err)

	want.Levels = []string{"SLSA_BUILD_LEVEL_3"}
	_, err = slsa.VerifyVSA(st, digestsOf("app"), delegations, want)
	if refused, ok := errors.AsType[*slsa.Error](err); ok {
		fmt.Println(refused.Reason)
	}
	// Output:
	// 2 <nil>
	// not-delegated
}
