// Package sigstoretest is a virtual Sigstore for tests: a certificate
// authority, a CT log, a Rekor v1 and a Rekor v2 log, and a timestamp
// authority in one value, without network and at any time that a test likes.
// It makes what the real services make, byte for byte where a verifier looks,
// and everything that it makes can be bent before it is signed: hooks change a
// certificate, a timestamp or a log entry, and a [Doc] is edited as JSON.
//
// A world of one name always has the same keys and certificates, and signatures
// are deterministic (RFC 6979), so that what one process of a fuzzer signs is
// known to the others.
//
// It is written from the specifications, independently of the verifier, and
// what it makes is verified by sigstore-go too, in internal/e2e.
package sigstoretest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/url"
	"strings"
	"time"
)

// Epoch is when a World starts; its authorities are valid for ten years from
// then, and it signs an hour after.
var Epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// A World is one virtual Sigstore.
type World struct {
	Host string // the domain of its services

	RootKey, IntermediateKey *ecdsa.PrivateKey
	Root, Intermediate       *x509.Certificate
	CT                       *Log
	Rekor1, Rekor2           *Log
	TSA                      *TSA
}

// A TSA is a timestamp authority.
type TSA struct {
	URI        string
	Key        crypto.Signer
	Root, Cert *x509.Certificate
	RootKey    *ecdsa.PrivateKey
	EmbedCert  bool // put Cert into the tokens
}

// New returns a World with keys of its own. host must differ between worlds
// that one test uses together.
func New(host string) *World {
	w := &World{Host: host}
	until := Epoch.AddDate(10, 0, 0)
	w.RootKey = NamedKey(elliptic.P384(), "root of "+host)
	w.Root = MakeCert(&x509.Certificate{
		Subject: pkix.Name{Organization: []string{host}, CommonName: "root"}, NotBefore: Epoch, NotAfter: until,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, MaxPathLen: -1,
	}, nil, w.RootKey.Public(), w.RootKey)
	w.IntermediateKey = NamedKey(elliptic.P384(), "intermediate of "+host)
	w.Intermediate = MakeCert(&x509.Certificate{
		Subject: pkix.Name{Organization: []string{host}, CommonName: "intermediate"}, NotBefore: Epoch, NotAfter: until,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, MaxPathLenZero: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	}, w.Root, w.IntermediateKey.Public(), w.RootKey)
	w.CT = NewLog("https://ct."+host+"/2026", NamedKey(elliptic.P256(), "ct of "+host), false)
	w.Rekor1 = NewLog("https://rekor."+host, NamedKey(elliptic.P256(), "rekor v1 of "+host), false)
	seed := sha256.Sum256([]byte("rekor v2 of " + host))
	w.Rekor2 = NewLog("https://log2026-1.rekor2."+host, ed25519.NewKeyFromSeed(seed[:]), true)
	w.TSA = NewTSA("https://timestamp." + host)
	return w
}

// NewTSA returns a timestamp authority with a root and a signer of its own.
func NewTSA(uri string) *TSA {
	a := &TSA{URI: uri, RootKey: NamedKey(elliptic.P384(), "root of "+uri)}
	until := Epoch.AddDate(10, 0, 0)
	a.Root = MakeCert(&x509.Certificate{
		Subject: pkix.Name{CommonName: "tsa root of " + uri}, NotBefore: Epoch, NotAfter: until,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, MaxPathLenZero: true,
	}, nil, a.RootKey.Public(), a.RootKey)
	a.Key = NamedKey(elliptic.P384(), "signer of "+uri)
	a.Cert = MakeCert(TSATemplate(uri), a.Root, a.Key.Public(), a.RootKey)
	return a
}

// TSATemplate is the profile of a timestamp signer.
func TSATemplate(uri string) *x509.Certificate {
	return &x509.Certificate{
		Subject: pkix.Name{CommonName: "tsa " + uri}, NotBefore: Epoch, NotAfter: Epoch.AddDate(10, 0, 0),
		KeyUsage:        x509.KeyUsageDigitalSignature,
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: Must(asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}}))}},
	}
}

// Must panics on an error: in tests it is a bug of the test.
func Must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// ECKey returns a new key.
func ECKey(c elliptic.Curve) *ecdsa.PrivateKey { return Must(ecdsa.GenerateKey(c, rand.Reader)) }

// NamedKey returns the key of a name, always the same one.
func NamedKey(c elliptic.Curve, name string) *ecdsa.PrivateKey {
	h := sha512.Sum512([]byte(name))
	h[0] = 0 // below the order of every curve
	return Must(ecdsa.ParseRawPrivateKey(c, h[:(c.Params().BitSize+7)/8]))
}

