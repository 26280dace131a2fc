package verify

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/hallmark-build/hallmark/internal/dsse"
	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/sigalg"
	"github.com/hallmark-build/hallmark/internal/strictjson"
	"github.com/hallmark-build/hallmark/provenance"
)

// A Principal is who signed: a public key, or the identity that a certificate
// names. Principals are comparable with ==. Two keys are two principals, and a
// key is one principal however often and under whatever key id it signs.
type Principal struct {
	key         string // SHA-256 of the SubjectPublicKeyInfo, in hex
	issuer      string
	subject     string
	subjectType string // "uri", "email" or "other"
}

// person returns the principal in one spelling of several: identity providers
// hand on an email address as its owner wrote it, and no owner of a mailbox is
// two people by the case of letters.
func (p Principal) person() Principal {
	if p.subjectType == "email" {
		p.subject = strings.ToLower(p.subject)
	}
	return p
}

// KeyID returns the SHA-256 of the principal's SubjectPublicKeyInfo in hex, or "" for a
// certificate identity.
func (p Principal) KeyID() string { return p.key }

// Identity returns the certificate identity, or the zero Identity for a key.
func (p Principal) Identity() Identity {
	return Identity{Issuer: p.issuer, Subject: p.subject, SubjectType: p.subjectType}
}

// String returns "key sha256:…" or "subject (issuer)".
func (p Principal) String() string {
	if p.key != "" {
		return "key sha256:" + p.key
	}
	return p.subject + " (" + p.issuer + ")"
}

// A TrustedTime is an instant that somebody other than the signer vouches for.
type TrustedTime struct {
	Time   time.Time
	Source string // "timestamp" or "log"
	Who    string // the authority or log
}

// A Signature is one signature of a verified statement.
type Signature struct {
	Principal Principal
	// Times are the trusted times of the signature, earliest first; empty for
	// a bare key signature.
	Times []TrustedTime
	// Claims are the certificate's extensions by name ("sourceRepositoryURI",
	// "runnerEnvironment", …), nil for keys.
	Claims map[string]string
	// LogIndexes are the entries of transparency logs that hold it.
	LogIndexes []int64
	// unindexed: another entry holds it, of which nothing vouches for the index.
	unindexed bool
}

// earliest returns the first trusted time, or zero.
func (s *Signature) earliest() (TrustedTime, bool) {
	if len(s.Times) == 0 {
		return TrustedTime{}, false
	}
	return s.Times[0], true
}

// A VerifiedStatement is a statement together with who signed it. Only [Open]
// makes one, and it cannot be changed.
type VerifiedStatement struct {
	statement  *provenance.Statement
	digest     provenance.Digest
	signatures []Signature
}

// Statement returns the statement, whose payload is the bytes that were verified.
func (v *VerifiedStatement) Statement() *provenance.Statement { return v.statement }

// Digest returns the SHA-256 of the statement's bytes.
func (v *VerifiedStatement) Digest() provenance.Digest { return v.digest }

// Signatures returns the signatures that verified, ordered by principal. There is at least one.
func (v *VerifiedStatement) Signatures() []Signature { return slices.Clone(v.signatures) }

// A RejectedError says why evidence did not become a verified statement.
type RejectedError struct {
	Reason Reason
	Msg    string
	// UnverifiedPayload is the payload, when the envelope could be read. Nobody
	// vouches for it: it is for messages only.
	UnverifiedPayload []byte
	Err               error // the cause, or nil
}

func (e *RejectedError) Error() string { return "rejected: " + string(e.Reason) + ": " + e.Msg }
func (e *RejectedError) Unwrap() error { return e.Err }

// A Trust is whom to believe: public keys, and the roots of Sigstore
// instances. The zero Trust believes nobody.
type Trust struct {
	keys  []trustedKey // ordered by id
	roots []sigstoreRoot
	tries *int // counts the signatures that one search checks, or nil
}

func (t *Trust) tried() {
	if t.tries != nil {
		*t.tries++
	}
}

type trustedKey struct {
	public     crypto.PublicKey
	scheme     sigalg.Scheme
	id         string
	from, till time.Time
	raw        bool // signs the payload alone, see SchemeRawPayloadUnsafe
	p1363      bool // see SchemeP1363
}

// NewTrust returns the Trust in the given public keys.
func NewTrust(keys ...Key) (*Trust, error) {
	t := new(Trust)
	for i, k := range keys {
		tk, err := parseKey(k)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i, err)
		}
		if err := t.add(tk); err != nil {
			return nil, fmt.Errorf("key %d: %w", i, err)
		}
	}
	return t, nil
}

func (t *Trust) add(k trustedKey) error {
	i, found := slices.BinarySearchFunc(t.keys, k.id, func(a trustedKey, id string) int { return strings.Compare(a.id, id) })
	if found {
		return fmt.Errorf("key sha256:%s is given twice", k.id)
	}
	t.keys = slices.Insert(t.keys, i, k)
	return nil
}

