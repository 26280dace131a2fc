package sigstore

import (
	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/strictjson"
)

// A Bundle is a parsed Sigstore bundle of which nothing has been verified.
// It is immutable and does not alias the document.
type Bundle struct {
	version     int // 1, 2 or 3 for v0.1, v0.2 and v0.3
	certificate []byte
	hasChain    bool   // certificate came as the first of a chain
	keyHint     string // of a managed key, if certificate is nil
	entries     []entry
	timestamps  [][]byte

	// Either an envelope, if isEnvelope, …
	isEnvelope  bool
	payloadType string
	payload     []byte
	keyID       string
	// … or a signature over an artifact, with an unauthenticated hint at its
	// digest.
	digestHint algorithmDigest

	signature []byte
}

type algorithmDigest struct {
	algorithm string // "SHA2_256", …; empty if there is none
	digest    []byte
}

// An entry is a rekor.v1.TransparencyLogEntry.
type entry struct {
	logIndex       int64
	logID          []byte
	kind, version  string
	integratedTime int64
	set            []byte
	proof          *inclusionProof
	body           []byte
}

// An inclusionProof is a rekor.v1.InclusionProof.
type inclusionProof struct {
	logIndex   int64
	rootHash   []byte
	treeSize   int64
	hashes     [][]byte
	checkpoint string
}

// Media types of bundles (sigstore_bundle.proto). v0.3 has two spellings.
var bundleVersions = map[string]int{
	"application/vnd.dev.sigstore.bundle+json;version=0.1": 1,
	"application/vnd.dev.sigstore.bundle+json;version=0.2": 2,
	"application/vnd.dev.sigstore.bundle+json;version=0.3": 3,
	"application/vnd.dev.sigstore.bundle.v0.3+json":        3,
}

// ParseBundle reads a bundle of v0.1, v0.2 or v0.3 from the whole of data:
// at most [limits.Statement] bytes, 32 log entries and 32 timestamps. It
// checks form only; see the package comment for the JSON that is accepted.
// Errors are *strictjson.Error or *[Error].
func ParseBundle(data []byte) (*Bundle, error) {
	p := strictjson.NewParser(data, limits.Statement)
	b, err := readBundle(p)
	if err != nil {
		return nil, err
	}
	if err := p.End(); err != nil {
		return nil, err
	}
	return b, b.check()
}

// Version returns "v0.1", "v0.2" or "v0.3".
func (b *Bundle) Version() string { return [...]string{1: "v0.1", 2: "v0.2", 3: "v0.3"}[b.version] }

// UnverifiedKeyHint returns the hint that names the managed key, and whether
// the bundle is signed with one rather than with a certificate.
func (b *Bundle) UnverifiedKeyHint() (hint string, isKey bool) {
	return b.keyHint, b.certificate == nil
}

// UnverifiedPayload returns payload type and payload of a DSSE envelope that
// nothing vouches for yet, and whether the bundle has one. The caller must not
// change payload.
func (b *Bundle) UnverifiedPayload() (payloadType string, payload []byte, isEnvelope bool) {
	return b.payloadType, b.payload, b.isEnvelope
}

func readBundle(p *strictjson.Parser) (*Bundle, error) {
	b := new(Bundle)
	var hasMaterial, hasMessage bool
	err := message(p, []string{"mediaType", "verificationMaterial", "messageSignature", "dsseEnvelope"}, func(name string) (err error) {
		switch name {
		case "mediaType":
			var s string
			if s, err = p.String(); err != nil {
				return err
			}
			if b.version = bundleVersions[s]; b.version == 0 {
				return failf(ReasonMediaType, specProto, "unknown media type %.80q, want that of bundle v0.1, v0.2 or v0.3", s)
			}
		case "verificationMaterial":
			hasMaterial = true
			err = b.readMaterial(p)
		case "messageSignature":
			hasMessage = true
			err = b.readMessageSignature(p)
		case "dsseEnvelope":
			b.isEnvelope = true
			err = b.readEnvelope(p)
		}
		return err
	})
	switch {
	case err != nil:
		return nil, err
	case b.version == 0:
		return nil, failf(ReasonMediaType, specProto, "bundle has no mediaType")
	case !hasMaterial:
		return nil, failf(ReasonFormat, specProto, "bundle has no verificationMaterial")
	case hasMessage == b.isEnvelope:
		return nil, failf(ReasonFormat, specProto, "want exactly one of messageSignature and dsseEnvelope")
	}
	return b, nil
}

