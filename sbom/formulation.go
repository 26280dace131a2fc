package sbom

import (
	"cmp"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/predicate"
)

// A Build says how the root of a graph was made. CycloneDX in JSON has it as
// formulation, from version 1.5 on; in other formats it is lost, and
// [Graph.Write] says so.
//
// [BuildOf] makes one of the same SLSA provenance that is signed, so that the
// two cannot say different things.
type Build struct {
	ID      string   // tells this run from others: the invocation ID
	Name    string   // of the step or target
	Type    string   // URI of what its parameters mean: the buildType
	Builder string   // URI of who vouches for the run: the builder.id
	Command []string // what was run, one argument each; may be empty

	Inputs  []provenance.ResourceDescriptor // what went in: resolvedDependencies
	Outputs []provenance.ResourceDescriptor // what came out: the subjects

	// Started and Finished are zero when not known. Leave them so, and ID empty,
	// in documents that two runs of one build should give the same bytes of.
	Started, Finished time.Time
}

// BuildOf returns the build that a statement of SLSA provenance, of any version
// that predicate.ParseProvenance reads, states. Name and command are the
// external parameters "step" and "argv", where the build type has them, as that
// of package record does.
func BuildOf(st *provenance.Statement) (*Build, error) {
	p, err := predicate.ParseProvenance(st)
	if err != nil {
		return nil, err
	}
	d, r := p.BuildDefinition, p.RunDetails
	b := &Build{
		ID: r.Metadata.InvocationID, Type: d.BuildType, Builder: r.Builder.ID,
		Inputs: slices.Clone(d.ResolvedDependencies), Outputs: st.Subjects(),
		Started: r.Metadata.StartedOn.Time, Finished: r.Metadata.FinishedOn.Time,
	}
	b.Name, _ = d.ExternalParameters["step"].(string)
	argv, _ := d.ExternalParameters["argv"].([]any)
	for _, a := range argv {
		if s, ok := a.(string); ok {
			b.Command = append(b.Command, s)
		}
	}
	if len(b.Command) != len(argv) {
		b.Command = nil
	}
	return b, nil
}

// The parts of a CycloneDX formulation that are written.
type cdxFormula struct {
	Ref       string        `json:"bom-ref"`
	Workflows []cdxWorkflow `json:"workflows"`
}

type cdxWorkflow struct {
	Ref        string        `json:"bom-ref"`
	UID        string        `json:"uid"`
	Name       string        `json:"name,omitempty"`
	TaskTypes  []string      `json:"taskTypes"`
	Steps      []cdxStep     `json:"steps,omitempty"`
	Inputs     []cdxFlow     `json:"inputs,omitempty"`
	Outputs    []cdxFlow     `json:"outputs,omitempty"`
	TimeStart  string        `json:"timeStart,omitempty"`
	TimeEnd    string        `json:"timeEnd,omitempty"`
	Properties []cdxProperty `json:"properties,omitempty"`
}

type cdxStep struct {
	Commands []cdxCommand `json:"commands"`
}

type cdxCommand struct {
	Executed   string        `json:"executed"`
	Properties []cdxProperty `json:"properties,omitempty"`
}

// cdxFlow is an input or an output.
type cdxFlow struct {
	Type       string        `json:"type,omitempty"` // of an output
	Resource   cdxResource   `json:"resource"`
	Properties []cdxProperty `json:"properties,omitempty"`
}

type cdxResource struct {
	Ref      string        `json:"ref,omitempty"`
	External *cdxReference `json:"externalReference,omitempty"`
}

// formulation writes the build of a graph; nil when there is none, or the
// version has no place for it.
func (w cdxWriter) formulation() []cdxFormula {
	b := w.d.graph.Build
	if b == nil || w.v < 15 || w.xml {
		return nil
	}
	wf := cdxWorkflow{Ref: "hallmark:build", UID: cmp.Or(oneLine(b.ID), "build"), Name: oneLine(b.Name), TaskTypes: []string{"build"}}
	stamp := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.RFC3339)
	}
	wf.TimeStart, wf.TimeEnd = stamp(b.Started), stamp(b.Finished)
	for _, p := range []Property{{prefix + "build-type", oneLine(b.Type)}, {prefix + "builder", oneLine(b.Builder)}} {
		if p.Value != "" {
			wf.Properties = append(wf.Properties, cdxProperty(p))
		}
	}
	if len(b.Command) > 0 {
		c := cdxCommand{Executed: clean(strings.Join(b.Command, " "))}
		for _, a := range b.Command {
			// Which argument ends where, the line does not say.
			c.Properties = append(c.Properties, cdxProperty{prefix + "argument", clean(a)})
		}
		wf.Steps = []cdxStep{{[]cdxCommand{c}}}
	}
	refs := make(map[string]*Component, len(w.d.components))
	for _, c := range w.d.components {
		if c.PURL == "" {
			continue
		}
		if _, twice := refs[c.PURL]; twice {
			refs[c.PURL] = nil // of two, none is meant for certain
		} else {
			refs[c.PURL] = c
		}
	}
	flow := func(r provenance.ResourceDescriptor, typ string) cdxFlow {
		f := cdxFlow{Type: typ}
		if c := refs[r.URI]; c != nil && c.Digests.Matches(r.Digest) {
			f.Resource.Ref = c.ID
			return f
		}
		target := clean(r.URI)
		if _, err := url.Parse(target); err != nil || target == "" || strings.ContainsAny(target, " <>\"{}|\\^`") {
			target = (&url.URL{Path: clean(cmp.Or(r.Name, r.URI, "unnamed"))}).String()
		}
		ref := &cdxReference{URL: target, Type: "other"}
		var rest []provenance.Digest
		ref.Hashes, rest = w.hashes(r.Digest)
		for _, d := range rest {
			f.Properties = append(f.Properties, cdxProperty{extraDigest + string(d.Algorithm()), d.Value()})
		}
		if r.Name != "" && r.URI != "" {
			f.Properties = append(f.Properties, cdxProperty{prefix + "name", clean(r.Name)})
		}
		f.Resource.External = ref
		return f
	}
	for _, list := range []struct {
		from []provenance.ResourceDescriptor
		to   *[]cdxFlow
		typ  string
	}{{b.Inputs, &wf.Inputs, ""}, {b.Outputs, &wf.Outputs, "artifact"}} {
		sorted := slices.Clone(list.from)
		slices.SortStableFunc(sorted, func(x, y provenance.ResourceDescriptor) int {
			return cmp.Or(cmp.Compare(x.URI, y.URI), cmp.Compare(x.Name, y.Name), cmp.Compare(x.Digest.String(), y.Digest.String()))
		})
		sorted = slices.CompactFunc(sorted, func(x, y provenance.ResourceDescriptor) bool {
			return x.URI == y.URI && x.Name == y.Name && x.Digest.String() == y.Digest.String()
		})
		seen := make(map[string]bool) // of references to components: two inputs may be one
		for _, r := range sorted {
			f := flow(r, list.typ)
			if ref := f.Resource.Ref; ref != "" {
				if seen[ref] {
					continue
				}
				seen[ref] = true
			}
			*list.to = append(*list.to, f)
		}
	}
	return []cdxFormula{{Ref: "hallmark:formula", Workflows: []cdxWorkflow{wf}}}
}
