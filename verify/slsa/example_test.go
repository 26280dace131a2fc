package slsa_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/predicate"
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

func ExamplePassedVSA() {
	// A proof, and the provenance that it rests on.
	proof, st, err := chainOf(exampleT, "app")
	if err != nil {
		fmt.Println(err)
		return
	}
	result, err := slsa.Verify(st, artifactOf("app"), builderOf(exampleT, 3), slsa.Expectations{SourceURI: "github.com/octo/app"})
	if err != nil {
		fmt.Println(err)
		return
	}
	summary := slsa.Summary{
		VerifierID:  "https://example.com/verifier",
		ResourceURI: "pkg:oci/app@v1",
		Policy: provenance.ResourceDescriptor{URI: "https://example.com/policy.yaml",
			Digest: provenance.DigestSet{provenance.MustDigest("sha256:fe4fe40ac7250263c5dbe1cf3138912f3f416140aa248637a60d65fe22c47da4")}},
		At: now, Build: []*slsa.Result{result},
	}
	issued, err := slsa.PassedVSA(proof, summary) // to be signed with sign.Statement
	if err != nil {
		fmt.Println(err)
		return
	}
	vsa, err := predicate.ParseVSA(issued.Predicate())
	fmt.Println(vsa.VerificationResult, vsa.VerifiedLevels, err)

	// Without a result nothing is known of the build.
	summary.Build = nil
	issued, err = slsa.SVR(proof, summary)
	if err != nil {
		fmt.Println(err)
		return
	}
	svr, err := predicate.ParseSVR(issued.Predicate())
	fmt.Println(svr.Properties, err)
	// Output:
	// PASSED [SLSA_BUILD_LEVEL_3] <nil>
	// [HALLMARK_CHAIN_VERIFIED] <nil>
}
