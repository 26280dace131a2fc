package intoto

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/internal/strictjson"
	"github.com/hallmark-build/hallmark/provenance"
	"github.com/hallmark-build/hallmark/provenance/layout"
	"github.com/hallmark-build/hallmark/provenance/predicate"
	"github.com/hallmark-build/hallmark/verify"
)

// Options are what [Verify] can be told beside what it judges. Only At is
// required; the zero value of everything else is the strict choice.
type Options struct {
	// At is the instant of judgement: the layout must not have expired, and
	// certificates must be valid then.
	At time.Time
	// Parameters are values for "{NAME}" in rules and commands of the layout.
	// Sublayouts get none.
	Parameters map[string]string
	// Executor runs inspections. When it is nil a layout with inspections is refused:
	// their commands come from the layout, and a functionary can add some.
	Executor Executor
	// Intermediates are certificates, in PEM, on the way from functionaries'
	// certificates to the roots of the layout.
	Intermediates [][]byte
	// DenyUnmatched refuses artifacts that no rule consumed. By in-toto's
	// rules they are allowed; there is a note for each list of them.
	DenyUnmatched bool
	// Conditions compiles the attribute rules of ITE-11 layouts, see
	// package verify/cel. When it is nil a layout with such rules is refused.
	Conditions verify.ConditionCompiler
	// UnsignedLayoutUnsafe accepts an ITE-10 layout that is bare YAML, which
	// nobody has signed. Whoever can change the file decides.
	UnsignedLayoutUnsafe bool
}

// An Executor runs the inspections of layouts. Whoever implements it decides
// what may run, and in what confinement.
type Executor interface {
	// Inspect runs one inspection and returns the files before and after it by
	// name, and the command's exit code. An error means that it could not be
	// run or looked at; it ends the verification and is returned by Verify.
	Inspect(ctx context.Context, i Inspection) (*Inspected, error)
}

// An Inspection is a command of a layout.
type Inspection struct {
	Sublayout []string // the steps that lead to the layout; empty for the outermost
	Name      string
	Run       []string // the command, with parameters in place
}

// Inspected is what an inspection has done.
type Inspected struct {
	Materials, Products map[string]provenance.DigestSet
	ExitCode            int // anything but 0 fails the verification
}

// A Summary says why a product passed. Only [Verify] makes one.
type Summary struct {
	// Digest is the SHA-256 of the layout's bytes, those that are signed.
	Digest  provenance.Digest
	Expires time.Time
	// Materials of the first step and Products of the last are what went in
	// and what came out.
	Materials, Products Artifacts
	Steps               []StepSummary // in the order of the layout
	Inspections         []string
	Notes               []Note

	command    []string
	byproducts map[string]any
}

// A StepSummary is one step of a product that passed.
type StepSummary struct {
	Name          string
	Functionaries []string // who did it, in words; those that counted
	Threshold     int
	Materials     Artifacts
	Products      Artifacts
	Sublayouts    []*Summary // of functionaries that delegated the step
}

// Link returns the summary as a classic link called name: the materials of the
// first step and the products, by-products and command of the last.
func (s *Summary) Link(name string) *predicate.ClassicLink {
	l := &predicate.ClassicLink{
		Type: predicate.ClassicLinkType, Name: name, Command: append([]string{}, s.command...),
		Materials:   maps.Clone(s.Materials),
		Products:    maps.Clone(s.Products),
		Byproducts:  maps.Clone(s.byproducts),
		Environment: map[string]any{},
	}
	if l.Byproducts == nil {
		l.Byproducts = map[string]any{}
	}
	return l
}

