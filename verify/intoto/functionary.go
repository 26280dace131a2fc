package intoto

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/sigalg"
	"github.com/hallmark-build/hallmark/provenance/layout"
)

// A functionary is a key, or the holder of a certificate, that may do a step.
type functionary struct {
	keyID    string // what files and layouts call it
	public   crypto.PublicKey
	scheme   sigalg.Scheme
	material string // SHA-256 of the SubjectPublicKeyInfo: what it is
	identity string // whom a certificate names, or ""
}

func (f *functionary) String() string {
	if f.identity != "" {
		return "certificate for " + f.identity
	}
	return "key " + f.keyID[:min(8, len(f.keyID))] + " (sha256:" + f.material[:12] + ")"
}

func newFunctionary(k layout.Key) (*functionary, error) {
	pub, scheme, err := k.Public()
	if err != nil {
		return nil, err
	}
	material, err := sigalg.KeyID(pub)
	if err != nil {
		return nil, err
	}
	return &functionary{keyID: k.KeyID, public: pub, scheme: sigalg.Scheme(scheme), material: material}, nil
}

// functionaries makes those of a layout's keys that can be used, and notes the
// others. One key under two ids is refused: it could count twice.
func functionaries(keys map[string]layout.Key, note func(format string, args ...any)) (map[string]*functionary, error) {
	out := make(map[string]*functionary, len(keys))
	seen := make(map[string]string, len(keys))
	for _, id := range slices.Sorted(maps.Keys(keys)) {
		k := keys[id]
		k.KeyID = id
		f, err := newFunctionary(k)
		if err != nil {
			note("key %s cannot be used: %v", clip(id), err)
			continue
		}
		if other, dup := seen[f.material]; dup {
			return nil, refuse(ReasonLayout, "keys %s and %s of the layout are one key under two ids", clip(other), clip(id))
		}
		seen[f.material] = id
		out[id] = f
	}
	return out, nil
}

// distinct counts functionaries. Two that share a key, or the identity that
// their certificates name, are one: somebody with many short-lived
// certificates, or a key in a certificate and without, is one person.
func distinct(list []*functionary) int {
	parent := make([]int, len(list))
	find := func(i int) int {
		for parent[i] != i {
			i = parent[i]
		}
		return i
	}
	n := len(list)
	first := make(map[string]int)
	for i, f := range list {
		parent[i] = i
		for _, mark := range []string{"key " + f.material, "identity " + f.identity} {
			if mark == "identity " {
				continue
			}
			j, seen := first[mark]
			if !seen {
				first[mark] = i
			} else if a, b := find(i), find(j); a != b {
				parent[a] = b
				n--
			}
		}
	}
	return n
}

// authorities are the certificate authorities of a layout.
type authorities struct {
	roots         map[string]*x509.Certificate
	intermediates *x509.CertPool
}

// readAuthorities reads the certificates of a layout and the intermediates
// that the caller adds, which are only ways to a root and make nobody trusted.
func readAuthorities(l *layout.Layout, more [][]byte) (*authorities, error) {
	a := &authorities{roots: map[string]*x509.Certificate{}, intermediates: x509.NewCertPool()}
	read := func(id string, data []byte) (*x509.Certificate, error) {
		c, err := parseCertificate(data)
		if err == nil && !c.IsCA {
			err = errors.New("it is no certificate authority")
		}
		if err != nil {
			return nil, refuse(ReasonLayout, "certificate %s: %v", clip(id), err)
		}
		return c, nil
	}
	for _, id := range slices.Sorted(maps.Keys(l.RootCAs)) {
		c, err := read(id, []byte(l.RootCAs[id].KeyVal.Certificate))
		if err != nil {
			return nil, err
		}
		a.roots[id] = c
	}
	for _, id := range slices.Sorted(maps.Keys(l.IntermediateCAs)) {
		c, err := read(id, []byte(l.IntermediateCAs[id].KeyVal.Certificate))
		if err != nil {
			return nil, err
		}
		a.intermediates.AddCert(c)
	}
	for i, data := range more {
		c, err := parseCertificate(data)
		if err != nil {
			return nil, fmt.Errorf("Options.Intermediates[%d]: %w", i, err)
		}
		a.intermediates.AddCert(c)
	}
	return a, nil
}

func parseCertificate(data []byte) (*x509.Certificate, error) {
	if len(data) > limits.KeyFile {
		return nil, fmt.Errorf("a certificate of %d bytes exceeds the limit of %d", len(data), limits.KeyFile)
	}
	data = bytes.TrimSpace(data)
	block, rest := pem.Decode(append(data[:len(data):len(data)], '\n'))
	switch {
	case block == nil || block.Type != "CERTIFICATE" || !bytes.HasPrefix(data, []byte("-----BEGIN ")):
		return nil, errors.New("want a certificate in PEM")
	case len(bytes.TrimSpace(rest)) > 0:
		return nil, errors.New("want one certificate and nothing else")
	case len(block.Bytes) > limits.KeyDER:
		return nil, fmt.Errorf("a certificate of %d bytes exceeds the limit of %d", len(block.Bytes), limits.KeyDER)
	}
	return x509.ParseCertificate(block.Bytes)
}

