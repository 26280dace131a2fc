// Command sigstore-conformance is what the public conformance suite for
// Sigstore clients drives (its docs/cli_protocol.md): a thin wrapper over
// packages verify and sign/sigstore.
//
//	sigstore-conformance verify-bundle [--staging] --bundle FILE
//	    (--certificate-identity ID --certificate-oidc-issuer URL | --key PEM)
//	    [--trusted-root FILE] FILE_OR_DIGEST
//	sigstore-conformance sign-bundle [--staging] [--in-toto] --identity-token TOKEN --bundle FILE
//	    [--trusted-root FILE] [--signing-config FILE] FILE
//
// It exits with 0 if the bundle was accepted or made, 1 if it was refused, and
// 2 for wrong usage. With --trusted-root (and --signing-config), nothing but the
// services named there is reached; without, the public good instance's TUF
// repository is, or with --staging that of its staging instance.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	sigstoretuf "github.com/sigstore/sigstore-go/pkg/tuf"

	"github.com/hallmark-build/hallmark/examples/internal/cli"
	"github.com/hallmark-build/hallmark/internal/atomicfile"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/sign/sigstore"
	"github.com/hallmark-build/hallmark/verify"
	"github.com/hallmark-build/hallmark/verify/tuf"
)

func main() { os.Exit(run(os.Args[1:])) }

type options struct {
	staging, inToto          bool
	bundle, identity, issuer string
	key, root, config, token string
	artifact                 string
	command                  string
}

func run(args []string) int {
	ctx, cancel := cli.Context()
	defer cancel()
	o, err := parse(args)
	if err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return cli.OK
		}
		return cli.Fail("sigstore-conformance", err)
	}
	if o.command == "sign-bundle" {
		err = signBundle(ctx, o)
	} else {
		err = verifyBundle(ctx, o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "sigstore-conformance:", err)
		return cli.Refused
	}
	return cli.OK
}

func parse(args []string) (*options, error) {
	if len(args) == 0 || args[0] != "verify-bundle" && args[0] != "sign-bundle" {
		return nil, errors.New("want verify-bundle or sign-bundle")
	}
	o := &options{command: args[0]}
	f := flag.NewFlagSet(o.command, flag.ContinueOnError)
	f.BoolVar(&o.staging, "staging", false, "use the staging instance")
	f.StringVar(&o.bundle, "bundle", "", "the bundle")
	f.StringVar(&o.root, "trusted-root", "", "trusted_root.json")
	if o.command == "sign-bundle" {
		f.BoolVar(&o.inToto, "in-toto", false, "FILE is an in-toto statement: sign it in an envelope")
		f.StringVar(&o.token, "identity-token", "", "the OIDC token")
		f.StringVar(&o.config, "signing-config", "", "signing_config.json")
	} else {
		f.StringVar(&o.identity, "certificate-identity", "", "the subject that the certificate must name")
		f.StringVar(&o.issuer, "certificate-oidc-issuer", "", "the issuer that the certificate must name")
		f.StringVar(&o.key, "key", "", "the public key, for bundles without a certificate")
	}
	if err := f.Parse(args[1:]); err != nil {
		return nil, err
	}
	switch {
	case f.NArg() != 1:
		return nil, errors.New("want one artifact")
	case o.bundle == "":
		return nil, errors.New("want --bundle")
	case o.command == "sign-bundle" && o.token == "":
		return nil, errors.New("want --identity-token")
	case o.command == "verify-bundle" && o.key == "" && (o.identity == "" || o.issuer == ""),
		o.command == "verify-bundle" && o.key != "" && o.identity+o.issuer != "":
		return nil, errors.New("want either --certificate-identity and --certificate-oidc-issuer, or --key")
	}
	o.artifact = f.Arg(0)
	return o, nil
}

