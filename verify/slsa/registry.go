package slsa

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/strictjson"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/predicate"
	"github.com/hallmark-build/hallmark/verify"
)

// What registries and platforms wrap around attestations. Nothing here
// verifies: what comes out goes to verify.Open.

// NPMAttestations returns the bundles of an answer of the npm registry
// (GET /-/npm/v1/attestations/NAME@VERSION): a publish attestation, which the
// registry signed, and the provenance mostly. What the answer says about their
// types is not looked at.
func NPMAttestations(answer []byte) ([][]byte, error) {
	var doc struct {
		Attestations []struct {
			Bundle json.RawMessage `json:"bundle"`
		} `json:"attestations"`
	}
	if err := strictjson.Into(answer, 0, &doc); err != nil {
		return nil, refuse(ReasonPredicate, "npm attestations: %v", err)
	}
	var out [][]byte
	for i, a := range doc.Attestations {
		if i == limits.RegistryAttestations {
			return nil, refuse(ReasonPredicate, "npm attestations: more than %d", limits.RegistryAttestations)
		}
		if len(a.Bundle) == 0 || a.Bundle[0] != '{' {
			return nil, refuse(ReasonPredicate, "npm attestations: attestation %d has no bundle", i)
		}
		out = append(out, a.Bundle)
	}
	if len(out) == 0 {
		return nil, refuse(ReasonPredicate, "npm attestations: there are none")
	}
	return out, nil
}

// NPMKeys reads the registry's public keys for attestations from the document
// that npm distributes by TUF (registry.npmjs.org/keys.json), for
// [verify.NewTrust]. Keys for other uses are left out.
func NPMKeys(keys []byte) ([]verify.Key, error) {
	var doc struct {
		Keys []struct {
			Usage     string `json:"keyUsage"`
			PublicKey struct {
				RawBytes string `json:"rawBytes"`
				Details  string `json:"keyDetails"`
				ValidFor struct {
					Start time.Time `json:"start"`
					End   time.Time `json:"end"`
				} `json:"validFor"`
			} `json:"publicKey"`
		} `json:"keys"`
	}
	if err := strictjson.Into(keys, limits.KeyFile, &doc); err != nil {
		return nil, refuse(ReasonRequest, "npm keys: %v", err)
	}
	var out []verify.Key
	for i, k := range doc.Keys {
		if k.Usage != "npm:attestations" {
			continue
		}
		der, err := base64.StdEncoding.Strict().DecodeString(k.PublicKey.RawBytes)
		if err != nil || k.PublicKey.Details != "PKIX_ECDSA_P256_SHA_256" {
			return nil, refuse(ReasonRequest, "npm keys: key %d is not an ECDSA key on P-256", i)
		}
		out = append(out, verify.Key{
			PEM:       string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
			ValidFrom: k.PublicKey.ValidFor.Start, ValidUntil: k.PublicKey.ValidFor.End,
		})
	}
	if len(out) == 0 {
		return nil, refuse(ReasonRequest, "npm keys: no key for attestations")
	}
	return out, nil
}

// An NPMPackage is what an npm package must be.
type NPMPackage struct {
	Name    string // "sigstore", "@octo/app"; required
	Version string // "2.3.1"; empty accepts any
	// RegistryKeys are the registry's keys by their [KeyID]. Required: without
	// one nobody can have published the package.
	RegistryKeys []string
}

// purl is the subject's name in attestations about the package (npm RFC 49).
func (p NPMPackage) purl(version string) string {
	name := p.Name
	if scoped, ok := strings.CutPrefix(name, "@"); ok {
		name = "%40" + scoped
	}
	return "pkg:npm/" + name + "@" + url.PathEscape(version)
}

// VerifyNPM verifies an npm package by its two attestations: that the registry
// published it under its name and version, signed with one of its keys, and
// that it was built as expected. trust must have the registry's keys
// ([NPMKeys]) and a Sigstore root.
func VerifyNPM(attestations [][]byte, trust *verify.Trust, at time.Time, artifact provenance.Artifact, pkg NPMPackage, builders []Builder, want Expectations) (*Result, error) {
	if pkg.Name == "" {
		return nil, refuse(ReasonRequest, "no expectation for the name of the package")
	}
	published, err := verifyPublish(attestations, trust, at, artifact, pkg)
	if err != nil {
		return nil, err
	}
	rows, err := compile(builders)
	if err != nil {
		return nil, err
	}
	// The provenance names the package too, and its version.
	return rows.verifyAny(attestations, trust, at, artifact, &want, func(r *Result) error {
		s, err := subjectOf(r.statement.Statement(), artifact.Digests, nil)
		if err != nil {
			return err
		}
		if err := pkg.named(s.Name, "provenance"); err != nil {
			return err
		}
		if !slices.Contains(published, s.Name) {
			return differs(ReasonName, "subject of the provenance", strings.Join(published, " or "), s.Name)
		}
		return nil
	})
}

// named compares the name of a subject.
func (p NPMPackage) named(got, what string) error {
	if p.Version != "" {
		if want := p.purl(p.Version); got != want {
			return differs(ReasonName, "subject of the "+what, want, got)
		}
		return nil
	}
	prefix := p.purl("")
	if rest, ok := strings.CutPrefix(got, prefix); !ok || rest == "" || strings.ContainsAny(rest, "@/") {
		return differs(ReasonName, "subject of the "+what, prefix+"…", got)
	}
	return nil
}

