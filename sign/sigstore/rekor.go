package sigstore

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"math/bits"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/strictjson"
	"github.com/hallmark-build/hallmark/internal/webclient"
)

// An entry is a log's answer, read and checked.
type entry struct {
	index      int64 // in the whole log
	logID      []byte
	kind       string
	version    string
	integrated int64  // seconds since 1970, 0 for Rekor v2
	set        []byte // signed entry timestamp, nil for Rekor v2
	leafIndex  int64  // in the tree, which may be a shard
	root       []byte
	size       int64
	hashes     [][]byte
	checkpoint string
	body       []byte
}

// keyDetails names a key in Rekor v2's words (protobuf-specs
// PublicKeyDetails).
func keyDetails(pub crypto.PublicKey) (string, error) {
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return "PKIX_ECDSA_P256_SHA_256", nil
		case elliptic.P384():
			return "PKIX_ECDSA_P384_SHA_384", nil
		case elliptic.P521():
			return "PKIX_ECDSA_P521_SHA_512", nil
		}
	case *rsa.PublicKey:
		switch n := k.N.BitLen(); n {
		case 2048, 3072, 4096:
			return "PKIX_RSA_PKCS1V15_" + strconv.Itoa(n) + "_SHA256", nil
		default:
			return "", fail(ReasonKey, "Rekor version 2 takes RSA keys of 2048, 3072 and 4096 bits, found %d", n)
		}
	case ed25519.PublicKey:
		// Its entries hold the hash of what was signed, and a pure Ed25519
		// signature cannot be verified from a hash.
		return "", fail(ReasonKey, "Rekor version 2 takes no Ed25519 keys")
	}
	return "", fail(ReasonKey, "Rekor version 2 takes no keys of type %T", pub)
}

// logV2 adds a signature to a Rekor v2 (rekor-tiles, POST
// /api/v2/log/entries). Of a statement it is told the hash of the DSSE
// pre-authentication encoding.
func (s *Session) logV2(ctx context.Context, base *url.URL, c *content) (*entry, error) {
	details, err := keyDetails(s.signer.Public())
	if err != nil {
		return nil, err
	}
	der, _ := s.verifier()
	type raw struct {
		RawBytes []byte `json:"rawBytes"`
	}
	type verifier struct {
		Certificate *raw   `json:"x509Certificate,omitempty"`
		PublicKey   *raw   `json:"publicKey,omitempty"`
		KeyDetails  string `json:"keyDetails"`
	}
	v := verifier{KeyDetails: details}
	if s.leaf != nil {
		v.Certificate = &raw{der}
	} else {
		v.PublicKey = &raw{der}
	}
	type signature struct {
		Content  []byte   `json:"content"`
		Verifier verifier `json:"verifier"`
	}
	type hashedRekord struct {
		Digest    []byte    `json:"digest"`
		Signature signature `json:"signature"`
	}
	body, err := json.Marshal(struct {
		Request hashedRekord `json:"hashedRekordRequestV002"`
	}{hashedRekord{c.digest, signature{c.signature, v}}})
	if err != nil {
		return nil, fail(ReasonInput, "%v", err)
	}
	r, err := webclient.Do(ctx, s.client, webclient.Request{Method: "POST", URL: base.JoinPath("api/v2/log/entries"), Body: body, ContentType: "application/json", Accept: "application/json"}, http.StatusConflict)
	if err != nil {
		return nil, httpError(err)
	}
	if r.Status == http.StatusConflict {
		return nil, &Error{Reason: ReasonConflict, Status: r.Status, Msg: "the log has this signature already: " + webclient.Excerpt(r.Body, "")}
	}

	var answer struct {
		LogIndex string `json:"logIndex"`
		LogID    struct {
			KeyID []byte `json:"keyId"`
		} `json:"logId"`
		KindVersion struct {
			Kind    string `json:"kind"`
			Version string `json:"version"`
		} `json:"kindVersion"`
		InclusionProof struct {
			LogIndex   string   `json:"logIndex"`
			RootHash   []byte   `json:"rootHash"`
			TreeSize   string   `json:"treeSize"`
			Hashes     [][]byte `json:"hashes"`
			Checkpoint struct {
				Envelope string `json:"envelope"`
			} `json:"checkpoint"`
		} `json:"inclusionProof"`
		Body []byte `json:"canonicalizedBody"`
	}
	if err := readAnswer(r.Body, &answer); err != nil {
		return nil, err
	}
	e := &entry{
		logID: answer.LogID.KeyID, kind: answer.KindVersion.Kind, version: answer.KindVersion.Version,
		root: answer.InclusionProof.RootHash, hashes: answer.InclusionProof.Hashes,
		checkpoint: answer.InclusionProof.Checkpoint.Envelope, body: answer.Body,
	}
	// Proto3 JSON leaves zero out: the first entry has no index.
	if e.index, err = parseInt64(answer.LogIndex); err != nil {
		return nil, err
	}
	if e.size, err = parseInt64(answer.InclusionProof.TreeSize); err != nil {
		return nil, err
	}
	e.leafIndex = e.index
	if e.kind != "hashedrekord" || e.version != "0.0.2" {
		return nil, fail(ReasonMismatch, "log entry: want hashedrekord 0.0.2, found %.40q %.40q", e.kind, e.version)
	}
	var logged struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Spec       struct {
			V002 struct {
				Data struct {
					Algorithm string `json:"algorithm"`
					Digest    []byte `json:"digest"`
				} `json:"data"`
				Signature signature `json:"signature"`
			} `json:"hashedRekordV002"`
		} `json:"spec"`
	}
	if err := readAnswer(e.body, &logged); err != nil {
		return nil, err
	}
	got, sent := logged.Spec.V002, s.scheme.Hash()
	gotVerifier := got.Signature.Verifier.Certificate
	if s.leaf == nil {
		gotVerifier = got.Signature.Verifier.PublicKey
	}
	switch {
	case logged.Kind != e.kind || logged.APIVersion != e.version,
		got.Data.Algorithm != protoHash(sent) || !bytes.Equal(got.Data.Digest, c.digest),
		!bytes.Equal(got.Signature.Content, c.signature),
		gotVerifier == nil || !bytes.Equal(gotVerifier.RawBytes, der),
		got.Signature.Verifier.KeyDetails != details:
		return nil, fail(ReasonMismatch, "log entry: its body is not what was sent")
	}
	return e, e.check()
}