// Verify judges a product by a layout and the evidence in links.
//
// layoutDocument is a classic layout, as Metablock or DSSE envelope, or an
// ITE-10 layout in an envelope of type [LayoutPayloadType]. Every one of keys,
// of which there must be one at least, must have signed it. links holds the links of the steps,
// "<step>.<first 8 digits of the key id>.link", and in directories
// "<step>.<first 8 digits>" those of sublayouts; for an ITE-10 layout all
// files "*.json" are attestations. Symbolic links in it are passed over.
//
// err == nil means that the product passed. A refusal is a [*RefusedError]; any
// other error means that it could not be judged: no keys, no instant, or a
// file that could not be read. Nothing is run unless Options has an Executor.
func Verify(ctx context.Context, layoutDocument []byte, keys []layout.Key, links fs.FS, o Options) (*Summary, error) {
	if o.At.IsZero() {
		return nil, errors.New("intoto.Verify: the instant of judgement is not set")
	}
	if links == nil {
		return nil, errors.New("intoto.Verify: no links are given")
	}
	v := &verifier{ctx: ctx, options: o, budget: newBudget()}
	s, err := v.verify(layoutDocument, keys, links)
	var refused *RefusedError
	if errors.As(err, &refused) {
		refused.Notes = v.notes
		return nil, refused
	}
	if err != nil {
		return nil, err
	}
	s.Notes = v.notes
	return s, nil
}

type verifier struct {
	ctx     context.Context
	options Options
	budget  *budget
	notes   []Note
}

func (v *verifier) note(step, format string, args ...any) {
	switch len(v.notes) {
	case limits.EvidenceNotes:
		return
	case limits.EvidenceNotes - 1:
		step, format, args = "", "there is more to note", nil
	}
	v.notes = append(v.notes, Note{step, fmt.Sprintf(format, args...)})
}

func (v *verifier) verify(data []byte, keys []layout.Key, links fs.FS) (*Summary, error) {
	owners := make([]*functionary, len(keys))
	for i, k := range keys {
		f, err := newFunctionary(k)
		if err != nil {
			return nil, fmt.Errorf("layout key %d: %w", i+1, err)
		}
		owners[i] = f
	}
	if len(data) > 2*limits.Layout {
		return nil, refuse(ReasonLimit, "a layout of %d bytes exceeds the limit of %d", len(data), 2*limits.Layout)
	}
	d, err := readDocument(data)
	var je *strictjson.Error
	if errors.As(err, &je) && !startsWithBrace(data) {
		return v.verifyUnsigned(data, owners, links)
	}
	if err != nil {
		return nil, refuse(ReasonLayout, "%v", err)
	}
	// in-toto specification v1.0, section 5.2 (1): every key given must have
	// signed; with none given, nobody has.
	if len(owners) == 0 {
		return nil, errors.New("intoto.Verify: no layout keys are given: nobody could have signed the layout")
	}
	if d.typ == LayoutPayloadType {
		if err := v.signedByAll(d, owners); err != nil {
			return nil, err
		}
		return v.verifyAttestations(d.body, links)
	}
	return v.verifyLayout(d, owners, links, &level{parameters: v.options.Parameters})
}

func startsWithBrace(data []byte) bool {
	return strings.HasPrefix(strings.TrimLeft(string(data[:min(len(data), 1024)]), " \t\r\n"), "{")
}

func (v *verifier) signedByAll(d *document, owners []*functionary) error {
	for _, f := range owners {
		ok, err := d.signedBy(f, v.budget)
		if err != nil {
			return err
		}
		if !ok {
			return refuse(ReasonLayoutSignature, "the layout has no signature by %s", f)
		}
	}
	return nil
}

// A level is where a layout stands among sublayouts.
type level struct {
	path       []string        // the steps that lead here
	names      map[string]bool // of steps and inspections of the layouts above
	parameters map[string]string
}

func (l *level) refuse(r Reason, step, format string, args ...any) *RefusedError {
	e := refuse(r, format, args...)
	e.Sublayout, e.Step = l.path, step
	return e
}

// at says where a refusal that does not say so happened.
func (l *level) at(step string, err error) error {
	var e *RefusedError
	if errors.As(err, &e) && e.Step == "" && e.Sublayout == nil {
		e.Step, e.Sublayout = step, l.path
	}
	return err
}