func (b *Bundle) readMaterial(p *strictjson.Parser) error {
	contents := 0
	isKey := false
	err := message(p, []string{"certificate", "x509CertificateChain", "publicKey", "tlogEntries", "timestampVerificationData"}, func(name string) (err error) {
		switch name {
		case "certificate":
			contents++
			b.certificate, err = readRawBytes(p, "certificate")
		case "x509CertificateChain":
			contents++
			b.hasChain = true
			err = b.readChain(p)
		case "publicKey":
			contents++
			isKey = true
			err = message(p, []string{"hint"}, func(string) (err error) {
				b.keyHint, err = p.String()
				return err
			})
		case "tlogEntries":
			err = array(p, "log entries", limits.SigstoreLogEntries, func() error {
				e, err := readEntry(p)
				b.entries = append(b.entries, e)
				return err
			})
		case "timestampVerificationData":
			err = message(p, []string{"rfc3161Timestamps"}, func(string) error {
				return array(p, "timestamps", limits.SigstoreTimestamps, func() error {
					var ts []byte
					err := message(p, []string{"signedTimestamp"}, func(string) (err error) {
						ts, err = base64Bytes(p, limits.SigstoreTimestamp)
						return err
					})
					b.timestamps = append(b.timestamps, ts)
					return err
				})
			})
		}
		return err
	})
	if err != nil {
		return err
	}
	if contents != 1 {
		return failf(ReasonFormat, specProto, "want exactly one of certificate, x509CertificateChain and publicKey, found %d", contents)
	}
	if !isKey && len(b.certificate) == 0 {
		return failf(ReasonFormat, specProto, "bundle has an empty certificate")
	}
	return nil
}

// readChain keeps the leaf. The other certificates are not used, not even to
// build a path: intermediates come from the trusted root (client-spec 4.6,
// out-of-band intermediate CAs).
func (b *Bundle) readChain(p *strictjson.Parser) error {
	n := 0
	return message(p, []string{"certificates"}, func(string) error {
		return array(p, "certificates", limits.SigstoreChain, func() error {
			raw, err := readRawBytes(p, "certificate")
			if n == 0 {
				b.certificate = raw
			}
			n++
			return err
		})
	})
}

func readRawBytes(p *strictjson.Parser, what string) (raw []byte, err error) {
	err = message(p, []string{"rawBytes"}, func(string) (err error) {
		raw, err = base64Bytes(p, limits.SigstoreCertificate)
		return err
	})
	if err == nil && len(raw) == 0 {
		err = failf(ReasonFormat, specProto, "empty %s", what)
	}
	return raw, err
}

func (b *Bundle) readMessageSignature(p *strictjson.Parser) error {
	return message(p, []string{"messageDigest", "signature"}, func(name string) (err error) {
		if name == "signature" {
			b.signature, err = base64Bytes(p, maxSignature)
			return err
		}
		err = message(p, []string{"algorithm", "digest"}, func(name string) (err error) {
			if name == "digest" {
				b.digestHint.digest, err = base64Bytes(p, 128)
				return err
			}
			if b.digestHint.algorithm, err = p.String(); err == nil && protoHashes[b.digestHint.algorithm] == 0 {
				err = p.Failf(ReasonFormat, "unknown digest algorithm %.40q", b.digestHint.algorithm)
			}
			return err
		})
		if err == nil && (b.digestHint.algorithm == "") != (len(b.digestHint.digest) == 0) {
			err = p.Failf(ReasonFormat, "messageDigest with algorithm or digest alone")
		}
		return err
	})
}

// maxSignature is larger than any signature of a scheme that is accepted.
const maxSignature = 16 << 10

// readEnvelope reads the DSSE envelope. Its fields are those of the DSSE
// specification, but in the proto3 mapping: standard base64, and what is
// absent is empty.
func (b *Bundle) readEnvelope(p *strictjson.Parser) error {
	var keyID string
	signatures := 0
	err := message(p, []string{"payload", "payloadType", "signatures"}, func(name string) (err error) {
		switch name {
		case "payload":
			b.payload, err = base64Bytes(p, limits.Statement)
		case "payloadType":
			b.payloadType, err = p.String()
		case "signatures":
			err = array(p, "signatures", limits.Signatures, func() error {
				signatures++
				return message(p, []string{"sig", "keyid"}, func(name string) (err error) {
					if name == "sig" {
						b.signature, err = base64Bytes(p, maxSignature)
					} else {
						keyID, err = p.String()
					}
					return err
				})
			})
		}
		return err
	})
	if err != nil {
		return err
	}
	// sigstore_bundle.proto: "DSSE envelopes in a bundle MUST have exactly
	// one signature", although DSSE allows more.
	if signatures != 1 {
		return failf(ReasonEnvelope, specProto, "want a DSSE envelope with exactly one signature, found %d", signatures)
	}
	b.keyID = keyID
	return nil
}

