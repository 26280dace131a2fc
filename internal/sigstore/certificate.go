package sigstore

import (
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	cryptobyteasn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/hallmark-build/hallmark/internal/sigalg"
)

// A SANType is the kind of name that a certificate identifies its subject by.
// Names of different types are different names, even if they read alike.
type SANType string

// The types that Fulcio issues (fulcio-spec, oid-info.md).
const (
	SANURI       SANType = "uri"       // a workflow, a SPIFFE ID
	SANEmail     SANType = "email"     // a person or service account
	SANOtherName SANType = "othername" // a username, OID 1.3.6.1.4.1.57264.1.7
)

// A Certificate is what a verified leaf certificate says about its subject.
// Every string comes from the certificate authority, which took it from the
// subject's token; a string is empty if the certificate lacks the extension.
type Certificate struct {
	SANType SANType
	SAN     string
	Issuer  string // .1.8, else .1.1: the OIDC issuer that vouched for the subject

	// What CI services say about the run, OIDs 1.3.6.1.4.1.57264.1.x.
	BuildSignerURI         string // .9: the workflow that signs, a reusable one perhaps
	BuildSignerDigest      string // .10
	RunnerEnvironment      string // .11: "github-hosted" or "self-hosted"
	SourceRepositoryURI    string // .12
	SourceRepositoryDigest string // .13: the commit
	SourceRepositoryRef    string // .14
	SourceRepositoryID     string // .15
	SourceOwnerURI         string // .16
	SourceOwnerID          string // .17
	BuildConfigURI         string // .18: the top-level workflow
	BuildConfigDigest      string // .19
	BuildTrigger           string // .20
	RunInvocationURI       string // .21
	SourceVisibility       string // .22, when it was signed
	DeploymentEnvironment  string // .23
	TokenSubject           string // .24

	// Deprecated extensions of GitHub workflows, .2 to .6.
	GitHubTrigger, GitHubSHA, GitHubName, GitHubRepository, GitHubRef string

	PublicKey crypto.PublicKey
	Raw       []byte // DER; must not be changed
}

// Is reports whether the certificate was issued for this subject, of this
// type, by this OIDC issuer. All three compare byte for byte: no case is
// folded, no slash is added, no type is taken for another.
func (c *Certificate) Is(issuer string, t SANType, san string) bool {
	return issuer != "" && san != "" && c.Issuer == issuer && c.SANType == t && c.SAN == san
}

// A leaf is a certificate of a bundle, parsed and held against the profile,
// but not yet against any authority.
type leaf struct {
	x509   *x509.Certificate
	scheme sigalg.Scheme
	info   *Certificate
	scts   []byte // the SCT list extension's value
}

var (
	oidSAN       = asn1.ObjectIdentifier{2, 5, 29, 17}
	oidSCTList   = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 4, 2}
	oidEKU       = asn1.ObjectIdentifier{2, 5, 29, 37}
	oidOtherName = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, 7}
	oidFulcio    = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1} // arc of the extensions
)

// parseLeaf reads a leaf and checks what does not depend on who issued it
// (client-spec 4.3, fulcio-spec "Certificate issuance", RFC 5280 4.2).
func parseLeaf(raw []byte) (*leaf, error) {
	c, err := x509.ParseCertificate(raw)
	if err != nil {
		return nil, wrapf(err, ReasonCertificate, specCert, "malformed leaf certificate")
	}
	l := &leaf{x509: c, info: &Certificate{PublicKey: c.PublicKey, Raw: c.Raw}}
	switch {
	case c.Version != 3:
		return nil, failf(ReasonCertificate, specCert, "leaf certificate of version %d, want 3", c.Version)
	case c.IsCA:
		return nil, failf(ReasonCertificate, specCert, "leaf certificate is a certificate authority")
	case c.KeyUsage&x509.KeyUsageDigitalSignature == 0:
		return nil, failf(ReasonCertificate, specCert, "leaf certificate without key usage digitalSignature")
	case !hasEKU(c, x509.ExtKeyUsageCodeSigning):
		return nil, failf(ReasonCertificate, specCert, "leaf certificate without extended key usage codeSigning")
	}
	if l.scheme, err = sigalg.For(c.PublicKey, ""); err != nil {
		return nil, wrapf(err, ReasonKey, specCert, "key of the leaf certificate")
	}
	// RFC 5280 4.2: an unknown critical extension is a reason to refuse. For
	// crypto/x509 a subject alternative name of an unknown type is one.
	for _, oid := range c.UnhandledCriticalExtensions {
		if !oid.Equal(oidSAN) {
			return nil, failf(ReasonCertificate, "RFC 5280 4.2", "unknown critical extension %v in the leaf certificate", oid)
		}
	}
	hasSAN := false
	for i := range c.Extensions {
		// crypto/x509 refuses an extension that is there twice.
		e := &c.Extensions[i]
		switch {
		case e.Id.Equal(oidSAN):
			hasSAN = true
			// RFC 5280 4.1.2.6: the subject is empty, so this must be critical.
			if !e.Critical {
				return nil, failf(ReasonCertificate, "RFC 5280 4.1.2.6", "subject alternative name is not critical")
			}
			if l.info.SANType, l.info.SAN, err = parseSAN(e.Value); err != nil {
				return nil, err
			}
		case e.Id.Equal(oidSCTList):
			l.scts = e.Value
		case len(e.Id) == len(oidFulcio)+1 && e.Id[:len(oidFulcio)].Equal(oidFulcio):
			if err := l.info.setExtension(e.Id[len(oidFulcio)], e.Value); err != nil {
				return nil, err
			}
		}
	}
	if !hasSAN {
		return nil, failf(ReasonCertificate, specCert, "leaf certificate without subject alternative name")
	}
	if l.info.Issuer == "" {
		return nil, failf(ReasonCertificate, specCert, "leaf certificate without OIDC issuer (1.3.6.1.4.1.57264.1.8)")
	}
	return l, nil
}

