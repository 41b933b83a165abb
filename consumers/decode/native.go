package decode

import (
	"fmt"
	"hash/maphash"
	"slices"
	"strings"

	"borderwatch/schemas/access"
)

// native decodes bw/access/v1. Most producers write the same keys in the same order, so it first tries the key that
// stood at this place in the previous record, and looks a key up only where that fails.
type native struct {
	scanner
	feed  Feed
	names *names
	ev    *access.Event

	given  uint64 // bit per field, schema, data.items and location.evidence
	groups uint64 // bit per group that was given as an object
	schema bool   // the record says that it is bw/access/v1
	timed  bool   // the record has a time

	order []expectation // the known keys of earlier records, in order
	next  int

	extra int
	item  int // the data item that values belong to
}

// expectation is a key of an earlier record.
type expectation struct {
	scope uint8
	slot  slot
}

func newNative(feed Feed) *native {
	n := &native{feed: feed, names: nameTable()}
	n.seed = maphash.MakeSeed()
	return n
}

// Extra returns how many members of the last record are no fields of the event.
func (n *native) Extra() int { return n.extra }

// Decode reads one native record.
func (n *native) Decode(rec *Record, ev *access.Event) error {
	err := n.decode(rec.Value, ev)
	if err == nil {
		return nil
	}
	m := err.(*Malformed)
	if !n.schema {
		if shape, ok := shapeOf(rec.Value, n.feed.Limits); ok && shape.adapter != Native {
			return shape.misplaced(Native)
		}
	}
	return m
}

func (n *native) decode(value []byte, ev *access.Event) error {
	n.ev, n.given, n.groups, n.schema, n.timed = ev, 0, 0, false, false
	n.next, n.extra, n.item = 0, 0, 0
	if err := n.open(value, n.feed.Limits); err != nil {
		return err
	}
	if n.peek() != '{' {
		return n.wrongType("", "one JSON object")
	}
	if err := n.object(scopeRecord); err != nil {
		return err
	}
	if err := n.end(); err != nil {
		return err
	}
	if err := n.duplicate(0); err != nil {
		return err
	}
	return n.complete()
}

// required are the fields without which a record is refused, besides schema.
var required = [...]access.Field{access.FieldEventID, access.FieldTime, access.FieldSourceFeed, access.FieldActorID}

// complete checks the required fields and fills in what the feed knows.
func (n *native) complete() error {
	if !n.schema {
		return &Malformed{CodeMissing, "is required and must be " + access.SchemaV1, "schema", -1}
	}
	for _, f := range required {
		if n.ev.Missing(f, 0) || f == access.FieldTime && !n.timed {
			return &Malformed{CodeMissing, `is required: it is absent, null, empty or "unknown"`, f.String(), -1}
		}
	}
	if n.ev.Approval != (access.Approval{}) {
		n.ev.Approval.State = access.ApprovalAsserted
	}
	n.ev.Source.Scope = n.feed.Scope
	if n.feed.Scope == "" {
		n.ev.Source.Scope = n.ev.Source.Feed
	}
	return nil
}

// object reads the members of the record, a group or a data item.
func (n *native) object(scope uint8) error {
	if err := n.enter(); err != nil {
		return err
	}
	if n.peek() != '}' {
		for more := true; more; {
			if err := n.member(scope); err != nil {
				return err
			}
			var err error
			if more, err = n.more('}'); err != nil {
				return err
			}
		}
	}
	n.leave()
	return nil
}

func (n *native) member(scope uint8) error {
	at := n.pos
	l, err := n.key(scope)
	if err != nil {
		return err
	}
	if l == slotUnknown {
		return n.skip()
	}
	if err := n.claim(scope, l, at); err != nil {
		return err
	}
	return n.value(l, at)
}

// key reads a key and its colon and tells what it means.
func (n *native) key(scope uint8) (slot, error) {
	for i := n.next; i < min(n.next+maxSkipped, len(n.order)); i++ {
		e := n.order[i]
		if e.scope != scope {
			continue
		}
		quoted := n.names.quoted[scope][e.slot]
		end := n.pos + len(quoted)
		// Two keys rarely end at the same place, so the colon tells most of them apart without a comparison.
		if end < len(n.data) && n.data[end-1] == ':' && view(n.data[n.pos:end]) == quoted {
			n.pos, n.next = end, i+1
			n.space()
			return e.slot, nil
		}
	}
	return n.lookUp(scope)
}

