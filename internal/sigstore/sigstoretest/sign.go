package sigstoretest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"net/url"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// The identity of certificates unless a test asks for another.
const (
	Issuer = "https://token.actions.githubusercontent.com"
	SAN    = "https://github.com/octo/app/.github/workflows/release.yml@refs/heads/main"
)

// Artifact and Payload are what is signed unless a test asks for other things.
var (
	Artifact = []byte("a release\n")
	Payload  = []byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"app","digest":{"sha256":"` +
		hexSum(Artifact) + `"}}],"predicateType":"https://slsa.dev/provenance/v1","predicate":{}}`)
)

func hexSum(b []byte) string { s := sha256.Sum256(b); return hex.EncodeToString(s[:]) }

// A Spec says what to sign and how. The zero value is a v0.3 bundle with an
// in-toto statement in an envelope, by a fresh P-256 key with a certificate,
// with a timestamp and an entry of Rekor v2.
type Spec struct {
	Version string            // "v0.1", "v0.2"; else v0.3
	Message bool              // sign Artifact rather than Payload
	Content []byte            // instead of Artifact or Payload
	Type    string            // payload type
	Key     crypto.Signer     // of the signer
	Cert    *x509.Certificate // for Key, instead of a new one
	Managed string            // hint: the key is managed, there is no certificate
	Hash    crypto.Hash       // instead of the one that fits the key
	At      time.Time         // instead of an hour after Epoch

	Kind       string // of a Rekor v1 entry: "hashedrekord", "dsse", "intoto"; else Rekor v2
	NoLog      bool
	NoTSA      bool // default for Rekor v1 entries, unless TSA
	TSA        bool
	NoSET      bool                    // of a Rekor v1 entry
	NoProof    bool                    // of a Rekor v1 entry
	Precert    func(*x509.Certificate) // change the certificate before it is logged and signed
	SCT        func(*SCT)              // change the SCT before it is signed
	NoSCT      bool
	SCTs       int                      // how often the log signs; 0 means once
	CA         *x509.Certificate        // instead of the world's intermediate …
	CAKey      crypto.Signer            // … with its key
	Body       func([]byte) []byte      // change the entry's body before it is logged
	Timestamp  func(*Timestamp)         // change the timestamp before it is signed
	Checkpoint func(text string) string // extra signature lines
}

// An SCT is a signed certificate timestamp before it is signed.
type SCT struct {
	Log        *Log
	At         time.Time
	Extensions []byte
	IssuerKey  []byte // SubjectPublicKeyInfo
	Corrupt    bool
}

// Leaf issues a certificate for pub.
func (w *World) Leaf(pub crypto.PublicKey, s *Spec) *x509.Certificate {
	at := s.when()
	utf8 := func(n int, v string) pkix.Extension {
		return pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, n}, Value: Must(asn1.MarshalWithParams(v, "utf8"))}
	}
	t := &x509.Certificate{
		NotBefore: at.Add(-time.Minute).Truncate(time.Second), NotAfter: at.Add(9 * time.Minute).Truncate(time.Second),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
		URIs: []*url.URL{Must(url.Parse(SAN))},
		ExtraExtensions: []pkix.Extension{
			{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 1}, Value: []byte(Issuer)},
			{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 5}, Value: []byte("octo/app")},
			utf8(8, Issuer), utf8(9, SAN), utf8(11, "github-hosted"), utf8(12, "https://github.com/octo/app"),
			utf8(13, "0123456789abcdef0123456789abcdef01234567"), utf8(14, "refs/heads/main"), utf8(20, "push"),
			utf8(21, "https://github.com/octo/app/actions/runs/1/attempts/1"), utf8(22, "public"),
		},
	}
	if s.Precert != nil {
		s.Precert(t)
	}
	ca, key := w.Intermediate, crypto.Signer(w.IntermediateKey)
	if s.CA != nil {
		ca, key = s.CA, s.CAKey
	}
	if s.NoSCT {
		return MakeCert(t, ca, pub, key)
	}
	// CreateCertificate writes ExtraExtensions last, so what is signed here is
	// the certificate below without its last extension.
	pre := MakeCert(t, ca, pub, key)
	var list cryptobyte.Builder
	list.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		for range max(s.SCTs, 1) {
			one := &SCT{Log: w.CT, At: at, IssuerKey: ca.RawSubjectPublicKeyInfo}
			if s.SCT != nil {
				s.SCT(one)
			}
			b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(one.sign(pre.RawTBSCertificate)) })
		}
	})
	t.ExtraExtensions = append(t.ExtraExtensions, pkix.Extension{
		Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2}, Value: Must(asn1.Marshal(list.BytesOrPanic()))})
	return MakeCert(t, ca, pub, key)
}

