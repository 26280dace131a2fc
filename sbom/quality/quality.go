// Package quality judges a bill of materials by the fields that guidelines ask
// for, and scores it.
//
//	report, err := quality.Check(g, quality.BSI21, quality.Options{Spec: "CycloneDX 1.6"})
//	err = report.Err() // which fields are missing, component by component
//	score, err := quality.ScoreOf(g)
//
// A field counts as there when it has a value. What is not there is a finding,
// with the reason that the bill itself gives ([sbom.Gap]), or "absent" when it
// gives none. Guidelines that accept a stated unknown (FSCT, CISA) turn the
// former into warnings; a silent absence never passes.
//
// Components that were used and are not shipped (scope excluded: a compiler)
// are not judged.
//
// # What a score means
//
// [ScoreOf] counts the fields that sbomqs counts, of 10, and differs from it in
// what it calls good. Nothing is given for a value that says nothing, and what
// cannot be read off a bill is not scored at all but listed, with the reason:
// whether it is signed, whether the CPE dictionary has an entry, whether a
// licence is one that somebody dislikes. [Score.Overall] takes everything that
// is missing for missing. [Score.Knowable] leaves out what the bill says it
// could not know, for reasons that no builder could mend ([Unknowable]), and
// lists it; so a document cannot be perfect by silence.
package quality

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hallmark-build/hallmark/internal/spdxlicense"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/sbom"
	"github.com/hallmark-build/hallmark/sbom/gate"
	"github.com/hallmark-build/hallmark/sbom/purl"
)

// A Profile is a guideline.
type Profile string

// The profiles.
const (
	// NTIA2021 is "The Minimum Elements For a Software Bill of Materials",
	// NTIA, July 2021, section IV, data fields.
	NTIA2021 Profile = "ntia-2021"

	// CISA2025 is the public draft "2025 Minimum Elements for a Software Bill
	// of Materials", CISA, August 2025. A stated unknown passes with a warning.
	CISA2025 Profile = "cisa-2025-draft"

	// BSI21 is the technical guideline BSI TR-03183-2, version 2.1.0, section
	// 5.2. What it wants "if it exists" is a note where it is missing.
	BSI21 Profile = "bsi-tr-03183-2-v2.1"

	// The maturity levels of "Framing Software Component Transparency", third
	// edition, 2024, section 2.2. A stated unknown passes with a warning.
	FSCTMinimum      Profile = "fsct-3-minimum"
	FSCTRecommended  Profile = "fsct-3-recommended"
	FSCTAspirational Profile = "fsct-3-aspirational"
)

// Profiles returns all profiles.
func Profiles() []Profile {
	return []Profile{NTIA2021, CISA2025, BSI21, FSCTMinimum, FSCTRecommended, FSCTAspirational}
}

// Options says what a profile wants to know and a graph does not hold.
type Options struct {
	// Spec is the format of the document that the graph is or will be written
	// in, as [sbom.Format.String] names it or without the encoding: "CycloneDX
	// 1.6 JSON", "SPDX 2.3". BSI21 allows CycloneDX from 1.6 and SPDX
	// from 3.0.1 on; with "" it finds that nobody said.
	Spec string
}

// ReasonAbsent is the reason of a finding about a field that is missing and
// that the bill does not note as unknown.
const ReasonAbsent = "absent"

// Check judges a graph by a profile. An error means that nothing was judged:
// the profile is not known, or the graph has no components.
func Check(g *sbom.Graph, p Profile, o Options) (*gate.Report, error) {
	rules, ok := profiles[p]
	if !ok {
		return nil, fmt.Errorf("quality: want one of the profiles %q, found %.40q", Profiles(), string(p))
	}
	v, err := look(g)
	if err != nil {
		return nil, err
	}
	r := gate.New("quality/"+string(p), g)
	r.Judged = len(v.shipped)
	v.spec = o.Spec
	for i := range rules {
		rule := &rules[i]
		r.Checks = append(r.Checks, rule.name)
		switch rule.of {
		case document:
			if !rule.there(v, nil) {
				r.Add(nil, v.finding(rule, nil))
			}
		default:
			for _, c := range v.shipped {
				if rule.of == primary && c != v.root || rule.of == direct && c != v.root && !v.direct[c.ID] {
					continue
				}
				if !rule.there(v, c) {
					r.Add(c, v.finding(rule, c))
				}
			}
		}
	}
	r.Sort()
	return r, nil
}

// view is a graph, looked at once.
type view struct {
	g       *sbom.Graph
	spec    string
	root    *sbom.Component
	shipped []*sbom.Component
	reached map[string]bool // from the root
	direct  map[string]bool // one step from the root
	gaps    map[gapKey]sbom.Gap
}

type gapKey struct {
	component string
	field     sbom.Field
}

