package peers

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/openvex/go-vex/pkg/vex"

	"github.com/hallmark-build/hallmark/provenance/predicate"
)

// TestGoVEX has go-vex read what is written here, say what it means, and write it
// out again; and both judge statements that lack something.
func TestGoVEX(t *testing.T) {
	const product = "pkg:golang/example.com/app@v1.2.0"
	document := func(status string, change func(*predicate.VEXStatement)) *predicate.OpenVEX {
		s := predicate.VEXStatement{Vulnerability: predicate.VEXVulnerability{Name: "CVE-2026-1"}, Status: status,
			Products: []predicate.VEXProduct{{VEXComponent: predicate.VEXComponent{ID: product, Hashes: map[string]string{"sha-256": appDigest[7:]}}}}}
		change(&s)
		return &predicate.OpenVEX{Context: predicate.TypeOpenVEXV020, ID: "https://example.com/vex/1", Author: "a", Timestamp: started, Version: 1, Statements: []predicate.VEXStatement{s}}
	}
	for _, c := range []struct {
		name   string
		v      *predicate.OpenVEX
		accept bool
	}{
		{"fixed", document("fixed", func(*predicate.VEXStatement) {}), true},
		{"not affected", document("not_affected", func(s *predicate.VEXStatement) { s.Justification = "component_not_present" }), true},
		{"affected", document("affected", func(s *predicate.VEXStatement) { s.ActionStatement = "update" }), true},
		{"not affected, and no reason", document("not_affected", func(*predicate.VEXStatement) {}), false},
		{"a reason of one's own", document("not_affected", func(s *predicate.VEXStatement) { s.Justification = "trust_me" }), false},
		{"another status", document("unaffected", func(*predicate.VEXStatement) {}), false},
	} {
		if err := c.v.Validate(); (err == nil) != c.accept {
			t.Errorf("%s: ours: %v", c.name, err)
		}
		if !c.accept {
			s := vex.Statement{Vulnerability: vex.Vulnerability{Name: "CVE-2026-1"}, Status: vex.Status(c.v.Statements[0].Status), Justification: vex.Justification(c.v.Statements[0].Justification)}
			if err := s.Validate(); err == nil {
				t.Errorf("%s: go-vex accepts it", c.name)
			}
			continue
		}
		st, err := c.v.Statement(appSubject())
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := vex.Parse(st.Predicate())
		if err != nil {
			t.Fatalf("%s: go-vex: %v", c.name, err)
		}
		s := theirs.EffectiveStatement(product, "CVE-2026-1")
		if s == nil || string(s.Status) != c.v.Statements[0].Status {
			t.Fatalf("%s: go-vex reads %+v", c.name, s)
		}
		if err := s.Validate(); err != nil {
			t.Errorf("%s: go-vex: %v", c.name, err)
		}
		var b bytes.Buffer
		if err := theirs.ToJSON(&b); err != nil {
			t.Fatal(err)
		}
		back, err := predicate.ParseOpenVEX(b.Bytes())
		if err != nil || !reflect.DeepEqual(back, c.v) {
			t.Errorf("%s: %v, written again by go-vex:\n%s", c.name, err, &b)
		}
	}
}
