//go:build ignore

// Gen writes rules.txt from the XML schemas that the authors of CycloneDX
// publish: what they assert, without their prose, each type once for all the
// versions that have it.
//
//	go run gen.go DIR > rules.txt
//
// DIR holds bom-1.4.xsd to bom-1.7.xsd, as in the folder schema of module
// github.com/CycloneDX/cyclonedx-go. The content of an element becomes a regular
// expression over the names of what is inside.
package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

type node struct {
	XMLName xml.Name
	Attrs   []xml.Attr `xml:",any,attr"`
	Kids    []node     `xml:",any"`
}

func (n node) attr(name string) string {
	for _, a := range n.Attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

type attribute struct {
	Type     string `json:"type,omitempty"`
	Required bool   `json:"required,omitempty"`
}

type rule struct {
	Content  string               `json:"content,omitempty"`
	Kids     map[string]string    `json:"kids,omitempty"`
	Attrs    map[string]attribute `json:"attrs,omitempty"`
	AnyAttrs string               `json:"anyAttrs,omitempty"`
	Text     string               `json:"text,omitempty"`

	Base      string   `json:"base,omitempty"`
	Union     []string `json:"union,omitempty"`
	Enum      []string `json:"enum,omitempty"`
	Patterns  []string `json:"patterns,omitempty"`
	MinLength string   `json:"minLength,omitempty"`
	MaxLength string   `json:"maxLength,omitempty"`
	Min       string   `json:"min,omitempty"`
	Max       string   `json:"max,omitempty"`
}

type generator struct {
	groups map[string]node
	rules  map[string]*rule
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: gen DIR")
	}
	type line struct {
		versions   []string
		name, text string
	}
	var lines []*line
	for _, v := range []string{"1.4", "1.5", "1.6", "1.7"} {
		data, err := os.ReadFile(filepath.Join(os.Args[1], "bom-"+v+".xsd"))
		if err != nil {
			log.Fatal(err)
		}
		var schema node
		if err := xml.Unmarshal(data, &schema); err != nil {
			log.Fatal(err)
		}
		g := &generator{make(map[string]node), make(map[string]*rule)}
		for _, k := range schema.Kids {
			if k.XMLName.Local == "attributeGroup" {
				g.groups[k.attr("name")] = k
			}
		}
		for _, k := range schema.Kids {
			switch k.XMLName.Local {
			case "complexType":
				g.complex(k.attr("name"), k)
			case "simpleType":
				g.simple(k.attr("name"), k)
			case "element":
				g.element("", k)
			}
		}
		for name, r := range g.rules {
			var buf bytes.Buffer
			enc := json.NewEncoder(&buf)
			enc.SetEscapeHTML(false)
			if err := enc.Encode(r); err != nil {
				log.Fatal(err)
			}
			text := strings.TrimSpace(buf.String())
			i := slices.IndexFunc(lines, func(l *line) bool { return l.name == name && l.text == text })
			if i < 0 {
				lines = append(lines, &line{[]string{v}, name, text})
			} else {
				lines[i].versions = append(lines[i].versions, v)
			}
		}
	}
	slices.SortFunc(lines, func(a, b *line) int {
		if c := strings.Compare(a.name, b.name); c != 0 {
			return c
		}
		return strings.Compare(a.versions[0], b.versions[0])
	})
	fmt.Println("# Written by gen.go from the XML schemas of CycloneDX (Apache-2.0, OWASP Foundation).")
	fmt.Println("# versions, name of the type, what it asserts")
	for _, l := range lines {
		fmt.Printf("%s\t%s\t%s\n", strings.Join(l.versions, " "), l.name, l.text)
	}
}

func local(name string) string {
	if strings.HasPrefix(name, "xs:") || strings.HasPrefix(name, "spdx:") {
		return name
	}
	return strings.TrimPrefix(name, "bom:")
}

// element returns the type of an element.
func (g *generator) element(in string, n node) string {
	if t := n.attr("type"); t != "" {
		return local(t)
	}
	name := strings.TrimPrefix(in+"/"+n.attr("name"), "/")
	if in == "" {
		name = "/" + n.attr("name") // the document
	}
	for _, k := range n.Kids {
		switch k.XMLName.Local {
		case "complexType":
			g.complex(name, k)
			return name
		case "simpleType":
			g.simple(name, k)
			return name
		}
	}
	return "xs:anyType"
}

