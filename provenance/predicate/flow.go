package predicate

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"github.com/hallmark-build/hallmark/internal/strictjson"
	"github.com/hallmark-build/hallmark/provenance"
)

// Flow says how artifacts pass through a statement. A transformation makes its
// subjects, the products, out of its materials; an observation is about its
// subjects and has no materials.
type Flow struct {
	Transformation bool
	// Materials are what the statement says went in, as it lists them. A
	// material may have no digest, and then nothing can be shown to be it.
	Materials []provenance.ResourceDescriptor
}

// FlowOf returns the flow of a statement. SLSA provenance of any version,
// links and witness collections are transformations; whatever else, a type
// that this package does not know included, is an observation.
//
// It reads only what it needs (it is called for every statement of a chain),
// and refuses what would leave the flow in doubt: a name that differs from
// a known one by case, a null or nameless entry in a list, a build without a
// builder, a link with two materials of one name.
func FlowOf(st *provenance.Statement) (Flow, error) {
	var materials []provenance.ResourceDescriptor
	var err error
	switch st.PredicateType() {
	case TypeSLSAProvenance:
		materials, err = flowSLSA(st.Predicate())
		err = wrap("SLSA provenance v1", err)
	case TypeLink:
		materials, err = flowLink(st.Predicate())
		if err == nil {
			err = uniqueNames("subject", st.Subjects())
		}
		err = wrap("link", err)
	case TypeLinkV02, TypeLinkV1:
		var l *Link
		if l, err = ParseLinkV02(st.Predicate()); err == nil {
			materials = l.Materials
			err = wrap("link v0.2", uniqueNames("subject", st.Subjects()))
		}
	case TypeSLSAProvenanceV02, TypeSLSAProvenanceV01, TypeInTotoProvenanceV01:
		var p *Provenance
		if p, err = ParseProvenance(st); err == nil {
			materials = p.BuildDefinition.ResolvedDependencies
		}
	case TypeWitnessCollection:
		var c *WitnessCollection
		if c, err = ParseWitnessCollection(st.Predicate()); err == nil {
			materials = c.Materials
		}
	default:
		return Flow{}, nil
	}
	if err != nil {
		return Flow{}, err
	}
	return Flow{Transformation: true, Materials: materials}, nil
}

// flowSLSA walks SLSA provenance v1 to buildDefinition.resolvedDependencies. On
// the way it checks the fields without which the rest means nothing.
func flowSLSA(data []byte) ([]provenance.ResourceDescriptor, error) {
	var dependencies []byte
	var buildType, builderID bool
	p := strictjson.NewParser(data, 0)
	// One closure for each level; null is an unset object.
	builder := func(name []byte) (err error) {
		switch string(name) {
		case "id":
			builderID, err = nonEmptyString(p)
			return err
		case "version", "builderDependencies":
			return p.Skip()
		}
		return p.Unknown(name, "id", "version", "builderDependencies")
	}
	runDetails := func(name []byte) error {
		switch string(name) {
		case "builder":
			return objectOrNull(p, builder)
		case "metadata", "byproducts":
			return p.Skip()
		}
		return p.Unknown(name, "builder", "metadata", "byproducts")
	}
	definition := func(name []byte) (err error) {
		switch string(name) {
		case "buildType":
			buildType, err = nonEmptyString(p)
			return err
		case "resolvedDependencies":
			dependencies, err = p.Raw()
			return err
		case "externalParameters", "internalParameters":
			return p.Skip()
		}
		return p.Unknown(name, "buildType", "externalParameters", "internalParameters", "resolvedDependencies")
	}
	err := p.Object(func(name []byte) error {
		switch string(name) {
		case "buildDefinition":
			return objectOrNull(p, definition)
		case "runDetails":
			return objectOrNull(p, runDetails)
		}
		return p.Unknown(name, "buildDefinition", "runDetails")
	})
	if err == nil {
		err = p.End()
	}
	switch {
	case err != nil:
		return nil, err
	case !buildType:
		return nil, bad("buildDefinition.buildType is required")
	case !builderID:
		return nil, bad("runDetails.builder.id is required")
	case dependencies == nil:
		return nil, nil
	}
	list, err := provenance.UnmarshalResourceDescriptors(dependencies)
	if err != nil {
		return nil, wrap("buildDefinition.resolvedDependencies", err)
	}
	return list, descriptors("buildDefinition.resolvedDependencies", list)
}

// flowLink walks link v0.3 to its materials.
func flowLink(data []byte) ([]provenance.ResourceDescriptor, error) {
	var materials []byte
	var named bool
	p := strictjson.NewParser(data, 0)
	err := p.Object(func(name []byte) (err error) {
		switch string(name) {
		case "name":
			named, err = nonEmptyString(p)
			return err
		case "materials":
			materials, err = p.Raw()
			return err
		case "command", "byproducts", "environment":
			return p.Skip()
		}
		return p.Unknown(name, "name", "command", "materials", "byproducts", "environment")
	})
	if err == nil {
		err = p.End()
	}
	switch {
	case err != nil:
		return nil, err
	case !named:
		return nil, bad("name is required")
	case materials == nil:
		return nil, nil
	}
	list, err := provenance.UnmarshalResourceDescriptors(materials)
	if err != nil {
		return nil, wrap("materials", err)
	}
	return list, namedDescriptors("materials", list)
}

