//go:build ignore

// Gen writes rules.txt from the JSON schemas that the formats' authors
// publish: what they assert, without their prose, each definition once for all
// the versions that have it.
//
//	go run gen.go DIR > rules.txt
//
// DIR holds cyclonedx/schema (bom-1.4.schema.json to bom-1.7.schema.json,
// jsf-0.82.schema.json, cryptography-defs.schema.json) and
// spdx/schema/2.3/spdx-schema.json and spdx/schema/3.0.1/spdx-schema.json.
//
// SPDX 3 has classes: an object is what its type says. Their schema says so with
// alternatives, one a class, and inheritance; here it is one keyword, "classes",
// which has the rule of each class that may stand there, and the strings that
// may stand for one, where any identifier may.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Keywords that assert nothing that is checked here. additionalItems asserts
// nothing beside an items that is one schema.
var prose = []string{"title", "description", "examples", "$comment", "deprecated", "meta:enum", "$id", "$schema", "default",
	"additionalItems", "definitions", "contentEncoding"}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: gen DIR")
	}
	type line struct {
		versions []string
		name     string
		text     string
	}
	var lines []*line
	add := func(version, name string, schema any) {
		var buf bytes.Buffer
		enc := json.NewEncoder(&buf)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(schema); err != nil {
			log.Fatal(err)
		}
		text := strings.TrimSpace(buf.String())
		for _, l := range lines {
			if l.name == name && l.text == text {
				l.versions = append(l.versions, version)
				return
			}
		}
		lines = append(lines, &line{[]string{version}, name, text})
	}
	file := func(version, prefix, path string) {
		schema := load(filepath.Join(os.Args[1], path))
		defs, _ := schema["definitions"].(map[string]any)
		for name, d := range defs {
			add(version, prefix+name, strip(d, prefix, false))
		}
		if prefix == "" {
			add(version, "", strip(schema, prefix, false))
		}
	}
	for _, v := range []string{"1.4", "1.5", "1.6", "1.7"} {
		file("cyclonedx-"+v, "", "cyclonedx/schema/bom-"+v+".schema.json")
		file("cyclonedx-"+v, "jsf:", "cyclonedx/schema/jsf-0.82.schema.json")
	}
	file("cyclonedx-1.7", "crypto:", "cyclonedx/schema/cryptography-defs.schema.json")
	file("spdx-2.3", "", "spdx/schema/2.3/spdx-schema.json")
	spdx3(load(filepath.Join(os.Args[1], "spdx/schema/3.0.1/spdx-schema.json")), func(name string, schema any) { add("spdx-3.0.1", name, schema) })

	slices.SortFunc(lines, func(a, b *line) int {
		if c := strings.Compare(a.name, b.name); c != 0 {
			return c
		}
		return strings.Compare(a.versions[0], b.versions[0])
	})
	fmt.Println("# Written by gen.go from the JSON schemas of CycloneDX (Apache-2.0, OWASP Foundation) and SPDX (CC-BY-3.0, Linux Foundation).")
	fmt.Println("# versions, name of the definition (empty is the document), what it asserts")
	for _, l := range lines {
		fmt.Printf("%s\t%s\t%s\n", strings.Join(l.versions, " "), l.name, l.text)
	}
}

func load(path string) map[string]any {
	data, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(data, &m); err != nil {
		log.Fatalf("%s: %v", path, err)
	}
	return m
}

func strip(v any, prefix string, names bool) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = strip(v[i], prefix, false)
		}
	case map[string]any:
		if ref, ok := v["$ref"].(string); ok && !names {
			return map[string]any{"$ref": rename(ref, prefix)} // draft 7: what is beside a $ref is ignored
		}
		for k, x := range v {
			if !names && slices.Contains(prose, k) {
				delete(v, k)
				continue
			}
			if list, ok := x.([]any); ok && k == "items" && !names {
				if len(list) != 1 || v["maxItems"] != 1.0 {
					log.Fatal("a list of items is understood only where there is one")
				}
				x = list[0]
			}
			if x == true && k == "else" && !names {
				delete(v, k)
				continue
			}
			v[k] = strip(x, prefix, k == "properties" && !names)
		}
	}
	return v
}