func look(g *sbom.Graph) (*view, error) {
	if g == nil || g.Root() == nil {
		return nil, fmt.Errorf("quality: the bill has no components")
	}
	v := &view{g: g, root: g.Root(), direct: map[string]bool{}, gaps: map[gapKey]sbom.Gap{}}
	for _, c := range g.Components() {
		if c.Scope != sbom.Excluded || c == v.root {
			v.shipped = append(v.shipped, c)
		}
	}
	next := map[string][]string{}
	for _, r := range g.Relationships() {
		if r.Kind != sbom.BuiltWith {
			next[r.From] = append(next[r.From], r.To)
		}
	}
	v.reached = map[string]bool{v.root.ID: true}
	for queue := []string{v.root.ID}; len(queue) > 0; queue = queue[1:] {
		for _, to := range next[queue[0]] {
			if queue[0] == v.root.ID {
				v.direct[to] = true
			}
			if !v.reached[to] {
				v.reached[to] = true
				queue = append(queue, to)
			}
		}
	}
	for _, gap := range g.Unknowns() { // sorted, so the first reason is always the same
		k := gapKey{gap.Component, gap.Field}
		if _, ok := v.gaps[k]; !ok {
			v.gaps[k] = gap
		}
	}
	return v, nil
}

// gap returns what the bill says about not knowing a field of a component, or
// of all components.
func (v *view) gap(c *sbom.Component, fields ...sbom.Field) (sbom.Gap, bool) {
	id := ""
	if c != nil {
		id = c.ID
	}
	for _, id := range []string{id, ""} {
		for _, f := range fields {
			if gap, ok := v.gaps[gapKey{id, f}]; ok {
				return gap, true
			}
		}
	}
	return sbom.Gap{}, false
}

func (v *view) finding(rule *rule, c *sbom.Component) gate.Finding {
	f := gate.Finding{Rule: rule.name, Level: gate.Error, Reason: ReasonAbsent, Message: rule.missing}
	if rule.level != "" {
		f.Level = rule.level
	}
	if gap, ok := v.gap(c, rule.fields...); ok {
		f.Reason = gap.Reason
		f.Message += "; the bill notes it as unknown: " + gap.Reason
		if gap.Detail != "" {
			f.Message += " (" + gap.Detail + ")"
		}
		if rule.unknown && f.Level == gate.Error {
			f.Level = gate.Warning
		}
	}
	return f
}

// of says what a rule is about.
type of int

const (
	all      of = iota // every component that is shipped
	document           // the document as a whole
	primary            // the root
	direct             // the root and what it depends on directly
)

// A rule is one field that a guideline asks for.
type rule struct {
	name    string
	of      of
	there   func(*view, *sbom.Component) bool
	missing string
	fields  []sbom.Field // what the bill notes when it does not know
	unknown bool         // a stated unknown will do, with a warning
	level   gate.Level   // of what is missing; "" is Error
}

func (r rule) acceptUnknown() rule        { r.unknown = true; return r }
func (r rule) about(o of) rule            { r.of = o; return r }
func (r rule) named(n string) rule        { r.name = n; return r }
func (r rule) only(l gate.Level) rule     { r.level = l; return r }
func (p Profile) String() string          { return string(p) }
func fields(f ...sbom.Field) []sbom.Field { return f }

