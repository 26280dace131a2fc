package sign

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/provenance"
)

var ctx = context.Background()

func statement(t testing.TB) *provenance.Statement {
	t.Helper()
	a, err := provenance.DigestReader(ctx, "app", strings.NewReader("content"))
	if err != nil {
		t.Fatal(err)
	}
	st, err := provenance.NewStatement([]provenance.ResourceDescriptor{a.Descriptor()}, "https://example.com/predicate/v1", map[string]any{"a": "<b>&\u2028"})
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// keys are made once: RSA keys take their time.
var keys = sync.OnceValue(func() map[Scheme]crypto.Signer {
	m := map[Scheme]crypto.Signer{}
	for _, s := range []Scheme{ECDSAP256, ECDSAP384, ECDSAP521, Ed25519, RSAPSS} {
		k, err := GenerateKey(s)
		if err != nil {
			panic(err)
		}
		m[s] = k
	}
	m[RSAPKCS1] = m[RSAPSS]
	return m
})

func signer(t testing.TB, s Scheme) Signer {
	t.Helper()
	sg, err := NewSigner(keys()[s], s)
	if err != nil {
		t.Fatal(err)
	}
	return sg
}

func reason(err error) string {
	var e *Error
	if errors.As(err, &e) {
		return e.Reason
	}
	if err != nil {
		return "untyped: " + err.Error()
	}
	return ""
}

// check verifies an envelope with the standard library alone: the encoding is
// written out again here, after the text of the specification.
func check(env []byte, i int, pub crypto.PublicKey, s Scheme) error {
	var e struct {
		PayloadType string
		Payload     string
		Signatures  []struct{ KeyID, Sig string }
	}
	if err := json.Unmarshal(env, &e); err != nil {
		return err
	}
	payload, err := base64.StdEncoding.DecodeString(e.Payload)
	if err != nil {
		return err
	}
	sig, err := base64.StdEncoding.DecodeString(e.Signatures[i].Sig)
	if err != nil {
		return err
	}
	msg := fmt.Sprintf("DSSEv1 %d %s %d %s", len(e.PayloadType), e.PayloadType, len(payload), payload)
	h256, h384, h512 := sha256.Sum256([]byte(msg)), sha512.Sum384([]byte(msg)), sha512.Sum512([]byte(msg))
	ok := false
	switch s {
	case ECDSAP256:
		ok = ecdsa.VerifyASN1(pub.(*ecdsa.PublicKey), h256[:], sig)
	case ECDSAP384:
		ok = ecdsa.VerifyASN1(pub.(*ecdsa.PublicKey), h384[:], sig)
	case ECDSAP521:
		ok = ecdsa.VerifyASN1(pub.(*ecdsa.PublicKey), h512[:], sig)
	case Ed25519:
		ok = ed25519.Verify(pub.(ed25519.PublicKey), []byte(msg), sig)
	case RSAPSS:
		ok = rsa.VerifyPSS(pub.(*rsa.PublicKey), crypto.SHA256, h256[:], sig, &rsa.PSSOptions{SaltLength: 32}) == nil
	case RSAPKCS1:
		ok = rsa.VerifyPKCS1v15(pub.(*rsa.PublicKey), crypto.SHA256, h256[:], sig) == nil
	}
	if !ok {
		return errors.New("does not verify")
	}
	if bytes.Contains(env, []byte(`"keyid"`)) {
		return errors.New("a key id is written; verifiers built on go-securesystemslib refuse it")
	}
	return nil
}

func payloadOf(t *testing.T, env []byte) []byte {
	t.Helper()
	var e struct{ Payload []byte }
	if err := json.Unmarshal(env, &e); err != nil {
		t.Fatal(err)
	}
	return e.Payload
}

func TestStatement(t *testing.T) {
	st := statement(t)
	for s, key := range keys() {
		t.Run(string(s), func(t *testing.T) {
			env, err := Statement(ctx, st, signer(t, s))
			if err != nil {
				t.Fatal(err)
			}
			if bytes.ContainsAny(env, "\r\n") {
				t.Error("more than one line")
			}
			if !bytes.Equal(payloadOf(t, env), st.Payload()) {
				t.Error("another payload")
			}
			if err := check(env, 0, key.Public(), s); err != nil {
				t.Error(err)
			}
		})
	}
	order := []Scheme{Ed25519, ECDSAP384, RSAPKCS1, ECDSAP256}
	var all []Signer
	for _, s := range order {
		all = append(all, signer(t, s))
	}
	env, err := Statement(ctx, st, all...)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range order {
		if err := check(env, i, keys()[s].Public(), s); err != nil {
			t.Errorf("signature %d, %s: %v", i, s, err)
		}
	}
}

// faulty is a Signer whose parts can be set wrong.
type faulty struct {
	Signer
	sign func(ctx context.Context, message []byte) ([]byte, error)
	pub  crypto.PublicKey
}

func (f faulty) Sign(ctx context.Context, m []byte) ([]byte, error) {
	if f.sign != nil {
		return f.sign(ctx, m)
	}
	return f.Signer.Sign(ctx, m)
}

func (f faulty) Public() crypto.PublicKey {
	if f.pub != nil {
		return f.pub
	}
	return f.Signer.Public()
}

func TestStatementRefuses(t *testing.T) {
	st := statement(t)
	good, other := signer(t, ECDSAP256), signer(t, Ed25519)
	again, err := NewSigner(keys()[ECDSAP256], "")
	if err != nil {
		t.Fatal(err)
	}
	second, err := GenerateKey("")
	if err != nil {
		t.Fatal(err)
	}
	ret := func(sig []byte, err error) func(context.Context, []byte) ([]byte, error) {
		return func(context.Context, []byte) ([]byte, error) { return sig, err }
	}
	device := errors.New("device is gone")
	tests := []struct {
		name    string
		signers []Signer
		want    string
	}{
		{"nobody", nil, ReasonNoSigner},
		{"nil", []Signer{good, nil}, ReasonNoSigner},
		{"edge01 one signer twice", []Signer{good, other, good}, ReasonDuplicateSigner},
		{"edge02 one key twice", []Signer{good, again}, ReasonDuplicateSigner},
		{"edge02 one RSA key, two schemes", []Signer{signer(t, RSAPSS), signer(t, RSAPKCS1)}, ReasonDuplicateSigner},
		{"error", []Signer{other, faulty{Signer: good, sign: ret(nil, device)}}, ReasonSigner},
		{"no signature", []Signer{faulty{Signer: good, sign: ret(nil, nil)}}, ReasonSignature},
		{"garbage", []Signer{faulty{Signer: good, sign: ret([]byte("garbage"), nil)}}, ReasonSignature},
		{"public key of another pair", []Signer{faulty{Signer: good, pub: second.Public()}}, ReasonSignature},
		{"signs the payload only", []Signer{faulty{Signer: good, sign: func(ctx context.Context, _ []byte) ([]byte, error) {
			return good.Sign(ctx, st.Payload())
		}}}, ReasonSignature},
		{"scheme of another key", []Signer{faulty{Signer: good, pub: other.Public()}}, ReasonKeyUnsupported},
		{"strange key", []Signer{faulty{Signer: good, pub: "key"}}, ReasonKeyUnsupported},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			env, err := Statement(ctx, st, tt.signers...)
			if reason(err) != tt.want || env != nil {
				t.Errorf("%s, %v; want reason %s", env, err, tt.want)
			}
		})
	}
	if _, err := Statement(ctx, st, faulty{Signer: good, sign: ret(nil, device)}); !errors.Is(err, device) {
		t.Errorf("%v does not wrap what the signer returned", err)
	}
	if _, err := Statement(ctx, nil, good); reason(err) != ReasonPayload {
		t.Errorf("no statement: %v", err)
	}
	many := make([]Signer, limits.Signatures+1)
	for i := range many {
		key, err := GenerateKey(Ed25519)
		if err != nil {
			t.Fatal(err)
		}
		if many[i], err = NewSigner(key, ""); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Statement(ctx, st, many...); reason(err) != ReasonEnvelope {
		t.Errorf("%d signers: %v", len(many), err)
	}
	if _, err := Statement(ctx, st, many[1:]...); err != nil {
		t.Errorf("%d signers: %v", len(many)-1, err)
	}
}