// sign returns the SCT of a precertificate (RFC 6962 3.2).
func (s *SCT) sign(tbs []byte) []byte {
	var d cryptobyte.Builder
	issuer := sha256.Sum256(s.IssuerKey)
	d.AddBytes([]byte{0, 0})
	d.AddUint64(uint64(s.At.UnixMilli()))
	d.AddUint16(1)
	d.AddBytes(issuer[:])
	d.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(tbs) })
	d.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(s.Extensions) })
	h := sha256.Sum256(d.BytesOrPanic())
	sig := Must(s.Log.Key.Sign(nil, h[:], crypto.SHA256))
	if s.Corrupt {
		sig[len(sig)-1] ^= 1
	}
	alg := byte(1)
	if _, ok := s.Log.Key.Public().(*ecdsa.PublicKey); ok {
		alg = 3
	}
	var out cryptobyte.Builder
	out.AddUint8(0)
	out.AddBytes(s.Log.ID)
	out.AddUint64(uint64(s.At.UnixMilli()))
	out.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(s.Extensions) })
	out.AddBytes([]byte{4, alg})
	out.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes(sig) })
	return out.BytesOrPanic()
}

func (s *Spec) when() time.Time {
	if s.At.IsZero() {
		return Epoch.Add(time.Hour)
	}
	return s.At
}

// PAE is the pre-authentication encoding of DSSE.
func PAE(payloadType string, payload []byte) []byte {
	return fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(payloadType), payloadType, len(payload), payload)
}

// A Signed is what Sign made, beside the bundle.
type Signed struct {
	Doc       Doc
	Cert      *x509.Certificate // or nil
	Key       crypto.Signer
	Signature []byte
	Body      []byte // of the log entry
}

// Sign makes a bundle.
func (w *World) Sign(s Spec) *Signed {
	out := &Signed{Key: s.Key}
	if out.Key == nil {
		out.Key = ECKey(elliptic.P256())
	}
	pub := out.Key.Public()
	if s.Type == "" {
		s.Type = "application/vnd.in-toto+json"
	}
	if s.Content == nil {
		s.Content = Payload
		if s.Message {
			s.Content = Artifact
		}
	}
	material := map[string]any{}
	var verifierPEM []byte
	verifier2 := map[string]any{}
	if s.Managed != "" {
		der := Must(x509.MarshalPKIXPublicKey(pub))
		verifierPEM = pemOf("PUBLIC KEY", der)
		verifier2["publicKey"] = map[string]any{"rawBytes": der}
		material["publicKey"] = map[string]any{"hint": s.Managed}
	} else {
		if out.Cert = s.Cert; out.Cert == nil {
			out.Cert = w.Leaf(pub, &s)
		}
		verifierPEM = pemOf("CERTIFICATE", out.Cert.Raw)
		verifier2["x509Certificate"] = map[string]any{"rawBytes": out.Cert.Raw}
		if s.Version == "v0.1" || s.Version == "v0.2" {
			material["x509CertificateChain"] = map[string]any{"certificates": []any{map[string]any{"rawBytes": out.Cert.Raw}}}
		} else {
			material["certificate"] = map[string]any{"rawBytes": out.Cert.Raw}
		}
	}

	// Sign.
	message := s.Content
	if !s.Message {
		message = PAE(s.Type, s.Content)
	}
	h, hashName, rekorName := hashFor(pub)
	if s.Hash == crypto.SHA256 {
		h, hashName, rekorName = s.Hash, "SHA2_256", "sha256"
	}
	digest := sumOf(h, message)
	switch {
	case h == 0:
		panic("no hash")
	case isEd25519(pub) && !s.Message:
		out.Signature = Must(out.Key.Sign(nil, message, crypto.Hash(0)))
	case isEd25519(pub):
		out.Signature = Must(out.Key.Sign(nil, digest, &ed25519.Options{Hash: crypto.SHA512}))
	default:
		out.Signature = Must(out.Key.Sign(nil, digest, h))
	}
	doc := Doc{"verificationMaterial": material}
	if s.Message {
		doc["messageSignature"] = map[string]any{
			"messageDigest": map[string]any{"algorithm": hashName, "digest": digest}, "signature": out.Signature,
		}
	} else {
		doc["dsseEnvelope"] = map[string]any{
			"payload": s.Content, "payloadType": s.Type, "signatures": []any{map[string]any{"sig": out.Signature}},
		}
	}

	// Log.
	if !s.NoLog {
		material["tlogEntries"] = []any{w.log(&s, out, verifierPEM, verifier2, digest, hashName, rekorName)}
	}
	if s.TSA || !s.NoTSA && (s.Kind == "" || s.NoSET || s.NoLog) {
		material["timestampVerificationData"] = map[string]any{
			"rfc3161Timestamps": []any{map[string]any{"signedTimestamp": w.TSA.Stamp(out.Signature, s.when(), s.Timestamp)}},
		}
	}
	switch s.Version {
	case "v0.1":
		doc["mediaType"] = "application/vnd.dev.sigstore.bundle+json;version=0.1"
	case "v0.2":
		doc["mediaType"] = "application/vnd.dev.sigstore.bundle+json;version=0.2"
	default:
		doc["mediaType"] = "application/vnd.dev.sigstore.bundle.v0.3+json"
	}
	out.Doc = doc.Clone() // bytes become base64
	return out
}

