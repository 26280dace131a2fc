package predicate

import (
	"encoding/json"
	"maps"
	"reflect"
	"strconv"

	"github.com/hallmark-build/hallmark/internal/strictjson"
	"github.com/hallmark-build/hallmark/provenance"
)

// Provenance is SLSA provenance of any version, seen as v1. What an older
// version says is moved by the migration of slsa.dev/spec/v1.2/provenance
// ("Migrating from 0.2"); the statement has the original.
type Provenance struct {
	SLSAProvenance
	// Type is the predicate type that was read. BuildType is the original
	// one whatever the version; with an older version it means what it meant
	// there.
	Type string
	// Complete is what the builder of an older version claims to have listed
	// in full. Version 1 has no such claim: its external parameters are
	// complete if the builder is one of Build L3.
	Complete Completeness
	// Reproducible is the claim of that name of the older versions.
	Reproducible bool
	// BuildConfig lists the steps of the build in v0.2; nil otherwise.
	BuildConfig map[string]any
}

// Completeness is the "completeness" of SLSA provenance v0.1 and v0.2. A false flag makes
// no claim: what is listed may be incomplete.
type Completeness struct {
	Parameters  bool `json:"parameters,omitempty"` // "arguments" in v0.1
	Environment bool `json:"environment,omitempty"`
	Materials   bool `json:"materials,omitempty"`
}

// ParseProvenance reads SLSA provenance of any version; another predicate type is refused.
func ParseProvenance(st *provenance.Statement) (*Provenance, error) {
	switch typ := st.PredicateType(); typ {
	case TypeSLSAProvenance:
		p, err := ParseSLSAProvenance(st.Predicate())
		if err != nil {
			return nil, err
		}
		return &Provenance{SLSAProvenance: *p, Type: typ}, nil
	case TypeSLSAProvenanceV02:
		p, err := ParseSLSAProvenanceV02(st.Predicate())
		if err != nil {
			return nil, err
		}
		return p.V1(), nil
	case TypeSLSAProvenanceV01, TypeInTotoProvenanceV01:
		return parseProvenanceV01(typ, st.Predicate())
	default:
		return nil, bad("want SLSA provenance, found a predicate of type %s", clip(typ))
	}
}

// SLSAProvenanceV02 is SLSA provenance v0.2, predicate type
// [TypeSLSAProvenanceV02] (slsa.dev/provenance/v0.2), for consumers that do not
// read v1.
type SLSAProvenanceV02 struct {
	Builder     BuilderV02     `json:"builder"`
	BuildType   string         `json:"buildType"`
	Invocation  InvocationV02  `json:"invocation,omitzero"`
	BuildConfig map[string]any `json:"buildConfig,omitempty"`
	Metadata    MetadataV02    `json:"metadata,omitzero"`
	Materials   []MaterialV02  `json:"materials,omitempty"`
}

// BuilderV02 is the builder of SLSA provenance v0.2.
type BuilderV02 struct {
	ID string `json:"id"`
}

// InvocationV02 is what started a build.
type InvocationV02 struct {
	ConfigSource ConfigSourceV02 `json:"configSource,omitzero"`
	Parameters   map[string]any  `json:"parameters,omitempty"`
	Environment  map[string]any  `json:"environment,omitempty"`
}

// ConfigSourceV02 is where the definition of a build came from.
type ConfigSourceV02 struct {
	URI        string               `json:"uri,omitempty"`
	Digest     provenance.DigestSet `json:"digest,omitempty"`
	EntryPoint string               `json:"entryPoint,omitempty"`
}

// MetadataV02 tells one build from another.
type MetadataV02 struct {
	BuildInvocationID string       `json:"buildInvocationId,omitempty"`
	BuildStartedOn    Timestamp    `json:"buildStartedOn,omitzero"`
	BuildFinishedOn   Timestamp    `json:"buildFinishedOn,omitzero"`
	Completeness      Completeness `json:"completeness,omitzero"`
	Reproducible      bool         `json:"reproducible,omitempty"`
}

// MaterialV02 is an artifact that went into a build.
type MaterialV02 struct {
	URI    string               `json:"uri,omitempty"`
	Digest provenance.DigestSet `json:"digest,omitempty"`
}