// MakeCert signs a certificate; parent nil makes it self-signed. The serial
// number, unless the template has one, depends on subject and key.
func MakeCert(t, parent *x509.Certificate, pub crypto.PublicKey, by crypto.Signer) *x509.Certificate {
	if t.SerialNumber == nil {
		h := sha256.Sum256(append(Must(x509.MarshalPKIXPublicKey(pub)), t.Subject.String()+t.NotBefore.String()+t.NotAfter.String()...))
		t.SerialNumber = new(big.Int).SetBytes(h[1:16])
	}
	if parent == nil {
		parent = t
	}
	der := Must(x509.CreateCertificate(nil, t, parent, pub, by))
	return Must(x509.ParseCertificate(der))
}

// A Log is a transparency log: Rekor v1, Rekor v2 or certificate transparency.
type Log struct {
	URL    string
	Key    crypto.Signer
	ID     []byte
	Origin string // of its checkpoints
	Name   string // on its signature lines
	V2     bool

	leaves [][32]byte
	memo   map[[2]int][32]byte
}

// NewLog returns an empty log.
func NewLog(baseURL string, key crypto.Signer, v2 bool) *Log {
	u := Must(url.Parse(baseURL))
	l := &Log{URL: baseURL, Key: key, Name: u.Hostname(), V2: v2, memo: make(map[[2]int][32]byte)}
	spki := sha256.Sum256(Must(x509.MarshalPKIXPublicKey(key.Public())))
	l.ID = spki[:]
	l.Origin = l.Name + " - 1193050959916656506"
	if v2 {
		l.Origin = l.Name
		if ed, ok := key.Public().(ed25519.PublicKey); ok {
			id := sha256.Sum256(append([]byte(l.Name+"\n\x01"), ed...))
			l.ID = id[:]
		}
	}
	return l
}

// Sign signs as the log does.
func (l *Log) Sign(message []byte) []byte { return SignAs(l.Key, message) }

// SignAs signs message with the hash that fits the key.
func SignAs(key crypto.Signer, message []byte) []byte {
	h := crypto.SHA256
	switch k := key.Public().(type) {
	case ed25519.PublicKey:
		return Must(key.Sign(nil, message, crypto.Hash(0)))
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P384():
			h = crypto.SHA384
		case elliptic.P521():
			h = crypto.SHA512
		}
	}
	w := h.New()
	w.Write(message)
	return Must(key.Sign(nil, w.Sum(nil), h))
}

// Append adds a leaf and returns its index.
func (l *Log) Append(body []byte) int {
	l.leaves = append(l.leaves, sha256.Sum256(append([]byte{0}, body...)))
	return len(l.leaves) - 1
}

// Size returns the number of leaves.
func (l *Log) Size() int { return len(l.leaves) }

// hash is the Merkle tree hash of leaves lo to hi (RFC 6962 2.1).
func (l *Log) hash(lo, hi int) [32]byte {
	if hi-lo == 0 {
		return sha256.Sum256(nil)
	}
	if hi-lo == 1 {
		return l.leaves[lo]
	}
	if h, ok := l.memo[[2]int{lo, hi}]; ok {
		return h
	}
	k := split(hi - lo)
	left, right := l.hash(lo, lo+k), l.hash(lo+k, hi)
	h := sha256.Sum256(append(append([]byte{1}, left[:]...), right[:]...))
	if (hi-lo)&(hi-lo-1) == 0 { // a full subtree never changes
		l.memo[[2]int{lo, hi}] = h
	}
	return h
}

func split(n int) int {
	k := 1
	for k*2 < n {
		k *= 2
	}
	return k
}

// Proof returns the inclusion proof of leaf i in the first size leaves.
func (l *Log) Proof(i, size int) [][]byte { return l.path(i, 0, size) }

func (l *Log) path(i, lo, hi int) [][]byte {
	if hi-lo == 1 {
		return nil
	}
	k := split(hi - lo)
	var sibling [32]byte
	var p [][]byte
	if i < k {
		p, sibling = l.path(i, lo, lo+k), l.hash(lo+k, hi)
	} else {
		p, sibling = l.path(i-k, lo+k, hi), l.hash(lo, lo+k)
	}
	return append(p, sibling[:])
}

// RootHash returns the root of the first size leaves.
func (l *Log) RootHash(size int) []byte { h := l.hash(0, size); return h[:] }

// Checkpoint returns a signed checkpoint over the first size leaves; extra
// lines are added after the log's signature.
func (l *Log) Checkpoint(size int, extra ...string) string {
	return l.CheckpointText(fmt.Sprintf("%s\n%d\n%s\n", l.Origin, size, b64(l.RootHash(size))), extra...)
}

// CheckpointText signs any text.
func (l *Log) CheckpointText(text string, extra ...string) string {
	return text + "\n" + l.SignatureLine(text) + strings.Join(extra, "")
}