func hasEKU(c *x509.Certificate, want x509.ExtKeyUsage) bool {
	for _, u := range c.ExtKeyUsage {
		if u == want {
			return true
		}
	}
	return false
}

// parseSAN reads the one name of the subject. fulcio-spec: exactly one; a
// second one would be an identity that nobody compared.
func parseSAN(der []byte) (t SANType, name string, err error) {
	bad := func(what string) error {
		return failf(ReasonCertificate, specCert, "subject alternative name: %s", what)
	}
	input := cryptobyte.String(der)
	var names, value cryptobyte.String
	var tag cryptobyteasn1.Tag
	if !input.ReadASN1(&names, cryptobyteasn1.SEQUENCE) || !input.Empty() ||
		!names.ReadAnyASN1(&value, &tag) {
		return "", "", bad("malformed")
	}
	if !names.Empty() {
		return "", "", bad("want exactly one name")
	}
	switch tag { // GeneralName, RFC 5280 4.2.1.6
	case cryptobyteasn1.Tag(0).ContextSpecific().Constructed():
		var oid asn1.ObjectIdentifier
		var explicit, text cryptobyte.String
		if !value.ReadASN1ObjectIdentifier(&oid) || !oid.Equal(oidOtherName) {
			return "", "", bad("an other name, but not a Fulcio username (1.3.6.1.4.1.57264.1.7)")
		}
		if !value.ReadASN1(&explicit, cryptobyteasn1.Tag(0).ContextSpecific().Constructed()) || !value.Empty() ||
			!explicit.ReadASN1(&text, cryptobyteasn1.UTF8String) || !explicit.Empty() || !utf8.Valid(text) {
			return "", "", bad("malformed other name")
		}
		t, name = SANOtherName, string(text)
	case cryptobyteasn1.Tag(1).ContextSpecific():
		t, name = SANEmail, string(value)
	case cryptobyteasn1.Tag(6).ContextSpecific():
		t, name = SANURI, string(value)
	default:
		return "", "", bad("want a URI, an email address or an other name")
	}
	if name == "" || t != SANOtherName && strings.ContainsFunc(name, func(r rune) bool { return r >= utf8.RuneSelf }) || strings.ContainsRune(name, 0) {
		return "", "", bad("an empty name, or one with bytes that it must not have")
	}
	return t, name, nil
}

// setExtension reads one Fulcio extension (fulcio oid-info.md): up to .6 the
// value is the string itself, from .8 on it is a DER UTF8String.
func (c *Certificate) setExtension(n int, value []byte) error {
	var field *string
	switch n {
	case 1, 8:
		field = &c.Issuer
	case 2:
		field = &c.GitHubTrigger
	case 3:
		field = &c.GitHubSHA
	case 4:
		field = &c.GitHubName
	case 5:
		field = &c.GitHubRepository
	case 6:
		field = &c.GitHubRef
	case 9:
		field = &c.BuildSignerURI
	case 10:
		field = &c.BuildSignerDigest
	case 11:
		field = &c.RunnerEnvironment
	case 12:
		field = &c.SourceRepositoryURI
	case 13:
		field = &c.SourceRepositoryDigest
	case 14:
		field = &c.SourceRepositoryRef
	case 15:
		field = &c.SourceRepositoryID
	case 16:
		field = &c.SourceOwnerURI
	case 17:
		field = &c.SourceOwnerID
	case 18:
		field = &c.BuildConfigURI
	case 19:
		field = &c.BuildConfigDigest
	case 20:
		field = &c.BuildTrigger
	case 21:
		field = &c.RunInvocationURI
	case 22:
		field = &c.SourceVisibility
	case 23:
		field = &c.DeploymentEnvironment
	case 24:
		field = &c.TokenSubject
	default:
		return nil
	}
	text := cryptobyte.String(value)
	if n >= 8 {
		input := text
		if !input.ReadASN1(&text, cryptobyteasn1.UTF8String) || !input.Empty() {
			return failf(ReasonCertificate, specCert, "extension 1.3.6.1.4.1.57264.1.%d is not a UTF8String", n)
		}
	}
	if !utf8.Valid(text) {
		return failf(ReasonCertificate, specCert, "extension 1.3.6.1.4.1.57264.1.%d is not valid UTF-8", n)
	}
	// The issuer has two extensions, old and new; a certificate on which they
	// disagree would be read differently by different verifiers.
	if *field != "" && *field != string(text) {
		return failf(ReasonCertificate, specCert, "two extensions disagree about the OIDC issuer")
	}
	*field = string(text)
	return nil
}