// logV1 adds a signature to a Rekor v1 (POST /api/v1/log/entries): dsse 0.0.1
// for a statement, hashedrekord 0.0.1 for an artifact.
func (s *Session) logV1(ctx context.Context, base *url.URL, c *content) (*entry, error) {
	kind, spec := "hashedrekord", any(nil)
	_, text := s.verifier()
	type hash struct {
		Algorithm string `json:"algorithm"`
		Value     string `json:"value"`
	}
	type hashedRekord struct {
		Data struct {
			Hash hash `json:"hash"`
		} `json:"data"`
		Signature struct {
			Content   []byte `json:"content"`
			PublicKey struct {
				Content []byte `json:"content"`
			} `json:"publicKey"`
		} `json:"signature"`
	}
	if c.envelope != nil {
		kind = "dsse"
		spec = map[string]any{"proposedContent": map[string]any{"envelope": string(c.envelope), "verifiers": [][]byte{text}}}
	} else {
		var h hashedRekord
		h.Data.Hash = hash{strings.ToLower(strings.ReplaceAll(s.scheme.Hash().String(), "-", "")), hex.EncodeToString(c.digest)}
		h.Signature.Content, h.Signature.PublicKey.Content = c.signature, text
		spec = h
	}
	body, err := json.Marshal(map[string]any{"apiVersion": "0.0.1", "kind": kind, "spec": spec})
	if err != nil {
		return nil, fail(ReasonInput, "%v", err)
	}
	entries := base.JoinPath("api/v1/log/entries")
	r, err := webclient.Do(ctx, s.client, webclient.Request{Method: "POST", URL: entries, Body: body, ContentType: "application/json", Accept: "application/json"}, http.StatusConflict)
	if err != nil {
		return nil, httpError(err)
	}
	if r.Status == http.StatusConflict {
		// The same signature was logged before: deterministic keys sign the
		// same twice. The log says where, and hands the entry out.
		id := path.Base(r.Location)
		if _, err := hex.DecodeString(id); err != nil || len(id) != 64 && len(id) != 80 {
			return nil, &Error{Reason: ReasonConflict, Status: r.Status, Msg: "the log has this signature already and does not say where"}
		}
		if r, err = webclient.Do(ctx, s.client, webclient.Request{Method: "GET", URL: entries.JoinPath(id), Accept: "application/json"}); err != nil {
			return nil, httpError(err)
		}
	}

	type anon struct {
		Body         []byte `json:"body"`
		Integrated   int64  `json:"integratedTime"`
		LogID        string `json:"logID"`
		LogIndex     int64  `json:"logIndex"`
		Verification struct {
			Proof struct {
				Checkpoint string   `json:"checkpoint"`
				Hashes     []string `json:"hashes"`
				LogIndex   int64    `json:"logIndex"`
				RootHash   string   `json:"rootHash"`
				TreeSize   int64    `json:"treeSize"`
			} `json:"inclusionProof"`
			SET []byte `json:"signedEntryTimestamp"`
		} `json:"verification"`
	}
	var answer map[string]anon
	if err := readAnswer(r.Body, &answer); err != nil {
		return nil, err
	}
	if len(answer) != 1 {
		return nil, fail(ReasonAnswer, "want one log entry, found %d", len(answer))
	}
	var a anon
	for _, a = range answer {
	}
	proof := a.Verification.Proof
	e := &entry{
		index: a.LogIndex, kind: kind, version: "0.0.1", integrated: a.Integrated, set: a.Verification.SET,
		leafIndex: proof.LogIndex, size: proof.TreeSize, checkpoint: proof.Checkpoint, body: a.Body,
	}
	var errs [2]error
	e.logID, errs[0] = hex.DecodeString(a.LogID)
	e.root, errs[1] = hex.DecodeString(proof.RootHash)
	if errs[0] != nil || errs[1] != nil {
		return nil, fail(ReasonAnswer, "log entry: want log id and root in hex")
	}
	for _, h := range proof.Hashes {
		b, err := hex.DecodeString(h)
		if err != nil {
			return nil, fail(ReasonAnswer, "log entry: want proof in hex")
		}
		e.hashes = append(e.hashes, b)
	}
	if len(e.set) == 0 || e.integrated <= 0 {
		return nil, fail(ReasonMismatch, "log entry: no signed entry timestamp")
	}

	var logged struct {
		APIVersion string          `json:"apiVersion"`
		Kind       string          `json:"kind"`
		Spec       json.RawMessage `json:"spec"`
	}
	if err := readAnswer(e.body, &logged); err != nil {
		return nil, err
	}
	same := logged.Kind == kind && logged.APIVersion == e.version
	if c.envelope != nil {
		var got struct {
			PayloadHash hash `json:"payloadHash"`
			Signatures  []struct {
				Signature []byte `json:"signature"`
				Verifier  []byte `json:"verifier"`
			} `json:"signatures"`
		}
		if err := readAnswer(logged.Spec, &got); err != nil {
			return nil, err
		}
		same = same && got.PayloadHash == hash{"sha256", hex.EncodeToString(sha(c.payload))} && len(got.Signatures) == 1 &&
			bytes.Equal(got.Signatures[0].Signature, c.signature) && bytes.Equal(got.Signatures[0].Verifier, text)
	} else {
		var got hashedRekord
		if err := readAnswer(logged.Spec, &got); err != nil {
			return nil, err
		}
		want := spec.(hashedRekord)
		same = same && got.Data == want.Data && bytes.Equal(got.Signature.Content, c.signature) &&
			bytes.Equal(got.Signature.PublicKey.Content, text)
	}
	if !same {
		return nil, fail(ReasonMismatch, "log entry: its body is not what was sent")
	}
	return e, e.check()
}

