// Package sign turns statements into signed bytes.
//
// A key is made or read, becomes a [Signer], and signs a statement; the result
// is a DSSE envelope on one line, and a file of such lines is the evidence
// that travels with an artifact:
//
//	key, err := sign.GenerateKey(sign.ECDSAP256)
//	err = sign.WritePrivateKey("build.key", key, passphrase)
//	err = sign.WritePublicKey("build.pub", key.Public())
//
//	signer, err := sign.NewSigner(key, "")
//	envelope, err := sign.Statement(ctx, statement, signer)
//	err = sign.AppendBundle(ctx, "app.intoto.jsonl", envelope)
//
// Anything that is a [crypto.Signer] signs: a key in memory, an HSM through
// PKCS #11, a TPM. What needs a context, or a network, implements [Signer]
// itself. Whatever signs, no envelope leaves this package before each of its
// signatures was verified with the public key that the signer claims.
//
// What is signed is the pre-authentication encoding of DSSE v1.0.2
// (https://github.com/secure-systems-lab/dsse), which binds the payload to its
// type; a signature made for one kind of document is none for another.
//
// The functions are safe for concurrent use. The package reaches no network
// and reads no clock and no environment; only the functions that take a path
// touch files. Secret bytes that pass through (passphrases from callbacks,
// decrypted and encoded keys) are overwritten after use as far as Go allows,
// and appear in no error.
package sign
