// Package sigstore signs with an identity instead of a key, after Sigstore:
// an OIDC token buys a certificate that is good for minutes, a timestamp
// authority says when the signature was made, a transparency log makes it
// public, and all of that goes into one bundle (v0.3) that cosign, sigstore-go
// and this library verify offline. It signs with a managed key too, then with
// log and timestamp but no certificate.
//
//	config, err := sigstore.ParseSigningConfig(file) // signing_config.v0.2.json
//	services, err := config.Select(time.Now())
//	session, err := sigstore.NewSession(ctx, services, sigstore.GitHubActions(os.Getenv, nil))
//	defer session.Close()
//	bundles, err := session.SignStatements(ctx, statements...)
//	err = sign.WriteBundle("app.sigstore.jsonl", bundles...)
//
// A [Session] is one run of a job: one token, one key that never leaves
// memory, one certificate. What it signs goes to the services side by side, so
// twenty statements take about as long as one.
//
// Nothing here has a default server: where to sign comes from a signing
// configuration (that of the public good instance is a TUF target; see package
// verify/tuf) or from the caller's [Services]. The package reads no clock, and
// no environment but through functions that the caller hands in. Random bytes
// come from crypto/rand.
//
// Servers are not trusted. Answers are bounded in size (limits.HTTPBody) and
// time (limits.HTTPTime an attempt), redirects to another host and compressed
// or HTML answers are refused, and only 429 and 5xx are tried again, three
// times in all. Before a bundle is returned, it is checked for what can be
// checked without a trust root: the certificate is for our key and carries a
// signed certificate timestamp, the log's entry holds what was sent and its
// inclusion proof leads to the checkpoint's root, the timestamp is over our
// signature and within the certificate's life. Whether the servers are the
// right ones is for package verify to say.
package sigstore
