package sigstore

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"strconv"
	"strings"
	"time"

	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"

	"github.com/hallmark-build/hallmark/internal/strictjson"
)

// isV2 says whether the entry is one of Rekor v2, which has no signed entry
// timestamps and one kind of entry.
func (e *entry) isV2() bool { return e.kind == "hashedrekord" && e.version == "0.0.2" }

// verifySET checks a signed entry timestamp (client-spec 4.2.2, rekor-spec):
// ECDSA over SHA-256 of the RFC 8785 encoding of body, time, log and index.
func (e *entry) verifySET(l *tlog) error {
	key, ok := l.key.(*ecdsa.PublicKey)
	if !ok {
		return failf(ReasonSET, specSET, "signed entry timestamp of a log whose key is not ECDSA")
	}
	// RFC 8785 3.2.2.3: integers beyond 2^53 have no canonical form.
	if e.integratedTime <= 0 || e.integratedTime > 1<<53 || e.logIndex > 1<<53 {
		return failf(ReasonSET, specSET, "signed entry timestamp without a time, or with numbers beyond 2^53")
	}
	b := make([]byte, 0, base64.StdEncoding.EncodedLen(len(e.body))+192)
	b = append(b, `{"body":"`...)
	b = base64.StdEncoding.AppendEncode(b, e.body)
	b = append(b, `","integratedTime":`...)
	b = strconv.AppendInt(b, e.integratedTime, 10)
	b = append(b, `,"logID":"`...)
	b = hex.AppendEncode(b, e.logID)
	b = append(b, `","logIndex":`...)
	b = strconv.AppendInt(b, e.logIndex, 10)
	b = append(b, '}')
	digest := sha256.Sum256(b)
	if !ecdsa.VerifyASN1(key, digest[:], e.set) {
		return failf(ReasonSET, specSET, "signed entry timestamp does not verify")
	}
	return nil
}

// A Witness cosigns checkpoints (C2SP tlog-cosignature): Ed25519 with the
// name that its signature lines carry.
type Witness struct {
	Name string
	Key  ed25519.PublicKey
}

// A checkpoint is one that verified.
type checkpoint struct {
	origin    string
	size      uint64
	root      []byte
	witnesses int
}

type checkpointKey struct {
	log      *tlog
	v2       bool
	envelope string
}

// checkpoint verifies the checkpoint of an inclusion proof (C2SP
// tlog-checkpoint and signed-note), or remembers that it did. The envelope is
// part of the key in full, so nothing is remembered of what was not verified.
func (v *Verifier) checkpoint(l *tlog, envelope string, v2 bool) (*checkpoint, error) {
	k := checkpointKey{l, v2, envelope}
	if c, ok := v.checkpoints.get(k); ok {
		return c, nil
	}
	c, err := v.openCheckpoint(l, envelope, v2)
	if err != nil {
		return nil, err
	}
	v.checkpoints.put(k, c)
	return c, nil
}

