package sbom

import (
	"encoding/json"

	"github.com/hallmark-build/hallmark/internal/strictjson"
)

// Most of a document is components, packages and relationships. They are read
// here, by hand and once; [unmarshal] is for the rest. What is read was held to
// the rules of its format before, so values are of the kinds that these expect.

func readString(p *strictjson.Parser, to *string) error {
	s, err := p.String()
	*to = s
	return err
}

// readList reads an array; a list that is there and empty is not nil.
func readList[T any](p *strictjson.Parser, to *[]T, one func(p *strictjson.Parser, x *T) error) error {
	*to = []T{}
	return p.Array(func(int) error {
		var x T
		err := one(p, &x)
		*to = append(*to, x)
		return err
	})
}

// readFields reads an object of strings, and whatever else read, which may be
// nil, says that it has read.
func readFields(p *strictjson.Parser, field func(name []byte) *string, read func(name []byte) (bool, error)) error {
	return p.Object(func(name []byte) error {
		if s := field(name); s != nil {
			return readString(p, s)
		}
		if read != nil {
			if ok, err := read(name); ok || err != nil {
				return err
			}
		}
		return p.Skip()
	})
}

// readMembers reads an object as [readFields] does, and appends its members to
// list.
func readMembers(p *strictjson.Parser, list []member, field func(name []byte) *string, read func(name []byte) (bool, error)) ([]member, error) {
	err := p.Object(func(name []byte) error {
		p.Kind() // skips white space
		start := p.Offset()
		m := member{name: string(name)}
		var done bool
		var err error
		if s := field(name); s != nil {
			done, err = true, readString(p, s)
		} else {
			done, err = read(name)
		}
		if err == nil && !done {
			err = p.Skip()
		}
		m.raw = p.Since(start)
		list = append(list, m)
		return err
	})
	return list, err
}

func (n *cdxComponent) read(p *strictjson.Parser, list []member) ([]member, error) {
	return readMembers(p, list, func(name []byte) *string {
		switch string(name) {
		case "type":
			return &n.Type
		case "bom-ref":
			return &n.Ref
		case "group":
			return &n.Group
		case "name":
			return &n.Name
		case "version":
			return &n.Version
		case "scope":
			return &n.Scope
		case "copyright":
			return &n.Copyright
		case "cpe":
			return &n.CPE
		case "purl":
			return &n.PURL
		}
		return nil
	}, func(name []byte) (bool, error) {
		switch string(name) {
		case "supplier":
			n.Supplier = new(cdxEntity)
			return true, readEntity(p, n.Supplier)
		case "hashes":
			return true, readList(p, &n.Hashes, readHash)
		case "licenses":
			return true, readList(p, &n.Licenses, readLicenseChoice)
		case "externalReferences":
			return true, readList(p, &n.References, readReference)
		case "components":
			return true, readList(p, &n.Components, readRaw)
		case "properties":
			return true, readList(p, &n.Properties, readProperty)
		}
		return false, nil
	})
}

func readRaw(p *strictjson.Parser, raw *json.RawMessage) (err error) {
	*raw, err = p.Raw()
	return err
}

func readEntity(p *strictjson.Parser, e *cdxEntity) error {
	return readFields(p, func(name []byte) *string {
		if string(name) == "name" {
			return &e.Name
		}
		return nil
	}, func(name []byte) (bool, error) {
		switch string(name) {
		case "url":
			return true, readList(p, &e.URL, readString)
		case "contact":
			return true, readList(p, &e.Contact, readContact)
		}
		return false, nil
	})
}

func readContact(p *strictjson.Parser, c *cdxContact) error {
	return readFields(p, func(name []byte) *string {
		switch string(name) {
		case "name":
			return &c.Name
		case "email":
			return &c.Email
		}
		return nil
	}, nil)
}

func readHash(p *strictjson.Parser, h *cdxHash) error {
	return readFields(p, func(name []byte) *string {
		switch string(name) {
		case "alg":
			return &h.Alg
		case "content":
			return &h.Content
		}
		return nil
	}, nil)
}