// verifyLayout walks through in-toto specification v1.0, section 5.2, in its order.
func (v *verifier) verifyLayout(d *document, owners []*functionary, links fs.FS, at *level) (*Summary, error) {
	if d.typ != layout.Type {
		return nil, at.refuse(ReasonLayout, "", "want a layout, found a document of type %s", clip(d.typ))
	}
	// 1. Signatures.
	if err := v.signedByAll(d, owners); err != nil {
		return nil, at.at("", err)
	}
	l, err := layout.Parse(d.body)
	if err != nil {
		return nil, at.refuse(ReasonLayout, "", "%v", err)
	}
	// 2. Expiry. A layout that expires now has expired, as in the reference.
	expires, _ := l.ExpiresAt()
	if !v.options.At.Before(expires) {
		return nil, at.refuse(ReasonExpired, "", "the layout expired at %s", l.Expires)
	}
	names := maps.Clone(at.names)
	if names == nil {
		names = map[string]bool{}
	}
	for _, name := range itemNames(l) {
		if names[name] {
			return nil, at.refuse(ReasonSublayout, "", "%s is the name of a step or inspection of a layout above too", clip(name))
		}
		names[name] = true
	}
	// 3. Parameters.
	plan, err := v.plan(l, at)
	if err != nil {
		return nil, at.at("", err)
	}
	if len(l.Inspect) > 0 && v.options.Executor == nil {
		return nil, at.refuse(ReasonInspection, l.Inspect[0].Name,
			"the inspection wants to run %s, and nothing that a layout says is run without an executor", clip(strings.Join(plan.inspections[0].run, " ")))
	}
	// 4. to 6. Links, their signatures and thresholds, and sublayouts.
	keys, err := functionaries(l.Keys, func(format string, args ...any) { v.note(strings.Join(at.path, "/"), format, args...) })
	if err != nil {
		return nil, at.at("", err)
	}
	cas, err := readAuthorities(l, v.options.Intermediates)
	if err != nil {
		return nil, at.at("", err)
	}
	files, err := v.listLinks(links, l)
	if err != nil {
		return nil, at.at("", err)
	}
	summary := &Summary{Digest: digestOf(d.body), Expires: expires}
	records := make(map[string]*record, len(l.Steps)+len(l.Inspect))
	for i := range l.Steps {
		s := &l.Steps[i]
		done, err := v.gather(s, plan.steps[i], keys, cas, links, files[s.Name], &level{path: at.path, names: names})
		if err != nil {
			return nil, at.at(s.Name, err)
		}
		records[s.Name] = &record{materials: done.Materials, products: done.Products}
		summary.Steps = append(summary.Steps, done.StepSummary)
		if i == len(l.Steps)-1 {
			summary.command, summary.byproducts = done.command, done.byproducts
		}
	}
	summary.Materials = summary.Steps[0].Materials
	summary.Products = summary.Steps[len(l.Steps)-1].Products
	// 9. Artifact rules of all steps, before anything is run.
	for i := range l.Steps {
		if err := v.applyRules(l.Steps[i].Name, &plan.steps[i], records, at); err != nil {
			return nil, err
		}
	}
	// 10. and 11. Inspections, and their rules once all have run.
	for i := range plan.inspections {
		name := l.Inspect[i].Name
		r, err := v.inspect(name, plan.inspections[i].run, at)
		if err != nil {
			return nil, at.at(name, err)
		}
		records[name] = r
		summary.Inspections = append(summary.Inspections, name)
	}
	for i := range plan.inspections {
		if err := v.applyRules(l.Inspect[i].Name, &plan.inspections[i], records, at); err != nil {
			return nil, err
		}
	}
	return summary, nil
}

func digestOf(b []byte) provenance.Digest {
	return sha256Digest(b)
}

func itemNames(l *layout.Layout) []string {
	var names []string
	for i := range l.Steps {
		names = append(names, l.Steps[i].Name)
	}
	for i := range l.Inspect {
		names = append(names, l.Inspect[i].Name)
	}
	return names
}

// A plan is a layout with its parameters in place.
type plan struct{ steps, inspections []plannedItem }

type plannedItem struct {
	materials, products []*pattern
	run                 []string // the expected command of a step
}

