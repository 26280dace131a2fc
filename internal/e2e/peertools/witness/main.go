// Command witness is go-witness as the witness program uses it.
//
//	witness run KEY DIR COMMAND...     runs a command in DIR with the attestors
//	                                   environment, git, material, command-run and
//	                                   product; writes the signed collection
//	witness verify KEY < envelope      verifies an envelope with a public key; writes
//	                                   the predicate type and the names of the subjects
//
// It is a module of its own, of go-witness's requirements and not ours.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"

	"github.com/in-toto/go-witness/attestation"
	"github.com/in-toto/go-witness/attestation/commandrun"
	"github.com/in-toto/go-witness/attestation/environment"
	"github.com/in-toto/go-witness/attestation/git"
	"github.com/in-toto/go-witness/attestation/material"
	"github.com/in-toto/go-witness/attestation/product"
	"github.com/in-toto/go-witness/cryptoutil"
	"github.com/in-toto/go-witness/dsse"
	"github.com/in-toto/go-witness/intoto"
)

func main() {
	var err error
	switch os.Args[1] {
	case "run":
		err = run(os.Args[2], os.Args[3], os.Args[4:])
	case "verify":
		err = verify(os.Args[2])
	default:
		err = fmt.Errorf("want run or verify, found %q", os.Args[1])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "witness:", err)
		os.Exit(1)
	}
}

func run(keyFile, dir string, command []string) error {
	pem, err := os.Open(keyFile)
	if err != nil {
		return err
	}
	defer pem.Close()
	signer, err := cryptoutil.NewSignerFromReader(pem)
	if err != nil {
		return err
	}
	ctx, err := attestation.NewContext("build", []attestation.Attestor{
		environment.New(), git.New(), material.New(),
		commandrun.New(commandrun.WithCommand(command)), product.New(),
	}, attestation.WithWorkingDir(dir))
	if err != nil {
		return err
	}
	if err := ctx.RunAttestors(); err != nil {
		return err
	}
	for _, done := range ctx.CompletedAttestors() {
		if done.Error != nil {
			return fmt.Errorf("%s: %w", done.Attestor.Name(), done.Error)
		}
	}
	collection := attestation.NewCollection(ctx.StepName(), ctx.CompletedAttestors())
	predicate, err := json.Marshal(&collection)
	if err != nil {
		return err
	}
	statement, err := intoto.NewStatement(attestation.CollectionType, predicate, collection.Subjects())
	if err != nil {
		return err
	}
	payload, err := json.Marshal(&statement)
	if err != nil {
		return err
	}
	envelope, err := dsse.Sign(intoto.PayloadType, bytes.NewReader(payload), dsse.SignWithSigners(signer))
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(&envelope)
}

func verify(keyFile string) error {
	pem, err := os.Open(keyFile)
	if err != nil {
		return err
	}
	defer pem.Close()
	verifier, err := cryptoutil.NewVerifierFromReader(pem)
	if err != nil {
		return err
	}
	var envelope dsse.Envelope
	if err := json.NewDecoder(os.Stdin).Decode(&envelope); err != nil {
		return err
	}
	if _, err := envelope.Verify(dsse.VerifyWithVerifiers(verifier)); err != nil {
		return err
	}
	var statement intoto.Statement
	if err := json.Unmarshal(envelope.Payload, &statement); err != nil {
		return err
	}
	var names []string
	for _, s := range statement.Subject {
		names = append(names, s.Name)
	}
	slices.Sort(names)
	return json.NewEncoder(os.Stdout).Encode(map[string]any{"type": statement.PredicateType, "subjects": names})
}
