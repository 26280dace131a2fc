package sigstore

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/sigalg"
	"github.com/hallmark-build/hallmark/internal/strictjson"
)

// A TrustedRoot holds the keys and certificates of the services that are
// trusted, each with the time in which it is. It is immutable.
type TrustedRoot struct {
	logs   []*tlog
	ctLogs []*tlog
	cas    []*authority
	tsas   []*authority
}

// A window is a google TimeRange: inclusive at both ends, open where an end is
// the zero time.
type window struct{ start, end time.Time }

func (w window) contains(t time.Time) bool {
	return (w.start.IsZero() || !t.Before(w.start)) && (w.end.IsZero() || !t.After(w.end))
}

// A tlog is one TransparencyLogInstance: Rekor or certificate transparency.
type tlog struct {
	baseURL  string
	host     string // of baseURL, without port: the name of a Rekor v2 log
	id       []byte // logId.keyId
	key      crypto.PublicKey
	spki     []byte // key in DER
	hash     crypto.Hash
	validFor window
	operator string // who runs it, for counting
}

// An authority is one CertificateAuthority: a chain from the issuing
// certificate, or for timestamps from the signer's, to the anchor, which need
// not be self-signed.
type authority struct {
	uri      string
	chain    []*x509.Certificate
	validFor window
	operator string
	paths    paths
}

// ParseTrustedRoot reads a trusted_root.json of media type v0.1 or v0.2, at
// most 4 MiB, with at most 256 instances of each service. Parallel instances
// of one service, past and future ones too, are all kept. Keys of a kind that
// is not supported are an error, so that nobody believes a log to be trusted
// that is not. Errors are *strictjson.Error or *[Error].
func ParseTrustedRoot(data []byte) (*TrustedRoot, error) {
	p := strictjson.NewParser(data, limits.SigstoreRoot)
	r := new(TrustedRoot)
	hasType := false
	err := message(p, []string{"mediaType", "tlogs", "certificateAuthorities", "ctlogs", "timestampAuthorities"}, func(name string) (err error) {
		switch name {
		case "mediaType":
			hasType = true
			var s string
			if s, err = p.String(); err != nil {
				return err
			}
			switch s {
			case "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
				"application/vnd.dev.sigstore.trustedroot.v0.2+json":
			default:
				return failf(ReasonMediaType, specRoot, "unknown media type %.80q, want that of trusted root v0.1 or v0.2", s)
			}
		case "tlogs":
			r.logs, err = readLogs(p, "log")
		case "ctlogs":
			r.ctLogs, err = readLogs(p, "CT log")
		case "certificateAuthorities":
			r.cas, err = readAuthorities(p, "certificate authority")
		case "timestampAuthorities":
			r.tsas, err = readAuthorities(p, "timestamp authority")
		}
		return err
	})
	if err == nil {
		err = p.End()
	}
	if err != nil {
		return nil, err
	}
	if !hasType {
		return nil, failf(ReasonMediaType, specRoot, "trusted root has no mediaType")
	}
	if len(r.logs)+len(r.ctLogs)+len(r.cas)+len(r.tsas) == 0 {
		return nil, failf(ReasonRoot, specRoot, "trusted root names no service")
	}
	return r, nil
}

func readLogs(p *strictjson.Parser, what string) (logs []*tlog, err error) {
	err = array(p, what+"s", limits.SigstoreAuthorities, func() error {
		l, err := readLog(p)
		if err != nil {
			return err
		}
		logs = append(logs, l)
		return nil
	})
	return logs, err
}