// maxSkipped is how many keys of the learnt order are tried: a record leaves out what it does not know.
const maxSkipped = 8

// lookUp is key without a prediction.
func (n *native) lookUp(scope uint8) (slot, error) {
	if n.peek() != '"' {
		return 0, n.syntax("a key in double quotes")
	}
	at := n.pos
	name, err := n.string()
	if err != nil {
		return 0, err
	}
	l := n.names.slots[scope][name]
	if l == slotUnknown {
		err = n.unknownKey(scope, name, at)
	} else {
		n.learn(scope, l)
	}
	if err != nil {
		return 0, err
	}
	return l, n.colon()
}

// maxOrder bounds the learnt order; a producer that shuffles its keys makes it start anew.
const maxOrder = 96

// learn makes the next expectation the one after this key: a key that other records lack stays in the order.
func (n *native) learn(scope uint8, l slot) {
	if scope == scopeItem || l == slotAdded {
		return
	}
	e := expectation{scope, l}
	for i := n.next; i < len(n.order); i++ {
		if n.order[i] == e {
			n.next = i + 1
			return
		}
	}
	if len(n.order) == maxOrder {
		n.order, n.next = n.order[:0], 0
	}
	n.order = slices.Insert(n.order, n.next, e)
	n.next++
}

// unknownKey notes a key that is no field. It refuses what may be a mistyped field and what only borderwatch computes.
func (n *native) unknownKey(scope uint8, name string, at int) error {
	full := fullName(scope, name)
	if hasNUL(name) {
		return &Malformed{CodeControl, "NUL stands in a key", "", at}
	}
	if known, ok := n.names.otherCase(scope, name); ok {
		return &Malformed{CodeKeyCase, "differs only in case from " + fullName(scope, known), full, at}
	}
	group, rest, dotted := strings.Cut(full, ".")
	if dotted && (group == "location" || group == "network" || group == "kafka") {
		return &Malformed{CodeComputed, fmt.Sprintf("borderwatch fills in what stands here, and %q cannot be given", clip(rest)), group, at}
	}
	n.extra++
	if scope == scopeItem { // items are checked one by one
		n.keys = append(n.keys, key{name: name, scope: scope, pos: at})
		return nil
	}
	if l := n.names.slots[scopeRecord][group]; scope == scopeRecord && dotted && l.isGroup() {
		scope, name = l.scope(), rest // so that the flat and the nested form of an unknown key meet
	}
	n.keys = append(n.keys, key{name: name, scope: scope, pos: at})
	return nil
}

// claim refuses a field that is given a second time.
func (n *native) claim(scope uint8, l slot, at int) error {
	if l.isGroup() {
		bit := uint64(1) << (l - slotGroup)
		if n.groups&bit != 0 {
			return &Malformed{CodeDuplicateKey, "is given twice", l.name(), at}
		}
		n.groups |= bit
		return nil
	}
	bit := uint64(1) << l
	if n.given&bit == 0 {
		n.given |= bit
		return nil
	}
	if scope == scopeItem {
		return &Malformed{CodeDuplicateKey, "is given twice in one data item", l.name(), at}
	}
	return &Malformed{CodeDuplicateField, "is given twice, be it in flat or in nested form", l.name(), at}
}

func (n *native) wrongType(field, want string) error {
	return &Malformed{CodeType, fmt.Sprintf("%s is wanted, not %s", want, n.kind()), field, n.pos}
}

// kind names the value that starts here.
func (s *scanner) kind() string {
	switch c := s.peek(); {
	case c == '"':
		return "a string"
	case c == '{':
		return "an object"
	case c == '[':
		return "a list"
	case c == 't' || c == 'f':
		return "true or false"
	case c == 'n':
		return "null"
	case c == '-' || c >= '0' && c <= '9':
		return "a number"
	}
	return "something that is no JSON"
}