func (v *Verifier) openCheckpoint(l *tlog, envelope string, v2 bool) (*checkpoint, error) {
	c, err := parseCheckpoint(envelope)
	if err != nil {
		return nil, err
	}
	// In Rekor v2 the origin is the log's name, the host of its URL
	// (rekor-v2-spec); in v1 it is "host - tree id", and whatever host the
	// operator configured signs by that name.
	name := l.host
	if !v2 {
		host, tree, ok := cutLast(c.origin, " - ")
		if _, err := strconv.ParseUint(tree, 10, 64); !ok || err != nil {
			return nil, failf(ReasonCheckpoint, "rekor-spec", "origin %.80q is not that of a Rekor v1 log", c.origin)
		}
		name = host
	} else if name == "" || c.origin != name {
		return nil, failf(ReasonCheckpoint, specRekor2, "checkpoint with origin %.80q, want %.80q", c.origin, name)
	}
	verifiers := make([]note.Verifier, 1, 1+len(v.witnesses))
	verifiers[0] = &logVerifier{name, l, l.noteKeyHash(name, v2)}
	for i := range v.witnesses {
		verifiers = append(verifiers, &v.witnesses[i])
	}
	// Open ignores signatures by others, wherever they stand, and refuses a
	// wrong one by somebody that it knows.
	n, err := note.Open([]byte(envelope), note.VerifierList(verifiers...))
	if err != nil {
		return nil, wrapf(err, ReasonCheckpoint, specNote, "checkpoint of log %.80q", l.baseURL)
	}
	byLog := false
	for _, s := range n.Sigs {
		if s.Name == name && s.Hash == verifiers[0].KeyHash() {
			byLog = true
		} else {
			c.witnesses++ // Open keeps one signature for each verifier
		}
	}
	if !byLog {
		return nil, failf(ReasonCheckpoint, specNote, "checkpoint is not signed by log %.80q", l.baseURL)
	}
	return c, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// parseCheckpoint reads the text of a checkpoint (C2SP tlog-checkpoint):
// origin, size and root hash, a line each, then lines that extend it.
func parseCheckpoint(envelope string) (*checkpoint, error) {
	bad := func(what string) (*checkpoint, error) {
		return nil, failf(ReasonCheckpoint, specNote, "checkpoint: %s", what)
	}
	text, _, ok := cutLast(envelope, "\n\n")
	if !ok {
		return bad("no signatures")
	}
	origin, rest, ok1 := strings.Cut(text, "\n")
	size, rest, ok2 := strings.Cut(rest, "\n")
	root, _, _ := strings.Cut(rest, "\n")
	if !ok1 || !ok2 || origin == "" {
		return bad("want origin, size and root hash")
	}
	c := &checkpoint{origin: origin}
	var err error
	if c.size, err = strconv.ParseUint(size, 10, 63); err != nil || strconv.FormatUint(c.size, 10) != size {
		return bad("malformed size")
	}
	if c.root, ok = decodeBase64([]byte(root)); !ok || len(c.root) != sha256.Size {
		return bad("malformed root hash")
	}
	return c, nil
}

// noteKeyHash is the key id on signature lines: in C2SP form, SHA-256 of name
// and key for Ed25519; for ECDSA, and for every key of Rekor v1, SHA-256 of
// the key's DER.
func (l *tlog) noteKeyHash(name string, v2 bool) uint32 {
	var h [32]byte
	switch key := l.key.(type) {
	case ed25519.PublicKey:
		h = sha256.Sum256(append([]byte(name+"\n\x01"), key...))
		if !v2 {
			h = sha256.Sum256(l.spki)
		}
	case *ecdsa.PublicKey:
		h = sha256.Sum256(l.spki)
	default:
		h = sha256.Sum256(append([]byte(name+"\n\xffPKIX-RSA-PKCS#1v1.5"), l.spki...))
		if !v2 {
			h = sha256.Sum256(l.spki)
		}
	}
	return binary.BigEndian.Uint32(h[:])
}

// A logVerifier is a note.Verifier for a log's key.
type logVerifier struct {
	name string
	log  *tlog
	hash uint32
}

func (v *logVerifier) Name() string                { return v.name }
func (v *logVerifier) KeyHash() uint32             { return v.hash }
func (v *logVerifier) Verify(msg, sig []byte) bool { return v.log.verify(msg, sig) }

// A witnessVerifier is a note.Verifier for cosignatures of type 0x04 (C2SP
// tlog-cosignature): 8 bytes of time, then Ed25519 over time and checkpoint.
type witnessVerifier struct {
	Witness
	hash uint32
}

func (v *witnessVerifier) Name() string    { return v.Witness.Name }
func (v *witnessVerifier) KeyHash() uint32 { return v.hash }
func (v *witnessVerifier) Verify(msg, sig []byte) bool {
	if len(sig) != 8+ed25519.SignatureSize {
		return false
	}
	m := append([]byte("cosignature/v1\ntime "), strconv.FormatUint(binary.BigEndian.Uint64(sig), 10)...)
	return ed25519.Verify(v.Key, append(append(m, '\n'), msg...), sig[8:])
}

// verifyInclusion verifies that the log with the entry's checkpoint holds the
// entry (RFC 6962 2.1.1). Size and root are those of the verified checkpoint.
func (v *Verifier) verifyInclusion(e *entry, l *tlog) (index int64, err error) {
	c, err := v.checkpoint(l, e.proof.checkpoint, e.isV2())
	if err != nil {
		return 0, err
	}
	if c.witnesses < v.witnessThreshold {
		return 0, failf(ReasonWitness, "C2SP tlog-cosignature", "checkpoint has %d cosignatures of the witnesses, want %d", c.witnesses, v.witnessThreshold)
	}
	if e.isV2() {
		// rekor-v2-spec: the other fields of the proof repeat what is known.
		index = e.logIndex
	} else {
		// Rekor v1: the index is that within the shard, and the proof repeats
		// the checkpoint, to which it has to be true.
		index = e.proof.logIndex
		if uint64(e.proof.treeSize) != c.size || !bytes.Equal(e.proof.rootHash, c.root) {
			return 0, failf(ReasonInclusion, "rekor-spec", "inclusion proof is for another tree than its checkpoint")
		}
	}
	hasher := rfc6962.DefaultHasher
	if proof.VerifyInclusion(hasher, uint64(index), c.size, hasher.HashLeaf(e.body), e.proof.hashes, c.root) != nil {
		return 0, failf(ReasonInclusion, "RFC 6962 2.1.1", "inclusion proof does not lead from log entry %d to the checkpoint of size %d", index, c.size)
	}
	return index, nil
}

// signer is what the entry's body must name: the leaf certificate, or the
// managed key.
type signer struct {
	key         crypto.PublicKey
	certificate []byte // DER, or nil
	spki        []byte // DER of a managed key, if certificate is nil
}

// checkKind checks that the kind of entry is a known one, for this kind of
// content (client-spec 4.4: "if no type is found, abort").
func (e *entry) checkKind(isEnvelope bool) error {
	switch kind := e.kind + " " + e.version; kind {
	case "hashedrekord 0.0.2":
	case "hashedrekord 0.0.1", "dsse 0.0.1", "intoto 0.0.2":
		if isEnvelope != (e.kind != "hashedrekord") {
			return failf(ReasonEntryOther, specEntry, "log entry of kind %s for a bundle with another kind of content", kind)
		}
	default:
		return failf(ReasonEntry, specEntry, "unsupported kind of log entry %.40q", kind)
	}
	return nil
}

// checkBody holds the body of an entry against the bundle (client-spec 4.4):
// signature, key and digest.
func (e *entry) checkBody(b *Bundle, s *signer, sub *subject) error {
	if e.isV2() {
		return e.checkV2(b, s, sub)
	}
	body, err := parseBody(e.body, e.kind+" "+e.version)
	if err != nil {
		return err
	}
	if !bytes.Equal(body.signature, b.signature) {
		return failf(ReasonEntryOther, specEntry, "log entry is about another signature")
	}
	if err := s.isPEM(body.verifier); err != nil {
		return err
	}
	if body.payloadType != "" && body.payloadType != b.payloadType {
		return failf(ReasonEntryOther, specEntry, "log entry is about payload type %.80q, not %.80q", body.payloadType, b.payloadType)
	}
	var want []byte
	if b.isEnvelope {
		want = sum(body.hash, b.payload)
	} else {
		want = sub.digest(body.hash)
		if want == nil {
			return failf(ReasonArtifact, specEntry, "want the artifact's %v digest, which the log entry names", body.hash)
		}
	}
	if hex.EncodeToString(want) != body.digest {
		return failf(ReasonEntryOther, specEntry, "log entry is about content with another digest")
	}
	return nil
}

// A body is what the bodies of Rekor v1 have in common.
type body struct {
	signature   []byte
	verifier    []byte // PEM
	hash        crypto.Hash
	digest      string // lower-case hex
	payloadType string
}

// parseBody reads the body of a Rekor v1 entry (rekor pkg/types, schemas of
// hashedrekord 0.0.1, dsse 0.0.1 and intoto 0.0.2).
func parseBody(data []byte, want string) (*body, error) {
	f := new(body)
	p := strictjson.NewParser(data, 0)
	var kind, version string
	var signatures, digests int
	b64 := func(into *[]byte) error {
		b, err := base64Bytes(p, len(data))
		*into = b
		return err
	}
	text := func(into *string) (err error) {
		*into, err = p.String()
		return err
	}
	readHash := func() error {
		digests++
		var algorithm string
		err := message(p, []string{"algorithm", "value"}, func(name string) error {
			if name == "algorithm" {
				return text(&algorithm)
			}
			return text(&f.digest)
		})
		if f.hash = rekorHashes[algorithm]; f.hash == 0 && err == nil {
			err = p.Failf(ReasonEntry, "log entry with hash algorithm %.40q", algorithm)
		}
		return err
	}
	// signature reads {signature, verifier} of dsse and {sig, publicKey} of
	// intoto, where the signature is in base64 twice.
	signature := func(sig, key string) func() error {
		return func() error {
			signatures++
			return message(p, []string{sig, key}, func(name string) error {
				if name == key {
					return b64(&f.verifier)
				}
				err := b64(&f.signature)
				if err == nil && want == "intoto 0.0.2" {
					var ok bool
					if f.signature, ok = decodeBase64(f.signature); !ok {
						err = p.Failf(ReasonEntry, "want base64 in the base64 of a signature")
					}
				}
				return err
			})
		}
	}
	spec := func() error {
		switch want {
		case "hashedrekord 0.0.1":
			return message(p, []string{"data", "signature"}, func(name string) error {
				if name == "data" {
					return message(p, []string{"hash"}, func(string) error { return readHash() })
				}
				signatures++
				return message(p, []string{"content", "publicKey"}, func(name string) error {
					if name == "content" {
						return b64(&f.signature)
					}
					return message(p, []string{"content"}, func(string) error { return b64(&f.verifier) })
				})
			})
		case "dsse 0.0.1":
			return message(p, []string{"payloadHash", "signatures"}, func(name string) error {
				if name == "payloadHash" {
					return readHash()
				}
				return array(p, "signatures", 2, signature("signature", "verifier"))
			})
		}
		// intoto 0.0.2
		return message(p, []string{"content"}, func(string) error {
			return message(p, []string{"envelope", "payloadHash"}, func(name string) error {
				if name == "payloadHash" {
					return readHash()
				}
				return message(p, []string{"payloadType", "signatures"}, func(name string) error {
					if name == "payloadType" {
						return text(&f.payloadType)
					}
					return array(p, "signatures", 2, signature("sig", "publicKey"))
				})
			})
		})
	}
	err := message(p, []string{"apiVersion", "kind", "spec"}, func(name string) error {
		switch name {
		case "apiVersion":
			return text(&version)
		case "kind":
			return text(&kind)
		}
		return spec()
	})
	if err == nil {
		err = p.End()
	}
	if err != nil {
		return nil, wrapf(err, ReasonEntry, specEntry, "body of a log entry of kind %s", want)
	}
	// sigstore_rekor.proto: kind and version "MUST match" the body's.
	if kind+" "+version != want {
		return nil, failf(ReasonEntry, specEntry, "log entry says that it is %s, and its body %.40q", want, kind+" "+version)
	}
	if signatures != 1 || digests != 1 || len(f.signature) == 0 || len(f.verifier) == 0 {
		return nil, failf(ReasonEntry, specEntry, "want one signature, one key and one digest in the body of a log entry")
	}
	if want == "intoto 0.0.2" && f.payloadType == "" {
		return nil, failf(ReasonEntry, specEntry, "body of a log entry without payload type")
	}
	return f, nil
}

// isPEM checks that text is the signer's certificate or key in PEM, and
// nothing else.
func (s *signer) isPEM(text []byte) error {
	block, rest := pem.Decode(text)
	if block == nil || !bytes.HasPrefix(text, []byte("-----BEGIN ")) || len(bytes.TrimSpace(rest)) > 0 {
		return failf(ReasonEntry, specEntry, "want one PEM block for the key of a log entry")
	}
	if s.certificate != nil && (block.Type != "CERTIFICATE" || !bytes.Equal(block.Bytes, s.certificate)) {
		return failf(ReasonEntryOther, specEntry, "log entry is about another certificate")
	}
	if s.certificate == nil && (block.Type != "PUBLIC KEY" || !bytes.Equal(block.Bytes, s.spki)) {
		return failf(ReasonEntryOther, specEntry, "log entry is about another key")
	}
	return nil
}

// checkV2 holds the body of a Rekor v2 entry against the bundle: it is fully
// determined by it (rekor-v2-spec), so it must be this, byte for byte.
func (e *entry) checkV2(b *Bundle, s *signer, sub *subject) error {
	h, details := keyHash(s.key)
	var algorithm string
	for name, hash := range protoHashes {
		if hash == h {
			algorithm = name
		}
	}
	digest := sub.digest(h)
	if digest == nil {
		return failf(ReasonArtifact, specEntry, "want the artifact's %v digest, which the log entry names", h)
	}
	enc := base64.StdEncoding
	want := make([]byte, 0, 320+enc.EncodedLen(len(b.signature))+enc.EncodedLen(len(s.certificate)+len(s.spki)))
	want = append(want, `{"apiVersion":"0.0.2","kind":"hashedrekord","spec":{"hashedRekordV002":{"data":{"algorithm":"`...)
	want = append(want, algorithm...)
	want = append(want, `","digest":"`...)
	digestAt := len(want)
	want = enc.AppendEncode(want, digest)
	want = append(want, `"},"signature":{"content":"`...)
	signatureAt := len(want)
	want = enc.AppendEncode(want, b.signature)
	want = append(want, `","verifier":{"keyDetails":"`...)
	want = append(want, details...)
	if s.certificate != nil {
		want = append(want, `","x509Certificate":{"rawBytes":"`...)
		want = enc.AppendEncode(want, s.certificate)
	} else {
		want = append(want, `","publicKey":{"rawBytes":"`...)
		want = enc.AppendEncode(want, s.spki)
	}
	want = append(want, `"}}}}}}`...)
	if bytes.Equal(want, e.body) {
		return nil
	}
	// Say where they part.
	part := 0
	for part < len(want) && part < len(e.body) && want[part] == e.body[part] {
		part++
	}
	switch {
	case part < digestAt:
		return failf(ReasonEntry, specRekor2, "body of a log entry is not a hashedrekord 0.0.2 with a digest by %s", algorithm)
	case part < signatureAt:
		return failf(ReasonEntryOther, specEntry, "log entry is about content with another digest")
	case part < signatureAt+enc.EncodedLen(len(b.signature)):
		return failf(ReasonEntryOther, specEntry, "log entry is about another signature")
	}
	return failf(ReasonEntryOther, specEntry, "log entry is about another key or certificate")
}

// trustedAt returns the instance of the entry's log that is trusted at t. Its
// key's window is inclusive (client-spec 6).
func (v *Verifier) trustedAt(logs []*tlog, t time.Time) (*tlog, error) {
	for _, l := range logs {
		if l.validFor.contains(t) {
			return l, nil
		}
	}
	return nil, failf(ReasonValidity, specSET, "log %.80q is not trusted at %s", logs[0].baseURL, t.UTC().Format(time.RFC3339))
}
