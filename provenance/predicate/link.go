package predicate

import (
	"maps"
	"slices"

	"github.com/hallmark-build/hallmark/internal/strictjson"
	"github.com/hallmark-build/hallmark/provenance"
)

// Link is the run of one step, predicate type [TypeLink] (in-toto attestation,
// spec/predicates/link.md, version 0.3). Its products are the subjects of the
// statement.
type Link struct {
	Name    string   `json:"name"` // of the step; required
	Command []string `json:"command"`
	// Materials need a name, unique among them, and a digest.
	Materials   []provenance.ResourceDescriptor `json:"materials,omitempty"`
	Byproducts  map[string]any                  `json:"byproducts,omitempty"`  // classic links have stdout, stderr and return-value
	Environment map[string]any                  `json:"environment,omitempty"` // classic links have variables, filesystem and workdir
}

// Validate checks name and materials.
func (l *Link) Validate() error {
	if err := missing("name", l.Name); err != nil {
		return wrap("link", err)
	}
	return wrap("link", namedDescriptors("materials", l.Materials))
}

// namedDescriptors checks that each descriptor has a name of its own and a
// digest (link.md, materials).
func namedDescriptors(field string, list []provenance.ResourceDescriptor) error {
	for i, r := range list {
		if r.Name == "" || len(r.Digest) == 0 {
			return bad("%s[%d] (%s): want a name and a digest", field, i, clip(r.Label()))
		}
	}
	return uniqueNames(field, list)
}

func uniqueNames(field string, list []provenance.ResourceDescriptor) error {
	if len(list) < 2 {
		return nil
	}
	seen := make(map[string]struct{}, len(list))
	for i, r := range list {
		if _, dup := seen[r.Name]; dup {
			return bad("%s[%d]: a second %s", field, i, clip(r.Name))
		}
		seen[r.Name] = struct{}{}
	}
	return nil
}

// Statement validates the link and states it about the subjects, the products of the step, whose
// names must be unique (link.md, Fields).
func (l *Link) Statement(subjects []provenance.ResourceDescriptor) (*provenance.Statement, error) {
	if err := uniqueNames("subject", subjects); err != nil {
		return nil, wrap("link", err)
	}
	v := *l
	if v.Command == nil {
		v.Command = []string{} // "while the field is required, it may be empty"
	}
	return statement(&v, subjects, TypeLink)
}

// ParseLink reads a predicate of type [TypeLink].
func ParseLink(predicate []byte) (*Link, error) {
	return parse[Link]("link", predicate)
}

// ParseLinkV02 reads a predicate of type [TypeLinkV02] or [TypeLinkV1], whose materials are a map,
// into a Link with its materials in the order of their names.
func ParseLinkV02(predicate []byte) (*Link, error) {
	var v struct {
		Name        string                          `json:"name"`
		Command     words                           `json:"command"`
		Materials   map[string]provenance.DigestSet `json:"materials"`
		Byproducts  map[string]any                  `json:"byproducts"`
		Environment map[string]any                  `json:"environment"`
	}
	if err := decode(predicate, &v); err != nil {
		return nil, wrap("link v0.2", err)
	}
	l := &Link{v.Name, v.Command, fromMap(v.Materials), v.Byproducts, v.Environment}
	if err := l.Validate(); err != nil {
		return nil, err
	}
	return l, nil
}

// words is a list of strings that version 0.2 of link also had as one string.
type words []string

func (w *words) UnmarshalJSON(data []byte) error {
	*w = nil
	p := strictjson.NewParser(data, 0)
	switch p.Kind() {
	case strictjson.Null:
		return p.Null()
	case strictjson.String:
		s, err := p.String()
		if s != "" {
			*w = words{s}
		}
		return err
	}
	return p.Array(func(int) error {
		s, err := p.String()
		*w = append(*w, s)
		return err
	})
}

// fromMap turns the artifacts of a classic link into descriptors, in the order of their names.
func fromMap(m map[string]provenance.DigestSet) []provenance.ResourceDescriptor {
	if len(m) == 0 {
		return nil
	}
	list := make([]provenance.ResourceDescriptor, 0, len(m))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		list = append(list, provenance.ResourceDescriptor{Name: name, Digest: m[name]})
	}
	return list
}

// ClassicLink is the link of in-toto before attestations (in-toto
// specification v1.0, section 4.4): what stands in the "signed" of a Metablock,
// or is the payload of a DSSE envelope.
type ClassicLink struct {
	Type        string                          `json:"_type"` // "link"
	Name        string                          `json:"name"`
	Command     []string                        `json:"command"`
	Materials   map[string]provenance.DigestSet `json:"materials"`
	Products    map[string]provenance.DigestSet `json:"products"`
	Byproducts  map[string]any                  `json:"byproducts"`
	Environment map[string]any                  `json:"environment"`
}

// ClassicLinkType is the _type of a [ClassicLink].
const ClassicLinkType = "link"

// Validate checks the type, the name and that every artifact has a digest.
func (c *ClassicLink) Validate() error {
	if c.Type != ClassicLinkType {
		return bad(`classic link: _type: want "link", found %s`, clip(c.Type))
	}
	if c.Name == "" {
		return bad("classic link: name is required")
	}
	for _, group := range []struct {
		field string
		m     map[string]provenance.DigestSet
	}{{"materials", c.Materials}, {"products", c.Products}} {
		if err := namedDescriptors(group.field, fromMap(group.m)); err != nil {
			return wrap("classic link", err)
		}
	}
	return nil
}

// ParseClassicLink reads a classic link. Whatever surrounds it, a Metablock or an
// envelope, is the caller's to have verified.
func ParseClassicLink(signed []byte) (*ClassicLink, error) {
	return parse[ClassicLink]("classic link", signed)
}

// Link converts the classic link to a Link and its subjects, both in the order of their names.
func (c *ClassicLink) Link() (link *Link, subjects []provenance.ResourceDescriptor, err error) {
	if err := c.Validate(); err != nil {
		return nil, nil, err
	}
	return &Link{c.Name, c.Command, fromMap(c.Materials), c.Byproducts, c.Environment}, fromMap(c.Products), nil
}

// Classic converts the link and the subjects of its statement to a classic
// link (link.md, Converting to old-style links). What a classic link has no
// place for, such as the URI of a material, is left out.
func (l *Link) Classic(subjects []provenance.ResourceDescriptor) (*ClassicLink, error) {
	if err := l.Validate(); err != nil {
		return nil, err
	}
	if err := namedDescriptors("subject", subjects); err != nil {
		return nil, wrap("link", err)
	}
	c := &ClassicLink{Type: ClassicLinkType, Name: l.Name, Command: l.Command,
		Materials: toMap(l.Materials), Products: toMap(subjects), Byproducts: l.Byproducts, Environment: l.Environment}
	// Readers of classic links want every field to be there.
	if c.Command == nil {
		c.Command = []string{}
	}
	if c.Byproducts == nil {
		c.Byproducts = map[string]any{}
	}
	if c.Environment == nil {
		c.Environment = map[string]any{}
	}
	return c, nil
}

func toMap(list []provenance.ResourceDescriptor) map[string]provenance.DigestSet {
	m := make(map[string]provenance.DigestSet, len(list))
	for _, r := range list {
		m[r.Name] = r.Digest
	}
	return m
}
