package sigstore

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/sigalg"
)

// Config says what a Verifier requires of every log. The zero value requires
// no witnesses.
type Config struct {
	// Witnesses are the parties whose cosignatures of checkpoints are known;
	// those of others are ignored, a wrong one by one of these is refused.
	Witnesses []Witness
	// WitnessThreshold is how many of them must have cosigned the checkpoint
	// of every log entry that counts.
	WitnessThreshold int
}

// A Verifier verifies bundles under one trusted root. It is safe for use by
// many goroutines at once.
type Verifier struct {
	root             *TrustedRoot
	issuers          map[string][]issuer // by raw subject
	witnesses        []witnessVerifier
	witnessThreshold int
	checkpoints      cache[checkpointKey, *checkpoint]
	leaves           cache[string, *verifiedLeaf] // by DER
}

// A verifiedLeaf is a leaf with what was found out about it that does not
// depend on the bundle: who issued it, and who logged it. Validity is not part
// of that.
type verifiedLeaf struct {
	*leaf
	issuers []issuer
	sctsBy  int // operators of CT logs
}

// NewVerifier returns a Verifier for a root, which it keeps.
func NewVerifier(root *TrustedRoot, c Config) (*Verifier, error) {
	if root == nil {
		return nil, failf(ReasonOptions, specRoot, "no trusted root")
	}
	v := &Verifier{root: root, issuers: make(map[string][]issuer), witnessThreshold: c.WitnessThreshold}
	v.checkpoints.max = limits.SigstoreCheckpoints
	v.leaves.max = limits.SigstoreLeaves
	for _, a := range root.cas {
		for i, ca := range a.chain {
			v.issuers[string(ca.RawSubject)] = append(v.issuers[string(ca.RawSubject)], issuer{a, i})
		}
	}
	for i, w := range c.Witnesses {
		if w.Name == "" || len(w.Key) != ed25519.PublicKeySize {
			return nil, failf(ReasonOptions, "C2SP tlog-cosignature", "witness %d has no name or no Ed25519 key", i)
		}
		for _, other := range v.witnesses {
			if other.Key.Equal(w.Key) {
				return nil, failf(ReasonOptions, "C2SP tlog-cosignature", "witnesses %q and %q have one key", other.Witness.Name, w.Name)
			}
		}
		h := sha256.Sum256(append([]byte(w.Name+"\n\x04"), w.Key...))
		v.witnesses = append(v.witnesses, witnessVerifier{Witness{w.Name, slices.Clone(w.Key)}, binary.BigEndian.Uint32(h[:])})
	}
	if c.WitnessThreshold < 0 || c.WitnessThreshold > len(c.Witnesses) {
		return nil, failf(ReasonOptions, "C2SP tlog-cosignature", "want cosignatures of %d of %d witnesses", c.WitnessThreshold, len(c.Witnesses))
	}
	return v, nil
}

// Options say what one bundle must bring. The zero value is what the client
// specification asks for: a signed certificate timestamp, an entry in a
// transparency log and a trusted time, one of each, and a certificate rather
// than a key.
type Options struct {
	// Logs, Times and SCTs are how many operators, of transparency logs, of
	// timestamp authorities and logs together, and of certificate
	// transparency logs, must vouch for the bundle. 0 means 1.
	Logs, Times, SCTs int
	// SignedTimes is how many operators of timestamp authorities must: those
	// of RFC 3161 timestamps alone. 0 means none in particular.
	SignedTimes int

	// NoLogUnsafe and NoSCTUnsafe accept bundles without log entry or signed
	// certificate timestamp, as some private deployments make them. What a
	// bundle has is verified all the same.
	NoLogUnsafe, NoSCTUnsafe bool

	// Artifact is what a bundle without envelope must be about. It must be
	// nil for one with an envelope, whose payload says what it is about.
	Artifact *Artifact

	// Key is the managed key that must have signed. Without it a bundle must
	// have a certificate.
	Key *Key
	// Now is the time at which Key counts as used, and entries of logs as
	// made, if the bundle has no trusted time. The zero time means that a trusted time is required. It
	// never stands in for the time of a certificate.
	Now time.Time
}

// An Artifact is what was signed: its bytes, or digests of them that the
// caller computed itself. The hash that is needed is that of the signer's key
// (SHA-256 for P-256 and RSA, SHA-384 for P-384, SHA-512 for P-521 and
// Ed25519), that of the log entry, and that of the bundle's hint; nearly
// always all are SHA-256.
type Artifact struct {
	Bytes   []byte
	Digests map[crypto.Hash][]byte // SHA-256, SHA-384, SHA-512; not used if Bytes is not nil
}

