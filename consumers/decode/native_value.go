package decode

import (
	"fmt"
	"strconv"

	"borderwatch/schemas/access"
)

// value reads the value of a known key.
func (n *native) value(l slot, at int) error {
	if l >= slotSchema {
		return n.structure(l, at)
	}
	f := access.Field(l)
	if n.peek() == 'n' {
		return n.literal("null")
	}
	if n.names.computed.Has(f) {
		return &Malformed{CodeComputed, "is computed by borderwatch and cannot be given", f.String(), at}
	}
	switch n.names.types[f] {
	case access.Text, access.Address:
		return n.text(f)
	case access.Integer:
		return n.integer(f)
	case access.Texts, access.Words:
		return n.list(f)
	}
	return n.word(f)
}

// structure reads the value of a key that is no field.
func (n *native) structure(l slot, at int) error {
	switch l {
	case slotSchema:
		return n.schemaValue()
	case slotItems:
		return n.items()
	case slotEvidence:
		return n.evidence()
	case slotAdded:
		return &Malformed{CodeComputed, "is added by borderwatch and cannot be given", "", at}
	}
	return n.group(l)
}

// group reads the object of a group. null is a group without fields.
func (n *native) group(l slot) error {
	switch {
	case n.peek() == '{':
		return n.object(l.scope())
	case n.peek() == 'n':
		return n.literal("null")
	}
	return n.wrongType(l.name(), "an object")
}

func (n *native) schemaValue() error {
	at := n.pos
	if n.peek() != '"' {
		return n.wrongType("schema", "a string")
	}
	value, err := n.string()
	if err != nil {
		return err
	}
	if value != access.SchemaV1 {
		return &Malformed{CodeValue, fmt.Sprintf("%q is not %s", clip(value), access.SchemaV1), "schema", at}
	}
	n.schema = true
	return nil
}

// text reads a string into a field. Line breaks and tabs are for the justification only, other control characters for
// nobody: identifiers end up in logs, terminals and file names.
func (n *native) text(f access.Field) error {
	at := n.pos
	if n.peek() != '"' {
		return n.wrongType(f.String(), "a string")
	}
	value, err := n.string()
	if err != nil {
		return err
	}
	if n.control >= 0 {
		if err := controls(f, value, n.control); err != nil {
			return err
		}
	}
	return n.set(f, value, at)
}

// controls refuses control characters in a text that has escaped ones.
func controls(f access.Field, value string, at int) error {
	for i := range len(value) {
		switch c := value[i]; {
		case c >= 0x20, f == access.FieldJustification && (c == '\t' || c == '\n' || c == '\r'):
		default:
			return &Malformed{CodeControl, fmt.Sprintf("a control character (%#02x) stands in the value", c), f.String(), at}
		}
	}
	return nil
}

// word reads a string with a meaning: a word, a place or a time. session.mfa may be true or false as well.
func (n *native) word(f access.Field) error {
	at := n.pos
	if c := n.peek(); f == access.FieldSessionMFA && (c == 't' || c == 'f') {
		n.ev.Session.MFA = access.AnswerOf(c == 't')
		if c == 't' {
			return n.literal("true")
		}
		return n.literal("false")
	}
	if n.peek() != '"' {
		return n.wrongType(f.String(), "a string")
	}
	value, err := n.string()
	if err != nil {
		return err
	}
	return n.set(f, value, at)
}

// set hands a text to the event.
func (n *native) set(f access.Field, value string, at int) error {
	if f == access.FieldTime || f == access.FieldApprovalValidUntil {
		return n.setTime(f, value, at)
	}
	err := n.ev.SetText(f, n.item, value)
	if err == nil {
		return nil
	}
	return badValue(err, at)
}

// setTime leaves a time alone that is empty or unknown.
func (n *native) setTime(f access.Field, value string, at int) error {
	if value == "" || value == "unknown" {
		return nil
	}
	n.timed = n.timed || f == access.FieldTime
	t, ok := access.ParseTime(value)
	if !ok {
		return &Malformed{CodeValue, fmt.Sprintf("%q is not an RFC 3339 time between 1970 and 2262", clip(value)), f.String(), at}
	}
	return badValue(n.ev.SetInteger(f, int64(t)), at)
}

// badValue turns the event's error into ours.
func badValue(err error, at int) error {
	if err == nil {
		return nil
	}
	v, ok := err.(*access.ValueError)
	if !ok {
		return &Malformed{CodeValue, err.Error(), "", at}
	}
	return &Malformed{CodeValue, fmt.Sprintf("%q %s", clip(v.Value), v.Why), v.Field.String(), at}
}

// integer reads a whole number from 0 to 2^63-1, written without point and exponent.
func (n *native) integer(f access.Field) error {
	at := n.pos
	if c := n.peek(); c != '-' && (c < '0' || c > '9') {
		return n.wrongType(f.String(), "a number")
	}
	text, whole, err := n.number()
	if err != nil {
		return err
	}
	value, parseErr := strconv.ParseInt(text, 10, 64)
	if !whole || parseErr != nil || text[0] == '-' {
		return &Malformed{CodeValue, fmt.Sprintf("%s is not a whole number from 0 to 9223372036854775807", clip(text)), f.String(), at}
	}
	return badValue(n.ev.SetInteger(f, value), at)
}

// list reads a list of strings into a set-valued field.
func (n *native) list(f access.Field) error {
	if n.peek() != '[' {
		return n.wrongType(f.String(), "a list of strings")
	}
	if err := n.enter(); err != nil {
		return err
	}
	n.ev.MarkGiven(f, n.item)
	if n.peek() != ']' {
		for more := true; more; {
			if err := n.text(f); err != nil {
				return err
			}
			var err error
			if more, err = n.more(']'); err != nil {
				return err
			}
		}
	}
	n.leave()
	return nil
}
