package semantics

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// Files are the rule and reference files of an example, by path.
type Files map[string][]byte

// Files writes the rule and reference files that the example is judged by. Every key stands on a line of its own.
func (x *Example) Files() (Files, error) { return x.files(x.Rules, x.References) }

// Changed writes the same files with the changed rules or reference files, nil where nothing changes.
func (x *Example) Changed() (Files, error) {
	rules, references := x.Rules, x.References
	if len(x.ChangedRules) == 0 && len(x.ChangedReferences) == 0 {
		return nil, nil
	}
	if len(x.ChangedRules) > 0 {
		rules = x.ChangedRules
	}
	if len(x.ChangedReferences) > 0 {
		references = x.ChangedReferences
	}
	return x.files(rules, references)
}

func (x *Example) files(rules []yaml.Node, references map[string]yaml.Node) (Files, error) {
	out := Files{}
	var docs []*yaml.Node
	for i := range rules {
		docs = append(docs, x.rule(resolve(&rules[i])))
	}
	if x.When.Kind != 0 {
		docs = append(docs, x.rule(mapping("when", resolve(&x.When))))
	}
	if len(docs) == 0 {
		docs = append(docs, x.rule(mapping("when", mapping("action", scalar("read")))))
	}
	if len(x.Groups) > 0 {
		docs = append(docs, mapping("format", scalar("borderwatch/groups/v1"), "groups", list(x.Groups)))
	}
	for i := range x.Exceptions {
		docs = append(docs, exception(resolve(&x.Exceptions[i])))
	}
	if x.Event.Kind != 0 {
		docs = append(docs, x.carrier())
	}
	if err := out.add("rules.yaml", docs...); err != nil {
		return nil, err
	}
	for _, kind := range slices.Sorted(maps.Keys(references)) {
		n := references[kind]
		doc := resolve(&n)
		fill(doc, "format", scalar("borderwatch/"+kind+"/v1"))
		if err := out.add(kind+".yaml", doc); err != nil {
			return nil, err
		}
	}
	for name, text := range x.Lists {
		out[name] = []byte(text)
	}
	return out, nil
}

func (f Files) add(name string, docs ...*yaml.Node) error {
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	for _, doc := range docs {
		block(doc)
		if err := encoder.Encode(doc); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	f[name] = b.Bytes()
	return nil
}

// rule fills in what a rule of an example leaves out.
func (x *Example) rule(n *yaml.Node) *yaml.Node {
	fill(n, "format", scalar("borderwatch/rule/v1"))
	fill(n, "id", scalar("T-1"))
	fill(n, "title", scalar("Example"))
	fill(n, "status", scalar("active"))
	fill(n, "severity", scalar("high"))
	fill(n, "owner", scalar("dpo-office"))
	fill(n, "law", scalar("Policy"))
	fill(n, "why", scalar("An example."))
	fill(n, "respond", scalar("Nothing."))
	if len(x.Exceptions) > 0 {
		fill(n, "exceptions", scalar("allowed"))
	}
	return n
}

func exception(n *yaml.Node) *yaml.Node {
	fill(n, "format", scalar("borderwatch/exception/v1"))
	fill(n, "title", scalar("Example"))
	fill(n, "ticket", scalar("DPO-1"))
	fill(n, "requested_by", scalar("u-1"))
	fill(n, "approved_by", sequence(scalar("u-8001"), scalar("u-8002")))
	fill(n, "valid_from", scalar("2026-11-01"))
	fill(n, "valid_until", scalar("2026-12-31"))
	fill(n, "reason", scalar("An example."))
	return n
}

// CarrierRule is the id of the draft rule in whose test the event of an example stands, so that the reader of rule
// files reads it.
const CarrierRule = "T-EVENT"

// DefaultTime is when an example's event happens.
const DefaultTime = "2026-11-20T09:00:00Z"

func (x *Example) carrier() *yaml.Node {
	event := resolve(&x.Event)
	fill(event, "time", scalar(DefaultTime))
	fill(event, "actor.id", scalar("u-1042"))
	test := mapping("name", scalar("event"), "event", event, "expect", scalar("none"))
	return x.rule(mapping("id", scalar(CarrierRule), "status", scalar("draft"), "when", mapping("action", scalar("read")), "tests", sequence(test)))
}

// Values writes the records as JSON.
func (x *Example) Values() ([][]byte, error) {
	nodes := x.Records
	if x.Record.Kind != 0 {
		nodes = []yaml.Node{x.Record}
	}
	var out [][]byte
	for i := range nodes {
		n := resolve(&nodes[i])
		x.complete(n)
		value, err := json.Marshal(plain(n))
		if err != nil {
			return nil, err
		}
		out = append(out, value)
	}
	return out, nil
}

// complete fills in what every record of the format has.
func (x *Example) complete(n *yaml.Node) {
	switch x.Adapter {
	case "", "native":
		fill(n, "schema", scalar("bw/access/v1"))
		fill(n, "event_id", scalar("e-1"))
		fill(n, "time", scalar(DefaultTime))
		fill(n, "source.feed", scalar("example"))
		fill(n, "actor.id", scalar("u-1042"))
	case "cloudtrail":
		fill(n, "eventVersion", scalar("1.11"))
		fill(n, "eventID", scalar("e-1"))
		fill(n, "eventTime", scalar(DefaultTime))
	}
}

// resolve copies a node without aliases and anchors.
func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return resolve(n.Alias)
	}
	c := *n
	c.Anchor, c.Content = "", make([]*yaml.Node, len(n.Content))
	for i := range n.Content {
		c.Content[i] = resolve(n.Content[i])
	}
	return &c
}

// block writes maps and lists line by line.
func block(n *yaml.Node) {
	if n.Kind != yaml.ScalarNode {
		n.Style = 0
	}
	for _, child := range n.Content {
		block(child)
	}
}

// plain turns a node into what JSON knows. Text stays as it is written, times and "NO" among it.
func plain(n *yaml.Node) any {
	switch n.Kind {
	case yaml.MappingNode:
		out := map[string]any{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			out[n.Content[i].Value] = plain(n.Content[i+1])
		}
		return out
	case yaml.SequenceNode:
		out := make([]any, len(n.Content))
		for i := range n.Content {
			out[i] = plain(n.Content[i])
		}
		return out
	}
	switch n.ShortTag() {
	case "!!null":
		return nil
	case "!!bool":
		return n.Value == "true"
	case "!!int":
		if i, err := strconv.ParseInt(n.Value, 10, 64); err == nil {
			return i
		}
	}
	return n.Value
}

// fill sets a key of a map that does not have it.
func fill(n *yaml.Node, key string, value *yaml.Node) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return
		}
	}
	n.Content = append(n.Content, scalar(key), value)
}

func scalar(text string) *yaml.Node {
	n := new(yaml.Node)
	n.SetString(text)
	return n
}

// mapping makes a map of keys and nodes in turn.
func mapping(pairs ...any) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for i := 0; i+1 < len(pairs); i += 2 {
		n.Content = append(n.Content, scalar(pairs[i].(string)), pairs[i+1].(*yaml.Node))
	}
	return n
}

func sequence(items ...*yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Content: items}
}

func list(nodes []yaml.Node) *yaml.Node {
	n := sequence()
	for i := range nodes {
		n.Content = append(n.Content, resolve(&nodes[i]))
	}
	return n
}
