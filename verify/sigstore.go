package verify

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hallmark-build/hallmark/internal/sigalg"
	"github.com/hallmark-build/hallmark/internal/sigstore"
	"github.com/hallmark-build/hallmark/internal/strictjson"
	"github.com/hallmark-build/hallmark/provenance"
)

// Sigstore says what a Sigstore bundle must bring to be believed. The zero
// value is what the client specification asks for: an entry in one
// transparency log, one trusted time, and one signed certificate timestamp.
type Sigstore struct {
	// Logs, Timestamps and SCTs are from how many operators these must come:
	// transparency log entries, trusted times of any kind, and signed
	// certificate timestamps. Default: 1 each.
	Logs       int `json:"logs,omitempty"`
	Timestamps int `json:"timestamps,omitempty"`
	SCTs       int `json:"scts,omitempty"`
	// SignedTimestamps is how many timestamp authorities must have stamped
	// the signature (RFC 3161), log times aside. Default: none in particular.
	SignedTimestamps int `json:"signedTimestamps,omitempty"`
	// NoLogUnsafe and NoSCTUnsafe accept bundles without log entry or signed
	// certificate timestamp, for private deployments that have no such log.
	NoLogUnsafe bool `json:"noLogUnsafe,omitempty"`
	NoSCTUnsafe bool `json:"noSCTUnsafe,omitempty"`
}

// A Witness cosigns the checkpoints of transparency logs (C2SP
// tlog-cosignature), and so vouches that a log shows everybody the same.
type Witness struct {
	Name string            // as it stands in the signature lines
	Key  ed25519.PublicKey // the one that cosigns
}

// sigstoreRoot is one Sigstore instance: its certificate authorities, logs and
// timestamp authorities.
type sigstoreRoot struct {
	verifier *sigstore.Verifier
	needs    Sigstore
}

// WithSigstore returns a Trust that also believes the Sigstore instance that a
// trusted_root.json describes (media type
// application/vnd.dev.sigstore.trustedroot+json, version 0.1 or 0.2): its
// certificate authorities for identities, its logs and timestamp authorities
// for times. Managed keys in bundles must be among the keys of the Trust.
//
// Each of the witnesses must have cosigned the checkpoint of every log entry that
// counts. Without witnesses, cosignatures are passed over.
func (t *Trust) WithSigstore(trustedRoot []byte, needs Sigstore, witnesses ...Witness) (*Trust, error) {
	root, err := sigstore.ParseTrustedRoot(trustedRoot)
	if err != nil {
		return nil, err
	}
	config := sigstore.Config{WitnessThreshold: len(witnesses)}
	for _, w := range witnesses {
		config.Witnesses = append(config.Witnesses, sigstore.Witness{Name: w.Name, Key: w.Key})
	}
	v, err := sigstore.NewVerifier(root, config)
	if err != nil {
		return nil, err
	}
	out := new(Trust)
	if t != nil {
		out.keys, out.roots = slices.Clone(t.keys), slices.Clone(t.roots)
	}
	out.roots = append(out.roots, sigstoreRoot{v, needs})
	return out, nil
}

func (n Sigstore) options() sigstore.Options {
	return sigstore.Options{
		Logs: n.Logs, Times: n.Timestamps, SCTs: n.SCTs, SignedTimes: n.SignedTimestamps,
		NoLogUnsafe: n.NoLogUnsafe, NoSCTUnsafe: n.NoSCTUnsafe,
	}
}

// isBundle reports whether an attestation looks like a Sigstore bundle. It
// decides only which strict parser reads the bytes: either way they must be
// well-formed and signed.
func isBundle(attestation []byte) bool {
	return bytes.Contains(attestation, []byte(`"verificationMaterial"`)) ||
		bytes.Contains(attestation, []byte(`"dsseEnvelope"`)) || bytes.Contains(attestation, []byte(`"messageSignature"`))
}