// Validate checks what the specification marks required, and the times.
func (p *SLSAProvenanceV02) Validate() error {
	const what = "SLSA provenance v0.2"
	if err := missing("builder.id", p.Builder.ID, "buildType", p.BuildType); err != nil {
		return wrap(what, err)
	}
	if err := descriptors("materials", fromMaterials(p.Materials)); err != nil {
		return wrap(what, err)
	}
	return wrap(what, period("metadata.buildStartedOn", p.Metadata.BuildStartedOn,
		"metadata.buildFinishedOn", p.Metadata.BuildFinishedOn))
}

// Statement validates the provenance and states it about the subjects, the products of the build.
func (p *SLSAProvenanceV02) Statement(subjects []provenance.ResourceDescriptor) (*provenance.Statement, error) {
	return statement(p, subjects, TypeSLSAProvenanceV02)
}

// ParseSLSAProvenanceV02 reads a predicate of type [TypeSLSAProvenanceV02].
func ParseSLSAProvenanceV02(predicate []byte) (*SLSAProvenanceV02, error) {
	return parse[SLSAProvenanceV02]("SLSA provenance v0.2", predicate)
}

// V1 returns the provenance as v1, by the migration of slsa.dev/spec/v1.2/provenance:
// the external parameters are the parameters with entryPoint and source added,
// the resolved dependencies are the materials and the source.
func (p *SLSAProvenanceV02) V1() *Provenance {
	source := p.Invocation.ConfigSource
	v := &Provenance{Type: TypeSLSAProvenanceV02, Complete: p.Metadata.Completeness,
		Reproducible: p.Metadata.Reproducible, BuildConfig: p.BuildConfig}
	v.BuildDefinition = BuildDefinition{
		BuildType:            p.BuildType,
		ExternalParameters:   maps.Clone(p.Invocation.Parameters),
		InternalParameters:   p.Invocation.Environment,
		ResolvedDependencies: fromMaterials(p.Materials),
	}
	v.addExternal("entryPoint", source.EntryPoint)
	v.addExternal("source", source.URI)
	// Builders list the source among the materials as well, mostly.
	dependency := provenance.ResourceDescriptor{URI: source.URI, Digest: source.Digest}
	if source.URI != "" || len(source.Digest) > 0 {
		v.addDependency(dependency)
	}
	v.RunDetails.Builder.ID = p.Builder.ID
	v.RunDetails.Metadata = BuildMetadata{p.Metadata.BuildInvocationID, p.Metadata.BuildStartedOn, p.Metadata.BuildFinishedOn}
	return v
}

func (v *Provenance) addExternal(name, value string) {
	if value == "" {
		return
	}
	if v.BuildDefinition.ExternalParameters == nil {
		v.BuildDefinition.ExternalParameters = make(map[string]any, 2)
	}
	v.BuildDefinition.ExternalParameters[name] = value
}

func (v *Provenance) addDependency(r provenance.ResourceDescriptor) {
	for _, d := range v.BuildDefinition.ResolvedDependencies {
		if reflect.DeepEqual(d, r) {
			return
		}
	}
	v.BuildDefinition.ResolvedDependencies = append(v.BuildDefinition.ResolvedDependencies, r)
}

func fromMaterials(materials []MaterialV02) []provenance.ResourceDescriptor {
	var list []provenance.ResourceDescriptor
	for _, m := range materials {
		list = append(list, provenance.ResourceDescriptor{URI: m.URI, Digest: m.Digest})
	}
	return list
}

// V02 returns the provenance as v0.2, for consumers that read nothing newer.
// Parameters become the invocation's; what v0.2 has no place for, such as byproducts,
// is left out. Nothing is claimed to be complete.
func (p *SLSAProvenance) V02() *SLSAProvenanceV02 {
	v := &SLSAProvenanceV02{
		Builder:   BuilderV02{ID: p.RunDetails.Builder.ID},
		BuildType: p.BuildDefinition.BuildType,
		Invocation: InvocationV02{
			Parameters:  p.BuildDefinition.ExternalParameters,
			Environment: p.BuildDefinition.InternalParameters,
		},
		Metadata: MetadataV02{
			BuildInvocationID: p.RunDetails.Metadata.InvocationID,
			BuildStartedOn:    p.RunDetails.Metadata.StartedOn,
			BuildFinishedOn:   p.RunDetails.Metadata.FinishedOn,
		},
	}
	for _, d := range p.BuildDefinition.ResolvedDependencies {
		m := MaterialV02{URI: d.URI, Digest: d.Digest}
		if m.URI == "" {
			m.URI = d.Name
		}
		if m.URI != "" || len(m.Digest) > 0 {
			v.Materials = append(v.Materials, m)
		}
	}
	return v
}