func parseKey(k Key) (trustedKey, error) {
	if len(k.PEM) > limits.KeyFile {
		return trustedKey{}, errors.New("key is too large")
	}
	block, rest := pem.Decode([]byte(k.PEM))
	if block == nil {
		return trustedKey{}, errors.New("want a public key in PEM (-----BEGIN PUBLIC KEY-----)")
	}
	if len(bytes.TrimSpace(rest)) > 0 || !strings.HasPrefix(strings.TrimSpace(k.PEM), "-----BEGIN") {
		return trustedKey{}, errors.New("want one PEM block and nothing else")
	}
	if block.Type != "PUBLIC KEY" {
		return trustedKey{}, fmt.Errorf("want PEM type PUBLIC KEY, found %q", block.Type)
	}
	pub, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return trustedKey{}, err
	}
	want, raw, p1363 := k.Scheme, k.Scheme == SchemeRawPayloadUnsafe, k.Scheme == SchemeP1363
	if raw || p1363 {
		want = ""
	}
	scheme, err := sigalg.For(pub, sigalg.Scheme(want))
	if err != nil {
		return trustedKey{}, err
	}
	if _, isECDSA := pub.(*ecdsa.PublicKey); p1363 && !isECDSA {
		return trustedKey{}, fmt.Errorf("scheme %q does not fit a key for %q", SchemeP1363, scheme)
	}
	id, err := sigalg.KeyID(pub)
	if err != nil {
		return trustedKey{}, err
	}
	if !k.ValidFrom.IsZero() && !k.ValidUntil.IsZero() && k.ValidUntil.Before(k.ValidFrom) {
		return trustedKey{}, errors.New("validUntil is before validFrom")
	}
	return trustedKey{pub, scheme, id, k.ValidFrom, k.ValidUntil, raw, p1363}, nil
}

// SchemeRawPayloadUnsafe is a [Key].Scheme for keys that sign the payload of
// an envelope alone, without its type (DSSE's pre-authentication encoding), as
// Google Cloud Build did before SLSA provenance v1. A signature of such a key
// over anything else, also one over the encoding, does not count. Such
// signatures do not bind the payload type: trust such a key only if it signs
// nothing but statements.
const SchemeRawPayloadUnsafe = "raw-payload-unsafe"

// SchemeP1363 is a [Key].Scheme for ECDSA keys whose signatures are the two
// numbers one after the other, each as long as the curve's order (IEEE P1363),
// as in DSSE's test vector and some of Google's summaries. By default they are ASN.1
// DER, and no key is good for both.
const SchemeP1363 = "ecdsa-p1363"

// verify checks one signature of an envelope.
func (k *trustedKey) verify(env *dsse.Envelope, pae, sig []byte) error {
	message := pae
	if k.raw {
		message = env.Payload
	}
	if k.p1363 {
		size := (k.public.(*ecdsa.PublicKey).Params().N.BitLen() + 7) / 8
		if len(sig) != 2*size {
			return sigalg.ErrSignature
		}
		var err error
		sig, err = asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(sig[:size]), new(big.Int).SetBytes(sig[size:])})
		if err != nil {
			return err
		}
	}
	return sigalg.Verify(k.public, k.scheme, message, sig)
}

// validAt reports whether the key may have signed at t, both ends included.
func (k *trustedKey) validAt(t time.Time) bool {
	return (k.from.IsZero() || !t.Before(k.from)) && (k.till.IsZero() || !t.After(k.till))
}

// Open verifies one attestation: a DSSE envelope, or a Sigstore bundle of
// version 0.1, 0.2 or 0.3 when trust has a Sigstore root. At is the instant of
// judgement: key validity is judged at it where there is no trusted time, and a
// bundle with a trusted time after it is refused.
//
// It accepts a statement when at least one signature verifies under a key or
// certificate that is trusted; signatures by others, and bad ones, are
// ignored (DSSE protocol.md). Key ids are hints and decide nothing. The statement is
// parsed from the very bytes that were verified. A refusal is a
// [*RejectedError].
func Open(attestation []byte, trust *Trust, at time.Time) (*VerifiedStatement, error) {
	if at.IsZero() {
		return nil, errors.New("verify.Open: the instant of judgement is not set")
	}
	v, err := openAny(attestation, trust, at)
	if err != nil {
		return nil, err
	}
	for i := range v.signatures {
		if rejected := fromFuture(&v.signatures[i], at); rejected != nil {
			rejected.UnverifiedPayload = v.statement.Payload()
			return nil, rejected
		}
	}
	return v, nil
}