func isEd25519(pub crypto.PublicKey) bool { _, ok := pub.(ed25519.PublicKey); return ok }

func hashFor(pub crypto.PublicKey) (h crypto.Hash, proto, rekor string) {
	switch KeyDetails(pub) {
	case "PKIX_ECDSA_P384_SHA_384":
		return crypto.SHA384, "SHA2_384", "sha384"
	case "PKIX_ECDSA_P521_SHA_512", "PKIX_ED25519":
		return crypto.SHA512, "SHA2_512", "sha512"
	}
	return crypto.SHA256, "SHA2_256", "sha256"
}

func sumOf(h crypto.Hash, b []byte) []byte {
	switch h {
	case crypto.SHA384:
		s := sha512.Sum384(b)
		return s[:]
	case crypto.SHA512:
		s := sha512.Sum512(b)
		return s[:]
	}
	s := sha256.Sum256(b)
	return s[:]
}

// shardOffset is what Rekor v1 adds to the index in a shard.
const shardOffset = 121_000_000

func (w *World) log(s *Spec, out *Signed, verifierPEM []byte, verifier2 map[string]any, digest []byte, hashName, rekorName string) map[string]any {
	l, kind, version := w.Rekor1, s.Kind, "0.0.1"
	var spec any
	payloadHash := map[string]any{"algorithm": "sha256", "value": hexSum(s.Content)}
	switch s.Kind {
	case "hashedrekord":
		spec = map[string]any{
			"data":      map[string]any{"hash": map[string]any{"algorithm": rekorName, "value": hex.EncodeToString(digest)}},
			"signature": map[string]any{"content": out.Signature, "publicKey": map[string]any{"content": verifierPEM}},
		}
	case "dsse":
		spec = map[string]any{
			"envelopeHash": payloadHash, "payloadHash": payloadHash,
			"signatures": []any{map[string]any{"signature": out.Signature, "verifier": verifierPEM}},
		}
	case "intoto":
		version = "0.0.2"
		spec = map[string]any{"content": map[string]any{
			"envelope": map[string]any{"payloadType": s.Type, "signatures": []any{map[string]any{"publicKey": verifierPEM, "sig": []byte(b64(out.Signature))}}},
			"hash":     payloadHash, "payloadHash": payloadHash,
		}}
	default:
		l, kind, version = w.Rekor2, "hashedrekord", "0.0.2"
		verifier2["keyDetails"] = KeyDetails(out.Key.Public())
		if isEd25519(out.Key.Public()) {
			verifier2["keyDetails"] = "PKIX_ED25519_PH"
		}
		spec = map[string]any{"hashedRekordV002": map[string]any{
			"data":      map[string]any{"algorithm": hashName, "digest": digest},
			"signature": map[string]any{"content": out.Signature, "verifier": verifier2},
		}}
	}
	out.Body = Must(json.Marshal(map[string]any{"apiVersion": version, "kind": kind, "spec": spec}))
	if s.Body != nil {
		out.Body = s.Body(out.Body)
	}
	for l.Size() < 5 { // so that a proof has hashes
		l.Append(fmt.Appendf(nil, "leaf %d", l.Size()))
	}
	i := l.Append(out.Body)
	l.Append([]byte("the next"))
	return w.Entry(l, s, out.Body, kind, version, i)
}

