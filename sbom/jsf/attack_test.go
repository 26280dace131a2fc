package jsf_test

import (
	"crypto/ed25519"
	"strings"
	"testing"

	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/jsf"
)

// What verifies says to package sbom what was signed: each of these changes
// what some reader sees, so either the signature or the reader refuses it.
func TestAttackSignedBytes(t *testing.T) {
	pub, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	doc := `{"bomFormat":"CycloneDX","specVersion":"1.6","version":1,"components":[{"type":"library","bom-ref":"a","name":"evil","version":"1","purl":"pkg:npm/evil@1","properties":[{"name":"x","value":"\ud83d\ude00"}]}]}`
	b, err := jsf.Sign([]byte(doc), key, jsf.Options{})
	if err != nil {
		t.Fatal(err)
	}
	signed := string(b)
	if _, err := jsf.Verify(b, pub); err != nil {
		t.Fatal(err)
	}
	at := strings.Index(signed, `,"signature":`)
	signature := strings.TrimSuffix(signed[at+1:], "}")
	again := func(old, new string) string { return strings.Replace(signed, old, new, 1) }
	for name, tampered := range map[string]string{
		"a name twice, the last counts":       again(`"name":"evil"`, `"name":"good","name":"evil"`),
		"a name twice, spelled otherwise":     again(`"name":"evil"`, `"n\u0061me":"good","name":"evil"`),
		"a name in capitals beside":           again(`"name":"evil"`, `"Name":"good","name":"evil"`),
		"another list of components":          again(`"components":`, `"components":[],"components":`),
		"a list in capitals":                  again(`"components":`, `"Components":[],"components":`),
		"excludes":                            again(`"signature":{`, `"signature":{"excludes":["components"],`),
		"signature twice":                     again(`"signature":`, signature+`,"signature":`),
		"signature moved into a component":    strings.Replace(doc, `"name":"evil"`, `"name":"evil",`+signature, 1),
		"signature in capitals":               again(`"signature":`, `"Signature":`),
		"another value after it":              signed + `{}`,
		"a byte order mark":                   "\ufeff" + signed,
		"half a surrogate":                    again(`\ude00`, ``),
		"a surrogate the other way round":     again(`\ud83d\ude00`, `\ude00\ud83d`),
		"a replacement character":             again(`\ud83d\ude00`, "\xff"),
		"another version":                     again(`"version":1,`, `"version":1.0000000000000002,`),
		"a component without what it is":      again(`"purl":"pkg:npm/evil@1",`, ``),
		"a null where nothing was":            again(`"name":"evil"`, `"purl":null,"name":"evil"`),
		"an empty string where nothing was":   again(`"name":"evil"`, `"cpe":"","name":"evil"`),
		"a different order of the components": again(`"components":[`, `"components":[{"type":"library","name":"x"},`),
	} {
		if tampered == signed {
			t.Fatalf("%s: nothing is changed", name)
		}
		if _, err := jsf.Verify([]byte(tampered), pub); err == nil {
			t.Errorf("%s: verifies", name)
		}
	}
	// The same in other words verifies, and is the same to the reader.
	for name, same := range map[string]string{
		"a number in other words": again(`"version":1,`, `"version":1.0,`),
		"minus zero's exponent":   again(`"version":1,`, `"version":10e-1,`),
		"a name in other words":   again(`"name":"evil"`, `"n\u0061me":"\u0065vil"`),
		"an emoji in other words": again(`\ud83d\ude00`, "\U0001F600"),
		"spaces":                  again(`{`, " {\n\t"),
	} {
		if _, err := jsf.Verify([]byte(same), pub); err != nil {
			continue
		}
		g, err := sbom.Read([]byte(same), sbom.CycloneDX)
		if err != nil {
			continue
		}
		c := g.Components()[0]
		if c.Name != "evil" || c.PURL != "pkg:npm/evil@1" || len(c.Properties) != 1 || c.Properties[0].Value != "\U0001F600" {
			t.Errorf("%s: read as %+v", name, c)
		}
	}
}
