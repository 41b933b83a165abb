package config

import (
	"fmt"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// YAML writes the effective configuration as a file that Load reads again, with secrets masked and the place each
// value came from as a comment.
func (l *Loaded) YAML() ([]byte, error) {
	var out strings.Builder
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(l.node(schema, "", reflect.ValueOf(l.Config))); err != nil {
		return nil, fmt.Errorf("print the configuration: %w", err)
	}
	return []byte(out.String()), nil
}

func (l *Loaded) node(k *key, path string, v reflect.Value) *yaml.Node {
	switch {
	case k.section():
		return l.mapping(k, path, v)
	case k.list():
		n := &yaml.Node{Kind: yaml.SequenceNode}
		for i := range v.Len() {
			n.Content = append(n.Content, l.mapping(k, fmt.Sprintf("%s[%d]", path, i), v.Index(i)))
		}
		return flowIfEmpty(n)
	case k.typ == listType:
		n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for i := range v.Len() {
			n.Content = append(n.Content, text(v.Index(i).String()))
		}
		return n
	case k.typ.Kind() == reflect.Bool || k.typ == reflect.TypeFor[int]():
		return &yaml.Node{Kind: yaml.ScalarNode, Value: formatScalar(v)}
	}
	return text(formatScalar(v))
}

func (l *Loaded) mapping(k *key, path string, v reflect.Value) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for i, child := range k.children {
		name := &yaml.Node{Kind: yaml.ScalarNode, Value: child.name}
		childPath := join(path, child.name)
		value := l.node(child, childPath, v.Field(i))
		if !child.section() {
			comment(name, value, l.Place(childPath))
		}
		n.Content = append(n.Content, name, value)
	}
	return n
}

// comment puts the place behind the value where that fits in its line, else behind the name.
func comment(name, value *yaml.Node, place string) {
	if value.Kind == yaml.ScalarNode || value.Style&yaml.FlowStyle != 0 {
		value.LineComment = place
		return
	}
	name.LineComment = place
}

func text(s string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(s)
	return n
}

func flowIfEmpty(n *yaml.Node) *yaml.Node {
	if len(n.Content) == 0 {
		n.Style = yaml.FlowStyle
	}
	return n
}
