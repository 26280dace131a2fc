package ingest

import (
	"bytes"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/hallmark-build/hallmark/internal/limits"
	"github.com/hallmark-build/hallmark/provenance"
)

// Kubernetes reads the images that Kubernetes manifests name: YAML, any number
// of documents, or JSON. Every text field "image", at any depth, is one, and so is
// the "reference" of an image volume; so custom resources are read
// like deployments. ConfigMaps and Secrets of Kubernetes itself, whose fields
// are data, are passed over.
//
// An image with a digest is resolved: its name is the reference as it was
// written, its URI a package URL of type oci. An image by its tag alone is
// unresolved.
//
// Refused: a document without apiVersion and kind, a template that was not
// rendered, aliases, anchors, tags and merge keys of YAML, a name twice in one mapping, and
// a file without documents.
//
// Stated as the materials of a deployment, a condition is
//
//	materials.all(m, m.digest.sha256 != "")
func Kubernetes(r io.Reader) (*Inputs, error) {
	in, err := kubernetes(r)
	return in, wrap("Kubernetes", err)
}

func kubernetes(r io.Reader) (in *Inputs, err error) {
	data, err := readAll(r, limits.ToolSource)
	if err != nil {
		return nil, err
	}
	if !utf8.Valid(data) {
		return nil, malformed("not UTF-8")
	}
	// Every node but one needs one of these characters, so this bounds what
	// the parser allocates before it does.
	marks := 0
	for _, c := range data {
		switch c {
		case '\n', ',', ':', '-', '?', '[', '{':
			marks++
		}
	}
	if marks > 2*limits.ToolNodes {
		return nil, fail(provenance.ReasonLimit, "more than %d values", limits.ToolNodes)
	}
	// The parser is not ours: should it panic, the file is refused.
	defer func() {
		if x := recover(); x != nil {
			in, err = nil, malformed("not YAML that can be read: %v", x)
		}
	}()
	var k kubernetesReader
	dec := yaml.NewDecoder(bytes.NewReader(data))
	documents := 0
	for {
		var doc yaml.Node
		if err := dec.Decode(&doc); err == io.EOF {
			break
		} else if err != nil {
			return nil, malformed("not YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
		}
		if len(doc.Content) != 1 || doc.Content[0].Tag == "!!null" {
			continue // only comments
		}
		documents++
		if err := k.object(doc.Content[0], 0); err != nil {
			return nil, err
		}
	}
	if documents == 0 {
		return nil, fail(ReasonNothingRun, "there is no document")
	}
	return k.done(), nil
}

type kubernetesReader struct {
	inputs
	nodes int
}

// fields returns a mapping's fields, strictly.
func (k *kubernetesReader) fields(y *yaml.Node) (map[string]*yaml.Node, error) {
	m := make(map[string]*yaml.Node, len(y.Content)/2)
	for i := 0; i+1 < len(y.Content); i += 2 {
		key := y.Content[i]
		if err := k.node(key); err != nil {
			return nil, err
		}
		if key.Kind != yaml.ScalarNode {
			return nil, malformed("line %d: want a name before ':'", key.Line)
		}
		if key.Tag == "!!merge" {
			return nil, malformed("line %d: merge keys (<<) are not read", key.Line)
		}
		if m[key.Value] != nil {
			return nil, malformed("line %d: the name %s is here twice", key.Line, clip(key.Value))
		}
		m[key.Value] = y.Content[i+1]
	}
	return m, nil
}

// node checks what all nodes must be.
func (k *kubernetesReader) node(y *yaml.Node) error {
	switch k.nodes++; {
	case k.nodes > limits.ToolNodes:
		return fail(provenance.ReasonLimit, "more than %d values", limits.ToolNodes)
	case y.Kind == yaml.AliasNode || y.Anchor != "":
		return malformed("line %d: aliases and anchors are not read; write the value out", y.Line)
	case y.Style&yaml.TaggedStyle != 0:
		return malformed("line %d: tags (!name) are not read", y.Line)
	}
	return nil
}

// object reads one document, or an item of a List.
func (k *kubernetesReader) object(y *yaml.Node, depth int) error {
	if err := k.node(y); err != nil {
		return err
	}
	if y.Kind != yaml.MappingNode {
		return malformed("line %d: want an object of Kubernetes", y.Line)
	}
	fields, err := k.fields(y)
	if err != nil {
		return err
	}
	kind := scalar(fields["kind"])
	if kind == "" || scalar(fields["apiVersion"]) == "" {
		return malformed("line %d: want an object with apiVersion and kind", y.Line)
	}
	where := kind
	if meta := fields["metadata"]; meta != nil && meta.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(meta.Content); i += 2 {
			if name := scalar(meta.Content[i+1]); meta.Content[i].Value == "name" && name != "" {
				where += " " + name
			}
		}
	}
	// Names of kinds are anybody's to give, within a group of their own.
	core := scalar(fields["apiVersion"]) == "v1"
	switch items := fields["items"]; {
	case strings.HasSuffix(kind, "List") && items != nil && items.Kind == yaml.SequenceNode && depth < limits.ToolNesting && k.objects(items):
		for _, item := range items.Content {
			if err := k.object(item, depth+1); err != nil {
				return err
			}
		}
		// Then what is beside the items.
		rest := *y
		rest.Content = nil
		for i := 0; i+1 < len(y.Content); i += 2 {
			if y.Content[i].Value != "items" {
				rest.Content = append(rest.Content, y.Content[i], y.Content[i+1])
			}
		}
		y = &rest
	case core && (kind == "ConfigMap" || kind == "Secret"):
		// Still nothing that readers disagree about.
		return k.walk(y, nil, func(*yaml.Node, *path) error { return nil })
	}
	return k.walk(y, nil, func(y *yaml.Node, at *path) error {
		image := at.name == "image" || at.name == "reference" && at.up != nil && at.up.name == "image"
		if !image || y.Kind != yaml.ScalarNode || y.Tag == "!!null" {
			return nil
		}
		if y.Tag != "!!str" {
			return malformed("line %d: image: want text", y.Line)
		}
		place := where + ": " + at.String()
		if len(place) > limits.ToolName {
			return fail(provenance.ReasonLimit, "line %d: the path to an image has more than %d bytes", y.Line, limits.ToolName)
		}
		return k.image(y.Value, place)
	})
}

