package record

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"reflect"

	"github.com/hallmark-build/hallmark/internal/redact"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/predicate"
)

const (
	// BuildType is the buildType of the SLSA provenance of a recorded step.
	// docs/buildtypes/step-v1.md says what its parameters are.
	BuildType = "https://hallmark.build/step/v1"

	// TypeFailedStep is the predicate type of a step that did not succeed. Its
	// subjects are the materials. docs/buildtypes/failed-step-v1.md describes it.
	TypeFailedStep = "https://hallmark.build/attestation/failed-step/v1"
)

// Provenance states the step as SLSA provenance v1 about its products.
// builderID is the URI of who vouches for the run (builder.id: the transitive
// closure of what has to be trusted, which this package cannot know) and is
// required; invocationID tells this run from others, and may be "".
//
// The materials, the git commit, the Go toolchain and modules, and
// Observed.Dependencies are its resolvedDependencies.
func (r *Record) Provenance(builderID, invocationID string) (*provenance.Statement, error) {
	o := &r.Observed
	p := &predicate.SLSAProvenance{
		BuildDefinition: predicate.BuildDefinition{
			ExternalParameters:   external(r.Name, o, &r.Claimed),
			InternalParameters:   internal(o, &r.Claimed),
			ResolvedDependencies: o.dependencies(),
		},
		RunDetails: predicate.RunDetails{
			Builder:    predicate.Builder{ID: builderID},
			Metadata:   predicate.BuildMetadata{InvocationID: invocationID},
			Byproducts: byproducts(o),
		},
	}
	cleanPredicate, err := cleaned(r.secrets, p)
	if err != nil {
		return nil, err
	}
	p = cleanPredicate
	p.BuildDefinition.BuildType = BuildType
	p.RunDetails.Metadata.StartedOn = predicate.At(o.Started)
	p.RunDetails.Metadata.FinishedOn = predicate.At(o.Finished)
	subjects, err := cleaned(r.secrets, o.Products)
	if err != nil {
		return nil, err
	}
	return p.Statement(unique(subjects))
}

// Link states the step as an in-toto link v0.3 about its products. The
// captured output is in it, without secrets; what is claimed, what git and go
// said, and dependencies that are not files are not.
func (r *Record) Link() (*provenance.Statement, error) {
	o := &r.Observed
	l := &predicate.Link{
		Name:      r.Name,
		Command:   o.Argv,
		Materials: o.Materials,
		Byproducts: map[string]any{
			"return-value": o.ExitCode,
			"stdout":       o.Stdout.Text,
			"stderr":       o.Stderr.Text,
		},
		Environment: map[string]any{"variables": o.Environment, "workdir": o.Dir},
	}
	l, err := cleaned(r.secrets, l)
	if err != nil {
		return nil, err
	}
	l.Materials = unique(l.Materials)
	subjects, err := cleaned(r.secrets, o.Products)
	if err != nil {
		return nil, err
	}
	return l.Statement(unique(subjects))
}

// failedStep is the predicate of TypeFailedStep.
type failedStep struct {
	Step         map[string]any                  `json:"step"` // as the externalParameters of BuildType
	Result       failedResult                    `json:"result"`
	Internal     map[string]any                  `json:"internalParameters"` // likewise
	Dependencies []provenance.ResourceDescriptor `json:"resolvedDependencies,omitempty"`
	BuilderID    string                          `json:"builderId,omitempty"`
	InvocationID string                          `json:"invocationId,omitempty"`
	StartedOn    predicate.Timestamp             `json:"startedOn"`
	FinishedOn   predicate.Timestamp             `json:"finishedOn"`
	Byproducts   []provenance.ResourceDescriptor `json:"byproducts,omitempty"`
}

type failedResult struct {
	Outcome  string `json:"outcome"` // always FAILED
	Reason   string `json:"reason"`
	Message  string `json:"message"`
	ExitCode int    `json:"exitCode"`
	Signal   string `json:"signal,omitempty"`
}

// Statement states the failure as a [TypeFailedStep]. Its subjects are the
// materials; without any, the git commit; without that, the program that was
// run. A product is never one. Both arguments may be "".
func (f *Failure) Statement(builderID, invocationID string) (*provenance.Statement, error) {
	o := &f.Observed
	subjects := o.Materials
	if len(subjects) == 0 && o.Git != nil {
		subjects = []provenance.ResourceDescriptor{o.Git.Descriptor()}
	}
	if len(subjects) == 0 {
		subjects = []provenance.ResourceDescriptor{o.Program}
	}
	rest := *o
	rest.Materials = nil // they are the subjects
	p, err := cleaned(f.secrets, &failedStep{
		Step:         external(f.Name, o, &f.Claimed),
		Result:       failedResult{Message: f.msg, ExitCode: o.ExitCode, Signal: o.Signal},
		Internal:     internal(o, &f.Claimed),
		Dependencies: rest.dependencies(),
		BuilderID:    builderID,
		InvocationID: invocationID,
		Byproducts:   byproducts(o),
	})
	if err != nil {
		return nil, err
	}
	p.Result.Outcome, p.Result.Reason = "FAILED", f.Reason
	p.StartedOn, p.FinishedOn = predicate.At(o.Started), predicate.At(o.Finished)
	if subjects, err = cleaned(f.secrets, subjects); err != nil {
		return nil, err
	}
	return provenance.NewStatement(unique(subjects), TypeFailedStep, p)
}