func (g *generator) complex(name string, n node) {
	r := &rule{Kids: make(map[string]string), Attrs: make(map[string]attribute)}
	g.rules[name] = r
	g.body(name, r, n)
}

func (g *generator) body(name string, r *rule, n node) {
	for _, k := range n.Kids {
		switch k.XMLName.Local {
		case "annotation", "assert":
		case "sequence", "choice":
			r.Content = g.particle(name, r, k)
		case "simpleContent":
			ext := k.Kids[len(k.Kids)-1]
			if ext.XMLName.Local != "extension" {
				log.Fatalf("%s: %s in simpleContent", name, ext.XMLName.Local)
			}
			r.Text = local(ext.attr("base"))
			g.body(name, r, ext)
		case "attribute":
			t := local(k.attr("type"))
			if t == "" {
				t = name + "/@" + k.attr("name")
				for _, x := range k.Kids {
					if x.XMLName.Local == "simpleType" {
						g.simple(t, x)
					}
				}
				if g.rules[t] == nil {
					t = "xs:string"
				}
			}
			r.Attrs[k.attr("name")] = attribute{t, k.attr("use") == "required"}
		case "attributeGroup":
			g.body(name, r, g.groups[local(k.attr("ref"))])
		case "anyAttribute":
			r.AnyAttrs = strings.TrimPrefix(k.attr("namespace"), "##")
		default:
			log.Fatalf("%s: what is %s?", name, k.XMLName.Local)
		}
	}
}

func (g *generator) particle(in string, r *rule, n node) string {
	var s string
	switch n.XMLName.Local {
	case "element":
		name := n.attr("name")
		t := g.element(in, n)
		if old, ok := r.Kids[name]; ok && old != t {
			log.Fatalf("%s: %s is %s and %s", in, name, old, t)
		}
		r.Kids[name] = t
		s = name + ";"
	case "any":
		s = `\*;`
	case "sequence", "choice":
		var parts []string
		for _, k := range n.Kids {
			if k.XMLName.Local != "annotation" {
				parts = append(parts, g.particle(in, r, k))
			}
		}
		sep := ""
		if n.XMLName.Local == "choice" {
			sep = "|"
		}
		s = strings.Join(parts, sep)
	default:
		log.Fatalf("%s: what is %s?", in, n.XMLName.Local)
	}
	occurs := ""
	switch from, to := n.attr("minOccurs"), n.attr("maxOccurs"); {
	case (from == "" || from == "1") && (to == "" || to == "1"):
	case from == "0" && (to == "" || to == "1"):
		occurs = "?"
	case from == "0" && to == "unbounded":
		occurs = "*"
	case (from == "" || from == "1") && to == "unbounded":
		occurs = "+"
	default:
		log.Fatalf("%s: from %q to %q", in, from, to)
	}
	return "(?:" + s + ")" + occurs
}

func (g *generator) simple(name string, n node) {
	r := &rule{}
	g.rules[name] = r
	for _, k := range n.Kids {
		switch k.XMLName.Local {
		case "annotation":
		case "union":
			for t := range strings.FieldsSeq(k.attr("memberTypes")) {
				r.Union = append(r.Union, local(t))
			}
			for i, x := range k.Kids {
				if x.XMLName.Local == "simpleType" {
					t := fmt.Sprintf("%s/%d", name, i)
					g.simple(t, x)
					r.Union = append(r.Union, t)
				}
			}
		case "restriction":
			r.Base = local(k.attr("base"))
			for _, f := range k.Kids {
				v := f.attr("value")
				switch f.XMLName.Local {
				case "annotation":
				case "enumeration":
					r.Enum = append(r.Enum, v)
				case "pattern":
					r.Patterns = append(r.Patterns, v)
				case "minLength":
					r.MinLength = v
				case "maxLength":
					r.MaxLength = v
				case "minInclusive":
					r.Min = v
				case "maxInclusive":
					r.Max = v
				default:
					log.Fatalf("%s: what is %s?", name, f.XMLName.Local)
				}
			}
		default:
			log.Fatalf("%s: what is %s?", name, k.XMLName.Local)
		}
	}
}
