package slsa_test

import (
	"strings"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/predicate"
	"github.com/hallmark-build/hallmark/verify"
	"github.com/hallmark-build/hallmark/verify/slsa"
)

const (
	verifierID = "https://example.com/verifier"
	resource   = "pkg:oci/app@v1"
)

func summary(change func(doc)) doc {
	d := doc{
		"verifier": doc{"id": verifierID}, "timeVerified": now.Add(-time.Hour).Format(time.RFC3339), "resourceUri": resource,
		"policy":             doc{"uri": "https://example.com/policy", "digest": doc{"sha256": strings.Repeat("a", 64)}},
		"verificationResult": "PASSED", "verifiedLevels": []any{"SLSA_BUILD_LEVEL_3"}, "slsaVersion": "1.2",
	}
	if change != nil {
		change(d)
	}
	return d
}

func delegated(t testing.TB, signer string) slsa.Delegation {
	return slsa.Delegation{VerifierID: verifierID, Key: keyID(t, publicPEM(signer)), Track: slsa.TrackBuild, MaxLevel: 3, Resources: []string{"pkg:oci/app@*"}}
}

func wanted() slsa.SummaryExpectations {
	return slsa.SummaryExpectations{ResourceURI: resource, Levels: []string{"SLSA_BUILD_LEVEL_2"}, At: now, MaxAge: 24 * time.Hour}
}