func nonEmptyString(p *strictjson.Parser) (bool, error) {
	if p.Kind() == strictjson.Null {
		return false, p.Null()
	}
	b, err := p.StringBytes()
	return len(b) > 0, err
}

func objectOrNull(p *strictjson.Parser, member func([]byte) error) error {
	if p.Kind() == strictjson.Null {
		return p.Null()
	}
	return p.Object(member)
}

// timeFields says where a predicate keeps its times: names joined by dots. end is empty when there is one moment only.
type timeFields struct {
	start, end string
	// local: the format, or tools that write it, have times with an offset.
	local bool
}

func timeFieldsOf(predicateType string) (timeFields, bool) {
	switch predicateType {
	case TypeSLSAProvenance:
		return timeFields{start: "runDetails.metadata.startedOn", end: "runDetails.metadata.finishedOn"}, true
	case TypeSLSAProvenanceV02, TypeSLSAProvenanceV01, TypeInTotoProvenanceV01, TypeRuntimeTrace:
		return timeFields{start: "metadata.buildStartedOn", end: "metadata.buildFinishedOn"}, true
	case TypeVulns, TypeVulnsV01:
		return timeFields{start: "metadata.scanStartedOn", end: "metadata.scanFinishedOn"}, true
	case TypeCosignVuln:
		return timeFields{start: "metadata.scanStartedOn", end: "metadata.scanFinishedOn", local: true}, true
	case TypeVSA:
		return timeFields{start: "timeVerified"}, true
	case TypeVSAV02:
		return timeFields{start: "time_verified"}, true
	case TypeSVR, TypeSVRV01:
		return timeFields{start: "timeCreated"}, true
	case TypeOpenVEX, TypeOpenVEXV020:
		return timeFields{start: "timestamp", local: true}, true
	case TypeSourceProvenance, TypeSourceProvenanceDraft, TypeTagProvenance, TypeTagProvenanceDraft:
		return timeFields{start: "created_on"}, true
	case "https://hallmark.build/attestation/inventory/v1": // verify.InventoryType
		return timeFields{start: "createdOn"}, true
	}
	switch {
	case isSPDX2(predicateType):
		return timeFields{start: "creationInfo.created"}, true
	case isCycloneDX(predicateType):
		return timeFields{start: "metadata.timestamp", local: true}, true
	}
	return timeFields{}, false
}

// ClaimedTimes returns when the statement says that what it is about began and
// ended; zero where it does not say. For what happens in one moment (a
// verification) both are the same. Whoever signed the statement chose these
// times: compare trusted times, of a timestamp authority or a log, where it
// matters.
func ClaimedTimes(st *provenance.Statement) (start, end time.Time, err error) {
	if st.PredicateType() == TypeWitnessCollection {
		return witnessTimes(st)
	}
	fields, ok := timeFieldsOf(st.PredicateType())
	if !ok {
		return time.Time{}, time.Time{}, nil
	}
	paths := []string{fields.start}
	if fields.end != "" {
		paths = append(paths, fields.end)
	}
	var found [2]Timestamp
	p := strictjson.NewParser(st.Predicate(), 0)
	if err = timesAt(p, paths, "", &found); err == nil {
		err = p.End()
	}
	if fields.end == "" {
		found[1] = found[0]
	}
	for i, path := range paths {
		if err == nil && !fields.local {
			err = found[i].utc(path)
		}
	}
	if err == nil {
		err = ordered(fields.start, found[0], fields.end, found[1])
	}
	if err != nil {
		return time.Time{}, time.Time{}, wrap("claimed times", err)
	}
	return found[0].UTC(), found[1].UTC(), nil
}

// timesAt walks the object at prefix and sets found[i] to the timestamp at paths[i].
func timesAt(p *strictjson.Parser, paths []string, prefix string, found *[2]Timestamp) error {
	var here []string
	for _, path := range paths {
		if rest, ok := strings.CutPrefix(path, prefix); ok {
			name, _, _ := strings.Cut(rest, ".")
			here = append(here, name)
		}
	}
	return objectOrNull(p, func(name []byte) error {
		if bytes.IndexByte(name, '.') >= 0 { // one name is not a path
			return p.Unknown(name, here...)
		}
		i := slices.Index(paths, prefix+string(name))
		switch {
		case i >= 0 && p.Kind() == strictjson.Null:
			return p.Null()
		case i >= 0:
			s, err := p.String()
			if err != nil {
				return err
			}
			found[i], err = parseTimestamp(s)
			return wrap(paths[i], err)
		case slices.Contains(here, string(name)):
			return timesAt(p, paths, prefix+string(name)+".", found)
		}
		return p.Unknown(name, here...)
	})
}

// witnessTimes returns the time that all attestations of a collection took together.
func witnessTimes(st *provenance.Statement) (start, end time.Time, err error) {
	c, err := ParseWitnessCollection(st.Predicate())
	if err != nil {
		return time.Time{}, time.Time{}, err
	}
	for _, a := range c.Attestations {
		if !a.StartTime.IsZero() && (start.IsZero() || a.StartTime.Before(start)) {
			start = a.StartTime.UTC()
		}
		if a.EndTime.After(end) {
			end = a.EndTime.UTC()
		}
	}
	return start, end, nil
}
