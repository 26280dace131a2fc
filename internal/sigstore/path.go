package sigstore

import (
	"bytes"
	"crypto/x509"
	"sync"
	"time"
)

// paths remembers what was found out about the certificates of one authority,
// once: everything about the path to the anchor but the time, which is judged
// for every bundle.
type paths struct {
	once sync.Once
	// err[i] says why chain[i] has no path to the anchor; nil if it has one.
	err []error
	// constrained: a certificate of the chain constrains names. That is rare,
	// and crypto/x509 knows how to apply it to a leaf.
	constrained bool
}

// pathError verifies, the first time, the path from each certificate of the
// chain to the anchor (RFC 5280 6.1 without validity), and returns what is
// wrong with that of chain[i].
func (a *authority) pathError(i int, usage x509.ExtKeyUsage) error {
	a.paths.once.Do(func() {
		n := len(a.chain)
		a.paths.err = make([]error, n)
		for i := n - 1; i >= 0; i-- {
			c := a.chain[i]
			a.paths.constrained = a.paths.constrained || hasNameConstraints(c)
			switch {
			case len(c.UnhandledCriticalExtensions) > 0:
				a.paths.err[i] = failf(ReasonPath, spec5280, "unknown critical extension %v in an authority's certificate", c.UnhandledCriticalExtensions[0])
			case !allowsUsage(c, usage):
				a.paths.err[i] = failf(ReasonPath, spec5280, "extended key usage of an authority's certificate does not allow what it is for")
			case i == n-1:
				// The anchor is trusted as it is, it need not be self-signed.
			case a.paths.err[i+1] != nil:
				a.paths.err[i] = a.paths.err[i+1]
			case !bytes.Equal(c.RawIssuer, a.chain[i+1].RawSubject):
				a.paths.err[i] = failf(ReasonPath, spec5280, "the authority's chain is not in order from leaf to root")
			default:
				// CA flag, key usage and signature of the issuer.
				if err := c.CheckSignatureFrom(a.chain[i+1]); err != nil {
					a.paths.err[i] = wrapf(err, ReasonPath, spec5280, "an authority's certificate by the next of its chain")
				}
			}
		}
	})
	return a.paths.err[i]
}

// pathLengths checks pathLenConstraint (RFC 5280 4.2.1.9) above a leaf that
// chain[i] issued: the j-th certificate above it has j intermediates below.
func (a *authority) pathLengths(i int) bool {
	for j, c := range a.chain[i:] {
		if c.BasicConstraintsValid && c.MaxPathLen >= 0 && j > c.MaxPathLen {
			return false
		}
	}
	return true
}

// validAt says whether the authority is trusted, and chain[i] and everything
// above it valid, at t: the hybrid model (client-spec 4.3), inclusive ends.
func (a *authority) validAt(i int, t time.Time) error {
	if !a.validFor.contains(t) {
		return failf(ReasonValidity, specCert, "authority %.80q is not trusted at %s", a.uri, t.UTC().Format(time.RFC3339))
	}
	for _, c := range a.chain[i:] {
		if err := certificateValidAt(c, t); err != nil {
			return err
		}
	}
	return nil
}

func certificateValidAt(c *x509.Certificate, t time.Time) error {
	if t.Before(c.NotBefore) || t.After(c.NotAfter) {
		return failf(ReasonValidity, specCert, "certificate %.80q is valid from %s to %s, not at %s", c.Subject.CommonName,
			c.NotBefore.Format(time.RFC3339), c.NotAfter.Format(time.RFC3339), t.UTC().Format(time.RFC3339Nano))
	}
	return nil
}

func hasNameConstraints(c *x509.Certificate) bool {
	return len(c.PermittedDNSDomains)+len(c.ExcludedDNSDomains)+len(c.PermittedIPRanges)+len(c.ExcludedIPRanges)+
		len(c.PermittedEmailAddresses)+len(c.ExcludedEmailAddresses)+len(c.PermittedURIDomains)+len(c.ExcludedURIDomains) > 0
}

// allowsUsage applies extended key usage to a certificate authority, as
// everybody does: none means any.
func allowsUsage(c *x509.Certificate, usage x509.ExtKeyUsage) bool {
	return len(c.ExtKeyUsage)+len(c.UnknownExtKeyUsage) == 0 || hasEKU(c, usage) || hasEKU(c, x509.ExtKeyUsageAny)
}

// An issuer is a certificate of an authority that may have issued a leaf.
type issuer struct {
	a *authority
	i int // of a.chain
}

func (s issuer) cert() *x509.Certificate { return s.a.chain[s.i] }

// issuersOf verifies the leaf's path up to every trusted anchor that has one
// (RFC 5280 6.1, client-spec 4.3), whatever the time, and fails if there is
// none. Several are found when a root lists one authority with several
// windows; they then share a key, so that the leaf's signature is checked once.
func (v *Verifier) issuersOf(l *leaf) ([]issuer, error) {
	var found []issuer
	var nearest error
	var checked *x509.Certificate
	var checkedErr error
	for _, s := range v.issuers[string(l.x509.RawIssuer)] {
		c := s.cert()
		if len(l.x509.AuthorityKeyId) > 0 && len(c.SubjectKeyId) > 0 && !bytes.Equal(l.x509.AuthorityKeyId, c.SubjectKeyId) {
			continue
		}
		if err := s.a.pathError(s.i, x509.ExtKeyUsageCodeSigning); err != nil {
			nearest = err
			continue
		}
		if !s.a.pathLengths(s.i) {
			nearest = failf(ReasonPath, "RFC 5280 4.2.1.9", "path to the leaf is longer than its authority allows")
			continue
		}
		if checked == nil || !checked.Equal(c) {
			checked, checkedErr = c, l.x509.CheckSignatureFrom(c)
		}
		if checkedErr != nil {
			nearest = wrapf(checkedErr, ReasonPath, spec5280, "leaf certificate is not signed by the authority that it names")
			continue
		}
		found = append(found, s)
	}
	if len(found) > 0 {
		return found, nil
	}
	if nearest == nil {
		nearest = failf(ReasonPath, specCert, "no trusted authority is named %q with the leaf's authority key id", l.x509.Issuer)
	}
	return nil, nearest
}

// leafValidAt says whether the leaf, and the path of one of the issuers, is
// valid at t.
func leafValidAt(l *leaf, issuers []issuer, t time.Time) error {
	if err := certificateValidAt(l.x509, t); err != nil {
		return err
	}
	var nearest error
	for _, s := range issuers {
		err := s.a.validAt(s.i, t)
		if err == nil && s.a.paths.constrained {
			err = s.constrained(l, t)
		}
		if err == nil {
			return nil
		}
		nearest = err
	}
	return nearest
}

// constrained applies name constraints (RFC 5280 4.2.1.10) by crypto/x509.
func (s issuer) constrained(l *leaf, t time.Time) error {
	if l.info.SANType == SANOtherName {
		return failf(ReasonPath, "RFC 5280 4.2.1.10", "an other name below an authority with name constraints")
	}
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(s.a.chain[len(s.a.chain)-1])
	for _, c := range s.a.chain[:len(s.a.chain)-1] {
		intermediates.AddCert(c)
	}
	_, err := l.x509.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: intermediates, CurrentTime: t,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	})
	if err != nil {
		return wrapf(err, ReasonPath, "RFC 5280 4.2.1.10", "leaf certificate")
	}
	return nil
}
