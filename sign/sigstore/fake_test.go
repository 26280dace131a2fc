package sigstore

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/internal/sigstore/sigstoretest"
	"github.com/hallmark-build/hallmark/provenance"
)

// A fake is every server of a Sigstore, whose answers a test can change: the
// real ones, which cannot be bent, are in internal/e2e.
type fake struct {
	*httptest.Server
	world *sigstoretest.World

	mu       sync.Mutex
	requests map[string]int

	// change changes an answer of a path before it is sent.
	change func(path string, answer map[string]any)
	// raw answers instead.
	raw map[string]http.HandlerFunc
	// stamp changes a timestamp.
	stamp func(*tstInfo, *timestampResponse)
	// leaf changes a certificate request.
	leaf *sigstoretest.Spec
}

const (
	pathFulcio = "/api/v2/signingCert"
	pathLogV1  = "/api/v1/log/entries"
	pathLogV2  = "/api/v2/log/entries"
	pathTSA    = "/tsa"
)

var stampTime = sigstoretest.Epoch.Add(time.Hour)

func newFake(t testing.TB) *fake {
	f := &fake{world: sigstoretest.New("fake.test"), requests: map[string]int{}, raw: map[string]http.HandlerFunc{}, leaf: &sigstoretest.Spec{At: stampTime}}
	answers := map[string]func(*http.Request, []byte) (map[string]any, error){pathFulcio: f.fulcio, pathLogV1: f.logV1, pathLogV2: f.logV2}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.requests[r.URL.Path]++
		f.mu.Unlock()
		if h := f.raw[r.URL.Path]; h != nil {
			h(w, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if r.URL.Path == pathTSA {
			w.Header().Set("Content-Type", "application/timestamp-reply")
			w.Write(f.timestamp(t, body))
			return
		}
		answer := answers[r.URL.Path]
		if answer == nil {
			http.NotFound(w, r)
			return
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		doc, err := answer(r, body)
		if err != nil {
			http.Error(w, err.Error(), 400)
			return
		}
		if f.change != nil {
			f.change(r.URL.Path, doc)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(201)
		json.NewEncoder(w).Encode(doc)
	}))
	t.Cleanup(f.Close)
	return f
}

// services signs with Rekor of a version and the timestamp authority.
func (f *fake) services(version int) Services {
	return Services{Fulcio: f.URL, Logs: []Log{{f.URL, version}}, TimestampAuthorities: []string{f.URL + pathTSA}}
}

func (f *fake) count(path string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.requests[path]
}

const testSubject = "repo:octo/app"

// testToken is a JWT that nobody signed.
func testToken(claims string) string {
	enc := base64.RawURLEncoding.EncodeToString
	return enc([]byte(`{"alg":"ES256"}`)) + "." + enc([]byte(claims)) + "." + enc([]byte("signature"))
}

var goodToken = testToken(`{"sub":"` + testSubject + `"}`)

func (f *fake) fulcio(r *http.Request, body []byte) (map[string]any, error) {
	var q struct {
		PublicKeyRequest struct {
			PublicKey         struct{ Algorithm, Content string }
			ProofOfPossession []byte
		}
	}
	if err := json.Unmarshal(body, &q); err != nil {
		return nil, err
	}
	block, _ := pem.Decode([]byte(q.PublicKeyRequest.PublicKey.Content))
	pub, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(testSubject))
	if r.Header.Get("Authorization") != "Bearer "+goodToken || !ecdsa.VerifyASN1(pub.(*ecdsa.PublicKey), sum[:], q.PublicKeyRequest.ProofOfPossession) {
		return nil, context.Canceled
	}
	var chain []any
	for _, c := range []*x509.Certificate{f.world.Leaf(pub, f.leaf), f.world.Intermediate} {
		chain = append(chain, pemText(c))
	}
	return map[string]any{"signedCertificateEmbeddedSct": map[string]any{"chain": map[string]any{"certificates": chain}}}, nil
}

func pemText(c *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
}

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func (f *fake) logV2(_ *http.Request, body []byte) (map[string]any, error) {
	var q struct {
		R struct {
			Digest    string
			Signature json.RawMessage
		} `json:"hashedRekordRequestV002"`
	}
	if err := json.Unmarshal(body, &q); err != nil {
		return nil, err
	}
	entry, err := json.Marshal(map[string]any{"apiVersion": "0.0.2", "kind": "hashedrekord", "spec": map[string]any{
		"hashedRekordV002": map[string]any{"data": map[string]any{"algorithm": "SHA2_256", "digest": q.R.Digest}, "signature": q.R.Signature},
	}})
	if err != nil {
		return nil, err
	}
	l := f.world.Rekor2
	for range 5 { // so that there is a proof
		l.Append([]byte("other"))
	}
	i := l.Append(entry)
	n := l.Size()
	var hashes []any
	for _, h := range l.Proof(i, n) {
		hashes = append(hashes, b64(h))
	}
	return map[string]any{
		"logIndex": big.NewInt(int64(i)).String(), "logId": map[string]any{"keyId": b64(l.ID)},
		"kindVersion": map[string]any{"kind": "hashedrekord", "version": "0.0.2"},
		"inclusionProof": map[string]any{
			"logIndex": big.NewInt(int64(i)).String(), "treeSize": big.NewInt(int64(n)).String(), "rootHash": b64(l.RootHash(n)),
			"hashes": hashes, "checkpoint": map[string]any{"envelope": l.Checkpoint(n)},
		},
		"canonicalizedBody": b64(entry),
	}, nil
}

