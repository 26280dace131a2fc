package main

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/verify"
	"github.com/hallmark-build/hallmark/verify/slsa"
)

// keyIDs are how the tables of package slsa know the keys.
func keyIDs(keys []verify.Key) ([]string, error) {
	var out []string
	for _, k := range keys {
		id, err := slsa.KeyID(k)
		if err != nil {
			return nil, err
		}
		out = append(out, id)
	}
	return out, nil
}

// schemes are the ways in which a key may have signed. The hash that
// slsa-verifier lets one choose must be the one that goes with the key.
func schemes(pemKey, hash string) ([]string, error) {
	block, _ := pem.Decode([]byte(pemKey))
	if block == nil {
		return nil, errors.New("want a public key in PEM")
	}
	pub, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	fits, list := "SHA256", []string{""}
	switch k := pub.(type) {
	case *ecdsa.PublicKey:
		list = append(list, verify.SchemeP1363)
		switch k.Curve {
		case elliptic.P384():
			fits = "SHA384"
		case elliptic.P521():
			fits = "SHA512"
		}
	case *rsa.PublicKey:
		list = append(list, "rsa-pkcs1v15-sha256")
	case ed25519.PublicKey:
		fits = hash
	}
	if got := strings.ToUpper(strings.ReplaceAll(hash, "-", "")); got != "" && got != fits {
		return nil, fmt.Errorf("the key signs with %s, not with %s", fits, hash)
	}
	return list, nil
}

func (p *program) vsa(args []string) error {
	f := p.flags("verify-vsa", "")
	var digests, levels list
	path := f.String("attestation-path", "", "file with the summaries: one, or one a line (required)")
	id := f.String("verifier-id", "", "the verifier.id (required)")
	resource := f.String("resource-uri", "", "the resourceUri (required)")
	keyFile := f.String("public-key-path", "", "the verifier's public key, PEM (required)")
	f.String("public-key-id", "", "taken for compatibility: a key id is an unsigned hint, and decides nothing")
	hash := f.String("public-key-signing-hash-algo", "", "SHA256, SHA384 or SHA512; must be the one that goes with the key")
	f.Var(&digests, "subject-digest", "ALGORITHM:VALUE of the artifact; may be repeated, then each must be a subject (required)")
	f.Var(&levels, "verified-level", "a level or property that must be verified; may be repeated (required)")
	f.BoolVar(&f.print, "print-attestation", false, "print the verified summary")
	rest, err := f.parse(args, "attestation-path", "verifier-id", "resource-uri", "public-key-path", "subject-digest", "verified-level")
	if err != nil {
		return err
	}
	if len(rest) > 0 {
		f.Usage()
		return errUsage
	}
	key, err := readLimited(*keyFile)
	if err != nil {
		return err
	}
	tries, err := schemes(string(key), *hash)
	if err != nil {
		return err
	}
	ids, err := keyIDs([]verify.Key{{PEM: string(key)}})
	if err != nil {
		return err
	}
	evidence, err := attestations(*path)
	if err != nil {
		return err
	}
	// The key may vouch for whatever is asked of it: that is what the caller says by giving it.
	row := slsa.Delegation{VerifierID: *id, Key: ids[0], Properties: []string{"**"}, Resources: []string{quote(*resource)}}
	want := slsa.SummaryExpectations{
		ResourceURI: *resource, At: p.now, AnyAgeUnsafe: true, PolicyWithoutDigestUnsafe: true, Levels: levels,
	}
	rows := delegations(row, levels)
	for _, d := range digests {
		digest, err := provenance.ParseDigest(d)
		if err != nil {
			return err
		}
		if !digest.Algorithm().Strong() {
			want.Identifiers = append(want.Identifiers, digest.Algorithm())
		}
		r, err := summary(evidence, string(key), tries, provenance.DigestSet{digest}, rows, want, p)
		if err != nil {
			fmt.Fprintf(p.err, "Verifying VSA: FAILED: %v\n\n", err)
			return err
		}
		for _, n := range r.Notes() {
			fmt.Fprintf(p.err, "note: %s\n", n)
		}
		if f.print {
			fmt.Fprintf(p.out, "%s\n", r.Statement().Statement().Payload())
			f.print = false
		}
	}
	fmt.Fprint(p.err, "Verifying VSA: PASSED\n\n")
	return p.passed()
}

// summary tries the summaries and the schemes of the key in turn.
func summary(evidence [][]byte, key string, tries []string, digests provenance.DigestSet, rows []slsa.Delegation, want slsa.SummaryExpectations, p *program) (*slsa.SummaryResult, error) {
	var nearest error
	for _, scheme := range tries {
		trust, err := verify.NewTrust(verify.Key{PEM: key, Scheme: scheme})
		if err != nil {
			return nil, err
		}
		for _, e := range evidence {
			st, err := verify.Open(e, trust, p.now)
			if err == nil {
				var r *slsa.SummaryResult
				if r, err = slsa.VerifyVSA(st, digests, rows, want); err == nil {
					return r, nil
				}
				nearest = err
			}
			if nearest == nil {
				nearest = err
			}
		}
	}
	if nearest == nil {
		nearest = errors.New("no summaries")
	}
	return nil, nearest
}

// delegations are one row for each track among the levels.
func delegations(row slsa.Delegation, levels []string) []slsa.Delegation {
	rows := []slsa.Delegation{row}
	for _, l := range levels {
		if track, ok := strings.CutPrefix(l, "SLSA_"); ok {
			if i := strings.LastIndex(track, "_LEVEL_"); i > 0 {
				r := row
				r.Properties, r.Track, r.MaxLevel = nil, track[:i], 99
				rows = append(rows, r)
			}
		}
	}
	return rows
}
