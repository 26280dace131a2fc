package main

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/sign"
	"github.com/hallmark-build/hallmark/sign/sigstore"
	"github.com/hallmark-build/hallmark/verify"
)

// signer signs as one stage.
type signer func(context.Context, *provenance.Statement) ([]byte, error)

// makeSigners gets a signer for each stage, and with it who that is.
func (r *releaser) makeSigners(ctx context.Context) error {
	r.signers, r.who = map[string]signer{}, map[string]verify.Principals{}
	if r.keyless != "" {
		return r.makeKeyless(ctx)
	}
	for _, stage := range stages {
		key, err := sign.GenerateKey(sign.ECDSAP256)
		scheme := sign.Scheme("")
		if err == nil && r.keys != "" {
			key, scheme, err = sign.ReadPrivateKey(filepath.Join(r.keys, stage+".key"), func() ([]byte, error) {
				return []byte(os.Getenv("HALLMARK_KEY_PASSWORD")), nil
			})
		}
		if err != nil {
			return err
		}
		s, err := sign.NewSigner(key, scheme)
		if err != nil {
			return err
		}
		r.signers[stage] = func(ctx context.Context, st *provenance.Statement) ([]byte, error) { return sign.Statement(ctx, st, s) }
		pem, err := publicPEM(key.Public())
		if err != nil {
			return err
		}
		r.who[stage] = verify.Principals{Keys: []verify.Key{{PEM: pem, Scheme: rsaScheme(s)}}}
	}
	return nil
}

// rsaScheme is what the policy must say about a key: nothing, but for RSA keys
// that do not sign as RSA keys do by default.
func rsaScheme(s sign.Signer) string {
	if s.Scheme() == sign.RSAPKCS1 {
		return string(sign.RSAPKCS1)
	}
	return ""
}

func publicPEM(pub crypto.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return "", err
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), nil
}

// makeKeyless gives each stage the identity of a workflow of its own: a
// certificate from the instance's Fulcio for a token that names the workflow.
// In CI each stage is a job and the token is the job's; here the local stack's
// issuer, which believes everybody, makes them.
func (r *releaser) makeKeyless(ctx context.Context) error {
	read := func(name string) ([]byte, error) { return os.ReadFile(filepath.Join(r.keyless, name)) }
	config, err := read("signing_config.json")
	if err != nil {
		return err
	}
	root, err := read("trusted_root.json")
	if err != nil {
		return err
	}
	r.roots = [][]byte{root}
	issuer, err := read("workflow_issuer")
	if err != nil {
		return err
	}
	parsed, err := sigstore.ParseSigningConfig(config)
	if err != nil {
		return err
	}
	services, err := parsed.Select(time.Now())
	if err != nil {
		return err
	}
	const repository, ref = "acme/app", "refs/heads/main"
	for _, stage := range stages {
		workflow := ".github/workflows/" + stage + ".yml"
		token, err := mint(ctx, strings.TrimSpace(string(issuer)), url.Values{"repository": {repository}, "workflow": {workflow}, "ref": {ref}})
		if err != nil {
			return err
		}
		session, err := sigstore.NewSession(ctx, services, sigstore.StaticToken(token))
		if err != nil {
			return err
		}
		r.signers[stage] = session.SignStatement
		r.who[stage] = verify.Principals{Identity: &verify.Identity{
			Issuer:  strings.TrimSpace(string(issuer)),
			Subject: "https://github.com/" + repository + "/" + workflow + "@" + ref,
		}}
	}
	return nil
}

func mint(ctx context.Context, issuer string, query url.Values) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, issuer+"/mint?"+query.Encode(), nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	token, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", issuer, resp.Status)
	}
	return strings.TrimSpace(string(token)), err
}