// parseProvenanceV01 reads SLSA provenance v0.1: v0.2 with a recipe in place of the invocation.
func parseProvenanceV01(typ string, predicate []byte) (*Provenance, error) {
	const what = "SLSA provenance v0.1"
	var old struct {
		Builder BuilderV02 `json:"builder"`
		Recipe  struct {
			Type              string           `json:"type"`
			DefinedInMaterial materialIndex    `json:"definedInMaterial"`
			EntryPoint        string           `json:"entryPoint"`
			Arguments         objectOrNoneList `json:"arguments"`
			Environment       objectOrNoneList `json:"environment"`
		} `json:"recipe"`
		Metadata struct {
			BuildInvocationID string    `json:"buildInvocationId"`
			BuildStartedOn    Timestamp `json:"buildStartedOn"`
			BuildFinishedOn   Timestamp `json:"buildFinishedOn"`
			Completeness      struct {
				Parameters  bool `json:"arguments"`
				Environment bool `json:"environment"`
				Materials   bool `json:"materials"`
			} `json:"completeness"`
			Reproducible bool `json:"reproducible"`
		} `json:"metadata"`
		Materials []MaterialV02 `json:"materials"`
	}
	if err := decode(predicate, &old); err != nil {
		return nil, wrap(what, err)
	}
	p := SLSAProvenanceV02{
		Builder:   old.Builder,
		BuildType: old.Recipe.Type,
		Invocation: InvocationV02{
			ConfigSource: ConfigSourceV02{EntryPoint: old.Recipe.EntryPoint},
			Parameters:   old.Recipe.Arguments,
			Environment:  old.Recipe.Environment,
		},
		Metadata: MetadataV02{
			BuildInvocationID: old.Metadata.BuildInvocationID,
			BuildStartedOn:    old.Metadata.BuildStartedOn,
			BuildFinishedOn:   old.Metadata.BuildFinishedOn,
			Completeness:      Completeness(old.Metadata.Completeness),
			Reproducible:      old.Metadata.Reproducible,
		},
		Materials: old.Materials,
	}
	if i := old.Recipe.DefinedInMaterial; i.set {
		if i.n < 0 || i.n >= int64(len(old.Materials)) {
			return nil, bad("%s: recipe.definedInMaterial is %d, but there are %d materials", what, i.n, len(old.Materials))
		}
		p.Invocation.ConfigSource.URI = old.Materials[i.n].URI
		p.Invocation.ConfigSource.Digest = old.Materials[i.n].Digest
	}
	if err := missing("builder.id", p.Builder.ID, "recipe.type", p.BuildType); err != nil {
		return nil, wrap(what, err)
	}
	if err := p.Validate(); err != nil {
		return nil, wrap(what, err)
	}
	v := p.V1()
	v.Type = typ
	return v, nil
}

// materialIndex is recipe.definedInMaterial of v0.1. Google Cloud Build writes
// it as a string, against the specification, and not always one that is an
// index of the materials. No source is taken from such a string.
type materialIndex struct {
	n   int64
	set bool
}

func (m *materialIndex) UnmarshalJSON(data []byte) (err error) {
	*m = materialIndex{}
	p := strictjson.NewParser(data, 0)
	switch p.Kind() {
	case strictjson.Null:
		return p.Null()
	case strictjson.String:
		s, err := p.String()
		if err == nil {
			_, err = strconv.ParseInt(s, 10, 64)
		}
		if err != nil {
			return bad("recipe.definedInMaterial: want an integer, found %s", clip(s))
		}
		return nil
	}
	m.n, err = p.Int()
	m.set = err == nil
	return err
}

// objectOrNoneList is an object that some writers of v0.1 write as [] when it is empty.
type objectOrNoneList map[string]any

func (o *objectOrNoneList) UnmarshalJSON(data []byte) error {
	*o = nil
	if string(data) == "[]" {
		return nil
	}
	return json.Unmarshal(data, (*map[string]any)(o))
}
