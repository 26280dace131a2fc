package sbom_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/predicate"
	"github.com/hallmark-build/hallmark/sbom"
)

func built(t testing.TB) (*sbom.Graph, *provenance.Statement) {
	t.Helper()
	sum := func(c string) provenance.DigestSet {
		return provenance.DigestSet{provenance.MustDigest("sha256:" + strings.Repeat(c, 64))}
	}
	p := &predicate.SLSAProvenance{
		BuildDefinition: predicate.BuildDefinition{
			BuildType:          "https://hallmark.build/step/v1",
			ExternalParameters: map[string]any{"step": "compile", "argv": []string{"cc", "-o", "a b", "<x>"}},
			ResolvedDependencies: []provenance.ResourceDescriptor{
				{Name: "a", URI: "pkg:npm/a@1.0.0", Digest: sum("a")}, {Name: "b", URI: "pkg:npm/b@2.0.0", Digest: sum("e")},
				{Name: "src/main file:1.c", Digest: sum("c")}, {Name: "src/main file:1.c", Digest: sum("c")},
				{URI: "git+https://example.com/r", Digest: provenance.DigestSet{provenance.MustDigest("gitCommit:" + strings.Repeat("d", 40))}},
			},
		},
		RunDetails: predicate.RunDetails{Builder: predicate.Builder{ID: "https://example.com/b"},
			Metadata: predicate.BuildMetadata{InvocationID: "run 42", StartedOn: predicate.At(time.Unix(1_700_000_000, 0)), FinishedOn: predicate.At(time.Unix(1_700_000_060, 0))}},
	}
	st, err := p.Statement([]provenance.ResourceDescriptor{{Name: "app", Digest: sum("f")}})
	if err != nil {
		t.Fatal(err)
	}
	g := small(t)
	g.Component("pkg:npm/a@1.0.0").Digests = sum("a")
	g.Component("pkg:npm/b@2.0.0").Digests = sum("b") // not what the build used
	if g.Build, err = sbom.BuildOf(st); err != nil {
		t.Fatal(err)
	}
	return g, st
}

func TestFormulation(t *testing.T) {
	g, st := built(t)
	if b := g.Build; b.Name != "compile" || b.ID != "run 42" || !slices.Equal(b.Command, []string{"cc", "-o", "a b", "<x>"}) || len(b.Inputs) != 5 || len(b.Outputs) != 1 || b.Finished.IsZero() {
		t.Errorf("%+v", b)
	}
	for _, f := range []sbom.Format{sbom.CycloneDX15, sbom.CycloneDX16, sbom.CycloneDX17} {
		doc, err := g.Encode(f)
		if err != nil {
			t.Fatal(err)
		}
		// Reading holds the document to the rules of the schema.
		back, err := sbom.Read(doc, sbom.CycloneDX)
		if err != nil {
			t.Fatalf("%s: %v\n%s", f, err, doc)
		}
		again, err := back.Encode(f)
		if err != nil || !bytes.Equal(again, doc) {
			t.Errorf("%s: it does not come back (%v)\n%s\n%s", f, err, doc, again)
		}
		var v struct {
			Formulation []struct {
				Workflows []struct {
					UID                string
					TimeStart, TimeEnd string
					Inputs, Outputs    []struct {
						Resource struct {
							Ref               string
							ExternalReference struct{ URL string }
						}
					}
				}
			}
		}
		if err := json.Unmarshal(doc, &v); err != nil {
			t.Fatal(err)
		}
		w := v.Formulation[0].Workflows[0]
		var inputs []string
		for _, in := range w.Inputs {
			inputs = append(inputs, in.Resource.Ref+in.Resource.ExternalReference.URL)
		}
		want := []string{"src/main%20file:1.c", "git+https://example.com/r", "pkg:npm/a@1.0.0", "pkg:npm/b@2.0.0"}
		if !slices.Equal(inputs, want) || w.Inputs[2].Resource.Ref == "" || w.Inputs[3].Resource.Ref != "" || w.UID != "run 42" || w.TimeEnd != "2023-11-14T22:14:20Z" || len(w.Outputs) != 1 {
			t.Errorf("%s: %q of %+v", f, inputs, w)
		}
	}
	for _, f := range []sbom.Format{sbom.CycloneDX14, sbom.SPDX, sbom.SPDX3, sbom.CycloneDXXML16} {
		var b bytes.Buffer
		losses, err := g.Write(&b, f)
		if err != nil || !slices.ContainsFunc(losses, func(l sbom.Loss) bool { return l.Field == "build" && !l.Kept }) {
			t.Errorf("%s: %v, %+v", f, err, losses)
		}
	}
	if _, err := sbom.BuildOf(mustStatement(t, st.Subjects())); err == nil {
		t.Error("a statement of another type: no error")
	}
}

func mustStatement(t testing.TB, subjects []provenance.ResourceDescriptor) *provenance.Statement {
	st, err := provenance.NewStatement(subjects, "https://example.com/other", map[string]any{})
	if err != nil {
		t.Fatal(err)
	}
	return st
}