// check computes the tree's root from the entry and its proof and compares it
// with the checkpoint's (RFC 9162, section 2.1.3.2).
func (e *entry) check() error {
	if len(e.logID) != sha256.Size {
		return fail(ReasonAnswer, "log entry: want a log id of %d bytes, found %d", sha256.Size, len(e.logID))
	}
	if len(e.hashes) > limits.SigstoreProof || len(e.checkpoint) > limits.SigstoreCheckpoint {
		return fail(ReasonAnswer, "log entry: proof or checkpoint too large")
	}
	// origin, size, root: the first three lines of a checkpoint.
	lines := strings.SplitN(e.checkpoint, "\n", 4)
	if len(lines) < 4 || !strings.Contains(lines[3], "\n\u2014 ") && !strings.HasPrefix(lines[3], "\u2014 ") {
		return fail(ReasonAnswer, "log entry: no signed checkpoint")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	root, err2 := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || err2 != nil {
		return fail(ReasonAnswer, "log entry: malformed checkpoint")
	}
	if e.size != size || !bytes.Equal(e.root, root) {
		return fail(ReasonMismatch, "log entry: proof and checkpoint are about two trees")
	}
	got, ok := inclusionRoot(e.body, e.leafIndex, size, e.hashes)
	if !ok || !bytes.Equal(got, root) {
		return fail(ReasonMismatch, "log entry: the inclusion proof does not lead to the checkpoint's root")
	}
	return nil
}

// inclusionRoot computes a tree's root from a leaf and its audit path
// (RFC 9162, section 2.1.3.2).
func inclusionRoot(leaf []byte, index, size int64, proof [][]byte) ([]byte, bool) {
	if index < 0 || index >= size {
		return nil, false
	}
	for _, h := range proof {
		if len(h) != sha256.Size {
			return nil, false
		}
	}
	hash := sha(append([]byte{0}, leaf...))
	node := func(l, r []byte) []byte { return sha(append(append([]byte{1}, l...), r...)) }
	fn, sn := uint64(index), uint64(size-1)
	for _, p := range proof {
		if sn == 0 {
			return nil, false
		}
		if fn&1 == 1 || fn == sn {
			hash = node(p, hash)
			if fn&1 == 0 {
				n := bits.TrailingZeros64(fn)
				fn, sn = fn>>n, sn>>n
			}
		} else {
			hash = node(hash, p)
		}
		fn, sn = fn>>1, sn>>1
	}
	return hash, sn == 0
}

// readAnswer reads strict JSON of a server.
func readAnswer(data []byte, to any) error {
	if err := strictjson.Into(data, limits.HTTPBody, to); err != nil {
		return &Error{Reason: ReasonAnswer, Msg: "log entry", Err: err}
	}
	return nil
}

func parseInt64(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0, fail(ReasonAnswer, "log entry: want a number, found %.40q", s)
	}
	return n, nil
}

// protoHash names a hash in the words of protobuf-specs.
func protoHash(h crypto.Hash) string {
	return map[crypto.Hash]string{crypto.SHA256: "SHA2_256", crypto.SHA384: "SHA2_384", crypto.SHA512: "SHA2_512"}[h]
}