func verifyBundle(ctx context.Context, o *options) error {
	bundle, err := os.ReadFile(o.bundle)
	if err != nil {
		return err
	}
	trust, err := o.trust(ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	// A statement: the artifact must be among its subjects.
	var signatures []verify.Signature
	digest, isDigest := strings.CutPrefix(o.artifact, "sha256:")
	want, digestErr := provenance.NewDigest(provenance.SHA256, digest)
	if _, err := os.Stat(o.artifact); err == nil {
		isDigest = false // a file may be named like a digest
	}
	if isDigest && digestErr != nil {
		return digestErr
	}
	st, err := verify.Open(bundle, trust, now)
	rejected, _ := errors.AsType[*verify.RejectedError](err)
	switch {
	case err == nil:
		a := provenance.Artifact{Digests: provenance.DigestSet{want}}
		if !isDigest {
			if a, err = provenance.DigestFile(ctx, o.artifact); err != nil {
				return err
			}
		}
		if !slices.ContainsFunc(st.Statement().Subjects(), func(s provenance.ResourceDescriptor) bool { return s.Digest.Matches(a.Digests) }) {
			return errors.New("the artifact is not a subject of the statement")
		}
		signatures = st.Signatures()
	case rejected != nil && rejected.Reason == verify.ReasonPayloadType && rejected.UnverifiedPayload == nil:
		// A signature over the artifact itself.
		var sig *verify.Signature
		if isDigest {
			sig, err = verify.OpenArtifactDigest(bundle, provenance.DigestSet{want}, trust, now)
		} else {
			var content []byte
			if content, err = os.ReadFile(o.artifact); err != nil {
				return err
			}
			sig, err = verify.OpenArtifact(bundle, content, trust, now)
		}
		if err != nil {
			return err
		}
		signatures = append(signatures, *sig)
	default:
		return err
	}
	for _, s := range signatures {
		id := s.Principal.Identity()
		// No other key is trusted; but with the root, every certificate of its
		// authorities is.
		if o.key != "" && s.Principal.KeyID() != "" || o.key == "" && id.Issuer == o.issuer && id.Subject == o.identity {
			return nil
		}
	}
	if o.key != "" {
		return fmt.Errorf("signed by %v, not with the key", signatures[0].Principal)
	}
	return fmt.Errorf("signed by %v, not by %s (%s)", signatures[0].Principal, o.identity, o.issuer)
}

// trust is the instance that was asked for, with the one key if one was.
func (o *options) trust(ctx context.Context) (*verify.Trust, error) {
	var keys []verify.Key
	if o.key != "" {
		pem, err := os.ReadFile(o.key)
		if err != nil {
			return nil, err
		}
		// Sigstore signs with PKCS #1 v1.5 where a key is RSA.
		key := verify.Key{PEM: string(pem), Scheme: "rsa-pkcs1v15-sha256"}
		if _, err := verify.NewTrust(key); err != nil {
			key.Scheme = ""
		}
		keys = append(keys, key)
	}
	trust, err := verify.NewTrust(keys...)
	if err != nil {
		return nil, err
	}
	root, err := o.file(ctx, o.root, "trusted_root.json")
	if err != nil {
		return nil, err
	}
	return trust.WithSigstore(root, verify.Sigstore{})
}

// file reads a file that was named, else a target of the instance's TUF
// repository.
func (o *options) file(ctx context.Context, name, target string) ([]byte, error) {
	if name != "" {
		return os.ReadFile(name)
	}
	repo := tuf.Repository{URL: sigstoretuf.DefaultMirror, Root: sigstoretuf.DefaultRoot()}
	if o.staging {
		repo = tuf.Repository{URL: sigstoretuf.StagingMirror, Root: sigstoretuf.StagingRoot()}
	}
	if cache, err := os.UserCacheDir(); err == nil {
		repo.Cache = cache + "/hallmark-sigstore-conformance"
	}
	files, err := repo.Fetch(ctx, time.Now(), target)
	return files[target], err
}

func signBundle(ctx context.Context, o *options) error {
	data, err := o.file(ctx, o.config, "signing_config.v0.2.json")
	if err != nil {
		return err
	}
	config, err := sigstore.ParseSigningConfig(data)
	if err != nil {
		return err
	}
	services, err := config.Select(time.Now())
	if err != nil {
		return err
	}
	session, err := sigstore.NewSession(ctx, services, sigstore.StaticToken(o.token))
	if err != nil {
		return err
	}
	defer session.Close()
	var bundle []byte
	if o.inToto {
		payload, err := os.ReadFile(o.artifact)
		if err != nil {
			return err
		}
		st, err := provenance.ParseStatement(payload)
		if err != nil {
			return err
		}
		bundle, err = session.SignStatement(ctx, st)
		if err != nil {
			return err
		}
	} else {
		a, err := provenance.DigestFile(ctx, o.artifact)
		if err != nil {
			return err
		}
		if bundle, err = session.SignArtifact(ctx, a); err != nil {
			return err
		}
	}
	return atomicfile.WriteFile(o.bundle, bundle, 0o644)
}
