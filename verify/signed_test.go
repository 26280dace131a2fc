package verify_test

import (
	"crypto/ed25519"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/internal/dsse"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/verify"
)

// envelope is an envelope of any type, signed by each name in turn.
func envelope(payloadType string, payload []byte, names ...string) []byte {
	env := &dsse.Envelope{PayloadType: payloadType, Payload: payload}
	for _, n := range names {
		env.Signatures = append(env.Signatures, dsse.Signature{KeyID: n, Sig: ed25519.Sign(key(n), dsse.PAE(payloadType, payload))})
	}
	b, err := env.Encode()
	if err != nil {
		panic(err)
	}
	return b
}

func policyKeys(names ...string) (keys []verify.Key) {
	for _, n := range names {
		keys = append(keys, verify.Key{PEM: publicPEM(n)})
	}
	return keys
}

func TestOpenPolicy(t *testing.T) {
	doc, err := os.ReadFile("../testdata/policy/whole.yaml")
	if err != nil {
		t.Fatal(err)
	}
	policyBy := func(names ...string) []byte { return envelope(verify.PolicyPayloadType, doc, names...) }
	p, err := verify.OpenPolicy(policyBy("ann", "bob"), policyKeys("ann", "bob", "cid"), 2, now)
	if err != nil || p.Name != "everything" || len(p.Stages) == 0 {
		t.Fatalf("got %+v, %v", p, err)
	}
	expired := policyKeys("ann")
	expired[0].ValidUntil = now.Add(-time.Second)
	until := policyKeys("ann")
	until[0].ValidUntil = now
	if _, err := verify.OpenPolicy(policyBy("ann"), until, 1, now); err != nil {
		t.Errorf("the last instant of the key: %v", err)
	}
	for _, c := range []struct {
		name      string
		envelope  []byte
		keys      []verify.Key
		threshold int
		at        time.Time
		reason    string
		want      string
	}{
		{"edge01 one signature twice", policyBy("ann", "ann"), policyKeys("ann", "bob"), 2, now, verify.PolicyUnsigned, "signed by 1 of the 2"},
		{"edge02 one key twice", policyBy("ann"), policyKeys("ann", "ann"), 2, now, verify.PolicyKey, "given twice"},
		{"edge06 threshold 0", policyBy("ann"), policyKeys("ann"), 0, now, verify.PolicyUnsigned, "threshold"},
		{"edge06 threshold -1", policyBy("ann"), policyKeys("ann"), -1, now, verify.PolicyUnsigned, "threshold"},
		{"edge06 threshold beyond the keys", policyBy("ann"), policyKeys("ann"), 2, now, verify.PolicyUnsigned, "threshold"},
		{"edge07 no signatures", policyBy(), policyKeys("ann"), 1, now, verify.PolicyUnsigned, "no signatures"},
		{"no keys", policyBy("ann"), nil, 0, now, verify.PolicyUnsigned, "no policy keys"},
		{"no time", policyBy("ann"), policyKeys("ann"), 1, time.Time{}, verify.PolicyUnsigned, "instant"},
		{"other key", policyBy("eve"), policyKeys("ann"), 1, now, verify.PolicyUnsigned, "no signature by a trusted key"},
		{"key no longer valid", policyBy("ann"), expired, 1, now, verify.PolicyUnsigned, "outside its validity"},
		{"bad key", policyBy("ann"), []verify.Key{{PEM: "x"}}, 1, now, verify.PolicyKey, "PEM"},
		{"edge17 payload of an attestation", envelope(provenance.PayloadType, doc, "ann"), policyKeys("ann"), 1, now, verify.PolicyUnsigned, "payload type"},
		{"edge16 payload type of JSON", envelope("application/json", doc, "ann"), policyKeys("ann"), 1, now, verify.PolicyUnsigned, "payload type"},
		{"edge17 attestation", signed(scan("PASSED", "app"), "ann"), policyKeys("ann"), 1, now, verify.PolicyUnsigned, "payload type"},
		{"edge17 attestation retyped", []byte(strings.Replace(string(signed(scan("PASSED", "app"), "ann")), provenance.PayloadType, verify.PolicyPayloadType, 1)), policyKeys("ann"), 1, now, verify.PolicyUnsigned, "no signature by a trusted key"},
		{"statement signed as policy", envelope(verify.PolicyPayloadType, scan("PASSED", "app").Payload(), "ann"), policyKeys("ann"), 1, now, verify.PolicyField, "schema is missing"},
		{"the policy itself", doc, policyKeys("ann"), 1, now, verify.PolicyUnsigned, "not an envelope"},
		{"large", make([]byte, 9<<20), policyKeys("ann"), 1, now, verify.PolicyUnsigned, "exceeds the limit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := verify.OpenPolicy(c.envelope, c.keys, c.threshold, c.at)
			var pe *verify.PolicyError
			if p != nil || !errors.As(err, &pe) || pe.Reason != c.reason || !strings.Contains(pe.Msg, c.want) {
				t.Errorf("got %v, %v; want %s: %s", p, err, c.reason, c.want)
			}
		})
	}
}

// A signed policy is no attestation, by whomever it is signed.
func TestEdge17_PolicyAsAttestation(t *testing.T) {
	trust, err := verify.NewTrust(policyKeys("ann")...)
	if err != nil {
		t.Fatal(err)
	}
	for _, payload := range []string{"schema: x", string(scan("PASSED", "app").Payload())} {
		_, err := verify.Open(envelope(verify.PolicyPayloadType, []byte(payload), "ann"), trust, now)
		var re *verify.RejectedError
		if !errors.As(err, &re) || re.Reason != verify.ReasonPayloadType {
			t.Errorf("got %v", err)
		}
	}
}

func TestEdge75_OlderPolicy(t *testing.T) {
	p := policy("build", map[string]*verify.Stage{"build": {Requires: requires("ann")}}, "ann")
	p.Version = 3
	doc, err := p.YAML()
	if err != nil {
		t.Fatal(err)
	}
	q, err := verify.OpenPolicy(envelope(verify.PolicyPayloadType, doc, "bob"), policyKeys("bob"), 1, now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := verify.New(q, verify.Options{MinimumVersion: 3}); err != nil {
		t.Errorf("the version that is wanted: %v", err)
	}
	_, err = verify.New(q, verify.Options{MinimumVersion: 4})
	var pe *verify.PolicyError
	if !errors.As(err, &pe) || pe.Reason != verify.PolicyUnsigned {
		t.Errorf("an older version: %v", err)
	}
}