// A Key is a managed key: ECDSA on P-256, P-384 or P-521, Ed25519, or RSA of
// 2048 bits or more, which signs with PKCS #1 v1.5.
type Key struct {
	Public crypto.PublicKey
	// ValidFrom and ValidUntil, both inclusive, bound when it may have
	// signed. The zero time leaves an end open.
	ValidFrom, ValidUntil time.Time
}

// A Result is what a bundle proves.
type Result struct {
	// Certificate is the signer's, nil if Key was used.
	Certificate *Certificate
	// PublicKey is the key that signed.
	PublicKey crypto.PublicKey
	// Times are the trusted times before which the signature was made, at
	// least one, earliest first; the same instant by two sources is there
	// twice.
	Times []Time
	// LogEntries are the verified entries, in the order of the bundle.
	LogEntries []LogEntry

	// PayloadType and Payload are those of the envelope, if IsEnvelope. The
	// caller must not change Payload.
	IsEnvelope  bool
	PayloadType string
	Payload     []byte

	// Digest is what the signature is over, by Hash: the artifact's digest, or
	// that of the envelope's pre-authentication encoding. Hash is 0 for an
	// Ed25519 signature over an envelope, which has none.
	Hash   crypto.Hash
	Digest []byte
}

// A Time is one that a trusted party vouches for.
type Time struct {
	Time     time.Time
	Source   TimeSource
	URI      string // of the authority or log, from the trusted root; may be empty
	Operator string // equal for sources that one party runs; not for display
}

// A TimeSource is how a time was vouched for.
type TimeSource string

// The sources of trusted times. SourceNow is Options.Now, for keys only.
const (
	SourceTimestamp TimeSource = "rfc3161"
	SourceLog       TimeSource = "signed-entry-timestamp"
	SourceNow       TimeSource = "now"
)

// A LogEntry is a verified entry of a transparency log.
type LogEntry struct {
	LogID string // lower-case hex
	URL   string // of the log, from the trusted root
	// Index is the entry's index in the whole log, as a search shows it, and
	// ShardIndex that in the tree of the inclusion proof. Either is -1 if
	// nothing vouches for it: in Rekor v1, Index without a signed entry
	// timestamp and ShardIndex without a proof.
	Index, ShardIndex int64
	// IntegratedTime is zero unless a signed entry timestamp vouches for it.
	IntegratedTime time.Time
	Kind           string // "hashedrekord 0.0.2"
	operator       string
}

// A tally counts parties, each once.
type tally struct{ seen []string }

func (t *tally) add(who string) {
	if !slices.Contains(t.seen, who) {
		t.seen = append(t.seen, who)
	}
}

func (t *tally) n() int { return len(t.seen) }

// Verify verifies a bundle, in the order of client-spec section 4. It fails
// with an *[Error] at the first check that the bundle does not pass.
func (v *Verifier) Verify(b *Bundle, o Options) (*Result, error) {
	if err := o.normalize(b); err != nil {
		return nil, err
	}
	r := &Result{IsEnvelope: b.isEnvelope, PayloadType: b.payloadType, Payload: b.payload}

	// 4.1 Inputs: who is said to have signed. Nothing is believed yet.
	var l *verifiedLeaf
	var s signer
	if b.certificate != nil {
		var err error
		if l, err = v.leaf(b.certificate); err != nil {
			return nil, err
		}
		s = signer{key: l.x509.PublicKey, certificate: l.x509.Raw}
	} else {
		der, err := x509.MarshalPKIXPublicKey(o.Key.Public)
		if err != nil {
			return nil, wrapf(err, ReasonKey, specSig, "managed key")
		}
		s = signer{key: o.Key.Public, spki: der}
	}

	// 4.2 Time. Entries by unknown logs are left out from here on.
	known, err := v.establishTimes(b, &o, r)
	if err != nil {
		return nil, err
	}

	// 4.3 Certificate, at every established time.
	if l != nil {
		err = v.verifyCertificate(l, &o, r)
	} else {
		err = o.Key.validAt(r.Times)
	}
	if err != nil {
		return nil, err
	}

	// 4.4 Transparency log entries. All that are by a trusted log must hold.
	sub := &subject{artifact: o.Artifact}
	if b.isEnvelope {
		sub.envelope = b
	}
	if err := v.verifyEntries(b, known, &s, sub, &o, r); err != nil {
		return nil, err
	}

	// 4.5 Signature.
	if r.Hash, err = b.verifySignature(s.key, sub); err != nil {
		return nil, err
	}
	r.Digest = bytes.Clone(sub.digest(r.Hash))
	// The digest in the bundle is a hint that nobody needs, but a wrong one
	// would mislead whoever goes by it.
	if h := protoHashes[b.digestHint.algorithm]; h != 0 {
		d := sub.digest(h)
		if d == nil {
			return nil, failf(ReasonArtifact, specProto, "want the artifact's %v digest, which the bundle names", h)
		}
		if !bytes.Equal(d, b.digestHint.digest) {
			return nil, failf(ReasonArtifact, specProto, "bundle names another digest than that of the artifact")
		}
	}
	r.PublicKey = s.key
	if l != nil {
		c := *l.info // the leaf is remembered, and the result is the caller's
		c.Raw = bytes.Clone(c.Raw)
		r.Certificate = &c
	}
	return r, nil
}

