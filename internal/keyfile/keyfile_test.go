package keyfile

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/sigalg"
)

func file(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
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

func pass(s string) func() ([]byte, error) {
	return func() ([]byte, error) { return []byte(s), nil }
}

// never fails the test when a passphrase is asked for.
func never(t testing.TB) func() ([]byte, error) {
	return func() ([]byte, error) {
		t.Error("asked for a passphrase")
		return nil, errors.New("none")
	}
}

func TestOpenSSLKeys(t *testing.T) {
	p256, s, err := ParsePublic(file(t, "p256.pub.pem"))
	if err != nil || s != sigalg.ECDSAP256 {
		t.Fatal(s, err)
	}
	for _, name := range []string{"p256.sec1.pem", "p256.pkcs8.pem", "p256.pbkdf2-sha256-aes256.pem", "p256.pbkdf2-sha1-aes128.pem",
		"p256.pbkdf2-sha512-aes192.pem", "p256.scrypt-aes256.pem"} {
		t.Run(name, func(t *testing.T) {
			encrypted := strings.Contains(name, "-")
			p := never(t)
			if encrypted {
				p = pass("correct")
			}
			key, s, err := ParsePrivate(file(t, name), p)
			if err != nil {
				t.Fatal(err)
			}
			if s != sigalg.ECDSAP256 || !equal(key.Public(), p256) {
				t.Errorf("another key, of scheme %s", s)
			}
			if !encrypted {
				return
			}
			for _, wrong := range []string{"", "Correct", "correct "} {
				if _, _, err := ParsePrivate(file(t, name), pass(wrong)); reason(err) != ReasonPassphrase {
					t.Errorf("passphrase %q: %v", wrong, err)
				}
			}
			if _, _, err := ParsePrivate(file(t, name), nil); reason(err) != ReasonNeedsPassphrase {
				t.Errorf("no passphrase: %v", err)
			}
		})
	}
	if pub, _, err := ParsePublic(file(t, "p256.cert.pem")); err != nil || !equal(pub, p256) {
		t.Errorf("certificate: %v", err)
	}
	rsaPub, _, err := ParsePublic(file(t, "rsa2048.pub.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if pub, s, err := ParsePublic(file(t, "rsa2048.pkcs1.pub.pem")); err != nil || s != sigalg.RSAPSS || !equal(pub, rsaPub) {
		t.Errorf("PKCS #1 public: %v", err)
	}
	if key, s, err := ParsePrivate(file(t, "rsa2048.pkcs1.pem"), never(t)); err != nil || s != sigalg.RSAPSS || !equal(key.Public(), rsaPub) {
		t.Errorf("PKCS #1: %v", err)
	}
	edPub, s, err := ParsePublic(file(t, "ed25519.pub.pem"))
	if err != nil || s != sigalg.Ed25519 {
		t.Fatal(s, err)
	}
	if key, s, err := ParsePrivate(file(t, "ed25519.pkcs8.pem"), never(t)); err != nil || s != sigalg.Ed25519 || !equal(key.Public(), edPub) {
		t.Errorf("Ed25519: %v", err)
	}
	if _, s, err := ParsePrivate(file(t, "p384.pkcs8.pem"), never(t)); err != nil || s != sigalg.ECDSAP384 {
		t.Errorf("P-384: %q, %v", s, err)
	}
}

func TestRoundTrip(t *testing.T) {
	ed := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []crypto.Signer{ed, p384, r} {
		t.Run(fmt.Sprintf("%T", key), func(t *testing.T) {
			pub, err := MarshalPublic(key.Public())
			if err != nil {
				t.Fatal(err)
			}
			if got, _, err := ParsePublic(pub); err != nil || !equal(got, key.Public()) {
				t.Errorf("public: %v", err)
			}
			plain, err := MarshalPrivate(key, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got, _, err := ParsePrivate(plain, never(t)); err != nil || !equal(got.Public(), key.Public()) {
				t.Errorf("plain: %v", err)
			}
			secret := []byte("pass phrase ÿ")
			sealed, err := MarshalPrivate(key, secret)
			if err != nil {
				t.Fatal(err)
			}
			if string(secret) != "pass phrase ÿ" {
				t.Error("MarshalPrivate changed its argument")
			}
			if !bytes.HasPrefix(sealed, []byte("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n")) {
				t.Errorf("%.60s", sealed)
			}
			if got, _, err := ParsePrivate(sealed, pass("pass phrase ÿ")); err != nil || !equal(got.Public(), key.Public()) {
				t.Errorf("sealed: %v", err)
			}
			if _, _, err := ParsePrivate(sealed, pass("pass phrase y")); reason(err) != ReasonPassphrase {
				t.Errorf("wrong passphrase: %v", err)
			}
			if _, _, err := ParsePrivate(sealed, nil); reason(err) != ReasonNeedsPassphrase {
				t.Errorf("no passphrase: %v", err)
			}
			old := bytes.ReplaceAll(sealed, []byte("SIGSTORE"), []byte("COSIGN"))
			if _, _, err := ParsePrivate(old, pass("pass phrase ÿ")); err != nil {
				t.Errorf("cosign's older name: %v", err)
			}
		})
	}
	if _, err := MarshalPrivate(ed, []byte{}); reason(err) != ReasonNeedsPassphrase {
		t.Errorf("an empty passphrase: %v", err)
	}
	if _, err := MarshalPrivate(nil, nil); reason(err) != ReasonUnsupported {
		t.Errorf("no key: %v", err)
	}
	if _, err := MarshalPublic(unchecked(t, file(t, "rsa1024.pub.pem"))); reason(err) != ReasonUnsupported {
		t.Errorf("RSA 1024: %v", err)
	}
}

// unchecked returns a public key whatever its size.
func unchecked(t *testing.T, data []byte) crypto.PublicKey {
	t.Helper()
	block, _ := pem.Decode(data)
	pub, err := publicBlock(block)
	if err != nil {
		t.Fatal(err)
	}
	return pub
}

func TestPassphraseIsWiped(t *testing.T) {
	for _, secret := range []string{"correct", "wrong"} {
		given := []byte(secret)
		calls := 0
		ParsePrivate(file(t, "p256.scrypt-aes256.pem"), func() ([]byte, error) { calls++; return given, nil })
		if calls != 1 {
			t.Errorf("asked %d times", calls)
		}
		if !bytes.Equal(given, make([]byte, len(secret))) {
			t.Errorf("%q was not overwritten", given)
		}
	}
	mine := errors.New("no terminal")
	given := []byte("half")
	_, _, err := ParsePrivate(file(t, "p256.scrypt-aes256.pem"), func() ([]byte, error) { return given, mine })
	if !errors.Is(err, mine) || reason(err) != ReasonNeedsPassphrase || given[0] != 0 {
		t.Errorf("a callback that fails: %v, %q", err, given)
	}
}

func TestRefusesPublic(t *testing.T) {
	good := string(file(t, "p256.pub.pem"))
	tests := []struct{ name, in, want string }{
		{"empty", "", ReasonMalformed},
		{"text", "ssh-ed25519 AAAA", ReasonMalformed},
		{"text before", "# my key\n" + good, ReasonMalformed},
		{"text after", good + "x", ReasonMalformed},
		{"NUL after", good + "\x00", ReasonMalformed},
		{"two keys", good + good, ReasonMalformed},
		{"a broken key, then a key", strings.Replace(good, "MFk", "M*k", 1) + good, ReasonMalformed},
		{"two on one line", strings.TrimSpace(good) + good, ReasonMalformed},
		{"no end", good[:len(good)-10], ReasonMalformed},
		{"another end", strings.Replace(good, "END PUBLIC", "END PRIVATE", 1), ReasonMalformed},
		{"bad base64", strings.Replace(good, "MFk", "M*k", 1), ReasonMalformed},
		{"empty block", "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n", ReasonMalformed},
		{"headers", strings.Replace(good, "KEY-----\n", "KEY-----\nA: b\n\n", 1), ReasonUnsupported},
		{"another type", strings.ReplaceAll(good, "PUBLIC", "OTHER"), ReasonUnsupported},
		{"private key", string(file(t, "p256.pkcs8.pem")), ReasonMalformed},
		{"encrypted key", string(file(t, "p256.scrypt-aes256.pem")), ReasonMalformed},
		{"RSA 1024", string(file(t, "rsa1024.pub.pem")), ReasonUnsupported},
		{"large file", strings.Repeat(" ", limits.KeyFile+1), ReasonLimit},
		{"large block", string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: make([]byte, limits.KeyDER+1)})), ReasonLimit},
		{"many begins", strings.Repeat("-----BEGIN ", 90_000), ReasonMalformed},
	}
	for _, tt := range tests {
		if pub, _, err := ParsePublic([]byte(tt.in)); reason(err) != tt.want || pub != nil {
			t.Errorf("%s: %v, %v; want reason %s", tt.name, pub, err, tt.want)
		}
	}
	for _, space := range []string{"\n\n" + good + "\r\n \t", strings.TrimSpace(good), strings.ReplaceAll(good, "\n", "\r\n")} {
		if _, _, err := ParsePublic([]byte(space)); err != nil {
			t.Errorf("%q: %v", space, err)
		}
	}
}

