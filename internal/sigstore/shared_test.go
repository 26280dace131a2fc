package sigstore

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The public test data lies beside the repository; without it these tests
// skip, and the generated ones carry on.
const sharedData = "../../../shared/data"

func readShared(t testing.TB, name ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(append([]string{sharedData}, name...)...))
	if os.IsNotExist(err) {
		t.Skip("no shared data")
	}
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func publicGood(t testing.TB) *Verifier {
	t.Helper()
	return newTestVerifier(t, readShared(t, "trust", "trusted_root.public-good.2026-08.json"))
}

func newTestVerifier(t testing.TB, rootJSON []byte) *Verifier {
	t.Helper()
	root, err := ParseTrustedRoot(rootJSON)
	if err != nil {
		t.Fatal(err)
	}
	v, err := NewVerifier(root, Config{})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// parseAndVerify is what every caller does.
func parseAndVerify(v *Verifier, data []byte, o Options) (*Result, error) {
	b, err := ParseBundle(data)
	if err != nil {
		return nil, err
	}
	if _, _, isEnvelope := b.UnverifiedPayload(); isEnvelope {
		o.Artifact = nil
	}
	return v.Verify(b, o)
}

func TestSharedConformance(t *testing.T) {
	const (
		identity = "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main"
		issuer   = "https://token.actions.githubusercontent.com"
	)
	readShared(t, "sigstore-conformance", "a.txt")
	cases, err := filepath.Glob(filepath.Join(sharedData, "sigstore-conformance", "*", "bundle.sigstore.json"))
	if err != nil || len(cases) != 18 {
		t.Fatalf("%d cases, %v", len(cases), err)
	}
	for _, file := range cases {
		dir := filepath.Dir(file)
		name := filepath.Base(dir)
		t.Run(name, func(t *testing.T) {
			optional := func(base, fallback string) []byte {
				if data, err := os.ReadFile(filepath.Join(dir, base)); err == nil {
					return data
				}
				return readShared(t, fallback)
			}
			v := newTestVerifier(t, optional("trusted_root.json", "trust/trusted_root.public-good.2026-08.json"))
			o := Options{Artifact: &Artifact{Bytes: optional("artifact", "sigstore-conformance/a.txt")}}
			if key, err := os.ReadFile(filepath.Join(dir, "key.pub")); err == nil {
				block, _ := pem.Decode(key)
				pub, err := x509.ParsePKIXPublicKey(block.Bytes)
				if err != nil {
					t.Fatal(err)
				}
				o.Key = &Key{Public: pub}
			}
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			r, err := parseAndVerify(v, data, o)
			if strings.HasSuffix(name, "_fail") {
				if err == nil {
					t.Fatal("accepted")
				}
				t.Log(err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if o.Key == nil && !r.Certificate.Is(issuer, SANURI, identity) {
				t.Errorf("identity %+v", r.Certificate)
			}
			if len(r.Times) == 0 || len(r.LogEntries) == 0 {
				t.Errorf("result %+v", r)
			}
		})
	}
}

func TestSharedSigstoreJS(t *testing.T) {
	v := publicGood(t)
	files, _ := filepath.Glob(filepath.Join(sharedData, "sigstore-js", "*.sigstore"))
	if len(files) != 9 {
		t.Fatalf("%d files", len(files))
	}
	for _, file := range files {
		data, _ := os.ReadFile(file)
		r, err := parseAndVerify(v, data, Options{})
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(file), err)
			continue
		}
		if !r.Certificate.Is("https://github.com/login/oauth", SANEmail, "brian@dehamer.com") {
			t.Errorf("%s: identity %v %v %v", filepath.Base(file), r.Certificate.Issuer, r.Certificate.SANType, r.Certificate.SAN)
		}
	}
}

// npmBundles returns the bundles of an npm attestations file, which wraps them.
func npmBundles(t testing.TB, data []byte) (bundles [][]byte) {
	t.Helper()
	var doc struct {
		Attestations []struct{ Bundle json.RawMessage }
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	for _, a := range doc.Attestations {
		bundles = append(bundles, a.Bundle)
	}
	return bundles
}

func npmKey(t testing.TB, hint string) *Key {
	t.Helper()
	var doc struct {
		Keys []struct {
			KeyID, KeyUsage string
			PublicKey       struct{ RawBytes []byte }
		}
	}
	if err := json.Unmarshal(readShared(t, "trust", "npm-keys.json"), &doc); err != nil {
		t.Fatal(err)
	}
	for _, k := range doc.Keys {
		if k.KeyID == hint && strings.Contains(k.KeyUsage, "attestations") {
			pub, err := x509.ParsePKIXPublicKey(k.PublicKey.RawBytes)
			if err != nil {
				t.Fatal(err)
			}
			return &Key{Public: pub}
		}
	}
	t.Fatalf("no key %q", hint)
	return nil
}

func TestSharedProvenance(t *testing.T) {
	v := publicGood(t)
	for _, name := range []string{
		"bcr/MODULE.bazel.intoto.jsonl", "bcr/MODULE-wrong-signer.bazel.intoto.jsonl", "bcr/rules_lint-v1.3.1.tar.gz.intoto.jsonl",
		"container-based/binary-linux-amd64-push-v14.2.intoto.build.slsa", "maven/binary-linux-amd64-push-v14.2.build.slsa",
		"npm/provenance-npm-test-cli-v1-prega.tgz.json", "npm/supreme-googles-cli-v02-tag.tgz.json",
	} {
		t.Run(name, func(t *testing.T) {
			data := readShared(t, "slsa-real", name)
			bundles := bytes.Split(bytes.TrimSpace(data), []byte("\n"))
			if strings.HasPrefix(name, "npm/") {
				bundles = npmBundles(t, data)
			}
			for i, data := range bundles {
				b, err := ParseBundle(data)
				if err != nil {
					t.Fatal(err)
				}
				var o Options
				if hint, isKey := b.UnverifiedKeyHint(); isKey {
					o.Key = npmKey(t, hint)
				}
				r, err := v.Verify(b, o)
				if err != nil {
					t.Fatalf("bundle %d: %v", i, err)
				}
				if r.Certificate != nil {
					t.Logf("%s %s %s", r.Certificate.SAN, r.Certificate.RunnerEnvironment, r.Times[0].Time)
				}
			}
		})
	}
}
