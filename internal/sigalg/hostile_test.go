package sigalg

import (
	"crypto/ed25519"
	"encoding/hex"
	"strings"
	"testing"
)

// Under a public key of small order a signature that anybody can write
// verifies, for every message or for one in eight: it says nothing about who
// signed.
func TestEdge02_SmallOrderKeys(t *testing.T) {
	forged := make([]byte, ed25519.SignatureSize)
	forged[0] = 1 // R is the neutral element, S is 0
	refused := 0
	for _, y := range []string{
		strings.Repeat("00", 32),
		"01" + strings.Repeat("00", 31),
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"ec" + strings.Repeat("ff", 30) + "7f",
		"ed" + strings.Repeat("ff", 30) + "7f",
		"ee" + strings.Repeat("ff", 30) + "7f",
	} {
		for _, sign := range []byte{0, 0x80} {
			key, err := hex.DecodeString(y)
			if err != nil {
				t.Fatal(err)
			}
			key[31] |= sign
			pub := ed25519.PublicKey(key)
			if _, err := For(pub, ""); err != nil {
				refused++
				continue
			}
			for i := range 64 {
				if Verify(pub, Ed25519, []byte{byte(i)}, forged) == nil {
					t.Errorf("%x is taken for a key, and nobody's signature over message %d verifies", key, i)
					break
				}
			}
		}
	}
	if refused != 14 {
		t.Errorf("%d of 14 keys are refused", refused)
	}
}