func (v *verifier) plan(l *layout.Layout, at *level) (*plan, error) {
	p, err := newParameters(at.parameters)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, name := range itemNames(l) {
		known[name] = true
	}
	item := func(name string, materials, products []layout.Rule, run []string) (out plannedItem, err error) {
		if out.materials, err = p.rules(materials); err == nil {
			if out.products, err = p.rules(products); err == nil {
				out.run, err = p.words(run)
			}
		}
		for _, r := range slices.Concat(out.materials, out.products) {
			if r.rule.Verb == layout.Match && !known[r.rule.From] {
				v.note(where(at.path, name), "rule %s: there is no step or inspection %s, so the rule consumes nothing", clip(r.rule.String()), clip(r.rule.From))
			}
		}
		return out, at.at(name, err)
	}
	out := new(plan)
	for i := range l.Steps {
		s := &l.Steps[i]
		planned, err := item(s.Name, s.ExpectedMaterials, s.ExpectedProducts, s.ExpectedCommand)
		if err != nil {
			return nil, err
		}
		out.steps = append(out.steps, planned)
	}
	for i := range l.Inspect {
		n := &l.Inspect[i]
		planned, err := item(n.Name, n.ExpectedMaterials, n.ExpectedProducts, n.Run)
		if err != nil {
			return nil, err
		}
		out.inspections = append(out.inspections, planned)
	}
	for _, name := range p.unused() {
		v.note("", "the layout has no parameter %s", clip(name))
	}
	return out, nil
}

// applyRules applies the rules of one step or inspection to its record.
func (v *verifier) applyRules(name string, item *plannedItem, records map[string]*record, at *level) error {
	run := &ruleRun{budget: v.budget, same: sameDigests, own: records[name], steps: records}
	return v.applyLists(run, name, item, at)
}

func (v *verifier) applyLists(run *ruleRun, name string, item *plannedItem, at *level) error {
	for _, list := range []struct {
		which string
		rules []*pattern
	}{{layout.Materials, item.materials}, {layout.Products, item.products}} {
		if err := v.ctx.Err(); err != nil {
			return context.Cause(v.ctx)
		}
		left, consumed, failure, err := run.apply(list.rules, list.which)
		if err != nil {
			return at.at(name, err)
		}
		if failure != nil {
			e := at.refuse(ReasonRule, name, "%s", failure.msg)
			e.Rule, e.Artifact = failure.rule.String(), failure.artifact
			e.Want, e.Got, e.From = failure.want, failure.got, failure.from
			return e
		}
		for i, r := range list.rules {
			if r.rule.Verb == layout.Match && consumed[i] == 0 && len(run.own.list(list.which)) > 0 {
				v.note(where(at.path, name), "rule %s matched nothing", clip(r.rule.String()))
			}
		}
		if len(left) == 0 {
			continue
		}
		if v.options.DenyUnmatched {
			e := at.refuse(ReasonUnmatched, name, "no rule for the %s consumes it", strings.ToLower(list.which))
			e.Artifact = left[0]
			return e
		}
		v.note(where(at.path, name), "no rule speaks of %d of the %s, such as %s; they are allowed", len(left), strings.ToLower(list.which), clip(left[0]))
	}
	return nil
}

func (v *verifier) inspect(name string, run []string, at *level) (*record, error) {
	if err := v.ctx.Err(); err != nil {
		return nil, context.Cause(v.ctx)
	}
	out, err := v.options.Executor.Inspect(v.ctx, Inspection{slices.Clone(at.path), name, slices.Clone(run)})
	if err != nil {
		return nil, fmt.Errorf("inspection %s: %w", clip(name), err)
	}
	if out == nil {
		return nil, fmt.Errorf("inspection %s: the executor returned no result", clip(name))
	}
	if out.ExitCode != 0 {
		return nil, at.refuse(ReasonInspectionRun, name, "the command %s exited with %d", clip(strings.Join(run, " ")), out.ExitCode)
	}
	r := new(record)
	if r.materials, err = cleanArtifacts(out.Materials); err == nil {
		r.products, err = cleanArtifacts(out.Products)
	}
	if err != nil {
		return nil, at.refuse(ReasonInspectionRun, name, "%v", err)
	}
	return r, nil
}