// fromFuture refuses a signature that was not there yet at the instant of
// judgement.
func fromFuture(s *Signature, at time.Time) *RejectedError {
	for _, t := range s.Times {
		if t.Time.After(at) {
			return &RejectedError{Reason: ReasonNotYet,
				Msg: fmt.Sprintf("the signature has the trusted time %s, after the instant of judgement, %s", stamp(t.Time), stamp(at))}
		}
	}
	return nil
}

// openAny is Open for callers that judge the trusted times themselves.
func openAny(attestation []byte, trust *Trust, at time.Time) (*VerifiedStatement, error) {
	if isBundle(attestation) {
		return openBundle(attestation, trust, at)
	}
	env, err := dsse.Parse(attestation)
	if err != nil {
		return nil, malformed(err, nil)
	}
	return openEnvelope(env, trust, at)
}

func malformed(err error, payload []byte) *RejectedError {
	msg := err.Error()
	var je *strictjson.Error
	var fe *provenance.FormatError
	if errors.As(err, &je) {
		msg = je.Reason + ": " + msg
	} else if errors.As(err, &fe) {
		msg = fe.Reason + ": " + msg
	}
	return &RejectedError{Reason: ReasonMalformed, Msg: msg, UnverifiedPayload: payload, Err: err}
}

// isStatementType accepts the two forms of the framework's envelope.md: the
// plain type, and since v1.2 one that names the predicate's file, which is not
// to be trusted as the predicate type.
func isStatementType(t string) bool {
	if t == provenance.PayloadType {
		return true
	}
	name, ok := strings.CutPrefix(t, "application/vnd.in-toto.")
	if !ok {
		return false
	}
	name, ok = strings.CutSuffix(name, "+json")
	return ok && name != "" && strings.IndexFunc(name, func(r rune) bool {
		return !('a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '-' || r == '_' || r == '.')
	}) < 0
}

func openEnvelope(env *dsse.Envelope, trust *Trust, at time.Time) (*VerifiedStatement, error) {
	return openParsed(env, nil, trust, at)
}

// openParsed is openEnvelope for who has parsed the envelope's payload already,
// if st is not nil.
func openParsed(env *dsse.Envelope, st *provenance.Statement, trust *Trust, at time.Time) (*VerifiedStatement, error) {
	if !isStatementType(env.PayloadType) {
		return nil, &RejectedError{Reason: ReasonPayloadType, UnverifiedPayload: env.Payload,
			Msg: fmt.Sprintf("payload type is %.100q, want %q", env.PayloadType, provenance.PayloadType)}
	}
	signatures, rejected := verifySignatures(env, trust, at)
	if rejected != nil {
		return nil, rejected
	}
	if st == nil {
		var err error
		if st, err = provenance.ParseStatement(env.Payload); err != nil {
			return nil, malformed(err, env.Payload)
		}
	}
	return &VerifiedStatement{statement: st, digest: st.Digest(), signatures: signatures}, nil
}

// verifySignatures returns the signatures of env by trusted keys, one for each
// key however often it signed (protocol.md: unique trusted keys).
func verifySignatures(env *dsse.Envelope, trust *Trust, at time.Time) ([]Signature, *RejectedError) {
	reject := func(r Reason, msg string) ([]Signature, *RejectedError) {
		return nil, &RejectedError{Reason: r, Msg: msg, UnverifiedPayload: env.Payload}
	}
	if len(env.Signatures) == 0 {
		return reject(ReasonNoSignature, "the envelope has no signatures")
	}
	var keys []trustedKey
	if trust != nil {
		keys = trust.keys
	}
	pae := dsse.PAE(env.PayloadType, env.Payload)
	valid := make([]bool, len(keys))
	expired := false
	for _, sig := range env.Signatures {
		if len(sig.Sig) == 0 {
			continue
		}
		// The key that the hint names first, then all others: the hint saves
		// time and decides nothing.
		hint := slices.IndexFunc(keys, func(k trustedKey) bool { return k.id == sig.KeyID })
		for n := -1; n < len(keys); n++ {
			i := n
			if n < 0 {
				i = hint
			} else if n == hint {
				continue
			}
			if i < 0 || valid[i] {
				continue
			}
			trust.tried()
			if keys[i].verify(env, pae, sig.Sig) != nil {
				continue
			}
			if !keys[i].validAt(at) {
				expired = true
			} else {
				valid[i] = true
			}
			break
		}
	}
	var out []Signature
	for i, ok := range valid {
		if ok {
			out = append(out, Signature{Principal: Principal{key: keys[i].id}})
		}
	}
	switch {
	case len(out) > 0:
		return out, nil
	case expired:
		return reject(ReasonKeyValidity, "signed by a trusted key that is outside its validity, and without a trusted time")
	}
	if hasCertificate(env) {
		return reject(ReasonUntrusted, "no signature by a trusted key verifies; the certificate in the envelope can only be judged with the log entry that belongs to it, see CosignBundle")
	}
	return reject(ReasonUntrusted, "no signature by a trusted key verifies")
}
