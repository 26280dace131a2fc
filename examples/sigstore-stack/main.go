// Sigstore-stack runs a whole Sigstore on this machine to play with: an OIDC
// issuer that believes everybody, and the real Fulcio, CT log, Rekor v2 (and
// v1), timestamp authority and TUF repository, all on loopback.
//
//	go run ./examples/sigstore-stack -dir /tmp/stack
//
// It writes into the folder trusted_root.json, signing_config.json, root.json
// (the TUF root), token (an identity token, good for ten minutes) and
// workflow_issuer (the URL of the issuer of workflow tokens, for
// examples/release -keyless), prints what is where, and stays until it is
// interrupted. Nothing of it is left then but those five files, which are good
// for nothing without it.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/hallmark-build/hallmark/internal/e2e/sigstack"
)

func main() {
	sigstack.Main() // in a child process, this is a server and does not return
	log.SetFlags(0)
	log.SetPrefix("sigstore-stack: ")
	dir := flag.String("dir", ".", "`folder` for trusted_root.json, signing_config.json, root.json and token")
	user := flag.String("user", "dev@example.com", "e-mail `address` whom the issuer takes everybody for")
	v1 := flag.Bool("rekor-v1", false, "run a Rekor v1 too, and have signing_config.json name it")
	flag.Parse()
	if flag.NArg() > 0 {
		log.Fatalf("unexpected argument %q", flag.Arg(0))
	}
	if err := run(*dir, sigstack.Options{User: *user, RekorV1: *v1}); err != nil {
		log.Fatal(err)
	}
}

func run(dir string, options sigstack.Options) (err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	starting, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	s, err := sigstack.Start(starting, os.TempDir(), options)
	if err != nil {
		return err
	}
	defer func() {
		if e := s.Stop(); err == nil {
			err = e
		}
	}()
	config := s.SigningConfig
	if options.RekorV1 {
		config = s.SigningConfigV1
	}
	for name, content := range map[string][]byte{
		"trusted_root.json":   s.TrustedRoot,
		"signing_config.json": config,
		"root.json":           s.TUF.Root(),
		"token":               []byte(s.EmailToken(options.User)),
		"workflow_issuer":     []byte(s.Issuer.URL(sigstack.GitHub)),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return err
		}
	}
	issuer := s.Issuer.URL(sigstack.Email)
	fmt.Printf(`issuer     %s (and, in CI shapes, %s, %s, %s)
fulcio     %s
ct log     %s
rekor      %s (its tiles: %s)
rekor v1   %s
timestamps %s
tuf        %s
files      %s

A new token, one of another person, one of a workflow:
  curl '%[1]s/mint'
  curl '%[1]s/mint?email=alice@example.com'
  curl '%[2]s/mint?repository=acme/app&workflow=.github/workflows/release.yml&ref=refs/heads/main'

Sign and verify with cosign:
  cosign sign-blob --yes --identity-token token --signing-config signing_config.json \
    --trusted-root trusted_root.json --bundle app.sigstore.json app
  cosign verify-blob --trusted-root trusted_root.json --use-signed-timestamps --bundle app.sigstore.json \
    --certificate-identity %[13]s --certificate-oidc-issuer %[1]s app

Ctrl-C stops everything.
`, issuer, s.Issuer.URL(sigstack.GitHub), s.Issuer.URL(sigstack.GitLab), s.Issuer.URL(sigstack.Buildkite),
		s.FulcioURL, s.CTLogURL, s.RekorURL, s.TilesURL, orNone(s.Rekor1URL), s.TSAURLs[0], s.TUFURL, dir, options.User)
	<-ctx.Done()
	return nil
}

func orNone(url string) string {
	if url == "" {
		return "none (-rekor-v1 starts one)"
	}
	return url
}