func TestRefusesPrivate(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"public key", string(file(t, "p256.pub.pem")), ReasonMalformed},
		{"certificate", string(file(t, "p256.cert.pem")), ReasonMalformed},
		{"parameters and key", string(file(t, "p256.params.pem")), ReasonMalformed},
		{"legacy encryption", string(file(t, "p256.legacy.pem")), ReasonUnsupported},
		{"PBES2 with triple DES", string(file(t, "p256.pbkdf2-des3.pem")), ReasonUnsupported},
		{"PKCS #12 encryption", string(file(t, "p256.pbe1-des3.pem")), ReasonUnsupported},
		{"RSA 1024", string(file(t, "rsa1024.pkcs8.pem")), ReasonUnsupported},
		{"X25519", string(file(t, "x25519.pkcs8.pem")), ReasonUnsupported},
		{"secp256k1", string(file(t, "secp256k1.pkcs8.pem")), ReasonMalformed},
		{"another type", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n", ReasonUnsupported},
		{"empty", "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n", ReasonMalformed},
		{"key under another name", strings.ReplaceAll(string(file(t, "p256.sec1.pem")), "EC PRIVATE", "RSA PRIVATE"), ReasonMalformed},
	}
	for _, tt := range tests {
		if key, _, err := ParsePrivate([]byte(tt.in), never(t)); reason(err) != tt.want || key != nil {
			t.Errorf("%s: %v; want reason %s", tt.name, err, tt.want)
		}
	}
}

