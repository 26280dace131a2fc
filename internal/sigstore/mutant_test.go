package sigstore

import (
	"bytes"
	"crypto/elliptic"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/internal/sigstore/sigstoretest"
)

// differs says in what two results differ that somebody could act on. Fewer
// times or log entries are fewer, not different.
func differs(a, b *Result) string {
	switch {
	case a.IsEnvelope != b.IsEnvelope || a.PayloadType != b.PayloadType || !bytes.Equal(a.Payload, b.Payload):
		return "content"
	case (a.Certificate == nil) != (b.Certificate == nil) || a.Certificate != nil && !bytes.Equal(a.Certificate.Raw, b.Certificate.Raw):
		return "certificate"
	case a.Hash != b.Hash || !bytes.Equal(a.Digest, b.Digest) || !reflect.DeepEqual(a.PublicKey, b.PublicKey):
		return "digest or key"
	}
	for _, t := range b.Times {
		found := false
		for _, u := range a.Times {
			found = found || t == u
		}
		if !found {
			return fmt.Sprintf("time %+v", t)
		}
	}
	for _, e := range b.LogEntries {
		found := false
		for _, f := range a.LogEntries {
			// A proof can be left out of a v0.1 bundle, and with it the shard
			// index; a log that is in both stays the same.
			if e.ShardIndex == -1 {
				f.ShardIndex = -1
			}
			if e.Index == -1 { // likewise the SET, where there is another time
				f.Index, f.IntegratedTime = -1, time.Time{}
			}
			found = found || e == f
		}
		if !found {
			return fmt.Sprintf("entry %+v", e)
		}
	}
	return ""
}

// harmless are the single faults that the specifications say to ignore, and
// so the only ones that a bundle may have and pass: those of every bundle, and
// those of the kind of bundle that a test names. Everything else must be
// refused.
var harmless = map[string]*regexp.Regexp{
	// Order, white space, unknown fields (protobuf); the same evidence in
	// another order, or one timestamp or certificate twice; the other media type of v0.3; the
	// DSSE keyid, which nobody authenticates.
	"": regexp.MustCompile(`^(reorder|trailing space) $|^twice .*x509CertificateChain\.certificates$|^unknown field |^(reverse|twice) .*rfc3161Timestamps$|^donor \d+ mediaType$|^.* dsseEnvelope\.signatures\.0\.keyid$`),
	// Bytes of a timestamp response outside of what is signed.
	"tsa": regexp.MustCompile(`^flip .*signedTimestamp$`),
	// The digest of the message is an optional hint.
	"message": regexp.MustCompile(`^(remove|null|no object) messageSignature\.messageDigest$`),
	// The hint at a managed key is one.
	"key": regexp.MustCompile(`verificationMaterial\.publicKey(\.hint)?$`),
	// Rekor v2: what repeats the checkpoint is not looked at (rekor-v2-spec).
	"v2": regexp.MustCompile(`inclusionProof\.(logIndex|rootHash|treeSize)$`),
	// A second source of time may be missing, or unknown.
	"two times": regexp.MustCompile(`^(remove|null|empty|shorten|no array|no object|donor 2) verificationMaterial\.timestampVerificationData(\.rfc3161Timestamps(\.0(\.signedTimestamp)?)?)?$|^(remove|null) verificationMaterial\.tlogEntries\.0\.inclusionPromise$`),
	// Without SET nothing vouches for time and index of a Rekor v1 entry, and
	// the result does not have them.
	"no set": regexp.MustCompile(`verificationMaterial\.tlogEntries\.0\.(integratedTime|logIndex)$`),
	// In v0.1 a proof may be missing, or lack its checkpoint.
	"v0.1": regexp.MustCompile(`^(remove|null|no string|no object) verificationMaterial\.tlogEntries\.0\.inclusionProof(\.checkpoint(\.envelope)?)?$`),
}

func isHarmless(m sigstoretest.Mutant, kinds []string) bool {
	for _, k := range append(kinds, "") {
		if harmless[k].MatchString(m.String()) {
			return true
		}
	}
	return false
}

// testMutants verifies every single-fault mutant of a bundle: none may make
// the verifier say something else, and only harmless ones may pass.
func testMutants(t *testing.T, v *Verifier, data []byte, o Options, flipEach int, kinds []string, donors ...[]byte) {
	t.Helper()
	want, err := parseAndVerify(v, data, o)
	if err != nil {
		t.Fatal(err)
	}
	n, passed := 0, 0
	for m := range sigstoretest.Mutants(data, flipEach, donors...) {
		n++
		got, err := parseAndVerify(v, m.Data, o)
		if err != nil {
			if r := reasonOf(err); strings.HasPrefix(r, "untyped") || r == "" {
				t.Errorf("%v: %s", m, r)
			}
			continue
		}
		passed++
		if d := differs(want, got); d != "" {
			t.Errorf("%v: passes with another %s", m, d)
		}
		if !isHarmless(m, kinds) {
			t.Errorf("%v: passes", m)
		}
	}
	t.Logf("%d mutants, %d harmless", n, passed)
	if n < 300 {
		t.Errorf("only %d mutants", n)
	}
}