// The fields, by whichever guideline.
var (
	author = rule{name: "author", of: document, missing: "nobody is named as the author of the bill",
		there: func(v *view, _ *sbom.Component) bool {
			return slices.ContainsFunc(creators(v), func(p sbom.Party) bool { return p.Name != "" || p.Email != "" })
		}}
	creator = rule{name: "sbom-creator", of: document, missing: "no e-mail address or URL of who created the bill",
		there: func(v *view, _ *sbom.Component) bool { return slices.ContainsFunc(creators(v), contactable) }}
	timestamp = rule{name: "timestamp", of: document, missing: "the bill does not say when it was made",
		there: func(v *view, _ *sbom.Component) bool { return !v.g.Creation.Created.IsZero() }}
	tool = rule{name: "tool", of: document, missing: "the bill does not say which tool made it",
		there: func(v *view, _ *sbom.Component) bool { return v.g.Creation.Tool.Name != "" }}
	toolVersion = rule{name: "tool-version", of: document, missing: "the bill does not say which version of a tool made it",
		there: func(v *view, _ *sbom.Component) bool {
			return v.g.Creation.Tool.Name != "" && v.g.Creation.Tool.Version != ""
		}}
	context = rule{name: "generation-context", of: document, missing: "the bill does not say in which phase of the lifecycle it was made",
		there: func(v *view, _ *sbom.Component) bool { return v.g.Creation.Phase != "" }}
	formatBSI = rule{name: "format", of: document, missing: "want CycloneDX from 1.6 or SPDX from 3.0.1 on (TR-03183-2, section 4)",
		there: func(v *view, _ *sbom.Component) bool { return allowedByBSI(v.spec) }}
	primaryComponent = rule{name: "primary-component", of: document, missing: "the component that the bill is about has no name",
		there: func(v *view, _ *sbom.Component) bool { return said(v.root.Name) }}

	name = rule{name: "name", missing: "no name", fields: fields(sbom.FieldIdentity),
		there: func(_ *view, c *sbom.Component) bool { return said(c.Name) }}
	version = rule{name: "version", missing: "no version", fields: fields(sbom.FieldVersion, sbom.FieldIdentity),
		there: func(_ *view, c *sbom.Component) bool { return said(c.Version) }}
	supplier = rule{name: "supplier", missing: "no supplier", fields: fields(sbom.FieldSupplier),
		there: func(_ *view, c *sbom.Component) bool { return said(c.Supplier.Name) }}
	supplierContact = rule{name: "component-creator", missing: "no e-mail address or URL of the component's creator", fields: fields(sbom.FieldSupplier),
		there: func(_ *view, c *sbom.Component) bool { return contactable(c.Supplier) }}
	identifier = rule{name: "identifier", missing: "no package URL, CPE or strong digest to identify it by", fields: fields(sbom.FieldIdentity),
		there: func(_ *view, c *sbom.Component) bool { return hasPURL(c) || len(c.CPEs) > 0 || strong(c) }}
	packageURL = rule{name: "purl", missing: "no package URL", fields: fields(sbom.FieldIdentity),
		there: func(_ *view, c *sbom.Component) bool { return hasPURL(c) }}
	relationship = rule{name: "relationship", missing: "nothing says how it relates to the primary component",
		fields: fields(sbom.FieldDependencies),
		there:  func(v *view, c *sbom.Component) bool { return v.reached[c.ID] }}
	completeness = rule{name: "completeness", missing: "nothing says whether its dependencies are all listed",
		fields: fields(sbom.FieldDependencies, sbom.FieldComponents),
		there: func(v *view, c *sbom.Component) bool {
			_, noted := v.gap(c, sbom.FieldDependencies, sbom.FieldComponents)
			return c.Dependencies != sbom.Unknown || noted
		}}
	allDependencies = rule{name: "dependencies", missing: "its dependencies are not known to be all listed",
		fields: fields(sbom.FieldDependencies, sbom.FieldComponents),
		there: func(v *view, c *sbom.Component) bool {
			gap, noted := v.gap(c, sbom.FieldDependencies, sbom.FieldComponents)
			return c.Dependencies == sbom.Complete && !(noted && (gap.Component == c.ID || c == v.root))
		}}
	hash = rule{name: "hash", missing: "no digest under a strong algorithm", fields: fields(sbom.FieldDigests),
		there: func(_ *view, c *sbom.Component) bool { return strong(c) }}
	hash512 = rule{name: "sha512", missing: "no SHA-512 of the component as it is distributed", fields: fields(sbom.FieldDigests),
		there: func(_ *view, c *sbom.Component) bool {
			if !c.Digests.Get(provenance.SHA512).IsZero() {
				return true
			}
			return slices.ContainsFunc(c.References, func(r sbom.Reference) bool {
				return r.Kind == "distribution" && !r.Digests.Get(provenance.SHA512).IsZero()
			})
		}}
	licence = rule{name: "licence", missing: "no licence", fields: fields(sbom.FieldConcluded, sbom.FieldDeclared),
		there: func(_ *view, c *sbom.Component) bool { return known(c.Concluded) || known(c.Declared) }}
	validLicence = rule{name: "valid-licence", missing: "no licence that is an SPDX expression", fields: fields(sbom.FieldConcluded, sbom.FieldDeclared),
		there: func(_ *view, c *sbom.Component) bool { return valid(c.Concluded) || valid(c.Declared) }}
	concluded = rule{name: "concluded-licence", missing: "no concluded licence", fields: fields(sbom.FieldConcluded),
		there: func(_ *view, c *sbom.Component) bool { return known(c.Concluded) }}
	declared = rule{name: "declared-licence", missing: "no declared licence", fields: fields(sbom.FieldDeclared),
		there: func(_ *view, c *sbom.Component) bool { return known(c.Declared) }}
	copyright = rule{name: "copyright", missing: "no copyright notice", fields: fields(sbom.FieldCopyright),
		there: func(_ *view, c *sbom.Component) bool { return slices.ContainsFunc(c.Copyright, said) }}
	source = rule{name: "source-uri", missing: "nothing says where its source code is", fields: fields(sbom.FieldReferences),
		there: func(_ *view, c *sbom.Component) bool { return refers(c, "vcs", "source-distribution") }}
	origin = rule{name: "origin", missing: "nothing says where it or its source code can be had", fields: fields(sbom.FieldReferences),
		there: func(_ *view, c *sbom.Component) bool {
			return refers(c, "vcs", "source-distribution", "distribution")
		}}
	deployable = rule{name: "deployable-uri", missing: "nothing says where it can be had in the form in which it is deployed", fields: fields(sbom.FieldReferences),
		there: func(_ *view, c *sbom.Component) bool { return refers(c, "distribution") }}
)