// No error shows a part of the key file, which might be secret.
func TestErrorsHoldNoSecret(t *testing.T) {
	for _, name := range []string{"p256.sec1.pem", "p256.pkcs8.pem", "rsa2048.pkcs1.pem", "ed25519.pkcs8.pem"} {
		data := file(t, name)
		body := strings.Split(string(data), "\n")[1]
		block, _ := pem.Decode(data)
		for i := range len(block.Bytes) {
			bad := bytes.Clone(block.Bytes)
			bad[i] ^= 0x55
			_, _, err := ParsePrivate(pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: bad}), nil)
			if err == nil {
				continue
			}
			msg := err.Error()
			for j := 0; j+6 <= len(body); j++ {
				if strings.Contains(msg, body[j:j+6]) {
					t.Fatalf("%s: %q shows the key", name, msg)
				}
			}
			if strings.ContainsAny(msg, "{}") || len(msg) > 200 {
				t.Fatalf("%s: %q", name, msg)
			}
		}
	}
}

func scryptFile(n, r, p int64, edit func(doc map[string]any)) []byte {
	doc := map[string]any{
		"kdf":        map[string]any{"name": "scrypt", "params": map[string]any{"N": n, "r": r, "p": p}, "salt": make([]byte, 32)},
		"cipher":     map[string]any{"name": "nacl/secretbox", "nonce": make([]byte, 24)},
		"ciphertext": make([]byte, 100),
	}
	if edit != nil {
		edit(doc)
	}
	b, err := json.Marshal(doc)
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemSigstore, Bytes: b})
}