// Entry returns the log entry of leaf i.
func (w *World) Entry(l *Log, s *Spec, body []byte, kind, version string, i int) map[string]any {
	size := l.Size()
	global := i
	if !l.V2 {
		global += shardOffset
	}
	hashes := []any{}
	for _, h := range l.Proof(i, size) {
		hashes = append(hashes, h)
	}
	text := fmt.Sprintf("%s\n%d\n%s\n", l.Origin, size, b64(l.RootHash(size)))
	extra := ""
	if s.Checkpoint != nil {
		extra = s.Checkpoint(text)
	}
	e := map[string]any{
		"logIndex": fmt.Sprint(global), "logId": map[string]any{"keyId": l.ID},
		"kindVersion": map[string]any{"kind": kind, "version": version}, "canonicalizedBody": body,
		"inclusionProof": map[string]any{
			"logIndex": fmt.Sprint(i), "rootHash": l.RootHash(size), "treeSize": fmt.Sprint(size), "hashes": hashes,
			"checkpoint": map[string]any{"envelope": l.CheckpointText(text, extra)},
		},
	}
	if s.NoProof {
		delete(e, "inclusionProof")
	}
	if !l.V2 && !s.NoSET {
		e["integratedTime"] = fmt.Sprint(s.when().Unix())
		e["inclusionPromise"] = map[string]any{"signedEntryTimestamp": l.SET(body, s.when(), int64(global))}
	}
	return e
}

// A Timestamp is an RFC 3161 timestamp before it is signed.
type Timestamp struct {
	At       time.Time
	GenTime  string // instead of At
	Hash     crypto.Hash
	Imprint  []byte
	Cert     *x509.Certificate // of the signer
	Key      crypto.Signer
	Embed    []*x509.Certificate
	Status   int
	Critical bool              // add an unknown critical extension
	NoESS    bool              // leave out the signing certificate attribute
	ESS      *x509.Certificate // name this one instead
	Digest   []byte            // message digest instead of the right one
	Signers  int               // how many signer infos; 0 means one
	Unsorted bool              // attributes not in the order of DER
	SHA384   bool              // digest and sign with SHA-384 instead of SHA-256
}

var hashOIDs = map[crypto.Hash]asn1.ObjectIdentifier{
	crypto.SHA1:   {1, 3, 14, 3, 2, 26},
	crypto.SHA256: {2, 16, 840, 1, 101, 3, 4, 2, 1},
	crypto.SHA384: {2, 16, 840, 1, 101, 3, 4, 2, 2},
	crypto.SHA512: {2, 16, 840, 1, 101, 3, 4, 2, 3},
}

