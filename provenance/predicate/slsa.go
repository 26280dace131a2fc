package predicate

import (
	"github.com/hallmark-build/hallmark/provenance"
)

// SLSAProvenance is SLSA provenance v1, predicate type [TypeSLSAProvenance]:
// how the subjects were built (slsa.dev/spec/v1.2/provenance). Nothing in it
// says how far it is to be trusted: that is decided by who signed it and by
// Builder.ID, never by a label.
type SLSAProvenance struct {
	BuildDefinition BuildDefinition `json:"buildDefinition"`
	RunDetails      RunDetails      `json:"runDetails"`
}

// BuildDefinition holds the inputs of a build.
type BuildDefinition struct {
	// BuildType is a URI that says how to read everything else. Required.
	BuildType string `json:"buildType"`
	// ExternalParameters are under the control of whoever asked for the
	// build, and must be complete at SLSA Build L3. Required, at least one;
	// digests go to ResolvedDependencies.
	ExternalParameters map[string]any `json:"externalParameters"`
	// InternalParameters are set by the build platform.
	InternalParameters map[string]any `json:"internalParameters,omitempty"`
	// ResolvedDependencies are the materials, in no order, complete as far as the builder knows.
	ResolvedDependencies []provenance.ResourceDescriptor `json:"resolvedDependencies,omitempty"`
}

// RunDetails says who ran a build, and when.
type RunDetails struct {
	Builder    Builder                         `json:"builder"`
	Metadata   BuildMetadata                   `json:"metadata,omitzero"`
	Byproducts []provenance.ResourceDescriptor `json:"byproducts,omitempty"` // logs and the like, not products
}

// Builder is the build platform.
type Builder struct {
	// ID is a URI for everything that has to be trusted for the build to be
	// what the provenance says. Required. A build platform with several
	// modes of different strength needs an ID for each.
	ID                  string                          `json:"id"`
	Version             map[string]string               `json:"version,omitempty"` // component to version
	BuilderDependencies []provenance.ResourceDescriptor `json:"builderDependencies,omitempty"`
}

// BuildMetadata tells one build from another. All of it is optional.
type BuildMetadata struct {
	InvocationID string    `json:"invocationId,omitempty"` // opaque, case-sensitive
	StartedOn    Timestamp `json:"startedOn,omitzero"`
	FinishedOn   Timestamp `json:"finishedOn,omitzero"`
}

// Validate checks what slsa.dev/spec/v1.2/provenance#schema marks REQUIRED, and the times. The
// same field name in external and internal parameters SHOULD NOT be, and is
// let pass.
func (p *SLSAProvenance) Validate() error {
	b, r := &p.BuildDefinition, &p.RunDetails
	if err := missing("buildDefinition.buildType", b.BuildType, "runDetails.builder.id", r.Builder.ID); err != nil {
		return wrap("SLSA provenance v1", err)
	}
	if len(b.ExternalParameters) == 0 {
		return bad("SLSA provenance v1: buildDefinition.externalParameters is required")
	}
	return wrap("SLSA provenance v1", p.validateOptional())
}

func (p *SLSAProvenance) validateOptional() error {
	b, r := &p.BuildDefinition, &p.RunDetails
	if err := descriptors("buildDefinition.resolvedDependencies", b.ResolvedDependencies); err != nil {
		return err
	}
	if err := descriptors("runDetails.builder.builderDependencies", r.Builder.BuilderDependencies); err != nil {
		return err
	}
	if err := descriptors("runDetails.byproducts", r.Byproducts); err != nil {
		return err
	}
	return period("runDetails.metadata.startedOn", r.Metadata.StartedOn,
		"runDetails.metadata.finishedOn", r.Metadata.FinishedOn)
}

// Statement validates the provenance and states it about the subjects, the products of the build.
func (p *SLSAProvenance) Statement(subjects []provenance.ResourceDescriptor) (*provenance.Statement, error) {
	return statement(p, subjects, TypeSLSAProvenance)
}

// ParseSLSAProvenance reads a predicate of type [TypeSLSAProvenance]. For any version use [ParseProvenance].
func ParseSLSAProvenance(predicate []byte) (*SLSAProvenance, error) {
	return parse[SLSAProvenance]("SLSA provenance v1", predicate)
}