// verifyPublish returns the names, with versions, under which the registry has
// published the package.
func verifyPublish(attestations [][]byte, trust *verify.Trust, at time.Time, artifact provenance.Artifact, pkg NPMPackage) (names []string, err error) {
	// One that will do is enough: others prove nothing, whoever made them.
	var nearest error = refuse(ReasonPredicate, "no publish attestation by the registry")
	far := 0
	for _, a := range attestations {
		st, err := verify.Open(a, trust, at)
		near := 1
		if err == nil {
			if st.Statement().PredicateType() != predicate.TypeNPMPublish {
				continue
			}
			var name string
			if name, err = publishedBy(st, artifact, pkg); err == nil {
				names = append(names, name)
				continue
			}
			near = 3
			if e, ok := err.(*Error); ok && e.Reason == ReasonVerifier {
				near = 2
			}
		}
		if near > far {
			nearest, far = err, near
		}
	}
	if len(names) > 0 {
		return names, nil
	}
	return nil, nearest
}

func publishedBy(st *verify.VerifiedStatement, artifact provenance.Artifact, pkg NPMPackage) (name string, err error) {
	signed := false
	for _, s := range st.Signatures() {
		for _, k := range pkg.RegistryKeys {
			signed = signed || k != "" && s.Principal.KeyID() == k
		}
	}
	if !signed {
		return "", refuse(ReasonVerifier, "the publish attestation is not signed with a key of the registry, but by %s", clip(st.Signatures()[0].Principal.String()))
	}
	s, err := subjectOf(st.Statement(), artifact.Digests, nil)
	if err != nil {
		return "", err
	}
	if err := pkg.named(s.Name, "publish attestation"); err != nil {
		return "", err
	}
	p, err := predicate.ParseNPMPublish(st.Statement().Predicate())
	if err != nil {
		return "", refuse(ReasonPredicate, "%v", err)
	}
	if p.Name != pkg.Name {
		return "", differs(ReasonName, "name in the publish attestation", pkg.Name, p.Name)
	}
	if want := pkg.purl(p.Version); s.Name != want {
		return "", differs(ReasonName, "the publish attestation's version and subject differ", want, s.Name)
	}
	return s.Name, nil
}

// PyPIBundles turns the attestations of PEP 740 into Sigstore bundles for
// [verify.Open]: of one attestation object, or of a provenance object as
// PyPI's integrity API answers. Who published is the certificate's identity; what PyPI says about the
// publisher beside it is signed by nobody and not looked at.
func PyPIBundles(object []byte) ([][]byte, error) {
	type attestation struct {
		Version  json.Number `json:"version"`
		Material struct {
			Certificate string            `json:"certificate"`
			Entries     []json.RawMessage `json:"transparency_entries"`
		} `json:"verification_material"`
		Envelope struct {
			Statement string `json:"statement"`
			Signature string `json:"signature"`
		} `json:"envelope"`
	}
	var doc struct {
		attestation
		Bundles []struct {
			Attestations []attestation `json:"attestations"`
		} `json:"attestation_bundles"`
	}
	if err := strictjson.Into(object, 0, &doc); err != nil {
		return nil, refuse(ReasonPredicate, "PyPI attestations: %v", err)
	}
	var list []attestation
	if doc.Envelope.Statement != "" {
		list = append(list, doc.attestation)
	}
	for _, b := range doc.Bundles {
		list = append(list, b.Attestations...)
	}
	if len(list) == 0 || len(list) > limits.RegistryAttestations {
		return nil, refuse(ReasonPredicate, "PyPI attestations: found %d, want 1 to %d", len(list), limits.RegistryAttestations)
	}
	var out [][]byte
	for i, a := range list {
		if a.Version != "1" {
			return nil, refuse(ReasonPredicate, "PyPI attestations: attestation %d is of version %s, want 1", i, clip(a.Version.String()))
		}
		bundle, err := json.Marshal(map[string]any{
			"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
			"verificationMaterial": map[string]any{
				"certificate": map[string]any{"rawBytes": a.Material.Certificate},
				"tlogEntries": a.Material.Entries,
			},
			"dsseEnvelope": map[string]any{
				"payload": a.Envelope.Statement, "payloadType": provenance.PayloadType,
				"signatures": []any{map[string]any{"sig": a.Envelope.Signature}},
			},
		})
		if err != nil {
			return nil, refuse(ReasonPredicate, "PyPI attestations: %v", err)
		}
		out = append(out, bundle)
	}
	return out, nil
}

// CloudBuildEnvelopes returns the envelopes in what
// "gcloud artifacts docker images describe --show-provenance --format json"
// prints. The readable copy of the statement beside each envelope is signed by
// nobody and not looked at.
func CloudBuildEnvelopes(output []byte) ([][]byte, error) {
	var doc struct {
		Summary struct {
			Provenance []struct {
				Envelope json.RawMessage `json:"envelope"`
			} `json:"provenance"`
		} `json:"provenance_summary"`
	}
	if err := strictjson.Into(output, 0, &doc); err != nil {
		return nil, refuse(ReasonPredicate, "Google Cloud Build: %v", err)
	}
	var out [][]byte
	for i, p := range doc.Summary.Provenance {
		if i == limits.RegistryAttestations {
			return nil, refuse(ReasonPredicate, "Google Cloud Build: more than %d envelopes", limits.RegistryAttestations)
		}
		if len(p.Envelope) > 0 && p.Envelope[0] == '{' {
			out = append(out, p.Envelope)
		}
	}
	if len(out) == 0 {
		return nil, refuse(ReasonPredicate, "Google Cloud Build: no envelope")
	}
	return out, nil
}
