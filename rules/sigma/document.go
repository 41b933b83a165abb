package sigma

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"borderwatch/rules/policy"
	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

// Definition tells which log an exported rule is about; it stands in each rule's logsource.
const Definition = "Events as borderwatch has completed them (bw/access/v1), one record for each data set of an access, fields by their dotted names. " +
	"A field of which nothing is known is left out. A field that leaves several values open is the list of them: location.country holds the countries that the evidence leaves open, " +
	"and is left out where it leaves all. location.verdict and network.kind always have a word."

// document writes the rule.
func (c *converter) document(d *detection) []byte {
	r := c.rule
	root := &yaml.Node{Kind: yaml.MappingNode}
	add := func(key string, value *yaml.Node) { root.Content = append(root.Content, plainNode(key), value) }
	add("title", quoted(r.Title))
	add("id", plainNode(identifier(r.ID)))
	add("status", plainNode(status(r.Status)))
	add("description", &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.LiteralStyle, Value: c.description()})
	if len(r.Law) > 0 {
		add("references", list(r.Law))
	}
	if r.Owner != "" {
		add("author", quoted(r.Owner))
	}
	add("tags", list([]string{"borderwatch." + strings.ToLower(r.ID)}))
	add("logsource", mapping("category", plainNode("data_access"), "product", plainNode("borderwatch"), "definition", quoted(Definition)))
	add("detection", d.node())
	add("fields", list(shown(c)))
	if slices.Contains(c.opt.Accept, Exceptions) && r.Exceptions {
		add("falsepositives", list([]string{"Accesses that an approved exception allows"}))
	}
	add("level", plainNode(level(r.Severity)))
	return encode(root)
}

// description is why the rule exists, what to do, and how the exported rule differs from it.
func (c *converter) description() string {
	var b strings.Builder
	for _, text := range []string{c.rule.Why, c.rule.Respond} {
		if text != "" {
			fmt.Fprintf(&b, "%s\n", strings.TrimSpace(text))
		}
	}
	fmt.Fprintf(&b, "Exported from the borderwatch rule %s as on %s. It differs from it:\n", c.rule.ID, c.opt.Day)
	for _, sentence := range c.lost {
		fmt.Fprintf(&b, "- %s\n", sentence)
	}
	return b.String()
}

// identifier derives a UUID (RFC 9562, version 8) from the rule's id, so that every export of a rule has the same.
func identifier(ruleID string) string {
	sum := sha256.Sum256([]byte("borderwatch rule " + ruleID))
	u := sum[:16]
	u[6] = u[6]&0x0f | 0x80
	u[8] = u[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

// status never says stable: that would claim that nobody saw a false positive.
func status(s policy.Status) string {
	if s == policy.Shadow {
		return "experimental"
	}
	return "test"
}

func level(s alert.Severity) string {
	if s == alert.Info {
		return "informational"
	}
	return s.String()
}

// shown are the fields an analyst wants to see: who, what, and those that the rule reads.
func shown(c *converter) []string {
	fields := access.FieldSet(0).With(access.FieldTime).With(access.FieldActorID).With(access.FieldDataset).With(access.FieldAction)
	read := func(w *policy.Condition) {
		fields = fields.With(w.Field)
		if w.Other != access.FieldNone {
			fields = fields.With(w.Other)
		}
	}
	c.rule.When.Each(read)
	for _, w := range c.rule.Kind.Implied() {
		read(&w)
	}
	return fields.Names()
}

func (d *detection) node() *yaml.Node {
	root := &yaml.Node{Kind: yaml.MappingNode}
	for _, s := range d.selections {
		fields := &yaml.Node{Kind: yaml.MappingNode}
		for _, e := range s.entries {
			value := e.values[0]
			if len(e.values) > 1 {
				value = &yaml.Node{Kind: yaml.SequenceNode, Content: e.values}
			}
			fields.Content = append(fields.Content, plainNode(e.key), value)
		}
		root.Content = append(root.Content, plainNode(s.name), fields)
	}
	root.Content = append(root.Content, plainNode("condition"), plainNode(d.condition))
	return root
}

// encode writes with four spaces, as the specification asks. Writing to memory cannot fail.
func encode(root *yaml.Node) []byte {
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(4)
	if err := encoder.Encode(root); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func list(texts []string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.SequenceNode}
	for _, t := range texts {
		n.Content = append(n.Content, quoted(t))
	}
	return n
}

func mapping(pairs ...any) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for i := 0; i+1 < len(pairs); i += 2 {
		n.Content = append(n.Content, plainNode(pairs[i].(string)), pairs[i+1].(*yaml.Node))
	}
	return n
}
