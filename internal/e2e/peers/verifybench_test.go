package peers

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/in-toto/in-toto-golang/in_toto"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/predicate"
	"github.com/hallmark-build/hallmark/verify"
)

// chainKey is one key in both worlds.
type chainKey struct {
	signer crypto.Signer
	public string // PEM
	inToto in_toto.Key
}

func newChainKey(b *testing.B, signer crypto.Signer) chainKey {
	b.Helper()
	der, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		b.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(signer)
	if err != nil {
		b.Fatal(err)
	}
	k := chainKey{signer: signer, public: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))}
	if err := k.inToto.LoadKeyReaderDefaults(bytes.NewReader(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))); err != nil {
		b.Fatal(err)
	}
	return k
}

// envelope signs a statement as any DSSE signer would.
func (k chainKey) envelope(b *testing.B, payload []byte) []byte {
	b.Helper()
	message := fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(provenance.PayloadType), provenance.PayloadType, len(payload), payload)
	var opts crypto.SignerOpts = crypto.Hash(0)
	if _, ok := k.signer.(*ecdsa.PrivateKey); ok {
		sum := sha256.Sum256(message)
		message, opts = sum[:], crypto.SHA256
	}
	sig, err := k.signer.Sign(rand.Reader, message, opts)
	if err != nil {
		b.Fatal(err)
	}
	data, err := json.Marshal(map[string]any{
		"payloadType": provenance.PayloadType, "payload": base64.StdEncoding.EncodeToString(payload),
		"signatures": []any{map[string]any{"keyid": "", "sig": base64.StdEncoding.EncodeToString(sig)}},
	})
	if err != nil {
		b.Fatal(err)
	}
	return data
}

func chainFile(step string, i int) (name, digest string) {
	name = fmt.Sprintf("%s/file%d", step, i)
	sum := sha256.Sum256([]byte(name))
	return name, hex.EncodeToString(sum[:])
}

// chain is source, build and package, of n files each, written to dir for
// both: links and layout for in-toto, statements of the same links for us.
type chain struct {
	layout     in_toto.Metadata
	layoutKeys map[string]in_toto.Key
	policy     *verify.Policy
	artifact   provenance.Artifact
}

func writeChain(b *testing.B, dir string, n int, newKey func() crypto.Signer, altered bool) *chain {
	b.Helper()
	steps := []string{"source", "build", "package"}
	owner := newChainKey(b, newKey())
	layout := in_toto.Layout{Type: "layout", Expires: "2100-01-01T00:00:00Z", Keys: map[string]in_toto.Key{}, Inspect: []in_toto.Inspection{}, Steps: []in_toto.Step{}}
	c := &chain{layoutKeys: map[string]in_toto.Key{owner.inToto.KeyID: owner.inToto}}
	c.policy = &verify.Policy{Schema: verify.PolicySchema, Name: "chain", NoExpiryUnsafe: true, Final: "package",
		Principals: map[string]verify.Principals{}, Stages: map[string]*verify.Stage{}}
	for _, sub := range []string{"links", "statements"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			b.Fatal(err)
		}
	}
	for s, step := range steps {
		k := newChainKey(b, newKey())
		link := in_toto.Link{Type: "link", Name: step, Materials: map[string]in_toto.HashObj{}, Products: map[string]in_toto.HashObj{}, ByProducts: map[string]any{}, Command: []string{"make", step}, Environment: map[string]any{}}
		ours := &predicate.Link{Name: step, Command: []string{"make", step}}
		var subjects []provenance.ResourceDescriptor
		for i := range n {
			if s > 0 {
				name, digest := chainFile(steps[s-1], i)
				if altered && i == n-1 && s == 2 {
					digest = fmt.Sprintf("%064x", 1)
				}
				link.Materials[name] = in_toto.HashObj{"sha256": digest}
				ours.Materials = append(ours.Materials, described(name, "", "sha256:"+digest))
			}
			name, digest := chainFile(step, i)
			link.Products[name] = in_toto.HashObj{"sha256": digest}
			subjects = append(subjects, described(name, "", "sha256:"+digest))
		}
		c.artifact = provenance.Artifact{Name: subjects[0].Name, Digests: subjects[0].Digest}
		env := &in_toto.Envelope{}
		if err := errors.Join(env.SetPayload(link), env.Sign(k.inToto)); err != nil {
			b.Fatal(err)
		}
		if err := env.Dump(filepath.Join(dir, "links", fmt.Sprintf(in_toto.LinkNameFormat, step, k.inToto.KeyID))); err != nil {
			b.Fatal(err)
		}
		st, err := ours.Statement(subjects)
		if err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "statements", step+".intoto.json"), k.envelope(b, st.Payload()), 0o644); err != nil {
			b.Fatal(err)
		}
		public := k.inToto
		public.KeyVal.Private = ""
		layout.Keys[public.KeyID] = public
		item := in_toto.SupplyChainItem{Name: step, ExpectedMaterials: [][]string{{"DISALLOW", "*"}}, ExpectedProducts: [][]string{{"ALLOW", step + "/*"}, {"DISALLOW", "*"}}}
		stage := &verify.Stage{Requires: []verify.Requirement{{Type: predicate.TypeLink, Signers: []string{step}}}, Products: []string{step + "/*"}}
		if s > 0 {
			item.ExpectedMaterials = [][]string{{"MATCH", "*", "WITH", "PRODUCTS", "FROM", steps[s-1]}, {"DISALLOW", "*"}}
			stage.From = []verify.Flow{{Stage: steps[s-1], Names: "same"}}
		}
		layout.Steps = append(layout.Steps, in_toto.Step{Type: "step", PubKeys: []string{public.KeyID}, ExpectedCommand: []string{"make", step}, Threshold: 1, SupplyChainItem: item})
		c.policy.Principals[step] = verify.Principals{Key: k.public}
		c.policy.Stages[step] = stage
	}
	env := &in_toto.Envelope{}
	if err := errors.Join(env.SetPayload(layout), env.Sign(owner.inToto)); err != nil {
		b.Fatal(err)
	}
	c.layout = env
	return c
}