// What a hostile file asks for is refused before anyone is asked for a
// passphrase, and so before any of it is spent.
func TestEdge31_KeyDerivationCost(t *testing.T) {
	const max = 1<<63 - 1
	for _, p := range [][3]int64{{1 << 40, 8, 1}, {1 << 22, 8, 1}, {1 << 16, 1 << 20, 1}, {1 << 16, 8, 1 << 20}, {2, 1, 1 << 53},
		{2, 1 << 53, 1}, {1 << 53, 1 << 53, 1 << 53}, {2, 1 << 22, 1}} {
		if _, _, err := ParsePrivate(scryptFile(p[0], p[1], p[2], nil), never(t)); reason(err) != ReasonLimit {
			t.Errorf("scrypt %v: %v", p, err)
		}
	}
	for _, p := range [][3]int64{{0, 8, 1}, {1, 8, 1}, {3, 8, 1}, {-2, 8, 1}, {65536, 0, 1}, {65536, 8, 0}, {65536, -8, 1}, {65536, 8, -1}, {max, 8, 1}} {
		if _, _, err := ParsePrivate(scryptFile(p[0], p[1], p[2], nil), never(t)); reason(err) != ReasonMalformed {
			t.Errorf("scrypt %v: %v", p, err)
		}
	}
	// 128 MiB, the hardest parameters in use.
	if _, _, err := ParsePrivate(scryptFile(1<<17, 8, 1, nil), pass("x")); reason(err) != ReasonPassphrase {
		t.Errorf("scrypt with N=2^17: %v", err)
	}
	for i, edit := range []func(doc map[string]any){
		func(d map[string]any) { d["cipher"].(map[string]any)["nonce"] = make([]byte, 23) },
		func(d map[string]any) { d["cipher"].(map[string]any)["name"] = "none" },
		func(d map[string]any) { d["kdf"].(map[string]any)["name"] = "none" },
		func(d map[string]any) { d["kdf"].(map[string]any)["salt"] = nil },
		func(d map[string]any) { d["ciphertext"] = make([]byte, 15) },
		func(d map[string]any) { d["Ciphertext"] = "" },
		func(d map[string]any) { d["cipher"] = nil },
	} {
		if _, _, err := ParsePrivate(scryptFile(65536, 8, 1, edit), never(t)); err == nil {
			t.Errorf("edit %d is accepted", i)
		}
	}
}

func pbes2(t *testing.T, kdf asn1.ObjectIdentifier, kdfParams any, data []byte) []byte {
	t.Helper()
	raw := func(v any) asn1.RawValue {
		der, err := asn1.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return asn1.RawValue{FullBytes: der}
	}
	params := pbes2Params{
		KDF:    pkix.AlgorithmIdentifier{Algorithm: kdf, Parameters: raw(kdfParams)},
		Cipher: pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 1, 42}, Parameters: raw(make([]byte, 16))},
	}
	info := raw(encryptedInfo{pkix.AlgorithmIdentifier{Algorithm: oidPBES2, Parameters: raw(params)}, data})
	return pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: info.FullBytes})
}

func TestEdge31_PBES2(t *testing.T) {
	type pbkdf2NoPRF struct {
		Salt       []byte
		Iterations int
	}
	salt, block := make([]byte, 16), make([]byte, 32)
	tests := []struct {
		name   string
		oid    asn1.ObjectIdentifier
		params any
		data   []byte
		want   string
	}{
		{"iterations", oidPBKDF2, pbkdf2NoPRF{salt, limits.PBKDF2Iterations + 1}, block, ReasonLimit},
		{"no iterations", oidPBKDF2, pbkdf2NoPRF{salt, 0}, block, ReasonMalformed},
		{"negative iterations", oidPBKDF2, pbkdf2NoPRF{salt, -1}, block, ReasonMalformed},
		{"no salt", oidPBKDF2, pbkdf2NoPRF{nil, 1000}, block, ReasonMalformed},
		{"huge iterations", oidPBKDF2, struct {
			Salt []byte
			N    *big.Int
		}{salt, new(big.Int).Lsh(big.NewInt(1), 200)}, block, ReasonMalformed},
		{"scrypt N", oidScrypt, struct {
			Salt    []byte
			N, R, P int
		}{salt, 1 << 40, 8, 1}, block, ReasonLimit},
		{"scrypt key length", oidScrypt, struct {
			Salt       []byte
			N, R, P, L int
		}{salt, 1 << 14, 8, 1, 16}, block, ReasonMalformed},
		{"unknown KDF", oidPBES2, salt, block, ReasonUnsupported},
		{"no data", oidPBKDF2, pbkdf2NoPRF{salt, 1000}, nil, ReasonMalformed},
		{"part of a block", oidPBKDF2, pbkdf2NoPRF{salt, 1000}, block[:31], ReasonMalformed},
	}
	for _, tt := range tests {
		if _, _, err := ParsePrivate(pbes2(t, tt.oid, tt.params, tt.data), never(t)); reason(err) != tt.want {
			t.Errorf("%s: %v; want reason %s", tt.name, err, tt.want)
		}
	}
	// SHA-1 by default; garbage inside is a wrong passphrase for 500 keys.
	for i := range 500 {
		_, _, err := ParsePrivate(pbes2(t, oidPBKDF2, pbkdf2NoPRF{salt, 1}, block), pass(fmt.Sprint(i)))
		if reason(err) != ReasonPassphrase {
			t.Fatalf("%d: %v", i, err)
		}
	}
}

