package policy

import (
	"strings"

	"go.yaml.in/yaml/v3"

	"borderwatch/schemas/access"
	"borderwatch/schemas/alert"
)

var exceptionKeys = []string{"id", "title", "rules", "ticket", "requested_by", "approved_by", "valid_from", "valid_until", "max_matches", "evidence", "licence", "reason", "when"}

func (o *object) exception() *Exception {
	x := &Exception{
		Pos: o.at(o.node), ID: o.id("id"), Title: o.text("title"), Ticket: o.text("ticket"),
		RequestedBy: o.text("requested_by"), ApprovedBy: o.texts("approved_by"),
		ValidFrom: o.day("valid_from"), ValidUntil: o.day("valid_until"), MaxMatches: o.number("max_matches"),
		Evidence: Evidence(o.word("evidence", evidenceWords)), Licence: o.text("licence"), Reason: o.text("reason"), places: o.places,
	}
	if x.ValidUntil < x.ValidFrom && x.ValidUntil != NoDay {
		o.refuse(o.values["valid_until"], "value", "", "valid_until %s lies before valid_from %s", x.ValidUntil, x.ValidFrom)
	}
	if n := o.values["rules"]; n != nil {
		for _, item := range o.someOf(n, "rules") {
			x.Rules, x.rulePlaces = append(x.Rules, item.Value), append(x.rulePlaces, o.at(item))
		}
	}
	if n := o.values["when"]; n != nil {
		x.When = o.lines(n, "when of an exception")
	}
	x.Tests = o.cases()
	return x
}

// cases reads the tests of a rule or an exception.
func (o *object) cases() []Case {
	n := o.values["tests"]
	if n == nil {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		o.refuse(n, "value", "", "tests is a list of tests")
		return nil
	}
	var out []Case
	for _, item := range n.Content {
		if c, ok := o.reader.testCase(item); ok {
			out = append(out, c)
		}
	}
	return out
}

func (r *reader) testCase(n *yaml.Node) (Case, bool) {
	o := r.object(n, "test", "name", "rule", "event", "exception", "expect", "severity")
	if o == nil {
		return Case{}, false
	}
	o.require("name", "event", "expect")
	c := Case{Pos: r.at(n), Name: o.text("name"), Rule: o.text("rule"), Expect: alert.Outcome(o.word("expect", outcomeWords))}
	if n := o.values["rule"]; n != nil {
		c.rulePlace = r.at(n)
	}
	if o.values["severity"] != nil {
		c.Severity = alert.Severity(o.word("severity", severityWords) + 1)
	}
	if event := o.values["event"]; event != nil {
		c.Event = r.event(event)
	}
	if inline := o.values["exception"]; inline != nil {
		if x := r.object(inline, "exception of a test", exceptionKeys...); x != nil {
			x.require("valid_from", "valid_until", "when")
			c.Exception = x.exception()
		}
	}
	return c, true
}

// event reads the event of a test.
func (r *reader) event(n *yaml.Node) EventText {
	var e EventText
	ok := r.pairs(n, "event", func(key, value *yaml.Node) {
		if key.Value == "data.items" {
			e.Items = r.items(value)
			return
		}
		if f, ok := r.field(key, key.Value, "data.items"); ok {
			e.Fields = append(e.Fields, r.fieldText(f, key, value))
		}
	})
	if at := e.Find(access.FieldTime); ok && (at == nil || len(at.Values) == 0) {
		r.refuse(n, "missing-key", "", "the event of a test has no time; groups, approvals and exceptions depend on it")
	}
	return e
}

// items reads data.items: a list of maps whose fields are those of data without the prefix.
func (r *reader) items(n *yaml.Node) [][]FieldText {
	if n.Kind != yaml.SequenceNode {
		r.refuse(n, "value", "", "data.items is a list of maps")
		return nil
	}
	var out [][]FieldText
	for _, item := range n.Content {
		var fields []FieldText
		r.pairs(item, "data item", func(key, value *yaml.Node) {
			name := "data." + strings.TrimPrefix(key.Value, "data.")
			f, ok := r.field(key, name)
			if ok && !f.Info().PerItem {
				r.refuse(key, "unknown-field", "", "%s belongs to the whole event, not to a data item", name)
				return
			}
			if ok {
				fields = append(fields, r.fieldText(f, key, value))
			}
		})
		out = append(out, fields)
	}
	return out
}

func (r *reader) fieldText(f access.Field, key, value *yaml.Node) FieldText {
	t := FieldText{Pos: r.at(key), Field: f, List: value.Kind == yaml.SequenceNode}
	if isNull(value) {
		return t
	}
	for _, n := range r.list(value, key.Value) {
		t.Values = append(t.Values, n.Value)
	}
	info := f.Info()
	if len(t.Values) > 1 && info.Type != access.Words && info.Type != access.Texts && info.Type != access.Nations {
		r.refuse(value, "value", "", "%s has one value", f)
	}
	for i, text := range t.Values {
		r.checkText(f, value, i, text)
	}
	return t
}

// checkText refuses a value that the field cannot have.
func (r *reader) checkText(f access.Field, value *yaml.Node, i int, text string) {
	if value.Kind == yaml.SequenceNode && i < len(value.Content) {
		value = value.Content[i]
	}
	info := f.Info()
	switch info.Type {
	case access.Word, access.Words:
		if _, ok := info.Vocabulary.Parse(text); !ok {
			r.refuse(value, "unknown-word", nearest(text, info.Vocabulary.Words()), "%s cannot be %q: it is %s", f, text, oneOf(info.Vocabulary.Words()))
		}
	case access.Nation, access.Nations, access.Region:
		if _, ok := access.ParsePlace(text); !ok || text == "UK" {
			r.refuse(value, "country-code", countryHint(text), "%q is not an ISO 3166-1 alpha-2 country code", text)
		}
	default:
		var scratch access.Event
		scratch.Reset()
		if info.Need == access.Computed {
			return
		}
		if err := scratch.SetText(f, 0, text); err != nil {
			r.refuse(value, "value", "", "%s", err)
		}
	}
}
