package peers

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
	"github.com/secure-systems-lab/go-securesystemslib/signerverifier"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
	sigdsse "github.com/sigstore/sigstore/pkg/signature/dsse"
	"github.com/youmark/pkcs8"

	"github.com/hallmark-build/hallmark/internal/keyfile"
	"github.com/hallmark-build/hallmark/internal/sigalg"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/sign"
)

var schemes = []sign.Scheme{sign.ECDSAP256, sign.ECDSAP384, sign.ECDSAP521, sign.Ed25519, sign.RSAPSS, sign.RSAPKCS1}

var rsaKey = sync.OnceValues(func() (crypto.Signer, error) { return sign.GenerateKey(sign.RSAPSS) })

func newSigner(t *testing.T, s sign.Scheme) (crypto.Signer, sign.Signer) {
	t.Helper()
	key, err := rsaKey() // the slow one is made once
	if s != sign.RSAPSS && s != sign.RSAPKCS1 {
		key, err = sign.GenerateKey(s)
	}
	if err != nil {
		t.Fatal(err)
	}
	signer, err := sign.NewSigner(key, s)
	if err != nil {
		t.Fatal(err)
	}
	return key, signer
}

func newStatement(t *testing.T) *provenance.Statement {
	t.Helper()
	a, err := provenance.DigestReader(t.Context(), "app", strings.NewReader("content"))
	if err != nil {
		t.Fatal(err)
	}
	st, err := provenance.NewStatement([]provenance.ResourceDescriptor{a.Descriptor()}, "https://example.com/p/v1", map[string]int{"a": 1})
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// ssLibKey makes securesystemslib's own description of a public key.
func ssLibKey(t *testing.T, pub crypto.PublicKey, s sign.Scheme) *signerverifier.SSLibKey {
	t.Helper()
	k := &signerverifier.SSLibKey{Scheme: string(s), KeyIDHashAlgorithms: []string{"sha256", "sha512"}}
	switch p := pub.(type) {
	case ed25519.PublicKey:
		k.KeyType, k.KeyVal.Public = signerverifier.ED25519KeyType, hex.EncodeToString(p)
	case *ecdsa.PublicKey:
		k.KeyType = signerverifier.ECDSAKeyType
	case *rsa.PublicKey:
		k.KeyType = signerverifier.RSAKeyType
	}
	if k.KeyVal.Public == "" {
		b, err := cryptoutils.MarshalPublicKeyToPEM(pub)
		if err != nil {
			t.Fatal(err)
		}
		k.KeyVal.Public = string(b)
	}
	id, err := sigalg.KeyID(pub)
	if err != nil {
		t.Fatal(err)
	}
	k.KeyID = id
	return k
}

func ssLibVerifier(t *testing.T, k *signerverifier.SSLibKey) dsse.Verifier {
	t.Helper()
	var v dsse.Verifier
	var err error
	switch k.KeyType {
	case signerverifier.ED25519KeyType:
		v, err = signerverifier.NewED25519SignerVerifierFromSSLibKey(k)
	case signerverifier.ECDSAKeyType:
		v, err = signerverifier.NewECDSASignerVerifierFromSSLibKey(k)
	default:
		v, err = signerverifier.NewRSAPSSSignerVerifierFromSSLibKey(k)
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Envelopes written here are accepted by securesystemslib's verifier, with its
// own keys, and refused when they were changed.
func TestSecuresystemslibVerifies(t *testing.T) {
	st := newStatement(t)
	var signers []sign.Signer
	var verifiers []dsse.Verifier
	for _, s := range schemes {
		if s == sign.RSAPKCS1 {
			continue // securesystemslib does not have it; Sigstore below
		}
		key, signer := newSigner(t, s)
		signers = append(signers, signer)
		verifiers = append(verifiers, ssLibVerifier(t, ssLibKey(t, key.Public(), s)))
	}
	out, err := sign.Statement(t.Context(), st, signers...)
	if err != nil {
		t.Fatal(err)
	}
	env := new(dsse.Envelope)
	if err := json.Unmarshal(out, env); err != nil {
		t.Fatal(err)
	}
	if env.PayloadType != "application/vnd.in-toto+json" {
		t.Errorf("payload type %s", env.PayloadType)
	}
	all, err := dsse.NewMultiEnvelopeVerifier(len(verifiers), verifiers...)
	if err != nil {
		t.Fatal(err)
	}
	accepted, payload, err := all.VerifyAndDecode(t.Context(), env)
	if err != nil {
		t.Fatal(err)
	}
	if len(accepted) != len(signers) || !bytes.Equal(payload, st.Payload()) {
		t.Errorf("%d of %d keys accepted", len(accepted), len(signers))
	}
	env.PayloadType += "x"
	if _, err := all.Verify(t.Context(), env); err == nil {
		t.Error("another payload type is accepted: the comparison proves nothing")
	}
}

// The same with Sigstore's verifiers, which know all schemes.
func TestSigstoreVerifies(t *testing.T) {
	st := newStatement(t)
	for _, s := range schemes {
		t.Run(string(s), func(t *testing.T) {
			key, signer := newSigner(t, s)
			out, err := sign.Statement(t.Context(), st, signer)
			if err != nil {
				t.Fatal(err)
			}
			var v signature.Verifier
			switch s {
			case sign.RSAPSS:
				v, err = signature.LoadRSAPSSVerifier(key.Public().(*rsa.PublicKey), crypto.SHA256, nil)
			default:
				hash := map[sign.Scheme]crypto.Hash{sign.ECDSAP384: crypto.SHA384, sign.ECDSAP521: crypto.SHA512}[s]
				if hash == 0 {
					hash = crypto.SHA256
				}
				v, err = signature.LoadVerifier(key.Public(), hash)
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := sigdsse.WrapVerifier(v).VerifySignature(bytes.NewReader(out), nil); err != nil {
				t.Error(err)
			}
			bad := bytes.Replace(out, []byte(`"payload":"ey`), []byte(`"payload":"eX`), 1)
			if err := sigdsse.WrapVerifier(v).VerifySignature(bytes.NewReader(bad), nil); err == nil || bytes.Equal(bad, out) {
				t.Error("another payload is accepted: the comparison proves nothing")
			}
		})
	}
}

// An envelope signed by securesystemslib is countersigned, and both
// signatures stay good in its eyes.
func TestCountersignSecuresystemslib(t *testing.T) {
	st := newStatement(t)
	seed := make([]byte, 32)
	seed[0] = 1
	edKey := ed25519.NewKeyFromSeed(seed)
	k := ssLibKey(t, edKey.Public(), sign.Ed25519)
	k.KeyVal.Private = hex.EncodeToString(seed)
	theirs, err := signerverifier.NewED25519SignerVerifierFromSSLibKey(k)
	if err != nil {
		t.Fatal(err)
	}
	es, err := dsse.NewEnvelopeSigner(theirs)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := es.SignPayload(t.Context(), provenance.PayloadType, st.Payload())
	if err != nil {
		t.Fatal(err)
	}
	doc, err := json.Marshal(signed)
	if err != nil {
		t.Fatal(err)
	}
	key, signer := newSigner(t, sign.ECDSAP256)
	out, err := sign.Countersign(t.Context(), provenance.PayloadType, doc, signer)
	if err != nil {
		t.Fatal(err)
	}
	env := new(dsse.Envelope)
	if err := json.Unmarshal(out, env); err != nil {
		t.Fatal(err)
	}
	both, err := dsse.NewMultiEnvelopeVerifier(2, theirs, ssLibVerifier(t, ssLibKey(t, key.Public(), sign.ECDSAP256)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := both.Verify(t.Context(), env); err != nil {
		t.Error(err)
	}
	// Who has signed with securesystemslib has signed.
	again, err := sign.NewSigner(edKey, "")
	if err != nil {
		t.Fatal(err)
	}
	var e *sign.Error
	if _, err := sign.Countersign(t.Context(), provenance.PayloadType, doc, again); !errors.As(err, &e) || e.Reason != sign.ReasonDuplicateSigner {
		t.Errorf("err = %v, want reason %s", err, sign.ReasonDuplicateSigner)
	}
}

func equal(a, b crypto.PublicKey) bool {
	return a.(interface{ Equal(crypto.PublicKey) bool }).Equal(b)
}

// Key files go both ways between this module, Sigstore and securesystemslib.
func TestKeyFiles(t *testing.T) {
	pass := func() ([]byte, error) { return []byte("correct"), nil }
	sigpass := func(bool) ([]byte, error) { return []byte("correct"), nil }
	for _, s := range schemes {
		t.Run(string(s), func(t *testing.T) {
			key, _ := newSigner(t, s)
			der, err := x509.MarshalPKCS8PrivateKey(key)
			if err != nil {
				t.Fatal(err)
			}

			// Written here, read there.
			ours, err := keyfile.MarshalPrivate(key, []byte("correct"))
			if err != nil {
				t.Fatal(err)
			}
			got, err := cryptoutils.UnmarshalPEMToPrivateKey(ours, sigpass)
			if err != nil || !equal(got.(crypto.Signer).Public(), key.Public()) {
				t.Errorf("sigstore does not read our encrypted key: %v", err)
			}
			block, _ := pem.Decode(ours)
			if plain, err := encrypted.Decrypt(block.Bytes, []byte("correct")); err != nil || !bytes.Equal(plain, der) {
				t.Errorf("securesystemslib does not decrypt our key: %v", err)
			}
			pub, err := keyfile.MarshalPublic(key.Public())
			if err != nil {
				t.Fatal(err)
			}
			if p, err := cryptoutils.UnmarshalPEMToPublicKey(pub); err != nil || !equal(p, key.Public()) {
				t.Errorf("sigstore does not read our public key: %v", err)
			}

			// Written there, read here.
			sealed, err := cryptoutils.MarshalPrivateKeyToEncryptedDER(key, sigpass)
			if err != nil {
				t.Fatal(err)
			}
			files := map[string][]byte{
				"sigstore": cryptoutils.PEMEncode(cryptoutils.EncryptedSigstorePrivateKeyPEMType, sealed),
			}
			levels := map[string]encrypted.KDFParameterStrength{}
			if s == sign.ECDSAP256 { // what is around the key is the same for all
				files["cosign"] = cryptoutils.PEMEncode("ENCRYPTED COSIGN PRIVATE KEY", sealed)
				levels = map[string]encrypted.KDFParameterStrength{"legacy scrypt": encrypted.Legacy, "OWASP scrypt": encrypted.OWASP}
			}
			for name, level := range levels {
				if sealed, err = encrypted.EncryptWithCustomKDFParameters(der, []byte("correct"), level); err != nil {
					t.Fatal(err)
				}
				files[name] = cryptoutils.PEMEncode(cryptoutils.EncryptedSigstorePrivateKeyPEMType, sealed)
			}
			if files["plain"], err = cryptoutils.MarshalPrivateKeyToPEM(key); err != nil {
				t.Fatal(err)
			}
			for name, opts := range map[string]*pkcs8.Opts{
				"pkcs8 pbkdf2": {Cipher: pkcs8.AES256CBC, KDFOpts: pkcs8.PBKDF2Opts{SaltSize: 16, IterationCount: 10_000, HMACHash: crypto.SHA256}},
				"pkcs8 scrypt": {Cipher: pkcs8.AES128CBC, KDFOpts: pkcs8.ScryptOpts{SaltSize: 16, CostParameter: 1 << 14, BlockSize: 8, ParallelizationParameter: 1}},
			} {
				der, err := pkcs8.MarshalPrivateKey(key, []byte("correct"), opts)
				if err != nil {
					t.Fatal(err)
				}
				files[name] = cryptoutils.PEMEncode("ENCRYPTED PRIVATE KEY", der)
			}
			for name, data := range files {
				got, _, err := sign.ParsePrivateKey(data, pass)
				if err != nil || !equal(got.Public(), key.Public()) {
					t.Errorf("%s key: %v", name, err)
				}
				if name == "plain" {
					continue
				}
				var e *sign.Error
				if _, _, err := sign.ParsePrivateKey(data, func() ([]byte, error) { return []byte("wrong"), nil }); !errors.As(err, &e) || e.Reason != sign.ReasonPassphrase {
					t.Errorf("%s key with a wrong passphrase: %v", name, err)
				}
			}
			public, err := cryptoutils.MarshalPublicKeyToPEM(key.Public())
			if err != nil {
				t.Fatal(err)
			}
			if p, _, err := keyfile.ParsePublic(public); err != nil || !equal(p, key.Public()) {
				t.Errorf("public key: %v", err)
			}
			doc, err := json.Marshal(ssLibKey(t, key.Public(), s))
			if err != nil {
				t.Fatal(err)
			}
			if p, scheme, err := keyfile.ParsePublic(doc); err != nil || !equal(p, key.Public()) || scheme != sigalg.Scheme(s) {
				t.Errorf("securesystemslib key: %q, %v", scheme, err)
			}
		})
	}
	// A key with an empty passphrase, as cosign makes for COSIGN_PASSWORD="".
	_, pair, err := generateSigstore(func(bool) ([]byte, error) { return []byte{}, nil })
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := sign.ParsePrivateKey(pair, func() ([]byte, error) { return nil, nil }); err != nil {
		t.Errorf("an empty passphrase: %v", err)
	}
}

func generateSigstore(pf cryptoutils.PassFunc) (pub, private []byte, err error) {
	private, pub, err = cryptoutils.GeneratePEMEncodedECDSAKeyPair(elliptic.P256(), pf)
	return pub, private, err
}

// A Signer of Sigstore's KMS interface takes three lines to adapt.
type sigstoreSigner struct {
	signature.Signer
	public crypto.PublicKey
}

func (s sigstoreSigner) Public() crypto.PublicKey { return s.public }
func (s sigstoreSigner) Scheme() sign.Scheme      { return "" }
func (s sigstoreSigner) KeyID() string            { return "" }
func (s sigstoreSigner) Sign(_ context.Context, m []byte) ([]byte, error) {
	return s.SignMessage(bytes.NewReader(m))
}

func TestSigstoreSigner(t *testing.T) {
	key, _ := newSigner(t, sign.ECDSAP256)
	theirs, err := signature.LoadSigner(key, crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sign.Statement(t.Context(), newStatement(t), sigstoreSigner{theirs, key.Public()}); err != nil {
		t.Error(err)
	}
	// With the wrong hash for the key the mistake is found before it is out.
	wrong, err := signature.LoadSigner(key, crypto.SHA512)
	if err != nil {
		t.Fatal(err)
	}
	var e *sign.Error
	if _, err := sign.Statement(t.Context(), newStatement(t), sigstoreSigner{wrong, key.Public()}); !errors.As(err, &e) || e.Reason != sign.ReasonSignature {
		t.Errorf("err = %v, want reason %s", err, sign.ReasonSignature)
	}
}
