package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/hallmark-build/hallmark/examples/internal/cli"
	"github.com/hallmark-build/hallmark/internal/strictjson"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/assembly"
	"github.com/hallmark-build/hallmark/sbom/gate"
	"github.com/hallmark-build/hallmark/sbom/jsf"
	"github.com/hallmark-build/hallmark/sbom/license"
	"github.com/hallmark-build/hallmark/sbom/osv"
	"github.com/hallmark-build/hallmark/sbom/vex"
	"github.com/hallmark-build/hallmark/verify"
)

// report prints reports of gates.
func (p *program) report(reports ...*gate.Report) error {
	render := gate.Text
	if p.json {
		render = gate.JSON
	} else if p.format != "" {
		var ok bool
		if render, ok = gate.Renderers()[p.format]; !ok {
			return fmt.Errorf("want -format, one of %s, found %q", strings.Join(reportFormats(), ", "), p.format)
		}
	}
	if err := render(p.out, reports...); err != nil {
		return err
	}
	for _, r := range reports {
		if r.Err() != nil {
			return errFound
		}
	}
	return nil
}

// license judges licences by the policy in a file, by lists, or by both.
func (p *program) license(file string) error {
	var policy license.Policy
	if p.policy != "" {
		data, err := readFile(p.policy)
		if err != nil {
			return err
		}
		// A misspelt "deny" must not pass for a policy that denies nothing.
		d := json.NewDecoder(bytes.NewReader(data))
		d.DisallowUnknownFields()
		if err := errors.Join(strictjson.Into(data, maxDocument, &policy), d.Decode(&license.Policy{})); err != nil {
			return fmt.Errorf("%s: %w", p.policy, err)
		}
	}
	policy.Allow = append(policy.Allow, p.allow...)
	policy.Deny = append(policy.Deny, p.deny...)
	policy.UnsafeAllowUnlisted = policy.UnsafeAllowUnlisted || p.unsafeUnlisted
	policy.UnsafeAllowUnknown = policy.UnsafeAllowUnknown || p.unsafeUnknown
	checker, err := license.New(policy)
	if err != nil {
		return err
	}
	g, _, err := read(file)
	if err != nil {
		return err
	}
	r, err := checker.Check(g)
	if err != nil {
		return err
	}
	return p.report(r)
}

func (p *program) scan(ctx context.Context, file string) error {
	if p.db == "" {
		return errors.New("want -db, a zip file or folder of OSV records")
	}
	g, _, err := read(file)
	if err != nil {
		return err
	}
	statements, err := p.statements(file)
	if err != nil {
		return err
	}
	spin := cli.Spin(os.Stderr, p.db)
	defer func() {
		if spin != nil {
			spin.Stop()
		}
	}()
	db, err := osv.Open(ctx, p.db, osv.OpenOptions{Progress: func(done, total int) { spin.Say("%s: %d of %d records", p.db, done, total) }})
	if err != nil {
		return err
	}
	defer db.Close()
	result, err := db.Match(ctx, g, osv.Options{Progress: func(done, total int) { spin.Say("%d of %d components", done, total) }})
	if err != nil {
		return err
	}
	spin.Stop()
	spin = nil
	if len(statements) > 0 {
		result, err = vex.Apply(result, statements, vex.Options{Trusted: []string{vexSigner}, At: p.now, UnsafeUnsigned: p.unsafeVEX})
		if err != nil {
			return err
		}
	}
	return p.report(result.Report(osv.ReportOptions{At: p.now, MaxAge: p.maxAge}))
}

// vexSigner is whom statements are from that one of -vex-key signed.
const vexSigner = "the holder of a -vex-key"

// statements reads the VEX documents that the user names, about the bill in a
// file.
func (p *program) statements(bill string) ([]vex.Statement, error) {
	if len(p.vex) == 0 {
		return nil, nil
	}
	linked := func(string, int) *sbom.Graph { return nil }
	if doc, err := readFile(bill); err != nil {
		return nil, err
	} else if part, err := assembly.Open(doc); err == nil {
		// A VEX may name its product by the bill's BOM-Link.
		link, _, _ := strings.Cut(part.Link(), "#")
		linked = func(serial string, version int) *sbom.Graph {
			if link == "urn:cdx:"+strings.TrimPrefix(serial, "urn:uuid:")+"/"+strconv.Itoa(version) {
				return part.Graph()
			}
			return nil
		}
	}
	trusted, keys, err := publicKeys(p.vexKeys)
	if err != nil {
		return nil, err
	}
	trust, err := verify.NewTrust(keys...)
	if err != nil {
		return nil, err
	}
	var all []vex.Statement
	for _, file := range p.vex {
		doc, err := readFile(file)
		if err != nil {
			return nil, err
		}
		list, err := p.readVEX(doc, linked, trust, trusted)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all = append(all, list...)
	}
	return all, nil
}

// readVEX reads a document that is signed (an attestation, or CycloneDX with a
// signature in it), or, if the user says so, one that is not.
func (p *program) readVEX(doc []byte, linked vex.Linked, trust *verify.Trust, trusted []crypto.PublicKey) ([]vex.Statement, error) {
	// This only says how to read it; each reader is strict.
	var kind struct {
		Envelope  json.RawMessage `json:"payload"`
		Bundle    json.RawMessage `json:"dsseEnvelope"`
		Statement json.RawMessage `json:"_type"`
		CycloneDX json.RawMessage `json:"bomFormat"`
		Signature json.RawMessage `json:"signature"`
	}
	if err := strictjson.Into(doc, maxDocument, &kind); err != nil {
		return nil, err
	}
	signed := kind.Envelope != nil || kind.Bundle != nil || kind.CycloneDX != nil && kind.Signature != nil
	switch {
	case signed && len(trusted) == 0 && !(p.unsafeVEX && kind.CycloneDX != nil):
		return nil, errors.New("want -vex-key, the public key of who signed it")
	case !signed && !p.unsafeVEX:
		return nil, errors.New("is not signed, and anybody can write such a document: want one that is signed, and -vex-key; or -unsafe-unsigned-vex")
	case kind.Envelope != nil || kind.Bundle != nil:
		st, err := verify.Open(doc, trust, p.now)
		if err != nil {
			return nil, err
		}
		return vex.FromStatement(st.Statement(), vexSigner)
	case kind.Statement != nil:
		st, err := provenance.ParseStatement(doc)
		if err != nil {
			return nil, err
		}
		return vex.FromStatement(st)
	case kind.CycloneDX != nil && signed && len(trusted) > 0:
		if _, err := jsf.Verify(doc, trusted...); err != nil {
			return nil, err
		}
		return vex.ReadCycloneDX(doc, linked, vexSigner)
	case kind.CycloneDX != nil:
		return vex.ReadCycloneDX(doc, linked)
	}
	return vex.ReadOpenVEX(doc)
}

// publicKeys reads files of one public key each.
func publicKeys(files []string) (public []crypto.PublicKey, keys []verify.Key, err error) {
	for _, name := range files {
		data, err := readFile(name)
		if err != nil {
			return nil, nil, err
		}
		block, rest := pem.Decode(data)
		if block == nil || len(bytes.TrimSpace(rest)) > 0 {
			return nil, nil, fmt.Errorf("%s: want one public key in PEM", name)
		}
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", name, err)
		}
		public, keys = append(public, key), append(keys, verify.Key{PEM: string(data)})
	}
	return public, keys, nil
}