func readLog(p *strictjson.Parser) (*tlog, error) {
	l := new(tlog)
	var raw []byte
	var details, operator string
	err := message(p, []string{"baseUrl", "hashAlgorithm", "publicKey", "logId", "checkpointKeyId", "operator"}, func(name string) (err error) {
		switch name {
		case "baseUrl":
			l.baseURL, err = p.String()
		case "hashAlgorithm":
			var s string
			if s, err = p.String(); err == nil && s != "SHA2_256" {
				err = failf(ReasonRoot, specRoot, "want hash algorithm SHA2_256 of a log, found %.40q", s)
			}
		case "publicKey":
			err = message(p, []string{"rawBytes", "keyDetails", "validFor"}, func(name string) (err error) {
				switch name {
				case "rawBytes":
					raw, err = base64Bytes(p, limits.SigstoreCertificate)
				case "keyDetails":
					details, err = p.String()
				case "validFor":
					l.validFor, err = readWindow(p)
				}
				return err
			})
		case "logId":
			err = message(p, []string{"keyId"}, func(string) (err error) {
				l.id, err = base64Bytes(p, 64)
				return err
			})
		case "operator":
			operator, err = p.String()
		default: // checkpointKeyId: recomputed from name and key
			err = p.Skip()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(l.id) == 0 {
		return nil, failf(ReasonRoot, specRoot, "log %.80q has no logId", l.baseURL)
	}
	// sigstore_trustroot.proto, PublicKey.valid_for: a key without start would
	// be trusted for all of the past.
	if l.validFor.start.IsZero() {
		return nil, failf(ReasonRoot, specRoot, "key of log %.80q has no validFor.start", l.baseURL)
	}
	if l.baseURL != "" {
		u, err := url.Parse(l.baseURL)
		if err != nil {
			return nil, wrapf(err, ReasonRoot, specRoot, "baseUrl of a log")
		}
		l.host = u.Hostname()
	}
	if err := l.setKey(raw, details); err != nil {
		return nil, wrapf(err, ReasonRoot, specRoot, "key of log %.80q", l.baseURL)
	}
	l.operator = operatorKey(operator, l.baseURL, l.id)
	return l, nil
}

// setKey parses the key and holds it against the details, which name the
// signature algorithm too.
func (l *tlog) setKey(raw []byte, details string) (err error) {
	if details == "PKCS1_RSA_PKCS1V5" { // deprecated, in use by a staging CT log
		k, err := x509.ParsePKCS1PublicKey(raw)
		if err != nil {
			return err
		}
		l.key = k
	} else if l.key, err = x509.ParsePKIXPublicKey(raw); err != nil {
		return err
	}
	if _, err = sigalg.For(l.key, ""); err != nil {
		return err
	}
	ok := false
	l.hash = crypto.SHA256
	switch k := l.key.(type) {
	case *ecdsa.PublicKey:
		switch size := k.Curve.Params().BitSize; size {
		case 256:
			ok = details == "PKIX_ECDSA_P256_SHA_256"
		case 384:
			ok, l.hash = details == "PKIX_ECDSA_P384_SHA_384", crypto.SHA384
		case 521:
			ok, l.hash = details == "PKIX_ECDSA_P521_SHA_512", crypto.SHA512
		}
	case ed25519.PublicKey:
		ok, l.hash = details == "PKIX_ED25519", 0
	case *rsa.PublicKey:
		ok = details == "PKCS1_RSA_PKCS1V5" || details == "PKIX_RSA_PKCS1V15_"+strconv.Itoa(k.N.BitLen())+"_SHA256"
	}
	if !ok {
		return failf(ReasonRoot, specRoot, "keyDetails %.60q does not fit a key of type %T", details, l.key)
	}
	l.spki, err = x509.MarshalPKIXPublicKey(l.key)
	return err
}

// verify checks a signature as the log makes them: over the hash of message,
// or for Ed25519 over message.
func (l *tlog) verify(message, sig []byte) bool {
	return verifyDigest(l.key, l.hash, message, sig)
}

func readAuthorities(p *strictjson.Parser, what string) (as []*authority, err error) {
	err = array(p, what, limits.SigstoreAuthorities, func() error {
		a := new(authority)
		var operator string
		err := message(p, []string{"subject", "uri", "certChain", "validFor", "operator"}, func(name string) (err error) {
			switch name {
			case "uri":
				a.uri, err = p.String()
			case "certChain":
				err = message(p, []string{"certificates"}, func(string) error {
					return array(p, "certificates", limits.SigstoreChain, func() error {
						raw, err := readRawBytes(p, "certificate")
						if err != nil {
							return err
						}
						c, err := x509.ParseCertificate(raw)
						if err != nil {
							return wrapf(err, ReasonRoot, specRoot, "certificate of %s %.80q", what, a.uri)
						}
						a.chain = append(a.chain, c)
						return nil
					})
				})
			case "validFor":
				a.validFor, err = readWindow(p)
			case "operator":
				operator, err = p.String()
			default:
				err = p.Skip()
			}
			return err
		})
		if err != nil {
			return err
		}
		if len(a.chain) == 0 {
			return failf(ReasonRoot, specRoot, "%s %.80q has no certificates", what, a.uri)
		}
		print := sha256.Sum256(a.chain[0].Raw)
		a.operator = operatorKey(operator, a.uri, print[:])
		as = append(as, a)
		return nil
	})
	return as, err
}

func readWindow(p *strictjson.Parser) (w window, err error) {
	err = message(p, []string{"start", "end"}, func(name string) (err error) {
		if name == "start" {
			w.start, err = timestamp(p)
		} else {
			w.end, err = timestamp(p)
		}
		return err
	})
	if err == nil && !w.start.IsZero() && !w.end.IsZero() && w.end.Before(w.start) {
		err = failf(ReasonRoot, specRoot, "validFor ends before it starts")
	}
	return w, err
}

// operatorKey says who runs an instance, so that thresholds count parties and
// not instances (client-spec 4.6). Roots of v0.1 do not name operators: then
// the host does, which takes shards and successors of one service for one;
// and without address each instance stands for itself.
func operatorKey(operator, address string, id []byte) string {
	if operator != "" {
		return "operator " + operator
	}
	if u, err := url.Parse(address); err == nil && u.Hostname() != "" {
		return "host " + strings.ToLower(u.Hostname())
	}
	if address != "" {
		return "address " + address
	}
	return "id " + string(id)
}

// logsByID returns the logs with this id: the same log may be listed more than
// once, with windows of its own.
func logsByID(logs []*tlog, id []byte) (found []*tlog) {
	for _, l := range logs {
		if bytes.Equal(l.id, id) {
			found = append(found, l)
		}
	}
	return found
}