func TestMutants(t *testing.T) {
	v := worldVerifier(t)
	key := sigstoretest.ECKey(elliptic.P256())
	for name, tc := range map[string]struct {
		spec  sigstoretest.Spec
		kinds []string
	}{
		"v0.3 dsse, rekor v2":         {sigstoretest.Spec{}, []string{"tsa", "v2"}},
		"v0.3 message, rekor v2":      {sigstoretest.Spec{Message: true}, []string{"tsa", "v2", "message"}},
		"v0.3 dsse, rekor v1, tsa":    {sigstoretest.Spec{Kind: "dsse", TSA: true}, []string{"tsa", "two times"}},
		"v0.3 dsse, rekor v1, no set": {sigstoretest.Spec{Kind: "dsse", NoSET: true}, []string{"tsa", "no set"}},
		"v0.2 intoto":                 {sigstoretest.Spec{Version: "v0.2", Kind: "intoto"}, nil},
		"v0.1 hashedrekord":           {sigstoretest.Spec{Version: "v0.1", Kind: "hashedrekord", Message: true}, []string{"v0.1", "message"}},
		"v0.1 intoto without proof":   {sigstoretest.Spec{Version: "v0.1", Kind: "intoto", NoProof: true}, nil},
		"managed key":                 {sigstoretest.Spec{Managed: "hint", Key: key}, []string{"tsa", "v2", "key"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := tc.spec
			o := forArtifact(Options{})
			if s.Managed != "" {
				o.Key = &Key{Public: key.Public()}
			}
			again := s
			again.Key = nil
			again.Content = []byte(`{"_type":"another"}`)
			flip := 13
			if testing.Short() {
				flip = 61
			}
			testMutants(t, v, world.Sign(s).Doc.JSON(), o, flip, tc.kinds,
				world.Sign(again).Doc.JSON(), world.Sign(sigstoretest.Spec{Kind: "dsse", TSA: true}).Doc.JSON(), other.Sign(s).Doc.JSON(),
				[]byte(`{"mediaType":"application/vnd.dev.sigstore.bundle+json;version=0.3"}`))
		})
	}
}

func TestSharedMutants(t *testing.T) {
	readShared(t, "sigstore-conformance", "a.txt")
	for name, kinds := range map[string][]string{
		"happy-path-v0.1": {"v0.1", "message"}, "happy-path-v0.3": {"message"}, "rekor2-dsse-happy-path": {"tsa", "v2"}, "happy-path-intoto-in-dsse-v3": nil,
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(sharedData, "sigstore-conformance", name)
			root, err := os.ReadFile(filepath.Join(dir, "trusted_root.json"))
			if err != nil {
				root = readShared(t, "trust", "trusted_root.public-good.2026-08.json")
			}
			data := bytes.TrimSpace(readShared(t, "sigstore-conformance", name, "bundle.sigstore.json"))
			donor := readShared(t, "sigstore-js", "bundleV03-dsse.sigstore")
			testMutants(t, newTestVerifier(t, root), data, Options{Artifact: &Artifact{Bytes: readShared(t, "sigstore-conformance", "a.txt")}}, 61, kinds, donor)
		})
	}
}

// TestMutantsOfRefused: a bundle that is refused stays so, whatever single
// thing is changed, unless the fault itself is undone.
func TestMutantsOfRefused(t *testing.T) {
	v := worldVerifier(t)
	for name, s := range map[string]sigstoretest.Spec{
		"no time":     {NoTSA: true},
		"corrupt sct": {SCT: func(s *sigstoretest.SCT) { s.Corrupt = true }},
		"bad body":    {Kind: "dsse", Body: func(b []byte) []byte { return bytes.Replace(b, []byte("sha256"), []byte("sha512"), -1) }},
	} {
		data := world.Sign(s).Doc.JSON()
		for m := range sigstoretest.Mutants(data, 53, world.Sign(sigstoretest.Spec{}).Doc.JSON()) {
			if _, err := parseAndVerify(v, m.Data, Options{}); err == nil {
				t.Errorf("%s: %v: passes", name, m)
			}
		}
	}
}