// An RSA key that is as large as a file may be costs little to refuse.
func TestEdge31_HugeRSA(t *testing.T) {
	odd := func(bits int) *big.Int {
		b := make([]byte, bits/8)
		rand.Read(b)
		b[0] |= 0x80
		b[len(b)-1] |= 1
		return new(big.Int).SetBytes(b)
	}
	one, e := big.NewInt(1), big.NewInt(65537)
	var p, q, d, inverse *big.Int
	for d == nil || inverse == nil { // p and q are odd, not prime
		p, q = odd(48_000), odd(48_000)
		phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
		d, inverse = new(big.Int).ModInverse(e, phi), new(big.Int).ModInverse(q, p)
	}
	der, err := asn1.Marshal(struct {
		V                        int
		N, E, D, P, Q, DP, DQ, I *big.Int
	}{0, new(big.Int).Mul(p, q), e, d, p, q, new(big.Int).Mod(d, new(big.Int).Sub(p, one)), new(big.Int).Mod(d, new(big.Int).Sub(q, one)), inverse})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := ParsePrivate(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: der}), nil); err == nil {
		t.Error("accepted")
	}
}

func ssLib(keytype, scheme, public, private string) string {
	b, _ := json.Marshal(map[string]any{"keytype": keytype, "scheme": scheme, "keyid_hash_algorithms": []string{"sha256"},
		"keyval": map[string]any{"public": public, "private": private}})
	return string(b)
}