// normalize checks the options against each other and the bundle, and fills
// in what the zero values stand for.
func (o *Options) normalize(b *Bundle) error {
	for _, n := range []*int{&o.Logs, &o.Times, &o.SCTs, &o.SignedTimes} {
		if *n < 0 || *n > limits.SigstoreAuthorities {
			return failf(ReasonOptions, specCounting, "a threshold of %d", *n)
		}
	}
	if o.NoLogUnsafe && o.Logs > 0 || o.NoSCTUnsafe && o.SCTs > 0 {
		return failf(ReasonOptions, specCounting, "a threshold for what need not be there")
	}
	o.Times = max(o.Times, 1)
	if !o.NoLogUnsafe {
		o.Logs = max(o.Logs, 1)
	}
	if !o.NoSCTUnsafe {
		o.SCTs = max(o.SCTs, 1)
	}
	switch {
	case b == nil:
		return failf(ReasonOptions, "client-spec 4.1", "no bundle")
	case b.certificate == nil && o.Key == nil:
		return failf(ReasonKey, "client-spec 4.1", "bundle is signed with a managed key (hint %.80q), want a certificate", b.keyHint)
	case b.certificate != nil && o.Key != nil:
		return failf(ReasonKey, "client-spec 4.1", "bundle is signed with a certificate, want the managed key")
	case b.isEnvelope && o.Artifact != nil:
		return failf(ReasonOptions, "client-spec 4.1", "an artifact for a bundle with an envelope, whose payload says what it is about")
	case !b.isEnvelope && o.Artifact == nil:
		return failf(ReasonArtifact, "client-spec 4.1", "bundle signs an artifact, and none was given")
	}
	if o.Key != nil {
		if _, err := sigalg.For(o.Key.Public, ""); err != nil {
			return wrapf(err, ReasonKey, specSig, "managed key")
		}
	}
	return nil
}

// A knownEntry is a log entry by a trusted log.
type knownEntry struct {
	*entry
	logs []*tlog // instances of its log; one, trusted at the time of the SET, if it has one
	at   time.Time
}

// establishTimes verifies timestamps and signed entry timestamps (client-spec
// 4.2) and counts who made them.
func (v *Verifier) establishTimes(b *Bundle, o *Options, r *Result) ([]knownEntry, error) {
	var all, signed tally
	var nearest error
	r.Times = make([]Time, 0, len(b.timestamps)+len(b.entries))
	for _, der := range b.timestamps {
		at, a, known, err := v.verifyTimestamp(der, b.signature)
		if err != nil && known {
			return nil, err
		}
		if err != nil {
			nearest = err
			continue
		}
		all.add(a.operator)
		signed.add(a.operator)
		r.Times = append(r.Times, Time{at, SourceTimestamp, a.uri, a.operator})
	}
	known := make([]knownEntry, 0, len(b.entries))
	for i := range b.entries {
		e := &b.entries[i]
		for j := range b.entries[:i] {
			if other := &b.entries[j]; e.logIndex == other.logIndex && bytes.Equal(e.logID, other.logID) {
				return nil, failf(ReasonDuplicate, specCounting, "log entries %d and %d are one", j, i)
			}
		}
		k := knownEntry{entry: e, logs: logsByID(v.root.logs, e.logID)}
		if len(k.logs) == 0 {
			nearest = failf(ReasonNoLog, specSET, "log entry %d is by no log that is trusted", i)
			continue
		}
		if e.set != nil {
			if e.isV2() {
				return nil, failf(ReasonSET, specRekor2, "log entry %d is one of Rekor v2, which makes no signed entry timestamps", i)
			}
			k.at = time.Unix(e.integratedTime, 0).UTC()
			l, err := v.trustedAt(k.logs, k.at)
			if err != nil {
				nearest = err
				continue
			}
			if err := e.verifySET(l); err != nil {
				return nil, err
			}
			k.logs = []*tlog{l}
			all.add(l.operator)
			r.Times = append(r.Times, Time{k.at, SourceLog, l.baseURL, l.operator})
		}
		// Without SET the integrated time is not looked at: nothing vouches
		// for it.
		known = append(known, k)
	}
	if o.Key != nil && len(r.Times) == 0 && o.Times == 1 && o.SignedTimes == 0 && !o.Now.IsZero() {
		r.Times = append(r.Times, Time{Time: o.Now, Source: SourceNow})
		return known, nil
	}
	if all.n() < o.Times || signed.n() < o.SignedTimes {
		return nil, &Error{Reason: ReasonNoTime, Section: specTime, Err: nearest, Msg: shortfall(all.n(), o.Times, signed.n(), o.SignedTimes)}
	}
	slices.SortStableFunc(r.Times, func(a, b Time) int { return a.Time.Compare(b.Time) })
	return known, nil
}