func rename(ref, prefix string) string {
	for _, r := range [][2]string{
		{"#/definitions/", prefix}, {"jsf-0.82.schema.json#/definitions/", "jsf:"}, {"cryptography-defs.schema.json#/definitions/", "crypto:"},
	} {
		if name, ok := strings.CutPrefix(ref, r[0]); ok {
			return r[1] + name
		}
	}
	if ref == "spdx.schema.json" {
		return "licence" // an identifier of the SPDX licence list, which is not copied here
	}
	log.Fatalf("unknown reference %q", ref)
	return ""
}

const identifier = "^(?s:.+:.+)$"

// spdx3 adds the rules of SPDX 3.
func spdx3(schema map[string]any, add func(name string, schema any)) {
	defs := schema["$defs"].(map[string]any)
	get := func(ref string) (string, map[string]any) {
		name := strings.TrimPrefix(ref, "#/$defs/")
		d, ok := defs[name].(map[string]any)
		if !ok {
			log.Fatalf("unknown reference %q", ref)
		}
		return name, d
	}
	type object = map[string]any
	// gather adds what a class and those it inherits from assert to one rule.
	var gather func(d object, into object)
	gather = func(d object, into object) {
		if ref, ok := d["$ref"].(string); ok {
			if name, base := get(ref); name != "SHACLClass" {
				gather(base, into)
			}
			return
		}
		list, _ := d["allOf"].([]any)
		for _, x := range list {
			gather(x.(object), into)
		}
		props, _ := d["properties"].(object)
		for name, x := range props {
			into["properties"].(object)[name] = simple(x)
		}
		required, _ := d["required"].([]any)
		into["required"] = append(into["required"].([]any), required...)
	}
	items := schema["oneOf"].([]any)[0].(object)["properties"].(object)["@graph"].(object)["items"].(object)
	add("", object{"type": "object", "required": []string{"@context", "@graph"}, "additionalProperties": false, "properties": object{
		"@context": schema["properties"].(object)["@context"],
		"@graph":   object{"type": "array", "items": object{"$ref": strings.TrimPrefix(items["$ref"].(string), "#/$defs/")}},
	}})
	for name, x := range defs {
		d := x.(object)
		switch {
		case strings.HasPrefix(name, "prop_"):
			add(name, simple(d))
		case name == "IRI":
			add(name, object{"type": "string", "pattern": "^(?s:[^_].*:.+|_[^:].*:.+)$"})
		case name == "BlankNodeOrIRI":
			add(name, object{"type": "string", "pattern": identifier})
		case name == "anyURI":
			add(name, d)
		case name == "BlankNode", name == "SHACLClass", name == "extension_Extension", strings.HasSuffix(name, "_props"):
		case strings.HasSuffix(name, "_derived"), name == "AnyClass":
			classes := object{}
			strs := []string{}
			var visit func(list []any)
			visit = func(list []any) {
				for _, x := range list {
					x := x.(object)
					if inner, ok := x["anyOf"].([]any); ok {
						visit(inner)
					} else if c, ok := x["const"].(string); ok {
						strs = append(strs, c)
					} else if ref, ok := x["$ref"].(string); ok && ref != "#/$defs/BlankNodeOrIRI" {
						class := strings.TrimPrefix(ref, "#/$defs/")
						if class == "extension_Extension" || class == "extension_Extension_props" {
							classes[""] = "" // of any other type
						} else {
							classes[class] = class
						}
					}
				}
			}
			visit(d["anyOf"].([]any))
			if name == "AnyClass" {
				add(name, object{"classes": classes})
			} else {
				add(name, object{"classes": classes, "strings": strs})
			}
		case d["allOf"] != nil:
			into := object{"type": "object", "properties": object{}, "required": []any{"type"}, "additionalProperties": false}
			gather(d, into)
			add(name, into)
		default:
			log.Fatalf("what is %q?", name)
		}
	}
}

// simple removes alternatives that are one, and shortens references.
func simple(v any) any {
	m, ok := v.(map[string]any)
	if !ok {
		return v
	}
	if list, ok := m["oneOf"].([]any); ok && len(list) == 1 {
		return simple(list[0])
	}
	out := map[string]any{}
	for k, x := range m {
		switch k {
		case "$ref":
			x = strings.TrimPrefix(x.(string), "#/$defs/")
		case "items":
			x = simple(x)
		}
		out[k] = x
	}
	return out
}
