package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/hallmark-build/hallmark/internal/atomicfile"
	"github.com/hallmark-build/hallmark/provenance/predicate"
	"github.com/hallmark-build/hallmark/sign"
)

// The attacks that -tamper shows. "order" is done by release itself.
var attacks = []string{"build-output", "material", "evidence", "sbom", "order"}

// attack does what -tamper says, after the given stage: behind the back of
// those that hold the keys.
func (r *releaser) attack(after string) error {
	switch r.tamper + " after " + after {
	case "material after source":
		// Somebody changes a source file between checkout and build.
		return appendTo(filepath.Join(r.work, filepath.FromSlash(r.rel), "go.mod"), "// not what was reviewed\n")
	case "build-output after test":
		// Somebody replaces the binary between test and packaging.
		return appendTo(filepath.Join(r.out, r.name), "not what was built")
	case "sbom after release":
		// Somebody hides a component from the SBOM that people download.
		f := filepath.Join(r.out, r.name+".cdx.json")
		data, err := os.ReadFile(f)
		if err != nil {
			return err
		}
		return atomicfile.WriteFile(f, bytes.Replace(data, []byte(`"library"`), []byte(`"file"`), 1), 0o644)
	case "evidence after release":
		// Somebody edits what the build said, and cannot sign it.
		for i, env := range r.evidence {
			forged, err := forge(env)
			if err != nil {
				return err
			}
			if forged != nil {
				r.evidence[i] = forged
			}
		}
		return sign.WriteBundle(filepath.Join(r.out, r.evidenceFile()), r.evidence...)
	}
	return nil
}

func appendTo(file, text string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(data, text...), 0o644)
}

// forge makes the build's provenance name another builder and leaves the
// signature as it is; nil for other statements.
func forge(envelope []byte) ([]byte, error) {
	var line map[string]any
	if err := json.Unmarshal(envelope, &line); err != nil {
		return nil, err
	}
	env := line
	if inner, ok := line["dsseEnvelope"].(map[string]any); ok { // a Sigstore bundle
		env = inner
	}
	payload, err := base64.StdEncoding.DecodeString(fmt.Sprint(env["payload"]))
	if err != nil {
		return nil, err
	}
	if !bytes.Contains(payload, []byte(`"predicateType":"`+predicate.TypeSLSAProvenance+`"`)) {
		return nil, nil
	}
	env["payload"] = bytes.Replace(payload, []byte(builder), []byte(builder+"-evil"), 1)
	return json.Marshal(line)
}