// TR-03183-2 5.2.2: these stand in properties that the BSI has registered.
func bsi(property, missing string) rule {
	return rule{name: property, missing: missing, fields: fields(sbom.FieldDigests),
		there: func(_ *view, c *sbom.Component) bool {
			return slices.ContainsFunc(c.Properties, func(p sbom.Property) bool {
				return p.Name == "bsi:component:"+property && said(p.Value)
			})
		}}
}

var profiles = func() map[Profile][]rule {
	m := map[Profile][]rule{
		NTIA2021: {author, timestamp, name, version, supplier, identifier, relationship},
		CISA2025: {author, timestamp, tool, context, name, version.acceptUnknown(), supplier.acceptUnknown().named("producer"),
			identifier, hash.acceptUnknown(), licence.acceptUnknown(), relationship, completeness},
		BSI21: {creator, timestamp, formatBSI, name, version, supplierContact, bsi("filename", "no file name (bsi:component:filename)"),
			relationship, completeness, concluded.named("distribution-licence"), hash512,
			bsi("executable", "not said whether it is executable (bsi:component:executable)"),
			bsi("archive", "not said whether it is an archive (bsi:component:archive)"),
			bsi("structured", "not said whether it is structured (bsi:component:structured)"),
			source.only(gate.Note), deployable.only(gate.Note), packageURL.only(gate.Note).named("other-identifiers"),
			declared.only(gate.Note).named("original-licence")},
		FSCTMinimum: {author, timestamp, primaryComponent, name, version.acceptUnknown(), supplier.acceptUnknown(), identifier,
			hash.acceptUnknown(), relationship, completeness.about(direct), licence.about(primary).acceptUnknown(),
			copyright.about(primary).acceptUnknown()},
	}
	m[FSCTRecommended] = append(slices.Clone(m[FSCTMinimum]), context.named("type"), toolVersion,
		completeness.named("completeness-of-all"),
		licence.only(gate.Warning).named("licence-of-all"), copyright.only(gate.Warning).named("copyright-of-all"))
	m[FSCTAspirational] = append(slices.Clone(m[FSCTMinimum]), context.named("type"), toolVersion,
		allDependencies.named("dependencies-of-all"), concluded.named("licence-of-all"), copyright.named("copyright-of-all"))
	return m
}()

func creators(v *view) []sbom.Party {
	return append(slices.Clone(v.g.Creation.Authors), v.g.Creation.Manufacturer)
}

func contactable(p sbom.Party) bool { return said(p.Email) || said(p.URL) }

// said reports whether a value says something: what tools write for "I do not
// know" is no value.
func said(s string) bool {
	switch strings.ToUpper(strings.TrimSpace(s)) {
	case "", "NOASSERTION", "NONE", "UNKNOWN", "N/A":
		return false
	}
	return true
}

func known(l sbom.License) bool { return said(l.Expression) || said(l.Name) }

func valid(l sbom.License) bool {
	_, err := spdxlicense.Normalize(l.Expression)
	return said(l.Expression) && err == nil
}

func strong(c *sbom.Component) bool {
	return slices.ContainsFunc(c.Digests, func(d provenance.Digest) bool { return d.Algorithm().Strong() })
}

func hasPURL(c *sbom.Component) bool {
	_, err := purl.Parse(c.PURL)
	return err == nil
}

func refers(c *sbom.Component, kinds ...string) bool {
	return slices.ContainsFunc(c.References, func(r sbom.Reference) bool { return slices.Contains(kinds, r.Kind) && r.URL != "" })
}

// allowedByBSI compares the version of a format: "CycloneDX 1.6".
func allowedByBSI(spec string) bool {
	words := append(strings.Split(spec, " "), "", "")
	name, version := words[0], words[1]
	var least [3]int
	switch name {
	case "CycloneDX":
		least = [3]int{1, 6, 0}
	case "SPDX":
		least = [3]int{3, 0, 1}
	default:
		return false
	}
	var have [3]int
	parts := strings.Split(version, ".")
	if len(parts) > 3 {
		return false
	}
	for i, p := range parts {
		if len(p) == 0 || len(p) > 4 {
			return false
		}
		for _, d := range p {
			if d < '0' || d > '9' {
				return false
			}
			have[i] = 10*have[i] + int(d-'0')
		}
	}
	return slices.Compare(have[:], least[:]) >= 0
}