// objects reports whether all items of a list are objects of Kubernetes.
func (k *kubernetesReader) objects(items *yaml.Node) bool {
	if k.node(items) != nil {
		return false // which is found again, and reported
	}
	for _, item := range items.Content {
		has := map[string]bool{}
		for i := 0; item.Kind == yaml.MappingNode && i+1 < len(item.Content); i += 2 {
			has[item.Content[i].Value] = true
		}
		if !has["apiVersion"] || !has["kind"] {
			return false
		}
	}
	return true
}

func scalar(y *yaml.Node) string {
	if y == nil || y.Kind != yaml.ScalarNode || y.Tag != "!!str" {
		return ""
	}
	return y.Value
}

// path says how to get to a node.
type path struct {
	up    *path
	name  string
	index int
	depth int
}

func (p *path) String() string {
	var parts []string
	for ; p != nil; p = p.up {
		part := "." + p.name
		if p.name == "" {
			part = "[" + strconv.Itoa(p.index) + "]"
		}
		parts = append(parts, part)
	}
	var b strings.Builder
	for i := len(parts) - 1; i >= 0; i-- {
		b.WriteString(parts[i])
	}
	return strings.TrimPrefix(b.String(), ".")
}

// walk calls visit for every value of a mapping at any depth.
func (k *kubernetesReader) walk(y *yaml.Node, at *path, visit func(*yaml.Node, *path) error) error {
	if err := k.node(y); err != nil {
		return err
	}
	depth := 1
	if at != nil {
		if depth = at.depth + 1; depth > limits.JSONDepth {
			return fail(provenance.ReasonLimit, "line %d: nested deeper than %d", y.Line, limits.JSONDepth)
		}
		if at.name != "" {
			if err := visit(y, at); err != nil {
				return err
			}
		}
	}
	switch y.Kind {
	case yaml.MappingNode:
		fields, err := k.fields(y)
		if err != nil {
			return err
		}
		for i := 0; i+1 < len(y.Content); i += 2 {
			name := y.Content[i].Value
			if err := k.walk(fields[name], &path{at, name, 0, depth}, visit); err != nil {
				return err
			}
		}
	case yaml.SequenceNode:
		for i, c := range y.Content {
			if err := k.walk(c, &path{at, "", i, depth}, visit); err != nil {
				return err
			}
		}
	}
	return nil
}