func openBundle(attestation []byte, trust *Trust, at time.Time) (*VerifiedStatement, error) {
	b, err := sigstore.ParseBundle(attestation)
	if err != nil {
		return nil, bundleError(err)
	}
	payloadType, payload, isEnvelope := b.UnverifiedPayload()
	if !isEnvelope {
		return nil, &RejectedError{Reason: ReasonPayloadType, Msg: "the bundle signs an artifact and holds no statement; see OpenArtifact"}
	}
	if payloadType != provenance.PayloadType {
		// Client specification, 4.5: exactly this type in bundles.
		return nil, &RejectedError{Reason: ReasonPayloadType, UnverifiedPayload: payload,
			Msg: fmt.Sprintf("payload type is %.100q, want %q", payloadType, provenance.PayloadType)}
	}
	res, sig, rejected := verifyBundle(b, nil, trust, at)
	if rejected != nil {
		rejected.UnverifiedPayload = payload
		return nil, rejected
	}
	st, err := provenance.ParseStatement(res.Payload)
	if err != nil {
		return nil, malformed(err, payload)
	}
	return &VerifiedStatement{statement: st, digest: st.Digest(), signatures: []Signature{*sig}}, nil
}

// OpenArtifact verifies a Sigstore bundle that signs an artifact itself (a
// message signature, without a statement), and returns who signed it and when.
// content is the whole artifact.
func OpenArtifact(bundle, content []byte, trust *Trust, at time.Time) (*Signature, error) {
	if content == nil {
		content = []byte{}
	}
	return openArtifact(bundle, &sigstore.Artifact{Bytes: content}, trust, at)
}

// OpenArtifactDigest is [OpenArtifact] for an artifact that the caller has
// digested. The digest under the hash of the signer's key is needed: SHA-256
// nearly always, SHA-384 or SHA-512 for larger curves, and for Ed25519 over
// an artifact the content itself.
func OpenArtifactDigest(bundle []byte, digests provenance.DigestSet, trust *Trust, at time.Time) (*Signature, error) {
	a := &sigstore.Artifact{Digests: map[crypto.Hash][]byte{}}
	for alg, h := range map[provenance.Algorithm]crypto.Hash{provenance.SHA256: crypto.SHA256, provenance.SHA384: crypto.SHA384, provenance.SHA512: crypto.SHA512} {
		if d := digests.Get(alg); !d.IsZero() {
			b, err := hex.DecodeString(d.Value())
			if err != nil {
				return nil, err
			}
			a.Digests[h] = b
		}
	}
	return openArtifact(bundle, a, trust, at)
}

func openArtifact(bundle []byte, artifact *sigstore.Artifact, trust *Trust, at time.Time) (*Signature, error) {
	if at.IsZero() {
		return nil, errors.New("verify.OpenArtifact: the instant of judgement is not set")
	}
	b, err := sigstore.ParseBundle(bundle)
	if err != nil {
		return nil, bundleError(err)
	}
	if _, _, isEnvelope := b.UnverifiedPayload(); isEnvelope {
		return nil, &RejectedError{Reason: ReasonPayloadType, Msg: "the bundle holds an envelope; see Open"}
	}
	_, sig, rejected := verifyBundle(b, artifact, trust, at)
	if rejected == nil {
		rejected = fromFuture(sig, at)
	}
	if rejected != nil {
		return nil, rejected
	}
	return sig, nil
}

// verifyBundle tries the bundle under every root. A bundle without certificate
// is tried with every key: its hint names one, and proves nothing.
func verifyBundle(b *sigstore.Bundle, artifact *sigstore.Artifact, trust *Trust, at time.Time) (*sigstore.Result, *Signature, *RejectedError) {
	if trust == nil || len(trust.roots) == 0 {
		return nil, nil, &RejectedError{Reason: ReasonNoSigstore, Msg: "a Sigstore bundle, and no Sigstore root is trusted"}
	}
	var first *RejectedError
	judge := func(v *sigstore.Verifier, o sigstore.Options) (*sigstore.Result, *Signature) {
		trust.tried()
		res, err := v.Verify(b, o)
		if err != nil {
			first = cmp.Or(first, bundleError(err))
			return nil, nil
		}
		sig, rejected := accept(res)
		first = cmp.Or(first, rejected)
		return res, sig
	}
	_, isKey := b.UnverifiedKeyHint()
	for _, root := range trust.roots {
		o := root.needs.options()
		o.Artifact = artifact
		if !isKey {
			if res, sig := judge(root.verifier, o); sig != nil {
				return res, sig, nil
			}
			continue
		}
		for i := range trust.keys {
			k := &trust.keys[i]
			if k.scheme == sigalg.RSAPSS || k.raw || k.p1363 {
				continue // bundles know RSA with PKCS #1 v1.5 and ECDSA in DER only, and no raw payloads
			}
			o.Key = &sigstore.Key{Public: k.public, ValidFrom: k.from, ValidUntil: k.till}
			o.Now = at
			if res, sig := judge(root.verifier, o); sig != nil {
				return res, sig, nil
			}
		}
	}
	switch {
	case first != nil:
	case len(trust.keys) == 0:
		first = bundleError(errors.New("signed with a managed key, and no key is trusted"))
	default:
		first = bundleError(errors.New("signed with a managed key, and none that bundles can use is trusted"))
	}
	return nil, nil, first
}

