// Package sigstore verifies Sigstore bundles: a signature, the short-lived
// certificate or the managed key that made it, and what transparency logs and
// timestamp authorities say about it. It is pure: no network, no clock, no
// environment; everything that is trusted comes from one trusted_root.json.
//
//	root, err := sigstore.ParseTrustedRoot(rootJSON)
//	verifier, err := sigstore.NewVerifier(root, sigstore.Config{})
//	bundle, err := sigstore.ParseBundle(bundleJSON)
//	result, err := verifier.Verify(bundle, sigstore.Options{})
//
// err == nil means that every check passed. It does not mean that the signer
// is somebody to trust: the caller compares [Result.Certificate] with the
// identities that it accepts ([Certificate.Is] compares issuer, type and value
// of the subject, exactly), and the payload with the artifact.
//
// # What is checked, and in which order
//
// The order is that of the Sigstore client specification, section 4
// (https://github.com/sigstore/architecture-docs/blob/main/client-spec.md),
// and [Verifier.Verify] is one commented walk through it:
//
//	4.2  time         RFC 3161 timestamps over the signature, and signed entry
//	                  timestamps (SET) of Rekor v1
//	4.3  certificate  path to a trusted authority at every established time,
//	                  leaf profile, embedded signed certificate timestamps
//	4.4  log entry    checkpoint, inclusion, and the entry's body against the
//	                  bundle: signature, key and digest
//	4.5  signature    over the DSSE pre-authentication encoding, or over the
//	                  artifact
//	4.6  thresholds   counted by operator, never by entry
//
// Evidence by a log, a timestamp authority or a CT log that the root does not
// know, or does not trust at that time, is passed over: whoever hands over
// the bundle could as well have left it out. Evidence that claims to be by a
// trusted one and is wrong ends the verification.
//
// # Speed
//
// A [Verifier] is built once for a trusted root and is safe for concurrent
// use. It remembers what does not depend on the bundle: parsed keys, the path
// from each issuing authority to its anchor, and a bounded number of verified
// checkpoints and leaf certificates, which the bundles of one batch or of one
// run share. Validity is judged anew for every bundle, at the bundle's own
// times. What is left is cryptography: a P-384 signature for a new leaf and
// for each timestamp of the public authorities, P-256 for everything else.
package sigstore
