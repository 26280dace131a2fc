// Package hallmark is documentation: import the rooms below it.
//
// Hallmark produces SLSA provenance and SBOMs for what a build makes, signs
// them, and verifies chains of attestations across stages.
//
//	source ─► build ─► package ─► release         each stage attests its products
//	            ▲ ▲                                 and lists its materials, by digest
//	         test sbom                              or is about another's products
//
//	Artifact ─► Statement ─► sign ─► bytes ─► verify.Open ─► VerifiedStatement
//	                                                              │
//	                Policy + Artifact + time ─► Verifier.Verify ◄─┘ ─► Proof or refusal
//
// The rooms, and which way imports run (internal serves them all):
//
//	provenance   what happened: artifacts, digests, statements, predicates; the recorder of a step
//	sbom         what is inside: a component graph, to CycloneDX and SPDX and back
//	sign         a statement into signed bytes: keys, HSMs, Sigstore identities
//	verify       bytes into verified statements; statements and a policy into a verdict
//	examples     thin programs over the four
//
// Bytes cross the trust boundary and types do not: package sign returns bytes,
// package verify takes bytes. err == nil means that it passed. Time, trust
// roots, randomness and network clients are arguments; nothing is global and
// nothing registers itself.
//
// README.md has the code to start from, docs/chain.md what a verdict means.
package hallmark