func TestContext(t *testing.T) {
	st, good := statement(t), signer(t, Ed25519)
	done, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := Statement(done, st, good); !errors.Is(err, context.Canceled) || reason(err) != ReasonSigner {
		t.Errorf("%v", err)
	}
	if _, err := good.Sign(done, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("Signer: %v", err)
	}
	// A remote signer is handed the context, and the ones after it are not asked.
	done, cancel = context.WithCancel(ctx)
	defer cancel()
	remote := faulty{Signer: signer(t, ECDSAP256), sign: func(ctx context.Context, m []byte) ([]byte, error) {
		cancel()
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	after := faulty{Signer: good, sign: func(context.Context, []byte) ([]byte, error) {
		t.Error("asked after cancellation")
		return nil, nil
	}}
	if _, err := Statement(done, st, remote, after); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestEnvelope(t *testing.T) {
	s := signer(t, ECDSAP256)
	pub := s.Public()
	for _, tt := range []struct{ typ, payload string }{
		{"application/vnd.example.policy+yaml", "stages:\n- build\n"}, {"a b", ""}, {"text/ÿ", "\x00\xff"},
		{"application/vnd.in-toto.vsa+json", string(statement(t).Payload())},
	} {
		env, err := Envelope(ctx, tt.typ, []byte(tt.payload), s)
		if err != nil {
			t.Errorf("%q: %v", tt.typ, err)
			continue
		}
		if err := check(env, 0, pub, ECDSAP256); err != nil {
			t.Errorf("%q: %v", tt.typ, err)
		}
		if string(payloadOf(t, env)) != tt.payload {
			t.Errorf("%q: another payload", tt.typ)
		}
	}
	for _, tt := range []struct{ name, typ, payload string }{
		{"no type", "", "x"}, {"invalid UTF-8", "a\xff", "x"}, {"long type", strings.Repeat("t", 1025), "x"},
		{"edge16 statement type over a policy", provenance.PayloadType, `{"stages":[]}`},
		{"edge16 statement type over YAML", provenance.PayloadType, `stages: []`},
		{"edge16 predicate's type over a policy", "application/vnd.in-toto.vsa+json", `{"stages":[]}`},
		{"edge27 statement with a name twice", provenance.PayloadType, strings.Replace(string(statement(t).Payload()), `"predicate":{`, `"predicate":{"a":1,`, 1)},
	} {
		if env, err := Envelope(ctx, tt.typ, []byte(tt.payload), s); reason(err) != ReasonPayload || env != nil {
			t.Errorf("%s: %v; want reason %s", tt.name, err, ReasonPayload)
		}
	}
	asked := faulty{Signer: s, sign: func(context.Context, []byte) ([]byte, error) { t.Error("asked to sign"); return nil, nil }}
	if _, err := Envelope(ctx, "t", make([]byte, limits.Statement*3/4+1), asked); reason(err) != ReasonPayload {
		t.Errorf("edge31: a payload that no verifier reads: %v", err)
	}
}

func TestCountersign(t *testing.T) {
	st := statement(t)
	a, b, c := signer(t, ECDSAP256), signer(t, Ed25519), signer(t, RSAPSS)
	one, err := Statement(ctx, st, a)
	if err != nil {
		t.Fatal(err)
	}
	three, err := Countersign(ctx, provenance.PayloadType, one, b, c)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range []Scheme{ECDSAP256, Ed25519, RSAPSS} {
		if err := check(three, i, keys()[s].Public(), s); err != nil {
			t.Errorf("signature %d: %v", i, err)
		}
	}
	if !bytes.Equal(payloadOf(t, three), st.Payload()) {
		t.Error("another payload")
	}
	// A signature of somebody else that is broken, in another alphabet, with
	// a certificate, stays.
	odd := []byte(`{"payload":"eA","payloadType":"t","signatures":[{"keyid":"k","sig":"_-8","cert":"c"}]}`)
	got, err := Countersign(ctx, "t", odd, a)
	if err != nil || !strings.Contains(string(got), `{"keyid":"k","sig":"/+8=","cert":"c"}`) {
		t.Errorf("%s, %v", got, err)
	}
	policy, err := Envelope(ctx, "application/x-policy", []byte("p"), a)
	if err != nil {
		t.Fatal(err)
	}
	hint := strings.Replace(string(one), `{"sig"`, `{"keyid":"another","sig"`, 1)
	for _, tt := range []struct {
		name, typ, env string
		by             Signer
		want           string
	}{
		{"same signer", provenance.PayloadType, string(three), b, ReasonDuplicateSigner},
		{"edge07 same signer under a lying key id", provenance.PayloadType, hint, a, ReasonDuplicateSigner},
		{"edge17 policy for a statement", provenance.PayloadType, string(policy), b, ReasonPayload},
		{"edge17 statement for a policy", "application/x-policy", string(one), b, ReasonPayload},
		{"statement type over something else", provenance.PayloadType, `{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[]}`, a, ReasonPayload},
		{"not an envelope", "t", `{}`, a, ReasonEnvelope},
		{"not JSON", "t", `x`, a, ReasonEnvelope},
		{"two envelopes", "t", string(one) + string(one), a, ReasonEnvelope},
	} {
		if env, err := Countersign(ctx, tt.typ, []byte(tt.env), tt.by); reason(err) != tt.want || env != nil {
			t.Errorf("%s: %v; want reason %s", tt.name, err, tt.want)
		}
	}
	if _, err := Countersign(ctx, provenance.PayloadType, one); reason(err) != ReasonNoSigner {
		t.Errorf("nobody: %v", err)
	}
}

type hinted struct {
	Signer
	id string
}

func (h hinted) KeyID() string { return h.id }

func TestKeyIDIsTheSigners(t *testing.T) {
	env, err := Statement(ctx, statement(t), hinted{signer(t, Ed25519), "my key"})
	if err != nil || !strings.Contains(string(env), `"keyid":"my key"`) {
		t.Errorf("%s, %v", env, err)
	}
	env, err = Statement(ctx, statement(t), hinted{signer(t, Ed25519), ""})
	if err != nil || strings.Contains(string(env), `"keyid"`) {
		t.Errorf("%s, %v", env, err)
	}
	if env, err := Statement(ctx, statement(t), hinted{signer(t, Ed25519), "\xff"}); reason(err) != ReasonEnvelope || env != nil {
		t.Errorf("a key id that JSON cannot hold: %v", err)
	}
}

func TestNewSignerRefuses(t *testing.T) {
	t.Setenv("GODEBUG", "rsa1024min=0")
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		key    crypto.Signer
		scheme Scheme
		want   string
	}{
		"no key":          {nil, "", ReasonKey},
		"RSA 1024":        {small, "", ReasonKeyUnsupported},
		"other scheme":    {keys()[ECDSAP256], ECDSAP384, ReasonKeyUnsupported},
		"unknown scheme":  {keys()[Ed25519], "ed25519ph", ReasonKeyUnsupported},
		"strange key":     {strange{}, "", ReasonKeyUnsupported},
		"no Ed25519 key":  {ed25519.PrivateKey(make([]byte, 64)), ECDSAP256, ReasonKeyUnsupported},
		"PSS for Ed25519": {keys()[Ed25519], RSAPSS, ReasonKeyUnsupported},
	} {
		if s, err := NewSigner(tt.key, tt.scheme); reason(err) != tt.want || s != nil {
			t.Errorf("%s: %v, %v; want reason %s", name, s, err, tt.want)
		}
	}
	if _, err := GenerateKey("none"); reason(err) != ReasonKeyUnsupported {
		t.Errorf("GenerateKey: %v", err)
	}
}

type strange struct{}

func (strange) Public() crypto.PublicKey { return struct{}{} }
func (strange) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("no")
}

func TestEdge81_Concurrent(t *testing.T) {
	st := statement(t)
	signers := []Signer{signer(t, ECDSAP256), signer(t, Ed25519), signer(t, RSAPSS)}
	var wg sync.WaitGroup
	for range 30 {
		wg.Go(func() {
			env, err := Statement(ctx, st, signers...)
			if err != nil {
				t.Error(err)
				return
			}
			for i, s := range []Scheme{ECDSAP256, Ed25519, RSAPSS} {
				if err := check(env, i, keys()[s].Public(), s); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkStatement(b *testing.B) {
	st := statement(b)
	for _, s := range []Scheme{ECDSAP256, ECDSAP384, Ed25519, RSAPSS} {
		b.Run(string(s), func(b *testing.B) {
			sg := signer(b, s)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Statement(ctx, st, sg); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
