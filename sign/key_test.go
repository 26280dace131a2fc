package sign

import (
	"crypto"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/hallmark-build/hallmark/internal/keyfile"
)

func equal(a, b crypto.PublicKey) bool {
	return a.(interface{ Equal(crypto.PublicKey) bool }).Equal(b)
}

func TestKeyFiles(t *testing.T) {
	for s, key := range keys() {
		t.Run(string(s), func(t *testing.T) {
			dir := t.TempDir()
			private, sealed, public := filepath.Join(dir, "k"), filepath.Join(dir, "k.enc"), filepath.Join(dir, "k.pub")
			secret := []byte("secret")
			if err := errors.Join(WritePrivateKey(private, key, nil), WritePrivateKey(sealed, key, secret), WritePublicKey(public, key.Public())); err != nil {
				t.Fatal(err)
			}
			if string(secret) != "secret" {
				t.Error("the caller's passphrase was changed")
			}
			for _, path := range []string{private, sealed} {
				info, err := os.Stat(path)
				if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
					t.Errorf("%s: %v, %v; want mode 0600", path, info.Mode(), err)
				}
				got, scheme, err := ReadPrivateKey(path, func() ([]byte, error) { return []byte("secret"), nil })
				if err != nil || !equal(got.Public(), key.Public()) {
					t.Fatalf("%s: %v", path, err)
				}
				if want := s; want != RSAPKCS1 && scheme != want {
					t.Errorf("scheme %s, want %s", scheme, want)
				}
				if _, err := NewSigner(got, scheme); err != nil {
					t.Error(err)
				}
				// Never replaced.
				before, _ := os.ReadFile(path)
				if err := WritePrivateKey(path, key, nil); !errors.Is(err, fs.ErrExist) {
					t.Errorf("err = %v, want fs.ErrExist", err)
				}
				if after, _ := os.ReadFile(path); string(after) != string(before) {
					t.Error("a private key was replaced")
				}
			}
			data, err := os.ReadFile(public)
			if err != nil {
				t.Fatal(err)
			}
			if pub, _, err := keyfile.ParsePublic(data); err != nil || !equal(pub, key.Public()) {
				t.Errorf("public key: %v", err)
			}
			if err := WritePublicKey(public, key.Public()); !errors.Is(err, fs.ErrExist) {
				t.Errorf("err = %v, want fs.ErrExist", err)
			}
			if b, _ := os.ReadFile(sealed); !strings.Contains(string(b), "ENCRYPTED SIGSTORE PRIVATE KEY") {
				t.Errorf("%.50s", b)
			}
			entries, _ := os.ReadDir(dir)
			if len(entries) != 3 {
				t.Errorf("left behind: %v", entries)
			}
		})
	}
}

func TestReadPrivateKeyRefuses(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "k")
	if err := WritePrivateKey(path, keys()[Ed25519], []byte("right horse")); err != nil {
		t.Fatal(err)
	}
	wrong := func() ([]byte, error) { return []byte("wrong horse"), nil }
	_, _, err := ReadPrivateKey(path, wrong)
	if reason(err) != ReasonPassphrase || strings.Contains(err.Error(), "horse") || !strings.Contains(err.Error(), path) {
		t.Errorf("wrong passphrase: %v", err)
	}
	if _, _, err := ReadPrivateKey(path, nil); reason(err) != ReasonNeedsPassphrase {
		t.Errorf("no passphrase: %v", err)
	}
	mine := errors.New("interrupted")
	if _, _, err := ReadPrivateKey(path, func() ([]byte, error) { return nil, mine }); !errors.Is(err, mine) {
		t.Errorf("callback: %v", err)
	}
	if _, _, err := ReadPrivateKey(filepath.Join(dir, "none"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, _, err := ReadPrivateKey(dir, nil); reason(err) != ReasonKey {
		t.Errorf("a directory: %v", err)
	}
	if runtime.GOOS == "windows" {
		return
	}
	for _, mode := range []fs.FileMode{0o620, 0o602, 0o666} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, _, err := ReadPrivateKey(path, wrong); reason(err) != ReasonKeyPermissions {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
	os.Chmod(path, 0o444)
	if _, _, err := ReadPrivateKey(path, wrong); reason(err) != ReasonPassphrase {
		t.Errorf("mode 444: %v", err)
	}
}

func TestWritePrivateKeyRefuses(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "k")
	if err := WritePrivateKey(path, keys()[Ed25519], []byte{}); reason(err) != ReasonNeedsPassphrase {
		t.Errorf("an empty passphrase: %v", err)
	}
	if err := WritePrivateKey(path, strange{}, nil); reason(err) != ReasonKeyUnsupported {
		t.Errorf("a key that cannot be written: %v", err)
	}
	if err := WritePublicKey(path, "key"); reason(err) != ReasonKeyUnsupported {
		t.Errorf("not a key: %v", err)
	}
	if err := WritePrivateKey(filepath.Join(dir, "no", "k"), keys()[Ed25519], nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("left behind: %v", entries)
	}
}
