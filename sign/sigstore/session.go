package sigstore

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/hallmark-build/hallmark/internal/dsse"
	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/sigalg"
	"github.com/hallmark-build/hallmark/internal/webclient"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/sign"
)

// A Session signs with one key: a fresh one under a certificate that one
// identity token bought, or a managed one. It is safe for concurrent use.
type Session struct {
	services Services
	signer   DigestSigner // SignDigest fails when the key cannot
	scheme   sigalg.Scheme
	leaf     *x509.Certificate // nil with a managed key
	spki     []byte
	hint     string // of a managed key
	logs     []endpoint
	tsas     []*url.URL
	client   *http.Client
	release  func()
}

type endpoint struct {
	url     *url.URL
	version int
}

// A DigestSigner can also sign an artifact of which only the digest is known.
type DigestSigner interface {
	sign.Signer
	// SignDigest returns the signature over a message with the given digest,
	// under the hash that the signer's scheme uses; what Sign would return for
	// that message, but for randomness.
	SignDigest(ctx context.Context, digest []byte) ([]byte, error)
}

// NewSession makes an ECDSA P-256 key in memory, asks source for an identity
// token and Fulcio for a certificate for both. The certificate is good for
// some minutes ([Session.Certificate] says how many); a session is for one job
// and not to be kept.
func NewSession(ctx context.Context, services Services, source TokenSource) (*Session, error) {
	s, err := newSession(services)
	if err != nil {
		return nil, err
	}
	if err := s.certify(ctx, source); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Session) certify(ctx context.Context, source TokenSource) error {
	if source == nil {
		return fail(ReasonToken, "no token source")
	}
	if s.services.Fulcio == "" {
		return fail(ReasonConfig, "no certificate authority")
	}
	fulcio, err := parseEndpoint("certificate authority", s.services.Fulcio, s.services.UnsafePlainHTTP)
	if err != nil {
		return err
	}
	// client-spec section 4.2: a certificate is judged at a time that somebody
	// else says. Without one nobody could ever verify the bundle.
	if len(s.tsas) == 0 && !slices.ContainsFunc(s.logs, func(l endpoint) bool { return l.version == 1 }) {
		return fail(ReasonConfig, "no trusted time: a certificate needs a timestamp authority, or a log of Rekor version 1")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return &Error{Reason: ReasonSigner, Msg: "make a key", Err: err}
	}
	signer, err := NewSigner(key)
	if err != nil {
		return err
	}
	if err := s.setSigner(signer); err != nil {
		return err
	}
	token, err := source.Token(ctx)
	if err != nil {
		return &Error{Reason: ReasonToken, Msg: "get an identity token", Err: err}
	}
	s.leaf, err = getCertificate(ctx, s.client, fulcio, token, key, !s.services.UnsafeNoSCT)
	return err
}