func (c *chain) inToto(dir string) error {
	_, err := in_toto.InTotoVerify(c.layout, c.layoutKeys, filepath.Join(dir, "links"), "", nil, nil, false)
	return err
}

func (c *chain) hallmark(dir string) error {
	// What in-toto does at every verification, we do too: read the policy (its
	// layout comes parsed, and its signature is checked) and the evidence.
	v, err := verify.New(c.policy, verify.Options{})
	if err != nil {
		return err
	}
	ev, err := verify.EvidenceReader{Workers: 1}.Read(context.Background(), filepath.Join(dir, "statements"))
	if err != nil {
		return err
	}
	_, err = v.Verify(context.Background(), verify.Request{Artifacts: []provenance.Artifact{c.artifact}, Evidence: ev, At: time.Now()})
	return err
}

// BenchmarkVsInToto verifies one chain of three steps with one signature each,
// whose files flow by name and digest, from the files of a directory.
func BenchmarkVsInToto(b *testing.B) {
	keys := map[string]func() crypto.Signer{
		"ecdsa": func() crypto.Signer {
			k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			if err != nil {
				b.Fatal(err)
			}
			return k
		},
		"ed25519": func() crypto.Signer {
			_, k, err := ed25519.GenerateKey(rand.Reader)
			if err != nil {
				b.Fatal(err)
			}
			return k
		},
	}
	for _, alg := range []string{"ecdsa", "ed25519"} {
		for _, n := range []int{10, 100, 1000} {
			dir := b.TempDir()
			c := writeChain(b, dir, n, keys[alg], false)
			bad := b.TempDir()
			altered := writeChain(b, bad, n, keys[alg], true)
			var refused *verify.RefusedError
			if err := altered.hallmark(bad); !errors.As(err, &refused) {
				b.Fatalf("hallmark on an altered file: %v", err)
			}
			if err := altered.inToto(bad); err == nil {
				b.Fatal("in-toto passes an altered file")
			}
			for _, who := range []struct {
				name string
				run  func(string) error
			}{{"in-toto-golang", c.inToto}, {"hallmark", c.hallmark}} {
				b.Run(fmt.Sprintf("%s/files=%d/%s", alg, n, who.name), func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						if err := who.run(dir); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		}
	}
}
