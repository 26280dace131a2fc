// Package hsm tests signing with a real PKCS #11 token: SoftHSM, through the
// crypto.Signer of crypto11. It needs cgo and softhsm2; without them its tests
// are skipped, except where CI=true is set, where they fail.
package hsm