func bundleError(err error) *RejectedError {
	r := &RejectedError{Reason: ReasonBundle, Msg: err.Error(), Err: err}
	var se *sigstore.Error
	var je *strictjson.Error
	switch {
	case errors.As(err, &je):
		r.Reason = ReasonMalformed
	case errors.As(err, &se):
		switch se.Reason {
		case sigstore.ReasonFormat, sigstore.ReasonMediaType, sigstore.ReasonLimit:
			r.Reason = ReasonMalformed
		case sigstore.ReasonKey:
			r.Reason = ReasonUntrusted
		}
		r.Msg = se.Reason + ": " + r.Msg
	}
	return r
}

// accept turns a result into a signature.
func accept(res *sigstore.Result) (*Signature, *RejectedError) {
	sig := new(Signature)
	for _, t := range res.Times {
		switch t.Source {
		case sigstore.SourceTimestamp:
			sig.Times = append(sig.Times, TrustedTime{t.Time, "timestamp", t.URI})
		case sigstore.SourceLog:
			sig.Times = append(sig.Times, TrustedTime{t.Time, "log", t.URI})
		}
	}
	for _, e := range res.LogEntries {
		if e.Index >= 0 {
			sig.LogIndexes = append(sig.LogIndexes, e.Index)
		} else {
			sig.unindexed = true
		}
	}
	if c := res.Certificate; c != nil {
		t := string(c.SANType)
		if c.SANType == sigstore.SANOtherName {
			t = "other"
		}
		sig.Principal = Principal{issuer: c.Issuer, subject: c.SAN, subjectType: t}
		sig.Claims = claims(c)
		return sig, nil
	}
	id, err := sigalg.KeyID(res.PublicKey)
	if err != nil {
		return nil, bundleError(err)
	}
	sig.Principal = Principal{key: id}
	return sig, nil
}

// claims are the certificate's extensions, by their names in Fulcio's oid-info.md.
func claims(c *sigstore.Certificate) map[string]string {
	m := map[string]string{}
	for k, v := range map[string]string{
		"buildSignerURI": c.BuildSignerURI, "buildSignerDigest": c.BuildSignerDigest,
		"runnerEnvironment":   c.RunnerEnvironment,
		"sourceRepositoryURI": c.SourceRepositoryURI, "sourceRepositoryDigest": c.SourceRepositoryDigest,
		"sourceRepositoryRef": c.SourceRepositoryRef, "sourceRepositoryIdentifier": c.SourceRepositoryID,
		"sourceRepositoryOwnerURI": c.SourceOwnerURI, "sourceRepositoryOwnerIdentifier": c.SourceOwnerID,
		"buildConfigURI": c.BuildConfigURI, "buildConfigDigest": c.BuildConfigDigest,
		"buildTrigger": c.BuildTrigger, "runInvocationURI": c.RunInvocationURI,
		"sourceRepositoryVisibilityAtSigning": c.SourceVisibility,
		"deploymentEnvironment":               c.DeploymentEnvironment, "tokenSubject": c.TokenSubject,
		"githubWorkflowTrigger": c.GitHubTrigger, "githubWorkflowSHA": c.GitHubSHA, "githubWorkflowName": c.GitHubName,
		"githubWorkflowRepository": c.GitHubRepository, "githubWorkflowRef": c.GitHubRef,
	} {
		if v != "" {
			m[k] = v
		}
	}
	return m
}