// Stamp returns a TimeStampResp over signature.
func (a *TSA) Stamp(signature []byte, at time.Time, change func(*Timestamp)) []byte {
	t := &Timestamp{At: at, Hash: crypto.SHA256, Imprint: sumOf(crypto.SHA256, signature), Cert: a.Cert, Key: a.Key, Signers: 1}
	if a.EmbedCert {
		t.Embed = []*x509.Certificate{a.Cert}
	}
	if change != nil {
		change(t)
	}
	if t.GenTime == "" {
		t.GenTime = t.At.UTC().Format("20060102150405Z")
	}
	sequence := func(b *cryptobyte.Builder, f cryptobyte.BuilderContinuation) { b.AddASN1(cbasn1.SEQUENCE, f) }
	alg := func(b *cryptobyte.Builder, oid asn1.ObjectIdentifier) {
		sequence(b, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oid) })
	}
	tag := func(n uint8) cbasn1.Tag { return cbasn1.Tag(n).ContextSpecific().Constructed() }

	var info cryptobyte.Builder
	sequence(&info, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 2})
		sequence(b, func(b *cryptobyte.Builder) {
			alg(b, hashOIDs[t.Hash])
			b.AddASN1OctetString(t.Imprint)
		})
		b.AddASN1BigInt(new(big.Int).SetBytes(t.Imprint[:8]))
		b.AddASN1(cbasn1.GeneralizedTime, func(b *cryptobyte.Builder) { b.AddBytes([]byte(t.GenTime)) })
		sequence(b, func(b *cryptobyte.Builder) { b.AddASN1Int64(1) }) // accuracy
		b.AddASN1BigInt(big.NewInt(int64(binary.BigEndian.Uint32(t.Imprint))))
		if t.Critical {
			b.AddASN1(tag(1), func(b *cryptobyte.Builder) {
				sequence(b, func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 2, 3, 4})
					b.AddASN1Boolean(true)
					b.AddASN1OctetString(nil)
				})
			})
		}
	})
	content := info.BytesOrPanic()

	h, sigOID := crypto.SHA256, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}
	if t.SHA384 {
		h, sigOID = crypto.SHA384, asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3}
	}
	if isEd25519(t.Key.Public()) {
		sigOID = asn1.ObjectIdentifier{1, 3, 101, 112}
	} else if _, ok := t.Key.Public().(*ecdsa.PublicKey); !ok {
		sigOID = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}
	}
	if t.Digest == nil {
		t.Digest = sumOf(h, content)
	}
	if t.ESS == nil {
		t.ESS = t.Cert
	}
	var attrs [][]byte
	attribute := func(oid asn1.ObjectIdentifier, f cryptobyte.BuilderContinuation) {
		var attr cryptobyte.Builder
		sequence(&attr, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oid)
			b.AddASN1(cbasn1.SET, f)
		})
		attrs = append(attrs, attr.BytesOrPanic())
	}
	attribute(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4})
	})
	attribute(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}, func(b *cryptobyte.Builder) { b.AddASN1OctetString(t.Digest) })
	if !t.NoESS {
		attribute(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 47}, func(b *cryptobyte.Builder) {
			sequence(b, func(b *cryptobyte.Builder) {
				sequence(b, func(b *cryptobyte.Builder) {
					sequence(b, func(b *cryptobyte.Builder) { b.AddASN1OctetString(sumOf(crypto.SHA256, t.ESS.Raw)) })
				})
			})
		})
	}
	slices.SortFunc(attrs, bytes.Compare) // SET OF in DER
	if t.Unsorted {
		slices.Reverse(attrs)
	}
	signedAttrs := bytes.Join(attrs, nil)
	var set cryptobyte.Builder
	set.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { b.AddBytes(signedAttrs) })
	toSign, opts := sumOf(h, set.BytesOrPanic()), crypto.SignerOpts(h)
	if isEd25519(t.Key.Public()) {
		toSign, opts = set.BytesOrPanic(), crypto.Hash(0)
	}
	sig := Must(t.Key.Sign(nil, toSign, opts))

	var resp cryptobyte.Builder
	sequence(&resp, func(b *cryptobyte.Builder) {
		sequence(b, func(b *cryptobyte.Builder) { b.AddASN1Int64(int64(t.Status)) })
		sequence(b, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2})
			b.AddASN1(tag(0), func(b *cryptobyte.Builder) {
				sequence(b, func(b *cryptobyte.Builder) {
					b.AddASN1Int64(3)
					b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) { alg(b, hashOIDs[h]) })
					sequence(b, func(b *cryptobyte.Builder) {
						b.AddASN1ObjectIdentifier(asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4})
						b.AddASN1(tag(0), func(b *cryptobyte.Builder) { b.AddASN1OctetString(content) })
					})
					if len(t.Embed) > 0 {
						b.AddASN1(tag(0), func(b *cryptobyte.Builder) {
							for _, c := range t.Embed {
								b.AddBytes(c.Raw)
							}
						})
					}
					b.AddASN1(cbasn1.SET, func(b *cryptobyte.Builder) {
						for range t.Signers {
							sequence(b, func(b *cryptobyte.Builder) {
								b.AddASN1Int64(1)
								sequence(b, func(b *cryptobyte.Builder) {
									b.AddBytes(t.Cert.RawIssuer)
									b.AddASN1BigInt(t.Cert.SerialNumber)
								})
								alg(b, hashOIDs[h])
								b.AddASN1(tag(0), func(b *cryptobyte.Builder) { b.AddBytes(signedAttrs) })
								alg(b, sigOID)
								b.AddASN1OctetString(sig)
							})
						}
					})
				})
			})
		})
	})
	return resp.BytesOrPanic()
}