func TestEdge77_VSA(t *testing.T) {
	set := func(name string, value any) func(doc) { return func(d doc) { d[name] = value } }
	levels := func(l ...any) func(doc) { return set("verifiedLevels", l) }
	other := delegated(t, "verifier")
	for name, c := range map[string]struct {
		vsa      func(doc)
		want     func(*slsa.SummaryExpectations)
		delegate func(*slsa.Delegation)
		reason   slsa.Reason // "" passes
	}{
		"holds":                        {},
		"same level":                   {want: func(e *slsa.SummaryExpectations) { e.Levels = []string{"SLSA_BUILD_LEVEL_3"} }},
		"UNEVALUATED beside":           {vsa: levels("SLSA_BUILD_LEVEL_3", "SLSA_SOURCE_LEVEL_UNEVALUATED")},
		"property beside":              {vsa: levels("SLSA_BUILD_LEVEL_3", "SLSA_BUILD_REPRODUCED", "CUSTOM")},
		"FAILED":                       {vsa: func(d doc) { d["verificationResult"] = "FAILED"; d["verifiedLevels"] = []any{"FAILED"} }, reason: slsa.ReasonFailed},
		"FAILED with a level":          {vsa: set("verificationResult", "FAILED"), reason: slsa.ReasonFailed},
		"FAILED level and PASSED":      {vsa: levels("FAILED"), reason: slsa.ReasonPredicate},
		"empty result":                 {vsa: set("verificationResult", ""), reason: slsa.ReasonPredicate},
		"result in lower case":         {vsa: set("verificationResult", "passed"), reason: slsa.ReasonPredicate},
		"slsaResult":                   {vsa: func(d doc) { delete(d, "verificationResult"); d["slsaResult"] = "PASSED" }, reason: slsa.ReasonPredicate},
		"no levels":                    {vsa: levels(), reason: slsa.ReasonPredicate},
		"lower level":                  {vsa: levels("SLSA_BUILD_LEVEL_1"), reason: slsa.ReasonNotVerified},
		"other track":                  {vsa: levels("SLSA_SOURCE_LEVEL_4"), reason: slsa.ReasonNotVerified},
		"UNEVALUATED":                  {vsa: levels("SLSA_BUILD_LEVEL_UNEVALUATED"), reason: slsa.ReasonNotVerified},
		"two levels of a track":        {vsa: levels("SLSA_BUILD_LEVEL_3", "SLSA_BUILD_LEVEL_1"), reason: slsa.ReasonPredicate},
		"malformed level":              {vsa: levels("SLSA_BUILD_LEVEL_03"), reason: slsa.ReasonPredicate},
		"wrong resource":               {vsa: set("resourceUri", "pkg:oci/app@v2"), reason: slsa.ReasonResource},
		"longer resource":              {vsa: set("resourceUri", resource+"1"), reason: slsa.ReasonResource},
		"no policy digest":             {vsa: set("policy", doc{"uri": "https://example.com/policy"}), reason: slsa.ReasonPolicyDigest},
		"no policy":                    {vsa: set("policy", doc{}), reason: slsa.ReasonPredicate},
		"another policy":               {want: func(e *slsa.SummaryExpectations) { e.Policies = []string{"https://example.com/policy2"} }, reason: slsa.ReasonPolicyDigest},
		"stale":                        {vsa: set("timeVerified", now.Add(-25*time.Hour).Format(time.RFC3339)), reason: slsa.ReasonStale},
		"future":                       {vsa: set("timeVerified", now.Add(time.Second).Format(time.RFC3339)), reason: slsa.ReasonStale},
		"no time":                      {vsa: set("timeVerified", nil), reason: slsa.ReasonStale},
		"another verifier":             {vsa: set("verifier", doc{"id": verifierID + "2"}), reason: slsa.ReasonVerifier},
		"input without digest":         {vsa: set("inputAttestations", []any{doc{"uri": "x:y"}}), reason: slsa.ReasonPredicate},
		"not delegated for the level":  {delegate: func(d *slsa.Delegation) { d.MaxLevel = 1 }, reason: slsa.ReasonDelegation},
		"not delegated for the track":  {delegate: func(d *slsa.Delegation) { d.Track = slsa.TrackSource }, reason: slsa.ReasonDelegation},
		"not delegated there":          {delegate: func(d *slsa.Delegation) { d.Resources = []string{"pkg:oci/other@*"} }, reason: slsa.ReasonDelegation},
		"another key":                  {delegate: func(d *slsa.Delegation) { d.Key = keyID(t, publicPEM("other")) }, reason: slsa.ReasonVerifier},
		"property not delegated":       {vsa: levels("SLSA_BUILD_LEVEL_3", "X"), want: func(e *slsa.SummaryExpectations) { e.Levels = []string{"X"} }, reason: slsa.ReasonDelegation},
		"property":                     {vsa: levels("SLSA_BUILD_LEVEL_3", "X"), want: func(e *slsa.SummaryExpectations) { e.Levels = []string{"X"} }, delegate: func(d *slsa.Delegation) { d.Properties = []string{"X"} }},
		"expecting nothing":            {want: func(e *slsa.SummaryExpectations) { e.Levels = nil }, reason: slsa.ReasonRequest},
		"expecting FAILED":             {want: func(e *slsa.SummaryExpectations) { e.Levels = []string{"FAILED"} }, reason: slsa.ReasonRequest},
		"expecting UNEVALUATED":        {want: func(e *slsa.SummaryExpectations) { e.Levels = []string{"SLSA_BUILD_LEVEL_UNEVALUATED"} }, reason: slsa.ReasonRequest},
		"no resource expected":         {want: func(e *slsa.SummaryExpectations) { e.ResourceURI = "" }, reason: slsa.ReasonRequest},
		"no age expected":              {want: func(e *slsa.SummaryExpectations) { e.MaxAge = 0 }, reason: slsa.ReasonRequest},
		"no instant":                   {want: func(e *slsa.SummaryExpectations) { e.At = time.Time{} }, reason: slsa.ReasonRequest},
		"a weak hash as an identifier": {want: func(e *slsa.SummaryExpectations) { e.Identifiers = []provenance.Algorithm{"sha1"} }, reason: slsa.ReasonRequest},
		"delegation of nothing":        {delegate: func(d *slsa.Delegation) { d.Track, d.MaxLevel = "", 0 }, reason: slsa.ReasonRequest},
		"delegation to nobody":         {delegate: func(d *slsa.Delegation) { d.Key = "" }, reason: slsa.ReasonRequest},
		"delegation for nowhere":       {delegate: func(d *slsa.Delegation) { d.Resources = nil }, reason: slsa.ReasonRequest},
	} {
		t.Run(name, func(t *testing.T) {
			st, err := provenance.NewStatement([]provenance.ResourceDescriptor{artifactOf("app").Descriptor()}, predicate.TypeVSA, summary(c.vsa))
			if err != nil {
				t.Fatal(err)
			}
			want, d := wanted(), other
			if c.want != nil {
				c.want(&want)
			}
			if c.delegate != nil {
				c.delegate(&d)
			}
			r, err := slsa.VerifyVSA(signed(t, st, "verifier"), digestsOf("app"), []slsa.Delegation{d}, want)
			if c.reason != "" {
				refusedFor(t, err, c.reason)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if r.Level(slsa.TrackBuild) != 3 {
				t.Errorf("level %d", r.Level(slsa.TrackBuild))
			}
		})
	}
	st := statementOf(t, "app", predicate.TypeVSA, summary(nil))
	_, err := slsa.VerifyVSA(signed(t, st, "verifier"), digestsOf("other"), []slsa.Delegation{other}, wanted())
	refusedFor(t, err, slsa.ReasonSubject)
	_, err = slsa.VerifyVSA(signed(t, st, "verifier"), nil, []slsa.Delegation{other}, wanted())
	refusedFor(t, err, slsa.ReasonRequest)
	_, err = slsa.VerifyVSA(signed(t, statementOf(t, "app", predicate.TypeVSA+"/", summary(nil)), "verifier"), digestsOf("app"), []slsa.Delegation{other}, wanted())
	refusedFor(t, err, slsa.ReasonPredicate)

	// A verifier may claim more than it may vouch for: it counts up to its maximum.
	d := other
	d.MaxLevel = 2
	r, err := slsa.VerifyVSA(signed(t, st, "verifier"), digestsOf("app"), []slsa.Delegation{d}, wanted())
	if err != nil || r.Level(slsa.TrackBuild) != 2 || r.Level(slsa.TrackSource) != 0 {
		t.Errorf("level %d: %v", r.Level(slsa.TrackBuild), err)
	}
	// Two verifiers' keys do not mix.
	_, err = slsa.VerifyVSA(signed(t, st, "mallory"), digestsOf("app"),
		[]slsa.Delegation{other, {VerifierID: "https://mallory.example", Key: keyID(t, publicPEM("mallory")), Track: "BUILD", MaxLevel: 3, Resources: []string{"**"}}}, wanted())
	refusedFor(t, err, slsa.ReasonVerifier)
}

func TestEdge77_Loops(t *testing.T) {
	rests := func(on ...*verify.VerifiedStatement) func(doc) {
		return func(d doc) {
			var list []any
			for _, st := range on {
				list = append(list, doc{"digest": doc{"sha256": st.Digest().Value()}})
			}
			d["inputAttestations"] = list
		}
	}
	vsa := func(subject, verifier string, change func(doc)) *verify.VerifiedStatement {
		return signed(t, statementOf(t, subject, predicate.TypeVSA, summary(func(d doc) {
			d["verifier"] = doc{"id": verifier}
			change(d)
		})), "verifier")
	}
	judge := func(st *verify.VerifiedStatement, inputs ...*verify.VerifiedStatement) error {
		_, err := slsa.VerifyVSA(st, digestsOf("app"), []slsa.Delegation{delegated(t, "verifier")}, wanted(), inputs...)
		return err
	}
	own := vsa("app", verifierID, rests())
	b := vsa("app", "https://b.example", rests(own))
	c := vsa("app", "https://c.example", rests())
	for name, w := range map[string]struct {
		on   []*verify.VerifiedStatement
		loop bool
	}{
		"another's": {[]*verify.VerifiedStatement{c}, false}, "its own": {[]*verify.VerifiedStatement{own}, true},
		"through another": {[]*verify.VerifiedStatement{b}, true}, "one of several": {[]*verify.VerifiedStatement{c, b}, true},
	} {
		t.Run(name, func(t *testing.T) {
			err := judge(vsa("app", verifierID, rests(w.on...)), own, b, c)
			if !w.loop {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			refusedFor(t, err, slsa.ReasonLoop)
		})
	}
	// A loop further down.
	b2 := vsa("app", "https://b.example", rests(vsa("app", "https://c.example", rests(b))))
	mid := vsa("app", "https://c.example", rests(b))
	refusedFor(t, judge(vsa("app", verifierID, func(d doc) {
		rests(b2)(d)
	}), b2, mid, b, own), slsa.ReasonLoop)
	// Of another resource it may well be.
	elsewhere := vsa("app", verifierID, func(d doc) { d["resourceUri"] = "pkg:oci/base@v1" })
	if err := judge(vsa("app", verifierID, rests(elsewhere)), elsewhere); err != nil {
		t.Error(err)
	}
}

func TestSourceTrack(t *testing.T) {
	revision := provenance.DigestSet{provenance.MustDigest("gitCommit:" + commit)}
	make := func(annotation string, change func(doc)) *verify.VerifiedStatement {
		s := provenance.ResourceDescriptor{URI: "https://github.com/octo/app/commit/" + commit, Digest: revision}
		if annotation != "" {
			s.Annotations = map[string]any{annotation: []any{"refs/heads/main", "refs/tags/v1"}}
		}
		st, err := provenance.NewStatement([]provenance.ResourceDescriptor{s}, predicate.TypeVSA, summary(func(d doc) {
			d["resourceUri"] = "git+https://github.com/octo/app"
			d["verifiedLevels"] = []any{"SLSA_SOURCE_LEVEL_3", "ORG_SOURCE_SIGNED"}
			if change != nil {
				change(d)
			}
		}))
		if err != nil {
			t.Fatal(err)
		}
		return signed(t, st, "scs")
	}
	row := slsa.Delegation{VerifierID: verifierID, Key: keyID(t, publicPEM("scs")), Track: slsa.TrackSource, MaxLevel: 4,
		Properties: []string{"ORG_SOURCE_*"}, Resources: []string{"git+https://github.com/octo/*"}}
	base := slsa.SourceExpectations{Repository: "https://github.com/octo/app", Ref: "refs/heads/main", Level: 3,
		Properties: []string{"ORG_SOURCE_SIGNED"}, At: now, MaxAge: 24 * time.Hour}
	for _, annotation := range []string{"sourceRefs", "source_refs"} {
		r, err := slsa.VerifySource([]*verify.VerifiedStatement{make(annotation, nil)}, revision, []slsa.Delegation{row}, base)
		if err != nil || r.Level(slsa.TrackSource) != 3 {
			t.Fatalf("%s: %v", annotation, err)
		}
	}
	level := func(l ...any) func(doc) { return func(d doc) { d["verifiedLevels"] = l } }
	for name, c := range map[string]struct {
		st     *verify.VerifiedStatement
		change func(*slsa.SourceExpectations)
		reason slsa.Reason
	}{
		"no VSA":             {signed(t, statementOf(t, "app", "https://example.com/x", doc{"a": 1}), "scs"), nil, slsa.ReasonNoVSA},
		"no refs":            {make("", nil), nil, slsa.ReasonRef},
		"other ref":          {make("sourceRefs", nil), func(e *slsa.SourceExpectations) { e.Ref = "refs/heads/mai" }, slsa.ReasonRef},
		"ref not named":      {make("sourceRefs", nil), func(e *slsa.SourceExpectations) { e.Ref = "" }, slsa.ReasonRequest},
		"other repository":   {make("sourceRefs", nil), func(e *slsa.SourceExpectations) { e.Repository += "2" }, slsa.ReasonResource},
		"level":              {make("sourceRefs", nil), func(e *slsa.SourceExpectations) { e.Level = 4 }, slsa.ReasonNotVerified},
		"level 5":            {make("sourceRefs", nil), func(e *slsa.SourceExpectations) { e.Level = 5 }, slsa.ReasonRequest},
		"property":           {make("sourceRefs", nil), func(e *slsa.SourceExpectations) { e.Properties = []string{"ORG_SOURCE_OTHER"} }, slsa.ReasonNotVerified},
		"unprefixed":         {make("sourceRefs", nil), func(e *slsa.SourceExpectations) { e.Properties = []string{"SIGNED"} }, slsa.ReasonRequest},
		"review":             {make("sourceRefs", nil), func(e *slsa.SourceExpectations) { e.Properties = []string{predicate.SourceTwoPartyReviewed} }, slsa.ReasonNotVerified},
		"build level":        {make("sourceRefs", level("SLSA_BUILD_LEVEL_3")), nil, slsa.ReasonNotVerified},
		"two source levels":  {make("sourceRefs", level("SLSA_SOURCE_LEVEL_3", "SLSA_SOURCE_LEVEL_2")), nil, slsa.ReasonNoVSA},
		"failed":             {make("sourceRefs", func(d doc) { d["verificationResult"] = "FAILED"; d["verifiedLevels"] = []any{"FAILED"} }), nil, slsa.ReasonFailed},
		"stale":              {make("sourceRefs", nil), func(e *slsa.SourceExpectations) { e.MaxAge = time.Minute }, slsa.ReasonStale},
		"resource at commit": {make("sourceRefs", func(d doc) { d["resourceUri"] = "git+https://github.com/octo/app@" + commit }), nil, slsa.ReasonResource},
	} {
		t.Run(name, func(t *testing.T) {
			want := base
			if c.change != nil {
				c.change(&want)
			}
			_, err := slsa.VerifySource([]*verify.VerifiedStatement{c.st}, revision, []slsa.Delegation{row}, want)
			refusedFor(t, err, c.reason)
		})
	}
	_, err := slsa.VerifySource(nil, revision, []slsa.Delegation{row}, base)
	refusedFor(t, err, slsa.ReasonNoVSA)
	other := provenance.DigestSet{provenance.MustDigest("gitCommit:" + otherCommit)}
	_, err = slsa.VerifySource([]*verify.VerifiedStatement{make("sourceRefs", nil)}, other, []slsa.Delegation{row}, base)
	refusedFor(t, err, slsa.ReasonNoVSA)
	// edge39: a commit is no sha1.
	_, err = slsa.VerifySource([]*verify.VerifiedStatement{make("sourceRefs", nil)}, provenance.DigestSet{provenance.MustDigest("sha1:" + commit)}, []slsa.Delegation{row}, base)
	refusedFor(t, err, slsa.ReasonNoVSA)
	for n := 1; n <= 4; n++ {
		want := base
		want.Level, want.Properties = n, nil
		st := make("sourceRefs", level(predicate.Level{Track: "SOURCE", N: n}.String()))
		if r, err := slsa.VerifySource([]*verify.VerifiedStatement{st}, revision, []slsa.Delegation{row}, want); err != nil || r.Level(slsa.TrackSource) != n {
			t.Errorf("level %d: %v", n, err)
		}
	}
}