func readEntry(p *strictjson.Parser) (e entry, err error) {
	err = message(p, []string{"logIndex", "logId", "kindVersion", "integratedTime", "inclusionPromise", "inclusionProof", "canonicalizedBody"}, func(name string) (err error) {
		switch name {
		case "logIndex":
			e.logIndex, err = int64String(p)
		case "logId":
			err = message(p, []string{"keyId"}, func(string) (err error) {
				e.logID, err = base64Bytes(p, 64)
				return err
			})
		case "kindVersion":
			err = message(p, []string{"kind", "version"}, func(name string) (err error) {
				if name == "kind" {
					e.kind, err = p.String()
				} else {
					e.version, err = p.String()
				}
				return err
			})
		case "integratedTime":
			e.integratedTime, err = int64String(p)
		case "inclusionPromise":
			err = message(p, []string{"signedEntryTimestamp"}, func(string) (err error) {
				e.set, err = base64Bytes(p, maxSignature)
				return err
			})
			if err == nil && len(e.set) == 0 {
				err = failf(ReasonFormat, specProto, "inclusionPromise without signedEntryTimestamp")
			}
		case "inclusionProof":
			e.proof, err = readProof(p)
		case "canonicalizedBody":
			e.body, err = base64Bytes(p, limits.Statement)
		}
		return err
	})
	switch {
	case err != nil:
	case len(e.logID) == 0:
		err = failf(ReasonFormat, specProto, "log entry has no logId")
	case e.kind == "" || e.version == "":
		err = failf(ReasonFormat, specProto, "log entry has no kindVersion")
	case len(e.body) == 0:
		err = failf(ReasonFormat, specProto, "log entry has no canonicalizedBody")
	case e.logIndex < 0 || e.integratedTime < 0:
		err = failf(ReasonFormat, specProto, "log entry with a negative logIndex or integratedTime")
	}
	return e, err
}

func readProof(p *strictjson.Parser) (*inclusionProof, error) {
	f := new(inclusionProof)
	err := message(p, []string{"logIndex", "rootHash", "treeSize", "hashes", "checkpoint"}, func(name string) (err error) {
		switch name {
		case "logIndex":
			f.logIndex, err = int64String(p)
		case "rootHash":
			f.rootHash, err = base64Bytes(p, 64)
		case "treeSize":
			f.treeSize, err = int64String(p)
		case "hashes":
			err = array(p, "hashes of an inclusion proof", limits.SigstoreProof, func() error {
				h, err := base64Bytes(p, 64)
				if err == nil && len(h) != 32 {
					err = p.Failf(ReasonFormat, "want hashes of 32 bytes in an inclusion proof, found %d", len(h))
				}
				f.hashes = append(f.hashes, h)
				return err
			})
		case "checkpoint":
			err = message(p, []string{"envelope"}, func(string) (err error) {
				if f.checkpoint, err = p.String(); err == nil && len(f.checkpoint) > limits.SigstoreCheckpoint {
					err = p.Failf(ReasonLimit, "checkpoint of more than %d bytes", limits.SigstoreCheckpoint)
				}
				return err
			})
		}
		return err
	})
	if err == nil && (f.logIndex < 0 || f.treeSize < 0) {
		err = failf(ReasonFormat, specProto, "inclusion proof with a negative logIndex or treeSize")
	}
	return f, err
}

// check holds the content against the version of the bundle
// (sigstore_bundle.proto, comments of Bundle and VerificationMaterial), which
// may come last in the document.
func (b *Bundle) check() error {
	if b.version == 3 && b.hasChain {
		return failf(ReasonVersion, specProto, "a v0.3 bundle carries a leaf certificate, not a chain")
	}
	if b.version < 3 && b.certificate != nil && !b.hasChain {
		return failf(ReasonVersion, specProto, "a %s bundle carries a certificate chain, not a single certificate", b.Version())
	}
	for i := range b.entries {
		e := &b.entries[i]
		switch {
		case b.version == 1 && e.set == nil:
			return failf(ReasonVersion, specProto, "log entry %d of a v0.1 bundle has no inclusion promise", i)
		case b.version > 1 && (e.proof == nil || e.proof.checkpoint == ""):
			return failf(ReasonVersion, specProto, "log entry %d of a %s bundle has no inclusion proof with a checkpoint", i, b.Version())
		}
	}
	if len(b.signature) == 0 {
		return failf(ReasonFormat, specProto, "bundle has no signature")
	}
	// sigstore_bundle.proto: "the hint and the DSSE keyid MUST be identical
	// when both are used".
	if b.certificate == nil && b.keyID != "" && b.keyHint != "" && b.keyID != b.keyHint {
		return failf(ReasonKey, specProto, "key hint %.80q differs from the keyid %.80q of the envelope", b.keyHint, b.keyID)
	}
	return nil
}