func shortfall(have, want, signed, wantSigned int) string {
	if have < want {
		return fmt.Sprintf("trusted times by %d operators, want %d", have, want)
	}
	return fmt.Sprintf("RFC 3161 timestamps by %d operators, want %d", signed, wantSigned)
}

// leaf parses a leaf, or finds it among those that were verified before: the
// statements of one run share a certificate.
func (v *Verifier) leaf(der []byte) (*verifiedLeaf, error) {
	if l, ok := v.leaves.get(string(der)); ok {
		return l, nil
	}
	l, err := parseLeaf(der)
	return &verifiedLeaf{leaf: l}, err
}

// verifyCertificate verifies the leaf's path at every established time, and
// its signed certificate timestamps (client-spec 4.3).
func (v *Verifier) verifyCertificate(l *verifiedLeaf, o *Options, r *Result) (err error) {
	known := l.issuers != nil
	if !known {
		if l.issuers, err = v.issuersOf(l.leaf); err != nil {
			return err
		}
	}
	for _, t := range r.Times {
		if err := leafValidAt(l.leaf, l.issuers, t.Time); err != nil {
			return err
		}
	}
	if !known {
		// The issuers share the key that signed the leaf.
		if l.sctsBy, err = v.verifySCTs(l.leaf, l.issuers[0]); err != nil {
			return err
		}
		v.leaves.put(string(l.x509.Raw), l)
	}
	if l.sctsBy < o.SCTs {
		return failf(ReasonSCT, specCert, "signed certificate timestamps by %d operators of trusted logs, want %d", l.sctsBy, o.SCTs)
	}
	return nil
}

// validAt checks the key's own validity, where it has one.
func (k *Key) validAt(times []Time) error {
	w := window{k.ValidFrom, k.ValidUntil}
	for _, t := range times {
		if !w.contains(t.Time) {
			return failf(ReasonValidity, specTime, "managed key is not valid at %s", t.Time.UTC().Format(time.RFC3339))
		}
	}
	return nil
}

// verifyEntries verifies inclusion and body of the entries (client-spec 4.4)
// and counts the logs (4.6).
func (v *Verifier) verifyEntries(b *Bundle, known []knownEntry, s *signer, sub *subject, o *Options, r *Result) error {
	var counted tally
	var nearest error
	for i := range known {
		k := &known[i]
		l := k.logs[0]
		if k.set == nil {
			// The log's key must be trusted when the entry was made, which is
			// about when the signature was: at every established time, or at the
			// one that stands in for it.
			var err error
			for _, t := range r.Times {
				if err == nil {
					l, err = v.trustedAt(k.logs, t.Time)
				}
			}
			if err != nil {
				nearest = err
				continue
			}
		}
		e := LogEntry{LogID: hex.EncodeToString(k.logID), URL: l.baseURL, Index: -1, ShardIndex: -1, Kind: k.kind + " " + k.version, operator: l.operator}
		if k.set != nil {
			e.Index, e.IntegratedTime = k.logIndex, k.at
		}
		if err := k.checkKind(b.isEnvelope); err != nil {
			return err
		}
		// A proof without checkpoint, which only v0.1 may have, proves nothing.
		if k.proof != nil && k.proof.checkpoint != "" {
			index, err := v.verifyInclusion(k.entry, l)
			if err != nil {
				return err
			}
			e.ShardIndex = index
			if k.isV2() {
				e.Index = index
			}
		} else if v.witnessThreshold > 0 {
			return failf(ReasonWitness, "C2SP tlog-cosignature", "log entry without checkpoint, want one with cosignatures of %d witnesses", v.witnessThreshold)
		}
		if err := k.checkBody(b, s, sub); err != nil {
			return err
		}
		counted.add(l.operator)
		r.LogEntries = append(r.LogEntries, e)
	}
	if counted.n() < o.Logs {
		return &Error{Reason: ReasonNoLog, Section: specCounting, Err: nearest, Msg: fmt.Sprintf("log entries by %d operators of trusted logs, want %d", counted.n(), o.Logs)}
	}
	return nil
}
