package predicate

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hallmark-build/hallmark/provenance"
)

const (
	sha256A = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	sha256B = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	commit  = "c27d339ee6075c1f744c5d4b200f7901aad2c369"
)

func subject(name, digest string) provenance.ResourceDescriptor {
	return provenance.ResourceDescriptor{Name: name, Digest: provenance.DigestSet{provenance.MustDigest(digest)}}
}

func subjects() []provenance.ResourceDescriptor {
	return []provenance.ResourceDescriptor{subject("app", "sha256:"+sha256A)}
}

// stateRaw makes a statement of a predicate in JSON.
func stateRaw(t testing.TB, predicateType, predicate string) *provenance.Statement {
	t.Helper()
	st, err := provenance.ParseStatement([]byte(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"app","digest":{"sha256":"` +
		sha256A + `"}}],"predicateType":"` + predicateType + `","predicate":` + predicate + `}`))
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// wantError checks that err is a FormatError that says what.
func wantError(t *testing.T, err error, what string) {
	t.Helper()
	var fe *provenance.FormatError
	if !errors.As(err, &fe) {
		t.Fatalf("got error %v, want a FormatError about %q", err, what)
	}
	if fe.Reason == "" || !strings.Contains(err.Error(), what) {
		t.Errorf("got error %q (reason %q), want it to say %q", err, fe.Reason, what)
	}
}

func slsaProvenance() *SLSAProvenance {
	return &SLSAProvenance{
		BuildDefinition: BuildDefinition{
			BuildType:          "https://example.com/build/v1",
			ExternalParameters: map[string]any{"target": "app"},
			ResolvedDependencies: []provenance.ResourceDescriptor{
				{URI: "git+https://example.com/app", Digest: provenance.DigestSet{provenance.MustDigest("gitCommit:" + commit)}},
			},
		},
		RunDetails: RunDetails{
			Builder: Builder{ID: "https://example.com/builder/v1"},
			Metadata: BuildMetadata{
				InvocationID: "17",
				StartedOn:    At(time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600))),
				FinishedOn:   At(time.Date(2026, 1, 2, 2, 5, 5, 0, time.UTC)),
			},
		},
	}
}

func TestSLSAProvenanceRoundTrip(t *testing.T) {
	p := slsaProvenance()
	st, err := p.Statement(subjects())
	if err != nil {
		t.Fatal(err)
	}
	want := `{"buildDefinition":{"buildType":"https://example.com/build/v1","externalParameters":{"target":"app"},` +
		`"resolvedDependencies":[{"uri":"git+https://example.com/app","digest":{"gitCommit":"` + commit + `"}}]},` +
		`"runDetails":{"builder":{"id":"https://example.com/builder/v1"},"metadata":{"invocationId":"17",` +
		`"startedOn":"2026-01-02T02:04:05Z","finishedOn":"2026-01-02T02:05:05Z"}}}`
	if got := string(st.Predicate()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	back, err := ParseSLSAProvenance(st.Predicate())
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(p, back) {
		t.Errorf("got %+v back, want %+v", back, p)
	}
	flow, err := FlowOf(st)
	if err != nil {
		t.Fatal(err)
	}
	if !flow.Transformation || len(flow.Materials) != 1 || flow.Materials[0].URI != "git+https://example.com/app" {
		t.Errorf("flow is %+v", flow)
	}
	start, end, err := ClaimedTimes(st)
	if err != nil || !start.Equal(p.RunDetails.Metadata.StartedOn.Time) || !end.Equal(p.RunDetails.Metadata.FinishedOn.Time) {
		t.Errorf("times are %v, %v, %v", start, end, err)
	}
}

func BenchmarkFlowOf(b *testing.B) {
	digest := `{"sha256":"` + sha256B + `"}`
	deps := strings.Repeat(`{"uri":"pkg:golang/example.com/m@v1.2.3","digest":`+digest+`},`, 9) + `{"uri":"u","digest":` + digest + `}`
	var mats []string
	for _, c := range "abcdefghij" {
		mats = append(mats, `{"name":"src/`+string(c)+`.go","digest":`+digest+`}`)
	}
	toolchain := make([]string, 15_000) // as many files as a Go toolchain has
	for i := range toolchain {
		toolchain[i] = fmt.Sprintf(`{"name":"src/%d.go","digest":%s}`, i, digest)
	}
	for _, c := range []struct{ name, typ, predicate string }{
		{"toolchain", TypeLink, `{"name":"build","materials":[` + strings.Join(toolchain, ",") + `]}`},
		{"slsa", TypeSLSAProvenance, `{"buildDefinition":{"buildType":"https://example.com/b","externalParameters":{"workflow":{"ref":"refs/heads/main","repository":"https://github.com/octocat/hello-world","path":".github/workflow/release.yml"}},"internalParameters":{"github":{"event_name":"push"}},"resolvedDependencies":[` +
			deps + `]},"runDetails":{"builder":{"id":"https://example.com/builder"},"metadata":{"invocationId":"1","startedOn":"2026-01-02T02:04:05Z"}}}`},
		{"link", TypeLink, `{"name":"build","command":["go","build"],"materials":[` + strings.Join(mats, ",") + `],"byproducts":{"return-value":0}}`},
	} {
		st := stateRaw(b, c.typ, c.predicate)
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(st.Predicate())))
			for b.Loop() {
				if _, err := FlowOf(st); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
