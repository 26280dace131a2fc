package verify_test

import (
	"fmt"

	"github.com/hallmark-build/hallmark/verify"
)

func ExampleParsePolicy() {
	_, err := verify.ParsePolicy("policy.yaml", []byte(`schema: https://hallmark.build/policy/v1
name: app
noExpiryUnsafe: true
principals: {}
stages:
  build:
    requires:
      - type: https://slsa.dev/provenance/v1
        signers: [ann]
        treshold: 2
final: build
`))
	fmt.Println(err)
	// Output: policy: policy.yaml:10:9: stages.build.requires[0]: unknown field "treshold"; did you mean "threshold"?
}

func ExamplePolicy_Lint() {
	policy, err := verify.ParsePolicy("policy.yaml", []byte(`schema: https://hallmark.build/policy/v1
name: app
noExpiryUnsafe: true
principals:
  ci:
    patterns:
      - issuer: https://token.actions.githubusercontent.com
        subject: https://github.com/acme*/**
stages:
  build:
    requires:
      - type: https://slsa.dev/provenance/v1
        builders: [https://github.com/actions/runner]
        signers: [ci]
final: build
`))
	if err != nil {
		panic(err)
	}
	for _, f := range policy.Lint() {
		fmt.Println(f)
	}
	// Output:
	// policy.yaml:3:17: warning: noExpiryUnsafe: the policy never ends: whoever can hold back a newer one keeps this one in force [no-expiry]
	// policy.yaml:8:18: warning: principals.ci.patterns[0].subject: only the host is fixed: the pattern lets in everybody there; fix the organization, up to a "/" [broad-pattern]
}