func readLicenseChoice(p *strictjson.Parser, l *cdxLicense) error {
	return readFields(p, func(name []byte) *string {
		switch string(name) {
		case "expression":
			return &l.Expression
		case "acknowledgement":
			return &l.Acknowledgement
		}
		return nil
	}, func(name []byte) (bool, error) {
		if string(name) != "license" {
			return false, nil
		}
		l.License = new(cdxLicenseID)
		return true, readFields(p, func(name []byte) *string {
			switch string(name) {
			case "id":
				return &l.License.ID
			case "name":
				return &l.License.Name
			case "acknowledgement":
				return &l.License.Acknowledgement
			}
			return nil
		}, nil)
	})
}

func readReference(p *strictjson.Parser, r *cdxReference) error {
	return readFields(p, func(name []byte) *string {
		switch string(name) {
		case "url":
			return &r.URL
		case "type":
			return &r.Type
		}
		return nil
	}, func(name []byte) (bool, error) {
		if string(name) != "hashes" {
			return false, nil
		}
		return true, readList(p, &r.Hashes, readHash)
	})
}

func readProperty(p *strictjson.Parser, x *cdxProperty) error {
	return readFields(p, func(name []byte) *string {
		switch string(name) {
		case "name":
			return &x.Name
		case "value":
			return &x.Value
		}
		return nil
	}, nil)
}

func readDependency(p *strictjson.Parser, d *cdxDependency) error {
	return readFields(p, func(name []byte) *string {
		if string(name) == "ref" {
			return &d.Ref
		}
		return nil
	}, func(name []byte) (bool, error) {
		switch string(name) {
		case "dependsOn":
			return true, readList(p, &d.DependsOn, readString)
		case "provides":
			return true, readList(p, &d.Provides, readString)
		}
		return false, nil
	})
}

func (x *spdxPackage) read(p *strictjson.Parser, list []member) ([]member, error) {
	return readMembers(p, list, func(name []byte) *string {
		switch string(name) {
		case "SPDXID":
			return &x.ID
		case "name":
			return &x.Name
		case "versionInfo":
			return &x.Version
		case "supplier":
			return &x.Supplier
		case "downloadLocation":
			return &x.DownloadLocation
		case "licenseConcluded":
			return &x.Concluded
		case "licenseDeclared":
			return &x.Declared
		case "copyrightText":
			return &x.Copyright
		case "primaryPackagePurpose":
			return &x.Purpose
		}
		return nil
	}, func(name []byte) (bool, error) {
		switch string(name) {
		case "checksums":
			return true, readList(p, &x.Checksums, readChecksum)
		case "externalRefs":
			return true, readList(p, &x.External, readExternal)
		case "annotations":
			return true, readList(p, &x.Annotations, readAnnotation)
		}
		return false, nil
	})
}

func readChecksum(p *strictjson.Parser, c *spdxChecksum) error {
	return readFields(p, func(name []byte) *string {
		switch string(name) {
		case "algorithm":
			return &c.Algorithm
		case "checksumValue":
			return &c.Value
		}
		return nil
	}, nil)
}

func readExternal(p *strictjson.Parser, x *spdxExternal) error {
	return readFields(p, func(name []byte) *string {
		switch string(name) {
		case "referenceCategory":
			return &x.Category
		case "referenceType":
			return &x.Type
		case "referenceLocator":
			return &x.Locator
		case "comment":
			return &x.Comment
		}
		return nil
	}, nil)
}

func readAnnotation(p *strictjson.Parser, a *spdxAnnotation) error {
	return readFields(p, func(name []byte) *string {
		switch string(name) {
		case "annotationDate":
			return &a.Date
		case "annotationType":
			return &a.Type
		case "annotator":
			return &a.Annotator
		case "comment":
			return &a.Comment
		}
		return nil
	}, nil)
}

func readRelationship(p *strictjson.Parser, r *spdxRelationship) error {
	return readFields(p, func(name []byte) *string {
		switch string(name) {
		case "spdxElementId":
			return &r.From
		case "relationshipType":
			return &r.Type
		case "relatedSpdxElement":
			return &r.To
		}
		return nil
	}, nil)
}