func (f *fake) logV1(_ *http.Request, body []byte) (map[string]any, error) {
	var q struct {
		Kind string
		Spec struct {
			ProposedContent struct {
				Envelope  string
				Verifiers []string
			}
			Data, Signature json.RawMessage
		}
	}
	if err := json.Unmarshal(body, &q); err != nil {
		return nil, err
	}
	spec := map[string]any{"data": q.Spec.Data, "signature": q.Spec.Signature}
	if q.Kind == "dsse" {
		var env struct {
			Payload    []byte
			Signatures []struct{ Sig string }
		}
		if err := json.Unmarshal([]byte(q.Spec.ProposedContent.Envelope), &env); err != nil {
			return nil, err
		}
		hash := func(b []byte) map[string]any {
			sum := sha256.Sum256(b)
			return map[string]any{"algorithm": "sha256", "value": hex.EncodeToString(sum[:])}
		}
		spec = map[string]any{
			"envelopeHash": hash([]byte(q.Spec.ProposedContent.Envelope)), "payloadHash": hash(env.Payload),
			"signatures": []any{map[string]any{"signature": env.Signatures[0].Sig, "verifier": q.Spec.ProposedContent.Verifiers[0]}},
		}
	}
	entry, err := json.Marshal(map[string]any{"apiVersion": "0.0.1", "kind": q.Kind, "spec": spec})
	if err != nil {
		return nil, err
	}
	l := f.world.Rekor1
	l.Append([]byte("other"))
	i := l.Append(entry)
	n := l.Size()
	var hashes []any
	for _, h := range l.Proof(i, n) {
		hashes = append(hashes, hex.EncodeToString(h))
	}
	return map[string]any{strings.Repeat("ab", 40): map[string]any{
		"body": b64(entry), "integratedTime": stampTime.Unix(), "logID": hex.EncodeToString(l.ID), "logIndex": i + 1000,
		"verification": map[string]any{
			"inclusionProof": map[string]any{
				"checkpoint": l.Checkpoint(n), "hashes": hashes, "logIndex": i, "rootHash": hex.EncodeToString(l.RootHash(n)), "treeSize": n,
			},
			"signedEntryTimestamp": b64(l.SET(entry, stampTime, int64(i+1000))),
		},
	}}, nil
}

// timestamp answers a request with a token that nobody signed: who looks at
// that is the verifier.
func (f *fake) timestamp(t testing.TB, body []byte) []byte {
	var q timestampRequest
	if _, err := asn1.Unmarshal(body, &q); err != nil {
		t.Error(err)
	}
	tst := tstInfo{Version: 1, Policy: asn1.ObjectIdentifier{1, 2, 3}, Imprint: q.Imprint, Serial: big.NewInt(1), Time: stampTime.UTC(), Nonce: q.Nonce}
	tst.Accuracy.Seconds = 1
	resp := timestampResponse{}
	if f.stamp != nil {
		f.stamp(&tst, &resp)
	}
	if resp.Status.Status <= 1 { // RFC 3161, section 2.4.2: these come with a token
		resp.Token.FullBytes = wrap(t, tst)
	}
	return marshal(t, resp)
}

func wrap(t testing.TB, tst tstInfo) []byte {
	explicit := func(b []byte) asn1.RawValue {
		return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: b}
	}
	data := signedData{Version: 3, Digests: asn1.RawValue{FullBytes: marshal(t, []pkix.AlgorithmIdentifier{})}}
	data.Encap.Type, data.Encap.Content = oidTSTInfo, explicit(marshal(t, marshal(t, tst)))
	return marshal(t, contentInfo{oidSignedData, explicit(marshal(t, data))})
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	b, err := asn1.Marshal(v)
	if err != nil {
		t.Error(err)
	}
	return b
}

func testStatement(t testing.TB, name string) *provenance.Statement {
	t.Helper()
	a, err := provenance.DigestReader(t.Context(), name, strings.NewReader(name))
	if err != nil {
		t.Fatal(err)
	}
	st, err := provenance.NewStatement([]provenance.ResourceDescriptor{a.Descriptor()}, "https://slsa.dev/provenance/v1", nil)
	if err != nil {
		t.Fatal(err)
	}
	return st
}