// SignatureLine returns the log's signature line for a note's text.
func (l *Log) SignatureLine(text string) string {
	return NoteLine(l.Name, l.ID[:4], l.Sign([]byte(text)))
}

// NoteLine formats a signature line.
func NoteLine(name string, keyID, sig []byte) string {
	return fmt.Sprintf("— %s %s\n", name, b64(append(append([]byte{}, keyID...), sig...)))
}

// Cosign returns the signature line of a witness.
func Cosign(name string, key ed25519.PrivateKey, text string, at time.Time) string {
	id := sha256.Sum256(append([]byte(name+"\n\x04"), key.Public().(ed25519.PublicKey)...))
	sig := binary.BigEndian.AppendUint64(nil, uint64(at.Unix()))
	sig = append(sig, ed25519.Sign(key, fmt.Appendf(nil, "cosignature/v1\ntime %d\n%s", at.Unix(), text))...)
	return NoteLine(name, id[:4], sig)
}

// SET returns the signed entry timestamp of Rekor v1.
func (l *Log) SET(body []byte, at time.Time, index int64) []byte {
	// Maps marshal in the order of their keys, which here is that of RFC 8785.
	return l.Sign(Must(json.Marshal(map[string]any{
		"body": b64(body), "integratedTime": at.Unix(), "logID": hex.EncodeToString(l.ID), "logIndex": index,
	})))
}

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// KeyDetails names the key in common.v1.PublicKeyDetails.
func KeyDetails(pub crypto.PublicKey) string {
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		return map[int]string{256: "PKIX_ECDSA_P256_SHA_256", 384: "PKIX_ECDSA_P384_SHA_384", 521: "PKIX_ECDSA_P521_SHA_512"}[k.Curve.Params().BitSize]
	case *rsa.PublicKey:
		return fmt.Sprintf("PKIX_RSA_PKCS1V15_%d_SHA256", k.N.BitLen())
	}
	return "PKIX_ED25519"
}

// pemOf is how Rekor v1 stores a certificate or key.
func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// A Doc is a JSON document that a test can edit.
type Doc map[string]any

// JSON returns the document's bytes.
func (d Doc) JSON() []byte { return Must(json.Marshal(d)) }

// Clone returns a deep copy.
func (d Doc) Clone() Doc {
	var c Doc
	if err := json.Unmarshal(d.JSON(), &c); err != nil {
		panic(err)
	}
	return c
}

// At returns what is at a path of member names and array indices. It panics
// if there is nothing.
func (d Doc) At(path ...any) any {
	var v any = map[string]any(d)
	for _, p := range path {
		switch p := p.(type) {
		case string:
			v = asMap(v)[p]
		case int:
			v = v.([]any)[p]
		}
	}
	return v
}

// Map is At for an object.
func (d Doc) Map(path ...any) map[string]any { return asMap(d.At(path...)) }

func asMap(v any) map[string]any {
	if d, ok := v.(Doc); ok {
		return d
	}
	return v.(map[string]any)
}

// RootDoc returns the trusted_root.json of the world, v0.1.
func (w *World) RootDoc() Doc {
	start := Epoch.Format(time.RFC3339)
	log := func(l *Log) any {
		return map[string]any{
			"baseUrl": l.URL, "hashAlgorithm": "SHA2_256",
			"publicKey": map[string]any{
				"rawBytes": b64(Must(x509.MarshalPKIXPublicKey(l.Key.Public()))), "keyDetails": KeyDetails(l.Key.Public()),
				"validFor": map[string]any{"start": start},
			},
			"logId": map[string]any{"keyId": b64(l.ID)},
		}
	}
	d := Doc{
		"mediaType":              "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
		"tlogs":                  []any{log(w.Rekor1), log(w.Rekor2)},
		"ctlogs":                 []any{log(w.CT)},
		"certificateAuthorities": []any{AuthorityDoc("https://fulcio."+w.Host, w.Intermediate, w.Root)},
		"timestampAuthorities":   []any{AuthorityDoc(w.TSA.URI, w.TSA.Cert, w.TSA.Root)},
	}
	return d.Clone()
}

// AuthorityDoc returns one certificate authority of a trusted root.
func AuthorityDoc(uri string, chain ...*x509.Certificate) map[string]any {
	certs := []any{}
	for _, c := range chain {
		certs = append(certs, map[string]any{"rawBytes": b64(c.Raw)})
	}
	return map[string]any{
		"subject": map[string]any{"organization": "test", "commonName": chain[0].Subject.CommonName}, "uri": uri,
		"certChain": map[string]any{"certificates": certs}, "validFor": map[string]any{"start": Epoch.Format(time.RFC3339)},
	}
}
