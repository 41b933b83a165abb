package policy

import (
	"go.yaml.in/yaml/v3"

	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

var severityWords = []string{"info", "low", "medium", "high", "critical"}

var outcomeWords = []string{"none", "suppressed", "unknown", "alert", "error"}

func (r *reader) rule(root *yaml.Node) *Rule {
	o := r.object(root, "rule", "format", "id", "title", "status", "severity", "kind", "owner", "law", "why", "respond", "when",
		"on_unknown", "exceptions", "exception_must_pin", "licence", "tests")
	if o == nil {
		return nil
	}
	o.require("id", "title", "status", "severity", "when")
	rule := &Rule{
		Pos: r.at(root), ID: o.id("id"), Title: o.text("title"),
		Status:   Status(o.word("status", statusWords)),
		Severity: alert.Severity(o.word("severity", severityWords) + 1),
		Kind:     o.kind(), Owner: o.text("owner"), Law: o.texts("law"), Why: o.text("why"), Respond: o.text("respond"),
		OnUnknown:  OnUnknown(o.word("on_unknown", onUnknownWords)),
		Exceptions: o.word("exceptions", []string{"never", "allowed"}) == 1,
		MustPin:    o.fields("exception_must_pin"),
		Licence:    o.text("licence"),
		places:     o.places,
	}
	if rule.OnUnknown == UnknownIgnored && rule.Severity == alert.Critical {
		r.refuse(o.values["on_unknown"], "critical-ignore", "remove the line, or lower the severity", "a critical rule cannot ignore unknown: what it cannot see would pass in silence")
	}
	if n := o.values["when"]; n != nil {
		rule.When = r.conditions(n)
	}
	rule.Tests = o.cases()
	return rule
}

func (o *object) kind() Kind {
	n := o.values["kind"]
	if n != nil && contains(statefulKinds, n.Value) {
		o.refuse(n, "unknown-word", "", "kind %s needs more than one event and is not a rule of a single access; kinds are %s", n.Value, oneOf(kindWords))
		return KindPolicy
	}
	return Kind(o.word("kind", kindWords))
}

// fields reads a list of field names.
func (o *object) fields(key string) []access.Field {
	n := o.values[key]
	if n == nil {
		return nil
	}
	var out []access.Field
	for _, item := range o.someOf(n, key) {
		if f, ok := o.field(item, item.Value); ok {
			out = append(out, f)
		}
	}
	return out
}

// conditions reads `when`.
func (r *reader) conditions(n *yaml.Node) Conditions {
	var c Conditions
	ok := r.pairs(n, "when", func(key, value *yaml.Node) {
		if key.Value == "any" {
			c.AnyPos = r.at(key)
			c.Any = r.any(key, value)
			return
		}
		if condition, ok := r.condition(key, value, "any"); ok {
			c.All = append(c.All, condition)
		}
	})
	if ok && len(n.Content) == 0 {
		r.refuse(n, "value", "", "when has no condition; a rule about everything is refused")
	}
	return c
}

// any reads the one level of OR: a list of maps whose lines all hold.
func (r *reader) any(key, n *yaml.Node) [][]Condition {
	if n.Kind != yaml.SequenceNode || len(n.Content) == 0 {
		r.refuse(key, "value", "", "any is a list of maps, of which one must hold with all its lines")
		return nil
	}
	var branches [][]Condition
	for _, item := range n.Content {
		branches = append(branches, r.lines(item, "branch of any"))
	}
	return branches
}

// lines reads a map of conditions in which `any` has no place.
func (r *reader) lines(n *yaml.Node, what string) []Condition {
	var out []Condition
	ok := r.pairs(n, what, func(key, value *yaml.Node) {
		if key.Value == "any" {
			r.refuse(key, "unknown-field", "", "any cannot stand inside a %s", what)
			return
		}
		if condition, ok := r.condition(key, value); ok {
			out = append(out, condition)
		}
	})
	if ok && len(n.Content) == 0 {
		r.refuse(n, "value", "", "the %s has no condition", what)
	}
	return out
}
