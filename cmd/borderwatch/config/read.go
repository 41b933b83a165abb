package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxFile is the largest configuration file.
const maxFile = 1 << 20

// reader turns YAML into typed values by the schema. It collects the place of every value and every problem.
type reader struct {
	name     string // the file, or the variable or flag where positions say nothing
	places   map[string]string
	problems *Problems
}

// place is where a node is: file:line:column, or only the variable or flag.
func (r *reader) place(n *yaml.Node) string {
	if strings.HasPrefix(r.name, EnvPrefix) || strings.HasPrefix(r.name, "--") {
		return r.name
	}
	return fmt.Sprintf("%s:%d:%d", r.name, n.Line, n.Column)
}

// readFile reads a YAML file into nested maps of typed values.
func readFile(name string, places map[string]string, problems *Problems) map[string]any {
	r := &reader{name, places, problems}
	data, err := limitedRead(name)
	if err != nil {
		problems.add("", "configuration file: %v", err)
		return nil
	}
	var doc yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(data))
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return nil
	} else if err != nil {
		problems.add(name, "%s", strings.TrimPrefix(err.Error(), "yaml: "))
		return nil
	}
	var second yaml.Node
	if err := dec.Decode(&second); !errors.Is(err, io.EOF) {
		problems.add(r.place(&second), "more than one YAML document")
	}
	return r.section(schema, "", doc.Content[0])
}

func limitedRead(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("%s: larger than %v", name, Bytes(maxFile))
	}
	return data, nil
}

// section reads the keys of a section. path is where it is in the configuration, with the index of a list's member.
func (r *reader) section(k *key, path string, n *yaml.Node) map[string]any {
	n = resolve(n)
	if isNull(n) {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		r.problems.add(r.place(n), "%s must be a section of keys, not %s", orTop(path), kind(n))
		return nil
	}
	values := make(map[string]any)
	seen := make(map[string]int)
	for i := 0; i+1 < len(n.Content); i += 2 {
		name := n.Content[i]
		if line := seen[name.Value]; line > 0 {
			r.problems.add(r.place(name), "%s is given twice, first in line %d", join(path, name.Value), line)
			continue
		}
		seen[name.Value] = name.Line
		child := k.child(name.Value)
		if child == nil {
			wrong := join(path, name.Value)
			r.problems.unknown(r.place(name), "key", wrong, nearest(wrong, Keys()))
			continue
		}
		if v := r.value(child, join(path, child.name), n.Content[i+1]); v != nil {
			values[child.name] = v
		}
	}
	return values
}

// value reads one key's value; nil where it is absent or wrong.
func (r *reader) value(k *key, path string, n *yaml.Node) any {
	n = resolve(n)
	if !k.section() {
		r.places[path] = r.place(n)
	}
	switch {
	case isNull(n):
		return nil
	case k.section():
		return mapOrNil(r.section(k, path, n))
	case k.list():
		return r.sections(k, path, n)
	case k.typ == listType:
		return r.strings(path, n)
	case n.Kind != yaml.ScalarNode:
		r.problems.add(r.place(n), "%s must be one value, not %s", path, kind(n))
		return nil
	}
	v, err := parseScalar(k.typ, n.Value)
	if err != nil {
		r.problems.add(r.place(n), "%s: %v", path, err)
		return nil
	}
	return v
}

func (r *reader) sections(k *key, path string, n *yaml.Node) any {
	if n.Kind != yaml.SequenceNode {
		r.problems.add(r.place(n), "%s must be a list, not %s", path, kind(n))
		return nil
	}
	maps.DeleteFunc(r.places, func(p, _ string) bool { return strings.HasPrefix(p, path+"[") })
	list := make([]any, 0, len(n.Content))
	for i, item := range n.Content {
		member := fmt.Sprintf("%s[%d]", path, i)
		r.places[member] = r.place(item)
		list = append(list, r.section(k, member, item))
	}
	return list
}

func (r *reader) strings(path string, n *yaml.Node) any {
	if n.Kind == yaml.ScalarNode {
		return []string{n.Value}
	}
	if n.Kind != yaml.SequenceNode {
		r.problems.add(r.place(n), "%s must be a list, not %s", path, kind(n))
		return nil
	}
	list := make([]string, 0, len(n.Content))
	for _, item := range n.Content {
		item = resolve(item)
		if item.Kind != yaml.ScalarNode {
			r.problems.add(r.place(item), "%s must be a list of single values", path)
			return nil
		}
		list = append(list, item.Value)
	}
	return list
}

// text reads what a variable or a flag gives for a key; nil where it is wrong.
func (r *reader) text(k *key, text string) any {
	r.places[k.path] = r.name
	if !k.list() && !(k.typ == listType && strings.HasPrefix(text, "[")) {
		return r.plain(k, text)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil || len(doc.Content) == 0 {
		r.problems.add(r.name, "%s must be a list in brackets, written as YAML", k.path)
		return nil
	}
	return r.value(k, k.path, doc.Content[0])
}

func (r *reader) plain(k *key, text string) any {
	if k.typ == listType {
		list := []string{}
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				list = append(list, part)
			}
		}
		return list
	}
	v, err := parseScalar(k.typ, text)
	if err != nil {
		r.problems.add(r.name, "%s: %v", k.path, err)
		return nil
	}
	return v
}

func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

func kind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a section"
	case yaml.SequenceNode:
		return "a list"
	}
	return fmt.Sprintf("the value %q", n.Value)
}

func orTop(path string) string {
	if path == "" {
		return "the configuration"
	}
	return path
}

func mapOrNil(m map[string]any) any {
	if m == nil {
		return nil
	}
	return m
}