// NewKeySession returns a session that signs with a managed key: ECDSA, RSA
// under [sign.RSAPKCS1] (Sigstore's only use of RSA keys), or Ed25519 where
// every log is a Rekor v1. The bundle carries the signer's KeyID, or
// else the hex SHA-256 of its SubjectPublicKeyInfo, as the hint by which
// verifiers find the public key.
//
// At least one log or timestamp authority is needed: without both, package
// sign does the same with less.
func NewKeySession(services Services, signer sign.Signer) (*Session, error) {
	if signer == nil {
		return nil, fail(ReasonKey, "no key")
	}
	s, err := newSession(services)
	if err != nil {
		return nil, err
	}
	if len(s.logs) == 0 && len(s.tsas) == 0 {
		err = fail(ReasonConfig, "neither log nor timestamp authority")
	} else {
		err = s.setSigner(signer)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	if s.hint = signer.KeyID(); s.hint == "" {
		s.hint = hex.EncodeToString(sha(s.spki))
	}
	return s, nil
}

func newSession(services Services) (*Session, error) {
	s := &Session{services: services}
	if len(services.Logs) == 0 && !services.UnsafeNoLog {
		return nil, fail(ReasonConfig, "no transparency log")
	}
	if n := len(services.Logs) + len(services.TimestampAuthorities); n > maxServers {
		return nil, fail(ReasonConfig, "want at most %d logs and timestamp authorities, found %d", maxServers, n)
	}
	if w := services.Workers; w < 0 || w > maxWorkers {
		return nil, fail(ReasonConfig, "want 0 to %d workers, found %d", maxWorkers, w)
	}
	seen := map[string]bool{}
	add := func(what, raw string) (*url.URL, error) {
		// Nothing secret goes there, and what comes back is signed.
		u, err := parseEndpoint(what, raw, true)
		if err == nil && seen[u.String()] {
			err = fail(ReasonConfig, "%s: %s twice", what, u.Redacted())
		}
		if err != nil {
			return nil, err
		}
		seen[u.String()] = true
		return u, nil
	}
	for _, l := range services.Logs {
		u, err := add("transparency log", l.URL)
		if err != nil {
			return nil, err
		}
		if l.Version != 1 && l.Version != 2 {
			return nil, fail(ReasonConfig, "transparency log: want Rekor version 1 or 2, found %d", l.Version)
		}
		s.logs = append(s.logs, endpoint{u, l.Version})
	}
	for _, t := range services.TimestampAuthorities {
		u, err := add("timestamp authority", t)
		if err != nil {
			return nil, err
		}
		s.tsas = append(s.tsas, u)
	}
	s.client, s.release = webclient.New(services.Client)
	return s, nil
}

func (s *Session) setSigner(signer sign.Signer) error {
	pub := signer.Public()
	scheme, err := sigalg.For(pub, sigalg.Scheme(signer.Scheme()))
	if err != nil {
		return fail(ReasonKey, "%v", err)
	}
	if scheme == sigalg.RSAPSS {
		return fail(ReasonKey, "want RSA keys to sign under %s, as Sigstore does, found %s", sigalg.RSAPKCS1, scheme)
	}
	for _, l := range s.logs {
		if l.version != 2 {
			continue
		}
		if _, err := keyDetails(pub); err != nil {
			return err
		}
	}
	if s.spki, err = x509.MarshalPKIXPublicKey(pub); err != nil {
		return fail(ReasonKey, "%v", err)
	}
	s.scheme = scheme
	d, ok := signer.(DigestSigner)
	if !ok {
		d = messageOnly{signer}
	}
	s.signer = d
	return nil
}

// Close gives back the session's connections. Signing after Close works, on
// new ones.
func (s *Session) Close() { s.release() }

// Certificate returns the session's certificate, nil with a managed key. The
// caller must not change it. Who it names is what Fulcio said; only
// verification says whether to believe it.
func (s *Session) Certificate() *x509.Certificate { return s.leaf }

// SignStatement signs a statement and returns a bundle on one line.
func (s *Session) SignStatement(ctx context.Context, st *provenance.Statement) ([]byte, error) {
	if st == nil {
		return nil, fail(ReasonInput, "no statement")
	}
	if (s.scheme == sigalg.ECDSAP384 || s.scheme == sigalg.ECDSAP521) && slices.ContainsFunc(s.logs, func(l endpoint) bool { return l.version == 1 }) {
		// Its dsse 0.0.1 verifies every key with SHA-256.
		return nil, fail(ReasonKey, "Rekor version 1 takes no statements signed under %s", s.scheme)
	}
	payload := st.Payload()
	message := dsse.PAE(provenance.PayloadType, payload)
	return s.again(func() ([]byte, error) {
		sig, err := s.signer.Sign(ctx, message)
		if err != nil {
			return nil, &Error{Reason: ReasonSigner, Msg: "sign", Err: err}
		}
		if sigalg.Verify(s.signer.Public(), s.scheme, message, sig) != nil {
			return nil, fail(ReasonSigner, "the signer returned a signature that its public key does not verify")
		}
		// No keyid: the bundle has the hint, and verifiers that name keys another
		// way would pass the signature over.
		env := &dsse.Envelope{PayloadType: provenance.PayloadType, Payload: payload, Signatures: []dsse.Signature{{Sig: sig}}}
		encoded, err := env.Encode()
		if err != nil {
			return nil, fail(ReasonInput, "%v", err)
		}
		return s.publish(ctx, &content{envelope: encoded, payload: payload, digest: s.digest(message), signature: sig})
	})
}

// again signs once more when a log has the signature already and does not hand
// out its entry: it took the first request and answered with a failure, so
// that we sent a second. ECDSA signatures are never the same twice.
func (s *Session) again(signOnce func() ([]byte, error)) ([]byte, error) {
	b, err := signOnce()
	var e *Error
	if _, ok := s.signer.Public().(*ecdsa.PublicKey); ok && errors.As(err, &e) && e.Reason == ReasonConflict {
		return signOnce()
	}
	return b, err
}

// SignStatements signs statements side by side, Services.Workers at once, and
// returns their bundles in the same order, each on one line. On an error it
// stops what is under way and returns no bundle; what a log has taken, it has.
func (s *Session) SignStatements(ctx context.Context, statements ...*provenance.Statement) ([][]byte, error) {
	if len(statements) == 0 || len(statements) > limits.SigningBatch {
		return nil, fail(ReasonInput, "want 1 to %d statements, found %d", limits.SigningBatch, len(statements))
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	workers := s.services.Workers
	if workers == 0 {
		workers = defaultWorkers
	}
	bundles := make([][]byte, len(statements))
	next := make(chan int)
	var mu sync.Mutex
	var first error
	done := 0
	var wg sync.WaitGroup
	for range min(workers, len(statements)) {
		wg.Go(func() {
			for i := range next {
				b, err := s.SignStatement(ctx, statements[i])
				mu.Lock()
				if err != nil && first == nil {
					first = err
					cancel(err)
				}
				bundles[i] = b
				done++
				if err == nil && first == nil && s.services.Progress != nil {
					s.services.Progress(done, len(statements))
				}
				mu.Unlock()
			}
		})
	}
	for i := range statements {
		select {
		case next <- i:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(next)
	wg.Wait()
	if first != nil {
		return nil, first
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return bundles, nil
}

// SignArtifact signs an artifact by its digest under the hash of the session's
// key, SHA-256 for [NewSession], and returns a bundle on one line, such as
// cosign sign-blob writes. A statement says more than that a key touched some
// bytes; prefer [Session.SignStatement].
func (s *Session) SignArtifact(ctx context.Context, a provenance.Artifact) ([]byte, error) {
	hash := s.scheme.Hash()
	name := map[crypto.Hash]provenance.Algorithm{crypto.SHA256: provenance.SHA256, crypto.SHA384: provenance.SHA384, crypto.SHA512: provenance.SHA512}[hash]
	if name == "" {
		return nil, fail(ReasonKey, "a key under %s cannot sign a digest", s.scheme)
	}
	d := a.Digests.Get(name)
	if d.IsZero() {
		return nil, fail(ReasonInput, "want a %s digest of the artifact, found %q", name, a.Digests.String())
	}
	digest, err := hex.DecodeString(d.Value())
	if err != nil {
		return nil, fail(ReasonInput, "%v", err)
	}
	return s.again(func() ([]byte, error) {
		sig, err := s.signer.SignDigest(ctx, digest)
		if err != nil {
			return nil, &Error{Reason: ReasonSigner, Msg: "sign", Err: err}
		}
		if !verifyDigest(s.signer.Public(), hash, digest, sig) {
			return nil, fail(ReasonSigner, "the signer returned a signature that its public key does not verify")
		}
		return s.publish(ctx, &content{digest: digest, signature: sig})
	})
}

// digest returns the hash that a log is told of a message; nil for Ed25519.
func (s *Session) digest(message []byte) []byte {
	h := s.scheme.Hash()
	if h == 0 {
		return nil
	}
	w := h.New()
	w.Write(message)
	return w.Sum(nil)
}

// content is what was signed, and how.
type content struct {
	envelope  []byte // encoded, or nil for an artifact
	payload   []byte
	digest    []byte // of the artifact, or of the pre-authentication encoding
	signature []byte
}

// publish has a signature stamped and logged, by everybody at once, and makes
// the bundle.
func (s *Session) publish(ctx context.Context, c *content) ([]byte, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	entries := make([]*entry, len(s.logs))
	stamps := make([]*stamp, len(s.tsas))
	var wg sync.WaitGroup
	run := func(server *url.URL, f func() error) {
		wg.Go(func() {
			if err := f(); err != nil {
				cancel(about(webclient.Server(server), err)) // the first one stays
			}
		})
	}
	for i, l := range s.logs {
		run(l.url, func() (err error) {
			if l.version == 1 {
				entries[i], err = s.logV1(ctx, l.url, c)
			} else {
				entries[i], err = s.logV2(ctx, l.url, c)
			}
			return err
		})
	}
	for i, u := range s.tsas {
		run(u, func() (err error) {
			stamps[i], err = getTimestamp(ctx, s.client, u, c.signature)
			return err
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	for i, t := range stamps {
		if err := s.inTime(t.time); err != nil {
			return nil, about(webclient.Server(s.tsas[i]), err)
		}
	}
	for i, e := range entries {
		if e.integrated == 0 {
			continue
		}
		if err := s.inTime(time.Unix(e.integrated, 0)); err != nil {
			return nil, about(webclient.Server(s.logs[i].url), err)
		}
	}
	return s.encode(c, entries, stamps), nil
}

// inTime checks a time against the certificate: a bundle stamped outside of
// it never verifies.
func (s *Session) inTime(t time.Time) error {
	if s.leaf == nil || !t.Before(s.leaf.NotBefore) && !t.After(s.leaf.NotAfter) {
		return nil
	}
	const layout = time.RFC3339
	return fail(ReasonMismatch, "the time %s is outside of the certificate's, %s to %s; start a new session",
		t.UTC().Format(layout), s.leaf.NotBefore.UTC().Format(layout), s.leaf.NotAfter.UTC().Format(layout))
}

// verifier returns the certificate, or the public key, in DER and in PEM.
func (s *Session) verifier() (der, text []byte) {
	if s.leaf != nil {
		return s.leaf.Raw, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.leaf.Raw})
	}
	return s.spki, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: s.spki})
}

// NewSigner returns a signer that also signs digests, under the scheme that
// Sigstore uses for the key: ECDSA with the hash of the curve, RSA with PKCS
// #1 v1.5 and SHA-256. For Ed25519, SignDigest fails.
func NewSigner(key crypto.Signer) (DigestSigner, error) {
	if key == nil {
		return nil, fail(ReasonKey, "no key")
	}
	scheme := sign.Scheme("")
	if _, ok := key.Public().(*rsa.PublicKey); ok {
		scheme = sign.RSAPKCS1
	}
	s, err := sign.NewSigner(key, scheme)
	if err != nil {
		return nil, &Error{Reason: ReasonKey, Msg: "key", Err: err}
	}
	return digestSigner{s, key}, nil
}

type digestSigner struct {
	sign.Signer
	key crypto.Signer
}

func (d digestSigner) SignDigest(ctx context.Context, digest []byte) ([]byte, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	hash := sigalg.Scheme(d.Scheme()).Hash()
	if hash == 0 {
		return nil, fail(ReasonKey, "a key under %s cannot sign a digest", d.Scheme())
	}
	return d.key.Sign(rand.Reader, digest, hash)
}

// messageOnly is a signer that cannot sign digests.
type messageOnly struct{ sign.Signer }

func (m messageOnly) SignDigest(context.Context, []byte) ([]byte, error) {
	return nil, fail(ReasonKey, "this signer signs messages only: to sign an artifact by its digest it must be a DigestSigner")
}

func verifyDigest(pub crypto.PublicKey, hash crypto.Hash, digest, sig []byte) bool {
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(k, digest, sig)
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(k, hash, digest, sig) == nil
	}
	return false
}

func sha(b []byte) []byte {
	sum := sha256.Sum256(b)
	return sum[:]
}
