package sigalg

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"errors"
	"math/big"
	"strings"
	"testing"
)

func ecKey(t testing.TB, c elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(c, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func rsaKey(t testing.TB, bits int) *rsa.PrivateKey {
	t.Helper()
	t.Setenv("GODEBUG", "rsa1024min=0") // to have a small key to refuse
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestSignVerify(t *testing.T) {
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r := rsaKey(t, 2048)
	keys := []struct {
		key  crypto.Signer
		want Scheme // asked for
		is   Scheme
	}{
		{ecKey(t, elliptic.P256()), "", ECDSAP256},
		{ecKey(t, elliptic.P384()), "", ECDSAP384},
		{ecKey(t, elliptic.P521()), ECDSAP521, ECDSAP521},
		{ed, "", Ed25519},
		{r, "", RSAPSS},
		{r, RSAPKCS1, RSAPKCS1},
	}
	all := []Scheme{ECDSAP256, ECDSAP384, ECDSAP521, Ed25519, RSAPSS, RSAPKCS1, "", "none"}
	message := []byte("the message")
	for n, k := range keys {
		t.Run(string(k.is), func(t *testing.T) {
			pub := k.key.Public()
			s, err := For(pub, k.want)
			if err != nil || s != k.is {
				t.Fatalf("For = %q, %v; want %q", s, err, k.is)
			}
			sig, err := Sign(k.key, s, message)
			if err != nil {
				t.Fatal(err)
			}
			if err := Verify(pub, s, message, sig); err != nil {
				t.Error(err)
			}
			if err := Verify(pub, s, []byte("the messagf"), sig); !errors.Is(err, ErrSignature) {
				t.Errorf("another message: %v", err)
			}
			for i := range sig {
				bad := append([]byte(nil), sig...)
				bad[i] ^= 1
				if Verify(pub, s, message, bad) == nil {
					t.Errorf("verifies with bit %d flipped", 8*i)
				}
			}
			for _, bad := range [][]byte{nil, {}, sig[:len(sig)-1], append(sig[:len(sig):len(sig)], 0)} {
				if Verify(pub, s, message, bad) == nil {
					t.Errorf("a signature of %d bytes verifies", len(bad))
				}
			}
			for _, other := range all {
				if other != s && Verify(pub, other, message, sig) == nil {
					t.Errorf("verifies under scheme %q", other)
				}
			}
			for m, other := range keys {
				if m != n && Verify(other.key.Public(), other.is, message, sig) == nil {
					t.Errorf("verifies with the key of %s", other.is)
				}
			}
		})
	}
	if _, err := Sign(ed, "none", message); err == nil {
		t.Error("signs under an unknown scheme")
	}
}

func TestForRefuses(t *testing.T) {
	good := ecKey(t, elliptic.P256())
	offCurve := good.PublicKey
	//lint:ignore SA1019 an invalid point is the point
	offCurve.Y = new(big.Int).Add(offCurve.Y, big.NewInt(1))
	r := rsaKey(t, 2048).PublicKey
	even, huge := r, r
	even.E = 65536
	huge.N = new(big.Int).Lsh(r.N, 8192)
	tests := []struct {
		name string
		pub  crypto.PublicKey
		want Scheme
		text string
	}{
		{"nil", nil, "", "no key"},
		{"nil ECDSA", (*ecdsa.PublicKey)(nil), "", "no key"},
		{"nil RSA", (*rsa.PublicKey)(nil), "", "no key"},
		{"empty ECDSA", &ecdsa.PublicKey{}, "", "no key"},
		{"empty RSA", &rsa.PublicKey{}, "", "no key"},
		{"no Ed25519", ed25519.PublicKey(nil), "", "0 bytes"},
		{"P-224", &ecKey(t, elliptic.P224()).PublicKey, "", "P-224"},
		{"off curve", &offCurve, "", "invalid"},
		{"RSA 1024", &rsaKey(t, 1024).PublicKey, "", "1024 bits"},
		{"RSA 10240", &huge, "", "10240 bits"},
		{"RSA even exponent", &even, "", "invalid"},
		{"a value, not a pointer", r, "", "not supported"},
		{"a string", "key", "", "not supported"},
		{"ECDSA for RSA", &good.PublicKey, RSAPSS, "does not fit"},
		{"P-256 for P-384", &good.PublicKey, ECDSAP384, "does not fit"},
		{"unknown scheme", &good.PublicKey, "ecdsa", "does not fit"},
		{"RSA for Ed25519", &r, Ed25519, "does not fit"},
	}
	for _, tt := range tests {
		s, err := For(tt.pub, tt.want)
		if err == nil || !strings.Contains(err.Error(), tt.text) {
			t.Errorf("%s: For = %q, %v; want an error with %q", tt.name, s, err, tt.text)
		}
	}
}

// A signature has encodings and twins, so its bytes do not identify it: both
// verify, with one key.
func TestEdge05_TwoSignaturesOneKey(t *testing.T) {
	key := ecKey(t, elliptic.P256())
	message := []byte("m")
	sig, err := Sign(key, ECDSAP256, message)
	if err != nil {
		t.Fatal(err)
	}
	var rs struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(sig, &rs); err != nil {
		t.Fatal(err)
	}
	raw := append(rs.R.FillBytes(make([]byte, 32)), rs.S.FillBytes(make([]byte, 32))...)
	if Verify(&key.PublicKey, ECDSAP256, message, raw) == nil {
		t.Error("the IEEE P1363 encoding verifies beside DER")
	}
	rs.S.Sub(elliptic.P256().Params().N, rs.S)
	twin, err := asn1.Marshal(rs)
	if err != nil {
		t.Fatal(err)
	}
	if err := Verify(&key.PublicKey, ECDSAP256, message, twin); err != nil {
		t.Errorf("the twin of a signature does not verify: %v; the comment of Verify is wrong", err)
	}
}

func TestPSSSaltLengths(t *testing.T) {
	key := rsaKey(t, 2048)
	sum := sha256.Sum256([]byte("m"))
	for _, n := range []int{rsa.PSSSaltLengthEqualsHash, rsa.PSSSaltLengthAuto, 20} {
		sig, err := rsa.SignPSS(rand.Reader, key, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: n})
		if err != nil {
			t.Fatal(err)
		}
		if err := Verify(&key.PublicKey, RSAPSS, []byte("m"), sig); err != nil {
			t.Errorf("salt length %d: %v", n, err)
		}
	}
}

func TestKeyID(t *testing.T) {
	a, b := ecKey(t, elliptic.P256()), ecKey(t, elliptic.P256())
	ida, err := KeyID(&a.PublicKey)
	if err != nil || len(ida) != 64 {
		t.Fatalf("KeyID = %q, %v", ida, err)
	}
	idb, _ := KeyID(&b.PublicKey)
	again, _ := KeyID(a.Public())
	if ida == idb || ida != again {
		t.Errorf("ids %s, %s, %s", ida, idb, again)
	}
	if _, err := KeyID("key"); err == nil {
		t.Error("a string has a key id")
	}
}