func TestSecuresystemslib(t *testing.T) {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, 32))
	seed, pub := hex.EncodeToString(key.Seed()), hex.EncodeToString(key.Public().(ed25519.PublicKey))
	p256pub, p256 := string(file(t, "p256.pub.pem")), string(file(t, "p256.pkcs8.pem"))
	rsapub, rsapriv := string(file(t, "rsa2048.pub.pem")), string(file(t, "rsa2048.pkcs1.pem"))
	good := []struct {
		in     string
		scheme sigalg.Scheme
	}{
		{ssLib("ed25519", "ed25519", pub, seed), sigalg.Ed25519},
		{ssLib("ed25519", "ed25519", pub, seed+pub), sigalg.Ed25519},
		{"\n " + ssLib("ecdsa", "ecdsa-sha2-nistp256", p256pub, p256), sigalg.ECDSAP256},
		{ssLib("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256", strings.TrimSpace(p256pub), string(file(t, "p256.sec1.pem"))), sigalg.ECDSAP256},
		{ssLib("rsa", "rsassa-pss-sha256", rsapub, rsapriv), sigalg.RSAPSS},
		{ssLib("rsa", "rsa-pkcs1v15-sha256", rsapub, rsapriv), sigalg.RSAPKCS1},
	}
	for _, tt := range good {
		p, s, err := ParsePublic([]byte(tt.in))
		if err != nil || s != tt.scheme {
			t.Errorf("%.60s: public: %q, %v", tt.in, s, err)
			continue
		}
		k, s, err := ParsePrivate([]byte(tt.in), never(t))
		if err != nil || s != tt.scheme || !equal(k.Public(), p) {
			t.Errorf("%.60s: private: %q, %v", tt.in, s, err)
		}
	}
	if _, _, err := ParsePrivate([]byte(ssLib("ed25519", "ed25519", pub, "")), never(t)); reason(err) != ReasonMalformed {
		t.Errorf("a public key as private: %v", err)
	}
	other := hex.EncodeToString(ed25519.NewKeyFromSeed(make([]byte, 32)).Public().(ed25519.PublicKey))
	for name, in := range map[string]string{
		"another public key":          ssLib("ed25519", "ed25519", other, seed),
		"another public key appended": ssLib("ed25519", "ed25519", pub, seed+other),
		"short public key":            ssLib("ed25519", "ed25519", pub[2:], ""),
		"not hex":                     ssLib("ed25519", "ed25519", "zz"+pub[2:], ""),
		"no public key":               ssLib("ed25519", "ed25519", "", seed),
		"PEM for hex":                 ssLib("ed25519", "ed25519", string(file(t, "ed25519.pub.pem")), ""),
		"Ed25519 as ECDSA":            ssLib("ecdsa", "ed25519", string(file(t, "ed25519.pub.pem")), ""),
		"RSA as ECDSA":                ssLib("ecdsa", "rsassa-pss-sha256", rsapub, ""),
		"ECDSA as RSA":                ssLib("rsa", "ecdsa-sha2-nistp256", p256pub, ""),
		"scheme of another curve":     ssLib("ecdsa", "ecdsa-sha2-nistp384", p256pub, ""),
		"no scheme":                   ssLib("ecdsa", "", p256pub, ""),
		"unknown scheme":              ssLib("rsa", "rsassa-pss-sha512", rsapub, ""),
		"unknown type":                ssLib("sphincs", "sphincs", pub, ""),
		"private for public":          ssLib("ecdsa", "ecdsa-sha2-nistp256", p256, ""),
		"other private key":           ssLib("rsa", "rsassa-pss-sha256", rsapub, p256),
		"trailing":                    ssLib("ed25519", "ed25519", pub, "") + "{}",
		"edge27 twice":                `{"keytype":"ed25519","keytype":"ed25519"}`,
		"edge26 folded":               `{"KEYTYPE":"ed25519"}`,
		"empty":                       `{}`,
		"null":                        `{"keyval":null}`,
	} {
		if p, _, err := ParsePublic([]byte(in)); err == nil || p != nil {
			t.Errorf("%s: accepted", name)
		} else if strings.Contains(err.Error(), seed[:8]) {
			t.Errorf("%s: %v shows the private key", name, err)
		}
	}
}

// Nothing panics, what is accepted is a key of the table, and a private key
// that is accepted is written and read again as the same.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.pem")
	if err != nil || len(files) == 0 {
		f.Fatal("no seeds", err)
	}
	for _, name := range files {
		f.Add(file(f, filepath.Base(name)))
	}
	f.Add(scryptFile(65536, 8, 1, nil))
	f.Add([]byte(ssLib("ed25519", "ed25519", strings.Repeat("ab", 32), "")))
	none := errors.New("none")
	f.Fuzz(func(t *testing.T, data []byte) {
		if pub, s, err := ParsePublic(data); err == nil {
			if got, err := sigalg.For(pub, s); err != nil || got != s {
				t.Fatalf("%q, %v", got, err)
			}
		} else if reason(err)[0] == 'u' || pub != nil {
			t.Fatal(err)
		}
		key, s, err := ParsePrivate(data, func() ([]byte, error) { return nil, none })
		if err != nil {
			if reason(err)[0] == 'u' || key != nil {
				t.Fatal(err)
			}
			return
		}
		if got, err := sigalg.For(key.Public(), s); err != nil || got != s {
			t.Fatalf("%q, %v", got, err)
		}
		out, err := MarshalPrivate(key, nil)
		if err != nil {
			t.Fatal(err)
		}
		again, _, err := ParsePrivate(out, nil)
		if err != nil || !equal(again.Public(), key.Public()) {
			t.Fatalf("another key: %v", err)
		}
	})
}
