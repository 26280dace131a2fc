// Command chains is Tekton Chains' own formatter and envelope: it reads a
// TaskRun in JSON from standard input, and writes the attestation of it as Chains
// would store it.
//
//	chains slsa/v1 | slsa/v2alpha4 KEY BUILDER-ID < taskrun.json
//
// It is a module of its own, of Chains' requirements and not ours.
package main

import (
	"bytes"
	"context"
	"crypto"
	"encoding/json"
	"fmt"
	"os"

	intoto "github.com/in-toto/attestation/go/v1"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/tektoncd/chains/pkg/chains/formats"
	slsav1 "github.com/tektoncd/chains/pkg/chains/formats/slsa/v1"
	"github.com/tektoncd/chains/pkg/chains/formats/slsa/v2alpha4"
	"github.com/tektoncd/chains/pkg/chains/objects"
	"github.com/tektoncd/chains/pkg/chains/signing"
	"github.com/tektoncd/chains/pkg/config"
	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"google.golang.org/protobuf/encoding/protojson"
)

// keySigner is what Chains makes of the key in its secret.
type keySigner struct{ signature.SignerVerifier }

func (keySigner) Type() string  { return "x509" }
func (keySigner) Cert() string  { return "" }
func (keySigner) Chain() string { return "" }

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "chains:", err)
		os.Exit(1)
	}
}

func run() error {
	ctx := context.Background()
	format, keyFile, builder := os.Args[1], os.Args[2], os.Args[3]
	var cfg config.Config
	cfg.Builder.ID = builder
	newFormatter := map[string]func(config.Config) (formats.Payloader, error){"slsa/v1": slsav1.NewFormatter, "slsa/v2alpha4": v2alpha4.NewFormatter}[format]
	formatter, err := newFormatter(cfg)
	if err != nil {
		return err
	}
	var task v1.TaskRun
	if err := json.NewDecoder(os.Stdin).Decode(&task); err != nil {
		return err
	}
	payload, err := formatter.CreatePayload(ctx, objects.NewTaskRunObjectV1(&task))
	if err != nil {
		return err
	}
	var raw []byte
	switch p := payload.(type) { // as pkg/chains/signing.go does
	case intoto.Statement:
		raw, err = protojson.Marshal(&p)
	case *intoto.Statement:
		raw, err = protojson.Marshal(p)
	default:
		raw, err = json.Marshal(p)
	}
	if err != nil {
		return err
	}
	pem, err := os.ReadFile(keyFile)
	if err != nil {
		return err
	}
	key, err := cryptoutils.UnmarshalPEMToPrivateKey(pem, cryptoutils.SkipPassword)
	if err != nil {
		return err
	}
	signer, err := signature.LoadSignerVerifier(key, crypto.SHA256)
	if err != nil {
		return err
	}
	wrapped, err := signing.Wrap(keySigner{signer})
	if err != nil {
		return err
	}
	envelope, err := wrapped.SignMessage(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(envelope)
	return err
}