// certified returns the functionary that a certificate makes of its holder, if
// it meets one of the constraints at the instant at (ITE-7).
func (a *authorities) certified(data []byte, constraints []layout.CertConstraint, at time.Time) (*functionary, error) {
	cert, err := parseCertificate(data)
	if err != nil {
		return nil, err
	}
	// The identity of a certificate is all that it names, so it must name
	// nothing that a constraint cannot say.
	if err := onlyKnownNames(cert); err != nil {
		return nil, err
	}
	switch {
	case cert.IsCA:
		return nil, errors.New("the certificate is one of an authority")
	case cert.KeyUsage != 0 && cert.KeyUsage&x509.KeyUsageDigitalSignature == 0:
		return nil, errors.New("the certificate's key is not for signing")
	}
	scheme, err := sigalg.For(cert.PublicKey, "")
	if err != nil {
		return nil, err
	}
	var misses []string
	for i := range constraints {
		if err := a.meets(cert, &constraints[i], at); err != nil {
			misses = append(misses, err.Error())
			continue
		}
		material, err := sigalg.KeyID(cert.PublicKey)
		if err != nil {
			return nil, err
		}
		k, err := layout.NewKey(cert.PublicKey, string(scheme))
		if err != nil {
			return nil, err
		}
		return &functionary{k.KeyID, cert.PublicKey, scheme, material, identityOf(cert)}, nil
	}
	return nil, errors.New("the certificate meets no constraint of the step: " + strings.Join(misses, "; "))
}

func (a *authorities) meets(cert *x509.Certificate, c *layout.CertConstraint, at time.Time) error {
	uris := make([]string, len(cert.URIs))
	for i, u := range cert.URIs {
		uris[i] = u.String()
	}
	for _, f := range []struct {
		what          string
		want, present []string
	}{
		{"common name", []string{c.CommonName}, []string{cert.Subject.CommonName}},
		{"DNS name", c.DNSNames, cert.DNSNames},
		{"email address", c.Emails, cert.EmailAddresses},
		{"organization", c.Organizations, cert.Subject.Organization},
		{"URI", c.URIs, uris},
	} {
		if !meetsAll(f.want, f.present) {
			return fmt.Errorf("%s: want %s, found %s", f.what, wanted(f.want), clip(strings.Join(f.present, ", ")))
		}
	}
	roots := x509.NewCertPool()
	for id, root := range a.roots {
		if slices.Contains(c.Roots, id) || slices.Equal(c.Roots, []string{"*"}) {
			roots.AddCert(root)
		}
	}
	_, err := cert.Verify(x509.VerifyOptions{
		Roots:         roots,
		Intermediates: a.intermediates,
		CurrentTime:   at,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	return err
}

func wanted(list []string) string {
	if l := dropEmpty(list); len(l) > 0 {
		return clip(strings.Join(l, ", "))
	}
	return "none"
}

func dropEmpty(list []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return s == "" })
}

// meetsAll is the rule of ITE-7 for one attribute: "*" alone takes anything,
// else the two must be the same set, none of them missing and none more.
func meetsAll(want, present []string) bool {
	if slices.Equal(want, []string{"*"}) {
		return true
	}
	want, present = dropEmpty(want), dropEmpty(present)
	slices.Sort(want)
	slices.Sort(present)
	return slices.Equal(slices.Compact(want), present) // a value twice in a certificate is one too many
}

// identityOf writes down all that a certificate names its holder by.
func identityOf(cert *x509.Certificate) string {
	var names []string
	for _, n := range cert.DNSNames {
		names = append(names, "dns:"+n)
	}
	for _, n := range cert.EmailAddresses {
		names = append(names, "email:"+n)
	}
	for _, u := range cert.URIs {
		names = append(names, "uri:"+u.String())
	}
	slices.Sort(names)
	return clip(strings.Join(append([]string{cert.Subject.String()}, names...), " "))
}

// onlyKnownNames refuses alternative names that are no email address, DNS name
// or URI: no constraint speaks of them, so nobody would have compared them.
func onlyKnownNames(cert *x509.Certificate) error {
	for _, ext := range cert.Extensions {
		if !ext.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 17}) {
			continue
		}
		var names []asn1.RawValue
		if rest, err := asn1.Unmarshal(ext.Value, &names); err != nil || len(rest) > 0 {
			return errors.New("the certificate's alternative names are malformed")
		}
		for _, n := range names {
			if n.Tag != 1 && n.Tag != 2 && n.Tag != 6 {
				return errors.New("the certificate has an alternative name that is no email address, DNS name or URI")
			}
		}
	}
	return nil
}
