package vex_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/gate"
	"github.com/hallmark-build/hallmark/sbom/osv"
	"github.com/hallmark-build/hallmark/sbom/vex"
)

func digest(t testing.TB, alg provenance.Algorithm, fill string) provenance.Digest {
	t.Helper()
	d, err := provenance.NewDigest(alg, strings.Repeat(fill, map[provenance.Algorithm]int{"sha256": 64, "sha512": 128, "sha1": 40}[alg]))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func day(n int) time.Time { return time.Date(2026, 2, n, 0, 0, 0, 0, time.UTC) }

// found is a result with one vulnerability, CVE-1 alias GHSA-1, in component a
// of the product app.
func found(t testing.TB) *osv.Result {
	t.Helper()
	dir := t.TempDir()
	record := `{"id":"GHSA-1","modified":"2026-02-01T00:00:00Z","aliases":["CVE-1"],"affected":[{"package":{"ecosystem":"npm","name":"a"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}]}]}]}`
	if err := os.WriteFile(filepath.Join(dir, "GHSA-1.json"), []byte(record), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	db, err := osv.Open(ctx, dir, osv.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	g := &sbom.Graph{}
	root := g.Add(sbom.Component{Type: sbom.Application, Name: "app", PURL: "pkg:npm/app@1.0.0", Digests: provenance.DigestSet{digest(t, "sha256", "a")}})
	a := g.Add(sbom.Component{Name: "a", PURL: "pkg:npm/a@1.2.3", Digests: provenance.DigestSet{digest(t, "sha512", "b"), digest(t, "sha1", "b")}})
	g.Relate(root, sbom.DependsOn, a)
	r, err := db.Match(ctx, g, osv.Options{})
	if err != nil || len(r.Vulnerabilities) != 1 {
		t.Fatal(err, r)
	}
	return r
}

func no(p ...vex.Product) vex.Statement {
	return vex.Statement{IDs: []string{"CVE-1"}, Products: p, Status: osv.NotAffected, Justification: "vulnerable_code_not_present", Time: day(5), Document: "doc", Principals: []string{"sec"}}
}

func apply(t testing.TB, r *osv.Result, s ...vex.Statement) *osv.Result {
	t.Helper()
	out, err := vex.Apply(r, s, vex.Options{Trusted: []string{"sec", "other"}, At: day(10)})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestProducts(t *testing.T) {
	r := found(t)
	a256, b256 := digest(t, "sha256", "a"), digest(t, "sha256", "b")
	b512, c512 := digest(t, "sha512", "b"), digest(t, "sha512", "c")
	tests := []struct {
		name string
		p    vex.Product
		want bool
	}{
		{"the component", vex.Product{PURL: "pkg:npm/a@1.2.3"}, true},
		{"every version of it", vex.Product{PURL: "pkg:npm/a"}, true},
		{"another version", vex.Product{PURL: "pkg:npm/a@1.2.4"}, false},
		{"another name", vex.Product{PURL: "pkg:npm/aa@1.2.3"}, false},
		{"another type", vex.Product{PURL: "pkg:pypi/a@1.2.3"}, false},
		{"a qualifier that it lacks", vex.Product{PURL: "pkg:npm/a@1.2.3?repository_url=x.example"}, false},
		{"a wildcard is a name", vex.Product{PURL: "pkg:npm/*"}, false},
		{"nothing", vex.Product{}, false},
		{"no purl", vex.Product{PURL: "a"}, false},
		{"by digest", vex.Product{Digests: provenance.DigestSet{b512}}, true},
		{"by another digest", vex.Product{Digests: provenance.DigestSet{c512}}, false},
		{"by a weak digest", vex.Product{Digests: provenance.DigestSet{digest(t, "sha1", "b")}}, false},
		{"edge38 a digest that contradicts", vex.Product{PURL: "pkg:npm/a@1.2.3", Digests: provenance.DigestSet{c512}}, false},
		{"a digest that it lacks", vex.Product{PURL: "pkg:npm/a@1.2.3", Digests: provenance.DigestSet{b256}}, true},
		{"the whole product", vex.Product{PURL: "pkg:npm/app@1.0.0"}, true},
		{"the whole product by digest", vex.Product{Digests: provenance.DigestSet{a256}}, true},
		{"the product with the part", vex.Product{PURL: "pkg:npm/app@1.0.0", Parts: []vex.Product{{PURL: "pkg:npm/a"}}}, true},
		{"the product with another part", vex.Product{PURL: "pkg:npm/app@1.0.0", Parts: []vex.Product{{PURL: "pkg:npm/b"}}}, false},
		{"the product with a part that has no name", vex.Product{PURL: "pkg:npm/app@1.0.0", Parts: []vex.Product{{}}}, false},
		{"another product with the part", vex.Product{PURL: "pkg:npm/app@2.0.0", Parts: []vex.Product{{PURL: "pkg:npm/a"}}}, false},
		{"the part as a product with parts", vex.Product{PURL: "pkg:npm/a@1.2.3", Parts: []vex.Product{{PURL: "pkg:npm/c"}}}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			out := apply(t, r, no(tt.p))
			v := out.Vulnerabilities[0]
			if closed := !v.Open(); closed != tt.want {
				t.Errorf("status %s: %s", v.Status, v.Why)
			}
			if err := out.Report(osv.ReportOptions{}).Err(); (err == nil) != tt.want {
				t.Errorf("gate: %v", err)
			}
			if r.Vulnerabilities[0].Status != osv.Affected || len(r.Remarks) > 0 {
				t.Error("the result that was passed was changed")
			}
		})
	}
}

func TestWhoCounts(t *testing.T) {
	r := found(t)
	p := vex.Product{PURL: "pkg:npm/a"}
	with := func(change func(*vex.Statement)) vex.Statement {
		s := no(p)
		change(&s)
		return s
	}
	says := func(who string, status osv.Status, on int) vex.Statement {
		return with(func(s *vex.Statement) { s.Principals, s.Status, s.Time = []string{who}, status, day(on) })
	}
	tests := []struct {
		name       string
		statements []vex.Statement
		want       osv.Status
		remarks    string
	}{
		{"nobody", nil, osv.Affected, ""},
		{"trusted", []vex.Statement{no(p)}, osv.NotAffected, ""},
		{"by alias", []vex.Statement{with(func(s *vex.Statement) { s.IDs = []string{"X", "GHSA-1"} })}, osv.NotAffected, ""},
		{"another vulnerability", []vex.Statement{with(func(s *vex.Statement) { s.IDs = []string{"CVE-2"} })}, osv.Affected, "unused"},
		{"not trusted", []vex.Statement{says("mallory", osv.NotAffected, 5)}, osv.Affected, "untrusted"},
		{"not signed", []vex.Statement{with(func(s *vex.Statement) { s.Principals = nil; s.Author = "sec" })}, osv.Affected, "untrusted"},
		{"one of two signers is trusted", []vex.Statement{with(func(s *vex.Statement) { s.Principals = []string{"mallory", "sec"} })}, osv.NotAffected, ""},
		{"the author it claims does not count", []vex.Statement{with(func(s *vex.Statement) { s.Principals, s.Author = []string{"mallory"}, "sec" })}, osv.Affected, "untrusted"},
		{"the latest counts", []vex.Statement{says("sec", osv.NotAffected, 6), says("sec", osv.Affected, 5)}, osv.NotAffected, ""},
		{"the latest counts, affected", []vex.Statement{says("sec", osv.NotAffected, 5), says("sec", osv.Affected, 6)}, osv.Affected, ""},
		{"edge61 two of one time", []vex.Statement{says("sec", osv.NotAffected, 5), says("sec", osv.Affected, 5)}, osv.Affected, "conflict"},
		{"two agree", []vex.Statement{says("sec", osv.NotAffected, 5), says("other", osv.Fixed, 6)}, osv.Fixed, ""},
		{"two disagree", []vex.Statement{says("sec", osv.NotAffected, 9), says("other", osv.Affected, 5)}, osv.Affected, "conflict"},
		{"mallory makes no conflict", []vex.Statement{says("sec", osv.NotAffected, 9), says("mallory", osv.Affected, 5)}, osv.NotAffected, "untrusted"},
		{"under investigation", []vex.Statement{says("sec", osv.UnderInvestigation, 5)}, osv.UnderInvestigation, ""},
		{"edge62 from the future", []vex.Statement{says("sec", osv.NotAffected, 11)}, osv.Affected, "from-the-future"},
		{"bad news from the future", []vex.Statement{says("sec", osv.NotAffected, 9), says("sec", osv.Affected, 11)}, osv.Affected, ""},
		{"no product that can be told", []vex.Statement{no()}, osv.Affected, "product-not-identified,unused"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var first string
			for _, reverse := range []bool{false, true} { // edge63
				list := slices.Clone(tt.statements)
				if reverse {
					slices.Reverse(list)
				}
				out := apply(t, r, list...)
				if got := out.Vulnerabilities[0].Status; got != tt.want {
					t.Errorf("want %s, found %s", tt.want, got)
				}
				rep := out.Report(osv.ReportOptions{})
				var remarks []string
				for _, f := range rep.Findings {
					if f.Rule == osv.RuleVEX && f.Reason != string(tt.want) {
						remarks = append(remarks, f.Reason)
					}
				}
				if got := strings.Join(remarks, ","); got != tt.remarks {
					t.Errorf("remarks: want %q, found %q", tt.remarks, got)
				}
				open := tt.want == osv.NotAffected || tt.want == osv.Fixed
				if (rep.Err() == nil) != open {
					t.Errorf("gate: %v", rep.Err())
				}
				var b bytes.Buffer
				if err := gate.JSON(&b, rep); err != nil {
					t.Fatal(err)
				}
				if first == "" {
					first = b.String()
				} else if first != b.String() {
					t.Error("the report depends on the order of the statements")
				}
			}
		})
	}
	s := no(p)
	s.Principals = nil
	out, err := vex.Apply(r, []vex.Statement{s}, vex.Options{At: day(10), UnsafeUnsigned: true})
	if err != nil || out.Vulnerabilities[0].Open() {
		t.Errorf("unsigned, and that is wanted: %v", err)
	}
}

func TestRefused(t *testing.T) {
	r := found(t)
	p := vex.Product{PURL: "pkg:npm/a"}
	for name, change := range map[string]func(*vex.Statement){
		"no justification": func(s *vex.Statement) { s.Justification = "" },
		"blank impact":     func(s *vex.Statement) { s.Justification, s.Impact = "", " " },
		"no status":        func(s *vex.Statement) { s.Status = "" },
		"odd status":       func(s *vex.Statement) { s.Status = "NOT_AFFECTED" },
		"no time":          func(s *vex.Statement) { s.Time = time.Time{} },
		"no vulnerability": func(s *vex.Statement) { s.IDs = nil },
	} {
		s := no(p)
		change(&s)
		if _, err := vex.Apply(r, []vex.Statement{s}, vex.Options{Trusted: []string{"sec"}, At: day(10)}); err == nil {
			t.Errorf("%s: want an error", name)
		}
	}
	if _, err := vex.Apply(r, nil, vex.Options{}); err == nil {
		t.Error("want an error without a time")
	}
	if _, err := vex.Apply(nil, nil, vex.Options{At: day(1)}); err == nil {
		t.Error("want an error without a result")
	}
}

const openVEX = `{"@context":"https://openvex.dev/ns/v0.2.0","@id":"https://example.com/vex/1","author":"Security","timestamp":"2026-02-03T00:00:00+01:00","version":1,"statements":[
 {"vulnerability":{"@id":"https://example.com/CVE-1","name":"CVE-1","aliases":["GHSA-1"]},"products":[{"@id":"pkg:npm/app@1.0.0","subcomponents":[{"identifiers":{"purl":"pkg:npm/a@1.2.3"},"hashes":{"sha-512":"%s"}}]}],"status":"not_affected","justification":"vulnerable_code_not_in_execute_path"},
 {"vulnerability":{"name":"CVE-2"},"timestamp":"2026-02-04T00:00:00Z","products":[{"@id":"https://example.com/product"}],"status":"fixed"},
 {"vulnerability":{"name":"CVE-3"},"products":[{"@id":"pkg:npm/a@1.0.0","identifiers":{"purl":"pkg:npm/b@1.0.0"}}],"status":"fixed"}]}`

func TestReadOpenVEX(t *testing.T) {
	list, err := vex.ReadOpenVEX(fmt.Appendf(nil, openVEX, strings.Repeat("b", 128)), "sec")
	if err != nil {
		t.Fatal(err)
	}
	out := apply(t, found(t), list...)
	if v := out.Vulnerabilities[0]; v.Open() || !strings.Contains(v.Why, "vulnerable_code_not_in_execute_path") || !strings.Contains(v.Why, "2026-02-02T23:00:00Z") {
		t.Errorf("%+v", v)
	}
	// Neither an IRI nor two package URLs that contradict each other name a product.
	if n := len(out.Remarks); n != 3 {
		t.Errorf("remarks %+v", out.Remarks)
	}
	for name, change := range map[string][2]string{
		"edge26 case": {`"status"`, `"Status"`}, "edge27 twice": {`"version":1`, `"version":1,"version":1`}, "no justification": {`,"justification":"vulnerable_code_not_in_execute_path"`, ``},
		"unknown status": {`"not_affected"`, `"unaffected"`}, "unknown justification": {`"vulnerable_code_not_in_execute_path"`, `"trust_me"`},
	} {
		doc := strings.Replace(fmt.Sprintf(openVEX, strings.Repeat("b", 128)), change[0], change[1], 1)
		if _, err := vex.ReadOpenVEX([]byte(doc), "sec"); err == nil {
			t.Errorf("%s: want an error", name)
		}
	}
}

func statement(t testing.TB, typ, pred string) *provenance.Statement {
	t.Helper()
	st, err := provenance.ParseStatement(fmt.Appendf(nil, `{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"app","digest":{"sha256":%q}}],"predicateType":%q,"predicate":%s}`,
		strings.Repeat("a", 64), typ, pred))
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// A document without products is about the subjects of its statement.
func TestFromStatement(t *testing.T) {
	doc := `{"@context":"https://openvex.dev/ns/v0.2.0","@id":"x","author":"a","timestamp":"2026-02-03T00:00:00Z","version":1,"statements":[{"vulnerability":{"name":"CVE-1"},"status":"not_affected","impact_statement":"never called"}]}`
	list, err := vex.FromStatement(statement(t, "https://openvex.dev/ns/v0.2.0", doc), "sec")
	if err != nil {
		t.Fatal(err)
	}
	if out := apply(t, found(t), list...); out.Vulnerabilities[0].Open() {
		t.Errorf("%+v", out.Vulnerabilities[0])
	}
	if _, err := vex.FromStatement(statement(t, "https://slsa.dev/provenance/v1", "{}"), "sec"); err == nil {
		t.Error("edge18: a predicate of another type was read")
	}
}

const cycloneDX = `{"bomFormat":"CycloneDX","specVersion":"1.6","serialNumber":"urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79","version":1,
 "metadata":{"timestamp":"2026-02-03T00:00:00Z","component":{"type":"application","bom-ref":"app","name":"app","purl":"pkg:npm/app@1.0.0"}},
 "components":[{"type":"library","bom-ref":"a","name":"a","version":"1.2.3","purl":"pkg:npm/a@1.2.3"}],
 "vulnerabilities":[{"id":"CVE-1","analysis":{"state":"not_affected","justification":"code_not_reachable"},"affects":[{"ref":"a"}]},{"id":"CVE-9"}]}`

func TestReadCycloneDX(t *testing.T) {
	r := found(t)
	linked := func(serial string, version int) *sbom.Graph {
		if serial != "urn:uuid:00000000-0000-0000-0000-000000000001" || version != 2 {
			return nil
		}
		return r.Graph()
	}
	tests := []struct {
		name, old, new string
		want           osv.Status // "" for an error
	}{
		{"as it is", "", "", osv.NotAffected},
		{"resolved", `"state":"not_affected"`, `"state":"resolved"`, osv.Fixed},
		{"exploitable", `"state":"not_affected"`, `"state":"exploitable"`, osv.Affected},
		{"in triage", `"state":"not_affected"`, `"state":"in_triage"`, osv.UnderInvestigation},
		{"false positive without a reason", `"state":"not_affected","justification":"code_not_reachable"`, `"state":"false_positive"`, ""},
		{"false positive", `"state":"not_affected","justification":"code_not_reachable"`, `"state":"false_positive","detail":"another package"`, osv.NotAffected},
		{"no justification", `,"justification":"code_not_reachable"`, ``, ""},
		{"unknown justification", `code_not_reachable`, `trust_me`, ""},
		{"unknown state", `"not_affected"`, `"fine"`, ""},
		{"no time", `"timestamp":"2026-02-03T00:00:00Z",`, ``, ""},
		{"bad time", `2026-02-03T00:00:00Z`, `yesterday`, ""},
		{"another product", `pkg:npm/app@1.0.0`, `pkg:npm/app@2.0.0`, osv.Affected},
		{"a product with a name only", `,"purl":"pkg:npm/app@1.0.0"`, ``, osv.Affected},
		{"no product", `,"component":{"type":"application","bom-ref":"app","name":"app","purl":"pkg:npm/app@1.0.0"}`, ``, osv.NotAffected},
		{"a component with a name only", `,"purl":"pkg:npm/a@1.2.3"`, ``, osv.Affected},
		{"the product itself", `[{"ref":"a"}]`, `[{"ref":"app"}]`, osv.NotAffected},
		{"an unknown reference", `[{"ref":"a"}]`, `[{"ref":"b"}]`, osv.Affected},
		{"BOM-Link", `[{"ref":"a"}]`, `[{"ref":"urn:cdx:00000000-0000-0000-0000-000000000001/2#pkg%3Anpm%2Fa%401.2.3"}]`, osv.NotAffected},
		{"BOM-Link to itself", `[{"ref":"a"}]`, `[{"ref":"urn:cdx:3e671687-395b-41f5-a30f-a58921a69b79/1#a"}]`, osv.NotAffected},
		{"BOM-Link to another version", `[{"ref":"a"}]`, `[{"ref":"urn:cdx:00000000-0000-0000-0000-000000000001/1#pkg%3Anpm%2Fa%401.2.3"}]`, osv.Affected},
		{"BOM-Link, bad", `[{"ref":"a"}]`, `[{"ref":"urn:cdx:#%zz"}]`, osv.Affected},
		{"alias", `"id":"CVE-1",`, `"id":"X","references":[{"id":"GHSA-1","source":{}}],`, osv.NotAffected},
		{"edge27 bom-ref twice", `"bom-ref":"a"`, `"bom-ref":"app"`, ""},
		{"old format", `"specVersion":"1.6"`, `"specVersion":"1.3"`, ""},
		{"not CycloneDX", `"bomFormat":"CycloneDX"`, `"bomFormat":"SPDX"`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			doc := cycloneDX
			if tt.old != "" {
				if doc = strings.Replace(cycloneDX, tt.old, tt.new, 1); doc == cycloneDX {
					t.Fatal("nothing was replaced")
				}
			}
			list, err := vex.ReadCycloneDX([]byte(doc), linked, "sec")
			if (err == nil) != (tt.want != "") {
				t.Fatal(err)
			}
			if err != nil {
				return
			}
			if got := apply(t, r, list...).Vulnerabilities[0].Status; got != tt.want {
				t.Errorf("want %s, found %s: %+v", tt.want, got, list)
			}
		})
	}
	if doc, err := os.ReadFile("../../../shared/data/cyclonedx/1.6/valid-vulnerability-1.6.json"); err == nil {
		list, err := vex.ReadCycloneDX(doc, nil, "sec")
		if err != nil || len(list) != 1 || list[0].Products[0].PURL == "" {
			t.Errorf("%v %+v", err, list)
		}
	}
}

// What is written reads back as the same statements.
func TestWriteAndRead(t *testing.T) {
	r := found(t)
	s := vex.Draft(r, r.Vulnerabilities[0], day(5))
	if apply(t, r, s).Vulnerabilities[0].Status != osv.Affected {
		t.Error("a draft counts although nobody signed it")
	}
	s.Status, s.Justification, s.Impact = osv.NotAffected, "vulnerable_code_not_in_execute_path", "never called"
	h := vex.Header{ID: "urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79", Author: "Security", Time: day(5), Tool: "hallmark"}
	o, err := vex.OpenVEX(h, s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.Statement([]provenance.ResourceDescriptor{{Name: "app", Digest: r.Graph().Root().Digests}}); err != nil {
		t.Error(err)
	}
	raw, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	back, err := vex.ReadOpenVEX(raw, "sec")
	if err != nil || len(back) != 1 {
		t.Fatal(err, string(raw))
	}
	want := s
	want.Document, want.Author, want.Principals = h.ID, h.Author, []string{"sec"}
	want.Products[0].Parts[0].Digests = provenance.DigestSet{digest(t, "sha512", "b")} // strong ones only
	if !reflect.DeepEqual(back[0], want) {
		t.Errorf("\n%+v\n%+v", back[0], want)
	}
	c, err := vex.CycloneDX(h, s)
	if err != nil {
		t.Fatal(err)
	}
	back, err = vex.ReadCycloneDX(c, nil, "sec")
	if err != nil || len(back) != 1 {
		t.Fatal(err, string(c))
	}
	if got := apply(t, r, back...).Vulnerabilities[0]; got.Status != osv.NotAffected || back[0].Justification != "code_not_reachable" || !strings.Contains(back[0].Impact, "never called") {
		t.Errorf("%+v", back[0])
	}
	// Justifications of CycloneDX's own survive the way through OpenVEX in words.
	back[0].Justification = "protected_at_perimeter"
	if o, err = vex.OpenVEX(h, back...); err != nil || !strings.Contains(o.Statements[0].ImpactStatement, "protected_at_perimeter") {
		t.Errorf("%v %+v", err, o)
	}
	other := s
	other.Products = []vex.Product{{PURL: "pkg:npm/other@1"}}
	if _, err := vex.CycloneDX(h, s, other); err == nil {
		t.Error("one document about two products")
	}
	nameless := s
	nameless.Products = []vex.Product{{}}
	if _, err := vex.OpenVEX(h, nameless); err == nil {
		t.Error("a product without a name was written")
	}
	if _, err := vex.OpenVEX(vex.Header{}, s); err == nil {
		t.Error("a document without an author was written")
	}
}

func FuzzRead(f *testing.F) {
	f.Add(fmt.Appendf(nil, openVEX, strings.Repeat("b", 128)))
	f.Add([]byte(cycloneDX))
	r := found(f)
	f.Fuzz(func(t *testing.T, doc []byte) {
		for _, read := range []func() ([]vex.Statement, error){
			func() ([]vex.Statement, error) { return vex.ReadOpenVEX(doc) },
			func() ([]vex.Statement, error) { return vex.ReadCycloneDX(doc, nil) },
		} {
			list, err := read()
			if err != nil {
				continue
			}
			// What nobody signed never closes anything.
			out, err := vex.Apply(r, list, vex.Options{Trusted: []string{"sec", ""}, At: day(10)})
			if err != nil || out.Vulnerabilities[0].Status != osv.Affected {
				t.Errorf("%v %+v", err, out)
			}
		}
	})
}