// external returns what whoever asked for the run decided.
func external(name string, o *Observed, c *Claimed) map[string]any {
	m := map[string]any{
		"step":             name,
		"argv":             o.Argv,
		"workingDirectory": o.Dir,
		"environment":      o.Environment,
	}
	if len(c.Parameters) > 0 {
		parameters := maps.Clone(c.Parameters)
		for name, v := range parameters { // also values too short to be searched for
			if v != "" && redact.SecretName(name) {
				parameters[name] = redact.Marker
			}
		}
		m["parameters"] = parameters
	}
	return m
}

// internal returns what the run found, and what it was told, under names that
// say which is which.
func internal(o *Observed, c *Claimed) map[string]any {
	observed := map[string]any{"program": o.Program, "exitCode": o.ExitCode}
	if len(o.PassedEnv) > 0 {
		observed["passedEnvironment"] = o.PassedEnv
	}
	if len(o.Modified) > 0 {
		observed["modifiedMaterials"] = o.Modified
	}
	if o.Git != nil {
		observed["git"] = o.Git
	}
	if o.Go != nil {
		observed["go"] = o.Go
	}
	m := map[string]any{"observed": observed}
	if c.CI != nil {
		m["claimed"] = map[string]any{"ci": c.CI}
	}
	return m
}

func (o *Observed) dependencies() []provenance.ResourceDescriptor {
	list := append([]provenance.ResourceDescriptor(nil), o.Materials...)
	if o.Git != nil {
		list = append(list, o.Git.Descriptor())
	}
	if o.Go != nil {
		list = append(list, o.Go.Dependencies()...)
	}
	return append(list, o.Dependencies...)
}

func byproducts(o *Observed) []provenance.ResourceDescriptor {
	var list []provenance.ResourceDescriptor
	for _, out := range []struct {
		name string
		Output
	}{{"stdout", o.Stdout}, {"stderr", o.Stderr}} {
		// A descriptor needs a digest (resource_descriptor.md); an output whose
		// digest would tell about a secret has that of its text without it.
		d := provenance.ResourceDescriptor{Name: out.name, Annotations: map[string]any{"size": out.Size}}
		if out.Redacted {
			d.Digest = textDigest(out.Text)
			d.Annotations["redacted"] = true
		} else if !out.Digest.IsZero() {
			d.Digest = provenance.DigestSet{out.Digest}
		} else {
			continue // nothing was captured: a Failure to start
		}
		list = append(list, d)
	}
	return list
}

// unique gives descriptors that redaction has left with one name different
// names: those of a link must be (link.md).
func unique(list []provenance.ResourceDescriptor) []provenance.ResourceDescriptor {
	seen := make(map[string]bool, len(list))
	for i := range list {
		name := list[i].Name
		for n := 2; name != "" && seen[name]; n++ {
			name = fmt.Sprintf("%s (%d)", list[i].Name, n)
		}
		seen[name] = true
		list[i].Name = name
	}
	return list
}

// cleaned returns a deep copy of v without secrets in any of its strings, the
// names of maps included. Digests are kept as they are. It is the last thing
// that is done to a predicate, so that what a caller has added to Observed
// passes through it too.
func cleaned[T any](secrets *redact.Set, v T) (T, error) {
	c, err := clean(secrets, reflect.ValueOf(&v).Elem(), 0)
	if err != nil {
		return v, err
	}
	return c.Interface().(T), nil
}

var digestSetType = reflect.TypeFor[provenance.DigestSet]()

func clean(secrets *redact.Set, v reflect.Value, depth int) (reflect.Value, error) {
	const maxDepth = 64
	if depth > maxDepth {
		return v, &provenance.FormatError{Reason: provenance.ReasonLimit, Msg: "record nests too deeply, or contains itself"}
	}
	if v.Type() == digestSetType {
		return v, nil
	}
	out := reflect.New(v.Type()).Elem()
	switch v.Kind() {
	case reflect.String:
		if v.Len() < 4 { // shorter than anything that is looked for
			return v, nil
		}
		out.SetString(secrets.String(v.String()))
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return v, nil
		}
		e, err := clean(secrets, v.Elem(), depth+1)
		if err != nil {
			return v, err
		}
		if v.Kind() == reflect.Interface {
			out.Set(e)
		} else {
			out.Set(reflect.New(v.Type().Elem()))
			out.Elem().Set(e)
		}
	case reflect.Slice:
		if v.IsNil() {
			return v, nil
		}
		if v.Type().Elem().Kind() == reflect.Uint8 {
			out.SetBytes(secrets.Bytes(v.Bytes()))
			return out, nil
		}
		out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		for i := range v.Len() {
			e, err := clean(secrets, v.Index(i), depth+1)
			if err != nil {
				return v, err
			}
			out.Index(i).Set(e)
		}
	case reflect.Map:
		if v.IsNil() {
			return v, nil
		}
		out.Set(reflect.MakeMapWithSize(v.Type(), v.Len()))
		for iter := v.MapRange(); iter.Next(); {
			k, err := clean(secrets, iter.Key(), depth+1)
			if err != nil {
				return v, err
			}
			e, err := clean(secrets, iter.Value(), depth+1)
			if err != nil {
				return v, err
			}
			out.SetMapIndex(k, e)
		}
	case reflect.Struct:
		out.Set(v) // unexported fields are those of time.Time and provenance.Digest
		for i := range v.NumField() {
			if !v.Type().Field(i).IsExported() || v.Type().Field(i).Anonymous {
				continue
			}
			e, err := clean(secrets, v.Field(i), depth+1)
			if err != nil {
				return v, err
			}
			out.Field(i).Set(e)
		}
	default:
		return v, nil
	}
	return out, nil
}

func textDigest(text string) provenance.DigestSet {
	sum := sha256.Sum256([]byte(text))
	return digestSet(sum[:])
}
